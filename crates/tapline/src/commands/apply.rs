//! `tapline apply FILE`: makes the server's definitions say what a project file says.
//! Not here: what that changes (`tapline_server`).
//! Called by the dispatcher in `commands`.

use tapline_core::config;
use tapline_core::yaml::Variables;
use tapline_server::catalog::Apply as How;

use super::Context;
use super::export::catalog;
use super::serve::failure;
use crate::cli::Apply;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::human;
use crate::terminal::{self, Paint};
use crate::wiring::{lookup, project_file, project_or_none};

/// Applies the file, and tells what changed. Variables are filled in from the environment.
pub async fn run(arguments: &Apply, context: &Context) -> Result<Exit, Failure> {
    let file = project_file(Some(&arguments.file))?;
    // The file that is applied is not the project whose state it goes into, unless that is said.
    let beside = context.project.as_deref();
    let (wiring, root) = project_or_none(beside)?;
    let root = if wiring.project.file == std::path::absolute(&file).unwrap_or_default() { None } else { root };
    let (tree, errors) = config::read_tree(&file, Variables::Leave);
    let Some(tree) = errors.into_result(tree)? else { return Ok(Exit::Failed) };
    let variables = lookup(&file);
    let how =
        How { dry_run: arguments.dry_run, prune: arguments.prune, lookup: Some(&variables), by: "the command line" };
    let applied = catalog(&wiring, root).await?.apply(&tree, how).await.map_err(failure)?;
    if arguments.report.is_json() {
        terminal::print_json(&applied)?;
        return Ok(Exit::Done);
    }
    let paint = Paint::stdout();
    for (word, names) in [("created", &applied.created), ("updated", &applied.updated), ("deleted", &applied.deleted)] {
        for name in names {
            terminal::print_line(format_args!("{} {name}", paint.strong(word)))?;
        }
    }
    if !context.quiet {
        let would = if arguments.dry_run { "; nothing was written" } else { "" };
        let unchanged = human::count(applied.unchanged.len() as u64, "definition");
        terminal::note(format_args!("{unchanged} unchanged{would}"));
    }
    Ok(Exit::Done)
}
