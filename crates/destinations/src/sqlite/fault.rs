//! From SQLite's errors to Tapline's: codes, hints, and the reasons of refused rows.
//! Not here: deciding what a refusal means for a run (see `apply`).
//! Called wherever a statement is run.
//!
//! Result codes: <https://www.sqlite.org/rescode.html>. The low byte is the primary code.

use std::time::Duration;

use tapline_core::{Code, Error, codes};

/// How long to wait before a run that met another writer is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

const PERM: u32 = 3;
const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const READONLY: u32 = 8;
const FULL: u32 = 13;
const CANTOPEN: u32 = 14;
const TOOBIG: u32 = 18;
const CONSTRAINT: u32 = 19;
const MISMATCH: u32 = 20;
const AUTH: u32 = 23;
const NOTADB: u32 = 26;
const CONSTRAINT_FOREIGNKEY: u32 = 787;
const CONSTRAINT_NOTNULL: u32 = 1299;
const CONSTRAINT_PRIMARYKEY: u32 = 1555;
const CONSTRAINT_TRIGGER: u32 = 1811;
const CONSTRAINT_UNIQUE: u32 = 2067;
const CONSTRAINT_ROWID: u32 = 2579;
const CONSTRAINT_DATATYPE: u32 = 3091;

/// The error for a statement that failed; `doing` says what it was for.
pub(super) fn statement(doing: &str, error: sqlx::Error) -> Error {
    let Some(code) = code(&error) else {
        return Error::new(codes::DEST_006, doing).because(error);
    };
    match code & 0xff {
        PERM | READONLY | AUTH => Error::new(codes::DEST_003, doing)
            .because(error)
            .hint("the file, and the folder it is in, must be writable for the user that runs Tapline"),
        BUSY | LOCKED => Error::new(codes::DEST_006, format!("{doing}: another program is writing to the database"))
            .because(error)
            .hint("close the transaction that the other program left open, or run the sync again later")
            .retry_after(RETRY_AFTER),
        FULL => Error::new(codes::DEST_006, doing).because(error).hint("make room on the disk"),
        CANTOPEN => Error::new(codes::DEST_001, doing)
            .because(error)
            .hint("the file must be readable and the folder it is in writable for the user that runs Tapline"),
        NOTADB => Error::new(codes::DEST_001, format!("{doing}: the file is no SQLite database"))
            .hint("name another file as the destination's path"),
        // A trigger can put cell values into its message.
        CONSTRAINT => Error::new(codes::DEST_006, format!("{doing}: a constraint of the database does not hold")),
        _ => Error::new(codes::DEST_006, doing).because(error),
    }
}

/// The error for staged rows that are not all there, or too many.
pub(super) fn incomplete(problem: String) -> Error {
    Error::new(codes::DEST_008, problem)
        .hint("the staging file was changed from outside; nothing became visible, and the next run stages anew")
        .retry_after(RETRY_AFTER)
}

fn code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}

/// Why SQLite refused a row: an error that another row in its place might not have met.
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
    pub(super) fn read(error: &sqlx::Error) -> Option<Self> {
        let code = code(error)?;
        let message = error.as_database_error()?.message();
        // "UNIQUE constraint failed: customers.email": what stands behind the colon names columns or a constraint.
        let subject = message.split_once(": ").map_or("a constraint", |(_, subject)| subject);
        let refused = |kind, reason: String| Some(Self { code: codes::ROW_002, reason, kind });
        match code {
            CONSTRAINT_UNIQUE | CONSTRAINT_PRIMARYKEY | CONSTRAINT_ROWID => refused(
                RefusalKind::Unique,
                format!("another row has the same value in {subject}, which must be unique"),
            ),
            CONSTRAINT_FOREIGNKEY => refused(RefusalKind::Reference, "a foreign key does not hold".to_owned()),
            CONSTRAINT_NOTNULL => refused(RefusalKind::Row, format!("{subject} must not be null")),
            CONSTRAINT_TRIGGER => refused(RefusalKind::Row, "a trigger of the table refused it".to_owned()),
            CONSTRAINT_DATATYPE => Some(Self::row(codes::ROW_001, message)),
            _ => match code & 0xff {
                // A check without a name is told by its expression, which may quote values.
                CONSTRAINT if subject.chars().all(|character| character.is_alphanumeric() || character == '_') => {
                    refused(RefusalKind::Row, format!("the check {subject} does not hold"))
                }
                CONSTRAINT => refused(RefusalKind::Row, "a check of the table does not hold".to_owned()),
                MISMATCH => Some(Self::row(codes::ROW_001, "the key is no integer, which the table's rowid must be")),
                TOOBIG => Some(Self::row(codes::ROW_002, "the row is longer than SQLite can store")),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{ConnectOptions, SqliteConnection};
    use tapline_core::Retry;

    use super::*;

    async fn connect(path: &std::path::Path) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        options.busy_timeout(Duration::ZERO).foreign_keys(true).connect().await.unwrap()
    }

    /// What each statement fails with while another program holds the database: code, and whether it passes.
    #[tokio::test]
    async fn errors_pass_or_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.db");
        let mut holder = connect(&path).await;
        let set_up = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT NOT NULL); BEGIN IMMEDIATE";
        sqlx::raw_sql(set_up).execute(&mut holder).await.unwrap();
        let mut connection = connect(&path).await;
        let reads_only = "PRAGMA query_only = ON; CREATE TABLE u (id)";
        let cases = [
            ("BEGIN IMMEDIATE", codes::DEST_006, true),
            ("INSERT INTO t VALUES (1, 'a')", codes::DEST_006, true),
            ("SELECT absent FROM t", codes::DEST_006, false),
            ("INSERT INTO absent VALUES (1)", codes::DEST_006, false),
            ("ATTACH '/no/such/folder/file' AS other", codes::DEST_001, false),
            (reads_only, codes::DEST_003, false),
        ];
        for (sql, code, passes) in cases {
            let error = sqlx::raw_sql(sql).execute(&mut connection).await.expect_err(sql);
            let error = statement("trying", error);
            assert_eq!((error.code(), error.retry() != Retry::Never), (code, passes), "{sql}: {error:?}");
        }
    }
}
