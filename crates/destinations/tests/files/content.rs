//! What is in the files, to the byte where the format says so, and what they are called.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray};
use tapline_core::testing::bench::{FULL, REPLACE, batch, error_code, texts};
use tapline_core::{Op, Refresh};

use super::in_folder;
use crate::fileset::demands::two;
use crate::fileset::{Look, Place, Shown};

const INCREMENTAL: Refresh = Refresh::Incremental;

fn varied() -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 9_007_199_254_740_993])) as ArrayRef),
        ("text", Arc::new(StringArray::from(vec![Some("a;b, \"c\"\nd"), Some(""), None, Some("=1+1")]))),
        ("half", Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN), None, Some(-2.0)]))),
        (
            "price",
            Arc::new(
                Decimal128Array::from(vec![Some(-150), None, Some(5), Some(0)]).with_precision_and_scale(9, 2).unwrap(),
            ),
        ),
    ])
}

async fn written(settings: &str) -> (Look, String) {
    let (bench, look) = in_folder(settings);
    bench.deliver(1, FULL, &["id"], vec![(Op::Upsert, varied())]).await.unwrap();
    let path = look.visible()[0].clone();
    let content = look.read(&path).unwrap();
    (look, format!("{path}\n{}", String::from_utf8(content).unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csv_is_written_as_duckdb_writes_it() {
    let (_, content) = written("format: csv").await;
    let expected = "rows/1/rows.csv\nid,text,half,price\n1,\"a;b, \"\"c\"\"\nd\",0.5,-1.50\n2,\"\",nan,\n3,,,0.05\n\
                    9007199254740993,=1+1,-2.0,0.00\n";
    assert_eq!(content, expected);
    let (_, content) = written("format: csv\ncsv: { delimiter: \";\", header: false }\nformula_guard: true").await;
    let expected =
        "rows/1/rows.csv\n1;\"a;b, \"\"c\"\"\nd\";0.5;-1.50\n2;\"\";nan;\n3;;;0.05\n9007199254740993;'=1+1;-2.0;0.00\n";
    assert_eq!(content, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ndjson_is_an_object_per_line() {
    let (_, content) = written("format: ndjson\nname: \"{sync}-{generation}\"").await;
    let expected = "sync-1.ndjson\n\
        {\"id\":1,\"text\":\"a;b, \\\"c\\\"\\nd\",\"half\":0.5,\"price\":\"-1.50\"}\n\
        {\"id\":2,\"text\":\"\",\"half\":\"nan\",\"price\":null}\n\
        {\"id\":3,\"text\":null,\"half\":null,\"price\":\"0.05\"}\n\
        {\"id\":\"9007199254740993\",\"text\":\"=1+1\",\"half\":-2.0,\"price\":\"0.00\"}\n";
    assert_eq!(content, expected);
}

/// Every kind of formula is guarded, numbers are not, and what is read back is what was delivered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn formulas_are_guarded_where_that_is_asked_for() {
    let (bench, look) = in_folder("format: csv\nformula_guard: true");
    let formulas = ["=a", "+a", "-a", "@a", "\ta", "\ra", "a=", "'=", ""];
    let ids: Vec<i64> = (-1..8).collect();
    bench.deliver(1, FULL, &["id"], vec![(Op::Upsert, two(&ids, &formulas))]).await.unwrap();
    let shown = look.stream("rows").unwrap();
    let found: Vec<&str> = shown.rows.iter().map(|row| row[1].as_deref().unwrap()).collect();
    assert_eq!(found, ["'=a", "'+a", "'-a", "'@a", "'\ta", "'\ra", "a=", "'=", ""]);
    assert_eq!(shown.rows[0][0].as_deref(), Some("-1"), "a number is no formula");
    let delivered = bench.deliver(2, INCREMENTAL, &["id"], vec![(Op::Insert, two(&[0], &["x"]))]).await.unwrap();
    assert_eq!(delivered.codes(), [(0, 0, "ROW-003")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_stay_below_their_size() {
    let ids: Vec<i64> = (0..40_000).collect();
    let values: Vec<String> =
        ids.iter().map(|id| format!("{:016x}", id.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64))).collect();
    let rows = two(&ids, &values.iter().map(String::as_str).collect::<Vec<_>>());
    for settings in
        ["format: parquet", "format: csv", "format: csv\ncompression: gzip", "format: ndjson\ncompression: zstd"]
    {
        let (bench, look) = in_folder(&format!("{settings}\nmax_file_size: 100KB"));
        bench.deliver(1, FULL, &["id"], vec![(Op::Upsert, rows.clone())]).await.unwrap();
        let shown = look.stream("rows").unwrap();
        let sizes: Vec<usize> = shown.files.iter().map(|file| file.content.len()).collect();
        assert!(sizes.len() > 2 && sizes.iter().all(|size| *size <= 100_000), "{settings}: {sizes:?}");
        assert!(sizes[..sizes.len() - 1].iter().all(|size| *size > 50_000), "{settings}: {sizes:?}");
        let first = shown.files[1].path.split('.').next().unwrap();
        assert_eq!(first, "rows/1/rows-2");
        assert_eq!(bench.count().await, 40_000);
        // The next set has one file, and the others go.
        bench.deliver(2, FULL, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
        assert_eq!(look.visible().len(), 1, "{settings}");
    }
}

/// One row may be larger than a file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_is_never_split() {
    for format in ["csv", "ndjson", "parquet"] {
        let (bench, look) = in_folder(&format!("format: {format}\nmax_file_size: 1KB\ncompression: none"));
        let long = "x".repeat(3_000);
        bench.deliver(1, FULL, &["id"], vec![(Op::Upsert, two(&[1, 2], &[&long, "short"]))]).await.unwrap();
        assert_eq!(look.stream("rows").unwrap().rows.len(), 2, "{format}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_keeps_its_name_from_run_to_run() {
    let (bench, look) = in_folder("format: csv\nname: \"{stream}\"");
    for generation in 1..4 {
        bench
            .deliver(generation, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[generation as i64], &["v"]))])
            .await
            .unwrap();
        assert_eq!(look.visible(), ["rows.csv"]);
    }
    assert_eq!(bench.count().await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_somebody_else_is_not_replaced() {
    let (bench, look) = in_folder("format: csv\nname: export");
    let Place::Folder(folder) = look.place.as_ref() else { unreachable!() };
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("export.csv"), "precious\n").unwrap();
    for refresh in [INCREMENTAL, FULL] {
        let target = bench.target(1, refresh, &["id"], two(&[], &[]).schema());
        assert_eq!(error_code(bench.open(target).await), "SYNC-002");
    }
    assert_eq!(look.read("export.csv").unwrap(), b"precious\n");
    bench.deliver(2, REPLACE, &["id"], vec![(Op::Upsert, two(&[1], &["a"]))]).await.unwrap();
    assert_eq!(look.read("export.csv").unwrap(), b"id,v\n1,a\n");
    // Another stream under the same name is somebody else as well.
    let other = tapline_core::StreamName::parse("other").unwrap();
    let target = tapline_core::Target { stream: other, ..bench.target(3, FULL, &["id"], two(&[], &[]).schema()) };
    assert_eq!(error_code(bench.open(target).await), "SYNC-002");
}

/// Files of a run before, in another format, go with the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_format_can_change() {
    let folder = tempfile::tempdir().unwrap();
    let look = Look::at(&folder.path().join("out"));
    for (generation, format) in (1..).zip(["parquet", "csv", "ndjson", "parquet"]) {
        let destination = super::destination(folder.path(), &format!("format: {format}"));
        let bench = crate::fileset::bench(destination, "rows", look.clone());
        let id = generation as i64;
        bench.deliver(generation, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[id], &["v"]))]).await.unwrap();
        assert_eq!(look.visible(), [format!("rows/{generation}/rows.{format}")]);
        assert_eq!(bench.count().await, generation);
    }
}

/// The rows of each kind of change, in order.
fn changes(shown: &Shown) -> Vec<(&str, Vec<Vec<Option<String>>>)> {
    let sorted = |rows: &[Vec<Option<String>>]| {
        let mut rows = rows.to_vec();
        rows.sort();
        rows
    };
    shown.files.iter().map(|file| (file.change.as_deref().unwrap(), sorted(&file.rows))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_can_write_what_it_changes() {
    for format in ["parquet", "csv", "ndjson"] {
        let (bench, look) = in_folder(&format!("content: diff\nformat: {format}\nname: \"{{stream}}/{{generation}}\""));
        let first = two(&[1, 2, 3], &["a", "b", "c"]);
        bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, first)]).await.unwrap();
        let shown = look.stream("rows").unwrap();
        assert_eq!(changes(&shown), [("added", texts(&[&["1", "a"], &["2", "b"], &["3", "c"]]))]);
        let mut run = bench.open(bench.target(2, INCREMENTAL, &["id"], two(&[], &[]).schema())).await.unwrap();
        // The row that comes again as it was has not changed.
        run.write(Op::Upsert, two(&[2, 3, 4], &["b", "C", "d"])).await.unwrap();
        run.write(Op::Delete, two(&[1, 9], &["", ""]).project(&[0]).unwrap()).await.unwrap();
        run.publish().await.unwrap();
        let expected =
            [("added", texts(&[&["4", "d"]])), ("changed", texts(&[&["3", "C"]])), ("removed", texts(&[&["1"]]))];
        assert_eq!(changes(&look.stream("rows").unwrap()), expected);
        let delivered = bench.deliver(3, FULL, &["id"], vec![(Op::Upsert, two(&[2, 5], &["b", "e"]))]).await.unwrap();
        assert_eq!(delivered.receipt.removed, 2);
        let expected = [("added", texts(&[&["5", "e"]])), ("removed", texts(&[&["3"], &["4"]]))];
        assert_eq!(changes(&look.stream("rows").unwrap()), expected);
        // Those of earlier runs stay, and a run without changes writes none.
        bench.deliver(4, INCREMENTAL, &["id"], vec![(Op::Upsert, two(&[5], &["e"]))]).await.unwrap();
        assert!(look.stream("rows").unwrap().files.is_empty());
        let names: Vec<String> = ["1-added", "2-added", "2-changed", "2-removed", "3-added", "3-removed"]
            .iter()
            .map(|name| format!("rows/{name}.{format}"))
            .collect();
        assert_eq!(look.visible(), names);
        assert_eq!(bench.destination.holds_rows(&bench.stream).await.unwrap(), Some(true));
        assert_eq!(error_code(bench.open(bench.target(5, FULL, &[], two(&[], &[]).schema())).await), "DEST-005");
    }
}
