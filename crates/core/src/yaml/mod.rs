//! The reader of project files: YAML text to a tree that knows its positions, variables, and typed values by serde.
//! Not here: what a project consists of, `include`, and reading files from disk.
//! Called by the project loader, by the server for API bodies (JSON is YAML), and by lints that point at a node.
//!
//! The order of use is [`parse`], then [`Node::expand`], then [`from_node`] for the whole or for parts of the tree.

mod de;
mod error;
mod expand;
mod fault;
mod json;
mod parse;
mod scalar;

use std::fmt;
use std::sync::Arc;

pub use de::from_node;
pub use error::{ConfigError, ConfigErrors};
pub use expand::{Lookup, ProcessLookup, Variables};
pub use parse::parse;
pub use scalar::{Origin, Scalar};

/// A place in a project file.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Span {
    /// The name of the text as it was given to [`parse`].
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

/// A value and where it begins.
///
/// An aliased value keeps the place where it was written, which is where it has to be changed.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where the value begins.
    pub span: Span,
    /// What stands there.
    pub value: Value,
}

/// The four kinds of YAML values.
#[derive(Debug, Clone)]
pub enum Value {
    /// Nothing, `~` or an unquoted `null`.
    Null,
    /// Any other single value.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the text; a key occurs once.
    Mapping(Vec<(Key, Node)>),
}

/// A key of a mapping. Variables are not expanded in keys.
#[derive(Debug, Clone)]
pub struct Key {
    /// The key's text.
    pub text: String,
    /// Where the key begins.
    pub span: Span,
}

impl Node {
    /// The value under a key; `None` also where the node is no mapping.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(candidate, _)| candidate.text == key).map(|(_, node)| node)
    }

    /// The value under a key, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        match &mut self.value {
            Value::Mapping(entries) => {
                entries.iter_mut().find(|(candidate, _)| candidate.text == key).map(|(_, node)| node)
            }
            _ => None,
        }
    }

    /// Takes an entry out of a mapping.
    pub fn remove(&mut self, key: &str) -> Option<(Key, Self)> {
        match &mut self.value {
            Value::Mapping(entries) => {
                let index = entries.iter().position(|(candidate, _)| candidate.text == key)?;
                Some(entries.remove(index))
            }
            _ => None,
        }
    }

    /// The entries of a mapping, in the order of the text; empty for any other value.
    pub fn entries(&self) -> &[(Key, Self)] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; empty for any other value.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The text of a scalar, with its variables as far as they are expanded.
    pub fn text(&self) -> Option<&str> {
        self.scalar().map(Scalar::text)
    }

    /// The scalar, if the value is one.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Whether the value is nothing.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Whether the value is a scalar with a variable that was left open.
    pub fn is_open(&self) -> bool {
        self.scalar().is_some_and(Scalar::is_open)
    }

    /// An error at this node.
    pub fn error(&self, message: impl Into<String>) -> ConfigError {
        ConfigError::new(&self.span, message)
    }

    /// Moves another mapping's entries into this one, as `include` does: mappings under the same key are merged in
    /// turn, `depth` levels deep, anything else under the same key is an error that names both places.
    ///
    /// A node that holds nothing counts as an empty mapping. With `depth` 0 no key may occur in both.
    ///
    /// # Errors
    /// Every key that both sides give, and a side that is no mapping. The entries that fit are moved nevertheless.
    pub fn merge(&mut self, other: Self, depth: usize) -> Result<(), ConfigErrors> {
        let mut errors = ConfigErrors::default();
        self.merge_into(other, depth, &mut errors);
        errors.into_result(())
    }

    fn merge_into(&mut self, other: Self, depth: usize, errors: &mut ConfigErrors) {
        let moved = match other.value {
            Value::Null => return,
            Value::Mapping(entries) => entries,
            Value::Scalar(_) | Value::Sequence(_) => {
                return errors.push(other.error("expected a mapping"));
            }
        };
        if self.is_null() {
            self.value = Value::Mapping(Vec::new());
        }
        let Value::Mapping(entries) = &mut self.value else {
            return errors.push(self.error("expected a mapping"));
        };
        for (key, node) in moved {
            match entries.iter_mut().find(|(existing, _)| existing.text == key.text) {
                None => entries.push((key, node)),
                Some((_, existing)) if depth > 0 && existing.is_branch() && node.is_branch() => {
                    existing.merge_into(node, depth - 1, errors);
                }
                Some((existing, _)) => errors.push(
                    ConfigError::new(&key.span, format!("key `{}` is given twice", key.text))
                        .hint(format!("first given at {}", existing.span)),
                ),
            }
        }
    }

    fn is_branch(&self) -> bool {
        matches!(self.value, Value::Mapping(_) | Value::Null)
    }
}

#[cfg(test)]
mod tests;
