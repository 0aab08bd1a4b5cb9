//! A disk that is full where state, snapshots and temporary files lie: the run fails, and nothing is lost or doubled.
//! Not here: a full disk of the destination, which is the destination's own failure.

use std::process::Stdio;

use crate::harness::{Cell, Delivery, Format, Outcome, Run, Target, World, customers, on_both};

on_both!(a_disk_that_is_full_at_any_moment_loses_and_doubles_nothing, a_run_that_panics_has_failed);

const SQL: &str = "SELECT * FROM 's3://lake/customers.parquet'";

/// Runs the sync where no file may grow beyond `blocks` of 512 bytes, which is how a full disk looks to a program.
fn sync_with_little_room(world: &World, blocks: u64) -> Outcome {
    let binary = world.command(&["sync", "rows", "--format", "json"]);
    let mut shell = std::process::Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    shell.args(["-c", &script, "sh"]).arg(binary.get_program()).args(binary.get_args());
    shell.env_clear().envs(binary.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = shell.current_dir(world.folder()).stdin(Stdio::null()).output().unwrap();
    Outcome::new(&["sync"], output)
}

fn a_disk_that_is_full_at_any_moment_loses_and_doubles_nothing(target: &Target) {
    const ROWS: i64 = 5_000;
    let rows = |round: i64| {
        let mut table = customers(1, ROWS + round * 10);
        table.rows.iter_mut().step_by(10).for_each(|row| row[1] = Cell::Text(format!("round {round}")));
        table
    };
    let world = World::new();
    world.deliver(target, Delivery { sql: SQL, ..Delivery::default() });
    world.put("customers.parquet", rows(0).file(Format::Parquet));
    world.sync().ended(0, "succeeded");
    let mut failed = 0;
    for (round, blocks) in (1_i64..).zip([0, 4, 16, 48, 64, 96, 128, 192, 256, 400]) {
        world.put("customers.parquet", rows(round).file(Format::Parquet));
        let outcome = sync_with_little_room(&world, blocks);
        if outcome.code == Some(0) {
            continue;
        }
        failed += 1;
        outcome.exits(1);
        let run = world.sync();
        // Either nothing of the round was there, or all of it.
        let delivered = ["inserted", "updated"].map(|name| run.report["rows"][name].as_i64().unwrap());
        assert!([[10, ROWS / 10 - 1 + round], [0, 0]].contains(&delivered), "{}", run.outcome);
        target.holds("customers", &rows(round));
    }
    assert!(failed > 2, "there was always room");
    world.sync().ended(0, "unchanged");
}

fn a_run_that_panics_has_failed(target: &Target) {
    let world = World::new();
    world.deliver(target, Delivery { sql: SQL, ..Delivery::default() });
    world.put("customers.parquet", customers(1, 50).file(Format::Parquet));
    for place in ["after-staging", "after-publish"] {
        let variables = [("TAPLINE_FAILPOINT", format!("{place}=panic"))];
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        let outcome = world.tapline_with(&["sync", "rows", "--format", "json"], &variables);
        Run::new(outcome).failed(1, "failed", "RUN-003");
        let runs = world.tapline(&["runs", "--format", "json"]).exits(0).json();
        assert_eq!((&runs[0]["status"], &runs[0]["error"]["code"]), (&"failed".into(), &"RUN-003".into()));
    }
    world.put("customers.parquet", customers(1, 60).file(Format::Parquet));
    world.sync().ended(0, "succeeded").counted(&[("read", 60), ("unchanged", 50), ("inserted", 10)]);
    target.holds("customers", &customers(1, 60));
}
