//! What a run needs: one sync with its model, source, destination and state, put together by the caller.
//! Not here: reading the project file (the binary's wiring does), the run itself (`walk`).
//! Called by whoever starts runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tapline_core::config::{Mode, ModelConfig, SyncConfig};
use tapline_core::{Capabilities, Destination, Error, Owner, Refresh, Result, SEMANTICS_VERSION, StateStore, codes};
use tapline_storage::S3Source;

use super::record::KeyField;
use crate::diff::files::{FileRef, sweep};
use crate::diff::rows::{KeyCodec, hash};
use crate::diff::shared::SharedFolder;
use crate::diff::snapshot::{SnapshotRef, folder_of};
use crate::sql::{Access, Limits};

/// One sync, ready to run.
#[derive(Clone)]
pub struct SyncJob {
    /// Its name.
    pub name: String,
    /// Its settings.
    pub sync: SyncConfig,
    /// The model's settings.
    pub model: ModelConfig,
    /// The source of the model.
    pub source: Arc<S3Source>,
    /// The destination.
    pub destination: Arc<dyn Destination>,
    /// What the destination can do.
    pub capabilities: Capabilities,
    /// Where state is kept.
    pub state: Arc<dyn StateStore>,
    /// The folder of snapshots, one folder per sync below it.
    pub snapshots: PathBuf,
    /// Where several machines share them; the folder holds copies then.
    pub shared: Option<Arc<SharedFolder>>,
    /// What the SQL may use.
    pub limits: Limits,
}

/// What the person who starts a run asks for.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The run's id, where it has been given out before the run begins; a new ULID without it.
    pub id: Option<String>,
    /// Make the stream equal to the model this once, whatever the sync's mode.
    pub full_refresh: bool,
    /// Rows at the destination that Tapline did not deliver may go.
    pub replace_existing: bool,
    /// A model without rows is meant.
    pub allow_empty: bool,
    /// Stop after so many deliveries (incremental only).
    pub limit: Option<u64>,
    /// How long to wait for another run of the sync.
    pub lock_timeout: Duration,
    /// The digest of a plan that must still hold.
    pub plan: Option<String>,
    /// Offer only the rows that were rejected before.
    pub only_rejects: bool,
    /// Offer rows again that were rejected before. Otherwise they stay open as they are, and are no reason to run;
    /// a full refresh writes them all the same.
    pub offer_rejects: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            id: None,
            full_refresh: false,
            replace_existing: false,
            allow_empty: false,
            limit: None,
            lock_timeout: Duration::from_secs(30),
            plan: None,
            only_rejects: false,
            offer_rejects: true,
        }
    }
}

impl SyncJob {
    /// Who claims the stream.
    pub(crate) fn owner(&self) -> Owner {
        Owner { store: self.state.id().to_owned(), sync: self.name.clone() }
    }

    /// Which stream of which destination: another one under the same name is a first run.
    pub(crate) fn identity(&self) -> String {
        format!("{} {}", self.destination.identity(), self.sync.stream)
    }

    /// The folder of the sync's snapshot files.
    pub(crate) fn folder(&self) -> PathBuf {
        folder_of(&self.snapshots, &self.name)
    }

    /// Makes sure that files of the sync are in its folder.
    pub(crate) async fn fetch(&self, files: impl IntoIterator<Item = &FileRef>) -> Result<()> {
        let Some(shared) = &self.shared else { return Ok(()) };
        for file in files {
            shared.fetch(&self.name, &self.folder(), file).await?;
        }
        Ok(())
    }

    /// Makes sure that other machines see files of the sync's folder, other than those of `known`.
    pub(crate) async fn share(&self, files: impl IntoIterator<Item = &FileRef>, known: &SnapshotRef) -> Result<()> {
        let Some(shared) = &self.shared else { return Ok(()) };
        for file in files.into_iter().filter(|file| !known.files.contains(file)) {
            shared.share(&self.name, &self.folder(), file).await?;
        }
        Ok(())
    }

    /// Removes files of the sync that its snapshot does not name.
    pub(crate) async fn sweep(&self, snapshot: &SnapshotRef) {
        let kept: Vec<&str> = snapshot.files.iter().map(|file| file.name.as_str()).collect();
        sweep(&self.folder(), &kept);
        if let Some(shared) = &self.shared {
            shared.sweep(&self.name, &kept).await;
        }
    }

    /// Where the SQL may read.
    pub(crate) fn access(&self) -> Access {
        Access::Source(Arc::clone(&self.source))
    }

    /// The mode of a run with these options.
    pub(crate) fn mode(&self, options: &RunOptions) -> Mode {
        match options {
            // A part of the rows can only be added to what is there.
            RunOptions { only_rejects: true, .. } => Mode::Incremental,
            RunOptions { full_refresh: true, .. } => Mode::FullRefresh,
            _ => self.sync.mode,
        }
    }

    /// Fails where the options ask for what the destination cannot do.
    pub(crate) fn is_able(&self, options: &RunOptions) -> Result<()> {
        if self.mode(options) == Mode::Incremental || self.capabilities.full_refresh {
            return Ok(());
        }
        let message = format!("the destination of the sync `{}` cannot be refreshed in full", self.name);
        Err(Error::new(codes::CONF_007, message)
            .hint("run it incrementally; `tapline reset` first has every row delivered again"))
    }

    /// How a run with these options changes the stream.
    pub(crate) fn refresh(&self, options: &RunOptions) -> Refresh {
        match self.mode(options) {
            Mode::FullRefresh => Refresh::Full { replace_existing: options.replace_existing },
            Mode::Incremental => Refresh::Incremental,
        }
    }

    /// A digest over everything besides the files that decides which values are delivered.
    pub(crate) fn fingerprint(&self) -> String {
        let source = self.source.config();
        let words = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "semantics": SEMANTICS_VERSION,
            "source": [self.source.url(), source.endpoint, source.file_type.to_string()],
            "csv": source.csv,
            "sql": self.model.sql,
            "key": self.model.primary_key,
            "fields": self.sync.fields,
            "stream": self.identity(),
            "mode": self.sync.mode,
            "write": self.sync.write,
            "deletes": self.sync.deletes,
            "on_bad_key": self.sync.on_bad_key,
        });
        hex(&hash(&[0; 16], words.to_string().as_bytes()))
    }
}

/// The key fields as a record keeps them.
pub(crate) fn key_fields(codec: &KeyCodec) -> Vec<KeyField> {
    codec.fields().iter().map(|field| KeyField::of(field)).collect()
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
