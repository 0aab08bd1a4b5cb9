//! The promise of a state store: who runs, what was delivered, what is still open.
//! Not here: the stores themselves (crate `tapline-state`), snapshot files (the engine's diff).
//! Called by the engine and by the commands that show history.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::report::RunReport;

/// The right to run one sync, and the run's number. Freed by [`StateStore::release`], by the death of the process, or,
/// in a shared store, by time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Name of the sync.
    pub sync: String,
    /// The run's number: one more than that of any run of this sync before.
    pub generation: u64,
    /// Which lease, within the store's process; released by it.
    pub token: u64,
}

/// Who holds a lease, for the message to those who wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Host name.
    pub host: String,
    /// Process id.
    pub process: u32,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// What Tapline knows about a sync after its last commit. The store keeps `body` without looking into it.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The run that committed it.
    pub generation: u64,
    /// How many commits there were; the store compares it before it sets.
    pub revision: u64,
    /// The engine's own record, as JSON: snapshot files, fingerprint, manifest, cursor, pinned schema.
    pub body: serde_json::Value,
}

/// A run's announcement, made before its publication, of what it is going to make visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The run.
    pub generation: u64,
    /// The engine's own record, as JSON: the intent file and the identity of the stream.
    pub body: serde_json::Value,
}

/// A row that was not delivered, to be offered again by later runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reject {
    /// The encoded primary key; the identity of the row.
    #[serde(skip)]
    pub encoded_key: Vec<u8>,
    /// The primary key, field by field.
    pub key: serde_json::Value,
    /// Why, in words.
    pub reason: String,
    /// Why, as a stable code.
    pub code: String,
    /// The mapped fields; `None` where they are no longer kept.
    pub payload: Option<serde_json::Value>,
    /// How often it was offered.
    pub attempts: u32,
    /// When it was first refused.
    pub first_at: DateTime<Utc>,
    /// When it was last refused.
    pub last_at: DateTime<Utc>,
}

/// A line of a source file that could not be read as a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReject {
    /// The file, as an s3 URL.
    pub file: String,
    /// Line number, from 1; physical lines, so that an editor finds it.
    pub line: u64,
    /// Byte offset of the line's start in the decompressed file.
    pub byte_offset: u64,
    /// The column, where one is to blame.
    pub column: Option<String>,
    /// Why, in words, without the value.
    pub reason: String,
}

/// Everything that changes together when a run ends well.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// The new record; replaces [`Checkpoint::body`].
    pub body: serde_json::Value,
    /// The rejected rows that are open after this run; replaces those before.
    pub rejects: Vec<Reject>,
    /// The lines that could not be read in this run; replaces those before.
    pub source_rejects: Vec<SourceReject>,
}

/// Keeps the state of a project.
///
/// # Contract
/// - [`lease`](Self::lease) hands out at most one lease per sync at a time, across processes, and a generation that no
///   run of the sync had before, even when that run was killed.
/// - [`commit`](Self::commit) compares and sets in one step: it fails with `STATE-003`, changing nothing, unless the
///   stored revision is `expected_revision` and no later lease was taken. It is durable when it returns.
/// - Payloads of rejected rows are sealed at rest.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// Random id of this store, made when it was made.
    fn id(&self) -> &str;

    /// Takes the lease of a sync, waiting up to `wait` for another holder; then fails with `SYNC-003`, saying who
    /// holds it and since when. Runs of the sync that are still marked as running are marked as failed, since a kill
    /// cut them off.
    async fn lease(&self, sync: &str, wait: Duration) -> Result<Lease>;

    /// Gives the lease back.
    async fn release(&self, lease: &Lease) -> Result<()>;

    /// Waits until a lease that is held is lost, and says why (`STATE-005`): its run must stop, since another may begin.
    /// Never ends where only the death of the process frees a lease.
    async fn lost(&self, lease: &Lease) -> Error {
        let _ = lease;
        std::future::pending().await
    }

    /// What the last commit left; `None` before the first.
    async fn checkpoint(&self, sync: &str) -> Result<Option<Checkpoint>>;

    /// Sets the checkpoint, replaces the open rejects, and drops the intent. `expected_revision` is 0 before the
    /// first commit.
    async fn commit(&self, lease: &Lease, expected_revision: u64, commit: Commit) -> Result<Checkpoint>;

    /// Records what the run is going to publish. At most one intent per sync; it must be durable when this returns.
    async fn put_intent(&self, lease: &Lease, body: serde_json::Value) -> Result<()>;

    /// The intent that no commit has answered yet.
    async fn intent(&self, sync: &str) -> Result<Option<Intent>>;

    /// Drops the intent of a run that published nothing.
    async fn drop_intent(&self, lease: &Lease) -> Result<()>;

    /// Forgets checkpoint, intent and rejects of a sync; its history and numbering stay.
    async fn reset(&self, lease: &Lease) -> Result<()>;

    /// The open rejected rows of a sync, oldest first.
    async fn rejects(&self, sync: &str) -> Result<Vec<Reject>>;

    /// The lines that the last run could not read.
    async fn source_rejects(&self, sync: &str) -> Result<Vec<SourceReject>>;

    /// Writes the report of a run, the first time when it starts, the last time when it ends.
    async fn record_run(&self, report: &RunReport) -> Result<()>;

    /// Runs, newest first: of one sync or of all, at most `limit`.
    async fn runs(&self, sync: Option<&str>, limit: usize) -> Result<Vec<RunReport>>;

    /// The run with this id.
    async fn run(&self, id: &str) -> Result<Option<RunReport>>;
}
