//! The type table: how SQLite holds an Arrow type exactly.
//! Not here: values (see `encode`).
//! Called by the creation of tables, and by the encoder.
//!
//! | model (DuckDB's name) | Arrow | new column | stored |
//! |---|---|---|---|
//! | BOOLEAN | Boolean | `INTEGER` | 0 or 1 |
//! | TINYINT to BIGINT, UTINYINT to UINTEGER | Int8 to Int64, UInt8 to UInt32 | `INTEGER` | integer |
//! | UBIGINT, HUGEINT | UInt64, Decimal256(39,0) | `TEXT` | its digits |
//! | DECIMAL(p,s) | Decimal32, 64, 128, 256 | `TEXT` | its digits, with all places |
//! | FLOAT, DOUBLE | Float16, Float32, Float64 | `REAL` | float, infinities included; NaN is rejected; -0.0 is 0.0 |
//! | VARCHAR, ENUM, JSON | Utf8, LargeUtf8, Utf8View, Dictionary | `TEXT` | text; a NUL character is rejected |
//! | BLOB | Binary, LargeBinary, BinaryView, FixedSizeBinary | `BLOB` | bytes |
//! | DATE, TIME, TIMESTAMP, TIMESTAMPTZ, INTERVAL, UUID | Date, Time, Timestamp, Interval, Duration, UUID | `TEXT` | as DuckDB's cast to VARCHAR, TIMESTAMPTZ in UTC with `+00` |
//! | LIST, STRUCT, MAP | List, LargeList, FixedSizeList, Struct, Map | `TEXT` | JSON, as DuckDB's `to_json` |
//! | NULL | Null | `TEXT` | NULL |
//!
//! An existing column may have any type: its affinity (<https://www.sqlite.org/datatype3.html#type_affinity>) decides
//! what SQLite makes of a value, and a value is sent in the form that the column keeps, or its row is rejected.

use arrow::datatypes::{DataType, Field};
use tapline_core::values::TYPE_KEY;

/// What a column does to values that are stored in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Affinity {
    /// Keeps everything as it is.
    Blob,
    /// Makes numbers texts.
    Text,
    /// Makes texts that look like numbers numbers, and floats without a fraction integers.
    Numeric,
    /// Does as [`Numeric`](Self::Numeric); a number with a fraction, which SQLite keeps, is nothing for its readers.
    Integer,
    /// As [`Numeric`](Self::Numeric), and makes integers floats.
    Real,
}

impl Affinity {
    /// The affinity of a column, from its declared type.
    pub(super) fn of(declared: &str, strict: bool) -> Self {
        let declared = declared.to_ascii_uppercase();
        let has = |word: &str| declared.contains(word);
        if has("INT") {
            Self::Integer
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Self::Text
        } else if has("BLOB") || declared.is_empty() || (strict && declared == "ANY") {
            Self::Blob
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Self::Real
        } else {
            Self::Numeric
        }
    }

    /// Whether texts that look like numbers become numbers.
    pub(super) fn makes_numbers(self) -> bool {
        matches!(self, Self::Numeric | Self::Integer | Self::Real)
    }
}

/// The form in which values of an Arrow type travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Null,
    Boolean,
    /// 64 bits with a sign hold every value.
    Integer,
    Float,
    /// A number that only its digits hold.
    Digits,
    Text,
    Bytes,
    /// A text that DuckDB's cast gives, which never looks like a number.
    Rendered,
    Json,
}

impl Form {
    /// The form of a field's values; `None` where there is none.
    pub(super) fn of(field: &Field) -> Option<Self> {
        Some(match field.data_type() {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Boolean,
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32 => Self::Integer,
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Self::Float,
            DataType::UInt64
            | DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => Self::Digits,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::FixedSizeBinary(16) if is_uuid(field) => Self::Rendered,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Self::Bytes
            }
            DataType::Date32
            | DataType::Date64
            | DataType::Time32(_)
            | DataType::Time64(_)
            | DataType::Timestamp(..)
            | DataType::Interval(_)
            | DataType::Duration(_) => Self::Rendered,
            DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(..)
            | DataType::Struct(_)
            | DataType::Map(..) => Self::Json,
            DataType::Dictionary(_, values) => {
                return Self::of(&field.clone().with_data_type(values.as_ref().clone()));
            }
            _ => return None,
        })
    }

    /// The declared type of a new column, whose affinity keeps every value of this form.
    pub(super) fn declared(self) -> &'static str {
        match self {
            Self::Boolean | Self::Integer => "INTEGER",
            Self::Float => "REAL",
            Self::Bytes => "BLOB",
            Self::Null | Self::Digits | Self::Text | Self::Rendered | Self::Json => "TEXT",
        }
    }
}

fn is_uuid(field: &Field) -> bool {
    let metadata = field.metadata();
    let name = metadata.get(TYPE_KEY).or_else(|| metadata.get("ARROW:extension:name"));
    name.is_some_and(|name| name == "UUID" || name == "arrow.uuid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn affinities_follow_the_declared_type() {
        let affinities = [
            ("INTEGER", Affinity::Integer),
            ("bigint", Affinity::Integer),
            ("VARCHAR(10)", Affinity::Text),
            ("text", Affinity::Text),
            ("CHARINT", Affinity::Integer),
            ("FLOATING POINT", Affinity::Integer),
            ("double precision", Affinity::Real),
            ("BOOLEAN", Affinity::Numeric),
            ("DATETIME", Affinity::Numeric),
            ("ANY", Affinity::Numeric),
            ("STRING", Affinity::Numeric),
            ("", Affinity::Blob),
            ("blob", Affinity::Blob),
        ];
        for (declared, affinity) in affinities {
            assert_eq!(Affinity::of(declared, false), affinity, "{declared}");
        }
        assert_eq!(Affinity::of("ANY", true), Affinity::Blob);
    }
}
