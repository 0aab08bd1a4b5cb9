//! Syncs with a cursor: which rows a run reads, and that none is lost by it.
//! Not here: what becomes of the rows that are read (`deliveries`).

use crate::harness::{Delivery, Run, Target, World, on_both};

on_both!(
    reads_from_the_edge_and_sends_nothing_twice,
    any_model_can_be_wrapped,
    a_rejected_row_or_line_opens_the_bound,
    another_model_ignores_the_bound_once,
    a_part_leaves_the_cursor,
    looks_back,
    types_of_cursors
);

const OPTIONS: &str = "cursor_field: at";

fn world(target: &Target, delivery: Delivery<'_>) -> World {
    let world = World::new();
    world.deliver(target, Delivery { options: OPTIONS, ..delivery });
    world
}

fn file(rows: &[&str]) -> String {
    rows.iter().fold("id,at,name\n".to_owned(), |text, row| format!("{text}{row}\n"))
}

const FIRST: &[&str] = &["1,2024-01-01,a", "2,2024-01-02,b", "3,2024-01-03,c", "4,2024-01-03,d", "5,,e"];

#[track_caller]
fn counted(run: Run, status: &str, counts: &[(&str, u64)]) {
    run.ended(if status == "partial" { 3 } else { 0 }, status).counted(counts);
}

fn reads_from_the_edge_and_sends_nothing_twice(target: &Target) {
    let world = world(target, Delivery::default());
    world.put("customers.csv", file(FIRST));
    counted(world.sync(), "succeeded", &[("read", 5), ("inserted", 5)]);
    // A tie with the last value, a later row, another row without a value; an old row's change lies below the cursor.
    let second = ["6,2024-01-03,f", "7,2024-02-01,g", "8,,h", "1,2024-01-01,changed"];
    world.put("customers.csv", file(&[&FIRST[1..], &second].concat()));
    counted(world.sync(), "succeeded", &[("read", 6), ("unchanged", 3), ("inserted", 3)]);
    assert_eq!(target.value("SELECT name FROM customers WHERE id = 1"), "a");
    counted(world.sync(), "unchanged", &[]);
    // A full refresh by hand reads everything.
    world.sync_with(&["--full-refresh"]).ended(0, "succeeded").counted(&[("read", 8), ("inserted", 8)]);
    assert_eq!(target.value("SELECT name FROM customers WHERE id = 1"), "changed");
}

fn any_model_can_be_wrapped(target: &Target) {
    let models = [
        "SELECT * FROM 's3://lake/customers.csv' WHERE name <> 'x' -- all\n;",
        "SELECT max(id) AS id, at, min(name) AS name FROM 's3://lake/customers.csv' GROUP BY at",
        "WITH c AS (FROM 's3://lake/customers.csv') SELECT a.* FROM c a JOIN c b ON a.id = b.id",
        "SELECT * FROM 's3://lake/customers.csv' ORDER BY id LIMIT 100",
        "SELECT id, at AS \"AT\", upper(name) AS name FROM 's3://lake/customers.csv' UNION ALL \
         SELECT id + 100, at, name FROM 's3://lake/customers.csv'",
    ];
    for (number, sql) in models.into_iter().enumerate() {
        let table = format!("model_{number}");
        let world = world(target, Delivery { sql, table: &table, ..Delivery::default() });
        world.put("customers.csv", file(FIRST));
        world.sync().ended(0, "succeeded");
        let before = target.value(&format!("SELECT count(*) FROM {table}"));
        world.put("customers.csv", file(&[FIRST, &["9,2024-03-01,z"]].concat()));
        let run = world.sync().ended(0, "succeeded");
        let read = run.report["rows"]["read"].as_u64().unwrap();
        let all: u64 = before.parse().unwrap();
        assert!(run.report["rows"]["inserted"].as_u64().unwrap() > 0 && read < all + 1, "{sql}: {}", run.outcome);
    }
}

fn a_rejected_row_or_line_opens_the_bound(target: &Target) {
    let world = World::new();
    let options = "cursor_field: at, on_bad_key: reject";
    world.deliver(target, Delivery { options, ..Delivery::default() });
    world.put("customers.csv", file(&[FIRST, &[",2024-01-01,nobody"]].concat()));
    counted(world.sync(), "partial", &[("read", 6), ("inserted", 5), ("rejected", 1)]);
    // The row gets its key: far below the cursor, and delivered all the same.
    world.put("customers.csv", file(&[FIRST, &["6,2024-01-01,somebody"]].concat()));
    counted(world.sync(), "succeeded", &[("read", 6), ("unchanged", 5), ("inserted", 1)]);
    // The same with a line that cannot be read.
    world
        .put("customers.csv", file(&[FIRST, &["6,2024-01-01,somebody", "7,2024-02-01", "8,2024-02-02,last"]].concat()));
    world.sync().ended(3, "partial");
    world.put(
        "customers.csv",
        file(&[FIRST, &["6,2024-01-01,somebody", "7,2024-02-01,g", "8,2024-02-02,last"]].concat()),
    );
    counted(world.sync(), "succeeded", &[("read", 8), ("unchanged", 7), ("inserted", 1)]);
}

fn another_model_ignores_the_bound_once(target: &Target) {
    let world = world(target, Delivery::default());
    world.put("customers.csv", file(FIRST));
    world.sync().ended(0, "succeeded");
    let sql = "SELECT id, at, upper(name) AS name FROM 's3://lake/customers.csv'";
    world.deliver(target, Delivery { sql, options: OPTIONS, ..Delivery::default() });
    counted(world.sync(), "succeeded", &[("read", 5), ("updated", 5)]);
    world.put("customers.csv", file(&[FIRST, &["6,2024-01-09,f"]].concat()));
    counted(world.sync(), "succeeded", &[("read", 4), ("unchanged", 3), ("inserted", 1)]);
}

fn a_part_leaves_the_cursor(target: &Target) {
    let world = world(target, Delivery::default());
    world.put("customers.csv", file(FIRST));
    world.sync_with(&["--limit", "2"]).ended(0, "succeeded");
    assert_eq!(target.value("SELECT count(*) FROM customers"), "2");
    world.sync().ended(0, "succeeded").counted(&[("read", 5), ("unchanged", 2), ("inserted", 3)]);
    world.put("customers.csv", file(&[FIRST, &["6,2024-02-01,f", "7,2024-02-02,g"]].concat()));
    world.sync_with(&["--limit", "1"]).ended(0, "succeeded");
    world.sync().ended(0, "succeeded");
    assert_eq!(target.value("SELECT count(*) FROM customers"), "7");
}

fn looks_back(target: &Target) {
    let world = World::new();
    let options = "cursor_field: at, cursor_lookback: 1d";
    world.deliver(target, Delivery { options, ..Delivery::default() });
    world.put("customers.csv", file(FIRST));
    world.sync().ended(0, "succeeded");
    let late = ["6,2024-01-02,late", "7,2024-01-01,too late"];
    world.put("customers.csv", file(&[FIRST, &late].concat()));
    counted(world.sync(), "succeeded", &[("read", 5), ("unchanged", 4), ("inserted", 1)]);
}

fn types_of_cursors(target: &Target) {
    for (number, (expression, later)) in [
        ("n", "5"),
        ("CAST(n AS DOUBLE) / 2", "5"),
        ("CAST(n AS DECIMAL(10, 2))", "5"),
        ("'v' || n", "5"),
        ("CAST('2024-01-0' || n || ' 00:00:00' AS TIMESTAMP)", "5"),
    ]
    .into_iter()
    .enumerate()
    {
        let table = format!("cursor_{number}");
        let sql = format!("SELECT n AS id, {expression} AS at FROM 's3://lake/numbers.csv'");
        let world = world(target, Delivery { sql: &sql, table: &table, ..Delivery::default() });
        world.put("numbers.csv", "n\n1\n2\n3\n4\n");
        world.sync().ended(0, "succeeded");
        world.put("numbers.csv", format!("n\n1\n2\n3\n4\n{later}\n"));
        counted(world.sync(), "succeeded", &[("read", 2), ("unchanged", 1), ("inserted", 1)]);
    }
}

#[test]
fn a_cursor_that_cannot_be_one_is_refused() {
    let target = Target::sqlite();
    for (options, code, words) in [
        ("cursor_field: absent", "CONF-005", "columns: id, at, name"),
        ("cursor_field: id, cursor_lookback: 1d", "CONF-005", "cursor_lookback"),
        ("cursor_lookback: 1d", "CONF-005", "cursor_field"),
        ("cursor_field: at, deletes: propagate", "CONF-005", "propagate"),
    ] {
        let world = World::new();
        world.put("customers.csv", file(FIRST));
        world.deliver(&target, Delivery { options, ..Delivery::default() });
        world.tapline(&["sync"]).fails(2, code).tells(&[words]);
    }
}
