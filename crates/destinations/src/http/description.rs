//! Services that are told in the words of an HTTP destination: a file of settings instead of code.
//! Not here: the services, which have folders of their own.
//! Called by their connectors.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde::Deserialize;
use tapline_core::yaml::{self, Lookup, Variables};
use tapline_core::{Error, FieldInfo, Result};

use super::config::Config;

/// A service.
#[derive(Debug)]
pub(crate) struct Description {
    /// What [`tapline_core::Destination::identity`] says.
    pub(crate) identity: String,
    /// The fields that it has.
    pub(crate) fields: Vec<Field>,
    /// How it is asked.
    pub(crate) http: Config,
}

/// A field of a service.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// Whether it takes JSON; a text is read as such.
    pub(crate) json: bool,
    pub(crate) required: bool,
}

impl Field {
    /// For mapping.
    pub(super) fn info(&self) -> FieldInfo {
        let data_type = if self.json { "json" } else { "text" };
        FieldInfo { name: self.name.clone(), data_type: data_type.to_owned(), required: self.required }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    identity: String,
    fields: IndexMap<String, WrittenField>,
    http: Config,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenField {
    #[serde(default)]
    json: bool,
    #[serde(default)]
    required: bool,
}

struct Settings<'a>(&'a HashMap<&'a str, String>);

impl Lookup for Settings<'_> {
    fn variable(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self.0.get(name).cloned())
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("a description has no files".to_owned())
    }
}

impl Description {
    /// Reads a description, with `${NAME}` standing for settings.
    pub(crate) fn read(text: &str, settings: &HashMap<&str, String>) -> Result<Self> {
        let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
            Error::internal("reading the description of a service").because(error)
        };
        let mut node = yaml::parse(text, "description").map_err(|error| unreadable(error.into()))?;
        node.expand(Variables::Expand(&Settings(settings))).map_err(|error| unreadable(error.to_string().into()))?;
        let Written { identity, fields, http } = yaml::from_node(&node).map_err(|error| unreadable(error.into()))?;
        let fields =
            fields.into_iter().map(|(name, WrittenField { json, required })| Field { name, json, required }).collect();
        Ok(Self { identity, fields, http })
    }
}
