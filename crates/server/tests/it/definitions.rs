//! What holds for the definitions of every noun: revisions, names, secrets, drafts, uses.
//! Not here: what each noun adds.

use serde_json::{Value, json};

use crate::app::TestApp;

#[tokio::test]
async fn a_definition_is_made_read_changed_and_deleted() {
    let app = TestApp::new().await;
    let body = json!({ "name": "local", "settings": { "type": "sqlite", "path": "a.db" } });
    let answer = app.post("/api/v1/destinations", body.clone()).await;
    assert_eq!(answer.headers["location"], "/api/v1/destinations/local");
    let made = answer.is(201);
    assert_eq!((&made["origin"], &made["read_only"], &made["revision"]), (&json!("state"), &json!(false), &json!(1)));
    app.post("/api/v1/destinations", body).await.fails(409, "API-002");

    let settings = json!({ "type": "sqlite", "path": "b.db" });
    let change = json!({ "settings": settings, "revision": 1 });
    let changed = app.put("/api/v1/destinations/local", change.clone()).await.is(200);
    assert_eq!((&changed["revision"], &changed["settings"]), (&json!(2), &settings));
    app.put("/api/v1/destinations/local", change).await.fails(412, "API-003");
    app.put("/api/v1/destinations/local", json!({ "settings": settings })).await.fails(400, "API-006");

    app.delete("/api/v1/destinations/local").await.is(204);
    app.get("/api/v1/destinations/local").await.fails(404, "API-001");
    app.delete("/api/v1/destinations/local").await.fails(404, "API-001");
}

#[tokio::test]
async fn secrets_never_leave_and_stay_when_an_edit_leaves_them_out() {
    let app = TestApp::new().await;
    let secret = app.endpoint.access_key().secret.clone();
    app.make("sources", "lake", app.source()).await;
    let answer = app.get("/api/v1/sources/lake").await;
    assert!(!answer.text.contains(&secret), "{}", answer.text);
    let mut settings = answer.is(200)["settings"].clone();
    assert_eq!(settings["auth"]["secret_access_key"], json!({ "secret": true }));

    settings["path"] = json!("exports");
    app.put("/api/v1/sources/lake", json!({ "settings": settings, "revision": 1 })).await.is(200);
    settings["auth"].as_object_mut().unwrap().remove("secret_access_key");
    app.put("/api/v1/sources/lake", json!({ "settings": settings, "revision": 2 })).await.is(200);
    app.endpoint.put("lake", "exports/a.csv", "x\n1\n").unwrap();
    let check = app.post("/api/v1/sources/lake/check", json!({})).await.is(200);
    assert_eq!(check["ok"], true, "{check}");
    for path in ["/api/v1/sources", "/api/v1/audit", "/api/v1/export"] {
        assert!(!app.get(path).await.text.contains(&secret), "{path}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_by_json_pointer() {
    let app = TestApp::new().await;
    let create =
        async |settings: Value| app.post("/api/v1/sources", json!({ "name": "x", "settings": settings })).await;
    let told = create(json!({ "type": "s3", "bucket": "b", "buckets": 1 })).await.fails(422, "CONF-002");
    assert_eq!(told["errors"][0]["pointer"], "/settings/buckets", "{told}");
    let told = create(json!({ "type": "s3", "bucket": "${HOME}" })).await.fails(422, "CONF-002");
    assert_eq!(told["errors"][0]["pointer"], "/settings/bucket", "{told}");
    let told = create(json!({ "type": "s3" })).await.fails(422, "CONF-002");
    assert_eq!(told["errors"][0]["pointer"], "/settings", "{told}");
    let told = create(json!({ "type": "s3", "bucket": "b", "endpoint": "http://169.254.169.254" })).await;
    assert_eq!(told.fails(422, "API-007")["errors"][0]["pointer"], "/settings/endpoint");
    create(json!("text")).await.fails(422, "CONF-002");
    app.post("/api/v1/sources", json!({ "name": "a/b", "settings": {} })).await.fails(422, "CONF-002");
    app.post("/api/v1/sources", json!({ "name": "regions", "settings": {} })).await.fails(422, "CONF-002");
    app.post("/api/v1/sources", json!({ "name": "x", "setings": {} })).await.fails(400, "API-006");
}

#[tokio::test]
async fn a_draft_may_be_wrong_and_is_no_part_of_the_project() {
    let app = TestApp::new().await;
    let body = json!({ "name": "lake", "settings": { "type": "s3" }, "draft": true });
    assert_eq!(app.post("/api/v1/sources", body).await.is(201)["draft"], true);
    app.post("/api/v1/sources/lake/check", json!({})).await.fails(409, "API-002");
    let model = json!({ "source": "lake", "sql": "SELECT 1 AS id" });
    app.post("/api/v1/models", json!({ "name": "m", "settings": model })).await.fails(422, "CONF-004");
    let change = json!({ "settings": app.source(), "revision": 1 });
    assert_eq!(app.put("/api/v1/sources/lake", change).await.is(200)["draft"], false);
    app.make("models", "m", model).await;
    let back = json!({ "settings": app.source(), "revision": 2, "draft": true });
    let told = app.put("/api/v1/sources/lake", back).await.fails(409, "API-002");
    assert!(told["detail"].as_str().unwrap().contains("model `m`"), "{told}");
}

#[tokio::test]
async fn what_is_used_cannot_be_deleted_and_users_follow_a_rename() {
    let app = TestApp::with_sync().await;
    for (path, user) in [("sources/lake", "model `people`"), ("models/people", "sync `people`")] {
        let told = app.delete(&format!("/api/v1/{path}")).await.fails(409, "API-002");
        assert!(told["detail"].as_str().unwrap().contains(user), "{told}");
    }
    let source = app.get("/api/v1/sources/lake").await.is(200);
    let rename = json!({ "settings": source["settings"], "revision": 1, "name": "pond" });
    assert_eq!(app.put("/api/v1/sources/lake", rename).await.is(200)["name"], "pond");
    app.get("/api/v1/sources/lake").await.fails(404, "API-001");
    let model = app.get("/api/v1/models/people").await.is(200);
    assert_eq!((&model["source"], &model["revision"]), (&json!("pond"), &json!(2)));
    app.post("/api/v1/models/people/preview", json!({})).await.is(200);
    let sync = app.get("/api/v1/syncs/people").await.is(200);
    let rename = json!({ "settings": sync["settings"], "revision": 1, "name": "persons" });
    app.put("/api/v1/syncs/people", rename).await.fails(409, "API-002");
}

#[tokio::test]
async fn a_change_that_breaks_others_is_refused() {
    let app = TestApp::with_sync().await;
    let settings = json!({ "source": "lake", "sql": "SELECT 1 AS id" });
    let told = app.put("/api/v1/models/people", json!({ "settings": settings, "revision": 1 })).await;
    let told = told.fails(422, "CONF-005");
    assert!(told["detail"].as_str().unwrap().contains("syncs/people"), "{told}");
}

#[tokio::test]
async fn the_project_file_is_read_only_and_comes_first() {
    let project = json!({ "version": 1, "destinations": { "local": { "type": "sqlite", "path": "file.db" } } });
    let app = TestApp::with_project(Some(project)).await;
    let read = app.get("/api/v1/destinations/local").await.is(200);
    assert_eq!((&read["origin"], &read["read_only"]), (&json!("file"), &json!(true)));
    let settings = json!({ "type": "sqlite", "path": "x.db" });
    app.put("/api/v1/destinations/local", json!({ "settings": settings, "revision": 0 })).await.fails(409, "API-002");
    app.delete("/api/v1/destinations/local").await.fails(409, "API-002");
    app.post("/api/v1/destinations", json!({ "name": "local", "settings": settings })).await.fails(409, "API-002");
    app.make("destinations", "other", settings).await;
    let list = app.get("/api/v1/destinations").await.is(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn lists_come_in_parts() {
    let app = TestApp::new().await;
    for name in ["a", "b", "c"] {
        app.make("destinations", name, json!({ "type": "sqlite", "path": "x.db" })).await;
    }
    let first = app.get("/api/v1/destinations?limit=2").await.is(200);
    assert_eq!((&first["items"][1]["name"], &first["next"]), (&json!("b"), &json!("b")));
    let last = app.get("/api/v1/destinations?limit=2&after=b").await.is(200);
    assert_eq!((&last["items"][0]["name"], &last["next"]), (&json!("c"), &Value::Null));
    let found = app.get("/api/v1/destinations?search=B").await.is(200);
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    app.get("/api/v1/destinations?limit=0").await.fails(400, "API-006");
    app.get("/api/v1/destinations?limit=x").await.fails(400, "API-006");
}
