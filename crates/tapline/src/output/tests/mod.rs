//! Tests of printing. Every expected text of a value is what DuckDB 1.5.5 gives, save where the contract differs: JSON
//! that any reader takes (no bare NaN, no `.5`), whole numbers beyond 2^53 and top-level decimals as strings.

mod columnar;
mod nested;
mod scalars;
mod tables;
mod texts;
mod types;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};

use super::values::{Column, TYPE_KEY};
use super::{Format, RowPrinter, TableStyle};

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

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<_> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns of one length")
}

fn printed(format: Format, batches: &[RecordBatch]) -> Vec<u8> {
    let mut printer = RowPrinter::new(format, batches[0].schema_ref(), Vec::new(), TableStyle::default());
    for batch in batches {
        printer.write(batch).expect("a vector takes everything");
    }
    printer.finish().expect("a vector takes everything")
}

fn printed_text(format: Format, batches: &[RecordBatch]) -> String {
    String::from_utf8(printed(format, batches)).expect("UTF-8")
}
