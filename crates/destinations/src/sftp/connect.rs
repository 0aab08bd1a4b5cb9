//! Connecting to the server: its key checked, the user logged in, SFTP begun.
//! Not here: what is done with files (`server`).
//! Called by every method of the place that has no connection yet.

use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, decode_secret_key};
use russh_sftp::client::{Config as SftpConfig, RawSftpSession, SftpSession};
use russh_sftp::protocol::{Packet, StatusCode};
use tapline_core::{Error, Result, Secret, codes};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::config::{Config, filled};
use super::fault::connection_lost;
use super::host_key::{Guard, HostKey};

/// How long the server may take to let us in.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take for an answer.
const ANSWER_SECONDS: u64 = 60;

/// OpenSSH's way to give a file a name that another file has: in one step.
const POSIX_RENAME: &str = "posix-rename@openssh.com";

/// A connection, on two channels: one for files, and one for requests that the first has no words for.
pub(super) struct Session {
    handle: Handle<Guard>,
    pub(super) files: SftpSession,
    raw: RawSftpSession,
    replaces: bool,
}

/// Reads a private key; the error is for the user.
pub(super) fn read_key(key: &Secret, passphrase: Option<&Secret>) -> Result<PrivateKey, String> {
    decode_secret_key(key.expose(), passphrase.map(Secret::expose)).map_err(|_| match passphrase {
        Some(_) => "it cannot be read as a private key with this passphrase".to_owned(),
        None => {
            "it cannot be read as a private key; write its text, `${file:…}`, and a passphrase if it has one".to_owned()
        }
    })
}

impl Session {
    pub(super) async fn open(config: &Config) -> Result<Self> {
        let address = format!("{}:{}", config.host, config.port());
        match timeout(PATIENCE, Self::connect(config, &address)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let seconds = PATIENCE.as_secs();
                Err(unreachable(&address, format!("no answer for {seconds} s").into()))
            }
        }
    }

    async fn connect(config: &Config, address: &str) -> Result<Self> {
        let expected = HostKey::parse(&config.host_key)
            .map_err(|problem| Error::new(codes::CONF_005, format!("host_key: {problem}")))?;
        let mut settings = client::Config {
            keepalive_interval: Some(Duration::from_secs(15)),
            nodelay: true,
            ..client::Config::default()
        };
        let kinds = expected.algorithms();
        if !kinds.is_empty() {
            settings.preferred.key = kinds.into();
        }
        let guard = Guard::new(expected);
        let refused = guard.refused();
        let connected = client::connect(Arc::new(settings), (config.host.as_str(), config.port()), guard).await;
        let mut handle = connected.map_err(|error| match refused.lock().take() {
            Some(fingerprint) => {
                Error::new(codes::DEST_002, format!("{address} shows another host key: {fingerprint}"))
                    .hint("the server was set up anew, or somebody else answers in its place")
                    .hint(format!("once you know that it is the server's, write host_key: {fingerprint}"))
            }
            None => unreachable(address, error.into()),
        })?;
        if !log_in(&mut handle, config).await? {
            let tried = match (&config.private_key, &config.password) {
                (Some(_), Some(_)) => "neither the private key nor the password",
                (Some(_), None) => "the private key",
                _ => "the password",
            };
            return Err(Error::new(codes::DEST_002, format!("{address} does not let {} in by {tried}", config.user))
                .hint("look at `user`, `password` and `private_key`; for a key, at the user's authorized_keys on the server"));
        }
        let settings = || SftpConfig { request_timeout_secs: ANSWER_SECONDS, ..SftpConfig::default() };
        let no_sftp = |error: russh_sftp::client::error::Error| no_sftp(address).because(error);
        let raw = RawSftpSession::new_with_config(stream(&handle, address).await?, settings());
        let version = raw.init().await.map_err(no_sftp)?;
        let replaces = version.extensions.contains_key(POSIX_RENAME);
        let files = SftpSession::new_with_config(stream(&handle, address).await?, settings()).await.map_err(no_sftp)?;
        Ok(Self { handle, files, raw, replaces })
    }

    /// Whether the connection is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Gives a file another path, in place of the file that is there: in one step where the server can.
    pub(super) async fn replace(&self, from: &str, to: &str) -> Result<(), russh_sftp::client::error::Error> {
        if !self.replaces {
            match self.files.remove_file(to).await {
                Ok(()) => {}
                Err(russh_sftp::client::error::Error::Status(status))
                    if status.status_code == StatusCode::NoSuchFile => {}
                Err(error) => return Err(error),
            }
            return self.files.rename(from, to).await;
        }
        let mut paths = Vec::with_capacity(from.len() + to.len() + 8);
        for path in [from, to] {
            let length = u32::try_from(path.len()).unwrap_or(u32::MAX);
            paths.extend_from_slice(&length.to_be_bytes());
            paths.extend_from_slice(path.as_bytes());
        }
        match self.raw.extended(POSIX_RENAME, paths).await? {
            Packet::Status(status) if status.status_code == StatusCode::Ok => Ok(()),
            Packet::Status(status) => Err(russh_sftp::client::error::Error::Status(status)),
            _ => Err(russh_sftp::client::error::Error::UnexpectedPacket),
        }
    }
}

async fn log_in(handle: &mut Handle<Guard>, config: &Config) -> Result<bool> {
    let failed = |error: russh::Error| connection_lost("logging in", error);
    if let Some(key) = filled(config.private_key.as_ref()) {
        let key = read_key(key, filled(config.passphrase.as_ref()))
            .map_err(|problem| Error::new(codes::CONF_005, format!("private_key: {problem}")))?;
        let hash = match key.algorithm().is_rsa() {
            true => handle.best_supported_rsa_hash().await.map_err(failed)?.flatten(),
            false => None,
        };
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        if handle.authenticate_publickey(&config.user, key).await.map_err(failed)?.success() {
            return Ok(true);
        }
    }
    let Some(password) = filled(config.password.as_ref()) else { return Ok(false) };
    let answer = handle.authenticate_password(&config.user, password.expose()).await.map_err(failed)?;
    Ok(answer.success())
}

async fn stream(
    handle: &Handle<Guard>,
    address: &str,
) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static + use<>> {
    let failed = |error: russh::Error| no_sftp(address).because(error);
    let channel = handle.channel_open_session().await.map_err(failed)?;
    channel.request_subsystem(true, "sftp").await.map_err(failed)?;
    Ok(channel.into_stream())
}

fn unreachable(address: &str, cause: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::new(codes::DEST_001, format!("connecting to {address} by SSH"))
        .because(cause)
        .hint("look at `host` and `port`, and whether a firewall is in between")
        .retry_after(Duration::from_secs(5))
}

fn no_sftp(address: &str) -> Error {
    Error::new(codes::DEST_001, format!("{address} lets the user in, but offers no SFTP"))
        .hint("look at the subsystem `sftp` in the server's sshd_config")
}
