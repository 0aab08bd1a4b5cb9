//! Decimals in PostgreSQL's binary form: groups of four digits, a weight, a sign and a display scale.
//! Not here: every other type (see `encode`).
//! Called by the encoder and the decoder. The form: `numeric_send` in PostgreSQL's `src/backend/utils/adt/numeric.c`.

use std::fmt::Write as _;

use arrow::datatypes::i256;
use bytes::{BufMut, BytesMut};

const NEGATIVE: u16 = 0x4000;
/// Ten thousand: the base of the groups.
const BASE: u128 = 10_000;

/// The digits of a number in units of `10^-scale`, with a sign where it is negative; `None` where it is no whole number
/// of them, NaN or infinite.
pub(super) fn digits(bytes: &[u8], scale: i8) -> Option<String> {
    let at = |index: usize| Some(i16::from_be_bytes(bytes.get(2 * index..2 * index + 2)?.try_into().ok()?));
    let (count, weight, sign) = (usize::try_from(at(0)?).ok()?, i32::from(at(1)?), at(2)?.cast_unsigned());
    let negative = match sign {
        0 => false,
        NEGATIVE => true,
        _ => return None,
    };
    let mut digits = String::with_capacity(4 * count + 48);
    for index in 0..count {
        let _ = write!(digits, "{:04}", at(4 + index)?);
    }
    // The digits as they stand are a whole number of 10^-given.
    let given = 4 * (i32::try_from(count).ok()? - 1 - weight);
    let surplus = given - i32::from(scale);
    let digits = match usize::try_from(surplus) {
        Ok(surplus) => {
            let kept = digits.len().saturating_sub(surplus);
            digits[kept..].bytes().all(|digit| digit == b'0').then(|| digits[..kept].to_owned())?
        }
        Err(_) => digits + &"0".repeat(usize::try_from(-surplus).ok()?),
    };
    let significant = digits.trim_start_matches('0');
    let significant = if significant.is_empty() { "0" } else { significant };
    Some(if negative && significant != "0" { format!("-{significant}") } else { significant.to_owned() })
}

/// Appends `value / 10^scale`.
pub(super) fn put_i128(out: &mut BytesMut, value: i128, scale: i8) {
    match u32::try_from(scale) {
        Ok(scale) => put_magnitude(out, value < 0, value.unsigned_abs(), scale),
        Err(_) => put_digits(out, &value.to_string(), scale),
    }
}

/// Appends `value / 10^scale`.
pub(super) fn put_i256(out: &mut BytesMut, value: i256, scale: i8) {
    match value.to_i128() {
        Some(value) => put_i128(out, value, scale),
        None => put_digits(out, &value.to_string(), scale),
    }
}

/// Appends an integer.
pub(super) fn put_u64(out: &mut BytesMut, value: u64) {
    put_magnitude(out, false, u128::from(value), 0);
}

fn put_magnitude(out: &mut BytesMut, negative: bool, mut magnitude: u128, scale: u32) {
    // 39 digits, cut at the decimal point, make at most eleven groups.
    let mut groups = [0_u16; 12];
    let mut count = 0;
    let odd = scale % 4;
    if odd > 0 {
        let unit = 10_u128.pow(odd);
        groups[0] = (magnitude % unit) as u16 * 10_u16.pow(4 - odd);
        magnitude /= unit;
        count = 1;
    }
    while magnitude > 0 {
        groups[count] = (magnitude % BASE) as u16;
        magnitude /= BASE;
        count += 1;
    }
    groups[..count].reverse();
    put_groups(out, negative, &groups[..count], count as i16 - 1 - scale.div_ceil(4) as i16, scale as u16);
}

/// The slow way, for what does not fit 128 bits and for scales below zero.
fn put_digits(out: &mut BytesMut, value: &str, scale: i8) {
    let (negative, digits) = match value.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    let (mut whole, mut fraction) = match usize::try_from(scale) {
        Ok(scale) => {
            let padded = format!("{digits:0>width$}", width = scale + 1);
            let (whole, fraction) = padded.split_at(padded.len() - scale);
            (whole.to_owned(), fraction.to_owned())
        }
        Err(_) => (format!("{digits}{}", "0".repeat(usize::from(scale.unsigned_abs()))), String::new()),
    };
    whole.insert_str(0, &"0".repeat((4 - whole.len() % 4) % 4));
    fraction.push_str(&"0".repeat((4 - fraction.len() % 4) % 4));
    let weight = (whole.len() / 4) as i16 - 1;
    whole.push_str(&fraction);
    let groups: Vec<u16> = whole
        .as_bytes()
        .chunks(4)
        .map(|group| group.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')))
        .collect();
    put_groups(out, negative, &groups, weight, u16::try_from(scale).unwrap_or(0));
}

/// Appends groups, the most significant first, without the empty ones at both ends.
fn put_groups(out: &mut BytesMut, negative: bool, groups: &[u16], weight: i16, scale: u16) {
    let leading = groups.iter().take_while(|group| **group == 0).count();
    let significant = groups.len() - groups.iter().rev().take_while(|group| **group == 0).count();
    let groups = groups.get(leading..significant).unwrap_or_default();
    out.put_u16(groups.len() as u16);
    out.put_i16(if groups.is_empty() { 0 } else { weight - leading as i16 });
    out.put_u16(if negative { NEGATIVE } else { 0 });
    out.put_u16(scale);
    for group in groups {
        out.put_u16(*group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the binary form back as text.
    fn text(bytes: &[u8]) -> String {
        let at = |index: usize| i16::from_be_bytes([bytes[2 * index], bytes[2 * index + 1]]);
        let (count, weight, sign, scale) = (at(0), at(1), at(2), at(3));
        let mut whole = String::new();
        let mut fraction = String::new();
        let group = |index: i16| if (0..count).contains(&index) { at(4 + index as usize) } else { 0 };
        for place in (0..=weight.max(-1)).rev() {
            whole.push_str(&format!("{:04}", group(weight - place)));
        }
        for place in 1..=(scale + 3) / 4 {
            fraction.push_str(&format!("{:04}", group(weight + place)));
        }
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let sign = if sign as u16 == NEGATIVE { "-" } else { "" };
        let fraction = &fraction[..scale as usize];
        if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }

    #[test]
    fn digits_survive() {
        let cases: [(i128, i8, &str); 11] = [
            (0, 0, "0"),
            (0, 3, "0.000"),
            (1, 5, "0.00001"),
            (-12_345, 2, "-123.45"),
            (10_000, 0, "10000"),
            (100_000_000, 4, "10000.0000"),
            (12_345_678, 3, "12345.678"),
            (7, -5, "700000"),
            (i128::MAX, 0, "170141183460469231731687303715884105727"),
            (-99_999_999_999_999_999_999_999_999_999_999_999_999, 38, "-0.99999999999999999999999999999999999999"),
            (i128::MIN, 37, "-17.0141183460469231731687303715884105728"),
        ];
        for (value, scale, expected) in cases {
            let mut out = BytesMut::new();
            put_i128(&mut out, value, scale);
            assert_eq!(text(&out), expected);
            let mut slow = BytesMut::new();
            put_digits(&mut slow, &value.to_string(), scale);
            assert_eq!(slow, out, "{expected}");
            assert_eq!(digits(&out, scale), Some(value.to_string()), "{expected}");
        }
        let mut out = BytesMut::new();
        put_i256(&mut out, i256::from_string(&format!("-{}", "9".repeat(76))).unwrap(), 70);
        assert_eq!(text(&out), format!("-999999.{}", "9".repeat(70)));
        assert_eq!(digits(&out, 70), Some(format!("-{}", "9".repeat(76))));
        assert_eq!(digits(&out, 69), None);
    }

    #[test]
    fn digits_are_read_in_any_unit_that_is_fine_enough() {
        let mut out = BytesMut::new();
        put_i128(&mut out, -1_250_000, 4);
        let read: Vec<_> = [-1, 0, 1, 3].map(|scale| digits(&out, scale)).to_vec();
        assert_eq!(read, [None, Some("-125".to_owned()), Some("-1250".to_owned()), Some("-125000".to_owned())]);
        let mut out = BytesMut::new();
        put_i128(&mut out, 5, 3);
        assert_eq!((digits(&out, 2), digits(&out, 3)), (None, Some("5".to_owned())));
        let mut out = BytesMut::new();
        put_i128(&mut out, 0, 3);
        assert_eq!(digits(&out, -3), Some("0".to_owned()));
        // NaN, as `numeric_send` writes it.
        assert_eq!(digits(&[0, 0, 0, 0, 0xc0, 0, 0, 0], 0), None);
    }
}
