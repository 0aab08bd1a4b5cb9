//! What a request asks for: its operation, bucket and key, read from method, path and query alone.
//! Not here: the protocol proper (`s3s` parses requests in full) and permissions (`access`).
//! Called by `server`, so that requests are logged and faults are matched even when authentication fails.

use std::collections::HashMap;

use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{HeaderMap, Method, Uri};
use percent_encoding::percent_decode_str;

/// The operations that the endpoint knows, named as in the S3 and STS references.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are those of the S3 and STS API references")]
pub enum Operation {
    ListBuckets,
    HeadBucket,
    GetBucketLocation,
    ListObjects,
    ListObjectsV2,
    GetObject,
    HeadObject,
    PutObject,
    CopyObject,
    DeleteObject,
    DeleteObjects,
    CreateMultipartUpload,
    UploadPart,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListParts,
    ListMultipartUploads,
    AssumeRole,
    GetCallerIdentity,
    /// Any other request; it is answered with `NotImplemented`.
    Unknown,
}

/// Where a request is aimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub operation: Operation,
    /// Empty where the request names none.
    pub bucket: String,
    /// The object's key; for listings the prefix; empty where the request names none.
    pub key: String,
}

impl Call {
    /// Reads an S3 request with a path-style address.
    pub fn parse(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let path = percent_decode_str(uri.path().strip_prefix('/').unwrap_or_default()).decode_utf8_lossy();
        let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
        let query = query(uri);
        let has = |name: &str| query.contains_key(name);
        let operation = match (method.as_str(), bucket.is_empty(), key.is_empty()) {
            ("GET", true, _) => Operation::ListBuckets,
            ("HEAD", false, true) => Operation::HeadBucket,
            ("GET", false, true) if has("location") => Operation::GetBucketLocation,
            ("GET", false, true) if has("uploads") => Operation::ListMultipartUploads,
            ("GET", false, true) if query.get("list-type").is_some_and(|kind| kind == "2") => Operation::ListObjectsV2,
            ("GET", false, true) if query.keys().all(|name| LIST_PARAMETERS.contains(&name.as_str())) => {
                Operation::ListObjects
            }
            ("POST", false, true) if has("delete") => Operation::DeleteObjects,
            ("POST", false, false) if has("uploads") => Operation::CreateMultipartUpload,
            ("POST", false, false) if has("uploadId") => Operation::CompleteMultipartUpload,
            ("GET", false, false) if has("uploadId") => Operation::ListParts,
            ("PUT", false, false) if has("uploadId") => Operation::UploadPart,
            ("DELETE", false, false) if has("uploadId") => Operation::AbortMultipartUpload,
            ("PUT", false, false) if headers.contains_key("x-amz-copy-source") => Operation::CopyObject,
            ("GET", false, false) => Operation::GetObject,
            ("HEAD", false, false) => Operation::HeadObject,
            ("PUT", false, false) => Operation::PutObject,
            ("DELETE", false, false) => Operation::DeleteObject,
            _ => Operation::Unknown,
        };
        let key = match operation {
            Operation::ListObjects | Operation::ListObjectsV2 => query.get("prefix").cloned().unwrap_or_default(),
            _ => key.to_owned(),
        };
        Self { operation, bucket: bucket.to_owned(), key }
    }

    /// Reads an STS request from the `Action` of its form.
    pub fn of_sts(form: &HashMap<String, String>) -> Self {
        let operation = match form.get("Action").map(String::as_str) {
            Some("AssumeRole") => Operation::AssumeRole,
            Some("GetCallerIdentity") => Operation::GetCallerIdentity,
            _ => Operation::Unknown,
        };
        Self { operation, bucket: String::new(), key: String::new() }
    }
}

/// Parameters of `ListObjects`; any other one makes a request on a bucket a different operation.
const LIST_PARAMETERS: [&str; 5] = ["prefix", "delimiter", "marker", "max-keys", "encoding-type"];

/// Whether this is a request to STS: a form posted to the root, where S3 has no operation.
pub(crate) fn is_sts(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    method == Method::POST
        && uri.path() == "/"
        && headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/x-www-form-urlencoded"))
}

/// The parameters of a form or query string.
pub(crate) fn parameters(encoded: &[u8]) -> HashMap<String, String> {
    url::form_urlencoded::parse(encoded).into_owned().collect()
}

/// The parameters of a URI's query.
pub(crate) fn query(uri: &Uri) -> HashMap<String, String> {
    parameters(uri.query().unwrap_or_default().as_bytes())
}

/// The credential scope that a request is signed for:
/// `<access key id>/<date>/<region>/<service>/aws4_request`, see
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html>.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub access_key_id: String,
    pub region: String,
}

impl Scope {
    /// `None` for anonymous requests and signatures other than version 4.
    pub fn parse(uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        let credential = match headers.get(AUTHORIZATION) {
            Some(header) => {
                let header = header.to_str().ok()?;
                header.split_once("Credential=")?.1.split([',', ' ']).next()?.to_owned()
            }
            None => query(uri).remove("X-Amz-Credential")?,
        };
        // An access key id may hold slashes, the scope after it may not.
        let mut parts = credential.rsplitn(5, '/');
        let (_terminator, _service, region, _date) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        Some(Self { region: region.to_owned(), access_key_id: parts.next()?.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &str, uri: &str) -> Call {
        Call::parse(&method.parse().unwrap(), &uri.parse().unwrap(), &HeaderMap::new())
    }

    #[test]
    fn operations_and_keys() {
        for (method, uri, operation, key) in [
            ("GET", "/", Operation::ListBuckets, ""),
            ("HEAD", "/lake", Operation::HeadBucket, ""),
            ("GET", "/lake?location", Operation::GetBucketLocation, ""),
            ("GET", "/lake/?list-type=2&prefix=a%2Fb", Operation::ListObjectsV2, "a/b"),
            ("GET", "/lake?prefix=a", Operation::ListObjects, "a"),
            ("GET", "/lake?acl", Operation::Unknown, ""),
            ("GET", "/lake/a%20b%2B%25/%C3%A9=1.csv", Operation::GetObject, "a b+%/é=1.csv"),
            ("GET", "/lake//a", Operation::GetObject, "/a"),
            ("PUT", "/lake/a?partNumber=1&uploadId=u", Operation::UploadPart, "a"),
            ("POST", "/lake/a?uploads", Operation::CreateMultipartUpload, "a"),
            ("POST", "/lake?delete", Operation::DeleteObjects, ""),
            ("PUT", "/lake", Operation::Unknown, ""),
        ] {
            let actual = call(method, uri);
            assert_eq!((actual.operation, actual.key.as_str()), (operation, key), "{method} {uri}");
        }
    }

    #[test]
    fn scope_of_a_signature() {
        let expected = Some(Scope { access_key_id: "AKIA/1".to_owned(), region: "eu-west-1".to_owned() });
        let mut headers = HeaderMap::new();
        headers.insert(
            AUTHORIZATION,
            "AWS4-HMAC-SHA256 Credential=AKIA/1/20250101/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=00"
                .parse()
                .unwrap(),
        );
        assert_eq!(Scope::parse(&"/".parse().unwrap(), &headers), expected);
        let signed = "/a?X-Amz-Credential=AKIA%2F1%2F20250101%2Feu-west-1%2Fs3%2Faws4_request".parse().unwrap();
        assert_eq!(Scope::parse(&signed, &HeaderMap::new()), expected);
        assert_eq!(Scope::parse(&"/".parse().unwrap(), &HeaderMap::new()), None);
    }
}
