//! The staging area: a database file of its own beside the destination's, attached as `stage` to the writer's
//! connection. Nobody else sees it, it holds no lock on the destination, and losing it costs one attempt.
//! Not here: making staged rows visible (see `apply`).
//! Called by the writer; swept by the stamp.
//!
//! `stage.rows` has a row per staged row: `id` is its address within the run, `op` what to do with it, `c0`, `c1`, …
//! its fields, without a type, so that values stay as they were bound.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::Rng as _;
use sha2::{Digest, Sha256};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, Connection, Executor, SqliteConnection};
use tapline_core::{Error, Result, RowId, codes};

use super::connect::Place;
use super::encode::Values;
use super::fault;
use super::table::TableName;

/// A staged row whose key is in the model, but which is not to be applied: it was rejected or retracted.
pub(super) const REFUSED: i64 = 4;

/// Rows per statement, largest first: a batch is cut into the fewest of these.
const CHUNKS: [usize; 5] = [256, 64, 16, 4, 1];

/// SQLite's own limit on the number of values in one statement.
const MOST_VALUES: usize = 32_766;

/// The number of a staged row.
pub(super) fn staged_id(row: RowId) -> i64 {
    ((row.seq << 32) | u64::from(row.ordinal)).cast_signed()
}

/// The inverse of [`staged_id`].
pub(super) fn row_id(staged: i64) -> RowId {
    let staged = staged.cast_unsigned();
    RowId { seq: staged >> 32, ordinal: staged as u32 }
}

/// The staging area of one run.
pub(super) struct Stage {
    path: PathBuf,
    width: usize,
    /// Rows per statement, and the statement.
    inserts: Vec<(usize, Arc<str>)>,
}

impl Stage {
    /// Makes the file and attaches it; `width` is the number of fields.
    pub(super) async fn make(
        connection: &mut SqliteConnection,
        place: &Place,
        name: &TableName,
        generation: u64,
        width: usize,
    ) -> Result<Self> {
        let failed = |error| fault::statement("making the staging file", error);
        // No two attempts of a run have one file, so that the end of one does not take the other's away.
        let nonce: u32 = rand::rng().random();
        let path = with_suffix(place, &format!("{}{generation}-{nonce:08x}", suffix(name)));
        let columns: String = (0..width).map(|index| format!(", c{index}")).collect();
        sqlx::query("ATTACH ? AS stage")
            .bind(path.to_string_lossy())
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        // Nothing here outlives the process, so nothing is synced. The journal is for statements that are undone.
        let make = format!(
            "PRAGMA stage.journal_mode = MEMORY; PRAGMA stage.synchronous = OFF; PRAGMA stage.locking_mode = EXCLUSIVE; \
             CREATE TABLE stage.rows (id INTEGER PRIMARY KEY, op INTEGER NOT NULL{columns})"
        );
        sqlx::raw_sql(AssertSqlSafe(make)).execute(connection).await.map_err(failed)?;
        let row = format!("(?, ?{})", ", ?".repeat(width));
        let inserts = CHUNKS
            .iter()
            .filter(|rows| **rows == 1 || **rows * (width + 2) <= MOST_VALUES)
            .map(|rows| {
                (*rows, format!("INSERT INTO stage.rows VALUES {}", vec![row.as_str(); *rows].join(", ")).into())
            })
            .collect();
        Ok(Self { path, width, inserts })
    }

    /// Stages the rows of a batch, each with its operation. A field without values stays NULL.
    pub(super) async fn add(
        &self,
        connection: &mut SqliteConnection,
        seq: u64,
        ops: &[i64],
        fields: &[Option<Values>],
    ) -> Result<()> {
        let failed = |error| fault::statement("staging rows", error);
        let mut transaction = connection.begin().await.map_err(failed)?;
        let mut row = 0;
        for (rows, statement) in &self.inserts {
            while ops.len() - row >= *rows {
                let arguments = self.arguments(seq, row..row + rows, ops, fields)?;
                transaction
                    .execute(sqlx::query_with(AssertSqlSafe(statement.clone()), arguments))
                    .await
                    .map_err(failed)?;
                row += rows;
            }
        }
        transaction.commit().await.map_err(failed)
    }

    fn arguments(
        &self,
        seq: u64,
        rows: std::ops::Range<usize>,
        ops: &[i64],
        fields: &[Option<Values>],
    ) -> Result<SqliteArguments> {
        let unbound = |error| Error::internal("binding a value failed").because(error);
        let mut arguments = SqliteArguments::default();
        arguments.reserve(rows.len() * (self.width + 2), 0);
        for row in rows {
            let ordinal = u32::try_from(row).map_err(|_| Error::internal("a batch has too many rows"))?;
            arguments.add(staged_id(RowId { seq, ordinal })).map_err(unbound)?;
            arguments.add(ops[row]).map_err(unbound)?;
            for field in fields {
                match field {
                    Some(values) => values.bind(row, &mut arguments)?,
                    None => arguments.add(None::<i64>).map_err(unbound)?,
                }
            }
        }
        Ok(arguments)
    }

    /// Sets rows aside. Their keys stay known.
    pub(super) async fn retract(&self, connection: &mut SqliteConnection, rows: &[RowId]) -> Result<()> {
        let failed = |error| fault::statement("taking staged rows back", error);
        let mut transaction = connection.begin().await.map_err(failed)?;
        for row in rows {
            sqlx::query("UPDATE stage.rows SET op = ? WHERE id = ?")
                .bind(REFUSED)
                .bind(staged_id(*row))
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// Fails with `DEST-008` unless exactly `expected` rows per seq are there to be applied.
    pub(super) async fn verify(&self, connection: &mut SqliteConnection, expected: &[u64]) -> Result<()> {
        let failed = |error| fault::statement("counting staged rows", error);
        for (seq, expected) in (0u64..).zip(expected) {
            let first = staged_id(RowId { seq, ordinal: 0 });
            let staged: i64 =
                sqlx::query_scalar("SELECT count(*) FROM stage.rows WHERE id BETWEEN ? AND ? AND op <> ?")
                    .bind(first)
                    .bind(first | i64::from(u32::MAX))
                    .bind(REFUSED)
                    .fetch_one(&mut *connection)
                    .await
                    .map_err(failed)?;
            if staged.cast_unsigned() != *expected {
                return Err(fault::incomplete(format!(
                    "batch {seq} has {staged} staged rows where {expected} were sent"
                )));
            }
        }
        let beyond: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM stage.rows WHERE id >= ?)")
            .bind(staged_id(RowId { seq: expected.len() as u64, ordinal: 0 }))
            .fetch_one(connection)
            .await
            .map_err(failed)?;
        if beyond {
            return Err(fault::incomplete(format!(
                "rows are staged beyond the {} batches that were sent",
                expected.len()
            )));
        }
        Ok(())
    }

    /// Detaches and removes the file. What fails here is left to the next sweep.
    pub(super) async fn drop(&self, connection: &mut SqliteConnection) {
        let _ = connection.execute("DETACH stage").await;
        let _ = remove(&self.path);
    }
}

/// Removes what runs before left of the stream's staging areas; none of them can publish any more.
pub(super) fn sweep(place: &Place, name: &TableName) -> Result<()> {
    let failed = |error| {
        Error::new(codes::DEST_006, format!("sweeping staging files beside {}", place.path().display())).because(error)
    };
    let prefix = with_suffix(place, &suffix(name));
    let (Some(folder), Some(prefix)) = (prefix.parent(), prefix.file_name()) else { return Ok(()) };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// What the name of a staging file of this table adds to the database's, before the generation.
fn suffix(name: &TableName) -> String {
    let digest: String = Sha256::digest(name.key()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("-tapline-{digest}-")
}

fn with_suffix(place: &Place, suffix: &str) -> PathBuf {
    let mut path = place.path().as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::new(codes::DEST_006, format!("removing the staging file {}", path.display())).because(error))
        }
        _ => Ok(()),
    }
}
