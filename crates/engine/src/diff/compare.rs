//! The comparison of a scan with a snapshot, in bounded memory.
//! Not here: what becomes of the rows (`run`).
//! Called by runs and plans.
//!
//! Partitions of the snapshot are held in memory while they fit into the budget. Rows whose partition is not held are
//! set aside in a temporary file per partition and compared after the scan, one partition at a time.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray, BinaryArray, FixedSizeBinaryArray, RecordBatch, UInt32Array};
use arrow::compute::BatchCoalescer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use tapline_core::{Error, Result, codes};

use super::known::{Known, Verdict};
use super::snapshot::{SnapshotReader, SnapshotRef, row_hash};
use super::{PARTITIONS, RowHash};

/// Memory for the partitions of a snapshot that are held while scanning, in bytes.
const HELD_BYTES: u64 = 192 << 20;
/// Estimated memory of one row of a held partition, less its key, in bytes.
const ROW_BYTES: u64 = 48;
/// Rows of one batch that is set aside.
const ASIDE_ROWS: usize = 4096;

/// Compares the rows of one scan with what was delivered before.
pub(crate) struct Comparison {
    folder: PathBuf,
    reader: SnapshotReader,
    held: Vec<Option<Known>>,
    aside: Vec<Option<Aside>>,
}

impl Comparison {
    /// Opens a snapshot for comparison; an empty one makes every row new.
    pub(crate) fn open(folder: &Path, snapshot: &SnapshotRef) -> Result<Self> {
        Self::with_budget(folder, snapshot, HELD_BYTES)
    }

    /// The same with so many bytes for the partitions that are held while scanning.
    pub(crate) fn with_budget(folder: &Path, snapshot: &SnapshotRef, budget: u64) -> Result<Self> {
        let bytes: u64 = snapshot.files.iter().map(|file| file.bytes).sum::<u64>() + snapshot.rows * ROW_BYTES;
        let per_partition = bytes / PARTITIONS as u64 + 1;
        let count = usize::try_from(budget / per_partition).unwrap_or(PARTITIONS).min(PARTITIONS);
        let mut held = load(folder, snapshot, count)?;
        held.resize_with(PARTITIONS, || None);
        let reader = SnapshotReader::open(folder, snapshot)?;
        Ok(Self { folder: folder.to_owned(), reader, held, aside: (0..PARTITIONS).map(|_| None).collect() })
    }

    /// Compares a row, or `None` where its partition is not held and the row has to be set aside.
    pub(crate) fn meet(&mut self, partition: usize, key: &[u8], hash: &RowHash) -> Option<Verdict> {
        self.held[partition].as_mut().map(|known| known.meet(key, hash))
    }

    /// Sets rows of one partition aside.
    pub(crate) fn set_aside(&mut self, partition: usize, rows: &AsideRows<'_>) -> Result<()> {
        let aside = match &mut self.aside[partition] {
            Some(aside) => aside,
            empty => empty.insert(Aside::create(&self.folder, &rows.batch.schema())?),
        };
        aside.push(rows)
    }

    /// The partitions in order: first those that were held, then the others, loaded for their rows that were set aside.
    /// `visit` gets the partition's rows that were set aside, and then the comparison at its end.
    pub(crate) fn take_partition(&mut self, partition: usize) -> Result<(Known, Option<AsideReader>)> {
        let known = match self.held[partition].take() {
            Some(known) => known,
            None => self.reader.load(partition)?,
        };
        let aside = self.aside[partition].take().map(Aside::read).transpose()?;
        Ok((known, aside))
    }
}

/// Loads the first `count` partitions of a snapshot, on all processors.
fn load(folder: &Path, snapshot: &SnapshotRef, count: usize) -> Result<Vec<Option<Known>>> {
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        let share = |worker: usize| {
            let mut reader = SnapshotReader::open(folder, snapshot)?;
            (worker..count).step_by(workers).map(|partition| Ok((partition, reader.load(partition)?))).collect()
        };
        let loading: Vec<_> = (0..workers).map(|worker| scope.spawn(move || share(worker))).collect();
        let mut held: Vec<Option<Known>> = (0..count).map(|_| None).collect();
        for worker in loading {
            let loaded: Result<Vec<(usize, Known)>> =
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            for (partition, known) in loaded? {
                held[partition] = Some(known);
            }
        }
        Ok(held)
    })
}

/// Rows of a batch that belong to one partition.
pub(crate) struct AsideRows<'a> {
    /// The mapped rows.
    pub(crate) batch: &'a RecordBatch,
    /// Which of them.
    pub(crate) rows: &'a [u32],
    /// Their encoded keys.
    pub(crate) keys: Vec<&'a [u8]>,
    /// Their hashes.
    pub(crate) hashes: Vec<RowHash>,
}

struct Aside {
    schema: SchemaRef,
    coalescer: BatchCoalescer,
    writer: StreamWriter<BufWriter<File>>,
}

impl Aside {
    fn create(folder: &Path, rows: &SchemaRef) -> Result<Self> {
        let mut fields: Vec<_> = rows.fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new("key", DataType::Binary, false)));
        fields.push(Arc::new(Field::new("hash", DataType::FixedSizeBinary(16), false)));
        let schema = Arc::new(Schema::new(fields));
        std::fs::create_dir_all(folder).map_err(aside_error)?;
        let file = tempfile::tempfile_in(folder).map_err(aside_error)?;
        let writer = StreamWriter::try_new(BufWriter::new(file), &schema).map_err(aside_error)?;
        Ok(Self { coalescer: BatchCoalescer::new(Arc::clone(&schema), ASIDE_ROWS), schema, writer })
    }

    fn push(&mut self, rows: &AsideRows<'_>) -> Result<()> {
        let picked = arrow::compute::take_record_batch(rows.batch, &UInt32Array::from(rows.rows.to_vec()))
            .map_err(aside_error)?;
        let mut columns = picked.columns().to_vec();
        columns.push(Arc::new(BinaryArray::from_iter_values(rows.keys.iter().copied())));
        columns.push(Arc::new(FixedSizeBinaryArray::try_from_iter(rows.hashes.iter()).map_err(aside_error)?));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(aside_error)?;
        self.coalescer.push_batch(batch).map_err(aside_error)?;
        self.write_completed()
    }

    fn write_completed(&mut self) -> Result<()> {
        while let Some(batch) = self.coalescer.next_completed_batch() {
            self.writer.write(&batch).map_err(aside_error)?;
        }
        Ok(())
    }

    fn read(mut self) -> Result<AsideReader> {
        self.coalescer.finish_buffered_batch().map_err(aside_error)?;
        self.write_completed()?;
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

fn aside_error(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(codes::FILE_006, "setting rows aside in a temporary file").because(error).hint("make room on the disk")
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;
    use crate::diff::rows::partition_of;
    use crate::diff::snapshot::SnapshotWriter;

    const KEY: [u8; 16] = [7; 16];

    /// Compares `scan` with a snapshot of `delivered`, both (key, value), under a memory budget.
    fn verdicts(delivered: &[(i64, u8)], scan: &[(i64, u8)], budget: u64) -> (Vec<(i64, Verdict)>, Vec<i64>) {
        let folder = tempfile::tempdir().unwrap();
        let mut sorted: Vec<_> =
            delivered.iter().map(|(key, value)| (partition_of(&KEY, &key.to_be_bytes()), key, value)).collect();
        sorted.sort();
        let mut writer = SnapshotWriter::create(folder.path(), "base").unwrap();
        for (partition, key, value) in sorted {
            writer.push(partition, &key.to_be_bytes(), Some(&[*value; 16])).unwrap();
        }
        let snapshot = SnapshotRef { files: vec![writer.finish().unwrap()], rows: delivered.len() as u64 };
        let mut comparison = Comparison::with_budget(folder.path(), &snapshot, budget).unwrap();
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
        let batch = RecordBatch::try_new(
            schema,
            vec![Arc::new(Int64Array::from(scan.iter().map(|(key, _)| *key).collect::<Vec<_>>()))],
        )
        .unwrap();
        let mut found = Vec::new();
        for (row, (key, value)) in scan.iter().enumerate() {
            let encoded = key.to_be_bytes();
            let partition = partition_of(&KEY, &encoded);
            match comparison.meet(partition, &encoded, &[*value; 16]) {
                Some(verdict) => found.push((*key, verdict)),
                None => comparison
                    .set_aside(
                        partition,
                        &AsideRows {
                            batch: &batch,
                            rows: &[row as u32],
                            keys: vec![&encoded],
                            hashes: vec![[*value; 16]],
                        },
                    )
                    .unwrap(),
            }
        }
        let mut unmet = Vec::new();
        for partition in 0..PARTITIONS {
            let (mut known, aside) = comparison.take_partition(partition).unwrap();
            for batch in aside.into_iter().flatten() {
                let batch = batch.unwrap();
                let ids = batch.batch.column(0).as_primitive::<arrow::datatypes::Int64Type>();
                for row in 0..batch.batch.num_rows() {
                    found.push((ids.value(row), known.meet(batch.key(row), &batch.hash(row).unwrap())));
                }
            }
            unmet.extend(known.unmet().map(|key| i64::from_be_bytes(key.try_into().unwrap())));
        }
        found.sort_by_key(|(key, _)| *key);
        unmet.sort_unstable();
        (found, unmet)
    }

    #[test]
    fn memory_does_not_change_the_outcome() {
        let delivered: Vec<(i64, u8)> = (0..5_000).map(|key| (key, 1)).collect();
        let scan: Vec<(i64, u8)> = (1_000..6_000).map(|key| (key, if key % 10 == 0 { 2 } else { 1 })).collect();
        let plenty = verdicts(&delivered, &scan, u64::MAX / 2);
        for budget in [0, 100_000] {
            assert_eq!(verdicts(&delivered, &scan, budget), plenty);
        }
        let (found, unmet) = plenty;
        let count = |wanted| found.iter().filter(|(_, verdict)| *verdict == wanted).count();
        assert_eq!((count(Verdict::Unchanged), count(Verdict::Updated), count(Verdict::Inserted)), (3_600, 400, 1_000));
        assert_eq!(unmet, (0..1_000).collect::<Vec<i64>>());
    }
}
