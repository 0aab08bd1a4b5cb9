//! Who asks S3: access keys, AWS's default chain, or a role that one of them assumes; renewed before they expire.
//! Not here: signing requests (`client`).
//! Called by `client` for every request, and by `check` for who we are.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_credential_types::Credentials as AwsCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::config::{BehaviorVersion, Region};
use aws_sdk_sts::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::RequestId;
use object_store::aws::AwsCredential;
use tapline_core::{Error, Result, codes};
use tokio::sync::{Mutex, OnceCell};

use crate::config::{Auth, S3SourceConfig};
use crate::lint::is_header_text;
use crate::partition::Partition;

/// Credentials are renewed this long before they expire, or after three quarters of their time if that is later.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);

/// How long a role's credentials last where the settings don't say.
const ROLE_DURATION: Duration = Duration::from_secs(3_600);

/// The identity of a source.
#[derive(Debug)]
pub(crate) struct Credentials {
    origin: Origin,
    cached: Mutex<Option<Cached>>,
    /// For asking STS who we are, and for roles.
    sts: StsPlace,
}

#[derive(Debug)]
enum Origin {
    Anonymous,
    Provider(SharedCredentialsProvider),
    Role(Role),
}

#[derive(Debug)]
struct Role {
    arn: String,
    external_id: Option<String>,
    base: SharedCredentialsProvider,
    duration: Duration,
    session: String,
}

#[derive(Debug)]
struct StsPlace {
    region: String,
    endpoint: Option<String>,
    /// Whether there is an STS to ask: not beside a custom S3 endpoint, unless its own is named.
    exists: bool,
}

#[derive(Debug)]
struct Cached {
    credential: Arc<AwsCredential>,
    provided: AwsCredentials,
    renew_at: Option<SystemTime>,
}

impl Credentials {
    /// Nothing is asked before the first request.
    pub fn new(config: &S3SourceConfig, session: &str) -> Self {
        let role_partition = match &config.auth {
            Auth::IamRole { role_arn, .. } => Partition::of_arn(role_arn),
            _ => None,
        };
        let region = config
            .region
            .clone()
            .unwrap_or_else(|| role_partition.unwrap_or(Partition::Standard).first_region().to_owned());
        let origin = match &config.auth {
            Auth::Anonymous => Origin::Anonymous,
            Auth::IamRole { role_arn, external_id, base, duration } => Origin::Role(Role {
                arn: role_arn.clone(),
                external_id: external_id.clone(),
                base: provider(base, &region),
                duration: duration.map_or(ROLE_DURATION, |duration| duration.0),
                session: session_name(session),
            }),
            direct => Origin::Provider(provider(direct, &region)),
        };
        let exists = config.endpoint.is_none() || config.sts_endpoint.is_some();
        let sts = StsPlace { region, endpoint: config.sts_endpoint.clone(), exists };
        Self { origin, cached: Mutex::new(None), sts }
    }

    pub fn is_anonymous(&self) -> bool {
        matches!(self.origin, Origin::Anonymous)
    }

    /// What to sign with now; `None` for nobody. Concurrent calls wait for one renewal.
    pub async fn get(&self) -> Result<Option<Arc<AwsCredential>>> {
        if self.is_anonymous() {
            return Ok(None);
        }
        let mut cached = self.cached.lock().await;
        if let Some(current) =
            cached.as_ref().filter(|current| current.renew_at.is_none_or(|at| SystemTime::now() < at))
        {
            return Ok(Some(Arc::clone(&current.credential)));
        }
        match self.provide().await {
            Ok(provided) => {
                let fresh = Cached::new(provided)?;
                let credential = Arc::clone(&fresh.credential);
                *cached = Some(fresh);
                Ok(Some(credential))
            }
            // A renewal that fails is no matter as long as the old ones are good.
            Err(error) => match cached.as_ref().filter(|current| !current.is_expired()) {
                Some(current) => {
                    tracing::warn!(code = error.code().id, "renewing credentials: {}", error.full_message());
                    Ok(Some(Arc::clone(&current.credential)))
                }
                None => Err(error),
            },
        }
    }

    /// Forgets a credential that S3 no longer takes, unless a newer one is here already.
    pub async fn forget(&self, used: &Arc<AwsCredential>) {
        let mut cached = self.cached.lock().await;
        if cached.as_ref().is_some_and(|current| Arc::ptr_eq(&current.credential, used)) {
            *cached = None;
        }
    }

    /// The ARN behind the credentials; `None` where there is no STS to ask, or it does not say.
    pub async fn identity(&self) -> Option<String> {
        let provided = self.cached.lock().await.as_ref()?.provided.clone();
        self.sts.identity(SharedCredentialsProvider::new(provided)).await
    }

    /// The ARN of whoever assumes the role, or of the identity itself where there is none.
    pub async fn base_identity(&self) -> Option<String> {
        match &self.origin {
            Origin::Anonymous => None,
            Origin::Provider(provider) | Origin::Role(Role { base: provider, .. }) => {
                self.sts.identity(provider.clone()).await
            }
        }
    }

    async fn provide(&self) -> Result<AwsCredentials> {
        match &self.origin {
            Origin::Anonymous => Err(Error::internal("anonymous sources have no credentials")),
            Origin::Provider(provider) => provider.provide_credentials().await.map_err(provider_error),
            Origin::Role(role) => role.assume(&self.sts).await,
        }
    }
}

impl Cached {
    fn new(provided: AwsCredentials) -> Result<Self> {
        let texts = [Some(provided.access_key_id()), provided.session_token()];
        if texts.into_iter().flatten().any(|text| !is_header_text(text)) {
            return Err(Error::new(codes::S3_002, "the access key or session token holds characters that no key has")
                .hint("copy it again, without blanks and line ends"));
        }
        let credential = AwsCredential {
            key_id: provided.access_key_id().to_owned(),
            secret_key: provided.secret_access_key().to_owned(),
            token: provided.session_token().map(str::to_owned),
        };
        let renew_at = provided.expiry().map(|expiry| {
            let left = expiry.duration_since(SystemTime::now()).unwrap_or_default();
            expiry - RENEW_BEFORE.min(left / 4)
        });
        Ok(Self { credential: Arc::new(credential), provided, renew_at })
    }

    fn is_expired(&self) -> bool {
        self.provided.expiry().is_some_and(|expiry| SystemTime::now() >= expiry)
    }
}

impl StsPlace {
    /// `sts:GetCallerIdentity`, which everybody may ask; not for long, because nothing depends on it.
    async fn identity(&self, credentials: SharedCredentialsProvider) -> Option<String> {
        if !self.exists {
            return None;
        }
        let client = self.client(credentials);
        let asked = tokio::time::timeout(Duration::from_secs(5), client.get_caller_identity().send()).await;
        asked.ok()?.ok()?.arn().map(str::to_owned)
    }

    fn client(&self, credentials: SharedCredentialsProvider) -> aws_sdk_sts::Client {
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .credentials_provider(credentials);
        let config = match &self.endpoint {
            Some(endpoint) => config.endpoint_url(endpoint),
            None => config,
        };
        aws_sdk_sts::Client::from_conf(config.build())
    }
}

impl Role {
    /// `sts:AssumeRole`, see <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.
    async fn assume(&self, sts: &StsPlace) -> Result<AwsCredentials> {
        // Asked first, so that having nobody to begin with is told apart from a role that refuses.
        self.base.provide_credentials().await.map_err(provider_error)?;
        let seconds = i32::try_from(self.duration.as_secs()).unwrap_or(i32::MAX);
        let answer = sts
            .client(self.base.clone())
            .assume_role()
            .role_arn(&self.arn)
            .role_session_name(&self.session)
            .set_external_id(self.external_id.clone())
            .duration_seconds(seconds)
            .send()
            .await
            .map_err(|error| self.refused(&error))?;
        let credentials = answer
            .credentials()
            .ok_or_else(|| Error::new(codes::S3_012, format!("assuming role {}: STS gave no credentials", self.arn)))?;
        let expiry = SystemTime::try_from(*credentials.expiration()).ok();
        Ok(AwsCredentials::new(
            credentials.access_key_id(),
            credentials.secret_access_key(),
            Some(credentials.session_token().to_owned()),
            expiry,
            "assumed role",
        ))
    }

    fn refused<E>(&self, error: &SdkError<E>) -> Error
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        SdkError<E>: RequestId,
    {
        let doing = format!("assuming role {}", self.arn);
        let Some(code) = error.code() else {
            return Error::new(codes::S3_001, format!("{doing}: STS cannot be reached"))
                .hint("check the network, and `sts_endpoint` if it is set")
                .because(DisplayErrorContext(error).to_string())
                .retry_after(Duration::from_secs(10));
        };
        let id = error.request_id().map(|id| format!(", request id {id}")).unwrap_or_default();
        let because = error.message().unwrap_or_default().to_owned();
        match code {
            "AccessDenied" | "AccessDeniedException" => {
                let refused = Error::new(codes::S3_012, format!("{doing}: refused ({code}{id})"))
                    .hint("the role's trust policy must name our identity and our external id; `tapline policy` prints it")
                    .hint(format!("our identity must be allowed sts:AssumeRole on {}", self.arn));
                if because.is_empty() { refused } else { refused.because(because) }
            }
            "InvalidClientTokenId" | "SignatureDoesNotMatch" | "UnrecognizedClientException" => {
                Error::new(codes::S3_002, format!("{doing}: the base access key is wrong ({code}{id})"))
                    .hint("check the access key that `base` names or that the default chain finds")
            }
            "ExpiredToken" | "ExpiredTokenException" => {
                Error::new(codes::S3_013, format!("{doing}: the base credentials have expired ({code}{id})"))
                    .hint("log in again, or give `base` a lasting access key")
            }
            _ => Error::new(codes::S3_012, format!("{doing}: STS refuses ({code}{id})")).because(because),
        }
    }
}

/// A provider for an identity that is no role.
fn provider(auth: &Auth, region: &str) -> SharedCredentialsProvider {
    match auth {
        Auth::IamUser { access_key_id, secret_access_key, session_token } => {
            SharedCredentialsProvider::new(AwsCredentials::new(
                access_key_id,
                secret_access_key.expose(),
                session_token.as_ref().map(|token| token.expose().to_owned()),
                None,
                "settings",
            ))
        }
        Auth::Default | Auth::Anonymous | Auth::IamRole { .. } => {
            SharedCredentialsProvider::new(DefaultChain { region: region.to_owned(), chain: OnceCell::new() })
        }
    }
}

/// AWS's default chain, put together at its first use because that is asynchronous.
#[derive(Debug)]
struct DefaultChain {
    region: String,
    chain: OnceCell<DefaultCredentialsChain>,
}

impl DefaultChain {
    async fn credentials(&self) -> Result<AwsCredentials, CredentialsError> {
        let region = Region::new(self.region.clone());
        let chain = self.chain.get_or_init(|| DefaultCredentialsChain::builder().region(region).build()).await;
        chain.provide_credentials().await
    }
}

impl ProvideCredentials for DefaultChain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

fn provider_error(error: CredentialsError) -> Error {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => Error::new(codes::S3_012, "no AWS credentials were found")
            .hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where a role is attached")
            .hint("for a public bucket write `auth: { type: anonymous }`"),
        other => Error::new(codes::S3_012, "AWS's default chain gave no credentials")
            .hint("check the profile, web identity or container role that this machine uses")
            .because(DisplayErrorContext(&other).to_string()),
    }
}

/// A session name that STS takes: 2 to 64 letters, digits and `=,.@-_+`.
fn session_name(wanted: &str) -> String {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "=,.@-_+".contains(character);
    let name: String =
        wanted.chars().map(|character| if allowed(character) { character } else { '-' }).take(64).collect();
    if name.len() < 2 { "tapline".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_names_are_valid() {
        assert_eq!(session_name("tapline-customers_to_crm"), "tapline-customers_to_crm");
        assert_eq!(session_name("tapline-Kunden → CRM"), "tapline-Kunden---CRM");
        assert_eq!(session_name(&"x".repeat(100)).len(), 64);
        assert_eq!(session_name(""), "tapline");
    }

    #[test]
    fn credentials_are_renewed_ahead_of_time() {
        let expiring = |seconds| {
            let expiry = SystemTime::now() + Duration::from_secs(seconds);
            let cached = Cached::new(AwsCredentials::new("id", "secret", None, Some(expiry), "test")).expect("valid");
            let ahead = expiry.duration_since(cached.renew_at.expect("expires")).expect("earlier");
            ahead.as_secs_f64().round()
        };
        assert_eq!(expiring(3_600), 300.0);
        assert_eq!(expiring(40), 10.0);
    }

    #[test]
    fn keys_with_line_ends_are_refused() {
        let error = Cached::new(AwsCredentials::new("id\n", "secret", None, None, "test")).expect_err("refused");
        assert_eq!(error.code(), codes::S3_002);
    }
}
