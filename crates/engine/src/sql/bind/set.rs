//! UNION, INTERSECT and EXCEPT, by position and by name; VALUES.
//! Not here: UNION of a recursive query (`recursive`).
//! Called for queries made of others.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Column, ScalarValue};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr as EngineExpr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{SetExpr, SetOperator, SetQuantifier, Values};
use tapline_core::{Error, Result, codes};

use super::engine::float_decimals;
use super::expr::{Names, unsupported};
use super::scope::same;
use super::{Binder, Env};
use crate::sql::semantics;

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
        let (left, right) = self.told(of_one_type(left, right))?;
        // Names are the left side's, whatever the right side's are.
        let plan = match (op, all) {
            (SetOperator::Union, all) => LogicalPlanBuilder::from(left)
                .union(right)
                .and_then(|builder| if all { Ok(builder) } else { builder.distinct() })
                .and_then(LogicalPlanBuilder::build),
            (SetOperator::Intersect, false) => LogicalPlanBuilder::intersect(left, right, false),
            (SetOperator::Except | SetOperator::Minus, false) => LogicalPlanBuilder::except(left, right, false),
            (op, true) => self.counted(op, left, right),
        };
        self.told(plan)
    }

    /// INTERSECT ALL and EXCEPT ALL: equal rows are told apart by a number.
    fn counted(
        &self,
        op: SetOperator,
        left: LogicalPlan,
        right: LogicalPlan,
    ) -> datafusion::error::Result<LogicalPlan> {
        let width = left.schema().fields().len();
        let name = self.unique("copy");
        let numbered = |plan: LogicalPlan| {
            let all: Vec<EngineExpr> = plan.schema().columns().into_iter().map(EngineExpr::Column).collect();
            let number = row_number().partition_by(all).build()?.alias(&name);
            LogicalPlanBuilder::from(plan).window([number])?.build()
        };
        let (left, right) = (numbered(left)?, numbered(right)?);
        let plan = match op {
            SetOperator::Intersect => LogicalPlanBuilder::intersect(left, right, false)?,
            _ => LogicalPlanBuilder::except(left, right, false)?,
        };
        let columns = plan.schema().columns().into_iter().take(width).map(EngineExpr::Column).collect::<Vec<_>>();
        LogicalPlanBuilder::from(plan).project(columns)?.build()
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
        for column in 0..rows.first().map_or(0, Vec::len) {
            float_decimals(rows.iter_mut().filter_map(|row| row.get_mut(column)).collect(), scope.schema());
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

/// Both sides with columns of the types that hold the values of both.
fn of_one_type(left: LogicalPlan, right: LogicalPlan) -> datafusion::error::Result<(LogicalPlan, LogicalPlan)> {
    let types = |plan: &LogicalPlan| plan.schema().fields().iter().map(Arc::clone).collect::<Vec<FieldRef>>();
    let (own, others) = (types(&left), types(&right));
    let common: Vec<Option<DataType>> = own
        .iter()
        .zip(&others)
        .map(|(own, other)| semantics::common_type(own.data_type(), other.data_type()))
        .collect();
    let names: Vec<String> = own.iter().map(|field| field.name().clone()).collect();
    let project = |plan: LogicalPlan, fields: &[FieldRef]| {
        let columns = plan.schema().columns();
        let changed = fields
            .iter()
            .zip(&common)
            .any(|(field, common)| common.as_ref().is_some_and(|common| common != field.data_type()));
        let renamed = columns.iter().zip(&names).any(|(column, name)| column.name != *name);
        if !changed && !renamed {
            return Ok(plan);
        }
        let exprs = columns.into_iter().enumerate().map(|(index, column)| {
            let column = EngineExpr::Column(column);
            let converted = match &common[index] {
                Some(common) if common != fields[index].data_type() => semantics::cast_to(column, common),
                _ => column,
            };
            converted.alias(&names[index])
        });
        LogicalPlanBuilder::from(plan).project(exprs)?.build()
    };
    Ok((project(left, &own)?, project(right, &others)?))
}
