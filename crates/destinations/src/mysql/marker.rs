//! The marker: a row per stream in `_tapline_receipts`, and the outcomes of its last publication.
//! Not here: the publication that writes them (see `publish`).
//! Called by every run before anything else, and under lock when it publishes.
//!
//! MySQL commits before it makes or alters a table, so that a row's lock is lost there. A publication therefore holds a
//! named lock of the server as well, from before it makes or alters the table until after its commit; a stamp waits for
//! both. Each ends with its session, and a session whose process was frozen ends after a minute.

use rand::Rng as _;
use sha2::{Digest, Sha256};
use tapline_core::{Code, Error, Marker, Outcome, Owner, Published, Result, RowId, RowOutcome, codes};

use super::connect::{Session, number, text};
use super::table::{self, OWN_PREFIX, Place};
use super::{fault, sql};

/// How long a stamp waits for a publication, in seconds.
const PATIENCE: u32 = 3_600;
/// How long the sweep of a staging area waits for the run that still holds it, in seconds.
const SWEEP_PATIENCE: u32 = 1;
/// How long a publication may stay silent before the server ends its session, in seconds.
const SILENCE: u32 = 60;
/// No such table, and no such database.
const ABSENT: [u16; 2] = [1146, 1049];
/// Outcomes per statement.
const OUTCOMES_AT_ONCE: usize = 500;

/// The marker's tables of one database, and one stream's rows in them.
#[derive(Debug, Clone)]
pub(super) struct MarkerRows {
    /// Where the stream is.
    pub(super) place: Place,
    /// The database where marker and staging areas are.
    pub(super) work: String,
}

impl MarkerRows {
    pub(super) fn new(place: Place, work_schema: Option<&str>) -> Self {
        let work = work_schema.unwrap_or(&place.database).to_owned();
        Self { place, work }
    }

    fn own_table(&self, name: &str) -> String {
        format!("{}.{}", sql::name(&self.work), sql::name(&format!("{OWN_PREFIX}{name}")))
    }

    fn receipts(&self) -> String {
        self.own_table("receipts")
    }

    fn outcomes_table(&self) -> String {
        self.own_table("outcomes")
    }

    /// The condition for the stream's rows.
    fn of_stream(&self) -> String {
        let (database, table) = self.place.key();
        format!("schema_name = {} AND table_name = {}", sql::text(&database), sql::text(&table))
    }

    /// What no other stream's names hold, short enough for a name.
    fn digest(&self) -> String {
        let (database, table) = self.place.key();
        let digest = Sha256::digest(format!("{database}\0{table}"));
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Makes the marker's tables where they are absent.
    async fn make(&self, session: &mut Session) -> Result<()> {
        let made = session
            .rows(&format!(
                "SELECT 1 FROM information_schema.tables WHERE table_schema = {} AND table_name IN ({}, {})",
                sql::text(&self.work),
                sql::text(&format!("{OWN_PREFIX}receipts")),
                sql::text(&format!("{OWN_PREFIX}outcomes"))
            ))
            .await
            .map_err(|error| self.failed("looking for the marker", &session.user.clone(), error))?;
        if made.len() == 2 {
            return Ok(());
        }
        let user = session.user.clone();
        let end = "ENGINE = InnoDB, CHARACTER SET utf8mb4, COLLATE utf8mb4_bin";
        for statement in [
            format!(
                "CREATE TABLE IF NOT EXISTS {} (schema_name varchar(64) NOT NULL, table_name varchar(64) NOT NULL, \
                   store varchar(255) NOT NULL, sync varchar(255) NOT NULL, generation bigint unsigned NOT NULL, \
                   published_generation bigint unsigned NULL, published_batches bigint unsigned NULL, \
                   published_removed bigint unsigned NULL, published_table varchar(64) NULL, \
                   created_table varchar(64) NULL, stamped_at datetime(6) NOT NULL, published_at datetime(6) NULL, \
                   PRIMARY KEY (schema_name, table_name)) {end}, \
                 COMMENT 'Tapline: which run last published each table'",
                self.receipts()
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {} (schema_name varchar(64) NOT NULL, table_name varchar(64) NOT NULL, \
                   generation bigint unsigned NOT NULL, seq bigint unsigned NOT NULL, ordinal int unsigned NOT NULL, \
                   code varchar(32) NULL, reason longtext NULL, \
                   PRIMARY KEY (schema_name, table_name, generation, seq, ordinal)) {end}, \
                 COMMENT 'Tapline: rows that the last publication did not apply'",
                self.outcomes_table()
            ),
        ] {
            session.run(&statement).await.map_err(|error| self.failed("making the marker's tables", &user, error))?;
        }
        Ok(())
    }

    /// Reads the marker, if there is one.
    pub(super) async fn read(&self, session: &mut Session) -> Result<Option<Marker>> {
        let row = session
            .first(&format!(
                "SELECT store, sync, generation, published_generation, published_batches, published_removed, \
                   published_table, created_table FROM {} WHERE {}",
                self.receipts(),
                self.of_stream()
            ))
            .await;
        let row = match row {
            Ok(row) => row,
            Err(error) if fault::number(&error).is_some_and(|number| ABSENT.contains(&number)) => None,
            Err(error) => return Err(self.failed("reading the marker", &session.user.clone(), error)),
        };
        let Some(row) = row else { return Ok(None) };
        let table = table::find_identity(session, &self.place).await?;
        let published = match (number(&row, 3), number(&row, 4), number(&row, 5)) {
            (Some(generation), Some(batches), Some(removed)) => Some(Published { generation, batches, removed }),
            _ => None,
        };
        let word = |index| text(&row, index).map(str::to_owned);
        Ok(Some(Marker {
            owner: Owner { store: word(0).unwrap_or_default(), sync: word(1).unwrap_or_default() },
            generation: number(&row, 2).unwrap_or(0),
            published,
            created: table.as_deref().is_some_and(|table| table.split(':').next() == text(&row, 7)),
            published_table: word(6),
            table,
        }))
    }

    /// Writes owner and generation, waiting for a publication in flight, and sweeps the stream's staging areas.
    pub(super) async fn stamp(&self, session: &mut Session, owner: &Owner, generation: u64) -> Result<()> {
        self.make(session).await?;
        self.lock_name(session).await?;
        let stamped = self.stamp_locked(session, owner, generation).await;
        if stamped.is_err() {
            session.run("ROLLBACK").await.map_err(|error| fault::statement("ending the transaction", error))?;
        }
        self.unlock_name(session).await?;
        stamped?;
        self.sweep(session).await
    }

    async fn stamp_locked(&self, session: &mut Session, owner: &Owner, generation: u64) -> Result<()> {
        const DOING: &str = "stamping the marker";
        let user = session.user.clone();
        let failed = |error| self.failed(DOING, &user, error);
        let (database, table) = self.place.key();
        session.run("START TRANSACTION").await.map_err(failed)?;
        session
            .run(&format!(
                "INSERT INTO {} (schema_name, table_name, store, sync, generation, stamped_at) \
                 VALUES ({}, {}, {}, {}, {generation}, now(6)) ON DUPLICATE KEY UPDATE generation = generation",
                self.receipts(),
                sql::text(&database),
                sql::text(&table),
                sql::text(&owner.store),
                sql::text(&owner.sync),
            ))
            .await
            .map_err(failed)?;
        let (holder, held) = self.lock(session).await?;
        if holder == *owner && held > generation {
            return Err(self.taken_over(generation, held));
        }
        let forget = if holder == *owner {
            ""
        } else {
            ", published_generation = NULL, published_batches = NULL, published_removed = NULL, published_table = NULL, \
             published_at = NULL"
        };
        session
            .run(&format!(
                "UPDATE {} SET store = {}, sync = {}, generation = {generation}, stamped_at = now(6){forget} WHERE {}",
                self.receipts(),
                sql::text(&owner.store),
                sql::text(&owner.sync),
                self.of_stream()
            ))
            .await
            .map_err(failed)?;
        session.run("COMMIT").await.map_err(failed)?;
        Ok(())
    }

    /// Locks the marker's row and reads whose it is, and of which generation.
    async fn lock(&self, session: &mut Session) -> Result<(Owner, u64)> {
        let row = session
            .first(&format!(
                "SELECT store, sync, generation FROM {} WHERE {} FOR UPDATE",
                self.receipts(),
                self.of_stream()
            ))
            .await;
        match row {
            Ok(Some(row)) => {
                let word = |index| text(&row, index).unwrap_or_default().to_owned();
                Ok((Owner { store: word(0), sync: word(1) }, number(&row, 2).unwrap_or(0)))
            }
            Ok(None) => Err(self.gone()),
            Err(error) if fault::number(&error).is_some_and(|number| ABSENT.contains(&number)) => Err(self.gone()),
            Err(error) => Err(fault::statement("locking the marker", error)),
        }
    }

    /// Locks the marker for a publication; fails unless it is exactly this run's.
    pub(super) async fn claim(&self, session: &mut Session, owner: &Owner, generation: u64) -> Result<()> {
        let (holder, held) = self.lock(session).await?;
        if holder != *owner || held != generation {
            return Err(self.taken_over(generation, held));
        }
        Ok(())
    }

    /// Keeps stamps and other publications of the stream away until [`end`](Self::end), also while the table is made or
    /// altered. The server ends the session, and with it the lock, where nothing is heard of it for a minute.
    pub(super) async fn begin(&self, session: &mut Session) -> Result<()> {
        session
            .run(&format!("SET SESSION wait_timeout = {SILENCE}"))
            .await
            .map_err(|error| fault::statement("beginning to publish", error))?;
        self.lock_name(session).await
    }

    /// Ends what [`begin`](Self::begin) began.
    pub(super) async fn end(&self, session: &mut Session) -> Result<()> {
        self.unlock_name(session).await?;
        session
            .run("SET SESSION wait_timeout = 28800")
            .await
            .map(drop)
            .map_err(|error| fault::statement("ending the publication", error))
    }

    fn lock_literal(&self) -> String {
        sql::text(&format!("tapline:{}", self.digest()))
    }

    async fn lock_name(&self, session: &mut Session) -> Result<()> {
        const DOING: &str = "waiting for a publication in flight";
        let row = session
            .first(&format!("SELECT get_lock({}, {PATIENCE})", self.lock_literal()))
            .await
            .map_err(|error| fault::statement(DOING, error))?;
        match row.and_then(|row| number::<u8>(&row, 0)) {
            Some(1) => Ok(()),
            _ => Err(Error::new(codes::DEST_006, format!("{DOING}: it does not end"))
                .hint("see which session of the server holds the lock, and end it")
                .retry_after(std::time::Duration::from_secs(1))),
        }
    }

    async fn unlock_name(&self, session: &mut Session) -> Result<()> {
        session
            .first(&format!("SELECT release_lock({})", self.lock_literal()))
            .await
            .map(drop)
            .map_err(|error| fault::statement("letting go of the marker", error))
    }

    /// The error of a statement on the marker's tables, with the GRANT where a right is missing.
    fn failed(&self, doing: &str, user: &str, error: mysql_async::Error) -> Error {
        if fault::number(&error) == Some(1049) {
            return Error::new(codes::DEST_004, format!("{doing}: there is no database {:?}", self.work))
                .hint(format!("CREATE DATABASE {};", sql::name(&self.work)));
        }
        let failed = fault::statement(doing, error);
        if failed.code() == codes::DEST_003 { failed.hint(grant(&self.work, user)) } else { failed }
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

    /// Notes the id of a table that is about to be made, so that it is known as ours whatever happens next.
    pub(super) async fn announce(&self, session: &mut Session, id: &str) -> Result<()> {
        session
            .run(&format!(
                "UPDATE {} SET created_table = {} WHERE {}",
                self.receipts(),
                sql::text(id),
                self.of_stream()
            ))
            .await
            .map(drop)
            .map_err(|error| fault::statement("writing the marker", error))
    }

    /// Writes what a publication did, within its transaction.
    pub(super) async fn publish(
        &self,
        session: &mut Session,
        published: Published,
        identity: &str,
        outcomes: &[RowOutcome],
    ) -> Result<()> {
        let failed = |error| fault::statement("writing the marker", error);
        session
            .run(&format!("DELETE FROM {} WHERE {}", self.outcomes_table(), self.of_stream()))
            .await
            .map_err(failed)?;
        let (database, table) = self.place.key();
        let stream = format!("{}, {}", sql::text(&database), sql::text(&table));
        let Published { generation, batches, removed } = published;
        for group in outcomes.chunks(OUTCOMES_AT_ONCE) {
            let rows = group.iter().map(|RowOutcome { row: RowId { seq, ordinal }, outcome }| {
                let (code, reason) = match outcome {
                    Outcome::Rejected { code, reason } => (Some(code.id), Some(reason.as_str())),
                    Outcome::Skipped => (None, None),
                };
                let (code, reason) = (sql::optional(code), sql::optional(reason));
                format!("({stream}, {generation}, {seq}, {ordinal}, {code}, {reason})")
            });
            let rows = rows.collect::<Vec<_>>().join(", ");
            session.run(&format!("INSERT INTO {} VALUES {rows}", self.outcomes_table())).await.map_err(failed)?;
        }
        session
            .run(&format!(
                "UPDATE {} SET published_generation = {generation}, published_batches = {batches}, \
                   published_removed = {removed}, published_table = {}, published_at = now(6) WHERE {}",
                self.receipts(),
                sql::text(identity),
                self.of_stream()
            ))
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// The outcomes that the publication of `generation` recorded.
    pub(super) async fn outcomes(&self, session: &mut Session, generation: u64) -> Result<Vec<RowOutcome>> {
        let rows = session
            .rows(&format!(
                "SELECT seq, ordinal, code, reason FROM {} WHERE {} AND generation = {generation} \
                 ORDER BY seq, ordinal",
                self.outcomes_table(),
                self.of_stream()
            ))
            .await;
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) if fault::number(&error).is_some_and(|number| ABSENT.contains(&number)) => Vec::new(),
            Err(error) => return Err(fault::statement("reading the outcomes beside the marker", error)),
        };
        let outcome = |row: &mysql_async::Row| {
            let id = RowId { seq: number(row, 0).unwrap_or(0), ordinal: number(row, 1).unwrap_or(0) };
            let outcome = match text(row, 2) {
                None => Outcome::Skipped,
                Some(code) => {
                    // A code of a newer version reads as a plain refusal.
                    let code: Code = codes::find(code).unwrap_or(codes::ROW_002);
                    Outcome::Rejected { code, reason: text(row, 3).unwrap_or_default().to_owned() }
                }
            };
            RowOutcome { row: id, outcome }
        };
        Ok(rows.iter().map(outcome).collect())
    }

    /// The quoted name of a new staging table of this stream, which no other run has.
    pub(super) fn new_stage(&self, generation: u64) -> String {
        let nonce: u32 = rand::rng().random();
        format!("{}.{}", sql::name(&self.work), sql::name(&format!("{}{generation}_{nonce:08x}", self.stage_prefix())))
    }

    /// What the names of all staging tables of this stream begin with.
    fn stage_prefix(&self) -> String {
        format!("{OWN_PREFIX}stage_{}_", self.digest())
    }

    /// Drops the staging tables that other runs, and other attempts of this run, left. One that cannot be dropped now,
    /// because a stalled run still uses it, is left to the next sweep.
    async fn sweep(&self, session: &mut Session) -> Result<()> {
        let failed = |error| fault::statement("sweeping staging tables", error);
        let prefix = self.stage_prefix();
        let left = session
            .rows(&format!(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = {} AND left(table_name, {}) = {}",
                sql::text(&self.work),
                prefix.len(),
                sql::text(&prefix)
            ))
            .await
            .map_err(failed)?;
        if left.is_empty() {
            return Ok(());
        }
        session.run(&format!("SET SESSION lock_wait_timeout = {SWEEP_PATIENCE}")).await.map_err(failed)?;
        for name in left.iter().filter_map(|row| text(row, 0)) {
            let table = format!("{}.{}", sql::name(&self.work), sql::name(name));
            if let Err(error) = session.run(&format!("DROP TABLE IF EXISTS {table}")).await {
                tracing::debug!(table, number = ?fault::number(&error), "a staging table could not be swept");
            }
        }
        session.run("SET SESSION lock_wait_timeout = 600").await.map(drop).map_err(failed)
    }
}

/// The statement that gives a user, named `user@host`, what Tapline needs in its work database.
pub(super) fn grant(database: &str, user: &str) -> String {
    let (name, host) = user.rsplit_once('@').unwrap_or((user, "%"));
    format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, CREATE TEMPORARY TABLES ON {}.* TO {}@{};",
        sql::name(database),
        sql::text(name),
        sql::text(host)
    )
}
