//! Lists, structs and maps from texts: `[1, 2]`, `{'a': 1}`, `{k=1}`.
//! Not here: their members, which are read like any other text.
//! Called by casts.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, MapArray, StringArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_err};

use super::convert::convert;

pub(super) fn from_text(texts: &StringArray, to: &Field, lenient: bool) -> Result<ArrayRef> {
    let (open, close) = if matches!(to.data_type(), DataType::List(_)) { ('[', ']') } else { ('{', '}') };
    let mut rows: Vec<Option<Vec<&str>>> = Vec::with_capacity(texts.len());
    for text in texts {
        let parts = text.and_then(|text| {
            let inner = text.trim().strip_prefix(open)?.strip_suffix(close)?;
            Some(if inner.trim().is_empty() { Vec::new() } else { split(inner, ',') })
        });
        if parts.is_none() && text.is_some() && !lenient {
            return exec_err!("a text cannot be converted to {}", tapline_core::values::duckdb_type_name(to));
        }
        rows.push(parts);
    }
    let nulls = NullBuffer::from_iter(rows.iter().map(Option::is_some));
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| row.as_ref().map_or(0, Vec::len)));
    match to.data_type() {
        DataType::List(item) => {
            let values = rows.iter().flatten().flatten().map(|part| plain(part));
            let values = read(values.collect(), item, lenient)?;
            Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, Some(nulls))?))
        }
        DataType::Struct(fields) => {
            let columns = fields
                .iter()
                .map(|field| {
                    let values = rows.iter().map(|row| {
                        let pairs = row.iter().flatten().map(|part| pair(part, ':'));
                        pairs
                            .flatten()
                            .find(|(key, _)| key.eq_ignore_ascii_case(field.name()))
                            .and_then(|(_, value)| value)
                    });
                    read(values.collect(), field, lenient)
                })
                .collect::<Result<Vec<_>>>()?;
            Ok(Arc::new(StructArray::try_new(fields.clone(), columns, Some(nulls))?))
        }
        DataType::Map(entries, sorted) => {
            let DataType::Struct(fields) = entries.data_type() else { return exec_err!("a map without entries") };
            let pairs: Vec<(String, Option<String>)> = rows
                .iter()
                .flatten()
                .flatten()
                .filter_map(|part| pair(part, '=').or_else(|| pair(part, ':')))
                .collect();
            let (keys, values): (Vec<_>, Vec<_>) = pairs.into_iter().map(|(key, value)| (Some(key), value)).unzip();
            let columns = vec![read(keys, &fields[0], lenient)?, read(values, &fields[1], lenient)?];
            let members = StructArray::try_new(fields.clone(), columns, None)?;
            Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, members, Some(nulls), *sorted)?))
        }
        _ => exec_err!("no nested type"),
    }
}

fn read(values: Vec<Option<String>>, field: &FieldRef, lenient: bool) -> Result<ArrayRef> {
    let texts: ArrayRef = Arc::new(values.into_iter().collect::<StringArray>());
    convert(&texts, &Field::new("", DataType::Utf8, true), field, lenient)
}

/// A part without the quotes around it; NULL where that is what it says.
fn plain(part: &str) -> Option<String> {
    let part = part.trim();
    for quote in ['\'', '"'] {
        if let Some(inner) = part.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return Some(inner.replace("\\'", "'").replace("\\\"", "\""));
        }
    }
    (!part.eq_ignore_ascii_case("null")).then(|| part.to_owned())
}

fn pair(part: &str, separator: char) -> Option<(String, Option<String>)> {
    let parts = split(part, separator);
    let (key, rest) = parts.split_first()?;
    if rest.is_empty() {
        return None;
    }
    Some((plain(key)?, plain(&rest.join(&separator.to_string()))))
}

/// The parts between separators that stand in no brackets and no quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut depth, mut start, mut quote) = (0_i32, 0, None);
    let mut parts = Vec::new();
    for (index, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), character) if character == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '[' | '{' | '(') => depth += 1,
            (None, ']' | '}' | ')') => depth -= 1,
            (None, character) if character == separator && depth == 0 => {
                parts.push(&text[start..index]);
                start = index + character.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}
