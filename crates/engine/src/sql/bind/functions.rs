//! Functions in FROM: ranges of numbers and moments, elements of lists.
//! Not here: functions that read files, whose references have become tables.
//! Called for FROM.

use datafusion::catalog::TableFunctionArgs;
use datafusion::common::ScalarValue;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr as EngineExpr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, ObjectName, TableAlias};
use tapline_core::{Error, Result, codes};

use super::expr::{Names, unsupported};
use super::from::{Relation, alone, part_text};
use super::scope::Scope;
use super::{Binder, Env, ast};

impl Binder<'_> {
    #[allow(clippy::too_many_arguments, reason = "all parts of one clause")]
    pub(super) fn table_function(
        &self,
        name: &ObjectName,
        arguments: Vec<FunctionArg>,
        alias: Option<TableAlias>,
        ordinality: bool,
        left: &Scope,
        outer: bool,
        env: &Env<'_>,
    ) -> Result<Relation> {
        let name = name.0.last().map_or_else(String::new, part_text).to_lowercase();
        let exprs = arguments
            .into_iter()
            .map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
                | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. } => Ok(expr),
                other => Err(unsupported(&format!("the argument {other} of {name}()"))),
            })
            .collect::<Result<Vec<Expr>>>()?;
        match name.as_str() {
            "unnest" => self.unnest_relation(&name, exprs, alias, ordinality, left, outer, env),
            "range" | "generate_series" => {
                let bound =
                    exprs.into_iter().map(|expr| self.expr(expr, Names::of(left), env)).collect::<Result<Vec<_>>>()?;
                match self.numbers(&name, &bound)? {
                    Some(plan) if !ordinality => Ok(alone(self.scope(plan, alias, &name)?)),
                    _ => self.elements(&name, ast::call(&name, bound), alias, ordinality, left, outer, env),
                }
            }
            _ => Err(Error::new(codes::SQL_004, format!("planning the SQL: there is no table function {name}()"))
                .hint("a table is a file, a query, unnest(…), range(…) or generate_series(…)")),
        }
    }

    /// A range of whole numbers whose bounds are known, one row after the other.
    fn numbers(&self, name: &str, bounds: &[Expr]) -> Result<Option<LogicalPlan>> {
        let mut numbers = Vec::with_capacity(bounds.len());
        for bound in bounds {
            // Bounds that use columns have no value of their own.
            let Ok(Some(value)) = self.constant(bound.clone()) else { return Ok(None) };
            let integer = value.data_type().is_integer();
            match value.cast_to(&arrow::datatypes::DataType::Int64) {
                Ok(value @ ScalarValue::Int64(Some(_))) if integer => numbers.push(EngineExpr::Literal(value, None)),
                _ => return Ok(None),
            }
        }
        let state = self.engine.state();
        let Some(function) = state.table_functions().get(name) else { return Ok(None) };
        let provider = self.told(function.create_table_provider_with_args(TableFunctionArgs::new(&numbers, state)))?;
        let plan = LogicalPlanBuilder::scan(name, provider_as_source(provider), None).and_then(|builder| {
            let column = builder.schema().columns().remove(0);
            builder.project([EngineExpr::Column(column).alias(name)])?.build()
        });
        self.told(plan).map(Some)
    }
}
