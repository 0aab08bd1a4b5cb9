//! Quoting for MySQL and MariaDB.
//! Not here: whole statements, which stand where they are used.
//! Called by every room of this folder.

/// Quotes a name of a column, table or database.
pub(super) fn name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Quotes names and joins them with commas.
pub(super) fn names<'a>(list: impl IntoIterator<Item = &'a str>) -> String {
    list.into_iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Quotes a string. Backslashes escape in every session of ours.
pub(super) fn text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Quotes a string, or writes NULL.
pub(super) fn optional(value: Option<&str>) -> String {
    value.map_or_else(|| "NULL".to_owned(), text)
}

/// Bytes as a literal.
pub(super) fn bytes(bytes: &[u8]) -> String {
    let mut literal = String::with_capacity(bytes.len() * 2 + 3);
    literal.push_str("x'");
    hex(bytes, &mut literal);
    literal.push('\'');
    literal
}

/// Appends bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// Numbers, joined with commas.
pub(super) fn numbers(list: &[i64]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(name("a`b"), "`a``b`");
        assert_eq!(names(["a", "B c"]), "`a`, `B c`");
        assert_eq!(text("it's \\ that"), "'it''s \\\\ that'");
        assert_eq!(optional(None), "NULL");
        assert_eq!(bytes(b"\x00\xffA"), "x'00ff41'");
        assert_eq!(numbers(&[1, -2]), "1, -2");
    }
}
