//! Tests of timetables and of the scheduler, with clocks of their own.

mod decisions;
mod project;
mod ticks;
mod weeks;

use std::num::NonZeroUsize;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::config::Schedule;
use crate::duration::HumanDuration;

/// A moment in UTC, such as `2026-03-29 01:00`.
fn at(text: &str) -> DateTime<Utc> {
    format!("{text}:00Z").parse().expect("a date and a time")
}

fn every(sync: &str, minutes: u64) -> Timetable {
    let every = HumanDuration(Duration::from_secs(minutes * 60));
    Timetable::new(sync, &Schedule::Every { every }).expect("the interval is valid")
}

fn cron(pattern: &str, timezone: &str) -> Result<Timetable, ScheduleError> {
    Timetable::new("s", &Schedule::Cron { cron: pattern.to_owned(), timezone: Some(timezone.to_owned()) })
}

fn run_once(timetable: Timetable) -> Plan {
    Plan { timetable, misfire: Misfire::RunOnce }
}

fn scheduler(limit: usize) -> Scheduler {
    Scheduler::new(NonZeroUsize::new(limit).expect("above zero"), BackOff::default())
}
