//! The engine's work on threads of its own.
//! Not here: the work.
//! Called wherever rows are read, since planning and decoding keep a thread busy that requests would have to wait for.

use tapline_core::{Error, Result};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Does `work` on a thread of its own; whoever stops waiting for it stops the work.
///
/// # Errors
/// That the work ended by a panic.
pub async fn apart<T, F>(work: impl FnOnce() -> F + Send + 'static) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>>,
{
    let stop = CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    let stopped = || Err(Error::internal("nobody waits for the work any more"));
    let done = tokio::task::spawn_blocking(move || {
        Handle::current().block_on(async { stop.run_until_cancelled(work()).await.unwrap_or_else(stopped) })
    });
    done.await.unwrap_or_else(|panic| Err(Error::internal("the work ended by a panic").because(panic)))
}

/// As [`apart`], for work that goes on to its end even where nobody waits for it any more: it holds a lease.
///
/// # Errors
/// That the work ended by a panic.
pub async fn to_its_end<T, F>(work: impl FnOnce() -> F + Send + 'static) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>>,
{
    let done = tokio::task::spawn_blocking(move || Handle::current().block_on(work()));
    done.await.unwrap_or_else(|panic| Err(Error::internal("the work ended by a panic").because(panic)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_ends_with_whoever_waits_for_it() {
        struct Alive(Arc<AtomicBool>);
        impl Drop for Alive {
            fn drop(&mut self) {
                self.0.store(false, Ordering::SeqCst);
            }
        }
        let alive = Arc::new(AtomicBool::new(true));
        let held = Arc::clone(&alive);
        let work = apart(move || async move {
            let _alive = Alive(held);
            std::future::pending::<Result<()>>().await
        });
        assert!(tokio::time::timeout(Duration::from_millis(20), work).await.is_err());
        while alive.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let error = apart(|| async { panic!("oh no") as Result<()> }).await.unwrap_err();
        assert_eq!(error.code(), tapline_core::codes::RUN_003);
    }
}
