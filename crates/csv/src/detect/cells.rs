//! How much a piece of text looks like one cell of a table.
//! Exact types are the business of `infer`; this is a rough measure for comparing dialects.
//! Called by `candidates` for every cell of every candidate.

/// From 0 (several cells run together) to 1 (a number, a date, a word).
pub(crate) fn cleanliness(text: &[u8]) -> f64 {
    let text = text.trim_ascii();
    if text.is_empty() || is_number(text) || is_date_or_time(text) || is_word(text) {
        return 1.0;
    }
    // In sentences a space follows a comma or a semicolon; between fields it hardly ever does.
    let joins = |mark: u8| memchr::memchr_iter(mark, text).any(|at| text.get(at + 1).is_some_and(|next| *next != b' '));
    if text.iter().any(|byte| matches!(byte, b'\t' | b'|'))
        || joins(b';')
        || text.starts_with(b"\"")
        || text.ends_with(b"\"")
        || text.starts_with(b"'") != text.ends_with(b"'")
    {
        return 0.0;
    }
    if is_address(text) {
        return 1.0;
    }
    if joins(b',') {
        return 0.1;
    }
    if text.iter().any(|byte| matches!(byte, b',' | b';')) {
        return 0.4;
    }
    0.8
}

/// A number, a date or a time.
pub(crate) fn is_value(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    !text.is_empty() && (is_number(text) || is_date_or_time(text))
}

/// Digits with the punctuation that numbers have: signs, group and decimal separators, currency, percent.
fn is_number(text: &[u8]) -> bool {
    let text = text
        .strip_prefix(b"$")
        .or_else(|| text.strip_prefix("€".as_bytes()))
        .or_else(|| text.strip_prefix("£".as_bytes()))
        .unwrap_or(text);
    let text = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    let text = text.strip_suffix(b"%").unwrap_or(text).trim_ascii();
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let marks = text.iter().filter(|byte| matches!(byte, b'.' | b',')).count();
    let exponent = text.iter().filter(|byte| matches!(byte, b'e' | b'E' | b'-' | b'+')).count();
    digits > 0
        && digits + marks + exponent == text.len()
        && exponent <= 2
        && marks <= digits
        && text.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.')
        && (exponent == 0 || text.contains(&b'e') || text.contains(&b'E'))
        && marks <= 1 + digits / 3
        && groups_are_thousands(text)
}

/// One comma may be a decimal separator; several separate groups of three digits.
fn groups_are_thousands(text: &[u8]) -> bool {
    let mut groups = text.split(|byte| matches!(byte, b',' | b'.')).skip(1).collect::<Vec<_>>();
    if memchr::memchr_iter(b',', text).count() < 2 {
        return true;
    }
    if text.contains(&b'.') {
        groups.pop();
    }
    groups.iter().all(|group| group.len() == 3)
}

/// Digits with the punctuation that dates and times have.
fn is_date_or_time(text: &[u8]) -> bool {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let marks =
        text.iter().filter(|byte| matches!(byte, b'-' | b'/' | b':' | b'.' | b' ' | b'T' | b'Z' | b'+')).count();
    digits >= 3 && text[0].is_ascii_digit() && digits + marks == text.len() && marks <= 8 && marks > 0
}

/// One word of letters, digits and joining marks, or a few letters of any alphabet.
fn is_word(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') || !byte.is_ascii())
}

/// A mail address, a link or a path.
fn is_address(text: &[u8]) -> bool {
    let has = |part: &[u8]| memchr::memmem::find(text, part).is_some();
    !text.contains(&b' ') && (has(b"://") || has(b"@") || text.starts_with(b"/"))
}
