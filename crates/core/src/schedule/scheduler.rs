//! Which sync starts now, and when to ask again.
//! Not here: reading a clock, waiting, running and saving.
//! Called by the server, from one task.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use chrono::{DateTime, TimeDelta, Utc};

use super::state::{Asked, BackOff, Cause, Misfire, Running, SyncState};
use super::timetable::Timetable;

/// How late a tick may be before [`Misfire::Skip`] leaves it out.
const PUNCTUAL: TimeDelta = TimeDelta::minutes(1);

/// When a sync runs, and what becomes of ticks that could not start it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Its ticks.
    pub timetable: Timetable,
    /// What becomes of missed ones.
    pub misfire: Misfire,
}

/// A run to start now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Name of the sync.
    pub sync: String,
    /// Why.
    pub cause: Cause,
    /// Since when it has been due: the first tick it makes up for, or when it was asked for. Never later than now.
    pub due: DateTime<Utc>,
    /// Whether rejected rows are offered again; else they wait for their back-off.
    pub offers_rejects: bool,
}

/// Decides, from the time it is told, which syncs start.
///
/// The caller asks [`decide`](Self::decide) at the moment that [`next_wake`](Self::next_wake) names, and after every
/// other call. It waits no longer than a minute or so at a time: clocks are set and machines sleep. It saves the
/// [`state`](Self::state) of a sync that starts before the run begins, and again when it has ended, so that the next
/// server knows about runs that were cut off.
#[derive(Debug, Clone)]
pub struct Scheduler {
    limit: NonZeroUsize,
    back_off: BackOff,
    syncs: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// `None` for a sync that was removed while it ran; the entry stays until the run has ended.
    plan: Option<Plan>,
    state: SyncState,
}

impl Scheduler {
    /// A scheduler that lets at most `limit` syncs run at once.
    pub fn new(limit: NonZeroUsize, back_off: BackOff) -> Self {
        Self { limit, back_off, syncs: BTreeMap::new() }
    }

    /// Takes up a sync, or gives it another plan. Ticks up to `now` start nothing; a run that is going on goes on.
    pub fn put(&mut self, sync: &str, plan: Plan, now: DateTime<Utc>) {
        let entry =
            self.syncs.entry(sync.to_owned()).or_insert_with(|| Entry { plan: None, state: SyncState::new(now) });
        entry.plan = Some(plan);
        entry.state.settle(now);
    }

    /// Takes up a sync as an earlier server has left it. A run that was going on then has been cut off: it is repeated.
    pub fn restore(&mut self, sync: &str, plan: Plan, mut state: SyncState) {
        if let Some(run) = state.running.take() {
            state.asked.get_or_insert(Asked { since: run.since, cause: Cause::CutOff });
        }
        self.syncs.insert(sync.to_owned(), Entry { plan: Some(plan), state });
    }

    /// Takes up a sync whose last run has ended, which an earlier server did not live to note.
    pub fn restore_ended(
        &mut self,
        sync: &str,
        plan: Plan,
        state: SyncState,
        open_rejects: bool,
        ended: DateTime<Utc>,
    ) {
        self.syncs.insert(sync.to_owned(), Entry { plan: Some(plan), state });
        self.finished(sync, open_rejects, ended);
    }

    /// Starts a sync no more. A run that is going on still counts until it has [`finished`](Self::finished).
    pub fn remove(&mut self, sync: &str) {
        if let Some(entry) = self.syncs.get_mut(sync) {
            entry.plan = None;
            self.syncs.retain(|_, entry| entry.plan.is_some() || entry.state.running.is_some());
        }
    }

    /// Starts a sync only when somebody asks.
    pub fn pause(&mut self, sync: &str) {
        if let Some(entry) = self.syncs.get_mut(sync) {
            entry.state.paused = true;
        }
    }

    /// Ends a pause. Ticks that fell into it are not made up for.
    pub fn resume(&mut self, sync: &str, now: DateTime<Utc>) {
        if let Some(entry) = self.syncs.get_mut(sync) {
            entry.state.paused = false;
            entry.state.settle(now);
        }
    }

    /// Asks for a run: now, when there is room, or right after the one that is going on.
    pub fn request(&mut self, sync: &str, now: DateTime<Utc>) {
        if let Some(entry) = self.syncs.get_mut(sync) {
            entry.state.asked = Some(Asked { since: now, cause: Cause::Request });
        }
    }

    /// Takes back a request that has not started a run yet.
    pub fn withdraw(&mut self, sync: &str) {
        if let Some(entry) = self.syncs.get_mut(sync) {
            entry.state.asked = entry.state.asked.filter(|asked| asked.cause != Cause::Request);
        }
    }

    /// The runs to start now, those first that have been due for longest. They count as going on from here.
    pub fn decide(&mut self, now: DateTime<Utc>) -> Vec<Start> {
        for entry in self.syncs.values_mut() {
            entry.state.follow_clock(now, self.back_off);
        }
        let mut starts: Vec<Start> = self
            .syncs
            .iter()
            .filter_map(|(sync, entry)| {
                let (due, cause) = entry.due(now).filter(|(due, _)| *due <= now)?;
                Some(Start { sync: sync.clone(), cause, due, offers_rejects: entry.offers_rejects(cause, now) })
            })
            .collect();
        starts.sort_by_key(|start| start.due);
        starts.truncate(self.free());
        for start in &starts {
            if let Some(entry) = self.syncs.get_mut(&start.sync) {
                entry.state.settle(now);
                entry.state.asked = None;
                entry.state.running = Some(Running { since: now, offers_rejects: start.offers_rejects });
            }
        }
        starts
    }

    /// Notes that a run has ended, well or badly, and whether it left rejected rows open.
    pub fn finished(&mut self, sync: &str, open_rejects: bool, now: DateTime<Utc>) {
        let Some(entry) = self.syncs.get_mut(sync) else { return };
        let Some(run) = entry.state.running.take() else { return };
        entry.state.retry = match entry.state.retry {
            _ if !open_rejects => None,
            Some(retry) if !run.offers_rejects => Some(retry),
            retry => Some(self.back_off.next(retry.map_or(0, |retry| retry.attempts), now)),
        };
        if entry.plan.is_none() {
            self.syncs.remove(sync);
        }
    }

    /// When [`decide`](Self::decide) has more to start if nothing else happens before; `None` if never.
    pub fn next_wake(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.free() == 0 {
            return None;
        }
        self.syncs.values().filter_map(|entry| entry.due(now)).map(|(due, _)| due.max(now)).min()
    }

    /// What is known about a sync, to be saved.
    pub fn state(&self, sync: &str) -> Option<&SyncState> {
        self.syncs.get(sync).map(|entry| &entry.state)
    }

    fn free(&self) -> usize {
        let running = self.syncs.values().filter(|entry| entry.state.running.is_some()).count();
        self.limit.get().saturating_sub(running)
    }
}

impl Entry {
    /// When the sync is to start next, and why.
    fn due(&self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, Cause)> {
        let (plan, state) = (self.plan.as_ref()?, &self.state);
        if state.running.is_some() {
            return None;
        }
        if let Some(asked) = state.asked.filter(|asked| !state.paused || asked.cause == Cause::Request) {
            return Some((asked.since.min(now), asked.cause));
        }
        if state.paused {
            return None;
        }
        let from = match plan.misfire {
            Misfire::RunOnce => state.settled_until,
            Misfire::Skip => state.settled_until.max(now - PUNCTUAL),
        };
        // A manual sync has no ticks, and does not start for its rejected rows either: nobody asked.
        let tick = plan.timetable.next_after(from)?;
        match state.retry {
            Some(retry) if retry.at < tick => Some((retry.at, Cause::Rejects)),
            _ => Some((tick, Cause::Tick)),
        }
    }

    fn offers_rejects(&self, cause: Cause, now: DateTime<Utc>) -> bool {
        cause == Cause::Request || self.state.retry.is_none_or(|retry| retry.at <= now)
    }
}
