//! Applying staged rows to a table: deletes, then updates, then inserts; what the server refuses becomes outcomes.
//! Not here: the statements' text (see `statements`), and the transaction around it all (see `publish`).
//! Called when a run publishes.
//!
//! A statement that fails undoes what it did itself and leaves the transaction as it was, so that only the rows that are
//! replaced as a group need a savepoint. A deadlock undoes the whole transaction, and is no refusal.

use std::collections::BTreeSet;

use mysql_async::Row;
use tapline_core::{Error, Op, Outcome, Refresh, Result, RowOutcome, codes, failpoint};

use super::connect::{Session, number};
use super::fault::{self, Refusal, RefusalKind};
use super::stage::{Stage, row_id};
use super::statements::{PRESENT, Plan, SECOND, Taken};
use super::{sql, table};
use crate::tolerance::Tolerance;

const DELETE: i64 = Op::Delete as i64;
const UPDATE: i64 = Op::Update as i64;
const INSERT: i64 = Op::Insert as i64;
const UPSERT: i64 = Op::Upsert as i64;

/// How often a group of rows that exclude each other is put together anew, without those that still do not fit.
const GROUP_ROUNDS: usize = 8;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) outcomes: Vec<RowOutcome>,
    /// Full refresh: leftovers that were removed.
    pub(super) removed: u64,
}

/// What decides which rows are refused, and how many may be.
pub(super) struct Circumstances<'a> {
    /// Whether rows can be taken out and put in again without a trace in other tables.
    pub(super) may_replace: bool,
    pub(super) tolerance: &'a Tolerance,
    /// Rows that were refused when they were staged.
    pub(super) rejected: &'a [RowOutcome],
}

/// Applies everything that is staged. Runs within a transaction; an error means that it must be rolled back.
///
/// `staged` are the operations that the staging table holds.
pub(super) async fn apply(
    session: &mut Session,
    stage: &Stage,
    plan: &Plan,
    refresh: Refresh,
    staged: BTreeSet<i64>,
    circumstances: Circumstances<'_>,
) -> Result<Applied> {
    let mut run = Apply { session, stage, plan, circumstances, staged, applied: Applied::default(), rejected: 0 };
    match refresh {
        Refresh::Incremental => run.incremental().await?,
        Refresh::Full { .. } => run.full().await?,
    }
    let mut applied = run.applied;
    applied.outcomes.sort_by_key(|outcome| outcome.row);
    Ok(applied)
}

struct Apply<'a> {
    session: &'a mut Session,
    stage: &'a Stage,
    plan: &'a Plan,
    circumstances: Circumstances<'a>,
    /// The operations that the staging table holds.
    staged: BTreeSet<i64>,
    applied: Applied,
    /// How many of the outcomes are refusals.
    rejected: u64,
}

/// A row that the server refused while it was applied.
struct Refused {
    id: i64,
    op: i64,
    refusal: Refusal,
}

impl Apply<'_> {
    async fn incremental(&mut self) -> Result<()> {
        self.set_unfit_aside(&[DELETE, UPDATE, INSERT, UPSERT]).await?;
        self.set_folded_keys_aside(&[UPDATE, INSERT, UPSERT]).await?;
        let plan = self.plan;
        let mut refused = self.in_ranges("deleting rows", |taken| Some(plan.delete(taken)), &[DELETE]).await?;
        failpoint("publish-deleted");
        let absent = self.ids("looking for absent keys", |taken| plan.there(false, taken), &[UPDATE]).await?;
        self.stage.set_aside(self.session, &absent).await?;
        self.applied
            .outcomes
            .extend(absent.into_iter().map(|id| RowOutcome { row: row_id(id), outcome: Outcome::Skipped }));
        let present = self.ids("looking for present keys", |taken| plan.there(true, taken), &[INSERT]).await?;
        self.reject_all(present, || Refusal::row(codes::ROW_003, "the key is already in the table")).await?;
        refused.extend(self.write(0).await?);
        self.second_chance(refused).await
    }

    /// A full refresh stages upserts alone.
    async fn full(&mut self) -> Result<()> {
        self.set_unfit_aside(&[UPSERT]).await?;
        self.set_folded_keys_aside(&[UPSERT]).await?;
        if table::holds_rows(self.session, &self.plan.table).await? {
            self.applied.removed = self
                .session
                .run(&self.plan.remove_leftovers())
                .await
                .map_err(|error| leftovers_refused(&self.plan.table, error))?;
            failpoint("publish-deleted");
        }
        let refused = self.write(0).await?;
        self.second_chance(refused).await
    }

    /// Changes the rows that are there and adds the others; `offset` is 0 or [`SECOND`].
    async fn write(&mut self, offset: i64) -> Result<Vec<Refused>> {
        let plan = self.plan;
        let upsert = [offset + UPSERT];
        if plan.has_key() && self.holds_any(&upsert) && table::holds_rows(self.session, &plan.table).await? {
            let present = self
                .session
                .run(&plan.mark_present(Taken::all(&upsert)))
                .await
                .map_err(|error| fault::statement("looking for present keys", error))?;
            if present > 0 {
                self.staged.insert(offset + PRESENT);
            }
        }
        let changing = [offset + UPDATE, offset + PRESENT];
        let mut refused = self.in_ranges("changing rows", |taken| plan.update(taken), &changing).await?;
        failpoint("publish-updated");
        let adding = [offset + INSERT, offset + UPSERT];
        refused.extend(self.in_ranges("adding rows", |taken| Some(plan.insert(taken)), &adding).await?);
        failpoint("publish-inserted");
        Ok(refused)
    }

    /// Rows that were refused because of other rows are tried again when the others are in place, as long as it helps;
    /// those that must be unique at last as one group, taken out and put in again.
    async fn second_chance(&mut self, mut refused: Vec<Refused>) -> Result<()> {
        let plan = self.plan;
        loop {
            let (waiting, hopeless): (Vec<_>, Vec<_>) =
                refused.into_iter().partition(|row| row.refusal.kind != RefusalKind::Row);
            hopeless.into_iter().for_each(|row| self.reject(row.id, row.refusal));
            if waiting.is_empty() {
                return Ok(());
            }
            self.restore(&waiting).await?;
            let deletes = [SECOND + DELETE];
            refused = self.in_ranges("deleting rows", |taken| Some(plan.delete(taken)), &deletes).await?;
            refused.extend(self.write(SECOND).await?);
            if refused.len() == waiting.len() {
                break;
            }
        }
        let (clashing, waiting): (Vec<_>, Vec<_>) = refused.into_iter().partition(|row| {
            row.refusal.kind == RefusalKind::Unique && self.circumstances.may_replace && self.plan.has_key()
        });
        waiting.into_iter().for_each(|row| self.reject(row.id, row.refusal));
        self.replace_together(clashing).await
    }

    /// Takes rows out and puts them in again, changed, so that values that must be unique can change places. Rows that
    /// clash even so are rejected, and the others put together without them.
    async fn replace_together(&mut self, mut group: Vec<Refused>) -> Result<()> {
        const DOING: &str = "replacing rows";
        let all = [SECOND + UPDATE, SECOND + INSERT, SECOND + UPSERT, SECOND + PRESENT];
        let plan = self.plan;
        for _ in 0..GROUP_ROUNDS {
            if group.is_empty() {
                return Ok(());
            }
            self.restore(&group).await?;
            self.run(DOING, "SAVEPOINT tapline_group").await?;
            self.run(DOING, &plan.keep(Taken::all(&all))).await?;
            self.run(DOING, &plan.delete(Taken::all(&all))).await?;
            let mut again = self.in_ranges(DOING, |taken| Some(plan.insert_kept(taken)), &all).await?;
            again.extend(self.in_ranges(DOING, |taken| Some(plan.insert_new(taken)), &all).await?);
            if again.is_empty() {
                self.run(DOING, &format!("DROP TEMPORARY TABLE {}", plan.kept)).await?;
                return self.run(DOING, "RELEASE SAVEPOINT tapline_group").await;
            }
            self.run(DOING, "ROLLBACK TO SAVEPOINT tapline_group").await?;
            self.run(DOING, &format!("DROP TEMPORARY TABLE {}", plan.kept)).await?;
            let clashing: BTreeSet<i64> = again.iter().map(|row| row.id).collect();
            let (out, rest): (Vec<_>, Vec<_>) = group.into_iter().partition(|row| clashing.contains(&row.id));
            let ids: Vec<i64> = out.iter().map(|row| row.id).collect();
            self.stage.set_aside(self.session, &ids).await?;
            out.into_iter().for_each(|row| self.reject(row.id, row.refusal));
            group = rest;
        }
        group.into_iter().for_each(|row| self.reject(row.id, row.refusal));
        Ok(())
    }

    /// Marks refused rows so that only the statements of a second chance take them.
    async fn restore(&mut self, rows: &[Refused]) -> Result<()> {
        for op in rows.iter().map(|row| row.op).collect::<BTreeSet<_>>() {
            let again = op % SECOND + SECOND;
            let ids: Vec<i64> = rows.iter().filter(|row| row.op == op).map(|row| row.id).collect();
            let statement = format!("UPDATE {} SET op = {again} WHERE id IN ({})", self.plan.stage, sql::numbers(&ids));
            self.run("taking up refused rows again", &statement).await?;
            self.staged.insert(again);
        }
        Ok(())
    }

    async fn set_unfit_aside(&mut self, ops: &[i64]) -> Result<()> {
        let Some(statement) = self.plan.unfit(Taken::all(ops)) else { return Ok(()) };
        let rows = self.rows("checking values", &statement).await?;
        let mut ids = Vec::new();
        for row in &rows {
            let (Some(id), Some(field)) = (number(row, 0), number::<usize>(row, 1)) else { continue };
            let name = &self.plan.fields[field].name;
            let reason = format!("column {name:?}: its character set does not hold the text");
            self.reject(id, Refusal::row(codes::ROW_001, reason));
            ids.push(id);
        }
        self.stage.set_aside(self.session, &ids).await
    }

    async fn set_folded_keys_aside(&mut self, ops: &[i64]) -> Result<()> {
        if !self.plan.keys_fold() {
            return Ok(());
        }
        let plan = self.plan;
        let ids = self.ids("looking for keys that are one to the table", |taken| plan.folded(taken), ops).await?;
        self.reject_all(ids, || Refusal::row(codes::ROW_002, "another row's key is the same one to the table")).await
    }

    async fn reject_all(&mut self, ids: Vec<i64>, refusal: impl Fn() -> Refusal) -> Result<()> {
        self.stage.set_aside(self.session, &ids).await?;
        ids.into_iter().for_each(|id| self.reject(id, refusal()));
        Ok(())
    }

    fn reject(&mut self, id: i64, Refusal { code, reason, .. }: Refusal) {
        self.applied.outcomes.push(RowOutcome { row: row_id(id), outcome: Outcome::Rejected { code, reason } });
        self.rejected += 1;
        failpoint("publish-rejected");
    }

    /// Stops as soon as too many rows are refused for good, since finding each of them takes time; `refused` are those
    /// that are not among the outcomes yet, `hopeless` how many of these are at fault themselves.
    fn check_tolerance(&self, refused: &[Refused], hopeless: u64) -> Result<()> {
        let Circumstances { tolerance, rejected, .. } = &self.circumstances;
        let lost = refused.iter().filter(|row| row.refusal.kind == RefusalKind::Row).map(|row| RowOutcome {
            row: row_id(row.id),
            outcome: Outcome::Rejected { code: row.refusal.code, reason: row.refusal.reason.clone() },
        });
        let count = rejected.len() as u64 + self.rejected + hopeless;
        tolerance.check_early(count, rejected.iter().chain(&self.applied.outcomes), lost)
    }

    async fn run(&mut self, doing: &str, statement: &str) -> Result<()> {
        self.session.run(statement).await.map(drop).map_err(|error| fault::statement(doing, error))
    }

    async fn rows(&mut self, doing: &str, statement: &str) -> Result<Vec<Row>> {
        self.session.rows(statement).await.map_err(|error| fault::statement(doing, error))
    }

    /// The ids that a query gives over all staged rows with these operations.
    async fn ids(&mut self, doing: &str, query: impl Fn(Taken<'_>) -> String, ops: &[i64]) -> Result<Vec<i64>> {
        if !self.holds_any(ops) {
            return Ok(Vec::new());
        }
        let rows = self.rows(doing, &query(Taken::all(ops))).await?;
        Ok(rows.iter().filter_map(|row| number(row, 0)).collect())
    }

    /// Runs a statement over all rows with these operations; where the server refuses, over halves, until each bad row
    /// stands alone.
    async fn in_ranges(
        &mut self,
        doing: &str,
        statement: impl Fn(Taken<'_>) -> Option<String>,
        ops: &[i64],
    ) -> Result<Vec<Refused>> {
        let mut refused = Vec::new();
        if !self.holds_any(ops) {
            return Ok(refused);
        }
        let mut hopeless = 0;
        let mut ranges = vec![(0, i64::MAX)];
        while let Some((low, high)) = ranges.pop() {
            let Some(statement) = statement(Taken { low, high, ops }) else { return Ok(refused) };
            tracing::trace!(doing, low, high, "staged rows are applied");
            let Err(error) = self.session.run(&statement).await else { continue };
            let Some(refusal) = Refusal::read(&error) else { return Err(fault::statement(doing, error)) };
            match self.halve(Taken { low, high, ops }).await? {
                Halves::None => return Err(fault::statement(doing, error)),
                Halves::One { id, op } => {
                    self.stage.set_aside(self.session, &[id]).await?;
                    hopeless += u64::from(refusal.kind == RefusalKind::Row);
                    refused.push(Refused { id, op, refusal });
                    self.check_tolerance(&refused, hopeless)?;
                }
                Halves::Two { middle } => {
                    ranges.push((middle, high));
                    ranges.push((low, middle - 1));
                }
            }
        }
        Ok(refused)
    }

    fn holds_any(&self, ops: &[i64]) -> bool {
        ops.iter().any(|op| self.staged.contains(op))
    }

    /// Finds the middle of the staged rows of a range.
    async fn halve(&mut self, taken: Taken<'_>) -> Result<Halves> {
        const DOING: &str = "halving refused rows";
        let from = format!("FROM {} s WHERE {}", self.plan.stage, taken.condition());
        let counted = self.rows(DOING, &format!("SELECT count(*) {from}")).await?;
        let count: u64 = counted.first().and_then(|row| number(row, 0)).unwrap_or(0);
        let middle =
            self.rows(DOING, &format!("SELECT s.id, s.op {from} ORDER BY s.id LIMIT 1 OFFSET {}", count / 2)).await?;
        let middle = middle.first().and_then(|row| Some((number(row, 0)?, number(row, 1)?)));
        Ok(match middle {
            None => Halves::None,
            Some((id, op)) if count == 1 => Halves::One { id, op },
            Some((middle, _)) => Halves::Two { middle },
        })
    }
}

/// What a range of staged rows falls into.
enum Halves {
    None,
    One {
        id: i64,
        op: i64,
    },
    /// The second half begins at `middle`.
    Two {
        middle: i64,
    },
}

/// The error for leftovers of a full refresh that cannot be removed.
fn leftovers_refused(table: &str, error: mysql_async::Error) -> Error {
    let doing = format!("removing rows of {table} that the model does not have");
    if Refusal::read(&error).is_some_and(|refusal| refusal.kind == RefusalKind::Reference) {
        Error::new(codes::DEST_006, format!("{doing}: a foreign key of another table needs them"))
            .hint("remove the rows that point to them first, or use mode: incremental, which removes nothing by itself")
    } else {
        fault::statement(&doing, error)
    }
}
