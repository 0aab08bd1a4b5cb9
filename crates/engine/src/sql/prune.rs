//! Leaving out files of which a statement wants no row, by what their names and folders say of all their rows.
//! Not here: leaving out parts of files, which the query engine does by their statistics.
//! Called by the session between listing files and looking into them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Schema;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::files::TableFiles;

/// The conditions under which each scan of a plan gives rows, by the name of its table; a table may be scanned several
/// times.
pub(crate) fn scan_filters(plan: &LogicalPlan) -> Result<HashMap<String, Vec<Vec<Expr>>>> {
    let mut scans: HashMap<String, Vec<Vec<Expr>>> = HashMap::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            scans.entry(scan.table_name.table().to_owned()).or_default().push(scan.filters.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(scans)
}

/// Keeps the files of which at least one scan may want rows. Where that is none, one stays to tell the columns.
pub(crate) fn keep_wanted(
    files: &mut TableFiles,
    scans: &[Vec<Expr>],
    table: &str,
    state: &SessionState,
) -> Result<()> {
    if files.files.len() < 2 || files.partition_fields.is_empty() || scans.is_empty() {
        return Ok(());
    }
    let mut wanted = vec![false; files.files.len()];
    for filters in scans {
        for (wanted, matches) in wanted.iter_mut().zip(matches(files, filters, table, state)?) {
            *wanted |= matches;
        }
    }
    files.skipped += wanted.iter().filter(|wanted| !**wanted).count() as u64;
    files.unread = !wanted.contains(&true);
    if files.unread {
        files.files.truncate(1);
    } else {
        let mut wanted = wanted.into_iter();
        files.files.retain(|_| wanted.next().unwrap_or(true));
    }
    Ok(())
}

/// For each file, whether the conditions that its name and folders decide hold.
fn matches(files: &TableFiles, filters: &[Expr], table: &str, state: &SessionState) -> Result<Vec<bool>> {
    let schema = Schema::new(files.partition_fields.clone());
    let columns = (0..schema.fields().len())
        .map(|column| ScalarValue::iter_to_array(files.files.iter().map(|file| file.partition_values[column].clone())))
        .collect::<Result<Vec<_>>>()?;
    let batch = RecordBatch::try_new(Arc::new(schema.clone()), columns)?;
    let names = DFSchema::try_from_qualified_schema(table, &schema)?;
    let mut matches = vec![true; files.files.len()];
    for filter in filters.iter().filter(|filter| decided_by(filter, &schema)) {
        let held =
            state.create_physical_expr(filter.clone(), &names)?.evaluate(&batch)?.into_array(batch.num_rows())?;
        let Some(held) = held.as_boolean_opt() else { continue };
        for (matches, held) in matches.iter_mut().zip(held) {
            *matches &= held == Some(true);
        }
    }
    Ok(matches)
}

/// Whether a condition is about these columns alone, and gives the same for them whenever it is asked.
pub(crate) fn decided_by(filter: &Expr, schema: &Schema) -> bool {
    let columns = filter.column_refs();
    !columns.is_empty()
        && columns.iter().all(|column| schema.field_with_name(&column.name).is_ok())
        && !filter.is_volatile()
}
