//! One SELECT: its list, conditions, groups and order.
//! Not here: what stands in FROM (`from`), constructs that only look like a SELECT (`pivot`, `describe` and others).
//! Called for every SELECT of a statement.

use std::ops::ControlFlow;

use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, GroupByExpr, OrderBy, OrderByExpr, OrderByKind, OrderByOptions, Query, Select, SelectFlavor,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableWithJoins, Value, ValueWithSpan, Visit, Visitor,
};
use tapline_core::{Error, Result, codes};

use super::columns::Picked;
use super::expr::{Names, sorting, unsupported};
use super::naming::{deduplicated, output_name};
use super::positions::ordered_by;
use super::scope::{Found, same};
use super::{Binder, Env, ast, query, query_of};
use crate::sql::syntax::{DESCRIBE, PIVOT, SUMMARIZE, UNPIVOT};

/// An item of the list: what it computes, and its name.
pub(super) struct Item {
    pub(super) expr: Expr,
    pub(super) name: String,
}

impl Binder<'_> {
    /// Binds a SELECT with the ORDER BY of the query around it.
    pub(super) fn select(
        &self,
        mut select: Select,
        mut order_by: Option<OrderBy>,
        env: &Env<'_>,
    ) -> Result<LogicalPlan> {
        if select.flavor == SelectFlavor::FromFirstNoSelect {
            select.projection = vec![query::star()];
        }
        let special = match select.projection.first().and_then(ast::mark) {
            Some(DESCRIBE) => Some(self.described(select.clone(), env)?),
            Some(SUMMARIZE) => Some(self.summarized(select.clone(), env)?),
            Some(PIVOT) => Some(self.pivot_statement(select.clone(), env)?),
            Some(UNPIVOT) => Some(self.unpivot_statement(select.clone(), env)?),
            _ => None,
        };
        if let Some(plan) = special {
            return match order_by {
                Some(order_by) => self.ordered(plan, order_by, env),
                None => Ok(plan),
            };
        }
        if select.into.is_some() || !select.lateral_views.is_empty() || select.top.is_some() {
            return Err(unsupported("this clause of SELECT"));
        }
        super::windows::inlined(&mut select, order_by.as_mut())?;
        let scope = self.sampled_from(&mut select, env)?;
        let names = Names::of(&scope);
        let items = self.list(std::mem::take(&mut select.projection), names, env)?;
        let aliases: Vec<(String, Expr)> = items.iter().map(|item| (item.name.clone(), item.expr.clone())).collect();
        let names = names.with_aliases(&aliases);
        let condition = |expr: Option<Expr>| match expr {
            Some(expr) => self.condition(expr, names, env).map(Some),
            None => Ok(None),
        };
        let bound = Select {
            selection: condition(select.selection.take())?,
            having: condition(select.having.take())?,
            qualify: condition(select.qualify.take())?,
            group_by: self.groups(select.group_by, &items, names, env)?,
            distinct: self.distinct(select.distinct, &items, names, env)?,
            projection: items.iter().map(|item| ast::item(item.expr.clone(), &item.name)).collect(),
            from: Vec::new(),
            flavor: SelectFlavor::Standard,
            ..all_of(ast::relation(""))
        };
        let order = match order_by {
            Some(order_by) => self.order(order_by, &items, names, env)?,
            None => Vec::new(),
        };
        let mut query = query_of(SetExpr::Select(Box::new(bound)));
        if !order.is_empty() {
            query.order_by = Some(OrderBy { kind: OrderByKind::Expressions(order), interpolate: None });
        }
        if !scope.columns.is_empty() {
            let plan = match self.told(self.positioned(&scope.plan, &query))? {
                Some((plan, position)) => {
                    ordered_by(&mut query, &position);
                    plan
                }
                None => scope.plan.clone(),
            };
            if let SetExpr::Select(bound) = query.body.as_mut() {
                bound.from = vec![ast::relation(&self.engine.register(plan))];
            }
        }
        self.planned(query, env)
    }

    /// Plans what is bound.
    pub(super) fn planned(&self, query: Query, env: &Env<'_>) -> Result<LogicalPlan> {
        self.told(self.engine.query(query, env.outer_schema().as_ref()))
    }

    /// The items of a list, with every star and COLUMNS expanded and every name unlike the others.
    pub(super) fn list(&self, projection: Vec<SelectItem>, names: Names<'_>, env: &Env<'_>) -> Result<Vec<Item>> {
        let mut items: Vec<Item> = Vec::with_capacity(projection.len());
        let mut aliases: Vec<(String, Expr)> = Vec::new();
        for item in projection {
            let (picked, explicit) = self.picked(item, names.with_aliases(&aliases), env)?;
            for Picked { expr, name, .. } in picked {
                let expr = self.expr(expr, names.with_aliases(&aliases), env)?;
                for (name, expr) in self.unnested_items(name, expr, names.scope, env)? {
                    if explicit {
                        aliases.push((name.clone(), expr.clone()));
                    }
                    items.push(Item { expr, name });
                }
            }
        }
        if items.is_empty() {
            return Err(Error::new(codes::SQL_005, "planning the SQL: the SELECT list is empty"));
        }
        deduplicated(items.iter_mut().map(|item| &mut item.name));
        Ok(items)
    }

    /// What an item stands for, and whether the statement itself names it.
    fn picked(&self, item: SelectItem, names: Names<'_>, env: &Env<'_>) -> Result<(Vec<Picked>, bool)> {
        Ok(match item {
            SelectItem::Wildcard(options) => (self.star(None, &options, names, env)?, false),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(table), options) => {
                (self.star(Some(&table), &options, names, env)?, false)
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(expr), _) => {
                (self.struct_star(expr, names, env)?, false)
            }
            SelectItem::UnnamedExpr(mut expr) => match self.expanded(&expr, names, env)? {
                Some(picked) => (picked, false),
                None => {
                    let name = own_name(&expr, names).unwrap_or_else(|| output_name(&expr));
                    self.unpack(&mut expr, names, env)?;
                    (vec![Picked::new(expr, name)], false)
                }
            },
            SelectItem::ExprWithAlias { mut expr, alias } => match self.expanded(&expr, names, env)? {
                Some(mut picked) => {
                    for column in &mut picked {
                        column.name = column.aliased(&alias.value);
                    }
                    (picked, true)
                }
                None => {
                    self.unpack(&mut expr, names, env)?;
                    (vec![Picked::new(expr, alias.value)], true)
                }
            },
            SelectItem::ExprWithAliases { .. } => return Err(unsupported("several aliases of one expression")),
        })
    }

    /// A condition; COLUMNS in it must hold for all of its columns.
    fn condition(&self, expr: Expr, names: Names<'_>, env: &Env<'_>) -> Result<Expr> {
        match self.expanded(&expr, names, env)? {
            Some(picked) => {
                let conditions =
                    picked.into_iter().map(|column| self.expr(column.expr, names, env)).collect::<Result<Vec<_>>>()?;
                Ok(ast::all_of(conditions).unwrap_or_else(ast::null))
            }
            None => self.expr(expr, names, env),
        }
    }

    fn groups(&self, groups: GroupByExpr, items: &[Item], names: Names<'_>, env: &Env<'_>) -> Result<GroupByExpr> {
        let bound = match groups {
            GroupByExpr::All(modifiers) if modifiers.is_empty() => {
                let plain = items.iter().filter(|item| !self.aggregates(&item.expr) && !is_constant(&item.expr));
                plain.map(|item| item.expr.clone()).collect()
            }
            GroupByExpr::Expressions(terms, modifiers) if modifiers.is_empty() => {
                let mut bound = Vec::with_capacity(terms.len());
                for term in terms {
                    if let Some(position) = position(&term) {
                        bound.push(item_at(items, &position, "GROUP BY")?.expr.clone());
                        continue;
                    }
                    match self.expanded(&term, names, env)? {
                        Some(picked) => {
                            for column in picked {
                                bound.push(self.expr(column.expr, names, env)?);
                            }
                        }
                        None => bound.push(self.group(term, items, names, env)?),
                    }
                }
                bound.retain(|expr| !is_constant(expr));
                bound
            }
            _ => return Err(unsupported("this GROUP BY")),
        };
        Ok(GroupByExpr::Expressions(bound, Vec::new()))
    }

    /// A term of GROUP BY; positions within grouping sets are those of the list.
    fn group(&self, term: Expr, items: &[Item], names: Names<'_>, env: &Env<'_>) -> Result<Expr> {
        let set = |sets: Vec<Vec<Expr>>| -> Result<Vec<Vec<Expr>>> {
            sets.into_iter()
                .map(|set| {
                    set.into_iter()
                        .flat_map(|expr| match expr {
                            Expr::Tuple(members) => members,
                            other => vec![other],
                        })
                        .map(|expr| match position(&expr) {
                            Some(position) => Ok(item_at(items, &position, "GROUP BY")?.expr.clone()),
                            None => self.expr(unparenthesized(expr), names, env),
                        })
                        .collect()
                })
                .collect()
        };
        Ok(match term {
            Expr::GroupingSets(sets) => Expr::GroupingSets(set(sets)?),
            Expr::Cube(sets) => Expr::Cube(set(sets)?),
            Expr::Rollup(sets) => Expr::Rollup(set(sets)?),
            other => unparenthesized(self.expr(unparenthesized(other), names, env)?),
        })
    }

    fn distinct(
        &self,
        distinct: Option<Distinct>,
        items: &[Item],
        names: Names<'_>,
        env: &Env<'_>,
    ) -> Result<Option<Distinct>> {
        Ok(match distinct {
            Some(Distinct::On(terms)) => {
                let names = Names { aliases_first: true, ..names };
                let terms = terms
                    .into_iter()
                    .map(|term| match position(&term) {
                        Some(position) => Ok(item_at(items, &position, "DISTINCT ON")?.expr.clone()),
                        None => self.expr(term, names, env),
                    })
                    .collect::<Result<_>>()?;
                Some(Distinct::On(terms))
            }
            Some(Distinct::All) | None => None,
            Some(Distinct::Distinct) => Some(Distinct::Distinct),
        })
    }

    /// The terms of an ORDER BY: columns of the list by name where there are some, other expressions in full.
    pub(super) fn order(
        &self,
        order_by: OrderBy,
        items: &[Item],
        names: Names<'_>,
        env: &Env<'_>,
    ) -> Result<Vec<OrderByExpr>> {
        let by_name = |name: &str| Expr::Identifier(ast::ident(name));
        let terms = match order_by.kind {
            OrderByKind::All(options) => {
                return Ok(items.iter().map(|item| term(by_name(&item.name), options)).collect());
            }
            OrderByKind::Expressions(terms) => terms,
        };
        let inner = Names { aliases_first: true, ..names };
        let mut bound = Vec::with_capacity(terms.len());
        for OrderByExpr { expr, options, .. } in terms {
            let expr = sorting(unparenthesized(expr));
            if let Some(position) = position(&expr) {
                bound.push(term(by_name(&item_at(items, &position, "ORDER BY")?.name), options));
                continue;
            }
            if let Expr::Identifier(name) = &expr
                && name.quote_style.is_none()
                && same(&name.value, "all")
            {
                bound.extend(items.iter().map(|item| term(by_name(&item.name), options)));
                continue;
            }
            let exprs = match self.expanded(&expr, names, env)? {
                Some(picked) => picked.into_iter().map(|column| column.expr).collect(),
                None => vec![expr],
            };
            for expr in exprs {
                if let Expr::Identifier(name) = &expr
                    && let Some(item) = items.iter().find(|item| same(&item.name, &name.value))
                {
                    bound.push(term(by_name(&item.name), options));
                    continue;
                }
                let expr = self.expr(expr, inner, env)?;
                let expr = match items.iter().find(|item| item.expr == expr) {
                    Some(item) => by_name(&item.name),
                    None => expr,
                };
                if !is_constant(&expr) {
                    bound.push(term(expr, options));
                }
            }
        }
        Ok(bound)
    }

    /// Whether an expression makes one value of many rows.
    pub(super) fn aggregates(&self, expr: &Expr) -> bool {
        let mut search = Aggregates { binder: self };
        expr.visit(&mut search).is_break()
    }
}

struct Aggregates<'a, 'b> {
    binder: &'a Binder<'b>,
}

impl Visitor for Aggregates<'_, '_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function)
                if function.over.is_none() && self.binder.engine.is_aggregate(&ast::function_name(function)) =>
            {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// `SELECT * FROM` a relation.
pub(super) fn all_of(relation: TableWithJoins) -> Select {
    Select {
        select_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection: vec![query::star()],
        exclude: None,
        into: None,
        from: vec![relation],
        lateral_views: Vec::new(),
        prewhere: None,
        selection: None,
        connect_by: Vec::new(),
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    }
}

fn term(expr: Expr, options: OrderByOptions) -> OrderByExpr {
    OrderByExpr { expr, options, with_fill: None }
}

/// A whole number as it stands in GROUP BY and ORDER BY.
fn position(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Number(text, _), .. }) => Some(text.clone()),
        _ => None,
    }
}

fn item_at<'a>(items: &'a [Item], position: &str, clause: &str) -> Result<&'a Item> {
    let index = position.parse::<usize>().ok().and_then(|position| position.checked_sub(1));
    index.and_then(|index| items.get(index)).ok_or_else(|| {
        Error::new(
            codes::SQL_005,
            format!("planning the SQL: {clause} term out of range - should be between 1 and {}", items.len()),
        )
    })
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::Nested(inner) => is_constant(inner),
        _ => false,
    }
}

fn unparenthesized(expr: Expr) -> Expr {
    match expr {
        Expr::Nested(inner) => unparenthesized(*inner),
        other => other,
    }
}

/// The name of a column as its relation spells it.
fn own_name(expr: &Expr, names: Names<'_>) -> Option<String> {
    let column = match expr {
        Expr::Identifier(name) => match (names.scope.at(&name.value), names.scope.find(name)) {
            (Some(column), _) | (None, Ok(Found::Column(column))) => column,
            _ => return None,
        },
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [table, name] => names.scope.find_in(&table.value, name)?,
            _ => return None,
        },
        Expr::Nested(inner) => return own_name(inner, names),
        _ => return None,
    };
    Some(column.name.clone())
}
