//! The server as a whole: what all routes share, and the router over them.
//! Not here: the routes (`routes`), the sockets (`listen`).
//! Called by `serve`, and by tests, which talk to the router directly.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use http::StatusCode;
use tapline_core::server_state::ServerStore;
use tapline_core::yaml::Node;
use tapline_core::{Secret, StateStore, codes};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use url::Url;

use crate::catalog::Catalog;
use crate::metrics::Metrics;
use crate::parts::Parts;
use crate::problem::Problem;
use crate::runs::Runner;
use crate::{alerts, auth, routes, security};

/// The largest body, in bytes.
pub const MOST_BODY_BYTES: usize = 4 << 20;
/// Queries, previews, plans and the like that may be under way at once.
pub const MOST_INTERACTIVE: usize = 8;

/// What the person who starts the server decides.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the server listens.
    pub listen: SocketAddr,
    /// The project file; its folder is where relative paths begin, whether or not the file is there.
    pub file: PathBuf,
    /// Runs at once.
    pub concurrency: NonZeroUsize,
    /// Whether settings from the API may name any address.
    pub allow_private_addresses: bool,
    /// `TAPLINE_ADMIN_TOKEN`: a token with the role admin that is in no store.
    pub admin_token: Option<Secret>,
    /// Where people reach the server, where that is not where it listens: behind a reverse proxy.
    pub public_url: Option<Url>,
    /// The version of the program.
    pub version: &'static str,
}

impl Settings {
    /// Whether only programs on this machine can reach the server.
    pub fn is_loopback(&self) -> bool {
        self.listen.ip().is_loopback()
    }
}

/// Everything that routes share; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// What is behind an [`App`].
pub struct Inner {
    /// Where everything is kept.
    pub store: Arc<dyn ServerStore>,
    /// The same store, as the engine sees it.
    pub state: Arc<dyn StateStore>,
    /// What the person who started the server decided.
    pub settings: Settings,
    /// The definitions.
    pub catalog: Catalog,
    /// The runs.
    pub runner: Runner,
    /// The metrics.
    pub metrics: Metrics,
    /// What `auth` remembers between requests.
    pub auth: auth::Memory,
    /// What `alerts` remembers between runs.
    pub alerts: alerts::Memory,
    /// When the server was started.
    pub started_at: DateTime<Utc>,
    /// Room for queries and the like.
    pub interactive: Semaphore,
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    /// Over a store. `root` is the project file, read and with its variables filled in, where there is one. Runs end when
    /// `stop` is cancelled.
    pub fn new(
        store: Arc<dyn ServerStore>,
        parts: Arc<dyn Parts>,
        settings: Settings,
        root: Option<Node>,
        stop: CancellationToken,
    ) -> Self {
        let guarded = !settings.allow_private_addresses;
        Self(Arc::new(Inner {
            state: Arc::clone(&store) as Arc<dyn StateStore>,
            catalog: Catalog::new(Arc::clone(&store), parts, settings.file.clone(), root, guarded),
            runner: Runner::new(Arc::clone(&store), settings.concurrency, stop),
            metrics: Metrics::default(),
            auth: auth::Memory::default(),
            alerts: alerts::Memory::default(),
            started_at: Utc::now(),
            interactive: Semaphore::new(MOST_INTERACTIVE),
            settings,
            store,
        }))
    }

    /// The router over all routes, with what holds for each of them.
    pub fn router(&self) -> Router {
        let (router, _) = routes::all().split_for_parts();
        router
            .fallback(routes::ui::fallback)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(from_fn_with_state(self.clone(), security::protect))
            .layer(DefaultBodyLimit::max(MOST_BODY_BYTES))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(from_fn(log))
            .with_state(self.clone())
    }
}

async fn method_not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, codes::API_006, "this route does not take this method")
        .hint("/api/openapi.json lists the methods of all routes")
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, codes::RUN_003, "the request ended by a panic")
        .hint("this is a bug: please report it")
        .into_response()
}

/// A line per request, by its route: addresses hold names that people gave, and queries may hold more.
async fn log(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let response = next.run(request).await;
    tracing::info!(
        target: "tapline::server",
        %method,
        route = route.as_deref().unwrap_or("-"),
        status = response.status().as_u16(),
        duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "request"
    );
    response
}
