//! Keys that other tools trip over.

use object_store::ObjectStore;
use tapline_core::codes;
use tapline_endpoint::{Bucket, Endpoint};
use tapline_storage::S3SourceConfig;

use crate::support::{config, connect, holding, keys, list, pinned, read, source};

const STRANGE: [&str; 10] = [
    "a b+c%d=é/x.csv",
    "a%20b/x.csv",
    "a//b/x.csv",
    "/leading/x.csv",
    "q?r#s&t/x.csv",
    "日本語/データ.csv",
    "tilde~star'(paren)!/x.csv",
    "back\\slash/x.csv",
    "trailing /x .csv",
    "year=2024/city=São Paulo/x.csv",
];

#[tokio::test]
async fn keys_are_found_and_read_exactly_as_typed() {
    let endpoint = holding(&STRANGE).await;
    let source = source(&endpoint);
    for key in STRANGE {
        // `?` is a wildcard; DuckDB users write it between brackets.
        let typed = key.replace('?', "[?]").replace('\\', if key.contains('?') { "\\\\" } else { "\\" });
        let (store, manifest) = pinned(&source, &typed).await;
        assert_eq!(keys(&manifest), [key]);
        let bytes = read(&store, &manifest.files[0].location()).await.expect(key);
        assert_eq!(bytes, key.as_bytes(), "{key}");
    }
}

#[tokio::test]
async fn keys_are_found_and_read_in_folders() {
    let endpoint = holding(&STRANGE).await;
    let source = source(&endpoint);
    let (store, manifest) = pinned(&source, "").await;
    let mut expected = STRANGE;
    expected.sort_unstable();
    assert_eq!(keys(&manifest), expected);
    for file in &manifest.files {
        assert_eq!(read(&store, &file.location()).await.expect("bytes"), file.key.as_bytes(), "{}", file.key);
    }
    let listed: Vec<_> = futures::TryStreamExt::try_collect::<Vec<_>>(store.list(None)).await.expect("metas");
    assert_eq!(listed.len(), STRANGE.len());
}

#[tokio::test]
async fn dots_in_bucket_names() {
    let endpoint = Endpoint::builder().bucket(Bucket::new("my.lake.example")).start().await.expect("an endpoint");
    endpoint.put("my.lake.example", "x.csv", "x").expect("put");
    let source = connect(S3SourceConfig { bucket: "my.lake.example".to_owned(), ..config(&endpoint) });
    let manifest = source.list(&source.everything()).await.expect("files");
    assert_eq!(keys(&manifest), ["x.csv"]);
}

#[tokio::test]
async fn segments_that_urls_resolve_are_refused_clearly() {
    let endpoint = holding(&["a/x.csv"]).await;
    let error = list(&source(&endpoint), "a/../x.csv").await.expect_err("no such URL");
    assert_eq!(error.code(), codes::S3_010);
    assert!(error.message().contains(".."), "{error}");
    assert_eq!(endpoint.requests().len(), 0);
}
