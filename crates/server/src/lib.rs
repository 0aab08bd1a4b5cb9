//! The server: HTTP API, scheduler and web UI.
//! Not here: runs (the engine), storage of state (`tapline-state`); both come in from the binary's wiring.
//! Called by `tapline serve`, `export` and `apply`.

// The futures of the engine lie deep within those of the routes.
#![recursion_limit = "256"]

mod addresses;
pub mod alerts;
mod apart;
pub mod app;
pub mod audit;
pub mod auth;
pub mod catalog;
mod check;
mod extract;
mod interactive;
mod listen;
pub mod masking;
mod metrics;
mod page;
pub mod parts;
pub mod problem;
mod routes;
mod rows;
mod runs;
pub mod security;
mod ui;

use std::time::Duration;

use tapline_core::{Error, codes};
use tokio::net::TcpListener;
use url::Url;

pub use app::{App, Settings};
pub use routes::openapi;
pub use runs::schedule;

/// Reads the URL under which people reach the server.
///
/// # Errors
/// A text that is no such URL.
pub fn public_url(text: &str) -> tapline_core::Result<Url> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    url.ok_or_else(|| {
        Error::new(codes::CONF_007, format!("`{text}` is not the URL of a server"))
            .hint("write it like https://tapline.example.com")
    })
}

/// How long requests under way may take when the server ends.
const GRACE: Duration = Duration::from_secs(10);
/// How long runs under way may take to stop when the server ends.
const RUNS_GRACE: Duration = Duration::from_secs(60);
/// How often the store forgets what has had its time.
const TIDY_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Serves until the application's runs are told to stop, and ends in good order: no new requests, runs stopped where
/// nothing is lost, what they did written down.
pub async fn serve(app: App, listener: TcpListener) {
    let stop = app.runner.stop.clone();
    let scheduling = tokio::spawn(schedule(app.clone()));
    let alerting = tokio::spawn(alerts::start(app.clone()));
    let tidying = tokio::spawn(tidy(app.clone()));
    listen::serve(listener, app.router(), stop, GRACE).await;
    if tokio::time::timeout(RUNS_GRACE, scheduling).await.is_err() {
        tracing::error!("runs did not stop in time; the next server goes on from where they are");
    }
    alerting.abort();
    tidying.abort();
}

async fn tidy(app: App) {
    loop {
        if let Err(error) = app.store.tidy().await {
            tracing::warn!(error = %error.full_message(), "cannot clear away what has had its time");
        }
        tokio::time::sleep(TIDY_EVERY).await;
    }
}
