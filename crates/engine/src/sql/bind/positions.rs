//! Aggregates that depend on the order of rows, over a query in FROM that has an ORDER BY: they see its order.
//! Not here: aggregates with an ORDER BY of their own.
//! Called for a SELECT before it is planned.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::{Column, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    Expr as EngineExpr, ExprFunctionExt, Filter, Limit, LogicalPlan, LogicalPlanBuilder, Sort,
};
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArgumentClause, FunctionArguments, OrderByExpr, Query, Visit, VisitMut, Visitor, VisitorMut,
};

use super::{Binder, ast};

/// Aggregates whose answer depends on the order of rows.
const ORDERED: [&str; 10] = [
    "any_value",
    "arbitrary",
    "array_agg",
    "first",
    "group_concat",
    "json_group_array",
    "last",
    "list",
    "listagg",
    "string_agg",
];

impl Binder<'_> {
    /// A plan that also tells each row's place in the order that it gives them, and the column that does so; `None` where
    /// it gives none, or where nothing in the query asks.
    pub(super) fn positioned(&self, plan: &LogicalPlan, query: &Query) -> Result<Option<(LogicalPlan, Column)>> {
        if query.visit(&mut Asking).is_continue() {
            return Ok(None);
        }
        self.with_position(plan)
    }

    fn with_position(&self, plan: &LogicalPlan) -> Result<Option<(LogicalPlan, Column)>> {
        Ok(match plan {
            LogicalPlan::SubqueryAlias(alias) => match self.with_position(&alias.input)? {
                Some((input, position)) => {
                    let plan = LogicalPlanBuilder::from(input).alias(alias.alias.clone())?.build()?;
                    Some((plan, Column::new(Some(alias.alias.clone()), position.name)))
                }
                None => None,
            },
            LogicalPlan::Projection(projection) => match self.with_position(&projection.input)? {
                Some((input, position)) => {
                    let exprs = projection.expr.iter().cloned().chain([EngineExpr::Column(position.clone())]);
                    Some((LogicalPlanBuilder::from(input).project(exprs)?.build()?, position))
                }
                None => None,
            },
            LogicalPlan::Filter(filter) => match self.with_position(&filter.input)? {
                Some((input, position)) => {
                    let filter = Filter::try_new(filter.predicate.clone(), Arc::new(input))?;
                    Some((LogicalPlan::Filter(filter), position))
                }
                None => None,
            },
            LogicalPlan::Limit(limit) => self.with_position(&limit.input)?.map(|(input, position)| {
                (LogicalPlan::Limit(Limit { input: Arc::new(input), ..limit.clone() }), position)
            }),
            LogicalPlan::Sort(sort) => {
                let name = self.unique("tapline_position");
                let row = row_number().order_by(sort.expr.clone()).build()?.alias(&name);
                let input = LogicalPlanBuilder::from(Arc::clone(&sort.input)).window([row])?.build()?;
                let plan = LogicalPlan::Sort(Sort { input: Arc::new(input), ..sort.clone() });
                Some((plan, Column::new_unqualified(name)))
            }
            _ => None,
        })
    }
}

/// Lets the aggregates of a query that depend on an order have that of a column.
pub(super) fn ordered_by(query: &mut Query, position: &Column) {
    let column = match &position.relation {
        Some(relation) => ast::column(relation.table(), &position.name),
        None => Expr::Identifier(ast::ident(&position.name)),
    };
    let _: ControlFlow<()> = query.visit(&mut Ordering { column });
}

fn asks(expr: &Expr) -> bool {
    let Expr::Function(function) = expr else { return false };
    let FunctionArguments::List(list) = &function.args else { return false };
    function.over.is_none()
        && list.duplicate_treatment.is_none()
        && ORDERED.contains(&ast::function_name(function).as_str())
        && !list.clauses.iter().any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_)))
}

struct Asking;

impl Visitor for Asking {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if asks(expr) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

struct Ordering {
    column: Expr,
}

impl VisitorMut for Ordering {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if asks(expr)
            && let Expr::Function(function) = expr
            && let FunctionArguments::List(list) = &mut function.args
        {
            let term = OrderByExpr { expr: self.column.clone(), options: Default::default(), with_fill: None };
            list.clauses.push(FunctionArgumentClause::OrderBy(vec![term]));
        }
        ControlFlow::Continue(())
    }
}
