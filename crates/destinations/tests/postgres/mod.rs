//! PostgreSQL, at the server that `TAPLINE_TEST_POSTGRES_URL` names; without it these tests say that they are skipped.
//! Every test has a schema of its own.

mod conformance;
mod connection;
mod existing;
mod faults;
mod fence;
mod own_server;
mod types;
mod widening;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tapline_core::testing::bench::{Bench, Probe};
use tapline_core::{ConnectContext, Connector, Destination, Secret, StreamName};
use tapline_destinations::postgres::{Config, Postgres};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// The server's URL; `None`, with a word about it, where there is none.
fn server(test: &str) -> Option<String> {
    static SKIPPED: AtomicUsize = AtomicUsize::new(0);
    let url = std::env::var("TAPLINE_TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty());
    if url.is_none() {
        let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
        println!("skipped: {count} ({test}; TAPLINE_TEST_POSTGRES_URL names no server)");
    }
    url
}

/// A session of another program.
async fn session(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the test server answers");
    tokio::spawn(connection);
    client
}

/// A session, and the schema that its test works in.
struct Session(Client, String);

#[async_trait]
impl Probe for Session {
    async fn execute(&self, sql: &str) {
        if let Err(error) = self.0.batch_execute(sql).await {
            panic!("{sql}: {error:?}");
        }
    }

    async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let messages = self.0.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        rows.map(|row| (0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect()).collect()
    }

    async fn cut(&self) -> bool {
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE application_name = 'tapline' AND strpos(query, $1) > 0 AND pid <> pg_backend_pid()";
        !self.0.query(cut, &[&self.1]).await.expect("sessions can be ended").is_empty()
    }
}

fn connect(config: Config) -> Arc<dyn Destination> {
    let context = ConnectContext::new("test", "/");
    Connector::connect(&Postgres, config, &context).expect("the settings are right")
}

fn config(url: &str) -> Config {
    Config { url: Some(Secret::from(url)), ..Config::default() }
}

/// The URL with another role and password, both percent-encoded.
fn as_role(url: &str, role: &str, password: &str) -> String {
    let at = url.rfind('@').expect("the URL names a role");
    format!("postgres://{role}:{password}{}", &url[at..])
}

/// A bench in a new schema, with other settings than the URL alone where `change` makes them.
async fn bench_with(test: &str, change: impl FnOnce(&mut Config)) -> Option<Bench> {
    Some(bench_at(&server(test)?, test, change).await)
}

/// A bench in a new schema of the server with this URL.
async fn bench_at(url: &str, test: &str, change: impl FnOnce(&mut Config)) -> Bench {
    let client = session(url).await;
    let schema: String =
        test.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_').take(60).collect();
    let make = format!("DROP SCHEMA IF EXISTS \"{schema}\" CASCADE; CREATE SCHEMA \"{schema}\"; SET TIME ZONE 'UTC'");
    client.batch_execute(&make).await.expect("a schema can be made");
    let mut config = config(url);
    change(&mut config);
    let destination = connect(config);
    Bench {
        destination: Arc::new(OneSchema { inner: destination, schema: schema.clone() }),
        stream: StreamName::parse(&format!("\"{schema}\".Customers")).expect("the name is right"),
        table: format!("\"{schema}\".\"Customers\""),
        probe: Box::new(Session(client, schema.clone())),
        guard: Box::new(()),
    }
}

/// The destination with the URL of the shared server, for another process.
pub fn destination_at(url: &str) -> Arc<dyn Destination> {
    connect(config(url))
}

async fn bench(test: &str) -> Option<Bench> {
    bench_with(test, |_| {}).await
}

/// Shows the streams of one schema only, since the server holds those of all tests.
struct OneSchema {
    inner: Arc<dyn Destination>,
    schema: String,
}

#[async_trait]
impl Destination for OneSchema {
    fn identity(&self) -> String {
        self.inner.identity()
    }

    async fn check(&self) -> Vec<tapline_core::CheckStep> {
        self.inner.check().await
    }

    async fn streams(&self) -> tapline_core::Result<Vec<tapline_core::StreamInfo>> {
        let mut streams = self.inner.streams().await?;
        streams.retain(|stream| stream.name.schema() == Some(&self.schema));
        Ok(streams)
    }

    async fn marker(&self, stream: &StreamName) -> tapline_core::Result<Option<tapline_core::Marker>> {
        self.inner.marker(stream).await
    }

    async fn holds_rows(&self, stream: &StreamName) -> tapline_core::Result<Option<bool>> {
        self.inner.holds_rows(stream).await
    }

    async fn stamp(
        &self,
        stream: &StreamName,
        owner: &tapline_core::Owner,
        generation: u64,
    ) -> tapline_core::Result<()> {
        self.inner.stamp(stream, owner, generation).await
    }

    async fn outcomes(
        &self,
        stream: &StreamName,
        generation: u64,
    ) -> tapline_core::Result<Vec<tapline_core::RowOutcome>> {
        self.inner.outcomes(stream, generation).await
    }

    async fn open(&self, target: tapline_core::Target) -> tapline_core::Result<Box<dyn tapline_core::Writer>> {
        self.inner.open(target).await
    }

    async fn read(
        &self,
        rows: tapline_core::ReadBack,
    ) -> tapline_core::Result<Option<Box<dyn tapline_core::RowReader>>> {
        self.inner.read(rows).await
    }
}
