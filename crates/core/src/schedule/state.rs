//! What the scheduler knows about one sync, and what it forgets when the clock is set back.
//! Not here: which sync goes first when several are due.
//! Called by the scheduler; saved by the server.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// How far the clock may go back before ticks that were settled count again. A correction of less repeats nothing.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(10);

/// What becomes of ticks that find their sync running, no room among the running syncs, or no server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// One run makes up for all of them, as soon as there is room.
    #[default]
    RunOnce,
    /// They are left out once they are more than a minute late.
    Skip,
}

/// Why a run starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The timetable says so.
    Tick,
    /// Rejected rows are to be offered again.
    Rejects,
    /// The run before was cut off, such as by a kill of the server.
    CutOff,
    /// Somebody asked for it.
    Request,
}

/// A run that is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// When it was started.
    pub since: DateTime<Utc>,
    /// Whether it offers rejected rows again.
    pub offers_rejects: bool,
}

/// A run that is owed whatever the timetable says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// When it was asked for, or when the run that was cut off began.
    pub since: DateTime<Utc>,
    /// [`Cause::Request`] or [`Cause::CutOff`].
    pub cause: Cause,
}

/// When rejected rows are offered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// The moment.
    pub at: DateTime<Utc>,
    /// How many runs have offered them, from 1.
    pub attempts: u32,
}

/// How long rejected rows wait before they are offered again: `base`, twice that, four times that and so on up to `cap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    /// The wait after the first attempt.
    pub base: TimeDelta,
    /// The longest wait.
    pub cap: TimeDelta,
}

impl Default for BackOff {
    /// From five minutes to six hours.
    fn default() -> Self {
        Self { base: TimeDelta::minutes(5), cap: TimeDelta::hours(6) }
    }
}

impl BackOff {
    /// The next attempt, after `attempts` earlier ones and one that ends now.
    pub(super) fn next(self, attempts: u32, now: DateTime<Utc>) -> Retry {
        let factor = 1_i32.checked_shl(attempts).filter(|factor| *factor > 0).unwrap_or(i32::MAX);
        let wait = self.base.checked_mul(factor).unwrap_or(self.cap).min(self.cap);
        Retry { at: now + wait, attempts: attempts.saturating_add(1) }
    }
}

/// What the scheduler knows about a sync. Saved and restored, it lets a server go on where the last one ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncState {
    /// No tick up to this moment will start a run any more: it has started one, was made up for or left out.
    pub settled_until: DateTime<Utc>,
    /// The run that is going on.
    pub running: Option<Running>,
    /// A run that is owed.
    pub asked: Option<Asked>,
    /// When to offer rejected rows again; `None` where none are open.
    pub retry: Option<Retry>,
    /// Whether the sync starts only when somebody asks.
    pub paused: bool,
}

impl SyncState {
    /// A sync that comes into being: its first tick is later than `now`.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { settled_until: now, running: None, asked: None, retry: None, paused: false }
    }

    /// Forgets what a clock that was set back since makes meaningless. A clock that was set forward looks like a time
    /// without server.
    pub(super) fn follow_clock(&mut self, now: DateTime<Utc>, back_off: BackOff) {
        if self.settled_until > now + CLOCK_TOLERANCE {
            self.settled_until = now;
        }
        if let Some(retry) = &mut self.retry {
            retry.at = retry.at.min(now + back_off.cap);
        }
    }

    /// Ticks up to `now` are not made up for.
    pub(super) fn settle(&mut self, now: DateTime<Utc>) {
        self.settled_until = self.settled_until.max(now);
    }
}
