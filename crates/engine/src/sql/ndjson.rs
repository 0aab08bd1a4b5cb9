//! The columns of files with one JSON object per line, from all of their lines.
//! Not here: turning lines into rows (`ndjson_scan`).
//! Called by `table` to describe files, and by the scan to tell lines that are no rows.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use indexmap::IndexMap;

/// Values nest no deeper.
const MAX_DEPTH: usize = 64;
/// Whole numbers up to this magnitude are doubles, too.
const EXACT_IN_DOUBLES: i128 = 1 << 53;

/// What the values of one column have in common. It only widens.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Shape {
    /// None was seen, or only `null`.
    #[default]
    Unknown,
    Boolean,
    Whole {
        low: i128,
        high: i128,
    },
    Double,
    Date,
    Moment,
    Instant,
    Text,
    List(Box<Shape>),
    Object(IndexMap<String, Shape>),
    /// Objects or lists beside something else.
    Mixed,
}

impl Shape {
    /// An object without members, which every line is.
    pub(crate) fn of_lines() -> Self {
        Self::Object(IndexMap::new())
    }

    /// What holds the values of both.
    pub(crate) fn merge(&mut self, other: Self) {
        use Shape::{Boolean, Date, Double, Instant, List, Mixed, Moment, Object, Text, Unknown, Whole};
        *self = match (std::mem::take(self), other) {
            (one, Unknown) | (Unknown, one) => one,
            (Whole { low, high }, Whole { low: other_low, high: other_high }) => {
                Whole { low: low.min(other_low), high: high.max(other_high) }
            }
            (Whole { low, high }, Double) | (Double, Whole { low, high }) => {
                if -EXACT_IN_DOUBLES <= low && high <= EXACT_IN_DOUBLES { Double } else { Text }
            }
            (Date, Moment) | (Moment, Date) => Moment,
            (List(mut one), List(other)) => {
                one.merge(*other);
                List(one)
            }
            (Object(mut one), Object(other)) => {
                for (name, shape) in other {
                    one.entry(name).or_default().merge(shape);
                }
                Object(one)
            }
            (one @ (Boolean | Double | Date | Moment | Instant | Text), other) if one == other => one,
            (List(_) | Object(_) | Mixed, _) | (_, List(_) | Object(_) | Mixed) => Mixed,
            _ => Text,
        };
    }

    /// The members' columns; the error names one that no type holds.
    pub(crate) fn fields(&self) -> Result<Vec<FieldRef>, String> {
        let Self::Object(members) = self else { return Ok(Vec::new()) };
        members
            .iter()
            .map(|(name, shape)| Ok(Arc::new(Field::new(name, shape.data_type().map_err(|at| path(name, &at))?, true))))
            .collect()
    }

    fn data_type(&self) -> Result<DataType, String> {
        Ok(match self {
            Self::Unknown | Self::Text => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
            Self::Whole { low, high } => {
                if i64::try_from(*low).is_ok() && i64::try_from(*high).is_ok() {
                    DataType::Int64
                } else if *low >= 0 && u64::try_from(*high).is_ok() {
                    DataType::UInt64
                } else {
                    DataType::Utf8
                }
            }
            Self::Double => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Moment => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::List(item) => DataType::List(Arc::new(Field::new("item", item.data_type()?, true))),
            // Arrow's readers know no struct without members.
            Self::Object(members) if members.is_empty() => DataType::Utf8,
            Self::Object(_) => DataType::Struct(self.fields()?.into()),
            Self::Mixed => return Err(String::new()),
        })
    }
}

fn path(name: &str, below: &str) -> String {
    if below.is_empty() { name.to_owned() } else { format!("{name}.{below}") }
}

/// Reads one line, which must be a JSON object, into what is known of its members; the error says what is wrong.
pub(crate) fn read_line(line: &[u8], shape: &mut Shape) -> Result<(), &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8")?;
    let mut scanner = Scanner { text, at: 0 };
    scanner.blanks();
    if !text[scanner.at..].starts_with('{') {
        return Err("the line is not a JSON object");
    }
    let found = scanner.value(0)?;
    scanner.blanks();
    if scanner.at < text.len() {
        return Err("something follows the JSON object");
    }
    shape.merge(found);
    Ok(())
}

/// A reader of one JSON text that keeps only the shape, but sees every digit.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, token: &str) -> bool {
        let is_there = self.text[self.at..].starts_with(token);
        self.at += if is_there { token.len() } else { 0 };
        is_there
    }

    fn value(&mut self, depth: usize) -> Result<Shape, &'static str> {
        if depth > MAX_DEPTH {
            return Err("the JSON nests too deeply");
        }
        match self.next() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(text_shape(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.take("null") => Ok(Shape::Unknown),
            _ if self.take("true") || self.take("false") => Ok(Shape::Boolean),
            _ => Err("the JSON cannot be read"),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Shape, &'static str> {
        let mut members = IndexMap::new();
        self.at += 1;
        self.blanks();
        if self.take("}") {
            return Ok(Shape::Object(members));
        }
        loop {
            self.blanks();
            if self.next() != Some(b'"') {
                return Err("a member of the JSON has no name");
            }
            let name = self.string()?;
            let name = match name.contains('\\') {
                true => {
                    serde_json::from_str(&format!("\"{name}\"")).map_err(|_| "a name in the JSON cannot be read")?
                }
                false => name.to_owned(),
            };
            self.blanks();
            if !self.take(":") {
                return Err("a member of the JSON has no value");
            }
            self.blanks();
            let value = self.value(depth + 1)?;
            // The last of several members of one name counts.
            members.insert(name, value);
            self.blanks();
            if self.take("}") {
                return Ok(Shape::Object(members));
            }
            if !self.take(",") {
                return Err("the JSON object does not end");
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Shape, &'static str> {
        let mut items = Shape::Unknown;
        self.at += 1;
        self.blanks();
        if self.take("]") {
            return Ok(Shape::List(Box::new(items)));
        }
        loop {
            self.blanks();
            items.merge(self.value(depth + 1)?);
            self.blanks();
            if self.take("]") {
                return Ok(Shape::List(Box::new(items)));
            }
            if !self.take(",") {
                return Err("the JSON list does not end");
            }
        }
    }

    /// What stands between quotes, escapes as they are.
    fn string(&mut self) -> Result<&'a str, &'static str> {
        let start = self.at + 1;
        let mut end = start;
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        loop {
            match bytes.get(end) {
                None => return Err("a text in the JSON does not end"),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    end += 2;
                }
                Some(0..=0x1F) => return Err("a text in the JSON holds a control character"),
                Some(_) => end += 1,
            }
        }
        self.at = end + 1;
        let text = self.text.get(start..end).ok_or("a text in the JSON does not end")?;
        if escaped && serde_json::from_str::<String>(&self.text[start - 1..self.at]).is_err() {
            return Err("a text in the JSON has an escape that stands for nothing");
        }
        Ok(text)
    }

    fn number(&mut self) -> Result<Shape, &'static str> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        let literal = &rest[..end];
        self.at += end;
        if serde_json::from_str::<serde::de::IgnoredAny>(literal).is_err() {
            return Err("a number in the JSON cannot be read");
        }
        if !literal.contains(['.', 'e', 'E']) {
            // -0 is a double only; beyond 128 bits only text has all digits.
            let whole = literal.parse::<i128>().ok().filter(|_| literal != "-0");
            return Ok(whole.map_or(Shape::Text, |number| Shape::Whole { low: number, high: number }));
        }
        let keeps_digits = literal
            .parse::<f64>()
            .is_ok_and(|double| double.is_finite() && significant(&double.to_string()) == significant(literal));
        Ok(if keeps_digits { Shape::Double } else { Shape::Text })
    }
}

/// The digits of a number without zeros at either end.
fn significant(literal: &str) -> String {
    let mantissa = literal.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

/// A date or timestamp in the form that can be given back as it was, else text.
fn text_shape(text: &str) -> Shape {
    if !(10..=35).contains(&text.len()) || !text.as_bytes()[0].is_ascii_digit() {
        return Shape::Text;
    }
    if text.len() == 10 && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok() {
        return Shape::Date;
    }
    let in_microseconds =
        text.split_once('.').is_none_or(|(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count() <= 6);
    if !in_microseconds {
        return Shape::Text;
    }
    let format = if text.as_bytes().get(10) == Some(&b'T') { "%Y-%m-%dT%H:%M:%S%.f" } else { "%Y-%m-%d %H:%M:%S%.f" };
    if NaiveDateTime::parse_from_str(text, format).is_ok() {
        return Shape::Moment;
    }
    if DateTime::parse_from_rfc3339(text).is_ok() { Shape::Instant } else { Shape::Text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(lines: &[&str]) -> Vec<(String, DataType)> {
        let mut shape = Shape::of_lines();
        for line in lines {
            read_line(line.as_bytes(), &mut shape).unwrap();
        }
        let fields = shape.fields().unwrap();
        fields.iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
    }

    fn type_of(values: &[&str]) -> DataType {
        let lines: Vec<String> = values.iter().map(|value| format!("{{\"x\": {value}}}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        types(&lines).remove(0).1
    }

    #[test]
    fn a_type_holds_every_value_exactly() {
        for (values, expected) in [
            (&["1", "-2", "null"][..], DataType::Int64),
            (&["18446744073709551615"], DataType::UInt64),
            (&["-1", "18446744073709551615"], DataType::Utf8),
            (&["1", "2.5", "1e3"], DataType::Float64),
            (&["9007199254740993", "2.5"], DataType::Utf8),
            (&["0.1234567890123456789"], DataType::Utf8),
            (&["2.50"], DataType::Float64),
            (&["true", "1"], DataType::Utf8),
            (&["\"2024-02-29\""], DataType::Date32),
            (&["\"2023-02-29\""], DataType::Utf8),
            (&["\"2024-02-29 10:00:00.5\"", "\"2024-02-29\""], DataType::Timestamp(TimeUnit::Microsecond, None)),
            (&["\"2024-02-29T10:00:00.1234567\""], DataType::Utf8),
            (&["null"], DataType::Utf8),
        ] {
            assert_eq!(type_of(values), expected, "{values:?}");
        }
    }

    #[test]
    fn members_of_all_lines_are_columns() {
        let found = types(&["{\"a\": [1, null], \"b\\u0041\": {\"c\": 1}}", "{\"d\": \"x\", \"a\": [2.5]}"]);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "bA", "d"]);
        assert_eq!(found[0].1, DataType::List(Arc::new(Field::new("item", DataType::Float64, true))));
    }

    #[test]
    fn lines_that_are_no_objects_say_why() {
        for line in [
            "",
            "[1]",
            "{",
            "{\"a\":}",
            "{\"a\":1} x",
            "{\"a\":01}",
            "{\"a\":\"\\q\"}",
            "{a:1}",
            "{\"a\":1,}",
            "{\"a\":\"x",
        ] {
            assert!(read_line(line.as_bytes(), &mut Shape::of_lines()).is_err(), "{line}");
        }
        assert!(read_line(&[b'{', b'"', 0xFF, b'"'], &mut Shape::of_lines()).is_err());
        let mixed = ["{\"a\": {\"b\": 1}}", "{\"a\": {\"b\": [1]}}"];
        let mut shape = Shape::of_lines();
        mixed.iter().for_each(|line| read_line(line.as_bytes(), &mut shape).unwrap());
        assert_eq!(shape.fields().unwrap_err(), "a.b");
    }
}
