//! Who sends a request, and whether they may: people by a cookie, programs by a token.
//! Not here: accounts themselves (`routes::{users,tokens}`), what is kept of them (the state store).
//! Called by axum for the argument of every route that says who may call it.

mod credential;
mod password;
mod setup;
mod sign_in;
mod throttle;

use std::net::IpAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use chrono::{DateTime, TimeDelta, Utc};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use tapline_core::codes;
use tapline_core::server_state::{Actor, ActorKind, Role, SignIn, User};
use tokio::sync::Semaphore;

pub use credential::Minted;
pub(crate) use password::{checked, hashed, verified};
pub(crate) use setup::claim;
pub use setup::{first_start, first_user};
pub(crate) use sign_in::{begin, cookie, expired_cookie};
pub(crate) use throttle::Throttle;

use crate::app::App;
use crate::problem::{Problem, Result};

/// The cookie of people who are signed in.
pub(crate) const COOKIE: &str = "tapline_session";
/// The header that repeats `csrf` of the session.
const CSRF_HEADER: &str = "x-csrf-token";
/// The name of the token that is in no store.
const ADMIN_TOKEN_NAME: &str = "TAPLINE_ADMIN_TOKEN";
/// How exactly the last use of a token is known.
const TOUCH: TimeDelta = TimeDelta::minutes(1);
/// Passwords hashed at once: each takes 19 MiB of memory and tens of milliseconds of a core.
const HASHED_AT_ONCE: usize = 2;

/// What is remembered between requests.
pub struct Memory {
    /// Attempts to sign in.
    pub(crate) attempts: Throttle,
    hashing: Semaphore,
    setup: setup::Code,
}

impl Default for Memory {
    fn default() -> Self {
        Self { attempts: Throttle::default(), hashing: Semaphore::new(HASHED_AT_ONCE), setup: setup::Code::default() }
    }
}

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// A person or a program.
    pub kind: ActorKind,
    /// The id of the user or token.
    pub id: String,
    /// The user's e-mail address, or the token's name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Where the request comes from, where that is known.
    pub address: Option<IpAddr>,
}

impl Caller {
    /// The caller, for the audit log.
    pub fn actor(&self) -> Actor {
        Actor { kind: self.kind, name: self.name.clone() }
    }
}

/// A user who is signed in, and the sign-in.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) user: User,
    pub(crate) sign_in: SignIn,
}

/// Somebody who may look.
#[derive(Debug, Clone)]
pub struct Viewer(pub Caller);

/// Somebody who may define and run.
#[derive(Debug, Clone)]
pub struct Editor(pub Caller);

/// Somebody who may do everything.
#[derive(Debug, Clone)]
pub struct Admin(pub Caller);

macro_rules! extractors {
    ($($extractor:ident),*) => {$(
        impl FromRequestParts<App> for $extractor {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
                authorized(parts, app, Role::$extractor).await.map(Self)
            }
        }
    )*};
}

extractors!(Viewer, Editor, Admin);

impl FromRequestParts<App> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let session = session(&parts.headers, app).await?.ok_or_else(unknown)?;
        confirmed(parts, &session)?;
        Ok(session)
    }
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address(pub(crate) Option<IpAddr>);

impl FromRequestParts<App> for Address {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        Ok(Self(address(parts, app)))
    }
}

async fn authorized(parts: &Parts, app: &App, needed: Role) -> Result<Caller> {
    let caller = authenticated(parts, app).await?;
    if caller.role >= needed {
        return Ok(caller);
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        codes::AUTH_002,
        format!("this takes the role {}, and {} has the role {}", needed.word(), caller.name, caller.role.word()),
    )
    .hint("ask an admin for the role, or use a token that has it"))
}

async fn authenticated(parts: &Parts, app: &App) -> Result<Caller> {
    let address = address(parts, app);
    if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
        let bearer = value.to_str().ok().and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let token = bearer.ok_or_else(unknown)?;
        return program(token, address, app).await;
    }
    let session = session(&parts.headers, app).await?.ok_or_else(unknown)?;
    confirmed(parts, &session)?;
    let User { id, email, role, .. } = session.user;
    Ok(Caller { kind: ActorKind::User, id, name: email, role, address })
}

/// The program that has this token.
async fn program(token: &str, address: Option<IpAddr>, app: &App) -> Result<Caller> {
    let admin = app.settings.admin_token.as_ref().filter(|admin| !admin.is_empty());
    if admin.is_some_and(|admin| credential::equal(admin.expose(), token)) {
        let name = ADMIN_TOKEN_NAME.to_owned();
        return Ok(Caller { kind: ActorKind::Token, id: name.clone(), name, role: Role::Admin, address });
    }
    let (id, secret) = credential::parts_of_token(token).ok_or_else(unknown)?;
    let token = app.store.token(id).await?.filter(|token| credential::fits(secret, &token.hash)).ok_or_else(unknown)?;
    let now = Utc::now();
    if token.expires_at.is_some_and(|end| end <= now) {
        return Err(unknown().hint("the token has expired"));
    }
    if token.last_used_at.is_none_or(|last| last + TOUCH <= now) {
        app.store.touch_token(&token.id, now).await?;
    }
    Ok(Caller { kind: ActorKind::Token, id: token.id, name: token.name, role: token.role, address })
}

/// The session that the cookie names; `None` without a cookie, and where the session has ended.
pub(crate) async fn session(headers: &HeaderMap, app: &App) -> Result<Option<Session>> {
    let cookies = axum_extra::extract::CookieJar::from_headers(headers);
    let Some((id, secret)) = cookies.get(COOKIE).and_then(|cookie| cookie.value().split_once('.')) else {
        return Ok(None);
    };
    let Some(sign_in) = app.store.sign_in(id).await? else { return Ok(None) };
    if !credential::fits(secret, &sign_in.hash) || has_ended(sign_in.expires_at) {
        return Ok(None);
    }
    let user = app.store.user(&sign_in.user).await?.filter(|user| !user.disabled);
    Ok(user.map(|user| Session { user, sign_in }))
}

fn has_ended(end: DateTime<Utc>) -> bool {
    end <= Utc::now()
}

/// Refuses a change that another page may have sent with the user's cookie.
fn confirmed(parts: &Parts, session: &Session) -> Result<()> {
    if is_safe(&parts.method) {
        return Ok(());
    }
    let repeated = parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if credential::equal(repeated, &session.sign_in.csrf) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::FORBIDDEN, codes::AUTH_002, "the header X-CSRF-Token is not that of the session")
        .hint("send `csrf` of GET /api/v1/session as X-CSRF-Token with every change"))
}

/// Whether a method changes nothing.
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn unknown() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, codes::AUTH_001, "the request is not signed in")
        .hint("sign in, or send `Authorization: Bearer tok_…` with a token from `tapline token create`")
}

/// The peer's address; behind a reverse proxy, which `--public-url` tells of, the one that the proxy saw.
pub(crate) fn address(parts: &Parts, app: &App) -> Option<IpAddr> {
    let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<std::net::SocketAddr>>()?;
    let forwarded = || {
        let header = parts.headers.get("x-forwarded-for")?.to_str().ok()?;
        header.rsplit(',').next()?.trim().parse().ok()
    };
    let proxied = app.settings.public_url.is_some().then(forwarded).flatten();
    Some(proxied.unwrap_or_else(|| peer.ip()))
}
