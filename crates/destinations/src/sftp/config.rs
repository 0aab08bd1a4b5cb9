//! The settings of an SFTP destination.
//! Not here: how files look (`fileset`), and how the server is reached (`connect`).
//! Called by the connector, and by everything that generates forms and pages from settings.

use schemars::JsonSchema;
use serde::Deserialize;
use tapline_core::Secret;

use super::connect::read_key;
use super::host_key::HostKey;
use crate::fileset::{Compression, Content, CsvSettings, Format, LayoutKeys, Size};

/// SFTP: the rows of each stream as Parquet, CSV or NDJSON files on a server, published in one step.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server's name or address.
    pub host: String,
    /// The server's port; 22 without it.
    pub port: Option<u16>,
    /// Who logs in.
    pub user: String,
    /// The user's password. A password or a private key is needed.
    pub password: Option<Secret>,
    /// The text of a private key, as `ssh-keygen` writes it: `${file:/run/secrets/id_ed25519}`.
    pub private_key: Option<Secret>,
    /// What the private key is encrypted with.
    pub passphrase: Option<Secret>,
    /// The server's own key, without which nobody knows who answers: a fingerprint, `SHA256:…`, or a line as
    /// `ssh-keyscan HOST` prints it. A server with another key is refused, and its fingerprint shown.
    pub host_key: String,
    /// The folder for the files, relative to where the user logs in; that place itself without it. The streams stand below
    /// it, and in `_tapline` what Tapline keeps for itself: `_tapline/STREAM/manifest.json` names the files of the last
    /// publication.
    pub path: Option<String>,
    /// `parquet`, the default, `csv` or `ndjson`.
    #[serde(default)]
    pub format: Format,
    /// Parquet: `zstd`, the default, `snappy` or `none`. CSV and NDJSON: `none`, the default, `gzip` or `zstd`.
    pub compression: Option<Compression>,
    /// How CSV is written.
    pub csv: Option<CsvSettings>,
    /// CSV: puts an apostrophe before texts that spreadsheets take for formulas, those that begin with `=`, `+`, `-`, `@`,
    /// a tab or a carriage return. This changes the texts; false without it.
    #[serde(default)]
    pub formula_guard: bool,
    /// `all`, the default: after each run the files hold every row. `diff`: each run writes files of the rows that it added,
    /// changed and removed.
    #[serde(default)]
    pub content: Content,
    /// What the files are called: a template of `{stream}`, `{sync}`, `{date}` and `{generation}`, the run's number;
    /// `{stream}/{generation}/rows` without it. A number and the suffix of the format are added. With a name that does not
    /// change from run to run, each file is replaced in one step.
    pub name: Option<String>,
    /// Rows beyond this size go to a further file: `64MB`, `1GiB`; no limit without it.
    pub max_file_size: Option<Size>,
}

impl Config {
    /// What is wrong with the settings, one line per problem.
    pub(super) fn lint(&self) -> Vec<String> {
        let mut problems = self.layout().lint();
        if self.host.is_empty() {
            problems.push("host: name the server".to_owned());
        } else if self.host.contains("://") || self.host.contains('/') {
            problems.push(
                "host: write the name alone, without a scheme; `port` and `path` are keys of their own".to_owned(),
            );
        }
        if self.user.is_empty() {
            problems.push("user: name who logs in".to_owned());
        }
        if filled(self.password.as_ref()).is_none() && filled(self.private_key.as_ref()).is_none() {
            problems.push("password: without it, private_key is needed".to_owned());
        }
        if let Some(key) = filled(self.private_key.as_ref())
            && let Err(problem) = read_key(key, filled(self.passphrase.as_ref()))
        {
            problems.push(format!("private_key: {problem}"));
        }
        if let Err(problem) = HostKey::parse(&self.host_key) {
            problems.push(format!("host_key: {problem}"));
        }
        if self.path.as_ref().is_some_and(|path| path.contains('\0')) {
            problems.push("path: a NUL character cannot be part of a path".to_owned());
        }
        problems
    }

    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(22)
    }

    /// The folder, without a slash at its end.
    pub(super) fn root(&self) -> String {
        let path = self.path.as_deref().unwrap_or_default();
        let root = path.trim_end_matches('/');
        match (root, path) {
            ("", "") => ".".to_owned(),
            ("", _) => String::new(),
            (root, _) => root.to_owned(),
        }
    }

    /// How the files look.
    pub(super) fn layout(&self) -> LayoutKeys<'_> {
        LayoutKeys {
            format: self.format,
            compression: self.compression,
            csv: self.csv.as_ref(),
            formula_guard: self.formula_guard,
            content: self.content,
            name: self.name.as_deref(),
            max_file_size: self.max_file_size,
        }
    }
}

/// An empty secret counts as absent, so that `${VAR:-}` can leave it out.
pub(super) fn filled(secret: Option<&Secret>) -> Option<&Secret> {
    secret.filter(|secret| !secret.is_empty())
}
