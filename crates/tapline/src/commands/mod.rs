//! The commands, one file per verb.
//! Not here: their arguments (`cli`), and what they share (`wiring`, `terminal`, `errors`, `output`).
//! Called by `main`.

mod adopt;
mod apply;
mod check;
mod completions;
mod demo;
mod destinations;
mod discover;
mod erase;
mod explain;
mod export;
mod functions;
mod init;
mod plan;
mod policy;
mod preview;
mod query;
mod rejects;
mod reset;
mod retry;
mod runs;
mod schema;
mod secret;
mod serve;
mod sync;
mod token;
mod validate;

use std::path::PathBuf;

use crate::cli::Command;
use crate::errors::Failure;
use crate::exit::{Exit, Interruption};
use crate::progress::Progress;

/// What every command gets.
pub struct Context {
    /// The value of `--project`.
    pub project: Option<PathBuf>,
    /// Whether only errors may be told.
    pub quiet: bool,
    /// The user's wish to stop.
    pub interruption: Interruption,
    /// Where runs show their progress.
    pub progress: Progress,
}

/// Does what the user asked for. Commands that have something to put in order watch the interruption themselves; the
/// others are dropped where they stand.
pub async fn run(command: Command, context: &Context) -> Result<Exit, Failure> {
    let orderly = matches!(
        command,
        Command::Plan(_)
            | Command::Sync(_)
            | Command::Retry(_)
            | Command::Demo(_)
            | Command::Serve(_)
            | Command::Secret(_)
    );
    let work = Box::pin(dispatch(command, context));
    if orderly {
        return work.await;
    }
    tokio::select! {
        biased;
        outcome = work => outcome,
        () = context.interruption.token().cancelled() => Err(Failure::Interrupted),
    }
}

async fn dispatch(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Init(arguments) => init::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments, context).await,
        Command::Validate(arguments) => validate::run(&arguments, context),
        Command::Check(arguments) => check::run(&arguments, context).await,
        Command::Policy(arguments) => policy::run(&arguments, context).await,
        Command::Discover(arguments) => discover::run(&arguments, context).await,
        Command::Query(arguments) => query::run(&arguments, context).await,
        Command::Preview(arguments) => preview::run(&arguments, context).await,
        Command::Plan(arguments) => plan::run(&arguments, context).await,
        Command::Sync(arguments) => sync::run(&arguments, context).await,
        Command::Runs(arguments) => runs::run(&arguments, context).await,
        Command::Rejects(arguments) => rejects::run(&arguments, context).await,
        Command::Retry(arguments) => retry::run(&arguments, context).await,
        Command::Adopt(arguments) => adopt::run(&arguments, context).await,
        Command::Reset(arguments) => reset::run(&arguments, context).await,
        Command::Serve(arguments) => serve::run(&arguments, context).await,
        Command::Export(arguments) => export::run(&arguments, context).await,
        Command::Apply(arguments) => apply::run(&arguments, context).await,
        Command::Token(arguments) => token::run(&arguments, context).await,
        Command::Secret(arguments) => secret::run(&arguments, context).await,
        Command::Erase(arguments) => erase::run(&arguments, context).await,
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Destinations(arguments) => destinations::run(&arguments),
        Command::Functions(arguments) => functions::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
    }
}
