//! What machines ask: whether the server lives, whether it can work, and its metrics.
//! Not here: the metrics themselves (`crate::metrics`).
//! Called by load balancers, orchestrators and Prometheus.

use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use tapline_core::codes;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Viewer;
use crate::problem::{Problem, Result};

/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the process answers
#[utoipa::path(get, path = "/healthz", tag = "server",
    responses((status = 200, description = "ok", content_type = "text/plain", body = String)))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the state can be read
#[utoipa::path(get, path = "/readyz", tag = "server",
    responses((status = 200, description = "ok", content_type = "text/plain", body = String)))]
async fn readyz(State(app): State<App>) -> Result<&'static str> {
    let unavailable = |detail: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, codes::STATE_001, detail);
    if app.runner.stop.is_cancelled() {
        return Err(unavailable("the server is ending".to_owned()));
    }
    match tokio::time::timeout(PATIENCE, app.store.ping()).await {
        Ok(Ok(())) => Ok("ok\n"),
        Ok(Err(error)) => {
            tracing::warn!(error = %error.full_message(), "the state cannot be read");
            Err(unavailable("the state cannot be read".to_owned()))
        }
        Err(_) => Err(unavailable("the state does not answer".to_owned())),
    }
}

/// Metrics for Prometheus; without a sign-in only where the server listens on loopback
#[utoipa::path(get, path = "/metrics", tag = "server",
    security((), ("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The text format of OpenMetrics", content_type = "application/openmetrics-text", body = String)))]
async fn metrics(State(app): State<App>, request: Request) -> Result<Response> {
    if !app.settings.is_loopback() {
        let (mut parts, _) = request.into_parts();
        Viewer::from_request_parts(&mut parts, &app).await?;
    }
    let rejects = app.store.open_rejects().await?;
    let text = app.metrics.encode(&rejects);
    let text = text.map_err(|error| tapline_core::Error::internal("writing metrics").because(error))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// The routes for machines.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(metrics))
}
