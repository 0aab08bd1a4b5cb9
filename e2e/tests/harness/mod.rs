//! What the tests share: a world with an S3 endpoint and a project, the binary, destinations, files.
//! Not here: what is right and wrong; the tests say that.
//! Called by every test module.

mod binary;
mod database;
mod file_target;
mod files;
mod mariadb;
#[path = "../../../crates/destinations/tests/postgres/own_server.rs"]
mod own_server;
mod server;
#[allow(dead_code, reason = "each test program uses another part of it")]
#[path = "../../../crates/destinations/tests/http/service.rs"]
mod service;
mod target;
mod world;

pub use binary::{Outcome, Run, signal, wait_until};
pub use database::Database;
pub use file_target::FileTarget;
pub use files::{Cell, Format, Table, customers};
pub use mariadb::MariaDb;
pub use own_server::OwnServer;
pub use server::{ADMIN, Answer, Server, read_answer};
pub use service::{Asked, Reply, Service};
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

/// Makes three tests of each function that takes a `&Target`: with PostgreSQL, SQLite, and MariaDB.
macro_rules! on_all {
    ($($name:ident),+ $(,)?) => {
        $crate::harness::on_both!($($name),+);

        mod on_mariadb {
            $(#[test] fn $name() { $crate::harness::with_mariadb(super::$name); })+
        }
    };
}

pub(crate) use on_all;
pub(crate) use on_both;

/// Runs a test with a PostgreSQL database of its own, or says that it was skipped.
pub fn with_postgres(test: impl FnOnce(&Target)) {
    match Database::create() {
        Some(database) => test(&Target::Postgres(database)),
        None => skip(1, "TAPLINE_TEST_POSTGRES_URL is not set"),
    }
}

/// Runs a test with a MariaDB database of its own, or says that it was skipped.
pub fn with_mariadb(test: impl FnOnce(&Target)) {
    match MariaDb::create() {
        Some(database) => test(&Target::MariaDb(database)),
        None => skip(1, "TAPLINE_TEST_MYSQL_URL is not set"),
    }
}

/// Says that something could not be tested; `cargo xtask test` counts these words.
pub fn skip(tests: usize, reason: &str) {
    println!("skipped: {tests} ({reason})");
}

/// Makes two tests of each function that takes a `&Target`: with files in a folder, and on a server of SFTP.
macro_rules! on_files {
    ($($name:ident),+ $(,)?) => {
        mod on_files {
            $(#[test] fn $name() { super::$name(&$crate::harness::Target::files()); })+
        }
        mod on_sftp {
            $(#[test] fn $name() { $crate::harness::with_sftp(super::$name); })+
        }
    };
}

pub(crate) use on_files;

/// Runs a test with a new folder on the OpenSSH server, or says that it was skipped.
pub fn with_sftp(test: impl FnOnce(&Target)) {
    match FileTarget::on_sftp() {
        Some(files) => test(&Target::Files(files)),
        None => skip(1, "TAPLINE_TEST_SFTP_URL is not set"),
    }
}
