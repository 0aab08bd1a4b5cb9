//! Floating point: as few digits as tell a number from its neighbours, laid out as DuckDB and JSON readers expect it.
//! Not here: numbers with all their digits.
//! Called by the dispatch on Arrow types, and for numbers that become doubles in JSON.

use arrow::array::{Float32Array, Float64Array};

use super::Values;

/// Numbers of this magnitude look the same in ryu's, DuckDB's and JSON's eyes.
const EVERYDAY: std::ops::Range<f64> = 1e-3..1e12;

pub(super) struct Doubles(pub(super) Float64Array);

impl Values for Doubles {
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        let value = self.0.value(row);
        match not_finite(value) {
            Some(word) => out.extend_from_slice(word.as_bytes()),
            None => text(value, ryu::Buffer::new().format_finite(value), out),
        }
    }

    fn json(&self, row: usize, out: &mut Vec<u8>) {
        json_double(self.0.value(row), out);
    }
}

pub(super) struct Floats(pub(super) Float32Array);

impl Values for Floats {
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        let value = self.0.value(row);
        let double = f64::from(value);
        if let Some(word) = not_finite(double) {
            return out.extend_from_slice(word.as_bytes());
        }
        let mut buffer = ryu::Buffer::new();
        let shortest = buffer.format_finite(value);
        if is_undecided(value, shortest) {
            text(double, ryu::Buffer::new().format_finite(double), out);
        } else {
            text(double, shortest, out);
        }
    }

    fn json(&self, row: usize, out: &mut Vec<u8>) {
        json_double(self.0.value(row).into(), out);
    }
}

/// Whether DuckDB sees no shortest text for a float and shows it as the double it is: where two texts of that length are
/// equally near, and where the very middle between the float and a neighbour has a text that is as short.
fn is_undecided(value: f32, shortest: &str) -> bool {
    /// Below, no middle has so few digits.
    const FIRST_SHORT_MIDDLE: f32 = 4_194_304.0;
    let shortest = Scientific::read(shortest);
    let as_double = |value: f64| Scientific::read(ryu::Buffer::new().format_finite(value));
    // Texts of fewer digits are all told apart.
    if shortest.length >= f32::DIGITS as usize {
        let exact = as_double(value.into());
        if exact.length == shortest.length + 1 && exact.digits().ends_with(b"5") {
            return true;
        }
    }
    let is_rival = |neighbour: f32| {
        let middle = (f64::from(value) + f64::from(neighbour)) / 2.0;
        middle.is_finite() && {
            let middle = as_double(middle);
            middle.last_place() > shortest.last_place()
                || (middle.digits() == shortest.digits() && middle.exponent == shortest.exponent)
        }
    };
    value.abs() >= FIRST_SHORT_MIDDLE && (is_rival(value.next_up()) || is_rival(value.next_down()))
}

/// A finite number, given its shortest text in ryu's layout.
fn text(value: f64, shortest: &str, out: &mut Vec<u8>) {
    if value == 0.0 || EVERYDAY.contains(&value.abs()) {
        return out.extend_from_slice(shortest.as_bytes());
    }
    let number = Scientific::read(shortest);
    if (-4..16).contains(&number.exponent) { number.fixed(out) } else { number.padded(out) }
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
    if value == 0.0 || EVERYDAY.contains(&value.abs()) {
        return out.extend_from_slice(shortest.as_bytes());
    }
    let number = Scientific::read(shortest);
    if (-6..21).contains(&number.exponent) { number.fixed(out) } else { out.extend_from_slice(shortest.as_bytes()) }
}

/// The shortest digits of a number and its power of ten: `1.234e-5` is digits `1234`, exponent -5.
struct Scientific {
    negative: bool,
    digits: [u8; Self::MAX_DIGITS],
    length: usize,
    exponent: i32,
}

impl Scientific {
    /// What a double can have; ryu's texts may pad them with zeros at either end.
    const MAX_DIGITS: usize = 17;

    /// Reads either of ryu's forms, `0.00001234` and `1.234e-5`.
    fn read(text: &str) -> Self {
        let (mantissa, power) = text.split_once('e').unwrap_or((text, "0"));
        let magnitude = mantissa.trim_start_matches('-');
        let mut number = Self {
            negative: mantissa.len() > magnitude.len(),
            digits: [0; Self::MAX_DIGITS],
            length: 0,
            exponent: power.parse().unwrap_or_default(),
        };
        let mut significant = 0;
        let mut in_places = false;
        for byte in magnitude.bytes() {
            match byte {
                b'.' => in_places = true,
                b'0' if significant == 0 => number.exponent -= i32::from(in_places),
                digit => {
                    number.exponent += i32::from(!in_places && significant > 0);
                    number.exponent -= i32::from(in_places && significant == 0);
                    if let Some(slot) = number.digits.get_mut(significant) {
                        *slot = digit;
                    }
                    significant += 1;
                    if digit != b'0' {
                        number.length = significant;
                    }
                }
            }
        }
        number
    }

    fn digits(&self) -> &[u8] {
        &self.digits[..self.length]
    }

    /// The power of ten of the last digit.
    fn last_place(&self) -> i32 {
        self.exponent + 1 - self.length as i32
    }

    /// Without exponent, with at least one place.
    fn fixed(&self, out: &mut Vec<u8>) {
        self.sign(out);
        let digits = self.digits();
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
        let (first, rest) = self.digits().split_at(1);
        out.extend_from_slice(first);
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest);
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

/// Appends zeros.
pub(super) fn zeros(count: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + count, b'0');
}
