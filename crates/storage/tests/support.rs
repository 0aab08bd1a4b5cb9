//! An endpoint, a source on it, and short ways to ask both.

use std::time::Duration;

use bytes::Bytes;
use object_store::{ObjectStoreExt, path::Path};
use tapline_core::{Error, Secret};
use tapline_endpoint::{Endpoint, Operation};
use tapline_storage::{
    Auth, ConnectOptions, FileFormat, FileType, Manifest, PinnedStore, RetryPolicy, S3Source, S3SourceConfig,
    carried_error,
};

pub const BUCKET: &str = "lake";

/// An endpoint with one private bucket and one user who may do everything.
pub async fn endpoint() -> Endpoint {
    Endpoint::builder().bucket(BUCKET).start().await.expect("an endpoint")
}

/// An endpoint that holds these keys, each with its own name as content.
pub async fn holding(keys: &[&str]) -> Endpoint {
    let endpoint = endpoint().await;
    for key in keys {
        endpoint.put(BUCKET, key, key.as_bytes().to_vec()).expect(key);
    }
    endpoint
}

pub fn config(endpoint: &Endpoint) -> S3SourceConfig {
    let key = endpoint.access_key();
    S3SourceConfig {
        region: Some("us-east-1".to_owned()),
        path: String::new(),
        file_type: FileType::Any,
        auth: user(&key.id, &key.secret),
        endpoint: Some(endpoint.url().to_owned()),
        ..S3SourceConfig::ambient(BUCKET)
    }
}

pub fn user(id: &str, secret: &str) -> Auth {
    Auth::IamUser { access_key_id: id.to_owned(), secret_access_key: Secret::from(secret), session_token: None }
}

/// Repeats as in real life, only faster.
pub fn impatient() -> ConnectOptions {
    let retry = RetryPolicy {
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(20),
        deadline: Duration::from_secs(5),
        stall: Duration::from_millis(400),
        ..RetryPolicy::default()
    };
    ConnectOptions { retry, ..ConnectOptions::default() }
}

pub fn connect(config: S3SourceConfig) -> S3Source {
    S3Source::connect(config, impatient()).expect("a source")
}

pub fn source(endpoint: &Endpoint) -> S3Source {
    connect(config(endpoint))
}

/// Lists what a URL below the bucket means.
pub async fn list(source: &S3Source, key: &str) -> Result<Manifest, Error> {
    list_as(source, key, None).await
}

pub async fn list_as(source: &S3Source, key: &str, reader: Option<FileFormat>) -> Result<Manifest, Error> {
    source.list(&source.pattern(&format!("s3://{BUCKET}/{key}"), reader)?).await
}

pub fn keys(manifest: &Manifest) -> Vec<&str> {
    manifest.files.iter().map(|file| file.key.as_str()).collect()
}

/// A store pinned to what a URL below the bucket means now.
pub async fn pinned(source: &S3Source, key: &str) -> (PinnedStore, Manifest) {
    let manifest = list(source, key).await.expect("files");
    let store = PinnedStore::new(source);
    store.pin(&manifest).expect("a first pin");
    (store, manifest)
}

/// Reads an object whole through a store; the error is the one that the store carries.
pub async fn read(store: &PinnedStore, location: &Path) -> Result<Bytes, Error> {
    let read = async { store.get(location).await?.bytes().await };
    read.await.map_err(|error| carried_error(&error).expect("an error of ours"))
}

pub fn count(endpoint: &Endpoint, operation: Operation) -> usize {
    endpoint.requests().iter().filter(|request| request.operation == operation).count()
}
