//! Rows and keys as JSON, for people: rejected rows, samples of a plan.
//! Not here: how values are written (`tapline_core::values`).
//! Called by runs and plans.

use arrow::array::RecordBatch;
use serde_json::{Map, Value};
use tapline_core::values::Column;
use tapline_core::{Error, Result};

use crate::diff::rows::KeyCodec;

/// A row that was not delivered, on its way into the state.
#[derive(Debug, Clone)]
pub(crate) struct RejectedRow {
    /// The identity of the row.
    pub(crate) encoded_key: Vec<u8>,
    /// The key, field by field.
    pub(crate) key: Value,
    /// Why, as a stable code.
    pub(crate) code: String,
    /// Why, in words.
    pub(crate) reason: String,
    /// The mapped fields, where they are kept.
    pub(crate) payload: Option<Value>,
}

/// A mapped row as a JSON object.
pub(crate) fn row_json(batch: &RecordBatch, row: usize) -> Result<Value> {
    let mut object = Map::with_capacity(batch.num_columns());
    let single = batch.slice(row, 1);
    for (field, array) in single.schema().fields().iter().zip(single.columns()) {
        let column =
            Column::new(field, array).map_err(|error| Error::internal("writing a row as JSON").because(error))?;
        let mut text = Vec::new();
        column.json(0, &mut text);
        let value =
            serde_json::from_slice(&text).map_err(|error| Error::internal("writing a row as JSON").because(error))?;
        object.insert(field.name().clone(), value);
    }
    Ok(Value::Object(object))
}

/// An encoded key as a JSON object.
pub(crate) fn key_json(codec: &KeyCodec, key: &[u8]) -> Result<Value> {
    let columns = codec.decode([key])?;
    let schema = std::sync::Arc::new(arrow::datatypes::Schema::new(codec.fields().to_vec()));
    let fields: Vec<_> =
        schema.fields().iter().map(|field| std::sync::Arc::new(field.as_ref().clone().with_nullable(true))).collect();
    let batch = RecordBatch::try_new(std::sync::Arc::new(arrow::datatypes::Schema::new(fields)), columns)
        .map_err(|error| Error::internal("writing a key as JSON").because(error))?;
    row_json(&batch, 0)
}
