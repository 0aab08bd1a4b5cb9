//! More than one runner, and runners that are told to stop.
//! Not here: runners that are killed (`crashes`).

use std::process::Child;
use std::time::Duration;

use tapline_endpoint::{Fault, Operation};

use crate::harness::{Delivery, Run, Target, World, on_both, signal, wait_until};

on_both!(of_two_runners_at_once_one_runs, a_runner_that_is_told_to_stop_stops_in_good_order);

/// A run that hangs in the middle of reading a file, until `delay` is over.
fn hanging(world: &World, delay: Duration) -> Child {
    world.endpoint.inject(Fault::delay(delay).on(Operation::GetObject).key("customers.csv"));
    world.endpoint.clear_requests();
    let child = world.start(&["sync", "rows", "--format", "json"]);
    wait_until("the run reads", || {
        world.endpoint.requests().iter().any(|request| request.operation == Operation::GetObject)
    });
    child
}

fn of_two_runners_at_once_one_runs(target: &Target) {
    let world = World::new();
    world.put("customers.csv", "id,name\n1,one\n2,two\n");
    world.deliver(target, Delivery::default());
    let first = hanging(&world, Duration::from_secs(5));
    // However slow the second is, the first is not done before it.
    signal(&first, "STOP");
    let second = world.sync_with(&["--lock-timeout", "1s"]).failed(1, "failed", "SYNC-003");
    let told = format!("{} {}", second.message(), second.hint());
    assert!(told.contains(&first.id().to_string()), "who runs is not told: {}", second.outcome);
    world.tapline(&["sync", "rows", "--lock-timeout", "0s"]).fails(1, "SYNC-003");
    signal(&first, "CONT");
    let first = Run::new(world.wait(first, &["sync"]));
    first.ended(0, "succeeded").counted(&[("read", 2), ("inserted", 2)]);
    // A run that waits long enough takes its turn.
    world.put("customers.csv", "id,name\n1,one\n2,two\n3,three\n");
    let first = hanging(&world, Duration::from_secs(2));
    world.sync_with(&["--lock-timeout", "60s"]).ended(0, "unchanged");
    let first = Run::new(world.wait(first, &["sync"]));
    first.ended(0, "succeeded").counted(&[("read", 3), ("unchanged", 2), ("inserted", 1)]);
    assert_eq!(target.value("SELECT count(*) FROM customers"), "3");
}

fn a_runner_that_is_told_to_stop_stops_in_good_order(target: &Target) {
    let world = World::new();
    world.put("customers.csv", "id,name\n1,one\n2,two\n");
    world.deliver(target, Delivery::default());
    for (name, exit) in [("TERM", 143), ("INT", 130)] {
        let child = hanging(&world, Duration::from_secs(30));
        signal(&child, name);
        let run = Run::new(world.wait(child, &["sync"])).ended(exit, "cancelled").counted(&[]);
        assert_eq!(run.report["error"]["code"], "RUN-001", "{}", run.outcome);
        assert_eq!(target.tables(), Vec::<String>::new());
    }
    world.sync().ended(0, "succeeded").counted(&[("read", 2), ("inserted", 2)]);
    let runs = world.tapline(&["runs", "--format", "json"]).exits(0).json();
    let statuses: Vec<_> = runs.as_array().unwrap().iter().map(|run| run["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["succeeded", "cancelled", "cancelled"]);
}

#[test]
fn a_query_can_be_interrupted() {
    let world = World::new();
    world.put("customers.csv", "id,name\n1,one\n");
    world.write("tapline.yaml", &format!("version: 1\nsources: {{ lake: {} }}\n", world.source()));
    world.endpoint.inject(Fault::stall().on(Operation::GetObject).always());
    let arguments = ["query", "lake", "SELECT * FROM 's3://lake/customers.csv'"];
    let child = world.start(&arguments);
    wait_until("the query reads", || {
        world.endpoint.requests().iter().any(|request| request.operation == Operation::GetObject)
    });
    signal(&child, "INT");
    let outcome = world.wait(child, &arguments).exits(130);
    assert_eq!(outcome.stdout, "", "{outcome}");
}
