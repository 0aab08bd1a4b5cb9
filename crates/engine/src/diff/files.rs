//! Partitioned, immutable Arrow files: how snapshots and change logs lie on disk.
//! Not here: what their columns mean (`snapshot`, `log`).
//! Called by the siblings.
//!
//! A file holds record batches, each of one partition, and in its metadata which batch belongs to which. It is written
//! under a temporary name, synced, renamed and its folder synced, so that a file under its final name is whole.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use serde::{Deserialize, Serialize};
use tapline_core::{Error, Result, codes};

use super::PARTITIONS;

const PARTITION_KEY: &str = "tapline.partitions";

/// A finished file, as the checkpoint names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRef {
    /// Its name in the sync's folder.
    pub(crate) name: String,
    /// Its rows.
    pub(crate) rows: u64,
    /// Its length; a file of another length is damaged.
    pub(crate) bytes: u64,
}

/// Writes a file, batch by batch.
pub(crate) struct PartitionedWriter {
    folder: PathBuf,
    name: String,
    writer: FileWriter<BufWriter<File>>,
    partitions: Vec<usize>,
    rows: u64,
}

impl PartitionedWriter {
    /// Begins the file `name` in `folder`.
    pub(crate) fn create(folder: &Path, name: &str, schema: &SchemaRef) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|error| write_error(folder, error))?;
        let path = temporary(folder, name);
        let file = File::create(&path).map_err(|error| write_error(&path, error))?;
        let options = IpcWriteOptions::default()
            .try_with_compression(Some(CompressionType::LZ4_FRAME))
            .map_err(|error| write_error(&path, error))?;
        let writer = FileWriter::try_new_with_options(BufWriter::new(file), schema, options)
            .map_err(|error| write_error(&path, error))?;
        Ok(Self { folder: folder.to_owned(), name: name.to_owned(), writer, partitions: Vec::new(), rows: 0 })
    }

    /// Adds a batch of one partition.
    pub(crate) fn write(&mut self, partition: usize, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.writer.write(batch).map_err(|error| write_error(&self.folder, error))?;
        self.partitions.push(partition);
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Makes the file durable under its final name.
    pub(crate) fn finish(mut self) -> Result<FileRef> {
        let path = temporary(&self.folder, &self.name);
        let list: Vec<String> = self.partitions.iter().map(usize::to_string).collect();
        self.writer.write_metadata(PARTITION_KEY, list.join(","));
        self.writer.finish().map_err(|error| write_error(&path, error))?;
        let buffer = self.writer.into_inner().map_err(|error| write_error(&path, error))?;
        let file = buffer.into_inner().map_err(|error| write_error(&path, error.into_error()))?;
        file.sync_all().map_err(|error| write_error(&path, error))?;
        let bytes = file.metadata().map_err(|error| write_error(&path, error))?.len();
        std::fs::rename(&path, self.folder.join(&self.name)).map_err(|error| write_error(&path, error))?;
        sync_folder(&self.folder)?;
        Ok(FileRef { name: self.name, rows: self.rows, bytes })
    }
}

/// Reads a file, partition by partition.
pub(crate) struct PartitionedReader {
    path: PathBuf,
    reader: FileReader<BufReader<File>>,
    batches: Vec<Vec<usize>>,
}

impl PartitionedReader {
    /// Opens a file that [`PartitionedWriter::finish`] has named.
    pub(crate) fn open(folder: &Path, file: &FileRef) -> Result<Self> {
        let path = folder.join(&file.name);
        let opened = File::open(&path).map_err(|error| read_error(&path, error))?;
        let bytes = opened.metadata().map_err(|error| read_error(&path, error))?.len();
        if bytes != file.bytes {
            return Err(read_error(&path, format!("it has {bytes} bytes instead of {}", file.bytes)));
        }
        let reader = FileReader::try_new(BufReader::new(opened), None).map_err(|error| read_error(&path, error))?;
        let mut batches = vec![Vec::new(); PARTITIONS];
        let list = reader.custom_metadata().get(PARTITION_KEY).cloned().unwrap_or_default();
        for (index, partition) in list.split(',').filter(|text| !text.is_empty()).enumerate() {
            partition
                .parse::<usize>()
                .ok()
                .and_then(|partition| batches.get_mut(partition))
                .ok_or_else(|| read_error(&path, "its list of partitions cannot be read"))?
                .push(index);
        }
        Ok(Self { path, reader, batches })
    }

    /// The batches of one partition.
    pub(crate) fn partition(&mut self, partition: usize) -> Result<Vec<RecordBatch>> {
        let Self { path, reader, batches } = self;
        batches[partition]
            .iter()
            .map(|index| {
                reader.set_index(*index).map_err(|error| read_error(path, error))?;
                reader
                    .next()
                    .ok_or_else(|| read_error(path, "it ends too early"))?
                    .map_err(|error| read_error(path, error))
            })
            .collect()
    }
}

/// Removes every file of the folder that is not in `kept`: leftovers of runs that were cut off.
pub(crate) fn sweep(folder: &Path, kept: &[&str]) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !kept.iter().any(|keep| name.to_str() == Some(keep)) && std::fs::remove_file(entry.path()).is_err() {
            tracing::warn!(file = %entry.path().display(), "cannot remove a leftover file");
        }
    }
}

fn temporary(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.tmp"))
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| write_error(folder, error))
}

fn write_error(path: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(codes::FILE_006, format!("writing {}", path.display()))
        .because(error)
        .hint("make room on the disk, and make sure the folder can be written")
}

fn read_error(path: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(codes::STATE_004, format!("reading {}", path.display()))
        .because(error)
        .hint("run `tapline reset SYNC` to deliver everything again")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, UInt64Array};
    use arrow::datatypes::{DataType, Field, Schema, UInt64Type};

    use super::*;

    fn batch(numbers: &[u64]) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::UInt64, false)]));
        RecordBatch::try_new(schema, vec![Arc::new(UInt64Array::from(numbers.to_vec()))]).unwrap()
    }

    #[test]
    fn partitions_come_back_and_damage_shows() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = PartitionedWriter::create(folder.path(), "a.arrow", &batch(&[]).schema()).unwrap();
        writer.write(3, &batch(&[1, 2])).unwrap();
        writer.write(5, &batch(&[9])).unwrap();
        writer.write(3, &batch(&[4])).unwrap();
        let file = writer.finish().unwrap();
        assert_eq!(file.rows, 4);
        let mut reader = PartitionedReader::open(folder.path(), &file).unwrap();
        let numbers: Vec<u64> = reader
            .partition(3)
            .unwrap()
            .iter()
            .flat_map(|batch| batch.column(0).as_primitive::<UInt64Type>().values().to_vec())
            .collect();
        assert_eq!(numbers, [1, 2, 4]);
        assert!(reader.partition(0).unwrap().is_empty());

        let path = folder.path().join("a.arrow");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let error = PartitionedReader::open(folder.path(), &file).err().unwrap();
        assert_eq!(error.code(), codes::STATE_004);
    }

    #[test]
    fn a_sweep_removes_what_nobody_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["keep", "drop", "half.tmp"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        sweep(folder.path(), &["keep"]);
        let left: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        assert_eq!(left, ["keep"]);
    }
}
