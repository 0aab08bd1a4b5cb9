//! The state store in one SQLite file, for one machine: a WAL database that is synced at every commit, and lock files
//! beside it.
//! Not here: the schema (`migrations/`), the locks (`lock`), how rejected rows are kept (`reject`).
//! Called through [`StateStore`] alone.

mod backend;
mod lock;
mod migrations;
mod reject;
mod reject_file;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions, Row, Sqlite, SqliteConnection, SqlitePool, Transaction};
use tapline_core::{
    Checkpoint, Commit, Error, Intent, Lease, Reject, Result, RunReport, RunStatus, SourceReject, StateStore, codes,
};

use self::lock::Locks;
use self::reject_file::RejectFiles;
use crate::record::{self, day, loaded, parsed, stored, unreadable, word};
use crate::seal::Sealer;

/// How long a statement waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections at once: one writes, the others read history meanwhile.
const CONNECTIONS: u32 = 4;

/// A state store in a file.
pub(crate) struct SqliteStore {
    id: String,
    pool: SqlitePool,
    locks: Locks,
    sealer: Sealer,
    reject_files: RejectFiles,
}

impl SqliteStore {
    /// Opens the file, making it, and the folders above it, where absent. See [`crate::open`] for what can fail.
    pub(crate) async fn open(path: &Path) -> Result<Self> {
        let unusable =
            |error| Error::new(codes::STATE_001, format!("opening the state {}", path.display())).because(error);
        let lock_folder = path.with_file_name("locks");
        make_private_folder(&lock_folder).map_err(unusable)?;
        let locks = Locks::new(lock_folder);
        let opening = locks.opening().await?;
        make_private_file(path).map_err(unusable)?;
        let options = SqliteConnectOptions::new()
            .filename(std::path::absolute(path).map_err(unusable)?)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .disable_statement_logging();
        let doing = format!("opening the state {}", path.display());
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .connect_with(options)
            .await
            .map_err(|error| Error::new(codes::STATE_001, doing.clone()).because(error))?;
        let mut connection = pool.acquire().await.map_err(failed("opening the state"))?;
        migrations::migrate(&mut connection).await?;
        let id = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'id'")
            .fetch_one(&mut *connection)
            .await
            .map_err(failed("opening the state"))?;
        drop(connection);
        let sealer = Sealer::new(path.with_extension("key"));
        let store = Self { id, pool, locks, sealer, reject_files: RejectFiles::new(path.with_file_name("rejects")) };
        store.settle_key().await?;
        drop(opening);
        Ok(store)
    }

    /// The store under another name than the one that it was born with.
    pub(crate) fn known_as(self, id: String) -> Self {
        Self { id, ..self }
    }

    /// A transaction that has the right to write from its beginning, so that what it reads stays true until it commits.
    async fn write(&self, doing: &'static str) -> Result<Transaction<'static, Sqlite>> {
        self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed(doing))
    }

    /// As [`write`](Self::write), and fails with `STATE-003` unless `lease` is the last that was taken of its sync.
    async fn write_under(&self, lease: &Lease, doing: &'static str) -> Result<Transaction<'static, Sqlite>> {
        let mut transaction = self.write(doing).await?;
        let last: Option<i64> = sqlx::query_scalar("SELECT generation FROM syncs WHERE name = ?")
            .bind(&lease.sync)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed(doing))?;
        if last != Some(stored(lease.generation)?) {
            return Err(Error::new(
                codes::STATE_003,
                format!("{doing}: a later run of sync {} has begun than run {}", lease.sync, lease.generation),
            ));
        }
        Ok(transaction)
    }

    /// The number of the next run, on disk before it is returned; runs that a kill cut off are marked as failed.
    async fn next_generation(&self, sync: &str) -> Result<u64> {
        const DOING: &str = "taking the lease";
        let mut transaction = self.write(DOING).await?;
        let generation: i64 = sqlx::query_scalar(
            "INSERT INTO syncs (name, generation) VALUES (?, 1)
             ON CONFLICT (name) DO UPDATE SET generation = generation + 1 RETURNING generation",
        )
        .bind(sync)
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed(DOING))?;
        let cut_off: Vec<String> = sqlx::query_scalar("SELECT body FROM runs WHERE sync = ? AND status = ?")
            .bind(sync)
            .bind(word(RunStatus::Running)?)
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed(DOING))?;
        for body in cut_off {
            let report = record::cut_off(&body)?;
            write_run(&mut transaction, &report).await?;
        }
        reject::forget_old_payloads(&mut transaction).await?;
        transaction.commit().await.map_err(failed(DOING))?;
        loaded(generation)
    }
}

#[async_trait]
impl StateStore for SqliteStore {
    fn id(&self) -> &str {
        &self.id
    }

    async fn lease(&self, sync: &str, wait: Duration) -> Result<Lease> {
        let file = self.locks.take(sync, wait).await?;
        let generation = self.next_generation(sync).await?;
        Ok(Lease { sync: sync.to_owned(), generation, token: self.locks.keep(file) })
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        self.locks.release(lease.token)
    }

    async fn checkpoint(&self, sync: &str) -> Result<Option<Checkpoint>> {
        let row = sqlx::query("SELECT generation, revision, body FROM checkpoints WHERE sync = ?")
            .bind(sync)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("reading the checkpoint"))?;
        row.map(|row| {
            Ok(Checkpoint { generation: loaded(row.get(0))?, revision: loaded(row.get(1))?, body: parsed(row.get(2))? })
        })
        .transpose()
    }

    async fn commit(&self, lease: &Lease, expected_revision: u64, commit: Commit) -> Result<Checkpoint> {
        const DOING: &str = "committing the state";
        let files = &self.reject_files;
        let sealed = reject::seal(&self.sealer, files, &lease.sync, lease.generation, &commit.rejects).await?;
        let file = sealed.file_name().map(str::to_owned);
        let mut transaction = self.write_under(lease, DOING).await?;
        let revision: Option<i64> = sqlx::query_scalar("SELECT revision FROM checkpoints WHERE sync = ?")
            .bind(&lease.sync)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed(DOING))?;
        let revision = loaded(revision.unwrap_or(0))?;
        if revision != expected_revision {
            return Err(Error::new(
                codes::STATE_003,
                format!("{DOING}: sync {} is at revision {revision}, not {expected_revision}", lease.sync),
            ));
        }
        let checkpoint = Checkpoint { generation: lease.generation, revision: revision + 1, body: commit.body };
        sqlx::query("INSERT OR REPLACE INTO checkpoints (sync, generation, revision, body) VALUES (?, ?, ?, ?)")
            .bind(&lease.sync)
            .bind(stored(checkpoint.generation)?)
            .bind(stored(checkpoint.revision)?)
            .bind(checkpoint.body.to_string())
            .execute(&mut *transaction)
            .await
            .map_err(failed(DOING))?;
        reject::replace(&mut transaction, &lease.sync, sealed).await?;
        reject::replace_source(&mut transaction, &lease.sync, &commit.source_rejects).await?;
        delete(&mut transaction, "DELETE FROM intents WHERE sync = ?", &lease.sync).await?;
        transaction.commit().await.map_err(failed(DOING))?;
        files.sweep(&lease.sync, file.as_deref());
        Ok(checkpoint)
    }

    async fn put_intent(&self, lease: &Lease, body: Value) -> Result<()> {
        const DOING: &str = "recording the intent";
        let mut transaction = self.write_under(lease, DOING).await?;
        sqlx::query("INSERT OR REPLACE INTO intents (sync, generation, body) VALUES (?, ?, ?)")
            .bind(&lease.sync)
            .bind(stored(lease.generation)?)
            .bind(body.to_string())
            .execute(&mut *transaction)
            .await
            .map_err(failed(DOING))?;
        transaction.commit().await.map_err(failed(DOING))
    }

    async fn intent(&self, sync: &str) -> Result<Option<Intent>> {
        let row = sqlx::query("SELECT generation, body FROM intents WHERE sync = ?")
            .bind(sync)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("reading the intent"))?;
        row.map(|row| Ok(Intent { generation: loaded(row.get(0))?, body: parsed(row.get(1))? })).transpose()
    }

    async fn drop_intent(&self, lease: &Lease) -> Result<()> {
        const DOING: &str = "dropping the intent";
        let mut transaction = self.write_under(lease, DOING).await?;
        delete(&mut transaction, "DELETE FROM intents WHERE sync = ?", &lease.sync).await?;
        transaction.commit().await.map_err(failed(DOING))
    }

    async fn reset(&self, lease: &Lease) -> Result<()> {
        const DOING: &str = "resetting the sync";
        let mut transaction = self.write_under(lease, DOING).await?;
        for statement in [
            "DELETE FROM checkpoints WHERE sync = ?",
            "DELETE FROM intents WHERE sync = ?",
            "DELETE FROM source_rejects WHERE sync = ?",
        ] {
            delete(&mut transaction, statement, &lease.sync).await?;
        }
        reject::forget(&mut transaction, &lease.sync).await?;
        transaction.commit().await.map_err(failed(DOING))?;
        self.reject_files.sweep(&lease.sync, None);
        Ok(())
    }

    async fn rejects(&self, sync: &str) -> Result<Vec<Reject>> {
        reject::read(&self.pool, &self.sealer, &self.reject_files, sync).await
    }

    async fn source_rejects(&self, sync: &str) -> Result<Vec<SourceReject>> {
        reject::read_source(&self.pool, sync).await
    }

    async fn record_run(&self, report: &RunReport) -> Result<()> {
        let mut connection = self.pool.acquire().await.map_err(failed("recording the run"))?;
        write_run(&mut connection, report).await
    }

    async fn runs(&self, sync: Option<&str>, limit: usize) -> Result<Vec<RunReport>> {
        sqlx::query("SELECT body FROM runs WHERE ?1 IS NULL OR sync = ?1 ORDER BY position DESC LIMIT ?2")
            .bind(sync)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(failed("reading the runs"))?
            .iter()
            .map(|row| parsed(row.get(0)))
            .collect()
    }

    async fn run(&self, id: &str) -> Result<Option<RunReport>> {
        let row: Option<SqliteRow> = sqlx::query("SELECT body FROM runs WHERE run = ?")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("reading a run"))?;
        row.map(|row| parsed(row.get(0))).transpose()
    }
}

/// Writes a report over the one that the run had before.
async fn write_run(connection: &mut SqliteConnection, report: &RunReport) -> Result<()> {
    let body = serde_json::to_string(report).map_err(unreadable)?;
    sqlx::query(
        "INSERT INTO runs (run, sync, generation, status, body, day) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (run) DO UPDATE SET status = excluded.status, body = excluded.body,
           day = coalesce(runs.day, excluded.day)",
    )
    .bind(&report.run)
    .bind(&report.sync)
    .bind(stored(report.generation)?)
    .bind(word(report.status)?)
    .bind(body)
    .bind(day(report))
    .execute(connection)
    .await
    .map_err(failed("recording the run"))?;
    Ok(())
}

async fn delete(connection: &mut SqliteConnection, statement: &'static str, sync: &str) -> Result<()> {
    sqlx::query(statement).bind(sync).execute(connection).await.map_err(failed("writing the state"))?;
    Ok(())
}

/// What a failed statement means for the caller: `doing` failed, and may work later where the database was busy.
fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> Error {
    move |error| {
        let busy = error.as_database_error().and_then(|error| error.code()).is_some_and(|code| {
            // Primary result codes 5 (SQLITE_BUSY) and 6 (SQLITE_LOCKED) lie in the low byte.
            code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
        });
        let error = Error::new(codes::STATE_001, doing).because(error);
        if busy { error.retry_after(Duration::from_secs(1)) } else { error }
    }
}

fn make_private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes an empty file, which SQLite takes for a new database; its journal files get the same mode.
fn make_private_file(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
