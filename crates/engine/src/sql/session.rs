//! The sandbox in which SQL runs: one source, read only, with limits on memory.
//! Not here: parsing (`parse`), files (`files`, `table`), what a run does with the rows (`run`).
//! Called by runs, `query`, `preview` and `discover`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Volatility};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::sqlparser::ast::Query as SqlQuery;
use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use tapline_core::{Error, FileCounts, Result, SourceReject, SourceRowCounts, codes};
use tapline_csv::{CsvOptions, TableFormat};
use tapline_storage::{FileEntry, Manifest};

use super::bind::{self, Bound, Surroundings};
use super::counters::ScanCounters;
use super::errors::{Widened, find, from_datafusion};
use super::files::{Access, Stores, TableFiles, partition_fields, pin_manifest, resolve};
use super::plan::{self, is_ordered, scanned_rows, scans_of};
use super::reader_options::{ReaderOptions, common_arguments};
use super::references::{Reference, Wanted, references, replace_references};
use super::table::{Description, FileTable, Known, TableKind};
use super::{functions, hidden, parse, prune, semantics};

/// Concurrency of reads follows latency, not cores: so many scans of a table are under way at once.
const SCAN_PARTITIONS: usize = 8;

/// Files of a stream that are looked into to describe it.
const DESCRIBED_FILES: usize = 256;

/// What one statement may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Memory of sorts, joins and groups before they spill, in bytes.
    pub memory_bytes: usize,
    /// Where they spill; the system's temporary folder without it.
    pub temp_dir: Option<PathBuf>,
    /// Rows of a record batch.
    pub batch_rows: usize,
    /// How long to wait for the next rows of a statement.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes: 1 << 30, temp_dir: None, batch_rows: 8192, patience: Duration::from_secs(3600) }
    }
}

/// What must stay the same when a statement is planned again: the listing, and how CSV files are read.
#[derive(Clone, Default)]
pub struct Pins {
    files: HashMap<String, TableFiles>,
    formats: HashMap<String, TableFormat>,
    earlier: HashMap<String, TableFormat>,
}

impl Pins {
    /// Pins that keep the types of CSV columns as an earlier run had them, by [`Query::formats`]. Which columns there are
    /// is looked up anew.
    pub fn with_types(earlier: HashMap<String, TableFormat>) -> Self {
        Self { earlier, ..Self::default() }
    }
}

/// A sandbox: the files of one source, or whatever the shell user may read.
pub struct Session {
    access: Access,
    limits: Limits,
    stores: Arc<Stores>,
    runtime: Arc<RuntimeEnv>,
    started: DateTime<Utc>,
}

impl Session {
    /// Opens a sandbox. Touches nothing outside yet.
    pub fn open(access: Access, limits: Limits) -> Result<Self> {
        let stores = Arc::new(Stores::default());
        let mode = limits
            .temp_dir
            .clone()
            .map_or(DiskManagerMode::OsTmpDirectory, |folder| DiskManagerMode::Directories(vec![folder]));
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(limits.memory_bytes)))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(mode))
            .with_object_store_registry(Arc::clone(&stores) as _)
            .build_arc()
            .map_err(|error| from_datafusion(&error, "preparing the query engine", &[]))?;
        Ok(Self { access, limits, stores, runtime, started: Utc::now() })
    }

    /// Parses, checks, lists files and plans. Reads footers and samples of CSV files.
    ///
    /// # Errors
    /// `SQL-…` for the statement, `S3-…` and `FILE-…` for the files.
    pub async fn query(&self, sql: &str) -> Result<Query> {
        self.query_pinned(sql, &mut Pins::default()).await
    }

    /// As [`query`](Self::query), with what `pins` holds taken as given; the rest is added to it.
    pub async fn query_pinned(&self, sql: &str, pins: &mut Pins) -> Result<Query> {
        let mut query = parse::parse(sql)?;
        let mut references: Vec<Reference> = Vec::new();
        replace_references(&mut query, |reference| {
            let index = references.iter().position(|known| *known == reference).unwrap_or_else(|| {
                references.push(reference);
                references.len() - 1
            });
            table_name(index)
        })?;
        let hidden = hidden::named(&mut query);
        let listed = self.files(&query, &references, &hidden, pins).await?;
        let context = self.context();
        let counters = Arc::new(ScanCounters::default());
        let mut tables = Vec::with_capacity(references.len());
        let mut described = Vec::new();
        for (index, (reference, files)) in references.iter().zip(listed).enumerate() {
            if reference.wanted != Wanted::Rows {
                described.push((table_name(index), self.about(reference, &files, &context.state()).await?));
                continue;
            }
            let key = key_of(reference);
            let description = self.description(reference, &hidden, pins)?;
            let state = context.state();
            let table =
                FileTable::describe(table_name(index), files, description, &state, Arc::clone(&counters)).await?;
            pins.files.insert(key.clone(), table.files.clone());
            if let TableKind::Csv { format, settled: false, .. } = &table.kind {
                pins.formats.insert(key.clone(), format.clone());
            }
            tables.push((key, table));
        }
        let shown: Vec<(String, String)> = references
            .iter()
            .enumerate()
            .map(|(index, reference)| (table_name(index), reference.patterns.join(", ")))
            .collect();
        let providers: Vec<(String, Arc<dyn TableProvider>)> = tables
            .iter()
            .map(|(_, table)| (table.name.clone(), Arc::new(table.clone()) as _))
            .chain(described)
            .collect();
        let hidden = tables.iter().map(|(_, table)| (table.name.as_str(), table.hidden.as_slice())).collect();
        hidden::hide(&mut query, &hidden);
        let plan = match plan::bound(sql, &query, &context, providers, &shown).await? {
            Ok(plan) => plan,
            Err(widened) => {
                // A column of a file is wider than its sample, which shows while the values of a PIVOT are looked up.
                for (key, table) in &tables {
                    if let (true, TableKind::Csv { format, .. }) = (table.name == widened.table, &table.kind) {
                        pins.formats.entry(key.clone()).or_insert_with(|| format.clone()).widen(&widened.widen);
                    }
                }
                return Box::pin(self.query_pinned(sql, pins)).await;
            }
        };
        Ok(Query {
            context,
            plan,
            tables,
            counters,
            stores: Arc::clone(&self.stores),
            shown,
            physical: Mutex::new(None),
            patience: self.limits.patience,
        })
    }

    /// Lists the files that a statement names, and nothing more.
    ///
    /// # Errors
    /// As [`query`](Self::query), as far as it comes.
    pub async fn list(&self, sql: &str) -> Result<Listing> {
        let mut query = parse::parse(sql)?;
        let references = references(&mut query)?;
        let mut digests = Vec::with_capacity(references.len());
        let mut files = FileCounts::default();
        for reference in &references {
            let (options, _) = ReaderOptions::read(reference)?;
            let found = resolve(&self.access, &self.stores, reference, &options).await?;
            files.listed += found.listed;
            files.skipped += found.skipped;
            digests.push(format!("{}={}", key_of(reference), found.digest));
        }
        Ok(Listing { digest: digests.join("\n"), files })
    }

    /// The files of each reference: those that `pins` hold, else a new listing without the files that the statement
    /// cannot want rows of.
    async fn files(
        &self,
        query: &SqlQuery,
        references: &[Reference],
        hidden: &[&'static str],
        pins: &Pins,
    ) -> Result<Vec<TableFiles>> {
        let mut listed = Vec::with_capacity(references.len());
        for reference in references {
            listed.push(match pins.files.get(&key_of(reference)) {
                Some(files) => files.clone(),
                None => {
                    let Description { reader, .. } = self.description(reference, hidden, pins)?;
                    resolve(&self.access, &self.stores, reference, &reader).await?
                }
            });
        }
        let may_be_pruned = |files: &TableFiles| files.files.len() > 1 && !files.partition_fields.is_empty();
        if listed.iter().any(may_be_pruned)
            && let Err(error) = self.prune(query, references, hidden, &mut listed).await
        {
            tracing::debug!("every file is read: {}", error.full_message());
        }
        Ok(listed)
    }

    /// Leaves out files by their names and folders. The statement is planned over the first file of each table for that, and
    /// once more over those that stay.
    async fn prune(
        &self,
        query: &SqlQuery,
        references: &[Reference],
        hidden: &[&'static str],
        listed: &mut [TableFiles],
    ) -> Result<()> {
        let failed = |error: DataFusionError| from_datafusion(&error, "planning the SQL", &[]);
        let context = self.context();
        let state = context.state();
        let mut tables: Vec<(String, Arc<dyn TableProvider>)> = Vec::with_capacity(references.len());
        for (index, (reference, files)) in references.iter().zip(listed.iter()).enumerate() {
            let mut files = files.clone();
            files.files.truncate(1);
            let description = self.description(reference, hidden, &Pins::default())?;
            let counters = Arc::new(ScanCounters::default());
            let table = FileTable::describe(table_name(index), files, description, &state, counters).await?;
            tables.push((table_name(index), Arc::new(table)));
        }
        let tables = scans_of(tables).map_err(failed)?;
        let surroundings = Surroundings { sql: "", state: &state, tables: &tables, shown: &[], pivots: &[] };
        // What has to be looked up first would be looked up in the first files alone.
        let Bound::Plan(plan) = bind::bind(query, &surroundings)? else { return Ok(()) };
        let scans = prune::scan_filters(&state.optimize(&plan).map_err(failed)?).map_err(failed)?;
        for (index, files) in listed.iter_mut().enumerate() {
            let name = table_name(index);
            if let Some(filters) = scans.get(&name) {
                prune::keep_wanted(files, filters, &name, &state).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// How the files of a reference are read.
    fn description(&self, reference: &Reference, hidden: &[&'static str], pins: &Pins) -> Result<Description> {
        let (reader, of_csv) = ReaderOptions::read(reference)?;
        let csv = self.csv_options(&of_csv)?;
        let key = key_of(reference);
        let known = match pins.formats.get(&key) {
            Some(format) => Known::Format(format.clone()),
            None => pins.earlier.get(&key).map_or(Known::Nothing, |earlier| Known::Types(earlier.clone())),
        };
        Ok(Description { reader: ReaderOptions { hidden: hidden.to_vec(), ..reader }, csv, known })
    }

    /// The columns of some files of a listing, and how they are read. Of many files only some are looked into.
    pub(crate) async fn describe_files(&self, bucket: &str, files: &[FileEntry]) -> Result<(SchemaRef, TableKind)> {
        let step = files.len().div_ceil(DESCRIBED_FILES).max(1);
        let chosen: Vec<FileEntry> = files.iter().step_by(step).cloned().collect();
        let part = Manifest { bucket: bucket.to_owned(), listed: chosen.len() as u64, files: chosen, skipped: 0 };
        let reader = ReaderOptions::default();
        let mut pinned = pin_manifest(&self.access, &self.stores, part, &reader)?;
        if step > 1 {
            pinned.partition_fields = partition_fields(bucket, files, &reader)?;
        }
        let files = pinned;
        let description =
            Description { reader, csv: self.csv_options(&serde_json::Map::new())?, known: Known::Nothing };
        let state = self.context().state();
        let counters = Arc::new(ScanCounters::default());
        let table = FileTable::describe(table_name(0), files, description, &state, counters).await?;
        Ok((Arc::clone(&table.schema), table.kind))
    }

    /// The settings of the source for CSV files.
    fn source_options(&self) -> CsvOptions {
        match &self.access {
            Access::Source(source) => source.config().csv.clone(),
            Access::Ambient { .. } => CsvOptions::default(),
        }
    }

    /// What is known of files, as a table: how CSV is written, or what the footers of Parquet say.
    async fn about(
        &self,
        reference: &Reference,
        files: &TableFiles,
        state: &SessionState,
    ) -> Result<Arc<dyn TableProvider>> {
        let batch = match reference.wanted {
            Wanted::Footers(footers) => {
                let mut read = Vec::with_capacity(files.files.len());
                for file in &files.files {
                    read.push(super::parquet::footer(files, file, state).await?);
                }
                super::footers::table(footers, &read)?
            }
            _ => super::csv_detect::sniff(files, &self.source_options(), &reference.options).await?,
        };
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]);
        Ok(Arc::new(table.map_err(|error| from_datafusion(&error, "planning the SQL", &[]))?))
    }

    /// The source's CSV settings, overlaid with the arguments of the reader function.
    fn csv_options(&self, arguments: &serde_json::Map<String, serde_json::Value>) -> Result<CsvOptions> {
        let base = self.source_options();
        if arguments.is_empty() {
            return Ok(base);
        }
        base.with_arguments(arguments).map_err(|error| {
            super::csv_scan::csv_error(error)
                .context("planning the SQL")
                .hint(format!("arguments of every reader function: {}", common_arguments()))
        })
    }

    /// A fresh session of the query engine over this sandbox's stores.
    pub(crate) fn context(&self) -> SessionContext {
        let mut config = SessionConfig::new()
            .with_target_partitions(SCAN_PARTITIONS)
            .with_batch_size(self.limits.batch_rows)
            .with_information_schema(false);
        let options = config.options_mut();
        // Scans are as parallel as files and latency allow; dealing their rows out anew would only lose the files' order.
        options.optimizer.enable_round_robin_repartition = false;
        options.sql_parser.enable_subquery_sort_elimination = false;
        options.execution.time_zone = Some("UTC".to_owned());
        options.execution.parquet.schema_force_view_types = false;
        let mut state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_default_features()
            .build();
        // Bound once, so that a scan that starts again sees the same clock.
        state.execution_props_mut().query_execution_start_time = Some(self.started);
        let context = SessionContext::new_with_state(state);
        functions::register(&context);
        semantics::register(&context);
        context
    }
}

fn too_long(patience: Duration) -> Error {
    let seconds = patience.as_secs();
    Error::new(codes::SQL_011, format!("running the SQL: no rows came within {seconds} seconds"))
        .hint("a recursive query may have no end; read fewer rows, or split the model")
}

fn table_name(index: usize) -> String {
    format!("tapline_file_{index}")
}

fn key_of(reference: &Reference) -> String {
    let reader = reference.reader.map_or("", tapline_storage::FileFormat::name);
    let options = serde_json::Value::Object(reference.options.clone());
    let wanted = match reference.wanted {
        Wanted::Rows => String::new(),
        other => format!("|{other:?}"),
    };
    format!("{}|{reader}|{options}{wanted}", reference.patterns.join("|"))
}

/// The files that a statement names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// As [`Query::manifest_digest`].
    pub digest: String,
    /// How many names were seen.
    pub files: FileCounts,
}

/// What a statement has read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanReport {
    /// Files.
    pub files: FileCounts,
    /// Bytes fetched from S3.
    pub bytes_read: u64,
    /// Rows and lines of the files.
    pub source_rows: SourceRowCounts,
}

/// Record batches of a statement, with Tapline's errors.
pub type BatchStream = std::pin::Pin<Box<dyn Stream<Item = Result<RecordBatch, StreamError>> + Send>>;

/// Why a stream of batches ended early.
#[derive(Debug)]
pub enum StreamError {
    /// A CSV value did not fit its inferred type; [`Query::widen`] and plan again.
    Widened(Box<Widened>),
    /// The statement failed.
    Failed(Error),
}

/// A planned statement.
pub struct Query {
    context: SessionContext,
    plan: LogicalPlan,
    tables: Vec<(String, FileTable)>,
    counters: Arc<ScanCounters>,
    stores: Arc<Stores>,
    shown: Vec<(String, String)>,
    physical: Mutex<Option<Arc<dyn ExecutionPlan>>>,
    patience: Duration,
}

impl Query {
    pub(super) fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    pub(super) fn context(&self) -> &SessionContext {
        &self.context
    }

    /// The columns of the result.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(self.plan.schema().inner())
    }

    /// The tables that the statement reads.
    pub fn tables(&self) -> impl Iterator<Item = &FileTable> {
        self.tables.iter().map(|(_, table)| table)
    }

    /// Stops after so many rows.
    pub fn limit(mut self, rows: usize) -> Result<Self> {
        self.plan = LogicalPlanBuilder::from(self.plan)
            .limit(0, Some(rows))
            .and_then(LogicalPlanBuilder::build)
            .map_err(|error| from_datafusion(&error, "planning the SQL", &self.shown))?;
        Ok(self)
    }

    /// Keeps the rows whose column at `index` is at least `bound`, or NULL: the model as a sub-select, whatever its shape.
    pub(crate) fn at_or_past(mut self, index: usize, bound: ScalarValue) -> Result<Self> {
        let column = Expr::Column(Column::from(self.plan.schema().qualified_field(index)));
        let kept = column.clone().gt_eq(Expr::Literal(bound, None)).or(column.is_null());
        self.plan = LogicalPlanBuilder::from(self.plan)
            .filter(kept)
            .and_then(LogicalPlanBuilder::build)
            .map_err(|error| from_datafusion(&error, "planning the SQL", &self.shown))?;
        Ok(self)
    }

    /// Makes sure that the same files give the same rows, whenever they are read.
    ///
    /// # Errors
    /// `SYNC-008` where the model picks rows by chance: LIMIT without ORDER BY, or a random number.
    pub(crate) fn require_determined(&self) -> Result<()> {
        let mut reason = None;
        let visited = self.plan.apply_with_subqueries(|node| {
            if let LogicalPlan::Limit(limit) = node
                && !is_ordered(&limit.input)
            {
                reason = Some("LIMIT without ORDER BY gives any rows");
            }
            node.apply_expressions(|expr| {
                expr.apply(|inner| {
                    if let Expr::ScalarFunction(function) = inner
                        && function.func.signature().volatility == Volatility::Volatile
                    {
                        reason = Some("a function gives other values every time");
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        });
        visited.map_err(|error| from_datafusion(&error, "planning the SQL", &self.shown))?;
        match reason {
            None => Ok(()),
            Some(reason) => Err(Error::new(
                codes::SYNC_008,
                format!("`deletes: propagate` needs a model whose rows are determined, and {reason}"),
            )
            .hint("order by columns that are unique together, or take `deletes: propagate` out of the sync")),
        }
    }

    /// Whether no CSV type can turn out to be too narrow, so that batches are final as they come.
    pub fn is_settled(&self) -> bool {
        self.tables().all(|table| !matches!(table.kind, TableKind::Csv { settled: false, .. }))
    }

    /// How CSV files are read, to be pinned for later runs.
    pub fn formats(&self) -> HashMap<String, TableFormat> {
        self.tables
            .iter()
            .filter_map(|(key, table)| match &table.kind {
                TableKind::Csv { format, .. } => Some((key.clone(), format.clone())),
                _ => None,
            })
            .collect()
    }

    /// A digest over all files: equal digests mean equal files.
    pub fn manifest_digest(&self) -> String {
        let digests: Vec<String> =
            self.tables.iter().map(|(key, table)| format!("{key}={}", table.files.digest)).collect();
        digests.join("\n")
    }

    /// Bytes of all files, as they lie in S3.
    pub fn bytes_total(&self) -> u64 {
        self.tables().map(FileTable::bytes).sum()
    }

    /// Records in `pins` that columns need a wider type.
    pub fn widen(&self, widened: &Widened, pins: &mut Pins) {
        for (key, table) in &self.tables {
            if let (true, TableKind::Csv { format, .. }) = (table.name == widened.table, &table.kind) {
                let format = pins.formats.entry(key.clone()).or_insert_with(|| format.clone());
                format.widen(&widened.widen);
            }
        }
    }

    /// Whether two executions over the same files may give different rows: a clock or a random number in the plan.
    pub fn is_volatile(&self) -> bool {
        let mut volatile = false;
        let visited = self.plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|inner| {
                    if let Expr::ScalarFunction(function) = inner
                        && function.func.signature().volatility != Volatility::Immutable
                    {
                        volatile = true;
                        return Ok(TreeNodeRecursion::Stop);
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        });
        volatile || visited.is_err()
    }

    /// Executes the statement.
    pub async fn stream(&self) -> Result<BatchStream> {
        let shown = self.shown.clone();
        let executed = async {
            let frame = self.context.execute_logical_plan(self.plan.clone()).await?;
            let tasks = Arc::new(frame.task_ctx());
            let plan = frame.create_physical_plan().await?;
            *self.physical.lock() = Some(Arc::clone(&plan));
            execute_stream(plan, tasks)
        };
        let stream = executed.await.map_err(|error| from_datafusion(&error, "running the SQL", &shown))?;
        let patience = self.patience;
        Ok(Box::pin(futures::stream::unfold(Some(stream), move |stream| {
            let shown = shown.clone();
            async move {
                let mut stream = stream?;
                match tokio::time::timeout(patience, stream.next()).await {
                    Ok(Some(Ok(batch))) => Some((Ok(batch), Some(stream))),
                    Ok(Some(Err(error))) => {
                        let error = match find::<Widened>(&error) {
                            Some(widened) => StreamError::Widened(Box::new(widened.clone())),
                            None => StreamError::Failed(from_datafusion(&error, "running the SQL", &shown)),
                        };
                        Some((Err(error), Some(stream)))
                    }
                    Ok(None) => None,
                    Err(_) => Some((Err(StreamError::Failed(too_long(patience))), None)),
                }
            }
        })))
    }

    /// What has been read so far; live while the stream is.
    pub fn scan(&self) -> ScanReport {
        let mut source_rows = self.counters.rows();
        source_rows.read += self.physical.lock().as_ref().map_or(0, scanned_rows);
        ScanReport {
            files: FileCounts {
                listed: self.tables().map(|table| table.files.listed).sum(),
                read: self.counters.files_read(),
                skipped: self.tables().map(|table| table.files.skipped).sum(),
            },
            bytes_read: self.stores.bytes_read(),
            source_rows,
        }
    }

    /// The lines that could not be read so far; the first 10,000.
    pub fn source_rejects(&self) -> Vec<SourceReject> {
        self.counters.rejects()
    }
}
