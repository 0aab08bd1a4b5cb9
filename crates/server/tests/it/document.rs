//! The OpenAPI document, and what holds for every route.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::app::TestApp;

#[tokio::test]
async fn every_route_says_who_may_call_it_and_what_problems_look_like() {
    let app = TestApp::new().await;
    let document = app.get("/api/openapi.json").await.is(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let open = ["/healthz", "/readyz", "/api/v1/setup", "/api/v1/session", "/metrics"];
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name), "{method} {path} has the name of another operation, {name}");
            assert!(operation["responses"].get("default").is_some(), "{method} {path}");
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            if !open.contains(&path.as_str()) {
                assert!(operation["security"].is_array(), "{method} {path} does not say who may call it");
            }
        }
    }
    assert!(names.len() > 60, "{names:?}");
    dangling(&document, &document);
}

/// Whatever the document refers to is in it.
fn dangling(value: &Value, document: &Value) {
    match value {
        Value::Object(members) => {
            if let Some(link) = members.get("$ref").and_then(Value::as_str) {
                assert!(document.pointer(link.trim_start_matches('#')).is_some(), "{link} is not there");
            }
            members.values().for_each(|member| dangling(member, document));
        }
        Value::Array(items) => items.iter().for_each(|item| dangling(item, document)),
        _ => {}
    }
}

#[tokio::test]
async fn what_is_no_route_is_a_problem_below_api_and_a_page_elsewhere() {
    let app = TestApp::new().await;
    app.get("/api/v1/nothing").await.fails(404, "API-001");
    app.send("PATCH", "/api/v1/sources", Some(crate::app::ADMIN), Some(json!({}))).await.fails(405, "API-006");
    let page = app.get("/syncs/people").await;
    assert_eq!(page.status.as_u16(), 200);
    assert!(page.headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    assert_eq!(app.get("/healthz").await.text, "ok\n");
    assert_eq!(app.get("/readyz").await.text, "ok\n");
    assert_eq!(app.get("/api/v1/about").await.is(200)["state"], "sqlite");
}

#[tokio::test]
async fn a_body_of_the_wrong_kind_is_refused() {
    let app = TestApp::new().await;
    let request = http::Request::post("/api/v1/sources")
        .header("authorization", format!("Bearer {}", crate::app::ADMIN))
        .header("content-type", "text/plain")
        .body(axum::body::Body::from("{}"))
        .unwrap();
    app.request(request).await.fails(415, "API-006");
}
