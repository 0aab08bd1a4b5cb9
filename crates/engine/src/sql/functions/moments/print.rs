//! `strftime`: moments as text.
//! Not here: the way back (`read`).
//! Called by `moments`.

use datafusion::common::{Result, exec_err};

use super::calendar::*;
use super::parts::{day_name, month_name};
use crate::sql::functions::toolkit::typed::kernel;
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, typed};

pub(super) fn functions() -> Vec<Function> {
    vec![typed(
        &["strftime"],
        "the moment as text in a format such as %Y-%m-%d",
        [
            kernel!(|date: Date, format: Text| -> Text => print(start_of(date), 0, format, false)),
            kernel!(|moment: Moment, format: Text| -> Text => print(moment, 0, format, false)),
            kernel!(|moment: NanoMoment, format: Text| -> Text => print(moment.div_euclid(1000), moment.rem_euclid(1000), format, false)),
            kernel!(|moment: ZonedMoment, format: Text| -> Text => print(moment, 0, format, true)),
            kernel!(|format: Text, date: Date| -> Text => print(start_of(date), 0, format, false)),
            kernel!(|format: Text, moment: Moment| -> Text => print(moment, 0, format, false)),
            kernel!(|format: Text, moment: ZonedMoment| -> Text => print(moment, 0, format, true)),
        ],
    )]
}

fn print(micros: i64, nanos: i64, format: &str, zoned: bool) -> Result<String> {
    if is_infinite(micros) {
        return Ok(if micros > 0 { "infinity" } else { "-infinity" }.to_owned());
    }
    let days = micros.div_euclid(DAY);
    let time = micros.rem_euclid(DAY);
    let civil = Civil::of_days(days);
    let (hour, minute, second) = (time / HOUR, time % HOUR / MINUTE, time % MINUTE / SECOND);
    let half = if hour % 12 == 0 { 12 } else { hour % 12 };
    let fraction = time % SECOND;
    let day_of_year = day_of_year(days);
    let sunday_week = (day_of_year + 6 - iso_weekday(days) % 7) / 7;
    let monday_week = (day_of_year + 6 - (iso_weekday(days) - 1)) / 7;
    let year_in_century = civil.year.rem_euclid(100);
    let year = |year: i64| if (0..=9999).contains(&year) { format!("{year:04}") } else { year.to_string() };
    let date = || format!("{}-{:02}-{:02}", year(civil.year), civil.month, civil.day);
    let clock = || format!("{hour:02}:{minute:02}:{second:02}");
    let mut text = String::with_capacity(format.len() + 16);
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        let part = match characters.next() {
            Some('a') => day_name(days)[..3].to_owned(),
            Some('A') => day_name(days).to_owned(),
            Some('w') => (iso_weekday(days) % 7).to_string(),
            Some('u') => iso_weekday(days).to_string(),
            Some('d') => format!("{:02}", civil.day),
            Some('b' | 'h') => month_name(days)[..3].to_owned(),
            Some('B') => month_name(days).to_owned(),
            Some('m') => format!("{:02}", civil.month),
            Some('y') => format!("{year_in_century:02}"),
            Some('Y') => year(civil.year),
            Some('G') => year(iso_week(days).0),
            Some('V') => format!("{:02}", iso_week(days).1),
            Some('H') => format!("{hour:02}"),
            Some('I') => format!("{half:02}"),
            Some('p') => if hour < 12 { "AM" } else { "PM" }.to_owned(),
            Some('M') => format!("{minute:02}"),
            Some('S') => format!("{second:02}"),
            Some('f') => format!("{fraction:06}"),
            Some('g') => format!("{:03}", fraction / 1000),
            Some('n') => format!("{:09}", fraction * 1000 + nanos),
            Some('z') => "+00".to_owned(),
            Some('Z') => if zoned { UTC } else { "" }.to_owned(),
            Some('j') => format!("{day_of_year:03}"),
            Some('U') => format!("{sunday_week:02}"),
            Some('W') => format!("{monday_week:02}"),
            Some('c') => format!("{} {}", date(), clock()),
            Some('x') => date(),
            Some('X') => clock(),
            Some('%') => "%".to_owned(),
            Some('-') => match characters.next() {
                Some('d') => civil.day.to_string(),
                Some('m') => civil.month.to_string(),
                Some('y') => year_in_century.to_string(),
                Some('H') => hour.to_string(),
                Some('I') => half.to_string(),
                Some('M') => minute.to_string(),
                Some('S') => second.to_string(),
                Some('j') => day_of_year.to_string(),
                _ => return unknown(),
            },
            _ => return unknown(),
        };
        text.push_str(&part);
    }
    Ok(text)
}

fn unknown<T>() -> Result<T> {
    exec_err!("the format of a date has a % that is not known; there are %Y, %m, %d, %H, %M, %S and others")
}
