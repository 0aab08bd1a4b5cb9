//! Users: who may sign in, and what they may do.
//! Not here: signing in (`session`), the first user (`setup`).
//! Called by the router.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SubsecRound, Utc};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tapline_core::Secret;
use tapline_core::server_state::{Role, User};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::audit;
use crate::auth::{self, Admin};
use crate::extract::{Json, PageQuery, Path, Query};
use crate::page::Page;
use crate::problem::{Fault, Problem, Result};

/// What somebody may do; each role may all that those before it may.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Role)]
pub(super) enum RoleView {
    /// Looks, but sees no cell values.
    Viewer,
    /// Defines, queries and runs.
    Editor,
    /// Also manages people, tokens and alerts.
    Admin,
}

impl From<Role> for RoleView {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Editor => Self::Editor,
            Role::Admin => Self::Admin,
        }
    }
}

impl From<RoleView> for Role {
    fn from(role: RoleView) -> Self {
        match role {
            RoleView::Viewer => Self::Viewer,
            RoleView::Editor => Self::Editor,
            RoleView::Admin => Self::Admin,
        }
    }
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
struct UserView {
    /// Their id.
    id: String,
    /// Their e-mail address, in lower case.
    email: String,
    /// As they call themselves.
    name: String,
    /// What they may do.
    role: RoleView,
    /// Whether they may not sign in.
    disabled: bool,
    /// When they were made.
    created_at: DateTime<Utc>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        let User { id, email, name, role, disabled, created_at, .. } = user;
        Self { id, email, name, role: role.into(), disabled, created_at }
    }
}

/// A user to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// Their e-mail address.
    #[schema(format = "email")]
    email: String,
    /// As they call themselves.
    name: String,
    /// What they may do.
    role: RoleView,
    /// At least 10 characters; they can change it.
    #[schema(value_type = String, format = "password")]
    password: Secret,
}

/// What is to be another way; the rest stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangedUser {
    /// As they call themselves.
    name: Option<String>,
    /// What they may do.
    role: Option<RoleView>,
    /// Signs them out everywhere.
    #[schema(value_type = Option<String>, format = "password")]
    password: Option<Secret>,
    /// Whether they may not sign in.
    disabled: Option<bool>,
}

/// A user as the store keeps them.
///
/// # Errors
/// An e-mail address, name or password that cannot be one.
pub(crate) async fn new_user(app: &App, email: String, name: String, role: Role, password: Secret) -> Result<User> {
    let email = email.trim().to_lowercase();
    let is_address = email.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    if !is_address || email.len() > 254 || email.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        return Err(invalid("/email", "this is no e-mail address"));
    }
    let name = checked_name(name)?;
    auth::checked(&password)?;
    Ok(User {
        id: ulid::Ulid::generate().to_string(),
        email,
        name,
        role,
        password_hash: auth::hashed(app, password).await?,
        disabled: false,
        created_at: Utc::now().trunc_subsecs(0),
    })
}

fn checked_name(name: String) -> Result<String> {
    let name = name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
        return Err(invalid("/name", "a name has 1 to 200 characters on one line"));
    }
    Ok(name)
}

pub(super) fn invalid(pointer: &str, detail: &str) -> Problem {
    Problem::invalid(vec![Fault::new(pointer, tapline_core::codes::CONF_005, detail)])
}

/// List users
#[utoipa::path(get, path = "/users", tag = "users", params(PageQuery),
    security(("token" = ["admin"]), ("session" = ["admin"])),
    responses((status = 200, description = "The users, by e-mail address", body = Page<UserView>)))]
async fn list(State(app): State<App>, _: Admin, Query(query): Query<PageQuery>) -> Result<axum::Json<Page<UserView>>> {
    let Page { items, next } = Page::of_named(app.store.users().await?, &query, |user| &user.email)?;
    Ok(axum::Json(Page { items: items.into_iter().map(UserView::from).collect(), next }))
}

/// Make a user
#[utoipa::path(post, path = "/users", tag = "users", request_body = NewUser,
    security(("token" = ["admin"]), ("session" = ["admin"])),
    responses((status = 201, description = "The user that was made", body = UserView)))]
async fn create(State(app): State<App>, Admin(caller): Admin, Json(body): Json<NewUser>) -> Result<Response> {
    let user = new_user(&app, body.email, body.name, body.role.into(), body.password).await?;
    app.store.create_user(&user, false).await?;
    audit::record(&app, &caller, "users.create", Some(&user.email), json!({ "role": user.role })).await?;
    let location = [(header::LOCATION, format!("/api/v1/users/{}", user.id))];
    Ok((StatusCode::CREATED, location, axum::Json(UserView::from(user))).into_response())
}

/// Change a user
#[utoipa::path(patch, path = "/users/{id}", tag = "users", params(("id" = String, Path)), request_body = ChangedUser,
    security(("token" = ["admin"]), ("session" = ["admin"])),
    responses((status = 200, description = "The user as they are now", body = UserView)))]
async fn update(
    State(app): State<App>,
    Admin(caller): Admin,
    Path(id): Path<String>,
    Json(body): Json<ChangedUser>,
) -> Result<axum::Json<UserView>> {
    let mut user = app.store.user(&id).await?.ok_or_else(|| Problem::not_found("user", &id))?;
    let details = json!({
        "name": body.name, "role": body.role, "disabled": body.disabled, "password": body.password.is_some(),
    });
    let signs_out = body.password.is_some() || body.disabled == Some(true);
    if let Some(name) = body.name {
        user.name = checked_name(name)?;
    }
    if let Some(role) = body.role {
        user.role = role.into();
    }
    if let Some(disabled) = body.disabled {
        user.disabled = disabled;
    }
    if let Some(password) = body.password {
        auth::checked(&password)?;
        user.password_hash = auth::hashed(&app, password).await?;
    }
    app.store.update_user(&user).await?;
    if signs_out {
        app.store.drop_sign_ins(&user.id, None).await?;
    }
    audit::record(&app, &caller, "users.update", Some(&user.email), details).await?;
    Ok(axum::Json(user.into()))
}

/// Delete a user, who is signed out everywhere
#[utoipa::path(delete, path = "/users/{id}", tag = "users", params(("id" = String, Path)),
    security(("token" = ["admin"]), ("session" = ["admin"])),
    responses((status = 204, description = "They are gone")))]
async fn remove(State(app): State<App>, Admin(caller): Admin, Path(id): Path<String>) -> Result<StatusCode> {
    let user = app.store.user(&id).await?.ok_or_else(|| Problem::not_found("user", &id))?;
    app.store.delete_user(&id).await?;
    audit::record(&app, &caller, "users.delete", Some(&user.email), json!({})).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The routes of users.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(update, remove))
}
