//! Maps: made, searched, put together.
//! Not here: histograms (`aggregates`).
//! Called by `nested`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result, exec_datafusion_err, exec_err, plan_err};

use crate::sql::functions::toolkit::general::{Call, Plain, answer, as_they_are, expect_arguments};
use crate::sql::functions::toolkit::lists::{Lists, Picker, item_of, list_of, list_of_field, list_type};
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::values::{keys, take};
use crate::sql::functions::toolkit::{Function, general};

pub(super) fn functions() -> Vec<Function> {
    vec![
        general(
            &["map"],
            "a map of a list of keys and a list of values",
            Plain {
                coerce: |types| types.iter().map(list_type).collect(),
                result: |plan| {
                    let item = |index: usize| match item_of(plan.data_type(index)) {
                        Some(item) => item.as_ref().clone(),
                        None => answer(DataType::Null),
                    };
                    Ok(answer(map_type(&item(0), &item(1))))
                },
                run: from_lists,
            },
        ),
        general(
            &["map_from_entries"],
            "a map of a list of pairs",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 1..=1)?;
                    Ok(vec![list_type(&types[0])?])
                },
                result: |plan| match item_of(plan.data_type(0)).map(|item| item.data_type()) {
                    Some(DataType::Struct(fields)) if fields.len() == 2 => Ok(answer(map_type(&fields[0], &fields[1]))),
                    _ => plan_err!("a list of structs with two members is expected"),
                },
                run: from_entries,
            },
        ),
        general(
            &["map_keys"],
            "the keys of the map",
            Plain {
                coerce: one_map,
                result: |plan| Ok(answer(list_of_field(&pair(plan.data_type(0))?[0]))),
                run: |call| of_entries(call, |entries| Arc::clone(entries.column(0))),
            },
        ),
        general(
            &["map_values"],
            "the values of the map",
            Plain {
                coerce: one_map,
                result: |plan| Ok(answer(list_of_field(&pair(plan.data_type(0))?[1]))),
                run: |call| of_entries(call, |entries| Arc::clone(entries.column(1))),
            },
        ),
        general(
            &["map_entries"],
            "the map as a list of structs of key and value",
            Plain {
                coerce: one_map,
                result: |plan| {
                    let pair = pair(plan.data_type(0))?;
                    let member =
                        |index: usize, name: &str| pair[index].as_ref().clone().with_name(name).with_nullable(true);
                    Ok(answer(list_of(DataType::Struct(Fields::from(vec![member(0, "key"), member(1, "value")])))))
                },
                run: |call| {
                    let item = item_of(call.result.data_type()).map(|item| item.data_type().clone());
                    let fields = match item {
                        Some(DataType::Struct(fields)) => fields,
                        _ => return plan_err!("a list of structs is expected"),
                    };
                    of_entries(call, move |entries| {
                        Arc::new(StructArray::new(fields.clone(), entries.columns().to_vec(), None))
                    })
                },
            },
        ),
        general(
            &["cardinality"],
            "how many entries the map has",
            Plain {
                coerce: one_map,
                result: |_| Ok(answer(DataType::UInt64)),
                run: |call| {
                    let map = as_map(&call.columns[0])?;
                    Ok(UInt::build(
                        (0..call.rows).map(|row| map.is_valid(row).then(|| range(map, row).len() as u64)).collect(),
                    ))
                },
            },
        ),
        general(
            &["map_extract", "element_at"],
            "a list of the key's value, or an empty list",
            Plain {
                coerce: map_and_key,
                result: |plan| Ok(answer(list_of_field(&pair(plan.data_type(0))?[1]))),
                run: |call| {
                    let map = as_map(&call.columns[0])?;
                    let mut picker = Picker::default();
                    for found in find_keys(map, &call.columns[1], call.rows)? {
                        if let Some(index) = found {
                            picker.pick(Some(index));
                        }
                        picker.end();
                    }
                    picker.finish(map.values(), call.result.data_type())
                },
            },
        ),
        general(
            &["map_extract_value"],
            "the key's value",
            Plain {
                coerce: map_and_key,
                result: |plan| Ok(pair(plan.data_type(0))?[1].as_ref().clone()),
                run: |call| value_of_key(&call.columns[0], &call.columns[1], call.rows),
            },
        ),
        general(
            &["map_contains"],
            "whether the map has the key",
            Plain {
                coerce: map_and_key,
                result: |_| Ok(answer(DataType::Boolean)),
                run: |call| Ok(Truth::build(has_key(&call.columns[0], &call.columns[1], call.rows)?)),
            },
        ),
        general(
            &["map_contains_value"],
            "whether a key of the map has the value",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 2..=2)?;
                    Ok(vec![types[0].clone(), pair(&types[0])?[1].data_type().clone()])
                },
                result: |_| Ok(answer(DataType::Boolean)),
                run: |call| contains(call, &[1]),
            },
        ),
        general(
            &["map_contains_entry"],
            "whether the map has the key with the value",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 3..=3)?;
                    let pair = pair(&types[0])?;
                    Ok(vec![types[0].clone(), pair[0].data_type().clone(), pair[1].data_type().clone()])
                },
                result: |_| Ok(answer(DataType::Boolean)),
                run: |call| contains(call, &[0, 1]),
            },
        ),
        general(
            &["map_concat"],
            "the entries of several maps; of equal keys the last counts",
            Plain {
                coerce: |types| {
                    Ok(types
                        .iter()
                        .map(|data_type| if data_type.is_null() { types[0].clone() } else { data_type.clone() })
                        .collect())
                },
                result: |plan| {
                    Ok(plan.fields.first().map_or_else(|| answer(DataType::Null), |field| field.as_ref().clone()))
                },
                run: concat,
            },
        ),
    ]
}

/// The fields of a map's keys and values.
fn pair(data_type: &DataType) -> Result<&Fields> {
    match data_type {
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => Ok(fields),
            _ => plan_err!("a map has keys and values"),
        },
        other => plan_err!("a map is expected, not {}", crate::sql::functions::toolkit::typed::type_name(other)),
    }
}

fn one_map(types: &[DataType]) -> Result<Vec<DataType>> {
    expect_arguments(types, 1..=1)?;
    pair(&types[0])?;
    as_they_are(types)
}

fn map_and_key(types: &[DataType]) -> Result<Vec<DataType>> {
    expect_arguments(types, 2..=2)?;
    Ok(vec![types[0].clone(), pair(&types[0])?[0].data_type().clone()])
}

fn map_type(key: &Field, value: &Field) -> DataType {
    let fields =
        vec![key.clone().with_name("key").with_nullable(false), value.clone().with_name("value").with_nullable(true)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(Fields::from(fields)), false)), false)
}

fn as_map(column: &ArrayRef) -> Result<&MapArray> {
    column.as_map_opt().ok_or_else(|| exec_datafusion_err!("a map is expected, not {}", column.data_type()))
}

fn range(map: &MapArray, row: usize) -> std::ops::Range<usize> {
    let offsets = map.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

/// Lists of what is made of the entries, one for each map.
fn of_entries(call: &Call<'_>, of: impl Fn(&StructArray) -> ArrayRef) -> Result<ArrayRef> {
    let map = as_map(&call.columns[0])?;
    let Some(field) = item_of(call.result.data_type()) else { return plan_err!("a list is expected") };
    let items = of(map.entries());
    Ok(Arc::new(ListArray::try_new(Arc::clone(field), map.offsets().clone(), items, map.nulls().cloned())?))
}

/// The index of the entry with the key, in each row.
fn find_keys(map: &MapArray, wanted: &ArrayRef, count: usize) -> Result<Vec<Option<usize>>> {
    let all = arrow::compute::concat(&[map.keys().as_ref(), wanted.as_ref()])?;
    let rows = keys(std::slice::from_ref(&all))?;
    let offset = map.keys().len();
    let find = |row: usize| {
        let wanted_key = rows.row(offset + row);
        let mut entries = range(map, row);
        (map.is_valid(row) && wanted.is_valid(row)).then(|| entries.find(|index| rows.row(*index) == wanted_key))?
    };
    Ok((0..count).map(find).collect())
}

/// The value of a key, in each row.
pub(in crate::sql::functions) fn value_of_key(map: &ArrayRef, key: &ArrayRef, rows: usize) -> Result<ArrayRef> {
    let map = as_map(map)?;
    let found = find_keys(map, key, rows)?;
    take(map.values(), found.into_iter().map(|index| index.and_then(|index| u32::try_from(index).ok())).collect())
}

/// Whether the map has the key, in each row.
pub(in crate::sql::functions) fn has_key(map: &ArrayRef, key: &ArrayRef, rows: usize) -> Result<Vec<Option<bool>>> {
    let map = as_map(map)?;
    let found = find_keys(map, key, rows)?;
    Ok((0..rows).map(|row| (map.is_valid(row) && key.is_valid(row)).then(|| found[row].is_some())).collect())
}

/// Whether an entry has what the arguments after the map say of its parts.
fn contains(call: &Call<'_>, parts: &[usize]) -> Result<ArrayRef> {
    let map = as_map(&call.columns[0])?;
    let mut compared = Vec::with_capacity(parts.len());
    for (part, wanted) in parts.iter().zip(&call.columns[1..]) {
        let held = map.entries().column(*part);
        let all = arrow::compute::concat(&[held.as_ref(), wanted.as_ref()])?;
        compared.push(keys(std::slice::from_ref(&all))?);
    }
    let offset = map.entries().len();
    let check = |row: usize| {
        map.is_valid(row)
            .then(|| range(map, row).any(|index| compared.iter().all(|rows| rows.row(index) == rows.row(offset + row))))
    };
    Ok(Truth::build((0..call.rows).map(check).collect()))
}

fn build(field: &Field, lengths: Vec<usize>, valid: Vec<bool>, key: ArrayRef, value: ArrayRef) -> Result<ArrayRef> {
    let DataType::Map(entries, sorted) = field.data_type() else { return plan_err!("a map is expected") };
    let structs = StructArray::try_new(pair(field.data_type())?.clone(), vec![key, value], None)?;
    let nulls = Some(NullBuffer::from(valid));
    Ok(Arc::new(MapArray::try_new(Arc::clone(entries), OffsetBuffer::from_lengths(lengths), structs, nulls, *sorted)?))
}

/// Refuses keys that are NULL or occur twice in a row.
fn check_keys(key: &ArrayRef, lengths: &[usize]) -> Result<()> {
    if key.logical_null_count() > 0 {
        return exec_err!("a key of a map is NULL");
    }
    let rows = keys(std::slice::from_ref(key))?;
    let mut start = 0;
    for length in lengths {
        let different: HashSet<&[u8]> = (start..start + length).map(|index| rows.row(index).data()).collect();
        if different.len() != *length {
            return exec_err!("the keys of a map must be unique");
        }
        start += length;
    }
    Ok(())
}

fn from_lists(call: &Call<'_>) -> Result<ArrayRef> {
    if call.columns.is_empty() {
        let nothing = || arrow::array::new_empty_array(&DataType::Null);
        return build(call.result, vec![0; call.rows], vec![true; call.rows], nothing(), nothing());
    }
    let [key_lists, value_lists] = [Lists::new(&call.columns[0])?, Lists::new(&call.columns[1])?];
    let (mut of_keys, mut of_values) = (Vec::new(), Vec::new());
    let (mut lengths, mut valid) = (Vec::new(), Vec::new());
    for row in 0..call.rows {
        let (Some(of_key), Some(of_value)) = (key_lists.range(row), value_lists.range(row)) else {
            lengths.push(0);
            valid.push(false);
            continue;
        };
        if of_key.len() != of_value.len() {
            return exec_err!("a map needs as many values as keys");
        }
        lengths.push(of_key.len());
        valid.push(true);
        of_keys.extend(of_key.map(|index| Some(index as u32)));
        of_values.extend(of_value.map(|index| Some(index as u32)));
    }
    let key = take(key_lists.items(), of_keys)?;
    let value = take(value_lists.items(), of_values)?;
    check_keys(&key, &lengths)?;
    build(call.result, lengths, valid, key, value)
}

fn from_entries(call: &Call<'_>) -> Result<ArrayRef> {
    let lists = Lists::new(&call.columns[0])?;
    let Some(entries) = lists.items().as_struct_opt() else { return plan_err!("a list of structs is expected") };
    let mut picked = Vec::new();
    let (mut lengths, mut valid) = (Vec::new(), Vec::new());
    for row in 0..call.rows {
        valid.push(lists.range(row).is_some());
        let range = lists.range(row).unwrap_or(0..0);
        lengths.push(range.len());
        picked.extend(range.map(|index| Some(index as u32)));
    }
    let key = take(entries.column(0), picked.clone())?;
    let value = take(entries.column(1), picked)?;
    check_keys(&key, &lengths)?;
    build(call.result, lengths, valid, key, value)
}

fn concat(call: &Call<'_>) -> Result<ArrayRef> {
    let maps = call.columns.iter().map(as_map).collect::<Result<Vec<_>>>()?;
    let gather = |part: fn(&MapArray) -> &ArrayRef| -> Result<ArrayRef> {
        let all: Vec<&dyn Array> = maps.iter().map(|map| part(map).as_ref()).collect();
        Ok(arrow::compute::concat(&all)?)
    };
    let (all_keys, all_values): (ArrayRef, ArrayRef) = (gather(|map| map.keys())?, gather(|map| map.values())?);
    let rows = keys(std::slice::from_ref(&all_keys))?;
    let mut picked: Vec<(Option<u32>, Option<u32>)> = Vec::new();
    let (mut lengths, mut valid) = (Vec::new(), Vec::new());
    for row in 0..call.rows {
        let mut places: HashMap<&[u8], usize> = HashMap::new();
        let start = picked.len();
        let mut offset = 0;
        for map in &maps {
            if map.is_valid(row) {
                for index in range(map, row).map(|index| offset + index) {
                    let place = *places.entry(rows.row(index).data()).or_insert_with(|| {
                        picked.push((Some(index as u32), None));
                        picked.len() - 1
                    });
                    picked[place].1 = Some(index as u32);
                }
            }
            offset += map.keys().len();
        }
        lengths.push(picked.len() - start);
        valid.push(maps.iter().any(|map| map.is_valid(row)));
    }
    let (of_keys, of_values): (Vec<_>, Vec<_>) = picked.into_iter().unzip();
    build(call.result, lengths, valid, take(&all_keys, of_keys)?, take(&all_values, of_values)?)
}
