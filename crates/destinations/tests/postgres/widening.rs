//! Tables that change for the fields: which types become which, and what keeps them from it.

use std::sync::Arc;

use arrow::array::*;
use tapline_core::testing::bench::{Bench, Delivered, batch, texts};
use tapline_core::{Op, Refresh, Result, Target};

use super::bench;

const INCREMENTAL: Refresh = Refresh::Incremental;

fn rows(values: ArrayRef) -> RecordBatch {
    let ids = Int64Array::from_iter_values(2..2 + values.len() as i64);
    batch(vec![("id", Arc::new(ids) as ArrayRef), ("v", values)])
}

async fn deliver(bench: &Bench, generation: u64, rows: RecordBatch) -> Result<Delivered> {
    let target = Target { widen: true, ..bench.target(generation, INCREMENTAL, &["id"], rows.schema()) };
    let mut run = bench.open(target).await?;
    run.write(Op::Upsert, rows).await?;
    run.publish().await
}

async fn type_of(bench: &Bench) -> String {
    let question = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute \
                    WHERE attrelid = '{t}'::regclass AND attname = 'v'";
    bench.probe.rows(&question.replace("{t}", &bench.table)).await[0][0].clone().unwrap()
}

#[tokio::test]
async fn types_widen_where_a_value_needs_it_and_no_value_changes() {
    let Some(bench) = bench("t_widen_types").await else { return };
    let texts = |values: &[&str]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let integers = |value: i64| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    let doubles = |value: f64| Arc::new(Float64Array::from(vec![value])) as ArrayRef;
    let decimal = |value: i128, precision, scale| {
        let array = Decimal128Array::from(vec![value]).with_precision_and_scale(precision, scale);
        Arc::new(array.unwrap()) as ArrayRef
    };
    let stamp = |value: i64| Arc::new(TimestampMicrosecondArray::from(vec![value])) as ArrayRef;
    // The column's type, a value that is there, what is delivered; the type afterwards, and both values.
    let cases: Vec<(&str, &str, ArrayRef, &str, [&str; 2])> = vec![
        ("smallint", "-7", integers(32_767), "smallint", ["-7", "32767"]),
        ("smallint", "-7", integers(32_768), "bigint", ["-7", "32768"]),
        ("integer", "7", integers(1 << 40), "bigint", ["7", "1099511627776"]),
        ("integer", "7", doubles(8.0), "integer", ["7", "8"]),
        ("integer", "2147483647", doubles(0.5), "double precision", ["2147483647", "0.5"]),
        ("bigint", "9223372036854775807", doubles(0.5), "numeric", ["9223372036854775807", "0.5"]),
        ("bigint", "9223372036854775807", decimal(150, 10, 2), "numeric(21,2)", ["9223372036854775807.00", "1.50"]),
        ("real", "0.5", doubles(0.1), "double precision", ["0.5", "0.1"]),
        ("numeric(5,2)", "123.45", decimal(12_345_678, 12, 4), "numeric(12,4)", ["123.4500", "1234.5678"]),
        ("numeric(5,2)", "123.45", integers(1_000_000), "numeric(21,2)", ["123.45", "1000000.00"]),
        ("varchar(3)", "abc", texts(&["def"]), "character varying(3)", ["abc", "def"]),
        ("varchar(3)", "abc", texts(&["defg"]), "text", ["abc", "defg"]),
        ("integer", "7", texts(&["8"]), "integer", ["7", "8"]),
        ("integer", "7", texts(&["008"]), "text", ["7", "008"]),
        ("numeric(5,2)", "1.50", texts(&["about 2"]), "text", ["1.50", "about 2"]),
        ("boolean", "true", texts(&["unknown"]), "text", ["true", "unknown"]),
        ("date", "2024-02-29", texts(&["2023-02-29"]), "text", ["2024-02-29", "2023-02-29"]),
        (
            "date",
            "2024-02-29",
            stamp(1),
            "timestamp without time zone",
            ["2024-02-29 00:00:00", "1970-01-01 00:00:00.000001"],
        ),
        (
            "timestamp(0)",
            "2024-02-29 00:00:00",
            stamp(1),
            "timestamp without time zone",
            ["2024-02-29 00:00:00", "1970-01-01 00:00:00.000001"],
        ),
        ("timestamptz", "2024-02-29 00:00:00+00", texts(&["soon"]), "text", ["2024-02-29 00:00:00+00", "soon"]),
        (
            "uuid",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            texts(&["none"]),
            "text",
            ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "none"],
        ),
    ];
    for (generation, (before, there, values, after, expected)) in (1..).zip(cases) {
        let what = format!("{before} for {values:?}");
        bench.execute("DROP TABLE IF EXISTS {t}").await;
        bench.execute(&format!("CREATE TABLE {{t}} (id bigint PRIMARY KEY, v {before})")).await;
        bench.execute(&format!("INSERT INTO {{t}} VALUES (1, '{there}')")).await;
        let delivered = deliver(&bench, generation, rows(values)).await;
        let delivered = delivered.unwrap_or_else(|error| panic!("{what}: {error:?} {:?}", error.hints()));
        assert_eq!(delivered.reasons(), Vec::<&str>::new(), "{what}");
        assert_eq!(type_of(&bench).await, after, "{what}");
        let found: Vec<_> = bench.select("id, v").await.into_iter().map(|row| row[1].clone().unwrap()).collect();
        assert_eq!(found, expected, "{what}");
        let marker = bench.marker().await;
        assert_eq!(marker.table, marker.published_table, "{what}");
    }
}

#[tokio::test]
async fn types_without_a_wider_one_are_refused() {
    let Some(bench) = bench("t_widen_refused").await else { return };
    let day = || Arc::new(Date32Array::from(vec![1])) as ArrayRef;
    for (generation, data_type) in (1..).zip(["integer", "interval", "jsonb", "inet"]) {
        bench.execute("DROP TABLE IF EXISTS {t}").await;
        bench.execute(&format!("CREATE TABLE {{t}} (id bigint PRIMARY KEY, v {data_type})")).await;
        let error = deliver(&bench, generation, rows(day())).await.unwrap_err();
        assert_eq!(error.code().id, "DEST-004", "{data_type}: {error:?}");
        assert!(error.message().contains(data_type), "{}", error.message());
    }
    // Without leave to widen, the way to get it is named.
    bench.execute("DROP TABLE {t}; CREATE TABLE {t} (id bigint PRIMARY KEY, v date)").await;
    let stamp = || {
        Arc::new(StructArray::from(vec![(
            Arc::new(arrow::datatypes::Field::new("a", arrow::datatypes::DataType::Int64, true)),
            Arc::new(Int64Array::from(vec![1])) as ArrayRef,
        )])) as ArrayRef
    };
    let error = bench.deliver(9, INCREMENTAL, &["id"], vec![(Op::Upsert, rows(stamp()))]).await.unwrap_err();
    assert!(!error.hints().iter().any(|hint| hint.contains("on_drift")), "nothing wider holds both: {error:?}");
    bench.execute("DROP TABLE {t}; CREATE TABLE {t} (id bigint PRIMARY KEY, v varchar(9))").await;
    let zoned = Arc::new(BooleanArray::from(vec![true])) as ArrayRef;
    bench.deliver(10, INCREMENTAL, &["id"], vec![(Op::Upsert, rows(zoned))]).await.unwrap();
}

#[tokio::test]
async fn a_view_keeps_its_columns_and_the_run_says_so() {
    let Some(bench) = bench("t_widen_view").await else { return };
    bench
        .execute(
            "CREATE TABLE {t} (id bigint PRIMARY KEY, v integer); INSERT INTO {t} VALUES (1, 7); \
             CREATE VIEW t_widen_view.seen AS SELECT v FROM {t}",
        )
        .await;
    let values = || rows(Arc::new(StringArray::from(vec!["eight"])));
    let error = deliver(&bench, 1, values()).await.unwrap_err();
    assert_eq!(error.code().id, "DEST-004", "{error:?}");
    assert!(error.message().contains("view"), "{}", error.message());
    let hint = &error.hints()[0];
    assert!(hint.contains("ALTER TABLE") && hint.contains("\"v\" TYPE text"), "{hint}");
    assert_eq!((type_of(&bench).await.as_str(), bench.count().await), ("integer", 1));
    assert_eq!(bench.marker().await.published, None);
    bench.execute("DROP VIEW t_widen_view.seen").await;
    deliver(&bench, 2, values()).await.unwrap();
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "7"], &["2", "eight"]]));
}

#[tokio::test]
async fn only_the_owner_widens_and_collations_stay() {
    let Some(mut bench) = bench("t_widen_owner").await else { return };
    bench
        .execute(
            "DROP ROLE IF EXISTS t_widen_writer; CREATE ROLE t_widen_writer LOGIN PASSWORD 'writer'; \
             CREATE TABLE {t} (id bigint PRIMARY KEY, v varchar(3) COLLATE \"POSIX\" DEFAULT 'x' NOT NULL); \
             GRANT ALL ON SCHEMA t_widen_owner TO t_widen_writer; GRANT ALL ON {t} TO t_widen_writer",
        )
        .await;
    let owner = Arc::clone(&bench.destination);
    let url = super::server("t_widen_owner").unwrap();
    bench.destination = super::connect(super::config(&super::as_role(&url, "t_widen_writer", "writer")));
    let columns = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
        ("v", Arc::new(StringArray::from(vec!["long text"]))),
        ("new", Arc::new(Int64Array::from(vec![1]))),
    ]);
    let error = deliver(&bench, 1, columns.clone()).await.unwrap_err();
    assert_eq!(error.code().id, "DEST-003");
    assert!(error.hints()[0].contains("ADD COLUMN \"new\" bigint"), "{:?}", error.hints());
    bench.destination = owner;
    deliver(&bench, 2, columns).await.unwrap();
    let collation = "SELECT collation_name, column_default IS NOT NULL, is_nullable FROM information_schema.columns \
                     WHERE table_schema = 't_widen_owner' AND table_name = 'Customers' AND column_name = 'v'";
    assert_eq!(bench.probe.rows(collation).await, texts(&[&["POSIX", "t", "NO"]]));
    bench.execute("DROP OWNED BY t_widen_writer; DROP ROLE t_widen_writer").await;
}
