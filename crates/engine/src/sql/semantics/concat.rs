//! `||`: texts of any values, lists and bytes, one behind the other.
//! Not here: `concat()`, which leaves NULL out.
//! Called by the query engine.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::functions_nested::concat::array_concat_udf;
use datafusion::logical_expr::type_coercion::binary::type_union_resolution;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use tapline_core::values::duckdb_type_name;

use super::convert::{convert, to_text};

/// The operator.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Concat {
    signature: Signature,
}

impl Default for Concat {
    fn default() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

fn is_list(field: &Field) -> bool {
    matches!(field.data_type(), DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
}

/// The type of two operands put together.
fn result(left: &Field, right: &Field) -> Result<Field> {
    if is_list(left) || is_list(right) {
        let types: Vec<DataType> =
            [left, right].iter().filter(|field| is_list(field)).map(|field| field.data_type().clone()).collect();
        let item = |data_type: &DataType| match data_type {
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                item.data_type().clone()
            }
            other => other.clone(),
        };
        let items: Vec<DataType> = types.iter().map(item).collect();
        let Some(joined) = type_union_resolution(&items) else {
            return datafusion::common::plan_err!(
                "Cannot concatenate lists of types {} and {}: an explicit cast is required",
                duckdb_type_name(left),
                duckdb_type_name(right)
            );
        };
        return Ok(Field::new("||", DataType::List(Arc::new(Field::new_list_field(joined, true))), true));
    }
    let bytes = |field: &Field| matches!(field.data_type(), DataType::Binary);
    let data_type = if bytes(left) && bytes(right) { DataType::Binary } else { DataType::Utf8 };
    Ok(Field::new("||", data_type, true))
}

impl ScalarUDFImpl for Concat {
    fn name(&self) -> &str {
        "||"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let field = |index: usize| Field::new("", types[index].clone(), true);
        Ok(result(&field(0), &field(1))?.data_type().clone())
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(result(&arguments.arg_fields[0], &arguments.arg_fields[1])?))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { arguments.number_rows };
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?;
        let (left, right) = (&arguments.arg_fields[0], &arguments.arg_fields[1]);
        let joined: ArrayRef = match arguments.return_field.data_type() {
            DataType::List(_) => {
                let target = arguments.return_field.as_ref();
                let columns = [(&columns[0], left), (&columns[1], right)]
                    .map(|(column, field)| convert(column, field, target, false));
                let [one, other] = columns;
                let args = vec![ColumnarValue::Array(one?), ColumnarValue::Array(other?)];
                let field = Arc::new(target.clone());
                let inner = ScalarFunctionArgs {
                    args,
                    arg_fields: vec![Arc::clone(&field), Arc::clone(&field)],
                    number_rows: rows,
                    return_field: field,
                    config_options: Arc::clone(&arguments.config_options),
                };
                array_concat_udf().invoke_with_args(inner)?.into_array(rows)?
            }
            DataType::Binary => {
                let (one, other) = (columns[0].as_binary::<i32>(), columns[1].as_binary::<i32>());
                let mut builder = BinaryBuilder::new();
                for row in 0..rows {
                    if one.is_null(row) || other.is_null(row) {
                        builder.append_null();
                    } else {
                        builder.append_value([one.value(row), other.value(row)].concat());
                    }
                }
                Arc::new(builder.finish())
            }
            _ => {
                let text = |column: &ArrayRef, field: &Field| match field.data_type() {
                    DataType::Utf8 => Ok(Arc::clone(column)),
                    _ => to_text(column, field),
                };
                let (one, other) = (text(&columns[0], left)?, text(&columns[1], right)?);
                let (one, other) = (one.as_string::<i32>(), other.as_string::<i32>());
                let mut builder = StringBuilder::with_capacity(rows, one.values().len() + other.values().len());
                let mut joined = String::new();
                for row in 0..rows {
                    if one.is_null(row) || other.is_null(row) {
                        builder.append_null();
                        continue;
                    }
                    joined.clear();
                    joined.push_str(one.value(row));
                    joined.push_str(other.value(row));
                    builder.append_value(&joined);
                }
                Arc::new(builder.finish())
            }
        };
        super::arithmetic::columnar(joined, constant)
    }
}
