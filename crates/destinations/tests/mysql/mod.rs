//! MariaDB, at the server that `TAPLINE_TEST_MYSQL_URL` names; without it these tests say that they are skipped.
//! Every test has a database of its own.

mod conformance;
mod connection;
mod existing;
mod fence;
mod own_server;
mod settings;
mod types;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, Value};
use tapline_core::testing::bench::{Bench, Probe};
use tapline_core::{ConnectContext, Connector, Destination, Secret, StreamName};
use tapline_destinations::mysql::{Config, Mysql};

/// The server's URL; `None`, with a word about it, where there is none.
fn server(test: &str) -> Option<String> {
    static SKIPPED: AtomicUsize = AtomicUsize::new(0);
    let url = std::env::var("TAPLINE_TEST_MYSQL_URL").ok().filter(|url| !url.is_empty());
    if url.is_none() {
        let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
        println!("skipped: {count} ({test}; TAPLINE_TEST_MYSQL_URL names no server)");
    }
    url
}

/// The URL with another database.
fn with_database(url: &str, database: &str) -> String {
    format!("{}/{database}", &url[..url.rfind('/').expect("the URL names a database")])
}

/// The URL with another user and password, both percent-encoded.
fn as_user(url: &str, user: &str, password: &str) -> String {
    let at = url.rfind('@').expect("the URL names a user");
    format!("mysql://{user}:{password}{}", &url[at..])
}

/// A session of another program, which writes names and joins texts as standard SQL does.
async fn session(url: &str) -> Conn {
    let options = OptsBuilder::from_opts(mysql_async::Opts::from_url(url).expect("the URL is right"));
    let mut session = Conn::new(options.prefer_socket(false)).await.expect("the test server answers");
    session
        .query_drop("SET NAMES utf8mb4, SESSION sql_mode = 'ANSI,STRICT_ALL_TABLES', time_zone = '+00:00'")
        .await
        .expect("the session can be set up");
    session
}

struct Session(Arc<tokio::sync::Mutex<Conn>>);

#[async_trait]
impl Probe for Session {
    async fn execute(&self, sql: &str) {
        if let Err(error) = self.0.lock().await.query_drop(sql).await {
            panic!("{sql}: {error:?}");
        }
    }

    async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        // A query that nobody waits for any more still ends before the next: the driver would mix up their rows.
        let (session, query) = (Arc::clone(&self.0), sql.to_owned());
        let asked = tokio::spawn(async move { session.lock().await.query(query).await });
        let rows: Result<Vec<Row>, _> = asked.await.expect("a query does not panic");
        let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let text = |row: &Row, index| match row.as_ref(index) {
            Some(Value::Bytes(bytes)) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        };
        rows.iter().map(|row| (0..row.len()).map(|index| text(row, index)).collect()).collect()
    }

    async fn cut(&self) -> bool {
        let others = "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()";
        let others = self.rows(others).await;
        for session in &others {
            self.execute(&format!("KILL {}", session[0].as_deref().unwrap_or_default())).await;
        }
        !others.is_empty()
    }
}

fn connect(config: Config) -> Arc<dyn Destination> {
    let context = ConnectContext::new("test", "/");
    Connector::connect(&Mysql, config, &context).expect("the settings are right")
}

fn config(url: &str) -> Config {
    Config { url: Some(Secret::from(url)), ..Config::default() }
}

/// A bench in a new database, with other settings than the URL alone where `change` makes them.
async fn bench_with(test: &str, change: impl FnOnce(&mut Config)) -> Option<Bench> {
    let url = server(test)?;
    let database: String =
        test.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_').take(60).collect();
    let url = with_database(&url, "");
    session(&url)
        .await
        .query_drop(format!("DROP DATABASE IF EXISTS {database}; CREATE DATABASE {database} CHARACTER SET utf8mb4"))
        .await
        .expect("a database can be made");
    let url = with_database(&url, &database);
    let mut config = config(&url);
    change(&mut config);
    Some(Bench {
        destination: connect(config),
        stream: StreamName::parse("Customers").expect("the name is right"),
        table: format!("{database}.\"Customers\""),
        probe: Box::new(Session(Arc::new(tokio::sync::Mutex::new(session(&url).await)))),
        guard: Box::new(()),
    })
}

/// The destination with this URL, for another process.
pub fn destination_at(url: &str) -> Arc<dyn Destination> {
    connect(config(url))
}

async fn bench(test: &str) -> Option<Bench> {
    bench_with(test, |_| {}).await
}
