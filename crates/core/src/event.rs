//! What happens in a run, said once; progress bar, history and log are printers of this one stream.
//! Not here: the printers.
//! Called by the engine, which sends, and by the command line and the server, which listen.

use std::sync::Arc;

use serde::Serialize;

use crate::report::{RowCounts, RunReport};

/// The part of the walk that a run is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Finishing what a run before left open.
    Recover,
    /// Listing files.
    List,
    /// Planning the SQL.
    Plan,
    /// Reading, comparing and staging, which overlap.
    Read,
    /// Making the change visible.
    Publish,
    /// Recording it.
    Commit,
}

impl Phase {
    /// One word for a progress bar.
    pub fn word(self) -> &'static str {
        match self {
            Self::Recover => "recovering",
            Self::List => "listing",
            Self::Plan => "planning",
            Self::Read => "reading",
            Self::Publish => "publishing",
            Self::Commit => "committing",
        }
    }
}

/// One thing that happened in a run.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// The run has its number.
    Started {
        /// Name of the sync.
        sync: String,
        /// The run's id.
        run: String,
        /// The run's number.
        generation: u64,
    },
    /// The run has come to another part of the walk.
    Phase {
        /// Which.
        phase: Phase,
    },
    /// How far reading has come.
    Progress {
        /// Bytes fetched so far.
        bytes_read: u64,
        /// Bytes of all files, where known.
        bytes_total: u64,
        /// Rows so far.
        rows: RowCounts,
    },
    /// Something worth a line in the history.
    Note {
        /// In words, without cell values.
        message: String,
    },
    /// The run has ended.
    Ended {
        /// Its report.
        report: Box<RunReport>,
    },
}

/// Who listens to the events of a run; called from the run's own task, so it must not block.
pub trait EventSink: Send + Sync {
    /// Takes one event.
    fn send(&self, event: RunEvent);
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl EventSink for Silent {
    fn send(&self, _: RunEvent) {}
}

/// A sink that several owners share.
pub type SharedSink = Arc<dyn EventSink>;
