//! The publication: one transaction that makes everything staged visible, or nothing.
//! Not here: how rows are applied (see `apply`) and what the marker holds (see `marker`).
//! Called by the writer. The order of the steps is that of the walk of a row in docs/ARCHITECTURE.md.
//!
//! MySQL commits before it makes or alters a table, so that comes first, under the stream's named lock. A table that is
//! made is announced in the marker before, and empty until the transaction commits; an attempt that fails after that
//! takes it away again.

use std::time::Duration;

use tapline_core::{Error, Published, Receipt, Result, RowOutcome, codes, failpoint};

use super::apply::{Applied, Circumstances, apply};
use super::connect::Session;
use super::fault;
use super::table::{self, Place, Table};
use super::widen::{self, Change};
use super::writer::{MysqlWriter, used_after_its_end, with_grant};
use crate::tolerance::Tolerance;

/// What a publication did to the table before its transaction.
#[derive(Debug, Default)]
struct Prepared {
    made: bool,
    changes: Vec<Change>,
}

/// Publishes what the writer has staged; see [`Writer::publish`](tapline_core::Writer::publish).
pub(super) async fn publish(writer: &mut MysqlWriter, staged: &[u64]) -> Result<Receipt> {
    let tolerance = Tolerance::new(&writer.target, writer.written).beside(writer.aside);
    tolerance.check(&writer.rejected)?;
    let mut session = writer.session.take().ok_or_else(used_after_its_end)?;
    let outcome = under_lock(writer, &mut session, staged, &tolerance).await;
    let applied = match outcome {
        Ok(applied) => applied,
        Err(error) => {
            writer.session = Some(session);
            return Err(error);
        }
    };
    // What was published stays so, whatever the tidying comes to; the next run sweeps.
    if writer.stage.drop(&mut session).await && writer.marker.end(&mut session).await.is_ok() {
        writer.sessions.put_back(session);
    }
    Ok(Receipt {
        accepted_through: writer.accepted_through,
        durable_through: writer.accepted_through,
        outcomes: applied.outcomes,
        removed: applied.removed,
    })
}

/// Everything up to and including the commit; what fails is undone.
async fn under_lock(
    writer: &MysqlWriter,
    session: &mut Session,
    staged: &[u64],
    tolerance: &Tolerance,
) -> Result<Applied> {
    writer.marker.begin(session).await?;
    let mut prepared = Prepared::default();
    let outcome = attempt(writer, session, staged, tolerance, &mut prepared).await;
    if outcome.is_err() {
        undo(writer, session, &prepared).await;
    }
    outcome
}

async fn attempt(
    writer: &MysqlWriter,
    session: &mut Session,
    staged: &[u64],
    tolerance: &Tolerance,
    prepared: &mut Prepared,
) -> Result<Applied> {
    let (target, marker, place) = (&writer.target, &writer.marker, &writer.marker.place);
    marker.claim(session, &target.owner, target.generation).await?;
    failpoint("publish-locked");
    writer.stage.set_aside(session, &writer.retracted).await?;
    let ops = writer.stage.verify(session, staged).await?;
    let table = prepare(writer, session, prepared).await?;
    failpoint("publish-prepared");
    let plan = writer.layout.plan(place, &table, &marker.work, &writer.stage.table)?;
    session.run("START TRANSACTION").await.map_err(|error| fault::statement("beginning to publish", error))?;
    marker.claim(session, &target.owner, target.generation).await?;
    let circumstances = Circumstances {
        may_replace: !table.triggers && table.referenced_by.is_empty(),
        tolerance,
        rejected: &writer.rejected,
    };
    let applied = apply(session, &writer.stage, &plan, target.refresh, ops, circumstances).await?;
    let mut outcomes: Vec<RowOutcome> = writer.rejected.iter().chain(&applied.outcomes).cloned().collect();
    outcomes.sort_by_key(|outcome| outcome.row);
    tolerance.check(&outcomes)?;
    let published = Published { generation: target.generation, batches: staged.len() as u64, removed: applied.removed };
    marker.publish(session, published, &table.identity, &outcomes).await?;
    failpoint("publish-recorded");
    session.run("COMMIT").await.map_err(|error| fault::statement("committing", error))?;
    failpoint("publish-committed");
    Ok(applied)
}

/// Sees that the table is the one that the run began with, and makes or widens it.
async fn prepare(writer: &MysqlWriter, session: &mut Session, prepared: &mut Prepared) -> Result<Table> {
    let place = &writer.marker.place;
    let found = Table::find(session, place).await?;
    if found != writer.table {
        return Err(changed(place));
    }
    let user = session.user.clone();
    match found {
        None => {
            let id = uuid::Uuid::new_v4().to_string();
            writer.marker.announce(session, &id).await?;
            let columns = writer.layout.new_columns();
            let statement = table::create(session, place, &columns, &writer.target.key, &id);
            session.run(&statement).await.map_err(|error| {
                with_grant(fault::statement(&format!("making table {}", place.quoted()), error), &place.database, &user)
            })?;
            prepared.made = true;
        }
        Some(table) => {
            let changes = writer.layout.due();
            if changes.is_empty() {
                return Ok(table);
            }
            let statement = widen::statement(place, &changes);
            session.run(&statement).await.map_err(|error| widen::refused(place, &changes, error))?;
            tracing::debug!(statement, "the table is widened");
            prepared.changes = changes;
        }
    }
    Table::find(session, place).await?.ok_or_else(|| changed(place))
}

/// Leaves things as they were before the publication. What fails here fails because the session is gone, and the
/// server has undone the transaction itself.
async fn undo(writer: &MysqlWriter, session: &mut Session, prepared: &Prepared) {
    let place = &writer.marker.place;
    let mut undone = session.run("ROLLBACK").await.map(drop);
    if undone.is_ok() && !prepared.changes.is_empty() {
        undone = session.run(&widen::undo(place, &prepared.changes)).await.map(drop);
    }
    // Nobody but this run writes to it under the lock; a row is a sign that somebody does all the same.
    if undone.is_ok() && prepared.made && matches!(table::holds_rows(session, &place.quoted()).await, Ok(false)) {
        undone = session.run(&format!("DROP TABLE {}", place.quoted())).await.map(drop);
    }
    if let Err(error) = undone {
        tracing::debug!(number = ?fault::number(&error), "the attempt was not undone");
    }
    if let Err(error) = writer.marker.end(session).await {
        tracing::debug!(%error, "the marker's lock ends with the session");
    }
}

fn changed(place: &Place) -> Error {
    Error::new(codes::DEST_006, format!("table {} was made, dropped or altered while the run went on", place.quoted()))
        .hint("nothing became visible; run the sync again")
        .retry_after(Duration::from_secs(1))
}
