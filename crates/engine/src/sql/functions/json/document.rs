//! JSON documents in memory: members keep their order and may occur twice.
//! Not here: paths (`path`).
//! Called by everything in `json`.

use std::fmt::{self, Formatter, Write};

use datafusion::common::{Result, exec_datafusion_err};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use tapline_core::values::escape_json;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Document {
    Null,
    Truth(bool),
    Natural(u64),
    Negative(i64),
    Real(f64),
    Text(String),
    Array(Vec<Document>),
    Object(Vec<(String, Document)>),
}

impl Document {
    /// Reads a text.
    pub(super) fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            exec_datafusion_err!("a text is not JSON, in line {} at column {}", error.line(), error.column())
        })
    }

    /// The member of a name.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The document with its members in lines of their own.
    pub(super) fn pretty(&self) -> String {
        let mut text = String::new();
        // Writing to a string never fails.
        self.write_pretty(&mut text, 0).unwrap_or_default();
        text
    }

    fn write_pretty(&self, out: &mut String, depth: usize) -> fmt::Result {
        const INDENT: &str = "    ";
        match self {
            Self::Array(items) if !items.is_empty() => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(out, "{comma}\n{}", INDENT.repeat(depth + 1))?;
                    item.write_pretty(out, depth + 1)?;
                }
                write!(out, "\n{}]", INDENT.repeat(depth))
            }
            Self::Object(members) if !members.is_empty() => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(out, "{comma}\n{}{}: ", INDENT.repeat(depth + 1), quoted(name))?;
                    value.write_pretty(out, depth + 1)?;
                }
                write!(out, "\n{}}}", INDENT.repeat(depth))
            }
            other => write!(out, "{other}"),
        }
    }
}

/// A text as a JSON string.
pub(in crate::sql::functions) fn quoted(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len() + 2);
    bytes.push(b'"');
    bytes.extend_from_slice(text.as_bytes());
    escape_json(&mut bytes, 1);
    bytes.push(b'"');
    // Escaping replaces ASCII by ASCII.
    String::from_utf8(bytes).unwrap_or_default()
}

impl fmt::Display for Document {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("null"),
            Self::Truth(truth) => write!(formatter, "{truth}"),
            Self::Natural(number) => write!(formatter, "{number}"),
            Self::Negative(number) => write!(formatter, "{number}"),
            Self::Real(number) => formatter.write_str(&real(*number)),
            Self::Text(text) => formatter.write_str(&quoted(text)),
            Self::Array(items) => {
                formatter.write_char('[')?;
                for (index, item) in items.iter().enumerate() {
                    write!(formatter, "{}{item}", if index > 0 { "," } else { "" })?;
                }
                formatter.write_char(']')
            }
            Self::Object(members) => {
                formatter.write_char('{')?;
                for (index, (name, value)) in members.iter().enumerate() {
                    write!(formatter, "{}{}:{value}", if index > 0 { "," } else { "" }, quoted(name))?;
                }
                formatter.write_char('}')
            }
        }
    }
}

/// A number with places, without exponent where it is not too long.
fn real(number: f64) -> String {
    if number != 0.0 && !(1e-6..1e21).contains(&number.abs()) {
        return format!("{number:e}");
    }
    let text = number.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Document, E> {
        Ok(Document::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Document, E> {
        Ok(Document::Truth(truth))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Document, E> {
        Ok(Document::Natural(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Document, E> {
        Ok(u64::try_from(number).map_or(Document::Negative(number), Document::Natural))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Document, E> {
        Ok(Document::Real(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Document, E> {
        Ok(Document::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Document, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Document::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Document, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Document::Object(object))
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DocumentVisitor)
    }
}
