//! `cargo xtask fuzz`: schemathesis against the running server, bounded.
//! Not here: what routes promise; their OpenAPI document says that.
//! Called by `main`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Outcome;
use crate::command::{self, cargo, succeeds, target};

/// The version that the checks below were chosen for.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";
/// The token that the server accepts for the time of the test.
const TOKEN: &str = "a-token-for-schemathesis";

/// Installs schemathesis beside the target folder where it is missing, starts a server over an empty state, and lets
/// schemathesis send it requests of all kinds. Skipped, with a word, where there is no Python or no network.
pub fn run(arguments: &[&str]) -> Outcome {
    let Some(program) = installed()? else {
        println!("skipped: 1 (schemathesis needs python3 and the Python package index)");
        return Ok(());
    };
    command::run(&mut cargo(&["build", "--workspace", "--bins"]))?;
    let folder = target().join("schemathesis");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| format!("cannot empty {}: {error}", folder.display()))?;
    }
    fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let (server, url) = start(&folder)?;
    let _server = Ended(server);
    let mut test = Command::new(program);
    test.current_dir(&folder).args(["run", &format!("{url}/api/openapi.json"), "--url", &url]);
    test.args(["--header", &format!("Authorization: Bearer {TOKEN}")]);
    // What is not asked: whether every undocumented method is refused, since pages of the UI answer elsewhere.
    test.args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance"]);
    test.args(["--checks", "response_schema_conformance"]);
    // Events go on until a run ends.
    test.args(["--exclude-path-regex", "/events$", "--max-examples", "15", "--request-timeout", "30"]);
    test.args(["--generation-deterministic", "--phases", "examples,coverage,fuzzing", "--no-color"]);
    test.args(arguments);
    command::run(&mut test)
}

/// The program, in a virtual environment of its own.
fn installed() -> Outcome<Option<PathBuf>> {
    let environment = target().join("schemathesis-venv");
    let program = environment.join("bin/schemathesis");
    if program.is_file() {
        return Ok(Some(program));
    }
    if !succeeds(Command::new("python3").arg("--version")) {
        return Ok(None);
    }
    command::run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    let mut install = Command::new(environment.join("bin/pip"));
    install.args(["install", "--quiet", "--disable-pip-version-check", SCHEMATHESIS]);
    Ok(succeeds(&mut install).then_some(program))
}

fn start(folder: &Path) -> Outcome<(Child, String)> {
    let binary = target().join("debug/tapline");
    let mut command = Command::new(&binary);
    command.args(["serve", "--listen", "127.0.0.1:0", "--format", "json", "--quiet"]).current_dir(folder);
    command.env("TAPLINE_ADMIN_TOKEN", TOKEN).stdout(Stdio::piped());
    let mut server = command.spawn().map_err(|error| format!("cannot run {}: {error}", binary.display()))?;
    let mut line = String::new();
    if let Some(stdout) = server.stdout.take() {
        BufReader::new(stdout).read_line(&mut line).map_err(|error| format!("cannot read the address: {error}"))?;
    }
    // {"url":"http://127.0.0.1:1234",…}
    let url = line.split('"').nth(3).filter(|url| url.starts_with("http")).map(str::to_owned);
    url.map(|url| (server, url)).ok_or_else(|| "the server did not start".to_owned())
}

/// A server that is ended with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
