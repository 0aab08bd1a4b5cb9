//! Functions over regular expressions, and the escapes of LIKE.
//! Not here: how a pattern is read (`regex`).
//! Called by `text`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use regex::{Captures, Regex};

use super::regex::{Options, compile};
use crate::sql::functions::toolkit::general::{Call, Plain, Plan, answer, expect_arguments};
use crate::sql::functions::toolkit::lists::item_of;
use crate::sql::functions::toolkit::typed::kernel;
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, general, typed};

pub(super) fn functions() -> Vec<Function> {
    vec![
        typed(
            &["regexp_matches"],
            "whether a pattern occurs in the text",
            [
                kernel!(|text: Text, pattern: Text| -> Truth => compile(pattern, Options::default()).map(|regex| regex.is_match(text))),
                kernel!(|text: Text, pattern: Text, options: Text| -> Truth => matches(text, pattern, options)),
            ],
        ),
        typed(
            &["regexp_full_match"],
            "whether a pattern fits the whole text",
            [
                kernel!(|text: Text, pattern: Text| -> Truth => full_match(text, pattern, "")),
                kernel!(|text: Text, pattern: Text, options: Text| -> Truth => full_match(text, pattern, options)),
            ],
        ),
        typed(
            &["regexp_replace"],
            "the text with the first match of a pattern replaced, or all with the option g",
            [
                kernel!(|text: Text, pattern: Text, with: Text| -> Text => replace(text, pattern, with, "")),
                kernel!(|text: Text, pattern: Text, with: Text, options: Text| -> Text => replace(text, pattern, with, options)),
            ],
        ),
        general(
            &["regexp_extract"],
            "the part of the text that a pattern, or a group of it, fits",
            Plain { coerce: coerce_extract, result: extract_result, run: extract },
        ),
        typed(
            &["regexp_extract_all"],
            "all parts of the text that a pattern, or a group of it, fits",
            [
                kernel!(|text: Text, pattern: Text| -> ListOf<Text> => extract_all(text, pattern, 0, "")),
                kernel!(|text: Text, pattern: Text, group: Int| -> ListOf<Text> => extract_all(text, pattern, group, "")),
                kernel!(|text: Text, pattern: Text, group: Int, options: Text| -> ListOf<Text> => extract_all(text, pattern, group, options)),
            ],
        ),
        typed(
            &["string_split_regex", "str_split_regex", "regexp_split_to_array"],
            "the parts of the text between matches of a pattern",
            [
                kernel!(|text: Text, pattern: Text| -> ListOf<Text> => split(text, pattern, "")),
                kernel!(|text: Text, pattern: Text, options: Text| -> ListOf<Text> => split(text, pattern, options)),
            ],
        ),
        typed(
            &["regexp_escape"],
            "the text as a pattern that fits it alone",
            [kernel!(|text: Text| -> Text => escape(text))],
        ),
        typed(
            &["~~~"],
            "whether the text fits a pattern of GLOB",
            [kernel!(|text: Text, pattern: Text| -> Truth => glob(text, pattern))],
        ),
        typed(
            &["like_escape"],
            "whether the text is LIKE a pattern with an escape character",
            [kernel!(|text: Text, pattern: Text, escape: Text| -> Truth => like(text, pattern, escape, false))],
        ),
        typed(
            &["not_like_escape"],
            "whether the text is not LIKE a pattern with an escape character",
            [
                kernel!(|text: Text, pattern: Text, escape: Text| -> Truth => like(text, pattern, escape, false).map(|like| !like)),
            ],
        ),
        typed(
            &["ilike_escape"],
            "as like_escape, in any case",
            [kernel!(|text: Text, pattern: Text, escape: Text| -> Truth => like(text, pattern, escape, true))],
        ),
        typed(
            &["not_ilike_escape"],
            "as not_like_escape, in any case",
            [
                kernel!(|text: Text, pattern: Text, escape: Text| -> Truth => like(text, pattern, escape, true).map(|like| !like)),
            ],
        ),
    ]
}

fn matches(text: &str, pattern: &str, options: &str) -> Result<bool> {
    Ok(compile(pattern, Options::parse(options, false)?)?.is_match(text))
}

fn full_match(text: &str, pattern: &str, options: &str) -> Result<bool> {
    let options = Options::parse(options, false)?;
    // Alternatives are tried one after the other, so that a shorter one could hide that a longer one fits it all.
    let whole = compile(&format!("\\A(?:{pattern})\\z"), options)?;
    Ok(whole.is_match(text))
}

fn replace(text: &str, pattern: &str, with: &str, options: &str) -> Result<String> {
    let options = Options::parse(options, true)?;
    let regex = compile(pattern, options)?;
    let expand = |captures: &Captures<'_>| expand(captures, with);
    Ok(if options.global { regex.replace_all(text, expand) } else { regex.replace(text, expand) }.into_owned())
}

/// A replacement with its `\1` and `\\`.
fn expand(captures: &Captures<'_>, with: &str) -> String {
    let mut text = String::with_capacity(with.len());
    let mut characters = with.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        match characters.next() {
            Some(digit) if digit.is_ascii_digit() => {
                let group = digit as usize - '0' as usize;
                text.push_str(captures.get(group).map_or("", |found| found.as_str()));
            }
            Some(other) => text.push(other),
            None => {}
        }
    }
    text
}

fn group_of<'a>(regex: &Regex, text: &'a str, group: i64) -> Result<Option<&'a str>> {
    let group = usize::try_from(group).map_err(|_| exec_datafusion_err!("the group must not be negative"))?;
    if group >= regex.captures_len() {
        return exec_err!("the pattern has no group {group}");
    }
    Ok(regex.captures(text).and_then(|captures| captures.get(group)).map(|found| found.as_str()))
}

fn extract_all(text: &str, pattern: &str, group: i64, options: &str) -> Result<Vec<Option<String>>> {
    let regex = compile(pattern, Options::parse(options, false)?)?;
    let group = usize::try_from(group).map_err(|_| exec_datafusion_err!("the group must not be negative"))?;
    if group >= regex.captures_len() {
        return exec_err!("the pattern has no group {group}");
    }
    let found = |captures: Captures<'_>| Some(captures.get(group).map_or("", |found| found.as_str()).to_owned());
    Ok(regex.captures_iter(text).map(found).collect())
}

fn split(text: &str, pattern: &str, options: &str) -> Result<Vec<Option<String>>> {
    let regex = compile(pattern, Options::parse(options, false)?)?;
    let mut parts = Vec::new();
    let mut from = 0;
    for found in regex.find_iter(text) {
        // A match of nothing splits between characters, not before the first.
        let at = if found.is_empty() {
            if found.start() == 0 || found.start() >= text.len() {
                continue;
            }
            found.start()
        } else {
            found.start()
        };
        parts.push(Some(text[from..at].to_owned()));
        from = found.end();
    }
    parts.push(Some(text[from..].to_owned()));
    Ok(parts)
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() && !character.is_ascii_alphanumeric() && character != '_' {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// GLOB: `*` for anything, `?` for one character, `[a-z]` and `[!a-z]` for one of several.
fn glob(text: &str, pattern: &str) -> Result<bool> {
    let mut regex = String::from("\\A");
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' => {
                let class: String = characters.by_ref().take_while(|character| *character != ']').collect();
                match class.strip_prefix('!') {
                    Some(others) => regex.push_str(&format!("[^{others}]")),
                    None => regex.push_str(&format!("[{class}]")),
                }
            }
            '\\' => regex.push_str(&regex::escape(&characters.next().unwrap_or('\\').to_string())),
            other => regex.push_str(&regex::escape(&other.to_string())),
        }
    }
    regex.push_str("\\z");
    Ok(compile(&regex, Options::parse("s", false)?)?.is_match(text))
}

fn like(text: &str, pattern: &str, escape: &str, any_case: bool) -> Result<bool> {
    let mut escapes = escape.chars();
    let escape = escapes.next();
    if escapes.next().is_some() {
        return exec_err!("the escape of LIKE must be one character");
    }
    let mut regex = String::from("\\A");
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            character if Some(character) == escape => match characters.next() {
                Some(next) => regex.push_str(&regex::escape(&next.to_string())),
                None => return exec_err!("a LIKE pattern ends with its escape character"),
            },
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            other => regex.push_str(&regex::escape(&other.to_string())),
        }
    }
    regex.push_str("\\z");
    let options = Options::parse(if any_case { "is" } else { "s" }, false)?;
    Ok(compile(&regex, options)?.is_match(text))
}

fn coerce_extract(types: &[DataType]) -> Result<Vec<DataType>> {
    expect_arguments(types, 2..=4)?;
    let third = match types.get(2) {
        Some(list) if item_of(list).is_some() => crate::sql::functions::toolkit::lists::list_of(DataType::Utf8),
        _ => DataType::Int64,
    };
    let all = [DataType::Utf8, DataType::Utf8, third, DataType::Utf8];
    Ok(all[..types.len()].to_vec())
}

/// The names of the groups, where the third argument is a list of them.
fn group_names(plan: &Plan<'_>) -> Result<Option<Vec<String>>> {
    if item_of(plan.data_type(2)).is_none() {
        return Ok(None);
    }
    let Some(Some(ScalarValue::List(list))) = plan.constants.get(2) else {
        return plan_err!("the names of the groups must be a constant list");
    };
    Ok(Some(list.values().as_string::<i32>().iter().map(|name| name.unwrap_or_default().to_owned()).collect()))
}

fn extract_result(plan: &Plan<'_>) -> Result<Field> {
    Ok(match group_names(plan)? {
        Some(names) => {
            answer(DataType::Struct(names.into_iter().map(|name| Field::new(name, DataType::Utf8, true)).collect()))
        }
        None => answer(DataType::Utf8),
    })
}

fn extract(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.columns[0].as_string::<i32>();
    let patterns = call.columns[1].as_string::<i32>();
    let options = |row: usize| match call.columns.get(3) {
        Some(column) if column.is_valid(row) => Options::parse(column.as_string::<i32>().value(row), false),
        _ => Ok(Options::default()),
    };
    if let DataType::Struct(fields) = call.result.data_type() {
        return extract_groups(call, fields, options);
    }
    let group = |row: usize| match call.columns.get(2) {
        Some(column) => column.is_valid(row).then(|| column.as_primitive::<arrow::datatypes::Int64Type>().value(row)),
        None => Some(0),
    };
    let mut found = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        if texts.is_null(row) || patterns.is_null(row) {
            found.push(None);
            continue;
        }
        let regex = compile(patterns.value(row), options(row)?)?;
        found.push(match group(row) {
            Some(group) => Some(group_of(&regex, texts.value(row), group)?.unwrap_or_default().to_owned()),
            None => Some(String::new()),
        });
    }
    Ok(Text::build(found))
}

fn extract_groups(call: &Call<'_>, fields: &Fields, options: impl Fn(usize) -> Result<Options>) -> Result<ArrayRef> {
    let texts = call.columns[0].as_string::<i32>();
    let patterns = call.columns[1].as_string::<i32>();
    let mut groups: Vec<Vec<Option<String>>> = vec![Vec::with_capacity(call.rows); fields.len()];
    let mut valid = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        valid.push(texts.is_valid(row) && patterns.is_valid(row));
        if !valid[row] {
            groups.iter_mut().for_each(|group| group.push(None));
            continue;
        }
        let regex = compile(patterns.value(row), options(row)?)?;
        if fields.len() >= regex.captures_len() {
            return exec_err!("the pattern has fewer groups than names");
        }
        let captures = regex.captures(texts.value(row));
        for (index, group) in groups.iter_mut().enumerate() {
            let found = captures.as_ref().and_then(|captures| captures.get(index + 1));
            group.push(Some(found.map_or_else(String::new, |found| found.as_str().to_owned())));
        }
    }
    let columns: Vec<ArrayRef> = groups.into_iter().map(Text::build).collect();
    Ok(Arc::new(StructArray::try_new(fields.clone(), columns, Some(NullBuffer::from(valid)))?))
}
