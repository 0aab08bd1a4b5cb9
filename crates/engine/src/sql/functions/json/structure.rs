//! The names and types of the parts of JSON documents.
//! Not here: values.
//! Called by `inspect`, and by the aggregate over documents.

use std::fmt::{self, Formatter, Write};

use datafusion::common::Result;

use super::document::{Document, quoted};

/// What a document is made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Structure {
    /// A type's name.
    Type(&'static str),
    Array(Box<Structure>),
    Object(Vec<(String, Structure)>),
}

impl Structure {
    /// The structure of a document.
    pub(super) fn of(document: &Document) -> Self {
        match document {
            Document::Null => Self::Type("NULL"),
            Document::Truth(_) => Self::Type("BOOLEAN"),
            Document::Natural(_) => Self::Type("UBIGINT"),
            Document::Negative(_) => Self::Type("BIGINT"),
            Document::Real(_) => Self::Type("DOUBLE"),
            Document::Text(_) => Self::Type("VARCHAR"),
            Document::Array(items) => {
                let items = items.iter().map(Self::of).reduce(Self::with).unwrap_or(Self::Type("NULL"));
                Self::Array(Box::new(items))
            }
            Document::Object(members) => {
                Self::Object(members.iter().map(|(name, value)| (name.clone(), Self::of(value))).collect())
            }
        }
    }

    /// A structure that fits documents of both.
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (left, right) if left == right => left,
            (Self::Type("NULL"), other) | (other, Self::Type("NULL")) => other,
            (Self::Type("UBIGINT" | "BIGINT"), Self::Type("UBIGINT" | "BIGINT")) => Self::Type("BIGINT"),
            (Self::Type("UBIGINT" | "BIGINT" | "DOUBLE"), Self::Type("UBIGINT" | "BIGINT" | "DOUBLE")) => {
                Self::Type("DOUBLE")
            }
            (Self::Array(left), Self::Array(right)) => Self::Array(Box::new(left.with(*right))),
            (Self::Object(mut left), Self::Object(right)) => {
                for (name, structure) in right {
                    match left.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, known)) => *known = known.clone().with(structure),
                        None => left.push((name, structure)),
                    }
                }
                Self::Object(left)
            }
            _ => Self::Type("JSON"),
        }
    }
}

impl fmt::Display for Structure {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(name) => write!(formatter, "\"{name}\""),
            Self::Array(items) => write!(formatter, "[{items}]"),
            Self::Object(members) if members.is_empty() => formatter.write_str("\"JSON\""),
            Self::Object(members) => {
                formatter.write_char('{')?;
                for (index, (name, structure)) in members.iter().enumerate() {
                    write!(formatter, "{}{}:{structure}", if index > 0 { "," } else { "" }, quoted(name))?;
                }
                formatter.write_char('}')
            }
        }
    }
}

/// A structure that fits all the documents.
pub(in crate::sql::functions) fn common_structure(documents: &[String]) -> Result<String> {
    let structures = documents.iter().map(|text| Ok(Structure::of(&Document::parse(text)?)));
    let all = structures.collect::<Result<Vec<_>>>()?;
    Ok(all.into_iter().reduce(Structure::with).unwrap_or(Structure::Type("NULL")).to_string())
}
