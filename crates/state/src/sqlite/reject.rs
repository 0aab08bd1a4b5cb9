//! Rejected rows and unreadable lines in the database.
//! Not here: sealing itself (`crate::seal`).
//! Called by the store's commit and by its readers.
//!
//! A sealed record is the length of the encoded key (4 bytes, little-endian), the encoded key, and a JSON object of
//! key and payload.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, SqlitePool};
use tapline_core::{Error, Reject, Result, SourceReject, codes};

use super::{delete, failed, parsed, unreadable};
use crate::seal::Sealer;

/// How many unreadable lines are kept; the run's report counts all of them.
const SOURCE_REJECTS_KEPT: usize = 10_000;

#[derive(Serialize)]
struct SecretsRef<'a> {
    key: &'a Value,
    payload: Option<&'a Value>,
}

#[derive(Deserialize)]
struct Secrets {
    key: Value,
    payload: Option<Value>,
}

/// The sealed record of every reject, in order.
pub(super) async fn seal(sealer: &Sealer, sync: &str, rejects: &[Reject]) -> Result<Vec<Vec<u8>>> {
    let mut sealed = Vec::with_capacity(rejects.len());
    for reject in rejects {
        let length =
            u32::try_from(reject.encoded_key.len()).map_err(|_| Error::internal("a rejected row's key is too long"))?;
        let mut clear = length.to_le_bytes().to_vec();
        clear.extend_from_slice(&reject.encoded_key);
        let secrets = SecretsRef { key: &reject.key, payload: reject.payload.as_ref() };
        serde_json::to_writer(&mut clear, &secrets).map_err(unreadable)?;
        sealed.push(sealer.seal(sync, &clear).await?);
    }
    Ok(sealed)
}

/// Puts `rejects`, with their sealed records, in the place of those before.
pub(super) async fn replace(
    connection: &mut SqliteConnection,
    sync: &str,
    rejects: &[Reject],
    sealed: Vec<Vec<u8>>,
) -> Result<()> {
    delete(connection, "DELETE FROM rejects WHERE sync = ?", sync).await?;
    for (position, (reject, sealed)) in (0i64..).zip(rejects.iter().zip(sealed)) {
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
        .bind(sealed)
        .execute(&mut *connection)
        .await
        .map_err(failed("recording rejected rows"))?;
    }
    Ok(())
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
pub(super) async fn read(pool: &SqlitePool, sealer: &Sealer, sync: &str) -> Result<Vec<Reject>> {
    let rows = sqlx::query(
        "SELECT code, reason, attempts, first_at, last_at, sealed FROM rejects
         WHERE sync = ? ORDER BY first_at, position",
    )
    .bind(sync)
    .fetch_all(pool)
    .await
    .map_err(failed("reading rejected rows"))?;
    let mut rejects = Vec::with_capacity(rows.len());
    for row in rows {
        let clear = sealer.open(sync, row.get("sealed")).await?;
        rejects.push(reject(&row, &clear)?);
    }
    Ok(rejects)
}

fn reject(row: &SqliteRow, clear: &[u8]) -> Result<Reject> {
    let damaged = || Error::new(codes::STATE_001, "reading rejected rows: a record is damaged");
    let (length, rest) = clear.split_first_chunk().ok_or_else(damaged)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| damaged())?;
    let (encoded_key, secrets) = rest.split_at_checked(length).ok_or_else(damaged)?;
    let Secrets { key, payload } = serde_json::from_slice(secrets).map_err(unreadable)?;
    let moment = |column| -> Result<DateTime<Utc>> {
        Ok(DateTime::parse_from_rfc3339(row.get(column)).map_err(|_| damaged())?.to_utc())
    };
    Ok(Reject {
        encoded_key: encoded_key.to_vec(),
        key,
        reason: row.get("reason"),
        code: row.get("code"),
        payload,
        attempts: u32::try_from(row.get::<i64, _>("attempts")).map_err(|_| damaged())?,
        first_at: moment("first_at")?,
        last_at: moment("last_at")?,
    })
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

/// All digits are kept, so that the order of texts is the order of times.
fn time(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Nanos, true)
}
