//! `tapline retry SYNC`: offers only the rejected rows again.
//! Not here: the run and its report (`sync`).
//! Called by the dispatcher in `commands`.

use tapline_engine::RunOptions;

use super::{Context, sync};
use crate::cli::Retry;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::wiring::Wiring;

/// Runs the sync over its rejected rows.
pub async fn run(arguments: &Retry, context: &Context) -> Result<Exit, Failure> {
    let wiring = Wiring::open(context.project.as_deref())?;
    wiring.sync(&arguments.sync)?;
    let state = wiring.state().await?;
    let job = wiring.job(&arguments.sync, &state)?;
    let options = RunOptions { lock_timeout: arguments.lock_timeout, only_rejects: true, ..RunOptions::default() };
    sync::deliver(&job, &options, arguments.report, context).await
}
