//! Time zones: local times to UTC and back.
//! Not here: zones inside text (`read`), though it asks here.
//! Called by `moments`.

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};
use datafusion::common::{Result, exec_datafusion_err};

use super::calendar::{HOUR, MINUTE, SECOND, is_infinite};
use crate::sql::functions::toolkit::typed::kernel;
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, typed};

pub(super) fn functions() -> Vec<Function> {
    vec![typed(
        &["timezone"],
        "a local time of a zone as a moment, or a moment as local time of a zone",
        [
            kernel!(|zone: Text, local: Moment| -> ZonedMoment => to_utc(local, zone)),
            kernel!(|zone: Text, moment: ZonedMoment| -> Moment => to_local(moment, zone)),
            kernel!(|_date: Date| -> Int => 0i64),
            kernel!(|_moment: Moment| -> Int => 0i64),
            kernel!(|_moment: ZonedMoment| -> Int => 0i64),
        ],
    )]
}

/// The zone of a name, in any case.
pub(super) fn zone(name: &str) -> Result<Tz> {
    if let Ok(zone) = name.parse() {
        return Ok(zone);
    }
    let any_case = TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name));
    any_case
        .copied()
        .ok_or_else(|| exec_datafusion_err!("the time zone is not known; zones are named as Europe/Berlin is"))
}

/// The moment at which a zone's clocks show a time.
pub(crate) fn to_utc(local: i64, name: &str) -> Result<i64> {
    let zone = zone(name)?;
    let Some(naive) = DateTime::from_timestamp_micros(local).map(|moment| moment.naive_utc()) else {
        return Ok(local);
    };
    if is_infinite(local) {
        return Ok(local);
    }
    // Of a time that clocks show twice the first is meant; one that they skip is counted with the offset before.
    let offset = match zone.offset_from_local_datetime(&naive) {
        chrono::LocalResult::Single(offset) => offset.fix(),
        chrono::LocalResult::Ambiguous(_, second) => second.fix(),
        chrono::LocalResult::None => zone.offset_from_utc_datetime(&(naive - chrono::TimeDelta::hours(24))).fix(),
    };
    Ok(local - i64::from(offset.local_minus_utc()) * SECOND)
}

/// What a zone's clocks show at a moment.
pub(super) fn to_local(moment: i64, name: &str) -> Result<i64> {
    let zone = zone(name)?;
    let Some(utc) = DateTime::from_timestamp_micros(moment) else { return Ok(moment) };
    if is_infinite(moment) {
        return Ok(moment);
    }
    let offset = zone.offset_from_utc_datetime(&utc.naive_utc()).fix();
    Ok(moment + i64::from(offset.local_minus_utc()) * SECOND)
}

/// Microseconds of an offset such as +02 or -0530 or +02:30, and how long its text is.
pub(super) fn offset(text: &str) -> Option<(i64, usize)> {
    let bytes = text.as_bytes();
    let sign = match bytes.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let two = |at: usize| -> Option<i64> {
        let digits = text.get(at..at + 2)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let hours = two(1)?;
    let (minutes, length) = match bytes.get(3) {
        Some(b':') => (two(4)?, 6),
        Some(byte) if byte.is_ascii_digit() => (two(3)?, 5),
        _ => (0, 3),
    };
    Some((sign * (hours * HOUR + minutes * MINUTE), length))
}
