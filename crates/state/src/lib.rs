//! Where Tapline keeps what it knows: runs, checkpoints, intents, rejected rows, and what a server defines, on SQLite or
//! PostgreSQL.
//! Not here: the promise itself ([`tapline_core::StateStore`]), snapshot files (the engine's diff).
//! Called by the binary, which opens the store that the project file names and hands it to the engine.

mod backend;
mod holder;
mod postgres;
mod record;
mod reject;
mod seal;
mod served;
mod sqlite;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapline_core::{Error, Result, Secret, ServerStore, StateStore, codes};

pub use self::served::Rotated;
use self::served::Served;

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

/// Makes a store in an empty folder for commands that only look at the project in the folder `project`. What they say
/// depends on the store's id, since rows are hashed with it: nobody elsewhere can guess it, and here it is the same each
/// time, until the machine starts again.
///
/// Fails with `STATE-001` where the store cannot be made.
pub async fn open_scratch(folder: &Path, project: &Path) -> Result<Arc<dyn StateStore>> {
    let store = sqlite::SqliteStore::open(&folder.join("state.db")).await?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    Ok(match (boot, std::path::absolute(project)) {
        (Ok(boot), Ok(project)) => Arc::new(store.known_as(format!("{} {}", boot.trim(), project.display()))),
        _ => Arc::new(store),
    })
}

/// Opens the store at `url` as [`open`] does, with what a server keeps in it.
pub async fn open_server(url: &str, folder: &Path) -> Result<Arc<dyn ServerStore>> {
    match place(url, folder)? {
        Place::File(path) => Ok(Arc::new(Served::new(sqlite::SqliteStore::open(&path).await?))),
        Place::Server => Ok(Arc::new(Served::new(postgres::PostgresStore::open(url).await?))),
    }
}

/// Seals everything in the store at `url` anew. The store was sealed with the key of `TAPLINE_SECRET_KEY`, whose place
/// `key` takes, or with the key file beside it, which is replaced.
///
/// Fails with `SYNC-003` while a server or a run uses the store, and with `CONF-007` where `key` is left out although
/// the key comes from the environment, or given although it does not.
pub async fn rotate_key(url: &str, folder: &Path, key: Option<&Secret>) -> Result<Rotated> {
    let key = key.map(|key| key.expose().trim()).filter(|key| !key.is_empty());
    let refused = match (place(url, folder)?, seal::is_in_environment(), key) {
        (_, true, None) => Some("the key comes from TAPLINE_SECRET_KEY, and the new one is not given"),
        (_, false, Some(_)) => Some("the key lies in a file, in whose place no other kind of key can be put"),
        _ => None,
    };
    if let Some(reason) = refused {
        return Err(Error::new(codes::CONF_007, format!("changing the key of the state: {reason}"))
            .hint("with TAPLINE_SECRET_KEY set, put the new key into TAPLINE_NEW_SECRET_KEY; else set neither"));
    }
    match place(url, folder)? {
        Place::File(path) => Served::new(sqlite::SqliteStore::open(&path).await?).rotate(key).await,
        Place::Server => Served::new(postgres::PostgresStore::open(url).await?).rotate(key).await,
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
