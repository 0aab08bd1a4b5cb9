//! Values from texts as DuckDB's casts read them.
//! Not here: CSV fields, which crate `tapline-csv` reads.
//! Called by casts.

use arrow::datatypes::{IntervalMonthDayNano, i256};
use chrono::{Datelike, NaiveDate, NaiveTime};

use crate::sql::functions::local_to_utc;

/// Days of 0001-01-01 to 1970-01-01.
const EPOCH: i32 = 719_163;
const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// A whole number; places behind the point are rounded, halves away from zero. `0x1F` and `0b101` have no sign.
pub(super) fn whole(text: &str) -> Option<i256> {
    let bare = text.trim();
    let radix = match bare.get(..2) {
        Some("0x" | "0X") => 16,
        Some("0b" | "0B") => 2,
        _ => return decimal(text, 0),
    };
    let digits = &bare[2..];
    if !is_grouped(digits) {
        return None;
    }
    i128::from_str_radix(&digits.replace('_', ""), radix).ok().filter(|number| *number >= 0).map(i256::from_i128)
}

/// Whether underscores stand only between digits.
fn is_grouped(digits: &str) -> bool {
    !digits.starts_with(['_', '+', '-']) && !digits.ends_with('_') && !digits.contains("__")
}

/// A number with `scale` places as a multiple of the last one.
pub(super) fn decimal(text: &str, scale: i8) -> Option<i256> {
    let text = text.trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(place) => (&text[..place], text[place + 1..].parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let valid = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') && is_grouped(digits);
    if (integer.is_empty() && fraction.is_empty()) || !valid(integer) || !valid(fraction) {
        return None;
    }
    let digits: Vec<u8> =
        integer.bytes().chain(fraction.bytes()).filter(u8::is_ascii_digit).map(|byte| byte - b'0').collect();
    let point = i64::try_from(integer.bytes().filter(u8::is_ascii_digit).count()).ok()? + exponent + i64::from(scale);
    let mut value = i256::ZERO;
    let ten = i256::from_i128(10);
    for index in 0..point.clamp(0, 100) {
        let digit = usize::try_from(index).ok().and_then(|index| digits.get(index)).copied().unwrap_or(0);
        value = value.checked_mul(ten)?.checked_add(i256::from_i128(i128::from(digit)))?;
    }
    if point > 100 && value != i256::ZERO {
        return None;
    }
    let next = usize::try_from(point).ok().and_then(|index| digits.get(index)).copied().unwrap_or(0);
    if next >= 5 {
        value = value.checked_add(i256::ONE)?;
    }
    Some(if negative { value.wrapping_neg() } else { value })
}

/// A number with a floating point.
pub(super) fn float(text: &str) -> Option<f64> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    match lower.trim_start_matches(['+', '-']) {
        "inf" | "infinity" => Some(if lower.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }),
        "nan" => Some(f64::NAN),
        digits if digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') => {
            text.replace('_', "").parse().ok()
        }
        _ => None,
    }
}

/// A truth value.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// Days since 1970-01-01.
pub(super) fn date(text: &str) -> Option<i32> {
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "epoch" => return Some(0),
        "infinity" => return Some(i32::MAX),
        "-infinity" => return Some(-i32::MAX),
        _ => {}
    }
    let (days, rest) = leading_date(text)?;
    // Whatever follows says nothing about the day, unless it is one more digit of it.
    if rest.starts_with(|next: char| next.is_ascii_digit()) { None } else { Some(days) }
}

/// Reads `YYYY-MM-DD`, with `/` or blanks between as well, and gives what follows.
fn leading_date(text: &str) -> Option<(i32, &str)> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (year, rest) = digits(text, 1..=6)?;
    let separator = rest.chars().next().filter(|separator| matches!(separator, '-' | '/' | '\\' | ' '))?;
    let (month, rest) = digits(rest.strip_prefix(separator)?, 1..=2)?;
    let (day, rest) = digits(rest.strip_prefix(separator)?, 1..=2)?;
    let (year, rest) = match rest.trim_start().strip_prefix("(BC)") {
        Some(rest) => (1 - i32::try_from(year).ok()?, rest),
        None => (i32::try_from(year).ok()?, rest),
    };
    let year = if negative { -year } else { year };
    let date = NaiveDate::from_ymd_opt(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?)?;
    Some((date.num_days_from_ce() - EPOCH, rest))
}

fn digits(text: &str, lengths: std::ops::RangeInclusive<usize>) -> Option<(i64, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    if !lengths.contains(&length) {
        return None;
    }
    Some((text[..length].parse().ok()?, &text[length..]))
}

/// Microseconds since midnight.
pub(super) fn time(text: &str) -> Option<i64> {
    let text = text.trim();
    let text = match leading_date(text) {
        Some((_, rest)) => rest.trim_start_matches(['T', ' ']),
        None => text,
    };
    let (micros, rest) = clock(text)?;
    rest.trim().is_empty().then_some(micros)
}

/// `HH:MM[:SS[.ffffff]]`, and what follows.
fn clock(text: &str) -> Option<(i64, &str)> {
    let (hours, rest) = digits(text, 1..=2)?;
    let (minutes, rest) = digits(rest.strip_prefix(':')?, 1..=2)?;
    let (seconds, rest) = match rest.strip_prefix(':') {
        Some(rest) => digits(rest, 1..=2)?,
        None => (0, rest),
    };
    let mut micros = 0;
    let mut rest = rest;
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let kept = &fraction[..length.min(6)];
        micros = format!("{kept:0<6}").parse().ok()?;
        rest = &fraction[length..];
    }
    let whole = hours == 24 && minutes == 0 && seconds == 0 && micros == 0;
    let time =
        NaiveTime::from_hms_opt(u32::try_from(hours).ok()?, u32::try_from(minutes).ok()?, u32::try_from(seconds).ok()?);
    if time.is_none() && !whole {
        return None;
    }
    Some((((hours * 60 + minutes) * 60 + seconds) * MICROS_PER_SECOND + micros, rest))
}

/// The zone that a text of a moment ends with.
enum Zone<'a> {
    /// Microseconds that its clocks are ahead of UTC.
    Offset(i64),
    /// A name such as `Europe/Berlin`.
    Named(&'a str),
}

/// What follows a date: a time, the nanoseconds that are less than a microsecond of it, and perhaps a zone.
fn time_and_zone(text: &str) -> Option<(i64, i64, Option<Zone<'_>>)> {
    let text = text.strip_prefix(['T', 't', ' '])?.trim_start();
    if text.is_empty() {
        return Some((0, 0, None));
    }
    let (micros, rest) = clock(text)?;
    let nanos = nanos_of_micro(&text[..text.len() - rest.len()]);
    let name = rest.trim();
    let zone = match offset(name) {
        _ if name.is_empty() => None,
        Some(micros) => Some(Zone::Offset(micros)),
        // A name stands apart from the time.
        None if rest.starts_with(' ') => Some(Zone::Named(name)),
        None => return None,
    };
    Some((micros, nanos, zone))
}

/// The seventh to ninth digit behind a time's point.
fn nanos_of_micro(time: &str) -> i64 {
    let digits = time.split_once('.').map_or("", |(_, fraction)| fraction.get(6..).unwrap_or_default());
    let kept = &digits[..digits.len().min(3)];
    format!("{kept:0<3}").parse().unwrap_or_default()
}

/// `Z`, `UTC`, `+02`, `+02:00` or `-0330`.
fn offset(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") || text.eq_ignore_ascii_case("utc") {
        return Some(0);
    }
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some((hours, minutes)) => (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?),
        None if rest.len() == 4 => (rest[..2].parse::<i64>().ok()?, rest[2..].parse::<i64>().ok()?),
        None => (rest.parse::<i64>().ok()?, 0),
    };
    Some(sign * (hours * 60 + minutes) * 60 * MICROS_PER_SECOND)
}

/// Microseconds since 1970; a zone counts only where the type has one.
pub(super) fn moment(text: &str, zoned: bool) -> Option<i64> {
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "epoch" => return Some(0),
        "infinity" => return Some(i64::MAX),
        "-infinity" => return Some(-i64::MAX),
        _ => {}
    }
    let (days, rest) = leading_date(text)?;
    let (micros, _, zone) = if rest.is_empty() { (0, 0, None) } else { time_and_zone(rest)? };
    let moment = i64::from(days).checked_mul(MICROS_PER_DAY)?.checked_add(micros)?;
    match zone {
        Some(Zone::Offset(ahead)) if zoned => moment.checked_sub(ahead),
        Some(Zone::Named(name)) if zoned => local_to_utc(moment, name).ok(),
        Some(Zone::Named(_)) => None,
        _ => Some(moment),
    }
}

/// Nanoseconds since 1970, without a zone.
pub(super) fn nanoseconds(text: &str) -> Option<i64> {
    let micros = moment(text, false)?;
    let rest = leading_date(text.trim()).map_or("", |(_, rest)| rest);
    let below = time_and_zone(rest).map_or(0, |(_, nanos, _)| nanos);
    micros.checked_mul(1_000)?.checked_add(below)
}

/// `1 year 2 months 3 days 04:05:06.7`, `90 minutes`, `2 hours ago`.
pub(super) fn interval(text: &str) -> Option<IntervalMonthDayNano> {
    let lower = text.trim().to_ascii_lowercase();
    let (lower, ago) = match lower.strip_suffix("ago") {
        Some(rest) => (rest.trim_end(), true),
        None => (lower.as_str(), false),
    };
    let (mut months, mut days, mut micros) = (0_f64, 0_f64, 0_f64);
    let mut words = lower.strip_prefix('@').unwrap_or(lower).trim();
    if words.is_empty() {
        return None;
    }
    while !words.is_empty() {
        let length = words.find(|next: char| next.is_ascii_alphabetic() || next.is_whitespace()).unwrap_or(words.len());
        let (number, rest) = words.split_at(length);
        if number.contains(':') {
            let (sign, clock_text) = match number.strip_prefix('-') {
                Some(rest) => (-1.0, rest),
                None => (1.0, number.strip_prefix('+').unwrap_or(number)),
            };
            micros += sign * long_clock(clock_text)?;
            words = rest.trim_start();
            continue;
        }
        let number: f64 = number.parse().ok()?;
        let rest = rest.trim_start();
        let length = rest.find(|next: char| !next.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(length);
        let second = MICROS_PER_SECOND as f64;
        match unit {
            "y" | "yr" | "yrs" | "year" | "years" => months += number * 12.0,
            "mon" | "mons" | "month" | "months" => months += number,
            "q" | "quarter" | "quarters" => months += number * 3.0,
            "dec" | "decs" | "decade" | "decades" => months += number * 120.0,
            "cent" | "century" | "centuries" => months += number * 1200.0,
            "mil" | "mils" | "millennium" | "millennia" | "millenniums" => months += number * 12_000.0,
            "d" | "day" | "days" => days += number,
            "w" | "week" | "weeks" => days += number * 7.0,
            "h" | "hr" | "hrs" | "hour" | "hours" => micros += number * 3600.0 * second,
            "m" | "min" | "mins" | "minute" | "minutes" => micros += number * 60.0 * second,
            "s" | "sec" | "secs" | "second" | "seconds" => micros += number * second,
            "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => micros += number * 1000.0,
            "us" | "usec" | "usecs" | "microsecond" | "microseconds" => micros += number,
            _ => return None,
        }
        words = rest.trim_start().trim_start_matches(',').trim_start();
    }
    // Parts of months become days of thirty, parts of days become time.
    days += months.fract() * 30.0;
    micros += days.fract() * MICROS_PER_DAY as f64;
    let sign = if ago { -1.0 } else { 1.0 };
    let (months, days, nanos) = (sign * months.trunc(), sign * days.trunc(), sign * micros.round() * 1000.0);
    let fits =
        months.abs() <= f64::from(i32::MAX) && days.abs() <= f64::from(i32::MAX) && nanos.abs() < i64::MAX as f64;
    fits.then(|| IntervalMonthDayNano::new(months as i32, days as i32, nanos as i64))
}

/// Hours, which may be more than a day has, minutes and seconds, in microseconds.
fn long_clock(text: &str) -> Option<f64> {
    let mut parts = text.split(':');
    let hours: f64 = parts.next()?.parse().ok()?;
    let minutes: f64 = parts.next()?.parse().ok()?;
    let seconds: f64 = parts.next().map_or(Some(0.0), |seconds| seconds.parse().ok())?;
    let valid = parts.next().is_none() && minutes < 60.0 && seconds < 60.0;
    valid.then_some(((hours * 60.0 + minutes) * 60.0 + seconds) * MICROS_PER_SECOND as f64)
}

/// Sixteen bytes of hexadecimal digits, with or without dashes and braces.
pub(super) fn uuid(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text
        .trim()
        .trim_start_matches('{')
        .trim_end_matches('}')
        .bytes()
        .filter(|byte| *byte != b'-')
        .map(|byte| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    if digits.len() == 32 { bytes.try_into().ok() } else { None }
}

/// Bytes, of which those that are no plain text are written `\xAA`.
pub(super) fn blob(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                bytes.push(digit(high)? << 4 | digit(low)?);
                rest = after;
            }
            (b'\\', _) => return None,
            (byte, tail) if byte.is_ascii() => {
                bytes.push(*byte);
                rest = tail;
            }
            _ => return None,
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_away_from_zero() {
        for (text, scale, expected) in [
            ("2.5", 0, Some(3)),
            ("-2.5", 0, Some(-3)),
            (" 42 ", 0, Some(42)),
            ("1e3", 0, Some(1000)),
            ("1.005", 2, Some(101)),
            ("1.5e-1", 2, Some(15)),
            ("1_000", 0, Some(1000)),
            ("5.", 0, Some(5)),
            (".5", 1, Some(5)),
            ("", 0, None),
            ("x", 0, None),
            ("1 2", 0, None),
        ] {
            assert_eq!(decimal(text, scale), expected.map(i256::from_i128), "{text}");
        }
    }

    #[test]
    fn whole_numbers_have_other_bases() {
        for (text, expected) in [
            ("0x1F", Some(31)),
            ("0XfF", Some(255)),
            ("0b1_01", Some(5)),
            ("0x", None),
            ("-0x1F", None),
            ("0x_1", None),
            ("0x-1", None),
            ("0b2", None),
            ("0x1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF", None),
        ] {
            assert_eq!(whole(text), expected.map(i256::from_i128), "{text}");
        }
    }

    #[test]
    fn moments_are_read_as_they_are_written() {
        assert_eq!(date("2024-1-5"), Some(19_727));
        assert_eq!(date("2024-01-05 10:00"), Some(19_727));
        assert_eq!(date("2024-01-05 whatever"), Some(19_727));
        assert_eq!(date("2024-02-30"), None);
        assert_eq!(moment("1970-01-01 02:00:00 Europe/Berlin", true), Some(3_600 * MICROS_PER_SECOND));
        assert_eq!(moment("1970-01-01 02:00:00 Europe/Berlin", false), None);
        assert_eq!(moment("1970-01-01 02:00:00 Nowhere/Land", true), None);
        assert_eq!(nanoseconds("1970-01-01 00:00:00.123456789"), Some(123_456_789));
        assert_eq!(moment("1970-01-02T00:00:01.5Z", false), Some(MICROS_PER_DAY + 1_500_000));
        assert_eq!(moment("1970-01-01 02:00:00+02", true), Some(0));
        assert_eq!(time("25:00"), None);
        assert_eq!(time("10:00:00.5"), Some(36_000_500_000));
    }

    #[test]
    fn intervals_are_sums_of_units() {
        let read = |text| interval(text).map(|value| (value.months, value.days, value.nanoseconds / 1_000_000_000));
        assert_eq!(read("1 year 2 months 3 days 04:05:06"), Some((14, 3, 14_706)));
        assert_eq!(read("2 hours ago"), Some((0, 0, -7200)));
        assert_eq!(read("1.5 days"), Some((0, 1, 43_200)));
        assert_eq!(read("1y"), Some((12, 0, 0)));
        assert_eq!(read("soon"), None);
    }
}
