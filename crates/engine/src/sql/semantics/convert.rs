//! Columns of one type as columns of another, as DuckDB's casts convert them.
//! Not here: texts that are read (`read`), the cast as a function (`cast`).
//! Called by casts, and by operators whose operands have to have one type.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, Decimal128Array, Decimal256Array, FixedSizeBinaryBuilder,
    FixedSizeListArray, ListArray, MapArray, PrimitiveArray, StringArray, StringBuilder, StructArray, new_null_array,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::*;
use datafusion::common::{Result, exec_err};
use tapline_core::values::{Column, duckdb_type_name};

use super::read;

/// Converts a column; what does not fit is NULL where `lenient`, else an error.
pub(super) fn convert(array: &ArrayRef, from: &Field, to: &Field, lenient: bool) -> Result<ArrayRef> {
    let same_type = from.data_type() == to.data_type();
    if same_type && (duckdb_type_name(from) == duckdb_type_name(to)) {
        return Ok(Arc::clone(array));
    }
    if array.null_count() == array.len() && !to.data_type().is_null() {
        return Ok(new_null_array(to.data_type(), array.len()));
    }
    let json = duckdb_type_name(from) == "JSON";
    match (from.data_type(), to.data_type()) {
        (DataType::Dictionary(_, value), _) => {
            let plain = from.clone().with_data_type(value.as_ref().clone());
            convert(&arrow::compute::cast(array, value)?, &plain, to, lenient)
        }
        (DataType::LargeUtf8 | DataType::Utf8View, _) => {
            let plain = from.clone().with_data_type(DataType::Utf8);
            convert(&arrow::compute::cast(array, &DataType::Utf8)?, &plain, to, lenient)
        }
        (DataType::Utf8, DataType::Utf8) if duckdb_type_name(to) == "JSON" => json_texts(array, lenient),
        (DataType::Utf8, DataType::Utf8) => Ok(Arc::clone(array)),
        (DataType::Utf8, _) if json => {
            let bare: StringArray = array.as_string::<i32>().iter().map(|text| text.map(unquoted)).collect();
            let text: ArrayRef = Arc::new(bare);
            from_text(&text, to, lenient)
        }
        (DataType::Utf8, _) => from_text(array, to, lenient),
        (_, DataType::Utf8) if duckdb_type_name(to) == "JSON" => to_json(array, from),
        (_, DataType::Utf8) => to_text(array, from),
        (_, DataType::Boolean) if from.data_type().is_numeric() => {
            let numbers = engine(array, &DataType::Float64, lenient)?;
            let numbers = numbers.as_primitive::<Float64Type>();
            Ok(Arc::new(numbers.iter().map(|number| number.map(|number| number != 0.0)).collect::<BooleanArray>()))
        }
        (DataType::Boolean, DataType::Decimal128(..) | DataType::Decimal256(..)) => {
            engine(&engine(array, &DataType::Int32, lenient)?, to.data_type(), lenient)
        }
        (DataType::Float32 | DataType::Float64, target) if target.is_integer() || is_huge(target) => {
            let numbers = engine(array, &DataType::Float64, lenient)?;
            let rounded: ArrayRef =
                Arc::new(numbers.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round_ties_even));
            engine(&rounded, target, lenient)
        }
        (source, target) if source.is_decimal() && target.is_integer() => {
            let whole = engine(array, &DataType::Decimal256(76, 0), lenient)?;
            engine(&whole, target, lenient)
        }
        (
            DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Timestamp(unit @ (TimeUnit::Second | TimeUnit::Millisecond), None),
        ) => engine(&coarser(array, *unit), to.data_type(), lenient),
        (DataType::List(item), DataType::List(wanted)) => {
            let list = array.as_list::<i32>();
            let values = convert(list.values(), item, wanted, lenient)?;
            let list = ListArray::try_new(Arc::clone(wanted), list.offsets().clone(), values, list.nulls().cloned())?;
            Ok(Arc::new(list))
        }
        (DataType::FixedSizeList(item, _), DataType::List(_)) => {
            let list = arrow::compute::cast(array, &DataType::List(Arc::clone(item)))?;
            convert(&list, &Field::new("", DataType::List(Arc::clone(item)), true), to, lenient)
        }
        (DataType::List(item), DataType::FixedSizeList(wanted, size)) => {
            let inner = Field::new("", DataType::List(Arc::clone(wanted)), true);
            let list = convert(array, &Field::new("", DataType::List(Arc::clone(item)), true), &inner, lenient)?;
            let sized = arrow::compute::cast(&list, &DataType::FixedSizeList(Arc::clone(wanted), *size))?;
            let _: &FixedSizeListArray = sized.as_fixed_size_list();
            Ok(sized)
        }
        (DataType::Struct(members), DataType::Struct(wanted)) => structs(array, members, wanted, lenient),
        (DataType::Map(entries, _), DataType::Map(wanted, sorted)) => {
            let map = array.as_map();
            let (DataType::Struct(from_entries), DataType::Struct(to_entries)) =
                (entries.data_type(), wanted.data_type())
            else {
                return exec_err!("a map without entries");
            };
            let source: ArrayRef = Arc::new(map.entries().clone());
            let converted = structs_by_place(&source, from_entries, to_entries, lenient)?;
            let entries = converted.as_struct().clone();
            let map =
                MapArray::try_new(Arc::clone(wanted), map.offsets().clone(), entries, map.nulls().cloned(), *sorted)?;
            Ok(Arc::new(map))
        }
        (source, target) => {
            let known = arrow::compute::can_cast_types(source, target);
            let apart = (source.is_temporal() != target.is_temporal() && !source.is_null())
                || matches!(source, DataType::List(_) | DataType::Struct(_) | DataType::Map(..));
            if !known || apart {
                return exec_err!(
                    "Unimplemented type for cast ({} -> {})",
                    duckdb_type_name(from),
                    duckdb_type_name(to)
                );
            }
            engine(array, target, lenient)
        }
    }
}

fn is_huge(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal256(..))
}

/// What the engine's own cast gives.
fn engine(array: &ArrayRef, to: &DataType, lenient: bool) -> Result<ArrayRef> {
    let options = CastOptions { safe: lenient, ..CastOptions::default() };
    let converted = match cast_with_options(array, to, &options) {
        Ok(converted) => converted,
        Err(_) => {
            let (from, to) = (type_name(array.data_type()), type_name(to));
            return exec_err!("a value of type {from} is out of range for {to}");
        }
    };
    Ok(converted)
}

pub(super) fn type_name(data_type: &DataType) -> String {
    duckdb_type_name(&super::types::plain(data_type.clone()))
}

/// The text of every value.
pub(super) fn to_text(array: &ArrayRef, from: &Field) -> Result<ArrayRef> {
    written(array, from, |column, row, out| column.text(row, out))
}

/// Every value as a JSON document.
fn to_json(array: &ArrayRef, from: &Field) -> Result<ArrayRef> {
    written(array, from, |column, row, out| {
        let present = !column.is_null(row);
        if present {
            column.json(row, out);
        }
        present
    })
}

fn written(array: &ArrayRef, from: &Field, write: impl Fn(&Column, usize, &mut Vec<u8>) -> bool) -> Result<ArrayRef> {
    let column = Column::new(from, array)?;
    let mut builder = StringBuilder::with_capacity(array.len(), array.len() * 8);
    let mut text = Vec::new();
    for row in 0..array.len() {
        text.clear();
        if write(&column, row, &mut text) {
            builder.append_value(String::from_utf8_lossy(&text));
        } else {
            builder.append_null();
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// A JSON string's text; other documents as they are.
fn unquoted(document: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(document) {
        Ok(serde_json::Value::String(text)) => text,
        _ => document.to_owned(),
    }
}

fn json_texts(array: &ArrayRef, lenient: bool) -> Result<ArrayRef> {
    let texts = array.as_string::<i32>();
    let valid = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    if texts.iter().flatten().all(valid) {
        return Ok(Arc::clone(array));
    }
    if !lenient {
        return exec_err!("Malformed JSON");
    }
    Ok(Arc::new(texts.iter().map(|text| text.filter(|text| valid(text))).collect::<StringArray>()))
}

/// Values read from texts.
fn from_text(array: &ArrayRef, to: &Field, lenient: bool) -> Result<ArrayRef> {
    let texts = array.as_string::<i32>();
    let name = &match to.data_type() {
        DataType::Decimal256(..) => "HUGEINT".to_owned(),
        DataType::FixedSizeBinary(_) => "UUID".to_owned(),
        _ => duckdb_type_name(to),
    };
    macro_rules! whole {
        ($native:ty) => {
            primitive::<$native>(texts, name, lenient, |text| {
                let number = read::whole(text)?.to_i128()?;
                number.try_into().ok()
            })
        };
    }
    match to.data_type() {
        DataType::Int8 => whole!(Int8Type),
        DataType::Int16 => whole!(Int16Type),
        DataType::Int32 => whole!(Int32Type),
        DataType::Int64 => whole!(Int64Type),
        DataType::UInt8 => whole!(UInt8Type),
        DataType::UInt16 => whole!(UInt16Type),
        DataType::UInt32 => whole!(UInt32Type),
        DataType::UInt64 => whole!(UInt64Type),
        DataType::Float32 => {
            primitive::<Float32Type>(texts, name, lenient, |text| read::float(text).map(|number| number as f32))
        }
        DataType::Float64 => primitive::<Float64Type>(texts, name, lenient, read::float),
        DataType::Decimal128(width, scale) => {
            let limit = 10_i128.checked_pow(u32::from(*width)).unwrap_or(i128::MAX);
            let numbers = parsed(texts, name, lenient, |text| {
                read::decimal(text, *scale)?.to_i128().filter(|number| number.abs() < limit)
            })?;
            let numbers = numbers.into_iter().collect::<Decimal128Array>();
            Ok(Arc::new(numbers.with_data_type(to.data_type().clone())))
        }
        DataType::Decimal256(_, scale) => {
            let numbers = parsed(texts, name, lenient, |text| {
                let number = read::decimal(text, *scale)?;
                number.to_i128().is_some().then_some(number)
            })?;
            let numbers = numbers.into_iter().collect::<Decimal256Array>();
            Ok(Arc::new(numbers.with_data_type(to.data_type().clone())))
        }
        DataType::Boolean => {
            Ok(Arc::new(parsed(texts, name, lenient, read::boolean)?.into_iter().collect::<BooleanArray>()))
        }
        DataType::Date32 => primitive::<Date32Type>(texts, name, lenient, read::date),
        DataType::Time64(TimeUnit::Microsecond) => primitive::<Time64MicrosecondType>(texts, name, lenient, read::time),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => {
            primitive::<TimestampNanosecondType>(texts, name, lenient, read::nanoseconds)
        }
        DataType::Timestamp(unit, zone) => {
            let zoned = zone.is_some();
            let micros = primitive::<TimestampMicrosecondType>(texts, name, lenient, |text| read::moment(text, zoned))?;
            let micros = coarser(&micros, *unit);
            engine(&micros, &DataType::Timestamp(*unit, zone.clone()), lenient)
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            primitive::<IntervalMonthDayNanoType>(texts, name, lenient, read::interval)
        }
        DataType::FixedSizeBinary(16) => {
            let mut builder = FixedSizeBinaryBuilder::with_capacity(texts.len(), 16);
            for value in parsed(texts, name, lenient, read::uuid)? {
                match value {
                    Some(bytes) => builder.append_value(bytes)?,
                    None => builder.append_null(),
                }
            }
            Ok(Arc::new(builder.finish()))
        }
        DataType::Binary => {
            let mut builder = BinaryBuilder::new();
            for value in parsed(texts, name, lenient, read::blob)? {
                builder.append_option(value);
            }
            Ok(Arc::new(builder.finish()))
        }
        DataType::List(_) | DataType::Struct(_) | DataType::Map(..) => super::nested::from_text(texts, to, lenient),
        _ => exec_err!("Unimplemented type for cast (VARCHAR -> {})", duckdb_type_name(to)),
    }
}

/// Microseconds as the nearest multiples of a unit, halves away from zero.
fn coarser(micros: &ArrayRef, unit: TimeUnit) -> ArrayRef {
    let step = match unit {
        TimeUnit::Second => 1_000_000_i64,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond | TimeUnit::Nanosecond => return Arc::clone(micros),
    };
    let moments = micros.as_primitive::<TimestampMicrosecondType>();
    let rounded = |moment: i64| match moment.checked_add(moment.signum() * step / 2) {
        Some(shifted) => shifted - shifted % step,
        None => moment,
    };
    Arc::new(moments.unary::<_, TimestampMicrosecondType>(rounded))
}

fn primitive<T: ArrowPrimitiveType>(
    texts: &StringArray,
    name: &str,
    lenient: bool,
    read: impl Fn(&str) -> Option<T::Native>,
) -> Result<ArrayRef> {
    let values = parsed(texts, name, lenient, read)?;
    Ok(Arc::new(values.into_iter().collect::<PrimitiveArray<T>>()))
}

fn parsed<T>(
    texts: &StringArray,
    name: &str,
    lenient: bool,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<Option<T>>> {
    texts
        .iter()
        .map(|text| match text {
            None => Ok(None),
            Some(text) => match read(text) {
                Some(value) => Ok(Some(value)),
                None if lenient => Ok(None),
                None => exec_err!("a text cannot be converted to {name}"),
            },
        })
        .collect()
}

/// Members by their names; those that the target lacks are left out, those that only it has are NULL.
fn structs(array: &ArrayRef, members: &Fields, wanted: &Fields, lenient: bool) -> Result<ArrayRef> {
    let named =
        wanted.iter().any(|field| members.iter().any(|member| member.name().eq_ignore_ascii_case(field.name())));
    if !named {
        return structs_by_place(array, members, wanted, lenient);
    }
    let source = array.as_struct();
    let columns = wanted
        .iter()
        .map(|field| match members.iter().position(|member| member.name().eq_ignore_ascii_case(field.name())) {
            Some(index) => convert(source.column(index), &members[index], field, lenient),
            None => Ok(new_null_array(field.data_type(), source.len())),
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(StructArray::try_new(wanted.clone(), columns, source.nulls().cloned())?))
}

fn structs_by_place(array: &ArrayRef, members: &Fields, wanted: &Fields, lenient: bool) -> Result<ArrayRef> {
    if members.len() != wanted.len() {
        return exec_err!("Mismatch in the number of members of two structs");
    }
    let source = array.as_struct();
    let columns = wanted
        .iter()
        .enumerate()
        .map(|(index, field)| convert(source.column(index), &members[index], field, lenient))
        .collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(StructArray::try_new(wanted.clone(), columns, source.nulls().cloned())?))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, TimestampMicrosecondArray};

    use super::super::types;
    use super::*;

    #[test]
    fn errors_name_types_as_duckdb_does_and_no_values() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["secret"]));
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1e300]));
        for (array, to, problem) in [
            (&texts, "int", "a text cannot be converted to INTEGER"),
            (&texts, "int8", "a text cannot be converted to BIGINT"),
            (&texts, "utinyint", "a text cannot be converted to UTINYINT"),
            (&texts, "hugeint", "a text cannot be converted to HUGEINT"),
            (&texts, "decimal(5, 2)", "a text cannot be converted to DECIMAL(5,2)"),
            (&texts, "bool", "a text cannot be converted to BOOLEAN"),
            (&texts, "uuid", "a text cannot be converted to UUID"),
            (&texts, "timestamptz", "a text cannot be converted to TIMESTAMP WITH TIME ZONE"),
            (&texts, "int[]", "a text cannot be converted to INTEGER[]"),
            (&numbers, "int", "a value of type DOUBLE is out of range for INTEGER"),
        ] {
            let from = types::plain(array.data_type().clone());
            let error = convert(array, &from, &types::parse(to).expect("a type"), false).expect_err(to);
            assert_eq!(error.strip_backtrace(), format!("Execution error: {problem}"));
        }
    }

    #[test]
    fn moments_are_rounded_halves_away_from_zero() {
        let micros: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![
            1_500_000,
            1_499_999,
            -500_000,
            -499_999,
            500,
            -1_500,
            i64::MAX,
        ]));
        let rounded = |unit| coarser(&micros, unit).as_primitive::<TimestampMicrosecondType>().values().to_vec();
        assert_eq!(rounded(TimeUnit::Second), [2_000_000, 1_000_000, -1_000_000, 0, 0, 0, i64::MAX]);
        assert_eq!(rounded(TimeUnit::Millisecond), [1_500_000, 1_500_000, -500_000, -500_000, 1_000, -2_000, i64::MAX]);
    }
}
