//! Lists made of values and of other lists.
//! Not here: ranges (`ranges`).
//! Called by `lists`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Int64Type};
use datafusion::common::{Result, exec_err, plan_err};

use super::{coerce_same_lists, concatenate, list_and_item, same_list, stacked, together};
use crate::sql::functions::toolkit::general::{Call, General, Plain, Plan, answer, expect_arguments};
use crate::sql::functions::toolkit::lists::{Lists, Picker, item_of, list_of_field, list_type};
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::values::{take, texts};
use crate::sql::functions::toolkit::{Function, general};

pub(super) fn functions() -> Vec<Function> {
    vec![
        general(
            &["list_value", "list_pack", "unpivot_list"],
            "a list of the arguments",
            Plain {
                coerce: |types| Ok(vec![together(types)?; types.len()]),
                result: |plan| {
                    let item = plan.fields.iter().find(|field| !field.data_type().is_null()).or(plan.fields.first());
                    Ok(answer(item.map_or_else(
                        || super::list_field(DataType::Null).data_type().clone(),
                        |item| list_of_field(item),
                    )))
                },
                run: value,
            },
        ),
        general(
            &["list_concat", "list_cat", "array_concat", "array_cat"],
            "the items of all lists in one",
            Plain {
                coerce: coerce_same_lists,
                result: |plan| {
                    Ok(same_list(
                        plan.fields
                            .iter()
                            .find(|field| item_of(field.data_type()).is_some())
                            .unwrap_or(&plan.fields[0]),
                    ))
                },
                run: concatenate,
            },
        ),
        general(
            &["list_append", "array_append", "array_push_back"],
            "the list with a value at its end",
            Add { front: false, swapped: false },
        ),
        general(
            &["list_prepend", "array_prepend"],
            "the list with a value, which comes first, at its start",
            Add { front: true, swapped: true },
        ),
        general(&["array_push_front"], "the list with a value at its start", Add { front: true, swapped: false }),
        general(
            &["list_resize", "array_resize"],
            "the list with a number of items, filled with NULL or a value",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 2..=3)?;
                    match types.get(2) {
                        Some(fill) => {
                            let (list, item) = list_and_item(&types[0], fill)?;
                            Ok(vec![list, DataType::Int64, item])
                        }
                        None => Ok(vec![list_type(&types[0])?, DataType::Int64]),
                    }
                },
                result: |plan| Ok(same_list(&plan.fields[0])),
                run: resize,
            },
        ),
        general(
            &["list_zip", "array_zip"],
            "lists side by side, as a list of structs; cut to the shortest with true",
            Plain {
                coerce: |types| {
                    types
                        .iter()
                        .map(|data_type| match data_type {
                            DataType::Boolean => Ok(DataType::Boolean),
                            other => list_type(other),
                        })
                        .collect()
                },
                result: |plan| {
                    let members: Fields = plan
                        .fields
                        .iter()
                        .filter_map(|field| item_of(field.data_type()))
                        .map(|item| item.as_ref().clone().with_name("").with_nullable(true))
                        .collect();
                    Ok(super::list_field(DataType::Struct(members)))
                },
                run: zip,
            },
        ),
        general(
            &["array_to_string", "array_to_string_comma_default"],
            "the items as text, joined by a separator",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 1..=2)?;
                    Ok([list_type(&types[0])?, DataType::Utf8][..types.len()].to_vec())
                },
                result: |_| Ok(answer(DataType::Utf8)),
                run: join,
            },
        ),
    ]
}

fn value(call: &Call<'_>) -> Result<ArrayRef> {
    let DataType::List(item) = call.result.data_type() else { return plan_err!("a list is expected") };
    let count = call.columns.len();
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(count, call.rows));
    let columns: Vec<&dyn Array> = call.columns.iter().map(|column| column.as_ref()).collect();
    let items = if count == 0 {
        arrow::array::new_empty_array(item.data_type())
    } else {
        let all = arrow::compute::concat(&columns)?;
        let order = (0..call.rows).flat_map(|row| (0..count).map(move |column| column * call.rows + row));
        take(&all, order.map(|index| u32::try_from(index).ok()).collect())?
    };
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, None)?))
}

/// Adds a value to a list.
struct Add {
    front: bool,
    /// Whether the value is the first argument.
    swapped: bool,
}

impl Add {
    fn order<T>(&self, first: T, second: T) -> (T, T) {
        if self.swapped { (second, first) } else { (first, second) }
    }
}

impl General for Add {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        expect_arguments(types, 2..=2)?;
        let (list, item) = self.order(&types[0], &types[1]);
        let (list, item) = list_and_item(list, item)?;
        let (first, second) = self.order(list, item);
        Ok(vec![first, second])
    }

    fn result(&self, plan: &Plan<'_>) -> Result<Field> {
        Ok(same_list(self.order(&plan.fields[0], &plan.fields[1]).0))
    }

    fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        let (list, item) = self.order(&call.columns[0], &call.columns[1]);
        let lists = Lists::new(list)?;
        let (all, offset) = stacked(lists.items(), item)?;
        let mut picker = Picker::default();
        for row in 0..call.rows {
            if self.front {
                picker.pick(Some(offset + row));
            }
            lists.range(row).into_iter().flatten().for_each(|index| picker.pick(Some(index)));
            if !self.front {
                picker.pick(Some(offset + row));
            }
            picker.end();
        }
        picker.finish(&all, call.result.data_type())
    }
}

fn resize(call: &Call<'_>) -> Result<ArrayRef> {
    /// No list is longer.
    const LONGEST: i64 = 1 << 24;
    let lists = Lists::new(&call.columns[0])?;
    let sizes = call.columns[1].as_primitive::<Int64Type>();
    let nothing = arrow::array::new_null_array(lists.items().data_type(), call.rows);
    let fill = call.columns.get(2).unwrap_or(&nothing);
    let (all, offset) = stacked(lists.items(), fill)?;
    let mut picker = Picker::default();
    for row in 0..call.rows {
        let Some(range) = lists.range(row) else {
            picker.null();
            continue;
        };
        let size = if sizes.is_valid(row) { sizes.value(row) } else { 0 };
        if !(0..=LONGEST).contains(&size) {
            return exec_err!("a list cannot have so many items");
        }
        let size = size as usize;
        let held = range.len().min(size);
        (range.start..range.start + held).for_each(|index| picker.pick(Some(index)));
        (held..size).for_each(|_| picker.pick(Some(offset + row)));
        picker.end();
    }
    picker.finish(&all, call.result.data_type())
}

fn zip(call: &Call<'_>) -> Result<ArrayRef> {
    let lists: Vec<Lists<'_>> = call
        .columns
        .iter()
        .filter(|column| item_of(column.data_type()).is_some())
        .map(Lists::new)
        .collect::<Result<_>>()?;
    let cut = call.columns.last().and_then(|column| column.as_boolean_opt());
    let mut picked: Vec<Vec<Option<u32>>> = vec![Vec::new(); lists.len()];
    let mut lengths = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let ranges: Vec<_> = lists.iter().map(|list| list.range(row).unwrap_or(0..0)).collect();
        let sizes = ranges.iter().map(ExactSizeIterator::len);
        let cut = cut.is_some_and(|cut| cut.is_valid(row) && cut.value(row));
        let length = if cut { sizes.min() } else { sizes.max() }.unwrap_or(0);
        for (picked, range) in picked.iter_mut().zip(&ranges) {
            let place = |index: usize| (index < range.len()).then(|| u32::try_from(range.start + index).ok()).flatten();
            picked.extend((0..length).map(place));
        }
        lengths.push(length);
    }
    let Some(item) = item_of(call.result.data_type()) else { return plan_err!("a list is expected") };
    let DataType::Struct(fields) = item.data_type() else { return plan_err!("a list of structs is expected") };
    let members =
        lists.iter().zip(picked).map(|(list, picked)| take(list.items(), picked)).collect::<Result<Vec<_>>>()?;
    let total = lengths.iter().sum();
    let structs = StructArray::try_new_with_length(fields.clone(), members, None, total)?;
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), OffsetBuffer::from_lengths(lengths), Arc::new(structs), None)?))
}

fn join(call: &Call<'_>) -> Result<ArrayRef> {
    let lists = Lists::new(&call.columns[0])?;
    let items = texts(lists.item(), lists.items())?;
    let separators = call.columns.get(1).map(|column| column.as_string::<i32>());
    let valid = NullBuffer::union(call.columns[0].nulls(), separators.and_then(Array::nulls));
    let text = |row: usize| {
        if valid.as_ref().is_some_and(|valid| valid.is_null(row)) {
            return None;
        }
        let separator = separators.map_or(",", |separators| separators.value(row));
        let parts: Vec<&str> =
            lists.range(row)?.filter(|index| items.is_valid(*index)).map(|index| items.value(index)).collect();
        Some(parts.join(separator))
    };
    Ok(Text::build((0..call.rows).map(text).collect()))
}
