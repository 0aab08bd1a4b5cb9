//! The server as a process: the whole way over the API, death and restart, slow and large requests.
//! Not here: each route (the server's own tests).

use std::io::Write;

use serde_json::{Value, json};
use tapline_endpoint::{Fault, Operation};

use crate::harness::{Server, World, read_answer, sqlite_rows, wait_until};

const PEOPLE: &str = "id,name\n1,Ada\n2,Grace\n3,Edsger\n";
const SQL: &str = "SELECT id, name FROM 's3://lake/people.csv'";

fn manual() -> Value {
    json!("manual")
}

#[test]
fn from_an_empty_folder_to_rows_in_a_table() {
    let world = World::new();
    world.put("people.csv", PEOPLE);
    let server = Server::start(&world, &[]);
    assert_eq!(server.get("/healthz").status, 200);
    server.make_sync(&world, "people", SQL, &manual());
    let run = server.post("/api/v1/syncs/people/runs", json!({})).is(202);
    let id = run["id"].as_str().unwrap();
    let events = server.get(&format!("/api/v1/runs/{id}/events"));
    assert!(events.body.contains("event: started") && events.body.contains("event: ended"), "{events:?}");
    assert_eq!(server.ended(id)["rows"]["inserted"], 3);
    assert_eq!(sqlite_rows(&world.folder().join("people.db"), "SELECT count(*) FROM rows"), [[Some("3".to_owned())]]);
    let last = events.body.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().unwrap().to_owned();
    let secret = world.endpoint.access_key().secret.clone();
    assert!(!server.log().contains(&secret) && !server.log().contains(crate::harness::ADMIN));
    assert_eq!(server.stop("TERM"), Some(143));

    let server = Server::start(&world, &[]);
    let before = (last.parse::<u64>().unwrap() - 1).to_string();
    let rest = server.send("GET", &format!("/api/v1/runs/{id}/events"), None, &[("last-event-id", &before)]);
    assert!(rest.body.contains(&format!("id: {last}\n")) && !rest.body.contains("event: started"), "{rest:?}");
}

#[test]
fn the_first_user_is_made_by_the_link_and_by_nobody_else() {
    let world = World::new();
    let mut child = world.command(&["serve", "--listen", "127.0.0.1:0"]);
    let log = world.folder().join("log");
    let mut child = child.stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    let mut told = String::new();
    wait_until("the link is told", || {
        told = std::fs::read_to_string(&log).unwrap();
        told.contains("/setup?code=")
    });
    let _ = child.kill();
    let _ = child.wait();
    let link = told.split("open ").nth(1).unwrap().trim();
    assert!(link.starts_with("http://127.0.0.1:"), "{told}");

    let server = Server::start(&world, &[]);
    let body = json!({ "code": "guessed", "email": "a@example.com", "name": "A", "password": "correct horse battery" });
    let refused = server.send("POST", "/api/v1/setup", Some(body), &[("authorization", "")]);
    assert!([401, 403, 422].contains(&refused.status), "{refused:?}");
    assert_eq!(server.get("/api/v1/setup").is(200)["needed"], true);
}

#[test]
fn a_remote_address_needs_an_admin_first() {
    let world = World::new();
    world.tapline(&["serve", "--listen", "0.0.0.0:0"]).fails(2, "CONF-007");
}

#[test]
fn a_run_that_a_kill_cut_off_is_repeated_and_says_so() {
    let world = World::new();
    world.put("people.csv", PEOPLE);
    let server = Server::start(&world, &[]);
    server.make_sync(&world, "people", SQL, &manual());
    let stalled = world.endpoint.inject(Fault::stall().on(Operation::GetObject).always());
    let run = server.post("/api/v1/syncs/people/runs", json!({})).is(202);
    let first = run["id"].as_str().unwrap().to_owned();
    wait_until("the run reads", || stalled.hits() > 0);
    server.kill();
    stalled.remove();

    let server = Server::start(&world, &[]);
    let mut runs = Value::Null;
    wait_until("the run is repeated", || {
        runs = server.get("/api/v1/runs").is(200);
        runs["items"].as_array().unwrap().iter().filter(|run| run["status"] == "succeeded").count() == 1
    });
    let items = runs["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{runs}");
    assert_eq!((&items[0]["cause"], &items[0]["rows"]["inserted"]), (&json!("cut_off"), &json!(3)), "{runs}");
    assert_eq!((&items[1]["id"], &items[1]["status"]), (&json!(first), &json!("failed")), "{runs}");
    assert_eq!(items[1]["error"]["code"], "RUN-004", "{runs}");
}

#[test]
fn a_run_that_ended_right_before_a_kill_is_not_repeated() {
    let world = World::new();
    world.put("people.csv", PEOPLE);
    let server = Server::start_with(&world, &[], &[("TAPLINE_FAILPOINT", "after-run")]);
    server.make_sync(&world, "people", SQL, &manual());
    let run = server.post("/api/v1/syncs/people/runs", json!({})).is(202);
    server.died();

    let server = Server::start(&world, &[]);
    assert_eq!(server.ended(run["id"].as_str().unwrap())["status"], "succeeded");
    // Whatever was owed to the sync before would come first.
    let next = server.post("/api/v1/syncs/people/runs", json!({})).is(202);
    assert_eq!(server.ended(next["id"].as_str().unwrap())["status"], "unchanged");
    let runs = server.get("/api/v1/runs").is(200);
    assert_eq!(runs["items"].as_array().unwrap().len(), 2, "{runs}");
}

#[test]
fn a_run_that_waits_survives_a_kill() {
    let world = World::new();
    world.put("people.csv", PEOPLE);
    let server = Server::start(&world, &["--concurrency", "1"]);
    server.make_sync(&world, "first", SQL, &manual());
    server.make_sync(&world, "second", SQL, &manual());
    let stalled = world.endpoint.inject(Fault::stall().on(Operation::GetObject).always());
    server.post("/api/v1/syncs/first/runs", json!({})).is(202);
    wait_until("the first run reads", || stalled.hits() > 0);
    let waiting = server.post("/api/v1/syncs/second/runs", json!({ "full_refresh": true })).is(202);
    assert_eq!(server.get(&format!("/api/v1/runs/{}", waiting["id"].as_str().unwrap())).is(200)["queued"], true);
    server.kill();
    stalled.remove();

    let server = Server::start(&world, &[]);
    let ended = server.ended(waiting["id"].as_str().unwrap());
    assert_eq!((&ended["status"], &ended["mode"]), (&json!("succeeded"), &json!("full_refresh")), "{ended}");
    assert_eq!(ended["cause"], "request");
}

#[test]
fn schedules_go_on_after_a_restart_and_never_overlap() {
    let world = World::new();
    world.put("people.csv", PEOPLE);
    let server = Server::start(&world, &[]);
    for name in ["one", "two", "three"] {
        server.make_sync(&world, name, SQL, &json!({ "every": "1s" }));
    }
    let count = |server: &Server, name: &str| {
        let runs = server.get(&format!("/api/v1/runs?sync={name}&limit=500")).is(200);
        let items = runs["items"].as_array().unwrap().clone();
        items.into_iter().filter(|run| run["status"] != "running").collect::<Vec<Value>>()
    };
    wait_until("each has run", || ["one", "two", "three"].iter().all(|name| count(&server, name).len() >= 2));
    server.kill();
    let server = Server::start(&world, &[]);
    let known = count(&server, "one").len();
    wait_until("it runs on", || count(&server, "one").len() >= known + 2);
    for name in ["one", "two", "three"] {
        let runs = count(&server, name);
        let mut spans: Vec<(String, String)> = runs
            .iter()
            .filter(|run| run["error"]["code"] != "RUN-004")
            .map(|run| (run["started_at"].as_str().unwrap().to_owned(), run["ended_at"].as_str().unwrap().to_owned()))
            .collect();
        spans.sort();
        assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "runs of {name} overlap: {spans:?}");
    }
    assert_eq!(server.stop("INT"), Some(130));
}

#[test]
fn a_stop_in_the_middle_of_a_run_is_orderly_and_the_run_is_repeated() {
    let world = World::new();
    world.put("people.csv", PEOPLE);
    let server = Server::start(&world, &[]);
    server.make_sync(&world, "people", SQL, &manual());
    let stalled = world.endpoint.inject(Fault::stall().on(Operation::GetObject).always());
    let run = server.post("/api/v1/syncs/people/runs", json!({})).is(202);
    wait_until("the run reads", || stalled.hits() > 0);
    assert_eq!(server.stop("TERM"), Some(143));
    stalled.remove();
    let server = Server::start(&world, &[]);
    assert_eq!(server.ended(run["id"].as_str().unwrap())["status"], "cancelled");
    wait_until("the run is repeated", || {
        let runs = server.get("/api/v1/runs?status=succeeded").is(200);
        runs["items"][0]["cause"] == "cut_off"
    });
}

#[test]
fn slow_and_large_requests_are_bounded() {
    let world = World::new();
    let server = Server::start(&world, &[]);
    // A body that says it is too large is refused before it is sent.
    let mut stream = server.connect();
    let head = format!("POST /api/v1/sources HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", 1_u64 << 30);
    stream.write_all(head.as_bytes()).unwrap();
    assert!([400, 403, 413].contains(&read_answer(&mut stream).status));
    // A body without an end is cut off.
    let mut stream = server.connect();
    let head = "POST /api/v1/sources HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let sent = (0..20_000).take_while(|_| stream.write_all(chunk.as_bytes()).is_ok()).count();
    assert!(sent < 20_000, "the server takes a body without an end");
    // A head that never ends is given up; the server serves others meanwhile.
    let mut slow = server.connect();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nx: ").unwrap();
    assert_eq!(server.get("/healthz").status, 200);
    let ended = read_answer(&mut slow);
    assert!([0, 408].contains(&ended.status), "{ended:?}");
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn requests_of_definitions_from_the_api_go_to_public_addresses() {
    let world = World::new();
    let settings = json!({ "type": "http", "url": world.endpoint.url(), "allow_http": true });
    let check = |arguments: &[&str]| {
        let server = Server::start(&world, arguments);
        server.post("/api/v1/destinations/check", json!({ "settings": settings })).is(200)
    };
    let told = check(&[]);
    assert_eq!((&told["ok"], &told["steps"][0]["code"]), (&json!(false), &json!("DEST-001")), "{told}");
    assert!(told.to_string().contains("a server does not connect to such"), "{told}");
    let told = check(&["--allow-private-addresses"]);
    assert!(!told.to_string().contains("a server does not connect to such"), "{told}");
    // Whoever writes the project file may read the machine's files anyway.
    let url = world.endpoint.url();
    world.write(
        "tapline.yaml",
        &format!("version: 1\ndestinations: {{ api: {{ type: http, url: '{url}', allow_http: true }} }}\n"),
    );
    let server = Server::start(&world, &[]);
    let told = server.post("/api/v1/destinations/api/check", json!({})).is(200);
    assert!(!told.to_string().contains("a server does not connect to such"), "{told}");
}

#[test]
fn export_and_apply_move_definitions_between_servers() {
    let world = World::new();
    world.put("people.csv", PEOPLE);
    let server = Server::start(&world, &[]);
    server.make_sync(&world, "people", SQL, &json!({ "every": "1h" }));
    server.stop("TERM");
    let exported = world.tapline(&["export"]).exits(0).stdout;
    assert!(!exported.contains(&world.endpoint.access_key().secret), "{exported}");
    let same = world.folder().join("exported.yaml");
    std::fs::write(&same, &exported).unwrap();
    let applied = world.tapline(&["apply", "exported.yaml", "--format", "json"]).exits(0).json();
    assert_eq!(applied["unchanged"].as_array().unwrap().len(), 4, "{applied}");

    let other = World::new();
    other.put("people.csv", PEOPLE);
    other.write("exported.yaml", &exported.replace(world.endpoint.url(), other.endpoint.url()));
    other.tapline(&["apply", "exported.yaml"]).fails(2, "CONF-00");
    let key = other.endpoint.access_key();
    let exported_id = world.endpoint.access_key().id.clone();
    let text = std::fs::read_to_string(other.folder().join("exported.yaml")).unwrap().replace(&exported_id, &key.id);
    other.write("exported.yaml", &text);
    let variables = [("LAKE_AUTH_SECRET_ACCESS_KEY", key.secret.as_str())];
    let applied = other.tapline_with(&["apply", "exported.yaml", "--format", "json"], &variables).exits(0).json();
    assert_eq!(applied["created"].as_array().unwrap().len(), 4, "{applied}");
    let server = Server::start(&other, &[]);
    let run = server.post("/api/v1/syncs/people/runs", json!({})).is(202);
    assert_eq!(server.ended(run["id"].as_str().unwrap())["rows"]["inserted"], 3);
}
