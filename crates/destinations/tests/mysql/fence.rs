//! What stalls, dies or is lost on the way, seen from the server.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::*;
use mysql_async::prelude::Queryable;
use tapline_core::testing::bench::{Bench, batch, error_code, owner, texts};
use tapline_core::{Op, Refresh, Retry};

use super::{bench, server, session, with_database};

const INCREMENTAL: Refresh = Refresh::Incremental;

fn two(ids: &[i64], values: &[&str]) -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef),
        ("v", Arc::new(StringArray::from(values.to_vec()))),
    ])
}

/// The staging tables of a test's database.
async fn stages(bench: &Bench, database: &str) -> Vec<String> {
    let question = format!(
        "SELECT table_name FROM information_schema.tables \
         WHERE table_schema = '{database}' AND table_name LIKE '\\_tapline\\_stage%'"
    );
    bench.probe.rows(&question).await.into_iter().filter_map(|mut row| row.remove(0)).collect()
}

#[tokio::test]
async fn staged_rows_that_are_lost_stop_the_publication() {
    let Some(bench) = bench("t_lost").await else { return };
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    let mut run = bench.open(bench.target(2, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
    run.write(Op::Upsert, two(&[1, 2], &["changed", "b"])).await.unwrap();
    let stage = stages(&bench, "t_lost").await.remove(0);
    bench.execute(&format!("DELETE FROM \"{stage}\" ORDER BY id LIMIT 1")).await;
    assert_eq!(error_code(run.publish().await), "DEST-008");
    run.writer.abort().await.unwrap();
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"]]));
}

#[tokio::test]
async fn staging_tables_are_swept_by_the_next_run() {
    let Some(bench) = bench("t_swept").await else { return };
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    assert_eq!(stages(&bench, "t_swept").await.len(), 0, "a run that ended well leaves none");
    let mut dead = bench.open(bench.target(2, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
    dead.write(Op::Upsert, two(&[2], &["b"])).await.unwrap();
    drop(dead);
    assert_eq!(stages(&bench, "t_swept").await.len(), 1);
    bench.destination.stamp(&bench.stream, &owner(), 3).await.unwrap();
    assert_eq!(stages(&bench, "t_swept").await.len(), 0);
}

/// A publication holds the marker's row, and while it makes or alters a table a named lock; a stamp waits for both.
#[tokio::test]
async fn a_stamp_waits_for_a_publication_in_flight() {
    let Some(bench) = bench("t_in_flight").await else { return };
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    let url = with_database(&server("t_in_flight").unwrap(), "t_in_flight");
    let mut publication = session(&url).await;
    publication.query_drop("START TRANSACTION").await.unwrap();
    publication.query_drop("SELECT * FROM _tapline_receipts FOR UPDATE").await.unwrap();
    let destination = Arc::clone(&bench.destination);
    let stream = bench.stream.clone();
    let stamp = tokio::spawn(async move { destination.stamp(&stream, &owner(), 2).await });
    let waiting = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' \
                   AND trx_query LIKE '%_tapline_receipts%t_in_flight%'";
    let waits = async {
        while bench.probe.rows(waiting).await == texts(&[&["0"]]) {
            assert!(!stamp.is_finished(), "the stamp did not wait");
            // The server answers with what it knew before where it is asked more often than ten times a second.
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waits).await.expect("the stamp waits for the marker's row");
    publication.query_drop("COMMIT").await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), stamp).await.expect("the stamp goes on").unwrap().unwrap();
    assert_eq!(bench.marker().await.generation, 2);
}

#[tokio::test]
async fn a_session_that_is_cut_is_an_error_and_changes_nothing() {
    let Some(bench) = bench("t_cut").await else { return };
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    let mut run = bench.open(bench.target(2, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
    run.write(Op::Upsert, two(&[2], &["b"])).await.unwrap();
    let others = "SELECT id FROM information_schema.processlist WHERE db = 't_cut' AND id <> connection_id()";
    for session in bench.probe.rows(others).await {
        bench.execute(&format!("KILL {}", session[0].as_ref().unwrap())).await;
    }
    let error = run.publish().await.unwrap_err();
    assert!(["DEST-001", "DEST-006"].contains(&error.code().id), "{error:?}");
    assert!(error.retry() != Retry::Never, "{error:?}");
    run.writer.abort().await.unwrap();
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"]]));
    bench.deliver(3, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[2], &["b"]))]).await.unwrap();
    assert_eq!(bench.count().await, 2);
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

/// A table is made before the transaction that fills it: where that fails, it goes again, and a widened one is as it was.
#[tokio::test]
async fn a_failed_publication_takes_its_table_away_again() {
    let Some(bench) = bench("t_unmade").await else { return };
    let mut run = bench.open(bench.target(1, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
    run.write(Op::Insert, two(&[1], &["a"])).await.unwrap();
    // It is written to at the end of the publication.
    bench.execute("DROP TABLE _tapline_outcomes").await;
    assert_eq!(error_code(run.publish().await), "DEST-006");
    run.writer.abort().await.unwrap();
    assert_eq!(bench.destination.holds_rows(&bench.stream).await.unwrap(), None);
    bench.deliver(3, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    assert!(bench.marker().await.created);
}

/// A table that a run had made when it died is empty, known as Tapline's, and filled by the next.
#[tokio::test]
async fn the_table_of_a_run_that_died_is_ours() {
    let Some(bench) = bench("t_died").await else { return };
    let mut run = bench.open(bench.target(1, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
    run.write(Op::Upsert, two(&[1], &["a"])).await.unwrap();
    drop(run);
    bench
        .execute(
            "CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v longtext) COMMENT 'tapline the-id'; \
             UPDATE _tapline_receipts SET created_table = 'the-id'",
        )
        .await;
    assert!(bench.marker().await.created);
    bench.deliver(2, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    assert_eq!(bench.count().await, 1);
}

#[tokio::test]
async fn changes_survive_a_kill_at_every_point() {
    let Some(bench) = bench("t_killed_changes").await else { return };
    let url = with_database(&server("t_killed_changes").unwrap(), "t_killed_changes");
    crate::crashes::changes_survive_a_kill_at_every_point(&bench, &format!("mysql {url}")).await;
}

#[tokio::test]
async fn a_new_table_survives_a_kill_at_every_point() {
    let Some(bench) = bench("t_killed_new").await else { return };
    let url = with_database(&server("t_killed_new").unwrap(), "t_killed_new");
    crate::crashes::a_new_table_survives_a_kill_at_every_point(&bench, &format!("mysql {url}")).await;
}
