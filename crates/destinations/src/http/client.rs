//! The connection to a service: one client with the credentials, bounded answers, and no way to another host.
//! Not here: what requests say (`request`) and what answers mean (`answer`).
//! Called by the carrier of a run, by `check` and by `streams`.

use std::error::Error as StdError;
use std::path::Path;
use std::time::Duration;

use http::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response, StatusCode};
use tapline_core::{Error, Result, codes};
use url::Url;

use super::address::{PublicResolver, Refused, check_literal};
use super::answer::Answered;
use super::auth::Auth;
use super::config::Config;
use super::request::Prepared;

/// So much of an answer is read, in bytes.
const MOST_READ: usize = 4 << 20;
/// How often a request follows where the same host sends it.
const MOST_MOVES: usize = 3;
const CONNECT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);

/// A service, ready to be asked.
pub(super) struct Service {
    client: Client,
    auth: Auth,
    /// Scheme, host and port.
    pub(super) origin: Url,
    hosted: bool,
}

/// What became of a request that has no answer.
pub(super) struct Unanswered {
    pub(super) error: Error,
    /// Whether a connection was there, so that the rows may be what went wrong.
    pub(super) connected: bool,
}

impl From<Error> for Unanswered {
    fn from(error: Error) -> Self {
        Self { error, connected: false }
    }
}

impl Service {
    /// Reads settings that `lint` has found whole. `hosted` says that a server connects, on behalf of other people.
    pub(super) fn new(config: &Config, folder: &Path, hosted: bool) -> Result<Self> {
        let origin = config.origin().map_err(|problem| Error::new(codes::CONF_005, problem))?;
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(CONNECT)
            .timeout(config.timeout.map_or(TIMEOUT, |timeout| timeout.0))
            .pool_max_idle_per_host(config.concurrency)
            .user_agent(concat!("tapline/", env!("CARGO_PKG_VERSION")));
        if hosted {
            // A proxy would resolve names by itself, and lead to addresses that nobody has looked at.
            builder = builder.no_proxy().dns_resolver(std::sync::Arc::new(PublicResolver));
        }
        if let Some(path) = &config.root_certificate {
            let path = folder.join(path);
            let unreadable = |error: Box<dyn StdError + Send + Sync>| {
                Error::new(codes::CONF_005, format!("reading certificates from {}", path.display())).because(error)
            };
            let text = std::fs::read(&path).map_err(|error| unreadable(error.into()))?;
            let certificates = Certificate::from_pem_bundle(&text).map_err(|error| unreadable(error.into()))?;
            builder = certificates.into_iter().fold(builder, |builder, found| builder.add_root_certificate(found));
        }
        let client = builder.build().map_err(|error| Error::internal("making an HTTP client").because(error))?;
        Ok(Self { client, auth: Auth::new(config.auth.as_ref())?, origin, hosted })
    }

    /// Host and port, for people.
    pub(super) fn host(&self) -> String {
        host_of(&self.origin)
    }

    /// Whether tokens have to be asked for.
    pub(super) fn has_tokens(&self) -> bool {
        self.auth.token_url().is_some()
    }

    /// Asks for a token, unless there is one.
    pub(super) async fn token(&self) -> Result<()> {
        self.guard(self.auth.token_url().unwrap_or(&self.origin))?;
        self.auth.token(&self.client).await.map(drop)
    }

    /// Whether the host has an address that may be connected to; how many it has.
    pub(super) async fn resolve(&self) -> Result<usize> {
        self.guard(&self.origin)?;
        let host = self.origin.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = self.origin.port_or_known_default().unwrap_or_default();
        let found = tokio::net::lookup_host((host, port)).await.map_err(|error| {
            Error::new(codes::DEST_001, format!("resolving {host}"))
                .because(error)
                .hint("look at the host in `url`, and at this machine's name server")
        })?;
        let found: Vec<_> = found.collect();
        if self.hosted && found.iter().any(|address| !super::address::is_public(address.ip())) {
            return Err(refused(&self.origin));
        }
        Ok(found.len())
    }

    /// Any answer of the host, asked without credentials.
    pub(super) async fn knock(&self) -> Result<StatusCode> {
        self.guard(&self.origin)?;
        let doing = format!("connecting to {}", self.host());
        let answer = self.client.head(self.origin.clone()).send().await.map_err(|error| failed(&doing, error))?;
        Ok(answer.status())
    }

    fn guard(&self, url: &Url) -> Result<()> {
        if self.hosted { check_literal(url).map_err(|_| refused(url)) } else { Ok(()) }
    }

    /// Sends a request with the credentials, and reads the answer.
    pub(super) async fn send(&self, prepared: &Prepared) -> Result<Answered, Unanswered> {
        self.guard(&prepared.url)?;
        if let Some(url) = self.auth.token_url() {
            self.guard(url)?;
        }
        let mut url = prepared.url.clone();
        let (mut moves, mut renewed) = (0, false);
        loop {
            let token = self.auth.token(&self.client).await?;
            let request = self
                .client
                .request(prepared.method.clone(), url.clone())
                .headers(prepared.headers.clone())
                .body(prepared.body.clone());
            let response = self.auth.sign(request, token.as_ref()).send().await;
            let response = response.map_err(|error| self.unanswered(error))?;
            if let (StatusCode::UNAUTHORIZED, Some(token), false) = (response.status(), &token, renewed) {
                self.auth.refused(token).await;
                renewed = true;
                continue;
            }
            if let Some(next) = self.moved(&url, &response).filter(|_| moves < MOST_MOVES) {
                url = next;
                moves += 1;
                continue;
            }
            let (status, headers) = (response.status(), response.headers().clone());
            let body = body_of(response).await.map_err(|error| self.unanswered(error))?;
            return Ok(Answered { status, headers, body });
        }
    }

    /// Where the same host wants the same request, as 307 and 308 ask for.
    fn moved(&self, from: &Url, response: &Response) -> Option<Url> {
        if !matches!(response.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
            return None;
        }
        let to = from.join(response.headers().get(LOCATION)?.to_str().ok()?).ok()?;
        let same = to.origin() == self.origin.origin() && to.username().is_empty() && to.password().is_none();
        same.then_some(to)
    }

    fn unanswered(&self, error: reqwest::Error) -> Unanswered {
        let connected = !error.is_connect() && !error.is_builder();
        Unanswered { error: failed(&format!("sending rows to {}", self.host()), error), connected }
    }
}

/// Host and port of a URL.
fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn refused(url: &Url) -> Error {
    Error::new(codes::DEST_001, format!("connecting to {}", host_of(url)))
        .because(Refused)
        .hint("name a public address; the command line connects to private ones")
}

/// The error of a request without an answer. Its URL may hold values and secrets, and is left out.
pub(super) fn failed(doing: &str, error: reqwest::Error) -> Error {
    let error = error.without_url();
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(found) = cause {
        if found.is::<Refused>() {
            return Error::new(codes::DEST_001, doing)
                .because(Refused)
                .hint("name a public address; the command line connects to private ones");
        }
        cause = found.source();
    }
    if error.is_builder() {
        return Error::new(codes::CONF_005, format!("{doing}: the request cannot be made"))
            .because(error)
            .hint("look at the destination's `url`, `headers` and `auth`");
    }
    let code = if error.is_connect() { codes::DEST_001 } else { codes::DEST_006 };
    let doing = if error.is_timeout() { format!("{doing}: no answer in time") } else { doing.to_owned() };
    Error::new(code, doing)
        .because(error)
        .hint("make sure that the service is up and can be reached from here")
        .retry_after(Duration::ZERO)
}

/// The beginning of an answer's body.
pub(super) async fn body_of(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = MOST_READ - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() >= MOST_READ {
            break;
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(yaml: &str, hosted: bool) -> Service {
        let node = tapline_core::yaml::parse(yaml, "test").unwrap();
        Service::new(&tapline_core::yaml::from_node(&node).unwrap(), Path::new("/"), hosted).unwrap()
    }

    #[tokio::test]
    async fn tokens_are_not_asked_for_at_private_addresses() {
        let yaml = "{ url: https://api.example.com, allow_http: true, auth: { type: oauth2_client_credentials, \
                    token_url: 'http://127.0.0.1:1/token', client_id: a, client_secret: b } }";
        let refused = service(yaml, true).token().await.unwrap_err();
        assert_eq!((refused.code(), refused.retry()), (codes::DEST_001, tapline_core::Retry::Never));
        // Whoever uses the command line may: there, only nobody answers.
        let unreachable = service(yaml, false).token().await.unwrap_err();
        assert_ne!(unreachable.retry(), tapline_core::Retry::Never);
    }
}
