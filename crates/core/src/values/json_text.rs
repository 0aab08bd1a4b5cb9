//! JSON documents as `to_json` gives them back: without white space, with numbers and escapes in one form.
//! Not here: making JSON out of other values.
//! Called for columns of JSON texts.

use serde::de::IgnoredAny;

use super::escape::escape_json;
use super::floats::json_double;

/// Appends the document in one line; false, with anything appended, if it is no JSON (or nested beyond reason).
///
/// Whole numbers keep their digits, all others become doubles, unless no double is large enough. Names and their order
/// stay, repeated ones too.
pub(super) fn minify(document: &[u8], out: &mut Vec<u8>) -> bool {
    let Ok(text) = std::str::from_utf8(document) else {
        return false;
    };
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        return false;
    }
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        let length = match first {
            b' ' | b'\t' | b'\n' | b'\r' => 1,
            b'"' => string(rest, out),
            b'-' | b'0'..=b'9' => number(rest, out),
            _ => {
                out.push(first);
                1
            }
        };
        rest = &rest[length..];
    }
    true
}

/// Appends the number that `text` begins with and returns its length.
fn number(text: &str, out: &mut Vec<u8>) -> usize {
    let end = text.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(text.len());
    let token = &text[..end];
    let whole = !token.contains(['.', 'e', 'E']);
    match token.parse::<f64>() {
        _ if token == "-0" => out.push(b'0'),
        Ok(double) if !whole && double.is_finite() => json_double(double, out),
        _ => out.extend_from_slice(token.as_bytes()),
    }
    end
}

/// Appends the string that `text` begins with and returns its length.
fn string(text: &str, out: &mut Vec<u8>) -> usize {
    out.push(b'"');
    let mut start = 1;
    loop {
        // Valid JSON: the string ends, and escapes are complete.
        let Some(stop) = text[start..].find(['"', '\\']) else {
            return text.len();
        };
        let stop = start + stop;
        out.extend_from_slice(&text.as_bytes()[start..stop]);
        if text[stop..].starts_with('"') {
            out.push(b'"');
            return stop + 1;
        }
        start = stop + escape(&text[stop..], out);
    }
}

/// Appends what the escape that `text` begins with stands for, itself escaped where it must be.
fn escape(text: &str, out: &mut Vec<u8>) -> usize {
    let at = out.len();
    let (character, length) = match text.as_bytes().get(1) {
        Some(b'u') => match unit(text) {
            Some(high @ 0xD800..=0xDBFF) => match text.get(6..).and_then(unit) {
                Some(low @ 0xDC00..=0xDFFF) => (char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)), 12),
                _ => (None, 6),
            },
            Some(unit) => (char::from_u32(unit), 6),
            None => (None, 2),
        },
        Some(b'b') => (Some('\u{8}'), 2),
        Some(b'f') => (Some('\u{c}'), 2),
        Some(b'n') => (Some('\n'), 2),
        Some(b'r') => (Some('\r'), 2),
        Some(b't') => (Some('\t'), 2),
        Some(other) => (Some(char::from(*other)), 2),
        None => (None, 1),
    };
    match character {
        Some(character) => {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            escape_json(out, at);
        }
        // Half of a surrogate pair stands for no character: it stays an escape.
        None => out.extend_from_slice(&text.as_bytes()[..length]),
    }
    length
}

/// The number in `\u00e9`.
fn unit(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}
