//! Sets of files: the rows of a stream as Parquet, CSV or NDJSON, published in one step wherever files can stand.
//! Not here: the places where they stand, which are destinations of their own (`files`, `sftp`).
//! Called by those destinations.
//!
//! A run stages its rows on this machine. To publish them it encodes the next set, takes the files to a folder of
//! Tapline's own where nobody looks, and replaces the stream's record in one step: that is the commit, and the fence.
//! Only then do the files get the paths that readers see, and the files of the set before go. A run that dies in between
//! has published; the next one finishes what is left.

mod build;
mod check;
mod encode;
mod keys;
mod layout;
mod local;
mod place;
mod read;
mod record;
mod spool;
mod types;
mod writer;

use std::fs::File;
use std::sync::Arc;

use async_trait::async_trait;
use tapline_core::{
    Capabilities, CheckStep, Destination, Marker, Owner, ReadBack, Result, RowOutcome, RowReader, StreamInfo,
    StreamName, Target, Writer,
};

pub use self::layout::{Compression, Content, CsvSettings, Format, Size};
pub(crate) use self::layout::{Layout, LayoutKeys, OWN};
pub(crate) use self::local::{blocking, fault as local_fault};
pub(crate) use self::place::{Place, Version};
use self::record::{Records, SetRecord};
use self::writer::SetWriter;

/// So often the files of a set are looked for again when a run replaces them meanwhile.
const ATTEMPTS: usize = 10;

/// What every destination that keeps files can do.
pub(crate) const CAPABILITIES: Capabilities =
    Capabilities { transactional: true, deletes: true, full_refresh: true, batch_rows: 16_384 };

/// A destination that keeps files in a place.
#[derive(Debug)]
pub(crate) struct FileSet {
    place: Arc<dyn Place>,
    layout: Layout,
    records: Records,
}

impl FileSet {
    pub(crate) fn new(place: Arc<dyn Place>, layout: Layout) -> Self {
        Self { records: Records::new(Arc::clone(&place)), place, layout }
    }

    /// The set of a stream, where all its rows are there.
    async fn set(&self, stream: &StreamName) -> Result<Option<SetRecord>> {
        let set = self.records.find(stream).await?.and_then(|found| found.record.set);
        match set {
            Some(set) if self.records.stands(&set).await? => Ok(Some(set)),
            _ => Ok(None),
        }
    }
}

#[async_trait]
impl Destination for FileSet {
    fn identity(&self) -> String {
        self.place.identity()
    }

    async fn check(&self) -> Vec<CheckStep> {
        check::check(self.place.as_ref()).await
    }

    async fn streams(&self) -> Result<Vec<StreamInfo>> {
        self.records.streams().await
    }

    async fn marker(&self, stream: &StreamName) -> Result<Option<Marker>> {
        match self.records.find(stream).await? {
            Some(found) => self.records.marker(&found.record).await.map(Some),
            None => Ok(None),
        }
    }

    async fn holds_rows(&self, stream: &StreamName) -> Result<Option<bool>> {
        Ok(self.set(stream).await?.map(|set| set.rows > 0))
    }

    async fn stamp(&self, stream: &StreamName, owner: &Owner, generation: u64) -> Result<()> {
        self.records.stamp(stream, owner, generation).await
    }

    async fn outcomes(&self, stream: &StreamName, generation: u64) -> Result<Vec<RowOutcome>> {
        self.records.outcomes(stream, generation).await
    }

    async fn open(&self, target: Target) -> Result<Box<dyn Writer>> {
        Ok(Box::new(SetWriter::open(&self.place, &self.layout, target).await?))
    }

    async fn read(&self, rows: ReadBack) -> Result<Option<Box<dyn RowReader>>> {
        for _ in 0..ATTEMPTS {
            let Some(set) = self.set(&rows.stream).await?.filter(|set| set.content == Content::All) else {
                return Ok(None);
            };
            read::check_key(set.schema()?.as_ref(), &rows)?;
            // A run that publishes at this moment removes them; its own are there then.
            if let Some(files) = open_rows(&self.place, &set).await? {
                return Ok(Some(read::read(files, rows)));
            }
        }
        Ok(None)
    }
}

/// Opens the files that hold the rows of a set; `None` where one of them is gone.
async fn open_rows(place: &Arc<dyn Place>, set: &SetRecord) -> Result<Option<Vec<File>>> {
    let mut files = Vec::new();
    for file in set.rows_in() {
        let mut found = None;
        for path in file.staged.iter().chain([&file.path]) {
            found = place.download(path).await?;
            if found.is_some() {
                break;
            }
        }
        let Some(found) = found else { return Ok(None) };
        let length = found.metadata().map_err(|error| local_fault("reading a file of rows", error))?.len();
        if length != file.bytes {
            return Ok(None);
        }
        files.push(found);
    }
    Ok(Some(files))
}
