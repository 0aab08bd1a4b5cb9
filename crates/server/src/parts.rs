//! What the server needs of the binary: the kinds of sources and destinations, and how a project's parts are put together.
//! Not here: the parts themselves.
//! Called by the routes and the scheduler; implemented by the binary's wiring, where all crates meet.

use std::sync::Arc;

use tapline_core::config::Project;
use tapline_core::{Code, Destination, ErasedConnector, Result, StateStore};
use tapline_engine::SyncJob;
use tapline_storage::{S3Source, S3SourceConfig};

use crate::catalog::Noun;

/// Something that is wrong with a part of a project, found without the network.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Where: the `file` of a [`Span`](tapline_core::yaml::Span).
    pub place: String,
    /// The stable code.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// The next steps.
    pub hints: Vec<String>,
    /// Lines that show a position within the value, such as SQL with a caret below it.
    pub excerpt: Option<String>,
}

/// Puts the parts of a project together.
pub trait Parts: Send + Sync {
    /// The kinds of destinations.
    fn connectors(&self) -> &[Box<dyn ErasedConnector>];

    /// What is wrong with one definition.
    fn findings(&self, project: &Project, noun: Noun, name: &str) -> Vec<Finding>;

    /// The settings of a source.
    fn source_config(&self, project: &Project, name: &str) -> Result<S3SourceConfig>;

    /// A source, not yet connected to. `session` names the caller in the bucket owner's logs.
    fn source(&self, project: &Project, name: &str, session: &str) -> Result<Arc<S3Source>>;

    /// A destination, not yet connected to.
    fn destination(&self, project: &Project, name: &str) -> Result<Arc<dyn Destination>>;

    /// Everything that the engine needs to run a sync.
    fn job(&self, project: &Project, sync: &str, state: &Arc<dyn StateStore>) -> Result<SyncJob>;
}
