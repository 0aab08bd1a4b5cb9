//! From MySQL's errors to Tapline's: codes, hints, and the reasons of refused rows.
//! Not here: deciding what a refusal means for a run (see `apply`).
//! Called wherever a statement is sent.
//!
//! Numbers: <https://mariadb.com/kb/en/mariadb-error-codes/>. Most messages of the server quote values, so that only
//! those of a few numbers are shown.

use std::io::ErrorKind;
use std::time::Duration;

use mysql_async::{DriverError, Error as Failure, IoError, ServerError};
use tapline_core::{Code, Error, codes};

/// How long to wait before a run that lost against another transaction, or whose server went away, is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Rights, absent things and what a server says when it refuses work: messages that name things and hold no values.
const SHOWN: &[u16] = &[
    1040, 1044, 1045, 1046, 1049, 1053, 1114, 1118, 1129, 1130, 1142, 1143, 1146, 1148, 1170, 1203, 1205, 1213, 1226,
    1227, 1290, 1419, 1665, 1698, 1836, 1927, 3948, 4031, 4166,
];
/// Errors of access to a database, a table, a column or a command.
const DENIED: &[u16] = &[1044, 1142, 1143, 1227, 1370, 1410];
/// The server does not take files of the client.
const NO_LOCAL_FILES: &[u16] = &[1148, 3948, 4166];

/// The error for a statement that failed; `doing` says what it was for.
pub(super) fn statement(doing: &str, error: Failure) -> Error {
    let server = match error {
        Failure::Server(server) => server,
        other => return lost(doing, other),
    };
    let number = server.code;
    let said = if SHOWN.contains(&number) {
        format!("{doing}: {}", server.message)
    } else {
        format!("{doing}: the server refuses (error {number}, SQLSTATE {})", server.state)
    };
    if DENIED.contains(&number) {
        return Error::new(codes::DEST_003, said);
    }
    if NO_LOCAL_FILES.contains(&number) {
        return Error::new(codes::DEST_003, said).hint(LOCAL_FILES_HINT);
    }
    let failed = Error::new(codes::DEST_006, said);
    if is_passing(number) { failed.retry_after(RETRY_AFTER) } else { failed }
}

/// The next step where LOAD DATA LOCAL is switched off.
pub(super) const LOCAL_FILES_HINT: &str =
    "switch it on: SET GLOBAL local_infile = 1; and local_infile = 1 in the server's configuration";

/// The number of a server's error.
pub(super) fn number(error: &Failure) -> Option<u16> {
    if let Failure::Server(ServerError { code, .. }) = error { Some(*code) } else { None }
}

/// Whether an error goes away by itself: the transaction lost against another, or the server is short of something, shuts
/// down, or has ended the session.
pub(super) fn is_passing(number: u16) -> bool {
    const PASSING: &[u16] = &[
        1020, // another transaction changed the row
        1021, // disk full
        1040, // too many connections
        1053, // shutdown
        1079, // normal shutdown
        1105, // unknown error, which clusters answer while they fail over
        1152, // aborted connection
        1153, 1154, 1155, 1156, 1157, 1158, 1159, 1160, 1161, // the network
        1203, // too many connections of the user
        1205, // lock wait timeout
        1213, // deadlock
        1226, // a limit per hour
        1614, // a deadlock within a transaction of several servers
        1836, // read only for the moment
        1927, // the session was killed
        4031, // the session was idle for too long
    ];
    PASSING.contains(&number)
}

/// The error for staged rows that are not all there, or too many.
pub(super) fn incomplete(found: u64, expected: u64) -> Error {
    Error::new(codes::DEST_008, format!("{found} rows are staged where {expected} should be"))
        .hint("the staging table was changed from outside; nothing became visible, and the next run stages them again")
        .retry_after(RETRY_AFTER)
}

/// The error for a connection that broke while it was in use, or an answer that makes no sense.
fn lost(doing: &str, error: Failure) -> Error {
    let broken = match &error {
        Failure::Io(_) => true,
        Failure::Driver(driver) => matches!(driver, DriverError::ConnectionClosed | DriverError::PacketOutOfOrder),
        _ => false,
    };
    if broken {
        Error::new(codes::DEST_001, format!("{doing}: the connection to the server was lost"))
            .because(error)
            .hint("see whether the server was restarted; the next run begins where this one began")
            .retry_after(RETRY_AFTER)
    } else {
        Error::new(codes::DEST_006, format!("{doing}: the answer of the server was not understood")).because(error)
    }
}

/// The kind of an input or output error, if it is one.
pub(super) fn io_kind(error: &Failure) -> Option<ErrorKind> {
    if let Failure::Io(IoError::Io(error)) = error { Some(error.kind()) } else { None }
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
    pub(super) fn read(error: &Failure) -> Option<Self> {
        let Failure::Server(server) = error else { return None };
        let ServerError { code: number, message, state } = server;
        let refused = |kind, reason: String| Some(Self { code: codes::ROW_002, reason, kind });
        match number {
            // "Duplicate entry 'value' for key 'name'": the name stands last, behind the value.
            1022 | 1062 | 1169 | 1586 | 1859 => refused(
                RefusalKind::Unique,
                format!("another row has the same value under the unique key {}", last_quoted(message)),
            ),
            1216 | 1217 | 1451 | 1452 | 1761 | 1762 => {
                refused(RefusalKind::Reference, format!("{} does not hold", foreign_key(message)))
            }
            1048 => refused(RefusalKind::Row, format!("column {} must not be null", first_quoted(message))),
            1364 => refused(
                RefusalKind::Row,
                format!("column {} has no default, and the row no value for it", first_quoted(message)),
            ),
            3819 | 4025 => refused(RefusalKind::Row, format!("the check {} does not hold", first_quoted(message))),
            1526 | 1748 => refused(RefusalKind::Row, "the table has no partition for it".to_owned()),
            1369 => refused(RefusalKind::Row, "a view's check does not hold".to_owned()),
            1644 => refused(RefusalKind::Row, format!("a trigger of the table refused it (SQLSTATE {state})")),
            1118 | 1139 | 1071 | 1713 => refused(RefusalKind::Row, "the row is too long for the table".to_owned()),
            1264 | 1265 | 1292 | 1365 | 1366 | 1367 | 1406 | 1411 | 1416 | 1441 | 1525 | 1690 | 3140 | 3156 | 4038 => {
                Some(Self::row(codes::ROW_001, format!("the server cannot take a value (error {number})")))
            }
            // What a trigger signals with a state of its own.
            _ if state == "45000" => {
                refused(RefusalKind::Row, format!("a trigger of the table refused it (SQLSTATE {state})"))
            }
            _ => None,
        }
    }
}

/// The last quoted name of a message, without the table before it.
fn last_quoted(message: &str) -> String {
    let name = message.trim_end_matches('\'').rsplit('\'').next().unwrap_or_default();
    format!("{:?}", name.rsplit('.').next().unwrap_or_default())
}

/// "…a foreign key constraint fails (`db`.`t`, CONSTRAINT `name` FOREIGN KEY…": the name.
fn foreign_key(message: &str) -> String {
    let name = message.split_once("CONSTRAINT `").and_then(|(_, rest)| rest.split('`').next());
    name.map_or_else(|| "a foreign key".to_owned(), |name| format!("the foreign key {name:?}"))
}

/// "CONSTRAINT `t.v` failed for `db`.`t`" of MariaDB, "Check constraint 'name' is violated." of MySQL, "Column 'name'
/// cannot be null" of both: the name, in messages that hold no value before it.
fn first_quoted(message: &str) -> String {
    let mut parts = message.split(['`', '\'']);
    format!("{:?}", parts.nth(1).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: u16, message: &str) -> Failure {
        Failure::Server(ServerError { code, message: message.to_owned(), state: "23000".to_owned() })
    }

    #[test]
    fn reasons_name_constraints_and_hold_no_values() {
        let cases = [
            (1062, "Duplicate entry 'it's secret' for key 'v'", "the unique key \"v\""),
            (1062, "Duplicate entry 'secret' for key 't.PRIMARY'", "the unique key \"PRIMARY\""),
            (1048, "Column 'n' cannot be null", "column \"n\" must not"),
            (1364, "Field 'n' doesn't have a default value", "column \"n\" has no default"),
            (4025, "CONSTRAINT `t.v` failed for `d`.`t`", "the check \"t.v\""),
            (3819, "Check constraint 't_chk_1' is violated.", "the check \"t_chk_1\""),
            (
                1452,
                "Cannot add or update a child row: a foreign key constraint fails (`d`.`r`, CONSTRAINT `r_ibfk_1` FOREIGN KEY (`id`) REFERENCES `t` (`id`))",
                "the foreign key \"r_ibfk_1\"",
            ),
            (1366, "Incorrect integer value: 'secret' for column `d`.`t`.`n` at row 1", "error 1366"),
        ];
        for (number, message, expected) in cases {
            let refusal = Refusal::read(&error(number, message)).expect("a row is refused");
            assert!(refusal.reason.contains(expected), "{number}: {}", refusal.reason);
            assert!(!refusal.reason.contains("secret"), "{}", refusal.reason);
        }
        assert!(Refusal::read(&error(1213, "Deadlock found")).is_none());
    }

    #[test]
    fn messages_that_quote_values_are_not_shown() {
        let shown = statement("publishing", error(1064, "You have an error near 'secret'"));
        assert!(!format!("{shown:?}").contains("secret"), "{shown:?}");
        assert_eq!(statement("x", error(1142, "INSERT command denied")).code(), codes::DEST_003);
        for (number, passes) in [(1205, true), (1213, true), (1927, true), (1040, true), (1064, false), (1146, false)] {
            assert_eq!(is_passing(number), passes, "{number}");
        }
    }
}
