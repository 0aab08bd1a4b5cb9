//! Quoting for SQLite.
//! Not here: whole statements, which stand where they are used.
//! Called by every room of this folder.

/// Quotes a name of a column, table, index or collation.
pub(super) fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes names and joins them with commas.
pub(super) fn names<'a>(list: impl IntoIterator<Item = &'a str>) -> String {
    list.into_iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn quotes_are_doubled() {
        assert_eq!(super::name("a\"b"), "\"a\"\"b\"");
        assert_eq!(super::names(["a", "B c"]), "\"a\", \"B c\"");
    }
}
