//! One row of a group, or the first few: first, last, arg_min, arg_max, and min and max with a number.
//! Not here: quantiles (`quantiles`).
//! Called by `aggregates`.

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::AggregateUDF;
use std::sync::Arc;

use super::field;
use crate::sql::functions::toolkit::aggregate::{Aggregate, Group, Keep, list_scalar};
use crate::sql::functions::toolkit::lists::list_of_field;
use crate::sql::functions::toolkit::values::{keys, scalar};
use crate::sql::functions::toolkit::{Function, aggregate};

pub(super) fn functions() -> Vec<Function> {
    let by = |names, about, largest, nulls| aggregate(names, about, ByValue { largest, nulls });
    vec![
        aggregate(&["first", "arbitrary"], "the first value", OneRow { last: false, nulls: true }),
        aggregate(&["last"], "the last value", OneRow { last: true, nulls: true }),
        aggregate(&["any_value"], "the first value that is not NULL", OneRow { last: false, nulls: false }),
        by(
            &["arg_min", "argmin", "min_by"],
            "the first argument where the second is least, or those of the n least",
            false,
            Nulls::Skipped,
        ),
        by(
            &["arg_max", "argmax", "max_by"],
            "the first argument where the second is largest, or those of the n largest",
            true,
            Nulls::Skipped,
        ),
        by(&["arg_min_null"], "as arg_min, where the answer may be NULL", false, Nulls::Kept),
        by(&["arg_max_null"], "as arg_max, where the answer may be NULL", true, Nulls::Kept),
        by(&["arg_min_nulls_last"], "as arg_min_null, NULL counting as the largest", false, Nulls::Last),
        by(&["arg_max_nulls_last"], "as arg_max_null, NULL counting as the least", true, Nulls::Last),
        aggregate(&["min"], "the least value, or a list of the n least", Extreme { largest: false }),
        aggregate(&["max"], "the largest value, or a list of the n largest", Extreme { largest: true }),
    ]
}

/// The first or the last row.
struct OneRow {
    last: bool,
    /// Whether the value may be NULL.
    nulls: bool,
}

impl Aggregate for OneRow {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_] => Ok(types.to_vec()),
            _ => plan_err!("one argument is expected"),
        }
    }

    fn result(&self, fields: &[FieldRef]) -> Result<Field> {
        Ok(fields[0].as_ref().clone())
    }

    fn skips_nulls(&self) -> bool {
        !self.nulls
    }

    fn keep(&self) -> Keep {
        if self.last { Keep::Last } else { Keep::First }
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        match group.len() {
            0 => group.null(),
            length => scalar(&group.columns[0], if self.last { length - 1 } else { 0 }),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nulls {
    /// Rows with NULL in either argument do not count.
    Skipped,
    /// The answer may be NULL.
    Kept,
    /// The answer may be NULL, and so may what it is chosen by.
    Last,
}

/// The first argument of the rows in which the second is least or largest.
struct ByValue {
    largest: bool,
    nulls: Nulls,
}

impl Aggregate for ByValue {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_, _] => Ok(types.to_vec()),
            [value, by, _] => Ok(vec![value.clone(), by.clone(), DataType::Int64]),
            _ => plan_err!("two or three arguments are expected"),
        }
    }

    fn result(&self, fields: &[FieldRef]) -> Result<Field> {
        Ok(if fields.len() == 3 { field(list_of_field(&fields[0])) } else { fields[0].as_ref().clone() })
    }

    fn skips_nulls(&self) -> bool {
        self.nulls == Nulls::Skipped
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        let by = &group.columns[1];
        let valid: Vec<usize> = (0..group.len()).filter(|row| self.nulls == Nulls::Last || by.is_valid(*row)).collect();
        let best = best(by, valid, self.largest, count(group, 2)?)?;
        chosen(group, &best, group.columns.len() == 3)
    }
}

/// How many rows are asked for; one, where no number stands.
fn count(group: &Group<'_>, argument: usize) -> Result<usize> {
    /// No list of rows is longer.
    const MOST: i64 = 1_000_000;
    match group.columns.get(argument) {
        Some(counts) if !counts.is_empty() => {
            let counts = counts.as_primitive::<Int64Type>();
            match counts.is_valid(0).then(|| counts.value(0)) {
                Some(count) if (1..MOST).contains(&count) => Ok(count as usize),
                _ => exec_err!("the number of rows must be above 0 and below 1000000"),
            }
        }
        _ => Ok(1),
    }
}

/// The rows with the least or largest values, NULL last, best first; of equal ones those that come first.
fn best(by: &ArrayRef, mut rows: Vec<usize>, largest: bool, count: usize) -> Result<Vec<usize>> {
    let order = keys(std::slice::from_ref(by))?;
    let compare = |left: &usize, right: &usize| {
        let nulls = by.is_null(*left).cmp(&by.is_null(*right));
        let values = order.row(*left).cmp(&order.row(*right));
        nulls.then(if largest { values.reverse() } else { values }).then(left.cmp(right))
    };
    if count == 1 {
        return Ok(rows.into_iter().min_by(|left, right| compare(left, right)).into_iter().collect());
    }
    rows.sort_by(compare);
    rows.truncate(count);
    Ok(rows)
}

fn chosen(group: &Group<'_>, rows: &[usize], as_list: bool) -> Result<ScalarValue> {
    match rows.first() {
        None => group.null(),
        Some(_) if as_list => {
            let rows: UInt32Array = rows.iter().map(|row| u32::try_from(*row).ok()).collect();
            list_scalar(take(&group.columns[0], &rows, None)?, group.result.data_type())
        }
        Some(row) => scalar(&group.columns[0], *row),
    }
}

/// `min` and `max`: the engine's own for one argument, a list for two.
struct Extreme {
    largest: bool,
}

impl Aggregate for Extreme {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_] => Ok(types.to_vec()),
            [value, _] => Ok(vec![value.clone(), DataType::Int64]),
            _ => plan_err!("one or two arguments are expected"),
        }
    }

    fn result(&self, fields: &[FieldRef]) -> Result<Field> {
        Ok(if fields.len() == 2 { field(list_of_field(&fields[0])) } else { fields[0].as_ref().clone() })
    }

    fn engine(&self, arguments: &[DataType]) -> Option<Arc<AggregateUDF>> {
        let udaf = if self.largest {
            datafusion::functions_aggregate::min_max::max_udaf()
        } else {
            datafusion::functions_aggregate::min_max::min_udaf()
        };
        // The engine orders neither lists nor structs nor maps as DuckDB does.
        (arguments.len() == 1 && !arguments[0].is_nested()).then_some(udaf)
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        let best = best(&group.columns[0], (0..group.len()).collect(), self.largest, count(group, 1)?)?;
        chosen(group, &best, group.columns.len() == 2)
    }
}
