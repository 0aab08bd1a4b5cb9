//! `tapline reset SYNC`: forgets what was delivered.
//! Not here: what that means for state and destination (`tapline_engine`).
//! Called by the dispatcher in `commands`.

use std::io::{self, IsTerminal};

use serde_json::json;
use tapline_core::{Error, codes};

use super::Context;
use crate::cli::Reset;
use crate::errors::{Failure, usage};
use crate::exit::Exit;
use crate::terminal;
use crate::wiring::Wiring;

/// Resets the sync, after a question where somebody can answer it.
pub async fn run(arguments: &Reset, context: &Context) -> Result<Exit, Failure> {
    let wiring = Wiring::open(context.project.as_deref())?;
    let name = &arguments.sync;
    wiring.sync(name)?;
    if !arguments.yes && !agreed(name)? {
        terminal::note("nothing was changed");
        return Ok(Exit::Failed);
    }
    let state = wiring.state().await?;
    tapline_engine::reset(&wiring.job(name, &state)?).await?;
    if arguments.report.is_json() {
        terminal::print_json(&json!({ "sync": name, "reset": true }))?;
    } else if !context.quiet {
        terminal::note(format_args!("{name}: what was delivered is forgotten; the next run delivers every row"));
    }
    Ok(Exit::Done)
}

fn agreed(name: &str) -> Result<bool, Error> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(usage(format!("resetting `{name}` has to be confirmed, and there is no terminal to ask on"))
            .hint(format!("`tapline reset {name} --yes` does it without asking")));
    }
    terminal::confirm(&format!("Forget what was delivered by {name}? Rows at the destination stay as they are."))
        .map_err(|error| Error::new(codes::FILE_006, "cannot read the answer").because(error))
}
