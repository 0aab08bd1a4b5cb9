//! Syncs and runs: from a request to its rows, its events and its place in the history.

use axum::body::Body;
use http::{Request, header};
use serde_json::{Value, json};

use crate::app::{ADMIN, TestApp};

#[tokio::test]
async fn a_run_is_accepted_at_once_and_found_at_its_location() {
    let app = TestApp::with_sync().await;
    let answer = app.post("/api/v1/syncs/people/runs", json!({})).await;
    let location = answer.headers[header::LOCATION].to_str().unwrap().to_owned();
    let run = answer.is(202);
    assert_eq!((&run["status"], &run["queued"], &run["cause"]), (&json!("running"), &json!(true), &json!("request")));
    // The same request again is the same run; another one has to wait.
    assert_eq!(app.post("/api/v1/syncs/people/runs", json!({})).await.is(202)["id"], run["id"]);
    app.post("/api/v1/syncs/people/runs", json!({ "full_refresh": true })).await.fails(409, "API-002");
    assert_eq!(app.get(&location).await.is(200)["queued"], true);
    assert_eq!(app.get("/api/v1/runs").await.is(200)["items"][0]["id"], run["id"]);

    app.schedule();
    let ended = app.ended(run["id"].as_str().unwrap()).await;
    assert_eq!((&ended["status"], &ended["rows"]["inserted"]), (&json!("succeeded"), &json!(3)), "{ended}");
    assert_eq!((&ended["by"], &ended["generation"]), (&json!("TAPLINE_ADMIN_TOKEN"), &json!(1)));
    let sync = app.get("/api/v1/syncs/people").await.is(200);
    assert_eq!((&sync["state"], &sync["trend"][0]["delivered"]), (&json!("healthy"), &json!(3)), "{sync}");
    assert_eq!(app.run("people", json!({})).await["status"], "unchanged");
    let history = app.get("/api/v1/runs?sync=people&status=succeeded").await.is(200);
    assert_eq!(history["items"].as_array().unwrap().len(), 1);
    app.get("/api/v1/runs?status=done").await.fails(400, "API-006");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_asked_for_once_runs_once() {
    let app = TestApp::with_sync().await;
    app.schedule();
    // The scheduler looks as often as it can, so that it looks within each step from a request to the end of its run.
    let server = app.app.clone();
    let waking = tokio::spawn(async move {
        loop {
            server.runner.wake();
            tokio::task::yield_now().await;
        }
    });
    let mut asked = Vec::new();
    for _ in 0..20 {
        asked.push(app.run("people", json!({})).await["id"].clone());
    }
    waking.abort();
    let history = app.get("/api/v1/runs?sync=people&limit=100").await.is(200);
    let ran: Vec<Value> = history["items"].as_array().unwrap().iter().rev().map(|run| run["id"].clone()).collect();
    assert_eq!(ran, asked);
}

#[tokio::test]
async fn events_are_kept_and_resumed() {
    let app = TestApp::with_sync().await;
    app.schedule();
    let run = app.run("people", json!({})).await;
    let events = async |last: Option<&str>| {
        let mut request = Request::get(format!("/api/v1/runs/{}/events", run["id"].as_str().unwrap()))
            .header(header::AUTHORIZATION, format!("Bearer {ADMIN}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        app.request(request.body(Body::empty()).unwrap()).await
    };
    let all = events(None).await;
    assert_eq!(all.headers[header::CONTENT_TYPE], "text/event-stream");
    let names: Vec<&str> = all.text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!((names[0], names[names.len() - 1]), ("started", "ended"), "{}", all.text);
    let ids: Vec<u64> = all.text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect();
    assert_eq!(ids, (1..=names.len() as u64).collect::<Vec<_>>());
    let rest = events(Some(&(ids.len() - 1).to_string())).await;
    assert_eq!(rest.text.lines().filter(|line| line.starts_with("id: ")).count(), 1, "{}", rest.text);
    let data: Value =
        serde_json::from_str(rest.text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap();
    assert_eq!(data["report"]["run"], run["id"]);
    assert!(data["at"].is_string());
    events(Some("x")).await.fails(400, "API-006");
}

#[tokio::test]
async fn plans_and_previews_write_nothing() {
    let app = TestApp::with_sync().await;
    let plan = app.post("/api/v1/syncs/people/plan", json!({ "diff": 2 })).await.is(200);
    assert_eq!((&plan["rows"]["inserted"], &plan["error"]), (&json!(3), &Value::Null), "{plan}");
    assert_eq!(plan["samples"].as_array().unwrap().len(), 2);
    let mut settings = app.get("/api/v1/syncs/people").await.is(200)["settings"].clone();
    settings["fields"] = json!({ "id": "id", "greeting": { "template": "Hello {{ name }}" } });
    let shown = app.post("/api/v1/syncs/preview", json!({ "settings": settings, "limit": 1 })).await.is(200);
    assert_eq!(shown["payloads"], json!([{ "id": 1, "greeting": "Hello Ada" }]), "{shown}");
    let plan = app.post("/api/v1/syncs/plan", json!({ "settings": settings })).await.is(200);
    assert_eq!(plan["rows"]["inserted"], 3);
    assert_eq!(app.get("/api/v1/runs").await.is(200)["items"], json!([]));
}

#[tokio::test]
async fn rejected_rows_are_shown_and_offered_again() {
    let app = TestApp::with_sync().await;
    app.schedule();
    app.endpoint.put("lake", "people.csv", "id,name\n1,Ada\n2,Grace\n2,Hopper\n").unwrap();
    let sync = app.get("/api/v1/syncs/people").await.is(200);
    let mut settings = sync["settings"].clone();
    settings["on_bad_key"] = json!("reject");
    app.put("/api/v1/syncs/people", json!({ "settings": settings, "revision": 1 })).await.is(200);
    let run = app.run("people", json!({})).await;
    assert_eq!((&run["status"], &run["rows"]["rejected"]), (&json!("partial"), &json!(2)), "{run}");
    let viewer = app.token("viewer").await;
    let rejects = app.get("/api/v1/syncs/people/rejects").await.is(200);
    assert_eq!(rejects["items"][0]["key"], json!({ "id": 2 }), "{rejects}");
    for path in ["/api/v1/syncs/people/rejects", "/api/v1/rejects", "/api/v1/rejects?sync=people"] {
        let shown = app.send("GET", path, Some(&viewer), None).await.is(200);
        let item = shown["items"][0].as_object().unwrap();
        assert!(item.contains_key("reason") && !item.contains_key("key") && !item.contains_key("payload"), "{shown}");
    }
    let csv = app.get("/api/v1/syncs/people/rejects.csv").await;
    assert!(csv.text.starts_with("key,code,reason,") && csv.text.lines().count() >= 2, "{}", csv.text);
    let summary = app.get("/api/v1/summary").await.is(200);
    assert_eq!((&summary["syncs"], &summary["attention"][0]["sync"]), (&json!({ "partial": 1 }), &json!("people")));
    app.endpoint.put("lake", "people.csv", "id,name\n1,Ada\n2,Grace\n").unwrap();
    let retry = app.post("/api/v1/syncs/people/retry", json!({})).await.is(202);
    let retried = app.ended(retry["id"].as_str().unwrap()).await;
    assert_eq!((&retried["status"], &retried["cause"]), (&json!("succeeded"), &json!("retry")), "{retried}");
}

#[tokio::test]
async fn what_waits_can_be_cancelled_and_what_is_over_cannot() {
    let app = TestApp::with_sync().await;
    let run = app.post("/api/v1/syncs/people/runs", json!({})).await.is(202);
    let path = format!("/api/v1/runs/{}", run["id"].as_str().unwrap());
    app.post(&format!("{path}/cancel"), json!({})).await.is(202);
    assert_eq!(app.get(&path).await.is(200)["status"], "cancelled");
    app.post(&format!("{path}/cancel"), json!({})).await.fails(409, "API-002");
    app.schedule();
    assert_eq!(app.run("people", json!({})).await["status"], "succeeded");
}

#[tokio::test]
async fn a_failed_run_says_why() {
    let app = TestApp::with_sync().await;
    app.schedule();
    app.endpoint.delete("lake", "people.csv").unwrap();
    let run = app.run("people", json!({})).await;
    assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("S3-007")), "{run}");
    assert_eq!(app.get("/api/v1/syncs/people").await.is(200)["state"], "failed");
    let metrics = app.get("/metrics").await;
    assert!(metrics.text.contains("tapline_runs_total{sync=\"people\",status=\"failed\"} 1"), "{}", metrics.text);
}

#[tokio::test]
async fn reset_asks_for_the_name_and_adopt_takes_what_is_there() {
    let app = TestApp::with_sync().await;
    app.schedule();
    app.run("people", json!({})).await;
    app.post("/api/v1/syncs/people/reset", json!({ "confirm": "persons" })).await.fails(400, "API-006");
    app.post("/api/v1/syncs/people/reset", json!({ "confirm": "people" })).await.is(204);
    let adopted = app.post("/api/v1/syncs/people/adopt", json!({})).await.is(200);
    assert_eq!(adopted["rows"], 3, "{adopted}");
    let run = app.run("people", json!({})).await;
    assert_eq!(run["rows"]["unchanged"], 3, "{run}");
}
