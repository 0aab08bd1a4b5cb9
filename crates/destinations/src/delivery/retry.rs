//! How long to wait before a request is repeated.
//! Not here: how often (`sender`).
//! Called after an answer that may be another one later.

use std::time::Duration;

use chrono::{DateTime, Utc};

const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);
/// Half a wait is chance, so that many who failed together do not come back together.
const JITTER: f64 = 0.5;

/// The wait before the repetition of this number, from 0; `chance` is between 0 and 1.
pub(crate) fn back_off(number: u32, chance: f64) -> Duration {
    let doubled = SHORTEST.saturating_mul(1 << number.min(16)).min(LONGEST);
    doubled.mul_f64(1.0 - JITTER * chance.clamp(0.0, 1.0))
}

/// What the header `Retry-After` asks for: seconds, or a moment; `None` where it is neither.
pub(crate) fn retry_after(header: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = header.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let moment = DateTime::parse_from_rfc2822(text).ok()?;
    // A moment that has passed is no reason to wait.
    Some(moment.signed_duration_since(now).to_std().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end() {
        let waits: Vec<Duration> = (0..10).map(|number| back_off(number, 0.0)).collect();
        assert_eq!(waits[..3], [200, 400, 800].map(Duration::from_millis));
        assert_eq!(waits[9], LONGEST);
        assert_eq!(back_off(0, 1.0), Duration::from_millis(100));
        assert_eq!(back_off(u32::MAX, 0.0), LONGEST);
    }

    #[test]
    fn both_forms_of_the_header() {
        let now = "2015-10-21T07:28:00Z".parse().unwrap();
        for (header, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Wed, 21 Oct 2015 07:28:30 GMT", Some(30)),
            ("Wed, 21 Oct 2015 07:27:30 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("1e300", None),
        ] {
            assert_eq!(retry_after(header, now), seconds.map(Duration::from_secs), "{header}");
        }
    }
}
