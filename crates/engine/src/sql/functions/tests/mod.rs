//! Expressions with DuckDB's types and texts, run through a real session.
//! Not here: whole queries, which the conformance suite has.
//! Each line of a table: expression, type (or ERROR), text.

use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tapline_core::Result;
use tapline_core::values::{Column, duckdb_type_name};

use crate::sql::execute::{BatchVisitor, execute};
use crate::sql::{Access, Limits, Session};

/// The rows over which aggregates are tried.
const ROWS: &str = "(SELECT i::INTEGER AS i, b::BIGINT AS b, d::DECIMAL(10,2) AS d, f::DOUBLE AS f, s, dt::DATE AS dt, bo FROM (VALUES \
    (1, 10, 1.5, 2.5, 'a', DATE '2024-01-01', true), (2, NULL, 2.25, 3.5, 'b', DATE '2024-01-03', false), \
    (2, 30, NULL, 4.0, 'a', NULL, NULL), (4, 5, 7.75, NULL, NULL, DATE '2024-01-10', true), \
    (5, 40, 1.0, 9.0, 'c', DATE '2024-02-01', true)) AS t(i, b, d, f, s, dt, bo)) AS rows";

/// The type and the text of a statement's only value.
#[derive(Default)]
struct Value {
    name: String,
    text: Option<String>,
}

impl BatchVisitor for Value {
    fn start(&mut self, schema: &SchemaRef) -> Result<()> {
        self.name = duckdb_type_name(schema.field(0));
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() > 0 {
            let column = Column::new(batch.schema().field(0), batch.column(0)).expect("the column fits its field");
            let mut bytes = Vec::new();
            self.text = column.text(0, &mut bytes).then(|| String::from_utf8(bytes).expect("texts are UTF-8"));
        }
        Ok(())
    }
}

/// Runs every line of a table, and reports all that differ.
async fn check(table: &str, from: &str) {
    let session = Session::open(Access::Ambient { folder: PathBuf::from("/") }, Limits::default()).expect("a session");
    let mut differences = Vec::new();
    for line in table.lines() {
        let mut parts = line.split('\t');
        let (Some(expression), Some(expected_type), text) = (parts.next(), parts.next(), parts.next().unwrap_or(""))
        else {
            panic!("a line is malformed: {line}");
        };
        let expected = text.replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\");
        let mut value = Value::default();
        let outcome = execute(&session, &format!("SELECT {expression} AS x{from}"), None, &mut value).await;
        let (found_type, found) = match &outcome {
            Ok(_) => (value.name, value.text.unwrap_or_else(|| "NULL".to_owned())),
            Err(_) => ("ERROR".to_owned(), String::new()),
        };
        if found_type != expected_type || found != expected {
            let error = outcome.err().map_or_else(String::new, |error| format!(" ({error})"));
            differences
                .push(format!("{expression}\n  is {expected_type} {expected}\n  not {found_type} {found}{error}"));
        }
    }
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}

macro_rules! tables {
    ($($name:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                check(include_str!(concat!(stringify!($name), ".tsv")), "").await;
            }
        )*
    };
}

tables!(text, numbers, moments, lists, nested, json, utility);

#[tokio::test]
async fn aggregates() {
    check(include_str!("aggregates.tsv"), &format!(" FROM {ROWS}")).await;
}
