//! The steps of `tapline check`.

use tapline_core::CheckStep;
use tapline_endpoint::{Bucket, Endpoint, Operation, Policy, User};
use tapline_storage::{Auth, FileType, S3SourceConfig};

use crate::support::{BUCKET, config, connect, count, endpoint, source};

const STEPS: [&str; 6] = ["resolve", "connect", "credentials", "list", "read", "parse"];

fn names(steps: &[CheckStep]) -> Vec<&str> {
    steps.iter().map(|step| step.name.as_str()).collect()
}

/// The step that failed, which must be the last, and of this code.
fn failed<'a>(steps: &'a [CheckStep], name: &str, code: &str) -> &'a CheckStep {
    let last = steps.last().expect("a step");
    assert!(steps[..steps.len() - 1].iter().all(|step| step.ok), "{steps:?}");
    assert_eq!((last.name.as_str(), last.ok, last.code.as_deref()), (name, false, Some(code)), "{last:?}");
    assert!(last.hint.is_some(), "{last:?}");
    last
}

#[tokio::test]
async fn a_good_source_passes_all_steps() {
    let endpoint = endpoint().await;
    endpoint.put(BUCKET, "t/a.csv", "id;name\n1;x\n2;y\n").expect("put");
    let steps = source(&endpoint).check().await;
    assert_eq!(names(&steps), STEPS);
    assert!(steps.iter().all(|step| step.ok), "{steps:?}");
    let said = |index: usize| steps[index].message.as_deref().unwrap_or_default();
    assert!(said(1).contains("us-east-1"), "{}", said(1));
    assert!(said(5).contains("2 columns"), "{}", said(5));
    let secret = &endpoint.access_key().secret;
    assert!(!format!("{steps:?}").contains(secret.as_str()));
    assert_eq!(count(&endpoint, Operation::ListObjectsV2), 1);
}

#[tokio::test]
async fn two_list_requests_at_most() {
    let endpoint = Endpoint::builder().bucket(BUCKET).page_size(3).start().await.expect("an endpoint");
    for index in 0..20 {
        endpoint.put(BUCKET, &format!("t/{index:02}.pdf"), "x").expect("put");
    }
    endpoint.put(BUCKET, "t/z.csv", "a\n1\n").expect("put");
    let steps = source(&endpoint).check().await;
    assert_eq!(names(&steps), STEPS[..4]);
    assert!(steps.iter().all(|step| step.ok), "{steps:?}");
    assert!(steps[3].message.as_deref().is_some_and(|said| said.contains("at least 6")), "{:?}", steps[3]);
    assert_eq!(count(&endpoint, Operation::ListObjectsV2), 2);
}

#[tokio::test]
async fn each_failure_stops_at_its_step() {
    let endpoint = endpoint().await;
    endpoint.put(BUCKET, "t/a.csv", "a\n1\n").expect("put");
    let check = async |config: S3SourceConfig| connect(config).check().await;
    let wrong_secret = Auth::IamUser {
        access_key_id: endpoint.access_key().id.clone(),
        secret_access_key: "wrong".into(),
        session_token: None,
    };
    failed(
        &check(S3SourceConfig { endpoint: Some("http://no-such-host.invalid".to_owned()), ..config(&endpoint) }).await,
        "resolve",
        "S3-001",
    );
    failed(
        &check(S3SourceConfig { endpoint: Some("http://127.0.0.1:1".to_owned()), ..config(&endpoint) }).await,
        "connect",
        "S3-001",
    );
    failed(&check(S3SourceConfig { bucket: "lakes".to_owned(), ..config(&endpoint) }).await, "connect", "S3-006");
    failed(&check(S3SourceConfig { auth: wrong_secret, ..config(&endpoint) }).await, "list", "S3-002");
    failed(&check(S3SourceConfig { path: "nowhere".to_owned(), ..config(&endpoint) }).await, "list", "S3-007");
    failed(&check(S3SourceConfig { file_type: FileType::Parquet, ..config(&endpoint) }).await, "list", "S3-011");
    let step = check(S3SourceConfig { region: Some("eu-west-1".to_owned()), ..config(&endpoint) }).await;
    assert!(failed(&step, "list", "S3-003").message.as_deref().is_some_and(|said| said.contains("us-east-1")));
}

#[tokio::test]
async fn a_file_that_may_not_be_read() {
    let endpoint = Endpoint::builder()
        .bucket(Bucket::new(BUCKET))
        .user(User::new("AKIAREADER", "secret").policy(Policy::no_access().allow(&["s3:ListBucket"], "*")))
        .start()
        .await
        .expect("an endpoint");
    endpoint.put(BUCKET, "t/a.csv", "a\n1\n").expect("put");
    let steps = source(&endpoint).check().await;
    let said = failed(&steps, "read", "S3-004").message.clone().unwrap_or_default();
    assert!(said.contains("s3:GetObject") && said.contains("AccessDenied") && said.contains("request id"), "{said}");
}

#[tokio::test]
async fn files_that_are_not_what_they_are_called() {
    for (key, content, code) in [
        ("a.parquet", b"id,name\n1,x\n".as_slice(), "FILE-001"),
        ("a.parquet", b"PAR1 cut off", "FILE-001"),
        ("a.csv", b"PAR1....PAR1", "S3-011"),
        ("a.jsonl", b"[1, 2]\n", "FILE-005"),
        ("a.csv.gz", b"\x1f\x8b\x08\x00not gzip at all", "FILE-002"),
    ] {
        let endpoint = endpoint().await;
        endpoint.put(BUCKET, key, content).expect("put");
        let steps = source(&endpoint).check().await;
        let last = steps.last().expect("a step");
        assert_eq!((last.name.as_str(), last.code.as_deref()), ("parse", Some(code)), "{key} {last:?}");
    }
}

#[tokio::test]
async fn a_file_as_the_path_is_checked_too() {
    let endpoint = endpoint().await;
    endpoint.put(BUCKET, "exports/a.csv", "a\n1\n").expect("put");
    endpoint.put(BUCKET, "exports/a.csv2", "a\n1\n").expect("put");
    let steps = connect(S3SourceConfig { path: "exports/a.csv".to_owned(), ..config(&endpoint) }).check().await;
    assert_eq!(names(&steps), STEPS);
    assert!(steps.iter().all(|step| step.ok), "{steps:?}");
    assert!(count(&endpoint, Operation::ListObjectsV2) <= 2);
}
