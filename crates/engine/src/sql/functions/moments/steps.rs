//! Truncation, buckets, differences, and moving by intervals.
//! Not here: parts (`parts`).
//! Called by `moments`.

use arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::{Result, exec_err};

use super::calendar::*;
use super::units::Unit;
use crate::sql::functions::toolkit::typed::kernel;
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, typed};

pub(super) fn functions() -> Vec<Function> {
    vec![
        typed(
            &["date_trunc", "datetrunc"],
            "the moment, or the interval, cut to a unit",
            [
                kernel!(|unit: Text, date: Date| -> Moment => truncate(unit, start_of(date))),
                kernel!(|unit: Text, moment: Moment| -> Moment => truncate(unit, moment)),
                kernel!(|unit: Text, moment: ZonedMoment| -> ZonedMoment => truncate(unit, moment)),
                kernel!(|unit: Text, span: Span| -> Span => truncate_span(unit, span)),
            ],
        ),
        typed(
            &["date_diff", "datediff"],
            "how many borders of a unit lie between two moments",
            [
                kernel!(|unit: Text, from: Date, to: Date| -> Int => borders(unit, start_of(from), start_of(to))),
                kernel!(|unit: Text, from: Moment, to: Moment| -> Int => borders(unit, from, to)),
                kernel!(|unit: Text, from: ZonedMoment, to: ZonedMoment| -> Int => borders(unit, from, to)),
                kernel!(|unit: Text, from: Time, to: Time| -> Int => borders(unit, from, to)),
            ],
        ),
        typed(
            &["date_sub", "datesub"],
            "how many whole units lie between two moments",
            [
                kernel!(|unit: Text, from: Date, to: Date| -> Int => units(unit, start_of(from), start_of(to))),
                kernel!(|unit: Text, from: Moment, to: Moment| -> Int => units(unit, from, to)),
                kernel!(|unit: Text, from: ZonedMoment, to: ZonedMoment| -> Int => units(unit, from, to)),
                kernel!(|unit: Text, from: Time, to: Time| -> Int => units(unit, from, to)),
            ],
        ),
        typed(
            &["date_add"],
            "the moment moved by an interval, or a date by days",
            [
                kernel!(|date: Date, span: Span| -> Moment => plus(start_of(date), span)),
                kernel!(|moment: Moment, span: Span| -> Moment => plus(moment, span)),
                kernel!(|moment: ZonedMoment, span: Span| -> ZonedMoment => plus(moment, span)),
                kernel!(|date: Date, days: Int| -> Date => days_later(date, days)),
            ],
        ),
        typed(
            &["age"],
            "the time between two moments in years, months and days",
            [
                kernel!(|later: Moment, earlier: Moment| -> Span => age(later, earlier)),
                kernel!(|later: ZonedMoment, earlier: ZonedMoment| -> Span => age(later, earlier)),
            ],
        ),
        typed(
            &["time_bucket"],
            "the start of the bucket of a width in which the moment lies",
            [
                kernel!(|width: Span, date: Date| -> Date => bucket(width, start_of(date), None).map(as_date)),
                kernel!(|width: Span, moment: Moment| -> Moment => bucket(width, moment, None)),
                kernel!(|width: Span, moment: ZonedMoment| -> ZonedMoment => bucket(width, moment, None)),
                kernel!(|width: Span, date: Date, origin: Date| -> Date => bucket(width, start_of(date), Some(start_of(origin))).map(as_date)),
                kernel!(|width: Span, moment: Moment, origin: Moment| -> Moment => bucket(width, moment, Some(origin))),
                kernel!(|width: Span, moment: ZonedMoment, origin: ZonedMoment| -> ZonedMoment => bucket(width, moment, Some(origin))),
                kernel!(|width: Span, date: Date, offset: Span| -> Date => shifted(width, start_of(date), offset).map(as_date)),
                kernel!(|width: Span, moment: Moment, offset: Span| -> Moment => shifted(width, moment, offset)),
                kernel!(|width: Span, moment: ZonedMoment, offset: Span| -> ZonedMoment => shifted(width, moment, offset)),
            ],
        ),
        typed(
            &["normalized_interval"],
            "the interval with 24 hours as a day and 30 days as a month",
            [kernel!(|span: Span| -> Span => normalized(span))],
        ),
    ]
}

fn as_date(micros: i64) -> i32 {
    i32::try_from(micros.div_euclid(DAY)).unwrap_or(i32::MAX)
}

fn days_later(date: i32, days: i64) -> Result<i32> {
    match i32::try_from(days).ok().and_then(|days| date.checked_add(days)) {
        Some(date) => Ok(date),
        None => exec_err!("the date is out of range"),
    }
}

fn truncate(unit: &str, micros: i64) -> Result<i64> {
    let unit = Unit::parse(unit)?;
    if is_infinite(micros) {
        return Ok(micros);
    }
    let days = micros.div_euclid(DAY);
    let day = |year, month| Civil { year, month, day: 1 }.days() * DAY;
    let years = |size: i64| day(Civil::of_days(days).year.div_euclid(size) * size, 1);
    Ok(match unit {
        Unit::Millennium => years(1000),
        Unit::Century => years(100),
        Unit::Decade => years(10),
        Unit::Year => years(1),
        Unit::Quarter => {
            let civil = Civil::of_days(days);
            day(civil.year, (civil.month - 1) / 3 * 3 + 1)
        }
        Unit::Month => {
            let civil = Civil::of_days(days);
            day(civil.year, civil.month)
        }
        Unit::Week | Unit::YearWeek => (days - iso_weekday(days) + 1) * DAY,
        Unit::IsoYear => iso_year_start(iso_week(days).0) * DAY,
        Unit::Day | Unit::DayOfWeek | Unit::IsoDayOfWeek | Unit::DayOfYear | Unit::Julian => days * DAY,
        Unit::Hour => micros.div_euclid(HOUR) * HOUR,
        Unit::Minute => micros.div_euclid(MINUTE) * MINUTE,
        Unit::Second | Unit::Epoch => micros.div_euclid(SECOND) * SECOND,
        Unit::Millisecond => micros.div_euclid(1000) * 1000,
        Unit::Microsecond | Unit::Nanosecond => micros,
        Unit::Era | Unit::Timezone | Unit::TimezoneHour | Unit::TimezoneMinute => {
            return exec_err!("a moment cannot be cut to this part");
        }
    })
}

fn truncate_span(unit: &str, interval: IntervalMonthDayNano) -> Result<IntervalMonthDayNano> {
    let (months, days, micros) = split(interval);
    match Unit::parse(unit)? {
        Unit::Millennium => span(months / 12_000 * 12_000, 0, 0),
        Unit::Century => span(months / 1200 * 1200, 0, 0),
        Unit::Decade => span(months / 120 * 120, 0, 0),
        Unit::Year => span(months / 12 * 12, 0, 0),
        Unit::Quarter => span(months / 3 * 3, 0, 0),
        Unit::Month => span(months, 0, 0),
        Unit::Week => span(months, days / 7 * 7, 0),
        Unit::Day => span(months, days, 0),
        Unit::Hour => span(months, days, micros / HOUR * HOUR),
        Unit::Minute => span(months, days, micros / MINUTE * MINUTE),
        Unit::Second => span(months, days, micros / SECOND * SECOND),
        Unit::Millisecond => span(months, days, micros / 1000 * 1000),
        Unit::Microsecond | Unit::Nanosecond => Ok(interval),
        _ => exec_err!("an interval cannot be cut to this part"),
    }
}

fn borders(unit: &str, from: i64, to: i64) -> Result<Option<i64>> {
    let unit = Unit::parse(unit)?;
    if is_infinite(from) || is_infinite(to) {
        return Ok(None);
    }
    let civil = |micros: i64| Civil::of_days(micros.div_euclid(DAY));
    let years = |size: i64| civil(to).year / size - civil(from).year / size;
    let count = |size: i64| to.div_euclid(size) - from.div_euclid(size);
    Ok(Some(match unit {
        Unit::Millennium => years(1000),
        Unit::Century => years(100),
        Unit::Decade => years(10),
        Unit::Year => years(1),
        Unit::Quarter => {
            let quarter = |micros| civil(micros).year * 4 + (civil(micros).month - 1) / 3;
            quarter(to) - quarter(from)
        }
        Unit::Month => (civil(to).year - civil(from).year) * 12 + civil(to).month - civil(from).month,
        Unit::Week | Unit::YearWeek => count(DAY) / 7,
        Unit::IsoYear => iso_week(to.div_euclid(DAY)).0 - iso_week(from.div_euclid(DAY)).0,
        Unit::Day | Unit::DayOfWeek | Unit::IsoDayOfWeek | Unit::DayOfYear | Unit::Julian => count(DAY),
        Unit::Hour => count(HOUR),
        Unit::Minute => count(MINUTE),
        Unit::Second | Unit::Epoch => count(SECOND),
        Unit::Millisecond => count(1000),
        Unit::Microsecond => to - from,
        Unit::Nanosecond => (to - from).saturating_mul(1000),
        Unit::Era | Unit::Timezone | Unit::TimezoneHour | Unit::TimezoneMinute => {
            return exec_err!("there is no difference in this part");
        }
    }))
}

/// Whole months from one moment to another; the last day of a month completes it for later days.
fn months(from: i64, to: i64) -> Result<i64> {
    if from > to {
        return Ok(-months(to, from)?);
    }
    let end = Civil::of_days(to.div_euclid(DAY));
    let start = Civil::of_days(from.div_euclid(DAY));
    let last = month_days(end.year, end.month);
    let (from_time, to_time) = (from.rem_euclid(DAY), to.rem_euclid(DAY));
    let mut from = from;
    if end.day == last && (start.day > last || (start.day == last && from_time < to_time)) {
        from = Civil { day: last.min(month_days(start.year, start.month)), ..start }.days() * DAY + from_time;
    }
    Ok(split(age(to, from)?).0)
}

fn units(unit: &str, from: i64, to: i64) -> Result<Option<i64>> {
    let unit = Unit::parse(unit)?;
    if is_infinite(from) || is_infinite(to) {
        return Ok(None);
    }
    Ok(Some(match unit {
        Unit::Millennium => months(from, to)? / 12_000,
        Unit::Century => months(from, to)? / 1200,
        Unit::Decade => months(from, to)? / 120,
        Unit::Year | Unit::IsoYear => months(from, to)? / 12,
        Unit::Quarter => months(from, to)? / 3,
        Unit::Month => months(from, to)?,
        Unit::Week | Unit::YearWeek => (to - from) / (7 * DAY),
        Unit::Day | Unit::DayOfWeek | Unit::IsoDayOfWeek | Unit::DayOfYear | Unit::Julian => (to - from) / DAY,
        Unit::Hour => (to - from) / HOUR,
        Unit::Minute => (to - from) / MINUTE,
        Unit::Second | Unit::Epoch => (to - from) / SECOND,
        Unit::Millisecond => (to - from) / 1000,
        Unit::Microsecond => to - from,
        Unit::Nanosecond => (to - from).saturating_mul(1000),
        Unit::Era | Unit::Timezone | Unit::TimezoneHour | Unit::TimezoneMinute => {
            return exec_err!("there is no difference in this part");
        }
    }))
}

/// Buckets of days and less begin on Monday, 2000-01-03, those of months on 2000-01-01.
const DAY_ORIGIN: i64 = 10_959 * DAY;
const MONTH_ORIGIN: i64 = 10_957 * DAY;

fn bucket(width: IntervalMonthDayNano, moment: i64, origin: Option<i64>) -> Result<i64> {
    let (months, days, micros) = split(width);
    if months == 0 {
        let Some(size) = days.checked_mul(DAY).and_then(|size| size.checked_add(micros)).filter(|size| *size > 0)
        else {
            return exec_err!("the width of a bucket must be above zero");
        };
        if is_infinite(moment) {
            return Ok(moment);
        }
        let origin = origin.unwrap_or(DAY_ORIGIN);
        return Ok((moment - origin).div_euclid(size) * size + origin);
    }
    if days != 0 || micros != 0 {
        return exec_err!("the width of a bucket is in months, or in days and less, not in both");
    }
    if months < 0 {
        return exec_err!("the width of a bucket must be above zero");
    }
    if is_infinite(moment) {
        return Ok(moment);
    }
    let count = |micros: i64| {
        let civil = Civil::of_days(micros.div_euclid(DAY));
        civil.year * 12 + civil.month - 1
    };
    let origin = count(origin.unwrap_or(MONTH_ORIGIN));
    let start = (count(moment) - origin).div_euclid(months) * months + origin;
    Ok(Civil { year: start.div_euclid(12), month: start.rem_euclid(12) + 1, day: 1 }.days() * DAY)
}

/// Buckets that begin by an offset later.
fn shifted(width: IntervalMonthDayNano, moment: i64, offset: IntervalMonthDayNano) -> Result<i64> {
    let (months, days, micros) = split(offset);
    let back = plus(moment, span(-months, -days, -micros)?)?;
    plus(bucket(width, back, None)?, offset)
}

fn normalized(interval: IntervalMonthDayNano) -> Result<IntervalMonthDayNano> {
    let (months, days, micros) = split(interval);
    let days = days + micros / DAY;
    span(months + days / 30, days % 30, micros % DAY)
}
