//! Days and microseconds as years, months, weeks and hours, and back.
//! Not here: functions.
//! Called by everything in `moments`, and by ranges of dates.

use arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::{Result, exec_err};

/// Microseconds of a second, a minute, an hour and a day.
pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// A day of the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Civil {
    pub year: i64,
    pub month: i64,
    pub day: i64,
}

impl Civil {
    /// The day so many days after 1970-01-01. <https://howardhinnant.github.io/date_algorithms.html>
    pub(crate) fn of_days(days: i64) -> Self {
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Self { year: year_of_era + era * 400 + i64::from(month <= 2), month, day }
    }

    /// How many days after 1970-01-01 the day is.
    pub(crate) fn days(self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let shifted_month = if self.month > 2 { self.month - 3 } else { self.month + 9 };
        let of_year = (153 * shifted_month + 2) / 5 + self.day - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    /// The day with these numbers, if there is one.
    pub(crate) fn checked(year: i64, month: i64, day: i64) -> Option<Self> {
        let possible = (1..=12).contains(&month) && year.abs() < 300_000;
        (possible && (1..=month_days(year, month)).contains(&day)).then_some(Self { year, month, day })
    }

    /// The day so many months later, or the last of its month where that is shorter.
    pub(crate) fn plus_months(self, months: i64) -> Self {
        let total = self.year * 12 + self.month - 1 + months;
        let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
        Self { year, month, day: self.day.min(month_days(year, month)) }
    }
}

/// How many days a month has.
pub(crate) fn month_days(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Monday is 1, Sunday 7.
pub(crate) fn iso_weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// The ISO year and week of a day.
pub(crate) fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days - iso_weekday(days) + 4;
    let year = Civil::of_days(thursday).year;
    let first = Civil { year, month: 1, day: 1 }.days();
    (year, (thursday - first) / 7 + 1)
}

/// The Monday with which an ISO year begins.
pub(crate) fn iso_year_start(year: i64) -> i64 {
    let fourth = Civil { year, month: 1, day: 4 }.days();
    fourth - iso_weekday(fourth) + 1
}

/// The day's number in its year, from 1.
pub(crate) fn day_of_year(days: i64) -> i64 {
    days - Civil { year: Civil::of_days(days).year, month: 1, day: 1 }.days() + 1
}

/// An interval's months, days and microseconds.
pub(crate) fn split(span: IntervalMonthDayNano) -> (i64, i64, i64) {
    (span.months.into(), span.days.into(), span.nanoseconds / 1000)
}

/// An interval of months, days and microseconds.
pub(crate) fn span(months: i64, days: i64, micros: i64) -> Result<IntervalMonthDayNano> {
    match (i32::try_from(months), i32::try_from(days), micros.checked_mul(1000)) {
        (Ok(months), Ok(days), Some(nanos)) => Ok(IntervalMonthDayNano::new(months, days, nanos)),
        _ => exec_err!("the interval is out of range"),
    }
}

/// A moment moved by an interval: months first, then days, then the rest.
pub(crate) fn plus(micros: i64, span: IntervalMonthDayNano) -> Result<i64> {
    let (months, days, rest) = split(span);
    let time = micros.rem_euclid(DAY);
    let day = Civil::of_days(micros.div_euclid(DAY)).plus_months(months).days() + days;
    match day.checked_mul(DAY).and_then(|moment| moment.checked_add(time)?.checked_add(rest)) {
        Some(moment) => Ok(moment),
        None => exec_err!("the moment is out of range"),
    }
}

/// Whether a moment is `infinity` or `-infinity`.
pub(crate) fn is_infinite(micros: i64) -> bool {
    micros == i64::MAX || micros == -i64::MAX
}

/// A date as the moment at its start; infinite dates stay infinite.
pub(crate) fn start_of(days: i32) -> i64 {
    match days {
        i32::MAX => i64::MAX,
        days if days == -i32::MAX => -i64::MAX,
        days => i64::from(days) * DAY,
    }
}

/// The interval between two moments in years, months, days and the rest, as by counting calendar days.
pub(crate) fn age(later: i64, earlier: i64) -> Result<IntervalMonthDayNano> {
    if later < earlier {
        let (months, days, micros) = split(age(earlier, later)?);
        return span(-months, -days, -micros);
    }
    let (to, from) = (Civil::of_days(later.div_euclid(DAY)), Civil::of_days(earlier.div_euclid(DAY)));
    let mut months = (to.year - from.year) * 12 + to.month - from.month;
    let mut days = to.day - from.day;
    let mut micros = later.rem_euclid(DAY) - earlier.rem_euclid(DAY);
    if micros < 0 {
        micros += DAY;
        days -= 1;
    }
    if days < 0 {
        days += month_days(from.year, from.month);
        months -= 1;
    }
    span(months, days, micros)
}
