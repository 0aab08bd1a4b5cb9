//! Runs in the server: what is asked for, what waits, what goes on.
//! Not here: when a sync is due (`tapline_core::schedule`), the run itself (the engine).
//! Called by the routes of syncs and runs, and by `serve`, which starts the scheduler.

mod execute;
mod feed;
mod scheduler;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tapline_core::schedule::{BackOff, Plan, Scheduler, SyncState};
use tapline_core::server_state::{Job, RunCause, RunFacts, ServerStore};
use tapline_core::{RunReport, RunStatus};
use tapline_engine::RunOptions;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa::ToSchema;

pub use execute::job;
pub use feed::Feed;
pub use scheduler::schedule;

use crate::problem::{Problem, Result};

/// How long a run waits for another process that runs the same sync.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// What the person who asks for a run wants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RunRequest {
    /// Make the stream equal to the model this once, whatever the sync's mode.
    pub full_refresh: bool,
    /// Rows at the destination that Tapline did not deliver may go.
    pub replace_existing: bool,
    /// A model without rows is meant.
    pub allow_empty: bool,
    /// Stop after so many deliveries (incremental only).
    #[schema(minimum = 1)]
    pub limit: Option<u64>,
    /// Offer only the rows that were rejected before.
    pub only_rejects: bool,
}

impl RunRequest {
    fn options(&self, run: &str, offer_rejects: bool) -> RunOptions {
        RunOptions {
            offer_rejects,
            id: Some(run.to_owned()),
            full_refresh: self.full_refresh,
            replace_existing: self.replace_existing,
            allow_empty: self.allow_empty,
            limit: self.limit,
            only_rejects: self.only_rejects,
            lock_timeout: LOCK_TIMEOUT,
            ..RunOptions::default()
        }
    }
}

/// Starts runs and knows those that wait and go on.
pub struct Runner {
    store: Arc<dyn ServerStore>,
    scheduler: Mutex<Scheduler>,
    plans: Mutex<BTreeMap<String, Plan>>,
    waiting: Mutex<BTreeMap<String, Job>>,
    active: Mutex<HashMap<String, Active>>,
    /// Held by whoever moves a job (into the store, from those that wait to those that go on, out of the store) or acts on
    /// what the store says about jobs: half of a move looks like a job that nobody knows, and would be run once more.
    moves: tokio::sync::Mutex<()>,
    wake: Notify,
    /// Cancelled when the server ends.
    pub stop: CancellationToken,
    tasks: TaskTracker,
    leading: std::sync::atomic::AtomicBool,
}

/// A run that goes on.
#[derive(Clone)]
struct Active {
    sync: String,
    cancel: CancellationToken,
    feed: Arc<Feed>,
}

impl Runner {
    /// A runner that lets `limit` syncs run at once, until `stop`.
    pub fn new(store: Arc<dyn ServerStore>, limit: NonZeroUsize, stop: CancellationToken) -> Self {
        Self {
            store,
            scheduler: Mutex::new(Scheduler::new(limit, BackOff::default())),
            plans: Mutex::default(),
            waiting: Mutex::default(),
            active: Mutex::default(),
            moves: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            stop,
            tasks: TaskTracker::new(),
            leading: std::sync::atomic::AtomicBool::new(false),
        }
    }

    /// Whether this server is the one that schedules.
    pub fn is_leading(&self) -> bool {
        self.leading.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Has the scheduler look again: definitions have changed.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Asks for a run. One that waits with the same options is as good as a new one.
    ///
    /// # Errors
    /// That another run waits already, and what the store says.
    pub async fn request(&self, sync: &str, request: &RunRequest, facts: RunFacts) -> Result<Job> {
        let options = serde_json::to_value(request)
            .map_err(|error| tapline_core::Error::internal("writing a request").because(error))?;
        let job = Job {
            run: ulid::Ulid::generate().to_string(),
            sync: sync.to_owned(),
            options,
            facts,
            asked_at: Utc::now(),
        };
        let moves = self.moves.lock().await;
        {
            let mut waiting = self.waiting.lock();
            match waiting.get(sync) {
                Some(other) if other.options == job.options => return Ok(other.clone()),
                Some(other) => {
                    return Err(Problem::conflict(format!(
                        "run {} of the sync `{sync}` is waiting already",
                        other.run
                    ))
                    .hint("wait for it, or cancel it"));
                }
                None => waiting.insert(sync.to_owned(), job.clone()),
            };
        }
        if let Err(error) = self.keep(&job).await {
            self.waiting.lock().remove(sync);
            return Err(error.into());
        }
        drop(moves);
        self.wake();
        Ok(job)
    }

    async fn keep(&self, job: &Job) -> tapline_core::Result<()> {
        self.store.put_job(job).await?;
        self.store.put_run_facts(&job.run, &job.facts).await?;
        self.scheduler.lock().request(&job.sync, job.asked_at);
        self.save(&job.sync).await
    }

    /// The job that waits under a run's id.
    ///
    /// # Errors
    /// What the store says.
    pub async fn waiting(&self, run: &str) -> Result<Option<Job>> {
        Ok(self.waiting_jobs().await?.into_iter().find(|job| job.run == run))
    }

    /// All jobs whose run has not begun.
    ///
    /// # Errors
    /// What the store says.
    pub async fn waiting_jobs(&self) -> Result<Vec<Job>> {
        let mut jobs = self.store.jobs().await?;
        let active = self.active.lock();
        jobs.retain(|job| !active.contains_key(&job.run));
        Ok(jobs)
    }

    /// Whether a sync runs here, and under which id.
    pub fn running(&self, sync: &str) -> Option<String> {
        self.active.lock().iter().find(|(_, active)| active.sync == sync).map(|(run, _)| run.clone())
    }

    /// What happens in a run that goes on here.
    pub fn feed(&self, run: &str) -> Option<Arc<Feed>> {
        self.active.lock().get(run).map(|active| Arc::clone(&active.feed))
    }

    /// How many runs go on, and how many wait.
    pub fn load(&self) -> (usize, usize) {
        (self.active.lock().len(), self.waiting.lock().len())
    }

    /// Has a run stop: one that goes on in good order, one that waits before it begins.
    ///
    /// # Errors
    /// That it has ended, or goes on elsewhere.
    pub async fn cancel(&self, run: &str) -> Result<()> {
        let _moves = self.moves.lock().await;
        if let Some(active) = self.active.lock().get(run) {
            active.cancel.cancel();
            return Ok(());
        }
        let Some(job) = self.waiting(run).await? else {
            return Err(Problem::conflict(format!("run {run} does not go on here"))
                .hint("it has ended, or it runs in another process: stop it there"));
        };
        self.waiting.lock().remove(&job.sync);
        self.scheduler.lock().withdraw(&job.sync);
        self.save(&job.sync).await?;
        let mut report = execute::empty_report(&job.sync, &job.run, tapline_core::config::Mode::Incremental);
        report.status = RunStatus::Cancelled;
        report.ended_at = Some(Utc::now());
        self.store.record_run(&report).await?;
        self.store.drop_job(run).await?;
        Ok(())
    }

    /// Stops ticks of a sync, or lets them start runs again.
    ///
    /// # Errors
    /// That another server schedules.
    pub async fn pause(&self, sync: &str, paused: bool) -> Result<()> {
        if !self.is_leading() {
            return Err(Problem::conflict("another server on this state does the scheduling")
                .hint("ask that one, or end it: this one takes over"));
        }
        {
            let mut scheduler = self.scheduler.lock();
            if paused { scheduler.pause(sync) } else { scheduler.resume(sync, Utc::now()) }
        }
        self.save(sync).await?;
        self.wake();
        Ok(())
    }

    /// The schedules as they stand, by sync.
    ///
    /// # Errors
    /// What the store says.
    pub async fn schedules(&self) -> Result<BTreeMap<String, SyncState>> {
        Ok(self.store.schedules().await?)
    }

    /// Forgets a sync that is no more.
    ///
    /// # Errors
    /// What the store says.
    pub async fn forget(&self, sync: &str) -> Result<()> {
        let _moves = self.moves.lock().await;
        self.scheduler.lock().remove(sync);
        self.plans.lock().remove(sync);
        let waiting = self.waiting.lock().remove(sync);
        if let Some(job) = waiting {
            self.store.drop_job(&job.run).await?;
        }
        Ok(self.store.forget_schedule(sync).await?)
    }

    async fn save(&self, sync: &str) -> tapline_core::Result<()> {
        let state = self.scheduler.lock().state(sync).copied();
        match state {
            Some(state) => self.store.save_schedule(sync, &state).await,
            None => Ok(()),
        }
    }

    /// Waits for the runs under way, which were asked to stop.
    pub async fn drained(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Whether a report is one of a run that has left rejected rows open.
fn leaves_rejects(report: &RunReport) -> bool {
    report.status == RunStatus::Partial
}

/// Why a run ran, in the words of the history.
fn cause_of(cause: tapline_core::schedule::Cause) -> RunCause {
    use tapline_core::schedule::Cause;
    match cause {
        Cause::Tick => RunCause::Schedule,
        Cause::Rejects => RunCause::Retry,
        Cause::CutOff => RunCause::CutOff,
        Cause::Request => RunCause::Request,
    }
}
