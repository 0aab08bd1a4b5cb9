//! Runs that are cut off while they send requests: what was answered for counts, the others are sent by the next run.
//! Not here: what the requests say (`requests`).

use std::collections::BTreeMap;

use crate::harness::{Reply, Service, World, signal, wait_until};
use crate::requests::deliver;

const ROWS: i64 = 40;

fn people(changed: i64) -> String {
    let rows: String = (1..=ROWS).map(|id| format!("{id},{}\n", if id <= changed { "new" } else { "old" })).collect();
    format!("id,name\n{rows}")
}

fn all() -> Vec<i64> {
    (1..=ROWS).collect()
}

/// A world with rows to be sent one after the other.
fn world(service: &Service, options: &str) -> World {
    let world = World::new();
    deliver(&world, service, "concurrency: 1, retries: 0", options);
    world.put("people.csv", people(0));
    world
}

/// A service that takes so many rows, and then does this.
fn takes(service: &Service, rows: usize, then: Reply) {
    let mut taken = 0;
    service.does(move |_| {
        taken += 1;
        if taken > rows { then.clone() } else { Reply::status(200) }
    });
}

#[test]
fn a_signal_ends_a_run_and_the_next_sends_the_rest() {
    let service = Service::start();
    let world = world(&service, "");
    for (name, code) in [("TERM", 143), ("INT", 130)] {
        takes(&service, 10, Reply::Hang);
        let arguments = ["sync", "rows", "--format", "json"];
        let child = world.start(&arguments);
        wait_until("the run to send", || service.asked().len() == 11);
        signal(&child, name);
        let run = crate::harness::Run::new(world.wait(child, &arguments)).ended(code, "cancelled");
        assert_eq!(run.report["error"]["code"], "RUN-001", "{}", run.outcome);
        assert!(run.hint().contains("10 of"), "{}", run.outcome);
        let inserted = run.report["rows"]["inserted"].as_i64().unwrap();
        assert_eq!(inserted, 10, "{}", run.outcome);
        service.take();
    }
    service.does(|_| Reply::status(200));
    world.sync().ended(0, "succeeded").counted(&[("read", 40), ("unchanged", 20), ("inserted", 20)]);
    assert_eq!(service.ids().len(), 20);
    world.sync().ended(0, "unchanged");
    // Changes are cut off like what is new.
    world.put("people.csv", people(30));
    takes(&service, 7, Reply::status(403));
    let run = world.sync().ended(1, "failed");
    let rows = &run.report["rows"];
    assert_eq!((&rows["read"], &rows["updated"], &rows["unchanged"]), (&17.into(), &7.into(), &10.into()));
    service.take();
    service.does(|_| Reply::status(200));
    world.sync().ended(0, "succeeded").counted(&[("read", 40), ("unchanged", 17), ("updated", 23)]);
    assert_eq!(service.ids().len(), 23);
}

#[test]
fn an_outage_in_the_middle_is_waited_for() {
    let service = Service::start();
    let world = world(&service, "");
    let mut count = 0;
    service.does(move |_| {
        count += 1;
        if (10..14).contains(&count) { Reply::status(502) } else { Reply::status(200) }
    });
    world.sync().ended(0, "succeeded").counted(&[("read", 40), ("inserted", 40)]);
    assert_eq!(service.take().len(), 44);
}

#[test]
fn a_timeout_keeps_what_was_delivered() {
    let service = Service::start();
    let world = world(&service, "timeout: 2s");
    takes(&service, 10, Reply::status(503).with("retry-after", "60"));
    let run = world.sync().ended(1, "failed");
    assert_eq!((&run.report["error"]["code"], &run.report["rows"]["inserted"]), (&"SYNC-009".into(), &10.into()));
    service.take();
    service.does(|_| Reply::status(200));
    world.sync().ended(0, "succeeded");
    assert_eq!(service.ids().len(), 30);
}

#[test]
fn a_service_that_wants_to_be_left_alone_for_long_ends_the_run() {
    let service = Service::start();
    let world = world(&service, "");
    takes(&service, 10, Reply::status(429).with("retry-after", "3600"));
    let run = world.sync().ended(1, "failed");
    assert_eq!((&run.report["error"]["code"], &run.report["rows"]["inserted"]), (&"DEST-006".into(), &10.into()));
    assert_eq!(service.take().len(), 11);
}

#[test]
fn refused_rows_of_a_run_that_was_cut_off_stay_open() {
    let service = Service::start();
    let world = world(&service, "");
    let mut count = 0;
    service.does(move |asked| {
        count += 1;
        Reply::status(if count > 10 {
            401
        } else if asked.id() % 5 == 0 {
            422
        } else {
            200
        })
    });
    let run = world.sync().ended(1, "failed");
    assert_eq!((&run.report["rows"]["inserted"], &run.report["rows"]["rejected"]), (&8.into(), &2.into()));
    let rejects = world.tapline(&["rejects", "rows", "--format", "json"]).exits(0).json();
    assert_eq!(rejects.as_array().unwrap().len(), 2);
    // Cut off again before the refused rows had their turn: they are as open as before.
    service.does(|_| Reply::status(401));
    world.sync().ended(1, "failed");
    assert_eq!(world.tapline(&["rejects", "rows", "--format", "json"]).exits(0).json(), rejects);
    service.does(|_| Reply::status(200));
    world.sync().ended(0, "succeeded");
    assert_eq!(world.tapline(&["rejects", "rows", "--format", "json"]).exits(0).json(), serde_json::json!([]));
}

#[test]
fn a_killed_run_loses_nothing_and_repeats_little() {
    // Where the process dies, and how many rows at least count as delivered then.
    for (failpoint, delivered) in [
        ("after-open", 0),
        ("after-staging", 0),
        ("before-intent", 0),
        ("after-intent", 0),
        ("delivered:1", 1),
        ("delivered:25", 25),
        ("after-publish", 40),
        ("after-snapshot", 40),
        ("after-commit", 40),
    ] {
        let service = Service::start();
        let world = world(&service, "");
        world.crash(failpoint);
        let mut times: BTreeMap<i64, u32> = BTreeMap::new();
        let first = service.take().len();
        let plan = world.tapline(&["plan", "rows", "--format", "json"]).exits(0).json();
        let run = world.sync();
        assert_eq!(run.outcome.code, Some(0), "{failpoint}: {}", run.outcome);
        let again = service.take();
        again.iter().for_each(|asked| *times.entry(asked.id()).or_default() += 1);
        assert!(times.values().all(|times| *times == 1), "{failpoint}: {times:?}");
        let expected = usize::try_from(ROWS).unwrap() - delivered;
        assert_eq!(again.len(), expected, "{failpoint}: {first} were sent before");
        assert_eq!(plan["rows"]["inserted"], expected, "{failpoint}: a plan knows as much");
        if failpoint == "after-intent" {
            assert_eq!(service.take(), []);
        }
        world.sync().ended(0, "unchanged");
    }
}

#[test]
fn rows_killed_on_their_way_are_sent_again() {
    let service = Service::start();
    let world = world(&service, "");
    takes(&service, 12, Reply::Hang);
    let child = world.start(&["sync", "rows"]);
    wait_until("the run to send", || service.asked().len() == 13);
    signal(&child, "KILL");
    world.wait(child, &["sync", "rows"]);
    let mut ids = service.ids();
    service.does(|_| Reply::status(200));
    world.sync().ended(0, "succeeded");
    let again = service.ids();
    // The one without an answer is sent twice, and no other.
    assert_eq!(again.len(), usize::try_from(ROWS).unwrap() - 12);
    ids.extend(again);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids, all());
}
