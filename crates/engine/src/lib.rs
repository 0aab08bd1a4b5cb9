//! Where rows come to life: SQL over files in S3, the comparison with what was delivered, the run.
//! Not here: S3 itself (`tapline-storage`), what a CSV line means (`tapline-csv`), destinations and state stores, which
//! are handed in.
//! Called by the binary and the server. The only crate that knows the query engine.

mod diff;
mod discover;
mod json_schema;
mod run;
pub mod sql;

pub use diff::shared::SharedFolder;
pub use discover::{ColumnDescription, DialectDescription, Discovery, StreamDescription, columns, discover};
pub use run::{
    Adopted, Erased, FieldChange, PlanReport, PlanSample, RunOptions, SyncJob, adopt, erase, plan, preview_sync, reset,
    run, validate_job,
};
pub use sql::{
    Access, BatchVisitor, FunctionEntry, Limits, Query, ScanReport, Session, Support, check_reach, check_sql, execute,
    function_reference,
};
