//! The operators' functions, and the largest and least of several values.
//! Not here: the operators themselves.
//! Called by `numbers`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray};
use arrow::compute::kernels::numeric;
use arrow::datatypes::*;
use datafusion::common::{Result, exec_datafusion_err, exec_err, plan_datafusion_err};

use crate::sql::functions::toolkit::general::{Call, General, Plain, Plan, answer, expect_arguments};
use crate::sql::functions::toolkit::typed::{kernel, type_name};
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::values::{common_type, keys, take};
use crate::sql::functions::toolkit::{Function, general, typed};

pub(super) fn functions() -> Vec<Function> {
    vec![
        general(&["add"], "the sum", Operation::Add),
        general(&["subtract"], "the difference", Operation::Subtract),
        general(&["multiply"], "the product", Operation::Multiply),
        typed(
            &["divide"],
            "the quotient without its rest; NULL for a division by zero",
            [
                kernel!(|left: Int4, right: Int4| -> Int4 => quotient(left.into(), right.into())?.map(|number| number as i32)),
                kernel!(|left: Int, right: Int| -> Int => quotient(left, right)),
                kernel!(|left: Double, right: Double| -> Double => (right != 0.0).then(|| (left / right).trunc())),
            ],
        ),
        general(
            &["mod"],
            "the rest of a division; NULL for a division by zero",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 2..=2)?;
                    Ok(vec![together(types)?; 2])
                },
                result: |plan| Ok(answer(plan.data_type(0).clone())),
                run: remainder,
            },
        ),
        general(&["greatest"], "the largest of the values that are not NULL", Extreme { largest: true }),
        general(&["least"], "the least of the values that are not NULL", Extreme { largest: false }),
        general(
            &["equi_width_bins"],
            "the upper ends of bins of equal width",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 4..=4)?;
                    let whole = types[..2].iter().all(DataType::is_integer);
                    let short = types[..2].iter().all(|data_type| *data_type == DataType::Int32);
                    let number = match (whole, short) {
                        (true, true) => DataType::Int32,
                        (true, false) => DataType::Int64,
                        (false, _) => DataType::Float64,
                    };
                    Ok(vec![number.clone(), number, DataType::Int64, DataType::Boolean])
                },
                result: |plan| {
                    let item = Field::new_list_field(plan.data_type(0).clone(), true);
                    Ok(answer(DataType::List(Arc::new(item))))
                },
                run: bins,
            },
        ),
    ]
}

fn together(types: &[DataType]) -> Result<DataType> {
    common_type(types).ok_or_else(|| {
        let names: Vec<String> = types.iter().map(type_name).collect();
        plan_datafusion_err!("the types {} do not go together", names.join(", "))
    })
}

fn quotient(left: i64, right: i64) -> Result<Option<i64>> {
    if right == 0 {
        return Ok(None);
    }
    left.checked_div(right).map(Some).ok_or_else(|| exec_datafusion_err!("the quotient is out of range"))
}

fn remainder(call: &Call<'_>) -> Result<ArrayRef> {
    let right = &call.columns[1];
    let is_zero = zeros(right)?;
    let right = arrow::compute::nullif(right, &is_zero)?;
    Ok(numeric::rem(&call.columns[0], &right)?)
}

fn zeros(column: &ArrayRef) -> Result<arrow::array::BooleanArray> {
    let numbers = arrow::compute::cast(column, &DataType::Float64)?;
    let zero = Float64Array::new_scalar(0.0);
    Ok(arrow::compute::kernels::cmp::eq(&numbers, &zero)?)
}

/// Checked arithmetic over numbers and moments.
enum Operation {
    Add,
    Subtract,
    Multiply,
}

impl Operation {
    fn compute(&self, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
        Ok(match self {
            Self::Add => numeric::add(left, right)?,
            Self::Subtract => numeric::sub(left, right)?,
            Self::Multiply => numeric::mul(left, right)?,
        })
    }
}

impl General for Operation {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        expect_arguments(types, 1..=2)?;
        let numbers = types.iter().all(DataType::is_numeric);
        if !numbers {
            return Ok(types.to_vec());
        }
        let decimals = types.iter().all(DataType::is_decimal);
        Ok(if decimals { types.to_vec() } else { vec![together(types)?; types.len()] })
    }

    fn result(&self, plan: &Plan<'_>) -> Result<Field> {
        if plan.fields.len() == 1 {
            return Ok(plan.fields[0].as_ref().clone());
        }
        let empty = |field: &FieldRef| arrow::array::new_empty_array(field.data_type());
        let left = empty(&plan.fields[0]);
        let right = empty(&plan.fields[1]);
        Ok(answer(self.compute(&left, &right)?.data_type().clone()))
    }

    fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        match (call.columns.as_slice(), self) {
            ([left, right], _) => self.compute(left, right),
            ([only], Self::Subtract) => Ok(numeric::neg(only)?),
            ([only], _) => Ok(Arc::clone(only)),
            _ => exec_err!("one or two arguments are expected"),
        }
    }
}

/// The largest or least of several values.
struct Extreme {
    largest: bool,
}

impl General for Extreme {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        expect_arguments(types, 1..=usize::MAX)?;
        Ok(vec![together(types)?; types.len()])
    }

    fn result(&self, plan: &Plan<'_>) -> Result<Field> {
        Ok(plan.fields.iter().find(|field| !field.data_type().is_null()).unwrap_or(&plan.fields[0]).as_ref().clone())
    }

    fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        let all: Vec<&dyn Array> = call.columns.iter().map(|column| column.as_ref()).collect();
        let all = arrow::compute::concat(&all)?;
        let order = keys(std::slice::from_ref(&all))?;
        let place = |column: usize, row: usize| column * call.rows + row;
        let chosen = (0..call.rows)
            .map(|row| {
                let valid = (0..call.columns.len()).filter(|column| call.columns[*column].is_valid(row));
                let places = valid.map(|column| place(column, row));
                let best = if self.largest {
                    places.max_by(|left, right| order.row(*left).cmp(&order.row(*right)))
                } else {
                    places.min_by(|left, right| order.row(*left).cmp(&order.row(*right)))
                };
                best.and_then(|place| u32::try_from(place).ok())
            })
            .collect();
        take(&all, chosen)
    }
}

fn bins(call: &Call<'_>) -> Result<ArrayRef> {
    /// No list of bins is longer.
    const MOST: i64 = 1_000_000;
    let counts = call.columns[2].as_primitive::<Int64Type>();
    let nice = call.columns[3].as_boolean();
    let numbers = |index: usize| arrow::compute::cast(&call.columns[index], &DataType::Float64);
    let (least, most) = (numbers(0)?, numbers(1)?);
    let (least, most) = (least.as_primitive::<Float64Type>(), most.as_primitive::<Float64Type>());
    let whole = call.columns[0].data_type().is_integer();
    let mut rows: Vec<Option<Vec<Option<f64>>>> = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        if call.columns.iter().any(|column| column.is_null(row)) {
            rows.push(None);
            continue;
        }
        let (least, most, count) = (least.value(row), most.value(row), counts.value(row));
        if !(1..=MOST).contains(&count) || least.is_nan() || most.is_nan() || least > most {
            return exec_err!("bins need a number of them above 0, and a least value that is not above the most");
        }
        rows.push(Some(ends(least, most, count, nice.value(row), whole)));
    }
    let list: ListArray = ListOf::<Double>::build(rows).as_list::<i32>().clone();
    Ok(arrow::compute::cast(&list, call.result.data_type())?)
}

fn ends(least: f64, most: f64, count: i64, nice: bool, whole: bool) -> Vec<Option<f64>> {
    let span = most - least;
    let mut width = span / count as f64;
    let mut last = most;
    if nice {
        let power = 10f64.powf(width.log10().floor());
        let candidates = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power);
        width = candidates.into_iter().find(|candidate| *candidate >= width - width * 1e-12).unwrap_or(width);
        last = (most / width).ceil() * width;
    }
    if whole {
        width = width.ceil().max(1.0);
    }
    let mut ends = Vec::new();
    let mut end = last;
    while end > least && (ends.len() as i64) < count {
        ends.push(Some(end));
        end = last - width * ends.len() as f64;
    }
    ends.reverse();
    ends
}
