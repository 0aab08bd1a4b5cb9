//! Text to dates, times and timestamps, and the readings a text allows.
//! Which column is read how is decided in `detect`; numbers live in `numbers`.
//! Called per cell by detection and by the column readers.

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// The order in which a date names its parts. Years have four digits; two-digit years are text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateOrder {
    YearMonthDay,
    DayMonthYear,
    MonthDayYear,
}

/// How a column spells its dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DateShape {
    pub order: DateOrder,
    pub separator: u8,
}

impl DateShape {
    pub(crate) const ISO: DateShape = DateShape { order: DateOrder::YearMonthDay, separator: b'-' };

    /// Every shape that detection knows, the ISO one first.
    pub(crate) const ALL: [DateShape; 9] = {
        const fn shape(order: DateOrder, separator: u8) -> DateShape {
            DateShape { order, separator }
        }
        use DateOrder::{DayMonthYear, MonthDayYear, YearMonthDay};
        [
            DateShape::ISO,
            shape(YearMonthDay, b'/'),
            shape(YearMonthDay, b'.'),
            shape(DayMonthYear, b'-'),
            shape(DayMonthYear, b'/'),
            shape(DayMonthYear, b'.'),
            shape(MonthDayYear, b'-'),
            shape(MonthDayYear, b'/'),
            shape(MonthDayYear, b'.'),
        ]
    };

    /// As a `strptime` format.
    pub(crate) fn pattern(self) -> String {
        let separator = char::from(self.separator);
        match self.order {
            DateOrder::YearMonthDay => format!("%Y{separator}%m{separator}%d"),
            DateOrder::DayMonthYear => format!("%d{separator}%m{separator}%Y"),
            DateOrder::MonthDayYear => format!("%m{separator}%d{separator}%Y"),
        }
    }

    /// Reads a date at the start of `text`: days since 1970-01-01 and what follows.
    fn read(self, text: &[u8]) -> Option<(i32, &[u8])> {
        let (first, rest) = number(text, if self.order == DateOrder::YearMonthDay { 4..=4 } else { 1..=2 })?;
        let rest = rest.strip_prefix(&[self.separator])?;
        let (second, rest) = number(rest, 1..=2)?;
        let rest = rest.strip_prefix(&[self.separator])?;
        let (third, rest) = number(rest, if self.order == DateOrder::YearMonthDay { 1..=2 } else { 4..=4 })?;
        let (year, month, day) = match self.order {
            DateOrder::YearMonthDay => (first, second, third),
            DateOrder::DayMonthYear => (third, second, first),
            DateOrder::MonthDayYear => (third, first, second),
        };
        Some((days(year, month, day)?, rest))
    }
}

/// Reads a run of digits whose length must lie in `lengths`, and returns what follows.
fn number(text: &[u8], lengths: std::ops::RangeInclusive<usize>) -> Option<(u32, &[u8])> {
    let length = text.iter().take(lengths.end() + 1).take_while(|byte| byte.is_ascii_digit()).count();
    if !lengths.contains(&length) {
        return None;
    }
    let (digits, rest) = text.split_at(length);
    Some((digits.iter().fold(0, |value, byte| value * 10 + u32::from(byte - b'0')), rest))
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar, years 1 to 9999.
fn days(year: u32, month: u32, day: u32) -> Option<i32> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if year == 0 || day == 0 || day > length {
        return None;
    }
    // Counting years from March makes the leap day the last day of a year.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let total = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year;
    i32::try_from(total).ok().map(|total| total - 719_468)
}

/// Reads a time of day at the start of `text`: `H:MM`, `HH:MM:SS`, `HH:MM:SS.fraction`. Nanoseconds since midnight and what follows.
fn clock(text: &[u8], twelve_hours: bool) -> Option<(i64, &[u8])> {
    let (mut hour, rest) = number(text, 1..=2)?;
    let (minute, mut rest) = number(rest.strip_prefix(b":")?, 2..=2)?;
    let (mut second, mut nanoseconds) = (0, 0);
    if let Some(after) = rest.strip_prefix(b":") {
        (second, rest) = number(after, 2..=2)?;
        if let Some(after) = rest.strip_prefix(b".") {
            let length = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (digits, following) = after.split_at(length);
            let (kept, surplus) = digits.split_at(length.min(9));
            if length == 0 || surplus.iter().any(|byte| *byte != b'0') {
                return None;
            }
            nanoseconds = kept.iter().fold(0_i64, |value, byte| value * 10 + i64::from(byte - b'0'))
                * 10_i64.pow(9 - kept.len() as u32);
            rest = following;
        }
    }
    if twelve_hours {
        let marker = rest.trim_ascii_start();
        let afternoon = match marker.get(..2)? {
            half if half.eq_ignore_ascii_case(b"am") => false,
            half if half.eq_ignore_ascii_case(b"pm") => true,
            _ => return None,
        };
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + if afternoon { 12 } else { 0 };
        rest = &marker[2..];
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some((i64::from(hour * 3600 + minute * 60 + second) * 1_000_000_000 + nanoseconds, rest))
}

/// Reads a UTC offset that fills `text`: `Z`, `+01`, `+0130`, `+01:30`. Seconds east of UTC.
fn zone(text: &[u8]) -> Option<i64> {
    if matches!(text, b"Z" | b"z") {
        return Some(0);
    }
    let (sign, rest) = match text.split_first()? {
        (b'+', rest) => (1, rest),
        (b'-', rest) => (-1, rest),
        _ => return None,
    };
    let hour_digits = rest.get(..2)?;
    let (hours, _) = number(hour_digits, 2..=2)?;
    let minutes = match &rest[2..] {
        [] => 0,
        [b':', minutes @ ..] | minutes => {
            let (minutes, rest) = number(minutes, 2..=2)?;
            rest.is_empty().then_some(minutes)?
        }
    };
    (hours <= 15 && minutes <= 59).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}

/// A time of day in microseconds since midnight; a finer fraction does not fit.
pub(crate) fn time(text: &[u8]) -> Option<i64> {
    let (nanoseconds, rest) = clock(text, false)?;
    (rest.is_empty() && nanoseconds % 1000 == 0).then_some(nanoseconds / 1000)
}

/// As [`time`], where nobody said that the text is one: `12:30` may as well be minutes and seconds, so that seconds are required.
pub(crate) fn certain_time(text: &[u8]) -> Option<i64> {
    let colons = text.iter().filter(|byte| **byte == b':').count();
    if colons == 2 { time(text) } else { None }
}

/// A date that somebody declared to be one: the year first, and any separator.
pub(crate) fn declared_date(text: &[u8]) -> Option<i32> {
    years_first().find_map(|shape| shape.read(text).filter(|(_, rest)| rest.is_empty())).map(|(days, _)| days)
}

/// Nanoseconds since 1970-01-01 00:00:00 of a moment that somebody declared to be one: as [`declared_date`], which alone is
/// its midnight, and in UTC, where a zone is named.
pub(crate) fn declared_moment(text: &[u8]) -> Option<i128> {
    let midnight = || declared_date(text).map(|days| i128::from(days) * i128::from(DAY) * 1000);
    let local = || years_first().find_map(|shape| timestamp_nanoseconds(text, shape, false, false));
    let is_utc = [&b"Z"[..], b"+00", b"+00:00"].iter().any(|zone| text.ends_with(zone));
    let universal = || years_first().find_map(|shape| timestamp_nanoseconds(text, shape, false, true));
    local().or_else(midnight).or_else(|| universal().filter(|_| is_utc))
}

fn years_first() -> impl Iterator<Item = DateShape> {
    DateShape::ALL.into_iter().filter(|shape| shape.order == DateOrder::YearMonthDay)
}

/// The set of [`DateShape::ALL`] that read the whole text as a date, one bit each.
pub(crate) fn date_shapes(text: &[u8]) -> u16 {
    if !plausible_date_start(text) {
        return 0;
    }
    shapes_where(|shape| shape.read(text).is_some_and(|(_, rest)| rest.is_empty()))
}

/// What a text can be read as when it is a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimestampShapes {
    /// Bits of [`DateShape::ALL`].
    pub shapes: u16,
    /// Names a UTC offset.
    pub zoned: bool,
    /// Hours run to twelve, with AM or PM.
    pub twelve_hours: bool,
    /// The time of day has seconds, and no fraction of one.
    pub whole_seconds: bool,
}

/// Whether a column of one shape is read as timestamps without being told to: the ISO order with hours to 24 in any detail; of
/// the others those that are common, to the second. What DuckDB takes for text stays text.
pub(crate) fn is_usual(shape: DateShape, found: TimestampShapes) -> bool {
    let plain = found.whole_seconds && !found.zoned;
    match shape.order {
        DateOrder::YearMonthDay => !found.twelve_hours,
        DateOrder::DayMonthYear => plain && !found.twelve_hours,
        DateOrder::MonthDayYear => plain && found.twelve_hours,
    }
}

/// The shapes that read the whole text as a timestamp with at most microseconds; `None` when there are none.
pub(crate) fn timestamp_shapes(text: &[u8]) -> Option<TimestampShapes> {
    if !plausible_date_start(text) {
        return None;
    }
    for twelve_hours in [false, true] {
        for zoned in [false, true] {
            let shapes = shapes_where(|shape| timestamp(text, shape, twelve_hours, zoned).is_some());
            if shapes != 0 {
                let colons = text.iter().filter(|byte| **byte == b':').count();
                let clock = &text[text.iter().position(|byte| *byte == b':').unwrap_or(0)..];
                let whole_seconds = colons == 2 && !clock.contains(&b'.');
                return Some(TimestampShapes { shapes, zoned, twelve_hours, whole_seconds });
            }
        }
    }
    None
}

fn plausible_date_start(text: &[u8]) -> bool {
    text.len() >= 8 && text[0].is_ascii_digit() && text[..5].iter().any(|byte| matches!(byte, b'-' | b'/' | b'.'))
}

fn shapes_where(fits: impl Fn(DateShape) -> bool) -> u16 {
    DateShape::ALL.iter().enumerate().filter(|(_, shape)| fits(**shape)).fold(0, |bits, (index, _)| bits | 1 << index)
}

/// Microseconds since 1970-01-01 (UTC if `zoned`).
fn timestamp(text: &[u8], shape: DateShape, twelve_hours: bool, zoned: bool) -> Option<i64> {
    let nanoseconds = timestamp_nanoseconds(text, shape, twelve_hours, zoned)?;
    (nanoseconds % 1000 == 0).then(|| i64::try_from(nanoseconds / 1000).ok()).flatten()
}

fn timestamp_nanoseconds(text: &[u8], shape: DateShape, twelve_hours: bool, zoned: bool) -> Option<i128> {
    let (day, rest) = shape.read(text)?;
    let rest = rest.strip_prefix(b" ").or_else(|| rest.strip_prefix(b"T"))?;
    let (nanoseconds, rest) = clock(rest, twelve_hours)?;
    let offset = match (zoned, rest) {
        (false, []) => 0,
        (true, [b' ', rest @ ..]) => zone(rest)?,
        (true, rest) => zone(rest)?,
        _ => return None,
    };
    Some(i128::from(day) * i128::from(DAY) * 1000 + i128::from(nanoseconds) - i128::from(offset) * 1_000_000_000)
}

/// How the values of one temporal column are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TemporalFormat {
    /// A shape that detection knows, read without formatting machinery.
    Shape { date: DateShape, twelve_hours: bool },
    /// A shape of dates alone; as a timestamp, such a date is its midnight.
    Day(DateShape),
    /// A user's `strptime` format.
    Pattern(String),
}

impl TemporalFormat {
    pub(crate) const ISO: TemporalFormat = TemporalFormat::Shape { date: DateShape::ISO, twelve_hours: false };

    /// Finds the shape behind a format string; `None` (no format) is ISO 8601.
    pub(crate) fn new(pattern: Option<&str>) -> TemporalFormat {
        let Some(pattern) = pattern else { return TemporalFormat::ISO };
        for date in DateShape::ALL {
            if pattern == date.pattern() {
                return TemporalFormat::Day(date);
            }
            for twelve_hours in [false, true] {
                if pattern == timestamp_pattern(date, twelve_hours) {
                    return TemporalFormat::Shape { date, twelve_hours };
                }
            }
        }
        // DuckDB's names of fractions of a second.
        let fractions = [".%f", ".%g", ".%n"].iter();
        TemporalFormat::Pattern(fractions.fold(pattern.to_owned(), |pattern, name| pattern.replace(name, "%.f")))
    }

    /// Whether a user's format string means anything.
    pub(crate) fn is_valid(pattern: &str) -> bool {
        !pattern.is_empty() && StrftimeItems::new(pattern).all(|item| item != Item::Error)
    }

    /// Days since 1970-01-01.
    pub(crate) fn date(&self, text: &[u8]) -> Option<i32> {
        match self {
            TemporalFormat::Shape { date, .. } | TemporalFormat::Day(date) => {
                date.read(text).filter(|(_, rest)| rest.is_empty()).map(|(days, _)| days)
            }
            TemporalFormat::Pattern(pattern) => {
                let date = NaiveDate::parse_from_str(std::str::from_utf8(text).ok()?, pattern).ok()?;
                i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
            }
        }
    }

    /// Microseconds since 1970-01-01 00:00:00; with `zoned` the text must name its offset and the result is UTC.
    pub(crate) fn timestamp(&self, text: &[u8], zoned: bool) -> Option<i64> {
        match self {
            TemporalFormat::Shape { date, twelve_hours } => timestamp(text, *date, *twelve_hours, zoned),
            TemporalFormat::Pattern(_) | TemporalFormat::Day(_) => {
                let nanoseconds = self.timestamp_nanoseconds(text, zoned)?;
                (nanoseconds % 1000 == 0).then(|| i64::try_from(nanoseconds / 1000).ok()).flatten()
            }
        }
    }

    /// Nanoseconds since 1970-01-01 00:00:00, wide enough for every year.
    pub(crate) fn timestamp_nanoseconds(&self, text: &[u8], zoned: bool) -> Option<i128> {
        match self {
            TemporalFormat::Shape { date, twelve_hours } => timestamp_nanoseconds(text, *date, *twelve_hours, zoned),
            TemporalFormat::Day(_) => {
                let days = self.date(text).filter(|_| !zoned)?;
                Some(i128::from(days) * i128::from(DAY) * 1000)
            }
            TemporalFormat::Pattern(pattern) => {
                let text = std::str::from_utf8(text).ok()?;
                let instant = if zoned {
                    DateTime::parse_from_str(text, pattern).ok()?.naive_utc()
                } else {
                    let midnight = || NaiveDate::parse_from_str(text, pattern).ok()?.and_hms_opt(0, 0, 0);
                    NaiveDateTime::parse_from_str(text, pattern).ok().or_else(midnight)?
                };
                let instant = instant.and_utc();
                Some(i128::from(instant.timestamp()) * 1_000_000_000 + i128::from(instant.timestamp_subsec_nanos()))
            }
        }
    }
}

/// The `strptime` format of a timestamp shape.
pub(crate) fn timestamp_pattern(date: DateShape, twelve_hours: bool) -> String {
    format!("{} {}", date.pattern(), if twelve_hours { "%I:%M:%S %p" } else { "%H:%M:%S" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso_date(text: &str) -> Option<i32> {
        TemporalFormat::ISO.date(text.as_bytes())
    }

    #[test]
    fn dates_count_from_the_epoch() {
        for text in ["1970-01-01", "1969-12-31", "2000-02-29", "2024-03-01", "0001-01-01", "9999-12-31"] {
            let expected = NaiveDate::parse_from_str(text, "%Y-%m-%d")
                .expect("test date")
                .signed_duration_since(NaiveDate::default())
                .num_days();
            assert_eq!(iso_date(text).map(i64::from), Some(expected), "{text}");
        }
        assert_eq!(iso_date("2024-3-1"), iso_date("2024-03-01"));
        for text in [
            "2023-02-29",
            "1900-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-01-32",
            "24-01-01",
            "2024-01-01 ",
            "02024-01-01",
            "0000-01-01",
            "2024-1",
        ] {
            assert_eq!(iso_date(text), None, "{text}");
        }
    }

    #[test]
    fn readings_of_a_date() {
        let names = |text: &str| {
            let bits = date_shapes(text.as_bytes());
            DateShape::ALL
                .iter()
                .enumerate()
                .filter(|(index, _)| bits & (1 << index) != 0)
                .map(|(_, shape)| shape.pattern())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("31/12/2024"), ["%d/%m/%Y"]);
        assert_eq!(names("12/31/2024"), ["%m/%d/%Y"]);
        assert_eq!(names("01/02/2024"), ["%d/%m/%Y", "%m/%d/%Y"]);
        assert_eq!(names("2024-01-02"), ["%Y-%m-%d"]);
        assert!(names("31/12/24").is_empty());
        assert!(names("31/12-2024").is_empty());
    }

    #[test]
    fn times_and_zones() {
        assert_eq!(time(b"00:00"), Some(0));
        assert_eq!(time(b"1:02:03.5"), Some(3_723_500_000));
        for text in ["24:00:00", "12:60", "12:3", "12:30:60", "12:30:00.", "12:30:00.1234567", "12:30 "] {
            assert_eq!(time(text.as_bytes()), None, "{text}");
        }
        let utc = TemporalFormat::ISO.timestamp(b"2024-01-02T10:00:00Z", true);
        assert_eq!(utc, Some(1_704_189_600_000_000));
        for text in ["2024-01-02 11:00:00+01", "2024-01-02T11:30:00+0130", "2024-01-02 08:00:00 -02:00"] {
            assert_eq!(TemporalFormat::ISO.timestamp(text.as_bytes(), true), utc, "{text}");
        }
        assert_eq!(TemporalFormat::ISO.timestamp(b"2024-01-02T10:00:00Z", false), None);
        assert_eq!(TemporalFormat::ISO.timestamp(b"2024-01-02T10:00:00.1234567", false), None);
        assert_eq!(TemporalFormat::ISO.timestamp(b"2024-01-02T10:00:00.123456000", false), Some(1_704_189_600_123_456));
    }

    #[test]
    fn formats_find_their_shape() {
        assert_eq!(TemporalFormat::new(Some("%d/%m/%Y")).date(b"31/12/2024"), iso_date("2024-12-31"));
        assert_eq!(TemporalFormat::new(Some("%d %b %Y")).date(b"31 Dec 2024"), iso_date("2024-12-31"));
        let noon = TemporalFormat::ISO.timestamp(b"2024-12-31 12:05:00", false);
        assert_eq!(TemporalFormat::new(Some("%m/%d/%Y %I:%M:%S %p")).timestamp(b"12/31/2024 12:05:00 PM", false), noon);
        assert_eq!(TemporalFormat::new(Some("%Y%m%d %H%M")).timestamp(b"20241231 1205", false), noon);
        assert!(!TemporalFormat::is_valid("%Q"));
    }
}
