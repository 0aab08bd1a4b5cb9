//! After a publication: the snapshot's next delta, the counts by what really happened, the commit.
//! Not here: the publication itself (destinations), storing (`StateStore`).
//! Called at the end of a run, and by recovery, which finishes what a killed run had published.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use arrow::array::RecordBatch;
use chrono::Utc;
use tapline_core::{Outcome, Reject, Result, RowCounts, RowId, RowOutcome};

use super::deliver::Answers;
use super::payload::{RejectedRow, key_json, row_json};
use super::record::IntentRecord;
use crate::diff::PARTITIONS;
use crate::diff::log::{Change, LogReader};
use crate::diff::rows::KeyCodec;
use crate::diff::snapshot::{SnapshotRef, SnapshotWriter, compact};

/// Memory for staged rows that are kept until their outcome is known, in bytes.
const KEPT_BYTES: usize = 32 << 20;

/// The rows that a run has staged, as far as they fit, so that a rejected row can be shown.
#[derive(Default)]
pub(crate) struct Kept {
    batches: HashMap<u64, RecordBatch>,
    bytes: usize,
}

impl Kept {
    /// Keeps a batch while there is room.
    pub(crate) fn push(&mut self, seq: u64, rows: &RecordBatch) {
        let bytes = rows.get_array_memory_size();
        if self.bytes + bytes <= KEPT_BYTES {
            self.bytes += bytes;
            self.batches.insert(seq, rows.clone());
        }
    }

    /// A row that is kept, field by field.
    pub(crate) fn payload(&self, row: RowId) -> Result<Option<serde_json::Value>> {
        self.batches.get(&row.seq).map(|rows| row_json(rows, row.ordinal as usize)).transpose()
    }
}

/// What a publication came to.
pub(crate) struct Settled {
    /// The snapshot after it.
    pub(crate) snapshot: SnapshotRef,
    /// Rows that the destination refused.
    pub(crate) rejected: Vec<RejectedRow>,
}

/// How far a publication has come.
#[derive(Clone, Copy)]
pub(crate) enum Extent<'a> {
    /// All staged rows, less those of the outcomes.
    Whole,
    /// The rows that were answered for. The others count as neither read nor delivered.
    Part(&'a Answers),
}

/// Writes the delta of a publication into `folder` as the file `name` and corrects `counts` by the rows that were not
/// applied.
#[allow(clippy::too_many_arguments, reason = "each is another part of what a run leaves")]
pub(crate) fn settle(
    folder: &Path,
    name: &str,
    intent: &IntentRecord,
    extent: Extent<'_>,
    outcomes: Vec<RowOutcome>,
    codec: Option<&KeyCodec>,
    kept: &Kept,
    counts: &mut RowCounts,
) -> Result<Settled> {
    let outcomes: HashMap<RowId, Outcome> =
        outcomes.into_iter().map(|outcome| (outcome.row, outcome.outcome)).collect();
    let mut rejected = Vec::new();
    let (Some(log), Some(codec)) = (&intent.log, codec) else {
        for (row, outcome) in outcomes {
            counts.inserted = counts.inserted.saturating_sub(1);
            if let Outcome::Rejected { code, reason } = outcome {
                counts.rejected += 1;
                let payload = kept.payload(row)?;
                let (key, code) = (serde_json::Value::Null, code.id.to_owned());
                rejected.push(RejectedRow { encoded_key: Vec::new(), key, code, reason, payload });
            } else {
                counts.skipped += 1;
            }
        }
        return Ok(Settled { snapshot: SnapshotRef::default(), rejected });
    };
    let mut snapshot = if intent.full { SnapshotRef::default() } else { intent.after.snapshot.clone() };
    let mut reader = LogReader::open(folder, log)?;
    let mut writer = SnapshotWriter::create(folder, name)?;
    let (mut added, mut removed) = (0_u64, 0_u64);
    for partition in 0..PARTITIONS {
        reader.visit(partition, |row| {
            let Some(outcome) = outcomes.get(&row.row) else {
                if let Extent::Part(answers) = extent
                    && !answers.has(row.row)
                {
                    counts.take_back(row.change);
                    counts.read = counts.read.saturating_sub(u64::from(row.change != Change::Deleted));
                    return Ok(());
                }
                match row.change {
                    Change::Inserted => added += 1,
                    Change::Updated => {}
                    Change::Deleted => removed += 1,
                }
                let hash = (row.change != Change::Deleted).then_some(&row.hash);
                return writer.push(partition, row.key, hash);
            };
            counts.take_back(row.change);
            match (outcome, row.change) {
                (Outcome::Skipped, Change::Deleted) => {}
                (Outcome::Skipped, _) => counts.skipped += 1,
                (Outcome::Rejected { .. }, Change::Deleted) => counts.delete_rejected += 1,
                (Outcome::Rejected { .. }, _) => counts.rejected += 1,
            }
            if let Outcome::Rejected { code, reason } = outcome {
                rejected.push(RejectedRow {
                    encoded_key: row.key.to_vec(),
                    key: key_json(codec, row.key)?,
                    code: code.id.to_owned(),
                    reason: reason.clone(),
                    payload: kept.payload(row.row)?,
                });
            }
            Ok(())
        })?;
    }
    let file = writer.finish()?;
    if file.rows > 0 || snapshot.files.is_empty() {
        snapshot.files.push(file);
    }
    snapshot.rows = (snapshot.rows + added).saturating_sub(removed);
    if snapshot.wants_compaction() {
        snapshot = compact(folder, &snapshot, &format!("{name}.base"))?;
    }
    Ok(Settled { snapshot, rejected })
}

/// Counts that change once it is known what became of a row.
trait Recount {
    /// Counts a row as not changed after all.
    fn take_back(&mut self, change: Change);
}

impl Recount for RowCounts {
    fn take_back(&mut self, change: Change) {
        let count = match change {
            Change::Inserted => &mut self.inserted,
            Change::Updated => &mut self.updated,
            Change::Deleted => &mut self.deleted,
        };
        *count = count.saturating_sub(1);
    }
}

/// The open rejected rows after a run that delivered a part: those it refused, and those open before that it has no
/// answer for.
pub(crate) fn open_after_part(
    folder: &Path,
    intent: &IntentRecord,
    answers: &Answers,
    rejected: Vec<RejectedRow>,
    before: &[Reject],
) -> Result<Vec<Reject>> {
    let mut settled: HashSet<Vec<u8>> = rejected.iter().map(|row| row.encoded_key.clone()).collect();
    let known: HashSet<&[u8]> = before.iter().map(|reject| reject.encoded_key.as_slice()).collect();
    if let Some(log) = intent.log.as_ref().filter(|_| !before.is_empty()) {
        let mut reader = LogReader::open(folder, log)?;
        for partition in 0..PARTITIONS {
            reader.visit(partition, |row| {
                if known.contains(row.key) && answers.knows(row.row) {
                    settled.insert(row.key.to_vec());
                }
                Ok(())
            })?;
        }
    }
    let mut open: Vec<Reject> =
        before.iter().filter(|reject| !settled.contains(&reject.encoded_key)).cloned().collect();
    open.extend(open_rejects(rejected, before));
    Ok(open)
}

/// The open rejected rows after a run: those it refused, with the history of those that were refused before.
pub(crate) fn open_rejects(rejected: Vec<RejectedRow>, before: &[Reject]) -> Vec<Reject> {
    let known: HashMap<&[u8], &Reject> = before.iter().map(|reject| (reject.encoded_key.as_slice(), reject)).collect();
    let now = Utc::now();
    rejected
        .into_iter()
        .map(|row| {
            let earlier = known.get(row.encoded_key.as_slice()).filter(|_| !row.encoded_key.is_empty());
            Reject {
                key: row.key,
                reason: row.reason,
                code: row.code,
                payload: row.payload,
                attempts: earlier.map_or(1, |reject| reject.attempts + 1),
                first_at: earlier.map_or(now, |reject| reject.first_at),
                last_at: now,
                encoded_key: row.encoded_key,
            }
        })
        .collect()
}
