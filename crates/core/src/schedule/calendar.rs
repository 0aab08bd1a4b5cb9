//! Cron patterns in a time zone: strict reading, and the way from the clock on the wall to moments in time.
//! Not here: the search for matching times of a calendar without time zone, which is croner's.
//! Called by the timetable.

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeZone, Utc};
use chrono_tz::{GapInfo, TZ_VARIANTS, Tz};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::ScheduleError;

const NICKNAMES: [&str; 6] = ["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@annually"];

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// One of the five fields.
struct Field {
    name: &'static str,
    valid: &'static str,
    last: u32,
    words: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", valid: "0-59", last: 59, words: &[] },
    Field { name: "hour", valid: "0-23", last: 23, words: &[] },
    Field { name: "day of month", valid: "1-31", last: 31, words: &[] },
    Field { name: "month", valid: "1-12 or jan-dec", last: 12, words: MONTHS },
    Field { name: "day of week", valid: "0-7 or sun-sat", last: 7, words: WEEKDAYS },
];

/// A cron pattern in a time zone that ticks again and again.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Calendar {
    cron: Cron,
    zone: Tz,
    /// Whether the pattern goes on in real time where clocks change.
    every_hour: bool,
}

impl Calendar {
    /// Without a time zone the pattern is meant in UTC.
    pub(super) fn new(pattern: &str, timezone: Option<&str>) -> Result<Self, ScheduleError> {
        let cron = parse(pattern)?;
        if cron.find_next_occurrence(&NaiveDateTime::default(), true).is_err() {
            return Err(refused(pattern, "none of its months has such a day"));
        }
        let zone = timezone.map_or(Ok(Tz::UTC), zone)?;
        let every_hour = cron.pattern.hours.values().len() == 24;
        Ok(Self { cron, zone, every_hour })
    }

    pub(super) fn zone(&self) -> Tz {
        self.zone
    }

    pub(super) fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = after.with_timezone(&self.zone);
        if self.every_hour {
            return Some(self.cron.find_next_occurrence(&local, false).ok()?.to_utc());
        }
        // Croner by itself keeps the calendar only where minute and hour are single numbers, so it searches without time
        // zone here. A time on the wall that has not been passed yet may still stand for a moment that has: in the
        // second half of an hour that comes twice.
        let mut wall = local.naive_local();
        loop {
            wall = self.cron.find_next_occurrence(&wall, false).ok()?;
            let moment = self.moment(wall)?;
            if moment > after {
                return Some(moment);
            }
        }
    }

    /// When the clock on the wall shows `wall` for the first time, or first goes past it.
    fn moment(&self, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
        let moment = match self.zone.from_local_datetime(&wall) {
            LocalResult::Single(moment) | LocalResult::Ambiguous(moment, _) => moment,
            LocalResult::None => GapInfo::new(&wall, &self.zone)?.end?,
        };
        Some(moment.to_utc())
    }
}

/// Reads an IANA name such as `Europe/Berlin`.
fn zone(name: &str) -> Result<Tz, ScheduleError> {
    name.parse().map_err(|_| {
        let folded = name.to_lowercase();
        let distance = |zone: &Tz| strsim::osa_distance(&zone.name().to_lowercase(), &folded);
        let near = TZ_VARIANTS.iter().min_by_key(|zone| distance(zone)).filter(|zone| distance(zone) * 4 <= name.len());
        ScheduleError::Zone { name: name.to_owned(), near: near.map(|zone| zone.name()) }
    })
}

/// Croner knows more than plain cron (`L`, `W`, `#`, `?`, `+`), lets empty items pass and does not say which field it
/// refuses, so every field is looked at alone first.
fn parse(pattern: &str) -> Result<Cron, ScheduleError> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let fields: Vec<&str> = pattern.split_whitespace().collect();
    if pattern.starts_with('@') {
        if !NICKNAMES.contains(&pattern) {
            return Err(refused(pattern, format!("the names of patterns are {}", NICKNAMES.join(", "))));
        }
    } else if fields.len() == FIELDS.len() {
        for (index, (field, text)) in FIELDS.iter().zip(fields).enumerate() {
            let mut alone = ["*"; FIELDS.len()];
            alone[index] = text;
            if !field.allows(text) || parser.parse(&alone.join(" ")).is_err() {
                return Err(ScheduleError::Field { text: text.to_owned(), field: field.name, valid: field.valid });
            }
        }
    } else {
        let names = FIELDS.map(|field| field.name).join(", ");
        return Err(refused(pattern, format!("it has {} fields, not the five {names}", fields.len())));
    }
    parser.parse(pattern).map_err(|error| refused(pattern, error.to_string()))
}

fn refused(pattern: &str, problem: impl Into<String>) -> ScheduleError {
    ScheduleError::Pattern { pattern: pattern.to_owned(), problem: problem.into() }
}

impl Field {
    /// Whether only the marks, words and steps of plain cron occur; croner checks numbers and their order.
    fn allows(&self, text: &str) -> bool {
        text.split(',').all(|item| {
            let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
            let steps = step.is_none_or(|step| number(step).is_some_and(|step| (1..=self.last).contains(&step)));
            let known = |word: &str| self.words.contains(&word.to_ascii_lowercase().as_str());
            steps && range.split('-').all(|end| end == "*" || number(end).is_some() || known(end))
        })
    }
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
