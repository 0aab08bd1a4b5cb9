//! A full refresh: afterwards the stream equals the rows written, and nobody ever sees it otherwise.

use futures::FutureExt;

use super::values::two;
use crate::Op;
use crate::testing::bench::{Bench, FULL, REPLACE, error_code, texts};

/// Rows are added, changed, kept and removed, whoever wrote them.
pub async fn a_full_refresh_equals_its_rows(bench: &Bench) {
    let delivered =
        bench.deliver(1, FULL, &["id"], vec![(Op::Upsert, two(&[1, 2, 3], &["a", "b", "c"]))]).await.unwrap();
    assert_eq!(delivered.receipt.removed, 0);
    bench.execute("INSERT INTO {t} VALUES (8, 'by hand')").await;
    bench.execute("UPDATE {t} SET v = 'by hand' WHERE id = 1").await;
    // Inserts and updates act as upserts.
    let batches = vec![(Op::Insert, two(&[1, 2], &["a", "changed"])), (Op::Update, two(&[4], &["d"]))];
    let delivered = bench.deliver(2, FULL, &["id"], batches).await.unwrap();
    assert_eq!(delivered.codes(), []);
    assert_eq!(delivered.receipt.removed, 2, "those with the keys 3 and 8");
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"], &["2", "changed"], &["4", "d"]]));
    let schema = two(&[], &[]).schema();
    let mut run = bench.open(bench.target(3, FULL, &["id"], schema)).await.unwrap();
    let delivered = run.publish().await.unwrap();
    assert_eq!(delivered.receipt.removed, 3);
    assert_eq!(bench.count().await, 0);
}

/// Without a key, rows are only rows: equal ones are kept apart by their number.
pub async fn a_full_refresh_without_key_equals_its_rows(bench: &Bench) {
    let rows = two(&[1, 1, 2], &["a", "a", "b"]);
    bench.deliver(1, FULL, &[], vec![(Op::Insert, rows)]).await.unwrap();
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"], &["1", "a"], &["2", "b"]]));
    let rows = two(&[1, 3], &["a", "c"]);
    let delivered = bench.deliver(2, FULL, &[], vec![(Op::Insert, rows)]).await.unwrap();
    assert_eq!(delivered.codes(), []);
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"], &["3", "c"]]));
}

/// A row of the model is no leftover because its newest version is refused.
pub async fn a_full_refresh_keeps_a_row_whose_new_version_is_rejected(bench: &Bench) {
    bench.execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v text CHECK (v <> 'bad'))").await;
    bench.deliver(1, FULL, &["id"], vec![(Op::Upsert, two(&[1, 2, 3], &["a", "b", "c"]))]).await.unwrap();
    let rows = two(&[1, 2], &["bad", "changed"]);
    let delivered = bench.deliver(2, FULL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    assert_eq!(delivered.codes(), [(0, 0, "ROW-002")]);
    assert_eq!(delivered.receipt.removed, 1);
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"], &["2", "changed"]]));
    let rows = two(&[1, 2], &["nul \0", "b"]);
    let delivered = bench.deliver(3, FULL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    assert_eq!(delivered.receipt.removed, 0);
    assert_eq!(bench.count().await, 2);
}

/// Rows that Tapline did not deliver are not removed unless that was asked for.
pub async fn rows_of_others_stop_a_full_refresh(bench: &Bench) {
    bench.execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v text)").await;
    let schema = two(&[], &[]).schema();
    bench.open(bench.target(1, FULL, &["id"], schema.clone())).await.map(drop).expect("an empty table is no obstacle");
    bench.execute("INSERT INTO {t} VALUES (8, 'by hand')").await;
    assert_eq!(error_code(bench.open(bench.target(2, FULL, &["id"], schema)).await), "SYNC-002");
    assert_eq!(bench.count().await, 1);
    let rows = two(&[1], &["a"]);
    let delivered = bench.deliver(4, REPLACE, &["id"], vec![(Op::Upsert, rows.clone())]).await.unwrap();
    assert_eq!(delivered.receipt.removed, 1);
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"]]));
    // Once delivered to, the stream is ours.
    bench.deliver(5, FULL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
}

/// While a full refresh is published, a reader sees all of the old rows or all of the new.
pub async fn a_reader_sees_the_old_rows_or_the_new(bench: &Bench) {
    let rows = |value: &str, from: i64| {
        let ids: Vec<i64> = (from..from + 20_000).collect();
        two(&ids, &vec![value; ids.len()])
    };
    bench.deliver(1, FULL, &["id"], vec![(Op::Upsert, rows("old", 0))]).await.unwrap();
    let mut run = bench.open(bench.target(2, FULL, &["id"], rows("", 0).schema())).await.unwrap();
    run.write(Op::Upsert, rows("new", 10_000)).await.unwrap();
    let question = format!("SELECT v, count(*) FROM {} GROUP BY v", bench.table);
    let (old, new) = (texts(&[&["old", "20000"]]), texts(&[&["new", "20000"]]));
    let mut publication = Box::pin(run.publish()).fuse();
    loop {
        let mut look = Box::pin(bench.probe.rows(&question)).fuse();
        // A look is on its way before the publication goes on, and is looked at although that may have ended first.
        let (seen, published) = futures::select_biased! {
            seen = look => (seen, false),
            delivered = publication => {
                delivered.unwrap();
                (look.await, true)
            }
        };
        assert!(seen == old || seen == new, "a reader saw {seen:?}");
        if published {
            break;
        }
    }
    assert_eq!(bench.probe.rows(&question).await, new);
}
