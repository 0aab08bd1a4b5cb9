//! The main job: files to a table, then again with only what changed.
//! Not here: what models (`models`) and mappings (`mapping`) can say.

use crate::harness::{Delivery, Format, Table, Target, World, customers, on_all};

on_all!(
    csv_incremental,
    parquet_incremental,
    csv_full_refresh,
    parquet_full_refresh,
    deletes_propagate,
    several_syncs_of_one_project,
    a_model_without_key_is_refreshed_in_full,
    a_header_only_file_makes_an_empty_table,
    a_first_full_refresh_goes_on_incrementally,
    a_limited_run_is_finished_by_the_next,
    a_retry_without_rejected_rows_reads_nothing,
);

/// The customers of the first run.
fn first_day() -> Table {
    customers(1, 1_000)
}

/// The customers of the second run: three have changed, two have gone, four have come.
fn second_day() -> Table {
    let mut table = first_day();
    table.row(10)[1] = "Ada Lovelace".into();
    table.row(20)[2] = "Nairobi".into();
    // From a value to NULL.
    table.row(30)[3] = crate::harness::Cell::Null;
    table.remove(&[40, 50]);
    table.rows.extend(customers(1_001, 1_004).rows);
    table
}

fn put(world: &World, format: Format, table: &Table) {
    // In two files, the second of which grows.
    let parts = [table.part(0..500), table.part(500..table.rows.len())];
    for (number, part) in (1..).zip(parts) {
        world.put(&format!("crm/customers-{number}.{}", format.suffix()), part.file(format));
    }
}

fn world(target: &Target, format: Format, mode: &str, options: &str) -> World {
    let world = World::new();
    let sql = format!("SELECT * FROM 's3://lake/crm/*.{}'", format.suffix());
    world.deliver(target, Delivery { sql: &sql, mode, options, ..Delivery::default() });
    world
}

fn incremental(target: &Target, format: Format) {
    let world = world(target, format, "incremental", "");
    put(&world, format, &first_day());
    let run = world.sync().ended(0, "succeeded").counted(&[("read", 1_000), ("inserted", 1_000)]);
    assert_eq!(run.report["files"], serde_json::json!({ "listed": 2, "read": 2, "skipped": 0 }));
    assert_eq!(run.report["source_rows"], serde_json::json!({ "read": 1_000, "rejected": 0 }));
    assert_eq!((&run.report["generation"], &run.report["mode"]), (&1.into(), &"incremental".into()));
    target.holds("customers", &first_day());

    // What is not sent is not overwritten.
    target.execute("UPDATE customers SET city = 'by hand' WHERE id = 500");
    put(&world, format, &second_day());
    let counts = [("read", 1_002), ("unchanged", 995), ("inserted", 4), ("updated", 3)];
    world.sync().ended(0, "succeeded").counted(&counts);
    let mut expected = second_day();
    expected.rows.extend(first_day().remove(&[40, 50]));
    expected.row(500)[2] = "by hand".into();
    target.holds("customers", &expected);

    let run = world.sync().ended(0, "unchanged").counted(&[]);
    assert_eq!(run.report["generation"], 3);
    target.holds("customers", &expected);
}

fn csv_incremental(target: &Target) {
    incremental(target, Format::Csv);
}

fn parquet_incremental(target: &Target) {
    incremental(target, Format::Parquet);
}

fn full_refresh(target: &Target, format: Format) {
    let world = world(target, format, "full_refresh", "");
    put(&world, format, &first_day());
    world.sync().ended(0, "succeeded").counted(&[("read", 1_000), ("inserted", 1_000)]);
    target.holds("customers", &first_day());

    // Whoever wrote it, what is not in the model goes.
    target.execute(
        "UPDATE customers SET city = 'by hand' WHERE id = 500;
         INSERT INTO customers (id, name) VALUES (5000, 'by hand');",
    );
    put(&world, format, &second_day());
    // Two have left the model, one was never in it.
    let counts = [("read", 1_002), ("inserted", 1_002), ("deleted", 3)];
    world.sync().ended(0, "succeeded").counted(&counts);
    target.holds("customers", &second_day());

    // A full refresh is never `unchanged`.
    world.sync().ended(0, "succeeded").counted(&[("read", 1_002), ("inserted", 1_002)]);
    target.holds("customers", &second_day());
}

fn csv_full_refresh(target: &Target) {
    full_refresh(target, Format::Csv);
}

fn parquet_full_refresh(target: &Target) {
    full_refresh(target, Format::Parquet);
}

fn deletes_propagate(target: &Target) {
    let world = world(target, Format::Parquet, "incremental", "deletes: propagate");
    put(&world, Format::Parquet, &first_day());
    world.sync().ended(0, "succeeded");
    // Rows that Tapline did not deliver are not its to delete.
    target.execute("INSERT INTO customers (id, name) VALUES (5000, 'by hand')");
    put(&world, Format::Parquet, &second_day());
    let counts = [("read", 1_002), ("unchanged", 995), ("inserted", 4), ("updated", 3), ("deleted", 2)];
    world.sync().ended(0, "succeeded").counted(&counts);
    target.execute("DELETE FROM customers WHERE id = 5000");
    target.holds("customers", &second_day());
    world.sync().ended(0, "unchanged");
}

fn a_model_without_key_is_refreshed_in_full(target: &Target) {
    let world = World::new();
    let sql = "SELECT name, city FROM 's3://lake/people.csv'";
    world.deliver(target, Delivery { sql, key: "", mode: "full_refresh", ..Delivery::default() });
    let people = |rows: &[[&str; 2]]| Table::new(["name", "city"], rows.iter().map(|row| row.map(Into::into)));
    // The same row twice is two rows.
    let table = people(&[["Ada", "London"], ["Ada", "London"], ["Grace", "New York"]]);
    world.put("people.csv", table.csv());
    world.sync().ended(0, "succeeded").counted(&[("read", 3), ("inserted", 3)]);
    target.holds("customers", &table);
    let table = people(&[["Ada", "London"], ["Linus", "Helsinki"]]);
    world.put("people.csv", table.csv());
    let run = world.sync().ended(0, "succeeded");
    assert_eq!((&run.report["rows"]["read"], &run.report["rows"]["inserted"]), (&2.into(), &2.into()));
    target.holds("customers", &table);
}

fn several_syncs_of_one_project(target: &Target) {
    let world = World::new();
    world.put("a.csv", "id,name\n1,Ada\n");
    world.put("b.csv", "id,name\n1,Bob\n2,Babs\n");
    let (source, settings) = (world.source(), target.settings());
    let (a, b) = (target.stream("a"), target.stream("b"));
    world.write(
        "tapline.yaml",
        &format!(
            "version: 1
sources: {{ lake: {source} }}
models:
  a: {{ source: lake, sql: \"SELECT * FROM 's3://lake/a.csv'\", primary_key: id }}
  b: {{ source: lake, sql: \"SELECT * FROM 's3://lake/b.csv'\", primary_key: id }}
destinations: {{ target: {settings} }}
include: [syncs/*.yaml]
"
        ),
    );
    world.write(
        "syncs/a.yaml",
        &format!("syncs: {{ a: {{ model: a, destination: target, stream: {a}, mode: incremental }} }}\n"),
    );
    world.write(
        "syncs/b.yaml",
        &format!("syncs: {{ b: {{ model: b, destination: target, stream: {b}, mode: incremental }} }}\n"),
    );
    let reports = world.tapline(&["sync", "--all", "--format", "json"]).exits(0).ndjson();
    let names: Vec<_> = reports.iter().map(|report| report["sync"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(target.value(&format!("SELECT count(*) FROM {b}")), "2");

    // One that is stopped keeps none of the others from running, and decides the exit code.
    world.put("a.csv", "id,name\n");
    world.put("b.csv", "id,name\n1,Bob\n2,Babs\n3,Bea\n");
    let outcome = world.tapline(&["sync", "a", "b", "--format", "json"]).exits(4);
    let statuses: Vec<_> = outcome.ndjson().iter().map(|report| report["status"].clone()).collect();
    assert_eq!(statuses, ["stopped", "succeeded"]);
    assert_eq!(target.value(&format!("SELECT count(*) FROM {b}")), "3");

    // Below the project's folder the project is found, too.
    std::fs::create_dir(world.folder().join("below")).unwrap();
    let outcome = world.command(&["sync", "b"]).current_dir(world.folder().join("below")).output().unwrap();
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
    // Several syncs, and none named, is a question to the user.
    world.tapline(&["sync"]).fails(2, "CONF-007").tells(&["a, b"]);
}

fn a_header_only_file_makes_an_empty_table(target: &Target) {
    let world = World::new();
    world.deliver(target, Delivery::default());
    world.put("customers.csv", "id,name\n");
    world.sync().ended(0, "succeeded").counted(&[]);
    assert_eq!(target.rows("SELECT id, name FROM customers"), Vec::<Vec<_>>::new());
    world.put("customers.csv", "id,name\n1,Ada\n");
    world.sync().ended(0, "succeeded").counted(&[("read", 1), ("inserted", 1)]);
    assert_eq!(target.value("SELECT name FROM customers"), "Ada");
}

fn a_first_full_refresh_goes_on_incrementally(target: &Target) {
    let world = world(target, Format::Csv, "incremental", "");
    put(&world, Format::Csv, &first_day());
    let run = world.sync_with(&["--full-refresh"]).ended(0, "succeeded");
    let run = run.counted(&[("read", 1_000), ("inserted", 1_000)]);
    assert_eq!(run.report["mode"], "full_refresh");
    put(&world, Format::Csv, &second_day());
    let counts = [("read", 1_002), ("unchanged", 995), ("inserted", 4), ("updated", 3)];
    world.sync().ended(0, "succeeded").counted(&counts);
    // What an incremental run leaves, a full refresh takes away.
    world.sync_with(&["--full-refresh"]).counted(&[("read", 1_002), ("inserted", 1_002), ("deleted", 2)]);
    target.holds("customers", &second_day());
}

fn a_limited_run_is_finished_by_the_next(target: &Target) {
    let world = world(target, Format::Csv, "incremental", "deletes: propagate");
    put(&world, Format::Csv, &first_day());
    let run = world.sync_with(&["--limit", "10"]).ended(0, "succeeded");
    assert_eq!(run.report["rows"]["inserted"], 10, "{}", run.outcome);
    assert_eq!(target.value("SELECT count(*) FROM customers"), "10");
    // It is not over: the same files are read again.
    let counts = [("read", 1_000), ("unchanged", 10), ("inserted", 990)];
    world.sync().ended(0, "succeeded").counted(&counts);
    target.holds("customers", &first_day());
    // A row that a limit left out is not one that has gone.
    put(&world, Format::Csv, &second_day());
    let run = world.sync_with(&["--limit", "1"]).ended(0, "succeeded");
    assert_eq!(run.report["rows"]["deleted"], 0, "{}", run.outcome);
    // Deletions are never a part of it, even where the limit leaves no row out.
    let run = world.sync_with(&["--limit", "5000"]).ended(0, "succeeded");
    assert_eq!(run.report["rows"]["deleted"], 0, "{}", run.outcome);
    let run = world.sync().ended(0, "succeeded");
    assert_eq!((&run.report["rows"]["inserted"], &run.report["rows"]["updated"]), (&0.into(), &0.into()));
    target.holds("customers", &second_day());
    world.sync().ended(0, "unchanged");
    world.tapline(&["sync", "rows", "--limit", "0"]).exits(2);
}

fn a_retry_without_rejected_rows_reads_nothing(target: &Target) {
    let world = world(target, Format::Csv, "incremental", "");
    put(&world, Format::Csv, &first_day());
    world.sync().ended(0, "succeeded");
    let retried = world.tapline(&["retry", "rows", "--format", "json"]).exits(0).json();
    assert_eq!((&retried["status"], &retried["files"]["read"]), (&"unchanged".into(), &0.into()), "{retried:#}");
}
