//! Loading a project file with its includes.
//! Not here: what a connector's own settings mean.
//! Called by the command line's wiring and by the server.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::sync::{Deletes, Mode, ModelConfig, SyncConfig};
use crate::codes;
use crate::error::{Error, Result};
use crate::schedule::Timetable;
use crate::yaml::{self, ConfigError, ConfigErrors, Node, Span, Variables};

/// The name of a project file.
pub const FILE_NAME: &str = "tapline.yaml";

/// Where state is kept.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateConfig {
    /// `sqlite:PATH`, relative to the project's folder, or `postgres://…` where several machines share it.
    #[serde(default = "default_state_url")]
    pub url: String,
    /// What was delivered: a folder, relative to the project's, or `s3://bucket/prefix`, reached with the AWS credentials
    /// of the environment. Where several machines share the state they must share this too.
    #[serde(default = "default_snapshots")]
    pub snapshots: String,
}

fn default_state_url() -> String {
    "sqlite:.tapline/state.db".to_owned()
}

fn default_snapshots() -> String {
    ".tapline/snapshots".to_owned()
}

impl Default for StateConfig {
    fn default() -> Self {
        Self { url: default_state_url(), snapshots: default_snapshots() }
    }
}

/// A source or a destination: its kind, and the settings that its connector reads.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The value of `type`.
    pub kind: String,
    /// Where the `type` stands.
    pub kind_span: Span,
    /// The settings without `type`.
    pub node: Node,
}

/// A definition with the place of its name.
#[derive(Debug, Clone)]
struct Placed<T> {
    value: T,
    node: Node,
}

/// A whole project.
#[derive(Debug, Clone)]
pub struct Project {
    /// The project file.
    pub file: PathBuf,
    /// Its folder; relative paths in the project are relative to it.
    pub folder: PathBuf,
    /// Where state is kept.
    pub state: StateConfig,
    /// Where that is said, or else where the project begins.
    pub state_span: Span,
    /// Sources by name.
    pub sources: IndexMap<String, Entry>,
    /// Models by name.
    pub models: IndexMap<String, ModelConfig>,
    /// Destinations by name.
    pub destinations: IndexMap<String, Entry>,
    /// Syncs by name.
    pub syncs: IndexMap<String, SyncConfig>,
    /// Where the SQL of each model stands.
    pub sql_spans: IndexMap<String, Span>,
    /// Where each sync is defined.
    pub sync_spans: IndexMap<String, Span>,
}

const SECTIONS: &[&str] = &["version", "include", "state", "sources", "models", "destinations", "syncs"];

/// Looks for a project file in `folder` and its parents.
pub fn find_project(folder: &Path) -> Result<PathBuf> {
    folder.ancestors().map(|ancestor| ancestor.join(FILE_NAME)).find(|file| file.is_file()).ok_or_else(|| {
        Error::new(codes::CONF_001, format!("no {FILE_NAME} in {} or a folder above it", folder.display()))
            .hint("run `tapline init` to make one, or name one with --project FILE")
    })
}

/// Reads a project file, its includes and its variables, and checks that the names it uses exist.
///
/// # Errors
/// Everything that is wrong, with its place.
pub fn load(file: &Path, variables: Variables<'_>) -> Result<Project, ConfigErrors> {
    let (project, errors) = examine(file, variables);
    match project {
        Some(project) => errors.into_result(project),
        None => Err(errors),
    }
}

/// Like [`load`], but with what could be read beside everything that is wrong, so that a check can go on with it.
/// `None` where the file itself is not YAML, in which case there are errors.
pub fn examine(file: &Path, variables: Variables<'_>) -> (Option<Project>, ConfigErrors) {
    let (root, mut errors) = read_tree(file, variables);
    let Some(root) = root else { return (None, errors) };
    let (project, more) = assemble(&root, file);
    errors.0.extend(more.0);
    (Some(project), errors)
}

/// A project file with its includes and variables as one tree. `None` where the file itself is not YAML, in which case
/// there are errors.
pub fn read_tree(file: &Path, variables: Variables<'_>) -> (Option<Node>, ConfigErrors) {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = file.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let mut errors = ConfigErrors::default();
    let mut root = match read(&file, &folder) {
        Ok(root) => root,
        Err(more) => return (None, more),
    };
    include(&mut root, &folder, &mut errors);
    if let Err(more) = root.expand(variables) {
        errors.0.extend(more.0);
    }
    (Some(root), errors)
}

/// A project from a tree, wherever its parts come from, with everything that is wrong in it. Paths are relative to the
/// folder of `file`, which need not be there.
pub fn assemble(root: &Node, file: &Path) -> (Project, ConfigErrors) {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = file.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let mut errors = ConfigErrors::default();
    for (key, _) in root.entries() {
        if !SECTIONS.contains(&key.text.as_str()) {
            errors.push(unknown(&key.span, "key", &key.text, SECTIONS.iter().copied()));
        }
    }
    check_version(root, &mut errors);
    let state = match root.get("state") {
        Some(node) if !node.is_null() => errors.collect(yaml::from_node::<StateConfig>(node)).unwrap_or_default(),
        _ => StateConfig::default(),
    };
    let sources = entries(root.get("sources"), "source", &mut errors);
    let destinations = entries(root.get("destinations"), "destination", &mut errors);
    let models = typed::<ModelConfig>(root.get("models"), &mut errors);
    let syncs = typed::<SyncConfig>(root.get("syncs"), &mut errors);
    check_names(&sources, &models, &destinations, &syncs, root, &mut errors);
    let project = Project {
        file,
        folder,
        state,
        state_span: root.get("state").map_or_else(|| root.span.clone(), |node| node.span.clone()),
        sources,
        sql_spans: models.iter().map(|(name, placed)| (name.clone(), place(&placed.node, "sql"))).collect(),
        models: models.into_iter().map(|(name, placed)| (name, placed.value)).collect(),
        destinations,
        sync_spans: syncs.iter().map(|(name, placed)| (name.clone(), placed.node.span.clone())).collect(),
        syncs: syncs.into_iter().map(|(name, placed)| (name, placed.value)).collect(),
    };
    (project, errors)
}

/// The file's name as errors show it: below the project's folder by its relative path.
fn shown(file: &Path, folder: &Path) -> String {
    file.strip_prefix(folder).unwrap_or(file).display().to_string()
}

fn read(file: &Path, folder: &Path) -> Result<Node, ConfigErrors> {
    let name = shown(file, folder);
    let start = Span { file: name.as_str().into(), line: 1, column: 1 };
    let text = std::fs::read_to_string(file)
        .map_err(|error| ConfigError::new(&start, format!("cannot read the file: {error}")))?;
    Ok(yaml::parse(&text, &name)?)
}

fn include(root: &mut Node, folder: &Path, errors: &mut ConfigErrors) {
    let Some((_, list)) = root.remove("include") else { return };
    let patterns: Vec<&Node> = if list.text().is_some() { vec![&list] } else { list.items().iter().collect() };
    for pattern in patterns {
        let Some(text) = pattern.text() else {
            errors.push(pattern.error("expected a file name or a pattern such as syncs/*.yaml"));
            continue;
        };
        let files = match matching(folder, text) {
            Ok(files) => files,
            Err(message) => {
                errors.push(pattern.error(message));
                continue;
            }
        };
        for file in files {
            match read(&file, folder) {
                Ok(node) => {
                    if let Err(more) = root.merge(node, 1) {
                        errors.0.extend(more.0);
                    }
                }
                Err(more) => errors.0.extend(more.0),
            }
        }
    }
}

/// The files below `folder` that a pattern names, sorted, so that errors come in the same order everywhere.
fn matching(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    if !pattern.contains(['*', '?', '[', '{']) {
        return Ok(vec![folder.join(pattern)]);
    }
    let matcher = globset::GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()
        .map_err(|error| format!("`{pattern}` is not a pattern: {error}"))?
        .compile_matcher();
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        let entries =
            std::fs::read_dir(&current).map_err(|error| format!("cannot list {}: {error}", current.display()))?;
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                let hidden = entry.file_name().to_string_lossy().starts_with('.');
                if !hidden {
                    folders.push(path);
                }
            } else if path.strip_prefix(folder).is_ok_and(|relative| matcher.is_match(relative)) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn check_version(root: &Node, errors: &mut ConfigErrors) {
    match root.get("version") {
        None => errors.push(root.error("missing key `version`").hint("begin the file with `version: 1`")),
        Some(node) if node.text() == Some("1") => {}
        Some(node) => {
            errors.push(node.error("this version of the project file is not known").hint("write `version: 1`"))
        }
    }
}

fn entries(section: Option<&Node>, noun: &str, errors: &mut ConfigErrors) -> IndexMap<String, Entry> {
    let mut found = IndexMap::new();
    for (key, node) in names(section, errors) {
        let mut node = node.clone();
        node.span = key.span.clone();
        let Some((type_key, kind)) = node.remove("type") else {
            errors.push(ConfigError::new(&key.span, format!("{noun} `{}` has no `type`", key.text)));
            continue;
        };
        let Some(kind_text) = kind.text() else {
            errors.push(ConfigError::new(&type_key.span, "expected a word"));
            continue;
        };
        found.insert(key.text.clone(), Entry { kind: kind_text.to_owned(), kind_span: kind.span.clone(), node });
    }
    found
}

fn typed<T: serde::de::DeserializeOwned>(
    section: Option<&Node>,
    errors: &mut ConfigErrors,
) -> IndexMap<String, Placed<T>> {
    let mut found = IndexMap::new();
    for (key, node) in names(section, errors) {
        // What is missing in a definition is missing where its name stands.
        let mut node = node.clone();
        node.span = key.span.clone();
        if let Some(value) = errors.collect(yaml::from_node::<T>(&node)) {
            found.insert(key.text.clone(), Placed { value, node });
        }
    }
    found
}

/// Whether a text can be the name of a definition. Names travel in file names, URLs and logs, so they are kept simple.
pub fn is_name(text: &str) -> bool {
    let simple = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '.');
    !text.is_empty() && text.len() <= 200 && text.chars().all(simple)
}

/// The named definitions of a section.
fn names<'a>(section: Option<&'a Node>, errors: &mut ConfigErrors) -> Vec<&'a (yaml::Key, Node)> {
    let Some(section) = section else { return Vec::new() };
    if !section.is_null() && (section.text().is_some() || !section.items().is_empty()) {
        errors.push(section.error("expected names, each with its settings"));
    }
    for (key, _) in section.entries() {
        if !is_name(&key.text) {
            errors.push(
                ConfigError::new(&key.span, format!("`{}` cannot be a name", key.text.escape_debug()))
                    .hint("use letters, digits, `_`, `-` and `.`"),
            );
        }
    }
    section.entries().iter().collect()
}

fn check_names(
    sources: &IndexMap<String, Entry>,
    models: &IndexMap<String, Placed<ModelConfig>>,
    destinations: &IndexMap<String, Entry>,
    syncs: &IndexMap<String, Placed<SyncConfig>>,
    root: &Node,
    errors: &mut ConfigErrors,
) {
    // A definition that could not be read has been reported; its name still counts as there.
    let defined = |section: &str, name: &str| root.get(section).is_some_and(|node| node.get(name).is_some());
    for placed in models.values() {
        if !defined("sources", &placed.value.source) {
            let span = place(&placed.node, "source");
            errors.push(unknown(&span, "source", &placed.value.source, sources.keys().map(String::as_str)));
        }
    }
    for (name, placed) in syncs {
        let sync = &placed.value;
        if !defined("models", &sync.model) {
            let span = place(&placed.node, "model");
            errors.push(unknown(&span, "model", &sync.model, models.keys().map(String::as_str)));
        }
        if !defined("destinations", &sync.destination) {
            let span = place(&placed.node, "destination");
            errors.push(unknown(&span, "destination", &sync.destination, destinations.keys().map(String::as_str)));
        }
        let keyless = models.get(&sync.model).is_some_and(|model| model.value.primary_key.is_empty());
        if sync.mode == Mode::Incremental && keyless {
            errors.push(
                ConfigError::new(&place(&placed.node, "mode"), "an incremental sync needs a primary key")
                    .code(codes::CONF_005)
                    .hint(format!("add `primary_key: [id]` to the model `{}`", sync.model)),
            );
        }
        check_cursor(placed, errors);
        check_schedule(name, placed, errors);
        for (key, ratio) in [("max_delete_ratio", sync.max_delete_ratio), ("max_reject_ratio", sync.max_reject_ratio)] {
            if ratio.is_some_and(|ratio| !(0.0..=1.0).contains(&ratio)) {
                let span = place(&placed.node, key);
                errors.push(ConfigError::new(&span, "expected a share between 0 and 1").code(codes::CONF_005));
            }
        }
    }
}

/// Where the value under a key stands, or else the definition that lacks it.
fn place(node: &Node, key: &str) -> Span {
    node.get(key).map_or_else(|| node.span.clone(), |value| value.span.clone())
}

fn check_cursor(placed: &Placed<SyncConfig>, errors: &mut ConfigErrors) {
    let sync = &placed.value;
    if sync.cursor_field.is_none() && sync.cursor_lookback.is_some() {
        let span = place(&placed.node, "cursor_lookback");
        errors.push(
            ConfigError::new(&span, "a lookback needs a cursor_field to look back from")
                .code(codes::CONF_005)
                .hint("add cursor_field, or take cursor_lookback out"),
        );
    }
    let Some(node) = placed.node.get("cursor_field").filter(|_| sync.cursor_field.is_some()) else { return };
    if sync.mode == Mode::FullRefresh {
        errors.push(node.error("a full refresh reads everything and takes no cursor_field").code(codes::CONF_005));
    }
    if sync.deletes == Deletes::Propagate {
        errors.push(
            node.error("rows that a cursor leaves out cannot be told from rows that are gone")
                .code(codes::CONF_005)
                .hint("take out either cursor_field or `deletes: propagate`"),
        );
    }
}

fn check_schedule(name: &str, placed: &Placed<SyncConfig>, errors: &mut ConfigErrors) {
    let Some(schedule) = placed.node.get("schedule") else { return };
    if let Err(problem) = Timetable::new(name, &placed.value.schedule) {
        let node = schedule.get(problem.key()).unwrap_or(schedule);
        let message = match node.scalar() {
            Some(scalar) => scalar.redact(problem.to_string()),
            None => problem.to_string(),
        };
        let mut error = node.error(message);
        error.left_open = node.is_open();
        errors.push(error);
    }
}

/// An error for a name that does not exist, with the ones that do.
pub(crate) fn unknown<'a>(
    span: &Span,
    noun: &str,
    name: &str,
    valid: impl Iterator<Item = &'a str> + Clone,
) -> ConfigError {
    let error = ConfigError::new(span, format!("unknown {noun} `{name}`"));
    let error = if noun == "key" { error } else { error.code(codes::CONF_004) };
    let near = valid
        .clone()
        .map(|candidate| (strsim::osa_distance(candidate, name), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count() / 3);
    let error = match near {
        Some((_, candidate)) => error.hint(format!("did you mean `{candidate}`?")),
        None => error,
    };
    let list: Vec<&str> = valid.collect();
    if list.is_empty() {
        return error.hint(format!("the project defines no {noun}"));
    }
    error.hint(format!("valid: {}", list.join(", ")))
}

/// The JSON Schema of a project file. `sources` and `destinations` are the schemas of the kinds, each with its name.
pub fn project_schema(
    generator: &mut SchemaGenerator,
    sources: &[(&str, Schema)],
    destinations: &[(&str, Schema)],
) -> Schema {
    let kinds = |kinds: &[(&str, Schema)]| -> Vec<serde_json::Value> {
        kinds
            .iter()
            .map(|(name, schema)| {
                let mut schema = schema.clone().to_value();
                if let Some(object) = schema.as_object_mut() {
                    object.remove("$schema");
                    let properties = object.entry("properties").or_insert_with(|| serde_json::json!({}));
                    if let Some(properties) = properties.as_object_mut() {
                        properties.shift_insert(0, "type".to_owned(), serde_json::json!({ "const": name }));
                    }
                    let required = object.entry("required").or_insert_with(|| serde_json::json!([]));
                    if let Some(required) = required.as_array_mut() {
                        required.insert(0, serde_json::json!("type"));
                    }
                }
                schema
            })
            .collect()
    };
    let model = generator.subschema_for::<ModelConfig>();
    let sync = generator.subschema_for::<SyncConfig>();
    let state = generator.subschema_for::<StateConfig>();
    let definitions = generator.take_definitions(true);
    json_schema!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tapline project",
        "type": "object",
        "additionalProperties": false,
        "required": ["version"],
        "properties": {
            "version": { "const": 1, "description": "Version of this file's format." },
            "include": { "type": ["string", "array"], "items": { "type": "string" }, "description": "Files or patterns whose sections are merged into this one." },
            "state": state,
            "sources": { "type": "object", "additionalProperties": { "oneOf": kinds(sources) }, "description": "Connections to data." },
            "models": { "type": "object", "additionalProperties": model, "description": "SELECTs over sources." },
            "destinations": { "type": "object", "additionalProperties": { "oneOf": kinds(destinations) }, "description": "Connections to where rows go." },
            "syncs": { "type": "object", "additionalProperties": sync, "description": "Models delivered to destination streams." }
        },
        "$defs": definitions
    })
}
