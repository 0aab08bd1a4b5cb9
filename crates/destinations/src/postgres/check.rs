//! `tapline check` for PostgreSQL: connect, TLS, login, version, rights.
//! Not here: the checks of one stream, which `open` makes.
//! Called through `Destination::check`.

use std::time::Duration;

use tapline_core::{CheckStep, CheckSteps, Error, Result, codes};
use tokio::net::TcpStream;

use super::config::{Server, SslMode};
use super::connect::{Failure, Session, connect_once};
use super::{fault, sql, table};

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
        let session = session.map_err(|failure| failure.into_error(server))?;
        let found = format!("as {} to database {}", session.user, server.database);
        Ok((session, found))
    };
    let session = steps.take("login", login).await?;
    steps.take("version", async { Ok(((), version(&session))) }).await?;
    steps.take("rights", rights(&session, work_schema)).await
}

async fn reach(server: &Server) -> Result<((), String)> {
    if server.is_local() {
        return Ok(((), format!("through the socket in {}", server.host)));
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
        failed(problem, "check host and port, and whether PostgreSQL runs and listens on that address").because(error)
    })?;
    let peer = stream.peer_addr().map_or_else(|_| at.clone(), |peer| peer.to_string());
    Ok(((), peer))
}

/// What can be said of TLS, whether or not the login worked.
#[allow(clippy::type_complexity)]
fn encryption(server: &Server, session: Result<Session, Failure>) -> Result<(Result<Session, Failure>, String)> {
    let encrypted = match &session {
        Err(failure) if failure.is_tls() => {
            return Err(match session {
                Err(failure) => failure.into_error(server),
                Ok(_) => Error::internal("a session failed and did not"),
            });
        }
        Err(failure) => failure.is_encrypted(),
        Ok(session) => session.encrypted,
    };
    let verified = match server.sslmode {
        SslMode::VerifyFull => "certificate and host verified",
        SslMode::VerifyCa => "certificate verified",
        SslMode::Require if server.sslrootcert.is_some() => "certificate verified",
        _ => "certificate not verified",
    };
    let found = if encrypted {
        format!("encrypted, {verified} (sslmode {})", server.sslmode.as_str())
    } else if server.is_local() {
        "not used on a local socket".to_owned()
    } else {
        format!("not encrypted (sslmode {})", server.sslmode.as_str())
    };
    Ok((session, found))
}

fn version(session: &Session) -> String {
    format!("PostgreSQL {}.{}", session.version / 10_000, session.version % 10_000)
}

/// Whether the marker and staging tables can be made, in `work_schema` or in the schema that a stream without one is in.
async fn rights(session: &Session, work_schema: Option<&str>) -> Result<((), String)> {
    let client = &session.client;
    let schema = match work_schema {
        Some(schema) => schema.to_owned(),
        None => client
            .query_one("SELECT coalesce(current_schema(), 'public')::text", &[])
            .await
            .map_err(|error| fault::statement("asking for the current schema", error))?
            .get(0),
    };
    let Some(missing) = table::missing_in_schema(client, &session.user, &schema).await? else {
        return Ok(((), format!("may create tables in schema {schema}")));
    };
    if work_schema.is_some() {
        return Err(missing);
    }
    let others: Vec<String> = client
        .query(
            "SELECT nspname::text FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' \
             AND has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE') ORDER BY 1",
            &[],
        )
        .await
        .map_err(|error| fault::statement("looking at the rights on schemas", error))?
        .iter()
        .map(|row| row.get(0))
        .collect();
    Err(if others.is_empty() {
        missing.hint(format!(
            "or give Tapline a schema of its own and name it as work_schema: CREATE SCHEMA tapline AUTHORIZATION {};",
            sql::name(&session.user)
        ))
    } else {
        missing.hint(format!("or set work_schema to a schema where it may: {}", others.join(", ")))
    })
}
