//! One run's pen: opens a stream, stages rows, and hands over to the publication.
//! Not here: the publication itself (see `publish`), and the encoding (see `encode`, `stage`).
//! Called by the engine, through `Destination::open`.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tapline_core::{
    ChangeBatch, Error, Op, Outcome, Receipt, Refresh, Result, RowId, RowOutcome, Target, Writer, codes, failpoint,
};

use super::connect::{Session, Sessions};
use super::encode::{Cells, Unfit};
use super::layout::Layout;
use super::marker::{MarkerRows, grant};
use super::stage::{Rows, Stage, staged_id};
use super::statements::REFUSED;
use super::table::{self, Place, Table};
use super::{fault, publish, sql, widen};
use crate::tolerance::SetAside;

/// One run's pen for one table.
pub(super) struct MysqlWriter {
    pub(super) sessions: Arc<Sessions>,
    /// `None` once the run has ended well, and after a call that was given up half-way: such a session is in the middle
    /// of something.
    pub(super) session: Option<Session>,
    pub(super) target: Target,
    pub(super) marker: MarkerRows,
    pub(super) layout: Layout,
    /// The table when the run began; `None` where it was absent.
    pub(super) table: Option<Table>,
    pub(super) stage: Stage,
    /// Rows that `write` rejected.
    pub(super) rejected: Vec<RowOutcome>,
    /// Numbers of the staged rows that were taken back.
    pub(super) retracted: Vec<i64>,
    pub(super) accepted_through: Option<u64>,
    /// Rows that were handed to `write`.
    pub(super) written: u64,
    /// Rows that were set aside before they came here.
    pub(super) aside: Option<SetAside>,
}

impl MysqlWriter {
    /// Checks that the stream can take the fields, and makes the staging table.
    pub(super) async fn open(sessions: Arc<Sessions>, work_schema: Option<&str>, target: Target) -> Result<Self> {
        let mut session = sessions.take().await?;
        let place = Place::of(&session, sessions.server().database.as_deref(), &target.stream)?;
        let marker = MarkerRows::new(place.clone(), work_schema);
        let table = Table::find(&mut session, &place).await?;
        if let Some(table) = &table {
            check_existing(&mut session, table, &place, &marker, &target).await?;
        }
        let layout = Layout::new(&session, &target, &place, table.as_ref())?;
        if !layout.changes.is_empty() {
            tracing::debug!(statement = widen::statement(&place, &layout.changes), "the table is going to be widened");
        }
        let name = marker.new_stage(target.generation);
        let indexed = target.refresh != Refresh::Incremental;
        let user = session.user.clone();
        let stage = Stage::make(&mut session, name, &layout.encoders, &layout.collations, indexed)
            .await
            .map_err(|error| with_grant(error, &marker.work, &user))?;
        Ok(Self {
            sessions,
            session: Some(session),
            target,
            marker,
            layout,
            table,
            stage,
            rejected: Vec::new(),
            retracted: Vec::new(),
            accepted_through: None,
            written: 0,
            aside: None,
        })
    }

    /// Encodes the columns of a batch; `None` for fields that it does not have. The second part are the rows that
    /// cannot be stored, with the reason, by row; a row's first finding speaks.
    fn encode(&mut self, batch: &ChangeBatch) -> Result<Encoded> {
        let schema = &self.target.schema;
        let mut columns: Vec<Option<Cells>> = schema.fields().iter().map(|_| None).collect();
        let given: Vec<usize> = match batch.op {
            Op::Delete => self.target.key.iter().filter_map(|key| schema.index_of(key).ok()).collect(),
            Op::Update | Op::Insert | Op::Upsert => (0..schema.fields().len()).collect(),
        };
        if given.len() != batch.rows.num_columns() {
            return Err(Error::internal(format!(
                "batch {} has {} columns instead of {}",
                batch.seq,
                batch.rows.num_columns(),
                given.len()
            )));
        }
        let mut bad: BTreeMap<usize, Bad> = BTreeMap::new();
        for (array, index) in batch.rows.columns().iter().zip(given) {
            let encoder = &mut self.layout.encoders[index];
            let (cells, unfit) = encoder.encode(array)?;
            for Unfit { row, code, problem } in unfit {
                let reason = format!("column {:?}: {problem}", encoder.field.name());
                let found = bad.entry(row).or_insert(Bad { key: false, outcome: Outcome::Rejected { code, reason } });
                found.key |= encoder.key;
            }
            columns[index] = Some(cells);
        }
        Ok((columns, bad))
    }
}

/// The columns of a batch, and the rows that cannot be stored.
type Encoded = (Vec<Option<Cells>>, BTreeMap<usize, Bad>);

/// A row of a batch that cannot be stored.
struct Bad {
    /// Whether its key cannot.
    key: bool,
    outcome: Outcome,
}

#[async_trait]
impl Writer for MysqlWriter {
    async fn write(&mut self, batch: ChangeBatch) -> Result<Receipt> {
        let full = self.target.refresh != Refresh::Incremental;
        let op = match batch.op {
            Op::Insert | Op::Update if full => Op::Upsert,
            op => op,
        };
        if matches!(op, Op::Insert | Op::Upsert) && !self.layout.missing.is_empty() {
            let names = self.layout.missing.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
            return Err(Error::new(
                codes::DEST_004,
                format!("table {} needs values for {names}, which no field is mapped to", self.marker.place.quoted()),
            )
            .hint("map fields to them, give them defaults, or use write: update, which adds no rows"));
        }
        let (columns, mut bad) = self.encode(&batch)?;
        let seq = batch.seq;
        let id = |row: usize| RowId { seq, ordinal: row as u32 };
        // A full refresh must not take the old version of a rejected row for a leftover.
        let keep_keys = full && !self.target.key.is_empty();
        let keys: Vec<bool> = self.layout.encoders.iter().map(|encoder| encoder.key).collect();
        let mut rows = Rows::default();
        for row in 0..batch.rows.num_rows() {
            let all = columns.iter().map(Option::as_ref);
            match bad.get(&row) {
                None => rows.put(id(row), op as i64, all, row),
                Some(bad) if keep_keys && !bad.key => {
                    let only_keys = all.zip(&keys).map(|(cells, key)| cells.filter(|_| *key));
                    rows.put(id(row), REFUSED, only_keys, row);
                }
                Some(_) => {}
            }
        }
        let mut session = self.session.take().ok_or_else(used_after_its_end)?;
        let staged = self.stage.add(&mut session, rows).await;
        self.session = Some(session);
        staged?;
        let outcomes: Vec<_> = std::mem::take(&mut bad)
            .into_iter()
            .map(|(row, bad)| RowOutcome { row: id(row), outcome: bad.outcome })
            .collect();
        self.rejected.extend(outcomes.iter().cloned());
        self.accepted_through = Some(seq);
        self.written += batch.rows.num_rows() as u64;
        failpoint("staging");
        Ok(Receipt { accepted_through: Some(seq), outcomes, ..Receipt::default() })
    }

    fn set_aside(&mut self, rows: u64, read: u64) {
        self.aside = Some(SetAside { rows, read });
    }

    async fn retract(&mut self, rows: &[RowId]) -> Result<()> {
        if !self.target.retractable {
            return Err(Error::internal("rows were taken back of a run that had said it would not"));
        }
        self.retracted.extend(rows.iter().map(|row| staged_id(*row)));
        Ok(())
    }

    async fn publish(&mut self, staged: &[u64]) -> Result<Receipt> {
        publish::publish(self, staged).await
    }

    async fn abort(&mut self) -> Result<()> {
        // Where there is no session, the next stamp sweeps.
        if let Some(mut session) = self.session.take()
            && self.stage.drop(&mut session).await
        {
            self.sessions.put_back(session);
        }
        Ok(())
    }
}

/// The error of a writer that is used after its end.
pub(super) fn used_after_its_end() -> Error {
    Error::internal("the writer was used after its end")
}

/// Adds the GRANT to the error of a missing right.
pub(super) fn with_grant(error: Error, work: &str, user: &str) -> Error {
    if error.code() == codes::DEST_003 && error.hints().is_empty() { error.hint(grant(work, user)) } else { error }
}

/// Checks what must hold of a table before a run may write to it, whatever its columns are.
async fn check_existing(
    session: &mut Session,
    table: &Table,
    place: &Place,
    marker: &MarkerRows,
    target: &Target,
) -> Result<()> {
    let quoted = place.quoted();
    check_rights(session, table, place).await?;
    let keys_are_there = target.key.iter().all(|key| table.column(key).is_some());
    if !target.key.is_empty() && keys_are_there && !table.is_unique_on(&target.key) {
        let keys = sql::names(target.key.iter().map(String::as_str));
        let name: String = format!("{}_{}", place.table, target.key.join("_")).chars().take(60).collect();
        return Err(Error::new(
            codes::DEST_005,
            format!("table {quoted} has no unique index on exactly the key ({keys}), over whole columns"),
        )
        .hint(format!("CREATE UNIQUE INDEX {} ON {quoted} ({keys});", sql::name(&name))));
    }
    let Refresh::Full { replace_existing } = target.refresh else { return Ok(()) };
    if let Some(other) = table.referenced_by.first().filter(|_| target.key.is_empty()) {
        return Err(Error::new(
            codes::DEST_004,
            format!(
                "a full refresh without primary key replaces every row of {quoted}, and table {other:?} refers to them"
            ),
        )
        .hint("give the model a primary_key: then only what differs is changed"));
    }
    let ours = marker.read(session).await?.is_some_and(|marker| marker.created || marker.published.is_some());
    if !ours && !replace_existing && table::holds_rows(session, &quoted).await? {
        return Err(Error::new(codes::SYNC_002, format!("table {quoted} holds rows that Tapline did not deliver"))
            .hint("a full refresh removes the rows that the model does not have")
            .hint("run it with --replace-existing if they may go, or name another stream"));
    }
    Ok(())
}

/// Tries what a publication will do, on no row: the server says which right is missing.
async fn check_rights(session: &mut Session, table: &Table, place: &Place) -> Result<()> {
    let quoted = place.quoted();
    let Some(column) = table.columns.iter().find(|column| !column.generated) else { return Ok(()) };
    let column = sql::name(&column.name);
    let tries = [
        format!("SELECT {column} FROM {quoted} LIMIT 0"),
        format!("UPDATE {quoted} SET {column} = {column} WHERE FALSE"),
        format!("DELETE FROM {quoted} WHERE FALSE"),
        format!("INSERT INTO {quoted} ({column}) SELECT {column} FROM {quoted} WHERE FALSE"),
    ];
    for statement in tries {
        if let Err(error) = session.run(&statement).await {
            let refused = fault::statement(&format!("trying to write to table {quoted}"), error);
            // Whatever else is wrong shows when there are rows.
            if refused.code() == codes::DEST_003 {
                let (name, host) = session.user.rsplit_once('@').unwrap_or((&session.user, "%"));
                return Err(refused.hint(format!(
                    "GRANT SELECT, INSERT, UPDATE, DELETE ON {quoted} TO {}@{};",
                    sql::text(name),
                    sql::text(host)
                )));
            }
            if refused.code() == codes::DEST_001 {
                return Err(refused);
            }
        }
    }
    Ok(())
}
