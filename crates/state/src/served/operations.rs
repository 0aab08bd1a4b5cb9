//! Schedules, jobs and last checks as records.
//! Not here: the promise ([`Operations`]).
//! Called through that trait alone.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use tapline_core::schedule::SyncState;
use tapline_core::server_state::{Job, LastCheck, Noun, Operations};
use tapline_core::{Error, Lease, Result, StateStore, codes};

use super::Served;
use crate::backend::Backend;

const SCHEDULE: &str = "schedule";
const JOB: &str = "job";
const CHECK: &str = "check";

/// Whoever holds the lease of this name schedules. No sync has it: their names hold no `@`.
pub(super) const LEADER: &str = "@server";

#[async_trait]
impl<S: Backend + StateStore> Operations for Served<S> {
    async fn lead(&self, wait: Duration) -> Result<Lease> {
        self.store.lease(LEADER, wait).await.map_err(|error| {
            if error.code() != codes::SYNC_003 {
                return error;
            }
            Error::new(codes::SYNC_003, "a server runs on this state already")
                .because(error)
                .hint("stop it first; on PostgreSQL a second server waits and takes over when the first is gone")
        })
    }

    async fn schedules(&self) -> Result<BTreeMap<String, SyncState>> {
        Ok(self.all(SCHEDULE).await?.into_iter().collect())
    }

    async fn save_schedule(&self, sync: &str, state: &SyncState) -> Result<()> {
        self.put(SCHEDULE, sync, state).await
    }

    async fn forget_schedule(&self, sync: &str) -> Result<()> {
        self.delete(SCHEDULE, sync).await
    }

    async fn jobs(&self) -> Result<Vec<Job>> {
        let mut jobs: Vec<Job> = self.all(JOB).await?.into_iter().map(|(_, job)| job).collect();
        jobs.sort_by_key(|job| job.asked_at);
        Ok(jobs)
    }

    async fn put_job(&self, job: &Job) -> Result<()> {
        self.put(JOB, &job.run, job).await
    }

    async fn drop_job(&self, run: &str) -> Result<()> {
        self.delete(JOB, run).await
    }

    async fn last_checks(&self, noun: Noun) -> Result<BTreeMap<String, LastCheck>> {
        let prefix = key(noun, "");
        let checks = self.all(CHECK).await?.into_iter();
        Ok(checks.filter_map(|(key, check)| Some((key.strip_prefix(&prefix)?.to_owned(), check))).collect())
    }

    async fn put_last_check(&self, noun: Noun, name: &str, check: &LastCheck) -> Result<()> {
        self.put(CHECK, &key(noun, name), check).await
    }

    async fn forget_last_check(&self, noun: Noun, name: &str) -> Result<()> {
        self.delete(CHECK, &key(noun, name)).await
    }
}

/// The key of the last check of a connection.
fn key(noun: Noun, name: &str) -> String {
    format!("{}/{name}", noun.word())
}
