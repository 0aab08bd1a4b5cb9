//! Whether, and where, lists hold values.
//! Not here: selection by a lambda (`lambdas`).
//! Called by `lists`.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Field};
use datafusion::common::Result;

use super::{coerce_same_lists, list_and_item, stacked};
use crate::sql::functions::nested::has_key;
use crate::sql::functions::toolkit::general::{Call, General, Plain, Plan, answer, expect_arguments};
use crate::sql::functions::toolkit::lists::{Lists, item_of};
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::values::keys;
use crate::sql::functions::toolkit::{Function, general};

pub(super) fn functions() -> Vec<Function> {
    vec![
        general(
            &["list_contains", "list_has", "array_contains", "array_has"],
            "whether the list holds the value",
            Plain {
                coerce: coerce_search,
                result: |_| Ok(answer(DataType::Boolean)),
                run: |call| {
                    let places = places(call)?;
                    let valid = |row: usize| call.columns.iter().all(|column| column.is_valid(row));
                    Ok(Truth::build((0..call.rows).map(|row| valid(row).then(|| places[row].is_some())).collect()))
                },
            },
        ),
        general(&["contains"], "whether the text holds a part, the list a value, or the map a key", Contains),
        general(
            &["list_position", "list_indexof", "array_position", "array_indexof"],
            "where the value first stands in the list, from 1",
            Plain {
                coerce: coerce_search,
                result: |_| Ok(answer(DataType::Int32)),
                run: |call| {
                    Ok(Int4::build(
                        places(call)?
                            .into_iter()
                            .map(|place| place.and_then(|place| i32::try_from(place + 1).ok()))
                            .collect(),
                    ))
                },
            },
        ),
        general(
            &["list_has_any", "array_has_any", "&&"],
            "whether two lists have an item in common",
            Overlap { all: false },
        ),
        general(
            &["list_has_all", "array_has_all", "@>"],
            "whether the first list holds all items of the second",
            Overlap { all: true },
        ),
    ]
}

fn coerce_search(types: &[DataType]) -> Result<Vec<DataType>> {
    expect_arguments(types, 2..=2)?;
    let (list, item) = list_and_item(&types[0], &types[1])?;
    Ok(vec![list, item])
}

/// The index of the value in each row's list, if it is there; NULL is equal to NULL.
fn places(call: &Call<'_>) -> Result<Vec<Option<usize>>> {
    let lists = Lists::new(&call.columns[0])?;
    let (all, needles) = stacked(lists.items(), &call.columns[1])?;
    let rows = keys(std::slice::from_ref(&all))?;
    let find = |row: usize| {
        let mut range = lists.range(row)?;
        let needle = rows.row(needles + row);
        range.position(|index| rows.row(index) == needle)
    };
    Ok((0..call.rows).map(find).collect())
}

/// `contains`, over texts, lists and maps.
struct Contains;

impl General for Contains {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        expect_arguments(types, 2..=2)?;
        match &types[0] {
            list if item_of(list).is_some() => coerce_search(types),
            DataType::Map(_, _) => Ok(types.to_vec()),
            _ => Ok(vec![DataType::Utf8; 2]),
        }
    }

    fn result(&self, _: &Plan<'_>) -> Result<Field> {
        Ok(answer(DataType::Boolean))
    }

    fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        let valid = |row: usize| call.columns.iter().all(|column| column.is_valid(row));
        let truths: Vec<Option<bool>> = match call.columns[0].data_type() {
            DataType::Utf8 => {
                let (texts, parts) = (downcast::<Text>(&call.columns[0])?, downcast::<Text>(&call.columns[1])?);
                (0..call.rows).map(|row| valid(row).then(|| texts.value(row).contains(parts.value(row)))).collect()
            }
            DataType::Map(_, _) => has_key(&call.columns[0], &call.columns[1], call.rows)?,
            _ => {
                let places = places(call)?;
                (0..call.rows).map(|row| valid(row).then(|| places[row].is_some())).collect()
            }
        };
        Ok(Truth::build(truths))
    }
}

/// Whether lists have some, or all, items in common.
struct Overlap {
    all: bool,
}

impl General for Overlap {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        expect_arguments(types, 2..=2)?;
        coerce_same_lists(types)
    }

    fn result(&self, _: &Plan<'_>) -> Result<Field> {
        Ok(answer(DataType::Boolean))
    }

    fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        let (left, right) = (Lists::new(&call.columns[0])?, Lists::new(&call.columns[1])?);
        let (all, offset) = stacked(left.items(), right.items())?;
        let rows = keys(std::slice::from_ref(&all))?;
        let check = |row: usize| {
            let (left, right) = (left.range(row)?, right.range(row)?);
            let held: HashSet<&[u8]> =
                left.filter(|index| all.is_valid(*index)).map(|index| rows.row(index).data()).collect();
            let mut wanted = right.map(|index| offset + index).filter(|index| all.is_valid(*index));
            let held = |index: usize| held.contains(rows.row(index).data());
            Some(if self.all { wanted.all(held) } else { wanted.any(held) })
        };
        Ok(Truth::build((0..call.rows).map(check).collect()))
    }
}
