//! Choices among values, types of values, errors.
//! Not here: CASE and COALESCE, which the engine has.
//! Called by `utility`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray};
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, exec_err, plan_err};
use tapline_core::values::duckdb_type_name;

use crate::sql::functions::toolkit::general::{Call, Plain, Plan, answer, as_they_are, expect_arguments};
use crate::sql::functions::toolkit::typed::kernel;
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::values::{common_type, take};
use crate::sql::functions::toolkit::{Function, engine, general, volatile};

pub(super) fn functions() -> Vec<Function> {
    vec![
        engine(&["coalesce"], "the first of the values that is not NULL"),
        engine(&["nullif"], "the first value, or NULL where it equals the second"),
        general(
            &["ifnull"],
            "the first value, or the second where the first is NULL",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 2..=2)?;
                    same(types)
                },
                result: |plan| Ok(known(plan, 0)),
                run: |call| {
                    let present = arrow::compute::is_not_null(&call.columns[0])?;
                    Ok(zip(&present, &call.columns[0], &call.columns[1])?)
                },
            },
        ),
        general(
            &["if"],
            "the second value where the first is true, else the third",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 3..=3)?;
                    Ok([vec![DataType::Boolean], same(&types[1..])?].concat())
                },
                result: |plan| Ok(known(plan, 1)),
                run: |call| Ok(zip(call.columns[0].as_boolean(), &call.columns[1], &call.columns[2])?),
            },
        ),
        general(
            &["constant_or_null"],
            "the first value, or NULL where another is NULL",
            Plain {
                coerce: as_they_are,
                result: |plan| Ok(known(plan, 0)),
                run: |call| {
                    let nulls: Vec<_> = call.columns[1..].iter().filter_map(|column| column.logical_nulls()).collect();
                    let row = |row: usize| nulls.iter().all(|nulls| nulls.is_valid(row)).then_some(row as u32);
                    take(&call.columns[0], (0..call.rows).map(row).collect())
                },
            },
        ),
        general(
            &["typeof"],
            "the name of the value's type",
            Plain {
                coerce: one,
                result: |_| Ok(answer(DataType::Utf8)),
                run: |call| Ok(Text::build(vec![Some(duckdb_type_name(&call.fields[0])); call.rows])),
            },
        ),
        general(
            &["pg_typeof"],
            "the name of the value's type, in small letters",
            Plain {
                coerce: one,
                result: |_| Ok(answer(DataType::Utf8)),
                run: |call| Ok(Text::build(vec![Some(duckdb_type_name(&call.fields[0]).to_lowercase()); call.rows])),
            },
        ),
        general(
            &["is_histogram_other_bin"],
            "whether the value stands for what is beyond the bins of a histogram",
            Plain { coerce: one, result: |_| Ok(answer(DataType::Boolean)), run: is_other_bin },
        ),
        general(
            &["array_value"],
            "an array of the arguments, which has one length",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 1..=usize::MAX)?;
                    same(types)
                },
                result: |plan| {
                    let item = known(plan, 0).with_name(Field::LIST_FIELD_DEFAULT_NAME).with_nullable(true);
                    Ok(answer(DataType::FixedSizeList(Arc::new(item), plan.fields.len() as i32)))
                },
                run: array_value,
            },
        ),
        volatile(&["error"], "fails with a message", [kernel!(|message: Text| -> Int4 => fail(message))]),
    ]
}

fn one(types: &[DataType]) -> Result<Vec<DataType>> {
    expect_arguments(types, 1..=1)?;
    as_they_are(types)
}

fn same(types: &[DataType]) -> Result<Vec<DataType>> {
    match common_type(types) {
        Some(together) => Ok(vec![together; types.len()]),
        None => plan_err!("the types of the values do not go together"),
    }
}

/// The field of the first argument whose type is known.
fn known(plan: &Plan<'_>, from: usize) -> Field {
    let fields = plan.fields.get(from..).unwrap_or_default();
    let found = fields.iter().find(|field| !field.metadata().is_empty()).or(fields.first());
    found.map_or_else(|| answer(DataType::Null), |field| field.as_ref().clone())
}

fn fail(message: &str) -> Result<i32> {
    exec_err!("{message}")
}

fn is_other_bin(call: &Call<'_>) -> Result<ArrayRef> {
    let other = crate::sql::functions::aggregates::largest(call.columns[0].data_type())?.to_scalar()?;
    let equal = arrow::compute::kernels::cmp::eq(&call.columns[0], &other)?;
    Ok(Arc::new(equal))
}

fn array_value(call: &Call<'_>) -> Result<ArrayRef> {
    let DataType::FixedSizeList(item, size) = call.result.data_type() else { return plan_err!("an array is expected") };
    let columns: Vec<&dyn Array> = call.columns.iter().map(|column| column.as_ref()).collect();
    let all = arrow::compute::concat(&columns)?;
    let count = call.columns.len();
    let order = (0..call.rows).flat_map(|row| (0..count).map(move |column| column * call.rows + row));
    let items = take(&all, order.map(|index| u32::try_from(index).ok()).collect())?;
    Ok(Arc::new(FixedSizeListArray::try_new(Arc::clone(item), *size, items, None)?))
}
