//! A destination that takes requests: what is sent, what answers mean, and what the settings must not allow.
//! Not here: runs that are cut off while they send (`requests_cut_off`).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Asked, Reply, Service, World};

/// A project that delivers the rows of `people.csv` to the service, with these settings of destination and sync.
pub fn deliver(world: &World, service: &Service, settings: &str, options: &str) {
    let settings = settings.replace("{url}", &service.url);
    let url = if settings.starts_with("url:") { String::new() } else { format!("url: \"{}/people\", ", service.url) };
    world.write(
        "tapline.yaml",
        &format!(
            "version: 1
sources:
  lake: {}
models:
  rows: {{ source: lake, sql: \"SELECT * FROM 's3://lake/people.csv'\", primary_key: [id] }}
destinations:
  target: {{ type: http, allow_http: true, {url}{settings} }}
syncs:
  rows: {{ model: rows, destination: target, stream: people, mode: incremental, {options} }}
",
            world.source()
        ),
    );
}

const FIRST: &str = "id,name,points\n1,ada,1.5\n2,,2\n3,\"Zoë \"\"x\"\"\",3\n";
const SECOND: &str = "id,name,points\n1,ada,1.5\n2,bob,2\n3,\"Zoë \"\"x\"\"\",3\n4,dan,4\n";

#[test]
fn rows_are_sent_once_and_then_what_changes() {
    let (world, service) = (World::new(), Service::start());
    deliver(&world, &service, "headers: { X-Team: sales }, idempotency_header: Idempotency-Key", "");
    world.put("people.csv", FIRST);
    world.tapline(&["validate"]).exits(0);
    let plan = world.tapline(&["plan", "rows", "--format", "json"]).exits(0).json();
    assert_eq!(plan["rows"]["inserted"], 3);
    assert_eq!(service.take(), []);
    world.sync().ended(0, "succeeded").counted(&[("read", 3), ("inserted", 3)]);
    let mut asked = service.take();
    asked.sort_by_key(Asked::id);
    let bodies: Vec<Value> = asked.iter().map(Asked::json).collect();
    let expected = [
        json!({ "id": 1, "name": "ada", "points": 1.5 }),
        json!({ "id": 2, "name": null, "points": 2.0 }),
        json!({ "id": 3, "name": "Zoë \"x\"", "points": 3.0 }),
    ];
    assert_eq!(bodies, expected);
    for request in &asked {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/people"));
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("x-team"), Some("sales"));
    }
    let keys: Vec<Option<&str>> = asked.iter().map(|request| request.header("idempotency-key")).collect();
    assert!(keys[0].is_some() && keys[0] != keys[1] && keys[1] != keys[2], "{keys:?}");

    world.sync().ended(0, "unchanged").counted(&[]);
    assert_eq!(service.take(), []);
    world.put("people.csv", SECOND);
    world.sync().ended(0, "succeeded").counted(&[("read", 4), ("unchanged", 2), ("updated", 1), ("inserted", 1)]);
    assert_eq!(service.ids(), [2, 4]);
}

#[test]
fn operations_have_requests_of_their_own() {
    let (world, service) = (World::new(), Service::start());
    let settings = "url: '{url}/people', update: { url: '{url}/people/{{ id }}', method: PATCH, json: { name: '{{ name }}' } }, \
                    delete: { url: '{url}/people/{{ id }}' }";
    deliver(&world, &service, settings, "deletes: propagate, max_delete_ratio: 1");
    world.put("people.csv", SECOND);
    world.sync().ended(0, "succeeded");
    service.take();
    world.put("people.csv", "id,name,points\n1,ada,1.5\n2,eve,2\n");
    // A row that is gone already is deleted.
    service.does(|asked| Reply::status(if asked.path == "/people/4" { 404 } else { 200 }));
    world.sync().ended(0, "succeeded").counted(&[("read", 2), ("unchanged", 1), ("updated", 1), ("deleted", 2)]);
    let mut told: Vec<String> =
        service.take().into_iter().map(|asked| format!("{} {} {}", asked.method, asked.path, asked.body)).collect();
    // Deletions come first.
    assert!(told[2].starts_with("PATCH"), "{told:?}");
    told.sort();
    assert_eq!(told, ["DELETE /people/3 ", "DELETE /people/4 ", "PATCH /people/2 {\"name\":\"eve\"}"]);
    world.sync().ended(0, "unchanged");
}

#[test]
fn refused_rows_are_kept_and_offered_again() {
    let (world, service) = (World::new(), Service::start());
    deliver(&world, &service, "message: error", "");
    world.put("people.csv", SECOND);
    service.does(|asked| match asked.id() {
        3 => Reply::json(422, json!({ "error": "the name 'Zoë \"x\"' is too odd" })),
        _ => Reply::status(201),
    });
    world.sync().ended(3, "partial").counted(&[("read", 4), ("inserted", 3), ("rejected", 1)]);
    let rejects = world.tapline(&["rejects", "rows", "--format", "json"]).exits(0).json();
    assert_eq!((&rejects[0]["key"], &rejects[0]["code"]), (&json!({ "id": 3 }), &json!("ROW-002")));
    let reason = rejects[0]["reason"].as_str().unwrap();
    assert!(reason.contains("422") && reason.contains("is too odd") && !reason.contains("Zoë"), "{reason}");
    assert_eq!(rejects[0]["payload"]["name"], "Zoë \"x\"");
    service.take();
    world.sync().ended(3, "partial").counted(&[("read", 4), ("unchanged", 3), ("rejected", 1)]);
    assert_eq!(service.ids(), [3]);
    service.does(|_| Reply::status(200));
    world.tapline(&["retry", "rows"]).exits(0);
    assert_eq!(service.ids(), [3]);
    world.sync();
    world.sync().ended(0, "unchanged");
}

#[test]
fn several_rows_in_a_request_and_errors_for_some() {
    let (world, service) = (World::new(), Service::start());
    let rows: String = (1..=10).map(|id| format!("{id},p{id},{id}\n")).collect();
    world.put("people.csv", format!("id,name,points\n{rows}"));
    let settings = "batch: { rows: 4 }, concurrency: 1, errors: { items: errors, index: at, message: why }";
    deliver(&world, &service, settings, "");
    service.does(|asked| {
        let rows = asked.json();
        let bad: Vec<Value> = (0..rows.as_array().unwrap().len())
            .filter(|at| [2, 7].contains(&rows[*at]["id"].as_i64().unwrap()))
            .map(|at| json!({ "at": at, "why": "no" }))
            .collect();
        Reply::json(200, json!({ "errors": bad }))
    });
    world.sync().ended(3, "partial").counted(&[("read", 10), ("inserted", 8), ("rejected", 2)]);
    let sizes: Vec<usize> = service.take().iter().map(|asked| asked.json().as_array().unwrap().len()).collect();
    assert_eq!(sizes, [4, 4, 2]);
}

#[test]
fn a_refused_request_is_halved_until_the_row_stands_alone() {
    let (world, service) = (World::new(), Service::start());
    let rows: String = (1..=64).map(|id| format!("{id},p{id},{id}\n")).collect();
    world.put("people.csv", format!("id,name,points\n{rows}"));
    deliver(&world, &service, "batch: { rows: 64, format: lines }", "");
    service.does(|asked| {
        let bad = asked.body.lines().any(|line| serde_json::from_str::<Value>(line).unwrap()["id"] == 23);
        Reply::status(if bad { 400 } else { 200 })
    });
    world.sync().ended(3, "partial").counted(&[("read", 64), ("inserted", 63), ("rejected", 1)]);
    let requests = service.take().len();
    assert!((2..=2 * 6 + 1).contains(&requests), "{requests} requests");
}

#[test]
fn services_that_ask_for_patience_get_it() {
    let (world, service) = (World::new(), Service::start());
    deliver(&world, &service, "concurrency: 2", "");
    world.put("people.csv", SECOND);
    let mut count = 0;
    service.does(move |_| {
        count += 1;
        match count {
            1 => Reply::status(429).with("retry-after", "1"),
            2 | 3 => Reply::status(503).with("retry-after", "0"),
            4 => Reply::status(500),
            5 => Reply::Close,
            6 => Reply::Late(Duration::from_millis(50), Box::new(Reply::status(200))),
            _ => Reply::status(200),
        }
    });
    world.sync().ended(0, "succeeded").counted(&[("read", 4), ("inserted", 4)]);
    assert_eq!(service.take().len(), 4 + 5);
}

#[test]
fn settings_at_fault_stop_the_run() {
    for (status, code) in [(401, "DEST-002"), (403, "DEST-003"), (404, "DEST-004"), (302, "DEST-004")] {
        let (world, service) = (World::new(), Service::start());
        deliver(&world, &service, "concurrency: 1", "");
        world.put("people.csv", SECOND);
        service.does(move |_| Reply::status(status).with("location", "http://127.0.0.1:1/elsewhere"));
        world.sync().failed(1, "failed", code);
        assert_eq!(service.take().len(), 1, "{status}");
    }
}

#[test]
fn too_many_refused_rows_stop_the_run() {
    let (world, service) = (World::new(), Service::start());
    deliver(&world, &service, "concurrency: 1", "max_reject_ratio: 0.3, on_bad_key: reject");
    // One of ten rows has no key: it counts with those that the service refuses.
    let rows: String = (1..=9).map(|id| format!("{id},p{id}\n")).collect();
    world.put("people.csv", format!("id,name\n,nobody\n{rows}"));
    service.does(|asked| Reply::status(if asked.id() <= 3 { 422 } else { 200 }));
    let run = world.sync().ended(4, "stopped");
    assert_eq!(run.report["error"]["code"], "SYNC-007");
    assert_eq!(service.take().len(), 3);
    world.put("people.csv", "id,name\n,nobody\n2,b\n4,d\n5,e\n6,f\n7,g\n8,h\n");
    world.sync().ended(3, "partial").counted(&[("read", 7), ("inserted", 5), ("rejected", 2)]);
}

#[test]
fn redirections_lead_nowhere_else() {
    let (world, service, other) = (World::new(), Service::start(), Service::start());
    deliver(&world, &service, "concurrency: 1, auth: { type: bearer, token: top-secret }", "");
    world.put("people.csv", FIRST);
    let elsewhere = other.url.clone();
    service.does(move |_| Reply::status(307).with("location", format!("{elsewhere}/people")));
    world.sync().failed(1, "failed", "DEST-004");
    assert_eq!(other.take(), []);
    // On the same host they are followed.
    service.take();
    service.does(|asked| match asked.path.as_str() {
        "/people" => Reply::status(308).with("location", "/v2/people"),
        _ => Reply::status(200),
    });
    world.sync().ended(0, "succeeded");
    assert!(service.take().iter().all(|asked| asked.header("authorization") == Some("Bearer top-secret")));
}

#[test]
fn credentials_of_every_kind() {
    for (auth, header) in [
        ("{ type: basic, username: me, password: pw }", "Basic bWU6cHc="),
        ("{ type: bearer, token: abc }", "Bearer abc"),
        ("{ type: api_key, name: Authorization, value: Key abc }", "Key abc"),
    ] {
        let (world, service) = (World::new(), Service::start());
        deliver(&world, &service, &format!("auth: {auth}"), "");
        world.put("people.csv", FIRST);
        world.sync().ended(0, "succeeded");
        assert!(service.take().iter().all(|asked| asked.header("authorization") == Some(header)), "{auth}");
    }
    let (world, service) = (World::new(), Service::start());
    deliver(&world, &service, "auth: { type: api_key, in: query, name: key, value: 'a b' }", "");
    world.put("people.csv", FIRST);
    world.sync().ended(0, "succeeded");
    assert!(service.take().iter().all(|asked| asked.path == "/people?key=a+b"));
}

#[test]
fn tokens_are_asked_for_once_and_renewed_when_refused() {
    for (auth, grant) in [
        ("type: oauth2_client_credentials, client_id: me, client_secret: s3cret, scope: write", "client_credentials"),
        ("type: oauth2_refresh_token, client_id: me, client_secret: s3cret, refresh_token: r0", "refresh_token"),
    ] {
        let (world, service) = (World::new(), Service::start());
        deliver(&world, &service, &format!("concurrency: 2, auth: {{ {auth}, token_url: '{{url}}/token' }}"), "");
        world.put("people.csv", SECOND);
        let forms = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&forms);
        let mut sent = 0;
        service.does(move |asked| {
            if asked.path == "/token" {
                seen.lock().unwrap().push(asked.body.clone());
                let number = seen.lock().unwrap().len();
                let body = json!({ "access_token": format!("t{number}"), "expires_in": 3600, "refresh_token": format!("r{number}") });
                return Reply::json(200, body);
            }
            sent += 1;
            // The first token ends early.
            let good = if sent > 2 { "Bearer t2" } else { "Bearer t1" };
            Reply::status(if asked.header("authorization") == Some(good) { 200 } else { 401 })
        });
        world.sync().ended(0, "succeeded").counted(&[("read", 4), ("inserted", 4)]);
        let forms = forms.lock().unwrap().clone();
        assert_eq!(forms.len(), 2, "{forms:?}");
        assert!(forms[0].contains(&format!("grant_type={grant}")), "{forms:?}");
        if grant == "refresh_token" {
            assert!(forms[0].contains("refresh_token=r0") && forms[1].contains("refresh_token=r1"), "{forms:?}");
        }
    }
}

#[test]
fn what_cannot_work_is_told_by_validate_with_its_place() {
    let (world, service) = (World::new(), Service::start());
    world.put("people.csv", FIRST);
    for (settings, options, told) in [
        ("", "deletes: propagate", "cannot delete rows"),
        ("json: { x: '{{ nmae }}' }", "fields: { id: id, name: name }", "nmae"),
        ("body: '{{ x'", "", "body"),
        ("success: 'a b'", "", "success"),
    ] {
        deliver(&world, &service, settings, options);
        world.tapline(&["validate"]).exits(2).tells(&[told, "tapline.yaml:"]);
    }
    deliver(&world, &service, "", "");
    let text = std::fs::read_to_string(world.folder().join("tapline.yaml")).unwrap();
    world.write("tapline.yaml", &text.replace("mode: incremental", "mode: full_refresh"));
    world.tapline(&["validate"]).exits(2).tells(&["be refreshed in full", "tapline.yaml:"]);
    world.write("tapline.yaml", &text.replace("allow_http: true, ", ""));
    world.tapline(&["validate"]).exits(2).tells(&["allow_http"]);
    // What depends on the model's columns shows before anything is sent.
    deliver(&world, &service, "json: { x: '{{ nmae }}' }", "");
    world.tapline(&["validate"]).exits(0);
    world.tapline(&["plan", "rows"]).fails(2, "MAP-002").tells(&["nmae"]);
    world.sync().ended(2, "failed");
    deliver(&world, &service, "", "");
    assert_eq!(world.sync_with(&["--full-refresh"]).report["error"]["code"], "CONF-007");
    world.tapline(&["adopt", "rows"]).fails(2, "CONF-007");
    assert_eq!(service.take(), []);
}

#[test]
fn secrets_and_values_stay_out_of_errors() {
    let (world, service) = (World::new(), Service::start());
    let settings =
        "url: '{url}/hook-s3cret?key=s3cret&name={{ name }}', headers: { X-Key: s3cret }, concurrency: 1, retries: 0";
    deliver(&world, &service, settings, "timeout: 20s");
    world.put("people.csv", "id,name\n1,Adelheid\n");
    for reply in [Reply::Close, Reply::status(500), Reply::status(401), Reply::status(404)] {
        let told = reply.clone();
        service.does(move |_| told.clone());
        let outcome = world.tapline(&["-v", "sync", "rows", "--format", "json"]);
        assert_eq!(outcome.code, Some(if matches!(reply, Reply::Status(404, ..)) { 3 } else { 1 }), "{outcome}");
        for secret in ["s3cret", "Adelheid", "hook"] {
            assert!(!outcome.stdout.contains(secret) && !outcome.stderr.contains(secret), "{secret}: {outcome}");
        }
    }
}

#[test]
fn a_check_takes_its_steps() {
    let (world, service) = (World::new(), Service::start());
    deliver(&world, &service, "auth: { type: bearer, token: abc }, check: { url: '{url}/me' }", "");
    let steps = |world: &World| {
        let reports = world.tapline(&["check", "target", "--format", "json"]).json();
        let steps = reports[0]["steps"].as_array().unwrap().clone();
        steps.iter().map(|step| (step["name"].as_str().unwrap().to_owned(), step["ok"] == true)).collect::<Vec<_>>()
    };
    let taken = |last: bool| {
        [("resolve", true), ("connect", true), ("credentials", last)].map(|(name, ok)| (name.to_owned(), ok)).to_vec()
    };
    assert_eq!(steps(&world), taken(true));
    assert!(service.take().iter().all(|asked| ["GET", "HEAD"].contains(&asked.method.as_str())));
    service.does(|asked| Reply::status(if asked.method == "GET" { 401 } else { 200 }));
    assert_eq!(steps(&world), taken(false));
    drop(service);
    assert_eq!(steps(&world), [("resolve".to_owned(), true), ("connect".to_owned(), false)]);
}
