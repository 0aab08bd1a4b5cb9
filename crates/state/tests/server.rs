//! What only a server's state in a file has: its key file and another key, older and newer versions, copies.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tapline_core::server_state::{Change, NewDefinition, Noun, Secrets};
use tapline_core::{Commit, Reject, Secret, ServerStore, codes};

use crate::suite::Place;
use crate::{Folder, count, execute};

const URL: &str = "sqlite:.tapline/state.db";

/// Puts a definition with a secret, and two rejected rows, into a store.
pub async fn seal_something(store: &Arc<dyn ServerStore>) {
    let secrets = Secrets::from([("/password".to_owned(), Secret::from("hunter2"))]);
    let settings = json!({ "type": "postgres", "password": null });
    let new = NewDefinition { noun: Noun::Destination, name: "crm".to_owned(), settings, secrets, draft: false };
    store.change(vec![Change::Create(new)], "ada@example.com").await.unwrap();
    let lease = store.lease("customers", Duration::ZERO).await.unwrap();
    store.commit(&lease, 0, Commit { rejects: rejects(), ..Commit::default() }).await.unwrap();
    store.release(&lease).await.unwrap();
}

/// Finds what [`seal_something`] has put there.
pub async fn assert_sealed_is_readable(store: &Arc<dyn ServerStore>) {
    let definition = store.definition(Noun::Destination, "crm").await.unwrap().unwrap();
    assert_eq!(definition.secrets["/password"].expose(), "hunter2");
    assert_eq!(store.rejects("customers").await.unwrap(), rejects());
}

fn rejects() -> Vec<Reject> {
    let at = "2024-01-01T00:00:00Z".parse().unwrap();
    let reject = |id: u8| Reject {
        encoded_key: vec![id],
        key: json!({ "id": format!("hunter2 {id}") }),
        reason: "refused".to_owned(),
        code: "ROW-002".to_owned(),
        payload: None,
        attempts: 1,
        first_at: at,
        last_at: at,
    };
    vec![reject(1), reject(2)]
}

fn key(folder: &Folder) -> Vec<u8> {
    std::fs::read(folder.path().join(".tapline/state.key")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_file_takes_the_place_of_the_first() {
    let folder = Folder::new();
    let store = folder.server().await;
    seal_something(&store).await;
    let old = key(&folder);
    let lease = store.lead(Duration::ZERO).await.unwrap();
    let rotate = || tapline_state::rotate_key(URL, folder.path(), None);
    assert_eq!(rotate().await.unwrap_err().code(), codes::SYNC_003, "a server runs");
    store.release(&lease).await.unwrap();
    let lease = store.lease("customers", Duration::ZERO).await.unwrap();
    assert_eq!(rotate().await.unwrap_err().code(), codes::SYNC_003, "a sync runs");
    store.release(&lease).await.unwrap();
    drop(store);

    let rotated = rotate().await.unwrap();
    assert_eq!((rotated.definitions, rotated.rejects), (1, 2));
    assert_ne!(key(&folder), old);
    assert!(!folder.path().join(".tapline/state.key.next").exists());
    assert_sealed_is_readable(&folder.server().await).await;

    std::fs::write(folder.path().join(".tapline/state.key"), old).unwrap();
    let store = folder.server().await;
    let error = store.definition(Noun::Destination, "crm").await.unwrap_err();
    assert_eq!(error.code(), codes::STATE_001, "the old key opens nothing");
    assert!(!format!("{error:?}").contains("hunter2"));
    let key = Secret::from("given");
    let error = tapline_state::rotate_key(URL, folder.path(), Some(&key)).await.unwrap_err();
    assert_eq!(error.code(), codes::CONF_007);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_key_that_was_interrupted_is_taken_up() {
    let folder = Folder::new();
    seal_something(&folder.server().await).await;
    let old = key(&folder);
    let next = folder.path().join(".tapline/state.key.next");

    // Before anything was sealed with it, the next key is left behind.
    std::fs::write(&next, "a key that never counted").unwrap();
    assert_sealed_is_readable(&folder.server().await).await;
    assert!(!next.exists());

    // After everything was, it takes the place of the other.
    tapline_state::rotate_key(URL, folder.path(), None).await.unwrap();
    std::fs::rename(folder.path().join(".tapline/state.key"), &next).unwrap();
    std::fs::write(folder.path().join(".tapline/state.key"), old).unwrap();
    assert_sealed_is_readable(&folder.server().await).await;
    assert!(!next.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_folder_is_a_backup() {
    let folder = Folder::new();
    let store = folder.server().await;
    seal_something(&store).await;
    let id = store.id().to_owned();
    drop(store);
    let copy = Folder::new();
    copy_all(&folder.path().join(".tapline"), &copy.path().join(".tapline"));
    let store = copy.server().await;
    assert_eq!(store.id(), id);
    assert_sealed_is_readable(&store).await;
    drop(store);

    // Without its key it still opens, and says what is missing.
    std::fs::remove_file(copy.path().join(".tapline/state.key")).unwrap();
    let error = copy.server().await.definition(Noun::Destination, "crm").await.unwrap_err();
    assert!(error.message().contains("crm") && error.hints()[0].contains("state.key"), "{error:?}");
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn a_database_of_an_older_version_is_brought_up_to_date() {
    let folder = Folder::new();
    let path = folder.path().join("state.db");
    execute(&path, include_str!("../src/sqlite/migrations/0001_initial.sql")).await;
    execute(
        &path,
        r#"INSERT INTO meta (name, value) VALUES ('id', 'the same'); PRAGMA user_version = 1;
           INSERT INTO runs (run, sync, generation, status, body) VALUES ('r', 's', 1, 'succeeded',
             '{"sync":"s","run":"r","generation":1,"status":"succeeded","mode":"incremental",
               "files":{"listed":0,"read":0,"skipped":0},"bytes_read":0,"source_rows":{"read":0,"rejected":0},
               "rows":{"read":7,"unchanged":0,"inserted":7,"updated":0,"skipped":0,"rejected":0,"deleted":0,"delete_rejected":0},
               "duration_ms":1,"error":null,"started_at":"2030-05-01T10:00:00Z"}')"#,
    )
    .await;
    let store = tapline_state::open_server("sqlite:state.db", folder.path()).await.unwrap();
    assert_eq!(store.id(), "the same");
    let days = store.run_days("2030-05-01".parse().unwrap()).await.unwrap();
    assert_eq!((days.len(), days[0].inserted), (1, 7));
    assert_eq!(store.run_record("r").await.unwrap().unwrap().facts, None);
}

#[tokio::test]
async fn secrets_are_not_in_the_file_in_clear() {
    let folder = Folder::new();
    let store = folder.server().await;
    seal_something(&store).await;
    let path = folder.path().join(".tapline/state.db");
    assert_eq!(count(&path, "SELECT count(*) FROM records WHERE sealed IS NOT NULL").await, 1);
    for entry in std::fs::read_dir(folder.path().join(".tapline")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(7).any(|window| window == b"hunter2"), "{}", path.display());
        }
    }
}
