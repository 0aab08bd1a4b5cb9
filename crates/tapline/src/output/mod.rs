//! Result rows on their way to people and programs: `--format table|csv|json|ndjson|parquet|arrow`.
//! Not here: where rows come from, where the bytes go, the texts of values (`tapline_core::values`), and reports.
//! Called by `query` and `preview`.

mod columnar;
mod delimited;
mod json;
mod names;
mod table;

use std::io::{self, Write};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use clap::ValueEnum;
use tapline_core::values;

pub use table::TableStyle;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: bounded, with types, control characters made visible
    Table,
    /// A header and a line per row, quoted as DuckDB's COPY does
    Csv,
    /// One array of objects
    Json,
    /// An object per line
    Ndjson,
    /// One Parquet file, compressed with zstd
    Parquet,
    /// Arrow's IPC stream
    Arrow,
}

impl Format {
    /// The format that a file's suffix asks for; `None` for a suffix that says nothing.
    pub fn of_file(path: &Path) -> Option<Self> {
        Some(match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Self::Csv,
            "json" => Self::Json,
            "ndjson" | "jsonl" => Self::Ndjson,
            "parquet" => Self::Parquet,
            "arrow" | "arrows" => Self::Arrow,
            _ => return None,
        })
    }
}

/// Writes batches of one schema to a writer, as they come.
///
/// Nothing is written before the first batch, so that a query that fails at once leaves its output empty. Columns that
/// share a name get distinct ones (`name_1`), as DuckDB gives them, except in tables.
pub struct RowPrinter<W: Write + Send>(Printer<W>);

enum Printer<W: Write + Send> {
    Table(table::TablePrinter<W>),
    Csv(delimited::CsvPrinter<W>),
    Json(json::JsonPrinter<W>),
    Parquet(Box<columnar::ParquetPrinter<W>>),
    Arrow(columnar::ArrowPrinter<W>),
}

impl<W: Write + Send> RowPrinter<W> {
    /// A printer of rows with the columns of `schema`; `style` is for tables alone.
    pub fn new(format: Format, schema: &SchemaRef, writer: W, style: TableStyle) -> Self {
        Self(match format {
            Format::Table => Printer::Table(table::TablePrinter::new(schema, writer, style)),
            Format::Csv => Printer::Csv(delimited::CsvPrinter::new(schema, writer)),
            Format::Json => Printer::Json(json::JsonPrinter::new(schema, writer, json::Layout::Array)),
            Format::Ndjson => Printer::Json(json::JsonPrinter::new(schema, writer, json::Layout::Lines)),
            Format::Parquet => Printer::Parquet(Box::new(columnar::ParquetPrinter::new(schema, writer))),
            Format::Arrow => Printer::Arrow(columnar::ArrowPrinter::new(schema, writer)),
        })
    }

    /// Writes a batch's rows.
    ///
    /// # Errors
    /// What the writer says, with its kind; values that the format cannot hold, as [`io::ErrorKind::InvalidData`].
    pub fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        match &mut self.0 {
            Printer::Table(printer) => printer.write(batch),
            Printer::Csv(printer) => printer.write(batch),
            Printer::Json(printer) => printer.write(batch),
            Printer::Parquet(printer) => printer.write(batch),
            Printer::Arrow(printer) => printer.write(batch),
        }
    }

    /// Writes what stands after the last row and gives the writer back, flushed.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn finish(self) -> io::Result<W> {
        let mut writer = match self.0 {
            Printer::Table(printer) => printer.finish(),
            Printer::Csv(printer) => printer.finish(),
            Printer::Json(printer) => printer.finish(),
            Printer::Parquet(printer) => printer.finish(),
            Printer::Arrow(printer) => printer.finish(),
        }?;
        writer.flush()?;
        Ok(writer)
    }
}

/// The writer's own error where there is one, so that a reader who has gone away is known as such.
fn from_arrow(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

/// The columns of a batch, ready to be written.
fn columns(batch: &RecordBatch) -> io::Result<Vec<values::Column>> {
    let schema = batch.schema_ref();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, array)| values::Column::new(field, array));
    columns.collect::<Result<_, _>>().map_err(from_arrow)
}

/// Text on its way to a writer, handed over in large pieces.
struct TextSink<W> {
    writer: W,
    buffer: Vec<u8>,
}

impl<W: Write> TextSink<W> {
    const PIECE_BYTES: usize = 64 << 10;

    fn new(writer: W) -> Self {
        Self { writer, buffer: Vec::with_capacity(Self::PIECE_BYTES * 2) }
    }

    /// Hands the buffer over if it has grown to a piece.
    fn relieve(&mut self) -> io::Result<()> {
        if self.buffer.len() >= Self::PIECE_BYTES { self.drain() } else { Ok(()) }
    }

    fn drain(&mut self) -> io::Result<()> {
        self.writer.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<W> {
        self.drain()?;
        Ok(self.writer)
    }
}

#[cfg(test)]
mod tests;
