//! DESCRIBE and SUMMARIZE: a query's columns as rows.
//! Not here: how they are told from a SELECT (`syntax`).
//! Called for SELECTs that carry their mark.

use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Expr as EngineExpr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::sql::sqlparser::ast::Select;
use tapline_core::Result;
use tapline_core::values::duckdb_type_name;

use super::{Binder, Env};
use crate::sql::parse;

impl Binder<'_> {
    pub(super) fn described(&self, select: Select, env: &Env<'_>) -> Result<LogicalPlan> {
        let scope = self.from(select.from, env)?;
        let plan = self.finished(scope.plan)?;
        let nothing = || EngineExpr::Literal(ScalarValue::Utf8(None), None);
        let rows: Vec<Vec<EngineExpr>> = plan
            .schema()
            .fields()
            .iter()
            .map(|field| {
                let known = [lit(field.name().clone()), lit(duckdb_type_name(field)), lit("YES")];
                known.into_iter().chain([nothing(), nothing(), nothing()]).collect()
            })
            .collect();
        let names = ["column_name", "column_type", "null", "key", "default", "extra"];
        let plan = self.told(LogicalPlanBuilder::values(rows).and_then(LogicalPlanBuilder::build))?;
        let exprs: Vec<EngineExpr> = plan
            .schema()
            .iter()
            .zip(names)
            .map(|(column, name)| EngineExpr::Column(Column::from(column)).alias(name))
            .collect();
        self.told(LogicalPlanBuilder::from(plan).project(exprs).and_then(LogicalPlanBuilder::build))
    }

    /// One row of figures per column.
    pub(super) fn summarized(&self, select: Select, env: &Env<'_>) -> Result<LogicalPlan> {
        let scope = self.from(select.from, env)?;
        let plan = self.finished(scope.plan)?;
        let columns: Vec<String> =
            plan.schema().fields().iter().enumerate().map(|(index, field)| figures(index, field)).collect();
        let names: Vec<EngineExpr> = plan
            .schema()
            .columns()
            .into_iter()
            .enumerate()
            .map(|(index, column)| EngineExpr::Column(column).alias(format!("column {index}")))
            .collect();
        let plan = self.told(LogicalPlanBuilder::from(plan).project(names).and_then(LogicalPlanBuilder::build))?;
        let query = parse::parse(&columns.join(" UNION ALL "))?;
        self.query(*query, &env.with_cte("tapline summarized", plan))
    }
}

/// The SELECT that gives one column's row.
fn figures(index: usize, field: &arrow::datatypes::Field) -> String {
    let data_type = field.data_type();
    let column = format!("\"column {index}\"");
    let figure =
        |expr: String, known: bool| if known { format!("({expr})::VARCHAR") } else { "NULL::VARCHAR".to_owned() };
    let numeric = data_type.is_numeric();
    let ordered = numeric || data_type.is_temporal();
    let quantile = |share: &str| figure(format!("approx_quantile({column}, {share})"), ordered);
    format!(
        "SELECT {name} AS column_name, {type_name} AS column_type, min({column})::VARCHAR AS \"min\", \
         max({column})::VARCHAR AS \"max\", approx_count_distinct({column}) AS approx_unique, {average} AS \"avg\", \
         {deviation} AS std, {q25} AS q25, {q50} AS q50, {q75} AS q75, count(*) AS \"count\", \
         (CASE WHEN count(*) = 0 THEN 0 ELSE 100.0::DOUBLE * (count(*) - count({column})) / count(*) END)::DECIMAL(9,2) \
         AS null_percentage FROM \"tapline summarized\"",
        name = quoted(field.name()),
        type_name = quoted(&duckdb_type_name(field)),
        average = figure(format!("avg({column})"), ordered),
        deviation = figure(format!("stddev({column})"), numeric),
        q25 = quantile("0.25"),
        q50 = quantile("0.5"),
        q75 = quantile("0.75"),
    )
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
