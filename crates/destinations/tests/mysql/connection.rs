//! Connecting, logging in, rights, and what `check` says of them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use mysql_async::prelude::Queryable;
use tapline_core::testing::bench::{batch, error_code, owner, texts};
use tapline_core::{CheckStep, Op, Refresh, StreamName};
use tapline_destinations::mysql::TlsMode;

use super::{as_user, bench, config, connect, server, session, with_database};

fn last(steps: &[CheckStep]) -> (&str, bool, Option<&str>, String) {
    let step = steps.last().expect("a check has steps");
    (&step.name, step.ok, step.code.as_deref(), format!("{:?} {:?}", step.message, step.hint))
}

fn one() -> RecordBatch {
    batch(vec![("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef)])
}

#[tokio::test]
async fn a_check_names_its_steps_and_leaves_nothing() {
    let Some(bench) = bench("t_check").await else { return };
    let steps = bench.destination.check().await;
    let names: Vec<_> = steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["connect", "tls", "login", "version", "rights"]);
    assert!(steps.iter().all(|step| step.ok), "{steps:?}");
    assert!(steps[3].message.as_ref().unwrap().starts_with("MariaDB "), "{steps:?}");
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 't_check'";
    assert_eq!(bench.probe.rows(tables).await, texts(&[]));
    let identity = bench.destination.identity();
    assert!(identity.starts_with("mysql://") && !identity.contains('@'), "{identity}");
}

#[tokio::test]
async fn a_wrong_password_is_said_and_not_shown() {
    let Some(url) = server("my_wrong_password") else { return };
    let destination = connect(config(&as_user(&url, "tapline", "hunter2-hunter2")));
    let steps = destination.check().await;
    let (name, ok, code, text) = last(&steps);
    assert_eq!((name, ok, code), ("login", false, Some("DEST-002")));
    assert!(!text.contains("hunter2"), "{text}");
    let stream = StreamName::parse("t").unwrap();
    assert_eq!(error_code(destination.marker(&stream).await), "DEST-002");
}

#[tokio::test]
async fn a_missing_database_is_said_with_the_cure() {
    let Some(url) = server("my_no_database") else { return };
    let steps = connect(config(&with_database(&url, "no_such_database"))).check().await;
    let (name, _, code, text) = last(&steps);
    assert_eq!((name, code), ("login", Some("DEST-002")));
    assert!(text.contains("CREATE DATABASE `no_such_database`"), "{text}");
    // Without one, streams name theirs.
    let destination = connect(config(&with_database(&url, "")));
    let refused = destination.marker(&StreamName::parse("t").unwrap()).await.unwrap_err();
    assert_eq!(refused.code().id, "DEST-004");
    let elsewhere = StreamName::parse("no_such_database.t").unwrap();
    assert_eq!(destination.marker(&elsewhere).await.unwrap(), None);
    let refused = destination.stamp(&elsewhere, &owner(), 1).await.unwrap_err();
    assert_eq!(
        (refused.code().id, refused.hints()),
        ("DEST-004", &["CREATE DATABASE `no_such_database`;".to_owned()][..])
    );
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_said() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let destination = connect(config(&format!("mysql://app:x@127.0.0.1:{port}/crm")));
    let steps = destination.check().await;
    let (name, ok, code, _) = last(&steps);
    assert_eq!((name, ok, code), ("connect", false, Some("DEST-001")));
    let error = destination.marker(&StreamName::parse("t").unwrap()).await.unwrap_err();
    assert_eq!(error.code().id, "DEST-001");
    assert!(error.retry() != tapline_core::Retry::Never, "{error:?}");
    let unknown = connect(config("mysql://app:x@no-such-host.invalid/crm")).check().await;
    assert_eq!((last(&unknown).0, last(&unknown).2), ("connect", Some("DEST-001")));
}

#[tokio::test]
async fn a_server_without_tls_is_used_only_where_that_is_allowed() {
    let Some(url) = server("my_tls") else { return };
    let offers: Option<(String, String)> =
        session(&url).await.query_first("SHOW VARIABLES LIKE 'have_ssl'").await.unwrap();
    if offers.is_none_or(|(_, offers)| offers == "YES") {
        println!("skipped: 1 (the test server offers TLS)");
        return;
    }
    for (mode, good) in [
        (TlsMode::Disabled, true),
        (TlsMode::Preferred, true),
        (TlsMode::Required, false),
        (TlsMode::VerifyCa, false),
        (TlsMode::VerifyIdentity, false),
    ] {
        let mut config = config(&url);
        config.tls = Some(mode);
        let steps = connect(config).check().await;
        assert_eq!(steps[1].ok, good, "{mode:?}: {steps:?}");
        if good {
            assert!(steps[1].message.as_ref().unwrap().starts_with("not encrypted"), "{steps:?}");
        } else {
            assert_eq!(last(&steps).2, Some("DEST-001"), "{steps:?}");
        }
    }
}

#[tokio::test]
async fn missing_rights_are_named_with_the_grant() {
    let Some(bench) = bench("t_rights").await else { return };
    let url = with_database(&server("t_rights").unwrap(), "t_rights");
    bench
        .execute(
            "CREATE OR REPLACE USER t_rights_writer@'127.0.0.1' IDENTIFIED BY 'writer'; \
             CREATE TABLE {t} (id bigint PRIMARY KEY); GRANT SELECT ON {t} TO t_rights_writer@'127.0.0.1'",
        )
        .await;
    let mut bench = bench;
    bench.destination = connect(config(&as_user(&url, "t_rights_writer", "writer")));
    let steps = bench.destination.check().await;
    let (name, _, code, text) = last(&steps);
    assert_eq!((name, code), ("rights", Some("DEST-003")));
    assert!(text.contains("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP"), "{text}");
    // Each grant that is asked for leads to the next question, and in the end to the rows.
    let mut granted = 0;
    loop {
        let outcome = bench.deliver(granted + 1, Refresh::Incremental, &["id"], vec![(Op::Upsert, one())]).await;
        let Err(error) = outcome else { break };
        assert_eq!(error.code().id, "DEST-003", "{error:?}");
        let grant = error
            .hints()
            .iter()
            .find(|hint| hint.starts_with("GRANT "))
            .unwrap_or_else(|| panic!("the grant is named: {error:?} {:?}", error.hints()));
        bench.execute(grant).await;
        granted += 1;
        assert!(granted < 5, "grants do not help");
    }
    assert_eq!(bench.count().await, 1);
    assert!(bench.destination.check().await.iter().all(|step| step.ok));
    bench.execute("DROP USER t_rights_writer@'127.0.0.1'").await;
}

/// The work database has every right, the table's own only those on the table.
#[tokio::test]
async fn a_table_that_may_not_be_written_to_is_refused_when_the_run_opens() {
    let Some(url) = server("t_table_rights") else { return };
    session(&url)
        .await
        .query_drop("DROP DATABASE IF EXISTS t_table_rights_own; CREATE DATABASE t_table_rights_own")
        .await
        .unwrap();
    let mut bench = bench("t_table_rights").await.unwrap();
    bench
        .execute(
            "CREATE OR REPLACE USER t_table_writer@'127.0.0.1' IDENTIFIED BY 'writer'; \
             GRANT ALL ON t_table_rights_own.* TO t_table_writer@'127.0.0.1'; \
             CREATE TABLE {t} (id bigint PRIMARY KEY); GRANT SELECT, INSERT, UPDATE ON {t} TO t_table_writer@'127.0.0.1'",
        )
        .await;
    let mut settings = config(&as_user(&with_database(&url, "t_table_rights"), "t_table_writer", "writer"));
    settings.work_schema = Some("t_table_rights_own".to_owned());
    bench.destination = connect(settings);
    let refused = bench.open(bench.target(1, Refresh::Incremental, &["id"], one().schema())).await.err().unwrap();
    assert_eq!(refused.code().id, "DEST-003");
    assert!(refused.message().contains("DELETE"), "{}", refused.message());
    bench.execute(refused.hints().first().unwrap()).await;
    bench.deliver(2, Refresh::Incremental, &["id"], vec![(Op::Upsert, one())]).await.unwrap();
    // Marker and staging tables are in the work database alone.
    let tables = |database: &str| {
        format!("SELECT table_name FROM information_schema.tables WHERE table_schema = '{database}' ORDER BY 1")
    };
    let own = texts(&[&["_tapline_outcomes"], &["_tapline_receipts"]]);
    assert_eq!(bench.probe.rows(&tables("t_table_rights_own")).await, own);
    assert_eq!(bench.probe.rows(&tables("t_table_rights")).await, texts(&[&["Customers"]]));
    bench.execute("DROP USER t_table_writer@'127.0.0.1'").await;
}

#[tokio::test]
async fn a_password_with_special_characters_logs_in() {
    let Some(url) = server("t_special") else { return };
    session(&url)
        .await
        .query_drop("CREATE OR REPLACE USER \"my special\"@'127.0.0.1' IDENTIFIED BY 'p@ss/: %'")
        .await
        .unwrap();
    let destination = connect(config(&with_database(&as_user(&url, "my%20special", "p%40ss%2F%3A%20%25"), "")));
    assert_eq!(destination.streams().await.unwrap(), []);
    session(&url).await.query_drop("DROP USER \"my special\"@'127.0.0.1'").await.unwrap();
}
