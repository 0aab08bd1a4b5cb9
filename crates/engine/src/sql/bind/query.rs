//! Whole queries: WITH, what they are made of, ORDER BY and LIMIT.
//! Not here: a SELECT (`select`), set operations (`set`).
//! Called for the statement, for queries in FROM and for queries in expressions.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field};
use datafusion::common::Column as EngineColumn;
use datafusion::common::metadata::FieldMetadata;
use datafusion::logical_expr::{Expr as EngineExpr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::sql::sqlparser::ast::{
    Expr, Fetch, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, LimitClause, OrderBy,
    OrderByExpr, Query, SelectItem, SetExpr, Table, WildcardAdditionalOptions, With,
};
use tapline_core::values::{TYPE_KEY, duckdb_type_name};
use tapline_core::{Error, Result, codes};

use super::expr::{Names, unsupported};
use super::{Binder, Env, ast, query_of, select};

impl Binder<'_> {
    /// Binds a query.
    pub(super) fn query(&self, query: Query, env: &Env<'_>) -> Result<LogicalPlan> {
        let Query { with, body, order_by, limit_clause, fetch, .. } = query;
        let env = match with {
            Some(with) => self.with(with, env)?,
            None => env.clone(),
        };
        let plan = self.body(*body, order_by, &env)?;
        let limit = match (limit_clause, fetch) {
            (limit, None) => limit,
            (limit, Some(fetch)) => Some(fetched(limit, fetch)?),
        };
        match limit {
            Some(limit) => self.limited(plan, limit, &env),
            None => Ok(plan),
        }
    }

    pub(super) fn with<'e>(&self, with: With, env: &Env<'e>) -> Result<Env<'e>> {
        // Relations of WITH see no columns around them unless they are part of a query that does.
        let mut inner = env.clone();
        for cte in with.cte_tables {
            let name = cte.alias.name.value.clone();
            let columns: Vec<_> = cte.alias.columns.into_iter().map(|column| column.name).collect();
            let plan = match with.recursive {
                true => self.recursive(&name, &columns, *cte.query, &inner)?,
                false => self.renamed(self.query(*cte.query, &inner)?, &columns)?,
            };
            inner = inner.with_cte(&name, plan);
        }
        Ok(inner)
    }

    /// Binds a query's body with its ORDER BY.
    pub(super) fn body(&self, body: SetExpr, order_by: Option<OrderBy>, env: &Env<'_>) -> Result<LogicalPlan> {
        let plan = match body {
            SetExpr::Select(select) => return self.select(*select, order_by, env),
            SetExpr::Query(query) => self.query(*query, env)?,
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                self.set_operation(*left, op, set_quantifier, *right, env)?
            }
            SetExpr::Values(values) => self.values(values, env)?,
            SetExpr::Table(table) => self.table(&table, env)?,
            _ => return Err(unsupported("a statement that writes")),
        };
        match order_by {
            Some(order_by) => self.ordered(plan, order_by, env),
            None => Ok(plan),
        }
    }

    fn table(&self, table: &Table, env: &Env<'_>) -> Result<LogicalPlan> {
        let name = table.table_name.clone().unwrap_or_default();
        let select = select::all_of(ast::relation(&name));
        self.select(select, None, env)
    }

    /// Sorts what is no SELECT by its columns.
    pub(super) fn ordered(&self, plan: LogicalPlan, order_by: OrderBy, env: &Env<'_>) -> Result<LogicalPlan> {
        let name = self.unique("ordered");
        let env = env.with_cte(&name, plan);
        self.select(select::all_of(ast::relation(&name)), Some(order_by), &env)
    }

    /// A query within an expression, as the engine's planner sees it.
    pub(super) fn subquery(&self, query: Query, env: &Env<'_>) -> Result<Query> {
        let plan = self.query(query, env)?;
        let name = self.engine.register(plan);
        Ok(query_of(SetExpr::Select(Box::new(select::all_of(ast::relation(&name))))))
    }

    /// `ARRAY(SELECT …)` and other functions of a query.
    pub(super) fn subquery_call(&self, name: &str, query: Query, names: Names<'_>, env: &Env<'_>) -> Result<Expr> {
        if name != "array" {
            return Err(unsupported(&format!("a query as the argument of {name}()")));
        }
        let inner = env.within(&names);
        let ordered = query.order_by.is_some();
        let mut plan = self.query(query, &inner)?;
        let Some(field) = plan.schema().fields().first().map(|field| field.name().clone()) else {
            return Err(unsupported("ARRAY of no column"));
        };
        let number = self.unique("number");
        if ordered {
            let row = self.numbered(&plan)?;
            let numbered = LogicalPlanBuilder::from(plan).window([row.alias(&number)]);
            plan = self.told(numbered.and_then(LogicalPlanBuilder::build))?;
        }
        let relation = self.unique("array");
        let inner = inner.with_cte(&relation, plan);
        let mut select = select::all_of(ast::relation(&relation));
        let argument = FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(ast::ident(&field))));
        let mut list = ast::function("list", vec![argument]);
        if let (true, FunctionArguments::List(arguments)) = (ordered, &mut list.args) {
            let number = OrderByExpr::from(ast::ident(&number));
            arguments.clauses.push(FunctionArgumentClause::OrderBy(vec![number]));
        }
        let list = Expr::Function(list);
        select.projection =
            vec![ast::item(ast::call("coalesce", vec![list, ast::call("list_value", Vec::new())]), "array")];
        let plan = self.select(select, None, &inner)?;
        let name = self.engine.register(plan);
        Ok(Expr::Subquery(Box::new(query_of(SetExpr::Select(Box::new(select::all_of(ast::relation(&name))))))))
    }

    /// Gives columns the names of an alias's list.
    pub(super) fn renamed(
        &self,
        plan: LogicalPlan,
        names: &[datafusion::sql::sqlparser::ast::Ident],
    ) -> Result<LogicalPlan> {
        if names.is_empty() {
            return Ok(plan);
        }
        let schema = plan.schema();
        if names.len() > schema.fields().len() {
            return Err(Error::new(
                codes::SQL_005,
                format!("planning the SQL: {} names for {} columns", names.len(), schema.fields().len()),
            ));
        }
        let exprs: Vec<EngineExpr> = schema
            .iter()
            .enumerate()
            .map(|(index, (qualifier, field))| {
                let column = EngineExpr::Column(EngineColumn::from((qualifier, field)));
                match names.get(index) {
                    Some(name) => column.alias(name.value.clone()),
                    None => column.alias(field.name().clone()),
                }
            })
            .collect();
        self.told(LogicalPlanBuilder::from(plan).project(exprs).and_then(LogicalPlanBuilder::build))
    }

    /// The statement's own columns: an untyped NULL is INTEGER, as in DuckDB, and HUGEINT says so.
    pub(super) fn finished(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let untyped = |field: &Field| field.data_type() == &DataType::Null;
        let huge = |field: &Field| {
            field.data_type() == &DataType::Decimal256(39, 0) && !duckdb_type_name(field).ends_with("HUGEINT")
        };
        if !plan.schema().fields().iter().any(|field| untyped(field) || huge(field)) {
            return Ok(plan);
        }
        let exprs: Vec<EngineExpr> = plan
            .schema()
            .iter()
            .map(|(qualifier, field)| {
                let column = EngineExpr::Column(EngineColumn::from((qualifier, field)));
                if untyped(field) {
                    cast(column, DataType::Int32).alias(field.name().clone())
                } else if huge(field) {
                    let tag = HashMap::from([(TYPE_KEY.to_owned(), "HUGEINT".to_owned())]);
                    column.alias_with_metadata(field.name().clone(), Some(FieldMetadata::from(tag)))
                } else {
                    column
                }
            })
            .collect();
        self.told(LogicalPlanBuilder::from(plan).project(exprs).and_then(LogicalPlanBuilder::build))
    }

    /// Scans a plan's columns under a name of its own.
    pub(super) fn aliased(&self, plan: LogicalPlan, name: &str) -> Result<LogicalPlan> {
        self.told(LogicalPlanBuilder::from(plan).alias(name).and_then(LogicalPlanBuilder::build))
    }
}

/// `FETCH FIRST n ROWS` as LIMIT.
fn fetched(limit: Option<LimitClause>, fetch: Fetch) -> Result<LimitClause> {
    let offset = match limit {
        None => None,
        Some(LimitClause::LimitOffset { limit: None, offset, limit_by }) if limit_by.is_empty() => offset,
        Some(_) => return Err(Error::new(codes::SQL_005, "planning the SQL: there is LIMIT as well as FETCH")),
    };
    if fetch.with_ties || fetch.percent {
        return Err(unsupported("this FETCH"));
    }
    let limit = Some(fetch.quantity.unwrap_or_else(|| ast::number("1")));
    Ok(LimitClause::LimitOffset { limit, offset, limit_by: Vec::new() })
}

/// `*` without anything more.
pub(super) fn star() -> SelectItem {
    SelectItem::Wildcard(WildcardAdditionalOptions::default())
}
