//! The type table: what new columns are, and what existing ones keep.

use std::sync::Arc;

use arrow::array::*;
use tapline_core::testing::bench::{batch, texts};
use tapline_core::testing::destination::every_type;
use tapline_core::{Op, Refresh};

use super::bench;

const INCREMENTAL: Refresh = Refresh::Incremental;

#[tokio::test]
async fn new_columns_have_the_documented_types_and_give_the_values_back() {
    let Some(bench) = bench("t_types").await else { return };
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, every_type())]).await.unwrap();
    let stream = bench.destination.streams().await.unwrap().remove(0);
    for (name, data_type, value) in COLUMNS {
        let field = stream.fields.iter().find(|field| field.name == *name).unwrap();
        assert_eq!(field.data_type, *data_type, "{name}");
        let found = bench.probe.rows(&format!("SELECT \"{name}\" FROM {} WHERE id = 1", bench.table)).await;
        assert_eq!(found, texts(&[&[value]]), "{name}");
    }
    assert_eq!(stream.fields.len(), COLUMNS.len() + 5, "id, and those of bytes");
}

/// Column, type, and the text of the value in the row with `id` 1.
const COLUMNS: &[(&str, &str, &str)] = &[
    ("boolean", "tinyint(1)", "1"),
    ("int8", "tinyint(4)", "-128"),
    ("int16", "smallint(6)", "-32768"),
    ("int32", "int(11)", "-2147483648"),
    ("int64", "bigint(20)", "-9223372036854775808"),
    ("uint8", "tinyint(3) unsigned", "255"),
    ("uint16", "smallint(5) unsigned", "65535"),
    ("uint32", "int(10) unsigned", "4294967295"),
    ("uint64", "bigint(20) unsigned", "18446744073709551615"),
    ("float32", "float", "0.1"),
    ("float64", "double", "0.1"),
    ("utf8", "longtext", "Grüße"),
    ("large_utf8", "longtext", "Grüße"),
    ("utf8_view", "longtext", "Grüße, lang genug für einen Puffer"),
    ("date32", "date", "2024-01-01"),
    ("date64", "date", "2024-01-01"),
    ("time32s", "time(6)", "01:01:01.000000"),
    ("time32ms", "time(6)", "01:01:01.001000"),
    ("time64us", "time(6)", "01:01:01.000001"),
    ("time64ns", "time(6)", "01:01:01.000001"),
    ("timestamp_s", "datetime(6)", "2023-11-14 22:13:20.000000"),
    ("timestamp_ms", "datetime(6)", "2023-11-14 22:13:20.001000"),
    ("timestamp_us", "datetime(6)", "1969-12-31 23:59:59.999999"),
    ("timestamp_ns", "datetime(6)", "2023-11-14 22:13:20.000001"),
    ("interval_ym", "longtext", "1 year 2 months"),
    ("interval_dt", "longtext", "3 days 00:00:04"),
    ("interval_mdn", "longtext", "1 year 2 months 3 days 00:00:04"),
    ("duration", "longtext", "24:00:00.000001"),
    ("timestamp_tz", "datetime(6)", "2023-11-14 22:13:20.000001"),
    ("decimal128", "decimal(10,2)", "-123.45"),
    ("decimal_wide", "decimal(38,38)", "-0.00000000000000000000000000000000012345"),
    ("hugeint", "decimal(39,0)", "-170141183460469231731687303715884105728"),
    ("decimal64", "decimal(9,2)", "1.50"),
    ("dictionary", "longtext", "red"),
    ("nothing", "longtext", "∅"),
    ("list", "longtext", "[1,null]"),
    ("text_list", "longtext", r#"["a \"b\", {c}",null,""]"#),
    ("nested_list", "longtext", "[[1,2],[3]]"),
    ("struct", "longtext", r#"{"a":1,"b":"ü"}"#),
    ("map", "longtext", r#"{"k":1}"#),
];

/// One value that a column keeps and one that it does not, for every rule.
#[tokio::test]
async fn what_a_column_would_not_give_back_is_rejected() {
    let Some(bench) = bench("t_misfits").await else { return };
    let floats = |good: f64, bad: f64| Arc::new(Float64Array::from(vec![good, bad])) as ArrayRef;
    let strings = |good: &str, bad: &str| Arc::new(StringArray::from(vec![good, bad])) as ArrayRef;
    let integers = |good: i64, bad: i64| Arc::new(Int64Array::from(vec![good, bad])) as ArrayRef;
    let stamps = |good: i64, bad: i64| Arc::new(TimestampMicrosecondArray::from(vec![good, bad])) as ArrayRef;
    let moments = |good: i64, bad: i64| {
        Arc::new(TimestampMicrosecondArray::from(vec![good, bad]).with_timezone("UTC")) as ArrayRef
    };
    let cases: Vec<(&str, ArrayRef, &str)> = vec![
        ("tinyint", integers(-128, 128), "-128"),
        ("tinyint unsigned", integers(255, -1), "255"),
        ("int", floats(3.0, 3.7), "3"),
        ("int", strings("7", "007"), "7"),
        ("bit(3)", integers(5, 8), "5"),
        ("decimal(5,2)", floats(1.25, 1.239), "1.25"),
        ("decimal(5,2)", strings("0.50", ".50"), "0.50"),
        ("decimal(5,2)", integers(999, 1_000), "999.00"),
        ("float", floats(0.5, 0.1), "0.5"),
        ("double", integers(1 << 53, (1 << 53) + 1), "9.007199254740992e15"),
        ("double", strings("9.007199254740992e15", "9007199254740992"), "9.007199254740992e15"),
        ("double", strings("0.00000015", "1.5e-7"), "0.00000015"),
        ("double", strings("3", "3.0"), "3"),
        ("double", floats(1e300, f64::INFINITY), "1e300"),
        ("double", floats(-0.5, f64::NAN), "-0.5"),
        ("varchar(3)", strings("𝄞ü ", "abcd"), "𝄞ü "),
        ("varchar(3)", strings("ab ", "abc "), "ab "),
        ("char(3)", strings("ab", "ab "), "ab"),
        ("tinytext", strings("a", &"ü".repeat(128)), "a"),
        ("enum('a','B')", strings("B", "b"), "B"),
        ("set('a','b','c')", strings("a,c", "c,a"), "a,c"),
        ("year", integers(2024, 1900), "2024"),
        ("date", strings("2024-02-29", "2023-02-29"), "2024-02-29"),
        ("date", stamps(86_400_000_000, 1), "1970-01-02"),
        ("datetime(3)", stamps(1_000, 1), "1970-01-01 00:00:00.001000"),
        ("timestamp(6) NULL", moments(1_000_000, 0), "1970-01-01 00:00:01.000000"),
        ("time", strings("23:59:59", "24:00:00"), "23:59:59"),
        (
            "uuid",
            strings("123e4567-e89b-12d3-a456-426614174000", "123E4567-E89B-12D3-A456-426614174000"),
            "123e4567-e89b-12d3-a456-426614174000",
        ),
        ("json", strings("{\"a\": 1}", "{a"), "{\"a\": 1}"),
    ];
    for (generation, (data_type, values, kept)) in (1..).zip(cases) {
        bench
            .execute(&format!("DROP TABLE IF EXISTS {{t}}; CREATE TABLE {{t}} (id bigint PRIMARY KEY, v {data_type})"))
            .await;
        let rows = batch(vec![("id", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef), ("v", values.clone())]);
        let delivered = bench.deliver(generation, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await;
        let delivered = delivered.unwrap_or_else(|error| panic!("{data_type} {values:?}: {error:?}"));
        let code = if data_type == "json" { delivered.codes()[0].2 } else { "ROW-001" };
        assert_eq!(delivered.codes(), [(0, 1, code)], "{data_type} {values:?}");
        let shown = if data_type.starts_with("bit") { "v + 0" } else { "v" };
        let found = bench.probe.rows(&format!("SELECT {shown} FROM {}", bench.table)).await;
        let kept = if data_type.starts_with("datetime(3)") { "1970-01-01 00:00:00.001" } else { kept };
        assert_eq!(found, texts(&[&[kept]]), "{data_type} {values:?}");
    }
}

/// Sixteen bytes of a UUID go into `binary(16)`, bytes of any kind come back as they were.
#[tokio::test]
async fn bytes_are_bytes() {
    let Some(bench) = bench("t_bytes").await else { return };
    let all: Vec<u8> = (0..=255).collect();
    let rows = batch(vec![
        ("id", Arc::new(BinaryArray::from(vec![all.as_slice(), b"\\N", b"", b"\t\n\\"])) as ArrayRef),
        ("v", Arc::new(BinaryArray::from(vec![b"".as_slice(), &all, b"\xc2\t\xe2\x82\n", b"\0"]))),
    ]);
    for generation in [1, 2] {
        let delivered =
            bench.deliver(generation, INCREMENTAL, &["id"], vec![(Op::Upsert, rows.clone())]).await.unwrap();
        assert_eq!(delivered.codes(), []);
    }
    let found = bench.probe.rows(&format!("SELECT count(*), sum(length(v)) FROM {}", bench.table)).await;
    assert_eq!(found, texts(&[&["4", "262"]]));
}

/// A table grows into what its rows need, and only where they need it.
#[tokio::test]
async fn types_widen_where_a_value_needs_it_and_no_value_changes() {
    let Some(bench) = bench("t_widening").await else { return };
    let type_of =
        "SELECT column_type FROM information_schema.columns WHERE table_schema = 't_widening' AND column_name = 'v'";
    let cases: Vec<(&str, &str, ArrayRef, ArrayRef, &str, &str)> = vec![
        (
            "int NOT NULL",
            "7",
            Arc::new(Int64Array::from(vec![8])),
            Arc::new(Int64Array::from(vec![1_i64 << 40])),
            "int(11)",
            "bigint(20)",
        ),
        (
            "varchar(3)",
            "'abc'",
            Arc::new(StringArray::from(vec!["x"])),
            Arc::new(StringArray::from(vec!["xxxx"])),
            "varchar(3)",
            "longtext",
        ),
        (
            "decimal(5,2)",
            "1.25",
            Arc::new(StringArray::from(vec!["2.50"])),
            Arc::new(StringArray::from(vec!["none"])),
            "decimal(5,2)",
            "longtext",
        ),
    ];
    for (case, (declared, held, fits, asks, before, after)) in (0_u64..).zip(cases) {
        bench
            .execute(&format!(
                "DROP TABLE IF EXISTS {{t}}; CREATE TABLE {{t}} (id bigint PRIMARY KEY, v {declared}); \
                 INSERT INTO {{t}} VALUES (1, {held})"
            ))
            .await;
        for (step, (values, expected)) in (1..).zip([(fits, before), (asks, after)]) {
            let rows = batch(vec![("id", Arc::new(Int64Array::from(vec![1 + step])) as ArrayRef), ("v", values)]);
            let mut target = bench.target(case * 2 + step.cast_unsigned(), INCREMENTAL, &["id"], rows.schema());
            target.widen = true;
            let mut run = bench.open(target).await.unwrap();
            run.write(Op::Upsert, rows).await.unwrap();
            assert_eq!(run.publish().await.unwrap().codes(), [], "{declared}");
            assert_eq!(bench.probe.rows(type_of).await, texts(&[&[expected]]), "{declared}");
        }
        assert_eq!(bench.count().await, 3);
        let kept = format!("SELECT v FROM {} WHERE id = 1", bench.table);
        assert_eq!(bench.probe.rows(&kept).await, texts(&[&[held.trim_matches('\'')]]));
    }
}
