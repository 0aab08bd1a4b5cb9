//! The type table, read back value by value.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::*;
use tapline_core::testing::bench::batch;
use tapline_core::testing::destination::every_type;
use tapline_core::{Op, ReadBack, Refresh};

use super::bench;

const INCREMENTAL: Refresh = Refresh::Incremental;

#[tokio::test]
async fn new_columns_have_the_documented_types_and_give_the_values_back() {
    let Some(bench) = bench("t_types_new").await else { return };
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, every_type())]).await.unwrap();
    let columns = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute \
                   WHERE attrelid = '{t}'::regclass AND attnum > 0 ORDER BY attnum";
    let types: BTreeMap<_, _> = bench
        .probe
        .rows(&columns.replace("{t}", &bench.table))
        .await
        .into_iter()
        .map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap()))
        .collect();
    for (column, data_type, value) in EXPECTED {
        assert_eq!(types[*column], *data_type, "{column}");
        let found = bench.select(&format!("id, \"{column}\"::text")).await;
        assert_eq!(found[0][1].as_deref(), *value, "{column}");
        assert_eq!(found[1][1], None, "{column}");
    }
    assert_eq!(types.len(), EXPECTED.len() + 1, "every column is expected");
}

/// Column, type, and the text of the value in the row with `id` 1.
const EXPECTED: &[(&str, &str, Option<&str>)] = &[
    ("boolean", "boolean", Some("true")),
    ("int8", "smallint", Some("-128")),
    ("int16", "smallint", Some("-32768")),
    ("int32", "integer", Some("-2147483648")),
    ("int64", "bigint", Some("-9223372036854775808")),
    ("uint8", "smallint", Some("255")),
    ("uint16", "integer", Some("65535")),
    ("uint32", "bigint", Some("4294967295")),
    ("uint64", "numeric(20,0)", Some("18446744073709551615")),
    ("float32", "real", Some("0.1")),
    ("float64", "double precision", Some("0.1")),
    ("utf8", "text", Some("Grüße")),
    ("large_utf8", "text", Some("Grüße")),
    ("utf8_view", "text", Some("Grüße, lang genug für einen Puffer")),
    ("binary", "bytea", Some("\\x00ff")),
    ("large_binary", "bytea", Some("\\x00ff")),
    ("binary_view", "bytea", Some("\\x00ff")),
    ("date32", "date", Some("2024-01-01")),
    ("date64", "date", Some("2024-01-01")),
    ("time32s", "time without time zone", Some("01:01:01")),
    ("time32ms", "time without time zone", Some("01:01:01.001")),
    ("time64us", "time without time zone", Some("01:01:01.000001")),
    ("time64ns", "time without time zone", Some("01:01:01.000001")),
    ("timestamp_s", "timestamp without time zone", Some("2023-11-14 22:13:20")),
    ("timestamp_ms", "timestamp without time zone", Some("2023-11-14 22:13:20.001")),
    ("timestamp_us", "timestamp without time zone", Some("1969-12-31 23:59:59.999999")),
    ("timestamp_ns", "timestamp without time zone", Some("2023-11-14 22:13:20.000001")),
    ("interval_ym", "interval", Some("1 year 2 mons")),
    ("interval_dt", "interval", Some("3 days 00:00:04")),
    ("interval_mdn", "interval", Some("1 year 2 mons 3 days 00:00:04")),
    ("duration", "interval", Some("24:00:00.000001")),
    ("timestamp_tz", "timestamp with time zone", Some("2023-11-14 22:13:20.000001+00")),
    ("decimal128", "numeric(10,2)", Some("-123.45")),
    ("decimal_wide", "numeric(38,38)", Some("-0.00000000000000000000000000000000012345")),
    ("hugeint", "numeric(39,0)", Some("-170141183460469231731687303715884105728")),
    ("decimal64", "numeric(9,2)", Some("1.50")),
    ("fixed", "bytea", Some("\\x07070707070707070707070707070707")),
    ("dictionary", "text", Some("red")),
    ("nothing", "text", None),
    ("list", "integer[]", Some("{1,NULL}")),
    ("text_list", "text[]", Some(r#"{"a \"b\", {c}",NULL,""}"#)),
    ("nested_list", "jsonb", Some("[[1, 2], [3]]")),
    ("struct", "jsonb", Some(r#"{"a": 1, "b": "ü"}"#)),
    ("map", "jsonb", Some(r#"{"k": 1}"#)),
];

/// The columns of `every_type`, into a table whose columns have other types that hold the values as well.
#[tokio::test]
async fn existing_columns_of_wider_types_take_every_value() {
    let Some(bench) = bench("t_types_wider").await else { return };
    bench
        .execute(
            "CREATE EXTENSION IF NOT EXISTS citext; CREATE TABLE {t} (id numeric PRIMARY KEY, \"boolean\" smallint, \
             \"int8\" bigint, \"int16\" numeric, \"int32\" double precision, \"int64\" text, \"uint8\" real, \
             \"uint16\" numeric(5), \"uint32\" varchar(10), \"uint64\" numeric(22,2), \"float32\" double precision, \
             \"float64\" numeric, utf8 varchar(5), large_utf8 char(9), utf8_view citext, date32 timestamp, date64 text, \
             time32s time(0), timestamp_s date, timestamp_ms timestamp(3), timestamp_us text, timestamp_tz timestamp, \
             decimal128 double precision, decimal_wide numeric, hugeint text, decimal64 numeric(3,1), fixed uuid, \
             list bigint[], text_list varchar(20)[], nested_list json, \"struct\" text)",
        )
        .await;
    let all = every_type();
    let schema = all.schema();
    let there = bench.destination.streams().await.unwrap().remove(0);
    let mapped: Vec<usize> = there
        .fields
        .iter()
        .map(|field| schema.index_of(&field.name).expect("the column is one of every type"))
        .collect();
    let rows = all.project(&mapped).unwrap();
    let delivered = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    // That timestamp is not midnight.
    assert_eq!(delivered.codes(), [(0, 0, "ROW-001")]);
    assert_eq!(delivered.reasons(), ["column \"timestamp_s\": the value does not fit date exactly"]);
    let rest: Vec<usize> = mapped.into_iter().filter(|index| schema.field(*index).name() != "timestamp_s").collect();
    let rows = all.project(&rest).unwrap();
    let delivered = bench.deliver(2, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    assert_eq!(delivered.reasons(), Vec::<&str>::new());
    let schema = all.project(&rest).unwrap().schema();
    let one = all.slice(0, 1);
    let keys = Some(one.project(&[0]).unwrap());
    let rows = ReadBack { stream: bench.stream.clone(), schema, key: vec!["id".into()], keys };
    let mut reader = bench.destination.read(rows).await.unwrap().unwrap();
    let found = reader.next().await.unwrap().unwrap();
    for index in rest {
        let name = all.schema().field(index).name().clone();
        let column = found.column_by_name(&name).unwrap_or_else(|| panic!("{name} is not given back"));
        assert_eq!(column, one.column(index), "{name} is given back as it was");
    }
    let expected = [
        ("boolean", "1"),
        ("int64", "-9223372036854775808"),
        ("uint32", "4294967295"),
        ("uint64", "18446744073709551615.00"),
        ("float64", "0.1"),
        ("large_utf8", "Grüße    "),
        ("date32", "2024-01-01 00:00:00"),
        ("timestamp_us", "1969-12-31 23:59:59.999999"),
        ("timestamp_tz", "2023-11-14 22:13:20.000001"),
        ("decimal128", "-123.45"),
        ("decimal64", "1.5"),
        ("fixed", "07070707-0707-0707-0707-070707070707"),
        ("list", "{1,NULL}"),
        ("nested_list", "[[1, 2], [3]]"),
        ("struct", r#"{"a": 1, "b": "ü"}"#),
    ];
    for (column, value) in expected {
        let found = bench.select(&format!("id, \"{column}\"")).await;
        assert_eq!(found[0][1].as_deref(), Some(value), "{column}");
    }
}

/// One value that a column keeps and one that it does not, for every rule.
#[tokio::test]
async fn what_a_column_would_not_give_back_is_rejected() {
    let Some(bench) = bench("t_types_misfits").await else { return };
    bench
        .execute(
            "CREATE TYPE t_types_misfits.mood AS ENUM ('happy', 'sad'); \
             CREATE DOMAIN t_types_misfits.positive AS integer CHECK (VALUE > 0); \
             CREATE DOMAIN t_types_misfits.short AS varchar(3);",
        )
        .await;
    let texts = |good: &str, bad: &str| Arc::new(StringArray::from(vec![good, bad])) as ArrayRef;
    let doubles = |good: f64, bad: f64| Arc::new(Float64Array::from(vec![good, bad])) as ArrayRef;
    let integers = |good: i64, bad: i64| Arc::new(Int64Array::from(vec![good, bad])) as ArrayRef;
    let decimals = |good: i128, bad: i128| {
        Arc::new(Decimal128Array::from(vec![good, bad]).with_precision_and_scale(20, 3).unwrap()) as ArrayRef
    };
    let stamps = |good: i64, bad: i64| Arc::new(TimestampMicrosecondArray::from(vec![good, bad])) as ArrayRef;
    let cases: Vec<(&str, ArrayRef)> = vec![
        ("smallint", integers(-32_768, 32_768)),
        ("integer", doubles(2_147_483_647.0, 2_147_483_648.0)),
        ("bigint", doubles(-9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0)),
        ("bigint", doubles(5.0, f64::NAN)),
        ("bigint", decimals(5_000, 5_100)),
        ("integer", texts("-17", "017")),
        ("integer", texts("17", "17 ")),
        ("integer", texts("17", "99999999999")),
        ("numeric(10,2)", decimals(1_230, 1_239)),
        ("numeric(4,1)", integers(999, 1_000)),
        ("numeric", doubles(0.1, f64::INFINITY)),
        ("numeric(5,2)", texts("1.50", "1.505")),
        ("numeric", texts("12", "twelve")),
        ("real", doubles(0.5, 0.1)),
        ("real", doubles(f64::NEG_INFINITY, 1e39)),
        ("real", integers(16_777_216, 16_777_217)),
        ("double precision", integers(9_007_199_254_740_992, 9_007_199_254_740_993)),
        ("double precision", texts("0.1", "0.10000000000000000001")),
        ("boolean", integers(1, 2)),
        ("boolean", texts("true", "yes")),
        ("varchar(3)", texts("Grü", "Grüß")),
        ("char(3)", texts("ab", "ab ")),
        ("date", texts("2024-02-29", "2023-02-29")),
        ("date", texts("2024-02-28", "28.02.2024")),
        ("timestamp", texts("2024-02-28T01:02:03.123456", "2024-02-28 01:02:03.1234567")),
        ("timestamptz", texts("2024-02-28T01:02:03Z", "2024-02-28T01:02:03")),
        ("timestamp(0)", stamps(1_000_000, 1_500_000)),
        ("date", stamps(86_400_000_000, 1)),
        ("uuid", texts("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99")),
        ("jsonb", texts("{\"a\":1}", "{a:1}")),
        ("inet", texts("10.0.0.1", "10.0.0.1/32")),
        ("t_types_misfits.mood", texts("happy", "glad")),
        ("t_types_misfits.positive", integers(1, 0)),
        ("t_types_misfits.short", texts("abc", "abcd")),
        ("integer[]", texts("{1,2}", "{1,x}")),
    ];
    for (index, (data_type, values)) in cases.into_iter().enumerate() {
        let generation = index as u64 + 1;
        bench.execute("DROP TABLE IF EXISTS {t}").await;
        bench.execute(&format!("CREATE TABLE {{t}} (id bigint PRIMARY KEY, v {data_type})")).await;
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let what = format!("{data_type} from {values:?}");
        let rows = batch(vec![("id", ids), ("v", values)]);
        let delivered = bench.deliver(generation, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await;
        let delivered = delivered.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let codes: Vec<_> = delivered.codes().iter().map(|(_, ordinal, _)| *ordinal).collect();
        assert_eq!(codes, [1], "{what}: {:?}", delivered.reasons());
        assert!(delivered.reasons()[0].starts_with("column \"v\": "), "{what}: {:?}", delivered.reasons());
        assert_eq!(bench.count().await, 1, "{what}");
    }
}

#[tokio::test]
async fn a_fraction_of_a_microsecond_is_rejected_on_the_way() {
    let Some(bench) = bench("t_types_nanoseconds").await else { return };
    let rows = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef),
        ("v", Arc::new(TimestampNanosecondArray::from(vec![Some(1_000), Some(1_001), None]))),
    ]);
    let delivered = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    assert_eq!(delivered.codes(), [(0, 1, "ROW-001")]);
    assert_eq!(bench.count().await, 2);
    let recorded = bench.destination.outcomes(&bench.stream, 1).await.unwrap();
    assert_eq!(recorded, delivered.outcomes, "what write rejects is recorded too");
}

#[tokio::test]
async fn infinities_and_nan_are_kept_in_columns_of_floats() {
    let Some(bench) = bench("t_types_floats").await else { return };
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE, f64::MAX];
    let rows = batch(vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..6)) as ArrayRef),
        ("v", Arc::new(Float64Array::from(values.to_vec()))),
    ]);
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    let found: Vec<_> = bench.select("id, v").await.into_iter().map(|row| row[1].clone().unwrap()).collect();
    assert_eq!(found, ["NaN", "Infinity", "-Infinity", "-0", "2.2250738585072014e-308", "1.7976931348623157e+308"]);
}

#[tokio::test]
async fn a_naive_timestamp_needs_a_zone_to_become_a_moment() {
    let Some(bench) = bench("t_types_no_zone").await else { return };
    bench.execute("CREATE TABLE {t} (id bigint PRIMARY KEY, v timestamptz)").await;
    // 2024-03-31 02:30, which Berlin's clocks skip, and 2024-07-01 12:00.
    let stamps = TimestampMicrosecondArray::from(vec![1_711_852_200_000_000, 1_719_835_200_000_000]);
    let rows = batch(vec![("id", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef), ("v", Arc::new(stamps))]);
    let refused = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows.clone())]).await.unwrap_err();
    assert_eq!(refused.code().id, "DEST-004");
    assert!(refused.hints()[0].contains("source_timezone"), "{:?}", refused.hints());

    let zoned = super::bench_with("t_types_zone", |config| config.source_timezone = Some("Europe/Berlin".into()));
    let bench = zoned.await.unwrap();
    bench.execute("CREATE TABLE {t} (id bigint PRIMARY KEY, v timestamptz)").await;
    let delivered = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    assert_eq!(delivered.codes(), [(0, 0, "ROW-001")], "there was no such moment");
    assert_eq!(bench.select("id, v").await[0][1].as_deref(), Some("2024-07-01 10:00:00+00"));

    let unknown =
        super::bench_with("t_types_unknown_zone", |config| config.source_timezone = Some("Mars/Olympus".into()));
    let bench = unknown.await.unwrap();
    let rows = every_type();
    let refused = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap_err();
    assert_eq!(refused.code().id, "CONF-005");
}

/// Moments and local times come back by the zone that they went in by; what a column holds beside them does not.
#[tokio::test]
async fn what_is_read_back_is_exact_or_lacks() {
    let zoned = super::bench_with("t_types_read", |config| config.source_timezone = Some("Europe/Berlin".into()));
    let Some(bench) = zoned.await else { return };
    bench
        .execute(
            "CREATE TYPE t_types_read.mood AS ENUM ('happy', 'sad'); CREATE DOMAIN t_types_read.positive AS integer; \
             CREATE TABLE {t} (id t_types_read.positive PRIMARY KEY, moment timestamptz, mood t_types_read.mood, \
               day date, number numeric, document jsonb, matrix integer[])",
        )
        .await;
    let columns = || -> Vec<(&str, ArrayRef)> {
        vec![
            ("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
            ("moment", Arc::new(TimestampMicrosecondArray::from(vec![1_719_835_200_000_000]))),
            ("mood", Arc::new(StringArray::from(vec!["happy"]))),
            ("day", Arc::new(Date32Array::from(vec![1]))),
            ("number", Arc::new(Float64Array::from(vec![0.1]))),
            ("document", Arc::new(StringArray::from(vec!["{\"a\":1}"]))),
            (
                "matrix",
                Arc::new(ListArray::from_iter_primitive::<arrow::datatypes::Int64Type, _, _>([Some([Some(1)])])),
            ),
        ]
    };
    let rows = batch(columns());
    let delivered = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows.clone())]).await.unwrap();
    assert_eq!(delivered.reasons(), Vec::<&str>::new());
    let read = async || {
        let stream = bench.stream.clone();
        let back = ReadBack { stream, schema: rows.schema(), key: vec!["id".into()], keys: None };
        let mut reader = bench.destination.read(back).await.unwrap().unwrap();
        reader.next().await.unwrap().unwrap()
    };
    let found = read().await;
    let names = |rows: &RecordBatch| -> Vec<String> {
        rows.schema().fields().iter().map(|field| field.name().clone()).collect()
    };
    assert_eq!(names(&found), ["id", "moment", "mood", "day", "number", "matrix"], "jsonb has a spacing of its own");
    for name in names(&found) {
        assert_eq!(found.column_by_name(&name), rows.column_by_name(&name), "{name}");
    }
    // The hour that Berlin's clocks repeat, an endless day, more digits than a double has, an array of arrays.
    bench
        .execute(
            "INSERT INTO {t} VALUES (2, '2024-10-27 00:30:00+00', 'sad', 'infinity', 0.10000000000000000001, NULL, '{{1}}')",
        )
        .await;
    assert_eq!(names(&read().await), ["id", "mood"]);
}
