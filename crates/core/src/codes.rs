//! Every stable error code, with its class, blame and the page that `tapline explain` prints.
//! Not here: the errors themselves, which are made where they happen.
//! Called by every crate that makes an [`Error`](crate::Error), and by `tapline explain`.

use crate::error::Blame;

/// How a command ends when it meets this code; the exit codes of the command line follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Wrong usage or configuration: exit code 2.
    Usage,
    /// The work failed: exit code 1.
    Failure,
    /// A guard stopped the run before anything was visible: exit code 4.
    Guard,
    /// Somebody asked the run to stop: exit code 130 or 143.
    Cancelled,
}

/// A stable error code.
#[derive(Debug, Clone, Copy)]
pub struct Code {
    /// Such as `S3-004`.
    pub id: &'static str,
    /// How the command ends.
    pub class: Class,
    /// Whose fault it is.
    pub blame: Blame,
    /// The page of `docs/errors/`, in Markdown.
    pub page: &'static str,
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Code {}

macro_rules! codes {
    ($($name:ident = $id:literal, $class:ident, $blame:ident, $title:literal;)*) => {
        $(
            #[doc = $title]
            pub const $name: Code = Code {
                id: $id,
                class: Class::$class,
                blame: Blame::$blame,
                page: include_str!(concat!("../../../docs/errors/", $id, ".md")),
            };
        )*

        /// All codes, in the order of this file.
        pub const ALL: &[Code] = &[$($name),*];

        /// The one-line titles, in the order of [`ALL`].
        pub const TITLES: &[&str] = &[$($title),*];
    };
}

codes! {
    AUTH_001 = "AUTH-001", Failure, User, "the request is not signed in";
    AUTH_002 = "AUTH-002", Failure, User, "the right to do this is missing";
    AUTH_003 = "AUTH-003", Failure, User, "the e-mail address, password or code is wrong";
    AUTH_004 = "AUTH-004", Failure, User, "too many attempts to sign in";
    AUTH_005 = "AUTH-005", Failure, User, "the request comes from another place than the server's pages";
    CONF_001 = "CONF-001", Usage, User, "no project file was found";
    CONF_002 = "CONF-002", Usage, User, "the project file cannot be read as a project";
    CONF_003 = "CONF-003", Usage, User, "an environment variable is not set";
    CONF_004 = "CONF-004", Usage, User, "a name is not defined in the project";
    CONF_005 = "CONF-005", Usage, User, "settings do not fit together";
    CONF_006 = "CONF-006", Usage, User, "a file is already there";
    CONF_007 = "CONF-007", Usage, User, "a command was used in a way it does not support";
    S3_001 = "S3-001", Failure, External, "the S3 endpoint cannot be reached";
    S3_002 = "S3-002", Failure, User, "the access key is wrong";
    S3_003 = "S3-003", Failure, User, "the region is wrong";
    S3_004 = "S3-004", Failure, User, "access denied reading an object";
    S3_005 = "S3-005", Failure, User, "access denied listing a bucket";
    S3_006 = "S3-006", Failure, User, "the bucket does not exist";
    S3_007 = "S3-007", Failure, User, "no file matches";
    S3_008 = "S3-008", Failure, External, "a file was replaced while it was read";
    S3_009 = "S3-009", Failure, User, "a file is outside the source";
    S3_010 = "S3-010", Failure, External, "S3 answered with an error";
    S3_011 = "S3-011", Failure, User, "a file is of another type than the source says";
    S3_012 = "S3-012", Failure, User, "no credentials were found";
    S3_013 = "S3-013", Failure, External, "the credentials have expired";
    FILE_001 = "FILE-001", Failure, User, "a Parquet file cannot be read";
    FILE_002 = "FILE-002", Failure, User, "a CSV file cannot be read";
    FILE_003 = "FILE-003", Failure, User, "the files of a table differ in their columns";
    FILE_004 = "FILE-004", Failure, User, "a line does not fit, and the source says to fail";
    FILE_005 = "FILE-005", Failure, User, "a JSON file cannot be read";
    FILE_006 = "FILE-006", Failure, External, "a local file cannot be read or written";
    SQL_001 = "SQL-001", Failure, User, "the SQL cannot be parsed";
    SQL_002 = "SQL-002", Failure, User, "a column does not exist";
    SQL_003 = "SQL-003", Failure, User, "a table does not exist";
    SQL_004 = "SQL-004", Failure, User, "a function does not exist";
    SQL_005 = "SQL-005", Failure, User, "the SQL cannot be planned";
    SQL_010 = "SQL-010", Failure, User, "a statement is not allowed in a model";
    SQL_011 = "SQL-011", Failure, User, "the query failed while it ran";
    SQL_012 = "SQL-012", Failure, User, "the query needs more memory than it may use";
    SQL_013 = "SQL-013", Failure, User, "the SQL uses something that is not supported";
    KEY_001 = "KEY-001", Guard, User, "rows have no primary key";
    KEY_002 = "KEY-002", Guard, User, "rows share a primary key";
    KEY_003 = "KEY-003", Usage, User, "a primary key column is missing";
    KEY_004 = "KEY-004", Usage, User, "a column of this type cannot be a primary key";
    MAP_001 = "MAP-001", Usage, User, "a field maps a column that the model does not have";
    MAP_002 = "MAP-002", Usage, User, "a template cannot be used";
    SYNC_001 = "SYNC-001", Guard, User, "the source is empty where it was not";
    SYNC_002 = "SYNC-002", Guard, User, "the table holds rows that Tapline did not deliver";
    SYNC_003 = "SYNC-003", Failure, User, "the sync is already running";
    SYNC_004 = "SYNC-004", Guard, User, "the plan no longer holds";
    SYNC_005 = "SYNC-005", Guard, User, "a column changed";
    SYNC_006 = "SYNC-006", Guard, User, "too many rows would be deleted";
    SYNC_007 = "SYNC-007", Guard, User, "too many rows were refused";
    SYNC_008 = "SYNC-008", Guard, User, "deletions cannot be told from a model whose result is not determined";
    SYNC_009 = "SYNC-009", Failure, User, "the sync took longer than its timeout";
    MARK_001 = "MARK-001", Guard, User, "the stream belongs to another sync";
    MARK_002 = "MARK-002", Guard, User, "the destination is ahead of the state";
    MARK_003 = "MARK-003", Guard, User, "the destination is behind the state";
    DEST_001 = "DEST-001", Failure, External, "the destination cannot be reached";
    DEST_002 = "DEST-002", Failure, User, "the destination refuses the login";
    DEST_003 = "DEST-003", Failure, User, "a right is missing at the destination";
    DEST_004 = "DEST-004", Failure, User, "the stream cannot hold the fields";
    DEST_005 = "DEST-005", Failure, User, "the stream has no unique index on the key";
    DEST_006 = "DEST-006", Failure, External, "the destination failed";
    DEST_007 = "DEST-007", Failure, External, "another run has taken over the stream";
    DEST_008 = "DEST-008", Failure, External, "the staged rows are not complete";
    ROW_001 = "ROW-001", Failure, User, "a value cannot be stored exactly";
    ROW_002 = "ROW-002", Failure, User, "the destination refused a row";
    ROW_003 = "ROW-003", Failure, User, "the key is already at the destination";
    STATE_001 = "STATE-001", Failure, External, "the state cannot be opened";
    STATE_002 = "STATE-002", Failure, User, "the state was written by a newer version";
    STATE_003 = "STATE-003", Failure, External, "the state was changed by somebody else";
    STATE_004 = "STATE-004", Failure, External, "a snapshot file is damaged or missing";
    STATE_005 = "STATE-005", Failure, External, "the lease of the run was lost";
    RUN_001 = "RUN-001", Cancelled, User, "the run was asked to stop";
    RUN_002 = "RUN-002", Failure, Internal, "the counts of a run do not add up";
    RUN_003 = "RUN-003", Failure, Internal, "something that must hold did not";
    RUN_004 = "RUN-004", Failure, External, "the run was cut off";
    API_001 = "API-001", Usage, User, "there is nothing of that name";
    API_002 = "API-002", Usage, User, "the request does not go together with what is there";
    API_003 = "API-003", Usage, User, "somebody else has changed it meanwhile";
    API_004 = "API-004", Usage, User, "no admin would be left";
    API_005 = "API-005", Usage, User, "a request goes beyond a limit of the server";
    API_006 = "API-006", Usage, User, "a request cannot be understood";
    API_007 = "API-007", Usage, User, "an address may not be reached from the server";
    API_008 = "API-008", Usage, User, "a file may not be named through the server";
}

/// What a code means, in one line.
pub fn title(code: Code) -> &'static str {
    ALL.iter().position(|known| *known == code).map_or("", |index| TITLES[index])
}

/// The code with this id, in any case; `None` if there is none.
pub fn find(id: &str) -> Option<Code> {
    ALL.iter().copied().find(|code| code.id.eq_ignore_ascii_case(id))
}
