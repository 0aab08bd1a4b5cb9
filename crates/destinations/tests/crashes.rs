//! A process that dies at any point of a publication, as a power cut would have it, and the run that comes after it.
//!
//! Each test starts this test binary again, as the process that dies: [`victim`] delivers, and a failpoint ends it.

use std::process::Command;
use std::sync::Arc;

use arrow::array::*;
use tapline_core::testing::bench::{Bench, batch, codes, owner, texts};
use tapline_core::{ChangeBatch, Destination, Op, Refresh, StreamName, Target, failpoint};

/// Where the victim delivers to: a kind of destination, and what the tests of that kind make of the rest.
const VICTIM: &str = "TAPLINE_TEST_VICTIM";
const STREAM: &str = "TAPLINE_TEST_STREAM";
const GENERATION: &str = "TAPLINE_TEST_GENERATION";

fn two(ids: &[i64], values: &[&str]) -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef),
        ("v", Arc::new(StringArray::from(values.to_vec()))),
    ])
}

/// Delivers changes of every kind, one of which is refused where the table has its check.
pub async fn deliver(destination: &dyn Destination, stream: &StreamName, generation: u64) -> tapline_core::Result<()> {
    destination.stamp(stream, &owner(), generation).await?;
    let rows = [
        (Op::Delete, two(&[1], &[""]).project(&[0]).unwrap()),
        (Op::Update, two(&[2], &["B"])),
        (Op::Insert, two(&[5], &["e"])),
        (Op::Upsert, two(&[3, 6, 7], &["C", "f", "bad"])),
    ];
    let target = Target {
        stream: stream.clone(),
        owner: owner(),
        generation,
        schema: rows[1].1.schema(),
        key: vec!["id".to_owned()],
        refresh: Refresh::Incremental,
        retractable: false,
        widen: false,
        max_reject_ratio: None,
    };
    let mut writer = destination.open(target).await?;
    let mut staged = Vec::new();
    for (seq, (op, rows)) in (0..).zip(rows) {
        staged.push(rows.num_rows() as u64);
        writer.write(ChangeBatch { seq, op, rows }).await?;
    }
    writer.publish(&staged).await.map(drop)
}

/// The process that dies; nothing where no test asks for it.
#[tokio::test]
async fn victim() {
    let Ok(place) = std::env::var(VICTIM) else { return };
    let (kind, place) = place.split_once(' ').unwrap();
    let destination = match kind {
        "sqlite" => crate::sqlite::destination_at(place.as_ref()),
        "mysql" => crate::mysql::destination_at(place),
        "files" => {
            let (folder, settings) = place.split_once('\n').unwrap();
            crate::files::destination(folder.as_ref(), settings)
        }
        _ => crate::postgres::destination_at(place),
    };
    let stream = StreamName::parse(&std::env::var(STREAM).unwrap()).unwrap();
    deliver(&*destination, &stream, std::env::var(GENERATION).unwrap().parse().unwrap()).await.unwrap();
}

/// Runs the victim, which must die at this point.
pub async fn kill_at(point: &str, bench: &Bench, place: &str, generation: u64) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "crashes::victim", "--nocapture"])
        .env(VICTIM, place)
        .env(STREAM, bench.stream.to_string())
        .env(GENERATION, generation.to_string())
        .env("TAPLINE_FAILPOINT", point);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), None, "{point} ends the process: {text}");
}

/// A table that was there: after a kill it is as it was, or as it must be; after the next attempt it is as it must be.
pub async fn changes_survive_a_kill_at_every_point(bench: &Bench, place: &str) {
    let old = texts(&[&["1", "a"], &["2", "b"], &["3", "c"], &["4", "d"]]);
    let new = texts(&[&["2", "B"], &["3", "C"], &["4", "d"], &["5", "e"], &["6", "f"]]);
    let mut points: Vec<&str> = failpoint::DESTINATION.to_vec();
    points.push("staging:3");
    for (generation, point) in (1..).zip(points) {
        bench
            .execute(
                "DROP TABLE IF EXISTS {t}; \
                 CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v text UNIQUE CHECK (v <> 'bad')); \
                 INSERT INTO {t} VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')",
            )
            .await;
        kill_at(point, bench, place, generation).await;
        let published = point == "publish-committed";
        assert_eq!(bench.select("id, v").await, if published { &new } else { &old }.clone(), "{point}");
        // Like any run, the next attempt stamps first, which waits until the server has let go of the dead.
        bench.destination.stamp(&bench.stream, &owner(), generation).await.unwrap();
        let stands = bench.marker().await.published;
        let shows = stands.is_some_and(|published| published.generation == generation && published.batches == 4);
        assert_eq!(shows, published, "{point}: {stands:?}");
        if !published {
            deliver(&*bench.destination, &bench.stream, generation).await.unwrap();
            assert_eq!(bench.select("id, v").await, new, "{point}");
        }
        let outcomes = bench.destination.outcomes(&bench.stream, generation).await.unwrap();
        assert_eq!(codes(&outcomes), [(3, 2, "ROW-002")], "{point}");
    }
}

/// A table that is to be made: after a kill there is none, or a whole one. Where a table cannot be made within a
/// transaction, there may be one without rows.
pub async fn a_new_table_survives_a_kill_at_every_point(bench: &Bench, place: &str) {
    let new = texts(&[&["3", "C"], &["5", "e"], &["6", "f"], &["7", "bad"]]);
    let points =
        ["staging", "staging:4", "publish-locked", "publish-prepared", "publish-recorded", "publish-committed"];
    for (generation, point) in (1..).zip(points) {
        bench.execute("DROP TABLE IF EXISTS {t}").await;
        kill_at(point, bench, place, generation).await;
        let published = point == "publish-committed";
        let holds = bench.destination.holds_rows(&bench.stream).await.unwrap();
        let commits_tables = place.starts_with("mysql ");
        let stands = if commits_tables { holds.filter(|holds| *holds) } else { holds };
        assert_eq!(stands, published.then_some(true), "{point}");
        if !published {
            deliver(&*bench.destination, &bench.stream, generation).await.unwrap();
        }
        assert_eq!(bench.select("id, v").await, new, "{point}");
        assert_eq!(bench.marker().await.published.unwrap().generation, generation, "{point}");
        let outcomes = bench.destination.outcomes(&bench.stream, generation).await.unwrap();
        assert_eq!(codes(&outcomes), [(1, 0, "skipped")], "{point}");
    }
}
