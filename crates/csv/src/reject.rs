//! Lines that do not fit, and the tally that proves none went missing.
//! Deciding what is rejected happens in `decoder` and `columns`; storing rejects is the caller's business.
//! The engine drains these from a [`crate::Decoder`] and shows them as source rejects.

/// A line that could not be read as a row of the table. Holds no cell values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineReject {
    /// 1-based physical line of the (decompressed) file at which the row starts.
    pub line: u64,
    /// Offset of the row's first byte in the decompressed file, after transcoding to UTF-8 where the file is not UTF-8.
    pub byte_offset: u64,
    /// The column whose value did not fit, where one column is to blame.
    pub column: Option<String>,
    /// The stable kind of misfit.
    pub code: RejectCode,
    /// A sentence for people, without the cell's value.
    pub reason: String,
}

/// Why a line was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectCode {
    /// Fewer fields than columns (and no `null_padding`).
    TooFewFields,
    /// More fields than columns, and the surplus ones are not empty.
    TooManyFields,
    /// A quoted field that never ends.
    UnclosedQuote,
    /// Text after a closing quote.
    MalformedQuote,
    /// Bytes that are not text in the file's encoding.
    InvalidEncoding,
    /// A row longer than `max_line_size`.
    LineTooLong,
    /// A row that ends in another line break than `new_line`.
    OtherLineBreak,
    /// A value that is not of the column's declared type.
    InvalidValue,
}

impl RejectCode {
    /// The stable name, as in JSON: `too_few_fields`, …
    pub fn as_str(self) -> &'static str {
        match self {
            RejectCode::TooFewFields => "too_few_fields",
            RejectCode::TooManyFields => "too_many_fields",
            RejectCode::UnclosedQuote => "unclosed_quote",
            RejectCode::MalformedQuote => "malformed_quote",
            RejectCode::InvalidEncoding => "invalid_encoding",
            RejectCode::LineTooLong => "line_too_long",
            RejectCode::OtherLineBreak => "other_line_break",
            RejectCode::InvalidValue => "invalid_value",
        }
    }
}

/// How the lines of one file were used. A line here is a record: a quoted field may span several physical lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Rows handed on.
    pub rows: u64,
    /// Lines rejected.
    pub rejects: u64,
    /// Blank lines skipped (tables of several columns only).
    pub blank: u64,
    /// Comment lines skipped.
    pub comments: u64,
    /// Header lines.
    pub header: u64,
    /// Lines skipped before the header.
    pub preamble: u64,
    /// Rows (among `rows`) that were too short and padded with NULL.
    pub padded: u64,
    /// Rows (among `rows`) whose surplus fields were left out: empty ones, and unless `strict` all of them.
    pub trimmed: u64,
}

impl LineCounts {
    /// Lines that should have become rows: `rows + rejects`.
    pub fn lines_in(&self) -> u64 {
        self.rows + self.rejects
    }

    /// Adds another file's tally.
    pub fn add(&mut self, other: &LineCounts) {
        self.rows += other.rows;
        self.rejects += other.rejects;
        self.blank += other.blank;
        self.comments += other.comments;
        self.header += other.header;
        self.preamble += other.preamble;
        self.padded += other.padded;
        self.trimmed += other.trimmed;
    }
}
