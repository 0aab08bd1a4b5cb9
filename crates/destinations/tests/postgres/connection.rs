//! Connecting, TLS, logging in, rights, and what `check` says of them.

use tapline_core::testing::bench::{batch, error_code};
use tapline_core::{CheckStep, Op, Refresh, Secret, StreamName};
use tapline_destinations::postgres::SslMode;

use super::{as_role, bench, config, connect, server, session};

fn last(steps: &[CheckStep]) -> (&str, bool, Option<&str>, String) {
    let step = steps.last().expect("a check has steps");
    (&step.name, step.ok, step.code.as_deref(), format!("{:?} {:?}", step.message, step.hint))
}

#[tokio::test]
async fn a_check_names_its_steps() {
    let Some(url) = server("pg_check") else { return };
    let destination = connect(config(&url));
    let steps = destination.check().await;
    let names: Vec<_> = steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["connect", "tls", "login", "version", "rights"]);
    assert!(steps.iter().all(|step| step.ok), "{steps:?}");
    let identity = destination.identity();
    assert!(identity.starts_with("postgres://") && !identity.contains('@'), "{identity}");
}

#[tokio::test]
async fn a_wrong_password_is_said_and_not_shown() {
    let Some(url) = server("pg_wrong_password") else { return };
    let destination = connect(config(&as_role(&url, "postgres", "hunter2-hunter2")));
    let steps = destination.check().await;
    let (name, ok, code, text) = last(&steps);
    assert_eq!((name, ok, code), ("login", false, Some("DEST-002")));
    assert!(!text.contains("hunter2"), "{text}");
    let stream = StreamName::parse("public.t").unwrap();
    assert_eq!(error_code(destination.marker(&stream).await), "DEST-002");
}

#[tokio::test]
async fn a_missing_password_is_said() {
    let Some(url) = server("pg_no_password") else { return };
    let with_user = url.replace(&url[url.find("//").unwrap() + 2..url.rfind('@').unwrap()], "postgres");
    let steps = connect(config(&with_user)).check().await;
    let (name, _, code, text) = last(&steps);
    assert_eq!((name, code), ("login", Some("DEST-002")));
    assert!(text.contains("password"), "{text}");
}

#[tokio::test]
async fn a_missing_database_is_said_with_the_cure() {
    let Some(url) = server("pg_no_database") else { return };
    let slash = url.rfind('/').unwrap();
    let steps = connect(config(&format!("{}/no_such_database", &url[..slash]))).check().await;
    let (name, _, code, text) = last(&steps);
    assert_eq!((name, code), ("login", Some("DEST-002")));
    assert!(text.contains("CREATE DATABASE"), "{text}");
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_said() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let destination = connect(config(&format!("postgres://app:x@127.0.0.1:{port}/crm")));
    let steps = destination.check().await;
    let (name, ok, code, _) = last(&steps);
    assert_eq!((name, ok, code), ("connect", false, Some("DEST-001")));
    let stream = StreamName::parse("public.t").unwrap();
    assert_eq!(error_code(destination.marker(&stream).await), "DEST-001");
    let unknown = connect(config("postgres://app:x@no-such-host.invalid/crm")).check().await;
    assert_eq!((last(&unknown).0, last(&unknown).2), ("connect", Some("DEST-001")));
}

#[tokio::test]
async fn tls_by_the_meanings_of_libpq() {
    let Some(url) = server("t_tls") else { return };
    let shown = session(&url).await.query_one("SHOW ssl", &[]).await.unwrap();
    if shown.get::<_, &str>(0) != "on" {
        println!("skipped: 1 (the test server does not offer TLS)");
        return;
    }
    let with = |mode, root: Option<&str>| {
        let mut config = config(&url);
        config.sslmode = Some(mode);
        config.sslrootcert = root.map(Into::into);
        connect(config)
    };
    for mode in [SslMode::Prefer, SslMode::Require] {
        let steps = with(mode, None).check().await;
        assert!(steps[1].message.as_ref().unwrap().starts_with("encrypted"), "{steps:?}");
        assert!(steps.iter().all(|step| step.ok), "{steps:?}");
    }
    for mode in [SslMode::Disable, SslMode::Allow] {
        let steps = with(mode, None).check().await;
        assert!(steps[1].message.as_ref().unwrap().starts_with("not encrypted"), "{steps:?}");
        assert!(steps.iter().all(|step| step.ok), "{steps:?}");
    }
    // The server's certificate is signed by nobody that the system trusts.
    for mode in [SslMode::VerifyCa, SslMode::VerifyFull] {
        let steps = with(mode, None).check().await;
        let (name, _, code, text) = last(&steps);
        assert_eq!((name, code), ("tls", Some("DEST-001")));
        assert!(text.contains("sslrootcert"), "{text}");
    }
    let Ok(root) = std::env::var("TAPLINE_TEST_POSTGRES_ROOT") else {
        println!("skipped: 1 (TAPLINE_TEST_POSTGRES_ROOT names no certificate)");
        return;
    };
    // The test server's certificate is made out to localhost, and the URL names an address.
    for (mode, host, good) in [
        (SslMode::VerifyCa, "127.0.0.1", true),
        (SslMode::Require, "127.0.0.1", true),
        (SslMode::VerifyFull, "127.0.0.1", false),
        (SslMode::VerifyFull, "localhost", true),
    ] {
        let mut config = config(&url.replace("127.0.0.1", host));
        config.sslmode = Some(mode);
        config.sslrootcert = Some(root.clone().into());
        let steps = connect(config).check().await;
        assert_eq!(steps[1].ok, good, "{mode:?} {host}: {steps:?}");
    }
}

#[tokio::test]
async fn missing_rights_are_named_with_the_grant() {
    let Some(bench) = bench("t_rights").await else { return };
    let url = server("t_rights").unwrap();
    bench
        .execute(
            "DROP ROLE IF EXISTS t_rights_writer; CREATE ROLE t_rights_writer LOGIN PASSWORD 'writer'; \
             CREATE TABLE {t} (id bigint PRIMARY KEY)",
        )
        .await;
    let rows = || batch(vec![("id", std::sync::Arc::new(arrow::array::Int64Array::from(vec![1])) as _)]);
    let mut bench = bench;
    bench.destination = connect(config(&as_role(&url, "t_rights_writer", "writer")));
    let steps = bench.destination.check().await;
    let (name, _, code, text) = last(&steps);
    assert_eq!((name, code), ("rights", Some("DEST-003")));
    assert!(text.contains("GRANT USAGE, CREATE ON SCHEMA"), "{text}");
    // Each grant that is asked for leads to the next question, and in the end to the rows.
    let mut granted = 0;
    loop {
        let outcome = bench.deliver(granted + 1, Refresh::Incremental, &["id"], vec![(Op::Upsert, rows())]).await;
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
    assert_eq!(granted, 2, "one for the schema and one for the table");
    assert_eq!(bench.count().await, 1);
}

#[tokio::test]
async fn a_missing_schema_is_named_with_the_cure() {
    let Some(url) = server("pg_no_schema") else { return };
    let destination = connect(config(&url));
    let stream = StreamName::parse("no_such_schema.t").unwrap();
    assert_eq!(destination.marker(&stream).await.unwrap(), None);
    let refused = destination.stamp(&stream, &tapline_core::testing::bench::owner(), 1).await.unwrap_err();
    assert_eq!(refused.code().id, "DEST-004");
    assert_eq!(refused.hints(), ["CREATE SCHEMA \"no_such_schema\";"]);
}

#[tokio::test]
async fn the_marker_lives_in_the_work_schema() {
    let Some(url) = server("t_work") else { return };
    session(&url)
        .await
        .batch_execute("DROP SCHEMA IF EXISTS t_work_own CASCADE; CREATE SCHEMA t_work_own")
        .await
        .unwrap();
    let bench = super::bench_with("t_work", |config| config.work_schema = Some("t_work_own".into())).await.unwrap();
    let rows = batch(vec![("id", std::sync::Arc::new(arrow::array::Int64Array::from(vec![1])) as _)]);
    for generation in [1, 2] {
        bench.deliver(generation, Refresh::Incremental, &["id"], vec![(Op::Upsert, rows.clone())]).await.unwrap();
    }
    let tables = |schema: &str| {
        format!(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = '{schema}'::regnamespace ORDER BY 1"
        )
    };
    let expected = tapline_core::testing::bench::texts(&[&["_tapline_outcomes"], &["_tapline_receipts"]]);
    assert_eq!(bench.probe.rows(&tables("t_work_own")).await, expected);
    assert_eq!(bench.probe.rows(&tables("t_work")).await, tapline_core::testing::bench::texts(&[&["Customers"]]));
}

#[tokio::test]
async fn a_password_with_special_characters_logs_in() {
    let Some(url) = server("t_special") else { return };
    let client = session(&url).await;
    client
        .batch_execute("DROP ROLE IF EXISTS \"pg special\"; CREATE ROLE \"pg special\" LOGIN PASSWORD 'p@ss/: %'")
        .await
        .unwrap();
    let by_url = connect(config(&as_role(&url, "pg%20special", "p%40ss%2F%3A%20%25")));
    let stream = StreamName::parse("public.t").unwrap();
    by_url.marker(&stream).await.unwrap();
    let parsed = url::Url::parse(&url).unwrap();
    let by_parts = connect(tapline_destinations::postgres::Config {
        host: parsed.host_str().map(str::to_owned),
        port: parsed.port(),
        user: Some("pg special".into()),
        password: Some(Secret::from("p@ss/: %")),
        database: Some(parsed.path().trim_start_matches('/').to_owned()),
        ..Default::default()
    });
    by_parts.marker(&stream).await.unwrap();
}
