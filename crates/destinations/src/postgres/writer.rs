//! One run's pen: opens a stream, stages rows, and hands over to the publication.
//! Not here: the publication itself (see `publish`), and the encoding (see `encode`, `stage`).
//! Called by the engine, through `Destination::open`.

use std::sync::Arc;

use async_trait::async_trait;
use tapline_core::{
    ChangeBatch, Error, Op, Outcome, Receipt, Refresh, Result, RowId, RowOutcome, Target, Writer, codes, failpoint,
};

use super::apply::staged_id;
use super::connect::{Session, Sessions};
use super::encode::{Column, Unfit};
use super::layout::Layout;
use super::marker::MarkerRows;
use super::stage::{self, Copy, Prefix};
use super::statements::REFUSED;
use super::table::{self, Place, Table};
use super::types::FieldType;
use super::{fault, publish, sql, widen};
use crate::tolerance::SetAside;

/// The longest text that surely fits an index, in bytes; see `BTMaxItemSize` in PostgreSQL's `nbtree.h`.
const LONGEST_KEY: usize = 2_600;

/// What the destination's settings say about writing.
#[derive(Debug, Clone, Default)]
pub(super) struct WriteOptions {
    pub(super) work_schema: Option<String>,
    pub(super) zone: Option<String>,
}

/// Where the rows of a run wait for their publication.
pub(super) enum Load {
    /// In a staging table, each with its address and operation.
    Staged {
        /// Quoted.
        table: String,
    },
    /// In the new table itself, within the transaction that will publish it. Until then it has another name, so that
    /// no other run waits for this one.
    InPlace {
        /// Quoted.
        table: String,
        /// Rows of each batch that are loaded or need nothing.
        taken: Vec<u64>,
        /// Updates, none of which finds its key in a new table.
        skipped: Vec<RowOutcome>,
    },
}

/// One run's pen for one table.
pub(super) struct PostgresWriter {
    pub(super) sessions: Arc<Sessions>,
    /// `None` once the run has ended well.
    pub(super) session: Option<Session>,
    pub(super) options: WriteOptions,
    pub(super) target: Target,
    pub(super) marker: MarkerRows,
    pub(super) layout: Layout,
    /// The table's number when the run began; `None` where it was absent.
    pub(super) table: Option<u32>,
    pub(super) load: Load,
    pub(super) copy: Option<Copy>,
    /// Rows that `write` rejected.
    pub(super) rejected: Vec<RowOutcome>,
    /// Numbers of the staged rows that were taken back.
    pub(super) retracted: Vec<i64>,
    pub(super) accepted_through: Option<u64>,
    /// Rows that were handed to `write`.
    pub(super) written: u64,
    pub(super) aside: Option<SetAside>,
}

impl PostgresWriter {
    /// Checks that the stream can take the fields, and makes the place where rows are staged.
    pub(super) async fn open(sessions: Arc<Sessions>, options: WriteOptions, target: Target) -> Result<Self> {
        let session = sessions.take().await?;
        let place = Place::of(&session.client, &target.stream).await?;
        let marker = MarkerRows::new(place.clone(), options.work_schema.as_deref());
        check_zone(&session, options.zone.as_deref()).await?;
        let table = Table::find(&session.client, &place).await?;
        match &table {
            Some(table) => check_existing(&session, table, &place, &marker, &target).await?,
            None => {
                if let Some(missing) = table::missing_in_schema(&session.client, &session.user, &place.schema).await? {
                    return Err(missing.context(format!("making table {}", place.quoted())));
                }
            }
        }
        let layout = Layout::new(&target, &place, table.as_ref(), options.zone.as_deref())?;
        if !layout.changes.is_empty() && table.as_ref().is_some_and(|table| !table.owned) {
            return Err(widen::not_owned(&place, &session.user, &layout.changes));
        }
        let load = if table.is_none() && !target.retractable && layout.is_in_place() {
            Load::begin_in_place(&session, &place, &marker, &target, &layout).await?
        } else {
            Load::begin_staged(&session, &marker, &target, &layout).await?
        };
        Ok(Self {
            sessions,
            session: Some(session),
            options,
            target,
            marker,
            layout,
            table: table.map(|table| table.oid),
            load,
            copy: None,
            rejected: Vec::new(),
            retracted: Vec::new(),
            accepted_through: None,
            written: 0,
            aside: None,
        })
    }

    /// The session; gone only after the run has ended well.
    pub(super) fn session(&self) -> Result<&Session> {
        self.session.as_ref().ok_or_else(|| Error::internal("the writer was used after it had published"))
    }

    async fn copy(&mut self) -> Result<&mut Copy> {
        if self.copy.is_none() {
            let statement = match &self.load {
                Load::Staged { table } => stage::copy_into(table),
                // No other session sees the table before its rows are visible to all, so they may be frozen at once.
                Load::InPlace { table, .. } => format!("COPY {table} FROM STDIN (FORMAT binary, FREEZE)"),
            };
            self.copy = Some(Copy::begin(&self.session()?.client, &statement).await?);
        }
        self.copy.as_mut().ok_or_else(|| Error::internal("no rows are being loaded"))
    }

    /// Encodes the columns of a batch; `None` for fields that it does not have. The second part are the rows that
    /// cannot be stored, with the reason, by row.
    fn encode(&self, batch: &ChangeBatch) -> Result<(Vec<Option<Column>>, Vec<Bad>)> {
        let schema = &self.target.schema;
        let mut columns: Vec<Option<Column>> = schema.fields().iter().map(|_| None).collect();
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
        let mut bad = Vec::new();
        for (array, index) in batch.rows.columns().iter().zip(given) {
            let field = schema.field(index);
            let key = self.target.key.contains(field.name());
            let (column, unfit) = Column::new(field, &self.layout.fields[index], array)?;
            bad.extend(unfit.into_iter().map(|Unfit { row, reason }| Bad {
                row,
                key,
                outcome: rejected(codes::ROW_001, format!("column {:?}: the value {reason}", field.name())),
            }));
            if key {
                let in_place = matches!(self.load, Load::InPlace { .. });
                for row in 0..batch.rows.num_rows() {
                    let problem = if column.is_null(row) {
                        "the key must not be null"
                    } else if in_place && column.text_length(row) > LONGEST_KEY {
                        "the key is too long for an index"
                    } else {
                        continue;
                    };
                    let reason = format!("column {:?}: {problem}", field.name());
                    bad.push(Bad { row, key, outcome: rejected(codes::ROW_002, reason) });
                }
            }
            columns[index] = Some(column);
        }
        // The first finding of a row speaks; that its key is bad counts whichever speaks.
        bad.sort_by_key(|bad| bad.row);
        bad.dedup_by(|later, first| {
            let same = later.row == first.row;
            first.key |= same && later.key;
            same
        });
        Ok((columns, bad))
    }
}

/// A row of a batch that cannot be stored.
struct Bad {
    row: usize,
    /// Whether its key cannot.
    key: bool,
    outcome: Outcome,
}

fn rejected(code: tapline_core::Code, reason: String) -> Outcome {
    Outcome::Rejected { code, reason }
}

#[async_trait]
impl Writer for PostgresWriter {
    async fn write(&mut self, batch: ChangeBatch) -> Result<Receipt> {
        if batch.op != Op::Update && batch.op != Op::Delete && !self.layout.missing.is_empty() {
            let names = self.layout.missing.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
            return Err(Error::new(
                codes::DEST_004,
                format!("table {} needs values for {names}, which no field is mapped to", self.marker.place.quoted()),
            )
            .hint("map fields to them, give them defaults, or use write: update, which adds no rows"));
        }
        let (columns, bad) = self.encode(&batch)?;
        let seq = batch.seq;
        let id = |row: usize| RowId { seq, ordinal: row as u32 };
        // A full refresh must not take the old version of a rejected row for a leftover.
        let keep_keys = matches!(self.target.refresh, Refresh::Full { .. }) && !self.target.key.is_empty();
        let keys: Vec<bool> =
            self.target.schema.fields().iter().map(|field| self.target.key.contains(field.name())).collect();
        let rows = batch.rows.num_rows();
        let mut next_bad = bad.iter().peekable();
        let in_place = match &mut self.load {
            Load::Staged { .. } => false,
            Load::InPlace { taken, skipped, .. } => {
                taken.push((rows - bad.len()) as u64);
                if batch.op == Op::Update {
                    let is_bad = |row: usize| bad.binary_search_by_key(&row, |bad| bad.row).is_ok();
                    let fine = (0..rows).filter(|row| !is_bad(*row));
                    skipped.extend(fine.map(|row| RowOutcome { row: id(row), outcome: Outcome::Skipped }));
                }
                true
            }
        };
        let loads = !(in_place && matches!(batch.op, Op::Update | Op::Delete));
        if loads && rows > 0 {
            let copy = self.copy().await?;
            for row in 0..rows {
                let all = columns.iter().map(Option::as_ref);
                match (next_bad.next_if(|bad| bad.row == row), in_place) {
                    (None, true) => copy.put(&[], all, row).await?,
                    (None, false) => copy.put(&staged_prefix(id(row), batch.op as i16), all, row).await?,
                    (Some(bad), false) if keep_keys && !bad.key => {
                        let only_keys = all.zip(&keys).map(|(column, key)| column.filter(|_| *key));
                        copy.put(&staged_prefix(id(row), REFUSED), only_keys, row).await?;
                    }
                    (Some(_), _) => {}
                }
            }
        }
        let outcomes: Vec<_> =
            bad.into_iter().map(|bad| RowOutcome { row: id(bad.row), outcome: bad.outcome }).collect();
        self.rejected.extend(outcomes.iter().cloned());
        self.accepted_through = Some(seq);
        self.written += rows as u64;
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
        // Dropped without its end, the COPY is forgotten by the server.
        self.copy = None;
        let Some(session) = self.session.take() else {
            return Ok(());
        };
        let undo = match &self.load {
            Load::Staged { table } => format!("ROLLBACK; DROP TABLE IF EXISTS {table}"),
            Load::InPlace { .. } => "ROLLBACK".to_owned(),
        };
        match session.client.batch_execute(&undo).await {
            Ok(()) => self.sessions.put_back(session),
            // The next run sweeps it away.
            Err(error) => tracing::debug!(code = ?error.code(), "the staging area was not dropped"),
        }
        Ok(())
    }
}

impl Load {
    async fn begin_staged(session: &Session, marker: &MarkerRows, target: &Target, layout: &Layout) -> Result<Self> {
        let work_schema = &marker.work_schema;
        if let Some(missing) = table::missing_in_schema(&session.client, &session.user, work_schema).await? {
            return Err(missing.context("making the staging table"));
        }
        let table = format!("{}.{}", sql::name(work_schema), sql::name(&marker.stage_name(target.generation)));
        session
            .client
            .batch_execute(&stage::create(&table, &layout.fields))
            .await
            .map_err(|error| fault::statement("making the staging table", error))?;
        Ok(Self::Staged { table })
    }

    async fn begin_in_place(
        session: &Session,
        place: &Place,
        marker: &MarkerRows,
        target: &Target,
        layout: &Layout,
    ) -> Result<Self> {
        let table = format!("{}.{}", sql::name(&place.schema), sql::name(&marker.stage_name(target.generation)));
        session
            .client
            .batch_execute(&format!("BEGIN; {}", create_table(&table, target, &layout.fields)))
            .await
            .map_err(|error| fault::statement(&format!("making table {}", place.quoted()), error))?;
        Ok(Self::InPlace { table, taken: Vec::new(), skipped: Vec::new() })
    }
}

/// The statement that makes a new table, without its primary key.
pub(super) fn create_table(quoted: &str, target: &Target, fields: &[FieldType]) -> String {
    let columns = target.schema.fields().iter().zip(fields);
    let definitions = columns.map(|(field, types)| (field.name().as_str(), types.created.to_string()));
    format!("CREATE TABLE {quoted} ({})", table::definitions(definitions))
}

/// The statement that gives a table its primary key; `None` where it has none.
pub(super) fn add_primary_key(quoted: &str, target: &Target) -> Option<String> {
    let keys = sql::names(target.key.iter().map(String::as_str));
    (!target.key.is_empty()).then(|| format!("ALTER TABLE {quoted} ADD PRIMARY KEY ({keys})"))
}

async fn check_zone(session: &Session, zone: Option<&str>) -> Result<()> {
    let Some(zone) = zone else {
        return Ok(());
    };
    let known = session.client.query_one("SELECT now() AT TIME ZONE $1::text", &[&zone]).await;
    known.map(drop).map_err(|error| {
        if error.as_db_error().is_none() {
            return fault::statement("asking for the time zone", error);
        }
        Error::new(codes::CONF_005, format!("source_timezone {zone:?} is no time zone that the server knows"))
            .hint("write a name such as Europe/Berlin or UTC")
    })
}

/// Checks what must hold of a table before a run may write to it, whatever its columns are.
async fn check_existing(
    session: &Session,
    table: &Table,
    place: &Place,
    marker: &MarkerRows,
    target: &Target,
) -> Result<()> {
    let quoted = place.quoted();
    let missing = table.missing_rights(&session.client).await?;
    if !missing.is_empty() {
        return Err(Error::new(
            codes::DEST_003,
            format!("role {:?} may not {} on table {quoted}", session.user, missing.join(", ")),
        )
        .hint(format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {quoted} TO {};", sql::name(&session.user))));
    }
    if !target.key.is_empty()
        && target.key.iter().all(|key| table.column(key).is_some())
        && !table.is_unique_on(&session.client, &target.key).await?
    {
        let keys = sql::names(target.key.iter().map(String::as_str));
        return Err(Error::new(
            codes::DEST_005,
            format!(
                "table {quoted} has no unique index on exactly the key ({keys}), over whole columns and not deferrable"
            ),
        )
        .hint(format!("CREATE UNIQUE INDEX ON {quoted} ({keys});")));
    }
    if let Refresh::Full { replace_existing } = target.refresh {
        check_full_refresh(session, table, place, marker, target, replace_existing).await?;
    }
    Ok(())
}

async fn check_full_refresh(
    session: &Session,
    table: &Table,
    place: &Place,
    marker: &MarkerRows,
    target: &Target,
    replace_existing: bool,
) -> Result<()> {
    let quoted = place.quoted();
    if let Some(reference) = table.references.iter().find(|reference| !reference.own && target.key.is_empty()) {
        return Err(Error::new(
            codes::DEST_004,
            format!(
                "a full refresh without primary key replaces every row of {quoted}, and table {} refers to them \
                 (foreign key {:?})",
                reference.table, reference.constraint
            ),
        )
        .hint("give the model a primary_key: then only what differs is changed"));
    }
    let ours = marker.read(&session.client).await?.is_some_and(|marker| marker.created || marker.published.is_some());
    if !ours && !replace_existing && holds_rows(session, place).await? {
        return Err(Error::new(codes::SYNC_002, format!("table {quoted} holds rows that Tapline did not deliver"))
            .hint("a full refresh removes the rows that the model does not have")
            .hint("run it with --replace-existing if they may go, or name another stream"));
    }
    Ok(())
}

/// Whether an existing table holds any row.
pub(super) async fn holds_rows(session: &Session, place: &Place) -> Result<bool> {
    session
        .client
        .query_one(&format!("SELECT EXISTS (SELECT FROM {})", place.quoted()), &[])
        .await
        .map(|row| row.get(0))
        .map_err(|error| fault::statement(&format!("looking into table {}", place.quoted()), error))
}

/// The fields of a staged row before its values: its number and its operation.
fn staged_prefix(row: RowId, op: i16) -> [Prefix; 2] {
    [Prefix::BigInt(staged_id(row)), Prefix::SmallInt(op)]
}
