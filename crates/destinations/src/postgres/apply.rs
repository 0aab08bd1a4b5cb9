//! Applying staged rows to a table: deletes, then updates, then inserts; what the server refuses becomes outcomes.
//! Not here: the statements' text (see `statements`), and the transaction around it all (see `publish`).
//! Called by a publication that goes through the staging area.

use std::collections::BTreeSet;

use tapline_core::{Error, Op, Outcome, Refresh, Result, RowId, RowOutcome, codes, failpoint};
use tokio_postgres::{Client, Row};

use super::fault::{self, Refusal, RefusalKind};
use super::statements::{Plan, REFUSED, SECOND, staged_value};
use crate::tolerance::Tolerance;

const DELETE: i16 = Op::Delete as i16;
const UPDATE: i16 = Op::Update as i16;
const INSERT: i16 = Op::Insert as i16;
const UPSERT: i16 = Op::Upsert as i16;

/// The number of a staged row: its address within the run.
pub(super) fn staged_id(row: RowId) -> i64 {
    ((row.seq << 32) | u64::from(row.ordinal)).cast_signed()
}

fn row_id(staged: i64) -> RowId {
    let staged = staged.cast_unsigned();
    RowId { seq: staged >> 32, ordinal: staged as u32 }
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) outcomes: Vec<RowOutcome>,
    /// Full refresh: leftovers that were removed.
    pub(super) removed: u64,
}

/// What decides which rows are refused, and how many may be.
pub(super) struct Circumstances<'a> {
    /// Whether row-level security applies.
    pub(super) policies: bool,
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
    client: &Client,
    plan: &Plan,
    refresh: Refresh,
    staged: BTreeSet<i16>,
    circumstances: Circumstances<'_>,
) -> Result<Applied> {
    let mut run =
        Apply { client, plan, circumstances, staged, indexed: false, applied: Applied::default(), rejected: 0 };
    match refresh {
        Refresh::Incremental => run.incremental().await?,
        Refresh::Full { .. } => run.full().await?,
    }
    let mut applied = run.applied;
    applied.outcomes.sort_by_key(|outcome| outcome.row);
    Ok(applied)
}

struct Apply<'a> {
    client: &'a Client,
    plan: &'a Plan,
    circumstances: Circumstances<'a>,
    /// The operations that the staging table holds.
    staged: BTreeSet<i16>,
    /// Whether the staging table has its index on the row numbers, which only halving needs.
    indexed: bool,
    applied: Applied,
    /// How many of the outcomes are refusals.
    rejected: u64,
}

/// A row that the server refused while it was applied.
struct Refused {
    id: i64,
    op: i16,
    refusal: Refusal,
}

impl Apply<'_> {
    async fn incremental(&mut self) -> Result<()> {
        self.set_misfits_aside(&[DELETE, UPDATE, INSERT, UPSERT]).await?;
        self.set_folded_keys_aside(&[UPDATE, INSERT, UPSERT]).await?;
        let mut refused = self.in_ranges("deleting rows", &self.plan.delete(), &[DELETE]).await?;
        failpoint("publish-deleted");
        self.set_absent_aside(UPDATE).await?;
        self.set_present_aside(INSERT).await?;
        refused.extend(self.write(0, false).await?);
        self.second_chance(refused, false).await
    }

    async fn full(&mut self) -> Result<()> {
        let all = [UPDATE, INSERT, UPSERT];
        self.set_misfits_aside(&all).await?;
        self.set_folded_keys_aside(&all).await?;
        self.applied.removed = self
            .client
            .execute(&self.plan.remove_leftovers(), &[])
            .await
            .map_err(|error| leftovers_refused(&self.plan.table, error))?;
        failpoint("publish-deleted");
        let refused = if self.plan.has_key() {
            self.write(0, true).await?
        } else {
            self.in_ranges("adding rows", &self.plan.insert(false), &all).await?
        };
        self.second_chance(refused, true).await
    }

    /// Changes the rows that are there and adds the others.
    async fn write(&mut self, offset: i16, full: bool) -> Result<Vec<Refused>> {
        let (insert, update, upsert) = (offset + INSERT, offset + UPDATE, offset + UPSERT);
        let all = [insert, update, upsert];
        let (changing, adding): (&[i16], &[i16]) = if full { (&all, &all) } else { (&[update, upsert], &[upsert]) };
        let mut refused = match self.plan.update() {
            Some(statement) => self.in_ranges("changing rows", &statement, changing).await?,
            None => Vec::new(),
        };
        failpoint("publish-updated");
        refused.extend(self.in_ranges("adding rows", &self.plan.insert(true), adding).await?);
        if !full {
            refused.extend(self.in_ranges("adding rows", &self.plan.insert(false), &[insert]).await?);
        }
        failpoint("publish-inserted");
        Ok(refused)
    }

    /// Rows that were refused because of other rows are tried again when the others are in place: those of foreign
    /// keys as long as it helps, those of unique constraints once, taken out and put in again as one group.
    async fn second_chance(&mut self, mut refused: Vec<Refused>, full: bool) -> Result<()> {
        loop {
            let (waiting, rest): (Vec<_>, Vec<_>) =
                refused.into_iter().partition(|row| row.refusal.kind == RefusalKind::Reference);
            refused = rest;
            if waiting.is_empty() {
                break;
            }
            let before = waiting.len();
            self.restore(&waiting).await?;
            let mut again = self.in_ranges("deleting rows", &self.plan.delete(), &[SECOND + DELETE]).await?;
            again.extend(self.write(SECOND, full).await?);
            let helped = again.len() < before;
            refused.extend(again);
            if !helped {
                break;
            }
        }
        let (clashing, rest): (Vec<_>, Vec<_>) = refused
            .into_iter()
            .partition(|row| row.refusal.kind == RefusalKind::Unique && self.circumstances.may_replace);
        rest.into_iter().for_each(|row| self.reject(row.id, row.refusal));
        if clashing.is_empty() {
            return Ok(());
        }
        self.restore(&clashing).await?;
        let all = [SECOND + UPDATE, SECOND + INSERT, SECOND + UPSERT];
        let changing: &[i16] = if full { &all } else { &[SECOND + UPDATE, SECOND + UPSERT] };
        let mut again = self.in_ranges("replacing rows", &self.plan.replace(), changing).await?;
        if !full {
            self.set_present_aside(SECOND + INSERT).await?;
        }
        again.extend(self.write(SECOND, full).await?);
        again.into_iter().for_each(|row| self.reject(row.id, row.refusal));
        Ok(())
    }

    /// Marks refused rows so that only the statements of a second chance take them, and rows that had theirs so that
    /// none does.
    async fn restore(&mut self, rows: &[Refused]) -> Result<()> {
        let failed = |error| fault::statement("taking up refused rows again", error);
        let stage = &self.plan.stage;
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let ops: Vec<i16> = rows.iter().map(|row| row.op % SECOND + SECOND).collect();
        self.client
            .batch_execute(&format!("UPDATE {stage} SET op = {REFUSED} WHERE op >= {SECOND}"))
            .await
            .map_err(failed)?;
        self.client
            .execute(
                &format!(
                    "UPDATE {stage} s SET op = r.op FROM unnest($1::bigint[], $2::smallint[]) r (id, op) WHERE s.id = r.id"
                ),
                &[&ids, &ops],
            )
            .await
            .map_err(failed)?;
        self.staged.extend(ops);
        Ok(())
    }

    async fn set_misfits_aside(&mut self, ops: &[i16]) -> Result<()> {
        for keys in [true, false] {
            let Some(statement) = self.plan.set_misfits_aside(keys) else {
                continue;
            };
            let (rows, refused) = self.collect("checking values", &statement, ops).await?;
            for row in rows {
                let refusal = self.plan.finding(row.get(1)).map(|(field, missing)| {
                    if missing {
                        Refusal::row(codes::ROW_002, format!("column {:?} must not be null", field.name))
                    } else {
                        Refusal::row(
                            codes::ROW_001,
                            format!("column {:?}: the value does not fit {} exactly", field.name, field.type_name),
                        )
                    }
                });
                self.reject(row.get(0), refusal.ok_or_else(|| Error::internal("a finding names no field"))?);
            }
            for row in refused {
                let refusal = match self.failing_field(row.id, keys).await? {
                    Some(reason) => Refusal { reason, ..row.refusal },
                    None => row.refusal,
                };
                self.reject(row.id, refusal);
                if keys {
                    self.forget(row.id).await?;
                }
            }
        }
        Ok(())
    }

    /// Finds the column of a staged row whose cast is an error, and says what is wrong with it.
    async fn failing_field(&self, id: i64, keys: bool) -> Result<Option<String>> {
        for (index, field) in self.plan.fields.iter().enumerate().filter(|(_, field)| field.key == keys) {
            let Some(exact) = &field.fit.exact else {
                continue;
            };
            let x = staged_value(index);
            let statement = format!("SELECT {x} IS NULL OR ({exact}) FROM {} s WHERE s.id = $1", self.plan.stage);
            self.savepoint("SAVEPOINT").await?;
            let outcome = self.client.query(&statement, &[&id]).await;
            self.savepoint("ROLLBACK TO SAVEPOINT").await?;
            self.savepoint("RELEASE SAVEPOINT").await?;
            if let Err(error) = outcome {
                let Some(refusal) = Refusal::read(&error, self.circumstances.policies) else {
                    return Err(fault::statement("checking a value", error));
                };
                let problem = if refusal.code == codes::ROW_001 {
                    format!("the value is no {}", field.type_name)
                } else {
                    refusal.reason
                };
                return Ok(Some(format!("column {:?}: {problem}", field.name)));
            }
        }
        Ok(None)
    }

    /// Takes a row whose key the table cannot hold out of the staging table, so that no statement casts it again.
    async fn forget(&self, id: i64) -> Result<()> {
        self.client
            .execute(&format!("DELETE FROM {} WHERE id = $1", self.plan.stage), &[&id])
            .await
            .map_err(|error| fault::statement("setting a row aside", error))?;
        Ok(())
    }

    async fn set_folded_keys_aside(&mut self, ops: &[i16]) -> Result<()> {
        if !self.plan.has_key() || !self.plan.keys_fold() {
            return Ok(());
        }
        let statement = self.plan.set_folded_keys_aside();
        let rows = self.all("looking for keys that are one to the table", &statement, ops).await?;
        for row in rows {
            let refusal = Refusal::row(codes::ROW_002, "another row's key is the same one to the table");
            self.reject(row.get(0), refusal);
        }
        Ok(())
    }

    /// Updates whose key is absent are skipped.
    async fn set_absent_aside(&mut self, op: i16) -> Result<()> {
        let statement = self.plan.set_aside_where_there(false);
        for row in self.all("looking for absent keys", &statement, &[op]).await? {
            self.applied.outcomes.push(RowOutcome { row: row_id(row.get(0)), outcome: Outcome::Skipped });
        }
        Ok(())
    }

    /// Strict inserts whose key is there are rejected.
    async fn set_present_aside(&mut self, op: i16) -> Result<()> {
        let statement = self.plan.set_aside_where_there(true);
        for row in self.all("looking for present keys", &statement, &[op]).await? {
            let refusal = Refusal::row(codes::ROW_003, "the key is already in the table");
            self.reject(row.get(0), refusal);
        }
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

    /// Runs a statement that no single row can make fail, over all rows with these operations.
    async fn all(&self, doing: &str, statement: &str, ops: &[i16]) -> Result<Vec<Row>> {
        if !self.holds_any(ops) {
            return Ok(Vec::new());
        }
        self.client
            .query(statement, &[&i64::MIN, &i64::MAX, &ops])
            .await
            .map_err(|error| fault::statement(doing, error))
    }

    /// Runs a statement over all rows with these operations; where the server refuses, over halves, until each bad row
    /// stands alone.
    async fn in_ranges(&mut self, doing: &str, statement: &str, ops: &[i16]) -> Result<Vec<Refused>> {
        Ok(self.collect(doing, statement, ops).await?.1)
    }

    /// [`in_ranges`](Self::in_ranges), with the rows that the statement returns.
    async fn collect(&mut self, doing: &str, statement: &str, ops: &[i16]) -> Result<(Vec<Row>, Vec<Refused>)> {
        let failed = |error| fault::statement(doing, error);
        let mut rows = Vec::new();
        let mut refused = Vec::new();
        if !self.holds_any(ops) {
            return Ok((rows, refused));
        }
        let statement = self.client.prepare(statement).await.map_err(failed)?;
        let mut hopeless = 0;
        let mut ranges = vec![(i64::MIN, i64::MAX)];
        while let Some((low, high)) = ranges.pop() {
            tracing::trace!(doing, low, high, "staged rows are applied");
            self.savepoint("SAVEPOINT").await?;
            let error = match self.client.query(&statement, &[&low, &high, &ops]).await {
                Ok(found) => {
                    rows.extend(found);
                    self.savepoint("RELEASE SAVEPOINT").await?;
                    continue;
                }
                Err(error) => error,
            };
            let Some(refusal) = Refusal::read(&error, self.circumstances.policies) else {
                return Err(failed(error));
            };
            self.savepoint("ROLLBACK TO SAVEPOINT").await?;
            self.savepoint("RELEASE SAVEPOINT").await?;
            match self.halve(low, high, ops).await? {
                Halves::None => return Err(failed(error)),
                Halves::One { id, op } => {
                    self.mark_refused(id).await?;
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
        Ok((rows, refused))
    }

    fn holds_any(&self, ops: &[i16]) -> bool {
        ops.iter().any(|op| self.staged.contains(op))
    }

    async fn savepoint(&self, action: &str) -> Result<()> {
        self.client
            .batch_execute(&format!("{action} tapline_rows"))
            .await
            .map_err(|error| fault::statement("keeping a savepoint", error))
    }

    async fn mark_refused(&self, id: i64) -> Result<()> {
        self.client
            .execute(&format!("UPDATE {} SET op = {REFUSED} WHERE id = $1", self.plan.stage), &[&id])
            .await
            .map_err(|error| fault::statement("setting a row aside", error))?;
        Ok(())
    }

    /// Finds the middle of the staged rows of a range.
    async fn halve(&mut self, low: i64, high: i64, ops: &[i16]) -> Result<Halves> {
        let failed = |error| fault::statement("halving refused rows", error);
        let stage = &self.plan.stage;
        if !self.indexed {
            let index = format!("CREATE INDEX ON {stage} (id) INCLUDE (op); ANALYZE {stage} (id, op)");
            self.client.batch_execute(&index).await.map_err(failed)?;
            self.indexed = true;
        }
        let taken = format!("FROM {stage} WHERE id BETWEEN $1 AND $2 AND op = ANY($3)");
        let count: i64 = self
            .client
            .query_one(&format!("SELECT count(*) {taken}"), &[&low, &high, &ops])
            .await
            .map_err(failed)?
            .get(0);
        let row = self
            .client
            .query_opt(
                &format!("SELECT id, op {taken} ORDER BY id OFFSET $4 LIMIT 1"),
                &[&low, &high, &ops, &(count / 2)],
            )
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
        op: i16,
    },
    /// The second half begins at `middle`.
    Two {
        middle: i64,
    },
}

/// The error for leftovers of a full refresh that cannot be removed.
fn leftovers_refused(table: &str, error: tokio_postgres::Error) -> Error {
    let constraint = error.as_db_error().and_then(|error| error.constraint()).unwrap_or_default();
    let foreign_key = Refusal::read(&error, false).is_some_and(|refusal| refusal.kind == RefusalKind::Reference);
    let doing = format!("removing rows of {table} that the model does not have");
    if foreign_key {
        Error::new(codes::DEST_006, format!("{doing}: the foreign key {constraint:?} of another table needs them"))
            .hint("remove the rows that point to them first, or use mode: incremental, which removes nothing by itself")
    } else {
        fault::statement(&doing, error)
    }
}
