//! A PostgreSQL database of a test's own, on the server that `TAPLINE_TEST_POSTGRES_URL` names.
//! Not here: the server, which `cargo xtask test` starts.
//! Called by `target`, and by tests that need more than one role or schema.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use url::Url;

/// A database that goes away with this.
pub struct Database {
    runtime: Runtime,
    client: Option<Client>,
    server: Url,
    name: String,
}

impl Database {
    /// A new database; `None` where there is no server.
    pub fn create() -> Option<Self> {
        std::env::var("TAPLINE_TEST_POSTGRES_URL").ok().map(|server| Self::on(&server))
    }

    /// A new database on a server.
    pub fn on(server: &str) -> Self {
        static CREATED: AtomicU32 = AtomicU32::new(0);
        let server: Url = server.parse().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        let name = format!("tapline_e2e_{}_{number}", std::process::id());
        // What a test that was killed has left.
        execute(&runtime, &server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        execute(&runtime, &server, &format!("CREATE DATABASE {name}"));
        let client = Some(connect(&runtime, &database(&server, &name)));
        Self { runtime, client, server, name }
    }

    /// Connects again, after the server was away.
    pub fn reconnect(&mut self) {
        self.client = Some(connect(&self.runtime, &database(&self.server, &self.name)));
    }

    /// `postgres://user:password@host:port/database`.
    pub fn url(&self) -> String {
        database(&self.server, &self.name).into()
    }

    /// The same for another role.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        let mut url = database(&self.server, &self.name);
        url.set_username(user).unwrap();
        url.set_password(Some(password)).unwrap();
        url.into()
    }

    /// Runs statements.
    #[track_caller]
    pub fn execute(&self, sql: &str) {
        let client = self.client.as_ref().unwrap();
        self.runtime.block_on(client.batch_execute(sql)).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Runs a query; every value in PostgreSQL's text form.
    #[track_caller]
    pub fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let client = self.client.as_ref().unwrap();
        let messages = self.runtime.block_on(client.simple_query(sql));
        let messages = messages.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let row = |message: SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
            }
            _ => None,
        };
        messages.into_iter().filter_map(row).collect()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop(self.client.take());
        execute(&self.runtime, &self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

fn database(server: &Url, name: &str) -> Url {
    let mut url = server.clone();
    url.set_path(name);
    url
}

fn connect(runtime: &Runtime, url: &Url) -> Client {
    let connect = async {
        let (client, connection) = tokio_postgres::connect(url.as_str(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("SET TIME ZONE 'UTC'").await.unwrap();
        client
    };
    runtime.block_on(connect)
}

fn execute(runtime: &Runtime, url: &Url, sql: &str) {
    let client = connect(runtime, url);
    runtime.block_on(client.batch_execute(sql)).unwrap();
}
