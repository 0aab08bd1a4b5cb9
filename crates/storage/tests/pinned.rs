//! Reads that are held to a listing.

use object_store::{GetRange, ObjectStore, ObjectStoreExt, path::Path};
use tapline_core::{Retry, codes};
use tapline_endpoint::{Bucket, Endpoint, Operation, Policy, User};
use tapline_storage::{PinnedStore, carried_error};

use crate::support::{BUCKET, config, connect, holding, list, pinned, read, source, user};

#[tokio::test]
async fn every_read_insists_on_the_listed_state() {
    let endpoint = holding(&["t/a.csv"]).await;
    let (store, manifest) = pinned(&source(&endpoint), "t/").await;
    let location = manifest.files[0].location();
    endpoint.clear_requests();
    assert_eq!(store.get_range(&location, 2..5).await.expect("bytes"), "a.c");
    let ranges = store.get_ranges(&location, &[0..1, 3..3, 6..7]).await.expect("bytes");
    assert_eq!(ranges, ["t", "", "v"]);
    // What was read lately is not asked for again.
    assert_eq!(read(&store, &location).await.expect("bytes"), "t/a.csv");
    let requests = endpoint.requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    let etag = manifest.files[0].etag.as_deref().expect("an ETag");
    for request in requests {
        assert_eq!(request.operation, Operation::GetObject);
        assert!(request.if_match.as_deref().is_some_and(|sent| sent.contains(etag)), "{request:?}");
    }
    assert_eq!(store.traffic().requests, 2);
    assert_eq!(store.traffic().bytes, 3 + 7);
}

#[tokio::test]
async fn a_replaced_object_is_an_error_of_its_own() {
    let endpoint = holding(&["t/a.csv", "t/b.csv"]).await;
    let source = source(&endpoint);
    let (store, manifest) = pinned(&source, "t/").await;
    endpoint.put(BUCKET, "t/a.csv", "T/A.CSV").expect("put");
    assert!(endpoint.delete(BUCKET, "t/b.csv").expect("delete"));
    for file in &manifest.files {
        let error = read(&store, &file.location()).await.expect_err("changed");
        assert_eq!(error.code(), codes::S3_008, "{error:?}");
        assert!(matches!(error.retry(), Retry::After(_)));
        assert!(error.message().contains(&file.key), "{error}");
        assert_eq!(source.read_range(file, 0..3).await.expect_err("changed").code(), codes::S3_008);
    }
    let again = list(&source, "t/a.csv").await.expect("a file");
    assert_eq!(store.pin(&again).expect_err("two states").code(), codes::S3_008);
    assert_eq!(read(&pinned(&source, "t/a.csv").await.0, &again.files[0].location()).await.expect("bytes"), "T/A.CSV");
}

#[tokio::test]
async fn a_versioned_object_is_read_on_as_it_was() {
    let endpoint = Endpoint::builder().bucket(Bucket::new(BUCKET).versioned()).start().await.expect("an endpoint");
    endpoint.put(BUCKET, "a.csv", "first").expect("put");
    let (store, manifest) = pinned(&source(&endpoint), "a.csv").await;
    let location = manifest.files[0].location();
    assert_eq!(store.get_range(&location, 0..2).await.expect("bytes"), "fi");
    endpoint.put(BUCKET, "a.csv", "other").expect("put");
    assert_eq!(store.get_range(&location, 2..5).await.expect("bytes"), "rst");
}

#[tokio::test]
async fn versions_that_may_not_be_read_are_done_without() {
    let policy = Policy::no_access().allow(&["s3:GetObject", "s3:ListBucket"], "*");
    let endpoint = Endpoint::builder()
        .bucket(Bucket::new(BUCKET).versioned())
        .user(User::new("AKIAREADER", "secret").policy(policy))
        .start()
        .await
        .expect("an endpoint");
    endpoint.put(BUCKET, "a.csv", "first").expect("put");
    let mut settings = config(&endpoint);
    settings.auth = user("AKIAREADER", "secret");
    let (store, manifest) = pinned(&connect(settings), "a.csv").await;
    let location = manifest.files[0].location();
    for (start, text) in [(4, "t"), (3, "st"), (2, "rst")] {
        assert_eq!(store.get_range(&location, start..5).await.expect("bytes"), text);
    }
    let refused = endpoint.requests().iter().filter(|request| request.status == Some(403)).count();
    assert_eq!(refused, 1, "asked for by version once");
    endpoint.put(BUCKET, "a.csv", "other").expect("put");
    let error = store.get_range(&location, 1..5).await.expect_err("changed");
    assert_eq!(carried_error(&error).expect("ours").code(), codes::S3_008);
}

#[tokio::test]
async fn what_the_manifest_knows_is_not_asked() {
    let endpoint = holding(&["t/a.csv", "t/u/b.csv"]).await;
    endpoint.put(BUCKET, "t/empty.csv", "").expect("put");
    let (store, _) = pinned(&source(&endpoint), "t/").await;
    endpoint.clear_requests();
    assert_eq!(store.head(&Path::from("t/a.csv")).await.expect("meta").size, 7);
    assert_eq!(read(&store, &Path::from("t/empty.csv")).await.expect("bytes").len(), 0);
    let listed = store.list_with_delimiter(Some(&Path::from("t"))).await.expect("a listing");
    assert_eq!(listed.objects.len(), 2);
    assert_eq!(listed.common_prefixes, [Path::from("t/u")]);
    assert_eq!(endpoint.requests().len(), 0);
}

#[tokio::test]
async fn nothing_else_can_be_reached_or_written() {
    let endpoint = holding(&["t/a.csv", "secret.csv"]).await;
    let (store, _) = pinned(&source(&endpoint), "t/").await;
    endpoint.clear_requests();
    let error = read(&store, &Path::from("secret.csv")).await.expect_err("not listed");
    assert_eq!(error.code(), codes::S3_009);
    assert!(store.put(&Path::from("t/a.csv"), "x".into()).await.is_err());
    assert!(store.delete(&Path::from("t/a.csv")).await.is_err());
    assert!(store.copy(&Path::from("t/a.csv"), &Path::from("t/b.csv")).await.is_err());
    assert_eq!(endpoint.requests().len(), 0);
}

#[tokio::test]
async fn ranges_from_the_end_and_beyond_it() {
    let endpoint = holding(&["t/a.csv"]).await;
    let (store, manifest) = pinned(&source(&endpoint), "t/").await;
    let location = manifest.files[0].location();
    let suffix = object_store::GetOptions::new().with_range(Some(GetRange::Suffix(3)));
    let result = store.get_opts(&location, suffix).await.expect("a result");
    assert_eq!(result.range, 4..7);
    assert_eq!(result.bytes().await.expect("bytes"), "csv");
    assert_eq!(store.get_range(&location, 5..100).await.expect("bytes"), "sv");
    assert!(store.get_range(&location, 7..9).await.is_err());
    assert!(store.get_ranges(&location, &[0..1, 5..100]).await.is_err());
}

#[tokio::test]
async fn an_error_is_found_through_its_wrappers() {
    let endpoint = holding(&["t/a.csv"]).await;
    let store = PinnedStore::new(&source(&endpoint));
    let error = store.get(&Path::from("t/a.csv")).await.expect_err("not pinned");
    let own = carried_error(&error).expect("ours");
    let wrapped = std::io::Error::other(std::io::Error::other(own));
    assert_eq!(carried_error(&wrapped).expect("ours").code(), codes::S3_009);
    assert!(carried_error(&std::io::Error::other("theirs")).is_none());
}
