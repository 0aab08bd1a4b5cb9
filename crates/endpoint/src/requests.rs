//! The log of requests, for tests that count and inspect them.
//! Not here: deciding anything; the log only remembers.
//! Called by `server` for every request and by `Endpoint::requests`.

use hyper::{HeaderMap, Uri};
use parking_lot::Mutex;

use crate::call::{Call, Operation, Scope, query};

/// One request, as it came in, and how it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The operation asked for.
    pub operation: Operation,
    /// The bucket; empty where there is none.
    pub bucket: String,
    /// The key, percent-decoded; for listings the prefix; empty where there is none.
    pub key: String,
    /// The `Range` header, such as `bytes=0-99`.
    pub range: Option<String>,
    /// The `If-Match` header, such as `"d41d…"`.
    pub if_match: Option<String>,
    /// The `versionId` asked for.
    pub version_id: Option<String>,
    /// The access key id that the request was signed with, whether or not it is valid; `None` for anonymous requests.
    pub access_key_id: Option<String>,
    /// The HTTP status; `None` while there is no answer, and where a fault keeps it from coming.
    pub status: Option<u16>,
    /// The length of the answer's body in bytes, as announced.
    pub response_bytes: u64,
}

/// All requests since the start or the last clearing, in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct RequestLog(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    /// Position of the first entry, counted from the start of the endpoint.
    first: usize,
    entries: Vec<Request>,
}

impl RequestLog {
    /// Notes a request that has come in and returns its position.
    pub fn open(&self, call: &Call, uri: &Uri, headers: &HeaderMap) -> usize {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let request = Request {
            operation: call.operation,
            bucket: call.bucket.clone(),
            key: call.key.clone(),
            range: header("range"),
            if_match: header("if-match"),
            version_id: query(uri).remove("versionId"),
            access_key_id: Scope::parse(uri, headers).map(|scope| scope.access_key_id),
            status: None,
            response_bytes: 0,
        };
        let mut log = self.0.lock();
        log.entries.push(request);
        log.first + log.entries.len() - 1
    }

    /// Notes how the request at this position was answered, unless it has been cleared away.
    pub fn close(&self, position: usize, status: u16, response_bytes: u64) {
        let mut log = self.0.lock();
        let index = position.checked_sub(log.first);
        if let Some(request) = index.and_then(|index| log.entries.get_mut(index)) {
            request.status = Some(status);
            request.response_bytes = response_bytes;
        }
    }

    pub fn all(&self) -> Vec<Request> {
        self.0.lock().entries.clone()
    }

    pub fn clear(&self) {
        let mut log = self.0.lock();
        log.first += log.entries.len();
        log.entries.clear();
    }
}
