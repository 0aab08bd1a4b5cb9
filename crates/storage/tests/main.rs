//! The source against a real S3 protocol: an in-process endpoint that verifies signatures and policies and injects faults.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::print_stdout, reason = "what is skipped is said on stdout")]

mod check;
mod faults;
mod identity;
mod keys;
mod manifest;
mod pinned;
mod support;
