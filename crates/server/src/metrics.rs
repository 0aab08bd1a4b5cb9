//! What Prometheus reads at `/metrics`.
//! Not here: the route.
//! Called by the runner when runs begin and end, and by the route, which adds what the store knows.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tapline_core::{RunReport, RunStatus};

/// Seconds that runs take, from a look at an unchanged bucket to a first load.
const DURATIONS: [f64; 10] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0];
/// Seconds that runs start late.
const LAGS: [f64; 8] = [0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunLabels {
    sync: String,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RowLabels {
    sync: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SyncLabels {
    sync: String,
}

/// The metrics of this process.
pub struct Metrics {
    registry: Registry,
    runs: Family<RunLabels, Counter>,
    rows: Family<RowLabels, Counter>,
    bytes: Family<SyncLabels, Counter>,
    durations: Family<SyncLabels, Histogram, fn() -> Histogram>,
    lag: Histogram,
    running: Gauge,
    waiting: Gauge,
    open_rejects: Family<SyncLabels, Gauge>,
    last_success: Family<SyncLabels, Gauge<f64, AtomicU64>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("tapline");
        let metrics = Self {
            runs: Family::default(),
            rows: Family::default(),
            bytes: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            lag: Histogram::new(LAGS),
            running: Gauge::default(),
            waiting: Gauge::default(),
            open_rejects: Family::default(),
            last_success: Family::default(),
            registry: Registry::default(),
        };
        registry.register("runs", "Runs that ended, by sync and status", metrics.runs.clone());
        registry.register("rows", "Rows of runs that ended, by sync and outcome", metrics.rows.clone());
        registry.register_with_unit("read", "Bytes fetched from sources", Unit::Bytes, metrics.bytes.clone());
        registry.register_with_unit("run_duration", "How long runs took", Unit::Seconds, metrics.durations.clone());
        registry.register_with_unit("schedule_lag", "How late runs began", Unit::Seconds, metrics.lag.clone());
        registry.register("runs_running", "Runs that go on", metrics.running.clone());
        registry.register("runs_waiting", "Runs that were asked for and have not begun", metrics.waiting.clone());
        registry.register("open_rejects", "Rows that wait to be offered again", metrics.open_rejects.clone());
        registry.register_with_unit(
            "last_success_timestamp",
            "When a run of the sync last ended well",
            Unit::Seconds,
            metrics.last_success.clone(),
        );
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// Counts a run that begins, so late.
    pub fn run_started(&self, late: Duration) {
        self.lag.observe(late.as_secs_f64());
        self.running.inc();
    }

    /// Counts a run that has ended.
    pub fn run_ended(&self, report: &RunReport) {
        self.running.dec();
        let sync = || report.sync.clone();
        self.runs.get_or_create(&RunLabels { sync: sync(), status: word(report.status) }).inc();
        let rows = &report.rows;
        let outcomes = [
            ("inserted", rows.inserted),
            ("updated", rows.updated),
            ("unchanged", rows.unchanged),
            ("skipped", rows.skipped),
            ("rejected", rows.rejected),
            ("deleted", rows.deleted),
        ];
        for (outcome, count) in outcomes {
            self.rows.get_or_create(&RowLabels { sync: sync(), outcome }).inc_by(count);
        }
        self.bytes.get_or_create(&SyncLabels { sync: sync() }).inc_by(report.bytes_read);
        let seconds = Duration::from_millis(report.duration_ms).as_secs_f64();
        self.durations.get_or_create(&SyncLabels { sync: sync() }).observe(seconds);
        if matches!(report.status, RunStatus::Succeeded | RunStatus::Partial | RunStatus::Unchanged) {
            let at = report.ended_at.map_or(0.0, |at| at.timestamp_millis() as f64 / 1000.0);
            self.last_success.get_or_create(&SyncLabels { sync: sync() }).set(at);
        }
    }

    /// Notes how many runs wait.
    pub fn waiting(&self, count: usize) {
        self.waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Everything in the text format of OpenMetrics, with the open rejects of each sync as the store counts them.
    ///
    /// # Errors
    /// Never, but for a bug.
    pub fn encode(&self, rejects: &std::collections::BTreeMap<String, u64>) -> Result<String, std::fmt::Error> {
        self.open_rejects.clear();
        for (sync, count) in rejects {
            let gauge = self.open_rejects.get_or_create(&SyncLabels { sync: sync.clone() });
            gauge.set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// A status as labels and JSON spell it.
pub fn word(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "running",
        RunStatus::Succeeded => "succeeded",
        RunStatus::Partial => "partial",
        RunStatus::Unchanged => "unchanged",
        RunStatus::Stopped => "stopped",
        RunStatus::Failed => "failed",
        RunStatus::Cancelled => "cancelled",
    }
}
