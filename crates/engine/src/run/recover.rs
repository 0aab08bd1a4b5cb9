//! Finishing what a run that was cut off had begun to publish.
//! Not here: the order of a run's steps (`walk`).
//! Called after the stream was stamped, when the state holds an intent that no commit answered.

use tapline_core::{Commit, Intent, Lease, Result, RowCounts};

use super::commit::{Kept, open_rejects, settle};
use super::job::SyncJob;
use super::record::{IntentRecord, Record};
use crate::diff::rows::KeyCodec;

/// Asks the destination's marker whether the intent was published. If so, its rows enter the snapshot, less those that
/// were not applied; if not, they count as never sent. Files, settings and everything else of the intent are not taken
/// over: the run that follows reads everything again.
pub(crate) async fn finish(
    job: &SyncJob,
    lease: &Lease,
    record: Record,
    revision: u64,
    intent: &Intent,
    note: &(dyn Fn(String) + Send + Sync),
) -> Result<(Record, u64)> {
    let stream = &job.sync.stream;
    let body = IntentRecord::from_intent(intent)?;
    let marker = job.destination.marker(stream).await?;
    let published = marker
        .as_ref()
        .filter(|marker| marker.owner == job.owner() && body.identity == job.identity())
        .and_then(|marker| marker.published)
        .is_some_and(|published| published.generation == intent.generation);
    if !published {
        note(format!("run {} was cut off before it published anything", intent.generation));
        job.state.drop_intent(lease).await?;
        return Ok((record, revision));
    }
    note(format!("run {} was cut off after it had published; its rows count as delivered", intent.generation));
    let outcomes = job.destination.outcomes(stream, intent.generation).await?;
    job.fetch(body.files()).await?;
    let codec = body.after.codec()?;
    let name = format!("snapshot-{}-recovered.arrow", intent.generation);
    let mut counts = RowCounts::default();
    let settled = settle(&job.folder(), &name, &body, outcomes, codec.as_ref(), &Kept::default(), &mut counts)?;
    let open = open_rejects(settled.rejected, &job.state.rejects(&job.name).await?);
    let recovered = Record {
        snapshot: settled.snapshot,
        published: Some(intent.generation),
        table: marker.and_then(|marker| marker.table),
        rows: body.after.rows,
        key: body.after.key.clone(),
        hash_key: body.after.hash_key.clone(),
        identity: body.identity.clone(),
        rejects: open.len() as u64,
        fingerprint: None,
        manifest: None,
        ..record
    };
    let commit = Commit {
        body: recovered.to_body()?,
        rejects: open,
        source_rejects: job.state.source_rejects(&job.name).await?,
    };
    job.share(&recovered.snapshot.files, &body.after.snapshot).await?;
    let checkpoint = job.state.commit(lease, revision, commit).await?;
    job.sweep(&recovered.snapshot).await;
    Ok((recovered, checkpoint.revision))
}

impl Record {
    /// The codec of the keys in the record's snapshot; `None` without a primary key.
    pub(crate) fn codec(&self) -> Result<Option<KeyCodec>> {
        if self.key.is_empty() { Ok(None) } else { KeyCodec::from_fields(&self.key).map(Some) }
    }
}
