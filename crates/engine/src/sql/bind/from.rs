//! What stands in FROM, as one plan and the columns that it offers.
//! Not here: joining (`joins`), functions that give tables (`functions`).
//! Called for every SELECT.

use datafusion::common::tree_node::TreeNode;
use datafusion::functions::expr_fn::random;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::prelude::Expr as EngineExpr;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Join, JoinOperator, ObjectName, ObjectNamePart, Select, SelectItem, TableAlias, TableFactor,
    TableSampleKind, TableSampleUnit, TableWithJoins, Value, ValueWithSpan,
};
use tapline_core::{Error, Result, codes};

use super::expr::{Names, unsupported};
use super::scope::{Column, Scope, same};
use super::{Binder, Env, ast};
use crate::sql::syntax::SAMPLE;

/// A relation of FROM before it is joined to those left of it.
pub(super) struct Relation {
    pub(super) scope: Scope,
    /// Whether it was made from columns of the relations left of it.
    pub(super) kind: Kind,
}

/// How a relation depends on those left of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not at all.
    Alone,
    /// It is to be evaluated for each of their rows.
    Lateral,
    /// It holds their columns already, each row once for each element of a list.
    Unnested,
}

impl Binder<'_> {
    /// A FROM clause without anything in it.
    pub(super) fn empty_scope(&self) -> Result<Scope> {
        let plan = self.told(LogicalPlanBuilder::empty(true).build())?;
        Ok(Scope { columns: Vec::new(), plan, used: std::rc::Rc::default() })
    }

    /// Binds a FROM clause.
    pub(super) fn from(&self, tables: Vec<TableWithJoins>, env: &Env<'_>) -> Result<Scope> {
        let mut scope = self.empty_scope()?;
        for tables in tables {
            // Joins with the first relation of the clause need no other beside it.
            scope = if scope.columns.is_empty() || tables.joins.is_empty() {
                self.chain(scope, tables, env)?
            } else {
                let prior = Names::of(&scope);
                let right = self.chain(self.empty_scope()?, tables, &env.within(&prior))?;
                let kind = if is_lateral(&right.plan) { Kind::Lateral } else { Kind::Alone };
                self.join(scope, Relation { scope: right, kind }, &cross(), env)?
            };
        }
        Ok(scope)
    }

    /// A relation and those joined to it.
    fn chain(&self, left: Scope, tables: TableWithJoins, env: &Env<'_>) -> Result<Scope> {
        let mut scope = self.next(left, tables.relation, &cross(), env)?;
        for Join { relation, join_operator, .. } in tables.joins {
            scope = self.next(scope, relation, &join_operator, env)?;
        }
        Ok(scope)
    }

    fn next(&self, left: Scope, factor: TableFactor, operator: &JoinOperator, env: &Env<'_>) -> Result<Scope> {
        let outer = matches!(operator, JoinOperator::Left(_) | JoinOperator::LeftOuter(_));
        let relation = self.relation(factor, &left, outer, env)?;
        if left.columns.is_empty() && relation.kind == Kind::Alone {
            return Ok(relation.scope);
        }
        self.join(left, relation, operator, env)
    }

    /// One relation; `left` is what stands left of it.
    fn relation(&self, factor: TableFactor, left: &Scope, outer: bool, env: &Env<'_>) -> Result<Relation> {
        match factor {
            TableFactor::Table { name, alias, args: None, sample, .. } => {
                let plan = self.named(&name, left, env)?;
                let plan = self.sampled(plan, sample)?;
                let default = name.0.last().map_or_else(String::new, part_text);
                Ok(alone(self.scope(plan, alias, &default)?))
            }
            TableFactor::Table { name, alias, args: Some(arguments), with_ordinality, sample, .. } => {
                let mut relation =
                    self.table_function(&name, arguments.args, alias, with_ordinality, left, outer, env)?;
                relation.scope.plan = self.sampled(relation.scope.plan, sample)?;
                Ok(relation)
            }
            TableFactor::Function { name, args, alias, with_ordinality, .. } => {
                self.table_function(&name, args, alias, with_ordinality, left, outer, env)
            }
            TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } => {
                self.unnest_relation("unnest", array_exprs, alias, with_ordinality, left, outer, env)
            }
            TableFactor::Derived { subquery, alias, sample, .. } => self.derived(*subquery, alias, sample, left, env),
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                Ok(alone(self.chain(self.empty_scope()?, *table_with_joins, env)?))
            }
            TableFactor::Pivot { table, aggregate_functions, value_column, value_source, alias, .. } => {
                let source = self.from(vec![TableWithJoins { relation: *table, joins: Vec::new() }], env)?;
                let plan = self.pivot_clause(source, aggregate_functions, value_column, value_source, env)?;
                Ok(alone(self.scope(plan, alias, "pivot")?))
            }
            TableFactor::Unpivot { table, value, name, columns, null_inclusion, alias } => {
                let source = self.from(vec![TableWithJoins { relation: *table, joins: Vec::new() }], env)?;
                let plan = self.unpivot_clause(source, value, name, columns, null_inclusion, env)?;
                Ok(alone(self.scope(plan, alias, "unpivot")?))
            }
            other => Err(unsupported(&format!("{other} in FROM"))),
        }
    }

    /// A relation of WITH, or a file's table.
    fn named(&self, name: &ObjectName, left: &Scope, env: &Env<'_>) -> Result<LogicalPlan> {
        let text = name.0.last().map_or_else(String::new, part_text);
        if let Some(plan) = env.ctes.get(&text.to_lowercase()) {
            return Ok(plan.clone());
        }
        if let Some(plan) = self.surroundings.tables.get(&text) {
            return Ok(plan.clone());
        }
        // A list can stand in FROM by its column's path only inside UNNEST; say what is there.
        let mut known: Vec<String> = env.ctes.keys().filter(|name| !name.contains(' ')).cloned().collect();
        known.extend(left.columns.iter().map(|column| column.table.clone()));
        known.sort_unstable();
        known.dedup();
        let error = Error::new(codes::SQL_003, format!("planning the SQL: there is no table \"{text}\""));
        let near = known.iter().find(|candidate| strsim::osa_distance(candidate, &text.to_lowercase()) <= 2);
        let error = match near {
            Some(near) => error.hint(format!("did you mean \"{near}\"?")),
            None => error.hint("name files in quotes: FROM 's3://bucket/path/file.parquet'"),
        };
        Err(match name.0.last() {
            Some(ObjectNamePart::Identifier(identifier)) => self.at(identifier, error),
            _ => error,
        })
    }

    /// A plan's columns under a table's name.
    pub(super) fn scope(&self, plan: LogicalPlan, alias: Option<TableAlias>, default: &str) -> Result<Scope> {
        let (table, columns): (String, Vec<Ident>) = match alias {
            Some(alias) => (alias.name.value, alias.columns.into_iter().map(|column| column.name).collect()),
            None => (default.to_owned(), Vec::new()),
        };
        let plan = self.renamed(plan, &columns)?;
        let qualifier = self.unique(&table);
        let plan = self.aliased(plan, &qualifier)?;
        let columns = plan
            .schema()
            .fields()
            .iter()
            .map(|field| Column {
                table: table.clone(),
                name: field.name().clone(),
                expr: ast::column(&qualifier, field.name()),
                visible: true,
                merged: None,
            })
            .collect();
        Ok(Scope { columns, plan, used: std::rc::Rc::default() })
    }

    /// A query in FROM, which may use columns of what stands left of it.
    fn derived(
        &self,
        subquery: datafusion::sql::sqlparser::ast::Query,
        alias: Option<TableAlias>,
        sample: Option<TableSampleKind>,
        left: &Scope,
        env: &Env<'_>,
    ) -> Result<Relation> {
        let names = Names::of(left);
        let inner = env.within(&names);
        let before = left.used.replace(false);
        let plan = if left.columns.is_empty() { self.query(subquery, env) } else { self.query(subquery, &inner) };
        let lateral = left.used.replace(before);
        let plan = self.sampled(plan?, sample)?;
        let kind = if lateral { Kind::Lateral } else { Kind::Alone };
        Ok(Relation { scope: self.scope(plan, alias, "unnamed_subquery")?, kind })
    }

    fn sampled(&self, plan: LogicalPlan, sample: Option<TableSampleKind>) -> Result<LogicalPlan> {
        let sample = match sample {
            None => return Ok(plan),
            Some(TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample)) => sample,
        };
        let Some(quantity) = sample.quantity else { return Err(unsupported("a sample without a size")) };
        let percent = quantity.unit == Some(TableSampleUnit::Percent);
        self.sample_of(plan, &quantity.value, percent)
    }

    /// Some rows of a plan.
    fn sample_of(&self, plan: LogicalPlan, size: &Expr, percent: bool) -> Result<LogicalPlan> {
        let Expr::Value(ValueWithSpan { value: Value::Number(text, _), .. }) = size else {
            return Err(unsupported("a sample whose size is no number"));
        };
        let invalid = || {
            Error::new(codes::SQL_005, format!("planning the SQL: a sample cannot be of {text}"))
                .hint("a share is between 0 and 100 percent")
        };
        let size: f64 = text.parse().map_err(|_| invalid())?;
        let builder = LogicalPlanBuilder::from(plan);
        let plan = if percent {
            if !(0.0..=100.0).contains(&size) {
                return Err(invalid());
            }
            builder.filter(random().lt(lit(size / 100.0)))
        } else {
            let rows = text.parse::<usize>().map_err(|_| invalid())?;
            if rows == 0 {
                return self.told(builder.limit(0, Some(0)).and_then(LogicalPlanBuilder::build));
            }
            // The numbers are a column, so that there is one for each row even where no other column is read.
            let columns: Vec<EngineExpr> = builder.schema().columns().into_iter().map(EngineExpr::Column).collect();
            let number = self.unique("random");
            let order = EngineExpr::Column(datafusion::common::Column::new_unqualified(number.clone()));
            builder
                .project(columns.iter().cloned().chain([random().alias(number)]))
                .and_then(|builder| builder.sort_with_limit([order.sort(true, false)], Some(rows)))
                .and_then(|builder| builder.project(columns))
        };
        self.told(plan.and_then(LogicalPlanBuilder::build))
    }

    /// The FROM of a SELECT, sampled where its list says so before anything else.
    pub(super) fn sampled_from(&self, select: &mut Select, env: &Env<'_>) -> Result<Scope> {
        let mut scope = self.from(std::mem::take(&mut select.from), env)?;
        if select.projection.first().and_then(ast::mark) == Some(SAMPLE) {
            let marked: Vec<SelectItem> = select.projection.drain(..select.projection.len().min(3)).collect();
            let [_, SelectItem::UnnamedExpr(size), SelectItem::UnnamedExpr(Expr::Value(unit))] = marked.as_slice()
            else {
                return Err(unsupported("this sample"));
            };
            let percent = unit.value.clone().into_string().as_deref() == Some("%");
            scope.plan = self.sample_of(scope.plan, size, percent)?;
        }
        Ok(scope)
    }

    /// An expression of the engine over a scope's columns.
    pub(super) fn engine_expr(&self, expr: Expr, scope: &Scope) -> Result<EngineExpr> {
        self.told(self.engine.expr(expr, scope.schema()))
    }
}

/// Whether a plan uses columns of a query around it.
fn is_lateral(plan: &LogicalPlan) -> bool {
    plan.exists(|node| Ok(node.contains_outer_reference())).unwrap_or(false)
}

pub(super) fn alone(scope: Scope) -> Relation {
    Relation { scope, kind: Kind::Alone }
}

pub(super) fn cross() -> JoinOperator {
    JoinOperator::CrossJoin(datafusion::sql::sqlparser::ast::JoinConstraint::None)
}

/// The text of a part of a name.
pub(super) fn part_text(part: &ObjectNamePart) -> String {
    match part {
        ObjectNamePart::Identifier(name) => name.value.clone(),
        ObjectNamePart::Function(function) => function.name.value.clone(),
    }
}

/// Whether one of some names is `name`.
pub(super) fn contains_name(names: &[String], name: &str) -> bool {
    names.iter().any(|known| same(known, name))
}
