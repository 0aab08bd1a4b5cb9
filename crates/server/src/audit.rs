//! Writing to the audit log: who did what to what, without secrets and cell values.
//! Not here: reading it (`routes::audit`).
//! Called by every route that changes something.

use std::net::IpAddr;

use chrono::Utc;
use serde_json::Value;
use tapline_core::server_state::{Actor, AuditEntry};

use crate::app::App;
use crate::auth::Caller;
use crate::problem::Result;

/// Notes what `caller` did: an action such as `sources.update`, to the thing named `target`.
///
/// # Errors
/// What the store says.
pub async fn record(app: &App, caller: &Caller, action: &str, target: Option<&str>, details: Value) -> Result<()> {
    record_of(app, caller.actor(), caller.address, action, target, details).await
}

/// As [`record`], for somebody who has no session or token yet.
///
/// # Errors
/// What the store says.
pub(crate) async fn record_of(
    app: &App,
    actor: Actor,
    address: Option<IpAddr>,
    action: &str,
    target: Option<&str>,
    details: Value,
) -> Result<()> {
    let entry = AuditEntry {
        id: 0,
        at: Utc::now(),
        actor,
        action: action.to_owned(),
        target: target.map(str::to_owned),
        address: address.map(|address| address.to_string()),
        details,
    };
    Ok(app.store.append_audit(&entry).await?)
}
