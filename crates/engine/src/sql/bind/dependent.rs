//! Queries that use columns of the query around them, as joins: their rows for all values of those columns at once.
//! Not here: expressions that hold such queries (`subqueries`).
//! Called for queries in expressions and for lateral relations.
//!
//! The distinct values of the outer columns are joined to the inner query at its leaves. Every operator above keeps them
//! beside its own columns: groups, partitions and limits become those of one combination of values each.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, NullEquality, Result, not_impl_err};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Aggregate, Distinct, DistinctOn, Expr, ExprFunctionExt, FetchType, Join, LogicalPlan, LogicalPlanBuilder, SkipType,
    Sort, SortExpr, Subquery, Union, Window, lit,
};

use super::Binder;

/// The outer columns that an inner query uses, with all their values.
struct Domain {
    outer: Vec<Column>,
    values: LogicalPlan,
}

/// An inner query without outer columns: the columns that hold their values are `keys`.
pub(super) struct Freed {
    pub(super) plan: LogicalPlan,
    pub(super) keys: Vec<Column>,
    /// What the keys are in the query around.
    pub(super) outer: Vec<Column>,
}

impl Freed {
    /// That a row of the inner query is one for a row of the outer one.
    pub(super) fn conditions(&self) -> Vec<Expr> {
        equal(&self.outer, &self.keys)
    }
}

impl Binder<'_> {
    /// Joins a relation to one that may use its columns.
    pub(super) fn dependent_join(
        &self,
        left: LogicalPlan,
        right: LogicalPlan,
        kind: JoinType,
        conditions: Vec<Expr>,
    ) -> Result<LogicalPlan> {
        let right = self.freed(right, &left)?;
        let mut conditions: Vec<Expr> = conditions.into_iter().chain(right.conditions()).collect();
        if conditions.is_empty() {
            conditions.push(lit(true));
        }
        LogicalPlanBuilder::from(left).join_on(right.plan, kind, conditions)?.build()
    }

    /// A query that may use columns of a plan, freed of them.
    pub(super) fn freed(&self, plan: LogicalPlan, around: &LogicalPlan) -> Result<Freed> {
        let outer = outer_columns(&plan, around.schema())?;
        if outer.is_empty() {
            return Ok(Freed { plan, keys: Vec::new(), outer });
        }
        let columns = outer.iter().cloned().map(Expr::Column);
        let values = LogicalPlanBuilder::from(around.clone()).project(columns)?.distinct()?.build()?;
        let (plan, keys) = self.pushed(plan, &Domain { outer: outer.clone(), values })?;
        Ok(Freed { plan, keys, outer })
    }

    /// The values of the outer columns under names of their own.
    fn copy(&self, domain: &Domain) -> Result<(LogicalPlan, Vec<Column>)> {
        let named = domain.outer.iter().map(|column| (Expr::Column(column.clone()), self.unique("tapline_outer")));
        let (exprs, keys): (Vec<_>, Vec<_>) =
            named.map(|(expr, name)| (expr.alias(&name), Column::new_unqualified(name))).unzip();
        Ok((LogicalPlanBuilder::from(domain.values.clone()).project(exprs)?.build()?, keys))
    }

    /// A plan that gives its rows for every combination of the outer columns' values, and the columns that hold those.
    fn pushed(&self, plan: LogicalPlan, domain: &Domain) -> Result<(LogicalPlan, Vec<Column>)> {
        if !uses(&plan, &domain.outer)? {
            let (values, keys) = self.copy(domain)?;
            let plan = match plan {
                LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => values,
                plan => LogicalPlanBuilder::from(plan).cross_join(values)?.build()?,
            };
            return Ok((plan, keys));
        }
        let below = |input: Arc<LogicalPlan>| self.pushed(Arc::unwrap_or_clone(input), domain);
        match plan {
            LogicalPlan::Filter(filter) => {
                let (input, keys) = below(filter.input)?;
                let predicate = replaced(filter.predicate, &domain.outer, &keys)?;
                Ok((LogicalPlanBuilder::from(input).filter(predicate)?.build()?, keys))
            }
            LogicalPlan::Projection(projection) => {
                let names = NamePreserver::new_for_projection();
                let (input, keys) = below(projection.input)?;
                let exprs = preserved(projection.expr, &names, |expr| replaced(expr, &domain.outer, &keys))?;
                let exprs = exprs.into_iter().chain(columns(&keys));
                Ok((LogicalPlanBuilder::from(input).project(exprs)?.build()?, keys))
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let (input, keys) = below(alias.input)?;
                let keys = keys.into_iter().map(|key| Column::new(Some(alias.alias.clone()), key.name)).collect();
                Ok((LogicalPlanBuilder::from(input).alias(alias.alias)?.build()?, keys))
            }
            LogicalPlan::Aggregate(aggregate) => self.grouped(aggregate, domain),
            LogicalPlan::Sort(Sort { expr, input, fetch: None }) => {
                let (input, keys) = below(input)?;
                let order = sorted(expr, &domain.outer, &keys)?;
                Ok((LogicalPlanBuilder::from(input).sort(order)?.build()?, keys))
            }
            LogicalPlan::Limit(limit) => {
                let (SkipType::Literal(skip), FetchType::Literal(fetch)) =
                    (limit.get_skip_type()?, limit.get_fetch_type()?)
                else {
                    return not_impl_err!("LIMIT by an outer column");
                };
                let shown: Vec<Expr> = limit.input.schema().columns().into_iter().map(Expr::Column).collect();
                let (input, keys, number) = self.counted_within(Arc::unwrap_or_clone(limit.input), domain)?;
                let number = Expr::Column(number);
                let mut within = number.clone().gt(lit(skip as u64));
                if let Some(fetch) = fetch {
                    within = within.and(number.lt_eq(lit(skip.saturating_add(fetch) as u64)));
                }
                let exprs = shown.into_iter().chain(columns(&keys));
                Ok((LogicalPlanBuilder::from(input).filter(within)?.project(exprs)?.build()?, keys))
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let (input, keys) = below(input)?;
                Ok((LogicalPlanBuilder::from(input).distinct()?.build()?, keys))
            }
            LogicalPlan::Distinct(Distinct::On(DistinctOn { on_expr, select_expr, sort_expr, input, .. })) => {
                let (input, keys) = below(input)?;
                let replace = |expr| replaced(expr, &domain.outer, &keys);
                let names = NamePreserver::new_for_projection();
                let on = on_expr.into_iter().map(replace).collect::<Result<Vec<_>>>()?;
                let listed = preserved(select_expr, &names, replace)?.into_iter().chain(columns(&keys)).collect();
                let sort = sort_expr.map(|sort| sorted(sort, &domain.outer, &keys)).transpose()?.map(|mut sort| {
                    let rest = sort.split_off(on.len().min(sort.len()));
                    sort.extend(columns(&keys).map(|key| key.sort(true, false)));
                    sort.extend(rest);
                    sort
                });
                let on = on.into_iter().chain(columns(&keys)).collect();
                Ok((LogicalPlanBuilder::from(input).distinct_on(on, listed, sort)?.build()?, keys))
            }
            LogicalPlan::Window(window) => {
                let names = NamePreserver::new_for_projection();
                let (input, keys) = below(window.input)?;
                let exprs = preserved(window.window_expr, &names, |expr| {
                    let expr = expr.transform(|expr| match expr {
                        Expr::WindowFunction(mut function) => {
                            function.params.partition_by.extend(columns(&keys));
                            Ok(Transformed::yes(Expr::WindowFunction(function)))
                        }
                        other => Ok(Transformed::no(other)),
                    })?;
                    replaced(expr.data, &domain.outer, &keys)
                })?;
                Ok((LogicalPlan::Window(Window::try_new(exprs, Arc::new(input))?), keys))
            }
            LogicalPlan::Join(join) => self.joined(join, domain),
            LogicalPlan::Union(union) => self.united(union, domain),
            LogicalPlan::Unnest(unnest) => {
                let (input, keys) = below(unnest.input)?;
                let builder = LogicalPlanBuilder::from(input);
                Ok((builder.unnest_columns_with_options(unnest.exec_columns, unnest.options)?.build()?, keys))
            }
            _ => not_impl_err!("a column of the query around at this place"),
        }
    }

    /// Aggregates of each combination. Without groups there is a row for each, even where no row is aggregated.
    fn grouped(&self, aggregate: Aggregate, domain: &Domain) -> Result<(LogicalPlan, Vec<Column>)> {
        let Aggregate { input, group_expr, aggr_expr, .. } = aggregate;
        if group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
            return not_impl_err!("grouping sets with a column of the query around");
        }
        let names = NamePreserver::new_for_projection();
        let (input, keys) = self.pushed(Arc::unwrap_or_clone(input), domain)?;
        let replace = |expr| replaced(expr, &domain.outer, &keys);
        if !group_expr.is_empty() {
            let groups = preserved(group_expr, &names, replace)?.into_iter().chain(columns(&keys));
            let aggregates = preserved(aggr_expr, &names, replace)?;
            return Ok((LogicalPlanBuilder::from(input).aggregate(groups, aggregates)?.build()?, keys));
        }
        let present = self.unique("tapline_present");
        let all: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
        let marked = LogicalPlanBuilder::from(input).project(all.into_iter().chain([lit(true).alias(&present)]))?;
        let (values, outer) = self.copy(domain)?;
        let joined = LogicalPlanBuilder::from(values).join_on(marked.build()?, JoinType::Left, equal(&outer, &keys))?;
        let aggregates = preserved(aggr_expr, &names, |expr| {
            let expr = expr.transform(|expr| match expr {
                Expr::AggregateFunction(mut function) => {
                    let present = Expr::Column(Column::new_unqualified(&present));
                    let filter = match function.params.filter.take() {
                        Some(filter) => present.and(*filter),
                        None => present,
                    };
                    function.params.filter = Some(Box::new(filter));
                    Ok(Transformed::yes(Expr::AggregateFunction(function)))
                }
                other => Ok(Transformed::no(other)),
            })?;
            replaced(expr.data, &domain.outer, &keys)
        })?;
        Ok((joined.aggregate(columns(&outer), aggregates)?.build()?, outer))
    }

    /// A plan's rows, numbered for each combination in the order that the plan gives them.
    fn counted_within(&self, plan: LogicalPlan, domain: &Domain) -> Result<(LogicalPlan, Vec<Column>, Column)> {
        match plan {
            LogicalPlan::Projection(projection) if is_sorted(&projection.input) => {
                let names = NamePreserver::new_for_projection();
                let (input, keys, number) = self.counted_within(Arc::unwrap_or_clone(projection.input), domain)?;
                let exprs = preserved(projection.expr, &names, |expr| replaced(expr, &domain.outer, &keys))?;
                let exprs = exprs.into_iter().chain(columns(&keys)).chain([Expr::Column(number.clone())]);
                Ok((LogicalPlanBuilder::from(input).project(exprs)?.build()?, keys, number))
            }
            plan => {
                let (order, plan) = match plan {
                    LogicalPlan::Sort(Sort { expr, input, fetch: None }) => (expr, Arc::unwrap_or_clone(input)),
                    plan => (Vec::new(), plan),
                };
                let (input, keys) = self.pushed(plan, domain)?;
                let order = sorted(order, &domain.outer, &keys)?;
                let number = self.unique("tapline_number");
                let row = row_number().partition_by(columns(&keys).collect()).order_by(order).build()?.alias(&number);
                let plan = LogicalPlanBuilder::from(input).window([row])?.build()?;
                Ok((plan, keys, Column::new_unqualified(number)))
            }
        }
    }

    fn joined(&self, join: Join, domain: &Domain) -> Result<(LogicalPlan, Vec<Column>)> {
        use JoinType as Kind;
        let Join { left, right, on, filter, join_type, null_equality, .. } = join;
        let uses_right = uses(&right, &domain.outer)?;
        let (push_left, push_right) = match join_type {
            Kind::Inner => (uses(&left, &domain.outer)? || !uses_right, uses_right),
            Kind::Left | Kind::LeftSemi | Kind::LeftAnti | Kind::LeftMark => (true, uses_right),
            Kind::Right => (uses(&left, &domain.outer)?, true),
            _ => return not_impl_err!("this join with a column of the query around"),
        };
        let side = |plan: Arc<LogicalPlan>, push: bool| match push {
            true => self.pushed(Arc::unwrap_or_clone(plan), domain),
            false => Ok((Arc::unwrap_or_clone(plan), Vec::new())),
        };
        let ((left, left_keys), (right, right_keys)) = (side(left, push_left)?, side(right, push_right)?);
        let keys = if push_left && join_type != Kind::Right { left_keys.clone() } else { right_keys.clone() };
        let pairs = on.into_iter().map(|(one, other)| match null_equality {
            NullEquality::NullEqualsNull => same(one, other),
            NullEquality::NullEqualsNothing => one.eq(other),
        });
        let conditions = pairs.chain(filter).map(|expr| replaced(expr, &domain.outer, &keys));
        let mut conditions = conditions.collect::<Result<Vec<_>>>()?;
        conditions.extend(equal(&left_keys, &right_keys));
        if conditions.is_empty() {
            conditions.push(lit(true));
        }
        Ok((LogicalPlanBuilder::from(left).join_on(right, join_type, conditions)?.build()?, keys))
    }

    fn united(&self, union: Union, domain: &Domain) -> Result<(LogicalPlan, Vec<Column>)> {
        let names: Vec<String> = domain.outer.iter().map(|_| self.unique("tapline_outer")).collect();
        let mut united: Option<LogicalPlanBuilder> = None;
        for input in union.inputs {
            let own: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
            let (plan, keys) = self.pushed(Arc::unwrap_or_clone(input), domain)?;
            let keys = columns(&keys).zip(&names).map(|(key, name)| key.alias(name));
            let plan = LogicalPlanBuilder::from(plan).project(own.into_iter().chain(keys))?.build()?;
            united = Some(match united {
                Some(first) => first.union(plan)?,
                None => LogicalPlanBuilder::from(plan),
            });
        }
        let Some(united) = united else { return not_impl_err!("a union of nothing") };
        let found = united.schema().columns();
        let original = union.schema.iter().zip(&found);
        let shown: Vec<Expr> = original
            .map(|((qualifier, field), column)| {
                Expr::Column(column.clone()).alias_qualified(qualifier.cloned(), field.name())
            })
            .collect();
        let width = shown.len();
        let keys = found[width..].iter().zip(&names).map(|(key, name)| Expr::Column(key.clone()).alias(name));
        let plan = united.project(shown.into_iter().chain(keys))?.build()?;
        Ok((plan, names.into_iter().map(Column::new_unqualified).collect()))
    }
}

/// Outer columns as columns of what stands left.
pub(super) fn strip(expr: Expr) -> Result<Expr> {
    expr.transform(|expr| {
        Ok(match expr {
            Expr::OuterReferenceColumn(_, column) => Transformed::yes(Expr::Column(column)),
            other => Transformed::no(other),
        })
    })
    .map(|stripped| stripped.data)
}

/// The columns of a relation that a query inside it uses.
pub(super) fn outer_columns(plan: &LogicalPlan, schema: &DFSchema) -> Result<Vec<Column>> {
    let mut found: Vec<Column> = Vec::new();
    each_outer(plan, &mut |column| {
        if schema.has_column(column) && !found.contains(column) {
            found.push(column.clone());
        }
    })?;
    Ok(found)
}

/// Whether a plan uses one of some outer columns.
fn uses(plan: &LogicalPlan, outer: &[Column]) -> Result<bool> {
    let mut used = false;
    each_outer(plan, &mut |column| used |= outer.contains(column))?;
    Ok(used)
}

/// Calls back for every outer column that a plan uses, in whatever depth.
pub(super) fn each_outer(plan: &LogicalPlan, visit: &mut dyn FnMut(&Column)) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::OuterReferenceColumn(_, column) = expr {
                    visit(column);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })
    .map(drop)
}

/// An expression with keys for outer columns; within its own queries those are the outer ones.
fn replaced(expr: Expr, outer: &[Column], keys: &[Column]) -> Result<Expr> {
    let key_of = |column: &Column| outer.iter().position(|known| known == column).map(|index| keys[index].clone());
    let inner = |mut query: Subquery| -> Result<Subquery> {
        let plan = Arc::unwrap_or_clone(query.subquery);
        let plan = plan.transform_up_with_subqueries(|node| {
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let saved = names.save(&expr);
                let changed = expr.transform(|expr| {
                    Ok(match expr {
                        Expr::OuterReferenceColumn(field, column) => match key_of(&column) {
                            Some(key) => Transformed::yes(Expr::OuterReferenceColumn(field, key)),
                            None => Transformed::no(Expr::OuterReferenceColumn(field, column)),
                        },
                        other => Transformed::no(other),
                    })
                })?;
                Ok(if changed.transformed { changed.update_data(|expr| saved.restore(expr)) } else { changed })
            })
        })?;
        query.subquery = Arc::new(plan.data);
        query.outer_ref_columns = query.subquery.all_out_ref_exprs();
        Ok(query)
    };
    let changed = expr.transform(|expr| {
        Ok(match expr {
            Expr::OuterReferenceColumn(field, column) => match key_of(&column) {
                Some(key) => Transformed::yes(Expr::Column(key)),
                None => Transformed::no(Expr::OuterReferenceColumn(field, column)),
            },
            Expr::ScalarSubquery(query) => Transformed::yes(Expr::ScalarSubquery(inner(query)?)),
            Expr::Exists(mut exists) => {
                exists.subquery = inner(exists.subquery)?;
                Transformed::yes(Expr::Exists(exists))
            }
            Expr::InSubquery(mut query) => {
                query.subquery = inner(query.subquery)?;
                Transformed::yes(Expr::InSubquery(query))
            }
            other => Transformed::no(other),
        })
    })?;
    Ok(changed.data)
}

/// Changed expressions under the names that they had.
fn preserved(exprs: Vec<Expr>, names: &NamePreserver, change: impl Fn(Expr) -> Result<Expr>) -> Result<Vec<Expr>> {
    exprs
        .into_iter()
        .map(|expr| {
            let name = names.save(&expr);
            Ok(name.restore(change(expr)?))
        })
        .collect()
}

fn sorted(order: Vec<SortExpr>, outer: &[Column], keys: &[Column]) -> Result<Vec<SortExpr>> {
    let change = |mut term: SortExpr| {
        term.expr = replaced(term.expr, outer, keys)?;
        Ok(term)
    };
    order.into_iter().map(change).collect()
}

fn columns(keys: &[Column]) -> impl Iterator<Item = Expr> + '_ {
    keys.iter().cloned().map(Expr::Column)
}

/// That columns are the same one by one, NULL being the same as NULL.
fn equal(some: &[Column], others: &[Column]) -> Vec<Expr> {
    columns(some).zip(columns(others)).map(|(one, other)| same(one, other)).collect()
}

fn same(one: Expr, other: Expr) -> Expr {
    datafusion::logical_expr::binary_expr(one, datafusion::logical_expr::Operator::IsNotDistinctFrom, other)
}

/// Whether rows come in an order that a list on top of them keeps.
fn is_sorted(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Projection(projection) => is_sorted(&projection.input),
        _ => false,
    }
}
