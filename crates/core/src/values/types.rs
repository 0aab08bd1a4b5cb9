//! The names that DuckDB gives to the types of Arrow fields.
//! Not here: the values.
//! Called by the table printer, by `discover`, and by the dispatch on Arrow types.

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};

use super::keywords::is_keyword;

/// The key of a field's metadata that names its DuckDB type, where Arrow's type alone does not tell: `HUGEINT` on a
/// decimal without places, `JSON` and `VARIANT` on JSON texts, `GEOMETRY` on well-known text, `UUID` on 16 bytes or text,
/// `TIME WITH TIME ZONE` on a time in UTC, `ENUM(…)` on a dictionary.
pub const TYPE_KEY: &str = "tapline.type";
/// <https://arrow.apache.org/docs/format/CanonicalExtensions.html>
const EXTENSION_KEY: &str = "ARROW:extension:name";

/// What [`TYPE_KEY`] means for the form of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Hugeint,
    Json,
    Uuid,
    /// JSON that is shown as DuckDB shows a VARIANT.
    Variant,
    /// A time of day in UTC.
    TimeInUtc,
    /// Nothing beyond what Arrow's type says.
    None,
}

impl Tag {
    pub(super) fn of(field: &Field) -> Self {
        match name(field) {
            Some("HUGEINT" | "UHUGEINT") => Self::Hugeint,
            Some("JSON") => Self::Json,
            Some("UUID") => Self::Uuid,
            Some("VARIANT") => Self::Variant,
            Some("TIME WITH TIME ZONE") => Self::TimeInUtc,
            _ => Self::None,
        }
    }
}

fn name(field: &Field) -> Option<&str> {
    let metadata = field.metadata();
    metadata.get(TYPE_KEY).map(String::as_str).or_else(|| match metadata.get(EXTENSION_KEY)?.as_str() {
        "arrow.json" => Some("JSON"),
        "arrow.uuid" => Some("UUID"),
        _ => None,
    })
}

/// DuckDB's name for a field's type, such as `BIGINT`, `DECIMAL(10,2)` or `STRUCT(a INTEGER, "b c" VARCHAR[])`.
///
/// Dictionaries and other encodings have the name of their values' type. <https://duckdb.org/docs/stable/sql/data_types/overview>
pub fn duckdb_type_name(field: &Field) -> String {
    let simple = match (name(field), field.data_type()) {
        (Some(name), _) => name,
        (None, DataType::Null) => "\"NULL\"",
        (None, DataType::Boolean) => "BOOLEAN",
        (None, DataType::Int8) => "TINYINT",
        (None, DataType::Int16) => "SMALLINT",
        (None, DataType::Int32) => "INTEGER",
        (None, DataType::Int64) => "BIGINT",
        (None, DataType::UInt8) => "UTINYINT",
        (None, DataType::UInt16) => "USMALLINT",
        (None, DataType::UInt32) => "UINTEGER",
        (None, DataType::UInt64) => "UBIGINT",
        (None, DataType::Float16 | DataType::Float32) => "FLOAT",
        (None, DataType::Float64) => "DOUBLE",
        (None, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => "VARCHAR",
        (None, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)) => {
            "BLOB"
        }
        (None, DataType::Date32 | DataType::Date64) => "DATE",
        (None, DataType::Time64(TimeUnit::Nanosecond)) => "TIME_NS",
        (None, DataType::Time32(_) | DataType::Time64(_)) => "TIME",
        (None, DataType::Timestamp(_, Some(_))) => "TIMESTAMP WITH TIME ZONE",
        (None, DataType::Timestamp(TimeUnit::Second, None)) => "TIMESTAMP_S",
        (None, DataType::Timestamp(TimeUnit::Millisecond, None)) => "TIMESTAMP_MS",
        (None, DataType::Timestamp(TimeUnit::Microsecond, None)) => "TIMESTAMP",
        (None, DataType::Timestamp(TimeUnit::Nanosecond, None)) => "TIMESTAMP_NS",
        (None, DataType::Interval(_) | DataType::Duration(_)) => "INTERVAL",
        (
            None,
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale),
        ) => return format!("DECIMAL({precision},{scale})"),
        (
            None,
            DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item),
        ) => return format!("{}[]", duckdb_type_name(item)),
        (None, DataType::FixedSizeList(item, size)) => return format!("{}[{size}]", duckdb_type_name(item)),
        (None, DataType::Struct(fields)) => return format!("STRUCT({})", members(fields)),
        (None, DataType::Union(fields, _)) => {
            return format!("UNION({})", members(&fields.iter().map(|(_, field)| field.clone()).collect()));
        }
        (None, DataType::Map(entry, _)) => {
            return match entry.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => {
                    format!("MAP({}, {})", duckdb_type_name(&fields[0]), duckdb_type_name(&fields[1]))
                }
                _ => "MAP".to_owned(),
            };
        }
        (None, DataType::Dictionary(_, value)) => {
            return duckdb_type_name(&field.clone().with_data_type(value.as_ref().clone()));
        }
        (None, DataType::RunEndEncoded(_, value)) => return duckdb_type_name(value),
    };
    simple.to_owned()
}

fn members(fields: &Fields) -> String {
    let member = |field: &Field| match field.name().as_str() {
        "" => duckdb_type_name(field),
        name => format!("{} {}", identifier(name), duckdb_type_name(field)),
    };
    fields.iter().map(|field| member(field)).collect::<Vec<_>>().join(", ")
}

/// A name, in double quotes where DuckDB puts them: around every word that its grammar knows, too.
pub fn identifier(name: &str) -> String {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain && !name.starts_with(|first: char| first.is_ascii_digit()) && !is_keyword(name) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}
