//! The first start: a code that is printed once, with which the first admin is made.
//! Not here: the route that takes it (`routes::setup`).
//! Called by `serve`, and by that route.

use parking_lot::Mutex;

use super::credential::{equal, random};
use crate::app::App;
use crate::problem::Result;

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

/// Whether `code` is the code of this start.
pub(crate) fn claim(app: &App, code: &str) -> bool {
    app.auth.setup.0.lock().as_deref().is_some_and(|kept| equal(kept, code))
}
