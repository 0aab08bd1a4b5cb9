//! Values from PostgreSQL's binary form, where the wanted Arrow type holds them exactly; the way back of `encode`.
//! Not here: which column is read as which type (see `read`).
//! Called for every batch that is read back.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal256Array, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, ListArray, NullArray, PrimitiveArray, StringArray, Time64MicrosecondArray, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, i256,
};

use super::encode::{DATES, EPOCH_DAYS, EPOCH_MICROSECONDS, TIMESTAMPS};
use super::numeric;
use super::types::SqlType;
use crate::exactly::{Span, exactly, spans};

/// The values of a column in the field's type; `None` where one of them has no exact place in it.
pub(super) fn decode(field: &Field, sql_type: &SqlType, cells: &[Option<&[u8]>]) -> Option<ArrayRef> {
    let wanted = field.data_type();
    let array: ArrayRef = match sql_type {
        _ if *wanted == DataType::Null => {
            return cells.iter().all(Option::is_none).then(|| Arc::new(NullArray::new(cells.len())) as ArrayRef);
        }
        SqlType::Boolean => Arc::new(BooleanArray::from(each(cells, |bytes| Some(*bytes.first()? != 0))?)),
        SqlType::SmallInt => Arc::new(Int16Array::from(each(cells, |bytes| Some(i16::from_be_bytes(fixed(bytes)?)))?)),
        SqlType::Integer => Arc::new(Int32Array::from(each(cells, int4)?)),
        SqlType::BigInt => Arc::new(Int64Array::from(each(cells, int8)?)),
        SqlType::Real => Arc::new(Float32Array::from(each(cells, |bytes| Some(f32::from_be_bytes(fixed(bytes)?)))?)),
        SqlType::Double => Arc::new(Float64Array::from(each(cells, |bytes| Some(f64::from_be_bytes(fixed(bytes)?)))?)),
        SqlType::Numeric { .. } => return numbers(wanted, cells),
        SqlType::Text => Arc::new(StringArray::from(each(cells, |bytes| str::from_utf8(bytes).ok())?)),
        SqlType::Bytea | SqlType::Uuid => Arc::new(BinaryArray::from(cells.to_vec())),
        SqlType::Date => Arc::new(Date32Array::from(each(cells, |bytes| {
            let days = Some(i64::from(int4(bytes)?)).filter(|days| DATES.contains(days))?;
            i32::try_from(days + EPOCH_DAYS).ok()
        })?)),
        SqlType::Time => Arc::new(Time64MicrosecondArray::from(each(cells, int8)?)),
        SqlType::Timestamp | SqlType::TimestampTz => return moments(wanted, cells),
        SqlType::Interval => return spans(wanted, &each(cells, span)?),
        SqlType::Array(item) => lists(wanted, item, cells)?,
        SqlType::Jsonb => return None,
    };
    exactly(&array, wanted)
}

/// Converts every value that is not NULL; `None` where one cannot be converted.
fn each<'a, T>(cells: &[Option<&'a [u8]>], convert: impl Fn(&'a [u8]) -> Option<T>) -> Option<Vec<Option<T>>> {
    let one = |cell: &Option<&'a [u8]>| match cell {
        Some(bytes) => convert(bytes).map(Some),
        None => Some(None),
    };
    cells.iter().map(one).collect()
}

fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

fn int4(bytes: &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(fixed(bytes)?))
}

fn int8(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(fixed(bytes)?))
}

fn primitive<T: ArrowPrimitiveType>(
    cells: &[Option<&[u8]>],
    convert: impl Fn(&[u8]) -> Option<T::Native>,
) -> Option<PrimitiveArray<T>> {
    Some(each(cells, convert)?.into_iter().collect())
}

fn numbers(wanted: &DataType, cells: &[Option<&[u8]>]) -> Option<ArrayRef> {
    let scale = match wanted {
        DataType::UInt64 => {
            let numbers = each(cells, |bytes| numeric::digits(bytes, 0)?.parse().ok())?;
            return Some(Arc::new(UInt64Array::from(numbers)));
        }
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => *scale,
        _ => return None,
    };
    let numbers = each(cells, |bytes| i256::from_string(&numeric::digits(bytes, scale)?))?;
    let numbers: Decimal256Array = numbers.into_iter().collect();
    exactly(&(Arc::new(numbers.with_precision_and_scale(76, scale).ok()?) as ArrayRef), wanted)
}

/// Timestamps in the wanted unit. The epoch is added last: early and late moments in seconds have no count of
/// microseconds since 1970.
fn moments(wanted: &DataType, cells: &[Option<&[u8]>]) -> Option<ArrayRef> {
    let DataType::Timestamp(unit, zone) = wanted else { return None };
    let since_2000 = |bytes: &[u8]| int8(bytes).filter(|value| TIMESTAMPS.contains(value));
    let in_units = |bytes: &[u8], microseconds: i64| {
        let value = since_2000(bytes)?;
        (value % microseconds == 0).then(|| value / microseconds)?.checked_add(EPOCH_MICROSECONDS / microseconds)
    };
    macro_rules! moments {
        ($arrow:ty, $convert:expr) => {
            Arc::new(primitive::<$arrow>(cells, $convert)?.with_timezone_opt(zone.clone()))
        };
    }
    Some(match unit {
        TimeUnit::Second => moments!(TimestampSecondType, |bytes| in_units(bytes, 1_000_000)),
        TimeUnit::Millisecond => moments!(TimestampMillisecondType, |bytes| in_units(bytes, 1_000)),
        TimeUnit::Microsecond => moments!(TimestampMicrosecondType, |bytes| in_units(bytes, 1)),
        TimeUnit::Nanosecond => moments!(TimestampNanosecondType, |bytes| in_units(bytes, 1)?.checked_mul(1_000)),
    })
}

/// Microseconds, days and months, as `interval_send` writes them.
fn span(bytes: &[u8]) -> Option<Span> {
    Some(Span {
        nanoseconds: i128::from(int8(bytes.get(..8)?)?) * 1_000,
        days: int4(bytes.get(8..12)?)?,
        months: int4(bytes.get(12..)?)?,
    })
}

/// Arrays of one dimension, as `array_send` writes them.
fn lists(wanted: &DataType, item: &SqlType, cells: &[Option<&[u8]>]) -> Option<ArrayRef> {
    let (DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _)) = wanted else {
        return None;
    };
    let mut items = Vec::new();
    let mut lengths = Vec::with_capacity(cells.len());
    for cell in cells {
        let before = items.len();
        if let Some(bytes) = cell {
            read_items(bytes, &mut items)?;
        }
        lengths.push(items.len() - before);
    }
    let nulls: NullBuffer = cells.iter().map(Option::is_some).collect::<Vec<_>>().into();
    let values = decode(field, item, &items)?;
    let list = ListArray::try_new(field.clone(), OffsetBuffer::from_lengths(lengths), values, Some(nulls));
    Some(Arc::new(list.ok()?))
}

fn read_items<'a>(bytes: &'a [u8], items: &mut Vec<Option<&'a [u8]>>) -> Option<()> {
    const HEADER: usize = 12;
    const DIMENSION: usize = 8;
    let (count, mut rest) = match int4(bytes.get(..4)?)? {
        0 => return Some(()),
        1 if int4(bytes.get(HEADER + 4..HEADER + DIMENSION)?)? == 1 => {
            (int4(bytes.get(HEADER..HEADER + 4)?)?, bytes.get(HEADER + DIMENSION..)?)
        }
        // More dimensions, or one that does not begin at 1, are more than a list can say.
        _ => return None,
    };
    for _ in 0..count {
        let (length, after) = rest.split_at_checked(4)?;
        rest = match usize::try_from(int4(length)?) {
            Ok(length) => {
                let (item, after) = after.split_at_checked(length)?;
                items.push(Some(item));
                after
            }
            Err(_) => {
                items.push(None);
                after
            }
        };
    }
    Some(())
}
