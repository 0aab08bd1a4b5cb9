//! What can go wrong while reading CSV: settings that make no sense, files that cannot be read, and the request to start again with wider types.
//! Rejected lines are not errors; they live in `reject`.
//! Every public function of the crate returns these; messages name file, line and column, never a cell's value.

use crate::types::CsvType;

/// A failure that ends the reading of a file or of a table.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CsvError {
    /// A setting has a value that cannot be used.
    #[error("csv setting `{setting}`: {message}")]
    Setting {
        /// The setting's name as the user writes it.
        setting: String,
        /// What is wrong and what is allowed.
        message: String,
    },
    /// An argument of a reader function is unknown, or not what it has to be.
    #[error("the argument {argument} of the reader function: {message}")]
    Argument {
        /// The argument's name as the user writes it.
        argument: String,
        /// What is wrong with it.
        message: String,
    },
    /// The compressed stream is damaged or cut off.
    #[error("decompressing {algorithm}: {message}")]
    Compression {
        /// `gzip`, `zstd`, `bzip2` or `xz`.
        algorithm: &'static str,
        /// What the decompressor said.
        message: String,
    },
    /// A file of a table has not the table's columns.
    #[error("file {file}: the column {column:?} is missing; union_by_name reads it as NULL")]
    MissingColumn {
        /// The file's name.
        file: String,
        /// The table column that the file's header lacks.
        column: String,
    },
    /// A line did not fit and `on_bad_row` is `fail`.
    #[error("file {file}, line {line}: {reason}; on_bad_row: reject would set the line aside")]
    BadRow {
        /// The file's name.
        file: String,
        /// 1-based physical line at which the row starts.
        line: u64,
        /// Why the line does not fit.
        reason: String,
    },
    /// Arrow refused to build a batch; a defect of this crate.
    #[error("file {file}: building a batch: {message}")]
    Batch {
        /// The file's name.
        file: String,
        /// Arrow's message.
        message: String,
    },
}

/// Why a [`crate::Decoder`] stopped.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// A value does not fit the inferred type of its column: restart the table's scan with wider types.
    #[error("file {}, line {}: column {:?} needs a wider type", .0.file, .0.line, .0.first_column())]
    Widen(Widen),
    /// The file cannot be read further.
    #[error(transparent)]
    Failed(#[from] CsvError),
}

impl DecodeError {
    /// The error with its line counted from the start of the file, where `lines` lines lie before the range it was met in.
    #[must_use]
    pub fn behind(mut self, lines: u64) -> DecodeError {
        if let DecodeError::Widen(Widen { line, .. }) | DecodeError::Failed(CsvError::BadRow { line, .. }) = &mut self {
            *line += lines;
        }
        self
    }
}

/// The request to read a table again with wider column types (see [`crate::TableFormat::widen`]).
/// Types only move up a finite lattice that ends in VARCHAR, so restarting always comes to an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Widen {
    /// The file in which the values were met.
    pub file: String,
    /// 1-based physical line of the first such value.
    pub line: u64,
    /// The columns to widen, each once.
    pub columns: Vec<WidenColumn>,
}

impl Widen {
    fn first_column(&self) -> &str {
        self.columns.first().map_or("", |column| &column.name)
    }
}

/// One column of a [`Widen`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WidenColumn {
    /// The column's name in the table.
    pub name: String,
    /// Its type so far.
    pub from: CsvType,
    /// The narrowest type of the lattice that also holds the new value.
    pub to: CsvType,
}
