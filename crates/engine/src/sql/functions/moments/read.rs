//! `strptime`: moments out of text.
//! Not here: casts of text, the way back (`print`).
//! Called by `moments`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_err};

use super::calendar::*;
use super::parts::MONTHS;
use super::zones::{offset, to_utc};
use crate::sql::functions::toolkit::general::{Call, General, Plan, answer, expect_arguments};
use crate::sql::functions::toolkit::lists::{Lists, item_of, list_of};
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, general};

pub(super) fn functions() -> Vec<Function> {
    vec![
        general(
            &["strptime"],
            "the moment that a text in a format, or the first fitting of several, stands for",
            Read { lenient: false },
        ),
        general(&["try_strptime"], "as strptime; NULL where no format fits", Read { lenient: true }),
    ]
}

/// Reads texts in one of several formats.
struct Read {
    /// Whether a text that does not fit is NULL instead of an error.
    lenient: bool,
}

impl General for Read {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        expect_arguments(types, 2..=2)?;
        let formats = if item_of(&types[1]).is_some() { list_of(DataType::Utf8) } else { DataType::Utf8 };
        Ok(vec![DataType::Utf8, formats])
    }

    fn result(&self, plan: &Plan<'_>) -> Result<Field> {
        let formats: Vec<String> = match plan.constants.get(1) {
            Some(Some(ScalarValue::List(list))) => {
                list.values().as_string::<i32>().iter().flatten().map(str::to_owned).collect()
            }
            _ => plan.text(1).map(str::to_owned).into_iter().collect(),
        };
        let any = |kinds: &[&str]| formats.iter().any(|format| kinds.iter().any(|kind| format.contains(kind)));
        Ok(answer(if any(&["%z", "%Z"]) {
            ZonedMoment::data_type()
        } else if any(&["%n"]) {
            DataType::Timestamp(TimeUnit::Nanosecond, None)
        } else {
            Moment::data_type()
        }))
    }

    fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        let texts = call.columns[0].as_string::<i32>();
        let formats: Box<dyn Fn(usize) -> Option<Vec<String>>> = match call.columns[1].data_type() {
            DataType::Utf8 => {
                let formats = call.columns[1].as_string::<i32>();
                Box::new(move |row| formats.is_valid(row).then(|| vec![formats.value(row).to_owned()]))
            }
            _ => {
                let lists = Lists::new(&call.columns[1])?;
                let formats = lists.items().as_string::<i32>();
                Box::new(move |row| Some(lists.range(row)?.map(|index| formats.value(index).to_owned()).collect()))
            }
        };
        let mut moments: Vec<Option<(i64, i64)>> = Vec::with_capacity(call.rows);
        for row in 0..call.rows {
            let Some(formats) = formats(row).filter(|_| texts.is_valid(row)) else {
                moments.push(None);
                continue;
            };
            let mut found = None;
            for format in &formats {
                found = read(texts.value(row), format)?;
                if found.is_some() {
                    break;
                }
            }
            if found.is_none() && !self.lenient {
                return exec_err!("a text does not fit the format of a date");
            }
            moments.push(found);
        }
        Ok(match call.result.data_type() {
            DataType::Timestamp(TimeUnit::Nanosecond, _) => NanoMoment::build(
                moments
                    .into_iter()
                    .map(|moment| moment.and_then(|(micros, nanos)| Some(micros.checked_mul(1000)? + nanos)))
                    .collect(),
            ),
            DataType::Timestamp(_, Some(_)) => {
                ZonedMoment::build(moments.into_iter().map(|moment| moment.map(|found| found.0)).collect())
            }
            _ => Arc::clone(&Moment::build(moments.into_iter().map(|moment| moment.map(|found| found.0)).collect())),
        })
    }
}

/// What a text says, until it is put together.
#[derive(Default)]
struct Found {
    year: Option<i64>,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: i64,
    afternoon: Option<bool>,
    offset: i64,
    zone: Option<String>,
    day_of_year: Option<i64>,
    iso_year: Option<i64>,
    iso_week: Option<i64>,
    sunday_week: Option<i64>,
    monday_week: Option<i64>,
    weekday: Option<i64>,
}

/// The rest of a text that is being read.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    /// A number of up to so many digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let length = self.0.bytes().take(digits).take_while(u8::is_ascii_digit).count();
        let number = self.0[..length].parse().ok()?;
        self.0 = &self.0[length..];
        Some(number)
    }

    /// The index of the name with which the rest begins, in any case.
    fn name(&mut self, names: &[&str]) -> Option<i64> {
        let begins = |name: &&str| self.0.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        let index = names.iter().position(begins)?;
        self.0 = &self.0[names[index].len()..];
        i64::try_from(index).ok()
    }

    /// The fraction of a second in units of 10 to the power of minus `digits`.
    fn fraction(&mut self, digits: usize) -> Option<i64> {
        let length = self.0.bytes().take(digits).take_while(u8::is_ascii_digit).count();
        let number: i64 = self.0[..length].parse().ok()?;
        self.0 = &self.0[length..];
        Some(number * 10i64.pow(u32::try_from(digits - length).ok()?))
    }
}

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const SHORT_DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const SHORT_MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Microseconds, and nanoseconds beside them; `None` where the text does not fit.
fn read(text: &str, format: &str) -> Result<Option<(i64, i64)>> {
    let format = format.replace("%c", "%Y-%m-%d %H:%M:%S").replace("%x", "%Y-%m-%d").replace("%X", "%H:%M:%S");
    let mut rest = Rest(text.trim());
    let mut found = Found { month: 1, day: 1, ..Found::default() };
    let mut characters = format.trim().chars().peekable();
    while let Some(character) = characters.next() {
        if character != '%' {
            if character.is_ascii_whitespace() {
                let trimmed = rest.0.trim_start();
                if trimmed.len() == rest.0.len() {
                    return Ok(None);
                }
                rest.0 = trimmed;
                while characters.next_if(char::is_ascii_whitespace).is_some() {}
                continue;
            }
            match rest.0.strip_prefix(character) {
                Some(after) => rest.0 = after,
                None => return Ok(None),
            }
            continue;
        }
        let Some(mut specifier) = characters.next() else { return unknown() };
        if specifier == '-' {
            specifier = match characters.next() {
                Some(kind @ ('d' | 'm' | 'y' | 'H' | 'I' | 'M' | 'S' | 'j')) => kind,
                _ => return unknown(),
            };
        }
        if read_part(specifier, &mut rest, &mut found)?.is_none() {
            return Ok(None);
        }
    }
    if !rest.0.is_empty() {
        return Ok(None);
    }
    put_together(&found)
}

fn unknown<T>() -> Result<T> {
    exec_err!("the format of a date has a % that is not known; there are %Y, %m, %d, %H, %M, %S and others")
}

/// Reads one part; `None` where the text does not fit.
fn read_part(specifier: char, rest: &mut Rest<'_>, found: &mut Found) -> Result<Option<()>> {
    let mut read = || -> Option<Option<()>> {
        match specifier {
            'Y' => found.year = Some(rest.number(4)?),
            'y' => {
                let year = rest.number(2)?;
                found.year = Some(if year < 69 { 2000 + year } else { 1900 + year });
            }
            'm' => found.month = rest.number(2).filter(|month| (1..=12).contains(month))?,
            'd' => found.day = rest.number(2).filter(|day| (1..=31).contains(day))?,
            'H' => found.hour = rest.number(2).filter(|hour| *hour < 24)?,
            'I' => found.hour = rest.number(2).filter(|hour| (1..=12).contains(hour))?,
            'M' => found.minute = rest.number(2).filter(|minute| *minute < 60)?,
            'S' => found.second = rest.number(2).filter(|second| *second < 60)?,
            'f' => found.nanos = rest.fraction(6)? * 1000,
            'g' => found.nanos = rest.fraction(3)? * 1_000_000,
            'n' => found.nanos = rest.fraction(9)?,
            'p' => found.afternoon = Some(rest.name(&["AM", "PM"])? == 1),
            'b' | 'h' => found.month = rest.name(&SHORT_MONTHS)? + 1,
            'B' => found.month = rest.name(&MONTHS)? + 1,
            'a' => found.weekday = Some(rest.name(&SHORT_DAYS)?),
            'A' => found.weekday = Some(rest.name(&DAYS)?),
            'w' => found.weekday = Some(rest.number(1).filter(|day| *day < 7)?),
            'u' => found.weekday = Some(rest.number(1).filter(|day| (1..=7).contains(day))? % 7),
            'j' => found.day_of_year = Some(rest.number(3).filter(|day| (1..=366).contains(day))?),
            'G' => found.iso_year = Some(rest.number(4)?),
            'V' => found.iso_week = Some(rest.number(2).filter(|week| (1..=53).contains(week))?),
            'U' => found.sunday_week = Some(rest.number(2).filter(|week| *week <= 53)?),
            'W' => found.monday_week = Some(rest.number(2).filter(|week| *week <= 53)?),
            'z' => {
                let (micros, length) = offset(rest.0)?;
                found.offset = micros;
                rest.0 = &rest.0[length..];
            }
            'Z' => {
                let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+');
                let end = rest.0.find(|c| !named(c)).unwrap_or(rest.0.len());
                found.zone = Some(rest.0[..end].to_owned());
                rest.0 = &rest.0[end..];
            }
            '%' => rest.0 = rest.0.strip_prefix('%')?,
            _ => return Some(None),
        }
        Some(Some(()))
    };
    match read() {
        Some(Some(())) => Ok(Some(())),
        Some(None) => unknown(),
        None => Ok(None),
    }
}

/// The moment of what was found, if there is one.
fn put_together(found: &Found) -> Result<Option<(i64, i64)>> {
    /// The year of a text that has none.
    const YEAR: i64 = 1900;
    let year = found.year.unwrap_or(YEAR);
    let days = if let Some(week) = found.iso_week {
        let start = iso_year_start(found.iso_year.unwrap_or(year));
        Some(start + (week - 1) * 7 + (found.weekday.unwrap_or(1) + 6) % 7)
    } else if let Some(day) = found.day_of_year {
        Some(Civil { year, month: 1, day: 1 }.days() + day - 1)
    } else if let Some(week) = found.sunday_week {
        let first = Civil { year, month: 1, day: 1 }.days();
        let sunday = first + (7 - iso_weekday(first) % 7) % 7;
        Some(sunday + (week - 1) * 7 + found.weekday.unwrap_or(0))
    } else if let Some(week) = found.monday_week {
        let first = Civil { year, month: 1, day: 1 }.days();
        let monday = first + (8 - iso_weekday(first)) % 7;
        Some(monday + (week - 1) * 7 + (found.weekday.unwrap_or(1) + 6) % 7)
    } else {
        Civil::checked(year, found.month, found.day).map(Civil::days)
    };
    let Some(days) = days else { return Ok(None) };
    let hour = match found.afternoon {
        Some(afternoon) if found.hour <= 12 => found.hour % 12 + if afternoon { 12 } else { 0 },
        _ => found.hour,
    };
    let time = hour * HOUR + found.minute * MINUTE + found.second * SECOND + found.nanos / 1000 - found.offset;
    let local = days * DAY + time;
    let micros = match &found.zone {
        Some(zone) => to_utc(local, zone)?,
        None => local,
    };
    Ok(Some((micros, found.nanos % 1000)))
}
