//! Models: versions, previews, keys.

use serde_json::json;

use crate::app::TestApp;

#[tokio::test]
async fn sql_is_told_with_line_and_column() {
    let app = TestApp::with_sync().await;
    let settings = json!({ "source": "lake", "sql": "SELECT id\nFRM x" });
    let told = app.post("/api/v1/models", json!({ "name": "m", "settings": settings })).await.fails(422, "SQL-001");
    let error = &told["errors"][0];
    assert_eq!((&error["pointer"], &error["line"]), (&json!("/settings/sql"), &json!(2)), "{told}");
}

#[tokio::test]
async fn a_model_keeps_its_versions() {
    let app = TestApp::with_sync().await;
    let sql = "SELECT id, upper(name) AS name FROM 's3://lake/people.csv'";
    let settings = json!({ "source": "lake", "sql": sql, "primary_key": "id" });
    let changed = app.put("/api/v1/models/people", json!({ "settings": settings, "revision": 1 })).await.is(200);
    assert_eq!((&changed["version"], &changed["primary_key"]), (&json!(2), &json!(["id"])));
    let versions = app.get("/api/v1/models/people/versions").await.is(200);
    let versions = versions["items"].as_array().unwrap();
    assert_eq!((versions.len(), &versions[0]["version"], &versions[0]["sql"]), (2, &json!(2), &json!(sql)));
}

#[tokio::test]
async fn previews_show_rows_of_saved_and_unsaved_models() {
    let app = TestApp::with_sync().await;
    let saved = app.post("/api/v1/models/people/preview", json!({ "limit": 2 })).await.is(200);
    assert_eq!((&saved["row_count"], &saved["truncated"]), (&json!(2), &json!(true)));
    let sql = "SELECT id + 1 AS next FROM 's3://lake/people.csv' ORDER BY 1";
    let body = json!({ "settings": { "source": "lake", "sql": sql } });
    assert_eq!(app.post("/api/v1/models/preview", body).await.is(200)["rows"], json!([[2], [3], [4]]));
}

#[tokio::test]
async fn keys_are_counted() {
    let app = TestApp::with_sync().await;
    app.endpoint.put("lake", "keys.csv", "a,b\n1,x\n1,x\n1,y\n,z\n").unwrap();
    let sql = "SELECT * FROM 's3://lake/keys.csv' -- all of them";
    let check = async |key| {
        let settings = json!({ "source": "lake", "sql": sql, "primary_key": key });
        app.post("/api/v1/models/key-check", json!({ "settings": settings })).await
    };
    let counted = check(json!(["a"])).await.is(200);
    assert_eq!(counted, json!({ "rows": 4, "null_keys": 1, "duplicate_keys": 3, "unique": false }));
    let counted = check(json!(["a", "b"])).await.is(200);
    assert_eq!(counted, json!({ "rows": 4, "null_keys": 1, "duplicate_keys": 2, "unique": false }));
    check(json!([])).await.fails(422, "KEY-003");
}
