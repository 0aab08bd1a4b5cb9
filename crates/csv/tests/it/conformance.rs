//! Levels reached on the conformance material, which lies beside the repository; without it each test says so and passes.

#[path = "../../examples/conformance/calls.rs"]
mod calls;
#[path = "../../examples/conformance/measure.rs"]
mod measure;
#[path = "../../examples/conformance/tables.rs"]
mod tables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use calls::Outcome;
use measure::{Reason, Verdict};

/// Levels reached, as floors that later changes may raise: right dialects of all annotated files per set.
const DIALECTS: [(&str, usize); 3] = [("pollock", 77), ("w3c-csvw", 100), ("csv-wrangling", 80)];
/// Weighted score of polluted files with everything detected, with values read as what they are, and with the dialect given.
const POLLUTED: f64 = 9.48;
const POLLUTED_TYPED: f64 = 9.22;
const POLLUTED_GIVEN: f64 = 9.69;
/// Files read as DuckDB reads them.
const ORACLE: usize = 470;
/// Calls of `read_csv` and `sniff_csv` answered as DuckDB answers them.
const CALLS: usize = 453;

/// Differences for which no general reason is known.
const ORACLE_UNEXPLAINED: usize = 3;
const CALLS_UNEXPLAINED: usize = 20;

/// Prints how many differences each reason explains.
fn tell_reasons(reasons: impl Iterator<Item = Option<Reason>>) {
    let mut tally: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in reasons {
        *tally.entry(reason.map_or("unexplained", Reason::words)).or_default() += 1;
    }
    tally.iter().for_each(|(words, count)| println!("{count:4} {words}"));
}

/// What the reader is told of a polluted file.
#[derive(Debug, Clone, Copy)]
enum Given {
    Nothing,
    NothingTyped,
    Dialect,
}

/// The material's folder, if it is there.
fn material(part: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance")).join(part);
    if !path.exists() {
        println!("skipped: 1 ({part} is not here)");
        return None;
    }
    Some(path)
}

/// Unpacks an archive of the material into a temporary folder.
fn unpacked(archive: &Path) -> Option<tempfile::TempDir> {
    let target = tempfile::tempdir().expect("a temporary folder");
    let done = Command::new("tar").arg("xJf").arg(archive).arg("-C").arg(target.path()).status();
    if !done.is_ok_and(|status| status.success()) {
        println!("skipped: 1 (tar cannot unpack {})", archive.display());
        return None;
    }
    Some(target)
}

#[test]
fn delimiter_and_quote() {
    let Some(material) = material("dialect") else { return };
    let Some(files) = unpacked(&material.join("dialect_files.tar.xz")) else { return };
    let scores = measure::dialect_scores(&material, &files.path().join("dialect_files")).expect("readable material");
    for (set, least) in DIALECTS {
        let (hits, total, misses) = &scores[set];
        println!("{set}: {hits} of {total} dialects right");
        assert!(*hits >= least, "{set}: {hits} of {total}, {least} before: {misses:#?}");
    }
}

/// The score the material's own program gives to the polluted files.
fn pollock_score(bench: &Path, given: Given) -> Option<f64> {
    let output = tempfile::tempdir().expect("a temporary folder");
    let (dialect, typed) = (matches!(given, Given::Dialect), matches!(given, Given::NothingTyped));
    measure::pollock(bench, output.path(), dialect, typed).expect("readable material");
    let mut score = Command::new("python3");
    score
        .arg(material("pollock")?.join("pollock_score.py"))
        .arg("--bench")
        .arg(bench)
        .arg("--loaded")
        .arg(output.path());
    let Some(result) = score.output().ok().filter(|result| result.status.success()) else {
        println!("skipped: 1 (python3 cannot run the scorer)");
        return None;
    };
    let report: serde_json::Value = serde_json::from_slice(&result.stdout).expect("the scorer's report");
    report["weighted"].as_f64()
}

#[test]
fn polluted_files() {
    polluted(Given::Nothing, POLLUTED);
}

#[test]
fn polluted_files_with_types() {
    polluted(Given::NothingTyped, POLLUTED_TYPED);
}

#[test]
fn polluted_files_of_a_known_dialect() {
    polluted(Given::Dialect, POLLUTED_GIVEN);
}

/// Leaves one of five files that have a single bad row, which are near-copies of each other; the others are measured by the example.
fn thin_out(csv: &Path, clean: &Path) {
    let names = std::fs::read_dir(csv).expect("the files").map(|entry| entry.expect("a file").file_name());
    let mut rows: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with("row_")).collect();
    rows.sort();
    for (_, name) in rows.iter().enumerate().filter(|(index, _)| index % 5 != 0) {
        std::fs::remove_file(csv.join(name)).expect("a file of ours");
        std::fs::remove_file(clean.join(name)).expect("a file of ours");
    }
}

fn polluted(given: Given, least: f64) {
    let Some(material) = material("pollock") else { return };
    let Some(files) = unpacked(&material.join("pollock.tar.xz")) else { return };
    let bench = files.path().join("pollock");
    thin_out(&bench.join("csv"), &bench.join("clean"));
    if let Some(score) = pollock_score(&bench, given) {
        println!("polluted files, {given:?}: {score:.4}");
        assert!(score >= least, "{given:?}: {score}, {least} before");
    }
}

#[test]
fn the_same_rows_and_values_as_duckdb() {
    let Some(material) = material("csv") else { return };
    let verdicts = measure::oracle_verdicts(&material, "").expect("readable material");
    let readable = verdicts.iter().filter(|(_, verdict, _)| *verdict != Verdict::DuckDbFails).count();
    let different: Vec<_> = verdicts
        .iter()
        .filter(|(_, verdict, _)| matches!(verdict, Verdict::Different(_) | Verdict::Explained(..)))
        .map(|(file, verdict, _)| (file, verdict))
        .collect();
    tell_reasons(different.iter().map(|(_, verdict)| match verdict {
        Verdict::Explained(reason, _) => Some(*reason),
        _ => None,
    }));
    let unexplained: Vec<_> =
        different.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Different(_))).collect();
    assert!(unexplained.len() <= ORACLE_UNEXPLAINED, "{unexplained:#?}");
    let same = readable - different.len();
    println!("read as DuckDB reads them: {same} of {readable} files");
    assert!(same >= ORACLE, "{same} of {readable}, {ORACLE} before: {different:#?}");
    for (file, _, table) in &verdicts {
        if let Some(table) = table {
            assert_eq!(table.counts.lines_in(), (table.rows.len() + table.rejects.len()) as u64, "{file}");
        }
    }
}

#[test]
fn the_same_answers_to_calls() {
    let (Some(calls), Some(data)) = (material("duckdb_calls.jsonl"), material("duckdb_calls_data")) else { return };
    let mut outcomes = calls::outcomes(&calls, &data, "").expect("readable material");
    outcomes.retain(|(_, outcome)| *outcome != Outcome::NotHere);
    let different: Vec<_> = outcomes.iter().filter(|(_, outcome)| !outcome.is_equal()).collect();
    tell_reasons(different.iter().map(|(_, outcome)| outcome.reason()));
    let unexplained: Vec<_> = different.iter().filter(|(_, outcome)| outcome.reason().is_none()).collect();
    assert!(unexplained.len() <= CALLS_UNEXPLAINED, "{unexplained:#?}");
    let same = outcomes.len() - different.len();
    println!("calls answered as DuckDB answers them: {same} of {}", outcomes.len());
    assert!(same >= CALLS, "{same} of {}, {CALLS} before: {different:#?}", outcomes.len());
}

#[test]
fn the_lake() {
    let Some(lake) = material("queries/lake") else { return };
    for (file, schema, rows, rejects) in [
        ("bigint.csv", "id BIGINT, big VARCHAR, code VARCHAR, flag VARCHAR, pct VARCHAR", 3, 0),
        ("bom.csv", "id BIGINT, label VARCHAR", 2, 0),
        ("crlf.csv", "k BIGINT, v VARCHAR", 5, 0),
        ("dupcols.csv", "id BIGINT, name VARCHAR, name_1 VARCHAR, NAME_2 VARCHAR", 2, 0),
        ("empty_header_only.csv", "id VARCHAR, name VARCHAR", 0, 0),
        ("leads_eu.csv", "Lead Id BIGINT, Company Name VARCHAR, Betrag VARCHAR, Datum DATE, Aktiv VARCHAR", 30, 0),
        ("leads_us.tsv", "lead_id BIGINT, company VARCHAR, amount DOUBLE, closed_on DATE", 40, 0),
        ("leads_pipe.txt", "id BIGINT, name VARCHAR, memo VARCHAR", 3, 0),
        ("noheader.csv", "column0 BIGINT, column1 VARCHAR, column2 DOUBLE, column3 DATE", 10, 0),
        ("nulls.csv", "id BIGINT, a VARCHAR, b BIGINT, c VARCHAR", 5, 0),
        ("preamble.csv", "id BIGINT, name VARCHAR, qty BIGINT", 3, 0),
        ("ragged.csv", "id BIGINT, name VARCHAR, qty VARCHAR", 3, 2),
        ("scores_wide.csv", "student VARCHAR, math BIGINT, art BIGINT, bio BIGINT", 3, 0),
        ("spaces.csv", "Order ID BIGINT, Total (USD) VARCHAR, Ship-To City VARCHAR", 2, 0),
        ("gz/customers.csv.gz", "", 200, 0),
    ] {
        let bytes = std::fs::read(lake.join(file)).expect("a file of the lake");
        let table = tables::read(file, &bytes, &tapline_csv::CsvOptions::default()).expect("a readable file");
        let found = table
            .format
            .columns
            .iter()
            .map(|column| format!("{} {}", column.name, column.data_type))
            .collect::<Vec<_>>()
            .join(", ");
        if !schema.is_empty() {
            assert_eq!(found, schema, "{file}: {:?}", table.reasons);
        }
        assert_eq!((table.rows.len(), table.rejects.len()), (rows, rejects), "{file}");
    }
}
