//! Where all parts meet: from a project file to sources, destinations, the state store, and jobs that the engine runs.
//! Not here: what is wrong with a project (`problems`), and what is done with the parts (`commands`).
//! Called by every command that works on a project.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapline_core::config::{self, Entry, ModelConfig, Project, SyncConfig};
use tapline_core::yaml::{self, ConfigError, Node, ProcessLookup, Variables};
use tapline_core::{ConnectContext, Destination, ErasedConnector, Error, StateStore, codes};
use tapline_engine::{Access, Limits, Session, SharedFolder, SyncJob};
use tapline_server::catalog::is_of_state;
use tapline_storage::{ConnectOptions, S3Source, S3SourceConfig, S3Url};
use tempfile::TempDir;

use crate::errors::{Failure, nearest, unknown_name};
use crate::problems;

/// The kinds of sources.
pub const SOURCE_KINDS: &[&str] = &["s3"];

/// A project, and what its kinds stand for.
pub struct Wiring {
    /// The project.
    pub project: Project,
    connectors: Vec<Box<dyn ErasedConnector>>,
    /// Whether variables were left open instead of being filled in.
    open: bool,
    /// Whether definitions may come from people who must not reach what this machine can.
    guarded: bool,
}

/// A state store that is only read.
pub struct ReadState {
    /// The store.
    pub store: Arc<dyn StateStore>,
    _folder: Option<TempDir>,
}

/// The project file, where there is one, with its variables filled in; without one, the project of a server that has
/// none: nothing but the default state, in the current folder.
///
/// # Errors
/// Everything that is wrong in the file, and a file that was named but is not there.
pub fn project_or_none(named: Option<&Path>) -> Result<(Wiring, Option<Node>), Failure> {
    let folder = std::env::current_dir()
        .map_err(|error| Error::new(codes::CONF_001, "cannot tell the current folder").because(error))?;
    let file = match named {
        Some(_) => Some(project_file(named)?),
        None => config::find_project(&folder).ok(),
    };
    let Some(file) = file else {
        let root = Node::from_json(&serde_json::json!({ "version": 1 }), config::FILE_NAME);
        let (project, _) = config::assemble(&root, &folder.join(config::FILE_NAME));
        return Ok((Wiring::over(project, false), None));
    };
    let lookup = lookup(&file);
    let (root, errors) = config::read_tree(&file, Variables::Expand(&lookup));
    let root = errors.into_result(root)?;
    let project = config::load(&file, Variables::Expand(&lookup))?;
    Ok((Wiring::over(project, false), root))
}

/// The project file that `--project` names (a folder means the file in it), or the one found from the current folder.
pub fn project_file(named: Option<&Path>) -> Result<PathBuf, Error> {
    let Some(path) = named else {
        let folder = std::env::current_dir()
            .map_err(|error| Error::new(codes::CONF_001, "cannot tell the current folder").because(error))?;
        return config::find_project(&folder);
    };
    let file = if path.is_dir() { path.join("tapline.yaml") } else { path.to_owned() };
    if file.is_file() {
        return Ok(file);
    }
    Err(Error::new(codes::CONF_001, format!("there is no project file {}", file.display()))
        .hint("run `tapline init DIR` to make a project"))
}

impl Wiring {
    /// Reads the project, with its variables filled in from the environment.
    ///
    /// # Errors
    /// No project file, or everything that is wrong with names, keys and variables in it.
    pub fn open(named: Option<&Path>) -> Result<Self, Failure> {
        let file = project_file(named)?;
        let lookup = lookup(&file);
        Ok(Self::over(config::load(&file, Variables::Expand(&lookup))?, false))
    }

    /// Over a project that was read elsewhere; `open` says that its variables were left open.
    pub fn over(project: Project, open: bool) -> Self {
        Self { project, connectors: tapline_destinations::connectors(), open, guarded: false }
    }

    /// The same in a server, for whose definitions from the API there are addresses that they do not reach.
    #[must_use]
    pub fn guarded(self, guarded: bool) -> Self {
        Self { guarded, ..self }
    }

    /// Whether a text of the project holds a variable that was left open.
    pub fn is_open(&self, text: &str) -> bool {
        self.open && text.contains("${")
    }

    /// The settings of a source.
    pub fn source_config(&self, name: &str) -> Result<S3SourceConfig, Failure> {
        let entry = find(&self.project.sources, "source", name)?;
        Ok(source_config(entry)?)
    }

    /// A source, not yet connected to. `session` names this program in the bucket owner's logs.
    pub fn source(&self, name: &str, session: &str) -> Result<Arc<S3Source>, Failure> {
        problems::stop_at(problems::of_source(self, name))?;
        let config = self.source_config(name)?;
        let guarded = self.guarded && is_of_state(&find(&self.project.sources, "source", name)?.kind_span);
        let options = ConnectOptions { session: session.to_owned(), guarded, ..ConnectOptions::default() };
        Ok(Arc::new(S3Source::connect(config, options)?))
    }

    /// A session over a source, in which SQL is run.
    pub fn session(&self, source: &str) -> Result<Session, Failure> {
        Ok(session(&self.source(source, "tapline")?)?)
    }

    /// The connector of a destination's kind.
    pub fn connector(&self, entry: &Entry) -> Result<&dyn ErasedConnector, ConfigError> {
        let found = self.connectors.iter().find(|connector| connector.name() == entry.kind);
        found
            .map(AsRef::as_ref)
            .ok_or_else(|| unknown_kind("destination", entry, self.connectors.iter().map(|connector| connector.name())))
    }

    /// A destination, not yet connected to, with the connector of its kind.
    pub fn destination(&self, name: &str) -> Result<(Arc<dyn Destination>, &dyn ErasedConnector), Failure> {
        let entry = find(&self.project.destinations, "destination", name)?;
        problems::stop_at(problems::of_destination(self, name))?;
        let connector = self.connector(entry)?;
        let context = ConnectContext::new(name, &self.project.folder);
        let hosted = self.guarded && is_of_state(&entry.kind_span);
        let context = if hosted { context.hosted() } else { context };
        Ok((connector.connect(&entry.node, &context)?, connector))
    }

    /// The state store of the project, made where it is absent.
    pub async fn state(&self) -> Result<Arc<dyn StateStore>, Failure> {
        Ok(tapline_state::open(&self.project.state.url, &self.project.folder).await?)
    }

    /// The state store of the project, for commands that only look; `None` before the first run.
    pub async fn existing_state(&self) -> Result<Option<Arc<dyn StateStore>>, Failure> {
        Ok(tapline_state::open_existing(&self.project.state.url, &self.project.folder).await?)
    }

    /// The state store of the project, for commands that need one and must leave nothing behind: before the first run
    /// an empty one in a temporary folder, which is gone with what is returned.
    pub async fn state_to_read(&self) -> Result<ReadState, Failure> {
        if let Some(store) = self.existing_state().await? {
            return Ok(ReadState { store, _folder: None });
        }
        let folder = tempfile::tempdir()
            .map_err(|error| Error::new(codes::FILE_006, "cannot make a temporary folder").because(error))?;
        let store = tapline_state::open_scratch(folder.path(), &self.project.folder).await?;
        Ok(ReadState { store, _folder: Some(folder) })
    }

    /// The folder of snapshots; the one for copies where they lie in a bucket.
    fn snapshots(&self) -> &str {
        let snapshots = &self.project.state.snapshots;
        if S3Url::is_s3(snapshots) { ".tapline/snapshots" } else { snapshots }
    }

    /// The bucket that snapshots are shared by, reached with the AWS credentials of the environment.
    fn shared_snapshots(&self) -> Result<Option<Arc<SharedFolder>>, Failure> {
        let snapshots = &self.project.state.snapshots;
        if !S3Url::is_s3(snapshots) {
            return Ok(None);
        }
        let url = S3Url::parse(snapshots)?;
        let config =
            S3SourceConfig { path: url.key.trim_matches('/').to_owned(), ..S3SourceConfig::ambient(&url.bucket) };
        let source = S3Source::connect(config, ConnectOptions::default())?;
        Ok(Some(Arc::new(SharedFolder::new(source))))
    }

    /// The settings of a sync.
    pub fn sync(&self, name: &str) -> Result<&SyncConfig, Failure> {
        Ok(find(&self.project.syncs, "sync", name)?)
    }

    /// The settings of a model.
    pub fn model(&self, name: &str) -> Result<&ModelConfig, Failure> {
        Ok(find(&self.project.models, "model", name)?)
    }

    /// Everything that the engine needs to run a sync. Touches nothing outside.
    ///
    /// # Errors
    /// What is wrong with the sync and the parts it uses, all at once.
    pub fn job(&self, name: &str, state: &Arc<dyn StateStore>) -> Result<SyncJob, Failure> {
        let sync = self.sync(name)?;
        let model = self.model(&sync.model)?;
        problems::stop_at(problems::of_sync_and_its_parts(self, name))?;
        let (destination, connector) = self.destination(&sync.destination)?;
        let entry = find(&self.project.destinations, "destination", &sync.destination)?;
        Ok(SyncJob {
            name: name.to_owned(),
            sync: sync.clone(),
            model: model.clone(),
            source: self.source(&model.source, &format!("tapline-{name}"))?,
            destination,
            capabilities: connector.capabilities_of(&entry.node)?,
            state: Arc::clone(state),
            snapshots: self.project.folder.join(self.snapshots()),
            shared: self.shared_snapshots()?,
            limits: Limits::default(),
        })
    }
}

/// A session over one source.
pub fn session(source: &Arc<S3Source>) -> Result<Session, Error> {
    Session::open(Access::Source(Arc::clone(source)), Limits::default())
}

/// A session for `tapline query` without a source: the user's own AWS credentials, any bucket, local files.
pub fn ambient_session() -> Result<Session, Error> {
    let folder = std::env::current_dir()
        .map_err(|error| Error::new(codes::FILE_006, "cannot tell the current folder").because(error))?;
    Session::open(Access::Ambient { folder }, Limits::default())
}

/// The environment, and files beside the project file.
pub fn lookup(file: &Path) -> ProcessLookup {
    ProcessLookup { folder: file.parent().unwrap_or_else(|| Path::new("")).to_owned() }
}

/// Reads the settings of a source.
pub fn source_config(entry: &Entry) -> Result<S3SourceConfig, ConfigError> {
    if !SOURCE_KINDS.contains(&entry.kind.as_str()) {
        return Err(unknown_kind("source", entry, SOURCE_KINDS.iter().copied()));
    }
    yaml::from_node(&entry.node)
}

/// An error for a `type` that does not exist, with the ones that do.
fn unknown_kind<'a>(noun: &str, entry: &Entry, valid: impl Iterator<Item = &'a str> + Clone) -> ConfigError {
    let error = ConfigError::new(&entry.kind_span, format!("unknown type of {noun} `{}`", entry.kind));
    let error = match nearest(&entry.kind, valid.clone()).next() {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    };
    error.hint(format!("valid: {}", valid.collect::<Vec<_>>().join(", ")))
}

/// A definition by its name on the command line.
fn find<'a, T>(section: &'a indexmap::IndexMap<String, T>, noun: &str, name: &str) -> Result<&'a T, Error> {
    section.get(name).ok_or_else(|| unknown_name(noun, name, section.keys().map(String::as_str)))
}
