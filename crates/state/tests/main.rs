//! The store suite on SQLite, and what only SQLite has: files, modes, versions, death of a holder. PostgreSQL has a module
//! of its own.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::print_stdout, reason = "what is skipped is said on stdout")]

mod postgres;
mod server;
mod suite;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tapline_core::{Commit, Reject, RunStatus, ServerStore, StateStore, codes};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

#[async_trait]
impl suite::Place for Folder {
    async fn open(&self) -> Arc<dyn StateStore> {
        tapline_state::open("sqlite:.tapline/state.db", self.path()).await.unwrap()
    }

    async fn server(&self) -> Arc<dyn ServerStore> {
        tapline_state::open_server("sqlite:.tapline/state.db", self.path()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_on_sqlite() {
    suite::run(&Folder::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_first_opens_at_once_make_one_store() {
    let folder = Arc::new(Folder::new());
    let opened: Vec<_> = (0..8)
        .map(|_| {
            let folder = folder.clone();
            tokio::spawn(async move { suite::Place::open(&*folder).await.id().to_owned() })
        })
        .collect();
    let mut ids = Vec::new();
    for task in opened {
        ids.push(task.await.unwrap());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn an_absent_store_is_not_made_by_asking_for_it() {
    let folder = Folder::new();
    assert!(tapline_state::open_existing("sqlite:.tapline/state.db", folder.path()).await.unwrap().is_none());
    assert!(!folder.path().join(".tapline").exists());
    let id = suite::Place::open(&folder).await.id().to_owned();
    let store = tapline_state::open_existing("sqlite:.tapline/state.db", folder.path()).await.unwrap().unwrap();
    assert_eq!(store.id(), id);
}

#[cfg(unix)]
#[tokio::test]
async fn files_and_folders_belong_to_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    let store = suite::Place::open(&folder).await;
    store.lease("customers", Duration::ZERO).await.unwrap();
    let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(".tapline"), 0o700);
    for name in [".tapline/state.db", ".tapline/state.db-wal"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let folder = Folder::new();
    drop(suite::Place::open(&folder).await);
    execute(&folder.path().join(".tapline/state.db"), "PRAGMA user_version = 99").await;
    let error = tapline_state::open("sqlite:.tapline/state.db", folder.path()).await.err().unwrap();
    assert_eq!(error.code(), codes::STATE_002);
    assert!(error.message().contains("99"), "{error}");
}

#[tokio::test]
async fn a_database_of_something_else_is_refused_and_left_alone() {
    let folder = Folder::new();
    let path = folder.path().join("app.db");
    execute(&path, "CREATE TABLE users (id)").await;
    let error = tapline_state::open("sqlite:app.db", folder.path()).await.err().unwrap();
    assert_eq!(error.code(), codes::STATE_001);
    execute(&path, "INSERT INTO users SELECT count(*) FROM sqlite_schema HAVING count(*) > 1").await;
    assert_eq!(count(&path, "SELECT count(*) FROM users").await, 0);

    std::fs::write(folder.path().join("text.db"), "this is no database, but long enough for a header").unwrap();
    let error = tapline_state::open("sqlite:text.db", folder.path()).await.err().unwrap();
    assert_eq!(error.code(), codes::STATE_001);
}

#[tokio::test]
async fn keys_and_payloads_are_not_in_the_file_in_clear() {
    let folder = Folder::new();
    let store = suite::Place::open(&folder).await;
    let lease = store.lease("customers", Duration::ZERO).await.unwrap();
    let reject = Reject {
        encoded_key: b"hunter2-encoded".to_vec(),
        key: json!({ "id": "hunter2-key" }),
        reason: "refused".to_owned(),
        code: "ROW-002".to_owned(),
        payload: Some(json!({ "name": "hunter2-payload" })),
        attempts: 1,
        first_at: chrono::Utc::now(),
        last_at: chrono::Utc::now(),
    };
    let commit = Commit { rejects: vec![reject.clone()], ..Commit::default() };
    store.commit(&lease, 0, commit).await.unwrap();
    assert_eq!(store.rejects("customers").await.unwrap(), [reject]);
    for entry in std::fs::read_dir(folder.path().join(".tapline")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(7).any(|window| window == b"hunter2"), "{}", path.display());
        }
    }
}

#[tokio::test]
async fn many_rejects_lie_in_one_sealed_file() {
    let folder = Folder::new();
    let store = suite::Place::open(&folder).await;
    let lease = store.lease("customers", Duration::ZERO).await.unwrap();
    let reject = |row: u32| Reject {
        encoded_key: format!("hunter2-{row}").into_bytes(),
        key: json!({ "id": format!("hunter2-{row}") }),
        reason: "refused".to_owned(),
        code: "ROW-002".to_owned(),
        payload: None,
        attempts: 1,
        first_at: chrono::Utc::now(),
        last_at: chrono::Utc::now(),
    };
    let many = Commit { rejects: (0..12_000).map(reject).collect(), ..Commit::default() };
    let place = folder.path().join(".tapline/rejects/customers");
    let files = || -> Vec<_> { std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()).collect() };
    store.commit(&lease, 0, many.clone()).await.unwrap();
    let first = files();
    assert_eq!(first.len(), 1);
    let bytes = std::fs::read(&first[0]).unwrap();
    assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
    assert_eq!(count(&folder.path().join(".tapline/state.db"), "SELECT count(*) FROM rejects").await, 0);

    store.release(&lease).await.unwrap();
    let lease = store.lease("customers", Duration::ZERO).await.unwrap();
    store.commit(&lease, 1, many).await.unwrap();
    assert!(files().len() == 1 && files() != first, "the file of the run before is gone");
    let mut damaged = std::fs::read(&files()[0]).unwrap();
    damaged[5_000] ^= 1;
    std::fs::write(&files()[0], damaged).unwrap();
    assert_eq!(store.rejects("customers").await.unwrap_err().code(), codes::STATE_001);

    store.commit(&lease, 2, Commit { rejects: vec![reject(1)], ..Commit::default() }).await.unwrap();
    assert!(files().is_empty());
}

#[tokio::test]
async fn unreadable_lines_are_bounded() {
    let folder = Folder::new();
    let store = suite::Place::open(&folder).await;
    let lease = store.lease("customers", Duration::ZERO).await.unwrap();
    let source_rejects = (1..=10_001)
        .map(|line| tapline_core::SourceReject {
            file: "s3://lake/a.csv".to_owned(),
            line,
            byte_offset: line * 10,
            column: None,
            reason: "too few fields".to_owned(),
        })
        .collect();
    store.commit(&lease, 0, Commit { source_rejects, ..Commit::default() }).await.unwrap();
    let kept = store.source_rejects("customers").await.unwrap();
    assert_eq!((kept.len(), kept.last().unwrap().line), (10_000, 10_000));
}

/// The environment variable that makes `holder` hold: the folder of the store.
const HOLD: &str = "TAPLINE_TEST_HOLD";

/// Not a test of its own: `the_death_of_a_holder_frees_its_lease` runs it in another process and kills it.
#[tokio::test]
async fn holder() {
    let Ok(folder) = std::env::var(HOLD) else { return };
    let store = tapline_state::open("sqlite:.tapline/state.db", Path::new(&folder)).await.unwrap();
    let lease = suite::hold(&*store, "customers").await;
    println!("\nheld {}", lease.generation);
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}

#[tokio::test]
async fn the_death_of_a_holder_frees_its_lease() {
    let folder = Folder::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["holder", "--exact", "--nocapture"])
        .env(HOLD, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let held = lines.find_map(|line| line.unwrap().strip_prefix("held ").map(str::to_owned)).unwrap();
    assert_eq!(held, "1");

    let store = suite::Place::open(&folder).await;
    let error = store.lease("customers", Duration::ZERO).await.unwrap_err();
    assert_eq!(error.code(), codes::SYNC_003);
    assert!(error.message().contains(&format!("process {}", child.id())), "{error}");

    child.kill().unwrap();
    child.wait().unwrap();
    let lease = store.lease("customers", Duration::from_secs(60)).await.unwrap();
    assert_eq!(lease.generation, 2);
    assert_eq!(store.run("held").await.unwrap().unwrap().status, RunStatus::Failed);
}

async fn execute(path: &Path, statement: &'static str) {
    let mut connection = connect(path).await;
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
}

async fn count(path: &Path, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(&mut connect(path).await).await.unwrap()
}

async fn connect(path: &Path) -> sqlx::SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    sqlx::ConnectOptions::connect(&options).await.unwrap()
}
