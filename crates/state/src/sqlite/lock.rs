//! Locks on files: one per sync, and one for opening the store. The operating system frees them when a process dies.
//! Not here: the numbers of runs, which the database hands out under the lock.
//! Called by the store.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tapline_core::{Error, Holder, Result, codes};
use tokio::time::Instant;

use crate::holder::{already_running, describe, this_process};

/// How often a waiter looks again.
const POLL: Duration = Duration::from_millis(50);

/// What a sync's name keeps of itself in a file name.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// The lock files of a store, and those of its locks that this process holds.
pub(super) struct Locks {
    folder: PathBuf,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    next_token: u64,
    files: HashMap<u64, File>,
}

impl Locks {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, held: Mutex::default() }
    }

    /// Waits for the lock under which a store is made and migrated; dropping the file frees it.
    pub(super) async fn opening(&self) -> Result<File> {
        // No sync has this file: a dot in a sync's name is written as `%2E`.
        let path = self.folder.join(".open");
        let mut file = self.file(path)?;
        self.wait(&mut file, Duration::from_secs(60)).await?.map_err(|holder| {
            Error::new(codes::STATE_001, format!("opening the state: it is being opened by {holder}"))
        })?;
        Ok(file)
    }

    /// Takes the lock of a sync. Fails with `SYNC-003` when another holder keeps it for longer than `wait`.
    pub(super) async fn take(&self, sync: &str, wait: Duration) -> Result<File> {
        let mut file = self.file(self.folder.join(format!("{}.lock", utf8_percent_encode(sync, PLAIN))))?;
        self.wait(&mut file, wait).await?.map_err(|holder| already_running(sync, &holder))?;
        Ok(file)
    }

    /// Keeps a lock until it is released by the token returned.
    pub(super) fn keep(&self, file: File) -> u64 {
        let mut held = self.held.lock();
        held.next_token += 1;
        let token = held.next_token;
        held.files.insert(token, file);
        token
    }

    /// Frees the lock with this token; one that is free already stays so.
    pub(super) fn release(&self, token: u64) -> Result<()> {
        let file = self.held.lock().files.remove(&token);
        match file {
            Some(file) => file.set_len(0).and_then(|()| file.unlock()).map_err(|error| self.failed(error)),
            None => Ok(()),
        }
    }

    fn file(&self, path: PathBuf) -> Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| self.failed(error))
    }

    /// Locks `file` and writes into it who holds it; the inner error says who kept it for all of `wait`.
    async fn wait(&self, file: &mut File, wait: Duration) -> Result<Result<(), String>> {
        let deadline = Instant::now() + wait;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(self.failed(error)),
                Err(TryLockError::WouldBlock) => {}
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(Err(holder(file)));
            }
            tokio::time::sleep_until(deadline.min(now + POLL)).await;
        }
        let text = serde_json::to_vec(&this_process()).map_err(|error| self.failed(error.into()))?;
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(&text))
            .map_err(|error| self.failed(error))?;
        Ok(Ok(()))
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::new(codes::STATE_001, format!("locking in {}", self.folder.display())).because(error)
    }
}

/// Who holds the lock, in words. The file may be empty: a holder takes the lock before it writes its name.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let holder = file
        .rewind()
        .and_then(|()| file.read_to_string(&mut text))
        .ok()
        .and_then(|_| serde_json::from_str::<Holder>(&text).ok());
    match holder {
        Some(holder) => describe(&holder),
        None => "another process".to_owned(),
    }
}
