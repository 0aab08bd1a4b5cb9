//! When a run may say that there is nothing to do, and everything that must keep it from saying so.
//! Not here: the counts of runs that do something (`deliveries`).

use crate::harness::{Delivery, Target, World, on_both};

on_both!(
    the_same_files_are_unchanged,
    a_clock_is_never_unchanged,
    files_that_changed_in_any_way_are_read,
    other_settings_are_other_rows,
    a_table_that_was_tampered_with_stops_the_run,
    a_table_that_somebody_else_made_anew_stops_the_run,
    another_destination_is_a_first_run,
    a_marker_that_is_gone_stops_the_run
);

const FILE: &str = "id,name\n1,one\n2,two\n3,three\n";

fn world(target: &Target, delivery: Delivery<'_>) -> World {
    let world = World::new();
    world.put("customers.csv", FILE);
    world.deliver(target, delivery);
    world.sync().ended(0, "succeeded").counted(&[("read", 3), ("inserted", 3)]);
    world
}

fn the_same_files_are_unchanged(target: &Target) {
    let world = world(target, Delivery::default());
    for _ in 0..2 {
        let run = world.sync().ended(0, "unchanged").counted(&[]);
        // Listed, and not read.
        assert_eq!((&run.report["files"]["listed"], &run.report["bytes_read"]), (&1.into(), &0.into()));
    }
    // A row that somebody changed at the destination is not looked for.
    target.execute("UPDATE customers SET name = 'by hand' WHERE id = 1");
    world.sync().ended(0, "unchanged");
}

fn a_clock_is_never_unchanged(target: &Target) {
    let today = "SELECT *, current_date AS day FROM 's3://lake/customers.csv'";
    let now = "SELECT * FROM 's3://lake/customers.csv' WHERE now() > TIMESTAMP '2020-01-01 00:00:00'";
    for (number, (sql, options)) in [
        (today, ""),
        (now, ""),
        ("SELECT * FROM 's3://lake/customers.csv' WHERE random() < 2", ""),
        (
            "SELECT * FROM 's3://lake/customers.csv'",
            "fields: { id: id, name: name, day: { template: \"{{ 'now' | date: '%Y' }}\" } }",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let table = format!("clock_{number}");
        let world = world(target, Delivery { sql, options, table: &table, ..Delivery::default() });
        world.sync().ended(0, "succeeded").counted(&[("read", 3), ("unchanged", 3)]);
    }
}

fn files_that_changed_in_any_way_are_read(target: &Target) {
    let sql = "SELECT * FROM 's3://lake/*.csv'";
    let world = world(target, Delivery { sql, ..Delivery::default() });
    // The same length, written within the same second perhaps.
    world.put("customers.csv", FILE.replace("one", "eno"));
    world.sync().ended(0, "succeeded").counted(&[("read", 3), ("unchanged", 2), ("updated", 1)]);
    world.put("a.csv", "id,name\n4,four\n");
    world.sync().ended(0, "succeeded").counted(&[("read", 4), ("unchanged", 3), ("inserted", 1)]);
    world.delete("a.csv");
    world.sync().ended(0, "succeeded").counted(&[("read", 3), ("unchanged", 3)]);
    world.sync().ended(0, "unchanged");
}

fn other_settings_are_other_rows(target: &Target) {
    let world = world(target, Delivery::default());
    let source = world.source().replace("{ type: s3,", "{ type: s3, csv: { nullstr: [\"two\"] },");
    world.deliver_from(&source, target, Delivery::default());
    world.sync().ended(0, "succeeded").counted(&[("read", 3), ("unchanged", 2), ("updated", 1)]);
    assert_eq!(target.value("SELECT count(*) FROM customers WHERE name IS NULL"), "1");
    let sql = "SELECT * FROM 's3://lake/customers.csv' -- the same";
    world.deliver_from(&source, target, Delivery { sql, ..Delivery::default() });
    world.sync().ended(0, "succeeded").counted(&[("read", 3), ("unchanged", 3)]);
    world.sync().ended(0, "unchanged");
}

fn a_table_that_was_tampered_with_stops_the_run(target: &Target) {
    let empty = if target.is_postgres() { "TRUNCATE dropped" } else { "DELETE FROM dropped" };
    for (tampering, makes) in [
        ("DROP TABLE dropped", "was dropped"),
        (empty, "was emptied"),
        ("DROP TABLE dropped; CREATE TABLE dropped (id BIGINT PRIMARY KEY, name TEXT)", "was emptied or made anew"),
    ] {
        let world = World::new();
        world.put("customers.csv", FILE);
        world.deliver(target, Delivery { table: "dropped", ..Delivery::default() });
        let arguments: &[&str] = &["--full-refresh", "--replace-existing"];
        world.sync_with(arguments).ended(0, "succeeded");
        world.sync().ended(0, "unchanged");
        target.execute(tampering);
        let run = world.sync().failed(4, "stopped", "MARK-003");
        assert!(run.message().contains(makes), "{tampering}: {}", run.outcome);
        assert!(run.hint().contains("--full-refresh") && run.hint().contains("reset"), "{}", run.outcome);
        // Each way on that the hint names leads on.
        world.sync_with(arguments).ended(0, "succeeded").counted(&[("read", 3), ("inserted", 3)]);
        assert_eq!(target.value("SELECT count(*) FROM dropped"), "3");
        target.execute(tampering);
        world.tapline(&["reset", "rows", "--yes"]).exits(0);
        world.sync().ended(0, "succeeded").counted(&[("read", 3), ("inserted", 3)]);
        assert_eq!(target.value("SELECT count(*) FROM dropped"), "3");
    }
}

fn a_table_that_somebody_else_made_anew_stops_the_run(target: &Target) {
    let world = world(target, Delivery::default());
    world.sync().ended(0, "unchanged");
    target.execute(
        "DROP TABLE customers; CREATE TABLE customers (id BIGINT PRIMARY KEY, name TEXT); \
         INSERT INTO customers VALUES (1, 'one'), (2, 'another')",
    );
    let run = world.sync().failed(4, "stopped", "MARK-003");
    assert!(run.message().contains("made anew"), "{}", run.outcome);
    assert!(run.hint().contains("adopt"), "{}", run.outcome);
    assert_eq!(target.value("SELECT count(*) FROM customers"), "2");
    world.tapline(&["adopt", "rows"]).exits(0);
    world.sync().ended(0, "succeeded").counted(&[("read", 3), ("unchanged", 1), ("updated", 1), ("inserted", 1)]);
    world.sync().ended(0, "unchanged");
}

fn another_destination_is_a_first_run(target: &Target) {
    let world = world(target, Delivery::default());
    let other = Target::sqlite();
    world.deliver(&other, Delivery::default());
    world.sync().ended(0, "succeeded").counted(&[("read", 3), ("inserted", 3)]);
    assert_eq!(other.value("SELECT count(*) FROM customers"), "3");
    // Another stream of the same one, too.
    world.deliver(&other, Delivery { table: "people", ..Delivery::default() });
    world.sync().ended(0, "succeeded").counted(&[("read", 3), ("inserted", 3)]);
    world.sync().ended(0, "unchanged");
}

fn a_marker_that_is_gone_stops_the_run(target: &Target) {
    let world = world(target, Delivery::default());
    let receipts = if target.is_postgres() { "public._tapline_receipts" } else { "_tapline_receipts" };
    target.execute(&format!("DELETE FROM {receipts}"));
    world.sync().failed(4, "stopped", "MARK-003");
    // Without it nothing says that the rows are ours.
    world.sync_with(&["--full-refresh"]).failed(4, "stopped", "SYNC-002");
    let arguments = ["--full-refresh", "--replace-existing"];
    world.sync_with(&arguments).ended(0, "succeeded").counted(&[("read", 3), ("inserted", 3)]);
    // A backup of the state that is older than what was delivered since.
    let state = world.folder().join(".tapline");
    let backup = world.folder().join("backup");
    copy(&state, &backup);
    world.put("customers.csv", FILE.replace("one", "eins"));
    world.sync().ended(0, "succeeded");
    std::fs::remove_dir_all(&state).unwrap();
    copy(&backup, &state);
    world.sync().failed(4, "stopped", "MARK-002");
    world.tapline(&["adopt", "rows"]).exits(0);
    world.sync().ended(0, "succeeded").counted(&[("read", 3), ("unchanged", 3)]);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
