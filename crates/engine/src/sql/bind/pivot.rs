//! PIVOT: values of columns become columns of their own.
//! Not here: the way back (`unpivot`).
//! Called for PIVOT statements and for PIVOT behind a relation in FROM.

use std::ops::ControlFlow;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, ExprWithAlias, FunctionArg, FunctionArgExpr, GroupByExpr, PivotValueSource, Select,
    SelectItem, SetExpr, Value, ValueWithSpan, VisitMut, VisitorMut,
};
use tapline_core::{Error, Result, codes};

use super::expr::{Names, unsupported};
use super::from::contains_name;
use super::naming::{deduplicated, output_name};
use super::scope::{Scope, same};
use super::{Binder, Env, ast, query_of, select};
use crate::sql::syntax::{PIVOT_FOR, PIVOT_GROUP, PIVOT_USING};

/// How many columns a PIVOT may make.
const MOST_COLUMNS: usize = 10_000;

/// A column whose values become columns, and which of them, each with its name.
struct On {
    expr: Expr,
    values: Vec<(Expr, String)>,
}

impl Binder<'_> {
    /// `PIVOT source ON … USING … GROUP BY …`.
    pub(super) fn pivot_statement(&self, select: Select, env: &Env<'_>) -> Result<LogicalPlan> {
        let scope = self.from(select.from, env)?;
        let mut items = select.projection.into_iter().skip(1);
        let mut targets = Vec::new();
        for item in items.by_ref() {
            if ast::mark(&item) == Some(PIVOT_USING) {
                break;
            }
            targets.push(item);
        }
        let using = items.map(named).collect::<Result<Vec<_>>>()?;
        let groups = match select.group_by {
            GroupByExpr::Expressions(terms, _) if terms.is_empty() => None,
            GroupByExpr::Expressions(terms, _) => Some(terms),
            GroupByExpr::All(_) => None,
        };
        let names = Names::of(&scope);
        let mut ons = Vec::new();
        for target in targets {
            let exprs = match target {
                SelectItem::Wildcard(options) => self.star(None, &options, names, env)?,
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    match self.expanded(&expr, names, env)? {
                        Some(picked) => picked,
                        None => vec![super::columns::Picked::new(expr.clone(), output_name(&expr))],
                    }
                }
                other => return Err(unsupported(&format!("PIVOT ON {other}"))),
            };
            for picked in exprs {
                ons.push(self.on(picked.expr, &scope, env)?);
            }
        }
        self.pivoted(&scope, &ons, using, groups, env)
    }

    /// `source PIVOT (aggregate FOR column IN (…))`.
    pub(super) fn pivot_clause(
        &self,
        scope: Scope,
        aggregates: Vec<ExprWithAlias>,
        columns: Vec<Expr>,
        source: PivotValueSource,
        env: &Env<'_>,
    ) -> Result<LogicalPlan> {
        let (mut using, mut further, mut groups) = (Vec::new(), Vec::new(), None);
        for aggregate in aggregates {
            let (mark, members) = match &aggregate.expr {
                Expr::Function(function) => (ast::function_name(function), ast::arguments(function)),
                _ => (String::new(), Vec::new()),
            };
            let members = members.into_iter().cloned();
            match mark.as_str() {
                PIVOT_FOR => further.extend(members),
                PIVOT_GROUP => groups = Some(members.collect()),
                _ => using.push((aggregate.expr.clone(), aggregate.alias.map(|alias| alias.value))),
            }
        }
        let column = match <[Expr; 1]>::try_from(columns) {
            Ok([column]) => column,
            Err(columns) => Expr::Tuple(columns),
        };
        let on = match source {
            PivotValueSource::List(values) => {
                let values = values
                    .into_iter()
                    .map(|value| {
                        let name = value.alias.map_or_else(|| value_name(&value.expr), |alias| alias.value);
                        (value.expr, name)
                    })
                    .collect();
                On { expr: column, values }
            }
            PivotValueSource::Any(_) => self.on(column, &scope, env)?,
            PivotValueSource::Subquery(_) => return Err(unsupported("a query as the values of PIVOT")),
        };
        let mut ons = vec![on];
        for column in further {
            ons.push(self.on(column, &scope, env)?);
        }
        self.pivoted(&scope, &ons, using, groups, env)
    }

    fn on(&self, expr: Expr, scope: &Scope, env: &Env<'_>) -> Result<On> {
        match expr {
            Expr::Nested(inner) => self.on(*inner, scope, env),
            Expr::InList { expr, list, negated: false } => {
                let values = list.into_iter().map(|value| (value.clone(), value_name(&value))).collect();
                Ok(On { expr: *expr, values })
            }
            expr => {
                let values = self.values_of(&expr, scope, env)?;
                let text = ast::cast(Expr::Nested(Box::new(expr)), "VARCHAR");
                Ok(On { expr: text, values: values.into_iter().map(|value| (ast::string(&value), value)).collect() })
            }
        }
    }

    /// The values of a column as text, which have to be looked up before the statement can be planned.
    fn values_of(&self, expr: &Expr, scope: &Scope, env: &Env<'_>) -> Result<Vec<String>> {
        let bound = self.expr(expr.clone(), Names::of(scope), env)?;
        let mut select = select::all_of(ast::relation(&self.engine.register(scope.plan.clone())));
        select.selection = Some(Expr::IsNotNull(Box::new(ast::nested(bound.clone()))));
        select.projection = vec![
            ast::item(ast::cast(bound.clone(), "VARCHAR"), "text"),
            ast::item(ast::call("min", vec![bound.clone()]), "value"),
        ];
        select.group_by = GroupByExpr::Expressions(vec![ast::cast(bound, "VARCHAR")], Vec::new());
        let plan = self.planned(query_of(SetExpr::Select(Box::new(select))), env)?;
        let value = datafusion::logical_expr::col("value").sort(true, false);
        let plan = LogicalPlanBuilder::from(plan)
            .sort([value])
            .and_then(|builder| builder.limit(0, Some(MOST_COLUMNS + 1)))
            .and_then(|builder| builder.project([datafusion::logical_expr::col("text")]))
            .and_then(LogicalPlanBuilder::build);
        let rows = self.looked_up(self.told(plan)?)?;
        let text = |row: &Vec<ScalarValue>| match row.first() {
            Some(ScalarValue::Utf8(Some(text))) => Some(text.clone()),
            _ => None,
        };
        Ok(rows.iter().filter_map(text).collect())
    }

    /// The rows of a plan, which have to be looked up before the statement can be planned.
    pub(super) fn looked_up(&self, plan: LogicalPlan) -> Result<&[Vec<ScalarValue>]> {
        let number = self.pivots.replace(self.pivots.get() + 1);
        if let Some(rows) = self.surroundings.pivots.get(number) {
            return Ok(rows);
        }
        *self.wanted.borrow_mut() = Some(self.told(self.flattened(plan))?);
        Err(Error::internal("what a statement depends on has not been looked up"))
    }

    fn pivoted(
        &self,
        scope: &Scope,
        ons: &[On],
        using: Vec<(Expr, Option<String>)>,
        groups: Option<Vec<Expr>>,
        env: &Env<'_>,
    ) -> Result<LogicalPlan> {
        if ons.is_empty() {
            return Err(unsupported("PIVOT without ON"));
        }
        let names = Names::of(scope);
        let using = match using.is_empty() {
            true => vec![(
                Expr::Function(ast::function("count", vec![FunctionArg::Unnamed(FunctionArgExpr::Wildcard)])),
                None,
            )],
            false => using,
        };
        let mut items: Vec<(Expr, String)> = Vec::new();
        match groups {
            Some(groups) => {
                for group in groups {
                    let name = output_name(&group);
                    items.push((self.expr(group, names, env)?, name));
                }
            }
            None => {
                let mut taken = Vec::new();
                for expr in ons.iter().map(|on| &on.expr).chain(using.iter().map(|(expr, _)| expr)) {
                    let _: ControlFlow<()> = expr.clone().visit(&mut Mentioned(&mut taken));
                }
                for column in scope.visible().filter(|column| !contains_name(&taken, &column.name)) {
                    items.push((column.bare().clone(), column.name.clone()));
                }
            }
        }
        let groups: Vec<Expr> = items.iter().map(|(expr, _)| expr.clone()).collect();
        let mut combinations: Vec<(Vec<Expr>, Vec<String>)> = vec![(Vec::new(), Vec::new())];
        for on in ons {
            let longer = combinations.iter().flat_map(|(conditions, names)| {
                on.values.iter().map(move |(value, name)| {
                    let mut conditions = conditions.clone();
                    conditions.push(ast::binary(on.expr.clone(), BinaryOperator::Eq, value.clone()));
                    (conditions, names.iter().cloned().chain([name.clone()]).collect())
                })
            });
            combinations = longer.take(MOST_COLUMNS + 1).collect();
        }
        if combinations.len() > MOST_COLUMNS {
            return Err(Error::new(
                codes::SQL_005,
                format!("planning the SQL: PIVOT would make more than {MOST_COLUMNS} columns"),
            )
            .hint("name the values: ON column IN (…)"));
        }
        for (conditions, parts) in combinations {
            let condition = ast::all_of(conditions).unwrap_or_else(ast::null);
            for (expr, alias) in &using {
                let mut filtered = expr.clone();
                let _: ControlFlow<()> = filtered.visit(&mut Filtered { binder: self, condition: &condition });
                let value = parts.join("_");
                let name = match alias {
                    Some(alias) => format!("{value}_{alias}"),
                    None if using.len() == 1 => value,
                    None => format!("{value}_{}", output_name(expr)),
                };
                items.push((self.expr(filtered, names, env)?, name));
            }
        }
        deduplicated(items.iter_mut().map(|(_, name)| name));
        let mut select = select::all_of(ast::relation(&self.engine.register(scope.plan.clone())));
        select.projection = items.into_iter().map(|(expr, name)| ast::item(expr, &name)).collect();
        select.group_by = GroupByExpr::Expressions(groups, Vec::new());
        self.planned(query_of(SetExpr::Select(Box::new(select))), env)
    }
}

/// The names that an expression mentions.
struct Mentioned<'a>(&'a mut Vec<String>);

impl VisitorMut for Mentioned<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(name) => self.0.push(name.value.clone()),
            Expr::CompoundIdentifier(parts) => self.0.extend(parts.iter().map(|part| part.value.clone())),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Lets every aggregate of an expression see only rows that meet a condition.
struct Filtered<'a, 'b> {
    binder: &'a Binder<'b>,
    condition: &'a Expr,
}

impl VisitorMut for Filtered<'_, '_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && self.binder.engine.is_aggregate(&ast::function_name(function))
        {
            let own = function.filter.take().map(|filter| *filter);
            function.filter = ast::all_of(own.into_iter().chain([self.condition.clone()])).map(Box::new);
        }
        ControlFlow::Continue(())
    }
}

fn named(item: SelectItem) -> Result<(Expr, Option<String>)> {
    match item {
        SelectItem::UnnamedExpr(expr) => Ok((expr, None)),
        SelectItem::ExprWithAlias { expr, alias } => Ok((expr, Some(alias.value))),
        other => Err(unsupported(&format!("PIVOT USING {other}"))),
    }
}

/// What a column is called that stands for a value.
fn value_name(value: &Expr) -> String {
    match value {
        Expr::Value(ValueWithSpan { value: Value::Null, .. }) => "NULL".to_owned(),
        Expr::Value(ValueWithSpan { value: Value::Number(text, _), .. }) => text.clone(),
        Expr::Value(ValueWithSpan { value, .. }) => value.clone().into_string().unwrap_or_else(|| value.to_string()),
        Expr::Tuple(members) => members.iter().map(value_name).collect::<Vec<_>>().join("_"),
        other => output_name(other),
    }
}

/// Whether a name stands among expressions.
pub(super) fn mentions(exprs: &[Expr], name: &str) -> bool {
    let mut mentioned = Vec::new();
    for expr in exprs {
        let _: ControlFlow<()> = expr.clone().visit(&mut Mentioned(&mut mentioned));
    }
    mentioned.iter().any(|known| same(known, name))
}
