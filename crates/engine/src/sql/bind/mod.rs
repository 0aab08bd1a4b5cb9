//! What a statement means: its names, DuckDB's constructs and types, as a plan of the query engine.
//! Not here: reading the text (`parse`, `syntax`), files (`files`, `table`), what operators compute (`semantics`).
//! Called by the session between parsing and running.
//!
//! Every part of a statement that is a relation becomes a plan of its own, from the inside out, so that the columns of
//! what stands in FROM are known wherever a name is looked up. The engine's planner sees one SELECT at a time, in which
//! every column is named in full.

mod access;
mod asof;
mod ast;
mod call;
mod columns;
mod dependent;
mod describe;
mod engine;
mod expr;
mod frames;
mod from;
mod functions;
mod joins;
mod lateral;
mod limit;
mod naming;
mod operators;
mod pivot;
mod planned;
mod positions;
mod quantified;
mod query;
mod recursive;
mod scope;
mod select;
mod set;
mod subqueries;
mod unnest;
mod unpivot;
mod windows;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use arrow::datatypes::FieldRef;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, SetExpr, Values};
use tapline_core::{Error, Result};

use super::errors::{blamed_name, from_datafusion};
use super::parse;
use engine::Engine;
use expr::Names;
use scope::Scope;

/// The stack on which a statement is bound: syntax trees are walked by recursion.
const STACK: usize = 256 << 20;

/// What a statement is bound with.
pub(crate) struct Surroundings<'a> {
    /// The statement's text, for carets.
    pub(crate) sql: &'a str,
    pub(crate) state: &'a SessionState,
    /// The files' tables by the names that stand in their place.
    pub(crate) tables: &'a HashMap<String, LogicalPlan>,
    /// What those names stand for.
    pub(crate) shown: &'a [(String, String)],
    /// What the statement's shape depends on, as far as it has been looked up: the values that PIVOTs turn into columns,
    /// limits that a query gives.
    pub(crate) pivots: &'a [Vec<Vec<ScalarValue>>],
}

/// What binding a statement gives.
pub(crate) enum Bound {
    Plan(Box<LogicalPlan>),
    /// What the statement's shape depends on has to be looked up first: the rows of this plan.
    Values(Box<LogicalPlan>),
}

/// Binds a statement whose file references have become tables.
///
/// # Errors
/// `SQL-002` to `SQL-005` for names that nobody knows and what does not fit, `SQL-013` for what cannot be carried out.
pub(crate) fn bind(query: &Query, surroundings: &Surroundings<'_>) -> Result<Bound> {
    stacker::grow(STACK, || {
        let binder = Binder {
            engine: Engine::new(surroundings.state),
            surroundings,
            used: RefCell::default(),
            pivots: Cell::new(0),
            wanted: RefCell::default(),
        };
        let plan = binder.query(query.clone(), &Env::default()).and_then(|plan| binder.finished(plan));
        let plan = plan.and_then(|plan| binder.told(binder.flattened(plan)));
        match (plan, binder.wanted.take()) {
            (_, Some(values)) => Ok(Bound::Values(Box::new(values))),
            (plan, None) => Ok(Bound::Plan(Box::new(plan?))),
        }
    })
}

/// Binds one statement.
struct Binder<'a> {
    engine: Engine<'a>,
    surroundings: &'a Surroundings<'a>,
    /// Names of relations that are taken.
    used: RefCell<HashSet<String>>,
    /// How many such plans have been met.
    pivots: Cell<usize>,
    /// The one whose rows are missing.
    wanted: RefCell<Option<LogicalPlan>>,
}

/// What surrounds a query: relations by name, and the queries it is part of.
#[derive(Clone, Default)]
struct Env<'a> {
    ctes: Rc<HashMap<String, LogicalPlan>>,
    outer: Vec<Names<'a>>,
}

impl<'a> Env<'a> {
    /// The surroundings of a query inside an expression.
    fn within<'b>(&self, names: &Names<'b>) -> Env<'b>
    where
        'a: 'b,
    {
        let outer = std::iter::once(*names).chain(self.outer.iter().copied()).collect();
        Env { ctes: Rc::clone(&self.ctes), outer }
    }

    /// The same with one more relation.
    fn with_cte(&self, name: &str, plan: LogicalPlan) -> Self {
        let mut ctes = self.ctes.as_ref().clone();
        ctes.insert(name.to_lowercase(), plan);
        Self { ctes: Rc::new(ctes), outer: self.outer.clone() }
    }

    /// The queries around, from the inside out.
    fn outers(&self) -> impl Iterator<Item = &Names<'a>> {
        self.outer.iter()
    }

    /// The columns of all queries around.
    fn outer_schema(&self) -> Option<DFSchema> {
        let mut outers = self.outer.iter();
        let mut schema = outers.next()?.scope.schema().as_ref().clone();
        outers.for_each(|outer| schema.merge(outer.scope.schema()));
        Some(schema)
    }
}

impl Binder<'_> {
    /// A name for a relation that no other has.
    fn unique(&self, name: &str) -> String {
        let mut used = self.used.borrow_mut();
        let mut unique = name.to_lowercase();
        let mut number = 1;
        while !used.insert(unique.clone()) {
            number += 1;
            unique = format!("{}_{number}", name.to_lowercase());
        }
        unique
    }

    /// The engine's answer, or its error in Tapline's words.
    fn told<T>(&self, answer: datafusion::error::Result<T>) -> Result<T> {
        answer.map_err(|error| self.error(&error))
    }

    fn error(&self, error: &DataFusionError) -> Error {
        let place = blamed_name(error).and_then(|name| parse::caret_at(self.surroundings.sql, &name));
        let error = from_datafusion(error, "planning the SQL", self.surroundings.shown);
        match place {
            Some(place) => error.excerpt(place),
            None => error,
        }
    }

    /// An error with a caret below a name.
    fn at(&self, name: &Ident, error: Error) -> Error {
        let place = name.span.start;
        match (usize::try_from(place.line), usize::try_from(place.column)) {
            (Ok(line), Ok(column)) if line > 0 => error.excerpt(parse::caret(self.surroundings.sql, line, column)),
            _ => error,
        }
    }

    /// The type of a bound expression.
    fn field(&self, expr: Expr, scope: &Scope) -> Result<FieldRef> {
        self.told(self.engine.field(expr, scope.schema()))
    }

    /// Whether an expression without columns is true.
    fn is_true(&self, expr: Expr, env: &Env<'_>) -> Result<bool> {
        let scope = self.empty_scope()?;
        let bound = self.expr(expr, Names::of(&scope), env)?;
        Ok(matches!(self.constant(bound)?, Some(ScalarValue::Boolean(Some(true)))))
    }
}

/// A query to put in the place of one that is taken out.
fn empty_query() -> Query {
    let values = Values { explicit_row: false, value_keyword: false, rows: Vec::new() };
    query_of(SetExpr::Values(values))
}

/// A query of a body alone.
fn query_of(body: SetExpr) -> Query {
    Query {
        with: None,
        body: Box::new(body),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}
