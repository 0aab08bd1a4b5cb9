//! The project's own commands: everything beyond `cargo build` and `cargo run`.
//! Not here: anything that ships.
//! Called as `cargo xtask`, an alias in `.cargo/config.toml`. Uses nothing but the standard library, so that it is
//! built in seconds on a fresh clone.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a program for a terminal")]

mod bench;
mod command;
mod conformance;
mod generate;
mod new_destination;
mod schemathesis;
mod services;
mod test;
mod totals;
mod walls;
mod web;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask test [--fast] [-- ARGS]    start services, check format, walls and lints, run all tests
                                       (--fast: no lints, no generated files, no web UI; ARGS go
                                       to nextest and leave the web UI out)
cargo xtask bench [NAME]               build for release and run bench/NAME; without NAME list them
cargo xtask conformance                compare the answers to the conformance queries with DuckDB's
cargo xtask generate [--check]         write schemas and reference pages, or compare them with what is there
cargo xtask new-destination NAME       make the folder and the tests of a new kind of destination
cargo xtask fuzz [ARGS]                let schemathesis send the server requests of all kinds
                                       (ARGS go to schemathesis)
cargo xtask services up                start databases and print the variables that tests find them by:
                                       eval \"$(cargo xtask services up)\"
cargo xtask services down              stop them";

/// What every command returns; the text says what was being done and what went wrong.
type Outcome<T = ()> = Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["test", rest @ ..] => test::run(rest),
        ["bench", rest @ ..] => bench::run(rest),
        ["conformance"] => conformance::run(),
        ["generate"] => generate::run(false),
        ["generate", "--check"] => generate::run(true),
        ["new-destination", name] => new_destination::run(name),
        ["fuzz", rest @ ..] => schemathesis::run(rest),
        ["services", "up"] => services::up(),
        ["services", "down"] => services::down(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            if !message.is_empty() {
                eprintln!("error: {message}");
            }
            ExitCode::FAILURE
        }
    }
}
