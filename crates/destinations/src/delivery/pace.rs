//! How fast requests may follow each other.
//! Not here: what a service answers to one that came too early (`sender`).
//! Called before every request.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A request that is late by this much is made up for by the next, so that slow timers do not lower the rate.
const MADE_UP: Duration = Duration::from_millis(20);

/// Hands out moments at which requests may be sent: evenly, so that no window of the given length sees many more than
/// its share.
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Option<Duration>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The next moment that nobody has.
    next: Option<Instant>,
    /// Nothing is sent before this.
    held: Option<Instant>,
}

impl Pace {
    /// So many requests in so long; as many as there are without a limit.
    pub(crate) fn new(limit: Option<(u32, Duration)>) -> Self {
        let interval = limit.map(|(requests, per)| per / requests.max(1));
        Self { interval, state: Mutex::default() }
    }

    /// The moment for one more request.
    fn reserve(&self, now: Instant) -> Instant {
        let mut state = self.state.lock();
        let held = state.held.filter(|held| *held > now);
        let Some(interval) = self.interval else { return held.unwrap_or(now) };
        let earliest = now.checked_sub(MADE_UP).unwrap_or(now);
        let due = state.next.map_or(now, |next| next.max(earliest));
        let due = held.map_or(due, |held| due.max(held));
        state.next = Some(due + interval);
        due.max(now)
    }

    /// Sends nothing until then.
    pub(crate) fn hold(&self, until: Instant) {
        let mut state = self.state.lock();
        state.held = Some(state.held.map_or(until, |held| held.max(until)));
    }

    /// Waits for the moment for one more request.
    pub(crate) async fn turn(&self) {
        loop {
            let at = self.reserve(Instant::now());
            tokio::time::sleep_until(at.into()).await;
            // Somebody may have been told to wait in the meantime.
            if self.state.lock().held.is_none_or(|held| held <= Instant::now()) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_to_and_made_use_of() {
        let pace = Pace::new(Some((50, Duration::from_secs(1))));
        let start = Instant::now();
        let mut now = start;
        let mut sent = Vec::new();
        while now < start + Duration::from_secs(10) {
            now = pace.reserve(now).max(now);
            sent.push(now);
            // Timers are late, at times by a lot.
            now += Duration::from_micros(if sent.len() % 7 == 0 { 15_000 } else { 1_300 });
        }
        assert!((496..=502).contains(&sent.len()), "{}", sent.len());
        for window in sent.windows(52) {
            assert!(window[51] - window[0] >= Duration::from_millis(980), "more than 51 requests in a second");
        }
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let pace = Pace::new(Some((10, Duration::from_secs(1))));
        let start = Instant::now();
        pace.reserve(start);
        let later = start + Duration::from_secs(60);
        let moments: Vec<Instant> = (0..5).map(|_| pace.reserve(later)).collect();
        assert_eq!(moments[0], later);
        assert!(moments[4] - later >= Duration::from_millis(380), "{:?}", moments[4] - later);
    }

    #[test]
    fn everybody_waits_when_told_to() {
        let now = Instant::now();
        for limit in [None, Some((100, Duration::from_secs(1)))] {
            let pace = Pace::new(limit);
            assert_eq!(pace.reserve(now), now);
            pace.hold(now + Duration::from_secs(5));
            pace.hold(now + Duration::from_secs(2));
            assert_eq!(pace.reserve(now), now + Duration::from_secs(5));
            assert!(pace.reserve(now + Duration::from_secs(6)) >= now + Duration::from_secs(6));
        }
    }
}
