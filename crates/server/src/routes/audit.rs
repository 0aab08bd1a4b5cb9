//! The audit log: who did what to what, and from where.
//! Not here: writing it (`crate::audit`).
//! Called by the router.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use tapline_core::server_state::{ActorKind, AuditEntry, PageRequest};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Admin;
use crate::extract::{PageQuery, Query};
use crate::page::Page;
use crate::problem::Result;

/// A line of the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct EntryView {
    /// Its number.
    id: u64,
    /// When.
    at: DateTime<Utc>,
    /// Who.
    actor: ActorView,
    /// What, such as `sources.update`.
    action: String,
    /// To what; its name.
    target: Option<String>,
    /// From which address.
    address: Option<String>,
    /// More, without secrets and cell values.
    #[schema(value_type = Object)]
    details: Value,
}

/// Somebody who acts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Actor)]
struct ActorView {
    /// `user`, `token` or `system`.
    #[schema(value_type = String)]
    kind: ActorKind,
    /// The user's e-mail address, or the token's name.
    name: String,
}

impl From<AuditEntry> for EntryView {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { id, at, actor, action, target, address, details } = entry;
        Self { id, at, actor: ActorView { kind: actor.kind, name: actor.name }, action, target, address, details }
    }
}

/// Show the audit log, newest first
#[utoipa::path(get, path = "/audit", tag = "audit", params(PageQuery),
    security(("token" = ["admin"]), ("session" = ["admin"])),
    responses((status = 200, description = "Lines of the log", body = Page<EntryView>)))]
async fn list(State(app): State<App>, _: Admin, Query(query): Query<PageQuery>) -> Result<axum::Json<Page<EntryView>>> {
    let page = PageRequest { limit: query.limit()?, after: query.after };
    let page = app.store.audit(query.search.as_deref(), &page).await?;
    Ok(axum::Json(Page { items: page.items.into_iter().map(EntryView::from).collect(), next: page.next }))
}

/// The routes of the audit log.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}
