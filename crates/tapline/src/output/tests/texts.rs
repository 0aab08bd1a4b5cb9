//! CSV and JSON: what stands around the values.

use arrow::array::*;

use super::*;

fn names_and_numbers() -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]))),
        ("name", Arc::new(StringArray::from(vec![Some("a,b"), Some(""), None]))),
    ])
}

#[test]
fn csv_tells_null_from_empty() {
    assert_eq!(printed_text(Format::Csv, &[names_and_numbers()]), "id,name\n1,\"a,b\"\n,\"\"\n3,\n");
}

#[test]
fn csv_quotes_as_copy_does() {
    let words = ["NULL", "a\"b", "a'b", "a\nb", "a\rb", " a", "a ", "a;b", "#a", "a\\b", "\u{feff}", "=1", "[1, 2]"];
    let column: ArrayRef = Arc::new(StringArray::from(words.to_vec()));
    assert_eq!(
        printed_text(Format::Csv, &[batch(vec![("a \"b\"", column)])]),
        "\"a \"\"b\"\"\"\nNULL\n\"a\"\"b\"\na'b\n\"a\nb\"\n\"a\rb\"\n a\na \na;b\n\"#a\"\na\\b\n\u{feff}\n=1\n\"[1, 2]\"\n"
    );
}

#[test]
fn json_is_an_array_and_ndjson_has_lines() {
    let batches = [names_and_numbers(), names_and_numbers().slice(0, 1)];
    let lines = "{\"id\":1,\"name\":\"a,b\"}\n{\"id\":null,\"name\":\"\"}\n{\"id\":3,\"name\":null}\n{\"id\":1,\"name\":\"a,b\"}\n";
    assert_eq!(printed_text(Format::Ndjson, &batches), lines);
    let array = printed_text(Format::Json, &batches);
    assert_eq!(array, format!("[{}]\n", lines.trim_end().replace('\n', ",\n")));
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&array).expect("JSON").len(), 4);
}

#[test]
fn no_rows() {
    let empty = [names_and_numbers().slice(0, 0)];
    assert_eq!(printed_text(Format::Csv, &empty), "id,name\n");
    assert_eq!(printed_text(Format::Json, &empty), "[]\n");
    assert_eq!(printed_text(Format::Ndjson, &empty), "");
    let unwritten = RowPrinter::new(Format::Csv, empty[0].schema_ref(), Vec::new(), TableStyle::default());
    assert_eq!(unwritten.finish().expect("a vector takes everything"), b"id,name\n");
}

#[test]
fn columns_of_the_same_name_stay_apart() {
    let one = |value| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    let names = batch(vec![("a", one(1)), ("a", one(2)), ("a_1", one(3)), ("A", one(4)), ("ключ\"", one(5))]);
    assert_eq!(printed_text(Format::Csv, std::slice::from_ref(&names)), "a,a_1,a_1_1,A_2,\"ключ\"\"\"\n1,2,3,4,5\n");
    assert_eq!(printed_text(Format::Ndjson, &[names]), "{\"a\":1,\"a_1\":2,\"a_1_1\":3,\"A_2\":4,\"ключ\\\"\":5}\n");
}

#[test]
fn more_than_one_piece_arrives_whole() {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..50_000));
    let text = printed_text(Format::Csv, &[batch(vec![("n", column)])]);
    let numbers: Vec<i64> = text.lines().skip(1).map(|line| line.parse().expect("a number")).collect();
    assert!(numbers.into_iter().eq(0..50_000));
}

#[test]
fn a_reader_who_has_gone_away_is_known() {
    struct Gone;
    impl std::io::Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for format in [Format::Csv, Format::Json, Format::Table, Format::Parquet, Format::Arrow] {
        let batch = names_and_numbers();
        let mut printer = RowPrinter::new(format, batch.schema_ref(), Gone, TableStyle::default());
        let error = printer.write(&batch).and_then(|()| printer.finish().map(|_| ())).expect_err("nobody reads");
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe, "{format:?}");
    }
}

#[test]
fn a_suffix_asks_for_a_format() {
    for (name, format) in [
        ("out.csv", Some(Format::Csv)),
        ("out.JSON", Some(Format::Json)),
        ("out.jsonl", Some(Format::Ndjson)),
        ("out.parquet", Some(Format::Parquet)),
        ("out.arrow", Some(Format::Arrow)),
        ("out.txt", None),
        ("csv", None),
    ] {
        assert_eq!(Format::of_file(name.as_ref()), format, "{name}");
    }
}
