//! How the process ends: exit codes, their order of gravity, and signals.
//! Not here: which error leads to which code's class (`tapline_core::codes` says that).
//! Called by `main` and by every command.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tapline_core::{Class, Error, RunReport, RunStatus, codes};
use tokio_util::sync::CancellationToken;

/// The end of a command, in the order of gravity: of several outcomes the greatest decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Everything was done.
    Done,
    /// Done, with rejected rows or lines.
    Rejected,
    /// `plan --detailed-exitcode`: a run would change something.
    Changes,
    /// A guard stopped the work before anything was visible.
    Stopped,
    /// Wrong usage or configuration.
    Usage,
    /// The work failed.
    Failed,
    /// Stopped by SIGINT.
    Interrupted,
    /// Stopped by SIGTERM.
    Terminated,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage | Self::Changes => 2,
            Self::Rejected => 3,
            Self::Stopped => 4,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The end that an error leads to. `interruption` tells which signal a cancelled run was stopped by.
    pub fn of(error: &Error, interruption: &Interruption) -> Self {
        Self::of_class(error.class(), interruption)
    }

    fn of_class(class: Class, interruption: &Interruption) -> Self {
        match class {
            Class::Usage => Self::Usage,
            Class::Failure => Self::Failed,
            Class::Guard => Self::Stopped,
            Class::Cancelled => interruption.exit(),
        }
    }

    /// The end that a finished run leads to.
    pub fn of_run(report: &RunReport, interruption: &Interruption) -> Self {
        match report.status {
            RunStatus::Succeeded | RunStatus::Unchanged => Self::Done,
            RunStatus::Partial => Self::Rejected,
            RunStatus::Stopped => Self::Stopped,
            RunStatus::Cancelled => interruption.exit(),
            RunStatus::Running => Self::Failed,
            RunStatus::Failed => {
                let code = report.error.as_ref().and_then(|error| codes::find(&error.code));
                let usage = code.is_some_and(|code| code.class == Class::Usage || is_bad_sql(code.id));
                if usage { Self::Usage } else { Self::Failed }
            }
        }
    }
}

/// Whether a code says that the SQL itself is at fault. In a project that is a matter of configuration; in `query` the
/// command has failed.
pub fn is_bad_sql(code: &str) -> bool {
    const BAD_SQL: &[tapline_core::Code] = &[
        codes::SQL_001,
        codes::SQL_002,
        codes::SQL_003,
        codes::SQL_004,
        codes::SQL_005,
        codes::SQL_010,
        codes::SQL_013,
    ];
    BAD_SQL.iter().any(|bad| bad.id == code)
}

/// The wish of the user, or of the system, that the command stops: once in good order, twice at once.
#[derive(Debug, Clone, Default)]
pub struct Interruption {
    token: CancellationToken,
    terminated: Arc<AtomicBool>,
}

impl Interruption {
    /// Cancelled at the first signal; runs watch it and stop in good order.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// The end of a command that stopped because of it.
    pub fn exit(&self) -> Exit {
        if self.terminated.load(Ordering::Relaxed) { Exit::Terminated } else { Exit::Interrupted }
    }

    /// Listens for SIGINT and SIGTERM for as long as the process lives. Must be called within the runtime.
    pub fn listen(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let interruption = self.clone();
        tokio::spawn(async move {
            loop {
                let terminated = tokio::select! {
                    _ = interrupt.recv() => false,
                    _ = terminate.recv() => true,
                };
                let second = interruption.token.is_cancelled();
                interruption.terminated.store(terminated, Ordering::Relaxed);
                interruption.token.cancel();
                if second {
                    #[allow(clippy::disallowed_methods, reason = "the second signal means: at once")]
                    std::process::exit(i32::from(interruption.exit().code()));
                }
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_end_of_several_syncs_decides() {
        let order = [Exit::Done, Exit::Rejected, Exit::Stopped, Exit::Failed, Exit::Interrupted];
        assert!(order.is_sorted());
        assert_eq!(order.map(Exit::code), [0, 3, 4, 1, 130]);
    }

    #[test]
    fn sql_that_cannot_be_planned_is_configuration_and_sql_that_fails_on_a_value_is_not() {
        assert!(is_bad_sql("SQL-001"));
        assert!(is_bad_sql("SQL-002"));
        assert!(!is_bad_sql("SQL-011"));
    }
}
