//! Functions over lists: access, search, order, building, vectors, aggregates over items, lambdas.
//! Not here: `unnest`, which is syntax; maps and structs (`nested`).
//! Called by the registration, and by text functions that lists share.

mod access;
mod build;
mod lambdas;
mod order;
mod over;
mod ranges;
mod search;
mod vectors;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, plan_datafusion_err};

use super::toolkit::Function;
use super::toolkit::general::Call;
use super::toolkit::lists::{Lists, Picker, item_of, list_of, list_of_field};
use super::toolkit::typed::type_name;
use super::toolkit::values::common_type;

/// Every function of the family.
pub(super) fn functions() -> Vec<Function> {
    [
        access::functions(),
        search::functions(),
        order::functions(),
        build::functions(),
        ranges::functions(),
        vectors::functions(),
        over::functions(),
        lambdas::functions(),
    ]
    .concat()
}

/// The list type to which all lists of a call are cast; arguments that are NULL become lists too.
pub(super) fn coerce_same_lists(types: &[DataType]) -> Result<Vec<DataType>> {
    let items: Vec<DataType> = types
        .iter()
        .map(|data_type| match item_of(data_type) {
            Some(item) => item.data_type().clone(),
            None => DataType::Null,
        })
        .collect();
    if let Some(first) =
        types.iter().find(|data_type| matches!(data_type, DataType::List(item) if !item.data_type().is_null()))
        && types.iter().all(|data_type| data_type == first || data_type.is_null())
    {
        return Ok(vec![first.clone(); types.len()]);
    }
    Ok(vec![list_of(together(&items)?); types.len()])
}

/// The type that all the types can be cast to.
pub(super) fn together(types: &[DataType]) -> Result<DataType> {
    common_type(types).ok_or_else(|| {
        let names: Vec<String> = types.iter().map(type_name).collect();
        plan_datafusion_err!("the types {} do not go together", names.join(", "))
    })
}

/// A list and a value that is to be among its items: the types to which they are cast.
pub(super) fn list_and_item(list: &DataType, item: &DataType) -> Result<(DataType, DataType)> {
    let items = item_of(list).map_or(DataType::Null, |item| item.data_type().clone());
    if items == *item
        && let DataType::List(_) = list
    {
        return Ok((list.clone(), item.clone()));
    }
    let together = together(&[items, item.clone()])?;
    Ok((list_of(together.clone()), together))
}

/// The field of a list made of a list's items, tags kept.
pub(super) fn same_list(field: &Field) -> Field {
    let data_type = match item_of(field.data_type()) {
        Some(item) => list_of_field(item),
        None => list_of(DataType::Null),
    };
    Field::new("", data_type, true)
}

/// All lists of a row as one; NULL only where all are.
pub(super) fn concatenate(call: &Call<'_>) -> Result<ArrayRef> {
    let lists = call.columns.iter().map(Lists::new).collect::<Result<Vec<_>>>()?;
    let items: Vec<&dyn Array> = lists.iter().map(|list| list.items().as_ref()).collect();
    let items = arrow::compute::concat(&items)?;
    let mut picker = Picker::default();
    for row in 0..call.rows {
        let mut any = false;
        let mut offset = 0;
        for list in &lists {
            if let Some(range) = list.range(row) {
                any = true;
                range.for_each(|index| picker.pick(Some(offset + index)));
            }
            offset += list.items().len();
        }
        if any { picker.end() } else { picker.null() }
    }
    picker.finish(&items, call.result.data_type())
}

/// Two columns of one type as one, and where the second begins.
pub(super) fn stacked(first: &ArrayRef, second: &ArrayRef) -> Result<(ArrayRef, usize)> {
    Ok((arrow::compute::concat(&[first.as_ref(), second.as_ref()])?, first.len()))
}

/// A list type whose items are nullable values of a type.
pub(super) fn list_field(item: DataType) -> Field {
    Field::new("", DataType::List(Arc::new(Field::new_list_field(item, true))), true)
}
