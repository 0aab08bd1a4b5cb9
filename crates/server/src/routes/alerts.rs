//! Alerts: definitions of who is told what about which syncs.
//! Not here: when somebody is told (`crate::alerts`).
//! Called by the router.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tapline_core::server_state::{Change, Definition, NewDefinition, Noun};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::users::invalid;
use crate::alerts::rule::{self, Event, Rule};
use crate::app::App;
use crate::auth::{Admin, Viewer};
use crate::extract::{Json, PageQuery, Path, Query};
use crate::page::Page;
use crate::problem::{Problem, Result};
use crate::{alerts, audit};

/// An alert.
#[derive(Debug, Serialize, ToSchema)]
struct Alert {
    /// Its name.
    name: String,
    /// How often it was written.
    revision: u64,
    /// When it was last written.
    updated_at: DateTime<Utc>,
    /// Who wrote it last.
    updated_by: String,
    /// What it says, with `{"secret": true}` in the place of secrets.
    #[serde(flatten)]
    #[schema(inline)]
    settings: AlertSettings,
}

/// What an alert says.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
struct AlertSettings {
    /// What is told.
    when: Vec<Event>,
    /// The share of rejected rows and lines, 0 to 1, up to which a run counts as well.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1)]
    partial_ratio: f64,
    /// The syncs that are watched, or `*` for all.
    syncs: Vec<String>,
    /// Who is told: an object with `type` webhook (url, headers), slack (url) or email (host, port, encryption, user,
    /// password, from, to).
    #[schema(value_type = Object)]
    channel: Map<String, Value>,
}

/// An alert to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAlert {
    /// Its name.
    name: String,
    /// What is told.
    when: Vec<Event>,
    /// The share of rejected rows and lines, 0 to 1, up to which a run counts as well.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1)]
    partial_ratio: f64,
    /// The syncs that are watched, or `*` for all.
    syncs: Vec<String>,
    /// Who is told, as an alert shows it.
    #[schema(value_type = Object)]
    channel: Map<String, Value>,
}

/// An alert to be changed. A secret that is left out is kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangedAlert {
    /// Its name from now on; left out, it keeps its name.
    name: Option<String>,
    /// The revision that the change was made on; left out, the change is made on whatever is there.
    revision: Option<u64>,
    /// What is told.
    when: Vec<Event>,
    /// The share of rejected rows and lines, 0 to 1, up to which a run counts as well.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1)]
    partial_ratio: f64,
    /// The syncs that are watched, or `*` for all.
    syncs: Vec<String>,
    /// Who is told, as an alert shows it.
    #[schema(value_type = Object)]
    channel: Map<String, Value>,
}

/// How a test of an alert went.
#[derive(Debug, Serialize, ToSchema)]
struct Tested {
    /// Whether the message was taken.
    ok: bool,
    /// Why not.
    message: Option<String>,
}

fn view(definition: Definition) -> Result<Alert> {
    let masked = rule::shape().mask(&rule::full(&definition));
    let settings = serde_json::from_value(masked)
        .map_err(|_| tapline_core::Error::internal(format!("the alert {} cannot be shown", definition.name)))?;
    let Definition { name, revision, updated_at, updated_by, .. } = definition;
    Ok(Alert { name, revision, updated_at, updated_by, settings })
}

/// An alert as the store keeps it, once it is known to be right.
async fn checked(app: &App, name: String, settings: &Value) -> Result<NewDefinition> {
    let plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.');
    if name.is_empty() || name.chars().count() > 200 || !name.chars().all(plain) {
        return Err(invalid("/name", "a name has 1 to 200 letters, digits, `_`, `-` and `.`"));
    }
    alerts::guard(app, &Rule::of(settings)?).await?;
    let (settings, secrets) = rule::split(settings);
    Ok(NewDefinition { noun: Noun::Alert, name, settings, secrets, draft: false })
}

async fn changed(app: &App, change: Change, by: &str) -> Result<Alert> {
    let mut definitions = app.store.change(vec![change], by).await?;
    match definitions.pop() {
        Some(definition) => view(definition),
        None => Err(tapline_core::Error::internal("an alert that was written is not there").into()),
    }
}

async fn found(app: &App, name: &str) -> Result<Definition> {
    app.store.definition(Noun::Alert, name).await?.ok_or_else(|| Problem::not_found("alert", name))
}

/// List alerts
#[utoipa::path(get, path = "/alerts", tag = "alerts", params(PageQuery),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The alerts, by name", body = Page<Alert>)))]
async fn list(State(app): State<App>, _: Viewer, Query(query): Query<PageQuery>) -> Result<axum::Json<Page<Alert>>> {
    let alerts = app.store.definitions(Noun::Alert).await?;
    let Page { items, next } = Page::of_named(alerts, &query, |alert| &alert.name)?;
    Ok(axum::Json(Page { items: items.into_iter().map(view).collect::<Result<_>>()?, next }))
}

/// Make an alert
#[utoipa::path(post, path = "/alerts", tag = "alerts", request_body = NewAlert,
    security(("token" = ["admin"]), ("session" = ["admin"])),
    responses((status = 201, description = "The alert that was made", body = Alert)))]
async fn create(State(app): State<App>, Admin(caller): Admin, Json(body): Json<NewAlert>) -> Result<Response> {
    let NewAlert { name, when, partial_ratio, syncs, channel } = body;
    let new = checked(&app, name, &json!(AlertSettings { when, partial_ratio, syncs, channel })).await?;
    let name = new.name.clone();
    let alert = changed(&app, Change::Create(new), &caller.name).await?;
    audit::record(&app, &caller, "alerts.create", Some(&name), json!({})).await?;
    let location = [(header::LOCATION, format!("/api/v1/alerts/{name}"))];
    Ok((StatusCode::CREATED, location, axum::Json(alert)).into_response())
}

/// Show an alert
#[utoipa::path(get, path = "/alerts/{name}", tag = "alerts", params(("name" = String, Path)),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The alert", body = Alert)))]
async fn read(State(app): State<App>, _: Viewer, Path(name): Path<String>) -> Result<axum::Json<Alert>> {
    Ok(axum::Json(view(found(&app, &name).await?)?))
}

/// Change an alert
#[utoipa::path(put, path = "/alerts/{name}", tag = "alerts", params(("name" = String, Path)),
    request_body = ChangedAlert, security(("token" = ["admin"]), ("session" = ["admin"])),
    responses((status = 200, description = "The alert as it is now", body = Alert)))]
async fn update(
    State(app): State<App>,
    Admin(caller): Admin,
    Path(name): Path<String>,
    Json(body): Json<ChangedAlert>,
) -> Result<axum::Json<Alert>> {
    let before = found(&app, &name).await?;
    let ChangedAlert { name: new_name, revision, when, partial_ratio, syncs, channel } = body;
    let settings = json!(AlertSettings { when, partial_ratio, syncs, channel });
    let settings = rule::shape().restore(&settings, &rule::full(&before));
    let to = checked(&app, new_name.unwrap_or_else(|| name.clone()), &settings).await?;
    let details = json!({ "name": to.name });
    // The secrets that were kept are those of this revision.
    let revision = Some(revision.unwrap_or(before.revision));
    let alert = changed(&app, Change::Update { name: name.clone(), revision, to }, &caller.name).await?;
    audit::record(&app, &caller, "alerts.update", Some(&name), details).await?;
    Ok(axum::Json(alert))
}

/// Delete an alert
#[utoipa::path(delete, path = "/alerts/{name}", tag = "alerts", params(("name" = String, Path)),
    security(("token" = ["admin"]), ("session" = ["admin"])),
    responses((status = 204, description = "It is gone")))]
async fn remove(State(app): State<App>, Admin(caller): Admin, Path(name): Path<String>) -> Result<StatusCode> {
    let change = Change::Delete { noun: Noun::Alert, name: name.clone(), revision: None };
    app.store.change(vec![change], &caller.name).await?;
    audit::record(&app, &caller, "alerts.delete", Some(&name), json!({})).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send a test message
#[utoipa::path(post, path = "/alerts/{name}/test", tag = "alerts", params(("name" = String, Path)),
    security(("token" = ["admin"]), ("session" = ["admin"])),
    responses((status = 200, description = "Whether the message was taken", body = Tested)))]
async fn test(State(app): State<App>, Admin(caller): Admin, Path(name): Path<String>) -> Result<axum::Json<Tested>> {
    let rule = Rule::of(&rule::full(&found(&app, &name).await?))?;
    let sent = alerts::try_out(&app, &name, &rule).await;
    audit::record(&app, &caller, "alerts.test", Some(&name), json!({ "ok": sent.is_ok() })).await?;
    Ok(axum::Json(Tested { ok: sent.is_ok(), message: sent.err() }))
}

/// The routes of alerts.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(read, update, remove)).routes(routes!(test))
}
