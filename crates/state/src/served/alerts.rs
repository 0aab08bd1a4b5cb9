//! Conditions of syncs and messages on their way, as records.
//! Not here: the promise ([`Alerts`]).
//! Called through that trait alone.

use async_trait::async_trait;
use tapline_core::Result;
use tapline_core::server_state::{AlertCondition, AlertDelivery, Alerts};

use super::{Served, put};
use crate::backend::{Backend, Guard, Write};
use crate::record::{parsed, unreadable};

const CONDITION: &str = "alert_condition";
const DELIVERY: &str = "alert_delivery";

#[async_trait]
impl<S: Backend> Alerts for Served<S> {
    async fn alert_condition(&self, alert: &str, sync: &str) -> Result<Option<AlertCondition>> {
        self.get(CONDITION, &key(alert, sync)).await
    }

    async fn put_alert_condition(
        &self,
        alert: &str,
        sync: &str,
        expected: Option<&AlertCondition>,
        condition: &AlertCondition,
        delivery: Option<&AlertDelivery>,
    ) -> Result<bool> {
        let key = key(alert, sync);
        let record = self.store.record(CONDITION, &key).await?;
        let present = record.as_ref().map(|record| parsed::<AlertCondition>(&record.body)).transpose()?;
        if present.as_ref() != expected {
            return Ok(false);
        }
        let mut writes = vec![Write::Put {
            kind: CONDITION,
            key,
            guard: record.map_or(Guard::Absent, |record| Guard::At(record.revision)),
            body: serde_json::to_string(condition).map_err(unreadable)?,
            sealed: None,
        }];
        if let Some(delivery) = delivery {
            writes.push(put(DELIVERY, &delivery.id, delivery)?);
        }
        self.store.write_all(&writes).await
    }

    async fn alert_deliveries(&self) -> Result<Vec<AlertDelivery>> {
        let mut deliveries: Vec<AlertDelivery> = self.all(DELIVERY).await?.into_iter().map(|(_, one)| one).collect();
        deliveries.sort_by_key(|delivery| delivery.next_at);
        Ok(deliveries)
    }

    async fn put_alert_delivery(&self, delivery: &AlertDelivery) -> Result<()> {
        self.put(DELIVERY, &delivery.id, delivery).await
    }

    async fn drop_alert_delivery(&self, id: &str) -> Result<()> {
        self.delete(DELIVERY, id).await
    }
}

/// The key of how a sync is for an alert. No name of a sync holds a slash.
fn key(alert: &str, sync: &str) -> String {
    format!("{alert}/{sync}")
}
