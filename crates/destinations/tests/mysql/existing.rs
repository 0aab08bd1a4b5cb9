//! Tables that were there before us: what is refused, what survives, and what their constraints make of rows.

use std::sync::Arc;

use arrow::array::*;
use tapline_core::testing::bench::{FULL, REPLACE, batch, texts};
use tapline_core::{Op, Refresh};

use super::bench;

const INCREMENTAL: Refresh = Refresh::Incremental;

fn two(ids: &[i64], values: &[&str]) -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef),
        ("v", Arc::new(StringArray::from(values.to_vec()))),
    ])
}

/// Rows whose key is a text.
fn named(ids: &[&str], values: &[&str]) -> RecordBatch {
    batch(vec![
        ("id", Arc::new(StringArray::from(ids.to_vec())) as ArrayRef),
        ("v", Arc::new(StringArray::from(values.to_vec()))),
    ])
}

#[tokio::test]
async fn views_and_tables_without_transactions_are_refused() {
    let Some(bench) = bench("t_no_table").await else { return };
    bench.execute("CREATE TABLE base (id bigint PRIMARY KEY, v text); CREATE VIEW {t} AS SELECT * FROM base").await;
    let refused = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap_err();
    assert_eq!(refused.code().id, "DEST-004");
    assert!(refused.message().contains("a view"), "{}", refused.message());
    for engine in ["MyISAM", "Aria", "MEMORY"] {
        bench
            .execute(&format!(
                "DROP VIEW IF EXISTS {{t}}; DROP TABLE IF EXISTS {{t}}; \
                 CREATE TABLE {{t}} (id bigint PRIMARY KEY, v varchar(9)) ENGINE = {engine}"
            ))
            .await;
        let refused = bench.deliver(2, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap_err();
        assert_eq!(refused.code().id, "DEST-004");
        assert!(refused.message().contains(engine), "{}", refused.message());
        assert!(refused.hints().iter().any(|hint| hint.contains("ENGINE = InnoDB")), "{:?}", refused.hints());
    }
}

#[tokio::test]
async fn types_that_do_not_fit_are_named_together() {
    let Some(bench) = bench("t_type_mismatch").await else { return };
    bench.execute("CREATE TABLE {t} (id bigint PRIMARY KEY, a date, b integer, c point, d timestamp NULL)").await;
    let rows = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
        ("a", Arc::new(Int64Array::from(vec![1]))),
        ("b", Arc::new(Int64Array::from(vec![1]))),
        ("c", Arc::new(Float64Array::from(vec![1.0]))),
        ("d", Arc::new(TimestampMicrosecondArray::from(vec![1]))),
    ]);
    let refused = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap_err();
    assert_eq!(refused.code().id, "DEST-004");
    let message = refused.message();
    assert!(message.contains("\"a\" is date, which cannot take BIGINT"), "{message}");
    assert!(message.contains("\"c\" is point, which cannot take DOUBLE"), "{message}");
    assert!(message.contains("which zone the model's TIMESTAMP is in"), "{message}");
    assert!(!message.contains("\"b\""), "{message}");
}

#[tokio::test]
async fn indexes_that_do_not_hold_the_key_are_no_help() {
    let Some(bench) = bench("t_unfit_indexes").await else { return };
    bench
        .execute(
            "CREATE TABLE {t} (id varchar(20) NOT NULL, v text, UNIQUE (id(3)), UNIQUE both_ (id, v(9)), KEY (id))",
        )
        .await;
    let rows = vec![(Op::Upsert, named(&["1"], &["a"]))];
    let refused = bench.deliver(1, INCREMENTAL, &["id"], rows.clone()).await.unwrap_err();
    assert_eq!(refused.code().id, "DEST-005");
    bench.execute("CREATE UNIQUE INDEX whole ON {t} (id)").await;
    bench.deliver(2, INCREMENTAL, &["id"], rows).await.unwrap();
}

#[tokio::test]
async fn generated_numbered_and_default_columns() {
    let Some(bench) = bench("t_generated").await else { return };
    bench
        .execute(
            "CREATE TABLE {t} (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, v varchar(20), \
               loud varchar(20) AS (upper(v)) STORED, note varchar(20) NOT NULL DEFAULT 'new', \
               made datetime NOT NULL DEFAULT current_timestamp)",
        )
        .await;
    // Zero is a number, and no request for one.
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[0, 8], &["a", "b"]))]).await.unwrap();
    let delivered = bench.deliver(2, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[0], &["c"]))]).await.unwrap();
    assert_eq!(delivered.codes(), []);
    assert_eq!(bench.select("id, v, loud, note").await, texts(&[&["0", "c", "C", "new"], &["8", "b", "B", "new"]]));
    let rows = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
        ("loud", Arc::new(StringArray::from(vec!["x"]))),
    ]);
    let refused = bench.deliver(3, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap_err();
    assert!(refused.message().contains("generates \"loud\" itself"), "{}", refused.message());
}

#[tokio::test]
async fn every_kind_of_constraint_rejects_its_row_only() {
    let Some(bench) = bench("t_constraints").await else { return };
    bench
        .execute(
            "CREATE TABLE parents (id bigint PRIMARY KEY); INSERT INTO parents VALUES (1), (2); \
             CREATE TABLE {t} (id bigint PRIMARY KEY, parent bigint, must varchar(20) NOT NULL, mail varchar(20) UNIQUE, \
               age integer, CONSTRAINT grown CHECK (age >= 18), CONSTRAINT of_parent FOREIGN KEY (parent) REFERENCES parents (id)); \
             CREATE TRIGGER refuse BEFORE INSERT ON {t} FOR EACH ROW \
               IF NEW.must = 'never' THEN SIGNAL SQLSTATE '45000' SET message_text = 'secret'; END IF",
        )
        .await;
    let must = [Some("x"), Some("x"), None, Some("x"), Some("x"), Some("never"), Some("x")];
    let rows = batch(vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..7)) as ArrayRef),
        ("parent", Arc::new(Int64Array::from(vec![1, 9, 2, 1, 1, 1, 1]))),
        ("must", Arc::new(StringArray::from(must.to_vec()))),
        ("mail", Arc::new(StringArray::from(vec!["a", "b", "c", "a", "d", "e", "f"]))),
        ("age", Arc::new(Int64Array::from(vec![18, 19, 20, 21, 17, 22, 23]))),
    ]);
    let delivered = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    let found: Vec<_> = delivered
        .codes()
        .into_iter()
        .zip(delivered.reasons())
        .map(|((_, row, code), reason)| (row, code, reason))
        .collect();
    let expected = [
        (1, "ROW-002", "the foreign key \"of_parent\" does not hold"),
        (2, "ROW-002", "column \"must\": the column must not be null"),
        (3, "ROW-002", "another row has the same value under the unique key \"mail\""),
        (4, "ROW-002", "the check \"grown\" does not hold"),
        (5, "ROW-002", "a trigger of the table refused it (SQLSTATE 45000)"),
    ];
    assert_eq!(found, expected);
    assert_eq!(bench.select("id").await, texts(&[&["0"], &["6"]]));
}

#[tokio::test]
async fn a_row_that_is_needed_elsewhere_is_not_deleted() {
    let Some(bench) = bench("t_needed").await else { return };
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1, 2, 3], &["a", "b", "c"]))]).await.unwrap();
    bench
        .execute(
            "CREATE TABLE orders (customer bigint, FOREIGN KEY (customer) REFERENCES {t} (id)); \
             INSERT INTO orders VALUES (2)",
        )
        .await;
    let mut run = bench.open(bench.target(2, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
    run.write(Op::Delete, two(&[1, 2, 3], &["", "", ""]).project(&[0]).unwrap()).await.unwrap();
    let delivered = run.publish().await.unwrap();
    assert_eq!(delivered.codes(), [(0, 1, "ROW-002")]);
    assert_eq!(bench.select("id").await, texts(&[&["2"]]));
    // A full refresh that would remove it changes nothing.
    let refused = bench.deliver(3, FULL, &["id"], vec![(Op::Upsert, two(&[5], &["e"]))]).await.unwrap_err();
    assert_eq!(refused.code().id, "DEST-006");
    assert!(refused.message().contains("foreign key"), "{}", refused.message());
    assert_eq!(bench.select("id").await, texts(&[&["2"]]));
    // Without a key every row would be replaced.
    let refused = bench.deliver(4, FULL, &[], vec![(Op::Insert, two(&[5], &["e"]))]).await.unwrap_err();
    assert_eq!(refused.code().id, "DEST-004");
}

#[tokio::test]
async fn what_hangs_on_a_table_survives_a_full_refresh() {
    let Some(bench) = bench("t_survivors").await else { return };
    bench
        .execute(
            "CREATE TABLE {t} (id bigint PRIMARY KEY, v varchar(20)); INSERT INTO {t} VALUES (1, 'old'), (2, 'gone'); \
             CREATE INDEX by_v ON {t} (v); CREATE VIEW seen AS SELECT v FROM {t}; \
             CREATE TABLE orders (customer bigint, FOREIGN KEY (customer) REFERENCES {t} (id)); INSERT INTO orders VALUES (1); \
             CREATE TABLE written (id bigint); \
             CREATE TRIGGER counts AFTER UPDATE ON {t} FOR EACH ROW INSERT INTO written VALUES (NEW.id); \
             CREATE OR REPLACE USER t_survivors_reader; GRANT SELECT ON {t} TO t_survivors_reader",
        )
        .await;
    let before = bench.destination.marker(&bench.stream).await.unwrap();
    assert_eq!(before, None);
    let delivered = bench.deliver(1, REPLACE, &["id"], vec![(Op::Upsert, two(&[1, 3], &["new", "c"]))]).await.unwrap();
    assert_eq!(delivered.receipt.removed, 1);
    assert_eq!(bench.probe.rows("SELECT v FROM seen ORDER BY 1").await, texts(&[&["c"], &["new"]]));
    let grants =
        "SELECT privilege_type FROM information_schema.table_privileges WHERE grantee LIKE '%t_survivors_reader%'";
    assert_eq!(bench.probe.rows(grants).await, texts(&[&["SELECT"]]));
    let index =
        "SELECT count(*) FROM information_schema.statistics WHERE table_schema = 't_survivors' AND index_name = 'by_v'";
    assert_eq!(bench.probe.rows(index).await, texts(&[&["1"]]));
    bench.deliver(2, FULL, &["id"], vec![(Op::Upsert, two(&[1, 3], &["newer", "c"]))]).await.unwrap();
    let written = "SELECT id FROM written";
    assert_eq!(bench.probe.rows(written).await, texts(&[&["1"], &["1"]]), "a row that does not differ is not written");
    bench.execute("DROP USER t_survivors_reader").await;
}

#[tokio::test]
async fn keys_that_the_collation_folds_are_one() {
    let Some(bench) = bench("t_folded").await else { return };
    bench
        .execute(
            "CREATE TABLE {t} (id varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, v text)",
        )
        .await;
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, named(&["abc", "x"], &["1", "2"]))]).await.unwrap();
    let twice = named(&["ABC", "y", "Y"], &["1", "3", "4"]);
    let delivered = bench.deliver(2, INCREMENTAL, &["id"], vec![(Op::Upsert, twice)]).await.unwrap();
    assert_eq!(delivered.codes(), [(0, 1, "ROW-002"), (0, 2, "ROW-002")]);
    assert_eq!(bench.select("id, v").await, texts(&[&["ABC", "1"], &["x", "2"]]), "a new spelling is delivered");
    // Spaces at the end do not count to this collation either.
    let spaces = named(&["z", "z "], &["5", "6"]);
    let delivered = bench.deliver(3, INCREMENTAL, &["id"], vec![(Op::Upsert, spaces)]).await.unwrap();
    assert_eq!(delivered.codes(), [(0, 0, "ROW-002"), (0, 1, "ROW-002")]);
    // A full refresh writes the new spelling into the row that is there.
    let rows = named(&["aBC", "X"], &["1", "2"]);
    let delivered = bench.deliver(4, FULL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    assert_eq!((delivered.codes(), delivered.receipt.removed), (vec![], 0));
    assert_eq!(bench.select("id, v").await, texts(&[&["aBC", "1"], &["X", "2"]]));
}

/// Keys of a table of Tapline's own differ where one character does, or a space at the end.
#[tokio::test]
async fn keys_of_a_new_table_are_compared_exactly() {
    let Some(bench) = bench("t_exact_keys").await else { return };
    let rows = named(&["a", "A", "ä", "a ", ""], &["1", "2", "3", "4", "5"]);
    for generation in [1, 2] {
        let delivered =
            bench.deliver(generation, INCREMENTAL, &["id"], vec![(Op::Upsert, rows.clone())]).await.unwrap();
        assert_eq!(delivered.codes(), []);
        assert_eq!(bench.count().await, 5);
    }
}

/// A column of few characters takes those that it has; what it has not is no question mark.
#[tokio::test]
async fn texts_that_the_character_set_does_not_hold_are_rejected() {
    let Some(bench) = bench("t_charsets").await else { return };
    bench
        .execute(
            "CREATE TABLE {t} (id varchar(20) CHARACTER SET latin1 PRIMARY KEY, v varchar(20) CHARACTER SET utf8mb3)",
        )
        .await;
    let rows = named(&["Grüße", "Жук", "c", "d"], &["a", "b", "Жук", "𝄞"]);
    for generation in [1, 2] {
        let delivered =
            bench.deliver(generation, INCREMENTAL, &["id"], vec![(Op::Upsert, rows.clone())]).await.unwrap();
        assert_eq!(delivered.codes(), [(0, 1, "ROW-001"), (0, 3, "ROW-001")]);
        assert_eq!(bench.select("id, v").await, texts(&[&["c", "Жук"], &["Grüße", "a"]]));
    }
    let rows = named(&["Grüße"], &["changed"]);
    let delivered = bench.deliver(3, FULL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    assert_eq!(delivered.receipt.removed, 1);
    assert_eq!(bench.select("id, v").await, texts(&[&["Grüße", "changed"]]));
}

#[tokio::test]
async fn partitions_take_their_rows() {
    let Some(bench) = bench("t_partitions").await else { return };
    bench
        .execute(
            "CREATE TABLE {t} (id bigint PRIMARY KEY, v text) PARTITION BY RANGE (id) \
             (PARTITION low VALUES LESS THAN (10), PARTITION high VALUES LESS THAN (20))",
        )
        .await;
    let rows = two(&[1, 11, 21], &["a", "b", "no partition"]);
    let delivered = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    assert_eq!(delivered.codes(), [(0, 2, "ROW-002")]);
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"], &["11", "b"]]));
}

#[tokio::test]
async fn each_bad_row_costs_few_statements() {
    let Some(bench) = bench("t_halving").await else { return };
    bench.execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v text CHECK (v <> 'bad'))").await;
    crate::halving::each_bad_row_costs_few_statements(&bench, None).await;
}
