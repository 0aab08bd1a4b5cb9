//! A bucket of S3, or a part of it, as a place for files.
//! Not here: addresses and credentials (`tapline_storage`), and what the files are.
//! Called by the set of files, through [`Place`].

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::{Path as LocalPath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, UpdateVersion, WriteMultipart};
use tapline_core::{Error, Result, codes};
use tapline_storage::{ConnectOptions, S3Source, S3SourceConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::OnceCell;

use super::fault::{Action, fault};
use crate::fileset::{Place, Version, local_fault};

/// A file of this length goes up in one request; a longer one in parts of it.
const PART: u64 = 8 << 20;
/// Parts that an upload has at most.
const MOST_PARTS: u64 = 9_000;
/// Parts of a file that are on their way at the same time.
const AT_ONCE: usize = 4;

/// A bucket below a prefix.
pub(super) struct Bucket {
    source: S3Source,
    store: OnceCell<Arc<dyn ObjectStore>>,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Bucket").field(&self.source.url()).finish()
    }
}

impl Bucket {
    pub(super) fn new(config: S3SourceConfig) -> Result<Self> {
        let source = S3Source::connect(config, ConnectOptions::default())?;
        Ok(Self { source, store: OnceCell::new() })
    }

    async fn store(&self) -> Result<&Arc<dyn ObjectStore>> {
        self.store.get_or_try_init(|| self.source.writable()).await
    }

    fn key(&self, path: &str) -> Result<Path> {
        let prefix = &self.source.config().path;
        let key = if prefix.is_empty() { path.to_owned() } else { format!("{prefix}/{path}") };
        Path::parse(key).map_err(|error| {
            Error::new(codes::CONF_005, format!("{} is no name for an object", self.shown(path)))
                .because(error)
                .hint("choose another stream, or another `name` in the destination")
        })
    }

    fn fault(&self, action: Action, path: &str, error: StoreError) -> Error {
        fault(action, &self.source, &self.shown(path), error)
    }

    /// An upload in parts, of which nothing is visible before the last has arrived.
    async fn upload_parts(&self, mut file: tokio::fs::File, length: u64, path: &str) -> Result<()> {
        let failed = |error| self.fault(Action::Put, path, error);
        let broken = |error| local_fault(format!("reading a file for {}", self.shown(path)), error);
        let part = PART.max(length.div_ceil(MOST_PARTS));
        let size = usize::try_from(part).map_err(|_| Error::internal("a part is too large"))?;
        let upload = self.store().await?.put_multipart(&self.key(path)?).await.map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, size);
        loop {
            let mut piece = BytesMut::with_capacity(1 << 20);
            let read = match file.read_buf(&mut piece).await {
                Ok(read) => read,
                Err(error) => {
                    // What was uploaded costs money as long as it lies there.
                    let _ = upload.abort().await;
                    return Err(broken(error));
                }
            };
            if read == 0 {
                break;
            }
            upload.wait_for_capacity(AT_ONCE).await.map_err(failed)?;
            upload.put(piece.freeze());
        }
        upload.finish().await.map(drop).map_err(failed)
    }
}

fn where_present<T>(outcome: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[async_trait]
impl Place for Bucket {
    fn identity(&self) -> String {
        let config = self.source.config();
        match &config.endpoint {
            Some(endpoint) => format!("files:{} at {endpoint}", self.source.url()),
            None => format!("files:{}", self.source.url()),
        }
    }

    fn shown(&self, path: &str) -> String {
        format!("{}/{path}", self.source.url().trim_end_matches('/'))
    }

    async fn reach(&self) -> Result<String> {
        let mut files = self.store().await?.list(Some(&self.key("_tapline")?));
        files.next().await.transpose().map_err(|error| self.fault(Action::List, "", error))?;
        Ok(self.source.url())
    }

    async fn load(&self, path: &str) -> Result<Option<(Bytes, Version)>> {
        let failed = |error| self.fault(Action::Get, path, error);
        let got = where_present(self.store().await?.get(&self.key(path)?).await).map_err(failed)?;
        let Some(got) = got else { return Ok(None) };
        let version = Version(got.meta.e_tag.clone().unwrap_or_default());
        Ok(Some((got.bytes().await.map_err(failed)?, version)))
    }

    async fn swap(&self, path: &str, content: Bytes, before: Option<&Version>) -> Result<bool> {
        let mode = match before {
            None => PutMode::Create,
            Some(Version(tag)) => PutMode::Update(UpdateVersion { e_tag: Some(tag.clone()), version: None }),
        };
        let put = self.store().await?.put_opts(&self.key(path)?, content.clone().into(), mode.into()).await;
        match put {
            Ok(_) => Ok(true),
            // A request that was repeated, since its answer was lost, finds what it has written itself.
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. } | StoreError::NotFound { .. }) => {
                Ok(self.load(path).await?.is_some_and(|(now, _)| now == content))
            }
            Err(error) => Err(self.fault(Action::Put, path, error)),
        }
    }

    async fn save(&self, path: &str, content: Bytes) -> Result<()> {
        let put = self.store().await?.put(&self.key(path)?, content.into()).await;
        put.map(drop).map_err(|error| self.fault(Action::Put, path, error))
    }

    async fn workshop(&self, _: &str) -> Result<Option<PathBuf>> {
        Ok(None)
    }

    async fn upload(&self, local: &LocalPath, path: &str) -> Result<()> {
        let broken = |error| local_fault(format!("reading a file for {}", self.shown(path)), error);
        let mut file = tokio::fs::File::open(local).await.map_err(broken)?;
        let length = file.metadata().await.map_err(broken)?.len();
        if length > PART {
            return self.upload_parts(file, length, path).await;
        }
        let mut content = Vec::new();
        file.read_to_end(&mut content).await.map_err(broken)?;
        self.save(path, content.into()).await
    }

    async fn download(&self, path: &str) -> Result<Option<File>> {
        let failed = |error| self.fault(Action::Get, path, error);
        let broken = |error| local_fault(format!("keeping {}", self.shown(path)), error);
        let got = where_present(self.store().await?.get(&self.key(path)?).await).map_err(failed)?;
        let Some(got) = got else { return Ok(None) };
        let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(broken)?);
        let mut pieces = got.into_stream();
        while let Some(piece) = pieces.try_next().await.map_err(failed)? {
            file.write_all(&piece).await.map_err(broken)?;
        }
        file.flush().await.map_err(broken)?;
        let mut file = file.into_std().await;
        file.seek(SeekFrom::Start(0)).map_err(broken)?;
        Ok(Some(file))
    }

    async fn size(&self, path: &str) -> Result<Option<u64>> {
        let found = where_present(self.store().await?.head(&self.key(path)?).await);
        Ok(found.map_err(|error| self.fault(Action::Get, path, error))?.map(|found| found.size))
    }

    async fn rename(&self, from: &str, to: &str) -> Result<()> {
        let store = self.store().await?;
        let copied = where_present(store.copy(&self.key(from)?, &self.key(to)?).await);
        match copied.map_err(|error| self.fault(Action::Copy, to, error))? {
            Some(()) => self.remove(from).await,
            None => Ok(()),
        }
    }

    async fn remove(&self, path: &str) -> Result<()> {
        let removed = where_present(self.store().await?.delete(&self.key(path)?).await);
        removed.map(drop).map_err(|error| self.fault(Action::Delete, path, error))
    }

    async fn list(&self, path: &str) -> Result<Vec<String>> {
        let (folder, whole) = (self.key(path)?, self.key("x")?.to_string().len() - 1);
        let found =
            self.store().await?.list(Some(&folder)).map_ok(|found| found.location.to_string()[whole..].to_owned());
        found.try_collect().await.map_err(|error| self.fault(Action::List, path, error))
    }
}
