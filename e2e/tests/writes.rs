//! `write: insert` and `write: update`, and tables that were there before.
//! Not here: `upsert` into a table of Tapline's own (`deliveries`).

use crate::harness::{Delivery, Target, World, on_all};

on_all!(
    insert_leaves_what_is_there,
    update_touches_only_what_is_there,
    upsert_into_a_table_that_was_there,
    an_upsert_needs_a_unique_index,
    a_full_refresh_does_not_remove_what_others_wrote_unasked,
);

/// A table with the rows 1 and 2.
fn world(target: &Target, options: &str) -> World {
    let world = World::new();
    target.execute("CREATE TABLE people (id BIGINT PRIMARY KEY, name TEXT, note TEXT)");
    target.execute("INSERT INTO people VALUES (1, 'old one', 'mine'), (2, 'old two', 'mine')");
    let sql = "SELECT * FROM 's3://lake/people.csv'";
    world.deliver(target, Delivery { sql, table: "people", options, ..Delivery::default() });
    world
}

fn people(target: &Target) -> Vec<String> {
    let rows = target.rows("SELECT id, name, note FROM people ORDER BY id");
    rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join(" ")).collect()
}

fn insert_leaves_what_is_there(target: &Target) {
    let world = world(target, "write: insert");
    world.put("people.csv", "id,name\n2,two\n3,three\n4,four\n");
    // The key 2 is at the destination already.
    world.sync().ended(3, "partial").counted(&[("read", 3), ("inserted", 2), ("rejected", 1)]);
    assert_eq!(people(target), ["1 old one mine", "2 old two mine", "3 three ", "4 four "]);
    let rejects = world.tapline(&["rejects", "rows", "--format", "json"]).exits(0).json();
    assert_eq!((&rejects[0]["key"], &rejects[0]["code"]), (&serde_json::json!({ "id": 2 }), &"ROW-003".into()));

    // Keys delivered before are skipped, changed or not; the rejected one is offered again.
    target.execute("DELETE FROM people WHERE id = 2");
    world.put("people.csv", "id,name\n2,two\n3,drei\n4,four\n5,five\n");
    world.sync().ended(0, "succeeded").counted(&[("read", 4), ("inserted", 2), ("skipped", 2)]);
    assert_eq!(people(target), ["1 old one mine", "2 two ", "3 three ", "4 four ", "5 five "]);
    assert_eq!(world.tapline(&["rejects", "rows", "--format", "json"]).exits(0).json(), serde_json::json!([]));
}

fn update_touches_only_what_is_there(target: &Target) {
    let world = world(target, "write: update");
    world.put("people.csv", "id,name\n2,two\n3,three\n");
    let run = world.sync().ended(0, "succeeded");
    assert_eq!((&run.report["rows"]["read"], &run.report["rows"]["skipped"]), (&2.into(), &1.into()));
    assert_eq!(people(target), ["1 old one mine", "2 two mine"]);
    world.put("people.csv", "id,name\n2,zwei\n3,three\n");
    world.sync().ended(0, "succeeded").counted(&[("read", 2), ("updated", 1), ("skipped", 1)]);
    assert_eq!(people(target), ["1 old one mine", "2 zwei mine"]);
}

fn upsert_into_a_table_that_was_there(target: &Target) {
    let world = world(target, "");
    world.put("people.csv", "id,name\n2,two\n3,three\n");
    // Relative to what was delivered, both are new.
    world.sync().ended(0, "succeeded").counted(&[("read", 2), ("inserted", 2)]);
    assert_eq!(people(target), ["1 old one mine", "2 two mine", "3 three "]);
}

fn an_upsert_needs_a_unique_index(target: &Target) {
    let world = World::new();
    target.execute("CREATE TABLE customers (id BIGINT, name TEXT)");
    target.execute("INSERT INTO customers VALUES (1, 'mine')");
    world.put("customers.csv", "id,name\n2,two\n");
    world.deliver(target, Delivery::default());
    let run = world.sync().failed(1, "failed", "DEST-005");
    assert!(run.hint().contains("CREATE UNIQUE INDEX"), "{}", run.outcome);
    assert_eq!(target.value("SELECT count(*) FROM customers"), "1");
}

fn a_full_refresh_does_not_remove_what_others_wrote_unasked(target: &Target) {
    let world = World::new();
    target.execute("CREATE TABLE customers (id BIGINT PRIMARY KEY, name TEXT)");
    target.execute("INSERT INTO customers VALUES (1, 'mine')");
    world.put("customers.csv", "id,name\n2,two\n");
    world.deliver(target, Delivery { mode: "full_refresh", ..Delivery::default() });
    let run = world.sync().failed(4, "stopped", "SYNC-002");
    assert!(run.hint().contains("--replace-existing"), "{}", run.outcome);
    assert_eq!(target.value("SELECT name FROM customers"), "mine");
    world.sync_with(&["--replace-existing"]).ended(0, "succeeded").counted(&[
        ("read", 1),
        ("inserted", 1),
        ("deleted", 1),
    ]);
    assert_eq!(target.value("SELECT name FROM customers"), "two");
}
