//! `tapline runs [SYNC]` and `tapline runs show RUN`: the history.
//! Not here: how it is kept (the state store).
//! Called by the dispatcher in `commands`.

use std::time::Duration;

use tapline_core::{Error, RunReport, StateStore, codes};

use super::Context;
use crate::cli::{Runs, RunsCommand, RunsShow};
use crate::errors::{Failure, unknown_name};
use crate::exit::Exit;
use crate::human;
use crate::terminal;
use crate::wiring::Wiring;

/// How far back the beginning of a run's id is looked for.
const REMEMBERED: usize = 10_000;

/// Prints runs, newest first, or one run.
pub async fn run(arguments: &Runs, context: &Context) -> Result<Exit, Failure> {
    let wiring = Wiring::open(context.project.as_deref())?;
    let state = wiring.existing_state().await?;
    if let Some(RunsCommand::Show(show)) = &arguments.command {
        return one(show, state.as_deref()).await;
    }
    let sync = arguments.sync.as_deref();
    let runs = match &state {
        Some(state) => state.runs(sync, arguments.limit).await?,
        None => Vec::new(),
    };
    // A sync that was renamed or removed still has its history.
    if let Some(name) = sync.filter(|name| runs.is_empty() && !wiring.project.syncs.contains_key(*name)) {
        return Err(unknown_name("sync", name, wiring.project.syncs.keys().map(String::as_str)).into());
    }
    if arguments.report.is_json() {
        terminal::print_json(&runs)?;
    } else if runs.is_empty() {
        terminal::note("no run yet");
    } else {
        terminal::print(&table(&runs))?;
    }
    Ok(Exit::Done)
}

async fn one(arguments: &RunsShow, state: Option<&dyn StateStore>) -> Result<Exit, Failure> {
    let id = arguments.run.to_ascii_uppercase();
    let Some(state) = state else { return Err(no_run(&id).into()) };
    let report = match state.run(&id).await? {
        Some(report) => report,
        None => by_beginning(&id, state).await?,
    };
    if arguments.report.is_json() {
        terminal::print_json(&report)?;
    } else {
        terminal::print(&details(&report))?;
    }
    Ok(Exit::Done)
}

async fn by_beginning(id: &str, state: &dyn StateStore) -> Result<RunReport, Error> {
    let mut found: Vec<RunReport> = state.runs(None, REMEMBERED).await?;
    found.retain(|report| !id.is_empty() && report.run.starts_with(id));
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(no_run(id)),
        several => {
            Err(Error::new(codes::CONF_004, format!("{several} runs begin with `{id}`")).hint("give more of its id"))
        }
    }
}

fn no_run(id: &str) -> Error {
    Error::new(codes::CONF_004, format!("there is no run `{id}`")).hint("`tapline runs` lists them")
}

fn table(runs: &[RunReport]) -> String {
    let heads = ["run", "sync", "no.", "status", "started (UTC)", "took", "rows"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(runs.iter().map(|report| {
        vec![
            report.run.clone(),
            report.sync.clone(),
            report.generation.to_string(),
            human::status(report.status).to_owned(),
            report.started_at.map(human::time).unwrap_or_default(),
            human::duration(Duration::from_millis(report.duration_ms)),
            human::sum(&report.rows),
        ]
    }));
    human::columns(&rows, &[2, 5])
}

fn details(report: &RunReport) -> String {
    let mut rows = vec![
        ("run", report.run.clone()),
        ("sync", report.sync.clone()),
        ("number", report.generation.to_string()),
        ("status", human::status(report.status).to_owned()),
        ("started", report.started_at.map(|at| format!("{} UTC", human::time(at))).unwrap_or_default()),
        ("took", human::duration(Duration::from_millis(report.duration_ms))),
        (
            "files",
            format!(
                "{} listed, {} read, {} skipped",
                human::number(report.files.listed),
                human::number(report.files.read),
                human::number(report.files.skipped)
            ),
        ),
        ("bytes read", human::bytes(report.bytes_read)),
        (
            "source rows",
            format!(
                "{} read, {} rejected",
                human::number(report.source_rows.read),
                human::number(report.source_rows.rejected)
            ),
        ),
        ("rows", human::sum(&report.rows)),
    ];
    if let Some(error) = &report.error {
        rows.push(("error", format!("{} {}", error.code, error.message)));
        rows.extend(error.hint.iter().flat_map(|hints| hints.lines()).map(|hint| ("hint", hint.to_owned())));
    }
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    human::columns(&rows, &[])
}
