//! UNION, INTERSECT and EXCEPT, by position and by name; VALUES.
//! Not here: UNION of a recursive query (`recursive`).
//! Called for queries made of others.

use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Expr as EngineExpr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{SetExpr, SetOperator, SetQuantifier, Values};
use tapline_core::{Error, Result, codes};

use super::expr::{Names, unsupported};
use super::scope::same;
use super::{Binder, Env};

impl Binder<'_> {
    pub(super) fn set_operation(
        &self,
        left: SetExpr,
        op: SetOperator,
        quantifier: SetQuantifier,
        right: SetExpr,
        env: &Env<'_>,
    ) -> Result<LogicalPlan> {
        let mut left = self.body(left, None, env)?;
        let mut right = self.body(right, None, env)?;
        use SetQuantifier as By;
        if matches!(quantifier, By::ByName | By::AllByName | By::DistinctByName) {
            (left, right) = self.by_name(left, right)?;
        }
        let (columns, others) = (left.schema().fields().len(), right.schema().fields().len());
        if columns != others {
            return Err(Error::new(
                codes::SQL_005,
                format!(
                    "planning the SQL: set operations need as many columns on both sides, and there are {columns} and {others}"
                ),
            ));
        }
        let all = matches!(quantifier, By::All | By::AllByName);
        // Names are the left side's, whatever the right side's are.
        let plan = match op {
            SetOperator::Union => LogicalPlanBuilder::from(left)
                .union(right)
                .and_then(|builder| if all { Ok(builder) } else { builder.distinct() })
                .and_then(LogicalPlanBuilder::build),
            SetOperator::Intersect => LogicalPlanBuilder::intersect(left, right, all),
            SetOperator::Except | SetOperator::Minus => LogicalPlanBuilder::except(left, right, all),
        };
        self.told(plan)
    }

    /// Both sides with the columns of both, in the order in which they come.
    fn by_name(&self, left: LogicalPlan, right: LogicalPlan) -> Result<(LogicalPlan, LogicalPlan)> {
        let names = |plan: &LogicalPlan| -> Vec<String> {
            plan.schema().fields().iter().map(|field| field.name().clone()).collect()
        };
        let mut all = names(&left);
        for name in names(&right) {
            if !all.iter().any(|known| same(known, &name)) {
                all.push(name);
            }
        }
        let project = |plan: LogicalPlan| {
            let schema = plan.schema().clone();
            let exprs = all.iter().map(|name| {
                let own = schema.iter().find(|(_, field)| same(field.name(), name));
                match own {
                    Some((qualifier, field)) => EngineExpr::Column(Column::from((qualifier, field))).alias(name),
                    None => EngineExpr::Literal(ScalarValue::Null, None).alias(name),
                }
            });
            LogicalPlanBuilder::from(plan).project(exprs).and_then(LogicalPlanBuilder::build)
        };
        Ok((self.told(project(left))?, self.told(project(right))?))
    }

    /// `VALUES (…), (…)`, whose columns are `col0`, `col1` and so on.
    pub(super) fn values(&self, values: Values, env: &Env<'_>) -> Result<LogicalPlan> {
        let scope = self.empty_scope()?;
        let names = Names::of(&scope);
        let outer = env.outer_schema();
        let mut rows = Vec::with_capacity(values.rows.len());
        for row in values.rows {
            let mut bound = Vec::with_capacity(row.content.len());
            for expr in row.content {
                let expr = self.expr(expr, names, env)?;
                bound.push(self.told(self.engine.expr_within(expr, scope.schema(), outer.as_ref()))?);
            }
            rows.push(bound);
        }
        if rows.is_empty() {
            return Err(unsupported("VALUES without a row"));
        }
        let plan = self.told(LogicalPlanBuilder::values(rows).and_then(LogicalPlanBuilder::build))?;
        let exprs: Vec<EngineExpr> = plan
            .schema()
            .columns()
            .into_iter()
            .enumerate()
            .map(|(index, column)| EngineExpr::Column(column).alias(format!("col{index}")))
            .collect();
        self.told(LogicalPlanBuilder::from(plan).project(exprs).and_then(LogicalPlanBuilder::build))
    }
}
