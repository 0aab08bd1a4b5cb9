//! The query engine's planner, fed with relations that are already planned.
//! Not here: what a statement means before it gets there.
//! Called by the other files of this folder.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, TableReference, plan_datafusion_err};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::{
    ContextProvider, ExprPlanner, PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{
    AggregateUDF, Expr, ExprSchemable, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF,
};
use datafusion::sql::planner::{NullOrdering, ParserOptions, PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast::{self, ObjectNamePart, Statement, TableFactor};
use parking_lot::Mutex;

use super::planned;
use crate::sql::semantics;

/// Plans that statements name in FROM.
#[derive(Debug, Default)]
struct Relations(Mutex<HashMap<String, LogicalPlan>>);

impl RelationPlanner for Relations {
    fn plan_relation(&self, relation: TableFactor, _: &mut dyn RelationPlannerContext) -> Result<RelationPlanning> {
        if let TableFactor::Table { name, alias, .. } = &relation
            && let [ObjectNamePart::Identifier(name)] = name.0.as_slice()
            && let Some(plan) = self.0.lock().get(&name.value)
        {
            let leaf = planned::leaf(&name.value, plan);
            return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(leaf, alias.clone()))));
        }
        Ok(RelationPlanning::Original(Box::new(relation)))
    }
}

/// The engine's planner over the functions of a session.
pub(super) struct Engine<'a> {
    state: &'a SessionState,
    relations: Arc<Relations>,
    planners: Vec<Arc<dyn RelationPlanner>>,
    expr_planners: Vec<Arc<dyn ExprPlanner>>,
}

impl<'a> Engine<'a> {
    pub(super) fn new(state: &'a SessionState) -> Self {
        let relations = Arc::new(Relations::default());
        let mut expr_planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(semantics::Comparisons)];
        expr_planners.extend(state.expr_planners().iter().cloned());
        Self { state, planners: vec![Arc::clone(&relations) as _], relations, expr_planners }
    }

    pub(super) fn state(&self) -> &SessionState {
        self.state
    }

    /// Makes a plan known under a name, and gives the name.
    pub(super) fn register(&self, plan: LogicalPlan) -> String {
        let mut relations = self.relations.0.lock();
        let name = format!("relation {}", relations.len());
        relations.insert(name.clone(), plan);
        name
    }

    /// A plan by its name.
    pub(super) fn registered(&self, name: &str) -> Option<LogicalPlan> {
        self.relations.0.lock().get(name).cloned()
    }

    fn planner(&self) -> SqlToRel<'_, Self> {
        let options = ParserOptions::new()
            .with_parse_float_as_decimal(true)
            .with_enable_ident_normalization(false)
            .with_map_string_types_to_utf8view(false)
            .with_default_null_ordering(NullOrdering::NullsLast);
        SqlToRel::new_with_options(self, options)
    }

    /// Plans a query over registered relations.
    pub(super) fn query(&self, query: ast::Query, outer: Option<&DFSchema>) -> Result<LogicalPlan> {
        let mut context = PlannerContext::new();
        if let Some(outer) = outer {
            context.append_outer_query_schema(Arc::new(outer.clone()));
        }
        let statement = Statement::Query(Box::new(query));
        let plan = self.planner().sql_statement_to_plan_with_context(statement, &mut context)?;
        planned::opened(narrow_literals(plan)?, &|name| self.registered(name))
    }

    /// Plans an expression over a relation's columns.
    pub(super) fn expr(&self, expr: ast::Expr, schema: &DFSchema) -> Result<Expr> {
        self.expr_within(expr, schema, None)
    }

    /// As [`expr`](Self::expr), for an expression that may use columns of queries around.
    pub(super) fn expr_within(&self, expr: ast::Expr, schema: &DFSchema, outer: Option<&DFSchema>) -> Result<Expr> {
        let mut context = PlannerContext::new();
        if let Some(outer) = outer {
            context.append_outer_query_schema(Arc::new(outer.clone()));
        }
        let expr = self.planner().sql_to_expr(expr, schema, &mut context)?;
        let expr = expr.transform_up(|expr| adapted(expr, schema))?.data.transform_up(narrow)?.data;
        planned::opened_expr(expr, &|name| self.registered(name)).map(|opened| opened.data)
    }

    /// The field that an expression over a relation's columns gives.
    pub(super) fn field(&self, expr: ast::Expr, schema: &DFSchema) -> Result<FieldRef> {
        Ok(self.expr(expr, schema)?.to_field(schema)?.1)
    }

    /// Whether a function of that name makes one value of many.
    pub(super) fn is_aggregate(&self, name: &str) -> bool {
        self.state.aggregate_functions().contains_key(name) || name == "grouping"
    }
}

/// Whole numbers are INTEGER in DuckDB where they fit, BIGINT here until now.
fn narrow_literals(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        if matches!(node, LogicalPlan::Limit(_) | LogicalPlan::TableScan(_)) {
            return Ok(Transformed::no(node));
        }
        let names = NamePreserver::new(&node);
        let schema = joined_schema(&node);
        let mapped = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let adapted = expr.transform_up(|expr| adapted(expr, &schema))?;
            let changed = adapted.transformed;
            let mut narrowed = adapted.data.transform_up(narrow)?;
            narrowed.transformed |= changed;
            Ok(if narrowed.transformed { narrowed.update_data(|expr| name.restore(expr)) } else { narrowed })
        })?;
        // Types of what lies below may have changed even where nothing did here.
        mapped.map_data(LogicalPlan::recompute_schema)
    })
    .map(|narrowed| narrowed.data)
}

/// The columns that a node's expressions may use.
fn joined_schema(node: &LogicalPlan) -> DFSchema {
    let mut inputs = node.inputs().into_iter();
    let mut schema = inputs.next().map_or_else(DFSchema::empty, |input| input.schema().as_ref().clone());
    inputs.for_each(|input| schema.merge(input.schema()));
    schema
}

/// A whole number that is written out takes the type of the smaller integer that it is computed with, where it fits.
fn adapted(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    const ADAPTING: [&str; 10] = ["+", "-", "*", "//", "%", "add", "subtract", "multiply", "mod", "coalesce"];
    let floated = floating_choice(expr, schema);
    let Transformed { data: Expr::ScalarFunction(mut function), transformed: false, .. } = floated else {
        return Ok(floated);
    };
    if !ADAPTING.contains(&function.func.name()) {
        return Ok(Transformed::no(Expr::ScalarFunction(function)));
    }
    let written = |expr: &Expr| matches!(expr, Expr::Literal(ScalarValue::Int64(Some(_)), None));
    let mut others = function.args.iter().filter(|arg| !written(arg)).map(|arg| arg.get_type(schema));
    let data_type = match (others.next(), others.next()) {
        (Some(Ok(data_type)), None) => data_type,
        _ => return Ok(Transformed::no(Expr::ScalarFunction(function))),
    };
    use DataType::{Int8, Int16, UInt8, UInt16, UInt32, UInt64};
    if !matches!(data_type, Int8 | Int16 | UInt8 | UInt16 | UInt32 | UInt64) {
        return Ok(Transformed::no(Expr::ScalarFunction(function)));
    }
    let mut changed = false;
    for argument in &mut function.args {
        if let Expr::Literal(value @ ScalarValue::Int64(Some(_)), None) = argument
            && let Ok(fitting) =
                value.cast_to_with_options(&data_type, &CastOptions { safe: false, ..CastOptions::default() })
        {
            *argument = Expr::Literal(fitting, None);
            changed = true;
        }
    }
    Ok(Transformed::new_transformed(Expr::ScalarFunction(function), changed))
}

/// A choice between DOUBLE and DECIMAL gives a DOUBLE.
fn floating_choice(mut expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let values: Vec<&mut Expr> = match &mut expr {
        Expr::Case(case) => {
            let results = case.when_then_expr.iter_mut().map(|(_, result)| result.as_mut());
            results.chain(case.else_expr.iter_mut().map(Box::as_mut)).collect()
        }
        Expr::ScalarFunction(function) if ["coalesce", "nullif"].contains(&function.func.name()) => {
            function.args.iter_mut().collect()
        }
        _ => Vec::new(),
    };
    let changed = float_decimals(values, schema);
    Transformed::new_transformed(expr, changed)
}

/// Makes decimals floating-point numbers where other values are such, and says whether there were any.
pub(super) fn float_decimals(values: Vec<&mut Expr>, schema: &DFSchema) -> bool {
    let types: Vec<DataType> = values.iter().filter_map(|value| value.get_type(schema).ok()).collect();
    let floating = [DataType::Float64, DataType::Float32].into_iter().find(|floating| types.contains(floating));
    let Some(floating) = floating.filter(|_| types.iter().any(DataType::is_decimal)) else { return false };
    for value in values {
        if value.get_type(schema).is_ok_and(|data_type| data_type.is_decimal()) {
            *value = semantics::cast_to(std::mem::take(value), &floating);
        }
    }
    true
}

fn narrow(expr: Expr) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), metadata) => match i32::try_from(value) {
            Ok(small) => Transformed::yes(Expr::Literal(ScalarValue::Int32(Some(small)), metadata)),
            Err(_) => Transformed::no(Expr::Literal(ScalarValue::Int64(Some(value)), metadata)),
        },
        Expr::ScalarFunction(function) => match semantics::folded(&function)? {
            Some(constant) => Transformed::yes(constant),
            None => Transformed::no(Expr::ScalarFunction(function)),
        },
        other => Transformed::no(other),
    })
}

impl ContextProvider for Engine<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        Err(plan_datafusion_err!("table '{name}' not found"))
    }

    fn create_cte_work_table(&self, name: &str, schema: SchemaRef) -> Result<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(name, schema))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.expr_planners
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.state.scalar_functions().get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn get_variable_field(&self, _: &[String]) -> Option<Arc<Field>> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().filter(|name| is_word(name)).cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}

/// Whether a function can be called by its name: operators cannot.
fn is_word(name: &str) -> bool {
    name.starts_with(|first: char| first.is_alphabetic() || first == '_')
}
