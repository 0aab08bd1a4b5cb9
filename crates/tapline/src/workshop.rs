//! What the server needs of the binary: the project's parts, put together by the same wiring as for commands.
//! Not here: the wiring (`wiring`) and what is wrong with a project (`problems`).
//! Called by the server, through [`Parts`].

use std::sync::Arc;

use tapline_core::config::Project;
use tapline_core::server_state::Noun;
use tapline_core::{Destination, ErasedConnector, Error, Result, StateStore};
use tapline_engine::SyncJob;
use tapline_server::parts::{Finding, Parts};
use tapline_storage::{S3Source, S3SourceConfig};

use crate::errors::Failure;
use crate::problems::{self, Problem};
use crate::wiring::Wiring;

/// Puts the parts of the server's projects together.
pub struct Workshop {
    connectors: Vec<Box<dyn ErasedConnector>>,
    guarded: bool,
}

impl Workshop {
    /// With all kinds of destinations. `guarded` says that definitions from the API may not reach every address.
    pub fn new(guarded: bool) -> Self {
        Self { connectors: tapline_destinations::connectors(), guarded }
    }

    fn wiring(&self, project: &Project) -> Wiring {
        Wiring::over(project.clone(), false).guarded(self.guarded)
    }
}

impl Parts for Workshop {
    fn connectors(&self) -> &[Box<dyn ErasedConnector>] {
        &self.connectors
    }

    fn findings(&self, project: &Project, noun: Noun, name: &str) -> Vec<Finding> {
        let wiring = self.wiring(project);
        let problems = match noun {
            Noun::Source => problems::of_source(&wiring, name),
            Noun::Model => problems::of_model(&wiring, name),
            Noun::Destination => problems::of_destination(&wiring, name),
            Noun::Sync => problems::of_sync(&wiring, name),
            Noun::Alert => Vec::new(),
        };
        problems.into_iter().map(finding).collect()
    }

    fn source_config(&self, project: &Project, name: &str) -> Result<S3SourceConfig> {
        self.wiring(project).source_config(name).map_err(first)
    }

    fn source(&self, project: &Project, name: &str, session: &str) -> Result<Arc<S3Source>> {
        self.wiring(project).source(name, session).map_err(first)
    }

    fn destination(&self, project: &Project, name: &str) -> Result<Arc<dyn Destination>> {
        let wiring = self.wiring(project);
        wiring.destination(name).map(|(destination, _)| destination).map_err(first)
    }

    fn job(&self, project: &Project, sync: &str, state: &Arc<dyn StateStore>) -> Result<SyncJob> {
        self.wiring(project).job(sync, state).map_err(first)
    }
}

fn finding(problem: Problem) -> Finding {
    Finding {
        place: problem.file,
        code: problem.code,
        message: problem.message,
        hints: problem.hint.map(|hints| hints.lines().map(str::to_owned).collect()).unwrap_or_default(),
        excerpt: problem.excerpt,
    }
}

/// The first error of a failure: a request tells one.
fn first(failure: Failure) -> Error {
    let (Failure::Errors(errors) | Failure::Problems(errors)) = failure else {
        return Error::internal("putting a project together was interrupted");
    };
    errors.into_iter().next().unwrap_or_else(|| Error::internal("putting a project together failed without a reason"))
}
