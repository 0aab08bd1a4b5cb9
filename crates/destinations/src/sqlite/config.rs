//! The settings of a SQLite destination.
//! Not here: how the file is opened (see `connect`).
//! Called by the connector, and by everything that generates forms and pages from settings.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// SQLite: tables in one file, published in one transaction.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The database file, relative to the project file's folder; made where it is absent, in a folder that exists.
    pub path: PathBuf,
}

impl Config {
    /// What is wrong with the settings, one line per problem.
    pub(super) fn lint(&self) -> Vec<String> {
        match self.path.to_str() {
            None => vec!["path: SQLite needs a path in UTF-8".to_owned()],
            Some("") => vec!["path: name a file, such as out.db".to_owned()],
            Some(path) if path.contains('\0') => vec!["path: a NUL character cannot be part of a path".to_owned()],
            Some(path) if path.starts_with(":memory:") => {
                vec!["path: a database in memory is gone before anybody can read it; name a file".to_owned()]
            }
            Some(_) => Vec::new(),
        }
    }
}
