//! Runs: the history, what goes on, and its events.
//! Not here: starting runs (`syncs`), running them (`crate::runs`).
//! Called by the router.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use futures::Stream;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tapline_core::config::Mode;
use tapline_core::server_state::{Job, PageRequest, RunCause, RunFilter, RunRecord, StoredEvent};
use tapline_core::{ErrorReport, FileCounts, RowCounts, RunReport, RunStatus, SourceRowCounts};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::audit;
use crate::auth::{Editor, Viewer};
use crate::extract::{PageQuery, Path, Query};
use crate::page::Page;
use crate::problem::{Problem, Result};

/// Events that are read from the store at a time.
const EVENTS: usize = 500;
/// How often the store is asked for more events of a run that goes on in another process.
const POLL: Duration = Duration::from_secs(1);

/// One run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Run {
    /// The run's id, a ULID.
    id: String,
    /// The same.
    run: String,
    /// Name of the sync.
    sync: String,
    /// The run's number within its sync; 0 before it begins.
    generation: u64,
    /// How it ended, or `running`.
    #[schema(value_type = RunStatusView)]
    status: RunStatus,
    /// Whether it was asked for and has not begun.
    queued: bool,
    /// incremental or full_refresh.
    #[schema(value_type = RunModeView)]
    mode: Mode,
    /// Files.
    #[schema(value_type = FileCountsView)]
    files: FileCounts,
    /// Bytes fetched from the source.
    bytes_read: u64,
    /// Rows and lines of the files.
    #[schema(value_type = SourceRowCountsView)]
    source_rows: SourceRowCounts,
    /// Rows of the model.
    #[schema(value_type = RowCountsView)]
    rows: RowCounts,
    /// Wall time in milliseconds.
    duration_ms: u64,
    /// Why it did not succeed.
    #[schema(value_type = Option<ErrorView>)]
    error: Option<ErrorReport>,
    /// When it began, or was asked for.
    started_at: Option<DateTime<Utc>>,
    /// When it ended.
    ended_at: Option<DateTime<Utc>>,
    /// Why it ran; null for runs of the command line.
    #[schema(value_type = Option<RunCauseView>)]
    cause: Option<RunCause>,
    /// Who asked for it.
    by: Option<String>,
}

/// How a run ended.
#[derive(ToSchema)]
#[schema(as = RunStatus, rename_all = "snake_case")]
#[allow(dead_code, reason = "only its schema is used")]
enum RunStatusView {
    Running,
    Succeeded,
    Partial,
    Unchanged,
    Stopped,
    Failed,
    Cancelled,
}

/// How a run brings the destination up to date.
#[derive(ToSchema)]
#[schema(as = RunMode, rename_all = "snake_case")]
#[allow(dead_code, reason = "only its schema is used")]
enum RunModeView {
    Incremental,
    FullRefresh,
}

/// Why a run ran.
#[derive(ToSchema)]
#[schema(as = RunCause, rename_all = "snake_case")]
#[allow(dead_code, reason = "only its schema is used")]
enum RunCauseView {
    Schedule,
    Request,
    Retry,
    CutOff,
}

/// The files of a run.
#[derive(ToSchema)]
#[schema(as = FileCounts)]
#[allow(dead_code, reason = "only its schema is used")]
struct FileCountsView {
    listed: u64,
    read: u64,
    skipped: u64,
}

/// The lines of a run's files.
#[derive(ToSchema)]
#[schema(as = SourceRowCounts)]
#[allow(dead_code, reason = "only its schema is used")]
struct SourceRowCountsView {
    read: u64,
    rejected: u64,
}

/// The rows of a model by what became of them.
#[derive(ToSchema)]
#[schema(as = RowCounts)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct RowCountsView {
    read: u64,
    unchanged: u64,
    inserted: u64,
    updated: u64,
    skipped: u64,
    rejected: u64,
    deleted: u64,
    delete_rejected: u64,
}

/// An error in short.
#[derive(ToSchema)]
#[schema(as = ErrorReport)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct ErrorView {
    code: String,
    message: String,
    hint: Option<String>,
}

impl From<RunRecord> for Run {
    fn from(record: RunRecord) -> Self {
        let RunRecord { report, facts } = record;
        let (cause, by) = facts.map_or((None, None), |facts| (Some(facts.cause), facts.by));
        Self::new(report, cause, by)
    }
}

impl From<Job> for Run {
    fn from(job: Job) -> Self {
        let mode = if job.options["full_refresh"] == true { Mode::FullRefresh } else { Mode::Incremental };
        let report = RunReport {
            sync: job.sync,
            run: job.run,
            generation: 0,
            status: RunStatus::Running,
            mode,
            files: FileCounts::default(),
            bytes_read: 0,
            source_rows: SourceRowCounts::default(),
            rows: RowCounts::default(),
            duration_ms: 0,
            error: None,
            started_at: Some(job.asked_at),
            ended_at: None,
        };
        Self { queued: true, ..Self::new(report, Some(job.facts.cause), job.facts.by) }
    }
}

impl Run {
    fn new(report: RunReport, cause: Option<RunCause>, by: Option<String>) -> Self {
        Self {
            id: report.run.clone(),
            run: report.run,
            sync: report.sync,
            generation: report.generation,
            status: report.status,
            queued: false,
            mode: report.mode,
            files: report.files,
            bytes_read: report.bytes_read,
            source_rows: report.source_rows,
            rows: report.rows,
            duration_ms: report.duration_ms,
            error: report.error,
            started_at: report.started_at,
            ended_at: report.ended_at,
            cause,
            by,
        }
    }

    /// Why it did not succeed.
    pub fn error(&self) -> Option<&ErrorReport> {
        self.error.as_ref()
    }

    /// Since when it is as it is.
    pub fn since(&self) -> Option<DateTime<Utc>> {
        self.ended_at.or(self.started_at)
    }

    /// Where the run is found.
    pub fn location(&self) -> String {
        format!("/api/v1/runs/{}", self.id)
    }
}

/// Which runs are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RunQuery {
    /// Of this sync.
    sync: Option<String>,
    /// Of these statuses, with commas between.
    status: Option<String>,
}

/// List runs, newest first
#[utoipa::path(get, path = "/runs", tag = "runs", params(PageQuery, RunQuery),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The runs", body = Page<Run>)))]
async fn list(
    State(app): State<App>,
    _: Viewer,
    Query(page): Query<PageQuery>,
    Query(query): Query<RunQuery>,
) -> Result<axum::Json<Page<Run>>> {
    let limit = page.limit()?;
    let statuses = query.status.as_deref().unwrap_or_default().split(',').filter(|word| !word.is_empty());
    let statuses = statuses
        .map(|word| {
            serde_json::from_value::<RunStatus>(json!(word))
                .map_err(|_| Problem::malformed(format!("`{word}` is no status of a run")))
        })
        .collect::<Result<Vec<_>>>()?;
    let filter = RunFilter { sync: query.sync, statuses, search: page.search };
    let found = app.store.run_page(&filter, &PageRequest { after: page.after.clone(), limit }).await?;
    let mut items: Vec<Run> = found.items.into_iter().map(Run::from).collect();
    let with_waiting = page.after.is_none()
        && filter.search.is_none()
        && (filter.statuses.is_empty() || filter.statuses.contains(&RunStatus::Running));
    if with_waiting {
        let mut waiting = app.runner.waiting_jobs().await?;
        waiting.retain(|job| filter.sync.as_ref().is_none_or(|sync| *sync == job.sync));
        waiting.retain(|job| items.iter().all(|run| run.id != job.run));
        items.splice(0..0, waiting.into_iter().rev().map(Run::from));
    }
    Ok(axum::Json(Page { items, next: found.next }))
}

async fn find(app: &App, id: &str) -> Result<Run> {
    if let Some(record) = app.store.run_record(id).await? {
        return Ok(Run::from(record));
    }
    if let Some(job) = app.runner.waiting(id).await? {
        return Ok(Run::from(job));
    }
    // Between the queue and the history.
    let job = app.store.jobs().await?.into_iter().find(|job| job.run == id);
    let job = job.ok_or_else(|| Problem::not_found("run", id))?;
    Ok(Run { queued: false, ..Run::from(job) })
}

/// Show a run
#[utoipa::path(get, path = "/runs/{id}", tag = "runs", params(("id" = String, Path)),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The run", body = Run)))]
async fn read(State(app): State<App>, _: Viewer, Path(id): Path<String>) -> Result<axum::Json<Run>> {
    Ok(axum::Json(find(&app, &id).await?))
}

/// Have a run stop in good order
#[utoipa::path(post, path = "/runs/{id}/cancel", tag = "runs", params(("id" = String, Path)),
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 202, description = "The run, which will end soon", body = Run)))]
async fn cancel(
    State(app): State<App>,
    Editor(caller): Editor,
    Path(id): Path<String>,
) -> Result<(StatusCode, axum::Json<Run>)> {
    let run = find(&app, &id).await?;
    app.runner.cancel(&id).await?;
    audit::record(&app, &caller, "runs.cancel", Some(&run.sync), json!({ "run": id })).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(find(&app, &id).await?)))
}

/// Follow a run; `Last-Event-ID` resumes
#[utoipa::path(get, path = "/runs/{id}/events", tag = "runs",
    params(("id" = String, Path), ("Last-Event-ID" = Option<u64>, Header, description = "The last event that was received")),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "Server-sent events, numbered from 1: started, phase, progress, note, ended",
        content_type = "text/event-stream", body = String)))]
async fn events(State(app): State<App>, _: Viewer, Path(id): Path<String>, headers: HeaderMap) -> Result<Response> {
    find(&app, &id).await?;
    let last = match headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default().trim().parse::<u64>()) {
        None => 0,
        Some(Ok(last)) => last,
        Some(Err(_)) => return Err(Problem::malformed("Last-Event-ID has to be a number")),
    };
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    Ok(Sse::new(follow(app, id, last)).keep_alive(keep_alive).into_response())
}

/// The events of a run after `last`, until it has ended.
fn follow(app: App, run: String, last: u64) -> impl Stream<Item = Result<Event, Infallible>> {
    let follower = Follower { app, run, last, ready: std::collections::VecDeque::new(), over: false };
    futures::stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok(told(&event)), follower))
    })
}

struct Follower {
    app: App,
    run: String,
    last: u64,
    ready: std::collections::VecDeque<StoredEvent>,
    over: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<StoredEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.last = event.id;
                return Some(event);
            }
            if self.over {
                return None;
            }
            self.fetch().await;
        }
    }

    /// Waits for more events: of the run itself where it goes on here, else from the store.
    async fn fetch(&mut self) {
        if let Some(feed) = self.app.runner.feed(&self.run) {
            let mut changed = feed.watch();
            let (events, ended) = feed.after(self.last);
            if events.is_empty() && !ended {
                // The server's end closes the connection; the client comes back with its last number.
                tokio::select! {
                    _ = changed.changed() => {}
                    () = self.app.runner.stop.cancelled() => self.over = true,
                }
                return;
            }
            self.over = ended;
            self.ready.extend(events);
            return;
        }
        let record = self.app.store.run_record(&self.run).await;
        let waiting = self.app.runner.waiting(&self.run).await.is_ok_and(|job| job.is_some());
        let ended = match record {
            Ok(Some(record)) => record.report.status != RunStatus::Running,
            Ok(None) => !waiting,
            Err(_) => true,
        };
        let Ok(events) = self.app.store.events(&self.run, self.last, EVENTS).await else {
            self.over = true;
            return;
        };
        if events.is_empty() && ended {
            self.over = true;
        } else if events.is_empty() {
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                () = self.app.runner.stop.cancelled() => self.over = true,
            }
        }
        self.ready.extend(events);
    }
}

fn told(event: &StoredEvent) -> Event {
    let mut data = event.event.clone();
    if let Value::Object(members) = &mut data {
        members.insert("at".to_owned(), json!(event.at));
    }
    let name = event.event.get("event").and_then(Value::as_str).unwrap_or("note");
    Event::default().id(event.id.to_string()).event(name).data(data.to_string())
}

/// The routes of runs.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(read)).routes(routes!(cancel)).routes(routes!(events))
}
