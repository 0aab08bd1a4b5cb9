//! The promise of a destination: [`Connector`] makes a [`Destination`], which opens one [`Writer`] per run.
//! Not here: implementations (crate `tapline-destinations`) and the order in which a run calls them (the engine).
//! Called by the engine, by `check` and by the API.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::batch::{Answer, ChangeBatch, Receipt, RowId, RowOutcome};
use crate::check::CheckStep;
use crate::config::SyncConfig;
use crate::error::{Error, Result};
use crate::stream::StreamName;
use crate::yaml::Node;

/// What a kind of destination can do; the engine and `validate` read it, nobody guesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether a run becomes visible in one step and leaves a [`Marker`], so that delivery is exactly once. Otherwise
    /// the engine calls [`Writer::deliver`] instead of [`Writer::publish`], and asks for no marker: what was on its way
    /// when a process was killed is sent again.
    pub transactional: bool,
    /// Whether rows can be deleted by key.
    pub deletes: bool,
    /// Whether `full_refresh` is possible.
    pub full_refresh: bool,
    /// Rows per [`ChangeBatch`] that suit the destination.
    pub batch_rows: usize,
}

/// How far a kind of destination has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Maturity {
    /// It works where it was tried; settings and behaviour may still change.
    Alpha,
    /// It keeps the whole contract against the real thing; its settings stay.
    Beta,
    /// It has proved itself in daily use.
    Stable,
}

impl Maturity {
    /// In one word, as `tapline destinations` prints it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alpha => "alpha",
            Self::Beta => "beta",
            Self::Stable => "stable",
        }
    }
}

/// One kind of destination, typed; one implementation per folder of `tapline-destinations`.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// The value of `type:` in the project file.
    const NAME: &'static str;

    /// One line for `tapline destinations`.
    const SUMMARY: &'static str;

    /// How far this kind has come.
    const MATURITY: Maturity;

    /// What it was tested against, with versions, as the end of a sentence: `PostgreSQL 15 and 17`.
    const TESTED_AGAINST: &'static str;

    /// The connector's settings. JSON Schema, reference page, form and validation all come from this struct.
    type Config: DeserializeOwned + JsonSchema + Send + Sync;

    /// What this kind can do at most.
    fn capabilities(&self) -> Capabilities;

    /// What it can do with these settings.
    fn capabilities_of(&self, config: &Self::Config) -> Capabilities {
        let _ = config;
        self.capabilities()
    }

    /// Finds what is wrong with the settings without touching anything outside; one line per problem.
    fn lint(&self, config: &Self::Config) -> Vec<String>;

    /// Finds what a sync asks of this destination that it cannot do, besides what [`Capabilities`] tell; one line per
    /// problem. Touches nothing outside.
    fn lint_sync(&self, config: &Self::Config, sync: &SyncConfig) -> Vec<String> {
        let _ = (config, sync);
        Vec::new()
    }

    /// Files, folders and sockets of this machine that the settings name, as they stand there.
    fn local_paths(&self, config: &Self::Config) -> Vec<PathBuf> {
        let _ = config;
        Vec::new()
    }

    /// Makes the destination. Does not need the other side to be there: the first call that does says so.
    ///
    /// Relative paths in `config` are relative to `context.folder`.
    fn connect(&self, config: Self::Config, context: &ConnectContext) -> Result<Arc<dyn Destination>>;
}

/// What a connector may know of the place it is used in.
#[derive(Debug, Clone)]
pub struct ConnectContext {
    /// The name of the destination in the project.
    pub name: String,
    /// Folder of the project file.
    pub folder: PathBuf,
    /// Whether a server connects on behalf of people who must not reach what only the server can: requests to a URL that
    /// they choose go to public addresses alone then.
    pub hosted: bool,
}

impl ConnectContext {
    /// The context of a command line: whoever runs it may reach what it reaches.
    pub fn new(name: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), folder: folder.into(), hosted: false }
    }

    /// The same on a server.
    #[must_use]
    pub fn hosted(self) -> Self {
        Self { hosted: true, ..self }
    }
}

/// [`Connector`] with its type erased, so that kinds of all configs stand in one list. Implemented for every connector.
pub trait ErasedConnector: Send + Sync {
    /// [`Connector::NAME`].
    fn name(&self) -> &'static str;
    /// [`Connector::SUMMARY`].
    fn summary(&self) -> &'static str;
    /// [`Connector::MATURITY`].
    fn maturity(&self) -> Maturity;
    /// [`Connector::TESTED_AGAINST`].
    fn tested_against(&self) -> &'static str;
    /// [`Connector::capabilities`].
    fn capabilities(&self) -> Capabilities;
    /// JSON Schema of [`Connector::Config`].
    fn schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema;
    /// Reads and lints the settings below `node` (without its `type` key).
    fn validate(&self, node: &Node) -> Result<Vec<String>, crate::yaml::ConfigError>;
    /// [`Connector::capabilities_of`] the settings below `node`.
    fn capabilities_of(&self, node: &Node) -> Result<Capabilities, crate::yaml::ConfigError>;
    /// [`Connector::lint_sync`] with the settings below `node`.
    fn lint_sync(&self, node: &Node, sync: &SyncConfig) -> Result<Vec<String>, crate::yaml::ConfigError>;
    /// [`Connector::local_paths`] of the settings below `node`.
    fn local_paths(&self, node: &Node) -> Result<Vec<PathBuf>, crate::yaml::ConfigError>;
    /// Reads the settings and connects. `Err(Err(_))` is a configuration error with its position.
    fn connect(&self, node: &Node, context: &ConnectContext) -> Result<Arc<dyn Destination>>;
}

impl<C: Connector> ErasedConnector for C {
    fn name(&self) -> &'static str {
        C::NAME
    }

    fn summary(&self) -> &'static str {
        C::SUMMARY
    }

    fn maturity(&self) -> Maturity {
        C::MATURITY
    }

    fn tested_against(&self) -> &'static str {
        C::TESTED_AGAINST
    }

    fn capabilities(&self) -> Capabilities {
        Connector::capabilities(self)
    }

    fn schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        C::Config::json_schema(generator)
    }

    fn validate(&self, node: &Node) -> Result<Vec<String>, crate::yaml::ConfigError> {
        let config: C::Config = crate::yaml::from_node(node)?;
        Ok(self.lint(&config))
    }

    fn capabilities_of(&self, node: &Node) -> Result<Capabilities, crate::yaml::ConfigError> {
        let config: C::Config = crate::yaml::from_node(node)?;
        Ok(Connector::capabilities_of(self, &config))
    }

    fn lint_sync(&self, node: &Node, sync: &SyncConfig) -> Result<Vec<String>, crate::yaml::ConfigError> {
        let config: C::Config = crate::yaml::from_node(node)?;
        Ok(Connector::lint_sync(self, &config, sync))
    }

    fn local_paths(&self, node: &Node) -> Result<Vec<PathBuf>, crate::yaml::ConfigError> {
        let config: C::Config = crate::yaml::from_node(node)?;
        Ok(Connector::local_paths(self, &config))
    }

    fn connect(&self, node: &Node, context: &ConnectContext) -> Result<Arc<dyn Destination>> {
        let config: C::Config = crate::yaml::from_node(node)?;
        Connector::connect(self, config, context)
    }
}

/// Who claims a stream: one sync of one state store. Two projects that name their syncs alike differ in `store`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// Random id of the state store, made when the store was made.
    pub store: String,
    /// Name of the sync.
    pub sync: String,
}

/// What a destination remembers of a stream, in a row beside it; written by [`Destination::stamp`] and, within the
/// publishing transaction, by [`Writer::publish`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Whose stream it is.
    pub owner: Owner,
    /// The run that last stamped the stream.
    pub generation: u64,
    /// The run that last published, and how many batches it published; `None` before the first.
    pub published: Option<Published>,
    /// The physical identity of the table *now*, so that a dropped, recreated or truncated table shows: what stays while
    /// the table lives, a colon, and what a rewrite changes (PostgreSQL: oid and relfilenode). `None` where the table is
    /// absent.
    pub table: Option<String>,
    /// [`table`](Self::table) as it was at the last publication; another value now means that the table was dropped,
    /// recreated, truncated or rewritten since.
    pub published_table: Option<String>,
    /// Whether Tapline created the table.
    pub created: bool,
}

impl Marker {
    /// Whether another table stands under the stream's name than the one that was published into: that one was dropped.
    /// Rewriting or truncating a table leaves it the same one.
    pub fn is_another_table(&self) -> bool {
        let object = |table: &str| table.split(':').next().map(str::to_owned);
        match (&self.table, &self.published_table) {
            (Some(now), Some(then)) => object(now) != object(then),
            _ => false,
        }
    }
}

/// The last publication on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The run that published.
    pub generation: u64,
    /// How many batches: those with `seq < batches` are visible.
    pub batches: u64,
    /// [`Receipt::removed`](crate::Receipt::removed) of that publication.
    pub removed: u64,
}

/// A stream as it stands at the destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamInfo {
    /// Its full name.
    pub name: StreamName,
    /// Its fields, in order.
    pub fields: Vec<FieldInfo>,
}

/// A field of a destination stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldInfo {
    /// Name.
    pub name: String,
    /// Type in the destination's own words.
    pub data_type: String,
    /// Whether a row without it is refused.
    pub required: bool,
}

/// How a run changes a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// Only the rows written change.
    Incremental,
    /// Afterwards the stream equals the rows written, whoever wrote what was there: [`Op::Insert`](crate::Op::Insert)
    /// and [`Op::Update`](crate::Op::Update) act as [`Op::Upsert`](crate::Op::Upsert). A key that was written but
    /// rejected or retracted is no leftover: a row that is there under it stays as it was.
    Full {
        /// Rows that Tapline did not deliver may go.
        replace_existing: bool,
    },
}

/// What one run writes to.
#[derive(Debug, Clone)]
pub struct Target {
    /// The stream.
    pub stream: StreamName,
    /// Who writes; the marker must say the same.
    pub owner: Owner,
    /// The run's number; the marker must say the same when it publishes.
    pub generation: u64,
    /// The mapped fields: names and Arrow types.
    pub schema: SchemaRef,
    /// The key fields, a subset of the schema's names; empty only in a full refresh without a primary key.
    pub key: Vec<String>,
    /// How the stream changes.
    pub refresh: Refresh,
    /// Whether [`Writer::retract`] may be called. Where it is not, a new table can be loaded in place, which is faster.
    pub retractable: bool,
    /// Whether the publication may change the table so that it can take the fields: add columns, and give columns
    /// wider types where no value that is there changes. A change that would lose something is an error of
    /// [`Destination::open`].
    pub widen: bool,
    /// The share of the rows handed to [`Writer::write`], 0 to 1, that the destination may refuse before it gives up and
    /// changes nothing (`SYNC-007`, from [`Writer::publish`]); `None` where every row may be refused. Skipped rows are
    /// not refused; retracted rows count as written. After [`Writer::set_aside`] it is the share of the rows read, and
    /// those set aside count as refused.
    pub max_reject_ratio: Option<f64>,
}

/// Which rows of a stream to read back, and as what.
#[derive(Debug, Clone)]
pub struct ReadBack {
    /// The stream.
    pub stream: StreamName,
    /// The mapped fields: names and Arrow types that the rows are wanted in.
    pub schema: SchemaRef,
    /// The key fields, a subset of the schema's names.
    pub key: Vec<String>,
    /// Only the rows with these keys, a few thousand at most: the key fields in the order of `key`. Every row where absent.
    pub keys: Option<RecordBatch>,
}

/// Rows of a stream on their way back.
#[async_trait]
pub trait RowReader: Send {
    /// The next rows, in any order; `None` at the end. A batch holds the fields that can be given back exactly in the
    /// wanted type, in the order of the wanted schema and all nullable, and lacks the others; the next batch may lack
    /// others. The key fields are never lacking.
    async fn next(&mut self) -> Result<Option<RecordBatch>>;
}

/// A live connection to where rows go.
///
/// # Contract
/// - Every method may be called by several runs at once, for different streams.
/// - A stream has at most one marker. [`stamp`](Self::stamp) is the fence: after it returns, no run with a lower
///   generation can publish to the stream.
/// - Errors never carry secrets or cell values; a server's `DETAIL` is dropped.
#[async_trait]
pub trait Destination: Send + Sync {
    /// Where rows go, without secrets: kind, host, port, database. Part of the identity of what was delivered.
    fn identity(&self) -> String;

    /// Tests the connection step by step; stops at the first step that fails.
    async fn check(&self) -> Vec<CheckStep>;

    /// The streams that are there, for mapping.
    async fn streams(&self) -> Result<Vec<StreamInfo>>;

    /// The marker of a stream, `None` where there is none. Changes nothing.
    async fn marker(&self, stream: &StreamName) -> Result<Option<Marker>>;

    /// Whether the stream holds any row; `None` where the stream does not exist. Changes nothing.
    async fn holds_rows(&self, stream: &StreamName) -> Result<Option<bool>>;

    /// Waits out a publication in flight, then writes owner and generation into the marker in a committed
    /// transaction; makes the marker where it is absent, and keeps what it says of the last publication only where
    /// the owner stays the same. Sweeps away the stream's staging areas: those of earlier runs, and those of failed
    /// attempts of the same run, whose writers must not be used any more.
    ///
    /// A run stamps again with its own generation before it repeats an attempt. If the lost attempt had come as far as
    /// its commit, [`marker`](Self::marker) tells so afterwards, by the generation that is published.
    async fn stamp(&self, stream: &StreamName, owner: &Owner, generation: u64) -> Result<()>;

    /// The outcomes recorded beside the marker by the publication of `generation`, for recovery.
    async fn outcomes(&self, stream: &StreamName, generation: u64) -> Result<Vec<RowOutcome>>;

    /// Checks that the stream can take the target's fields (an existing table's columns, types, unique index), makes
    /// an invisible staging area, and returns the pen. Nothing becomes visible.
    async fn open(&self, target: Target) -> Result<Box<dyn Writer>>;

    /// Fails where the stream can never take such fields, as far as the settings alone tell: a template that names
    /// another field, for example. Touches nothing outside; [`open`](Self::open) finds the same.
    fn accepts(&self, stream: &StreamName, schema: &SchemaRef, key: &[String]) -> Result<()> {
        let _ = (stream, schema, key);
        Ok(())
    }

    /// Reads rows of the stream back, as a transaction of its own sees them; `None` where the stream does not exist or
    /// this kind of destination cannot be read. An error where a key field cannot be given back exactly. Changes nothing.
    async fn read(&self, rows: ReadBack) -> Result<Option<Box<dyn RowReader>>> {
        let _ = rows;
        Ok(None)
    }
}

/// One run's pen. Dropping it without [`publish`](Self::publish) leaves nothing visible; what it staged is swept by
/// [`abort`](Self::abort) or by the next [`Destination::stamp`].
#[async_trait]
pub trait Writer: Send {
    /// Takes a batch into the invisible staging area. Batches come in the order of `seq`.
    async fn write(&mut self, batch: ChangeBatch) -> Result<Receipt>;

    /// As [`write`](Self::write), and tells of every row whether it was delivered before, for destinations that have one
    /// request for a row that is new and another for one that has changed.
    async fn write_known(&mut self, batch: ChangeBatch, delivered_before: &[bool]) -> Result<Receipt> {
        let _ = delivered_before;
        self.write(batch).await
    }

    /// Tells, before the publication, how many rows were read, and how many of them were set aside before they came
    /// here: they count towards [`Target::max_reject_ratio`].
    fn set_aside(&mut self, rows: u64, read: u64) {
        let _ = (rows, read);
    }

    /// Takes rows back that were staged, such as all rows of a key that turned out to be duplicated. Rows that `write`
    /// rejected may be among them. An error unless [`Target::retractable`].
    async fn retract(&mut self, rows: &[RowId]) -> Result<()>;

    /// Makes everything staged visible in one step. `staged` are the rows per seq that must be there (without those
    /// that `write` rejected or that were retracted): a difference is an error and nothing changes. The marker must
    /// hold exactly the target's owner and generation. Applies deletes, then updates, then inserts; records every
    /// outcome other than applied beside the marker, those of `write` among them. The receipt is durable, and its
    /// outcomes are those that no receipt of `write` has named.
    async fn publish(&mut self, staged: &[u64]) -> Result<Receipt>;

    /// Where a publication is more than one step ([`Capabilities::transactional`] is false): sends on, and returns as
    /// soon as the destination has answered for more rows; `None` when it has answered for all of them. `staged` is
    /// that of [`publish`](Self::publish), which sends everything by this way.
    ///
    /// A future that is dropped loses nothing: the next call goes on. So it does after an error that may pass, and
    /// after such an error too there may be more to be learned by [`halt`](Self::halt).
    async fn deliver(&mut self, staged: &[u64]) -> Result<Option<Answer>> {
        let _ = staged;
        Err(Error::internal("a destination that publishes in one step was asked to deliver in several"))
    }

    /// Sends nothing more, waits some seconds at most for the answers to what is on its way, and returns them. What has
    /// no answer by then is unknown.
    async fn halt(&mut self) -> Answer {
        Answer::default()
    }

    /// Drops the staging area. Nothing has happened.
    async fn abort(&mut self) -> Result<()>;
}
