//! What an alert says: which syncs it watches, for what, and who is told.
//! Not here: telling them (`channel`), when a sync is looked at (`alerts`).
//! Called by `alerts` and the routes of alerts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tapline_core::server_state::{Definition, Secrets};
use tapline_core::{RunReport, RunStatus, Secret, codes};
use utoipa::ToSchema;

use crate::masking::{Shape, first_mask, pointer_to};
use crate::problem::{Fault, Problem, Result};

/// What may become of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A run failed.
    Failed,
    /// A run left more rows or lines rejected than `partial_ratio` allows.
    Partial,
    /// A guard stopped a run.
    Stopped,
    /// A run did not begin when it was due.
    Late,
    /// All is well again after one of the others.
    Recovered,
}

impl Event {
    /// The event as JSON spells it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Partial => "partial",
            Self::Stopped => "stopped",
            Self::Late => "late",
            Self::Recovered => "recovered",
        }
    }
}

/// An alert without its name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What is told.
    pub when: BTreeSet<Event>,
    /// The share of rejected rows and lines, 0 to 1, up to which a run counts as well; 0 without it.
    #[serde(default)]
    pub partial_ratio: f64,
    /// The syncs that are watched, or `*` for all.
    pub syncs: Vec<String>,
    /// Who is told.
    pub channel: Channel,
}

/// A way to tell somebody.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Channel {
    /// A POST with a JSON object.
    Webhook(Webhook),
    /// An incoming webhook of Slack.
    Slack(Slack),
    /// An e-mail.
    Email(Email),
}

/// A POST with a JSON object.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where to; secret, since it often holds a key.
    pub url: Secret,
    /// Headers to be sent along, such as `Authorization`.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
}

/// An incoming webhook of Slack.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slack {
    /// Where to, as Slack gives it.
    pub url: Secret,
}

/// An e-mail.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// The SMTP server.
    pub host: String,
    /// Its port; 587 for `starttls`, 465 for `tls`, 25 for `none`.
    pub port: Option<u16>,
    /// How the connection is encrypted.
    #[serde(default)]
    pub encryption: Encryption,
    /// The user to log in as.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// From whom, such as `Tapline <tapline@example.com>`.
    pub from: String,
    /// To whom.
    pub to: Vec<String>,
}

/// How a connection to an SMTP server is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// From the second command on, or not at all.
    #[default]
    Starttls,
    /// From the first byte on.
    Tls,
    /// Not at all.
    None,
}

impl Rule {
    /// Reads settings with their secrets.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn of(settings: &Value) -> Result<Self> {
        let invalid =
            |pointer: &str, detail: String| Problem::invalid(vec![Fault::new(pointer, codes::CONF_005, detail)]);
        if let Some(mask) = first_mask(settings) {
            return Err(invalid(&mask, "a secret is left out, and none is kept for it".to_owned()));
        }
        let rule: Self = serde_json::from_value(settings.clone()).map_err(|error| invalid("", error.to_string()))?;
        if rule.when.iter().all(|event| *event == Event::Recovered) {
            return Err(invalid("/when", "an alert tells at least one of failed, partial, stopped, late".to_owned()));
        }
        if rule.syncs.is_empty() {
            return Err(invalid("/syncs", "an alert watches syncs by name, or `*` for all".to_owned()));
        }
        if !(0.0..=1.0).contains(&rule.partial_ratio) {
            return Err(invalid("/partial_ratio", "a ratio is a number from 0 to 1".to_owned()));
        }
        super::channel::lint(&rule.channel).map_err(|(key, detail)| invalid(&format!("/channel/{key}"), detail))?;
        Ok(rule)
    }

    /// Whether the alert is about this sync.
    pub(super) fn watches(&self, sync: &str) -> bool {
        self.syncs.iter().any(|name| name == "*" || name == sync)
    }

    /// What became of a sync by this run: something, nothing that is wrong, or nothing that counts.
    pub(super) fn event_of(&self, report: &RunReport) -> Option<Outcome> {
        match report.status {
            RunStatus::Running | RunStatus::Cancelled => None,
            RunStatus::Succeeded | RunStatus::Unchanged => Some(Outcome::Healthy),
            RunStatus::Failed => Some(Outcome::Wrong(Event::Failed)),
            RunStatus::Stopped => Some(Outcome::Wrong(Event::Stopped)),
            RunStatus::Partial if ratio(report) > self.partial_ratio => Some(Outcome::Wrong(Event::Partial)),
            RunStatus::Partial => Some(Outcome::Healthy),
        }
    }
}

/// How a sync is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Healthy,
    Wrong(Event),
}

/// The share of the rows and lines of a run that are rejected; all of them where rows are open from before.
fn ratio(report: &RunReport) -> f64 {
    let rejected = report.rows.rejected + report.rows.delete_rejected + report.source_rows.rejected;
    let read = report.rows.read + report.rows.deleted + report.rows.delete_rejected + report.source_rows.rejected;
    if read == 0 { 1.0 } else { rejected as f64 / read as f64 }
}

static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::new(schema_for!(Rule)));

/// Which settings of an alert are secret.
pub(crate) fn shape() -> &'static Shape {
    &SHAPE
}

/// Settings apart from their secrets.
pub(crate) fn split(settings: &Value) -> (Value, Secrets) {
    let mut secrets = Secrets::new();
    let bare = shape().replace(settings, &mut |path, value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        secrets.insert(pointer_to(path), text.into());
        Value::Null
    });
    (bare, secrets)
}

/// The settings of an alert with their secrets.
pub(crate) fn full(definition: &Definition) -> Value {
    let mut settings = definition.settings.clone();
    for (pointer, secret) in &definition.secrets {
        if let Some(place) = settings.pointer_mut(pointer) {
            *place = Value::String(secret.expose().to_owned());
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn webhook() -> Value {
        json!({
            "when": ["failed", "recovered"], "syncs": ["*"],
            "channel": { "type": "webhook", "url": "https://hooks.example.com/hunter2", "headers": { "x-key": "hunter2" } },
        })
    }

    #[test]
    fn secrets_of_channels_are_told_apart_by_their_type() {
        let (bare, secrets) = split(&webhook());
        assert!(!bare.to_string().contains("hunter2"), "{bare}");
        assert_eq!(secrets.keys().collect::<Vec<_>>(), ["/channel/headers/x-key", "/channel/url"]);
        let email = json!({ "channel": { "type": "email", "host": "h", "password": "hunter2" } });
        assert_eq!(split(&email).0["channel"], json!({ "type": "email", "host": "h", "password": null }));
    }

    #[test]
    fn what_cannot_be_an_alert_is_refused() {
        assert!(Rule::of(&webhook()).is_ok());
        for (pointer, value) in [
            ("/when", json!([])),
            ("/when", json!(["recovered"])),
            ("/when", json!(["sunny"])),
            ("/syncs", json!([])),
            ("/channel/url", json!("ftp://hooks.example.com")),
            ("/channel/url", json!({ "secret": true })),
            ("/channel/type", json!("pigeon")),
            ("/channel/headers", json!({ "not a header": "x" })),
        ] {
            let mut settings = webhook();
            *settings.pointer_mut(pointer).unwrap() = value;
            assert!(Rule::of(&settings).is_err(), "{settings}");
        }
    }
}
