//! What goes wrong with files of this machine.
//! Not here: the files.
//! Called wherever a file of this machine is opened, read or written.

use std::io::{Error as IoError, ErrorKind};

use tapline_core::{Error, Result, codes};

/// The error for what was being done with a local file.
pub(crate) fn fault(doing: impl Into<String>, error: IoError) -> Error {
    let (code, hint) = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            (codes::DEST_003, "the folder must be writable for the user that runs Tapline")
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            (codes::DEST_006, "make room on the disk, also in the folder for temporary files (TMPDIR)")
        }
        ErrorKind::NotADirectory => (codes::DEST_001, "a file stands where a folder is needed: name another folder"),
        _ => (codes::DEST_006, "look at the disk, and run the sync again"),
    };
    Error::new(code, doing).because(error).hint(hint)
}

/// Does what blocks on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(Error::internal("a thread was stopped before its end").because(error)),
    }
}
