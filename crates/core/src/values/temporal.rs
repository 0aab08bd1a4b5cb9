//! Dates, times, timestamps and intervals, in the proleptic Gregorian calendar and in UTC.
//! Not here: time zones; a timestamp with one is an instant and is written with `+00`.
//! Called by the dispatch on Arrow types.

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::buffer::ScalarBuffer;
use arrow::compute::cast;
use arrow::datatypes::*;
use arrow::error::ArrowError;

use super::Values;

const SECONDS_PER_DAY: i64 = 86_400;

pub(super) struct Dates(pub(super) PrimitiveArray<Date32Type>);

impl Values for Dates {
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        match self.0.value(row) {
            i32::MAX => out.extend_from_slice(b"infinity"),
            days if days == -i32::MAX => out.extend_from_slice(b"-infinity"),
            days => date(days.into(), out),
        }
    }
}

/// Times of day, with the decimal places of their seconds.
pub(super) struct Times {
    ticks: ScalarBuffer<i64>,
    places: u32,
    in_utc: bool,
}

impl Times {
    pub(super) fn new(array: &ArrayRef, in_utc: bool) -> Result<Self, ArrowError> {
        match array.data_type() {
            DataType::Time32(unit) => {
                Ok(Self { ticks: ticks(&cast(array, &DataType::Int32)?)?, places: places(*unit), in_utc })
            }
            DataType::Time64(unit) => Ok(Self { ticks: ticks(array)?, places: places(*unit), in_utc }),
            other => Err(ArrowError::InvalidArgumentError(format!("{other} is no time of day"))),
        }
    }
}

impl Values for Times {
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        let ticks = self.ticks[row].unsigned_abs();
        clock(ticks / 10u64.pow(self.places), ticks % 10u64.pow(self.places), self.places, out);
        if self.in_utc {
            out.extend_from_slice(b"+00");
        }
    }
}

/// Timestamps, naive or as instants.
pub(super) struct Moments {
    ticks: ScalarBuffer<i64>,
    places: u32,
    instants: bool,
}

impl Moments {
    pub(super) fn new(array: &ArrayRef, unit: TimeUnit, instants: bool) -> Result<Self, ArrowError> {
        Ok(Self { ticks: ticks(array)?, places: places(unit), instants })
    }
}

impl Values for Moments {
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        match self.ticks[row] {
            i64::MAX => return out.extend_from_slice(b"infinity"),
            ticks if ticks == -i64::MAX => return out.extend_from_slice(b"-infinity"),
            ticks => {
                let per_second = 10i64.pow(self.places);
                let seconds = ticks.div_euclid(per_second);
                date(seconds.div_euclid(SECONDS_PER_DAY), out);
                out.push(b' ');
                let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY).unsigned_abs();
                clock(second_of_day, ticks.rem_euclid(per_second).unsigned_abs(), self.places, out);
            }
        }
        if self.instants {
            out.extend_from_slice(b"+00");
        }
    }
}

/// Spans of months, days and ticks, each with a sign of its own; the ticks with their decimal places.
pub(super) struct Intervals(Vec<(i32, i32, i64, u32)>);

impl Intervals {
    pub(super) fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        const NANOSECONDS: u32 = 9;
        Ok(Self(match array.data_type() {
            DataType::Interval(IntervalUnit::YearMonth) => {
                let months = array.as_primitive::<IntervalYearMonthType>().values().iter();
                months.map(|months| (*months, 0, 0, NANOSECONDS)).collect()
            }
            DataType::Interval(IntervalUnit::DayTime) => {
                let values = array.as_primitive::<IntervalDayTimeType>().values().iter();
                values.map(|value| (0, value.days, value.milliseconds.into(), places(TimeUnit::Millisecond))).collect()
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                let values = array.as_primitive::<IntervalMonthDayNanoType>().values().iter();
                values.map(|value| (value.months, value.days, value.nanoseconds, NANOSECONDS)).collect()
            }
            DataType::Duration(unit) => ticks(array)?.iter().map(|ticks| (0, 0, *ticks, places(*unit))).collect(),
            other => return Err(ArrowError::InvalidArgumentError(format!("{other} is no interval"))),
        }))
    }
}

impl Values for Intervals {
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        let (months, days, ticks, places) = self.0[row];
        let start = out.len();
        for (amount, unit) in [(months / 12, "year"), (months % 12, "month"), (days, "day")] {
            if amount != 0 {
                if out.len() > start {
                    out.push(b' ');
                }
                integer(amount.into(), out);
                out.push(b' ');
                out.extend_from_slice(unit.as_bytes());
                if amount.unsigned_abs() != 1 {
                    out.push(b's');
                }
            }
        }
        if ticks != 0 || out.len() == start {
            if out.len() > start {
                out.push(b' ');
            }
            if ticks < 0 {
                out.push(b'-');
            }
            let magnitude = ticks.unsigned_abs();
            clock(magnitude / 10u64.pow(places), magnitude % 10u64.pow(places), places, out);
        }
    }
}

fn places(unit: TimeUnit) -> u32 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

/// The numbers behind a type that counts ticks of at most 64 bits.
fn ticks(array: &ArrayRef) -> Result<ScalarBuffer<i64>, ArrowError> {
    Ok(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().values().clone())
}

/// `2024-02-29`, with more digits for years from 10,000 and `(BC)` for years before 1.
fn date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    let shown = if year > 0 { year } else { 1 - year };
    if shown < 1_000 {
        out.extend_from_slice(
            &b"000"[..if shown < 10 {
                3
            } else if shown < 100 {
                2
            } else {
                1
            }],
        );
    }
    integer(shown, out);
    out.push(b'-');
    two_digits(month, out);
    out.push(b'-');
    two_digits(day, out);
    if year <= 0 {
        out.extend_from_slice(b" (BC)");
    }
}

/// Year, month and day of a number of days since 1970-01-01. Counts from a March of year 0, so that the leap day is the
/// last of its year, and in eras of 400 years, which are all of the same length.
fn civil(days: i64) -> (i64, u64, u64) {
    const DAYS_PER_ERA: i64 = 146_097;
    const DAYS_BEFORE_1970: i64 = 719_468;
    let days = days + DAYS_BEFORE_1970;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month.unsigned_abs(), day.unsigned_abs())
}

/// `04:05:06.7`: at least two digits per part, and of the second's fraction as many as are not zero.
fn clock(seconds: u64, fraction: u64, places: u32, out: &mut Vec<u8>) {
    two_digits(seconds / 3_600, out);
    out.push(b':');
    two_digits(seconds / 60 % 60, out);
    out.push(b':');
    two_digits(seconds % 60, out);
    if fraction > 0 {
        out.push(b'.');
        let mut rest = fraction;
        let mut unit = 10u64.pow(places);
        while rest > 0 {
            unit /= 10;
            out.push(b'0' + (rest / unit) as u8);
            rest %= unit;
        }
    }
}

fn two_digits(number: u64, out: &mut Vec<u8>) {
    if number < 10 {
        out.push(b'0');
    }
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn integer(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}
