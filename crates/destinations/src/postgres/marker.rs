//! The marker: a row per stream in `_tapline_receipts`, and the outcomes of its last publication.
//! Not here: the publication that writes them (see `publish`).
//! Called by every run before anything else, and under lock when it publishes.

use rand::Rng as _;
use sha2::{Digest, Sha256};
use tapline_core::{Code, Error, Marker, Outcome, Owner, Published, Result, RowId, RowOutcome, codes};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, GenericClient};

use super::connect::Session;
use super::table::{self, IDENTITY, OWN_PREFIX, Place};
use super::{fault, sql};

/// Locked while the marker's tables are made, since `IF NOT EXISTS` alone fails when two sessions try at once.
const MAKING_LOCK: i64 = 0x7461_706c_696e_6531;
/// How long the sweep of a staging area waits for the run that still holds it.
const SWEEP_PATIENCE: &str = "1s";

/// The marker's tables of one schema, and one stream's rows in them.
#[derive(Debug, Clone)]
pub(super) struct MarkerRows {
    /// Where the stream is.
    pub(super) place: Place,
    /// Where marker and staging areas are.
    pub(super) work_schema: String,
}

impl MarkerRows {
    pub(super) fn new(place: Place, work_schema: Option<&str>) -> Self {
        let work_schema = work_schema.unwrap_or(&place.schema).to_owned();
        Self { place, work_schema }
    }

    fn own_table(&self, name: &str) -> String {
        format!("{}.{}", sql::name(&self.work_schema), sql::name(&format!("{OWN_PREFIX}{name}")))
    }

    fn receipts(&self) -> String {
        self.own_table("receipts")
    }

    fn outcomes_table(&self) -> String {
        self.own_table("outcomes")
    }

    /// Whether the marker's tables are there.
    async fn exist(&self, client: &Client) -> Result<bool> {
        let found = client
            .query_one(
                "SELECT to_regclass($1) IS NOT NULL AND to_regclass($2) IS NOT NULL",
                &[&self.receipts(), &self.outcomes_table()],
            )
            .await;
        match found {
            Ok(row) => Ok(row.get(0)),
            // A schema that may not be looked into holds no marker of ours; making one there names the right.
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Ok(false),
            Err(error) => Err(fault::statement("looking for the marker", error)),
        }
    }

    /// Makes the marker's tables where they are absent.
    async fn make(&self, session: &mut Session) -> Result<()> {
        if self.exist(&session.client).await? {
            return Ok(());
        }
        if let Some(missing) = table::missing_in_schema(&session.client, &session.user, &self.work_schema).await? {
            return Err(missing.context(format!("making the marker of {}", self.place.quoted())));
        }
        let client = &mut session.client;
        let failed = |error| fault::statement("making the marker's tables", error);
        let transaction = client.transaction().await.map_err(failed)?;
        transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&MAKING_LOCK]).await.map_err(failed)?;
        transaction
            .batch_execute(&format!(
                "CREATE TABLE IF NOT EXISTS {receipts} (schema_name text, table_name text, store text NOT NULL, \
                   sync text NOT NULL, generation bigint NOT NULL, published_generation bigint, published_batches bigint, \
                   published_removed bigint, published_table text, created_table oid, stamped_at timestamptz NOT NULL DEFAULT now(), \
                   published_at timestamptz, PRIMARY KEY (schema_name, table_name)); \
                 CREATE TABLE IF NOT EXISTS {outcomes} (schema_name text, table_name text, generation bigint, seq bigint, \
                   ordinal bigint, kind text NOT NULL CHECK (kind IN ('rejected', 'skipped')), code text, reason text, \
                   PRIMARY KEY (schema_name, table_name, generation, seq, ordinal)); \
                 COMMENT ON TABLE {receipts} IS 'Tapline: which run last published each table'; \
                 COMMENT ON TABLE {outcomes} IS 'Tapline: rows that the last publication did not apply'",
                receipts = self.receipts(),
                outcomes = self.outcomes_table(),
            ))
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// Reads the marker, if there is one.
    pub(super) async fn read(&self, client: &Client) -> Result<Option<Marker>> {
        if !self.exist(client).await? {
            return Ok(None);
        }
        let row = client
            .query_opt(
                &format!(
                    "SELECT m.store, m.sync, m.generation, m.published_generation, m.published_batches, m.published_removed, \
                       m.published_table, t.oid IS NOT NULL AND t.oid IS NOT DISTINCT FROM m.created_table, t.identity \
                     FROM {receipts} m LEFT JOIN LATERAL (SELECT c.oid, {IDENTITY} AS identity FROM pg_class c \
                       JOIN pg_namespace n ON n.oid = c.relnamespace \
                       WHERE n.nspname = m.schema_name AND c.relname = m.table_name) t ON true \
                     WHERE m.schema_name = $1 AND m.table_name = $2",
                    receipts = self.receipts()
                ),
                &[&self.place.schema, &self.place.table],
            )
            .await
            .map_err(|error| self.failed("reading the marker", error))?;
        let Some(row) = row else {
            return Ok(None);
        };
        let number = |index| row.get::<_, Option<i64>>(index).map(i64::cast_unsigned);
        let published = match (number(3), number(4), number(5)) {
            (Some(generation), Some(batches), Some(removed)) => Some(Published { generation, batches, removed }),
            _ => None,
        };
        Ok(Some(Marker {
            owner: Owner { store: row.get(0), sync: row.get(1) },
            generation: row.get::<_, i64>(2).cast_unsigned(),
            published,
            published_table: row.get(6),
            created: row.get(7),
            table: row.get(8),
        }))
    }

    /// Writes owner and generation, waiting for a publication in flight, and sweeps the stream's staging areas.
    pub(super) async fn stamp(&self, session: &mut Session, owner: &Owner, generation: u64) -> Result<()> {
        let failed = |error| self.failed("stamping the marker", error);
        self.make(session).await?;
        let client = &mut session.client;
        let transaction = client.transaction().await.map_err(failed)?;
        let number = generation.cast_signed();
        transaction
            .execute(
                &format!(
                    "INSERT INTO {} (schema_name, table_name, store, sync, generation) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT DO NOTHING",
                    self.receipts()
                ),
                &[&self.place.schema, &self.place.table, &owner.store, &owner.sync, &number],
            )
            .await
            .map_err(failed)?;
        let (holder, held) = self.lock(&transaction).await?;
        if holder == *owner && held > generation {
            return Err(self.taken_over(generation, held));
        }
        transaction
            .execute(
                &format!(
                    "UPDATE {} SET store = $3, sync = $4, generation = $5, stamped_at = now(), \
                       published_generation = CASE WHEN $6 THEN published_generation END, \
                       published_batches = CASE WHEN $6 THEN published_batches END, \
                       published_removed = CASE WHEN $6 THEN published_removed END, \
                       published_table = CASE WHEN $6 THEN published_table END, \
                       published_at = CASE WHEN $6 THEN published_at END \
                     WHERE schema_name = $1 AND table_name = $2",
                    self.receipts()
                ),
                &[&self.place.schema, &self.place.table, &owner.store, &owner.sync, &number, &(holder == *owner)],
            )
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        self.sweep(client).await
    }

    /// Locks the marker and reads whose it is, and of which generation.
    async fn lock(&self, client: &impl GenericClient) -> Result<(Owner, u64)> {
        let row = client
            .query_opt(
                &format!(
                    "SELECT store, sync, generation FROM {} WHERE schema_name = $1 AND table_name = $2 FOR UPDATE",
                    self.receipts()
                ),
                &[&self.place.schema, &self.place.table],
            )
            .await;
        match row {
            Ok(Some(row)) => Ok((Owner { store: row.get(0), sync: row.get(1) }, row.get::<_, i64>(2).cast_unsigned())),
            Ok(None) => Err(self.gone()),
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Err(self.gone()),
            Err(error) => Err(fault::statement("locking the marker", error)),
        }
    }

    /// Locks the marker for a publication; fails unless it is exactly this run's.
    pub(super) async fn claim(&self, client: &impl GenericClient, owner: &Owner, generation: u64) -> Result<()> {
        let (holder, held) = self.lock(client).await?;
        if holder != *owner || held != generation {
            return Err(self.taken_over(generation, held));
        }
        Ok(())
    }

    /// The error of a statement on the marker's tables, with the GRANT where a right is missing.
    fn failed(&self, doing: &str, error: tokio_postgres::Error) -> Error {
        let failed = fault::statement(doing, error);
        if failed.code() != codes::DEST_003 {
            return failed;
        }
        failed.hint(format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON {}, {} TO the role that logs in;",
            self.receipts(),
            self.outcomes_table()
        ))
    }

    fn taken_over(&self, generation: u64, held: u64) -> Error {
        Error::new(
            codes::DEST_007,
            format!("run {generation} no longer holds {}: run {held} has taken it over", self.place.quoted()),
        )
        .hint("nothing of this run became visible; the later run delivers")
    }

    fn gone(&self) -> Error {
        Error::new(codes::DEST_007, format!("the marker of {} is gone", self.place.quoted()))
            .hint("somebody removed the row from _tapline_receipts while the run went on; run the sync again")
    }

    /// Writes what a publication did, within its transaction. `created` is the table where this run made it.
    pub(super) async fn publish(
        &self,
        client: &impl GenericClient,
        published: Published,
        created: bool,
        outcomes: &[RowOutcome],
    ) -> Result<()> {
        let failed = |error| fault::statement("writing the marker", error);
        let stream: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&self.place.schema, &self.place.table];
        client
            .execute(
                &format!("DELETE FROM {} WHERE schema_name = $1 AND table_name = $2", self.outcomes_table()),
                &stream,
            )
            .await
            .map_err(failed)?;
        let generation = published.generation.cast_signed();
        if !outcomes.is_empty() {
            let (mut seqs, mut ordinals, mut kinds, mut reason_codes, mut reasons) =
                (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for RowOutcome { row, outcome } in outcomes {
                seqs.push(row.seq.cast_signed());
                ordinals.push(i64::from(row.ordinal));
                let (kind, code, reason) = match outcome {
                    Outcome::Rejected { code, reason } => ("rejected", Some(code.id), Some(reason.as_str())),
                    Outcome::Skipped => ("skipped", None, None),
                };
                kinds.push(kind);
                reason_codes.push(code);
                reasons.push(reason);
            }
            client
                .execute(
                    &format!(
                        "INSERT INTO {} SELECT $1::text, $2::text, $3::bigint, o.* FROM \
                         unnest($4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[]) o",
                        self.outcomes_table()
                    ),
                    &[stream[0], stream[1], &generation, &seqs, &ordinals, &kinds, &reason_codes, &reasons],
                )
                .await
                .map_err(failed)?;
        }
        client
            .execute(
                &format!(
                    "UPDATE {} SET published_generation = $3, published_batches = $4, published_removed = $6, \
                       published_at = now(), published_table = t.identity, created_table = CASE WHEN $5 THEN t.oid ELSE created_table END \
                     FROM (SELECT c.oid, {IDENTITY} AS identity FROM pg_class c \
                       JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2) t \
                     WHERE schema_name = $1 AND table_name = $2",
                    self.receipts()
                ),
                &[stream[0], stream[1], &generation, &published.batches.cast_signed(), &created, &published.removed.cast_signed()],
            )
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// The outcomes that the publication of `generation` recorded.
    pub(super) async fn outcomes(&self, client: &Client, generation: u64) -> Result<Vec<RowOutcome>> {
        if !self.exist(client).await? {
            return Ok(Vec::new());
        }
        let rows = client
            .query(
                &format!(
                    "SELECT seq, ordinal, kind, code, reason FROM {} \
                     WHERE schema_name = $1 AND table_name = $2 AND generation = $3 ORDER BY seq, ordinal",
                    self.outcomes_table()
                ),
                &[&self.place.schema, &self.place.table, &generation.cast_signed()],
            )
            .await
            .map_err(|error| fault::statement("reading the outcomes beside the marker", error))?;
        let outcome = |row: &tokio_postgres::Row| {
            let id = RowId { seq: row.get::<_, i64>(0).cast_unsigned(), ordinal: row.get::<_, i64>(1) as u32 };
            let outcome = if row.get::<_, &str>(2) == "skipped" {
                Outcome::Skipped
            } else {
                // A code of a newer version reads as a plain refusal.
                let code: Code = row.get::<_, Option<&str>>(3).and_then(codes::find).unwrap_or(codes::ROW_002);
                Outcome::Rejected { code, reason: row.get::<_, Option<String>>(4).unwrap_or_default() }
            };
            RowOutcome { row: id, outcome }
        };
        Ok(rows.iter().map(outcome).collect())
    }

    /// A name for a new staging area of this stream, which no other run has.
    pub(super) fn stage_name(&self, generation: u64) -> String {
        let nonce: u32 = rand::rng().random();
        format!("{}{generation}_{nonce:08x}", self.stage_prefix())
    }

    /// What the names of all staging areas of this stream begin with.
    fn stage_prefix(&self) -> String {
        let digest = Sha256::digest(format!("{}\0{}", self.place.schema, self.place.table));
        let stream: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        format!("{OWN_PREFIX}stage_{stream}_")
    }

    /// Drops the staging areas that other runs, and other attempts of this run, left. One that cannot be dropped now,
    /// because a stalled run still writes into it, is left to the next sweep: it has a name of its own, and no other
    /// run reads it.
    async fn sweep(&self, client: &Client) -> Result<()> {
        let failed = |error| fault::statement("sweeping staging areas", error);
        let left = client
            .query(
                "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = $1 AND starts_with(c.relname::text, $2) AND c.relkind = 'r'",
                &[&self.work_schema, &self.stage_prefix()],
            )
            .await
            .map_err(failed)?;
        if left.is_empty() {
            return Ok(());
        }
        client.batch_execute(&format!("SET lock_timeout = '{SWEEP_PATIENCE}'")).await.map_err(failed)?;
        for row in left {
            let table = format!("{}.{}", sql::name(&self.work_schema), sql::name(row.get(0)));
            if let Err(error) = client.batch_execute(&format!("DROP TABLE IF EXISTS {table}")).await {
                tracing::debug!(table, code = ?error.code(), "a staging area could not be swept");
            }
        }
        client.batch_execute("SET lock_timeout = 0").await.map_err(failed)
    }
}
