//! Values of any type as text, as JSON, and in comparable form.
//! Not here: how DuckDB writes each type, which `tapline_core::values` knows.
//! Called by general functions and aggregates.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, UInt32Array};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow_row::{RowConverter, Rows, SortField};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::type_coercion::binary::type_union_resolution;
use tapline_core::values::Column;

use crate::sql::semantics;

/// Each value as DuckDB's cast to VARCHAR writes it.
pub(crate) fn texts(field: &Field, array: &ArrayRef) -> Result<StringArray> {
    let field = field.clone().with_data_type(array.data_type().clone());
    let column = Column::new(&field, array)?;
    (0..array.len())
        .map(|row| {
            let mut bytes = Vec::new();
            column.text(row, &mut bytes).then(|| utf8(bytes)).transpose()
        })
        .collect()
}

/// Each value as `to_json` writes it inside a list; NULL is `null`.
pub(crate) fn documents(field: &Field, array: &ArrayRef) -> Result<Vec<String>> {
    // A list around the column makes its values nested ones, whose numbers are never strings.
    let field = field.clone().with_data_type(array.data_type().clone()).with_name("item");
    let lengths = arrow::buffer::OffsetBuffer::<i32>::from_lengths(std::iter::repeat_n(1, array.len()));
    let list: ArrayRef =
        Arc::new(arrow::array::ListArray::new(Arc::new(field.with_nullable(true)), lengths, Arc::clone(array), None));
    let column = Column::new(&Field::new("", list.data_type().clone(), true), &list)?;
    (0..list.len())
        .map(|row| {
            let mut bytes = Vec::new();
            column.json(row, &mut bytes);
            let text = utf8(bytes)?;
            Ok(text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(&text).to_owned())
        })
        .collect()
}

fn utf8(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| exec_datafusion_err!("a value is not text: {error}"))
}

/// Rows that compare as their values do: NULL is after everything, and equal to itself.
pub(crate) fn keys(columns: &[ArrayRef]) -> Result<Rows> {
    sorted_keys(columns, SortOptions { descending: false, nulls_first: false })
}

/// As [`keys`], in another order.
pub(crate) fn sorted_keys(columns: &[ArrayRef], options: SortOptions) -> Result<Rows> {
    let fields =
        columns.iter().map(|column| SortField::new_with_options(column.data_type().clone(), options)).collect();
    Ok(RowConverter::new(fields)?.convert_columns(columns)?)
}

/// The rows at the indices, NULL for none.
pub(crate) fn take(array: &ArrayRef, indices: Vec<Option<u32>>) -> Result<ArrayRef> {
    Ok(arrow::compute::take(array, &UInt32Array::from(indices), None)?)
}

/// One value of a column; unlike those the engine makes, lists keep the tags of their items.
pub(crate) fn scalar(column: &ArrayRef, row: usize) -> Result<ScalarValue> {
    let one = column.slice(row, 1);
    Ok(match column.data_type() {
        DataType::List(_) => ScalarValue::List(Arc::new(one.as_list::<i32>().clone())),
        DataType::FixedSizeList(_, _) => ScalarValue::FixedSizeList(Arc::new(one.as_fixed_size_list().clone())),
        DataType::Struct(_) => ScalarValue::Struct(Arc::new(one.as_struct().clone())),
        DataType::Map(_, _) => ScalarValue::Map(Arc::new(one.as_map().clone())),
        _ => ScalarValue::try_from_array(column, row)?,
    })
}

/// The field with another type, keeping its tags.
pub(crate) fn retyped(field: &FieldRef, data_type: DataType) -> Field {
    if *field.data_type() == data_type { field.as_ref().clone() } else { Field::new(field.name(), data_type, true) }
}

/// The type that all the types can be cast to, as in DuckDB's CASE.
pub(crate) fn common_type(types: &[DataType]) -> Option<DataType> {
    let known: Vec<DataType> = types.iter().filter(|data_type| !data_type.is_null()).cloned().collect();
    let Some((first, rest)) = known.split_first() else { return Some(DataType::Null) };
    let together = rest.iter().try_fold(first.clone(), |so_far, other| semantics::common_type(&so_far, other));
    together.or_else(|| type_union_resolution(&known))
}
