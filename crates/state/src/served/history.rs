//! Runs, their events and rejected rows by page.
//! Not here: the promise ([`History`]).
//! Called through that trait alone.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::NaiveDate;
use tapline_core::server_state::{
    History, Page, PageRequest, RejectFilter, RunDay, RunFacts, RunFilter, RunRecord, StoredEvent,
};
use tapline_core::{Reject, Result};

use super::{Served, position};
use crate::backend::{Backend, RunRow};
use crate::record::parsed;
use crate::reject::RejectRow;

const RUN_FACTS: &str = "run_facts";

/// How many events of one run are kept: the last.
const EVENTS_KEPT: u64 = 10_000;

#[async_trait]
impl<S: Backend> History for Served<S> {
    async fn run_page(&self, filter: &RunFilter, page: &PageRequest) -> Result<Page<RunRecord>> {
        let before = position(page.after.as_deref(), i64::MAX)?;
        let mut rows = self.store.runs_before(filter, before, one_more(page.limit)).await?;
        let more = rows.len() > page.limit;
        rows.truncate(page.limit);
        let next = rows.last().filter(|_| more).map(|(position, ..)| position.to_string());
        Ok(Page { items: rows.into_iter().map(record).collect::<Result<_>>()?, next })
    }

    async fn run_record(&self, run: &str) -> Result<Option<RunRecord>> {
        self.store.run_row(run).await?.map(record).transpose()
    }

    async fn put_run_facts(&self, run: &str, facts: &RunFacts) -> Result<()> {
        self.put(RUN_FACTS, run, facts).await
    }

    async fn run_days(&self, first: NaiveDate) -> Result<Vec<RunDay>> {
        self.store.run_days(&first.to_string()).await
    }

    async fn append_events(&self, run: &str, events: &[StoredEvent]) -> Result<()> {
        let Some(last) = events.iter().map(|event| event.id).max() else { return Ok(()) };
        let forgotten = i64::try_from(last.saturating_sub(EVENTS_KEPT)).unwrap_or(i64::MAX);
        self.store.append_events(run, events, forgotten).await
    }

    async fn events(&self, run: &str, after: u64, limit: usize) -> Result<Vec<StoredEvent>> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let bodies = self.store.events(run, after, i64::try_from(limit).unwrap_or(i64::MAX)).await?;
        bodies.iter().map(|body| parsed(body)).collect()
    }

    async fn reject_page(&self, sync: &str, filter: &RejectFilter, page: &PageRequest) -> Result<Page<Reject>> {
        let mut from: u64 = position(page.after.as_deref(), 0)?;
        let search = filter.search.as_deref().map(str::to_lowercase);
        let mut items = Vec::new();
        loop {
            let rows = self.store.reject_rows(sync, from).await?;
            let Some(last) = rows.last().map(|row| row.position) else { return Ok(Page { items, next: None }) };
            for mut row in rows {
                if !self.fits(sync, filter, search.as_deref(), &mut row).await? {
                    continue;
                }
                if items.len() == page.limit {
                    return Ok(Page { items, next: Some(row.position.to_string()) });
                }
                items.push(row.open(self.store.sealer(), sync).await?);
            }
            from = last + 1;
        }
    }

    async fn open_rejects(&self) -> Result<BTreeMap<String, u64>> {
        Ok(self.store.reject_counts().await?.into_iter().collect())
    }
}

impl<S: Backend> Served<S> {
    /// Whether a row is one of those asked for; opens its keys only if they are searched.
    async fn fits(&self, sync: &str, filter: &RejectFilter, search: Option<&str>, row: &mut RejectRow) -> Result<bool> {
        if filter.code.as_ref().is_some_and(|code| *code != row.reject.code) {
            return Ok(false);
        }
        let Some(search) = search else { return Ok(true) };
        let contains = |text: &str| text.to_lowercase().contains(search);
        if contains(&row.reject.code) || contains(&row.reject.reason) {
            return Ok(true);
        }
        if !filter.search_keys {
            return Ok(false);
        }
        row.open_keys(self.store.sealer(), sync).await?;
        Ok(contains(&row.reject.key.to_string()))
    }
}

fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

fn record((_, report, facts): RunRow) -> Result<RunRecord> {
    let facts = facts.map(|body| parsed::<RunFacts>(&body)).transpose()?;
    Ok(RunRecord { report: parsed(&report)?, facts })
}
