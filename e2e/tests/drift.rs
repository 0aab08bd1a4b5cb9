//! Columns that change in type or presence between two runs, under each `on_drift`.
//! Not here: changes of the model itself, which are meant (`mapping`).

use crate::harness::{Delivery, Target, World, on_both};

on_both!(
    fails_unless_told_otherwise,
    widens_where_nothing_is_lost,
    rejects_the_rows_that_do_not_fit,
    a_changed_model_is_no_drift
);

fn world(target: &Target, options: &str) -> World {
    let world = World::new();
    world.put("customers.csv", "id,points\n1,10\n2,20\n");
    world.deliver(target, Delivery { options, ..Delivery::default() });
    world.sync().ended(0, "succeeded").counted(&[("read", 2), ("inserted", 2)]);
    world
}

fn points(target: &Target) -> Vec<Option<String>> {
    let rows = target.rows("SELECT points FROM customers ORDER BY id");
    rows.into_iter().map(|mut row| row.remove(0)).collect()
}

fn fails_unless_told_otherwise(target: &Target) {
    let world = world(target, "");
    for (file, words) in [
        ("id,points\n1,10\n2,20.5\n3,30\n", ["points", "BIGINT", "DOUBLE"]),
        ("id,points,note\n1,10,x\n3,30,y\n", ["note", "is new", "on_drift"]),
        ("id\n1\n3\n", ["points", "is gone", "on_drift"]),
    ] {
        world.put("customers.csv", file);
        let run = world.sync().failed(4, "stopped", "SYNC-005");
        let told = run.outcome.to_string();
        assert!(words.iter().all(|word| told.contains(word)), "{words:?}: {told}");
        assert_eq!(points(target), [Some("10".into()), Some("20".into())]);
    }
    // The columns as they were: as if nothing had happened.
    world.put("customers.csv", "id,points\n1,10\n2,20\n3,30\n");
    world.sync().ended(0, "succeeded").counted(&[("read", 3), ("unchanged", 2), ("inserted", 1)]);
}

fn widens_where_nothing_is_lost(target: &Target) {
    let world = world(target, "on_drift: widen");
    world.put("customers.csv", "id,points,note\n1,10,first\n2,20,second\n3,30,third\n");
    world.sync().ended(0, "succeeded");
    assert_eq!(target.value("SELECT note FROM customers WHERE id = 3"), "third");
    world.put("customers.csv", "id,points,note\n1,10,first\n2,20.5,second\n3,30,third\n4,-0.25,fourth\n");
    if !target.is_postgres() {
        // SQLite cannot give a column another type.
        let run = world.sync().failed(1, "failed", "DEST-004");
        assert!(run.message().contains("points"), "{}", run.outcome);
        return;
    }
    world.sync().ended(0, "succeeded");
    let doubled = target.rows("SELECT CAST(points * 4 AS INTEGER) FROM customers ORDER BY id");
    let doubled: Vec<String> = doubled.into_iter().flatten().flatten().collect();
    assert_eq!(doubled, ["40", "82", "120", "-1"]);
    world.sync().ended(0, "unchanged");
}

fn rejects_the_rows_that_do_not_fit(target: &Target) {
    let world = world(target, "on_drift: reject, deletes: propagate");
    world.put("customers.csv", "id,points,note\n1,11,first\n2,20.5,second\n3,30,third\n");
    let run = world.sync().ended(3, "partial");
    run.counted(&[("read", 3), ("updated", 1), ("inserted", 1), ("rejected", 1)]);
    // The row that does not fit keeps what was delivered of it, and is no deletion.
    assert_eq!(points(target), ["11", "20", "30"].map(|text| Some(text.to_owned())));
    let rejects = world.tapline(&["rejects", "rows", "--format", "json"]).exits(0).json();
    assert_eq!((&rejects[0]["key"]["id"], &rejects[0]["code"]), (&2.into(), &"ROW-001".into()), "{rejects:#}");
    world.put("customers.csv", "id,points,note\n1,11,first\n2,21,second\n3,30,third\n");
    world.sync().ended(0, "succeeded").counted(&[("read", 3), ("unchanged", 2), ("updated", 1)]);
    assert_eq!(points(target), ["11", "21", "30"].map(|text| Some(text.to_owned())));
}

fn a_changed_model_is_no_drift(target: &Target) {
    let world = world(target, "");
    let sql = "SELECT id, points + 1 AS points FROM 's3://lake/customers.csv'";
    world.deliver(target, Delivery { sql, ..Delivery::default() });
    world.sync().ended(0, "succeeded").counted(&[("read", 2), ("updated", 2)]);
    assert_eq!(points(target), [Some("11".into()), Some("21".into())]);
}
