//! Lists in another order, or without some of their items.
//! Not here: slices (`access`), selection by a lambda (`lambdas`).
//! Called by `lists`.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::{Result, exec_err};

use super::{coerce_same_lists, list_field, same_list, stacked};
use crate::sql::functions::toolkit::general::{Call, General, Plain, Plan, answer, expect_arguments};
use crate::sql::functions::toolkit::lists::{Lists, Picker, item_of, list_of, list_type};
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::values::{keys, sorted_keys};
use crate::sql::functions::toolkit::{Function, general};

pub(super) fn functions() -> Vec<Function> {
    vec![
        general(&["list_sort", "array_sort"], "the list in order", Sort { reverse: false, grade: false }),
        general(
            &["list_reverse_sort", "array_reverse_sort"],
            "the list in reverse order",
            Sort { reverse: true, grade: false },
        ),
        general(
            &["list_grade_up", "array_grade_up", "grade_up"],
            "the places of the items in their order",
            Sort { reverse: false, grade: true },
        ),
        general(
            &["list_reverse", "array_reverse"],
            "the list from its end to its start",
            Plain {
                coerce: one_list,
                result: |plan| Ok(same_list(&plan.fields[0])),
                run: |call| picked(call, |range| Ok(range.rev().collect())),
            },
        ),
        general(
            &["list_distinct", "array_distinct"],
            "the items without NULL, each once",
            Plain {
                coerce: one_list,
                result: |plan| Ok(same_list(&plan.fields[0])),
                run: |call| {
                    let lists = Lists::new(&call.columns[0])?;
                    let rows = keys(std::slice::from_ref(lists.items()))?;
                    picked(call, |range| {
                        let mut seen = HashSet::new();
                        let fresh =
                            |index: &usize| lists.items().is_valid(*index) && seen.insert(rows.row(*index).data());
                        Ok(range.filter(fresh).collect())
                    })
                },
            },
        ),
        general(
            &["list_unique", "array_unique"],
            "how many different items there are, not counting NULL",
            Plain {
                coerce: one_list,
                result: |_| Ok(answer(DataType::UInt64)),
                run: |call| {
                    let lists = Lists::new(&call.columns[0])?;
                    let rows = keys(std::slice::from_ref(lists.items()))?;
                    let count = |row: usize| {
                        let valid = lists.range(row)?.filter(|index| lists.items().is_valid(*index));
                        Some(valid.map(|index| rows.row(index).data()).collect::<HashSet<_>>().len() as u64)
                    };
                    Ok(UInt::build((0..call.rows).map(count).collect()))
                },
            },
        ),
        general(
            &["list_intersect", "array_intersect"],
            "the items that both lists hold, each once",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 2..=2)?;
                    coerce_same_lists(types)
                },
                result: |plan| Ok(same_list(&plan.fields[0])),
                run: intersect,
            },
        ),
        general(
            &["list_select", "array_select"],
            "the items at the places that another list holds",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 2..=2)?;
                    Ok(vec![list_type(&types[0])?, list_of(DataType::Int64)])
                },
                result: |plan| Ok(same_list(&plan.fields[0])),
                run: select,
            },
        ),
        general(
            &["list_where", "array_where"],
            "the items for which another list holds true",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 2..=2)?;
                    Ok(vec![list_type(&types[0])?, list_of(DataType::Boolean)])
                },
                result: |plan| Ok(same_list(&plan.fields[0])),
                run: select,
            },
        ),
        general(
            &["flatten"],
            "the lists of a list as one",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 1..=1)?;
                    let outer = list_type(&types[0])?;
                    let inner = item_of(&outer).map_or(DataType::Null, |item| item.data_type().clone());
                    Ok(vec![list_of(list_type(&inner)?)])
                },
                result: |plan| {
                    Ok(match item_of(plan.data_type(0)) {
                        Some(inner) => Field::new("", inner.data_type().clone(), true),
                        None => list_field(DataType::Null),
                    })
                },
                run: flatten,
            },
        ),
    ]
}

fn one_list(types: &[DataType]) -> Result<Vec<DataType>> {
    expect_arguments(types, 1..=1)?;
    Ok(vec![list_type(&types[0])?])
}

/// Lists of the items at the indices that `pick` gives for a row's range.
fn picked(call: &Call<'_>, mut pick: impl FnMut(std::ops::Range<usize>) -> Result<Vec<usize>>) -> Result<ArrayRef> {
    let lists = Lists::new(&call.columns[0])?;
    let mut picker = Picker::default();
    for row in 0..call.rows {
        match lists.range(row) {
            Some(range) => {
                pick(range)?.into_iter().for_each(|index| picker.pick(Some(index)));
                picker.end();
            }
            None => picker.null(),
        }
    }
    picker.finish(lists.items(), call.result.data_type())
}

/// Sorts lists, or tells the places of their items in order.
struct Sort {
    reverse: bool,
    grade: bool,
}

impl Sort {
    /// The order that a row asks for.
    fn options(&self, call: &Call<'_>, row: usize) -> Result<SortOptions> {
        let word = |index: usize| {
            let column = call.columns.get(index)?.as_string::<i32>();
            column.is_valid(row).then(|| column.value(row).trim().to_ascii_uppercase())
        };
        let mut options = SortOptions { descending: self.reverse, nulls_first: false };
        let nulls = if self.reverse { word(1) } else { word(2) };
        if let Some(order) = word(1).filter(|_| !self.reverse) {
            options.descending = match order.as_str() {
                "ASC" | "ASCENDING" => false,
                "DESC" | "DESCENDING" => true,
                _ => return exec_err!("the order of a list is ASC or DESC"),
            };
        }
        if let Some(nulls) = nulls {
            options.nulls_first = match nulls.as_str() {
                "NULLS FIRST" => true,
                "NULLS LAST" => false,
                _ => return exec_err!("the order of NULL in a list is NULLS FIRST or NULLS LAST"),
            };
        }
        Ok(options)
    }
}

impl General for Sort {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        expect_arguments(types, 1..=if self.reverse { 2 } else { 3 })?;
        let list = list_type(&types[0])?;
        Ok(std::iter::once(list).chain(types[1..].iter().map(|_| DataType::Utf8)).collect())
    }

    fn result(&self, plan: &Plan<'_>) -> Result<Field> {
        Ok(if self.grade { list_field(DataType::Int64) } else { same_list(&plan.fields[0]) })
    }

    fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        let lists = Lists::new(&call.columns[0])?;
        let mut known: Option<(SortOptions, arrow_row::Rows)> = None;
        let mut picker = Picker::default();
        let mut grades = Vec::with_capacity(call.rows);
        for row in 0..call.rows {
            let Some(range) = lists.range(row) else {
                picker.null();
                grades.push(None);
                continue;
            };
            let options = self.options(call, row)?;
            let rows = match &mut known {
                Some((sorted_by, rows)) if *sorted_by == options => rows,
                other => {
                    let rows = sorted_keys(std::slice::from_ref(lists.items()), options)?;
                    &mut other.insert((options, rows)).1
                }
            };
            let start = range.start;
            let mut indices: Vec<usize> = range.collect();
            indices.sort_by(|left, right| rows.row(*left).cmp(&rows.row(*right)));
            if self.grade {
                grades
                    .push(Some(indices.into_iter().map(|index| Some((index - start + 1) as i64)).collect::<Vec<_>>()));
            } else {
                indices.into_iter().for_each(|index| picker.pick(Some(index)));
                picker.end();
            }
        }
        if self.grade {
            Ok(ListOf::<Int>::build(grades))
        } else {
            picker.finish(lists.items(), call.result.data_type())
        }
    }
}

fn intersect(call: &Call<'_>) -> Result<ArrayRef> {
    let right = Lists::new(&call.columns[1])?;
    let left = Lists::new(&call.columns[0])?;
    let (all, offset) = stacked(left.items(), right.items())?;
    let rows = keys(std::slice::from_ref(&all))?;
    let mut picker = Picker::default();
    for row in 0..call.rows {
        let (Some(mine), Some(other)) = (left.range(row), right.range(row)) else {
            picker.null();
            continue;
        };
        let mut wanted: HashSet<&[u8]> = other
            .map(|index| offset + index)
            .filter(|index| all.is_valid(*index))
            .map(|index| rows.row(index).data())
            .collect();
        for index in mine {
            if wanted.remove(rows.row(index).data()) {
                picker.pick(Some(index));
            }
        }
        picker.end();
    }
    picker.finish(left.items(), call.result.data_type())
}

/// `list_select` by places, `list_where` by truths.
fn select(call: &Call<'_>) -> Result<ArrayRef> {
    let lists = Lists::new(&call.columns[0])?;
    let choices = Lists::new(&call.columns[1])?;
    let mut picker = Picker::default();
    for row in 0..call.rows {
        let (Some(range), Some(choice)) = (lists.range(row), choices.range(row)) else {
            picker.null();
            continue;
        };
        let from = choice.start;
        for index in choice {
            if choices.items().is_null(index) {
                return exec_err!("a list that selects items holds NULL");
            }
            match choices.items().as_boolean_opt() {
                Some(truths) => {
                    let item = range.start + index - from;
                    if truths.value(index) {
                        picker.pick(Some(item).filter(|item| *item < range.end));
                    }
                }
                None => {
                    let place = choices.items().as_primitive::<Int64Type>().value(index);
                    let place = usize::try_from(place - 1).ok().map(|place| range.start + place);
                    picker.pick(place.filter(|item| *item < range.end));
                }
            }
        }
        picker.end();
    }
    picker.finish(lists.items(), call.result.data_type())
}

fn flatten(call: &Call<'_>) -> Result<ArrayRef> {
    let outer = Lists::new(&call.columns[0])?;
    let inner = Lists::new(outer.items())?;
    let mut picker = Picker::default();
    for row in 0..call.rows {
        match outer.range(row) {
            Some(range) => {
                range.filter_map(|index| inner.range(index)).flatten().for_each(|index| picker.pick(Some(index)));
                picker.end();
            }
            None => picker.null(),
        }
    }
    picker.finish(inner.items(), call.result.data_type())
}
