//! What holds for every request: where it may come from, how large and slow it may be, and the headers of its answer.
//! Not here: who may call a route (`auth`), which addresses settings may name (`addresses`).
//! Called as the router's outermost layer but one.

mod headers;
mod origin;

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use futures::StreamExt;
use http::{HeaderMap, StatusCode, header};
use tapline_core::codes;
use tokio::sync::Semaphore;

use crate::app::{App, MOST_BODY_BYTES};
use crate::problem::{Problem, Result};

/// How long a client may take for the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Bodies up to this size are received as they come.
const SMALL_BODY_BYTES: u64 = 64 << 10;
/// Larger ones that are received at once; the rest wait, so that nobody fills the memory without even signing in.
const LARGE_BODIES: usize = 16;
static LARGE: Semaphore = Semaphore::const_new(LARGE_BODIES);

/// What styles in a page of this response have to carry; other ones are not applied.
#[derive(Debug, Clone)]
pub struct Nonce(pub String);

/// Refuses requests that other web pages have sent, or whose bodies are too large or too slow, and adds the headers that
/// keep answers from being misused.
pub async fn protect(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let nonce = STANDARD.encode(rand::random::<[u8; 16]>());
    request.extensions_mut().insert(Nonce(nonce.clone()));
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = match admitted(&app, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    headers::add(&app, &nonce, is_api, &mut response);
    response
}

async fn admitted(app: &App, request: Request) -> Result<Request> {
    origin::check(&app.settings, request.method(), request.uri().path(), request.headers())?;
    let (parts, body) = request.into_parts();
    let body = received(&parts.headers, body, BODY_TIMEOUT).await?;
    Ok(Request::from_parts(parts, body))
}

/// The whole body, so that no route waits for a client that sends a byte now and then.
async fn received(headers: &HeaderMap, body: Body, time: Duration) -> Result<Body> {
    let told = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|told| told > MOST_BODY_BYTES as u64) {
        return Err(too_large());
    }
    let is_large = told.is_none_or(|told| told > SMALL_BODY_BYTES) && !body.is_end_stream();
    let receive = async {
        let _room = if is_large { LARGE.acquire().await.ok() } else { None };
        whole(body).await
    };
    match tokio::time::timeout(time, receive).await {
        Ok(body) => body,
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, codes::API_005, "the body took too long to arrive")),
    }
}

async fn whole(body: Body) -> Result<Body> {
    let mut chunks = body.into_data_stream();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Problem::malformed("the body ended early"))?;
        if bytes.len() + chunk.len() > MOST_BODY_BYTES {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Body::from(bytes.freeze()))
}

fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        codes::API_005,
        format!("the body is larger than {} MiB", MOST_BODY_BYTES >> 20),
    )
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn a_body_without_end_is_cut_off() {
        let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(bytes::Bytes::from_static(&[0; 65_536])));
        let problem = received(&HeaderMap::new(), Body::from_stream(endless), BODY_TIMEOUT).await.unwrap_err();
        assert_eq!(problem.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_body_that_never_comes_is_not_waited_for() {
        let silent = stream::pending::<Result<bytes::Bytes, std::io::Error>>();
        let time = Duration::from_millis(1);
        let problem = received(&HeaderMap::new(), Body::from_stream(silent), time).await.unwrap_err();
        assert_eq!(problem.status(), StatusCode::REQUEST_TIMEOUT);
    }

    #[tokio::test]
    async fn a_length_that_is_too_large_is_refused_before_the_body() {
        let headers = HeaderMap::from_iter([(header::CONTENT_LENGTH, http::HeaderValue::from_static("1073741824"))]);
        let silent = stream::pending::<Result<bytes::Bytes, std::io::Error>>();
        let problem = received(&headers, Body::from_stream(silent), BODY_TIMEOUT).await.unwrap_err();
        assert_eq!(problem.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
