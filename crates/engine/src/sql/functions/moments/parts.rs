//! Parts of dates, times and intervals, as numbers and names.
//! Not here: differences and truncation (`steps`).
//! Called by `moments`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::*;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};

use super::calendar::*;
use super::units::Unit;
use crate::sql::functions::toolkit::general::{Call, General, Plan, answer, expect_arguments};
use crate::sql::functions::toolkit::lists::{item_of, list_of};
use crate::sql::functions::toolkit::typed::{Overload, distance, kernel, no_match};
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, general, typed};

/// A function of one part, under its names.
macro_rules! part {
    ($names:expr, $about:expr, $unit:expr) => {
        typed($names, $about, of_part!($unit))
    };
}

macro_rules! of_part {
    ($unit:expr) => {
        vec![
            kernel!(|moment: Date| -> Int => whole($unit, start_of(moment))),
            kernel!(|moment: Moment| -> Int => whole($unit, moment)),
            kernel!(|moment: ZonedMoment| -> Int => whole($unit, moment)),
            kernel!(|time: Time| -> Int => of_time($unit, time)),
            kernel!(|span: Span| -> Int => of_span($unit, span)),
        ]
    };
}

pub(super) fn functions() -> Vec<Function> {
    vec![
        general(&["date_part", "datepart"], "a part of a date, time or interval, by its name", DatePart),
        part!(&["year"], "the year", Unit::Year),
        part!(&["month"], "the month, from 1", Unit::Month),
        part!(&["day", "dayofmonth"], "the day of the month", Unit::Day),
        part!(&["hour"], "the hour", Unit::Hour),
        part!(&["minute"], "the minute", Unit::Minute),
        part!(&["second"], "the second", Unit::Second),
        part!(&["millisecond"], "the milliseconds of the minute", Unit::Millisecond),
        part!(&["microsecond"], "the microseconds of the minute", Unit::Microsecond),
        part!(&["nanosecond"], "the nanoseconds of the minute", Unit::Nanosecond),
        part!(&["quarter"], "the quarter, from 1", Unit::Quarter),
        part!(&["week", "weekofyear"], "the ISO week", Unit::Week),
        part!(&["isoyear"], "the year of the ISO week", Unit::IsoYear),
        part!(&["yearweek"], "the ISO year and week as one number", Unit::YearWeek),
        part!(&["dayofweek", "weekday"], "the day of the week; Sunday is 0", Unit::DayOfWeek),
        part!(&["isodow"], "the day of the week; Monday is 1", Unit::IsoDayOfWeek),
        part!(&["dayofyear"], "the day of the year, from 1", Unit::DayOfYear),
        part!(&["decade"], "the year without its last digit", Unit::Decade),
        part!(&["century"], "the century", Unit::Century),
        part!(&["millennium"], "the millennium", Unit::Millennium),
        part!(&["era"], "1, or 0 before the year 1", Unit::Era),
        part!(&["timezone_hour"], "the hours of the zone's offset", Unit::TimezoneHour),
        part!(&["timezone_minute"], "the minutes of the zone's offset", Unit::TimezoneMinute),
        typed(
            &["julian"],
            "the Julian day",
            [
                kernel!(|moment: Date| -> Double => real(Unit::Julian, start_of(moment))),
                kernel!(|moment: Moment| -> Double => real(Unit::Julian, moment)),
                kernel!(|moment: ZonedMoment| -> Double => real(Unit::Julian, moment)),
            ],
        ),
        typed(
            &["epoch"],
            "seconds since 1970-01-01",
            [
                kernel!(|moment: Date| -> Double => real(Unit::Epoch, start_of(moment))),
                kernel!(|moment: Moment| -> Double => real(Unit::Epoch, moment)),
                kernel!(|moment: ZonedMoment| -> Double => real(Unit::Epoch, moment)),
                kernel!(|time: Time| -> Double => time as f64 / SECOND as f64),
                kernel!(|span: Span| -> Double => span_micros(span) as f64 / SECOND as f64),
            ],
        ),
        typed(&["epoch_ms"], "milliseconds since 1970-01-01, or the moment so many of them after", {
            let mut overloads = since(|micros| micros.div_euclid(1000));
            overloads.push(kernel!(|millis: Int| -> Moment => scaled(millis, 1000)));
            overloads
        }),
        typed(&["epoch_us"], "microseconds since 1970-01-01", since(|micros| micros)),
        typed(&["epoch_ns"], "nanoseconds since 1970-01-01", {
            let mut overloads = vec![kernel!(|moment: NanoMoment| -> Int => moment)];
            overloads.extend(since(|micros| micros.saturating_mul(1000)));
            overloads
        }),
        typed(
            &["dayname"],
            "the English name of the day",
            [
                kernel!(|moment: Date| -> Text => name(moment.into(), day_name)),
                kernel!(|moment: Moment| -> Text => finite_days(moment).and_then(|days| name(days, day_name))),
                kernel!(|moment: ZonedMoment| -> Text => finite_days(moment).and_then(|days| name(days, day_name))),
            ],
        ),
        typed(
            &["monthname"],
            "the English name of the month",
            [
                kernel!(|moment: Date| -> Text => name(moment.into(), month_name)),
                kernel!(|moment: Moment| -> Text => finite_days(moment).and_then(|days| name(days, month_name))),
                kernel!(|moment: ZonedMoment| -> Text => finite_days(moment).and_then(|days| name(days, month_name))),
            ],
        ),
        typed(
            &["last_day"],
            "the last day of the month",
            [
                kernel!(|moment: Date| -> Date => last_day(moment.into())),
                kernel!(|moment: Moment| -> Date => finite_days(moment).and_then(last_day)),
                kernel!(|moment: ZonedMoment| -> Date => finite_days(moment).and_then(last_day)),
            ],
        ),
        typed(
            &["days_in_month"],
            "how many days the month has",
            [
                kernel!(|moment: Date| -> Int => in_month(moment.into())),
                kernel!(|moment: Moment| -> Int => finite_days(moment).map(in_month)),
                kernel!(|moment: ZonedMoment| -> Int => finite_days(moment).map(in_month)),
            ],
        ),
    ]
}

/// The overloads of a count since 1970-01-01.
fn since(of: fn(i64) -> i64) -> Vec<Overload> {
    vec![
        Overload {
            run: Arc::new(move |columns, _| counts::<Date>(&columns[0], |days| of(start_of(days)))),
            ..kernel!(|_moment: Date| -> Int => 0i64)
        },
        Overload {
            run: Arc::new(move |columns, _| counts::<Moment>(&columns[0], of)),
            ..kernel!(|_moment: Moment| -> Int => 0i64)
        },
        Overload {
            run: Arc::new(move |columns, _| counts::<ZonedMoment>(&columns[0], of)),
            ..kernel!(|_moment: ZonedMoment| -> Int => 0i64)
        },
        Overload {
            run: Arc::new(move |columns, _| counts::<Time>(&columns[0], of)),
            ..kernel!(|_time: Time| -> Int => 0i64)
        },
        Overload {
            run: Arc::new(move |columns, _| counts::<Span>(&columns[0], |span| of(span_micros(span)))),
            ..kernel!(|_span: Span| -> Int => 0i64)
        },
    ]
}

fn counts<T: Type>(column: &ArrayRef, of: impl Fn(T::Item) -> i64) -> Result<ArrayRef>
where
    for<'a> &'a T::Array: arrow::array::ArrayAccessor<Item = T::Item>,
{
    let array = downcast::<T>(column)?;
    let rows = arrow::array::ArrayIter::new(array).map(|value| value.map(&of)).collect();
    Ok(Int::build(rows))
}

fn finite_days(micros: i64) -> Option<i64> {
    (!is_infinite(micros)).then(|| micros.div_euclid(DAY))
}

fn name(days: i64, of: fn(i64) -> &'static str) -> Option<String> {
    (days.abs() != i64::from(i32::MAX)).then(|| of(days).to_owned())
}

/// The English name of a day.
pub(super) fn day_name(days: i64) -> &'static str {
    const NAMES: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    NAMES[(iso_weekday(days) - 1) as usize]
}

/// The English names of the months.
pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The English name of a day's month.
pub(super) fn month_name(days: i64) -> &'static str {
    MONTHS[(Civil::of_days(days).month - 1) as usize]
}

fn last_day(days: i64) -> Option<i32> {
    let civil = Civil::of_days(days);
    let last = Civil { day: month_days(civil.year, civil.month), ..civil }.days();
    i32::try_from(last).ok()
}

fn in_month(days: i64) -> i64 {
    let civil = Civil::of_days(days);
    month_days(civil.year, civil.month)
}

fn scaled(count: i64, micros: i64) -> Result<i64> {
    match count.checked_mul(micros) {
        Some(moment) => Ok(moment),
        None => exec_err!("the moment is out of range"),
    }
}

fn span_micros(span: IntervalMonthDayNano) -> i64 {
    /// A year counts as 365.25 days only in whole years.
    const YEAR: i64 = DAY / 4 * 1461;
    let (months, days, micros) = split(span);
    (months / 12) * YEAR + (months % 12) * 30 * DAY + days * DAY + micros
}

/// A part that is a number with places.
fn real(unit: Unit, micros: i64) -> Option<f64> {
    if is_infinite(micros) {
        return None;
    }
    Some(match unit {
        Unit::Julian => (micros.div_euclid(DAY) + 2_440_588) as f64 + micros.rem_euclid(DAY) as f64 / DAY as f64,
        _ => micros as f64 / SECOND as f64,
    })
}

/// A part of a moment that is a whole number; none for infinite moments.
fn whole(unit: Unit, micros: i64) -> Result<Option<i64>> {
    if is_infinite(micros) {
        return Ok(None);
    }
    let days = micros.div_euclid(DAY);
    let civil = || Civil::of_days(days);
    let ceiled = |year: i64, size: i64| if year > 0 { (year - 1) / size + 1 } else { -((-year) / size + 1) };
    Ok(Some(match unit {
        Unit::Year => civil().year,
        Unit::Month => civil().month,
        Unit::Day => civil().day,
        Unit::Quarter => (civil().month - 1) / 3 + 1,
        Unit::Decade => civil().year / 10,
        Unit::Century => ceiled(civil().year, 100),
        Unit::Millennium => ceiled(civil().year, 1000),
        Unit::Week => iso_week(days).1,
        Unit::IsoYear => iso_week(days).0,
        Unit::YearWeek => {
            let (year, week) = iso_week(days);
            year * 100 + if year > 0 { week } else { -week }
        }
        Unit::DayOfWeek => iso_weekday(days) % 7,
        Unit::IsoDayOfWeek => iso_weekday(days),
        Unit::DayOfYear => day_of_year(days),
        Unit::Era => i64::from(civil().year > 0),
        Unit::Timezone | Unit::TimezoneHour | Unit::TimezoneMinute => 0,
        _ => return of_time(unit, micros.rem_euclid(DAY)),
    }))
}

/// A part of a time of day.
fn of_time(unit: Unit, micros: i64) -> Result<Option<i64>> {
    Ok(Some(match unit {
        Unit::Hour => micros / HOUR,
        Unit::Minute => micros % HOUR / MINUTE,
        Unit::Second => micros % MINUTE / SECOND,
        Unit::Millisecond => micros % MINUTE / 1000,
        Unit::Microsecond => micros % MINUTE,
        Unit::Nanosecond => micros % MINUTE * 1000,
        Unit::Epoch => micros / SECOND,
        Unit::Timezone | Unit::TimezoneHour | Unit::TimezoneMinute => 0,
        _ => return exec_err!("a time of day has no such part"),
    }))
}

/// A part of an interval.
fn of_span(unit: Unit, span: IntervalMonthDayNano) -> Result<Option<i64>> {
    let (months, days, micros) = split(span);
    let years = months / 12;
    Ok(Some(match unit {
        Unit::Millennium => years / 1000,
        Unit::Century => years / 100,
        Unit::Decade => years / 10,
        Unit::Year => years,
        Unit::Quarter => months % 12 / 3 + 1,
        Unit::Month => months % 12,
        Unit::Day => days,
        Unit::Hour => micros / HOUR,
        Unit::Epoch => span_micros(span) / SECOND,
        Unit::Minute | Unit::Second | Unit::Millisecond | Unit::Microsecond | Unit::Nanosecond => {
            return of_time(unit, micros);
        }
        _ => return exec_err!("an interval has no such part"),
    }))
}

/// `date_part`: one part, or a struct of the parts that a constant list names.
struct DatePart;

impl DatePart {
    /// The names of the parts, where they are a constant.
    fn names(plan: &Plan<'_>) -> Result<Option<Vec<String>>> {
        if item_of(plan.data_type(0)).is_none() {
            return Ok(None);
        }
        let Some(Some(ScalarValue::List(list))) = plan.constants.first() else {
            return plan_err!("the names of the parts must be a constant list");
        };
        Ok(Some(list.values().as_string::<i32>().iter().flatten().map(str::to_owned).collect()))
    }
}

impl General for DatePart {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        expect_arguments(types, 2..=2)?;
        let names = if item_of(&types[0]).is_some() { list_of(DataType::Utf8) } else { DataType::Utf8 };
        let moments = [Moment::data_type(), ZonedMoment::data_type(), Time::data_type(), Span::data_type()];
        let best = moments.iter().filter_map(|to| Some((distance(&types[1], to)?, to))).min_by_key(|found| found.0);
        match best {
            Some((_, moment)) => Ok(vec![names, moment.clone()]),
            None => Err(no_match("date_part", types, &["date_part(VARCHAR, TIMESTAMP)".to_owned()])),
        }
    }

    fn result(&self, plan: &Plan<'_>) -> Result<Field> {
        let of_part = |name: &str| match Unit::parse(name) {
            Ok(Unit::Epoch | Unit::Julian) => DataType::Float64,
            _ => DataType::Int64,
        };
        if let Some(names) = Self::names(plan)? {
            let fields: Fields = names.iter().map(|name| Field::new(name, of_part(name), true)).collect();
            return Ok(answer(DataType::Struct(fields)));
        }
        Ok(answer(plan.text(0).map_or(DataType::Int64, of_part)))
    }

    fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        if let DataType::Struct(fields) = call.result.data_type() {
            let columns = fields
                .iter()
                .map(|field| one_part(call, &|_| Some(field.name()), field.data_type()))
                .collect::<Result<Vec<_>>>()?;
            return Ok(Arc::new(StructArray::try_new(fields.clone(), columns, call.columns[1].logical_nulls())?));
        }
        let names = call.columns[0].as_string::<i32>();
        one_part(call, &|row| names.is_valid(row).then(|| names.value(row)), call.result.data_type())
    }
}

fn one_part<'a>(call: &Call<'_>, name: &dyn Fn(usize) -> Option<&'a str>, data_type: &DataType) -> Result<ArrayRef> {
    let column = &call.columns[1];
    let mut wholes = Vec::with_capacity(call.rows);
    let mut reals = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let unit = match name(row) {
            Some(name) if column.is_valid(row) => Unit::parse(name)?,
            _ => {
                wholes.push(None);
                reals.push(None);
                continue;
            }
        };
        let is_real = matches!(unit, Unit::Epoch | Unit::Julian);
        let (whole, real) = match column.data_type() {
            DataType::Timestamp(_, _) => {
                let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
                if is_real { (None, real(unit, micros)) } else { (whole(unit, micros)?, None) }
            }
            DataType::Time64(_) => {
                let micros = column.as_primitive::<Time64MicrosecondType>().value(row);
                if is_real { (None, Some(micros as f64 / SECOND as f64)) } else { (of_time(unit, micros)?, None) }
            }
            _ => {
                let span = column.as_primitive::<IntervalMonthDayNanoType>().value(row);
                if is_real {
                    (None, Some(span_micros(span) as f64 / SECOND as f64))
                } else {
                    (of_span(unit, span)?, None)
                }
            }
        };
        reals.push(real.or_else(|| whole.map(|whole| whole as f64)));
        wholes.push(whole.or_else(|| real.map(|real| real as i64)));
    }
    Ok(if *data_type == DataType::Float64 { Double::build(reals) } else { Int::build(wholes) })
}
