//! Running syncs: what changed is staged, announced, published and committed, in that order.
//! Not here: SQL (`sql`), the comparison (`diff`), destinations and state stores, which are handed in.
//! Called by the command line, the scheduler and the API.

mod adopt;
mod bad_keys;
mod commit;
mod cursor;
mod deliver;
mod drift;
mod erase;
mod guard;
pub(crate) mod job;
mod mapping;
mod patience;
mod payload;
mod plan;
mod preview;
#[cfg(test)]
mod properties;
pub(crate) mod record;
mod recover;
mod scan;
mod shape;
mod stage;
mod template;
mod walk;

pub use adopt::{Adopted, adopt};
pub use erase::{Erased, erase};
pub use job::{RunOptions, SyncJob};
pub use mapping::validate_job;
pub use plan::{FieldChange, PlanReport, PlanSample, plan};
pub use preview::preview_sync;
pub use walk::{reset, run};
