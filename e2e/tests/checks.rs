//! `tapline check`: each thing that can be wrong with a source fails at its own step, quotes AWS, and says the cure.
//! Not here: sources that are right (`sources`).

use serde_json::Value;
use tapline_endpoint::{Bucket, Fault, Operation, Policy, Role, User};

use crate::harness::World;

/// The steps of the source's check.
fn steps(world: &World, source: &str, code: i32) -> Vec<Value> {
    world.write("tapline.yaml", &format!("version: 1\nsources: {{ lake: {source} }}\n"));
    let report = world.tapline(&["check", "lake", "--format", "json"]).exits(code).json();
    assert_eq!(report[0]["ok"], code == 0, "{report}");
    report[0]["steps"].as_array().unwrap().clone()
}

/// Asserts the step at which a check fails, its code, and words of its message and hints.
#[track_caller]
fn fails(world: &World, source: &str, step: &str, code: &str, words: &[&str]) {
    let steps = steps(world, source, 1);
    let last = steps.last().unwrap();
    assert!(steps[..steps.len() - 1].iter().all(|step| step["ok"] == true), "{steps:#?}");
    assert_eq!((last["name"].as_str(), last["code"].as_str()), (Some(step), Some(code)), "{last:#}");
    let told = format!("{} {}", last["message"].as_str().unwrap(), last["hint"].as_str().unwrap());
    for word in words {
        assert!(told.contains(word), "`{word}` is not told: {last:#}");
    }
}

#[test]
fn keys_regions_and_buckets() {
    let world = World::new();
    world.put("people.csv", "id\n1\n");
    let good = world.source();
    assert_eq!(steps(&world, &good, 0).len(), 6);
    let key = world.endpoint.access_key();
    let unknown = good.replace(&key.id, "AKIANOBODY");
    fails(&world, &unknown, "list", "S3-002", &["InvalidAccessKeyId", "request id", "access key id"]);
    fails(&world, &good.replace(&key.secret, "wrong"), "list", "S3-002", &["SignatureDoesNotMatch", "request id"]);
    fails(
        &world,
        &good.replace("us-east-1", "eu-west-3"),
        "list",
        "S3-003",
        &["us-east-1", "region: us-east-1", "auto"],
    );
    assert_eq!(steps(&world, &good.replace("us-east-1", "auto"), 0).len(), 6);
    fails(&world, &good.replace("bucket: lake", "bucket: lakes"), "connect", "S3-006", &["lakes", "bucket"]);
    fails(
        &world,
        &good.replace(world.endpoint.url(), "http://127.0.0.1:1"),
        "connect",
        "S3-001",
        &["127.0.0.1:1", "port"],
    );
    let nowhere = good.replace(world.endpoint.url(), "http://no-such-host.invalid");
    fails(&world, &nowhere, "resolve", "S3-001", &["no-such-host.invalid"]);
    fails(&world, &good.replace("type: s3,", "type: s3, path: nowhere,"), "list", "S3-007", &["path"]);
    fails(&world, &good.replace("type: s3,", "type: s3, file_type: parquet,"), "list", "S3-011", &["parquet", "any"]);
}

#[test]
fn permissions() {
    let denied = |policy: Policy, step: &str, code: &str, words: &[&str]| {
        let world = World::with(|endpoint| endpoint.user(User::new("AKIAREADER", "secret").policy(policy)));
        world.put("people.csv", "id\n1\n");
        fails(&world, &world.source(), step, code, words);
    };
    let list = &["s3:ListBucket", "arn:aws:s3:::lake", "AccessDenied", "request id", "tapline policy"];
    denied(Policy::no_access().allow(&["s3:GetObject"], "*"), "list", "S3-005", list);
    let get = &["s3:GetObject", "arn:aws:s3:::lake/people.csv", "AccessDenied", "request id"];
    denied(Policy::no_access().allow(&["s3:ListBucket"], "*"), "read", "S3-004", get);
    // What a policy denies no other one can allow.
    let explicit = |action: &str| Policy::full_access().deny(&[action], "*");
    denied(explicit("s3:ListBucket"), "list", "S3-005", &["denies s3:ListBucket on arn:aws:s3:::lake explicitly"]);
    denied(explicit("s3:GetObject"), "read", "S3-004", &["explicitly", "the deny has to go", "people.csv"]);
}

#[test]
fn what_only_aws_says() {
    let world = World::new();
    world.put("people.csv", "id\n1\n");
    for (fault, step, code, words) in [
        (Fault::refuse(403, "RequestTimeTooSkewed").on(Operation::ListObjectsV2), "list", "S3-010", &["clock"][..]),
        (Fault::refuse(403, "InvalidObjectState").on(Operation::GetObject), "read", "S3-010", &["archived", "restore"]),
        (Fault::refuse(400, "KMS.DisabledException").on(Operation::GetObject), "read", "S3-004", &["kms:Decrypt"]),
        (Fault::refuse(403, "AccessDenied").on(Operation::GetObject), "read", "S3-004", &["requester-pays", "KMS"]),
        (
            Fault::refuse(400, "ExpiredToken").on(Operation::ListObjectsV2),
            "list",
            "S3-013",
            &["expired", "ExpiredToken"],
        ),
    ] {
        let fault = world.endpoint.inject(fault.always());
        fails(&world, &world.source(), step, code, words);
        assert!(fault.hits() > 0);
        world.endpoint.clear_faults();
    }
}

#[test]
fn roles() {
    const ROLE: &str = "arn:aws:iam::123456789012:role/lake-reader";
    let trust = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS":
        "arn:aws:iam::123456789012:user/base"}, "Action": "sts:AssumeRole", "Condition": {"StringEquals":
        {"sts:ExternalId": "right"}}}]}"#;
    let world = World::with(|endpoint| {
        let user = |id: &str, name: &str| User::new(id, "secret").name(name);
        endpoint
            .user(user("AKIABASE", "base").policy(Policy::no_access().allow(&["sts:AssumeRole"], ROLE)))
            .user(user("AKIAOTHER", "other").policy(Policy::no_access()))
            .role(Role::new(ROLE, Policy::from_json(trust).unwrap()))
    });
    world.put("people.csv", "id\n1\n");
    let url = world.endpoint.url();
    let source = |external_id: &str, key: &str, secret: &str| {
        format!(
            "{{ type: s3, bucket: lake, region: us-east-1, endpoint: \"{url}\", sts_endpoint: \"{url}\", auth: {{ type: \
             iam_role, role_arn: \"{ROLE}\", external_id: {external_id}, base: {{ type: iam_user, access_key_id: {key}, \
             secret_access_key: {secret} }} }} }}"
        )
    };
    steps(&world, &source("right", "AKIABASE", "secret"), 0);
    let refused = [ROLE, "AccessDenied", "external id", "trust policy", "sts:AssumeRole"];
    fails(&world, &source("wrong", "AKIABASE", "secret"), "credentials", "S3-012", &refused);
    fails(&world, &source("right", "AKIAOTHER", "secret"), "credentials", "S3-012", &refused);
    fails(&world, &source("right", "AKIABASE", "wrong"), "credentials", "S3-002", &["base access key"]);
}

#[test]
fn a_bucket_of_any_size_is_checked_with_two_lists() {
    let world = World::with(|endpoint| endpoint.bucket(Bucket::new("large")).page_size(10));
    for index in 0..500 {
        world.endpoint.put("large", &format!("t/{index:03}.csv"), "id\n1\n").unwrap();
    }
    steps(&world, &world.source().replace("bucket: lake", "bucket: large"), 0);
    let lists =
        world.endpoint.requests().iter().filter(|request| request.operation == Operation::ListObjectsV2).count();
    assert!(lists <= 2, "{lists} lists");
}
