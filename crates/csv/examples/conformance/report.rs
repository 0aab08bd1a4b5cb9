//! What was measured, as text for people.
//! Nothing is measured here (see `measure` and `calls`).
//! Called by the subcommands.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use tapline_csv::CsvOptions;

use super::calls::{self, Outcome};
use super::measure::{Verdict, dialect_scores, oracle_verdicts, read_file};
use super::tables;

pub fn dialect(directory: &Path, files: &Path) -> Result<String, String> {
    let mut report = String::new();
    for (name, (hits, total, misses)) in dialect_scores(directory, files)? {
        let _ = writeln!(report, "{name}: {hits} of {total} ({:.2} %)", 100.0 * hits as f64 / total as f64);
        if !name.ends_with("codec") && !name.ends_with("messy") {
            misses.iter().for_each(|miss| {
                let _ = writeln!(report, "    {miss}");
            });
        }
    }
    Ok(report)
}

pub fn oracle(directory: &Path, filter: &str) -> Result<String, String> {
    let (mut report, mut tally) = (String::new(), BTreeMap::<String, usize>::new());
    for (file, verdict, table) in oracle_verdicts(directory, filter)? {
        let label = match &verdict {
            Verdict::Different(why) | Verdict::Explained(_, why) => {
                let dialect = table
                    .map(|table| format!("{} rejects, {:?}", table.rejects.len(), table.format.dialect))
                    .unwrap_or_default();
                let _ = writeln!(report, "{file}: {why} ({dialect})");
                match &verdict {
                    Verdict::Explained(reason, _) => reason.words().to_owned(),
                    _ => {
                        report.push_str("    unexplained\n");
                        "different".to_owned()
                    }
                }
            }
            other => format!("{other:?}"),
        };
        *tally.entry(label).or_default() += 1;
    }
    let _ = writeln!(report, "{tally:?}");
    Ok(report)
}

/// How many calls of `read_csv` give what DuckDB gives, and which do not.
pub fn calls(material: &Path, filter: &str) -> Result<String, String> {
    let outcomes = calls::outcomes(&material.join("duckdb_calls.jsonl"), &material.join("duckdb_calls_data"), filter)?;
    let (mut report, mut tally) = (String::new(), BTreeMap::<String, usize>::new());
    for (sql, outcome) in outcomes {
        if !outcome.is_equal() && outcome != Outcome::NotHere {
            let _ = writeln!(report, "{sql}: {outcome:?}");
        }
        let label = match outcome {
            Outcome::Read(Verdict::Different(_)) => "different".to_owned(),
            Outcome::Read(Verdict::Explained(reason, _)) => reason.words().to_owned(),
            other => format!("{other:?}"),
        };
        *tally.entry(label).or_default() += 1;
    }
    let _ = writeln!(report, "{tally:?}");
    Ok(report)
}

pub fn show(file: &Path, options: &str) -> Result<String, String> {
    let options: CsvOptions = serde_json::from_str(options).map_err(|error| error.to_string())?;
    let table = tables::read(&file.to_string_lossy(), &read_file(file)?, &options)?;
    let mut report = String::new();
    let _ = writeln!(report, "{:#?}\n{:#?}", table.format.dialect, table.reasons);
    let _ = writeln!(
        report,
        "{}",
        table
            .format
            .columns
            .iter()
            .map(|column| format!("{:?} {}", column.name, column.data_type))
            .collect::<Vec<_>>()
            .join(", ")
    );
    table.rows.iter().take(10).for_each(|row| {
        let _ = writeln!(report, "{row:?}");
    });
    table.rejects.iter().take(10).for_each(|reject| {
        let _ = writeln!(report, "{reject:?}");
    });
    let _ = writeln!(report, "{:?}", table.counts);
    Ok(report)
}
