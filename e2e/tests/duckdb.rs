//! DuckDB's SQL: its answers to queries of our own, and to the conformance queries over files in S3.
//! Not here: how values are printed (`query`).
//! Called with the other tests of the binary.

use std::path::PathBuf;

use serde_json::Value;

use crate::harness::{Outcome, World, customers, skip};

/// How many of the conformance queries have DuckDB's answer.
const REACHED: usize = 191;
/// How many of those that must fail do so; the others name files by `{a,b}`, which is allowed here, and ragged lines, which
/// are set aside and counted.
const REFUSED: usize = 14;

fn conformance(file: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/conformance/queries"));
    folder.is_dir().then(|| folder.join(file))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Columns and rows of an answer.
fn table(outcome: &Outcome) -> (Vec<String>, Vec<Value>) {
    let answer = outcome.json();
    let rows = answer.as_array().unwrap();
    let names = rows.first().and_then(Value::as_object).map(|row| row.keys().cloned().collect());
    let values = |row: &Value| row.as_object().unwrap().values().cloned().collect::<Vec<_>>();
    (names.unwrap_or_default(), rows.iter().map(|row| Value::Array(values(row))).collect())
}

/// Whether two values are the same, numbers up to what summing in another order changes.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => match (one.as_f64(), other.as_f64()) {
            (Some(one), Some(other)) => (one - other).abs() <= 1e-9 * one.abs().max(other.abs()),
            _ => one == other,
        },
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}

fn rounded(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            let number = number.as_f64().unwrap();
            Value::from((number * 1e6).round() / 1e6)
        }
        Value::Array(items) => Value::Array(items.iter().map(rounded).collect()),
        other => other.clone(),
    }
}

/// Whether the rows are those that are expected; their order counts where the query gives one.
fn same_rows(expected: &Value, got: &[Value], ordered: bool) -> bool {
    let mut expected = expected.as_array().unwrap().clone();
    let mut got = got.to_vec();
    if !ordered {
        expected.sort_by_cached_key(|row| rounded(row).to_string());
        got.sort_by_cached_key(|row| rounded(row).to_string());
    }
    same(&Value::Array(expected), &Value::Array(got))
}

fn project(world: &World, more: &str) {
    let source = world.source().replace("type: s3,", &format!("type: s3, {more}"));
    world.write("tapline.yaml", &format!("version: 1\nsources: {{ lake: {source} }}\n"));
}

#[test]
fn queries_have_duckdbs_answers() {
    let world = World::new();
    let mut wrong = Vec::new();
    for case in lines(include_str!("answers/dialect.jsonl")) {
        let sql = case["sql"].as_str().unwrap();
        let outcome = world.tapline(&["query", sql, "--format", "json"]);
        match case.get("rows") {
            None => {
                if outcome.code != Some(1) {
                    wrong.push(format!("{sql}\n  is not refused: {}", outcome.stdout));
                }
            }
            Some(_) if outcome.code != Some(0) => wrong.push(format!("{sql}\n  {}", outcome.stderr)),
            Some(rows) => {
                let (names, got) = table(&outcome);
                let named =
                    got.is_empty() || case.get("names").is_none_or(|expected| *expected == Value::from(names.clone()));
                if !named || !same_rows(rows, &got, case["ordered"].as_bool().unwrap()) {
                    wrong.push(format!("{sql}\n  expected {} {rows}\n  got {names:?} {got:?}", case["names"]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn conformance_queries_over_files_in_s3() {
    let (Some(queries), Some(refused), Some(lake)) =
        (conformance("duckdb_queries.jsonl"), conformance("duckdb_error_queries.jsonl"), conformance("lake"))
    else {
        return skip(2, "the conformance material is not there");
    };
    let world = World::new();
    world.endpoint.upload_dir("lake", "lake", &lake).unwrap();
    project(&world, "file_type: any,");
    let run = |sql: &str| {
        let sql = sql.replace("{root}", "s3://lake/lake");
        world.tapline(&["query", "lake", &sql, "--format", "json"])
    };
    let mut wrong = Vec::new();
    let mut reached = 0;
    for case in lines(&std::fs::read_to_string(queries).unwrap()) {
        let outcome = run(case["sql"].as_str().unwrap());
        let ordered = case["ordered"] == true && case["input_order_dependent"] == false;
        if outcome.code == Some(0) && same_rows(&case["rows"], &table(&outcome).1, ordered) {
            reached += 1;
        } else {
            wrong.push(format!("{} {}", case["id"], case["sql"]));
        }
    }
    let refusals = lines(&std::fs::read_to_string(refused).unwrap());
    let failing = refusals.iter().filter(|case| run(case["sql"].as_str().unwrap()).code == Some(1)).count();
    println!("{reached} answers, {failing} refusals; others:\n{}", wrong.join("\n"));
    assert!(reached >= REACHED, "{reached} of at least {REACHED} answers");
    assert!(failing >= REFUSED, "{failing} of at least {REFUSED} refusals");
}

#[test]
fn tables_about_parquet_files() {
    let world = World::new();
    world.put("customers.parquet", customers(1, 1_000).parquet());
    project(&world, "file_type: any,");
    for (table, columns, answer) in [
        ("parquet_file_metadata", "num_rows, num_row_groups", "1000,1\n"),
        ("parquet_schema", "name, type, repetition_type", "id,INT64,OPTIONAL\n"),
        (
            "parquet_metadata",
            "row_group_id, row_group_num_rows, path_in_schema, type, num_values, stats_min, stats_max",
            "0,1000,id,INT64,1000,1,1000\n",
        ),
        ("parquet_kv_metadata", "decode(key)", "ARROW:schema\n"),
    ] {
        let condition = match table {
            "parquet_schema" => "WHERE name = 'id'",
            "parquet_metadata" => "WHERE path_in_schema = 'id'",
            _ => "",
        };
        let sql = format!("SELECT {columns} FROM {table}('s3://lake/customers.parquet') {condition}");
        let answered = world.tapline(&["query", "lake", &sql, "--format", "csv"]).exits(0).stdout;
        assert_eq!(answered.split_once('\n').map(|(_, rows)| rows), Some(answer), "{sql}");
        let sql = format!("SELECT count(*) AS n FROM (SELECT * FROM {table}('s3://lake/*.parquet'))");
        world.tapline(&["query", "lake", &sql, "--format", "csv"]).exits(0);
    }
}

#[test]
fn the_sandbox_refuses_what_is_no_query_of_its_files() {
    let world = World::new();
    world.put("customers.csv", "id,name\n1,Ada\n");
    project(&world, "");
    world.write("local.csv", "a\n1\n");
    for (sql, code) in [
        ("COPY (SELECT 1) TO '/tmp/tapline-never'", "SQL-010"),
        ("ATTACH 'x.db'", "SQL-010"),
        ("INSTALL httpfs", "SQL-010"),
        ("LOAD httpfs", "SQL-010"),
        ("SET memory_limit = '1GB'", "SQL-010"),
        ("PRAGMA version", "SQL-0"),
        ("CREATE TABLE t AS SELECT 1", "SQL-010"),
        ("INSERT INTO t VALUES (1)", "SQL-010"),
        ("SELECT 1; SELECT 2", "SQL-010"),
        ("SELECT * FROM read_text('s3://lake/customers.csv')", "SQL-0"),
        ("SELECT * FROM read_blob('s3://lake/customers.csv')", "SQL-0"),
        ("SELECT * FROM glob('/etc/*')", "SQL-0"),
        ("SELECT * FROM 'local.csv'", ""),
        ("SELECT * FROM '/etc/passwd'", ""),
        ("SELECT * FROM 's3://other/customers.csv'", ""),
        ("SELECT * FROM 'https://example.com/x.csv'", ""),
        ("SELECT getenv('HOME')", "SQL-0"),
    ] {
        let outcome = world.tapline(&["query", "lake", sql]);
        assert!(outcome.code.is_some_and(|code| code != 0), "{sql} is not refused: {}", outcome.stdout);
        assert!(outcome.stderr.contains(code), "{sql}: {}", outcome.stderr);
    }
}

#[test]
fn bad_input_is_an_error_and_not_the_end() {
    let world = World::new();
    let deep = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    let long = format!("SELECT {}1", "1+".repeat(60_000));
    let lists = format!("SELECT {}{}", "[".repeat(3_000), "]".repeat(3_000));
    let nested = format!("SELECT * FROM {}range(1){}", "(SELECT * FROM ".repeat(1_000), ")".repeat(1_000));
    for sql in [&deep, &long, &lists, &nested, &"(".repeat(20_000), &"SELECT CASE ".repeat(5_000)] {
        let outcome = world.tapline(&["query", sql]);
        assert_eq!(outcome.code, Some(1), "{}…: {}", &sql[..20], outcome.stderr);
    }
    // Long but flat is no harm.
    let many: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
    let sql = format!("SELECT count(*) AS n FROM range(20000) t(x) WHERE x IN ({})", many.join(", "));
    assert_eq!(world.tapline(&["query", &sql, "--format", "csv"]).exits(0).stdout, "n\n10000\n");
    // What has no end gives as many rows as are wanted.
    let endless = "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT n FROM t";
    assert_eq!(world.tapline(&["query", endless, "--limit", "3", "--format", "csv"]).exits(0).stdout, "n\n1\n2\n3\n");
}
