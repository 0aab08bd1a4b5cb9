//! The command line of Tapline: parses what the user asks for, runs it, and ends with the right exit code.
//! Not here: the commands (`commands`), and everything they use of the other crates (`wiring`).
//! Called by the user.

mod cli;
mod commands;
mod errors;
mod exit;
mod files;
mod human;
mod output;
mod problems;
mod progress;
mod reference;
mod rows;
mod terminal;
mod wiring;
mod workshop;

use std::process::ExitCode;

use clap::Parser;
use tapline_core::{Error, codes};

use crate::cli::Cli;
use crate::commands::Context;
use crate::errors::Failure;
use crate::exit::{Exit, Interruption};
use crate::progress::Progress;

/// SQL plans of deep expressions recurse; the default of 2 MiB is tight for them.
const WORKER_STACK_BYTES: usize = 8 << 20;

fn main() -> ExitCode {
    let json = errors::wants_json(std::env::args_os());
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(errors::tell_usage(&error, json).code()),
    };
    let interruption = Interruption::default();
    let progress = Progress::new(cli.global.quiet);
    progress.start_log(&cli.global, matches!(cli.command, cli::Command::Serve(_)));
    let context =
        Context { project: cli.global.project, quiet: cli.global.quiet, interruption: interruption.clone(), progress };
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(WORKER_STACK_BYTES)
        .build()
        .map_err(|error| Failure::from(Error::new(codes::RUN_003, "cannot start the runtime").because(error)))
        .and_then(|runtime| {
            let outcome = runtime.block_on(work(cli.command, &context));
            // What a dropped command left in a blocking call, such as a read of stdin, must not keep the process.
            runtime.shutdown_background();
            outcome
        });
    let exit = outcome.unwrap_or_else(|failure| {
        failure.tell(json);
        failure.exit(&interruption)
    });
    ExitCode::from(exit.code())
}

async fn work(command: cli::Command, context: &Context) -> Result<Exit, Failure> {
    context
        .interruption
        .listen()
        .map_err(|error| Error::new(codes::RUN_003, "cannot listen for signals").because(error))?;
    commands::run(command, context).await
}
