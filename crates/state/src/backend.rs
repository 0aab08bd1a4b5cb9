//! What a server's state needs of a database: records under guards, logs, and the rows of runs and rejects by page.
//! Not here: what the records mean (`served`).
//! Called by `served` alone. One set of statements serves SQLite and PostgreSQL.

use async_trait::async_trait;
use tapline_core::server_state::{RunDay, RunFilter, StoredEvent};
use tapline_core::{Lease, Reject, Result};

use crate::reject::RejectRow;
use crate::seal::Sealer;

/// A document of the state.
pub(crate) struct Record {
    pub(crate) key: String,
    pub(crate) revision: u64,
    pub(crate) body: String,
    pub(crate) sealed: Option<Vec<u8>>,
}

/// What has to be true of a record for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// Nothing.
    Any,
    /// There is none.
    Absent,
    /// It is at this revision.
    At(u64),
}

/// One of several writes that happen together.
pub(crate) enum Write {
    /// Writes a record, and raises its revision.
    Put { kind: &'static str, key: String, guard: Guard, body: String, sealed: Option<Vec<u8>> },
    /// Deletes a record.
    Delete { kind: &'static str, key: String },
    /// Keeps what a definition is from now on.
    Version { definition: String, revision: u64, body: String },
    /// Forgets what a definition was.
    ForgetVersions { definition: String },
}

/// A run as a row: its position, its report, and the record that says why it ran.
pub(crate) type RunRow = (i64, String, Option<String>);

/// A database under a server's state.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    /// `sqlite` or `postgres`.
    fn kind(&self) -> &'static str;
    fn sealer(&self) -> &Sealer;
    async fn ping(&self) -> Result<()>;

    async fn record(&self, kind: &'static str, key: &str) -> Result<Option<Record>>;
    /// The records of a kind, by key.
    async fn records(&self, kind: &'static str) -> Result<Vec<Record>>;
    /// Makes all of `writes`; `false`, changing nothing, where a guard does not hold.
    async fn write_all(&self, writes: &[Write]) -> Result<bool>;
    /// What a definition was, newest first.
    async fn versions(&self, definition: &str) -> Result<Vec<String>>;

    /// Appends to the audit log.
    async fn append_audit(&self, at: &str, body: &str) -> Result<()>;
    /// Lines of the audit log before a position, newest first.
    async fn audit_before(&self, position: i64, limit: i64) -> Result<Vec<(i64, String)>>;

    /// Runs before a position that fit `filter`, newest first.
    async fn runs_before(&self, filter: &RunFilter, position: i64, limit: i64) -> Result<Vec<RunRow>>;
    async fn run_row(&self, run: &str) -> Result<Option<RunRow>>;
    /// The days from `first` on, which is written as `2026-11-23`.
    async fn run_days(&self, first: &str) -> Result<Vec<RunDay>>;
    /// Appends events whose numbers are not there yet, and forgets those up to `forgotten`.
    async fn append_events(&self, run: &str, events: &[StoredEvent], forgotten: i64) -> Result<()>;
    /// The bodies of events with numbers above `after`.
    async fn events(&self, run: &str, after: i64, limit: i64) -> Result<Vec<String>>;
    /// Forgets events and audit lines from before these moments.
    async fn forget_before(&self, events: &str, audit: &str) -> Result<()>;

    /// Some rejected rows of a sync from a position on, in order; none at the end.
    async fn reject_rows(&self, sync: &str, position: u64) -> Result<Vec<RejectRow>>;
    async fn reject_counts(&self) -> Result<Vec<(String, u64)>>;

    /// Keeps others from opening the store until the guard is dropped, where a file beside it is to change.
    async fn closed(&self) -> Result<Option<std::fs::File>>;
    /// The syncs that ever ran.
    async fn sync_names(&self) -> Result<Vec<String>>;
    /// Seals anew with `sealer`: `writes` are already, the rejects of the syncs that are leased are not.
    async fn reseal(&self, sealer: &Sealer, writes: &[Write], rejects: &[(Lease, Vec<Reject>)]) -> Result<()>;
}

/// Makes a store with `pool`, `sealer` and `write` a [`Backend`]. `$json` reads the column `body` as JSON.
macro_rules! backend {
    ($store:ty, $kind:literal, $connection:ty, $json:literal) => {
        #[async_trait::async_trait]
        impl crate::backend::Backend for $store {
            fn kind(&self) -> &'static str {
                $kind
            }

            fn sealer(&self) -> &Sealer {
                &self.sealer
            }

            async fn ping(&self) -> Result<()> {
                sqlx::query("SELECT id FROM (SELECT 1 AS id) AS one")
                    .execute(&self.pool)
                    .await
                    .map_err(failed("asking the state"))?;
                Ok(())
            }

            async fn record(&self, kind: &'static str, key: &str) -> Result<Option<Record>> {
                sqlx::query("SELECT key, revision, body, sealed FROM records WHERE kind = $1 AND key = $2")
                    .bind(kind)
                    .bind(key)
                    .fetch_optional(&self.pool)
                    .await
                    .map_err(failed(READING))?
                    .map(|row| {
                        Ok(Record {
                            key: row.get(0),
                            revision: loaded(row.get(1))?,
                            body: row.get(2),
                            sealed: row.get(3),
                        })
                    })
                    .transpose()
            }

            async fn records(&self, kind: &'static str) -> Result<Vec<Record>> {
                let mut records = sqlx::query("SELECT key, revision, body, sealed FROM records WHERE kind = $1")
                    .bind(kind)
                    .fetch_all(&self.pool)
                    .await
                    .map_err(failed(READING))?
                    .iter()
                    .map(|row| {
                        Ok(Record {
                            key: row.get(0),
                            revision: loaded(row.get(1))?,
                            body: row.get(2),
                            sealed: row.get(3),
                        })
                    })
                    .collect::<Result<Vec<_>>>()?;
                records.sort_by(|one, other| one.key.cmp(&other.key));
                Ok(records)
            }

            async fn write_all(&self, writes: &[Write]) -> Result<bool> {
                let mut transaction = self.write(WRITING).await?;
                if !apply(&mut transaction, writes).await? {
                    return Ok(false);
                }
                transaction.commit().await.map_err(failed(WRITING))?;
                Ok(true)
            }

            async fn versions(&self, definition: &str) -> Result<Vec<String>> {
                sqlx::query_scalar("SELECT body FROM versions WHERE definition = $1 ORDER BY revision DESC")
                    .bind(definition)
                    .fetch_all(&self.pool)
                    .await
                    .map_err(failed(READING))
            }

            async fn append_audit(&self, at: &str, body: &str) -> Result<()> {
                sqlx::query("INSERT INTO audit (at, body) VALUES ($1, $2)")
                    .bind(at)
                    .bind(body)
                    .execute(&self.pool)
                    .await
                    .map_err(failed("writing the audit log"))?;
                Ok(())
            }

            async fn audit_before(&self, position: i64, limit: i64) -> Result<Vec<(i64, String)>> {
                sqlx::query_as("SELECT position, body FROM audit WHERE position < $1 ORDER BY position DESC LIMIT $2")
                    .bind(position)
                    .bind(limit)
                    .fetch_all(&self.pool)
                    .await
                    .map_err(failed("reading the audit log"))
            }

            async fn runs_before(&self, filter: &RunFilter, position: i64, limit: i64) -> Result<Vec<RunRow>> {
                let statuses = filter.statuses.iter().map(|status| word(*status)).collect::<Result<Vec<_>>>()?;
                let statuses = if statuses.is_empty() { String::new() } else { format!(",{},", statuses.join(",")) };
                sqlx::query_as(
                    r"SELECT run.position, run.body, facts.body
                      FROM runs AS run LEFT JOIN records AS facts ON facts.kind = 'run_facts' AND facts.key = run.run
                      WHERE (CAST($1 AS TEXT) IS NULL OR run.sync = $1) AND run.position < $2
                        AND ($3 = '' OR $3 LIKE '%,' || run.status || ',%')
                        AND ($4 = '' OR lower(run.sync) LIKE $4 ESCAPE '\' OR lower(run.run) LIKE $4 ESCAPE '\')
                      ORDER BY run.position DESC LIMIT $5",
                )
                .bind(filter.sync.as_deref())
                .bind(position)
                .bind(statuses)
                .bind(filter.search.as_deref().map(containing).unwrap_or_default())
                .bind(limit)
                .fetch_all(&self.pool)
                .await
                .map_err(failed("reading the runs"))
            }

            async fn run_row(&self, run: &str) -> Result<Option<RunRow>> {
                sqlx::query_as(
                    "SELECT run.position, run.body, facts.body
                     FROM runs AS run LEFT JOIN records AS facts ON facts.kind = 'run_facts' AND facts.key = run.run
                     WHERE run.run = $1",
                )
                .bind(run)
                .fetch_optional(&self.pool)
                .await
                .map_err(failed("reading a run"))
            }

            async fn run_days(&self, first: &str) -> Result<Vec<RunDay>> {
                sqlx::query(concat!(
                    "SELECT day, count(*), CAST(sum(CASE WHEN status IN ('failed', 'stopped') THEN 1 ELSE 0 END) AS BIGINT),
                       CAST(sum(CAST(", $json, " -> 'rows' ->> 'inserted' AS BIGINT)) AS BIGINT),
                       CAST(sum(CAST(", $json, " -> 'rows' ->> 'updated' AS BIGINT)) AS BIGINT),
                       CAST(sum(CAST(", $json, " -> 'rows' ->> 'deleted' AS BIGINT)) AS BIGINT),
                       CAST(sum(CAST(", $json, " -> 'rows' ->> 'rejected' AS BIGINT)) AS BIGINT)
                     FROM runs WHERE day >= $1 GROUP BY day ORDER BY day"
                ))
                .bind(first)
                .fetch_all(&self.pool)
                .await
                .map_err(failed("summing up the runs"))?
                .iter()
                .map(|row| {
                    Ok(RunDay {
                        day: row.get::<String, _>(0).parse().map_err(|_| damaged())?,
                        runs: loaded(row.get(1))?,
                        failed: loaded(row.get(2))?,
                        inserted: loaded(row.get(3))?,
                        updated: loaded(row.get(4))?,
                        deleted: loaded(row.get(5))?,
                        rejected: loaded(row.get(6))?,
                    })
                })
                .collect()
            }

            async fn append_events(&self, run: &str, events: &[StoredEvent], forgotten: i64) -> Result<()> {
                const DOING: &str = "recording the events of a run";
                let mut transaction = self.write(DOING).await?;
                for event in events {
                    sqlx::query(
                        "INSERT INTO run_events (run, number, at, body) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                    )
                    .bind(run)
                    .bind(stored(event.id)?)
                    .bind(time(event.at))
                    .bind(serde_json::to_string(event).map_err(unreadable)?)
                    .execute(&mut *transaction)
                    .await
                    .map_err(failed(DOING))?;
                }
                sqlx::query("DELETE FROM run_events WHERE run = $1 AND number <= $2")
                    .bind(run)
                    .bind(forgotten)
                    .execute(&mut *transaction)
                    .await
                    .map_err(failed(DOING))?;
                transaction.commit().await.map_err(failed(DOING))
            }

            async fn events(&self, run: &str, after: i64, limit: i64) -> Result<Vec<String>> {
                sqlx::query_scalar("SELECT body FROM run_events WHERE run = $1 AND number > $2 ORDER BY number LIMIT $3")
                    .bind(run)
                    .bind(after)
                    .bind(limit)
                    .fetch_all(&self.pool)
                    .await
                    .map_err(failed("reading the events of a run"))
            }

            async fn forget_before(&self, events: &str, audit: &str) -> Result<()> {
                for (statement, moment) in
                    [("DELETE FROM run_events WHERE at < $1", events), ("DELETE FROM audit WHERE at < $1", audit)]
                {
                    sqlx::query(statement)
                        .bind(moment)
                        .execute(&self.pool)
                        .await
                        .map_err(failed("forgetting old events"))?;
                }
                Ok(())
            }

            async fn reject_rows(&self, sync: &str, position: u64) -> Result<Vec<RejectRow>> {
                self.reject_rows_from(sync, position).await
            }

            async fn reject_counts(&self) -> Result<Vec<(String, u64)>> {
                self.counted_rejects()
                    .await?
                    .into_iter()
                    .map(|(sync, rows)| Ok((sync, loaded(rows)?)))
                    .collect()
            }

            async fn closed(&self) -> Result<Option<std::fs::File>> {
                self.lock_opening().await
            }

            async fn sync_names(&self) -> Result<Vec<String>> {
                sqlx::query_scalar("SELECT name FROM syncs").fetch_all(&self.pool).await.map_err(failed(READING))
            }

            async fn reseal(&self, sealer: &Sealer, writes: &[Write], rejects: &[(Lease, Vec<Reject>)]) -> Result<()> {
                const DOING: &str = "sealing the state anew";
                let mut sealed = Vec::with_capacity(rejects.len());
                for (lease, rejects) in rejects {
                    sealed.push((lease, self.seal_rejects(sealer, lease, rejects).await?));
                }
                let mut transaction = self.write(DOING).await?;
                apply(&mut transaction, writes).await?;
                for (lease, sealed) in sealed {
                    reject::replace(&mut transaction, &lease.sync, sealed).await?;
                }
                self.keep_word(&mut transaction, sealer).await?;
                transaction.commit().await.map_err(failed(DOING))
            }
        }

        /// Makes `writes` within a transaction; `false` at the first guard that does not hold.
        async fn apply(connection: &mut $connection, writes: &[Write]) -> Result<bool> {
            for write in writes {
                let changed = match write {
                    Write::Put { kind, key, guard, body, sealed } => {
                        let query = match guard {
                            Guard::Any => sqlx::query(
                                "INSERT INTO records (kind, key, revision, body, sealed) VALUES ($1, $2, 1, $3, $4)
                                 ON CONFLICT (kind, key) DO UPDATE SET
                                   revision = records.revision + 1, body = excluded.body, sealed = excluded.sealed",
                            ),
                            Guard::Absent => sqlx::query(
                                "INSERT INTO records (kind, key, revision, body, sealed) VALUES ($1, $2, 1, $3, $4)
                                 ON CONFLICT DO NOTHING",
                            ),
                            Guard::At(_) => sqlx::query(
                                "UPDATE records SET revision = revision + 1, body = $3, sealed = $4
                                 WHERE kind = $1 AND key = $2 AND revision = $5",
                            ),
                        };
                        let query = query.bind(*kind).bind(key).bind(body).bind(sealed.as_deref());
                        let query = if let Guard::At(revision) = guard { query.bind(stored(*revision)?) } else { query };
                        query.execute(&mut *connection).await.map_err(failed(WRITING))?.rows_affected() == 1
                    }
                    Write::Delete { kind, key } => {
                        sqlx::query("DELETE FROM records WHERE kind = $1 AND key = $2")
                            .bind(*kind)
                            .bind(key)
                            .execute(&mut *connection)
                            .await
                            .map_err(failed(WRITING))?;
                        true
                    }
                    Write::Version { definition, revision, body } => {
                        sqlx::query("INSERT INTO versions (definition, revision, body) VALUES ($1, $2, $3)")
                            .bind(definition)
                            .bind(stored(*revision)?)
                            .bind(body)
                            .execute(&mut *connection)
                            .await
                            .map_err(failed(WRITING))?;
                        true
                    }
                    Write::ForgetVersions { definition } => {
                        sqlx::query("DELETE FROM versions WHERE definition = $1")
                            .bind(definition)
                            .execute(&mut *connection)
                            .await
                            .map_err(failed(WRITING))?;
                        true
                    }
                };
                if !changed {
                    return Ok(false);
                }
            }
            Ok(true)
        }
    };
}
pub(crate) use backend;

/// The pattern of LIKE that finds `text` anywhere, in lower case.
pub(crate) fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.to_lowercase().chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}
