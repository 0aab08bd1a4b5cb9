//! Guards: what stops a run with exit code 4 before anything is visible.
//! Not here: bad keys (`bad_keys`), tables of others (`writes`).

use crate::harness::{Delivery, Target, World, on_both};

on_both!(
    an_emptied_source_stops_both_modes,
    too_many_deletes_stop_a_run,
    a_stream_belongs_to_one_sync,
    reset_starts_again
);

fn people(count: i64) -> String {
    (1..=count).fold("id,name\n".to_owned(), |text, id| format!("{text}{id},name {id}\n"))
}

fn an_emptied_source_stops_both_modes(target: &Target) {
    for mode in ["incremental", "full_refresh"] {
        let world = World::new();
        let table = format!("people_{mode}");
        world.deliver(target, Delivery { mode, table: &table, ..Delivery::default() });
        world.put("customers.csv", people(10));
        world.sync().ended(0, "succeeded");
        world.put("customers.csv", people(0));
        let run = world.sync().failed(4, "stopped", "SYNC-001");
        assert!(run.hint().contains("--allow-empty"), "{}", run.outcome);
        let count = format!("SELECT count(*) FROM {table}");
        assert_eq!(target.value(&count), "10");
        let deleted = if mode == "full_refresh" { 10 } else { 0 };
        world.sync_with(&["--allow-empty"]).ended(0, "succeeded").counted(&[("deleted", deleted)]);
        assert_eq!(target.value(&count), (10 - deleted).to_string());
    }
}

fn too_many_deletes_stop_a_run(target: &Target) {
    let world = World::new();
    world.deliver(target, Delivery { options: "deletes: propagate", ..Delivery::default() });
    world.put("customers.csv", people(10));
    world.sync().ended(0, "succeeded");
    world.put("customers.csv", people(7));
    world.sync().failed(4, "stopped", "SYNC-006");
    assert_eq!(target.value("SELECT count(*) FROM customers"), "10");
    world.deliver(target, Delivery { options: "deletes: propagate, max_delete_ratio: 0.5", ..Delivery::default() });
    world.sync().ended(0, "succeeded").counted(&[("read", 7), ("unchanged", 7), ("deleted", 3)]);
}

fn a_stream_belongs_to_one_sync(target: &Target) {
    let world = World::new();
    world.deliver(target, Delivery::default());
    world.put("customers.csv", people(3));
    world.sync().ended(0, "succeeded");
    // Another project with a state of its own.
    let other = World::new();
    other.deliver(target, Delivery::default());
    other.put("customers.csv", people(2));
    other.sync().failed(4, "stopped", "MARK-001");
    world.sync().ended(0, "unchanged");
    // Lost state is another state.
    std::fs::remove_dir_all(world.folder().join(".tapline")).unwrap();
    world.sync().failed(4, "stopped", "MARK-001");
    world.sync_with(&["--full-refresh"]).ended(0, "succeeded").counted(&[("read", 3), ("inserted", 3)]);
}

fn reset_starts_again(target: &Target) {
    let world = World::new();
    world.deliver(target, Delivery::default());
    world.put("customers.csv", people(3));
    world.sync().ended(0, "succeeded");
    // There is no terminal to ask on.
    world.tapline(&["reset", "rows"]).fails(2, "CONF-007").tells(&["--yes"]);
    world.sync().ended(0, "unchanged");
    world.tapline(&["reset", "rows", "--yes"]).exits(0);
    world.sync().ended(0, "succeeded").counted(&[("read", 3), ("inserted", 3)]);
    assert_eq!(target.value("SELECT count(*) FROM customers"), "3");
}
