//! The vocabulary of Tapline and the promises between its parts: configuration, change batches and receipts,
//! destinations, state stores, run reports, errors, secrets.
//! Not here: anything that needs a query engine, a database driver or a web framework.
//! Called by every other crate; depends on none of them.

pub mod address;
pub mod batch;
pub mod check;
pub mod codes;
pub mod config;
pub mod destination;
pub mod duration;
pub mod error;
pub mod event;
pub mod failpoint;
pub mod report;
pub mod schedule;
pub mod secret;
pub mod server_state;
pub mod state;
pub mod stream;
pub mod templates;
#[cfg(feature = "testing")]
pub mod testing;
pub mod values;
pub mod yaml;

pub use batch::{Answer, ChangeBatch, Op, Outcome, Receipt, RowId, RowOutcome, RowRange};
pub use check::{CheckReport, CheckStep, CheckSteps, StepObserver, observed};
pub use codes::{Class, Code};
pub use destination::{
    Capabilities, ConnectContext, Connector, Destination, ErasedConnector, FieldInfo, Marker, Maturity, Owner,
    Published, ReadBack, Refresh, RowReader, StreamInfo, Target, Writer,
};
pub use error::{Blame, Error, ErrorReport, Result, Retry};
pub use event::{EventSink, Phase, RunEvent, SharedSink, Silent};
pub use failpoint::failpoint;
pub use report::{FileCounts, RowCounts, RunReport, RunStatus, SourceRowCounts};
pub use schedule::{ScheduleError, Scheduler, Timetable};
pub use secret::Secret;
pub use server_state::ServerStore;
pub use state::{Checkpoint, Commit, Holder, Intent, Lease, Reject, SourceReject, StateStore};
pub use stream::StreamName;

/// The number of Tapline's own semantics: raised when the same settings and files may give other rows than before, so
/// that no run takes an older version's work for its own.
pub const SEMANTICS_VERSION: u32 = 1;
