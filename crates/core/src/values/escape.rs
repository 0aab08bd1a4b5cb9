//! Quotes and escapes, made in place at the end of a buffer so that no cell needs an allocation of its own.
//! Not here: the decision what is a string in which format.
//! Called by every writer of values, and by the CSV and JSON printers.

/// Makes `out[start..]` a CSV field as DuckDB's COPY does: in double quotes if it is empty (NULL is what has no quotes)
/// or holds a comma, a double quote, a line end or `#`, with double quotes doubled.
pub fn escape_csv(out: &mut Vec<u8>, start: usize) {
    let special = |byte: u8| matches!(byte, b',' | b'"' | b'\n' | b'\r' | b'#');
    let text = &out[start..];
    if text.is_empty() || text.iter().fold(false, |found, byte| found | special(*byte)) {
        escape(out, start, |byte| (byte == b'"').then_some("\"\""));
        enclose(out, start, b'"');
    }
}

/// Escapes `out[start..]` as the inside of a JSON string: quotes, backslashes and control characters.
pub fn escape_json(out: &mut Vec<u8>, start: usize) {
    let special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    if out[start..].iter().fold(false, |found, byte| found | special(*byte)) {
        escape(out, start, json_escape);
    }
}

/// Puts `out[start..]` into single quotes if it could be mistaken inside a list, struct or map.
pub(super) fn quote_nested(out: &mut Vec<u8>, start: usize) {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | 0x0B | 0x0C | b'\r');
    let special = |byte: &u8| b"\"'(),:=[]{}".contains(byte);
    let text = &out[start..];
    let mistaken = match text {
        [] => true,
        [first, .., last] if space(first) || space(last) => true,
        [single] if space(single) => true,
        _ => text.eq_ignore_ascii_case(b"null") || text.iter().any(special),
    };
    if mistaken {
        quote_always(out, start);
    }
}

/// Puts `out[start..]` into single quotes with `'` and `\` escaped.
pub(super) fn quote_always(out: &mut Vec<u8>, start: usize) {
    escape(out, start, |byte| match byte {
        b'\'' => Some("\\'"),
        b'\\' => Some("\\\\"),
        _ => None,
    });
    enclose(out, start, b'\'');
}

fn enclose(out: &mut Vec<u8>, start: usize, quote: u8) {
    out.insert(start, quote);
    out.push(quote);
}

/// Replaces bytes from the end to the start, after room has been made for all of them.
fn escape(out: &mut Vec<u8>, start: usize, escaped: impl Fn(u8) -> Option<&'static str>) {
    let growth: usize = out[start..].iter().filter_map(|byte| escaped(*byte)).map(|text| text.len() - 1).sum();
    let end = out.len();
    out.resize(end + growth, 0);
    let mut target = out.len();
    for source in (start..end).rev() {
        if source + 1 == target {
            return;
        }
        match escaped(out[source]) {
            Some(text) => {
                target -= text.len();
                out[target..target + text.len()].copy_from_slice(text.as_bytes());
            }
            None => {
                target -= 1;
                out[target] = out[source];
            }
        }
    }
}

fn json_escape(byte: u8) -> Option<&'static str> {
    const CONTROL: [&str; 32] = [
        "\\u0000", "\\u0001", "\\u0002", "\\u0003", "\\u0004", "\\u0005", "\\u0006", "\\u0007", "\\b", "\\t", "\\n",
        "\\u000B", "\\f", "\\r", "\\u000E", "\\u000F", "\\u0010", "\\u0011", "\\u0012", "\\u0013", "\\u0014",
        "\\u0015", "\\u0016", "\\u0017", "\\u0018", "\\u0019", "\\u001A", "\\u001B", "\\u001C", "\\u001D", "\\u001E",
        "\\u001F",
    ];
    match byte {
        b'"' => Some("\\\""),
        b'\\' => Some("\\\\"),
        control => CONTROL.get(usize::from(control)).copied(),
    }
}
