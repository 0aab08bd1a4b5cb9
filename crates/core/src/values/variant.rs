//! Values of DuckDB's VARIANT type, kept as JSON, in the words of its cast to VARCHAR.
//! Not here: JSON documents, which stand as they are (`json_text`).
//! Called by the columns of texts.

use super::escape::{quote_always, quote_nested};

/// Appends the text of a value: a string without quotes, lists and objects as lists and structs.
///
/// The document is one that Tapline has written; what is no JSON ends where it is not.
pub(super) fn plain(document: &str, out: &mut Vec<u8>) {
    let mut reader = Reader { rest: document.trim_ascii() };
    reader.value(false, out);
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn take(&mut self, token: char) -> bool {
        match self.rest.trim_ascii_start().strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, is_nested: bool, out: &mut Vec<u8>) {
        self.rest = self.rest.trim_ascii_start();
        if self.rest.starts_with('"') {
            let start = out.len();
            out.extend_from_slice(self.string().as_bytes());
            if is_nested {
                quote_nested(out, start);
            }
        } else if self.take('{') {
            self.several(b"{}", '}', out, |reader, out| {
                let start = out.len();
                out.extend_from_slice(reader.string().as_bytes());
                quote_always(out, start);
                reader.take(':');
                out.extend_from_slice(b": ");
                reader.value(true, out);
            });
        } else if self.take('[') {
            self.several(b"[]", ']', out, |reader, out| reader.value(true, out));
        } else {
            let end = self.rest.find([',', ']', '}']).unwrap_or(self.rest.len());
            let (word, rest) = self.rest.split_at(end);
            self.rest = rest;
            out.extend_from_slice(if word == "null" { b"NULL" } else { word.as_bytes() });
        }
    }

    fn several(&mut self, brackets: &[u8; 2], end: char, out: &mut Vec<u8>, item: impl Fn(&mut Self, &mut Vec<u8>)) {
        out.push(brackets[0]);
        let mut is_first = true;
        while !self.take(end) && !self.rest.is_empty() {
            if !is_first {
                self.take(',');
                self.rest = self.rest.trim_ascii_start();
                out.extend_from_slice(b", ");
            }
            is_first = false;
            item(self, out);
        }
        out.push(brackets[1]);
    }

    /// The string that comes next, without its escapes.
    fn string(&mut self) -> String {
        let mut end = 1;
        let bytes = self.rest.as_bytes();
        while end < bytes.len() && bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let (token, rest) = self.rest.split_at_checked(end + 1).unwrap_or((self.rest, ""));
        self.rest = rest;
        serde_json::from_str(token).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lose_what_only_json_needs() {
        for (json, expected) in [
            ("\"ice\\\"berg\"", "ice\"berg"),
            ("[\"a\",null,[],{}]", "[a, NULL, [], {}]"),
            ("{\"a b\":\"x, y\",\"c\":{\"d\":1.50}}", "{'a b': 'x, y', 'c': {'d': 1.50}}"),
            ("9876543210.123456789", "9876543210.123456789"),
            ("[\"2024-01-30\",\"2024-01-30 10:00:00\"]", "[2024-01-30, '2024-01-30 10:00:00']"),
            ("{\"a\":", "{'a': }"),
        ] {
            let mut out = Vec::new();
            plain(json, &mut out);
            assert_eq!(String::from_utf8(out).expect("text"), expected, "{json}");
        }
    }
}
