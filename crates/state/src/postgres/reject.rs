//! Rejected rows and unreadable lines in PostgreSQL, written as arrays: one statement however many they are.
//! Not here: their sealed form (`crate::reject`).
//! Called by the store's commit and by its readers.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};
use tapline_core::{Reject, Result, SourceReject};

use super::{delete, failed};
use crate::record::{loaded, parsed, stored, time, unreadable};
use crate::reject::{
    ROWS_AT_ONCE, RejectRow, SOURCE_REJECTS_KEPT, damaged, oldest_payload, open_key, open_payload, seal_keys,
    seal_payloads,
};
use crate::seal::Sealer;

const WRITING: &str = "recording rejected rows";
const READING: &str = "reading rejected rows";

/// Rejected rows, sealed and ready to be stored.
pub(super) struct Sealed<'a> {
    rejects: &'a [Reject],
    keys: Vec<Vec<u8>>,
    payloads: Vec<(usize, Vec<u8>)>,
}

/// Seals `rejects`.
pub(super) async fn seal<'a>(sealer: &Sealer, sync: &str, rejects: &'a [Reject]) -> Result<Sealed<'a>> {
    let keys = seal_keys(sealer, sync, rejects).await?;
    Ok(Sealed { rejects, keys, payloads: seal_payloads(sealer, sync, rejects).await? })
}

/// Puts sealed rejects in the place of those before.
pub(super) async fn replace(connection: &mut PgConnection, sync: &str, sealed: Sealed<'_>) -> Result<()> {
    forget(connection, sync).await?;
    let Sealed { rejects, keys, payloads } = sealed;
    if rejects.is_empty() {
        return Ok(());
    }
    let column = |value: fn(&Reject) -> String| -> Vec<String> { rejects.iter().map(value).collect() };
    let positions: Vec<i64> = (0..stored(rejects.len() as u64)?).collect();
    sqlx::query(
        "INSERT INTO rejects (sync, position, code, reason, attempts, first_at, last_at, sealed)
         SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::bytea[])",
    )
    .bind(sync)
    .bind(positions)
    .bind(column(|reject| reject.code.clone()))
    .bind(column(|reject| reject.reason.clone()))
    .bind(rejects.iter().map(|reject| i64::from(reject.attempts)).collect::<Vec<i64>>())
    .bind(column(|reject| time(reject.first_at)))
    .bind(column(|reject| time(reject.last_at)))
    .bind(keys)
    .execute(&mut *connection)
    .await
    .map_err(failed(WRITING))?;
    let mut positions = Vec::with_capacity(payloads.len());
    let mut moments = Vec::with_capacity(payloads.len());
    let mut sealed = Vec::with_capacity(payloads.len());
    for (position, payload) in payloads {
        positions.push(stored(position as u64)?);
        moments.push(time(rejects[position].last_at));
        sealed.push(payload);
    }
    sqlx::query(
        "INSERT INTO reject_payloads (sync, position, last_at, sealed)
         SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::bytea[])",
    )
    .bind(sync)
    .bind(positions)
    .bind(moments)
    .bind(sealed)
    .execute(&mut *connection)
    .await
    .map_err(failed(WRITING))?;
    Ok(())
}

/// Forgets the rejected rows of a sync.
pub(super) async fn forget(connection: &mut PgConnection, sync: &str) -> Result<()> {
    for statement in ["DELETE FROM rejects WHERE sync = $1", "DELETE FROM reject_payloads WHERE sync = $1"] {
        delete(connection, statement, sync).await?;
    }
    Ok(())
}

/// Forgets payloads, of all syncs, that are older than they may become.
pub(super) async fn forget_old_payloads(connection: &mut PgConnection) -> Result<()> {
    sqlx::query("DELETE FROM reject_payloads WHERE last_at < $1")
        .bind(oldest_payload())
        .execute(connection)
        .await
        .map_err(failed("forgetting old payloads"))?;
    Ok(())
}

/// Puts the first [`SOURCE_REJECTS_KEPT`] of `rejects` in the place of those before.
pub(super) async fn replace_source(connection: &mut PgConnection, sync: &str, rejects: &[SourceReject]) -> Result<()> {
    delete(connection, "DELETE FROM source_rejects WHERE sync = $1", sync).await?;
    let kept = rejects.iter().take(SOURCE_REJECTS_KEPT);
    let bodies = kept.map(serde_json::to_string).collect::<Result<Vec<String>, _>>().map_err(unreadable)?;
    sqlx::query(
        "INSERT INTO source_rejects (sync, position, body)
         SELECT $1, position, body FROM unnest($2::text[]) WITH ORDINALITY AS line (body, position)",
    )
    .bind(sync)
    .bind(bodies)
    .execute(connection)
    .await
    .map_err(failed("recording unreadable lines"))?;
    Ok(())
}

/// The open rejects of a sync, oldest first.
pub(super) async fn read(pool: &PgPool, sealer: &Sealer, sync: &str) -> Result<Vec<Reject>> {
    let mut payloads = HashMap::new();
    let rows = sqlx::query("SELECT position, sealed FROM reject_payloads WHERE sync = $1 AND last_at >= $2")
        .bind(sync)
        .bind(oldest_payload())
        .fetch_all(pool)
        .await
        .map_err(failed(READING))?;
    for row in rows {
        payloads.insert(row.get::<i64, _>("position"), open_payload(sealer, sync, row.get("sealed")).await?);
    }
    let rows = sqlx::query(
        "SELECT position, code, reason, attempts, first_at, last_at, sealed FROM rejects WHERE sync = $1
         ORDER BY first_at COLLATE \"C\", position",
    )
    .bind(sync)
    .fetch_all(pool)
    .await
    .map_err(failed(READING))?;
    let mut rejects = Vec::with_capacity(rows.len());
    for row in rows {
        let (encoded_key, key) = open_key(sealer, sync, row.get("sealed")).await?;
        let payload = payloads.remove(&row.get::<i64, _>("position"));
        rejects.push(reject(&row, encoded_key, key, payload)?);
    }
    Ok(rejects)
}

fn reject(row: &PgRow, encoded_key: Vec<u8>, key: Value, payload: Option<Value>) -> Result<Reject> {
    let moment = |column| -> Result<DateTime<Utc>> {
        Ok(DateTime::parse_from_rfc3339(row.get(column)).map_err(|_| damaged())?.to_utc())
    };
    Ok(Reject {
        encoded_key,
        key,
        reason: row.get("reason"),
        code: row.get("code"),
        payload,
        attempts: u32::try_from(row.get::<i64, _>("attempts")).map_err(|_| damaged())?,
        first_at: moment("first_at")?,
        last_at: moment("last_at")?,
    })
}

/// Some rejected rows of a sync from a position on.
pub(super) async fn rows_from(pool: &PgPool, sync: &str, position: u64) -> Result<Vec<RejectRow>> {
    sqlx::query(
        "SELECT reject.position, code, reason, attempts, first_at, reject.last_at, reject.sealed, payload.sealed AS payload
         FROM rejects AS reject LEFT JOIN reject_payloads AS payload
           ON payload.sync = reject.sync AND payload.position = reject.position AND payload.last_at >= $4
         WHERE reject.sync = $1 AND reject.position >= $2 ORDER BY reject.position LIMIT $3",
    )
    .bind(sync)
    .bind(stored(position)?)
    .bind(ROWS_AT_ONCE as i64)
    .bind(oldest_payload())
    .fetch_all(pool)
    .await
    .map_err(failed(READING))?
    .iter()
    .map(|row| {
        Ok(RejectRow {
            position: loaded(row.get("position"))?,
            reject: reject(row, Vec::new(), Value::Null, None)?,
            sealed_key: Some(row.get("sealed")),
            sealed_payload: row.get("payload"),
        })
    })
    .collect()
}

/// The lines that the last run could not read, in its order.
pub(super) async fn read_source(pool: &PgPool, sync: &str) -> Result<Vec<SourceReject>> {
    sqlx::query("SELECT body FROM source_rejects WHERE sync = $1 ORDER BY position")
        .bind(sync)
        .fetch_all(pool)
        .await
        .map_err(failed("reading unreadable lines"))?
        .iter()
        .map(|row| parsed(row.get("body")))
        .collect()
}
