//! Tapline from outside: the real binary, a real S3 protocol, real databases.
//! Not here: anything that looks inside; this package depends on the endpoint and on none of the product's crates.
//! Called by `cargo xtask test`, which builds the binary first and starts the databases.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]
#![allow(clippy::print_stdout, reason = "what is skipped is said on stdout")]

mod harness;

mod bad_keys;
mod checks;
mod cli;
mod compatible;
mod crashes;
mod cursor;
mod deliveries;
mod demo;
mod disk;
mod drift;
mod duckdb;
mod failures;
mod faults;
mod file_destinations;
mod formats;
mod frozen;
mod guards;
mod lake;
mod limits;
mod mapping;
mod models;
mod outages;
mod parquet_conformance;
mod plans;
mod project_file;
mod publications;
mod query;
mod requests;
mod requests_cut_off;
mod roles;
mod runners;
mod secrets;
mod selection;
mod servers;
mod serving;
mod shared_state;
mod slack;
mod sources;
mod stateful;
mod streams;
mod unchanged;
mod writes;
