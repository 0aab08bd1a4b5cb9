//! What is known about a table's files once they were looked at: the dialect and the columns, pinned in one serialisable object.
//! How it is found out lives in `detect`; how it is applied in `decoder`.
//! Callers keep a [`TableFormat`] in their state, send it to workers and widen it when a scan asks for that.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::error::Widen;
use crate::types::CsvType;

/// How fields and rows are told apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialect {
    /// Between fields, one or more characters; empty where every line is one field.
    pub delimiter: String,
    /// Every delimiter of the sample was followed by a space; that space is part of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spaced: bool,
    /// Around fields that contain delimiters, quotes or line breaks; `None`: nothing is quoted.
    pub quote: Option<char>,
    /// Before a quote inside a quoted field; equal to `quote` where quotes are doubled.
    pub escape: Option<char>,
    /// The line break seen most. Every kind is always understood.
    pub newline: Newline,
    /// Lines beginning with this are skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The comment mark also ends a row wherever it stands outside quotes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub comment_inline: bool,
    /// The comment mark was detected, not declared: a line that begins with it and has the table's number of fields is a row all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub comment_detected: bool,
    /// Physical lines before the header (or the first row).
    pub skip: u64,
    /// Whether the first line names the columns.
    pub header: bool,
    /// How many lines name them together.
    #[serde(default = "one_line", skip_serializing_if = "is_one_line")]
    pub header_lines: u64,
    /// The header begins with the detected comment mark, as in `#id,name`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub header_marked: bool,
    /// Encoding by its WHATWG name in lower case, such as `utf-8`, `utf-16le`, `windows-1252`. A byte order mark in a file overrules it.
    pub encoding: String,
}

fn one_line() -> u64 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_one_line(lines: &u64) -> bool {
    *lines == 1
}

impl Dialect {
    /// Whether a line that begins with the comment mark may be a row all the same.
    pub(crate) fn may_mark_rows(&self) -> bool {
        self.comment_detected && !self.comment_inline
    }
}

/// A kind of line break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Newline {
    /// `\n`
    Lf,
    /// `\r\n`
    Crlf,
    /// `\r`
    Cr,
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CsvColumn {
    /// Its name, unique in the table without regard to case.
    pub name: String,
    /// Its name in the files' headers, where the table calls it something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_name: Option<String>,
    /// The type its values are read as.
    pub data_type: CsvType,
    /// The `strptime` format of DATE and TIMESTAMP values that are not ISO 8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The user declared the type: a value that does not fit rejects its line. Otherwise it widens the column.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub declared: bool,
}

/// A table's pinned format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFormat {
    /// How its files are written.
    pub dialect: Dialect,
    /// Its columns, in order.
    pub columns: Vec<CsvColumn>,
}

impl TableFormat {
    /// The Arrow schema of all columns; every field is nullable.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(CsvColumn::field).collect::<Vec<_>>()))
    }

    /// Applies what a decoder asked for; afterwards the table has to be read from its start again.
    pub fn widen(&mut self, widen: &Widen) {
        for wider in &widen.columns {
            if let Some(column) = self.columns.iter_mut().find(|column| column.name == wider.name) {
                column.data_type = wider.to;
                column.format = None;
            }
        }
    }
}

impl CsvColumn {
    pub(crate) fn field(&self) -> Field {
        Field::new(&self.name, self.data_type.arrow(), true)
    }

    /// The name under which a file's header knows the column.
    pub(crate) fn name_in_files(&self) -> &str {
        self.header_name.as_deref().unwrap_or(&self.name)
    }
}

/// The name DuckDB gives to the nameless column at `position` of `count`: as many digits as the last one needs.
pub(crate) fn positional_name(position: usize, count: usize) -> String {
    let digits = count.saturating_sub(1).to_string().len();
    format!("column{position:0digits$}")
}

/// The cells of a header of several lines: what stands in a column, joined by spaces.
pub(crate) fn joined_header(lines: Vec<Vec<String>>) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    for line in lines {
        joined.resize(joined.len().max(line.len()), String::new());
        for (name, cell) in joined.iter_mut().zip(line) {
            let space = if name.is_empty() || cell.is_empty() { "" } else { " " };
            *name = format!("{name}{space}{cell}");
        }
    }
    joined
}

/// Column names as DuckDB makes them from a header: blanks become `column0`, …, repeated names (without regard to case) get `_1`, `_2`, ….
pub(crate) fn column_names(cells: Vec<String>) -> Vec<String> {
    let count = cells.len();
    let mut repeats: HashMap<String, usize> = HashMap::new();
    let mut names = Vec::new();
    for (position, cell) in cells.into_iter().enumerate() {
        let cell = if cell.trim().is_empty() { positional_name(position, count) } else { cell.trim().to_owned() };
        let mut name = cell.clone();
        while repeats.contains_key(&name.to_lowercase()) {
            let count = repeats.entry(cell.to_lowercase()).or_default();
            *count += 1;
            name = format!("{cell}_{count}");
        }
        repeats.insert(name.to_lowercase(), 0);
        names.push(name);
    }
    names
}

/// Finds columns by name: exactly, else without regard to case.
pub(crate) struct NameIndex {
    exact: HashMap<String, usize>,
    folded: HashMap<String, usize>,
}

impl NameIndex {
    pub(crate) fn new(names: &[String]) -> NameIndex {
        let mut index = NameIndex { exact: HashMap::new(), folded: HashMap::new() };
        for (position, name) in names.iter().enumerate() {
            index.insert(name, position);
        }
        index
    }

    /// Adds a name; of equal ones the first stays.
    pub(crate) fn insert(&mut self, name: &str, position: usize) {
        self.exact.entry(name.to_owned()).or_insert(position);
        self.folded.entry(name.to_lowercase()).or_insert(position);
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.exact.get(name).or_else(|| self.folded.get(&name.to_lowercase())).copied()
    }
}

/// The words of a name in lower case, joined by `_`; names that do not begin with a letter get a leading `_`.
pub(crate) fn normalized_name(name: &str) -> String {
    let words: Vec<String> = name
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let joined = words.join("_");
    if joined.starts_with(|character: char| character.is_numeric()) || joined.is_empty() {
        format!("_{joined}")
    } else {
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_duckdb() {
        let names = |cells: &[&str]| column_names(cells.iter().map(|cell| (*cell).to_owned()).collect());
        assert_eq!(names(&["a", "a", "A", "a_1"]), ["a", "a_1", "A_2", "a_1_1"]);
        assert_eq!(names(&["a", "", " ", "b"]), ["a", "column1", "column2", "b"]);
        assert_eq!(names(&["column1", ""]), ["column1", "column1_1"]);
        assert_eq!(names(&["", "", "", "", "", "", "", "", "", "", " x "])[8..], ["column08", "column09", "x"]);
    }

    #[test]
    fn normalized() {
        assert_eq!(normalized_name("Lead Id"), "lead_id");
        assert_eq!(normalized_name("Total (USD)"), "total_usd");
        assert_eq!(normalized_name("2nd"), "_2nd");
    }
}
