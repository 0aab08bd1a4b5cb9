//! `tapline preview MODEL|SYNC`: the first rows of a model, or the mapped rows of a sync.
//! Not here: the query and the mapping (`tapline_engine`), the formats (`output`).
//! Called by the dispatcher in `commands`.

use super::{Context, query};
use crate::cli::Preview;
use crate::errors::{Failure, unknown_name};
use crate::exit::Exit;
use crate::problems;
use crate::rows::RowWriter;
use crate::wiring::Wiring;

/// Shows the rows. Of a name that is a model and a sync the sync is meant, since its rows tell more.
pub async fn run(arguments: &Preview, context: &Context) -> Result<Exit, Failure> {
    let wiring = Wiring::open(context.project.as_deref())?;
    let (project, name) = (&wiring.project, arguments.name.as_str());
    let mut writer = RowWriter::create(arguments.format, None)?;
    let scan = if project.syncs.contains_key(name) {
        let state = wiring.state_to_read().await?;
        let job = wiring.job(name, &state.store)?;
        Box::pin(tapline_engine::preview_sync(&job, arguments.limit, &mut writer)).await
    } else if let Some(model) = project.models.get(name) {
        problems::stop_at(problems::of_model_and_its_source(&wiring, name))?;
        let session = wiring.session(&model.source)?;
        Box::pin(tapline_engine::execute(&session, &model.sql, Some(arguments.limit), &mut writer)).await
    } else {
        let names = project.models.keys().chain(project.syncs.keys());
        return Err(unknown_name("model or sync", name, names.map(String::as_str)).into());
    };
    let scan = scan.map_err(|error| writer.failure(Failure::in_project(error)))?;
    writer.finish()?;
    Ok(query::end(&scan.source_rows, context))
}
