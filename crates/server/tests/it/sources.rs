//! Sources: checks, streams, policies, queries.

use axum::body::Body;
use http::{Request, header};
use serde_json::json;
use tapline_endpoint::{Fault, Operation};

use crate::app::{ADMIN, TestApp};

async fn lake() -> TestApp {
    let app = TestApp::new().await;
    app.endpoint.put("lake", "people.csv", "id;name\n1;Ada\n2;Grace\n").unwrap();
    app.make("sources", "lake", app.source()).await;
    app
}

#[tokio::test]
async fn a_check_is_a_document_or_an_event_per_step() {
    let app = lake().await;
    assert_eq!(app.get("/api/v1/sources/lake").await.is(200)["last_check"], json!(null));
    let check = app.post("/api/v1/sources/lake/check", json!({})).await.is(200);
    assert_eq!((&check["name"], &check["kind"], &check["ok"]), (&json!("lake"), &json!("source"), &json!(true)));
    assert_eq!(app.get("/api/v1/sources/lake").await.is(200)["last_check"]["ok"], true);

    let request = Request::post("/api/v1/sources/lake/check")
        .header(header::AUTHORIZATION, format!("Bearer {ADMIN}"))
        .header(header::ACCEPT, "text/event-stream")
        .body(Body::empty())
        .unwrap();
    let answer = app.request(request).await;
    let steps = check["steps"].as_array().unwrap().len();
    assert_eq!(answer.text.matches("event: step").count(), steps, "{}", answer.text);
    assert_eq!(answer.text.matches("event: done").count(), 1, "{}", answer.text);
}

#[tokio::test]
async fn settings_that_are_not_saved_are_checked_with_the_secrets_that_are() {
    let app = lake().await;
    let mut settings = app.source();
    settings["auth"].as_object_mut().unwrap().remove("secret_access_key");
    let saved = json!({ "settings": settings, "name": "lake" });
    assert_eq!(app.post("/api/v1/sources/check", saved).await.is(200)["ok"], true);
    app.post("/api/v1/sources/check", json!({ "settings": settings })).await.fails(422, "CONF-002");
    settings["auth"]["secret_access_key"] = json!("wrong");
    let check = app.post("/api/v1/sources/check", json!({ "settings": settings })).await.is(200);
    assert_eq!((&check["ok"], &check["steps"][2]["ok"]), (&json!(false), &json!(true)), "{check}");
}

#[tokio::test]
async fn streams_and_policies() {
    let app = lake().await;
    let streams = app.get("/api/v1/sources/lake/streams").await.is(200);
    assert_eq!(streams["streams"][0]["columns"][0], json!({ "name": "id", "type": "BIGINT", "nullable": true }));
    assert_eq!(streams["streams"][0]["dialect"]["delimiter"], ";");
    let policy = app.get("/api/v1/sources/lake/policy").await.is(200);
    assert_eq!((&policy["permission"]["Version"], &policy["trust"]), (&json!("2012-10-17"), &json!(null)));

    let auth = json!({ "type": "iam_role", "role_arn": "arn:aws:iam::123456789012:role/reader" });
    let settings = json!({ "type": "s3", "bucket": "lake", "region": "us-east-1", "auth": auth });
    let made = app.post("/api/v1/sources", json!({ "name": "role", "settings": settings })).await.is(201);
    let id = made["external_id"].as_str().unwrap().to_owned();
    assert_eq!(made["settings"]["auth"]["external_id"], id.as_str());
    let policy = app.get("/api/v1/sources/role/policy?principal=arn:aws:iam::1:user/me").await.is(200);
    let condition = &policy["trust"]["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"];
    assert_eq!(condition, id.as_str());
}

#[tokio::test]
async fn queries_have_rows_columns_and_limits() {
    let app = lake().await;
    let query = async |body| app.post("/api/v1/sources/lake/query", body).await;
    let sql = "SELECT * FROM 's3://lake/people.csv' ORDER BY id";
    let found = query(json!({ "sql": sql })).await.is(200);
    assert_eq!(found["columns"][1], json!({ "name": "name", "type": "VARCHAR" }));
    assert_eq!((&found["rows"], &found["truncated"]), (&json!([[1, "Ada"], [2, "Grace"]]), &json!(false)));
    let found = query(json!({ "sql": sql, "limit": 1 })).await.is(200);
    assert_eq!((&found["row_count"], &found["truncated"]), (&json!(1), &json!(true)));

    let told = query(json!({ "sql": "SELECT id,\n nmae FROM 's3://lake/people.csv'" })).await.fails(422, "SQL-002");
    assert_eq!(told["errors"][0]["pointer"], "/sql", "{told}");
    assert_eq!((&told["errors"][0]["line"], &told["errors"][0]["column"]), (&json!(2), &json!(2)), "{told}");
    query(json!({ "sql": "DROP TABLE x" })).await.fails(422, "SQL-010");
    query(json!({ "sql": sql, "limit": 1_000_000 })).await.fails(400, "API-006");
    query(json!({ "sql": "SELECT * FROM 's3://other/people.csv'" })).await.fails(422, "S3-009");
    let local = query(json!({ "sql": "SELECT * FROM '/etc/passwd'" })).await;
    assert!(local.status.is_client_error() || local.status.is_server_error(), "{}", local.text);
    assert!(!local.text.contains("root:"), "{}", local.text);
    app.endpoint.inject(Fault::stall().on(Operation::GetObject));
    query(json!({ "sql": sql, "timeout_ms": 50 })).await.fails(504, "API-005");
}
