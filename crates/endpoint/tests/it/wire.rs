//! Answers byte by byte, where clients hide them: anonymous requests written by hand.

use tapline_endpoint::{Bucket, Endpoint};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends a request without a signature and returns head and body of the answer.
async fn send(endpoint: &Endpoint, request_line: &str) -> (String, String) {
    let address = endpoint.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request_line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

async fn started() -> Endpoint {
    let endpoint = Endpoint::builder()
        .bucket(Bucket::new("open").public().region("eu-west-1"))
        .bucket(Bucket::new("closed").region("ap-south-1"))
        .start()
        .await
        .unwrap();
    for key in ["d/a b+c%.csv", "d/e", "f", "g&h"] {
        endpoint.put("open", key, "x").unwrap();
    }
    endpoint
}

#[tokio::test]
async fn the_region_of_a_bucket_is_told_to_everybody() {
    let endpoint = started().await;
    let (head, _) = send(&endpoint, "HEAD /open").await;
    assert!(head.starts_with("http/1.1 200") && head.contains("x-amz-bucket-region: eu-west-1"), "{head}");
    let (head, _) = send(&endpoint, "HEAD /closed").await;
    assert!(head.starts_with("http/1.1 403") && head.contains("x-amz-bucket-region: ap-south-1"), "{head}");
    let (head, _) = send(&endpoint, "HEAD /none").await;
    assert!(head.starts_with("http/1.1 404") && !head.contains("x-amz-bucket-region"), "{head}");
    let (_, body) = send(&endpoint, "GET /open?location").await;
    assert!(body.contains(">eu-west-1</LocationConstraint>"), "{body}");
}

#[tokio::test]
async fn errors_are_the_documents_of_s3() {
    let endpoint = started().await;
    for (request, status, code) in [
        ("GET /none/a", 404, "NoSuchBucket"),
        ("GET /open/none", 404, "NoSuchKey"),
        ("GET /open/f?versionId=x", 404, "NoSuchVersion"),
        ("GET /closed/a", 403, "AccessDenied"),
        ("PUT /open/new", 403, "AccessDenied"),
        ("GET /", 403, "AccessDenied"),
        ("GET /open?list-type=2&max-keys=-1", 400, "InvalidArgument"),
        ("GET /open?list-type=2&continuation-token=zz", 400, "InvalidArgument"),
        ("GET /open?acl", 403, "AccessDenied"),
    ] {
        let (head, body) = send(&endpoint, request).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{request}: {head}");
        assert!(body.contains(&format!("<Error><Code>{code}</Code>")), "{request}: {body}");
    }
}

#[tokio::test]
async fn listings_of_both_versions() {
    let endpoint = started().await;
    let (_, body) = send(&endpoint, "GET /open?list-type=2&prefix=d/&encoding-type=url").await;
    assert!(body.contains("<Key>d/a%20b%2Bc%25.csv</Key>"), "{body}");
    let (_, body) = send(&endpoint, "GET /open?list-type=2&prefix=g").await;
    assert!(body.contains("<Key>g&amp;h</Key>"), "{body}");
    let (_, body) = send(&endpoint, "GET /open?list-type=2&max-keys=0").await;
    assert!(body.contains("<KeyCount>0</KeyCount>") && body.contains("<IsTruncated>false</IsTruncated>"), "{body}");

    let (_, body) = send(&endpoint, "GET /open?delimiter=/&max-keys=1").await;
    assert!(body.contains("<CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes>"), "{body}");
    assert!(body.contains("<NextMarker>d/</NextMarker>") && !body.contains("<Contents>"), "{body}");
    let (_, body) = send(&endpoint, "GET /open?delimiter=/&marker=d/&max-keys=1").await;
    assert!(body.contains("<Key>f</Key>") && body.contains("<IsTruncated>true</IsTruncated>"), "{body}");
}
