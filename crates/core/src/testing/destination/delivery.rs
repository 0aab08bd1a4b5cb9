//! What a run does to the rows of a table, and what it demands of the table.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};

use super::values::two;
use crate::testing::bench::{Bench, batch, error_code, texts};
use crate::{Op, Refresh, StreamName};

const INCREMENTAL: Refresh = Refresh::Incremental;

/// One row that the table refuses does not take the others with it.
pub async fn a_bad_row_stands_alone(bench: &Bench) {
    bench.execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v text CHECK (v <> 'bad'))").await;
    let rows = two(&[1, 2, 3, 4], &["a", "b", "bad", "d"]);
    let delivered = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    assert_eq!(delivered.codes(), [(0, 2, "ROW-002")]);
    assert!(!delivered.reasons()[0].contains("bad"), "a reason holds no value: {:?}", delivered.reasons());
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"], &["2", "b"], &["4", "d"]]));
    // The next version of the row is taken; a bad version of a good row leaves that as it was.
    let rows = two(&[3, 4], &["c", "bad"]);
    let delivered = bench.deliver(2, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    assert_eq!(delivered.codes(), [(0, 1, "ROW-002")]);
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"], &["2", "b"], &["3", "c"], &["4", "d"]]));
}

/// Bad rows are found wherever they are, across batches.
pub async fn a_bad_row_is_found_among_many(bench: &Bench) {
    bench.execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v text CHECK (v <> 'bad'))").await;
    let rows = |from: i64, bad: &[i64]| {
        let ids: Vec<i64> = (from..from + 1_000).collect();
        let values: Vec<&str> = ids.iter().map(|id| if bad.contains(id) { "bad" } else { "good" }).collect();
        (Op::Upsert, two(&ids, &values))
    };
    let batches = vec![rows(0, &[0, 500, 501]), rows(1_000, &[]), rows(2_000, &[2_999])];
    let delivered = bench.deliver(1, INCREMENTAL, &["id"], batches).await.unwrap();
    let expected = [(0, 0, "ROW-002"), (0, 500, "ROW-002"), (0, 501, "ROW-002"), (2, 999, "ROW-002")];
    assert_eq!(delivered.codes(), expected);
    assert_eq!(bench.count().await, 2_996);
}

/// A run that the destination mostly refuses changes nothing; a share that is allowed passes.
pub async fn too_many_refused_rows_stop_the_run(bench: &Bench) {
    bench
        .execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v text, CONSTRAINT good CHECK (v <> 'bad'))")
        .await;
    bench.execute("INSERT INTO {t} VALUES (1, 'a'), (2, 'b'), (3, 'c')").await;
    let before = bench.select("id, v").await;
    for (generation, ratio) in [(1, 0.0), (2, 0.49), (3, 0.5)] {
        let mut target = bench.target(generation, INCREMENTAL, &["id"], two(&[], &[]).schema());
        target.max_reject_ratio = Some(ratio);
        let mut run = bench.open(target).await.unwrap();
        run.write(Op::Delete, two(&[3], &[""]).project(&[0]).unwrap()).await.unwrap();
        // A key that is there is refused, an absent one that is to be changed is skipped.
        run.write(Op::Insert, two(&[1, 4], &["there", "d"])).await.unwrap();
        run.write(Op::Update, two(&[7], &["absent"])).await.unwrap();
        run.write(Op::Upsert, two(&[2, 5, 6, 8], &["bad", "bad", "bad", "e"])).await.unwrap();
        let published = run.publish().await;
        if ratio == 0.5 {
            let delivered = published.expect("four of eight rows are half of them");
            let rejected =
                [(1, 0, "ROW-003"), (2, 0, "skipped"), (3, 0, "ROW-002"), (3, 1, "ROW-002"), (3, 2, "ROW-002")];
            assert_eq!(delivered.codes(), rejected);
            continue;
        }
        let error = published.unwrap_err();
        assert_eq!(error.code().id, "SYNC-007");
        assert!(error.message().contains("8 rows") && error.message().contains(&ratio.to_string()), "{error}");
        let hints = error.hints().join("\n");
        assert!(hints.contains("ROW-00") && !hints.contains("bad"), "reasons without values: {hints}");
        run.writer.abort().await.unwrap();
        assert_eq!(bench.select("id, v").await, before);
        assert_eq!(bench.marker().await.published, None);
        assert_eq!(bench.destination.outcomes(&bench.stream, generation).await.unwrap(), []);
    }
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"], &["2", "b"], &["4", "d"], &["8", "e"]]));
}

/// What `write` refuses counts as well, also where a new table is loaded.
pub async fn values_that_cannot_be_staged_count_as_refused(bench: &Bench) {
    let rows = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])) as ArrayRef),
        ("v", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
    ]);
    for (generation, ratio, code) in [(1, 0.3, "SYNC-007"), (2, 0.34, "no error")] {
        let mut target = bench.target(generation, INCREMENTAL, &["id"], rows.schema());
        target.max_reject_ratio = Some(ratio);
        let mut run = bench.open(target).await.unwrap();
        run.write(Op::Upsert, rows.clone()).await.unwrap();
        assert_eq!(error_code(run.publish().await), code);
        run.writer.abort().await.unwrap();
    }
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"], &["3", "c"]]));
}

/// Rows that were set aside before they came here count with those that the destination refuses, whether `write` refuses
/// them or the publication.
pub async fn rows_set_aside_count_as_refused(bench: &Bench) {
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    let there = two(&[1, 2, 3], &["there", "b", "c"]);
    let without_key = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![Some(4), None, Some(5)])) as ArrayRef),
        ("v", Arc::new(StringArray::from(vec!["d", "no key", "e"]))),
    ]);
    let cases = [
        (there.clone(), 2, "SYNC-007", 1),
        (without_key.clone(), 2, "SYNC-007", 1),
        (there, 1, "no error", 3),
        (without_key, 1, "no error", 5),
        // The engine itself answers for what it set aside; a destination that refuses nothing has no say in it.
        (two(&[6], &["f"]), 9, "no error", 6),
    ];
    for (generation, (rows, aside, code, count)) in (2..).zip(cases) {
        let mut target = bench.target(generation, INCREMENTAL, &["id"], rows.schema());
        target.max_reject_ratio = Some(0.2);
        let mut run = bench.open(target).await.unwrap();
        run.write(Op::Insert, rows).await.unwrap();
        run.writer.set_aside(aside, 10);
        assert_eq!(error_code(run.publish().await), code, "{aside} of ten rows are set aside in run {generation}");
        run.writer.abort().await.unwrap();
        assert_eq!(bench.count().await, count, "run {generation}");
    }
}

/// An upsert adds what is absent and changes what is there.
pub async fn an_upsert_adds_and_changes(bench: &Bench) {
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1, 2], &["a", "b"]))]).await.unwrap();
    let rows = two(&[2, 3], &["changed", "c"]);
    let delivered = bench.deliver(2, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    assert_eq!(delivered.codes(), []);
    assert_eq!(delivered.receipt.removed, 0);
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"], &["2", "changed"], &["3", "c"]]));
}

/// What no field is mapped to stays as it is, and has its default in new rows.
pub async fn columns_that_are_not_mapped_keep_their_values(bench: &Bench) {
    bench.execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, note text DEFAULT 'new', v text)").await;
    bench.execute("INSERT INTO {t} VALUES (1, 'kept', 'a')").await;
    let rows = two(&[1, 2], &["changed", "b"]);
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    assert_eq!(bench.select("id, note, v").await, texts(&[&["1", "kept", "changed"], &["2", "new", "b"]]));
}

/// A strict insert does not touch a row that is there.
pub async fn a_strict_insert_rejects_a_key_that_is_there(bench: &Bench) {
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Insert, two(&[1], &["a"]))]).await.unwrap();
    let rows = two(&[1, 2], &["other", "b"]);
    let delivered = bench.deliver(2, INCREMENTAL, &["id"], vec![(Op::Insert, rows)]).await.unwrap();
    assert_eq!(delivered.codes(), [(0, 0, "ROW-003")]);
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"], &["2", "b"]]));
}

/// An update adds no row, neither to a table with rows nor to a new one.
pub async fn an_update_skips_a_key_that_is_absent(bench: &Bench) {
    let delivered = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Update, two(&[1], &["a"]))]).await.unwrap();
    assert_eq!(delivered.codes(), [(0, 0, "skipped")]);
    bench.deliver(2, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    let rows = two(&[2, 1], &["b", "changed"]);
    let delivered = bench.deliver(3, INCREMENTAL, &["id"], vec![(Op::Update, rows)]).await.unwrap();
    assert_eq!(delivered.codes(), [(0, 0, "skipped")]);
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "changed"]]));
}

/// Two rows of one key, which a run does not send, leave one row, or the run fails and leaves what was there.
pub async fn rows_of_one_key_are_never_two(bench: &Bench) {
    for generation in [1, 2] {
        let before = match bench.destination.holds_rows(&bench.stream).await.unwrap() {
            Some(_) => bench.count().await,
            None => 0,
        };
        let rows = two(&[1, 1, 2], &["a", "b", "c"]);
        match bench.deliver(generation, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await {
            Ok(_) => assert_eq!(bench.count().await, 2),
            Err(_) => match bench.destination.holds_rows(&bench.stream).await.unwrap() {
                Some(_) => assert_eq!(bench.count().await, before),
                None => bench.execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v text)").await,
            },
        }
    }
}

/// A delete of an absent key is done already.
pub async fn a_delete_removes_and_forgives(bench: &Bench) {
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1, 2], &["a", "b"]))]).await.unwrap();
    let schema = two(&[], &[]).schema();
    let mut run = bench.open(bench.target(2, INCREMENTAL, &["id"], schema)).await.unwrap();
    run.write(Op::Delete, two(&[2, 9], &["", ""]).project(&[0]).unwrap()).await.unwrap();
    let delivered = run.publish().await.unwrap();
    assert_eq!(delivered.codes(), []);
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"]]));
}

/// A value that must be unique is free once its row is deleted or changed, whatever the order of the batches.
pub async fn deletes_come_before_updates_and_updates_before_inserts(bench: &Bench) {
    bench.execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v text UNIQUE)").await;
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1, 2], &["a", "b"]))]).await.unwrap();
    let mut run = bench.open(bench.target(2, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
    run.write(Op::Insert, two(&[3], &["b"])).await.unwrap();
    run.write(Op::Update, two(&[2], &["a"])).await.unwrap();
    run.write(Op::Delete, two(&[1], &[""]).project(&[0]).unwrap()).await.unwrap();
    let delivered = run.publish().await.unwrap();
    assert_eq!(delivered.codes(), []);
    assert_eq!(bench.select("id, v").await, texts(&[&["2", "a"], &["3", "b"]]));
}

/// Two rows that swap unique values are both right, though neither can be changed first.
pub async fn unique_values_change_places(bench: &Bench) {
    bench.execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v text UNIQUE, note text DEFAULT 'new')").await;
    bench.execute("INSERT INTO {t} VALUES (1, 'a', 'first'), (2, 'b', 'second'), (3, 'c', 'third')").await;
    let rows = two(&[1, 2, 4], &["b", "a", "d"]);
    let delivered = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    assert_eq!(delivered.codes(), []);
    let expected = texts(&[&["1", "b", "first"], &["2", "a", "second"], &["3", "c", "third"], &["4", "d", "new"]]);
    assert_eq!(bench.select("id, v, note").await, expected);
    // A value that is truly taken is still refused, and leaves its row as it was.
    let rows = two(&[1, 5], &["c", "e"]);
    let delivered = bench.deliver(2, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    assert_eq!(delivered.codes(), [(0, 0, "ROW-002")]);
    assert_eq!(bench.probe.rows(&format!("SELECT v FROM {} WHERE id = 1", bench.table)).await, texts(&[&["b"]]));
    assert_eq!(bench.count().await, 5);
}

/// Columns that a table lacks are named together, before anything is written.
pub async fn missing_columns_are_named_at_once(bench: &Bench) {
    bench.execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY)").await;
    let rows = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
        ("first", Arc::new(StringArray::from(vec!["a"]))),
        ("second", Arc::new(Int64Array::from(vec![1]))),
    ]);
    let refused = bench.open(bench.target(1, INCREMENTAL, &["id"], rows.schema())).await.err().unwrap();
    assert_eq!(refused.code().id, "DEST-004");
    assert!(refused.message().contains("first") && refused.message().contains("second"), "{}", refused.message());
    assert!(refused.hints().iter().any(|hint| hint.contains("on_drift: widen")), "{:?}", refused.hints());
}

/// A table without a unique index on exactly the key cannot be written to by key, and the cure is named.
pub async fn a_missing_unique_index_is_named(bench: &Bench) {
    bench.execute("CREATE TABLE {t} (id bigint NOT NULL, other bigint NOT NULL, v text, UNIQUE (id, other))").await;
    let target = bench.target(1, INCREMENTAL, &["id"], two(&[], &[]).schema());
    let refused = bench.open(target.clone()).await.err().unwrap();
    assert_eq!(refused.code().id, "DEST-005");
    let cure = refused.hints().iter().find(|hint| hint.contains("CREATE UNIQUE INDEX")).expect("the cure is named");
    bench.execute(cure).await;
    bench.open(target).await.map(drop).unwrap();
}

/// A column that must have a value, and gets none, is named before a row is added.
pub async fn a_column_without_a_value_is_named(bench: &Bench) {
    bench.execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v text, must text NOT NULL)").await;
    bench.execute("INSERT INTO {t} VALUES (1, 'a', 'x')").await;
    let target = |generation| bench.target(generation, INCREMENTAL, &["id"], two(&[], &[]).schema());
    let refused = match bench.open(target(1)).await {
        Err(error) => error,
        Ok(mut run) => run.write(Op::Upsert, two(&[2], &["b"])).await.err().unwrap(),
    };
    assert_eq!(refused.code().id, "DEST-004");
    assert!(refused.message().contains("must"), "{}", refused.message());
    assert_eq!(bench.count().await, 1);
}

/// Until it is published, a run shows nothing to anybody.
pub async fn nothing_is_visible_before_publish(bench: &Bench) {
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    let mut run = bench.open(bench.target(2, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
    run.write(Op::Upsert, two(&[1, 2], &["changed", "b"])).await.unwrap();
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"]]));
    assert_eq!(bench.marker().await.published.unwrap().generation, 1);
    run.publish().await.unwrap();
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "changed"], &["2", "b"]]));
}

/// After an abort everything is as it was, and the next run is not disturbed.
pub async fn abort_leaves_nothing(bench: &Bench) {
    let mut run = bench.open(bench.target(1, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
    run.write(Op::Upsert, two(&[1], &["a"])).await.unwrap();
    run.writer.abort().await.unwrap();
    assert_eq!(bench.destination.holds_rows(&bench.stream).await.unwrap(), None);
    assert_eq!(bench.destination.streams().await.unwrap().len(), 0, "no table is left");
    bench.deliver(2, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[2], &["b"]))]).await.unwrap();
    assert_eq!(bench.select("id, v").await, texts(&[&["2", "b"]]));
    let mut run = bench.open(bench.target(3, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
    run.write(Op::Upsert, two(&[3], &["c"])).await.unwrap();
    run.writer.abort().await.unwrap();
    assert_eq!(bench.select("id, v").await, texts(&[&["2", "b"]]));
}

/// A run that dies leaves nothing visible, and the next one begins anew.
pub async fn a_dropped_writer_leaves_nothing(bench: &Bench) {
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    let mut run = bench.open(bench.target(2, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
    run.write(Op::Upsert, two(&[2], &["b"])).await.unwrap();
    drop(run);
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"]]));
    bench.deliver(3, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[3], &["c"]))]).await.unwrap();
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"], &["3", "c"]]));
    assert_eq!(bench.destination.streams().await.unwrap().len(), 1, "no staging area shows as a stream");
}

/// Runs of different streams do not wait for each other.
pub async fn two_streams_at_once(bench: &Bench) {
    let name = format!("{}_other", bench.stream.table());
    let other = match bench.stream.schema() {
        Some(schema) => StreamName::parse(&format!("\"{schema}\".\"{name}\"")),
        None => StreamName::parse(&format!("\"{name}\"")),
    };
    let target = bench.target(1, INCREMENTAL, &["id"], two(&[], &[]).schema());
    let mut first = bench.open(target.clone()).await.unwrap();
    first.write(Op::Upsert, two(&[1], &["a"])).await.unwrap();
    let mut second = bench.open(crate::Target { stream: other.unwrap(), ..target }).await.unwrap();
    second.write(Op::Upsert, two(&[2], &["b"])).await.unwrap();
    second.publish().await.unwrap();
    first.publish().await.unwrap();
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"]]));
    assert_eq!(bench.destination.streams().await.unwrap().len(), 2);
}
