//! `+`, `-`, `*`, `/`, `//`, `%` and `**`: which types they take and give.
//! Not here: numbers of one type (`numbers`), spans of time (`intervals`), other operators.
//! Called by the query engine.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::cast;
use arrow::compute::kernels::numeric;
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use tapline_core::values::duckdb_type_name;

use super::types::{HUGEINT, INTERVAL, moment, plain};
use super::{intervals, numbers};

/// An operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    IntegerDivide,
    Modulo,
    Power,
}

impl Operator {
    /// What an overflow of it is called.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Add => "addition",
            Self::Subtract => "subtraction",
            Self::Multiply => "multiplication",
            Self::Divide | Self::IntegerDivide => "division",
            Self::Modulo => "modulo",
            Self::Power => "power",
        }
    }
}

/// All operators, by their signs and by their names.
pub(super) fn functions() -> Vec<ScalarUDF> {
    use Operator as Op;
    [
        ("+", Op::Add),
        ("add", Op::Add),
        ("-", Op::Subtract),
        ("subtract", Op::Subtract),
        ("*", Op::Multiply),
        ("multiply", Op::Multiply),
        ("/", Op::Divide),
        ("//", Op::IntegerDivide),
        ("divide", Op::IntegerDivide),
        ("%", Op::Modulo),
        ("mod", Op::Modulo),
        ("**", Op::Power),
    ]
    .into_iter()
    .map(|(name, operator)| ScalarUDF::new_from_impl(Arithmetic::new(name, operator)))
    .collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Arithmetic {
    name: &'static str,
    operator: Operator,
    signature: Signature,
}

impl Arithmetic {
    fn new(name: &'static str, operator: Operator) -> Self {
        let operands = match operator {
            Operator::Add | Operator::Subtract => {
                TypeSignature::OneOf(vec![TypeSignature::Any(1), TypeSignature::Any(2)])
            }
            _ => TypeSignature::Any(2),
        };
        Self { name, operator, signature: Signature::new(operands, Volatility::Immutable) }
    }

    fn no_match(&self, fields: &[FieldRef]) -> datafusion::error::DataFusionError {
        let types: Vec<String> = fields.iter().map(|field| duckdb_type_name(field)).collect();
        datafusion::common::plan_datafusion_err!(
            "No function matches the given name and argument types '{}({})'. You might need to add explicit type casts",
            self.name,
            types.join(", ")
        )
    }
}

/// What an operator does with two operands.
#[derive(Debug, Clone, PartialEq)]
enum Plan {
    /// Both are converted to a type, and the answer has another.
    Numbers { operands: (DataType, DataType), result: DataType },
    /// A date and days.
    Days,
    /// The days between two dates.
    DateDifference,
    /// Moments and a span; the moment stands on the right side where `swapped`.
    Shifted { moment: DataType, swapped: bool },
    /// The span between two moments.
    Difference { zone: bool },
    /// A date and a time of day; the time stands on the left side where `swapped`.
    DateAndTime { swapped: bool },
    /// A time of day and a span.
    Clock { swapped: bool },
    /// Two spans.
    Spans,
    /// A span by a number; the span stands on the right side where `swapped`.
    Scaled { swapped: bool },
    /// NULL.
    Nothing(DataType),
}

impl Plan {
    fn result(&self) -> DataType {
        match self {
            Self::Numbers { result, .. } => result.clone(),
            Self::Days => DataType::Date32,
            Self::DateDifference => DataType::Int64,
            Self::Shifted { moment, .. } => moment.clone(),
            Self::Difference { .. } | Self::Spans | Self::Scaled { .. } => INTERVAL,
            Self::DateAndTime { .. } => moment(false),
            Self::Clock { .. } => DataType::Time64(TimeUnit::Microsecond),
            Self::Nothing(data_type) => data_type.clone(),
        }
    }
}

/// The place of a type among those with a time.
fn is_moment(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(..))
}

fn planned(operator: Operator, left: &DataType, right: &DataType) -> Option<Plan> {
    use Operator as Op;
    let (date, time) = (DataType::Date32, |data_type: &DataType| matches!(data_type, DataType::Time64(_)));
    let number = |data_type: &DataType| data_type.is_numeric();
    let shifted = |data_type: &DataType, swapped: bool| Plan::Shifted {
        moment: match data_type {
            DataType::Timestamp(_, Some(_)) => moment(true),
            _ => moment(false),
        },
        swapped,
    };
    let span = |data_type: &DataType| matches!(data_type, DataType::Interval(_) | DataType::Duration(_));
    Some(match (operator, left, right) {
        (_, DataType::Null, DataType::Null) => Plan::Nothing(DataType::Int32),
        (_, DataType::Null, other) | (_, other, DataType::Null) => {
            let other = if span(other) && number(left) { left } else { other };
            match operator {
                _ if is_text(other) => return None,
                Op::Divide if number(other) => Plan::Nothing(DataType::Float64),
                Op::Power => Plan::Nothing(DataType::Float64),
                _ => Plan::Nothing(other.clone()),
            }
        }
        (_, left, right) if number(left) && number(right) => {
            let (operands, result) = numbers::types(operator, left, right)?;
            Plan::Numbers { operands, result }
        }
        (Op::Add | Op::Subtract, left, right) if *left == date && right.is_integer() => Plan::Days,
        (Op::Add, left, right) if left.is_integer() && *right == date => Plan::Days,
        (Op::Subtract, left, right) if *left == date && *right == date => Plan::DateDifference,
        (Op::Add | Op::Subtract, left, right) if (*left == date || is_moment(left)) && span(right) => {
            shifted(left, false)
        }
        (Op::Add, left, right) if span(left) && (*right == date || is_moment(right)) => shifted(right, true),
        (Op::Subtract, left, right) if (is_moment(left) || *left == date) && (is_moment(right) || *right == date) => {
            let zoned = |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, Some(_)));
            Plan::Difference { zone: zoned(left) || zoned(right) }
        }
        (Op::Add, left, right) if *left == date && time(right) => Plan::DateAndTime { swapped: false },
        (Op::Add, left, right) if time(left) && *right == date => Plan::DateAndTime { swapped: true },
        (Op::Add | Op::Subtract, left, right) if time(left) && span(right) => Plan::Clock { swapped: false },
        (Op::Add, left, right) if span(left) && time(right) => Plan::Clock { swapped: true },
        (Op::Add | Op::Subtract, left, right) if span(left) && span(right) => Plan::Spans,
        (Op::Multiply | Op::Divide, left, right) if span(left) && number(right) => Plan::Scaled { swapped: false },
        (Op::Multiply, left, right) if number(left) && span(right) => Plan::Scaled { swapped: true },
        _ => return None,
    })
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let fields: Vec<FieldRef> = types.iter().map(|kind| Arc::new(Field::new("", kind.clone(), true))).collect();
        Ok(self.field(&fields)?.data_type().clone())
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(self.field(arguments.arg_fields)?))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?;
        let answer = match columns.as_slice() {
            [only] => self.unary(only)?,
            [left, right] => self.binary(left, right)?,
            _ => return exec_err!("{} takes one or two operands", self.name),
        };
        columnar(answer, constant)
    }
}

/// A column as the engine takes it: one value where all operands were one.
pub(super) fn columnar(column: ArrayRef, constant: bool) -> Result<ColumnarValue> {
    Ok(match constant {
        true => ColumnarValue::Scalar(ScalarValue::try_from_array(&column, 0)?),
        false => ColumnarValue::Array(column),
    })
}

impl Arithmetic {
    fn field(&self, fields: &[FieldRef]) -> Result<Field> {
        let data_type = match fields {
            [only] => match only.data_type() {
                DataType::Null => DataType::Int32,
                other if other.is_numeric() || *other == INTERVAL => other.clone(),
                _ => return Err(self.no_match(fields)),
            },
            [left, right] => match planned(self.operator, left.data_type(), right.data_type()) {
                Some(plan) => plan.result(),
                None => return Err(self.no_match(fields)),
            },
            _ => return plan_err!("{} takes one or two operands", self.name),
        };
        if let DataType::Decimal128(width, scale) = data_type
            && i64::from(scale) > i64::from(width)
        {
            return plan_err!(
                "Needed scale {scale} to accurately represent the multiplication result, but this is out of range of \
                 the DECIMAL type. Max scale is 38; could not perform an accurate multiplication. Add a cast to DOUBLE"
            );
        }
        Ok(plain(data_type).with_name(self.name))
    }

    fn unary(&self, operand: &ArrayRef) -> Result<ArrayRef> {
        if operand.data_type().is_null() {
            return Ok(new_null_array(&DataType::Int32, operand.len()));
        }
        match self.operator {
            Operator::Add => Ok(Arc::clone(operand)),
            _ if *operand.data_type() == INTERVAL => intervals::negated(operand),
            _ => numbers::negated(operand),
        }
    }

    fn binary(&self, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
        let Some(plan) = planned(self.operator, left.data_type(), right.data_type()) else {
            return exec_err!("{} has no meaning for its operands", self.name);
        };
        let out_of_range = |answer: std::result::Result<ArrayRef, arrow::error::ArrowError>| match answer {
            Ok(answer) => Ok(answer),
            Err(_) => exec_err!("Overflow in {} of moments!", self.operator.noun()),
        };
        match plan {
            Plan::Nothing(data_type) => Ok(new_null_array(&data_type, left.len())),
            Plan::Numbers { operands, result } => {
                let left = numbers::operand(left, &operands.0)?;
                let right = numbers::operand(right, &operands.1)?;
                numbers::compute(self.operator, &left, &right, &result)
            }
            Plan::Days => {
                let (date, days) = if *left.data_type() == DataType::Date32 { (left, right) } else { (right, left) };
                let days = numbers::operand(days, &DataType::Int32)?;
                let date = cast(date, &DataType::Int32)?;
                let moved = match self.operator {
                    Operator::Subtract => numeric::sub(&date, &days),
                    _ => numeric::add(&date, &days),
                };
                Ok(cast(&out_of_range(moved)?, &DataType::Date32)?)
            }
            Plan::DateDifference => {
                let days = |column: &ArrayRef| -> Result<ArrayRef> {
                    Ok(cast(&cast(column, &DataType::Int32)?, &DataType::Int64)?)
                };
                Ok(numeric::sub(&days(left)?, &days(right)?)?)
            }
            Plan::Shifted { moment, swapped } => {
                let (at, span) = if swapped { (right, left) } else { (left, right) };
                let (at, span) = (cast(at, &moment)?, intervals::normalized(span)?);
                out_of_range(match self.operator {
                    Operator::Subtract => numeric::sub(&at, &span),
                    _ => numeric::add(&at, &span),
                })
            }
            Plan::Difference { zone } => {
                let moments = moment(zone);
                intervals::between(&cast(left, &moments)?, &cast(right, &moments)?)
            }
            Plan::DateAndTime { swapped } => {
                let (date, time) = if swapped { (right, left) } else { (left, right) };
                let date = cast(&cast(date, &moment(false))?, &DataType::Int64)?;
                let time = cast(&cast(time, &DataType::Time64(TimeUnit::Microsecond))?, &DataType::Int64)?;
                Ok(cast(&out_of_range(numeric::add(&date, &time))?, &moment(false))?)
            }
            Plan::Clock { swapped } => {
                let (time, span) = if swapped { (right, left) } else { (left, right) };
                intervals::clock(time, &intervals::normalized(span)?, self.operator == Operator::Subtract)
            }
            Plan::Spans => {
                let (left, right) = (intervals::normalized(left)?, intervals::normalized(right)?);
                out_of_range(match self.operator {
                    Operator::Subtract => numeric::sub(&left, &right),
                    _ => numeric::add(&left, &right),
                })
            }
            Plan::Scaled { swapped } => {
                let (span, by) = if swapped { (right, left) } else { (left, right) };
                let by = cast(by, &DataType::Float64)?;
                intervals::scaled(&intervals::normalized(span)?, &by, self.operator == Operator::Divide)
            }
        }
    }
}

/// Whether a type is HUGEINT's.
pub(super) fn is_huge(data_type: &DataType) -> bool {
    *data_type == HUGEINT
}
