//! Rows without a primary key, and rows that share one: they stop a run, or are taken back before it publishes.
//! Not here: finding them, which the comparison does.
//! Called at the end of staging.

use std::collections::{HashMap, HashSet};

use arrow::array::{Array, ArrayRef, RecordBatch};
use tapline_core::config::OnBadKey;
use tapline_core::{Error, Result, RowId, codes};

use super::payload::{RejectedRow, row_json};
use super::stage::{ChangeSink, KEPT_PAYLOADS, Keyed, Staged};
use crate::diff::PARTITIONS;
use crate::diff::files::FileRef;
use crate::diff::known::Known;
use crate::diff::log::{Change, LogReader, LogWriter};
use crate::diff::rows::KeyCodec;
use crate::sql::Query;

/// Rows with bad keys that stop a run.
#[derive(Debug)]
pub(crate) struct BadKeys {
    /// `KEY-001` or `KEY-002`, with counts.
    pub(crate) error: Error,
    /// Some of the keys that repeat; empty where keys are null.
    pub(crate) samples: Vec<Vec<u8>>,
}

/// Repeated keys that are looked for in the files.
const SAMPLES: usize = 3;

/// What bad keys come to where they stop the run.
pub(super) fn stopped_by(nulls: u64, duplicates: &[Vec<u8>], read: u64, codec: &KeyCodec) -> Option<BadKeys> {
    let names: Vec<&str> = codec.fields().iter().map(|field| field.name().as_str()).collect();
    let names = names.join(", ");
    if nulls > 0 {
        let error = Error::new(codes::KEY_001, format!("{nulls} of {read} rows have no primary key ({names})"))
            .hint("leave such rows out of the model, or set `on_bad_key: reject` to deliver the others");
        return Some(BadKeys { error, samples: Vec::new() });
    }
    if duplicates.is_empty() {
        return None;
    }
    let count = duplicates.len();
    let error =
        Error::new(codes::KEY_002, format!("{count} of {read} rows repeat the primary key ({names}) of another row"))
            .hint(format!("find them with SELECT {names}, count(*) … GROUP BY {names} HAVING count(*) > 1"))
            .hint("choose a key that is unique, or set `on_bad_key: reject` to deliver the others");
    Some(BadKeys { error, samples: duplicates.iter().take(SAMPLES).cloned().collect() })
}

impl BadKeys {
    /// The error, with the rows' places in their files where they can be found.
    pub(crate) async fn located(self, query: &Query, columns: &[usize], codec: &KeyCodec) -> Error {
        const MOST: usize = 6;
        let samples = &self.samples;
        let wanted = |values: &[ArrayRef]| -> Vec<bool> {
            let rows = values.first().map_or(0, |column| column.len());
            if samples.is_empty() {
                return (0..rows).map(|row| values.iter().any(|column| column.is_null(row))).collect();
            }
            let Ok(keys) = codec.encode_columns(values) else { return vec![false; rows] };
            (0..rows).map(|row| samples.iter().any(|sample| sample == keys.row(row).data())).collect()
        };
        let places = query.locate(columns, &wanted, MOST).await;
        let Some((first, others)) = places.split_first() else { return self.error };
        let others: String = others.iter().map(|place| format!(", {place}")).collect();
        self.error.hint(format!("found at: {first}{others}"))
    }
}

/// The keys of inserted rows that another inserted row has too; once per row beyond the first.
pub(super) fn duplicate_insertions(folder: &std::path::Path, log: &FileRef) -> Result<Vec<Vec<u8>>> {
    let mut reader = LogReader::open(folder, log)?;
    let mut duplicates = Vec::new();
    for partition in 0..PARTITIONS {
        let mut seen = Known::default();
        reader.visit(partition, |row| {
            if row.change == Change::Inserted && !seen.is_first(row.key) {
                duplicates.push(row.key.to_vec());
            }
            Ok(())
        })?;
    }
    Ok(duplicates)
}

/// Rows that must not be published.
pub(super) struct BadRows {
    /// Keys, once per row beyond the first.
    pub(super) duplicates: Vec<Vec<u8>>,
    /// Rows that the sink refused at once.
    pub(super) refused: HashSet<RowId>,
}

/// Takes all rows of duplicated keys back: from the sink, from the counts, and from the log, which is written anew
/// without them and without the rows that the sink refused.
pub(super) async fn take_back(
    staged: &mut Staged,
    sink: &mut dyn ChangeSink,
    codec: &KeyCodec,
    bad: BadRows,
    folder: &std::path::Path,
    log: &FileRef,
    name: &str,
) -> Result<FileRef> {
    let BadRows { duplicates, refused } = bad;
    let mut bad: HashMap<Vec<u8>, bool> = duplicates.into_iter().map(|key| (key, false)).collect();
    let mut reader = LogReader::open(folder, log)?;
    let name = format!("{name}.unique");
    let mut writer = LogWriter::create(folder, &name)?;
    let mut rows = Vec::new();
    let counts = &mut staged.counts;
    for partition in 0..PARTITIONS {
        reader.visit(partition, |row| {
            let duplicated = bad.get_mut(row.key).map(|logged| *logged = true).is_some();
            if refused.contains(&row.row) {
                return Ok(());
            }
            if !duplicated {
                return writer.push(partition, &row);
            }
            match row.change {
                Change::Inserted => counts.inserted -= 1,
                Change::Updated => counts.updated -= 1,
                Change::Deleted => return Ok(()),
            }
            counts.rejected += 1;
            rows.push(row.row);
            if staged.rejected.len() < KEPT_PAYLOADS {
                staged.rejected.push(RejectedRow {
                    encoded_key: row.key.to_vec(),
                    key: super::payload::key_json(codec, row.key)?,
                    code: codes::KEY_002.id.to_owned(),
                    reason: "another row has the same primary key".to_owned(),
                    payload: sink.payload(row.row)?,
                });
            }
            Ok(())
        })?;
    }
    // A key whose first row is in no log was met unchanged or skipped; that row is a duplicate like the others.
    let unlogged = bad.values().filter(|logged| !**logged).count() as u64;
    let from_unchanged = unlogged.min(staged.counts.unchanged);
    staged.counts.unchanged -= from_unchanged;
    staged.counts.skipped -= unlogged - from_unchanged;
    staged.counts.rejected += unlogged;
    for row in &rows {
        staged.staged[row.seq as usize] -= 1;
    }
    if !rows.is_empty() {
        sink.retract(&rows).await?;
    }
    writer.finish()
}

/// Notes a row whose key was met before.
pub(super) fn duplicate(
    keyed: &mut Keyed<'_>,
    on_bad_key: OnBadKey,
    batch: &RecordBatch,
    row: usize,
    key: &[u8],
) -> Result<()> {
    keyed.duplicates.push(key.to_vec());
    keep_bad(keyed, on_bad_key, batch, row, key, &codes::KEY_002, "another row has the same primary key")
}

/// Keeps a row with a bad key to be shown, where it does not stop the run.
pub(super) fn keep_bad(
    keyed: &mut Keyed<'_>,
    on_bad_key: OnBadKey,
    batch: &RecordBatch,
    row: usize,
    key: &[u8],
    code: &tapline_core::Code,
    reason: &str,
) -> Result<()> {
    if on_bad_key == OnBadKey::Fail || keyed.bad.len() >= KEPT_PAYLOADS {
        return Ok(());
    }
    keyed.bad.push(RejectedRow {
        encoded_key: key.to_vec(),
        key: super::payload::key_json(keyed.codec, key)?,
        code: code.id.to_owned(),
        reason: reason.to_owned(),
        payload: Some(row_json(batch, row)?),
    });
    Ok(())
}
