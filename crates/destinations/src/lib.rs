//! The destinations: one folder per kind, with the same file names in every folder, all listed in [`connectors`].
//! Not here: what every destination promises (`tapline_core::destination`), and the order of a run (the engine).
//! Called by the command line and the server, which hand the connectors to the engine.

pub mod files;
pub mod http;
pub mod mysql;
pub mod parquet_types;
pub mod postgres;
pub mod sftp;
pub mod slack;
pub mod sqlite;

mod delivery;
mod exactly;
mod fileset;
mod spool;
mod tolerance;

use tapline_core::ErasedConnector;

/// All kinds of destination.
pub fn connectors() -> Vec<Box<dyn ErasedConnector>> {
    vec![
        Box::new(files::Files),
        Box::new(http::Http),
        Box::new(mysql::Mysql),
        Box::new(postgres::Postgres),
        Box::new(sftp::Sftp),
        Box::new(slack::Slack),
        Box::new(sqlite::Sqlite),
    ]
}
