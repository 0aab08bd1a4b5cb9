//! The server itself: version, state, limits.
//! Not here: whether it is well (`health`).
//! Called by the router.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, MOST_BODY_BYTES, MOST_INTERACTIVE};
use crate::auth::Viewer;
use crate::interactive::{MEMORY_BYTES, MOST_ROWS, MOST_TIME};

/// The server.
#[derive(Debug, Serialize, ToSchema)]
struct About {
    /// The version of the program.
    version: &'static str,
    /// `sqlite` or `postgres`.
    state: &'static str,
    /// When the server was started.
    started_at: DateTime<Utc>,
    /// Seconds since then.
    uptime_s: u64,
    /// Whether this server schedules, among those on the same state.
    scheduling: bool,
    /// What requests may use.
    limits: LimitsView,
}

/// What requests may use.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Limits)]
struct LimitsView {
    /// Runs at once.
    concurrency: usize,
    /// Queries, previews and plans at once.
    interactive: usize,
    /// Bytes of a body.
    body_bytes: usize,
    /// Rows of a query.
    query_rows: usize,
    /// The longest a query may take, in milliseconds.
    query_timeout_ms: u64,
    /// The memory of a query, in bytes.
    query_memory_bytes: usize,
}

/// Show the server's version and limits
#[utoipa::path(get, path = "/about", tag = "server",
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The server", body = About)))]
async fn about(State(app): State<App>, _: Viewer) -> axum::Json<About> {
    let uptime = (Utc::now() - app.started_at).to_std().unwrap_or_default();
    axum::Json(About {
        version: app.settings.version,
        state: app.store.kind(),
        started_at: app.started_at,
        uptime_s: uptime.as_secs(),
        scheduling: app.runner.is_leading(),
        limits: LimitsView {
            concurrency: app.settings.concurrency.get(),
            interactive: MOST_INTERACTIVE,
            body_bytes: MOST_BODY_BYTES,
            query_rows: MOST_ROWS,
            query_timeout_ms: u64::try_from(MOST_TIME.as_millis()).unwrap_or(u64::MAX),
            query_memory_bytes: MEMORY_BYTES,
        },
    })
}

/// The routes of the server itself.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(about))
}
