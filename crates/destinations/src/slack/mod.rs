//! Slack: a message for each new row, by `chat.postMessage` or by an incoming webhook.
//! Not here: requests and answers, which `http` makes and reads by the descriptions in this folder.
//! Called through [`tapline_core::Connector`].

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use tapline_core::config::SyncConfig;
use tapline_core::{Capabilities, ConnectContext, Connector, Destination, Maturity, Result, Secret};

use crate::http;
use crate::http::description::Description;

const POST_MESSAGE: &str = include_str!("post_message.yaml");
const WEBHOOK: &str = include_str!("webhook.yaml");
const API: &str = "https://slack.com/api";

/// Slack: a message for each row. With `token` the sync's stream is the channel, by its name or, better, its id; with
/// `webhook_url` the webhook's own channel.
///
/// The fields are those of the method: `text`, which is required, `blocks`, `attachments`, `thread_ts` and so on. A row
/// whose values change is posted again; with `write: insert` it is not.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A bot token (`xoxb-…`) with the scope `chat:write`; `channels:read` lists the channels.
    pub token: Option<Secret>,
    /// An incoming webhook, instead of a token.
    pub webhook_url: Option<Secret>,
    /// Where Slack's API is; `https://slack.com/api` unless given.
    pub api_url: Option<String>,
    /// Whether `http://` is allowed, which sends everything in the clear.
    #[serde(default)]
    pub allow_http: bool,
}

impl Config {
    fn describe(&self) -> Result<Description> {
        let secret =
            |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned()).unwrap_or_default();
        let api = self.api_url.as_deref().unwrap_or(API).trim_end_matches('/');
        let settings = HashMap::from([
            ("token", secret(&self.token)),
            ("webhook_url", secret(&self.webhook_url)),
            ("api_url", api.to_owned()),
            ("allow_http", self.allow_http.to_string()),
        ]);
        Description::read(if self.webhook_url.is_some() { WEBHOOK } else { POST_MESSAGE }, &settings)
    }
}

/// The kind `slack`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slack;

#[async_trait]
impl Connector for Slack {
    const NAME: &'static str = "slack";
    const SUMMARY: &'static str = "a message in a channel of Slack for each row";
    const MATURITY: Maturity = Maturity::Alpha;
    const TESTED_AGAINST: &'static str = "a server of the tests that answers as Slack documents";

    type Config = Config;

    fn capabilities(&self) -> Capabilities {
        Capabilities { deletes: false, ..http::CAPABILITIES }
    }

    fn lint(&self, config: &Config) -> Vec<String> {
        let given = |secret: &Option<Secret>| secret.as_ref().is_some_and(|secret| !secret.is_empty());
        match (given(&config.token), given(&config.webhook_url)) {
            (true, true) => vec!["a message goes by `token` or by `webhook_url`, not by both".to_owned()],
            (false, false) => vec!["`token` or `webhook_url` is missing".to_owned()],
            _ => config
                .describe()
                .map_or_else(|error| vec![error.message().to_owned()], |description| description.http.lint()),
        }
    }

    fn lint_sync(&self, config: &Config, sync: &SyncConfig) -> Vec<String> {
        let (Some(mappings), Ok(description)) = (&sync.fields, config.describe()) else { return Vec::new() };
        let missing = description.fields.iter().filter(|field| field.required && !mappings.contains_key(&field.name));
        missing.map(|field| format!("no column goes to the field `{}`, which a message needs", field.name)).collect()
    }

    fn connect(&self, config: Config, context: &ConnectContext) -> Result<Arc<dyn Destination>> {
        http::connect(config.describe()?, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(yaml: &str) -> Config {
        tapline_core::yaml::from_node(&tapline_core::yaml::parse(yaml, "test").unwrap()).unwrap()
    }

    #[test]
    fn both_descriptions_are_whole() {
        for yaml in ["token: xoxb-1", "webhook_url: https://hooks.slack.com/services/T/B/x"] {
            assert_eq!(Slack.lint(&config(yaml)), Vec::<String>::new());
            let context = ConnectContext::new("chat", "/");
            let connected = Connector::connect(&Slack, config(yaml), &context).unwrap();
            assert!(!connected.identity().contains("xoxb") && !connected.identity().contains("hooks"));
        }
        for (yaml, problem) in [
            ("{}", "is missing"),
            ("{ token: a, webhook_url: 'https://a.test' }", "not by both"),
            ("webhook_url: 'http://a.test'", "allow_http"),
        ] {
            let found = Slack.lint(&config(yaml));
            assert!(found.len() == 1 && found[0].contains(problem), "{yaml}: {found:?}");
        }
    }
}
