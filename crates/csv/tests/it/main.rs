//! The crate from outside: whole tables in, batches and rejects out.
//! Each module holds one kind of promise; unit tests of the parts live with the parts.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::print_stdout, reason = "what is skipped is said on stdout")]

mod conformance;
mod dialects;
mod fuzz;
mod hostile;
mod properties;
mod ranges;
mod reading;
mod support;
mod targets;
mod types;
