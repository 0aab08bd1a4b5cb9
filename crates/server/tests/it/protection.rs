//! What holds for every request: where it comes from, how large it is, the headers of its answer.

use axum::body::Body;
use http::{Request, header};
use serde_json::json;

use crate::app::{ADMIN, TestApp};

#[tokio::test]
async fn every_answer_forbids_what_pages_do_not_need() {
    let app = TestApp::new().await;
    for path in ["/", "/api/v1/sources", "/api/v1/nothing", "/healthz"] {
        let answer = app.get(path).await;
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{path}: {policy}");
        assert!(!policy.contains("unsafe-eval") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(answer.headers[header::X_FRAME_OPTIONS], "DENY");
    }
    assert_eq!(app.get("/api/v1/sources").await.headers[header::CACHE_CONTROL], "no-store");
    let policies =
        [app.get("/").await, app.get("/").await].map(|answer| answer.headers[header::CONTENT_SECURITY_POLICY].clone());
    assert_ne!(policies[0], policies[1], "a nonce is used once");
}

#[tokio::test]
async fn other_pages_and_other_names_are_refused() {
    let app = TestApp::new().await;
    let send = async |name: &str, value: &str| {
        let request = Request::builder()
            .method("POST")
            .uri("/api/v1/tokens")
            .header(name, value)
            .header(header::AUTHORIZATION, format!("Bearer {ADMIN}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(json!({ "name": "t", "role": "viewer" }).to_string()))
            .unwrap();
        app.request(request).await
    };
    send("host", "evil.example").await.fails(403, "AUTH-005");
    send("origin", "https://evil.example").await.fails(403, "AUTH-005");
    send("sec-fetch-site", "cross-site").await.fails(403, "AUTH-005");
    send("origin", "http://127.0.0.1:7171").await.is(201);
}

#[tokio::test]
async fn a_body_is_bounded() {
    let app = TestApp::new().await;
    let name = "x".repeat(5 << 20);
    app.post("/api/v1/tokens", json!({ "name": name, "role": "viewer" })).await.fails(413, "API-005");
}
