//! Where Tapline keeps what it knows: runs, checkpoints, intents, rejected rows, on SQLite or PostgreSQL.
//! Not here: the promise itself ([`tapline_core::StateStore`]), snapshot files (the engine's diff).
//! Called by the binary, which opens the store that the project file names and hands it to the engine.

mod holder;
mod postgres;
mod record;
mod reject;
mod seal;
mod sqlite;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapline_core::{Error, Result, StateStore, codes};

/// Opens the store at `url`, making it where it is absent.
///
/// `url` is `sqlite:PATH`, for one machine, or `postgres://…`, for several. A relative path is relative to `folder`, and
/// folders above it are made; a new folder has mode 0700, a new file 0600. In PostgreSQL the store is the schema
/// `tapline`, and `TAPLINE_SECRET_KEY` must hold the key that seals rejected rows, since no file is shared.
///
/// Fails with `CONF-005` for another kind of URL, `STATE-001` where the store cannot be opened or is no state,
/// `STATE-002` where a newer version wrote it.
pub async fn open(url: &str, folder: &Path) -> Result<Arc<dyn StateStore>> {
    match place(url, folder)? {
        Place::File(path) => Ok(Arc::new(sqlite::SqliteStore::open(&path).await?)),
        Place::Server => Ok(Arc::new(postgres::PostgresStore::open(url).await?)),
    }
}

/// Opens the store at `url` as [`open`] does, but makes nothing: `None` where there is no store yet.
pub async fn open_existing(url: &str, folder: &Path) -> Result<Option<Arc<dyn StateStore>>> {
    match place(url, folder)? {
        Place::File(path) if !path.exists() => Ok(None),
        Place::File(path) => Ok(Some(Arc::new(sqlite::SqliteStore::open(&path).await?))),
        Place::Server => {
            let store = postgres::PostgresStore::open_existing(url).await?;
            Ok(store.map(|store| Arc::new(store) as Arc<dyn StateStore>))
        }
    }
}

/// Where a URL says that the store is.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    Server,
}

/// The place that a URL names. The message leaves the URL out, since it may hold a password.
fn place(url: &str, folder: &Path) -> Result<Place> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Place::Server);
    }
    let path = url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
    match path {
        Some(path) if !path.is_empty() => Ok(Place::File(folder.join(path))),
        _ => Err(Error::new(codes::CONF_005, "opening the state: the URL does not name a store")
            .hint("set state.url to sqlite:PATH, such as sqlite:.tapline/state.db, or to postgres://…")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_places() {
        let folder = Path::new("/project");
        let file = |path: &str| Place::File(PathBuf::from(path));
        assert_eq!(place("sqlite:.tapline/state.db", folder).unwrap(), file("/project/.tapline/state.db"));
        assert_eq!(place("sqlite:/var/state.db", folder).unwrap(), file("/var/state.db"));
        assert_eq!(place("sqlite:///var/state.db", folder).unwrap(), file("/var/state.db"));
        assert_eq!(place("postgres://user:hunter2@host/db", folder).unwrap(), Place::Server);
    }

    #[tokio::test]
    async fn other_urls_are_refused_without_repeating_them() {
        for url in ["mysql://user:hunter2@host/db", "sqlite:", "state.db", "postgres://user:hunter2@host:port/db"] {
            let error = open(url, Path::new("/")).await.err().unwrap();
            assert_eq!(error.code(), codes::CONF_005, "{url}");
            assert!(!error.full_message().contains("hunter2"));
            assert!(!error.hints().is_empty());
        }
    }
}
