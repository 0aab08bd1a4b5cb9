//! What is wrong with a project, as far as can be told without the network, each problem with its place.
//! Not here: YAML, unknown keys and names (`tapline_core::config` finds those while it reads).
//! Called by `validate` for the whole project, and by `wiring` for the parts that a command uses.

use serde::Serialize;
use tapline_core::config::{Deletes, Mode, SyncConfig};
use tapline_core::yaml::{ConfigError, Node, Span};
use tapline_core::{Code, ErasedConnector, Error, codes};
use tapline_storage::S3Url;

use crate::errors::Failure;
use crate::wiring::{Wiring, source_config};

/// One thing that is wrong in a project file.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// The project file or an included one, relative to the project's folder.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The stable code.
    #[serde(serialize_with = "as_id")]
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// The next steps, one per line.
    pub hint: Option<String>,
    /// Lines that show a position within the value, such as SQL with a caret below it.
    #[serde(skip)]
    pub excerpt: Option<String>,
    /// Whether it may go away when the variables are filled in.
    #[serde(skip)]
    pub left_open: bool,
}

fn as_id<S: serde::Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.id)
}

impl Problem {
    /// An error of a part of the project, placed where that part stands.
    fn at(span: &Span, error: &Error) -> Self {
        Self {
            file: span.file.to_string(),
            line: span.line,
            column: span.column,
            code: error.code(),
            message: error.full_message(),
            hint: (!error.hints().is_empty()).then(|| error.hints().join("\n")),
            excerpt: error.excerpt_text().map(str::to_owned),
            left_open: false,
        }
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        Self {
            file: error.file.to_string(),
            line: error.line,
            column: error.column,
            code: error.code,
            hint: (!error.hints.is_empty()).then(|| error.hints.join("\n")),
            message: error.message,
            excerpt: None,
            left_open: error.left_open,
        }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        let Problem { file, line, column, code, message, hint, excerpt, .. } = problem;
        let error = Self::new(code, format!("{file}:{line}:{column}: {message}"));
        let error = hint.iter().flat_map(|hints| hints.lines()).fold(error, |error, hint| error.hint(hint));
        match excerpt {
            Some(excerpt) => error.excerpt(excerpt),
            None => error,
        }
    }
}

/// The failure that `problems` amount to, if there are any.
pub fn stop_at(problems: Vec<Problem>) -> Result<(), Failure> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::Problems(problems.into_iter().map(Error::from).collect()))
}

/// All problems of a project that could be read.
pub fn of_project(wiring: &Wiring) -> Vec<Problem> {
    let project = &wiring.project;
    let state = of_state(wiring);
    let sources = project.sources.keys().flat_map(|name| of_source(wiring, name));
    let models = project.models.keys().flat_map(|name| match of_model(wiring, name) {
        none if none.is_empty() => beyond_source(wiring, name),
        problems => problems,
    });
    let destinations = project.destinations.keys().flat_map(|name| of_destination(wiring, name));
    let syncs = project.syncs.keys().flat_map(|name| of_sync(wiring, name));
    state.into_iter().chain(sources).chain(models).chain(destinations).chain(syncs).collect()
}

/// The problems of a sync, its model, its source and its destination.
pub fn of_sync_and_its_parts(wiring: &Wiring, name: &str) -> Vec<Problem> {
    let Some(sync) = wiring.project.syncs.get(name) else { return Vec::new() };
    let mut problems = of_state(wiring);
    problems.extend(of_model_and_its_source(wiring, &sync.model));
    problems.extend(of_destination(wiring, &sync.destination));
    problems.extend(of_sync(wiring, name));
    problems
}

/// The problems of a model and its source.
pub fn of_model_and_its_source(wiring: &Wiring, name: &str) -> Vec<Problem> {
    let Some(model) = wiring.project.models.get(name) else { return Vec::new() };
    let mut problems = of_source(wiring, &model.source);
    problems.extend(of_model(wiring, name));
    problems
}

/// The problems of where the state is kept.
fn of_state(wiring: &Wiring) -> Vec<Problem> {
    let project = &wiring.project;
    let mut findings = Vec::new();
    let known = ["sqlite:", "postgres://", "postgresql://"];
    if !known.iter().any(|scheme| project.state.url.starts_with(scheme)) && !wiring.is_open(&project.state.url) {
        findings.push("state.url has to be `sqlite:PATH` or `postgres://…`".to_owned());
    }
    if project.state.snapshots.contains("://") && S3Url::parse(&project.state.snapshots).is_err() {
        findings.push("state.snapshots has to be a folder or `s3://bucket/prefix`".to_owned());
    }
    lint(&project.state_span, findings)
}

/// The problems of a source's settings.
pub fn of_source(wiring: &Wiring, name: &str) -> Vec<Problem> {
    let Some(entry) = wiring.project.sources.get(name) else { return Vec::new() };
    match source_config(entry) {
        Ok(_) if is_open(&entry.node) => Vec::new(),
        Ok(config) => lint(&entry.node.span, config.lint()),
        Err(error) => vec![error.into()],
    }
}

/// The problems of a destination's settings.
pub fn of_destination(wiring: &Wiring, name: &str) -> Vec<Problem> {
    let Some(entry) = wiring.project.destinations.get(name) else { return Vec::new() };
    match wiring.connector(entry).and_then(|connector| connector.validate(&entry.node)) {
        Ok(_) if is_open(&entry.node) => Vec::new(),
        Ok(findings) => lint(&entry.node.span, findings),
        Err(error) => vec![error.into()],
    }
}

/// Whether a variable below was left open, so that nobody can tell what the settings amount to.
fn is_open(node: &Node) -> bool {
    node.is_open() || node.items().iter().chain(node.entries().iter().map(|(_, node)| node)).any(is_open)
}

fn lint(span: &Span, findings: Vec<String>) -> Vec<Problem> {
    findings.into_iter().map(|finding| ConfigError::new(span, finding).code(codes::CONF_005).into()).collect()
}

/// The problems of a model's SQL that show without its files.
pub fn of_model(wiring: &Wiring, name: &str) -> Vec<Problem> {
    let project = &wiring.project;
    let (Some(model), Some(span)) = (project.models.get(name), project.sql_spans.get(name)) else { return Vec::new() };
    if wiring.is_open(&model.sql) {
        return Vec::new();
    }
    match tapline_engine::check_sql(&model.sql) {
        Ok(()) => Vec::new(),
        Err(error) => vec![Problem::at(span, &error.context(format_args!("model `{name}`")))],
    }
}

/// The files that a model names outside of its source. A run tells as well, when it comes to them.
fn beyond_source(wiring: &Wiring, name: &str) -> Vec<Problem> {
    let project = &wiring.project;
    let (Some(model), Some(span)) = (project.models.get(name), project.sql_spans.get(name)) else { return Vec::new() };
    let Some(source) = project.sources.get(&model.source).filter(|source| !is_open(&source.node)) else {
        return Vec::new();
    };
    let (false, Ok(config)) = (wiring.is_open(&model.sql), source_config(source)) else { return Vec::new() };
    match tapline_engine::check_reach(&model.sql, &config) {
        Err(error) if [codes::S3_009, codes::S3_011].contains(&error.code()) => {
            vec![Problem::at(span, &error.context(format_args!("model `{name}`")))]
        }
        _ => Vec::new(),
    }
}

/// The problems of a sync's mapping that show without its model's columns, and of what it asks of its destination.
pub fn of_sync(wiring: &Wiring, name: &str) -> Vec<Problem> {
    let project = &wiring.project;
    let (Some(sync), Some(span)) = (project.syncs.get(name), project.sync_spans.get(name)) else { return Vec::new() };
    let Some(model) = project.models.get(&sync.model) else { return Vec::new() };
    let mut errors = tapline_engine::validate_job(sync, model);
    if let Some(entry) = project.destinations.get(&sync.destination)
        && let Ok(connector) = wiring.connector(entry)
    {
        errors.extend(beyond(sync, connector, &entry.node));
    }
    errors.into_iter().map(|error| Problem::at(span, &error.context(format_args!("sync `{name}`")))).collect()
}

/// What a sync asks of a destination that cannot do it. What is wrong with the destination itself is told elsewhere.
fn beyond(sync: &SyncConfig, connector: &dyn ErasedConnector, settings: &Node) -> Vec<Error> {
    let can = connector.capabilities_of(settings).unwrap_or_else(|_| connector.capabilities());
    let lacks = |ability: &str| {
        Error::new(codes::CONF_005, format!("a {} destination cannot {ability}", connector.name()))
            .hint("`tapline destinations` lists what each kind can do")
    };
    let mut errors = Vec::new();
    if sync.mode == Mode::FullRefresh && !can.full_refresh {
        errors.push(lacks("be refreshed in full"));
    }
    if sync.deletes == Deletes::Propagate && !can.deletes {
        let error = lacks("delete rows");
        let able = connector.capabilities().deletes;
        errors.push(if able { error.hint("tell the destination how, with its key `delete`") } else { error });
    }
    let findings = connector.lint_sync(settings, sync).unwrap_or_default();
    errors.extend(findings.into_iter().map(|finding| Error::new(codes::CONF_005, finding)));
    errors
}
