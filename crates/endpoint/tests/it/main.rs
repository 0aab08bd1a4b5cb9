//! The endpoint from outside: real clients over real HTTP.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod access;
mod faults;
mod listing;
mod objects;
mod sts;
mod wire;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ClientOptions, RetryConfig};
use tapline_endpoint::{AccessKey, Endpoint};

/// A client of a bucket that never retries, so that every answer shows.
fn client(endpoint: &Endpoint, bucket: &str) -> AmazonS3 {
    client_as(endpoint, bucket, endpoint.access_key())
}

fn client_as(endpoint: &Endpoint, bucket: &str, key: &AccessKey) -> AmazonS3 {
    settings(endpoint, bucket, key).build().unwrap()
}

fn settings(endpoint: &Endpoint, bucket: &str, key: &AccessKey) -> AmazonS3Builder {
    let builder = AmazonS3Builder::new()
        .with_endpoint(endpoint.url())
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .with_region("us-east-1")
        .with_bucket_name(bucket)
        .with_access_key_id(&key.id)
        .with_secret_access_key(&key.secret);
    match &key.session_token {
        Some(token) => builder.with_token(token),
        None => builder,
    }
}

/// An error with all its causes, which is where clients put the code that S3 answered with.
fn full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
