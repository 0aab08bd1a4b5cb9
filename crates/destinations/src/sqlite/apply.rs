//! Applying staged rows to a table: deletes, then updates, then inserts; what SQLite refuses becomes outcomes.
//! Not here: the statements' text (see `statements`), and the transaction around it all (see `writer`).
//! Called when a run publishes.
//!
//! A statement that fails undoes what it did itself and leaves the transaction as it was, so no savepoints are needed:
//! <https://www.sqlite.org/lang_conflict.html>.

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlx::{AssertSqlSafe, Row, SqliteConnection};
use tapline_core::{Error, Op, Outcome, Refresh, Result, RowOutcome, codes, failpoint};

use super::fault::{self, Refusal, RefusalKind};
use super::stage::{REFUSED, row_id};
use super::statements::{Plan, numbers};
use super::table;
use crate::tolerance::Tolerance;

const DELETE: i64 = Op::Delete as i64;
const UPDATE: i64 = Op::Update as i64;
const INSERT: i64 = Op::Insert as i64;
const UPSERT: i64 = Op::Upsert as i64;

/// Added to the operation of a row that gets a second chance.
const SECOND: i64 = 10;

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
/// `staged` are the operations that the staging area holds.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    plan: &Plan,
    refresh: Refresh,
    staged: BTreeSet<i64>,
    circumstances: Circumstances<'_>,
) -> Result<Applied> {
    let mut run = Apply { connection, plan, circumstances, staged, applied: Applied::default(), rejected: 0 };
    match refresh {
        Refresh::Incremental => run.incremental().await?,
        Refresh::Full { .. } => run.full().await?,
    }
    Ok(run.applied)
}

struct Apply<'a> {
    connection: &'a mut SqliteConnection,
    plan: &'a Plan,
    circumstances: Circumstances<'a>,
    /// The operations that the staging area holds.
    staged: BTreeSet<i64>,
    applied: Applied,
    /// How many of the outcomes are refusals.
    rejected: u64,
}

/// A row that SQLite refused while it was applied.
struct Refused {
    id: i64,
    op: i64,
    refusal: Refusal,
}

impl Apply<'_> {
    async fn incremental(&mut self) -> Result<()> {
        self.set_folded_keys_aside(&[UPDATE, INSERT, UPSERT]).await?;
        let mut refused = self.in_ranges("deleting rows", self.plan.delete(&[DELETE]), &[DELETE]).await?;
        failpoint("publish-deleted");
        for row in self.set_aside_where_there(false, UPDATE).await? {
            self.applied.outcomes.push(RowOutcome { row: row_id(row), outcome: Outcome::Skipped });
        }
        for row in self.set_aside_where_there(true, INSERT).await? {
            self.reject(row, Refusal::row(codes::ROW_003, "the key is already in the table"));
        }
        refused.extend(self.write(0).await?);
        self.second_chance(refused).await
    }

    /// A full refresh stages upserts alone.
    async fn full(&mut self) -> Result<()> {
        self.set_folded_keys_aside(&[UPSERT]).await?;
        if table::holds_rows(self.connection, &self.plan.table).await? {
            self.remove_leftovers().await?;
            failpoint("publish-deleted");
        }
        let refused = self.write(0).await?;
        self.second_chance(refused).await
    }

    async fn remove_leftovers(&mut self) -> Result<()> {
        if let Some(statement) = self.plan.index_staged_keys() {
            self.run("preparing the removal of rows", &statement).await?;
        }
        let done = sqlx::query(AssertSqlSafe(self.plan.remove_leftovers()))
            .execute(&mut *self.connection)
            .await
            .map_err(|error| leftovers_refused(&self.plan.table, error))?;
        self.applied.removed = done.rows_affected();
        Ok(())
    }

    /// Changes the rows that are there and adds the others; `offset` is 0 or [`SECOND`].
    async fn write(&mut self, offset: i64) -> Result<Vec<Refused>> {
        let (update, insert, upsert) = ([offset + UPDATE], [offset + INSERT], [offset + UPSERT]);
        let mut refused = Vec::new();
        if let Some(statement) = self.plan.update(&update) {
            refused.extend(self.in_ranges("changing rows", statement, &update).await?);
        }
        failpoint("publish-updated");
        let statement = if self.plan.has_key() { self.plan.upsert(&upsert) } else { self.plan.insert(&upsert) };
        refused.extend(self.in_ranges("writing rows", statement, &upsert).await?);
        refused.extend(self.in_ranges("adding rows", self.plan.insert(&insert), &insert).await?);
        failpoint("publish-inserted");
        Ok(refused)
    }

    /// Rows that were refused because of other rows are tried again when the others are in place, as long as it helps;
    /// those that must be unique at last as one group, taken out and put in again.
    async fn second_chance(&mut self, mut refused: Vec<Refused>) -> Result<()> {
        loop {
            let (waiting, hopeless): (Vec<_>, Vec<_>) =
                refused.into_iter().partition(|row| row.refusal.kind != RefusalKind::Row);
            hopeless.into_iter().for_each(|row| self.reject(row.id, row.refusal));
            if waiting.is_empty() {
                return Ok(());
            }
            self.restore(&waiting).await?;
            let delete = [SECOND + DELETE];
            refused = self.in_ranges("deleting rows", self.plan.delete(&delete), &delete).await?;
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
        let all = [SECOND + UPDATE, SECOND + INSERT, SECOND + UPSERT];
        for _ in 0..GROUP_ROUNDS {
            if group.is_empty() {
                return Ok(());
            }
            self.restore(&group).await?;
            self.run("replacing rows", "SAVEPOINT tapline_group").await?;
            let [table, rows] = self.plan.keep_unmapped(&all);
            self.run("replacing rows", &table).await?;
            self.in_all("replacing rows", &rows).await?;
            self.in_all("replacing rows", &self.plan.delete(&all)).await?;
            let mut again = self.in_ranges("replacing rows", self.plan.insert_kept(&all), &all).await?;
            again.extend(self.in_ranges("replacing rows", self.plan.insert_new(&all), &all).await?);
            if again.is_empty() {
                self.run("replacing rows", "DROP TABLE stage.kept; RELEASE tapline_group").await?;
                return Ok(());
            }
            self.run("replacing rows", "ROLLBACK TO tapline_group; RELEASE tapline_group").await?;
            let clashing: BTreeSet<i64> = again.iter().map(|row| row.id).collect();
            let (out, rest): (Vec<_>, Vec<_>) = group.into_iter().partition(|row| clashing.contains(&row.id));
            for row in &out {
                self.mark(row.id, REFUSED).await?;
            }
            out.into_iter().for_each(|row| self.reject(row.id, row.refusal));
            group = rest;
        }
        group.into_iter().for_each(|row| self.reject(row.id, row.refusal));
        Ok(())
    }

    /// Marks refused rows so that only the statements of a second chance take them.
    async fn restore(&mut self, rows: &[Refused]) -> Result<()> {
        for row in rows {
            let op = row.op % SECOND + SECOND;
            self.mark(row.id, op).await?;
            self.staged.insert(op);
        }
        Ok(())
    }

    async fn mark(&mut self, id: i64, op: i64) -> Result<()> {
        sqlx::query("UPDATE stage.rows SET op = ? WHERE id = ?")
            .bind(op)
            .bind(id)
            .execute(&mut *self.connection)
            .await
            .map_err(|error| fault::statement("setting a row aside", error))?;
        Ok(())
    }

    async fn set_folded_keys_aside(&mut self, ops: &[i64]) -> Result<()> {
        if !self.plan.keys_fold() {
            return Ok(());
        }
        let statement = self.plan.set_folded_keys_aside(ops);
        for row in self.ids("looking for keys that are one to the table", statement, ops).await? {
            self.reject(row, Refusal::row(codes::ROW_002, "another row's key is the same one to the table"));
        }
        Ok(())
    }

    async fn set_aside_where_there(&mut self, there: bool, op: i64) -> Result<Vec<i64>> {
        let statement = self.plan.set_aside_where_there(there, &[op]);
        self.ids("looking for keys", statement, &[op]).await
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

    /// Runs a statement without parameters.
    async fn run(&mut self, doing: &str, statement: &str) -> Result<()> {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut *self.connection)
            .await
            .map_err(|error| fault::statement(doing, error))?;
        Ok(())
    }

    /// Runs a statement over all staged rows.
    async fn in_all(&mut self, doing: &str, statement: &str) -> Result<()> {
        self.over(&statement.into(), i64::MIN, i64::MAX).await.map_err(|error| fault::statement(doing, error))
    }

    /// The ids that a statement returns over all staged rows with these operations.
    async fn ids(&mut self, doing: &str, statement: String, ops: &[i64]) -> Result<Vec<i64>> {
        if !self.holds_any(ops) {
            return Ok(Vec::new());
        }
        sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(i64::MIN)
            .bind(i64::MAX)
            .fetch_all(&mut *self.connection)
            .await
            .map_err(|error| fault::statement(doing, error))
    }

    /// Runs a statement over all rows with these operations; where SQLite refuses, over halves, until each bad row
    /// stands alone.
    async fn in_ranges(&mut self, doing: &str, statement: String, ops: &[i64]) -> Result<Vec<Refused>> {
        let mut refused = Vec::new();
        if !self.holds_any(ops) {
            return Ok(refused);
        }
        let statement: Arc<str> = statement.into();
        let mut hopeless = 0;
        let mut ranges = vec![(i64::MIN, i64::MAX)];
        while let Some((low, high)) = ranges.pop() {
            tracing::trace!(doing, low, high, "staged rows are applied");
            let Err(error) = self.over(&statement, low, high).await else {
                continue;
            };
            let Some(refusal) = Refusal::read(&error) else {
                return Err(fault::statement(doing, error));
            };
            match self.halve(low, high, ops).await? {
                Halves::None => return Err(fault::statement(doing, error)),
                Halves::One { id, op } => {
                    self.mark(id, REFUSED).await?;
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

    async fn over(&mut self, statement: &Arc<str>, low: i64, high: i64) -> Result<(), sqlx::Error> {
        sqlx::query(AssertSqlSafe(statement.clone())).bind(low).bind(high).execute(&mut *self.connection).await?;
        Ok(())
    }

    fn holds_any(&self, ops: &[i64]) -> bool {
        ops.iter().any(|op| self.staged.contains(op))
    }

    /// Finds the middle of the staged rows of a range.
    async fn halve(&mut self, low: i64, high: i64, ops: &[i64]) -> Result<Halves> {
        let failed = |error| fault::statement("halving refused rows", error);
        let taken = format!("FROM stage.rows WHERE id BETWEEN ?1 AND ?2 AND op IN ({})", numbers(ops));
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) {taken}")))
            .bind(low)
            .bind(high)
            .fetch_one(&mut *self.connection)
            .await
            .map_err(failed)?;
        let row = sqlx::query(AssertSqlSafe(format!("SELECT id, op {taken} ORDER BY id LIMIT 1 OFFSET ?3")))
            .bind(low)
            .bind(high)
            .bind(count / 2)
            .fetch_optional(&mut *self.connection)
            .await
            .map_err(failed)?;
        Ok(match row {
            None => Halves::None,
            Some(row) if count == 1 => Halves::One { id: row.get(0), op: row.get(1) },
            Some(row) => Halves::Two { middle: row.get(0) },
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
fn leftovers_refused(table: &str, error: sqlx::Error) -> Error {
    let doing = format!("removing rows of {table} that the model does not have");
    if Refusal::read(&error).is_some_and(|refusal| refusal.kind == RefusalKind::Reference) {
        Error::new(codes::DEST_006, format!("{doing}: a foreign key of another table needs them"))
            .hint("remove the rows that point to them first, or use mode: incremental, which removes nothing by itself")
    } else {
        fault::statement(&doing, error)
    }
}
