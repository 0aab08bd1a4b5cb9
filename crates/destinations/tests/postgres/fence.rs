//! What stalls, dies or is lost on the way, seen from the server.

use std::sync::Arc;

use arrow::array::*;
use tapline_core::testing::bench::{batch, error_code, owner, texts};
use tapline_core::{Op, Refresh};

use super::bench;

const INCREMENTAL: Refresh = Refresh::Incremental;
const STAGES: &str =
    "SELECT relname FROM pg_class WHERE relnamespace = '{s}'::regnamespace AND relname LIKE '\\_tapline\\_stage%'";

fn two(ids: &[i64], values: &[&str]) -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef),
        ("v", Arc::new(StringArray::from(values.to_vec()))),
    ])
}

#[tokio::test]
async fn staged_rows_that_the_server_lost_stop_the_publication() {
    let Some(bench) = bench("t_lost").await else { return };
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    let mut target = bench.target(2, INCREMENTAL, &["id"], two(&[], &[]).schema());
    target.retractable = true;
    let mut run = bench.open(target).await.unwrap();
    // An unlogged table is empty after a crash of the server; here it is emptied when its rows are in.
    let stages = bench.probe.rows(&STAGES.replace("{s}", "t_lost")).await;
    let stage = format!("t_lost.\"{}\"", stages[0][0].as_ref().unwrap());
    bench
        .execute(&format!(
            "CREATE FUNCTION t_lost.lose() RETURNS trigger LANGUAGE plpgsql AS \
               $$ BEGIN DELETE FROM {stage}; RETURN NULL; END $$; \
             CREATE TRIGGER lose AFTER INSERT ON {stage} FOR EACH STATEMENT EXECUTE FUNCTION t_lost.lose()"
        ))
        .await;
    run.write(Op::Upsert, two(&[1, 2], &["changed", "b"])).await.unwrap();
    assert_eq!(error_code(run.publish().await), "DEST-008");
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"]]));
}

#[tokio::test]
async fn staging_areas_are_swept_by_the_next_run() {
    let Some(bench) = bench("t_swept").await else { return };
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    let stages = STAGES.replace("{s}", "t_swept");
    assert_eq!(bench.probe.rows(&stages).await.len(), 0, "a run that ended well leaves none");
    let mut dead = bench.open(bench.target(2, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
    dead.write(Op::Upsert, two(&[2], &["b"])).await.unwrap();
    drop(dead);
    assert_eq!(bench.probe.rows(&stages).await.len(), 1);
    bench.destination.stamp(&bench.stream, &owner(), 3).await.unwrap();
    assert_eq!(bench.probe.rows(&stages).await.len(), 0);
}

#[tokio::test]
async fn a_stalled_run_keeps_nobody_waiting() {
    let Some(bench) = bench("t_stalled").await else { return };
    // One stalls while it loads a new table, one while it loads into the staging table.
    for generation in [1, 3] {
        let mut stalled =
            bench.open(bench.target(generation, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
        stalled.write(Op::Upsert, two(&[9], &["stalled"])).await.unwrap();
        bench.deliver(generation + 1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
        assert_eq!(error_code(stalled.publish().await), "DEST-007");
        stalled.writer.abort().await.unwrap();
    }
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"]]));
}

#[tokio::test]
async fn a_stamp_waits_for_a_publication_in_flight() {
    let Some(bench) = bench("t_in_flight").await else { return };
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    let url = super::server("t_in_flight").unwrap();
    let publication = super::session(&url).await;
    publication.batch_execute("BEGIN; SELECT * FROM t_in_flight._tapline_receipts FOR UPDATE").await.unwrap();
    let destination = Arc::clone(&bench.destination);
    let stream = bench.stream.clone();
    let stamp = tokio::spawn(async move { destination.stamp(&stream, &owner(), 2).await });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tapline' AND wait_event_type = 'Lock' \
                   AND query LIKE '%t_in_flight%'";
    while bench.probe.rows(waiting).await != texts(&[&["1"]]) {
        assert!(!stamp.is_finished(), "the stamp did not wait");
        tokio::task::yield_now().await;
    }
    publication.batch_execute("COMMIT").await.unwrap();
    stamp.await.unwrap().unwrap();
    assert_eq!(bench.marker().await.generation, 2);
}

#[tokio::test]
async fn a_session_that_is_cut_is_an_error_and_changes_nothing() {
    let Some(bench) = bench("t_cut").await else { return };
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    let mut run = bench.open(bench.target(2, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
    run.write(Op::Upsert, two(&[2], &["b"])).await.unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY \"t_cut\"%' AND pid <> pg_backend_pid()";
    let cut = bench.probe.rows(cut).await;
    assert_eq!(cut, texts(&[&["t"]]));
    let error = run.publish().await.unwrap_err();
    assert!(["DEST-001", "DEST-006"].contains(&error.code().id), "{error:?}");
    assert!(error.retry() != tapline_core::Retry::Never, "{error:?}");
    run.writer.abort().await.unwrap();
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"]]));
    bench.deliver(3, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[2], &["b"]))]).await.unwrap();
    assert_eq!(bench.count().await, 2);
}

#[tokio::test]
async fn a_truncated_table_shows() {
    let Some(bench) = bench("t_truncated").await else { return };
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    bench.execute("TRUNCATE {t}").await;
    let marker = bench.marker().await;
    assert_ne!(marker.table, marker.published_table);
    assert!(!marker.is_another_table(), "a truncated table is the same one");
    assert!(marker.created, "it is still the table that the run made");
}

#[tokio::test]
async fn a_table_that_appears_meanwhile_stops_the_run() {
    let Some(bench) = bench("t_appeared").await else { return };
    let mut run = bench.open(bench.target(1, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
    run.write(Op::Upsert, two(&[1], &["a"])).await.unwrap();
    bench.execute("CREATE TABLE {t} (other text)").await;
    assert_eq!(error_code(run.publish().await), "DEST-006");
    run.writer.abort().await.unwrap();
    assert_eq!(bench.count().await, 0);
}

#[tokio::test]
async fn changes_survive_a_kill_at_every_point() {
    let Some(bench) = bench("t_killed_changes").await else { return };
    let place = format!("postgres {}", super::server("t_killed_changes").unwrap());
    crate::crashes::changes_survive_a_kill_at_every_point(&bench, &place).await;
}

#[tokio::test]
async fn a_new_table_survives_a_kill_at_every_point() {
    let Some(bench) = bench("t_killed_new").await else { return };
    let place = format!("postgres {}", super::server("t_killed_new").unwrap());
    crate::crashes::a_new_table_survives_a_kill_at_every_point(&bench, &place).await;
}
