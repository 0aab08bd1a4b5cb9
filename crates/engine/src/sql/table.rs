//! A table made of files: its columns, and the scan of them.
//! Not here: which files (`files`), the columns of one file (`parquet`, `ndjson`), decoding text (`csv_scan`,
//! `ndjson_scan`).
//! Called by the session, which describes tables and registers them with the query engine.

use std::sync::Arc;

use ::parquet::arrow::RowNumber;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session as CatalogSession, TableProvider};
use datafusion::datasource::TableType;
use datafusion::datasource::file_format::FileFormat as EngineFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result as EngineResult;
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::expressions::Column as ColumnExpr;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::streaming::StreamingTableExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{StreamExt, TryStreamExt};
use tapline_core::{Error, Result, codes};
use tapline_csv::{CsvColumn, CsvOptions, TableFormat};
use tapline_storage::FileFormat;

use super::counters::ScanCounters;
use super::csv_detect::{detect, keep_types};
use super::csv_scan::{CsvPartition, CsvTable, OutputColumn};
use super::files::{TableFile, TableFiles};
use super::guard::GuardedExec;
use super::ndjson_scan::{self, NdjsonPartition, NdjsonTable};
use super::parquet::{self, FileColumn, ReadAs, Reading};
use super::prune::decided_by;
use super::reader_options::{FILE_ROW_NUMBER, FILENAME, ReaderOptions};
use super::spans;
use super::unite::unite;

/// Requests in flight while footers and samples are fetched.
pub(super) const CONCURRENCY: usize = 16;

/// How the files of a table are read.
#[derive(Debug, Clone)]
pub enum TableKind {
    /// CSV, with the dialect and types that were detected or pinned.
    Csv {
        /// Dialect and columns.
        format: TableFormat,
        /// Settings of the source, overlaid with those of the reader function.
        options: Box<CsvOptions>,
        /// Why the dialect was chosen; empty where it was pinned.
        reasons: Vec<String>,
        /// Whether every byte was looked at, so that no type can turn out to be too narrow.
        settled: bool,
    },
    /// Parquet.
    Parquet,
    /// One JSON object per line.
    Ndjson,
}

/// What is known of a CSV table before its files are looked at.
pub enum Known {
    /// Nothing.
    Nothing,
    /// The types that columns had in an earlier run; which columns there are is open.
    Types(TableFormat),
    /// Everything: this run has looked before.
    Format(TableFormat),
}

/// What a reference says about its files, and what is known of them before they are looked at.
pub struct Description {
    /// The reader function's arguments.
    pub(crate) reader: ReaderOptions,
    /// How CSV files are read.
    pub(crate) csv: CsvOptions,
    /// What is known of a CSV table.
    pub(crate) known: Known,
}

/// A column of a table.
#[derive(Debug, Clone)]
struct TableColumn {
    field: FieldRef,
    origin: Origin,
    reading: Reading,
}

/// Where a column of a table comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Position among the columns of the files.
    File(usize),
    /// The number of the row in its file.
    RowNumber,
    /// Position among the values that are the same for all rows of a file.
    Constant(usize),
}

/// A table of files with its columns.
#[derive(Clone)]
pub struct FileTable {
    /// Its name in the session.
    pub name: String,
    /// The files.
    pub files: TableFiles,
    /// How they are read.
    pub kind: TableKind,
    /// The columns: those of the files, then those that their places give them.
    pub schema: SchemaRef,
    /// Names of columns that are there only when they are named.
    pub hidden: Vec<&'static str>,
    /// Columns found in the files.
    file_schema: SchemaRef,
    columns: Vec<TableColumn>,
    counters: Arc<ScanCounters>,
}

impl std::fmt::Debug for FileTable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FileTable").field("name", &self.name).field("files", &self.files.files.len()).finish()
    }
}

impl FileTable {
    /// Finds out the columns of the files: from every Parquet footer, from all lines of JSON, or from samples of CSV files,
    /// as far as they are not known.
    ///
    /// # Errors
    /// `FILE-001…005` naming the file, and whatever reading meets.
    pub async fn describe(
        name: String,
        files: TableFiles,
        description: Description,
        state: &dyn CatalogSession,
        counters: Arc<ScanCounters>,
    ) -> Result<Self> {
        let Description { reader, csv, known } = description;
        let (kind, found) = match single_format(&files)? {
            FileFormat::Csv => {
                let (format, reasons, settled) = match known {
                    Known::Format(format) => (format, Vec::new(), false),
                    Known::Types(earlier) => {
                        let (mut format, reasons, _) = detect(&files, &csv).await?;
                        keep_types(&mut format, &earlier);
                        (format, reasons, false)
                    }
                    Known::Nothing => detect(&files, &csv).await?,
                };
                let schema = format.schema();
                let tagged = |(field, column): (&FieldRef, &CsvColumn)| FileColumn {
                    reading: column.data_type.tag().map_or(Reading::Plain, Reading::Tagged),
                    ..plain(field)
                };
                let columns = schema.fields().iter().zip(&format.columns).map(tagged).collect();
                (TableKind::Csv { format, options: Box::new(csv), reasons, settled }, columns)
            }
            FileFormat::Parquet => {
                let found = each_file(&files, async |file| {
                    parquet::columns(&files, file, reader.binary_as_string, state).await
                });
                (TableKind::Parquet, united(&files, found.await?, reader.union_by_name)?)
            }
            FileFormat::Ndjson => (TableKind::Ndjson, ndjson_scan::columns(&files).await?.iter().map(plain).collect()),
        };
        let (columns, hidden) = table_columns(&found, &files, &reader, &kind)?;
        let file_schema = Arc::new(Schema::new(found.into_iter().map(|column| column.field).collect::<Vec<_>>()));
        let schema = Arc::new(Schema::new(columns.iter().map(|column| Arc::clone(&column.field)).collect::<Vec<_>>()));
        Ok(Self { name, files, kind, schema, hidden, file_schema, columns, counters })
    }

    /// Bytes of all files, as they lie in the store.
    pub fn bytes(&self) -> u64 {
        self.files.files.iter().map(|file| file.meta.size).sum()
    }

    /// The rows of one file alone, in the order of the file, with all columns of the table.
    pub(crate) async fn scan_one(&self, file: usize, state: &SessionState) -> EngineResult<SendableRecordBatchStream> {
        let mut one = self.clone();
        one.files.files = vec![self.files.files[file].clone()];
        one.counters = Arc::new(ScanCounters::default());
        let config = state.config().clone().with_target_partitions(1);
        let state = SessionStateBuilder::new_from_existing(state.clone()).with_config(config).build();
        let plan = one.scan(&state, None, &[], None).await?;
        execute_stream(plan, state.task_ctx())
    }

    /// The columns of a scan.
    fn wanted(&self, projection: Option<&Vec<usize>>) -> Vec<&TableColumn> {
        match projection {
            Some(indices) => indices.iter().map(|index| &self.columns[*index]).collect(),
            None => self.columns.iter().collect(),
        }
    }

    /// Which columns of the files a scan decodes, and where each of its columns comes from.
    fn outputs(wanted: &[&TableColumn]) -> (Vec<usize>, Vec<OutputColumn>) {
        let mut decoded = Vec::new();
        let outputs = wanted
            .iter()
            .filter_map(|column| match column.origin {
                Origin::File(index) => {
                    decoded.push(index);
                    Some(OutputColumn::Decoded(decoded.len() - 1))
                }
                Origin::Constant(index) => Some(OutputColumn::Partition(index)),
                Origin::RowNumber => None,
            })
            .collect();
        (decoded, outputs)
    }

    fn scan_csv(
        &self,
        format: &TableFormat,
        options: &CsvOptions,
        projection: Option<&Vec<usize>>,
        state: &dyn CatalogSession,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let schema = datafusion::common::project_schema(&self.schema, projection)?;
        let (columns, outputs) = Self::outputs(&self.wanted(projection));
        let table = Arc::new(CsvTable {
            name: self.name.clone(),
            store: Arc::clone(&self.files.store),
            format: format.clone(),
            options: options.clone(),
            counters: Arc::clone(&self.counters),
        });
        // One stream, so that rows come in the order of the files; what is read at the same time is the stream's own business.
        let stream = CsvPartition {
            table,
            files: self.files.files.clone(),
            columns,
            outputs,
            schema: Arc::clone(&schema),
            batch_rows: state.config().batch_size(),
            ahead: state.config().target_partitions(),
        };
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![Arc::new(stream)], None, None, false, None)?))
    }

    fn scan_ndjson(
        &self,
        projection: Option<&Vec<usize>>,
        state: &dyn CatalogSession,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let schema = datafusion::common::project_schema(&self.schema, projection)?;
        let (decoded, outputs) = Self::outputs(&self.wanted(projection));
        let table = Arc::new(NdjsonTable {
            store: Arc::clone(&self.files.store),
            decoded: Arc::new(self.file_schema.project(&decoded)?),
            outputs,
            schema: Arc::clone(&schema),
            batch_rows: state.config().batch_size(),
            counters: Arc::clone(&self.counters),
        });
        let streams = distribute(&self.files.files, state.config().target_partitions())
            .into_iter()
            .map(|files| Arc::new(NdjsonPartition { table: Arc::clone(&table), files }) as _)
            .collect();
        Ok(Arc::new(StreamingTableExec::try_new(schema, streams, None, None, false, None)?))
    }

    async fn scan_parquet(
        &self,
        state: &dyn CatalogSession,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let wanted = self.wanted(projection);
        let row_number = Field::new(FILE_ROW_NUMBER, DataType::Int64, false).with_extension_type(RowNumber);
        let has_row_number = wanted.iter().any(|column| column.origin == Origin::RowNumber);
        let has_spans = self.columns.iter().any(|column| column.reading == Reading::Spans);
        let file_schema = if has_spans { self.schema_with_bytes() } else { Arc::clone(&self.file_schema) };
        let table_schema = TableSchema::builder(file_schema)
            .with_table_partition_cols(self.files.partition_fields.clone())
            .with_virtual_columns(has_row_number.then(|| Arc::new(row_number)).into_iter().collect::<Vec<_>>())
            .build();
        let (of_files, of_places) = (self.file_schema.fields().len(), self.files.partition_fields.len());
        let indices = wanted
            .iter()
            .map(|column| match column.origin {
                Origin::File(index) => index,
                Origin::Constant(index) => of_files + index,
                Origin::RowNumber => of_files + of_places,
            })
            .collect();
        let groups = distribute(&self.files.files, state.config().target_partitions())
            .into_iter()
            .map(|files| {
                FileGroup::new(
                    files
                        .into_iter()
                        .map(|file| {
                            self.counters.open(&file.url);
                            PartitionedFile::new_from_meta(file.meta).with_partition_values(file.partition_values)
                        })
                        .collect(),
                )
            })
            .collect();
        let format = parquet::format();
        let source = format.file_source(table_schema);
        let config = FileScanConfigBuilder::new(self.files.store_url.clone(), source)
            .with_file_groups(groups)
            .with_projection_indices(Some(indices))?
            .with_limit(limit)
            .build();
        let scan = format.create_physical_plan(state, config).await?;
        let scan = if has_spans { spans::read_as_bytes(scan)? } else { scan };
        let scan: Arc<dyn ExecutionPlan> = Arc::new(GuardedExec::new(scan, self.what_is_read().into()));
        let as_they_are =
            wanted.iter().all(|column| column.reading == Reading::Plain && column.origin != Origin::RowNumber);
        if as_they_are {
            return Ok(scan);
        }
        let source = scan.schema();
        let expressions = wanted.iter().enumerate().map(|(index, column)| {
            let input = Arc::new(ColumnExpr::new(source.field(index).name(), index));
            let name = column.field.name().clone();
            match (column.reading, column.origin) {
                (Reading::Plain, Origin::File(_) | Origin::Constant(_)) => ProjectionExpr::new(input, name),
                (reading, _) => {
                    let field = Arc::clone(&column.field);
                    ProjectionExpr::new(Arc::new(ReadAs { input, reading, field }), name)
                }
            }
        });
        Ok(Arc::new(ProjectionExec::try_new(expressions, scan)?))
    }

    /// The files' columns with intervals as the bytes that they are read as.
    fn schema_with_bytes(&self) -> SchemaRef {
        let mut fields: Vec<FieldRef> = self.file_schema.fields().iter().cloned().collect();
        for column in self.columns.iter().filter(|column| column.reading == Reading::Spans) {
            if let Origin::File(index) = column.origin {
                let data_type = spans::as_bytes(fields[index].data_type());
                fields[index] = Arc::new(fields[index].as_ref().clone().with_data_type(data_type));
            }
        }
        Arc::new(Schema::new(fields))
    }

    /// The files in words, for errors that cannot tell which one it was.
    fn what_is_read(&self) -> String {
        match self.files.files.as_slice() {
            [] => String::new(),
            [one] => one.url.clone(),
            [first, ..] => format!("{} files, the first of which is {}", self.files.files.len(), first.url),
        }
    }
}

/// The columns of a table, and the names of those that are only there when they are named.
fn table_columns(
    found: &[FileColumn],
    files: &TableFiles,
    reader: &ReaderOptions,
    kind: &TableKind,
) -> Result<(Vec<TableColumn>, Vec<&'static str>)> {
    let mut columns: Vec<TableColumn> = found
        .iter()
        .enumerate()
        .map(|(index, column)| TableColumn {
            field: column.reading.field(&column.field),
            origin: Origin::File(index),
            reading: column.reading,
        })
        .collect();
    let position = |columns: &[TableColumn], name: &str| {
        columns.iter().position(|column| column.field.name().eq_ignore_ascii_case(name))
    };
    let mut hidden = Vec::new();
    let is_parquet = matches!(kind, TableKind::Parquet);
    let row_number_if_named = reader.hidden.contains(&FILE_ROW_NUMBER) && !reader.file_row_number;
    let taken = position(&columns, FILE_ROW_NUMBER).is_some();
    if is_parquet && (reader.file_row_number || (row_number_if_named && !taken)) {
        if taken {
            return Err(already_there("file_row_number", FILE_ROW_NUMBER));
        }
        let field = Arc::new(Field::new(FILE_ROW_NUMBER, DataType::Int64, true));
        columns.push(TableColumn { field, origin: Origin::RowNumber, reading: Reading::Plain });
        hidden.extend(row_number_if_named.then_some(FILE_ROW_NUMBER));
    }
    let filename_if_named = reader.hidden.contains(&FILENAME) && reader.filename.is_none();
    let has_filename = filename_if_named || reader.filename.is_some();
    for (index, field) in files.partition_fields.iter().enumerate() {
        let column = TableColumn { field: Arc::clone(field), origin: Origin::Constant(index), reading: Reading::Plain };
        match (position(&columns, field.name()), has_filename && index == 0) {
            (None, true) => {
                columns.push(column);
                hidden.extend(filename_if_named.then_some(FILENAME));
            }
            (None, false) => columns.push(column),
            (Some(_), true) if filename_if_named => {}
            (Some(_), true) => return Err(already_there("filename", field.name())),
            // What the folder says counts, as in DuckDB, under the name that the column has in the files.
            (Some(there), false) => {
                let name = columns[there].field.name().clone();
                columns[there] = TableColumn { field: Arc::new(field.as_ref().clone().with_name(name)), ..column };
            }
        }
    }
    Ok((columns, hidden))
}

fn already_there(option: &str, column: &str) -> Error {
    Error::new(
        codes::SQL_005,
        format!("planning the SQL: {option} adds the column {column}, which the files have already"),
    )
    .hint("give it another name, as in filename = 'origin', or leave it out")
}

fn plain(field: &FieldRef) -> FileColumn {
    FileColumn { field: Arc::clone(field), reading: Reading::Plain, exact_as_double: false }
}

/// Looks into all files, some at a time.
async fn each_file(
    files: &TableFiles,
    look: impl AsyncFn(&TableFile) -> Result<Vec<FileColumn>>,
) -> Result<Vec<Vec<FileColumn>>> {
    let look = &look;
    futures::stream::iter(&files.files).map(async |file| look(file).await).buffered(CONCURRENCY).try_collect().await
}

/// The columns of all files; what single files have beside or other than them is told.
fn united(files: &TableFiles, found: Vec<Vec<FileColumn>>, by_name: bool) -> Result<Vec<FileColumn>> {
    let found: Vec<(&str, Vec<FileColumn>)> = files.files.iter().map(|file| file.url.as_str()).zip(found).collect();
    let (columns, notes) = unite(&found, by_name)?;
    for note in notes {
        tracing::warn!("{note}");
    }
    Ok(columns)
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn CatalogSession,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        if self.files.files.is_empty() || self.files.unread {
            let schema = datafusion::common::project_schema(&self.schema, projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        match &self.kind {
            TableKind::Csv { format, options, .. } => self.scan_csv(format, options, projection, state),
            TableKind::Ndjson => self.scan_ndjson(projection, state),
            TableKind::Parquet => self.scan_parquet(state, projection, limit).await,
        }
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> EngineResult<Vec<TableProviderFilterPushDown>> {
        // Row groups are pruned by their statistics, files by their folders; every row is filtered again above the scan.
        let places = Schema::new(self.files.partition_fields.clone());
        let answer = |filter: &&Expr| {
            if matches!(self.kind, TableKind::Parquet) || decided_by(filter, &places) {
                TableProviderFilterPushDown::Inexact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
        };
        Ok(filters.iter().map(answer).collect())
    }
}

/// Deals files to at most `partitions` groups, the largest first, so that the groups end at about the same time.
/// Within a group files keep their order.
fn distribute(files: &[TableFile], partitions: usize) -> Vec<Vec<TableFile>> {
    let count = partitions.clamp(1, files.len().max(1));
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(files[*index].meta.size));
    let mut loads = vec![(0_u64, Vec::new()); count];
    for index in order {
        if let Some(group) = loads.iter_mut().min_by_key(|(load, _)| *load) {
            group.0 += files[index].meta.size + 1;
            group.1.push(index);
        }
    }
    loads
        .into_iter()
        .map(|(_, mut indices)| {
            indices.sort_unstable();
            indices.into_iter().map(|index| files[index].clone()).collect()
        })
        .collect()
}

fn single_format(files: &TableFiles) -> Result<FileFormat> {
    let Some(first) = files.files.first() else { return Ok(FileFormat::Parquet) };
    match files.files.iter().find(|file| file.format != first.format) {
        None => Ok(first.format),
        Some(other) => Err(Error::new(
            codes::FILE_003,
            format!(
                "one table holds files of different types: {} is {}, {} is {}",
                first.url, first.format, other.url, other.format
            ),
        )
        .hint("name the files of one type with a pattern such as *.csv")),
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectMeta;
    use object_store::path::Path;

    use super::*;

    fn file(name: &str, size: u64) -> TableFile {
        TableFile {
            url: name.to_owned(),
            meta: ObjectMeta {
                location: Path::from(name),
                last_modified: chrono::DateTime::UNIX_EPOCH,
                size,
                e_tag: None,
                version: None,
            },
            format: FileFormat::Csv,
            partition_values: Vec::new(),
        }
    }

    #[test]
    fn every_file_is_dealt_once_and_loads_are_even() {
        let files: Vec<TableFile> =
            [100, 1, 1, 98, 2].iter().enumerate().map(|(index, size)| file(&index.to_string(), *size)).collect();
        let groups = distribute(&files, 2);
        let mut names: Vec<&str> = groups.iter().flatten().map(|file| file.url.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["0", "1", "2", "3", "4"]);
        let loads: Vec<u64> = groups.iter().map(|group| group.iter().map(|file| file.meta.size).sum()).collect();
        assert!(loads.iter().all(|load| (95..=107).contains(load)), "{loads:?}");
        assert_eq!(distribute(&files[..1], 8).len(), 1);
    }
}
