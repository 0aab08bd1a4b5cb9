//! The one error type that crosses walls: it answers whose fault it is, whether to try again, and what to do next.
//! Not here: the texts of `tapline explain` (see `codes`), and errors with positions in YAML (see `yaml`).
//! Called by every crate; printed by the command line and the API.

use std::fmt;
use std::time::Duration;

use crate::codes::{Class, Code};

/// `Result` with Tapline's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who has to act for the error to go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The person who wrote the project file or the command.
    User,
    /// S3, a destination, the network, or the disk.
    External,
    /// Tapline itself: a bug.
    Internal,
}

/// Whether the same call may succeed when it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Repeating changes nothing.
    Never,
    /// Repeat after this long.
    After(Duration),
}

/// What went wrong, in the words of the person who asked.
///
/// The message is lower case, without a full stop, and names what was being done. Causes are chained through
/// [`std::error::Error::source`], never pasted into the message. Neither secrets nor cell values may enter it.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    code: Code,
    retry: Retry,
    message: String,
    hints: Vec<String>,
    excerpt: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A new error that must not be retried.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                code,
                retry: Retry::Never,
                message: message.into(),
                hints: Vec::new(),
                excerpt: None,
                source: None,
            }),
        }
    }

    /// A bug: an invariant of ours does not hold.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(crate::codes::RUN_003, message)
    }

    /// Adds a next step for the reader; several hints keep their order.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.inner.hints.push(hint.into());
        self
    }

    /// Chains the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// Marks the error as passing: the same call may succeed after `wait`.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.inner.retry = Retry::After(wait);
        self
    }

    /// Attaches a few lines that show the position, such as SQL with a caret below it.
    #[must_use]
    pub fn excerpt(mut self, excerpt: impl Into<String>) -> Self {
        self.inner.excerpt = Some(excerpt.into());
        self
    }

    /// Puts what was being done in front of the message: `context: message`.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.inner.message = format!("{doing}: {}", self.inner.message);
        self
    }

    /// The stable code that `tapline explain` knows.
    pub fn code(&self) -> Code {
        self.inner.code
    }

    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        self.inner.code.blame
    }

    /// How the process ends because of it.
    pub fn class(&self) -> Class {
        self.inner.code.class
    }

    /// Whether to try again.
    pub fn retry(&self) -> Retry {
        self.inner.retry
    }

    /// The one-line message, without its causes.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The next steps, in order.
    pub fn hints(&self) -> &[String] {
        &self.inner.hints
    }

    /// Lines that show the position, if there is one.
    pub fn excerpt_text(&self) -> Option<&str> {
        self.inner.excerpt.as_deref()
    }

    /// The message followed by every cause that adds words of its own, joined by `: `.
    pub fn full_message(&self) -> String {
        let mut text = self.inner.message.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let words = error.to_string();
            if !words.is_empty() && !text.contains(&words) {
                text.push_str(": ");
                text.push_str(&words);
            }
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.inner.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Error")
            .field("code", &self.inner.code.id)
            .field("message", &self.inner.message)
            .field("hints", &self.inner.hints)
            .field("source", &self.inner.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_ref().map(|source| source.as_ref() as &(dyn std::error::Error + 'static))
    }
}

/// The JSON form of an error: `{"code","message","hint"}`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ErrorReport {
    /// The stable code.
    pub code: String,
    /// One line with its causes.
    pub message: String,
    /// The next steps, one per line; absent where there is none.
    pub hint: Option<String>,
    /// Lines that show the position, for people; no part of the JSON form.
    #[serde(skip)]
    pub excerpt: Option<String>,
}

impl From<&Error> for ErrorReport {
    fn from(error: &Error) -> Self {
        let hint = if error.hints().is_empty() { None } else { Some(error.hints().join("\n")) };
        let excerpt = error.excerpt_text().map(str::to_owned);
        Self { code: error.code().id.to_owned(), message: error.full_message(), hint, excerpt }
    }
}
