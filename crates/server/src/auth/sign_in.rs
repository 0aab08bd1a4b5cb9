//! Sign-ins: how one begins, and the cookie that stands for it.
//! Not here: whether the password was right (`routes::session`).
//! Called by the routes of setup and session.

use chrono::{TimeDelta, Utc};
use http::HeaderMap;
use tapline_core::server_state::{SignIn, User};

use super::credential::{Minted, random};
use super::{COOKIE, Session};
use crate::app::App;
use crate::problem::Result;

/// How long a sign-in lasts.
const LIFETIME: TimeDelta = TimeDelta::days(7);

/// Signs `user` in; returns the session, and the cookie's value.
///
/// # Errors
/// What the store says.
pub(crate) async fn begin(app: &App, user: User) -> Result<(Session, String)> {
    let minted = Minted::new();
    let now = Utc::now();
    let sign_in = SignIn {
        id: minted.id.clone(),
        hash: minted.hash.clone(),
        user: user.id.clone(),
        csrf: random(),
        created_at: now,
        expires_at: now + LIFETIME,
    };
    app.store.put_sign_in(&sign_in).await?;
    Ok((Session { user, sign_in }, minted.cookie()))
}

/// The header that keeps a session's cookie in the browser.
pub(crate) fn cookie(app: &App, headers: &HeaderMap, value: &str) -> String {
    written(app, headers, value, LIFETIME.num_seconds())
}

/// The header that makes the browser forget the cookie.
pub(crate) fn expired_cookie(app: &App, headers: &HeaderMap) -> String {
    written(app, headers, "", 0)
}

fn written(app: &App, headers: &HeaderMap, value: &str, seconds: i64) -> String {
    let secure = if is_behind_tls(app, headers) { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

/// Whether the browser speaks TLS, with a proxy in front of this server. Who says so without a proxy gets a cookie that
/// only they cannot use.
fn is_behind_tls(app: &App, headers: &HeaderMap) -> bool {
    app.settings.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
        || headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https")
}
