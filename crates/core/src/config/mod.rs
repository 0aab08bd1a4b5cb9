//! The project: what `tapline.yaml` says, read, expanded and checked for names that do not exist.
//! Not here: the settings of sources and destinations (their connectors read the nodes kept here), YAML itself (`yaml`).
//! Called by every command, and by the server.

mod project;
mod sync;

pub use project::{Entry, Project, StateConfig, examine, find_project, load, project_schema};
pub use sync::{Deletes, FieldMapping, Mode, ModelConfig, OnBadKey, OnDrift, Schedule, SyncConfig, Write};
