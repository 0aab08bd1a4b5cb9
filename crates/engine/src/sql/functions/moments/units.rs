//! The units of dates and times, by all the names that DuckDB knows.
//! Not here: what is done with them (`parts`, `steps`).
//! Called by `parts` and `steps`.

use datafusion::common::{Result, exec_err};

/// A unit, or a part, of moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Millennium,
    Century,
    Decade,
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
    IsoYear,
    YearWeek,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    Epoch,
    Era,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
    Julian,
}

impl Unit {
    /// The unit of a name.
    pub(super) fn parse(name: &str) -> Result<Self> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "millennium" | "mil" | "millenniums" | "millennia" | "mils" | "millenium" => Self::Millennium,
            "century" | "cent" | "centuries" | "c" => Self::Century,
            "decade" | "dec" | "decades" | "decs" => Self::Decade,
            "year" | "yr" | "y" | "years" | "yrs" => Self::Year,
            "quarter" | "quarters" => Self::Quarter,
            "month" | "mon" | "months" | "mons" => Self::Month,
            "week" | "weeks" | "w" | "weekofyear" => Self::Week,
            "day" | "days" | "d" | "dayofmonth" => Self::Day,
            "hour" | "hr" | "h" | "hours" | "hrs" => Self::Hour,
            "minute" | "min" | "m" | "minutes" | "mins" => Self::Minute,
            "second" | "sec" | "s" | "seconds" | "secs" => Self::Second,
            "millisecond" | "ms" | "milliseconds" | "msec" | "msecs" | "msecond" | "mseconds" => Self::Millisecond,
            "microsecond" | "us" | "microseconds" | "usec" | "usecs" | "usecond" | "useconds" => Self::Microsecond,
            "nanosecond" | "nanoseconds" => Self::Nanosecond,
            "isoyear" => Self::IsoYear,
            "yearweek" => Self::YearWeek,
            "dow" | "dayofweek" | "weekday" => Self::DayOfWeek,
            "isodow" => Self::IsoDayOfWeek,
            "doy" | "dayofyear" => Self::DayOfYear,
            "epoch" => Self::Epoch,
            "era" => Self::Era,
            "timezone" => Self::Timezone,
            "timezone_hour" => Self::TimezoneHour,
            "timezone_minute" => Self::TimezoneMinute,
            "julian" | "jd" => Self::Julian,
            _ => {
                return exec_err!(
                    "the part of a date is not known; there are year, quarter, month, week, day and others"
                );
            }
        })
    }
}
