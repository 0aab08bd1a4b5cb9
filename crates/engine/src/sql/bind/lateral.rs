//! Relations that are evaluated for each row of what stands left of them.
//! Not here: elements of lists (`unnest`).
//! Called for queries in FROM that use columns of other relations there.

use std::rc::Rc;

use datafusion::common::JoinType;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, SubqueryAlias};
use datafusion::sql::sqlparser::ast::JoinConstraint;
use tapline_core::Result;

use super::expr::{Names, unsupported};
use super::joins::{Condition, conjuncts};
use super::scope::Scope;
use super::{Binder, Env};

impl Binder<'_> {
    pub(super) fn lateral(
        &self,
        left: Scope,
        right: Scope,
        kind: JoinType,
        constraint: &JoinConstraint,
        env: &Env<'_>,
    ) -> Result<Scope> {
        if !matches!(kind, JoinType::Inner | JoinType::Left) {
            return Err(unsupported("this join with LATERAL"));
        }
        if matches!(constraint, JoinConstraint::None)
            && let Some(plan) = self.told(computed(&left.plan, &right.plan))?
        {
            let columns = left.columns.into_iter().chain(right.columns).collect();
            return Ok(Scope { columns, plan, used: left.used });
        }
        let (columns, condition) = self.constraint(&left, &right, kind, constraint)?;
        let both = Scope { columns, plan: self.pair(&left, &right)?, used: Rc::default() };
        let condition = match condition {
            Condition::None => None,
            Condition::Bound(condition) => Some(condition),
            Condition::Unbound(condition) => Some(self.expr(condition, Names::of(&both), env)?),
        };
        let condition = condition.map(|condition| self.engine_expr(condition, &both)).transpose()?;
        let conditions = condition.map_or_else(Vec::new, conjuncts);
        let plan = self.told(self.dependent_join(left.plan, right.plan, kind, conditions))?;
        Ok(Scope { columns: both.columns, plan, used: left.used })
    }
}

/// `LATERAL (SELECT expressions)` is more columns of each row.
fn computed(left: &LogicalPlan, right: &LogicalPlan) -> datafusion::error::Result<Option<LogicalPlan>> {
    let LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) = right else { return Ok(None) };
    let LogicalPlan::Projection(projection) = input.as_ref() else { return Ok(None) };
    if !matches!(projection.input.as_ref(), LogicalPlan::EmptyRelation(empty) if empty.produce_one_row) {
        return Ok(None);
    }
    let mut exprs: Vec<Expr> = left.schema().columns().into_iter().map(Expr::Column).collect();
    for (expr, field) in projection.expr.iter().zip(projection.schema.fields()) {
        let own = super::dependent::strip(expr.clone().unalias())?;
        exprs.push(own.alias_qualified(Some(alias.clone()), field.name()));
    }
    LogicalPlanBuilder::from(left.clone()).project(exprs)?.build().map(Some)
}
