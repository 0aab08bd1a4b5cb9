//! `tapline check` for MySQL: connect, TLS, login, version, files, rights.
//! Not here: the checks of one stream, which `open` makes.
//! Called through `Destination::check`.

use std::time::Duration;

use bytes::Bytes;
use tapline_core::{CheckStep, CheckSteps, Error, Result, codes};
use tokio::net::TcpStream;

use super::config::{Server, TlsMode};
use super::connect::{Problem, Session, connect_once, number};
use super::marker::grant;
use super::table::OWN_PREFIX;
use super::{fault, sql};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Takes the steps, up to the first that fails.
pub(super) async fn check(server: &Server, work_schema: Option<&str>) -> Vec<CheckStep> {
    let mut steps = CheckSteps::default();
    take(&mut steps, server, work_schema).await;
    steps.finish()
}

async fn take(steps: &mut CheckSteps, server: &Server, work_schema: Option<&str>) -> Option<()> {
    steps.take("connect", reach(server)).await?;
    // One call makes TLS and logs in; what it says is told in two steps.
    let session = connect_once(server).await;
    let session = steps.take("tls", async { encryption(server, session) }).await?;
    let login = async {
        let session = session.map_err(|problem| problem.into_error(server))?;
        let found = format!("as {}", session.user);
        Ok((session, found))
    };
    let mut session = steps.take("login", login).await?;
    steps.take("version", version(&mut session)).await?;
    steps.take("rights", rights(&mut session, work_schema.or(server.database.as_deref()))).await
}

async fn reach(server: &Server) -> Result<((), String)> {
    if server.is_local() {
        return Ok(((), format!("through the socket {}", server.host)));
    }
    let at = format!("{}:{}", server.host, server.port);
    let failed = |problem: &str, hint: &str| {
        Error::new(codes::DEST_001, format!("connecting to {at}: {problem}")).hint(hint.to_owned())
    };
    let addresses: Vec<_> = tokio::net::lookup_host((server.host.as_str(), server.port))
        .await
        .map_err(|error| failed("the host name cannot be resolved", "check host").because(error))?
        .collect();
    let Ok(connected) = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(addresses.as_slice())).await else {
        return Err(failed("nothing answers", "check host and port, and whether a firewall is in between"));
    };
    let stream = connected.map_err(|error| {
        let refused = error.kind() == std::io::ErrorKind::ConnectionRefused;
        let problem = if refused { "nothing listens there" } else { "the server cannot be reached" };
        failed(problem, "check host and port, and whether the server runs and listens on that address").because(error)
    })?;
    let peer = stream.peer_addr().map_or_else(|_| at.clone(), |peer| peer.to_string());
    Ok(((), peer))
}

/// What can be said of TLS, whether or not the login worked.
type Attempt = Result<Session, Problem>;

fn encryption(server: &Server, session: Attempt) -> Result<(Attempt, String)> {
    let encrypted = match session {
        Err(problem) if problem.is_tls() => return Err(problem.into_error(server)),
        Err(_) => return Ok((session, format!("tls {}", server.tls.as_str()))),
        Ok(ref session) => session.encrypted,
    };
    let verified = match server.tls {
        TlsMode::VerifyIdentity => "certificate and host verified",
        TlsMode::VerifyCa => "certificate verified",
        _ => "certificate not verified",
    };
    let found = if encrypted {
        format!("encrypted, {verified} (tls {})", server.tls.as_str())
    } else if server.is_local() {
        "not used on a local socket".to_owned()
    } else {
        format!("not encrypted (tls {})", server.tls.as_str())
    };
    Ok((session, found))
}

/// Says too where a commit is not safe across a crash of the server, which no session can change.
async fn version(session: &mut Session) -> Result<((), String)> {
    let asked = session.first("SELECT @@innodb_flush_log_at_trx_commit").await;
    let row = asked.map_err(|error| fault::statement("asking for the server's settings", error))?;
    let words = session.version.words();
    Ok((
        (),
        match row.and_then(|row| number::<u8>(&row, 0)) {
            Some(1) | None => words,
            Some(other) => format!(
                "{words}; innodb_flush_log_at_trx_commit is {other}: a crash of the server can lose what was published last"
            ),
        },
    ))
}

/// Does with a table of its own what a run does with marker and staging tables.
async fn rights(session: &mut Session, work: Option<&str>) -> Result<((), String)> {
    let Some(work) = work else {
        return Err(Error::new(codes::CONF_005, "no database is named, where Tapline's own tables could be")
            .hint("set database, or work_schema"));
    };
    let table = format!("{}.{}", sql::name(work), sql::name(&format!("{OWN_PREFIX}check")));
    let user = session.user.clone();
    let failed = |error| {
        let refused = fault::statement(&format!("trying tables in database {work:?}"), error);
        let named = refused.code() == codes::DEST_003 && refused.hints().is_empty();
        if named { refused.hint(grant(work, &user)) } else { refused }
    };
    // The right to drop comes first, so that nothing is left behind.
    for statement in [
        format!("DROP TABLE IF EXISTS {table}"),
        format!("CREATE TABLE {table} (id bigint NOT NULL PRIMARY KEY) ENGINE = InnoDB"),
        format!("ALTER TABLE {table} ADD COLUMN v longtext NULL"),
    ] {
        session.run(&statement).await.map_err(failed)?;
    }
    let load = format!("LOAD DATA LOCAL INFILE 'tapline' INTO TABLE {table} (id, v)");
    let loaded = session.load(&load, vec![Bytes::from_static(b"1\ttapline\n")]).await.map(drop);
    let mut outcome = loaded.map_err(failed);
    for statement in [
        format!("UPDATE {table} SET v = NULL"),
        format!("INSERT INTO {table} SELECT id + 1, v FROM {table} WHERE id = 1"),
        format!("DELETE FROM {table}"),
    ] {
        if outcome.is_ok() {
            outcome = session.run(&statement).await.map(drop).map_err(failed);
        }
    }
    session.run(&format!("DROP TABLE {table}")).await.map_err(failed)?;
    outcome.map(|()| ((), format!("may make and load tables in database {work}")))
}
