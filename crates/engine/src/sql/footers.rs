//! What the footers of Parquet files say, as tables: `parquet_metadata`, `parquet_schema` and their like.
//! Not here: reading footers (`parquet`), rows of the files (`table`).
//! Called by the session for references to these functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit, i256};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use parquet::basic::{ConvertedType, Encoding, LogicalType, TimeUnit as ParquetUnit, Type as Physical};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use parquet::schema::types::Type;
use serde::Serialize;
use tapline_core::{Error, Result};

use super::functions::toolkit::types::{UTC, tagged};
use super::functions::toolkit::values::texts;

/// A table about the footers of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Footers {
    /// A row for each column of each row group.
    Chunks,
    /// A row for each node of the schema.
    Schema,
    /// A row for each file.
    File,
    /// A row for each pair of names and values that the file's writer added.
    KeyValues,
}

impl Footers {
    /// The table that a function gives.
    pub(crate) fn of_function(name: &str) -> Option<Self> {
        Some(match name {
            "parquet_metadata" => Self::Chunks,
            "parquet_schema" => Self::Schema,
            "parquet_file_metadata" => Self::File,
            "parquet_kv_metadata" => Self::KeyValues,
            _ => return None,
        })
    }

    fn schema(self) -> SchemaRef {
        let text = DataType::Utf8;
        let whole = DataType::Int64;
        let list = DataType::List(Arc::new(Field::new_list_field(text.clone(), true)));
        let pairs =
            Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)]);
        let map = DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pairs), false)), false);
        let bounds = ["xmin", "xmax", "ymin", "ymax", "zmin", "zmax", "mmin", "mmax"];
        let bounds = bounds.map(|name| Field::new(name, DataType::Float64, true));
        let columns: Vec<(&str, DataType)> = match self {
            Self::Chunks => vec![
                ("file_name", text.clone()),
                ("row_group_id", whole.clone()),
                ("row_group_num_rows", whole.clone()),
                ("row_group_num_columns", whole.clone()),
                ("row_group_bytes", whole.clone()),
                ("column_id", whole.clone()),
                ("file_offset", whole.clone()),
                ("num_values", whole.clone()),
                ("path_in_schema", text.clone()),
                ("type", text.clone()),
                ("stats_min", text.clone()),
                ("stats_max", text.clone()),
                ("stats_null_count", whole.clone()),
                ("stats_distinct_count", whole.clone()),
                ("stats_min_value", text.clone()),
                ("stats_max_value", text.clone()),
                ("compression", text.clone()),
                ("encodings", text),
                ("index_page_offset", whole.clone()),
                ("dictionary_page_offset", whole.clone()),
                ("data_page_offset", whole.clone()),
                ("total_compressed_size", whole.clone()),
                ("total_uncompressed_size", whole.clone()),
                ("key_value_metadata", map),
                ("bloom_filter_offset", whole.clone()),
                ("bloom_filter_length", whole.clone()),
                ("min_is_exact", DataType::Boolean),
                ("max_is_exact", DataType::Boolean),
                ("row_group_compressed_bytes", whole),
                ("geo_bbox", DataType::Struct(bounds.to_vec().into())),
                ("geo_types", list),
            ],
            Self::Schema => vec![
                ("file_name", text.clone()),
                ("name", text.clone()),
                ("type", text.clone()),
                ("type_length", text.clone()),
                ("repetition_type", text.clone()),
                ("num_children", whole.clone()),
                ("converted_type", text.clone()),
                ("scale", whole.clone()),
                ("precision", whole.clone()),
                ("field_id", whole.clone()),
                ("logical_type", text.clone()),
                ("duckdb_type", text),
                ("column_id", whole),
            ],
            Self::File => vec![
                ("file_name", text.clone()),
                ("created_by", text.clone()),
                ("num_rows", whole.clone()),
                ("num_row_groups", whole.clone()),
                ("format_version", whole),
                ("encryption_algorithm", text.clone()),
                ("footer_signing_key_metadata", text),
                ("file_size_bytes", DataType::UInt64),
                ("footer_size", DataType::UInt64),
                ("column_orders", list),
            ],
            Self::KeyValues => vec![("file_name", text.clone()), ("key", text.clone()), ("value", text)],
        };
        let fields: Fields = columns.into_iter().map(|(name, data_type)| Field::new(name, data_type, true)).collect();
        Arc::new(Schema::new(fields))
    }
}

/// A file with its footer.
pub(crate) struct Footer {
    pub(crate) file: String,
    pub(crate) bytes: u64,
    /// The footer's own length.
    pub(crate) length: u64,
    pub(crate) metadata: Arc<ParquetMetaData>,
}

/// The rows that a table about footers has.
pub(crate) fn table(footers: Footers, files: &[Footer]) -> Result<RecordBatch> {
    let schema = footers.schema();
    let decode = || match footers {
        Footers::Chunks => batch(&schema, files.iter().flat_map(chunks).collect()),
        Footers::Schema => batch(&schema, files.iter().flat_map(nodes).collect()),
        Footers::File => batch(&schema, files.iter().map(file).collect()),
        Footers::KeyValues => batch(&schema, files.iter().flat_map(key_values).collect()),
    };
    match decode() {
        Ok(batch) => Ok(batch.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(&schema)))),
        Err(error) => Err(Error::internal("the footers of Parquet files do not make a table").because(error)),
    }
}

/// The rows as one batch; none when there are no rows.
fn batch<Row: Serialize>(schema: &SchemaRef, rows: Vec<Row>) -> Result<Option<RecordBatch>, ArrowError> {
    // The decoder reserves memory for a whole batch, and stops at its end.
    let mut decoder = ReaderBuilder::new(Arc::clone(schema)).with_batch_size(rows.len().max(1)).build_decoder()?;
    decoder.serialize(&rows)?;
    decoder.flush()
}

#[derive(Serialize)]
struct Chunk<'a> {
    file_name: &'a str,
    row_group_id: usize,
    row_group_num_rows: i64,
    row_group_num_columns: usize,
    row_group_bytes: i64,
    column_id: usize,
    file_offset: i64,
    num_values: i64,
    path_in_schema: String,
    r#type: String,
    stats_min: Option<String>,
    stats_max: Option<String>,
    stats_null_count: Option<u64>,
    stats_distinct_count: Option<u64>,
    stats_min_value: Option<String>,
    stats_max_value: Option<String>,
    compression: String,
    encodings: String,
    index_page_offset: Option<i64>,
    dictionary_page_offset: Option<i64>,
    data_page_offset: i64,
    total_compressed_size: i64,
    total_uncompressed_size: i64,
    key_value_metadata: BTreeMap<String, String>,
    bloom_filter_offset: Option<i64>,
    bloom_filter_length: Option<i32>,
    min_is_exact: Option<bool>,
    max_is_exact: Option<bool>,
    row_group_compressed_bytes: i64,
}

fn chunks(footer: &Footer) -> Vec<Chunk<'_>> {
    let groups = footer.metadata.row_groups().iter().enumerate();
    groups
        .flat_map(|(id, group)| (0..group.num_columns()).map(move |column| chunk(footer, id, group, column)))
        .collect()
}

fn chunk<'a>(footer: &'a Footer, id: usize, group: &RowGroupMetaData, index: usize) -> Chunk<'a> {
    let column = group.column(index);
    let statistics = column.statistics();
    let (least, largest) = (bound(column, Statistics::min_bytes_opt), bound(column, Statistics::max_bytes_opt));
    let unsigned = matches!(
        column.column_descr().converted_type(),
        ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64
    );
    // The older pair of bounds has no meaning for numbers without a sign.
    let older = |bound: &Option<String>| bound.clone().filter(|_| !unsigned);
    let compressed = group.columns().iter().map(ColumnChunkMetaData::compressed_size).sum();
    Chunk {
        file_name: &footer.file,
        row_group_id: id,
        row_group_num_rows: group.num_rows(),
        row_group_num_columns: group.num_columns(),
        row_group_bytes: group.total_byte_size(),
        column_id: index,
        file_offset: column.file_offset(),
        num_values: column.num_values(),
        path_in_schema: column.column_path().parts().join(", "),
        r#type: column.column_type().to_string(),
        stats_min: older(&least),
        stats_max: older(&largest),
        stats_null_count: statistics.and_then(Statistics::null_count_opt),
        stats_distinct_count: statistics.and_then(Statistics::distinct_count_opt),
        stats_min_value: least,
        stats_max_value: largest,
        compression: codec(column),
        encodings: encodings(column),
        index_page_offset: column.index_page_offset(),
        dictionary_page_offset: column.dictionary_page_offset(),
        data_page_offset: column.data_page_offset(),
        total_compressed_size: column.compressed_size(),
        total_uncompressed_size: column.uncompressed_size(),
        key_value_metadata: BTreeMap::new(),
        bloom_filter_offset: column.bloom_filter_offset(),
        bloom_filter_length: column.bloom_filter_length(),
        min_is_exact: statistics.filter(|known| known.min_bytes_opt().is_some()).map(Statistics::min_is_exact),
        max_is_exact: statistics.filter(|known| known.max_bytes_opt().is_some()).map(Statistics::max_is_exact),
        row_group_compressed_bytes: compressed,
    }
}

/// A codec without its level.
fn codec(column: &ColumnChunkMetaData) -> String {
    let text = column.compression().to_string();
    text.split('(').next().unwrap_or(&text).to_owned()
}

/// How values are encoded; how levels are is no part of it.
fn encodings(column: &ColumnChunkMetaData) -> String {
    let names: Vec<String> = column.encodings().map(|encoding: Encoding| encoding.to_string()).collect();
    names.join(", ")
}

/// A bound of a column's values as text.
fn bound(column: &ColumnChunkMetaData, of: impl Fn(&Statistics) -> Option<&[u8]>) -> Option<String> {
    let bytes = of(column.statistics()?)?;
    let leaf = column.column_descr().self_type();
    let (field, array) = value(leaf, bytes)?;
    let texts = texts(&field, &array).ok()?;
    texts.is_valid(0).then(|| texts.value(0).to_owned())
}

/// A value of a footer as one of its column's type.
fn value(leaf: &Type, bytes: &[u8]) -> Option<(Field, ArrayRef)> {
    let field = leaf_field(leaf);
    let signed = || -> Option<i64> {
        match bytes.len() {
            4 => Some(i64::from(i32::from_le_bytes(bytes.try_into().ok()?))),
            8 => Some(i64::from_le_bytes(bytes.try_into().ok()?)),
            _ => None,
        }
    };
    let big_endian = || -> Option<i256> {
        let fill = if bytes.first()? & 0x80 == 0 { 0 } else { 0xff };
        let mut wide = [fill; 32];
        wide.get_mut(32_usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
        Some(i256::from_be_bytes(wide))
    };
    let array: ArrayRef = match field.data_type() {
        DataType::Boolean => Arc::new(BooleanArray::from(vec![*bytes.first()? != 0])),
        DataType::Float32 => Arc::new(Float32Array::from(vec![f32::from_le_bytes(bytes.try_into().ok()?)])),
        DataType::Float64 => Arc::new(Float64Array::from(vec![f64::from_le_bytes(bytes.try_into().ok()?)])),
        DataType::Utf8 => Arc::new(StringArray::from(vec![std::str::from_utf8(bytes).ok()?])),
        DataType::Binary => Arc::new(BinaryArray::from(vec![bytes])),
        DataType::FixedSizeBinary(_) => Arc::new(FixedSizeBinaryArray::try_from_iter(std::iter::once(bytes)).ok()?),
        DataType::Decimal128(precision, scale) => {
            let number = match leaf.get_physical_type() {
                Physical::INT32 | Physical::INT64 => i128::from(signed()?),
                _ => big_endian()?.to_i128()?,
            };
            let array = Decimal128Array::from(vec![number]);
            Arc::new(array.with_precision_and_scale(*precision, *scale).ok()?)
        }
        DataType::UInt64 => Arc::new(UInt64Array::from(vec![signed()? as u64])),
        DataType::UInt32 => Arc::new(UInt32Array::from(vec![signed()? as u32])),
        DataType::Date32 => Arc::new(Date32Array::from(vec![i32::try_from(signed()?).ok()?])),
        other => {
            let numbers: ArrayRef = Arc::new(Int64Array::from(vec![signed()?]));
            match other {
                DataType::Time32(_) => {
                    let narrow = arrow::compute::cast(&numbers, &DataType::Int32).ok()?;
                    arrow::compute::cast(&narrow, other).ok()?
                }
                _ => arrow::compute::cast(&numbers, other).ok()?,
            }
        }
    };
    Some((field, array))
}

/// The type that a leaf of a schema has in a table.
fn leaf_field(leaf: &Type) -> Field {
    let info = leaf.get_basic_info();
    let unit = |unit: &ParquetUnit| match unit {
        ParquetUnit::MILLIS => TimeUnit::Millisecond,
        ParquetUnit::MICROS => TimeUnit::Microsecond,
        ParquetUnit::NANOS => TimeUnit::Nanosecond,
    };
    let zone = |utc: bool| utc.then(|| UTC.into());
    let plain = |data_type: DataType| Field::new("", data_type, true);
    let of_physical = || match leaf.get_physical_type() {
        Physical::BOOLEAN => DataType::Boolean,
        Physical::INT32 => DataType::Int32,
        Physical::INT64 => DataType::Int64,
        Physical::INT96 => DataType::Timestamp(TimeUnit::Nanosecond, None),
        Physical::FLOAT => DataType::Float32,
        Physical::DOUBLE => DataType::Float64,
        Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY => DataType::Binary,
    };
    match (info.logical_type_ref(), info.converted_type()) {
        (Some(LogicalType::Uuid), _) => tagged(DataType::FixedSizeBinary(16), "UUID"),
        (Some(LogicalType::Json), _) | (None, ConvertedType::JSON) => tagged(DataType::Utf8, "JSON"),
        (Some(LogicalType::Timestamp(stamp)), _) => {
            plain(DataType::Timestamp(unit(&stamp.unit), zone(stamp.is_adjusted_to_u_t_c)))
        }
        (Some(LogicalType::Time(time)), _) if matches!(time.unit, ParquetUnit::MILLIS) => {
            plain(DataType::Time32(TimeUnit::Millisecond))
        }
        (Some(LogicalType::Time(time)), _) => plain(DataType::Time64(unit(&time.unit))),
        (_, ConvertedType::DECIMAL) => {
            let (precision, scale) = (leaf.get_precision().clamp(1, 38), leaf.get_scale().clamp(0, 38));
            plain(DataType::Decimal128(precision as u8, scale as i8))
        }
        (_, ConvertedType::UTF8 | ConvertedType::ENUM) => plain(DataType::Utf8),
        (_, ConvertedType::DATE) => plain(DataType::Date32),
        (_, ConvertedType::TIME_MILLIS) => plain(DataType::Time32(TimeUnit::Millisecond)),
        (_, ConvertedType::TIME_MICROS) => plain(DataType::Time64(TimeUnit::Microsecond)),
        (_, ConvertedType::TIMESTAMP_MILLIS) => plain(DataType::Timestamp(TimeUnit::Millisecond, zone(true))),
        (_, ConvertedType::TIMESTAMP_MICROS) => plain(DataType::Timestamp(TimeUnit::Microsecond, zone(true))),
        (_, ConvertedType::INT_8) => plain(DataType::Int8),
        (_, ConvertedType::INT_16) => plain(DataType::Int16),
        (_, ConvertedType::UINT_8) => plain(DataType::UInt8),
        (_, ConvertedType::UINT_16) => plain(DataType::UInt16),
        (_, ConvertedType::UINT_32) => plain(DataType::UInt32),
        (_, ConvertedType::UINT_64) => plain(DataType::UInt64),
        _ => plain(of_physical()),
    }
}

#[derive(Serialize)]
struct Node<'a> {
    file_name: &'a str,
    name: String,
    r#type: Option<String>,
    type_length: Option<String>,
    repetition_type: Option<String>,
    num_children: Option<usize>,
    converted_type: Option<String>,
    scale: Option<i32>,
    precision: Option<i32>,
    field_id: Option<i32>,
    logical_type: Option<String>,
    duckdb_type: Option<String>,
    column_id: usize,
}

fn nodes(footer: &Footer) -> Vec<Node<'_>> {
    let mut found = Vec::new();
    let mut waiting = vec![footer.metadata.file_metadata().schema()];
    while let Some(node) = waiting.pop() {
        found.push(self::node(footer, node, found.len()));
        if node.is_group() {
            waiting.extend(node.get_fields().iter().rev().map(Arc::as_ref));
        }
    }
    found
}

fn node<'a>(footer: &'a Footer, node: &Type, id: usize) -> Node<'a> {
    let info = node.get_basic_info();
    let leaf = node.is_primitive();
    let is_decimal = leaf && info.converted_type() == ConvertedType::DECIMAL;
    let length = match node {
        Type::PrimitiveType { physical_type: Physical::FIXED_LEN_BYTE_ARRAY, type_length, .. } => {
            Some(type_length.to_string())
        }
        _ => None,
    };
    let repetition = if info.has_repetition() { info.repetition().to_string() } else { "REQUIRED".to_owned() };
    let converted = info.converted_type();
    Node {
        file_name: &footer.file,
        name: node.name().to_owned(),
        r#type: leaf.then(|| node.get_physical_type().to_string()),
        type_length: length,
        repetition_type: Some(repetition),
        num_children: (!leaf).then(|| node.get_fields().len()),
        converted_type: (converted != ConvertedType::NONE).then(|| converted.to_string()),
        scale: is_decimal.then(|| node.get_scale()),
        precision: is_decimal.then(|| node.get_precision()),
        field_id: info.has_id().then(|| info.id()),
        logical_type: info.logical_type_ref().and_then(|logical| logical_text(logical, node)),
        duckdb_type: leaf.then(|| tapline_core::values::duckdb_type_name(&leaf_field(node))),
        column_id: id,
    }
}

/// A logical type as the format's own description language prints it.
fn logical_text(logical: &LogicalType, node: &Type) -> Option<String> {
    let unit = |unit: &ParquetUnit| {
        let (millis, micros, nanos) = match unit {
            ParquetUnit::MILLIS => ("MilliSeconds()", "<null>", "<null>"),
            ParquetUnit::MICROS => ("<null>", "MicroSeconds()", "<null>"),
            ParquetUnit::NANOS => ("<null>", "<null>", "NanoSeconds()"),
        };
        format!("TimeUnit(MILLIS={millis}, MICROS={micros}, NANOS={nanos})")
    };
    let moment =
        |name: &str, utc: bool, text: String| format!("{name}(isAdjustedToUTC={}, unit={text})", u8::from(utc));
    Some(match logical {
        LogicalType::String => "StringType()".to_owned(),
        LogicalType::Map => "MapType()".to_owned(),
        LogicalType::List => "ListType()".to_owned(),
        LogicalType::Enum => "EnumType()".to_owned(),
        LogicalType::Date => "DateType()".to_owned(),
        LogicalType::Json => "JsonType()".to_owned(),
        LogicalType::Bson => "BsonType()".to_owned(),
        LogicalType::Uuid => "UUIDType()".to_owned(),
        LogicalType::Decimal(_) => {
            format!("DecimalType(scale={}, precision={})", node.get_scale(), node.get_precision())
        }
        LogicalType::Time(time) => moment("TimeType", time.is_adjusted_to_u_t_c, unit(&time.unit)),
        LogicalType::Timestamp(stamp) => moment("TimestampType", stamp.is_adjusted_to_u_t_c, unit(&stamp.unit)),
        LogicalType::Integer(whole) => {
            format!("IntType(bitWidth={}, isSigned={})", whole.bit_width, u8::from(whole.is_signed))
        }
        _ => return None,
    })
}

#[derive(Serialize)]
struct File<'a> {
    file_name: &'a str,
    created_by: Option<&'a str>,
    num_rows: i64,
    num_row_groups: usize,
    format_version: i32,
    file_size_bytes: u64,
    footer_size: u64,
    column_orders: Option<Vec<&'static str>>,
}

fn file(footer: &Footer) -> File<'_> {
    let metadata = footer.metadata.file_metadata();
    let orders = metadata.column_orders();
    File {
        file_name: &footer.file,
        created_by: metadata.created_by(),
        num_rows: metadata.num_rows(),
        num_row_groups: footer.metadata.num_row_groups(),
        format_version: metadata.version(),
        file_size_bytes: footer.bytes,
        footer_size: footer.length,
        column_orders: orders.map(|orders| vec!["ColumnOrder(TYPE_ORDER=TypeDefinedOrder())"; orders.len()]),
    }
}

#[derive(Serialize)]
struct KeyValue<'a> {
    file_name: &'a str,
    key: &'a str,
    value: Option<&'a str>,
}

fn key_values(footer: &Footer) -> Vec<KeyValue<'_>> {
    let pairs = footer.metadata.file_metadata().key_value_metadata();
    pairs
        .into_iter()
        .flatten()
        .map(|pair| KeyValue { file_name: &footer.file, key: &pair.key, value: pair.value.as_deref() })
        .collect()
}
