//! The task that starts runs when they are due.
//! Not here: the decision (`tapline_core::schedule`).
//! Called by `serve`, once.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::Utc;
use tapline_core::schedule::{Misfire, Plan, Timetable};
use tapline_core::{Lease, Result, RunReport, RunStatus};

use super::{execute, leaves_rejects};
use crate::app::App;

/// The longest time between two looks at definitions and clock: other servers may have changed the former, people the
/// latter.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How long to wait at a time for another server that schedules on the same state.
const LEAD_WAIT: Duration = Duration::from_secs(5);
/// How long to wait after an error of the store.
const PAUSE: Duration = Duration::from_secs(2);

/// Schedules until the server ends: as soon as no other server on the same state does.
pub async fn schedule(app: App) {
    let stop = app.runner.stop.clone();
    let mut told = false;
    while !stop.is_cancelled() {
        let lease = tokio::select! {
            () = stop.cancelled() => return,
            lease = app.store.lead(LEAD_WAIT) => lease,
        };
        match lease {
            Ok(lease) => {
                lead(&app, &lease).await;
                app.runner.leading.store(false, Ordering::Relaxed);
                if let Err(error) = app.store.release(&lease).await {
                    tracing::warn!(error = %error.full_message(), "cannot give back the right to schedule");
                }
            }
            Err(error) => {
                if !told {
                    tracing::warn!(reason = %error.full_message(), "another server schedules; this one only answers");
                    told = true;
                }
                pause(&app).await;
            }
        }
    }
}

async fn lead(app: &App, lease: &Lease) {
    let runner = &app.runner;
    while let Err(error) = restore(app).await {
        tracing::error!(error = %error.full_message(), "cannot read the schedules");
        pause(app).await;
        if runner.stop.is_cancelled() {
            return;
        }
    }
    runner.leading.store(true, Ordering::Relaxed);
    let mut lost = app.store.lost(lease);
    loop {
        if let Err(error) = turn(app).await {
            tracing::error!(error = %error.full_message(), "cannot schedule");
            pause(app).await;
        }
        let now = Utc::now();
        let due = runner.scheduler.lock().next_wake(now).map(|wake| (wake - now).to_std().unwrap_or_default());
        let wait = due.unwrap_or(LONGEST_WAIT).clamp(Duration::from_millis(1), LONGEST_WAIT);
        tokio::select! {
            () = runner.stop.cancelled() => break,
            () = runner.wake.notified() => {}
            () = tokio::time::sleep(wait) => {}
            reason = &mut lost => {
                tracing::error!(reason = %reason.full_message(), "another server may schedule now");
                break;
            }
        }
    }
    if runner.stop.is_cancelled() {
        runner.drained().await;
    }
}

async fn pause(app: &App) {
    tokio::select! {
        () = app.runner.stop.cancelled() => {}
        () = tokio::time::sleep(PAUSE) => {}
    }
}

/// Takes up what the server before has left.
async fn restore(app: &App) -> Result<()> {
    let runner = &app.runner;
    for job in app.store.jobs().await? {
        if app.store.run(&job.run).await?.is_some_and(|run| is_done(&run)) {
            app.store.drop_job(&job.run).await?;
        }
    }
    let saved = app.store.schedules().await?;
    let mut ended = BTreeMap::new();
    for (sync, running) in saved.iter().filter_map(|(sync, state)| Some((sync, state.running?))) {
        let last = app.store.runs(Some(sync), 1).await?.into_iter().next();
        let since = |run: &RunReport| is_done(run) && run.started_at.is_some_and(|started| started >= running.since);
        if let Some(run) = last.filter(since) {
            ended.insert(sync.clone(), run);
        }
    }
    let plans = plans(app).await?;
    let mut known = runner.plans.lock();
    let mut scheduler = runner.scheduler.lock();
    for (sync, plan) in plans {
        // Those that are new come in with the first turn.
        if let Some(state) = saved.get(&sync) {
            match ended.get(&sync) {
                None => scheduler.restore(&sync, plan.clone(), *state),
                Some(run) => {
                    let at = run.ended_at.unwrap_or_else(Utc::now);
                    scheduler.restore_ended(&sync, plan.clone(), *state, leaves_rejects(run), at);
                }
            }
            known.insert(sync, plan);
        }
    }
    Ok(())
}

/// Whether a run has ended and needs no repetition: the end of a server cancels runs, which the next one repeats.
fn is_done(run: &RunReport) -> bool {
    !matches!(run.status, RunStatus::Running | RunStatus::Cancelled)
}

/// Follows the definitions and takes in what was asked for, then starts what is due.
async fn turn(app: &App) -> Result<()> {
    let runner = &app.runner;
    let plans = plans(app).await?;
    let now = Utc::now();
    let mut changed = Vec::new();
    {
        let mut known = runner.plans.lock();
        let mut scheduler = runner.scheduler.lock();
        for (sync, plan) in &plans {
            if known.get(sync) != Some(plan) {
                scheduler.put(sync, plan.clone(), now);
                changed.push(sync.clone());
            }
        }
        for sync in known.keys().filter(|sync| !plans.contains_key(*sync)) {
            scheduler.remove(sync);
        }
        *known = plans;
    }
    for sync in &changed {
        // A tick that comes before the first run is made up for, although the server ends in between.
        runner.save(sync).await?;
    }
    take_in(app).await?;
    let starts = runner.scheduler.lock().decide(Utc::now());
    for start in starts {
        let sync = start.sync.clone();
        if let Err(error) = execute::begin(app, start).await {
            runner.scheduler.lock().finished(&sync, false, Utc::now());
            return Err(error);
        }
    }
    let (_, waiting) = runner.load();
    app.metrics.waiting(waiting);
    Ok(())
}

/// Takes in jobs that other servers on the same state have written, and those that a server before has left.
async fn take_in(app: &App) -> Result<()> {
    let runner = &app.runner;
    let _moves = runner.moves.lock().await;
    let jobs = app.store.jobs().await?;
    let active = runner.active.lock();
    let mut waiting = runner.waiting.lock();
    let mut scheduler = runner.scheduler.lock();
    for job in jobs.into_iter().filter(|job| !active.contains_key(&job.run)) {
        let sync = job.sync.clone();
        let ours = waiting.entry(sync.clone()).or_insert_with(|| job.clone()).run == job.run;
        // A run that was cut off counts as asked for already.
        let idle = scheduler.state(&sync).is_some_and(|state| state.asked.is_none() && state.running.is_none());
        if ours && idle {
            scheduler.request(&sync, job.asked_at);
        }
    }
    Ok(())
}

async fn plans(app: &App) -> Result<BTreeMap<String, Plan>> {
    let project = app.catalog.project().await.map_err(|problem| tapline_core::Error::internal(problem.detail()))?;
    let plan = |(name, sync): (&String, &tapline_core::config::SyncConfig)| {
        let timetable = Timetable::new(name, &sync.schedule).ok()?;
        Some((name.clone(), Plan { timetable, misfire: Misfire::RunOnce }))
    };
    Ok(project.syncs.iter().filter_map(plan).collect())
}
