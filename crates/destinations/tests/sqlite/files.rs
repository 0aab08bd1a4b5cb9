//! Files: staging, markers, journal modes, names, several runs at once.

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::{Connection, Row};
use tapline_core::{ChangeBatch, ConnectContext, Connector, Op, Owner, codes};
use tapline_destinations::sqlite::{Config, Sqlite};

use super::{FULL, Place, Run, batch, code, connect, customers, integers, owner, stream, texts};

#[tokio::test]
async fn nothing_is_visible_before_publish_and_staging_lies_beside_the_file() {
    let place = Place::new();
    place.run(&Run::new("t", 1, &["id"], FULL, customers([(1, "a")]))).await.unwrap();
    let run = Run::new("t", 2, &["id"], FULL, customers([(2, "b")]));
    let mut writer = place.open(&run).await.unwrap();
    writer.write(ChangeBatch { seq: 0, op: Op::Upsert, rows: run.batches[0].1.clone() }).await.unwrap();
    assert_eq!(place.values("id, email", "FROM t").await, ["1|'a'"]);
    assert_eq!(place.values("name", "FROM sqlite_schema WHERE type = 'table' AND name LIKE '%stage%'").await, [""; 0]);
    assert!(place.names().iter().any(|name| name.contains("-tapline-")), "{:?}", place.names());

    // A reader that began before the publication goes on seeing what it saw.
    let mut reader = connect(&place.file()).await;
    let mut reading = reader.begin().await.unwrap();
    let count = "SELECT group_concat(email) FROM t";
    assert_eq!(sqlx::query_scalar::<_, String>(count).fetch_one(&mut *reading).await.unwrap(), "a");
    writer.publish(&[1]).await.unwrap();
    assert_eq!(sqlx::query_scalar::<_, String>(count).fetch_one(&mut *reading).await.unwrap(), "a");
    reading.commit().await.unwrap();
    assert_eq!(sqlx::query_scalar::<_, String>(count).fetch_one(&mut reader).await.unwrap(), "b");
    reader.close().await.unwrap();
    assert_eq!(place.names(), ["out.db"]);
}

#[tokio::test]
async fn staging_files_of_runs_that_died_are_swept() {
    let place = Place::new();
    let run = Run::new("t", 1, &["id"], FULL, customers([(1, "a")]));
    drop(place.open(&run).await.unwrap());
    let other = Run::new("u", 1, &["id"], FULL, customers([(1, "a")]));
    let mut other_writer = place.open(&other).await.unwrap();
    let staging = |place: &Place| place.names().iter().filter(|name| name.contains("-tapline-")).count();
    assert_eq!(staging(&place), 2);
    place.destination.stamp(&run.stream, &owner(), 2).await.unwrap();
    assert_eq!(staging(&place), 1, "only those of the stream");
    other_writer.abort().await.unwrap();
    assert_eq!(staging(&place), 0);
}

#[tokio::test]
async fn a_stalled_run_cannot_publish() {
    let place = Place::new();
    let run = Run::new("t", 1, &["id"], FULL, customers([(1, "a")]));
    let mut stalled = place.open(&run).await.unwrap();
    stalled.write(ChangeBatch { seq: 0, op: Op::Upsert, rows: run.batches[0].1.clone() }).await.unwrap();
    place.run(&Run::new("t", 2, &["id"], FULL, customers([(2, "b")]))).await.unwrap();
    assert_eq!(code(stalled.publish(&[1]).await), codes::DEST_007);
    stalled.abort().await.unwrap();
    assert_eq!(code(place.destination.stamp(&run.stream, &owner(), 1).await), codes::DEST_007);
    assert_eq!(place.values("id, email", "FROM t").await, ["2|'b'"]);
}

#[tokio::test]
async fn the_marker_tells_a_table_from_another_of_its_name() {
    let place = Place::new();
    let run = |generation| Run::new("t", generation, &["id"], FULL, customers([(1, "a")]));
    assert_eq!(place.destination.marker(&stream("t")).await.unwrap(), None);
    place.run(&run(1)).await.unwrap();
    let marker = async || place.destination.marker(&stream("T")).await.unwrap().unwrap();
    let first = marker().await;
    assert!(first.created && first.table.is_some() && first.table == first.published_table);
    assert_eq!(first.published.map(|published| (published.generation, published.batches)), Some((1, 1)));

    place.execute("CREATE TABLE pad (x); DROP TABLE pad; VACUUM").await;
    assert_eq!(marker().await, first);

    place.execute("DROP TABLE t").await;
    let gone = marker().await;
    assert_eq!((gone.created, gone.table, &gone.published_table), (false, None, &first.published_table));
    place.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT); INSERT INTO t VALUES (1, 'mine')").await;
    let other = marker().await;
    assert!(!other.created && other.table.is_some() && other.table != first.table);

    let somebody = Owner { store: "another".to_owned(), ..owner() };
    place.destination.stamp(&stream("t"), &somebody, 1).await.unwrap();
    let taken = marker().await;
    assert_eq!((taken.owner, taken.generation, taken.published), (somebody, 1, None));
    assert_eq!(taken.published_table, None);
}

#[tokio::test]
async fn asking_makes_no_file() {
    let place = Place::new();
    assert_eq!(place.destination.marker(&stream("t")).await.unwrap(), None);
    assert_eq!(place.destination.holds_rows(&stream("t")).await.unwrap(), None);
    assert_eq!(place.destination.outcomes(&stream("t"), 1).await.unwrap(), []);
    assert_eq!(place.destination.streams().await.unwrap(), []);
    assert!(place.destination.check().await.iter().all(|step| step.ok));
    assert_eq!(place.names(), [""; 0]);
}

#[tokio::test]
async fn check_names_what_is_wrong() {
    let place = Place::with("CREATE TABLE t (id)").await;
    let steps = place.destination.check().await;
    assert!(steps.iter().all(|step| step.ok) && steps.len() == 2, "{steps:?}");
    assert!(steps[0].message.as_ref().unwrap().contains("tables: 1"));
    assert_eq!(place.values("count(*)", "FROM sqlite_schema").await, ["1"]);

    let connect = |path: &str| {
        let context = ConnectContext::new("local", place.folder.path());
        Connector::connect(&Sqlite, Config { path: PathBuf::from(path) }, &context).unwrap()
    };
    std::fs::write(place.folder.path().join("text.db"), "x".repeat(5000)).unwrap();
    for (path, code) in [("text.db", "DEST-001"), ("absent/out.db", "DEST-003")] {
        let steps = connect(path).check().await;
        let last = steps.last().unwrap();
        assert_eq!((last.ok, last.code.as_deref()), (false, Some(code)), "{path}: {last:?}");
        assert!(last.hint.is_some());
    }
    let error = connect("absent/out.db").stamp(&stream("t"), &owner(), 1).await.unwrap_err();
    assert_eq!(error.code(), codes::DEST_001);
}

#[tokio::test]
async fn a_new_file_is_in_wal_mode_and_another_keeps_its_mode() {
    let run = Run::new("t", 1, &["id"], FULL, customers([(1, "a")]));
    let new = Place::new();
    new.run(&run).await.unwrap();
    assert_eq!(new.rows("PRAGMA journal_mode").await[0].get::<&str, _>(0), "wal");
    let other = Place::with("CREATE TABLE mine (id)").await;
    other.run(&run).await.unwrap();
    assert_eq!(other.rows("PRAGMA journal_mode").await[0].get::<&str, _>(0), "delete");
    assert_eq!(other.names(), ["out.db"]);
}

#[tokio::test]
async fn names_are_quoted_and_their_case_does_not_count() {
    let place = Place::new();
    let rows = || batch(vec![("select", integers([1])), ("ö\"x", texts([Some("a")]))]);
    place.run(&Run::new(r#""Odd "".name""#, 1, &["select"], FULL, rows())).await.unwrap();
    place.run(&Run::new(r#"main."odd "".NAME""#, 2, &["select"], FULL, rows())).await.unwrap();
    let streams = place.destination.streams().await.unwrap();
    assert_eq!(streams.iter().map(|stream| stream.name.table()).collect::<Vec<_>>(), ["Odd \".name"]);
    assert_eq!(streams[0].fields.iter().map(|field| field.required).collect::<Vec<_>>(), [false, false]);

    for name in ["public.t", "a.b.c", "sqlite_master", "_Tapline_receipts"] {
        let run = Run::new(name, 1, &["select"], FULL, rows());
        assert_eq!(code(place.run(&run).await), codes::DEST_004, "{name}");
    }
}

#[tokio::test]
async fn identity_names_the_file_however_it_is_spelled() {
    let place = Place::new();
    let context = ConnectContext::new("local", place.folder.path());
    std::fs::create_dir(place.folder.path().join("sub")).unwrap();
    let same = Connector::connect(&Sqlite, Config { path: PathBuf::from("sub/../out.db") }, &context).unwrap();
    let before = place.destination.identity();
    assert!(before.starts_with("sqlite:/") && before.ends_with("/out.db"), "{before}");
    assert_eq!(same.identity(), before);
    place.execute("CREATE TABLE t (id)").await;
    assert_eq!((place.destination.identity(), same.identity()), (before.clone(), before));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_different_streams_share_a_file() {
    let place = Arc::new(Place::new());
    let runs = (0..6).map(|index| {
        let place = place.clone();
        tokio::spawn(async move {
            let rows = batch(vec![("id", integers((0..5_000).collect::<Vec<_>>()))]);
            place.run(&Run::new(&format!("t{index}"), 1, &["id"], FULL, rows)).await.unwrap();
        })
    });
    for run in runs.collect::<Vec<_>>() {
        run.await.unwrap();
    }
    for index in 0..6 {
        assert_eq!(place.values("count(*)", &format!("FROM t{index}")).await, ["5000"]);
    }
}

#[tokio::test]
async fn changes_survive_a_kill_at_every_point() {
    let (bench, place) = super::bench_and_place();
    crate::crashes::changes_survive_a_kill_at_every_point(&bench, &place).await;
}

#[tokio::test]
async fn a_new_table_survives_a_kill_at_every_point() {
    let (bench, place) = super::bench_and_place();
    crate::crashes::a_new_table_survives_a_kill_at_every_point(&bench, &place).await;
}
