//! Leases that time frees: a row per sync, set anew by a holder that lives, by the database's clock.
//! Not here: the numbers of runs, which the store hands out under a lease.
//! Called by the store.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::PgPool;
use tapline_core::{Error, Holder, Lease, Result, codes};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::failed;
use crate::holder::{already_running, describe, this_process};
use crate::record::{parsed, unreadable};

/// How long a lease lasts that is not renewed.
const LEASE: Duration = Duration::from_secs(30);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(10);
/// After so long without a renewal a run has to stop, so that it has ended before somebody else begins.
const GRACE: Duration = Duration::from_secs(20);
/// How often a renewal that failed is tried again, and how often a waiter looks.
const POLL: Duration = Duration::from_millis(500);

/// The leases that this process holds.
pub(super) struct Leases {
    pool: PgPool,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    next_token: u64,
    leases: HashMap<u64, HeldLease>,
}

struct HeldLease {
    /// What the row says, so that nobody else's lease is renewed or freed.
    secret: String,
    renewal: JoinHandle<()>,
    /// Why the lease is lost, once it is.
    lost: watch::Receiver<Option<String>>,
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

impl Leases {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool, held: Mutex::default() }
    }

    /// Takes the lease of a sync and keeps it; returns its token. Fails with `SYNC-003` when another holder keeps it for
    /// longer than `wait`.
    pub(super) async fn take(&self, sync: &str, wait: Duration) -> Result<u64> {
        let secret = uuid::Uuid::new_v4().to_string();
        let deadline = Instant::now() + wait;
        while !self.try_take(sync, &secret).await? {
            let now = Instant::now();
            if now >= deadline {
                return Err(already_running(sync, &self.holder(sync).await?));
            }
            tokio::time::sleep_until(deadline.min(now + POLL)).await;
        }
        let (tell, lost) = watch::channel(None);
        let renewal = tokio::spawn(renew(self.pool.clone(), sync.to_owned(), secret.clone(), tell));
        let mut held = self.held.lock();
        held.next_token += 1;
        let token = held.next_token;
        held.leases.insert(token, HeldLease { secret, renewal, lost });
        Ok(token)
    }

    async fn try_take(&self, sync: &str, secret: &str) -> Result<bool> {
        let holder = serde_json::to_string(&this_process()).map_err(unreadable)?;
        let taken = sqlx::query(
            "INSERT INTO leases (sync, token, holder, expires_at) VALUES ($1, $2, $3, clock_timestamp() + $4 * interval '1 s')
             ON CONFLICT (sync) DO UPDATE
               SET token = excluded.token, holder = excluded.holder, expires_at = excluded.expires_at
               WHERE leases.expires_at < clock_timestamp()",
        )
        .bind(sync)
        .bind(secret)
        .bind(holder)
        .bind(LEASE.as_secs_f64())
        .execute(&self.pool)
        .await
        .map_err(failed("taking the lease"))?;
        Ok(taken.rows_affected() == 1)
    }

    /// Who holds the lease of a sync, in words.
    async fn holder(&self, sync: &str) -> Result<String> {
        let holder: Option<String> = sqlx::query_scalar("SELECT holder FROM leases WHERE sync = $1")
            .bind(sync)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("taking the lease"))?;
        let holder = holder.map(|text| parsed::<Holder>(&text)).transpose()?;
        Ok(holder.map_or_else(|| "another process".to_owned(), |holder| describe(&holder)))
    }

    /// Frees a lease; one that is free already stays so.
    pub(super) async fn release(&self, lease: &Lease) -> Result<()> {
        let Some(held) = self.held.lock().leases.remove(&lease.token) else { return Ok(()) };
        sqlx::query("DELETE FROM leases WHERE sync = $1 AND token = $2")
            .bind(&lease.sync)
            .bind(&held.secret)
            .execute(&self.pool)
            .await
            .map_err(failed("releasing the lease"))?;
        Ok(())
    }

    /// Waits until a lease is lost.
    pub(super) async fn lost(&self, lease: &Lease) -> Error {
        let lost = self.held.lock().leases.get(&lease.token).map(|held| held.lost.clone());
        let mut reason = None;
        if let Some(mut lost) = lost {
            reason = lost.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
            if reason.is_none() {
                // It was released.
                std::future::pending::<()>().await;
            }
        }
        let reason = reason.unwrap_or_else(|| "it is not held".to_owned());
        Error::new(codes::STATE_005, format!("the lease of sync {} is lost: {reason}", lease.sync))
            .hint("run the sync again: it finds out what was delivered, and goes on from there")
    }
}

/// Keeps a lease until it is lost.
async fn renew(pool: PgPool, sync: String, secret: String, tell: watch::Sender<Option<String>>) {
    let mut renewed = Instant::now();
    let mut next = renewed + RENEWAL;
    loop {
        tokio::time::sleep_until(next).await;
        let asked = Instant::now();
        let renewal = sqlx::query(
            "UPDATE leases SET expires_at = clock_timestamp() + $3 * interval '1 s' WHERE sync = $1 AND token = $2",
        )
        .bind(&sync)
        .bind(&secret)
        .bind(LEASE.as_secs_f64())
        .execute(&pool);
        match tokio::time::timeout_at(renewed + GRACE, renewal).await {
            Ok(Ok(done)) if done.rows_affected() == 1 => {
                renewed = asked;
                next = renewed + RENEWAL;
                continue;
            }
            Ok(Ok(_)) => {
                tell.send_replace(Some("somebody else has taken it, since it was not renewed in time".to_owned()));
                return;
            }
            Ok(Err(error)) => tracing::warn!(sync, %error, "cannot renew the lease"),
            Err(_) => {}
        }
        if renewed.elapsed() >= GRACE {
            tell.send_replace(Some(format!("the state could not be reached for {} s", GRACE.as_secs())));
            return;
        }
        next = Instant::now() + POLL;
    }
}
