//! One definition as it is shown.
//! Not here: the facts that each noun adds (its file under `routes`).
//! Called by the catalog.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use tapline_core::server_state::{Definition, Noun};
use tapline_core::yaml::Node;
use utoipa::ToSchema;

use super::Catalog;

/// Where a definition comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Made through the API.
    State,
    /// From the project file, where it is changed.
    File,
}

/// A definition without its secrets.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Definition)]
pub struct Entry {
    /// Its id, which outlives renames; none for those of the project file.
    #[serde(skip)]
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether it can be changed here.
    pub read_only: bool,
    /// Whether it is kept although it may not work yet.
    pub draft: bool,
    /// How often it was written; 0 for those of the project file.
    pub revision: u64,
    /// When it was last written.
    pub updated_at: Option<DateTime<Utc>>,
    /// Who wrote it last.
    pub updated_by: Option<String>,
    /// As in the project file; each secret is `{"secret": true}`.
    #[schema(value_type = Object)]
    pub settings: Value,
}

impl Entry {
    pub(super) fn of_file(catalog: &Catalog, noun: Noun, name: &str, node: &Node) -> Self {
        Self {
            id: None,
            name: name.to_owned(),
            origin: Origin::File,
            read_only: true,
            draft: false,
            revision: 0,
            updated_at: None,
            updated_by: None,
            settings: catalog.masked(noun, &node.to_shown_json()),
        }
    }

    pub(super) fn of_state(catalog: &Catalog, definition: &Definition) -> Self {
        Self {
            id: Some(definition.id.clone()),
            name: definition.name.clone(),
            origin: Origin::State,
            read_only: false,
            draft: definition.draft,
            revision: definition.revision,
            updated_at: Some(definition.updated_at),
            updated_by: Some(definition.updated_by.clone()),
            settings: catalog.masked(definition.noun, &catalog.full(definition)),
        }
    }

    /// A text of the settings.
    pub fn text(&self, key: &str) -> String {
        self.settings.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// The HTTP tag of this revision.
    pub fn tag(&self) -> String {
        format!("\"{}\"", self.revision)
    }
}
