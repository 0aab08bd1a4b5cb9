//! EXISTS and IN over a query where a value is wanted rather than a condition.
//! Not here: conditions, which the engine turns into joins.
//! Called for lists of SELECT.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, FunctionArg, FunctionArgExpr, Query, Select, SelectItem, SetExpr, TableFactor,
    Value, VisitMut, VisitorMut,
};
use tapline_core::Result;

use super::{Binder, ast, query_of};

impl Binder<'_> {
    /// An expression in which such predicates are counts over their queries.
    pub(super) fn as_value(&self, mut expr: Expr) -> Result<Expr> {
        let _: ControlFlow<()> = expr.visit(&mut Predicates { binder: self });
        Ok(expr)
    }

    /// The columns of a bound query, which is a relation by its name.
    fn bound_columns(&self, query: &Query) -> Option<Vec<String>> {
        let SetExpr::Select(select) = query.body.as_ref() else { return None };
        let TableFactor::Table { name, .. } = &select.from.first()?.relation else { return None };
        let plan = self.engine.registered(&super::from::part_text(name.0.last()?))?;
        Some(plan.schema().fields().iter().map(|field| field.name().clone()).collect())
    }
}

struct Predicates<'a, 'b> {
    binder: &'a Binder<'b>,
}

impl VisitorMut for Predicates<'_, '_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Exists { subquery, negated } => {
                let count = ast::function("count", vec![FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
                let Some(count) = over(subquery, Expr::Function(count)) else { return ControlFlow::Continue(()) };
                let op = if *negated { BinaryOperator::Eq } else { BinaryOperator::Gt };
                *expr = Expr::Nested(Box::new(ast::binary(count, op, ast::number("0"))));
            }
            Expr::InSubquery { expr: value, subquery, negated } => {
                let Some(columns) = self.binder.bound_columns(subquery) else { return ControlFlow::Continue(()) };
                let [column] = columns.as_slice() else { return ControlFlow::Continue(()) };
                let equal = ast::binary(Expr::Identifier(ast::ident(column)), BinaryOperator::Eq, *value.clone());
                let any = |condition: Expr| ast::call("bool_or", vec![condition]);
                let when = |condition: Expr, result: Expr| CaseWhen { condition, result };
                let found = Expr::Case {
                    case_token: AttachedToken::empty(),
                    end_token: AttachedToken::empty(),
                    operand: None,
                    conditions: vec![
                        when(any(equal.clone()), Expr::value(Value::Boolean(true))),
                        when(any(Expr::IsNull(Box::new(ast::nested(equal)))), ast::null()),
                    ],
                    else_result: Some(Box::new(Expr::value(Value::Boolean(false)))),
                };
                let Some(found) = over(subquery, found) else { return ControlFlow::Continue(()) };
                *expr = if *negated { ast::not(found) } else { found };
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// `(SELECT value FROM query)`.
fn over(query: &Query, value: Expr) -> Option<Expr> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let select = Select { projection: vec![SelectItem::UnnamedExpr(value)], ..select.as_ref().clone() };
    Some(Expr::Subquery(Box::new(query_of(SetExpr::Select(Box::new(select))))))
}
