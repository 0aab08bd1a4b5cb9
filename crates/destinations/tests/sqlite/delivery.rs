//! Rows: constraints, triggers, conflict clauses, foreign keys; what of a table keeps a run from it.

use tapline_core::{ChangeBatch, Op, Outcome, Refresh, RowId, codes};

use super::{FULL, Place, REPLACE, Run, batch, code, codes_of, customers, integers, texts};

#[tokio::test]
async fn a_table_that_cannot_hold_the_fields_is_refused_with_everything_that_is_missing() {
    let place = Place::with(
        "CREATE TABLE narrow (id INTEGER PRIMARY KEY);
         CREATE TABLE keyless (id INTEGER, email TEXT);
         CREATE TABLE partial (id INTEGER, email TEXT);
         CREATE UNIQUE INDEX some ON partial (id) WHERE email IS NOT NULL;
         CREATE TABLE wide (id INTEGER PRIMARY KEY, email TEXT, born TEXT NOT NULL, city TEXT NOT NULL DEFAULT '');
         CREATE TABLE computed (id INTEGER PRIMARY KEY, email TEXT AS ('x'));
         CREATE VIEW seen AS SELECT * FROM keyless;",
    )
    .await;
    let rows = || batch(vec![("id", integers([1])), ("email", texts([None])), ("name", texts([None]))]);
    let error = place.run(&Run::new("narrow", 1, &["id"], FULL, rows())).await.unwrap_err();
    assert_eq!(error.code(), codes::DEST_004);
    assert!(error.message().contains("\"email\"") && error.message().contains("\"name\""), "{error}");
    assert!(error.hints()[0].contains("ADD COLUMN \"email\" TEXT"), "{error:?}");

    for table in ["keyless", "partial"] {
        let error =
            place.run(&Run::new(table, 1, &["id"], Refresh::Incremental, customers([(1, "a")]))).await.unwrap_err();
        assert_eq!(error.code(), codes::DEST_005);
        assert!(error.hints()[0].contains(&format!("ON \"{table}\" (\"id\")")), "{error:?}");
    }
    for refresh in [FULL, Refresh::Incremental] {
        let error = place.run(&Run::new("wide", 1, &["id"], refresh, customers([(1, "a")]))).await.unwrap_err();
        assert_eq!(error.code(), codes::DEST_004);
        assert!(error.message().contains("\"born\"") && !error.message().contains("city"), "{error}");
    }
    for table in ["computed", "seen"] {
        assert_eq!(code(place.run(&Run::new(table, 1, &["id"], FULL, customers([(1, "a")]))).await), codes::DEST_004);
    }
    let twice = batch(vec![("id", integers([1])), ("ID", integers([1]))]);
    assert_eq!(code(place.run(&Run::new("new", 1, &["id"], FULL, twice)).await), codes::DEST_004);
}

#[tokio::test]
async fn columns_that_only_new_rows_need_do_not_keep_rows_from_being_updated() {
    let place = Place::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT, born TEXT NOT NULL); INSERT INTO t VALUES (1, 'a', '1970')",
    )
    .await;
    let mut run = Run::new("t", 1, &["id"], Refresh::Incremental, customers([(1, "b"), (2, "c")]));
    run.batches[0].0 = Op::Update;
    assert_eq!(codes_of(&place.run(&run).await.unwrap()), [(1, "skipped")]);
    assert_eq!(place.values("id, email, born", "FROM t").await, ["1|'b'|'1970'"]);
}

#[tokio::test]
async fn constraints_reject_single_rows() {
    let place = Place::with(
        "CREATE TABLE cities (name TEXT PRIMARY KEY); INSERT INTO cities VALUES ('Bonn');
         CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT UNIQUE NOT NULL CHECK (email <> 'bad'),
           city TEXT REFERENCES cities);
         INSERT INTO t VALUES (100, 'taken', NULL);",
    )
    .await;
    let emails = [Some("a"), None, Some("bad"), Some("taken"), Some("b"), Some("c")];
    let cities = [Some("Bonn"), None, None, None, Some("Atlantis"), None];
    let rows = batch(vec![("id", integers([1, 2, 3, 4, 5, 6])), ("email", texts(emails)), ("city", texts(cities))]);
    let receipt = place.run(&Run::new("t", 1, &["id"], Refresh::Incremental, rows)).await.unwrap();
    assert_eq!(codes_of(&receipt), [1, 2, 3, 4].map(|ordinal| (ordinal, "ROW-002")));
    assert_eq!(place.values("id", "FROM t ORDER BY id").await, ["1", "6", "100"]);
    for outcome in receipt.outcomes {
        let Outcome::Rejected { reason, .. } = outcome.outcome else { panic!() };
        assert!(!reason.contains("taken") && !reason.contains("Atlantis"), "{reason}");
    }
}

#[tokio::test]
async fn a_trigger_can_refuse_a_row_but_not_show_its_values() {
    let place = Place::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT);
         CREATE TRIGGER refuse BEFORE INSERT ON t WHEN NEW.email = 'hunter2'
           BEGIN SELECT RAISE(ABORT, 'hunter2 is no address'); END;",
    )
    .await;
    let run = Run::new("t", 1, &["id"], Refresh::Incremental, customers([(1, "hunter2"), (2, "b")]));
    let receipt = place.run(&run).await.unwrap();
    assert_eq!(codes_of(&receipt), [(0, "ROW-002")]);
    assert!(!format!("{receipt:?}").contains("hunter2"));
}

#[tokio::test]
async fn unique_values_change_places_and_unmapped_columns_stay() {
    let place = Place::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT UNIQUE, note TEXT DEFAULT 'new');
         INSERT INTO t VALUES (1, 'a', 'one'), (2, 'b', 'two'), (3, 'c', 'three'), (9, 'taken', 'nine');",
    )
    .await;
    let rows = customers([(1, "b"), (2, "a"), (3, "taken"), (4, "c")]);
    let receipt = place.run(&Run::new("t", 1, &["id"], Refresh::Incremental, rows)).await.unwrap();
    assert_eq!(codes_of(&receipt), [(2, "ROW-002"), (3, "ROW-002")]);
    assert_eq!(
        place.values("id, email, note", "FROM t ORDER BY id").await,
        ["1|'b'|'one'", "2|'a'|'two'", "3|'c'|'three'", "9|'taken'|'nine'"]
    );
}

#[tokio::test]
async fn a_chain_of_unique_values_moves_on_in_any_order() {
    let place = Place::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT UNIQUE); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
    )
    .await;
    let run = Run::new("t", 1, &["id"], Refresh::Incremental, customers([(3, "a"), (1, "b"), (2, "c")]));
    assert_eq!(codes_of(&place.run(&run).await.unwrap()), []);
    assert_eq!(place.values("id, email", "FROM t ORDER BY id").await, ["1|'b'", "2|'c'", "3|'a'"]);
}

#[tokio::test]
async fn conflict_clauses_of_a_table_do_not_remove_rows_silently() {
    let place = Place::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT UNIQUE ON CONFLICT REPLACE); INSERT INTO t VALUES (9, 'taken')",
    )
    .await;
    let run = Run::new("t", 1, &["id"], Refresh::Incremental, customers([(1, "taken"), (2, "b")]));
    assert_eq!(codes_of(&place.run(&run).await.unwrap()), [(0, "ROW-002")]);
    assert_eq!(place.values("id, email", "FROM t ORDER BY id").await, ["2|'b'", "9|'taken'"]);
}

#[tokio::test]
async fn deletes_updates_and_inserts_by_composite_key() {
    let place = Place::with(
        "CREATE TABLE t (b TEXT, v TEXT, a INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID;
         INSERT INTO t VALUES ('x', 'old', 1), ('y', 'old', 1), ('x', 'old', 2);",
    )
    .await;
    let rows =
        |a: i64, b: &str, v: &str| batch(vec![("a", integers([a])), ("v", texts([Some(v)])), ("b", texts([Some(b)]))]);
    let keys = batch(vec![("b", texts([Some("x"), Some("z")])), ("a", integers([1, 9]))]);
    let mut run = Run::new("t", 1, &["b", "a"], Refresh::Incremental, rows(3, "x", "new"))
        .and(Op::Delete, keys)
        .and(Op::Update, rows(1, "y", "updated"))
        .and(Op::Update, rows(8, "y", "absent"))
        .and(Op::Insert, rows(2, "x", "there"))
        .and(Op::Insert, rows(1, "x", "inserted"));
    run.batches.rotate_left(1);
    let receipt = place.run(&run).await.unwrap();
    let outcomes: Vec<_> = receipt.outcomes.iter().map(|outcome| outcome.row.seq).collect();
    assert_eq!((codes_of(&receipt), outcomes), (vec![(0, "skipped"), (0, "ROW-003")], vec![2, 3]));
    assert_eq!(
        place.values("a, b, v", "FROM t ORDER BY a, b").await,
        ["1|'x'|'inserted'", "1|'y'|'updated'", "2|'x'|'old'", "3|'x'|'new'"]
    );
}

#[tokio::test]
async fn a_full_refresh_changes_only_what_differs() {
    let place = Place::new();
    let first = Run::new("t", 1, &["id"], FULL, customers([(1, "a"), (2, "b"), (3, "c")]));
    assert_eq!(place.run(&first).await.unwrap().removed, 0);
    place
        .execute(
            "CREATE TABLE log (what TEXT);
             CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO log VALUES ('insert ' || NEW.id); END;
             CREATE TRIGGER u AFTER UPDATE ON t BEGIN INSERT INTO log VALUES ('update ' || NEW.id); END;
             CREATE TRIGGER d AFTER DELETE ON t BEGIN INSERT INTO log VALUES ('delete ' || OLD.id); END;",
        )
        .await;
    let second = Run::new("t", 2, &["id"], FULL, customers([(1, "a"), (2, "B"), (4, "d")]));
    assert_eq!(place.run(&second).await.unwrap().removed, 1);
    assert_eq!(place.values("what", "FROM log").await, ["'delete 3'", "'update 2'", "'insert 4'"]);
    assert_eq!(place.values("id, email", "FROM t ORDER BY id").await, ["1|'a'", "2|'B'", "4|'d'"]);
}

#[tokio::test]
async fn a_full_refresh_without_key_replaces_all_rows() {
    let place = Place::new();
    let run = |generation, rows| Run::new("t", generation, &[], FULL, rows);
    place.run(&run(1, customers([(1, "a"), (1, "a"), (2, "b")]))).await.unwrap();
    assert_eq!(place.values("id, email", "FROM t ORDER BY id").await, ["1|'a'", "1|'a'", "2|'b'"]);
    place.run(&run(2, customers([(1, "a"), (3, "c")]))).await.unwrap();
    assert_eq!(place.values("id, email", "FROM t ORDER BY id").await, ["1|'a'", "3|'c'"]);

    place.execute("CREATE UNIQUE INDEX ids ON t (id); CREATE TABLE orders (customer REFERENCES t (id))").await;
    assert_eq!(code(place.run(&run(3, customers([(1, "a")]))).await), codes::DEST_005);
}

#[tokio::test]
async fn a_full_refresh_fails_whole_where_leftovers_cannot_go() {
    let place = Place::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b');
         CREATE TABLE orders (customer REFERENCES t); INSERT INTO orders VALUES (2);",
    )
    .await;
    let error = place.run(&Run::new("t", 1, &["id"], REPLACE, customers([(1, "new")]))).await.unwrap_err();
    assert_eq!(error.code(), codes::DEST_006);
    assert_eq!(place.values("id, email", "FROM t ORDER BY id").await, ["1|'a'", "2|'b'"]);
}

#[tokio::test]
async fn a_foreign_table_with_rows_is_not_replaced_unasked() {
    let place = Place::with("CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT)").await;
    place.execute("INSERT INTO t VALUES (9, 'mine')").await;
    let run = |generation, refresh| Run::new("t", generation, &["id"], refresh, customers([(1, "a")]));
    assert_eq!(code(place.run(&run(1, FULL)).await), codes::SYNC_002);
    assert_eq!(place.values("id, email", "FROM t").await, ["9|'mine'"]);
    assert_eq!(place.run(&run(2, REPLACE)).await.unwrap().removed, 1);
    place.execute("INSERT INTO t VALUES (9, 'mine')").await;
    assert_eq!(place.run(&run(3, FULL)).await.unwrap().removed, 1, "once published, the table is known");
}

#[tokio::test]
async fn rows_that_are_missing_from_the_staging_area_stop_the_publication() {
    let place = Place::new();
    let run = Run::new("t", 1, &["id"], FULL, customers([(1, "a"), (2, "b")]));
    for staged in [vec![3], vec![1], vec![], vec![2, 1]] {
        let mut writer = place.open(&run).await.unwrap();
        writer.write(ChangeBatch { seq: 0, op: Op::Upsert, rows: run.batches[0].1.clone() }).await.unwrap();
        assert_eq!(code(writer.publish(&staged).await), codes::DEST_008, "{staged:?}");
        writer.abort().await.unwrap();
    }
    assert_eq!(place.destination.holds_rows(&run.stream).await.unwrap(), None);
}

#[tokio::test]
async fn retracted_rows_keep_their_place_in_a_full_refresh() {
    let place = Place::new();
    place.run(&Run::new("t", 1, &["id"], FULL, customers([(1, "a"), (2, "b"), (3, "c")]))).await.unwrap();
    let run = Run::new("t", 2, &["id"], FULL, customers([(1, "x"), (2, "y")]));
    let mut writer = place.open(&run).await.unwrap();
    writer.write(ChangeBatch { seq: 0, op: Op::Upsert, rows: run.batches[0].1.clone() }).await.unwrap();
    writer.retract(&[RowId { seq: 0, ordinal: 1 }]).await.unwrap();
    assert_eq!(writer.publish(&[1]).await.unwrap().removed, 1);
    assert_eq!(place.values("id, email", "FROM t ORDER BY id").await, ["1|'x'", "2|'b'"]);
}

#[tokio::test]
async fn a_deferred_foreign_key_fails_the_publication_whole() {
    let place = Place::with(
        "CREATE TABLE cities (name TEXT PRIMARY KEY);
         CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT REFERENCES cities DEFERRABLE INITIALLY DEFERRED);",
    )
    .await;
    let run = Run::new("t", 1, &["id"], Refresh::Incremental, customers([(1, "hunter2")]));
    let error = place.run(&run).await.unwrap_err();
    assert_eq!(error.code(), codes::DEST_006);
    assert!(!error.full_message().contains("hunter2"));
    assert_eq!(place.values("count(*)", "FROM t").await, ["0"]);
    assert_eq!(place.destination.marker(&run.stream).await.unwrap().unwrap().published, None);
}

#[tokio::test]
async fn each_bad_row_costs_few_statements() {
    let (bench, _) = super::bench_and_place();
    bench.execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v text CHECK (v <> 'bad'))").await;
    crate::halving::each_bad_row_costs_few_statements(&bench, None).await;
}

#[tokio::test]
async fn a_key_that_changes_only_its_case_is_delivered() {
    let place = Place::with(
        "CREATE TABLE t (name TEXT COLLATE NOCASE PRIMARY KEY, n INTEGER); INSERT INTO t VALUES ('abc', 1), ('x', 2)",
    )
    .await;
    let rows = |name: &str| batch(vec![("name", texts([Some(name)])), ("n", integers([1]))]);
    let gone = |name: &str| batch(vec![("name", texts([Some(name)]))]);
    // To the model one row went and another came; whichever is said first, the row is there in the end.
    for (generation, old, new, op) in [(1, "abc", "ABC", Op::Upsert), (2, "ABC", "Abc", Op::Insert)] {
        let mut run = Run::new("t", generation, &["name"], Refresh::Incremental, rows(new)).and(Op::Delete, gone(old));
        run.batches[0].0 = op;
        assert_eq!(codes_of(&place.run(&run).await.unwrap()), []);
        assert_eq!(place.values("name, n", "FROM t ORDER BY name").await, [format!("'{new}'|1"), "'x'|2".to_owned()]);
    }
    let rows = batch(vec![("name", texts([Some("aBC"), Some("X")])), ("n", integers([1, 2]))]);
    assert_eq!(place.run(&Run::new("t", 3, &["name"], REPLACE, rows)).await.unwrap().removed, 0);
    assert_eq!(place.values("name, n", "FROM t ORDER BY name").await, ["'aBC'|1", "'X'|2"]);
}
