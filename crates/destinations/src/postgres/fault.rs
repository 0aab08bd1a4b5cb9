//! From PostgreSQL's errors to Tapline's: codes, hints, and the reasons of refused rows.
//! Not here: deciding what a refusal means for a run (see `apply`).
//! Called wherever a statement is sent.

use std::error::Error as _;
use std::time::Duration;

use tapline_core::{Code, Error, codes};
use tokio_postgres::error::{DbError, SqlState};

/// How long to wait before a run that lost against another transaction, or whose server went away, is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The error for a statement that failed; `doing` says what it was for.
///
/// The server's DETAIL is dropped, and so is the message of data exceptions, since both may hold cell values.
pub(super) fn statement(doing: &str, error: tokio_postgres::Error) -> Error {
    let Some(server) = error.as_db_error() else {
        return lost(doing, error);
    };
    let state = server.code();
    if *state == SqlState::INSUFFICIENT_PRIVILEGE {
        return Error::new(codes::DEST_003, format!("{doing}: {}", server.message()));
    }
    if state.code().starts_with("22") {
        return Error::new(
            codes::DEST_006,
            format!("{doing}: the server cannot take a value (SQLSTATE {})", state.code()),
        );
    }
    let failed = Error::new(codes::DEST_006, format!("{doing}: {}", server.message()));
    if is_passing(state.code()) { failed.retry_after(RETRY_AFTER) } else { failed }
}

/// Whether an error goes away by itself: the connection is gone, the transaction lost against another, or the server is
/// short of something, shuts down or starts. See <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub(super) fn is_passing(state: &str) -> bool {
    const WITHIN_TRANSACTION_TIMEOUT: &str = "25P03";
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    const CONFIGURATION_LIMIT: &str = "53400";
    match state {
        WITHIN_TRANSACTION_TIMEOUT | LOCK_NOT_AVAILABLE => true,
        CONFIGURATION_LIMIT => false,
        // Shutdown by the administrator, crash, start, and the end of a session that was idle too long; not a statement
        // that somebody cancelled.
        "57P01" | "57P02" | "57P03" | "57P05" => true,
        _ => matches!(state.get(..2), Some("08" | "40" | "53")),
    }
}

/// The error for staged rows that are not all there, or too many.
pub(super) fn incomplete(found: u64, expected: u64) -> Error {
    Error::new(codes::DEST_008, format!("{found} rows are staged where {expected} should be"))
        .hint(
            "staged rows are lost when the server crashes; nothing became visible, and the next run stages them again",
        )
        .retry_after(RETRY_AFTER)
}

/// The error for a connection that broke while it was in use.
fn lost(doing: &str, error: tokio_postgres::Error) -> Error {
    if error.is_closed() || io_kind(&error).is_some() {
        Error::new(codes::DEST_001, format!("{doing}: the connection to PostgreSQL was lost"))
            .because(error)
            .hint("see whether the server was restarted; the next run begins where this one began")
            .retry_after(RETRY_AFTER)
    } else {
        Error::new(codes::DEST_006, format!("{doing}: the answer of PostgreSQL was not understood")).because(error)
    }
}

/// The kind of the input or output error below `error`, if there is one.
pub(super) fn io_kind(error: &tokio_postgres::Error) -> Option<std::io::ErrorKind> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}

/// Why the server refused a row: an error that another row in its place might not have met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: Code,
    /// Names of columns and constraints, never a cell value.
    pub(super) reason: String,
    pub(super) kind: RefusalKind,
}

/// What can be done about a [`Refusal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefusalKind {
    /// Two rows exclude each other; another order, or both at once, may help.
    Unique,
    /// Another row is missing or still there; another order may help.
    Reference,
    /// The row itself is at fault.
    Row,
}

impl Refusal {
    /// A refusal of the row itself.
    pub(super) fn row(code: Code, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), kind: RefusalKind::Row }
    }

    /// Reads a failed statement as the refusal of a row; `None` where the whole statement is at fault.
    ///
    /// `policies` says whether row-level security applies, so that a missing right may be a single row's fault.
    pub(super) fn read(error: &tokio_postgres::Error, policies: bool) -> Option<Self> {
        let server = error.as_db_error()?;
        let state = server.code();
        let constraint = || server.constraint().map_or_else(|| "a constraint".to_owned(), |name| format!("{name:?}"));
        let refused = |kind, reason: String| Some(Self { code: codes::ROW_002, reason, kind });
        match state {
            state if *state == SqlState::NOT_NULL_VIOLATION => refused(RefusalKind::Row, not_null(server)),
            state if *state == SqlState::UNIQUE_VIOLATION => refused(
                RefusalKind::Unique,
                format!("another row has the same value under the unique constraint {}", constraint()),
            ),
            state if *state == SqlState::EXCLUSION_VIOLATION => refused(
                RefusalKind::Unique,
                format!("another row conflicts with it under the exclusion constraint {}", constraint()),
            ),
            state if *state == SqlState::FOREIGN_KEY_VIOLATION || *state == SqlState::RESTRICT_VIOLATION => {
                refused(RefusalKind::Reference, format!("the foreign key {} does not hold", constraint()))
            }
            state if *state == SqlState::CHECK_VIOLATION => {
                refused(RefusalKind::Row, format!("the check {} does not hold", constraint()))
            }
            state if *state == SqlState::INSUFFICIENT_PRIVILEGE && policies => {
                refused(RefusalKind::Row, "a policy of row-level security forbids it".to_owned())
            }
            state if *state == SqlState::PROGRAM_LIMIT_EXCEEDED => {
                refused(RefusalKind::Row, "a value is too long for an index of the table".to_owned())
            }
            state => match state.code().get(..2)? {
                "22" => Some(Self::row(
                    codes::ROW_001,
                    format!("the server cannot take a value (SQLSTATE {})", state.code()),
                )),
                "23" | "44" => {
                    refused(RefusalKind::Row, format!("a constraint does not hold (SQLSTATE {})", state.code()))
                }
                "P0" => {
                    refused(RefusalKind::Row, format!("a trigger of the table refused it (SQLSTATE {})", state.code()))
                }
                _ => None,
            },
        }
    }
}

fn not_null(server: &DbError) -> String {
    match server.column() {
        Some(column) => format!("column {column:?} must not be null"),
        None => "a column must not be null".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::is_passing;

    #[test]
    fn errors_pass_or_stay() {
        let passing = [
            ("08000", "connection exception"),
            ("08006", "connection failure"),
            ("25P03", "idle in transaction"),
            ("40001", "serialization failure"),
            ("40P01", "deadlock"),
            ("53100", "disk full"),
            ("53200", "out of memory"),
            ("53300", "too many connections"),
            ("55P03", "lock not available"),
            ("57P01", "admin shutdown"),
            ("57P02", "crash shutdown"),
            ("57P03", "cannot connect now"),
            ("57P05", "idle session"),
        ];
        for (state, name) in passing {
            assert!(is_passing(state), "{state}, {name}");
        }
        let staying = [
            ("22P02", "invalid text representation"),
            ("23505", "unique violation"),
            ("28P01", "wrong password"),
            ("3D000", "no such database"),
            ("42501", "insufficient privilege"),
            ("42P01", "undefined table"),
            ("42804", "datatype mismatch"),
            ("53400", "configuration limit"),
            ("57014", "cancelled by a user"),
            ("57P04", "database dropped"),
            ("XX000", "internal error"),
            ("", "nothing"),
        ];
        for (state, name) in staying {
            assert!(!is_passing(state), "{state}, {name}");
        }
    }
}
