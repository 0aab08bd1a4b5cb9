//! A state store with what a server keeps in it: definitions, schedules, history, accounts and alerts, as records.
//! Not here: statements (`backend`), and the promises ([`tapline_core::server_state`]).
//! Called by `crate::open_server`.

mod accounts;
mod alerts;
mod definitions;
mod history;
mod operations;
mod rotate;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{TimeDelta, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tapline_core::{
    Checkpoint, Commit, Error, Intent, Lease, Reject, Result, RunReport, ServerStore, SourceReject, StateStore, codes,
};

use crate::backend::{Backend, Guard, Record, Write};
use crate::record::{parsed, time, unreadable};

pub use self::rotate::Rotated;

/// How long the events of a run are kept.
const EVENT_AGE: TimeDelta = TimeDelta::days(30);
/// How long the audit log is kept.
const AUDIT_AGE: TimeDelta = TimeDelta::days(400);
/// How often a change that others have outrun is made again.
const ATTEMPTS: usize = 20;
/// The kind of records whose revisions count the changes of many others.
const COUNTERS: &str = "counter";

/// A store of this crate, with a server's state.
pub(crate) struct Served<S> {
    store: S,
}

impl<S: Backend> Served<S> {
    pub(crate) fn new(store: S) -> Self {
        Self { store }
    }

    /// The record of a kind with this key.
    async fn get<T: DeserializeOwned>(&self, kind: &'static str, key: &str) -> Result<Option<T>> {
        self.store.record(kind, key).await?.map(|record| parsed(&record.body)).transpose()
    }

    /// All records of a kind, with their keys.
    async fn all<T: DeserializeOwned>(&self, kind: &'static str) -> Result<Vec<(String, T)>> {
        let records = self.store.records(kind).await?;
        records.into_iter().map(|record| Ok((record.key, parsed(&record.body)?))).collect()
    }

    /// Writes a record over whatever was there.
    async fn put<T: Serialize + Sync>(&self, kind: &'static str, key: &str, value: &T) -> Result<()> {
        self.store.write_all(&[put(kind, key, value)?]).await?;
        Ok(())
    }

    async fn delete(&self, kind: &'static str, key: &str) -> Result<()> {
        self.store.write_all(&[Write::Delete { kind, key: key.to_owned() }]).await?;
        Ok(())
    }

    /// The write that raises a counter from where it is now: of two changes that have read the same, it lets one through.
    async fn count(&self, counter: &'static str) -> Result<Write> {
        let revision = self.store.record(COUNTERS, counter).await?.map(|record| record.revision);
        Ok(Write::Put {
            kind: COUNTERS,
            key: counter.to_owned(),
            guard: revision.map_or(Guard::Absent, Guard::At),
            body: String::new(),
            sealed: None,
        })
    }
}

/// The write of a record over whatever is there.
fn put<T: Serialize>(kind: &'static str, key: &str, value: &T) -> Result<Write> {
    let body = serde_json::to_string(value).map_err(unreadable)?;
    Ok(Write::Put { kind, key: key.to_owned(), guard: Guard::Any, body, sealed: None })
}

/// What a change is told that others have outrun too often.
fn outrun(what: &str) -> Error {
    Error::new(codes::STATE_003, format!("changing {what}: others change them all the time"))
        .retry_after(Duration::from_secs(1))
}

/// The position that a cursor names, and `first` without one.
fn position<T: std::str::FromStr>(after: Option<&str>, first: T) -> Result<T> {
    match after {
        None => Ok(first),
        Some(cursor) => cursor.parse().map_err(|_| {
            Error::new(codes::API_006, "reading a page: the cursor is none that a page of this list gave")
                .hint("leave `after` out for the first page")
        }),
    }
}

#[async_trait]
impl<S: Backend + StateStore> ServerStore for Served<S> {
    fn kind(&self) -> &'static str {
        Backend::kind(&self.store)
    }

    async fn ping(&self) -> Result<()> {
        Backend::ping(&self.store).await
    }

    async fn tidy(&self) -> Result<()> {
        let now = Utc::now();
        self.forget_ended_sign_ins(now).await?;
        self.store.forget_before(&time(now - EVENT_AGE), &time(now - AUDIT_AGE)).await
    }
}

#[async_trait]
impl<S: Backend + StateStore> StateStore for Served<S> {
    fn id(&self) -> &str {
        self.store.id()
    }

    async fn lease(&self, sync: &str, wait: Duration) -> Result<Lease> {
        self.store.lease(sync, wait).await
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        self.store.release(lease).await
    }

    async fn lost(&self, lease: &Lease) -> Error {
        self.store.lost(lease).await
    }

    async fn checkpoint(&self, sync: &str) -> Result<Option<Checkpoint>> {
        self.store.checkpoint(sync).await
    }

    async fn commit(&self, lease: &Lease, expected_revision: u64, commit: Commit) -> Result<Checkpoint> {
        self.store.commit(lease, expected_revision, commit).await
    }

    async fn put_intent(&self, lease: &Lease, body: Value) -> Result<()> {
        self.store.put_intent(lease, body).await
    }

    async fn intent(&self, sync: &str) -> Result<Option<Intent>> {
        self.store.intent(sync).await
    }

    async fn drop_intent(&self, lease: &Lease) -> Result<()> {
        self.store.drop_intent(lease).await
    }

    async fn reset(&self, lease: &Lease) -> Result<()> {
        self.store.reset(lease).await
    }

    async fn rejects(&self, sync: &str) -> Result<Vec<Reject>> {
        self.store.rejects(sync).await
    }

    async fn source_rejects(&self, sync: &str) -> Result<Vec<SourceReject>> {
        self.store.source_rejects(sync).await
    }

    async fn record_run(&self, report: &RunReport) -> Result<()> {
        self.store.record_run(report).await
    }

    async fn runs(&self, sync: Option<&str>, limit: usize) -> Result<Vec<RunReport>> {
        self.store.runs(sync, limit).await
    }

    async fn run(&self, id: &str) -> Result<Option<RunReport>> {
        self.store.run(id).await
    }
}
