//! One state in PostgreSQL for several machines: what one has delivered the other knows, and only one runs at a time.
//! Not here: what every state must keep, which the stores' own suite says.

use std::path::Path;

use crate::harness::{Database, Delivery, Format, Outcome, Run, Target, World, customers, signal, skip};

const SQL: &str = "SELECT * FROM 's3://lake/customers.parquet'";
const KEY: (&str, &str) = ("TAPLINE_SECRET_KEY", "a key of high entropy");
const SYNC: [&str; 4] = ["sync", "rows", "--format", "json"];

/// A state in a database, and snapshots in a folder that all machines see, or in a bucket.
struct Shared {
    database: Database,
    folder: tempfile::TempDir,
    bucket: Option<&'static str>,
}

impl Shared {
    fn new() -> Option<Self> {
        let database = Database::create();
        if database.is_none() {
            skip(1, "TAPLINE_TEST_POSTGRES_URL is not set");
        }
        Some(Self { database: database?, folder: tempfile::tempdir().unwrap(), bucket: None })
    }

    fn snapshots(&self) -> String {
        self.bucket.map_or_else(|| self.folder.path().display().to_string(), str::to_owned)
    }

    /// Lets a world keep its state here.
    fn keep(&self, world: &World) {
        let path = world.folder().join("tapline.yaml");
        let project = std::fs::read_to_string(&path).unwrap();
        let (url, snapshots) = (self.database.url(), self.snapshots());
        let state = format!("version: 1\nstate: {{ url: \"{url}\", snapshots: \"{snapshots}\" }}\n");
        world.write("tapline.yaml", &project.replacen("version: 1\n", &state, 1));
    }
}

/// What every machine has in its environment: the key of the state, and AWS credentials for snapshots in a bucket.
fn environment(world: &World) -> [(&'static str, String); 5] {
    let key = world.endpoint.access_key();
    [
        (KEY.0, KEY.1.to_owned()),
        ("AWS_ACCESS_KEY_ID", key.id.clone()),
        ("AWS_SECRET_ACCESS_KEY", key.secret.clone()),
        ("AWS_ENDPOINT_URL", world.endpoint.url().to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
    ]
}

fn sync(world: &World) -> Run {
    let environment = environment(world);
    Run::new(world.tapline_with(&SYNC, &environment.each_ref().map(|(name, value)| (*name, value.as_str()))))
}

/// Another machine with the same project: another folder.
fn elsewhere(world: &World, folder: &Path, arguments: &[&str]) -> Outcome {
    std::fs::copy(world.folder().join("tapline.yaml"), folder.join("tapline.yaml")).unwrap();
    let mut command = world.command(arguments);
    Outcome::new(arguments, command.current_dir(folder).envs(environment(world)).output().unwrap())
}

#[test]
fn what_one_machine_has_delivered_the_other_knows() {
    let Some(shared) = Shared::new() else { return };
    knows_what_was_delivered(&shared);
}

#[test]
fn snapshots_lie_in_a_bucket_too() {
    let Some(shared) = Shared::new() else { return };
    let shared = Shared { bucket: Some("s3://lake/own files/snapshots/"), ..shared };
    let (world, _target) = knows_what_was_delivered(&shared);
    let keys = world.endpoint.keys("lake").unwrap();
    let kept: Vec<&String> = keys.iter().filter(|key| key.starts_with("own files/snapshots/rows/snapshot-")).collect();
    assert!(!kept.is_empty(), "{keys:?}");
    assert!(!keys.iter().any(|key| key.contains("intent-")), "{keys:?}");
    // A machine that comes later fetches what it lacks; without it nothing can be compared.
    for key in kept {
        world.endpoint.delete("lake", key).unwrap();
    }
    world.put("customers.parquet", customers(1, 320).file(Format::Parquet));
    let other = tempfile::tempdir().unwrap();
    elsewhere(&world, other.path(), &SYNC).fails_as_json(1, "STATE-004");
}

fn knows_what_was_delivered(shared: &Shared) -> (World, Target) {
    let target = Target::Postgres(Database::create().unwrap());
    let world = World::new();
    world.deliver(&target, Delivery { sql: SQL, options: "write: insert", ..Delivery::default() });
    shared.keep(&world);
    world.put("customers.parquet", customers(1, 300).file(Format::Parquet));
    sync(&world).ended(0, "succeeded").counted(&[("read", 300), ("inserted", 300)]);
    let other = tempfile::tempdir().unwrap();
    Run::new(elsewhere(&world, other.path(), &SYNC)).ended(0, "unchanged");
    world.put("customers.parquet", customers(1, 310).file(Format::Parquet));
    let run = Run::new(elsewhere(&world, other.path(), &SYNC));
    run.ended(0, "succeeded").counted(&[("read", 310), ("inserted", 10), ("skipped", 300)]);
    sync(&world).ended(0, "unchanged");
    let runs = world.tapline_with(&["runs", "--format", "json"], &[KEY]).exits(0).json();
    assert_eq!(runs.as_array().unwrap().len(), 4);
    target.holds("customers", &customers(1, 310));
    (world, target)
}

#[test]
fn a_run_that_was_killed_is_finished_by_another_machine_once_its_lease_is_over() {
    let Some(shared) = Shared::new() else { return };
    let target = Target::Postgres(Database::create().unwrap());
    let world = World::new();
    world.deliver(&target, Delivery { sql: SQL, options: "write: insert", ..Delivery::default() });
    shared.keep(&world);
    world.put("customers.parquet", customers(1, 200).file(Format::Parquet));
    let variables = [KEY, ("TAPLINE_FAILPOINT", "after-publish")];
    assert_eq!(world.tapline_with(&["sync", "rows"], &variables).signal, Some(6));
    let other = tempfile::tempdir().unwrap();
    let held = elsewhere(&world, other.path(), &["sync", "rows", "--lock-timeout", "0s"]);
    held.fails(1, "SYNC-003").tells(&["process"]);
    shared.database.execute("UPDATE tapline.leases SET expires_at = now()");
    let run = Run::new(elsewhere(&world, other.path(), &SYNC));
    run.ended(0, "succeeded").counted(&[("read", 200), ("skipped", 200)]);
    target.holds("customers", &customers(1, 200));
}

#[test]
fn a_run_that_was_frozen_past_its_lease_stops() {
    let Some(shared) = Shared::new() else { return };
    let target = Target::Postgres(Database::create().unwrap());
    let world = World::new();
    world.deliver(&target, Delivery { sql: SQL, ..Delivery::default() });
    shared.keep(&world);
    for (place, rows) in [("after-staging", 200), ("after-intent", 210)] {
        world.put("customers.parquet", customers(1, rows).file(Format::Parquet));
        let frozen = world.freeze_with(place, &[KEY]);
        shared.database.execute("UPDATE tapline.leases SET expires_at = now()");
        sync(&world).ended(0, "succeeded");
        signal(&frozen, "CONT");
        let outcome = world.wait(frozen, &SYNC);
        // Refused by the state or by the destination's fence, whichever it meets first.
        assert_eq!(outcome.code, Some(1), "{outcome}");
        target.holds("customers", &customers(1, rows));
        sync(&world).ended(0, "unchanged");
    }
}

#[test]
fn a_state_that_is_shared_needs_a_key_that_is_shared() {
    let Some(shared) = Shared::new() else { return };
    let world = World::new();
    world.deliver(&Target::sqlite(), Delivery { sql: SQL, ..Delivery::default() });
    shared.keep(&world);
    let outcome = world.tapline(&["sync", "rows"]).fails(1, "STATE-001");
    outcome.tells(&["TAPLINE_SECRET_KEY"]);
}
