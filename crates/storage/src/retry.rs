//! How long and how often a request to S3 is repeated.
//! Not here: what failures are passing (`failure`).
//! Called by `client`, and by streams that take up a broken body where it ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::aws::AwsCredential;
use rand::Rng;

use crate::failure::{Failure, FailureKind};

/// Repetition of requests that failed for a passing reason: exponential back-off with full jitter, under a deadline.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    /// The longest first wait; each further one may be twice as long.
    pub first_wait: Duration,
    /// No wait is longer, unless the server asks for it.
    pub longest_wait: Duration,
    /// No repetition begins after this much time since the first failure after which nothing went well.
    pub deadline: Duration,
    /// Tries while no connection comes about at all; fewer, because it is mostly a matter of settings.
    pub tries_unreachable: u32,
    /// A connection over which nothing arrives for this long counts as broken.
    pub stall: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_secs(10),
            deadline: Duration::from_secs(90),
            tries_unreachable: 3,
            stall: Duration::from_secs(30),
        }
    }
}

/// The tries of one request so far.
#[derive(Debug)]
pub(crate) struct Attempts {
    first_failure: Option<Instant>,
    failed: u32,
    /// Whether credentials were renewed because of this request; once is enough.
    pub renewed: bool,
    /// Whether the region was corrected because of this request.
    pub moved: bool,
    /// What the last try was signed with.
    pub used: Option<Arc<AwsCredential>>,
}

impl Attempts {
    pub fn new() -> Self {
        Self { first_failure: None, failed: 0, renewed: false, moved: false, used: None }
    }

    /// How long to wait before the next try; `None` when there is to be none.
    pub fn next_wait(&mut self, policy: &RetryPolicy, failure: &Failure) -> Option<Duration> {
        if !failure.is_passing() {
            return None;
        }
        self.failed += 1;
        if failure.is_unreachable() && self.failed >= policy.tries_unreachable {
            return None;
        }
        let asked = match &failure.kind {
            FailureKind::Answer(answer) => answer.retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let ceiling = policy.first_wait.saturating_mul(1 << (self.failed - 1).min(16)).min(policy.longest_wait);
        let wait = ceiling.mul_f64(rand::rng().random_range(0.1..=1.0)).max(asked);
        let since = self.first_failure.get_or_insert_with(Instant::now);
        (since.elapsed() + wait <= policy.deadline).then_some(wait)
    }
}
