//! The settings of an Example destination.
//! Not here: how the connection is made.
//! Called by the connector, and by everything that generates forms and pages from settings.

use schemars::JsonSchema;
use serde::Deserialize;

/// Example: this line opens the reference page.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Every setting's comment is its text on the reference page and its help in the form.
    pub host: String,
}

impl Config {
    /// What is wrong with the settings, one line per problem.
    pub(super) fn problems(&self) -> Vec<String> {
        if self.host.is_empty() { vec!["host is empty; name a server".to_owned()] } else { Vec::new() }
    }
}
