//! What every state store must do for a server, said over `dyn ServerStore`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde_json::json;
use tapline_core::schedule::SyncState;
use tapline_core::server_state::{
    Actor, ActorKind, AlertCondition, AlertDelivery, AuditEntry, Change, Definition, Job, LastCheck, NewDefinition,
    Noun, PageRequest, RejectFilter, Role, RunCause, RunFacts, RunFilter, Secrets, SignIn, StoredEvent, Token, User,
};
use tapline_core::{CheckStep, Commit, Reject, RowCounts, RunReport, RunStatus, Secret, ServerStore, codes};

use super::{NOW, Place, report};

/// Runs the server's half of the suite.
pub(super) async fn run(place: &dyn Place) {
    definitions_keep_their_secrets(place).await;
    changes_compare_and_are_made_together(place).await;
    a_renamed_definition_keeps_its_id_and_versions(place).await;
    of_changes_at_once_each_counts(place).await;
    schedules_jobs_and_checks(place).await;
    one_server_leads(place).await;
    runs_come_in_pages(place).await;
    days_are_summed_up(place).await;
    events_are_read_on_from_where_somebody_was(place).await;
    rejects_come_in_pages(place).await;
    of_two_first_users_one_is_made(place).await;
    users_are_unique_and_governed(place).await;
    sign_ins_end(place).await;
    tokens_are_kept(place).await;
    the_audit_log_is_read_backwards(place).await;
    alerts_are_noted_once(place).await;
}

fn new(noun: Noun, name: &str) -> NewDefinition {
    let secrets = Secrets::from([("/auth/secret".to_owned(), Secret::from("hunter2"))]);
    let settings = json!({ "type": "s3", "auth": { "secret": null } });
    NewDefinition { noun, name: name.to_owned(), settings, secrets, draft: true }
}

async fn create(store: &Arc<dyn ServerStore>, noun: Noun, name: &str) -> Definition {
    store.change(vec![Change::Create(new(noun, name))], "ada@example.com").await.unwrap().remove(0)
}

async fn definitions_keep_their_secrets(place: &dyn Place) {
    let (one, two) = (place.server().await, place.server().await);
    let made = create(&one, Noun::Source, "kept").await;
    assert_eq!((made.revision, made.updated_by.as_str(), made.draft), (1, "ada@example.com", true));
    let read = two.definition(Noun::Source, "kept").await.unwrap().unwrap();
    assert_eq!(read, made);
    assert_eq!(read.secrets["/auth/secret"].expose(), "hunter2");
    assert_eq!(two.definition(Noun::Model, "kept").await.unwrap(), None);
    let error = one.change(vec![Change::Create(new(Noun::Source, "kept"))], "x").await.unwrap_err();
    assert_eq!(error.code(), codes::API_002);
}

async fn changes_compare_and_are_made_together(place: &dyn Place) {
    let store = place.server().await;
    create(&store, Noun::Model, "compared").await;
    let update = |revision| Change::Update {
        name: "compared".to_owned(),
        revision: Some(revision),
        to: NewDefinition { settings: json!({ "sql": revision }), ..new(Noun::Model, "compared") },
    };
    let changed = store.change(vec![update(1)], "bob@example.com").await.unwrap().remove(0);
    assert_eq!((changed.revision, changed.updated_by.as_str()), (2, "bob@example.com"));
    let stale = vec![Change::Create(new(Noun::Model, "beside")), update(1)];
    assert_eq!(store.change(stale, "x").await.unwrap_err().code(), codes::API_003);
    assert_eq!(store.definition(Noun::Model, "beside").await.unwrap(), None, "all or nothing");
    let delete = |revision| Change::Delete { noun: Noun::Model, name: "compared".to_owned(), revision };
    assert_eq!(store.change(vec![delete(Some(1))], "x").await.unwrap_err().code(), codes::API_003);
    assert!(store.change(vec![delete(Some(2))], "x").await.unwrap().is_empty());
    assert_eq!(store.change(vec![delete(None)], "x").await.unwrap_err().code(), codes::API_001);
    // What one change of several makes, the next finds.
    let both = vec![Change::Create(new(Noun::Model, "compared")), update(1)];
    assert_eq!(store.change(both, "x").await.unwrap().len(), 2);
    assert_eq!(store.definition(Noun::Model, "compared").await.unwrap().unwrap().revision, 2);
}

async fn a_renamed_definition_keeps_its_id_and_versions(place: &dyn Place) {
    let store = place.server().await;
    let made = create(&store, Noun::Model, "before").await;
    create(&store, Noun::Model, "occupied").await;
    let rename = |to: &str, sql: &str| Change::Update {
        name: "before".to_owned(),
        revision: None,
        to: NewDefinition { settings: json!({ "sql": sql }), ..new(Noun::Model, to) },
    };
    assert_eq!(store.change(vec![rename("occupied", "1")], "x").await.unwrap_err().code(), codes::API_002);
    let renamed = store.change(vec![rename("after", "1")], "x").await.unwrap().remove(0);
    assert_eq!((renamed.id.as_str(), renamed.revision), (made.id.as_str(), 2));
    assert_eq!(store.definition(Noun::Model, "before").await.unwrap(), None);
    let same = Change::Update {
        name: "after".to_owned(),
        revision: None,
        to: NewDefinition { settings: json!({ "sql": "1" }), draft: false, ..new(Noun::Model, "after") },
    };
    store.change(vec![same], "x").await.unwrap();
    let versions = store.versions(&made.id).await.unwrap();
    assert_eq!(versions.iter().map(|version| version.revision).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(versions[0].settings, json!({ "sql": "1" }));
}

async fn of_changes_at_once_each_counts(place: &dyn Place) {
    let store = place.server().await;
    create(&store, Noun::Destination, "busy").await;
    let change = |store: Arc<dyn ServerStore>| async move {
        let to = new(Noun::Destination, "busy");
        store.change(vec![Change::Update { name: "busy".to_owned(), revision: None, to }], "x").await.unwrap();
    };
    let tasks: Vec<_> = (0..6).map(|_| tokio::spawn(change(Arc::clone(&store)))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.definition(Noun::Destination, "busy").await.unwrap().unwrap().revision, 7);
}

async fn schedules_jobs_and_checks(place: &dyn Place) {
    let store = place.server().await;
    let now = Utc::now();
    let state = SyncState { paused: true, ..SyncState::new(now) };
    store.save_schedule("scheduled", &SyncState::new(now)).await.unwrap();
    store.save_schedule("scheduled", &state).await.unwrap();
    store.save_schedule("gone", &state).await.unwrap();
    store.forget_schedule("gone").await.unwrap();
    assert_eq!(store.schedules().await.unwrap(), BTreeMap::from([("scheduled".to_owned(), state)]));

    let facts = RunFacts { cause: RunCause::Request, by: Some("ada@example.com".to_owned()) };
    let job = |run: &str, age: i64| Job {
        run: run.to_owned(),
        sync: "scheduled".to_owned(),
        options: json!({ "full_refresh": true }),
        facts: facts.clone(),
        asked_at: now - TimeDelta::seconds(age),
    };
    for job in [job("a", 1), job("b", 2), job("c", 3)] {
        store.put_job(&job).await.unwrap();
    }
    store.drop_job("c").await.unwrap();
    store.drop_job("c").await.unwrap();
    assert_eq!(store.jobs().await.unwrap(), [job("b", 2), job("a", 1)]);

    let check = LastCheck { ok: true, at: now, steps: vec![CheckStep::passed("list", "3 files")] };
    store.put_last_check(Noun::Source, "lake", &check).await.unwrap();
    store.put_last_check(Noun::Destination, "lake", &LastCheck { ok: false, ..check.clone() }).await.unwrap();
    store.forget_last_check(Noun::Destination, "lake").await.unwrap();
    assert_eq!(store.last_checks(Noun::Source).await.unwrap(), BTreeMap::from([("lake".to_owned(), check)]));
    assert!(store.last_checks(Noun::Destination).await.unwrap().is_empty());
}

async fn one_server_leads(place: &dyn Place) {
    let (one, two) = (place.server().await, place.server().await);
    let lease = one.lead(NOW).await.unwrap();
    let error = two.lead(NOW).await.unwrap_err();
    assert_eq!(error.code(), codes::SYNC_003);
    assert!(error.full_message().contains(&std::process::id().to_string()), "{}", error.full_message());
    one.release(&lease).await.unwrap();
    let lease = two.lead(Duration::from_secs(10)).await.unwrap();
    two.release(&lease).await.unwrap();
}

async fn runs_come_in_pages(place: &dyn Place) {
    let store = place.server().await;
    let lease = store.lease("paged", NOW).await.unwrap();
    for number in 0..5 {
        let status = if number % 2 == 0 { RunStatus::Succeeded } else { RunStatus::Failed };
        let report = report("paged", &format!("paged-{number}"), lease.generation, status);
        store.record_run(&report).await.unwrap();
    }
    store.release(&lease).await.unwrap();
    let facts = RunFacts { cause: RunCause::Retry, by: None };
    store.put_run_facts("paged-4", &facts).await.unwrap();
    let filter = RunFilter { sync: Some("paged".to_owned()), ..RunFilter::default() };
    let mut seen = Vec::new();
    let mut page = PageRequest { after: None, limit: 2 };
    loop {
        let read = store.run_page(&filter, &page).await.unwrap();
        seen.extend(read.items.into_iter().map(|record| (record.report.run, record.facts)));
        page.after = read.next;
        if page.after.is_none() {
            break;
        }
    }
    let names: Vec<&str> = seen.iter().map(|(run, _)| run.as_str()).collect();
    assert_eq!(names, ["paged-4", "paged-3", "paged-2", "paged-1", "paged-0"]);
    assert_eq!((&seen[0].1, &seen[1].1), (&Some(facts.clone()), &None));
    let count = async |filter: RunFilter| {
        store.run_page(&filter, &PageRequest { after: None, limit: 50 }).await.unwrap().items.len()
    };
    let failed = vec![RunStatus::Failed, RunStatus::Stopped];
    assert_eq!(count(RunFilter { statuses: failed, ..filter.clone() }).await, 2);
    assert_eq!(count(RunFilter { search: Some("AGED-3".to_owned()), ..RunFilter::default() }).await, 1);
    assert_eq!(count(RunFilter { search: Some("%_%".to_owned()), ..RunFilter::default() }).await, 0);
    assert_eq!(store.run_record("paged-4").await.unwrap().unwrap().facts, Some(facts));
    assert_eq!(store.run_record("none").await.unwrap(), None);
    let nonsense = PageRequest { after: Some("nonsense".to_owned()), limit: 1 };
    assert_eq!(store.run_page(&filter, &nonsense).await.unwrap_err().code(), codes::API_006);
}

async fn days_are_summed_up(place: &dyn Place) {
    let store = place.server().await;
    let lease = store.lease("summed", NOW).await.unwrap();
    let day = "2031-01-05T23:59:59Z";
    for (run, status, started_at) in [
        ("sum-1", RunStatus::Succeeded, day),
        ("sum-2", RunStatus::Stopped, day),
        ("sum-3", RunStatus::Failed, "2031-01-06T00:00:00Z"),
    ] {
        let rows = RowCounts { read: 10, inserted: 4, updated: 3, rejected: 3, deleted: 2, ..RowCounts::default() };
        let started_at = Some(started_at.parse().unwrap());
        // As runs are recorded: once when they begin, once when they end.
        let begun = RunReport { started_at, ..report("summed", run, lease.generation, RunStatus::Running) };
        store.record_run(&begun).await.unwrap();
        store.record_run(&RunReport { status, rows, ..begun }).await.unwrap();
    }
    store.release(&lease).await.unwrap();
    let days = store.run_days("2031-01-05".parse().unwrap()).await.unwrap();
    let sums: Vec<_> = days
        .iter()
        .map(|day| (day.day.to_string(), day.runs, day.failed, day.inserted, day.updated, day.deleted, day.rejected))
        .collect();
    assert_eq!(sums, [("2031-01-05".to_owned(), 2, 1, 8, 6, 4, 6), ("2031-01-06".to_owned(), 1, 1, 4, 3, 2, 3)]);
    assert_eq!(store.run_days("2031-01-06".parse().unwrap()).await.unwrap().len(), 1);
}

async fn events_are_read_on_from_where_somebody_was(place: &dyn Place) {
    let store = place.server().await;
    let event = |id| StoredEvent { id, at: Utc::now(), event: json!({ "event": "note", "message": id }) };
    let events: Vec<_> = (1..=5).map(event).collect();
    store.append_events("eventful", &events[..3]).await.unwrap();
    store.append_events("eventful", &events[2..]).await.unwrap();
    store.append_events("eventful", &[]).await.unwrap();
    assert_eq!(store.events("eventful", 0, 100).await.unwrap(), events);
    assert_eq!(store.events("eventful", 3, 1).await.unwrap(), events[3..4]);
    assert!(store.events("another", 0, 100).await.unwrap().is_empty());
    // Of very many the last are kept.
    store.append_events("eventful", &[event(10_003)]).await.unwrap();
    let kept: Vec<u64> = store.events("eventful", 0, 100).await.unwrap().iter().map(|event| event.id).collect();
    assert_eq!(kept, [4, 5, 10_003]);
    let old = StoredEvent { at: Utc::now() - TimeDelta::days(31), ..event(1) };
    store.append_events("old", &[old]).await.unwrap();
    store.tidy().await.unwrap();
    assert!(store.events("old", 0, 100).await.unwrap().is_empty());
    assert_eq!(store.events("eventful", 0, 100).await.unwrap().len(), 3);
}

async fn rejects_come_in_pages(place: &dyn Place) {
    let store = place.server().await;
    let lease = store.lease("refused", NOW).await.unwrap();
    let reject = |row: usize| Reject {
        encoded_key: row.to_be_bytes().to_vec(),
        key: json!({ "id": format!("customer {row}") }),
        reason: format!("refused for reason {}", row % 3),
        code: if row.is_multiple_of(2) { "ROW-001" } else { "ROW-002" }.to_owned(),
        payload: (row < 100).then(|| json!({ "name": row })),
        attempts: 1,
        first_at: Utc::now(),
        last_at: Utc::now(),
    };
    let mut revision = 0;
    // Few rows and many are kept in different ways.
    for rows in [2_500, 12_000] {
        let rejects: Vec<Reject> = (0..rows).map(reject).collect();
        let commit = Commit { rejects: rejects.clone(), ..Commit::default() };
        revision = store.commit(&lease, revision, commit).await.unwrap().revision;
        assert_eq!(store.open_rejects().await.unwrap()["refused"], rows as u64);
        let all = RejectFilter::default();
        let mut page = PageRequest { after: None, limit: 700 };
        let mut seen = Vec::new();
        loop {
            let read = store.reject_page("refused", &all, &page).await.unwrap();
            seen.extend(read.items);
            page.after = read.next;
            if page.after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), rows);
        assert!(seen.iter().zip(&rejects).all(|(seen, wrote)| seen.key == wrote.key && seen.payload == wrote.payload));
        let found = async |filter: RejectFilter| {
            let page = PageRequest { after: None, limit: 100_000 };
            store.reject_page("refused", &filter, &page).await.unwrap().items.len()
        };
        let code = Some("ROW-001".to_owned());
        assert_eq!(found(RejectFilter { code: code.clone(), ..all.clone() }).await, rows / 2);
        let search = Some("REASON 1".to_owned());
        assert_eq!(
            found(RejectFilter { search, code, ..all.clone() }).await,
            (0..rows).filter(|row| row % 6 == 4).count()
        );
        let search = Some("Customer 1999\"".to_owned());
        assert_eq!(found(RejectFilter { search: search.clone(), ..all.clone() }).await, 0);
        assert_eq!(found(RejectFilter { search, search_keys: true, ..all.clone() }).await, 1);
    }
    store.commit(&lease, revision, Commit::default()).await.unwrap();
    assert!(!store.open_rejects().await.unwrap().contains_key("refused"));
    store.release(&lease).await.unwrap();
}

fn user(email: &str, role: Role) -> User {
    User {
        id: format!("id of {email}"),
        email: email.to_owned(),
        name: "Ada".to_owned(),
        role,
        password_hash: "$argon2id$".to_owned(),
        disabled: false,
        created_at: Utc::now(),
    }
}

async fn users_are_unique_and_governed(place: &dyn Place) {
    let store = place.server().await;
    let (ada, bob) = (user("ada@example.com", Role::Admin), user("bob@example.com", Role::Viewer));
    assert_eq!(store.create_user(&bob, true).await.unwrap_err().code(), codes::API_002);
    store.create_user(&ada, false).await.unwrap();
    let first = store.users().await.unwrap().pop().unwrap();
    store.update_user(&User { role: Role::Viewer, ..first.clone() }).await.unwrap();
    store.create_user(&bob, false).await.unwrap();
    let twin = User { id: "another".to_owned(), ..bob.clone() };
    assert_eq!(store.create_user(&twin, false).await.unwrap_err().code(), codes::API_002);
    assert_eq!(
        store.update_user(&User { email: ada.email.clone(), ..bob.clone() }).await.unwrap_err().code(),
        codes::API_002
    );
    assert_eq!(store.update_user(&twin).await.unwrap_err().code(), codes::API_001);
    for last in [User { role: Role::Editor, ..ada.clone() }, User { disabled: true, ..ada.clone() }] {
        assert_eq!(store.update_user(&last).await.unwrap_err().code(), codes::API_004);
    }
    assert_eq!(store.delete_user(&ada.id).await.unwrap_err().code(), codes::API_004);
    let bob = User { role: Role::Admin, ..bob };
    store.update_user(&bob).await.unwrap();
    store.delete_user(&first.id).await.unwrap();
    assert_eq!(store.users().await.unwrap(), [ada.clone(), bob.clone()]);
    store.delete_user(&ada.id).await.unwrap();
    assert_eq!(store.user(&ada.id).await.unwrap(), None);
    assert_eq!(store.user(&bob.id).await.unwrap(), Some(bob));
}

async fn of_two_first_users_one_is_made(place: &dyn Place) {
    let store = place.server().await;
    let create = |email: &'static str, store: Arc<dyn ServerStore>| async move {
        store.create_user(&user(email, Role::Admin), true).await
    };
    let one = tokio::spawn(create("one@example.com", Arc::clone(&store)));
    let two = tokio::spawn(create("two@example.com", Arc::clone(&store)));
    let made = [one.await.unwrap(), two.await.unwrap()];
    assert_eq!(made.iter().filter(|result| result.is_ok()).count(), 1, "{made:?}");
    assert_eq!(store.users().await.unwrap().len(), 1);
}

async fn sign_ins_end(place: &dyn Place) {
    let store = place.server().await;
    let sign_in = |id: &str, user: &str, hours: i64| SignIn {
        id: id.to_owned(),
        hash: "hash".to_owned(),
        user: user.to_owned(),
        csrf: "csrf".to_owned(),
        created_at: Utc::now(),
        expires_at: Utc::now() + TimeDelta::hours(hours),
    };
    for sign_in in [sign_in("a", "ada", 1), sign_in("b", "ada", 1), sign_in("c", "bob", 1), sign_in("d", "bob", -1)] {
        store.put_sign_in(&sign_in).await.unwrap();
    }
    let there = async |id: &str| store.sign_in(id).await.unwrap().is_some();
    assert!(there("d").await);
    store.tidy().await.unwrap();
    assert!(!there("d").await && there("c").await);
    store.drop_sign_ins("ada", Some("b")).await.unwrap();
    assert!(!there("a").await && there("b").await && there("c").await);
    store.drop_sign_in("b").await.unwrap();
    assert!(!there("b").await);
}

async fn tokens_are_kept(place: &dyn Place) {
    let store = place.server().await;
    let now = Utc::now();
    let token = Token {
        id: "t1".to_owned(),
        name: "dagster".to_owned(),
        role: Role::Editor,
        hash: "hash".to_owned(),
        created_at: now,
        created_by: "ada@example.com".to_owned(),
        expires_at: Some(now + TimeDelta::days(1)),
        last_used_at: None,
    };
    store.create_token(&token).await.unwrap();
    store.touch_token("t1", now).await.unwrap();
    store.touch_token("t2", now).await.unwrap();
    assert_eq!(store.tokens().await.unwrap(), [Token { last_used_at: Some(now), ..token }]);
    store.delete_token("t1").await.unwrap();
    assert_eq!(store.token("t1").await.unwrap(), None);
    assert_eq!(store.delete_token("t1").await.unwrap_err().code(), codes::API_001);
}

async fn the_audit_log_is_read_backwards(place: &dyn Place) {
    let store = place.server().await;
    let entry = |number: u32, action: &str| AuditEntry {
        id: 0,
        at: Utc::now(),
        actor: Actor { kind: ActorKind::User, name: format!("user{}@example.com", number % 2) },
        action: action.to_owned(),
        target: Some(format!("target {number}")),
        address: Some("192.0.2.1".to_owned()),
        details: json!({ "number": number }),
    };
    for number in 0..5 {
        store.append_audit(&entry(number, "sources.update")).await.unwrap();
    }
    let first = store.audit(None, &PageRequest { after: None, limit: 3 }).await.unwrap();
    let numbers =
        |entries: &[AuditEntry]| entries.iter().map(|entry| entry.details["number"].clone()).collect::<Vec<_>>();
    assert_eq!(numbers(&first.items), [4, 3, 2]);
    let rest = store.audit(None, &PageRequest { after: first.next, limit: 3 }).await.unwrap();
    assert_eq!((numbers(&rest.items), rest.next), (vec![json!(1), json!(0)], None));
    let page = PageRequest { after: None, limit: 10 };
    assert_eq!(numbers(&store.audit(Some("USER1"), &page).await.unwrap().items), [3, 1]);
    assert!(store.audit(Some("nothing"), &page).await.unwrap().items.is_empty());
    store.append_audit(&AuditEntry { at: Utc::now() - TimeDelta::days(401), ..entry(9, "old") }).await.unwrap();
    store.tidy().await.unwrap();
    assert_eq!(store.audit(None, &page).await.unwrap().items.len(), 5);
}

async fn alerts_are_noted_once(place: &dyn Place) {
    let store = place.server().await;
    let condition = |condition: &str| AlertCondition { condition: condition.to_owned(), since: Utc::now(), told: true };
    let delivery = |id: &str| AlertDelivery {
        id: id.to_owned(),
        alert: "a".to_owned(),
        message: json!({ "sync": "s" }),
        attempts: 0,
        next_at: Utc::now(),
    };
    let (failed, healthy) = (condition("failed"), condition("healthy"));
    let (one, two) = (delivery("1"), delivery("2"));
    assert!(store.put_alert_condition("a", "s", None, &failed, Some(&one)).await.unwrap());
    assert!(!store.put_alert_condition("a", "s", None, &failed, Some(&two)).await.unwrap());
    assert_eq!(store.alert_condition("a", "s").await.unwrap(), Some(failed.clone()));
    assert_eq!(store.alert_condition("b", "s").await.unwrap(), None);
    assert_eq!(store.alert_deliveries().await.unwrap(), std::slice::from_ref(&one));
    assert!(store.put_alert_condition("a", "s", Some(&failed), &healthy, Some(&two)).await.unwrap());
    let again = AlertDelivery { attempts: 1, next_at: Utc::now() + TimeDelta::minutes(1), ..one };
    store.put_alert_delivery(&again).await.unwrap();
    assert_eq!(store.alert_deliveries().await.unwrap(), [two, again]);
    store.drop_alert_delivery("1").await.unwrap();
    store.drop_alert_delivery("1").await.unwrap();
    assert_eq!(store.alert_deliveries().await.unwrap().len(), 1);
}
