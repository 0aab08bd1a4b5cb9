//! Which files a URL means.

use std::time::Duration;

use tapline_core::codes;
use tapline_endpoint::{Endpoint, Fault, Operation};
use tapline_storage::{FileFormat, FileType, S3SourceConfig, streams};

use crate::support::{BUCKET, config, connect, count, endpoint, holding, keys, list, list_as, source};

#[tokio::test]
async fn an_exact_key_is_looked_up_and_not_listed() {
    let endpoint = holding(&["a/x.csv", "a/x.csv.bak"]).await;
    let source = source(&endpoint);
    let manifest = list(&source, "a/x.csv").await.expect("one file");
    assert_eq!(keys(&manifest), ["a/x.csv"]);
    assert_eq!((manifest.listed, manifest.skipped), (1, 0));
    assert_eq!(manifest.files[0].format, FileFormat::Csv);
    assert_eq!(manifest.files[0].size, 7);
    assert_eq!(count(&endpoint, Operation::ListObjectsV2), 0);
}

#[tokio::test]
async fn folders_are_recursive_with_and_without_slash() {
    let endpoint = holding(&[
        "a/x.csv",
        "a/b/y.parquet",
        "a/b/c/z.jsonl.gz",
        "a/notes.pdf",
        "a/_SUCCESS",
        "a/.x.csv.crc",
        "ab/n.csv",
        "a/sub/",
    ])
    .await;
    let source = source(&endpoint);
    for folder in ["a", "a/", "a//", "/a"] {
        let manifest = list(&source, folder).await.expect(folder);
        assert_eq!(keys(&manifest), ["a/b/c/z.jsonl.gz", "a/b/y.parquet", "a/x.csv"], "{folder}");
        assert_eq!((manifest.listed, manifest.skipped), (6, 3), "{folder}");
    }
    let formats: Vec<_> = list(&source, "a").await.expect("files").files.iter().map(|file| file.format).collect();
    assert_eq!(formats, [FileFormat::Ndjson, FileFormat::Parquet, FileFormat::Csv]);
}

#[tokio::test]
async fn globs() {
    let endpoint =
        holding(&["t/a1.csv", "t/a2.csv", "t/b1.csv", "t/u/a3.csv", "t/u/v/a4.csv", "s/a5.csv", "t/a6.tsv"]).await;
    let source = source(&endpoint);
    for (pattern, expected) in [
        ("t/*.csv", vec!["t/a1.csv", "t/a2.csv", "t/b1.csv"]),
        ("t/a?.csv", vec!["t/a1.csv", "t/a2.csv"]),
        ("t/[ab]1.csv", vec!["t/a1.csv", "t/b1.csv"]),
        ("t/**/*.csv", vec!["t/a1.csv", "t/a2.csv", "t/b1.csv", "t/u/a3.csv", "t/u/v/a4.csv"]),
        ("**/a*.csv", vec!["s/a5.csv", "t/a1.csv", "t/a2.csv", "t/u/a3.csv", "t/u/v/a4.csv"]),
        ("{s,t/u}/*.csv", vec!["s/a5.csv", "t/u/a3.csv"]),
        ("t/*/*.csv", vec!["t/u/a3.csv"]),
        ("t/a*.{csv,tsv}", vec!["t/a1.csv", "t/a2.csv", "t/a6.tsv"]),
    ] {
        assert_eq!(keys(&list(&source, pattern).await.expect(pattern)), expected, "{pattern}");
    }
}

#[tokio::test]
async fn only_what_is_below_the_literal_prefix_is_listed() {
    let endpoint = holding(&["t/2024/a.csv", "t/2025/a.csv"]).await;
    let source = source(&endpoint);
    list(&source, "t/2024/*.csv").await.expect("files");
    let prefixes: Vec<_> = endpoint.requests().into_iter().map(|request| request.key).collect();
    assert_eq!(prefixes, ["t/2024/"]);
}

#[tokio::test]
async fn pages_are_followed_to_the_end() {
    let endpoint = Endpoint::builder().bucket(BUCKET).page_size(2).start().await.expect("an endpoint");
    for index in 0..7 {
        endpoint.put(BUCKET, &format!("t/{index}.csv"), "x").expect("put");
    }
    let manifest = list(&source(&endpoint), "t/").await.expect("files");
    assert_eq!(manifest.files.len(), 7);
    assert_eq!(count(&endpoint, Operation::ListObjectsV2), 4);
}

#[tokio::test]
async fn large_folders_are_listed_side_by_side() {
    let endpoint = Endpoint::builder().bucket(BUCKET).page_size(500).start().await.expect("an endpoint");
    for folder in ["a", "b", "c/deep"] {
        for index in 0..2_100 {
            endpoint.put(BUCKET, &format!("t/{folder}/{index:04}.csv"), "x").expect("put");
        }
    }
    for name in ["t/0.csv", "t/bb.csv", "t/z.csv", "t/z.pdf", "t/_hidden/x.csv"] {
        endpoint.put(BUCKET, name, "x").expect("put");
    }
    let manifest = list(&source(&endpoint), "t/").await.expect("files");
    assert_eq!((manifest.files.len(), manifest.listed, manifest.skipped), (6_303, 6_305, 2));
    assert!(manifest.files.is_sorted_by(|left, right| left.key < right.key));
    let prefixes: Vec<_> = endpoint.requests().into_iter().map(|request| request.key).collect();
    for folder in ["t/a/", "t/b/", "t/c/"] {
        assert!(prefixes.iter().any(|prefix| prefix == folder), "{prefixes:?}");
    }
}

#[tokio::test]
async fn a_folder_without_folders_is_listed_once() {
    let endpoint = Endpoint::builder().bucket(BUCKET).page_size(100).start().await.expect("an endpoint");
    for index in 0..1_000 {
        endpoint.put(BUCKET, &format!("t/{index:04}.csv"), "x").expect("put");
    }
    assert_eq!(list(&source(&endpoint), "t/").await.expect("files").files.len(), 1_000);
    assert_eq!(endpoint.requests().len(), 10);
}

#[tokio::test]
async fn small_folders_are_not_worth_a_request_each() {
    let endpoint = Endpoint::builder().bucket(BUCKET).page_size(100).start().await.expect("an endpoint");
    for index in 0..1_000 {
        endpoint.put(BUCKET, &format!("t/{index:04}/x.csv"), "x").expect("put");
    }
    assert_eq!(list(&source(&endpoint), "t/").await.expect("files").files.len(), 1_000);
    assert_eq!(endpoint.requests().len(), 10);
}

#[tokio::test]
async fn the_type_of_a_source_selects_in_folders_and_refuses_by_name() {
    let endpoint = holding(&["t/a.csv", "t/b.parquet", "t/part-0"]).await;
    let source = connect(S3SourceConfig { file_type: FileType::Parquet, ..config(&endpoint) });
    let manifest = list(&source, "t/").await.expect("files");
    assert_eq!(keys(&manifest), ["t/b.parquet", "t/part-0"]);
    assert!(manifest.files.iter().all(|file| file.format == FileFormat::Parquet));

    let error = list(&source, "t/a.csv").await.expect_err("another type");
    assert_eq!(error.code(), codes::S3_011);
    assert!(error.message().contains("csv") && error.message().contains("parquet"), "{error}");
    assert!(error.hints().join(" ").contains("any"));

    let error = list(&source, "t/*.csv").await.expect_err("skipped");
    assert_eq!(error.code(), codes::S3_007);
    assert!(error.hints().join(" ").contains("file_type"), "{error:?}");
}

#[tokio::test]
async fn names_that_do_not_tell_are_looked_into() {
    let endpoint = endpoint().await;
    endpoint.put(BUCKET, "p/part-0", "PAR1....PAR1").expect("put");
    endpoint.put(BUCKET, "j/part-0", "{\"a\":1}\n").expect("put");
    endpoint.put(BUCKET, "c/part-0", "a,b\n1,2\n").expect("put");
    endpoint.put(BUCKET, "e/part-0", "").expect("put");
    let source = source(&endpoint);
    for (folder, expected) in [
        ("p/", FileFormat::Parquet),
        ("j/", FileFormat::Ndjson),
        ("c/", FileFormat::Csv),
        ("e/part-0", FileFormat::Csv),
    ] {
        assert_eq!(list(&source, folder).await.expect(folder).files[0].format, expected, "{folder}");
    }
    let manifest = list_as(&source, "p/part-0", Some(FileFormat::Csv)).await.expect("a file");
    assert_eq!(manifest.files[0].format, FileFormat::Csv);
}

#[tokio::test]
async fn every_spelling_of_the_path_is_the_same_source() {
    let endpoint = holding(&["exports/crm/a.csv", "exports/crm2/b.csv", "exports/c.csv"]).await;
    for path in ["exports/crm", "/exports/crm", "exports/crm/", "//exports//crm//"] {
        let text = format!(
            "bucket: {BUCKET}\npath: {path}\nregion: us-east-1\nendpoint: {}\nauth: {{type: iam_user, access_key_id: {}, secret_access_key: {}}}",
            endpoint.url(),
            endpoint.access_key().id,
            endpoint.access_key().secret
        );
        let node = tapline_core::yaml::parse(&text, "test.yaml").expect("YAML");
        let source = connect(tapline_core::yaml::from_node(&node).expect("settings"));
        assert_eq!(keys(&source.list(&source.everything()).await.expect("files")), ["exports/crm/a.csv"], "{path}");
        assert_eq!(keys(&list(&source, "exports/crm/*.csv").await.expect("files")), ["exports/crm/a.csv"], "{path}");
    }
}

#[tokio::test]
async fn a_file_can_be_the_path() {
    let endpoint = holding(&["exports/a.csv", "exports/a.csv2"]).await;
    let source = connect(S3SourceConfig { path: "exports/a.csv".to_owned(), ..config(&endpoint) });
    assert_eq!(keys(&source.list(&source.everything()).await.expect("a file")), ["exports/a.csv"]);
    assert_eq!(keys(&list(&source, "exports/a.csv").await.expect("a file")), ["exports/a.csv"]);
    assert_eq!(list(&source, "exports/a.csv2").await.expect_err("outside").code(), codes::S3_009);
}

#[tokio::test]
async fn what_is_outside_of_the_source_is_refused_and_named() {
    let endpoint = holding(&["exports/crm/a.csv", "exports/hr/b.csv", "exports/crm2/c.csv"]).await;
    let source = connect(S3SourceConfig { path: "exports/crm".to_owned(), ..config(&endpoint) });
    for outside in ["exports/hr/b.csv", "exports/*/a.csv", "exports/crm2/c.csv", "exports/", "", "**"] {
        let error = list(&source, outside).await.expect_err(outside);
        assert_eq!(error.code(), codes::S3_009, "{outside}");
        assert!(error.message().contains("s3://lake/exports/crm"), "{error}");
    }
    let error = source.pattern("s3://pond/exports/crm/a.csv", None).expect_err("another bucket");
    assert!(error.message().contains("pond") && error.message().contains("lake"), "{error}");
    // A prefix of letters is not a folder.
    assert_eq!(keys(&list(&source, "exports/crm*/*.csv").await.expect("files")), ["exports/crm/a.csv"]);
}

#[tokio::test]
async fn nothing_there_says_what_is_nearby() {
    let endpoint = holding(&["exports/customers.csv", "exports/orders.csv"]).await;
    let source = source(&endpoint);
    for missing in ["exports/custmers.csv", "exports/custmers/*.csv", "exports/custmers/deep/x.csv"] {
        let error = list(&source, missing).await.expect_err(missing);
        assert_eq!(error.code(), codes::S3_007, "{missing}");
        assert!(error.message().contains(missing), "{error}");
        assert!(error.hints().join(" ").contains("customers.csv"), "{error:?}");
    }
}

#[tokio::test]
async fn the_digest_changes_with_what_is_there_and_only_then() {
    let endpoint = holding(&["t/a.csv"]).await;
    let source = source(&endpoint);
    let digest = async || list(&source, "t/").await.expect("files").digest();
    let first = digest().await;
    assert_eq!(first, digest().await);
    // Same size, same second.
    endpoint.put(BUCKET, "t/a.csv", "T/A.CSV").expect("put");
    let second = digest().await;
    assert_ne!(first, second);
    endpoint.put(BUCKET, "t/0.csv", "x").expect("put");
    assert_ne!(second, digest().await);
}

#[tokio::test]
async fn a_listing_that_breaks_is_asked_again() {
    let endpoint = holding(&["t/a.csv", "t/b.csv"]).await;
    endpoint.inject(Fault::truncate_after(100).on(Operation::ListObjectsV2));
    endpoint.inject(Fault::delay(Duration::from_millis(50)).on(Operation::ListObjectsV2).nth(2));
    assert_eq!(list(&source(&endpoint), "t/").await.expect("files").files.len(), 2);
}

#[tokio::test]
async fn streams_are_leaf_folders_hive_tables_and_single_files() {
    let endpoint = holding(&[
        "lake/customers.csv",
        "lake/orders/year=2024/month=01/a.parquet",
        "lake/orders/year=2024/month=02/b.parquet",
        "lake/sales/s1.csv",
        "lake/sales/s2.csv",
        "lake/mixed/a.csv",
        "lake/mixed/b.parquet",
        "lake/odd/a[1].csv",
        "lake/odd/more/x.csv",
    ])
    .await;
    let source = connect(S3SourceConfig { path: "lake".to_owned(), ..config(&endpoint) });
    let manifest = source.list(&source.everything()).await.expect("files");
    let found = streams(&source, manifest);
    let described: Vec<_> =
        found.iter().map(|stream| (stream.name.as_str(), stream.path.as_str(), stream.files.len())).collect();
    assert_eq!(
        described,
        [
            ("customers", "s3://lake/lake/customers.csv", 1),
            ("mixed/a", "s3://lake/lake/mixed/a.csv", 1),
            ("mixed/b", "s3://lake/lake/mixed/b.parquet", 1),
            ("odd/a[1]", "s3://lake/lake/odd/a[[]1].csv", 1),
            ("odd/more", "s3://lake/lake/odd/more/*.csv", 1),
            ("orders", "s3://lake/lake/orders/**/*.parquet", 2),
            ("sales", "s3://lake/lake/sales/*.csv", 2),
        ]
    );
    assert!(found[5].hive && !found[6].hive);
    // What a stream says to write after FROM is what it holds.
    for stream in &found {
        let manifest = source.list(&source.pattern(&stream.path, None).expect("a pattern")).await.expect("files");
        assert_eq!(manifest.files, stream.files, "{}", stream.path);
    }
    let split: Vec<_> = found[6].clone().split(&source).into_iter().map(|stream| stream.name).collect();
    assert_eq!(split, ["sales/s1", "sales/s2"]);
}
