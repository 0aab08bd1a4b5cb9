//! Structs: made, taken apart, put together.
//! Not here: the syntax of struct literals, which becomes calls of these functions.
//! Called by `nested`.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, plan_datafusion_err, plan_err};

use crate::sql::functions::toolkit::general::{Call, General, Plain, Plan, answer, as_they_are, expect_arguments};
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::values::{common_type, keys};
use crate::sql::functions::toolkit::{Function, general};

pub(super) fn functions() -> Vec<Function> {
    vec![
        general(&["struct_pack"], "a struct of names and values", Pack { base: false, update: false }),
        general(&["struct_insert"], "the struct with more members", Pack { base: true, update: false }),
        general(&["struct_update"], "the struct with other values, or more members", Pack { base: true, update: true }),
        general(
            &["row"],
            "a struct without names",
            Plain {
                coerce: as_they_are,
                result: |plan| {
                    let members =
                        plan.fields.iter().map(|field| field.as_ref().clone().with_name("").with_nullable(true));
                    Ok(answer(DataType::Struct(members.collect())))
                },
                run: |call| build(call.result, call.columns.clone(), None, call.rows),
            },
        ),
        general(
            &["struct_extract"],
            "a member of the struct, by its name or place",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 2..=2)?;
                    // A place stays a constant only if it is not cast.
                    let place = if types[1].is_integer() { types[1].clone() } else { DataType::Utf8 };
                    Ok(vec![types[0].clone(), place])
                },
                result: extract_result,
                run: extract,
            },
        ),
        general(
            &["struct_extract_at"],
            "a member of the struct, by its place from 1",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 2..=2)?;
                    Ok(types.to_vec())
                },
                result: extract_result,
                run: extract,
            },
        ),
        general(
            &["struct_concat"],
            "the members of several structs in one",
            Plain {
                coerce: as_they_are,
                result: concat_result,
                run: |call| {
                    let columns = call.columns.iter().flat_map(|column| parts(column)).collect();
                    build(call.result, columns, None, call.rows)
                },
            },
        ),
        general(
            &["struct_keys"],
            "the names of the struct's members",
            Plain {
                coerce: as_they_are,
                result: |_| Ok(ListOf::<Text>::field()),
                run: |call| {
                    let names: Vec<Option<String>> =
                        members(call.columns[0].data_type())?.iter().map(|field| Some(field.name().clone())).collect();
                    let row = |row| call.columns[0].is_valid(row).then(|| names.clone());
                    Ok(ListOf::<Text>::build((0..call.rows).map(row).collect()))
                },
            },
        ),
        general(
            &["struct_values"],
            "the struct without the names of its members",
            Plain {
                coerce: as_they_are,
                result: |plan| {
                    let members = members(plan.data_type(0))?.iter().map(|field| field.as_ref().clone().with_name(""));
                    Ok(answer(DataType::Struct(members.collect())))
                },
                run: |call| build(call.result, parts(&call.columns[0]), call.columns[0].logical_nulls(), call.rows),
            },
        ),
        general(
            &["struct_contains", "struct_has"],
            "whether a member has the value",
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
        general(
            &["struct_position", "struct_indexof"],
            "the place of the first member with the value, from 1",
            Plain {
                coerce: coerce_search,
                result: |_| Ok(answer(DataType::Int32)),
                run: |call| {
                    Ok(Int4::build(
                        places(call)?.into_iter().map(|place| place.map(|place| place as i32 + 1)).collect(),
                    ))
                },
            },
        ),
    ]
}

/// The members of a struct type.
fn members(data_type: &DataType) -> Result<&Fields> {
    match data_type {
        DataType::Struct(fields) => Ok(fields),
        other => plan_err!("a struct is expected, not {}", crate::sql::functions::toolkit::typed::type_name(other)),
    }
}

/// The columns of a struct, NULL where it is.
fn parts(column: &ArrayRef) -> Vec<ArrayRef> {
    let Some(structs) = column.as_struct_opt() else { return Vec::new() };
    let Some(nulls) = structs.nulls() else { return structs.columns().to_vec() };
    let missing = arrow::array::BooleanArray::new(!nulls.inner(), None);
    // `nullif` fails for columns of different length alone.
    structs
        .columns()
        .iter()
        .map(|column| arrow::compute::nullif(column, &missing).unwrap_or_else(|_| Arc::clone(column)))
        .collect()
}

fn build(field: &Field, columns: Vec<ArrayRef>, nulls: Option<NullBuffer>, rows: usize) -> Result<ArrayRef> {
    let fields = members(field.data_type())?.clone();
    Ok(Arc::new(StructArray::try_new_with_length(fields, columns, nulls, rows)?))
}

/// Builds a struct of names, which are constants, and values; with a base, in addition to its members.
struct Pack {
    base: bool,
    update: bool,
}

impl Pack {
    /// Where each member of the answer comes from: a member of the base, or an argument.
    fn sources(&self, base: Option<&Fields>, names: &[String], first: usize) -> Result<Vec<(String, Source)>> {
        let mut sources: Vec<(String, Source)> = base
            .into_iter()
            .flatten()
            .enumerate()
            .map(|(index, field)| (field.name().clone(), Source::Base(index)))
            .collect();
        for (index, name) in names.iter().enumerate() {
            let source = Source::Argument(first + 2 * index + 1);
            match sources.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
                Some((_, known)) if self.update => *known = source,
                Some(_) => return plan_err!("the struct has two members named '{name}'"),
                None => sources.push((name.clone(), source)),
            }
        }
        Ok(sources)
    }
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Base(usize),
    Argument(usize),
}

impl General for Pack {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let first = usize::from(self.base);
        if types.len() <= first || (types.len() - first) % 2 == 1 {
            return plan_err!("names and values are expected, such as a := 1");
        }
        Ok(types.to_vec())
    }

    fn result(&self, plan: &Plan<'_>) -> Result<Field> {
        let first = usize::from(self.base);
        let names = (first..plan.fields.len()).step_by(2).map(|index| {
            plan.text(index)
                .map(str::to_owned)
                .ok_or_else(|| plan_datafusion_err!("the name of a struct's member must be a constant"))
        });
        let names = names.collect::<Result<Vec<_>>>()?;
        let base = if self.base { Some(members(plan.data_type(0))?) } else { None };
        let sources = self.sources(base, &names, first)?;
        let member = |(name, source): (String, Source)| -> Field {
            let field = match (source, base) {
                (Source::Base(index), Some(base)) => base[index].as_ref().clone(),
                (Source::Base(index) | Source::Argument(index), _) => plan.fields[index].as_ref().clone(),
            };
            field.with_name(name).with_nullable(true)
        };
        Ok(answer(DataType::Struct(sources.into_iter().map(member).collect())))
    }

    fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        let first = usize::from(self.base);
        let names: Vec<String> = (first..call.columns.len())
            .step_by(2)
            .map(|index| match call.columns[index].as_string_opt::<i32>() {
                Some(names) if !names.is_empty() => names.value(0).to_owned(),
                _ => String::new(),
            })
            .collect();
        let base = if self.base { Some(members(call.columns[0].data_type())?) } else { None };
        if call.rows == 0 {
            return Ok(arrow::array::new_empty_array(call.result.data_type()));
        }
        let held = if self.base { parts(&call.columns[0]) } else { Vec::new() };
        let columns = self
            .sources(base, &names, first)?
            .into_iter()
            .map(|(_, source)| match source {
                Source::Base(index) => Arc::clone(&held[index]),
                Source::Argument(index) => Arc::clone(&call.columns[index]),
            })
            .collect();
        build(call.result, columns, None, call.rows)
    }
}

/// The index of the member that the second argument, a constant, names or numbers.
pub(in crate::sql::functions) fn member(fields: &Fields, plan: &Plan<'_>) -> Result<usize> {
    if let Some(place) = plan.whole(1).filter(|_| plan.data_type(1).is_integer()) {
        return usize::try_from(place - 1)
            .ok()
            .filter(|index| *index < fields.len())
            .ok_or_else(|| plan_datafusion_err!("the struct has {} members, none at place {place}", fields.len()));
    }
    let Some(name) = plan.text(1) else { return plan_err!("the name of a struct's member must be a constant") };
    find(fields, name).ok_or_else(|| {
        let known: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        plan_datafusion_err!("the struct has no member '{name}'; it has {}", known.join(", "))
    })
}

fn find(fields: &Fields, name: &str) -> Option<usize> {
    let exact = fields.iter().position(|field| field.name() == name);
    exact.or_else(|| fields.iter().position(|field| field.name().eq_ignore_ascii_case(name)))
}

fn extract_result(plan: &Plan<'_>) -> Result<Field> {
    let fields = members(plan.data_type(0))?;
    Ok(fields[member(fields, plan)?].as_ref().clone())
}

/// The member that the second argument names or numbers.
pub(in crate::sql::functions) fn extract(call: &Call<'_>) -> Result<ArrayRef> {
    let fields = members(call.columns[0].data_type())?;
    if call.rows == 0 {
        return Ok(arrow::array::new_empty_array(call.result.data_type()));
    }
    let index = match call.columns[1].as_string_opt::<i32>() {
        Some(names) => find(fields, names.value(0)),
        None => {
            let places = arrow::compute::cast(&call.columns[1], &DataType::Int64)?;
            usize::try_from(places.as_primitive::<arrow::datatypes::Int64Type>().value(0) - 1).ok()
        }
    };
    let mut parts = parts(&call.columns[0]);
    match index.filter(|index| *index < parts.len()) {
        Some(index) => Ok(parts.swap_remove(index)),
        None => plan_err!("the struct has no such member"),
    }
}

fn concat_result(plan: &Plan<'_>) -> Result<Field> {
    let mut all: Vec<FieldRef> = Vec::new();
    let mut names = HashSet::new();
    for field in plan.fields {
        for member in members(field.data_type())? {
            if !member.name().is_empty() && !names.insert(member.name().to_lowercase()) {
                return plan_err!("two structs have a member '{}'", member.name());
            }
            all.push(Arc::new(member.as_ref().clone().with_nullable(true)));
        }
    }
    Ok(answer(DataType::Struct(all.into())))
}

fn coerce_search(types: &[DataType]) -> Result<Vec<DataType>> {
    expect_arguments(types, 2..=2)?;
    let fields = members(&types[0])?;
    let mut all: Vec<DataType> = fields.iter().map(|field| field.data_type().clone()).collect();
    all.push(types[1].clone());
    let Some(together) = common_type(&all) else { return plan_err!("the types of the members and the value differ") };
    let same = fields.iter().map(|field| field.as_ref().clone().with_data_type(together.clone())).collect();
    Ok(vec![DataType::Struct(same), together])
}

/// The index of the first member with the value, in each row.
fn places(call: &Call<'_>) -> Result<Vec<Option<usize>>> {
    let mut columns = parts(&call.columns[0]);
    columns.push(Arc::clone(&call.columns[1]));
    let all: Vec<&dyn Array> = columns.iter().map(|column| column.as_ref()).collect();
    let all = arrow::compute::concat(&all)?;
    let rows = keys(std::slice::from_ref(&all))?;
    let count = columns.len() - 1;
    let find =
        |row: usize| (0..count).find(|member| rows.row(member * call.rows + row) == rows.row(count * call.rows + row));
    Ok((0..call.rows).map(find).collect())
}
