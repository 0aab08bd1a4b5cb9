//! Whole numbers: bits, divisors, factorials.
//! Not here: rounding (`rounding`).
//! Called by `numbers`.

use arrow::datatypes::i256;
use datafusion::common::{Result, exec_datafusion_err, exec_err};

use crate::sql::functions::toolkit::typed::kernel;
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, typed};

/// One overload for each of the types.
macro_rules! of_each {
    ([$($kind:ident),*] |$number:ident| -> $result:ident => $body:expr) => {
        vec![$(kernel!(|$number: $kind| -> $result => $body)),*]
    };
    ([$($kind:ident),*] |$left:ident, $right:ident| $body:expr) => {
        vec![$(kernel!(|$left: $kind, $right: $kind| -> $kind => $body)),*]
    };
}

pub(super) fn functions() -> Vec<Function> {
    vec![
        typed(
            &["bit_count"],
            "how many bits of the number are set",
            of_each!([Int1, Int2, Int4, Int, UInt1, UInt2, UInt4, UInt] |number| -> Int1 => number.count_ones() as i8),
        ),
        typed(
            &["xor"],
            "the bits that are set in one of two numbers alone",
            of_each!([Int1, Int2, Int4, Int, UInt1, UInt2, UInt4, UInt] | left, right | left ^ right),
        ),
        typed(
            &["gcd", "greatest_common_divisor"],
            "the largest number that divides both",
            [
                kernel!(|left: Int, right: Int| -> Int => common_divisor(left, right)),
                kernel!(|left: Huge, right: Huge| -> Huge => wide(left, right, common_divisor)),
            ],
        ),
        typed(
            &["lcm", "least_common_multiple"],
            "the least number that both divide",
            [
                kernel!(|left: Int, right: Int| -> Int => common_multiple(left.into(), right.into())
                .and_then(|number| i64::try_from(number).map_err(|_| exec_datafusion_err!("the least common multiple is out of range")))),
                kernel!(|left: Huge, right: Huge| -> Huge => common_multiple(narrow(left)?, narrow(right)?).map(i256::from_i128)),
            ],
        ),
        typed(
            &["factorial"],
            "the product of all numbers from 1 to this one",
            [kernel!(|number: Int| -> Huge => factorial(number))],
        ),
    ]
}

fn narrow(number: i256) -> Result<i128> {
    number.to_i128().ok_or_else(|| exec_datafusion_err!("the number is out of range"))
}

fn wide(left: i256, right: i256, of: fn(i128, i128) -> i128) -> Result<i256> {
    Ok(i256::from_i128(of(narrow(left)?, narrow(right)?)))
}

fn common_divisor<T>(left: T, right: T) -> T
where
    T: Copy + PartialEq + PartialOrd + Default + std::ops::Rem<Output = T> + std::ops::Sub<Output = T>,
{
    let zero = T::default();
    let (mut left, mut right) = (left, right);
    while right != zero {
        (left, right) = (right, left % right);
    }
    if left < zero { zero - left } else { left }
}

fn common_multiple(left: i128, right: i128) -> Result<i128> {
    if left == 0 || right == 0 {
        return Ok(0);
    }
    match (left / common_divisor(left, right)).checked_mul(right) {
        Some(multiple) => Ok(multiple.abs()),
        None => exec_err!("the least common multiple is out of range"),
    }
}

fn factorial(number: i64) -> Result<i256> {
    if number < 0 {
        return exec_err!("the factorial of a negative number is undefined");
    }
    let product = (1..=i128::from(number)).take(64).try_fold(1i128, |product, factor| product.checked_mul(factor));
    match product {
        Some(product) if number < 34 => Ok(i256::from_i128(product)),
        _ => exec_err!("the factorial is out of range"),
    }
}
