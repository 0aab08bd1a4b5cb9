//! Detection on small tables that show one difficulty each.

use crate::support::{options, read, read_files, read_with};

#[test]
fn delimiters() {
    for (delimiter, text) in [
        (",", "a,b\n1,2\n3,4\n"),
        (";", "a;b\n1,5;x\n2,5;y\n"),
        ("\t", "a\tb\n1\tx, y\n2\tz\n"),
        ("|", "a|b\n1|x\n2|y\n"),
        ("^", "a^b^c\n1^x^2\n2^y^3\n"),
        ("||", "a||b||c\n1||x||2\n2||y||3\n"),
        (",", "a, b, c\n1, x, \"2, 3\"\n2, y, 3\n"),
        ("\u{1}", "a\u{1}b\n1\u{1}x\n2\u{1}y\n"),
        (",", "one\ntwo\nthree\n"),
    ] {
        let table = read(text);
        assert_eq!(table.format.dialect.delimiter, delimiter, "{text:?}: {:?}", table.reasons);
        assert_eq!(table.rejects.len(), 0, "{text:?}");
    }
}

#[test]
fn a_space_behind_every_delimiter_belongs_to_it() {
    let table = read("a, b, c\n1, x, \"2, 3\"\n2, y,  z\n3,w, v\n");
    assert_eq!(table.lines(), ["1| x|2, 3", "2| y|  z", "3|w| v"], "one delimiter has none");
    let table = read("a, b, c\n1, x, \"2, 3\"\n2, y,  z\n");
    assert_eq!(table.lines(), ["1|x|2, 3", "2|y| z"]);
    assert_eq!(read_with("a, b\nx, y\n", r#"{"delim": ","}"#).lines(), ["x| y"]);
    assert_eq!(read_with("a, b\nx, y\n", r#"{"delim": ", "}"#).lines(), ["x|y"]);
}

#[test]
fn a_semicolon_in_one_value_is_no_delimiter() {
    let table = read("c0\nv0\na;b\n");
    assert_eq!((table.schema().as_str(), table.lines()), ("c0 VARCHAR", vec!["v0".to_owned(), "a;b".to_owned()]));
}

#[test]
fn single_quotes() {
    let table = read("id|name|memo\n1|'a|b'|x\n2|plain|'it''s'\n3|'c|d'|\n");
    assert_eq!(
        (table.format.dialect.quote, table.lines()),
        (Some('\''), vec!["1|a|b|x".to_owned(), "2|plain|it's".to_owned(), "3|c|d|∅".to_owned()])
    );
    let table = read("id,name\n1,it's\n2,'tis\n3,rock 'n' roll\n");
    assert_eq!(table.lines(), ["1|it's", "2|'tis", "3|rock 'n' roll"]);
}

#[test]
fn headers() {
    for (header, text) in [
        (true, "a,b\n1,2\n"),
        (false, "1,2\n3,4\n"),
        (true, "a,b\nc,d\n"),
        (false, "1,name1,1.5,2024-01-01\n2,name2,3.0,2024-01-02\n"),
        (true, "a\n"),
        (false, "1\n"),
        (true, "id,day\nx,2024-01-01\n"),
    ] {
        assert_eq!(read(text).format.dialect.header, header, "{text:?}");
    }
    assert_eq!(read("a,a,A,a_1\n1,2,3,4\n").schema(), "a BIGINT, a_1 BIGINT, A_2 BIGINT, a_1_1 BIGINT");
    assert_eq!(read("a,,b\n1,2,3\n").schema(), "a BIGINT, column1 BIGINT, b BIGINT");
    assert_eq!(read_with("a,b\n1,2\n", r#"{"names": ["x"]}"#).schema(), "x BIGINT, b BIGINT");
    assert_eq!(
        read_with("Lead Id,Total (USD)\n1,2\n", r#"{"normalize_names": true}"#).schema(),
        "lead_id BIGINT, total_usd BIGINT"
    );
}

#[test]
fn what_stands_above_the_table_is_skipped() {
    for text in [
        "title\n\nid,name\n1,x\n2,y\n",
        "# exported\n# today\n\nid,name\n1,x\n# in between\n2,y\n",
        "Report of, the, year\nid,name\n1,x\n2,y\n",
    ] {
        let table = read(text);
        assert_eq!(
            (table.schema().as_str(), table.lines()),
            ("id BIGINT, name VARCHAR", vec!["1|x".to_owned(), "2|y".to_owned()]),
            "{text:?}"
        );
        assert_eq!(table.rejects.len(), 0, "{text:?}");
    }
    let table = read("PREAMBLE,,,\n,,,\nid,name,qty,when\n1,x,2,3\n2,y,3,4\n");
    assert_eq!(
        (table.schema().as_str(), table.counts.preamble),
        ("id BIGINT, name VARCHAR, qty BIGINT, when BIGINT", 2)
    );
}

#[test]
fn a_hash_at_the_start_of_a_row_is_data() {
    let table = read("color,name\n#ff0000,red\n#00ff00,green\n");
    assert_eq!(table.lines(), ["#ff0000|red", "#00ff00|green"]);
}

#[test]
fn a_trailing_delimiter_makes_no_column() {
    let table = read("a,b\n1,2,\n3,4,\n");
    assert_eq!(
        (table.schema().as_str(), table.lines(), table.counts.trimmed),
        ("a BIGINT, b BIGINT", vec!["1|2".to_owned(), "3|4".to_owned()], 2)
    );
}

#[test]
fn settings_are_not_questioned() {
    let table = read_with("a;b,c\n1;2,3\n", r#"{"sep": ";", "header": false}"#);
    assert_eq!(table.lines(), ["a|b,c", "1|2,3"]);
    let table = read_with("x\ny\na,b\n1,2\n", r#"{"skip": 2}"#);
    assert_eq!((table.schema().as_str(), table.counts.preamble), ("a BIGINT, b BIGINT", 2));
    for (bad, name) in [
        (r#"{"delim": "123456789"}"#, "delim"),
        (r#"{"delim": "|;", "comment": ";"}"#, "comment"),
        (r#"{"names": ["x", "x"]}"#, "names"),
        (r#"{"names": ["x", "y", "z"]}"#, "names"),
        (r#"{"types": ["BIGINT", "BIGINT", "BIGINT"]}"#, "types"),
        (r#"{"quote": "ab"}"#, "quote"),
        (r#"{"encoding": "klingon"}"#, "encoding"),
        (r#"{"dateformat": "%Q"}"#, "dateformat"),
        (r#"{"columns": {"a": "STRUCT"}}"#, "types"),
    ] {
        let error = read_files(&[b"a,b\n"], &options(bad)).map(|table| table.rows).expect_err(bad);
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_tab_can_be_spelled() {
    let spelled = r#"{"delim": "\\t"}"#;
    assert_eq!(read_with("a\tb\n1\t2\n", spelled).schema(), "a BIGINT, b BIGINT");
}

#[test]
fn short_rows_that_are_filled_up_make_a_table() {
    let table = read_with("1\n1,2\n1,2,3\n", r#"{"null_padding": true}"#);
    assert_eq!(table.lines(), ["1|∅|∅", "1|2|∅", "1|2|3"]);
}

#[test]
fn reasons_are_given() {
    let table = read("a;b\n1;01/02/2024\n");
    assert!(table.reasons.iter().any(|reason| reason.contains("delimiter \";\"")), "{:?}", table.reasons);
    assert!(table.reasons.iter().any(|reason| reason.contains("day and month")), "{:?}", table.reasons);
}
