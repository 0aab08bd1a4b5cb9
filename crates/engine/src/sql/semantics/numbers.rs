//! Arithmetic of numbers: never a wrap, DECIMAL's widths, powers and quotients as DOUBLE.
//! Not here: which operators there are (`arithmetic`).
//! Called by the operators.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Decimal256Array, Float32Array, Float64Array, PrimitiveArray,
};
use arrow::compute::cast;
use arrow::datatypes::*;
use datafusion::common::{Result, exec_err};

use super::arithmetic::{Operator, is_huge};
use super::convert::type_name;
use super::types::HUGEINT;

/// The widest DECIMAL.
const WIDEST: u8 = 38;

/// The types of an operator's operands and of its answer.
pub(super) fn types(operator: Operator, left: &DataType, right: &DataType) -> Option<((DataType, DataType), DataType)> {
    use DataType::{Float16, Float32, Float64};
    let both = |data_type: DataType| ((data_type.clone(), data_type.clone()), data_type);
    let single = matches!(left, Float16 | Float32) || matches!(right, Float16 | Float32);
    let double = *left == Float64 || *right == Float64;
    if operator == Operator::Power {
        return Some(both(Float64));
    }
    if double || single {
        return Some(both(if double { Float64 } else { Float32 }));
    }
    let decimal = |data_type: &DataType| data_type.is_decimal() && !is_huge(data_type);
    if operator == Operator::Divide || (operator == Operator::IntegerDivide && (decimal(left) || decimal(right))) {
        return Some(both(Float64));
    }
    if !decimal(left) && !decimal(right) {
        return Some(both(common_integer(left, right)?));
    }
    let ((width, scale), (other_width, other_scale)) = (decimal_size(left)?, decimal_size(right)?);
    let most = scale.max(other_scale);
    let integers = (i16::from(width) - i16::from(scale)).max(i16::from(other_width) - i16::from(other_scale));
    // What fits 64 bits stays there, and an overflow is an error.
    let most_digits = if width.max(other_width) <= 18 && operator != Operator::Modulo { 18 } else { i16::from(WIDEST) };
    let wide = |digits: i16, scale: i8| {
        let digits = if i16::from(scale) > most_digits { digits } else { digits.min(most_digits) };
        let width = u8::try_from(digits.clamp(1, i16::from(WIDEST))).unwrap_or(WIDEST);
        DataType::Decimal128(width, scale)
    };
    Some(match operator {
        Operator::Multiply => {
            let result = wide(i16::from(width) + i16::from(other_width), scale.checked_add(other_scale)?);
            // Operands keep their own scales, whose sum is the answer's.
            ((wide(i16::from(width), scale), wide(i16::from(other_width), other_scale)), result)
        }
        Operator::Modulo => both(wide(integers + i16::from(most), most)),
        _ => both(wide(integers + i16::from(most) + 1, most)),
    })
}

/// The type that holds the values of both, as DuckDB chooses it for columns of two queries put together; `None` where
/// there is none.
pub(crate) fn common_type(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType as Type;
    let text = |data_type: &Type| matches!(data_type, Type::Utf8 | Type::LargeUtf8 | Type::Utf8View);
    match (left, right) {
        (left, right) if left == right => Some(left.clone()),
        (Type::Null, other) | (other, Type::Null) => Some(other.clone()),
        (left, right) if text(left) || text(right) => Some(Type::Utf8),
        (Type::Boolean, other) | (other, Type::Boolean) if other.is_numeric() => Some(other.clone()),
        (left, right) if left.is_numeric() && right.is_numeric() => {
            let (double, single) = (|kind: &Type| *kind == Type::Float64, |kind: &Type| *kind == Type::Float32);
            match () {
                () if double(left) || double(right) => Some(Type::Float64),
                () if single(left) || single(right) => Some(Type::Float32),
                () if integer(left).is_some() && integer(right).is_some() => common_integer(left, right),
                () => {
                    let ((width, scale), (other_width, other_scale)) = (decimal_size(left)?, decimal_size(right)?);
                    let most = scale.max(other_scale);
                    let integers =
                        (i16::from(width) - i16::from(scale)).max(i16::from(other_width) - i16::from(other_scale));
                    let width = u8::try_from((integers + i16::from(most)).clamp(1, i16::from(WIDEST))).ok()?;
                    Some(Type::Decimal128(width, most))
                }
            }
        }
        (Type::Date32, Type::Timestamp(..)) => Some(right.clone()),
        (Type::Timestamp(..), Type::Date32) => Some(left.clone()),
        (Type::Timestamp(..), Type::Timestamp(_, Some(_))) => Some(right.clone()),
        (Type::Timestamp(_, Some(_)), Type::Timestamp(..)) => Some(left.clone()),
        (Type::Timestamp(..), Type::Timestamp(..)) => Some(super::types::moment(false)),
        (Type::List(left), Type::List(right)) => {
            let item = common_type(left.data_type(), right.data_type())?;
            Some(Type::List(Arc::new(left.as_ref().clone().with_data_type(item).with_nullable(true))))
        }
        _ => None,
    }
}

/// The integer type that holds the values of both: the larger one, with a sign if one of them has it.
fn common_integer(left: &DataType, right: &DataType) -> Option<DataType> {
    let (signed, bits) = integer(left)?;
    let (other_signed, other_bits) = integer(right)?;
    let bits = match (signed, other_signed) {
        (true, false) if other_bits >= bits => other_bits * 2,
        (false, true) if bits >= other_bits => bits * 2,
        _ => bits.max(other_bits),
    };
    Some(match (signed || other_signed, bits) {
        (true, 8) => DataType::Int8,
        (true, 16) => DataType::Int16,
        (true, 32) => DataType::Int32,
        (true, 64) => DataType::Int64,
        (false, 8) => DataType::UInt8,
        (false, 16) => DataType::UInt16,
        (false, 32) => DataType::UInt32,
        (false, 64) => DataType::UInt64,
        _ => HUGEINT,
    })
}

fn integer(data_type: &DataType) -> Option<(bool, u32)> {
    Some(match data_type {
        DataType::Int8 => (true, 8),
        DataType::Int16 => (true, 16),
        DataType::Int32 => (true, 32),
        DataType::Int64 => (true, 64),
        DataType::UInt8 => (false, 8),
        DataType::UInt16 => (false, 16),
        DataType::UInt32 => (false, 32),
        DataType::UInt64 => (false, 64),
        other if is_huge(other) => (true, 128),
        _ => return None,
    })
}

/// The width and scale of the DECIMAL that holds a type's values.
fn decimal_size(data_type: &DataType) -> Option<(u8, i8)> {
    Some(match data_type {
        other if is_huge(other) => (WIDEST, 0),
        DataType::Decimal32(width, scale)
        | DataType::Decimal64(width, scale)
        | DataType::Decimal128(width, scale)
        | DataType::Decimal256(width, scale) => ((*width).min(WIDEST), *scale),
        DataType::Int8 | DataType::UInt8 => (3, 0),
        DataType::Int16 | DataType::UInt16 => (5, 0),
        DataType::Int32 | DataType::UInt32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::UInt64 => (20, 0),
        _ => return None,
    })
}

/// A column as an operand of another type.
pub(super) fn operand(column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if column.data_type() == to {
        return Ok(Arc::clone(column));
    }
    let options = arrow::compute::CastOptions { safe: false, ..arrow::compute::CastOptions::default() };
    match arrow::compute::cast_with_options(column, to, &options) {
        Ok(column) => Ok(column),
        Err(_) => {
            let (from, to) = (type_name(column.data_type()), type_name(to));
            exec_err!("a value of type {from} is out of range for {to}")
        }
    }
}

/// Computes over two columns of the operands' types.
pub(super) fn compute(operator: Operator, left: &ArrayRef, right: &ArrayRef, result: &DataType) -> Result<ArrayRef> {
    macro_rules! checked {
        ($($data_type:pat => $native:ty, $name:literal;)*) => {
            match result {
                $($data_type => integers::<$native>(operator, left.as_primitive(), right.as_primitive(), $name),)*
                DataType::Float32 => floats(operator, left, right, true),
                DataType::Float64 => floats(operator, left, right, false),
                DataType::Decimal128(width, scale) => decimals(operator, left.as_primitive(), right.as_primitive(), *width, *scale),
                _ => huge(operator, left.as_primitive(), right.as_primitive()),
            }
        };
    }
    checked! {
        DataType::Int8 => Int8Type, "INT8";
        DataType::Int16 => Int16Type, "INT16";
        DataType::Int32 => Int32Type, "INT32";
        DataType::Int64 => Int64Type, "INT64";
        DataType::UInt8 => UInt8Type, "UINT8";
        DataType::UInt16 => UInt16Type, "UINT16";
        DataType::UInt32 => UInt32Type, "UINT32";
        DataType::UInt64 => UInt64Type, "UINT64";
    }
}

/// What a computation of one row gives: `None` where it does not fit, NULL inside.
type Answer<T> = Option<Option<T>>;

fn rows<T: ArrowPrimitiveType>(
    left: &PrimitiveArray<T>,
    right: &PrimitiveArray<T>,
    operator: Operator,
    type_name: &str,
    compute: impl Fn(T::Native, T::Native) -> Answer<T::Native>,
) -> Result<PrimitiveArray<T>> {
    let mut answers = Vec::with_capacity(left.len());
    for row in 0..left.len() {
        if left.is_null(row) || right.is_null(row) {
            answers.push(None);
            continue;
        }
        let (one, other) = (left.value(row), right.value(row));
        match compute(one, other) {
            Some(answer) => answers.push(answer),
            None => return exec_err!("Overflow in {} of {type_name}!", operator.noun()),
        }
    }
    Ok(answers.into_iter().collect())
}

fn integers<T>(operator: Operator, left: &PrimitiveArray<T>, right: &PrimitiveArray<T>, name: &str) -> Result<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: ArrowNativeTypeOp,
{
    let zero = T::Native::ZERO;
    let answers = rows(left, right, operator, name, |one, other| match operator {
        Operator::Add => one.add_checked(other).ok().map(Some),
        Operator::Subtract => one.sub_checked(other).ok().map(Some),
        Operator::Multiply => one.mul_checked(other).ok().map(Some),
        _ if other == zero => Some(None),
        Operator::Modulo => Some(Some(one.mod_wrapping(other))),
        _ => one.div_checked(other).ok().map(Some),
    })?;
    Ok(Arc::new(answers))
}

/// HUGEINT: 128 bits, in twice as many.
fn huge(operator: Operator, left: &Decimal256Array, right: &Decimal256Array) -> Result<ArrayRef> {
    let fits = |number: Option<i256>| number.filter(|number| number.to_i128().is_some()).map(Some);
    let answers = rows::<Decimal256Type>(left, right, operator, "INT128", |one, other| match operator {
        Operator::Add => fits(one.checked_add(other)),
        Operator::Subtract => fits(one.checked_sub(other)),
        Operator::Multiply => fits(one.checked_mul(other)),
        _ if other == i256::ZERO => Some(None),
        Operator::Modulo => Some(one.checked_rem(other)),
        _ => fits(one.checked_div(other)),
    })?;
    Ok(Arc::new(answers.with_data_type(HUGEINT)))
}

fn decimals(
    operator: Operator,
    left: &Decimal128Array,
    right: &Decimal128Array,
    width: u8,
    scale: i8,
) -> Result<ArrayRef> {
    let limit = 10_i128.checked_pow(u32::from(width)).unwrap_or(i128::MAX);
    let fits = |number: Option<i128>| number.filter(|number| number.abs() < limit).map(Some);
    let name = format!("DECIMAL({width})");
    let answers = rows::<Decimal128Type>(left, right, operator, &name, |one, other| match operator {
        Operator::Add => fits(one.checked_add(other)),
        Operator::Subtract => fits(one.checked_sub(other)),
        Operator::Multiply => fits(one.checked_mul(other)),
        _ if other == 0 => Some(None),
        _ => Some(one.checked_rem(other)),
    })?;
    Ok(Arc::new(answers.with_data_type(DataType::Decimal128(width, scale))))
}

fn floats(operator: Operator, left: &ArrayRef, right: &ArrayRef, single: bool) -> Result<ArrayRef> {
    macro_rules! floats {
        ($array:ty, $native:ty) => {{
            let (left, right) = (left.as_primitive::<$native>(), right.as_primitive::<$native>());
            let answers = left.iter().zip(right).map(|(one, other)| {
                let (one, other) = (one?, other?);
                Some(match operator {
                    Operator::Add => one + other,
                    Operator::Subtract => one - other,
                    Operator::Multiply => one * other,
                    Operator::Divide => one / other,
                    Operator::IntegerDivide if other == 0.0 => return None,
                    Operator::IntegerDivide => one / other,
                    Operator::Modulo => one % other,
                    Operator::Power => one.powf(other),
                })
            });
            Arc::new(answers.collect::<$array>())
        }};
    }
    Ok(if single { floats!(Float32Array, Float32Type) } else { floats!(Float64Array, Float64Type) })
}

/// The number with the other sign.
pub(super) fn negated(operand: &ArrayRef) -> Result<ArrayRef> {
    let data_type = operand.data_type();
    match data_type {
        other if is_huge(other) => {
            let numbers = operand.as_primitive::<Decimal256Type>();
            let zero = Decimal256Array::from_value(i256::ZERO, operand.len());
            huge(Operator::Subtract, &zero, numbers)
        }
        other if other.is_decimal() || other.is_floating() || other.is_signed_integer() => {
            match arrow::compute::kernels::numeric::neg(operand) {
                Ok(negated) => Ok(negated),
                Err(_) => exec_err!("Overflow in negation of {data_type}!"),
            }
        }
        // A type without sign holds nothing below zero.
        _ => {
            let signed = cast(operand, &HUGEINT)?;
            self::operand(&negated(&signed)?, data_type)
        }
    }
}
