//! What people see at the terminal: exit code, stdout and stderr of every command, as transcripts.
//! Not here: whether what is said is true; the other tests ask the destination.
//! To accept changes on purpose, set `INSTA_UPDATE=always`.

use std::sync::LazyLock;

use regex::Regex;

use crate::harness::{Delivery, Outcome, Target, World, sqlite_rows};

static VOLATILE: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        (r"\b[0-9A-HJKMNP-TV-Z]{26}\b", "[RUN]"),
        (r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?", "[TIME]"),
        (r#""(duration_ms|bytes_read)": ?\d+"#, "\"$1\":[NUMBER]"),
        (r"\b\d+ ms\b|\b\d+\.\d s\b", "[DURATION]"),
        (r"\b[0-9a-f]{32,64}\b", "[DIGEST]"),
        (r"SQLite \d+\.\d+\.\d+", "SQLite [VERSION]"),
        // Columns are as wide as what stands in them.
        (r"(\[(RUN|TIME|DURATION)\]) +", "$1  "),
        (r"  +(\[DURATION\])", "  $1"),
        (r"\(UTC\) +", "(UTC)  "),
        (r"AKIA…\w{4}", "[ACCESS_KEY]"),
    ];
    patterns.map(|(pattern, word)| (Regex::new(pattern).unwrap(), word)).into()
});

/// A small project, and the transcript of what was done with it.
struct Stage {
    world: World,
    target: Target,
    transcript: String,
}

impl Stage {
    fn new() -> Self {
        let stage = Self { world: World::new(), target: Target::sqlite(), transcript: String::new() };
        stage.world.put("customers.csv", "id,name,city\n1,Ada,London\n2,Grace,\"New York\"\n3,Linus,\n");
        stage.world.deliver(&stage.target, Delivery::default());
        stage
    }

    /// Runs a command and writes it down.
    fn run(&mut self, arguments: &[&str]) -> Outcome {
        let outcome = self.world.tapline(arguments);
        let code = outcome.code.map_or("none".to_owned(), |code| code.to_string());
        let mut text = format!("$ tapline {}\nexit: {code}\n", arguments.join(" "));
        for (name, stream) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
            if !stream.is_empty() {
                text.push_str(&format!("--- {name}\n{stream}"));
            }
        }
        self.transcript.push_str(&text);
        self.transcript.push('\n');
        outcome
    }

    /// Compares the transcript with the one that is kept; what differs from time to time is replaced by a word.
    #[track_caller]
    fn ends_as(self, name: &str) {
        let Target::Sqlite(folder) = &self.target else { unreachable!("transcripts are made with SQLite") };
        let port = self.world.endpoint.url().rsplit_once(':').unwrap().1;
        let mut text = self.transcript;
        for (own, word) in [
            (self.world.folder().to_str().unwrap(), "[FOLDER]"),
            (folder.path().to_str().unwrap(), "[TARGET]"),
            (port, "[PORT]"),
        ] {
            text = text.replace(own, word);
        }
        for (pattern, word) in VOLATILE.iter() {
            text = pattern.replace_all(&text, *word).into_owned();
        }
        insta::assert_snapshot!(name, text);
    }
}

#[test]
fn help() {
    let mut stage = Stage::new();
    stage.run(&["--help"]);
    stage.run(&[]);
    let commands = "init demo validate check policy discover query preview plan sync runs rejects retry reset adopt schema \
                    destinations explain completions";
    for command in commands.split(' ') {
        stage.run(&[command, "--help"]);
    }
    stage.run(&["runs", "show", "--help"]);
    stage.ends_as("help");
}

#[test]
fn wrong_usage() {
    let mut stage = Stage::new();
    stage.run(&["snyc"]);
    stage.run(&["sync", "--al"]);
    stage.run(&["sync", "--al", "--format", "json"]);
    stage.run(&["discover"]);
    stage.run(&["sync", "rows", "--full-refresh", "--limit", "3"]);
    stage.ends_as("usage");
}

#[test]
fn version() {
    let outcome = World::new().tapline(&["--version"]).exits(0);
    assert!(outcome.stdout.starts_with("tapline ") && outcome.stdout.lines().count() == 1, "{outcome}");
}

#[test]
fn the_way_of_a_project() {
    let mut stage = Stage::new();
    stage.run(&["validate"]);
    stage.run(&["check"]);
    stage.run(&["check", "--format", "json"]);
    stage.run(&["discover", "lake"]);
    stage.run(&["discover", "lake", "--format", "json"]);
    let sql = "SELECT * FROM 's3://lake/customers.csv' ORDER BY id";
    for format in ["table", "csv", "json", "ndjson"] {
        stage.run(&["query", "lake", sql, "--format", format]);
    }
    stage.run(&["preview", "rows", "--limit", "2"]);
    stage.run(&["plan", "rows"]);
    stage.run(&["runs"]);
    stage.run(&["sync"]);
    stage.run(&["sync"]);
    stage.world.put("customers.csv", "id,name,city\n1,Ada,Ockham\n3,Linus,\n4,Barbara,Boston\n");
    stage.run(&["plan", "rows", "--diff", "10"]);
    stage.run(&["plan", "rows", "--diff", "1", "--format", "json"]);
    stage.run(&["sync", "rows", "--format", "json"]);
    stage.run(&["runs", "rows"]);
    let runs = stage.run(&["runs", "--format", "json"]).json();
    stage.run(&["runs", "show", runs[0]["run"].as_str().unwrap()]);
    stage.run(&["rejects", "rows"]);
    stage.run(&["reset", "rows", "--yes"]);
    stage.ends_as("project");
}

#[test]
fn what_goes_wrong() {
    let mut stage = Stage::new();
    stage.run(&["query", "lake", "SELECT id,\n  nmae\nFROM 's3://lake/customers.csv'"]);
    stage.run(&["query", "lake", "SELECT id FROM 's3://lake/customers.csv' WHERE WHERE"]);
    stage.run(&["query", "lake", "SELECT * FROM 's3://lake/costumers.csv'"]);
    stage.run(&["query", "lake", "SELECT * FROM 's3://lake/costumers.csv'", "--format", "json"]);
    stage.world.put("customers.csv", "id,name\n1,Ada\n,Nobody\n2,Grace\n2,Hopper\n");
    stage.run(&["sync", "rows"]);
    stage.run(&["sync", "rows", "--format", "json"]);
    stage.world.deliver(&stage.target, Delivery { options: "on_bad_key: reject", ..Delivery::default() });
    stage.run(&["sync", "rows"]);
    stage.run(&["rejects", "rows"]);
    let source = stage.world.source().replace("bucket: lake", "bucket: lagoon");
    let sql = "SELECT * FROM 's3://lagoon/customers.csv'";
    stage.world.deliver_from(&source, &stage.target, Delivery { sql, ..Delivery::default() });
    stage.run(&["check", "lake"]);
    stage.run(&["check", "lake", "--format", "json"]);
    stage.run(&["sync"]);
    stage.world.write(
        "tapline.yaml",
        "version: 1\nsources:\n  lake: { type: s3, buket: lake }\nsyncs:\n  rows: { model: rows }\n",
    );
    stage.run(&["validate"]);
    stage.run(&["validate", "--format", "json"]);
    stage.ends_as("errors");
}

#[test]
fn reference() {
    let mut stage = Stage::new();
    stage.run(&["destinations"]);
    stage.run(&["destinations", "sqlite"]);
    stage.run(&["destinations", "postgresql"]);
    stage.run(&["explain", "S3-005"]);
    stage.run(&["explain", "S3-05"]);
    let schema = stage.world.tapline(&["schema"]).exits(0).json();
    assert!(schema["$schema"].is_string() && schema["type"] == "object");
    let sections: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(sections, ["version", "include", "state", "sources", "models", "destinations", "syncs"]);
    for shell in ["bash", "zsh", "fish"] {
        let script = stage.world.tapline(&["completions", shell]).exits(0).stdout;
        assert!(script.contains("discover") && script.contains("full-refresh"), "{shell}");
    }
    stage.ends_as("reference");
}

#[test]
fn init() {
    let mut stage = Stage::new();
    stage.run(&["init", "project"]);
    let project = stage.world.folder().join("project/tapline.yaml");
    let project = project.to_str().unwrap();
    stage.run(&["validate", "--no-env", "--project", project]);
    stage.run(&["init", "project"]);
    stage.run(&["init", "other", "--format", "json"]);
    // It runs: the same project with a bucket, files and credentials from the environment.
    let key = stage.world.endpoint.access_key();
    let variables = [
        ("TAPLINE_BUCKET", "lake"),
        ("TAPLINE_FILES", "customers.csv"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL_S3", stage.world.endpoint.url()),
        ("AWS_ACCESS_KEY_ID", key.id.as_str()),
        ("AWS_SECRET_ACCESS_KEY", key.secret.as_str()),
    ];
    stage.world.tapline_with(&["check", "--project", project], &variables).exits(0);
    let outcome = stage.world.tapline_with(&["sync", "--project", project, "--format", "json"], &variables).exits(0);
    assert_eq!(outcome.json()["rows"]["inserted"], 3, "{outcome}");
    let database = stage.world.folder().join("project/out.db");
    assert_eq!(sqlite_rows(&database, "SELECT count(*) FROM rows")[0][0].as_deref(), Some("3"));
    stage.ends_as("init");
}
