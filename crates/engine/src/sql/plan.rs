//! From a statement whose files have become tables to a plan that only reads.
//! Not here: which files those are (`session`), what the statement means (`bind`).
//! Called by the session.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::Query;
use tapline_core::Result;

use super::bind::{self, Bound, Surroundings};
use super::errors::{Widened, find, from_datafusion};

/// Plans a statement whose files have become tables. What it takes the values of to make columns of them is looked up
/// on the way.
pub(super) async fn bound(
    sql: &str,
    query: &Query,
    context: &SessionContext,
    tables: Vec<(String, Arc<dyn TableProvider>)>,
    shown: &[(String, String)],
) -> Result<std::result::Result<LogicalPlan, Box<Widened>>> {
    let failed = |error: &DataFusionError| from_datafusion(error, "planning the SQL", shown);
    let scans = scans_of(tables).map_err(|error| failed(&error))?;
    let state = context.state();
    let mut pivots = Vec::new();
    loop {
        let surroundings = Surroundings { sql, state: &state, tables: &scans, shown, pivots: &pivots };
        let plan = match bind::bind(query, &surroundings)? {
            Bound::Plan(plan) => {
                read_only().verify_plan(&plan).map_err(|error| failed(&error))?;
                return Ok(Ok(*plan));
            }
            Bound::Values(plan) => *plan,
        };
        let batches = match context.execute_logical_plan(plan).await {
            Ok(frame) => frame.collect().await,
            Err(error) => Err(error),
        };
        match batches {
            Ok(batches) => pivots.push(rows_of(&batches).map_err(|error| failed(&error))?),
            Err(error) => match find::<Widened>(&error) {
                Some(widened) => return Ok(Err(Box::new(widened.clone()))),
                None => return Err(failed(&error)),
            },
        }
    }
}

/// Tables as what a plan begins with, by their names.
pub(super) fn scans_of(
    tables: Vec<(String, Arc<dyn TableProvider>)>,
) -> Result<HashMap<String, LogicalPlan>, DataFusionError> {
    let scan = |(name, table): (String, Arc<dyn TableProvider>)| {
        let scan = LogicalPlanBuilder::scan(name.as_str(), provider_as_source(table), None)?.build()?;
        Ok((name, scan))
    };
    tables.into_iter().map(scan).collect()
}

/// All values of some batches, row by row.
fn rows_of(batches: &[RecordBatch]) -> datafusion::error::Result<Vec<Vec<ScalarValue>>> {
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let values = batch.columns().iter().map(|column| ScalarValue::try_from_array(column, row));
            rows.push(values.collect::<datafusion::error::Result<_>>()?);
        }
    }
    Ok(rows)
}

fn read_only() -> SQLOptions {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false)
}

/// Whether a plan's rows come in an order that the statement asks for.
pub(super) fn is_ordered(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Projection(projection) => is_ordered(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_ordered(&alias.input),
        LogicalPlan::Limit(limit) => is_ordered(&limit.input),
        _ => false,
    }
}

/// Rows that the scans of Parquet and NDJSON files have given so far.
pub(super) fn scanned_rows(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let own = match plan.name() {
        "DataSourceExec" => plan.metrics().and_then(|metrics| metrics.output_rows()).unwrap_or(0) as u64,
        _ => 0,
    };
    own + plan.children().into_iter().map(scanned_rows).sum::<u64>()
}
