//! What the tests share: a world with an S3 endpoint and a project, the binary, destinations, files.
//! Not here: what is right and wrong; the tests say that.
//! Called by every test module.

mod binary;
mod database;
mod files;
#[path = "../../../crates/destinations/tests/postgres/own_server.rs"]
mod own_server;
mod server;
mod target;
mod world;

pub use binary::{Outcome, Run, signal, wait_until};
pub use database::Database;
pub use files::{Cell, Format, Table, customers};
pub use own_server::OwnServer;
pub use server::{ADMIN, Server, read_answer};
pub use target::{Target, sqlite_rows};
pub use world::{Delivery, World};

/// Makes two tests of each function that takes a `&Target`: one with PostgreSQL, one with SQLite.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod on_postgres {
            $(#[test] fn $name() { $crate::harness::with_postgres(super::$name); })+
        }
        mod on_sqlite {
            $(#[test] fn $name() { super::$name(&$crate::harness::Target::sqlite()); })+
        }
    };
}

pub(crate) use on_both;

/// Runs a test with a PostgreSQL database of its own, or says that it was skipped.
pub fn with_postgres(test: impl FnOnce(&Target)) {
    match Database::create() {
        Some(database) => test(&Target::Postgres(database)),
        None => skip(1, "TAPLINE_TEST_POSTGRES_URL is not set"),
    }
}

/// Says that something could not be tested; `cargo xtask test` counts these words.
pub fn skip(tests: usize, reason: &str) {
    println!("skipped: {tests} ({reason})");
}
