//! `plan` and `preview`: what a run would do, without doing it.
//! Not here: how a plan looks (`cli`).

use serde_json::json;

use crate::harness::{Delivery, Target, World, on_both};

on_both!(
    a_plan_writes_nothing_and_says_what_a_run_then_does,
    a_saved_plan_holds_or_stops_the_run,
    the_plan_of_a_first_run_outlives_failed_runs,
    a_plan_shows_rejected_rows_as_such,
    a_plan_says_which_guard_would_stop_the_run,
    previews,
);

fn world(target: &Target, options: &str) -> World {
    let world = World::new();
    world.put("customers.csv", "id,name\n1,one\n2,two\n3,three\n4,four\n5,five\n");
    world.deliver(target, Delivery { options, ..Delivery::default() });
    world
}

fn a_plan_writes_nothing_and_says_what_a_run_then_does(target: &Target) {
    let world = world(target, "deletes: propagate");
    let plan = |arguments: &[&str], exit: i32| {
        let arguments = [&["plan", "rows", "--format", "json", "--diff", "10"], arguments].concat();
        world.tapline(&arguments).exits(exit).json()
    };
    let first = plan(&[], 0);
    let keys: Vec<&String> = first.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["sync", "fingerprint", "rows", "samples"]);
    assert_eq!((&first["rows"]["inserted"], &first["rows"]["read"]), (&json!(5), &json!(5)));
    assert_eq!(first["samples"].as_array().unwrap().len(), 5);
    assert_eq!(target.tables(), Vec::<String>::new());
    assert_eq!(plan(&["--detailed-exitcode"], 2), first);
    let run = world.sync().ended(0, "succeeded");
    // A plan is no run.
    assert_eq!((&run.report["generation"], &run.report["rows"]), (&json!(1), &first["rows"]));
    assert_eq!(plan(&["--detailed-exitcode"], 0)["rows"]["inserted"], 0);

    world.put("customers.csv", "id,name\n1,one\n2,zwei\n3,three\n4,four\n6,six\n");
    let second = plan(&["--detailed-exitcode"], 2);
    let sample = |op: &str| {
        let samples = second["samples"].as_array().unwrap();
        samples.iter().find(|sample| sample["op"] == op).unwrap_or_else(|| panic!("{op}: {second:#}")).clone()
    };
    assert_eq!(sample("update")["key"], json!({ "id": 2 }));
    let changes = &sample("update")["changes"];
    // What was there before is read back from destinations that can be read.
    assert_eq!((&changes[0]["field"], &changes[0]["new"]), (&json!("name"), &json!("zwei")));
    assert!(changes[0].get("old").is_none_or(|old| old == "two"), "{changes}");
    assert_eq!(sample("delete")["key"], json!({ "id": 5 }));
    assert_eq!(sample("insert")["key"], json!({ "id": 6 }));
    assert_eq!(target.value("SELECT name FROM customers WHERE id = 2"), "two");
    let run = world.sync().ended(0, "succeeded");
    assert_eq!(run.report["rows"], second["rows"]);
    // Any error is 1.
    world.delete("customers.csv");
    world.tapline(&["plan", "rows", "--detailed-exitcode"]).fails(1, "S3-007");
}

fn a_saved_plan_holds_or_stops_the_run(target: &Target) {
    let world = world(target, "");
    world.tapline(&["plan", "rows", "-o", "plan.json"]).exits(0);
    world.put("customers.csv", "id,name\n1,one\n2,two\n3,three\n4,four\n5,fünf\n");
    let outcome = world.tapline(&["sync", "rows", "--plan", "plan.json"]);
    outcome.fails(4, "SYNC-004");
    assert_eq!(target.tables(), Vec::<String>::new());
    world.tapline(&["plan", "rows", "-o", "plan.json"]).exits(0);
    world.sync_with(&["--plan", "plan.json"]).ended(0, "succeeded").counted(&[("read", 5), ("inserted", 5)]);
}

fn the_plan_of_a_first_run_outlives_failed_runs(target: &Target) {
    let planned = |table: &str| {
        let world = World::new();
        world.put("customers.csv", "id,name\n1,one\n2,two\n3,three\n4,four\n5,five\n");
        world.deliver(target, Delivery { table, ..Delivery::default() });
        world.tapline(&["plan", "rows", "-o", "plan.json"]).exits(0);
        world
    };
    // With no state yet.
    let world = planned("people");
    world.sync_with(&["--plan", "plan.json"]).ended(0, "succeeded").counted(&[("read", 5), ("inserted", 5)]);
    // With a state that a run made which delivered nothing.
    let world = planned("customers");
    world.put("customers.csv", "id,name\n1,one\n1,two\n");
    world.tapline(&["sync", "rows"]).fails(4, "KEY-002");
    world.tapline(&["sync", "rows", "--plan", "plan.json"]).fails(4, "KEY-002");
    world.put("customers.csv", "id,name\n1,one\n2,two\n3,three\n4,four\n5,five!\n");
    world.tapline(&["sync", "rows", "--plan", "plan.json"]).fails(4, "SYNC-004");
    world.put("customers.csv", "id,name\n1,one\n2,two\n3,three\n4,four\n5,five\n");
    world.sync_with(&["--plan", "plan.json"]).ended(0, "succeeded").counted(&[("read", 5), ("inserted", 5)]);
    // It is done: there is nothing of it left to do.
    world.tapline(&["sync", "rows", "--plan", "plan.json"]).fails(4, "SYNC-004");
    world.put("customers.csv", "id,name\n1,one\n2,zwei\n3,three\n4,four\n5,five\n");
    world.tapline(&["plan", "rows", "-o", "plan.json"]).exits(0);
    world.sync_with(&["--plan", "plan.json"]).ended(0, "succeeded").counted(&[
        ("read", 5),
        ("updated", 1),
        ("unchanged", 4),
    ]);
}

fn a_plan_shows_rejected_rows_as_such(target: &Target) {
    let world = world(target, "on_bad_key: reject");
    world.put("customers.csv", "id,name\n1,one\n1,uno\n,none\n2,two\n");
    let plan = world.tapline(&["plan", "rows", "--format", "json", "--diff", "10"]).exits(0).json();
    assert_eq!((&plan["rows"]["inserted"], &plan["rows"]["rejected"]), (&json!(1), &json!(3)));
    let samples = plan["samples"].as_array().unwrap();
    let of = |op: &str| -> Vec<&serde_json::Value> {
        samples.iter().filter(|sample| sample["op"] == op).map(|sample| &sample["key"]["id"]).collect()
    };
    assert_eq!(of("insert"), [&json!(2)]);
    let rejected = of("reject");
    assert!(rejected.contains(&&json!(1)) && rejected.contains(&&json!(null)), "{plan:#}");
    let text = world.tapline(&["plan", "rows"]).exits(0).stdout;
    assert!(text.contains("  ! id=1\n") && !text.contains("  + id=1\n"), "{text}");
}

fn a_plan_says_which_guard_would_stop_the_run(target: &Target) {
    let world = world(target, "deletes: propagate");
    world.sync().ended(0, "succeeded");
    let plan = || world.tapline(&["plan", "rows", "--format", "json"]).exits(0).json();
    world.put("customers.csv", "id,name\n1,one\n2,two\n");
    let fewer = plan();
    assert_eq!((&fewer["rows"]["deleted"], &fewer["error"]["code"]), (&json!(3), &json!("SYNC-006")));
    let outcome = world.tapline(&["plan", "rows"]).exits(0);
    assert!(outcome.stderr.contains("SYNC-006") && outcome.stderr.contains("max_delete_ratio"), "{outcome}");
    world.tapline(&["sync", "rows"]).fails(4, "SYNC-006");
    world.put("customers.csv", "id,name\n");
    assert_eq!(plan()["error"]["code"], "SYNC-001");
    world.tapline(&["sync", "rows"]).fails(4, "SYNC-001");
    // A refresh over rows of somebody else.
    target.execute("CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR(50))");
    target.execute("INSERT INTO people VALUES (9, 'nine')");
    let world = World::new();
    world.put("customers.csv", "id,name\n1,one\n");
    world.deliver(target, Delivery { mode: "full_refresh", table: "people", ..Delivery::default() });
    let plan = world.tapline(&["plan", "rows", "--format", "json"]).exits(0).json();
    assert_eq!(plan["error"]["code"], "SYNC-002");
    world.tapline(&["sync", "rows"]).fails(4, "SYNC-002");
}

fn previews(target: &Target) {
    let world =
        world(target, "fields: { id: id, origin: { value: s3 }, greeting: { template: \"Hi {{ name | upcase }}\" } }");
    // Of a sync the mapped rows.
    let rows = world.tapline(&["preview", "rows", "--limit", "2", "--format", "ndjson"]).exits(0).ndjson();
    assert_eq!(rows.len(), 2);
    let keys: Vec<&String> = rows[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["id", "origin", "greeting"]);
    assert_eq!(rows[0]["origin"], "s3");
    assert_eq!(target.tables(), Vec::<String>::new());
    // Of a model its own.
    let project = world.folder().join("tapline.yaml");
    let text = std::fs::read_to_string(&project).unwrap();
    let text = text.replace("models:\n  rows:", "models:\n  people:").replace("model: rows", "model: people");
    std::fs::write(&project, text).unwrap();
    let outcome = world.tapline(&["preview", "people", "--format", "csv", "--limit", "1"]).exits(0);
    assert!(outcome.stdout.starts_with("id,name\n") && outcome.stdout.lines().count() == 2, "{outcome}");
}
