//! HTTP: rows as requests to any REST endpoint, and what named services are described with.
//! Not here: how requests follow each other (`delivery`), the services (folders of their own), the order of a run (the
//! engine).
//! Called through [`tapline_core::Connector`] and [`Destination`].

mod address;
mod answer;
mod auth;
mod check;
mod client;
pub mod config;
pub(crate) mod description;
mod request;
mod shared;
mod template;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tapline_core::config::{FieldMapping, SyncConfig};
use tapline_core::{
    Capabilities, CheckStep, ConnectContext, Connector, Destination, Error, Marker, Maturity, Owner, Result,
    RowOutcome, StreamInfo, StreamName, Target, Writer, codes,
};

pub use self::config::Config;
use self::config::{Listing, Probe};
use self::description::{Description, Field};
use self::request::Requests;
use self::shared::Shared;
use self::writer::HttpWriter;

/// Rows that are spooled at once.
const BATCH_ROWS: usize = 1_024;

/// What requests can do at most.
pub(crate) const CAPABILITIES: Capabilities =
    Capabilities { transactional: false, deletes: true, full_refresh: false, batch_rows: BATCH_ROWS };

/// The kind `http`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Http;

#[async_trait]
impl Connector for Http {
    const NAME: &'static str = "http";
    const SUMMARY: &'static str = "any REST endpoint: a request for each row, or for several";
    const MATURITY: Maturity = Maturity::Alpha;
    const TESTED_AGAINST: &'static str = "a server of the tests that misbehaves on purpose";

    type Config = Config;

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn capabilities_of(&self, config: &Config) -> Capabilities {
        Capabilities { deletes: config.delete.is_some(), ..CAPABILITIES }
    }

    fn lint(&self, config: &Config) -> Vec<String> {
        config.lint()
    }

    fn lint_sync(&self, config: &Config, sync: &SyncConfig) -> Vec<String> {
        let (Some(mappings), Ok(requests)) = (&sync.fields, Requests::parse(config)) else { return Vec::new() };
        let fields: Vec<String> = mappings.keys().cloned().collect();
        // Which of them are the key is known with the model's columns.
        let keys: Vec<String> = mappings
            .iter()
            .filter(|(_, from)| matches!(from, FieldMapping::Column(_)))
            .map(|(name, _)| name.clone())
            .collect();
        let error = shared::check_names(&requests, &fields, &keys, &[]).err();
        error.map(|error| error.message().to_owned()).into_iter().collect()
    }

    fn local_paths(&self, config: &Config) -> Vec<PathBuf> {
        config.root_certificate.iter().cloned().collect()
    }

    fn connect(&self, config: Config, context: &ConnectContext) -> Result<Arc<dyn Destination>> {
        let url = config.url.split(['?', '#']).next().unwrap_or_default();
        let digest: String = Sha256::digest(url)[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        let host = config.origin().ok().and_then(|origin| origin.host_str().map(str::to_owned)).unwrap_or_default();
        // A path may be a secret, and is part of where rows go.
        let identity = format!("http:{host}/{digest}");
        connect(Description { identity, fields: Vec::new(), http: config }, context)
    }
}

/// Makes the destination of a description.
pub(crate) fn connect(description: Description, context: &ConnectContext) -> Result<Arc<dyn Destination>> {
    let Description { identity, fields, http } = description;
    let shared = Shared::new(&http, fields, &context.folder, context.hosted)
        .map_err(|error| error.context(format!("destination {}", context.name)))?;
    let Config { check, streams, .. } = http;
    Ok(Arc::new(HttpDestination { identity, shared: Arc::new(shared), check, listing: streams }))
}

/// A service that takes rows by requests.
struct HttpDestination {
    identity: String,
    shared: Arc<Shared>,
    check: Option<Probe>,
    listing: Option<Listing>,
}

#[async_trait]
impl Destination for HttpDestination {
    fn identity(&self) -> String {
        self.identity.clone()
    }

    async fn check(&self) -> Vec<CheckStep> {
        check::check(&self.shared, self.check.as_ref()).await
    }

    async fn streams(&self) -> Result<Vec<StreamInfo>> {
        let Some(listing) = &self.listing else { return Ok(Vec::new()) };
        let service = &self.shared.service;
        let prepared = check::prepared(&listing.url, None)?;
        let answered = service.send(&prepared).await.map_err(|unanswered| unanswered.error)?;
        self.shared.rules.read_probe(&answered, &service.host())?;
        let unreadable = || {
            Error::new(codes::DEST_006, format!("listing the streams of {}: the answer holds no names", service.host()))
                .hint("look at `streams.names` of the destination")
        };
        let expression = jmespath::compile(&listing.names).map_err(|_| unreadable())?;
        let json: jmespath::Variable = serde_json::from_slice(&answered.body).map_err(|_| unreadable())?;
        let found = expression.search(json).map_err(|_| unreadable())?;
        let names = found.as_array().ok_or_else(unreadable)?.iter().filter_map(|name| name.as_string());
        let fields: Vec<_> = self.shared.fields.iter().map(Field::info).collect();
        names
            .map(|name| {
                let name = StreamName::parse(&format!("\"{}\"", name.replace('"', "\"\"")))?;
                Ok(StreamInfo { name, fields: fields.clone() })
            })
            .collect()
    }

    async fn marker(&self, _: &StreamName) -> Result<Option<Marker>> {
        Ok(None)
    }

    async fn holds_rows(&self, _: &StreamName) -> Result<Option<bool>> {
        Ok(None)
    }

    async fn stamp(&self, _: &StreamName, _: &Owner, _: u64) -> Result<()> {
        Ok(())
    }

    async fn outcomes(&self, _: &StreamName, _: u64) -> Result<Vec<RowOutcome>> {
        Ok(Vec::new())
    }

    async fn open(&self, target: Target) -> Result<Box<dyn Writer>> {
        Ok(Box::new(HttpWriter::open(Arc::clone(&self.shared), target)?))
    }

    fn accepts(&self, _: &StreamName, schema: &SchemaRef, key: &[String]) -> Result<()> {
        self.shared.accepts(schema, key)
    }
}
