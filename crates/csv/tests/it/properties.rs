//! What holds for every table and every sequence of bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use tapline_csv::{CsvColumn, CsvOptions, CsvType, Dialect, Newline, TableFormat};

use crate::support::{options, read_as, read_files};

/// A cell: NULL or any text, rich in the bytes that structure CSV.
fn cell() -> impl Strategy<Value = Option<String>> {
    let special =
        prop::sample::select(vec!["", "\"", ",", "\n", "\r\n", "\r", "'", " ", "\\", ";", "#", "é", "🦆", "0", "x"]);
    prop_oneof![
        1 => Just(None),
        4 => vec(special, 0..6).prop_map(|parts| Some(parts.concat())),
        1 => any::<String>().prop_map(Some),
    ]
}

fn table() -> impl Strategy<Value = Vec<Vec<Option<String>>>> {
    (1_usize..5).prop_flat_map(|width| vec(vec(cell(), width), 0..12))
}

fn write(rows: &[Vec<Option<String>>], newline: &str) -> String {
    let line = |row: &Vec<Option<String>>| {
        let cells: Vec<String> = row
            .iter()
            .map(|cell| cell.as_ref().map_or(String::new(), |text| format!("\"{}\"", text.replace('"', "\"\""))))
            .collect();
        cells.join(",") + newline
    };
    rows.iter().map(line).collect()
}

fn text_format(width: usize) -> TableFormat {
    let column = |position| CsvColumn {
        name: format!("c{position}"),
        header_name: None,
        data_type: CsvType::Varchar,
        format: None,
        declared: false,
    };
    TableFormat {
        dialect: Dialect {
            delimiter: ",".to_owned(),
            spaced: false,
            quote: Some('"'),
            escape: Some('"'),
            newline: Newline::Lf,
            comment: None,
            comment_inline: false,
            comment_detected: false,
            skip: 0,
            header: false,
            header_lines: 1,
            header_marked: false,
            encoding: "utf-8".to_owned(),
        },
        columns: (0..width).map(column).collect(),
        others: Vec::new(),
    }
}

/// Lines of a table of a number and a text, with what becomes of each: a row, a kind of reject, or nothing.
const LINES: [(&[u8], Option<&str>); 11] = [
    (b"1,x", Some("row")),
    (b"2,\"two\nlines, \"\"quoted\"\"\"", Some("row")),
    (b"3,", Some("row")),
    (b"4,z,,", Some("row")),
    (b"", None),
    (b"  ", None),
    (b"5", Some("too_few_fields")),
    (b"6,x,y", Some("too_many_fields")),
    (b"7,\"x\" y", Some("malformed_quote")),
    (b"eight,x", Some("invalid_value")),
    (b"9,\xFF", Some("invalid_encoding")),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(rows in table(), newline in prop::sample::select(vec!["\n", "\r\n", "\r"]), chunk in 1_usize..40) {
        // A row of one NULL is a blank line, which above the first row is no row.
        let rows: Vec<_> = rows.into_iter().skip_while(|row| row.len() == 1 && row[0].is_none()).collect();
        prop_assume!(!rows.is_empty());
        let text = write(&rows, newline);
        let read = read_as(&[text.as_bytes()], text_format(rows[0].len()), Vec::new(), &CsvOptions::default(), chunk).expect("a readable table");
        let expected: Vec<Vec<String>> = rows.iter().filter(|row| row.len() == 1 || row.iter().any(Option::is_some) || row.len() > 1).map(|row| row.iter().map(|cell| cell.clone().unwrap_or_else(|| "∅".to_owned())).collect()).collect();
        prop_assert_eq!(read.rows, expected);
        prop_assert_eq!(read.rejects.len(), 0);
    }

    #[test]
    fn numbers_come_back_as_they_were(numbers in vec((any::<i64>(), any::<f64>().prop_filter("finite", |value| value.is_finite())), 1..50)) {
        let text: String = numbers.iter().map(|(integer, double)| format!("{integer};{double:?}\n")).collect();
        let table = read_files(&[format!("i;d\n{text}").as_bytes()], &options(r#"{"delim": ";"}"#)).expect("a readable table");
        prop_assert_eq!(table.format.columns[0].data_type, CsvType::BigInt);
        for (row, (integer, double)) in table.rows.iter().zip(&numbers) {
            prop_assert_eq!(&row[0], &integer.to_string());
            prop_assert_eq!(row[1].parse::<f64>().map(f64::to_bits), Ok(double.to_bits()));
        }
    }

    #[test]
    fn any_bytes_are_rows_and_rejects_whatever_the_chunks(
        bytes in vec(prop_oneof![8 => prop::sample::select(b"a1,;\t\"'\n\r\\# .-|".to_vec()), 1 => any::<u8>()], 0..300),
        chunk in 1_usize..20,
        settings in prop::sample::select(vec!["{}", r#"{"strict": false}"#, r#"{"null_padding": true}"#, r#"{"max_line_size": 20}"#, r#"{"delim": ", ", "escape": "\\"}"#, r##"{"comment": "#", "skip": 1}"##]),
    ) {
        let settings = options(settings);
        let whole = read_files(&[&bytes], &settings).expect("readable bytes");
        let pieces = read_as(&[&bytes], whole.format.clone(), Vec::new(), &settings, chunk).expect("readable bytes");
        prop_assert_eq!(&whole.rows, &pieces.rows);
        prop_assert_eq!(&whole.rejects, &pieces.rejects);
        prop_assert_eq!(whole.counts, pieces.counts);
        prop_assert!(whole.rows.iter().all(|row| row.len() == whole.format.columns.len()));
    }

    #[test]
    fn every_line_is_a_row_or_a_reject_with_its_place(
        lines in vec(prop::sample::select(LINES.to_vec()), 0..60),
        newline in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        chunk in 1_usize..50,
    ) {
        let settings = options(r#"{"delim": ",", "quote": "\"", "header": true, "encoding": "utf-8", "types": {"id": "INTEGER"}, "names": ["id", "text"]}"#);
        let mut bytes = format!("id,text{newline}").into_bytes();
        let (mut rows, mut rejects, mut blank, mut line) = (0, Vec::new(), 0, 2);
        for (text, outcome) in &lines {
            let place = (line, bytes.len() as u64);
            bytes.extend_from_slice(text);
            bytes.extend_from_slice(newline.as_bytes());
            line += 1 + text.iter().filter(|byte| **byte == b'\n').count() as u64;
            match outcome {
                Some("row") => rows += 1,
                Some(code) => rejects.push((place, *code)),
                None => blank += 1,
            }
        }
        let mut format = text_format(2);
        format.dialect.header = true;
        for (column, (name, data_type)) in format.columns.iter_mut().zip([("id", CsvType::Integer), ("text", CsvType::Varchar)]) {
            (column.name, column.data_type, column.declared) = (name.to_owned(), data_type, data_type == CsvType::Integer);
        }
        let table = read_as(&[&bytes], format, Vec::new(), &settings, chunk).expect("a readable table");
        prop_assert_eq!(table.rows.len(), rows);
        let mut found: Vec<_> = table.rejects.iter().map(|reject| ((reject.line, reject.byte_offset), reject.code.as_str())).collect();
        found.sort_unstable();
        prop_assert_eq!(found, rejects);
        prop_assert_eq!((table.counts.lines_in(), table.counts.blank), ((lines.len() - blank) as u64, blank as u64));
    }

    #[test]
    fn widening_reads_what_detection_did_not_see(values in vec(prop::sample::select(vec!["1", "-7", "2.5", "007", "x", "", "true", "2024-01-01", "31/12/2024", "1e3", "9007199254740993"]), 1..40)) {
        let hidden: String = values.iter().map(|value| format!("k,{value}\n")).collect();
        let shown: String = "k,1\n".repeat(2000);
        let table = read_files(&[format!("a,b\n{shown}{hidden}").as_bytes()], &options(r#"{"delim": ",", "quote": "\""}"#)).expect("a readable table");
        prop_assert_eq!(table.rows.len(), 2000 + values.len());
        for (row, value) in table.rows[2000..].iter().zip(&values) {
            let same = match *value {
                "" => row[1] == "∅",
                value if table.format.columns[1].data_type == CsvType::Varchar => row[1] == value,
                value => row[1].parse::<f64>() == value.parse::<f64>(),
            };
            prop_assert!(same, "{value:?} became {:?}", row[1]);
        }
    }
}

/// A comment above the header that is too long to be kept is no more than a comment.
#[test]
fn a_long_comment_leaves_the_header_in_its_place() {
    let bytes = b"#aaaaa\\a\\\\aaaaaaaa-aa\n\\\naa";
    let settings = options(r#"{"max_line_size": 20}"#);
    let whole = read_files(&[bytes.as_slice()], &settings).expect("readable bytes");
    for chunk in 1..10 {
        let pieces =
            read_as(&[bytes.as_slice()], whole.format.clone(), Vec::new(), &settings, chunk).expect("readable bytes");
        assert_eq!((&whole.rows, whole.counts), (&pieces.rows, pieces.counts), "chunks of {chunk}");
    }
}
