//! Faults on purpose: which requests they hit and what happens to those.
//! Not here: carrying them out on a connection (`server`).
//! Called by tests through `Endpoint::inject`, and by `server` for every request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::call::{Call, Operation};

/// What happens to a request that a [`Fault`] hits.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    /// The request is refused with this HTTP status and S3 error code.
    Refuse { status: u16, code: &'static str },
    /// The connection is reset, after this many bytes of the body; `None`: before there is an answer.
    Reset { after: Option<u64> },
    /// Nothing comes any more, after this many bytes of the body; `None`: not even an answer.
    Stall { after: Option<u64> },
    /// The connection is closed after this many bytes of the body, although more were announced.
    Truncate { after: u64 },
    /// The answer is well-formed, but its body lacks this many bytes at the end.
    Shorten { by: u64 },
    /// The object is replaced before the request is served: by these bytes, or by itself under another ETag.
    Replace { bytes: Option<Bytes> },
    /// The request waits before it is served.
    Delay(Duration),
}

/// A fault: what happens, to which requests, and how often.
///
/// Built by naming what happens, then narrowed down: without narrowing it hits the next request of any kind, once.
/// A request that several faults match gets every delay and replacement, and the first of the other kinds.
#[derive(Debug, Clone)]
#[must_use = "a fault does nothing until it is injected"]
pub struct Fault {
    effect: Effect,
    operation: Option<Operation>,
    key: Option<KeyPattern>,
    /// Number of matching requests that are spared first.
    spared: u64,
    /// Number of requests that are hit.
    times: u64,
}

#[derive(Debug, Clone)]
enum KeyPattern {
    Exact(String),
    Prefix(String),
    Suffix(String),
}

impl Fault {
    /// The request is refused with an HTTP status and an S3 error code.
    pub fn refuse(status: u16, code: &'static str) -> Self {
        Self::new(Effect::Refuse { status, code })
    }

    /// 503 `SlowDown`, as S3 answers when requests come too fast.
    pub fn slow_down() -> Self {
        Self::refuse(503, "SlowDown")
    }

    /// 500 `InternalError`, which clients should retry.
    pub fn internal_error() -> Self {
        Self::refuse(500, "InternalError")
    }

    /// 400 `ExpiredToken`, as temporary credentials get once they have ended.
    pub fn expired_token() -> Self {
        Self::refuse(400, "ExpiredToken")
    }

    /// The connection is reset before there is an answer.
    pub fn reset() -> Self {
        Self::new(Effect::Reset { after: None })
    }

    /// The connection is reset after `bytes` bytes of the body.
    pub fn reset_after(bytes: u64) -> Self {
        Self::new(Effect::Reset { after: Some(bytes) })
    }

    /// There is never an answer; the connection stays open.
    pub fn stall() -> Self {
        Self::new(Effect::Stall { after: None })
    }

    /// Nothing comes after `bytes` bytes of the body; the connection stays open.
    pub fn stall_after(bytes: u64) -> Self {
        Self::new(Effect::Stall { after: Some(bytes) })
    }

    /// The connection is closed in good order after `bytes` bytes of the body, although more were announced.
    pub fn truncate_after(bytes: u64) -> Self {
        Self::new(Effect::Truncate { after: bytes })
    }

    /// The answer is well-formed HTTP, but its body is `bytes` bytes shorter than the range that was asked for
    /// (and that `Content-Range` names).
    pub fn shorten_by(bytes: u64) -> Self {
        Self::new(Effect::Shorten { by: bytes })
    }

    /// The object is written again with the same bytes before the request is served: it has another ETag.
    pub fn rewrite_object() -> Self {
        Self::new(Effect::Replace { bytes: None })
    }

    /// The object is replaced by `bytes` before the request is served.
    pub fn replace_object(bytes: impl Into<Bytes>) -> Self {
        Self::new(Effect::Replace { bytes: Some(bytes.into()) })
    }

    /// The request waits before it is served.
    pub fn delay(duration: Duration) -> Self {
        Self::new(Effect::Delay(duration))
    }

    fn new(effect: Effect) -> Self {
        Self { effect, operation: None, key: None, spared: 0, times: 1 }
    }

    /// Hits requests of one operation only.
    pub fn on(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Hits requests for one key only (for listings: with this prefix).
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(KeyPattern::Exact(key.into()));
        self
    }

    /// Hits requests for keys that begin so.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key = Some(KeyPattern::Prefix(prefix.into()));
        self
    }

    /// Hits requests for keys that end so.
    pub fn key_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.key = Some(KeyPattern::Suffix(suffix.into()));
        self
    }

    /// Hits from the `nth` matching request on, counted from 1.
    pub fn nth(mut self, nth: u64) -> Self {
        self.spared = nth.saturating_sub(1);
        self
    }

    /// Hits this many requests.
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Hits every matching request.
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }

    fn matches(&self, call: &Call) -> bool {
        self.operation.is_none_or(|operation| operation == call.operation)
            && match &self.key {
                None => true,
                Some(KeyPattern::Exact(key)) => call.key == *key,
                Some(KeyPattern::Prefix(prefix)) => call.key.starts_with(prefix),
                Some(KeyPattern::Suffix(suffix)) => call.key.ends_with(suffix),
            }
    }
}

/// A fault in place. Dropping this leaves it there.
#[derive(Debug, Clone)]
pub struct InjectedFault(Arc<Injected>);

#[derive(Debug)]
struct Injected {
    fault: Fault,
    matched: AtomicU64,
    hits: AtomicU64,
    removed: AtomicBool,
}

impl InjectedFault {
    /// How many requests the fault has hit.
    pub fn hits(&self) -> u64 {
        self.0.hits.load(Ordering::SeqCst)
    }

    /// Ends the fault.
    pub fn remove(&self) {
        self.0.removed.store(true, Ordering::SeqCst);
    }
}

/// All faults in place.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<InjectedFault>>);

impl Faults {
    pub fn inject(&self, fault: Fault) -> InjectedFault {
        let injected = Injected { fault, matched: 0.into(), hits: 0.into(), removed: false.into() };
        let injected = InjectedFault(Arc::new(injected));
        self.0.lock().push(injected.clone());
        injected
    }

    pub fn clear(&self) {
        self.0.lock().drain(..).for_each(|fault| fault.remove());
    }

    /// What happens to this request, in the order the faults were injected.
    pub fn effects(&self, call: &Call) -> Vec<Effect> {
        let mut faults = self.0.lock();
        faults.retain(|InjectedFault(injected)| !injected.removed.load(Ordering::SeqCst));
        let mut effects: Vec<Effect> = Vec::new();
        for InjectedFault(injected) in faults.iter().filter(|InjectedFault(injected)| injected.fault.matches(call)) {
            let fault = &injected.fault;
            let position = injected.matched.fetch_add(1, Ordering::SeqCst);
            let due = position.checked_sub(fault.spared).is_some_and(|past| past < fault.times);
            if due && (fault.effect.combines() || effects.iter().all(Effect::combines)) {
                injected.hits.fetch_add(1, Ordering::SeqCst);
                effects.push(fault.effect.clone());
            }
        }
        effects
    }
}

impl Effect {
    /// Whether the request goes on to be served, so that another effect can come on top.
    fn combines(&self) -> bool {
        matches!(self, Self::Delay(_) | Self::Replace { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(key: &str) -> Call {
        Call { operation: Operation::GetObject, bucket: "lake".to_owned(), key: key.to_owned() }
    }

    #[test]
    fn only_what_matches_is_counted_and_hit() {
        let faults = Faults::default();
        let fault = faults.inject(Fault::slow_down().on(Operation::GetObject).key("a").nth(2).times(2));
        let listing = Call { operation: Operation::ListObjectsV2, ..get("a") };
        assert!(faults.effects(&listing).is_empty());
        assert!(faults.effects(&get("b")).is_empty());
        let hit: Vec<bool> = (0..5).map(|_| !faults.effects(&get("a")).is_empty()).collect();
        assert_eq!(hit, [false, true, true, false, false]);
        assert_eq!(fault.hits(), 2);
    }

    #[test]
    fn delays_come_on_top_and_removal_ends_a_fault() {
        let faults = Faults::default();
        let delay = faults.inject(Fault::delay(Duration::ZERO).always());
        let first = faults.inject(Fault::reset().always());
        let second = faults.inject(Fault::stall().always());
        assert_eq!(faults.effects(&get("a")).len(), 2);
        first.remove();
        assert_eq!(faults.effects(&get("a")).len(), 2);
        faults.clear();
        assert!(faults.effects(&get("a")).is_empty());
        assert_eq!((delay.hits(), first.hits(), second.hits()), (2, 1, 1));
    }
}
