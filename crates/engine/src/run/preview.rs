//! The rows that a sync would send, without comparing or writing.
//! Not here: rows of a model as they are, which `sql::execute` gives.
//! Called by `preview` and by the API.

use tapline_core::Result;

use super::job::SyncJob;
use super::mapping::Mapping;
use crate::sql::execute::execute_mapped;
use crate::sql::{BatchVisitor, ScanReport, Session};

/// Hands the mapped fields of a sync's first rows to `visitor`.
///
/// # Errors
/// Whatever planning, mapping and reading meet.
pub async fn preview_sync(job: &SyncJob, limit: usize, visitor: &mut dyn BatchVisitor) -> Result<ScanReport> {
    let session = Session::open(job.access(), job.limits.clone())?;
    let mut map = |query: &crate::sql::Query, batch| {
        let mapping = Mapping::bind(&job.sync, &job.model, &query.schema())?;
        mapping.apply(&batch)
    };
    execute_mapped(&session, &job.model.sql, Some(limit), &mut map, visitor).await
}
