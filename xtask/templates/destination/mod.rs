//! Example: say in one line where rows go, and how a run becomes visible there.
//! Not here: the promises that this keeps (`tapline_core::destination`), and the order of a run (the engine).
//! Called through `connectors`.

mod check;
mod config;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use tapline_core::{
    Capabilities, CheckStep, ConnectContext, Connector, Destination, Error, Marker, Maturity, Owner, Result,
    RowOutcome, StreamInfo, StreamName, Target, Writer,
};

pub use config::Config;

use writer::ExampleWriter;

/// The connector for Example.
#[derive(Debug, Clone, Copy, Default)]
pub struct Example;

#[async_trait]
impl Connector for Example {
    const NAME: &'static str = "example";
    const SUMMARY: &'static str = "one line for `tapline destinations`";
    const MATURITY: Maturity = Maturity::Alpha;
    const TESTED_AGAINST: &'static str = "nothing yet";
    type Config = Config;

    /// Says only what holds: the engine asks for nothing else.
    fn capabilities(&self) -> Capabilities {
        Capabilities { transactional: true, deletes: true, full_refresh: true, batch_rows: 8_192 }
    }

    fn lint(&self, config: &Config) -> Vec<String> {
        config.problems()
    }

    fn connect(&self, config: Config, _: &ConnectContext) -> Result<Arc<dyn Destination>> {
        Ok(Arc::new(ExampleDestination { config }))
    }
}

/// Where rows go.
struct ExampleDestination {
    config: Config,
}

/// What is said while a part is missing.
fn not_written(part: &str) -> Error {
    Error::internal(format!("the destination example has no `{part}` yet"))
}

#[async_trait]
impl Destination for ExampleDestination {
    fn identity(&self) -> String {
        format!("example:{}", self.config.host)
    }

    async fn check(&self) -> Vec<CheckStep> {
        check::check(&self.config).await
    }

    async fn streams(&self) -> Result<Vec<StreamInfo>> {
        Ok(Vec::new())
    }

    async fn marker(&self, _: &StreamName) -> Result<Option<Marker>> {
        Ok(None)
    }

    async fn holds_rows(&self, _: &StreamName) -> Result<Option<bool>> {
        Ok(None)
    }

    async fn stamp(&self, _: &StreamName, _: &Owner, _: u64) -> Result<()> {
        Err(not_written("stamp"))
    }

    async fn outcomes(&self, _: &StreamName, _: u64) -> Result<Vec<RowOutcome>> {
        Ok(Vec::new())
    }

    async fn open(&self, target: Target) -> Result<Box<dyn Writer>> {
        Ok(Box::new(ExampleWriter::open(target)))
    }
}
