//! `tapline query [SOURCE] SQL`: runs one SELECT and prints its rows.
//! Not here: the query (`tapline_engine`), the formats (`output`).
//! Called by the dispatcher in `commands`; `preview` shares the end.

use std::io::Read;

use tapline_core::config;
use tapline_core::yaml::Variables;
use tapline_core::{Error, SourceRowCounts, codes};

use super::Context;
use crate::cli::Query;
use crate::errors::{Failure, usage, warn};
use crate::exit::Exit;
use crate::human;
use crate::rows::RowWriter;
use crate::wiring::{self, Wiring};

/// Runs the SQL over a source of the project, or over whatever the user may read.
pub async fn run(arguments: &Query, context: &Context) -> Result<Exit, Failure> {
    let (session, sql) = match arguments.arguments.as_slice() {
        [source, sql] => {
            let wiring = Wiring::open(context.project.as_deref())?;
            (wiring.session(source)?, sql)
        }
        [sql] => {
            not_a_source(sql, context)?;
            (wiring::ambient_session()?, sql)
        }
        _ => return Err(usage("expected a source and SQL, or SQL alone").into()),
    };
    let sql = text(sql).await?;
    let mut writer = RowWriter::create(arguments.format, arguments.output.as_deref())?;
    let scan = Box::pin(tapline_engine::execute(&session, &sql, arguments.limit, &mut writer)).await;
    let scan = scan.map_err(|error| writer.failure(error))?;
    writer.finish()?;
    Ok(end(&scan.source_rows, context))
}

/// The SQL itself, or what stdin says for `-`.
async fn text(argument: &str) -> Result<String, Error> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let read = || {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    };
    let text = tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    text.map_err(|error| Error::new(codes::FILE_006, "cannot read the SQL from stdin").because(error))
}

/// A single word that names a source is not meant as SQL.
fn not_a_source(sql: &str, context: &Context) -> Result<(), Error> {
    let file = wiring::project_file(context.project.as_deref()).ok();
    let project = file.and_then(|file| config::examine(&file, Variables::Leave).0);
    if project.is_some_and(|project| project.sources.contains_key(sql)) {
        return Err(usage(format!("`{sql}` is a source, and the SQL is missing"))
            .hint(format!("write it behind: `tapline query {sql} \"SELECT …\"`"))
            .hint(format!("`tapline discover {sql}` lists the files to select from")));
    }
    Ok(())
}

/// How a command ends that has printed all rows: lines that could not be read are told, and make the exit code 3.
pub(super) fn end(source_rows: &SourceRowCounts, context: &Context) -> Exit {
    if source_rows.rejected == 0 {
        return Exit::Done;
    }
    if !context.quiet {
        let lines = human::count(source_rows.rejected, "line");
        warn(format_args!("{lines} of the files could not be read as rows and were left out"), None);
    }
    Exit::Rejected
}
