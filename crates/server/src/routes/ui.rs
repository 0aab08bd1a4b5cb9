//! The web UI's files and page, for every address that no route has.
//! Not here: the files (`crate::ui`).
//! Called by the router's fallback.

use axum::extract::Request;
use axum::response::Response;

use crate::security::Nonce;

/// Answers what no route does.
pub async fn fallback(request: Request) -> Response {
    let nonce = request.extensions().get::<Nonce>().map(|nonce| nonce.0.clone()).unwrap_or_default();
    crate::ui::serve(request.method(), request.uri(), request.headers(), &nonce)
}
