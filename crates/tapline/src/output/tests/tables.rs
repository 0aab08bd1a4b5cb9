//! Tables for people.

use arrow::array::*;

use super::*;

fn table(batches: &[RecordBatch], style: TableStyle) -> String {
    let mut printer = RowPrinter::new(Format::Table, batches[0].schema_ref(), Vec::new(), style);
    for batch in batches {
        printer.write(batch).expect("a vector takes everything");
    }
    String::from_utf8(printer.finish().expect("a vector takes everything")).expect("UTF-8")
}

fn numbers(range: std::ops::Range<i64>) -> RecordBatch {
    batch(vec![("n", Arc::new(Int64Array::from_iter_values(range)))])
}

#[test]
fn types_numbers_and_null() {
    let rows = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![Some(1), Some(1000)]))),
        ("name", Arc::new(StringArray::from(vec![Some("Ada"), None]))),
    ]);
    assert_eq!(
        table(&[rows], TableStyle::default()),
        "┌────────┬─────────┐\n\
         │     id │ name    │\n\
         │ BIGINT │ VARCHAR │\n\
         ├────────┼─────────┤\n\
         │      1 │ Ada     │\n\
         │   1000 │ NULL    │\n\
         └────────┴─────────┘\n\
         (2 rows)\n"
    );
}

#[test]
fn null_is_dim_where_there_are_colors() {
    let rows = batch(vec![("a", Arc::new(StringArray::from(vec![None, Some("NULL")])) as ArrayRef)]);
    let text = table(std::slice::from_ref(&rows), TableStyle { color: true, ..TableStyle::default() });
    assert_eq!(text.matches("\u{1b}[2m").count(), 1, "{text:?}");
    assert!(!table(&[rows], TableStyle::default()).contains('\u{1b}'));
}

#[test]
fn many_rows_show_the_first_and_the_last() {
    let style = TableStyle { rows: 5, ..TableStyle::default() };
    let shown = |batches: &[RecordBatch]| {
        let text = table(batches, style);
        let mut cells: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with('│'))
            .map(|line| line.trim_matches(['│', ' ']).to_owned())
            .skip(2)
            .collect();
        cells.push(text.lines().last().unwrap_or_default().to_owned());
        cells.join(" ")
    };
    assert_eq!(shown(&[numbers(0..5)]), "0 1 2 3 4 (5 rows)");
    assert_eq!(shown(&[numbers(0..6)]), "0 1 2 … 4 5 (6 rows, 5 shown)");
    assert_eq!(
        shown(&[numbers(0..2), numbers(2..2), numbers(2..4), numbers(4..9), numbers(9..10)]),
        "0 1 2 … 8 9 (10 rows, 5 shown)"
    );
    assert_eq!(shown(&[numbers(0..1)]), "0 (1 row)");
    assert_eq!(shown(&[numbers(0..0)]), "(0 rows)");
}

#[test]
fn cells_cannot_move_the_cursor() {
    let text = "a\u{1b}[31mb\nc\r\u{7}\u{9b}\u{202e}é😀";
    let rows = batch(vec![("\u{1b}[2J", Arc::new(StringArray::from(vec![text])) as ArrayRef)]);
    let table = table(&[rows], TableStyle::default());
    assert!(table.contains("a\\u{1b}[31mb\\nc\\r\\u{7}\\u{9b}\\u{202e}é😀"), "{table}");
    assert!(table.chars().all(|character| character == '\n' || !character.is_control()), "{table:?}");
}

#[test]
fn long_cells_end_somewhere_and_wide_tables_wrap() {
    let rows = batch(vec![("a", Arc::new(StringArray::from(vec!["x".repeat(10_000)])) as ArrayRef)]);
    let text = table(std::slice::from_ref(&rows), TableStyle::default());
    assert_eq!(text.matches('x').count(), 256);
    assert!(text.contains("x… │"));
    let narrow = table(&[rows], TableStyle { width: Some(40), ..TableStyle::default() });
    assert!(narrow.lines().all(|line| line.chars().count() <= 40), "{narrow}");
    assert_eq!(narrow.matches('x').count(), 256);
}
