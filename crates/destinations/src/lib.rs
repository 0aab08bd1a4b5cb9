//! The destinations: one folder per kind, with the same file names in every folder, all listed in [`connectors`].
//! Not here: what every destination promises (`tapline_core::destination`), and the order of a run (the engine).
//! Called by the command line and the server, which hand the connectors to the engine.

pub mod http;
pub mod mysql;
pub mod postgres;
pub mod slack;
pub mod sqlite;

mod delivery;
mod exactly;
mod spool;
mod tolerance;

use tapline_core::ErasedConnector;

/// All kinds of destination.
pub fn connectors() -> Vec<Box<dyn ErasedConnector>> {
    vec![
        Box::new(http::Http),
        Box::new(mysql::Mysql),
        Box::new(postgres::Postgres),
        Box::new(slack::Slack),
        Box::new(sqlite::Sqlite),
    ]
}
