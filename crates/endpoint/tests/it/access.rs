//! Who is let in, and what those who are not are told.

use std::time::Duration;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt};
use tapline_endpoint::{AccessKey, Bucket, Endpoint, Policy, User};

use crate::{client, client_as, full, settings};

async fn get_error(store: &impl ObjectStore, key: &str) -> String {
    full(&store.get(&Path::from(key)).await.unwrap_err())
}

async fn list_error(store: &impl ObjectStore) -> String {
    full(&store.list(None).try_collect::<Vec<_>>().await.unwrap_err())
}

#[tokio::test]
async fn wrong_credentials() {
    let endpoint = Endpoint::builder().bucket("lake").start().await.unwrap();
    endpoint.put("lake", "a", "x").unwrap();
    let key = endpoint.access_key().clone();
    assert!(!format!("{key:?}").contains(&key.secret));

    let stranger = AccessKey { id: "AKIANOBODY".to_owned(), ..key.clone() };
    let error = get_error(&client_as(&endpoint, "lake", &stranger), "a").await;
    assert!(error.contains("InvalidAccessKeyId"), "{error}");

    let forger = AccessKey { secret: "guess".to_owned(), ..key.clone() };
    let error = get_error(&client_as(&endpoint, "lake", &forger), "a").await;
    assert!(error.contains("SignatureDoesNotMatch"), "{error}");

    let confused = AccessKey { session_token: Some("token".to_owned()), ..key.clone() };
    let error = get_error(&client_as(&endpoint, "lake", &confused), "a").await;
    assert!(error.contains("InvalidToken"), "{error}");

    let anonymous = settings(&endpoint, "lake", &key).with_skip_signature(true).build().unwrap();
    let error = get_error(&anonymous, "a").await;
    assert!(error.contains("AccessDenied"), "{error}");

    let statuses: Vec<_> = endpoint.requests().into_iter().map(|request| request.status.unwrap()).collect();
    assert_eq!(statuses, [403, 403, 400, 403]);
}

#[tokio::test]
async fn wrong_bucket_and_wrong_region() {
    let endpoint = Endpoint::builder().bucket(Bucket::new("lake").region("eu-west-1")).start().await.unwrap();
    endpoint.put("lake", "a", "x").unwrap();
    let error = list_error(&client(&endpoint, "pond")).await;
    assert!(error.contains("NoSuchBucket"), "{error}");
    let error = list_error(&client(&endpoint, "lake")).await;
    assert!(error.contains("AuthorizationHeaderMalformed"), "{error}");
    assert!(error.contains("<Region>eu-west-1</Region>"), "{error}");
    let right = settings(&endpoint, "lake", endpoint.access_key()).with_region("eu-west-1").build().unwrap();
    assert_eq!(right.get(&Path::from("a")).await.unwrap().bytes().await.unwrap(), "x");
}

#[tokio::test]
async fn public_buckets_are_read_without_a_signature_but_not_written() {
    let endpoint = Endpoint::builder().bucket(Bucket::new("open").public()).start().await.unwrap();
    endpoint.put("open", "a", "x").unwrap();
    let store = settings(&endpoint, "open", endpoint.access_key()).with_skip_signature(true).build().unwrap();
    assert_eq!(store.list(None).try_collect::<Vec<_>>().await.unwrap().len(), 1);
    assert_eq!(store.get(&Path::from("a")).await.unwrap().bytes().await.unwrap(), "x");
    let error = store.put(&Path::from("b"), "y".into()).await.unwrap_err();
    assert!(full(&error).contains("AccessDenied"), "{}", full(&error));
    assert_eq!(endpoint.keys("open").unwrap(), ["a"]);
}

#[tokio::test]
async fn policies_narrow_what_a_user_may_do() {
    let reader = Policy::from_json(
        r#"{"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::lake",
             "Condition": {"StringLike": {"s3:prefix": ["crm/*"]}}},
            {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::lake/crm/*"}]}"#,
    )
    .unwrap();
    let blind = Policy::full_access().deny(&["s3:ListBucket"], "*").deny(&["s3:GetObject"], "arn:aws:s3:::lake/hr/*");
    let endpoint = Endpoint::builder()
        .bucket(Bucket::new("lake").versioned())
        .user(User::new("AKIAADMIN", "admin"))
        .user(User::new("AKIAREADER", "reader").name("reader").policy(reader))
        .user(User::new("AKIABLIND", "blind").policy(blind))
        .start()
        .await
        .unwrap();
    let key = |id: &str, secret: &str| AccessKey { id: id.to_owned(), secret: secret.to_owned(), session_token: None };
    endpoint.put("lake", "crm/a", "x").unwrap();
    endpoint.put("lake", "hr/b", "y").unwrap();

    let reader = client_as(&endpoint, "lake", &key("AKIAREADER", "reader"));
    assert_eq!(reader.list(Some(&Path::from("crm"))).try_collect::<Vec<_>>().await.unwrap().len(), 1);
    let error = list_error(&reader).await;
    assert!(error.contains("user/reader is not authorized to perform: s3:ListBucket"), "{error}");
    let got = reader.get(&Path::from("crm/a")).await.unwrap();
    let version = GetOptions { version: got.meta.version.clone(), ..GetOptions::default() };
    assert_eq!(got.bytes().await.unwrap(), "x");
    let error = full(&reader.get_opts(&Path::from("crm/a"), version).await.unwrap_err());
    assert!(error.contains("s3:GetObjectVersion"), "{error}");
    assert!(get_error(&reader, "hr/b").await.contains("s3:GetObject"));
    let error = full(&reader.put(&Path::from("crm/a"), "z".into()).await.unwrap_err());
    assert!(error.contains("s3:PutObject"), "{error}");
    // The listing of crm/* is allowed, so a key missing there is missing; elsewhere nothing is said.
    assert!(get_error(&reader, "crm/none").await.contains("NoSuchKey"));
    assert!(get_error(&reader, "hr/none").await.contains("AccessDenied"));

    let blind = client_as(&endpoint, "lake", &key("AKIABLIND", "blind"));
    assert!(list_error(&blind).await.contains("AccessDenied"));
    blind.get(&Path::from("crm/a")).await.unwrap();
    assert!(get_error(&blind, "crm/none").await.contains("AccessDenied"));
    assert!(get_error(&blind, "hr/b").await.contains("AccessDenied"));
}

#[tokio::test]
async fn temporary_credentials_end() {
    let endpoint = Endpoint::builder().bucket("lake").start().await.unwrap();
    endpoint.put("lake", "a", "x").unwrap();
    let user = endpoint.access_key().id.clone();
    let session = endpoint.open_session(&user, Duration::from_secs(900)).unwrap();
    let store = client_as(&endpoint, "lake", &session);
    store.get(&Path::from("a")).await.unwrap();

    let tokenless = AccessKey { session_token: None, ..session.clone() };
    assert!(get_error(&client_as(&endpoint, "lake", &tokenless), "a").await.contains("InvalidAccessKeyId"));
    let forged = AccessKey { session_token: Some("other".to_owned()), ..session.clone() };
    assert!(get_error(&client_as(&endpoint, "lake", &forged), "a").await.contains("InvalidToken"));

    endpoint.expire_sessions();
    assert!(get_error(&store, "a").await.contains("ExpiredToken"));
    assert!(endpoint.open_session("AKIANOBODY", Duration::from_secs(900)).is_none());
}
