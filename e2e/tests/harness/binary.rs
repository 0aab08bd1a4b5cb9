//! The binary: where it is, how it is run, and what it left on stdout and stderr.
//! Not here: the project that it works on (`world`).
//! Called by `world`, and by tests with what it returns.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a test waits for something that must happen; far beyond what it takes, so that no test depends on speed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary: `TAPLINE_BIN`, else the one in the target folder that this test was built into.
pub fn path() -> PathBuf {
    if let Some(path) = std::env::var_os("TAPLINE_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("tapline");
    let missing = "build it with `cargo build --workspace`, or name another one with TAPLINE_BIN";
    assert!(path.is_file(), "there is no {}: {missing}", path.display());
    path
}

/// The binary with arguments, to be run in `folder`, without anything of this process's environment that could change
/// what it does.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(path());
    command.args(arguments).current_dir(folder).env_clear().env("HOME", folder);
    for name in ["PATH", "TMPDIR", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// Sends a signal to a process that this test has started: `KILL`, `TERM`, `STOP`, …
pub fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(status.success(), "SIG{name} could not be sent");
}

/// Asks `ready` again and again until it says yes.
#[track_caller]
#[allow(clippy::disallowed_methods, reason = "there is no runtime here, and a process outside to wait for")]
pub fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let started = Instant::now();
    while !ready() {
        assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The command, for messages.
    command: String,
    /// Exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    pub fn new(arguments: &[&str], output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        Self {
            command: format!("tapline {}", arguments.join(" ")),
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Asserts that stderr holds these texts.
    #[track_caller]
    pub fn tells(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "`{text}` is not on stderr: {self}");
        }
        self
    }

    /// Asserts an error on stderr: its exit code, its stable code, and a hint.
    #[track_caller]
    pub fn fails(self, exit: i32, code: &str) -> Self {
        assert_eq!(self.code, Some(exit), "{self}");
        assert!(self.stderr.contains(code), "{code} is not on stderr: {self}");
        assert!(self.stderr.contains("hint:") || self.stderr.contains("\"hint\":\""), "there is no hint: {self}");
        self
    }

    /// Asserts an error told as JSON: in the report on stdout where there was a run, else an object on stderr.
    #[track_caller]
    pub fn fails_as_json(self, exit: i32, code: &str) {
        let outcome = self.exits(exit);
        let told = if outcome.stdout.is_empty() { &outcome.stderr } else { &outcome.stdout };
        for line in told.lines() {
            let object: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}: {outcome}"));
            let error = object.get("error").unwrap_or(&object);
            assert_eq!(error["code"], code, "{outcome}");
            assert!(error["hint"].is_string(), "there is no hint: {outcome}");
        }
    }

    /// The one JSON document on stdout.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("stdout is not JSON: {error}: {self}"))
    }

    /// The JSON objects on stdout, one per line.
    #[track_caller]
    pub fn ndjson(&self) -> Vec<Value> {
        let parse =
            |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON: {line}: {error}: {self}"));
        self.stdout.lines().map(parse).collect()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, code, signal, stdout, stderr } = self;
        write!(formatter, "`{command}` ended with {code:?}")?;
        if let Some(signal) = signal {
            write!(formatter, " by signal {signal}")?;
        }
        write!(formatter, "\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

/// One run of one sync, as `sync --format json` reports it.
#[derive(Debug, Clone)]
pub struct Run {
    pub outcome: Outcome,
    pub report: Value,
}

impl Run {
    /// Reads the report, and asserts what holds for every report: its keys, and that its counts add up.
    #[track_caller]
    pub fn new(outcome: Outcome) -> Self {
        let reports = outcome.ndjson();
        assert_eq!(reports.len(), 1, "one line per sync: {outcome}");
        let run = Self { report: reports[0].clone(), outcome };
        let keys: Vec<&String> = run.report.as_object().unwrap().keys().collect();
        let expected = [
            "sync",
            "run",
            "generation",
            "status",
            "mode",
            "files",
            "bytes_read",
            "source_rows",
            "rows",
            "duration_ms",
            "error",
        ];
        assert_eq!(keys, expected, "{}", run.outcome);
        let count = |name: &str| run.report["rows"][name].as_u64().unwrap();
        let sum: u64 = ["unchanged", "inserted", "updated", "skipped", "rejected"].map(count).iter().sum();
        assert_eq!(count("read"), sum, "the counts do not add up: {}", run.outcome);
        run
    }

    /// Asserts exit code and status.
    #[track_caller]
    pub fn ended(self, code: i32, status: &str) -> Self {
        assert_eq!((self.outcome.code, self.report["status"].as_str()), (Some(code), Some(status)), "{}", self.outcome);
        self
    }

    /// Asserts the counts of rows; those not named are zero.
    #[track_caller]
    pub fn counted(self, rows: &[(&str, u64)]) -> Self {
        let mut expected = json!({
            "read": 0, "unchanged": 0, "inserted": 0, "updated": 0, "skipped": 0, "rejected": 0, "deleted": 0,
            "delete_rejected": 0,
        });
        for (name, count) in rows {
            expected[*name] = json!(count);
        }
        assert_eq!(self.report["rows"], expected, "{}", self.outcome);
        self
    }

    /// Asserts that the run failed or was stopped: exit code, status, the error's stable code, and that there is a
    /// message and a hint.
    #[track_caller]
    pub fn failed(self, exit: i32, status: &str, code: &str) -> Self {
        let run = self.ended(exit, status);
        let error = &run.report["error"];
        assert_eq!(error["code"], code, "{}", run.outcome);
        for part in ["message", "hint"] {
            assert!(error[part].as_str().is_some_and(|text| !text.is_empty()), "no {part}: {}", run.outcome);
        }
        run.counted(&[])
    }

    /// The error's message.
    pub fn message(&self) -> &str {
        self.report["error"]["message"].as_str().unwrap_or_default()
    }

    /// The error's hints, one per line.
    pub fn hint(&self) -> &str {
        self.report["error"]["hint"].as_str().unwrap_or_default()
    }
}
