//! DuckDB's SQL over files in S3: parsing, files as tables, planning and running in a sandbox.
//! Not here: what a run does with the rows (`run`), decoding CSV (crate `tapline-csv`).
//! Called by runs, `query`, `preview`, `discover` and `validate`.

mod bind;
pub(crate) mod counters;
mod csv_detect;
pub(crate) mod csv_ranges;
pub(crate) mod csv_scan;
pub(crate) mod errors;
pub(crate) mod execute;
pub(crate) mod files;
mod footers;
mod functions;
#[cfg(test)]
mod fuzz;
mod geometry;
mod guard;
mod hidden;
pub(crate) mod locate;
mod ndjson;
mod ndjson_scan;
mod parquet;
mod parse;
mod partitions;
mod plan;
mod prune;
mod reader_options;
pub(crate) mod references;
mod semantics;
pub(crate) mod session;
mod spans;
mod syntax;
pub(crate) mod table;
mod unite;
mod variant;

pub use errors::Widened;
pub use execute::{BatchVisitor, execute};
pub use files::{Access, TableFile, TableFiles};
pub use functions::{FunctionEntry, Support, function_reference};
pub use session::{BatchStream, Limits, Pins, Query, ScanReport, Session, StreamError};
pub use table::{FileTable, TableKind};
use tapline_storage::{S3SourceConfig, S3Url};

/// Parses a model's SQL without touching anything outside: one statement that only reads.
///
/// # Errors
/// `SQL-001` with a caret, `SQL-010` for anything but one SELECT.
pub fn check_sql(sql: &str) -> tapline_core::Result<()> {
    parse::parse(sql).map(drop)
}

/// Makes sure that a model's SQL reads nothing outside of its source, as [`check_sql`] does without touching anything.
///
/// # Errors
/// `S3-009` and `S3-011`, and those of [`check_sql`].
pub fn check_reach(sql: &str, source: &S3SourceConfig) -> tapline_core::Result<()> {
    let mut query = parse::parse(sql)?;
    for reference in references::references(&mut query)? {
        for pattern in &reference.patterns {
            if !S3Url::is_s3(pattern) {
                return Err(files::outside(pattern, &source.url()));
            }
            source.pattern(pattern, reference.reader)?;
        }
    }
    Ok(())
}
