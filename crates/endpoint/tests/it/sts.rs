//! AssumeRole and GetCallerIdentity, with the AWS SDK.

use std::time::{Duration, SystemTime};

use aws_sdk_sts::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleOutput;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use tapline_endpoint::{AccessKey, Endpoint, Fault, Operation, Policy, Role, User};

use crate::{client_as, full};

const ROLE: &str = "arn:aws:iam::210987654321:role/lake-reader";

fn sts(endpoint: &Endpoint, key: &AccessKey) -> aws_sdk_sts::Client {
    let credentials = Credentials::new(&key.id, &key.secret, key.session_token.clone(), None, "test");
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint.url())
        .retry_config(aws_sdk_sts::config::retry::RetryConfig::disabled())
        .credentials_provider(credentials)
        .build();
    aws_sdk_sts::Client::from_conf(config)
}

async fn started(lifetime: Option<Duration>) -> Endpoint {
    let trust = Policy::from_json(
        r#"{"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"AWS": "arn:aws:iam::123456789012:user/base"},
            "Condition": {"StringEquals": {"sts:ExternalId": "0b9a"}}}]}"#,
    )
    .unwrap();
    let role = Role::new(ROLE, trust).policy(Policy::no_access().allow(&["s3:GetObject"], "arn:aws:s3:::lake/crm/*"));
    let role = match lifetime {
        Some(lifetime) => role.lifetime(lifetime),
        None => role,
    };
    let endpoint = Endpoint::builder()
        .bucket("lake")
        .user(User::new("AKIABASE", "base").name("base").policy(Policy::no_access().allow(&["sts:AssumeRole"], ROLE)))
        .user(User::new("AKIAOTHER", "other").name("other"))
        .role(role)
        .start()
        .await
        .unwrap();
    endpoint.put("lake", "crm/a", "x").unwrap();
    endpoint.put("lake", "hr/b", "y").unwrap();
    endpoint
}

async fn assume(endpoint: &Endpoint, key: &AccessKey, external_id: Option<&str>) -> Result<AssumeRoleOutput, String> {
    let call = sts(endpoint, key).assume_role().role_arn(ROLE).role_session_name("tapline");
    let call = external_id.into_iter().fold(call, |call, id| call.external_id(id));
    call.send().await.map_err(|error| code_of(&error))
}

fn code_of<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    error.code().unwrap_or("none").to_owned()
}

fn key_of(output: &AssumeRoleOutput) -> AccessKey {
    let credentials = output.credentials().unwrap();
    AccessKey {
        id: credentials.access_key_id().to_owned(),
        secret: credentials.secret_access_key().to_owned(),
        session_token: Some(credentials.session_token().to_owned()),
    }
}

fn key(id: &str, secret: &str) -> AccessKey {
    AccessKey { id: id.to_owned(), secret: secret.to_owned(), session_token: None }
}

#[tokio::test]
async fn a_role_is_handed_out_to_whom_its_trust_policy_names() {
    let endpoint = started(None).await;
    let base = key("AKIABASE", "base");
    let output = assume(&endpoint, &base, Some("0b9a")).await.unwrap();
    let expires = SystemTime::try_from(*output.credentials().unwrap().expiration()).unwrap();
    let left = expires.duration_since(SystemTime::now()).unwrap();
    assert!(left > Duration::from_secs(3500) && left <= Duration::from_secs(3600), "{left:?}");

    let session = key_of(&output);
    let store = client_as(&endpoint, "lake", &session);
    assert_eq!(store.get(&Path::from("crm/a")).await.unwrap().bytes().await.unwrap(), "x");
    let denied = full(&store.get(&Path::from("hr/b")).await.unwrap_err());
    assert!(denied.contains("assumed-role/lake-reader/tapline is not authorized"), "{denied}");

    let identity = sts(&endpoint, &session).get_caller_identity().send().await.unwrap();
    assert_eq!(identity.arn(), Some("arn:aws:sts::210987654321:assumed-role/lake-reader/tapline"));
    let identity = sts(&endpoint, &base).get_caller_identity().send().await.unwrap();
    assert_eq!(identity.arn(), Some("arn:aws:iam::123456789012:user/base"));
    assert_eq!(identity.account(), Some("123456789012"));

    let operations: Vec<_> = endpoint.requests().iter().map(|request| request.operation).collect();
    assert_eq!(operations[0], Operation::AssumeRole);
    assert_eq!(operations[3..], [Operation::GetCallerIdentity; 2]);
}

#[tokio::test]
async fn everybody_else_is_turned_away() {
    let endpoint = started(None).await;
    let base = key("AKIABASE", "base");
    let refused = async |key: &AccessKey, id| assume(&endpoint, key, id).await.unwrap_err();
    assert_eq!(refused(&base, None).await, "AccessDenied");
    assert_eq!(refused(&base, Some("guess")).await, "AccessDenied");
    assert_eq!(refused(&key("AKIAOTHER", "other"), Some("0b9a")).await, "AccessDenied");
    assert_eq!(refused(&key("AKIABASE", "guess"), Some("0b9a")).await, "SignatureDoesNotMatch");
    assert_eq!(refused(&key("AKIANOBODY", "base"), Some("0b9a")).await, "InvalidClientTokenId");

    endpoint.inject(Fault::refuse(400, "Throttling").on(Operation::AssumeRole));
    assert_eq!(refused(&base, Some("0b9a")).await, "Throttling");

    let short = sts(&endpoint, &base).assume_role().role_arn(ROLE).role_session_name("s").external_id("0b9a");
    let error = short.duration_seconds(60).send().await.unwrap_err();
    assert_eq!(code_of(&error), "ValidationError");
}

#[tokio::test]
async fn handed_out_credentials_expire() {
    let endpoint = started(Some(Duration::ZERO)).await;
    let ended = key_of(&assume(&endpoint, &key("AKIABASE", "base"), Some("0b9a")).await.unwrap());
    let error = full(&client_as(&endpoint, "lake", &ended).get(&Path::from("crm/a")).await.unwrap_err());
    assert!(error.contains("ExpiredToken"), "{error}");
    let error = sts(&endpoint, &ended).get_caller_identity().send().await.unwrap_err();
    assert_eq!(code_of(&error), "ExpiredToken");
}
