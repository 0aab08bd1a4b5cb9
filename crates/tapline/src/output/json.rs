//! Rows as JSON objects, in one array or one per line, with keys in the order of the columns.
//! Not here: the values.
//! Called by the row printer.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::values::escape_json;
use super::{TextSink, columns, names};

/// What stands around the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `[`, objects with `,` between them, `]`.
    Array,
    /// A line end after each object.
    Lines,
}

pub struct JsonPrinter<W> {
    layout: Layout,
    /// `"name":` with what stands before it, per column.
    keys: Vec<Vec<u8>>,
    empty: bool,
    sink: TextSink<W>,
}

impl<W: Write> JsonPrinter<W> {
    pub fn new(schema: &SchemaRef, writer: W, layout: Layout) -> Self {
        let schema = names::distinct(schema);
        let keys = schema.fields().iter().enumerate().map(|(index, field)| {
            let mut key = if index == 0 { b"\"".to_vec() } else { b",\"".to_vec() };
            let start = key.len();
            key.extend_from_slice(field.name().as_bytes());
            escape_json(&mut key, start);
            key.extend_from_slice(b"\":");
            key
        });
        Self { layout, keys: keys.collect(), empty: true, sink: TextSink::new(writer) }
    }

    pub fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let columns = columns(batch)?;
        for row in 0..batch.num_rows() {
            let out = &mut self.sink.buffer;
            if self.layout == Layout::Array {
                out.extend_from_slice(if self.empty { b"[" } else { b",\n" });
            }
            self.empty = false;
            out.push(b'{');
            for (key, column) in self.keys.iter().zip(&columns) {
                out.extend_from_slice(key);
                column.json(row, out);
            }
            out.push(b'}');
            if self.layout == Layout::Lines {
                out.push(b'\n');
            }
            self.sink.relieve()?;
        }
        self.sink.drain()
    }

    pub fn finish(mut self) -> io::Result<W> {
        if self.layout == Layout::Array {
            self.sink.buffer.extend_from_slice(if self.empty { b"[]\n" } else { b"]\n" });
        }
        self.sink.finish()
    }
}
