//! The type table: which PostgreSQL type holds an Arrow type exactly.
//! Not here: values (see `encode`), and existing columns of other types (see `fit`).
//! Called by staging, by the creation of tables, and by the checks of existing ones.
//!
//! | model (DuckDB's name) | Arrow | PostgreSQL |
//! |---|---|---|
//! | BOOLEAN | Boolean | `boolean` |
//! | TINYINT, SMALLINT, UTINYINT | Int8, Int16, UInt8 | `smallint` |
//! | INTEGER, USMALLINT | Int32, UInt16 | `integer` |
//! | BIGINT, UINTEGER | Int64, UInt32 | `bigint` |
//! | UBIGINT | UInt64 | `numeric(20,0)` |
//! | HUGEINT | Decimal256(39,0) | `numeric(39,0)` |
//! | DECIMAL(p,s) | Decimal32, 64, 128, 256 | `numeric(p,s)` |
//! | FLOAT, DOUBLE | Float16, Float32, Float64 | `real`, `double precision`; NaN and infinities included |
//! | VARCHAR, ENUM | Utf8, LargeUtf8, Utf8View, Dictionary | `text`; a value with a NUL character is rejected |
//! | BLOB | Binary, LargeBinary, BinaryView, FixedSizeBinary | `bytea` |
//! | UUID | FixedSizeBinary(16) or Utf8, tagged | `uuid` |
//! | JSON | Utf8, tagged | `jsonb`; keeps the meaning, not the spacing; U+0000 is rejected |
//! | DATE | Date32, Date64 | `date`; outside 4713 BC to 5874897 AD rejected |
//! | TIME | Time32, Time64 | `time`; a fraction of a microsecond is rejected |
//! | TIMESTAMP | Timestamp | `timestamp`; outside 4713 BC to 294276 AD or with a fraction of a microsecond rejected |
//! | TIMESTAMPTZ | Timestamp with zone | `timestamp with time zone`; the same |
//! | INTERVAL | Interval, Duration | `interval`; a fraction of a microsecond is rejected |
//! | LIST of scalars | List, LargeList, FixedSizeList | array |
//! | STRUCT, MAP, other LISTs | Struct, Map, List | `jsonb`; U+0000 is rejected |
//! | NULL | Null | `text` |

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use tapline_core::values::TYPE_KEY;

/// A PostgreSQL type that rows are staged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SqlType {
    Boolean,
    SmallInt,
    Integer,
    BigInt,
    Numeric { precision: u8, scale: u8 },
    Real,
    Double,
    Text,
    Bytea,
    Uuid,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
    Jsonb,
    Array(Box<SqlType>),
}

impl SqlType {
    /// The name in `pg_type`.
    pub(super) fn catalog_name(&self) -> &'static str {
        match self {
            Self::Boolean => "bool",
            Self::SmallInt => "int2",
            Self::Integer => "int4",
            Self::BigInt => "int8",
            Self::Numeric { .. } => "numeric",
            Self::Real => "float4",
            Self::Double => "float8",
            Self::Text => "text",
            Self::Bytea => "bytea",
            Self::Uuid => "uuid",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamptz",
            Self::Interval => "interval",
            Self::Jsonb => "jsonb",
            Self::Array(item) => match item.as_ref() {
                Self::Boolean => "_bool",
                Self::SmallInt => "_int2",
                Self::Integer => "_int4",
                Self::BigInt => "_int8",
                Self::Numeric { .. } => "_numeric",
                Self::Real => "_float4",
                Self::Double => "_float8",
                Self::Text => "_text",
                Self::Bytea => "_bytea",
                Self::Uuid => "_uuid",
                Self::Date => "_date",
                Self::Time => "_time",
                Self::Timestamp => "_timestamp",
                Self::TimestampTz => "_timestamptz",
                Self::Interval => "_interval",
                Self::Jsonb | Self::Array(_) => "_jsonb",
            },
        }
    }

    /// The type's number, which the binary form of an array carries; fixed in PostgreSQL's `pg_type.dat`.
    pub(super) fn oid(&self) -> u32 {
        use tokio_postgres::types::Type;
        let known = match self {
            Self::Boolean => Type::BOOL,
            Self::SmallInt => Type::INT2,
            Self::Integer => Type::INT4,
            Self::BigInt => Type::INT8,
            Self::Numeric { .. } => Type::NUMERIC,
            Self::Real => Type::FLOAT4,
            Self::Double => Type::FLOAT8,
            Self::Text => Type::TEXT,
            Self::Bytea => Type::BYTEA,
            Self::Uuid => Type::UUID,
            Self::Date => Type::DATE,
            Self::Time => Type::TIME,
            Self::Timestamp => Type::TIMESTAMP,
            Self::TimestampTz => Type::TIMESTAMPTZ,
            Self::Interval => Type::INTERVAL,
            Self::Jsonb | Self::Array(_) => Type::JSONB,
        };
        known.oid()
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => formatter.write_str("boolean"),
            Self::SmallInt => formatter.write_str("smallint"),
            Self::Integer => formatter.write_str("integer"),
            Self::BigInt => formatter.write_str("bigint"),
            Self::Numeric { precision, scale } => write!(formatter, "numeric({precision},{scale})"),
            Self::Real => formatter.write_str("real"),
            Self::Double => formatter.write_str("double precision"),
            Self::TimestampTz => formatter.write_str("timestamp with time zone"),
            Self::Array(item) => write!(formatter, "{item}[]"),
            other => formatter.write_str(other.catalog_name()),
        }
    }
}

/// How a mapped field travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldType {
    /// The Arrow type that values are brought into before they are encoded: fewer types, none of them dictionaries.
    pub(super) plain: DataType,
    /// The type of the staged column.
    pub(super) staged: SqlType,
    /// The type of the column in a table that Tapline creates.
    pub(super) created: SqlType,
}

impl FieldType {
    /// The types for a field; `None` where PostgreSQL cannot hold its Arrow type.
    pub(super) fn of(field: &Field) -> Option<Self> {
        let plain = plain(field.data_type())?;
        let tag = tag(field);
        let staged = match (&plain, tag) {
            (DataType::FixedSizeBinary(16), Some(Tag::Uuid)) => SqlType::Uuid,
            _ => staged(&plain)?,
        };
        let created = match (&staged, tag) {
            (SqlType::Text, Some(Tag::Uuid)) => SqlType::Uuid,
            (SqlType::Text, Some(Tag::Json)) => SqlType::Jsonb,
            _ => staged.clone(),
        };
        Some(Self { plain, staged, created })
    }

    /// The same field, on its way to an existing column of the type with this name in `pg_type`.
    pub(super) fn towards(mut self, catalog_name: &str) -> Self {
        // Sixteen bytes are a UUID where the column says so.
        if catalog_name == "uuid" && self.plain == DataType::FixedSizeBinary(16) {
            self.staged = SqlType::Uuid;
        }
        self
    }
}

/// A meaning that Arrow has no type for.
#[derive(Debug, Clone, Copy)]
enum Tag {
    Uuid,
    Json,
}

/// Reads the tag of a field: ours, or Arrow's own extension name.
fn tag(field: &Field) -> Option<Tag> {
    let metadata = field.metadata();
    match metadata.get(TYPE_KEY).or_else(|| metadata.get("ARROW:extension:name"))?.as_str() {
        "UUID" | "arrow.uuid" => Some(Tag::Uuid),
        "JSON" | "VARIANT" | "arrow.json" => Some(Tag::Json),
        _ => None,
    }
}

/// The type that values are brought into: an exact cast away, so that fewer types need an encoding.
fn plain(data_type: &DataType) -> Option<DataType> {
    let item = |field: &FieldRef| -> Option<FieldRef> {
        Some(Arc::new(field.as_ref().clone().with_data_type(plain(field.data_type())?)))
    };
    Some(match data_type {
        DataType::Int8 | DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Dictionary(_, value) => plain(value)?,
        DataType::List(field) | DataType::FixedSizeList(field, _) => DataType::List(item(field)?),
        DataType::LargeList(field) => DataType::LargeList(item(field)?),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(item).collect::<Option<Fields>>()?),
        DataType::Map(field, sorted) => DataType::Map(item(field)?, *sorted),
        DataType::Union(..) | DataType::RunEndEncoded(..) | DataType::ListView(_) | DataType::LargeListView(_) => {
            return None;
        }
        other => other.clone(),
    })
}

/// The type of the staged column for a plain Arrow type.
fn staged(plain: &DataType) -> Option<SqlType> {
    Some(match plain {
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => SqlType::Text,
        DataType::Boolean => SqlType::Boolean,
        DataType::Int16 => SqlType::SmallInt,
        DataType::Int32 => SqlType::Integer,
        DataType::Int64 => SqlType::BigInt,
        DataType::UInt64 => SqlType::Numeric { precision: 20, scale: 0 },
        DataType::Float32 => SqlType::Real,
        DataType::Float64 => SqlType::Double,
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => numeric(*precision, *scale),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            SqlType::Bytea
        }
        DataType::Date32 | DataType::Date64 => SqlType::Date,
        DataType::Time32(_) | DataType::Time64(_) => SqlType::Time,
        DataType::Timestamp(_, None) => SqlType::Timestamp,
        DataType::Timestamp(_, Some(_)) => SqlType::TimestampTz,
        DataType::Duration(_) | DataType::Interval(_) => SqlType::Interval,
        DataType::List(field) | DataType::LargeList(field) => match staged(field.data_type())? {
            // Arrays of arrays must be rectangular in PostgreSQL; lists of lists need not be.
            SqlType::Jsonb | SqlType::Array(_) => SqlType::Jsonb,
            item => SqlType::Array(Box::new(item)),
        },
        DataType::Struct(_) | DataType::Map(..) => SqlType::Jsonb,
        _ => return None,
    })
}

/// `numeric` for an Arrow decimal. Before version 15, PostgreSQL knows no scale below 0 or above the precision.
fn numeric(precision: u8, scale: i8) -> SqlType {
    match u8::try_from(scale) {
        Ok(scale) => SqlType::Numeric { precision: precision.max(scale), scale },
        Err(_) => SqlType::Numeric { precision: precision.saturating_add(scale.unsigned_abs()), scale: 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(data_type: DataType) -> String {
        FieldType::of(&Field::new("f", data_type, true)).unwrap().created.to_string()
    }

    #[test]
    fn numbers_keep_every_digit() {
        assert_eq!(created(DataType::UInt8), "smallint");
        assert_eq!(created(DataType::UInt32), "bigint");
        assert_eq!(created(DataType::UInt64), "numeric(20,0)");
        assert_eq!(created(DataType::Decimal256(39, 0)), "numeric(39,0)");
        assert_eq!(created(DataType::Decimal128(4, -3)), "numeric(7,0)");
        assert_eq!(created(DataType::Decimal128(2, 5)), "numeric(5,5)");
    }

    #[test]
    fn lists_of_scalars_are_arrays_and_other_nesting_is_json() {
        let list = |item| DataType::List(Arc::new(Field::new("item", item, true)));
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        assert_eq!(created(list(DataType::UInt16)), "integer[]");
        assert_eq!(created(list(dictionary)), "text[]");
        assert_eq!(created(list(list(DataType::Int32))), "jsonb");
        assert_eq!(created(DataType::Struct(Fields::from(vec![Field::new("a", DataType::Int8, true)]))), "jsonb");
    }

    #[test]
    fn tags_say_what_arrow_cannot() {
        let tagged = |data_type, tag: &str| {
            let metadata = [("tapline.type".to_owned(), tag.to_owned())].into();
            FieldType::of(&Field::new("f", data_type, true).with_metadata(metadata)).unwrap()
        };
        let uuid = tagged(DataType::Utf8, "UUID");
        assert_eq!((uuid.staged, uuid.created), (SqlType::Text, SqlType::Uuid));
        assert_eq!(tagged(DataType::FixedSizeBinary(16), "UUID").staged, SqlType::Uuid);
        assert_eq!(tagged(DataType::Utf8View, "JSON").created, SqlType::Jsonb);
        assert_eq!(
            FieldType::of(&Field::new("f", DataType::FixedSizeBinary(16), true)).unwrap().created,
            SqlType::Bytea
        );
    }

    #[test]
    fn what_cannot_be_held_is_said() {
        let union = DataType::Union(arrow::datatypes::UnionFields::empty(), arrow::datatypes::UnionMode::Dense);
        assert_eq!(FieldType::of(&Field::new("f", union, true)), None);
    }
}
