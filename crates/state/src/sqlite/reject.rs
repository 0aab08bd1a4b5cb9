//! Rejected rows and unreadable lines: in the database, and beyond a number of rows in a file beside it.
//! Not here: their sealed form (`crate::reject`), the file (`reject_file`).
//! Called by the store's commit and by its readers.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, SqlitePool};
use tapline_core::{Reject, Result, SourceReject};

use super::reject_file::RejectFiles;
use super::{delete, failed};
use crate::record::{loaded, parsed, stored, time, unreadable};
use crate::reject::{
    ROWS_AT_ONCE, RejectRow, SOURCE_REJECTS_KEPT, damaged, oldest_payload, open_key, open_payload, seal_keys,
    seal_payloads,
};
use crate::seal::Sealer;

/// More rejected rows than these lie in a file, which is written much faster than a table.
const ROWS_IN_DATABASE: usize = 10_000;

/// Rejected rows, sealed and ready to be stored.
pub(super) struct Sealed<'a> {
    rejects: &'a [Reject],
    /// The name of the file that holds them, where they are many.
    file: Option<String>,
    /// A key each, where they are few.
    keys: Vec<Vec<u8>>,
    /// Payloads with the position of their row.
    payloads: Vec<(usize, Vec<u8>)>,
}

impl Sealed<'_> {
    /// The name of the file that holds the rejects, where they are many.
    pub(super) fn file_name(&self) -> Option<&str> {
        self.file.as_deref()
    }
}

/// Seals `rejects`. Many of them are written to a file, which counts once [`replace`] has named it.
pub(super) async fn seal<'a>(
    sealer: &Sealer,
    files: &RejectFiles,
    sync: &str,
    generation: u64,
    rejects: &'a [Reject],
) -> Result<Sealed<'a>> {
    let (file, keys) = if rejects.len() > ROWS_IN_DATABASE {
        (Some(files.write(sealer, sync, generation, rejects).await?), Vec::new())
    } else {
        (None, seal_keys(sealer, sync, rejects).await?)
    };
    Ok(Sealed { rejects, file, keys, payloads: seal_payloads(sealer, sync, rejects).await? })
}

/// Puts sealed rejects in the place of those before.
pub(super) async fn replace(connection: &mut SqliteConnection, sync: &str, sealed: Sealed<'_>) -> Result<()> {
    const DOING: &str = "recording rejected rows";
    forget(connection, sync).await?;
    let Sealed { rejects, file, keys, payloads } = sealed;
    if let Some(name) = file {
        sqlx::query("INSERT INTO reject_files (sync, name, rows) VALUES (?, ?, ?)")
            .bind(sync)
            .bind(name)
            .bind(stored(rejects.len() as u64)?)
            .execute(&mut *connection)
            .await
            .map_err(failed(DOING))?;
    }
    for (position, (reject, key)) in (0i64..).zip(rejects.iter().zip(keys)) {
        sqlx::query(
            "INSERT INTO rejects (sync, position, code, reason, attempts, first_at, last_at, sealed)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(sync)
        .bind(position)
        .bind(&reject.code)
        .bind(&reject.reason)
        .bind(i64::from(reject.attempts))
        .bind(time(reject.first_at))
        .bind(time(reject.last_at))
        .bind(key)
        .execute(&mut *connection)
        .await
        .map_err(failed(DOING))?;
    }
    for (position, payload) in payloads {
        sqlx::query("INSERT INTO reject_payloads (sync, position, last_at, sealed) VALUES (?, ?, ?, ?)")
            .bind(sync)
            .bind(stored(position as u64)?)
            .bind(time(rejects[position].last_at))
            .bind(payload)
            .execute(&mut *connection)
            .await
            .map_err(failed(DOING))?;
    }
    Ok(())
}

/// Forgets the rejected rows of a sync.
pub(super) async fn forget(connection: &mut SqliteConnection, sync: &str) -> Result<()> {
    for statement in [
        "DELETE FROM rejects WHERE sync = ?",
        "DELETE FROM reject_payloads WHERE sync = ?",
        "DELETE FROM reject_files WHERE sync = ?",
    ] {
        delete(connection, statement, sync).await?;
    }
    Ok(())
}

/// Forgets payloads, of all syncs, that are older than they may become.
pub(super) async fn forget_old_payloads(connection: &mut SqliteConnection) -> Result<()> {
    sqlx::query("DELETE FROM reject_payloads WHERE last_at < ?")
        .bind(oldest_payload())
        .execute(connection)
        .await
        .map_err(failed("forgetting old payloads"))?;
    Ok(())
}

/// The name of the file that holds a sync's rejects, where one does, and how many.
async fn file_of(pool: &SqlitePool, sync: &str) -> Result<Option<(String, u64)>> {
    sqlx::query("SELECT name, rows FROM reject_files WHERE sync = ?")
        .bind(sync)
        .fetch_optional(pool)
        .await
        .map_err(failed("reading rejected rows"))?
        .map(|row| Ok((row.get(0), loaded(row.get(1))?)))
        .transpose()
}

/// Puts the first [`SOURCE_REJECTS_KEPT`] of `rejects` in the place of those before.
pub(super) async fn replace_source(
    connection: &mut SqliteConnection,
    sync: &str,
    rejects: &[SourceReject],
) -> Result<()> {
    delete(connection, "DELETE FROM source_rejects WHERE sync = ?", sync).await?;
    for (position, reject) in (0i64..).zip(rejects.iter().take(SOURCE_REJECTS_KEPT)) {
        sqlx::query("INSERT INTO source_rejects (sync, position, body) VALUES (?, ?, ?)")
            .bind(sync)
            .bind(position)
            .bind(serde_json::to_string(reject).map_err(unreadable)?)
            .execute(&mut *connection)
            .await
            .map_err(failed("recording unreadable lines"))?;
    }
    Ok(())
}

/// The open rejects of a sync, oldest first.
pub(super) async fn read(pool: &SqlitePool, sealer: &Sealer, files: &RejectFiles, sync: &str) -> Result<Vec<Reject>> {
    let mut rejects = match file_of(pool, sync).await? {
        Some((name, rows)) => files.read(sealer, sync, &name, rows).await?,
        None => read_rows(pool, sealer, sync).await?,
    };
    let mut payloads = read_payloads(pool, sealer, sync).await?;
    for (position, reject) in rejects.iter_mut().enumerate() {
        reject.payload = payloads.remove(&position);
    }
    rejects.sort_by_key(|reject| reject.first_at);
    Ok(rejects)
}

async fn read_rows(pool: &SqlitePool, sealer: &Sealer, sync: &str) -> Result<Vec<Reject>> {
    let rows = sqlx::query(
        "SELECT code, reason, attempts, first_at, last_at, sealed FROM rejects WHERE sync = ? ORDER BY position",
    )
    .bind(sync)
    .fetch_all(pool)
    .await
    .map_err(failed("reading rejected rows"))?;
    let mut rejects = Vec::with_capacity(rows.len());
    for row in rows {
        let (encoded_key, key) = open_key(sealer, sync, row.get("sealed")).await?;
        rejects.push(reject(&row, encoded_key, key)?);
    }
    Ok(rejects)
}

async fn read_payloads(pool: &SqlitePool, sealer: &Sealer, sync: &str) -> Result<HashMap<usize, Value>> {
    let rows = sqlx::query("SELECT position, sealed FROM reject_payloads WHERE sync = ? AND last_at >= ?")
        .bind(sync)
        .bind(oldest_payload())
        .fetch_all(pool)
        .await
        .map_err(failed("reading rejected rows"))?;
    let mut payloads = HashMap::with_capacity(rows.len());
    for row in rows {
        let position = usize::try_from(row.get::<i64, _>("position")).map_err(|_| damaged())?;
        payloads.insert(position, open_payload(sealer, sync, row.get("sealed")).await?);
    }
    Ok(payloads)
}

fn reject(row: &SqliteRow, encoded_key: Vec<u8>, key: Value) -> Result<Reject> {
    let moment = |column| -> Result<DateTime<Utc>> {
        Ok(DateTime::parse_from_rfc3339(row.get(column)).map_err(|_| damaged())?.to_utc())
    };
    Ok(Reject {
        encoded_key,
        key,
        reason: row.get("reason"),
        code: row.get("code"),
        payload: None,
        attempts: u32::try_from(row.get::<i64, _>("attempts")).map_err(|_| damaged())?,
        first_at: moment("first_at")?,
        last_at: moment("last_at")?,
    })
}

/// Some rejected rows of a sync from a position on.
pub(super) async fn rows_from(
    pool: &SqlitePool,
    sealer: &Sealer,
    files: &RejectFiles,
    sync: &str,
    position: u64,
) -> Result<Vec<RejectRow>> {
    match file_of(pool, sync).await? {
        Some((_, rows)) if position >= rows => Ok(Vec::new()),
        Some((name, _)) => {
            let wanted = usize::try_from(position).map_err(|_| damaged())?;
            let (first, frame) = files.frame(sealer, sync, &name, wanted).await?;
            let mut payloads = sealed_payloads(pool, sync, first, frame.len()).await?;
            let rows = frame.into_iter().zip(first..).filter(|(_, position)| *position >= wanted);
            Ok(rows
                .map(|(reject, position)| RejectRow {
                    position: position as u64,
                    reject,
                    sealed_key: None,
                    sealed_payload: payloads.remove(&position),
                })
                .collect())
        }
        None => table_rows_from(pool, sync, position).await,
    }
}

async fn table_rows_from(pool: &SqlitePool, sync: &str, position: u64) -> Result<Vec<RejectRow>> {
    let rows = sqlx::query(
        "SELECT position, code, reason, attempts, first_at, last_at, sealed FROM rejects
         WHERE sync = ? AND position >= ? ORDER BY position LIMIT ?",
    )
    .bind(sync)
    .bind(stored(position)?)
    .bind(ROWS_AT_ONCE as i64)
    .fetch_all(pool)
    .await
    .map_err(failed("reading rejected rows"))?;
    let first = usize::try_from(position).map_err(|_| damaged())?;
    let mut payloads = sealed_payloads(pool, sync, first, ROWS_AT_ONCE).await?;
    rows.iter()
        .map(|row| {
            let position = loaded(row.get("position"))?;
            Ok(RejectRow {
                position,
                reject: reject(row, Vec::new(), Value::Null)?,
                sealed_key: Some(row.get("sealed")),
                sealed_payload: usize::try_from(position).ok().and_then(|position| payloads.remove(&position)),
            })
        })
        .collect()
}

/// The sealed payloads of `rows` rows from a position on.
async fn sealed_payloads(
    pool: &SqlitePool,
    sync: &str,
    position: usize,
    rows: usize,
) -> Result<HashMap<usize, Vec<u8>>> {
    sqlx::query(
        "SELECT position, sealed FROM reject_payloads
         WHERE sync = ? AND position >= ? AND position < ? AND last_at >= ?",
    )
    .bind(sync)
    .bind(stored(position as u64)?)
    .bind(stored((position + rows) as u64)?)
    .bind(oldest_payload())
    .fetch_all(pool)
    .await
    .map_err(failed("reading rejected rows"))?
    .iter()
    .map(|row| {
        let position = usize::try_from(row.get::<i64, _>("position")).map_err(|_| damaged())?;
        Ok((position, row.get("sealed")))
    })
    .collect()
}

/// The lines that the last run could not read, in its order.
pub(super) async fn read_source(pool: &SqlitePool, sync: &str) -> Result<Vec<SourceReject>> {
    sqlx::query("SELECT body FROM source_rejects WHERE sync = ? ORDER BY position")
        .bind(sync)
        .fetch_all(pool)
        .await
        .map_err(failed("reading unreadable lines"))?
        .iter()
        .map(|row| parsed(row.get("body")))
        .collect()
}
