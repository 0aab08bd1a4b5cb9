//! Snapshot files in a bucket, for several machines: files are fetched before they are read, and shared before anything
//! counts on them.
//! Not here: what is in the files (`snapshot`, `log`), which of them count (the checkpoint).
//! Called by runs and plans, through the job.

use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use tapline_core::{Error, Result, codes};
use tapline_storage::S3Source;
use tokio::io::AsyncWriteExt;
use tokio::sync::OnceCell;

use super::files::FileRef;

/// A folder in a bucket, beside which every machine keeps copies in a folder of its own.
pub struct SharedFolder {
    source: S3Source,
    prefix: String,
    store: OnceCell<Arc<dyn ObjectStore>>,
}

impl SharedFolder {
    /// The folder that a source is limited to. Nothing is asked before it is used.
    pub fn new(source: S3Source) -> Self {
        let prefix = source.config().path.clone();
        Self { source, prefix, store: OnceCell::new() }
    }

    async fn store(&self) -> Result<&Arc<dyn ObjectStore>> {
        self.store.get_or_try_init(|| self.source.writable()).await
    }

    fn key(&self, sync: &str, name: &str) -> Key {
        Key::from_iter(self.prefix.split('/').filter(|part| !part.is_empty()).chain([sync, name]))
    }

    /// Copies a file into `folder`, unless it is there already.
    pub(crate) async fn fetch(&self, sync: &str, folder: &Path, file: &FileRef) -> Result<()> {
        let path = folder.join(&file.name);
        if std::fs::metadata(&path).is_ok_and(|there| there.len() == file.bytes) {
            return Ok(());
        }
        let failed = |error: object_store::Error| {
            Error::new(codes::STATE_004, format!("fetching {} of sync {sync}", file.name))
                .because(error)
                .hint("make sure that state.snapshots can be read")
                .hint("where the file is gone, `tapline reset SYNC` delivers everything again")
        };
        let here = |error: std::io::Error| {
            Error::new(codes::FILE_006, format!("writing {}", path.display()))
                .because(error)
                .hint("make room on the disk")
        };
        std::fs::create_dir_all(folder).map_err(here)?;
        let half = folder.join(format!("{}.fetched.tmp", file.name));
        let mut copy = tokio::fs::File::create(&half).await.map_err(here)?;
        let mut bytes = self.store().await?.get(&self.key(sync, &file.name)).await.map_err(failed)?.into_stream();
        while let Some(piece) = bytes.try_next().await.map_err(failed)? {
            copy.write_all(&piece).await.map_err(here)?;
        }
        copy.flush().await.map_err(here)?;
        drop(copy);
        std::fs::rename(&half, &path).map_err(here)
    }

    /// Copies a finished file out of `folder`; when this returns it is durable in the bucket.
    pub(crate) async fn share(&self, sync: &str, folder: &Path, file: &FileRef) -> Result<()> {
        let key = self.key(sync, &file.name);
        let failed = |error: std::io::Error| {
            Error::new(codes::FILE_006, format!("writing {key} to the bucket of state.snapshots"))
                .because(error)
                .hint("the credentials need s3:PutObject and s3:DeleteObject there")
        };
        let mut from = tokio::fs::File::open(folder.join(&file.name)).await.map_err(failed)?;
        let mut to = BufWriter::new(Arc::clone(self.store().await?), key.clone());
        tokio::io::copy(&mut from, &mut to).await.map_err(failed)?;
        to.shutdown().await.map_err(failed)
    }

    /// Removes the files of a sync that are not in `kept`. One that cannot be removed is left to the next sweep.
    pub(crate) async fn sweep(&self, sync: &str, kept: &[&str]) {
        let Ok(store) = self.store().await else { return };
        let folder = self.key(sync, "");
        let mut files = store.list(Some(&folder));
        while let Some(Ok(file)) = files.next().await {
            if file.location.filename().is_none_or(|name| !kept.contains(&name))
                && let Err(error) = store.delete(&file.location).await
            {
                tracing::warn!(file = %file.location, %error, "cannot remove a leftover file");
            }
        }
    }
}
