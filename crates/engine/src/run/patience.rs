//! How long a run waits for a destination that is away, and how often it begins again.
//! Not here: requests to S3, which `tapline-storage` repeats by itself.
//! Called by the walk when an attempt fails.

use std::time::{Duration, Instant};

use tapline_core::{Error, Retry};

/// A destination that never answered in this run is given so long: whoever started the run by hand wants to know.
const FIRST_CONTACT: Duration = Duration::from_secs(5);
/// A destination that did answer may be away for so long.
const OUTAGE: Duration = Duration::from_secs(15 * 60);
/// So often an attempt that had reached the destination may fail.
const RESTARTS: u32 = 5;
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);

/// Decides after each failed attempt whether there is another one, and when.
#[derive(Debug)]
pub(crate) struct Patience {
    away_since: Option<Instant>,
    waits: u32,
    reached: u32,
}

impl Patience {
    /// Nothing has been tried yet.
    pub(crate) fn new() -> Self {
        Self { away_since: None, waits: 0, reached: 0 }
    }

    /// The destination answered.
    pub(crate) fn reached(&mut self) {
        self.reached += 1;
        self.progressed();
    }

    /// The destination goes on answering.
    pub(crate) fn progressed(&mut self) {
        self.away_since = None;
        self.waits = 0;
    }

    /// How long to wait before the next attempt, with some chance in it so that many runs do not come back at once;
    /// `None` where the error is final.
    pub(crate) fn after(&mut self, error: &Error, now: Instant) -> Option<Duration> {
        let Retry::After(least) = error.retry() else { return None };
        if !error.code().id.starts_with("DEST-") || self.reached > RESTARTS {
            return None;
        }
        let limit = if self.reached > 0 { OUTAGE } else { FIRST_CONTACT };
        let since = *self.away_since.get_or_insert(now);
        let left = limit.checked_sub(now.duration_since(since)).filter(|left| !left.is_zero())?;
        // Coming back before the time that was asked for would be no use.
        if least > left {
            return None;
        }
        let doubled = SHORTEST.saturating_mul(1 << self.waits.min(10)).min(LONGEST);
        self.waits += 1;
        let wait = doubled.mul_f64(0.5 + fastrand::f64() / 2.0).max(least);
        Some(wait.min(left))
    }
}

#[cfg(test)]
mod tests {
    use tapline_core::codes;

    use super::*;

    fn away() -> Error {
        Error::new(codes::DEST_001, "connecting").retry_after(Duration::ZERO)
    }

    /// The attempts and seconds until patience ends.
    fn endure(patience: &mut Patience) -> (usize, f64) {
        let start = Instant::now();
        let mut now = start;
        let mut attempts = 1;
        while let Some(wait) = patience.after(&away(), now) {
            now += wait;
            attempts += 1;
        }
        (attempts, now.duration_since(start).as_secs_f64())
    }

    #[test]
    fn an_unknown_destination_is_given_seconds_and_a_known_one_minutes() {
        let (attempts, seconds) = endure(&mut Patience::new());
        assert!((4.9..5.1).contains(&seconds) && (4..=12).contains(&attempts), "{attempts} in {seconds}");
        let mut known = Patience::new();
        known.reached();
        let (attempts, seconds) = endure(&mut known);
        assert!((899.0..901.0).contains(&seconds) && (30..=80).contains(&attempts), "{attempts} in {seconds}");
    }

    #[test]
    fn an_attempt_that_always_fails_at_the_same_place_ends() {
        let mut patience = Patience::new();
        let mut attempts = 0;
        loop {
            patience.reached();
            attempts += 1;
            if patience.after(&away(), Instant::now()).is_none() {
                break;
            }
        }
        assert_eq!(attempts, RESTARTS + 1);
    }

    #[test]
    fn only_passing_errors_of_the_destination_are_waited_for() {
        let now = Instant::now();
        for error in [
            Error::new(codes::DEST_002, "logging in"),
            Error::new(codes::S3_001, "listing").retry_after(Duration::ZERO),
        ] {
            assert_eq!(Patience::new().after(&error, now), None);
        }
        let asked = Error::new(codes::DEST_001, "connecting").retry_after(Duration::from_secs(3));
        assert_eq!(Patience::new().after(&asked, now), Some(Duration::from_secs(3)));
        let longer = Error::new(codes::DEST_001, "connecting").retry_after(Duration::from_secs(6));
        assert_eq!(Patience::new().after(&longer, now), None);
    }
}
