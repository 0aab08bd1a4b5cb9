//! Rows of a scan that wait in temporary files until their partition of the snapshot is in memory.
//! Not here: which rows wait (`compare`).
//! Called by the comparison.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, BinaryArray, FixedSizeBinaryArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use tapline_core::{Error, Result, codes};

use super::snapshot::row_hash;
use super::{PARTITIONS, RowHash};

/// So many rows are collected before they are dealt to the files of their partitions: few rows of a batch belong to the
/// same one, and small arrays take more memory than what they hold.
const WAITING_ROWS: usize = 32 << 10;
/// Rows that take so many bytes are enough, too.
const WAITING_BYTES: usize = 16 << 20;
/// Buffer of a file of keys and hashes, in bytes.
const NOTED_BYTES: usize = 32 << 10;

/// Rows of a batch that are set aside.
pub(crate) struct AsideRows<'a> {
    /// The mapped rows.
    pub(crate) batch: &'a RecordBatch,
    /// Which of them.
    pub(crate) rows: Vec<u32>,
    /// The partition of each.
    pub(crate) partitions: Vec<usize>,
    /// Their encoded keys.
    pub(crate) keys: Vec<&'a [u8]>,
    /// Their hashes.
    pub(crate) hashes: Vec<RowHash>,
}

/// Whole rows of any partition on their way to the files.
pub(crate) struct Waiting {
    /// The mapped fields, then key and hash.
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    bytes: usize,
    /// The partition of each row.
    partitions: Vec<usize>,
}

impl Waiting {
    /// No rows, of a schema.
    pub(crate) fn new(rows: &SchemaRef) -> Self {
        let mut fields: Vec<_> = rows.fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new("key", DataType::Binary, false)));
        fields.push(Arc::new(Field::new("hash", DataType::FixedSizeBinary(16), false)));
        Self { schema: Arc::new(Schema::new(fields)), batches: Vec::new(), bytes: 0, partitions: Vec::new() }
    }

    /// Adds rows; whether there are enough now.
    pub(crate) fn push(&mut self, rows: AsideRows<'_>) -> Result<bool> {
        let AsideRows { batch, rows, partitions, keys, hashes } = rows;
        let picked = take_record_batch(batch, &UInt32Array::from(rows)).map_err(aside_error)?;
        let mut columns = picked.columns().to_vec();
        columns.push(Arc::new(BinaryArray::from_iter_values(keys)));
        columns.push(Arc::new(FixedSizeBinaryArray::try_from_iter(hashes.iter()).map_err(aside_error)?));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(aside_error)?;
        self.bytes += batch.get_array_memory_size();
        self.batches.push(batch);
        self.partitions.extend(partitions);
        Ok(self.partitions.len() >= WAITING_ROWS || self.bytes >= WAITING_BYTES)
    }

    /// Hands out all rows, those of each partition together.
    pub(crate) fn deal(&mut self, mut hand: impl FnMut(usize, &RecordBatch) -> Result<()>) -> Result<()> {
        self.bytes = 0;
        let rows = concat_batches(&self.schema, &std::mem::take(&mut self.batches)).map_err(aside_error)?;
        let mut dealt: Vec<Vec<u32>> = vec![Vec::new(); PARTITIONS];
        for (row, partition) in std::mem::take(&mut self.partitions).into_iter().enumerate() {
            dealt[partition].push(row as u32);
        }
        for (partition, of_partition) in dealt.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            hand(partition, &take_record_batch(&rows, &UInt32Array::from(of_partition)).map_err(aside_error)?)?;
        }
        Ok(())
    }
}

/// Whole rows of one partition, in a temporary file.
pub(crate) struct Aside {
    writer: StreamWriter<BufWriter<File>>,
}

impl Aside {
    /// An empty file in `folder` for rows with keys and hashes.
    pub(crate) fn create(folder: &Path, schema: &SchemaRef) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(aside_error)?;
        let file = tempfile::tempfile_in(folder).map_err(aside_error)?;
        Ok(Self { writer: StreamWriter::try_new(BufWriter::new(file), schema).map_err(aside_error)? })
    }

    /// Adds rows.
    pub(crate) fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        self.writer.write(rows).map_err(aside_error)
    }

    /// Everything, from the first row.
    pub(crate) fn read(mut self) -> Result<AsideReader> {
        self.writer.finish().map_err(aside_error)?;
        let buffer = self.writer.into_inner().map_err(aside_error)?;
        let mut file = buffer.into_inner().map_err(|error| aside_error(error.into_error()))?;
        file.rewind().map_err(aside_error)?;
        Ok(AsideReader { reader: StreamReader::try_new(BufReader::new(file), None).map_err(aside_error)? })
    }
}

/// Reads back the rows of a partition that were set aside.
pub(crate) struct AsideReader {
    reader: StreamReader<BufReader<File>>,
}

/// Some rows that were set aside: the mapped rows, their keys and hashes.
pub(crate) struct AsideBatch {
    /// The mapped rows.
    pub(crate) batch: RecordBatch,
    keys: BinaryArray,
    hashes: FixedSizeBinaryArray,
}

impl AsideBatch {
    /// The encoded key of a row.
    pub(crate) fn key(&self, row: usize) -> &[u8] {
        self.keys.value(row)
    }

    /// The hash of a row.
    pub(crate) fn hash(&self, row: usize) -> Result<RowHash> {
        row_hash(self.hashes.value(row))
    }
}

impl Iterator for AsideReader {
    type Item = Result<AsideBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        Some(batch.map_err(aside_error).and_then(|batch| {
            let mapped = batch.num_columns() - 2;
            let indices: Vec<usize> = (0..mapped).collect();
            Ok(AsideBatch {
                keys: batch.column(mapped).as_binary::<i32>().clone(),
                hashes: batch.column(mapped + 1).as_fixed_size_binary().clone(),
                batch: batch.project(&indices).map_err(aside_error)?,
            })
        }))
    }
}

/// Key and hash of rows of one partition, in a temporary file.
pub(crate) struct Noted {
    writer: BufWriter<File>,
    rows: u64,
}

impl Noted {
    /// An empty file in `folder`.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(aside_error)?;
        let file = tempfile::tempfile_in(folder).map_err(aside_error)?;
        Ok(Self { writer: BufWriter::with_capacity(NOTED_BYTES, file), rows: 0 })
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, key: &[u8], hash: &RowHash) -> Result<()> {
        self.rows += 1;
        let length = (key.len() as u64).to_le_bytes();
        [&length[..], key, hash].iter().try_for_each(|bytes| self.writer.write_all(bytes)).map_err(aside_error)
    }

    /// Everything, from the first row.
    pub(crate) fn read(self) -> Result<NotedReader> {
        let mut file = self.writer.into_inner().map_err(|error| aside_error(error.into_error()))?;
        file.rewind().map_err(aside_error)?;
        Ok(NotedReader { reader: BufReader::with_capacity(NOTED_BYTES, file), left: self.rows, key: Vec::new() })
    }
}

/// Reads back keys and hashes.
pub(crate) struct NotedReader {
    reader: BufReader<File>,
    left: u64,
    key: Vec<u8>,
}

impl NotedReader {
    /// The next row: its key and its hash.
    pub(crate) fn next(&mut self) -> Result<Option<(&[u8], RowHash)>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let (mut length, mut hash) = ([0; 8], [0; 16]);
        self.reader.read_exact(&mut length).map_err(aside_error)?;
        self.key.resize(u64::from_le_bytes(length) as usize, 0);
        self.reader.read_exact(&mut self.key).map_err(aside_error)?;
        self.reader.read_exact(&mut hash).map_err(aside_error)?;
        Ok(Some((&self.key, hash)))
    }
}

fn aside_error(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(codes::FILE_006, "setting rows aside in a temporary file").because(error).hint("make room on the disk")
}
