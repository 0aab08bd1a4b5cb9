//! The summary: how all syncs are, what was delivered lately, what needs attention.
//! Not here: each sync (`syncs`).
//! Called by the router.

use std::collections::BTreeMap;

use axum::extract::State;
use chrono::{NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tapline_core::server_state::{Noun, RunDay};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::syncs::{Surroundings, SyncHealth};
use crate::app::App;
use crate::auth::Viewer;
use crate::extract::{Query, bounded};
use crate::problem::Result;

/// How far back the summary looks at most, in days.
const MOST_DAYS: usize = 90;

/// How far back to look.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SummaryQuery {
    /// Days, 1 to 90; 14 without it.
    #[param(minimum = 1, maximum = 90)]
    days: Option<usize>,
}

/// The summary.
#[derive(Debug, Serialize, ToSchema)]
struct Summary {
    /// How many syncs there are of each state.
    syncs: BTreeMap<SyncHealth, u64>,
    /// What was delivered day by day, oldest first.
    per_day: Vec<Day>,
    /// Syncs that somebody should look at, the gravest first.
    attention: Vec<Attention>,
    /// How many definitions there are.
    counts: Counts,
}

/// What was delivered on one day, in UTC.
#[derive(Debug, Serialize, ToSchema)]
struct Day {
    day: NaiveDate,
    inserted: u64,
    updated: u64,
    deleted: u64,
    rejected: u64,
    runs: u64,
    failed: u64,
}

/// A sync that somebody should look at.
#[derive(Debug, Serialize, ToSchema)]
struct Attention {
    /// Its name.
    sync: String,
    /// How it is.
    state: SyncHealth,
    /// Since when.
    since: Option<chrono::DateTime<Utc>>,
    /// The code of its last run's error.
    code: Option<String>,
    /// Its last run's error.
    message: Option<String>,
    /// Rows that wait to be offered again.
    open_rejects: u64,
}

/// How many definitions there are.
#[derive(Debug, Serialize, ToSchema)]
struct Counts {
    sources: usize,
    models: usize,
    destinations: usize,
    syncs: usize,
}

/// Show how everything is
#[utoipa::path(get, path = "/summary", tag = "summary", params(SummaryQuery),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The summary", body = Summary)))]
async fn read(State(app): State<App>, _: Viewer, Query(query): Query<SummaryQuery>) -> Result<axum::Json<Summary>> {
    let days = bounded("days", query.days, 14, MOST_DAYS)?;
    let surroundings = Surroundings::look(&app).await?;
    let entries = app.catalog.entries(Noun::Sync).await?;
    let mut syncs: BTreeMap<SyncHealth, u64> = BTreeMap::new();
    let mut attention = Vec::new();
    let count = entries.len();
    for entry in entries {
        let sync = surroundings.view(&app, entry).await?;
        *syncs.entry(sync.health()).or_default() += 1;
        let calls =
            matches!(sync.health(), SyncHealth::Failed | SyncHealth::Stopped | SyncHealth::Late | SyncHealth::Partial);
        if calls {
            let error = sync.last_run().and_then(|run| run.error());
            attention.push(Attention {
                sync: sync.name().to_owned(),
                state: sync.health(),
                since: sync.last_run().and_then(|run| run.since()),
                code: error.map(|error| error.code.clone()),
                message: error.map(|error| error.message.clone()),
                open_rejects: sync.open_rejects(),
            });
        }
    }
    attention.sort_by_key(|item| gravity(item.state));
    let counts = Counts {
        sources: app.catalog.entries(Noun::Source).await?.len(),
        models: app.catalog.entries(Noun::Model).await?.len(),
        destinations: app.catalog.entries(Noun::Destination).await?.len(),
        syncs: count,
    };
    let today = Utc::now().date_naive();
    let first = today - TimeDelta::days(i64::try_from(days).unwrap_or(1) - 1);
    let known: BTreeMap<NaiveDate, RunDay> =
        app.store.run_days(first).await?.into_iter().map(|day| (day.day, day)).collect();
    let per_day = first.iter_days().take(days).map(|day| {
        let RunDay { runs, failed, inserted, updated, deleted, rejected, .. } =
            known.get(&day).cloned().unwrap_or_default();
        Day { day, inserted, updated, deleted, rejected, runs, failed }
    });
    Ok(axum::Json(Summary { syncs, per_day: per_day.collect(), attention, counts }))
}

fn gravity(health: SyncHealth) -> u8 {
    match health {
        SyncHealth::Failed => 0,
        SyncHealth::Stopped => 1,
        SyncHealth::Late => 2,
        _ => 3,
    }
}

/// The routes of the summary.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read))
}
