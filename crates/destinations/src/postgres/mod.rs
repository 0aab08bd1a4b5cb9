//! PostgreSQL: rows are staged where nobody sees them and published in one transaction.
//! Not here: the promises that this keeps (`tapline_core::destination`), and the order of a run (the engine).
//! Called through `connectors`. The type table stands in `types`, the rules for existing columns in `fit`.

mod apply;
mod check;
mod config;
mod connect;
mod decode;
mod encode;
mod fault;
mod fit;
mod layout;
mod marker;
mod numeric;
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
    Capabilities, CheckStep, ConnectContext, Connector, Destination, Error, Marker, Maturity, Owner, ReadBack, Result,
    RowOutcome, RowReader, StreamInfo, StreamName, Target, Writer, codes,
};

pub use config::{Config, SslMode};

use connect::{Session, Sessions};
use marker::MarkerRows;
use table::{Place, Table};
use writer::{PostgresWriter, WriteOptions};

/// The connector for PostgreSQL.
#[derive(Debug, Clone, Copy, Default)]
pub struct Postgres;

#[async_trait]
impl Connector for Postgres {
    const NAME: &'static str = "postgres";
    const SUMMARY: &'static str = "PostgreSQL 12 and later: tables, published in one transaction";
    const MATURITY: Maturity = Maturity::Beta;
    const TESTED_AGAINST: &'static str = "PostgreSQL 15";
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
        server.sslrootcert.into_iter().chain(socket).collect()
    }

    fn connect(&self, config: Config, context: &ConnectContext) -> Result<Arc<dyn Destination>> {
        let server =
            config.server(&context.folder).map_err(|error| error.context(format!("destination {}", context.name)))?;
        Ok(Arc::new(PostgresDestination {
            sessions: Arc::new(Sessions::new(server)),
            options: WriteOptions { work_schema: config.work_schema, zone: config.source_timezone },
        }))
    }
}

/// A PostgreSQL database.
struct PostgresDestination {
    sessions: Arc<Sessions>,
    options: WriteOptions,
}

impl PostgresDestination {
    /// A session, and the marker's rows of a stream.
    async fn at(&self, stream: &StreamName) -> Result<(Session, MarkerRows)> {
        let session = self.sessions.take().await?;
        let place = Place::of(&session.client, stream).await?;
        Ok((session, MarkerRows::new(place, self.options.work_schema.as_deref())))
    }
}

#[async_trait]
impl Destination for PostgresDestination {
    fn identity(&self) -> String {
        self.sessions.server().identity()
    }

    async fn check(&self) -> Vec<CheckStep> {
        check::check(self.sessions.server(), self.options.work_schema.as_deref()).await
    }

    async fn streams(&self) -> Result<Vec<StreamInfo>> {
        let session = self.sessions.take().await?;
        let streams = table::list(&session.client).await?;
        self.sessions.put_back(session);
        Ok(streams)
    }

    async fn marker(&self, stream: &StreamName) -> Result<Option<Marker>> {
        let (session, rows) = self.at(stream).await?;
        let marker = rows.read(&session.client).await?;
        self.sessions.put_back(session);
        Ok(marker)
    }

    async fn holds_rows(&self, stream: &StreamName) -> Result<Option<bool>> {
        let (session, rows) = self.at(stream).await?;
        let holds = match Table::find(&session.client, &rows.place).await? {
            Some(_) => Some(writer::holds_rows(&session, &rows.place).await?),
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
        let (session, rows) = self.at(stream).await?;
        let outcomes = rows.outcomes(&session.client, generation).await?;
        self.sessions.put_back(session);
        Ok(outcomes)
    }

    async fn open(&self, target: Target) -> Result<Box<dyn Writer>> {
        if target.key.is_empty() && target.refresh == tapline_core::Refresh::Incremental {
            return Err(Error::new(
                codes::CONF_005,
                format!("stream {}: an incremental run needs a primary key", target.stream),
            ));
        }
        let writer = PostgresWriter::open(Arc::clone(&self.sessions), self.options.clone(), target).await?;
        Ok(Box::new(writer))
    }

    async fn read(&self, rows: ReadBack) -> Result<Option<Box<dyn RowReader>>> {
        read::read(Arc::clone(&self.sessions), self.options.zone.as_deref(), rows).await
    }
}
