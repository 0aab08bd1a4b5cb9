//! A server's state in the SQLite file.
//! Not here: the statements, which both databases share (`crate::backend`).
//! Called through `crate::backend::Backend` alone.

use sqlx::{Row, SqliteConnection};
use tapline_core::server_state::{RunDay, RunFilter, StoredEvent};
use tapline_core::{Lease, Reject, Result};

use super::{SqliteStore, failed, reject};
use crate::backend::{Guard, Record, RunRow, Write, backend, containing};
use crate::record::{damaged, loaded, stored, time, unreadable, word};
use crate::reject::RejectRow;
use crate::seal::{CHECK_CONTEXT, CHECK_WORD, Sealer};

const READING: &str = "reading the state";
const WRITING: &str = "writing the state";

backend!(SqliteStore, "sqlite", SqliteConnection, "body");

impl SqliteStore {
    async fn reject_rows_from(&self, sync: &str, position: u64) -> Result<Vec<RejectRow>> {
        reject::rows_from(&self.pool, &self.sealer, &self.reject_files, sync, position).await
    }

    async fn counted_rejects(&self) -> Result<Vec<(String, i64)>> {
        sqlx::query_as("SELECT sync, count(*) FROM rejects GROUP BY sync UNION ALL SELECT sync, rows FROM reject_files")
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
        reject::seal(sealer, &self.reject_files, &lease.sync, lease.generation, rejects).await
    }

    async fn lock_opening(&self) -> Result<Option<std::fs::File>> {
        self.locks.opening().await.map(Some)
    }

    /// Notes by which key the state is sealed.
    async fn keep_word(&self, connection: &mut SqliteConnection, sealer: &Sealer) -> Result<()> {
        let word = sealer.seal(CHECK_CONTEXT, CHECK_WORD).await?;
        let write = Write::Put {
            kind: "meta",
            key: "key".to_owned(),
            guard: Guard::Any,
            body: String::new(),
            sealed: Some(word),
        };
        apply(connection, &[write]).await?;
        Ok(())
    }

    /// Takes up a change of the key file that was interrupted: the new key counts if the state was sealed with it.
    pub(super) async fn settle_key(&self) -> Result<()> {
        let Some(next) = self.sealer.next_key()? else { return Ok(()) };
        let word = crate::backend::Backend::record(self, "meta", "key").await?.and_then(|record| record.sealed);
        let counts = match word {
            Some(word) => next.open(CHECK_CONTEXT, &word).await.is_ok(),
            None => false,
        };
        self.sealer.settle_next_key(counts)
    }
}
