//! A run that is frozen while another one takes its stream, and wakes up later: it must not publish.
//! Not here: two runs of one project, of which the second waits (`runners`).

use crate::harness::{Delivery, Target, World, on_both, signal};

on_both!(wakes_up_after_another_has_taken_over, wakes_up_before_anybody_else_came, two_first_runs_at_once);

fn put(world: &World, rows: std::ops::RangeInclusive<u32>, name: &str) {
    world.put("customers.csv", rows.fold("id,name\n".to_owned(), |text, id| format!("{text}{id},{name}\n")));
}

fn wakes_up_after_another_has_taken_over(target: &Target) {
    for (number, place) in ["after-stamp", "after-staging", "before-intent", "after-intent"].into_iter().enumerate() {
        let table = format!("frozen_{number}");
        let world = World::new();
        world.deliver(target, Delivery { table: &table, ..Delivery::default() });
        put(&world, 1..=10, "first");
        world.sync().ended(0, "succeeded");
        put(&world, 1..=12, "frozen");
        let frozen = world.freeze(place);
        // Another project takes the stream by name.
        let other = World::new();
        other.deliver(target, Delivery { table: &table, ..Delivery::default() });
        put(&other, 5..=20, "other");
        other.sync_with(&["--full-refresh", "--replace-existing"]).ended(0, "succeeded");
        signal(&frozen, "CONT");
        let outcome = world.wait(frozen, &["sync"]);
        outcome.fails(1, "DEST-007");
        assert_eq!(target.value(&format!("SELECT count(*) FROM {table} WHERE name = 'other'")), "16", "{place}");
        assert_eq!(target.value(&format!("SELECT count(*) FROM {table}")), "16", "{place}");
        world.sync().failed(4, "stopped", "MARK-001");
        other.sync().ended(0, "unchanged");
    }
}

fn wakes_up_before_anybody_else_came(target: &Target) {
    for (number, place) in ["after-stamp", "after-staging", "after-intent", "after-publish"].into_iter().enumerate() {
        let table = format!("asleep_{number}");
        let world = World::new();
        world.deliver(target, Delivery { table: &table, ..Delivery::default() });
        put(&world, 1..=10, "first");
        let frozen = world.freeze(place);
        // Its lease holds as long as it lives.
        let waiting = world.tapline(&["sync", "rows", "--lock-timeout", "200ms"]);
        waiting.fails(1, "SYNC-003").tells(&[&frozen.id().to_string()]);
        signal(&frozen, "CONT");
        world.wait(frozen, &["sync"]).exits(0);
        assert_eq!(target.value(&format!("SELECT count(*) FROM {table}")), "10", "{place}");
        world.sync().ended(0, "unchanged");
    }
}

fn two_first_runs_at_once(target: &Target) {
    let world = World::new();
    world.deliver(target, Delivery::default());
    put(&world, 1..=500, "both");
    let arguments = ["sync", "rows", "--format", "json"];
    let runs = [world.start(&arguments), world.start(&arguments)];
    let mut inserted = 0;
    for run in runs {
        let report = world.wait(run, &arguments).exits(0).json();
        inserted += report["rows"]["inserted"].as_u64().unwrap();
    }
    assert_eq!(inserted, 500);
    assert_eq!(target.value("SELECT count(*) FROM customers"), "500");
}
