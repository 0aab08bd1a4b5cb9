//! Whether a column takes a field, and whether it keeps a value exactly.
//! Not here: how values become texts (see `encode`), and columns that change for a field (see `widen`).
//! Called when a run opens its writer, and for every value.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use super::types::{Charset, Form, Kind};

/// Why a column takes no value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    /// The types have nothing in common.
    Type,
    /// The column holds moments, and nothing says which moment the field's timestamps without a zone are.
    Zone,
}

const NOT_A_NUMBER: &str = "the value is no number that the column gives back as it is";
const FRACTION: &str = "the column is of whole numbers, and the value is none";
const RANGE: &str = "the number is out of the column's range";
const PLACES: &str = "the number has more places than the column";
const INEXACT: &str = "the column would round the number";
const NOT_FINITE: &str = "NaN and infinities cannot be stored";
const YEARS: &str = "the column holds the years 1 to 9999";
const STAMPS: &str = "the column holds moments from 1970-01-01 00:00:01 to 2038-01-19 03:14:07 UTC";
const FINER: &str = "the time is finer than the column";
const NOT_A_TIME: &str = "the value is no date or time that the column gives back as it is";
const TIME_OF_DAY: &str = "the column is of days, and the value has a time of day";
const TOO_LONG: &str = "the value is longer than the column";
const TRAILING: &str = "the column loses spaces at the end";
const FILLED: &str = "the column fills shorter values up";
const FOUR_BYTES: &str = "the column's character set has no characters of four bytes";
const NO_MEMBER: &str = "the value is not among those of the column";
const NOT_JSON: &str = "the value is no JSON";
const NOT_CANONICAL: &str = "the column would write the value differently";

/// Whether a column of this kind takes values of this form, if not all of them.
pub(super) fn takes(form: Form, kind: &Kind) -> Result<(), Misfit> {
    let takes = match kind {
        Kind::Integer { .. } | Kind::Bit { .. } | Kind::Decimal { .. } | Kind::Float { .. } => matches!(
            form,
            Form::Boolean | Form::Integer { .. } | Form::Decimal { .. } | Form::Float | Form::Double | Form::Text
        ),
        Kind::Year => matches!(form, Form::Integer { .. } | Form::Text),
        Kind::Date => matches!(form, Form::Date | Form::Timestamp | Form::Text),
        Kind::Time { .. } => matches!(form, Form::Time | Form::Text),
        Kind::DateTime { .. } => matches!(form, Form::Date | Form::Timestamp | Form::Moment | Form::Text),
        Kind::Stamp { .. } if matches!(form, Form::Timestamp | Form::Date) => return Err(Misfit::Zone),
        Kind::Stamp { .. } => form == Form::Moment,
        Kind::Text { .. } => form != Form::Bytes,
        Kind::Bytes { .. } => matches!(form, Form::Bytes | Form::Text | Form::Uuid),
        Kind::Json => matches!(form, Form::Json | Form::Text),
        Kind::Enum(_) | Kind::Set(_) | Kind::Inet => form == Form::Text,
        Kind::Uuid => matches!(form, Form::Uuid | Form::Text),
        Kind::Other => false,
    };
    if takes || (form == Form::Null && *kind != Kind::Other) { Ok(()) } else { Err(Misfit::Type) }
}

/// The part of a value's text that is to be stored, where the column keeps the value exactly; else what is wrong.
pub(super) fn value<'a>(form: Form, kind: &Kind, text: &'a str) -> Result<&'a str, &'static str> {
    let number = || Number::read(form, text);
    match kind {
        Kind::Integer { bits, unsigned } => {
            if matches!(form, Form::Integer { bits: given, unsigned: of } if given <= *bits && of == *unsigned) {
                return Ok(text);
            }
            let (low, high) =
                if *unsigned { (0, (1 << bits) - 1) } else { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) };
            number()?.whole(low, high)?;
            Ok(text)
        }
        Kind::Bit { width } => number()?.whole(0, (1 << width) - 1).map(|()| text),
        Kind::Year if text == "0" => Ok(text),
        Kind::Year => number()?.whole(1901, 2155).map(|()| text),
        Kind::Decimal { precision, scale, unsigned } => {
            let number = number()?;
            // Where texts are given back, all places count.
            if form == Form::Text && number.written_places != usize::from(*scale) {
                return Err(NOT_CANONICAL);
            }
            number.decimal(usize::from(*precision), usize::from(*scale))?;
            if number.negative && *unsigned { Err(RANGE) } else { Ok(text) }
        }
        Kind::Float { double, unsigned } => float(form, text, *double, *unsigned).map(|()| text),
        Kind::Date => date(form, text),
        Kind::Time { places } => time(form, text, *places),
        Kind::DateTime { places } => date_time(form, text, *places),
        Kind::Stamp { places } => {
            let text = date_time(form, text, *places)?;
            let seconds = text.split('.').next().unwrap_or_default();
            if ("1970-01-01 00:00:01"..="2038-01-19 03:14:07").contains(&seconds) { Ok(text) } else { Err(STAMPS) }
        }
        Kind::Text { most, in_bytes, fixed, charset } => {
            if *fixed && text.ends_with(' ') {
                return Err(TRAILING);
            }
            if *charset == Charset::Utf8mb3 && text.bytes().any(|byte| byte >= 0xf0) {
                return Err(FOUR_BYTES);
            }
            match most {
                Some(most) if text.len() as u64 > *most => {
                    let counts_bytes = *in_bytes && *charset != Charset::Narrow;
                    if counts_bytes || text.chars().count() as u64 > *most { Err(TOO_LONG) } else { Ok(text) }
                }
                _ => Ok(text),
            }
        }
        Kind::Bytes { most, fixed } => bytes(*most, *fixed, text.len()).map(|()| text),
        Kind::Json if form == Form::Json => Ok(text),
        Kind::Json => serde_json::from_str::<serde::de::IgnoredAny>(text).map(|_| text).map_err(|_| NOT_JSON),
        Kind::Enum(members) if members.iter().any(|member| member == text) => Ok(text),
        Kind::Enum(_) => Err(NO_MEMBER),
        Kind::Set(members) => set(members, text).map(|()| text),
        Kind::Uuid if form == Form::Uuid => Ok(text),
        Kind::Uuid => match uuid::Uuid::parse_str(text) {
            Ok(uuid) if uuid.hyphenated().to_string() == text => Ok(text),
            _ => Err(NOT_CANONICAL),
        },
        Kind::Inet => match text.parse::<std::net::IpAddr>() {
            Ok(address) if address.to_string() == text => Ok(text),
            _ => Err(NOT_CANONICAL),
        },
        Kind::Other => Err(NOT_CANONICAL),
    }
}

/// Whether a column of bytes keeps a value of this length.
pub(super) fn bytes(most: Option<u64>, fixed: bool, length: usize) -> Result<(), &'static str> {
    let length = length as u64;
    match most {
        Some(most) if length > most => Err(TOO_LONG),
        Some(most) if fixed && length < most => Err(FILLED),
        _ => Ok(()),
    }
}

/// A number, digit by digit.
struct Number<'a> {
    negative: bool,
    /// Without zeros in front.
    whole: &'a str,
    /// Without zeros at the end.
    places: &'a str,
    written_places: usize,
}

impl<'a> Number<'a> {
    /// Reads `-12.50`, and `-.50` of a decimal that has no digits before the point. A text, which must come back as it is,
    /// is written without anything to spare.
    fn read(form: Form, text: &'a str) -> Result<Self, &'static str> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_short = whole.is_empty() && (places.is_empty() || !matches!(form, Form::Decimal { .. }));
        if !is_digits(whole) || !is_digits(places) || is_short {
            return Err(if matches!(form, Form::Float | Form::Double) { NOT_FINITE } else { NOT_A_NUMBER });
        }
        let number = Self {
            negative,
            whole: whole.trim_start_matches('0'),
            places: places.trim_end_matches('0'),
            written_places: places.len(),
        };
        let spare = (whole.len() > 1 && whole.starts_with('0'))
            || (digits.ends_with('.'))
            || (negative && number.whole.is_empty() && number.places.is_empty());
        if form == Form::Text && spare { Err(NOT_CANONICAL) } else { Ok(number) }
    }

    fn whole(&self, low: i128, high: i128) -> Result<(), &'static str> {
        if !self.places.is_empty() {
            return Err(FRACTION);
        }
        let magnitude: i128 = if self.whole.is_empty() { 0 } else { self.whole.parse().map_err(|_| RANGE)? };
        let number = if self.negative { -magnitude } else { magnitude };
        if (low..=high).contains(&number) { Ok(()) } else { Err(RANGE) }
    }

    fn decimal(&self, precision: usize, scale: usize) -> Result<(), &'static str> {
        if self.places.len() > scale {
            Err(PLACES)
        } else if self.whole.len() > precision - scale {
            Err(RANGE)
        } else {
            Ok(())
        }
    }

    fn is(&self, other: &Number<'_>) -> bool {
        let is_zero = self.whole.is_empty() && self.places.is_empty();
        (self.negative == other.negative || is_zero) && self.whole == other.whole && self.places == other.places
    }
}

fn float(form: Form, text: &str, double: bool, unsigned: bool) -> Result<(), &'static str> {
    let float: f64 = text.parse().map_err(|_| NOT_A_NUMBER)?;
    if !float.is_finite() {
        return Err(NOT_FINITE);
    }
    if !double && f64::from(float as f32) != float {
        return Err(INEXACT);
    }
    if unsigned && float < 0.0 {
        return Err(RANGE);
    }
    match form {
        Form::Float | Form::Double => Ok(()),
        Form::Text if shown(float) == text => Ok(()),
        Form::Text => Err(NOT_CANONICAL),
        _ => {
            let shortest = float.to_string();
            let same = Number::read(Form::Double, &shortest)?.is(&Number::read(Form::Double, text)?);
            if same { Ok(()) } else { Err(INEXACT) }
        }
    }
}

/// A float as the server writes it.
fn shown(float: f64) -> String {
    let is_plain = float == 0.0 || (1e-15..1e15).contains(&float.abs());
    if is_plain { float.to_string() } else { format!("{float:e}") }
}

/// `2024-02-29`, with four digits for the year.
fn is_day(text: &str) -> bool {
    text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-' && text.is_ascii()
}

fn date(form: Form, text: &str) -> Result<&str, &'static str> {
    let day = match form {
        Form::Timestamp => text.strip_suffix(" 00:00:00").ok_or(TIME_OF_DAY)?,
        _ => text,
    };
    if form == Form::Text && NaiveDate::parse_from_str(day, "%Y-%m-%d").is_err() {
        return Err(NOT_A_TIME);
    }
    if is_day(day) && day > "0001" { Ok(day) } else { Err(YEARS) }
}

fn time(form: Form, text: &str, places: u8) -> Result<&str, &'static str> {
    if form == Form::Text && (text.len() < 8 || NaiveTime::parse_from_str(text, "%H:%M:%S%.f").is_err()) {
        return Err(NOT_A_TIME);
    }
    fraction(form, text, places).map(|()| text)
}

fn date_time(form: Form, text: &str, places: u8) -> Result<&str, &'static str> {
    let text = if form == Form::Moment { text.strip_suffix("+00").unwrap_or(text) } else { text };
    if form == Form::Text && NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").is_err() {
        return Err(NOT_A_TIME);
    }
    let day = text.split(' ').next().unwrap_or_default();
    if !is_day(day) || day < "0001" || text.ends_with(')') {
        return Err(YEARS);
    }
    fraction(form, text, places).map(|()| text)
}

/// Whether a column with so many places keeps the fraction of a second.
fn fraction(form: Form, text: &str, places: u8) -> Result<(), &'static str> {
    let Some((_, fraction)) = text.split_once('.') else { return Ok(()) };
    if fraction.len() > usize::from(places) {
        Err(FINER)
    } else if form == Form::Text && fraction.ends_with('0') {
        Err(NOT_CANONICAL)
    } else {
        Ok(())
    }
}

/// Members of a SET come back in the column's order, each once.
fn set(members: &[String], text: &str) -> Result<(), &'static str> {
    let mut rest = members.iter();
    let in_order = text.is_empty() || text.split(',').all(|part| rest.any(|member| member == part));
    if in_order { Ok(()) } else { Err(NO_MEMBER) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: Kind = Kind::Integer { bits: 8, unsigned: false };
    const BIG: Kind = Kind::Integer { bits: 64, unsigned: true };
    const MONEY: Kind = Kind::Decimal { precision: 5, scale: 2, unsigned: false };
    const SINGLE: Kind = Kind::Float { double: false, unsigned: false };
    const DOUBLE: Kind = Kind::Float { double: true, unsigned: false };

    fn text(most: u64) -> Kind {
        Kind::Text { most: Some(most), in_bytes: false, fixed: false, charset: Charset::Utf8mb4 }
    }

    #[test]
    fn exactly_what_a_column_keeps_is_taken() {
        let long = Form::Integer { bits: 64, unsigned: false };
        let good = [
            (long, TINY, "-128"),
            (Form::Double, TINY, "3"),
            (Form::Decimal { precision: 5, scale: 2 }, TINY, "3.00"),
            (Form::Integer { bits: 64, unsigned: true }, BIG, "18446744073709551615"),
            (Form::Text, TINY, "7"),
            (Form::Double, MONEY, "-123.45"),
            (Form::Decimal { precision: 9, scale: 4 }, MONEY, "1.5000"),
            (Form::Decimal { precision: 2, scale: 2 }, MONEY, "-.50"),
            (Form::Decimal { precision: 2, scale: 2 }, TINY, ".00"),
            (Form::Text, MONEY, "1.50"),
            (long, SINGLE, "16777216"),
            (Form::Double, SINGLE, "0.5"),
            (Form::Text, DOUBLE, "-0.5"),
            (Form::Text, DOUBLE, "1e300"),
            (Form::Text, DOUBLE, "9.007199254740992e15"),
            (Form::Text, DOUBLE, "0.00000015"),
            (Form::Timestamp, Kind::Date, "2024-02-29 00:00:00"),
            (Form::Timestamp, Kind::DateTime { places: 3 }, "2024-02-29 01:02:03.125"),
            (Form::Moment, Kind::Stamp { places: 0 }, "2024-02-29 01:02:03+00"),
            (Form::Text, text(3), "ü𝄞x"),
            (Form::Text, Kind::Set(vec!["a".into(), "b".into(), "c".into()]), "a,c"),
            (Form::Text, Kind::Enum(vec!["a".into()]), "a"),
            (Form::Integer { bits: 8, unsigned: true }, Kind::Bit { width: 5 }, "31"),
        ];
        for (form, kind, value) in good {
            assert_eq!(takes(form, &kind), Ok(()), "{form:?} {kind:?}");
            assert!(super::value(form, &kind, value).is_ok(), "{form:?} {kind:?} {value}");
        }
        let bad = [
            (long, TINY, "128"),
            (Form::Double, TINY, "3.7"),
            (Form::Double, TINY, "NaN"),
            (Form::Text, TINY, "007"),
            (Form::Text, TINY, "-0"),
            (Form::Text, TINY, "7 "),
            (Form::Decimal { precision: 20, scale: 0 }, BIG, "18446744073709551616"),
            (long, BIG, "-1"),
            (Form::Double, MONEY, "1.239"),
            (Form::Double, MONEY, "1000"),
            (Form::Text, MONEY, "1.5"),
            (Form::Text, MONEY, ".50"),
            (Form::Text, MONEY, ""),
            (long, SINGLE, "16777217"),
            (Form::Double, SINGLE, "0.1"),
            (Form::Text, DOUBLE, "3.0"),
            (Form::Text, DOUBLE, "9007199254740992"),
            (Form::Text, DOUBLE, "1.5e-7"),
            (Form::Timestamp, Kind::Date, "2024-02-29 00:00:01"),
            (Form::Timestamp, Kind::DateTime { places: 3 }, "2024-02-29 01:02:03.1255"),
            (Form::Date, Kind::Date, "10000-01-01"),
            (Form::Date, Kind::Date, "0044-03-15 (BC)"),
            (Form::Moment, Kind::Stamp { places: 0 }, "2039-02-28 01:02:03+00"),
            (Form::Text, Kind::Date, "2023-02-29"),
            (Form::Text, text(2), "ü𝄞x"),
            (Form::Text, Kind::Set(vec!["a".into(), "b".into()]), "b,a"),
            (Form::Text, Kind::Enum(vec!["a".into()]), "A"),
            (Form::Text, Kind::Uuid, "NOT"),
        ];
        for (form, kind, value) in bad {
            assert!(super::value(form, &kind, value).is_err(), "{form:?} {kind:?} {value}");
        }
        assert_eq!(takes(Form::Timestamp, &Kind::Stamp { places: 6 }), Err(Misfit::Zone));
        assert_eq!(takes(Form::Bytes, &text(9)), Err(Misfit::Type));
    }

    #[test]
    fn a_moment_is_stored_in_utc_and_without_its_zone() {
        let kind = Kind::DateTime { places: 6 };
        assert_eq!(value(Form::Moment, &kind, "2024-02-29 01:02:03.5+00"), Ok("2024-02-29 01:02:03.5"));
    }
}
