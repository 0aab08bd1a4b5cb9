//! Values: the type table, affinities, collations, STRICT tables.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, ListArray,
    StringDictionaryBuilder, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type};
use tapline_core::Refresh;

use super::{FULL, Place, Run, batch, codes_of, integers, texts};

#[tokio::test]
async fn every_type_is_stored_as_the_type_table_says() {
    let place = Place::new();
    let mut levels = StringDictionaryBuilder::<Int32Type>::new();
    levels.append_value("gold");
    let names: ArrayRef = texts([Some("ö"), None]);
    let columns: Vec<(&str, ArrayRef, &str, &str)> = vec![
        ("id", integers([i64::MIN]), "INTEGER", "-9223372036854775808"),
        ("boolean", Arc::new(BooleanArray::from(vec![true])), "INTEGER", "1"),
        ("ubigint", Arc::new(UInt64Array::from(vec![u64::MAX])), "TEXT", "'18446744073709551615'"),
        (
            "decimal",
            Arc::new(Decimal128Array::from(vec![-12_300]).with_precision_and_scale(38, 3).unwrap()),
            "TEXT",
            "'-12.300'",
        ),
        ("double", Arc::new(Float64Array::from(vec![0.1])), "REAL", "0.1"),
        ("infinity", Arc::new(Float64Array::from(vec![f64::NEG_INFINITY])), "REAL", "-9.0e+999"),
        ("empty", texts([Some("")]), "TEXT", "''"),
        ("null", texts([None]), "TEXT", "NULL"),
        ("enum", Arc::new(levels.finish()), "TEXT", "'gold'"),
        ("blob", Arc::new(BinaryArray::from(vec![b"\0\xff".as_slice()])), "BLOB", "X'00FF'"),
        ("date", Arc::new(Date32Array::from(vec![19_782])), "TEXT", "'2024-02-29'"),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![3_661_500_000])), "TEXT", "'01:01:01.5'"),
        ("timestamp", Arc::new(TimestampMicrosecondArray::from(vec![0])), "TEXT", "'1970-01-01 00:00:00'"),
        (
            "timestamptz",
            Arc::new(TimestampMicrosecondArray::from(vec![1_500_000]).with_timezone("Europe/Berlin")),
            "TEXT",
            "'1970-01-01 00:00:01.5+00'",
        ),
        ("timestamp_ns", Arc::new(TimestampNanosecondArray::from(vec![1])), "TEXT", "'1970-01-01 00:00:00.000000001'"),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None])])),
            "TEXT",
            "'[1,null]'",
        ),
        (
            "struct",
            Arc::new(StructArray::from(vec![(Arc::new(Field::new("name", DataType::Utf8, true)), names.slice(0, 1))])),
            "TEXT",
            "'{\"name\":\"ö\"}'",
        ),
    ];
    let rows = batch(columns.iter().map(|(name, array, _, _)| (*name, array.clone())).collect());
    let receipt = place.run(&Run::new("types", 1, &["id"], FULL, rows)).await.unwrap();
    assert_eq!(codes_of(&receipt), []);
    let infos = place.destination.streams().await.unwrap();
    for (index, (name, _, declared, value)) in columns.iter().enumerate() {
        let stored = place.values(&format!("\"{name}\""), "FROM types").await;
        assert_eq!(stored, [*value], "{name}");
        assert_eq!(
            (infos[0].fields[index].name.as_str(), infos[0].fields[index].data_type.as_str()),
            (*name, *declared)
        );
    }
}

#[tokio::test]
async fn values_that_cannot_be_stored_exactly_are_rejected_and_the_others_delivered() {
    let place = Place::new();
    let rows = batch(vec![
        ("id", integers([1, 2, 3])),
        ("name", texts([Some("a\0b"), Some("b"), Some("c")])),
        ("price", Arc::new(Float64Array::from(vec![f64::NAN, f64::NAN, 1.5]))),
    ]);
    let receipt = place.run(&Run::new("t", 1, &["id"], FULL, rows)).await.unwrap();
    assert_eq!(codes_of(&receipt), [(0, "ROW-001"), (1, "ROW-001")]);
    assert_eq!(place.values("id, name, price", "FROM t").await, ["3|'c'|1.5"]);
}

#[tokio::test]
async fn an_affinity_that_would_change_a_value_rejects_its_row() {
    let place = Place::with("CREATE TABLE t (id INTEGER PRIMARY KEY, code NUMERIC, ratio REAL, note TEXT, any)").await;
    let rows = batch(vec![
        ("id", integers([1, 2, 3, 4])),
        ("code", texts([Some("007"), Some("x7"), Some("1e3"), None])),
        ("ratio", integers([1, 2, 3, (1 << 53) + 1])),
        ("note", integers([5, 6, 7, 8])),
        ("any", texts([Some("1"), Some("2"), Some("3"), Some("4")])),
    ]);
    let receipt = place.run(&Run::new("t", 1, &["id"], Refresh::Incremental, rows)).await.unwrap();
    assert_eq!(codes_of(&receipt), [(0, "ROW-001"), (2, "ROW-001"), (3, "ROW-001")]);
    assert_eq!(place.values("id, code, ratio, note, any", "FROM t").await, ["2|'x7'|2.0|'6'|'2'"]);
}

#[tokio::test]
async fn numbers_take_the_form_that_an_existing_column_keeps() {
    let place = Place::with("CREATE TABLE t (id INTEGER PRIMARY KEY, total NUMERIC, count INTEGER, flag TEXT)").await;
    let rows = batch(vec![
        ("id", integers([1, 2])),
        ("total", Arc::new(Decimal128Array::from(vec![110, 200]).with_precision_and_scale(10, 2).unwrap())),
        ("count", Arc::new(UInt64Array::from(vec![7, u64::MAX]))),
        ("flag", Arc::new(BooleanArray::from(vec![true, false]))),
    ]);
    let receipt = place.run(&Run::new("t", 1, &["id"], Refresh::Incremental, rows)).await.unwrap();
    assert_eq!(codes_of(&receipt), [(1, "ROW-001")]);
    assert_eq!(place.values("id, total, count, flag", "FROM t").await, ["1|1.1|7|'true'"]);
}

#[tokio::test]
async fn keys_that_a_collation_folds_are_duplicates() {
    let place = Place::with(
        "CREATE TABLE t (name TEXT COLLATE NOCASE PRIMARY KEY, n INTEGER); INSERT INTO t VALUES ('Carol', 1)",
    )
    .await;
    let rows = batch(vec![
        ("name", texts([Some("Ann"), Some("ANN"), Some("bob"), Some("carol")])),
        ("n", integers([1, 2, 3, 4])),
    ]);
    let receipt = place.run(&Run::new("t", 1, &["name"], Refresh::Incremental, rows)).await.unwrap();
    assert_eq!(codes_of(&receipt), [(0, "ROW-002"), (1, "ROW-002")]);
    assert_eq!(place.values("name, n", "FROM t ORDER BY name").await, ["'bob'|3", "'carol'|4"]);
}

#[tokio::test]
async fn strict_tables_reject_what_they_cannot_hold() {
    let place = Place::with("CREATE TABLE t (id INTEGER PRIMARY KEY, email INTEGER, any ANY) STRICT").await;
    let rows = batch(vec![
        ("id", integers([1, 2])),
        ("email", texts([Some("x"), None])),
        ("any", texts([Some("1"), Some("007")])),
    ]);
    let receipt = place.run(&Run::new("t", 1, &["id"], Refresh::Incremental, rows)).await.unwrap();
    assert_eq!(codes_of(&receipt), [(0, "ROW-001")]);
    assert_eq!(place.values("id, email, any", "FROM t").await, ["2|NULL|'007'"]);
}
