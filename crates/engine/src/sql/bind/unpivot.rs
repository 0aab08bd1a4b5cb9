//! UNPIVOT: columns become rows.
//! Not here: the way there (`pivot`).
//! Called for UNPIVOT statements and for UNPIVOT behind a relation in FROM.

use datafusion::logical_expr::{Expr as EngineExpr, LogicalPlan, LogicalPlanBuilder, col};
use datafusion::sql::sqlparser::ast::{
    Expr, ExprWithAlias, Ident, NullInclusion, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
};
use tapline_core::{Error, Result, codes};

use super::columns::Picked;
use super::expr::{Names, unsupported};
use super::naming::{deduplicated, output_name};
use super::pivot::mentions;
use super::scope::Scope;
use super::{Binder, Env, ast, query_of, select};
use crate::sql::syntax::{UNPIVOT_INTO, UNPIVOT_NULLS};

/// Columns that become one row, and what stands in its name column.
struct Group {
    exprs: Vec<Expr>,
    name: String,
}

impl Binder<'_> {
    /// `UNPIVOT source ON … INTO NAME … VALUE …`.
    pub(super) fn unpivot_statement(&self, select: Select, env: &Env<'_>) -> Result<LogicalPlan> {
        let scope = self.from(select.from, env)?;
        let names = Names::of(&scope);
        let (mut groups, mut into, mut nulls, mut behind) = (Vec::new(), Vec::new(), false, false);
        for item in select.projection.into_iter().skip(1) {
            match ast::mark(&item) {
                Some(UNPIVOT_NULLS) => nulls = true,
                Some(UNPIVOT_INTO) => behind = true,
                _ if behind => match item {
                    SelectItem::UnnamedExpr(Expr::Identifier(name)) => into.push(name.value),
                    other => return Err(unsupported(&format!("UNPIVOT INTO {other}"))),
                },
                _ => self.unpivot_target(item, names, env, &mut groups)?,
            }
        }
        self.unpivoted(&scope, groups, into, nulls, env)
    }

    fn unpivot_target(&self, item: SelectItem, names: Names<'_>, env: &Env<'_>, groups: &mut Vec<Group>) -> Result<()> {
        let single = |picked: Vec<Picked>| {
            picked.into_iter().map(|column| Group { exprs: vec![column.expr], name: column.name }).collect::<Vec<_>>()
        };
        match item {
            SelectItem::Wildcard(options) => groups.extend(single(self.star(None, &options, names, env)?)),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(table), options) => {
                groups.extend(single(self.star(Some(&table), &options, names, env)?));
            }
            SelectItem::UnnamedExpr(expr) => match self.expanded(&expr, names, env)? {
                Some(picked) => groups.extend(single(picked)),
                None => groups.push(group(expr, None)),
            },
            SelectItem::ExprWithAlias { expr, alias } => groups.push(group(expr, Some(alias.value))),
            other => return Err(unsupported(&format!("UNPIVOT ON {other}"))),
        }
        Ok(())
    }

    /// `source UNPIVOT (value FOR name IN (…))`.
    pub(super) fn unpivot_clause(
        &self,
        scope: Scope,
        value: Expr,
        name: Ident,
        columns: Vec<ExprWithAlias>,
        inclusion: Option<NullInclusion>,
        env: &Env<'_>,
    ) -> Result<LogicalPlan> {
        let values = match value {
            Expr::Tuple(values) => values,
            Expr::Nested(value) => vec![*value],
            value => vec![value],
        };
        let mut into = vec![name.value];
        into.extend(values.iter().map(output_name));
        let mut groups = Vec::new();
        for column in columns {
            let item = match column.alias {
                Some(alias) => SelectItem::ExprWithAlias { expr: column.expr, alias },
                None => SelectItem::UnnamedExpr(column.expr),
            };
            self.unpivot_target(item, Names::of(&scope), env, &mut groups)?;
        }
        self.unpivoted(&scope, groups, into, inclusion == Some(NullInclusion::IncludeNulls), env)
    }

    fn unpivoted(
        &self,
        scope: &Scope,
        groups: Vec<Group>,
        into: Vec<String>,
        nulls: bool,
        env: &Env<'_>,
    ) -> Result<LogicalPlan> {
        let names = Names::of(scope);
        let width = groups.first().map_or(0, |group| group.exprs.len());
        if width == 0 || groups.iter().any(|group| group.exprs.len() != width) {
            return Err(Error::new(codes::SQL_005, "planning the SQL: UNPIVOT needs columns, as many in each group"));
        }
        let mut into = into.into_iter();
        let name = into.next().unwrap_or_else(|| "name".to_owned());
        let mut values: Vec<String> = into.collect();
        if values.is_empty() {
            values.push("value".to_owned());
        }
        if values.len() != width {
            return Err(Error::new(
                codes::SQL_005,
                format!("planning the SQL: UNPIVOT has {} value names for {width} columns", values.len()),
            ));
        }
        let bound = groups
            .into_iter()
            .map(|group| {
                let exprs =
                    group.exprs.into_iter().map(|expr| self.expr(expr, names, env)).collect::<Result<Vec<_>>>()?;
                Ok((exprs, group.name))
            })
            .collect::<Result<Vec<(Vec<Expr>, String)>>>()?;
        let taken: Vec<Expr> = bound.iter().flat_map(|(exprs, _)| exprs.iter().cloned()).collect();
        let mut items: Vec<(Expr, String)> = scope
            .visible()
            .filter(|column| !taken.contains(column.bare()) && !is_within(&taken, column.bare(), &column.name))
            .map(|column| (column.bare().clone(), column.name.clone()))
            .collect();
        let unnest = |list: Vec<Expr>| ast::call("unnest", vec![ast::call("list_value", list)]);
        items.push((unnest(bound.iter().map(|(_, name)| ast::string(name)).collect()), name));
        for (position, value) in values.iter().enumerate() {
            let list = bound.iter().map(|(exprs, _)| exprs[position].clone()).collect();
            items.push((unnest(list), value.clone()));
        }
        deduplicated(items.iter_mut().map(|(_, name)| name));
        let last: Vec<String> = items[items.len() - width..].iter().map(|(_, name)| name.clone()).collect();
        let mut select = select::all_of(ast::relation(&self.engine.register(scope.plan.clone())));
        select.projection = items.into_iter().map(|(expr, name)| ast::item(expr, &name)).collect();
        let plan = self.planned(query_of(SetExpr::Select(Box::new(select))), env)?;
        if nulls {
            return Ok(plan);
        }
        let quoted = |name: &String| col(datafusion::common::Column::new_unqualified(name));
        let present = last.iter().map(|name| quoted(name).is_not_null()).reduce(EngineExpr::or);
        match present {
            Some(present) => {
                self.told(LogicalPlanBuilder::from(plan).filter(present).and_then(LogicalPlanBuilder::build))
            }
            None => Ok(plan),
        }
    }
}

/// Whether a column is part of one of some expressions.
fn is_within(exprs: &[Expr], column: &Expr, name: &str) -> bool {
    let calls: Vec<Expr> = exprs.iter().filter(|expr| *expr != column).cloned().collect();
    let plain = calls.iter().any(|expr| !matches!(expr, Expr::CompoundIdentifier(_)));
    plain && mentions(&calls, name)
}

fn group(expr: Expr, alias: Option<String>) -> Group {
    let exprs = match expr {
        Expr::Tuple(members) => members,
        Expr::Nested(inner) => vec![*inner],
        expr => vec![expr],
    };
    let name = alias.unwrap_or_else(|| exprs.iter().map(output_name).collect::<Vec<_>>().join("_"));
    Group { exprs, name }
}
