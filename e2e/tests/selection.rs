//! Which files a table has, and which columns their names, folders and differences give it.
//! Not here: globs and file types (`sources`), what is in the files (`formats`).

use std::collections::BTreeSet;

use tapline_endpoint::Operation;

use crate::harness::{Cell, Delivery, Outcome, Table, Target, World, customers};

fn world() -> World {
    let world = World::new();
    world.write("tapline.yaml", &format!("version: 1\nsources: {{ lake: {} }}\n", world.source()));
    world
}

fn query(world: &World, sql: &str) -> Outcome {
    world.tapline(&["query", "lake", sql, "--format", "csv"])
}

#[track_caller]
fn gives(world: &World, sql: &str, csv: &str) -> Outcome {
    let outcome = query(world, sql).exits(0);
    assert_eq!(outcome.stdout, csv, "{sql}: {outcome}");
    outcome
}

fn rows(ids: impl IntoIterator<Item = i64>) -> Table {
    Table::new(["id"], ids.into_iter().map(|id| [Cell::Int(id)]))
}

fn values(values: impl IntoIterator<Item = Cell>) -> Table {
    Table::new(["x"], values.into_iter().map(|value| [value]))
}

/// The keys that were read.
fn keys_read(world: &World) -> BTreeSet<String> {
    let requests = world.endpoint.requests();
    requests
        .into_iter()
        .filter(|request| request.operation == Operation::GetObject)
        .map(|request| request.key)
        .collect()
}

/// Two years of two months, each a Parquet and a CSV table.
fn partitioned() -> World {
    let world = world();
    for (number, (year, month)) in [(2023, "01"), (2023, "02"), (2024, "01"), (2024, "02")].into_iter().enumerate() {
        let rows = rows([number as i64]);
        world.put(&format!("parquet/year={year}/month={month}/a.parquet"), rows.parquet());
        world.put(&format!("csv/year={year}/month={month}/a.csv"), rows.csv());
        world.put(&format!("ndjson/year={year}/month={month}/a.ndjson"), format!("{{\"id\": {number}}}\n"));
    }
    world
}

#[test]
fn folders_are_columns_with_types() {
    let world = partitioned();
    for (format, suffix) in [("parquet", "parquet"), ("csv", "csv"), ("ndjson", "ndjson")] {
        let files = format!("'s3://lake/{format}/**/*.{suffix}'");
        gives(
            &world,
            &format!("SELECT id, month, year, year + 1 AS next FROM {files} WHERE id = 2"),
            "id,month,year,next\n2,01,2024,2025\n",
        );
        gives(&world, &format!("SELECT * FROM {files} WHERE id = 3"), "id,month,year\n3,02,2024\n");
    }
    let with =
        |options: &str| format!("SELECT * FROM read_csv('s3://lake/csv/**/*.csv', {options}) ORDER BY id LIMIT 1");
    gives(&world, &with("hive_partitioning = false"), "id\n0\n");
    gives(&world, &with("hive_types = {'month': VARCHAR}"), "id,month,year\n0,01,2023\n");
    gives(&world, &with("hive_types_autocast = false"), "id,month,year\n0,01,2023\n");
    query(&world, &with("hive_types = {'day': DATE}")).fails(1, "SQL-005");
    // A folder that stands for NULL, and one that is named as a URL must be.
    world.put("odd/day=__HIVE_DEFAULT_PARTITION__/a.csv", "id\n1\n");
    world.put("odd/day=2024-02-29/a.csv", "id\n2\n");
    gives(&world, "SELECT * FROM 's3://lake/odd/**' ORDER BY id", "id,day\n1,\n2,2024-02-29\n");
    world.put("encoded/city=S%C3%A3o%20Paulo%2FSP/a.csv", "id\n1\n");
    gives(&world, "SELECT city FROM 's3://lake/encoded/**'", "city\nSão Paulo/SP\n");
}

#[test]
fn only_the_files_of_matching_folders_are_read() {
    for (format, suffix) in [("parquet", "parquet"), ("csv", "csv"), ("ndjson", "ndjson")] {
        for (condition, expected, read) in [
            ("year = 2024", "2,3", &["year=2024/month=01", "year=2024/month=02"][..]),
            ("year = 2024 AND month > 1", "3", &["year=2024/month=02"]),
            ("year IN (2023) AND id < 1", "0", &["year=2023/month=01", "year=2023/month=02"]),
            ("filename LIKE '%month=02%'", "1,3", &["year=2023/month=02", "year=2024/month=02"]),
        ] {
            let world = partitioned();
            world.endpoint.clear_requests();
            let sql = format!("SELECT id FROM 's3://lake/{format}/**/*.{suffix}' WHERE {condition} ORDER BY id");
            let outcome = query(&world, &sql).exits(0);
            let ids: Vec<&str> = outcome.stdout.lines().skip(1).collect();
            assert_eq!(ids.join(","), expected, "{outcome}");
            // Any file may have been looked at for the columns: the first.
            let first = format!("{format}/year=2023/month=01/a.{suffix}");
            let expected = read.iter().map(|folder| format!("{format}/{folder}/a.{suffix}")).chain([first.clone()]);
            let mut keys = keys_read(&world);
            keys.insert(first);
            assert_eq!(keys, expected.collect(), "{sql}");
        }
    }
}

#[test]
fn whole_numbers_beside_fractions_are_doubles_where_none_is_too_long() {
    let world = world();
    world.put("t/a.parquet", values([Cell::Int(1), Cell::Null]).parquet());
    world.put("t/b.parquet", values([Cell::Double(2.5)]).parquet());
    for options in ["", ", union_by_name = true"] {
        let sql = format!("SELECT x, typeof(x) AS t FROM read_parquet('s3://lake/t/*.parquet'{options}) ORDER BY x");
        gives(&world, &sql, "x,t\n1.0,DOUBLE\n2.5,DOUBLE\n,DOUBLE\n");
    }
    // 2^53 + 1 is no double.
    world.put("t/c.parquet", values([Cell::Int(9_007_199_254_740_993)]).parquet());
    let outcome = query(&world, "SELECT * FROM 's3://lake/t/*.parquet'").fails(1, "FILE-003");
    assert!(outcome.stderr.contains("\"x\" of s3://lake/t/c.parquet is BIGINT"), "{outcome}");
}

#[test]
fn a_run_counts_what_it_leaves_out() {
    let world = partitioned();
    let target = Target::sqlite();
    let sql = "SELECT id FROM 's3://lake/parquet/**/*.parquet' WHERE year = 2023";
    world.deliver(&target, Delivery { sql, ..Delivery::default() });
    let run = world.sync().ended(0, "succeeded").counted(&[("read", 2), ("inserted", 2)]);
    assert_eq!(run.report["files"], serde_json::json!({"listed": 4, "read": 2, "skipped": 2}), "{}", run.outcome);
}

#[test]
fn rows_know_their_file() {
    let world = world();
    world.put("t/a.csv", "id\n1\n2\n");
    world.put("t/b.csv", "id\n3\n");
    world.put("p/a.parquet", rows(10..13).parquet());
    let named = "SELECT id, filename FROM 's3://lake/t/*.csv' ORDER BY id";
    gives(&world, named, "id,filename\n1,s3://lake/t/a.csv\n2,s3://lake/t/a.csv\n3,s3://lake/t/b.csv\n");
    // It is there when it is named, but no part of `*`.
    gives(&world, "SELECT * FROM 's3://lake/t/*.csv' WHERE filename LIKE '%b.csv'", "id\n3\n");
    gives(&world, "SELECT f.* FROM 's3://lake/t/b.csv' AS f ORDER BY f.filename", "id\n3\n");
    let asked = "SELECT * FROM read_csv('s3://lake/t/b.csv', filename = true)";
    gives(&world, asked, "id,filename\n3,s3://lake/t/b.csv\n");
    let renamed = "SELECT origin FROM read_csv('s3://lake/t/b.csv', filename = 'origin')";
    gives(&world, renamed, "origin\ns3://lake/t/b.csv\n");
    let numbered =
        "SELECT * FROM read_parquet('s3://lake/p/*.parquet', file_row_number = true) ORDER BY id DESC LIMIT 1";
    gives(&world, numbered, "id,file_row_number\n12,2\n");
    gives(&world, "SELECT id FROM 's3://lake/p/a.parquet' WHERE file_row_number = 1", "id\n11\n");
    world.put("own/a.csv", "filename\nmine\n");
    gives(&world, "SELECT filename FROM 's3://lake/own/a.csv'", "filename\nmine\n");
    query(&world, "SELECT * FROM read_csv('s3://lake/own/a.csv', filename = true)").fails(1, "SQL-005");
}

#[test]
fn lists_are_read_as_they_are_written() {
    let world = world();
    for (key, id) in [("a", 1), ("b", 2), ("c", 3)] {
        world.put(&format!("t/{key}.csv"), format!("id\n{id}\n"));
        world.put(&format!("t/{key}.parquet"), rows([id]).parquet());
    }
    for (reader, suffix) in [("read_csv", "csv"), ("read_parquet", "parquet")] {
        let sql = format!(
            "SELECT sum(id) AS n FROM {reader}(['s3://lake/t/c.{suffix}', 's3://lake/t/{{a,b}}.{suffix}', 's3://lake/t/a.{suffix}'])"
        );
        gives(&world, &sql, "n\n7\n");
    }
    query(&world, "SELECT * FROM read_csv(['s3://lake/t/a.csv', 's3://lake/t/x.csv'])").fails(1, "S3-007");
}

#[test]
fn unknown_arguments_are_answered_with_the_known_ones() {
    let world = world();
    world.put("t/a.csv", "id\n1\n");
    world.put("t/a.parquet", rows([1]).parquet());
    query(&world, "SELECT * FROM read_parquet('s3://lake/t/a.parquet', filname = true)").fails(1, "SQL-005").tells(&[
        "filname",
        "did you mean filename?",
        "hive_partitioning",
        "union_by_name",
        "binary_as_string",
    ]);
    query(&world, "SELECT * FROM read_csv('s3://lake/t/a.csv', delimeter = ';')").fails(1, "SQL-005").tells(&[
        "delimeter",
        "delim",
        "filename",
    ]);
}

#[test]
fn keys_may_hold_any_character() {
    let world = world();
    let keys =
        ["a b.csv", "a+b.csv", "100%.csv", "%20.csv", "k=v.csv", "é 東京.csv", "a'b.csv", "(1).csv", "a&b#c.csv"];
    for key in keys {
        world.put(&format!("odd/{key}"), format!("id,key\n1,\"{key}\"\n"));
    }
    for key in keys {
        let sql = format!("SELECT key FROM 's3://lake/odd/{}'", key.replace('\'', "''"));
        gives(
            &world,
            &sql,
            &format!("key\n{}\n", if key.contains('#') { format!("\"{key}\"") } else { key.to_owned() }),
        );
    }
    gives(&world, "SELECT count(*) AS n FROM 's3://lake/odd/*.csv'", &format!("n\n{}\n", keys.len()));
    let streams = world.tapline(&["discover", "lake", "--format", "json"]).exits(0).json();
    assert_eq!(streams["streams"][0]["files"], keys.len(), "{streams}");
}

#[test]
fn buckets_may_have_dots() {
    let world = World::with(|endpoint| endpoint.bucket("my.lake.v1"));
    world.endpoint.put("my.lake.v1", "a.csv", "id\n1\n").unwrap();
    let source = world.source().replace("bucket: lake", "bucket: my.lake.v1");
    world.write("tapline.yaml", &format!("version: 1\nsources: {{ lake: {source} }}\n"));
    gives(&world, "SELECT id FROM 's3://my.lake.v1/a.csv'", "id\n1\n");
}

#[test]
fn a_file_can_be_the_whole_source() {
    let world = world();
    world.put("crm/people.csv", "id\n1\n");
    world.put("crm/people.csv.old", "id\n2\n");
    let source = world.source().replace("type: s3,", "type: s3, path: /crm/people.csv,");
    world.write("tapline.yaml", &format!("version: 1\nsources: {{ lake: {source} }}\n"));
    gives(&world, "SELECT id FROM 's3://lake/crm/people.csv'", "id\n1\n");
    query(&world, "SELECT id FROM 's3://lake/crm/people.csv.old'").fails(1, "S3-009");
    let streams = world.tapline(&["discover", "lake", "--format", "json"]).exits(0).json();
    assert_eq!(streams["streams"].as_array().unwrap().len(), 1, "{streams}");
    assert_eq!(streams["streams"][0]["name"], "people");
}

#[test]
fn what_is_outside_the_source_is_named() {
    let world = world();
    world.put("crm/people.csv", "id\n1\n");
    let source = world.source().replace("type: s3,", "type: s3, path: crm, file_type: csv,");
    world.write("tapline.yaml", &format!("version: 1\nsources: {{ lake: {source} }}\n"));
    for (file, words) in [
        ("s3://other/people.csv", &["bucket other", "bucket lake"][..]),
        ("s3://lake/hr/people.csv", &["s3://lake/hr/people.csv", "s3://lake/crm"]),
        ("s3://lake/c*/people.csv", &["s3://lake/crm"]),
        ("/etc/passwd", &["/etc/passwd", "s3://lake/crm"]),
    ] {
        query(&world, &format!("SELECT * FROM '{file}'")).fails(1, "S3-009").tells(words);
    }
    query(&world, "SELECT * FROM 's3://lake/crm/people.parquet'").exits(1);
    query(&world, "SELECT * FROM read_parquet('s3://lake/crm/people.csv')").fails(1, "S3-011").tells(&[
        "parquet",
        "file_type: csv",
        "any",
    ]);
}

#[test]
fn what_a_file_holds_is_named_where_it_is_read_as_something_else() {
    let world = world();
    world.put("part-0", customers(1, 10).parquet());
    world.put("list.json", "[{\"a\": 1}]");
    world.put("lines.json", "{\"a\": 1}\n");
    world.put("header", "PAR1,b\n1,2\n");
    let read_csv = "SELECT * FROM read_csv('s3://lake/part-0')";
    query(&world, read_csv).fails(1, "S3-011").tells(&["s3://lake/part-0", "csv", "parquet", "file_type: any"]);
    gives(&world, "SELECT count(*) AS n FROM 's3://lake/part-0'", "n\n10\n");
    query(&world, "SELECT * FROM 's3://lake/list.json'").fails(1, "FILE-005").tells(&["list.json", "JSON object"]);
    gives(&world, "SELECT a + 1 AS next FROM 's3://lake/lines.json'", "next\n2\n");
    // Text may begin like a Parquet file.
    gives(&world, "SELECT * FROM read_csv('s3://lake/header')", "PAR1,b\n1,2\n");
    let source = world.source().replace("type: s3,", "type: s3, file_type: csv,");
    world.write("tapline.yaml", &format!("version: 1\nsources: {{ lake: {source} }}\n"));
    query(&world, "SELECT * FROM 's3://lake/part-0'").fails(1, "S3-011").tells(&["parquet", "any"]);
}

#[test]
fn columns_of_several_files() {
    let world = world();
    let put = |key: &str, table: Table| {
        world.put(&format!("csv/{key}.csv"), table.csv());
        world.put(&format!("parquet/{key}.parquet"), table.parquet());
    };
    put("1", Table::new(["id", "name"], [[Cell::Int(1), "x".into()]]));
    put("2", Table::new(["name", "id", "more"], [["y".into(), Cell::Int(2), Cell::Int(7)]]));
    put("3", Table::new(["id"], [[Cell::Int(3)]]));
    for (reader, folder) in [("read_csv", "csv"), ("read_parquet", "parquet")] {
        let files = |names: &str, options: &str| {
            format!("SELECT * FROM {reader}('s3://lake/{folder}/{names}.{folder}'{options}) ORDER BY id")
        };
        // By name, not by position; what the first file lacks is left out.
        gives(&world, &files("[12]", ""), "id,name\n1,x\n2,y\n");
        query(&world, &files("[13]", "")).fails(1, "FILE-003").tells(&[
            &format!("s3://lake/{folder}/3.{folder}"),
            "name",
            "union_by_name",
        ]);
        gives(&world, &files("*", ", union_by_name = true"), "id,name,more\n1,x,\n2,y,7\n3,,\n");
    }
    let outcome = query(&world, "SELECT * FROM 's3://lake/parquet/[12].parquet'").exits(0);
    outcome.tells(&["s3://lake/parquet/2.parquet", "\"more\""]);
}

#[test]
fn types_of_several_files() {
    let world = world();
    let put = |key: &str, cell: Cell| world.put(&format!("t/{key}.parquet"), Table::new(["x"], [[cell]]).parquet());
    put("whole", Cell::Int(1));
    put("half", Cell::Double(1.5));
    put("text", "1".into());
    put("yes", Cell::Bool(true));
    let files = |one: &str, other: &str| {
        format!("SELECT x FROM read_parquet(['s3://lake/t/{one}.parquet', 's3://lake/t/{other}.parquet']) ORDER BY x")
    };
    gives(&world, &files("whole", "whole"), "x\n1\n1\n");
    // A DOUBLE holds each of the whole numbers, as the file's own statistics tell; those of `wide` tell otherwise.
    gives(&world, &files("whole", "half"), "x\n1.0\n1.5\n");
    put("wide", Cell::Int((1 << 53) + 1));
    for (one, other, types) in [
        ("wide", "half", ["BIGINT", "DOUBLE"]),
        ("whole", "text", ["BIGINT", "VARCHAR"]),
        ("yes", "whole", ["BOOLEAN", "BIGINT"]),
    ] {
        query(&world, &files(one, other)).fails(1, "FILE-003").tells(&types).tells(&["\"x\"", one, other]);
    }
}

#[test]
fn keys_may_begin_and_end_with_spaces() {
    let world = world();
    for key in ["sp/ lead.csv", "sp/trail .csv", " top/a.csv", "end /a.csv"] {
        world.put(key, "k\n\"v\"\n");
        gives(&world, &format!("SELECT k FROM 's3://lake/{key}'"), "k\nv\n");
    }
    gives(&world, "SELECT count(*) AS n FROM 's3://lake/sp/*'", "n\n2\n");
}
