//! HTTP around the S3 service: connections, the request log, faults, and what S3 says about regions.
//! Not here: authentication and operations, which `s3s` runs with the parts that `endpoint` gives it.
//! Called by `Endpoint`, which starts it and stops it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::dto::StreamingBlob;
use s3s::service::S3Service;
use s3s::{Body, HttpRequest, HttpResponse, StdError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::call::{Call, Operation, Scope, is_sts, parameters};
use crate::fault::{Effect, Faults};
use crate::requests::RequestLog;
use crate::store::{Attributes, Object, Store, random_name};
use crate::sts::MAX_FORM;
use crate::xml::{s3_error, sts_error, text_of};

/// What every connection shares.
pub(crate) struct Server {
    pub service: S3Service,
    pub store: Arc<Store>,
    pub log: RequestLog,
    pub faults: Faults,
}

/// Accepts connections until `stop` is dropped, then closes them all.
pub(crate) async fn run(server: Arc<Server>, listener: TcpListener, mut stop: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(Arc::clone(&server), stream));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: others will be closed.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            _ = &mut stop => break,
        }
    }
    connections.shutdown().await;
}

async fn serve(server: Arc<Server>, stream: TcpStream) {
    let served = async {
        stream.set_nodelay(true)?;
        let (stream, socket) = duplicate(stream)?;
        let socket = Arc::new(socket);
        let answer = service_fn(move |request: hyper::Request<Incoming>| {
            let (server, socket) = (Arc::clone(&server), Arc::clone(&socket));
            async move { server.answer(request.map(Body::from), &socket).await }
        });
        hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), answer)
            .await
            .map_err(io::Error::other)
    };
    if let Err(error) = served.await {
        tracing::debug!(%error, "connection ended early");
    }
}

/// A second handle on the connection, for a fault that resets it while hyper holds the first.
fn duplicate(stream: TcpStream) -> io::Result<(TcpStream, TcpStream)> {
    let stream = stream.into_std()?;
    let second = TcpStream::from_std(stream.try_clone()?)?;
    Ok((TcpStream::from_std(stream)?, second))
}

impl Server {
    /// Answers one request. An error closes the connection without an answer.
    async fn answer(&self, mut request: HttpRequest, socket: &TcpStream) -> io::Result<HttpResponse> {
        let sts = is_sts(request.method(), request.uri(), request.headers());
        let call = if sts {
            let form = request.body_mut().store_all_limited(MAX_FORM).await.map_err(io::Error::other)?;
            Call::of_sts(&parameters(&form))
        } else {
            Call::parse(request.method(), request.uri(), request.headers())
        };
        let position = self.log.open(&call, request.uri(), request.headers());

        let mut body_effect = None;
        let mut refusal = None;
        for effect in self.faults.effects(&call) {
            match effect {
                Effect::Delay(duration) => tokio::time::sleep(duration).await,
                Effect::Replace { bytes } => self.replace(&call, bytes)?,
                Effect::Refuse { status, code } => refusal = Some((status, code)),
                Effect::Reset { after: None } => {
                    socket.set_zero_linger()?;
                    return Err(io::Error::other("a fault resets the connection"));
                }
                Effect::Stall { after: None } => std::future::pending().await,
                effect => body_effect = Some(effect),
            }
        }

        let head = request.method() == Method::HEAD;
        let mut response = if let Some((status, code)) = refusal {
            let message = "a fault was injected";
            if sts { sts_error(status, code, message) } else { s3_error(status, code, message, &[]) }
        } else if let Some(response) = self.check_region(&call, &request) {
            response
        } else {
            request.extensions_mut().insert(call.clone());
            let response = self.service.call(request).await.map_err(|error| io::Error::other(StdError::from(error)))?;
            if sts { translate_sts_error(response) } else { response }
        };

        self.add_headers(&call, &mut response)?;
        let length = if head { 0 } else { announced_length(&response) };
        self.log.close(position, response.status().as_u16(), length);
        if let Some(effect) = body_effect {
            response = damage(response, &effect, socket)?;
        }
        Ok(response)
    }

    /// A request must be signed for the region of its bucket; `GetBucketLocation` also for us-east-1. See
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html> (`AuthorizationHeaderMalformed`).
    fn check_region(&self, call: &Call, request: &HttpRequest) -> Option<HttpResponse> {
        let scope = Scope::parse(request.uri(), request.headers())?;
        let region = self.store.read().get(&call.bucket)?.settings.region.clone();
        let signed_for = &scope.region;
        if *signed_for == region || (call.operation == Operation::GetBucketLocation && signed_for == "us-east-1") {
            return None;
        }
        let message =
            format!("The authorization header is malformed; the region '{signed_for}' is wrong; expecting '{region}'");
        Some(s3_error(400, "AuthorizationHeaderMalformed", &message, &[("Region", &region)]))
    }

    fn add_headers(&self, call: &Call, response: &mut HttpResponse) -> io::Result<()> {
        if response.status() == StatusCode::NOT_MODIFIED {
            *response.body_mut() = Body::empty();
        }
        let region = self.store.read().get(&call.bucket).map(|bucket| bucket.settings.region.clone());
        let about_bucket = [Operation::HeadBucket, Operation::ListObjects, Operation::ListObjectsV2];
        let tells_region = about_bucket.contains(&call.operation) || !response.status().is_success();
        let headers = response.headers_mut();
        headers.insert("x-amz-request-id", header_value(&random_name())?);
        if let Some(region) = region.filter(|_| tells_region) {
            headers.insert("x-amz-bucket-region", header_value(&region)?);
        }
        Ok(())
    }

    fn replace(&self, call: &Call, bytes: Option<Bytes>) -> io::Result<()> {
        let replacement = match bytes {
            Some(bytes) => {
                Some(Object::new(self.store.spool.keep(bytes).map_err(io::Error::other)?, Attributes::default()))
            }
            None => None,
        };
        let mut buckets = self.store.write();
        let Some(bucket) = buckets.get_mut(&call.bucket) else {
            return Ok(());
        };
        let present = bucket.latest(&call.key).map(|(_, object)| Arc::clone(object));
        if let Some(object) = replacement.or_else(|| present.map(|present| present.rewritten())) {
            bucket.insert(&call.key, object);
        }
        Ok(())
    }
}

/// `s3s` verifies the signatures of STS requests too, but words what is wrong with them as S3 does.
fn translate_sts_error(response: HttpResponse) -> HttpResponse {
    let document = response.body().bytes().unwrap_or_default();
    let document = String::from_utf8_lossy(&document);
    if response.status().is_success() || document.contains("<ErrorResponse") {
        return response;
    }
    let code = match text_of(&document, "Code") {
        Some("InvalidAccessKeyId" | "InvalidToken") => "InvalidClientTokenId",
        Some("AccessDenied") => "MissingAuthenticationToken",
        Some(code) => code,
        None => "InternalFailure",
    };
    let status = if code == "ExpiredToken" { 403 } else { response.status().as_u16() };
    sts_error(status, code, text_of(&document, "Message").unwrap_or("The request could not be authenticated"))
}

fn header_value(text: &str) -> io::Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(io::Error::other)
}

/// The length of a body: by its header, or as hyper will announce it; 0 where neither knows.
fn announced_length(response: &HttpResponse) -> u64 {
    let header = response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    header.or_else(|| hyper::body::Body::size_hint(response.body()).exact()).unwrap_or_default()
}

/// Lets the body of an answer go wrong on its way.
fn damage(response: HttpResponse, effect: &Effect, socket: &TcpStream) -> io::Result<HttpResponse> {
    let announced = announced_length(&response);
    let (mut parts, body) = response.into_parts();
    parts.headers.insert(CONTENT_LENGTH, announced.into());
    let body: Body = match *effect {
        Effect::Truncate { after } => cut(body, after, End::Close),
        Effect::Stall { after: Some(after) } => cut(body, after, End::Stall),
        Effect::Reset { after: Some(after) } => {
            socket.set_zero_linger()?;
            cut(body, after, End::Close)
        }
        Effect::Shorten { by } => {
            let left = announced.saturating_sub(by);
            parts.headers.insert(CONTENT_LENGTH, left.into());
            cut(body, left, End::Finish)
        }
        _ => body,
    };
    Ok(HttpResponse::from_parts(parts, body))
}

/// What comes after the last byte of a body that is cut.
#[derive(Clone, Copy)]
enum End {
    /// The body ends as if it were complete.
    Finish,
    /// The connection is closed.
    Close,
    /// Nothing, for ever.
    Stall,
}

fn cut(body: Body, after: u64, end: End) -> Body {
    StreamingBlob::wrap(cut_stream(body, after, end)).into()
}

fn cut_stream(body: Body, after: u64, end: End) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
    futures::stream::try_unfold((body, after), move |(mut body, left)| async move {
        if left > 0
            && let Some(chunk) = body.next().await
        {
            let mut chunk = chunk.map_err(io::Error::other)?;
            chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            let left = left - chunk.len() as u64;
            return Ok(Some((chunk, (body, left))));
        }
        match end {
            End::Finish => Ok(None),
            End::Close => {
                // hyper throws away what it has not sent yet when a body fails: let the bytes before the cut go first.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(io::Error::other("a fault ends the body"))
            }
            End::Stall => std::future::pending().await,
        }
    })
}
