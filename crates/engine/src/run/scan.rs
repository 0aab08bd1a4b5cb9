//! Reading a model for a run or a plan: plan the SQL, map, compare, hand changes to a sink.
//! Not here: the order of a run's steps (`walk`), counting and batching (`stage`).
//! Called by runs and plans.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use tapline_core::{ChangeBatch, Receipt, Result, RowCounts, RowId, SourceReject, Writer};
use tapline_csv::TableFormat;

use super::commit::Kept;
use super::job::{SyncJob, hex, key_fields};
use super::mapping::Mapping;
use super::record::Record;
use super::stage::{ChangeSink, Keyed, StagePolicy, Staged, Stager};
use crate::diff::compare::Comparison;
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
}

/// A planned model with its mapping.
pub(crate) struct Prepared {
    pub(crate) query: Query,
    pub(crate) mapping: Mapping,
    codec: Option<KeyCodec>,
    hasher: RowHasher,
    record: Record,
    first_delivery: bool,
}

/// How an attempt to read ended.
pub(crate) enum Attempt {
    /// Everything is staged.
    Staged(Staged),
    /// A CSV column needs a wider type; nothing of the attempt may be used.
    Widened(Box<Widened>),
}

/// A model that was read to its end, staged and ready to be published.
pub(crate) struct Scanned {
    pub(crate) staged: Staged,
    pub(crate) writer: Box<dyn Writer>,
    pub(crate) kept: Kept,
    pub(crate) codec: Option<KeyCodec>,
    /// The record that the comparison went by; a new one where this is a first delivery.
    pub(crate) record: Record,
    pub(crate) first_delivery: bool,
    pub(crate) manifest: String,
    pub(crate) volatile: bool,
    pub(crate) formats: HashMap<String, TableFormat>,
    pub(crate) source_rejects: Vec<SourceReject>,
}

impl ScanPlan<'_> {
    /// What the last run says of how CSV files are read.
    pub(crate) fn pins(&self) -> Pins {
        let same = self.record.fingerprint.as_deref() == Some(self.job.fingerprint().as_str());
        if same { Pins::with_formats(self.record.formats.clone()) } else { Pins::default() }
    }

    /// Plans the SQL and binds the mapping.
    pub(crate) async fn prepare(&self, session: &Session, pins: &mut Pins) -> Result<Prepared> {
        let query = session.query_pinned(&self.job.model.sql, pins).await?;
        let mapping = Mapping::bind(&self.job.sync, &self.job.model, &query.schema())?;
        let codec = match mapping.key() {
            [] => None,
            key => Some(KeyCodec::new(mapping.schema(), key)?),
        };
        let key = codec.as_ref().map(key_fields).unwrap_or_default();
        // A snapshot of other key columns says nothing about these.
        let first_delivery = self.record.hash_key.is_empty() || self.record.key != key;
        let record = if first_delivery {
            Record::first(self.job.state.id(), self.job.identity(), key)
        } else {
            self.record.clone()
        };
        let hasher = RowHasher::new(mapping.schema(), record.hash_key()?)?;
        Ok(Prepared { query, mapping, codec, hasher, record, first_delivery })
    }

    /// Reads everything and stages what changed into `sink`.
    pub(crate) async fn scan(
        &self,
        prepared: &Prepared,
        sink: &mut dyn ChangeSink,
        progress: &(dyn Fn(ScanReport, RowCounts, u64) + Send + Sync),
    ) -> Result<Attempt> {
        let keyed = match &prepared.codec {
            None => None,
            Some(codec) => {
                let comparison =
                    if self.full { None } else { Some(Comparison::open(&self.folder, &prepared.record.snapshot)?) };
                let hash_key = prepared.record.hash_key()?;
                Some(Keyed::new(codec, &prepared.hasher, hash_key, comparison, &self.folder, &self.log_name)?)
            }
        };
        let mut stager = Stager::new(keyed, self.policy.clone(), sink);
        let mut stream = prepared.query.stream().await?;
        let total = prepared.query.bytes_total();
        let mut told = Instant::now();
        while let Some(batch) = stream.next().await {
            match batch {
                Ok(batch) => stager.push(&prepared.mapping.apply(&batch)?).await?,
                Err(StreamError::Widened(widened)) => return Ok(Attempt::Widened(widened)),
                Err(StreamError::Failed(error)) => return Err(error),
            }
            if told.elapsed() >= PROGRESS {
                progress(prepared.query.scan(), stager.counts(), total);
                told = Instant::now();
            }
            if stager.is_cut() {
                break;
            }
        }
        drop(stream);
        progress(prepared.query.scan(), stager.counts(), total);
        Ok(Attempt::Staged(stager.finish().await?))
    }
}

impl Prepared {
    /// What a run goes on with after reading.
    pub(crate) fn into_scanned(self, staged: Staged, writer: Box<dyn Writer>, kept: Kept) -> Scanned {
        Scanned {
            staged,
            writer,
            kept,
            codec: self.codec,
            record: self.record,
            first_delivery: self.first_delivery,
            manifest: self.query.manifest_digest(),
            volatile: self.query.is_volatile(),
            formats: self.query.formats(),
            source_rejects: self.query.source_rejects(),
        }
    }
}

impl Scanned {
    /// The digest of what the run is going to change, to be compared with a plan's.
    pub(crate) fn plan_digest(&self, job: &SyncJob, full: bool) -> String {
        plan_digest(job, full, &self.staged, &self.manifest)
    }
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
    async fn write(&mut self, batch: ChangeBatch, _: &[Change]) -> Result<Receipt> {
        self.kept.push(batch.seq, &batch.rows);
        self.writer.write(batch).await
    }

    async fn retract(&mut self, rows: &[RowId]) -> Result<()> {
        self.writer.retract(rows).await
    }
}
