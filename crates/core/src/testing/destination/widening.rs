//! A table grows with the fields where that was asked for, and only together with the rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};

use super::values::two;
use crate::testing::bench::{Bench, FULL, batch, error_code, texts};
use crate::{Op, Refresh, Target};

const INCREMENTAL: Refresh = Refresh::Incremental;

fn three(ids: &[i64], values: &[&str], extra: &[i64]) -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef),
        ("extra column", Arc::new(Int64Array::from(extra.to_vec()))),
        ("v", Arc::new(StringArray::from(values.to_vec()))),
    ])
}

fn widening(bench: &Bench, generation: u64, refresh: Refresh, rows: &RecordBatch) -> Target {
    Target { widen: true, ..bench.target(generation, refresh, &["id"], rows.schema()) }
}

/// The names of the stream's fields.
async fn fields(bench: &Bench) -> Vec<String> {
    let streams = bench.destination.streams().await.unwrap();
    let stream =
        streams.iter().find(|stream| stream.name.table() == bench.stream.table()).expect("the stream is there");
    stream.fields.iter().map(|field| field.name.clone()).collect()
}

/// Columns are added when the rows become visible, to a table of Tapline's own and to another.
pub async fn missing_columns_are_added(bench: &Bench) {
    for (own, refresh) in [(true, INCREMENTAL), (false, INCREMENTAL), (false, FULL)] {
        bench.execute("DROP TABLE IF EXISTS {t}").await;
        let generation = bench.destination.marker(&bench.stream).await.unwrap().map_or(0, |marker| marker.generation);
        if !own {
            bench.execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v text)").await;
        }
        let rows = vec![(Op::Upsert, two(&[1, 2], &["a", "b"]))];
        bench.deliver(generation + 1, refresh, &["id"], rows).await.unwrap();
        let rows = three(&[2, 3], &["changed", "c"], &[20, 30]);
        let mut run = bench.open(widening(bench, generation + 2, refresh, &rows)).await.unwrap();
        run.write(Op::Upsert, rows).await.unwrap();
        assert_eq!(fields(bench).await, ["id", "v"], "nothing is visible before it is published");
        assert_eq!(run.publish().await.unwrap().codes(), []);
        assert_eq!(fields(bench).await, ["id", "v", "extra column"]);
        let mut expected = texts(&[&["1", "∅", "a"], &["2", "20", "changed"], &["3", "30", "c"]]);
        if refresh == FULL {
            expected.remove(0);
        }
        assert_eq!(bench.select("id, \"extra column\", v").await, expected);
        let marker = bench.marker().await;
        assert_eq!(marker.table, marker.published_table, "the change is the run's own");
        assert_eq!(marker.created, own);
        // The next run finds all columns there.
        let rows = three(&[3], &["again"], &[31]);
        let mut run = bench.open(widening(bench, generation + 3, INCREMENTAL, &rows)).await.unwrap();
        run.write(Op::Upsert, rows).await.unwrap();
        run.publish().await.unwrap();
        assert_eq!(fields(bench).await, ["id", "v", "extra column"]);
    }
}

/// A publication that fails leaves the table as it was.
pub async fn a_failed_publication_widens_nothing(bench: &Bench) {
    bench.execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v text CHECK (v <> 'bad'))").await;
    bench.execute("INSERT INTO {t} VALUES (1, 'a')").await;
    let rows = three(&[1, 2], &["bad", "bad"], &[1, 2]);
    let mut refused =
        bench.open(Target { max_reject_ratio: Some(0.5), ..widening(bench, 1, INCREMENTAL, &rows) }).await.unwrap();
    refused.write(Op::Upsert, rows.clone()).await.unwrap();
    assert_eq!(error_code(refused.publish().await), "SYNC-007");
    refused.writer.abort().await.unwrap();
    let mut overtaken = bench.open(widening(bench, 2, INCREMENTAL, &rows)).await.unwrap();
    overtaken.write(Op::Upsert, rows).await.unwrap();
    bench.deliver(3, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[2], &["b"]))]).await.unwrap();
    assert_eq!(error_code(overtaken.publish().await), "DEST-007");
    overtaken.writer.abort().await.unwrap();
    assert_eq!(fields(bench).await, ["id", "v"]);
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"], &["2", "b"]]));
}

/// Rows that are there would have no key, so a key is never added.
pub async fn a_key_is_not_added(bench: &Bench) {
    bench.execute("CREATE TABLE {t} (other bigint NOT NULL PRIMARY KEY, v text)").await;
    let refused = bench.open(widening(bench, 1, INCREMENTAL, &two(&[], &[]))).await.err().unwrap();
    assert_eq!(refused.code().id, "DEST-004");
    assert!(refused.message().contains("\"id\""), "{}", refused.message());
}

/// A column whose type cannot take the field becomes wider with the rows, or the run is refused before it begins.
pub async fn a_type_becomes_wider_or_the_run_is_refused(bench: &Bench) {
    let numbers = |ids: &[i64], values: &[i64]| {
        batch(vec![
            ("id", Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef),
            ("v", Arc::new(Int64Array::from(values.to_vec()))),
        ])
    };
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, numbers(&[1, 2], &[7, -8]))]).await.unwrap();
    let rows = two(&[2, 3], &["008", "nine"]);
    match bench.open(widening(bench, 2, INCREMENTAL, &rows)).await {
        Ok(mut run) => {
            run.write(Op::Upsert, rows).await.unwrap();
            assert_eq!(run.publish().await.unwrap().codes(), []);
            assert_eq!(bench.select("id, v").await, texts(&[&["1", "7"], &["2", "008"], &["3", "nine"]]));
            let marker = bench.marker().await;
            assert_eq!((marker.table == marker.published_table, marker.created), (true, true));
        }
        Err(error) => {
            assert_eq!(error.code().id, "DEST-004");
            assert!(error.message().contains("\"v\"") && !error.hints().is_empty(), "{error:?}");
            assert_eq!(bench.select("id, v").await, texts(&[&["1", "7"], &["2", "-8"]]));
        }
    }
}
