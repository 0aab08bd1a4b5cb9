//! Passwords: what counts as one, their hashes (argon2id), and the check of a guess.
//! Not here: how often somebody may guess (`throttle`).
//! Called by the routes of setup, session and users.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use http::StatusCode;
use tapline_core::{Error, Secret, codes};

use crate::app::App;
use crate::problem::{Problem, Result};

/// The fewest characters of a password.
const SHORTEST: usize = 10;
/// The most bytes of a password.
const LONGEST: usize = 1024;
/// Compared with where there is no such user, so that the answer takes as long.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A password that may be given to a user.
///
/// # Errors
/// One that is too short or too long.
pub(crate) fn checked(password: &Secret) -> Result<()> {
    let text = password.expose();
    if text.chars().count() >= SHORTEST && text.len() <= LONGEST {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        codes::CONF_005,
        format!("a password has at least {SHORTEST} characters, and at most {LONGEST} bytes"),
    )
    .hint("a few words that do not belong together are easy to keep in mind and hard to guess"))
}

/// The hash of a password.
///
/// # Errors
/// Want of memory or of random numbers.
pub(crate) async fn hashed(app: &App, password: Secret) -> Result<String> {
    let hash = work(app, move || {
        let hash: Result<PasswordHash, _> = Argon2::default().hash_password(password.expose().as_bytes());
        hash.map(|hash| hash.to_string()).map_err(|error| Error::internal(format!("hashing a password: {error}")))
    })
    .await??;
    Ok(hash)
}

/// Whether `password` is the one of `hash`; never where there is none.
///
/// # Errors
/// A task that does not end.
pub(crate) async fn verified(app: &App, password: Secret, hash: Option<String>) -> Result<bool> {
    work(app, move || {
        let known = hash.is_some();
        let hash = hash.as_deref().unwrap_or(NOBODY);
        let Ok(hash) = PasswordHash::new(hash) else { return false };
        Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok() && known
    })
    .await
}

/// Does work that takes a core, when there is room for it.
async fn work<T: Send + 'static>(app: &App, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let _room = app.auth.hashing.acquire().await;
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::internal("hashing a password ended early").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_nobody_can_be_compared_with() {
        let hash = PasswordHash::new(NOBODY).unwrap();
        assert!(Argon2::default().verify_password(b"", &hash).is_err());
        let own: PasswordHash = Argon2::default().hash_password(b"correct horse").unwrap();
        assert_eq!((own.algorithm, own.version), (hash.algorithm, hash.version));
        assert_eq!(own.params.to_string(), hash.params.to_string());
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        assert!(checked(&Secret::from("ninechars")).is_err());
        assert!(checked(&Secret::from("zehn Zeichen")).is_ok());
        assert!(checked(&Secret::from("x".repeat(1025))).is_err());
    }
}
