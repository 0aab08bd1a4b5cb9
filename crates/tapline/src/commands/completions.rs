//! `tapline completions SHELL`: a completion script.
//! Not here: the commands that it completes (`cli`).
//! Called by the dispatcher in `commands`.

use clap::CommandFactory;
use serde_json::json;

use crate::cli::{Cli, Completions};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::terminal;

/// Prints the script.
pub fn run(arguments: &Completions) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "tapline", &mut script);
    let script = String::from_utf8_lossy(&script);
    if arguments.report.is_json() {
        terminal::print_json(&json!({ "shell": arguments.shell.to_string(), "script": script }))?;
    } else {
        terminal::print(&script)?;
    }
    Ok(Exit::Done)
}
