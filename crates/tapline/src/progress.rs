//! The live line of a run on a terminal, and the log.
//! Not here: the report of a finished run, which the commands print on stdout.
//! Called by `main`, which starts the log, and by the commands that run syncs.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use tapline_core::{EventSink, Phase, RunEvent, SharedSink};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::cli::{Global, LogFormat};
use crate::human;
use crate::terminal::Paint;

/// Where progress is shown: bars where stderr is a terminal, nothing elsewhere.
#[derive(Debug, Clone)]
pub struct Progress {
    bars: MultiProgress,
}

impl Progress {
    /// `quiet` shows nothing on a terminal either.
    pub fn new(quiet: bool) -> Self {
        let target = if quiet || !io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        Self { bars: MultiProgress::with_draw_target(target) }
    }

    /// A listener for one run of `sync`: shows its live line and passes its events to the log.
    pub fn sink(&self, sync: &str) -> SharedSink {
        let bar = self.bars.add(ProgressBar::new(0));
        bar.set_style(style(WITHOUT_TOTAL));
        bar.set_prefix(sync.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Arc::new(RunLine { sync: sync.to_owned(), bar, state: Mutex::new(LineState { phase: Phase::List, rows: 0 }) })
    }

    /// Starts the log: warnings, with `--verbose`, and for a server, also what happens in runs, with `--quiet` only
    /// errors. `RUST_LOG` overrides that.
    pub fn start_log(&self, global: &Global, is_server: bool) {
        let level = match (global.quiet, global.verbose || is_server) {
            (true, _) => "error",
            (_, true) => "warn,tapline=info",
            _ => "warn",
        };
        // The embedded endpoint's protocol library logs every request that it refuses as an error; here refusals are
        // answers to a client, which tells them itself.
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("{level},s3s=off")));
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(self.clone());
        match global.log_format {
            LogFormat::Json => builder.json().flatten_event(true).init(),
            LogFormat::Text => {
                builder.compact().without_time().with_target(false).with_ansi(Paint::stderr().is_enabled()).init();
            }
        }
    }
}

/// Log lines go above the bars, which are taken away while a line is written.
impl<'a> MakeWriter<'a> for Progress {
    type Writer = AboveBars;

    fn make_writer(&'a self) -> AboveBars {
        AboveBars { bars: self.bars.clone() }
    }
}

/// Writes to stderr above the bars.
pub struct AboveBars {
    bars: MultiProgress,
}

impl Write for AboveBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.bars.suspend(|| io::stderr().lock().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

const WITHOUT_TOTAL: &str = "{spinner} {prefix:.bold}  {wide_msg}";
const WITH_TOTAL: &str = "{spinner} {prefix:.bold}  {bar:20.cyan/dim}  {wide_msg}";

fn style(template: &str) -> ProgressStyle {
    // The templates are constants, and the test below proves that they can be parsed.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━━╌").tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
}

/// The line of one run.
struct RunLine {
    sync: String,
    bar: ProgressBar,
    state: Mutex<LineState>,
}

struct LineState {
    phase: Phase,
    rows: u64,
}

impl RunLine {
    /// `reading 18,776 rows, 3.4 MB, 9.9 MB/s`; what does not fit the terminal is cut off.
    fn tell(&self, state: &LineState) {
        let mut message = state.phase.word().to_owned();
        if state.rows > 0 {
            message.push_str(&format!(" {}", human::count(state.rows, "row")));
        }
        let bytes = self.bar.position();
        if bytes > 0 {
            let rate = human::bytes(self.bar.per_sec() as u64);
            message.push_str(&format!(", {}, {rate}/s", human::bytes(bytes)));
        }
        self.bar.set_message(message);
    }
}

impl EventSink for RunLine {
    fn send(&self, event: RunEvent) {
        let sync = self.sync.as_str();
        match event {
            RunEvent::Started { run, generation, .. } => tracing::info!(sync, run, generation, "run started"),
            RunEvent::Phase { phase } => {
                tracing::info!(sync, "{}", phase.word());
                let mut state = self.state.lock();
                state.phase = phase;
                self.tell(&state);
            }
            RunEvent::Progress { bytes_read, bytes_total, rows } => {
                let mut state = self.state.lock();
                state.rows = rows.read;
                if bytes_total > 0 && self.bar.length() != Some(bytes_total) {
                    self.bar.set_style(style(WITH_TOTAL));
                    self.bar.set_length(bytes_total);
                }
                self.bar.set_position(bytes_read);
                self.tell(&state);
            }
            RunEvent::Note { message } => tracing::info!(sync, "{message}"),
            RunEvent::Ended { report } => {
                self.bar.finish_and_clear();
                tracing::info!(sync, run = report.run, status = human::status(report.status), "run ended");
            }
        }
    }
}

impl Drop for RunLine {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_can_be_parsed() {
        for template in [WITHOUT_TOTAL, WITH_TOTAL] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
