//! A folder of a server as a place for files.
//! Not here: the connection (`connect`), and what the files are.
//! Called by the set of files, through [`Place`].
//!
//! SFTP has no locks and no conditional writes, but its rename fails where the new name is taken. So a small file that is
//! replaced in one step has a number at the end of its name, and whoever comes to the next number first has replaced it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::{Path as LocalPath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use russh_sftp::client::error::Error as SftpError;
use sha2::{Digest, Sha256};
use tapline_core::{Error, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;

use super::config::Config;
use super::connect::Session;
use super::fault::{connection_lost, fault, is_absent};
use crate::fileset::{Place, Version, local_fault};

/// Between the name of a file that is replaced in one step and its number.
const NUMBER: &str = ".v";

/// A folder of a server.
pub(super) struct Server {
    config: Config,
    root: String,
    session: Mutex<Option<Arc<Session>>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Server").field(&self.shown("")).finish()
    }
}

impl Server {
    pub(super) fn new(config: Config) -> Result<Self> {
        Ok(Self { root: config.root(), config, session: Mutex::new(None) })
    }

    /// The connection; another one where the last is gone.
    async fn session(&self) -> Result<Arc<Session>> {
        let mut session = self.session.lock().await;
        if let Some(open) = session.as_ref().filter(|session| !session.is_closed()) {
            return Ok(Arc::clone(open));
        }
        let opened = Arc::new(Session::open(&self.config).await?);
        *session = Some(Arc::clone(&opened));
        Ok(opened)
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.root)
    }

    fn fault(&self, doing: &str, path: &str, error: SftpError) -> Error {
        fault(&format!("{doing} {}", self.shown(path)), error)
    }

    /// The content of a file; `None` where it is absent.
    async fn content(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let session = self.session().await?;
        let mut file = match session.files.open(self.at(path)).await {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(self.fault("reading", path, error)),
        };
        let mut content = Vec::new();
        let read = file.read_to_end(&mut content).await;
        read.map_err(|error| connection_lost(&format!("reading {}", self.shown(path)), error))?;
        Ok(Some(content))
    }

    async fn is_there(&self, session: &Session, folder: &str) -> Result<bool> {
        match session.files.metadata(folder).await {
            Ok(_) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(fault(&format!("looking at {}:{folder}", self.config.host), error)),
        }
    }

    /// Makes the folders above a path.
    async fn make_room(&self, path: &str) -> Result<()> {
        let session = self.session().await?;
        let whole = self.at(path);
        let slashes: Vec<usize> = whole.match_indices('/').map(|(index, _)| index).filter(|index| *index > 0).collect();
        // The folders that are there are looked for from below, since nearly always all of them are.
        let mut missing = Vec::new();
        for end in slashes.iter().rev() {
            if self.is_there(&session, &whole[..*end]).await? {
                break;
            }
            missing.push(*end);
        }
        for end in missing.iter().rev() {
            if let Err(error) = session.files.create_dir(&whole[..*end]).await
                && !self.is_there(&session, &whole[..*end]).await?
            {
                return Err(self.fault("making the folder of", path, error));
            }
        }
        Ok(())
    }

    /// Writes a whole file beside a path; its name.
    async fn write_beside(&self, path: &str, mut content: impl AsyncRead + Unpin) -> Result<String> {
        self.make_room(path).await?;
        let session = self.session().await?;
        let (folder, _) = path.rsplit_once('/').unwrap_or_default();
        let slash = if folder.is_empty() { "" } else { "/" };
        let beside = format!("{folder}{slash}.tapline-{}", uuid::Uuid::new_v4().simple());
        let created = session.files.create(self.at(&beside)).await;
        let mut file = created.map_err(|error| self.fault("writing", path, error))?;
        let broken = |error| connection_lost(&format!("writing {}", self.shown(path)), error);
        tokio::io::copy(&mut content, &mut file).await.map_err(broken)?;
        file.flush().await.map_err(broken)?;
        file.sync_all().await.map_err(|error| self.fault("writing", path, error))?;
        file.shutdown().await.map_err(broken)?;
        Ok(beside)
    }

    async fn write(&self, path: &str, content: impl AsyncRead + Unpin) -> Result<()> {
        let beside = self.write_beside(path, content).await?;
        let replaced = self.session().await?.replace(&self.at(&beside), &self.at(path)).await;
        replaced.map_err(|error| self.fault("writing", path, error))
    }

    /// The names in a folder, folders apart; nothing where it is absent.
    async fn entries(&self, folder: &str) -> Result<Vec<(String, bool)>> {
        match self.session().await?.files.read_dir(self.at(folder)).await {
            Ok(entries) => Ok(entries.map(|entry| (entry.file_name(), entry.file_type().is_dir())).collect()),
            Err(error) if is_absent(&error) => Ok(Vec::new()),
            Err(error) => Err(self.fault("listing", folder, error)),
        }
    }

    /// The numbers under which a file stands, the last of which counts.
    async fn numbers(&self, path: &str) -> Result<BTreeSet<u64>> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let number = |(entry, _): (String, bool)| entry.strip_prefix(name)?.strip_prefix(NUMBER)?.parse().ok();
        Ok(self.entries(folder).await?.into_iter().filter_map(number).collect())
    }

    /// What a file holds that is replaced in one step, and its number: 0 where it never was.
    async fn newest(&self, path: &str) -> Result<(u64, Option<Vec<u8>>)> {
        loop {
            match self.numbers(path).await?.last() {
                None => return Ok((0, self.content(path).await?)),
                // Where it is gone by now, another has taken its place.
                Some(number) => {
                    if let Some(content) = self.content(&numbered(path, *number)).await? {
                        return Ok((*number, Some(content)));
                    }
                }
            }
        }
    }

    /// Removes the folders above a path that hold nothing any more.
    async fn remove_empty_folders(&self, path: &str) -> Result<()> {
        let session = self.session().await?;
        let mut above = path;
        while let Some((folder, _)) = above.rsplit_once('/') {
            // A folder that holds something stays.
            if session.files.remove_dir(self.at(folder)).await.is_err() {
                break;
            }
            above = folder;
        }
        Ok(())
    }

    async fn remove_one(&self, path: &str) -> Result<bool> {
        match self.session().await?.files.remove_file(self.at(path)).await {
            Ok(()) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(self.fault("removing", path, error)),
        }
    }
}

fn numbered(path: &str, number: u64) -> String {
    format!("{path}{NUMBER}{number}")
}

/// The name of a file without the number that it is replaced by.
fn plain(name: &str) -> &str {
    match name.rsplit_once(NUMBER) {
        Some((plain, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => plain,
        _ => name,
    }
}

fn version_of(content: &[u8]) -> Version {
    Version(Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect())
}

#[async_trait]
impl Place for Server {
    fn identity(&self) -> String {
        let Config { host, user, .. } = &self.config;
        format!("sftp:{user}@{host}:{}/{}", self.config.port(), self.root)
    }

    fn shown(&self, path: &str) -> String {
        format!("{}:{}", self.config.host, self.at(path))
    }

    async fn reach(&self) -> Result<String> {
        let session = self.session().await?;
        match session.files.metadata(if self.root.is_empty() { "/" } else { &self.root }).await {
            Ok(_) => Ok(self.shown("")),
            Err(error) if is_absent(&error) => {
                Ok(format!("{} does not exist yet; the first run makes it", self.shown("")))
            }
            Err(error) => Err(self.fault("looking at", "", error)),
        }
    }

    async fn load(&self, path: &str) -> Result<Option<(Bytes, Version)>> {
        let (_, content) = self.newest(path).await?;
        Ok(content.map(|content| {
            let version = version_of(&content);
            (content.into(), version)
        }))
    }

    async fn swap(&self, path: &str, content: Bytes, before: Option<&Version>) -> Result<bool> {
        let (number, now) = self.newest(path).await?;
        if now.as_deref().map(version_of).as_ref() != before {
            return Ok(false);
        }
        let next = numbered(path, number + 1);
        let beside = self.write_beside(path, content.as_ref()).await?;
        let session = self.session().await?;
        let renamed = session.files.rename(self.at(&beside), self.at(&next)).await;
        // The answer may have been lost, so what counts is what is there; a number that had come and gone before ours
        // counts for nothing.
        let numbers = self.numbers(path).await?;
        let won =
            numbers.last() == Some(&(number + 1)) && self.content(&next).await?.is_some_and(|there| there == content);
        if !won {
            self.remove_one(&beside).await?;
            if renamed.is_ok() {
                self.remove_one(&next).await?;
            }
            return Ok(false);
        }
        for older in numbers.range(..=number) {
            self.remove_one(&numbered(path, *older)).await?;
        }
        if number == 0 {
            self.remove_one(path).await?;
        }
        Ok(true)
    }

    async fn save(&self, path: &str, content: Bytes) -> Result<()> {
        self.write(path, content.as_ref()).await
    }

    async fn workshop(&self, _: &str) -> Result<Option<PathBuf>> {
        Ok(None)
    }

    async fn upload(&self, local: &LocalPath, path: &str) -> Result<()> {
        let opened = tokio::fs::File::open(local).await;
        let file = opened.map_err(|error| local_fault(format!("reading a file for {}", self.shown(path)), error))?;
        self.write(path, file).await
    }

    async fn download(&self, path: &str) -> Result<Option<File>> {
        let broken = |error| local_fault(format!("keeping {}", self.shown(path)), error);
        let mut there = match self.session().await?.files.open(self.at(path)).await {
            Ok(there) => there,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(self.fault("reading", path, error)),
        };
        let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(broken)?);
        let copied = tokio::io::copy(&mut there, &mut file).await;
        copied.map_err(|error| connection_lost(&format!("reading {}", self.shown(path)), error))?;
        file.flush().await.map_err(broken)?;
        let mut file = file.into_std().await;
        file.seek(SeekFrom::Start(0)).map_err(broken)?;
        Ok(Some(file))
    }

    async fn size(&self, path: &str) -> Result<Option<u64>> {
        match self.session().await?.files.metadata(self.at(path)).await {
            Ok(found) => Ok(found.size),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.fault("looking at", path, error)),
        }
    }

    async fn rename(&self, from: &str, to: &str) -> Result<()> {
        if self.size(from).await?.is_none() {
            return Ok(());
        }
        self.make_room(to).await?;
        match self.session().await?.replace(&self.at(from), &self.at(to)).await {
            Ok(()) => self.remove_empty_folders(from).await,
            Err(error) if is_absent(&error) && self.size(from).await?.is_none() => Ok(()),
            Err(error) => Err(self.fault("renaming", from, error)),
        }
    }

    async fn remove(&self, path: &str) -> Result<()> {
        if !self.remove_one(path).await? {
            for number in self.numbers(path).await? {
                self.remove_one(&numbered(path, number)).await?;
            }
        }
        self.remove_empty_folders(path).await
    }

    async fn list(&self, path: &str) -> Result<Vec<String>> {
        let mut files = BTreeSet::new();
        let mut folders = vec![path.to_owned()];
        while let Some(folder) = folders.pop() {
            for (name, is_folder) in self.entries(&folder).await? {
                if is_folder {
                    folders.push(format!("{folder}/{name}"));
                } else {
                    files.insert(format!("{folder}/{}", plain(&name)));
                }
            }
        }
        Ok(files.into_iter().collect())
    }
}
