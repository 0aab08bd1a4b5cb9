//! A secret that went in comes out nowhere: not in an answer of any route, not in a message about what is wrong.

use serde_json::{Value, json};

use crate::app::TestApp;

const CANARY: &str = "canary-hunter2-canary";

#[tokio::test]
async fn no_route_returns_a_secret() {
    let app = TestApp::with_sync().await;
    let mut source = app.source();
    source["auth"]["secret_access_key"] = json!(CANARY);
    app.make("sources", "canary", source.clone()).await;
    let url = format!("postgres://app:{CANARY}@127.0.0.1:1/app");
    app.make("destinations", "canary", json!({ "type": "postgres", "url": url })).await;
    let alert = json!({
        "name": "canary", "when": ["failed"], "syncs": ["*"],
        "channel": { "type": "webhook", "url": format!("http://127.0.0.1:1/{CANARY}") },
    });
    app.post("/api/v1/alerts", alert.clone()).await.is(201);
    let document = app.get("/api/openapi.json").await.is(200);
    let mut read = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        // Streams of events have no end.
        if item.get("get").is_none() || path.ends_with("/events") {
            continue;
        }
        for name in ["canary", "people"] {
            let answer = app.get(&path.replace("{name}", name).replace("{id}", name)).await;
            assert!(!answer.text.contains(CANARY), "{path}: {}", answer.text);
            read += 1;
        }
    }
    assert!(read > 40, "only {read} answers were read");
    let mut wrong = source.clone();
    wrong["region"] = Value::Null;
    wrong["auth"]["unknown"] = json!(CANARY);
    let broken_alert =
        json!({ "name": "b", "when": ["failed"], "syncs": ["*"], "channel": { "type": "slack", "url": CANARY } });
    for (path, body) in [
        ("/api/v1/sources", json!({ "name": "wrong", "settings": wrong })),
        ("/api/v1/sources", json!({ "name": "canary", "settings": source })),
        ("/api/v1/sources/canary/check", json!({})),
        ("/api/v1/destinations/canary/check", json!({})),
        ("/api/v1/alerts", alert),
        ("/api/v1/alerts", broken_alert),
        ("/api/v1/alerts/canary/test", json!({})),
    ] {
        let answer = app.post(path, body).await;
        assert!(!answer.text.contains(CANARY), "{path}: {}", answer.text);
    }
}
