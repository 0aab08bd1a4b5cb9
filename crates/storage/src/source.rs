//! A live S3 source: settings, identity and connection pool behind one cheap handle.
//! Not here: listing (`manifest`), reading for queries (`pinned`), checking (`check`).
//! Called by the engine and by the commands.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::aws::AwsCredential;
use tapline_core::{Error, Result, codes};

use crate::cache::RangeCache;
use crate::client::{Client, Pin, Traffic};
use crate::config::S3SourceConfig;
use crate::failure::Failure;
use crate::format::FileFormat;
use crate::manifest::FileEntry;
use crate::pattern::FilePattern;
use crate::retry::RetryPolicy;

/// How a source is used, as opposed to what it is.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Name of the session of an assumed role, shown in AWS's logs: `tapline-<sync>`. Characters that STS refuses are replaced.
    pub session: String,
    /// How requests are repeated.
    pub retry: RetryPolicy,
    /// Requests that may be waiting for their answers at the same time.
    pub concurrency: usize,
    /// Whether the settings come from people who must not reach what this machine can: names that lead to addresses that
    /// hand out its own credentials are not resolved then.
    pub guarded: bool,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { session: "tapline".to_owned(), retry: RetryPolicy::default(), concurrency: 64, guarded: false }
    }
}

/// A bucket, or a part of it, that can be listed and read. Clones share connections and credentials.
#[derive(Debug, Clone)]
pub struct S3Source {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: S3SourceConfig,
    client: Client,
    cache: RangeCache,
}

impl S3Source {
    /// Makes the source without asking anybody; the first request does. Fails with `CONF-005` where
    /// [`S3SourceConfig::lint`] finds a problem.
    pub fn connect(config: S3SourceConfig, options: ConnectOptions) -> Result<Self> {
        if let [first, rest @ ..] = config.lint().as_slice() {
            let error = Error::new(codes::CONF_005, first.clone());
            return Err(rest.iter().fold(error, Error::hint));
        }
        let client = Client::new(&config, options)?;
        Ok(Self { inner: Arc::new(Inner { config, client, cache: RangeCache::default() }) })
    }

    /// The settings.
    pub fn config(&self) -> &S3SourceConfig {
        &self.inner.config
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.inner.config.bucket
    }

    /// The bucket's region; asks the bucket where the settings leave it open.
    pub(crate) async fn region(&self) -> Result<String> {
        self.inner.client.find_region().await.map_err(Failure::into_error)?;
        Ok(self.inner.client.known_region())
    }

    /// What to sign with now; `None` for nobody.
    pub(crate) async fn credential(&self) -> Result<Option<Arc<AwsCredential>>> {
        self.inner.client.credentials().get().await
    }

    /// Whether nobody signs.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.inner.client.credentials().is_anonymous()
    }

    /// `s3://bucket/path`.
    pub fn url(&self) -> String {
        self.inner.config.url()
    }

    /// The ARN that a role's trust policy has to name: of the base identity, or of the source's own. `None` for anonymous
    /// sources, and where no STS can be asked.
    pub async fn principal(&self) -> Option<String> {
        self.client().credentials().base_identity().await
    }

    /// Requests and bytes so far.
    pub fn traffic(&self) -> Traffic {
        self.client().traffic()
    }

    pub(crate) fn cache(&self) -> &RangeCache {
        &self.inner.cache
    }

    pub(crate) fn client(&self) -> &Client {
        &self.inner.client
    }

    /// The files that a URL in SQL means, as [`S3SourceConfig::pattern`] has them.
    pub fn pattern(&self, url: &str, reader: Option<FileFormat>) -> Result<FilePattern> {
        self.config().pattern(url, reader)
    }

    /// All files of the source.
    pub fn everything(&self) -> FilePattern {
        let config = self.config();
        FilePattern::literal(&self.url(), &config.path, config.file_type).within(&config.path)
    }

    /// Reads bytes of a listed file, as it was when it was listed; fails with `S3-008` when it has been replaced since.
    pub async fn read_range(&self, file: &FileEntry, range: Range<u64>) -> Result<Bytes> {
        let range = range.start..range.end.min(file.size);
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let pin = Pin { etag: file.etag.clone(), version: None };
        match self.client().get(&file.key, &pin, range).await {
            Ok((_, bytes)) => Ok(bytes),
            Err(failure) => Err(failure.of_listed_object().into_error()),
        }
    }
}
