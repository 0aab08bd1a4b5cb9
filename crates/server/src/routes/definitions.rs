//! What the routes of sources, models, destinations and syncs share.
//! Not here: what each noun adds.
//! Called by the four nouns' routes.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tapline_core::config::Project;
use tapline_core::server_state::{Noun, Role};
use utoipa::ToSchema;

use crate::app::App;
use crate::audit;
use crate::auth::Caller;
use crate::catalog::{Candidate, Edit, Entry, Reach};
use crate::problem::{Problem, Result};

/// A name for settings that are only tried.
const UNSAVED: &str = "unsaved";

/// A definition to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDefinition {
    /// Letters, digits, `_`, `-` and `.`.
    #[schema(pattern = r"^[\p{L}\p{N}_.-]{1,200}$")]
    pub name: String,
    /// As in the project file.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// Whether to keep it although it may not work yet.
    #[serde(default)]
    pub draft: bool,
}

/// A definition to be changed.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangedDefinition {
    /// As in the project file. A secret that is left out, or is `{"secret": true}`, stays as it is.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// The revision that the change was made in; the header `If-Match` does as well.
    pub revision: Option<u64>,
    /// Whether to keep it although it may not work yet.
    #[serde(default)]
    pub draft: bool,
    /// Another name.
    pub name: Option<String>,
}

/// Settings that are tried without being saved.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TriedSettings {
    /// As in the project file.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// The definition whose secrets are to be used where they are left out.
    pub name: Option<String>,
}

/// Makes a definition.
pub async fn create(app: &App, caller: &Caller, noun: Noun, body: NewDefinition) -> Result<Entry> {
    let edit =
        Edit { name: body.name, settings: body.settings, draft: body.draft, revision: None, reach: reach(caller) };
    let entry = app.catalog.create(noun, edit, &caller.name).await?;
    audit::record(app, caller, &action(noun, "create"), Some(&entry.name), json!({ "draft": entry.draft })).await?;
    app.runner.wake();
    Ok(entry)
}

/// Changes a definition.
pub async fn update(
    app: &App,
    caller: &Caller,
    noun: Noun,
    name: &str,
    headers: &HeaderMap,
    body: ChangedDefinition,
) -> Result<Entry> {
    let revision = body.revision.or_else(|| if_match(headers));
    if revision.is_none() {
        return Err(Problem::malformed("the change does not say which revision it was made in")
            .hint("send the `revision` that the definition had when it was read"));
    }
    let to = body.name.unwrap_or_else(|| name.to_owned());
    let edit = Edit { name: to, settings: body.settings, draft: body.draft, revision, reach: reach(caller) };
    let entry = app.catalog.update(noun, name, edit, &caller.name).await?;
    let details = json!({ "revision": entry.revision, "draft": entry.draft, "name": entry.name });
    audit::record(app, caller, &action(noun, "update"), Some(name), details).await?;
    app.runner.wake();
    Ok(entry)
}

/// Deletes a definition.
pub async fn delete(app: &App, caller: &Caller, noun: Noun, name: &str) -> Result<StatusCode> {
    app.catalog.delete(noun, name, &caller.name).await?;
    audit::record(app, caller, &action(noun, "delete"), Some(name), json!({})).await?;
    app.runner.wake();
    Ok(StatusCode::NO_CONTENT)
}

/// Which files of the machine somebody may name in settings.
pub fn reach(caller: &Caller) -> Reach {
    if caller.role == Role::Admin { Reach::Machine } else { Reach::Folder }
}

fn action(noun: Noun, verb: &str) -> String {
    format!("{}.{verb}", noun.plural())
}

fn if_match(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::IF_MATCH)?.to_str().ok()?.trim_matches('"').parse().ok()
}

/// A definition with its revision as the HTTP tag.
pub fn tagged(entry: &Entry, view: impl Serialize) -> Response {
    ([(header::ETAG, entry.tag())], axum::Json(view)).into_response()
}

/// A definition that was just made, and where it is.
pub fn created(noun: Noun, entry: &Entry, view: impl Serialize) -> Response {
    // Letters of any script can stand in names.
    let name: String = url::form_urlencoded::byte_serialize(entry.name.as_bytes()).collect();
    let place = format!("/api/v1/{}/{name}", noun.plural());
    (StatusCode::CREATED, [(header::LOCATION, place), (header::ETAG, entry.tag())], axum::Json(view)).into_response()
}

/// The project, where a definition is in it and may be used.
///
/// # Errors
/// That there is none, that it is a draft, and that it names an address that must not be reached.
pub async fn usable(app: &App, noun: Noun, name: &str) -> Result<Project> {
    let project = app.catalog.project().await?;
    let there = match noun {
        Noun::Source => project.sources.contains_key(name),
        Noun::Model => project.models.contains_key(name),
        Noun::Destination => project.destinations.contains_key(name),
        Noun::Sync => project.syncs.contains_key(name),
        Noun::Alert => false,
    };
    if !there {
        app.catalog.entry(noun, name).await?;
        return Err(Problem::conflict(format!("the {} `{name}` is a draft", noun.word()))
            .hint("finish its settings, and save it with `draft: false`"));
    }
    app.catalog.guard(noun, name).await?;
    Ok(project)
}

/// A project with settings in it that are not saved, and the name that they have there.
///
/// # Errors
/// What is wrong with the settings.
pub async fn trial(app: &App, noun: Noun, body: &TriedSettings, reach: Reach) -> Result<(Project, String)> {
    let name = body.name.clone().unwrap_or_else(|| UNSAVED.to_owned());
    let settings = app.catalog.tried(noun, body.name.as_deref(), &body.settings).await?;
    let candidate = Candidate { noun, before: Some(&name), name: &name, settings: Some(&settings) };
    let assembled = app.catalog.validate(&[candidate], "/settings", reach).await?;
    Ok((assembled.project, name))
}
