//! Markers, generations, recorded outcomes: what keeps two runs apart and lets a run be recovered.

use super::values::two;
use crate::testing::bench::{Bench, FULL, codes, error_code, owner, texts};
use crate::{Op, Owner, Refresh, Retry, RowId};

const INCREMENTAL: Refresh = Refresh::Incremental;

/// Stamping again with the same generation changes nothing.
pub async fn stamping_twice_is_stamping_once(bench: &Bench) {
    assert_eq!(bench.destination.marker(&bench.stream).await.unwrap(), None);
    bench.destination.stamp(&bench.stream, &owner(), 4).await.unwrap();
    let once = bench.marker().await;
    assert_eq!((once.owner.clone(), once.generation, once.published), (owner(), 4, None));
    assert_eq!((once.table.clone(), once.created), (None, false));
    bench.destination.stamp(&bench.stream, &owner(), 4).await.unwrap();
    assert_eq!(bench.marker().await, once);
    bench.destination.stamp(&bench.stream, &owner(), 7).await.unwrap();
    assert_eq!(bench.marker().await.generation, 7);
}

/// A run that was overtaken before it stamped is told so.
pub async fn a_lower_generation_cannot_stamp(bench: &Bench) {
    bench.destination.stamp(&bench.stream, &owner(), 7).await.unwrap();
    assert_eq!(error_code(bench.destination.stamp(&bench.stream, &owner(), 6).await), "DEST-007");
    assert_eq!(bench.marker().await.generation, 7);
}

/// After a stamp, no run of a lower generation can publish, however far it had come.
pub async fn a_later_generation_fences_off(bench: &Bench) {
    for existing in [false, true] {
        let generation = 2 * u64::from(existing) + 1;
        let schema = two(&[], &[]).schema();
        let mut stalled = bench.open(bench.target(generation, INCREMENTAL, &["id"], schema)).await.unwrap();
        stalled.write(Op::Upsert, two(&[9], &["stalled"])).await.unwrap();
        let rows = two(&[1], &["later"]);
        bench.deliver(generation + 1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
        assert_eq!(error_code(stalled.publish().await), "DEST-007");
        stalled.writer.abort().await.unwrap();
        assert_eq!(bench.select("id, v").await, texts(&[&["1", "later"]]));
        assert_eq!(bench.marker().await.published.unwrap().generation, generation + 1);
    }
}

/// A stream that another sync or store took over is lost to the first, whatever the generations say.
pub async fn another_owner_fences_off(bench: &Bench) {
    bench.deliver(5, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    let mut first = bench.open(bench.target(6, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
    first.write(Op::Upsert, two(&[2], &["b"])).await.unwrap();
    let other = Owner { store: "another store".into(), sync: "sync".into() };
    bench.destination.stamp(&bench.stream, &other, 6).await.unwrap();
    let marker = bench.marker().await;
    assert_eq!((marker.owner, marker.generation, marker.published), (other.clone(), 6, None));
    assert_eq!(marker.published_table, None, "what another owner published is forgotten");
    assert_eq!(error_code(first.publish().await), "DEST-007");
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"]]));
    // Generations count within one store: a lower one of another owner takes over.
    bench.destination.stamp(&bench.stream, &owner(), 1).await.unwrap();
    assert_eq!(bench.marker().await.generation, 1);
}

/// Without its marker a run does not publish: it may have been taken over, or the stream restored.
pub async fn a_marker_that_is_gone_fences_off(bench: &Bench) {
    for generation in [1, 2] {
        let schema = two(&[], &[]).schema();
        let mut run = bench.open(bench.target(generation, INCREMENTAL, &["id"], schema)).await.unwrap();
        run.write(Op::Upsert, two(&[1], &["a"])).await.unwrap();
        bench.probe.execute(&format!("DELETE FROM {}", bench.beside("_tapline_receipts"))).await;
        assert_eq!(error_code(run.publish().await), "DEST-007");
        run.writer.abort().await.unwrap();
        assert_eq!(bench.destination.marker(&bench.stream).await.unwrap(), None);
        if generation == 1 {
            bench.execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v text)").await;
        }
        assert_eq!(bench.count().await, 0);
    }
}

/// Sessions that end in the middle of a run make its attempt fail, with nothing done, and the next attempt finds its way.
pub async fn a_lost_connection_costs_one_attempt(bench: &Bench) {
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    let target = bench.target(2, INCREMENTAL, &["id"], two(&[], &[]).schema());
    let mut lost = bench.open(target.clone()).await.unwrap();
    lost.write(Op::Upsert, two(&[1, 2], &["lost", "lost"])).await.unwrap();
    if !bench.probe.cut().await {
        return lost.writer.abort().await.unwrap();
    }
    let error = lost.publish().await.unwrap_err();
    assert_ne!(error.retry(), Retry::Never, "the attempt may be repeated: {error:?}");
    lost.writer.abort().await.unwrap();
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"]]));
    let mut run = bench.open(target).await.unwrap();
    run.write(Op::Upsert, two(&[1, 2], &["changed", "b"])).await.unwrap();
    run.publish().await.unwrap();
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "changed"], &["2", "b"]]));
}

/// The marker says who published what, how much of it, and into which table.
pub async fn the_marker_tells_of_the_publication(bench: &Bench) {
    let batches = vec![(Op::Upsert, two(&[1], &["a"])), (Op::Upsert, two(&[2], &["b"]))];
    bench.deliver(3, INCREMENTAL, &["id"], batches).await.unwrap();
    let marker = bench.marker().await;
    assert_eq!((marker.owner.clone(), marker.generation), (owner(), 3));
    let published = marker.published.unwrap();
    assert_eq!((published.generation, published.batches), (3, 2));
    assert!(marker.created, "the run made the table");
    assert!(marker.table.is_some());
    assert_eq!(marker.table, marker.published_table);
    assert!(!marker.is_another_table());
    // A run that only stamps leaves the last publication as it was.
    bench.destination.stamp(&bench.stream, &owner(), 4).await.unwrap();
    let stamped = bench.marker().await;
    assert_eq!((stamped.generation, stamped.published), (4, marker.published));
    assert_eq!(stamped.published_table, marker.published_table);
}

/// The marker says how many leftovers a full refresh removed, so that a run that is recovered can report it.
pub async fn the_marker_tells_what_was_removed(bench: &Bench) {
    bench.deliver(1, FULL, &["id"], vec![(Op::Upsert, two(&[1, 2, 3], &["a", "b", "c"]))]).await.unwrap();
    assert_eq!(bench.marker().await.published.unwrap().removed, 0);
    bench.deliver(2, FULL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    assert_eq!(bench.marker().await.published.unwrap().removed, 2);
    bench.destination.stamp(&bench.stream, &owner(), 3).await.unwrap();
    assert_eq!(bench.marker().await.published.unwrap().removed, 2, "a stamp keeps it");
    bench.deliver(4, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[4], &["d"]))]).await.unwrap();
    assert_eq!(bench.marker().await.published.unwrap().removed, 0);
}

/// An attempt of a run is lost, and the same run begins anew: nothing of the first attempt is in the way or gets in.
pub async fn a_run_repeats_a_lost_attempt(bench: &Bench) {
    for (generation, retractable) in [(1, false), (2, false), (3, true)] {
        let schema = two(&[], &[]).schema();
        let mut target = bench.target(generation, INCREMENTAL, &["id"], schema);
        target.retractable = retractable;
        let mut lost = bench.open(target.clone()).await.unwrap();
        lost.write(Op::Upsert, two(&[9, 1], &["lost", "lost"])).await.unwrap();
        drop(lost);
        let mut also_lost = bench.open(target.clone()).await.unwrap();
        also_lost.write(Op::Upsert, two(&[8], &["lost"])).await.unwrap();
        let mut run = bench.open(target).await.unwrap();
        run.write(Op::Upsert, two(&[1, 2], &["a", "b"])).await.unwrap();
        // The end of an attempt that was given up does not touch what the next one staged.
        also_lost.writer.abort().await.unwrap();
        run.write(Op::Upsert, two(&[3], &["c"])).await.unwrap();
        run.publish().await.unwrap();
        assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"], &["2", "b"], &["3", "c"]]));
        let published = bench.marker().await.published.unwrap();
        assert_eq!((published.generation, published.batches), (generation, 2));
    }
}

/// A run that fails at the end of its publication leaves nothing, and can be repeated with its own generation.
pub async fn a_failed_publication_can_be_repeated(bench: &Bench) {
    for generation in [1, 2] {
        let target = bench.target(generation, FULL, &["id"], two(&[], &[]).schema());
        let mut failing = bench.open(target.clone()).await.unwrap();
        failing.write(Op::Upsert, two(&[9], &["lost"])).await.unwrap();
        failing.staged = vec![2];
        let error = failing.publish().await.unwrap_err();
        assert_eq!(error.code().id, "DEST-008");
        assert_ne!(error.retry(), Retry::Never, "the rows are staged anew");
        drop(failing);
        let mut run = bench.open(target).await.unwrap();
        run.write(Op::Upsert, two(&[1], &["a"])).await.unwrap();
        run.publish().await.unwrap();
        assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"]]));
    }
}

/// A table that was dropped and made anew is another table, and not ours.
pub async fn a_recreated_table_shows(bench: &Bench) {
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    bench.execute("DROP TABLE {t}").await;
    let dropped = bench.marker().await;
    assert_eq!((dropped.table, dropped.created), (None, false));
    bench.execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v text)").await;
    let recreated = bench.marker().await;
    assert_ne!(recreated.table, recreated.published_table);
    assert!(!recreated.created && recreated.is_another_table());
}

/// Recovery reads beside the marker which rows a publication did not apply.
pub async fn outcomes_are_recorded(bench: &Bench) {
    bench.execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v text CHECK (v <> 'bad'))").await;
    bench.execute("INSERT INTO {t} VALUES (1, 'a')").await;
    assert_eq!(bench.destination.outcomes(&bench.stream, 1).await.unwrap(), []);
    let batches = vec![(Op::Insert, two(&[1, 2, 3], &["there", "b", "bad"])), (Op::Update, two(&[7], &["absent"]))];
    let delivered = bench.deliver(1, INCREMENTAL, &["id"], batches).await.unwrap();
    assert_eq!(delivered.codes(), [(0, 0, "ROW-003"), (0, 2, "ROW-002"), (1, 0, "skipped")]);
    let recorded = bench.destination.outcomes(&bench.stream, 1).await.unwrap();
    assert_eq!(recorded, delivered.outcomes);
    // Those of the next publication take their place.
    bench.deliver(2, INCREMENTAL, &["id"], vec![(Op::Update, two(&[8], &["absent"]))]).await.unwrap();
    let recorded = bench.destination.outcomes(&bench.stream, 2).await.unwrap();
    assert_eq!(codes(&recorded), [(0, 0, "skipped")]);
    assert_eq!(bench.destination.outcomes(&bench.stream, 1).await.unwrap(), []);
}

/// Fewer or more staged rows than the run counted: nothing is published.
pub async fn lost_rows_stop_the_publication(bench: &Bench) {
    for existing in [false, true] {
        let generation = 2 * u64::from(existing) + 1;
        let schema = two(&[], &[]).schema();
        let mut run = bench.open(bench.target(generation, INCREMENTAL, &["id"], schema)).await.unwrap();
        run.write(Op::Upsert, two(&[1, 2], &["a", "b"])).await.unwrap();
        run.write(Op::Upsert, two(&[3], &["c"])).await.unwrap();
        // The sum is right, the batches are not.
        run.staged = vec![1, 2];
        assert_eq!(error_code(run.publish().await), "DEST-008");
        run.writer.abort().await.unwrap();
        assert!(bench.marker().await.published.is_none_or(|published| published.generation < generation));
        if existing {
            assert_eq!(bench.select("id, v").await, texts(&[&["9", "i"]]));
        } else {
            assert_eq!(bench.destination.holds_rows(&bench.stream).await.unwrap(), None);
            let rows = two(&[9], &["i"]);
            bench.deliver(generation + 1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
        }
    }
}

/// Rows that were taken back are not there, the others are.
pub async fn retracted_rows_are_not_published(bench: &Bench) {
    for generation in [1, 2] {
        let mut target = bench.target(generation, INCREMENTAL, &["id"], two(&[], &[]).schema());
        target.retractable = true;
        let mut run = bench.open(target).await.unwrap();
        run.write(Op::Upsert, two(&[1, 2, 3], &["a", "b", "c"])).await.unwrap();
        run.retract(&[RowId { seq: 0, ordinal: 1 }]).await.unwrap();
        run.write(Op::Upsert, two(&[4, 2], &["d", "again"])).await.unwrap();
        run.retract(&[RowId { seq: 1, ordinal: 1 }]).await.unwrap();
        let delivered = run.publish().await.unwrap();
        assert_eq!(delivered.codes(), []);
        assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"], &["3", "c"], &["4", "d"]]));
    }
}

/// A run that did not say that it takes rows back does not.
pub async fn retraction_must_be_announced(bench: &Bench) {
    let mut run = bench.open(bench.target(1, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
    run.write(Op::Upsert, two(&[1], &["a"])).await.unwrap();
    assert!(run.writer.retract(&[RowId { seq: 0, ordinal: 0 }]).await.is_err());
    run.writer.abort().await.unwrap();
}
