//! The web UI: the files that the build made of `web/`, embedded; or one page that says that there are none.
//! Not here: building them (`build.rs`), and the security headers (`security`).
//! Called as the router's fallback.

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;
use tapline_core::codes;

use crate::problem::Problem;

/// What the build leaves in the place of the nonce of each response.
const NONCE: &str = "__CSP_NONCE__";
/// Where the build puts files whose names change with their content.
const HASHED: &str = "assets/";

/// What stands in the place of the UI where there is none.
const PLACEHOLDER: &str = include_str!("placeholder.html");

#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Files;

/// Answers what no route does: a file of the UI, or its one page, which finds its own way by the address.
pub fn serve(method: &Method, uri: &Uri, headers: &HeaderMap, nonce: &str) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") || !matches!(*method, Method::GET | Method::HEAD) {
        return Problem::new(StatusCode::NOT_FOUND, codes::API_001, "there is no such route")
            .hint("/api/openapi.json lists all routes")
            .into_response();
    }
    match Files::get(path).filter(|_| !path.is_empty() && path != "index.html") {
        Some(file) => {
            let tag = format!("\"{}\"", hexadecimal(&file.metadata.sha256_hash()[..16]));
            let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
            let known = known.is_some_and(|tags| tags.split(',').any(|known| known.trim() == tag));
            let caching = if path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
            let headers = [(header::CONTENT_TYPE, kind(path)), (header::CACHE_CONTROL, caching), (header::ETAG, &tag)];
            if known {
                return (StatusCode::NOT_MODIFIED, headers).into_response();
            }
            (headers, file.data.into_owned()).into_response()
        }
        None if path.rsplit('/').next().is_some_and(|name| name.contains('.')) => {
            (StatusCode::NOT_FOUND, "there is no such file\n").into_response()
        }
        None => page(nonce),
    }
}

fn page(nonce: &str) -> Response {
    let file = Files::get("index.html");
    let text = file.as_ref().map_or(PLACEHOLDER.into(), |file| String::from_utf8_lossy(&file.data));
    let text = text.replace(NONCE, nonce);
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, text).into_response()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "map" | "webmanifest" => "application/json",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &'static str) -> Response {
        serve(&Method::GET, &Uri::from_static(path), &HeaderMap::new(), "abc")
    }

    #[tokio::test]
    async fn any_page_of_the_ui_is_the_one_page() {
        for path in ["/", "/syncs/customers", "/setup?code=1"] {
            let response = get(path);
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
            let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
            assert!(!String::from_utf8_lossy(&body).contains(NONCE));
        }
    }

    #[test]
    fn what_is_no_page_is_not_found() {
        assert_eq!(get("/assets/nothing.js").status(), StatusCode::NOT_FOUND);
        let response = get("/api/v1/nothing");
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }
}
