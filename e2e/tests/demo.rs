//! `tapline demo`: the whole product in one command.
//! Not here: how it looks (`cli` has the rest of the command line).

use std::fs::File;
use std::io::Write;
use std::net::TcpStream;
use std::process::Stdio;

use serde_json::json;

use crate::harness::{Answer, World, read_answer, signal, sqlite_rows, wait_until};

#[test]
fn the_demo_shows_the_product_and_leaves_a_table() {
    let world = World::new();
    let outcome = world.tapline(&["demo"]).exits(0);
    // It prints each command that it runs.
    for command in [
        "tapline check",
        "tapline discover lake",
        "tapline query lake",
        "tapline plan customers",
        "tapline sync customers",
    ] {
        assert!(outcome.stdout.contains(&format!("$ {command}")), "{command}: {outcome}");
    }
    for told in ["succeeded", "unchanged"] {
        assert!(outcome.stdout.contains(told), "{told}: {outcome}");
    }
    let database = world.folder().join("tapline-demo/out.db");
    let value = |sql: &str| sqlite_rows(&database, sql)[0][0].clone().unwrap();
    // 50,000 customers, of whom 40 have left and to whom 120 have come.
    assert_eq!(value("SELECT count(*) FROM customers"), "50080");
    assert_eq!(value("SELECT count(DISTINCT id) FROM customers"), "50080");
    assert_eq!(value("SELECT count(*) FROM customers WHERE id % 1250 = 0"), "0");
    assert_eq!(value("SELECT count(*) FROM customers WHERE greeting LIKE 'Hello _%' AND origin = 's3'"), "50080");

    // The project that it leaves can be worked on, and a second demo starts anew.
    let project = world.folder().join("tapline-demo/tapline.yaml");
    world.tapline(&["validate", "--project", project.to_str().unwrap()]).exits(0);
    let outcome = world.tapline(&["demo", "--format", "json"]).exits(0);
    let document = outcome.json();
    let steps = document["steps"].as_array().unwrap();
    assert!(steps.len() > 5 && steps.iter().all(|step| step["exit_code"] == 0), "{outcome}");
    assert_eq!(value("SELECT count(*) FROM customers"), "50080");
}

#[test]
fn a_demo_that_serves_shows_its_project_in_the_web_ui() {
    let world = World::new();
    let told = world.folder().join("told");
    let mut command = world.command(&["demo", "--serve"]);
    let mut demo = command.stdout(File::create(&told).unwrap()).stderr(Stdio::null()).spawn().unwrap();
    let mut text = String::new();
    for words in ["Overnight", "$ tapline sync customers\n", "$ tapline runs", "until Ctrl-C"] {
        wait_until(words, || {
            text = std::fs::read_to_string(&told).unwrap();
            text.contains(words)
        });
    }
    let after = |words: &str| text.split(words).nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let address = after("The web UI is at http://").trim_end_matches(':').to_owned();
    let login = json!({ "email": after("sign in as "), "password": after("with the password ") });
    // Nobody who finds the link has to, or can, make the first account.
    assert_eq!(ask(&address, "GET", "/api/v1/setup", "", "").is(200), json!({ "needed": false }));
    let signed_in = ask(&address, "POST", "/api/v1/session", &login.to_string(), "");
    assert_eq!(signed_in.status, 200, "{text}\n{signed_in:?}");
    let cookie = signed_in.head.split("tapline_session=").nth(1).unwrap().split(';').next().unwrap().to_owned();
    let cookie = format!("cookie: tapline_session={cookie}\r\n");
    let syncs = ask(&address, "GET", "/api/v1/syncs", "", &cookie).is(200);
    assert_eq!((&syncs["items"][0]["name"], &syncs["items"][0]["state"]), (&json!("customers"), &json!("healthy")));
    assert!(ask(&address, "GET", "/api/v1/sources/lake/streams", "", &cookie).body.contains("orders"));
    signal(&demo, "INT");
    assert_eq!(demo.wait().unwrap().code(), Some(130));
}

fn ask(address: &str, method: &str, path: &str, body: &str, headers: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}");
    let request = format!("{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    read_answer(&mut stream)
}

#[test]
fn the_demo_leaves_what_it_has_not_made_alone() {
    let world = World::new();
    world.write("tapline-demo/notes.txt", "mine");
    world.tapline(&["demo"]).fails(2, "CONF-006");
    assert_eq!(std::fs::read_dir(world.folder().join("tapline-demo")).unwrap().count(), 1);
}
