//! Finishing what a run that was cut off had begun to publish.
//! Not here: the order of a run's steps (`walk`).
//! Called after the stream was stamped, when the state holds an intent that no commit answered; and by a run that is
//! cut off while it delivers.

use tapline_core::{Commit, Error, Intent, Lease, Result, RowCounts, RowOutcome};

use super::commit::{Extent, Kept, open_after_part, open_rejects, settle};
use super::deliver::{Answers, Journal};
use super::job::SyncJob;
use super::payload::RejectedRow;
use super::record::{IntentRecord, Record};
use super::walk::Walk;
use crate::diff::rows::KeyCodec;

/// What is known of a publication that no commit has answered.
pub(crate) enum Found {
    /// Nothing was published, as far as anybody can tell.
    Nothing,
    /// Everything, less the rows of these outcomes.
    All(Vec<RowOutcome>),
    /// The rows that were noted.
    Part(Answers),
}

impl Found {
    /// Asks the destination's marker whether the intent was published, or, where it has none, what the run had noted.
    pub(crate) async fn of(job: &SyncJob, intent: &Intent, body: &IntentRecord) -> Result<Self> {
        let here = body.identity == job.identity();
        if !job.capabilities.transactional {
            let answers = Journal::read(&job.folder(), intent.generation);
            return Ok(if here && !answers.is_empty() { Self::Part(answers) } else { Self::Nothing });
        }
        let stream = &job.sync.stream;
        let published = job
            .destination
            .marker(stream)
            .await?
            .filter(|marker| marker.owner == job.owner() && here)
            .and_then(|marker| marker.published)
            .is_some_and(|published| published.generation == intent.generation);
        if !published {
            return Ok(Self::Nothing);
        }
        Ok(Self::All(job.destination.outcomes(stream, intent.generation).await?))
    }

    /// How far the publication came, and the rows that were not applied.
    pub(crate) fn extent(&self) -> (Extent<'_>, Vec<RowOutcome>) {
        match self {
            Self::Nothing => (Extent::Whole, Vec::new()),
            Self::All(outcomes) => (Extent::Whole, outcomes.clone()),
            Self::Part(answers) => (Extent::Part(answers), answers.outcomes().to_vec()),
        }
    }
}

/// Commits what a run that was cut off is known to have published: those rows enter the snapshot, less those that were
/// not applied; the others count as never sent. Files, settings and everything else of the intent are not taken over:
/// the run that follows reads everything again.
pub(crate) async fn finish(
    job: &SyncJob,
    lease: &Lease,
    record: Record,
    revision: u64,
    intent: &Intent,
    note: &(dyn Fn(String) + Send + Sync),
) -> Result<(Record, u64)> {
    let body = IntentRecord::from_intent(intent)?;
    let found = Found::of(job, intent, &body).await?;
    match &found {
        Found::Nothing if job.capabilities.transactional => {
            note(format!("run {} was cut off before it published anything", intent.generation));
        }
        Found::Nothing => note(format!(
            "run {} was cut off; what it may have delivered without an answer is sent again",
            intent.generation
        )),
        Found::All(_) => {
            note(format!("run {} was cut off after it had published; its rows count as delivered", intent.generation));
        }
        Found::Part(answers) => note(format!(
            "run {} was cut off after it had delivered {} rows, which count as delivered; the others are sent again",
            intent.generation,
            answers.rows()
        )),
    }
    if matches!(found, Found::Nothing) {
        job.state.drop_intent(lease).await?;
        return Ok((record, revision));
    }
    job.fetch(body.files()).await?;
    let codec = body.after.codec()?;
    let (extent, outcomes) = found.extent();
    let name = format!("snapshot-{}-recovered.arrow", intent.generation);
    let counts = &mut RowCounts::default();
    let settled = settle(&job.folder(), &name, &body, extent, outcomes, codec.as_ref(), &Kept::default(), counts)?;
    let table = job.destination.marker(&job.sync.stream).await?.and_then(|marker| marker.table);
    let recovered =
        Record { snapshot: settled.snapshot, published: Some(intent.generation), table, ..rows_only(record, &body) };
    commit_rows(job, lease, recovered, revision, &body, &found, settled.rejected).await
}

/// The record before an intent, with what recovery takes over of the intent besides its rows.
fn rows_only(record: Record, body: &IntentRecord) -> Record {
    Record {
        rows: body.after.rows,
        key: body.after.key.clone(),
        hash_key: body.after.hash_key.clone(),
        identity: body.identity.clone(),
        fingerprint: None,
        manifest: None,
        ..record
    }
}

async fn commit_rows(
    job: &SyncJob,
    lease: &Lease,
    mut record: Record,
    revision: u64,
    body: &IntentRecord,
    found: &Found,
    rejected: Vec<RejectedRow>,
) -> Result<(Record, u64)> {
    let before = job.state.rejects(&job.name).await?;
    let open = match found {
        Found::Part(answers) => open_after_part(&job.folder(), body, answers, rejected, &before)?,
        Found::Nothing | Found::All(_) => open_rejects(rejected, &before),
    };
    record.rejects = open.len() as u64;
    let commit =
        Commit { body: record.to_body()?, rejects: open, source_rejects: job.state.source_rejects(&job.name).await? };
    job.share(&record.snapshot.files, &body.after.snapshot).await?;
    let checkpoint = job.state.commit(lease, revision, commit).await?;
    job.sweep(&record.snapshot).await;
    Ok((record, checkpoint.revision))
}

impl Walk<'_> {
    /// Commits what was answered for until a delivery was cut off, and returns the counts of those rows.
    pub(super) async fn commit_part(
        &self,
        scanned: &mut super::scan::Scanned,
        record: Record,
        revision: u64,
        body: &IntentRecord,
        answers: Answers,
    ) -> Result<RowCounts, Error> {
        let job = self.job;
        if answers.is_empty() {
            job.state.drop_intent(self.lease).await?;
            return Ok(RowCounts::default());
        }
        let mut counts = scanned.staged.counts;
        let found = Found::Part(answers);
        let (extent, outcomes) = found.extent();
        let name = format!("snapshot-{}.arrow", self.lease.generation);
        let codec = scanned.codec.as_deref();
        let settled = settle(&job.folder(), &name, body, extent, outcomes, codec, &scanned.kept, &mut counts)?;
        let mut rejected = std::mem::take(&mut scanned.staged.rejected);
        rejected.extend(settled.rejected);
        let record =
            Record { snapshot: settled.snapshot, published: Some(self.lease.generation), ..rows_only(record, body) };
        commit_rows(job, self.lease, record, revision, body, &found, rejected).await?;
        Ok(counts)
    }
}

impl Record {
    /// The codec of the keys in the record's snapshot; `None` without a primary key.
    pub(crate) fn codec(&self) -> Result<Option<KeyCodec>> {
        if self.key.is_empty() { Ok(None) } else { KeyCodec::from_fields(&self.key).map(Some) }
    }
}
