//! What the destination is known to hold: a base file and the deltas after it.
//! Not here: the layout of the files (`files`), comparing (`compare`).
//! Called by runs, which read it before and write it after a publication.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray, BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use tapline_core::{Error, Result};

use super::files::{FileRef, PartitionedReader, PartitionedWriter};
use super::fingerprints::Fingerprints;
use super::known::Known;
use super::{PARTITIONS, RowHash};

/// So many files, and the next commit writes a new base.
const MOST_FILES: usize = 8;
/// Rows of one batch in a file.
const BATCH_ROWS: usize = 64 << 10;

/// A snapshot, as the checkpoint names it: a base, then deltas in the order of their runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotRef {
    /// The files, oldest first.
    pub(crate) files: Vec<FileRef>,
    /// Rows that the destination is known to hold.
    pub(crate) rows: u64,
}

impl SnapshotRef {
    /// Whether reading it costs so much more than its rows are worth that a new base pays.
    pub(crate) fn wants_compaction(&self) -> bool {
        let written: u64 = self.files.iter().map(|file| file.rows).sum();
        self.files.len() > MOST_FILES || (self.files.len() > 1 && written > self.rows + self.rows / 2 + 1_000)
    }
}

/// Reads a snapshot, partition by partition.
pub(crate) struct SnapshotReader {
    readers: Vec<PartitionedReader>,
}

impl SnapshotReader {
    /// Opens all files of a snapshot.
    pub(crate) fn open(folder: &Path, snapshot: &SnapshotRef) -> Result<Self> {
        let readers = snapshot.files.iter().map(|file| PartitionedReader::open(folder, file)).collect::<Result<_>>()?;
        Ok(Self { readers })
    }

    /// The rows of one partition, in memory.
    pub(crate) fn load(&mut self, partition: usize) -> Result<Known> {
        let mut known = Known::default();
        for reader in &mut self.readers {
            for batch in reader.partition(partition)? {
                known.reserve(batch.num_rows());
                for row in rows(&batch) {
                    match row? {
                        (key, Some(hash)) => known.insert(key, hash),
                        (key, None) => known.remove(key),
                    }
                }
            }
        }
        Ok(known)
    }

    /// The fingerprints of the rows of one partition.
    pub(crate) fn fingerprints(&mut self, partition: usize) -> Result<Fingerprints> {
        // A later file replaces rows of an earlier one, and only their keys tell which.
        let [base] = self.readers.as_mut_slice() else {
            let known = self.load(partition)?;
            let mut fingerprints = Fingerprints::with_capacity(known.rows().count());
            known.rows().for_each(|(_, hash)| fingerprints.insert(hash));
            return Ok(fingerprints);
        };
        let batches = base.partition(partition)?;
        let mut fingerprints = Fingerprints::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
        for row in batches.iter().flat_map(rows) {
            if let (_, Some(hash)) = row? {
                fingerprints.insert(&hash);
            }
        }
        Ok(fingerprints)
    }
}

/// The rows of a batch: key, and hash where the row is present.
fn rows(batch: &RecordBatch) -> impl Iterator<Item = Result<(&[u8], Option<RowHash>)>> {
    let (keys, hashes, present) =
        (batch.column(0).as_binary::<i32>(), batch.column(1).as_fixed_size_binary(), batch.column(2).as_boolean());
    (0..batch.num_rows()).map(move |row| {
        let hash = if present.value(row) { Some(row_hash(hashes.value(row))?) } else { None };
        Ok((keys.value(row), hash))
    })
}

/// The 16 bytes of a stored hash.
pub(crate) fn row_hash(bytes: &[u8]) -> Result<RowHash> {
    bytes.try_into().map_err(|_| Error::internal("a stored row hash has not 16 bytes"))
}

/// Writes one snapshot file: a base, or the delta of a run.
pub(crate) struct SnapshotWriter {
    writer: PartitionedWriter,
    schema: SchemaRef,
    partition: usize,
    keys: BinaryBuilder,
    hashes: FixedSizeBinaryBuilder,
    present: BooleanBuilder,
}

impl SnapshotWriter {
    /// Begins the file `name` in `folder`.
    pub(crate) fn create(folder: &Path, name: &str) -> Result<Self> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("key", DataType::Binary, false),
            Field::new("hash", DataType::FixedSizeBinary(16), false),
            Field::new("present", DataType::Boolean, false),
        ]));
        Ok(Self {
            writer: PartitionedWriter::create(folder, name, &schema)?,
            schema,
            partition: 0,
            keys: BinaryBuilder::new(),
            hashes: FixedSizeBinaryBuilder::new(16),
            present: BooleanBuilder::new(),
        })
    }

    /// Adds a row: delivered with this hash, or, without one, removed.
    pub(crate) fn push(&mut self, partition: usize, key: &[u8], hash: Option<&RowHash>) -> Result<()> {
        use arrow::array::ArrayBuilder;
        if partition != self.partition
            || self.keys.values_slice().len() > (64 << 20)
            || self.present.len() >= BATCH_ROWS
        {
            self.flush()?;
            self.partition = partition;
        }
        self.keys.append_value(key);
        self.hashes
            .append_value(hash.unwrap_or(&[0; 16]))
            .map_err(|error| Error::internal("writing a snapshot").because(error))?;
        self.present.append_value(hash.is_some());
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        use arrow::array::ArrayBuilder;
        let batch = RecordBatch::try_new(
            Arc::clone(&self.schema),
            vec![Arc::new(self.keys.finish()), Arc::new(self.hashes.finish()), ArrayBuilder::finish(&mut self.present)],
        )
        .map_err(|error| Error::internal("writing a snapshot").because(error))?;
        self.writer.write(self.partition, &batch)
    }

    /// Makes the file durable.
    pub(crate) fn finish(mut self) -> Result<FileRef> {
        self.flush()?;
        self.writer.finish()
    }
}

/// Writes a new base that holds what the snapshot's files hold together.
pub(crate) fn compact(folder: &Path, snapshot: &SnapshotRef, name: &str) -> Result<SnapshotRef> {
    let mut reader = SnapshotReader::open(folder, snapshot)?;
    let mut writer = SnapshotWriter::create(folder, name)?;
    for partition in 0..PARTITIONS {
        let known = reader.load(partition)?;
        for (key, hash) in known.rows() {
            writer.push(partition, key, Some(hash))?;
        }
    }
    let file = writer.finish()?;
    Ok(SnapshotRef { rows: file.rows, files: vec![file] })
}

/// The folder of a sync's snapshot files.
pub(crate) fn folder_of(snapshots: &Path, sync: &str) -> PathBuf {
    snapshots.join(sync)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, rows: &[(&[u8], Option<u8>)]) -> FileRef {
        let mut writer = SnapshotWriter::create(folder, name).unwrap();
        for (key, hash) in rows {
            writer.push(key[0] as usize % PARTITIONS, key, hash.map(|byte| [byte; 16]).as_ref()).unwrap();
        }
        writer.finish().unwrap()
    }

    fn rows(folder: &Path, snapshot: &SnapshotRef) -> Vec<(Vec<u8>, u8)> {
        let mut reader = SnapshotReader::open(folder, snapshot).unwrap();
        let mut rows = Vec::new();
        for partition in 0..PARTITIONS {
            let known = reader.load(partition).unwrap();
            rows.extend(known.rows().map(|(key, hash)| (key.to_vec(), hash[0])));
        }
        rows.sort();
        rows
    }

    #[test]
    fn deltas_apply_in_order_and_compaction_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = vec![
            write(folder.path(), "base", &[(b"a", Some(1)), (b"b", Some(1)), (b"c", Some(1))]),
            write(folder.path(), "one", &[(b"a", Some(2)), (b"b", None), (b"d", Some(2))]),
            write(folder.path(), "two", &[(b"b", Some(3)), (b"c", None)]),
        ];
        let snapshot = SnapshotRef { files, rows: 3 };
        let expected = vec![(b"a".to_vec(), 2), (b"b".to_vec(), 3), (b"d".to_vec(), 2)];
        assert_eq!(rows(folder.path(), &snapshot), expected);
        let compacted = compact(folder.path(), &snapshot, "new").unwrap();
        assert_eq!(compacted.files.len(), 1);
        assert_eq!(compacted.rows, 3);
        assert_eq!(rows(folder.path(), &compacted), expected);
    }
}
