//! The Parquet files of the conformance material, read by the binary and compared with what DuckDB reads.
//! Not here: files made for one question (`selection`, `formats`).

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Outcome, World, skip};

/// DuckDB has no type for instants in nanoseconds; the value in the file is kept here.
const CUT_NANOSECONDS: &str = "nanoseconds with a time zone, which DuckDB cuts to microseconds";

/// What a line of the oracle says of one file, as far as it is compared.
struct Expected {
    path: PathBuf,
    name: String,
    /// What DuckDB and pyarrow both read.
    csv: Option<String>,
    bytes: Option<u64>,
    rows: u64,
}

fn material() -> Option<Vec<Expected>> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/conformance/parquet"));
    let lines = fs::read_to_string(folder.join("oracle.jsonl")).ok()?;
    let expected = lines.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let name = line["file"].as_str().unwrap().to_owned();
        let both_read = line["duckdb"] == "ok" && line["pyarrow"] == "ok";
        Expected {
            path: folder.join("files").join(&name),
            csv: line["csv"].as_str().filter(|_| both_read).map(str::to_owned),
            bytes: line["csv_bytes"].as_u64().filter(|_| both_read),
            rows: line["rows"].as_u64().unwrap_or_default(),
            name,
        }
    });
    Some(expected.collect())
}

/// Why what is read differs from what DuckDB reads, where it does and is meant to.
fn reason(expected: &Expected, outcome: &Outcome) -> Option<&'static str> {
    if outcome.stderr.contains("two of its columns have the name") {
        return Some("two columns of one name");
    }
    if outcome.stderr.contains("DECIMAL with length") {
        return Some("a decimal of more digits than its bytes can hold");
    }
    let lines = |text: &str| text.lines().map(cut_nanoseconds).collect::<Vec<_>>();
    let nanoseconds =
        lines(&outcome.stdout).iter().zip(lines(expected.csv.as_deref()?)).all(|(got, want)| *got == want);
    nanoseconds.then_some(CUT_NANOSECONDS)
}

/// A line whose instants have no digits behind the fourth place.
fn cut_nanoseconds(line: &str) -> String {
    let instant = regex::Regex::new(r"(:\d\d\.\d{4})\d+\+00").unwrap();
    instant.replace_all(line, "$1+00").into_owned()
}

#[test]
fn what_duckdb_and_pyarrow_read_is_read_alike() {
    let Some(material) = material() else { return skip(1, "the conformance material is not there") };
    let world = World::new();
    let (mut alike, mut differs) = (0, BTreeMap::<&str, usize>::new());
    let mut wrong = Vec::new();
    for expected in &material {
        let path = expected.path.display().to_string().replace('\'', "''");
        let sql = format!("SELECT * FROM read_parquet('{path}')");
        let arguments = ["query", &sql, "--format", "csv", "-q"];
        let outcome = Outcome::new(&arguments, within_a_gibibyte(&world.command(&arguments)).output().unwrap());
        // Whatever a file holds, and whatever it claims to hold: a clean end, in bounded memory.
        assert!(matches!(outcome.code, Some(0 | 1)), "{}: {outcome}", expected.name);
        assert!(!outcome.stderr.contains("panicked"), "{}: {outcome}", expected.name);
        let Some(bytes) = expected.bytes else { continue };
        let is_alike = match &expected.csv {
            Some(csv) => outcome.stdout == *csv,
            // Of the large ones only the length is known here.
            None => outcome.stdout.len() as u64 == bytes,
        };
        if outcome.code == Some(0) && (is_alike || same_rows(&outcome, expected)) {
            alike += 1;
        } else if let Some(reason) = reason(expected, &outcome) {
            *differs.entry(reason).or_default() += 1;
        } else {
            wrong.push(format!("{}: {}", expected.name, outcome.stderr.lines().next().unwrap_or("other values")));
        }
    }
    assert!(wrong.is_empty(), "{} of {} files differ:\n{}", wrong.len(), material.len(), wrong.join("\n"));
    let expected = BTreeMap::from([
        (CUT_NANOSECONDS, 21),
        ("a decimal of more digits than its bytes can hold", 1),
        ("two columns of one name", 1),
    ]);
    assert_eq!((alike, differs), (201, expected));
}

#[test]
fn the_options_of_read_parquet() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/conformance"));
    let Ok(calls) = fs::read_to_string(folder.join("duckdb_calls.jsonl")) else {
        return skip(1, "the conformance material is not there");
    };
    let data = folder.join("duckdb_calls_data").display().to_string();
    let world = World::new();
    let mut alike = 0;
    for call in calls.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let sql = call["sql"].as_str().unwrap();
        if !sql.contains("read_parquet(") {
            continue;
        }
        let outcome = world.tapline(&["query", &sql.replace("{data}", &data), "--format", "csv", "-q"]);
        if call["duckdb"] != "ok" {
            assert_eq!(outcome.code, Some(1), "{sql}: {outcome}");
            continue;
        }
        assert_eq!(outcome.code, Some(0), "{sql}: {outcome}");
        match call["csv"].as_str() {
            Some(csv) => assert_eq!(sorted(&outcome.stdout), sorted(&csv.replace("{data}", &data)), "{sql}"),
            None => {
                let header: Vec<&str> = outcome.stdout.lines().next().unwrap().split(',').collect();
                assert_eq!(header.len(), call["schema"].as_array().unwrap().len(), "{sql}: {header:?}");
                assert!(outcome.stdout.lines().count() as u64 > call["rows"].as_u64().unwrap(), "{sql}");
            }
        }
        alike += 1;
    }
    assert_eq!(alike, 46);
}

/// The same command, whose memory cannot grow beyond 1 GiB: what asks for more is ended.
fn within_a_gibibyte(command: &Command) -> Command {
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -d 1048576 && exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
    limited.current_dir(command.get_current_dir().unwrap()).env_clear();
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited
}

/// Whether the rows are the same in another order, which files of several row groups may have.
fn same_rows(outcome: &Outcome, expected: &Expected) -> bool {
    let Some(csv) = &expected.csv else { return false };
    expected.rows > 1 && sorted(&outcome.stdout) == sorted(csv)
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}
