//! What a run would change, without writing anything anywhere.
//! Not here: the run itself (`walk`).
//! Called by `plan` and by the API.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Map, Value};
use tapline_core::config::{Deletes, Mode, Write};
use tapline_core::{ChangeBatch, Destination, Error, ErrorReport, ReadBack, Receipt, Result, RowCounts, RowId, codes};
use tokio_util::sync::CancellationToken;

use super::commit::{Kept, settle};
use super::guard::{Claim, check_counts, check_marker};
use super::job::{RunOptions, SyncJob};
use super::payload::{RejectedRow, row_json};
use super::record::{IntentRecord, Record};
use super::recover::Found;
use super::scan::{Attempt, Prepared, ScanPlan, plan_digest, plan_fingerprint};
use super::stage::{ChangeSink, StagePolicy};
use crate::diff::files::FileRef;
use crate::diff::log::Change;
use crate::diff::rows::KeyCodec;
use crate::sql::Session;

/// What a run would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanReport {
    /// Name of the sync.
    pub sync: String,
    /// The digest of the change set; `sync --plan` runs only if it still holds.
    pub fingerprint: String,
    /// Rows by what would happen to them.
    pub rows: RowCounts,
    /// Some of the changes.
    pub samples: Vec<PlanSample>,
    /// What would stop a run before anything is visible, although its changes are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorReport>,
}

/// One row that would change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanSample {
    /// `insert`, `update`, `delete` or `reject`.
    pub op: &'static str,
    /// The primary key, field by field.
    pub key: Value,
    /// The fields that would change; all of them where the destination cannot be read.
    pub changes: Vec<FieldChange>,
}

/// One field that would change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    /// Its name.
    pub field: String,
    /// The value at the destination, where it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// The value that would be written; null where the row would be deleted.
    pub new: Value,
}

impl PlanReport {
    /// Whether a run would change anything.
    pub fn has_changes(&self) -> bool {
        self.rows.inserted + self.rows.updated + self.rows.deleted > 0
    }
}

/// Computes what a run with these options would do, with up to `samples` changed rows.
///
/// # Errors
/// Whatever would stop the run.
pub async fn plan(
    job: &SyncJob,
    options: &RunOptions,
    samples: usize,
    cancel: &CancellationToken,
) -> Result<PlanReport> {
    cancel
        .run_until_cancelled(compute(job, options, samples))
        .await
        .unwrap_or_else(|| Err(Error::new(codes::RUN_001, "the plan was asked to stop")))
}

async fn compute(job: &SyncJob, options: &RunOptions, wanted: usize) -> Result<PlanReport> {
    job.is_able(options)?;
    let scratch =
        tempfile::tempdir().map_err(|error| Error::new(codes::FILE_006, "making a temporary folder").because(error))?;
    let record = recovered(job, options, scratch.path()).await?;
    let session = Session::open(job.access(), job.limits.clone())?;
    let full = job.mode(options) == Mode::FullRefresh;
    let mut scan_plan = ScanPlan {
        job,
        record: &record,
        folder: scratch.path().to_owned(),
        log_name: "plan.arrow".to_owned(),
        policy: StagePolicy {
            write: if full { Write::Upsert } else { job.sync.write },
            on_bad_key: job.sync.on_bad_key,
            propagate_deletes: full || job.sync.deletes == Deletes::Propagate,
            batch_rows: job.capabilities.batch_rows,
            limit: options.limit,
            only: None,
            held: HashSet::new(),
        },
        full: false,
        misled: false,
        anew: options.full_refresh,
    };
    let mut pins = scan_plan.pins();
    loop {
        let mut prepared = scan_plan.prepare(&session, &mut pins).await?;
        job.destination.accepts(&job.sync.stream, prepared.schema(), prepared.key())?;
        let mut sink = Samples { key: prepared.key().to_vec(), wanted, found: Vec::new() };
        match scan_plan.scan(&mut prepared, &mut sink, &|_, _, _| {}).await? {
            Attempt::Widened(widened) => prepared.query.widen(&widened, &mut pins),
            Attempt::Misled => scan_plan.misled = true,
            Attempt::BadKeys(bad) => return Err(prepared.stopped_by(bad).await),
            Attempt::Staged(staged) => {
                let stopped = stopped(job, options, &record, &staged.counts).await?;
                let mut samples = compared(job, &prepared, sink).await?;
                let room = wanted.saturating_sub(samples.len());
                samples.extend(staged.rejected.iter().take(room).map(rejected));
                let mut rows = staged.counts;
                if full {
                    // A full refresh writes every row: none counts as unchanged.
                    rows.inserted += rows.updated + rows.unchanged;
                    (rows.updated, rows.unchanged) = (0, 0);
                }
                let digest = plan_digest(job, full, &staged, &prepared.query.manifest_digest());
                let fingerprint = plan_fingerprint(digest, prepared.record());
                let error = stopped.as_ref().map(ErrorReport::from);
                return Ok(PlanReport { sync: job.name.clone(), fingerprint, rows, samples, error });
            }
        }
    }
}

/// What would stop a run that finds these changes, short of what would have stopped the plan itself.
async fn stopped(job: &SyncJob, options: &RunOptions, record: &Record, counts: &RowCounts) -> Result<Option<Error>> {
    if let Err(error) = check_counts(job, options, counts, record) {
        return Ok(Some(error));
    }
    let (stream, destination) = (&job.sync.stream, job.destination.as_ref());
    if job.mode(options) != Mode::FullRefresh || options.replace_existing || !job.capabilities.transactional {
        return Ok(None);
    }
    let published = destination.marker(stream).await?.is_some_and(|marker| marker.published.is_some());
    if published || destination.holds_rows(stream).await? != Some(true) {
        return Ok(None);
    }
    let message = format!("the stream {stream} holds rows that Tapline did not deliver");
    Ok(Some(
        Error::new(codes::SYNC_002, message)
            .hint("a full refresh removes the rows that the model does not have")
            .hint("run it with --replace-existing if they may go, or name another stream"),
    ))
}

/// A row that would be set aside.
fn rejected(row: &RejectedRow) -> PlanSample {
    let fields = match &row.payload {
        Some(Value::Object(fields)) => fields.clone(),
        _ => Map::new(),
    };
    let of_key = |field: &str| row.key.as_object().is_some_and(|key| key.contains_key(field));
    let changes = fields.into_iter().filter(|(field, _)| !of_key(field));
    let changes = changes.map(|(field, new)| FieldChange { field, old: None, new }).collect();
    PlanSample { op: "reject", key: row.key.clone(), changes }
}

/// The record as recovery would leave it, its files in a scratch folder where they differ.
async fn recovered(job: &SyncJob, options: &RunOptions, scratch: &std::path::Path) -> Result<Record> {
    let record = match job.state.checkpoint(&job.name).await? {
        Some(checkpoint) => Record::from_checkpoint(&checkpoint)?,
        None => Record::default(),
    };
    let record = if record.identity == job.identity() {
        record
    } else {
        Record::first(job.state.id(), job.identity(), Vec::new())
    };
    let pending = job.state.intent(&job.name).await?;
    if job.capabilities.transactional {
        let marker = job.destination.marker(&job.sync.stream).await?;
        let claim = match job.mode(options) {
            Mode::Incremental => Claim::Continue,
            Mode::FullRefresh => Claim::Replace { take_over: options.full_refresh },
        };
        let generation = pending.as_ref().map(|intent| intent.generation);
        let (owner, destination) = (job.owner(), job.destination.as_ref());
        check_marker(destination, &job.sync.stream, marker.as_ref(), &owner, &record, generation, claim).await?;
    }
    let pending = match pending {
        None => None,
        Some(intent) => {
            let body = IntentRecord::from_intent(&intent)?;
            Some((Found::of(job, &intent, &body).await?, body))
        }
    };
    let mut record = match pending.filter(|(found, _)| !matches!(found, Found::Nothing)) {
        None => record,
        Some((found, body)) => {
            job.fetch(body.files()).await?;
            let codec = body.after.codec()?;
            let mut body = absolute_intent(body, &job.folder());
            let (extent, outcomes) = found.extent();
            let (kept, counts) = (Kept::default(), &mut RowCounts::default());
            let settled = settle(scratch, "recovered.arrow", &body, extent, outcomes, codec.as_ref(), &kept, counts)?;
            body.after.snapshot = settled.snapshot;
            if matches!(found, Found::Part(_)) {
                body.after.fingerprint = None;
            }
            body.after
        }
    };
    let folder = job.folder();
    job.fetch(
        record.snapshot.files.iter().filter(|file| !scratch.join(&file.name).exists() && !file.name.contains('/')),
    )
    .await?;
    record
        .snapshot
        .files
        .iter_mut()
        .filter(|file| !scratch.join(&file.name).exists())
        .for_each(|file| absolute(file, &folder));
    Ok(record)
}

/// A scratch folder holds what a plan writes; what it reads keeps its place by its full path.
fn absolute(file: &mut FileRef, folder: &std::path::Path) {
    file.name = folder.join(&file.name).to_string_lossy().into_owned();
}

fn absolute_intent(mut intent: IntentRecord, folder: &std::path::Path) -> IntentRecord {
    if let Some(log) = &mut intent.log {
        absolute(log, folder);
    }
    intent.after.snapshot.files.iter_mut().for_each(|file| absolute(file, folder));
    intent
}

/// Looks at changes and keeps the first few.
struct Samples {
    key: Vec<String>,
    wanted: usize,
    found: Vec<Sampled>,
}

/// A changed row, as it is shown and as it would be sent.
struct Sampled {
    id: RowId,
    sample: PlanSample,
    row: RecordBatch,
}

/// The samples with what the destination holds under their keys now. A plan is worth having without that, so that a
/// destination which cannot tell is no error.
async fn compared(job: &SyncJob, prepared: &Prepared, samples: Samples) -> Result<Vec<PlanSample>> {
    let Samples { key, found, .. } = samples;
    let (mut found, rows): (Vec<PlanSample>, Vec<RecordBatch>) =
        found.into_iter().map(|sampled| (sampled.sample, sampled.row)).unzip();
    let Some(codec) = prepared.codec().filter(|_| !found.is_empty()) else { return Ok(found) };
    let keys = rows.iter().map(|row| key_columns(row, &key)).collect::<Result<Vec<_>>>()?;
    let together = concat_batches(&keys[0].schema(), &keys)
        .map_err(|error| Error::internal("putting the keys of a plan's samples together").because(error))?;
    let wanted = ReadBack {
        stream: job.sync.stream.clone(),
        schema: Arc::clone(prepared.schema()),
        key: key.clone(),
        keys: Some(together),
    };
    let held = match held_rows(job.destination.as_ref(), wanted, codec).await {
        Ok(held) => held,
        Err(error) => {
            tracing::warn!(error = %error.full_message(), "the plan cannot show what the destination holds");
            return Ok(found);
        }
    };
    for (sample, row) in found.iter_mut().zip(&keys) {
        let encoded = codec.encode_by_name(row)?;
        let Some(old) = held.get(encoded.row(0).data()) else { continue };
        if sample.op == "delete" {
            let gone = old.iter().filter(|(field, _)| !key.contains(field));
            sample.changes = gone
                .map(|(field, old)| FieldChange { field: field.clone(), old: Some(old.clone()), new: Value::Null })
                .collect();
            continue;
        }
        sample.changes.iter_mut().for_each(|change| change.old = old.get(&change.field).cloned());
        sample.changes.retain(|change| change.old.as_ref() != Some(&change.new));
    }
    Ok(found)
}

/// Rows at the destination as JSON, by their encoded keys.
async fn held_rows(
    destination: &dyn Destination,
    wanted: ReadBack,
    codec: &KeyCodec,
) -> Result<HashMap<Vec<u8>, Map<String, Value>>> {
    let mut held = HashMap::new();
    let Some(mut reader) = destination.read(wanted).await? else { return Ok(held) };
    while let Some(batch) = reader.next().await? {
        let keys = codec.encode_by_name(&batch)?;
        for row in 0..batch.num_rows() {
            if let Value::Object(fields) = row_json(&batch, row)? {
                held.insert(keys.row(row).data().to_vec(), fields);
            }
        }
    }
    Ok(held)
}

/// The key fields of a row, in order.
fn key_columns(row: &RecordBatch, key: &[String]) -> Result<RecordBatch> {
    let columns = key
        .iter()
        .map(|name| row.schema().index_of(name))
        .collect::<Result<Vec<_>, _>>()
        .and_then(|columns| row.project(&columns))
        .map_err(|error| Error::internal("reading the key of a plan's sample").because(error))?;
    Ok(columns)
}

#[async_trait]
impl ChangeSink for Samples {
    async fn write(&mut self, batch: ChangeBatch, changes: &[Change]) -> Result<Receipt> {
        for row in 0..batch.rows.num_rows() {
            if self.found.len() >= self.wanted {
                break;
            }
            let Value::Object(fields) = row_json(&batch.rows, row)? else { continue };
            let op = match changes.get(row) {
                Some(Change::Deleted) => "delete",
                Some(Change::Updated) => "update",
                _ => "insert",
            };
            let key: Map<String, Value> =
                self.key.iter().filter_map(|name| Some((name.clone(), fields.get(name)?.clone()))).collect();
            let changes = match op {
                "delete" => Vec::new(),
                _ => fields
                    .into_iter()
                    .filter(|(field, _)| !self.key.contains(field))
                    .map(|(field, new)| FieldChange { field, old: None, new })
                    .collect(),
            };
            self.found.push(Sampled {
                id: RowId { seq: batch.seq, ordinal: row as u32 },
                sample: PlanSample { op, key: Value::Object(key), changes },
                row: batch.rows.slice(row, 1),
            });
        }
        Ok(Receipt { accepted_through: Some(batch.seq), ..Receipt::default() })
    }

    async fn retract(&mut self, rows: &[RowId]) -> Result<()> {
        self.found.retain(|sampled| !rows.contains(&sampled.id));
        Ok(())
    }

    fn payload(&self, row: RowId) -> Result<Option<Value>> {
        self.found.iter().find(|sampled| sampled.id == row).map(|sampled| row_json(&sampled.row, 0)).transpose()
    }
}
