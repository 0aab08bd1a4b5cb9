//! Death at every step of a publication: what a reader sees is the old rows or the new, and the next run ends right.
//! Not here: death between the steps of a run (`crashes`).

use crate::harness::{Delivery, Target, World, on_all};

on_all!(upserts, strict_inserts, full_refreshes, refused_rows_and_a_death);

/// Every place that a destination passes from staging to the end of its publication.
const PLACES: &[&str] = &[
    "staging",
    "publish-locked",
    "publish-prepared",
    "publish-deleted",
    "publish-updated",
    "publish-inserted",
    "publish-rejected",
    "publish-recorded",
    "publish-committed",
];

type Rows = Vec<(u64, i64)>;

fn first_day() -> Rows {
    (1..=60).map(|id| (id, 1)).collect()
}

/// Five rows are gone, five have changed, five have come; one of each kind of change is refused.
fn second_day() -> Rows {
    (6..=67).map(|id| (id, if id == 66 || id == 20 { 500 } else { i64::from(id % 10 == 0) + 1 })).collect()
}

/// What the table holds after the second day: the refused change is not made, the refused row is not there.
fn delivered() -> Rows {
    second_day()
        .into_iter()
        .filter(|(id, _)| *id != 66)
        .map(|(id, points)| (id, if id == 20 { 1 } else { points }))
        .collect()
}

fn put(world: &World, rows: &Rows) {
    let text = rows.iter().fold("id,points\n".to_owned(), |text, (id, points)| format!("{text}{id},{points}\n"));
    world.put("rows.csv", text);
}

fn held(target: &Target, table: &str) -> Rows {
    let number = |cell: &Option<String>| cell.as_ref().unwrap().parse::<i64>().unwrap();
    let rows = target.rows(&format!("SELECT id, points FROM {table} ORDER BY id"));
    rows.iter().map(|row| (number(&row[0]).cast_unsigned(), number(&row[1]))).collect()
}

fn world(target: &Target, table: &str, mode: &str, options: &str) -> World {
    let sql =
        format!("CREATE TABLE {} (id BIGINT PRIMARY KEY, points BIGINT CHECK (points < 100))", target.stream(table));
    target.execute(&sql);
    let world = World::new();
    let sql = "SELECT * FROM 's3://lake/rows.csv'";
    world.deliver(target, Delivery { sql, table, mode, options, ..Delivery::default() });
    world
}

/// Kills a run at a place; false where the run does not pass it.
fn dies(world: &World, place: &str) -> bool {
    let outcome = world.tapline_with(&["sync", "rows"], &[("TAPLINE_FAILPOINT", place)]);
    assert!(outcome.signal == Some(6) || outcome.code.is_some_and(|code| code == 0 || code == 3), "{outcome}");
    outcome.signal.is_some()
}

fn upserts(target: &Target) {
    let mut met = Vec::new();
    for (number, place) in PLACES.iter().enumerate() {
        let table = format!("upserts_{number}");
        let world = world(target, &table, "incremental", "deletes: propagate");
        put(&world, &first_day());
        world.sync().ended(0, "succeeded");
        put(&world, &second_day());
        if !dies(&world, place) {
            continue;
        }
        met.push(*place);
        let published = *place == "publish-committed";
        assert_eq!(held(target, &table), if published { delivered() } else { first_day() }, "{place}");
        let run = world.sync().ended(3, "partial");
        let (changed, came, gone) = if published { (0, 0, 0) } else { (5, 6, 5) };
        let same = 62 - 2 - changed - came;
        let counts =
            [("unchanged", same), ("updated", changed), ("inserted", came), ("deleted", gone), ("rejected", 2)];
        run.counted(&[&[("read", 62)][..], &counts].concat());
        assert_eq!(held(target, &table), delivered(), "{place}");
        world.sync().ended(3, "partial").counted(&[("read", 62), ("unchanged", 60), ("rejected", 2)]);
    }
    assert!(met.len() >= 7, "{met:?}");
}

fn strict_inserts(target: &Target) {
    for (number, place) in PLACES.iter().enumerate() {
        let table = format!("inserts_{number}");
        let world = world(target, &table, "incremental", "write: insert");
        put(&world, &first_day());
        if !dies(&world, place) {
            continue;
        }
        let published = *place == "publish-committed";
        assert_eq!(held(target, &table), if published { first_day() } else { Rows::new() }, "{place}");
        // Rows that were delivered by the run that died are skipped, not refused as if they were somebody else's.
        let (inserted, skipped) = if published { (0, 60) } else { (60, 0) };
        let run = world.sync().ended(0, "succeeded");
        run.counted(&[("read", 60), ("inserted", inserted), ("skipped", skipped)]);
        assert_eq!(held(target, &table), first_day(), "{place}");
    }
}

fn full_refreshes(target: &Target) {
    for (number, place) in PLACES.iter().enumerate() {
        let table = format!("refreshes_{number}");
        let world = world(target, &table, "full_refresh", "");
        put(&world, &first_day());
        world.sync().ended(0, "succeeded");
        let after: Rows = (6..=67).map(|id| (id, 2)).collect();
        put(&world, &after);
        if !dies(&world, place) {
            continue;
        }
        let published = *place == "publish-committed";
        assert_eq!(held(target, &table), if published { after.clone() } else { first_day() }, "{place}");
        world.sync().ended(0, "succeeded").counted(&[
            ("read", 62),
            ("inserted", 62),
            ("deleted", if published { 0 } else { 5 }),
        ]);
        assert_eq!(held(target, &table), after, "{place}");
    }
}

/// Rejects that were recorded by a publication whose run died are open after the next run, and delivered once they are good.
fn refused_rows_and_a_death(target: &Target) {
    let world = world(target, "refused", "incremental", "");
    put(&world, &vec![(1, 1), (2, 500), (3, 3)]);
    assert!(dies(&world, "publish-committed"));
    world.sync().ended(3, "partial").counted(&[("read", 3), ("unchanged", 2), ("rejected", 1)]);
    let rejects = world.tapline(&["rejects", "rows", "--format", "json"]).exits(0).json();
    assert_eq!(rejects.as_array().unwrap().len(), 1, "{rejects:#}");
    assert_eq!(rejects[0]["key"]["id"], 2);
    put(&world, &vec![(1, 1), (2, 5), (3, 3)]);
    assert!(dies(&world, "publish-recorded"));
    world.sync().ended(0, "succeeded").counted(&[("read", 3), ("unchanged", 2), ("inserted", 1)]);
    assert_eq!(held(target, "refused"), [(1, 1), (2, 5), (3, 3)]);
}
