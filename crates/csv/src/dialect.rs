//! What is known about a table's files once they were looked at: the dialect and the columns, pinned in one serialisable object.
//! How it is found out lives in `detect`; how it is applied in `decoder`.
//! Callers keep a [`TableFormat`] in their state, send it to workers and widen it when a scan asks for that.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::error::Widen;
use crate::options::CsvOptions;
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
    /// Files that are written in another way, by name: united by name, files need not have more in common than names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<(String, Dialect)>,
}

impl TableFormat {
    /// How one of its files is written.
    pub fn dialect_of(&self, file: &str) -> &Dialect {
        self.others.iter().find(|(name, _)| name == file).map_or(&self.dialect, |(_, dialect)| dialect)
    }

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
    /// A column whose type the settings declare.
    pub(crate) fn declared(name: String, data_type: CsvType, options: &CsvOptions) -> CsvColumn {
        CsvColumn { name, header_name: None, data_type, format: data_type.format_in(options), declared: true }
    }

    pub(crate) fn field(&self) -> Field {
        Field::new(&self.name, self.data_type.arrow(), true)
    }

    /// The name under which a file's header knows the column.
    pub(crate) fn name_in_files(&self) -> &str {
        self.header_name.as_deref().unwrap_or(&self.name)
    }
}
