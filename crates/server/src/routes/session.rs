//! Signing in and out, and who is signed in.
//! Not here: the first sign-in of a new server (`setup`), tokens of programs (`tokens`).
//! Called by the router.

use std::time::Instant;

use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tapline_core::server_state::{Actor, ActorKind, User};
use tapline_core::{Secret, codes};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::users::RoleView;
use crate::app::App;
use crate::audit;
use crate::auth::{self, Address, Session};
use crate::extract::Json;
use crate::problem::{Problem, Result};

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionView {
    /// Null for somebody who is not signed in.
    user: Option<SignedIn>,
    /// To be sent as `X-CSRF-Token` with every change; empty for somebody who is not signed in.
    csrf: String,
    /// The server's version.
    version: &'static str,
}

/// A user who is signed in.
#[derive(Debug, Serialize, ToSchema)]
struct SignedIn {
    /// Their id.
    id: String,
    /// Their e-mail address.
    email: String,
    /// As they call themselves.
    name: String,
    /// What they may do.
    role: RoleView,
}

impl SessionView {
    fn of(app: &App, session: Option<Session>) -> Self {
        let version = app.settings.version;
        let Some(Session { user, sign_in }) = session else { return Self { user: None, csrf: String::new(), version } };
        let User { id, email, name, role, .. } = user;
        Self { user: Some(SignedIn { id, email, name, role: role.into() }), csrf: sign_in.csrf, version }
    }
}

/// An e-mail address and a password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    /// In any case.
    email: String,
    /// The password.
    #[schema(value_type = String, format = "password")]
    password: Secret,
}

/// Show who is signed in
#[utoipa::path(get, path = "/session", tag = "session", security(()),
    responses((status = 200, description = "The session; without a user for somebody who is not signed in", body = SessionView)))]
async fn read(State(app): State<App>, headers: HeaderMap) -> Result<axum::Json<SessionView>> {
    Ok(axum::Json(SessionView::of(&app, auth::session(&headers, &app).await?)))
}

/// Sign in
#[utoipa::path(post, path = "/session", tag = "session", request_body = Credentials, security(()),
    responses((status = 200, description = "The session; a cookie comes with it", body = SessionView)))]
async fn create(
    State(app): State<App>,
    Address(address): Address,
    headers: HeaderMap,
    Json(Credentials { email, password }): Json<Credentials>,
) -> Result<Response> {
    let email = email.trim().to_lowercase();
    attempt(&app, &email, address)?;
    let user = app.store.users().await?.into_iter().find(|user| user.email == email && !user.disabled);
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let right = auth::verified(&app, password, hash).await?;
    let actor = Actor { kind: ActorKind::User, name: email.clone() };
    let Some(user) = user.filter(|_| right) else {
        audit::record_of(&app, actor, address, "session.refused", None, json!({})).await?;
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            codes::AUTH_003,
            "the e-mail address or the password is wrong",
        ));
    };
    app.auth.attempts.succeeded(&email, address);
    audit::record_of(&app, actor, address, "session.create", None, json!({})).await?;
    signed_in(&app, &headers, user).await
}

/// Notes an attempt to sign in, unless there were too many.
pub(super) fn attempt(app: &App, account: &str, address: Option<std::net::IpAddr>) -> Result<()> {
    app.auth.attempts.begin(account, address, Instant::now()).map_err(|wait| {
        let seconds = wait.as_secs() + 1;
        Problem::new(StatusCode::TOO_MANY_REQUESTS, codes::AUTH_004, "there were too many attempts to sign in")
            .hint(format!("try again in {seconds} s"))
            .retry_after(seconds)
    })
}

/// The answer that signs `user` in.
pub(super) async fn signed_in(app: &App, headers: &HeaderMap, user: User) -> Result<Response> {
    let (session, value) = auth::begin(app, user).await?;
    let cookie = AppendHeaders([(header::SET_COOKIE, auth::cookie(app, headers, &value))]);
    Ok((cookie, axum::Json(SessionView::of(app, Some(session)))).into_response())
}

/// Sign out
#[utoipa::path(delete, path = "/session", tag = "session", security(("session" = ["viewer"])),
    responses((status = 204, description = "The session has ended")))]
async fn delete(State(app): State<App>, session: Session, headers: HeaderMap) -> Result<Response> {
    app.store.drop_sign_in(&session.sign_in.id).await?;
    let cookie = AppendHeaders([(header::SET_COOKIE, auth::expired_cookie(&app, &headers))]);
    Ok((StatusCode::NO_CONTENT, cookie).into_response())
}

/// A new password, and the old one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    /// The present one.
    #[schema(value_type = String, format = "password")]
    old: Secret,
    /// The one to be; at least 10 characters.
    #[schema(value_type = String, format = "password")]
    new: Secret,
}

/// Change one's own password; signs out everywhere else
#[utoipa::path(put, path = "/session/password", tag = "session", request_body = PasswordChange,
    security(("session" = ["viewer"])), responses((status = 204, description = "It is changed")))]
async fn change_password(
    State(app): State<App>,
    session: Session,
    Address(address): Address,
    Json(PasswordChange { old, new }): Json<PasswordChange>,
) -> Result<StatusCode> {
    let Session { user, sign_in } = session;
    attempt(&app, &user.email, address)?;
    if !auth::verified(&app, old, Some(user.password_hash.clone())).await? {
        return Err(Problem::new(StatusCode::FORBIDDEN, codes::AUTH_003, "the present password is wrong"));
    }
    app.auth.attempts.succeeded(&user.email, address);
    auth::checked(&new)?;
    let actor = Actor { kind: ActorKind::User, name: user.email.clone() };
    let user = User { password_hash: auth::hashed(&app, new).await?, ..user };
    app.store.update_user(&user).await?;
    app.store.drop_sign_ins(&user.id, Some(&sign_in.id)).await?;
    audit::record_of(&app, actor, address, "session.password", None, json!({})).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The routes of the session.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read, create, delete)).routes(routes!(change_password))
}
