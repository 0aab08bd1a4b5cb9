//! A MariaDB database of a test's own, on the server that `TAPLINE_TEST_MYSQL_URL` names.
//! Not here: the server, which `cargo xtask test` starts.
//! Called by `target`.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row, Value};
use tokio::runtime::Runtime;
use url::Url;

/// A database that goes away with this.
pub struct MariaDb {
    runtime: Runtime,
    session: RefCell<Conn>,
    server: Url,
    pub name: String,
}

impl MariaDb {
    /// A new database; `None` where there is no server.
    pub fn create() -> Option<Self> {
        static CREATED: AtomicU32 = AtomicU32::new(0);
        let server: Url = std::env::var("TAPLINE_TEST_MYSQL_URL").ok()?.parse().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        let name = format!("tapline_e2e_{}_{number}", std::process::id());
        let mut session = runtime.block_on(connect(&server)).unwrap();
        // What a test that was killed has left goes first.
        let make = format!("DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name} CHARACTER SET utf8mb4; USE {name}");
        runtime.block_on(session.query_drop(make)).unwrap();
        Some(Self { runtime, session: RefCell::new(session), server, name })
    }

    /// `mysql://user:password@host:port/database`.
    pub fn url(&self) -> String {
        let mut url = self.server.clone();
        url.set_path(&self.name);
        url.into()
    }

    /// Runs statements.
    #[track_caller]
    pub fn execute(&self, sql: &str) {
        let done = self.runtime.block_on(self.session.borrow_mut().query_drop(sql));
        done.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Runs a query; every value in the server's text form.
    #[track_caller]
    pub fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let rows: Result<Vec<Row>, _> = self.runtime.block_on(self.session.borrow_mut().query(sql));
        let text = |row: &Row, index| match row.as_ref(index) {
            Some(Value::Bytes(bytes)) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        };
        let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        rows.iter().map(|row| (0..row.len()).map(|index| text(row, index)).collect()).collect()
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.execute(&format!("DROP DATABASE {}", self.name));
    }
}

/// A session that writes names as standard SQL does.
async fn connect(server: &Url) -> Result<Conn, mysql_async::Error> {
    let options = OptsBuilder::from_opts(Opts::from_url(server.as_str())?).prefer_socket(false);
    let mut session = Conn::new(options).await?;
    session.query_drop("SET NAMES utf8mb4, SESSION sql_mode = 'ANSI,STRICT_ALL_TABLES', time_zone = '+00:00'").await?;
    Ok(session)
}
