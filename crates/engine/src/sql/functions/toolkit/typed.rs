//! Functions that are computed row by row: `kernel!`, the choice among overloads, and the function around them.
//! Not here: functions over lists and structs of any type (`general`).
//! Called by the families and the registration.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::common::{Result, internal_datafusion_err, plan_datafusion_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::values::scalar;

/// Computes a column from the columns of the arguments.
pub(crate) type Kernel = dyn Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync;

/// One list of types that a function takes.
#[derive(Clone)]
pub(crate) struct Overload {
    pub parameters: Vec<DataType>,
    pub result: Field,
    pub run: Arc<Kernel>,
}

/// An overload, from typed parameters and an expression over a row: `kernel!(|text: Text, count: Int| -> Text => …)`.
///
/// Where an argument is NULL the answer is NULL. The expression may be the answer, an `Option` or a `Result` of either.
macro_rules! kernel {
    (|| -> $result:ty => $body:expr) => {
        kernel!(| | -> $result => $body)
    };
    (|$($parameter:ident : $kind:ty),*| -> $result:ty => $body:expr) => {
        $crate::sql::functions::toolkit::typed::Overload {
            parameters: vec![$(<$kind as $crate::sql::functions::toolkit::types::Type>::data_type()),*],
            result: <$result as $crate::sql::functions::toolkit::types::Type>::field(),
            run: std::sync::Arc::new(|columns: &[arrow::array::ArrayRef], count: usize| {
                #[allow(unused_imports)]
                use arrow::array::Array as _;
                use $crate::sql::functions::toolkit::types::{Answer, Type};
                #[allow(unused_mut, unused_variables)]
                let mut columns = columns.iter();
                $(
                    let $parameter = $crate::sql::functions::toolkit::types::downcast::<$kind>(
                        columns.next().ok_or_else(|| datafusion::common::internal_datafusion_err!("an argument is missing"))?,
                    )?;
                )*
                let mut rows: Vec<Option<<$result as Type>::Item>> = Vec::with_capacity(count);
                #[allow(unused_variables)]
                for row in 0..count {
                    if false $(|| $parameter.is_null(row))* {
                        rows.push(None);
                        continue;
                    }
                    $(let $parameter = $parameter.value(row);)*
                    rows.push(Answer::<<$result as Type>::Item>::answer($body)?);
                }
                Ok(<$result as Type>::build(rows))
            }),
        }
    };
}
pub(crate) use kernel;

/// How far a type is from a parameter's; `None` where DuckDB has no implicit cast.
pub(crate) fn distance(from: &DataType, to: &DataType) -> Option<u32> {
    use DataType::*;
    if from == to {
        return Some(0);
    }
    let whole = |data_type: &DataType| match data_type {
        Int8 | UInt8 => Some(1),
        Int16 | UInt16 => Some(2),
        Int32 | UInt32 => Some(3),
        Int64 | UInt64 => Some(4),
        _ => None,
    };
    match (from, to) {
        (Null, _) => Some(1),
        (LargeUtf8 | Utf8View, Utf8) | (LargeBinary | BinaryView, Binary) => Some(0),
        (FixedSizeBinary(_), Binary) => Some(1),
        (Dictionary(_, value), _) => distance(value, to).map(|cost| cost + 1),
        (_, Decimal256(39, 0)) => whole(from).map(|rank| 30 - rank),
        (Date64, Date32) => Some(0),
        (Date32 | Date64, Timestamp(TimeUnit::Microsecond, None)) => Some(5),
        (Date32 | Date64, Timestamp(TimeUnit::Microsecond, Some(_))) => Some(8),
        (Timestamp(_, None), Timestamp(TimeUnit::Microsecond, None))
        | (Timestamp(_, Some(_)), Timestamp(TimeUnit::Microsecond, Some(_))) => Some(1),
        (Timestamp(_, None), Timestamp(TimeUnit::Microsecond, Some(_))) => Some(6),
        (Time32(_) | Time64(_), Time64(TimeUnit::Microsecond)) => Some(1),
        (Interval(_) | Duration(_), Interval(IntervalUnit::MonthDayNano)) => Some(1),
        (Float16, Float32) => Some(1),
        (Float16 | Float32, Float64) => Some(2),
        (Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..), Float64) => Some(15),
        (Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..), Float32) => Some(16),
        (List(from) | LargeList(from) | FixedSizeList(from, _), List(to)) => {
            distance(from.data_type(), to.data_type()).map(|cost| cost + 1)
        }
        (Utf8 | LargeUtf8 | Utf8View, _) => Some(100),
        _ => match (whole(from), whole(to)) {
            (Some(from_rank), Some(to_rank)) => {
                let widens = to_rank > from_rank || (to_rank == from_rank && matches!(to, Int64));
                let signs = from.is_signed_integer() && to.is_unsigned_integer();
                (widens && !signs).then(|| 2 + to_rank - from_rank)
            }
            (Some(_), None) if *to == Float64 => Some(20),
            (Some(_), None) if *to == Float32 => Some(19),
            _ => None,
        },
    }
}

/// The overload nearest to the types, if one fits.
fn choose<'a>(overloads: &'a [Overload], types: &[DataType]) -> Option<&'a Overload> {
    let cost = |overload: &Overload| -> Option<u32> {
        if overload.parameters.len() != types.len() {
            return None;
        }
        types.iter().zip(&overload.parameters).map(|(from, to)| distance(from, to)).sum()
    };
    overloads
        .iter()
        .filter_map(|overload| Some((cost(overload)?, overload)))
        .min_by_key(|(cost, _)| *cost)
        .map(|found| found.1)
}

/// A typed function under one of its names.
pub(crate) struct TypedFunction {
    name: &'static str,
    signature: Signature,
    overloads: Arc<[Overload]>,
}

impl TypedFunction {
    pub(crate) fn new(name: &'static str, volatility: Volatility, overloads: Arc<[Overload]>) -> Self {
        let nullary = overloads.iter().any(|overload| overload.parameters.is_empty());
        let signature = if nullary && overloads.len() == 1 {
            Signature::nullary(volatility)
        } else {
            Signature::user_defined(volatility)
        };
        Self { name, signature, overloads }
    }

    fn overload(&self, types: &[DataType]) -> Result<&Overload> {
        choose(&self.overloads, types).ok_or_else(|| no_match(self.name, types, &self.candidates()))
    }

    fn candidates(&self) -> Vec<String> {
        self.overloads.iter().map(|overload| call(self.name, &overload.parameters)).collect()
    }
}

/// A call as DuckDB would write its types, such as `lpad(VARCHAR, BIGINT, VARCHAR)`.
fn call(name: &str, types: &[DataType]) -> String {
    let names: Vec<String> = types.iter().map(type_name).collect();
    format!("{name}({})", names.join(", "))
}

/// DuckDB's name of a data type.
pub(crate) fn type_name(data_type: &DataType) -> String {
    tapline_core::values::duckdb_type_name(&Field::new("", data_type.clone(), true))
}

/// The error for a call that no overload takes.
pub(crate) fn no_match(name: &str, types: &[DataType], candidates: &[String]) -> datafusion::error::DataFusionError {
    let call = call(name, types);
    plan_datafusion_err!("no function matches {call}; candidates: {}", candidates.join(", "))
}

impl std::fmt::Debug for TypedFunction {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name)
    }
}

impl PartialEq for TypedFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for TypedFunction {}

impl Hash for TypedFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for TypedFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(self.overload(types)?.parameters.clone())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(self.overload(types)?.result.data_type().clone())
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = arguments.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(self.overload(&types)?.result.clone().with_name(self.name)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let types: Vec<DataType> = arguments.args.iter().map(ColumnarValue::data_type).collect();
        let overload = self.overload(&types)?;
        let (columns, rows, constant) = columns(&arguments, self.signature.volatility)?;
        wrap((overload.run)(&columns, rows)?, constant)
    }
}

/// The arguments as columns, how many rows they have, and whether one row stands for all.
pub(crate) fn columns(arguments: &ScalarFunctionArgs, volatility: Volatility) -> Result<(Vec<ArrayRef>, usize, bool)> {
    let constant = volatility != Volatility::Volatile
        && arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
    let rows = if constant { 1 } else { arguments.number_rows };
    let columns = arguments.args.iter().map(|argument| argument.to_array(rows)).collect::<Result<_>>()?;
    Ok((columns, rows, constant))
}

/// The column, or its only row where that stands for all.
pub(crate) fn wrap(column: ArrayRef, constant: bool) -> Result<ColumnarValue> {
    if !constant {
        return Ok(ColumnarValue::Array(column));
    }
    if column.len() != 1 {
        return Err(internal_datafusion_err!("a function gave {} rows for one", column.len()));
    }
    Ok(ColumnarValue::Scalar(scalar(&column, 0)?))
}
