//! Sources, models, destinations, syncs and alerts that were made in the server.
//! Not here: what their settings mean (each config struct), those of the project file, which no store holds.
//! Called by the server's routes of these nouns, `export` and `apply`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::secret::Secret;

/// What a definition defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noun {
    /// A place to read from.
    Source,
    /// SQL over a source.
    Model,
    /// A place to deliver to.
    Destination,
    /// A model that is kept up at a destination.
    Sync,
    /// Who is told when something goes wrong.
    Alert,
}

impl Noun {
    /// The noun in the singular, as messages say it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Model => "model",
            Self::Destination => "destination",
            Self::Sync => "sync",
            Self::Alert => "alert",
        }
    }

    /// The noun in the plural, as it stands in paths and in the project file.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Source => "sources",
            Self::Model => "models",
            Self::Destination => "destinations",
            Self::Sync => "syncs",
            Self::Alert => "alerts",
        }
    }
}

/// Secret values by their place in the settings, a JSON pointer such as `/auth/secret_access_key`.
pub type Secrets = BTreeMap<String, Secret>;

/// A definition as the store holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// Random, and kept when the definition is renamed.
    pub id: String,
    /// What it defines.
    pub noun: Noun,
    /// Its name, unique among those of its noun.
    pub name: String,
    /// Its settings without their secrets: where one belongs, the settings hold nothing.
    pub settings: serde_json::Value,
    /// The secrets of the settings.
    pub secrets: Secrets,
    /// Whether it is kept although it may not work yet.
    pub draft: bool,
    /// How often it was written, from 1.
    pub revision: u64,
    /// When it was last written.
    pub updated_at: DateTime<Utc>,
    /// Who wrote it last.
    pub updated_by: String,
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDefinition {
    /// What it defines.
    pub noun: Noun,
    /// Its name.
    pub name: String,
    /// Its settings without their secrets.
    pub settings: serde_json::Value,
    /// All secrets of the settings.
    pub secrets: Secrets,
    /// Whether it is kept although it may not work yet.
    pub draft: bool,
}

/// One change of several that are made together.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A definition whose name is free; else `API-002`.
    Create(NewDefinition),
    /// Another content, and another name where `to` has one. `API-001` where there is none of this name, `API-003`
    /// unless it is at this revision, `API-002` where the new name is taken.
    Update {
        /// The name it has.
        name: String,
        /// The revision that the change was made on; `None` overwrites whatever is there.
        revision: Option<u64>,
        /// All of what it is afterwards.
        to: NewDefinition,
    },
    /// None of this name any more. Fails as an update does.
    Delete {
        /// What it defines.
        noun: Noun,
        /// The name it has.
        name: String,
        /// The revision that the change was made on; `None` deletes whatever is there.
        revision: Option<u64>,
    },
}

/// What a definition was from a moment on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// The definition's revision.
    pub revision: u64,
    /// Its settings without their secrets.
    pub settings: serde_json::Value,
    /// From when.
    pub at: DateTime<Utc>,
    /// By whom.
    pub by: String,
}

/// Keeps definitions.
#[async_trait]
pub trait Definitions: Send + Sync {
    /// All definitions of a noun, by name.
    async fn definitions(&self, noun: Noun) -> Result<Vec<Definition>>;

    /// The definition of this name.
    async fn definition(&self, noun: Noun, name: &str) -> Result<Option<Definition>>;

    /// Makes all of `changes`, in order, or none of them where one fails, and returns what was created and updated.
    async fn change(&self, changes: Vec<Change>, by: &str) -> Result<Vec<Definition>>;

    /// What the definition with this id was, newest first; the settings of neighbours differ.
    async fn versions(&self, id: &str) -> Result<Vec<Version>>;
}
