//! `tapline secret rotate`: another key for what is sealed in the state.
//! Not here: sealing (`tapline_state`).
//! Called by the dispatcher in `commands`.

use serde_json::json;
use tapline_core::Secret;

use super::Context;
use crate::cli::{self, SecretCommand, SecretRotate};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::human;
use crate::terminal;
use crate::wiring::project_or_none;

/// The environment variable with the key to be.
const NEW_KEY: &str = "TAPLINE_NEW_SECRET_KEY";

/// Does what was asked for.
pub async fn run(arguments: &cli::Secret, context: &Context) -> Result<Exit, Failure> {
    match &arguments.command {
        SecretCommand::Rotate(rotate) => self::rotate(rotate, context).await,
    }
}

async fn rotate(arguments: &SecretRotate, context: &Context) -> Result<Exit, Failure> {
    let (wiring, _) = project_or_none(context.project.as_deref())?;
    let project = &wiring.project;
    let key = std::env::var(NEW_KEY).ok().map(Secret::from);
    let rotated = tapline_state::rotate_key(&project.state.url, &project.folder, key.as_ref()).await?;
    if arguments.report.is_json() {
        terminal::print_json(&json!({ "definitions": rotated.definitions, "rejects": rotated.rejects }))?;
    } else if !context.quiet {
        let definitions = human::count(rotated.definitions as u64, "definition");
        let rejects = human::count(rotated.rejects as u64, "rejected row");
        terminal::note(format_args!("sealed anew: the secrets of {definitions}, and {rejects}"));
        if key.is_some() {
            terminal::note(format_args!("from now on set TAPLINE_SECRET_KEY to the value of {NEW_KEY}"));
        }
    }
    Ok(Exit::Done)
}
