//! A process that dies at any point of a publication of files, and the run that comes after it.

use tapline_core::testing::bench::{FULL, codes, texts};
use tapline_core::{Op, failpoint};

use super::destination;
use crate::crashes::{deliver, kill_at};
use crate::fileset::demands::two;
use crate::fileset::{self, Look};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_survive_a_kill_at_every_point() {
    for settings in ["", "format: csv\nname: \"{stream}\""] {
        let old = texts(&[&["1", "a"], &["2", "b"], &["3", "c"], &["4", "d"], &["5", "there"]]);
        let new = texts(&[&["2", "B"], &["3", "C"], &["4", "d"], &["5", "there"], &["6", "f"], &["7", "bad"]]);
        let points = failpoint::DESTINATION.iter().copied().chain(["staging:3", "publish-placed"]);
        for point in points {
            let folder = tempfile::tempdir().unwrap();
            let look = Look::at(&folder.path().join("out"));
            let bench = fileset::bench(destination(folder.path(), settings), "rows", look.clone());
            let rows = two(&[1, 2, 3, 4, 5], &["a", "b", "c", "d", "there"]);
            bench.deliver(1, FULL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
            let place = format!("files {}\n{settings}", folder.path().display());
            kill_at(point, &bench, &place, 2).await;
            let published = ["publish-committed", "publish-placed"].contains(&point);
            let stands = bench.marker().await.published.unwrap();
            assert_eq!((stands.generation, stands.batches), if published { (2, 4) } else { (1, 1) }, "{point}");
            if !published {
                assert_eq!(bench.select("id, v").await, old, "{point}");
            }
            // The next attempt finishes what was published, and sweeps away the rest.
            bench.destination.stamp(&bench.stream, &tapline_core::testing::bench::owner(), 2).await.unwrap();
            assert_eq!(bench.select("id, v").await, if published { &new } else { &old }.clone(), "{point}");
            let named: Vec<String> = look.stream("rows").unwrap().files.into_iter().map(|file| file.path).collect();
            assert_eq!(look.visible(), named, "{point}");
            let own = look.paths().into_iter().filter(|path| path.contains("rows-") || path.contains("making-"));
            assert_eq!(own.collect::<Vec<_>>(), Vec::<String>::new(), "{point}");
            if !published {
                deliver(&*bench.destination, &bench.stream, 2).await.unwrap();
                assert_eq!(bench.select("id, v").await, new, "{point}");
            }
            let outcomes = bench.destination.outcomes(&bench.stream, 2).await.unwrap();
            assert_eq!(codes(&outcomes), [(2, 0, "ROW-003")], "{point}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_run_survives_a_kill_at_every_point() {
    let new = texts(&[&["3", "C"], &["5", "e"], &["6", "f"], &["7", "bad"]]);
    for point in ["staging", "staging:4", "publish-locked", "publish-prepared", "publish-recorded", "publish-committed"]
    {
        let folder = tempfile::tempdir().unwrap();
        let look = Look::at(&folder.path().join("out"));
        let bench = fileset::bench(destination(folder.path(), ""), "rows", look.clone());
        kill_at(point, &bench, &format!("files {}\n", folder.path().display()), 1).await;
        let published = point == "publish-committed";
        let holds = bench.destination.holds_rows(&bench.stream).await.unwrap();
        assert_eq!(holds, published.then_some(true), "{point}");
        assert_eq!(look.visible(), Vec::<String>::new(), "{point}");
        bench.destination.stamp(&bench.stream, &tapline_core::testing::bench::owner(), 1).await.unwrap();
        if !published {
            deliver(&*bench.destination, &bench.stream, 1).await.unwrap();
        }
        assert_eq!(bench.select("id, v").await, new, "{point}");
    }
}
