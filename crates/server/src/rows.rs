//! Rows of a query as the JSON of a response, within limits.
//! Not here: running the query, and how a value is written (`tapline_core::values`).
//! Called by the routes that show rows: query, preview of a model, preview of a sync.

use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use axum::response::{IntoResponse, Response};
use http::header;
use serde::Serialize;
use tapline_core::values::Column;
use tapline_core::{Error, Result};
use tapline_engine::{BatchVisitor, ColumnDescription, ScanReport, columns};
use utoipa::ToSchema;

/// The largest response, in bytes of its rows.
const MOST_BYTES: usize = 8 << 20;

/// What a query found.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueryResult {
    /// The columns, in order.
    columns: Vec<RowColumn>,
    /// The rows: their values in the order of the columns.
    rows: Vec<Vec<serde_json::Value>>,
    /// How many rows there are here.
    row_count: usize,
    /// Whether there were more than are here.
    truncated: bool,
    /// How long it took, in milliseconds.
    duration_ms: u64,
    /// Bytes fetched from the source.
    bytes_read: u64,
    /// Lines of CSV files that could not be read as a row.
    rejected_lines: u64,
}

/// A column of a result.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowColumn {
    /// Its name.
    name: String,
    /// DuckDB's name of its type.
    #[serde(rename = "type")]
    data_type: String,
}

impl From<&ColumnDescription> for RowColumn {
    fn from(column: &ColumnDescription) -> Self {
        Self { name: column.name.clone(), data_type: column.data_type.clone() }
    }
}

/// How rows are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Each row a list of its values.
    Lists,
    /// Each row an object.
    Objects,
}

/// Takes the rows of a query, up to the limits, as JSON text: numbers keep every digit on their way.
pub struct Rows {
    layout: Layout,
    limit: usize,
    started: Instant,
    columns: Vec<ColumnDescription>,
    text: Vec<u8>,
    count: usize,
    truncated: bool,
}

impl Rows {
    /// For at most `limit` rows. The query is asked for one more, so that it shows whether there are more.
    pub fn new(layout: Layout, limit: usize) -> Self {
        Self {
            layout,
            limit,
            started: Instant::now(),
            columns: Vec::new(),
            text: vec![b'['],
            count: 0,
            truncated: false,
        }
    }

    /// How many rows to ask for.
    pub fn wanted(&self) -> usize {
        self.limit + 1
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[ColumnDescription] {
        &self.columns
    }

    /// The rows as one JSON list.
    pub fn into_json(mut self) -> Vec<u8> {
        self.text.push(b']');
        self.text
    }

    /// The response of a query.
    ///
    /// # Errors
    /// Never, but for a bug.
    pub fn into_response(self, scan: &ScanReport) -> Result<Response> {
        let result = QueryResult {
            columns: self.columns.iter().map(RowColumn::from).collect(),
            rows: Vec::new(),
            row_count: self.count,
            truncated: self.truncated,
            duration_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            bytes_read: scan.bytes_read,
            rejected_lines: scan.source_rows.rejected,
        };
        let text = serde_json::to_string(&result).map_err(|error| Error::internal("writing rows").because(error))?;
        // The rows are text already, which a parser and a printer in between could only make worse.
        let (head, tail) = text.split_once("\"rows\":[]").ok_or_else(|| Error::internal("a result without rows"))?;
        let rows = self.into_json();
        let mut body = Vec::with_capacity(text.len() + rows.len());
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(b"\"rows\":");
        body.extend_from_slice(&rows);
        body.extend_from_slice(tail.as_bytes());
        Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
    }
}

impl BatchVisitor for Rows {
    fn start(&mut self, schema: &SchemaRef) -> Result<()> {
        self.columns = columns(schema);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let schema = batch.schema();
        let printers = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, array)| Column::new(field, array))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Error::internal("writing rows as JSON").because(error))?;
        let names = schema.fields().iter().map(|field| serde_json::to_vec(field.name()));
        let names =
            names.collect::<Result<Vec<_>, _>>().map_err(|error| Error::internal("writing rows").because(error))?;
        let (open, close) = match self.layout {
            Layout::Lists => (b'[', b']'),
            Layout::Objects => (b'{', b'}'),
        };
        for row in 0..batch.num_rows() {
            if self.count == self.limit || self.text.len() > MOST_BYTES {
                self.truncated = true;
                return Ok(());
            }
            if self.count > 0 {
                self.text.push(b',');
            }
            self.text.push(open);
            for (index, printer) in printers.iter().enumerate() {
                if index > 0 {
                    self.text.push(b',');
                }
                if self.layout == Layout::Objects {
                    self.text.extend_from_slice(&names[index]);
                    self.text.push(b':');
                }
                printer.json(row, &mut self.text);
            }
            self.text.push(close);
            self.count += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array, StringArray};

    use super::*;

    fn batch() -> RecordBatch {
        RecordBatch::try_from_iter([
            ("id", Arc::new(Int64Array::from(vec![1, 9_007_199_254_740_993])) as _),
            ("share", Arc::new(Float64Array::from(vec![Some(0.1), None])) as _),
            ("na\"me", Arc::new(StringArray::from(vec!["a", "\"rows\":[]"])) as _),
        ])
        .unwrap()
    }

    #[test]
    fn values_keep_every_digit() {
        let mut rows = Rows::new(Layout::Lists, 5);
        rows.start(&batch().schema()).unwrap();
        rows.batch(&batch()).unwrap();
        let text = String::from_utf8(rows.into_json()).unwrap();
        assert_eq!(text, r#"[[1,0.1,"a"],["9007199254740993",null,"\"rows\":[]"]]"#);
    }

    #[test]
    fn rows_beyond_the_limit_are_left_out() {
        let mut rows = Rows::new(Layout::Objects, 1);
        rows.start(&batch().schema()).unwrap();
        assert_eq!(rows.wanted(), 2);
        rows.batch(&batch()).unwrap();
        assert!(rows.truncated);
        assert_eq!(String::from_utf8(rows.into_json()).unwrap(), r#"[{"id":1,"share":0.1,"na\"me":"a"}]"#);
    }
}
