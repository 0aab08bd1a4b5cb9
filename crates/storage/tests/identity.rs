//! Who asks: keys, sessions, roles, nobody; and what each refusal says.

use std::time::Duration;

use object_store::ObjectStoreExt;
use tapline_core::{Error, Secret, codes};
use tapline_endpoint::{Bucket, Endpoint, Operation, Policy, Role, User};
use tapline_storage::{Auth, S3SourceConfig, permission_policy, trust_policy};

use crate::support::{BUCKET, config, connect, count, endpoint, holding, keys, list, pinned, read, user};

const ROLE: &str = "arn:aws:iam::123456789012:role/lake-reader";

fn role(external_id: &str, base: Auth) -> Auth {
    Auth::IamRole {
        role_arn: ROLE.to_owned(),
        external_id: Some(external_id.to_owned()),
        base: Box::new(base),
        duration: None,
    }
}

async fn refusal(config: S3SourceConfig) -> Error {
    list(&connect(config), "t/*").await.expect_err("refused")
}

#[tokio::test]
async fn a_wrong_key_says_which_half() {
    let endpoint = holding(&["t/a.csv"]).await;
    let key = endpoint.access_key();
    for (auth, word) in
        [(user("AKIANOBODY", &key.secret), "id is not known"), (user(&key.id, "wrong"), "does not belong")]
    {
        let error = refusal(S3SourceConfig { auth: auth.clone(), ..config(&endpoint) }).await;
        assert_eq!(error.code(), codes::S3_002, "{error:?}");
        assert!(error.message().contains(word), "{error:?}");
        assert!(!format!("{error:?} {}", error.full_message()).contains(&key.secret));
        // The answer to a lookup has no body; the reason is found all the same.
        let error = list(&connect(S3SourceConfig { auth, ..config(&endpoint) }), "t/a.csv").await.expect_err("refused");
        assert_eq!(error.code(), codes::S3_002, "{error:?}");
    }
}

#[tokio::test]
async fn a_wrong_region_names_the_right_one_and_auto_finds_it() {
    let endpoint =
        Endpoint::builder().bucket(Bucket::new(BUCKET).region("eu-west-1")).start().await.expect("an endpoint");
    endpoint.put(BUCKET, "t/a.csv", "x").expect("put");
    let error = refusal(config(&endpoint)).await;
    assert_eq!(error.code(), codes::S3_003, "{error:?}");
    assert!(error.message().contains("eu-west-1") && error.message().contains("us-east-1"), "{error}");
    assert!(error.hints().join(" ").contains("region: eu-west-1"));
    let source = connect(S3SourceConfig { region: None, ..config(&endpoint) });
    assert_eq!(keys(&list(&source, "t/*").await.expect("files")), ["t/a.csv"]);
    list(&source, "t/a.csv").await.expect("files");
    assert_eq!(count(&endpoint, Operation::HeadBucket), 1);
}

#[tokio::test]
async fn no_such_bucket() {
    let endpoint = endpoint().await;
    for key in ["t/*", "t/a.csv"] {
        let source = connect(S3SourceConfig { bucket: "lakes".to_owned(), ..config(&endpoint) });
        let pattern = source.pattern(&format!("s3://lakes/{key}"), None).expect("a pattern");
        let error = source.list(&pattern).await.expect_err("no bucket");
        assert_eq!(error.code(), codes::S3_006, "{error:?}");
        assert!(error.message().contains("lakes"), "{error}");
    }
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let reader = |policy: Policy| async move {
        let endpoint = Endpoint::builder()
            .bucket(BUCKET)
            .user(User::new("AKIAREADER", "secret").policy(policy))
            .start()
            .await
            .expect("an endpoint");
        endpoint.put(BUCKET, "t/a.csv", "x").expect("put");
        endpoint
    };
    let endpoint = reader(Policy::no_access().allow(&["s3:GetObject"], "*")).await;
    let error = refusal(config(&endpoint)).await;
    assert_eq!(error.code(), codes::S3_005, "{error:?}");
    assert!(error.message().contains("s3:ListBucket"), "{error}");
    assert!(error.hints().join(" ").contains("arn:aws:s3:::lake"), "{error:?}");
    list(&connect(config(&endpoint)), "t/a.csv").await.expect("an exact key needs no listing");

    let endpoint = reader(Policy::no_access().allow(&["s3:ListBucket"], "*")).await;
    let (store, manifest) = pinned(&connect(config(&endpoint)), "t/*").await;
    let error = read(&store, &manifest.files[0].location()).await.expect_err("refused");
    assert_eq!(error.code(), codes::S3_004, "{error:?}");
    assert!(error.message().contains("s3:GetObject"), "{error}");

    let endpoint = reader(Policy::full_access().deny(&["s3:ListBucket"], "*")).await;
    let error = refusal(config(&endpoint)).await;
    assert_eq!(error.code(), codes::S3_005, "{error:?}");
    assert!(error.full_message().contains("AccessDenied"), "{error:?}");
}

#[tokio::test]
async fn anonymous_reads_public_buckets_and_no_others() {
    let endpoint =
        Endpoint::builder().bucket(Bucket::new(BUCKET).public()).bucket("private").start().await.expect("an endpoint");
    endpoint.put(BUCKET, "t/a.csv", "x").expect("put");
    let anonymous = |bucket: &str| {
        connect(S3SourceConfig { bucket: bucket.to_owned(), auth: Auth::Anonymous, ..config(&endpoint) })
    };
    let (store, manifest) = pinned(&anonymous(BUCKET), "t/*").await;
    assert_eq!(read(&store, &manifest.files[0].location()).await.expect("bytes"), "x");
    assert!(endpoint.requests().iter().all(|request| request.access_key_id.is_none()));
    let source = anonymous("private");
    let error = source.list(&source.pattern("s3://private/*", None).expect("a pattern")).await.expect_err("private");
    assert_eq!(error.code(), codes::S3_005, "{error:?}");
    assert!(error.hints().join(" ").contains("anonymous"), "{error:?}");
}

#[tokio::test]
async fn expired_keys_say_so() {
    let endpoint = holding(&["t/a.csv"]).await;
    let session = endpoint.open_session(&endpoint.access_key().id, Duration::from_secs(3_600)).expect("a session");
    let auth = Auth::IamUser {
        access_key_id: session.id.clone(),
        secret_access_key: Secret::from(session.secret.as_str()),
        session_token: session.session_token.as_deref().map(Secret::from),
    };
    let source = connect(S3SourceConfig { auth, ..config(&endpoint) });
    list(&source, "t/*").await.expect("files");
    endpoint.expire_sessions();
    let error = list(&source, "t/*").await.expect_err("expired");
    assert_eq!(error.code(), codes::S3_013, "{error:?}");
}

/// A bucket that only a role may read, which only one user may assume.
async fn with_role(settings: &S3SourceConfig, lifetime: Duration) -> Endpoint {
    let trust = trust_policy(settings, "arn:aws:iam::123456789012:user/base").expect("a role");
    let trust = Policy::from_json(&trust.to_string()).expect("a policy that the endpoint understands");
    let permissions = Policy::from_json(&permission_policy(settings).to_string()).expect("a policy");
    let endpoint = Endpoint::builder()
        .bucket(BUCKET)
        .user(User::new("AKIABASE", "secret").name("base").policy(Policy::no_access().allow(&["sts:AssumeRole"], ROLE)))
        .role(Role::new(ROLE, trust).policy(permissions).lifetime(lifetime))
        .start()
        .await
        .expect("an endpoint");
    for key in ["exports/crm/a.csv", "exports/hr/b.csv"] {
        endpoint.put(BUCKET, key, key).expect("put");
    }
    endpoint
}

fn role_settings() -> S3SourceConfig {
    S3SourceConfig {
        region: Some("us-east-1".to_owned()),
        path: "exports/crm".to_owned(),
        auth: role("0b9a", user("AKIABASE", "secret")),
        ..S3SourceConfig::ambient(BUCKET)
    }
}

fn at(endpoint: &Endpoint, settings: S3SourceConfig) -> S3SourceConfig {
    let url = Some(endpoint.url().to_owned());
    S3SourceConfig { endpoint: url.clone(), sts_endpoint: url, ..settings }
}

#[tokio::test]
async fn the_printed_policies_are_what_a_role_needs() {
    let endpoint = with_role(&role_settings(), Duration::from_secs(3_600)).await;
    let source = connect(at(&endpoint, role_settings()));
    let manifest = source.list(&source.everything()).await.expect("files");
    assert_eq!(keys(&manifest), ["exports/crm/a.csv"]);
    let (store, manifest) = pinned(&source, "exports/crm/*.csv").await;
    assert_eq!(read(&store, &manifest.files[0].location()).await.expect("bytes"), "exports/crm/a.csv");
    assert_eq!(count(&endpoint, Operation::AssumeRole), 1);
    assert!(source.check().await.iter().all(|step| step.ok), "{:?}", source.check().await);

    // The role itself may read no more than the source shows.
    let whole = connect(at(&endpoint, S3SourceConfig { path: String::new(), ..role_settings() }));
    let error = list(&whole, "exports/hr/b.csv").await.expect_err("not allowed");
    assert_eq!(error.code(), codes::S3_004, "{error:?}");
    let error = list(&whole, "exports/hr/*").await.expect_err("not allowed");
    assert_eq!(error.code(), codes::S3_005, "{error:?}");
}

#[tokio::test]
async fn a_wrong_external_id_names_the_trust_policy() {
    let endpoint = with_role(&role_settings(), Duration::from_secs(3_600)).await;
    let auth = role("wrong", user("AKIABASE", "secret"));
    let error = list(&connect(at(&endpoint, S3SourceConfig { auth, ..role_settings() })), "exports/crm/*")
        .await
        .expect_err("refused");
    assert!(error.message().contains(ROLE), "{error:?}");
    assert!(error.hints().join(" ").contains("external id"), "{error:?}");
    assert!(error.hints().join(" ").contains("sts:AssumeRole"), "{error:?}");
    assert_eq!(count(&endpoint, Operation::ListObjectsV2), 0);

    let auth = role("0b9a", user("AKIABASE", "wrong"));
    let error = list(&connect(at(&endpoint, S3SourceConfig { auth, ..role_settings() })), "exports/crm/*")
        .await
        .expect_err("refused");
    assert_eq!(error.code(), codes::S3_002, "{error:?}");
}

#[tokio::test]
async fn a_role_is_renewed_when_s3_says_expired_in_the_middle() {
    let endpoint = with_role(&role_settings(), Duration::from_secs(3_600)).await;
    let source = connect(at(&endpoint, role_settings()));
    let (store, manifest) = pinned(&source, "exports/crm/*").await;
    let location = manifest.files[0].location();
    store.get_range(&location, 0..3).await.expect("bytes");
    endpoint.expire_sessions();
    assert_eq!(store.get_range(&location, 3..7).await.expect("bytes"), "orts");
    assert_eq!(count(&endpoint, Operation::AssumeRole), 2);
}

#[tokio::test]
async fn a_role_is_renewed_before_it_expires() {
    let endpoint = with_role(&role_settings(), Duration::from_secs(4)).await;
    let source = connect(at(&endpoint, role_settings()));
    source.list(&source.everything()).await.expect("files");
    tokio::time::sleep(Duration::from_millis(3_200)).await;
    source.list(&source.everything()).await.expect("files");
    assert_eq!(count(&endpoint, Operation::AssumeRole), 2);
    assert!(endpoint.requests().iter().all(|request| request.status != Some(400)), "nothing was refused as expired");
}

#[tokio::test]
async fn many_readers_share_one_renewal() {
    let endpoint = with_role(&role_settings(), Duration::from_secs(3_600)).await;
    let source = connect(at(&endpoint, role_settings()));
    let listings = (0..16).map(|_| {
        let source = source.clone();
        tokio::spawn(async move { source.list(&source.everything()).await.map(|manifest| manifest.files.len()) })
    });
    for listing in futures::future::join_all(listings).await {
        assert_eq!(listing.expect("no panic").expect("files"), 1);
    }
    assert_eq!(count(&endpoint, Operation::AssumeRole), 1);
}
