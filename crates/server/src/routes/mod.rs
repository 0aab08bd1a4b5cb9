//! The routes, one file per noun, and the document that describes them.
//! Not here: what routes share (`app`), and who may call them (`auth`).
//! Called by `app`, by tests, and by whoever prints the OpenAPI document.

#![allow(unused_qualifications, reason = "what describes routes writes the types of their parameters anew")]

mod about;
mod alerts;
mod audit;
mod connectors;
mod definitions;
mod destinations;
mod health;
mod models;
mod rejects;
mod runs;
mod schedules;
mod session;
mod setup;
mod sources;
mod summary;
mod syncs;
mod tokens;
mod transfer;
pub(crate) mod ui;
pub(crate) mod users;

use std::sync::OnceLock;

use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::problem::ProblemBody;

/// All routes.
pub(crate) fn all() -> OpenApiRouter<App> {
    let nouns = OpenApiRouter::new()
        .merge(setup::router())
        .merge(session::router())
        .merge(sources::router())
        .merge(models::router())
        .merge(destinations::router())
        .merge(syncs::router())
        .merge(runs::router())
        .merge(rejects::router())
        .merge(summary::router())
        .merge(schedules::router())
        .merge(connectors::router())
        .merge(transfer::router())
        .merge(users::router())
        .merge(tokens::router())
        .merge(audit::router())
        .merge(alerts::router())
        .merge(about::router());
    let info = InfoBuilder::new()
        .title("Tapline")
        .description(Some("Files in S3, shaped with SQL, delivered to your databases: everything that the command line and the web UI do."))
        .version(env!("CARGO_PKG_VERSION"))
        .build();
    OpenApiRouter::with_openapi(OpenApiBuilder::new().info(info).build())
        .nest("/api/v1", nouns)
        .merge(health::router())
        .route("/api/openapi.json", get(document))
}

/// The OpenAPI document of all routes.
pub fn openapi() -> OpenApi {
    let mut document = all().into_openapi();
    let components = document.components.get_or_insert_default();
    components
        .add_security_scheme("token", SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()));
    components
        .add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("tapline_session"))));
    let mut parts = vec![(ProblemBody::name().into_owned(), ProblemBody::schema())];
    ProblemBody::schemas(&mut parts);
    components.schemas.extend(parts);
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let problem =
        ResponseBuilder::new().description("What went wrong").content("application/problem+json", problem).build();
    for (path, item) in &mut document.paths.paths {
        let noun = path.trim_start_matches("/api/v1").split('/').nth(1).unwrap_or_default();
        for operation in operations(item) {
            // The function's name, which is the same for many nouns; clients are generated from it.
            let name = operation.operation_id.take().filter(|name| name != noun);
            operation.operation_id = Some(name.map_or_else(|| noun.to_owned(), |name| format!("{noun}_{name}")));
            let responses = &mut operation.responses.responses;
            responses.entry("default".to_owned()).or_insert_with(|| RefOr::T(problem.clone()));
        }
    }
    document
}

fn operations(item: &mut utoipa::openapi::PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch]
        .into_iter()
        .filter_map(Option::as_mut)
}

async fn document() -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| openapi().to_json().unwrap_or_default());
    ([(header::CONTENT_TYPE, "application/json")], text.as_str()).into_response()
}
