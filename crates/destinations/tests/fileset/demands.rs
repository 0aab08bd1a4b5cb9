//! What a set of files promises beyond the suite, wherever it stands.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use tapline_core::testing::bench::{Bench, FULL, batch, error_code, texts};
use tapline_core::{Op, Refresh, Target};

use super::Look;

const INCREMENTAL: Refresh = Refresh::Incremental;

pub fn two(ids: &[i64], values: &[&str]) -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef),
        ("v", Arc::new(StringArray::from(values.to_vec()))),
    ])
}

fn three(ids: &[i64], values: &[&str], extra: &[i64]) -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef),
        ("extra", Arc::new(Int64Array::from(extra.to_vec()))),
        ("v", Arc::new(StringArray::from(values.to_vec()))),
    ])
}

/// Whoever looks without a manifest sees the files of one set as well, once a run has ended.
pub async fn only_one_set_is_visible(bench: &Bench, look: &Look) {
    let stream = bench.stream.to_string();
    for generation in 1..=3 {
        let ids: Vec<i64> = (0..generation * 10).collect();
        let rows = two(&ids, &vec!["v"; ids.len()]);
        bench.deliver(generation as u64, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
        let shown = look.stream(&stream).unwrap();
        let named: Vec<String> = shown.files.iter().map(|file| file.path.clone()).collect();
        assert_eq!((shown.generation, look.visible()), (generation as u64, named));
        let own = look.paths().into_iter().filter(|path| path.contains("rows-") || path.contains("making-")).count();
        assert_eq!(own, 0, "nothing is left of staging: {:?}", look.paths());
    }
    assert_eq!(bench.count().await, 30);
}

/// A full refresh, changes of every operation, and what they leave.
pub async fn every_operation_is_applied(bench: &Bench, _: &Look) {
    let first = two(&[1, 2, 3, 4, 5], &["a", "b", "c", "d", "e"]);
    bench.deliver(1, FULL, &["id"], vec![(Op::Upsert, first)]).await.unwrap();
    let mut run = bench.open(bench.target(2, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
    run.write(Op::Insert, two(&[5, 6], &["there", "f"])).await.unwrap();
    run.write(Op::Update, two(&[2, 9], &["B", "absent"])).await.unwrap();
    run.write(Op::Delete, two(&[1, 8], &["", ""]).project(&[0]).unwrap()).await.unwrap();
    run.write(Op::Upsert, two(&[3, 7], &["C", "g"])).await.unwrap();
    let delivered = run.publish().await.unwrap();
    assert_eq!(delivered.codes(), [(0, 0, "ROW-003"), (1, 1, "skipped")]);
    assert_eq!(bench.destination.outcomes(&bench.stream, 2).await.unwrap(), delivered.outcomes);
    assert_eq!(bench.destination.outcomes(&bench.stream, 1).await.unwrap(), []);
    let expected = texts(&[&["2", "B"], &["3", "C"], &["4", "d"], &["5", "e"], &["6", "f"], &["7", "g"]]);
    assert_eq!(bench.select("id, v").await, expected);
    let rows = two(&[2, 3], &["B", "new"]);
    let delivered = bench.deliver(3, FULL, &["id"], vec![(Op::Insert, rows)]).await.unwrap();
    assert_eq!((delivered.codes(), delivered.receipt.removed), (vec![], 4));
    assert_eq!(bench.select("id, v").await, texts(&[&["2", "B"], &["3", "new"]]));
}

/// A run that is mostly refused changes nothing, and a full refresh keeps the row of a refused version.
pub async fn refused_rows_stop_a_run_or_stay(bench: &Bench, _: &Look) {
    bench.deliver(1, FULL, &["id"], vec![(Op::Upsert, two(&[1, 2, 3], &["a", "b", "c"]))]).await.unwrap();
    let before = bench.select("id, v").await;
    let mut target = bench.target(2, INCREMENTAL, &["id"], two(&[], &[]).schema());
    target.max_reject_ratio = Some(0.4);
    let mut run = bench.open(target).await.unwrap();
    run.write(Op::Insert, two(&[1, 4], &["there", "d"])).await.unwrap();
    assert_eq!(error_code(run.publish().await), "SYNC-007");
    run.writer.abort().await.unwrap();
    assert_eq!(bench.select("id, v").await, before);
    let mut target = bench.target(3, FULL, &["id"], two(&[], &[]).schema());
    target.retractable = true;
    let mut run = bench.open(target).await.unwrap();
    run.write(Op::Upsert, two(&[1, 2], &["retracted", "B"])).await.unwrap();
    run.retract(&[tapline_core::RowId { seq: 0, ordinal: 0 }]).await.unwrap();
    assert_eq!(run.publish().await.unwrap().receipt.removed, 1);
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"], &["2", "B"]]));
}

/// Fields are added where that is asked for, and the run is refused where it is not.
pub async fn fields_are_added(bench: &Bench, _: &Look) {
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1, 2], &["a", "b"]))]).await.unwrap();
    let rows = three(&[2, 3], &["B", "c"], &[20, 30]);
    let target = bench.target(2, INCREMENTAL, &["id"], rows.schema());
    let refused = bench.open(target.clone()).await.err().unwrap();
    assert_eq!(refused.code().id, "DEST-004");
    assert!(refused.message().contains("\"extra\"") && refused.hints()[0].contains("on_drift"), "{refused:?}");
    let mut run = bench.open(Target { widen: true, ..target }).await.unwrap();
    run.write(Op::Upsert, rows).await.unwrap();
    run.publish().await.unwrap();
    let expected = texts(&[&["1", "∅", "a"], &["2", "20", "B"], &["3", "30", "c"]]);
    assert_eq!(bench.select("id, extra, v").await, expected);
    // A full refresh takes whatever fields there are.
    bench.deliver(3, FULL, &["id"], vec![(Op::Upsert, two(&[7], &["g"]))]).await.unwrap();
    assert_eq!(bench.select("*").await, texts(&[&["7", "g"]]));
}

/// Rows of one key leave one row, also in a first full refresh.
pub async fn rows_of_one_key_are_one(bench: &Bench, _: &Look) {
    for (generation, refresh) in [(1, FULL), (2, INCREMENTAL), (3, FULL)] {
        let rows = vec![(Op::Upsert, two(&[1, 1], &["a", "b"])), (Op::Upsert, two(&[1, 2], &["c", "d"]))];
        bench.deliver(generation, refresh, &["id"], rows).await.unwrap();
        assert_eq!(bench.select("id, v").await, texts(&[&["1", "c"], &["2", "d"]]));
    }
}

/// A run whose marker is gone publishes nothing.
pub async fn a_marker_that_is_gone_fences_off(bench: &Bench, look: &Look, remove: impl Fn(&str)) {
    for generation in [1, 2] {
        let mut run = bench.open(bench.target(generation, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
        run.write(Op::Upsert, two(&[1], &["a"])).await.unwrap();
        let markers = look.paths().into_iter().filter(|path| path.contains("/marker.json"));
        markers.for_each(|path| remove(&path));
        assert_eq!(error_code(run.publish().await), "DEST-007");
        assert_eq!(bench.destination.marker(&bench.stream).await.unwrap(), None);
    }
}

/// Files that somebody else removed show, and a full refresh writes them anew.
pub async fn files_that_are_gone_show(bench: &Bench, look: &Look, remove: impl Fn(&str)) {
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    assert!(bench.marker().await.table.is_some());
    remove(&look.visible()[0]);
    let marker = bench.marker().await;
    assert_eq!((marker.table, marker.created), (None, false));
    assert!(marker.published_table.is_some());
    assert_eq!(bench.destination.holds_rows(&bench.stream).await.unwrap(), None);
    let mut run = bench.open(bench.target(2, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
    run.write(Op::Upsert, two(&[2], &["b"])).await.unwrap();
    assert_eq!(error_code(run.publish().await), "DEST-006");
    bench.deliver(3, FULL, &["id"], vec![(Op::Upsert, two(&[2], &["b"]))]).await.unwrap();
    assert_eq!(bench.select("id, v").await, texts(&[&["2", "b"]]));
}

/// A check leaves nothing behind, and passes all its steps.
pub async fn a_check_passes_and_leaves_nothing(bench: &Bench, look: &Look) {
    let before = look.paths();
    let steps = bench.destination.check().await;
    let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["reach", "write", "move", "replace", "delete"], "{steps:?}");
    assert!(steps.iter().all(|step| step.ok), "{steps:?}");
    let after: Vec<String> = look.paths().into_iter().filter(|path| !path.ends_with("/.lock")).collect();
    assert_eq!(after, before);
}
