//! Rejected rows as stores keep them: sealed keys, and payloads sealed on their own, so that they can be forgotten
//! before their rows are.
//! Not here: sealing itself (`seal`), statements (each store's own).
//! Called by every store of this crate.
//!
//! A sealed key is the length of the encoded key (4 bytes, little-endian), the encoded key, and the key as JSON.

use chrono::{TimeDelta, Utc};
use serde_json::Value;
use tapline_core::{Error, Reject, Result, codes};

use crate::record::{time, unreadable};
use crate::seal::Sealer;

/// How many unreadable lines are kept; the run's report counts all of them.
pub(crate) const SOURCE_REJECTS_KEPT: usize = 10_000;
/// How many rejected rows are read at once when they are read by page.
pub(crate) const ROWS_AT_ONCE: usize = 1_000;
/// How long a payload is kept after its row was last refused.
const PAYLOAD_AGE: TimeDelta = TimeDelta::days(30);

/// Payloads that were last refused before this moment are forgotten.
pub(crate) fn oldest_payload() -> String {
    time(Utc::now() - PAYLOAD_AGE)
}

/// A rejected row as it is stored: with the key sealed, or already opened where it comes from a file.
pub(crate) struct RejectRow {
    pub(crate) position: u64,
    /// Without the payload, and without the keys where they are sealed.
    pub(crate) reject: Reject,
    pub(crate) sealed_key: Option<Vec<u8>>,
    pub(crate) sealed_payload: Option<Vec<u8>>,
}

impl RejectRow {
    /// Opens the keys, if they are not open yet.
    pub(crate) async fn open_keys(&mut self, sealer: &Sealer, sync: &str) -> Result<()> {
        if let Some(sealed) = self.sealed_key.take() {
            (self.reject.encoded_key, self.reject.key) = open_key(sealer, sync, &sealed).await?;
        }
        Ok(())
    }

    /// The whole row.
    pub(crate) async fn open(mut self, sealer: &Sealer, sync: &str) -> Result<Reject> {
        self.open_keys(sealer, sync).await?;
        if let Some(sealed) = &self.sealed_payload {
            self.reject.payload = Some(open_payload(sealer, sync, sealed).await?);
        }
        Ok(self.reject)
    }
}

/// The sealed key of each reject, in order.
pub(crate) async fn seal_keys(sealer: &Sealer, sync: &str, rejects: &[Reject]) -> Result<Vec<Vec<u8>>> {
    let mut sealed = Vec::with_capacity(rejects.len());
    for reject in rejects {
        sealed.push(sealer.seal(sync, &key_record(reject)?).await?);
    }
    Ok(sealed)
}

/// The sealed payloads of those rejects that have one, with their positions.
pub(crate) async fn seal_payloads(sealer: &Sealer, sync: &str, rejects: &[Reject]) -> Result<Vec<(usize, Vec<u8>)>> {
    let mut sealed = Vec::new();
    for (position, reject) in rejects.iter().enumerate() {
        if let Some(payload) = &reject.payload {
            let clear = serde_json::to_vec(payload).map_err(unreadable)?;
            sealed.push((position, sealer.seal(sync, &clear).await?));
        }
    }
    Ok(sealed)
}

fn key_record(reject: &Reject) -> Result<Vec<u8>> {
    let length =
        u32::try_from(reject.encoded_key.len()).map_err(|_| Error::internal("a rejected row's key is too long"))?;
    let mut clear = length.to_le_bytes().to_vec();
    clear.extend_from_slice(&reject.encoded_key);
    serde_json::to_writer(&mut clear, &reject.key).map_err(unreadable)?;
    Ok(clear)
}

/// Opens what [`seal_keys`] sealed: the encoded key, and the key.
pub(crate) async fn open_key(sealer: &Sealer, sync: &str, sealed: &[u8]) -> Result<(Vec<u8>, Value)> {
    let clear = sealer.open(sync, sealed).await?;
    let (length, rest) = clear.split_first_chunk().ok_or_else(damaged)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| damaged())?;
    let (encoded_key, key) = rest.split_at_checked(length).ok_or_else(damaged)?;
    Ok((encoded_key.to_vec(), serde_json::from_slice(key).map_err(unreadable)?))
}

/// Opens a payload that [`seal_payloads`] sealed.
pub(crate) async fn open_payload(sealer: &Sealer, sync: &str, sealed: &[u8]) -> Result<Value> {
    serde_json::from_slice(&sealer.open(sync, sealed).await?).map_err(unreadable)
}

pub(crate) fn damaged() -> Error {
    Error::new(codes::STATE_001, "reading rejected rows: a record is damaged")
}
