//! Schedules: ticks that start runs, pauses, previews.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::app::TestApp;

#[tokio::test]
async fn ticks_start_runs_until_the_sync_is_paused() {
    let app = TestApp::with_sync().await;
    app.schedule();
    let mut settings = app.get("/api/v1/syncs/people").await.is(200)["settings"].clone();
    settings["schedule"] = json!({ "every": "1s" });
    let sync = app.put("/api/v1/syncs/people", json!({ "settings": settings, "revision": 1 })).await.is(200);
    assert_eq!(sync["schedule"], "every second");
    let started = Instant::now();
    loop {
        let runs = app.get("/api/v1/runs").await.is(200);
        let ended = runs["items"].as_array().unwrap().iter().filter(|run| run["status"] != "running").count();
        if ended >= 2 {
            assert_eq!(runs["items"][0]["cause"], "schedule", "{runs}");
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{runs}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let paused = app.post("/api/v1/syncs/people/pause", json!({})).await.is(200);
    assert_eq!((&paused["paused"], &paused["next_run"]), (&json!(true), &json!(null)));
    let resumed = app.post("/api/v1/syncs/people/resume", json!({})).await.is(200);
    assert_eq!(resumed["paused"], false);
    assert!(resumed["next_run"].is_string());
}

#[tokio::test]
async fn a_schedule_is_kept_before_its_first_run() {
    let app = TestApp::with_sync().await;
    app.schedule();
    let started = Instant::now();
    // A server that is started later makes up for the ticks since then.
    while !app.app.runner.schedules().await.unwrap().contains_key("people") {
        assert!(started.elapsed() < Duration::from_secs(60), "the schedule is not kept");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(app.get("/api/v1/syncs/people").await.is(200)["last_run"], json!(null));
}

#[tokio::test]
async fn a_schedule_can_be_looked_at_before_it_is_saved() {
    let app = TestApp::new().await;
    let preview = async |schedule| app.post("/api/v1/schedules/preview", json!({ "schedule": schedule })).await;
    let seen = preview(json!({ "cron": "0 6 * * *", "timezone": "Europe/Berlin" })).await.is(200);
    assert_eq!(
        (seen["next"].as_array().unwrap().len(), &seen["text"]),
        (5, &json!("every day at 06:00 (Europe/Berlin)"))
    );
    assert_eq!(preview(json!("manual")).await.is(200)["next"], json!([]));
    let told = preview(json!({ "cron": "61 * * * *" })).await.fails(422, "CONF-002");
    assert_eq!(told["errors"][0]["pointer"], "/schedule/cron", "{told}");
    let told = preview(json!({ "every": "soon" })).await.fails(422, "CONF-002");
    assert_eq!(told["errors"][0]["pointer"], "/schedule/every", "{told}");
}
