//! Comparisons of a text with a value of another type: the text is read as that type. Constant lists of texts.
//! Not here: comparisons of values of one kind, which the engine coerces.
//! Called by the engine's planner.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, binary_expr};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::cast::cast_to_field;

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

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Whether texts are read as values of a type.
fn is_read(data_type: &DataType) -> bool {
    data_type.is_numeric()
        || data_type.is_temporal()
        || matches!(data_type, DataType::Boolean | DataType::Binary | DataType::FixedSizeBinary(16))
}
