//! Who asks: credentials on requests, and tokens of OAuth 2.0.
//! Not here: the settings' keys (`config`).
//! Called by the client for every request.

use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Deserialize;
use tapline_core::{Error, Result, Secret, codes};
use tokio::sync::Mutex;
use url::Url;

use super::client::{body_of, failed};
use super::config::{self, AuthKind, ClientPlace, KeyPlace};

/// A token is renewed so long before it ends.
const MARGIN: Duration = Duration::from_secs(30);
/// How long a token holds whose service does not say.
const USUAL: Duration = Duration::from_secs(5 * 60);

/// Credentials, ready to be used.
pub(super) enum Auth {
    /// None.
    Nobody,
    /// User and password.
    Basic(String, Option<Secret>),
    /// A fixed token.
    Bearer(Secret),
    /// A key in a header.
    Header(String, Secret),
    /// A key in the query.
    Query(String, Secret),
    /// Tokens that are asked for.
    Tokens(Tokens),
}

/// Tokens of OAuth 2.0 (RFC 6749, sections 4.4 and 6).
pub(super) struct Tokens {
    url: Url,
    client_id: Option<String>,
    client_secret: Option<Secret>,
    client_in: ClientPlace,
    scope: Option<String>,
    /// Services may give a new refresh token with each token; it holds as long as this process.
    refresh: Mutex<Option<Secret>>,
    current: Mutex<Option<Token>>,
}

#[derive(Clone)]
pub(super) struct Token {
    text: Secret,
    until: Instant,
}

#[derive(Deserialize)]
struct Given {
    access_token: Secret,
    expires_in: Option<u64>,
    refresh_token: Option<Secret>,
}

#[derive(Deserialize)]
struct Denied {
    error: String,
}

impl Auth {
    /// Reads the settings, which `lint` has found complete.
    pub(super) fn new(settings: Option<&config::Auth>) -> Result<Self> {
        let Some(settings) = settings else { return Ok(Self::Nobody) };
        let missing = |key: &str| Error::new(codes::CONF_005, format!("auth.{key} is missing"));
        let secret = |key: &str, value: &Option<Secret>| value.clone().ok_or_else(|| missing(key));
        Ok(match settings.kind {
            AuthKind::None => Self::Nobody,
            AuthKind::Basic => {
                let username = settings.username.clone().ok_or_else(|| missing("username"))?;
                Self::Basic(username, settings.password.clone())
            }
            AuthKind::Bearer => Self::Bearer(secret("token", &settings.token)?),
            AuthKind::ApiKey => {
                let name = settings.name.clone().ok_or_else(|| missing("name"))?;
                let value = secret("value", &settings.value)?;
                match settings.place {
                    KeyPlace::Header => Self::Header(name, value),
                    KeyPlace::Query => Self::Query(name, value),
                }
            }
            AuthKind::ClientCredentials | AuthKind::RefreshToken => {
                let url = settings.token_url.as_deref().and_then(|url| Url::parse(url).ok());
                let refresh = match settings.kind {
                    AuthKind::RefreshToken => Some(secret("refresh_token", &settings.refresh_token)?),
                    _ => None,
                };
                Self::Tokens(Tokens {
                    url: url.ok_or_else(|| missing("token_url"))?,
                    client_id: settings.client_id.clone(),
                    client_secret: settings.client_secret.clone(),
                    client_in: settings.client_in,
                    scope: settings.scope.clone(),
                    refresh: Mutex::new(refresh),
                    current: Mutex::new(None),
                })
            }
        })
    }

    /// Where else requests go than to the destination itself.
    pub(super) fn token_url(&self) -> Option<&Url> {
        match self {
            Self::Tokens(tokens) => Some(&tokens.url),
            _ => None,
        }
    }

    /// The token for a request, where one has to be asked for.
    pub(super) async fn token(&self, client: &Client) -> Result<Option<Token>> {
        match self {
            Self::Tokens(tokens) => tokens.token(client).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Forgets a token that was refused, unless there is another by now.
    pub(super) async fn refused(&self, token: &Token) {
        let Self::Tokens(tokens) = self else { return };
        let mut current = tokens.current.lock().await;
        if current.as_ref().is_some_and(|held| held.text == token.text) {
            *current = None;
        }
    }

    /// Puts the credentials on a request.
    pub(super) fn sign(&self, request: RequestBuilder, token: Option<&Token>) -> RequestBuilder {
        match self {
            Self::Nobody => request,
            Self::Basic(user, password) => request.basic_auth(user, password.as_ref().map(Secret::expose)),
            Self::Bearer(token) => request.bearer_auth(token.expose()),
            Self::Header(name, value) => request.header(name, value.expose()),
            Self::Query(name, value) => request.query(&[(name, value.expose())]),
            Self::Tokens(_) => match token {
                Some(token) => request.bearer_auth(token.text.expose()),
                None => request,
            },
        }
    }
}

impl Tokens {
    async fn token(&self, client: &Client) -> Result<Token> {
        // Whoever comes while one asks waits for the same token.
        let mut current = self.current.lock().await;
        if let Some(token) = current.as_ref().filter(|token| token.until > Instant::now()) {
            return Ok(token.clone());
        }
        let token = self.ask(client).await?;
        *current = Some(token.clone());
        Ok(token)
    }

    async fn ask(&self, client: &Client) -> Result<Token> {
        let host = self.url.host_str().unwrap_or_default();
        let mut refresh = self.refresh.lock().await;
        let mut form: Vec<(&str, &str)> = match refresh.as_ref() {
            Some(token) => vec![("grant_type", "refresh_token"), ("refresh_token", token.expose())],
            None => vec![("grant_type", "client_credentials")],
        };
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        let mut request = client.post(self.url.clone());
        match (self.client_in, &self.client_id) {
            (ClientPlace::Header, Some(id)) => {
                request = request.basic_auth(id, self.client_secret.as_ref().map(Secret::expose));
            }
            (ClientPlace::Body, Some(id)) => {
                form.push(("client_id", id));
                form.extend(self.client_secret.as_ref().map(|secret| ("client_secret", secret.expose())));
            }
            (_, None) => {}
        }
        let doing = format!("asking {host} for a token");
        let response = request.form(&form).send().await.map_err(|error| failed(&doing, error))?;
        let status = response.status();
        let body = body_of(response).await.map_err(|error| failed(&doing, error))?;
        if let (true, Ok(given)) = (status.is_success(), serde_json::from_slice::<Given>(&body)) {
            if let Some(next) = given.refresh_token.filter(|_| refresh.is_some()) {
                *refresh = Some(next);
            }
            let lasts = given.expires_in.map_or(USUAL, Duration::from_secs);
            // A token that holds for less than the margin is used for half its time.
            let lasts = lasts.checked_sub(MARGIN).unwrap_or(lasts / 2).max(lasts / 2).min(lasts);
            return Ok(Token { text: given.access_token, until: Instant::now() + lasts });
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(
                Error::new(codes::DEST_006, format!("{doing}: it answered {status}")).retry_after(Duration::ZERO)
            );
        }
        let told = serde_json::from_slice::<Denied>(&body).map(|denied| denied.error).unwrap_or_default();
        let known = ["invalid_client", "invalid_grant", "invalid_request", "invalid_scope", "unauthorized_client"];
        let told = known.iter().find(|known| **known == told).map(|word| format!(": {word}")).unwrap_or_default();
        Err(Error::new(codes::DEST_002, format!("{doing}: it answered {status}{told}"))
            .hint("look at `client_id`, `client_secret`, `refresh_token` and `scope` under `auth`"))
    }
}
