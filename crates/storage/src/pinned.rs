//! Reads for queries, held to one listing: every byte is of an object as its manifest saw it.
//! Not here: listing (`manifest`) and single requests (`client`).
//! Called by the query engine, which has one such store per run registered for `s3://bucket`.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload,
    OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result as StoreResult, coalesce_ranges,
};
use parking_lot::RwLock;
use tapline_core::{Error, Result, Retry, codes};

use crate::client::{Counters, Pin, Reply, Traffic, version};
use crate::failure::{Action, Failure, FailureKind, Network, Stage};
use crate::manifest::{FileEntry, Manifest};
use crate::retry::Attempts;
use crate::source::S3Source;

/// An [`ObjectStore`] of the files of one or more manifests, and of nothing else.
///
/// Every request carries `If-Match` with the ETag of the manifest, and the version id once an answer has named it, so
/// that an object replaced in a versioned bucket is still read as it was. Where reading versions is not allowed, `If-Match`
/// stands alone. An object that is no longer the one listed gives an error that [`carried_error`] finds, of code
/// `S3-008`.
#[derive(Clone)]
pub struct PinnedStore {
    shared: Arc<Shared>,
}

struct Shared {
    source: S3Source,
    pins: RwLock<HashMap<Path, Arc<Pinned>>>,
    counters: Counters,
    /// Set when S3 has refused to read by version id.
    versions_denied: AtomicBool,
}

struct Pinned {
    file: FileEntry,
    version: OnceLock<String>,
}

impl PinnedStore {
    /// A store without any file.
    pub fn new(source: &S3Source) -> Self {
        let shared = Shared {
            source: source.clone(),
            pins: RwLock::default(),
            counters: Counters::default(),
            versions_denied: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Adds the files of a manifest. Fails with `S3-008` where one of them is here already in another state.
    pub fn pin(&self, manifest: &Manifest) -> Result<()> {
        let mut pins = self.shared.pins.write();
        for file in &manifest.files {
            let pinned = pins
                .entry(file.location())
                .or_insert_with(|| Arc::new(Pinned { file: file.clone(), version: OnceLock::new() }));
            let same_state = pinned.file.etag == file.etag && pinned.file.size == file.size;
            if pinned.file.key != file.key {
                return Err(Error::internal(format!(
                    "the keys {} and {} have one location",
                    pinned.file.key, file.key
                )));
            }
            if !same_state {
                let failure = Failure {
                    target: self.shared.source.client().target(Action::Get, &file.key),
                    kind: FailureKind::Changed,
                };
                return Err(failure.into_error());
            }
        }
        Ok(())
    }

    /// What this store has asked for and received.
    pub fn traffic(&self) -> Traffic {
        self.shared.counters.read()
    }

    fn find(&self, location: &Path) -> StoreResult<Arc<Pinned>> {
        self.shared.pins.read().get(location).cloned().ok_or_else(|| {
            let error = Error::new(codes::S3_009, format!("{location} is not among the files of the run"));
            store_error(error)
        })
    }

    fn metas(&self, prefix: Option<&Path>) -> Vec<ObjectMeta> {
        let pins = self.shared.pins.read();
        let mut metas: Vec<_> = pins
            .values()
            .map(|pinned| pinned.file.object_meta())
            .filter(|meta| prefix.is_none_or(|prefix| meta.location.prefix_matches(prefix)))
            .collect();
        metas.sort_by(|left, right| left.location.cmp(&right.location));
        metas
    }
}

impl Shared {
    fn pin(&self, pinned: &Pinned) -> Pin {
        let versions_work = !self.versions_denied.load(Ordering::Relaxed);
        Pin { etag: pinned.file.etag.clone(), version: pinned.version.get().cloned().filter(|_| versions_work) }
    }

    /// Whether the failure came from naming a version, and goes away without.
    fn loosens(&self, pin: &Pin, failure: &Failure) -> bool {
        let loosens = pin.version.is_some() && failure.is_denied();
        if loosens {
            self.versions_denied.store(true, Ordering::Relaxed);
        }
        loosens
    }

    fn learn(pinned: &Pinned, headers: &http::HeaderMap) {
        if let Some(version) = version(headers) {
            // Another request may have learned the same in the meantime.
            let _already_known = pinned.version.set(version);
        }
    }

    /// Begins to read a range.
    async fn open(&self, pinned: &Pinned, range: Range<u64>) -> Result<Reply, Failure> {
        loop {
            let pin = self.pin(pinned);
            self.counters.count_request();
            match self.source.client().open(&pinned.file.key, &pin, range.clone()).await {
                Ok(reply) => {
                    Self::learn(pinned, &reply.headers);
                    return Ok(reply);
                }
                Err(failure) if self.loosens(&pin, &failure) => {}
                Err(failure) => return Err(failure.of_listed_object()),
            }
        }
    }

    /// Reads a whole range, unless it is known already.
    async fn fetch(&self, pinned: &Pinned, range: Range<u64>) -> Result<Bytes, Failure> {
        let Some(etag) = &pinned.file.etag else { return self.request(pinned, range).await };
        if let Some(bytes) = self.source.cache().get(&pinned.file.key, etag, &range) {
            return Ok(bytes);
        }
        let start = range.start;
        let bytes = self.request(pinned, range).await?;
        self.source.cache().put(&pinned.file.key, etag, start, &bytes);
        Ok(bytes)
    }

    async fn request(&self, pinned: &Pinned, range: Range<u64>) -> Result<Bytes, Failure> {
        loop {
            let pin = self.pin(pinned);
            self.counters.count_request();
            match self.source.client().get(&pinned.file.key, &pin, range.clone()).await {
                Ok((headers, bytes)) => {
                    Self::learn(pinned, &headers);
                    self.counters.count_bytes(bytes.len());
                    return Ok(bytes);
                }
                Err(failure) if self.loosens(&pin, &failure) => {}
                Err(failure) => return Err(failure.of_listed_object()),
            }
        }
    }
}

/// Ranges up to this are read whole, so that they can be kept; larger ones as they arrive.
const SMALL_RANGE: u64 = 256 << 10;

/// A range being read. A body that breaks off is taken up where it ended.
struct Body {
    shared: Arc<Shared>,
    pinned: Arc<Pinned>,
    rest: Range<u64>,
    pieces: Option<BoxStream<'static, Result<Bytes, Failure>>>,
    /// Since bytes last arrived.
    attempts: Attempts,
}

impl Body {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        while !self.rest.is_empty() {
            let Some(pieces) = &mut self.pieces else {
                let reply = self.shared.open(&self.pinned, self.rest.clone()).await?;
                self.pieces = Some(self.shared.source.client().pieces(&self.pinned.file.key, reply));
                continue;
            };
            let failure = match pieces.next().await {
                Some(Ok(bytes)) if bytes.len() as u64 <= self.rest.end - self.rest.start => {
                    self.rest.start += bytes.len() as u64;
                    self.attempts = Attempts::new();
                    self.shared.counters.count_bytes(bytes.len());
                    self.shared.source.client().count_bytes(bytes.len());
                    return Ok(Some(bytes));
                }
                Some(Ok(_)) => self.failure(FailureKind::Garbled("more bytes were sent than asked for".to_owned())),
                Some(Err(failure)) => failure,
                None => {
                    let detail = format!("the body ended {} bytes early", self.rest.end - self.rest.start);
                    self.failure(FailureKind::Network(Network { stage: Stage::Transfer, detail }))
                }
            };
            self.pieces = None;
            self.shared.source.client().recover(failure, &mut self.attempts).await?;
        }
        Ok(None)
    }

    fn failure(&self, kind: FailureKind) -> Failure {
        Failure { target: self.shared.source.client().target(Action::Get, &self.pinned.file.key), kind }
    }

    fn stream(self) -> BoxStream<'static, StoreResult<Bytes>> {
        futures::stream::try_unfold(self, |mut body| async move {
            match body.next().await {
                Ok(bytes) => Ok(bytes.map(|bytes| (bytes, body))),
                Err(failure) => Err(store_error(failure.into_error())),
            }
        })
        .boxed()
    }
}

#[async_trait]
impl ObjectStore for PinnedStore {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        let pinned = self.find(location)?;
        let meta = pinned.file.object_meta();
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            Some(range) => asked_range(range, meta.size)?,
            None => 0..meta.size,
        };
        if !options.head && !range.is_empty() && range.end - range.start <= SMALL_RANGE {
            let bytes = self.shared.fetch(&pinned, range.clone()).await;
            let bytes = bytes.map_err(|failure| store_error(failure.into_error()))?;
            let payload = GetResultPayload::Stream(futures::stream::once(async { Ok(bytes) }).boxed());
            return Ok(GetResult { payload, meta, range, attributes: object_store::Attributes::default() });
        }
        // A lookup needs no request: the manifest knows the answer, and the answer must be the manifest's.
        let rest = if options.head { 0..0 } else { range.clone() };
        let body = Body { shared: Arc::clone(&self.shared), pinned, rest, pieces: None, attempts: Attempts::new() };
        let payload = GetResultPayload::Stream(body.stream());
        Ok(GetResult { payload, meta, range, attributes: object_store::Attributes::default() })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        let pinned = self.find(location)?;
        let size = pinned.file.size;
        if let Some(beyond) = ranges.iter().find(|range| range.start > range.end || range.end > size) {
            let what = format!("reading bytes {}..{} of {location}, which has {size}", beyond.start, beyond.end);
            return Err(store_error(Error::internal(what)));
        }
        let fetch = |range: Range<u64>| {
            let (shared, pinned) = (Arc::clone(&self.shared), Arc::clone(&pinned));
            async move {
                if range.is_empty() {
                    return Ok(Bytes::new());
                }
                shared.fetch(&pinned, range).await.map_err(|failure| store_error(failure.into_error()))
            }
        };
        coalesce_ranges(ranges, fetch, OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        futures::stream::iter(self.metas(prefix).into_iter().map(Ok)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        let depth = prefix.map_or(0, Path::parts_count);
        let mut result = ListResult { common_prefixes: Vec::new(), objects: Vec::new() };
        for meta in self.metas(prefix) {
            if meta.location.parts_count() == depth + 1 {
                result.objects.push(meta);
            } else {
                let folder: Path = meta.location.parts().take(depth + 1).collect();
                if result.common_prefixes.last() != Some(&folder) {
                    result.common_prefixes.push(folder);
                }
            }
        }
        Ok(result)
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> StoreResult<PutResult> {
        Err(read_only())
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> StoreResult<Box<dyn MultipartUpload>> {
        Err(read_only())
    }

    fn delete_stream(&self, locations: BoxStream<'static, StoreResult<Path>>) -> BoxStream<'static, StoreResult<Path>> {
        locations.and_then(|_| async { Err(read_only()) }).boxed()
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> StoreResult<()> {
        Err(read_only())
    }
}

impl fmt::Display for PinnedStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shared.source.url())
    }
}

impl fmt::Debug for PinnedStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PinnedStore").field("files", &self.shared.pins.read().len()).finish_non_exhaustive()
    }
}

fn asked_range(range: &GetRange, size: u64) -> StoreResult<Range<u64>> {
    range.as_range(size).map_err(|error| StoreError::Generic { store: STORE, source: Box::new(error) })
}

const STORE: &str = "S3";

fn store_error(error: Error) -> StoreError {
    StoreError::Generic { store: STORE, source: Box::new(error) }
}

fn read_only() -> StoreError {
    StoreError::NotSupported { source: "sources are read only".into() }
}

/// Finds the error that a [`PinnedStore`] gave to a query engine, wherever that has wrapped it.
pub fn carried_error(error: &(dyn std::error::Error + 'static)) -> Option<Error> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(own) = current.downcast_ref::<Error>() {
            return Some(copy(own));
        }
        // An I/O error leaves what it wraps out of the chain.
        cause = match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => current.source(),
        };
    }
    None
}

/// The same error with its causes turned to words; those of the original belong to its owner.
fn copy(error: &Error) -> Error {
    let copied =
        error.hints().iter().fold(Error::new(error.code(), error.full_message()), |copied, hint| copied.hint(hint));
    match error.retry() {
        Retry::Never => copied,
        Retry::After(wait) => copied.retry_after(wait),
    }
}
