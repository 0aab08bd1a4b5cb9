//! CSV as DuckDB's COPY writes it: a header, `\n`, minimal quotes; NULL is empty and an empty text is `""`.
//! Not here: the texts of values.
//! Called by the row printer.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::values::escape_csv;
use super::{TextSink, columns, names};

pub struct CsvPrinter<W> {
    /// The header until it has been written.
    header: Option<SchemaRef>,
    sink: TextSink<W>,
}

impl<W: Write> CsvPrinter<W> {
    pub fn new(schema: &SchemaRef, writer: W) -> Self {
        Self { header: Some(names::distinct(schema)), sink: TextSink::new(writer) }
    }

    pub fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        self.write_header();
        let columns = columns(batch)?;
        for row in 0..batch.num_rows() {
            let out = &mut self.sink.buffer;
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                let start = out.len();
                if column.text(row, out) {
                    escape_csv(out, start);
                }
            }
            out.push(b'\n');
            self.sink.relieve()?;
        }
        self.sink.drain()
    }

    pub fn finish(mut self) -> io::Result<W> {
        self.write_header();
        self.sink.finish()
    }

    fn write_header(&mut self) {
        let Some(schema) = self.header.take() else { return };
        let out = &mut self.sink.buffer;
        for (index, field) in schema.fields().iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let start = out.len();
            out.extend_from_slice(field.name().as_bytes());
            escape_csv(out, start);
        }
        out.push(b'\n');
    }
}
