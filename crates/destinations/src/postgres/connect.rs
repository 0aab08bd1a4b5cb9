//! Sessions with PostgreSQL: made, set up so that values mean the same everywhere, and kept for the next call.
//! Not here: TLS itself (see `tls`), and what the sessions are used for.
//! Called by every method of the destination.

use std::io::ErrorKind;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tapline_core::{Error, Result, codes};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};

use super::config::{Server, SslMode};
use super::fault;
use super::tls::Tls;

/// For the TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// For TCP, TLS, login and set-up together.
const SESSION_TIMEOUT: Duration = Duration::from_secs(30);
/// Waits between attempts while the server refuses connections.
const BACK_OFF: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400), Duration::from_millis(800)];
/// How long to wait before a server that could not be reached is asked again.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Sessions kept open while nobody uses them.
const IDLE_SESSIONS: usize = 2;
/// PostgreSQL 12: generated columns and nondeterministic collations, which the inspection of tables asks for.
const OLDEST_VERSION: i32 = 120_000;

/// Makes every value's text mean the same in every session, whatever role and database are set to; takes away the
/// limits that would end a long load; lets the server (from version 14 on, on Linux) notice that we are gone while it works; and keeps
/// a commit durable.
const SET_UP: &str = "\
    SET TIME ZONE 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET extra_float_digits = 1; \
    SET bytea_output = 'hex'; SET standard_conforming_strings = on; SET client_min_messages = 'warning'; \
    SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
    SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off; \
    SET plan_cache_mode = 'force_custom_plan'; \
    SELECT set_config(name, '10s', false) FROM pg_settings \
    WHERE name = 'client_connection_check_interval' AND version() LIKE '%linux%'; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// A session, ready for use.
pub(super) struct Session {
    pub(super) client: Client,
    /// Such as 150018.
    pub(super) version: i32,
    /// The role that is logged in.
    pub(super) user: String,
    /// Whether TLS protects it.
    pub(super) encrypted: bool,
}

/// The sessions of one destination.
pub(super) struct Sessions {
    server: Server,
    idle: Mutex<Vec<Session>>,
}

impl Sessions {
    pub(super) fn new(server: Server) -> Self {
        Self { server, idle: Mutex::new(Vec::new()) }
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// A session: one that is idle, else a new one.
    pub(super) async fn take(&self) -> Result<Session> {
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|session| !session.client.is_closed());
            idle.pop()
        };
        match idle {
            Some(session) => Ok(session),
            None => self.connect().await,
        }
    }

    /// Keeps a session for the next call. It must be outside of any transaction.
    pub(super) fn put_back(&self, session: Session) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_SESSIONS && !session.client.is_closed() {
            idle.push(session);
        }
    }

    /// A new session. Tried again, a second and a half in all, only where the server refuses connections, as it does
    /// while it starts.
    async fn connect(&self) -> Result<Session> {
        let mut waits = BACK_OFF.into_iter();
        loop {
            match connect_once(&self.server).await {
                Err(failure) if failure.is_passing() => match waits.next() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(failure.into_error(&self.server)),
                },
                Err(failure) => return Err(failure.into_error(&self.server)),
                Ok(session) => return Ok(session),
            }
        }
    }
}

/// Why there is no session.
pub(super) enum Failure {
    /// TLS could not be set up.
    Settings(Error),
    /// The server took too long.
    Timeout,
    /// TCP, TLS or login failed.
    Connect {
        /// What failed.
        error: tokio_postgres::Error,
        /// Whether TLS was up by then.
        encrypted: bool,
    },
    /// The session could not be set up.
    SetUp(Error),
}

impl Failure {
    fn is_passing(&self) -> bool {
        let Self::Connect { error, .. } = self else {
            return false;
        };
        match error.code() {
            Some(state) => *state == SqlState::CANNOT_CONNECT_NOW || *state == SqlState::TOO_MANY_CONNECTIONS,
            None => matches!(
                fault::io_kind(error),
                Some(ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
            ),
        }
    }

    /// Whether it was TLS that failed.
    pub(super) fn is_tls(&self) -> bool {
        match self {
            Self::Settings(_) => true,
            // The only error of tokio-postgres that begins so; its kind is not public.
            Self::Connect { error, .. } => error.to_string() == "error performing TLS handshake",
            Self::Timeout | Self::SetUp(_) => false,
        }
    }

    /// Whether TLS was up when it failed.
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Connect { encrypted: true, .. })
    }

    /// The error that the user sees.
    pub(super) fn into_error(self, server: &Server) -> Error {
        let doing = format!("connecting to {}", server.identity());
        match self {
            Self::Settings(error) | Self::SetUp(error) => error.context(doing),
            Self::Timeout => Error::new(
                codes::DEST_001,
                format!(
                    "{doing}: the server accepted the connection but did not answer in {} s",
                    SESSION_TIMEOUT.as_secs()
                ),
            )
            .hint("see whether host and port are those of PostgreSQL")
            .retry_after(RETRY_AFTER),
            Self::Connect { error, .. } if error.as_db_error().is_some() => login_refused(&doing, &error, server),
            failure @ Self::Connect { .. } => {
                let is_tls = failure.is_tls();
                match failure {
                    Self::Connect { error, .. } if is_tls => tls_failed(&doing, error, server),
                    Self::Connect { error, .. } => unreachable_server(&doing, error, server),
                    other => other.into_error(server),
                }
            }
        }
    }
}

fn login_refused(doing: &str, error: &tokio_postgres::Error, server: &Server) -> Error {
    let state = error.code().map_or("", SqlState::code);
    let message = error.as_db_error().map_or("", |error| error.message());
    let make = |code| Error::new(code, format!("{doing}: {message}"));
    match state {
        "28P01" => make(codes::DEST_002).hint("check user and password of the destination"),
        "28000" if message.contains("no encryption") => make(codes::DEST_002)
            .hint("the server takes this login only over TLS: set sslmode to require, verify-ca or verify-full"),
        "28000" => make(codes::DEST_002)
            .hint("check user, password and database, and the lines of the server's pg_hba.conf for them"),
        "3D000" => make(codes::DEST_002).hint(format!(
            "check the database's name, or create it: CREATE DATABASE {}",
            super::sql::name(&server.database)
        )),
        "42501" => make(codes::DEST_003).hint(format!(
            "GRANT CONNECT ON DATABASE {} TO {}",
            super::sql::name(&server.database),
            super::sql::name(&server.user)
        )),
        state if fault::is_passing(state) => make(codes::DEST_001).retry_after(RETRY_AFTER),
        _ => make(codes::DEST_006),
    }
}

fn tls_failed(doing: &str, error: tokio_postgres::Error, server: &Server) -> Error {
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    let cut_off = fault::io_kind(&error)
        .is_some_and(|kind| matches!(kind, ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted));
    let failed = Error::new(codes::DEST_001, format!("{doing}: TLS failed: {cause}"));
    if cut_off {
        failed.hint("see whether the server was restarted").retry_after(RETRY_AFTER)
    } else if cause.contains("does not support TLS") {
        failed.hint("the server does not offer TLS: switch it on there, or set sslmode to prefer or disable")
    } else {
        failed.hint(format!(
            "sslmode is {}; name the authority that signed the server's certificate with sslrootcert, and the host as the \
             certificate names it",
            server.sslmode.as_str()
        ))
    }
}

fn unreachable_server(doing: &str, error: tokio_postgres::Error, server: &Server) -> Error {
    let text = error.to_string();
    if text == "invalid configuration" || text == "authentication error" {
        let problem = match &server.password {
            None => "the server asks for a password and none is given",
            Some(_) => "the server asks for a way to log in that is not supported",
        };
        return Error::new(codes::DEST_002, format!("{doing}: {problem}"))
            .because(error)
            .hint("check user and password of the destination");
    }
    let (problem, hint) = match fault::io_kind(&error) {
        Some(ErrorKind::ConnectionRefused) => {
            ("nothing listens there", "see whether the server runs, and whether host and port are right")
        }
        Some(ErrorKind::TimedOut) => {
            ("nothing answers there", "see whether host and port are right, and whether a firewall is in between")
        }
        Some(ErrorKind::NotFound) => ("there is no such socket", "host names the folder of the socket"),
        _ => ("the server cannot be reached", "see whether host and port are right"),
    };
    Error::new(codes::DEST_001, format!("{doing}: {problem}")).because(error).hint(hint).retry_after(RETRY_AFTER)
}

/// One attempt, with the second try without or with TLS that `prefer` and `allow` ask for.
pub(super) async fn connect_once(server: &Server) -> Result<Session, Failure> {
    use tokio_postgres::config::SslMode as Encryption;
    let (first, second) = match server.sslmode {
        _ if server.is_local() => (Encryption::Disable, None),
        SslMode::Disable => (Encryption::Disable, None),
        SslMode::Allow => (Encryption::Disable, Some(Encryption::Require)),
        SslMode::Prefer => (Encryption::Prefer, Some(Encryption::Disable)),
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => (Encryption::Require, None),
    };
    match (login(server, first).await, second) {
        (Err(failure), Some(second)) => {
            let refused = matches!(&failure, Failure::Connect { error, .. }
                if error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION));
            if failure.is_tls() || refused { login(server, second).await } else { Err(failure) }
        }
        (outcome, _) => outcome,
    }
}

async fn login(server: &Server, encryption: tokio_postgres::config::SslMode) -> Result<Session, Failure> {
    let mut config = Config::new();
    config
        .host(&server.host)
        .port(server.port)
        .user(&server.user)
        .dbname(&server.database)
        .application_name("tapline")
        .ssl_mode(encryption)
        .connect_timeout(CONNECT_TIMEOUT)
        .keepalives_idle(Duration::from_secs(30))
        .keepalives_interval(Duration::from_secs(10))
        .keepalives_retries(3);
    if let Some(password) = &server.password {
        config.password(password.expose());
    }
    let tls = Tls::new(server).map_err(Failure::Settings)?;
    let connecting = async {
        let (client, connection) =
            config.connect(tls.clone()).await.map_err(|error| Failure::Connect { error, encrypted: tls.is_done() })?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(code = ?error.code(), "a session with PostgreSQL ended");
            }
        });
        set_up(client, tls.is_done()).await.map_err(Failure::SetUp)
    };
    tokio::time::timeout(SESSION_TIMEOUT, connecting).await.unwrap_or(Err(Failure::Timeout))
}

async fn set_up(client: Client, encrypted: bool) -> Result<Session> {
    let failed = |error| fault::statement("setting the session up", error);
    client.batch_execute(SET_UP).await.map_err(failed)?;
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::int4, current_user::text, \
             current_setting('server_encoding'), pg_is_in_recovery()",
            &[],
        )
        .await
        .map_err(failed)?;
    let (version, user, encoding, standby): (i32, String, String, bool) =
        (row.get(0), row.get(1), row.get(2), row.get(3));
    if version < OLDEST_VERSION {
        return Err(Error::new(codes::DEST_006, format!("PostgreSQL {} is too old", version / 10_000))
            .hint("version 12 or later is needed"));
    }
    if encoding != "UTF8" && encoding != "SQL_ASCII" {
        return Err(Error::new(codes::DEST_006, format!("the database is encoded as {encoding}, not as UTF8"))
            .hint("create the database with ENCODING 'UTF8'"));
    }
    if standby {
        return Err(Error::new(codes::DEST_006, "the server is a standby, which takes no rows")
            .hint("name the primary server as host"));
    }
    Ok(Session { client, version, user, encrypted })
}
