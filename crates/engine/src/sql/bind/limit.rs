//! LIMIT and OFFSET: whole numbers, or a share of all rows.
//! Not here: limits of the sandbox.
//! Called for queries that have one.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr as EngineExpr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, cast, lit};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::sqlparser::ast::{Expr, LimitClause};
use tapline_core::{Error, Result, codes};

use super::expr::{Names, unsupported};
use super::{Binder, Env, ast};
use crate::sql::syntax::PERCENT;

impl Binder<'_> {
    pub(super) fn limited(&self, plan: LogicalPlan, limit: LimitClause, env: &Env<'_>) -> Result<LogicalPlan> {
        let (limit, offset) = match limit {
            LimitClause::LimitOffset { limit, offset, limit_by } if limit_by.is_empty() => {
                (limit, offset.map(|offset| offset.value))
            }
            LimitClause::OffsetCommaLimit { offset, limit } => (Some(limit), Some(offset)),
            LimitClause::LimitOffset { .. } => return Err(unsupported("LIMIT BY")),
        };
        let skip = match offset {
            Some(offset) => self.rows(offset, "OFFSET", env)?.unwrap_or(0),
            None => 0,
        };
        if let Some(Expr::Function(function)) = &limit
            && ast::function_name(function) == PERCENT
        {
            let share = ast::arguments(function).first().copied().cloned().unwrap_or_else(ast::null);
            let Some(percent) = self.number(share, "LIMIT", env)? else { return Ok(plan) };
            return self.share(plan, percent, skip);
        }
        let fetch = match limit {
            Some(limit) => self.rows(limit, "LIMIT", env)?,
            None => None,
        };
        self.told(LogicalPlanBuilder::from(plan).limit(skip, fetch).and_then(LogicalPlanBuilder::build))
    }

    /// The first rows, as many as a share of all of them.
    fn share(&self, plan: LogicalPlan, percent: f64, skip: usize) -> Result<LogicalPlan> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(Error::new(codes::SQL_005, "planning the SQL: LIMIT takes between 0 and 100 percent"));
        }
        let columns: Vec<EngineExpr> = plan.schema().columns().into_iter().map(EngineExpr::Column).collect();
        let (number, total) = (self.unique("number"), self.unique("total"));
        let all = EngineExpr::from(datafusion::logical_expr::expr::WindowFunction::new(
            datafusion::functions_aggregate::count::count_udaf(),
            vec![lit(1_i64)],
        ));
        let column = |name: &str| EngineExpr::Column(datafusion::common::Column::new_unqualified(name));
        let double = |name: &str| cast(column(name), DataType::Float64);
        let last = datafusion::functions::expr_fn::floor(double(&total) * lit(percent) / lit(100.0)) + lit(skip as f64);
        let within = double(&number).gt(lit(skip as f64)).and(double(&number).lt_eq(last));
        let row = self.numbered(&plan)?;
        let plan = LogicalPlanBuilder::from(plan)
            .window([row.alias(&number)])
            .and_then(|builder| builder.window([all.alias(&total)]))
            .and_then(|builder| builder.filter(within))
            .and_then(|builder| builder.sort([column(&number).sort(true, false)]))
            .and_then(|builder| builder.project(columns))
            .and_then(LogicalPlanBuilder::build);
        self.told(plan)
    }

    /// The number of each row of a plan, in the order that the plan gives its rows.
    pub(super) fn numbered(&self, plan: &LogicalPlan) -> Result<EngineExpr> {
        let sorted = match plan {
            LogicalPlan::Sort(sort) => Some(sort),
            LogicalPlan::Limit(limit) => match limit.input.as_ref() {
                LogicalPlan::Sort(sort) => Some(sort),
                _ => None,
            },
            _ => None,
        };
        match sorted {
            Some(sort) => self.told(row_number().order_by(sort.expr.clone()).build()),
            None => Ok(row_number()),
        }
    }

    fn rows(&self, expr: Expr, clause: &str, env: &Env<'_>) -> Result<Option<usize>> {
        match self.number(expr, clause, env)? {
            None => Ok(None),
            Some(rows) if (0.0..=9e15).contains(&rows) => Ok(Some(rows.round() as usize)),
            Some(_) => Err(Error::new(codes::SQL_005, format!("planning the SQL: {clause} must not be negative"))),
        }
    }

    fn number(&self, expr: Expr, clause: &str, env: &Env<'_>) -> Result<Option<f64>> {
        if let Expr::Subquery(query) = expr {
            let plan = self.query(*query, env)?;
            let plan =
                self.told(LogicalPlanBuilder::from(plan).limit(0, Some(2)).and_then(LogicalPlanBuilder::build))?;
            return match self.looked_up(plan)? {
                [] => Ok(None),
                [row] => match row.first().map(|value| value.cast_to(&DataType::Float64)) {
                    Some(Ok(ScalarValue::Float64(value))) => Ok(value),
                    _ => Err(Error::new(codes::SQL_005, format!("planning the SQL: {clause} must be a number"))),
                },
                _ => Err(Error::new(codes::SQL_005, format!("planning the SQL: {clause} must be one number"))),
            };
        }
        let scope = self.empty_scope()?;
        let bound = self.expr(expr, Names::of(&scope), env)?;
        let invalid = || {
            Error::new(codes::SQL_013, format!("planning the SQL: {clause} must be a number that is known beforehand"))
        };
        match self.constant(bound)?.map(|value| value.cast_to(&DataType::Float64)) {
            Some(Ok(ScalarValue::Float64(value))) => Ok(value),
            _ => Err(invalid()),
        }
    }

    /// The value of an expression without columns, if it has one.
    pub(super) fn constant(&self, expr: Expr) -> Result<Option<ScalarValue>> {
        let scope = self.empty_scope()?;
        let expr = self.engine_expr(expr, &scope)?;
        let context = SimplifyContext::builder()
            .with_schema(std::sync::Arc::clone(scope.schema()))
            .with_query_execution_start_time(self.engine.state().execution_props().query_execution_start_time)
            .build();
        let simplifier = ExprSimplifier::new(context);
        let simplified = simplifier.coerce(expr, scope.schema()).and_then(|expr| simplifier.simplify(expr));
        Ok(match self.told(simplified)? {
            EngineExpr::Literal(value, _) => Some(value),
            _ => None,
        })
    }
}
