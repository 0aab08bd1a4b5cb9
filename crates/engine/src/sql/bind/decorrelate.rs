//! The first rows of each group instead of the first rows for each outer row: LIMIT in a lateral query.
//! Not here: lateral queries without LIMIT, which the engine frees of outer columns by itself.
//! Called when such a query is joined.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, FetchType, Filter, Limit, LogicalPlan, LogicalPlanBuilder, Operator, Projection, SkipType,
    Sort, SubqueryAlias, lit,
};

/// A plan without outer columns and the conditions that take their place, where it is a LIMIT over rows that equal outer
/// columns; else the plan as it is and no conditions.
pub(super) fn pulled_up(plan: LogicalPlan) -> Result<(LogicalPlan, Vec<Expr>)> {
    let LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) = &plan else { return Ok((plan, Vec::new())) };
    let Some(limited) = Limited::of(input.as_ref().clone())? else { return Ok((plan, Vec::new())) };
    let width = input.schema().fields().len();
    let (rewritten, keys) = limited.grouped()?;
    let aliased = LogicalPlanBuilder::from(rewritten).alias(alias.clone())?.build()?;
    let conditions = keys
        .into_iter()
        .enumerate()
        .map(|(index, outer)| {
            let (qualifier, field) = aliased.schema().qualified_field(width + index);
            Expr::Column(Column::from((qualifier, field))).eq(outer)
        })
        .collect();
    Ok((aliased, conditions))
}

/// `SELECT list FROM … WHERE inner = outer AND … ORDER BY … LIMIT n OFFSET m`.
struct Limited {
    skip: usize,
    fetch: Option<usize>,
    order: Vec<datafusion::logical_expr::SortExpr>,
    list: Vec<Expr>,
    filter: Filter,
}

impl Limited {
    fn of(plan: LogicalPlan) -> Result<Option<Self>> {
        let LogicalPlan::Limit(limit) = plan else { return Ok(None) };
        let (skip, fetch) = match (limit.get_skip_type()?, limit.get_fetch_type()?) {
            (SkipType::Literal(skip), FetchType::Literal(fetch)) => (skip, fetch),
            _ => return Ok(None),
        };
        let Limit { input, .. } = limit;
        let mut order = Vec::new();
        let mut node = input.as_ref().clone();
        let mut sorted_above = false;
        if let LogicalPlan::Sort(Sort { expr, input, .. }) = &node {
            order.clone_from(expr);
            sorted_above = true;
            node = input.as_ref().clone();
        }
        // A sort by what is not in the list lies between two projections, of which the upper one only drops columns.
        let mut upper: Option<Vec<Expr>> = None;
        if !sorted_above
            && let LogicalPlan::Projection(Projection { expr, input, .. }) = &node
            && let LogicalPlan::Sort(Sort { expr: terms, input, .. }) = input.as_ref()
        {
            upper = Some(expr.clone());
            order.clone_from(terms);
            node = input.as_ref().clone();
        }
        let LogicalPlan::Projection(Projection { expr, input, .. }) = node else { return Ok(None) };
        let list = match upper {
            Some(upper) => upper.into_iter().map(|item| inlined(item, &expr)).collect::<Result<_>>()?,
            None => expr.clone(),
        };
        let order = order
            .into_iter()
            .map(|mut term| {
                term.expr = inlined(term.expr, &expr)?;
                Ok(term)
            })
            .collect::<Result<_>>()?;
        let LogicalPlan::Filter(filter) = input.as_ref() else { return Ok(None) };
        if list.iter().any(Expr::contains_outer) || filter.input.exists(|node| Ok(node.contains_outer_reference()))? {
            return Ok(None);
        }
        Ok(Some(Self { skip, fetch, order, list, filter: filter.clone() }))
    }

    /// The first rows for each combination of the inner sides, followed by those; and the outer sides.
    fn grouped(self) -> Result<(LogicalPlan, Vec<Expr>)> {
        let (mut inner, mut outer_sides, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for conjunct in split_conjunction_owned(self.filter.predicate) {
            if !conjunct.contains_outer() {
                kept.push(conjunct);
                continue;
            }
            let Expr::BinaryExpr(binary) = conjunct else { return unsupported() };
            if binary.op != Operator::Eq {
                return unsupported();
            }
            let (own, other) =
                if binary.left.contains_outer() { (binary.right, binary.left) } else { (binary.left, binary.right) };
            if own.contains_outer() {
                return unsupported();
            }
            inner.push(*own);
            outer_sides.push(strip(*other)?);
        }
        let mut builder = LogicalPlanBuilder::from(self.filter.input.as_ref().clone());
        if let Some(kept) = kept.into_iter().reduce(Expr::and) {
            builder = builder.filter(kept)?;
        }
        const NUMBER: &str = "tapline number";
        let number = row_number().partition_by(inner.clone()).order_by(self.order).build()?.alias(NUMBER);
        builder = builder.window([number])?;
        let number = Expr::Column(Column::new_unqualified(NUMBER));
        let skip = lit(self.skip as u64);
        let mut within = number.clone().gt(skip);
        if let Some(fetch) = self.fetch {
            within = within.and(number.lt_eq(lit((self.skip + fetch) as u64)));
        }
        let keys = inner.into_iter().enumerate().map(|(index, key)| key.alias(format!("tapline key {index}")));
        let plan = builder.filter(within)?.project(self.list.into_iter().chain(keys))?.build()?;
        Ok((plan, outer_sides))
    }
}

fn unsupported<T>() -> Result<T> {
    datafusion::common::not_impl_err!("LIMIT in a lateral query whose rows are not picked by equality")
}

/// An expression over a list's names in terms of what the list is made of.
fn inlined(expr: Expr, list: &[Expr]) -> Result<Expr> {
    expr.transform(|expr| match &expr {
        Expr::Column(column) => {
            let found = list
                .iter()
                .find(|item| item.qualified_name() == (column.relation.clone(), column.name.clone()) || item == &&expr);
            Ok(match found {
                Some(Expr::Alias(alias)) => Transformed::yes(alias.expr.as_ref().clone()),
                Some(other) => Transformed::yes(other.clone()),
                None => Transformed::no(expr),
            })
        }
        _ => Ok(Transformed::no(expr)),
    })
    .map(|inlined| inlined.data)
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
