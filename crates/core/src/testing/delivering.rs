//! The conformance suite of destinations that publish in many steps: one function per demand.
//! Not here: destinations that publish in one (see `destination`), and what only one kind of service does.
//! Called through [`delivering_conformance!`](crate::delivering_conformance).

use std::any::Any;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};

use super::bench::{batch, codes, error_code, owner};
use crate::{
    Answer, ChangeBatch, Destination, Op, Refresh, Result, Retry, RowId, RowOutcome, StreamName, Target, Writer,
};

/// The service that a destination sends to, as a test sees and directs it.
pub trait Counterpart: Send + Sync {
    /// The `id` of every row it was sent, each time, whether it took it or not.
    fn sent(&self) -> Vec<i64>;

    /// From now on it refuses rows whose `v` is `bad`.
    fn refuse_bad(&self);

    /// It takes so many more requests and then refuses everybody, as after a change of credentials.
    fn lock_after(&self, requests: usize);

    /// It takes so many more requests, then fails so many times, and works again.
    fn fail_after(&self, requests: usize, times: usize);
}

/// A destination under test, set to one row a request and one request at a time.
pub struct ServiceBench {
    /// The destination.
    pub destination: Arc<dyn Destination>,
    /// The service behind it.
    pub counterpart: Box<dyn Counterpart>,
    /// What must live as long as the bench.
    pub guard: Box<dyn Any + Send + Sync>,
}

/// Makes one `#[tokio::test]` per demand. `$setup` is an async function that makes a [`ServiceBench`].
#[macro_export]
macro_rules! delivering_conformance {
    ($setup:path) => {
        $crate::delivering_conformance!(@each $setup:
            a_run_without_rows_sends_nothing
            nothing_is_sent_before_the_publication
            every_row_is_sent_once
            deletions_come_first
            retracted_rows_are_not_sent
            rows_that_are_not_counted_stop_the_run
            a_refused_row_stands_alone
            too_many_refused_rows_end_the_sending
            rows_set_aside_count_as_refused
            what_was_taken_is_known_when_a_run_ends_early
            a_run_goes_on_after_what_passes
            there_is_no_marker
        );
    };
    (@each $setup:path: $($demand:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $demand() {
                $crate::testing::delivering::$demand(&$setup().await).await;
            }
        )*
    };
}

fn rows(ids: &[i64], bad: &[i64]) -> RecordBatch {
    let values = ids.iter().map(|id| if bad.contains(id) { "bad" } else { "good" });
    let values: ArrayRef = Arc::new(StringArray::from_iter_values(values));
    batch(vec![("id", Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef), ("v", values)])
}

fn stream() -> StreamName {
    StreamName::parse("people").expect("a word is a name")
}

fn target(ratio: Option<f64>) -> Target {
    Target {
        stream: stream(),
        owner: owner(),
        generation: 1,
        schema: rows(&[], &[]).schema(),
        key: vec!["id".to_owned()],
        refresh: Refresh::Incremental,
        retractable: true,
        widen: false,
        max_reject_ratio: ratio,
    }
}

struct Run {
    writer: Box<dyn Writer>,
    staged: Vec<u64>,
    all: Answer,
}

impl Run {
    async fn open(bench: &ServiceBench, ratio: Option<f64>) -> Self {
        let writer = bench.destination.open(target(ratio)).await.expect("the destination can be opened");
        Self { writer, staged: Vec::new(), all: Answer::default() }
    }

    async fn write(&mut self, op: Op, rows: RecordBatch) {
        let (seq, count) = (self.staged.len() as u64, rows.num_rows() as u64);
        let receipt = self.writer.write(ChangeBatch { seq, op, rows }).await.expect("rows are kept");
        assert_eq!(receipt.durable_through, None, "nothing is durable before it is sent");
        assert_eq!(receipt.outcomes, [], "nothing is refused before it is sent");
        self.staged.push(count);
    }

    /// Delivers to the end, through what passes.
    async fn deliver(&mut self) -> Result<()> {
        loop {
            match self.writer.deliver(&self.staged).await {
                Ok(None) => return Ok(()),
                Ok(Some(answer)) => self.add(answer),
                Err(error) if error.retry() == Retry::Never => return Err(error),
                Err(_) => {}
            }
        }
    }

    fn add(&mut self, answer: Answer) {
        self.all.delivered.extend(answer.delivered);
        self.all.outcomes.extend(answer.outcomes);
    }

    /// The delivered rows as (seq, ordinal), sorted; each of them once.
    fn delivered(&self) -> Vec<(u64, u32)> {
        let range =
            |range: &crate::RowRange| (range.first..range.first + range.rows).map(|row| (range.seq, row)).collect();
        let mut rows: Vec<(u64, u32)> = self.all.delivered.iter().flat_map::<Vec<_>, _>(range).collect();
        rows.sort_unstable();
        assert!(rows.windows(2).all(|pair| pair[0] < pair[1]), "a row is delivered once: {rows:?}");
        rows
    }
}

fn sorted(mut ids: Vec<i64>) -> Vec<i64> {
    ids.sort_unstable();
    ids
}

/// A run without rows is over at once.
pub async fn a_run_without_rows_sends_nothing(bench: &ServiceBench) {
    let mut run = Run::open(bench, None).await;
    run.deliver().await.expect("there is nothing to do");
    run.write(Op::Upsert, rows(&[], &[])).await;
    let mut run = Run::open(bench, None).await;
    let receipt = run.writer.publish(&[]).await.expect("there is nothing to do");
    assert_eq!((receipt.durable_through, receipt.outcomes), (None, Vec::new()));
    assert_eq!(bench.counterpart.sent(), Vec::<i64>::new());
}

/// Rows that are written are not sent; neither are those of a run that was given up.
pub async fn nothing_is_sent_before_the_publication(bench: &ServiceBench) {
    let mut run = Run::open(bench, None).await;
    run.write(Op::Upsert, rows(&[1, 2, 3], &[])).await;
    assert!(run.writer.halt().await.is_empty());
    run.writer.abort().await.expect("a run can be given up");
    let mut run = Run::open(bench, None).await;
    run.write(Op::Upsert, rows(&[1, 2, 3], &[])).await;
    drop(run);
    assert_eq!(bench.counterpart.sent(), Vec::<i64>::new());
}

/// Rows of many batches arrive once each, and there is an answer for each.
pub async fn every_row_is_sent_once(bench: &ServiceBench) {
    let mut run = Run::open(bench, None).await;
    for first in [0, 30, 60] {
        run.write(Op::Upsert, rows(&(first..first + 30).collect::<Vec<_>>(), &[])).await;
    }
    run.deliver().await.expect("all are taken");
    assert_eq!(run.delivered().len(), 90);
    assert_eq!(sorted(bench.counterpart.sent()), (0..90).collect::<Vec<_>>());
    // Everything is answered for: asking again sends nothing.
    assert_eq!(run.writer.deliver(&run.staged).await.expect("nothing is left"), None);
    assert_eq!(bench.counterpart.sent().len(), 90);
    let mut run = Run::open(bench, None).await;
    run.write(Op::Insert, rows(&[100, 101], &[])).await;
    let receipt = run.writer.publish(&[2]).await.expect("all are taken");
    assert_eq!((receipt.durable_through, receipt.outcomes), (Some(0), Vec::new()));
}

/// What is deleted is gone before anything takes its place, whatever the order of the batches.
pub async fn deletions_come_first(bench: &ServiceBench) {
    let mut run = Run::open(bench, None).await;
    run.write(Op::Upsert, rows(&[1, 2], &[])).await;
    run.write(Op::Delete, rows(&[8, 9], &[]).project(&[0]).expect("there is a first column")).await;
    run.deliver().await.expect("all are taken");
    let sent = bench.counterpart.sent();
    assert_eq!((sorted(sent[..2].to_vec()), sorted(sent[2..].to_vec())), (vec![8, 9], vec![1, 2]));
}

/// Rows that were taken back stay here.
pub async fn retracted_rows_are_not_sent(bench: &ServiceBench) {
    let mut run = Run::open(bench, None).await;
    run.write(Op::Upsert, rows(&[1, 2, 3], &[])).await;
    run.write(Op::Upsert, rows(&[4], &[])).await;
    let back = [RowId { seq: 0, ordinal: 1 }, RowId { seq: 1, ordinal: 0 }];
    run.writer.retract(&back).await.expect("the target says that rows may be taken back");
    run.staged = vec![2, 0];
    run.deliver().await.expect("all are taken");
    assert_eq!(run.delivered(), [(0, 0), (0, 2)]);
    assert_eq!(sorted(bench.counterpart.sent()), [1, 3]);
}

/// Where rows got lost, nothing is sent.
pub async fn rows_that_are_not_counted_stop_the_run(bench: &ServiceBench) {
    let mut run = Run::open(bench, None).await;
    run.write(Op::Upsert, rows(&[1, 2, 3], &[])).await;
    assert_eq!(error_code(run.writer.deliver(&[2]).await), "DEST-008");
    assert_eq!(bench.counterpart.sent(), Vec::<i64>::new());
}

/// One row that the service refuses does not take the others with it.
pub async fn a_refused_row_stands_alone(bench: &ServiceBench) {
    bench.counterpart.refuse_bad();
    let mut run = Run::open(bench, None).await;
    run.write(Op::Upsert, rows(&[1, 2, 3, 4], &[3])).await;
    run.deliver().await.expect("the others are taken");
    assert_eq!(run.delivered(), [(0, 0), (0, 1), (0, 3)]);
    assert_eq!(codes(&run.all.outcomes), [(0, 2, "ROW-002")]);
}

/// A run that the service mostly refuses ends; what was taken by then is known.
pub async fn too_many_refused_rows_end_the_sending(bench: &ServiceBench) {
    bench.counterpart.refuse_bad();
    let ids: Vec<i64> = (1..=10).collect();
    let mut run = Run::open(bench, Some(0.2)).await;
    run.write(Op::Upsert, rows(&ids, &[2, 3, 4, 5])).await;
    assert_eq!(error_code(run.deliver().await), "SYNC-007");
    let last = run.writer.halt().await;
    run.add(last);
    let taken = run.delivered().len() + run.all.outcomes.len();
    assert!((3..10).contains(&taken), "{taken} rows were answered for");
    let mut run = Run::open(bench, Some(0.4)).await;
    run.write(Op::Upsert, rows(&ids, &[2, 3, 4, 5])).await;
    run.deliver().await.expect("four of ten are as many as may be");
}

/// Rows that the engine has set aside count with those that the service refuses.
pub async fn rows_set_aside_count_as_refused(bench: &ServiceBench) {
    bench.counterpart.refuse_bad();
    for (aside, code) in [(1, "no error"), (2, "SYNC-007")] {
        let mut run = Run::open(bench, Some(0.2)).await;
        run.write(Op::Upsert, rows(&[1, 2, 3], &[2])).await;
        run.writer.set_aside(aside, 10);
        assert_eq!(error_code(run.deliver().await), code);
    }
}

/// A run that has to end early knows which rows were taken, and sends no more.
pub async fn what_was_taken_is_known_when_a_run_ends_early(bench: &ServiceBench) {
    bench.counterpart.lock_after(5);
    let mut run = Run::open(bench, None).await;
    run.write(Op::Upsert, rows(&(0..20).collect::<Vec<_>>(), &[])).await;
    let error = run.deliver().await.expect_err("the service has locked up");
    assert_eq!(error.retry(), Retry::Never);
    let last = run.writer.halt().await;
    run.add(last);
    assert_eq!(run.delivered(), (0..5).map(|row| (0, row)).collect::<Vec<_>>());
    let sent = bench.counterpart.sent().len();
    run.writer.abort().await.expect("a run can be given up");
    assert_eq!(bench.counterpart.sent().len(), sent);
}

/// An error that passes loses nothing, and nothing is delivered twice.
pub async fn a_run_goes_on_after_what_passes(bench: &ServiceBench) {
    bench.counterpart.fail_after(3, 4);
    let mut run = Run::open(bench, None).await;
    run.write(Op::Upsert, rows(&(0..10).collect::<Vec<_>>(), &[])).await;
    run.deliver().await.expect("the service works again");
    assert_eq!(run.delivered().len(), 10);
    assert_eq!(run.all.outcomes, Vec::<RowOutcome>::new());
}

/// What has no marker says so.
pub async fn there_is_no_marker(bench: &ServiceBench) {
    bench.destination.stamp(&stream(), &owner(), 1).await.expect("there is nothing to stamp");
    assert_eq!(bench.destination.marker(&stream()).await.expect("there is none"), None);
    assert_eq!(bench.destination.outcomes(&stream(), 1).await.expect("there are none"), []);
    assert_eq!(bench.counterpart.sent(), Vec::<i64>::new());
}
