//! What goes wrong outside: each failure has its exit code, its stable code and a hint, and leaves nothing half-written.
//! Not here: mistakes in the project file (`project_file`), guards (`guards`).

use tapline_endpoint::{Bucket, Policy, User};

use crate::harness::{Delivery, Target, World, on_both, with_postgres};

on_both!(failures_of_the_source, failures_of_the_sql);

const GOOD: &str = "id,name\n1,Zephyrine\n2,Ysolde\n";
/// May do everything.
const READER: &str = "AKIAREADER0000000000";
/// May only list.
const LISTER: &str = "AKIALISTER0000000000";
/// May only get.
const GETTER: &str = "AKIAGETTER0000000000";
const SECRET: &str = "a-secret-of-forty-characters-0123456789ab";

/// One thing that is wrong.
struct Wrong {
    /// What is replaced in the settings of the good source, and by what.
    settings: (&'static str, &'static str),
    sql: &'static str,
    exit: i32,
    code: &'static str,
    /// What the error or its hint names.
    names: &'static str,
}

const SELECT: &str = "SELECT * FROM 's3://lake/customers.csv'";
const FINE: (&str, &str) = ("", "");

/// Asserts that a first run fails and leaves no table, and that after a good run a failing one leaves the table as it
/// was.
fn fails(target: &Target, number: usize, wrong: &Wrong) {
    println!("{number}: {} {}", wrong.code, wrong.sql);
    let world = world();
    let bad = |world: &World, table: &str| {
        let source = world.source().replace(wrong.settings.0, wrong.settings.1);
        world.deliver_from(&source, target, Delivery { sql: wrong.sql, table, ..Delivery::default() });
    };
    let table = format!("delivered_{number}");
    bad(&world, "never");
    let outcome = world.tapline(&["sync", "rows"]).fails(wrong.exit, wrong.code).tells(&[wrong.names]);
    for secret in [SECRET, "Zephyrine", "Ysolde"] {
        assert!(!outcome.stderr.contains(secret), "{secret}: {outcome}");
    }
    assert!(!target.tables().contains(&"never".to_owned()), "{outcome}");

    world.deliver(target, Delivery { sql: SELECT, table: &table, ..Delivery::default() });
    world.sync().ended(0, "succeeded");
    let before = target.tables();
    bad(&world, &table);
    world.tapline(&["sync", "rows", "--format", "json"]).fails_as_json(wrong.exit, wrong.code);
    assert_eq!(target.tables(), before);
    assert_eq!(target.value(&format!("SELECT count(*) FROM {table}")), "2");

    // The way back.
    world.deliver(target, Delivery { sql: SELECT, table: &table, ..Delivery::default() });
    world.put("customers.csv", "id,name\n1,Zéphyrine\n2,Ysolde\n");
    world.sync().ended(0, "succeeded").counted(&[("read", 2), ("unchanged", 1), ("updated", 1)]);
}

fn world() -> World {
    let lake = "arn:aws:s3:::lake";
    let may_list = Policy::no_access().allow(&["s3:ListBucket"], lake);
    let may_get = Policy::no_access().allow(&["s3:GetObject"], "arn:aws:s3:::lake/*");
    let world = World::with(|endpoint| {
        let far = Bucket::new("far").region("eu-west-1");
        let lister = User::new(LISTER, SECRET).name("lister").policy(may_list);
        let getter = User::new(GETTER, SECRET).name("getter").policy(may_get);
        endpoint.bucket(far).user(User::new(READER, SECRET).name("reader")).user(lister).user(getter)
    });
    world.put("customers.csv", GOOD);
    world.put("fake.parquet", "id,name\n1,one\n");
    world.put("half.parquet", "PAR1 and so on PAR1");
    world.put("empty.parquet", "");
    world.endpoint.put("far", "customers.csv", GOOD).unwrap();
    world
}

fn failures_of_the_source(target: &Target) {
    let all = [
        (("bucket: lake", "bucket: lagoon"), "SELECT * FROM 's3://lagoon/customers.csv'", "S3-006", "lagoon"),
        // The hint names the region that the bucket is in.
        (("bucket: lake", "bucket: far"), "SELECT * FROM 's3://far/customers.csv'", "S3-003", "eu-west-1"),
        ((SECRET, "a-secret-of-forty-characters-0123456789XX"), SELECT, "S3-002", "secret"),
        ((READER, "AKIANOBODY0000000000"), SELECT, "S3-002", "access key id"),
        // The hint names the missing action.
        ((READER, GETTER), "SELECT * FROM 's3://lake/*.csv'", "S3-005", "s3:ListBucket"),
        ((READER, LISTER), SELECT, "S3-004", "s3:GetObject"),
        (FINE, "SELECT * FROM 's3://lake/costumers.csv'", "S3-007", "costumers.csv"),
        (FINE, "SELECT * FROM 's3://lake/nothing/here/'", "S3-007", "nothing/here"),
        (FINE, "SELECT * FROM 's3://lake/*.tsv'", "S3-007", "*.tsv"),
        (FINE, "SELECT * FROM 's3://lake/fake.parquet'", "FILE-001", "fake.parquet"),
        (FINE, "SELECT * FROM 's3://lake/half.parquet'", "FILE-001", "half.parquet"),
        (FINE, "SELECT * FROM 's3://lake/empty.parquet'", "FILE-001", "empty.parquet"),
        (FINE, "SELECT * FROM 's3://far/customers.csv'", "S3-009", "far"),
        (("type: s3,", "type: s3, path: crm,"), SELECT, "S3-009", "crm"),
        (("type: s3,", "type: s3, file_type: parquet,"), SELECT, "S3-011", "any"),
        // Nobody listens there.
        (("http://127.0.0.1", "http://127.0.0.2"), SELECT, "S3-001", "127.0.0.2"),
    ];
    for (number, (settings, sql, code, names)) in all.into_iter().enumerate() {
        fails(target, number, &Wrong { settings, sql, exit: 1, code, names });
    }
}

fn failures_of_the_sql(target: &Target) {
    // Bad SQL in the project is bad configuration; SQL that fails on a value is a failed run.
    let all = [
        ("SELECT id, nmae FROM 's3://lake/customers.csv'", 2, "SQL-002", "nmae"),
        ("SELEC id FROM 's3://lake/customers.csv'", 2, "SQL-001", "^"),
        ("SELECT id FROM 's3://lake/customers.csv' WHERE", 2, "SQL-001", "^"),
        ("SELECT frobnicate(id) AS id FROM 's3://lake/customers.csv'", 2, "SQL-004", "frobnicate"),
        ("SELECT * FROM customers", 2, "SQL-003", "customers"),
        ("DELETE FROM 's3://lake/customers.csv'", 2, "SQL-010", "SELECT"),
        ("SELECT 1 AS id; SELECT 2 AS id", 2, "SQL-010", "one"),
        ("COPY (SELECT 1 AS id) TO '/tmp/x.csv'", 2, "SQL-010", "SELECT"),
        ("SELECT CAST(name AS BIGINT) AS id FROM 's3://lake/customers.csv'", 1, "SQL-011", ""),
    ];
    for (number, (sql, exit, code, names)) in all.into_iter().enumerate() {
        fails(target, number, &Wrong { settings: FINE, sql, exit, code, names });
    }
}

#[test]
fn failures_of_postgres() {
    with_postgres(|target| {
        let Target::Postgres(database) = target else { unreachable!("with_postgres") };
        let good = database.url();
        let reader = format!("e2e_reader_{}", std::process::id());
        database.execute(&format!("CREATE ROLE {reader} LOGIN PASSWORD 'e2e-reader'"));
        let password = good.split(['@', ':']).nth(2).unwrap().to_owned();
        let deliver = |world: &World, url: &str, stream: &str| {
            world.deliver(target, Delivery::default());
            let file = world.folder().join("tapline.yaml");
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(
                &file,
                text.replace(&good, url).replace("stream: public.customers", &format!("stream: {stream}")),
            )
            .unwrap();
        };
        let absent = good.rsplit_once('/').unwrap().0.to_owned() + "/no_such_database";
        let closed = "postgres://app:pw@127.0.0.1:1/crm";
        for (url, stream, code, names) in [
            (good.replacen(&password, "not-the-password", 1), "public.customers", "DEST-002", "password"),
            (database.url_as("nobody_here", "pw"), "public.customers", "DEST-002", "nobody_here"),
            (absent, "public.customers", "DEST-002", "no_such_database"),
            (closed.to_owned(), "public.customers", "DEST-001", "127.0.0.1"),
            (database.url_as(&reader, "e2e-reader"), "public.customers", "DEST-003", "GRANT"),
            (good.clone(), "nowhere.customers", "DEST-004", "nowhere"),
        ] {
            println!("{code}: {names}");
            let world = world();
            deliver(&world, &url, stream);
            let run = world.sync().ended(1, "failed").counted(&[]);
            let told = format!("{} {}", run.message(), run.hint());
            assert!(told.contains(names) && !run.hint().is_empty(), "{}", run.outcome);
            assert_eq!(run.report["error"]["code"], code, "{}", run.outcome);
            assert!(!run.outcome.stderr.contains("not-the-password") && !told.contains("not-the-password"));
            assert_eq!(target.tables(), Vec::<String>::new());
            // `check` finds the same, step by step.
            let reports = world.tapline(&["check", "target", "--format", "json"]);
            if stream == "public.customers" {
                let report = &reports.clone().exits(1).json()[0];
                let failed = report["steps"].as_array().unwrap().last().unwrap().clone();
                assert_eq!(
                    (&report["ok"], &failed["ok"], &failed["code"]),
                    (&false.into(), &false.into(), &code.into()),
                    "{reports}"
                );
                assert!(failed["hint"].is_string(), "{reports}");
            }
        }
        database.execute(&format!("DROP ROLE {reader}"));
    });
}

#[test]
fn check_names_the_cause_of_what_is_wrong_at_the_source() {
    let world = world();
    for (settings, code, names) in [
        (("bucket: lake", "bucket: lagoon"), "S3-006", "lagoon"),
        (("bucket: lake", "bucket: far"), "S3-003", "eu-west-1"),
        ((SECRET, "a-secret-of-forty-characters-0123456789XX"), "S3-002", "SignatureDoesNotMatch"),
        ((READER, GETTER), "S3-005", "s3:ListBucket"),
        ((READER, LISTER), "S3-004", "s3:GetObject"),
    ] {
        println!("{code}: {names}");
        let source = world.source().replace(settings.0, settings.1);
        world.deliver_from(&source, &Target::sqlite(), Delivery::default());
        let outcome = world.tapline(&["check", "lake", "--format", "json"]).exits(1);
        let report = &outcome.json()[0];
        let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["name", "kind", "ok", "steps"]);
        assert_eq!(
            (&report["name"], &report["kind"], &report["ok"]),
            (&"lake".into(), &"source".into(), &false.into())
        );
        let failed = report["steps"].as_array().unwrap().iter().find(|step| step["ok"] == false).unwrap();
        let keys: Vec<&String> = failed.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["name", "ok", "code", "message", "hint"]);
        assert_eq!(failed["code"], code, "{outcome}");
        assert!(failed["hint"].is_string() && failed.to_string().contains(names), "{outcome}");
    }
}
