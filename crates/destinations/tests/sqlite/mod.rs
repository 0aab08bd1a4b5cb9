//! The conformance suite on SQLite, and what SQLite alone has.

mod delivery;
mod files;
mod values;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection};
use tapline_core::testing::bench::{Bench, Probe};
use tapline_core::{
    ChangeBatch, Code, ConnectContext, Connector, Destination, Error, Op, Outcome, Owner, Receipt, Refresh, StreamName,
    Target, Writer,
};
use tapline_destinations::sqlite::{Config, Sqlite};

const FULL: Refresh = Refresh::Full { replace_existing: false };
const REPLACE: Refresh = Refresh::Full { replace_existing: true };

struct Place {
    folder: tempfile::TempDir,
    destination: Arc<dyn Destination>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let context = ConnectContext::new("local", folder.path());
        let destination = Connector::connect(&Sqlite, Config { path: PathBuf::from("out.db") }, &context).unwrap();
        Self { folder, destination }
    }

    /// A place whose file somebody else made.
    async fn with(statements: &str) -> Self {
        let place = Self::new();
        place.execute(statements).await;
        place
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("out.db")
    }

    async fn execute(&self, statements: &str) {
        let mut connection = connect(&self.file()).await;
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn rows(&self, query: &str) -> Vec<SqliteRow> {
        let mut connection = connect(&self.file()).await;
        let rows = sqlx::query(AssertSqlSafe(query)).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows
    }

    /// The rows of a query, each as its values in SQL's own notation, joined with bars.
    async fn values(&self, columns: &str, rest: &str) -> Vec<String> {
        let quoted: Vec<_> = columns.split(", ").map(|column| format!("quote({column})")).collect();
        self.rows(&format!("SELECT {} {rest}", quoted.join(" || '|' || "))).await.iter().map(|row| row.get(0)).collect()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    async fn open(&self, run: &Run) -> Result<Box<dyn Writer>, Error> {
        self.destination.stamp(&run.stream, &owner(), run.generation).await?;
        self.destination.open(run.target()).await
    }

    /// A whole run; the receipt has the outcomes of all its calls.
    async fn run(&self, run: &Run) -> Result<Receipt, Error> {
        let mut writer = self.open(run).await?;
        let mut outcomes = Vec::new();
        let mut staged = Vec::new();
        for (seq, (op, rows)) in (0u64..).zip(&run.batches) {
            let batch = ChangeBatch { seq, op: *op, rows: rows.clone() };
            let receipt = writer.write(batch).await?;
            assert_eq!(receipt.accepted_through, Some(seq));
            staged.push((rows.num_rows() - receipt.outcomes.len()) as u64);
            outcomes.extend(receipt.outcomes);
        }
        let receipt = writer.publish(&staged).await?;
        outcomes.extend(receipt.outcomes);
        outcomes.sort_by_key(|outcome| outcome.row);
        let recorded = self.destination.outcomes(&run.stream, run.generation).await.unwrap();
        assert_eq!(recorded, outcomes, "what is recorded beside the marker");
        Ok(Receipt { outcomes, ..receipt })
    }
}

/// What a run writes.
struct Run {
    stream: StreamName,
    generation: u64,
    schema: Arc<Schema>,
    key: Vec<String>,
    refresh: Refresh,
    batches: Vec<(Op, RecordBatch)>,
}

impl Run {
    fn new(stream: &str, generation: u64, key: &[&str], refresh: Refresh, rows: RecordBatch) -> Self {
        Self {
            stream: StreamName::parse(stream).unwrap(),
            generation,
            schema: rows.schema(),
            key: key.iter().map(|name| (*name).to_owned()).collect(),
            refresh,
            batches: vec![(Op::Upsert, rows)],
        }
    }

    fn and(mut self, op: Op, rows: RecordBatch) -> Self {
        self.batches.push((op, rows));
        self
    }

    fn target(&self) -> Target {
        Target {
            stream: self.stream.clone(),
            owner: owner(),
            generation: self.generation,
            schema: self.schema.clone(),
            key: self.key.clone(),
            refresh: self.refresh,
            retractable: true,
            widen: false,
            max_reject_ratio: None,
        }
    }
}

fn owner() -> Owner {
    Owner { store: "store".to_owned(), sync: "customers".to_owned() }
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<_> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}

fn integers(values: impl Into<Vec<i64>>) -> ArrayRef {
    Arc::new(Int64Array::from(values.into()))
}

fn texts<const N: usize>(values: [Option<&str>; N]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// Customers with an id and an email.
fn customers<const N: usize>(rows: [(i64, &str); N]) -> RecordBatch {
    batch(vec![
        ("id", integers(rows.map(|row| row.0))),
        ("email", Arc::new(StringArray::from(rows.map(|row| row.1).to_vec()))),
    ])
}

fn stream(name: &str) -> StreamName {
    StreamName::parse(name).unwrap()
}

/// The rows that were not applied: ordinal and code, `skipped` where there is none.
fn codes_of(receipt: &Receipt) -> Vec<(u32, &'static str)> {
    let code = |outcome: &Outcome| match outcome {
        Outcome::Rejected { code, .. } => code.id,
        Outcome::Skipped => "skipped",
    };
    receipt.outcomes.iter().map(|outcome| (outcome.row.ordinal, code(&outcome.outcome))).collect()
}

fn code(result: Result<impl Sized, Error>) -> Code {
    result.err().unwrap().code()
}

tapline_core::destination_conformance!(bench);

/// The destination of this file, for another process.
pub fn destination_at(file: &Path) -> Arc<dyn Destination> {
    let context = ConnectContext::new("local", "/");
    Connector::connect(&Sqlite, Config { path: file.to_owned() }, &context).unwrap()
}

async fn bench(_: &str) -> Option<Bench> {
    Some(bench_and_place().0)
}

/// A bench, and where another process finds its database.
fn bench_and_place() -> (Bench, String) {
    let place = Place::new();
    let file = format!("sqlite {}", place.file().display());
    let bench = Bench {
        destination: place.destination.clone(),
        stream: stream("bench"),
        table: "bench".to_owned(),
        probe: Box::new(SqliteProbe(place.file())),
        guard: Box::new(place),
    };
    (bench, file)
}

struct SqliteProbe(PathBuf);

#[async_trait]
impl Probe for SqliteProbe {
    async fn execute(&self, sql: &str) {
        let mut connection = connect(&self.0).await;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let mut connection = connect(&self.0).await;
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let text = |row: &SqliteRow, index| match row.try_get::<Option<i64>, _>(index) {
            Ok(number) => number.map(|number| number.to_string()),
            Err(_) => Some(row.get(index)),
        };
        rows.iter().map(|row| (0..row.len()).map(|index| text(row, index)).collect()).collect()
    }
}

async fn connect(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).create_if_missing(true).connect().await.unwrap()
}
