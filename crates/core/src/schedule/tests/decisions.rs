//! Single decisions of the scheduler.

use super::*;

const NOON: &str = "2026-06-01 12:00";

/// A sync `s` that is due every day at six (UTC), known since noon.
fn daily(misfire: Misfire) -> Scheduler {
    let mut scheduler = scheduler(1);
    let timetable = cron("0 6 * * *", "UTC").expect("the pattern is valid");
    scheduler.put("s", Plan { timetable, misfire }, at(NOON));
    scheduler
}

fn causes(starts: &[Start]) -> Vec<(&str, Cause)> {
    starts.iter().map(|start| (start.sync.as_str(), start.cause)).collect()
}

/// What the next server knows.
fn saved(scheduler: &Scheduler, sync: &str) -> SyncState {
    let text = serde_json::to_string(scheduler.state(sync).expect("known")).expect("it is data");
    serde_json::from_str(&text).expect("it is the same data")
}

#[test]
fn a_tick_starts_one_run() {
    let mut scheduler = daily(Misfire::RunOnce);
    assert_eq!(scheduler.decide(at(NOON)), []);
    assert_eq!(scheduler.next_wake(at(NOON)), Some(at("2026-06-02 06:00")));
    let start = Start { sync: "s".into(), cause: Cause::Tick, due: at("2026-06-02 06:00"), offers_rejects: true };
    assert_eq!(scheduler.decide(at("2026-06-02 06:01")), [start]);
    assert_eq!(scheduler.decide(at("2026-06-02 06:02")), []);
    assert_eq!(scheduler.next_wake(at("2026-06-02 06:02")), None);
    scheduler.finished("s", false, at("2026-06-02 07:00"));
    assert_eq!(scheduler.next_wake(at("2026-06-02 07:00")), Some(at("2026-06-03 06:00")));
}

#[test]
fn many_missed_ticks_are_made_up_for_once_or_left_out() {
    let restart = at("2026-06-09 12:00");
    for (misfire, runs) in [(Misfire::RunOnce, 1), (Misfire::Skip, 0)] {
        let before = daily(misfire);
        let mut after = scheduler(1);
        let plan = Plan { timetable: cron("0 6 * * *", "UTC").expect("valid"), misfire };
        after.restore("s", plan, saved(&before, "s"));
        let starts = after.decide(restart);
        assert_eq!(starts.len(), runs, "{misfire:?}");
        assert!(starts.iter().all(|start| start.due == at("2026-06-02 06:00")));
        after.finished("s", false, restart);
        assert_eq!(after.next_wake(restart), Some(at("2026-06-10 06:00")));
    }
}

#[test]
fn ticks_during_a_run_make_one_more() {
    for (misfire, next) in [(Misfire::RunOnce, "2026-06-04 09:00"), (Misfire::Skip, "2026-06-05 06:00")] {
        let mut scheduler = daily(misfire);
        assert_eq!(scheduler.decide(at("2026-06-02 06:00")).len(), 1);
        assert_eq!(scheduler.decide(at("2026-06-04 06:00")), []);
        scheduler.finished("s", false, at("2026-06-04 09:00"));
        assert_eq!(scheduler.next_wake(at("2026-06-04 09:00")), Some(at(next)), "{misfire:?}");
    }
}

#[test]
fn a_run_that_was_cut_off_is_repeated() {
    let mut killed = scheduler(2);
    let manual = Timetable::new("s", &Schedule::Manual).expect("valid");
    killed.put("s", run_once(manual.clone()), at(NOON));
    killed.request("s", at(NOON));
    assert_eq!(causes(&killed.decide(at(NOON))), [("s", Cause::Request)]);
    let mut next = scheduler(2);
    next.restore("s", run_once(manual), saved(&killed, "s"));
    assert_eq!(causes(&next.decide(at("2026-06-01 12:05"))), [("s", Cause::CutOff)]);
    next.finished("s", true, at("2026-06-01 12:06"));
    assert_eq!(next.next_wake(at("2026-06-01 12:06")), None);
}

#[test]
fn a_run_that_ended_unnoted_is_not_repeated() {
    let mut killed = scheduler(2);
    let manual = Timetable::new("s", &Schedule::Manual).expect("valid");
    killed.put("s", run_once(manual.clone()), at(NOON));
    killed.request("s", at(NOON));
    assert_eq!(causes(&killed.decide(at(NOON))), [("s", Cause::Request)]);
    let mut next = scheduler(2);
    next.restore_ended("s", run_once(manual), saved(&killed, "s"), false, at("2026-06-01 12:01"));
    assert_eq!(next.next_wake(at("2026-06-01 12:05")), None);
    assert_eq!(next.decide(at("2026-06-01 12:05")), []);
}

#[test]
fn those_go_first_who_have_waited_longest() {
    let mut scheduler = scheduler(1);
    for (sync, pattern) in [("a", "30 6 * * *"), ("b", "0 6 * * *"), ("c", "45 6 * * *")] {
        scheduler.put(sync, run_once(cron(pattern, "UTC").expect("valid")), at(NOON));
    }
    let now = at("2026-06-02 07:00");
    for sync in ["b", "a", "c"] {
        assert_eq!(scheduler.next_wake(now), Some(now));
        assert_eq!(causes(&scheduler.decide(now)), [(sync, Cause::Tick)]);
        scheduler.finished(sync, false, now);
    }
    assert_eq!(scheduler.decide(now), []);
}

#[test]
fn rejected_rows_wait_longer_each_time() {
    let mut scheduler = daily(Misfire::RunOnce);
    let mut now = at("2026-06-02 06:00");
    let mut waits = Vec::new();
    for _ in 0..9 {
        let starts = scheduler.decide(now);
        assert!(starts.len() == 1 && starts[0].offers_rejects, "{starts:?}");
        scheduler.finished("s", true, now);
        let wake = scheduler.next_wake(now).expect("rejected rows are open");
        waits.push((wake - now).num_minutes());
        now = wake;
    }
    // After six hours it stays at that.
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 360, 360]);
    assert_eq!(causes(&scheduler.decide(now)), [("s", Cause::Rejects)]);
    scheduler.finished("s", false, now);
    assert_eq!(scheduler.state("s").expect("known").retry, None);
}

#[test]
fn ticks_before_the_back_off_is_over_leave_rejected_rows_alone() {
    let mut scheduler = scheduler(1);
    scheduler.put("s", run_once(cron("* * * * *", "UTC").expect("valid")), at(NOON));
    let mut offered = Vec::new();
    for minute in 1..=40 {
        let now = at(NOON) + TimeDelta::minutes(minute);
        let starts = scheduler.decide(now);
        assert_eq!(causes(&starts), [("s", Cause::Tick)]);
        if starts[0].offers_rejects {
            offered.push(minute);
        }
        scheduler.finished("s", true, now);
    }
    assert_eq!(offered, [1, 6, 16, 36]);
    scheduler.request("s", at(NOON) + TimeDelta::minutes(40));
    assert!(scheduler.decide(at(NOON) + TimeDelta::minutes(40))[0].offers_rejects);
}

#[test]
fn a_pause_leaves_ticks_out_but_not_requests() {
    let mut scheduler = daily(Misfire::RunOnce);
    scheduler.pause("s");
    assert_eq!(scheduler.next_wake(at(NOON)), None);
    assert_eq!(scheduler.decide(at("2026-06-02 07:00")), []);
    scheduler.request("s", at("2026-06-02 07:00"));
    assert_eq!(causes(&scheduler.decide(at("2026-06-02 07:00"))), [("s", Cause::Request)]);
    scheduler.finished("s", false, at("2026-06-02 07:00"));
    scheduler.resume("s", at("2026-06-03 07:00"));
    assert_eq!(scheduler.decide(at("2026-06-03 07:00")), []);
    assert_eq!(scheduler.next_wake(at("2026-06-03 07:00")), Some(at("2026-06-04 06:00")));
}

#[test]
fn another_plan_counts_from_now_and_keeps_the_run() {
    let mut scheduler = daily(Misfire::RunOnce);
    assert_eq!(scheduler.decide(at("2026-06-02 06:00")).len(), 1);
    scheduler.put("s", run_once(every("s", 15)), at("2026-06-02 06:05"));
    assert_eq!(scheduler.decide(at("2026-06-02 08:00")), []);
    scheduler.finished("s", false, at("2026-06-02 08:00"));
    assert_eq!(scheduler.decide(at("2026-06-02 08:00")).len(), 1);
    scheduler.remove("s");
    scheduler.put("t", run_once(every("t", 15)), at("2026-06-02 08:00"));
    assert_eq!(scheduler.decide(at("2026-06-02 09:00")), [], "the removed sync still runs");
    scheduler.finished("s", false, at("2026-06-02 09:00"));
    assert_eq!(causes(&scheduler.decide(at("2026-06-02 09:00"))), [("t", Cause::Tick)]);
    assert_eq!(scheduler.state("s"), None);
}

#[test]
fn a_clock_that_is_set_back_a_little_repeats_nothing_and_a_lot_stalls_nothing() {
    let mut scheduler = daily(Misfire::RunOnce);
    assert_eq!(scheduler.decide(at("2026-06-02 06:01")).len(), 1);
    scheduler.finished("s", true, at("2026-06-02 06:01"));
    assert_eq!(scheduler.decide(at("2026-06-02 05:58")), []);
    assert_eq!(scheduler.decide(at("2026-06-02 06:00")), []);
    // Ten days back: six o'clock comes again, and rejected rows wait for six hours at most.
    assert_eq!(scheduler.decide(at("2026-05-23 05:00")), []);
    assert_eq!(scheduler.next_wake(at("2026-05-23 05:00")), Some(at("2026-05-23 06:00")));
    assert_eq!(causes(&scheduler.decide(at("2026-05-23 06:00"))), [("s", Cause::Tick)]);
}
