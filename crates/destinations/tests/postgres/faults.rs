//! Servers that go away, refuse, or crash: what is tried again, and what a run that is repeated finds.

use std::sync::Arc;

use arrow::array::*;
use tapline_core::testing::bench::{Bench, Run, batch, texts};
use tapline_core::{Error, Op, Refresh, Retry, StreamName};

use super::own_server::OwnServer;
use super::{as_role, bench, bench_at, config, connect, server, session};

const INCREMENTAL: Refresh = Refresh::Incremental;

fn two(ids: &[i64], values: &[&str]) -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef),
        ("v", Arc::new(StringArray::from(values.to_vec()))),
    ])
}

fn passes(error: &Error) -> bool {
    error.retry() != Retry::Never
}

/// What the server says of a statement in the middle of a publication, and whether the attempt is repeated.
#[tokio::test]
async fn errors_of_statements_pass_or_stay() {
    let Some(bench) = bench("t_fault_states").await else { return };
    let cases = [
        ("08006", "DEST-006", true),
        ("40001", "DEST-006", true),
        ("40P01", "DEST-006", true),
        ("53100", "DEST-006", true),
        ("53300", "DEST-006", true),
        ("57P01", "DEST-006", true),
        ("57P02", "DEST-006", true),
        ("57P03", "DEST-006", true),
        ("57014", "DEST-006", false),
        ("42501", "DEST-003", false),
        ("42804", "DEST-006", false),
        ("XX000", "DEST-006", false),
    ];
    bench.execute("CREATE TABLE {t} (id bigint PRIMARY KEY, v text)").await;
    for (generation, (state, code, passing)) in (1..).zip(cases) {
        bench
            .execute(&format!(
                "CREATE OR REPLACE FUNCTION t_fault_states.fail() RETURNS trigger LANGUAGE plpgsql AS \
                   $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$; \
                 DROP TRIGGER IF EXISTS fail ON {{t}}; CREATE TRIGGER fail BEFORE INSERT ON {{t}} FOR EACH STATEMENT EXECUTE FUNCTION t_fault_states.fail()"
            ))
            .await;
        let error = bench.deliver(generation, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await;
        let error = error.expect_err(state);
        assert_eq!((error.code().id, passes(&error)), (code, passing), "{state}: {error:?}");
        assert_eq!(bench.count().await, 0);
    }
}

/// A server that is absent, full or silent is asked again; one that refuses the login is not.
#[tokio::test]
async fn errors_of_logins_pass_or_stay() {
    let Some(url) = server("t_fault_logins") else { return };
    let client = session(&url).await;
    client
        .batch_execute(
            "DROP ROLE IF EXISTS t_fault_full; CREATE ROLE t_fault_full LOGIN PASSWORD 'full' CONNECTION LIMIT 0",
        )
        .await
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let absent = format!("postgres://app:x@127.0.0.1:{}/crm", listener.local_addr().unwrap().port());
    drop(listener);
    let slash = url.rfind('/').unwrap();
    let cases = [
        (absent, "DEST-001", true),
        (as_role(&url, "t_fault_full", "full"), "DEST-001", true),
        (as_role(&url, "postgres", "wrong"), "DEST-002", false),
        (as_role(&url, "nobody_of_this_name", "wrong"), "DEST-002", false),
        (format!("{}/no_such_database", &url[..slash]), "DEST-002", false),
    ];
    for (url, code, passing) in cases {
        let error = connect(config(&url)).marker(&StreamName::parse("public.t").unwrap()).await.unwrap_err();
        assert_eq!((error.code().id, passes(&error)), (code, passing), "{error:?}");
    }
    client.batch_execute("DROP ROLE t_fault_full").await.unwrap();
}

/// The backend of a run is ended while it loads, into a new table and into a staging table; the run begins again.
#[tokio::test]
async fn a_run_whose_session_is_cut_repeats_with_its_own_generation() {
    let Some(bench) = bench("t_fault_cut").await else { return };
    for generation in [1, 2] {
        let target = bench.target(generation, INCREMENTAL, &["id"], two(&[], &[]).schema());
        let mut run = bench.open(target.clone()).await.unwrap();
        run.write(Op::Upsert, two(&[9], &["lost"])).await.unwrap();
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE query LIKE 'COPY \"t_fault_cut\"%' AND pid <> pg_backend_pid()";
        assert_eq!(bench.probe.rows(cut).await, texts(&[&["t"]]));
        // The loss shows when so much was written that it must be sent, or at the end.
        let many: Vec<i64> = (10..20_000).collect();
        let error = loop {
            let staged = run.write(Op::Upsert, two(&many, &vec!["lost and never seen"; many.len()])).await;
            match staged {
                Ok(()) if run.staged.len() < 50 => {}
                Ok(()) => break run.publish().await.unwrap_err(),
                Err(error) => break error,
            }
        };
        assert!(passes(&error), "{error:?}");
        drop(run);
        let mut run = bench.open(target).await.unwrap();
        run.write(Op::Upsert, two(&[1], &["a"])).await.unwrap();
        run.publish().await.unwrap();
        assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"]]));
    }
}

async fn staged(bench: &Bench, generation: u64) -> Run {
    let mut target = bench.target(generation, INCREMENTAL, &["id"], two(&[], &[]).schema());
    target.retractable = true;
    let mut run = bench.open(target).await.unwrap();
    run.write(Op::Upsert, two(&[1, 2], &["changed", "b"])).await.unwrap();
    run
}

/// A crash empties unlogged tables. The attempt fails, can be repeated, and finds the old rows where they were.
#[tokio::test]
async fn a_crash_of_the_server_after_staging_costs_one_attempt() {
    if server("t_fault_crash").is_none() {
        return;
    }
    let Some(mut server) = OwnServer::start("t_fault_crash") else { return };
    let bench = bench_at(&server.url(), "t_fault_crash", |_| {}).await;
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    let mut run = staged(&bench, 2).await;
    server.crash();
    let error = run.publish().await.unwrap_err();
    assert!(passes(&error), "{error:?}");
    let error = bench.destination.stamp(&bench.stream, &tapline_core::testing::bench::owner(), 2).await.unwrap_err();
    assert_eq!((error.code().id, passes(&error)), ("DEST-001", true), "the server is down: {error:?}");
    run.writer.abort().await.unwrap();
    server.run();
    let look = session(&server.url()).await;
    let rows = look.query("SELECT id, v FROM t_fault_crash.\"Customers\"", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| (row.get(0), row.get(1))).collect::<Vec<(i64, &str)>>(), [(1, "a")]);
    staged(&bench, 2).await.publish().await.unwrap();
    let rows = look.query("SELECT id, v FROM t_fault_crash.\"Customers\" ORDER BY id", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get(1)).collect::<Vec<&str>>(), ["changed", "b"]);
    let left = "SELECT count(*) FROM pg_class WHERE relname LIKE '\\_tapline\\_stage%'";
    assert_eq!(look.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0, "the crashed attempt is swept");
}
