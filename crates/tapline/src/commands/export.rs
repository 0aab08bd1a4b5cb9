//! `tapline export`: the definitions that were made in the server, as a project file.
//! Not here: how they are written (`tapline_server`).
//! Called by the dispatcher in `commands`.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tapline_core::yaml::Node;
use tapline_server::catalog::Catalog;

use super::Context;
use super::serve::failure;
use crate::cli::Export;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::terminal;
use crate::wiring::{Wiring, project_or_none};
use crate::workshop::Workshop;

/// Prints the project file; with `--format json` as the text in a document.
pub async fn run(arguments: &Export, context: &Context) -> Result<Exit, Failure> {
    let (wiring, root) = project_or_none(context.project.as_deref())?;
    let text = catalog(&wiring, root).await?.export().await.map_err(failure)?;
    if arguments.report.is_json() {
        terminal::print_json(&json!({ "project": text }))?;
    } else {
        terminal::print(&text)?;
    }
    Ok(Exit::Done)
}

/// The definitions of a project and its state.
pub async fn catalog(wiring: &Wiring, root: Option<Node>) -> Result<Catalog, Failure> {
    let project = &wiring.project;
    let store = tapline_state::open_server(&project.state.url, &project.folder).await?;
    let file: PathBuf = project.file.clone();
    Ok(Catalog::new(store, Arc::new(Workshop::new(true)), file, root, true))
}
