//! Rows whose primary key is null or not theirs alone.
//! Not here: rows that the destination refuses (`writes`).

use serde_json::json;

use crate::harness::{Delivery, Target, World, on_both};

on_both!(
    bad_keys_stop_a_run,
    bad_keys_are_rejected_where_the_sync_says_so,
    rejected_rows_are_delivered_once_they_are_good
);

/// Two rows without key, three that share one, three good ones.
const BAD: &str = "id,name\n1,one\n,nobody\n2,two\n3,three a\n3,three b\n,nowhere\n3,three c\n4,four\n";

fn world(target: &Target, on_bad_key: &str) -> World {
    let world = World::new();
    world.deliver(target, Delivery { options: on_bad_key, ..Delivery::default() });
    world
}

fn bad_keys_stop_a_run(target: &Target) {
    let world = world(target, "");
    world.put("customers.csv", BAD);
    let run = world.sync().failed(4, "stopped", "KEY-001");
    assert!(run.message().contains("2 of 8"), "{}", run.outcome);
    assert!(run.hint().contains("on_bad_key"), "{}", run.outcome);
    let places = "row 2 of s3://lake/customers.csv, row 6 of s3://lake/customers.csv";
    assert!(run.hint().contains(places), "{}", run.outcome);
    assert_eq!(target.tables(), Vec::<String>::new());

    world.put("customers.csv", "id,name\n1,one\n3,three a\n3,three b\n3,three c\n");
    let run = world.sync().failed(4, "stopped", "KEY-002");
    // Whichever way they are counted: three rows share a key, and two repeat it.
    assert!(run.message().contains("3 of 4") || run.message().contains("2 of 4"), "{}", run.outcome);
    assert!(
        (2..=4).all(|row| run.hint().contains(&format!("row {row} of s3://lake/customers.csv"))),
        "{}",
        run.outcome
    );
    assert_eq!(target.tables(), Vec::<String>::new());

    // What was delivered before stays as it is.
    world.put("customers.csv", "id,name\n1,one\n2,two\n");
    world.sync().ended(0, "succeeded");
    world.put("customers.csv", "id,name\n1,eins\n2,two\n2,zwei\n");
    world.sync().failed(4, "stopped", "KEY-002");
    assert_eq!(target.value("SELECT name FROM customers WHERE id = 1"), "one");
    // No cell value is in an error.
    let outcome = world.tapline(&["sync", "rows", "-v"]).fails(4, "KEY-002");
    assert!(!outcome.stderr.contains("zwei"), "{outcome}");
}

fn bad_keys_are_rejected_where_the_sync_says_so(target: &Target) {
    let world = world(target, "on_bad_key: reject");
    world.put("customers.csv", BAD);
    world.sync().ended(3, "partial").counted(&[("read", 8), ("inserted", 3), ("rejected", 5)]);
    let rows = target.rows("SELECT id, name FROM customers ORDER BY id");
    let expected = [["1", "one"], ["2", "two"], ["4", "four"]];
    assert_eq!(rows, expected.map(|row| row.map(|text| Some(text.to_owned())).to_vec()));

    let rejects = world.tapline(&["rejects", "rows", "--format", "json"]).exits(0).json();
    let rejects = rejects.as_array().unwrap();
    let mut told: Vec<_> =
        rejects.iter().map(|reject| (reject["code"].as_str().unwrap(), reject["key"].to_string())).collect();
    told.sort();
    let null = json!({ "id": null }).to_string();
    let three = json!({ "id": 3 }).to_string();
    let (null, three) = (("KEY-001", null), ("KEY-002", three));
    assert_eq!(told, [null.clone(), null, three.clone(), three.clone(), three]);
    for reject in rejects {
        let keys: Vec<&String> = reject.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["key", "reason", "code", "payload", "attempts", "first_at", "last_at"], "{reject}");
        assert_eq!(reject["payload"]["id"], reject["key"]["id"], "{reject}");
        assert!(reject["payload"]["name"].is_string(), "{reject}");
    }
    // A run that leaves a reject open is partial.
    world.sync().ended(3, "partial");
}

fn rejected_rows_are_delivered_once_they_are_good(target: &Target) {
    let world = world(target, "on_bad_key: reject");
    world.put("customers.csv", "id,name\n1,one\n2,two\n2,zwei\n");
    world.sync().ended(3, "partial").counted(&[("read", 3), ("inserted", 1), ("rejected", 2)]);
    world.put("customers.csv", "id,name\n1,one\n2,two\n");
    world.sync().ended(0, "succeeded").counted(&[("read", 2), ("unchanged", 1), ("inserted", 1)]);
    assert_eq!(world.tapline(&["rejects", "rows", "--format", "json"]).exits(0).json(), json!([]));
    assert_eq!(target.value("SELECT name FROM customers WHERE id = 2"), "two");
    // A row that was delivered and then shares its key keeps what it has.
    world.put("customers.csv", "id,name\n1,eins\n1,uno\n2,two\n");
    world.sync().ended(3, "partial").counted(&[("read", 3), ("unchanged", 1), ("rejected", 2)]);
    assert_eq!(target.value("SELECT name FROM customers WHERE id = 1"), "one");
}
