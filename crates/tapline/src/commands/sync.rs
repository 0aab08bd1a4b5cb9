//! `tapline sync [SYNC…]`: runs syncs, one after the other, and reports each as it ends.
//! Not here: the run itself (`tapline_engine`), its live line (`progress`).
//! Called by the dispatcher in `commands`; `retry` shares the report.

use std::time::Duration;

use tapline_core::config::Mode;
use tapline_core::{Error, ErrorReport, RowCounts, RunReport, RunStatus};
use tapline_engine::{RunOptions, SyncJob};

use super::Context;
use super::plan::SavedPlan;
use crate::cli::{Report, Sync};
use crate::errors::{self, Failure, unknown_name, usage};
use crate::exit::Exit;
use crate::human;
use crate::terminal::{self, Paint};
use crate::wiring::Wiring;

/// Runs the chosen syncs. A sync that fails does not keep the others from running; a signal does.
pub async fn run(arguments: &Sync, context: &Context) -> Result<Exit, Failure> {
    let wiring = Wiring::open(context.project.as_deref())?;
    let plan = arguments.plan.as_deref().map(SavedPlan::read).transpose()?;
    let names = chosen(arguments, plan.as_ref(), &wiring)?;
    for name in &names {
        let full = arguments.full_refresh || wiring.sync(name)?.mode == Mode::FullRefresh;
        if arguments.limit.is_some() && full {
            return Err(usage(format!("--limit cannot be used with a full refresh (sync `{name}`)"))
                .hint("a limited full refresh would delete every row beyond the limit; `tapline preview` shows a few rows")
                .into());
        }
    }
    let state = wiring.state().await?;
    // Every job is put together before the first one runs: what is wrong in the project stops all of them.
    let jobs: Vec<SyncJob> = names.iter().map(|name| wiring.job(name, &state)).collect::<Result<_, _>>()?;
    let options = RunOptions {
        id: None,
        full_refresh: arguments.full_refresh,
        replace_existing: arguments.replace_existing,
        allow_empty: arguments.allow_empty,
        limit: arguments.limit,
        lock_timeout: arguments.lock_timeout,
        plan: plan.map(|plan| plan.fingerprint),
        ..RunOptions::default()
    };
    let mut exit = Exit::Done;
    for job in &jobs {
        exit = exit.max(deliver(job, &options, arguments.report, context).await?);
        if context.interruption.token().is_cancelled() {
            break;
        }
    }
    Ok(exit)
}

/// The syncs that the arguments mean, in the order in which they are to run.
fn chosen(arguments: &Sync, plan: Option<&SavedPlan>, wiring: &Wiring) -> Result<Vec<String>, Error> {
    let defined = || wiring.project.syncs.keys().map(String::as_str);
    if let Some(plan) = plan {
        return match arguments.syncs.as_slice() {
            [] => Ok(vec![plan.sync.clone()]),
            [name] if *name == plan.sync => Ok(vec![plan.sync.clone()]),
            _ => Err(usage(format!("the plan is one for the sync `{}` alone", plan.sync))),
        };
    }
    if arguments.all {
        return Ok(defined().map(str::to_owned).collect());
    }
    let mut names: Vec<String> = Vec::new();
    for name in &arguments.syncs {
        if !wiring.project.syncs.contains_key(name) {
            return Err(unknown_name("sync", name, defined()));
        }
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    if !names.is_empty() {
        return Ok(names);
    }
    let all: Vec<&str> = defined().collect();
    match all.as_slice() {
        [] => Err(usage("the project defines no sync").hint("add one under `syncs:`; `tapline schema` lists its keys")),
        [only] => Ok(vec![(*only).to_owned()]),
        several => Err(usage("say which syncs to run, or all of them with --all")
            .hint(format!("the project defines: {}", several.join(", ")))),
    }
}

/// Runs one job and reports it: a line on stdout, its error on stderr.
pub async fn deliver(job: &SyncJob, options: &RunOptions, report: Report, context: &Context) -> Result<Exit, Failure> {
    let events = context.progress.sink(&job.name);
    let ended = Box::pin(tapline_engine::run(job, options, &events, context.interruption.token())).await;
    drop(events);
    let exit = Exit::of_run(&ended, &context.interruption);
    if let Some(error) = &ended.error {
        let error = ErrorReport { message: format!("sync `{}`: {}", ended.sync, error.message), ..error.clone() };
        errors::tell(&error, report.is_json());
    }
    if report.is_json() {
        print(&json_line(&ended)?)?;
        return Ok(exit);
    }
    print(&line(&ended, Paint::stdout()))?;
    if ended.status == RunStatus::Partial && !context.quiet {
        point_at_rejects(&ended);
    }
    Ok(exit)
}

/// Prints a line. The syncs that are still to run do not depend on whether somebody reads on.
fn print(line: &str) -> Result<(), Failure> {
    match terminal::print_line(line) {
        Err(Failure::ReaderGone) => Ok(()),
        other => other,
    }
}

fn point_at_rejects(report: &RunReport) {
    let paint = Paint::stderr();
    let hint = |what: String, flag: &str| {
        terminal::note(format_args!("{} {what}: `tapline rejects {}{flag}`", paint.strong("hint:"), report.sync));
    };
    let rows = report.rows.rejected + report.rows.delete_rejected;
    if rows > 0 {
        hint(format!("{} not delivered", human::count(rows, "row")), "");
    }
    if report.source_rows.rejected > 0 {
        hint(format!("{} not readable", human::count(report.source_rows.rejected, "line")), " --source");
    }
}

/// The compact object of a run, without the times that only the history shows.
fn json_line(report: &RunReport) -> Result<String, Error> {
    let report = RunReport { started_at: None, ended_at: None, ..report.clone() };
    serde_json::to_string(&report)
        .map_err(|error| Error::internal("a run's report could not be written as JSON").because(error))
}

/// `customers_to_crm  succeeded  100,010 read = … (12 files, 73.4 MB, 1.8 s, run 7)`.
fn line(report: &RunReport, paint: Paint) -> String {
    let status = human::status(report.status);
    let status = match report.status {
        RunStatus::Succeeded | RunStatus::Unchanged => paint.good(status),
        RunStatus::Partial | RunStatus::Cancelled | RunStatus::Running => paint.warning(status),
        RunStatus::Stopped | RunStatus::Failed => paint.bad(status),
    };
    let duration = human::duration(Duration::from_millis(report.duration_ms));
    let mut about = Vec::new();
    if report.files.read > 0 {
        about.push(human::count(report.files.read, "file"));
        about.push(human::bytes(report.bytes_read));
    }
    about.push(duration);
    about.push(format!("run {}", report.generation));
    let told = match report.status {
        RunStatus::Unchanged => "nothing to do".to_owned(),
        RunStatus::Succeeded | RunStatus::Partial => human::sum(&report.rows),
        RunStatus::Stopped | RunStatus::Failed | RunStatus::Cancelled | RunStatus::Running => {
            if report.rows == RowCounts::default() { "nothing delivered".to_owned() } else { human::sum(&report.rows) }
        }
    };
    format!("{}  {status}  {told}  {}", paint.strong(&report.sync), paint.faint(format_args!("({})", about.join(", "))))
}

#[cfg(test)]
mod tests {
    use tapline_core::FileCounts;

    use super::*;

    fn report() -> RunReport {
        RunReport {
            sync: "customers".to_owned(),
            run: "01J".to_owned(),
            generation: 7,
            status: RunStatus::Partial,
            mode: Mode::Incremental,
            files: FileCounts { listed: 12, read: 12, skipped: 0 },
            bytes_read: 73_400_320,
            source_rows: Default::default(),
            rows: RowCounts { read: 1_000, unchanged: 990, rejected: 10, ..RowCounts::default() },
            duration_ms: 1_834,
            error: None,
            started_at: Some(Default::default()),
            ended_at: Some(Default::default()),
        }
    }

    #[test]
    fn a_run_is_told_on_one_line() {
        assert_eq!(
            line(&report(), Paint::NONE),
            "customers  partial  1,000 read = 990 unchanged + 10 rejected  (12 files, 73.4 MB, 1.8 s, run 7)"
        );
    }

    #[test]
    fn the_json_line_has_the_keys_of_the_contract_in_order() {
        let value: serde_json::Value = serde_json::from_str(&json_line(&report()).unwrap()).unwrap();
        let keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            [
                "sync",
                "run",
                "generation",
                "status",
                "mode",
                "files",
                "bytes_read",
                "source_rows",
                "rows",
                "duration_ms",
                "error"
            ]
        );
    }
}
