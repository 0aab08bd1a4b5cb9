//! `query`: where its rows come from and how each value is printed.
//! Not here: what SQL can say, which the engine's conformance tests measure.

use std::io::Write;
use std::process::Stdio;

use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::json;

use crate::harness::{Outcome, World, customers};

fn project(world: &World) {
    world.write("tapline.yaml", &format!("version: 1\nsources: {{ lake: {} }}\n", world.source()));
}

fn csv(world: &World, sql: &str) -> String {
    world.tapline(&["query", sql, "--format", "csv"]).exits(0).stdout
}

fn ndjson(world: &World, sql: &str) -> String {
    world.tapline(&["query", sql, "--format", "ndjson"]).exits(0).stdout
}

#[test]
fn csv_quotes_as_little_as_it_can_and_tells_null_from_empty() {
    let world = World::new();
    let sql = "SELECT NULL AS nothing, '' AS empty, 'x,y' AS comma, 'say \"hi\"' AS quote, 'two\nlines' AS break, ' a ' AS blanks";
    let expected = "nothing,empty,comma,quote,break,blanks\n,\"\",\"x,y\",\"say \"\"hi\"\"\",\"two\nlines\", a \n";
    assert_eq!(csv(&world, sql), expected);
    // Away from a terminal it is the default.
    assert_eq!(world.tapline(&["query", sql]).exits(0).stdout, expected);
    // Without rows there is still a header.
    assert_eq!(csv(&world, "SELECT 1 AS a, 2 AS \"b c\" WHERE false"), "a,b c\n");
    // What was written is read again as it was.
    world.write("again.csv", expected);
    let sql = "SELECT nothing IS NULL AS a, empty = '' AS b, comma, quote, break FROM 'again.csv'";
    assert_eq!(csv(&world, sql), "a,b,comma,quote,break\ntrue,true,\"x,y\",\"say \"\"hi\"\"\",\"two\nlines\"\n");
}

#[test]
fn scalars_are_printed_as_the_contract_says() {
    let world = World::new();
    for (sql, in_csv, in_json) in [
        ("true", "true", json!(true)),
        ("CAST(42 AS INTEGER)", "42", json!(42)),
        ("9007199254740992", "9007199254740992", json!(9_007_199_254_740_992_i64)),
        ("9007199254740993", "9007199254740993", json!("9007199254740993")),
        ("-9007199254740993", "-9007199254740993", json!("-9007199254740993")),
        ("CAST(1.5 AS DOUBLE)", "1.5", json!(1.5)),
        ("CAST(3 AS DOUBLE)", "3.0", json!(3.0)),
        ("CAST('nan' AS DOUBLE)", "nan", json!("nan")),
        ("CAST('inf' AS DOUBLE)", "inf", json!("inf")),
        ("CAST('-inf' AS DOUBLE)", "-inf", json!("-inf")),
        ("CAST('1.10' AS DECIMAL(10,2))", "1.10", json!("1.10")),
        ("DATE '2024-02-29'", "2024-02-29", json!("2024-02-29")),
        ("TIME '12:34:56'", "12:34:56", json!("12:34:56")),
        ("TIMESTAMP '2024-02-29 12:34:56.5'", "2024-02-29 12:34:56.5", json!("2024-02-29 12:34:56.5")),
        ("TIMESTAMPTZ '2024-02-29 12:34:56+02'", "2024-02-29 10:34:56+00", json!("2024-02-29 10:34:56+00")),
        ("'Ünïcode'", "Ünïcode", json!("Ünïcode")),
        ("NULL", "", json!(null)),
    ] {
        let sql = format!("SELECT {sql} AS v");
        assert_eq!(csv(&world, &sql), format!("v\n{in_csv}\n"), "{sql}");
        assert_eq!(ndjson(&world, &sql), format!("{}\n", json!({ "v": in_json })), "{sql}");
    }
}

#[test]
fn nested_values_are_printed_as_json() {
    let world = World::new();
    for (sql, expected) in [
        ("[1, 2, NULL]", json!([1, 2, null])),
        ("{'a': 1, 'b': 'x'}", json!({ "a": 1, "b": "x" })),
        ("[{'a': [true]}]", json!([{ "a": [true] }])),
    ] {
        let sql = format!("SELECT {sql} AS v");
        assert_eq!(ndjson(&world, &sql), format!("{}\n", json!({ "v": expected })), "{sql}");
    }
}

#[test]
fn json_is_one_array_and_ndjson_one_object_per_line() {
    let world = World::new();
    let sql = "SELECT 2 AS b, 'x' AS a UNION ALL SELECT 1, 'y' ORDER BY b";
    let outcome = world.tapline(&["query", sql, "--format", "json"]).exits(0);
    assert_eq!(outcome.json(), json!([{ "b": 1, "a": "y" }, { "b": 2, "a": "x" }]));
    assert_eq!(ndjson(&world, sql), "{\"b\":1,\"a\":\"y\"}\n{\"b\":2,\"a\":\"x\"}\n");
    let sql = "SELECT 1 AS a WHERE false";
    assert_eq!(world.tapline(&["query", sql, "--format", "json"]).exits(0).json(), json!([]));
    assert_eq!(ndjson(&world, sql), "");
}

#[test]
fn files_can_be_written_and_read_again() {
    let world = World::new();
    project(&world);
    world.put("customers.parquet", customers(1, 1_000).parquet());
    let sql = "SELECT * FROM 's3://lake/customers.parquet' ORDER BY id";
    let in_csv = world.tapline(&["query", "lake", sql, "--format", "csv"]).exits(0).stdout;
    for (file, flags) in [("out.parquet", None), ("out.ndjson", None), ("out.csv", None), ("out", Some("parquet"))] {
        let mut arguments = vec!["query", "lake", sql, "-o", file];
        arguments.extend(flags.into_iter().flat_map(|format| ["--format", format]));
        let outcome = world.tapline(&arguments).exits(0);
        assert_eq!(outcome.stdout, "", "{outcome}");
        let table = if file == "out" { "read_parquet('out')".to_owned() } else { format!("'{file}'") };
        if !file.ends_with("ndjson") {
            let again = world.tapline(&["query", &format!("SELECT * FROM {table} ORDER BY id"), "--format", "csv"]);
            assert_eq!(again.clone().exits(0).stdout, in_csv, "{file}");
        }
    }
    let file = std::fs::File::open(world.folder().join("out.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    assert_eq!(reader.metadata().file_metadata().num_rows(), 1_000);
    let lines = std::fs::read_to_string(world.folder().join("out.ndjson")).unwrap();
    assert_eq!(lines.lines().count(), 1_000);
    // A query that fails leaves the file as it was.
    let before = std::fs::read(world.folder().join("out.csv")).unwrap();
    world
        .tapline(&["query", "lake", "SELECT CAST(name AS BIGINT) FROM 's3://lake/customers.parquet'", "-o", "out.csv"])
        .exits(1);
    assert_eq!(std::fs::read(world.folder().join("out.csv")).unwrap(), before);
    assert!(std::fs::read_dir(world.folder()).unwrap().count() <= 6, "something is left beside the files");
}

#[test]
fn limit_and_stdin() {
    let world = World::new();
    project(&world);
    world.put("customers.csv", customers(1, 1_000).csv());
    let sql = "SELECT id FROM 's3://lake/customers.csv' ORDER BY id";
    assert_eq!(world.tapline(&["query", "lake", sql, "--limit", "2"]).exits(0).stdout, "id\n1\n2\n");
    let arguments = ["query", "lake", "-", "--limit", "1"];
    let mut child =
        world.command(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
    assert_eq!(Outcome::new(&arguments, child.wait_with_output().unwrap()).exits(0).stdout, "id\n1\n");
}

#[test]
fn without_a_source_any_bucket_and_local_files() {
    let world = World::with(|endpoint| endpoint.bucket("other"));
    world.put("people.csv", "id,name\n1,Ada\n");
    world.endpoint.put("other", "people.parquet", customers(1, 3).parquet()).unwrap();
    world.write("data/cities.csv", "id,city\n1,London\n2,Paris\n");
    let key = world.endpoint.access_key();
    let variables = [
        ("AWS_ACCESS_KEY_ID", key.id.as_str()),
        ("AWS_SECRET_ACCESS_KEY", key.secret.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL_S3", world.endpoint.url()),
    ];
    let sql = "SELECT p.id, p.name, c.city, o.name AS other FROM 's3://lake/people.csv' AS p
               JOIN 's3://other/people.parquet' AS o ON o.id = p.id JOIN 'data/*.csv' AS c ON c.id = p.id";
    let outcome = world.tapline_with(&["query", sql], &variables).exits(0);
    assert_eq!(outcome.stdout, "id,name,city,other\n1,Ada,London,Grace\n");
    // Any endpoint of AWS's will do, too.
    let variables = variables.map(|(name, value)| (name.trim_end_matches("_S3"), value));
    world.tapline_with(&["query", sql], &variables).exits(0);
}

#[test]
fn nothing_but_the_source_can_be_read_and_nothing_written() {
    let world = World::new();
    project(&world);
    world.put("people.csv", "id,name\n1,Ada\n");
    world.write("local.csv", "id\n1\n");
    let local = world.folder().join("local.csv").display().to_string();
    for sql in [
        format!("SELECT * FROM '{local}'"),
        "SELECT * FROM 'local.csv'".to_owned(),
        format!("SELECT * FROM 'file://{local}'"),
        format!("SELECT * FROM read_csv('{local}')"),
        format!("SELECT * FROM \"{local}\""),
        "SELECT * FROM information_schema.df_settings".to_owned(),
        "SELECT * FROM 'https://example.com/x.csv'".to_owned(),
    ] {
        let outcome = world.tapline(&["query", "lake", &sql]);
        assert_eq!(outcome.code, Some(1), "{outcome}");
        assert!(outcome.stdout.is_empty() && outcome.stderr.contains("hint:"), "{outcome}");
    }
    for sql in [
        "COPY (SELECT 1 AS id) TO 'written.csv'",
        "COPY (SELECT 1 AS id) TO 's3://lake/written.csv'",
        "CREATE TABLE t AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'local.csv'",
        "INSERT INTO 's3://lake/people.csv' VALUES (2, 'Eve')",
        "SET datafusion.execution.batch_size = 1",
        "DROP TABLE x",
        "EXPLAIN ANALYZE COPY (SELECT 1 AS id) TO 'written.csv'",
    ] {
        for arguments in [["query", "lake", sql].as_slice(), &["query", sql]] {
            let outcome = world.tapline(arguments);
            assert_eq!(outcome.code, Some(1), "{outcome}");
        }
    }
    assert!(!world.folder().join("written.csv").exists());
    assert_eq!(world.endpoint.keys("lake").unwrap(), ["people.csv"]);
}

#[test]
fn sql_errors_show_their_place() {
    let world = World::new();
    project(&world);
    world.put("people.csv", "id,name\n1,Ada\n");
    for (sql, code, words) in [
        ("SELECT id FRO 's3://lake/people.csv' x y", "SQL-001", ["^"].as_slice()),
        ("SELECT id,\n  nmae\nFROM 's3://lake/people.csv'", "SQL-002", &["LINE 2:   nmae\n", "name"]),
        ("SELECT uper(name) FROM 's3://lake/people.csv'", "SQL-004", &["uper", "upper", "^"]),
        ("SELECT * FROM people", "SQL-003", &["people", "^"]),
        ("SELECT * FROM 's3://lake/peple.csv'", "S3-007", &["peple.csv"]),
    ] {
        let outcome = world.tapline(&["query", "lake", sql]).fails(1, code).tells(words);
        assert_eq!(outcome.stdout, "", "{outcome}");
    }
}

#[test]
fn lines_that_cannot_be_read_are_counted_on_stderr() {
    let world = World::new();
    project(&world);
    world.put("people.csv", "id,name,city\n1,Ada,London\n2,Grace\n3,Linus,Helsinki,Finland\n4,Barbara,Boston\n");
    let outcome = world.tapline(&["query", "lake", "SELECT * FROM 's3://lake/people.csv'"]).exits(3);
    assert_eq!(outcome.stdout, "id,name,city\n1,Ada,London\n4,Barbara,Boston\n");
    assert!(outcome.stderr.contains("2 lines"), "{outcome}");
    // Errors and logs never show what is in a cell.
    assert!(!outcome.stderr.contains("Grace"), "{outcome}");
}
