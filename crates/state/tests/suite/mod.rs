//! What every state store must do, said over `dyn StateStore`.
//! Not here: what only one kind of store has, such as files and their modes.
//! Called with a `Place`: a way to open one and the same store any number of times.

mod server;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::json;
use tapline_core::config::Mode;
use tapline_core::{
    Commit, FileCounts, Lease, Reject, RowCounts, RunReport, RunStatus, ServerStore, SourceReject, SourceRowCounts,
    StateStore, codes,
};

/// Where a store is; every call opens another handle of the same store.
#[async_trait]
pub trait Place: Sync {
    /// Opens the store; the first call makes it.
    async fn open(&self) -> Arc<dyn StateStore>;

    /// Opens the store as a server does.
    async fn server(&self) -> Arc<dyn ServerStore>;

    /// Lets so much time pass that the leases of handles that are gone are free.
    async fn outlive_leases(&self) {}
}

const NOW: Duration = Duration::ZERO;

/// Runs the whole suite; each part uses syncs of its own.
pub async fn run(place: &dyn Place) {
    identity(place).await;
    lease_is_exclusive(place).await;
    lease_waits(place).await;
    generations_never_repeat(place).await;
    commit_compares_and_sets(place).await;
    a_later_lease_ends_the_right_to_write(place).await;
    intents(place).await;
    rejects_round_trip(place).await;
    many_rejects_round_trip(place).await;
    old_payloads_are_forgotten(place).await;
    reset_keeps_history_and_numbering(place).await;
    runs_are_listed_newest_first(place).await;
    runs_cut_off_are_marked_as_failed(place).await;
    reading_does_not_need_the_lease(place).await;
    concurrent_commits(place).await;
    server::run(place).await;
}

async fn identity(place: &dyn Place) {
    let (one, two) = (place.open().await, place.open().await);
    assert!(!one.id().is_empty());
    assert_eq!(one.id(), two.id());
}

async fn lease_is_exclusive(place: &dyn Place) {
    let (one, two) = (place.open().await, place.open().await);
    let lease = one.lease("exclusive", NOW).await.unwrap();
    for store in [&one, &two] {
        let error = store.lease("exclusive", NOW).await.unwrap_err();
        assert_eq!(error.code(), codes::SYNC_003);
        assert!(error.message().contains(&std::process::id().to_string()), "{error}");
    }
    let other = two.lease("exclusive too", NOW).await.unwrap();
    two.release(&other).await.unwrap();
    one.release(&lease).await.unwrap();
    one.release(&lease).await.unwrap();
    let lease = two.lease("exclusive", NOW).await.unwrap();
    two.release(&lease).await.unwrap();
}

async fn lease_waits(place: &dyn Place) {
    let (one, two) = (place.open().await, place.open().await);
    let lease = one.lease("waited for", NOW).await.unwrap();
    let waiter = tokio::spawn(async move { two.lease("waited for", Duration::from_secs(60)).await });
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(!waiter.is_finished());
    one.release(&lease).await.unwrap();
    assert_eq!(waiter.await.unwrap().unwrap().generation, lease.generation + 1);
}

async fn generations_never_repeat(place: &dyn Place) {
    for expected in 1..=5 {
        let store = place.open().await;
        let lease = store.lease("numbered", NOW).await.unwrap();
        assert_eq!(lease.generation, expected);
        if expected % 2 == 0 {
            store.release(&lease).await.unwrap();
        }
        drop(store);
        place.outlive_leases().await;
    }
    let store = place.open().await;
    assert_eq!(store.lease("numbered from one", NOW).await.unwrap().generation, 1);
}

async fn commit_compares_and_sets(place: &dyn Place) {
    let store = place.open().await;
    let lease = store.lease("committed", NOW).await.unwrap();
    assert_eq!(store.checkpoint("committed").await.unwrap(), None);
    let error = store.commit(&lease, 1, body(1)).await.unwrap_err();
    assert_eq!(error.code(), codes::STATE_003);
    assert_eq!(store.checkpoint("committed").await.unwrap(), None);

    let first = store.commit(&lease, 0, body(1)).await.unwrap();
    assert_eq!((first.generation, first.revision, &first.body), (lease.generation, 1, &json!({ "cursor": 1 })));
    let error = store.commit(&lease, 0, body(2)).await.unwrap_err();
    assert_eq!(error.code(), codes::STATE_003);
    let again = place.open().await;
    assert_eq!(again.checkpoint("committed").await.unwrap(), Some(first));

    let second = store.commit(&lease, 1, body(3)).await.unwrap();
    assert_eq!(second.revision, 2);
    assert_eq!(again.checkpoint("committed").await.unwrap(), Some(second));
}

async fn a_later_lease_ends_the_right_to_write(place: &dyn Place) {
    let store = place.open().await;
    let stale = store.lease("fenced", NOW).await.unwrap();
    store.release(&stale).await.unwrap();
    let current = store.lease("fenced", NOW).await.unwrap();
    let refused = [
        store.commit(&stale, 0, body(1)).await.map(drop),
        store.put_intent(&stale, json!(1)).await,
        store.drop_intent(&stale).await,
        store.reset(&stale).await,
    ];
    for result in refused {
        assert_eq!(result.unwrap_err().code(), codes::STATE_003);
    }
    store.commit(&current, 0, body(1)).await.unwrap();
}

async fn intents(place: &dyn Place) {
    let store = place.open().await;
    let lease = store.lease("intended", NOW).await.unwrap();
    assert_eq!(store.intent("intended").await.unwrap(), None);
    store.put_intent(&lease, json!({ "file": "a" })).await.unwrap();
    store.put_intent(&lease, json!({ "file": "b" })).await.unwrap();
    let intent = place.open().await.intent("intended").await.unwrap().unwrap();
    assert_eq!((intent.generation, intent.body), (lease.generation, json!({ "file": "b" })));

    store.drop_intent(&lease).await.unwrap();
    assert_eq!(store.intent("intended").await.unwrap(), None);

    store.put_intent(&lease, json!(1)).await.unwrap();
    store.release(&lease).await.unwrap();
    let next = store.lease("intended", NOW).await.unwrap();
    assert_eq!(store.intent("intended").await.unwrap().unwrap().generation, lease.generation, "it outlives its run");
    store.commit(&next, 0, body(1)).await.unwrap();
    assert_eq!(store.intent("intended").await.unwrap(), None);
}

async fn rejects_round_trip(place: &dyn Place) {
    let store = place.open().await;
    let lease = store.lease("rejecting", NOW).await.unwrap();
    let older = Reject {
        encoded_key: vec![0, 255, 7],
        key: json!({ "id": 7, "region": "ö" }),
        reason: "not null constraint on email".to_owned(),
        code: "ROW-002".to_owned(),
        payload: Some(json!({ "z": 1, "a": "x", "big": u64::MAX })),
        attempts: 3,
        first_at: moment("2024-02-29T01:02:03.000000001Z"),
        last_at: Utc::now(),
    };
    let newer = Reject {
        encoded_key: Vec::new(),
        key: json!(null),
        payload: None,
        first_at: moment("2024-02-29T01:02:03.1Z"),
        ..older.clone()
    };
    let line = SourceReject {
        file: "s3://lake/a.csv".to_owned(),
        line: 4,
        byte_offset: 100,
        column: Some("price".to_owned()),
        reason: "too few fields".to_owned(),
    };
    let commit = Commit {
        body: json!({}),
        rejects: vec![newer.clone(), older.clone()],
        source_rejects: vec![line.clone(), SourceReject { line: 5, column: None, ..line.clone() }],
    };
    store.commit(&lease, 0, commit).await.unwrap();
    let again = place.open().await;
    assert_eq!(again.rejects("rejecting").await.unwrap(), [older, newer.clone()]);
    let lines = again.source_rejects("rejecting").await.unwrap();
    assert_eq!(lines.iter().map(|line| line.line).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(lines[0], line);
    assert!(again.rejects("somebody else").await.unwrap().is_empty());

    store.commit(&lease, 1, Commit { rejects: vec![newer.clone()], ..Commit::default() }).await.unwrap();
    assert_eq!(again.rejects("rejecting").await.unwrap(), [newer]);
    assert!(again.source_rejects("rejecting").await.unwrap().is_empty());
}

/// So many that a store may keep them elsewhere.
async fn many_rejects_round_trip(place: &dyn Place) {
    let store = place.open().await;
    let lease = store.lease("rejecting many", NOW).await.unwrap();
    let rejects = |rows: u32, code: &str| -> Vec<Reject> {
        let reject = |row: u32| Reject {
            encoded_key: row.to_be_bytes().to_vec(),
            key: json!({ "id": row }),
            reason: "not null constraint on email".to_owned(),
            code: code.to_owned(),
            payload: row.is_multiple_of(10).then(|| json!({ "id": row, "email": null })),
            attempts: row,
            first_at: moment("2024-02-29T01:02:03Z") + chrono::TimeDelta::seconds(i64::from(row)),
            last_at: Utc::now(),
        };
        (0..rows).map(reject).collect()
    };
    for (revision, rows) in [(0, 25_000), (1, 10_001), (2, 3)] {
        let open = rejects(rows, &format!("ROW-00{revision}"));
        store.commit(&lease, revision, Commit { rejects: open.clone(), ..Commit::default() }).await.unwrap();
        assert!(place.open().await.rejects("rejecting many").await.unwrap() == open, "{rows} rows differ");
    }
    store.reset(&lease).await.unwrap();
    assert!(store.rejects("rejecting many").await.unwrap().is_empty());
}

async fn old_payloads_are_forgotten(place: &dyn Place) {
    let store = place.open().await;
    let lease = store.lease("rejecting long ago", NOW).await.unwrap();
    let old = Reject {
        encoded_key: vec![1],
        key: json!({ "id": 1 }),
        reason: "r".to_owned(),
        code: "ROW-002".to_owned(),
        payload: Some(json!({ "id": 1 })),
        attempts: 1,
        first_at: Utc::now() - chrono::TimeDelta::days(40),
        last_at: Utc::now() - chrono::TimeDelta::days(31),
    };
    let recent = Reject { encoded_key: vec![2], last_at: Utc::now(), ..old.clone() };
    store.commit(&lease, 0, Commit { rejects: vec![old.clone(), recent.clone()], ..Commit::default() }).await.unwrap();
    let kept = [Reject { payload: None, ..old }, recent];
    assert_eq!(store.rejects("rejecting long ago").await.unwrap(), kept);
}

async fn reset_keeps_history_and_numbering(place: &dyn Place) {
    let store = place.open().await;
    let lease = store.lease("reset", NOW).await.unwrap();
    store.record_run(&report("reset", "run of reset", lease.generation, RunStatus::Succeeded)).await.unwrap();
    let reject = Reject {
        encoded_key: vec![1],
        key: json!(1),
        reason: "r".to_owned(),
        code: "ROW-001".to_owned(),
        payload: None,
        attempts: 1,
        first_at: moment("2024-01-01T00:00:00Z"),
        last_at: moment("2024-01-01T00:00:00Z"),
    };
    store.commit(&lease, 0, Commit { rejects: vec![reject], ..body(1) }).await.unwrap();
    store.put_intent(&lease, json!(1)).await.unwrap();

    store.reset(&lease).await.unwrap();
    assert_eq!(store.checkpoint("reset").await.unwrap(), None);
    assert_eq!(store.intent("reset").await.unwrap(), None);
    assert!(store.rejects("reset").await.unwrap().is_empty());
    assert_eq!(store.runs(Some("reset"), 10).await.unwrap().len(), 1);
    store.commit(&lease, 0, body(1)).await.unwrap();
    store.release(&lease).await.unwrap();
    assert_eq!(store.lease("reset", NOW).await.unwrap().generation, lease.generation + 1);
}

async fn runs_are_listed_newest_first(place: &dyn Place) {
    let store = place.open().await;
    for (index, sync) in ["listed a", "listed b", "listed a"].into_iter().enumerate() {
        let id = format!("listed {index}");
        store.record_run(&report(sync, &id, index as u64, RunStatus::Running)).await.unwrap();
    }
    store.record_run(&report("listed a", "listed 0", 0, RunStatus::Partial)).await.unwrap();

    let ids = |runs: Vec<RunReport>| runs.into_iter().map(|run| run.run).collect::<Vec<_>>();
    assert_eq!(ids(store.runs(Some("listed a"), 10).await.unwrap()), ["listed 2", "listed 0"]);
    assert_eq!(ids(store.runs(None, 3).await.unwrap()), ["listed 2", "listed 1", "listed 0"]);
    assert_eq!(ids(store.runs(Some("listed a"), 1).await.unwrap()), ["listed 2"]);
    assert!(store.runs(Some("unheard of"), 10).await.unwrap().is_empty());

    let run = store.run("listed 0").await.unwrap().unwrap();
    assert_eq!(run, report("listed a", "listed 0", 0, RunStatus::Partial));
    assert_eq!(store.run("unheard of").await.unwrap(), None);
}

async fn runs_cut_off_are_marked_as_failed(place: &dyn Place) {
    let store = place.open().await;
    let lease = store.lease("cut off", NOW).await.unwrap();
    store.record_run(&report("cut off", "cut off 1", lease.generation, RunStatus::Running)).await.unwrap();
    store.record_run(&report("goes on", "goes on 1", 1, RunStatus::Running)).await.unwrap();
    drop(store);
    place.outlive_leases().await;

    let store = place.open().await;
    assert_eq!(store.run("cut off 1").await.unwrap().unwrap().status, RunStatus::Running);
    store.lease("cut off", NOW).await.unwrap();
    let run = store.run("cut off 1").await.unwrap().unwrap();
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(run.error.unwrap().code, "RUN-004");
    assert_eq!(store.run("goes on 1").await.unwrap().unwrap().status, RunStatus::Running);
}

async fn reading_does_not_need_the_lease(place: &dyn Place) {
    let (writer, reader) = (place.open().await, place.open().await);
    let lease = writer.lease("read", NOW).await.unwrap();
    writer.commit(&lease, 0, body(1)).await.unwrap();
    assert_eq!(reader.checkpoint("read").await.unwrap().unwrap().revision, 1);
    assert!(reader.runs(Some("read"), 10).await.unwrap().is_empty());
    assert_eq!(reader.intent("read").await.unwrap(), None);
}

async fn concurrent_commits(place: &dyn Place) {
    let work = (0..4).map(async |index| {
        let store = place.open().await;
        let sync = format!("concurrent {index}");
        let lease = store.lease(&sync, NOW).await.unwrap();
        for revision in 0..20 {
            store.commit(&lease, revision, body(revision)).await.unwrap();
            assert_eq!(store.checkpoint(&sync).await.unwrap().unwrap().revision, revision + 1);
        }
    });
    futures::future::join_all(work).await;
}

/// A lease that a test may take before it kills the process that holds it.
pub async fn hold(store: &dyn StateStore, sync: &str) -> Lease {
    let lease = store.lease(sync, NOW).await.unwrap();
    store.record_run(&report(sync, "held", lease.generation, RunStatus::Running)).await.unwrap();
    lease
}

fn body(cursor: u64) -> Commit {
    Commit { body: json!({ "cursor": cursor }), ..Commit::default() }
}

fn moment(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn report(sync: &str, run: &str, generation: u64, status: RunStatus) -> RunReport {
    RunReport {
        sync: sync.to_owned(),
        run: run.to_owned(),
        generation,
        status,
        mode: Mode::Incremental,
        files: FileCounts { listed: 3, read: 2, skipped: 1 },
        bytes_read: 10,
        source_rows: SourceRowCounts { read: 5, rejected: 1 },
        rows: RowCounts { read: 5, inserted: 5, ..RowCounts::default() },
        duration_ms: 12,
        error: None,
        started_at: Some(moment("2024-01-01T00:00:00Z")),
        ended_at: None,
    }
}
