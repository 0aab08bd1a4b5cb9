//! What a place remembers of a stream: owner, generation, the set of files that stands. The fence is its replacement in
//! one step.
//! Not here: how a place replaces a file in one step (`place`).
//! Called by every run before anything else, and at the moment of publication.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tapline_core::values::duckdb_type_name;
use tapline_core::{
    Error, FieldInfo, Marker, Outcome, Owner, Published, Result, RowId, RowOutcome, StreamInfo, StreamName, codes,
    failpoint,
};

use super::layout::{Content, Format, OWN, own_folder};
use super::place::{Place, Version};

/// Questions that wait for their answers at the same time.
const AT_ONCE: usize = 16;
/// So often a stamp is tried again when somebody else was faster.
const ATTEMPTS: usize = 20;

/// The file of the record, in the folder that is Tapline's own.
const MARKER: &str = "marker.json";
/// The file that readers follow, beside it.
const MANIFEST: &str = "manifest.json";

/// The record of a stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    stream: StreamName,
    owner: Owner,
    generation: u64,
    published: Option<Publication>,
    pub(crate) set: Option<SetRecord>,
    /// The file of the outcomes of the last publication, where there are any.
    outcomes: Option<String>,
    /// Files that are to be removed.
    #[serde(default)]
    outdated: Vec<String>,
}

/// The last publication by the owner.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Publication {
    pub(crate) generation: u64,
    pub(crate) batches: u64,
    pub(crate) removed: u64,
}

/// The files of one publication.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SetRecord {
    /// What tells this set from one that was made anew.
    pub(crate) id: String,
    pub(crate) generation: u64,
    pub(crate) format: Format,
    pub(crate) content: Content,
    /// The schema of the rows, as Arrow writes it.
    schema: String,
    pub(crate) rows: u64,
    /// The files for readers.
    pub(crate) files: Vec<FileRecord>,
    /// Where the rows are kept that the next run changes, as Parquet; empty where `files` are that themselves.
    pub(crate) kept: Vec<FileRecord>,
}

/// One file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FileRecord {
    pub(crate) path: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// `added`, `changed` or `removed`, where the files hold what a run changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<String>,
    /// Where the file is until it gets its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) staged: Option<String>,
}

impl SetRecord {
    pub(crate) fn new(generation: u64, format: Format, content: Content, schema: &SchemaRef) -> Result<Self> {
        Ok(Self {
            id: uuid::Uuid::new_v4().to_string(),
            generation,
            format,
            content,
            schema: write_schema(schema)?,
            rows: 0,
            files: Vec::new(),
            kept: Vec::new(),
        })
    }

    /// The files that hold the rows as Parquet.
    pub(crate) fn rows_in(&self) -> &[FileRecord] {
        if self.kept.is_empty() { &self.files } else { &self.kept }
    }

    pub(crate) fn schema(&self) -> Result<SchemaRef> {
        let damaged = || Error::new(codes::DEST_006, "reading the schema of a set of files: it is damaged");
        let bytes = STANDARD.decode(&self.schema).map_err(|_| damaged())?;
        let reader = StreamReader::try_new(bytes.as_slice(), None).map_err(|_| damaged())?;
        Ok(reader.schema())
    }

    fn identity(&self) -> String {
        format!("{}:{}", self.id, self.generation)
    }
}

fn write_schema(schema: &Schema) -> Result<String> {
    let failed = |error| Error::internal("writing a schema").because(error);
    let mut writer = StreamWriter::try_new(Vec::new(), schema).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(STANDARD.encode(writer.into_inner().map_err(failed)?))
}

/// What readers of the files follow: it names the files of one publication, and is replaced when they all stand.
#[derive(Serialize)]
struct Manifest<'a> {
    stream: String,
    generation: u64,
    format: Format,
    content: Content,
    rows: u64,
    fields: Vec<ManifestField>,
    files: Vec<ManifestFile<'a>>,
}

#[derive(Serialize)]
struct ManifestField {
    name: String,
    r#type: String,
}

#[derive(Serialize)]
struct ManifestFile<'a> {
    /// Relative to the destination.
    path: &'a str,
    rows: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<&'a str>,
}

/// One line of the file of outcomes.
#[derive(Serialize, Deserialize)]
struct OutcomeLine {
    row: RowId,
    /// Absent for a row that was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
}

/// The records of a place.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    place: Arc<dyn Place>,
}

/// A record as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) record: Record,
    version: Version,
}

impl Records {
    pub(crate) fn new(place: Arc<dyn Place>) -> Self {
        Self { place }
    }

    /// The record of a stream, if there is one.
    pub(crate) async fn find(&self, stream: &StreamName) -> Result<Option<Found>> {
        self.read(&format!("{}/{MARKER}", own_folder(stream))).await
    }

    async fn read(&self, path: &str) -> Result<Option<Found>> {
        let Some((content, version)) = self.place.load(path).await? else { return Ok(None) };
        let record = serde_json::from_slice(&content).map_err(|error| {
            Error::new(codes::DEST_006, format!("reading {}", self.place.shown(path)))
                .because(error)
                .hint("somebody has changed the file; remove its folder and run the sync with --full-refresh")
        })?;
        Ok(Some(Found { record, version }))
    }

    /// All streams that hold a set.
    pub(crate) async fn streams(&self) -> Result<Vec<StreamInfo>> {
        let mut streams = Vec::new();
        for path in self.place.list(OWN).await?.iter().filter(|path| path.ends_with(&format!("/{MARKER}"))) {
            let Some(Found { record, .. }) = self.read(path).await? else { continue };
            let Some(set) = &record.set else { continue };
            if self.stands(set).await? {
                streams.push(StreamInfo { name: record.stream.clone(), fields: fields(set)? });
            }
        }
        streams.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(streams)
    }

    /// The marker that a record comes down to.
    pub(crate) async fn marker(&self, record: &Record) -> Result<Marker> {
        let set = match &record.set {
            Some(set) if self.stands(set).await? => Some(set.identity()),
            _ => None,
        };
        Ok(Marker {
            owner: record.owner.clone(),
            generation: record.generation,
            published: record.published.map(|Publication { generation, batches, removed }| Published {
                generation,
                batches,
                removed,
            }),
            created: set.is_some(),
            table: set,
            published_table: record.published.and(record.set.as_ref()).map(SetRecord::identity),
        })
    }

    /// Whether all files that hold the rows of a set are there, with the lengths they were written in.
    pub(crate) async fn stands(&self, set: &SetRecord) -> Result<bool> {
        let there = |file: &FileRecord| {
            let (place, file) = (Arc::clone(&self.place), file.clone());
            async move {
                for path in file.staged.iter().chain([&file.path]) {
                    if place.size(path).await? == Some(file.bytes) {
                        return Ok::<_, Error>(true);
                    }
                }
                Ok(false)
            }
        };
        let asked: Vec<_> = set.rows_in().iter().map(there).collect();
        stream::iter(asked).buffer_unordered(AT_ONCE).try_all(|there| async move { there }).await
    }

    /// Writes owner and generation, then finishes what an earlier run has left behind it.
    pub(crate) async fn stamp(&self, stream: &StreamName, owner: &Owner, generation: u64) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let before = self.find(stream).await?;
            let same = before.as_ref().is_some_and(|found| found.record.owner == *owner);
            let (record, version) = match before {
                Some(found) if same && found.record.generation > generation => {
                    return Err(self.taken_over(stream, generation, Some(&found.record)));
                }
                Some(Found { record, version }) if same => (Record { generation, ..record }, Some(version)),
                Some(Found { record, version }) => {
                    let owner = owner.clone();
                    let outdated = record.outdated.into_iter().chain(record.outcomes).collect();
                    let record = Record { owner, generation, published: None, outcomes: None, outdated, ..record };
                    (record, Some(version))
                }
                None => {
                    let (stream, owner) = (stream.clone(), owner.clone());
                    let (published, set, outcomes, outdated) = (None, None, None, Vec::new());
                    (Record { stream, owner, generation, published, set, outcomes, outdated }, None)
                }
            };
            if self.swap(&record, version.as_ref()).await? {
                self.settle(stream).await?;
                return self.sweep(stream).await;
            }
        }
        Err(Error::new(codes::DEST_006, format!("stamping the marker of {stream}: others keep changing it"))
            .retry_after(std::time::Duration::from_secs(1)))
    }

    async fn swap(&self, record: &Record, before: Option<&Version>) -> Result<bool> {
        let path = format!("{}/{MARKER}", own_folder(&record.stream));
        self.place.swap(&path, json(record)?, before).await
    }

    /// The record, which must be exactly this run's.
    pub(crate) async fn claim(&self, stream: &StreamName, owner: &Owner, generation: u64) -> Result<Found> {
        match self.find(stream).await? {
            Some(found) if found.record.owner == *owner && found.record.generation == generation => Ok(found),
            found => Err(self.taken_over(stream, generation, found.as_ref().map(|found| &found.record))),
        }
    }

    fn taken_over(&self, stream: &StreamName, generation: u64, by: Option<&Record>) -> Error {
        match by {
            Some(by) => Error::new(
                codes::DEST_007,
                format!("run {generation} cannot publish {stream}: run {} has taken over", by.generation),
            )
            .hint("let the later run finish; nothing of this one is visible"),
            None => Error::new(codes::DEST_007, format!("the marker of {stream} is gone"))
                .hint("somebody removed it while the run went on; run the sync again"),
        }
    }

    /// Replaces the set of a claimed record, in one step; `DEST-007` where another run was faster.
    pub(crate) async fn publish(
        &self,
        claimed: &Found,
        publication: Publication,
        set: SetRecord,
        outcomes: Option<String>,
    ) -> Result<()> {
        let Record { stream, owner, generation, .. } = claimed.record.clone();
        let stay: HashSet<&str> = set.files.iter().chain(&set.kept).map(|file| file.path.as_str()).collect();
        let mut outdated = claimed.record.outdated.clone();
        outdated.extend(claimed.record.outcomes.clone());
        if let Some(old) = &claimed.record.set {
            let exported = old.files.iter().filter(|_| old.content == Content::All);
            outdated.extend(exported.chain(&old.kept).map(|file| file.path.clone()));
        }
        outdated.retain(|path| !stay.contains(path.as_str()));
        let (published, set) = (Some(publication), Some(set));
        let record = Record { stream, owner, generation, published, set, outcomes, outdated };
        if self.swap(&record, Some(&claimed.version)).await? {
            return Ok(());
        }
        let now = self.find(&record.stream).await?;
        Err(self.taken_over(&record.stream, generation, now.as_ref().map(|found| &found.record)))
    }

    /// Gives published files their paths, tells readers of them, and removes the files whose time is over. Every step is
    /// done again without harm, by this run or by the next.
    pub(crate) async fn settle(&self, stream: &StreamName) -> Result<()> {
        let Some(Found { mut record, version }) = self.find(stream).await? else { return Ok(()) };
        let unfinished = !record.outdated.is_empty();
        let mut moved = false;
        if let Some(set) = &mut record.set {
            for file in set.files.iter_mut().chain(&mut set.kept) {
                if let Some(staged) = file.staged.take() {
                    self.place.rename(&staged, &file.path).await?;
                    failpoint("publish-placed");
                    moved = true;
                }
            }
            if moved || unfinished {
                self.place.save(&format!("{}/{MANIFEST}", own_folder(stream)), manifest(stream, set)?).await?;
            }
        }
        for path in std::mem::take(&mut record.outdated) {
            self.place.remove(&path).await?;
        }
        if moved || unfinished {
            // Where another run has replaced the record, it has done all this as well.
            self.swap(&record, Some(&version)).await?;
        }
        Ok(())
    }

    /// Removes what runs have left in Tapline's own folder that no record names.
    async fn sweep(&self, stream: &StreamName) -> Result<()> {
        let Some(Found { record, .. }) = self.find(stream).await? else { return Ok(()) };
        let folder = own_folder(stream);
        let mut named: HashSet<&str> = record.outcomes.iter().map(String::as_str).collect();
        for file in record.set.iter().flat_map(|set| set.files.iter().chain(&set.kept)) {
            named.insert(&file.path);
            named.extend(file.staged.as_deref());
        }
        for path in self.place.list(&folder).await? {
            let own = path.strip_prefix(&format!("{folder}/")).is_some_and(|name| name == MARKER || name == MANIFEST);
            if !own && !named.contains(path.as_str()) {
                self.place.remove(&path).await?;
            }
        }
        Ok(())
    }

    /// Writes the outcomes of a publication beside its files; the path, where there are any.
    pub(crate) async fn keep_outcomes(&self, folder: &str, outcomes: &[RowOutcome]) -> Result<Option<String>> {
        if outcomes.is_empty() {
            return Ok(None);
        }
        let mut lines = Vec::new();
        for RowOutcome { row, outcome } in outcomes {
            let line = match outcome {
                Outcome::Rejected { code, reason } => {
                    OutcomeLine { row: *row, code: Some(code.id.to_owned()), reason: reason.clone() }
                }
                Outcome::Skipped => OutcomeLine { row: *row, code: None, reason: String::new() },
            };
            lines.extend_from_slice(&json(&line)?);
            lines.push(b'\n');
        }
        let path = format!("{folder}/outcomes.ndjson");
        self.place.save(&path, lines.into()).await?;
        Ok(Some(path))
    }

    /// The outcomes of the publication of `generation`.
    pub(crate) async fn outcomes(&self, stream: &StreamName, generation: u64) -> Result<Vec<RowOutcome>> {
        let Some(Found { record, .. }) = self.find(stream).await? else { return Ok(Vec::new()) };
        let path = record.outcomes.filter(|_| record.published.is_some_and(|last| last.generation == generation));
        let Some(path) = path else { return Ok(Vec::new()) };
        let damaged = || {
            Error::new(codes::DEST_006, format!("reading {}: it is damaged or gone", self.place.shown(&path)))
                .hint("run the sync with --full-refresh")
        };
        let (content, _) = self.place.load(&path).await?.ok_or_else(damaged)?;
        let read = |line: &[u8]| {
            let OutcomeLine { row, code, reason } = serde_json::from_slice(line).map_err(|_| damaged())?;
            let outcome = match code {
                None => Outcome::Skipped,
                Some(id) => Outcome::Rejected { code: codes::find(&id).ok_or_else(damaged)?, reason },
            };
            Ok(RowOutcome { row, outcome })
        };
        content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(read).collect()
    }

    /// Whether a file of somebody else stands under a path that a run is going to write.
    pub(crate) async fn is_taken(&self, path: &str, record: &Record) -> Result<bool> {
        let ours = |file: &FileRecord| file.path == path;
        let known =
            record.set.iter().any(|set| set.files.iter().any(ours)) || record.outdated.iter().any(|own| own == path);
        Ok(!known && self.place.size(path).await?.is_some())
    }
}

/// The fields of a set, in DuckDB's words.
fn fields(set: &SetRecord) -> Result<Vec<FieldInfo>> {
    let field = |field: &arrow::datatypes::FieldRef| FieldInfo {
        name: field.name().clone(),
        data_type: duckdb_type_name(field),
        required: false,
    };
    Ok(set.schema()?.fields().iter().map(field).collect())
}

fn manifest(stream: &StreamName, set: &SetRecord) -> Result<Bytes> {
    let field = |field: FieldInfo| ManifestField { name: field.name, r#type: field.data_type };
    let manifest = Manifest {
        stream: stream.to_string(),
        generation: set.generation,
        format: set.format,
        content: set.content,
        rows: set.rows,
        fields: fields(set)?.into_iter().map(field).collect(),
        files: set
            .files
            .iter()
            .map(|FileRecord { path, rows, bytes, change, .. }| ManifestFile {
                path,
                rows: *rows,
                bytes: *bytes,
                change: change.as_deref(),
            })
            .collect(),
    };
    let text = serde_json::to_string_pretty(&manifest)
        .map_err(|error| Error::internal("writing a manifest").because(error))?;
    Ok((text + "\n").into())
}

fn json(value: &impl Serialize) -> Result<Bytes> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| Error::internal("writing a record").because(error))
}
