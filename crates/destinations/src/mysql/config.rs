//! The settings of a MySQL destination, and the one server they name.
//! Not here: how the connection is made (see `connect`).
//! Called by the connector, and by everything that generates forms and pages from settings.

use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use schemars::JsonSchema;
use serde::Deserialize;
use tapline_core::{Error, Result, Secret, codes};
use url::Url;

const DEFAULT_PORT: u16 = 3306;

/// MySQL and MariaDB: InnoDB tables, published in one transaction.
///
/// The server is named by `url`, or by `host`, `port`, `user`, `password` and `database`. Its setting `local_infile`
/// must be on: rows are loaded by LOAD DATA LOCAL.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server in one line: `mysql://user:password@host:3306/database`. Characters of user and password that have a
    /// meaning in a URL are percent-encoded. `?tls=` and `?ca=` are understood.
    pub url: Option<Secret>,
    /// Name or address of the server, or the path of its Unix socket.
    pub host: Option<String>,
    /// Port of the server; 3306 unless given.
    pub port: Option<u16>,
    /// The user to log in as.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The database that streams without one are in, and whose tables are listed.
    pub database: Option<String>,
    /// Whether the connection is encrypted and the server's certificate verified; `preferred` unless given.
    pub tls: Option<TlsMode>,
    /// PEM file of the certificates that are trusted instead of the system's.
    pub ca: Option<PathBuf>,
    /// The database where Tapline keeps its own tables: what it published, and rows on their way. Unless given, the
    /// database of each stream. The user needs the rights CREATE and DROP there.
    pub work_schema: Option<String>,
}

/// How much the connection is protected; the meanings are those of MySQL's own clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TlsMode {
    /// Never encrypted.
    Disabled,
    /// Encrypted where the server can; the certificate is not verified.
    #[default]
    Preferred,
    /// Encrypted; the certificate is not verified.
    Required,
    /// Encrypted, and a trusted authority has signed the certificate.
    VerifyCa,
    /// Encrypted, a trusted authority has signed the certificate, and it is made out to the host.
    VerifyIdentity,
}

impl TlsMode {
    const ALL: [(&'static str, Self); 5] = [
        ("disabled", Self::Disabled),
        ("preferred", Self::Preferred),
        ("required", Self::Required),
        ("verify_ca", Self::VerifyCa),
        ("verify_identity", Self::VerifyIdentity),
    ];

    /// The name, as in the settings.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, mode)| *mode == self).map_or("preferred", |(name, _)| name)
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
    pub(super) database: Option<String>,
    pub(super) tls: TlsMode,
    pub(super) ca: Option<PathBuf>,
}

impl Server {
    /// Whether the server is reached through a Unix socket.
    pub(super) fn is_local(&self) -> bool {
        self.host.starts_with('/')
    }

    /// `mysql://host:port/database`.
    pub(super) fn identity(&self) -> String {
        let encode = |text: &str| {
            const ENCODED: &percent_encoding::AsciiSet =
                &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~');
            utf8_percent_encode(text, ENCODED).to_string()
        };
        let host = self.host.to_ascii_lowercase();
        let host = if host.contains(':') { format!("[{host}]") } else { encode(&host) };
        format!("mysql://{host}:{}/{}", self.port, encode(self.database.as_deref().unwrap_or_default()))
    }
}

impl Config {
    /// What is wrong with the settings, one line per problem.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        match &self.url {
            Some(url) => {
                let beside = [
                    ("host", self.host.is_some()),
                    ("port", self.port.is_some()),
                    ("user", self.user.is_some()),
                    ("password", self.password.is_some()),
                    ("database", self.database.is_some()),
                ];
                for (key, _) in beside.into_iter().filter(|(_, given)| *given) {
                    problems.push(format!("{key} stands beside url; write one of them"));
                }
                match UrlParts::parse(url.expose()) {
                    Err(problem) => problems.push(problem),
                    Ok(parts) => {
                        for (key, twice) in [
                            ("tls", parts.tls.is_some() && self.tls.is_some()),
                            ("ca", parts.ca.is_some() && self.ca.is_some()),
                        ] {
                            if twice {
                                problems.push(format!("{key} stands both in url and beside it; write it once"));
                            }
                        }
                    }
                }
            }
            None => {
                for (key, value) in [("host", &self.host), ("user", &self.user)] {
                    if value.as_deref().unwrap_or_default().is_empty() {
                        problems.push(format!("{key} is missing; write it, or url"));
                    }
                }
            }
        }
        if self.work_schema.as_deref() == Some("") {
            problems.push("work_schema is empty; leave it out, or name a database".to_owned());
        }
        problems
    }

    /// The server. Relative paths are relative to `folder`.
    pub(super) fn server(&self, folder: &Path) -> Result<Server> {
        let parts = match &self.url {
            Some(url) => UrlParts::parse(url.expose()).map_err(|problem| Error::new(codes::CONF_005, problem))?,
            None => UrlParts {
                host: self.host.clone().unwrap_or_default(),
                port: self.port,
                user: self.user.clone().unwrap_or_default(),
                password: self.password.clone(),
                database: self.database.clone(),
                tls: None,
                ca: None,
            },
        };
        Ok(Server {
            host: parts.host,
            port: parts.port.unwrap_or(DEFAULT_PORT),
            user: parts.user,
            password: parts.password.filter(|password| !password.is_empty()),
            database: parts.database.filter(|name| !name.is_empty()),
            tls: parts.tls.or(self.tls).unwrap_or_default(),
            ca: parts.ca.or_else(|| self.ca.clone()).map(|path| folder.join(path)),
        })
    }
}

/// What a `mysql://` URL says.
struct UrlParts {
    host: String,
    port: Option<u16>,
    user: String,
    password: Option<Secret>,
    database: Option<String>,
    tls: Option<TlsMode>,
    ca: Option<PathBuf>,
}

impl UrlParts {
    /// Reads a URL. Problems never repeat it, since it holds the password.
    fn parse(text: &str) -> Result<Self, String> {
        const SHAPE: &str = "write mysql://user:password@host:3306/database";
        let url = Url::parse(text).map_err(|error| {
            format!("url cannot be read: {error}; {SHAPE}, with special characters of the password percent-encoded")
        })?;
        if !matches!(url.scheme(), "mysql" | "mariadb") {
            return Err(format!("url does not begin with mysql://; {SHAPE}"));
        }
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let mut parts = Self {
            host: decode(url.host_str().unwrap_or_default().trim_matches(['[', ']'])),
            port: url.port(),
            user: decode(url.username()),
            password: url.password().map(|password| Secret::from(decode(password))),
            database: Some(decode(url.path().trim_start_matches('/'))),
            tls: None,
            ca: None,
        };
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "tls" => {
                    parts.tls = Some(TlsMode::parse(&value).ok_or_else(|| {
                        let known: Vec<_> = TlsMode::ALL.iter().map(|(name, _)| *name).collect();
                        format!("tls in url is not known; write one of {}", known.join(", "))
                    })?);
                }
                "ca" => parts.ca = Some(PathBuf::from(value.into_owned())),
                "socket" => parts.host = value.into_owned(),
                other => {
                    return Err(format!("url has the unknown parameter {other:?}; known are tls, ca, socket"));
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
        let config = from_url("mysql://app:p%40ss%2F%3A@db.internal:3307/crm?tls=verify_identity&ca=ca.pem");
        let server = config.server(Path::new("/project")).unwrap();
        assert_eq!((server.host.as_str(), server.port), ("db.internal", 3307));
        assert_eq!((server.user.as_str(), server.database.as_deref()), ("app", Some("crm")));
        assert_eq!(server.password.unwrap().expose(), "p@ss/:");
        assert_eq!(server.tls, TlsMode::VerifyIdentity);
        assert_eq!(server.ca, Some(PathBuf::from("/project/ca.pem")));
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let server = from_url("mariadb://app@127.0.0.1").server(Path::new(".")).unwrap();
        assert_eq!((server.port, server.database, server.tls), (3306, None, TlsMode::Preferred));
        assert!(server.password.is_none());
        let local = from_url("mysql://app@x/crm?socket=/run/mysqld/mysqld.sock").server(Path::new(".")).unwrap();
        assert!(local.is_local());
    }

    #[test]
    fn parts_name_the_same_server_as_a_url() {
        let parts = Config {
            host: Some("DB.internal".into()),
            user: Some("app".into()),
            password: Some(Secret::from("geheim")),
            database: Some("my crm".into()),
            ..Config::default()
        };
        let server = parts.server(Path::new(".")).unwrap();
        assert_eq!(server.identity(), "mysql://db.internal:3306/my%20crm");
        assert!(!format!("{server:?}").contains("geheim"));
    }

    #[test]
    fn every_problem_is_named_and_none_shows_the_password() {
        let mut config = from_url("mysql://app:geheim@db/crm?tls=sometimes");
        config.host = Some("other".into());
        config.work_schema = Some(String::new());
        let problems = config.problems().join("\n");
        assert!(problems.contains("host stands beside url"), "{problems}");
        assert!(problems.contains("tls in url is not known"), "{problems}");
        assert!(problems.contains("work_schema is empty"), "{problems}");
        assert!(!problems.contains("geheim"), "{problems}");
        assert_eq!(Config::default().problems().len(), 2);
        for bad in
            ["postgres://a@b/c", "mysql:///x", "mysql://host/x", "mysql://a:geheim@b:99999/c", "mysql://a@b/c?x=1"]
        {
            let problems = from_url(bad).problems();
            assert_eq!(problems.len(), 1, "{bad}: {problems:?}");
            assert!(!problems[0].contains("geheim"), "{problems:?}");
        }
    }
}
