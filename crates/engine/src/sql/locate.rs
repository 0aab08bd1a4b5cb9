//! Where rows of a model come from: the file and the number of the row in it.
//! Not here: lines that could not be read, which carry their place from the start.
//! Called when a run stops because of rows that have to be found.
//!
//! Only a model that picks, renames and computes over the rows of one table has an answer. The table is read again, file
//! by file, so that nothing has to be carried along while all is well.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DFSchemaRef, TableReference};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use datafusion::physical_expr::PhysicalExpr;
use futures::StreamExt;

use super::session::Query;

/// A row of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowPlace {
    /// The file, as an s3 URL.
    pub(crate) file: String,
    /// The row's number in the file, from 1, without the header and lines that cannot be read.
    pub(crate) row: u64,
}

impl std::fmt::Display for RowPlace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "row {} of {}", self.row, self.file)
    }
}

/// Which rows of some columns are looked for.
pub(crate) type Wanted<'a> = &'a (dyn Fn(&[ArrayRef]) -> Vec<bool> + Sync);

impl Query {
    /// Finds up to `most` rows for which `wanted` holds, by the model's columns at `columns`. Nothing where the model is
    /// not of a kind that can be traced, or the files cannot be read again.
    pub(crate) async fn locate(&self, columns: &[usize], wanted: Wanted<'_>, most: usize) -> Vec<RowPlace> {
        match self.try_locate(columns, wanted, most).await {
            Ok(places) => places,
            Err(error) => {
                tracing::debug!(%error, "cannot find the rows in their files");
                Vec::new()
            }
        }
    }

    async fn try_locate(&self, columns: &[usize], wanted: Wanted<'_>, most: usize) -> EngineResult<Vec<RowPlace>> {
        let schema = self.plan().schema();
        let exprs = columns.iter().map(|index| Expr::Column(schema.qualified_field(*index).into())).collect();
        let Some(traced) = trace(self.plan(), Traced { exprs, kept: Vec::new() })? else { return Ok(Vec::new()) };
        let (scan, Traced { exprs, kept }) = traced;
        let Some(table) = self.tables().find(|table| scan.table_name == TableReference::bare(table.name.as_str()))
        else {
            return Ok(Vec::new());
        };
        let schema = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &table.schema)?;
        let state = self.context().state();
        let physical = |expr: &Expr| state.create_physical_expr(expr.clone(), &schema);
        let exprs = exprs.iter().map(physical).collect::<EngineResult<Vec<_>>>()?;
        let kept = kept.iter().map(physical).collect::<EngineResult<Vec<_>>>()?;
        let mut places = Vec::new();
        for file in 0..table.files.files.len() {
            let mut row = 0;
            let mut stream = table.scan_one(file, &state).await?;
            while let Some(batch) = stream.next().await {
                let batch: RecordBatch = batch?;
                let rows = batch.num_rows();
                let evaluate =
                    |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(&batch).and_then(|value| value.into_array(rows));
                let values = exprs.iter().map(evaluate).collect::<EngineResult<Vec<_>>>()?;
                let filters = kept.iter().map(evaluate).collect::<EngineResult<Vec<_>>>()?;
                let passes = |row: usize| {
                    filters.iter().all(|filter| filter.as_boolean().is_valid(row) && filter.as_boolean().value(row))
                };
                let hits = wanted(&values);
                for index in (0..rows).filter(|index| hits[*index] && passes(*index)) {
                    places.push(RowPlace { file: table.files.files[file].url.clone(), row: row + index as u64 + 1 });
                    if places.len() >= most {
                        return Ok(places);
                    }
                }
                row += rows as u64;
            }
        }
        Ok(places)
    }
}

/// Expressions over the output of a plan, on their way down to the table.
struct Traced {
    exprs: Vec<Expr>,
    /// What has to hold for a row to be in the model.
    kept: Vec<Expr>,
}

impl Traced {
    /// Rewrites everything in terms of a node's input: `inner` gives the expression of each output column.
    fn below(self, schema: &DFSchemaRef, inner: impl Fn(usize) -> Expr) -> EngineResult<Self> {
        let rewrite = |expr: Expr| {
            expr.transform(|expr| match &expr {
                Expr::Column(column) => Ok(Transformed::yes(inner(schema.index_of_column(column)?))),
                _ => Ok(Transformed::no(expr)),
            })
            .map(|rewritten| rewritten.data)
        };
        Ok(Self {
            exprs: self.exprs.into_iter().map(rewrite).collect::<EngineResult<_>>()?,
            kept: self.kept.into_iter().map(rewrite).collect::<EngineResult<_>>()?,
        })
    }
}

/// Follows a plan down to its one table; `None` where rows are joined, grouped, limited or put together on the way.
fn trace(plan: &LogicalPlan, mut traced: Traced) -> EngineResult<Option<(&TableScan, Traced)>> {
    match plan {
        LogicalPlan::TableScan(scan) if scan.filters.is_empty() && scan.fetch.is_none() => Ok(Some((scan, traced))),
        LogicalPlan::Projection(projection) => {
            let below = traced.below(&projection.schema, |index| projection.expr[index].clone().unalias())?;
            trace(&projection.input, below)
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let input = alias.input.schema();
            let below = traced.below(&alias.schema, |index| Expr::Column(input.qualified_field(index).into()))?;
            trace(&alias.input, below)
        }
        LogicalPlan::Filter(filter) => {
            traced.kept.push(filter.predicate.clone());
            trace(&filter.input, traced)
        }
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => trace(&sort.input, traced),
        _ => Ok(None),
    }
}
