//! Opening the database file.
//! Not here: what is read and written in it.
//! Called by every method of the destination.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tapline_core::{Error, Result, codes};

use super::fault;

/// How long a statement waits for another writer: SQLite has one at a time, and a large publication takes its time.
const BUSY_TIMEOUT: Duration = Duration::from_secs(300);

/// Where the database is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    path: PathBuf,
}

impl Place {
    /// The file `path`, absolute.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path without links, as far as it exists: two spellings of one file are the same place.
    pub(super) fn canonical(&self) -> PathBuf {
        if let Ok(path) = self.path.canonicalize() {
            return path;
        }
        match (self.path.parent().map(Path::canonicalize), self.path.file_name()) {
            (Some(Ok(folder)), Some(name)) => folder.join(name),
            _ => self.path.clone(),
        }
    }

    /// Opens the file; `None` where it is absent.
    pub(super) async fn open_existing(&self) -> Result<Option<SqliteConnection>> {
        if self.path.exists() { self.connect(false).await.map(Some) } else { Ok(None) }
    }

    /// Opens the file, making it where it is absent. A new database is in WAL mode, in which readers and a publication
    /// do not wait for each other; one that is there keeps its mode.
    pub(super) async fn open(&self) -> Result<SqliteConnection> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(Error::new(
                codes::DEST_001,
                format!("opening {}: the folder does not exist", self.path.display()),
            )
            .hint(format!("mkdir -p {}", folder.display())));
        }
        let mut connection = self.connect(true).await?;
        let failed = |error| fault::statement(&format!("opening {}", self.path.display()), error);
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut connection).await.map_err(failed)?;
        if pages == 0 {
            // Another run that makes the same file at the same moment holds a lock, and sets the mode itself.
            let _ = sqlx::query("PRAGMA journal_mode = WAL").execute(&mut connection).await;
        }
        Ok(connection)
    }

    async fn connect(&self, create: bool) -> Result<SqliteConnection> {
        let failed = |error| fault::statement(&format!("opening {}", self.path.display()), error);
        let mut connection = SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(create)
            .busy_timeout(BUSY_TIMEOUT)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .disable_statement_logging()
            .connect()
            .await
            .map_err(failed)?;
        // The first read finds out whether the file is a database at all.
        sqlx::query("SELECT count(*) FROM sqlite_schema").execute(&mut connection).await.map_err(failed)?;
        Ok(connection)
    }
}

/// Closes a connection, the last of which tidies the journal away. What fails here has done its work before.
pub(super) async fn close(connection: SqliteConnection) {
    let _ = connection.close().await;
}
