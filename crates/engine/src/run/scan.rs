//! Reading a model for a run or a plan: plan the SQL, map, compare, hand changes to a sink.
//! Not here: the order of a run's steps (`walk`), counting and batching (`stage`).
//! Called by runs and plans.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::StreamExt;
use tapline_core::{ChangeBatch, Error, Receipt, Result, RowCounts, RowId, SourceReject, Writer};
use tapline_csv::TableFormat;

use super::bad_keys::BadKeys;
use super::commit::Kept;
use super::cursor::{Cursor, CursorMark};
use super::drift::{self, Conform};
use super::job::{SyncJob, hex, key_fields};
use super::mapping::Mapping;
use super::record::{KeyField, Record};
use super::shape::Shaper;
use super::stage::{ChangeSink, Finished, Keyed, StagePolicy, Staged, Stager};
use crate::diff::compare::{Comparison, Memory};
use crate::diff::log::Change;
use crate::diff::rows::{KeyCodec, RowHasher, hash};
use crate::sql::{Pins, Query, ScanReport, Session, StreamError, Widened};

/// How often progress is told.
const PROGRESS: Duration = Duration::from_millis(100);

/// How a model is going to be read.
pub(crate) struct ScanPlan<'a> {
    pub(crate) job: &'a SyncJob,
    pub(crate) record: &'a Record,
    /// The folder of the sync's snapshot files.
    pub(crate) folder: PathBuf,
    /// The name of the change log.
    pub(crate) log_name: String,
    pub(crate) policy: StagePolicy,
    /// Whether the stream is replaced as a whole, so that every row is new.
    pub(crate) full: bool,
    /// Whether fingerprints have misled an attempt before this one.
    pub(crate) misled: bool,
    /// Whether somebody asked by name for the stream to become what the model is now, whatever changed.
    pub(crate) anew: bool,
}

/// A planned model with its mapping.
pub(crate) struct Prepared {
    pub(crate) query: Query,
    shaper: Arc<Shaper>,
    cursor: Option<Cursor>,
    /// Where the cursor bounds the scan, how far it had come.
    bounded: Option<CursorMark>,
    record: Record,
    first_delivery: bool,
}

/// How an attempt to read ended.
pub(crate) enum Attempt {
    /// Everything is staged.
    Staged(Staged),
    /// A CSV column needs a wider type; nothing of the attempt may be used.
    Widened(Box<Widened>),
    /// Bad keys stop the run.
    BadKeys(BadKeys),
    /// Rows that seemed unchanged were not; nothing of the attempt may be used, and the next must be told.
    Misled,
}

/// A model that was read to its end, staged and ready to be published.
pub(crate) struct Scanned {
    pub(crate) staged: Staged,
    pub(crate) writer: Box<dyn Writer>,
    pub(crate) kept: Kept,
    pub(crate) codec: Option<Arc<KeyCodec>>,
    /// The record that the comparison went by; a new one where this is a first delivery.
    pub(crate) record: Record,
    pub(crate) first_delivery: bool,
    /// The delivered fields.
    pub(crate) fields: Vec<KeyField>,
    /// How far the cursor has come, if everything is delivered.
    pub(crate) cursor: Option<CursorMark>,
    pub(crate) manifest: String,
    pub(crate) volatile: bool,
    pub(crate) formats: HashMap<String, TableFormat>,
    pub(crate) source_rejects: Vec<SourceReject>,
}

impl ScanPlan<'_> {
    /// Whether the last complete run had the same model, mapping and settings.
    fn same_settings(&self) -> bool {
        self.record.fingerprint.as_deref() == Some(self.job.fingerprint().as_str())
    }

    /// What the last run says of how CSV files are read.
    pub(crate) fn pins(&self) -> Pins {
        let pinned = self.same_settings() && !self.anew;
        if pinned { Pins::with_types(self.record.formats.clone()) } else { Pins::default() }
    }

    /// Plans the SQL, binds mapping and cursor, and compares the columns with those of the last run.
    pub(crate) async fn prepare(&self, session: &Session, pins: &mut Pins) -> Result<Prepared> {
        let sync = &self.job.sync;
        let mut query = session.query_pinned(&self.job.model.sql, pins).await?;
        if self.policy.propagate_deletes {
            query.require_determined()?;
        }
        let mapping = Mapping::bind(sync, &self.job.model, &query.schema())?;
        let conform = if self.same_settings() && !self.anew && !self.record.fields.is_empty() {
            drift::check(&self.record.fields, mapping.schema(), mapping.key(), sync.on_drift)?
        } else {
            None
        };
        let schema = conform.as_ref().map_or_else(|| mapping.schema(), Conform::schema);
        let codec = match mapping.key() {
            [] => None,
            key => Some(Arc::new(KeyCodec::new(schema, key)?)),
        };
        let key = codec.as_deref().map(key_fields).unwrap_or_default();
        // A snapshot of other key columns says nothing about these.
        let first_delivery = self.record.hash_key.is_empty() || self.record.key != key;
        let record = if first_delivery {
            let hash_key = Some(&self.record.hash_key).filter(|key| !key.is_empty()).cloned();
            let first = Record::first(self.job.state.id(), self.job.identity(), key);
            Record { hash_key: hash_key.unwrap_or(first.hash_key), ..first }
        } else {
            self.record.clone()
        };
        let keys = match codec {
            None => None,
            Some(codec) => Some((codec, RowHasher::new(schema, record.hash_key()?)?)),
        };
        let cursor = Cursor::bind(sync, &query.schema())?;
        let mut bounded = None;
        if let Some(cursor) = &cursor
            && let Some(mark) = self.mark(first_delivery)
            && let Some(bound) = cursor.bound(mark)?
        {
            query = query.at_or_past(cursor.index(), bound)?;
            bounded = Some(mark.clone());
        }
        let shaper = Arc::new(Shaper::new(mapping, conform, keys));
        Ok(Prepared { query, shaper, cursor, bounded, record, first_delivery })
    }

    /// How far the cursor has come, where that says which rows can be left out: not while rows or lines are open that
    /// lie below it, nor after a change of the model.
    fn mark(&self, first_delivery: bool) -> Option<&CursorMark> {
        let settled = self.record.rejects == 0 && self.record.source_rejects == 0;
        let applies = settled && !first_delivery && !self.full && self.policy.only.is_none() && self.same_settings();
        self.record.cursor.as_ref().filter(|_| applies)
    }

    /// Reads everything and stages what changed into `sink`.
    pub(crate) async fn scan(
        &self,
        prepared: &mut Prepared,
        sink: &mut dyn ChangeSink,
        progress: &(dyn Fn(ScanReport, RowCounts, u64) + Send + Sync),
    ) -> Result<Attempt> {
        let Prepared { query, shaper, cursor, record, .. } = prepared;
        let keyed = match shaper.codec() {
            None => None,
            Some(codec) => {
                let comparison = if self.full {
                    None
                } else {
                    Some(Comparison::open(&self.folder, &record.snapshot, Memory::of_a_run(!self.misled))?)
                };
                let hash_key = record.hash_key()?;
                Some(Keyed::new(codec, hash_key, comparison, &self.folder, &self.log_name)?)
            }
        };
        let mut stager = Stager::new(keyed, self.policy.clone(), sink);
        let mut stream = std::pin::pin!(shaper.shape_all(query.stream().await?));
        let total = query.bytes_total();
        let mut told = Instant::now();
        while let Some(batch) = stream.next().await {
            match batch {
                Ok(shaped) => {
                    if let Some(cursor) = &mut *cursor {
                        cursor.observe(&shaped.model)?;
                    }
                    stager.push(&shaped).await?;
                }
                Err(StreamError::Widened(widened)) => return Ok(Attempt::Widened(widened)),
                Err(StreamError::Failed(error)) => return Err(error),
            }
            if told.elapsed() >= PROGRESS {
                progress(query.scan(), stager.counts(), total);
                told = Instant::now();
            }
            if stager.is_cut() {
                break;
            }
        }
        progress(query.scan(), stager.counts(), total);
        Ok(match stager.finish().await? {
            Finished::Staged(staged) => Attempt::Staged(staged),
            Finished::BadKeys(bad) => Attempt::BadKeys(bad),
            Finished::Misled => Attempt::Misled,
        })
    }
}

impl Prepared {
    /// The fields that are delivered.
    pub(crate) fn schema(&self) -> &SchemaRef {
        self.shaper.schema()
    }

    /// Those of them that hold the primary key.
    pub(crate) fn key(&self) -> &[String] {
        self.shaper.mapping().key()
    }

    /// The codec of the key; `None` without one.
    pub(crate) fn codec(&self) -> Option<&KeyCodec> {
        self.shaper.codec().map(Arc::as_ref)
    }

    /// The error of a run that bad keys stop, with their places in the files where those can be found.
    pub(crate) async fn stopped_by(&self, bad: BadKeys) -> Error {
        match (self.codec(), self.shaper.mapping().key_columns()) {
            (Some(codec), Some(columns)) => bad.located(&self.query, &columns, codec).await,
            _ => bad.error,
        }
    }

    /// The record that the comparison goes by.
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// What is worth a line in the run's history.
    pub(crate) fn notes(&self) -> &[String] {
        self.shaper.conform().map_or(&[], Conform::notes)
    }

    /// What a run goes on with after reading.
    pub(crate) fn into_scanned(mut self, staged: Staged, writer: Box<dyn Writer>, kept: Kept) -> Result<Scanned> {
        let fields = self.schema().fields().iter().map(|field| KeyField::of(field)).collect();
        let cursor = match &mut self.cursor {
            Some(cursor) => cursor.mark(self.bounded.as_ref())?,
            None => None,
        };
        Ok(Scanned {
            fields,
            cursor,
            staged,
            writer,
            kept,
            codec: self.shaper.codec().cloned(),
            record: self.record,
            first_delivery: self.first_delivery,
            manifest: self.query.manifest_digest(),
            volatile: self.query.is_volatile(),
            formats: self.query.formats(),
            source_rejects: self.query.source_rejects(),
        })
    }
}

impl Scanned {
    /// Whether the run is going to change what a plan said.
    pub(crate) fn is_as_planned(&self, job: &SyncJob, full: bool, plan: &str) -> bool {
        plan_digest(job, full, &self.staged, &self.manifest) == plan.split(KEY_MARK).next().unwrap_or_default()
    }
}

/// What stands in a plan's fingerprint between digest and hash key.
const KEY_MARK: char = '-';

/// A plan's fingerprint: the digest, and for a sync that never delivered the key that its rows were hashed with, since
/// the run after the plan has none to go by.
pub(crate) fn plan_fingerprint(digest: String, record: &Record) -> String {
    match record.published {
        Some(_) => digest,
        None => format!("{digest}{KEY_MARK}{}", record.hash_key),
    }
}

/// The key that a plan hashed rows with, where its fingerprint says so.
pub(crate) fn planned_hash_key(fingerprint: &str) -> Option<&str> {
    let is_key = |key: &&str| key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    fingerprint.split_once(KEY_MARK).map(|(_, key)| key).filter(is_key)
}

/// The digest of a change set under a sync's settings. A full refresh writes whatever the files hold, so that the
/// files stand for its changes.
pub(crate) fn plan_digest(job: &SyncJob, full: bool, staged: &Staged, manifest: &str) -> String {
    let changes = if full { manifest.to_owned() } else { format!("{} {:?}", hex(&staged.digest), staged.counts) };
    let text = format!("{} {full} {changes}", job.fingerprint());
    hex(&hash(&[0; 16], text.as_bytes()))
}

/// Hands changes to a destination's writer, and keeps some rows in case they are refused.
pub(crate) struct WriterSink<'a> {
    pub(crate) writer: &'a mut dyn Writer,
    pub(crate) kept: &'a mut Kept,
}

#[async_trait]
impl ChangeSink for WriterSink<'_> {
    async fn write(&mut self, batch: ChangeBatch, changes: &[Change]) -> Result<Receipt> {
        self.kept.push(batch.seq, &batch.rows);
        let delivered_before: Vec<bool> = changes.iter().map(|change| *change != Change::Inserted).collect();
        self.writer.write_known(batch, &delivered_before).await
    }

    async fn retract(&mut self, rows: &[RowId]) -> Result<()> {
        self.writer.retract(rows).await
    }

    fn payload(&self, row: RowId) -> Result<Option<serde_json::Value>> {
        self.kept.payload(row)
    }
}
