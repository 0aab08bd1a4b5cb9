//! Aggregates that the query engine has as DuckDB has them, and those that only lists need from here.
//! Not here: aggregates of our own.
//! Called by `aggregates`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Field, FieldRef, Float64Type, i256};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, plan_err};
use datafusion::functions_aggregate::{bit_and_or_xor, bool_and_or};
use datafusion::logical_expr::AggregateUDF;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;

use super::field;
use crate::sql::functions::toolkit::aggregate::{Aggregate, Group};
use crate::sql::functions::toolkit::types::{Huge, Type};
use crate::sql::functions::toolkit::{Function, engine};

pub(super) fn functions() -> Vec<Function> {
    vec![
        engine(&["count", "count_star"], "how many rows there are, or how many values are not NULL"),
        engine(&["sum"], "the sum"),
        engine(&["bit_and"], "the bits that are set in all values"),
        engine(&["bit_or"], "the bits that are set in any value"),
        engine(&["bit_xor"], "the bits that are set in an odd number of values"),
        engine(&["bool_and"], "whether all values are true"),
        engine(&["bool_or"], "whether any value is true"),
    ]
}

/// The aggregate of a name over the items of lists, where the rows of groups have another.
pub(super) fn of_lists(name: &str) -> Option<Arc<dyn Aggregate>> {
    let through = |udaf| Some(Arc::new(Through(udaf)) as Arc<dyn Aggregate>);
    match name {
        "sum" => Some(Arc::new(Sum)),
        "count" => Some(Arc::new(Count)),
        "bit_and" => through(bit_and_or_xor::bit_and_udaf()),
        "bit_or" => through(bit_and_or_xor::bit_or_udaf()),
        "bit_xor" => through(bit_and_or_xor::bit_xor_udaf()),
        "bool_and" => through(bool_and_or::bool_and_udaf()),
        "bool_or" => through(bool_and_or::bool_or_udaf()),
        _ => None,
    }
}

/// An aggregate of the query engine.
struct Through(Arc<AggregateUDF>);

impl Aggregate for Through {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let fields: Vec<FieldRef> =
            types.iter().map(|data_type| Arc::new(field(data_type.clone())) as FieldRef).collect();
        let fields = fields_with_udf(&fields, self.0.as_ref())?;
        Ok(fields.iter().map(|field| field.data_type().clone()).collect())
    }

    fn result(&self, fields: &[FieldRef]) -> Result<Field> {
        Ok(self.0.return_field(fields)?.as_ref().clone())
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        let schema = arrow::datatypes::Schema::new(group.fields.to_vec());
        let columns = group.fields.iter().enumerate();
        let exprs: Vec<Arc<dyn PhysicalExpr>> =
            columns.map(|(index, field)| Arc::new(Column::new(field.name(), index)) as _).collect();
        let mut accumulator = self.0.accumulator(AccumulatorArgs {
            return_field: Arc::new(group.result.clone()),
            schema: &schema,
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: self.0.name(),
            is_distinct: false,
            exprs: &exprs,
            expr_fields: group.fields,
        })?;
        accumulator.update_batch(group.columns)?;
        accumulator.evaluate()
    }
}

/// How many items are not NULL.
struct Count;

impl Aggregate for Count {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn result(&self, _: &[FieldRef]) -> Result<Field> {
        Ok(field(DataType::Int64))
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(group.len() as i64)))
    }
}

/// The sum of items: HUGEINT of whole numbers, DECIMAL of decimals.
struct Sum;

impl Aggregate for Sum {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [data_type] = types else { return plan_err!("sum takes one argument") };
        Ok(vec![match data_type {
            DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) => {
                DataType::Decimal128(38, *scale)
            }
            DataType::Decimal256(_, _) => data_type.clone(),
            DataType::Boolean | DataType::Null => Huge::data_type(),
            whole if whole.is_integer() => Huge::data_type(),
            number if number.is_numeric() => DataType::Float64,
            _ => return plan_err!("a sum needs numbers"),
        }])
    }

    fn result(&self, fields: &[FieldRef]) -> Result<Field> {
        Ok(match fields[0].data_type() {
            DataType::Decimal256(39, 0) => Huge::field(),
            other => field(other.clone()),
        })
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        let column: &ArrayRef = &group.columns[0];
        if column.is_empty() {
            return group.null();
        }
        let too_large = || exec_datafusion_err!("the sum is out of range");
        Ok(match column.data_type() {
            DataType::Decimal128(precision, scale) => {
                let mut numbers = column.as_primitive::<Decimal128Type>().values().iter();
                let sum = numbers.try_fold(0i128, |sum, number| sum.checked_add(*number)).ok_or_else(too_large)?;
                ScalarValue::Decimal128(Some(sum), *precision, *scale)
            }
            DataType::Decimal256(precision, scale) => {
                let mut numbers = column.as_primitive::<Decimal256Type>().values().iter();
                let sum = numbers.try_fold(i256::ZERO, |sum, number| sum.checked_add(*number)).ok_or_else(too_large)?;
                sum.to_i128().ok_or_else(too_large)?;
                ScalarValue::Decimal256(Some(sum), *precision, *scale)
            }
            _ => ScalarValue::Float64(Some(column.as_primitive::<Float64Type>().values().iter().sum())),
        })
    }
}
