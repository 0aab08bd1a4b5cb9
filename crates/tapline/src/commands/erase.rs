//! `tapline erase SYNC --key FIELD=VALUE`: forgets one row, out of the snapshot and the rejected rows.
//! Not here: finding it (`tapline_engine`).
//! Called by the dispatcher in `commands`.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tapline_core::StateStore;

use super::Context;
use super::export::catalog;
use super::serve::failure;
use crate::cli::Erase;
use crate::errors::{Failure, unknown_name};
use crate::exit::Exit;
use crate::human;
use crate::terminal;
use crate::wiring::project_or_none;

/// Forgets the row, of a sync of the project file or of the state.
pub async fn run(arguments: &Erase, context: &Context) -> Result<Exit, Failure> {
    let (wiring, root) = project_or_none(context.project.as_deref())?;
    let name = &arguments.sync;
    let catalog = catalog(&wiring, root).await?;
    let project = catalog.project().await.map_err(failure)?;
    if !project.syncs.contains_key(name) {
        return Err(unknown_name("sync", name, project.syncs.keys().map(String::as_str)).into());
    }
    let state: Arc<dyn StateStore> = Arc::clone(catalog.store()) as Arc<dyn StateStore>;
    let job = catalog.parts.job(&project, name, &state)?;
    let key: Map<String, Value> =
        arguments.key.iter().map(|(field, value)| (field.clone(), Value::from(value.as_str()))).collect();
    let erased = tapline_engine::erase(&job, &key).await?;
    if arguments.report.is_json() {
        let (snapshots, rejects) = (erased.snapshots, erased.rejects);
        terminal::print_json(&json!({ "sync": name, "snapshots": snapshots, "rejects": rejects }))?;
    } else if !context.quiet {
        let delivered = human::count(erased.snapshots, "delivered row");
        let rejected = human::count(erased.rejects, "rejected row");
        terminal::note(format_args!("{name}: forgot {delivered} and {rejected}"));
    }
    Ok(Exit::Done)
}
