//! Death at every step of a run, by failpoint and by SIGKILL: the next run ends right.
//! Not here: stopping in good order by signal (`runners`).

use std::time::Instant;

use crate::harness::{Cell, Delivery, Format, Table, Target, World, customers, on_all, signal, wait_until};

on_all!(
    after_stamp,
    after_open,
    after_staging,
    before_intent,
    after_intent,
    after_publish,
    after_snapshot,
    after_commit,
    killed_at_any_moment,
    killed_twice_in_a_row,
);

crate::harness::on_files!(
    after_stamp,
    after_open,
    after_staging,
    before_intent,
    after_intent,
    after_publish,
    after_snapshot,
    after_commit,
    killed_at_any_moment,
    killed_twice_in_a_row,
);

/// How far a run has come when it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nothing is visible.
    Unpublished,
    /// Everything is visible, and the state does not know it yet.
    Published,
    /// Everything is done.
    Committed,
}

fn after_stamp(target: &Target) {
    dies_at("after-stamp", Progress::Unpublished, target);
}

fn after_open(target: &Target) {
    dies_at("after-open", Progress::Unpublished, target);
}

fn after_staging(target: &Target) {
    dies_at("after-staging", Progress::Unpublished, target);
}

fn before_intent(target: &Target) {
    dies_at("before-intent", Progress::Unpublished, target);
}

fn after_intent(target: &Target) {
    dies_at("after-intent", Progress::Unpublished, target);
}

fn after_publish(target: &Target) {
    dies_at("after-publish", Progress::Published, target);
}

fn after_snapshot(target: &Target) {
    dies_at("after-snapshot", Progress::Published, target);
}

fn after_commit(target: &Target) {
    dies_at("after-commit", Progress::Committed, target);
}

fn dies_at(failpoint: &str, progress: Progress, target: &Target) {
    first_run(failpoint, progress, target);
    second_run(failpoint, progress, target);
    inserting(failpoint, progress, target);
    refreshing(failpoint, progress, target);
}

fn first_day() -> Table {
    customers(1, 100)
}

/// Five rows have changed and four have come.
fn second_day() -> Table {
    let mut table = customers(1, 104);
    (1..=5).for_each(|id| table.row(id * 10)[1] = "changed".into());
    table
}

fn world(target: &Target, delivery: Delivery<'_>) -> World {
    let world = World::new();
    world.put("customers.parquet", first_day().file(Format::Parquet));
    let sql = "SELECT * FROM 's3://lake/customers.parquet'";
    world.deliver(target, Delivery { sql, ..delivery });
    world
}

/// Nothing of a run that died before it published is in a table, if there is one.
#[track_caller]
fn holds_nothing(target: &Target, table: &str) {
    if target.tables().iter().any(|name| name == table) {
        assert_eq!(target.value(&format!("SELECT count(*) FROM {table}")), "0");
    }
}

/// No run is told to be still going on; nothing but the table is visible.
#[track_caller]
fn is_in_order(world: &World, target: &Target, table: &str) {
    let runs = world.tapline(&["runs", "--format", "json"]).exits(0).json();
    let statuses: Vec<&str> = runs.as_array().unwrap().iter().map(|run| run["status"].as_str().unwrap()).collect();
    let known = ["succeeded", "partial", "unchanged", "stopped", "failed", "cancelled"];
    assert!(statuses.iter().all(|status| known.contains(status)), "{statuses:?}");
    assert!(!target.tables().iter().any(|name| name != table && name.starts_with(table)), "{:?}", target.tables());
    world.sync().ended(0, "unchanged").counted(&[]);
}

fn first_run(failpoint: &str, progress: Progress, target: &Target) {
    let world = world(target, Delivery { table: "first_run", ..Delivery::default() });
    world.crash(failpoint);
    match progress {
        Progress::Unpublished => {
            holds_nothing(target, "first_run");
            world.sync().ended(0, "succeeded").counted(&[("read", 100), ("inserted", 100)]);
        }
        Progress::Published => {
            target.holds("first_run", &first_day());
            world.sync().ended(0, "succeeded").counted(&[("read", 100), ("unchanged", 100)]);
        }
        Progress::Committed => {
            target.holds("first_run", &first_day());
            world.sync().ended(0, "unchanged").counted(&[]);
        }
    }
    target.holds("first_run", &first_day());
    is_in_order(&world, target, "first_run");
}

fn second_run(failpoint: &str, progress: Progress, target: &Target) {
    let world = world(target, Delivery { table: "second_run", ..Delivery::default() });
    world.sync().ended(0, "succeeded");
    world.put("customers.parquet", second_day().file(Format::Parquet));
    world.crash(failpoint);
    match progress {
        Progress::Unpublished => {
            target.holds("second_run", &first_day());
            let counts = [("read", 104), ("unchanged", 95), ("inserted", 4), ("updated", 5)];
            world.sync().ended(0, "succeeded").counted(&counts);
        }
        Progress::Published => {
            target.holds("second_run", &second_day());
            world.sync().ended(0, "succeeded").counted(&[("read", 104), ("unchanged", 104)]);
        }
        Progress::Committed => {
            target.holds("second_run", &second_day());
            world.sync().ended(0, "unchanged").counted(&[]);
        }
    }
    target.holds("second_run", &second_day());
    is_in_order(&world, target, "second_run");
}

fn inserting(failpoint: &str, progress: Progress, target: &Target) {
    let world = world(target, Delivery { table: "inserting", options: "write: insert", ..Delivery::default() });
    world.crash(failpoint);
    if progress == Progress::Unpublished {
        holds_nothing(target, "inserting");
    } else {
        target.holds("inserting", &first_day());
    }
    // What was delivered by the run that died is known, not refused as if somebody else had written it.
    world.put("customers.parquet", customers(1, 103).file(Format::Parquet));
    let (inserted, skipped) = if progress == Progress::Unpublished { (103, 0) } else { (3, 100) };
    world.sync().ended(0, "succeeded").counted(&[("read", 103), ("inserted", inserted), ("skipped", skipped)]);
    target.holds("inserting", &customers(1, 103));
}

fn refreshing(failpoint: &str, progress: Progress, target: &Target) {
    let world = world(target, Delivery { table: "refreshing", mode: "full_refresh", ..Delivery::default() });
    world.sync().ended(0, "succeeded");
    let mut after = second_day();
    after.remove(&[1, 2, 3]);
    world.put("customers.parquet", after.file(Format::Parquet));
    world.crash(failpoint);
    let deleted = if progress == Progress::Unpublished {
        target.holds("refreshing", &first_day());
        3
    } else {
        target.holds("refreshing", &after);
        0
    };
    let counts = [("read", 101), ("inserted", 101), ("deleted", deleted)];
    world.sync().ended(0, "succeeded").counted(&counts);
    target.holds("refreshing", &after);
}

fn killed_twice_in_a_row(target: &Target) {
    let world = world(target, Delivery::default());
    world.sync().ended(0, "succeeded");
    world.put("customers.parquet", second_day().file(Format::Parquet));
    // The run that finishes what the first left dies in its turn, once it has finished that.
    for failpoint in ["after-publish", "after-stamp", "after-staging", "after-intent"] {
        world.crash(failpoint);
        target.holds("customers", &second_day());
    }
    world.sync().ended(0, "succeeded").counted(&[("read", 104), ("unchanged", 104)]);
    // Before anything was published, too.
    let mut third_day = second_day();
    third_day.row(50)[1] = "changed again".into();
    world.put("customers.parquet", third_day.file(Format::Parquet));
    for failpoint in ["after-intent", "after-intent", "after-open", "before-intent"] {
        world.crash(failpoint);
        target.holds("customers", &second_day());
    }
    world.sync().ended(0, "succeeded").counted(&[("read", 104), ("unchanged", 103), ("updated", 1)]);
    target.holds("customers", &third_day);
    is_in_order(&world, target, "customers");
}

/// SIGKILL from outside, at random moments; each round changes every tenth row and adds some.
fn killed_at_any_moment(target: &Target) {
    const ROWS: i64 = 2_000;
    // What differs between the kinds is met at the failpoints, too; these two have a state and a publication of every sort.
    let rounds = if matches!(target, Target::Postgres(_) | Target::Sqlite(_)) { 200 } else { 50 };
    let world = world(target, Delivery::default());
    let rows = |round: i64| {
        let mut table = customers(1, ROWS + round * 10);
        table.rows.iter_mut().step_by(10).for_each(|row| row[1] = Cell::Text(format!("round {round}")));
        table
    };
    world.put("customers.parquet", rows(0).file(Format::Parquet));
    let first = Instant::now();
    world.sync().ended(0, "succeeded");
    // How long a run takes that nothing stops: each that ends before its moment shows it anew, as the first may have been slow.
    let mut whole = first.elapsed();
    let (mut killed, mut published) = (0, 0);
    for round in 1..=rounds {
        world.put("customers.parquet", rows(round).file(Format::Parquet));
        let mut child = world.start(&["sync", "rows"]);
        let started = Instant::now();
        let moment = whole.mul_f64(fastrand::f64() * 1.2);
        wait_until("the moment to kill", || started.elapsed() >= moment || child.try_wait().unwrap().is_some());
        if child.try_wait().unwrap().is_none() {
            signal(&child, "KILL");
            killed += 1;
        } else {
            whole = whole.min(started.elapsed());
        }
        world.wait(child, &["sync", "rows"]);
        let run = world.sync();
        let status = run.report["status"].as_str().unwrap_or_default().to_owned();
        assert!(["succeeded", "unchanged"].contains(&status.as_str()), "{moment:?}: {}", run.outcome);
        // Either nothing of the round was there, or all of it.
        let delivered = ["inserted", "updated"].map(|name| run.report["rows"][name].as_i64().unwrap());
        assert!([[10, ROWS / 10 - 1 + round], [0, 0]].contains(&delivered), "{moment:?}: {}", run.outcome);
        published += i64::from(delivered == [0, 0]);
        target.holds("customers", &rows(round));
    }
    println!("{killed} of {rounds} runs were killed; {published} had published");
    assert!(killed > rounds / 4, "the runs ended before they were killed");
    is_in_order(&world, target, "customers");
}
