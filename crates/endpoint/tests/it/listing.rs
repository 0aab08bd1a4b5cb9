//! Listings and their pages.

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tapline_endpoint::{Endpoint, Operation};

use crate::client;

async fn filled(page_size: usize) -> Endpoint {
    let endpoint = Endpoint::builder().bucket("lake").page_size(page_size).start().await.unwrap();
    for key in ["a.csv", "crm/c 1+1.csv", "crm/d/e.csv", "crm/d/f.csv", "crm/g.csv", "crm2/h.csv", "ü/z.csv"] {
        endpoint.put("lake", key, key).unwrap();
    }
    endpoint
}

#[tokio::test]
async fn pages_add_up_whatever_their_size() {
    for page_size in [1, 2, 3, 1000] {
        let endpoint = filled(page_size).await;
        let store = client(&endpoint, "lake");
        let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
        let keys: Vec<_> = listed.iter().map(|meta| meta.location.to_string()).collect();
        assert_eq!(keys, endpoint.keys("lake").unwrap());
        let sizes: Vec<_> = listed.iter().map(|meta| meta.size as usize).collect();
        assert_eq!(sizes, keys.iter().map(String::len).collect::<Vec<_>>());
        let pages = endpoint.requests().iter().filter(|call| call.operation == Operation::ListObjectsV2).count();
        assert_eq!(pages, 7usize.div_ceil(page_size));
        for meta in &listed {
            assert_eq!(store.head(&meta.location).await.unwrap(), *meta);
        }
    }
}

#[tokio::test]
async fn prefixes_delimiters_and_offsets() {
    for page_size in [1, 2, 1000] {
        let endpoint = filled(page_size).await;
        let store = client(&endpoint, "lake");
        let level = store.list_with_delimiter(Some(&Path::from("crm"))).await.unwrap();
        let names = |paths: Vec<String>| paths.join(" | ");
        assert_eq!(names(level.common_prefixes.iter().map(ToString::to_string).collect()), "crm/d");
        let objects = level.objects.iter().map(|meta| meta.location.to_string()).collect();
        assert_eq!(names(objects), "crm/c 1+1.csv | crm/g.csv");
        let top = store.list_with_delimiter(None).await.unwrap();
        assert_eq!(names(top.common_prefixes.iter().map(ToString::to_string).collect()), "crm | crm2 | ü");

        let offset = Path::from("crm/d/e.csv");
        let rest: Vec<_> = store.list_with_offset(Some(&Path::from("crm")), &offset).try_collect().await.unwrap();
        let rest = rest.iter().map(|meta| meta.location.to_string()).collect();
        assert_eq!(names(rest), "crm/d/f.csv | crm/g.csv");
    }
}

#[tokio::test]
async fn many_are_deleted_at_once() {
    let endpoint = filled(1000).await;
    let store = client(&endpoint, "lake");
    let paths = store.list(Some(&Path::from("crm"))).map_ok(|meta| meta.location).boxed();
    let deleted: Vec<_> = store.delete_stream(paths).try_collect().await.unwrap();
    assert_eq!(deleted.len(), 4);
    assert_eq!(endpoint.keys("lake").unwrap(), ["a.csv", "crm2/h.csv", "ü/z.csv"]);
    assert_eq!(endpoint.requests().last().unwrap().operation, Operation::DeleteObjects);
}
