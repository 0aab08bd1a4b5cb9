//! What the engine remembers of a sync between runs: the body of its checkpoint.
//! Not here: where it is stored (`StateStore`).
//! Called by runs, plans and recovery.

use std::collections::HashMap;

use arrow::datatypes::Field;
use serde::{Deserialize, Serialize};
use tapline_core::{Checkpoint, Error, Intent, Result, codes};
use tapline_csv::TableFormat;

use super::cursor::CursorMark;
use super::job::hex;
use crate::diff::files::FileRef;
use crate::diff::rows::hash;
use crate::diff::snapshot::SnapshotRef;

/// A field as it was when it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyField {
    /// Field name.
    pub(crate) name: String,
    /// Arrow type, in words.
    pub(crate) data_type: String,
}

impl KeyField {
    /// What is recorded of a field.
    pub(crate) fn of(field: &Field) -> Self {
        Self { name: field.name().clone(), data_type: field.data_type().to_string() }
    }
}

/// The state of one sync after its last commit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Which stream of which destination the snapshot speaks of.
    pub(crate) identity: String,
    /// The key fields; empty without a primary key.
    pub(crate) key: Vec<KeyField>,
    /// What the destination is known to hold.
    pub(crate) snapshot: SnapshotRef,
    /// The sync's own random key for hashes, in hexadecimal.
    pub(crate) hash_key: String,
    /// The mapped fields as they were last delivered in full, in order.
    #[serde(default)]
    pub(crate) fields: Vec<KeyField>,
    /// How far the cursor has come.
    #[serde(default)]
    pub(crate) cursor: Option<CursorMark>,
    /// Rows that the model yielded last.
    pub(crate) rows: u64,
    /// The run that last published; `None` before the first publication.
    pub(crate) published: Option<u64>,
    /// The table's physical identity at that publication.
    pub(crate) table: Option<String>,
    /// Settings, SQL, mapping and version under which everything was delivered; absent where a run delivered a part.
    pub(crate) fingerprint: Option<String>,
    /// The files that everything was delivered from.
    pub(crate) manifest: Option<String>,
    /// Whether the same files may give other rows tomorrow.
    pub(crate) volatile: bool,
    /// How CSV files are read, by reference.
    pub(crate) formats: HashMap<String, TableFormat>,
    /// Lines that the last run could not read.
    pub(crate) source_rejects: u64,
    /// Rejected rows that are open.
    pub(crate) rejects: u64,
}

/// What a run is going to publish.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct IntentRecord {
    /// Which stream of which destination.
    pub(crate) identity: String,
    /// The change log; absent without a primary key.
    pub(crate) log: Option<FileRef>,
    /// Whether the stream is replaced as a whole, so that the log is all it holds.
    pub(crate) full: bool,
    /// How many batches.
    pub(crate) batches: u64,
    /// The record as it would be after the publication, its snapshot aside.
    pub(crate) after: Record,
}

impl Record {
    /// Reads the body of a checkpoint.
    pub(crate) fn from_checkpoint(checkpoint: &Checkpoint) -> Result<Self> {
        serde_json::from_value(checkpoint.body.clone()).map_err(|error| unreadable("checkpoint", error))
    }

    /// The record as a checkpoint's body.
    pub(crate) fn to_body(&self) -> Result<serde_json::Value> {
        serde_json::to_value(self).map_err(|error| Error::internal("writing a checkpoint").because(error))
    }

    /// The sync's key for hashes.
    pub(crate) fn hash_key(&self) -> Result<[u8; 16]> {
        let number = u128::from_str_radix(&self.hash_key, 16).map_err(|error| unreadable("checkpoint", error))?;
        Ok(number.to_be_bytes())
    }

    /// A record for a sync that has delivered nothing. Its hash key follows from the store's random id, so that a plan
    /// and the run after it agree.
    pub(crate) fn first(store: &str, identity: String, key: Vec<KeyField>) -> Self {
        let hash_key = hex(&hash(&[0; 16], format!("{store} {identity}").as_bytes()));
        Self { identity, key, hash_key, ..Self::default() }
    }
}

impl IntentRecord {
    /// The files that recovery reads.
    pub(crate) fn files(&self) -> impl Iterator<Item = &FileRef> {
        self.log.iter().chain(&self.after.snapshot.files)
    }

    /// Reads the body of an intent.
    pub(crate) fn from_intent(intent: &Intent) -> Result<Self> {
        serde_json::from_value(intent.body.clone()).map_err(|error| unreadable("intent", error))
    }
}

fn unreadable(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(codes::STATE_004, format!("the {what} of the sync cannot be read"))
        .because(error)
        .hint("run `tapline reset SYNC` to deliver everything again")
}
