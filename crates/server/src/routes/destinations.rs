//! Destinations: definitions, checks, streams.
//! Not here: what is at the other side (the connectors).
//! Called by the router.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use tapline_core::StreamInfo;
use tapline_core::server_state::{LastCheck, Noun};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::definitions::{
    self, ChangedDefinition, NewDefinition, TriedSettings, created, reach, tagged, trial, usable,
};
use crate::app::App;
use crate::auth::{Editor, Viewer};
use crate::catalog::Entry;
use crate::check::{self, CheckDocument};
use crate::extract::{Json, PageQuery, Path, Query};
use crate::interactive::within;
use crate::page::Page;
use crate::problem::Result;

/// How long listing streams may take.
const STREAMS_TIMEOUT: Duration = Duration::from_secs(30);

/// A destination.
#[derive(Debug, Serialize, ToSchema)]
pub struct Destination {
    #[serde(flatten)]
    entry: Entry,
    /// Its kind, the `type` of its settings.
    kind: String,
    /// How many syncs deliver to it.
    syncs: usize,
    /// How its last check went.
    #[schema(value_type = Option<super::sources::LastCheckView>)]
    last_check: Option<LastCheck>,
}

async fn views(app: &App, entries: Vec<Entry>) -> Result<Vec<Destination>> {
    let checks = app.store.last_checks(Noun::Destination).await?;
    let syncs = app.catalog.entries(Noun::Sync).await?;
    let view = |entry: Entry| Destination {
        kind: entry.text("type"),
        syncs: syncs.iter().filter(|sync| sync.text("destination") == entry.name).count(),
        last_check: checks.get(&entry.name).cloned(),
        entry,
    };
    Ok(entries.into_iter().map(view).collect())
}

async fn view(app: &App, entry: &Entry) -> Result<Option<Destination>> {
    Ok(views(app, vec![entry.clone()]).await?.pop())
}

/// List destinations
#[utoipa::path(get, path = "/destinations", tag = "destinations", params(PageQuery),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The destinations, by name", body = Page<Destination>)))]
async fn list(
    State(app): State<App>,
    _: Viewer,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<Destination>>> {
    let page = Page::of_named(app.catalog.entries(Noun::Destination).await?, &query, |entry| &entry.name)?;
    Ok(axum::Json(Page { items: views(&app, page.items).await?, next: page.next }))
}

/// Make a destination
#[utoipa::path(post, path = "/destinations", tag = "destinations", request_body = NewDefinition,
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 201, description = "The destination that was made", body = Destination)))]
async fn create(State(app): State<App>, Editor(caller): Editor, Json(body): Json<NewDefinition>) -> Result<Response> {
    let entry = definitions::create(&app, &caller, Noun::Destination, body).await?;
    Ok(created(Noun::Destination, &entry, view(&app, &entry).await?))
}

/// Show a destination
#[utoipa::path(get, path = "/destinations/{name}", tag = "destinations", params(("name" = String, Path)),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The destination", body = Destination)))]
async fn read(State(app): State<App>, _: Viewer, Path(name): Path<String>) -> Result<Response> {
    let entry = app.catalog.entry(Noun::Destination, &name).await?;
    Ok(tagged(&entry, view(&app, &entry).await?))
}

/// Change a destination, or its name
#[utoipa::path(put, path = "/destinations/{name}", tag = "destinations", params(("name" = String, Path)),
    request_body = ChangedDefinition, security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "The destination as it is now", body = Destination)))]
async fn update(
    State(app): State<App>,
    Editor(caller): Editor,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(body): Json<ChangedDefinition>,
) -> Result<Response> {
    let entry = definitions::update(&app, &caller, Noun::Destination, &name, &headers, body).await?;
    Ok(tagged(&entry, view(&app, &entry).await?))
}

/// Delete a destination that no sync delivers to
#[utoipa::path(delete, path = "/destinations/{name}", tag = "destinations", params(("name" = String, Path)),
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 204, description = "It is gone")))]
async fn remove(State(app): State<App>, Editor(caller): Editor, Path(name): Path<String>) -> Result<StatusCode> {
    definitions::delete(&app, &caller, Noun::Destination, &name).await
}

/// Test a destination step by step
#[utoipa::path(post, path = "/destinations/{name}/check", tag = "destinations", params(("name" = String, Path)),
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "The steps; with `Accept: text/event-stream` an event per step as it ends, then `done`",
        content((CheckDocument = "application/json"), (String = "text/event-stream")))))]
async fn check_saved(
    State(app): State<App>,
    _: Editor,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let project = usable(&app, Noun::Destination, &name).await?;
    let destination = app.catalog.parts.destination(&project, &name)?;
    let noted = Some((app.clone(), Noun::Destination, name.clone()));
    Ok(check::respond(&headers, name, "destination", async move { destination.check().await }, noted).await)
}

/// Test settings that are not saved
#[utoipa::path(post, path = "/destinations/check", tag = "destinations", request_body = TriedSettings,
    security(("token" = ["editor"]), ("session" = ["editor"])),
    responses((status = 200, description = "As for a saved destination",
        content((CheckDocument = "application/json"), (String = "text/event-stream")))))]
async fn check_unsaved(
    State(app): State<App>,
    Editor(caller): Editor,
    headers: HeaderMap,
    Json(body): Json<TriedSettings>,
) -> Result<Response> {
    let (project, name) = trial(&app, Noun::Destination, &body, reach(&caller)).await?;
    let destination = app.catalog.parts.destination(&project, &name)?;
    Ok(check::respond(&headers, name, "destination", async move { destination.check().await }, None).await)
}

/// A stream of a destination.
#[derive(Debug, Serialize, ToSchema)]
struct DestinationStream {
    /// Its name, as a sync names it.
    name: String,
    /// Its fields, in order.
    fields: Vec<DestinationField>,
}

/// A field of a stream.
#[derive(Debug, Serialize, ToSchema)]
struct DestinationField {
    /// Its name.
    name: String,
    /// Its type, in the destination's own words.
    #[serde(rename = "type")]
    data_type: String,
    /// Whether a row without it is refused.
    required: bool,
}

impl From<StreamInfo> for DestinationStream {
    fn from(stream: StreamInfo) -> Self {
        let field = |field: tapline_core::FieldInfo| DestinationField {
            name: field.name,
            data_type: field.data_type,
            required: field.required,
        };
        Self { name: stream.name.to_string(), fields: stream.fields.into_iter().map(field).collect() }
    }
}

/// List the streams that are at a destination
#[utoipa::path(get, path = "/destinations/{name}/streams", tag = "destinations", params(("name" = String, Path)),
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The streams with their fields", body = Page<DestinationStream>)))]
async fn streams(
    State(app): State<App>,
    _: Viewer,
    Path(name): Path<String>,
) -> Result<axum::Json<Page<DestinationStream>>> {
    let project = usable(&app, Noun::Destination, &name).await?;
    let destination = app.catalog.parts.destination(&project, &name)?;
    let streams = within(&app, STREAMS_TIMEOUT, async { Ok(destination.streams().await?) }).await?;
    Ok(axum::Json(Page::whole(streams.into_iter().map(DestinationStream::from).collect())))
}

/// The routes of destinations.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, update, remove))
        .routes(routes!(check_saved))
        .routes(routes!(check_unsaved))
        .routes(routes!(streams))
}
