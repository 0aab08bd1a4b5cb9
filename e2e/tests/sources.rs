//! Sources: who asks, which key names, which part of a bucket, which files.
//! Not here: what goes wrong (`failures`).

use std::time::Duration;

use serde_json::json;
use tapline_endpoint::Bucket;

use crate::harness::{Delivery, Outcome, Target, World};

const PEOPLE: &str = "id,name\n1,Ada\n2,Grace\n";

/// A project with one source.
fn project(world: &World, source: &str) {
    world.write("tapline.yaml", &format!("version: 1\nsources: {{ lake: {source} }}\n"));
}

fn query(world: &World, sql: &str) -> Outcome {
    world.tapline(&["query", "lake", sql, "--format", "csv"]).exits(0)
}

#[test]
fn every_way_to_say_who_asks() {
    let world = World::with(|endpoint| endpoint.bucket(Bucket::new("open").public()));
    world.put("people.csv", PEOPLE);
    world.endpoint.put("open", "people.csv", PEOPLE).unwrap();
    let (url, key) = (world.endpoint.url(), world.endpoint.access_key());
    let session = world.endpoint.open_session(&key.id, Duration::from_secs(3_600)).unwrap();
    let variables = [
        ("AWS_ACCESS_KEY_ID", key.id.as_str()),
        ("AWS_SECRET_ACCESS_KEY", key.secret.as_str()),
        ("SESSION_ID", session.id.as_str()),
        ("SESSION_SECRET", session.secret.as_str()),
        ("SESSION_TOKEN", session.session_token.as_deref().unwrap()),
    ];
    let user = "access_key_id: \"${AWS_ACCESS_KEY_ID}\", secret_access_key: \"${AWS_SECRET_ACCESS_KEY}\"";
    for (bucket, keys) in [
        ("lake", format!("auth: {{ type: iam_user, {user}, session_token: \"${{ABSENT:-}}\" }}")),
        (
            "lake",
            "auth: { type: iam_user, access_key_id: \"${SESSION_ID}\", secret_access_key: \"${SESSION_SECRET}\", \
             session_token: \"${SESSION_TOKEN}\" }"
                .to_owned(),
        ),
        ("lake", "auth: { type: default }".to_owned()),
        ("open", "auth: { type: anonymous }".to_owned()),
        // AI Squared's own key names.
        (
            "lake",
            "auth_type: user, access_id: \"${AWS_ACCESS_KEY_ID}\", secret_access: \"${AWS_SECRET_ACCESS_KEY}\", arn: \
             \"\", external_id: \"\", path: \"\", file_type: csv, path_style: true"
                .to_owned(),
        ),
    ] {
        project(&world, &format!("{{ type: s3, region: us-east-1, bucket: {bucket}, endpoint: \"{url}\", {keys} }}"));
        let sql = format!("SELECT name FROM 's3://{bucket}/people.csv' ORDER BY id");
        let outcome = world.tapline_with(&["query", "lake", &sql], &variables).exits(0);
        assert_eq!(outcome.stdout, "name\nAda\nGrace\n", "{keys}: {outcome}");
        world.tapline_with(&["check"], &variables).exits(0);
    }
}

#[test]
fn the_region_can_be_asked_from_the_bucket() {
    let world = World::with(|endpoint| endpoint.bucket(Bucket::new("far").region("eu-west-1")));
    world.endpoint.put("far", "people.csv", PEOPLE).unwrap();
    let source = world.source().replace("us-east-1", "auto").replace("bucket: lake", "bucket: far");
    project(&world, &source);
    assert_eq!(query(&world, "SELECT count(*) AS n FROM 's3://far/people.csv'").stdout, "n\n2\n");
}

#[test]
fn slashes_around_a_path_make_no_difference() {
    let world = World::new();
    world.put("exports/crm/people.csv", PEOPLE);
    world.put("exports/secret/people.csv", PEOPLE);
    for path in ["exports/crm", "/exports/crm", "exports/crm/", "//exports//crm//"] {
        project(&world, &world.source().replace("type: s3,", &format!("type: s3, path: \"{path}\",")));
        let sql = "SELECT count(*) AS n FROM 's3://lake/exports/crm/people.csv'";
        assert_eq!(query(&world, sql).stdout, "n\n2\n", "{path}");
        let document = world.tapline(&["discover", "lake", "--format", "json"]).exits(0).json();
        let streams: Vec<_> = document["streams"].as_array().unwrap().iter().map(|stream| &stream["name"]).collect();
        assert_eq!(streams, ["people"], "{path}");
        // Only the source's own path is visible.
        let sql = "SELECT * FROM 's3://lake/exports/secret/people.csv'";
        world.tapline(&["query", "lake", sql]).fails(1, "S3-009");
    }
}

/// Files of the globs' tests: one row each, with the file's number.
fn globbed() -> World {
    let world = World::new();
    for (key, number) in [
        ("t/a.csv", 1),
        ("t/b.csv", 2),
        ("t/deep/c.csv", 4),
        ("t/deep/er/d.csv", 8),
        ("t/_temporary.csv", 16),
        ("t/.hidden.csv", 32),
        ("t/_staging/e.csv", 64),
        ("t2/f.csv", 128),
    ] {
        world.put(key, format!("number,label\n{number},x\n"));
    }
    world.put("t/readme.md", "no table");
    project(&world, &world.source());
    world
}

#[test]
fn globs_and_folders_find_their_files() {
    let world = globbed();
    for (pattern, sum) in [
        ("t/a.csv", 1),
        ("t/*.csv", 3),
        ("t/?.csv", 3),
        ("t/[bc].csv", 2),
        ("t/{a,b}.csv", 3),
        ("t/*/c.csv", 4),
        ("t/**/*.csv", 15),
        ("t/**", 15),
        ("**/d.csv", 8),
        ("t*/*.csv", 131),
        // A folder, with and without its slash, and all below it.
        ("t/", 15),
        ("t", 15),
        ("t/deep", 12),
        // Named exactly, a file is read whatever it is called.
        ("t/_temporary.csv", 16),
        ("t/.hidden.csv", 32),
    ] {
        let sql = format!("SELECT sum(number) AS n FROM 's3://lake/{pattern}'");
        assert_eq!(query(&world, &sql).stdout, format!("n\n{sum}\n"), "{pattern}");
    }
}

#[test]
fn what_is_not_read_is_counted() {
    let world = globbed();
    let target = Target::sqlite();
    let deliver = |sql| world.deliver(&target, Delivery { sql, key: "number", ..Delivery::default() });
    deliver("SELECT * FROM 's3://lake/t/*.csv'");
    let run = world.sync().ended(0, "succeeded");
    // Of the names that the glob matches, `_temporary.csv` and `.hidden.csv` are not read.
    let files = &run.report["files"];
    assert_eq!((&files["read"], &files["skipped"]), (&json!(2), &json!(2)), "{}", run.outcome);
    deliver("SELECT * FROM 's3://lake/t/'");
    let run = world.sync().ended(0, "succeeded").counted(&[("read", 4), ("unchanged", 2), ("inserted", 2)]);
    // Neither is `readme.md`, nor what is in `_staging`.
    let files = &run.report["files"];
    assert_eq!((&files["read"], &files["skipped"]), (&json!(4), &json!(4)), "{}", run.outcome);
}

#[test]
fn the_reader_the_suffix_or_the_file_type_say_what_a_file_is() {
    let world = World::new();
    world.put("people", PEOPLE);
    world.put("people.dat", PEOPLE);
    world.put("people.txt", PEOPLE);
    world.put("people.tsv", PEOPLE.replace(',', "\t"));
    let source = |file_type: &str| world.source().replace("type: s3,", &format!("type: s3, file_type: {file_type},"));
    project(&world, &source("csv"));
    for key in ["people", "people.txt", "people.tsv"] {
        assert_eq!(query(&world, &format!("SELECT count(*) AS n FROM 's3://lake/{key}'")).stdout, "n\n2\n", "{key}");
    }
    project(&world, &source("any"));
    for table in ["read_csv('s3://lake/people')", "read_csv('s3://lake/people.dat')", "'s3://lake/people.txt'"] {
        assert_eq!(query(&world, &format!("SELECT count(*) AS n FROM {table}")).stdout, "n\n2\n", "{table}");
    }
}

#[test]
fn many_files_of_one_table_are_discovered_with_few_reads() {
    let world = World::new();
    for file in 0..400 {
        world.put(&format!("t/{file:03}.csv"), "id,name\n1,Ada\n");
    }
    project(&world, &world.source());
    world.endpoint.clear_requests();
    let document = world.tapline(&["discover", "lake", "--format", "json"]).exits(0).json();
    let stream = &document["streams"][0];
    assert_eq!((&stream["name"], &stream["files"]), (&json!("t"), &json!(400)), "{document}");
    let requests = world.endpoint.requests().len();
    assert!(requests < 100, "{requests} requests");
}

#[test]
fn discover_tells_tables_columns_and_types() {
    let world = World::new();
    world.put("crm/customers/1.csv", "id,name,joined\n1,Ada,2024-05-01\n");
    world.put("crm/customers/2.csv", "id,name,joined\n2,Grace,2024-05-02\n");
    world.put("crm/events/day=2024-01-01/e.csv", "id,amount\n1,1.5\n");
    world.put("crm/events/day=2024-01-02/e.csv", "id,amount\n2,2.5\n");
    world.put("crm/people.parquet", crate::harness::customers(1, 10).parquet());
    project(&world, &world.source().replace("type: s3,", "type: s3, path: crm,"));
    let document = world.tapline(&["discover", "lake", "--format", "json"]).exits(0).json();
    let streams = document["streams"].as_array().unwrap();
    let stream = |name: &str| {
        streams.iter().find(|stream| stream["name"] == name).unwrap_or_else(|| panic!("{name}: {document}"))
    };
    let column = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
    let columns = |name: &str| -> Vec<_> {
        let columns = stream(name)["columns"].as_array().unwrap();
        columns.iter().map(|found| column(found["name"].as_str().unwrap(), found["type"].as_str().unwrap())).collect()
    };
    assert_eq!(streams.len(), 3, "{document}");
    assert_eq!((&stream("customers")["files"], &stream("customers")["format"]), (&json!(2), &json!("csv")));
    assert_eq!(stream("customers")["bytes"], 2 * "id,name,joined\n1,Ada,2024-05-01\n".len() + 2);
    assert_eq!(columns("customers"), [column("id", "BIGINT"), column("name", "VARCHAR"), column("joined", "DATE")]);
    assert_eq!(columns("events"), [column("id", "BIGINT"), column("amount", "DOUBLE"), column("day", "DATE")]);
    // The rows, as `--format ndjson` prints them.
    let schema = &stream("customers")["json_schema"];
    assert_eq!(schema["required"], json!(["id", "name", "joined"]), "{schema}");
    assert_eq!(
        schema["properties"]["joined"],
        json!({"type": ["string", "null"], "format": "date", "x-duckdb-type": "DATE"})
    );
    let types = ["BIGINT", "VARCHAR", "VARCHAR", "DOUBLE", "BOOLEAN", "DATE"];
    assert_eq!(columns("people").into_iter().map(|(_, kind)| kind).collect::<Vec<_>>(), types);
    // The path can be selected from.
    for (name, rows) in [("customers", 2), ("events", 2), ("people", 10)] {
        let path = stream(name)["path"].as_str().unwrap();
        assert!(path.starts_with("s3://lake/crm/"), "{path}");
        assert_eq!(
            query(&world, &format!("SELECT count(*) AS n FROM '{path}'")).stdout,
            format!("n\n{rows}\n"),
            "{path}"
        );
    }
}
