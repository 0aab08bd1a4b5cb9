//! A server's state in the PostgreSQL database.
//! Not here: the statements, which both databases share (`crate::backend`).
//! Called through `crate::backend::Backend` alone.

use sqlx::{PgConnection, Row};
use tapline_core::server_state::{RunDay, RunFilter, StoredEvent};
use tapline_core::{Lease, Reject, Result};

use super::{PostgresStore, failed, reject};
use crate::backend::{Guard, Record, RunRow, Write, backend, containing};
use crate::record::{damaged, loaded, stored, time, unreadable, word};
use crate::reject::RejectRow;
use crate::seal::{CHECK_CONTEXT, CHECK_WORD, Sealer};

const READING: &str = "reading the state";
const WRITING: &str = "writing the state";

backend!(PostgresStore, "postgres", PgConnection, "CAST(body AS json)");

impl PostgresStore {
    async fn reject_rows_from(&self, sync: &str, position: u64) -> Result<Vec<RejectRow>> {
        reject::rows_from(&self.pool, sync, position).await
    }

    async fn counted_rejects(&self) -> Result<Vec<(String, i64)>> {
        sqlx::query_as("SELECT sync, count(*) FROM rejects GROUP BY sync")
            .fetch_all(&self.pool)
            .await
            .map_err(failed(READING))
    }

    async fn seal_rejects<'a>(
        &self,
        sealer: &Sealer,
        lease: &Lease,
        rejects: &'a [Reject],
    ) -> Result<reject::Sealed<'a>> {
        reject::seal(sealer, &lease.sync, rejects).await
    }

    /// There is no file beside a database.
    async fn lock_opening(&self) -> Result<Option<std::fs::File>> {
        Ok(None)
    }

    /// Notes by which key the state is sealed.
    async fn keep_word(&self, connection: &mut PgConnection, sealer: &Sealer) -> Result<()> {
        sqlx::query("UPDATE meta SET value = $1 WHERE name = 'key'")
            .bind(sealer.seal(CHECK_CONTEXT, CHECK_WORD).await?)
            .execute(connection)
            .await
            .map_err(failed(WRITING))?;
        Ok(())
    }
}
