//! What a request to S3 can end in, and how each end reads: cause, cure and code.
//! Not here: sending requests and deciding whether to repeat them (`client`).
//! Called by `client`, which makes failures, and by everything that hands them on as errors.

use std::fmt;
use std::time::Duration;

use tapline_core::{Code, Error, codes};

/// What was asked, in the terms of the S3 API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    HeadBucket,
    List,
    Head,
    Get,
}

/// Where a request was aimed; what messages and cures need to know of it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub action: Action,
    pub bucket: String,
    /// Key, or prefix of a listing.
    pub key: String,
    /// Scheme, host and port.
    pub server: String,
    /// What the request was signed for.
    pub region: String,
    pub anonymous: bool,
}

/// A request that did not do what it should.
#[derive(Debug)]
pub(crate) struct Failure {
    pub target: Box<Target>,
    pub kind: FailureKind,
}

#[derive(Debug)]
pub(crate) enum FailureKind {
    /// S3 answered, and not with success.
    Answer(Box<Answer>),
    /// There was no answer, or it broke off.
    Network(Network),
    /// There is nobody to ask as.
    Credentials(Error),
    /// The answer is not one that S3 gives.
    Garbled(String),
    /// No request can be made for such a key.
    Unaddressable(String),
    /// The object is not the one that was listed.
    Changed,
}

/// An answer that is an error, see <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.
#[derive(Debug, Default, Clone)]
pub(crate) struct Answer {
    pub status: u16,
    /// AWS's code; empty where the answer has none.
    pub code: String,
    /// AWS's words; empty where the answer has none.
    pub message: String,
    pub request_id: Option<String>,
    /// The region that the bucket is in, where S3 says so.
    pub region: Option<String>,
    /// How far the server's clock is ahead of ours, in seconds.
    pub clock_ahead: Option<i64>,
    pub retry_after: Option<Duration>,
}

/// Where the way to the server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Resolve,
    Connect,
    Tls,
    Stall,
    Transfer,
}

#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub stage: Stage,
    pub detail: String,
}

impl Failure {
    /// Whether the same request may succeed in a moment.
    pub fn is_passing(&self) -> bool {
        match &self.kind {
            FailureKind::Answer(answer) => {
                matches!(answer.status, 408 | 429 | 500 | 502 | 503 | 504)
                    || matches!(
                        answer.code.as_str(),
                        "SlowDown" | "InternalError" | "RequestTimeout" | "ServiceUnavailable"
                    )
            }
            FailureKind::Network(network) => network.stage != Stage::Tls,
            FailureKind::Credentials(_)
            | FailureKind::Garbled(_)
            | FailureKind::Unaddressable(_)
            | FailureKind::Changed => false,
        }
    }

    /// Whether the server could not even be spoken to.
    pub fn is_unreachable(&self) -> bool {
        matches!(&self.kind, FailureKind::Network(network) if matches!(network.stage, Stage::Resolve | Stage::Connect | Stage::Tls))
    }

    /// Whether newer credentials would help.
    pub fn is_expired(&self) -> bool {
        self.code_is(&["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"])
    }

    /// Whether there is no such object; says nothing about the bucket when asked by HEAD.
    pub fn is_not_found(&self) -> bool {
        matches!(&self.kind, FailureKind::Answer(answer) if answer.status == 404 && answer.code != "NoSuchBucket")
    }

    /// Whether the object was replaced or removed since it was listed.
    pub fn is_changed(&self) -> bool {
        match &self.kind {
            FailureKind::Answer(answer) => answer.status == 412 || self.is_not_found(),
            FailureKind::Changed => true,
            _ => false,
        }
    }

    pub fn is_denied(&self) -> bool {
        matches!(&self.kind, FailureKind::Answer(answer) if answer.status == 403)
    }

    /// The region to ask instead, where S3 names another than was asked.
    pub fn right_region(&self) -> Option<&str> {
        let FailureKind::Answer(answer) = &self.kind else { return None };
        let is_redirect = matches!(answer.status, 301 | 307)
            || self.code_is(&["AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException"])
            // HEAD has no body, and thus no code.
            || (answer.status == 400 && answer.code.is_empty());
        answer.region.as_deref().filter(|region| is_redirect && *region != self.target.region)
    }

    fn code_is(&self, codes: &[&str]) -> bool {
        matches!(&self.kind, FailureKind::Answer(answer) if codes.contains(&answer.code.as_str()))
    }

    /// The same failure, where the object is known to have been there: gone or refused by condition is changed.
    pub fn of_listed_object(self) -> Self {
        if self.is_changed() { Self { kind: FailureKind::Changed, ..self } } else { self }
    }

    /// The error for the user.
    pub fn into_error(self) -> Error {
        let right_region = self.right_region().map(str::to_owned);
        let Self { target, kind } = self;
        let error = match kind {
            FailureKind::Answer(answer) => match right_region {
                Some(region) => wrong_region(&target, &answer, &region),
                None => answer_error(&target, &answer),
            },
            FailureKind::Network(network) => network_error(&target, &network),
            FailureKind::Credentials(error) => error,
            FailureKind::Garbled(what) => {
                Error::new(codes::S3_010, format!("{} gave an answer that is not S3's", target.server))
                    .hint("does `endpoint` name the S3 API of the server, and not its web console?")
                    .because(Words(what))
            }
            FailureKind::Unaddressable(why) => {
                Error::new(codes::S3_010, why).hint("rename the object, or choose files so that it is not among them")
            }
            FailureKind::Changed => changed(),
        };
        error.context(target.doing())
    }
}

impl Target {
    /// What was being done, to begin a message.
    pub fn doing(&self) -> String {
        let Self { bucket, key, .. } = self;
        match self.action {
            Action::HeadBucket => format!("asking for bucket {bucket}"),
            // A prefix that ends in a slash was asked for to find a folder; nobody wrote the slash.
            Action::List => format!("listing s3://{bucket}/{}", key.trim_end_matches('/')),
            Action::Head => format!("looking up s3://{bucket}/{key}"),
            Action::Get => format!("reading s3://{bucket}/{key}"),
        }
    }

    fn is_aws(&self) -> bool {
        self.server.ends_with(".amazonaws.com") || self.server.ends_with(".amazonaws.com.cn")
    }
}

/// AWS's own words, or those of the transport, as the cause of an error.
#[derive(Debug)]
struct Words(String);

impl fmt::Display for Words {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Words {}

impl Answer {
    /// AWS's code and request id, which its support asks for.
    fn tag(&self) -> String {
        let code = if self.code.is_empty() { format!("HTTP {}", self.status) } else { self.code.clone() };
        match &self.request_id {
            Some(id) => format!("{code}, request id {id}"),
            None => code,
        }
    }

    fn error(&self, code: Code, what: &str) -> Error {
        let error = Error::new(code, format!("{what} ({})", self.tag()));
        if self.message.is_empty() { error } else { error.because(Words(self.message.clone())) }
    }
}

fn changed() -> Error {
    Error::new(codes::S3_008, "the file was replaced or removed after it was listed")
        .hint("run again: a new listing sees the file as it is now")
        .retry_after(Duration::ZERO)
}

fn wrong_region(target: &Target, answer: &Answer, region: &str) -> Error {
    answer
        .error(codes::S3_003, &format!("bucket {} is in region {region}, not in {}", target.bucket, target.region))
        .hint(format!("write `region: {region}`, or `region: auto` to ask the bucket"))
}

fn answer_error(target: &Target, answer: &Answer) -> Error {
    match answer.code.as_str() {
        "InvalidAccessKeyId" | "InvalidClientTokenId" => answer
            .error(codes::S3_002, "the access key id is not known")
            .hint("is the access key id copied whole, still active, and of the right account?")
            .hint("an id that begins with ASIA is temporary and needs its session_token"),
        "SignatureDoesNotMatch" => answer
            .error(codes::S3_002, "the secret access key does not belong to the access key id")
            .hint("copy both halves of the key again; a blank or a missing character is enough"),
        "InvalidToken" | "UnrecognizedClientException" => {
            answer.error(codes::S3_002, "the session token does not belong to the access key").hint(
                "take access_key_id, secret_access_key and session_token from the same set, or leave session_token out",
            )
        }
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => answer
            .error(codes::S3_013, "the credentials have expired")
            .hint("get new ones, or let Tapline renew them: auth of type iam_role or default"),
        "RequestTimeTooSkewed" => {
            answer.error(codes::S3_010, "the clocks differ by too much").hint(match answer.clock_ahead {
                Some(seconds) if seconds > 0 => {
                    format!("this machine's clock is {} behind; set it by NTP", minutes(seconds))
                }
                Some(seconds) => format!("this machine's clock is {} ahead; set it by NTP", minutes(-seconds)),
                None => "set this machine's clock by NTP".to_owned(),
            })
        }
        "NoSuchBucket" => no_such_bucket(target, answer),
        "InvalidObjectState" => answer
            .error(codes::S3_010, "the object is archived and cannot be read at once")
            .hint("restore it first (aws s3api restore-object), or move archived objects out of the source's path"),
        "PreconditionFailed" | "NoSuchVersion" => changed(),
        "NoSuchKey" => no_such_key(answer),
        code if code.starts_with("KMS.") => kms_denied(answer),
        _ => match answer.status {
            403 => denied(target, answer),
            404 if matches!(target.action, Action::HeadBucket | Action::List) => no_such_bucket(target, answer),
            404 => no_such_key(answer),
            412 => changed(),
            429 | 500..=599 => answer
                .error(codes::S3_010, "S3 keeps answering with an error")
                .hint("it was asked repeatedly; try again later")
                .retry_after(answer.retry_after.unwrap_or(Duration::from_secs(30))),
            _ => answer.error(codes::S3_010, "S3 refuses the request"),
        },
    }
}

fn no_such_bucket(target: &Target, answer: &Answer) -> Error {
    answer
        .error(codes::S3_006, &format!("there is no bucket {}", target.bucket))
        .hint("check `bucket`, and with S3-compatible servers also `endpoint`")
}

fn no_such_key(answer: &Answer) -> Error {
    answer
        .error(codes::S3_007, "there is no such file")
        .hint("keys are case-sensitive; `tapline discover` lists what is there")
}

fn kms_denied(answer: &Answer) -> Error {
    answer
        .error(codes::S3_004, "the object is encrypted with a KMS key that may not be used")
        .hint("allow kms:Decrypt on the key, in the identity's policy and in the key's")
}

fn denied(target: &Target, answer: &Answer) -> Error {
    let bucket = &target.bucket;
    if answer.message.contains("kms:Decrypt") || answer.message.contains("kms:GenerateDataKey") {
        return kms_denied(answer);
    }
    let partition = crate::partition::Partition::of_region(&target.region).name();
    let (code, permission, resource) = match target.action {
        Action::List | Action::HeadBucket => (codes::S3_005, "s3:ListBucket", format!("arn:{partition}:s3:::{bucket}")),
        Action::Get | Action::Head => {
            (codes::S3_004, "s3:GetObject", format!("arn:{partition}:s3:::{bucket}/{}", target.key))
        }
    };
    let error = answer.error(code, &format!("access denied: {permission} is not allowed"));
    let error = if answer.message.contains("explicit deny") {
        error.hint(format!("a policy denies {permission} on {resource} explicitly; an allow elsewhere does not help, the deny has to go"))
    } else if target.anonymous {
        error.hint("the source is anonymous, and the bucket or object is not public; give it an `auth` that may read")
    } else {
        error.hint(format!("allow {permission} on {resource}; `tapline policy` prints the whole policy"))
    };
    match target.action {
        Action::Get | Action::Head => error
            .hint("without s3:ListBucket S3 says so of a file that does not exist, too; check the name")
            .hint("the object may be encrypted with a KMS key (kms:Decrypt), or the bucket may be requester-pays"),
        Action::List | Action::HeadBucket => error,
    }
}

fn network_error(target: &Target, network: &Network) -> Error {
    let server = &target.server;
    let (what, hint) = match network.stage {
        Stage::Resolve => (
            format!("the host of {server} is not known"),
            "check `endpoint` and the name server; is this machine online?",
        ),
        Stage::Connect => (
            format!("{server} does not accept connections"),
            "is the server running, and is its port right? a firewall or proxy may stand between",
        ),
        Stage::Tls => (
            format!("no secure connection to {server}"),
            "a server without TLS needs http:// in `endpoint`; one with a private certificate needs its authority among this machine's",
        ),
        Stage::Stall => {
            (format!("{server} stopped answering"), "try again later; the network or the server is overloaded")
        }
        Stage::Transfer => {
            (format!("the connection to {server} broke off"), "try again later; the network or the server is unsteady")
        }
    };
    let error = Error::new(codes::S3_001, what).hint(hint).because(Words(network.detail.clone()));
    let error = if network.stage == Stage::Resolve && target.is_aws() {
        error.hint(format!("is `region: {}` spelled right?", target.region))
    } else {
        error
    };
    if network.stage == Stage::Tls { error } else { error.retry_after(Duration::from_secs(10)) }
}

fn minutes(seconds: i64) -> String {
    if seconds < 120 { format!("{seconds} seconds") } else { format!("{} minutes", seconds / 60) }
}
