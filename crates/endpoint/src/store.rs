//! Buckets, keys and versions: what the endpoint holds.
//! Not here: bytes (`content`), permissions (`access`) and the protocol (`s3`).
//! Called by the operations of `s3` and by the in-process methods of `Endpoint`.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use percent_encoding::percent_encode;
use s3s::crypto::{Checksum, Md5};

use crate::content::{Content, Received, Spool};
use crate::{Bucket, EndpointError};

/// All buckets of an endpoint.
#[derive(Debug)]
pub(crate) struct Store {
    buckets: RwLock<BTreeMap<String, BucketState>>,
    pub spool: Spool,
}

/// One bucket and what it holds.
#[derive(Debug)]
pub(crate) struct BucketState {
    pub settings: Bucket,
    /// Versions per key, the latest last; without versioning there is one.
    objects: BTreeMap<String, Vec<Version>>,
    /// Unfinished multipart uploads by their id.
    pub uploads: BTreeMap<String, Upload>,
}

/// One version of a key.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    /// `null` where the bucket keeps no versions.
    pub id: String,
    /// `None` is a delete marker.
    pub object: Option<Arc<Object>>,
}

/// An object's content and what is said about it.
#[derive(Debug)]
pub(crate) struct Object {
    pub content: Content,
    /// Without quotes.
    pub etag: String,
    /// Whole seconds, as HTTP dates carry no more.
    pub last_modified: SystemTime,
    pub attributes: Attributes,
}

/// What the writer of an object said about it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attributes {
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub metadata: HashMap<String, String>,
}

/// An unfinished multipart upload.
#[derive(Debug)]
pub(crate) struct Upload {
    pub key: String,
    pub attributes: Attributes,
    pub parts: BTreeMap<i32, Arc<Object>>,
}

impl Store {
    pub fn new(buckets: Vec<Bucket>, spool: Spool) -> Self {
        let state = |settings| BucketState { settings, objects: BTreeMap::new(), uploads: BTreeMap::new() };
        let buckets = buckets.into_iter().map(|bucket| (bucket.name.clone(), state(bucket))).collect();
        Self { buckets: RwLock::new(buckets), spool }
    }

    pub fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, BucketState>> {
        self.buckets.read()
    }

    pub fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, BucketState>> {
        self.buckets.write()
    }

    /// Runs `action` on a bucket, or says that there is none.
    pub fn with<T>(&self, bucket: &str, action: impl FnOnce(&mut BucketState) -> T) -> Result<T, EndpointError> {
        let mut buckets = self.write();
        let state = buckets.get_mut(bucket).ok_or_else(|| EndpointError::NoSuchBucket { bucket: bucket.to_owned() })?;
        Ok(action(state))
    }
}

impl BucketState {
    /// The latest version of a key, unless it is deleted.
    pub fn latest(&self, key: &str) -> Option<(&Version, &Arc<Object>)> {
        let version = self.objects.get(key)?.last()?;
        Some((version, version.object.as_ref()?))
    }

    /// All versions of a key, the latest last.
    pub fn versions(&self, key: &str) -> &[Version] {
        self.objects.get(key).map_or(&[], Vec::as_slice)
    }

    /// Makes `object` the latest version of a key and returns the version's id.
    pub fn insert(&mut self, key: &str, object: Object) -> String {
        self.push(key, Some(Arc::new(object)))
    }

    /// Deletes the latest version of a key: forgets the key, or adds a delete marker where the bucket keeps versions.
    /// Returns the marker's id.
    pub fn delete(&mut self, key: &str) -> Option<String> {
        if self.settings.versioned {
            return Some(self.push(key, None));
        }
        self.objects.remove(key);
        None
    }

    /// Deletes one version for good. Returns whether it was a delete marker.
    pub fn delete_version(&mut self, key: &str, id: &str) -> bool {
        let Some(versions) = self.objects.get_mut(key) else {
            return false;
        };
        let Some(index) = versions.iter().position(|version| version.id == id) else {
            return false;
        };
        let removed = versions.remove(index);
        if versions.is_empty() {
            self.objects.remove(key);
        }
        removed.object.is_none()
    }

    /// The objects whose keys begin with `prefix` and come after `after`, in the order of their UTF-8 bytes.
    pub fn scan<'a>(&'a self, prefix: &'a str, after: &'a str) -> impl Iterator<Item = (&'a str, &'a Arc<Object>)> {
        let start = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        self.objects
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .filter_map(|(key, versions)| Some((key.as_str(), versions.last()?.object.as_ref()?)))
    }

    fn push(&mut self, key: &str, object: Option<Arc<Object>>) -> String {
        let versions = self.objects.entry(key.to_owned()).or_default();
        let id = if self.settings.versioned {
            random_name()
        } else {
            versions.clear();
            "null".to_owned()
        };
        versions.push(Version { id: id.clone(), object });
        id
    }
}

impl Object {
    /// An object put in one piece.
    pub fn new(received: Received, attributes: Attributes) -> Self {
        Self { content: received.content, etag: hex(&received.md5), last_modified: now(), attributes }
    }

    /// A file served from where it is. Its ETag comes from path, size and modification time: the same for an unchanged
    /// file, without reading it.
    ///
    /// # Errors
    /// Where the file cannot be looked at.
    pub fn file(path: &Path) -> std::io::Result<Self> {
        let path = path.canonicalize()?;
        let metadata = path.metadata()?;
        let modified = metadata.modified()?;
        let stamp = format!("{} {} {modified:?}", path.display(), metadata.len());
        Ok(Self {
            content: Content::file(path, metadata.len()),
            etag: composite_etag(stamp.as_bytes(), 1),
            last_modified: whole_seconds(modified),
            attributes: Attributes::default(),
        })
    }

    /// The same content under another ETag, as if it had been written again.
    pub fn rewritten(&self) -> Self {
        Self {
            content: self.content.clone(),
            etag: composite_etag(random_name().as_bytes(), 1),
            last_modified: now(),
            attributes: self.attributes.clone(),
        }
    }
}

/// An ETag of the shape that S3 gives to multipart uploads, which nobody takes for the MD5 of the content.
pub(crate) fn composite_etag(digested: &[u8], parts: usize) -> String {
    format!("{}-{parts}", hex(&Md5::checksum(digested)))
}

/// A name that nobody guesses: of versions, uploads, requests and credentials.
pub(crate) fn random_name() -> String {
    hex(&rand::random::<[u8; 16]>())
}

/// The present time in whole seconds.
pub(crate) fn now() -> SystemTime {
    whole_seconds(SystemTime::now())
}

fn whole_seconds(time: SystemTime) -> SystemTime {
    time.duration_since(UNIX_EPOCH).map_or(UNIX_EPOCH, |since| UNIX_EPOCH + Duration::from_secs(since.as_secs()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Percent-encodes what S3 encodes in listings with `encoding-type=url`: everything but unreserved characters and `/`.
pub(crate) fn url_encode(text: &str) -> String {
    const KEPT: percent_encoding::AsciiSet =
        percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
    percent_encode(text.as_bytes(), &KEPT).to_string()
}
