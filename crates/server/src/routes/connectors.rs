//! What there is to choose from: kinds of destinations with their settings, kinds of sources, functions of SQL.
//! Not here: definitions that use them.
//! Called by the router; forms are made from it.

use axum::extract::State;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;
use tapline_core::ErasedConnector;
use tapline_storage::S3SourceConfig;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Viewer;
use crate::page::Page;

/// A kind of destination.
#[derive(Debug, Serialize, ToSchema)]
struct ConnectorView {
    /// The `type` of its settings.
    kind: String,
    /// Its name for people.
    title: String,
    /// One line about it.
    summary: String,
    /// How far it has come: alpha, beta or stable.
    maturity: String,
    /// What it can do.
    capabilities: CapabilitiesView,
    /// JSON Schema of its settings, without `type`.
    #[schema(value_type = Object)]
    schema: Value,
}

/// What a kind of destination can do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Capabilities)]
struct CapabilitiesView {
    /// Whether a run becomes visible in one step, exactly once.
    transactional: bool,
    /// Whether rows can be deleted by key.
    deletes: bool,
    /// Whether a full refresh is possible.
    full_refresh: bool,
}

/// List the kinds of destinations
#[utoipa::path(get, path = "/connectors", tag = "connectors",
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The kinds, with the JSON Schemas of their settings", body = Page<ConnectorView>)))]
async fn connectors(State(app): State<App>, _: Viewer) -> axum::Json<Page<ConnectorView>> {
    let view = |connector: &dyn ErasedConnector| {
        let can = connector.capabilities();
        ConnectorView {
            kind: connector.name().to_owned(),
            title: title(connector.name()),
            summary: connector.summary().to_owned(),
            maturity: connector.maturity().as_str().to_owned(),
            capabilities: CapabilitiesView {
                transactional: can.transactional,
                deletes: can.deletes,
                full_refresh: can.full_refresh,
            },
            schema: whole(|generator| connector.schema(generator)),
        }
    };
    axum::Json(Page::whole(app.catalog.parts.connectors().iter().map(|connector| view(connector.as_ref())).collect()))
}

/// A kind of source.
#[derive(Debug, Serialize, ToSchema)]
struct SourceKind {
    /// The `type` of its settings.
    kind: &'static str,
    /// Its name for people.
    title: &'static str,
    /// JSON Schema of its settings, without `type`.
    #[schema(value_type = Object)]
    schema: Value,
}

/// List the kinds of sources
#[utoipa::path(get, path = "/connectors/sources", tag = "connectors",
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The kinds, with the JSON Schemas of their settings", body = Page<SourceKind>)))]
async fn sources(_: Viewer) -> axum::Json<Page<SourceKind>> {
    let s3 = SourceKind { kind: "s3", title: "Amazon S3", schema: whole(S3SourceConfig::json_schema) };
    axum::Json(Page::whole(vec![s3]))
}

/// List the functions of SQL
#[utoipa::path(get, path = "/functions", tag = "connectors",
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "Their names", body = Page<String>)))]
async fn functions(_: Viewer) -> axum::Json<Page<String>> {
    let mut names: Vec<String> = tapline_engine::function_reference()
        .iter()
        .filter(|function| matches!(function.support, tapline_engine::Support::Supported))
        .map(|function| function.name.to_string())
        .collect();
    names.sort_unstable();
    names.dedup();
    axum::Json(Page::whole(names))
}

/// A schema with everything that it refers to.
fn whole(schema: impl FnOnce(&mut SchemaGenerator) -> schemars::Schema) -> Value {
    let mut generator = SchemaGenerator::default();
    let mut schema = schema(&mut generator);
    schema.insert("$defs".to_owned(), Value::Object(generator.take_definitions(true)));
    schema.to_value()
}

/// A kind's name for people.
fn title(kind: &str) -> String {
    match kind {
        "postgres" => "PostgreSQL".to_owned(),
        "mysql" => "MySQL".to_owned(),
        "sqlite" => "SQLite".to_owned(),
        "http" => "HTTP API".to_owned(),
        "sftp" => "SFTP".to_owned(),
        other => {
            let mut letters = other.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        }
    }
}

/// The routes of kinds.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(connectors)).routes(routes!(sources)).routes(routes!(functions))
}
