//! Numbers with all their digits: whole and decimal.
//! Not here: floating point, and the numbers' place in a row or a nested value.
//! Called by the dispatch on Arrow types.

use arrow::array::PrimitiveArray;
use arrow::datatypes::{ArrowPrimitiveType, DecimalType, i256};

use super::Values;
use super::floats::{json_double, zeros};

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
