//! Slack, played by a local service: messages, refusals, and credentials.

use serde_json::{Value, json};

use crate::harness::{Asked, Reply, Service, World};

fn deliver(world: &World, settings: &str) {
    world.write(
        "tapline.yaml",
        &format!(
            "version: 1
sources:
  lake: {}
models:
  rows:
    source: lake
    sql: \"SELECT id, name, [{{'type': 'divider'}}] AS blocks FROM 's3://lake/people.csv'\"
    primary_key: [id]
destinations:
  target: {{ type: slack, allow_http: true, {settings} }}
syncs:
  rows:
    model: rows
    destination: target
    stream: C0123
    mode: incremental
    write: insert
    fields: {{ id: id, text: {{ template: \"Hello {{{{ name }}}}\" }}, blocks: blocks }}
",
            world.source()
        ),
    );
}

#[test]
fn a_message_for_each_new_row() {
    let (world, service) = (World::new(), Service::start());
    deliver(&world, &format!("token: xoxb-s3cret, api_url: '{}/api'", service.url));
    world.tapline(&["validate"]).exits(0);
    world.put("people.csv", "id,name\n1,ada\n");
    service.does(|_| Reply::json(200, json!({ "ok": true })));
    world.tapline(&["check", "target"]).exits(0);
    assert!(service.take().iter().any(|asked| asked.path == "/api/auth.test"));
    world.sync().ended(0, "succeeded").counted(&[("read", 1), ("inserted", 1)]);
    let asked = service.take();
    let bodies: Vec<Value> = asked.iter().map(Asked::json).collect();
    assert_eq!(bodies, [json!({ "channel": "C0123", "text": "Hello ada", "blocks": [{ "type": "divider" }] })]);
    assert_eq!(asked[0].path, "/api/chat.postMessage");
    assert_eq!(asked[0].header("authorization"), Some("Bearer xoxb-s3cret"));
    // A change is no new message.
    world.put("people.csv", "id,name\n1,Ada\n2,bob\n");
    world.sync().ended(0, "succeeded").counted(&[("read", 2), ("inserted", 1), ("skipped", 1)]);
    assert_eq!(service.take().len(), 1);
}

#[test]
fn refusals_of_messages_and_of_credentials() {
    let (world, service) = (World::new(), Service::start());
    deliver(&world, &format!("token: xoxb-s3cret, api_url: '{}/api'", service.url));
    world.put("people.csv", "id,name\n1,ada\n");
    service.does(|_| Reply::json(200, json!({ "ok": false, "error": "msg_too_long" })));
    world.sync().ended(3, "partial");
    let rejects = world.tapline(&["rejects", "rows", "--format", "json"]).exits(0).json();
    assert!(rejects[0]["reason"].as_str().unwrap().contains("msg_too_long"), "{rejects}");
    service.does(|_| Reply::json(200, json!({ "ok": false, "error": "invalid_auth" })));
    let run = world.sync().failed(1, "failed", "DEST-002");
    assert!(run.message().contains("invalid_auth") && !run.outcome.stderr.contains("s3cret"), "{}", run.outcome);
    let check = world.tapline(&["check", "target", "--format", "json"]).exits(1).json();
    assert_eq!(check[0]["steps"][2]["code"], "DEST-002");
}

#[test]
fn webhooks_take_messages_too() {
    let (world, service) = (World::new(), Service::start());
    deliver(&world, &format!("webhook_url: '{}/services/T/B/s3cret'", service.url));
    world.put("people.csv", "id,name\n1,ada\n");
    service.does(|_| Reply::Status(200, Vec::new(), "ok".to_owned()));
    world.sync().ended(0, "succeeded");
    let asked = service.take();
    assert_eq!(asked[0].json(), json!({ "text": "Hello ada", "blocks": [{ "type": "divider" }] }));
    world.put("people.csv", "id,name\n1,ada\n2,bob\n");
    service.does(|_| Reply::Status(404, Vec::new(), "no_service".to_owned()));
    let run = world.sync().failed(1, "failed", "DEST-004");
    assert!(!run.outcome.stdout.contains("s3cret") && !run.outcome.stderr.contains("s3cret"), "{}", run.outcome);
}
