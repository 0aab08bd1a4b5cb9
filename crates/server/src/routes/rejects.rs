//! Rows that were not delivered, and lines that could not be read.
//! Not here: offering them again (`syncs`).
//! Called by the router.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use http::header;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tapline_core::Reject;
use tapline_core::server_state::{Noun, PageRequest, RejectFilter, Role};
use tapline_core::values::escape_csv;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::{Caller, Editor, Viewer};
use crate::extract::{PageQuery, Path, Query};
use crate::page::Page;
use crate::problem::{Problem, Result};

/// Rows that one CSV file holds at most.
const MOST_CSV_ROWS: usize = 100_000;

/// A row that was not delivered, or a line that could not be read.
#[derive(Debug, Default, Serialize, ToSchema)]
struct RejectView {
    /// The sync.
    sync: String,
    /// Why, in words.
    reason: String,
    /// Why, as a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// How often it was offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    /// When it was first refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_at: Option<DateTime<Utc>>,
    /// When it was last refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<DateTime<Utc>>,
    /// The primary key, for editors.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    key: Option<Value>,
    /// The mapped fields, for editors, where they are still kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    payload: Option<Value>,
    /// The file of a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// The line's number, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// Where the line begins in the decompressed file.
    #[serde(skip_serializing_if = "Option::is_none")]
    byte_offset: Option<u64>,
    /// The column that is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<String>,
}

impl RejectView {
    /// Keys and payloads are cell values, which viewers do not see.
    fn of_row(sync: &str, reject: Reject, caller: &Caller) -> Self {
        let shown = caller.role >= Role::Editor;
        Self {
            sync: sync.to_owned(),
            reason: reject.reason,
            code: Some(reject.code),
            attempts: Some(reject.attempts),
            first_at: Some(reject.first_at),
            last_at: Some(reject.last_at),
            key: shown.then_some(reject.key),
            payload: reject.payload.filter(|_| shown),
            ..Self::default()
        }
    }
}

/// Which rejects are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RejectQuery {
    /// Lines that could not be read, instead of rows that were not delivered.
    source: Option<bool>,
    /// Of this code.
    code: Option<String>,
}

/// List what a sync could not deliver
#[utoipa::path(get, path = "/syncs/{name}/rejects", tag = "rejects",
    params(("name" = String, Path), PageQuery, RejectQuery),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The open rejects; keys and payloads for editors only", body = Page<RejectView>)))]
async fn of_sync(
    State(app): State<App>,
    Viewer(caller): Viewer,
    Path(name): Path<String>,
    Query(page): Query<PageQuery>,
    Query(query): Query<RejectQuery>,
) -> Result<axum::Json<Page<RejectView>>> {
    app.catalog.entry(Noun::Sync, &name).await?;
    Ok(axum::Json(page_of(&app, &caller, &name, &page, &query).await?))
}

async fn page_of(
    app: &App,
    caller: &Caller,
    sync: &str,
    page: &PageQuery,
    query: &RejectQuery,
) -> Result<Page<RejectView>> {
    let limit = page.limit()?;
    if query.source == Some(true) {
        let lines = app.store.source_rejects(sync).await?;
        let from: usize = match &page.after {
            Some(after) => after.parse().map_err(|_| Problem::malformed("`after` is no cursor of this list"))?,
            None => 0,
        };
        let next = (from.saturating_add(limit) < lines.len()).then(|| (from + limit).to_string());
        let view = |line: tapline_core::SourceReject| RejectView {
            sync: sync.to_owned(),
            reason: line.reason,
            file: Some(line.file),
            line: Some(line.line),
            byte_offset: Some(line.byte_offset),
            column: line.column,
            ..RejectView::default()
        };
        return Ok(Page { items: lines.into_iter().skip(from).take(limit).map(view).collect(), next });
    }
    let filter = RejectFilter {
        code: query.code.clone(),
        search: page.search.clone(),
        search_keys: caller.role >= Role::Editor,
    };
    let found = app.store.reject_page(sync, &filter, &PageRequest { after: page.after.clone(), limit }).await?;
    let items = found.items.into_iter().map(|reject| RejectView::of_row(sync, reject, caller)).collect();
    Ok(Page { items, next: found.next })
}

/// Which sync is meant.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SyncQuery {
    /// Only of this sync.
    sync: Option<String>,
}

/// List what could not be delivered, over all syncs
#[utoipa::path(get, path = "/rejects", tag = "rejects", params(PageQuery, SyncQuery, RejectQuery),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The open rejects, sync by sync", body = Page<RejectView>)))]
async fn list(
    State(app): State<App>,
    Viewer(caller): Viewer,
    Query(mut page): Query<PageQuery>,
    Query(of): Query<SyncQuery>,
    Query(query): Query<RejectQuery>,
) -> Result<axum::Json<Page<RejectView>>> {
    if let Some(sync) = &of.sync {
        app.catalog.entry(Noun::Sync, sync).await?;
        return Ok(axum::Json(page_of(&app, &caller, sync, &page, &query).await?));
    }
    let limit = page.limit()?;
    let mut syncs: Vec<String> = app.catalog.entries(Noun::Sync).await?.into_iter().map(|entry| entry.name).collect();
    // The cursor is the sync, and the cursor within its list.
    let after = page.after.take();
    let (sync, within) = after.as_deref().and_then(|after| after.split_once('|')).unwrap_or(("", ""));
    if after.is_some() && sync.is_empty() {
        return Err(Problem::malformed("`after` is no cursor of this list"));
    }
    syncs.retain(|name| name.as_str() >= sync);
    page.after = Some(within.to_owned()).filter(|within| !within.is_empty());
    let mut items = Vec::new();
    for (index, name) in syncs.iter().enumerate() {
        page.limit = Some(limit - items.len());
        let part = page_of(&app, &caller, name, &page, &query).await?;
        items.extend(part.items);
        page.after = None;
        if let Some(next) = part.next {
            return Ok(axum::Json(Page { items, next: Some(format!("{name}|{next}")) }));
        }
        if items.len() == limit {
            let next = syncs.get(index + 1).map(|name| format!("{name}|"));
            return Ok(axum::Json(Page { items, next }));
        }
    }
    Ok(axum::Json(Page { items, next: None }))
}

/// Download the rejected rows of a sync
#[utoipa::path(get, path = "/syncs/{name}/rejects.csv", tag = "rejects", params(("name" = String, Path)),
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "A line per row", content_type = "text/csv", body = String)))]
async fn csv(State(app): State<App>, Editor(caller): Editor, Path(name): Path<String>) -> Result<Response> {
    app.catalog.entry(Noun::Sync, &name).await?;
    let mut rejects = app.store.rejects(&name).await?;
    rejects.truncate(MOST_CSV_ROWS);
    crate::audit::record(&app, &caller, "rejects.download", Some(&name), serde_json::json!({ "rows": rejects.len() }))
        .await?;
    let mut text = b"key,code,reason,attempts,first_at,last_at,payload\n".to_vec();
    for reject in rejects {
        let payload = reject.payload.map(|payload| payload.to_string()).unwrap_or_default();
        let cells = [
            reject.key.to_string(),
            reject.code,
            reject.reason,
            reject.attempts.to_string(),
            reject.first_at.to_rfc3339(),
            reject.last_at.to_rfc3339(),
            payload,
        ];
        for (index, cell) in cells.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            let start = text.len();
            text.extend_from_slice(cell.as_bytes());
            escape_csv(&mut text, start);
        }
        text.push(b'\n');
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"rejects.csv\""),
    ];
    Ok((headers, text).into_response())
}

/// The routes of rejects.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(of_sync)).routes(routes!(list)).routes(routes!(csv))
}
