//! Files on a server that is reached by SFTP: the rows of a stream as Parquet, CSV or NDJSON.
//! Not here: sets of files wherever they stand (`fileset`).
//! Called through [`tapline_core::Connector`].

mod config;
mod connect;
mod fault;
mod host_key;
mod server;

use std::sync::Arc;

use async_trait::async_trait;
use tapline_core::{Capabilities, ConnectContext, Connector, Destination, Maturity, Result};

pub use self::config::Config;
use self::server::Server;
use crate::fileset::{CAPABILITIES, FileSet};

/// The kind `sftp`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sftp;

#[async_trait]
impl Connector for Sftp {
    const NAME: &'static str = "sftp";
    const SUMMARY: &'static str = "Parquet, CSV or NDJSON files on a server, by SFTP";
    const MATURITY: Maturity = Maturity::Alpha;
    const TESTED_AGAINST: &'static str = "OpenSSH 9.2";

    type Config = Config;

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn lint(&self, config: &Config) -> Vec<String> {
        config.lint()
    }

    fn connect(&self, config: Config, _: &ConnectContext) -> Result<Arc<dyn Destination>> {
        let layout = config.layout().settle();
        Ok(Arc::new(FileSet::new(Arc::new(Server::new(config)?), layout)))
    }
}
