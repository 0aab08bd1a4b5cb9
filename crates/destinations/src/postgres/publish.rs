//! The publication: one transaction that makes everything staged visible, or nothing.
//! Not here: how rows are applied (see `apply`) and what the marker holds (see `marker`).
//! Called by the writer. The order of the steps is that of the walk of a row in docs/ARCHITECTURE.md.

use std::collections::BTreeSet;
use std::time::Duration;

use tapline_core::{Error, Op, Published, Receipt, Result, RowOutcome, codes, failpoint};

use super::apply::{Applied, Circumstances, apply};
use super::connect::Session;
use super::fault::{self, Refusal, RefusalKind};
use super::layout::Layout;
use super::sql;
use super::statements::REFUSED;
use super::table::{Place, Table};
use super::widen::{self, Change};
use super::writer::{Load, PostgresWriter, add_primary_key, create_table};
use crate::tolerance::Tolerance;

/// A publication that stops asking, because its process was stopped, is ended by the server after this long: the next
/// run waits for its lock on the marker.
const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '60s'; SET CONSTRAINTS ALL IMMEDIATE";
const BEGUN: &str = "SET LOCAL idle_in_transaction_session_timeout = '60s'";

/// Publishes what the writer has staged; see [`Writer::publish`](tapline_core::Writer::publish).
pub(super) async fn publish(writer: &mut PostgresWriter, staged: &[u64]) -> Result<Receipt> {
    let loaded = match writer.copy.take() {
        Some(copy) => copy.finish().await?,
        None => 0,
    };
    let applied = match in_transaction(writer, staged, loaded).await {
        Ok(applied) => applied,
        Err(error) => {
            if let Ok(session) = writer.session()
                && let Err(failure) = session.client.batch_execute("ROLLBACK").await
            {
                tracing::debug!(code = ?failure.code(), "the transaction was not rolled back by us");
            }
            return Err(error);
        }
    };
    if let Some(session) = writer.session.take() {
        let swept = match &writer.load {
            Load::Staged { table } => session.client.batch_execute(&format!("DROP TABLE IF EXISTS {table}")).await,
            Load::InPlace { .. } => Ok(()),
        };
        match swept {
            Ok(()) => writer.sessions.put_back(session),
            // What was published stays so; the next run sweeps.
            Err(error) => tracing::debug!(code = ?error.code(), "the staging table was not dropped"),
        }
    }
    Ok(Receipt {
        accepted_through: writer.accepted_through,
        durable_through: writer.accepted_through,
        outcomes: applied.outcomes,
        removed: applied.removed,
    })
}

/// Everything up to and including the commit.
async fn in_transaction(writer: &mut PostgresWriter, staged: &[u64], loaded: u64) -> Result<Applied> {
    let tolerance = Tolerance::new(&writer.target, writer.written).beside(writer.aside);
    tolerance.check(&writer.rejected)?;
    let session = writer.session()?;
    let client = &session.client;
    let begin = if matches!(writer.load, Load::InPlace { .. }) { BEGUN } else { BEGIN };
    client.batch_execute(begin).await.map_err(|error| fault::statement("beginning to publish", error))?;
    writer.marker.claim(client, &writer.target.owner, writer.target.generation).await?;
    failpoint("publish-locked");
    let applied = match &writer.load {
        Load::Staged { table } => publish_staged(writer, session, table, staged, &tolerance).await?,
        Load::InPlace { table, taken, skipped } => {
            publish_in_place(writer, session, table, taken, loaded, staged).await?;
            Applied { outcomes: skipped.clone(), removed: 0 }
        }
    };
    let mut outcomes: Vec<RowOutcome> = writer.rejected.iter().chain(&applied.outcomes).cloned().collect();
    outcomes.sort_by_key(|outcome| outcome.row);
    tolerance.check(&outcomes)?;
    let published =
        Published { generation: writer.target.generation, batches: staged.len() as u64, removed: applied.removed };
    writer.marker.publish(client, published, writer.table.is_none(), &outcomes).await?;
    failpoint("publish-recorded");
    client.batch_execute("COMMIT").await.map_err(|error| fault::statement("committing", error))?;
    failpoint("publish-committed");
    Ok(applied)
}

/// Checks the count, then gives the table its key and its name.
async fn publish_in_place(
    writer: &PostgresWriter,
    session: &Session,
    table: &str,
    taken: &[u64],
    loaded: u64,
    staged: &[u64],
) -> Result<()> {
    if taken != staged {
        return Err(fault::incomplete(taken.iter().sum(), staged.iter().sum()));
    }
    tracing::debug!(loaded, "rows were loaded in place");
    let place = &writer.marker.place;
    if Table::find(&session.client, place).await?.is_some() {
        return Err(changed(place));
    }
    session
        .client
        .batch_execute(&format!("ALTER TABLE {table} RENAME TO {}", sql::name(&place.table)))
        .await
        .map_err(|error| fault::statement("naming the table", error))?;
    if let Some(statement) = add_primary_key(&place.quoted(), &writer.target) {
        session.client.batch_execute(&statement).await.map_err(|error| {
            let shared = Refusal::read(&error, false).is_some_and(|refusal| refusal.kind == RefusalKind::Unique);
            if shared {
                Error::new(codes::DEST_006, format!("rows of {} share a primary key", place.quoted()))
            } else {
                fault::statement("adding the primary key", error)
            }
        })?;
    }
    failpoint("publish-prepared");
    Ok(())
}

/// Applies what is in the staging table.
async fn publish_staged(
    writer: &PostgresWriter,
    session: &Session,
    stage: &str,
    staged: &[u64],
    tolerance: &Tolerance,
) -> Result<Applied> {
    let client = &session.client;
    let failed = |error| fault::statement("preparing the staged rows", error);
    if !writer.retracted.is_empty() {
        client
            .execute(
                &format!("UPDATE {stage} s SET op = {REFUSED} FROM unnest($1::bigint[]) r (id) WHERE s.id = r.id"),
                &[&writer.retracted],
            )
            .await
            .map_err(failed)?;
    }
    let ops = check_staged(session, stage, staged).await?;
    client.batch_execute(&format!("ANALYZE {stage}")).await.map_err(failed)?;
    let place = &writer.marker.place;
    let table = match writer.table {
        None => make_table(writer, session).await?,
        Some(oid) => {
            let changes = changes(writer, session, stage, oid).await?;
            find_unchanged(session, place, oid, &changes).await?
        }
    };
    let layout = Layout::new(&writer.target, place, Some(&table), writer.options.zone.as_deref())?;
    if layout.fields != writer.layout.fields {
        return Err(changed(place));
    }
    let plan = layout.plan(place, stage.to_owned());
    failpoint("publish-prepared");
    let circumstances = Circumstances {
        policies: table.policies,
        may_replace: !table.references.iter().any(|reference| reference.cascades),
        tolerance,
        rejected: &writer.rejected,
    };
    apply(client, &plan, writer.target.refresh, ops, circumstances).await
}

/// Makes the table that was absent when the run began.
async fn make_table(writer: &PostgresWriter, session: &Session) -> Result<Table> {
    let place = &writer.marker.place;
    let quoted = place.quoted();
    let failed = |error| fault::statement(&format!("making table {quoted}"), error);
    let client = &session.client;
    if Table::find(client, place).await?.is_some() {
        return Err(changed(place));
    }
    client.batch_execute(&create_table(&quoted, &writer.target, &writer.layout.fields)).await.map_err(failed)?;
    if let Some(statement) = add_primary_key(&quoted, &writer.target) {
        client.batch_execute(&statement).await.map_err(failed)?;
    }
    Table::find(client, place).await?.ok_or_else(|| changed(place))
}

/// What must change at the table so that it can take what is staged.
async fn changes(writer: &PostgresWriter, session: &Session, stage: &str, oid: u32) -> Result<Vec<Change>> {
    let place = &writer.marker.place;
    if !writer.target.widen {
        return Ok(Vec::new());
    }
    let table = find(session, place, oid).await?;
    let layout = Layout::new(&writer.target, place, Some(&table), writer.options.zone.as_deref())?;
    let mut changes = layout.changes;
    for (misfit, change) in layout.conditional {
        let failed = |error| fault::statement("looking for values that do not fit", error);
        let question = format!(
            "SELECT EXISTS (SELECT FROM {stage} s WHERE op NOT IN ({REFUSED}, {DELETE}) AND {misfit})",
            DELETE = Op::Delete as i16
        );
        session.client.batch_execute("SAVEPOINT tapline_misfits").await.map_err(failed)?;
        let found = match session.client.query_one(&question, &[]).await {
            Ok(row) => row.get(0),
            // A text that the column's type cannot even read.
            Err(error) if Refusal::read(&error, false).is_some() => true,
            Err(error) => return Err(failed(error)),
        };
        let done = "ROLLBACK TO SAVEPOINT tapline_misfits; RELEASE SAVEPOINT tapline_misfits";
        session.client.batch_execute(done).await.map_err(failed)?;
        if found {
            changes.push(change);
        }
    }
    Ok(changes)
}

/// Keeps the table from being altered by others, sees that it is the one that the run began with, and changes it.
async fn find_unchanged(session: &Session, place: &Place, oid: u32, changes: &[Change]) -> Result<Table> {
    let before = find(session, place, oid).await?;
    let mode = if changes.is_empty() { "ROW EXCLUSIVE" } else { "ACCESS EXCLUSIVE" };
    session
        .client
        .batch_execute(&format!("LOCK TABLE {} IN {mode} MODE", place.quoted()))
        .await
        .map_err(|error| fault::statement("locking the table", error))?;
    let locked = find(session, place, oid).await?;
    if changes.is_empty() {
        return Ok(locked);
    }
    if locked.columns != before.columns {
        return Err(changed(place));
    }
    let statement = widen::statement(place, changes);
    session.client.batch_execute(&statement).await.map_err(|error| widen::refused(place, changes, error))?;
    tracing::debug!(statement, "the table is widened");
    find(session, place, oid).await
}

/// The table, if it is still the one with this number.
async fn find(session: &Session, place: &Place, oid: u32) -> Result<Table> {
    Table::find(&session.client, place).await?.filter(|table| table.oid == oid).ok_or_else(|| changed(place))
}

/// Compares the staged rows with what must be there; the answer is the operations among them.
async fn check_staged(session: &Session, stage: &str, expected: &[u64]) -> Result<BTreeSet<i16>> {
    let rows = session
        .client
        .query(&format!("SELECT id >> 32, op, count(*) FROM {stage} WHERE op <> {REFUSED} GROUP BY 1, 2"), &[])
        .await
        .map_err(|error| fault::statement("counting the staged rows", error))?;
    let mut counts = vec![0_u64; expected.len()];
    let mut ops = BTreeSet::new();
    let mut total = 0;
    for row in rows {
        let (seq, op, count) = (row.get::<_, i64>(0), row.get::<_, i16>(1), row.get::<_, i64>(2).cast_unsigned());
        total += count;
        ops.insert(op);
        if let Some(sum) = usize::try_from(seq).ok().and_then(|seq| counts.get_mut(seq)) {
            *sum += count;
        }
    }
    let due: u64 = expected.iter().sum();
    if counts != expected || total != due {
        return Err(fault::incomplete(total, due));
    }
    Ok(ops)
}

fn changed(place: &Place) -> Error {
    Error::new(codes::DEST_006, format!("table {} was made, dropped or altered while the run went on", place.quoted()))
        .hint("nothing became visible; run the sync again")
        .retry_after(Duration::from_secs(1))
}
