//! One run, from the lease to the commit.
//! Not here: the pieces it calls in order: `guard`, `scan`, `stage`, `commit`, `recover`.
//! Called through [`run`] by the command line, the scheduler and the API.

use std::any::Any;
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use futures::FutureExt;
use parking_lot::Mutex;
use tapline_core::config::{Mode, OnBadKey, OnDrift, Write};
use tapline_core::{
    Class, Commit, Error, ErrorReport, Lease, Phase, Receipt, Result, Retry, RowCounts, RunEvent, RunReport, RunStatus,
    SharedSink, StateStore, Target, codes, failpoint,
};
use tokio_util::sync::CancellationToken;

use super::commit::{Extent, open_rejects, settle};
use super::guard::{Claim, check_marker, check_rows};
use super::job::{RunOptions, SyncJob, key_fields};
use super::mapping::reads_clock;
use super::patience::Patience;
use super::record::{IntentRecord, Record};
use super::recover;
use super::scan::{Attempt, ScanPlan, Scanned, planned_hash_key};
use crate::diff::snapshot::SnapshotRef;
use crate::sql::{ScanReport, Session};

/// How often a file that is replaced while it is read starts the attempt again.
const ATTEMPTS: usize = 3;

/// Runs a sync once. A failure is in the report, never lost: what the report says is recorded in the state too.
pub async fn run(job: &SyncJob, options: &RunOptions, events: &SharedSink, cancel: &CancellationToken) -> RunReport {
    let started = Instant::now();
    let mut report = RunReport {
        sync: job.name.clone(),
        run: options.id.clone().unwrap_or_else(|| ulid::Ulid::generate().to_string()),
        generation: 0,
        status: RunStatus::Running,
        mode: job.mode(options),
        files: tapline_core::FileCounts::default(),
        bytes_read: 0,
        source_rows: tapline_core::SourceRowCounts::default(),
        rows: RowCounts::default(),
        duration_ms: 0,
        error: None,
        started_at: Some(Utc::now()),
        ended_at: None,
    };
    let lease = match job.state.lease(&job.name, options.lock_timeout).await {
        Ok(lease) => lease,
        Err(error) => {
            fail(&mut report, &error);
            return end(report, started, events);
        }
    };
    report.generation = lease.generation;
    events.send(RunEvent::Started { sync: job.name.clone(), run: report.run.clone(), generation: lease.generation });
    let mut partly = RowCounts::default();
    let outcome = match job.state.record_run(&report).await {
        Ok(()) => {
            let timeout = job.sync.timeout.map(|timeout| timeout.0);
            let deadline = Deadline::start(cancel, timeout, Arc::clone(&job.state), lease.clone());
            let mut walk = Walk {
                job,
                options,
                events,
                cancel: &deadline.cancel,
                lease: &lease,
                scan: ScanReport::default(),
                patience: Patience::new(),
                delivered: RowCounts::default(),
            };
            // A panic is a bug, and no reason to leave a run that never ends in the history, or to hold its lease.
            let outcome = AssertUnwindSafe(walk.go(&mut report)).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
            partly = walk.delivered;
            outcome.map_err(|error| deadline.explain(error))
        }
        Err(error) => Err(error),
    };
    if let Err(error) = &outcome {
        fail(&mut report, error);
        report.rows = partly;
    }
    let report = end(report, started, events);
    if let Err(error) = job.state.record_run(&report).await {
        tracing::error!(sync = job.name, error = %error.full_message(), "cannot record the run");
    }
    if let Err(error) = job.state.release(&lease).await {
        tracing::error!(sync = job.name, error = %error.full_message(), "cannot release the lease");
    }
    report
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = text, "a run has panicked");
    Error::internal("the run ended by a panic")
        .hint("what is visible at the destination is whole: the next run goes on from there")
        .hint("this is a bug: please report it")
}

fn fail(report: &mut RunReport, error: &Error) {
    report.status = match error.class() {
        Class::Guard => RunStatus::Stopped,
        Class::Cancelled => RunStatus::Cancelled,
        Class::Usage | Class::Failure => RunStatus::Failed,
    };
    // Nothing became visible: what was counted on the way is no outcome of any row.
    report.rows = RowCounts::default();
    report.error = Some(ErrorReport::from(error));
}

fn end(mut report: RunReport, started: Instant, events: &SharedSink) -> RunReport {
    report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    report.ended_at = Some(Utc::now());
    events.send(RunEvent::Ended { report: Box::new(report.clone()) });
    report
}

/// A run's own end: somebody's word to stop, the sync's timeout, or the loss of the lease.
struct Deadline {
    cancel: CancellationToken,
    asked: CancellationToken,
    watch: tokio::task::JoinHandle<()>,
    /// Why the run has to stop, where nobody asked.
    reason: Arc<Mutex<Option<Error>>>,
}

impl Deadline {
    fn start(asked: &CancellationToken, timeout: Option<Duration>, state: Arc<dyn StateStore>, lease: Lease) -> Self {
        let cancel = asked.child_token();
        let reason = Arc::new(Mutex::new(None));
        let (stop, told) = (cancel.clone(), Arc::clone(&reason));
        let watch = tokio::spawn(async move {
            let error = tokio::select! {
                error = state.lost(&lease) => error,
                error = expire(timeout) => error,
            };
            *told.lock() = Some(error);
            stop.cancel();
        });
        Self { cancel, asked: asked.clone(), watch, reason }
    }

    /// Says why a run was stopped that nobody asked to.
    fn explain(&self, error: Error) -> Error {
        let reason = self.reason.lock().take().filter(|_| error.code() == codes::RUN_001 && !self.asked.is_cancelled());
        let Some(reason) = reason else { return error };
        error.hints().iter().fold(reason, |told, hint| told.hint(hint.clone()))
    }
}

async fn expire(timeout: Option<Duration>) -> Error {
    let Some(timeout) = timeout else { return std::future::pending().await };
    tokio::time::sleep(timeout).await;
    Error::new(codes::SYNC_009, format!("the run took longer than its timeout of {} s", timeout.as_secs_f64()))
        .hint("raise `timeout` of the sync, or let the model read less")
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// A run on its way.
pub(super) struct Walk<'a> {
    pub(super) job: &'a SyncJob,
    options: &'a RunOptions,
    events: &'a SharedSink,
    pub(super) cancel: &'a CancellationToken,
    pub(super) lease: &'a Lease,
    scan: ScanReport,
    pub(super) patience: Patience,
    /// The rows that were answered for where a delivery was cut off.
    delivered: RowCounts,
}

impl Walk<'_> {
    /// Attempts until one ends well or fails for good.
    async fn go(&mut self, report: &mut RunReport) -> Result<()> {
        let outcome = loop {
            let error = match self.steps(report).await {
                Ok(()) => break Ok(()),
                Err(error) => error,
            };
            let Some(wait) = self.patience.after(&error, Instant::now()) else { break Err(error) };
            self.note(format!("{}; trying again in {:.1} s", error.full_message(), wait.as_secs_f64()));
            if let Err(stopped) = self.pause(wait).await {
                break Err(stopped);
            }
        };
        report.files = self.scan.files;
        report.bytes_read = self.scan.bytes_read;
        report.source_rows = self.scan.source_rows;
        outcome
    }

    pub(super) async fn pause(&self, wait: Duration) -> Result<()> {
        self.interruptible(async {
            tokio::time::sleep(wait).await;
            Ok(())
        })
        .await
    }

    async fn steps(&mut self, report: &mut RunReport) -> Result<()> {
        let job = self.job;
        job.is_able(self.options)?;
        let (mut record, mut revision) = self.wake().await?;
        let session = Arc::new(Session::open(job.access(), job.limits.clone())?);
        let nothing_to_retry = self.options.only_rejects && record.rejects == 0;
        if nothing_to_retry || self.is_unchanged(&session, &record).await? {
            report.status = RunStatus::Unchanged;
            return Ok(());
        }
        let mut scanned = self.read_with_retry(session, &record).await?;
        let mut counts = scanned.staged.counts;
        if let Err(error) = check_rows(job, self.options, &scanned, &record) {
            abort(&mut scanned).await;
            return Err(error);
        }
        if scanned.first_delivery {
            record = scanned.record.clone();
        }
        let before = record.clone();
        let full = self.mode() == Mode::FullRefresh;
        let part = self.options.limit.is_some() || self.options.only_rejects;
        record.key = scanned.codec.as_deref().map(key_fields).unwrap_or_default();
        record.published = Some(self.lease.generation);
        // A run that delivers a part leaves the rest to the next: what that one compares the files with stays as it was.
        if !part {
            record.rows = counts.read;
            record.fields = scanned.fields.clone();
            record.cursor = scanned.cursor.clone();
            record.fingerprint = Some(job.fingerprint());
            record.manifest = Some(scanned.manifest.clone());
        }
        record.volatile = scanned.volatile || reads_clock(&job.sync);
        record.formats = scanned.formats.clone();
        record.source_rejects = self.scan.source_rows.rejected;
        let intent = IntentRecord {
            identity: record.identity.clone(),
            log: scanned.staged.log.clone(),
            full,
            batches: scanned.staged.staged.len() as u64,
            after: record.clone(),
        };
        let body =
            serde_json::to_value(&intent).map_err(|error| Error::internal("writing an intent").because(error))?;
        failpoint("before-intent");
        job.share(&intent.log, &record.snapshot).await?;
        job.state.put_intent(self.lease, body).await?;
        failpoint("after-intent");
        self.events.send(RunEvent::Phase { phase: Phase::Publish });
        scanned.writer.set_aside(counts.rejected - scanned.staged.refusals, counts.read + counts.deleted);
        let receipt = if job.capabilities.transactional {
            self.publish(&mut scanned).await?
        } else {
            let (answers, cut_off) = self.deliver(&mut scanned).await;
            if let Some(error) = cut_off {
                abort(&mut scanned).await;
                match self.commit_part(&mut scanned, before, revision, &intent, answers).await {
                    Ok(delivered) => self.delivered = delivered,
                    Err(unrecorded) => self.note(format!(
                        "what was delivered is not recorded, and sent again: {}",
                        unrecorded.full_message()
                    )),
                }
                return Err(error);
            }
            Receipt { outcomes: answers.outcomes().to_vec(), ..Receipt::default() }
        };
        failpoint("after-publish");
        self.events.send(RunEvent::Phase { phase: Phase::Commit });
        let open;
        (revision, open) = self.commit(&mut scanned, record, revision, &intent, receipt, &mut counts).await?;
        failpoint("after-commit");
        tracing::debug!(sync = job.name, revision, "committed");
        if !counts.add_up() {
            return Err(Error::new(codes::RUN_002, "the counts of the run do not add up")
                .hint("this is a bug: please report it"));
        }
        report.rows = counts;
        let partial = counts.rejected + counts.delete_rejected + self.scan.source_rows.rejected + open > 0;
        report.status = if partial { RunStatus::Partial } else { RunStatus::Succeeded };
        Ok(())
    }

    /// Makes everything staged visible. Where the connection is lost on the way, the marker tells whether it happened.
    async fn publish(&mut self, scanned: &mut Scanned) -> Result<Receipt> {
        let published = self.cancel.run_until_cancelled(scanned.writer.publish(&scanned.staged.staged)).await;
        let error = match published {
            Some(Ok(receipt)) => return Ok(receipt),
            Some(Err(error)) => error,
            None => {
                return Err(Error::new(codes::RUN_001, "the run was asked to stop while it published")
                    .hint("the next run finds out from the destination whether the rows are there, and goes on"));
            }
        };
        if error.retry() == Retry::Never {
            abort(scanned).await;
            return Err(error);
        }
        let stream = &self.job.sync.stream;
        let marker = loop {
            match self.interruptible(self.job.destination.marker(stream)).await {
                Ok(marker) => break marker,
                Err(away) => match self.patience.after(&away, Instant::now()) {
                    Some(wait) => self.pause(wait).await?,
                    None => return Err(error),
                },
            }
        };
        let generation = self.lease.generation;
        let owner = self.job.owner();
        let published = marker
            .filter(|marker| marker.owner == owner)
            .and_then(|marker| marker.published)
            .filter(|published| published.generation == generation);
        let Some(published) = published else { return Err(error) };
        self.note("the connection was lost after everything had become visible".to_owned());
        let mut outcomes = self.job.destination.outcomes(stream, generation).await?;
        outcomes.retain(|outcome| !scanned.staged.refused.contains(&outcome.row));
        Ok(Receipt { outcomes, removed: published.removed, ..Receipt::default() })
    }

    /// Reads the checkpoint, checks the marker, takes the stream, and finishes what a killed run left open.
    async fn wake(&mut self) -> Result<(Record, u64)> {
        let job = self.job;
        self.events.send(RunEvent::Phase { phase: Phase::Recover });
        let checkpoint = job.state.checkpoint(&job.name).await?;
        let mut revision = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.revision);
        let mut record = match &checkpoint {
            Some(checkpoint) => Record::from_checkpoint(checkpoint)?,
            None => Record::default(),
        };
        let pending = job.state.intent(&job.name).await?;
        if record.identity != job.identity() {
            if !record.identity.is_empty() {
                self.note(format!("first delivery to {}: the last one went to {}", job.identity(), record.identity));
            }
            let pending_here = pending.as_ref().map(IntentRecord::from_intent).transpose()?;
            record = match pending_here.filter(|intent| intent.identity == job.identity()) {
                // A first run was cut off: its record is the one it would have left.
                Some(intent) => Record { published: None, snapshot: Default::default(), ..intent.after },
                None => Record::first(job.state.id(), job.identity(), Vec::new()),
            };
        }
        let stream = &job.sync.stream;
        let owner = job.owner();
        let marker = job.destination.marker(stream).await?;
        let claim = match self.mode() {
            Mode::Incremental => Claim::Continue,
            Mode::FullRefresh => Claim::Replace { take_over: self.options.full_refresh },
        };
        let generation = pending.as_ref().map(|intent| intent.generation);
        if job.capabilities.transactional {
            check_marker(job.destination.as_ref(), stream, marker.as_ref(), &owner, &record, generation, claim).await?;
            job.destination.stamp(stream, &owner, self.lease.generation).await?;
            self.patience.reached();
        }
        failpoint("after-stamp");
        if let Some(intent) = pending {
            (record, revision) =
                recover::finish(job, self.lease, record, revision, &intent, &|text| self.note(text)).await?;
        }
        job.fetch(&record.snapshot.files).await?;
        if record.published.is_none()
            && let Some(planned) = self.options.plan.as_deref().and_then(planned_hash_key)
        {
            record.hash_key = planned.to_owned();
        }
        Ok((record, revision))
    }

    pub(super) fn note(&self, message: String) {
        self.events.send(RunEvent::Note { message });
    }

    fn mode(&self) -> Mode {
        self.job.mode(self.options)
    }

    /// Whether nothing can have changed: same files, same settings, same table, nothing open.
    async fn is_unchanged(&mut self, session: &Arc<Session>, record: &Record) -> Result<bool> {
        let job = self.job;
        let same_settings = self.mode() == Mode::Incremental
            && self.options.plan.is_none()
            && !self.options.only_rejects
            && record.published.is_some()
            && record.fingerprint.as_deref() == Some(job.fingerprint().as_str())
            && !record.volatile
            && (record.rejects == 0 || !self.options.offer_rejects)
            && record.source_rejects == 0;
        if !same_settings {
            return Ok(false);
        }
        self.events.send(RunEvent::Phase { phase: Phase::List });
        let listing = self.interruptible(session.list(&job.model.sql)).await?;
        if record.manifest.as_deref() != Some(listing.digest.as_str()) {
            return Ok(false);
        }
        self.scan.files = listing.files;
        if !job.capabilities.transactional {
            return Ok(true);
        }
        let marker = job.destination.marker(&job.sync.stream).await?;
        let same_table = marker.as_ref().is_some_and(|marker| marker.table.is_some() && marker.table == record.table);
        if !same_table {
            return Ok(false);
        }
        if record.snapshot.rows > 0 && job.destination.holds_rows(&job.sync.stream).await? != Some(true) {
            return Ok(false);
        }
        Ok(true)
    }

    /// The keys that a run looks at, where it looks only at rows that were rejected before.
    async fn only_rejects(&self) -> Result<Option<HashSet<Vec<u8>>>> {
        if !self.options.only_rejects {
            return Ok(None);
        }
        if self.job.model.primary_key.is_empty() {
            return Err(Error::new(codes::CONF_007, "rows without a primary key cannot be offered again one by one")
                .hint("run the sync: it offers every row"));
        }
        let rejects = self.job.state.rejects(&self.job.name).await?;
        Ok(Some(rejects.into_iter().map(|reject| reject.encoded_key).collect()))
    }

    /// The keys that a run passes over, where it does not offer rows again that were rejected before.
    async fn held(&self) -> Result<HashSet<Vec<u8>>> {
        if self.offers_rejects() {
            return Ok(HashSet::new());
        }
        let rejects = self.job.state.rejects(&self.job.name).await?;
        Ok(rejects.into_iter().map(|reject| reject.encoded_key).collect())
    }

    fn offers_rejects(&self) -> bool {
        self.options.offer_rejects || self.options.only_rejects || self.mode() == Mode::FullRefresh
    }

    /// Waits for `step`, or fails when somebody asks the run to stop.
    async fn interruptible<T>(&self, step: impl Future<Output = Result<T>>) -> Result<T> {
        self.cancel
            .run_until_cancelled(step)
            .await
            .unwrap_or_else(|| Err(Error::new(codes::RUN_001, "the run was asked to stop; nothing became visible")))
    }

    /// Reads, compares and stages, from a fresh listing when a file is replaced underfoot.
    async fn read_with_retry(&mut self, session: Arc<Session>, record: &Record) -> Result<Scanned> {
        let mut session = session;
        let mut attempt = 1;
        loop {
            match self.read(&session, record).await {
                Err(error) if error.code() == codes::S3_008 && attempt < ATTEMPTS => {
                    self.note(format!("{error}; reading again from a fresh listing"));
                    attempt += 1;
                    session = Arc::new(Session::open(self.job.access(), self.job.limits.clone())?);
                }
                outcome => return outcome,
            }
        }
    }

    async fn read(&mut self, session: &Session, record: &Record) -> Result<Scanned> {
        let job = self.job;
        let mut plan = ScanPlan {
            job,
            record,
            log_name: format!("intent-{}.arrow", self.lease.generation),
            folder: job.folder(),
            policy: super::stage::StagePolicy {
                write: if self.mode() == Mode::FullRefresh { Write::Upsert } else { job.sync.write },
                on_bad_key: job.sync.on_bad_key,
                propagate_deletes: self.mode() == Mode::Incremental
                    && job.sync.deletes == tapline_core::config::Deletes::Propagate,
                batch_rows: job.capabilities.batch_rows,
                limit: self.options.limit,
                only: self.only_rejects().await?,
                held: self.held().await?,
            },
            full: self.mode() == Mode::FullRefresh,
            misled: false,
            anew: self.options.full_refresh,
        };
        let mut pins = plan.pins();
        loop {
            self.events.send(RunEvent::Phase { phase: Phase::List });
            let mut prepared = self.interruptible(plan.prepare(session, &mut pins)).await?;
            prepared.notes().iter().for_each(|note| self.note(note.clone()));
            let target = Target {
                stream: job.sync.stream.clone(),
                owner: job.owner(),
                generation: self.lease.generation,
                schema: Arc::clone(prepared.schema()),
                key: prepared.key().to_vec(),
                refresh: job.refresh(self.options),
                retractable: job.sync.on_bad_key == OnBadKey::Reject && !prepared.key().is_empty(),
                widen: job.sync.on_drift == OnDrift::Widen,
                max_reject_ratio: job.sync.max_reject_ratio,
            };
            let mut writer = self.interruptible(job.destination.open(target)).await?;
            failpoint("after-open");
            self.events.send(RunEvent::Phase { phase: Phase::Read });
            let progress = |scan: ScanReport, rows: RowCounts, total: u64| {
                self.events.send(RunEvent::Progress { bytes_read: scan.bytes_read, bytes_total: total, rows });
            };
            let mut kept = super::commit::Kept::default();
            let mut sink = super::scan::WriterSink { writer: writer.as_mut(), kept: &mut kept };
            let attempt = self.interruptible(plan.scan(&mut prepared, &mut sink, &progress)).await;
            self.scan = prepared.query.scan();
            match attempt {
                Ok(Attempt::Staged(staged)) => {
                    failpoint("after-staging");
                    return prepared.into_scanned(staged, writer, kept);
                }
                Ok(Attempt::BadKeys(bad)) => {
                    writer.abort().await?;
                    return Err(prepared.stopped_by(bad).await);
                }
                Ok(Attempt::Misled) => {
                    writer.abort().await?;
                    plan.misled = true;
                }
                Ok(Attempt::Widened(widened)) => {
                    writer.abort().await?;
                    self.note(format!("{widened}; reading again with a wider type"));
                    prepared.query.widen(&widened, &mut pins);
                }
                Err(error) => {
                    if let Err(abort) = writer.abort().await {
                        tracing::warn!(error = %abort.full_message(), "cannot drop the staging area");
                    }
                    return Err(error);
                }
            }
        }
    }

    /// The revision after the commit, and how many rejected rows are open.
    async fn commit(
        &self,
        scanned: &mut Scanned,
        mut record: Record,
        revision: u64,
        intent: &IntentRecord,
        receipt: Receipt,
        counts: &mut RowCounts,
    ) -> Result<(u64, u64)> {
        let job = self.job;
        if intent.full {
            counts.deleted = receipt.removed;
        }
        let folder = job.folder();
        let name = format!("snapshot-{}.arrow", self.lease.generation);
        let (codec, outcomes) = (scanned.codec.as_deref(), receipt.outcomes);
        let settled = settle(&folder, &name, intent, Extent::Whole, outcomes, codec, &scanned.kept, counts)?;
        failpoint("after-snapshot");
        let mut rejected = std::mem::take(&mut scanned.staged.rejected);
        rejected.extend(settled.rejected);
        let mut before = job.state.rejects(&job.name).await?;
        let mut open = open_rejects(rejected, &before);
        if !self.offers_rejects() {
            before.extend(open);
            open = before;
        }
        record.snapshot = settled.snapshot;
        record.rejects = open.len() as u64;
        record.table = job.destination.marker(&job.sync.stream).await?.and_then(|marker| marker.table);
        job.share(&record.snapshot.files, &intent.after.snapshot).await?;
        let commit = Commit { body: record.to_body()?, rejects: open, source_rejects: scanned.source_rejects.clone() };
        let checkpoint = job.state.commit(self.lease, revision, commit).await?;
        job.sweep(&record.snapshot).await;
        Ok((checkpoint.revision, record.rejects))
    }
}

async fn abort(scanned: &mut Scanned) {
    if let Err(error) = scanned.writer.abort().await {
        tracing::warn!(error = %error.full_message(), "cannot drop the staging area");
    }
}

/// Forgets what a sync has delivered: the next run is a first run. The stream is taken over at the destination.
pub async fn reset(job: &SyncJob) -> Result<()> {
    let lease = job.state.lease(&job.name, RunOptions::default().lock_timeout).await?;
    let outcome = async {
        job.destination.stamp(&job.sync.stream, &job.owner(), lease.generation).await?;
        job.state.reset(&lease).await
    }
    .await;
    job.state.release(&lease).await?;
    outcome?;
    job.sweep(&SnapshotRef::default()).await;
    Ok(())
}
