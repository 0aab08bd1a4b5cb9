//! The types that typed kernels take and give: how a row of each is read and written.
//! Not here: the choice among overloads (`typed`).
//! Called by the `kernel!` macro.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::*;
use datafusion::common::{Result, exec_datafusion_err};
use tapline_core::values::TYPE_KEY;

/// The zone that moments carry; everything runs in UTC.
pub(crate) const UTC: &str = "UTC";

/// A type of arguments and answers.
pub(crate) trait Type {
    /// The Arrow array that holds it.
    type Array: Array + 'static;
    /// A row of an answer.
    type Item;

    fn data_type() -> DataType;

    /// A field of this type, with what its data type alone does not tell.
    fn field() -> Field {
        Field::new("", Self::data_type(), true)
    }

    fn build(rows: Vec<Option<Self::Item>>) -> ArrayRef;
}

/// The column as an array of the type that the overload promised.
pub(crate) fn downcast<T: Type>(array: &ArrayRef) -> Result<&T::Array> {
    array
        .as_any()
        .downcast_ref()
        .ok_or_else(|| exec_datafusion_err!("an argument has type {} instead of {}", array.data_type(), T::data_type()))
}

/// A field that carries DuckDB's name of its type.
pub(crate) fn tagged(data_type: DataType, name: &str) -> Field {
    Field::new("", data_type, true).with_metadata(HashMap::from([(TYPE_KEY.to_owned(), name.to_owned())]))
}

/// Whether a field's type is the tagged one.
pub(crate) fn is_tagged(field: &Field, name: &str) -> bool {
    tapline_core::values::duckdb_type_name(field) == name
}

macro_rules! plain_type {
    ($(#[$doc:meta])* $name:ident, $array:ty, $item:ty, $data_type:expr) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl Type for $name {
            type Array = $array;
            type Item = $item;

            fn data_type() -> DataType {
                $data_type
            }

            fn build(rows: Vec<Option<$item>>) -> ArrayRef {
                Arc::new(<$array>::from_iter(rows))
            }
        }
    };
}

plain_type!(/// VARCHAR
    Text, StringArray, String, DataType::Utf8);
plain_type!(/// BLOB
    Blob, BinaryArray, Vec<u8>, DataType::Binary);
plain_type!(/// BOOLEAN
    Truth, BooleanArray, bool, DataType::Boolean);
plain_type!(/// TINYINT
    Int1, Int8Array, i8, DataType::Int8);
plain_type!(/// SMALLINT
    Int2, Int16Array, i16, DataType::Int16);
plain_type!(/// INTEGER
    Int4, Int32Array, i32, DataType::Int32);
plain_type!(/// BIGINT
    Int, Int64Array, i64, DataType::Int64);
plain_type!(/// UTINYINT
    UInt1, UInt8Array, u8, DataType::UInt8);
plain_type!(/// USMALLINT
    UInt2, UInt16Array, u16, DataType::UInt16);
plain_type!(/// UINTEGER
    UInt4, UInt32Array, u32, DataType::UInt32);
plain_type!(/// UBIGINT
    UInt, UInt64Array, u64, DataType::UInt64);
plain_type!(/// FLOAT
    Single, Float32Array, f32, DataType::Float32);
plain_type!(/// DOUBLE
    Double, Float64Array, f64, DataType::Float64);
plain_type!(/// DATE, in days
    Date, Date32Array, i32, DataType::Date32);
plain_type!(/// TIME, in microseconds
    Time, Time64MicrosecondArray, i64, DataType::Time64(TimeUnit::Microsecond));
plain_type!(/// TIMESTAMP, in microseconds
    Moment, TimestampMicrosecondArray, i64, DataType::Timestamp(TimeUnit::Microsecond, None));
plain_type!(/// TIMESTAMP_NS
    NanoMoment, TimestampNanosecondArray, i64, DataType::Timestamp(TimeUnit::Nanosecond, None));
plain_type!(/// INTERVAL
    Span, IntervalMonthDayNanoArray, IntervalMonthDayNano, DataType::Interval(IntervalUnit::MonthDayNano));

/// TIMESTAMP WITH TIME ZONE, in microseconds of UTC
pub(crate) struct ZonedMoment;

impl Type for ZonedMoment {
    type Array = TimestampMicrosecondArray;
    type Item = i64;

    fn data_type() -> DataType {
        DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
    }

    fn build(rows: Vec<Option<i64>>) -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter(rows).with_timezone(UTC))
    }
}

/// JSON, a text
pub(crate) struct Json;

impl Type for Json {
    type Array = StringArray;
    type Item = String;

    fn data_type() -> DataType {
        DataType::Utf8
    }

    fn field() -> Field {
        tagged(DataType::Utf8, "JSON")
    }

    fn build(rows: Vec<Option<String>>) -> ArrayRef {
        Text::build(rows)
    }
}

/// UUID
pub(crate) struct Uuid;

impl Type for Uuid {
    type Array = FixedSizeBinaryArray;
    type Item = [u8; 16];

    fn data_type() -> DataType {
        DataType::FixedSizeBinary(16)
    }

    fn field() -> Field {
        tagged(Self::data_type(), "UUID")
    }

    fn build(rows: Vec<Option<[u8; 16]>>) -> ArrayRef {
        let mut builder = FixedSizeBinaryBuilder::with_capacity(rows.len(), 16);
        for row in rows {
            match row {
                // Sixteen bytes always fit the builder's width of sixteen.
                Some(bytes) => builder.append_value(bytes).unwrap_or_default(),
                None => builder.append_null(),
            }
        }
        Arc::new(builder.finish())
    }
}

/// HUGEINT
pub(crate) struct Huge;

impl Type for Huge {
    type Array = Decimal256Array;
    type Item = i256;

    fn data_type() -> DataType {
        DataType::Decimal256(39, 0)
    }

    fn field() -> Field {
        tagged(Self::data_type(), "HUGEINT")
    }

    fn build(rows: Vec<Option<i256>>) -> ArrayRef {
        Arc::new(Decimal256Array::from_iter(rows).with_data_type(Self::data_type()))
    }
}

/// UHUGEINT
pub(crate) struct UHuge;

impl Type for UHuge {
    type Array = Decimal256Array;
    type Item = i256;

    fn data_type() -> DataType {
        Huge::data_type()
    }

    fn field() -> Field {
        tagged(Self::data_type(), "UHUGEINT")
    }

    fn build(rows: Vec<Option<i256>>) -> ArrayRef {
        Huge::build(rows)
    }
}

/// A list of any other type.
pub(crate) struct ListOf<T>(std::marker::PhantomData<T>);

impl<T: Type> Type for ListOf<T> {
    type Array = ListArray;
    type Item = Vec<Option<T::Item>>;

    fn data_type() -> DataType {
        DataType::List(Arc::new(T::field().with_name(Field::LIST_FIELD_DEFAULT_NAME)))
    }

    fn build(rows: Vec<Option<Self::Item>>) -> ArrayRef {
        let nulls = NullBuffer::from_iter(rows.iter().map(Option::is_some));
        let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| row.as_ref().map_or(0, Vec::len)));
        let items = T::build(rows.into_iter().flatten().flatten().collect());
        let field = Arc::new(T::field().with_name(Field::LIST_FIELD_DEFAULT_NAME));
        Arc::new(ListArray::new(field, offsets, items, Some(nulls)))
    }
}

/// A row of an answer, or NULL, or an error.
pub(crate) trait Answer<T> {
    fn answer(self) -> Result<Option<T>>;
}

impl<T> Answer<T> for T {
    fn answer(self) -> Result<Option<T>> {
        Ok(Some(self))
    }
}

impl<T> Answer<T> for Option<T> {
    fn answer(self) -> Result<Option<T>> {
        Ok(self)
    }
}

impl<T> Answer<T> for Result<T> {
    fn answer(self) -> Result<Option<T>> {
        self.map(Some)
    }
}

impl<T> Answer<T> for Result<Option<T>> {
    fn answer(self) -> Result<Option<T>> {
        self
    }
}
