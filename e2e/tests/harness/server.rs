//! `tapline serve` as a process, and requests to it over real connections.
//! Not here: what is asked of it.
//! Called by the tests of the server.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::{World, signal, wait_until};

/// The admin's token.
pub const ADMIN: &str = "an-admin-token-for-tests";

/// A server that runs.
pub struct Server {
    child: Child,
    address: String,
    log: PathBuf,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// Asserts the status, and reads the body.
    #[track_caller]
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

impl Server {
    /// Starts a server in the folder of `world`, on any free port.
    #[track_caller]
    pub fn start(world: &World, arguments: &[&str]) -> Self {
        Self::start_with(world, arguments, &[])
    }

    /// The same with some variables in its environment.
    #[track_caller]
    pub fn start_with(world: &World, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let log = world.folder().join("server.log");
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let mut command = world.command(&["serve", "--listen", "127.0.0.1:0", "--format", "json"]);
        command.args(arguments).env("TAPLINE_ADMIN_TOKEN", ADMIN).envs(variables.iter().copied());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            let _ = child.wait();
            panic!("the server does not start: {}", std::fs::read_to_string(&log).unwrap())
        });
        let address = told["url"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
        Self { child, address, log }
    }

    /// What the server has told so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// An open connection.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None, &[])
    }

    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(body), &[])
    }

    /// Sends a request of its own connection, and reads the answer to its end.
    pub fn send(&self, method: &str, path: &str, body: Option<Value>, headers: &[(&str, &str)]) -> Answer {
        let mut stream = self.connect();
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request.push_str(&format!("authorization: Bearer {ADMIN}\r\n"));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if method != "GET" {
            request.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
        }
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).unwrap();
        read_answer(&mut stream)
    }

    /// Makes a source `lake`, a model, a destination and a sync, all by the name of the sync.
    #[track_caller]
    pub fn make_sync(&self, world: &World, name: &str, sql: &str, schedule: &Value) {
        let key = world.endpoint.access_key();
        let auth = json!({ "type": "iam_user", "access_key_id": key.id, "secret_access_key": key.secret });
        let source = json!({
            "type": "s3", "bucket": "lake", "region": "us-east-1", "endpoint": world.endpoint.url(), "auth": auth,
        });
        let answer = self.post("/api/v1/sources", json!({ "name": "lake", "settings": source }));
        assert!([201, 409].contains(&answer.status), "{answer:?}");
        let model = json!({ "source": "lake", "sql": sql, "primary_key": ["id"] });
        self.post("/api/v1/models", json!({ "name": name, "settings": model })).is(201);
        let destination = json!({ "type": "sqlite", "path": format!("{name}.db") });
        self.post("/api/v1/destinations", json!({ "name": name, "settings": destination })).is(201);
        let sync = json!({
            "model": name, "destination": name, "stream": "rows", "mode": "incremental", "schedule": schedule,
        });
        self.post("/api/v1/syncs", json!({ "name": name, "settings": sync })).is(201);
    }

    /// Waits for a run to end.
    #[track_caller]
    pub fn ended(&self, id: &str) -> Value {
        let mut run = Value::Null;
        wait_until("the run ends", || {
            run = self.get(&format!("/api/v1/runs/{id}")).is(200);
            run["status"] != "running"
        });
        run
    }

    /// Waits until the server has died of itself.
    pub fn died(mut self) {
        assert!(!self.child.wait().unwrap().success());
    }

    /// Kills the server, as a power cut would.
    pub fn kill(mut self) {
        signal(&self.child, "KILL");
        self.child.wait().unwrap();
    }

    /// Asks the server to end, and returns its exit code.
    pub fn stop(mut self, name: &str) -> Option<i32> {
        signal(&self.child, name);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Where a test has ended it, there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads an answer to the end of its connection.
pub fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A server that has had enough may reset the connection behind its answer.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    Answer { status, head: head.to_owned(), body }
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size, 16) else { break };
        let Some(chunk) = rest.get(..size).filter(|chunk| !chunk.is_empty()) else { break };
        whole.push_str(chunk);
        body = rest.get(size + 2..).unwrap_or_default();
    }
    whole
}
