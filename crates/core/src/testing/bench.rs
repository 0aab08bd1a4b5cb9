//! A destination on the bench: a stream of its own, a way to look at it from outside, and short words for a run.
//! Not here: what is tested with it (see `destination`).
//! Called by the conformance suite and by the tests of each destination.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;

use crate::{
    ChangeBatch, Destination, Error, Marker, Op, Outcome, Owner, Receipt, Refresh, Result, RowId, RowOutcome,
    StreamName, Target, Writer,
};

/// Looks at a destination from outside, as other programs do. Panics where the destination refuses.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Runs SQL statements.
    async fn execute(&self, sql: &str);

    /// The rows of a query, every value as text, NULL as `None`.
    async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>>;

    /// Ends the sessions that the destination has open, as an administrator does; false where there is no such thing.
    async fn cut(&self) -> bool {
        false
    }
}

/// A destination under test, with one stream that no other test uses.
pub struct Bench {
    /// The destination.
    pub destination: Arc<dyn Destination>,
    /// The stream; absent at first.
    pub stream: StreamName,
    /// The stream as SQL names it.
    pub table: String,
    /// A session of another program.
    pub probe: Box<dyn Probe>,
    /// What must live as long as the bench, such as a temporary folder.
    pub guard: Box<dyn Any + Send + Sync>,
}

/// A full refresh that leaves rows of others alone.
pub const FULL: Refresh = Refresh::Full { replace_existing: false };
/// A full refresh that may remove rows of others.
pub const REPLACE: Refresh = Refresh::Full { replace_existing: true };

/// The owner that runs have unless a test says otherwise.
pub fn owner() -> Owner {
    Owner { store: "store".into(), sync: "sync".into() }
}

/// A batch of columns; all nullable.
pub fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(columns).expect("the columns of a test are of one length")
}

impl Bench {
    /// What a run of `owner()` writes to.
    pub fn target(&self, generation: u64, refresh: Refresh, key: &[&str], schema: SchemaRef) -> Target {
        Target {
            stream: self.stream.clone(),
            owner: owner(),
            generation,
            schema,
            key: key.iter().map(|name| (*name).to_owned()).collect(),
            refresh,
            retractable: false,
            widen: false,
            max_reject_ratio: None,
        }
    }

    /// Stamps and opens.
    pub async fn open(&self, target: Target) -> Result<Run> {
        self.destination.stamp(&target.stream, &target.owner, target.generation).await?;
        let writer = self.destination.open(target).await?;
        Ok(Run { writer, staged: Vec::new(), rejected: Vec::new() })
    }

    /// A whole run: stamps, opens, writes the batches, publishes.
    pub async fn deliver(
        &self,
        generation: u64,
        refresh: Refresh,
        key: &[&str],
        batches: Vec<(Op, RecordBatch)>,
    ) -> Result<Delivered> {
        let schema = batches.first().expect("a test delivers something").1.schema();
        let mut run = self.open(self.target(generation, refresh, key, schema)).await?;
        for (op, rows) in batches {
            run.write(op, rows).await?;
        }
        run.publish().await
    }

    /// The rows of `columns`, in the order of the first.
    pub async fn select(&self, columns: &str) -> Vec<Vec<Option<String>>> {
        self.probe.rows(&format!("SELECT {columns} FROM {} ORDER BY 1", self.table)).await
    }

    /// Runs SQL in which `{t}` stands for the stream.
    pub async fn execute(&self, sql: &str) {
        self.probe.execute(&sql.replace("{t}", &self.table)).await;
    }

    /// Another table beside the stream, as SQL names it.
    pub fn beside(&self, table: &str) -> String {
        self.table.rsplit_once('.').map_or_else(|| table.to_owned(), |(place, _)| format!("{place}.{table}"))
    }

    /// How many rows the stream holds.
    pub async fn count(&self) -> u64 {
        let rows = self.probe.rows(&format!("SELECT count(*) FROM {}", self.table)).await;
        rows[0][0].as_ref().and_then(|count| count.parse().ok()).expect("a count is a number")
    }

    /// The stream's marker, which must be there.
    pub async fn marker(&self) -> Marker {
        let marker = self.destination.marker(&self.stream).await.expect("the marker can be read");
        marker.expect("there is a marker")
    }
}

/// A run that is being written.
pub struct Run {
    /// The pen.
    pub writer: Box<dyn Writer>,
    /// The rows per seq that must be staged, as the engine counts them.
    pub staged: Vec<u64>,
    /// What `write` rejected.
    pub rejected: Vec<RowOutcome>,
}

/// What came of a run.
#[derive(Debug)]
pub struct Delivered {
    /// The receipt of the publication.
    pub receipt: Receipt,
    /// All outcomes, those of `write` and those of `publish`, by row.
    pub outcomes: Vec<RowOutcome>,
}

impl Run {
    /// Writes the next batch.
    pub async fn write(&mut self, op: Op, rows: RecordBatch) -> Result<()> {
        let (seq, count) = (self.staged.len() as u64, rows.num_rows() as u64);
        let receipt = self.writer.write(ChangeBatch { seq, op, rows }).await?;
        assert_eq!(receipt.accepted_through, Some(seq), "write takes the batch in");
        assert_eq!(receipt.durable_through, None, "nothing is durable before it is published");
        self.staged.push(count - receipt.outcomes.len() as u64);
        self.rejected.extend(receipt.outcomes);
        Ok(())
    }

    /// Takes rows back that were written and not rejected.
    pub async fn retract(&mut self, rows: &[RowId]) -> Result<()> {
        self.writer.retract(rows).await?;
        for row in rows {
            self.staged[row.seq as usize] -= 1;
        }
        Ok(())
    }

    /// Publishes what was written.
    pub async fn publish(&mut self) -> Result<Delivered> {
        let receipt = self.writer.publish(&self.staged).await?;
        assert_eq!(receipt.durable_through, (self.staged.len() as u64).checked_sub(1), "publish makes all durable");
        let mut outcomes = self.rejected.clone();
        outcomes.extend(receipt.outcomes.iter().cloned());
        outcomes.sort_by_key(|outcome| outcome.row);
        assert!(outcomes.windows(2).all(|pair| pair[0].row < pair[1].row), "a row has one outcome: {outcomes:?}");
        Ok(Delivered { receipt, outcomes })
    }
}

impl Delivered {
    /// The outcomes as (seq, ordinal, code); skipped rows have the code `skipped`.
    pub fn codes(&self) -> Vec<(u64, u32, &'static str)> {
        codes(&self.outcomes)
    }

    /// The reasons of the rejected rows.
    pub fn reasons(&self) -> Vec<&str> {
        self.outcomes
            .iter()
            .map(|outcome| match &outcome.outcome {
                Outcome::Rejected { reason, .. } => reason.as_str(),
                Outcome::Skipped => "skipped",
            })
            .collect()
    }
}

/// Outcomes as (seq, ordinal, code); skipped rows have the code `skipped`.
pub fn codes(outcomes: &[RowOutcome]) -> Vec<(u64, u32, &'static str)> {
    let code = |outcome: &Outcome| match outcome {
        Outcome::Rejected { code, .. } => code.id,
        Outcome::Skipped => "skipped",
    };
    outcomes.iter().map(|outcome| (outcome.row.seq, outcome.row.ordinal, code(&outcome.outcome))).collect()
}

/// The code of an error that must be there.
pub fn error_code<T>(result: Result<T>) -> &'static str {
    result.err().map_or("no error", |error: Error| error.code().id)
}

/// Rows as they are read back: `texts(&[&["1", "a"]])`, with `"∅"` for NULL.
pub fn texts(rows: &[&[&str]]) -> Vec<Vec<Option<String>>> {
    rows.iter().map(|row| row.iter().map(|text| (*text != "∅").then(|| (*text).to_owned())).collect()).collect()
}
