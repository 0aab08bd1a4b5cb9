//! Weeks of a server with made-up syncs, run lengths, restarts and clocks, watched by rules that know only the ticks.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// What happens besides the passing of time.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// The server is killed, and is back after some minutes.
    Kill { down: i64 },
    /// The clock is set forward or back, by less than is forgiven.
    Clock { minutes: i64 },
}

struct World {
    scheduler: Scheduler,
    limit: usize,
    now: DateTime<Utc>,
    plans: BTreeMap<String, Plan>,
    /// Runs that are going on, and when they end.
    ends: BTreeMap<String, DateTime<Utc>>,
    /// Up to where each sync's ticks are answered.
    answered: BTreeMap<String, DateTime<Utc>>,
    /// Syncs whose run a kill has cut off.
    cut_off: Vec<String>,
    starts: usize,
}

impl World {
    fn new(limit: usize, plans: BTreeMap<String, Plan>) -> Self {
        let now = at("2026-03-20 00:00");
        let mut scheduler = scheduler(limit);
        for (sync, plan) in &plans {
            scheduler.put(sync, plan.clone(), now);
        }
        let answered = plans.keys().map(|sync| (sync.clone(), now)).collect();
        let (ends, cut_off) = (BTreeMap::new(), Vec::new());
        Self { scheduler, limit, now, plans, ends, answered, cut_off, starts: 0 }
    }

    /// The first tick that waits for an answer.
    fn waiting(&self, sync: &str) -> Option<DateTime<Utc>> {
        self.plans[sync].timetable.next_after(self.answered[sync]).filter(|tick| *tick <= self.now)
    }

    fn decide(&mut self, lengths: &[i64]) {
        let starts = self.scheduler.decide(self.now);
        for start in &starts {
            match start.cause {
                Cause::Tick => assert_eq!(self.waiting(&start.sync), Some(start.due), "a run without its tick"),
                Cause::CutOff => assert!(self.cut_off.contains(&start.sync), "repeated what was not cut off"),
                Cause::Rejects | Cause::Request => panic!("nobody asked for {start:?}"),
            }
            self.cut_off.retain(|sync| *sync != start.sync);
            let answered = self.answered.get_mut(&start.sync).expect("a known sync");
            *answered = (*answered).max(self.now);
            let length = TimeDelta::minutes(lengths[self.starts % lengths.len()]);
            let before = self.ends.insert(start.sync.clone(), self.now + length);
            assert_eq!(before, None, "{} runs twice at once", start.sync);
            self.starts += 1;
        }
        assert!(self.ends.len() <= self.limit, "more runs than allowed");
        let idle = self.plans.keys().filter(|sync| !self.ends.contains_key(*sync));
        for sync in idle.filter(|_| self.ends.len() < self.limit) {
            assert_eq!(self.waiting(sync), None, "{sync} waits although there is room");
            assert!(!self.cut_off.contains(sync), "{sync} is not repeated although there is room");
        }
        let longest = starts.iter().map(|start| start.due).max();
        for sync in self.plans.keys().filter(|sync| !self.ends.contains_key(*sync)) {
            let overtaken = self.waiting(sync).zip(longest).is_some_and(|(tick, due)| tick < due);
            assert!(!overtaken, "{sync} was overtaken");
        }
    }

    /// Time passes up to the next start or end of a run, or to `until`.
    fn pass(&mut self, until: DateTime<Utc>) {
        let end = self.ends.values().min().copied();
        let wake = self.scheduler.next_wake(self.now);
        let next = [end, wake, Some(until)].into_iter().flatten().min().expect("until");
        if next > self.now {
            let early = self.scheduler.clone().decide(next - TimeDelta::milliseconds(1));
            assert_eq!(early, [], "starts before the time to wake");
        }
        self.now = next.max(self.now);
        let ended: Vec<String> =
            self.ends.iter().filter(|(_, end)| **end <= self.now).map(|(sync, _)| sync.clone()).collect();
        for sync in ended {
            self.ends.remove(&sync);
            self.scheduler.finished(&sync, false, self.now);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Kill { down } => {
                let mut next = scheduler(self.limit);
                for (sync, plan) in &self.plans {
                    let text = serde_json::to_string(self.scheduler.state(sync).expect("known")).expect("data");
                    next.restore(sync, plan.clone(), serde_json::from_str(&text).expect("the same data"));
                }
                self.scheduler = next;
                self.cut_off.extend(std::mem::take(&mut self.ends).into_keys());
                self.now += TimeDelta::minutes(down);
            }
            Event::Clock { minutes } => self.now += TimeDelta::minutes(minutes),
        }
    }
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let patterns = vec!["0 6 * * *", "*/20 * * * *", "30 2 * * *", "0 0 * * mon", "15 1,13 * * *", "0 4 1 * *"];
    let zones = vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"];
    let crons = (prop::sample::select(patterns), prop::sample::select(zones))
        .prop_map(|(pattern, zone)| cron(pattern, zone).expect("the pattern is valid"));
    let intervals = (5_u64..36 * 60, any::<Index>()).prop_map(|(minutes, name)| {
        let sync = format!("s{}", name.index(1000));
        every(&sync, minutes)
    });
    prop::collection::vec(prop_oneof![crons, intervals].prop_map(run_once), 1..6)
}

fn events() -> impl Strategy<Value = Vec<(i64, Event)>> {
    let event = prop_oneof![
        (0_i64..3 * 24 * 60).prop_map(|down| Event::Kill { down }),
        (-9_i64..600).prop_map(|minutes| Event::Clock { minutes }),
    ];
    // An event every few hours or days.
    prop::collection::vec((60_i64..4 * 24 * 60, event), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn weeks_pass(
        plans in plans(),
        limit in 1_usize..4,
        lengths in prop::collection::vec(0_i64..300, 1..8),
        events in events(),
    ) {
        let plans = plans.into_iter().enumerate().map(|(number, plan)| (format!("sync{number}"), plan)).collect();
        let mut world = World::new(limit, plans);
        world.decide(&lengths);
        for (minutes, event) in events {
            let until = world.now + TimeDelta::minutes(minutes);
            while world.now < until {
                world.pass(until);
                world.decide(&lengths);
            }
            world.happen(event);
            world.decide(&lengths);
        }
    }
}
