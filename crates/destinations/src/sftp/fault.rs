//! What goes wrong on a server of SFTP.
//! Not here: what keeps us from getting there (`connect`).
//! Called wherever the server is asked for something.

use std::time::Duration;

use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::StatusCode;
use tapline_core::{Error, codes};

/// The error for what was being done with a file.
pub(super) fn fault(doing: &str, error: SftpError) -> Error {
    match &error {
        SftpError::Status(status) if status.status_code == StatusCode::PermissionDenied => {
            Error::new(codes::DEST_003, format!("{doing}: the server denies it"))
                .hint("the user must be allowed to make, rename and remove files and folders below `path`")
        }
        SftpError::Status(status) if status.status_code == StatusCode::NoSuchFile => {
            Error::new(codes::DEST_006, format!("{doing}: there is no such file or folder"))
                .hint("look at `path`; somebody may have removed files while the run went on")
        }
        SftpError::Status(_) => Error::new(codes::DEST_006, doing.to_owned())
            .because(error)
            .hint("look at the room on the server's disk, and at its log"),
        _ => connection_lost(doing, error),
    }
}

/// The error of a connection that is gone: the run tries again on another.
pub(super) fn connection_lost(doing: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(codes::DEST_006, format!("{doing}: the connection was lost"))
        .because(cause)
        .hint("look whether the server is reachable, and run the sync again")
        .retry_after(Duration::from_secs(2))
}

/// Whether the server says that there is no such file.
pub(super) fn is_absent(error: &SftpError) -> bool {
    matches!(error, SftpError::Status(status) if status.status_code == StatusCode::NoSuchFile)
}
