//! Records, quotes, line breaks, rejects: every line of a file is a row, a reject, or accounted for by name.

use tapline_csv::{CsvError, DecodeError, Decoder, LineCounts, Sample, detect};

use crate::support::{options, read, read_as, read_files, read_with, rows_of};

#[test]
fn quotes_and_line_breaks() {
    let table = read("id,text\r\n1,\"a, b\"\r2,\"say \"\"hi\"\"\"\n3,\"two\r\nlines\"\n4, \"padded\" \n5,5\" pipe");
    assert_eq!(table.lines(), ["1|a, b", "2|say \"hi\"", "3|two\r\nlines", "4|padded", "5|5\" pipe"]);
    assert_eq!(table.counts, LineCounts { rows: 5, header: 1, ..LineCounts::default() });
}

#[test]
fn escapes() {
    let table = read("id,text\n1,\"a \\\"b\\\" c\"\n2,\"back\\\\slash, n\\o\"\n3,\"x\"\n");
    assert_eq!(table.lines(), ["1|a \"b\" c", "2|back\\slash, n\\o", "3|x"]);
}

#[test]
fn without_an_escape_two_quotes_are_two_quotes() {
    let settings = r#"{"delim": ";", "quote": "\"", "escape": "", "strict": false, "header": false}"#;
    assert_eq!(read_with("1;\"a \"\"b\"\" c\"\n", settings).lines(), ["1|a \"\"b\"\" c"]);
}

#[test]
fn quotes_that_are_text_do_not_end_a_field() {
    let settings = r#"{"delim": ";", "quote": "\"", "strict": false, "header": false}"#;
    let table =
        read_with("1;\"say \"hi\" \ntwice\";x\n2;\"the \"inner\"\";y\n3;\"open \"text\n4;\"closed\";z\n", settings);
    assert_eq!(table.lines(), ["1|say \"hi\" \ntwice|x", "2|the \"inner\"|y", "4|closed|z"]);
    assert_eq!(table.reject_codes(), [(4, "too_few_fields")]);
}

#[test]
fn a_set_line_break_is_the_only_one() {
    let text = "a,b\n1,two\n3,four\r\n5,\"six\r\n\"\n7,eight";
    let table = read_with(text, r#"{"new_line": "\\n", "header": true}"#);
    assert_eq!(table.lines(), ["1|two", "5|six\r\n", "7|eight"]);
    assert_eq!(table.reject_codes(), [(3, "other_line_break")]);
    assert_eq!(read_with(text, r#"{"new_line": "\\n", "header": true, "strict": false}"#).rows.len(), 4);
}

#[test]
fn a_declared_schema_tells_the_dialect_and_the_header() {
    let read = |text: &str, columns: &str| read_with(text, &format!(r#"{{"columns": {columns}}}"#)).lines();
    assert_eq!(read("a;b,c\nd;e,f\n", r#"{"x": "VARCHAR"}"#), ["d;e,f"]);
    assert_eq!(read("{\"a\": 1}\n[2, 3]\n", r#"{"x": "JSON"}"#), ["{\"a\": 1}", "[2, 3]"]);
    assert_eq!(read("1,x\n2,y\n", r#"{"n": "INTEGER", "t": "VARCHAR"}"#), ["1|x", "2|y"]);
    assert_eq!(read("n,t\n2,y\n", r#"{"n": "INTEGER", "t": "VARCHAR"}"#), ["2|y"]);
}

#[test]
fn a_damaged_header_is_shown() {
    let table = read_with(b"id,n\xFFme\n1,x\n", r#"{"encoding": "utf-8", "header": true}"#);
    assert_eq!((table.lines(), table.reject_codes()), (vec!["1|x".to_owned()], vec![(1, "invalid_encoding")]));
}

#[test]
fn arguments_overlay_settings() {
    let base = options(r#"{"delim": ";", "types": {"a": "BIGINT"}, "nullstr": "-"}"#);
    let with = |arguments: &str| base.with_arguments(&serde_json::from_str(arguments).expect("arguments of a test"));
    let merged = with(r#"{"sep": "|", "columns": {"x": "INT"}, "quote": null}"#).expect("settings");
    assert_eq!((merged.delim.as_deref(), merged.types, merged.quote.as_deref()), (Some("|"), None, Some("")));
    assert!(merged.nullstr.is_some());
    for (arguments, word) in [
        (r#"{"names": null}"#, "names"),
        (r#"{"oop": 1}"#, "oop"),
        (r#"{"types": {}}"#, "types"),
        (r#"{"sep": ",", "delim": ","}"#, "sep, delim"),
        (r#"{"header": "maybe"}"#, "header"),
        (r#"{"rejects_limit": 3}"#, "rejects_limit"),
        (r#"{"store_rejects": true, "ignore_errors": false}"#, "store_rejects"),
        (r#"{"auto_type_candidates": ["UUID"]}"#, "UUID"),
    ] {
        let error = with(arguments).expect_err("a mistake").to_string();
        assert!(error.contains(word), "{arguments}: {error}");
    }
}

#[test]
fn ragged_lines_are_rejected_with_their_place() {
    let text = "id,name,qty\n1,bolt,10\n2,nut\n3,gear,30,extra\n4,cog,40,,\n\n   \n5,pin,50\n";
    let table = read(text);
    assert_eq!(table.lines(), ["1|bolt|10", "4|cog|40", "5|pin|50"]);
    assert_eq!(table.reject_codes(), [(3, "too_few_fields"), (4, "too_many_fields")]);
    assert_eq!(table.rejects[0].byte_offset, 22);
    assert_eq!(
        table.counts,
        LineCounts { rows: 3, rejects: 2, blank: 2, header: 1, trimmed: 1, ..LineCounts::default() }
    );
    let padded = read_with(text, r#"{"null_padding": true}"#);
    assert_eq!(padded.lines()[1..3], ["2|nut|∅|∅", "3|gear|30|extra"]);
    assert_eq!((padded.counts.padded, padded.counts.lines_in(), padded.rejects.len()), (3, 5, 0));
}

#[test]
fn broken_quotes_are_rejected_where_they_start() {
    let table = read_with("a,b\n1,\"x\" y\n2,z\n3,\"open\n4,w\n", r#"{"quote": "\""}"#);
    assert_eq!(table.lines(), ["2|z"]);
    assert_eq!(table.reject_codes(), [(2, "malformed_quote"), (4, "unclosed_quote")]);
    let lenient =
        read_with("a,b\n1,\"x\" y\n2,\"say \"hi\" now\"\n3,\"open\n4,w\n", r#"{"strict": false, "quote": "\""}"#);
    assert_eq!(lenient.lines().last().map(String::as_str), Some("4|w"));
    assert_eq!(lenient.lines()[1], "2|say \"hi\" now");
    assert_eq!(lenient.rejects.len(), 0);
}

#[test]
fn bad_rows_can_end_the_run() {
    let result = read_files(&[b"a,b\n1,2\n3\n"], &options(r#"{"on_bad_row": "fail"}"#));
    let Err(DecodeError::Failed(CsvError::BadRow { file, line, .. })) = result.map(|table| table.rows) else {
        panic!("a bad row was let through")
    };
    assert_eq!((file.as_str(), line), ("file0.csv", 3));
}

#[test]
fn damaged_characters_reject_their_line_only() {
    let mut text = "id,name\n1,Jürgen Müller\n2,Zoë Ærø\n".as_bytes().to_vec();
    text.extend(b"3,M\xFCller\n4,ok\n");
    let table = read(&text);
    assert_eq!(table.lines(), ["1|Jürgen Müller", "2|Zoë Ærø", "4|ok"]);
    assert_eq!(table.reject_codes(), [(4, "invalid_encoding")]);
}

#[test]
fn encodings() {
    let latin = read(b"id,name\n1,M\xFCller\n2,\x80uro\n");
    assert_eq!(
        (latin.format.dialect.encoding.as_str(), latin.lines()),
        ("windows-1252", vec!["1|Müller".to_owned(), "2|€uro".to_owned()])
    );
    let utf16: Vec<u8> = "id;name\r\n1;ü🦆\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(read(&utf16).lines(), ["1|ü🦆"]);
    assert_eq!(read_with(b"id,name\n1,\x83\x65\n", r#"{"encoding": "shift_jis"}"#).lines(), ["1|テ"]);
    assert_eq!(read("\u{feff}id,label\n1,x\n").schema(), "id BIGINT, label VARCHAR");
}

#[test]
fn one_column_tables_keep_blank_lines_as_null() {
    let table = read("a\nx\n\ny\n\n");
    assert_eq!(table.lines(), ["x", "∅", "y", "∅"]);
}

#[test]
fn a_line_that_is_too_long_costs_only_itself() {
    let mut text = b"id,text\n1,a\n2,\"".to_vec();
    text.extend(std::iter::repeat_n(b'x', 300_000));
    text.extend(b"\n still the same\"\n3,c\n");
    let table = read_with(&text, r#"{"max_line_size": 1000, "delim": ",", "quote": "\"", "header": true}"#);
    assert_eq!(table.lines(), ["1|a", "3|c"]);
    assert_eq!(table.reject_codes(), [(3, "line_too_long")]);
    for chunk in [1, 7, 64, 4096, 100_000] {
        let again = read_as(&[&text], table.format.clone(), Vec::new(), &options(r#"{"max_line_size": 1000}"#), chunk)
            .expect("a readable table");
        assert_eq!((again.lines(), again.rejects), (table.lines(), table.rejects.clone()), "chunk {chunk}");
    }
}

#[test]
fn nul_bytes_are_text() {
    let table = read(b"a,b\n1,x\0y\n");
    assert_eq!(table.lines(), ["1|x\0y"]);
}

#[test]
fn a_hundred_thousand_columns() {
    let header: Vec<String> = (0..100_000).map(|column| format!("c{column}")).collect();
    let row: Vec<String> = (0..100_000).map(|column| column.to_string()).collect();
    let text = format!("{}\n{}\n", header.join(","), row.join(","));
    let settings = options("{}");
    let detection = detect(&[Sample { name: "wide.csv", bytes: text.as_bytes(), complete: true }], &settings)
        .expect("a wide table");
    let mut decoder =
        Decoder::new("wide.csv", &detection.format, &settings).expect("a decoder").with_projection(vec![99_999, 0]);
    decoder.push(text.as_bytes()).expect("a readable table");
    decoder.finish().expect("a readable table");
    let batch = decoder.next_batch().expect("one batch");
    assert_eq!(rows_of(&batch), [["99999", "0"]]);
}

#[test]
fn projections_leave_the_rows_alone() {
    let text = "id,name,qty\n1,bolt,10\n2,nut\n3,gear,x\n4,cog,40\n";
    let settings = options(r#"{"types": {"qty": "INTEGER"}}"#);
    let detection =
        detect(&[Sample { name: "t.csv", bytes: text.as_bytes(), complete: true }], &settings).expect("a table");
    for (projection, expected) in [
        (vec![], vec![vec![], vec![]]),
        (vec![1], vec![vec!["bolt"], vec!["cog"]]),
        (vec![2, 0], vec![vec!["10", "1"], vec!["40", "4"]]),
    ] {
        let mut decoder = Decoder::new("t.csv", &detection.format, &settings)
            .expect("a decoder")
            .with_projection(projection)
            .with_batch_rows(1);
        decoder.push(text.as_bytes()).expect("a readable table");
        decoder.finish().expect("a readable table");
        let rows: Vec<Vec<String>> =
            std::iter::from_fn(|| decoder.next_batch()).flat_map(|batch| rows_of(&batch)).collect();
        assert_eq!(rows, expected);
        assert_eq!(decoder.take_rejects().len(), 2);
    }
}

#[test]
fn files_of_one_table_are_matched_by_name() {
    let (first, second): (&[u8], &[u8]) = (b"id,email,phone\n1,a@x,5\n", b"Email,score,ID,phone\nb@x,9,2,6\n");
    let table = read_files(&[first, second], &options("{}")).expect("matching files");
    assert_eq!(table.lines(), ["1|a@x|5", "2|b@x|6"]);
    let lacking: &[u8] = b"email,id\nb@x,2\n";
    let error = read_files(&[first, lacking], &options("{}")).map(|table| table.rows).expect_err("a column is missing");
    assert!(error.to_string().contains("file1.csv") && error.to_string().contains("phone"), "{error}");
    let table = read_files(&[first, second, lacking], &options(r#"{"union_by_name": true}"#)).expect("united files");
    assert_eq!(table.schema(), "id BIGINT, email VARCHAR, phone BIGINT, score BIGINT");
    assert_eq!(table.lines(), ["1|a@x|5|∅", "2|b@x|6|9", "2|b@x|∅|∅"]);
}

#[test]
fn files_united_by_name_may_be_written_differently() {
    let files: [&[u8]; 3] = [b"a,b\n1,2\n", b"b;c\n3;x\n4;y\n", b"c\n5\n"];
    let table = read_files(&files, &options(r#"{"union_by_name": true}"#)).expect("united files");
    assert_eq!(table.schema(), "a BIGINT, b BIGINT, c VARCHAR");
    assert_eq!(table.lines(), ["1|2|∅", "∅|3|x", "∅|4|y", "∅|∅|5"]);
}

#[test]
fn empty_files_are_tables_without_rows() {
    for text in ["", "\n", "\u{feff}"] {
        let table = read(text);
        assert_eq!(
            (table.schema().as_str(), table.rows.len(), table.rejects.len()),
            ("column0 VARCHAR", 0, 0),
            "{text:?}"
        );
    }
    let table = read("id,name\n");
    assert_eq!((table.schema().as_str(), table.counts.lines_in()), ("id VARCHAR, name VARCHAR", 0));
}

#[test]
fn the_pinned_format_survives_serialisation() {
    let table = read("# note\nid;day\n1;31/12/2024\n");
    let text = serde_json::to_string(&table.format).expect("a serialisable format");
    assert_eq!(serde_json::from_str::<tapline_csv::TableFormat>(&text).expect("the same format"), table.format);
    assert!(text.contains("%d/%m/%Y"), "{text}");
}

#[test]
fn a_sample_whose_misfits_are_to_be_ignored_binds_the_types() {
    let mut text = "a,b\n".to_owned();
    (0..3000).for_each(|row| text.push_str(&format!("{row},x\n")));
    text.push_str("late,x\n");
    for widens in ["{}", r#"{"sample_size": 10}"#, r#"{"ignore_errors": true}"#] {
        assert_eq!(read_with(&text, widens).rows.len(), 3001, "{widens}");
    }
    let table = read_with(&text, r#"{"sample_size": 10, "ignore_errors": true}"#);
    assert_eq!((table.rows.len(), table.reject_codes()), (3000, vec![(3002, "invalid_value")]));
    assert_eq!(
        read_with("a\n1\nx\n", r#"{"sample_size": 1, "ignore_errors": true}"#).schema(),
        "a VARCHAR",
        "a started step is taken"
    );
}

#[test]
fn tolerance_leaves_out_surplus_fields_and_says_so() {
    let table = read_with("1,2\n3,4,5\n", r#"{"columns": {"a": "BIGINT", "b": "BIGINT"}, "strict": false}"#);
    assert_eq!((table.lines(), table.counts.trimmed), (vec!["1|2".to_owned(), "3|4".to_owned()], 1));
    let table = read_with("1,2\n3,4,5\n", r#"{"columns": {"a": "BIGINT", "b": "BIGINT"}}"#);
    assert_eq!(table.reject_codes(), [(2, "too_many_fields")]);
}

#[test]
fn stray_quotes_are_text_unless_the_escape_is_given() {
    let text = "1;\"x \"y\" z\"\n2;\"p \"\"q\"\" r\"\n";
    let plain = read_with(text, r#"{"delim": ";", "header": false, "strict": false}"#);
    assert_eq!(plain.lines(), ["1|x \"y\" z", "2|p \"q\" r"]);
    let given = read_with(text, r#"{"delim": ";", "header": false, "strict": false, "quote": "\"", "escape": "\""}"#);
    assert_eq!(given.lines(), ["1|x y z", "2|p \"q\" r"]);
}

#[test]
fn skip_says_where_the_table_begins() {
    let text = "title\nby me\na,b\n1,2\n3,4\n";
    assert_eq!(read_with(text, r#"{"skip": 2}"#).schema(), "a BIGINT, b BIGINT");
    assert_eq!(read_with(text, r#"{"skip": 1, "header": false}"#).lines(), ["by me", "a,b", "1,2", "3,4"]);
    assert!(read_files(&[text.as_bytes()], &options(r#"{"skip": 9}"#)).is_err());
}

#[test]
fn declared_dates_are_read_in_the_one_order_that_fits() {
    let settings = r#"{"columns": {"d": "DATE"}, "header": true}"#;
    assert_eq!(read_with("d\n12/31/2024\n01/02/2024\n", settings).lines(), ["2024-12-31", "2024-01-02"]);
    assert_eq!(read_with("d\n01/02/2024\n", settings).rejects.len(), 1);
}

#[test]
fn a_candidate_with_a_zone_reads_moments_without_one() {
    let text = "t\n2024-01-01 10:00:00\n2024-01-01 10:00:00+01\n";
    assert_eq!(read(text).schema(), "t VARCHAR");
    let named = read_with(text, r#"{"auto_type_candidates": ["TIMESTAMPTZ"]}"#);
    assert_eq!((named.schema().as_str(), named.rows.len()), ("t TIMESTAMP WITH TIME ZONE", 2));
}

#[test]
fn settings_that_the_file_contradicts_are_mistakes() {
    let text = "a,b\n1,xxxxxxxxxxxxxxxxxxxx\n";
    for settings in
        [r#"{"sample_size": 0}"#, r#"{"sample_size": -2}"#, r#"{"force_not_null": ["c"]}"#, r#"{"buffer_size": 0}"#]
    {
        assert!(read_files(&[text.as_bytes()], &options(settings)).is_err(), "{settings}");
    }
    assert_eq!(read_with(text, r#"{"buffer_size": 10}"#).reject_codes(), [(2, "line_too_long")]);
}
