//! Comparisons of a text with a value of another type, which the text is read as, and of spans. Constant lists of texts.
//! Not here: comparisons of values of one kind, which the engine coerces.
//! Called by the engine's planner.

use arrow::datatypes::DataType;
use datafusion::common::utils::take_function_args;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    binary_expr,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::cast::cast_to_field;
use super::intervals::comparable;
use super::types::INTERVAL;

/// Plans such comparisons.
#[derive(Debug)]
pub(crate) struct Comparisons;

impl ExprPlanner for Comparisons {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let operator = match expr.op {
            BinaryOperator::Eq => Operator::Eq,
            BinaryOperator::NotEq => Operator::NotEq,
            BinaryOperator::Lt => Operator::Lt,
            BinaryOperator::LtEq => Operator::LtEq,
            BinaryOperator::Gt => Operator::Gt,
            BinaryOperator::GtEq => Operator::GtEq,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let (left, right) = (expr.left.to_field(schema)?.1, expr.right.to_field(schema)?.1);
        let RawBinaryExpr { left: one, right: other, .. } = expr.clone();
        Ok(match (is_text(left.data_type()), is_text(right.data_type())) {
            (true, false) if is_read(right.data_type()) => {
                PlannerResult::Planned(binary_expr(cast_to_field(one, &right), operator, other))
            }
            (false, true) if is_read(left.data_type()) => {
                PlannerResult::Planned(binary_expr(one, operator, cast_to_field(other, &left)))
            }
            (false, false) if is_span(left.data_type()) && is_span(right.data_type()) => {
                let comparable = ScalarUDF::from(Comparable::new());
                PlannerResult::Planned(binary_expr(comparable.call(vec![one]), operator, comparable.call(vec![other])))
            }
            _ => PlannerResult::Original(expr),
        })
    }

    fn plan_array_literal(&self, items: Vec<Expr>, _: &DFSchema) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(match constant_list(&items) {
            Some(list) => PlannerResult::Planned(list),
            None => PlannerResult::Original(items),
        })
    }
}

/// A list of constant texts as one constant.
fn constant_list(items: &[Expr]) -> Option<Expr> {
    let text = |item: &Expr| match item {
        Expr::Literal(value @ ScalarValue::Utf8(_), _) => Some(value.clone()),
        _ => None,
    };
    let items = items.iter().map(text).collect::<Option<Vec<_>>>()?;
    let list = ScalarValue::new_list_nullable(&items, &DataType::Utf8);
    Some(Expr::Literal(ScalarValue::List(list), None))
}

/// A span of time in the form in which spans compare.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Comparable {
    signature: Signature,
}

impl Comparable {
    fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Comparable {
    fn name(&self) -> &str {
        "comparable span"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [span] = take_function_args(self.name(), args.args)?;
        Ok(ColumnarValue::Array(comparable(&span.into_array(rows)?)?))
    }
}

fn is_span(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Whether texts are read as values of a type.
fn is_read(data_type: &DataType) -> bool {
    data_type.is_numeric()
        || data_type.is_temporal()
        || matches!(data_type, DataType::Boolean | DataType::Binary | DataType::FixedSizeBinary(16))
}
