//! Types never change a value: what does not survive is text, and a late misfit widens the column.

use crate::support::{options, read, read_files, read_with};

fn type_of(values: &str) -> String {
    let text: String = values.split_whitespace().map(|value| format!("1;{value}\n")).collect();
    let table = read_with(format!("id;v\n{text}"), r#"{"delim": ";"}"#);
    table.format.columns[1].data_type.to_string()
}

#[test]
fn inferred_types_keep_every_value() {
    for (values, expected) in [
        ("1 2 -3", "BIGINT"),
        ("9223372036854775807 -9223372036854775808", "BIGINT"),
        ("9223372036854775808 1", "VARCHAR"),
        ("02139 10001", "VARCHAR"),
        ("+5 5", "VARCHAR"),
        ("29.00 1", "DOUBLE"),
        ("1 2.5", "DOUBLE"),
        ("1e5 2", "DOUBLE"),
        ("9007199254740993 0.5", "VARCHAR"),
        ("0.1000000000000000055 1", "VARCHAR"),
        ("nan 2.5", "DOUBLE"),
        ("nan nan", "VARCHAR"),
        ("true FALSE", "BOOLEAN"),
        ("t f", "VARCHAR"),
        ("0 1", "BIGINT"),
        ("2024-03-01 2024-12-31", "DATE"),
        ("2024-03-01 2024-02-30", "VARCHAR"),
        ("31/12/2024 01/02/2024", "DATE"),
        ("12/31/2024 01/02/2024", "DATE"),
        ("01/02/2024 03/04/2024", "VARCHAR"),
        ("31/12/2024 12/31/2024", "VARCHAR"),
        ("31/12/24 30/11/24", "VARCHAR"),
        ("31.12.2024 1.2.2024", "DATE"),
        ("12:30:00 1:02:03.5", "TIME"),
        ("12:30 00:00", "VARCHAR"),
        ("2024-03-01T10:00:00 2024-03-01T10:00:00.123456", "TIMESTAMP"),
        ("2024-03-01T10:00:00.1234567 2024-03-01T10:00:00", "VARCHAR"),
        ("2024-03-01T10:00:00Z 2024-03-01T10:00:00+01:00", "TIMESTAMP WITH TIME ZONE"),
        ("2024-03-01T10:00:00Z 2024-03-01T10:00:00", "VARCHAR"),
        ("2024-03-01 2024-03-01T10:00:00", "VARCHAR"),
        ("1 x", "VARCHAR"),
        ("1,5 2,5", "VARCHAR"),
    ] {
        assert_eq!(type_of(values), expected, "{values}");
    }
}

#[test]
fn nulls_alone_are_text_and_empty_strings_are_not_null() {
    let table = read("a,b,c,d\n1,,\"\",x\n2,,,\"\"\n");
    assert_eq!(table.schema(), "a BIGINT, b VARCHAR, c VARCHAR, d VARCHAR");
    assert_eq!(table.lines(), ["1|∅||x", "2|∅|∅|"]);
}

#[test]
fn a_late_decimal_after_thirty_thousand_integers() {
    let mut text = "id,zip\n".to_owned();
    for id in 0..30_000 {
        text += &format!("{id},{}\n", 10_000 + id % 1000);
    }
    text += "42.5,02139\n";
    let table = read(&text);
    assert_eq!(table.schema(), "id DOUBLE, zip VARCHAR");
    assert_eq!(table.lines().last().map(String::as_str), Some("42.5|02139"));
    assert_eq!((table.restarts, table.rows.len(), table.rejects.len()), (1, 30_001, 0));
    text += "9007199254740993,1\n";
    let table = read(&text);
    assert_eq!(table.schema(), "id VARCHAR, zip VARCHAR");
    assert_eq!(table.lines().last().map(String::as_str), Some("9007199254740993|1"));
}

#[test]
fn declared_types_reject_what_does_not_fit() {
    let text = "id,price,when\n1,1.50,31.12.2024\nx,1.50,01.01.2025\n3,1.555,01.01.2025\n4,1e1,2025-01-01\n007, 2 ,01.01.2025\n";
    let table = read_with(
        text,
        r#"{"types": {"ID": "INTEGER", "price": "DECIMAL(10,2)", "when": "DATE"}, "dateformat": "%d.%m.%Y"}"#,
    );
    assert_eq!(table.schema(), "id INTEGER, price DECIMAL(10,2), when DATE");
    assert_eq!(table.lines(), ["1|1.50|2024-12-31", "7|2.00|2025-01-01"]);
    assert_eq!(table.reject_codes(), [(3, "invalid_value"), (4, "invalid_value"), (5, "invalid_value")]);
    assert_eq!(table.rejects[1].column.as_deref(), Some("price"));
    assert!(!table.rejects[1].reason.contains("1.555"), "a reason never shows a value");
    assert_eq!(table.counts.lines_in(), 5);
}

#[test]
fn every_declared_type_is_understood() {
    for (name, value, shown) in [
        ("TINYINT", "-128", "-128"),
        ("smallint", "32767", "32767"),
        ("BIGINT", "+7", "7"),
        ("INTEGER", "1e3", "1000"),
        ("BIGINT", "29.00", "29"),
        ("HUGEINT", "-170141183460469231731687303715884105728", "-170141183460469231731687303715884105728"),
        ("UTINYINT", "255", "255"),
        ("USMALLINT", "65535", "65535"),
        ("UINTEGER", "4294967295", "4294967295"),
        ("UBIGINT", "18446744073709551615", "18446744073709551615"),
        ("FLOAT", "0.1", "0.1"),
        ("DOUBLE", "0.10000000000000001", "0.1"),
        ("NUMERIC(5)", "12345", "12345"),
        ("BOOL", "t", "true"),
        ("DATE", "2024-03-01", "2024-03-01"),
        ("DATE", "2024/3/1", "2024-03-01"),
        ("TIME", "10:00:00.5", "10:00:00.500"),
        ("TIMESTAMP", "2024-03-01", "2024-03-01T00:00:00"),
        ("TIMESTAMP", "2024/03/01T10:00:00Z", "2024-03-01T10:00:00"),
        ("TIMESTAMPTZ", "2024-03-01", "2024-03-01T00:00:00Z"),
        ("TIMESTAMP_S", "2024-03-01 10:00:00", "2024-03-01T10:00:00"),
        ("TIMESTAMP_MS", "2024-03-01 10:00:00.123", "2024-03-01T10:00:00.123"),
        ("TIMESTAMP_NS", "2024-03-01 10:00:00.123456789", "2024-03-01T10:00:00.123456789"),
        ("TIMESTAMPTZ", "2024-03-01 10:00:00+02", "2024-03-01T08:00:00Z"),
        ("UUID", "{8A5F1C0E-0000-4000-8000-000000000001}", "8a5f1c0e000040008000000000000001"),
        ("VARCHAR", "02139", "02139"),
        ("JSON", "{}", "{}"),
        ("BLOB", "a\\x00\\xfF", "6100ff"),
    ] {
        let table = read_with(
            format!("k;v\na;{value}\nb;\nc;\"definitely not\"\n"),
            &format!(r#"{{"delim": ";", "types": {{"v": "{name}"}}}}"#),
        );
        assert_eq!(table.rows[0][1], shown, "{name}");
        assert_eq!(table.rows[1][1], "∅", "{name}");
        let text = matches!(name, "VARCHAR" | "BLOB");
        assert_eq!(table.rejects.len(), usize::from(!text), "{name}");
    }
    for (name, value) in [
        ("TINYINT", "128"),
        ("UTINYINT", "-1"),
        ("INTEGER", "1.5"),
        ("DATE", "01/02/2024"),
        ("TIMESTAMP", "2024-03-01 10:00:00+02"),
        ("UUID", "8a5f1c0e0000-4000-8000-0000-00000001"),
        ("TIMESTAMP_S", "2024-03-01 10:00:00.5"),
        ("HUGEINT", "1.5"),
        ("FLOAT", "0.123456789"),
        ("JSON", "{'a': 1}"),
        ("BLOB", "\\x0"),
        ("BLOB", "é"),
    ] {
        let table = read_with(format!("k;v\na;{value}\n"), &format!(r#"{{"delim": ";", "types": {{"v": "{name}"}}}}"#));
        assert_eq!(table.reject_codes(), [(2, "invalid_value")], "{name}");
    }
}

#[test]
fn number_punctuation_is_settable() {
    let table = read_with("a;b\n1.234,5;x\n-12,25;y\n", r#"{"decimal_separator": ",", "thousands": "."}"#);
    assert_eq!(table.schema(), "a DOUBLE, b VARCHAR");
    assert_eq!(table.lines(), ["1234.5|x", "-12.25|y"]);
}

#[test]
fn null_texts() {
    let text = "id,a,b\n1,NA,5\n2,\"NA\",\n3,,NULL\n";
    let table = read_with(text, r#"{"nullstr": ["", "NA", "NULL"]}"#);
    assert_eq!(table.schema(), "id BIGINT, a VARCHAR, b BIGINT");
    assert_eq!(table.lines(), ["1|∅|5", "2|∅|∅", "3|∅|∅"]);
    let table = read_with(text, r#"{"nullstr": "NA", "allow_quoted_nulls": false}"#);
    assert_eq!(table.lines(), ["1|∅|5", "2|NA|", "3||NULL"]);
    // An empty string is one, unless somebody says otherwise.
    let quoted = "id,a\n1,\"\"\n2,\n";
    assert_eq!(read_with(quoted, r#"{"nullstr": ["", "NA"]}"#).lines(), ["1|", "2|∅"]);
    assert_eq!(read_with(quoted, r#"{"allow_quoted_nulls": true}"#).lines(), ["1|∅", "2|∅"]);
    let table = read_with(text, r#"{"force_not_null": ["a"]}"#);
    assert_eq!(table.lines(), ["1|NA|5", "2|NA|∅", "3||NULL"]);
}

#[test]
fn formats_of_declared_dates_are_found_where_only_one_fits() {
    let text = "d,t\n13/02/2024,13.02.2024 10:00:00\n01/02/2024,01.02.2024 11:00:00\n";
    let table = read_with(text, r#"{"types": {"d": "DATE", "t": "TIMESTAMP_S"}}"#);
    assert_eq!(table.lines(), ["2024-02-13|2024-02-13T10:00:00", "2024-02-01|2024-02-01T11:00:00"]);
    let table = read_with("t\n2024-03-01 10:00:00.25\n", r#"{"timestampformat": "%Y-%m-%d %H:%M:%S.%g"}"#);
    assert_eq!(table.schema(), "t TIMESTAMP");
    assert_eq!(read_with("d\n2024-03-01\n", r#"{"dateformat": "auto"}"#).schema(), "d DATE");
}

#[test]
fn settings_over_types() {
    assert_eq!(read_with("a,b\n1,2\n", r#"{"all_varchar": true}"#).schema(), "a VARCHAR, b VARCHAR");
    assert_eq!(
        read_with("a,b\n1,2.5\n", r#"{"auto_type_candidates": ["BIGINT", "VARCHAR"]}"#).schema(),
        "a BIGINT, b VARCHAR"
    );
    assert_eq!(read_with("1,2\n", r#"{"columns": {"x": "INTEGER", "y": "VARCHAR"}}"#).schema(), "x INTEGER, y VARCHAR");
    let narrow = |candidates: &str| {
        read_with("a,b\n1,2.5\n300,4\n", &format!(r#"{{"auto_type_candidates": {candidates}}}"#)).schema()
    };
    assert_eq!(narrow(r#"["TINYINT", "SMALLINT", "FLOAT"]"#), "a SMALLINT, b FLOAT");
    assert_eq!(narrow(r#"["DECIMAL(5,1)", "BIGINT", "DOUBLE"]"#), "a BIGINT, b DECIMAL(5,1)");
    assert_eq!(narrow(r#"["DOUBLE"]"#), "a DOUBLE, b DOUBLE");
    let kept = read_with("a\n1.5\n0.123456789\n007\n", r#"{"auto_type_candidates": ["FLOAT"]}"#);
    assert_eq!((kept.schema().as_str(), kept.rows[2][0].as_str()), ("a VARCHAR", "007"));
    let unknown = read_files(&[b"a,b\n1,2\n"], &options(r#"{"types": {"c": "BIGINT"}}"#));
    assert!(unknown.is_err_and(|error| error.to_string().contains("no column \"c\"")));
}
