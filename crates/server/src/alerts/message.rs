//! What is told: as JSON for programs, as lines for people.
//! Not here: to whom (`channel`).
//! Called by `alerts` when something becomes of a sync.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use tapline_core::{RowCounts, RunReport, RunStatus};

use super::rule::Event;

/// A message. It holds counts and the texts of errors, never cell values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Message {
    /// Which alert tells it.
    pub(super) alert: String,
    /// What became of the sync.
    pub(super) event: Event,
    /// The sync.
    pub(super) sync: String,
    /// Since when it is so.
    pub(super) since: DateTime<Utc>,
    /// The run, where one is the reason.
    pub(super) run: Option<RunFacts>,
    /// Where to look.
    pub(super) url: String,
}

/// What is told of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RunFacts {
    id: String,
    status: RunStatus,
    rows: RowCounts,
    source_rows_rejected: u64,
    code: Option<String>,
    message: Option<String>,
}

impl RunFacts {
    pub(super) fn of(report: &RunReport) -> Self {
        Self {
            id: report.run.clone(),
            status: report.status,
            rows: report.rows,
            source_rows_rejected: report.source_rows.rejected,
            code: report.error.as_ref().map(|error| error.code.clone()),
            message: report.error.as_ref().map(|error| error.message.clone()),
        }
    }
}

impl Message {
    /// The message in one line.
    pub(super) fn headline(&self) -> String {
        let sync = &self.sync;
        match self.event {
            Event::Failed => format!("{sync} failed"),
            Event::Partial => format!("{sync} left rows rejected"),
            Event::Stopped => format!("{sync} was stopped by a guard"),
            Event::Late => format!("{sync} is late"),
            Event::Recovered => format!("{sync} is well again"),
        }
    }

    /// The message in a few lines.
    pub(super) fn text(&self) -> String {
        let since = self.since.to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut lines = vec![match self.event {
            Event::Late => format!("Its run was due at {since} and has not begun."),
            _ => format!("Since {since}."),
        }];
        if let Some(run) = &self.run {
            if let (Some(code), Some(message)) = (&run.code, &run.message) {
                lines.push(format!("{code}: {message}"));
            }
            let RowCounts { inserted, updated, deleted, rejected, .. } = run.rows;
            let lines_rejected = run.source_rows_rejected;
            lines.push(format!(
                "{inserted} inserted, {updated} updated, {deleted} deleted, {rejected} rejected; {lines_rejected} lines not readable"
            ));
        }
        lines.push(self.url.clone());
        lines.join("\n")
    }
}
