//! What bounds a run: its time, the share of rows that may fail, models whose rows are not determined; and `adopt`.
//! Not here: emptied sources and deletions (`guards`).

use crate::harness::{Delivery, Format, Target, World, customers, on_both};

on_both!(
    too_many_rejects_stop_a_run,
    deletions_need_a_determined_model,
    a_run_ends_with_its_timeout,
    adopts_what_is_there
);

fn too_many_rejects_stop_a_run(target: &Target) {
    let world = World::new();
    target.execute(&format!(
        "CREATE TABLE {} (id BIGINT PRIMARY KEY, points BIGINT CHECK (points < 100))",
        target.stream("customers")
    ));
    let options = "max_reject_ratio: 0.4";
    world.deliver(target, Delivery { options, ..Delivery::default() });
    world.put("customers.csv", "id,points\n1,10\n2,200\n3,300\n4,40\n");
    world.sync().failed(4, "stopped", "SYNC-007");
    assert_eq!(target.value("SELECT count(*) FROM customers"), "0");
    world.put("customers.csv", "id,points\n1,10\n2,200\n3,30\n4,40\n");
    world.sync().ended(3, "partial").counted(&[("read", 4), ("inserted", 3), ("rejected", 1)]);
}

fn deletions_need_a_determined_model(target: &Target) {
    let world = World::new();
    world.put("customers.csv", "id,points\n1,10\n2,20\n3,30\n");
    let sql = |model: &'static str| Delivery { sql: model, options: "deletes: propagate", ..Delivery::default() };
    for model in [
        "SELECT * FROM 's3://lake/customers.csv' LIMIT 2",
        "SELECT * FROM (FROM 's3://lake/customers.csv' LIMIT 2) ORDER BY id",
        "SELECT * FROM 's3://lake/customers.csv' WHERE random() < 2",
    ] {
        world.deliver(target, sql(model));
        world.sync().failed(4, "stopped", "SYNC-008");
        assert_eq!(target.tables(), Vec::<String>::new());
    }
    world.deliver(target, sql("SELECT * FROM 's3://lake/customers.csv' ORDER BY id LIMIT 2"));
    world.sync().ended(0, "succeeded").counted(&[("read", 2), ("inserted", 2)]);
}

fn a_run_ends_with_its_timeout(target: &Target) {
    let world = World::new();
    world.put("customers.parquet", customers(1, 100).file(Format::Parquet));
    let sql = "SELECT * FROM 's3://lake/customers.parquet'";
    world.deliver(target, Delivery { sql, options: "timeout: 300ms", ..Delivery::default() });
    world.endpoint.inject(tapline_endpoint::Fault::stall().on(tapline_endpoint::Operation::GetObject));
    world.sync().failed(1, "failed", "SYNC-009");
    assert_eq!(target.tables(), Vec::<String>::new());
}

fn adopts_what_is_there(target: &Target) {
    let world = World::new();
    world.deliver(target, Delivery { options: "deletes: propagate, max_delete_ratio: 1", ..Delivery::default() });
    world.put("customers.csv", "id,points\n1,10\n2,20\n3,30\n");
    world.tapline(&["adopt", "rows"]).fails(2, "CONF-007");
    target.execute(&format!("CREATE TABLE {} (id BIGINT PRIMARY KEY, points BIGINT)", target.stream("customers")));
    target.execute("INSERT INTO customers VALUES (1, 10), (2, 21), (4, 40)");
    let adopted = world.tapline(&["adopt", "rows", "--format", "json"]).exits(0).json();
    assert_eq!((&adopted["rows"], &adopted["unread"]), (&3.into(), &0.into()), "{adopted}");
    assert_eq!(target.value("SELECT sum(points) FROM customers"), "71");
    let run = world.sync().ended(0, "succeeded");
    run.counted(&[("read", 3), ("unchanged", 1), ("updated", 1), ("inserted", 1), ("deleted", 1)]);
    assert_eq!(target.value("SELECT sum(points) FROM customers"), "60");
    world.sync().ended(0, "unchanged");
    // Lost state is no reason to send everything again.
    std::fs::remove_dir_all(world.folder().join(".tapline")).unwrap();
    world.sync().failed(4, "stopped", "MARK-001");
    world.tapline(&["adopt", "rows"]).exits(0);
    world.sync().ended(0, "succeeded").counted(&[("read", 3), ("unchanged", 3)]);
}
