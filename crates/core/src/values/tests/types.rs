//! DuckDB's names of types.

use arrow::datatypes::*;

use super::*;
use crate::values::duckdb_type_name;

fn name(data_type: DataType) -> String {
    duckdb_type_name(&Field::new("x", data_type, true))
}

#[test]
fn simple_types() {
    let zone: Option<Arc<str>> = Some("UTC".into());
    for (data_type, expected) in [
        (DataType::Boolean, "BOOLEAN"),
        (DataType::Int8, "TINYINT"),
        (DataType::Int16, "SMALLINT"),
        (DataType::Int32, "INTEGER"),
        (DataType::Int64, "BIGINT"),
        (DataType::UInt8, "UTINYINT"),
        (DataType::UInt16, "USMALLINT"),
        (DataType::UInt32, "UINTEGER"),
        (DataType::UInt64, "UBIGINT"),
        (DataType::Float32, "FLOAT"),
        (DataType::Float64, "DOUBLE"),
        (DataType::Decimal128(10, 2), "DECIMAL(10,2)"),
        (DataType::Utf8View, "VARCHAR"),
        (DataType::BinaryView, "BLOB"),
        (DataType::Date32, "DATE"),
        (DataType::Time64(TimeUnit::Microsecond), "TIME"),
        (DataType::Time64(TimeUnit::Nanosecond), "TIME_NS"),
        (DataType::Timestamp(TimeUnit::Second, None), "TIMESTAMP_S"),
        (DataType::Timestamp(TimeUnit::Millisecond, None), "TIMESTAMP_MS"),
        (DataType::Timestamp(TimeUnit::Microsecond, None), "TIMESTAMP"),
        (DataType::Timestamp(TimeUnit::Nanosecond, None), "TIMESTAMP_NS"),
        (DataType::Timestamp(TimeUnit::Nanosecond, zone), "TIMESTAMP WITH TIME ZONE"),
        (DataType::Interval(IntervalUnit::MonthDayNano), "INTERVAL"),
        (DataType::Null, "\"NULL\""),
        (DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)), "VARCHAR"),
    ] {
        assert_eq!(name(data_type), expected);
    }
}

#[test]
fn nested_types() {
    let text = || Arc::new(Field::new("item", DataType::Utf8, true));
    assert_eq!(name(DataType::List(text())), "VARCHAR[]");
    assert_eq!(name(DataType::FixedSizeList(text(), 3)), "VARCHAR[3]");
    let members: Fields = ["a", "b c", "order", "date", "Name", "1", "é", "q\"q", "_a"]
        .map(|name| Field::new(name, DataType::Int32, true))
        .to_vec()
        .into();
    assert_eq!(
        name(DataType::Struct(members)),
        "STRUCT(a INTEGER, \"b c\" INTEGER, \"order\" INTEGER, date INTEGER, \"Name\" INTEGER, \"1\" INTEGER, \"é\" INTEGER, \
         \"q\"\"q\" INTEGER, _a INTEGER)"
    );
    let unnamed: Fields = vec![Field::new("", DataType::Int32, true), Field::new("", DataType::Utf8, true)].into();
    assert_eq!(name(DataType::Struct(unnamed)), "STRUCT(INTEGER, VARCHAR)");
    let entries: Fields =
        vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::List(text()), true)].into();
    let entry = Arc::new(Field::new("entries", DataType::Struct(entries), false));
    assert_eq!(name(DataType::Map(entry, false)), "MAP(VARCHAR, VARCHAR[])");
}

#[test]
fn types_that_arrow_does_not_have() {
    let with = |data_type, key: &str, value: &str| {
        Field::new("x", data_type, true).with_metadata(HashMap::from([(key.to_owned(), value.to_owned())]))
    };
    assert_eq!(duckdb_type_name(&with(DataType::Decimal256(39, 0), TYPE_KEY, "HUGEINT")), "HUGEINT");
    assert_eq!(duckdb_type_name(&with(DataType::Utf8, "ARROW:extension:name", "arrow.json")), "JSON");
    assert_eq!(duckdb_type_name(&with(DataType::FixedSizeBinary(16), "ARROW:extension:name", "arrow.uuid")), "UUID");
    let json = Arc::new(with(DataType::Utf8, TYPE_KEY, "JSON"));
    assert_eq!(name(DataType::List(json)), "JSON[]");
}
