//! Another key for a store: everything sealed is sealed anew, in one transaction.
//! Not here: sealing (`seal`), the statements (`backend`).
//! Called by `crate::rotate_key`.

use std::time::Duration;

use tapline_core::server_state::Operations;
use tapline_core::{Lease, Result, StateStore};

use super::Served;
use super::definitions::{NOUNS, opened, sealed};
use crate::backend::{Backend, Write};
use crate::seal::Sealer;

/// What was sealed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// Definitions with secrets.
    pub definitions: usize,
    /// Rejected rows.
    pub rejects: usize,
}

impl<S: Backend + StateStore> Served<S> {
    /// Seals everything anew: with `key`, or without one with a new key in the key file's place. The store must not be
    /// used afterwards, since it still has the old key.
    pub(crate) async fn rotate(self, key: Option<&str>) -> Result<Rotated> {
        let mut leases = vec![self.lead(Duration::ZERO).await?];
        let rotated = self.rotate_under(&mut leases, key).await;
        for lease in &leases {
            self.store.release(lease).await?;
        }
        rotated
    }

    /// Adds a lease for every sync, so that nobody seals with the old key meanwhile.
    async fn rotate_under(&self, leases: &mut Vec<Lease>, key: Option<&str>) -> Result<Rotated> {
        for sync in self.store.sync_names().await? {
            if leases.iter().all(|lease| lease.sync != sync) {
                leases.push(self.store.lease(&sync, Duration::ZERO).await?);
            }
        }
        let _closed = self.store.closed().await?;
        let next = match key {
            Some(text) => Sealer::of_text(text),
            None => self.store.sealer().make_next_key()?,
        };
        let mut writes: Vec<Write> = Vec::new();
        for noun in NOUNS {
            for record in self.store.records(noun.word()).await? {
                if record.sealed.is_some() {
                    writes.push(sealed(&next, &opened(self.store.sealer(), noun, record).await?).await?);
                }
            }
        }
        let mut rejects = Vec::new();
        for lease in leases.iter() {
            let open = self.store.rejects(&lease.sync).await?;
            if !open.is_empty() {
                rejects.push((lease.clone(), open));
            }
        }
        let rotated =
            Rotated { definitions: writes.len(), rejects: rejects.iter().map(|(_, rejects)| rejects.len()).sum() };
        self.store.reseal(&next, &writes, &rejects).await?;
        if key.is_none() {
            self.store.sealer().settle_next_key(true)?;
        }
        Ok(rotated)
    }
}
