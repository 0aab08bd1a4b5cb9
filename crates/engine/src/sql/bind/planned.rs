//! A relation that is planned already, as a leaf of the plan above it while that is made: what is settled inside it is not
//! looked at again.
//! Not here: planning (`engine`).
//! Called by the engine's planner.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchemaRef, Result};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, Subquery, UserDefinedLogicalNodeCore};

/// The leaf.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Planned {
    name: String,
    schema: DFSchemaRef,
}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.name.partial_cmp(&other.name)
    }
}

impl UserDefinedLogicalNodeCore for Planned {
    fn name(&self) -> &str {
        "Planned"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        Vec::new()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, _: Vec<LogicalPlan>) -> Result<Self> {
        Ok(self.clone())
    }
}

/// The leaf that stands for a plan.
pub(super) fn leaf(name: &str, plan: &LogicalPlan) -> LogicalPlan {
    let node = Planned { name: name.to_owned(), schema: Arc::clone(plan.schema()) };
    LogicalPlan::Extension(Extension { node: Arc::new(node) })
}

/// A plan with the plans that its leaves stand for.
pub(super) fn opened(plan: LogicalPlan, find: &dyn Fn(&str) -> Option<LogicalPlan>) -> Result<LogicalPlan> {
    plan.transform_up(|node| {
        let planned = match &node {
            LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref::<Planned>(),
            _ => None,
        };
        if let Some(plan) = planned.and_then(|planned| find(&planned.name)) {
            return Ok(Transformed::yes(plan));
        }
        node.map_expressions(|expr| opened_expr(expr, find))
    })
    .map(|opened| opened.data)
}

/// As [`opened`], for the queries of an expression.
pub(super) fn opened_expr(expr: Expr, find: &dyn Fn(&str) -> Option<LogicalPlan>) -> Result<Transformed<Expr>> {
    let inner = |query: Subquery| -> Result<Subquery> {
        let plan = opened(Arc::unwrap_or_clone(query.subquery), find)?;
        Ok(Subquery { outer_ref_columns: plan.all_out_ref_exprs(), subquery: Arc::new(plan), spans: query.spans })
    };
    expr.transform_up(|expr| {
        Ok(match expr {
            Expr::ScalarSubquery(query) => Transformed::yes(Expr::ScalarSubquery(inner(query)?)),
            Expr::Exists(mut exists) => {
                exists.subquery = inner(exists.subquery)?;
                Transformed::yes(Expr::Exists(exists))
            }
            Expr::InSubquery(mut within) => {
                within.subquery = inner(within.subquery)?;
                Transformed::yes(Expr::InSubquery(within))
            }
            other => Transformed::no(other),
        })
    })
}
