//! Models: definitions, versions, previews, and whether a key is one.
//! Not here: SQL (the engine).
//! Called by the router.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tapline_core::server_state::Noun;
use tapline_core::{Error, codes};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::definitions::{self, ChangedDefinition, NewDefinition, TriedSettings, created, tagged, trial, usable};
use crate::app::App;
use crate::auth::{Editor, Viewer};
use crate::catalog::{Entry, Reach};
use crate::extract::{Json, OptionalJson, PageQuery, Path, Query, bounded};
use crate::interactive::{self, MOST_ROWS, TIME_LIMIT, within};
use crate::page::Page;
use crate::problem::{Fault, Problem, Result};
use crate::rows::QueryResult;

/// A model.
#[derive(Debug, Serialize, ToSchema)]
pub struct Model {
    #[serde(flatten)]
    entry: Entry,
    /// The source that its SQL reads.
    source: String,
    /// The columns that identify a row.
    primary_key: Vec<String>,
    /// How often its settings were changed, from 1; 0 for models of the project file.
    version: u64,
    /// How many syncs deliver it.
    syncs: usize,
}

async fn views(app: &App, entries: Vec<Entry>) -> Result<Vec<Model>> {
    let syncs = app.catalog.entries(Noun::Sync).await?;
    let mut models = Vec::with_capacity(entries.len());
    for entry in entries {
        models.push(Model {
            source: entry.text("source"),
            primary_key: primary_key(&entry.settings),
            version: match &entry.id {
                Some(id) => app.store.versions(id).await?.len() as u64,
                None => 0,
            },
            syncs: syncs.iter().filter(|sync| sync.text("model") == entry.name).count(),
            entry,
        });
    }
    Ok(models)
}

async fn view(app: &App, entry: &Entry) -> Result<Option<Model>> {
    Ok(views(app, vec![entry.clone()]).await?.pop())
}

fn primary_key(settings: &Value) -> Vec<String> {
    match settings.get("primary_key") {
        Some(Value::String(column)) => vec![column.clone()],
        Some(Value::Array(columns)) => columns.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// List models
#[utoipa::path(get, path = "/models", tag = "models", params(PageQuery),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The models, by name", body = Page<Model>)))]
async fn list(State(app): State<App>, _: Viewer, Query(query): Query<PageQuery>) -> Result<axum::Json<Page<Model>>> {
    let page = Page::of_named(app.catalog.entries(Noun::Model).await?, &query, |entry| &entry.name)?;
    Ok(axum::Json(Page { items: views(&app, page.items).await?, next: page.next }))
}

/// Make a model
#[utoipa::path(post, path = "/models", tag = "models", request_body = NewDefinition,
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 201, description = "The model that was made", body = Model)))]
async fn create(State(app): State<App>, Editor(caller): Editor, Json(body): Json<NewDefinition>) -> Result<Response> {
    let entry = definitions::create(&app, &caller, Noun::Model, body).await?;
    Ok(created(Noun::Model, &entry, view(&app, &entry).await?))
}

/// Show a model
#[utoipa::path(get, path = "/models/{name}", tag = "models", params(("name" = String, Path)),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The model", body = Model)))]
async fn read(State(app): State<App>, _: Viewer, Path(name): Path<String>) -> Result<Response> {
    let entry = app.catalog.entry(Noun::Model, &name).await?;
    Ok(tagged(&entry, view(&app, &entry).await?))
}

/// Change a model, or its name
#[utoipa::path(put, path = "/models/{name}", tag = "models", params(("name" = String, Path)),
    request_body = ChangedDefinition, security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "The model as it is now", body = Model)))]
async fn update(
    State(app): State<App>,
    Editor(caller): Editor,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(body): Json<ChangedDefinition>,
) -> Result<Response> {
    let entry = definitions::update(&app, &caller, Noun::Model, &name, &headers, body).await?;
    Ok(tagged(&entry, view(&app, &entry).await?))
}

/// Delete a model that no sync delivers
#[utoipa::path(delete, path = "/models/{name}", tag = "models", params(("name" = String, Path)),
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 204, description = "It is gone")))]
async fn remove(State(app): State<App>, Editor(caller): Editor, Path(name): Path<String>) -> Result<StatusCode> {
    definitions::delete(&app, &caller, Noun::Model, &name).await
}

/// What a model was from a moment on.
#[derive(Debug, Serialize, ToSchema)]
struct ModelVersion {
    /// Counts from 1.
    version: u64,
    /// Its SQL.
    sql: String,
    /// The columns that identify a row.
    primary_key: Vec<String>,
    /// Since when.
    at: chrono::DateTime<chrono::Utc>,
    /// Who wrote it.
    by: String,
}

/// List the versions of a model, newest first
#[utoipa::path(get, path = "/models/{name}/versions", tag = "models", params(("name" = String, Path)),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The versions", body = Page<ModelVersion>)))]
async fn versions(
    State(app): State<App>,
    _: Viewer,
    Path(name): Path<String>,
) -> Result<axum::Json<Page<ModelVersion>>> {
    let entry = app.catalog.entry(Noun::Model, &name).await?;
    let versions = match &entry.id {
        Some(id) => app.store.versions(id).await?,
        None => Vec::new(),
    };
    let count = versions.len() as u64;
    let view = |(index, version): (usize, tapline_core::server_state::Version)| ModelVersion {
        version: count - index as u64,
        sql: version.settings.get("sql").and_then(Value::as_str).unwrap_or_default().to_owned(),
        primary_key: primary_key(&version.settings),
        at: version.at,
        by: version.by,
    };
    Ok(axum::Json(Page::whole(versions.into_iter().enumerate().map(view).collect())))
}

/// How much of a model is wanted.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct PreviewRequest {
    /// At most so many rows, 1 to 10000; 100 without it.
    #[schema(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
    /// How long it may take, in milliseconds; a minute without it.
    #[schema(minimum = 1, maximum = 600_000)]
    timeout_ms: Option<u64>,
}

/// Show the first rows of a model
#[utoipa::path(post, path = "/models/{name}/preview", tag = "models", params(("name" = String, Path)),
    request_body = PreviewRequest, security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "Its first rows", body = QueryResult)))]
async fn preview(
    State(app): State<App>,
    _: Editor,
    Path(name): Path<String>,
    OptionalJson(body): OptionalJson<PreviewRequest>,
) -> Result<Response> {
    let limit = bounded("limit", body.limit, 100, MOST_ROWS)?;
    let time = interactive::time_limit(body.timeout_ms)?;
    let project = usable(&app, Noun::Model, &name).await?;
    let model = project.models.get(&name).ok_or_else(|| Problem::not_found("model", &name))?;
    app.catalog.guard(Noun::Source, &model.source).await?;
    let source = app.catalog.parts.source(&project, &model.source, "tapline-preview")?;
    within(&app, time, interactive::rows(source, &model.sql, limit, "")).await
}

/// A model that is not saved, and how much of it is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UnsavedPreview {
    /// As in the project file.
    #[schema(value_type = Object)]
    settings: Value,
    /// At most so many rows, 1 to 10000; 100 without it.
    #[schema(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
    /// How long it may take, in milliseconds; a minute without it.
    #[schema(minimum = 1, maximum = 600_000)]
    timeout_ms: Option<u64>,
}

/// Show the first rows of a model that is not saved
#[utoipa::path(post, path = "/models/preview", tag = "models", request_body = UnsavedPreview,
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "Its first rows", body = QueryResult)))]
async fn preview_unsaved(State(app): State<App>, _: Editor, Json(body): Json<UnsavedPreview>) -> Result<Response> {
    let limit = bounded("limit", body.limit, 100, MOST_ROWS)?;
    let time = interactive::time_limit(body.timeout_ms)?;
    let (source, model) = unsaved(&app, body.settings).await?;
    within(&app, time, interactive::rows(source, &model.sql, limit, "/settings/sql")).await
}

async fn unsaved(
    app: &App,
    settings: Value,
) -> Result<(std::sync::Arc<tapline_storage::S3Source>, tapline_core::config::ModelConfig)> {
    let (project, name) = trial(app, Noun::Model, &TriedSettings { settings, name: None }, Reach::Folder).await?;
    let model = project.models.get(&name).ok_or_else(|| Problem::not_found("model", &name))?;
    app.catalog.guard(Noun::Source, &model.source).await?;
    Ok((app.catalog.parts.source(&project, &model.source, "tapline-preview")?, model.clone()))
}

/// Whether a primary key is one.
#[derive(Debug, Serialize, ToSchema)]
struct KeyCheck {
    /// Rows of the model.
    rows: u64,
    /// Rows whose key has a NULL.
    null_keys: u64,
    /// Rows that share their key with others.
    duplicate_keys: u64,
    /// Whether each row has a key of its own.
    unique: bool,
}

/// Count the rows of a model whose key is null or not unique
#[utoipa::path(post, path = "/models/key-check", tag = "models", request_body = TriedSettings,
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "The counts", body = KeyCheck)))]
async fn key_check(State(app): State<App>, _: Editor, Json(body): Json<TriedSettings>) -> Result<axum::Json<KeyCheck>> {
    let (source, model) = unsaved(&app, body.settings).await?;
    if model.primary_key.is_empty() {
        let fault = Fault::new("/settings/primary_key", codes::KEY_003, "there is no primary key to check");
        return Err(Problem::invalid(vec![fault.hint("name the columns that identify a row")]));
    }
    let statement = key_statement(&model.sql, &model.primary_key);
    let counted = within(&app, TIME_LIMIT, interactive::one_row(source, &statement, "")).await?;
    let count = |index: usize| {
        let value = counted.get(index)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    };
    let (Some(rows), Some(null_keys), Some(duplicate_keys)) = (count(0), count(1), count(2)) else {
        return Err(Error::internal("counting keys gave no counts").into());
    };
    let unique = null_keys == 0 && duplicate_keys == 0;
    Ok(axum::Json(KeyCheck { rows, null_keys, duplicate_keys, unique }))
}

/// Counts rows, those with a NULL in their key, and those that share it.
fn key_statement(sql: &str, key: &[String]) -> String {
    let columns: Vec<String> = key.iter().map(|column| format!("\"{}\"", column.replace('"', "\"\""))).collect();
    let is_null = columns.iter().map(|column| format!("{column} IS NULL")).collect::<Vec<_>>().join(" OR ");
    let columns = columns.join(", ");
    let model = sql.trim_end().trim_end_matches(';');
    format!(
        "SELECT coalesce(sum(n), 0), coalesce(sum(CASE WHEN no_key THEN n ELSE 0 END), 0), \
         coalesce(sum(CASE WHEN NOT no_key AND n > 1 THEN n ELSE 0 END), 0) \
         FROM (SELECT count(*) AS n, ({is_null}) AS no_key FROM (\n{model}\n) AS model GROUP BY {columns}) AS keys"
    )
}

/// The routes of models.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, update, remove))
        .routes(routes!(versions))
        .routes(routes!(preview))
        .routes(routes!(preview_unsaved))
        .routes(routes!(key_check))
}
