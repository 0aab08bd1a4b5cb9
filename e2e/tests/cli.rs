//! What people see at the terminal: exit code, stdout and stderr of every command, as snapshots.
//! Not here: whether what is said is true; the other tests ask the destination.
//! To accept changes on purpose: `INSTA_UPDATE=always cargo xtask test -- -p tapline-e2e cli`.

use std::sync::LazyLock;

use regex::Regex;

use crate::harness::{Delivery, Outcome, Target, World};

/// Compares a command's outcome with its snapshot; what differs from run to run is replaced by a word.
#[track_caller]
fn shows(name: &str, world: &World, target: &Target, outcome: &Outcome) {
    let Outcome { code, stdout, stderr, .. } = outcome;
    let mut text = format!("exit: {}\n", code.map_or("none".to_owned(), |code| code.to_string()));
    for (name, stream) in [("stdout", stdout), ("stderr", stderr)] {
        text.push_str(&format!("--- {name}\n{stream}"));
    }
    let Target::Sqlite(folder) = target else { unreachable!("snapshots are made with SQLite") };
    let key = world.endpoint.access_key();
    let port = world.endpoint.url().rsplit_once(':').unwrap().1;
    for (own, word) in [
        (world.folder().to_str().unwrap(), "[FOLDER]"),
        (folder.path().to_str().unwrap(), "[TARGET]"),
        (port, "[PORT]"),
        (&key.id, "[ACCESS_KEY]"),
    ] {
        text = text.replace(own, word);
    }
    for (pattern, word) in VOLATILE.iter() {
        text = pattern.replace_all(&text, *word).into_owned();
    }
    insta::assert_snapshot!(name, text);
}

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
        (r" +(\[DURATION\])", "  $1"),
    ];
    patterns.map(|(pattern, word)| (Regex::new(pattern).unwrap(), word)).into()
});

/// A world with a small project, and the words to snapshot its commands.
struct Stage {
    world: World,
    target: Target,
}

impl Stage {
    fn new() -> Self {
        let stage = Self { world: World::new(), target: Target::sqlite() };
        stage.world.put("customers.csv", "id,name,city\n1,Ada,London\n2,Grace,\"New York\"\n3,Linus,\n");
        stage.world.deliver(&stage.target, Delivery::default());
        stage
    }

    #[track_caller]
    fn shows(&self, name: &str, arguments: &[&str]) {
        shows(name, &self.world, &self.target, &self.world.tapline(arguments));
    }
}

#[test]
fn help() {
    let stage = Stage::new();
    stage.shows("help", &["--help"]);
    stage.shows("nothing", &[]);
    for command in [
        "init",
        "demo",
        "validate",
        "check",
        "policy",
        "discover",
        "query",
        "preview",
        "plan",
        "sync",
        "runs",
        "rejects",
        "retry",
        "reset",
        "schema",
        "destinations",
        "explain",
        "completions",
    ] {
        stage.shows(&format!("help_{command}"), &[command, "--help"]);
    }
    stage.shows("help_runs_show", &["runs", "show", "--help"]);
}

#[test]
fn wrong_usage() {
    let stage = Stage::new();
    stage.shows("usage_unknown_command", &["snyc"]);
    stage.shows("usage_unknown_flag", &["sync", "--al"]);
    stage.shows("usage_unknown_flag_json", &["sync", "--al", "--format", "json"]);
    stage.shows("usage_missing_argument", &["discover"]);
    stage.shows("usage_limit_with_full_refresh", &["sync", "rows", "--full-refresh", "--limit", "3"]);
}

#[test]
fn version() {
    let outcome = World::new().tapline(&["--version"]).exits(0);
    assert!(outcome.stdout.starts_with("tapline ") && outcome.stdout.lines().count() == 1, "{outcome}");
}

#[test]
fn the_way_of_a_project() {
    let stage = Stage::new();
    stage.shows("validate", &["validate"]);
    stage.shows("check", &["check"]);
    stage.shows("check_json", &["check", "--format", "json"]);
    stage.shows("discover", &["discover", "lake"]);
    stage.shows("discover_json", &["discover", "lake", "--format", "json"]);
    let sql = "SELECT * FROM 's3://lake/customers.csv' ORDER BY id";
    for format in ["table", "csv", "json", "ndjson"] {
        stage.shows(&format!("query_{format}"), &["query", "lake", sql, "--format", format]);
    }
    stage.shows("preview", &["preview", "rows", "--limit", "2"]);
    stage.shows("plan", &["plan", "rows"]);
    stage.shows("runs_none", &["runs"]);
    stage.shows("sync", &["sync"]);
    stage.shows("sync_unchanged", &["sync"]);
    stage.world.put("customers.csv", "id,name,city\n1,Ada,Ockham\n3,Linus,\n4,Barbara,Boston\n");
    stage.shows("plan_changes", &["plan", "rows", "--diff", "10"]);
    stage.shows("plan_changes_json", &["plan", "rows", "--diff", "1", "--format", "json"]);
    stage.shows("sync_changes_json", &["sync", "rows", "--format", "json"]);
    stage.shows("runs", &["runs", "rows"]);
    stage.shows("runs_json", &["runs", "--format", "json"]);
    let runs = stage.world.tapline(&["runs", "--format", "json"]).json();
    stage.shows("runs_show", &["runs", "show", runs[0]["run"].as_str().unwrap()]);
    stage.shows("rejects_none", &["rejects", "rows"]);
    stage.shows("reset", &["reset", "rows", "--yes"]);
}

#[test]
fn what_goes_wrong() {
    let stage = Stage::new();
    stage.shows("query_sql_error", &["query", "lake", "SELECT id,\n  nmae\nFROM 's3://lake/customers.csv'"]);
    stage.shows("query_syntax_error", &["query", "lake", "SELECT id FROM 's3://lake/customers.csv' WHERE WHERE"]);
    stage.shows("query_missing_file", &["query", "lake", "SELECT * FROM 's3://lake/costumers.csv'"]);
    stage.shows(
        "query_missing_file_json",
        &["query", "lake", "SELECT * FROM 's3://lake/costumers.csv'", "--format", "json"],
    );
    stage.world.put("customers.csv", "id,name\n1,Ada\n,Nobody\n2,Grace\n2,Hopper\n");
    stage.shows("sync_bad_keys", &["sync", "rows"]);
    stage.shows("sync_bad_keys_json", &["sync", "rows", "--format", "json"]);
    stage.world.deliver(&stage.target, Delivery { options: "on_bad_key: reject", ..Delivery::default() });
    stage.shows("sync_partial", &["sync", "rows"]);
    stage.shows("rejects", &["rejects", "rows"]);
    let source = stage.world.source().replace("bucket: lake", "bucket: lagoon");
    let sql = "SELECT * FROM 's3://lagoon/customers.csv'";
    stage.world.deliver_from(&source, &stage.target, Delivery { sql, ..Delivery::default() });
    stage.shows("check_failed", &["check", "lake"]);
    stage.shows("check_failed_json", &["check", "lake", "--format", "json"]);
    stage.shows("sync_failed", &["sync"]);
    stage.world.write(
        "tapline.yaml",
        "version: 1\nsources:\n  lake: { type: s3, buket: lake }\nsyncs:\n  rows: { model: rows }\n",
    );
    stage.shows("validate_failed", &["validate"]);
    stage.shows("validate_failed_json", &["validate", "--format", "json"]);
}

#[test]
fn reference() {
    let stage = Stage::new();
    stage.shows("destinations", &["destinations"]);
    stage.shows("destinations_sqlite", &["destinations", "sqlite"]);
    stage.shows("destinations_unknown", &["destinations", "postgresql"]);
    stage.shows("explain", &["explain", "S3-005"]);
    stage.shows("explain_unknown", &["explain", "S3-05"]);
    let schema = stage.world.tapline(&["schema"]).exits(0).json();
    let sections: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(sections, ["version", "include", "state", "sources", "models", "destinations", "syncs"]);
    for shell in ["bash", "zsh", "fish"] {
        let script = stage.world.tapline(&["completions", shell]).exits(0).stdout;
        assert!(script.contains("discover") && script.contains("full-refresh"), "{shell}");
    }
    // Every code that can be told has a page.
    let list = stage.world.tapline(&["explain", "CONF-001"]).exits(0);
    assert!(list.stdout.contains("CONF-001"), "{list}");
}

#[test]
fn init() {
    let stage = Stage::new();
    stage.shows("init", &["init", "project"]);
    let project = stage.world.folder().join("project/tapline.yaml");
    let project = project.to_str().unwrap();
    stage.shows("init_validate", &["validate", "--no-env", "--project", project]);
    stage.shows("init_again", &["init", "project"]);
    stage.shows("init_json", &["init", "other", "--format", "json"]);
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
    assert_eq!(crate::harness::sqlite_rows(&database, "SELECT count(*) FROM rows")[0][0].as_deref(), Some("3"));
}
