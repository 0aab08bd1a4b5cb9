//! The types that a set of files keeps, and values on their way from one type into another, where that is exact.
//! Not here: how values become texts (`tapline_core::values`).
//! Called when a run is opened, for every batch that is staged, and when the rows of a set are carried into the next.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, StringBuilder, new_null_array};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, Schema, SchemaRef};
use tapline_core::values::{Column, duckdb_type_name};
use tapline_core::{Error, Refresh, Result, Target, codes};

use crate::exactly::exactly;

/// The fields of a set that a target's rows become: the same types, and texts where Parquet has no type for the values.
pub(super) fn kept(schema: &SchemaRef) -> SchemaRef {
    let field = |field: &FieldRef| -> FieldRef {
        let kept = if is_kept(field.data_type()) {
            field.as_ref().clone()
        } else {
            Field::new(field.name(), DataType::Utf8, true)
        };
        Arc::new(kept.with_nullable(true))
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// Whether Parquet keeps the type.
fn is_kept(data_type: &DataType) -> bool {
    match data_type {
        DataType::Interval(IntervalUnit::MonthDayNano) | DataType::Union(_, _) | DataType::RunEndEncoded(_, _) => false,
        DataType::ListView(_) | DataType::LargeListView(_) => false,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => is_kept(item.data_type()),
        DataType::Struct(fields) => !fields.is_empty() && fields.iter().all(|field| is_kept(field.data_type())),
        DataType::Dictionary(_, value) => is_kept(value),
        _ => true,
    }
}

/// The schema of the next set, where one with `before` stands: fails with everything that keeps the set from taking the
/// target's fields.
pub(super) fn next(target: &Target, before: Option<&SchemaRef>) -> Result<SchemaRef> {
    let fresh = kept(&target.schema);
    let Some(before) = before.filter(|_| target.refresh == Refresh::Incremental) else { return Ok(fresh) };
    let mut problems = Vec::new();
    let mut hints = Vec::new();
    let mut fields = Vec::with_capacity(fresh.fields().len());
    for field in fresh.fields() {
        let old = before.fields().find(field.name()).map(|(_, old)| old);
        match old {
            None if target.widen && !target.key.contains(field.name()) => fields.push(field.clone()),
            None => {
                problems.push(format!("field {:?} is missing", field.name()));
                hints.push("let the sync add fields itself: on_drift: widen");
            }
            Some(old) => match settle(old, field, target.widen) {
                Some(settled) => fields.push(settled),
                None => {
                    let (old, new) = (duckdb_type_name(old), duckdb_type_name(field));
                    problems.push(format!("field {:?} is {old} and would have to hold {new}", field.name()));
                    hints.push("cast it in the model's SQL");
                }
            },
        }
    }
    if problems.is_empty() {
        return Ok(Arc::new(Schema::new(fields)));
    }
    hints.dedup();
    let error =
        Error::new(codes::DEST_004, format!("{} cannot hold the fields: {}", target.stream, problems.join(", ")));
    let error = hints.into_iter().fold(error, Error::hint);
    Err(error.hint("or write all files anew: tapline sync --full-refresh"))
}

/// The type of a field that is there already and comes in another type. Where it stays as it was, single rows may not fit.
fn settle(old: &FieldRef, new: &FieldRef, widen: bool) -> Option<FieldRef> {
    let (was, comes) = (old.data_type(), new.data_type());
    if was == comes {
        return Some(new.clone());
    }
    if holds(was, comes) {
        return Some(old.clone());
    }
    match widen {
        true => holds(comes, was).then(|| new.clone()),
        false => (!was.is_nested() && !comes.is_nested()).then(|| old.clone()),
    }
}

/// Whether every value of `narrow` has a place of its own in `wide`.
fn holds(wide: &DataType, narrow: &DataType) -> bool {
    use DataType::{Decimal32, Decimal64, Decimal128, Decimal256, Float32, Float64};
    let decimal = |data_type: &DataType| match data_type {
        Decimal32(precision, scale)
        | Decimal64(precision, scale)
        | Decimal128(precision, scale)
        | Decimal256(precision, scale) => Some((i16::from(*precision), i16::from(*scale))),
        _ => None,
    };
    let whole = |data_type: &DataType| match data_type {
        DataType::Int8 => Some((true, 8)),
        DataType::Int16 => Some((true, 16)),
        DataType::Int32 => Some((true, 32)),
        DataType::Int64 => Some((true, 64)),
        DataType::UInt8 => Some((false, 8)),
        DataType::UInt16 => Some((false, 16)),
        DataType::UInt32 => Some((false, 32)),
        DataType::UInt64 => Some((false, 64)),
        _ => None,
    };
    if let (Some((precision, scale)), Some((less, places))) = (decimal(wide), decimal(narrow)) {
        return scale >= places && precision - scale >= less - places;
    }
    match (whole(wide), whole(narrow)) {
        (Some((true, bits)), Some((true, less))) | (Some((false, bits)), Some((false, less))) => return bits >= less,
        (Some((true, bits)), Some((false, less))) => return bits > less,
        _ => {}
    }
    match (wide, narrow) {
        (Float64, Float32) => true,
        (wide, narrow) if wide.is_string() => narrow.is_string() || !narrow.is_nested(),
        _ => false,
    }
}

/// Values in another type, and the rows of those that have no exact place in it, which are NULL.
pub(super) struct Converted {
    pub(super) values: ArrayRef,
    pub(super) misfits: Vec<usize>,
}

/// Brings a column into the type that a set keeps it in.
pub(super) fn convert(field: &Field, values: &ArrayRef, wanted: &DataType) -> Result<Converted> {
    if values.data_type() == wanted {
        return Ok(Converted { values: values.clone(), misfits: Vec::new() });
    }
    if wanted.is_string() && !values.data_type().is_string() {
        return as_texts(field, values, wanted);
    }
    if let Some(values) = exactly(values, wanted) {
        return Ok(Converted { values, misfits: Vec::new() });
    }
    let lenient = CastOptions { safe: true, ..CastOptions::default() };
    let cast = |from: &ArrayRef, to: &DataType| cast_with_options(from, to, &lenient).ok();
    let there_and_back = cast(values, wanted).and_then(|there| Some((cast(&there, values.data_type())?, there)));
    let fitting = there_and_back.as_ref().and_then(|(back, _)| not_distinct(back, values).ok());
    let (given, fitting) = match (there_and_back, fitting) {
        (Some((_, given)), Some(fitting)) => (given, fitting),
        _ => {
            let nulls = (0..values.len()).map(|row| Some(values.is_null(row))).collect::<BooleanArray>();
            (new_null_array(wanted, values.len()), nulls)
        }
    };
    let misfits = (0..values.len()).filter(|row| !fitting.value(*row)).collect();
    Ok(Converted { values: given, misfits })
}

fn as_texts(field: &Field, values: &ArrayRef, wanted: &DataType) -> Result<Converted> {
    let failed = |error| Error::internal(format!("writing field {:?} as text", field.name())).because(error);
    let column = Column::new(&field.clone().with_data_type(values.data_type().clone()), values).map_err(failed)?;
    let mut texts = StringBuilder::new();
    let mut text = Vec::new();
    for row in 0..values.len() {
        text.clear();
        let written = column.text(row, &mut text).then(|| String::from_utf8_lossy(&text));
        texts.append_option(written);
    }
    let texts: ArrayRef = Arc::new(texts.finish());
    let values = cast_with_options(&texts, wanted, &CastOptions::default()).map_err(failed)?;
    Ok(Converted { values, misfits: Vec::new() })
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Float64Array, Int64Array, StringArray};
    use arrow::datatypes::{Int8Type, Int32Type};

    use super::*;

    #[test]
    fn wider_types_hold_narrower_ones() {
        let cases = [
            (DataType::Int64, DataType::UInt32, true),
            (DataType::Int32, DataType::UInt32, false),
            (DataType::UInt64, DataType::Int8, false),
            (DataType::Decimal128(12, 2), DataType::Decimal128(10, 2), true),
            (DataType::Decimal128(12, 4), DataType::Decimal128(10, 2), true),
            (DataType::Decimal128(11, 4), DataType::Decimal128(10, 2), false),
            (DataType::Utf8, DataType::Int64, true),
            (DataType::Int64, DataType::Utf8, false),
            (DataType::Float64, DataType::Float32, true),
        ];
        for (wide, narrow, expected) in cases {
            assert_eq!(holds(&wide, &narrow), expected, "{wide} holds {narrow}");
        }
    }

    #[test]
    fn values_without_an_exact_place_are_told() {
        let field = Field::new("f", DataType::Float64, true);
        let values: ArrayRef = Arc::new(Float64Array::from(vec![Some(3.0), Some(3.7), None]));
        let converted = convert(&field, &values, &DataType::Int32).unwrap();
        assert_eq!(converted.misfits, [1]);
        assert_eq!(converted.values.as_primitive::<Int32Type>().value(0), 3);
        let values: ArrayRef = Arc::new(StringArray::from(vec!["7", "08", "300"]));
        let converted = convert(&Field::new("f", DataType::Utf8, true), &values, &DataType::Int8).unwrap();
        assert_eq!(converted.misfits, [1, 2]);
        assert_eq!(converted.values.as_primitive::<Int8Type>().value(0), 7);
        let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(-5), None]));
        let converted = convert(&Field::new("f", DataType::Int64, true), &values, &DataType::Utf8).unwrap();
        assert_eq!(converted.values.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("-5"), None]);
    }
}
