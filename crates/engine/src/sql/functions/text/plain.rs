//! Case, length, characters, search and padding.
//! Not here: substrings and splitting (`parts`).
//! Called by `text`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, exec_datafusion_err, exec_err};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;

use crate::sql::functions::toolkit::general::{Call, Plain, Plan, answer, as_they_are, expect_arguments};
use crate::sql::functions::toolkit::lists::item_of;
use crate::sql::functions::toolkit::typed::kernel;
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::values::texts;
use crate::sql::functions::toolkit::{Function, general, typed};

pub(super) fn functions() -> Vec<Function> {
    vec![
        typed(&["upper", "ucase"], "the text in capitals", [kernel!(|text: Text| -> Text => upper(text))]),
        typed(&["lower", "lcase"], "the text in small letters", [kernel!(|text: Text| -> Text => lower(text))]),
        typed(&["strlen"], "how many bytes the text has", [kernel!(|text: Text| -> Int => text.len() as i64)]),
        typed(
            &["length_grapheme"],
            "how many visible characters the text has",
            [kernel!(|text: Text| -> Int => text.graphemes(true).count() as i64)],
        ),
        typed(&["bit_length"], "how many bits the text has", [kernel!(|text: Text| -> Int => 8 * text.len() as i64)]),
        typed(&["octet_length"], "how many bytes the blob has", [kernel!(|bytes: Blob| -> Int => bytes.len() as i64)]),
        typed(
            &["ascii"],
            "the code of the first character; 0 for an empty text",
            [kernel!(|text: Text| -> Int4 => text.chars().next().map_or(0, |first| first as i32))],
        ),
        typed(
            &["unicode", "ord"],
            "the code of the first character; -1 for an empty text",
            [kernel!(|text: Text| -> Int4 => text.chars().next().map_or(-1, |first| first as i32))],
        ),
        typed(&["chr"], "the character with a code", [kernel!(|code: Int| -> Text => character(code))]),
        typed(
            &["reverse"],
            "the text from its end to its start",
            [kernel!(|text: Text| -> Text => text.graphemes(true).rev().collect::<String>())],
        ),
        typed(
            &["repeat"],
            "the text or blob many times over",
            [
                kernel!(|text: Text, count: Int| -> Text => repeat(text.as_bytes(), count).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
                kernel!(|bytes: Blob, count: Int| -> Blob => repeat(bytes, count)),
            ],
        ),
        typed(
            &["replace"],
            "the text with every occurrence of a part replaced",
            [
                kernel!(|text: Text, from: Text, to: Text| -> Text => if from.is_empty() { text.to_owned() } else { text.replace(from, to) }),
            ],
        ),
        typed(
            &["translate"],
            "the text with characters replaced by those at the same place of another text",
            [kernel!(|text: Text, from: Text, to: Text| -> Text => translate(text, from, to))],
        ),
        typed(
            &["starts_with", "prefix", "^@"],
            "whether the text begins with another",
            [kernel!(|text: Text, part: Text| -> Truth => text.starts_with(part))],
        ),
        typed(
            &["ends_with", "suffix"],
            "whether the text ends with another",
            [kernel!(|text: Text, part: Text| -> Truth => text.ends_with(part))],
        ),
        typed(
            &["instr", "strpos", "position"],
            "where a part begins in the text, from 1; 0 where it does not occur",
            [kernel!(|text: Text, part: Text| -> Int => position(text, part))],
        ),
        typed(
            &["lpad"],
            "the text filled up on the left to a number of characters, or cut to it",
            [kernel!(|text: Text, count: Int, fill: Text| -> Text => pad(text, count, fill, true))],
        ),
        typed(
            &["rpad"],
            "the text filled up on the right to a number of characters, or cut to it",
            [kernel!(|text: Text, count: Int, fill: Text| -> Text => pad(text, count, fill, false))],
        ),
        typed(
            &["trim"],
            "the text without spaces, or other characters, at both ends",
            [
                kernel!(|text: Text| -> Text => text.trim_matches(' ').to_owned()),
                kernel!(|text: Text, characters: Text| -> Text => text.trim_matches(|c| characters.contains(c)).to_owned()),
            ],
        ),
        typed(
            &["ltrim"],
            "the text without spaces, or other characters, at its start",
            [
                kernel!(|text: Text| -> Text => text.trim_start_matches(' ').to_owned()),
                kernel!(|text: Text, characters: Text| -> Text => text.trim_start_matches(|c| characters.contains(c)).to_owned()),
            ],
        ),
        typed(
            &["rtrim"],
            "the text without spaces, or other characters, at its end",
            [
                kernel!(|text: Text| -> Text => text.trim_end_matches(' ').to_owned()),
                kernel!(|text: Text, characters: Text| -> Text => text.trim_end_matches(|c| characters.contains(c)).to_owned()),
            ],
        ),
        typed(
            &["strip_accents"],
            "the text with letters freed of their accents",
            [kernel!(|text: Text| -> Text => strip_accents(text))],
        ),
        typed(
            &["nfc_normalize"],
            "the text with composed characters",
            [kernel!(|text: Text| -> Text => text.nfc().collect::<String>())],
        ),
        general(
            &["concat"],
            "the arguments as text, one after the other, without those that are NULL",
            Plain { coerce: coerce_concat, result: concat_result, run: concat },
        ),
        general(
            &["concat_ws"],
            "the arguments as text, joined by the first, without those that are NULL",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 2..=usize::MAX)?;
                    as_they_are(types)
                },
                result: |_| Ok(answer(DataType::Utf8)),
                run: concat_ws,
            },
        ),
    ]
}

/// Each character in capitals: exactly one for each.
fn upper(text: &str) -> String {
    let one = |character: char| match character {
        'ß' => 'ẞ',
        _ => {
            let mut capitals = character.to_uppercase();
            if capitals.len() == 1 { capitals.next().unwrap_or(character) } else { character }
        }
    };
    text.chars().map(one).collect()
}

/// Each character in small letters: exactly one for each.
fn lower(text: &str) -> String {
    text.chars().map(|character| character.to_lowercase().next().unwrap_or(character)).collect()
}

fn character(code: i64) -> Result<String> {
    match u32::try_from(code).ok().and_then(char::from_u32) {
        Some(character) => Ok(character.to_string()),
        None => exec_err!("the code is not that of a character"),
    }
}

fn repeat(bytes: &[u8], count: i64) -> Result<Vec<u8>> {
    /// No value is longer.
    const LONGEST: usize = 1 << 30;
    let count = usize::try_from(count).unwrap_or(0);
    match bytes.len().checked_mul(count) {
        Some(length) if length <= LONGEST => Ok(bytes.repeat(count)),
        _ => exec_err!("a text would be too long"),
    }
}

fn translate(text: &str, from: &str, to: &str) -> String {
    let to: Vec<char> = to.chars().collect();
    text.chars()
        .filter_map(|character| match from.chars().position(|other| other == character) {
            Some(index) => to.get(index).copied(),
            None => Some(character),
        })
        .collect()
}

fn position(text: &str, part: &str) -> i64 {
    text.find(part).map_or(0, |at| text[..at].chars().count() as i64 + 1)
}

fn pad(text: &str, count: i64, fill: &str, left: bool) -> Result<String> {
    /// No value is longer.
    const LONGEST: i64 = 1 << 28;
    if count > LONGEST {
        return exec_err!("a text would be too long");
    }
    let count = usize::try_from(count).unwrap_or(0);
    let length = text.chars().count();
    if length >= count {
        return Ok(text.chars().take(count).collect());
    }
    if fill.is_empty() {
        return exec_err!("the text is shorter than asked for and there is nothing to fill it up with");
    }
    let filling: String = fill.chars().cycle().take(count - length).collect();
    Ok(if left { filling + text } else { text.to_owned() + &filling })
}

fn strip_accents(text: &str) -> String {
    if text.is_ascii() { text.to_owned() } else { text.nfd().filter(|c| !is_combining_mark(*c)).nfc().collect() }
}

fn coerce_concat(types: &[DataType]) -> Result<Vec<DataType>> {
    expect_arguments(types, 1..=usize::MAX)?;
    // Lists are joined as lists and blobs as blobs, everything else as text.
    if types.iter().any(|data_type| item_of(data_type).is_some()) {
        return crate::sql::functions::lists::coerce_same_lists(types);
    }
    Ok(types.to_vec())
}

fn concat_result(plan: &Plan<'_>) -> Result<Field> {
    if let Some(list) = plan.fields.iter().find(|field| item_of(field.data_type()).is_some()) {
        return Ok(list.as_ref().clone());
    }
    let blobs = plan.fields.iter().all(|field| matches!(field.data_type(), DataType::Binary));
    Ok(answer(if blobs && !plan.fields.is_empty() { DataType::Binary } else { DataType::Utf8 }))
}

fn concat(call: &Call<'_>) -> Result<ArrayRef> {
    match call.result.data_type() {
        DataType::List(_) => crate::sql::functions::lists::concatenate(call),
        DataType::Binary => {
            let columns: Vec<_> = call.columns.iter().map(|column| column.as_binary::<i32>()).collect();
            let join = |row| -> Option<Vec<u8>> {
                Some(
                    columns
                        .iter()
                        .filter(|column| column.is_valid(row))
                        .flat_map(|column| column.value(row))
                        .copied()
                        .collect(),
                )
            };
            Ok(Blob::build((0..call.rows).map(join).collect()))
        }
        _ => {
            let columns = as_texts(call)?;
            let join = |row| -> Option<String> {
                Some(columns.iter().filter(|column| column.is_valid(row)).map(|column| column.value(row)).collect())
            };
            Ok(Text::build((0..call.rows).map(join).collect()))
        }
    }
}

fn concat_ws(call: &Call<'_>) -> Result<ArrayRef> {
    let columns = as_texts(call)?;
    let (separator, columns) =
        columns.split_first().ok_or_else(|| exec_datafusion_err!("concat_ws needs a separator"))?;
    let join = |row| -> Option<String> {
        separator.is_valid(row).then(|| {
            let parts: Vec<&str> =
                columns.iter().filter(|column| column.is_valid(row)).map(|column| column.value(row)).collect();
            parts.join(separator.value(row))
        })
    };
    Ok(Arc::new((0..call.rows).map(join).collect::<arrow::array::StringArray>()))
}

fn as_texts(call: &Call<'_>) -> Result<Vec<arrow::array::StringArray>> {
    call.columns.iter().zip(call.fields).map(|(column, field)| texts(field, column)).collect()
}
