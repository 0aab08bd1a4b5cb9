//! Numbers: whole, decimal, floating.
//! Not here: their place in a row or a nested value.
//! Called by the dispatch on Arrow types, and for the numbers inside JSON documents.

use arrow::array::PrimitiveArray;
use arrow::datatypes::{ArrowPrimitiveType, DecimalType, i256};

use super::Values;

/// The largest whole number up to which every one is a double: JSON readers keep no more.
const EXACT_IN_DOUBLE: u128 = 1 << 53;
/// Up to this precision `to_json` makes a DECIMAL a double; beyond, its digits are kept.
const MAX_DOUBLE_PRECISION: u8 = 15;

pub(super) struct Integers<T: ArrowPrimitiveType>(pub(super) PrimitiveArray<T>);

impl<T: ArrowPrimitiveType> Values for Integers<T>
where
    T::Native: itoa::Integer + Into<i128>,
{
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(itoa::Buffer::new().format(self.0.value(row)).as_bytes());
    }

    fn json(&self, row: usize, out: &mut Vec<u8>) {
        self.text(row, out);
    }

    fn member(&self, row: usize, out: &mut Vec<u8>) {
        let value: i128 = self.0.value(row).into();
        if value.unsigned_abs() > EXACT_IN_DOUBLE { self.quoted(row, out) } else { self.text(row, out) }
    }
}

/// Whole numbers of more than 64 bits, which Arrow has as decimals without places.
pub(super) struct Hugeints<T: DecimalType>(pub(super) PrimitiveArray<T>);

impl<T: DecimalType> Values for Hugeints<T>
where
    T::Native: Digits,
{
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        self.0.value(row).digits(|negative, digits| {
            if negative {
                out.push(b'-');
            }
            out.extend_from_slice(digits);
        });
    }

    fn json(&self, row: usize, out: &mut Vec<u8>) {
        self.text(row, out);
    }

    fn member(&self, row: usize, out: &mut Vec<u8>) {
        match self.0.value(row).narrow() {
            Some(value) if value.unsigned_abs() <= EXACT_IN_DOUBLE => self.text(row, out),
            _ => self.quoted(row, out),
        }
    }
}

pub(super) struct Decimals<T: DecimalType> {
    array: PrimitiveArray<T>,
    precision: u8,
    scale: i8,
}

impl<T: DecimalType> Decimals<T>
where
    T::Native: Digits,
{
    pub(super) fn new(array: PrimitiveArray<T>, precision: u8, scale: i8) -> Self {
        Self { array, precision, scale }
    }

    fn write(&self, row: usize, leading_zero: bool, out: &mut Vec<u8>) {
        let places = usize::from(self.scale.max(0).unsigned_abs());
        self.array.value(row).digits(|negative, digits| {
            if negative {
                out.push(b'-');
            }
            let (whole, fraction) = digits.split_at(digits.len().saturating_sub(places));
            match whole {
                [] if leading_zero => out.push(b'0'),
                b"0" if self.scale < 0 => return out.push(b'0'),
                _ => out.extend_from_slice(whole),
            }
            if places > 0 {
                out.push(b'.');
                zeros(places - fraction.len(), out);
                out.extend_from_slice(fraction);
            }
            zeros(usize::from(self.scale.min(0).unsigned_abs()), out);
        });
    }
}

impl<T: DecimalType> Values for Decimals<T>
where
    T::Native: Digits,
{
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        self.write(row, self.precision > self.scale.max(0).unsigned_abs(), out);
    }

    fn json(&self, row: usize, out: &mut Vec<u8>) {
        let narrow =
            self.array.value(row).narrow().filter(|_| self.precision <= MAX_DOUBLE_PRECISION && self.scale >= 0);
        match narrow {
            Some(value) => json_double(value as f64 / 10f64.powi(i32::from(self.scale)), out),
            None => self.write(row, true, out),
        }
    }

    fn member(&self, row: usize, out: &mut Vec<u8>) {
        self.quoted(row, out);
    }
}

fn zeros(count: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + count, b'0');
}

/// The native integers of decimals, with 32 to 256 bits.
pub(super) trait Digits: Copy {
    /// The value, where 128 bits hold it.
    fn narrow(self) -> Option<i128>;

    /// Hands over whether the value is negative, and its digits.
    fn digits(self, write: impl FnOnce(bool, &[u8]));
}

macro_rules! digits {
    ($($native:ty),*) => {$(
        impl Digits for $native {
            fn narrow(self) -> Option<i128> {
                Some(self.into())
            }

            fn digits(self, write: impl FnOnce(bool, &[u8])) {
                write(self < 0, itoa::Buffer::new().format(self.unsigned_abs()).as_bytes());
            }
        }
    )*};
}

digits!(i32, i64, i128);

impl Digits for i256 {
    fn narrow(self) -> Option<i128> {
        self.to_i128()
    }

    fn digits(self, write: impl FnOnce(bool, &[u8])) {
        match self.to_i128() {
            Some(narrow) => narrow.digits(write),
            None => {
                let text = self.to_string();
                write(self.is_negative(), text.trim_start_matches('-').as_bytes());
            }
        }
    }
}

pub(super) struct Floats<T: ArrowPrimitiveType>(pub(super) PrimitiveArray<T>);

impl<T: ArrowPrimitiveType> Values for Floats<T>
where
    T::Native: ryu::Float + Into<f64>,
{
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        let value = self.0.value(row);
        let double: f64 = value.into();
        if let Some(word) = not_finite(double) {
            return out.extend_from_slice(word.as_bytes());
        }
        let mut buffer = ryu::Buffer::new();
        let shortest = buffer.format_finite(value);
        if double == 0.0 || (1e-3..1e15).contains(&double.abs()) {
            out.extend_from_slice(shortest.as_bytes());
        } else {
            let number = Scientific::read(shortest);
            if (-4..16).contains(&number.exponent) { number.fixed(out) } else { number.padded(out) }
        }
    }

    fn json(&self, row: usize, out: &mut Vec<u8>) {
        json_double(self.0.value(row).into(), out);
    }
}

fn not_finite(value: f64) -> Option<&'static str> {
    match value {
        value if value.is_nan() => Some("nan"),
        f64::INFINITY => Some("inf"),
        f64::NEG_INFINITY => Some("-inf"),
        _ => None,
    }
}

/// A double as `to_json` writes it, the three that are no numbers in JSON as strings.
pub(super) fn json_double(value: f64, out: &mut Vec<u8>) {
    if let Some(word) = not_finite(value) {
        out.push(b'"');
        out.extend_from_slice(word.as_bytes());
        return out.push(b'"');
    }
    let mut buffer = ryu::Buffer::new();
    let shortest = buffer.format_finite(value);
    if value == 0.0 || (1e-4..1e15).contains(&value.abs()) {
        return out.extend_from_slice(shortest.as_bytes());
    }
    let number = Scientific::read(shortest);
    if (-6..21).contains(&number.exponent) { number.fixed(out) } else { out.extend_from_slice(shortest.as_bytes()) }
}

/// The shortest digits of a number and its power of ten: `1.234e-5` is digits `1234`, exponent -5.
struct Scientific {
    negative: bool,
    digits: String,
    exponent: i32,
}

impl Scientific {
    /// Reads either of ryu's forms, `0.00001234` and `1.234e-5`.
    fn read(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let magnitude = mantissa.trim_start_matches('-');
        let point = magnitude.find('.').unwrap_or(magnitude.len());
        let all: String = magnitude.chars().filter(char::is_ascii_digit).collect();
        let leading = all.len() - all.trim_start_matches('0').len();
        let power: i32 = exponent.parse().unwrap_or_default();
        Self {
            negative: mantissa.len() > magnitude.len(),
            digits: all.trim_matches('0').to_owned(),
            exponent: power + point as i32 - leading as i32 - 1,
        }
    }

    /// Without exponent, with at least one place.
    fn fixed(&self, out: &mut Vec<u8>) {
        self.sign(out);
        let digits = self.digits.as_bytes();
        let whole = usize::try_from(self.exponent + 1).unwrap_or_default();
        if whole == 0 {
            out.extend_from_slice(b"0.");
            zeros(usize::try_from(-1 - self.exponent).unwrap_or_default(), out);
            return out.extend_from_slice(digits);
        }
        let (before, after) = digits.split_at(whole.min(digits.len()));
        out.extend_from_slice(before);
        zeros(whole - before.len(), out);
        out.push(b'.');
        out.extend_from_slice(if after.is_empty() { b"0" } else { after });
    }

    /// With a signed exponent of at least two digits.
    fn padded(&self, out: &mut Vec<u8>) {
        self.sign(out);
        let (first, rest) = self.digits.split_at(1);
        out.extend_from_slice(first.as_bytes());
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest.as_bytes());
        }
        out.push(b'e');
        out.push(if self.exponent < 0 { b'-' } else { b'+' });
        let magnitude = self.exponent.unsigned_abs();
        if magnitude < 10 {
            out.push(b'0');
        }
        out.extend_from_slice(itoa::Buffer::new().format(magnitude).as_bytes());
    }

    fn sign(&self, out: &mut Vec<u8>) {
        if self.negative {
            out.push(b'-');
        }
    }
}
