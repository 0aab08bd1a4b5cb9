//! The store suite on PostgreSQL, and what only a shared store has: leases that time frees, a key that all must have.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tapline_core::{Commit, Secret, ServerStore, StateStore, codes};

use crate::suite::{self, Place};

/// A database of a test's own.
struct Database {
    server: String,
    name: String,
}

impl Database {
    /// A new database, and the key that its stores are sealed with; `None` where there is no server.
    async fn create(name: &str) -> Option<Self> {
        let Ok(server) = std::env::var("TAPLINE_TEST_POSTGRES_URL") else {
            println!("skipped: 1 (TAPLINE_TEST_POSTGRES_URL names no server)");
            return None;
        };
        let database = Self { server, name: format!("tapline_state_{name}_{}", std::process::id()) };
        database.on_server(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", database.name)).await;
        database.on_server(&format!("CREATE DATABASE {}", database.name)).await;
        Some(database)
    }

    fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').unwrap();
        format!("{server}/{}", self.name)
    }

    async fn on_server(&self, sql: &str) {
        execute(&self.server, sql).await;
    }

    async fn execute(&self, sql: &str) {
        execute(&self.url(), sql).await;
    }

    async fn end(self) {
        self.on_server(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

async fn execute(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[async_trait]
impl Place for Database {
    async fn open(&self) -> Arc<dyn StateStore> {
        tapline_state::open(&self.url(), "/nowhere".as_ref()).await.unwrap()
    }

    async fn server(&self) -> Arc<dyn ServerStore> {
        tapline_state::open_server(&self.url(), "/nowhere".as_ref()).await.unwrap()
    }

    async fn outlive_leases(&self) {
        self.execute("UPDATE tapline.leases SET expires_at = now() - interval '1 s'").await;
    }
}

/// Whether this process has the key that shared stores need; where not, runs `test` in a process that has it.
fn has_key(test: &str) -> bool {
    if std::env::var_os("TAPLINE_SECRET_KEY").is_some() {
        return true;
    }
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([&format!("postgres::{test}"), "--exact", "--nocapture"])
        .env("TAPLINE_SECRET_KEY", "a key of high entropy")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&child.stdout);
    told.lines().filter(|line| line.starts_with("skipped: ")).for_each(|line| println!("{line}"));
    assert!(child.status.success(), "{told}{}", String::from_utf8_lossy(&child.stderr));
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes() {
    if has_key("the_suite_passes")
        && let Some(database) = Database::create("suite").await
    {
        suite::run(&database).await;
        database.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_lost_to_whoever_took_it_when_it_had_expired() {
    if !has_key("a_lease_is_lost_to_whoever_took_it_when_it_had_expired") {
        return;
    }
    let Some(database) = Database::create("lost").await else { return };
    let (one, two) = (database.open().await, database.open().await);
    let lease = one.lease("customers", Duration::ZERO).await.unwrap();
    assert_eq!(two.lease("customers", Duration::ZERO).await.unwrap_err().code(), codes::SYNC_003);
    // As if the holder had been frozen for too long.
    database.outlive_leases().await;
    let taken = two.lease("customers", Duration::ZERO).await.unwrap();
    assert_eq!(taken.generation, lease.generation + 1);
    let lost = tokio::time::timeout(Duration::from_secs(60), one.lost(&lease)).await.unwrap();
    assert_eq!(lost.code(), codes::STATE_005);
    let refused = one.commit(&lease, 0, Commit { body: json!(1), ..Commit::default() }).await.unwrap_err();
    assert_eq!(refused.code(), codes::STATE_003);
    // Releasing what is lost takes nothing from anybody.
    one.release(&lease).await.unwrap();
    assert_eq!(one.lease("customers", Duration::ZERO).await.unwrap_err().code(), codes::SYNC_003);
    let kept = tokio::time::timeout(Duration::from_millis(200), two.lost(&taken)).await;
    assert!(kept.is_err(), "the lease that is held is not lost");
    database.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_and_a_newer_version_are_refused() {
    if !has_key("another_key_and_a_newer_version_are_refused") {
        return;
    }
    let Some(database) = Database::create("refused").await else { return };
    let nowhere = "/nowhere".as_ref();
    assert!(tapline_state::open_existing(&database.url(), nowhere).await.unwrap().is_none());
    let id = database.open().await.id().to_owned();
    let again = tapline_state::open_existing(&database.url(), nowhere).await.unwrap().unwrap();
    assert_eq!(again.id(), id);
    database.execute("UPDATE tapline.meta SET value = value || 'x' WHERE name = 'key'").await;
    let error = tapline_state::open(&database.url(), nowhere).await.err().unwrap();
    assert_eq!(error.code(), codes::STATE_001);
    assert!(error.hints()[0].contains("TAPLINE_SECRET_KEY"), "{error:?}");
    database.execute("UPDATE tapline.meta SET value = '99' WHERE name = 'version'").await;
    let error = tapline_state::open(&database.url(), nowhere).await.err().unwrap();
    assert_eq!(error.code(), codes::STATE_002);
    database.end().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_its_password() {
    if !has_key("a_server_that_is_not_there_is_named_without_its_password") {
        return;
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://user:hunter2@127.0.0.1:{closed}/db");
    let error = tapline_state::open(&url, "/nowhere".as_ref()).await.err().unwrap();
    assert_eq!(error.code(), codes::STATE_001);
    assert!(!format!("{error:?} {}", error.full_message()).contains("hunter2"));
}

/// The environment variable that makes `reader` read: the URL of a store whose key was changed.
const READ: &str = "TAPLINE_TEST_READ";
const NEW_KEY: &str = "another key of high entropy";

/// Not a test of its own: `another_key_takes_the_place_of_the_first` runs it in a process that has the new key.
#[tokio::test]
async fn reader() {
    let Ok(url) = std::env::var(READ) else { return };
    let store = tapline_state::open_server(&url, "/nowhere".as_ref()).await.unwrap();
    crate::server::assert_sealed_is_readable(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_takes_the_place_of_the_first() {
    if !has_key("another_key_takes_the_place_of_the_first") {
        return;
    }
    let Some(database) = Database::create("rotated").await else { return };
    crate::server::seal_something(&database.server().await).await;
    let nowhere = "/nowhere".as_ref();
    let error = tapline_state::rotate_key(&database.url(), nowhere, None).await.unwrap_err();
    assert_eq!(error.code(), codes::CONF_007);
    let key = Secret::from(NEW_KEY);
    let rotated = tapline_state::rotate_key(&database.url(), nowhere, Some(&key)).await.unwrap();
    assert_eq!((rotated.definitions, rotated.rejects), (1, 2));
    let error = tapline_state::open(&database.url(), nowhere).await.err().unwrap();
    assert_eq!(error.code(), codes::STATE_001, "the old key opens nothing");
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["postgres::reader", "--exact", "--nocapture"])
        .env("TAPLINE_SECRET_KEY", NEW_KEY)
        .env(READ, database.url())
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    database.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_waits_until_the_first_is_gone() {
    if !has_key("a_second_server_waits_until_the_first_is_gone") {
        return;
    }
    let Some(database) = Database::create("lead").await else { return };
    let (one, two) = (database.server().await, database.server().await);
    let lease = one.lead(Duration::ZERO).await.unwrap();
    assert_eq!(two.lead(Duration::ZERO).await.unwrap_err().code(), codes::SYNC_003);
    database.outlive_leases().await;
    let taken = two.lead(Duration::from_secs(10)).await.unwrap();
    let lost = tokio::time::timeout(Duration::from_secs(60), one.lost(&lease)).await.unwrap();
    assert_eq!(lost.code(), codes::STATE_005);
    two.release(&taken).await.unwrap();
    database.end().await;
}
