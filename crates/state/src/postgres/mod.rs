//! The state store in a PostgreSQL database, for several machines: the schema `tapline`, and leases that time frees.
//! Not here: the schema (`migrations`), leases (`lease`), how rejected rows are kept (`reject`).
//! Called through [`StateStore`] alone.

mod backend;
mod lease;
mod migrations;
mod reject;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::{ConnectOptions, PgConnection, PgPool, Postgres, Row, Transaction};
use tapline_core::{
    Checkpoint, Commit, Error, Intent, Lease, Reject, Result, RunReport, RunStatus, SourceReject, StateStore, codes,
};

use self::lease::Leases;
use crate::record::{cut_off, day, loaded, parsed, stored, unreadable, word};
use crate::seal::Sealer;

/// Connections at once: commits, renewals of leases, readers of history.
const CONNECTIONS: u32 = 8;
/// How long a connection may take to come about.
const PATIENCE: Duration = Duration::from_secs(10);

/// A state store in a database.
pub(crate) struct PostgresStore {
    id: String,
    pool: PgPool,
    leases: Leases,
    sealer: Sealer,
}

impl PostgresStore {
    /// Opens the store, making it where it is absent. See [`crate::open`] for what can fail.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        Self::connect(url).await?.migrated().await
    }

    /// Opens the store that is there; `None` where there is none.
    pub(crate) async fn open_existing(url: &str) -> Result<Option<Self>> {
        let unopened = Self::connect(url).await?;
        let mut connection = unopened.pool.acquire().await.map_err(failed("opening the state"))?;
        let exists = migrations::exists(&mut connection).await?;
        drop(connection);
        if exists { unopened.migrated().await.map(Some) } else { Ok(None) }
    }

    async fn connect(url: &str) -> Result<Self> {
        // The message leaves the URL out, since it holds a password.
        let options: PgConnectOptions = url.parse().map_err(|_| {
            Error::new(codes::CONF_005, "opening the state: the URL of PostgreSQL cannot be read")
                .hint("it looks like postgres://user:password@host:5432/database?sslmode=verify-full")
        })?;
        // A commit is durable when it returns, whatever the database's default is.
        let options = options
            .options([("search_path", "tapline"), ("synchronous_commit", "on"), ("client_min_messages", "warning")])
            .application_name("tapline")
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .connect_with(options)
            .await
            .map_err(|error| {
                failed("connecting to the state")(error).hint("check state.url, and that the server runs")
            })?;
        Ok(Self { id: String::new(), leases: Leases::new(pool.clone()), pool, sealer: Sealer::of_environment()? })
    }

    async fn migrated(mut self) -> Result<Self> {
        let mut connection = self.pool.acquire().await.map_err(failed("opening the state"))?;
        migrations::migrate(&mut connection, &self.sealer).await?;
        let id = migrations::meta(&mut connection, "id").await?;
        self.id = String::from_utf8_lossy(&id).into_owned();
        Ok(self)
    }

    async fn write(&self, doing: &'static str) -> Result<Transaction<'static, Postgres>> {
        self.pool.begin().await.map_err(failed(doing))
    }

    /// A transaction that alone may write to the sync of `lease` until it ends; fails with `STATE-003` unless `lease` is
    /// the last that was taken.
    async fn write_under(&self, lease: &Lease, doing: &'static str) -> Result<Transaction<'static, Postgres>> {
        let mut transaction = self.write(doing).await?;
        let last: Option<i64> = sqlx::query_scalar("SELECT generation FROM syncs WHERE name = $1 FOR UPDATE")
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

    /// The number of the next run, durable before it is returned; runs that a kill cut off are marked as failed.
    async fn next_generation(&self, sync: &str) -> Result<u64> {
        const DOING: &str = "taking the lease";
        let mut transaction = self.write(DOING).await?;
        let generation: i64 = sqlx::query_scalar(
            "INSERT INTO syncs (name, generation) VALUES ($1, 1)
             ON CONFLICT (name) DO UPDATE SET generation = syncs.generation + 1 RETURNING generation",
        )
        .bind(sync)
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed(DOING))?;
        let bodies: Vec<String> = sqlx::query_scalar("SELECT body FROM runs WHERE sync = $1 AND status = $2")
            .bind(sync)
            .bind(word(RunStatus::Running)?)
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed(DOING))?;
        for body in bodies {
            write_run(&mut transaction, &cut_off(&body)?).await?;
        }
        reject::forget_old_payloads(&mut transaction).await?;
        transaction.commit().await.map_err(failed(DOING))?;
        loaded(generation)
    }
}

#[async_trait]
impl StateStore for PostgresStore {
    fn id(&self) -> &str {
        &self.id
    }

    async fn lease(&self, sync: &str, wait: Duration) -> Result<Lease> {
        let token = self.leases.take(sync, wait).await?;
        let lease = Lease { sync: sync.to_owned(), generation: 0, token };
        match self.next_generation(sync).await {
            Ok(generation) => Ok(Lease { generation, ..lease }),
            Err(error) => {
                self.leases.release(&lease).await?;
                Err(error)
            }
        }
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        self.leases.release(lease).await
    }

    async fn lost(&self, lease: &Lease) -> Error {
        self.leases.lost(lease).await
    }

    async fn checkpoint(&self, sync: &str) -> Result<Option<Checkpoint>> {
        let row = sqlx::query("SELECT generation, revision, body FROM checkpoints WHERE sync = $1")
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
        let sealed = reject::seal(&self.sealer, &lease.sync, &commit.rejects).await?;
        let mut transaction = self.write_under(lease, DOING).await?;
        let revision: Option<i64> = sqlx::query_scalar("SELECT revision FROM checkpoints WHERE sync = $1")
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
        sqlx::query(
            "INSERT INTO checkpoints (sync, generation, revision, body) VALUES ($1, $2, $3, $4)
             ON CONFLICT (sync) DO UPDATE
               SET generation = excluded.generation, revision = excluded.revision, body = excluded.body",
        )
        .bind(&lease.sync)
        .bind(stored(checkpoint.generation)?)
        .bind(stored(checkpoint.revision)?)
        .bind(checkpoint.body.to_string())
        .execute(&mut *transaction)
        .await
        .map_err(failed(DOING))?;
        reject::replace(&mut transaction, &lease.sync, sealed).await?;
        reject::replace_source(&mut transaction, &lease.sync, &commit.source_rejects).await?;
        delete(&mut transaction, "DELETE FROM intents WHERE sync = $1", &lease.sync).await?;
        transaction.commit().await.map_err(failed(DOING))?;
        Ok(checkpoint)
    }

    async fn put_intent(&self, lease: &Lease, body: Value) -> Result<()> {
        const DOING: &str = "recording the intent";
        let mut transaction = self.write_under(lease, DOING).await?;
        sqlx::query(
            "INSERT INTO intents (sync, generation, body) VALUES ($1, $2, $3)
             ON CONFLICT (sync) DO UPDATE SET generation = excluded.generation, body = excluded.body",
        )
        .bind(&lease.sync)
        .bind(stored(lease.generation)?)
        .bind(body.to_string())
        .execute(&mut *transaction)
        .await
        .map_err(failed(DOING))?;
        transaction.commit().await.map_err(failed(DOING))
    }

    async fn intent(&self, sync: &str) -> Result<Option<Intent>> {
        let row = sqlx::query("SELECT generation, body FROM intents WHERE sync = $1")
            .bind(sync)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("reading the intent"))?;
        row.map(|row| Ok(Intent { generation: loaded(row.get(0))?, body: parsed(row.get(1))? })).transpose()
    }

    async fn drop_intent(&self, lease: &Lease) -> Result<()> {
        const DOING: &str = "dropping the intent";
        let mut transaction = self.write_under(lease, DOING).await?;
        delete(&mut transaction, "DELETE FROM intents WHERE sync = $1", &lease.sync).await?;
        transaction.commit().await.map_err(failed(DOING))
    }

    async fn reset(&self, lease: &Lease) -> Result<()> {
        const DOING: &str = "resetting the sync";
        let mut transaction = self.write_under(lease, DOING).await?;
        for statement in [
            "DELETE FROM checkpoints WHERE sync = $1",
            "DELETE FROM intents WHERE sync = $1",
            "DELETE FROM source_rejects WHERE sync = $1",
        ] {
            delete(&mut transaction, statement, &lease.sync).await?;
        }
        reject::forget(&mut transaction, &lease.sync).await?;
        transaction.commit().await.map_err(failed(DOING))
    }

    async fn rejects(&self, sync: &str) -> Result<Vec<Reject>> {
        reject::read(&self.pool, &self.sealer, sync).await
    }

    async fn source_rejects(&self, sync: &str) -> Result<Vec<SourceReject>> {
        reject::read_source(&self.pool, sync).await
    }

    async fn record_run(&self, report: &RunReport) -> Result<()> {
        let mut connection = self.pool.acquire().await.map_err(failed("recording the run"))?;
        write_run(&mut connection, report).await
    }

    async fn runs(&self, sync: Option<&str>, limit: usize) -> Result<Vec<RunReport>> {
        sqlx::query("SELECT body FROM runs WHERE $1::text IS NULL OR sync = $1 ORDER BY position DESC LIMIT $2")
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
        let row: Option<PgRow> = sqlx::query("SELECT body FROM runs WHERE run = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("reading a run"))?;
        row.map(|row| parsed(row.get(0))).transpose()
    }
}

/// Writes a report over the one that the run had before.
async fn write_run(connection: &mut PgConnection, report: &RunReport) -> Result<()> {
    let body = serde_json::to_string(report).map_err(unreadable)?;
    sqlx::query(
        "INSERT INTO runs (run, sync, generation, status, body, day) VALUES ($1, $2, $3, $4, $5, $6)
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

async fn delete(connection: &mut PgConnection, statement: &'static str, sync: &str) -> Result<()> {
    sqlx::query(statement).bind(sync).execute(connection).await.map_err(failed("writing the state"))?;
    Ok(())
}

/// What a failed statement means for the caller: `doing` failed, and may work later where the server was away.
fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> Error {
    move |error| {
        let away = match &error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
            // Classes 08 (connection), 40 (conflicts), 53 (resources), 57 (operators) of
            // https://www.postgresql.org/docs/current/errcodes-appendix.html
            sqlx::Error::Database(error) => {
                error.code().is_some_and(|code| ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class)))
            }
            _ => false,
        };
        let error = Error::new(codes::STATE_001, doing).because(error);
        if away { error.retry_after(Duration::from_secs(1)) } else { error }
    }
}
