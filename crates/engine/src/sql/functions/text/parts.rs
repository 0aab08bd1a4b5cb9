//! Parts of a text: substrings, both ends, and splitting at a separator.
//! Not here: splitting at a pattern (`patterns`).
//! Called by `text`.

use unicode_segmentation::UnicodeSegmentation;

use crate::sql::functions::toolkit::typed::kernel;
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, typed};

pub(super) fn functions() -> Vec<Function> {
    vec![
        typed(
            &["substring", "substr"],
            "a part of the text, by its first character from 1 and its length",
            [
                kernel!(|text: Text, from: Int| -> Text => slice(text.char_indices().map(|(at, _)| at).collect(), text, from, None)),
                kernel!(|text: Text, from: Int, length: Int| -> Text => slice(text.char_indices().map(|(at, _)| at).collect(), text, from, Some(length))),
            ],
        ),
        typed(
            &["substring_grapheme"],
            "a part of the text, counted in visible characters",
            [
                kernel!(|text: Text, from: Int| -> Text => slice(text.grapheme_indices(true).map(|(at, _)| at).collect(), text, from, None)),
                kernel!(|text: Text, from: Int, length: Int| -> Text => slice(text.grapheme_indices(true).map(|(at, _)| at).collect(), text, from, Some(length))),
            ],
        ),
        typed(
            &["left"],
            "the first characters; all but the last ones for a negative number",
            [
                kernel!(|text: Text, count: Int| -> Text => left(&text.char_indices().map(|(at, _)| at).collect::<Vec<_>>(), text, count)),
            ],
        ),
        typed(
            &["left_grapheme"],
            "the first visible characters",
            [
                kernel!(|text: Text, count: Int| -> Text => left(&text.grapheme_indices(true).map(|(at, _)| at).collect::<Vec<_>>(), text, count)),
            ],
        ),
        typed(
            &["right"],
            "the last characters; all but the first ones for a negative number",
            [
                kernel!(|text: Text, count: Int| -> Text => right(&text.char_indices().map(|(at, _)| at).collect::<Vec<_>>(), text, count)),
            ],
        ),
        typed(
            &["right_grapheme"],
            "the last visible characters",
            [
                kernel!(|text: Text, count: Int| -> Text => right(&text.grapheme_indices(true).map(|(at, _)| at).collect::<Vec<_>>(), text, count)),
            ],
        ),
        typed(
            &["string_split", "str_split", "split", "string_to_array"],
            "the parts of the text between separators",
            [kernel!(|text: Text, separator: Text| -> ListOf<Text> => split(text, separator))],
        ),
        typed(
            &["split_part"],
            "one part of the text between separators, from 1, or from the end for negative numbers",
            [kernel!(|text: Text, separator: Text, index: Int| -> Text => split_part(text, separator, index))],
        ),
    ]
}

/// A part of the text; `starts` tells where each of its characters begins.
fn slice(starts: Vec<usize>, text: &str, from: i64, length: Option<i64>) -> String {
    let count = starts.len() as i64;
    let mut start = match from {
        1.. => from - 1,
        0 => -1,
        _ => count.saturating_add(from),
    };
    let mut end = match length {
        None => count,
        Some(length) => start.saturating_add(length),
    };
    if from == 0 && length.is_none() {
        start = 0;
    }
    if end < start {
        std::mem::swap(&mut start, &mut end);
    }
    let at = |index: i64| starts.get(index.clamp(0, count) as usize).copied().unwrap_or(text.len());
    text[at(start)..at(end)].to_owned()
}

fn left(starts: &[usize], text: &str, count: i64) -> String {
    let length = starts.len() as i64;
    let count = if count < 0 { (length + count.max(-length)).max(0) } else { count.min(length) };
    text[..starts.get(count as usize).copied().unwrap_or(text.len())].to_owned()
}

fn right(starts: &[usize], text: &str, count: i64) -> String {
    let length = starts.len() as i64;
    let from = if count < 0 { (-count.max(-length)).min(length) } else { (length - count).max(0) };
    text[starts.get(from as usize).copied().unwrap_or(text.len())..].to_owned()
}

fn split(text: &str, separator: &str) -> Vec<Option<String>> {
    if separator.is_empty() {
        return text.graphemes(true).map(|part| Some(part.to_owned())).collect();
    }
    text.split(separator).map(|part| Some(part.to_owned())).collect()
}

fn split_part(text: &str, separator: &str, index: i64) -> String {
    let parts = split(text, separator);
    let index = match index {
        1.. => index - 1,
        0 => return String::new(),
        _ => parts.len() as i64 + index,
    };
    usize::try_from(index).ok().and_then(|index| parts.get(index).cloned().flatten()).unwrap_or_default()
}
