//! `tapline adopt SYNC`: takes what the destination holds as delivered.
//! Not here: reading it back and comparing (`tapline_engine`).
//! Called by the dispatcher in `commands`.

use serde_json::json;
use tapline_core::Error;

use super::Context;
use crate::cli::Adopt;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::human;
use crate::terminal;
use crate::wiring::Wiring;

/// Adopts the stream's rows.
pub async fn run(arguments: &Adopt, context: &Context) -> Result<Exit, Failure> {
    let wiring = Wiring::open(context.project.as_deref())?;
    let name = &arguments.sync;
    wiring.sync(name)?;
    let state = wiring.state().await?;
    let adopted = Box::pin(tapline_engine::adopt(&wiring.job(name, &state)?)).await?;
    if arguments.report.is_json() {
        let mut object = serde_json::to_value(adopted)
            .map_err(|error| Error::internal("what was adopted could not be written as JSON").because(error))?;
        object["sync"] = json!(name);
        terminal::print_json(&object)?;
        return Ok(Exit::Done);
    }
    if context.quiet {
        return Ok(Exit::Done);
    }
    let rows = human::count(adopted.rows, "row");
    terminal::note(format_args!(
        "{name}: {rows} at the destination count as delivered; the next run sends what differs"
    ));
    if adopted.unread > 0 {
        let unread = human::count(adopted.unread, "row");
        terminal::note(format_args!("{unread} could not be read back in full and will be sent once more"));
    }
    if adopted.without_key > 0 {
        let left = human::count(adopted.without_key, "row");
        terminal::note(format_args!("{left} without a whole primary key were left out"));
    }
    Ok(Exit::Done)
}
