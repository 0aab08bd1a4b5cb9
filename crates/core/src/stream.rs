//! Names of destination streams: `public.customers`, `"odd.name"`.
//! Not here: quoting for a particular database, which each destination does itself.
//! Called by the project file and by every destination.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codes;
use crate::error::{Error, Result};

/// The table, object, topic, channel or file that rows go to: one or more parts.
///
/// A dot separates parts; double quotes hold a part together, `""` inside them is one quote. Case is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName {
    parts: Vec<String>,
}

impl StreamName {
    /// Reads a name. Fails when a part is empty or a quote does not close.
    pub fn parse(text: &str) -> Result<Self> {
        let fail = |problem: &str| {
            Error::new(codes::CONF_005, format!("stream name {text:?}: {problem}"))
                .hint("write schema.table; quote a part that holds a dot: \"odd.name\"")
        };
        let mut parts = Vec::new();
        let mut part = String::new();
        let mut quoted = false;
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '"' if quoted && characters.peek() == Some(&'"') => {
                    part.push('"');
                    characters.next();
                }
                '"' => quoted = !quoted,
                '.' if !quoted => {
                    if part.is_empty() {
                        return Err(fail("a part is empty"));
                    }
                    parts.push(std::mem::take(&mut part));
                }
                '\0' => return Err(fail("a NUL character cannot be part of a name")),
                other => part.push(other),
            }
        }
        if quoted {
            return Err(fail("a quote does not close"));
        }
        if part.is_empty() {
            return Err(fail("a part is empty"));
        }
        parts.push(part);
        Ok(Self { parts })
    }

    /// The parts, outermost first; never empty.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// The last part: the table itself.
    pub fn table(&self) -> &str {
        self.parts.last().map_or("", String::as_str)
    }

    /// The part before the table, if there is one.
    pub fn schema(&self) -> Option<&str> {
        self.parts.len().checked_sub(2).map(|index| self.parts[index].as_str())
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts.iter().enumerate() {
            if index > 0 {
                formatter.write_str(".")?;
            }
            if part.contains(['.', '"']) {
                write!(formatter, "\"{}\"", part.replace('"', "\"\""))?;
            } else {
                formatter.write_str(part)?;
            }
        }
        Ok(())
    }
}

impl Serialize for StreamName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StreamName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|error| serde::de::Error::custom(error.message()))
    }
}

impl schemars::JsonSchema for StreamName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StreamName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "minLength": 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_separates_and_quotes_hold_together() {
        let name = StreamName::parse(r#"Public."odd.na""me""#).unwrap();
        assert_eq!(name.parts(), ["Public", "odd.na\"me"]);
        assert_eq!(name.schema(), Some("Public"));
        assert_eq!(name.table(), "odd.na\"me");
        assert_eq!(StreamName::parse(&name.to_string()).unwrap(), name);
    }

    #[test]
    fn empty_parts_and_open_quotes_are_refused() {
        for text in ["", "a..b", ".a", "a.", "\"a", "a\0b"] {
            assert!(StreamName::parse(text).is_err(), "{text:?}");
        }
    }
}
