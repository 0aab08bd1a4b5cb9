//! `cargo xtask test`: everything that has to hold before a change is done.
//! Not here: the services that tests need (`services`) and counting (`totals`).
//! Called by `main`, and through it by `.ci/run`.

use std::fs;
use std::io::{BufRead, BufReader, IsTerminal, stderr};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::command::{self, cargo, succeeds, target};
use crate::totals::{Totals, of_line, skipped_words};
use crate::{generate, services, walls, web};

/// Runs checks and tests to their end, whatever fails on the way; the last line printed is the totals.
pub fn run(arguments: &[&str]) -> Outcome {
    let (ours, for_runner) = match arguments.iter().position(|argument| *argument == "--") {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (arguments, &[][..]),
    };
    let fast = match ours {
        [] => false,
        ["--fast"] => true,
        _ => return Err(format!("unknown arguments: {}", ours.join(" "))),
    };

    let mut totals = Totals::default();
    for check in CHECKS.iter().filter(|check| !fast || check.fast) {
        totals += check.run();
    }
    eprintln!("== services");
    let started = services::start_all();
    totals.skipped += started.missing;
    eprintln!("== tests");
    totals += run_tests(for_runner, &started.variables())?;
    if !fast && for_runner.is_empty() {
        eprintln!("== web");
        totals += web::test(&started.variables())?;
    }
    started.stop();
    if !fast {
        // After the tests, which build the binary that this runs.
        totals += GENERATED.run();
    }
    println!("{totals}");
    if totals.failed == 0 { Ok(()) } else { Err(String::new()) }
}

/// Something other than a test that has to hold. One that fails counts as a failed test.
struct Check {
    name: &'static str,
    /// The cargo command that it needs.
    tool: &'static str,
    /// What is said where there is no such command; `None` where that does not matter.
    missing: Option<&'static str>,
    /// Whether it takes seconds.
    fast: bool,
    holds: fn() -> Outcome,
}

const CHECKS: [Check; 4] = [
    Check {
        name: "format",
        tool: "fmt",
        missing: Some("rustup component add rustfmt"),
        fast: true,
        holds: || command::run(&mut cargo(&["fmt", "--check"])),
    },
    Check { name: "walls", tool: "tree", missing: None, fast: true, holds: walls::check },
    Check {
        name: "dependencies",
        tool: "deny",
        missing: None,
        fast: true,
        holds: || command::run(&mut cargo(&["deny", "check"])),
    },
    Check {
        name: "lints",
        tool: "clippy",
        missing: Some("rustup component add clippy"),
        fast: false,
        holds: || command::run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])),
    },
];

const GENERATED: Check =
    Check { name: "generated files", tool: "run", missing: None, fast: false, holds: || generate::run(true) };

impl Check {
    fn run(&self) -> Totals {
        if !succeeds(&mut cargo(&[self.tool, "--help"])) {
            let Some(hint) = self.missing else { return Totals::default() };
            eprintln!("skipped: 1 check, {}: cargo has no `{}`; install it with: {hint}", self.name, self.tool);
            return Totals { skipped: 1, ..Totals::default() };
        }
        eprintln!("== {}", self.name);
        match (self.holds)() {
            Ok(()) => Totals::default(),
            Err(message) => {
                eprintln!("error: {message}");
                Totals { failed: 1, ..Totals::default() }
            }
        }
    }
}

/// Runs all tests with nextest where it is installed, else with `cargo test`. A run without totals (the tests do not
/// compile) counts as one failure.
fn run_tests(arguments: &[&str], variables: &[(String, String)]) -> Outcome<Totals> {
    // A package named by the user narrows the build, too.
    let named = |argument: &&str| argument.starts_with("-p") || argument.starts_with("--package");
    let narrowed = arguments.iter().any(named);
    let mut settings = vec!["--no-fail-fast", "--color", if stderr().is_terminal() { "always" } else { "never" }];
    if !narrowed {
        settings.push("--workspace");
    }
    if !narrowed || arguments.iter().any(|argument| argument.ends_with("tapline-e2e")) {
        // End-to-end tests run the binary, which a build of tests does not make. With `--tests` it is built with the
        // same features as they are, so that nothing is built twice.
        let scope = if narrowed { ["--package", "tapline"].as_slice() } else { &["--workspace"] };
        if let Err(message) = command::run(cargo(&["build", "--bins", "--tests"]).args(scope)) {
            eprintln!("error: {message}");
            return Ok(Totals { failed: 1, ..Totals::default() });
        }
    }
    let (totals, said) = if succeeds(&mut cargo(&["nextest", "--version"])) {
        with_nextest(cargo(&["nextest", "run"]).args(settings).args(arguments).envs(variables.iter().cloned()))?
    } else {
        let mut command = cargo(&["test"]);
        command.args(settings).args(arguments).args(["--", "--show-output"]);
        counted(command.envs(variables.iter().cloned()).stdout(Stdio::piped()))?
    };
    let failed = if totals == Totals::default() { 1 } else { totals.failed };
    Ok(Totals { failed, skipped: totals.skipped + said, ..totals })
}

/// nextest hides what passing tests print; its report has it.
fn with_nextest(command: &mut Command) -> Outcome<(Totals, u64)> {
    let report = target().join("nextest/default/junit.xml");
    // What an earlier run left must not be counted.
    if report.exists() {
        fs::remove_file(&report).map_err(|error| format!("cannot remove {}: {error}", report.display()))?;
    }
    let (totals, _) = counted(command.stderr(Stdio::piped()))?;
    // There is none where nothing ran.
    let report = fs::read_to_string(&report).unwrap_or_default();
    Ok((totals, skipped_words(&report)))
}

/// Passes the piped output of a test runner on to our stderr. Returns the totals in it, and how much tests said in it
/// that they skipped.
pub fn counted(command: &mut Command) -> Outcome<(Totals, u64)> {
    let failed = |error| format!("cannot run the tests: {error}");
    let mut child = command.spawn().map_err(failed)?;
    let (mut totals, mut said) = (Totals::default(), 0);
    let output: Box<dyn std::io::Read> = match (child.stdout.take(), child.stderr.take()) {
        (Some(stdout), _) => Box::new(stdout),
        (None, Some(stderr)) => Box::new(stderr),
        (None, None) => Box::new(std::io::empty()),
    };
    for line in BufReader::new(output).split(b'\n') {
        let line = line.map_err(failed)?;
        let line = String::from_utf8_lossy(&line);
        eprintln!("{line}");
        match of_line(&line) {
            Some(found) => totals += found,
            None => said += skipped_words(&line),
        }
    }
    let status = child.wait().map_err(failed)?;
    if !status.success() && totals.failed == 0 {
        totals.failed = 1;
    }
    Ok((totals, said))
}
