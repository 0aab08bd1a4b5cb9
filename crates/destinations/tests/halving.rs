//! How many statements it takes to find the rows that a destination refuses among many.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::*;
use tapline_core::Op;
use tapline_core::Refresh;
use tapline_core::testing::bench::{Bench, batch};
use tracing::field::{Field, Visit};
use tracing::span;

const ROWS: u64 = 10_000;

/// Counts the statements that apply staged rows, as the destinations log them.
#[derive(Clone, Default)]
struct Statements(Arc<AtomicU64>);

impl Statements {
    fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl tracing::Subscriber for Statements {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("tapline_destinations")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Message(bool);
        impl Visit for Message {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                self.0 |= field.name() == "message" && format!("{value:?}") == "staged rows are applied";
            }
        }
        let mut message = Message(false);
        event.record(&mut message);
        self.0.fetch_add(u64::from(message.0), Ordering::Relaxed);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// At most 2·log2(n)+1 statements for each bad row beyond those that a run without bad rows takes, into a table whose
/// `v` must not be `bad`. `attempts` asks for the inserts as the destination itself counts them, where it can.
pub async fn each_bad_row_costs_few_statements(bench: &Bench, attempts: Option<&str>) {
    let statements = Statements::default();
    let _counting = tracing::subscriber::set_default(statements.clone());
    let deliver = async |generation: u64, bad: &[u64]| {
        bench.execute("DELETE FROM {t}").await;
        let ids = Int64Array::from_iter_values(0..ROWS.cast_signed());
        let values = (0..ROWS).map(|row| if bad.contains(&row) { "bad" } else { "good" });
        let rows =
            batch(vec![("id", Arc::new(ids) as ArrayRef), ("v", Arc::new(StringArray::from_iter_values(values)))]);
        let halves = [rows.slice(0, 6_000), rows.slice(6_000, 4_000)];
        let batches = halves.into_iter().map(|rows| (Op::Upsert, rows)).collect();
        let delivered = bench.deliver(generation, Refresh::Incremental, &["id"], batches).await.unwrap();
        assert_eq!(delivered.outcomes.len(), bad.len());
        assert_eq!(bench.count().await, ROWS - bad.len() as u64);
        statements.take()
    };
    let asked = async || match attempts {
        Some(question) => bench.probe.rows(question).await[0][0].as_ref().unwrap().parse().unwrap(),
        None => 0_u64,
    };
    let per_bad_row = 2 * u64::from(ROWS.next_power_of_two().ilog2()) + 1;
    let constant = deliver(1, &[]).await;
    assert!((1..=4).contains(&constant), "{constant} statements for rows that are all good");
    let cases: [&[u64]; 7] = [
        &[0],
        &[ROWS - 1],
        &[6_172],
        &[4_999, 5_000],
        &[17, 9_000],
        &[1, 1_500, 3_001, 4_444, 6_001, 7_777, 9_999],
        &[500, 501, 502, 503, 504, 505, 506],
    ];
    for (generation, bad) in (2..).zip(cases) {
        let before = asked().await;
        let counted = deliver(generation, bad).await;
        let limit = per_bad_row * bad.len() as u64;
        println!("{} bad rows of {ROWS}: {} statements more (at most {limit})", bad.len(), counted - constant);
        assert!(counted > constant, "{bad:?}: halving is counted");
        assert!(counted - constant <= limit, "{bad:?}: {counted} statements, {constant} of them without bad rows");
        if attempts.is_some() {
            let seen = asked().await - before;
            assert!(
                seen <= limit + constant && seen + constant >= counted,
                "{bad:?}: the server saw {seen} of {counted}"
            );
        }
    }
}
