//! Files as a user gets them: in a folder, in S3, on a server; whole, or what a run has changed.
//! Not here: what a process leaves that dies (`crashes`).

use std::fs;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::harness::{Delivery, FileTarget, Format, Target, World, customers};

fn project(world: &World, destination: &str, sync: &str) {
    world.write(
        "tapline.yaml",
        &format!(
            "version: 1\nsources:\n  lake: {}\nmodels:\n  rows:\n    source: lake\n    sql: SELECT * FROM 's3://lake/customers.parquet'\n    \
             primary_key: [id]\ndestinations:\n  out: {destination}\nsyncs:\n  rows: {{ model: rows, destination: out, {sync} }}\n",
            world.source()
        ),
    );
}

#[test]
fn parquet_goes_to_a_folder_beside_the_project() {
    let world = World::new();
    world.put("customers.parquet", customers(1, 100).file(Format::Parquet));
    project(&world, "{ type: files, url: exports }", "stream: crm.customers, mode: full_refresh");
    world.tapline(&["check", "out"]).exits(0);
    assert!(!world.folder().join("exports/_tapline/check").exists());
    world.sync().ended(0, "succeeded").counted(&[("read", 100), ("inserted", 100)]);
    let file = world.folder().join("exports/crm/customers/1/rows.parquet");
    let builder = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&file).unwrap()).unwrap();
    assert_eq!(builder.metadata().file_metadata().num_rows(), 100);
    world.sync().ended(0, "succeeded");
    assert!(!file.exists(), "the files of the run before are gone");
    assert!(world.folder().join("exports/crm/customers/2/rows.parquet").exists());
}

#[test]
fn files_in_s3_can_be_a_source() {
    let world = World::new();
    world.put("customers.parquet", customers(1, 100).file(Format::Parquet));
    let key = world.endpoint.access_key();
    let destination = format!(
        "{{ type: files, url: \"s3://lake/exports\", region: us-east-1, endpoint: \"{}\", auth: {{ type: iam_user, \
         access_key_id: \"{}\", secret_access_key: \"{}\" }} }}",
        world.endpoint.url(),
        key.id,
        key.secret
    );
    project(&world, &destination, "stream: customers, mode: incremental, deletes: propagate");
    world.tapline(&["check", "out"]).exits(0);
    world.sync().ended(0, "succeeded").counted(&[("read", 100), ("inserted", 100)]);
    let mut table = customers(1, 102);
    table.remove(&[3, 4]);
    table.row(7)[1] = "changed".into();
    world.put("customers.parquet", table.file(Format::Parquet));
    world.sync().ended(0, "succeeded").counted(&[
        ("read", 100),
        ("unchanged", 97),
        ("inserted", 2),
        ("updated", 1),
        ("deleted", 2),
    ]);
    world.sync().ended(0, "unchanged").counted(&[]);
    let sql = "SELECT count(*) AS n, count(DISTINCT id) AS d FROM 's3://lake/exports/customers/*/*.parquet'";
    let counted = world.tapline(&["query", "lake", sql, "--format", "csv"]).exits(0);
    assert_eq!(counted.stdout, "n,d\n100,100\n");
}

#[test]
fn a_run_writes_what_it_changes() {
    let world = World::new();
    world.put("customers.parquet", customers(1, 100).file(Format::Parquet));
    let destination = "{ type: files, url: out, format: csv, content: diff, name: \"{stream}/{generation}\" }";
    project(&world, destination, "stream: customers, mode: incremental, deletes: propagate");
    world.sync().ended(0, "succeeded");
    let mut table = customers(1, 101);
    table.remove(&[3]);
    table.row(7)[1] = "changed".into();
    world.put("customers.parquet", table.file(Format::Parquet));
    world.sync().ended(0, "succeeded").counted(&[
        ("read", 100),
        ("unchanged", 98),
        ("inserted", 1),
        ("updated", 1),
        ("deleted", 1),
    ]);
    // A line of the file is no row: values hold line breaks.
    let rows = |name: &str| {
        let sql = format!("SELECT count(*) AS n FROM '{}'", world.folder().join("out/customers").join(name).display());
        world.tapline(&["query", &sql, "--format", "csv"]).exits(0).stdout
    };
    let files = ["1-added.csv", "2-added.csv", "2-changed.csv", "2-removed.csv"];
    assert_eq!(files.map(rows), ["n\n100\n", "n\n1\n", "n\n1\n", "n\n1\n"]);
}

#[test]
fn a_plan_shows_the_old_values() {
    let world = World::new();
    let target = Target::files();
    world.put("customers.parquet", customers(1, 10).file(Format::Parquet));
    world.deliver(&target, Delivery { sql: "SELECT * FROM 's3://lake/customers.parquet'", ..Delivery::default() });
    world.sync().ended(0, "succeeded");
    let mut table = customers(1, 10);
    let old = table.row(7)[1].text().unwrap();
    table.row(7)[1] = "changed".into();
    world.put("customers.parquet", table.file(Format::Parquet));
    let plan = world.tapline(&["plan", "rows", "--diff", "5", "--format", "json"]).exits(0).json();
    let change = &plan["samples"][0]["changes"][0];
    assert_eq!((change["old"].as_str(), change["new"].as_str()), (Some(old.as_str()), Some("changed")), "{plan}");
}

#[test]
fn a_server_is_checked_and_delivered_to() {
    let Some(files) = FileTarget::on_sftp() else {
        return crate::harness::skip(1, "TAPLINE_TEST_SFTP_URL is not set");
    };
    let target = Target::Files(files);
    let world = World::new();
    world.put("customers.parquet", customers(1, 100).file(Format::Parquet));
    world.deliver(&target, Delivery { sql: "SELECT * FROM 's3://lake/customers.parquet'", ..Delivery::default() });
    world.tapline(&["check", "target"]).exits(0);
    world.sync().ended(0, "succeeded").counted(&[("read", 100), ("inserted", 100)]);
    target.holds("customers", &customers(1, 100));
}
