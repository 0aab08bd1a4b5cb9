//! Export and apply.

use serde_json::{Value, json};

use crate::app::TestApp;

#[tokio::test]
async fn what_is_exported_applies_without_a_change() {
    let app = TestApp::with_sync().await;
    let text = app.get("/api/v1/export").await.text;
    assert!(text.contains("secret_access_key: \"${LAKE_AUTH_SECRET_ACCESS_KEY}\""), "{text}");
    let applied = app.apply("", &text).await.is(200);
    assert_eq!(applied["unchanged"].as_array().unwrap().len(), 4, "{applied}");
    assert_eq!(app.get("/api/v1/export").await.text, text);

    let changed = text.replace("mode: incremental", "mode: full_refresh");
    let applied = app.apply("?dry_run=true", &changed).await.is(200);
    assert_eq!(applied["updated"], json!(["syncs/people"]));
    assert_eq!(app.get("/api/v1/export").await.text, text);
    app.apply("", &changed).await.is(200);
    assert_eq!(app.get("/api/v1/syncs/people").await.is(200)["mode"], "full_refresh");
    // The secrets have stayed.
    assert_eq!(app.post("/api/v1/sources/lake/check", json!({})).await.is(200)["ok"], true);
}

#[tokio::test]
async fn a_file_is_applied_as_a_whole_or_not_at_all() {
    let app = TestApp::new().await;
    let file = "version: 1\ndestinations: { a: { type: sqlite, path: a.db }, b: { type: sqlite, paht: b.db } }\n";
    let told = app.apply("", file).await.fails(422, "CONF-002");
    assert_eq!(told["errors"][0]["pointer"], "/destinations/b/paht", "{told}");
    assert_eq!(app.get("/api/v1/destinations").await.is(200)["items"], json!([]));
    let placeholder =
        "version: 1\nsources: { lake: { type: s3, bucket: b, secret_access: \"${KEY}\", access_id: x } }\n";
    app.apply("", placeholder).await.fails(422, "CONF-002");
    app.apply("", "version: 1\nsurces: {}").await.fails(422, "CONF-002");
}

#[tokio::test]
async fn prune_deletes_what_the_file_does_not_have() {
    let app = TestApp::with_sync().await;
    let kept = "version: 1\ndestinations: { local: { type: sqlite, path: out.db } }\n";
    let applied = app.apply("", kept).await.is(200);
    assert_eq!((&applied["deleted"], &applied["unchanged"]), (&json!([]), &json!(["destinations/local"])));
    let applied = app.apply("?prune=true", kept).await.is(200);
    assert_eq!(applied["deleted"], json!(["syncs/people", "models/people", "sources/lake"]));
    assert_eq!(app.get("/api/v1/syncs").await.is(200)["items"], Value::Array(Vec::new()));
}
