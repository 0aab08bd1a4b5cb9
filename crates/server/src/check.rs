//! Checks of connections as responses: one document at the end, or an event per step.
//! Not here: the steps, which sources and destinations take.
//! Called by the routes of sources and destinations.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use futures::StreamExt;
use http::{HeaderMap, header};
use tapline_core::server_state::{LastCheck, Noun};
use tapline_core::{CheckReport, CheckStep, Error, codes, observed};
use tokio::sync::mpsc;
use utoipa::ToSchema;

use crate::app::App;

/// How long a check may take.
const TIME_LIMIT: Duration = Duration::from_secs(90);

/// The outcome of a check.
#[derive(Debug, ToSchema)]
#[schema(as = CheckReport)]
#[allow(dead_code, reason = "only its schema is used")]
pub struct CheckDocument {
    /// The connection's name.
    name: String,
    /// `source` or `destination`.
    kind: String,
    /// Whether every step worked.
    ok: bool,
    /// The steps, in order; the first that failed is the last.
    steps: Vec<StepView>,
}

/// One step of a check.
#[derive(Debug, ToSchema)]
#[schema(as = CheckStep)]
#[allow(dead_code, reason = "only its schema is used")]
pub struct StepView {
    /// What was tried.
    name: String,
    /// Whether it worked.
    ok: bool,
    /// The error's code.
    code: Option<String>,
    /// What was found, or what went wrong.
    message: Option<String>,
    /// What to do next.
    hint: Option<String>,
}

/// Which connection of the definitions was checked; its outcome is kept.
pub type Noted = (App, Noun, String);

/// Checks, and answers in the form that the request asks for.
pub async fn respond(
    headers: &HeaderMap,
    name: String,
    kind: &'static str,
    check: impl Future<Output = Vec<CheckStep>> + Send + 'static,
    noted: Option<Noted>,
) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|kinds| kinds.to_str().ok()).unwrap_or_default();
    if !accepts.contains("text/event-stream") {
        return axum::Json(finish(name, kind, bounded(check).await, noted).await).into_response();
    }
    let (send, receive) = mpsc::unbounded_channel::<Event>();
    let each = send.clone();
    let observer: Arc<dyn Fn(&CheckStep) + Send + Sync> = Arc::new(move |step| {
        // Whoever went away hears of no more steps.
        let _ = each.send(event("step", step));
    });
    tokio::spawn(async move {
        let work = async {
            let report = finish(name, kind, observed(bounded(check), observer).await, noted).await;
            let _ = send.send(event("done", &report));
        };
        tokio::select! {
            () = work => {}
            () = send.closed() => {}
        }
    });
    let events = futures::stream::unfold(receive, |mut receive| async move { Some((receive.recv().await?, receive)) });
    Sse::new(events.map(Ok::<_, Infallible>)).keep_alive(KeepAlive::default()).into_response()
}

async fn bounded(check: impl Future<Output = Vec<CheckStep>>) -> Vec<CheckStep> {
    tokio::time::timeout(TIME_LIMIT, check).await.unwrap_or_else(|_| {
        let late = format!("the check was not done within {} s", TIME_LIMIT.as_secs());
        vec![CheckStep::failed("answer", &Error::new(codes::API_005, late).hint("is a firewall on the way?"))]
    })
}

async fn finish(name: String, kind: &str, steps: Vec<CheckStep>, noted: Option<Noted>) -> CheckReport {
    let report = CheckReport::new(name, kind, steps);
    if let Some((app, noun, name)) = noted {
        let check = LastCheck { ok: report.ok, at: Utc::now(), steps: report.steps.clone() };
        if let Err(error) = app.store.put_last_check(noun, &name, &check).await {
            tracing::warn!(error = %error.full_message(), "cannot keep the outcome of a check");
        }
    }
    report
}

fn event(name: &str, data: &impl serde::Serialize) -> Event {
    Event::default().event(name).json_data(data).unwrap_or_default()
}
