//! What a server has to know when it starts again: schedules, jobs that wait, the last checks, and that it is the one
//! that schedules.
//! Not here: the decision what runs when (`schedule`).
//! Called by the server's scheduler and by its routes of connections.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::definitions::Noun;
use super::history::RunFacts;
use crate::check::CheckStep;
use crate::error::Result;
use crate::schedule::SyncState;
use crate::state::Lease;

/// A run that somebody asked for and that has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The run's id.
    pub run: String,
    /// The sync.
    pub sync: String,
    /// How it is to run; the server's own record.
    pub options: serde_json::Value,
    /// Why it runs, and for whom.
    pub facts: RunFacts,
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
}

/// How the last check of a connection went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastCheck {
    /// Whether every step succeeded.
    pub ok: bool,
    /// When.
    pub at: DateTime<Utc>,
    /// What was tried.
    pub steps: Vec<CheckStep>,
}

/// Keeps what a server does.
#[async_trait]
pub trait Operations: Send + Sync {
    /// Takes the right to schedule, waiting up to `wait` for another server on the same state; `SYNC-003` then. It is
    /// given back and lost as the lease of a sync is.
    async fn lead(&self, wait: Duration) -> Result<Lease>;

    /// The schedules as they were last saved, by sync.
    async fn schedules(&self) -> Result<BTreeMap<String, SyncState>>;

    /// Saves the schedule of a sync.
    async fn save_schedule(&self, sync: &str, state: &SyncState) -> Result<()>;

    /// Forgets the schedule of a sync.
    async fn forget_schedule(&self, sync: &str) -> Result<()>;

    /// The jobs that have not ended, oldest first.
    async fn jobs(&self) -> Result<Vec<Job>>;

    /// Keeps a job, in the place of one with the same run.
    async fn put_job(&self, job: &Job) -> Result<()>;

    /// Forgets a job; one that is gone already stays so.
    async fn drop_job(&self, run: &str) -> Result<()>;

    /// The last check of each connection of a noun, by its name.
    async fn last_checks(&self, noun: Noun) -> Result<BTreeMap<String, LastCheck>>;

    /// Keeps the last check of a connection.
    async fn put_last_check(&self, noun: Noun, name: &str, check: &LastCheck) -> Result<()>;

    /// Forgets the last check of a connection.
    async fn forget_last_check(&self, noun: Noun, name: &str) -> Result<()>;
}
