//! `TRY(expr)`: NULL in the place of an error.
//! Not here: TRY_CAST, which is a cast.
//! Called by `utility`.

use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::LambdaArgument;

use crate::sql::functions::toolkit::lambda::Higher;
use crate::sql::functions::toolkit::{Function, higher};

pub(super) fn functions() -> Vec<Function> {
    vec![higher(&["try"], "the value of an expression, or NULL in each row where it fails", Try)]
}

/// `try(true, row -> expr)`: the parameter is not used, the expression takes what it needs from the row.
struct Try;

impl Higher for Try {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn parameters(&self, values: &[FieldRef], _: Option<&FieldRef>) -> Result<Vec<FieldRef>> {
        Ok(values.to_vec())
    }

    fn result(&self, _: &[FieldRef], lambda: &FieldRef) -> Result<FieldRef> {
        Ok(Arc::new(lambda.as_ref().clone().with_nullable(true)))
    }

    fn run(&self, values: &[ArrayRef], lambda: &LambdaArgument, result: &FieldRef) -> Result<ArrayRef> {
        let rows = values[0].len();
        attempt(&values[0], lambda, 0, rows, result.data_type())
    }
}

/// The values of some rows; where those of all together fail, those of each half.
fn attempt(
    values: &ArrayRef,
    lambda: &LambdaArgument,
    start: usize,
    rows: usize,
    data_type: &DataType,
) -> Result<ArrayRef> {
    let parameter = || Ok(values.slice(start, rows));
    let captured = |columns: &[ArrayRef]| Ok(columns.iter().map(|column| column.slice(start, rows)).collect());
    match lambda.evaluate(&[&parameter], captured).and_then(|value| value.into_array(rows)) {
        Ok(value) => Ok(value),
        Err(_) if rows <= 1 => Ok(new_null_array(data_type, rows)),
        Err(_) => {
            let half = rows / 2;
            let first = attempt(values, lambda, start, half, data_type)?;
            let second = attempt(values, lambda, start + half, rows - half, data_type)?;
            Ok(arrow::compute::concat(&[&first, &second])?)
        }
    }
}
