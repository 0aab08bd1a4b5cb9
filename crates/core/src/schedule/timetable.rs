//! The ticks of one sync, from its `schedule`.
//! Not here: what happens at a tick; that is the scheduler.
//! Called by the project file's check, the scheduler, and pages that show the next runs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::calendar::Calendar;
use crate::config::Schedule;

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// The phase is at most the interval divided by this.
const JITTER_SHARE: i64 = 10;
const JITTER_MAX_SECONDS: i64 = 600;

/// Why a `schedule` cannot be kept. The text tells what is valid instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// An interval of no length, or too long to be meant.
    #[error("an interval lasts from 1s to 366d")]
    Interval,
    /// Not a cron pattern, or one whose time never comes.
    #[error("`{pattern}` is no cron pattern to keep to: {problem}")]
    Pattern {
        /// All of the pattern.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A field that says nothing, or more than plain cron knows.
    #[error(
        "`{text}` is no valid {field}; write `*`, a number ({valid}), a range `1-5`, a step `*/2` or `1-5/2`, or a list of numbers and ranges with commas"
    )]
    Field {
        /// The field as it is written.
        text: String,
        /// Which field.
        field: &'static str,
        /// The numbers and names it takes.
        valid: &'static str,
    },
    /// A name that is not in the IANA time zone database.
    #[error(
        "`{name}` is no time zone; write an IANA name such as {}",
        near.unwrap_or("Europe/Berlin or UTC")
    )]
    Zone {
        /// The name.
        name: String,
        /// The zone that was probably meant.
        near: Option<&'static str>,
    },
}

impl ScheduleError {
    /// The key of `schedule` whose value is meant: `every`, `cron` or `timezone`.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Interval => "every",
            Self::Zone { .. } => "timezone",
            Self::Pattern { .. } | Self::Field { .. } => "cron",
        }
    }
}

/// The ticks of a sync: none, on a grid, or of a calendar. How they lie is told at [`schedule`](super).
#[derive(Debug, Clone, PartialEq)]
pub struct Timetable(Rule);

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    Manual,
    Every { milliseconds: i64, phase: i64 },
    Calendar(Box<Calendar>),
}

impl Timetable {
    /// Reads the schedule of the sync named `sync`.
    ///
    /// # Errors
    /// The first value that cannot be kept to.
    pub fn new(sync: &str, schedule: &Schedule) -> Result<Self, ScheduleError> {
        Ok(Self(match schedule {
            Schedule::Manual => Rule::Manual,
            Schedule::Every { every } => {
                if !(SHORTEST..=LONGEST).contains(&every.0) {
                    return Err(ScheduleError::Interval);
                }
                let milliseconds = i64::try_from(every.0.as_millis()).map_err(|_| ScheduleError::Interval)?;
                Rule::Every { milliseconds, phase: phase(sync, milliseconds) }
            }
            Schedule::Cron { cron, timezone } => Rule::Calendar(Box::new(Calendar::new(cron, timezone.as_deref())?)),
        }))
    }

    /// The first tick later than `after`; `None` for a manual sync, and past the end of the calendar (the year 5000).
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.0 {
            Rule::Manual => None,
            Rule::Every { milliseconds, phase } => {
                let passed = (after.timestamp_millis() - phase).div_euclid(*milliseconds);
                DateTime::from_timestamp_millis(phase + (passed + 1) * milliseconds)
            }
            Rule::Calendar(calendar) => calendar.next_after(after),
        }
    }

    /// The ticks later than `after`, in order.
    pub fn upcoming(&self, after: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> + '_ {
        std::iter::successors(self.next_after(after), |tick| self.next_after(*tick))
    }

    /// The time zone in which the schedule is written; UTC unless it says otherwise.
    pub fn zone(&self) -> Tz {
        match &self.0 {
            Rule::Calendar(calendar) => calendar.zone(),
            Rule::Manual | Rule::Every { .. } => Tz::UTC,
        }
    }
}

/// How far the grid of a sync is shifted, in milliseconds: whole seconds, the same in every process and version.
fn phase(sync: &str, milliseconds: i64) -> i64 {
    let most = (milliseconds / 1000 / JITTER_SHARE).min(JITTER_MAX_SECONDS);
    fnv1a(sync).cast_signed().rem_euclid(most + 1) * 1000
}

/// The hash FNV-1a with 64 bits, which tells names apart well enough to spread them.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
