//! Where Tapline keeps what it knows: runs, checkpoints, intents, rejected rows, on SQLite.
//! Not here: the promise itself ([`tapline_core::StateStore`]), snapshot files (the engine's diff).
//! Called by the binary, which opens the store that the project file names and hands it to the engine.

mod seal;
mod sqlite;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapline_core::{Error, Result, StateStore, codes};

/// Opens the store at `url`, making it where it is absent.
///
/// `url` is `sqlite:PATH`; a relative path is relative to `folder`, and folders above it are made. A new folder has
/// mode 0700, a new file 0600. Fails with `CONF-005` for another kind of URL, `STATE-001` where the file cannot be
/// opened or is no state, `STATE-002` where a newer version wrote it.
pub async fn open(url: &str, folder: &Path) -> Result<Arc<dyn StateStore>> {
    Ok(Arc::new(sqlite::SqliteStore::open(&sqlite_path(url, folder)?).await?))
}

/// Opens the store at `url` as [`open`] does, but makes nothing: `None` where there is no store yet.
pub async fn open_existing(url: &str, folder: &Path) -> Result<Option<Arc<dyn StateStore>>> {
    let path = sqlite_path(url, folder)?;
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(Arc::new(sqlite::SqliteStore::open(&path).await?)))
}

/// The file that a `sqlite:` URL names. The message leaves the URL out, since it may hold a password.
fn sqlite_path(url: &str, folder: &Path) -> Result<PathBuf> {
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        return Err(Error::new(codes::CONF_005, "opening the state: PostgreSQL is not available in this version")
            .hint("set state.url to sqlite:PATH, such as sqlite:.tapline/state.db"));
    }
    let path = url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
    match path {
        Some(path) if !path.is_empty() => Ok(folder.join(path)),
        _ => Err(Error::new(codes::CONF_005, "opening the state: the URL does not name a store")
            .hint("set state.url to sqlite:PATH, such as sqlite:.tapline/state.db")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_files() {
        let folder = Path::new("/project");
        assert_eq!(sqlite_path("sqlite:.tapline/state.db", folder).unwrap(), Path::new("/project/.tapline/state.db"));
        assert_eq!(sqlite_path("sqlite:/var/state.db", folder).unwrap(), Path::new("/var/state.db"));
        assert_eq!(sqlite_path("sqlite:///var/state.db", folder).unwrap(), Path::new("/var/state.db"));
    }

    #[test]
    fn other_urls_are_refused_without_repeating_them() {
        for url in ["postgres://user:hunter2@host/db", "mysql://user:hunter2@host/db", "sqlite:", "state.db"] {
            let error = sqlite_path(url, Path::new("/")).unwrap_err();
            assert_eq!(error.code(), codes::CONF_005, "{url}");
            assert!(!error.full_message().contains("hunter2"));
            assert!(!error.hints().is_empty());
        }
    }
}
