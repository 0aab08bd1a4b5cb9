//! Items and parts of lists, and of what else has an index: text, structs, maps.
//! Not here: search (`search`).
//! Called by `lists`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::{Result, plan_err};

use super::same_list;
use crate::sql::functions::nested::{member, value_of_key};
use crate::sql::functions::toolkit::general::{Call, General, Plain, Plan, answer, expect_arguments};
use crate::sql::functions::toolkit::lists::{Lists, Picker, item_of, list_type};
use crate::sql::functions::toolkit::typed::{kernel, type_name};
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::values::take;
use crate::sql::functions::toolkit::{Function, general, typed};

pub(super) fn functions() -> Vec<Function> {
    vec![
        general(
            &["list_extract", "list_element", "array_extract"],
            "the item at a place, from 1 or from the end; the character of a text, the member of a struct, the value of a key",
            Plain { coerce: coerce_extract, result: extract_result, run: extract },
        ),
        general(
            &["list_slice", "array_slice"],
            "the items from one place to another, or every so many of them",
            Plain {
                coerce: coerce_slice,
                result: |plan| {
                    Ok(match plan.data_type(0) {
                        DataType::Utf8 => answer(DataType::Utf8),
                        _ => same_list(&plan.fields[0]),
                    })
                },
                run: slice,
            },
        ),
        general(
            &["array_pop_back"],
            "the list without its last item",
            shortened(|range| range.start..range.end.max(range.start + 1) - 1),
        ),
        general(
            &["array_pop_front"],
            "the list without its first item",
            shortened(|range| (range.start + 1).min(range.end)..range.end),
        ),
        general(
            &["len", "length"],
            "how many characters, or items, there are",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 1..=1)?;
                    Ok(vec![match &types[0] {
                        list if item_of(list).is_some() => list_type(list)?,
                        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => DataType::Utf8,
                        DataType::Dictionary(_, _) => DataType::Utf8,
                        other => return plan_err!("len() takes a text or a list, not {}", type_name(other)),
                    }])
                },
                result: |_| Ok(answer(DataType::Int64)),
                run: length,
            },
        ),
        typed(
            &["char_length", "character_length"],
            "how many characters the text has",
            [kernel!(|text: Text| -> Int => text.chars().count() as i64)],
        ),
        general(
            &["array_length"],
            "how many items the list has",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 1..=2)?;
                    Ok([list_type(&types[0])?, DataType::Int64][..types.len()].to_vec())
                },
                result: |plan| match plan.whole(1) {
                    Some(1) | None => Ok(answer(DataType::Int64)),
                    Some(_) => plan_err!("array_length counts the first dimension alone"),
                },
                run: length,
            },
        ),
    ]
}

type Range = std::ops::Range<usize>;

/// A function that keeps a part of each list.
fn shortened(part: fn(Range) -> Range) -> impl General {
    struct Shortened(fn(Range) -> Range);
    impl General for Shortened {
        fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
            expect_arguments(types, 1..=1)?;
            Ok(vec![list_type(&types[0])?])
        }

        fn result(&self, plan: &Plan<'_>) -> Result<Field> {
            Ok(same_list(&plan.fields[0]))
        }

        fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
            let lists = Lists::new(&call.columns[0])?;
            let mut picker = Picker::default();
            for row in 0..call.rows {
                match lists.range(row) {
                    Some(range) => {
                        (self.0)(range).for_each(|index| picker.pick(Some(index)));
                        picker.end();
                    }
                    None => picker.null(),
                }
            }
            picker.finish(lists.items(), call.result.data_type())
        }
    }
    Shortened(part)
}

fn length(call: &Call<'_>) -> Result<ArrayRef> {
    if let Some(texts) = call.columns[0].as_string_opt::<i32>() {
        return Ok(Int::build(texts.iter().map(|text| text.map(|text| text.chars().count() as i64)).collect()));
    }
    let lists = Lists::new(&call.columns[0])?;
    Ok(Int::build((0..call.rows).map(|row| lists.range(row).map(|range| range.len() as i64)).collect()))
}

fn coerce_extract(types: &[DataType]) -> Result<Vec<DataType>> {
    expect_arguments(types, 2..=2)?;
    Ok(match &types[0] {
        DataType::Struct(_) if types[1].is_integer() => types.to_vec(),
        DataType::Struct(_) => vec![types[0].clone(), DataType::Utf8],
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => vec![types[0].clone(), fields[0].data_type().clone()],
            _ => return plan_err!("a map has keys and values"),
        },
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View if types[1].is_integer() => {
            vec![DataType::Utf8, DataType::Int64]
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => vec![DataType::Utf8, types[1].clone()],
        list => vec![list_type(list)?, DataType::Int64],
    })
}

fn extract_result(plan: &Plan<'_>) -> Result<Field> {
    let field = &plan.fields[0];
    if is_tagged(field, "JSON") {
        return Ok(Json::field());
    }
    Ok(match field.data_type() {
        DataType::Struct(fields) => {
            let index = member(fields, plan)?;
            fields[index].as_ref().clone()
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => fields[1].as_ref().clone(),
            _ => return plan_err!("a map has keys and values"),
        },
        DataType::Utf8 => answer(DataType::Utf8),
        list => match item_of(list) {
            Some(item) => item.as_ref().clone(),
            None => return plan_err!("there is nothing to take an item from"),
        },
    })
}

fn extract(call: &Call<'_>) -> Result<ArrayRef> {
    if is_tagged(&call.fields[0], "JSON") {
        return crate::sql::functions::json::extract_by(&call.columns[0], &call.columns[1]);
    }
    match call.columns[0].data_type() {
        DataType::Struct(_) => crate::sql::functions::nested::extract(call),
        DataType::Map(_, _) => value_of_key(&call.columns[0], &call.columns[1], call.rows),
        DataType::Utf8 => {
            let texts = call.columns[0].as_string::<i32>();
            let places = call.columns[1].as_primitive::<Int64Type>();
            let character = |row: usize| {
                if texts.is_null(row) || places.is_null(row) {
                    return None;
                }
                let text = texts.value(row);
                let found = place(places.value(row), text.chars().count()).and_then(|index| text.chars().nth(index));
                Some(found.map_or_else(String::new, |character| character.to_string()))
            };
            Ok(Text::build((0..call.rows).map(character).collect()))
        }
        _ => {
            let lists = Lists::new(&call.columns[0])?;
            let places = call.columns[1].as_primitive::<Int64Type>();
            let index = |row: usize| {
                let range = lists.range(row).filter(|_| places.is_valid(row))?;
                let index = range.start + place(places.value(row), range.len())?;
                u32::try_from(index).ok()
            };
            take(lists.items(), (0..call.rows).map(index).collect())
        }
    }
}

/// The index of a place from 1, or from the end.
fn place(place: i64, length: usize) -> Option<usize> {
    let index = if place > 0 { place - 1 } else { (length as i64).checked_add(place).filter(|_| place < 0)? };
    usize::try_from(index).ok().filter(|index| *index < length)
}

fn coerce_slice(types: &[DataType]) -> Result<Vec<DataType>> {
    expect_arguments(types, 3..=4)?;
    let whole = match &types[0] {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        list => list_type(list)?,
    };
    // A bound that is written as NULL is a missing one.
    let bound = |data_type: &DataType| if data_type.is_null() { DataType::Null } else { DataType::Int64 };
    Ok(std::iter::once(whole).chain(types[1..].iter().map(bound)).collect())
}

/// A bound of a slice: the outer `None` for a value that is NULL, the inner for a bound that is missing.
fn bound(column: &ArrayRef, row: usize) -> Option<Option<i64>> {
    match column.as_primitive_opt::<Int64Type>() {
        Some(bounds) => bounds.is_valid(row).then(|| Some(bounds.value(row))),
        None => Some(None),
    }
}

fn slice(call: &Call<'_>) -> Result<ArrayRef> {
    let step = |row: usize| match call.columns.get(3) {
        Some(column) => bound(column, row).map(|step| step.unwrap_or(1)),
        None => Some(1),
    };
    let indices = |row: usize, length: usize| -> Option<Vec<usize>> {
        Some(places(length as i64, bound(&call.columns[1], row)?, bound(&call.columns[2], row)?, step(row)?))
    };
    if let Some(texts) = call.columns[0].as_string_opt::<i32>() {
        let cut = |row: usize| -> Option<String> {
            let text = texts.is_valid(row).then(|| texts.value(row))?;
            let characters: Vec<char> = text.chars().collect();
            Some(indices(row, characters.len())?.into_iter().map(|index| characters[index]).collect())
        };
        return Ok(Arc::new((0..call.rows).map(cut).collect::<arrow::array::StringArray>()));
    }
    let lists = Lists::new(&call.columns[0])?;
    let mut picker = Picker::default();
    for row in 0..call.rows {
        match lists.range(row).and_then(|range| Some((range.start, indices(row, range.len())?))) {
            Some((start, indices)) => {
                indices.into_iter().for_each(|index| picker.pick(Some(start + index)));
                picker.end();
            }
            None => picker.null(),
        }
    }
    picker.finish(lists.items(), call.result.data_type())
}

/// The indices of a slice whose bounds count from 1, or from the end, and are both part of it.
fn places(length: i64, from: Option<i64>, to: Option<i64>, step: i64) -> Vec<usize> {
    if step == 0 {
        return Vec::new();
    }
    let from_end = |place: i64| if place < 0 { length + place + 1 } else { place };
    let (default_from, default_to) = if step > 0 { (1, length) } else { (length, 1) };
    let from = from.map_or(default_from, from_end);
    let to = to.map_or(default_to, from_end);
    let mut places = Vec::new();
    let (least, most) = (from.min(to).max(1), from.max(to).min(length));
    if (step > 0 && from > to) || (step < 0 && from < to) || least > most {
        return places;
    }
    let mut place = if step > 0 { least } else { most };
    while (least..=most).contains(&place) {
        places.push((place - 1) as usize);
        let Some(next) = place.checked_add(step) else { break };
        place = next;
    }
    places
}
