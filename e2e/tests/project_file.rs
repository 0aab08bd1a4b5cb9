//! Mistakes in the project file: each with file, line, column, and what would be right.
//! Not here: mistakes that show only in the data (`mapping`, `failures`).

use crate::harness::World;

/// A project without mistakes, one line each, so that tests can name lines.
const GOOD: &str = r#"version: 1
sources:
  lake:
    type: s3
    bucket: lake
    region: us-east-1
    auth: { type: anonymous }
models:
  customers:
    source: lake
    sql: SELECT * FROM 's3://lake/customers.csv'
    primary_key: [id]
destinations:
  local:
    type: sqlite
    path: out.db
syncs:
  customers:
    model: customers
    destination: local
    stream: customers
    mode: incremental
    fields:
      id: id
      origin: { value: s3 }
"#;

/// Asserts that `validate`, and a command that uses the project, tell a mistake at its place.
#[track_caller]
fn refuses(text: &str, place: &str, code: &str, words: &[&str]) {
    let world = World::new();
    world.write("tapline.yaml", text);
    let place = format!("tapline.yaml:{place}: ");
    for arguments in [["validate"].as_slice(), &["sync", "--all"]] {
        let outcome = world.tapline(arguments).exits(2).tells(&[code, &place]).tells(words);
        assert_eq!(outcome.stdout, "", "{outcome}");
    }
    assert!(!world.folder().join("out.db").exists());
}

#[track_caller]
fn replaced(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

#[test]
fn a_good_project_is_valid() {
    let world = World::new();
    world.write("tapline.yaml", GOOD);
    world.tapline(&["validate"]).exits(0);
    world.tapline(&["validate", "--no-env"]).exits(0);
}

#[test]
fn unknown_keys_are_told_with_the_valid_ones() {
    for (from, to, place, words) in [
        ("    mode: incremental", "    mod: incremental", "22:5", ["did you mean `mode`?", "cursor_field"]),
        ("sources:", "source:", "2:1", ["did you mean `sources`?", "destinations"]),
        ("    bucket: lake", "    buckt: lake", "5:5", ["did you mean `bucket`?", "endpoint"]),
        ("{ type: anonymous }", "{ type: anonymous, role: x }", "7:30", ["role", "role_arn"]),
        ("    path: out.db", "    paht: out.db", "16:5", ["did you mean `path`?", "valid keys"]),
        ("    primary_key: [id]", "    primary_keys: [id]", "12:5", ["did you mean `primary_key`?", "sql"]),
        ("{ value: s3 }", "{ vlaue: s3 }", "25:17", ["vlaue", "template"]),
    ] {
        refuses(&replaced(from, to), place, "CONF-002", &words);
    }
}

#[test]
fn unknown_names_are_told_with_the_valid_ones() {
    for (from, to, place, words) in [
        ("model: customers", "model: custmers", "19:12", ["did you mean `customers`?", "valid: customers"]),
        ("destination: local", "destination: crm", "20:18", ["unknown destination `crm`", "valid: local"]),
        ("source: lake", "source: late", "10:13", ["did you mean `lake`?", "valid: lake"]),
    ] {
        refuses(&replaced(from, to), place, "CONF-004", &words);
    }
    for (from, to, place, words) in [
        ("type: sqlite", "type: sqlight", "15:11", ["did you mean `sqlite`?", "postgres"]),
        ("type: s3", "type: s4", "4:11", ["unknown", "s3"]),
        ("mode: incremental", "mode: increment", "22:11", ["incremental", "full_refresh"]),
        ("type: anonymous", "type: nobody", "7:19", ["iam_user", "anonymous"]),
        ("version: 1", "version: 2", "1:10", ["version", "1"]),
    ] {
        refuses(&replaced(from, to), place, "CONF-002", &words);
    }
}

#[test]
fn an_unset_variable_is_told_where_it_stands() {
    let text = replaced("bucket: lake", "bucket: ${E2E_BUCKET_THAT_IS_NOT_SET}");
    refuses(&text, "5:13", "CONF-003", &["E2E_BUCKET_THAT_IS_NOT_SET"]);
    let world = World::new();
    world.write("tapline.yaml", &text);
    world.tapline(&["validate", "--no-env"]).exits(0);
    world.tapline_with(&["validate"], &[("E2E_BUCKET_THAT_IS_NOT_SET", "lake")]).exits(0);
    // With a default it may be absent.
    world.write("tapline.yaml", &replaced("bucket: lake", "bucket: ${E2E_BUCKET_THAT_IS_NOT_SET:-lake}"));
    world.tapline(&["validate"]).exits(0);
    // A file that is not there is told as well.
    refuses(&replaced("bucket: lake", "bucket: ${file:secrets/bucket}"), "5:13", "CONF-003", &["secrets/bucket"]);
}

#[test]
fn what_does_not_fit_together_is_told() {
    refuses(&replaced("    primary_key: [id]\n", ""), "21:11", "CONF-005", &["primary_key"]);
    refuses(&replaced("    bucket: lake\n", ""), "3:3", "CONF-002", &["bucket"]);
    refuses(&replaced("    source: lake\n", ""), "9:3", "CONF-002", &["source"]);
    // SQL has a position of its own, with a caret.
    refuses(&replaced("SELECT * FROM", "SELECT FROM FROM"), "11:10", "SQL-001", &["^"]);
    let text = replaced("{ value: s3 }", "{ template: \"{{ id \" }");
    refuses(&text, "18:3", "MAP-002", &["origin"]);
}

#[test]
fn yaml_that_cannot_be_read_is_told() {
    refuses(&replaced("    bucket: lake", "    bucket: lake\n    bucket: other"), "6:5", "CONF-002", &["bucket"]);
    let world = World::new();
    for text in ["version: [1", "a: b: c", "version: 1\n\tsources: {}"] {
        world.write("tapline.yaml", text);
        world.tapline(&["validate"]).exits(2).tells(&["CONF-002", "tapline.yaml:"]);
    }
}

#[test]
fn all_mistakes_are_told_at_once_and_in_order() {
    let world = World::new();
    world.write(
        "tapline.yaml",
        &GOOD.replace("    mode:", "    mod:").replace("type: sqlite", "type: sqlight").replace("lake:", "la ke:"),
    );
    let outcome = world.tapline(&["validate"]).exits(2);
    let lines: Vec<u32> = outcome
        .stderr
        .lines()
        .filter_map(|line| line.split_once("tapline.yaml:")?.1.split(':').next()?.parse().ok())
        .collect();
    assert!(lines.len() >= 4 && lines.is_sorted(), "{outcome}");
    let document = world.tapline(&["validate", "--format", "json"]).exits(2).json();
    assert_eq!(document["ok"], false);
}

#[test]
fn files_outside_of_the_source_are_told() {
    let files = "'s3://lake/customers.csv'";
    for (source, model, word) in [
        ("bucket: lake", "'s3://other/customers.csv'", "bucket other"),
        ("{ bucket: lake, path: sales }", "'s3://lake/people/a.csv'", "s3://lake/sales"),
        ("bucket: lake", "read_csv(['s3://lake/a.csv', 'local.csv'])", "local.csv"),
        ("{ bucket: lake, file_type: csv }", "read_parquet('s3://lake/a.parquet')", "parquet"),
    ] {
        let world = World::new();
        let keys = source.trim_matches(['{', '}']).split(',').map(str::trim).collect::<Vec<_>>().join("\n    ");
        let text = GOOD.replace("bucket: lake", &keys).replace(files, model);
        world.write("tapline.yaml", &text);
        let outcome = world.tapline(&["validate"]).exits(2).tells(&["S3-0", word, "tapline.yaml:"]);
        assert_eq!(outcome.stdout, "", "{outcome}");
        // What a variable stands for is not known without it.
        world.write("tapline.yaml", &text.replace("bucket: lake", "bucket: \"${E2E_BUCKET_THAT_IS_NOT_SET}\""));
        world.tapline(&["validate", "--no-env"]).exits(0);
    }
    let world = World::new();
    let within = "(SELECT * FROM 's3://lake/a/*.csv' JOIN 's3://lake/b.parquet' USING (id))";
    world.write("tapline.yaml", &GOOD.replace(files, within));
    world.tapline(&["validate"]).exits(0);
}

#[test]
fn mistakes_of_an_included_file_name_that_file() {
    let world = World::new();
    let (project, syncs) = GOOD.split_once("syncs:").unwrap();
    world.write("tapline.yaml", &format!("{project}include: [syncs/*.yaml]\n"));
    world.write("syncs/customers.yaml", &format!("syncs:{syncs}").replace("mode:", "mod:"));
    world.tapline(&["validate"]).exits(2).tells(&["syncs/customers.yaml:6:5: ", "did you mean `mode`?"]);
}

#[test]
fn names_on_the_command_line_are_told_with_the_valid_ones() {
    let world = World::new();
    world.write("tapline.yaml", GOOD);
    for (arguments, words) in [
        (["sync", "custmers"].as_slice(), ["did you mean `customers`?", "valid: customers"]),
        (&["plan", "orders"], ["unknown sync `orders`", "valid: customers"]),
        (&["discover", "lakes"], ["did you mean `lake`?", "valid: lake"]),
        (&["query", "lakes", "SELECT 1"], ["did you mean `lake`?", "valid: lake"]),
        (&["check", "lokal"], ["did you mean `local`?", "valid: lake, local"]),
        (&["preview", "customer"], ["did you mean `customers`?", "valid: customers"]),
        (&["runs", "orders"], ["unknown sync `orders`", "valid: customers"]),
        (&["rejects", "orders"], ["unknown sync `orders`", "valid: customers"]),
    ] {
        world.tapline(arguments).fails(2, "CONF-004").tells(&words);
    }
}

#[test]
fn without_a_project_commands_say_how_to_make_one() {
    let world = World::new();
    for command in [["sync"].as_slice(), &["validate"], &["check"], &["runs"], &["discover", "lake"]] {
        world.tapline(command).fails(2, "CONF-001").tells(&["tapline init"]);
    }
    world.tapline(&["validate", "--project", "elsewhere/tapline.yaml"]).fails(2, "CONF-001").tells(&["elsewhere"]);
    world.write("elsewhere/project.yaml", GOOD);
    world.tapline(&["validate", "--project", "elsewhere/project.yaml"]).exits(0);
}
