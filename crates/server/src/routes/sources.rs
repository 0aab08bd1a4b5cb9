//! Sources: definitions, checks, streams, IAM policies, queries.
//! Not here: S3 itself (`tapline_storage`), SQL (the engine).
//! Called by the router.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tapline_core::config::Project;
use tapline_core::server_state::{LastCheck, Noun};
use tapline_engine::Session;
use tapline_storage::{Auth, S3Source, permission_policy, trust_policy};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::definitions::{self, ChangedDefinition, NewDefinition, TriedSettings, created, tagged, trial, usable};
use crate::apart::apart;
use crate::app::App;
use crate::auth::{Editor, Viewer};
use crate::catalog::{Entry, Reach};
use crate::check::{self, CheckDocument};
use crate::extract::{Json, PageQuery, Path, Query, bounded};
use crate::interactive::{self, MOST_ROWS, within};
use crate::page::Page;
use crate::problem::Result;
use crate::rows::QueryResult;

/// How long STS may take to say who we are.
const WHO_TIMEOUT: Duration = Duration::from_secs(5);
/// How long discovery may take.
const DISCOVER_TIMEOUT: Duration = Duration::from_secs(120);

/// A source.
#[derive(Debug, Serialize, ToSchema)]
pub struct Source {
    #[serde(flatten)]
    entry: Entry,
    /// Its kind, the `type` of its settings.
    kind: String,
    /// What the trust policy of its role has to ask for.
    external_id: Option<String>,
    /// How its last check went.
    #[schema(value_type = Option<LastCheckView>)]
    last_check: Option<LastCheck>,
    /// How many models read it.
    models: usize,
}

/// How the last check of a connection went.
#[derive(Debug, ToSchema)]
#[schema(as = LastCheck)]
#[allow(dead_code, reason = "only its schema is used")]
pub struct LastCheckView {
    ok: bool,
    at: chrono::DateTime<chrono::Utc>,
    steps: Vec<check::StepView>,
}

async fn views(app: &App, entries: Vec<Entry>) -> Result<Vec<Source>> {
    let checks = app.store.last_checks(Noun::Source).await?;
    let models = app.catalog.entries(Noun::Model).await?;
    let view = |entry: Entry| {
        let auth = entry.settings.get("auth");
        let external_id = auth.and_then(|auth| auth.get("external_id")).or_else(|| entry.settings.get("external_id"));
        Source {
            kind: entry.text("type"),
            external_id: external_id.and_then(Value::as_str).map(str::to_owned),
            last_check: checks.get(&entry.name).cloned(),
            models: models.iter().filter(|model| model.text("source") == entry.name).count(),
            entry,
        }
    };
    Ok(entries.into_iter().map(view).collect())
}

async fn view(app: &App, entry: &Entry) -> Result<Option<Source>> {
    Ok(views(app, vec![entry.clone()]).await?.pop())
}

/// List sources
#[utoipa::path(get, path = "/sources", tag = "sources", params(PageQuery),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The sources, by name", body = Page<Source>)))]
async fn list(State(app): State<App>, _: Viewer, Query(query): Query<PageQuery>) -> Result<axum::Json<Page<Source>>> {
    let page = Page::of_named(app.catalog.entries(Noun::Source).await?, &query, |entry| &entry.name)?;
    Ok(axum::Json(Page { items: views(&app, page.items).await?, next: page.next }))
}

/// Make a source
#[utoipa::path(post, path = "/sources", tag = "sources", request_body = NewDefinition,
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 201, description = "The source that was made", body = Source)))]
async fn create(State(app): State<App>, Editor(caller): Editor, Json(body): Json<NewDefinition>) -> Result<Response> {
    let entry = definitions::create(&app, &caller, Noun::Source, body).await?;
    Ok(created(Noun::Source, &entry, view(&app, &entry).await?))
}

/// Show a source
#[utoipa::path(get, path = "/sources/{name}", tag = "sources", params(("name" = String, Path)),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The source", body = Source)))]
async fn read(State(app): State<App>, _: Viewer, Path(name): Path<String>) -> Result<Response> {
    let entry = app.catalog.entry(Noun::Source, &name).await?;
    Ok(tagged(&entry, view(&app, &entry).await?))
}

/// Change a source, or its name
#[utoipa::path(put, path = "/sources/{name}", tag = "sources", params(("name" = String, Path)),
    request_body = ChangedDefinition, security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "The source as it is now", body = Source)))]
async fn update(
    State(app): State<App>,
    Editor(caller): Editor,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(body): Json<ChangedDefinition>,
) -> Result<Response> {
    let entry = definitions::update(&app, &caller, Noun::Source, &name, &headers, body).await?;
    Ok(tagged(&entry, view(&app, &entry).await?))
}

/// Delete a source that no model reads
#[utoipa::path(delete, path = "/sources/{name}", tag = "sources", params(("name" = String, Path)),
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 204, description = "It is gone")))]
async fn remove(State(app): State<App>, Editor(caller): Editor, Path(name): Path<String>) -> Result<StatusCode> {
    definitions::delete(&app, &caller, Noun::Source, &name).await
}

/// Test a source step by step
#[utoipa::path(post, path = "/sources/{name}/check", tag = "sources", params(("name" = String, Path)),
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "The steps; with `Accept: text/event-stream` an event per step as it ends, then `done`",
        content((CheckDocument = "application/json"), (String = "text/event-stream")))))]
async fn check_saved(
    State(app): State<App>,
    _: Editor,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let project = usable(&app, Noun::Source, &name).await?;
    let source = app.catalog.parts.source(&project, &name, "tapline-check")?;
    let noted = Some((app.clone(), Noun::Source, name.clone()));
    Ok(check::respond(&headers, name, "source", async move { source.check().await }, noted).await)
}

/// Test settings that are not saved
#[utoipa::path(post, path = "/sources/check", tag = "sources", request_body = TriedSettings,
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "As for a saved source",
        content((CheckDocument = "application/json"), (String = "text/event-stream")))))]
async fn check_unsaved(
    State(app): State<App>,
    _: Editor,
    headers: HeaderMap,
    Json(body): Json<TriedSettings>,
) -> Result<Response> {
    let (project, name) = trial(&app, Noun::Source, &body, Reach::Folder).await?;
    let source = app.catalog.parts.source(&project, &name, "tapline-check")?;
    Ok(check::respond(&headers, name, "source", async move { source.check().await }, None).await)
}

/// What a source holds.
#[derive(Debug, ToSchema)]
#[schema(as = Discovery)]
#[allow(dead_code, reason = "only its schema is used")]
struct DiscoveryView {
    /// By name.
    streams: Vec<SourceStreamView>,
    /// Files that were not looked into, since their suffix does not fit.
    skipped: u64,
}

/// Files of one kind that are read as one.
#[derive(Debug, ToSchema)]
#[schema(as = SourceStream)]
#[allow(dead_code, reason = "only its schema is used")]
struct SourceStreamView {
    /// The path below the source's, without suffix.
    name: String,
    /// An s3 URL or a pattern, to be put into FROM.
    path: String,
    /// csv, parquet or ndjson.
    format: String,
    /// How many files.
    files: u64,
    /// Their size in the bucket.
    bytes: u64,
    /// The columns, in order.
    columns: Vec<SourceColumnView>,
    /// How CSV is read, and why.
    #[schema(value_type = Option<Object>)]
    dialect: Option<Value>,
    /// Why the columns are not known.
    #[schema(value_type = Option<super::runs::ErrorView>)]
    error: Option<Value>,
}

/// A column of files.
#[derive(Debug, ToSchema)]
#[schema(as = SourceColumn)]
#[allow(dead_code, reason = "only its schema is used")]
struct SourceColumnView {
    /// Its name.
    name: String,
    /// DuckDB's name of its type.
    r#type: String,
    /// Whether it may be NULL.
    nullable: bool,
}

/// List what a source holds
#[utoipa::path(get, path = "/sources/{name}/streams", tag = "sources", params(("name" = String, Path)),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "Streams with columns, types, files and sizes", body = DiscoveryView)))]
async fn streams(State(app): State<App>, _: Viewer, Path(name): Path<String>) -> Result<axum::Json<Value>> {
    let project = usable(&app, Noun::Source, &name).await?;
    let source = app.catalog.parts.source(&project, &name, "tapline")?;
    let discovery = within(&app, DISCOVER_TIMEOUT, async {
        let discovered = apart(move || async move {
            let session = Session::open(tapline_engine::Access::Source(Arc::clone(&source)), interactive::limits())?;
            tapline_engine::discover(&session, &source).await
        });
        Ok(discovered.await?)
    })
    .await?;
    Ok(axum::Json(json!(discovery)))
}

/// Who assumes the role.
#[derive(Debug, Deserialize, IntoParams)]
struct PrincipalQuery {
    /// ARN of the user or role that runs Tapline; asked from STS without it.
    principal: Option<String>,
}

/// The documents to paste into IAM.
#[derive(Debug, Serialize, ToSchema)]
struct Policies {
    /// What whoever reads the source has to be allowed.
    #[schema(value_type = Object)]
    permission: Value,
    /// Who may assume the source's role; null for a source without a role.
    #[schema(value_type = Option<Object>)]
    trust: Option<Value>,
}

/// The smallest IAM policies that a source needs
#[utoipa::path(get, path = "/sources/{name}/policy", tag = "sources", params(("name" = String, Path), PrincipalQuery),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "Policy documents", body = Policies)))]
async fn policy(
    State(app): State<App>,
    _: Viewer,
    Path(name): Path<String>,
    Query(query): Query<PrincipalQuery>,
) -> Result<axum::Json<Policies>> {
    let project = usable(&app, Noun::Source, &name).await?;
    policies(&app, &project, &name, query.principal).await
}

/// The smallest IAM policies that settings need
#[utoipa::path(post, path = "/sources/policy", tag = "sources", request_body = TriedSettings, params(PrincipalQuery),
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "Policy documents", body = Policies)))]
async fn policy_unsaved(
    State(app): State<App>,
    _: Editor,
    Query(query): Query<PrincipalQuery>,
    Json(body): Json<TriedSettings>,
) -> Result<axum::Json<Policies>> {
    let (project, name) = trial(&app, Noun::Source, &body, Reach::Folder).await?;
    policies(&app, &project, &name, query.principal).await
}

async fn policies(app: &App, project: &Project, name: &str, named: Option<String>) -> Result<axum::Json<Policies>> {
    let config = app.catalog.parts.source_config(project, name)?;
    let principal = match (named, &config.auth) {
        (Some(named), _) => Some(named),
        (None, Auth::IamRole { role_arn, .. }) => {
            let source: Arc<S3Source> = app.catalog.parts.source(project, name, "tapline-policy")?;
            let found = tokio::time::timeout(WHO_TIMEOUT, source.principal()).await.ok().flatten();
            found.or_else(|| account_of(role_arn))
        }
        (None, _) => None,
    };
    let trust = principal.and_then(|principal| trust_policy(&config, &principal));
    Ok(axum::Json(Policies { permission: permission_policy(&config), trust }))
}

/// The account of a role, as a principal.
fn account_of(role: &str) -> Option<String> {
    let mut parts = role.split(':');
    let (partition, account) = (parts.nth(1)?, parts.nth(2)?);
    Some(format!("arn:{partition}:iam::{account}:root"))
}

/// A statement to be run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Statement {
    /// One SELECT in DuckDB's dialect.
    sql: String,
    /// At most so many rows, 1 to 10000; 100 without it.
    #[schema(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
    /// How long it may take, in milliseconds; a minute without it.
    #[schema(minimum = 1, maximum = 600_000)]
    timeout_ms: Option<u64>,
}

/// Run SQL over a source; closing the connection cancels it
#[utoipa::path(post, path = "/sources/{name}/query", tag = "sources", params(("name" = String, Path)),
    request_body = Statement, security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "Its first rows", body = QueryResult)))]
async fn query(
    State(app): State<App>,
    _: Editor,
    Path(name): Path<String>,
    Json(body): Json<Statement>,
) -> Result<Response> {
    let limit = bounded("limit", body.limit, 100, MOST_ROWS)?;
    let time = interactive::time_limit(body.timeout_ms)?;
    let project = usable(&app, Noun::Source, &name).await?;
    let source = app.catalog.parts.source(&project, &name, "tapline-query")?;
    within(&app, time, interactive::rows(source, &body.sql, limit, "/sql")).await
}

/// A new external id.
#[derive(Debug, Serialize, ToSchema)]
struct ExternalId {
    /// To be put into the trust policy of a role, and into the settings.
    external_id: String,
}

/// Make an external id
#[utoipa::path(post, path = "/sources/external-id", tag = "sources",
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "A new one each time", body = ExternalId)))]
async fn external_id(_: Editor) -> axum::Json<ExternalId> {
    axum::Json(ExternalId { external_id: uuid::Uuid::new_v4().to_string() })
}

/// An AWS region.
#[derive(Debug, Serialize, ToSchema)]
struct Region {
    /// As settings name it.
    id: &'static str,
    /// As people name it.
    name: &'static str,
}

/// List AWS regions
#[utoipa::path(get, path = "/sources/regions", tag = "sources",
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The regions", body = Page<Region>)))]
async fn regions(_: Viewer) -> axum::Json<Page<Region>> {
    axum::Json(Page::whole(REGIONS.iter().map(|(id, name)| Region { id, name }).collect()))
}

/// See <https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html>.
const REGIONS: [(&str, &str); 34] = [
    ("us-east-1", "US East (N. Virginia)"),
    ("us-east-2", "US East (Ohio)"),
    ("us-west-1", "US West (N. California)"),
    ("us-west-2", "US West (Oregon)"),
    ("af-south-1", "Africa (Cape Town)"),
    ("ap-east-1", "Asia Pacific (Hong Kong)"),
    ("ap-south-1", "Asia Pacific (Mumbai)"),
    ("ap-south-2", "Asia Pacific (Hyderabad)"),
    ("ap-northeast-1", "Asia Pacific (Tokyo)"),
    ("ap-northeast-2", "Asia Pacific (Seoul)"),
    ("ap-northeast-3", "Asia Pacific (Osaka)"),
    ("ap-southeast-1", "Asia Pacific (Singapore)"),
    ("ap-southeast-2", "Asia Pacific (Sydney)"),
    ("ap-southeast-3", "Asia Pacific (Jakarta)"),
    ("ap-southeast-4", "Asia Pacific (Melbourne)"),
    ("ap-southeast-5", "Asia Pacific (Malaysia)"),
    ("ap-southeast-7", "Asia Pacific (Thailand)"),
    ("ca-central-1", "Canada (Central)"),
    ("ca-west-1", "Canada West (Calgary)"),
    ("cn-north-1", "China (Beijing)"),
    ("cn-northwest-1", "China (Ningxia)"),
    ("eu-central-1", "Europe (Frankfurt)"),
    ("eu-central-2", "Europe (Zurich)"),
    ("eu-north-1", "Europe (Stockholm)"),
    ("eu-south-1", "Europe (Milan)"),
    ("eu-south-2", "Europe (Spain)"),
    ("eu-west-1", "Europe (Ireland)"),
    ("eu-west-2", "Europe (London)"),
    ("eu-west-3", "Europe (Paris)"),
    ("il-central-1", "Israel (Tel Aviv)"),
    ("me-central-1", "Middle East (UAE)"),
    ("me-south-1", "Middle East (Bahrain)"),
    ("mx-central-1", "Mexico (Central)"),
    ("sa-east-1", "South America (São Paulo)"),
];

/// The routes of sources.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, update, remove))
        .routes(routes!(check_saved))
        .routes(routes!(check_unsaved))
        .routes(routes!(streams))
        .routes(routes!(policy))
        .routes(routes!(policy_unsaved))
        .routes(routes!(query))
        .routes(routes!(external_id))
        .routes(routes!(regions))
}
