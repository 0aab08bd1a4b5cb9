//! Tests of values. Every expected text is what DuckDB 1.5.5 gives, save where the contract differs: JSON that any reader
//! takes (no bare NaN, no `.5`), whole numbers beyond 2^53 and top-level decimals as strings.

mod nested;
mod scalars;
mod types;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Field;

use super::{Column, TYPE_KEY};

/// A column without metadata.
fn field(array: &ArrayRef) -> Field {
    Field::new("x", array.data_type().clone(), true)
}

/// A column of a type that Arrow does not have.
fn tagged(array: &ArrayRef, name: &str) -> Field {
    field(array).with_metadata(HashMap::from([(TYPE_KEY.to_owned(), name.to_owned())]))
}

/// The texts of all values, `NULL` for those that have none.
fn texts_of(field: &Field, array: &ArrayRef) -> Vec<String> {
    let column = Column::new(field, array).expect("the type is known");
    let text = |row| {
        let mut out = Vec::new();
        if column.text(row, &mut out) { String::from_utf8(out).expect("UTF-8") } else { "NULL".to_owned() }
    };
    (0..array.len()).map(text).collect()
}

/// The members of JSON rows for all values.
fn json_of(field: &Field, array: &ArrayRef) -> Vec<String> {
    let column = Column::new(field, array).expect("the type is known");
    let json = |row| {
        let mut out = Vec::new();
        column.json(row, &mut out);
        let text = String::from_utf8(out).expect("UTF-8");
        serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        text
    };
    (0..array.len()).map(json).collect()
}

fn texts(array: impl arrow::array::Array + 'static) -> Vec<String> {
    let array: ArrayRef = Arc::new(array);
    texts_of(&field(&array), &array)
}

fn json(array: impl arrow::array::Array + 'static) -> Vec<String> {
    let array: ArrayRef = Arc::new(array);
    json_of(&field(&array), &array)
}
