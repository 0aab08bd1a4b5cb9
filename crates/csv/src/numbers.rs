//! Text to numbers and booleans, without ever changing a value.
//! Dates and times live in `temporal`; which column is read as what is decided in `detect` and `columns`.
//! Called per cell by detection and by the column readers.

use crate::options::CsvOptions;

/// How much of the text must survive in the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fidelity {
    /// The text can be rebuilt from the value, trailing zeros of a fraction aside: what an inferred type has to guarantee.
    Text,
    /// The value is the number that the text names; leading zeros, `+` and surrounding spaces are spelling. For declared types.
    Value,
}

/// How numbers are punctuated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NumberStyle {
    /// Between integer part and fraction.
    pub decimal: u8,
    /// Between groups of three digits.
    pub thousands: Option<u8>,
}

impl NumberStyle {
    pub(crate) fn new(options: &CsvOptions) -> NumberStyle {
        let first_byte = |text: &Option<String>| text.as_ref().and_then(|text| text.bytes().next());
        NumberStyle {
            decimal: first_byte(&options.decimal_separator).unwrap_or(b'.'),
            thousands: first_byte(&options.thousands),
        }
    }

    /// Removes group separators into `scratch`; `None` when the groups are not groups of three.
    pub(crate) fn ungroup<'a>(self, text: &'a [u8], scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let Some(separator) = self.thousands else { return Some(text) };
        if !text.contains(&separator) {
            return Some(text);
        }
        let whole_end = text.iter().position(|byte| *byte == self.decimal).unwrap_or(text.len());
        let (whole, fraction) = text.split_at(whole_end);
        let (sign, digits) = whole.split_at(usize::from(matches!(whole.first(), Some(b'-' | b'+'))));
        scratch.clear();
        scratch.extend_from_slice(sign);
        for (position, group) in digits.split(|byte| *byte == separator).enumerate() {
            let length_fits = if position == 0 { (1..=3).contains(&group.len()) } else { group.len() == 3 };
            if !length_fits || !group.iter().all(u8::is_ascii_digit) {
                return None;
            }
            scratch.extend_from_slice(group);
        }
        scratch.extend_from_slice(fraction);
        Some(scratch)
    }
}

/// `true` and `false` in any case.
pub(crate) fn boolean(text: &[u8]) -> Option<bool> {
    if text.eq_ignore_ascii_case(b"true") {
        Some(true)
    } else if text.eq_ignore_ascii_case(b"false") {
        Some(false)
    } else {
        None
    }
}

/// A declared BOOLEAN also understands DuckDB's short spellings.
pub(crate) fn declared_boolean(text: &[u8]) -> Option<bool> {
    boolean(text).or(match text {
        b"t" | b"T" | b"1" | b"y" | b"Y" | b"yes" | b"Yes" | b"YES" => Some(true),
        b"f" | b"F" | b"0" | b"n" | b"N" | b"no" | b"No" | b"NO" => Some(false),
        _ => None,
    })
}

/// An integer of up to 64 bits in canonical spelling: no `+`, no leading zeros, no `-0`.
pub(crate) fn bigint(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [] | [b'0', ..] => return None,
        _ => {}
    }
    if digits.len() > 19 {
        return None;
    }
    // Eighteen digits cannot overflow; only the nineteenth needs checking.
    let (safe, last) = digits.split_at(digits.len().min(18));
    let mut value: i64 = 0;
    for byte in safe {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    if negative {
        value = -value;
    }
    if let [byte] = last {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        let digit = i64::from(digit);
        value = value.checked_mul(10)?.checked_add(if negative { -digit } else { digit })?;
    }
    Some(value)
}

/// An integer of up to 128 bits for declared types: leading zeros and `+` are spelling.
pub(crate) fn integer(text: &[u8]) -> Option<i128> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Whether a number is spelled without `+` and leading zeros, so that its value tells its text, trailing zeros of a fraction aside.
pub(crate) fn is_canonical(text: &[u8], point: u8) -> bool {
    Number::read(text, point).is_some_and(|number| !number.plus && !number.padded)
}

/// A DECIMAL with `scale` digits after the point, as its unscaled integer; `None` when a non-zero digit would be lost.
pub(crate) fn decimal(text: &[u8], precision: u8, scale: i8, point: u8) -> Option<i128> {
    let number = Number::read(text, point)?;
    if number.special {
        return None;
    }
    let scale = i64::from(scale);
    let mut value: i128 = 0;
    // The digit at index i stands for 10^(point_index - 1 - i); wanted are those down to 10^-scale.
    let wanted = number.point_index + scale;
    for (index, digit) in number.digits().enumerate() {
        if (index as i64) < wanted {
            value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
        } else if digit != 0 {
            return None;
        }
    }
    let missing = wanted - number.digit_count as i64;
    if missing > 0 && value != 0 {
        value = value.checked_mul(10_i128.checked_pow(u32::try_from(missing).ok()?)?)?;
    }
    let fits = value < 10_i128.pow(u32::from(precision));
    fits.then_some(if number.negative { -value } else { value })
}

/// A DOUBLE that keeps every digit of the text.
pub(crate) fn double(text: &[u8], fidelity: Fidelity, point: u8) -> Option<f64> {
    let number = Number::read(text, point)?;
    if number.special {
        return parse_special(text);
    }
    if fidelity == Fidelity::Text && (number.plus || number.padded) {
        return None;
    }
    if let Some(value) = number.small_double() {
        return Some(value);
    }
    let value: f64 = number.with_point(point, |plain| plain.parse().ok())?;
    number
        .survives_in(
            &format!("{value:e}"),
            || value.is_finite().then(|| format!("{value:.*e}", number.significant() - 1)),
            fidelity,
        )
        .then_some(value)
}

/// A FLOAT that keeps every digit of the text.
pub(crate) fn float(text: &[u8], point: u8) -> Option<f32> {
    let number = Number::read(text, point)?;
    if number.special {
        return parse_special(text).map(|value| value as f32);
    }
    let value: f32 = number.with_point(point, |plain| plain.parse().ok())?;
    let reprint = || value.is_finite().then(|| format!("{value:.*e}", number.significant() - 1));
    (number.significant() == 0 || number.survives_in(&format!("{value:e}"), reprint, Fidelity::Text)).then_some(value)
}

/// Not a number and the infinities, as DuckDB spells them.
fn parse_special(text: &[u8]) -> Option<f64> {
    let (negative, name) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    if name.eq_ignore_ascii_case(b"nan") && !negative {
        return Some(f64::NAN);
    }
    let infinite = name.eq_ignore_ascii_case(b"inf") || name.eq_ignore_ascii_case(b"infinity");
    infinite.then_some(if negative { f64::NEG_INFINITY } else { f64::INFINITY })
}

/// The parts of a number's spelling.
struct Number<'a> {
    text: &'a [u8],
    /// Mantissa without sign: digits and at most one decimal point.
    mantissa: &'a [u8],
    negative: bool,
    plus: bool,
    /// Begins with a zero that is followed by another digit.
    padded: bool,
    digit_count: usize,
    /// How many digits stand before the decimal point, once the exponent has moved it.
    point_index: i64,
    /// The first nineteen digits as an integer.
    head: u64,
    special: bool,
}

/// Powers of ten that a double holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

impl<'a> Number<'a> {
    fn read(text: &'a [u8], point: u8) -> Option<Number<'a>> {
        let (negative, plus, unsigned) = match text.split_first() {
            Some((b'-', rest)) => (true, false, rest),
            Some((b'+', rest)) => (false, true, rest),
            _ => (false, false, text),
        };
        let (mut head, mut digit_count, mut point_index, mut end) = (0_u64, 0_usize, None, unsigned.len());
        for (index, byte) in unsigned.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 {
                if digit_count < 19 {
                    head = head * 10 + u64::from(digit);
                }
                digit_count += 1;
            } else if *byte == point && point_index.is_none() {
                point_index = Some(digit_count as i64);
            } else if matches!(byte, b'e' | b'E') && digit_count > 0 {
                end = index;
                break;
            } else {
                let special = digit_count == 0 && parse_special(text).is_some();
                return special.then_some(Number {
                    text,
                    mantissa: b"",
                    negative,
                    plus,
                    padded: false,
                    digit_count: 0,
                    point_index: 0,
                    head: 0,
                    special,
                });
            }
        }
        if digit_count == 0 {
            return None;
        }
        let exponent = if end < unsigned.len() { exponent(&unsigned[end + 1..])? } else { 0 };
        let mantissa = &unsigned[..end];
        let padded = matches!(mantissa, [b'0', second, ..] if second.is_ascii_digit());
        let point_index = point_index.unwrap_or(digit_count as i64) + exponent;
        Some(Number { text, mantissa, negative, plus, padded, digit_count, point_index, head, special: false })
    }

    fn digits(&self) -> impl Iterator<Item = u8> + '_ {
        self.mantissa.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0')
    }

    /// Significant digits: without leading and trailing zeros.
    fn significant(&self) -> usize {
        let leading = self.digits().take_while(|digit| *digit == 0).count();
        let trailing =
            self.mantissa.iter().rev().filter(|byte| byte.is_ascii_digit()).take_while(|byte| **byte == b'0').count();
        self.digit_count.saturating_sub(leading + trailing)
    }

    /// The exact value where mantissa and power of ten are both exact doubles and at most fifteen digits must survive.
    fn small_double(&self) -> Option<f64> {
        if self.digit_count > 19 || self.head >= 1_000_000_000_000_000 {
            return None;
        }
        let exponent = self.point_index - self.digit_count as i64;
        let power = EXACT_POWERS.get(usize::try_from(exponent.unsigned_abs()).ok()?)?;
        let head = self.head as f64;
        let magnitude = if exponent < 0 { head / power } else { head * power };
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// Runs `parse` on the text with `.` as its decimal point.
    fn with_point<T>(&self, point: u8, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let plain = std::str::from_utf8(self.text).ok()?;
        if point == b'.' { parse(plain) } else { parse(&plain.replace(char::from(point), ".")) }
    }

    /// Whether the digits of the text are those of the value's shortest form, or for declared types of its form with as many digits.
    fn survives_in(&self, shortest: &str, reprint: impl FnOnce() -> Option<String>, fidelity: Fidelity) -> bool {
        if self.significant() == 0 {
            return true;
        }
        if self.same_digits(shortest) {
            return true;
        }
        fidelity == Fidelity::Value && self.significant() <= 17 && reprint().is_some_and(|text| self.same_digits(&text))
    }

    fn same_digits(&self, scientific: &str) -> bool {
        if scientific.contains(['n', 'i']) {
            return false;
        }
        let mantissa = scientific.split('e').next().unwrap_or_default();
        let printed =
            mantissa.bytes().filter(u8::is_ascii_digit).map(|byte| byte - b'0').skip_while(|digit| *digit == 0);
        let mut written = self.digits().skip_while(|digit| *digit == 0);
        for digit in printed {
            match written.next() {
                Some(other) if other == digit => {}
                None if digit == 0 => {}
                _ => return false,
            }
        }
        written.all(|digit| digit == 0)
    }
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text.split_first()? {
        (b'-', rest) => (-1, rest),
        (b'+', rest) => (1, rest),
        _ => (1, text),
    };
    if digits.is_empty() || digits.len() > 6 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(sign * digits.iter().fold(0_i64, |value, byte| value * 10 + i64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bigint_keeps_spelling() {
        for (text, value) in [
            ("0", 0),
            ("-1", -1),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("1000000000000000000", 10_i64.pow(18)),
        ] {
            assert_eq!(bigint(text.as_bytes()), Some(value), "{text}");
        }
        for text in [
            "",
            "-",
            "-0",
            "00",
            "02139",
            "+1",
            "1 ",
            " 1",
            "1.0",
            "9223372036854775808",
            "-9223372036854775809",
            "12345678901234567890",
            "1x",
            "1e3",
        ] {
            assert_eq!(bigint(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn double_keeps_digits() {
        for text in [
            "0",
            "29.00",
            "42.5",
            "-0.1",
            ".5",
            "5.",
            "1e5",
            "1E-7",
            "0.30000000000000004",
            "9007199254740993.5",
            "1e308",
            "123456789012345678e3",
            "1.7976931348623157e308",
            "5e-324",
        ] {
            let expected: f64 = text.parse().expect("test value");
            let kept = double(text.as_bytes(), Fidelity::Text, b'.');
            if text == "9007199254740993.5" || text == "123456789012345678e3" {
                assert_eq!(kept, None, "{text}");
            } else {
                assert_eq!(kept.map(f64::to_bits), Some(expected.to_bits()), "{text}");
            }
        }
        for text in [
            "",
            ".",
            "-",
            "e5",
            "1e",
            "1e+",
            "00.5",
            "007",
            "+1.5",
            "1.2.3",
            "1,5",
            "0x10",
            "12345678901234567890",
            "0.10000000000000001",
            "1e400",
            "1e-400",
            " 1",
        ] {
            assert_eq!(double(text.as_bytes(), Fidelity::Text, b'.'), None, "{text}");
        }
        assert_eq!(double(b"1,5", Fidelity::Text, b','), Some(1.5));
        assert_eq!(double(b"0.10000000000000001", Fidelity::Value, b'.'), Some(0.1));
        assert_eq!(double(b"0.1000000000000000055", Fidelity::Value, b'.'), None);
        assert!(double(b"NaN", Fidelity::Text, b'.').is_some_and(f64::is_nan));
    }

    #[test]
    fn float_rejects_lost_digits() {
        assert_eq!(float(b"0.1", b'.'), Some(0.1));
        assert_eq!(float(b"0", b'.'), Some(0.0));
        assert_eq!(float(b"16777217", b'.'), None);
    }

    #[test]
    fn decimal_never_rounds() {
        assert_eq!(decimal(b"1.5", 10, 2, b'.'), Some(150));
        assert_eq!(decimal(b"-1.230", 10, 2, b'.'), Some(-123));
        assert_eq!(decimal(b"1.239", 10, 2, b'.'), None);
        assert_eq!(decimal(b"1e3", 10, 2, b'.'), Some(100_000));
        assert_eq!(decimal(b"12e-1", 10, 2, b'.'), Some(120));
        assert_eq!(decimal(b"1e-3", 10, 2, b'.'), None);
        assert_eq!(decimal(b"99999999.99", 10, 2, b'.'), Some(9_999_999_999));
        assert_eq!(decimal(b"100000000", 10, 2, b'.'), None);
        assert_eq!(decimal(b"99999999999999999999999999999999999999", 38, 0, b'.'), Some(10_i128.pow(38) - 1));
        assert_eq!(decimal(b"0e99999", 38, 0, b'.'), Some(0));
    }

    #[test]
    fn groups_of_three() {
        let style = NumberStyle { decimal: b',', thousands: Some(b'.') };
        let mut scratch = Vec::new();
        assert_eq!(style.ungroup(b"-5.255,95", &mut scratch), Some(&b"-5255,95"[..]));
        assert_eq!(style.ungroup(b"52.55,95", &mut scratch), None);
        assert_eq!(style.ungroup(b"12", &mut scratch), Some(&b"12"[..]));
    }
}
