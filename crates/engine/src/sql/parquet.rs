//! What the footers of Parquet files say: columns, and how those that Arrow has no type for are read.
//! Not here: scanning, which the query engine does, and columns that differ between files (`unite`).
//! Called by `table` for every file.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, ListArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use datafusion::catalog::Session as CatalogSession;
use datafusion::config::TableParquetOptions;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use object_store::ObjectStoreExt;
use parquet::basic::{ConvertedType, LogicalType};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::statistics::Statistics;
use parquet::schema::types::Type;
use tapline_core::values::TYPE_KEY;
use tapline_core::{Error, Result, codes};

use super::errors::{carry, from_datafusion};
use super::files::{TableFile, TableFiles};
use super::footers::Footer;
use super::geometry;
use super::guard::{damaged, guarded};
use super::spans;
use super::variant;

/// The last bytes of a file that the first request fetches; most footers fit.
const FOOTER_HINT: usize = 64 << 10;
/// A column whose values are larger on average cannot be read in bounded memory.
const LARGEST_VALUE: i64 = 256 << 20;

/// How a column of a file becomes one of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reading {
    /// As Arrow has it.
    Plain,
    /// As Arrow has it, under the name of a DuckDB type that Arrow does not tell; of a list, its items are.
    Tagged(&'static str),
    /// A timestamp that its file says to be UTC only for want of another word.
    Naive,
    /// Bytes that are text.
    Text,
    Variant,
    Geometry,
    /// Bytes that are intervals, or values that hold such.
    Spans,
}

/// A column of a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FileColumn {
    /// As it is in the file.
    pub(crate) field: FieldRef,
    pub(crate) reading: Reading,
    /// Whether it holds whole numbers that are all known to be exact as DOUBLE.
    pub(crate) exact_as_double: bool,
}

impl Reading {
    /// The table's column.
    pub(crate) fn field(self, source: &FieldRef) -> FieldRef {
        let (data_type, tag) = match self {
            Self::Plain => return Arc::clone(source),
            Self::Tagged(tag) => match source.data_type() {
                DataType::List(item) => {
                    let metadata = [(TYPE_KEY.to_owned(), tag.to_owned())].into();
                    (DataType::List(Arc::new(item.as_ref().clone().with_metadata(metadata))), None)
                }
                other => (other.clone(), Some(tag)),
            },
            Self::Naive => match source.data_type() {
                DataType::Timestamp(unit, _) => (DataType::Timestamp(*unit, None), None),
                other => (other.clone(), None),
            },
            Self::Text => (DataType::Utf8, None),
            Self::Variant => (DataType::Utf8, Some("VARIANT")),
            Self::Geometry => (DataType::Utf8, Some("GEOMETRY")),
            Self::Spans => (spans::as_spans(source.data_type()), None),
        };
        let metadata = tag.map(|tag| (TYPE_KEY.to_owned(), tag.to_owned())).into_iter().collect();
        Arc::new(Field::new(source.name(), data_type, source.is_nullable()).with_metadata(metadata))
    }

    fn convert(self, array: &ArrayRef, data_type: &DataType) -> std::result::Result<ArrayRef, ArrowError> {
        match self {
            Self::Plain | Self::Tagged(_) => match (array.as_list_opt::<i32>(), data_type) {
                (Some(list), DataType::List(item)) => {
                    let (_, offsets, items, nulls) = list.clone().into_parts();
                    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, nulls)?))
                }
                _ => Ok(Arc::clone(array)),
            },
            Self::Naive | Self::Text => {
                cast_with_options(array, data_type, &CastOptions { safe: false, ..CastOptions::default() })
            }
            Self::Variant => Ok(Arc::new(variant::to_json(array.as_struct())?)),
            Self::Geometry => {
                let bytes = arrow::compute::cast(array, &DataType::Binary)?;
                Ok(Arc::new(geometry::to_text(bytes.as_binary::<i32>())?))
            }
            Self::Spans => spans::decode(array, data_type),
        }
    }
}

/// An expression that reads a column of a file as one of the table.
#[derive(Debug, Clone, Eq)]
pub(crate) struct ReadAs {
    pub(crate) input: Arc<dyn PhysicalExpr>,
    pub(crate) reading: Reading,
    /// The table's column.
    pub(crate) field: FieldRef,
}

// Not derived: the derived comparison moves out of the Arc, see <https://github.com/rust-lang/rust/issues/78808>.
impl PartialEq for ReadAs {
    fn eq(&self, other: &Self) -> bool {
        self.input.eq(&other.input) && self.reading == other.reading && self.field == other.field
    }
}

impl Hash for ReadAs {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.reading.hash(state);
        self.field.hash(state);
    }
}

impl std::fmt::Display for ReadAs {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} as {:?}", self.input, self.reading)
    }
}

impl PhysicalExpr for ReadAs {
    fn return_field(&self, _: &Schema) -> datafusion::error::Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn evaluate(&self, batch: &RecordBatch) -> datafusion::error::Result<ColumnarValue> {
        let array = self.input.evaluate(batch)?.into_array(batch.num_rows())?;
        let converted = self.reading.convert(&array, self.field.data_type()).map_err(|error| {
            let words = format!("running the SQL: the column \"{}\" of a Parquet file", self.field.name());
            carry(
                Error::new(codes::FILE_001, words)
                    .because(error)
                    .hint("export the file again, or leave the column out"),
            )
        })?;
        Ok(ColumnarValue::Array(converted))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.input]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> datafusion::error::Result<Arc<dyn PhysicalExpr>> {
        let [input] = <[_; 1]>::try_from(children)
            .map_err(|children| DataFusionError::Internal(format!("{} inputs instead of one", children.len())))?;
        Ok(Arc::new(Self { input, ..self.as_ref().clone() }))
    }

    fn fmt_sql(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, formatter)
    }
}

/// How the query engine reads Parquet.
pub(crate) fn format() -> ParquetFormat {
    let mut options = TableParquetOptions::default();
    options.global.schema_force_view_types = false;
    // INT96 is a timestamp in microseconds, as DuckDB reads it.
    options.global.coerce_int96 = Some("us".to_owned());
    options.global.metadata_size_hint = Some(FOOTER_HINT);
    ParquetFormat::new().with_options(options)
}

/// The columns of a file, by its footer.
///
/// # Errors
/// `FILE-001` where it is no Parquet file, or one that cannot be read in bounded memory.
pub(crate) async fn columns(
    files: &TableFiles,
    file: &TableFile,
    binary_as_string: bool,
    state: &dyn CatalogSession,
) -> Result<Vec<FileColumn>> {
    check_footer(files, file).await?;
    let (metadata, schema) = fetched(files, file, state).await?;
    require_modest_values(&metadata, file)?;
    let types = metadata.file_metadata().schema_descr().root_schema().get_fields();
    // A group without members holds nothing that could be read.
    let holds_something = |group: &&Arc<Type>| group.is_primitive() || !group.get_fields().is_empty();
    let has_members = |field: &&FieldRef| !matches!(field.data_type(), DataType::Struct(members) if members.is_empty());
    let types: Vec<_> = types.iter().filter(holds_something).collect();
    let fields: Vec<_> = schema.fields().iter().filter(has_members).collect();
    if types.len() != fields.len() {
        return Err(not_parquet(file, "its footer contradicts itself"));
    }
    let mut columns: Vec<FileColumn> = Vec::with_capacity(types.len());
    for (field, group) in fields.into_iter().zip(types) {
        if columns.iter().any(|column| column.field.name() == field.name()) {
            return Err(Error::new(
                codes::FILE_001,
                format!("reading {}: two of its columns have the name \"{}\"", file.url, field.name()),
            )
            .hint("give each column a name of its own where the file is written"));
        }
        columns.push(FileColumn {
            field: nullable(field),
            reading: reading(field, group, binary_as_string),
            exact_as_double: exact_as_double(field, &metadata),
        });
    }
    Ok(columns)
}

/// Whether the numbers of a column are whole and, by the file's statistics, none is too long for a DOUBLE.
fn exact_as_double(field: &FieldRef, metadata: &ParquetMetaData) -> bool {
    const LARGEST: i64 = 1 << 53;
    let exact = match field.data_type() {
        DataType::Int8 | DataType::Int16 | DataType::Int32 => return true,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => return true,
        DataType::Int64 => -LARGEST..=LARGEST,
        // Statistics are signed: a negative one stands for a number beyond 2^63.
        DataType::UInt64 => 0..=LARGEST,
        _ => return false,
    };
    metadata.row_groups().iter().all(|group| {
        let column = group.columns().iter().find(|column| column.column_path().parts() == [field.name().as_str()]);
        column.is_some_and(|column| match column.statistics() {
            Some(Statistics::Int64(range)) => match (range.min_opt(), range.max_opt()) {
                (Some(least), Some(most)) => exact.contains(least) && exact.contains(most),
                _ => range.null_count_opt().is_some_and(|nulls| i64::try_from(nulls) == Ok(column.num_values())),
            },
            _ => column.num_values() == 0,
        })
    })
}

/// A file's footer with what it says.
///
/// # Errors
/// `FILE-001` where it is no Parquet file.
pub(crate) async fn footer(files: &TableFiles, file: &TableFile, state: &dyn CatalogSession) -> Result<Footer> {
    let length = check_footer(files, file).await?;
    let (metadata, _) = fetched(files, file, state).await?;
    Ok(Footer { file: file.url.clone(), bytes: file.meta.size, length, metadata })
}

async fn fetched(
    files: &TableFiles,
    file: &TableFile,
    state: &dyn CatalogSession,
) -> Result<(Arc<ParquetMetaData>, SchemaRef)> {
    let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
    let footer = DFParquetMetadata::new(files.store.as_ref(), &file.meta)
        .with_metadata_size_hint(Some(FOOTER_HINT))
        .with_file_metadata_cache(Some(cache))
        .with_page_index_policy(Some(PageIndexPolicy::Skip))
        .with_coerce_int96(Some(TimeUnit::Microsecond));
    let read = guarded(async {
        let metadata = footer.fetch_metadata().await?;
        let schema = footer.fetch_schema().await?;
        Ok::<_, DataFusionError>((metadata, schema))
    });
    match read.await {
        Some(Ok((metadata, schema))) => Ok((metadata, Arc::new(schema))),
        Some(Err(error)) => Err(footer_error(&error, file)),
        None => Err(not_parquet(file, "its footer cannot be decoded")),
    }
}

/// What the type in the file says beyond Arrow's.
fn reading(field: &FieldRef, group: &Type, binary_as_string: bool) -> Reading {
    let info = group.get_basic_info();
    let bytes = matches!(field.data_type(), DataType::Binary | DataType::LargeBinary);
    if spans::holds_span(field.data_type()) {
        return Reading::Spans;
    }
    match (info.logical_type_ref(), info.converted_type(), field.data_type()) {
        (Some(LogicalType::Variant(_)), _, DataType::Struct(_)) => Reading::Variant,
        (Some(LogicalType::Geometry(_) | LogicalType::Geography(_)), ..) if bytes => Reading::Geometry,
        (None, ConvertedType::TIMESTAMP_MICROS | ConvertedType::TIMESTAMP_MILLIS, DataType::Timestamp(_, Some(_))) => {
            Reading::Naive
        }
        (None, ConvertedType::NONE, _) if bytes && binary_as_string => Reading::Text,
        // A list repeats its only member, which holds the item; a column may also be repeated itself.
        (_, ConvertedType::LIST, DataType::List(item)) if !group.is_primitive() => {
            let items =
                group.get_fields().first().filter(|items| !items.is_primitive() && items.get_fields().len() == 1);
            tag(item, items.map_or(group, |items| &items.get_fields()[0]))
        }
        (_, _, DataType::List(item)) if group.is_primitive() => tag(item, group),
        _ => tag(field, group),
    }
}

/// The name of a primitive type that Arrow does not tell.
fn tag(field: &FieldRef, primitive: &Type) -> Reading {
    let info = primitive.get_basic_info();
    if !primitive.is_primitive() || field.metadata().contains_key(TYPE_KEY) {
        return Reading::Plain;
    }
    match (info.logical_type_ref(), info.converted_type(), field.data_type()) {
        (Some(LogicalType::Time(time)), _, DataType::Time32(_) | DataType::Time64(_)) if time.is_adjusted_to_u_t_c => {
            Reading::Tagged("TIME WITH TIME ZONE")
        }
        (Some(LogicalType::Uuid), _, DataType::FixedSizeBinary(16)) => Reading::Tagged("UUID"),
        (Some(LogicalType::Json), _, DataType::Utf8) | (None, ConvertedType::JSON, DataType::Utf8) => {
            Reading::Tagged("JSON")
        }
        _ => Reading::Plain,
    }
}

/// Columns of files are nullable, whatever one file says: another may lack values.
fn nullable(field: &FieldRef) -> FieldRef {
    if field.is_nullable() && *field.data_type() != DataType::Null {
        return Arc::clone(field);
    }
    let data_type = match field.data_type() {
        DataType::Null => DataType::Int32,
        other => other.clone(),
    };
    Arc::new(field.as_ref().clone().with_nullable(true).with_data_type(data_type))
}

fn not_parquet(file: &TableFile, why: &str) -> Error {
    Error::new(codes::FILE_001, format!("reading {}: it is not a Parquet file: {why}", file.url))
        .hint("make sure the file is complete and of the type that its name or the source says")
}

fn footer_error(error: &DataFusionError, file: &TableFile) -> Error {
    let mapped = from_datafusion(error, &format!("reading {}", file.url), &[]);
    if mapped.code().id.starts_with("S3") {
        return mapped;
    }
    let cause = error.find_root().to_string();
    not_parquet(file, cause.lines().next().unwrap_or_default())
}

/// Makes sure that no column holds values that could not be held in memory, as files made to do harm claim.
fn require_modest_values(metadata: &ParquetMetaData, file: &TableFile) -> Result<()> {
    for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        let average = column.uncompressed_size() / column.num_values().max(1);
        if average > LARGEST_VALUE {
            let what = format!("the values of {} have {} MiB each", column.column_path().string(), average >> 20);
            return Err(damaged(&file.url, &what));
        }
    }
    Ok(())
}

/// Makes sure that a file ends as a Parquet file does, with a footer that fits into it, since the reader of footers
/// trusts its length, which is given back. See <https://parquet.apache.org/docs/file-format/>.
async fn check_footer(files: &TableFiles, file: &TableFile) -> Result<u64> {
    const TAIL: u64 = 8;
    let size = file.meta.size;
    if size < TAIL + 4 {
        return Err(not_parquet(file, "it is too short"));
    }
    // As much as the reader of footers asks for, so that the store can give it the same bytes.
    let range = size.saturating_sub(FOOTER_HINT as u64)..size;
    let end = files.store.get_range(&file.meta.location, range).await.map_err(|error| {
        let error = DataFusionError::ObjectStore(Box::new(error));
        from_datafusion(&error, &format!("reading {}", file.url), &[])
    })?;
    match end.last_chunk() {
        Some([a, b, c, d, b'P', b'A', b'R', b'1']) => {
            let length = u64::from(u32::from_le_bytes([*a, *b, *c, *d]));
            if length + TAIL + 4 > size {
                Err(not_parquet(file, "its footer is longer than the file"))
            } else {
                Ok(length)
            }
        }
        Some([.., b'P', b'A', b'R', b'E']) => Err(not_parquet(file, "it is encrypted")),
        _ => Err(not_parquet(file, "it does not end in PAR1")),
    }
}
