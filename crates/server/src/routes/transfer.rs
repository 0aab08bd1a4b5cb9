//! The state as a project file, and back.
//! Not here: how (`crate::catalog`).
//! Called by the router.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use serde::Deserialize;
use serde_json::json;
use tapline_core::yaml::{self, ConfigErrors};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::audit;
use crate::auth::Admin;
use crate::catalog::{Applied, Apply};
use crate::extract::{Query, Text};
use crate::problem::Result;

/// Show the definitions of the state as a project file
#[utoipa::path(get, path = "/export", tag = "transfer",
    security(("token" = ["admin"]), ("session" = ["admin"])),
    responses((status = 200, description = "A project file; secrets are variables", content_type = "application/yaml", body = Object)))]
async fn export(State(app): State<App>, Admin(caller): Admin) -> Result<Response> {
    let text = app.catalog.export().await?;
    audit::record(&app, &caller, "export", None, json!({})).await?;
    Ok(([(header::CONTENT_TYPE, "application/yaml")], text).into_response())
}

/// How a project file is applied.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ApplyQuery {
    /// Only tell what would change.
    #[serde(default)]
    dry_run: bool,
    /// Delete definitions that the file does not have.
    #[serde(default)]
    prune: bool,
}

/// Make the state say what a project file says
#[utoipa::path(post, path = "/apply", tag = "transfer", params(ApplyQuery),
    request_body(content = String, content_type = "application/yaml"),
    security(("token" = ["admin"]), ("session" = ["admin"])),
    responses((status = 200, description = "What was changed", body = Applied)))]
async fn apply(
    State(app): State<App>,
    Admin(caller): Admin,
    Query(query): Query<ApplyQuery>,
    Text(text): Text,
) -> Result<axum::Json<Applied>> {
    let file = yaml::parse(&text, "body").map_err(ConfigErrors::from)?;
    let how = Apply { dry_run: query.dry_run, prune: query.prune, lookup: None, by: &caller.name };
    let applied = app.catalog.apply(&file, how).await?;
    if !query.dry_run {
        audit::record(&app, &caller, "apply", None, json!(applied)).await?;
        app.runner.wake();
    }
    Ok(axum::Json(applied))
}

/// The routes of export and apply.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(export)).routes(routes!(apply))
}
