//! The types a CSV column can have, by DuckDB's names, and the lattice along which inferred types widen.
//! How text becomes a value of a type lives in `numbers`, `temporal` and `columns`.
//! Used by settings, detection, the decoder and whoever prints a schema.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::CsvError;
use crate::options::{CsvOptions, setting};

/// The type of a CSV column. Detection chooses among BOOLEAN, BIGINT, DOUBLE, DATE, TIME, TIMESTAMP, TIMESTAMPTZ and VARCHAR; the others must be declared.
/// Serialised as DuckDB's type name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the variants are DuckDB's type names")]
pub enum CsvType {
    Boolean,
    TinyInt,
    SmallInt,
    Integer,
    BigInt,
    HugeInt,
    UTinyInt,
    USmallInt,
    UInteger,
    UBigInt,
    Float,
    Double,
    /// DECIMAL(precision, scale), precision up to 38.
    Decimal(u8, i8),
    Date,
    Time,
    TimestampSeconds,
    TimestampMilliseconds,
    Timestamp,
    TimestampNanoseconds,
    TimestampTz,
    Uuid,
    Json,
    Blob,
    Varchar,
}

impl CsvType {
    /// Reads a DuckDB type name, aliases included, without regard to case.
    ///
    /// # Errors
    /// [`CsvError::Setting`] for a name that is unknown or not a scalar that CSV text can stand for.
    pub fn parse(name: &str) -> Result<CsvType, CsvError> {
        let folded = name.trim().to_ascii_uppercase();
        let (base, arguments) = match folded.split_once('(') {
            Some((base, rest)) => (base.trim_end(), rest.strip_suffix(')')),
            None => (folded.as_str(), None),
        };
        let parsed = match base {
            "BOOLEAN" | "BOOL" | "LOGICAL" => CsvType::Boolean,
            "TINYINT" | "INT1" => CsvType::TinyInt,
            "SMALLINT" | "INT2" | "INT16" | "SHORT" => CsvType::SmallInt,
            "INTEGER" | "INT4" | "INT32" | "INT" | "SIGNED" => CsvType::Integer,
            "BIGINT" | "INT8" | "INT64" | "LONG" => CsvType::BigInt,
            "HUGEINT" | "INT128" => CsvType::HugeInt,
            "UTINYINT" | "UINT8" => CsvType::UTinyInt,
            "USMALLINT" | "UINT16" => CsvType::USmallInt,
            "UINTEGER" | "UINT32" => CsvType::UInteger,
            "UBIGINT" | "UINT64" => CsvType::UBigInt,
            "FLOAT" | "FLOAT4" | "REAL" => CsvType::Float,
            "DOUBLE" | "FLOAT8" | "DOUBLE PRECISION" => CsvType::Double,
            "DECIMAL" | "NUMERIC" | "DEC" => decimal(arguments).ok_or_else(|| unknown(name))?,
            "DATE" => CsvType::Date,
            "TIME" | "TIME WITHOUT TIME ZONE" => CsvType::Time,
            "TIMESTAMP_S" => CsvType::TimestampSeconds,
            "TIMESTAMP_MS" => CsvType::TimestampMilliseconds,
            "TIMESTAMP" | "DATETIME" | "TIMESTAMP_US" | "TIMESTAMP WITHOUT TIME ZONE" => CsvType::Timestamp,
            "TIMESTAMP_NS" => CsvType::TimestampNanoseconds,
            "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" => CsvType::TimestampTz,
            "UUID" | "GUID" => CsvType::Uuid,
            "JSON" => CsvType::Json,
            "BLOB" | "BYTEA" | "BINARY" | "VARBINARY" => CsvType::Blob,
            "VARCHAR" | "TEXT" | "STRING" | "CHAR" | "BPCHAR" | "NVARCHAR" => CsvType::Varchar,
            _ => return Err(unknown(name)),
        };
        Ok(parsed)
    }

    /// The Arrow type that batches carry.
    pub fn arrow(self) -> DataType {
        match self {
            CsvType::Boolean => DataType::Boolean,
            CsvType::TinyInt => DataType::Int8,
            CsvType::SmallInt => DataType::Int16,
            CsvType::Integer => DataType::Int32,
            CsvType::BigInt => DataType::Int64,
            CsvType::HugeInt => DataType::Decimal256(39, 0),
            CsvType::UTinyInt => DataType::UInt8,
            CsvType::USmallInt => DataType::UInt16,
            CsvType::UInteger => DataType::UInt32,
            CsvType::UBigInt => DataType::UInt64,
            CsvType::Float => DataType::Float32,
            CsvType::Double => DataType::Float64,
            CsvType::Decimal(precision, scale) => DataType::Decimal128(precision, scale),
            CsvType::Date => DataType::Date32,
            CsvType::Time => DataType::Time64(TimeUnit::Microsecond),
            CsvType::TimestampSeconds => DataType::Timestamp(TimeUnit::Second, None),
            CsvType::TimestampMilliseconds => DataType::Timestamp(TimeUnit::Millisecond, None),
            CsvType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            CsvType::TimestampNanoseconds => DataType::Timestamp(TimeUnit::Nanosecond, None),
            CsvType::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
            CsvType::Blob => DataType::Binary,
            CsvType::Uuid => DataType::FixedSizeBinary(16),
            CsvType::Json | CsvType::Varchar => DataType::Utf8,
        }
    }

    /// The name of the type where the Arrow type alone does not tell it.
    pub fn tag(self) -> Option<&'static str> {
        match self {
            CsvType::HugeInt => Some("HUGEINT"),
            CsvType::Uuid => Some("UUID"),
            CsvType::Json => Some("JSON"),
            _ => None,
        }
    }

    /// The `strptime` format that the settings give for the type's values.
    pub(crate) fn format_in(self, options: &CsvOptions) -> Option<String> {
        match self {
            CsvType::Date => options.dateformat.clone(),
            _ if self.is_moment() => options.timestampformat.clone(),
            _ => None,
        }
    }

    /// A date with a time of day.
    pub(crate) fn is_moment(self) -> bool {
        use CsvType::{Timestamp, TimestampMilliseconds, TimestampNanoseconds, TimestampSeconds, TimestampTz};
        matches!(self, Timestamp | TimestampTz | TimestampSeconds | TimestampMilliseconds | TimestampNanoseconds)
    }

    /// Whether detection may choose the type where the settings name it as a candidate.
    pub(crate) fn is_candidate(self) -> bool {
        use CsvType::{BigInt, Boolean, Date, Double, Time, Timestamp, TimestampTz, Varchar};
        matches!(self, Boolean | BigInt | Double | Time | Date | Timestamp | TimestampTz | Varchar) || self.is_narrow()
    }

    /// A number type that detection leaves aside unless the settings name it as a candidate.
    pub(crate) fn is_narrow(self) -> bool {
        use CsvType::{Decimal, Float, Integer, SmallInt, TinyInt};
        matches!(self, TinyInt | SmallInt | Integer | Decimal(..) | Float)
    }
}

fn unknown(name: &str) -> CsvError {
    setting(
        "types",
        format!(
            "{name:?} is not a type that CSV text can be read as; use a scalar DuckDB type such as VARCHAR, BIGINT or DECIMAL(18,3)"
        ),
    )
}

/// DECIMAL without arguments is DECIMAL(18,3), with one the scale is 0, as in DuckDB.
fn decimal(arguments: Option<&str>) -> Option<CsvType> {
    let Some(arguments) = arguments else { return Some(CsvType::Decimal(18, 3)) };
    let (precision, scale) = arguments.split_once(',').unwrap_or((arguments, "0"));
    let (precision, scale): (u8, i8) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    ((1..=38).contains(&precision) && scale >= 0 && scale.unsigned_abs() <= precision)
        .then_some(CsvType::Decimal(precision, scale))
}

impl fmt::Display for CsvType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            CsvType::Boolean => "BOOLEAN",
            CsvType::TinyInt => "TINYINT",
            CsvType::SmallInt => "SMALLINT",
            CsvType::Integer => "INTEGER",
            CsvType::BigInt => "BIGINT",
            CsvType::HugeInt => "HUGEINT",
            CsvType::UTinyInt => "UTINYINT",
            CsvType::USmallInt => "USMALLINT",
            CsvType::UInteger => "UINTEGER",
            CsvType::UBigInt => "UBIGINT",
            CsvType::Float => "FLOAT",
            CsvType::Double => "DOUBLE",
            CsvType::Decimal(precision, scale) => return write!(formatter, "DECIMAL({precision},{scale})"),
            CsvType::Date => "DATE",
            CsvType::Time => "TIME",
            CsvType::TimestampSeconds => "TIMESTAMP_S",
            CsvType::TimestampMilliseconds => "TIMESTAMP_MS",
            CsvType::Timestamp => "TIMESTAMP",
            CsvType::TimestampNanoseconds => "TIMESTAMP_NS",
            CsvType::TimestampTz => "TIMESTAMP WITH TIME ZONE",
            CsvType::Uuid => "UUID",
            CsvType::Json => "JSON",
            CsvType::Blob => "BLOB",
            CsvType::Varchar => "VARCHAR",
        };
        formatter.write_str(name)
    }
}

impl Serialize for CsvType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CsvType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        CsvType::parse(&name).map_err(serde::de::Error::custom)
    }
}
