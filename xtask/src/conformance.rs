//! `cargo xtask conformance`: how many of the conformance queries have DuckDB's answers.
//! Not here: the comparison, which is a test of the binary.
//! Called by `main`.

use crate::Outcome;
use crate::command::{self, cargo};

/// Runs the comparison and shows what it says: how many queries agree, and those that do not.
pub fn run() -> Outcome {
    let test = "test(duckdb::conformance_queries_over_files_in_s3)";
    command::run(&mut cargo(&["build", "--bins", "--workspace"]))?;
    command::run(&mut cargo(&["nextest", "run", "--workspace", "--no-capture", "-E", test]))
}
