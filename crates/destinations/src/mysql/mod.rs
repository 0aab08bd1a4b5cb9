//! MySQL and MariaDB: rows are staged where nobody looks and published in one transaction.
//! Not here: the promises that this keeps (`tapline_core::destination`), and the order of a run (the engine).
//! Called through `connectors`. The type table stands in `types`, the rules for existing columns in `fit`.

mod apply;
mod check;
mod config;
mod connect;
mod encode;
mod fault;
mod fit;
mod layout;
mod marker;
mod publish;
mod read;
mod sql;
mod stage;
mod statements;
mod table;
mod tls;
mod types;
mod widen;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tapline_core::{
    Capabilities, CheckStep, ConnectContext, Connector, Destination, Error, Marker, Maturity, Owner, ReadBack, Refresh,
    Result, RowOutcome, RowReader, StreamInfo, StreamName, Target, Writer, codes,
};

pub use config::{Config, TlsMode};

use connect::{Session, Sessions};
use marker::MarkerRows;
use table::Place;
use writer::MysqlWriter;

/// The connector for MySQL.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mysql;

#[async_trait]
impl Connector for Mysql {
    const NAME: &'static str = "mysql";
    const SUMMARY: &'static str = "MariaDB 10.5 and MySQL 8 and later: InnoDB tables, published in one transaction";
    const MATURITY: Maturity = Maturity::Alpha;
    const TESTED_AGAINST: &'static str = "MariaDB 10.11; MySQL 8 is untested";
    type Config = Config;

    fn capabilities(&self) -> Capabilities {
        Capabilities { transactional: true, deletes: true, full_refresh: true, batch_rows: 16_384 }
    }

    fn lint(&self, config: &Config) -> Vec<String> {
        config.problems()
    }

    fn local_paths(&self, config: &Config) -> Vec<PathBuf> {
        let Ok(server) = config.server(Path::new("")) else { return Vec::new() };
        let socket = server.is_local().then(|| PathBuf::from(&server.host));
        server.ca.into_iter().chain(socket).collect()
    }

    fn connect(&self, config: Config, context: &ConnectContext) -> Result<Arc<dyn Destination>> {
        let server =
            config.server(&context.folder).map_err(|error| error.context(format!("destination {}", context.name)))?;
        Ok(Arc::new(MysqlDestination { sessions: Arc::new(Sessions::new(server)), work_schema: config.work_schema }))
    }
}

/// A server of MySQL's kind.
struct MysqlDestination {
    sessions: Arc<Sessions>,
    work_schema: Option<String>,
}

impl MysqlDestination {
    fn database(&self) -> Option<&str> {
        self.sessions.server().database.as_deref()
    }

    /// A session, and the marker's rows of a stream.
    async fn at(&self, stream: &StreamName) -> Result<(Session, MarkerRows)> {
        let session = self.sessions.take().await?;
        let place = Place::of(&session, self.database(), stream)?;
        Ok((session, MarkerRows::new(place, self.work_schema.as_deref())))
    }
}

#[async_trait]
impl Destination for MysqlDestination {
    fn identity(&self) -> String {
        self.sessions.server().identity()
    }

    async fn check(&self) -> Vec<CheckStep> {
        check::check(self.sessions.server(), self.work_schema.as_deref()).await
    }

    async fn streams(&self) -> Result<Vec<StreamInfo>> {
        let mut session = self.sessions.take().await?;
        let streams = table::list(&mut session, self.database()).await?;
        self.sessions.put_back(session);
        Ok(streams)
    }

    async fn marker(&self, stream: &StreamName) -> Result<Option<Marker>> {
        let (mut session, rows) = self.at(stream).await?;
        let marker = rows.read(&mut session).await?;
        self.sessions.put_back(session);
        Ok(marker)
    }

    async fn holds_rows(&self, stream: &StreamName) -> Result<Option<bool>> {
        let (mut session, rows) = self.at(stream).await?;
        let holds = match table::find_identity(&mut session, &rows.place).await? {
            Some(_) => Some(table::holds_rows(&mut session, &rows.place.quoted()).await?),
            None => None,
        };
        self.sessions.put_back(session);
        Ok(holds)
    }

    async fn stamp(&self, stream: &StreamName, owner: &Owner, generation: u64) -> Result<()> {
        let (mut session, rows) = self.at(stream).await?;
        rows.stamp(&mut session, owner, generation).await?;
        self.sessions.put_back(session);
        Ok(())
    }

    async fn outcomes(&self, stream: &StreamName, generation: u64) -> Result<Vec<RowOutcome>> {
        let (mut session, rows) = self.at(stream).await?;
        let outcomes = rows.outcomes(&mut session, generation).await?;
        self.sessions.put_back(session);
        Ok(outcomes)
    }

    async fn open(&self, target: Target) -> Result<Box<dyn Writer>> {
        if target.key.is_empty() && target.refresh == Refresh::Incremental {
            return Err(Error::new(
                codes::CONF_005,
                format!("stream {}: an incremental run needs a primary key", target.stream),
            ));
        }
        let writer = MysqlWriter::open(Arc::clone(&self.sessions), self.work_schema.as_deref(), target).await?;
        Ok(Box::new(writer))
    }

    async fn read(&self, rows: ReadBack) -> Result<Option<Box<dyn RowReader>>> {
        read::read(Arc::clone(&self.sessions), rows).await
    }
}
