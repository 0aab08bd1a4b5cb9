//! Alerts: defined, told once per change, over HTTP, Slack and SMTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::app::TestApp;

const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody who is told.
#[derive(Clone, Default)]
struct Inbox {
    messages: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    /// How many messages are refused first.
    refusals: Arc<Mutex<u32>>,
}

impl Inbox {
    /// Listens, and returns where.
    async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(take).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/hunter2")
    }

    async fn wait_for(&self, count: usize) -> Vec<Value> {
        let started = Instant::now();
        loop {
            let messages: Vec<Value> = self.messages.lock().iter().map(|(_, body)| body.clone()).collect();
            if messages.len() >= count {
                return messages;
            }
            assert!(started.elapsed() < PATIENCE, "only {messages:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn take(State(inbox): State<Inbox>, headers: HeaderMap, body: String) -> StatusCode {
    let mut refusals = inbox.refusals.lock();
    if *refusals > 0 {
        *refusals -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    inbox.messages.lock().push((headers, serde_json::from_str(&body).unwrap()));
    StatusCode::OK
}

/// Starts the scheduler and whoever tells, and waits until they work.
async fn start(app: &TestApp) {
    app.schedule();
    tokio::spawn(tapline_server::alerts::start(app.app.clone()));
    let started = Instant::now();
    while !app.app.runner.is_leading() {
        assert!(started.elapsed() < PATIENCE, "the server does not schedule");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn webhook(url: &str) -> Value {
    json!({
        "name": "ops", "when": ["failed", "partial", "stopped", "late", "recovered"], "syncs": ["*"],
        "channel": { "type": "webhook", "url": url, "headers": { "authorization": "Bearer hunter2" } },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_told_once_per_change() {
    let app = TestApp::with_sync().await;
    let inbox = Inbox::default();
    let made = app.post("/api/v1/alerts", webhook(&inbox.listen().await)).await;
    assert!(!made.text.contains("hunter2"), "{}", made.text);
    made.is(201);
    start(&app).await;
    assert_eq!(app.run("people", json!({})).await["status"], "succeeded");
    app.endpoint.delete("lake", "people.csv").unwrap();
    for _ in 0..2 {
        assert_eq!(app.run("people", json!({})).await["status"], "failed");
    }
    app.endpoint.put("lake", "people.csv", "id,name\n1,Ada\n2,Grace\n").unwrap();
    assert_eq!(app.run("people", json!({})).await["status"], "succeeded");
    let told = inbox.wait_for(2).await;
    let events: Vec<&Value> = told.iter().map(|message| &message["event"]).collect();
    assert_eq!(events, ["failed", "recovered"]);
    assert_eq!(told[0]["sync"], "people");
    assert!(told[0]["run"]["code"].as_str().unwrap().starts_with("S3-"), "{}", told[0]);
    assert!(told[0]["url"].as_str().unwrap().starts_with("http://127.0.0.1:7171/runs/"), "{}", told[0]);
    assert_eq!(inbox.messages.lock()[0].0["authorization"], "Bearer hunter2");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_told_hears_of_the_end_whatever_lay_between() {
    let app = TestApp::with_sync().await;
    let inbox = Inbox::default();
    let mut alert = webhook(&inbox.listen().await);
    alert["when"] = json!(["failed", "recovered"]);
    app.post("/api/v1/alerts", alert).await.is(201);
    start(&app).await;
    let (good, bad) = ("id,name\n1,Ada\n", "id,name\n1,Ada\n2,Grace,Hopper\n");
    for (file, status) in
        [(Some(bad), "partial"), (Some(good), "succeeded"), (None, "failed"), (Some(bad), "partial"), (None, "failed")]
    {
        match file {
            Some(text) => _ = app.endpoint.put("lake", "people.csv", text).unwrap(),
            None => _ = app.endpoint.delete("lake", "people.csv").unwrap(),
        }
        assert_eq!(app.run("people", json!({})).await["status"], status);
    }
    for (text, status) in [(bad, "partial"), ("id,name\n1,Grace\n", "succeeded")] {
        app.endpoint.put("lake", "people.csv", text).unwrap();
        assert_eq!(app.run("people", json!({})).await["status"], status);
    }
    let told = inbox.wait_for(3).await;
    let events: Vec<&Value> = told.iter().map(|message| &message["event"]).collect();
    // Rows rejected are not what this alert tells, so that they neither begin nor end anything.
    assert_eq!(events, ["failed", "failed", "recovered"]);
}

#[tokio::test]
async fn a_test_says_whether_the_message_was_taken() {
    let app = TestApp::new().await;
    let inbox = Inbox::default();
    *inbox.refusals.lock() = 1;
    let slack = json!({
        "name": "chat", "when": ["failed"], "syncs": ["people"],
        "channel": { "type": "slack", "url": inbox.listen().await },
    });
    app.post("/api/v1/alerts", slack).await.is(201);
    let refused = app.post("/api/v1/alerts/chat/test", json!({})).await;
    assert!(!refused.text.contains("hunter2"), "{}", refused.text);
    let refused = refused.is(200);
    assert_eq!(refused["ok"], false);
    assert!(refused["message"].as_str().unwrap().contains("503"), "{refused}");
    assert_eq!(app.post("/api/v1/alerts/chat/test", json!({})).await.is(200)["ok"], true);
    assert!(inbox.wait_for(1).await[0]["text"].as_str().unwrap().contains("is well again"));
    app.post("/api/v1/alerts/nothing/test", json!({})).await.fails(404, "API-001");
}

#[tokio::test]
async fn an_edit_keeps_the_secrets_that_it_leaves_out() {
    let app = TestApp::new().await;
    let inbox = Inbox::default();
    app.post("/api/v1/alerts", webhook(&inbox.listen().await)).await.is(201);
    app.post("/api/v1/alerts", webhook("http://127.0.0.1:1/")).await.fails(409, "API-002");
    let mut shown = app.get("/api/v1/alerts/ops").await.is(200);
    assert_eq!(shown["channel"]["url"], json!({ "secret": true }));
    for key in ["name", "updated_at", "updated_by"] {
        shown.as_object_mut().unwrap().remove(key);
    }
    shown["when"] = json!(["failed"]);
    let changed = app.put("/api/v1/alerts/ops", shown.clone()).await.is(200);
    assert_eq!((&changed["revision"], &changed["when"]), (&json!(2), &json!(["failed"])));
    app.put("/api/v1/alerts/ops", shown).await.fails(412, "API-003");
    assert_eq!(app.post("/api/v1/alerts/ops/test", json!({})).await.is(200)["ok"], true);
    assert_eq!(app.get("/api/v1/alerts").await.is(200)["items"].as_array().unwrap().len(), 1);
    assert_eq!(app.delete("/api/v1/alerts/ops").await.status, 204);
    app.delete("/api/v1/alerts/ops").await.fails(404, "API-001");
}

#[tokio::test]
async fn metadata_addresses_are_told_nothing() {
    let app = TestApp::new().await;
    app.post("/api/v1/alerts", webhook("http://169.254.169.254/")).await.fails(422, "API-007");
}

/// Takes one letter, and returns what was said.
async fn postbox(listener: TcpListener) -> String {
    let (stream, _) = listener.accept().await.unwrap();
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut said = String::new();
    let mut is_letter = false;
    writer.write_all(b"220 postbox\r\n").await.unwrap();
    while let Some(line) = lines.next_line().await.unwrap() {
        said.push_str(&line);
        said.push('\n');
        let answer: &[u8] = match line.split(' ').next().unwrap_or_default() {
            _ if is_letter && line != "." => continue,
            "EHLO" => b"250-postbox\r\n250 AUTH PLAIN\r\n",
            "AUTH" => b"235 welcome\r\n",
            "DATA" => {
                is_letter = true;
                b"354 go on\r\n"
            }
            "QUIT" => break,
            _ => {
                is_letter = false;
                b"250 ok\r\n"
            }
        };
        writer.write_all(answer).await.unwrap();
        if said.ends_with("\n.\n") {
            break;
        }
    }
    said
}

#[tokio::test]
async fn an_e_mail_arrives() {
    let app = TestApp::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let said = tokio::spawn(postbox(listener));
    let email = json!({
        "name": "mail", "when": ["failed"], "syncs": ["*"],
        "channel": {
            "type": "email", "host": "127.0.0.1", "port": port, "encryption": "none", "user": "tapline",
            "password": "hunter2", "from": "Tapline <tapline@example.com>", "to": ["ada@example.com", "bob@example.com"],
        },
    });
    let made = app.post("/api/v1/alerts", email).await;
    assert!(!made.text.contains("hunter2"), "{}", made.text);
    made.is(201);
    assert_eq!(app.post("/api/v1/alerts/mail/test", json!({})).await.is(200)["ok"], true);
    let said = said.await.unwrap();
    for line in ["AUTH PLAIN ", "RCPT TO:<ada@example.com>", "RCPT TO:<bob@example.com>", "Subject: Tapline: "] {
        assert!(said.contains(line), "{line} is not in {said}");
    }
}
