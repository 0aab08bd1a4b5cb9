//! The promise of a place that holds files: a folder, a bucket, a folder of another machine.
//! Not here: the places themselves (`files`, `sftp`), and what the files hold.
//! Called by everything of a set of files that touches the outside.

use std::fmt::Debug;
use std::fs::File;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use tapline_core::Result;

/// What tells the content of a file from its later contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version(pub(crate) String);

/// Where a set of files stands. Paths are relative to it, with `/` between their parts.
///
/// A file is never seen in part: it appears, and is replaced, as a whole. What a method has done is durable when it
/// returns.
#[async_trait]
pub(crate) trait Place: Debug + Send + Sync + 'static {
    /// What tells this place from others, without secrets.
    fn identity(&self) -> String;

    /// A path as people write it.
    fn shown(&self, path: &str) -> String;

    /// Finds out whether the place is there and can be looked into; says what was found. Changes nothing.
    async fn reach(&self) -> Result<String>;

    /// A small file and its version; `None` where it is absent.
    async fn load(&self, path: &str) -> Result<Option<(Bytes, Version)>>;

    /// Replaces a small file in one step where it still is what it was, `None` for absent; false where it is not.
    async fn swap(&self, path: &str, content: Bytes, before: Option<&Version>) -> Result<bool>;

    /// Writes a small file, whatever was there.
    async fn save(&self, path: &str, content: Bytes) -> Result<()>;

    /// A folder of this machine from which files get to `folder` without being copied, where there is one.
    async fn workshop(&self, folder: &str) -> Result<Option<PathBuf>>;

    /// Takes a finished file of this machine in; it may be gone from where it was afterwards.
    async fn upload(&self, local: &Path, path: &str) -> Result<()>;

    /// The content of a file, as it is now whatever becomes of it; `None` where it is absent.
    async fn download(&self, path: &str) -> Result<Option<File>>;

    /// The length of a file in bytes; `None` where it is absent.
    async fn size(&self, path: &str) -> Result<Option<u64>>;

    /// Gives a file another path, in place of what is there. Done already where the file is absent.
    async fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Removes a file, and the folders that are empty without it. Done already where it is absent.
    async fn remove(&self, path: &str) -> Result<()>;

    /// The paths of all files below a folder; none where it is absent.
    async fn list(&self, folder: &str) -> Result<Vec<String>>;
}
