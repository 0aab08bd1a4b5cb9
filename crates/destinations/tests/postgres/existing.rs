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

#[tokio::test]
async fn what_is_no_table_is_said() {
    let Some(bench) = bench("t_no_table").await else { return };
    bench
        .execute(
            "CREATE TABLE t_no_table.base (id bigint PRIMARY KEY, v text); CREATE VIEW {t} AS TABLE t_no_table.base",
        )
        .await;
    let refused = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap_err();
    assert_eq!(refused.code().id, "DEST-004");
    assert!(refused.message().contains("a view"), "{}", refused.message());
}

#[tokio::test]
async fn types_that_do_not_fit_are_named_together() {
    let Some(bench) = bench("t_type_mismatch").await else { return };
    bench.execute("CREATE TABLE {t} (id bigint PRIMARY KEY, a date, b integer, c bytea)").await;
    let rows = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
        ("a", Arc::new(Int64Array::from(vec![1]))),
        ("b", Arc::new(Int64Array::from(vec![1]))),
        ("c", Arc::new(Float64Array::from(vec![1.0]))),
    ]);
    let refused = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap_err();
    assert_eq!(refused.code().id, "DEST-004");
    let message = refused.message();
    assert!(message.contains("\"a\" is date, which cannot take BIGINT"), "{message}");
    assert!(message.contains("\"c\" is bytea, which cannot take DOUBLE"), "{message}");
    assert!(!message.contains("\"b\""), "{message}");
}

#[tokio::test]
async fn indexes_that_do_not_hold_the_key_are_no_help() {
    let Some(bench) = bench("t_unfit_indexes").await else { return };
    bench
        .execute(
            "CREATE TABLE {t} (id bigint NOT NULL, v text, CONSTRAINT late UNIQUE (id) DEFERRABLE); \
             CREATE UNIQUE INDEX ON {t} (id) WHERE v IS NOT NULL; CREATE UNIQUE INDEX ON {t} ((id + 1)); \
             CREATE UNIQUE INDEX ON {t} (id, v); CREATE INDEX ON {t} (id)",
        )
        .await;
    let rows = vec![(Op::Upsert, two(&[1], &["a"]))];
    let refused = bench.deliver(1, INCREMENTAL, &["id"], rows.clone()).await.unwrap_err();
    assert_eq!(refused.code().id, "DEST-005");
    bench.execute("CREATE UNIQUE INDEX ON {t} (id) INCLUDE (v)").await;
    bench.deliver(2, INCREMENTAL, &["id"], rows).await.unwrap();
}

#[tokio::test]
async fn generated_and_identity_columns() {
    let Some(bench) = bench("t_generated").await else { return };
    bench
        .execute(
            "CREATE TABLE {t} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text, \
             number bigint GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME t_generated.s), loud text GENERATED ALWAYS AS (upper(v)) STORED)",
        )
        .await;
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[7, 8], &["a", "b"]))]).await.unwrap();
    let delivered = bench.deliver(2, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[7], &["c"]))]).await.unwrap();
    assert_eq!(delivered.codes(), []);
    assert_eq!(bench.select("id, v, loud").await, texts(&[&["7", "c", "C"], &["8", "b", "B"]]));
    for (name, word) in [("loud", "generates"), ("number", "numbers")] {
        let rows = batch(vec![
            ("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
            (name, Arc::new(Int64Array::from(vec![1]))),
        ]);
        let refused = bench.deliver(3, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap_err();
        assert_eq!(refused.code().id, "DEST-004");
        assert!(refused.message().contains(word), "{}", refused.message());
    }
}

#[tokio::test]
async fn every_kind_of_constraint_rejects_its_row_only() {
    let Some(bench) = bench("t_constraints").await else { return };
    bench
        .execute(
            "CREATE TABLE t_constraints.parents (id bigint PRIMARY KEY); INSERT INTO t_constraints.parents VALUES (1), (2); \
             CREATE TABLE {t} (id bigint PRIMARY KEY, parent bigint REFERENCES t_constraints.parents DEFERRABLE INITIALLY DEFERRED, \
               must text NOT NULL, mail text UNIQUE, age integer CONSTRAINT grown CHECK (age >= 18), \
               span int4range, EXCLUDE USING gist (span WITH &&)); \
             CREATE FUNCTION t_constraints.refuse() RETURNS trigger LANGUAGE plpgsql AS \
               $$ BEGIN IF NEW.must = 'never' THEN RAISE EXCEPTION 'secret %', NEW.must; END IF; RETURN NEW; END $$; \
             CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION t_constraints.refuse()",
        )
        .await;
    let rows = batch(vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..8)) as ArrayRef),
        ("parent", Arc::new(Int64Array::from(vec![1, 9, 2, 1, 1, 1, 1, 1]))),
        (
            "must",
            Arc::new(StringArray::from(vec![
                Some("x"),
                Some("x"),
                None,
                Some("x"),
                Some("x"),
                Some("never"),
                Some("x"),
                Some("x"),
            ])),
        ),
        ("mail", Arc::new(StringArray::from(vec!["a", "b", "c", "a", "d", "e", "f", "g"]))),
        ("age", Arc::new(Int64Array::from(vec![18, 19, 20, 21, 17, 22, 23, 24]))),
        (
            "span",
            Arc::new(StringArray::from(vec![
                Some("[1,3)"),
                None,
                None,
                None,
                None,
                None,
                Some("[2,5)"),
                Some("[5,6)"),
            ])),
        ),
    ]);
    let delivered = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    let found: Vec<_> = delivered
        .codes()
        .into_iter()
        .zip(delivered.reasons())
        .map(|((_, row, code), reason)| (row, code, reason))
        .collect();
    let expected = [
        (1, "ROW-002", "the foreign key \"Customers_parent_fkey\" does not hold"),
        (2, "ROW-002", "column \"must\" must not be null"),
        (3, "ROW-002", "another row has the same value under the unique constraint \"Customers_mail_key\""),
        (4, "ROW-002", "the check \"grown\" does not hold"),
        (5, "ROW-002", "a trigger of the table refused it (SQLSTATE P0001)"),
        (6, "ROW-002", "another row conflicts with it under the exclusion constraint \"Customers_span_excl\""),
    ];
    assert_eq!(found, expected);
    assert_eq!(bench.select("id").await, texts(&[&["0"], &["7"]]));
}

#[tokio::test]
async fn a_row_that_is_needed_elsewhere_is_not_deleted() {
    let Some(bench) = bench("t_needed").await else { return };
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1, 2, 3], &["a", "b", "c"]))]).await.unwrap();
    bench
        .execute(
            "CREATE TABLE t_needed.orders (customer bigint REFERENCES {t}); INSERT INTO t_needed.orders VALUES (2)",
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
async fn rows_that_refer_to_each_other_arrive_in_any_order() {
    let Some(bench) = bench("t_self_reference").await else { return };
    bench
        .execute("CREATE TABLE {t} (id bigint PRIMARY KEY, boss bigint REFERENCES {t}, v text CHECK (v <> 'bad'))")
        .await;
    let rows = |bosses: Vec<Option<i64>>, values: [&str; 5]| {
        batch(vec![
            ("id", Arc::new(Int64Array::from_iter_values(1..6)) as ArrayRef),
            ("boss", Arc::new(Int64Array::from(bosses))),
            ("v", Arc::new(StringArray::from(values.to_vec()))),
        ])
    };
    // The bad row makes the server refuse the whole, so that the halves come one by one.
    let chain = rows(vec![Some(2), Some(3), Some(4), None, None], ["a", "b", "c", "d", "bad"]);
    let delivered = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, chain)]).await.unwrap();
    assert_eq!(delivered.codes(), [(0, 4, "ROW-002")]);
    assert_eq!(bench.count().await, 4);
}

/// What a rename, a truncation or a rewriting would change.
async fn table_identity(bench: &tapline_core::testing::bench::Bench) -> Vec<Vec<Option<String>>> {
    bench.probe.rows(&format!("SELECT oid, relfilenode FROM pg_class WHERE oid = '{}'::regclass", bench.table)).await
}

#[tokio::test]
async fn what_hangs_on_a_table_survives_a_full_refresh() {
    let Some(bench) = bench("t_survivors").await else { return };
    bench
        .execute(
            "CREATE TABLE {t} (id bigint PRIMARY KEY, v text); INSERT INTO {t} VALUES (1, 'old'), (2, 'gone'); \
             CREATE INDEX by_v ON {t} (v); CREATE VIEW t_survivors.view AS SELECT v FROM {t}; \
             CREATE TABLE t_survivors.orders (customer bigint REFERENCES {t}); INSERT INTO t_survivors.orders VALUES (1); \
             DROP ROLE IF EXISTS t_survivors_reader; CREATE ROLE t_survivors_reader; GRANT SELECT ON {t} TO t_survivors_reader",
        )
        .await;
    let before = table_identity(&bench).await;
    let delivered = bench.deliver(1, REPLACE, &["id"], vec![(Op::Upsert, two(&[1, 3], &["new", "c"]))]).await.unwrap();
    assert_eq!(delivered.receipt.removed, 1);
    assert_eq!(table_identity(&bench).await, before, "neither renamed nor truncated nor rewritten");
    assert_eq!(bench.probe.rows("SELECT v FROM t_survivors.view ORDER BY 1").await, texts(&[&["c"], &["new"]]));
    let right = format!("SELECT has_table_privilege('t_survivors_reader', '{}', 'SELECT')", bench.table);
    assert_eq!(bench.probe.rows(&right).await, texts(&[&["t"]]));
    bench.execute("DROP OWNED BY t_survivors_reader; DROP ROLE t_survivors_reader").await;
    let unchanged = format!("SELECT xmin FROM {} WHERE id = 3", bench.table);
    let version = bench.probe.rows(&unchanged).await;
    bench.deliver(2, FULL, &["id"], vec![(Op::Upsert, two(&[1, 3], &["newer", "c"]))]).await.unwrap();
    assert_eq!(bench.probe.rows(&unchanged).await, version, "a row that does not differ is not written");
}

#[tokio::test]
async fn partitions_take_their_rows() {
    let Some(bench) = bench("t_partitions").await else { return };
    bench
        .execute(
            "CREATE TABLE {t} (id bigint PRIMARY KEY, v text) PARTITION BY RANGE (id); \
             CREATE TABLE t_partitions.low PARTITION OF {t} FOR VALUES FROM (0) TO (10); \
             CREATE TABLE t_partitions.high PARTITION OF {t} FOR VALUES FROM (10) TO (20)",
        )
        .await;
    let rows = two(&[1, 11, 21], &["a", "b", "no partition"]);
    let delivered = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    assert_eq!(delivered.codes(), [(0, 2, "ROW-002")]);
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"], &["11", "b"]]));
    let marker = bench.marker().await;
    assert_eq!(marker.table, marker.published_table);
    bench.execute("TRUNCATE t_partitions.high").await;
    assert_ne!(bench.marker().await.table, marker.published_table, "a truncated partition shows");
}

#[tokio::test]
async fn keys_that_the_collation_folds_are_one() {
    let Some(bench) = bench("t_folded").await else { return };
    bench.execute("CREATE EXTENSION IF NOT EXISTS citext; CREATE TABLE {t} (id citext PRIMARY KEY, v text)").await;
    let rows = |ids: &[&str], values: &[&str]| {
        batch(vec![
            ("id", Arc::new(StringArray::from(ids.to_vec())) as ArrayRef),
            ("v", Arc::new(StringArray::from(values.to_vec()))),
        ])
    };
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows(&["abc", "x"], &["1", "2"]))]).await.unwrap();
    let twice = rows(&["ABC", "y", "Y"], &["1", "3", "4"]);
    let delivered = bench.deliver(2, INCREMENTAL, &["id"], vec![(Op::Upsert, twice)]).await.unwrap();
    assert_eq!(delivered.codes(), [(0, 1, "ROW-002"), (0, 2, "ROW-002")]);
    assert_eq!(bench.select("id, v").await, texts(&[&["ABC", "1"], &["x", "2"]]), "a new spelling is delivered");
}

#[tokio::test]
async fn a_key_that_changes_only_its_case_is_delivered() {
    let Some(bench) = bench("t_case_changed").await else { return };
    bench.execute("CREATE EXTENSION IF NOT EXISTS citext; CREATE TABLE {t} (id citext PRIMARY KEY, v text)").await;
    let rows = |ids: &[&str], values: &[&str]| {
        batch(vec![
            ("id", Arc::new(StringArray::from(ids.to_vec())) as ArrayRef),
            ("v", Arc::new(StringArray::from(values.to_vec()))),
        ])
    };
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows(&["abc", "x"], &["1", "2"]))]).await.unwrap();
    // To the model one row went and another came; whichever is said first, the row is there in the end.
    for (generation, insert) in [(2, Op::Upsert), (3, Op::Insert)] {
        let (old, new) = if generation == 2 { ("abc", "ABC") } else { ("ABC", "Abc") };
        let mut run =
            bench.open(bench.target(generation, INCREMENTAL, &["id"], rows(&[], &[]).schema())).await.unwrap();
        run.write(insert, rows(&[new], &["1"])).await.unwrap();
        run.write(Op::Delete, rows(&[old], &[""]).project(&[0]).unwrap()).await.unwrap();
        assert_eq!(run.publish().await.unwrap().codes(), []);
        assert_eq!(bench.select("id, v").await, texts(&[&[new, "1"], &["x", "2"]]));
    }
    // A full refresh writes the new spelling into the row that is there.
    let delivered =
        bench.deliver(4, FULL, &["id"], vec![(Op::Upsert, rows(&["aBC", "X"], &["1", "2"]))]).await.unwrap();
    assert_eq!((delivered.codes(), delivered.receipt.removed), (vec![], 0));
    assert_eq!(bench.select("id, v").await, texts(&[&["aBC", "1"], &["X", "2"]]));
}

#[tokio::test]
async fn each_bad_row_costs_few_statements() {
    let Some(bench) = bench("t_halving").await else { return };
    // A sequence counts on where a savepoint takes everything else back.
    bench
        .execute(
            "CREATE SEQUENCE t_halving.attempts; CREATE FUNCTION t_halving.count() RETURNS trigger LANGUAGE plpgsql AS \
               $$ BEGIN PERFORM nextval('t_halving.attempts'); RETURN NULL; END $$; \
             CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v text CHECK (v <> 'bad')); \
             CREATE TRIGGER count BEFORE INSERT ON {t} FOR EACH STATEMENT EXECUTE FUNCTION t_halving.count()",
        )
        .await;
    let attempts = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM t_halving.attempts";
    crate::halving::each_bad_row_costs_few_statements(&bench, Some(attempts)).await;
}

#[tokio::test]
async fn row_level_security_refuses_rows() {
    let Some(bench) = bench("t_policies").await else { return };
    let url = super::server("t_policies").unwrap();
    bench
        .execute(
            "CREATE TABLE {t} (id bigint PRIMARY KEY, v text); ALTER TABLE {t} ENABLE ROW LEVEL SECURITY; \
             CREATE POLICY ours ON {t} USING (v = 'ours') WITH CHECK (v = 'ours'); \
             DROP ROLE IF EXISTS t_policies_writer; CREATE ROLE t_policies_writer LOGIN PASSWORD 'writer'; \
             GRANT ALL ON SCHEMA t_policies TO t_policies_writer; GRANT ALL ON {t} TO t_policies_writer",
        )
        .await;
    let mut bench = bench;
    bench.destination = super::connect(super::config(&super::as_role(&url, "t_policies_writer", "writer")));
    let rows = two(&[1, 2, 3], &["ours", "theirs", "ours"]);
    let delivered = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    assert_eq!(delivered.codes(), [(0, 1, "ROW-002")]);
    assert!(delivered.reasons()[0].contains("policy"), "{:?}", delivered.reasons());
    assert_eq!(bench.count().await, 2);
}
