//! Taking what a stream holds as delivered, so that the next run sends only what differs from it.
//! Not here: reading rows back, which destinations do.
//! Called by `adopt` and by the API.

use std::sync::Arc;

use tapline_core::config::Mode;
use tapline_core::{Commit, Error, Lease, Marker, ReadBack, Refresh, Result, RowCounts, RowId, Target, codes};

use super::commit::{Extent, Kept, settle};
use super::job::{RunOptions, SyncJob, key_fields};
use super::mapping::Mapping;
use super::record::{IntentRecord, KeyField, Record};
use crate::diff::log::{Change, LogRow, LogWriter};
use crate::diff::rows::{KeyCodec, RowHasher, partition_of};
use crate::diff::snapshot::SnapshotRef;
use crate::sql::Session;

/// What was adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Adopted {
    /// Rows of the stream that count as delivered now.
    pub rows: u64,
    /// Those of them whose values could not all be read back: the next run sends them again.
    pub unread: u64,
    /// Rows that were left out, since a part of their key is null.
    pub without_key: u64,
}

/// Takes the stream over and records its present content as delivered, whoever wrote it. Writes nothing but the marker.
///
/// # Errors
/// `CONF-007` where the model has no primary key or the destination cannot be read; whatever planning and reading meet.
pub async fn adopt(job: &SyncJob) -> Result<Adopted> {
    if job.model.primary_key.is_empty() || job.sync.mode == Mode::FullRefresh {
        return Err(Error::new(codes::CONF_007, "only an incremental sync has a delivered state that can be adopted")
            .hint("a full refresh replaces the stream as a whole: `tapline sync --replace-existing`"));
    }
    let lease = job.state.lease(&job.name, RunOptions::default().lock_timeout).await?;
    let outcome = adopt_under(job, &lease).await;
    job.state.release(&lease).await?;
    outcome
}

async fn adopt_under(job: &SyncJob, lease: &Lease) -> Result<Adopted> {
    let session = Session::open(job.access(), job.limits.clone())?;
    let query = session.query(&job.model.sql).await?;
    let mapping = Mapping::bind(&job.sync, &job.model, &query.schema())?;
    let codec = KeyCodec::new(mapping.schema(), mapping.key())?;
    let mut record = Record::first(job.state.id(), job.identity(), key_fields(&codec));
    record.fields = mapping.schema().fields().iter().map(|field| KeyField::of(field)).collect();
    record.published = Some(lease.generation);
    let stream = &job.sync.stream;
    if job.capabilities.transactional && job.destination.holds_rows(stream).await?.is_none() {
        return Err(Error::new(codes::CONF_007, format!("there is nothing to adopt: {stream} does not exist"))
            .hint("run the sync: it makes the table and delivers every row"));
    }
    let wanted = ReadBack {
        stream: stream.clone(),
        schema: Arc::clone(mapping.schema()),
        key: mapping.key().to_vec(),
        keys: None,
    };
    let marker = job.destination.marker(stream).await?;
    // A stream that cannot be read is left to whoever has it.
    let mut reader = job.destination.read(wanted).await?.ok_or_else(|| {
        Error::new(codes::CONF_007, format!("there is nothing to adopt: {stream} cannot be read"))
            .hint("run the sync: it delivers every row")
    })?;
    let hasher = RowHasher::new(mapping.schema(), record.hash_key()?)?;
    let hash_key = record.hash_key()?;
    let folder = job.folder();
    let mut log = LogWriter::create(&folder, &format!("adopted-{}.arrow", lease.generation))?;
    let mut adopted = Adopted { rows: 0, unread: 0, without_key: 0 };
    while let Some(batch) = reader.next().await? {
        let keys = codec.encode_by_name(&batch)?;
        let whole = batch.schema().fields().len() == mapping.schema().fields().len();
        let hashes = if whole { hasher.hash(&batch)? } else { vec![[0; 16]; batch.num_rows()] };
        for (row, hash) in hashes.into_iter().enumerate() {
            let has_null =
                mapping.key().iter().any(|name| batch.column_by_name(name).is_some_and(|key| key.is_null(row)));
            if has_null {
                adopted.without_key += 1;
                continue;
            }
            let key = keys.row(row).data();
            let place = RowId { seq: adopted.rows >> 32, ordinal: adopted.rows as u32 };
            log.push(partition_of(&hash_key, key), &LogRow { row: place, change: Change::Inserted, key, hash })?;
            adopted.rows += 1;
            adopted.unread += u64::from(!whole);
        }
    }
    drop(reader);
    take_over(job, lease, &mapping, marker.as_ref()).await?;
    let intent = IntentRecord {
        identity: record.identity.clone(),
        log: Some(log.finish()?),
        full: true,
        batches: 0,
        after: record.clone(),
    };
    let (name, kept) = (format!("snapshot-{}.arrow", lease.generation), Kept::default());
    let settled =
        settle(&folder, &name, &intent, Extent::Whole, Vec::new(), Some(&codec), &kept, &mut RowCounts::default())?;
    record.rows = settled.snapshot.rows;
    record.snapshot = settled.snapshot;
    record.table = job.destination.marker(stream).await?.and_then(|marker| marker.table);
    let revision = job.state.checkpoint(&job.name).await?.map_or(0, |checkpoint| checkpoint.revision);
    job.share(&record.snapshot.files, &SnapshotRef::default()).await?;
    let commit = Commit { body: record.to_body()?, ..Commit::default() };
    job.state.commit(lease, revision, commit).await?;
    job.sweep(&record.snapshot).await;
    Ok(adopted)
}

/// Makes the stream this sync's, as after a run of its own that changed nothing.
///
/// # Errors
/// `DEST-007` where another run took the stream while it was read: what was read is no longer what it holds.
async fn take_over(job: &SyncJob, lease: &Lease, mapping: &Mapping, read_under: Option<&Marker>) -> Result<()> {
    let stream = &job.sync.stream;
    if job.destination.marker(stream).await?.as_ref() != read_under {
        return Err(Error::new(codes::DEST_007, format!("another run has written to {stream} while it was read"))
            .hint("run `tapline adopt` again"));
    }
    job.destination.stamp(stream, &job.owner(), lease.generation).await?;
    let target = Target {
        stream: stream.clone(),
        owner: job.owner(),
        generation: lease.generation,
        schema: Arc::clone(mapping.schema()),
        key: mapping.key().to_vec(),
        refresh: Refresh::Incremental,
        retractable: false,
        widen: false,
        max_reject_ratio: None,
    };
    job.destination.open(target).await?.publish(&[]).await.map(drop)
}
