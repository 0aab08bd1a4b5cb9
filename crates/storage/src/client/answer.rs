//! Reading failures: S3's error documents, and what the transport says when there is no answer.
//! Not here: what failures mean for the user (`failure`).
//! Called by the client alone.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use object_store::client::{HttpError, HttpErrorKind};
use serde::Deserialize;

use crate::failure::{Answer, Network, Stage};

/// An error document, see <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>. Its other elements, such as
/// the string to sign, are of no use to readers.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Document {
    code: String,
    message: String,
    request_id: Option<String>,
    region: Option<String>,
}

/// AWS's words are cut here; they name users and resources, not data.
const MAX_MESSAGE: usize = 400;

pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Answer {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let document: Document =
        std::str::from_utf8(body).ok().and_then(|text| quick_xml::de::from_str(text).ok()).unwrap_or_default();
    Answer {
        status: status.as_u16(),
        code: document.code,
        message: document.message.chars().take(MAX_MESSAGE).collect(),
        request_id: document.request_id.filter(|id| !id.is_empty()).or_else(|| header("x-amz-request-id")),
        region: header("x-amz-bucket-region").or(document.region).filter(|region| !region.is_empty()),
        clock_ahead: header(DATE.as_str())
            .and_then(|date| DateTime::parse_from_rfc2822(&date).ok())
            .map(|date| (date.to_utc() - Utc::now()).num_seconds()),
        retry_after: header(RETRY_AFTER.as_str()).and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs),
    }
}

/// Finds where the way to the server ended, from the causes that the transport chains.
pub(super) fn diagnose(error: &HttpError) -> Network {
    let mut deepest: &dyn StdError = error;
    let mut refused = false;
    let mut texts = String::new();
    loop {
        texts.push_str(&deepest.to_string());
        texts.push('\n');
        refused |=
            deepest.downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() == io::ErrorKind::ConnectionRefused);
        match deepest.source() {
            Some(source) => deepest = source,
            None => break,
        }
    }
    let texts = texts.to_ascii_lowercase();
    let stage = match error.kind() {
        _ if texts.contains("dns error") => Stage::Resolve,
        _ if refused => Stage::Connect,
        HttpErrorKind::Connect
            if ["certificate", "tls", "corrupt message", "handshake"].iter().any(|word| texts.contains(word)) =>
        {
            Stage::Tls
        }
        HttpErrorKind::Connect => Stage::Connect,
        HttpErrorKind::Timeout => Stage::Stall,
        _ => Stage::Transfer,
    };
    Network { stage, detail: deepest.to_string() }
}
