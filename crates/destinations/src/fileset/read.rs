//! Reading rows back: every field in the type that it has in the model, where that is exact.
//! Not here: the types that a set keeps (`types`).
//! Called by the destination, for plans and for taking over what is there.

use std::collections::HashSet;
use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use async_trait::async_trait;
use tapline_core::values::duckdb_type_name;
use tapline_core::{Error, ReadBack, Result, RowReader, codes};
use tokio::sync::mpsc;

use super::build::{batch, rows_of, unreadable};
use super::keys::{Hash, hashes, hashes_of};
use crate::exactly::{exactly, from_texts};

/// Reads the rows of open files.
pub(super) fn read(files: Vec<File>, rows: ReadBack) -> Box<dyn RowReader> {
    let (sender, batches) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = send(files, &rows, &sender) {
            // Nobody waits for it where the reader was given up.
            let _ = sender.blocking_send(Err(error));
        }
    });
    Box::new(SetReader { batches })
}

/// Rows on their way back, from the thread that reads them and ends with this.
struct SetReader {
    batches: mpsc::Receiver<Result<RecordBatch>>,
}

#[async_trait]
impl RowReader for SetReader {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        self.batches.recv().await.transpose()
    }
}

fn send(files: Vec<File>, wanted: &ReadBack, batches: &mpsc::Sender<Result<RecordBatch>>) -> Result<()> {
    let keys: Option<HashSet<Hash>> = match &wanted.keys {
        Some(keys) => {
            // What tells a type from others of the same Arrow type stands with the wanted fields.
            let field = |name| wanted.schema.fields().find(name).map(|(_, field)| field.clone());
            let fields: Option<Vec<FieldRef>> = wanted.key.iter().map(|name| field(name)).collect();
            let fields = fields.ok_or_else(|| Error::internal("a key is no field"))?;
            Some(hashes(&fields, keys.columns(), keys.num_rows())?.into_iter().collect())
        }
        None => None,
    };
    let names: Vec<String> = wanted.schema.fields().iter().map(|field| field.name().clone()).collect();
    for file in files {
        for rows in rows_of(file, Some(&names))? {
            let mut rows = rows.map_err(unreadable)?;
            if let Some(keys) = &keys {
                let there =
                    hashes_of(&rows, &wanted.key)?.iter().map(|key| keys.contains(key)).collect::<BooleanBuffer>();
                rows = filter_record_batch(&rows, &BooleanArray::new(there, None)).map_err(unreadable)?;
            }
            if rows.num_rows() > 0 && batches.blocking_send(given(&rows, wanted)).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The rows with the fields that can be given back.
fn given(rows: &RecordBatch, wanted: &ReadBack) -> Result<RecordBatch> {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for field in wanted.schema.fields() {
        match rows.column_by_name(field.name()).and_then(|column| values(column, field)) {
            Some(values) => {
                fields.push(Arc::new(field.as_ref().clone().with_nullable(true)));
                columns.push(values);
            }
            None if wanted.key.contains(field.name()) => return Err(lacking(wanted, field)),
            None => {}
        }
    }
    batch(&Arc::new(Schema::new(fields)), columns, rows.num_rows())
}

/// The values of a field; `None` where one of them has no exact place in its type.
fn values(column: &ArrayRef, field: &FieldRef) -> Option<ArrayRef> {
    exactly(column, field.data_type()).or_else(|| {
        if !column.data_type().is_string() || field.data_type().is_nested() {
            return None;
        }
        let texts = cast(column, &DataType::Utf8).ok()?;
        from_texts(field, &texts.as_string::<i32>().iter().collect::<Vec<_>>())
    })
}

/// Fails where a key field is not among the fields of the set, before any row is read.
pub(super) fn check_key(schema: &Schema, wanted: &ReadBack) -> Result<()> {
    let missing = wanted
        .schema
        .fields()
        .iter()
        .find(|field| wanted.key.contains(field.name()) && schema.fields().find(field.name()).is_none());
    missing.map_or(Ok(()), |field| Err(lacking(wanted, field)))
}

fn lacking(wanted: &ReadBack, field: &Field) -> Error {
    Error::new(
        codes::DEST_004,
        format!(
            "reading {}: its field {:?} cannot be given back as {}, and it belongs to the key",
            wanted.stream,
            field.name(),
            duckdb_type_name(field)
        ),
    )
    .hint("cast the key in the model's SQL to the type that the files have")
}
