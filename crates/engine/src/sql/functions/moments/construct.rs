//! Dates, times and intervals made of numbers.
//! Not here: those made of text (`read`).
//! Called by `moments`.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, Int64Type, IntervalMonthDayNano};
use datafusion::common::{Result, exec_err};

use super::calendar::*;
use super::zones::to_utc;
use crate::sql::functions::toolkit::general::{Call, Plain, answer, expect_arguments};
use crate::sql::functions::toolkit::typed::kernel;
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, general, typed};

pub(super) fn functions() -> Vec<Function> {
    vec![
        general(
            &["make_date"],
            "a date of year, month and day, or of days since 1970-01-01",
            Plain {
                coerce: |types| {
                    expect_arguments(types, 1..=3)?;
                    Ok(types
                        .iter()
                        .map(|data_type| match data_type {
                            DataType::Struct(fields) => DataType::Struct(
                                fields.iter().map(|field| Field::new(field.name(), DataType::Int64, true)).collect(),
                            ),
                            _ => DataType::Int64,
                        })
                        .collect())
                },
                result: |_| Ok(answer(DataType::Date32)),
                run: make_date,
            },
        ),
        typed(
            &["make_time"],
            "a time of hour, minute and second",
            [kernel!(|hour: Int, minute: Int, second: Double| -> Time => time(hour, minute, second))],
        ),
        typed(
            &["make_timestamp"],
            "a moment of its parts, or of microseconds since 1970-01-01",
            [
                kernel!(|micros: Int| -> Moment => micros),
                kernel!(|year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Double| -> Moment =>
                moment([year, month, day, hour, minute], second)),
            ],
        ),
        typed(
            &["make_timestamp_ms"],
            "the moment so many milliseconds after 1970-01-01",
            [kernel!(|millis: Int| -> Moment => scaled(millis, 1000))],
        ),
        typed(
            &["make_timestamp_ns"],
            "the moment so many nanoseconds after 1970-01-01",
            [kernel!(|nanos: Int| -> NanoMoment => nanos)],
        ),
        typed(
            &["make_timestamptz"],
            "a moment of its parts, in UTC or in a zone",
            [
                kernel!(|micros: Int| -> ZonedMoment => micros),
                kernel!(|year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Double| -> ZonedMoment =>
                moment([year, month, day, hour, minute], second)),
                kernel!(|year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Double, zone: Text| -> ZonedMoment =>
                moment([year, month, day, hour, minute], second).and_then(|local| to_utc(local, zone))),
            ],
        ),
        typed(
            &["to_timestamp"],
            "the moment so many seconds after 1970-01-01",
            [kernel!(|seconds: Double| -> ZonedMoment => of_seconds(seconds))],
        ),
        typed(&["to_microseconds"], "an interval of microseconds", [kernel!(|count: Int| -> Span => micros(count, 1))]),
        typed(
            &["to_milliseconds"],
            "an interval of milliseconds",
            [
                kernel!(|count: Int| -> Span => micros(count, 1000)),
                kernel!(|count: Double| -> Span => real_micros(count * 1000.0)),
            ],
        ),
        typed(
            &["to_seconds"],
            "an interval of seconds",
            [
                kernel!(|count: Int| -> Span => micros(count, SECOND)),
                kernel!(|count: Double| -> Span => real_micros(count * SECOND as f64)),
            ],
        ),
        typed(&["to_minutes"], "an interval of minutes", [kernel!(|count: Int| -> Span => micros(count, MINUTE))]),
        typed(&["to_hours"], "an interval of hours", [kernel!(|count: Int| -> Span => micros(count, HOUR))]),
        typed(&["to_days"], "an interval of days", [kernel!(|count: Int| -> Span => span(0, count, 0))]),
        typed(&["to_weeks"], "an interval of weeks", [kernel!(|count: Int| -> Span => span(0, times(count, 7)?, 0))]),
        typed(&["to_months"], "an interval of months", [kernel!(|count: Int| -> Span => span(count, 0, 0))]),
        typed(
            &["to_quarters"],
            "an interval of quarters",
            [kernel!(|count: Int| -> Span => span(times(count, 3)?, 0, 0))],
        ),
        typed(&["to_years"], "an interval of years", [kernel!(|count: Int| -> Span => span(times(count, 12)?, 0, 0))]),
        typed(
            &["to_decades"],
            "an interval of decades",
            [kernel!(|count: Int| -> Span => span(times(count, 120)?, 0, 0))],
        ),
        typed(
            &["to_centuries"],
            "an interval of centuries",
            [kernel!(|count: Int| -> Span => span(times(count, 1200)?, 0, 0))],
        ),
        typed(
            &["to_millennia"],
            "an interval of millennia",
            [kernel!(|count: Int| -> Span => span(times(count, 12_000)?, 0, 0))],
        ),
    ]
}

fn times(count: i64, factor: i64) -> Result<i64> {
    match count.checked_mul(factor) {
        Some(product) => Ok(product),
        None => exec_err!("the interval is out of range"),
    }
}

fn micros(count: i64, size: i64) -> Result<IntervalMonthDayNano> {
    span(0, 0, times(count, size)?)
}

fn real_micros(count: f64) -> Result<IntervalMonthDayNano> {
    if !count.is_finite() || count.abs() >= i64::MAX as f64 {
        return exec_err!("the interval is out of range");
    }
    span(0, 0, count.round() as i64)
}

fn scaled(count: i64, size: i64) -> Result<i64> {
    match count.checked_mul(size) {
        Some(micros) => Ok(micros),
        None => exec_err!("the moment is out of range"),
    }
}

fn of_seconds(seconds: f64) -> Result<i64> {
    let micros = (seconds * SECOND as f64).round();
    if !micros.is_finite() || micros.abs() >= i64::MAX as f64 {
        return exec_err!("the moment is out of range");
    }
    Ok(micros as i64)
}

fn make_date(call: &Call<'_>) -> Result<ArrayRef> {
    let columns: Vec<ArrayRef> = match call.columns.as_slice() {
        [only] if matches!(only.data_type(), DataType::Struct(_)) => only.as_struct().columns().to_vec(),
        columns => columns.to_vec(),
    };
    let numbers: Vec<_> = columns.iter().map(|column| column.as_primitive::<Int64Type>()).collect();
    let mut dates = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        if numbers.iter().any(|column| column.is_null(row)) {
            dates.push(None);
            continue;
        }
        let days = match numbers.as_slice() {
            [days] => Some(days.value(row)),
            [year, month, day] => Civil::checked(year.value(row), month.value(row), day.value(row)).map(Civil::days),
            _ => return exec_err!("a date is made of year, month and day"),
        };
        match days.and_then(|days| i32::try_from(days).ok()) {
            Some(date) => dates.push(Some(date)),
            None => return exec_err!("there is no such date"),
        }
    }
    Ok(Date::build(dates))
}

fn time(hour: i64, minute: i64, second: f64) -> Result<i64> {
    let possible = (0..24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0).contains(&second);
    let midnight = hour == 24 && minute == 0 && second == 0.0;
    if !possible && !midnight {
        return exec_err!("there is no such time of day");
    }
    Ok(hour * HOUR + minute * MINUTE + (second * SECOND as f64).round() as i64)
}

fn moment([year, month, day, hour, minute]: [i64; 5], second: f64) -> Result<i64> {
    let Some(civil) = Civil::checked(year, month, day) else { return exec_err!("there is no such date") };
    match civil.days().checked_mul(DAY) {
        Some(start) => Ok(start + time(hour, minute, second)?),
        None => exec_err!("the moment is out of range"),
    }
}
