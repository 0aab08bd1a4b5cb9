//! The project: what `tapline.yaml` says, read, expanded and checked for names that do not exist.
//! Not here: the settings of sources and destinations (their connectors read the nodes kept here), YAML itself (`yaml`).
//! Called by every command, and by the server.

mod project;
mod sync;

pub use project::{
    Entry, FILE_NAME, Project, StateConfig, assemble, examine, find_project, is_name, load, project_schema, read_tree,
};
pub use sync::{Deletes, FieldMapping, Mode, ModelConfig, OnBadKey, OnDrift, Schedule, SyncConfig, Write};
