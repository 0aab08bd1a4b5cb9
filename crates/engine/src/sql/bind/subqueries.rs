//! Queries in expressions: joins, as far as the engine does not make them itself.
//! Not here: how a query is freed of outer columns (`dependent`).
//! Called once for a bound statement.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, Result, ScalarValue, exec_err};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::utils::{split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    AggregateUDF, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, lit, when,
};

use super::Binder;
use super::dependent::each_outer;
use crate::sql::functions::toolkit::aggregate::{Aggregate, AggregateFunction, Group};
use crate::sql::functions::toolkit::values::scalar;

impl Binder<'_> {
    /// A plan whose queries in expressions the engine can carry out.
    pub(super) fn flattened(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        plan.transform_down_with_subqueries(|node| self.without_queries(node)).map(|flattened| flattened.data)
    }

    fn without_queries(&self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let kept = match &node {
            LogicalPlan::Projection(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_) => node.schema().columns(),
            _ => return Ok(Transformed::no(node)),
        };
        if !has_queries(&node)? {
            return Ok(Transformed::no(node));
        }
        let inputs = node.inputs();
        let Some(input) = inputs.first() else { return Ok(Transformed::no(node)) };
        let mut joined = Joined { binder: self, plan: (*input).clone(), changed: false };
        if let LogicalPlan::Filter(filter) = node {
            let conjuncts = split_conjunction_owned(filter.predicate).into_iter().map(|conjunct| match &conjunct {
                Expr::Exists(exists) if is_simple(&exists.subquery.subquery)? => Ok(conjunct),
                Expr::InSubquery(within) if is_simple(&within.subquery.subquery)? => Ok(conjunct),
                _ => joined.replaced(conjunct),
            });
            let predicate = conjuncts.collect::<Result<Vec<_>>>()?.into_iter().reduce(Expr::and).unwrap_or(lit(true));
            let builder = LogicalPlanBuilder::from(joined.plan).filter(predicate)?;
            let builder = if joined.changed { builder.project(kept.into_iter().map(Expr::Column))? } else { builder };
            return Ok(Transformed::new(builder.build()?, joined.changed, TreeNodeRecursion::Continue));
        }
        let names = datafusion::logical_expr::expr_rewriter::NamePreserver::new(&node);
        let exprs = node.expressions().into_iter().map(|expr| {
            let name = names.save(&expr);
            Ok(name.restore(joined.replaced(expr)?))
        });
        let exprs = exprs.collect::<Result<Vec<_>>>()?;
        if !joined.changed {
            return Ok(Transformed::no(node));
        }
        let plan = node.with_new_exprs(exprs, vec![joined.plan])?;
        let plan = match plan {
            LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) => plan,
            wider => LogicalPlanBuilder::from(wider).project(kept.into_iter().map(Expr::Column))?.build()?,
        };
        Ok(Transformed::yes(plan))
    }
}

/// A plan to which the queries of expressions over it are joined one by one.
struct Joined<'a, 'b> {
    binder: &'a Binder<'b>,
    plan: LogicalPlan,
    changed: bool,
}

impl Joined<'_, '_> {
    /// An expression with columns in the place of queries.
    fn replaced(&mut self, expr: Expr) -> Result<Expr> {
        expr.transform_up(|expr| {
            let column = match &expr {
                Expr::ScalarSubquery(query) if is_correlated(query)? && !is_simple(&query.subquery)? => {
                    self.value(Arc::unwrap_or_clone(Arc::clone(&query.subquery)))?
                }
                Expr::ScalarSubquery(query) if may_lack_rows(query)? => {
                    Expr::ScalarSubquery(query.with_plan(Arc::new(only_value(&query.subquery)?)))
                }
                Expr::Exists(exists) => {
                    let mark = self.marked(Arc::unwrap_or_clone(Arc::clone(&exists.subquery.subquery)), None)?;
                    if exists.negated { Expr::Not(Box::new(mark)) } else { mark }
                }
                Expr::InSubquery(within) => self.member(within)?,
                _ => return Ok(Transformed::no(expr)),
            };
            self.changed = true;
            Ok(Transformed::yes(column))
        })
        .map(|replaced| replaced.data)
    }

    /// The only value of a query, NULL where there is none.
    fn value(&mut self, query: LogicalPlan) -> Result<Expr> {
        let single = has_one_row(&query)?;
        let Some(value) = query.schema().columns().into_iter().next() else {
            return exec_err!("a query without columns");
        };
        let freed = self.binder.freed(query, &self.plan)?;
        let name = self.binder.unique("tapline_value");
        let keys: Vec<Expr> = freed.keys.iter().cloned().map(Expr::Column).collect();
        let builder = LogicalPlanBuilder::from(freed.plan.clone());
        let builder = if single {
            builder.project([Expr::Column(value).alias(&name)].into_iter().chain(keys))?
        } else {
            builder.aggregate(keys, [the_only(value).alias(&name)])?
        };
        self.join(builder.build()?, JoinType::Left, freed.conditions())?;
        Ok(Expr::Column(Column::new_unqualified(name)))
    }

    /// Whether a query has a row, one that equals a value if there is one.
    fn marked(&mut self, query: LogicalPlan, value: Option<&Expr>) -> Result<Expr> {
        let first = query.schema().columns().into_iter().next();
        let freed = self.binder.freed(query, &self.plan)?;
        let mut conditions = freed.conditions();
        let name = self.binder.unique("tapline_mark");
        let mut exprs: Vec<Expr> = freed.keys.iter().cloned().map(Expr::Column).collect();
        if let (Some(value), Some(first)) = (value, &first) {
            let member = self.binder.unique("tapline_member");
            conditions.push(value.clone().eq(Expr::Column(Column::new(Some(name.as_str()), member.as_str()))));
            exprs.push(Expr::Column(first.clone()).alias(member));
        } else if exprs.is_empty() {
            exprs.push(lit(true).alias(self.binder.unique("tapline_member")));
        }
        let mut keys = freed.keys.iter();
        // The keys are found below the name that the marked side gets.
        for condition in &mut conditions {
            if let (Expr::BinaryExpr(binary), Some(key)) = (condition, keys.next()) {
                *binary.right = Expr::Column(Column::new(Some(name.as_str()), key.name.as_str()));
            }
        }
        let right = LogicalPlanBuilder::from(freed.plan).project(exprs)?.alias(name.as_str())?.build()?;
        self.join(right, JoinType::LeftMark, conditions)?;
        let mark = Column::new(Some(name.as_str()), "mark");
        let unique = self.binder.unique("tapline_marked");
        // A second mark beside this one would have the same name to those who look by name alone.
        let columns = self.plan.schema().columns().into_iter().map(|column| match column == mark {
            true => Expr::Column(column).alias(&unique),
            false => Expr::Column(column),
        });
        self.plan = LogicalPlanBuilder::from(self.plan.clone()).project(columns.collect::<Vec<_>>())?.build()?;
        Ok(Expr::Column(Column::new_unqualified(unique)))
    }

    /// Whether a value is among those of a query: NULL where a NULL leaves that open.
    fn member(&mut self, within: &InSubquery) -> Result<Expr> {
        let query = within.subquery.subquery.as_ref();
        let Some(first) = query.schema().columns().into_iter().next() else {
            return exec_err!("a query without columns");
        };
        let mark = self.marked(query.clone(), Some(&within.expr))?;
        let freed = self.binder.freed(query.clone(), &self.plan)?;
        let (all, valid) = (self.binder.unique("tapline_all"), self.binder.unique("tapline_valid"));
        let keys: Vec<Expr> = freed.keys.iter().cloned().map(Expr::Column).collect();
        let counts = [
            count_udaf().call(vec![lit(1_i64)]).alias(&all),
            count_udaf().call(vec![Expr::Column(first)]).alias(&valid),
        ];
        let counted = LogicalPlanBuilder::from(freed.plan.clone()).aggregate(keys, counts)?.build()?;
        self.join(counted, JoinType::Left, freed.conditions())?;
        let count = |name: String| Expr::Column(Column::new_unqualified(name));
        let (all, valid) = (count(all), count(valid));
        let found = when(mark, lit(true))
            .when(all.clone().is_null().or(all.clone().eq(lit(0_i64))), lit(false))
            .when(within.expr.as_ref().clone().is_null().or(valid.lt(all)), lit(ScalarValue::Boolean(None)))
            .otherwise(lit(false))?;
        Ok(if within.negated { Expr::Not(Box::new(found)) } else { found })
    }

    fn join(&mut self, right: LogicalPlan, kind: JoinType, mut conditions: Vec<Expr>) -> Result<()> {
        if conditions.is_empty() {
            conditions.push(lit(true));
        }
        self.plan = LogicalPlanBuilder::from(self.plan.clone()).join_on(right, kind, conditions)?.build()?;
        Ok(())
    }
}

fn has_queries(node: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    node.apply_expressions(|expr| {
        found |=
            expr.exists(|expr| Ok(matches!(expr, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_))))?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Whether a query that stands for itself has a column that is never NULL, while the query's value is where no row is.
fn may_lack_rows(query: &Subquery) -> Result<bool> {
    Ok(!is_correlated(query)? && query.subquery.schema().fields().first().is_some_and(|field| !field.is_nullable()))
}

/// A query's only value as a row that is always there.
fn only_value(query: &LogicalPlan) -> Result<LogicalPlan> {
    let Some(value) = query.schema().columns().into_iter().next() else {
        return exec_err!("a query without columns");
    };
    let name = value.name.clone();
    // Two rows are enough to know that there are too many.
    LogicalPlanBuilder::from(query.clone())
        .limit(0, Some(2))?
        .aggregate(Vec::<Expr>::new(), [the_only(value).alias(name)])?
        .build()
}

fn the_only(value: Column) -> Expr {
    AggregateUDF::from(AggregateFunction::new("only_value", Arc::new(OnlyValue))).call(vec![Expr::Column(value)])
}

fn is_correlated(query: &Subquery) -> Result<bool> {
    has_outer(&query.subquery)
}

fn has_outer(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    each_outer(plan, &mut |_| found = true)?;
    Ok(found)
}

/// Whether the engine makes a good join of a query: outer columns stand only in conditions that a column equals one.
fn is_simple(plan: &LogicalPlan) -> Result<bool> {
    let used = |exprs: &[Expr]| exprs.iter().any(Expr::contains_outer);
    if !has_outer(plan)? {
        return Ok(true);
    }
    match plan {
        LogicalPlan::Projection(projection) => Ok(!used(&projection.expr) && is_simple(&projection.input)?),
        LogicalPlan::SubqueryAlias(alias) => is_simple(&alias.input),
        LogicalPlan::Aggregate(aggregate) => {
            Ok(aggregate.group_expr.is_empty() && !used(&aggregate.aggr_expr) && is_simple(&aggregate.input)?)
        }
        LogicalPlan::Filter(filter) => {
            let schema = filter.input.schema();
            let equals = |expr: &Expr| {
                if !expr.contains_outer() && !expr.exists(|expr| Ok(is_query(expr))).unwrap_or(true) {
                    return true;
                }
                let Expr::BinaryExpr(binary) = expr else { return false };
                let (column, outer) = match (binary.left.as_ref(), binary.right.as_ref()) {
                    (Expr::Column(column), Expr::OuterReferenceColumn(outer, _))
                    | (Expr::OuterReferenceColumn(outer, _), Expr::Column(column)) => (column, outer),
                    _ => return false,
                };
                let own = Expr::Column(column.clone()).get_type(schema.as_ref());
                binary.op == Operator::Eq && own.is_ok_and(|own| own == *outer.data_type())
            };
            Ok(split_conjunction(&filter.predicate).into_iter().all(equals) && is_simple(&filter.input)?)
        }
        _ => Ok(false),
    }
}

fn is_query(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_))
}

/// Whether a plan cannot give more than one row.
fn has_one_row(plan: &LogicalPlan) -> Result<bool> {
    use datafusion::logical_expr::FetchType;
    Ok(match plan {
        LogicalPlan::Projection(projection) => has_one_row(&projection.input)?,
        LogicalPlan::SubqueryAlias(alias) => has_one_row(&alias.input)?,
        LogicalPlan::Filter(filter) => has_one_row(&filter.input)?,
        LogicalPlan::Sort(sort) => has_one_row(&sort.input)?,
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Limit(limit) => matches!(limit.get_fetch_type()?, FetchType::Literal(Some(0 | 1))),
        LogicalPlan::EmptyRelation(_) => true,
        _ => false,
    })
}

/// The value of a group that may have only one row.
struct OnlyValue;

impl Aggregate for OnlyValue {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn result(&self, fields: &[FieldRef]) -> Result<Field> {
        Ok(fields[0].as_ref().clone().with_nullable(true))
    }

    fn skips_nulls(&self) -> bool {
        false
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        match group.len() {
            0 => group.null(),
            1 => scalar(&group.columns[0], 0),
            _ => exec_err!("a query gives more than one row where one value is wanted; use LIMIT 1 or an aggregate"),
        }
    }
}
