//! Reads CSV exactly: dialect detection, type inference and a streaming decoder from bytes to Arrow batches.
//! No I/O, no async, no SQL: callers bring bytes (whole files, prefixes or chunks) and take batches and rejected lines away.
//! The engine wraps it into a scan of object storage; `discover` shows what [`detect`] chose and why.
//!
//! The rule everything here follows: a value that was read is handed on exactly, or its line is rejected and shown. For every file
//! `lines in = rows + rejects` holds (see [`LineCounts`]). Quoting follows [RFC 4180](https://www.rfc-editor.org/rfc/rfc4180); an unquoted empty
//! field is NULL and `""` is an empty string.

mod columns;
mod compression;
mod decoder;
mod detect;
mod dialect;
mod encoding;
mod error;
mod names;
mod numbers;
mod options;
mod reject;
mod scanner;
mod skipper;
mod sniff;
mod specials;
mod temporal;
mod types;

pub use compression::{Compression, Decompressor};
pub use decoder::{Decoder, Fit, Seam};
pub use detect::{Detection, Sample, detect};
pub use dialect::{CsvColumn, Dialect, Newline, TableFormat};
pub use error::{CsvError, DecodeError, Widen, WidenColumn};
pub use options::{ColumnTypes, CompressionOption, CsvOptions, OnBadRow, OneOrMany, TypeSettings};
pub use reject::{LineCounts, LineReject, RejectCode};
pub use sniff::sniff;
pub use types::CsvType;
