//! Servers and networks that misbehave: either the exact bytes arrive, or a clear error does.

use std::time::Duration;

use object_store::ObjectStore;
use tapline_core::{Retry, codes};
use tapline_endpoint::{Fault, Operation};
use tapline_storage::{ConnectOptions, RetryPolicy, S3Source, S3SourceConfig};

use crate::support::{BUCKET, config, connect, count, endpoint, impatient, list, pinned, read, source};

const SIZE: usize = 300_000;

fn content() -> Vec<u8> {
    (0..SIZE).map(|index| (index % 251) as u8).collect()
}

/// One object, read whole as a stream and in ranges, under a fault on its first read.
async fn survives(fault: Fault) {
    let endpoint = endpoint().await;
    endpoint.put(BUCKET, "a.csv", content()).expect("put");
    let (store, manifest) = pinned(&source(&endpoint), "a.csv").await;
    let location = manifest.files[0].location();
    let hit = endpoint.inject(fault.clone().on(Operation::GetObject));
    assert!(read(&store, &location).await.expect("bytes") == content(), "{fault:?} changed what was read");
    assert_eq!(hit.hits(), 1, "{fault:?}");
    let hit = endpoint.inject(fault.clone().on(Operation::GetObject));
    let ranges = [5..1_000, 250_000..300_000];
    let parts = store.get_ranges(&location, &ranges).await.expect("bytes");
    for (part, range) in parts.iter().zip(ranges) {
        assert!(*part == content()[range.start as usize..range.end as usize], "{fault:?} changed {range:?}");
    }
    assert_eq!(hit.hits(), 1, "{fault:?}");
}

#[tokio::test]
async fn errors_that_pass() {
    survives(Fault::internal_error()).await;
    survives(Fault::slow_down()).await;
    survives(Fault::refuse(502, "BadGateway")).await;
}

#[tokio::test]
async fn connections_that_break() {
    survives(Fault::reset()).await;
    survives(Fault::reset_after(1_000)).await;
    survives(Fault::truncate_after(2_000)).await;
}

#[tokio::test]
async fn connections_that_stall() {
    survives(Fault::stall()).await;
    survives(Fault::stall_after(1_000)).await;
}

#[tokio::test]
async fn bodies_of_another_length_than_asked_for() {
    survives(Fault::shorten_by(10)).await;
}

#[tokio::test]
async fn a_broken_stream_goes_on_where_it_ended() {
    let endpoint = endpoint().await;
    endpoint.put(BUCKET, "a.csv", content()).expect("put");
    let (store, manifest) = pinned(&source(&endpoint), "a.csv").await;
    endpoint.inject(Fault::reset_after(100_000).on(Operation::GetObject));
    endpoint.clear_requests();
    assert!(read(&store, &manifest.files[0].location()).await.expect("bytes") == content());
    let ranges: Vec<_> = endpoint.requests().into_iter().filter_map(|request| request.range).collect();
    assert_eq!(ranges.len(), 2);
    assert!(ranges[0].contains("0-299999") && !ranges[1].contains("=0-"), "{ranges:?}");
}

#[tokio::test]
async fn an_object_replaced_while_its_stream_is_broken_is_noticed() {
    let endpoint = endpoint().await;
    endpoint.put(BUCKET, "a.csv", content()).expect("put");
    let (store, manifest) = pinned(&source(&endpoint), "a.csv").await;
    endpoint.inject(Fault::reset_after(1_000).on(Operation::GetObject));
    endpoint.inject(Fault::replace_object(vec![7; SIZE]).on(Operation::GetObject).nth(2));
    let error = read(&store, &manifest.files[0].location()).await.expect_err("two halves of two objects");
    assert_eq!(error.code(), codes::S3_008);
}

#[tokio::test]
async fn an_error_that_does_not_pass_ends_by_the_deadline() {
    let endpoint = endpoint().await;
    endpoint.put(BUCKET, "a.csv", "x").expect("put");
    let hasty = RetryPolicy { deadline: Duration::from_millis(200), ..impatient().retry };
    let options = ConnectOptions { retry: hasty, ..ConnectOptions::default() };
    let source = S3Source::connect(config(&endpoint), options).expect("a source");
    endpoint.inject(Fault::slow_down().always());
    let error = list(&source, "a*").await.expect_err("always busy");
    assert_eq!(error.code(), codes::S3_010);
    assert!(error.message().contains("SlowDown"), "{error}");
    assert!(matches!(error.retry(), Retry::After(_)));
    assert!(count(&endpoint, Operation::ListObjectsV2) > 2);
}

#[tokio::test]
async fn what_cannot_pass_is_not_repeated() {
    let endpoint = endpoint().await;
    endpoint.put(BUCKET, "a.csv", "x").expect("put");
    let (store, manifest) = pinned(&source(&endpoint), "a.csv").await;
    endpoint.clear_requests();
    endpoint.inject(Fault::refuse(403, "InvalidObjectState").on(Operation::GetObject).always());
    let error = read(&store, &manifest.files[0].location()).await.expect_err("archived");
    assert_eq!(error.code(), codes::S3_010);
    assert!(error.message().contains("archived"), "{error}");
    assert!(error.hints().join(" ").contains("restore"), "{error:?}");
    assert_eq!(count(&endpoint, Operation::GetObject), 1);
}

#[tokio::test]
async fn nobody_there() {
    let endpoint = endpoint().await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    let unreachable = |url: String| connect(S3SourceConfig { endpoint: Some(url), ..config(&endpoint) });
    for (url, word) in [
        (format!("http://{closed}"), "does not accept connections"),
        ("http://no-such-host.invalid".to_owned(), "not known"),
        (endpoint.url().replace("http://", "https://"), "no secure connection"),
    ] {
        let error = list(&unreachable(url.clone()), "a*").await.expect_err("nobody");
        assert_eq!(error.code(), codes::S3_001, "{error:?}");
        assert!(error.message().contains(word), "{url}: {error:?}");
        assert!(!error.hints().is_empty());
    }
}

#[tokio::test]
async fn slow_readers_are_no_stalls() {
    let endpoint = endpoint().await;
    let size = 4_000_000;
    endpoint.put(BUCKET, "a.csv", vec![b'x'; size]).expect("put");
    let (store, manifest) = pinned(&source(&endpoint), "a.csv").await;
    let result =
        store.get_opts(&manifest.files[0].location(), object_store::GetOptions::new()).await.expect("a result");
    let mut pieces = result.into_stream();
    let mut received = 0;
    let mut pause = true;
    while let Some(piece) = futures::StreamExt::next(&mut pieces).await {
        received += piece.expect("bytes").len();
        if std::mem::take(&mut pause) {
            tokio::time::sleep(Duration::from_millis(900)).await;
        }
    }
    assert_eq!(received, size);
}
