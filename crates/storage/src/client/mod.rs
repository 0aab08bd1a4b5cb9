//! The four requests that reading from S3 takes: list, look up, read, and ask for a bucket's region.
//! Not here: which files are read and how they are pinned (`manifest`, `pinned`), and writing.
//! Called by everything here that talks to S3.
//!
//! `object_store` signs and sends; its own S3 client is not used because it cannot name keys with empty segments, loses the
//! slash of folder markers, knows neither AWS's partitions nor a second chance for expired credentials, and keeps the
//! headers of failures to itself.

mod address;
mod answer;
mod guard;
mod list;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use http::header::{ETAG, HeaderName, IF_MATCH, LAST_MODIFIED, RANGE};
use http::{HeaderMap, Method, StatusCode};
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpClient, HttpError, HttpRequest, HttpRequestBody};
use parking_lot::RwLock;
use tapline_core::{Error, Result as CoreResult, codes};
use tokio::sync::{Mutex, Semaphore};

use self::address::Address;
use self::guard::GuardedResolver;
pub(crate) use self::list::{ListPage, Listed};
use crate::config::S3SourceConfig;
use crate::credentials::Credentials;
use crate::failure::{Action, Failure, FailureKind, Network, Stage, Target};
use crate::retry::{Attempts, RetryPolicy};
use crate::source::ConnectOptions;

const VERSION_ID: HeaderName = HeaderName::from_static("x-amz-version-id");
const BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");

/// What has gone over the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests sent, repeated ones included.
    pub requests: u64,
    /// Bytes of objects received, read twice where they were.
    pub bytes: u64,
}

/// [`Traffic`] while it is being counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    pub fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn read(&self) -> Traffic {
        Traffic { requests: self.requests.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }
}

/// One bucket, asked as one identity.
#[derive(Debug)]
pub(crate) struct Client {
    address: Address,
    credentials: Credentials,
    http: HttpClient,
    pub(crate) retry: RetryPolicy,
    /// Requests in flight, up to their response headers.
    permits: Semaphore,
    traffic: Counters,
    region: RwLock<Option<String>>,
    /// Whether S3's word on the region wins over ours.
    region_is_open: bool,
    asking_region: Mutex<()>,
}

/// The state of an object that a request insists on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pin {
    /// Without quotes.
    pub etag: Option<String>,
    pub version: Option<String>,
}

/// A successful answer, its body still to come.
#[derive(Debug)]
pub(crate) struct Reply {
    pub headers: HeaderMap,
    status: StatusCode,
    body: object_store::client::HttpResponseBody,
}

struct Call<'a> {
    action: Action,
    key: &'a str,
    query: Vec<(&'static str, String)>,
    headers: Vec<(HeaderName, String)>,
    signed: bool,
}

impl Client {
    pub fn new(config: &S3SourceConfig, options: ConnectOptions) -> CoreResult<Self> {
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("tapline/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(5))
            // Many connections carry more than the one that HTTP/2 would share among all reads.
            .http1_only()
            // A redirect goes to another region, where the signature does not hold.
            .redirect(reqwest::redirect::Policy::none());
        if options.guarded {
            http = http.dns_resolver(Arc::new(GuardedResolver));
        }
        let http =
            http.build().map_err(|error| Error::new(codes::S3_001, "setting up the HTTP client").because(error))?;
        Ok(Self {
            address: Address::new(config),
            credentials: Credentials::new(config, &options.session),
            http: HttpClient::new(http),
            retry: options.retry,
            permits: Semaphore::new(options.concurrency.max(1)),
            traffic: Counters::default(),
            region: RwLock::new(config.region.clone()),
            region_is_open: config.region.is_none(),
            asking_region: Mutex::new(()),
        })
    }

    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    pub fn traffic(&self) -> Traffic {
        self.traffic.read()
    }

    /// Counts what a reader of [`pieces`](Self::pieces) has received.
    pub fn count_bytes(&self, bytes: usize) {
        self.traffic.count_bytes(bytes);
    }

    /// One page of keys that begin with `prefix`, in their byte order; `rolled_up` shows folders in place of what is in them.
    pub async fn list(
        &self,
        prefix: &str,
        rolled_up: bool,
        max_keys: Option<u32>,
        continue_at: Option<&str>,
    ) -> Result<ListPage, Failure> {
        let mut query =
            vec![("list-type", "2".to_owned()), ("encoding-type", "url".to_owned()), ("prefix", prefix.to_owned())];
        query.extend(rolled_up.then(|| ("delimiter", "/".to_owned())));
        query.extend(max_keys.map(|keys| ("max-keys", keys.to_string())));
        query.extend(continue_at.map(|token| ("continuation-token", token.to_owned())));
        let call = Call { action: Action::List, key: prefix, query, headers: Vec::new(), signed: true };
        self.find_region().await?;
        let mut attempts = Attempts::new();
        loop {
            let page = match self.attempt(&call, &mut attempts).await {
                Ok(reply) => match self.collect(&call, reply).await {
                    Ok(body) => list::parse(&body).map_err(|what| self.fail(&call, FailureKind::Garbled(what))),
                    Err(failure) => Err(failure),
                },
                Err(failure) => Err(failure),
            };
            match page {
                Ok(page) => return Ok(page),
                Err(failure) => self.recover(failure, &mut attempts).await?,
            }
        }
    }

    /// Size, ETag and time of one object.
    pub async fn head(&self, key: &str) -> Result<Listed, Failure> {
        let call = Call { action: Action::Head, key, query: Vec::new(), headers: Vec::new(), signed: true };
        let reply = match self.repeat(&call).await {
            Ok(reply) => reply,
            Err(failure) if failure.is_not_found() || !matches!(failure.kind, FailureKind::Answer(_)) => {
                return Err(failure);
            }
            Err(_) => {
                // The answer to HEAD has no body; that to GET tells why, or renews what was wrong.
                self.open(key, &Pin::default(), 0..1).await?;
                self.repeat(&call).await?
            }
        };
        self.listed(&call, key, &reply.headers)
    }

    /// A whole range, which must not be empty: exactly those bytes, or a failure.
    pub async fn get(&self, key: &str, pin: &Pin, range: Range<u64>) -> Result<(HeaderMap, Bytes), Failure> {
        let call = get_call(key, pin, &range);
        self.find_region().await?;
        let mut attempts = Attempts::new();
        loop {
            let fetched = match self.attempt(&call, &mut attempts).await {
                Ok(reply) => self.take_whole(&call, pin, &range, reply).await,
                Err(failure) => Err(failure),
            };
            match fetched {
                Ok(fetched) => return Ok(fetched),
                Err(failure) => self.recover(failure, &mut attempts).await?,
            }
        }
    }

    /// Begins to read a range, which must not be empty; a body that breaks off is the caller's to take up again.
    pub async fn open(&self, key: &str, pin: &Pin, range: Range<u64>) -> Result<Reply, Failure> {
        let call = get_call(key, pin, &range);
        let reply = self.repeat(&call).await?;
        self.verify(&call, pin, &range, &reply)?;
        Ok(reply)
    }

    /// The body of a reply to [`open`](Self::open) in pieces, each of which has to arrive within the stall limit.
    pub fn pieces(&self, key: &str, reply: Reply) -> BoxStream<'static, Result<Bytes, Failure>> {
        self.body(self.target(Action::Get, key), reply)
    }

    /// Asks for the bucket without signing: whatever the answer, the server is there; and S3 names the region.
    ///
    /// `Ok(None)` where the server does not say.
    pub async fn bucket_region(&self) -> Result<Option<String>, Failure> {
        let call = Call { action: Action::HeadBucket, key: "", query: Vec::new(), headers: Vec::new(), signed: false };
        match self.repeat(&call).await {
            Ok(reply) => {
                Ok(reply.headers.get(BUCKET_REGION).and_then(|region| region.to_str().ok()).map(str::to_owned))
            }
            Err(failure) => match &failure.kind {
                FailureKind::Answer(answer) if answer.status != 404 && answer.status < 500 => Ok(answer.region.clone()),
                _ => Err(failure),
            },
        }
    }

    /// Tries a call until it succeeds or fails for good.
    async fn repeat(&self, call: &Call<'_>) -> Result<Reply, Failure> {
        if call.signed {
            self.find_region().await?;
        }
        let mut attempts = Attempts::new();
        loop {
            match self.attempt(call, &mut attempts).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => self.recover(failure, &mut attempts).await?,
            }
        }
    }

    /// Does what lets the call be tried again: waits, renews credentials, or moves to the right region. Gives the failure
    /// back when nothing does.
    pub(crate) async fn recover(&self, failure: Failure, attempts: &mut Attempts) -> Result<(), Failure> {
        if failure.is_expired() && !attempts.renewed {
            attempts.renewed = true;
            if let Some(used) = attempts.used.take() {
                self.credentials.forget(&used).await;
                return Ok(());
            }
        }
        if let Some(region) = failure.right_region().filter(|_| self.region_is_open && !attempts.moved) {
            attempts.moved = true;
            *self.region.write() = Some(region.to_owned());
            return Ok(());
        }
        match attempts.next_wait(&self.retry, &failure) {
            Some(wait) => {
                tracing::debug!(key = failure.target.key, ?wait, "repeating a request to S3: {:?}", failure.kind);
                tokio::time::sleep(wait).await;
                Ok(())
            }
            None => Err(failure),
        }
    }

    async fn attempt(&self, call: &Call<'_>, attempts: &mut Attempts) -> Result<Reply, Failure> {
        if call.signed {
            attempts.used = match self.credentials.get().await {
                Ok(credential) => credential,
                Err(error) => return Err(self.fail(call, FailureKind::Credentials(error))),
            };
        }
        let request = self.request(call, attempts.used.as_deref().filter(|_| call.signed))?;
        let permit = self.permits.acquire().await;
        self.traffic.count_request();
        let answered = tokio::time::timeout(self.retry.stall, self.http.execute(request)).await;
        drop(permit);
        let response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(broken(&error, self.target(call.action, call.key))),
            Err(_) => return Err(stalled(self.retry.stall, self.target(call.action, call.key))),
        };
        let (parts, body) = response.into_parts();
        let reply = Reply { headers: parts.headers, status: parts.status, body };
        if reply.status.is_success() {
            return Ok(reply);
        }
        let (status, headers) = (reply.status, reply.headers.clone());
        let text = self.collect(call, reply).await.unwrap_or_default();
        Err(self.fail(call, FailureKind::Answer(Box::new(answer::read(status, &headers, &text)))))
    }

    fn request(&self, call: &Call<'_>, credential: Option<&AwsCredential>) -> Result<HttpRequest, Failure> {
        let unaddressable = |what: String| self.fail(call, FailureKind::Unaddressable(what));
        let region = self.known_region();
        let key = if call.action == Action::List { "" } else { call.key };
        let url = self.address.url(&region, key, &call.query).map_err(unaddressable)?;
        let method = match call.action {
            Action::HeadBucket | Action::Head => Method::HEAD,
            Action::List | Action::Get => Method::GET,
        };
        let mut builder = http::Request::builder().method(method).uri(url);
        for (name, value) in &call.headers {
            builder = builder.header(name, value);
        }
        let mut request = builder.body(HttpRequestBody::empty()).map_err(|error| unaddressable(error.to_string()))?;
        if let Some(credential) = credential {
            AwsAuthorizer::new(credential, "s3", &region).authorize(&mut request, None);
        }
        Ok(request)
    }

    /// Asks the bucket for its region, once, where the settings leave it open.
    pub async fn find_region(&self) -> Result<(), Failure> {
        if self.region.read().is_some() {
            return Ok(());
        }
        let _alone = self.asking_region.lock().await;
        if self.region.read().is_some() {
            return Ok(());
        }
        let region = Box::pin(self.bucket_region()).await?;
        *self.region.write() = Some(region.unwrap_or_else(|| self.address.first_region().to_owned()));
        Ok(())
    }

    /// The region to sign for, or the best guess as long as nobody was asked.
    pub fn known_region(&self) -> String {
        self.region.read().clone().unwrap_or_else(|| self.address.first_region().to_owned())
    }

    pub(crate) fn target(&self, action: Action, key: &str) -> Box<Target> {
        let region = self.known_region();
        Box::new(Target {
            action,
            bucket: self.address.bucket().to_owned(),
            key: key.to_owned(),
            server: self.address.server(&region),
            region,
            anonymous: self.credentials.is_anonymous(),
        })
    }

    fn fail(&self, call: &Call<'_>, kind: FailureKind) -> Failure {
        Failure { target: self.target(call.action, call.key), kind }
    }

    fn body(&self, target: Box<Target>, reply: Reply) -> BoxStream<'static, Result<Bytes, Failure>> {
        let stall = self.retry.stall;
        let body = reply.body.bytes_stream();
        futures::stream::unfold(Some((body, target)), move |state| async move {
            let (mut body, target) = state?;
            match tokio::time::timeout(stall, body.next()).await {
                Ok(Some(Ok(bytes))) => Some((Ok(bytes), Some((body, target)))),
                Ok(None) => None,
                Ok(Some(Err(error))) => Some((Err(broken(&error, target)), None)),
                Err(_) => Some((Err(stalled(stall, target)), None)),
            }
        })
        .boxed()
    }

    async fn collect(&self, call: &Call<'_>, reply: Reply) -> Result<Bytes, Failure> {
        let body = self.body(self.target(call.action, call.key), reply);
        let whole = body.try_fold(BytesMut::new(), async |mut whole, piece| {
            whole.extend_from_slice(&piece);
            Ok(whole)
        });
        Ok(whole.await?.freeze())
    }

    async fn take_whole(
        &self,
        call: &Call<'_>,
        pin: &Pin,
        range: &Range<u64>,
        reply: Reply,
    ) -> Result<(HeaderMap, Bytes), Failure> {
        self.verify(call, pin, range, &reply)?;
        let headers = reply.headers.clone();
        let bytes = self.collect(call, reply).await?;
        self.traffic.count_bytes(bytes.len());
        if bytes.len() as u64 == range.end - range.start {
            Ok((headers, bytes))
        } else {
            Err(self.other_range(call, range, &format!("{} bytes", bytes.len())))
        }
    }

    /// Whether the reply begins to give what was asked for: the range, of the pinned object.
    fn verify(&self, call: &Call<'_>, pin: &Pin, range: &Range<u64>, reply: &Reply) -> Result<(), Failure> {
        if let (Some(pinned), Some(found)) = (&pin.etag, reply.etag())
            && *pinned != found
        {
            return Err(self.fail(call, FailureKind::Changed));
        }
        if reply.status != StatusCode::PARTIAL_CONTENT {
            return Err(self.fail(call, FailureKind::Garbled("the server ignores ranges".to_owned())));
        }
        match reply.range() {
            Some(sent) if sent.start == range.start && sent.end <= range.end => Ok(()),
            Some(sent) => Err(self.other_range(call, range, &format!("bytes {}..{}", sent.start, sent.end))),
            None => Err(self.fail(call, FailureKind::Garbled("the answer does not say which range it is".to_owned()))),
        }
    }

    fn other_range(&self, call: &Call<'_>, range: &Range<u64>, sent: &str) -> Failure {
        let detail = format!("{sent} were sent where bytes {}..{} were asked for", range.start, range.end);
        self.fail(call, FailureKind::Network(Network { stage: Stage::Transfer, detail }))
    }

    fn listed(&self, call: &Call<'_>, key: &str, headers: &HeaderMap) -> Result<Listed, Failure> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let size = text(http::header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let modified = text(LAST_MODIFIED).and_then(|date| chrono::DateTime::parse_from_rfc2822(date).ok());
        let Some((size, modified)) = size.zip(modified) else {
            return Err(self.fail(call, FailureKind::Garbled("size or time of the object is missing".to_owned())));
        };
        Ok(Listed { key: key.to_owned(), size, etag: text(ETAG).map(bare_etag), last_modified: modified.to_utc() })
    }
}

impl Reply {
    fn etag(&self) -> Option<String> {
        self.headers.get(ETAG)?.to_str().ok().map(bare_etag)
    }

    /// The range that the body holds.
    fn range(&self) -> Option<Range<u64>> {
        let text = self.headers.get(http::header::CONTENT_RANGE)?.to_str().ok()?;
        let (range, _) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        Some(first.parse().ok()?..last.parse::<u64>().ok()? + 1)
    }
}

/// The version that an answer is about; `None` where the bucket keeps none.
pub(crate) fn version(headers: &HeaderMap) -> Option<String> {
    let version = headers.get(VERSION_ID)?.to_str().ok()?;
    (version != "null").then(|| version.to_owned())
}

fn get_call<'a>(key: &'a str, pin: &Pin, range: &Range<u64>) -> Call<'a> {
    let mut headers = vec![(RANGE, format!("bytes={}-{}", range.start, range.end.saturating_sub(1)))];
    headers.extend(pin.etag.as_ref().map(|etag| (IF_MATCH, format!("\"{etag}\""))));
    let query = pin.version.iter().map(|version| ("versionId", version.clone())).collect();
    Call { action: Action::Get, key, query, headers, signed: true }
}

/// An ETag without its quotes, which not every server writes everywhere.
pub(crate) fn bare_etag(etag: &str) -> String {
    etag.trim_start_matches("W/").trim_matches('"').to_owned()
}

fn stalled(limit: Duration, target: Box<Target>) -> Failure {
    let detail = format!("nothing arrived for {} seconds", limit.as_secs());
    Failure { target, kind: FailureKind::Network(Network { stage: Stage::Stall, detail }) }
}

fn broken(error: &HttpError, target: Box<Target>) -> Failure {
    Failure { target, kind: FailureKind::Network(answer::diagnose(error)) }
}
