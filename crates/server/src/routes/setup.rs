//! The first start: making the first admin with the code that the server has printed.
//! Not here: the code (`auth`), further users (`users`).
//! Called by the router.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tapline_core::server_state::{Actor, ActorKind, Role};
use tapline_core::{Secret, codes};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::session::{SessionView, attempt, signed_in};
use super::users::new_user;
use crate::app::App;
use crate::audit;
use crate::auth::{self, Address};
use crate::extract::Json;
use crate::problem::{Problem, Result};

/// Attempts with wrong codes count together, whatever address they come from.
const ACCOUNT: &str = "setup";

/// Whether the first user is still to be made.
#[derive(Debug, Serialize, ToSchema)]
struct Setup {
    /// True until there is a user.
    needed: bool,
}

/// The first user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FirstUser {
    /// From the link that the server has printed.
    #[schema(value_type = String, format = "password")]
    code: Secret,
    /// Their e-mail address.
    #[schema(format = "email")]
    email: String,
    /// As they call themselves.
    name: String,
    /// At least 10 characters.
    #[schema(value_type = String, format = "password")]
    password: Secret,
}

/// Show whether the first user is still to be made
#[utoipa::path(get, path = "/setup", tag = "session", security(()),
    responses((status = 200, description = "Whether it is", body = Setup)))]
async fn read(State(app): State<App>) -> Result<axum::Json<Setup>> {
    Ok(axum::Json(Setup { needed: app.store.users().await?.is_empty() }))
}

/// Make the first user, an admin, and sign them in
#[utoipa::path(post, path = "/setup", tag = "session", request_body = FirstUser, security(()),
    responses((status = 200, description = "The session; a cookie comes with it", body = SessionView)))]
async fn create(
    State(app): State<App>,
    Address(address): Address,
    headers: HeaderMap,
    Json(body): Json<FirstUser>,
) -> Result<Response> {
    if !app.store.users().await?.is_empty() {
        return Err(Problem::conflict("the first user of this server exists already").hint("sign in"));
    }
    attempt(&app, ACCOUNT, address)?;
    if !auth::claim(&app, body.code.expose()) {
        return Err(Problem::new(StatusCode::FORBIDDEN, codes::AUTH_003, "the code is not that of the link")
            .hint("the link is printed when the server starts, and is another one after each start"));
    }
    app.auth.attempts.succeeded(ACCOUNT, address);
    let user = new_user(&app, body.email, body.name, Role::Admin, body.password).await?;
    app.store.create_user(&user, true).await?;
    let actor = Actor { kind: ActorKind::User, name: user.email.clone() };
    audit::record_of(
        &app,
        actor,
        address,
        "users.create",
        Some(&user.email),
        json!({ "role": "admin", "first": true }),
    )
    .await?;
    signed_in(&app, &headers, user).await
}

/// The routes of the first start.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read, create))
}
