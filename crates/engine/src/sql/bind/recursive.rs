//! `WITH RECURSIVE`: a relation that is made of its own rows.
//! Not here: how long it may go on, which is the sandbox's business.
//! Called for each relation of such a WITH.

use datafusion::common::Column;
use datafusion::logical_expr::planner::ContextProvider;
use datafusion::logical_expr::{Expr as EngineExpr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{Ident, Query, SetExpr, SetOperator, SetQuantifier};
use tapline_core::{Error, Result, codes};

use super::{Binder, Env};
use crate::sql::semantics;

impl Binder<'_> {
    pub(super) fn recursive(&self, name: &str, columns: &[Ident], query: Query, env: &Env<'_>) -> Result<LogicalPlan> {
        let union = matches!(query.body.as_ref(), SetExpr::SetOperation { op: SetOperator::Union, .. });
        if !union || query.order_by.is_some() || query.limit_clause.is_some() {
            return self.renamed(self.query(query, env)?, columns);
        }
        let Query { with, body, .. } = query;
        let env = match with {
            Some(with) => self.with(with, env)?,
            None => env.clone(),
        };
        let SetExpr::SetOperation { left, set_quantifier, right, .. } = *body else {
            return Err(Error::internal("a union is no union"));
        };
        let start = self.renamed(self.body(*left, None, &env)?, columns)?;
        let work = self.unique(name);
        let schema = std::sync::Arc::clone(start.schema().inner());
        let source = self.told(self.engine.create_cte_work_table(&work, schema))?;
        let scan =
            self.told(LogicalPlanBuilder::scan(work.as_str(), source, None).and_then(LogicalPlanBuilder::build))?;
        let step = self.body(*right, None, &env.with_cte(name, scan))?;
        let (columns, others) = (start.schema().fields().len(), step.schema().fields().len());
        if columns != others {
            return Err(Error::new(
                codes::SQL_005,
                format!("planning the SQL: \"{name}\" has {columns} columns at its start and {others} in its steps"),
            ));
        }
        // Steps have the types and names of the start.
        let exprs: Vec<EngineExpr> = step
            .schema()
            .iter()
            .zip(start.schema().fields())
            .map(|((qualifier, field), wanted)| {
                let column = EngineExpr::Column(Column::from((qualifier, field)));
                semantics::cast_to(column, wanted.data_type()).alias(wanted.name().clone())
            })
            .collect();
        let distinct = !matches!(set_quantifier, SetQuantifier::All);
        let plan = LogicalPlanBuilder::from(step)
            .project(exprs)
            .and_then(LogicalPlanBuilder::build)
            .and_then(|step| LogicalPlanBuilder::from(start).to_recursive_query(work, step, distinct))
            .and_then(LogicalPlanBuilder::build);
        self.told(plan)
    }
}
