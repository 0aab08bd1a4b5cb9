//! `tapline init [DIR]`: a commented project that runs.
//! Not here: the project's text, which is `templates/init.yaml`.
//! Called by the dispatcher in `commands`.

use std::path::{Path, PathBuf};

use serde_json::json;
use tapline_core::{Error, codes};

use crate::cli::Init;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::files::{make_folder, write_new_file};
use crate::terminal::{self, Paint};

const PROJECT: &str = include_str!("../../templates/init.yaml");
/// What must not be committed: state and snapshots, and the table that the first sync makes.
const IGNORED: &str = ".tapline/\n.env\n/out.db\n";

/// Writes the project. A `.gitignore` that is there already is left alone.
pub fn run(arguments: &Init) -> Result<Exit, Failure> {
    let folder = &arguments.folder;
    let written = write_project(folder)?;
    let written: Vec<&Path> = written.iter().map(|file| file.strip_prefix(".").unwrap_or(file)).collect();
    if arguments.report.is_json() {
        terminal::print_json(&json!({ "folder": folder, "files": written }))?;
        return Ok(Exit::Done);
    }
    for file in &written {
        terminal::print_line(file.display())?;
    }
    let paint = Paint::stderr();
    terminal::note(paint.strong("next:"));
    if folder != Path::new(".") {
        terminal::note(format_args!("  cd {}", folder.display()));
    }
    terminal::note("  export TAPLINE_BUCKET=your-bucket TAPLINE_FILES='path/*.parquet'");
    terminal::note("  tapline check && tapline sync");
    terminal::note("or `tapline demo`, which brings a bucket of its own");
    Ok(Exit::Done)
}

fn write_project(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    make_folder(folder)?;
    let project = folder.join("tapline.yaml");
    write_new_file(&project, PROJECT.as_bytes())
        .map_err(|error| error.hint("name another folder: `tapline init DIR`"))?;
    let mut written = vec![project];
    let ignored = folder.join(".gitignore");
    match write_new_file(&ignored, IGNORED.as_bytes()) {
        Ok(()) => written.push(ignored),
        Err(error) if error.code() == codes::CONF_006 => {}
        Err(error) => return Err(error),
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use tapline_core::config;
    use tapline_core::yaml::Variables;

    use super::*;
    use crate::problems;
    use crate::wiring::{Wiring, lookup};

    #[test]
    fn the_project_has_no_problem_with_and_without_its_variables() {
        let folder = tempfile::tempdir().unwrap();
        write_project(folder.path()).unwrap();
        let file = folder.path().join("tapline.yaml");
        let lookup = lookup(&file);
        for (variables, open) in [(Variables::Leave, true), (Variables::Expand(&lookup), false)] {
            let project = config::load(&file, variables).unwrap();
            assert_eq!(project.syncs.len(), 1);
            let problems = problems::of_project(&Wiring::over(project, open));
            assert!(problems.is_empty(), "{problems:?}");
        }
    }

    #[test]
    fn a_second_time_is_refused_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        write_project(folder.path()).unwrap();
        std::fs::write(folder.path().join("tapline.yaml"), "mine").unwrap();
        assert_eq!(write_project(folder.path()).unwrap_err().code(), codes::CONF_006);
        assert_eq!(std::fs::read_to_string(folder.path().join("tapline.yaml")).unwrap(), "mine");
    }
}
