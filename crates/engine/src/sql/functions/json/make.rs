//! JSON made of values.
//! Not here: how each type looks as JSON, which `tapline_core::values` knows.
//! Called by `json`, and by aggregates that make JSON.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, exec_err, plan_err};

use super::document::{Document, quoted};
use crate::sql::functions::toolkit::general::{Call, Plain, as_they_are, expect_arguments};
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::values::{self, texts};
use crate::sql::functions::toolkit::{Function, general};

pub(super) fn functions() -> Vec<Function> {
    vec![
        general(
            &["to_json", "json_quote", "array_to_json", "row_to_json"],
            "the value as JSON",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 1..=1)?;
                    as_they_are(types)
                },
                result: |_| Ok(Json::field()),
                run: |call| {
                    let column = &call.columns[0];
                    let documents = documents(&call.fields[0], column)?;
                    let rows =
                        documents.into_iter().enumerate().map(|(row, text)| (!is_null(column, row)).then_some(text));
                    Ok(Json::build(rows.collect()))
                },
            },
        ),
        general(
            &["json_array"],
            "a JSON array of the arguments",
            Plain {
                coerce: as_they_are,
                result: |_| Ok(Json::field()),
                run: |call| {
                    let columns = all_documents(call)?;
                    let row = |row: usize| {
                        let items: Vec<&str> = columns.iter().map(|column| column[row].as_str()).collect();
                        Some(format!("[{}]", items.join(",")))
                    };
                    Ok(Json::build((0..call.rows).map(row).collect()))
                },
            },
        ),
        general(
            &["json_object"],
            "a JSON object of names and values",
            Plain {
                coerce: |types| {
                    if types.len() % 2 == 1 {
                        return plan_err!("names and values are expected");
                    }
                    as_they_are(types)
                },
                result: |_| Ok(Json::field()),
                run: object,
            },
        ),
    ]
}

fn is_null(column: &ArrayRef, row: usize) -> bool {
    *column.data_type() == DataType::Null || column.is_null(row)
}

/// Each value as JSON; numbers and JSON itself without the spaces and zeros they were written with.
pub(in crate::sql::functions) fn documents(field: &Field, column: &ArrayRef) -> Result<Vec<String>> {
    let documents = values::documents(field, column)?;
    if !is_tagged(field, "JSON") {
        return Ok(documents);
    }
    documents.into_iter().map(|text| Ok(Document::parse(&text)?.to_string())).collect()
}

fn all_documents(call: &Call<'_>) -> Result<Vec<Vec<String>>> {
    call.columns.iter().zip(call.fields).map(|(column, field)| documents(field, column)).collect()
}

fn object(call: &Call<'_>) -> Result<ArrayRef> {
    let values = all_documents(call)?;
    let names = call
        .columns
        .iter()
        .zip(call.fields)
        .step_by(2)
        .map(|(column, field)| texts(field, column))
        .collect::<Result<Vec<_>>>()?;
    let row = |row: usize| -> Result<Option<String>> {
        let members = names.iter().enumerate().map(|(index, names)| {
            if names.is_null(row) {
                return exec_err!("the name of a JSON object's member is NULL");
            }
            Ok(format!("{}:{}", quoted(names.value(row)), values[2 * index + 1][row]))
        });
        Ok(Some(format!("{{{}}}", members.collect::<Result<Vec<_>>>()?.join(","))))
    };
    Ok(Json::build((0..call.rows).map(row).collect::<Result<_>>()?))
}
