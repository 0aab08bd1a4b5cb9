//! Arrow values in the binary form of COPY, and which of them have none.
//! Not here: where the rows go (see `stage`), and the type table (see `types`).
//! Called once per batch. The form: <https://www.postgresql.org/docs/current/sql-copy.html>, "Binary Format".

use std::ops::Range;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, BinaryViewArray, BooleanArray, Decimal128Array,
    Decimal256Array, FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array, LargeBinaryArray, LargeStringArray,
    OffsetSizeTrait, StringArray, StringViewArray, UInt64Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Field, Int32Type, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit,
    IntervalYearMonthType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::error::ArrowError;
use bytes::{BufMut, BytesMut};
use tapline_core::values;
use tapline_core::{Error, Result};

use super::numeric;
use super::types::{FieldType, SqlType};

/// PostgreSQL counts from 2000-01-01, Arrow from 1970-01-01.
pub(super) const EPOCH_DAYS: i64 = 10_957;
const DAY_MICROSECONDS: i64 = 86_400_000_000;
pub(super) const EPOCH_MICROSECONDS: i64 = EPOCH_DAYS * DAY_MICROSECONDS;
/// The dates that PostgreSQL knows, 4714-11-24 BC to 5874897-12-31, in days from its epoch.
pub(super) const DATES: Range<i64> = -2_451_545..2_145_031_949;
/// The timestamps that PostgreSQL knows, 4714-11-24 BC to 294276-12-31, in microseconds from its epoch.
pub(super) const TIMESTAMPS: Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;

const NUL: &str = "holds a NUL character, which PostgreSQL's text cannot";
const JSON_NUL: &str = "holds a NUL character, which PostgreSQL's jsonb cannot";
const NOT_A_DAY: &str = "is not midnight of a day";
const DATE_RANGE: &str = "is outside of the dates that PostgreSQL knows";
const TIMESTAMP_RANGE: &str = "is outside of the timestamps that PostgreSQL knows";
const INTERVAL_RANGE: &str = "is outside of the intervals that PostgreSQL knows";
const TIME_RANGE: &str = "is not a time of day";
const FRACTION: &str = "has a fraction of a microsecond, which PostgreSQL cannot keep";

/// A row whose value has no exact form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) row: usize,
    /// Follows the name of the column.
    pub(super) reason: &'static str,
}

/// A column of a batch, ready to be encoded row by row.
pub(super) struct Column {
    nulls: Option<NullBuffer>,
    cells: Cells,
}

/// The values in PostgreSQL's terms.
enum Cells {
    Boolean(BooleanArray),
    TwoBytes(Int16Array),
    /// Integers, and days from PostgreSQL's epoch.
    FourBytes(Vec<i32>),
    /// Integers, and microseconds.
    EightBytes(Vec<i64>),
    Unsigned(UInt64Array),
    Real(Float32Array),
    Double(Float64Array),
    Decimal(Decimal128Array, i8),
    BigDecimal(Decimal256Array, i8),
    Text(StringArray),
    LargeText(LargeStringArray),
    TextView(StringViewArray),
    Bytes(BinaryArray),
    LargeBytes(LargeBinaryArray),
    BytesView(BinaryViewArray),
    FixedBytes(FixedSizeBinaryArray),
    /// Months, days and microseconds.
    Interval(Vec<(i32, i32, i64)>),
    Json(BinaryArray),
    List {
        ranges: Vec<Range<usize>>,
        items: Box<Column>,
        item: u32,
    },
    Null,
}

impl Column {
    /// Prepares a column, and finds the rows of it that cannot be stored exactly; these must not be encoded.
    pub(super) fn new(field: &Field, field_type: &FieldType, array: &ArrayRef) -> Result<(Self, Vec<Unfit>)> {
        let failed = |error| Error::internal(format!("encoding column {:?}", field.name())).because(error);
        let mut unfit = Vec::new();
        // JSON is written from the original, whose types know more than the plain ones.
        let column = if field_type.staged == SqlType::Jsonb {
            json(field, array, &mut unfit).map_err(failed)?
        } else {
            let plain = if *array.data_type() == field_type.plain {
                array.clone()
            } else {
                cast(array, &field_type.plain).map_err(failed)?
            };
            Self::plain(&plain, &field_type.staged, &mut unfit)?
        };
        Ok((column, unfit))
    }

    fn plain(array: &ArrayRef, sql_type: &SqlType, unfit: &mut Vec<Unfit>) -> Result<Self> {
        let nulls = array.logical_nulls();
        let cells = match array.data_type() {
            DataType::Null => Cells::Null,
            DataType::Boolean => Cells::Boolean(array.as_boolean().clone()),
            DataType::Int16 => Cells::TwoBytes(array.as_primitive().clone()),
            DataType::Int32 => Cells::FourBytes(array.as_primitive::<Int32Type>().values().to_vec()),
            DataType::Int64 => Cells::EightBytes(array.as_primitive::<Int64Type>().values().to_vec()),
            DataType::UInt64 => Cells::Unsigned(array.as_primitive().clone()),
            DataType::Float32 => Cells::Real(array.as_primitive().clone()),
            DataType::Float64 => Cells::Double(array.as_primitive().clone()),
            DataType::Decimal128(_, scale) => Cells::Decimal(array.as_primitive().clone(), *scale),
            DataType::Decimal256(_, scale) => Cells::BigDecimal(array.as_primitive().clone(), *scale),
            DataType::Utf8 => {
                let texts = array.as_string::<i32>().clone();
                find_nul(&texts, texts.value_data(), nulls.as_ref(), unfit, |row| texts.value(row).as_bytes());
                Cells::Text(texts)
            }
            DataType::LargeUtf8 => {
                let texts = array.as_string::<i64>().clone();
                find_nul(&texts, texts.value_data(), nulls.as_ref(), unfit, |row| texts.value(row).as_bytes());
                Cells::LargeText(texts)
            }
            DataType::Utf8View => {
                let texts = array.as_string_view().clone();
                find_nul(&texts, &[0], nulls.as_ref(), unfit, |row| texts.value(row).as_bytes());
                Cells::TextView(texts)
            }
            DataType::Binary => Cells::Bytes(array.as_binary().clone()),
            DataType::LargeBinary => Cells::LargeBytes(array.as_binary().clone()),
            DataType::BinaryView => Cells::BytesView(array.as_binary_view().clone()),
            DataType::FixedSizeBinary(_) => Cells::FixedBytes(array.as_fixed_size_binary().clone()),
            DataType::List(_) => list::<i32>(array, sql_type, nulls.as_ref(), unfit)?,
            DataType::LargeList(_) => list::<i64>(array, sql_type, nulls.as_ref(), unfit)?,
            _ => moments(array, nulls.as_ref(), unfit)?,
        };
        Ok(Self { nulls, cells })
    }

    /// Whether the value of `row` is NULL.
    pub(super) fn is_null(&self, row: usize) -> bool {
        matches!(self.cells, Cells::Null) || self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// How many bytes the text of `row` has; 0 for what is no text.
    pub(super) fn text_length(&self, row: usize) -> usize {
        match &self.cells {
            Cells::Text(values) => values.value(row).len(),
            Cells::LargeText(values) => values.value(row).len(),
            Cells::TextView(values) => values.value(row).len(),
            _ => 0,
        }
    }

    /// Appends the field of one row: its length, or -1 for NULL, and its bytes.
    pub(super) fn put(&self, row: usize, out: &mut BytesMut) {
        if self.is_null(row) {
            out.put_i32(-1);
            return;
        }
        match &self.cells {
            Cells::Boolean(values) => {
                out.put_i32(1);
                out.put_u8(u8::from(values.value(row)));
            }
            Cells::TwoBytes(values) => {
                out.put_i32(2);
                out.put_i16(values.value(row));
            }
            Cells::FourBytes(values) => {
                out.put_i32(4);
                out.put_i32(values[row]);
            }
            Cells::EightBytes(values) => {
                out.put_i32(8);
                out.put_i64(values[row]);
            }
            Cells::Real(values) => {
                out.put_i32(4);
                out.put_f32(values.value(row));
            }
            Cells::Double(values) => {
                out.put_i32(8);
                out.put_f64(values.value(row));
            }
            Cells::Unsigned(values) => put_sized(out, |out| numeric::put_u64(out, values.value(row))),
            Cells::Decimal(values, scale) => put_sized(out, |out| numeric::put_i128(out, values.value(row), *scale)),
            Cells::BigDecimal(values, scale) => put_sized(out, |out| numeric::put_i256(out, values.value(row), *scale)),
            Cells::Text(values) => put_bytes(out, values.value(row).as_bytes()),
            Cells::LargeText(values) => put_bytes(out, values.value(row).as_bytes()),
            Cells::TextView(values) => put_bytes(out, values.value(row).as_bytes()),
            Cells::Bytes(values) => put_bytes(out, values.value(row)),
            Cells::LargeBytes(values) => put_bytes(out, values.value(row)),
            Cells::BytesView(values) => put_bytes(out, values.value(row)),
            Cells::FixedBytes(values) => put_bytes(out, values.value(row)),
            Cells::Interval(values) => {
                let (months, days, microseconds) = values[row];
                out.put_i32(16);
                out.put_i64(microseconds);
                out.put_i32(days);
                out.put_i32(months);
            }
            Cells::Json(values) => put_sized(out, |out| {
                // The only version of jsonb's binary form.
                out.put_u8(1);
                out.put_slice(values.value(row));
            }),
            Cells::List { ranges, items, item } => {
                put_sized(out, |out| put_array(out, ranges[row].clone(), items, *item))
            }
            Cells::Null => {}
        }
    }
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.put_i32(bytes.len() as i32);
    out.put_slice(bytes);
}

/// Appends a field whose length is known only afterwards.
fn put_sized(out: &mut BytesMut, put: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_i32(0);
    put(out);
    let length = (out.len() - start - 4) as i32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends an array of one dimension, as `array_send` does.
fn put_array(out: &mut BytesMut, range: Range<usize>, items: &Column, item: u32) {
    out.put_i32(i32::from(!range.is_empty()));
    out.put_i32(i32::from(range.clone().any(|row| items.is_null(row))));
    out.put_u32(item);
    if !range.is_empty() {
        out.put_i32(range.len() as i32);
        out.put_i32(1);
    }
    for row in range {
        items.put(row, out);
    }
}

/// The values of an array parameter in its binary form.
pub(super) fn array_parameter(items: &Column, count: usize, item: &SqlType) -> BytesMut {
    let mut out = BytesMut::new();
    put_array(&mut out, 0..count, items, item.oid());
    out
}

/// Finds the strings that hold a NUL: first in all bytes at once, which decides nearly always.
fn find_nul<'a>(
    array: &dyn Array,
    all: &[u8],
    nulls: Option<&NullBuffer>,
    unfit: &mut Vec<Unfit>,
    value: impl Fn(usize) -> &'a [u8],
) {
    if memchr::memchr(0, all).is_none() {
        return;
    }
    for row in (0..array.len()).filter(|row| nulls.is_none_or(|nulls| nulls.is_valid(*row))) {
        if memchr::memchr(0, value(row)).is_some() {
            unfit.push(Unfit { row, reason: NUL });
        }
    }
}

fn list<O: OffsetSizeTrait>(
    array: &ArrayRef,
    sql_type: &SqlType,
    nulls: Option<&NullBuffer>,
    unfit: &mut Vec<Unfit>,
) -> Result<Cells> {
    let SqlType::Array(item) = sql_type else {
        return Err(Error::internal(format!("a list is staged as {sql_type}")));
    };
    let list = array.as_list::<O>();
    let ranges: Vec<Range<usize>> =
        list.value_offsets().windows(2).map(|pair| pair[0].as_usize()..pair[1].as_usize()).collect();
    let mut unfit_items = Vec::new();
    let items = Column::plain(list.values(), item, &mut unfit_items)?;
    for bad in unfit_items {
        let row = ranges.partition_point(|range| range.end <= bad.row);
        let holds = ranges.get(row).is_some_and(|range| range.contains(&bad.row));
        if holds && nulls.is_none_or(|nulls| nulls.is_valid(row)) {
            unfit.push(Unfit { row, reason: bad.reason });
        }
    }
    Ok(Cells::List { ranges, items: Box::new(items), item: item.oid() })
}

fn json(field: &Field, array: &ArrayRef, unfit: &mut Vec<Unfit>) -> Result<Column, ArrowError> {
    let column = values::Column::new(field, array)?;
    let mut texts = BinaryBuilder::with_capacity(array.len(), array.len() * 32);
    let mut text = Vec::new();
    for row in 0..array.len() {
        if column.is_null(row) {
            texts.append_null();
            continue;
        }
        text.clear();
        column.json(row, &mut text);
        if memchr::memmem::find(&text, b"\\u0000").is_some() {
            unfit.push(Unfit { row, reason: JSON_NUL });
        }
        texts.append_value(&text);
    }
    let texts = texts.finish();
    Ok(Column { nulls: texts.nulls().cloned(), cells: Cells::Json(texts) })
}

/// Dates, times, timestamps and intervals, brought to PostgreSQL's epoch and unit.
fn moments(array: &ArrayRef, nulls: Option<&NullBuffer>, unfit: &mut Vec<Unfit>) -> Result<Cells> {
    macro_rules! each {
        ($arrow:ty, $convert:expr) => {
            convert(array.as_primitive::<$arrow>().values(), nulls, unfit, $convert)
        };
    }
    Ok(match array.data_type() {
        DataType::Date32 => Cells::FourBytes(each!(Date32Type, |days| date(i64::from(days)))),
        DataType::Date64 => Cells::FourBytes(each!(Date64Type, |milliseconds: i64| {
            if milliseconds % 86_400_000 == 0 { date(milliseconds / 86_400_000) } else { Err(NOT_A_DAY) }
        })),
        DataType::Time32(TimeUnit::Second) => {
            Cells::EightBytes(each!(Time32SecondType, |time| time_of_day(i64::from(time) * 1_000_000)))
        }
        DataType::Time32(_) => {
            Cells::EightBytes(each!(Time32MillisecondType, |time| time_of_day(i64::from(time) * 1_000)))
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            Cells::EightBytes(each!(Time64NanosecondType, |time| time_of_day(whole_microseconds(time)?)))
        }
        DataType::Time64(_) => Cells::EightBytes(each!(Time64MicrosecondType, time_of_day)),
        DataType::Timestamp(TimeUnit::Second, _) => {
            Cells::EightBytes(each!(TimestampSecondType, |value| timestamp_of(value, 1_000_000)))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Cells::EightBytes(each!(TimestampMillisecondType, |value| timestamp_of(value, 1_000)))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Cells::EightBytes(each!(TimestampMicrosecondType, |value| timestamp_of(value, 1)))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            Cells::EightBytes(each!(TimestampNanosecondType, |value| timestamp_of(whole_microseconds(value)?, 1)))
        }
        DataType::Duration(TimeUnit::Second) => {
            Cells::Interval(each!(DurationSecondType, |value: i64| span(value.checked_mul(1_000_000))))
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            Cells::Interval(each!(DurationMillisecondType, |value: i64| span(value.checked_mul(1_000))))
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            Cells::Interval(each!(DurationMicrosecondType, |value| span(Some(value))))
        }
        DataType::Duration(TimeUnit::Nanosecond) => {
            Cells::Interval(each!(DurationNanosecondType, |value| span(Some(whole_microseconds(value)?))))
        }
        DataType::Interval(IntervalUnit::YearMonth) => {
            Cells::Interval(each!(IntervalYearMonthType, |months| Ok((months, 0, 0))))
        }
        DataType::Interval(IntervalUnit::DayTime) => Cells::Interval(each!(
            IntervalDayTimeType,
            |value: arrow::datatypes::IntervalDayTime| Ok((0, value.days, i64::from(value.milliseconds) * 1_000))
        )),
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            Cells::Interval(each!(IntervalMonthDayNanoType, |value: arrow::datatypes::IntervalMonthDayNano| {
                Ok((value.months, value.days, whole_microseconds(value.nanoseconds)?))
            }))
        }
        other => return Err(Error::internal(format!("no encoding for {other}"))),
    })
}

fn convert<T: Copy, U: Default>(
    values: &[T],
    nulls: Option<&NullBuffer>,
    unfit: &mut Vec<Unfit>,
    convert: impl Fn(T) -> Result<U, &'static str>,
) -> Vec<U> {
    let one = |(row, value): (usize, &T)| {
        if nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return U::default();
        }
        convert(*value).unwrap_or_else(|reason| {
            unfit.push(Unfit { row, reason });
            U::default()
        })
    };
    values.iter().enumerate().map(one).collect()
}

fn date(days: i64) -> Result<i32, &'static str> {
    let days = days.checked_sub(EPOCH_DAYS).filter(|days| DATES.contains(days)).ok_or(DATE_RANGE)?;
    i32::try_from(days).map_err(|_| DATE_RANGE)
}

fn time_of_day(microseconds: i64) -> Result<i64, &'static str> {
    if (0..=DAY_MICROSECONDS).contains(&microseconds) { Ok(microseconds) } else { Err(TIME_RANGE) }
}

/// Microseconds since PostgreSQL's epoch. The epoch is taken off first: late moments in seconds have no count of
/// microseconds since 1970.
fn timestamp_of(value: i64, microseconds: i64) -> Result<i64, &'static str> {
    value
        .checked_sub(EPOCH_MICROSECONDS / microseconds)
        .and_then(|value| value.checked_mul(microseconds))
        .filter(|value| TIMESTAMPS.contains(value))
        .ok_or(TIMESTAMP_RANGE)
}

fn span(microseconds: Option<i64>) -> Result<(i32, i32, i64), &'static str> {
    microseconds.map(|microseconds| (0, 0, microseconds)).ok_or(INTERVAL_RANGE)
}

fn whole_microseconds(nanoseconds: i64) -> Result<i64, &'static str> {
    if nanoseconds % 1_000 == 0 { Ok(nanoseconds / 1_000) } else { Err(FRACTION) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, ListArray, StringBuilder, TimestampNanosecondArray, TimestampSecondArray};

    use super::*;

    fn column(array: ArrayRef) -> (Column, Vec<Unfit>) {
        let field = Field::new("f", array.data_type().clone(), true);
        Column::new(&field, &FieldType::of(&field).unwrap(), &array).unwrap()
    }

    fn unfit(array: ArrayRef) -> Vec<(usize, &'static str)> {
        column(array).1.into_iter().map(|unfit| (unfit.row, unfit.reason)).collect()
    }

    fn bytes(array: ArrayRef, row: usize) -> Vec<u8> {
        let mut out = BytesMut::new();
        column(array).0.put(row, &mut out);
        out.to_vec()
    }

    #[test]
    fn nul_is_found_in_every_kind_of_string() {
        let texts = vec![Some("a"), None, Some("b\0c"), Some("")];
        assert_eq!(unfit(Arc::new(StringArray::from(texts.clone()))), [(2, NUL)]);
        assert_eq!(unfit(Arc::new(LargeStringArray::from(texts.clone()))), [(2, NUL)]);
        assert_eq!(unfit(Arc::new(StringViewArray::from(texts.clone()))), [(2, NUL)]);
        let sliced: ArrayRef = Arc::new(StringArray::from(texts).slice(0, 2));
        assert_eq!(unfit(sliced), []);
    }

    #[test]
    fn time_that_postgres_cannot_keep_is_found() {
        let stamps = TimestampNanosecondArray::from(vec![Some(1_000), Some(1_001), None]);
        assert_eq!(unfit(Arc::new(stamps)), [(1, FRACTION)]);
        let far = TimestampSecondArray::from(vec![i64::MAX, 9_224_318_015_999, 9_224_318_016_000, -210_866_803_200]);
        assert_eq!(unfit(Arc::new(far)), [(0, TIMESTAMP_RANGE), (2, TIMESTAMP_RANGE)]);
        assert_eq!(unfit(Arc::new(Date32Array::from(vec![0, i32::MIN]))), [(1, DATE_RANGE)]);
    }

    #[test]
    fn moments_count_from_the_year_2000() {
        assert_eq!(bytes(Arc::new(Date32Array::from(vec![10_958])), 0), [0, 0, 0, 4, 0, 0, 0, 1]);
        let stamp = TimestampSecondArray::from(vec![946_684_801]);
        assert_eq!(bytes(Arc::new(stamp), 0), [0, 0, 0, 8, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x40]);
    }

    #[test]
    fn a_bad_item_makes_its_row_bad() {
        let mut list = arrow::array::ListBuilder::new(StringBuilder::new());
        list.append_value([Some("a"), None]);
        list.append_value([Some("b"), Some("\0")]);
        list.append_null();
        list.append_value([Some("c")]);
        assert_eq!(unfit(Arc::new(list.finish())), [(1, NUL)]);
    }

    #[test]
    fn arrays_carry_dimension_nulls_and_item_type() {
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(7), None]), Some(vec![]), None]);
        let list: ArrayRef = Arc::new(list);
        let mut expected = vec![0, 0, 0, 32, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 23, 0, 0, 0, 2, 0, 0, 0, 1];
        expected.extend([0, 0, 0, 4, 0, 0, 0, 7, 255, 255, 255, 255]);
        assert_eq!(bytes(list.clone(), 0), expected);
        assert_eq!(bytes(list.clone(), 1), [0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 23]);
        assert_eq!(bytes(list, 2), [255, 255, 255, 255]);
    }
}
