//! Measures detection and reading against the conformance material: `cargo run --example conformance -- SUBCOMMAND`.
//!
//! - `dialect DIR FILES` – delimiter and quote against `DIR/truth.jsonl`, files unpacked below FILES
//! - `pollock BENCH OUT [given] [typed]` – reads `BENCH/csv/*` and writes `OUT/*_converted.csv` for `pollock_score.py --bench BENCH --loaded OUT`
//! - `oracle DIR [FILTER]` – rows and values against DuckDB's in `DIR/oracle.jsonl`, default mode
//! - `calls MATERIAL [FILTER]` – calls of `read_csv` against DuckDB's answers in `MATERIAL/duckdb_calls.jsonl`
//! - `show FILE [OPTIONS as JSON]` – what is detected in one file, and its first rows
#![allow(dead_code, reason = "the tests use the rest")]
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

mod calls;
mod measure;
mod report;
mod tables;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let report = match arguments.as_slice() {
        ["dialect", truth, files] => report::dialect(Path::new(truth), Path::new(files)),
        ["pollock", bench, output, flags @ ..] => measure::pollock(Path::new(bench), Path::new(output), flags.contains(&"given"), flags.contains(&"typed")),
        ["oracle", directory] => report::oracle(Path::new(directory), ""),
        ["oracle", directory, filter] => report::oracle(Path::new(directory), filter),
        ["calls", material] => report::calls(Path::new(material), ""),
        ["calls", material, filter] => report::calls(Path::new(material), filter),
        ["show", file] => report::show(Path::new(file), "{}"),
        ["show", file, options] => report::show(Path::new(file), options),
        _ => Err("usage: conformance dialect DIR FILES | pollock BENCH OUT [given] [typed] | oracle DIR [FILTER] | show FILE [OPTIONS]".to_owned()),
    };
    match report {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            println!("{message}");
            ExitCode::FAILURE
        }
    }
}
