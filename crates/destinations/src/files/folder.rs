//! A folder of this machine as a place for files.
//! Not here: what the files are.
//! Called by the set of files, through [`Place`].

use std::fs::{self, File};
use std::io::{Error as IoError, ErrorKind, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tapline_core::Result;

use crate::fileset::{OWN, Place, Version, blocking, local_fault};

/// The file that is locked while a small file is compared and replaced.
const LOCK: &str = ".lock";

/// A folder.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The folder `root`, absolute; made by the first file.
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    async fn work<T: Send + 'static>(
        &self,
        doing: &str,
        path: &str,
        work: impl FnOnce(&Self) -> Result<T, IoError> + Send + 'static,
    ) -> Result<T> {
        let (folder, doing) = (self.clone(), format!("{doing} {}", self.shown(path)));
        blocking(move || work(&folder).map_err(|error| local_fault(doing, error))).await
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The path without links, as far as it exists: two spellings of one folder are the same place.
    fn canonical(&self) -> PathBuf {
        let there = self.root.ancestors().find_map(|folder| Some((folder, folder.canonicalize().ok()?)));
        match there {
            Some((folder, canonical)) => match self.root.strip_prefix(folder) {
                Ok(rest) if rest.as_os_str().is_empty() => canonical,
                Ok(rest) => canonical.join(rest),
                Err(_) => self.root.clone(),
            },
            None => self.root.clone(),
        }
    }

    /// Makes the folder of a file that is to come.
    fn make_room(&self, path: &Path) -> Result<(), IoError> {
        path.parent().map_or(Ok(()), fs::create_dir_all)
    }

    /// Makes durable which files the folders above this path hold.
    fn sync_folders(&self, path: &Path) -> Result<(), IoError> {
        for folder in path.ancestors().skip(1) {
            match File::open(folder).and_then(|folder| folder.sync_all()) {
                // Another run has removed it together with its last file.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                synced => synced?,
            }
            if folder == self.root {
                break;
            }
        }
        Ok(())
    }

    /// Gives a file of this folder's disk a path. A folder that somebody removes at this moment, because it is empty, is
    /// made again.
    fn put(&self, from: &Path, to: &Path) -> Result<(), IoError> {
        self.make_room(to)?;
        match fs::rename(from, to) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.make_room(to)?;
                fs::rename(from, to)?;
            }
            renamed => renamed?,
        }
        self.sync_folders(to)
    }

    /// Removes the folders above a path that hold nothing any more.
    fn remove_empty_folders(&self, path: &Path) {
        for above in path.ancestors().skip(1).take_while(|above| *above != self.root) {
            // A folder that holds something stays.
            if fs::remove_dir(above).is_err() {
                break;
            }
        }
    }

    fn write(&self, path: &str, content: &[u8]) -> Result<(), IoError> {
        let path = self.at(path);
        self.make_room(&path)?;
        let folder = path.parent().unwrap_or(&self.root);
        let mut file = tempfile::Builder::new().prefix(".tapline-").tempfile_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        readable(file.as_file())?;
        file.persist(&path)?;
        self.sync_folders(&path)
    }
}

/// Gives a file the mode that other new files have, where temporary ones are their owner's alone.
#[cfg(unix)]
fn readable(file: &File) -> Result<(), IoError> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_: &File) -> Result<(), IoError> {
    Ok(())
}

/// `None` in place of an error that says that there is nothing.
fn where_present<T>(outcome: Result<T, IoError>) -> Result<Option<T>, IoError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

fn version_of(content: &[u8]) -> Version {
    Version(Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect())
}

#[async_trait]
impl Place for Folder {
    fn identity(&self) -> String {
        format!("files:{}", self.canonical().display())
    }

    fn shown(&self, path: &str) -> String {
        self.at(path).display().to_string()
    }

    async fn reach(&self) -> Result<String> {
        self.work("looking into", "", |folder| {
            Ok(match where_present(fs::read_dir(&folder.root))? {
                Some(_) => folder.root.display().to_string(),
                None => format!("{} does not exist yet; the first run makes it", folder.root.display()),
            })
        })
        .await
    }

    async fn load(&self, path: &str) -> Result<Option<(Bytes, Version)>> {
        let file = self.at(path);
        let content = self.work("reading", path, move |_| where_present(fs::read(file))).await?;
        Ok(content.map(|content| {
            let version = version_of(&content);
            (content.into(), version)
        }))
    }

    async fn swap(&self, path: &str, content: Bytes, before: Option<&Version>) -> Result<bool> {
        let (file, before) = (path.to_owned(), before.cloned());
        self.work("replacing", path, move |folder| {
            let own = folder.at(OWN);
            fs::create_dir_all(&own)?;
            // The lock ends with the handle, however the process ends.
            let lock = File::options().create(true).append(true).open(own.join(LOCK))?;
            lock.lock()?;
            let now = where_present(fs::read(folder.at(&file)))?.map(|content| version_of(&content));
            if now != before {
                return Ok(false);
            }
            folder.write(&file, &content)?;
            Ok(true)
        })
        .await
    }

    async fn save(&self, path: &str, content: Bytes) -> Result<()> {
        let file = path.to_owned();
        self.work("writing", path, move |folder| folder.write(&file, &content)).await
    }

    async fn workshop(&self, folder: &str) -> Result<Option<PathBuf>> {
        let workshop = self.at(folder);
        self.work("making", folder, move |_| {
            fs::create_dir_all(&workshop)?;
            Ok(Some(workshop))
        })
        .await
    }

    async fn upload(&self, local: &Path, path: &str) -> Result<()> {
        let (local, file) = (local.to_owned(), self.at(path));
        self.work("writing", path, move |folder| folder.put(&local, &file)).await
    }

    async fn download(&self, path: &str) -> Result<Option<File>> {
        let file = self.at(path);
        self.work("reading", path, move |_| where_present(File::open(file))).await
    }

    async fn size(&self, path: &str) -> Result<Option<u64>> {
        let file = self.at(path);
        self.work("looking at", path, move |_| Ok(where_present(fs::metadata(file))?.map(|found| found.len()))).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (before, after) = (self.at(from), self.at(to));
        self.work("renaming", from, move |folder| {
            if where_present(fs::symlink_metadata(&before))?.is_none() {
                return Ok(());
            }
            folder.put(&before, &after)?;
            folder.sync_folders(&before)?;
            folder.remove_empty_folders(&before);
            Ok(())
        })
        .await
    }

    async fn remove(&self, path: &str) -> Result<()> {
        let file = self.at(path);
        self.work("removing", path, move |folder| {
            where_present(fs::remove_file(&file))?;
            folder.remove_empty_folders(&file);
            Ok(())
        })
        .await
    }

    async fn list(&self, path: &str) -> Result<Vec<String>> {
        let name = path.to_owned();
        self.work("listing", path, move |folder| {
            let mut files = Vec::new();
            let mut folders = vec![name];
            while let Some(path) = folders.pop() {
                for entry in where_present(fs::read_dir(folder.at(&path)))?.into_iter().flatten() {
                    let entry = entry?;
                    let Ok(name) = entry.file_name().into_string() else { continue };
                    let below = format!("{path}/{name}");
                    if entry.file_type()?.is_dir() { folders.push(below) } else { files.push(below) }
                }
            }
            Ok(files)
        })
        .await
    }
}
