//! Errors that point into a project file, one or many.
//! Not here: what makes a text wrong; the parser, the expansion and the deserializer decide that.
//! Called by the siblings, and by whoever lints a project and wants to point at a node.

use std::fmt;
use std::sync::Arc;

use super::Span;
use crate::codes::{self, Code};
use crate::error::Error;

/// One thing that is wrong in a project file, with its place and the way to put it right.
///
/// Displays as `file:line:column: message`; the hints are for the caller to print beneath. A value that came from a
/// variable or a secret file never appears in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The name of the text as it was given to [`parse`](super::parse).
    pub file: Arc<str>,
    /// Line of the offending key or value, from 1.
    pub line: usize,
    /// Column of the offending key or value in characters, from 1.
    pub column: usize,
    /// What is wrong, in lower case and without full stop.
    pub message: String,
    /// Next steps, the most useful first.
    pub hints: Vec<String>,
    /// True where the error stems from a variable left open by [`Variables::Leave`](super::Variables::Leave): with the
    /// variable's value there might be none.
    pub left_open: bool,
    /// The stable code; `CONF-002` unless said otherwise.
    pub code: Code,
}

impl ConfigError {
    /// An error at a place.
    pub fn new(span: &Span, message: impl Into<String>) -> Self {
        Self {
            file: Arc::clone(&span.file),
            line: span.line,
            column: span.column,
            message: message.into(),
            hints: Vec::new(),
            left_open: false,
            code: codes::CONF_002,
        }
    }

    /// The same error with another code.
    #[must_use]
    pub fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// The same error with one more hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl std::error::Error for ConfigError {}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        let converted = Self::new(error.code, error.to_string());
        error.hints.into_iter().fold(converted, Self::hint)
    }
}

/// Everything that is wrong in a project file, in the order of the text; never empty when returned as an error.
///
/// Displays one line per error and per hint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl ConfigErrors {
    /// Adds one error.
    pub fn push(&mut self, error: ConfigError) {
        self.0.push(error);
    }

    /// Keeps the value of a result and collects its error.
    pub fn collect<T>(&mut self, result: Result<T, ConfigError>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// `value` where nothing was collected, else the errors.
    ///
    /// # Errors
    /// The collection itself, if it is not empty.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{error}")?;
            for hint in &error.hints {
                write!(formatter, "\nhint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
