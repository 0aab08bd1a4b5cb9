//! Rejected rows of one run in a sealed file beside the database, where they are many.
//! Not here: payloads, which are few and lie in the database; which file counts, which the database says.
//! Called by `reject`.
//!
//! A file is a sequence of frames, each its length (4 bytes, little-endian) and that many sealed bytes: a JSON array of
//! rejected rows. A frame is sealed for its place in its file, so that none can be moved or left out unseen.

use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tapline_core::{Error, Reject, Result, codes};

use super::make_private_folder;
use crate::record::unreadable;
use crate::seal::Sealer;

/// Rejected rows of one frame.
const FRAME_ROWS: usize = 1_000;

/// The folder of such files, with a folder per sync.
pub(super) struct RejectFiles {
    folder: PathBuf,
}

/// A rejected row as a frame holds it.
#[derive(Serialize, Deserialize)]
struct Stored {
    encoded_key: Vec<u8>,
    key: Value,
    code: String,
    reason: String,
    attempts: u32,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
}

impl RejectFiles {
    /// Files in `folder`, which is made when it is needed.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Writes a run's rejected rows, durably, and returns the name of the file.
    pub(super) async fn write(
        &self,
        sealer: &Sealer,
        sync: &str,
        generation: u64,
        rejects: &[Reject],
    ) -> Result<String> {
        let folder = self.folder.join(sync);
        let name = format!("{generation}.sealed");
        let failed = |error: std::io::Error| failed("writing", &folder.join(&name), error);
        make_private_folder(&folder).map_err(failed)?;
        let mut file = BufWriter::new(tempfile::NamedTempFile::new_in(&folder).map_err(failed)?);
        for (index, frame) in rejects.chunks(FRAME_ROWS).enumerate() {
            let rows: Vec<Stored> = frame.iter().map(Stored::of).collect();
            let clear = serde_json::to_vec(&rows).map_err(unreadable)?;
            let sealed = sealer.seal(&place(sync, &name, index), &clear).await?;
            let length = u32::try_from(sealed.len()).map_err(|_| Error::internal("a frame of rejects is too long"))?;
            file.write_all(&length.to_le_bytes()).and_then(|()| file.write_all(&sealed)).map_err(failed)?;
        }
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(folder.join(&name)).map_err(|error| failed(error.error))?;
        std::fs::File::open(&folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(name)
    }

    /// Reads the file `name`, which holds `rows` rejected rows.
    pub(super) async fn read(&self, sealer: &Sealer, sync: &str, name: &str, rows: u64) -> Result<Vec<Reject>> {
        let path = self.folder.join(sync).join(name);
        let failed = |error: std::io::Error| failed("reading", &path, error);
        let mut file = BufReader::new(std::fs::File::open(&path).map_err(failed)?);
        let mut rejects = Vec::new();
        let mut index = 0;
        while (rejects.len() as u64) < rows {
            let mut length = [0; 4];
            file.read_exact(&mut length).map_err(failed)?;
            let mut sealed = Vec::new();
            let length = u64::from(u32::from_le_bytes(length));
            file.by_ref().take(length).read_to_end(&mut sealed).map_err(failed)?;
            let clear = sealer.open(&place(sync, name, index), &sealed).await?;
            let frame: Vec<Stored> = serde_json::from_slice(&clear).map_err(unreadable)?;
            rejects.extend(frame.into_iter().map(Stored::into_reject));
            index += 1;
        }
        Ok(rejects)
    }

    /// Reads the frame of the file `name` in which the row at `position` lies, and the position of the frame's first row.
    pub(super) async fn frame(
        &self,
        sealer: &Sealer,
        sync: &str,
        name: &str,
        position: usize,
    ) -> Result<(usize, Vec<Reject>)> {
        let path = self.folder.join(sync).join(name);
        let failed = |error: std::io::Error| failed("reading", &path, error);
        let mut file = std::fs::File::open(&path).map_err(failed)?;
        let index = position / FRAME_ROWS;
        let mut length = [0; 4];
        for _ in 0..index {
            file.read_exact(&mut length).map_err(failed)?;
            file.seek_relative(i64::from(u32::from_le_bytes(length))).map_err(failed)?;
        }
        file.read_exact(&mut length).map_err(failed)?;
        let mut sealed = Vec::new();
        file.take(u64::from(u32::from_le_bytes(length))).read_to_end(&mut sealed).map_err(failed)?;
        let clear = sealer.open(&place(sync, name, index), &sealed).await?;
        let frame: Vec<Stored> = serde_json::from_slice(&clear).map_err(unreadable)?;
        Ok((index * FRAME_ROWS, frame.into_iter().map(Stored::into_reject).collect()))
    }

    /// Removes the files of a sync other than `kept`: those of earlier runs, and of runs that never committed.
    pub(super) fn sweep(&self, sync: &str, kept: Option<&str>) {
        let Ok(entries) = std::fs::read_dir(self.folder.join(sync)) else { return };
        for entry in entries.flatten() {
            if kept.is_none_or(|kept| entry.file_name() != kept)
                && let Err(error) = std::fs::remove_file(entry.path())
            {
                tracing::warn!(file = %entry.path().display(), %error, "cannot remove a file of rejected rows");
            }
        }
    }
}

impl Stored {
    fn of(reject: &Reject) -> Self {
        Self {
            encoded_key: reject.encoded_key.clone(),
            key: reject.key.clone(),
            code: reject.code.clone(),
            reason: reject.reason.clone(),
            attempts: reject.attempts,
            first_at: reject.first_at,
            last_at: reject.last_at,
        }
    }

    fn into_reject(self) -> Reject {
        let Self { encoded_key, key, code, reason, attempts, first_at, last_at } = self;
        Reject { encoded_key, key, reason, code, payload: None, attempts, first_at, last_at }
    }
}

/// What a frame is sealed for.
fn place(sync: &str, name: &str, index: usize) -> String {
    format!("{sync}\0{name}\0{index}")
}

fn failed(doing: &str, path: &Path, error: std::io::Error) -> Error {
    Error::new(codes::STATE_001, format!("{doing} the rejected rows in {}", path.display())).because(error)
}
