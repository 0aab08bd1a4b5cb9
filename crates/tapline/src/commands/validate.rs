//! `tapline validate`: everything that can be told about a project without the network, all at once.
//! Not here: how problems are found (`tapline_core::config`, `problems`).
//! Called by the dispatcher in `commands`.

use std::path::Path;

use serde_json::json;
use tapline_core::codes;
use tapline_core::config::{self, Project};
use tapline_core::yaml::{ConfigError, Variables};

use super::Context;
use crate::cli::Validate;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::human;
use crate::problems::{self, Problem};
use crate::terminal;
use crate::wiring::{self, Wiring};

/// Reads the project and tells what is wrong with it.
pub fn run(arguments: &Validate, context: &Context) -> Result<Exit, Failure> {
    let file = wiring::project_file(context.project.as_deref())?;
    let (problems, summary) = examine(&file, arguments.no_env);
    if arguments.report.is_json() {
        terminal::print_json(&json!({ "ok": problems.is_empty(), "problems": problems }))?;
        return Ok(if problems.is_empty() { Exit::Done } else { Exit::Usage });
    }
    problems::stop_at(problems)?;
    terminal::print_line(format_args!("{}: {summary}, no problems", file.display()))?;
    Ok(Exit::Done)
}

/// The problems of a project in the order of its text, and what it consists of.
fn examine(file: &Path, no_env: bool) -> (Vec<Problem>, String) {
    let mut problems = Vec::new();
    let mut open = no_env;
    let lookup = wiring::lookup(file);
    let (mut project, mut errors) =
        config::examine(file, if no_env { Variables::Leave } else { Variables::Expand(&lookup) });
    let unset = |error: &ConfigError| error.code == codes::CONF_003;
    if errors.0.iter().any(unset) {
        // What an unset variable would have said is unknown. The rest is judged with all variables open, so that its
        // absence does not look like further mistakes.
        problems.extend(errors.0.into_iter().filter(unset).map(Problem::from));
        (project, errors) = config::examine(file, Variables::Leave);
        open = true;
    }
    problems.extend(errors.0.into_iter().map(Problem::from));
    let mut summary = String::new();
    if let Some(project) = project {
        summary = parts(&project);
        problems.extend(problems::of_project(&Wiring::over(project, open)));
    }
    problems.retain(|problem| !problem.left_open);
    problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    (problems, summary)
}

/// `1 source, 2 models, 1 destination, 2 syncs`.
fn parts(project: &Project) -> String {
    let parts = [
        (project.sources.len(), "source"),
        (project.models.len(), "model"),
        (project.destinations.len(), "destination"),
        (project.syncs.len(), "sync"),
    ];
    parts.map(|(count, noun)| human::count(count as u64, noun)).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNSET: &str = r#"version: 1
sources:
  lake:
    type: s3
    bucket: ${TAPLINE_TEST_NEVER_SET}
  other:
    type: s4
models:
  m: { source: lak, sql: SELECT 1 }
"#;

    fn problems(text: &str, no_env: bool) -> Vec<(usize, usize, String)> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tapline.yaml");
        std::fs::write(&file, text).unwrap();
        let (problems, _) = examine(&file, no_env);
        problems.into_iter().map(|problem| (problem.line, problem.column, problem.message)).collect()
    }

    #[test]
    fn everything_is_told_at_once_and_nothing_twice() {
        let found = problems(UNSET, false);
        let places: Vec<(usize, usize)> = found.iter().map(|(line, column, _)| (*line, *column)).collect();
        assert_eq!(places, [(5, 13), (7, 11), (9, 16)], "{found:?}");
        assert_eq!(found[0].2, "variable `TAPLINE_TEST_NEVER_SET` is not set");
    }

    #[test]
    fn without_the_environment_variables_are_no_problem() {
        let found = problems(UNSET, true);
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
