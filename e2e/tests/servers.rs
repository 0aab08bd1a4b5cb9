//! A database server that is stopped, or crashes, in the middle of a run and comes back.
//! Not here: a connection that is cut while the server lives (`outages`).

use crate::harness::{Database, Delivery, Format, OwnServer, Run, Target, World, customers, signal, skip};

const SQL: &str = "SELECT * FROM 's3://lake/customers.parquet'";
const ARGUMENTS: [&str; 4] = ["sync", "rows", "--format", "json"];

/// Freezes the second run of a sync at `place`, takes the server away by `leave`, brings it back, and lets the run go
/// on: it ends right, and every row is there once.
fn outlives(place: &str, leave: fn(&mut OwnServer)) {
    if Database::create().is_none() {
        return skip(1, "TAPLINE_TEST_POSTGRES_URL is not set");
    }
    let Some(mut server) = OwnServer::start(place) else { return };
    let mut target = Target::Postgres(Database::on(&server.url()));
    let world = World::new();
    // A row that is there already would be refused: whatever is sent twice shows.
    world.deliver(&target, Delivery { sql: SQL, options: "write: insert", ..Delivery::default() });
    world.put("customers.parquet", customers(1, 300).file(Format::Parquet));
    world.sync().ended(0, "succeeded").counted(&[("read", 300), ("inserted", 300)]);
    world.put("customers.parquet", customers(1, 500).file(Format::Parquet));
    let run = world.freeze(place);
    leave(&mut server);
    server.run();
    signal(&run, "CONT");
    let run = Run::new(world.wait(run, &ARGUMENTS));
    run.ended(0, "succeeded").counted(&[("read", 500), ("inserted", 200), ("skipped", 300)]);
    if let Target::Postgres(database) = &mut target {
        database.reconnect();
    }
    target.holds("customers", &customers(1, 500));
    world.sync().ended(0, "unchanged");
}

#[test]
fn a_server_that_crashes_after_rows_were_staged_has_lost_them() {
    outlives("after-staging", OwnServer::crash);
}

#[test]
fn a_server_that_crashes_within_the_publication_has_published_nothing() {
    outlives("publish-recorded", OwnServer::crash);
}

#[test]
fn a_server_that_crashes_after_the_publication_has_published_everything() {
    outlives("publish-committed", OwnServer::crash);
}

#[test]
fn a_server_that_is_restarted_after_rows_were_staged_is_asked_again() {
    outlives("after-intent", OwnServer::stop);
}
