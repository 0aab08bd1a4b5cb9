//! Syncs: definitions with how they fare, plans, previews, pauses, and runs to be started.
//! Not here: running (`crate::runs`), rejected rows (`rejects`).
//! Called by the router.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tapline_core::config::Project;
use tapline_core::schedule::{SyncState, Timetable};
use tapline_core::server_state::{Noun, PageRequest, RunCause, RunFacts, RunFilter};
use tapline_core::{Class, ErrorReport, RunStatus};
use tapline_engine::{PlanReport, RunOptions, SyncJob};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::definitions::{self, ChangedDefinition, NewDefinition, TriedSettings, created, tagged, trial, usable};
use super::runs::{ErrorView, RowCountsView, Run};
use super::schedules;
use crate::apart::{apart, to_its_end};
use crate::app::App;
use crate::audit;
use crate::auth::{Admin, Caller, Editor, Viewer};
use crate::catalog::{Entry, Reach};
use crate::extract::{Json, OptionalJson, PageQuery, Path, Query, bounded};
use crate::interactive::{TIME_LIMIT, within};
use crate::metrics::word;
use crate::page::Page;
use crate::problem::{Problem, Result};
use crate::rows::{Layout, RowColumn, Rows};
use crate::runs::{RunRequest, job};

/// How many runs a trend shows.
const TREND: usize = 12;
/// How late a tick may be before its sync counts as late.
const GRACE: TimeDelta = TimeDelta::minutes(2);
/// How long a plan may take.
const PLAN_TIMEOUT: Duration = Duration::from_secs(600);
/// Samples of a plan.
const MOST_SAMPLES: usize = 100;

/// A sync.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sync {
    #[serde(flatten)]
    entry: Entry,
    /// Its model.
    model: String,
    /// Its destination.
    destination: String,
    /// The stream that it delivers to.
    stream: String,
    /// incremental or full_refresh.
    mode: String,
    /// Its schedule in words.
    schedule: String,
    /// Whether its schedule is suspended.
    paused: bool,
    /// How it is.
    state: SyncHealth,
    /// Its latest run.
    last_run: Option<Run>,
    /// When it starts next by its schedule.
    next_run: Option<DateTime<Utc>>,
    /// Rows that wait to be offered again.
    open_rejects: u64,
    /// Its latest runs, oldest first.
    trend: Vec<TrendRun>,
}

/// How a sync is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncHealth {
    /// Its last run ended well, and nothing is open.
    Healthy,
    /// Rows or lines are rejected.
    Partial,
    /// Its last run failed.
    Failed,
    /// A guard, or somebody, stopped its last run.
    Stopped,
    /// It runs.
    Running,
    /// It should have begun to run.
    Late,
    /// It is paused, or a draft.
    Off,
    /// It has never run.
    New,
}

/// A run in a trend.
#[derive(Debug, Serialize, ToSchema)]
struct TrendRun {
    /// The run's id.
    run: String,
    /// How it ended.
    status: &'static str,
    /// Rows inserted, updated and deleted.
    delivered: u64,
}

/// What is known about all syncs at once.
pub(super) struct Surroundings {
    schedules: BTreeMap<String, SyncState>,
    rejects: BTreeMap<String, u64>,
    project: Project,
}

impl Surroundings {
    pub(super) async fn look(app: &App) -> Result<Self> {
        Ok(Self {
            schedules: app.runner.schedules().await?,
            rejects: app.store.open_rejects().await?,
            project: app.catalog.project().await?,
        })
    }

    pub(super) async fn view(&self, app: &App, entry: Entry) -> Result<Sync> {
        let name = entry.name.clone();
        let filter = RunFilter { sync: Some(name.clone()), ..RunFilter::default() };
        let runs = app.store.run_page(&filter, &PageRequest { after: None, limit: TREND }).await?.items;
        let state = self.schedules.get(&name);
        let paused = state.is_some_and(|state| state.paused);
        let config = self.project.syncs.get(&name);
        let timetable = config.and_then(|config| Timetable::new(&name, &config.schedule).ok());
        let now = Utc::now();
        let due = timetable.as_ref().zip(state).and_then(|(table, state)| table.next_after(state.settled_until));
        let is_late = due.is_some_and(|due| due + GRACE < now);
        let open_rejects = self.rejects.get(&name).copied().unwrap_or_default();
        let last = runs.first().map(|record| record.report.status);
        let health = match last {
            _ if app.runner.running(&name).is_some() || last == Some(RunStatus::Running) => SyncHealth::Running,
            _ if paused || entry.draft => SyncHealth::Off,
            _ if is_late => SyncHealth::Late,
            None => SyncHealth::New,
            Some(RunStatus::Failed) => SyncHealth::Failed,
            Some(RunStatus::Stopped | RunStatus::Cancelled) => SyncHealth::Stopped,
            Some(RunStatus::Partial) => SyncHealth::Partial,
            Some(_) if open_rejects > 0 => SyncHealth::Partial,
            Some(_) => SyncHealth::Healthy,
        };
        let trend = runs.iter().rev().map(|record| {
            let rows = &record.report.rows;
            TrendRun {
                run: record.report.run.clone(),
                status: word(record.report.status),
                delivered: rows.inserted + rows.updated + rows.deleted,
            }
        });
        Ok(Sync {
            model: entry.text("model"),
            destination: entry.text("destination"),
            stream: entry.text("stream"),
            mode: entry.text("mode"),
            schedule: config.map_or_else(String::new, |config| schedules::words(&config.schedule)),
            paused,
            state: health,
            next_run: timetable.filter(|_| !paused).and_then(|table| table.next_after(now)),
            open_rejects,
            trend: trend.collect(),
            last_run: runs.into_iter().next().map(Run::from),
            entry,
        })
    }
}

impl Sync {
    pub(super) fn health(&self) -> SyncHealth {
        self.state
    }

    pub(super) fn name(&self) -> &str {
        &self.entry.name
    }

    pub(super) fn last_run(&self) -> Option<&Run> {
        self.last_run.as_ref()
    }

    pub(super) fn open_rejects(&self) -> u64 {
        self.open_rejects
    }
}

async fn view(app: &App, entry: &Entry) -> Result<Sync> {
    Surroundings::look(app).await?.view(app, entry.clone()).await
}

/// Which syncs are wanted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct SyncQuery {
    /// Of this model.
    model: Option<String>,
    /// To this destination.
    destination: Option<String>,
}

/// List syncs
#[utoipa::path(get, path = "/syncs", tag = "syncs", params(PageQuery, SyncQuery),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The syncs, by name", body = Page<Sync>)))]
async fn list(
    State(app): State<App>,
    _: Viewer,
    Query(page): Query<PageQuery>,
    Query(query): Query<SyncQuery>,
) -> Result<axum::Json<Page<Sync>>> {
    let mut entries = app.catalog.entries(Noun::Sync).await?;
    entries.retain(|entry| query.model.as_ref().is_none_or(|model| entry.text("model") == *model));
    entries.retain(|entry| query.destination.as_ref().is_none_or(|name| entry.text("destination") == *name));
    let page = Page::of_named(entries, &page, |entry| &entry.name)?;
    let surroundings = Surroundings::look(&app).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for entry in page.items {
        items.push(surroundings.view(&app, entry).await?);
    }
    Ok(axum::Json(Page { items, next: page.next }))
}

/// Make a sync
#[utoipa::path(post, path = "/syncs", tag = "syncs", request_body = NewDefinition,
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 201, description = "The sync that was made", body = Sync)))]
async fn create(State(app): State<App>, Editor(caller): Editor, Json(body): Json<NewDefinition>) -> Result<Response> {
    let entry = definitions::create(&app, &caller, Noun::Sync, body).await?;
    Ok(created(Noun::Sync, &entry, view(&app, &entry).await?))
}

/// Show a sync
#[utoipa::path(get, path = "/syncs/{name}", tag = "syncs", params(("name" = String, Path)),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The sync", body = Sync)))]
async fn read(State(app): State<App>, _: Viewer, Path(name): Path<String>) -> Result<Response> {
    let entry = app.catalog.entry(Noun::Sync, &name).await?;
    Ok(tagged(&entry, view(&app, &entry).await?))
}

/// Change a sync
#[utoipa::path(put, path = "/syncs/{name}", tag = "syncs", params(("name" = String, Path)),
    request_body = ChangedDefinition, security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "The sync as it is now", body = Sync)))]
async fn update(
    State(app): State<App>,
    Editor(caller): Editor,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(body): Json<ChangedDefinition>,
) -> Result<Response> {
    let entry = definitions::update(&app, &caller, Noun::Sync, &name, &headers, body).await?;
    Ok(tagged(&entry, view(&app, &entry).await?))
}

/// Delete a sync; what it delivered stays where it is, and its history too
#[utoipa::path(delete, path = "/syncs/{name}", tag = "syncs", params(("name" = String, Path)),
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 204, description = "It is gone")))]
async fn remove(State(app): State<App>, Editor(caller): Editor, Path(name): Path<String>) -> Result<StatusCode> {
    if let Some(run) = app.runner.running(&name) {
        return Err(Problem::conflict(format!("the sync `{name}` is running (run {run})"))
            .hint("cancel the run, or wait until it has ended"));
    }
    let status = definitions::delete(&app, &caller, Noun::Sync, &name).await?;
    app.runner.forget(&name).await?;
    Ok(status)
}

/// Settings of a sync that are tried without being saved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UnsavedSync {
    /// As in the project file.
    #[schema(value_type = Object)]
    settings: Value,
    /// The sync that they are to replace.
    name: Option<String>,
    /// At most so many rows, or samples, 1 to 100.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

async fn unsaved_job(app: &App, body: UnsavedSync) -> Result<SyncJob> {
    let tried = TriedSettings { settings: body.settings, name: body.name };
    let (project, name) = trial(app, Noun::Sync, &tried, Reach::Folder).await?;
    let job = app.catalog.parts.job(&project, &name, &app.state)?;
    app.catalog.guard(Noun::Source, &job.model.source).await?;
    app.catalog.guard(Noun::Destination, &job.sync.destination).await?;
    Ok(job)
}

/// Rows as they would be sent.
#[derive(Debug, Serialize, ToSchema)]
struct Payloads {
    /// The fields.
    fields: Vec<RowColumn>,
    /// Rows, each an object of its fields.
    #[schema(value_type = Vec<Object>)]
    payloads: Vec<Value>,
    /// What is wrong with single rows.
    errors: Vec<String>,
}

/// Show the first rows of a sync as they would be sent
#[utoipa::path(post, path = "/syncs/preview", tag = "syncs", request_body = UnsavedSync,
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "Mapped rows", body = Payloads)))]
async fn preview(State(app): State<App>, _: Editor, Json(body): Json<UnsavedSync>) -> Result<axum::Json<Payloads>> {
    let limit = bounded("limit", body.limit, 3, MOST_SAMPLES)?;
    let job = unsaved_job(&app, body).await?;
    let payloads = within(&app, TIME_LIMIT, async {
        let mut rows = Rows::new(Layout::Objects, limit);
        let previewed = apart(move || async move {
            tapline_engine::preview_sync(&job, rows.wanted(), &mut rows).await?;
            Ok(rows)
        });
        let rows = previewed.await?;
        let fields = rows.columns().iter().map(RowColumn::from).collect();
        let payloads = serde_json::from_slice(&rows.into_json())
            .map_err(|error| tapline_core::Error::internal("reading rows").because(error))?;
        Ok(Payloads { fields, payloads, errors: Vec::new() })
    });
    Ok(axum::Json(payloads.await?))
}

/// What a run would do.
#[derive(Debug, Serialize, ToSchema)]
struct PlanDocument {
    /// Name of the sync.
    sync: String,
    /// The digest of the change set; null where the run would be stopped before its changes are known.
    fingerprint: Option<String>,
    /// Rows by what would happen to them.
    #[schema(value_type = RowCountsView)]
    rows: tapline_core::RowCounts,
    /// Some of the changes.
    #[schema(value_type = Vec<PlanSampleView>)]
    samples: Vec<tapline_engine::PlanSample>,
    /// Why a guard would stop the run.
    #[schema(value_type = Option<ErrorView>)]
    error: Option<ErrorReport>,
}

/// One row that would change.
#[derive(ToSchema)]
#[schema(as = PlanSample)]
#[allow(dead_code, reason = "only its schema is used")]
struct PlanSampleView {
    op: String,
    #[schema(value_type = Object)]
    key: Value,
    changes: Vec<FieldChangeView>,
}

/// One field that would change.
#[derive(ToSchema)]
#[schema(as = FieldChange)]
#[allow(dead_code, reason = "only its schema is used")]
struct FieldChangeView {
    field: String,
    old: Option<Value>,
    new: Value,
}

/// How a plan is made.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct PlanRequest {
    /// Show up to so many changed rows, 1 to 100; 5 without it.
    #[schema(minimum = 1, maximum = 100)]
    diff: Option<usize>,
    /// Plan as if the sync were a full refresh.
    full_refresh: bool,
}

/// Show what a run would change; writes nothing anywhere
#[utoipa::path(post, path = "/syncs/{name}/plan", tag = "syncs", params(("name" = String, Path)),
    request_body = PlanRequest, security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "What would change", body = PlanDocument)))]
async fn plan(
    State(app): State<App>,
    _: Editor,
    Path(name): Path<String>,
    OptionalJson(body): OptionalJson<PlanRequest>,
) -> Result<axum::Json<PlanDocument>> {
    let samples = bounded("diff", body.diff, 5, MOST_SAMPLES)?;
    usable(&app, Noun::Sync, &name).await?;
    let job = job(&app, &name).await?;
    let options = RunOptions { full_refresh: body.full_refresh, ..RunOptions::default() };
    Ok(axum::Json(planned(&app, job, options, samples).await?))
}

/// Show what a run with settings that are not saved would change
#[utoipa::path(post, path = "/syncs/plan", tag = "syncs", request_body = UnsavedSync,
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "What would change", body = PlanDocument)))]
async fn plan_unsaved(
    State(app): State<App>,
    _: Editor,
    Json(body): Json<UnsavedSync>,
) -> Result<axum::Json<PlanDocument>> {
    let samples = bounded("limit", body.limit, 5, MOST_SAMPLES)?;
    let job = unsaved_job(&app, body).await?;
    Ok(axum::Json(planned(&app, job, RunOptions::default(), samples).await?))
}

async fn planned(app: &App, job: SyncJob, options: RunOptions, samples: usize) -> Result<PlanDocument> {
    let (name, sql) = (job.name.clone(), job.model.sql.clone());
    let planned = within(app, PLAN_TIMEOUT, async {
        let never = CancellationToken::new();
        Ok(apart(move || async move { tapline_engine::plan(&job, &options, samples, &never).await }).await)
    });
    match planned.await? {
        Ok(PlanReport { sync, fingerprint, rows, samples, error }) => {
            Ok(PlanDocument { sync, fingerprint: Some(fingerprint), rows, samples, error })
        }
        Err(error) if error.class() == Class::Guard => Ok(PlanDocument {
            sync: name,
            fingerprint: None,
            rows: tapline_core::RowCounts::default(),
            samples: Vec::new(),
            error: Some(ErrorReport::from(&error)),
        }),
        Err(error) => Err(Problem::of_sql(&error, &sql, "")),
    }
}

/// Suspend the schedule of a sync
#[utoipa::path(post, path = "/syncs/{name}/pause", tag = "syncs", params(("name" = String, Path)),
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "The sync", body = Sync)))]
async fn pause(State(app): State<App>, Editor(caller): Editor, Path(name): Path<String>) -> Result<axum::Json<Sync>> {
    suspend(&app, &caller, &name, true).await
}

/// Let the schedule of a sync start runs again
#[utoipa::path(post, path = "/syncs/{name}/resume", tag = "syncs", params(("name" = String, Path)),
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "The sync", body = Sync)))]
async fn resume(State(app): State<App>, Editor(caller): Editor, Path(name): Path<String>) -> Result<axum::Json<Sync>> {
    suspend(&app, &caller, &name, false).await
}

async fn suspend(app: &App, caller: &Caller, name: &str, paused: bool) -> Result<axum::Json<Sync>> {
    usable(app, Noun::Sync, name).await?;
    app.runner.pause(name, paused).await?;
    let action = if paused { "syncs.pause" } else { "syncs.resume" };
    audit::record(app, caller, action, Some(name), json!({})).await?;
    let entry = app.catalog.entry(Noun::Sync, name).await?;
    Ok(axum::Json(view(app, &entry).await?))
}

/// Run a sync
#[utoipa::path(post, path = "/syncs/{name}/runs", tag = "syncs", params(("name" = String, Path)),
    request_body = RunRequest, security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 202, description = "The run, which begins when there is room", body = Run)))]
async fn run(
    State(app): State<App>,
    Editor(caller): Editor,
    Path(name): Path<String>,
    OptionalJson(body): OptionalJson<RunRequest>,
) -> Result<Response> {
    ask(&app, &caller, &name, body, RunCause::Request).await
}

/// Offer only the rejected rows of a sync again
#[utoipa::path(post, path = "/syncs/{name}/retry", tag = "syncs", params(("name" = String, Path)),
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 202, description = "The run, which begins when there is room", body = Run)))]
async fn retry(State(app): State<App>, Editor(caller): Editor, Path(name): Path<String>) -> Result<Response> {
    let request = RunRequest { only_rejects: true, ..RunRequest::default() };
    ask(&app, &caller, &name, request, RunCause::Retry).await
}

async fn ask(app: &App, caller: &Caller, name: &str, request: RunRequest, cause: RunCause) -> Result<Response> {
    usable(app, Noun::Sync, name).await?;
    let full = request.full_refresh || job(app, name).await?.sync.mode == tapline_core::config::Mode::FullRefresh;
    if request.limit.is_some() && full {
        return Err(Problem::from(
            tapline_core::Error::new(tapline_core::codes::CONF_007, "`limit` cannot be used with a full refresh")
                .hint("a limited full refresh would delete every row beyond the limit"),
        ));
    }
    if request.limit == Some(0) {
        return Err(Problem::malformed("`limit` has to be at least 1"));
    }
    let details = json!(request);
    let facts = RunFacts { cause, by: Some(caller.name.clone()) };
    let run = Run::from(app.runner.request(name, &request, facts).await?);
    audit::record(app, caller, "syncs.run", Some(name), details).await?;
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, run.location())], axum::Json(run)).into_response())
}

/// The name of the sync once more, since what is asked for cannot be undone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    /// The sync's name.
    confirm: String,
}

/// Forget what a sync has delivered: its next run delivers every row
#[utoipa::path(post, path = "/syncs/{name}/reset", tag = "syncs", params(("name" = String, Path)),
    request_body = Confirmation, security(("token" = ["admin"]), ("session" = ["admin"])),
    responses((status = 204, description = "It is forgotten")))]
async fn reset(
    State(app): State<App>,
    Admin(caller): Admin,
    Path(name): Path<String>,
    Json(body): Json<Confirmation>,
) -> Result<StatusCode> {
    if body.confirm != name {
        return Err(Problem::malformed("`confirm` is not the name of the sync"));
    }
    usable(&app, Noun::Sync, &name).await?;
    let job = job(&app, &name).await?;
    to_its_end(move || async move { tapline_engine::reset(&job).await }).await?;
    audit::record(&app, &caller, "syncs.reset", Some(&name), json!({})).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What was taken as delivered.
#[derive(Debug, Serialize, ToSchema)]
struct AdoptedView {
    /// Rows that count as delivered now.
    rows: u64,
    /// Those of them whose values could not all be read back: the next run sends them again.
    unread: u64,
    /// Rows that were left out, since a part of their key is null.
    without_key: u64,
}

/// Take what the destination holds as delivered
#[utoipa::path(post, path = "/syncs/{name}/adopt", tag = "syncs", params(("name" = String, Path)),
    security(("token" = ["admin"]), ("session" = ["admin"])),
    responses((status = 200, description = "What was adopted", body = AdoptedView)))]
async fn adopt(
    State(app): State<App>,
    Admin(caller): Admin,
    Path(name): Path<String>,
) -> Result<axum::Json<AdoptedView>> {
    usable(&app, Noun::Sync, &name).await?;
    let job = job(&app, &name).await?;
    let adopted = to_its_end(move || async move { tapline_engine::adopt(&job).await }).await?;
    audit::record(&app, &caller, "syncs.adopt", Some(&name), json!({ "rows": adopted.rows })).await?;
    Ok(axum::Json(AdoptedView { rows: adopted.rows, unread: adopted.unread, without_key: adopted.without_key }))
}

/// Whose data are to be forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EraseRequest {
    /// The primary key, field by field, as the destination names them.
    #[schema(value_type = Object)]
    key: serde_json::Map<String, Value>,
}

/// What was forgotten.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Erased)]
struct ErasedView {
    /// Entries of snapshots.
    snapshots: u64,
    /// Rejected rows.
    rejects: u64,
}

/// Forget all that is kept of one primary key; what the destination holds is not touched
#[utoipa::path(post, path = "/syncs/{name}/erase", tag = "syncs", params(("name" = String, Path)),
    request_body = EraseRequest, security(("token" = ["admin"]), ("session" = ["admin"])),
    responses((status = 200, description = "What was forgotten", body = ErasedView)))]
async fn erase(
    State(app): State<App>,
    Admin(caller): Admin,
    Path(name): Path<String>,
    Json(body): Json<EraseRequest>,
) -> Result<axum::Json<ErasedView>> {
    usable(&app, Noun::Sync, &name).await?;
    let job = job(&app, &name).await?;
    let erased = to_its_end(move || async move { tapline_engine::erase(&job, &body.key).await }).await?;
    let view = ErasedView { snapshots: erased.snapshots, rejects: erased.rejects };
    // Whose key it was is what nobody is to know any more.
    audit::record(&app, &caller, "syncs.erase", Some(&name), json!(view)).await?;
    Ok(axum::Json(view))
}

/// The routes of syncs.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, update, remove))
        .routes(routes!(preview))
        .routes(routes!(plan))
        .routes(routes!(plan_unsaved))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(run))
        .routes(routes!(retry))
        .routes(routes!(reset))
        .routes(routes!(adopt))
        .routes(routes!(erase))
}
