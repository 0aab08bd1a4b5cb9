//! The change log of one run: every row that is going to be published, with its place, key and hash.
//! Not here: the rows' values, which the destination has staged.
//! Called by runs. The finished log is the run's intent; after the publication it becomes the snapshot's next delta.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    AsArray, BinaryBuilder, FixedSizeBinaryBuilder, RecordBatch, UInt8Builder, UInt32Builder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt8Type, UInt32Type, UInt64Type};
use tapline_core::{Error, Result, RowId};

use super::files::{FileRef, PartitionedReader, PartitionedWriter};
use super::snapshot::row_hash;
use super::{PARTITIONS, RowHash};

/// Rows that wait in memory before they are written, over all partitions.
const BUFFERED_ROWS: usize = 256 << 10;

/// What a run does to a row, relative to what was delivered before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Change {
    /// The row left the model.
    Deleted = 0,
    /// The row was not delivered before.
    Inserted = 1,
    /// The row was delivered with other values.
    Updated = 2,
}

impl Change {
    fn from_u8(number: u8) -> Result<Self> {
        match number {
            0 => Ok(Self::Deleted),
            1 => Ok(Self::Inserted),
            2 => Ok(Self::Updated),
            other => Err(Error::internal(format!("a change log holds the unknown change {other}"))),
        }
    }
}

/// One row of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogRow<'a> {
    /// Its place among the run's batches.
    pub(crate) row: RowId,
    /// What happens to it.
    pub(crate) change: Change,
    /// Its encoded key.
    pub(crate) key: &'a [u8],
    /// Its hash; zeros for a deletion.
    pub(crate) hash: RowHash,
}

/// Writes a log.
pub(crate) struct LogWriter {
    writer: PartitionedWriter,
    schema: SchemaRef,
    buffers: Vec<Buffer>,
    buffered: usize,
}

#[derive(Default)]
struct Buffer {
    seqs: UInt64Builder,
    ordinals: UInt32Builder,
    changes: UInt8Builder,
    keys: BinaryBuilder,
    hashes: Option<FixedSizeBinaryBuilder>,
    rows: usize,
}

impl LogWriter {
    /// Begins the file `name` in `folder`.
    pub(crate) fn create(folder: &Path, name: &str) -> Result<Self> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("seq", DataType::UInt64, false),
            Field::new("ordinal", DataType::UInt32, false),
            Field::new("change", DataType::UInt8, false),
            Field::new("key", DataType::Binary, false),
            Field::new("hash", DataType::FixedSizeBinary(16), false),
        ]));
        Ok(Self {
            writer: PartitionedWriter::create(folder, name, &schema)?,
            schema,
            buffers: (0..PARTITIONS).map(|_| Buffer::default()).collect(),
            buffered: 0,
        })
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, partition: usize, row: &LogRow<'_>) -> Result<()> {
        let buffer = &mut self.buffers[partition];
        buffer.seqs.append_value(row.row.seq);
        buffer.ordinals.append_value(row.row.ordinal);
        buffer.changes.append_value(row.change as u8);
        buffer.keys.append_value(row.key);
        buffer
            .hashes
            .get_or_insert_with(|| FixedSizeBinaryBuilder::new(16))
            .append_value(row.hash)
            .map_err(|error| Error::internal("writing a change log").because(error))?;
        buffer.rows += 1;
        self.buffered += 1;
        if self.buffered >= BUFFERED_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        for (partition, buffer) in self.buffers.iter_mut().enumerate() {
            let Some(mut hashes) = buffer.hashes.take() else { continue };
            let batch = RecordBatch::try_new(
                Arc::clone(&self.schema),
                vec![
                    Arc::new(buffer.seqs.finish()),
                    Arc::new(buffer.ordinals.finish()),
                    Arc::new(buffer.changes.finish()),
                    Arc::new(buffer.keys.finish()),
                    Arc::new(hashes.finish()),
                ],
            )
            .map_err(|error| Error::internal("writing a change log").because(error))?;
            buffer.rows = 0;
            self.writer.write(partition, &batch)?;
        }
        self.buffered = 0;
        Ok(())
    }

    /// Makes the log durable.
    pub(crate) fn finish(mut self) -> Result<FileRef> {
        self.flush()?;
        self.writer.finish()
    }
}

/// Reads a log, partition by partition.
pub(crate) struct LogReader {
    reader: PartitionedReader,
}

impl LogReader {
    /// Opens a finished log.
    pub(crate) fn open(folder: &Path, file: &FileRef) -> Result<Self> {
        Ok(Self { reader: PartitionedReader::open(folder, file)? })
    }

    /// Visits the rows of one partition in the order they were written.
    pub(crate) fn visit(&mut self, partition: usize, mut visit: impl FnMut(LogRow<'_>) -> Result<()>) -> Result<()> {
        for batch in self.reader.partition(partition)? {
            let seqs = batch.column(0).as_primitive::<UInt64Type>();
            let ordinals = batch.column(1).as_primitive::<UInt32Type>();
            let changes = batch.column(2).as_primitive::<UInt8Type>();
            let keys = batch.column(3).as_binary::<i32>();
            let hashes = batch.column(4).as_fixed_size_binary();
            for row in 0..batch.num_rows() {
                visit(LogRow {
                    row: RowId { seq: seqs.value(row), ordinal: ordinals.value(row) },
                    change: Change::from_u8(changes.value(row))?,
                    key: keys.value(row),
                    hash: row_hash(hashes.value(row))?,
                })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_in_order_by_partition() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = LogWriter::create(folder.path(), "log").unwrap();
        for number in 0..1_000_u32 {
            let row = RowId { seq: u64::from(number / 100), ordinal: number % 100 };
            let key = number.to_be_bytes();
            writer
                .push(
                    number as usize % 3,
                    &LogRow { row, change: Change::Inserted, key: &key, hash: [number as u8; 16] },
                )
                .unwrap();
        }
        let file = writer.finish().unwrap();
        assert_eq!(file.rows, 1_000);
        let mut reader = LogReader::open(folder.path(), &file).unwrap();
        let mut ordinals = Vec::new();
        reader
            .visit(1, |row| {
                assert_eq!(row.change, Change::Inserted);
                ordinals.push(row.row.seq * 100 + u64::from(row.row.ordinal));
                Ok(())
            })
            .unwrap();
        assert_eq!(ordinals, (0..1_000).filter(|number| number % 3 == 1).collect::<Vec<u64>>());
    }
}
