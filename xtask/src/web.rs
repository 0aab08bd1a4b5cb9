//! The web UI: types and style, logic, size, and the pages in a browser on the real binary.
//! Not here: building the UI into the binary (`crates/server/build.rs`), and what the tests do (`web/`).
//! Called by `test`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::command::{cargo, output, root, run, succeeds, target};
use crate::services::apt;
use crate::test::counted;
use crate::totals::Totals;

/// The oldest Node that the tools of `web/` run on.
const NODE: u32 = 20;
const CHROMIUM: &str = "/usr/bin/chromium";

/// Checks and tests `web/`; the variables name the services that browser tests deliver to.
pub fn test(variables: &[(String, String)]) -> Outcome<Totals> {
    let mut totals = Totals::default();
    if node().is_none_or(|version| version < NODE) {
        eprintln!("skipped: 1 check, web: there is no Node {NODE} or later; install nodejs and npm");
        return Ok(Totals { skipped: 1, ..totals });
    }
    if !is_installed() && !holds(run(npm().args(["ci", "--no-audit", "--no-fund"]))) {
        return Ok(Totals { failed: 1, ..totals });
    }
    for check in ["check", "build", "size"] {
        if !holds(run(npm().args(["run", check]).stdout(Stdio::from(std::io::stderr())))) {
            totals.failed += 1;
        }
    }
    totals += counted(npm().args(["test"]).stdout(Stdio::piped()))?.0;
    if std::env::var_os("TAPLINE_CHROMIUM").is_none() && !Path::new(CHROMIUM).exists() {
        let packages = ["chromium"];
        if let Err(message) = apt::install(&packages, &[]) {
            eprintln!("skipped: 1 check, browser: {message}; {}", apt::by_hand(&packages));
            return Ok(Totals { skipped: totals.skipped + 1, ..totals });
        }
    }
    // With `--tests` it has the features that everything else was built with.
    if !holds(run(&mut cargo(&["build", "--workspace", "--tests", "--example", "serve"]))) {
        return Ok(Totals { failed: totals.failed + 1, ..totals });
    }
    let programs = target().join("debug");
    let mut browser = npm();
    browser.args(["run", "e2e"]).envs(variables.iter().cloned()).stdout(Stdio::piped());
    browser.env("TAPLINE_BINARY", programs.join("tapline")).env("TAPLINE_S3", programs.join("examples/serve"));
    totals += counted(&mut browser)?.0;
    Ok(totals)
}

fn npm() -> Command {
    let mut command = Command::new("npm");
    command.current_dir(root().join("web")).env("NO_COLOR", "1");
    command
}

/// The major version of Node, where there is npm as well.
fn node() -> Option<u32> {
    if !succeeds(npm().arg("--version")) {
        return None;
    }
    let version = output(Command::new("node").arg("--version")).ok()?;
    version.trim().trim_start_matches('v').split('.').next()?.parse().ok()
}

/// Whether the packages of the lock file are there.
fn is_installed() -> bool {
    let changed = |file: &str| fs::metadata(root().join("web").join(file)).and_then(|file| file.modified()).ok();
    changed("node_modules/.package-lock.json") >= changed("package-lock.json")
}

fn holds(outcome: Outcome) -> bool {
    outcome.inspect_err(|message| eprintln!("error: {message}")).is_ok()
}
