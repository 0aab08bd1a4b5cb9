//! `tapline token`: makes, lists and revokes tokens of the API in the project's state, without a server.
//! Not here: how a token is made and checked (`tapline_server::auth`).
//! Called by the dispatcher in `commands`.

use std::sync::Arc;

use chrono::{SubsecRound, TimeDelta, Utc};
use serde_json::{Value, json};
use tapline_core::server_state::{Actor, ActorKind, AuditEntry, Token};
use tapline_core::{Error, ServerStore, codes};
use tapline_server::auth::Minted;

use super::Context;
use crate::cli::{self, TokenCommand, TokenCreate, TokenList, TokenRevoke};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::human;
use crate::terminal;
use crate::wiring::project_or_none;

/// Who makes tokens at the command line.
const MAKER: &str = "command line";

/// Does what was asked for.
pub async fn run(arguments: &cli::Token, context: &Context) -> Result<Exit, Failure> {
    let (wiring, _) = project_or_none(context.project.as_deref())?;
    let project = &wiring.project;
    let store = tapline_state::open_server(&project.state.url, &project.folder).await?;
    match &arguments.command {
        TokenCommand::Create(create) => self::create(create, &store, context).await,
        TokenCommand::List(list) => self::list(list, &store).await,
        TokenCommand::Revoke(revoke) => self::revoke(revoke, &store, context).await,
    }
}

async fn create(arguments: &TokenCreate, store: &Arc<dyn ServerStore>, context: &Context) -> Result<Exit, Failure> {
    let minted = Minted::new();
    let now = Utc::now().trunc_subsecs(0);
    let token = Token {
        id: minted.id.clone(),
        name: arguments.name.clone(),
        role: arguments.role.into(),
        hash: minted.hash.clone(),
        created_at: now,
        created_by: MAKER.to_owned(),
        expires_at: arguments.expires_in_days.map(|days| now + TimeDelta::days(i64::from(days))),
        last_used_at: None,
    };
    store.create_token(&token).await?;
    note(store, "tokens.create", &token, json!({ "id": token.id, "role": token.role })).await?;
    if arguments.report.is_json() {
        let mut object = shown(&token);
        object["token"] = json!(minted.token());
        terminal::print_json(&object)?;
    } else {
        terminal::print_line(minted.token())?;
        if !context.quiet {
            terminal::note(format_args!("a token with the role {}; it is shown this once", token.role.word()));
        }
    }
    Ok(Exit::Done)
}

async fn list(arguments: &TokenList, store: &Arc<dyn ServerStore>) -> Result<Exit, Failure> {
    let tokens = store.tokens().await?;
    if arguments.report.is_json() {
        terminal::print_json(&tokens.iter().map(shown).collect::<Vec<_>>())?;
    } else if tokens.is_empty() {
        terminal::note("no token yet");
    } else {
        let heads = ["id", "name", "role", "made (UTC)", "expires (UTC)", "last used (UTC)"];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        rows.extend(tokens.iter().map(|token| {
            vec![
                token.id.clone(),
                token.name.clone(),
                token.role.word().to_owned(),
                human::time(token.created_at),
                token.expires_at.map_or_else(|| "never".to_owned(), human::time),
                token.last_used_at.map_or_else(|| "never".to_owned(), human::time),
            ]
        }));
        terminal::print(&human::columns(&rows, &[]))?;
    }
    Ok(Exit::Done)
}

async fn revoke(arguments: &TokenRevoke, store: &Arc<dyn ServerStore>, context: &Context) -> Result<Exit, Failure> {
    let id = &arguments.id;
    let token = store.token(id).await?.ok_or_else(|| {
        Error::new(codes::CONF_004, format!("there is no token `{id}`")).hint("`tapline token list` shows their ids")
    })?;
    store.delete_token(id).await?;
    note(store, "tokens.delete", &token, json!({ "id": id })).await?;
    if arguments.report.is_json() {
        terminal::print_json(&json!({ "id": id, "revoked": true }))?;
    } else if !context.quiet {
        terminal::note(format_args!("the token {} opens nothing any more", token.name));
    }
    Ok(Exit::Done)
}

/// A token without its hash.
fn shown(token: &Token) -> Value {
    let Token { id, name, role, created_at, created_by, expires_at, last_used_at, .. } = token;
    json!({
        "id": id, "name": name, "role": role, "created_at": created_at, "created_by": created_by,
        "expires_at": expires_at, "last_used_at": last_used_at,
    })
}

async fn note(store: &Arc<dyn ServerStore>, action: &str, token: &Token, details: Value) -> Result<(), Error> {
    let entry = AuditEntry {
        id: 0,
        at: Utc::now(),
        actor: Actor { kind: ActorKind::System, name: MAKER.to_owned() },
        action: action.to_owned(),
        target: Some(token.name.clone()),
        address: None,
        details,
    };
    store.append_audit(&entry).await
}
