//! Tokens, with which programs sign their requests.
//! Not here: how a request's token is checked (`auth`).
//! Called by the router.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tapline_core::server_state::Token;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::users::{RoleView, invalid};
use crate::app::App;
use crate::audit;
use crate::auth::{Admin, Minted};
use crate::extract::{Json, PageQuery, Path, Query};
use crate::page::Page;
use crate::problem::{Problem, Result};

/// The longest that a token may last, in days; it may also last for ever.
const MOST_DAYS: u32 = 3650;

/// A token, without what it opens doors with.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
struct TokenView {
    /// Its id, the second part of the token itself.
    id: String,
    /// What it is for.
    name: String,
    /// What it may do.
    role: RoleView,
    /// Since when.
    created_at: DateTime<Utc>,
    /// By whom it was made.
    created_by: String,
    /// Until when; null is for ever.
    expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute; null for never.
    last_used_at: Option<DateTime<Utc>>,
}

impl From<Token> for TokenView {
    fn from(token: Token) -> Self {
        let Token { id, name, role, created_at, created_by, expires_at, last_used_at, .. } = token;
        Self { id, name, role: role.into(), created_at, created_by, expires_at, last_used_at }
    }
}

/// A token to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// What it is for.
    name: String,
    /// What it may do.
    role: RoleView,
    /// How many days it lasts; for ever without it.
    #[schema(minimum = 1, maximum = 3650)]
    expires_in_days: Option<u32>,
}

/// A token that was just made.
#[derive(Serialize, ToSchema)]
struct MadeToken {
    /// The token's facts.
    #[serde(flatten)]
    facts: TokenView,
    /// The token itself. It is shown this once.
    token: String,
}

/// List tokens
#[utoipa::path(get, path = "/tokens", tag = "tokens", params(PageQuery),
    security(("token" = ["admin"]), ("session" = ["admin"])),
    responses((status = 200, description = "The tokens, oldest first", body = Page<TokenView>)))]
async fn list(State(app): State<App>, _: Admin, Query(query): Query<PageQuery>) -> Result<axum::Json<Page<TokenView>>> {
    let mut tokens = app.store.tokens().await?;
    let search = query.search.as_deref().unwrap_or_default().to_lowercase();
    tokens.retain(|token| token.name.to_lowercase().contains(&search));
    // Several tokens may have one name; their ids are in the order in which they were made.
    let by_id = PageQuery { search: None, ..query };
    let Page { items, next } = Page::of_named(tokens, &by_id, |token| &token.id)?;
    Ok(axum::Json(Page { items: items.into_iter().map(TokenView::from).collect(), next }))
}

/// Make a token
#[utoipa::path(post, path = "/tokens", tag = "tokens", request_body = NewToken,
    security(("token" = ["admin"]), ("session" = ["admin"])),
    responses((status = 201, description = "The token; what opens doors is shown this once", body = MadeToken)))]
async fn create(State(app): State<App>, Admin(caller): Admin, Json(body): Json<NewToken>) -> Result<Response> {
    let name = body.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
        return Err(invalid("/name", "a name has 1 to 200 characters on one line"));
    }
    if body.expires_in_days.is_some_and(|days| !(1..=MOST_DAYS).contains(&days)) {
        return Err(invalid("/expires_in_days", "a token lasts from 1 to 3650 days, or for ever"));
    }
    let minted = Minted::new();
    let now = Utc::now().trunc_subsecs(0);
    let token = Token {
        id: minted.id.clone(),
        name,
        role: body.role.into(),
        hash: minted.hash.clone(),
        created_at: now,
        created_by: caller.name.clone(),
        expires_at: body.expires_in_days.map(|days| now + TimeDelta::days(i64::from(days))),
        last_used_at: None,
    };
    app.store.create_token(&token).await?;
    let details = json!({ "id": token.id, "role": token.role, "expires_at": token.expires_at });
    audit::record(&app, &caller, "tokens.create", Some(&token.name), details).await?;
    let made = MadeToken { facts: token.into(), token: minted.token() };
    Ok((StatusCode::CREATED, axum::Json(made)).into_response())
}

/// Revoke a token
#[utoipa::path(delete, path = "/tokens/{id}", tag = "tokens", params(("id" = String, Path)),
    security(("token" = ["admin"]), ("session" = ["admin"])),
    responses((status = 204, description = "It opens nothing any more")))]
async fn remove(State(app): State<App>, Admin(caller): Admin, Path(id): Path<String>) -> Result<StatusCode> {
    let token = app.store.token(&id).await?.ok_or_else(|| Problem::not_found("token", &id))?;
    app.store.delete_token(&id).await?;
    audit::record(&app, &caller, "tokens.delete", Some(&token.name), json!({ "id": id })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The routes of tokens.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(remove))
}
