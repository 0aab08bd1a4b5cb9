//! `value::TYPE` and `TRY_CAST(value AS TYPE)` as functions of a value and the name of a type.
//! Not here: how values are converted (`convert`).
//! Called by the query engine, and by the planner for constants.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::convert::convert;
use super::types;

/// The name of a cast that fails where a value does not fit.
const STRICT: &str = "::";
/// The name of a cast that gives NULL there.
const LENIENT: &str = "try ::";

/// A cast.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Cast {
    lenient: bool,
    signature: Signature,
}

impl Cast {
    pub(super) fn new(lenient: bool) -> Self {
        Self { lenient, signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Cast {
    fn name(&self) -> &str {
        if self.lenient { LENIENT } else { STRICT }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        exec_err!("the type of a cast is in its arguments")
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match arguments.scalar_arguments {
            [_, Some(ScalarValue::Utf8(Some(name)))] => Ok(Arc::new(types::parse(name)?.with_name(self.name()))),
            _ => plan_err!("the type of a cast is a constant"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (from, to) = (&arguments.arg_fields[0], &arguments.return_field);
        match &arguments.args[0] {
            ColumnarValue::Scalar(value) => {
                let converted = convert(&value.to_array()?, from, to, self.lenient)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&converted, 0)?))
            }
            ColumnarValue::Array(array) => Ok(ColumnarValue::Array(convert(array, from, to, self.lenient)?)),
        }
    }
}

/// A cast of an expression to a type.
pub(crate) fn cast_to(expr: Expr, to: &DataType) -> Expr {
    cast_to_field(expr, &types::plain(to.clone()))
}

/// A cast of an expression to a field's type.
pub(super) fn cast_to_field(expr: Expr, to: &Field) -> Expr {
    let name = match (tapline_core::values::duckdb_type_name(to), to.data_type()) {
        (_, DataType::FixedSizeBinary(16)) => "UUID".to_owned(),
        (name, _) => name,
    };
    let function = Arc::new(datafusion::logical_expr::ScalarUDF::new_from_impl(Cast::new(false)));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![expr, datafusion::logical_expr::lit(name)]))
}

/// The value of a cast of a constant; `None` for anything else. A constant that does not fit its type is an error where
/// the cast runs, which may be nowhere.
pub(crate) fn folded(function: &ScalarFunction) -> Result<Option<Expr>> {
    let lenient = match function.func.name() {
        STRICT => false,
        LENIENT => true,
        _ => return Ok(None),
    };
    let [Expr::Literal(value, metadata), Expr::Literal(ScalarValue::Utf8(Some(name)), _)] = function.args.as_slice()
    else {
        return Ok(None);
    };
    let to = types::parse(name)?;
    let mut from = Field::new("", value.data_type(), true);
    if let Some(metadata) = metadata {
        from = metadata.add_to_field(from);
    }
    let converted = match convert(&value.to_array()?, &from, &to, lenient) {
        Ok(converted) if converted.data_type() == to.data_type() => converted,
        _ => return Ok(None),
    };
    let metadata = (!to.metadata().is_empty()).then(|| (&to).into());
    Ok(Some(Expr::Literal(ScalarValue::try_from_array(&converted, 0)?, metadata)))
}
