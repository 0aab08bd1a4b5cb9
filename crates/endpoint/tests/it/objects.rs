//! Objects as an ordinary client writes and reads them.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion,
};
use tapline_endpoint::{Bucket, Endpoint, Operation};

use crate::{client, full};

const KEYS: [&str; 6] =
    ["plain.csv", "with space/a+b.csv", "100%/a%20b", "date=2025-01-01/é ü/日本.parquet", "a&b?c#d", "it's(1)*.csv"];

#[tokio::test]
async fn any_key_goes_in_and_comes_out() {
    let endpoint = Endpoint::builder().bucket("lake").start().await.unwrap();
    let store = client(&endpoint, "lake");
    for key in KEYS {
        let path = Path::parse(key).unwrap();
        let put = store.put(&path, PutPayload::from(key.to_owned())).await.unwrap();
        let got = store.get(&path).await.unwrap();
        assert_eq!(got.meta.e_tag, put.e_tag, "{key}");
        assert_eq!(got.bytes().await.unwrap(), key, "{key}");
        assert_eq!(endpoint.get("lake", key).unwrap().unwrap(), key);
    }
    let mut expected = KEYS.map(str::to_owned);
    expected.sort();
    assert_eq!(endpoint.keys("lake").unwrap(), expected);

    store.delete(&Path::parse(KEYS[1]).unwrap()).await.unwrap();
    assert!(endpoint.get("lake", KEYS[1]).unwrap().is_none());
    assert!(endpoint.delete("lake", KEYS[2]).unwrap());
    assert!(!endpoint.delete("lake", KEYS[2]).unwrap());
    let missing = store.get(&Path::parse(KEYS[2]).unwrap()).await.unwrap_err();
    assert!(matches!(missing, object_store::Error::NotFound { .. }), "{missing}");
}

#[tokio::test]
async fn ranges_of_memory_and_files() {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..5_000_000u32).map(|index| (index % 251) as u8).collect();
    std::fs::write(folder.path().join("file"), &bytes).unwrap();
    let endpoint = Endpoint::builder().bucket("lake").start().await.unwrap();
    endpoint.put("lake", "memory", bytes.clone()).unwrap();
    endpoint.put_file("lake", "file", folder.path().join("file")).unwrap();
    let store = client(&endpoint, "lake");
    for key in ["memory", "file"] {
        let path = Path::from(key);
        for range in [
            GetRange::Bounded(0..1),
            GetRange::Bounded(1_048_575..2_097_153),
            GetRange::Bounded(4_999_990..9_000_000),
            GetRange::Offset(4_000_000),
            GetRange::Suffix(8),
        ] {
            let expected = &bytes
                [range.as_range(bytes.len() as u64).map(|range| range.start as usize..range.end as usize).unwrap()];
            let options = GetOptions { range: Some(range.clone()), ..GetOptions::default() };
            let got = store.get_opts(&path, options).await.unwrap();
            assert_eq!(got.meta.size, bytes.len() as u64);
            assert_eq!(got.bytes().await.unwrap(), expected, "{key} {range:?}");
        }
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), bytes);
        let options = GetOptions { range: Some(GetRange::Offset(6_000_000)), ..GetOptions::default() };
        let error = store.get_opts(&path, options).await.unwrap_err();
        assert!(full(&error).contains("InvalidRange"), "{}", full(&error));
    }
    let ranges: Vec<_> = endpoint.requests().into_iter().map(|request| (request.range, request.status)).collect();
    assert_eq!(ranges[0], (Some("bytes=0-0".to_owned()), Some(206)));
    assert_eq!(ranges[4], (Some("bytes=-8".to_owned()), Some(206)));
    assert_eq!(ranges[5], (None, Some(200)));
    assert_eq!(ranges[6], (Some("bytes=6000000-".to_owned()), Some(416)));
}

#[tokio::test]
async fn conditions_of_reads_and_writes() {
    let endpoint = Endpoint::builder().bucket("lake").start().await.unwrap();
    let store = client(&endpoint, "lake");
    let path = Path::from("a");
    let first = format!("\"{}\"", endpoint.put("lake", "a", "one").unwrap());

    let if_match = |etag: &str| GetOptions { if_match: Some(etag.to_owned()), ..GetOptions::default() };
    let if_none_match = |etag: &str| GetOptions { if_none_match: Some(etag.to_owned()), ..GetOptions::default() };
    assert_eq!(store.get_opts(&path, if_match(&first)).await.unwrap().bytes().await.unwrap(), "one");
    let unchanged = store.get_opts(&path, if_none_match(&first)).await.unwrap_err();
    assert!(matches!(unchanged, object_store::Error::NotModified { .. }), "{unchanged}");

    let second = format!("\"{}\"", endpoint.put("lake", "a", "two").unwrap());
    assert_ne!(first, second);
    let replaced = store.get_opts(&path, if_match(&first)).await.unwrap_err();
    assert!(matches!(replaced, object_store::Error::Precondition { .. }), "{replaced}");
    assert_eq!(store.get_opts(&path, if_none_match(&first)).await.unwrap().bytes().await.unwrap(), "two");

    let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    let taken = store.put_opts(&path, "three".into(), create.clone()).await.unwrap_err();
    assert!(matches!(taken, object_store::Error::AlreadyExists { .. }), "{taken}");
    store.put_opts(&Path::from("b"), "three".into(), create).await.unwrap();

    let update = |etag: &str| PutMode::Update(UpdateVersion { e_tag: Some(etag.to_owned()), version: None });
    let stale = store.put_opts(&path, "four".into(), update(&first).into()).await.unwrap_err();
    assert!(matches!(stale, object_store::Error::Precondition { .. }), "{stale}");
    store.put_opts(&path, "four".into(), update(&second).into()).await.unwrap();
    assert_eq!(endpoint.get("lake", "a").unwrap().unwrap(), "four");
}

#[tokio::test]
async fn versions_are_kept_and_named() {
    let endpoint = Endpoint::builder().bucket(Bucket::new("lake").versioned()).start().await.unwrap();
    let store = client(&endpoint, "lake");
    let path = Path::from("a");
    let first = store.put(&path, "one".into()).await.unwrap().version.unwrap();
    let second = store.put(&path, "two".into()).await.unwrap().version.unwrap();
    assert_ne!(first, second);
    let version = |id: &str| GetOptions { version: Some(id.to_owned()), ..GetOptions::default() };
    let got = store.get(&path).await.unwrap();
    assert_eq!(got.meta.version.as_deref(), Some(second.as_str()));
    assert_eq!(got.bytes().await.unwrap(), "two");
    assert_eq!(store.get_opts(&path, version(&first)).await.unwrap().bytes().await.unwrap(), "one");

    store.delete(&path).await.unwrap();
    assert!(matches!(store.get(&path).await.unwrap_err(), object_store::Error::NotFound { .. }));
    assert_eq!(store.get_opts(&path, version(&second)).await.unwrap().bytes().await.unwrap(), "two");
    assert!(endpoint.keys("lake").unwrap().is_empty());
    assert_eq!(endpoint.requests().last().unwrap().version_id, Some(second));
}

#[tokio::test]
async fn copies() {
    let endpoint = Endpoint::builder().bucket("lake").start().await.unwrap();
    let store = client(&endpoint, "lake");
    let (from, to) = (Path::parse("a b/ü%=1").unwrap(), Path::from("copy"));
    let put = store.put(&from, "content".into()).await.unwrap();
    store.copy(&from, &to).await.unwrap();
    let copied = store.get(&to).await.unwrap();
    assert_eq!(copied.meta.e_tag, put.e_tag);
    assert_eq!(copied.bytes().await.unwrap(), "content");
    assert!(store.copy(&Path::from("absent"), &to).await.is_err());
    assert_eq!(endpoint.requests()[1].operation, Operation::CopyObject);
}

#[tokio::test]
async fn multipart_uploads_in_memory_and_in_files() {
    let folder = tempfile::tempdir().unwrap();
    for builder in [Endpoint::builder(), Endpoint::builder().spool_to(folder.path())] {
        let endpoint = builder.bucket("lake").start().await.unwrap();
        let store = client(&endpoint, "lake");
        let parts: Vec<Bytes> = [(b'a', 5 << 20), (b'b', 5 << 20), (b'c', 17)]
            .map(|(byte, length)| Bytes::from(vec![byte; length]))
            .to_vec();
        let mut upload = store.put_multipart(&Path::from("big")).await.unwrap();
        for part in &parts {
            upload.put_part(part.clone().into()).await.unwrap();
        }
        assert_eq!(endpoint.unfinished_uploads("lake").unwrap(), ["big"]);
        assert!(endpoint.get("lake", "big").unwrap().is_none());
        let put = upload.complete().await.unwrap();
        assert!(put.e_tag.unwrap().ends_with("-3\""));
        assert!(endpoint.unfinished_uploads("lake").unwrap().is_empty());
        assert_eq!(endpoint.get("lake", "big").unwrap().unwrap(), parts.concat());
        let seam = store.get_range(&Path::from("big"), (5 << 20) - 2..(5 << 20) + 2).await.unwrap();
        assert_eq!(seam, "aabb");

        let mut aborted = store.put_multipart(&Path::from("other")).await.unwrap();
        aborted.put_part("x".into()).await.unwrap();
        aborted.abort().await.unwrap();
        assert!(endpoint.unfinished_uploads("lake").unwrap().is_empty());
        assert_eq!(endpoint.keys("lake").unwrap(), ["big"]);

        let mut small = store.put_multipart(&Path::from("small")).await.unwrap();
        small.put_part("x".into()).await.unwrap();
        small.put_part("y".into()).await.unwrap();
        let error = small.complete().await.unwrap_err();
        assert!(full(&error).contains("EntityTooSmall"), "{}", full(&error));
        endpoint.shutdown().await;
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "spooled files outlive the endpoint");
}

#[tokio::test]
async fn a_folder_is_served_in_place() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("date=2025-01-01")).unwrap();
    std::fs::write(folder.path().join("date=2025-01-01/a b.csv"), "id\n1\n").unwrap();
    std::fs::write(folder.path().join("top.csv"), "id\n2\n").unwrap();
    let endpoint = Endpoint::builder().bucket("lake").start().await.unwrap();
    assert_eq!(endpoint.upload_dir("lake", "crm/", folder.path()).unwrap(), 2);
    assert_eq!(endpoint.keys("lake").unwrap(), ["crm/date=2025-01-01/a b.csv", "crm/top.csv"]);
    let store = client(&endpoint, "lake");
    let got = store.get(&Path::from("crm/date=2025-01-01/a b.csv")).await.unwrap();
    assert_eq!(got.bytes().await.unwrap(), "id\n1\n");

    let before = endpoint.put_file("lake", "x", folder.path().join("top.csv")).unwrap();
    assert_eq!(endpoint.put_file("lake", "x", folder.path().join("top.csv")).unwrap(), before);
    std::fs::write(folder.path().join("top.csv"), "id\n2\n3\n").unwrap();
    assert_ne!(endpoint.put_file("lake", "x", folder.path().join("top.csv")).unwrap(), before);
    assert!(endpoint.put_file("lake", "x", folder.path().join("absent")).is_err());
    assert!(endpoint.put("pond", "x", "y").is_err());
}

#[tokio::test]
async fn after_shutdown_nobody_answers() {
    let endpoint = Endpoint::builder().bucket("lake").start().await.unwrap();
    let store = client(&endpoint, "lake");
    store.put(&Path::from("a"), "x".into()).await.unwrap();
    endpoint.shutdown().await;
    assert!(store.get(&Path::from("a")).await.is_err());
}
