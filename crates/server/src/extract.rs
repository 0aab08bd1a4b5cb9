//! What routes take from a request, with problems where it does not fit.
//! Not here: who is asking (`auth`).
//! Called by axum for the arguments of every route.

use std::time::Duration;

use axum::RequestExt;
use axum::body::Bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::request::Parts;
use http::{StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tapline_core::codes;
use utoipa::IntoParams;

use crate::problem::Problem;

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A JSON body.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_json = says_json(&request);
        parsed(is_json, &body(request).await?).map(Self)
    }
}

/// Whether a request says that its body is JSON.
fn says_json(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

fn parsed<T: DeserializeOwned>(is_json: bool, bytes: &Bytes) -> Result<T, Problem> {
    if !is_json {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            codes::API_006,
            "the body has to be JSON, and to say so",
        )
        .hint("send the header `Content-Type: application/json`"));
    }
    serde_json::from_slice(bytes).map_err(|error| Problem::malformed(format!("the body cannot be read: {error}")))
}

/// A JSON body, or the default where the body is empty.
#[derive(Debug, Clone)]
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned + Default + Send, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_json = says_json(&request);
        let bytes = body(request).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        parsed(is_json, &bytes).map(Self)
    }
}

/// A body of text.
#[derive(Debug, Clone)]
pub struct Text(pub String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = body(request).await?;
        let text = String::from_utf8(bytes.into()).map_err(|_| Problem::malformed("the body is not UTF-8"))?;
        Ok(Self(text))
    }
}

async fn body(request: Request) -> Result<Bytes, Problem> {
    let received = tokio::time::timeout(BODY_TIMEOUT, request.extract::<Bytes, _>()).await;
    let slow = || Problem::new(StatusCode::REQUEST_TIMEOUT, codes::API_005, "the body did not arrive in time");
    received.map_err(|_| slow())?.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, codes::API_005, "the body is too large")
        } else {
            Problem::malformed("the body cannot be received")
        }
    })
}

/// The query string.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        query
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|rejection: QueryRejection| Problem::malformed(rejection.body_text().to_lowercase()))
    }
}

/// The variable parts of the path.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Self(value))
            .map_err(|rejection: PathRejection| Problem::malformed(rejection.body_text().to_lowercase()))
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// At most so many items, 1 to 500; 50 without it.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<usize>,
    /// The `next` of the part before.
    pub after: Option<String>,
    /// Only items whose name holds this text, in any case.
    pub search: Option<String>,
}

impl PageQuery {
    /// How many items are wanted.
    ///
    /// # Errors
    /// A limit that is out of bounds.
    pub fn limit(&self) -> Result<usize, Problem> {
        bounded("limit", self.limit, 50, 500)
    }
}

/// A number of a query or body, from 1 to `most`.
///
/// # Errors
/// A number that is out of bounds.
pub fn bounded(name: &str, number: Option<usize>, fallback: usize, most: usize) -> Result<usize, Problem> {
    match number {
        None => Ok(fallback),
        Some(number) if (1..=most).contains(&number) => Ok(number),
        Some(_) => Err(Problem::malformed(format!("`{name}` has to be from 1 to {most}"))),
    }
}
