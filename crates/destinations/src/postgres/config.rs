//! The settings of a PostgreSQL destination, and the one server they name.
//! Not here: how the connection is made (see `connect`, `tls`).
//! Called by the connector, and by everything that generates forms and pages from settings.

use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use schemars::JsonSchema;
use serde::Deserialize;
use tapline_core::{Error, Result, Secret, codes};
use url::Url;

const DEFAULT_PORT: u16 = 5432;

/// PostgreSQL: tables, published in one transaction.
///
/// The server is named by `url`, or by `host`, `port`, `user`, `password` and `database`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server in one line: `postgres://user:password@host:5432/database`. Characters of user and password that
    /// have a meaning in a URL are percent-encoded. `?sslmode=` and `?sslrootcert=` are understood.
    pub url: Option<Secret>,
    /// Name or address of the server, or the folder of its Unix socket.
    pub host: Option<String>,
    /// Port of the server; 5432 unless given.
    pub port: Option<u16>,
    /// The role to log in as.
    pub user: Option<String>,
    /// The role's password.
    pub password: Option<Secret>,
    /// The database; named like the role unless given.
    pub database: Option<String>,
    /// Whether the connection is encrypted and the server's certificate verified; `prefer` unless given.
    pub sslmode: Option<SslMode>,
    /// PEM file of the certificates that are trusted instead of the system's. With it, `require` acts as `verify-ca`.
    pub sslrootcert: Option<PathBuf>,
    /// The schema where Tapline keeps its own tables: what it published, and rows on their way. Unless given, the
    /// schema of each stream. The role needs the right CREATE there.
    pub work_schema: Option<String>,
    /// The time zone of timestamps without one, such as `Europe/Berlin`. Needed where they go to a column of type
    /// `timestamp with time zone`.
    pub source_timezone: Option<String>,
}

/// How much the connection is protected; the names and meanings are those of libpq.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Never encrypted.
    Disable,
    /// Encrypted only where the server insists.
    Allow,
    /// Encrypted where the server can; the certificate is not verified.
    #[default]
    Prefer,
    /// Encrypted; the certificate is not verified, unless `sslrootcert` is given.
    Require,
    /// Encrypted, and a trusted authority has signed the certificate.
    VerifyCa,
    /// Encrypted, a trusted authority has signed the certificate, and it is made out to the host.
    VerifyFull,
}

impl SslMode {
    const ALL: [(&'static str, Self); 6] = [
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    /// The name, as in the settings.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, mode)| *mode == self).map_or("prefer", |(name, _)| name)
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, mode)| *mode)
    }
}

/// The one server that a [`Config`] names.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    pub(super) database: String,
    pub(super) sslmode: SslMode,
    pub(super) sslrootcert: Option<PathBuf>,
}

impl Server {
    /// Whether the server is reached through a Unix socket.
    pub(super) fn is_local(&self) -> bool {
        self.host.starts_with('/')
    }

    /// `postgres://host:port/database`.
    pub(super) fn identity(&self) -> String {
        let encode = |text: &str| {
            const ENCODED: &percent_encoding::AsciiSet =
                &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~');
            utf8_percent_encode(text, ENCODED).to_string()
        };
        let host = self.host.to_ascii_lowercase();
        let host = if host.contains(':') { format!("[{host}]") } else { encode(&host) };
        format!("postgres://{host}:{}/{}", self.port, encode(&self.database))
    }
}

impl Config {
    /// What is wrong with the settings, one line per problem.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(url) = &self.url {
            let doubled = [
                ("host", self.host.is_some()),
                ("port", self.port.is_some()),
                ("user", self.user.is_some()),
                ("password", self.password.is_some()),
                ("database", self.database.is_some()),
            ];
            for (key, _) in doubled.into_iter().filter(|(_, given)| *given) {
                problems.push(format!("{key} stands beside url; write one of them"));
            }
            match UrlParts::parse(url.expose()) {
                Err(problem) => problems.push(problem),
                Ok(parts) => {
                    if parts.sslmode.is_some() && self.sslmode.is_some() {
                        problems.push("sslmode stands both in url and beside it; write it once".to_owned());
                    }
                    if parts.sslrootcert.is_some() && self.sslrootcert.is_some() {
                        problems.push("sslrootcert stands both in url and beside it; write it once".to_owned());
                    }
                }
            }
        } else {
            for (key, given) in [("host", &self.host), ("user", &self.user)] {
                if given.as_deref().is_none_or(str::is_empty) {
                    problems.push(format!("{key} is missing; write url, or host, user, password and database"));
                }
            }
        }
        for (key, value) in [("work_schema", &self.work_schema), ("source_timezone", &self.source_timezone)] {
            if value.as_deref().is_some_and(str::is_empty) {
                problems.push(format!("{key} is empty; leave it out"));
            }
        }
        problems
    }

    /// The server; relative paths are relative to `folder`.
    pub(super) fn server(&self, folder: &Path) -> Result<Server> {
        if let Some(problem) = self.problems().into_iter().next() {
            return Err(Error::new(codes::CONF_005, problem));
        }
        let parts = match &self.url {
            Some(url) => UrlParts::parse(url.expose()).map_err(|problem| Error::new(codes::CONF_005, problem))?,
            None => UrlParts {
                host: self.host.clone().unwrap_or_default(),
                port: self.port,
                user: self.user.clone().unwrap_or_default(),
                password: self.password.clone(),
                database: self.database.clone(),
                sslmode: None,
                sslrootcert: None,
            },
        };
        Ok(Server {
            host: parts.host,
            port: parts.port.unwrap_or(DEFAULT_PORT),
            database: parts.database.filter(|name| !name.is_empty()).unwrap_or_else(|| parts.user.clone()),
            user: parts.user,
            password: parts.password.filter(|password| !password.is_empty()),
            sslmode: parts.sslmode.or(self.sslmode).unwrap_or_default(),
            sslrootcert: parts.sslrootcert.or_else(|| self.sslrootcert.clone()).map(|path| folder.join(path)),
        })
    }
}

/// What a `postgres://` URL says.
struct UrlParts {
    host: String,
    port: Option<u16>,
    user: String,
    password: Option<Secret>,
    database: Option<String>,
    sslmode: Option<SslMode>,
    sslrootcert: Option<PathBuf>,
}

impl UrlParts {
    /// Reads a URL. Problems never repeat it, since it holds the password.
    fn parse(text: &str) -> Result<Self, String> {
        const SHAPE: &str = "write postgres://user:password@host:5432/database";
        let url = Url::parse(text).map_err(|error| {
            format!("url cannot be read: {error}; {SHAPE}, with special characters of the password percent-encoded")
        })?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(format!("url does not begin with postgres://; {SHAPE}"));
        }
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let mut parts = Self {
            host: decode(url.host_str().unwrap_or_default().trim_matches(['[', ']'])),
            port: url.port(),
            user: decode(url.username()),
            password: url.password().map(|password| Secret::from(decode(password))),
            database: Some(decode(url.path().trim_start_matches('/'))),
            sslmode: None,
            sslrootcert: None,
        };
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "host" => parts.host = value.into_owned(),
                "sslmode" => {
                    parts.sslmode = Some(SslMode::parse(&value).ok_or_else(|| {
                        let known: Vec<_> = SslMode::ALL.iter().map(|(name, _)| *name).collect();
                        format!("sslmode in url is not known; write one of {}", known.join(", "))
                    })?);
                }
                "sslrootcert" => parts.sslrootcert = Some(PathBuf::from(value.into_owned())),
                other => {
                    return Err(format!(
                        "url has the unknown parameter {other:?}; known are host, sslmode, sslrootcert"
                    ));
                }
            }
        }
        if parts.host.is_empty() {
            return Err(format!("url has no host; {SHAPE}"));
        }
        if parts.user.is_empty() {
            return Err(format!("url has no user; {SHAPE}"));
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_url(url: &str) -> Config {
        Config { url: Some(Secret::from(url)), ..Config::default() }
    }

    #[test]
    fn a_url_is_taken_apart_and_decoded() {
        let config =
            from_url("postgres://app:p%40ss%2F%3A@db.internal:6432/crm?sslmode=verify-full&sslrootcert=ca.pem");
        let server = config.server(Path::new("/project")).unwrap();
        assert_eq!((server.host.as_str(), server.port), ("db.internal", 6432));
        assert_eq!((server.user.as_str(), server.database.as_str()), ("app", "crm"));
        assert_eq!(server.password.unwrap().expose(), "p@ss/:");
        assert_eq!(server.sslmode, SslMode::VerifyFull);
        assert_eq!(server.sslrootcert, Some(PathBuf::from("/project/ca.pem")));
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let server = from_url("postgresql://app@127.0.0.1").server(Path::new(".")).unwrap();
        assert_eq!((server.port, server.database.as_str(), server.sslmode), (5432, "app", SslMode::Prefer));
        assert!(server.password.is_none());
        let local = from_url("postgres://app@x/crm?host=/run/postgresql").server(Path::new(".")).unwrap();
        assert!(local.is_local());
    }

    #[test]
    fn parts_name_the_same_server_as_a_url() {
        let parts = Config {
            host: Some("DB.internal".into()),
            user: Some("app".into()),
            password: Some(Secret::from("x")),
            database: Some("my crm".into()),
            ..Config::default()
        };
        let server = parts.server(Path::new(".")).unwrap();
        assert_eq!(server.identity(), "postgres://db.internal:5432/my%20crm");
        assert!(!format!("{server:?}").contains("\"x\""));
    }

    #[test]
    fn every_problem_is_named_and_none_shows_the_password() {
        let mut config = from_url("postgres://app:geheim@db/crm?sslmode=sometimes");
        config.host = Some("other".into());
        config.work_schema = Some(String::new());
        let problems = config.problems().join("\n");
        assert!(problems.contains("host stands beside url"), "{problems}");
        assert!(problems.contains("sslmode in url is not known"), "{problems}");
        assert!(problems.contains("work_schema is empty"), "{problems}");
        assert!(!problems.contains("geheim"), "{problems}");
        assert_eq!(Config::default().problems().len(), 2);
        for bad in [
            "mysql://a@b/c",
            "postgres:///x",
            "postgres://host/x",
            "postgres://a:geheim@b:99999/c",
            "postgres://a@b/c?x=1",
        ] {
            let problems = from_url(bad).problems();
            assert_eq!(problems.len(), 1, "{bad}: {problems:?}");
            assert!(!problems[0].contains("geheim"), "{problems:?}");
        }
    }
}
