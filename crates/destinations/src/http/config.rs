//! The settings of an HTTP destination, and what can be told of them without a network.
//! Not here: what they are made into (`request`, `answer`, `auth`).
//! Called by the connector, by services that describe themselves in these words, and by everything that generates
//! forms and pages from settings.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tapline_core::Secret;
use tapline_core::duration::HumanDuration;
use url::Url;

use super::answer::Rules;
use super::request::Requests;

/// Rows of a request at most.
const MOST_ROWS: usize = 100_000;

/// HTTP: rows as requests to any REST endpoint, one row or several in each.
///
/// URL, headers and bodies are Liquid templates. In a request for one row its fields are `{{ name }}`, and `{{ row }}`
/// is all of it; in every request `{{ rows }}` are its rows, `{{ stream }}` the sync's stream and `{{ operation }}`
/// what is to be done. The filter `json` writes a value as JSON.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where requests go, such as `https://api.example.com/v1/contacts/{{ id }}`. Values are percent-encoded. Scheme,
    /// host and port are fixed: no template reaches them.
    pub url: String,
    /// The request's method; POST unless given.
    pub method: Option<Method>,
    /// Headers of every request; the values are templates.
    #[serde(default)]
    pub headers: IndexMap<String, Secret>,
    /// The body as text. Without `body` and `json` it is the row as a JSON object, or an array of the rows.
    pub body: Option<String>,
    /// The body as JSON whose texts are templates. A text that is one field alone, such as `"{{ tags }}"`, becomes the
    /// field's JSON value.
    pub json: Option<Value>,
    /// Whether keys of `json` whose value is null are left out.
    #[serde(default)]
    pub omit_null: bool,
    /// The header `Content-Type`; `application/json` unless given, `application/x-ndjson` for lines.
    pub content_type: Option<String>,
    /// How many rows a request takes; one unless given.
    pub batch: Option<Batch>,
    /// How a row is added that was not delivered before, where that is another request.
    pub insert: Option<Request>,
    /// How a row is changed that was delivered before, where that is another request.
    pub update: Option<Request>,
    /// How a row is removed by its key. Needed for `deletes: propagate`; the method is DELETE unless given.
    pub delete: Option<Request>,
    /// Who asks; nobody unless given.
    pub auth: Option<Auth>,
    /// The statuses that mean success; 200 to 299 unless given.
    pub success_status: Option<Vec<u16>>,
    /// JMESPath over the answer's JSON that is true where the rows were taken; for services that answer 200 to refusals.
    pub success: Option<String>,
    /// JMESPath over the answer's JSON that gives the reason of a refusal.
    pub message: Option<String>,
    /// Where the answer to several rows tells which of them were refused.
    pub errors: Option<Errors>,
    /// JMESPath over the answer's JSON that is true where the settings are at fault and not the rows: the run stops.
    pub stop_when: Option<String>,
    /// JMESPath over the answer's JSON that is true where the same request may succeed later.
    pub retry_when: Option<String>,
    /// A header that names the request by its rows, such as `Idempotency-Key`: the same for the same rows, whenever they
    /// are sent.
    pub idempotency_header: Option<String>,
    /// How many requests may be sent in a time; as fast as answers come unless given.
    pub rate_limit: Option<RateLimit>,
    /// Requests at the same time.
    #[serde(default = "concurrency")]
    pub concurrency: usize,
    /// How long one request may take; 30 seconds unless given.
    pub timeout: Option<HumanDuration>,
    /// How often a request that failed in passing is repeated at once, before the run waits for the service.
    #[serde(default = "retries")]
    pub retries: u32,
    /// Whether `http://` is allowed, which sends everything in the clear.
    #[serde(default)]
    pub allow_http: bool,
    /// PEM file with certificates that are trusted besides the system's, relative to the project file's folder.
    pub root_certificate: Option<std::path::PathBuf>,
    /// A request that changes nothing and tells whether the credentials are good, for `tapline check`.
    pub check: Option<Probe>,
    /// A request that lists the streams, for mapping.
    pub streams: Option<Listing>,
}

/// A method that sends rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl From<Method> for reqwest::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
            Method::Patch => Self::PATCH,
            Method::Delete => Self::DELETE,
        }
    }
}

/// Several rows in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Rows of a request at most.
    pub rows: usize,
    /// How the rows stand in a body without a template.
    #[serde(default)]
    pub format: Format,
}

/// How several rows are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A JSON array of objects.
    #[default]
    Array,
    /// An object a line.
    Lines,
}

/// What one operation does differently; what is not given is as for the others.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Where requests go, on the same host.
    pub url: Option<String>,
    /// The request's method.
    pub method: Option<Method>,
    /// Headers beside those of every request.
    #[serde(default)]
    pub headers: IndexMap<String, Secret>,
    /// The body as text.
    pub body: Option<String>,
    /// The body as JSON.
    pub json: Option<Value>,
    /// Rows of a request at most.
    pub rows: Option<usize>,
}

/// Which rows of a request were refused.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Errors {
    /// JMESPath that gives the list of refusals, or of all results.
    pub items: String,
    /// JMESPath over an item that is true for a refusal; without it every item is one.
    pub failed: Option<String>,
    /// JMESPath over an item that gives the row's place in the request, from 0. Without `index` and `key` the item's
    /// own place in the list is the row's.
    pub index: Option<String>,
    /// JMESPath over an item that gives the row's key.
    pub key: Option<String>,
    /// JMESPath over an item that gives the reason.
    pub message: Option<String>,
}

/// A limit on requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// How many requests.
    pub requests: u32,
    /// In what time; one second unless given.
    #[serde(default = "second")]
    pub per: HumanDuration,
    /// What the limit is for.
    #[serde(default)]
    pub scope: Scope,
}

/// What a limit is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All syncs to this destination together.
    #[default]
    Destination,
    /// Each stream by itself.
    Stream,
}

/// Who asks.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// How the service wants to know.
    #[serde(rename = "type")]
    pub kind: AuthKind,
    /// basic: the user.
    pub username: Option<String>,
    /// basic: the user's password.
    pub password: Option<Secret>,
    /// bearer: the token.
    pub token: Option<Secret>,
    /// api_key: the name of the header or of the query parameter.
    pub name: Option<String>,
    /// api_key: the key.
    pub value: Option<Secret>,
    /// api_key: where it stands.
    #[serde(default, rename = "in")]
    pub place: KeyPlace,
    /// oauth2: where tokens are given out.
    pub token_url: Option<String>,
    /// oauth2: the client's id.
    pub client_id: Option<String>,
    /// oauth2: the client's secret.
    pub client_secret: Option<Secret>,
    /// oauth2_refresh_token: the token that others are asked for with.
    pub refresh_token: Option<Secret>,
    /// oauth2: what the token is wanted for.
    pub scope: Option<String>,
    /// oauth2: where the client's id and secret stand.
    #[serde(default)]
    pub client_in: ClientPlace,
}

/// Kinds of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthKind {
    /// Nobody.
    None,
    /// User and password.
    Basic,
    /// A token in the header `Authorization`.
    Bearer,
    /// A key in a header or in the query.
    ApiKey,
    /// OAuth 2.0, client credentials.
    #[serde(rename = "oauth2_client_credentials")]
    ClientCredentials,
    /// OAuth 2.0, refresh token.
    #[serde(rename = "oauth2_refresh_token")]
    RefreshToken,
}

/// Where an API key stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyPlace {
    /// In a header.
    #[default]
    Header,
    /// In the query of the URL.
    Query,
}

/// Where the id and secret of an OAuth client stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientPlace {
    /// In the header `Authorization`.
    #[default]
    Header,
    /// In the body of the request for a token.
    Body,
}

/// A request without rows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Where it goes, on the same host.
    pub url: String,
    /// Its method; GET unless given.
    pub method: Option<Method>,
}

/// A request that lists streams.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// Where it goes, on the same host.
    pub url: String,
    /// JMESPath that gives the names of the streams.
    pub names: String,
}

fn concurrency() -> usize {
    4
}

fn retries() -> u32 {
    3
}

fn second() -> HumanDuration {
    HumanDuration(std::time::Duration::from_secs(1))
}

impl Config {
    /// The method of a request that does not say.
    pub(super) fn method(&self) -> Method {
        self.method.unwrap_or(Method::Post)
    }

    /// Rows of a request at most.
    pub(super) fn rows(&self) -> usize {
        self.batch.map_or(1, |batch| batch.rows)
    }

    /// Scheme, host and port of all requests.
    ///
    /// # Errors
    /// Why the URL cannot be used, without quoting it.
    pub(super) fn origin(&self) -> Result<Url, String> {
        origin(&self.url, self.allow_http).map_err(|problem| format!("url: {problem}"))
    }

    /// What is wrong with the settings, one line per problem.
    pub(crate) fn lint(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let own = self.origin();
        let urls = [("insert.url", &self.insert), ("update.url", &self.update), ("delete.url", &self.delete)]
            .into_iter()
            .filter_map(|(key, request)| Some((key, request.as_ref()?.url.as_deref()?)))
            .chain(self.check.iter().map(|probe| ("check.url", probe.url.as_str())))
            .chain(self.streams.iter().map(|listing| ("streams.url", listing.url.as_str())));
        match &own {
            Err(problem) => problems.push(problem.clone()),
            Ok(own) => {
                for (key, url) in urls {
                    match origin(url, self.allow_http) {
                        Err(problem) => problems.push(format!("{key}: {problem}")),
                        Ok(other) if other != *own => {
                            problems
                                .push(format!("{key}: has to be on the host of `url`, which the credentials are for"));
                        }
                        Ok(_) => {}
                    }
                }
            }
        }
        if let Err(more) = Requests::parse(self) {
            problems.extend(more);
        }
        if let Err(more) = Rules::parse(self) {
            problems.extend(more);
        }
        for (key, rows) in [
            ("batch.rows", self.batch.map(|batch| batch.rows)),
            ("insert.rows", self.insert.as_ref().and_then(|request| request.rows)),
            ("update.rows", self.update.as_ref().and_then(|request| request.rows)),
            ("delete.rows", self.delete.as_ref().and_then(|request| request.rows)),
        ] {
            if rows.is_some_and(|rows| !(1..=MOST_ROWS).contains(&rows)) {
                problems.push(format!("{key}: expected a number from 1 to {MOST_ROWS}"));
            }
        }
        if !(1..=256).contains(&self.concurrency) {
            problems.push("concurrency: expected a number from 1 to 256".to_owned());
        }
        if self.retries > 20 {
            problems.push("retries: expected at most 20".to_owned());
        }
        if self.rate_limit.is_some_and(|limit| limit.requests == 0 || limit.per.0.is_zero()) {
            problems.push("rate_limit: expected at least one request in a time longer than nothing".to_owned());
        }
        if self.timeout.is_some_and(|timeout| timeout.0.is_zero()) {
            problems.push("timeout: expected a time longer than nothing".to_owned());
        }
        if let Some(auth) = &self.auth {
            problems.extend(auth.lint(self.allow_http));
        }
        problems
    }
}

impl Auth {
    fn lint(&self, allow_http: bool) -> Vec<String> {
        let given = [
            ("username", self.username.is_some()),
            ("password", self.password.is_some()),
            ("token", self.token.is_some()),
            ("name", self.name.is_some()),
            ("value", self.value.is_some()),
            ("token_url", self.token_url.is_some()),
            ("client_id", self.client_id.is_some()),
            ("client_secret", self.client_secret.is_some()),
            ("refresh_token", self.refresh_token.is_some()),
            ("scope", self.scope.is_some()),
        ];
        let (needed, taken): (&[&str], &[&str]) = match self.kind {
            AuthKind::None => (&[], &[]),
            AuthKind::Basic => (&["username"], &["username", "password"]),
            AuthKind::Bearer => (&["token"], &["token"]),
            AuthKind::ApiKey => (&["name", "value"], &["name", "value"]),
            AuthKind::ClientCredentials => {
                (&["token_url", "client_id", "client_secret"], &["token_url", "client_id", "client_secret", "scope"])
            }
            AuthKind::RefreshToken => (
                &["token_url", "refresh_token"],
                &["token_url", "client_id", "client_secret", "refresh_token", "scope"],
            ),
        };
        let mut problems = Vec::new();
        for (key, is_given) in given {
            if is_given && !taken.contains(&key) {
                problems.push(format!("auth.{key}: has no meaning for this type of auth"));
            }
            if !is_given && needed.contains(&key) {
                problems.push(format!("auth.{key}: is missing"));
            }
        }
        if let Some(url) = &self.token_url
            && let Err(problem) = origin(url, allow_http)
        {
            problems.push(format!("auth.token_url: {problem}"));
        }
        problems
    }
}

/// Scheme, host and port of a URL whose path and query may hold templates.
pub(super) fn origin(url: &str, allow_http: bool) -> Result<Url, String> {
    let rest = url.split_once("://").map(|(_, rest)| rest).ok_or("expected `https://…`")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let front = &url[..url.len() - rest.len() + end];
    if front.contains("{{") || front.contains("{%") {
        return Err("a template may stand in the path and the query, and not in the host".to_owned());
    }
    let parsed = Url::parse(front).map_err(|error| error.to_string())?;
    match parsed.scheme() {
        "https" => {}
        "http" if allow_http => {}
        "http" => return Err("expected `https://…`; `allow_http: true` allows to send in the clear".to_owned()),
        _ => return Err("expected `https://…`".to_owned()),
    }
    if parsed.host_str().is_none_or(str::is_empty) {
        return Err("the host is missing".to_owned());
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("user and password stand under `auth`".to_owned());
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(yaml: &str) -> Vec<String> {
        let node = tapline_core::yaml::parse(yaml, "test").unwrap();
        tapline_core::yaml::from_node::<Config>(&node).unwrap().lint()
    }

    #[test]
    fn settings_that_fit() {
        for yaml in [
            "url: https://api.example.com/v1/contacts",
            "{ url: 'http://127.0.0.1:8080/{{ id }}?a={{ b }}', allow_http: true, method: PUT, batch: { rows: 1 } }",
            "{ url: https://a.test, auth: { type: basic, username: u }, success: ok, errors: { items: errors } }",
            "{ url: https://a.test/x, delete: { url: 'https://a.test/x/{{ id }}' }, rate_limit: { requests: 10 } }",
            "{ url: https://a.test, json: { text: '{{ text }}', all: ['{{ row }}', 1] }, omit_null: true }",
        ] {
            assert_eq!(problems(yaml), Vec::<String>::new(), "{yaml}");
        }
    }

    #[test]
    fn settings_that_do_not() {
        for (yaml, problem) in [
            ("url: http://api.example.com", "allow_http"),
            ("url: api.example.com", "expected `https://…`"),
            ("url: 'https://{{ host }}/x'", "not in the host"),
            ("url: https://me:secret@a.test", "under `auth`"),
            ("{ url: https://a.test, delete: { url: https://b.test } }", "delete.url"),
            ("{ url: https://a.test, body: '{{ x' }", "body"),
            ("{ url: https://a.test, body: x, json: {} }", "json"),
            ("{ url: https://a.test, success: 'a b' }", "success"),
            ("{ url: https://a.test, batch: { rows: 0 } }", "batch.rows"),
            ("{ url: https://a.test, auth: { type: bearer } }", "auth.token: is missing"),
            ("{ url: https://a.test, auth: { type: bearer, token: x, username: y } }", "auth.username"),
            ("{ url: https://a.test, concurrency: 0 }", "concurrency"),
            ("{ url: https://a.test, headers: { 'a b': x } }", "headers"),
        ] {
            let found = problems(yaml);
            assert!(found.len() == 1 && found[0].contains(problem), "{yaml}: {found:?}");
        }
    }
}
