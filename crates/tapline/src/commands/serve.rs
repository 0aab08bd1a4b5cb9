//! `tapline serve`: the API, the web UI and the scheduler.
//! Not here: the server (`tapline_server`).
//! Called by the dispatcher in `commands`.

use std::sync::Arc;

use serde_json::json;
use tapline_core::{Error, Secret, codes};
use tapline_server::{App, Settings};
use tokio::net::TcpListener;

use super::Context;
use crate::cli::Serve;
use crate::errors::{Failure, usage};
use crate::exit::Exit;
use crate::problems;
use crate::terminal;
use crate::wiring::project_or_none;
use crate::workshop::Workshop;

/// A server that is ready, and has not answered anybody yet.
pub struct Ready {
    /// The server.
    pub app: App,
    /// Where people reach it.
    pub url: String,
    listener: TcpListener,
}

impl Ready {
    /// Serves until a signal, then ends in good order.
    pub async fn serve(self) -> Failure {
        Box::pin(tapline_server::serve(self.app, self.listener)).await;
        Failure::Interrupted
    }
}

/// Serves until a signal, then ends in good order.
pub async fn run(arguments: &Serve, context: &Context) -> Result<Exit, Failure> {
    let ready = prepare(arguments, context).await?;
    let setup = tapline_server::auth::first_start(&ready.app).await.map_err(failure)?;
    let setup = setup.map(|code| format!("{}/setup?code={code}", ready.url));
    if arguments.report.is_json() {
        terminal::print_json(&json!({ "url": ready.url, "setup_url": setup }))?;
    } else {
        terminal::note(format_args!("Tapline is at {}", ready.url));
        if let Some(setup) = setup {
            terminal::note(format_args!("To make the first user, open {setup}"));
        }
    }
    Err(ready.serve().await)
}

/// Opens the state and the socket.
pub async fn prepare(arguments: &Serve, context: &Context) -> Result<Ready, Failure> {
    let (wiring, root) = project_or_none(context.project.as_deref())?;
    problems::stop_at(problems::of_project(&wiring))?;
    let project = &wiring.project;
    let store = tapline_state::open_server(&project.state.url, &project.folder).await?;
    let admin_token = std::env::var("TAPLINE_ADMIN_TOKEN").ok().filter(|token| !token.is_empty());
    let is_remote = !arguments.listen.ip().is_loopback();
    if is_remote && admin_token.is_none() && !arguments.allow_remote_setup && store.users().await?.is_empty() {
        return Err(usage(format!(
            "there is no admin yet, and {} can be reached from other machines",
            arguments.listen
        ))
        .hint("start it once on loopback, and follow the setup link")
        .hint("or set TAPLINE_ADMIN_TOKEN, or say --allow-remote-setup")
        .into());
    }
    let public_url = arguments.public_url.as_deref().map(tapline_server::public_url).transpose()?;
    let listener = TcpListener::bind(arguments.listen).await.map_err(|error| {
        Error::new(codes::FILE_006, format!("cannot listen on {}", arguments.listen))
            .because(error)
            .hint("is another server running there? `--listen 127.0.0.1:0` takes any free port")
    })?;
    let listen =
        listener.local_addr().map_err(|error| Error::internal("a socket without an address").because(error))?;
    let settings = Settings {
        listen,
        file: project.file.clone(),
        concurrency: arguments.concurrency,
        allow_private_addresses: arguments.allow_private_addresses,
        admin_token: admin_token.map(Secret::from),
        public_url: public_url.clone(),
        version: env!("CARGO_PKG_VERSION"),
    };
    let stop = context.interruption.token().clone();
    let app = App::new(store, Arc::new(Workshop::new(!arguments.allow_private_addresses)), settings, root, stop);
    let url =
        public_url.map_or_else(|| format!("http://{listen}"), |url| url.as_str().trim_end_matches('/').to_owned());
    Ok(Ready { app, url, listener })
}

/// A problem of the server, for somebody at the command line.
pub fn failure(problem: tapline_server::problem::Problem) -> Failure {
    Failure::Errors(problem.into_errors())
}
