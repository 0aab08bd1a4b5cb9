//! One run, from the definitions of the moment to its place in the history.
//! Not here: when it starts (`scheduler`).
//! Called by the scheduler, in a task of its own.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tapline_core::config::Mode;
use tapline_core::schedule::{Cause, Start};
use tapline_core::server_state::{Noun, RunFacts};
use tapline_core::{Class, Error, ErrorReport, EventSink, RunEvent, RunReport, RunStatus, SharedSink, failpoint};
use tapline_engine::{RunOptions, SyncJob};

use super::{Active, Feed, RunRequest, cause_of, leaves_rejects};
use crate::apart::to_its_end;
use crate::app::App;

/// How long the events of a run may take to be kept when it has ended.
const KEEP_TIMEOUT: Duration = Duration::from_secs(10);

/// A report of a run that has done nothing.
pub(super) fn empty_report(sync: &str, run: &str, mode: Mode) -> RunReport {
    RunReport {
        sync: sync.to_owned(),
        run: run.to_owned(),
        generation: 0,
        status: RunStatus::Running,
        mode,
        files: tapline_core::FileCounts::default(),
        bytes_read: 0,
        source_rows: tapline_core::SourceRowCounts::default(),
        rows: tapline_core::RowCounts::default(),
        duration_ms: 0,
        error: None,
        started_at: Some(Utc::now()),
        ended_at: None,
    }
}

/// Begins a run that is due.
pub(super) async fn begin(app: &App, start: Start) -> tapline_core::Result<()> {
    let runner = &app.runner;
    let moves = runner.moves.lock().await;
    let waiting = runner.waiting.lock().remove(&start.sync);
    if waiting.is_some() {
        // It may have been asked for between the decision and now: this run is the answer, and another one would be too many.
        runner.scheduler.lock().withdraw(&start.sync);
    }
    let (request, mut facts, asked_run) = match waiting {
        Some(job) => (serde_json::from_value(job.options).unwrap_or_default(), job.facts, Some(job.run)),
        None => (RunRequest::default(), RunFacts { cause: cause_of(start.cause), by: None }, None),
    };
    if start.cause == Cause::CutOff {
        facts.cause = cause_of(start.cause);
    }
    let run = match asked_run {
        // Its id is taken by the run that was cut off.
        Some(run) if app.store.run(&run).await?.is_some() => {
            app.store.drop_job(&run).await?;
            ulid::Ulid::generate().to_string()
        }
        Some(run) => run,
        None => ulid::Ulid::generate().to_string(),
    };
    // Before the run begins, so that the next server knows about a run that was cut off.
    runner.save(&start.sync).await?;
    app.store.put_run_facts(&run, &facts).await?;
    let active = Active { sync: start.sync.clone(), cancel: runner.stop.child_token(), feed: Feed::new() };
    runner.active.lock().insert(run.clone(), active.clone());
    drop(moves);
    let app = app.clone();
    runner.tasks.spawn(async move {
        let late = (Utc::now() - start.due).to_std().unwrap_or_default();
        app.metrics.run_started(late);
        let keeping = tokio::spawn(Arc::clone(&active.feed).keep(Arc::clone(&app.store), run.clone()));
        let report =
            carry_out(app.clone(), start.sync, request.options(&run, start.offers_rejects), active.clone()).await;
        active.feed.close();
        if tokio::time::timeout(KEEP_TIMEOUT, keeping).await.is_err() {
            tracing::warn!(run, "the events of a run were not kept in time");
        }
        end(&app, &run, &active, &report).await;
    });
    Ok(())
}

// Owns what it works on: futures over borrowed parts could not be shown to be `Send` where they are spawned.
async fn carry_out(app: App, sync: String, options: RunOptions, active: Active) -> RunReport {
    let sink: SharedSink = Arc::clone(&active.feed) as SharedSink;
    let (run, cancel) = (options.id.clone().unwrap_or_default(), active.cancel.clone());
    let ended = match job(&app, &sync).await {
        Ok(job) => {
            to_its_end(move || async move { Ok(tapline_engine::run(&job, &options, &sink, &cancel).await) }).await
        }
        Err(error) => Err(error),
    };
    match ended {
        Ok(report) => {
            if report.generation == 0 {
                // Without a lease the engine has recorded nothing.
                record(&app, &report).await;
            }
            report
        }
        Err(error) => failed(&app, &sync, &run, &active, &error).await,
    }
}

/// The report of a run that could not begin.
async fn failed(app: &App, sync: &str, run: &str, active: &Active, error: &Error) -> RunReport {
    let mut report = empty_report(sync, run, Mode::Incremental);
    report.status = if error.class() == Class::Guard { RunStatus::Stopped } else { RunStatus::Failed };
    report.error = Some(ErrorReport::from(error));
    report.ended_at = Some(Utc::now());
    record(app, &report).await;
    active.feed.send(RunEvent::Ended { report: Box::new(report.clone()) });
    report
}

/// What the engine needs for a sync, by the definitions of this moment.
pub async fn job(app: &App, sync: &str) -> tapline_core::Result<SyncJob> {
    let project = app.catalog.project().await.map_err(|problem| Error::internal(problem.detail()))?;
    let job = app.catalog.parts.job(&project, sync, &app.state)?;
    app.catalog.guard(Noun::Source, &job.model.source).await?;
    app.catalog.guard(Noun::Destination, &job.sync.destination).await?;
    Ok(job)
}

async fn record(app: &App, report: &RunReport) {
    if let Err(error) = app.store.record_run(report).await {
        tracing::error!(sync = report.sync, error = %error.full_message(), "cannot record the run");
    }
}

async fn end(app: &App, run: &str, active: &Active, report: &RunReport) {
    let runner = &app.runner;
    let sync = &active.sync;
    tracing::info!(target: "tapline::server", sync, run, status = ?report.status, duration_ms = report.duration_ms, "a run ended");
    app.metrics.run_ended(report);
    failpoint("after-run");
    // A run that the end of the server stopped is repeated by the next one, like one that was killed.
    let cut_off = runner.stop.is_cancelled() && report.status == RunStatus::Cancelled;
    let moves = runner.moves.lock().await;
    let dropped = if cut_off { Ok(()) } else { app.store.drop_job(run).await };
    runner.active.lock().remove(run);
    drop(moves);
    if cut_off {
        return;
    }
    runner.scheduler.lock().finished(sync, leaves_rejects(report), Utc::now());
    if let Err(error) = runner.save(sync).await.and(dropped) {
        tracing::error!(sync, error = %error.full_message(), "cannot save the schedule");
    }
    crate::alerts::run_ended(app, report).await;
    runner.wake();
}
