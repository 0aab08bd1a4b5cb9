//! The report of a run, and the counts that must add up.
//! Not here: how runs are stored (`state`), how reports are printed (the command line).
//! Called by the engine, which fills it, and by everyone who shows it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::config::Mode;
use crate::error::ErrorReport;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Still going on, or cut off by a kill and not yet recovered.
    Running,
    /// Every row was delivered.
    Succeeded,
    /// Done, with rows or lines rejected.
    Partial,
    /// There was nothing to do.
    Unchanged,
    /// A guard stopped it. Nothing became visible, unless its counts say so: a destination that takes rows one by one
    /// keeps those it has taken.
    Stopped,
    /// It failed; its counts as for [`Stopped`](Self::Stopped).
    Failed,
    /// Somebody asked it to stop; its counts as for [`Stopped`](Self::Stopped).
    Cancelled,
}

/// The files of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCounts {
    /// Names seen when the bucket was listed.
    pub listed: u64,
    /// Files that were read.
    pub read: u64,
    /// Names that were not read, since their suffix does not fit or they begin with `_` or `.`.
    pub skipped: u64,
}

/// The lines of a run's CSV files, or the rows of its other files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRowCounts {
    /// Rows that entered the SQL.
    pub read: u64,
    /// Lines that could not be read as a row.
    pub rejected: u64,
}

/// The rows of the model in a run. Always `read = unchanged + inserted + updated + skipped + rejected`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    /// Rows that the model yielded.
    pub read: u64,
    /// As they were delivered before.
    pub unchanged: u64,
    /// Not delivered before.
    pub inserted: u64,
    /// Delivered before with other values.
    pub updated: u64,
    /// Left alone by the sync's `write`.
    pub skipped: u64,
    /// Refused by the destination, or with a bad key.
    pub rejected: u64,
    /// Rows removed at the destination.
    pub deleted: u64,
    /// Removals that the destination refused.
    pub delete_rejected: u64,
}

impl RowCounts {
    /// Whether every row read is answered for.
    pub fn add_up(&self) -> bool {
        self.read == self.unchanged + self.inserted + self.updated + self.skipped + self.rejected
    }
}

/// One run, as `sync --format json` and `runs --format json` print it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Name of the sync.
    pub sync: String,
    /// The run's id, a ULID.
    pub run: String,
    /// The run's number within its sync.
    pub generation: u64,
    /// How it ended.
    pub status: RunStatus,
    /// The sync's mode.
    pub mode: Mode,
    /// Files.
    pub files: FileCounts,
    /// Bytes fetched from the source.
    pub bytes_read: u64,
    /// Rows and lines of the files.
    pub source_rows: SourceRowCounts,
    /// Rows of the model.
    pub rows: RowCounts,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
    /// Why it did not succeed.
    pub error: Option<ErrorReport>,
    /// When it began; absent in the line that `sync` prints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended; absent while it runs and in the line that `sync` prints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
}
