//! The steps of `tapline check`: open the file, and see whether it can be written.
//! Not here: what a particular stream needs, which shows when a run opens it.
//! Called by the destination.

use std::fs::File;
use std::path::Path;

use sqlx::{Connection, SqliteConnection};
use tapline_core::{CheckStep, CheckSteps, Error, Result, codes};

use super::connect::{Place, close};
use super::{fault, table};

/// Leaves the file as it is, and makes none where there is none.
pub(super) async fn check(place: &Place) -> Vec<CheckStep> {
    let mut steps = CheckSteps::default();
    if let Some(connection) = steps.take("open", open(place)).await {
        steps.take("write", write(place, connection)).await;
    }
    steps.finish()
}

async fn open(place: &Place) -> Result<(Option<SqliteConnection>, String)> {
    match place.open_existing().await? {
        Some(mut connection) => {
            let tables = table::list(&mut connection).await?.len();
            Ok((Some(connection), format!("{}; tables: {tables}", place.path().display())))
        }
        None => Ok((None, format!("{} does not exist yet; the first run makes it", place.path().display()))),
    }
}

async fn write(place: &Place, connection: Option<SqliteConnection>) -> Result<((), String)> {
    let Some(mut connection) = connection else {
        probe(place.path()).map_err(|error| {
            Error::new(codes::DEST_003, format!("writing beside {}", place.path().display()))
                .because(error)
                .hint("the folder must exist, and be writable for the user that runs Tapline")
        })?;
        return Ok(((), "the folder can be written".to_owned()));
    };
    let failed = |error| fault::statement("asking for the right to write", error);
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    sqlx::raw_sql("CREATE TABLE _tapline_check (id)").execute(&mut *transaction).await.map_err(failed)?;
    transaction.rollback().await.map_err(failed)?;
    close(connection).await;
    Ok(((), "tables can be made".to_owned()))
}

/// Makes a file beside the place where the database will be, and removes it.
fn probe(path: &Path) -> std::io::Result<()> {
    let mut probe = path.as_os_str().to_owned();
    probe.push("-tapline-check");
    File::create_new(&probe)?;
    std::fs::remove_file(probe)
}
