//! The first start: a code that is printed once, with which the first admin is made.
//! Not here: the route that takes it (`routes::setup`).
//! Called by `serve`, and by that route.

use parking_lot::Mutex;
use tapline_core::Secret;
use tapline_core::server_state::Role;

use super::credential::{equal, random};
use crate::app::App;
use crate::problem::Result;
use crate::routes::users::new_user;

/// The characters of a password that nobody has chosen, of six bits each.
const PASSWORD_LENGTH: usize = 20;

/// The code of this start; none once it was used.
#[derive(Debug, Default)]
pub(crate) struct Code(Mutex<Option<String>>);

/// Where there is no user yet, the code with which the first one is made. Each start has another.
///
/// # Errors
/// What the store says.
pub async fn first_start(app: &App) -> Result<Option<String>> {
    if !app.store.users().await?.is_empty() {
        return Ok(None);
    }
    let code = random();
    *app.auth.setup.0.lock() = Some(code.clone());
    Ok(Some(code))
}

/// Makes the first user, an admin with a password of the server's own choice, for programs that show the server to
/// somebody new.
///
/// # Errors
/// That there is a user already, and what the store says.
pub async fn first_user(app: &App, email: &str, name: &str) -> Result<String> {
    let password: String = random().chars().filter(char::is_ascii_alphanumeric).take(PASSWORD_LENGTH).collect();
    let user = new_user(app, email.to_owned(), name.to_owned(), Role::Admin, Secret::from(password.as_str())).await?;
    app.store.create_user(&user, true).await?;
    Ok(password)
}

/// Whether `code` is the code of this start.
pub(crate) fn claim(app: &App, code: &str) -> bool {
    app.auth.setup.0.lock().as_deref().is_some_and(|kept| equal(kept, code))
}
