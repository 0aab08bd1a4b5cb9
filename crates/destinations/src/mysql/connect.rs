//! Sessions with MySQL: made, set up so that values mean the same everywhere, and kept for the next call.
//! Not here: TLS itself (see `tls`), and what the sessions are used for.
//! Called by every method of the destination.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error as Failure, OptsBuilder, Row, Value};
use parking_lot::Mutex;
use tapline_core::{Error, Result, codes};

use super::config::{Server, TlsMode};
use super::{fault, sql, tls};

/// For TCP, TLS, login and set-up together.
const SESSION_TIMEOUT: Duration = Duration::from_secs(30);
/// Waits between attempts while the server refuses connections.
const BACK_OFF: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400), Duration::from_millis(800)];
/// How long to wait before a server that could not be reached is asked again.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Sessions kept open while nobody uses them.
const IDLE_SESSIONS: usize = 2;

/// Makes every value mean the same in every session, whatever server and database are set to: nothing is cut, rounded,
/// or made a default silently; 0 is no request for a number; time is in UTC. Waits are long, since a large publication
/// takes its time; a session may be idle while files are read.
const SET_UP: &[&str] = &[
    "SET NAMES utf8mb4",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', \
     time_zone = '+00:00', autocommit = 1, foreign_key_checks = 1, unique_checks = 1, wait_timeout = 28800, \
     net_read_timeout = 600, net_write_timeout = 600, innodb_lock_wait_timeout = 600, lock_wait_timeout = 600",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION TRANSACTION READ WRITE",
];

/// Which of the two servers, and how old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) mariadb: bool,
    pub(super) number: (u16, u16, u16),
}

impl Version {
    /// The server's own name and number.
    pub(super) fn words(self) -> String {
        let (major, minor, patch) = self.number;
        format!("{} {major}.{minor}.{patch}", if self.mariadb { "MariaDB" } else { "MySQL" })
    }

    /// The most places behind the point that a DECIMAL can have.
    pub(super) fn most_places(self) -> u8 {
        if self.mariadb { 38 } else { 30 }
    }

    /// A collation that calls two texts equal only where they are the same.
    pub(super) fn exact_collation(self) -> &'static str {
        if self.mariadb { "utf8mb4_nopad_bin" } else { "utf8mb4_0900_bin" }
    }

    fn is_old(self) -> bool {
        self.number < if self.mariadb { (10, 5, 0) } else { (8, 0, 17) }
    }
}

/// A session, ready for use.
pub(super) struct Session {
    connection: Conn,
    pub(super) version: Version,
    /// Who is logged in, as `user@host`.
    pub(super) user: String,
    /// Whether TLS protects it.
    pub(super) encrypted: bool,
    /// The longest value that the server takes, in bytes.
    pub(super) longest_value: usize,
    /// Whether names of tables differ only by more than case.
    pub(super) folds_names: bool,
}

impl Session {
    /// Runs a statement; the answer is the number of rows that it changed.
    pub(super) async fn run(&mut self, statement: &str) -> Result<u64, Failure> {
        let result = self.connection.query_iter(statement).await?;
        let affected = result.affected_rows();
        result.drop_result().await?;
        Ok(affected)
    }

    /// All rows of a query.
    pub(super) async fn rows(&mut self, query: &str) -> Result<Vec<Row>, Failure> {
        self.connection.query(query).await
    }

    /// The first row of a query.
    pub(super) async fn first(&mut self, query: &str) -> Result<Option<Row>, Failure> {
        self.connection.query_first(query).await
    }

    /// Runs a LOAD DATA LOCAL whose file is `pieces`; the answer is the number of rows that were loaded, and of warnings.
    pub(super) async fn load(&mut self, statement: &str, pieces: Vec<Bytes>) -> Result<(u64, u16), Failure> {
        self.connection.set_infile_handler(async move { Ok(futures::stream::iter(pieces).map(Ok).boxed()) });
        let result = self.connection.query_iter(statement).await?;
        let done = (result.affected_rows(), result.warnings());
        result.drop_result().await?;
        Ok(done)
    }

    /// Hands the rows of a query on in groups, as long as somebody takes them.
    pub(super) async fn stream(
        &mut self,
        query: String,
        at_once: usize,
        mut take: impl AsyncFnMut(Result<Vec<Row>, Failure>) -> bool,
    ) {
        let mut groups = match self.connection.query_stream::<Row, _>(query).await {
            Ok(rows) => rows.try_chunks(at_once),
            Err(error) => {
                take(Err(error)).await;
                return;
            }
        };
        while let Some(group) = groups.next().await {
            if !take(group.map_err(|error| error.1)).await {
                return;
            }
        }
    }

    fn is_open(&self) -> bool {
        !self.connection.is_disconnected()
    }
}

/// A value of a row as text; `None` for NULL. Queries give texts alone.
pub(super) fn text(row: &Row, index: usize) -> Option<&str> {
    bytes(row, index).and_then(|bytes| str::from_utf8(bytes).ok())
}

/// A value of a row as bytes; `None` for NULL.
pub(super) fn bytes(row: &Row, index: usize) -> Option<&[u8]> {
    match row.as_ref(index) {
        Some(Value::Bytes(bytes)) => Some(bytes),
        _ => None,
    }
}

/// A value of a row as a number; `None` for NULL.
pub(super) fn number<T: std::str::FromStr>(row: &Row, index: usize) -> Option<T> {
    text(row, index).and_then(|text| text.parse().ok())
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

    /// A session that answers: one that is idle, else a new one.
    pub(super) async fn take(&self) -> Result<Session> {
        loop {
            let idle = self.idle.lock().pop();
            let Some(mut session) = idle else { return self.connect().await };
            if session.is_open() && session.connection.ping().await.is_ok() {
                return Ok(session);
            }
        }
    }

    /// Keeps a session for the next call. It must be outside of any transaction and hold no lock.
    pub(super) fn put_back(&self, session: Session) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_SESSIONS && session.is_open() {
            idle.push(session);
        }
    }

    /// A new session. Tried again, a second and a half in all, only where the server refuses connections, as it does
    /// while it starts.
    async fn connect(&self) -> Result<Session> {
        let mut waits = BACK_OFF.into_iter();
        loop {
            match connect_once(&self.server).await {
                Err(problem) if problem.is_passing() => match waits.next() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(problem.into_error(&self.server)),
                },
                Err(problem) => return Err(problem.into_error(&self.server)),
                Ok(session) => return Ok(session),
            }
        }
    }
}

/// Why there is no session.
pub(super) enum Problem {
    /// TLS could not be set up, or the server is not one to work with.
    Settings(Error),
    /// The server took too long.
    Timeout,
    /// TCP, TLS or login failed.
    Connect(Failure),
}

impl Problem {
    fn is_passing(&self) -> bool {
        let Self::Connect(error) = self else { return false };
        match fault::number(error) {
            Some(number) => matches!(number, 1040 | 1053),
            None => matches!(
                fault::io_kind(error),
                Some(ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
            ),
        }
    }

    /// Whether it was TLS that failed.
    pub(super) fn is_tls(&self) -> bool {
        match self {
            Self::Connect(Failure::Driver(DriverError::NoClientSslFlagFromServer)) => true,
            Self::Connect(error) => tls::cause(error).is_some(),
            Self::Settings(error) => error.code() == codes::CONF_005,
            Self::Timeout => false,
        }
    }

    /// The error that the user sees.
    pub(super) fn into_error(self, server: &Server) -> Error {
        let doing = format!("connecting to {}", server.identity());
        match self {
            Self::Settings(error) => error.context(doing),
            Self::Timeout => {
                Error::new(codes::DEST_001, format!("{doing}: no answer came within {} s", SESSION_TIMEOUT.as_secs()))
                    .hint("see whether host and port are those of MySQL, and whether a firewall is in between")
                    .retry_after(RETRY_AFTER)
            }
            Self::Connect(Failure::Server(error)) => login_refused(&doing, &error, server),
            Self::Connect(Failure::Driver(DriverError::NoClientSslFlagFromServer)) => {
                Error::new(codes::DEST_001, format!("{doing}: TLS failed: the server does not offer it"))
                    .hint("switch it on at the server, or set tls to preferred or disabled")
            }
            Self::Connect(error) => match tls::cause(&error) {
                Some(cause) => Error::new(codes::DEST_001, format!("{doing}: TLS failed: {cause}")).hint(format!(
                    "tls is {}; name the authority that signed the server's certificate with ca, and the host as \
                         the certificate names it",
                    server.tls.as_str()
                )),
                None => unreachable_server(&doing, error),
            },
        }
    }
}

fn login_refused(doing: &str, error: &mysql_async::ServerError, server: &Server) -> Error {
    let make = |code| Error::new(code, format!("{doing}: {}", error.message));
    match error.code {
        1045 | 1698 | 1862 | 1251 | 1524 | 3118 | 3159 | 4151 => make(codes::DEST_002)
            .hint("check user and password of the destination, and from which hosts the user may log in"),
        1130 | 1129 => make(codes::DEST_002).hint("the server takes no connections from this machine's address"),
        1049 => {
            let database = server.database.as_deref().unwrap_or_default();
            make(codes::DEST_002)
                .hint(format!("check the database's name, or create it: CREATE DATABASE {};", sql::name(database)))
        }
        1044 => {
            let database = server.database.as_deref().unwrap_or_default();
            make(codes::DEST_003).hint(format!("GRANT SELECT ON {}.* TO the user that logs in;", sql::name(database)))
        }
        number if fault::is_passing(number) => make(codes::DEST_001).retry_after(RETRY_AFTER),
        number => Error::new(codes::DEST_006, format!("{doing}: the server refuses (error {number})")),
    }
}

fn unreachable_server(doing: &str, error: Failure) -> Error {
    let (problem, hint) = match fault::io_kind(&error) {
        Some(ErrorKind::ConnectionRefused) => {
            ("nothing listens there", "see whether the server runs, and whether host and port are right")
        }
        Some(ErrorKind::TimedOut) => {
            ("nothing answers there", "see whether host and port are right, and whether a firewall is in between")
        }
        Some(ErrorKind::NotFound) => ("there is no such socket", "host names the path of the socket"),
        _ => ("the server cannot be reached", "see whether host and port are right"),
    };
    Error::new(codes::DEST_001, format!("{doing}: {problem}")).because(error).hint(hint).retry_after(RETRY_AFTER)
}

/// One attempt, with the second try without TLS that `preferred` asks for.
pub(super) async fn connect_once(server: &Server) -> Result<Session, Problem> {
    match login(server).await {
        Err(problem) if server.tls == TlsMode::Preferred && problem.is_tls() => {
            login(&Server { tls: TlsMode::Disabled, ..server.clone() }).await
        }
        outcome => outcome,
    }
}

async fn login(server: &Server) -> Result<Session, Problem> {
    let connecting = async {
        let connection = match connection(server, None).await {
            // The name does not matter here, only who signed it.
            Err(Problem::Connect(error)) if server.tls == TlsMode::VerifyCa => match tls::presented_name(&error) {
                Some(name) => connection(server, Some(&name)).await?,
                None => return Err(Problem::Connect(error)),
            },
            outcome => outcome?,
        };
        set_up(connection).await
    };
    tokio::time::timeout(SESSION_TIMEOUT, connecting).await.unwrap_or(Err(Problem::Timeout))
}

async fn connection(server: &Server, name: Option<&str>) -> Result<Conn, Problem> {
    let options = OptsBuilder::default()
        .user(Some(server.user.clone()))
        .pass(server.password.as_ref().map(|password| password.expose().to_owned()))
        .db_name(server.database.clone())
        .prefer_socket(false)
        .tcp_keepalive(Some(Duration::from_secs(30)))
        .stmt_cache_size(0)
        .ssl_opts(tls::options(server, name).map_err(Problem::Settings)?);
    let options = if server.is_local() {
        options.socket(Some(server.host.clone()))
    } else {
        options.ip_or_hostname(server.host.clone()).tcp_port(server.port)
    };
    Conn::new(options).await.map_err(Problem::Connect)
}

async fn set_up(mut connection: Conn) -> Result<Session, Problem> {
    for statement in SET_UP {
        connection.query_drop(*statement).await.map_err(Problem::Connect)?;
    }
    let asked: Option<Row> = connection
        .query_first("SELECT version(), current_user(), @@max_allowed_packet, @@lower_case_table_names")
        .await
        .map_err(Problem::Connect)?;
    let silent = || Problem::Settings(Error::new(codes::DEST_006, "the server does not say what it is"));
    let row = asked.ok_or_else(silent)?;
    let cipher: Option<Row> =
        connection.query_first("SHOW SESSION STATUS LIKE 'Ssl_cipher'").await.map_err(Problem::Connect)?;
    let words = text(&row, 0).unwrap_or_default();
    let version = Version { mariadb: words.contains("MariaDB"), number: version_number(words) };
    if version.is_old() {
        let old = Error::new(codes::DEST_006, format!("{} is too old", version.words()));
        return Err(Problem::Settings(old.hint("MariaDB 10.5 or MySQL 8.0.17 is needed, or later")));
    }
    let session = Session {
        version,
        user: text(&row, 1).unwrap_or_default().to_owned(),
        encrypted: cipher.is_some_and(|row| text(&row, 1).is_some_and(|cipher| !cipher.is_empty())),
        longest_value: number(&row, 2).unwrap_or(16 << 20),
        folds_names: number::<u8>(&row, 3) != Some(0),
        connection,
    };
    Ok(session)
}

/// The numbers of `10.11.14-MariaDB-0+deb12u2`, or of `5.5.5-10.11.14-MariaDB`.
fn version_number(words: &str) -> (u16, u16, u16) {
    let words = words.strip_prefix("5.5.5-").unwrap_or(words);
    let mut numbers = words.split(['.', '-', '+']).map(|word| word.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::version_number;

    #[test]
    fn versions_are_read() {
        assert_eq!(version_number("10.11.14-MariaDB-0+deb12u2"), (10, 11, 14));
        assert_eq!(version_number("5.5.5-10.6.7-MariaDB"), (10, 6, 7));
        assert_eq!(version_number("8.0.36"), (8, 0, 36));
    }
}
