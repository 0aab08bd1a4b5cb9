//! What happens in runs, for those who watch: kept in memory while a run goes on, and in the store from then on.
//! Not here: the events themselves, which the engine sends, and server-sent events (`routes::runs`).
//! Called by the runner, which feeds, and by the routes, which follow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use parking_lot::Mutex;
use tapline_core::server_state::{ServerStore, StoredEvent};
use tapline_core::{EventSink, RunEvent};
use tokio::sync::watch;

/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// Beyond so many events only the end of phases and of the run is kept.
const MOST_PROGRESS: usize = 1_000;
/// Beyond so many events only the end of the run is kept.
const MOST_EVENTS: usize = 2_000;
/// How long events gather before they are written.
const WRITE_EVERY: Duration = Duration::from_millis(300);

/// The events of one run that goes on.
pub struct Feed {
    events: Mutex<Events>,
    changed: watch::Sender<u64>,
}

struct Events {
    list: Vec<StoredEvent>,
    progress_at: Option<Instant>,
    ended: bool,
}

impl Feed {
    /// Nothing has happened yet.
    pub fn new() -> Arc<Self> {
        let events = Events { list: Vec::new(), progress_at: None, ended: false };
        Arc::new(Self { events: Mutex::new(events), changed: watch::Sender::new(0) })
    }

    /// The events with numbers above `after`, and whether no more will come.
    pub fn after(&self, after: u64) -> (Vec<StoredEvent>, bool) {
        let events = self.events.lock();
        let from = usize::try_from(after).unwrap_or(usize::MAX).min(events.list.len());
        (events.list[from..].to_vec(), events.ended)
    }

    /// Tells when something has happened since it was asked for.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// No more will come: everybody who follows may go.
    pub fn close(&self) {
        self.events.lock().ended = true;
        self.changed.send_modify(|version| *version += 1);
    }

    /// Writes events into the store as they come, until the feed is closed and all of them are there.
    pub async fn keep(self: Arc<Self>, store: Arc<dyn ServerStore>, run: String) {
        let mut changed = self.watch();
        let mut written = 0;
        loop {
            let (fresh, ended) = self.after(written);
            if let Some(last) = fresh.last() {
                match store.append_events(&run, &fresh).await {
                    Ok(()) => written = last.id,
                    Err(error) => tracing::warn!(run, error = %error.full_message(), "cannot keep events of a run"),
                }
            }
            if ended {
                return;
            }
            if changed.changed().await.is_err() {
                return;
            }
            tokio::time::sleep(WRITE_EVERY).await;
        }
    }
}

impl EventSink for Feed {
    fn send(&self, event: RunEvent) {
        let mut events = self.events.lock();
        let count = events.list.len();
        match &event {
            RunEvent::Progress { .. } => {
                let recent = events.progress_at.is_some_and(|at| at.elapsed() < PROGRESS_EVERY);
                if recent || count >= MOST_PROGRESS {
                    return;
                }
                events.progress_at = Some(Instant::now());
            }
            RunEvent::Ended { .. } => {}
            RunEvent::Phase { .. } => {
                events.progress_at = None;
                if count >= MOST_EVENTS {
                    return;
                }
            }
            RunEvent::Started { .. } | RunEvent::Note { .. } => {
                if count >= MOST_EVENTS {
                    return;
                }
            }
        }
        let Ok(json) = serde_json::to_value(&event) else { return };
        events.list.push(StoredEvent { id: count as u64 + 1, at: Utc::now(), event: json });
        drop(events);
        self.changed.send_modify(|version| *version += 1);
    }
}

#[cfg(test)]
mod tests {
    use tapline_core::{Phase, RowCounts};

    use super::*;

    #[test]
    fn events_are_numbered_from_one_and_can_be_resumed() {
        let feed = Feed::new();
        for phase in [Phase::Recover, Phase::List, Phase::Read] {
            feed.send(RunEvent::Phase { phase });
        }
        let (rest, ended) = feed.after(1);
        assert_eq!(rest.iter().map(|event| event.id).collect::<Vec<_>>(), [2, 3]);
        assert!(!ended);
        feed.close();
        assert!(feed.after(3).1);
        assert!(feed.after(99).0.is_empty());
    }

    #[test]
    fn progress_is_told_now_and_then_and_after_every_phase() {
        let feed = Feed::new();
        let progress = || RunEvent::Progress { bytes_read: 1, bytes_total: 2, rows: RowCounts::default() };
        (0..100).for_each(|_| feed.send(progress()));
        assert_eq!(feed.after(0).0.len(), 1);
        feed.send(RunEvent::Phase { phase: Phase::Publish });
        feed.send(progress());
        assert_eq!(feed.after(0).0.len(), 3);
    }
}
