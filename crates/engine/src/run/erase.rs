//! Forgetting one primary key: out of the snapshot and out of the rejected rows, as if it had never been delivered.
//! Not here: the row at the destination and in the source's files, which are not Tapline's to delete.
//! Called by `erase` and by the API.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use serde_json::{Map, Value};
use tapline_core::values::Column;
use tapline_core::{Commit, Error, Lease, Result, codes};

use super::job::{RunOptions, SyncJob};
use super::record::Record;
use crate::diff::PARTITIONS;
use crate::diff::rows::KeyCodec;
use crate::diff::snapshot::{SnapshotReader, SnapshotRef, SnapshotWriter};

/// Keys that are looked at together.
const KEYS_AT_ONCE: usize = 8 << 10;

/// What was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Erased {
    /// Rows of the snapshot: 1 where the key was delivered.
    pub snapshots: u64,
    /// Rejected rows.
    pub rejects: u64,
}

/// Forgets the row with this primary key, whose fields are given by name; values count by their text. A row that the
/// source still holds is delivered again, as a new one, when its files change.
///
/// # Errors
/// `CONF-007` where `key` has not exactly the fields of the primary key, `SYNC-003` while the sync runs, `STATE-003`
/// where a run was cut off and has to be finished first.
pub async fn erase(job: &SyncJob, key: &Map<String, Value>) -> Result<Erased> {
    let lease = job.state.lease(&job.name, RunOptions::default().lock_timeout).await?;
    let outcome = erase_under(job, &lease, key).await;
    job.state.release(&lease).await?;
    outcome
}

async fn erase_under(job: &SyncJob, lease: &Lease, key: &Map<String, Value>) -> Result<Erased> {
    let sync = &job.name;
    if job.state.intent(sync).await?.is_some() {
        return Err(Error::new(
            codes::STATE_003,
            format!("erasing from {sync}: its last run was cut off, and what it delivered is not known yet"),
        )
        .hint(format!("run `tapline sync {sync}` first, which finds it out")));
    }
    let Some(checkpoint) = job.state.checkpoint(sync).await? else { return Ok(Erased::default()) };
    let mut record = Record::from_checkpoint(&checkpoint)?;
    if record.key.is_empty() {
        return Ok(Erased::default());
    }
    let names: Vec<&str> = record.key.iter().map(|field| field.name.as_str()).collect();
    if key.len() != names.len() || !names.iter().all(|name| key.contains_key(*name)) {
        return Err(Error::new(codes::CONF_007, format!("erasing from {sync}: these are not the fields of its key"))
            .hint(format!("its primary key is {}", names.join(", "))));
    }
    let wanted: Vec<String> = names.iter().filter_map(|name| key.get(*name)).map(text).collect();
    let mut rejects = job.state.rejects(sync).await?;
    let open = rejects.len();
    rejects.retain(|reject| !names.iter().zip(&wanted).all(|(name, text_of)| text(&reject.key[*name]) == *text_of));
    job.fetch(&record.snapshot.files).await?;
    let codec = KeyCodec::from_fields(&record.key)?;
    let name = format!("erased-{}.arrow", lease.generation);
    let (snapshot, found) = without(&job.folder(), &record.snapshot, &name, &codec, &wanted)?;
    let before = std::mem::replace(&mut record.snapshot, snapshot);
    let erased = Erased { snapshots: found, rejects: (open - rejects.len()) as u64 };
    record.rejects = record.rejects.saturating_sub(erased.rejects);
    job.share(&record.snapshot.files, &before).await?;
    let source_rejects = job.state.source_rejects(sync).await?;
    let commit = Commit { body: record.to_body()?, rejects, source_rejects };
    job.state.commit(lease, checkpoint.revision, commit).await?;
    job.sweep(&record.snapshot).await;
    Ok(erased)
}

/// Writes a new base without the rows whose key reads as `wanted`, and counts them. It is written even where there is
/// none: files of the snapshot may still hold keys that are not delivered any more.
fn without(
    folder: &Path,
    snapshot: &SnapshotRef,
    name: &str,
    codec: &KeyCodec,
    wanted: &[String],
) -> Result<(SnapshotRef, u64)> {
    let mut reader = SnapshotReader::open(folder, snapshot)?;
    let mut writer = SnapshotWriter::create(folder, name)?;
    let mut found = 0;
    for partition in 0..PARTITIONS {
        let known = reader.load(partition)?;
        let rows: Vec<_> = known.rows().collect();
        for rows in rows.chunks(KEYS_AT_ONCE) {
            let matches = reading_as(codec, rows.iter().map(|(key, _)| *key), wanted)?;
            for ((key, hash), matches) in rows.iter().zip(matches) {
                if matches {
                    found += 1;
                } else {
                    writer.push(partition, key, Some(hash))?;
                }
            }
        }
    }
    let file = writer.finish()?;
    Ok((SnapshotRef { rows: file.rows, files: vec![file] }, found))
}

/// Which of the encoded keys have these texts.
fn reading_as<'a>(codec: &KeyCodec, keys: impl Iterator<Item = &'a [u8]>, wanted: &[String]) -> Result<Vec<bool>> {
    let failed = |error: arrow::error::ArrowError| Error::internal("reading primary keys").because(error);
    let fields: Vec<Field> = codec.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), codec.decode(keys)?).map_err(failed)?;
    let mut matches = vec![true; batch.num_rows()];
    let mut bytes = Vec::new();
    for ((field, array), wanted) in batch.schema().fields().iter().zip(batch.columns()).zip(wanted) {
        let column =
            Column::new(field, array).map_err(|error| Error::internal("reading primary keys").because(error))?;
        for (row, matches) in matches.iter_mut().enumerate() {
            bytes.clear();
            column.json(row, &mut bytes);
            let value: Value = serde_json::from_slice(&bytes)
                .map_err(|error| Error::internal("reading primary keys").because(error))?;
            *matches &= text(&value) == *wanted;
        }
    }
    Ok(matches)
}

/// A value as text, by which `7` and `"7"` are the same.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow::datatypes::DataType;

    use super::*;
    use crate::run::record::KeyField;

    fn codec() -> KeyCodec {
        let field = |name, data_type| KeyField::of(&Field::new(name, data_type, false));
        KeyCodec::from_fields(&[field("id", DataType::Int64), field("region", DataType::Utf8)]).unwrap()
    }

    fn rows(folder: &Path, snapshot: &SnapshotRef) -> u64 {
        let mut reader = SnapshotReader::open(folder, snapshot).unwrap();
        (0..PARTITIONS).map(|partition| reader.load(partition).unwrap().rows().count() as u64).sum()
    }

    #[test]
    fn one_key_goes_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let columns: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from(vec![7, 7, 8])), Arc::new(StringArray::from(vec!["eu", "us", "eu"]))];
        let keys = codec().encode_columns(&columns).unwrap();
        let mut writer = SnapshotWriter::create(folder.path(), "base").unwrap();
        for (partition, key) in keys.iter().enumerate() {
            writer.push(partition, key.data(), Some(&[1; 16])).unwrap();
        }
        let snapshot = SnapshotRef { rows: 3, files: vec![writer.finish().unwrap()] };
        let erase = |name: &str, id: &str, region: &str| {
            without(folder.path(), &snapshot, name, &codec(), &[id.to_owned(), region.to_owned()]).unwrap()
        };
        let (after, found) = erase("one", "7", "eu");
        assert_eq!((found, after.rows, rows(folder.path(), &after)), (1, 2, 2));
        let (after, found) = erase("none", "9", "eu");
        assert_eq!((found, after.rows), (0, 3));
    }

    #[test]
    fn values_count_by_their_text() {
        assert_eq!(text(&Value::from(7)), text(&Value::from("7")));
        assert_ne!(text(&Value::from(7)), text(&Value::from("07")));
    }
}
