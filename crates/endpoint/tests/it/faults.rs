//! Faults as a client meets them.

use std::time::Duration;

use futures::StreamExt;
use object_store::path::Path;
use object_store::{ClientOptions, GetOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use tapline_endpoint::{Endpoint, Fault, Operation};

use crate::{client, full, settings};

async fn started() -> Endpoint {
    let endpoint = Endpoint::builder().bucket("lake").start().await.unwrap();
    endpoint.put("lake", "a", vec![b'x'; 1 << 20]).unwrap();
    endpoint
}

/// How many bytes of the object arrive, and whether the body ended well.
async fn receive(store: &impl ObjectStore) -> (usize, bool) {
    let mut stream = store.get(&Path::from("a")).await.unwrap().into_stream();
    let mut received = 0;
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(bytes) => received += bytes.len(),
            Err(_) => return (received, false),
        }
    }
    (received, true)
}

#[tokio::test]
async fn refusals_hit_the_requests_they_name_and_retries_get_past_them() {
    let endpoint = started().await;
    let fault = endpoint.inject(Fault::slow_down().on(Operation::GetObject).key("a").times(2));
    let store = client(&endpoint, "lake");
    store.head(&Path::from("a")).await.unwrap();
    let error = full(&store.get(&Path::from("a")).await.unwrap_err());
    assert!(error.contains("503") && error.contains("SlowDown"), "{error}");

    let patient = settings(&endpoint, "lake", endpoint.access_key()).with_retry(RetryConfig::default());
    patient.build().unwrap().get(&Path::from("a")).await.unwrap();
    assert_eq!(fault.hits(), 2);
    let statuses: Vec<_> = endpoint.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [Some(200), Some(503), Some(503), Some(200)]);

    endpoint.inject(Fault::expired_token());
    assert!(full(&store.get(&Path::from("a")).await.unwrap_err()).contains("ExpiredToken"));
}

#[tokio::test]
async fn connections_that_break() {
    let endpoint = started().await;
    let store = client(&endpoint, "lake");
    let reset = endpoint.inject(Fault::reset());
    assert!(store.get(&Path::from("a")).await.is_err());
    assert_eq!(reset.hits(), 1);
    assert_eq!(endpoint.requests()[0].status, None);

    endpoint.inject(Fault::truncate_after(1000));
    assert_eq!(receive(&store).await, (1000, false));

    let reset = endpoint.inject(Fault::reset_after(1000));
    let (received, complete) = receive(&store).await;
    assert!(received <= 1000 && !complete);
    assert_eq!(reset.hits(), 1);
    assert_eq!(receive(&store).await, (1 << 20, true));
}

#[tokio::test]
async fn a_short_body_looks_complete() {
    let endpoint = started().await;
    let store = client(&endpoint, "lake");
    endpoint.inject(Fault::shorten_by(10).on(Operation::GetObject));
    let got = store.get_range(&Path::from("a"), 0..100).await.unwrap();
    assert_eq!(got.len(), 90);
}

#[tokio::test]
async fn stalls_last_until_the_client_gives_up() {
    let endpoint = started().await;
    let options = ClientOptions::new().with_allow_http(true).with_timeout(Duration::from_millis(200));
    let store = settings(&endpoint, "lake", endpoint.access_key()).with_client_options(options).build().unwrap();
    let before = endpoint.inject(Fault::stall());
    assert!(store.get(&Path::from("a")).await.is_err());
    let within = endpoint.inject(Fault::stall_after(1000));
    assert_eq!(receive(&store).await, (1000, false));
    assert_eq!((before.hits(), within.hits()), (1, 1));
    assert_eq!(receive(&store).await, (1 << 20, true));
}

#[tokio::test]
async fn objects_replaced_underfoot() {
    let endpoint = started().await;
    let store = client(&endpoint, "lake");
    let etag = store.head(&Path::from("a")).await.unwrap().e_tag;
    let pinned = || GetOptions { if_match: etag.clone(), ..GetOptions::default() };
    store.get_opts(&Path::from("a"), pinned()).await.unwrap();

    endpoint.inject(Fault::rewrite_object().on(Operation::GetObject));
    let error = store.get_opts(&Path::from("a"), pinned()).await.unwrap_err();
    assert!(matches!(error, object_store::Error::Precondition { .. }), "{error}");
    assert_eq!(receive(&store).await, (1 << 20, true));

    endpoint.inject(Fault::replace_object("new").on(Operation::GetObject));
    assert_eq!(store.get(&Path::from("a")).await.unwrap().bytes().await.unwrap(), "new");
    assert_eq!(endpoint.get("lake", "a").unwrap().unwrap(), "new");
}
