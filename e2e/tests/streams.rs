//! stdout is data and stderr is everything else.
//! Not here: what the data says.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::harness::{Delivery, Format, Outcome, Target, World, customers};

fn world() -> (World, Target) {
    let (world, target) = (World::new(), Target::sqlite());
    world.put("customers.parquet", customers(1, 5_000).file(Format::Parquet));
    let sql = "SELECT * FROM 's3://lake/customers.parquet'";
    world.deliver(&target, Delivery { sql, ..Delivery::default() });
    (world, target)
}

#[test]
fn with_json_stdout_is_json_and_nothing_else() {
    let (world, _target) = world();
    let sql = "SELECT count(*) AS n FROM 's3://lake/customers.parquet'";
    // One document each.
    for arguments in [
        ["validate"].as_slice(),
        &["check"],
        &["policy", "lake"],
        &["discover", "lake"],
        &["query", "lake", sql],
        &["preview", "rows", "--limit", "3"],
        &["plan", "rows"],
        &["sync", "rows"],
        &["runs"],
        &["rejects", "rows"],
        &["rejects", "rows", "--source"],
        &["schema"],
        &["destinations"],
        &["destinations", "postgres"],
        &["explain", "S3-004"],
        &["completions", "bash"],
        &["reset", "rows", "--yes"],
        &["init", "project"],
    ] {
        let arguments = [arguments, &["--format", "json", "-v"]].concat();
        world.tapline(&arguments).exits(0).json();
    }
    // One object per line, for `sync` also when it fails; whatever is logged goes to stderr, each line an object, too.
    for arguments in [["sync", "rows"].as_slice(), &["sync", "--all"]] {
        let arguments = [arguments, &["--format", "json", "-v", "--log-format", "json"]].concat();
        let outcome = world.tapline(&arguments).exits(0);
        assert_eq!(outcome.ndjson().len(), 1, "{outcome}");
        assert!(!outcome.stderr.is_empty(), "{outcome}");
        for line in outcome.stderr.lines() {
            assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "not JSON: {line}");
        }
    }
    world.delete("customers.parquet");
    let outcome = world.tapline(&["sync", "rows", "--format", "json"]).exits(1);
    assert_eq!(outcome.ndjson()[0]["error"]["code"], "S3-007");
}

#[test]
fn without_data_stdout_is_empty() {
    let (world, _target) = world();
    for arguments in [
        ["sync", "nothing"].as_slice(),
        &["query", "lake", "SELEC"],
        &["query", "lake", "SELECT * FROM 's3://lake/absent.csv'", "--format", "json"],
        &["explain", "S3-999"],
        &["frobnicate"],
        &["sync", "--frobnicate"],
        &["preview", "nothing"],
        &["runs", "show", "01ABC"],
    ] {
        let outcome = world.tapline(arguments);
        assert!(outcome.code.is_some_and(|code| code == 1 || code == 2), "{outcome}");
        assert!(outcome.stdout.is_empty() && !outcome.stderr.is_empty(), "{outcome}");
    }
}

#[test]
fn no_progress_and_no_colours_away_from_a_terminal() {
    let (world, _target) = world();
    for arguments in [["sync", "rows"].as_slice(), &["check"], &["discover", "lake"], &["sync", "rows", "-v"]] {
        let outcome = world.tapline(arguments).exits(0);
        for text in [&outcome.stdout, &outcome.stderr] {
            assert!(!text.contains(['\u{1b}', '\r', '⠋', '━']), "{outcome}");
        }
    }
    // Quiet is quiet.
    let outcome = world.tapline(&["sync", "rows", "-q"]).exits(0);
    assert_eq!(outcome.stderr, "");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (world, _target) = world();
    let sql = "SELECT a.id, b.name, a.city FROM 's3://lake/customers.parquet' AS a, 's3://lake/customers.parquet' AS b LIMIT 2000000";
    for format in ["csv", "ndjson", "json"] {
        let arguments = ["query", "lake", sql, "--format", format];
        let mut command = world.command(&arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        let outcome = Outcome::new(&arguments, child.wait_with_output().unwrap());
        assert_eq!(outcome.stderr, "", "{outcome}");
    }
}
