//! Values of Arrow columns in DuckDB's words: its cast to VARCHAR, its `to_json`, its type names.
//! Not here: rows, headers and files, which are the printers' business.
//! Called by the command line's printers, by `discover`, and by whoever sends or stores values as text or JSON.

mod escape;
mod floats;
mod json_text;
mod keywords;
mod nested;
mod numbers;
mod scalars;
mod temporal;
mod types;
mod variant;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::*;
use arrow::error::ArrowError;

pub use escape::{escape_csv, escape_json};
pub use types::{TYPE_KEY, duckdb_type_name, identifier};

use types::Tag;

/// The values of one column of one batch, ready to be written again and again.
///
/// All methods append UTF-8 to a buffer and panic, as arrays do, for a row beyond the last.
pub struct Column {
    nulls: Option<NullBuffer>,
    values: Box<dyn Values>,
}

/// How the values of one type are written; none of the methods is called for a row that is null.
trait Values: Send + Sync {
    /// What DuckDB's cast to VARCHAR gives.
    fn text(&self, row: usize, out: &mut Vec<u8>);

    /// What DuckDB's `to_json` gives for a value inside a list, struct or map.
    fn json(&self, row: usize, out: &mut Vec<u8>) {
        self.quoted(row, out);
    }

    /// The value as a member of an output row, where numbers that a reader may round are strings.
    fn member(&self, row: usize, out: &mut Vec<u8>) {
        self.json(row, out);
    }

    /// The text as a JSON string.
    fn quoted(&self, row: usize, out: &mut Vec<u8>) {
        out.push(b'"');
        let start = out.len();
        self.text(row, out);
        escape_json(out, start);
        out.push(b'"');
    }

    /// What the text is for a value around it.
    fn kind(&self) -> Kind {
        Kind::Simple
    }
}

/// What a value is for the text of a value around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Without structure of its own: quoted where its characters could be mistaken.
    Simple,
    /// A JSON document, which lists hold as it is.
    Json,
    /// A list, struct or map, which stands as it is.
    Nested,
}

/// What is around a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    List,
    /// A list of one length, whose items have no quotes at all.
    Array,
    /// A struct or map.
    Named,
}

impl Column {
    /// Prepares a column of a batch; `field` tells what the data type alone does not ([`TYPE_KEY`]).
    ///
    /// # Errors
    /// The array is not of the field's type, or of a type that has no counterpart in DuckDB.
    pub fn new(field: &Field, array: &ArrayRef) -> Result<Self, ArrowError> {
        if field.data_type() != array.data_type() {
            let message = format!("column {} is not of its type {}", field.name(), field.data_type());
            return Err(ArrowError::SchemaError(message));
        }
        Ok(Self { nulls: array.logical_nulls(), values: values(field, array)? })
    }

    /// Whether the value is NULL.
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Appends what DuckDB's cast to VARCHAR gives; false, and nothing, for NULL.
    pub fn text(&self, row: usize, out: &mut Vec<u8>) -> bool {
        let present = !self.is_null(row);
        if present {
            self.values.text(row, out);
        }
        present
    }

    /// Appends the value as a member of a JSON row: `null`, booleans, doubles, whole numbers up to 2^53 and nested
    /// values as JSON; strings and everything else as a string.
    pub fn json(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
        } else {
            self.values.member(row, out);
        }
    }

    /// Appends the value as part of a nested JSON value.
    fn nested_json(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
        } else {
            self.values.json(row, out);
        }
    }

    /// Appends the value as part of a nested value's text.
    fn nested_text(&self, row: usize, holder: Holder, out: &mut Vec<u8>) {
        let start = out.len();
        if !self.text(row, out) {
            return out.extend_from_slice(b"NULL");
        }
        match (self.values.kind(), holder) {
            (Kind::Nested, _) | (_, Holder::Array) | (Kind::Json, Holder::List) => {}
            (Kind::Simple | Kind::Json, Holder::List | Holder::Named) => escape::quote_nested(out, start),
        }
    }
}

fn values(field: &Field, array: &ArrayRef) -> Result<Box<dyn Values>, ArrowError> {
    use floats::{Doubles, Floats};
    use numbers::{Decimals, Hugeints, Integers};
    use scalars::{Blobs, Booleans, JsonTexts, Nothing, Texts, Uuids, VariantTexts};
    use temporal::{Dates, Intervals, Moments, Times};

    macro_rules! integers {
        ($native:ty) => {
            Box::new(Integers(array.as_primitive::<$native>().clone()))
        };
    }
    macro_rules! decimals {
        ($native:ty, $precision:expr, $scale:expr) => {
            match Tag::of(field) {
                Tag::Hugeint => Box::new(Hugeints(array.as_primitive::<$native>().clone())),
                _ => Box::new(Decimals::new(array.as_primitive::<$native>().clone(), $precision, $scale)),
            }
        };
    }
    macro_rules! texts {
        ($array:expr) => {
            match Tag::of(field) {
                Tag::Json => Box::new(JsonTexts($array.clone())),
                Tag::Variant => Box::new(VariantTexts($array.clone())),
                _ => Box::new(Texts($array.clone())),
            }
        };
    }
    Ok(match array.data_type() {
        DataType::Null => Box::new(Nothing),
        DataType::Boolean => Box::new(Booleans(array.as_boolean().clone())),
        DataType::Int8 => integers!(Int8Type),
        DataType::Int16 => integers!(Int16Type),
        DataType::Int32 => integers!(Int32Type),
        DataType::Int64 => integers!(Int64Type),
        DataType::UInt8 => integers!(UInt8Type),
        DataType::UInt16 => integers!(UInt16Type),
        DataType::UInt32 => integers!(UInt32Type),
        DataType::UInt64 => integers!(UInt64Type),
        DataType::Float16 => return values(field, &cast(array, &DataType::Float32)?),
        DataType::Float32 => Box::new(Floats(array.as_primitive::<Float32Type>().clone())),
        DataType::Float64 => Box::new(Doubles(array.as_primitive::<Float64Type>().clone())),
        DataType::Decimal32(precision, scale) => decimals!(Decimal32Type, *precision, *scale),
        DataType::Decimal64(precision, scale) => decimals!(Decimal64Type, *precision, *scale),
        DataType::Decimal128(precision, scale) => decimals!(Decimal128Type, *precision, *scale),
        DataType::Decimal256(precision, scale) => decimals!(Decimal256Type, *precision, *scale),
        DataType::Utf8 => texts!(array.as_string::<i32>()),
        DataType::LargeUtf8 => texts!(array.as_string::<i64>()),
        DataType::Utf8View => texts!(array.as_string_view()),
        DataType::Binary => Box::new(Blobs(array.as_binary::<i32>().clone())),
        DataType::LargeBinary => Box::new(Blobs(array.as_binary::<i64>().clone())),
        DataType::BinaryView => Box::new(Blobs(array.as_binary_view().clone())),
        DataType::FixedSizeBinary(16) if Tag::of(field) == Tag::Uuid => {
            Box::new(Uuids(array.as_fixed_size_binary().clone()))
        }
        DataType::FixedSizeBinary(_) => Box::new(Blobs(array.as_fixed_size_binary().clone())),
        DataType::Date32 => Box::new(Dates(array.as_primitive::<Date32Type>().clone())),
        DataType::Date64 => return values(field, &cast(array, &DataType::Date32)?),
        DataType::Time32(_) | DataType::Time64(_) => Box::new(Times::new(array, Tag::of(field) == Tag::TimeInUtc)?),
        DataType::Timestamp(unit, zone) => Box::new(Moments::new(array, *unit, zone.is_some())?),
        DataType::Interval(_) | DataType::Duration(_) => Box::new(Intervals::new(array)?),
        DataType::List(item) => Box::new(nested::Lists::new(item, array.as_list::<i32>())?),
        DataType::LargeList(item) => Box::new(nested::Lists::new(item, array.as_list::<i64>())?),
        DataType::FixedSizeList(item, size) => Box::new(nested::Arrays::new(item, *size, array.as_fixed_size_list())?),
        DataType::ListView(item) | DataType::LargeListView(item) => {
            return values(field, &cast(array, &DataType::LargeList(item.clone()))?);
        }
        DataType::Struct(fields) => Box::new(nested::Structs::new(fields, array.as_struct())?),
        DataType::Map(_, _) => Box::new(nested::Maps::new(array.as_map())?),
        DataType::Dictionary(_, _) => Box::new(nested::Dictionaries::new(field, array.as_any_dictionary())?),
        DataType::RunEndEncoded(_, value) => {
            let plain = value.as_ref().clone().with_name(field.name());
            return values(&plain, &cast(array, value.data_type())?);
        }
        DataType::Union(fields, _) => Box::new(nested::Unions::new(fields, array.as_union())?),
    })
}

#[cfg(test)]
mod tests;
