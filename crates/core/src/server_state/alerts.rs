//! What alerts have to remember: how each sync was when it was last looked at, and what has not been told
//! yet.
//! Not here: the rules and channels, which are definitions; sending (the server's `alerts`).
//! Called by the server's `alerts`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// How a sync is, as far as an alert is concerned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertCondition {
    /// `healthy`, or what is wrong: `failed`, `partial`, `stopped`, `late`.
    pub condition: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Whether somebody was told that something is wrong, and not yet that all is well again.
    #[serde(default)]
    pub told: bool,
}

/// A message that is on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertDelivery {
    /// Random.
    pub id: String,
    /// The alert's id.
    pub alert: String,
    /// What is told; the server's own record.
    pub message: serde_json::Value,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next.
    pub next_at: DateTime<Utc>,
}

/// Keeps what alerts remember.
#[async_trait]
pub trait Alerts: Send + Sync {
    /// How a sync was when it was last looked at for the alert with this id; `None` before.
    async fn alert_condition(&self, alert: &str, sync: &str) -> Result<Option<AlertCondition>>;

    /// Notes how a sync is for an alert, and what has to be told because of it, in one step. `expected` is how it was noted
    /// before; `false`, changing nothing, where it is not any more.
    async fn put_alert_condition(
        &self,
        alert: &str,
        sync: &str,
        expected: Option<&AlertCondition>,
        condition: &AlertCondition,
        delivery: Option<&AlertDelivery>,
    ) -> Result<bool>;

    /// What is still to be told, oldest first.
    async fn alert_deliveries(&self) -> Result<Vec<AlertDelivery>>;

    /// Keeps a message, in the place of one with the same id.
    async fn put_alert_delivery(&self, delivery: &AlertDelivery) -> Result<()>;

    /// Forgets a message.
    async fn drop_alert_delivery(&self, id: &str) -> Result<()>;
}
