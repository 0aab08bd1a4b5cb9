//! Rounding, sizes and signs, for every type of number.
//! Not here: operators.
//! Called by `numbers`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, Decimal256Array, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::*;
use datafusion::common::{Result, exec_datafusion_err, plan_err};

use crate::sql::functions::toolkit::general::{Call, General, Plain, Plan, answer, expect_arguments};
use crate::sql::functions::toolkit::typed::{kernel, type_name};
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::values::retyped;
use crate::sql::functions::toolkit::{Function, general, typed};

pub(super) fn functions() -> Vec<Function> {
    vec![
        general(&["round"], "the number with so many places, halves away from zero", Rounding::Round),
        general(&["trunc"], "the number with so many places, the others cut off", Rounding::Truncate),
        general(&["ceil", "ceiling"], "the number rounded up", Rounding::Up),
        general(&["floor"], "the number rounded down", Rounding::Down),
        typed(
            &["round_even", "roundbankers"],
            "the number with so many places, halves to the even neighbour",
            [kernel!(|number: Double, places: Int| -> Double => round_even(number, places))],
        ),
        general(
            &["abs", "@"],
            "the number without its sign",
            Plain {
                coerce: number,
                result: |plan| {
                    Ok(match plan.fields.first() {
                        Some(field) => retyped(field, field.data_type().clone()),
                        None => answer(DataType::Null),
                    })
                },
                run: |call| absolute(&call.columns[0]),
            },
        ),
        general(
            &["sign"],
            "-1, 0 or 1",
            Plain { coerce: number, result: |_| Ok(answer(DataType::Int8)), run: |call| sign(&call.columns[0]) },
        ),
    ]
}

fn number(types: &[DataType]) -> Result<Vec<DataType>> {
    expect_arguments(types, 1..=1)?;
    Ok(vec![as_number(&types[0])?])
}

fn as_number(data_type: &DataType) -> Result<DataType> {
    Ok(match data_type {
        DataType::Null => DataType::Int64,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Float64,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        numeric if numeric.is_numeric() => numeric.clone(),
        other => return plan_err!("a number is expected, not {}", type_name(other)),
    })
}

fn round_even(number: f64, places: i64) -> f64 {
    let factor = 10f64.powi(places.clamp(-400, 400) as i32);
    let rounded = (number * factor).round_ties_even() / factor;
    if rounded.is_finite() { rounded } else { number }
}

fn absolute(column: &ArrayRef) -> Result<ArrayRef> {
    fn over<T: ArrowPrimitiveType>(column: &ArrayRef, of: fn(T::Native) -> Option<T::Native>) -> Result<ArrayRef> {
        let absolute = column.as_primitive::<T>().try_unary::<_, T, _>(|number| {
            of(number).ok_or_else(|| exec_datafusion_err!("the number without its sign is out of range"))
        })?;
        Ok(Arc::new(absolute.with_data_type(column.data_type().clone())))
    }
    match column.data_type() {
        DataType::Int8 => over::<Int8Type>(column, i8::checked_abs),
        DataType::Int16 => over::<Int16Type>(column, i16::checked_abs),
        DataType::Int32 => over::<Int32Type>(column, i32::checked_abs),
        DataType::Int64 => over::<Int64Type>(column, i64::checked_abs),
        DataType::Float32 => over::<Float32Type>(column, |number| Some(number.abs())),
        DataType::Float64 => over::<Float64Type>(column, |number| Some(number.abs())),
        DataType::Decimal128(..) => over::<Decimal128Type>(column, i128::checked_abs),
        DataType::Decimal256(..) => over::<Decimal256Type>(column, i256::checked_abs),
        _ => Ok(Arc::clone(column)),
    }
}

fn sign(column: &ArrayRef) -> Result<ArrayRef> {
    fn over<T: ArrowPrimitiveType>(column: &ArrayRef) -> ArrayRef {
        let zero = T::Native::default();
        let of = |number: T::Native| i8::from(number > zero) - i8::from(number < zero);
        Arc::new(column.as_primitive::<T>().unary::<_, Int8Type>(of))
    }
    Ok(match column.data_type() {
        DataType::Decimal128(..) => over::<Decimal128Type>(column),
        DataType::Decimal256(..) => over::<Decimal256Type>(column),
        DataType::UInt64 => over::<UInt64Type>(column),
        whole if whole.is_integer() => over::<Int64Type>(&cast(column, &DataType::Int64)?),
        _ => over::<Float64Type>(&cast(column, &DataType::Float64)?),
    })
}

/// Which way numbers are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rounding {
    Round,
    Truncate,
    Up,
    Down,
}

impl Rounding {
    fn double(self, number: f64) -> f64 {
        match self {
            Self::Round => number.round(),
            Self::Truncate => number.trunc(),
            Self::Up => number.ceil(),
            Self::Down => number.floor(),
        }
    }

    fn places(self, number: f64, places: i64) -> f64 {
        let factor = 10f64.powi(places.unsigned_abs().min(400) as i32);
        let rounded =
            if places < 0 { self.double(number / factor) * factor } else { self.double(number * factor) / factor };
        match rounded.is_finite() {
            true => rounded,
            false if places < 0 => 0.0,
            false => number,
        }
    }

    /// The quotient of a whole number and a power of ten.
    fn divide(self, number: i256, power: i256) -> i256 {
        let zero = i256::from_i128(0);
        let one = i256::from_i128(1);
        let (quotient, rest) = (number.wrapping_div(power), number.wrapping_rem(power));
        let negative = number < zero;
        match self {
            Self::Truncate => quotient,
            Self::Up if rest > zero => quotient.wrapping_add(one),
            Self::Down if rest < zero => quotient.wrapping_sub(one),
            Self::Up | Self::Down => quotient,
            Self::Round => {
                let twice = rest.wrapping_abs().wrapping_mul(i256::from_i128(2));
                match (twice >= power, negative) {
                    (true, true) => quotient.wrapping_sub(one),
                    (true, false) => quotient.wrapping_add(one),
                    (false, _) => quotient,
                }
            }
        }
    }

    /// The scale that a decimal has after rounding to so many places.
    fn scale(self, scale: i8, places: i64) -> i8 {
        i8::try_from(places.clamp(0, i64::from(scale.max(0)))).unwrap_or(scale)
    }
}

fn power_of_ten(exponent: u32) -> i256 {
    i256::from_i128(10).wrapping_pow(exponent.min(76))
}

impl General for Rounding {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let most = if matches!(self, Self::Round | Self::Truncate) { 2 } else { 1 };
        expect_arguments(types, 1..=most)?;
        let mut number = as_number(&types[0])?;
        if matches!(self, Self::Up | Self::Down) && number.is_integer() {
            number = DataType::Float64;
        }
        // A number of places stays a constant only if it is not cast.
        let places = types.get(1).map(|places| if places.is_integer() { places.clone() } else { DataType::Int64 });
        Ok(std::iter::once(number).chain(places).collect())
    }

    fn result(&self, plan: &Plan<'_>) -> Result<Field> {
        let Some(field) = plan.fields.first() else { return plan_err!("a number is expected") };
        let huge = is_tagged(field, "HUGEINT") || is_tagged(field, "UHUGEINT");
        Ok(match field.data_type() {
            decimal @ (DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) if !huge => {
                let places = if plan.fields.len() == 1 { Some(0) } else { plan.whole(1) };
                // Where the number of places is not known beforehand, none are lost.
                let scale = places.map_or(*scale, |places| self.scale(*scale, places));
                answer(match decimal {
                    DataType::Decimal128(..) => DataType::Decimal128(*precision, scale),
                    _ => DataType::Decimal256(*precision, scale),
                })
            }
            _ => field.as_ref().clone(),
        })
    }

    fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        let column = &call.columns[0];
        let places = call.columns.get(1).map(|places| cast(places, &DataType::Int64)).transpose()?;
        let places = places.as_ref().map(|places| places.as_primitive::<Int64Type>());
        let at = |row: usize| places.map_or(Some(0), |places| places.is_valid(row).then(|| places.value(row)));
        Ok(match column.data_type() {
            DataType::Float64 => {
                let numbers = column.as_primitive::<Float64Type>();
                let of = |row| {
                    numbers.is_valid(row).then(|| at(row).map(|places| self.places(numbers.value(row), places)))?
                };
                Arc::new((0..call.rows).map(of).collect::<PrimitiveArray<Float64Type>>())
            }
            DataType::Float32 => {
                let numbers = column.as_primitive::<Float32Type>();
                let of = |row| {
                    let places = at(row)?;
                    numbers.is_valid(row).then(|| self.places(numbers.value(row).into(), places) as f32)
                };
                Arc::new((0..call.rows).map(of).collect::<PrimitiveArray<Float32Type>>())
            }
            _ => {
                let scale = match column.data_type() {
                    DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale,
                    _ => 0,
                };
                let target = match call.result.data_type() {
                    DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale,
                    _ => 0,
                };
                let wide = cast(column, &DataType::Decimal256(76, scale))?;
                let numbers = wide.as_primitive::<Decimal256Type>();
                let of = |row| {
                    let places = at(row)?.clamp(-76, 76);
                    numbers.is_valid(row).then(|| {
                        let lost = (i64::from(scale) - places).max(0) as u32;
                        let rounded = self.divide(numbers.value(row), power_of_ten(lost));
                        // Back from units of the last kept place to those of the answer.
                        let kept = i64::from(scale) - i64::from(lost);
                        let shift = i64::from(target) - kept;
                        rounded.wrapping_mul(power_of_ten(shift.max(0) as u32))
                    })
                };
                let rounded = (0..call.rows).map(of).collect::<Decimal256Array>();
                let rounded: ArrayRef = Arc::new(rounded.with_precision_and_scale(76, target)?);
                cast(&rounded, call.result.data_type())?
            }
        })
    }
}
