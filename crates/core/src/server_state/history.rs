//! The history of runs as pages, with why they ran and what happened in them.
//! Not here: writing the reports of runs (`state`).
//! Called by the server's routes of runs, rejects and the summary.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::{Page, PageRequest};
use crate::error::Result;
use crate::report::{RunReport, RunStatus};
use crate::state::Reject;

/// Why a run ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunCause {
    /// Its schedule said so.
    Schedule,
    /// Somebody asked for it.
    Request,
    /// Rejected rows were offered again.
    Retry,
    /// The run before was cut off.
    CutOff,
}

/// What a run's report does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFacts {
    /// Why it ran.
    pub cause: RunCause,
    /// Who asked for it, where somebody did.
    pub by: Option<String>,
}

/// A run of the history.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    /// Its report.
    pub report: RunReport,
    /// Absent for runs of the command line.
    pub facts: Option<RunFacts>,
}

/// Which runs are asked for. An empty filter means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of this sync.
    pub sync: Option<String>,
    /// Of one of these statuses.
    pub statuses: Vec<RunStatus>,
    /// Whose sync or id contains this text, in any case.
    pub search: Option<String>,
}

/// The runs that began on one day, in UTC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunDay {
    /// The day.
    pub day: NaiveDate,
    /// How many began.
    pub runs: u64,
    /// How many of them failed or were stopped.
    pub failed: u64,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows updated.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// Rows rejected.
    pub rejected: u64,
}

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredEvent {
    /// Its number within the run, from 1.
    pub id: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// The [`RunEvent`](crate::RunEvent) as JSON.
    pub event: serde_json::Value,
}

/// Which rejected rows are asked for. An empty filter means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RejectFilter {
    /// Of this code.
    pub code: Option<String>,
    /// Whose reason or code contains this text, in any case.
    pub search: Option<String>,
    /// Whether the key counts for `search` too.
    pub search_keys: bool,
}

/// Keeps the history of runs.
#[async_trait]
pub trait History: Send + Sync {
    /// Runs, newest first.
    async fn run_page(&self, filter: &RunFilter, page: &PageRequest) -> Result<Page<RunRecord>>;

    /// The run with this id.
    async fn run_record(&self, run: &str) -> Result<Option<RunRecord>>;

    /// Notes why a run runs; before it starts, or while it does.
    async fn put_run_facts(&self, run: &str, facts: &RunFacts) -> Result<()>;

    /// The days from `first` on at which runs began, in order.
    async fn run_days(&self, first: NaiveDate) -> Result<Vec<RunDay>>;

    /// Appends to the events of a run. One whose number is there already is left out.
    async fn append_events(&self, run: &str, events: &[StoredEvent]) -> Result<()>;

    /// The events of a run with numbers above `after`, in order, at most `limit`.
    async fn events(&self, run: &str, after: u64, limit: usize) -> Result<Vec<StoredEvent>>;

    /// Open rejected rows of a sync, in the order in which the last run left them.
    async fn reject_page(&self, sync: &str, filter: &RejectFilter, page: &PageRequest) -> Result<Page<Reject>>;

    /// How many rejected rows are open, by sync; a sync without any is absent.
    async fn open_rejects(&self) -> Result<BTreeMap<String, u64>>;
}
