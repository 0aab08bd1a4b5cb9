//! Rows on the local disk, compressed, until a run knows that it may send them.
//! Not here: sending them (`delivery`).
//! Called by writers that publish in many steps.
//!
//! The files have no names: they are gone with the process, however it ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, SeekFrom};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, Schema, UInt32Type, UInt64Type};
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use tapline_core::values::Column;
use tapline_core::{ChangeBatch, Error, Op, Result, RowId, codes};

use crate::delivery::{Kind, Row};

/// Takes batches in.
#[derive(Default)]
pub(crate) struct Spool {
    files: BTreeMap<Kind, StreamWriter<BufWriter<File>>>,
    /// Rows of each batch.
    rows: Vec<u64>,
}

/// Gives the rows back: deletions, then updates, then what is new.
pub(crate) struct Spooled {
    files: std::vec::IntoIter<(Kind, File)>,
    current: Option<(Kind, StreamReader<BufReader<File>>)>,
}

/// Rows of one kind, in the order in which they came.
pub(crate) struct Stretch {
    pub(crate) kind: Kind,
    pub(crate) fields: Arc<[String]>,
    pub(crate) rows: Vec<Row>,
}

impl Spool {
    /// Takes a batch in; `known` tells of its rows whether they were delivered before.
    pub(crate) fn add(&mut self, batch: &ChangeBatch, known: &[bool]) -> Result<()> {
        let rows = batch.rows.num_rows();
        let ordinals = 0..u32::try_from(rows).map_err(|_| Error::internal("a batch has too many rows"))?;
        let (old, new): (Vec<u32>, Vec<u32>) =
            ordinals.partition(|row| known.get(*row as usize).copied().unwrap_or(batch.op == Op::Delete));
        for (known, picked) in [(true, old), (false, new)] {
            if picked.is_empty() {
                continue;
            }
            let ordinals = UInt32Array::from(picked);
            let part = if ordinals.len() == rows {
                batch.rows.clone()
            } else {
                take_record_batch(&batch.rows, &ordinals).map_err(unspooled)?
            };
            self.write(Kind { op: batch.op, known }, batch.seq, ordinals, &part)?;
        }
        self.rows.push(rows as u64);
        Ok(())
    }

    fn write(&mut self, kind: Kind, seq: u64, ordinals: UInt32Array, part: &RecordBatch) -> Result<()> {
        let mut fields: Vec<Arc<Field>> = part.schema().fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new("seq", DataType::UInt64, false)));
        fields.push(Arc::new(Field::new("ordinal", DataType::UInt32, false)));
        let schema = Arc::new(Schema::new(fields));
        let seqs: ArrayRef = Arc::new(UInt64Array::from(vec![seq; part.num_rows()]));
        let columns = part.columns().iter().cloned().chain([seqs, Arc::new(ordinals)]).collect();
        let part = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(unspooled)?;
        let writer = match self.files.entry(kind) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let options = IpcWriteOptions::default()
                    .try_with_compression(Some(CompressionType::LZ4_FRAME))
                    .map_err(unspooled)?;
                let file = BufWriter::new(tempfile::tempfile().map_err(unspooled)?);
                entry.insert(StreamWriter::try_new_with_options(file, &schema, options).map_err(unspooled)?)
            }
        };
        writer.write(&part).map_err(unspooled)
    }

    /// How many rows each batch has.
    pub(crate) fn rows(&self) -> &[u64] {
        &self.rows
    }

    /// Turns to giving back.
    pub(crate) fn read(self) -> Result<Spooled> {
        let mut files = Vec::with_capacity(self.files.len());
        for (kind, mut writer) in self.files {
            writer.finish().map_err(unspooled)?;
            let buffer = writer.into_inner().map_err(unspooled)?;
            let mut file = buffer.into_inner().map_err(|error| unspooled(error.into_error()))?;
            file.seek(SeekFrom::Start(0)).map_err(unspooled)?;
            files.push((kind, file));
        }
        Ok(Spooled { files: files.into_iter(), current: None })
    }
}

impl Spooled {
    /// The next rows; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Stretch>> {
        loop {
            if let Some((kind, reader)) = &mut self.current
                && let Some(batch) = reader.next()
            {
                return stretch(*kind, &batch.map_err(unspooled)?).map(Some);
            }
            let Some((kind, file)) = self.files.next() else { return Ok(None) };
            self.current = Some((kind, StreamReader::try_new(BufReader::new(file), None).map_err(unspooled)?));
        }
    }
}

fn stretch(kind: Kind, batch: &RecordBatch) -> Result<Stretch> {
    let width = batch.num_columns() - 2;
    let schema = batch.schema();
    let fields: Arc<[String]> = schema.fields().iter().take(width).map(|field| field.name().clone()).collect();
    let columns = schema.fields().iter().zip(batch.columns()).take(width);
    let columns: Vec<Column> =
        columns.map(|(field, array)| Column::new(field, array)).collect::<Result<_, _>>().map_err(unspooled)?;
    let seqs = batch.column(width).as_primitive::<UInt64Type>();
    let ordinals = batch.column(width + 1).as_primitive::<UInt32Type>();
    let rows = (0..batch.num_rows()).map(|row| Row {
        id: RowId { seq: seqs.value(row), ordinal: ordinals.value(row) },
        cells: columns
            .iter()
            .map(|column| {
                let mut cell = Vec::new();
                column.json(row, &mut cell);
                cell
            })
            .collect(),
    });
    Ok(Stretch { kind, fields, rows: rows.collect() })
}

fn unspooled(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(codes::FILE_006, "keeping changed rows in a temporary file")
        .because(error)
        .hint("make room where TMPDIR points, or let it point elsewhere")
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};

    use super::*;

    fn batch(seq: u64, op: Op, ids: &[i64]) -> ChangeBatch {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(Int64Array::from(ids.to_vec()))),
            ("v", Arc::new(StringArray::from_iter(ids.iter().map(|id| (id % 2 == 0).then(|| format!("\"{id}\"")))))),
        ];
        ChangeBatch { seq, op, rows: RecordBatch::try_from_iter(columns).unwrap() }
    }

    #[test]
    fn rows_come_back_by_kind_with_their_addresses() {
        let mut spool = Spool::default();
        spool.add(&batch(0, Op::Upsert, &[1, 2, 3]), &[false, true, false]).unwrap();
        spool.add(&batch(1, Op::Upsert, &[4]), &[false]).unwrap();
        let keys = batch(2, Op::Delete, &[9]);
        spool.add(&ChangeBatch { rows: keys.rows.project(&[0]).unwrap(), ..keys }, &[]).unwrap();
        assert_eq!(spool.rows(), [3, 1, 1]);
        let mut spooled = spool.read().unwrap();
        let mut told = Vec::new();
        while let Some(Stretch { kind, fields, rows }) = spooled.next().unwrap() {
            for row in rows {
                let text = String::from_utf8(row.json(&fields)).unwrap();
                told.push((kind.op, kind.known, row.id.seq, row.id.ordinal, text));
            }
        }
        let upsert = |known, seq, ordinal, text: &str| (Op::Upsert, known, seq, ordinal, text.to_owned());
        assert_eq!(
            told,
            [
                (Op::Delete, true, 2, 0, r#"{"id":9}"#.to_owned()),
                upsert(false, 0, 0, r#"{"id":1,"v":null}"#),
                upsert(false, 0, 2, r#"{"id":3,"v":null}"#),
                upsert(false, 1, 0, r#"{"id":4,"v":"\"4\""}"#),
                upsert(true, 0, 1, r#"{"id":2,"v":"\"2\""}"#),
            ]
        );
    }
}
