//! An HTTP service that does as it is told, misbehaving included, and remembers what it was asked.
//! Not here: what a good client has to make of it; the tests say that.
//! Called by tests of destinations that take requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub path: String,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Asked {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON: {error}: {self:?}"))
    }

    /// The `id` in the body.
    #[track_caller]
    pub fn id(&self) -> i64 {
        self.json()["id"].as_i64().unwrap_or_else(|| panic!("no id: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What the service does with a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A status, headers, and a body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// The same after a while.
    Late(Duration, Box<Reply>),
    /// The connection is closed without an answer.
    Close,
    /// There is never an answer.
    Hang,
}

impl Reply {
    /// A status alone.
    pub fn status(status: u16) -> Self {
        Self::Status(status, Vec::new(), String::new())
    }

    /// A status with a JSON body.
    pub fn json(status: u16, body: Value) -> Self {
        Self::Status(status, vec![("content-type", "application/json".to_owned())], body.to_string())
    }

    /// The same with one more header.
    pub fn with(self, name: &'static str, value: impl Into<String>) -> Self {
        match self {
            Self::Status(status, mut headers, body) => {
                headers.push((name, value.into()));
                Self::Status(status, headers, body)
            }
            other => other,
        }
    }
}

type Behaviour = Box<dyn FnMut(&Asked) -> Reply + Send>;

/// The service. It ends with this.
pub struct Service {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    behaviour: Arc<Mutex<Behaviour>>,
    /// Ends the thread that it runs on.
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// One that answers 200 to everything.
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let behaviour: Arc<Mutex<Behaviour>> = Arc::new(Mutex::new(Box::new(|_| Reply::status(200))));
        let (seen, acts) = (Arc::clone(&asked), Arc::clone(&behaviour));
        let (end, ended) = oneshot::channel();
        // Tests may be tasks of a runtime, in which another one cannot be waited for.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let accept = async {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&seen), Arc::clone(&acts)));
                }
            };
            runtime.block_on(async {
                tokio::select! {
                    () = accept => {}
                    _ = ended => {}
                }
            });
        });
        Self { url, asked, behaviour, end: Some(end), thread: Some(thread) }
    }

    /// Tells it what to do from now on.
    pub fn does(&self, behaviour: impl FnMut(&Asked) -> Reply + Send + 'static) {
        *self.behaviour.lock().unwrap() = Box::new(behaviour);
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// What it was asked since this was last called.
    pub fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// The ids of the rows in [`take`](Self::take), sorted; a row in each request.
    pub fn ids(&self) -> Vec<i64> {
        let mut ids: Vec<i64> = self.take().iter().map(Asked::id).collect();
        ids.sort_unstable();
        ids
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(stream: TcpStream, asked: Arc<Mutex<Vec<Asked>>>, behaviour: Arc<Mutex<Behaviour>>) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    while let Some(request) = read(&mut reader).await {
        let mut reply = (behaviour.lock().unwrap())(&request);
        let is_head = request.method == "HEAD";
        asked.lock().unwrap().push(request);
        while let Reply::Late(wait, next) = reply {
            tokio::time::sleep(wait).await;
            reply = *next;
        }
        let (status, headers, body) = match reply {
            Reply::Status(status, headers, body) => (status, headers, body),
            Reply::Hang => std::future::pending().await,
            Reply::Close | Reply::Late(..) => return,
        };
        let mut text = format!("HTTP/1.1 {status} Told\r\ncontent-length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
        text.push_str("\r\n");
        if !is_head {
            text.push_str(&body);
        }
        if writer.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(reader: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await.ok()?;
    Some(Asked { method, path, headers, body: String::from_utf8(body).ok()? })
}
