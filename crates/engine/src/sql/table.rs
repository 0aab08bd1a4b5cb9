//! A table made of files: its columns, and the scan of them.
//! Not here: which files (`files`), decoding CSV (`csv_scan`).
//! Called by the session, which describes tables and registers them with the query engine.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Fields, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session as CatalogSession, TableProvider};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::TableType;
use datafusion::datasource::file_format::FileFormat as EngineFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result as EngineResult;
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::streaming::StreamingTableExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use tapline_core::{Error, Result, codes};
use tapline_csv::{Compression, CsvOptions, Sample, TableFormat};
use tapline_storage::FileFormat;

use super::counters::ScanCounters;
use super::csv_scan::{CsvPartition, CsvTable, OutputColumn, csv_error};
use super::errors::from_datafusion;
use super::files::{TableFile, TableFiles};

/// Bytes of a CSV file that detection looks at.
const SAMPLE_BYTES: u64 = 1 << 20;
/// Files of a CSV table that detection looks at.
const SAMPLED_FILES: usize = 32;
/// Requests in flight while footers and samples are fetched.
const CONCURRENCY: usize = 16;
/// The last bytes of a Parquet file that the first request fetches; most footers fit.
const FOOTER_HINT: usize = 64 << 10;

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

/// A table of files with its columns.
#[derive(Clone)]
pub struct FileTable {
    /// Its name in the session.
    pub name: String,
    /// The files.
    pub files: TableFiles,
    /// How they are read.
    pub kind: TableKind,
    /// Columns found in the files.
    pub file_schema: SchemaRef,
    /// Those, then the partition columns.
    pub schema: SchemaRef,
    counters: Arc<ScanCounters>,
}

impl std::fmt::Debug for FileTable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FileTable").field("name", &self.name).field("files", &self.files.files.len()).finish()
    }
}

impl FileTable {
    /// Finds out the columns of the files: from every Parquet footer, or from samples of CSV files, as far as they are
    /// not `known`.
    ///
    /// # Errors
    /// `FILE-001…005` naming the file, and whatever reading meets.
    pub async fn describe(
        name: String,
        files: TableFiles,
        options: CsvOptions,
        known: Known,
        state: &dyn CatalogSession,
        counters: Arc<ScanCounters>,
    ) -> Result<Self> {
        let format = single_format(&files)?;
        let (kind, file_schema) = match format {
            FileFormat::Csv => {
                let (format, reasons, settled) = match known {
                    Known::Format(format) => (format, Vec::new(), false),
                    Known::Types(earlier) => {
                        let (mut format, reasons, _) = detect(&files, &options).await?;
                        keep_types(&mut format, &earlier);
                        (format, reasons, false)
                    }
                    Known::Nothing => detect(&files, &options).await?,
                };
                let schema = format.schema();
                (TableKind::Csv { format, options: Box::new(options), reasons, settled }, schema)
            }
            FileFormat::Parquet => {
                (TableKind::Parquet, schema_of_all(&files, state, &parquet_format(), codes::FILE_001).await?)
            }
            FileFormat::Ndjson => {
                (TableKind::Ndjson, schema_of_all(&files, state, &json_format(&files)?, codes::FILE_005).await?)
            }
        };
        // A column of the file hides a folder of the same name, as long as both agree on nothing else.
        let partition_fields: Vec<FieldRef> = files
            .partition_fields
            .iter()
            .filter(|field| !file_schema.fields().iter().any(|column| column.name().eq_ignore_ascii_case(field.name())))
            .cloned()
            .collect();
        let mut files = files;
        keep_partitions(&mut files, &partition_fields);
        let columns: Fields = file_schema.fields().iter().chain(&partition_fields).cloned().collect();
        let schema = Arc::new(Schema::new(columns));
        Ok(Self { name, files, kind, file_schema, schema, counters })
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

    fn engine_format(&self) -> Result<Arc<dyn EngineFormat>> {
        Ok(match self.kind {
            TableKind::Ndjson => Arc::new(json_format(&self.files)?),
            _ => Arc::new(parquet_format()),
        })
    }

    fn scan_csv(
        &self,
        format: &TableFormat,
        options: &CsvOptions,
        projection: Option<&Vec<usize>>,
        partitions: usize,
        batch_rows: usize,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let wanted = projection.unwrap_or(&all);
        let schema = Arc::new(self.schema.project(wanted)?);
        let file_columns = self.file_schema.fields().len();
        let columns: Vec<usize> = wanted.iter().copied().filter(|index| *index < file_columns).collect();
        let mut decoded = 0;
        let outputs: Vec<OutputColumn> = wanted
            .iter()
            .map(|index| {
                if *index < file_columns {
                    decoded += 1;
                    OutputColumn::Decoded(decoded - 1)
                } else {
                    OutputColumn::Partition(index - file_columns)
                }
            })
            .collect();
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
            batch_rows,
            ahead: partitions,
        };
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![Arc::new(stream)], None, None, false, None)?))
    }

    async fn scan_files(
        &self,
        state: &dyn CatalogSession,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let partition_fields: Vec<FieldRef> =
            self.schema.fields().iter().skip(self.file_schema.fields().len()).cloned().collect();
        let table_schema =
            TableSchema::builder(Arc::clone(&self.file_schema)).with_table_partition_cols(partition_fields).build();
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
        let format = self.engine_format().map_err(super::errors::carry)?;
        let source = format.file_source(table_schema);
        let config = FileScanConfigBuilder::new(self.files.store_url.clone(), source)
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_file_compression_type(compression_of(&self.files).map_err(super::errors::carry)?)
            .build();
        format.create_physical_plan(state, config).await
    }
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
        if self.files.files.is_empty() {
            let schema = datafusion::common::project_schema(&self.schema, projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        match &self.kind {
            TableKind::Csv { format, options, .. } => {
                let partitions = state.config().target_partitions();
                self.scan_csv(format, options, projection, partitions, state.config().batch_size())
            }
            TableKind::Parquet | TableKind::Ndjson => self.scan_files(state, projection, limit).await,
        }
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> EngineResult<Vec<TableProviderFilterPushDown>> {
        // Row groups are pruned by their statistics; every row is filtered again above the scan.
        let answer = match self.kind {
            TableKind::Parquet => TableProviderFilterPushDown::Inexact,
            _ => TableProviderFilterPushDown::Unsupported,
        };
        Ok(vec![answer; filters.len()])
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

fn keep_partitions(files: &mut TableFiles, kept: &[FieldRef]) {
    if kept.len() == files.partition_fields.len() {
        return;
    }
    let indices: Vec<usize> = kept
        .iter()
        .filter_map(|field| files.partition_fields.iter().position(|candidate| candidate.name() == field.name()))
        .collect();
    for file in &mut files.files {
        file.partition_values = indices.iter().map(|index| file.partition_values[*index].clone()).collect();
    }
    files.partition_fields = kept.to_vec();
}

fn parquet_format() -> ParquetFormat {
    let mut options = TableParquetOptions::default();
    options.global.schema_force_view_types = false;
    // INT96 is a timestamp in microseconds, as DuckDB reads it.
    options.global.coerce_int96 = Some("us".to_owned());
    options.global.metadata_size_hint = Some(FOOTER_HINT);
    ParquetFormat::new().with_options(options)
}

fn json_format(files: &TableFiles) -> Result<JsonFormat> {
    Ok(JsonFormat::default().with_file_compression_type(compression_of(files)?))
}

/// The compression of NDJSON files by their suffix; Parquet compresses inside.
fn compression_of(files: &TableFiles) -> Result<FileCompressionType> {
    let of = |file: &TableFile| match file.format {
        FileFormat::Ndjson => Compression::detect(&file.url, &[]),
        _ => Compression::None,
    };
    let Some(first) = files.files.first() else { return Ok(FileCompressionType::UNCOMPRESSED) };
    let compression = of(first);
    if let Some(other) = files.files.iter().find(|file| of(file) != compression) {
        return Err(Error::new(codes::FILE_003, format!("{} and {} are compressed differently", first.url, other.url))
            .hint("name the files of one kind with a pattern such as *.jsonl.gz"));
    }
    match compression {
        Compression::None => Ok(FileCompressionType::UNCOMPRESSED),
        other => Err(Error::new(
            codes::SQL_013,
            format!("reading {}: NDJSON with {} compression is not supported yet", first.url, other.suffix()),
        )
        .hint("decompress it, or export CSV or Parquet")),
    }
}

/// The columns of the first file, once every other file is known to have them all in types that can be read as such.
async fn schema_of_all(
    files: &TableFiles,
    state: &dyn CatalogSession,
    format: &dyn EngineFormat,
    code: tapline_core::Code,
) -> Result<SchemaRef> {
    let schemas: Vec<SchemaRef> = futures::stream::iter(&files.files)
        .map(|file| async move {
            if file.format == FileFormat::Parquet {
                check_footer(files, file).await?;
            }
            let objects = [file.meta.clone()];
            format.infer_schema(state, &files.store, &objects).await.map_err(|error| {
                let doing = format!("reading {}", file.url);
                let mapped = from_datafusion(&error, &doing, &[]);
                if mapped.code().class == tapline_core::Class::Failure && mapped.code().id.starts_with("S3") {
                    return mapped;
                }
                let cause = error.find_root().to_string();
                Error::new(
                    code,
                    format!("{doing}: it is not {}: {}", kind_words(file.format), cause.lines().next().unwrap_or("")),
                )
                .hint("make sure the file is complete and of the type that its name or the source says")
            })
        })
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    let Some(first) = schemas.first().cloned() else { return Ok(Arc::new(Schema::empty())) };
    for (file, schema) in files.files.iter().zip(&schemas).skip(1) {
        for field in first.fields() {
            let Ok(other) = schema.field_with_name(field.name()) else {
                return Err(Error::new(
                    codes::FILE_003,
                    format!("{} lacks the column \"{}\" of {}", file.url, field.name(), files.files[0].url),
                )
                .hint("read only files that share their columns, or name them one by one"));
            };
            if !arrow::compute::can_cast_types(other.data_type(), field.data_type()) {
                return Err(Error::new(
                    codes::FILE_003,
                    format!(
                        "the column \"{}\" of {} is {}, and {} in {}",
                        field.name(),
                        file.url,
                        other.data_type(),
                        field.data_type(),
                        files.files[0].url
                    ),
                )
                .hint("read the files as separate tables and CAST the column"));
            }
        }
    }
    let fields: Vec<FieldRef> = first.fields().iter().map(nullable).collect();
    Ok(Arc::new(Schema::new(fields)))
}

/// Makes sure that a file ends as a Parquet file does, with a footer that fits into it, since the reader of footers
/// trusts its length. See <https://parquet.apache.org/docs/file-format/>.
async fn check_footer(files: &TableFiles, file: &TableFile) -> Result<()> {
    const TAIL: u64 = 8;
    let size = file.meta.size;
    let not_parquet = |why: &str| {
        Error::new(codes::FILE_001, format!("reading {}: it is not a Parquet file: {why}", file.url))
            .hint("make sure the file is complete and of the type that its name or the source says")
    };
    if size < TAIL + 4 {
        return Err(not_parquet("it is too short"));
    }
    let tail = files.store.get_range(&file.meta.location, size - TAIL..size).await.map_err(|error| {
        let error = datafusion::error::DataFusionError::ObjectStore(Box::new(error));
        from_datafusion(&error, &format!("reading {}", file.url), &[])
    })?;
    match tail.as_ref() {
        [a, b, c, d, b'P', b'A', b'R', b'1'] => {
            let length = u64::from(u32::from_le_bytes([*a, *b, *c, *d]));
            if length + TAIL + 4 > size { Err(not_parquet("its footer is longer than the file")) } else { Ok(()) }
        }
        [.., b'P', b'A', b'R', b'E'] => Err(not_parquet("it is encrypted")),
        _ => Err(not_parquet("it does not end in PAR1")),
    }
}

/// Columns of files are nullable, whatever one file says: another may lack values.
fn nullable(field: &FieldRef) -> FieldRef {
    if field.is_nullable() && field.metadata().is_empty() {
        return Arc::clone(field);
    }
    let data_type = match field.data_type() {
        DataType::Null => DataType::Int32,
        other => other.clone(),
    };
    Arc::new(field.as_ref().clone().with_nullable(true).with_data_type(data_type))
}

fn kind_words(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Csv => "a CSV file",
        FileFormat::Parquet => "a Parquet file",
        FileFormat::Ndjson => "a file of JSON lines",
    }
}

/// Gives columns the types that they had in an earlier run. A value that no longer fits shows while it is read.
fn keep_types(format: &mut TableFormat, earlier: &TableFormat) {
    for column in &mut format.columns {
        if let Some(known) = earlier.columns.iter().find(|known| known.name == column.name) {
            column.data_type = known.data_type;
            column.format.clone_from(&known.format);
        }
    }
}

/// The decompressed start of a CSV file, and whether that is all of it.
async fn sample(files: &TableFiles, file: &TableFile, options: &CsvOptions) -> Result<(Vec<u8>, bool)> {
    let bytes = if file.meta.size == 0 {
        bytes::Bytes::new()
    } else {
        let range = 0..file.meta.size.min(SAMPLE_BYTES);
        files.store.get_range(&file.meta.location, range).await.map_err(|error| {
            let error = datafusion::error::DataFusionError::ObjectStore(Box::new(error));
            from_datafusion(&error, &format!("reading {}", file.url), &[])
        })?
    };
    let whole = bytes.len() as u64 == file.meta.size;
    let compression = Compression::resolve(options, &file.url, &bytes);
    let text = compression
        .decompress_prefix(&bytes, SAMPLE_BYTES as usize)
        .map_err(|error| csv_error(error).context(format!("reading {}", file.url)))?;
    let complete = whole && (compression == Compression::None || text.len() < SAMPLE_BYTES as usize);
    Ok((text, complete))
}

/// What is detected in the first of the files, as `sniff_csv` tells it.
pub(crate) async fn sniff(
    files: &TableFiles,
    options: &CsvOptions,
    arguments: &serde_json::Map<String, serde_json::Value>,
) -> Result<RecordBatch> {
    let Some(file) = files.files.first() else {
        return Err(Error::new(codes::S3_007, "sniff_csv() needs a file"));
    };
    let (bytes, complete) = sample(files, file, options).await?;
    let sample = Sample { name: &file.url, bytes: &bytes, complete };
    tapline_csv::sniff(&file.url, sample, options, arguments).map_err(csv_error)
}

/// Dialect and types from samples of the files, and whether the samples are all there is.
async fn detect(files: &TableFiles, options: &CsvOptions) -> Result<(TableFormat, Vec<String>, bool)> {
    let step = files.files.len().div_ceil(SAMPLED_FILES).max(1);
    let chosen: Vec<&TableFile> = files.files.iter().step_by(step).collect();
    let samples: Vec<(&TableFile, Vec<u8>, bool)> = futures::stream::iter(chosen)
        .map(|file| async move {
            let (text, complete) = sample(files, file, options).await?;
            Ok::<_, Error>((file, text, complete))
        })
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    let samples: Vec<Sample<'_>> =
        samples.iter().map(|(file, bytes, complete)| Sample { name: &file.url, bytes, complete: *complete }).collect();
    let detection = tapline_csv::detect(&samples, options).map_err(csv_error)?;
    let settled =
        detection.all_rows && samples.len() == files.files.len() && samples.iter().all(|sample| sample.complete);
    Ok((detection.format, detection.reasons, settled))
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
