//! Comparisons with the rows of a query: ANY, ALL, and IN for several columns at once.
//! Not here: IN for one column, which is a join of its own (`subqueries`).
//! Called for expressions.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, Query, Select, SelectItem, SetExpr, TableFactor, Value,
};
use tapline_core::{Error, Result, codes};

use super::expr::unsupported;
use super::{Binder, ast, query_of};

impl Binder<'_> {
    /// Whether a comparison holds for a row of a bound query; NULL where that is open.
    pub(super) fn any_of_query(&self, left: Expr, op: BinaryOperator, query: &Query) -> Result<Expr> {
        let (select, columns) = self.bound_columns(query)?;
        let [column] = columns.as_slice() else { return Err(unsupported("ANY or ALL over several columns")) };
        let holds = ast::binary(left, op, Expr::Identifier(ast::ident(column)));
        let any = |condition: Expr| ast::call("bool_or", vec![condition]);
        let when = |condition: Expr, result: Expr| CaseWhen { condition, result };
        let found = Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: None,
            conditions: vec![
                when(any(holds.clone()), Expr::value(Value::Boolean(true))),
                when(any(Expr::IsNull(Box::new(ast::nested(holds)))), ast::null()),
            ],
            else_result: Some(Box::new(Expr::value(Value::Boolean(false)))),
        };
        let select = Select { projection: vec![SelectItem::UnnamedExpr(found)], ..select };
        Ok(Expr::Subquery(Box::new(query_of(SetExpr::Select(Box::new(select))))))
    }

    /// Whether values are a row of a bound query.
    pub(super) fn row_in_query(&self, values: Vec<Expr>, query: Query, negated: bool) -> Result<Expr> {
        let (select, columns) = self.bound_columns(&query)?;
        if let [_] = columns.as_slice() {
            let expr = Box::new(ast::call("row", values));
            return Ok(Expr::InSubquery { expr, subquery: Box::new(query), negated });
        }
        if values.len() != columns.len() {
            let message =
                format!("planning the SQL: IN compares {} values with {} columns", values.len(), columns.len());
            return Err(Error::new(codes::SQL_005, message));
        }
        let equal = columns.iter().zip(values);
        let equal =
            equal.map(|(name, value)| ast::binary(Expr::Identifier(ast::ident(name)), BinaryOperator::Eq, value));
        let select = Select { selection: ast::all_of(equal), ..select };
        Ok(Expr::Exists { subquery: Box::new(query_of(SetExpr::Select(Box::new(select)))), negated })
    }

    /// The SELECT that a bound query is, and the columns that it gives.
    fn bound_columns(&self, query: &Query) -> Result<(Select, Vec<String>)> {
        let bound = match query.body.as_ref() {
            SetExpr::Select(select) => match select.from.first().map(|from| &from.relation) {
                Some(TableFactor::Table { name, .. }) => {
                    let name = name.0.last().map(super::from::part_text).unwrap_or_default();
                    self.engine.registered(&name).map(|plan| (select.as_ref().clone(), plan))
                }
                _ => None,
            },
            _ => None,
        };
        let (select, plan) = bound.ok_or_else(|| Error::internal("a query has not been bound"))?;
        Ok((select, plan.schema().fields().iter().map(|field| field.name().clone()).collect()))
    }
}

/// The comparison that holds where another does not.
pub(super) fn opposite(op: &BinaryOperator) -> Option<BinaryOperator> {
    Some(match op {
        BinaryOperator::Eq => BinaryOperator::NotEq,
        BinaryOperator::NotEq => BinaryOperator::Eq,
        BinaryOperator::Lt => BinaryOperator::GtEq,
        BinaryOperator::LtEq => BinaryOperator::Gt,
        BinaryOperator::Gt => BinaryOperator::LtEq,
        BinaryOperator::GtEq => BinaryOperator::Lt,
        _ => return None,
    })
}
