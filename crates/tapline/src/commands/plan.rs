//! `tapline plan SYNC`: what a run would change, to be read, kept, and held to by `tapline sync --plan`.
//! Not here: how that is found out (`tapline_engine`).
//! Called by the dispatcher in `commands`, and by `sync` for a kept plan.

use std::path::Path;

use serde::Deserialize;
use tapline_core::{Error, ErrorReport, RowCounts, codes};
use tapline_engine::{PlanReport, PlanSample, RunOptions};

use super::{Context, rejects};
use crate::cli::Plan;
use crate::errors::{Failure, usage};
use crate::exit::Exit;
use crate::files::write_file;
use crate::human;
use crate::terminal::{self, Paint};
use crate::wiring::Wiring;

/// Plans a sync and prints the plan.
pub async fn run(arguments: &Plan, context: &Context) -> Result<Exit, Failure> {
    let outcome = plan(arguments, context).await;
    if !arguments.detailed_exitcode {
        return outcome.map(|_| Exit::Done);
    }
    match outcome {
        Ok(plan) if plan.has_changes() => Ok(Exit::Changes),
        Ok(_) => Ok(Exit::Done),
        Err(failure) if context.interruption.token().is_cancelled() => Err(failure),
        Err(failure) => {
            failure.tell(arguments.report.is_json());
            Ok(Exit::Failed)
        }
    }
}

async fn plan(arguments: &Plan, context: &Context) -> Result<PlanReport, Failure> {
    let wiring = Wiring::open(context.project.as_deref())?;
    wiring.sync(&arguments.sync)?;
    let state = wiring.state_to_read().await?;
    let job = wiring.job(&arguments.sync, &state.store)?;
    let options = RunOptions { full_refresh: arguments.full_refresh, ..RunOptions::default() };
    let report = Box::pin(tapline_engine::plan(&job, &options, arguments.diff, context.interruption.token()))
        .await
        .map_err(Failure::in_project)?;
    if let Some(path) = &arguments.output {
        let mut document = serde_json::to_vec_pretty(&report)
            .map_err(|error| Error::internal("a plan could not be written as JSON").because(error))?;
        document.push(b'\n');
        write_file(path, &document)?;
    }
    if arguments.report.is_json() {
        terminal::print_json(&report)?;
    } else {
        terminal::print(&text(&report, Paint::stdout()))?;
        if let Some(error) = &report.error {
            terminal::note(format_args!("{}", stop(error, Paint::stderr())));
        }
        if let Some(path) = arguments.output.as_ref().filter(|_| !context.quiet) {
            let hint = Paint::stderr().strong("hint:");
            let (sync, path) = (&report.sync, path.display());
            terminal::note(format_args!("{hint} to do exactly this: `tapline sync {sync} --plan {path}`"));
        }
    }
    Ok(report)
}

/// A plan that was kept in a file: what `tapline sync --plan` holds a run to.
#[derive(Debug, Deserialize)]
pub struct SavedPlan {
    /// The sync that was planned.
    pub sync: String,
    /// What a run has to do now just as then.
    pub fingerprint: String,
}

impl SavedPlan {
    /// Reads the file that `tapline plan -o` wrote.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read(path).map_err(|error| {
            Error::new(codes::FILE_006, format!("cannot read the plan {}", path.display())).because(error)
        })?;
        serde_json::from_slice(&text).map_err(|_| {
            usage(format!("{} is not a plan", path.display())).hint("`tapline plan SYNC -o FILE` writes one")
        })
    }
}

/// The counts, then a few rows: `+` inserted, `~` updated, `-` deleted, `!` rejected.
fn text(report: &PlanReport, paint: Paint) -> String {
    let RowCounts { unchanged, inserted, updated, skipped, rejected, deleted, .. } = report.rows;
    let parts =
        [(inserted, "insert"), (updated, "update"), (deleted, "delete"), (rejected, "reject"), (skipped, "skip")];
    let told: Vec<String> = parts
        .iter()
        .filter(|(rows, _)| *rows > 0)
        .map(|(rows, verb)| format!("{verb} {}", human::number(*rows)))
        .collect();
    let doing = if told.is_empty() { "change nothing".to_owned() } else { told.join(", ") };
    let rest = match unchanged {
        0 => String::new(),
        rows => format!(" and leave {} as before", human::count(rows, "row")),
    };
    let mut text = format!("{} would {doing}{rest}\n", paint.strong(&report.sync));
    for sample in &report.samples {
        text.push_str(&sample_text(sample, paint));
    }
    text
}

/// What would stop the run, and how to go on.
fn stop(error: &ErrorReport, paint: Paint) -> String {
    let ErrorReport { code, message, .. } = error;
    let hints = error.hint.iter().flat_map(|hints| hints.lines());
    let hints: String = hints.map(|hint| format!("\n{} {hint}", paint.strong("hint:"))).collect();
    format!("{} a run would stop before anything is visible: {code} {message}{hints}", paint.warning("warning:"))
}

fn sample_text(sample: &PlanSample, paint: Paint) -> String {
    let sign = match sample.op {
        "insert" => paint.good("+"),
        "update" => paint.warning("~"),
        "delete" => paint.bad("-"),
        _ => paint.bad("!"),
    };
    let mut text = format!("  {sign} {}", paint.strong(rejects::key(&sample.key))).trim_end().to_owned() + "\n";
    for change in &sample.changes {
        let old = change.old.as_ref().map_or_else(String::new, |old| format!("{old} → "));
        text.push_str(&format!("      {}: {old}{}\n", change.field, change.new));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tapline_engine::FieldChange;

    use super::*;

    fn sample(op: &'static str, key: serde_json::Value, changes: &[(&str, serde_json::Value)]) -> PlanSample {
        let change = |(field, new): &(&str, serde_json::Value)| {
            let old = (op == "update").then(|| json!("before"));
            FieldChange { field: (*field).to_owned(), old, new: new.clone() }
        };
        PlanSample { op, key, changes: changes.iter().map(change).collect() }
    }

    #[test]
    fn a_plan_says_how_many_and_shows_a_few() {
        let report = PlanReport {
            sync: "customers".to_owned(),
            fingerprint: String::new(),
            rows: RowCounts { read: 1_003, unchanged: 1_000, updated: 3, deleted: 1, ..RowCounts::default() },
            samples: vec![
                sample("update", json!({ "id": 7 }), &[("email", json!("a@example.com"))]),
                sample("delete", json!({ "id": 9 }), &[]),
                sample("insert", json!({}), &[("name", json!(null))]),
            ],
            error: None,
        };
        let expected = "customers would update 3, delete 1 and leave 1,000 rows as before\n  ~ id=7\n      email: \"before\" → \"a@example.com\"\n  - id=9\n  +\n      name: null\n";
        assert_eq!(text(&report, Paint::NONE), expected);
    }

    #[test]
    fn what_is_no_plan_is_told_apart_from_what_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        assert_eq!(SavedPlan::read(&path).unwrap_err().code(), codes::FILE_006);
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(SavedPlan::read(&path).unwrap_err().code(), codes::CONF_007);
        std::fs::write(&path, r#"{"sync":"customers","fingerprint":"00","rows":{},"samples":[]}"#).unwrap();
        assert_eq!(SavedPlan::read(&path).unwrap().sync, "customers");
    }
}
