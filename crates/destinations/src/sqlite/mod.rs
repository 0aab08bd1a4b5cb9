//! SQLite: tables in one file. Rows are staged in a file beside it and published in one transaction.
//! Not here: the order in which a run calls these methods (the engine).
//! Called through [`tapline_core::Connector`] and [`Destination`].

mod apply;
mod check;
mod config;
mod connect;
mod encode;
mod fault;
mod marker;
mod read;
mod sql;
mod stage;
mod statements;
mod table;
mod types;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tapline_core::{
    Capabilities, CheckStep, ConnectContext, Connector, Destination, Marker, Maturity, Owner, ReadBack, Result,
    RowOutcome, RowReader, StreamInfo, StreamName, Target, Writer,
};

pub use self::config::Config;
use self::connect::{Place, close};
use self::table::TableName;
use self::writer::SqliteWriter;

/// The kind `sqlite`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sqlite;

#[async_trait]
impl Connector for Sqlite {
    const NAME: &'static str = "sqlite";
    const SUMMARY: &'static str = "tables of a SQLite file";
    const MATURITY: Maturity = Maturity::Beta;
    const TESTED_AGAINST: &'static str = "SQLite 3.51, which is built in";

    type Config = Config;

    fn capabilities(&self) -> Capabilities {
        Capabilities { transactional: true, deletes: true, full_refresh: true, batch_rows: 8192 }
    }

    fn lint(&self, config: &Config) -> Vec<String> {
        config.lint()
    }

    fn local_paths(&self, config: &Config) -> Vec<PathBuf> {
        vec![config.path.clone()]
    }

    fn connect(&self, config: Config, context: &ConnectContext) -> Result<Arc<dyn Destination>> {
        let path = context.folder.join(config.path);
        let path: PathBuf = std::path::absolute(&path).unwrap_or(path);
        Ok(Arc::new(SqliteDestination { place: Place::new(path) }))
    }
}

struct SqliteDestination {
    place: Place,
}

#[async_trait]
impl Destination for SqliteDestination {
    fn identity(&self) -> String {
        format!("sqlite:{}", self.place.canonical().display())
    }

    async fn check(&self) -> Vec<CheckStep> {
        check::check(&self.place).await
    }

    async fn streams(&self) -> Result<Vec<StreamInfo>> {
        let Some(mut connection) = self.place.open_existing().await? else { return Ok(Vec::new()) };
        let streams = table::list(&mut connection).await?;
        close(connection).await;
        Ok(streams)
    }

    async fn marker(&self, stream: &StreamName) -> Result<Option<Marker>> {
        let name = TableName::of(stream)?;
        let Some(mut connection) = self.place.open_existing().await? else { return Ok(None) };
        let marker = marker::read(&mut connection, &name).await?;
        close(connection).await;
        Ok(marker)
    }

    async fn holds_rows(&self, stream: &StreamName) -> Result<Option<bool>> {
        let name = TableName::of(stream)?;
        let Some(mut connection) = self.place.open_existing().await? else { return Ok(None) };
        let holds_rows = match table::identity(&mut connection, &name).await? {
            Some(_) => Some(table::holds_rows(&mut connection, &name.quoted()).await?),
            None => None,
        };
        close(connection).await;
        Ok(holds_rows)
    }

    async fn stamp(&self, stream: &StreamName, owner: &Owner, generation: u64) -> Result<()> {
        let name = TableName::of(stream)?;
        let mut connection = self.place.open().await?;
        marker::stamp(&mut connection, &name, owner, generation).await?;
        close(connection).await;
        stage::sweep(&self.place, &name)
    }

    async fn outcomes(&self, stream: &StreamName, generation: u64) -> Result<Vec<RowOutcome>> {
        let name = TableName::of(stream)?;
        let Some(mut connection) = self.place.open_existing().await? else { return Ok(Vec::new()) };
        let outcomes = marker::outcomes(&mut connection, &name, generation).await?;
        close(connection).await;
        Ok(outcomes)
    }

    async fn open(&self, target: Target) -> Result<Box<dyn Writer>> {
        Ok(Box::new(SqliteWriter::open(&self.place, target).await?))
    }

    async fn read(&self, rows: ReadBack) -> Result<Option<Box<dyn RowReader>>> {
        read::read(&self.place, rows).await
    }
}
