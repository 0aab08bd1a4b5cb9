//! A server over a fresh state, an S3 endpoint and a folder.
//! Not here: what is asked of it.
//! Called by every test.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use http::{HeaderMap, Request, StatusCode, header};
use serde_json::{Value, json};
use tapline_core::config::{Entry, Project};
use tapline_core::server_state::Noun;
use tapline_core::yaml::{self, ConfigError, Node};
use tapline_core::{ConnectContext, Destination, ErasedConnector, Error, Result, Secret, StateStore, codes};
use tapline_endpoint::Endpoint;
use tapline_engine::{Limits, SyncJob};
use tapline_server::parts::{Finding, Parts};
use tapline_server::{App, Settings};
use tapline_storage::{ConnectOptions, S3Source, S3SourceConfig};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// The token that is in no store.
pub const ADMIN: &str = "an-admin-token-for-tests";
/// How long a test waits for something that must happen; far beyond what it takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct TestApp {
    pub endpoint: Endpoint,
    pub app: App,
    router: Router,
    _folder: TempDir,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    #[track_caller]
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.json()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// Asserts a problem with this status and code.
    #[track_caller]
    pub fn fails(self, status: u16, code: &str) -> Value {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json", "{}", self.text);
        let body = self.is(status);
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status, "{body}");
        body
    }
}

impl TestApp {
    pub async fn new() -> Self {
        Self::with_project(None).await
    }

    /// With a project file, given as JSON.
    pub async fn with_project(project: Option<Value>) -> Self {
        let endpoint = Endpoint::builder().bucket("lake").start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = tapline_state::open_server("sqlite:state.db", folder.path()).await.unwrap();
        let settings = Settings {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7171)),
            file: folder.path().join("tapline.yaml"),
            concurrency: NonZeroUsize::MIN,
            allow_private_addresses: false,
            admin_token: Some(Secret::from(ADMIN)),
            public_url: None,
            version: "0.0.0",
        };
        let root = project.map(|project| Node::from_json(&project, "tapline.yaml"));
        let parts = Arc::new(TestParts { connectors: tapline_destinations::connectors() });
        let app = App::new(store, parts, settings, root, CancellationToken::new());
        Self { router: app.router(), app, endpoint, _folder: folder }
    }

    /// With a source `lake`, a model `people` of three rows, a destination `local` and a sync `people`.
    pub async fn with_sync() -> Self {
        let app = Self::new().await;
        app.endpoint.put("lake", "people.csv", "id,name\n1,Ada\n2,Grace\n3,Edsger\n").unwrap();
        app.make("sources", "lake", app.source()).await;
        let sql = "SELECT id, name FROM 's3://lake/people.csv'";
        app.make("models", "people", json!({ "source": "lake", "sql": sql, "primary_key": ["id"] })).await;
        app.make("destinations", "local", json!({ "type": "sqlite", "path": "out.db" })).await;
        let sync = json!({ "model": "people", "destination": "local", "stream": "people", "mode": "incremental" });
        app.make("syncs", "people", sync).await;
        app
    }

    /// Starts the scheduler; it ends with the test.
    pub fn schedule(&self) {
        tokio::spawn(tapline_server::schedule(self.app.clone()));
    }

    /// The settings of a source over the bucket `lake`.
    pub fn source(&self) -> Value {
        let key = self.endpoint.access_key();
        let auth = json!({ "type": "iam_user", "access_key_id": key.id, "secret_access_key": key.secret });
        json!({ "type": "s3", "bucket": "lake", "region": "us-east-1", "endpoint": self.endpoint.url(), "auth": auth })
    }

    /// Makes a definition that must be right.
    pub async fn make(&self, noun: &str, name: &str, settings: Value) -> Value {
        let body = json!({ "name": name, "settings": settings });
        self.post(&format!("/api/v1/{noun}"), body).await.is(201)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, Some(ADMIN), None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(ADMIN), Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, Some(ADMIN), Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, Some(ADMIN), None).await
    }

    /// A token with this role.
    pub async fn token(&self, role: &str) -> String {
        let made = self.post("/api/v1/tokens", json!({ "name": role, "role": role })).await.is(201);
        made["token"].as_str().unwrap().to_owned()
    }

    pub async fn send(&self, method: &str, path: &str, token: Option<&str>, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = match body {
            Some(body) => {
                request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string())).unwrap()
            }
            None => request.body(Body::empty()).unwrap(),
        };
        self.request(request).await
    }

    pub async fn request(&self, mut request: Request<Body>) -> Answer {
        request.headers_mut().entry(header::HOST).or_insert(header::HeaderValue::from_static("127.0.0.1:7171"));
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000));
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = tokio::time::timeout(PATIENCE, to_bytes(body, 64 << 20)).await.expect("the answer ends").unwrap();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// Applies a project file, as an admin.
    pub async fn apply(&self, query: &str, text: &str) -> Answer {
        let request = Request::post(format!("/api/v1/apply{query}"))
            .header(header::AUTHORIZATION, format!("Bearer {ADMIN}"))
            .header(header::CONTENT_TYPE, "application/yaml")
            .body(Body::from(text.to_owned()))
            .unwrap();
        self.request(request).await
    }

    /// Runs a sync and waits for its end.
    pub async fn run(&self, sync: &str, options: Value) -> Value {
        let run = self.post(&format!("/api/v1/syncs/{sync}/runs"), options).await.is(202);
        self.ended(run["id"].as_str().unwrap()).await
    }

    /// Waits for the end of a run.
    pub async fn ended(&self, id: &str) -> Value {
        let started = Instant::now();
        loop {
            let run = self.get(&format!("/api/v1/runs/{id}")).await.is(200);
            // The schedule is settled a moment after the report is written.
            if run["status"] != "running" && self.app.runner.load() == (0, 0) {
                return run;
            }
            assert!(started.elapsed() < PATIENCE, "the run does not end: {run}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Puts parts together as the binary does, as far as these tests need it.
struct TestParts {
    connectors: Vec<Box<dyn ErasedConnector>>,
}

impl TestParts {
    fn connector(&self, entry: &Entry) -> Result<&dyn ErasedConnector, ConfigError> {
        let found = self.connectors.iter().find(|connector| connector.name() == entry.kind);
        found.map(AsRef::as_ref).ok_or_else(|| ConfigError::new(&entry.kind_span, "unknown type of destination"))
    }
}

fn absent() -> Error {
    Error::new(codes::CONF_004, "there is no such definition")
}

fn placed(error: ConfigError) -> Finding {
    Finding {
        place: error.file.to_string(),
        code: error.code,
        message: error.message,
        hints: error.hints,
        excerpt: None,
    }
}

impl Parts for TestParts {
    fn connectors(&self) -> &[Box<dyn ErasedConnector>] {
        &self.connectors
    }

    fn findings(&self, project: &Project, noun: Noun, name: &str) -> Vec<Finding> {
        match noun {
            Noun::Source => {
                let read = yaml::from_node::<S3SourceConfig>(&project.sources[name].node);
                read.err().map(placed).into_iter().collect()
            }
            Noun::Destination => {
                let entry = &project.destinations[name];
                let checked = self.connector(entry).and_then(|connector| connector.validate(&entry.node));
                checked.err().map(placed).into_iter().collect()
            }
            Noun::Model => {
                let checked = tapline_engine::check_sql(&project.models[name].sql);
                let finding = |error: Error| Finding {
                    place: project.sql_spans[name].file.to_string(),
                    code: error.code(),
                    message: error.full_message(),
                    hints: error.hints().to_vec(),
                    excerpt: error.excerpt_text().map(str::to_owned),
                };
                checked.err().map(finding).into_iter().collect()
            }
            Noun::Sync | Noun::Alert => Vec::new(),
        }
    }

    fn source_config(&self, project: &Project, name: &str) -> Result<S3SourceConfig> {
        Ok(yaml::from_node(&project.sources.get(name).ok_or_else(absent)?.node)?)
    }

    fn source(&self, project: &Project, name: &str, session: &str) -> Result<Arc<S3Source>> {
        let options = ConnectOptions { session: session.to_owned(), ..ConnectOptions::default() };
        Ok(Arc::new(S3Source::connect(self.source_config(project, name)?, options)?))
    }

    fn destination(&self, project: &Project, name: &str) -> Result<Arc<dyn Destination>> {
        let entry = project.destinations.get(name).ok_or_else(absent)?;
        let context = ConnectContext::new(name, project.folder.clone());
        self.connector(entry)?.connect(&entry.node, &context)
    }

    fn job(&self, project: &Project, sync: &str, state: &Arc<dyn StateStore>) -> Result<SyncJob> {
        let config = project.syncs.get(sync).ok_or_else(absent)?;
        let model = project.models.get(&config.model).ok_or_else(absent)?;
        let entry = project.destinations.get(&config.destination).ok_or_else(absent)?;
        Ok(SyncJob {
            name: sync.to_owned(),
            sync: config.clone(),
            model: model.clone(),
            source: self.source(project, &model.source, "tapline-test")?,
            destination: self.destination(project, &config.destination)?,
            capabilities: self.connector(entry)?.capabilities_of(&entry.node)?,
            state: Arc::clone(state),
            snapshots: project.folder.join("snapshots"),
            shared: None,
            limits: Limits::default(),
        })
    }
}
