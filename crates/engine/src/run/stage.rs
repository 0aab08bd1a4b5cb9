//! From mapped rows to staged changes: compare, count, batch, log.
//! Not here: the order of a run's steps (`walk`), the comparison itself (`diff`).
//! Called by runs, with a destination's writer, and by plans, with a sink that only looks.

use std::collections::HashSet;

use arrow::array::{RecordBatch, UInt32Array};
use async_trait::async_trait;
use tapline_core::config::{OnBadKey, Write};
use tapline_core::{ChangeBatch, Error, Op, Outcome, Receipt, Result, RowCounts, RowId, RowOutcome, codes};

use super::bad_keys::{BadKeys, BadRows, duplicate, duplicate_insertions, keep_bad, stopped_by, take_back};
use super::drift::Misfit;
use super::payload::{RejectedRow, row_json};
use super::shape::Shaped;
use crate::diff::RowHash;
use crate::diff::aside::AsideRows;
use crate::diff::compare::{Comparison, Ended, Meeting};
use crate::diff::files::FileRef;
use crate::diff::known::Verdict;
use crate::diff::log::{Change, LogRow, LogWriter};
use crate::diff::rows::{KeyCodec, RowKeys, hash, partition_of};

/// Rejected rows whose payload is kept.
pub(super) const KEPT_PAYLOADS: usize = 10_000;
/// So many rows may not fit the columns of the last run; beyond them it is not the rows that are wrong.
const MOST_MISFITS: usize = 1_000_000;

/// Where changes go.
#[async_trait]
pub(crate) trait ChangeSink: Send {
    /// Takes a batch.
    async fn write(&mut self, batch: ChangeBatch, changes: &[Change]) -> Result<Receipt>;
    /// Takes rows back.
    async fn retract(&mut self, rows: &[RowId]) -> Result<()>;
    /// A row that it was given, field by field, where it is kept.
    fn payload(&self, row: RowId) -> Result<Option<serde_json::Value>>;
}

/// What decides over a row.
#[derive(Debug, Clone)]
pub(crate) struct StagePolicy {
    /// The sync's `write`.
    pub(crate) write: Write,
    /// The sync's `on_bad_key`.
    pub(crate) on_bad_key: OnBadKey,
    /// Whether rows that left the model are deleted.
    pub(crate) propagate_deletes: bool,
    /// Rows per change batch.
    pub(crate) batch_rows: usize,
    /// Stop after so many deliveries.
    pub(crate) limit: Option<u64>,
    /// Look only at rows with these encoded keys; the others are not even counted.
    pub(crate) only: Option<HashSet<Vec<u8>>>,
    /// Pass over rows with these encoded keys: they were rejected before, and stay so.
    pub(crate) held: HashSet<Vec<u8>>,
}

/// What came out of staging.
#[derive(Debug)]
pub(crate) struct Staged {
    /// Counts, as if everything staged were applied.
    pub(crate) counts: RowCounts,
    /// Rows per batch that the sink holds.
    pub(crate) staged: Vec<u64>,
    /// The finished log; absent without a primary key.
    pub(crate) log: Option<FileRef>,
    /// Rows with a bad key, and rows that the sink refused at once; payloads of the first 10,000.
    pub(crate) rejected: Vec<RejectedRow>,
    /// A digest over all changes, in any order: two scans that find the same changes have the same digest.
    pub(crate) digest: [u8; 16],
    /// Rows that the sink refused at once.
    pub(crate) refused: HashSet<RowId>,
    /// How many of them count as rejected.
    pub(crate) refusals: u64,
}

/// How staging ended.
#[derive(Debug)]
pub(crate) enum Finished {
    /// Everything is with the sink.
    Staged(Staged),
    /// Bad keys stop the run.
    BadKeys(BadKeys),
    /// Rows that seemed unchanged were not; nothing of the attempt may be used.
    Misled,
}

/// Stages one scan.
pub(crate) struct Stager<'a> {
    keyed: Option<Keyed<'a>>,
    policy: StagePolicy,
    sink: &'a mut dyn ChangeSink,
    counts: RowCounts,
    staged: Vec<u64>,
    refused: HashSet<RowId>,
    refusals: u64,
    rejected: Vec<RejectedRow>,
    pending: Pending,
    digest: [u8; 16],
    delivered: u64,
}

/// What staging needs where rows have a primary key.
pub(crate) struct Keyed<'a> {
    /// Encodes keys.
    pub(crate) codec: &'a KeyCodec,
    /// The sync's own key.
    pub(crate) hash_key: [u8; 16],
    /// What was delivered before; absent in a full refresh, where every row is new.
    pub(crate) comparison: Option<Comparison>,
    /// The folder and name of the log.
    pub(crate) log_place: (std::path::PathBuf, String),
    log: LogWriter,
    nulls: u64,
    pub(super) bad: Vec<RejectedRow>,
    pub(super) duplicates: Vec<Vec<u8>>,
    /// Keys of rows that do not fit the columns of the last run or are held back, by partition: they are still in the
    /// model.
    misfits: Vec<(usize, Vec<u8>)>,
}

impl<'a> Keyed<'a> {
    /// Begins the log `name` in `folder`.
    pub(crate) fn new(
        codec: &'a KeyCodec,
        hash_key: [u8; 16],
        comparison: Option<Comparison>,
        folder: &std::path::Path,
        name: &str,
    ) -> Result<Self> {
        Ok(Self {
            codec,
            hash_key,
            comparison,
            log_place: (folder.to_owned(), name.to_owned()),
            log: LogWriter::create(folder, name)?,
            nulls: 0,
            bad: Vec::new(),
            duplicates: Vec::new(),
            misfits: Vec::new(),
        })
    }
}

/// Changed rows that wait for a full batch.
#[derive(Default)]
struct Pending {
    batches: Vec<RecordBatch>,
    rows: usize,
    entries: Vec<Entry>,
    keys: Vec<u8>,
}

struct Entry {
    partition: usize,
    change: Change,
    key_end: usize,
    hash: RowHash,
}

impl<'a> Stager<'a> {
    /// Stages into `sink`; without `keyed` every row is new.
    pub(crate) fn new(keyed: Option<Keyed<'a>>, policy: StagePolicy, sink: &'a mut dyn ChangeSink) -> Self {
        Self {
            keyed,
            policy,
            sink,
            counts: RowCounts::default(),
            staged: Vec::new(),
            refused: HashSet::new(),
            refusals: 0,
            rejected: Vec::new(),
            pending: Pending::default(),
            digest: [0; 16],
            delivered: 0,
        }
    }

    /// Counts so far.
    pub(crate) fn counts(&self) -> RowCounts {
        self.counts
    }

    /// Whether the limit is reached and the scan can end.
    pub(crate) fn is_cut(&self) -> bool {
        self.policy.limit.is_some_and(|limit| self.delivered >= limit)
    }

    /// Takes some shaped rows.
    pub(crate) async fn push(&mut self, shaped: &Shaped) -> Result<()> {
        let (Some(keyed), Some(row_keys)) = (&mut self.keyed, &shaped.keys) else {
            return self.push_unkeyed(shaped).await;
        };
        let batch = &shaped.rows;
        let RowKeys { keys, hashes, partitions, may_have_null } = row_keys;
        let mut picked = Vec::with_capacity(batch.num_rows());
        let mut aside: Vec<u32> = Vec::new();
        for (row, hash) in hashes.iter().enumerate() {
            if self.policy.limit.is_some_and(|limit| self.delivered >= limit) {
                break;
            }
            let key = keys.row(row).data();
            if self.policy.only.as_ref().is_some_and(|only| !only.contains(key)) {
                continue;
            }
            if self.policy.held.contains(key) {
                self.counts.read += 1;
                self.counts.rejected += 1;
                keyed.misfits.push((partitions[row], key.to_vec()));
                continue;
            }
            if *may_have_null && keyed.codec.has_null(batch, row) {
                self.counts.read += 1;
                self.counts.rejected += 1;
                keyed.nulls += 1;
                keep_bad(
                    keyed,
                    self.policy.on_bad_key,
                    batch,
                    row,
                    key,
                    &codes::KEY_001,
                    "a part of the primary key is null",
                )?;
                continue;
            }
            let partition = partitions[row];
            if let Some(misfit) = shaped.misfit(row) {
                self.counts.read += 1;
                self.counts.rejected += 1;
                keyed.misfits.push((partition, key.to_vec()));
                let shown = super::payload::key_json(keyed.codec, key)?;
                keep_misfit(&mut self.rejected, misfit, &shaped.mapped, key.to_vec(), shown)?;
                continue;
            }
            let verdict = match &mut keyed.comparison {
                None => Verdict::Inserted,
                Some(comparison) => match comparison.meet(partition, key, hash)? {
                    Meeting::Compared(verdict) => verdict,
                    Meeting::Noted => continue,
                    Meeting::Unknown => {
                        aside.push(row as u32);
                        continue;
                    }
                },
            };
            self.counts.read += 1;
            if let Some(change) = judge(&mut self.counts, self.policy.write, verdict) {
                picked.push(row as u32);
                self.delivered += 1;
                self.pending.add(partition, change, key, *hash);
            } else if verdict == Verdict::Duplicate {
                duplicate(keyed, self.policy.on_bad_key, batch, row, key)?;
            }
        }
        if let Some(comparison) = keyed.comparison.as_mut().filter(|_| !aside.is_empty()) {
            comparison.set_aside(AsideRows {
                batch,
                partitions: aside.iter().map(|row| partitions[*row as usize]).collect(),
                keys: aside.iter().map(|row| keys.row(*row as usize).data()).collect(),
                hashes: aside.iter().map(|row| hashes[*row as usize]).collect(),
                rows: aside,
            })?;
        }
        if keyed.misfits.len() > MOST_MISFITS + self.policy.held.len() {
            return Err(Error::new(
                codes::SYNC_005,
                format!("more than {MOST_MISFITS} rows do not fit the columns as they were at the last run"),
            )
            .hint("the column has changed for good: use `on_drift: widen`, or cast it in the SQL"));
        }
        self.pending.take(batch, picked)?;
        self.flush_full(self.op()).await
    }

    /// Takes mapped rows of a sync without a primary key.
    async fn push_unkeyed(&mut self, shaped: &Shaped) -> Result<()> {
        let batch = &shaped.rows;
        let mut picked: Vec<u32> = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            match shaped.misfit(row) {
                None => picked.push(row as u32),
                Some(misfit) => {
                    keep_misfit(&mut self.rejected, misfit, &shaped.mapped, Vec::new(), serde_json::Value::Null)?;
                }
            }
        }
        let fitting = picked.len() as u64;
        self.counts.read += batch.num_rows() as u64;
        self.counts.inserted += fitting;
        self.counts.rejected += batch.num_rows() as u64 - fitting;
        self.delivered += fitting;
        self.pending.take(batch, picked)?;
        self.flush_full(Op::Upsert).await
    }

    fn op(&self) -> Op {
        match self.policy.write {
            Write::Upsert => Op::Upsert,
            Write::Insert => Op::Insert,
            Write::Update => Op::Update,
        }
    }

    async fn flush_full(&mut self, op: Op) -> Result<()> {
        if self.pending.rows >= self.policy.batch_rows { self.flush(op).await } else { Ok(()) }
    }

    /// Hands the waiting rows to the sink as one batch.
    async fn flush(&mut self, op: Op) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let Some(first) = pending.batches.first() else { return Ok(()) };
        let rows = arrow::compute::concat_batches(&first.schema(), &pending.batches)
            .map_err(|error| Error::internal("putting changed rows together").because(error))?;
        let seq = self.staged.len() as u64;
        let changes: Vec<Change> = pending.entries.iter().map(|entry| entry.change).collect();
        if let Some(keyed) = &mut self.keyed {
            let mut start = 0;
            for (ordinal, entry) in pending.entries.iter().enumerate() {
                let key = &pending.keys[start..entry.key_end];
                start = entry.key_end;
                let row = RowId { seq, ordinal: ordinal as u32 };
                keyed.log.push(entry.partition, &LogRow { row, change: entry.change, key, hash: entry.hash })?;
                let own = hash(&entry.hash, &[key, &[entry.change as u8]].concat());
                for (byte, other) in self.digest.iter_mut().zip(own) {
                    *byte ^= other;
                }
            }
        }
        let receipt = self.sink.write(ChangeBatch { seq, op, rows: rows.clone() }, &changes).await?;
        self.staged.push(rows.num_rows() as u64);
        for outcome in receipt.outcomes {
            self.refuse(&rows, &pending, outcome)?;
        }
        Ok(())
    }

    /// Counts a row that the sink refused while it was staged; it is not among the staged rows.
    fn refuse(&mut self, rows: &RecordBatch, pending: &Pending, outcome: RowOutcome) -> Result<()> {
        let RowId { seq, ordinal } = outcome.row;
        if !self.refused.insert(outcome.row) {
            return Ok(());
        }
        self.staged[seq as usize] -= 1;
        let entry = pending.entries.get(ordinal as usize);
        match entry.map_or(Change::Inserted, |entry| entry.change) {
            Change::Inserted => self.counts.inserted -= 1,
            Change::Updated => self.counts.updated -= 1,
            Change::Deleted => self.counts.deleted -= 1,
        }
        let Outcome::Rejected { code, reason } = outcome.outcome else {
            self.counts.skipped += 1;
            return Ok(());
        };
        if entry.is_some_and(|entry| entry.change == Change::Deleted) {
            self.counts.delete_rejected += 1;
            return Ok(());
        }
        self.counts.rejected += 1;
        self.refusals += 1;
        let encoded_key = entry.map_or_else(Vec::new, |entry| pending.key(ordinal as usize, entry).to_vec());
        let key = match &self.keyed {
            Some(keyed) => super::payload::key_json(keyed.codec, &encoded_key)?,
            None => serde_json::Value::Null,
        };
        let keep = self.rejected.len() < KEPT_PAYLOADS;
        let payload = if keep { Some(row_json(rows, ordinal as usize)?) } else { None };
        self.rejected.push(RejectedRow { encoded_key, key, code: code.id.to_owned(), reason, payload });
        Ok(())
    }

    /// Compares what was set aside, finds deletions and duplicate keys, and finishes the log.
    pub(crate) async fn finish(mut self) -> Result<Finished> {
        let op = self.op();
        if let Some(comparison) = self.keyed.as_mut().and_then(|keyed| keyed.comparison.take())
            && !self.finish_comparison(comparison).await?
        {
            return Ok(Finished::Misled);
        }
        self.flush(op).await?;
        let mut staged = Staged {
            counts: self.counts,
            staged: self.staged,
            log: None,
            rejected: self.rejected,
            digest: self.digest,
            refused: self.refused,
            refusals: self.refusals,
        };
        let Some(keyed) = self.keyed else { return Ok(Finished::Staged(staged)) };
        let Keyed { log, log_place: (folder, name), nulls, bad, mut duplicates, codec, .. } = keyed;
        let mut log = log.finish()?;
        staged.rejected.extend(bad);
        duplicates.extend(duplicate_insertions(&folder, &log)?);
        if self.policy.on_bad_key == OnBadKey::Fail
            && let Some(bad) = stopped_by(nulls, &duplicates, staged.counts.read, codec)
        {
            return Ok(Finished::BadKeys(bad));
        }
        if !duplicates.is_empty() || !staged.refused.is_empty() {
            let bad = BadRows { duplicates, refused: staged.refused.clone() };
            log = take_back(&mut staged, self.sink, codec, bad, &folder, &log, &name).await?;
        }
        staged.log = Some(log);
        Ok(Finished::Staged(staged))
    }

    /// Compares partition by partition; `false` where the scan has to begin again.
    async fn finish_comparison(&mut self, mut comparison: Comparison) -> Result<bool> {
        let mut unmet_keys: Vec<Vec<u8>> = Vec::new();
        let mut partition = 0;
        loop {
            let ended = comparison.end_some()?;
            if ended.is_empty() {
                break;
            }
            for ended in ended {
                if !self.finish_partition(partition, ended, &mut unmet_keys).await? {
                    return Ok(false);
                }
                partition += 1;
            }
        }
        self.flush(self.op()).await?;
        self.delete(unmet_keys).await?;
        Ok(true)
    }

    async fn finish_partition(
        &mut self,
        partition: usize,
        ended: Ended,
        unmet_keys: &mut Vec<Vec<u8>>,
    ) -> Result<bool> {
        let op = self.op();
        let Ended { mut known, unchanged, duplicates, misled, aside } = ended;
        // A rejected row is shown with its values, which were not noted.
        if misled || (!duplicates.is_empty() && self.policy.on_bad_key == OnBadKey::Reject) {
            return Ok(false);
        }
        self.counts.read += unchanged + duplicates.len() as u64;
        self.counts.rejected += duplicates.len() as u64;
        match self.policy.write {
            Write::Insert => self.counts.skipped += unchanged,
            Write::Upsert | Write::Update => self.counts.unchanged += unchanged,
        }
        if let Some(keyed) = &mut self.keyed {
            keyed.duplicates.extend(duplicates);
        }
        for rows in aside.into_iter().flatten() {
            let rows = rows?;
            let mut picked = Vec::new();
            for row in 0..rows.batch.num_rows() {
                if self.policy.limit.is_some_and(|limit| self.delivered >= limit) {
                    break;
                }
                let (key, row_hash) = (rows.key(row), rows.hash(row)?);
                let verdict = known.meet(key, &row_hash);
                self.counts.read += 1;
                if let Some(change) = judge(&mut self.counts, self.policy.write, verdict) {
                    picked.push(row as u32);
                    self.delivered += 1;
                    self.pending.add(partition, change, key, row_hash);
                } else if let (Verdict::Duplicate, Some(keyed)) = (verdict, &mut self.keyed) {
                    duplicate(keyed, self.policy.on_bad_key, &rows.batch, row, key)?;
                }
            }
            self.pending.take(&rows.batch, picked)?;
            self.flush_full(op).await?;
        }
        for (_, key) in self.misfits_of(partition) {
            known.meet(key, &[0; 16]);
        }
        if self.policy.propagate_deletes && self.policy.limit.is_none() && self.policy.only.is_none() {
            let (held, gone): (Vec<&[u8]>, Vec<&[u8]>) = known.unmet().partition(|key| self.policy.held.contains(*key));
            self.counts.delete_rejected += held.len() as u64;
            unmet_keys.extend(gone.into_iter().map(<[u8]>::to_vec));
            if unmet_keys.len() >= self.policy.batch_rows {
                self.flush(op).await?;
                self.delete(std::mem::take(unmet_keys)).await?;
            }
        }
        Ok(true)
    }

    fn misfits_of(&self, partition: usize) -> impl Iterator<Item = &(usize, Vec<u8>)> {
        let misfits = self.keyed.as_ref().map_or(&[][..], |keyed| &keyed.misfits);
        misfits.iter().filter(move |(of, _)| *of == partition)
    }

    async fn delete(&mut self, keys: Vec<Vec<u8>>) -> Result<()> {
        let Some(keyed) = self.keyed.as_ref().filter(|_| !keys.is_empty()) else { return Ok(()) };
        let columns = keyed.codec.decode(keys.iter().map(Vec::as_slice))?;
        let schema = std::sync::Arc::new(arrow::datatypes::Schema::new(keyed.codec.fields().to_vec()));
        let rows = RecordBatch::try_new(schema, columns)
            .map_err(|error| Error::internal("putting deletions together").because(error))?;
        for key in &keys {
            self.pending.add(partition_of(&keyed.hash_key, key), Change::Deleted, key, [0; 16]);
        }
        self.counts.deleted += keys.len() as u64;
        self.pending.rows = rows.num_rows();
        self.pending.batches.push(rows);
        self.flush(Op::Delete).await
    }
}

impl Pending {
    /// The encoded key of an entry.
    fn key(&self, index: usize, entry: &Entry) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.entries[before].key_end);
        &self.keys[start..entry.key_end]
    }

    fn add(&mut self, partition: usize, change: Change, key: &[u8], hash: RowHash) {
        self.keys.extend_from_slice(key);
        self.entries.push(Entry { partition, change, key_end: self.keys.len(), hash });
    }

    /// Keeps the rows whose entries were just added.
    fn take(&mut self, batch: &RecordBatch, rows: Vec<u32>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.rows += rows.len();
        if rows.len() == batch.num_rows() {
            self.batches.push(batch.clone());
            return Ok(());
        }
        let picked = arrow::compute::take_record_batch(batch, &UInt32Array::from(rows))
            .map_err(|error| Error::internal("picking changed rows").because(error))?;
        self.batches.push(picked);
        Ok(())
    }
}

/// Counts a row by its verdict; the change to deliver, if there is one.
fn judge(counts: &mut RowCounts, write: Write, verdict: Verdict) -> Option<Change> {
    match (verdict, write) {
        (Verdict::Unchanged | Verdict::Updated, Write::Insert) => counts.skipped += 1,
        (Verdict::Unchanged, _) => counts.unchanged += 1,
        (Verdict::Updated, _) => {
            counts.updated += 1;
            return Some(Change::Updated);
        }
        (Verdict::Inserted, _) => {
            counts.inserted += 1;
            return Some(Change::Inserted);
        }
        (Verdict::Duplicate, _) => counts.rejected += 1,
    }
    None
}

/// Sets a row aside that does not fit the columns of the last run.
fn keep_misfit(
    rejected: &mut Vec<RejectedRow>,
    misfit: &Misfit,
    original: &RecordBatch,
    encoded_key: Vec<u8>,
    key: serde_json::Value,
) -> Result<()> {
    let payload = if rejected.len() < KEPT_PAYLOADS { Some(row_json(original, misfit.row)?) } else { None };
    rejected.push(RejectedRow {
        encoded_key,
        key,
        code: codes::ROW_001.id.to_owned(),
        reason: misfit.reason.clone(),
        payload,
    });
    Ok(())
}
