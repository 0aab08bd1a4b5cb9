//! Who may do what: users, roles, sessions, and the answers that `s3s` asks for before it runs an operation.
//! Not here: the policy language (`policy`) and the STS protocol (`sts`).
//! Called by `s3s` (signatures, access checks), by `sts` and by the in-process methods of `Endpoint`.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::RwLock;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{Credentials, S3Auth, SecretKey};
use s3s::{S3Error, S3Result, s3_error};

use crate::call::{Call, Operation, query};
use crate::policy::{Decision, Policy, Question};
use crate::store::{Store, random_name};

/// Number of the account that users belong to.
const ACCOUNT: &str = "123456789012";

/// An IAM user with one access key.
#[derive(Debug, Clone)]
pub struct User {
    pub(crate) key: AccessKey,
    pub(crate) name: String,
    pub(crate) policy: Policy,
}

impl User {
    /// A user named `user` who may do everything.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        let key = AccessKey { id: access_key_id.into(), secret: secret_access_key.into(), session_token: None };
        Self { key, name: "user".to_owned(), policy: Policy::full_access() }
    }

    /// A user with a random access key.
    pub fn random() -> Self {
        let id = format!("AKIA{}", &random_name().to_uppercase()[..16]);
        Self::new(id, random_name())
    }

    /// The last part of the user's ARN, `arn:aws:iam::123456789012:user/<name>`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// What the user may do.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    fn arn(&self) -> String {
        format!("arn:aws:iam::{ACCOUNT}:user/{}", self.name)
    }
}

/// An IAM role that `AssumeRole` hands out temporary credentials for.
#[derive(Debug, Clone)]
pub struct Role {
    pub(crate) arn: String,
    pub(crate) trust: Policy,
    pub(crate) policy: Policy,
    pub(crate) lifetime: Option<Duration>,
}

impl Role {
    /// A role that may do everything, for whomever the trust policy lets assume it.
    pub fn new(arn: impl Into<String>, trust: Policy) -> Self {
        Self { arn: arn.into(), trust, policy: Policy::full_access(), lifetime: None }
    }

    /// What the role may do.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// How long the credentials live, whatever the request asks for (900 seconds or more).
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }
}

/// The credentials that a client signs with.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// Access key id.
    pub id: String,
    /// Secret access key.
    pub secret: String,
    /// Session token of temporary credentials.
    pub session_token: Option<String>,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AccessKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Everybody the endpoint knows.
#[derive(Debug)]
pub(crate) struct Authority {
    users: HashMap<String, User>,
    pub roles: Vec<Role>,
    sessions: RwLock<HashMap<String, Session>>,
}

/// Temporary credentials that were handed out.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub key: AccessKey,
    pub expires: SystemTime,
    pub arn: String,
    policy: Policy,
}

/// The caller of a request, as far as it has proven who it is.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub arn: String,
    policy: Policy,
}

impl Authority {
    pub fn new(users: Vec<User>, roles: Vec<Role>) -> Self {
        let users = users.into_iter().map(|user| (user.key.id.clone(), user)).collect();
        Self { users, roles, sessions: RwLock::default() }
    }

    /// Hands out credentials that act as `arn` under `policy`.
    pub fn open_session(&self, arn: String, policy: Policy, lifetime: Duration) -> Session {
        let key = AccessKey {
            id: format!("ASIA{}", &random_name().to_uppercase()[..16]),
            secret: random_name(),
            session_token: Some(random_name()),
        };
        let session = Session { key, expires: SystemTime::now() + lifetime, arn, policy };
        self.sessions.write().insert(session.key.id.clone(), session.clone());
        session
    }

    /// Hands out temporary credentials of a user.
    pub fn open_user_session(&self, access_key_id: &str, lifetime: Duration) -> Option<Session> {
        let user = self.users.get(access_key_id)?;
        Some(self.open_session(user.arn(), user.policy.clone(), lifetime))
    }

    /// Ends every session handed out so far.
    pub fn expire_sessions(&self) {
        for session in self.sessions.write().values_mut() {
            session.expires = SystemTime::UNIX_EPOCH;
        }
    }

    /// Who signed a request; `presented` is the session token that it carries.
    pub fn caller(&self, credentials: &Credentials, presented: Option<&str>) -> S3Result<Caller> {
        let id = &credentials.access_key;
        let (arn, policy, expected) = if let Some(user) = self.users.get(id) {
            (user.arn(), user.policy.clone(), None)
        } else {
            let sessions = self.sessions.read();
            let session = sessions.get(id).ok_or_else(unknown_access_key)?;
            (session.arn.clone(), session.policy.clone(), session.key.session_token.clone())
        };
        match (expected.as_deref(), presented) {
            (expected, presented) if expected == presented => Ok(Caller { arn, policy }),
            (Some(_), None) => Err(unknown_access_key()),
            _ => Err(s3_error!(InvalidToken, "The provided token is malformed or otherwise invalid.")),
        }
    }
}

impl Caller {
    pub fn may(&self, action: &str, resource: &str, context: &[(&str, &str)]) -> bool {
        let question = Question { action, resource, principal: &self.arn, context };
        self.policy.decide(question) == Decision::Allowed
    }

    /// As [`may`](Self::may), with the answer that AWS gives to whoever may not.
    pub fn require(&self, action: &str, resource: &str, context: &[(&str, &str)]) -> S3Result {
        let question = Question { action, resource, principal: &self.arn, context };
        let why = match self.policy.decide(question) {
            Decision::Allowed => return Ok(()),
            Decision::Denied => "with an explicit deny in an identity-based policy".to_owned(),
            Decision::Silent => format!("because no identity-based policy allows the {action} action"),
        };
        let arn = &self.arn;
        Err(s3_error!(
            AccessDenied,
            "User: {arn} is not authorized to perform: {action} on resource: \"{resource}\" {why}"
        ))
    }
}

/// The session token that a request carries in its headers or, presigned, in its query.
pub(crate) fn session_token(headers: &hyper::HeaderMap, uri: &hyper::Uri) -> Option<String> {
    match headers.get("x-amz-security-token") {
        Some(token) => token.to_str().ok().map(str::to_owned),
        None => query(uri).remove("X-Amz-Security-Token"),
    }
}

/// The ARN of a bucket, or of an object in it.
pub(crate) fn arn(bucket: &str, key: &str) -> String {
    if key.is_empty() { format!("arn:aws:s3:::{bucket}") } else { format!("arn:aws:s3:::{bucket}/{key}") }
}

fn unknown_access_key() -> S3Error {
    s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.")
}

/// Gives `s3s` the secrets to verify signatures with.
pub(crate) struct Secrets(pub Arc<Authority>);

#[async_trait::async_trait]
impl S3Auth for Secrets {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if let Some(user) = self.0.users.get(access_key) {
            return Ok(user.key.secret.as_str().into());
        }
        match self.0.sessions.read().get(access_key) {
            None => Err(unknown_access_key()),
            Some(session) if session.expires <= SystemTime::now() => {
                Err(s3_error!(ExpiredToken, "The provided token has expired."))
            }
            Some(session) => Ok(session.key.secret.as_str().into()),
        }
    }
}

/// Tells `s3s` whether a request with a valid signature, or none, is allowed.
pub(crate) struct Gate {
    pub authority: Arc<Authority>,
    pub store: Arc<Store>,
}

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(call) = context.extensions_mut().get::<Call>().cloned() else {
            return Err(s3_error!(InternalError, "the request was not classified"));
        };
        let caller = match context.credentials() {
            None => None,
            Some(credentials) => {
                let token = session_token(context.headers(), context.uri());
                Some(self.authority.caller(credentials, token.as_deref())?)
            }
        };
        if !self.is_open(&call) {
            let caller = caller.as_ref().ok_or_else(|| s3_error!(AccessDenied, "Access Denied"))?;
            check_caller(caller, &call, &query(context.uri()))?;
        }
        context.extensions_mut().insert(caller);
        Ok(())
    }
}

impl Gate {
    /// Whether everybody may do this: list and read a public bucket, or learn that there is no such bucket.
    fn is_open(&self, call: &Call) -> bool {
        let reads = matches!(
            call.operation,
            Operation::HeadBucket
                | Operation::GetBucketLocation
                | Operation::ListObjects
                | Operation::ListObjectsV2
                | Operation::GetObject
                | Operation::HeadObject
        );
        match self.store.read().get(&call.bucket) {
            Some(bucket) => reads && bucket.settings.public,
            None => !call.bucket.is_empty(),
        }
    }
}

fn check_caller(caller: &Caller, call: &Call, parameters: &HashMap<String, String>) -> S3Result {
    let Some(action) = action(call.operation, parameters.contains_key("versionId")) else {
        return Ok(());
    };
    let resource = match call.operation {
        Operation::ListBuckets => "*".to_owned(),
        Operation::ListObjects | Operation::ListObjectsV2 => arn(&call.bucket, ""),
        _ => arn(&call.bucket, &call.key),
    };
    let conditions: Vec<(&str, &str)> = [("prefix", "s3:prefix"), ("delimiter", "s3:delimiter")]
        .into_iter()
        .filter_map(|(parameter, key)| Some((key, parameters.get(parameter)?.as_str())))
        .collect();
    caller.require(action, &resource, &conditions)
}

/// The IAM action that an operation needs; `None` where the operation checks by itself, per key, or is not there.
///
/// See <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>.
fn action(operation: Operation, versioned: bool) -> Option<&'static str> {
    Some(match operation {
        Operation::ListBuckets => "s3:ListAllMyBuckets",
        Operation::HeadBucket | Operation::ListObjects | Operation::ListObjectsV2 => "s3:ListBucket",
        Operation::GetBucketLocation => "s3:GetBucketLocation",
        Operation::GetObject | Operation::HeadObject if versioned => "s3:GetObjectVersion",
        Operation::GetObject | Operation::HeadObject => "s3:GetObject",
        Operation::DeleteObject if versioned => "s3:DeleteObjectVersion",
        Operation::DeleteObject => "s3:DeleteObject",
        Operation::PutObject
        | Operation::CopyObject
        | Operation::CreateMultipartUpload
        | Operation::UploadPart
        | Operation::CompleteMultipartUpload => "s3:PutObject",
        Operation::AbortMultipartUpload => "s3:AbortMultipartUpload",
        Operation::ListParts => "s3:ListMultipartUploadParts",
        Operation::ListMultipartUploads => "s3:ListBucketMultipartUploads",
        Operation::DeleteObjects | Operation::AssumeRole | Operation::GetCallerIdentity | Operation::Unknown => {
            return None;
        }
    })
}
