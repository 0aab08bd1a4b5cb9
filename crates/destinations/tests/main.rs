//! The destinations against real servers and files. One binary for all of them.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::print_stdout, reason = "what is skipped is said on stdout")]

mod crashes;
mod files;
mod fileset;
mod halving;
mod postgres;
mod sftp;
mod sqlite;
