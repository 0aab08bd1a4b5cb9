//! One run's pen: it checks the table, stages batches, and publishes them in one transaction.
//! Not here: what is done to the table's rows (see `apply`).
//! Called by the engine, through [`Writer`].

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{DataType, Field};
use async_trait::async_trait;
use sqlx::{Connection, SqliteConnection};
use tapline_core::values::duckdb_type_name;
use tapline_core::{
    ChangeBatch, Error, Marker, Op, Outcome, Published, Receipt, Refresh, Result, RowId, RowOutcome, Target, Writer,
    codes, failpoint,
};

use super::apply::{self, Applied, Circumstances};
use super::connect::{self, Place};
use super::encode::{Encoder, Values};
use super::stage::{REFUSED, Stage};
use super::statements::{Mapped, Plan};
use super::table::{self, NewColumn, Table, TableName};
use super::types::{Affinity, Form};
use super::{fault, marker, sql};
use crate::tolerance::{SetAside, Tolerance};

/// Fields of a table at most: SQLite's own limit on columns.
const MOST_FIELDS: usize = 2000;

/// The pen of one run.
pub(super) struct SqliteWriter {
    /// `None` once the run is published or aborted.
    open: Option<Open>,
    name: TableName,
    target: Target,
    encoders: Vec<Encoder>,
    /// What told the table from others when the run began.
    identity: Option<String>,
    /// Columns without which a row cannot be added, and which no field maps.
    required: Vec<String>,
    batches: u64,
    /// Rows that were handed to `write`.
    written: u64,
    /// The operations that were staged.
    ops: BTreeSet<i64>,
    /// What the receipts of `write` have named.
    rejected: Vec<RowOutcome>,
    aside: Option<SetAside>,
}

struct Open {
    connection: SqliteConnection,
    stage: Stage,
}

impl SqliteWriter {
    /// Checks that the table can take the target's fields, and makes the staging area.
    pub(super) async fn open(place: &Place, target: Target) -> Result<Self> {
        let name = TableName::of(&target.stream)?;
        let fields: Vec<String> = target.schema.fields().iter().map(|field| field.name().clone()).collect();
        check_fields(&name, &fields)?;
        let mut connection = place.open().await?;
        let table = Table::find(&mut connection, &name).await?;
        let identity = table::identity(&mut connection, &name).await?;
        let stands = marker::read(&mut connection, &name).await?;
        guard(&mut connection, &name, &target, stands.as_ref()).await?;
        let mut required = Vec::new();
        if let Some(table) = &table {
            check_columns(&name, table, &target, &fields)?;
            check_types(&name, table, &target)?;
            required = table.required_besides(&fields).map(str::to_owned).collect();
        }
        let mut encoders = Vec::with_capacity(fields.len());
        for field in target.schema.fields() {
            let affinity = match table.as_ref().and_then(|table| table.column(field.name())) {
                Some(column) => column.affinity,
                None => Affinity::of(Form::of(field).map_or("", Form::declared), false),
            };
            encoders.push(Encoder::new(field, affinity, target.key.contains(field.name()))?);
        }
        let stage = Stage::make(&mut connection, place, &name, target.generation, fields.len()).await?;
        Ok(Self {
            open: Some(Open { connection, stage }),
            name,
            target,
            encoders,
            identity,
            required,
            batches: 0,
            written: 0,
            ops: BTreeSet::new(),
            rejected: Vec::new(),
            aside: None,
        })
    }

    /// The columns of a batch, by field; a batch of deletes has the key fields alone.
    fn values(&self, batch: &ChangeBatch) -> Result<(Vec<Option<Values>>, Vec<RowOutcome>)> {
        let mut outcomes = BTreeMap::new();
        let mut fields = Vec::with_capacity(self.encoders.len());
        for (index, encoder) in self.encoders.iter().enumerate() {
            let position = match batch.op {
                Op::Delete => self.target.key.iter().position(|key| key == encoder.name()),
                _ => Some(index),
            };
            let Some(position) = position else {
                fields.push(None);
                continue;
            };
            if position >= batch.rows.num_columns() {
                return Err(Error::internal(format!("batch {} has too few columns", batch.seq)));
            }
            let (values, misfits) = encoder.values(batch.rows.column(position))?;
            fields.push(Some(values));
            for misfit in misfits {
                let ordinal = u32::try_from(misfit.row).map_err(|_| Error::internal("a batch has too many rows"))?;
                let row = RowId { seq: batch.seq, ordinal };
                let reason = format!("column {:?}: {}", encoder.name(), misfit.problem);
                let outcome = Outcome::Rejected { code: codes::ROW_001, reason };
                outcomes.entry(ordinal).or_insert(RowOutcome { row, outcome });
            }
        }
        Ok((fields, outcomes.into_values().collect()))
    }

    fn open_mut(open: &mut Option<Open>) -> Result<&mut Open> {
        open.as_mut().ok_or_else(|| Error::internal("a writer was used after its end"))
    }

    /// Everything between BEGIN and COMMIT; an error rolls back.
    async fn publish_staged(&mut self, staged: &[u64]) -> Result<Receipt> {
        let tolerance = Tolerance::new(&self.target, self.written).beside(self.aside);
        tolerance.check(&self.rejected)?;
        let Open { connection, stage } = Self::open_mut(&mut self.open)?;
        let failed = |error| fault::statement(&format!("publishing {}", self.name), error);
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let stands = marker::claim(&mut transaction, &self.name, &self.target.owner, self.target.generation).await?;
        failpoint("publish-locked");
        stage.verify(&mut transaction, staged).await?;
        if stands.table != self.identity {
            return Err(Error::new(
                codes::DEST_006,
                format!("publishing {}: somebody made, dropped or altered it while the run was reading", self.name),
            )
            .hint("run the sync again")
            .retry_after(std::time::Duration::ZERO));
        }
        guard(&mut transaction, &self.name, &self.target, Some(&stands)).await?;
        let created = stands.created || stands.table.is_none();
        if stands.table.is_none() {
            make_table(&mut transaction, &self.name, &self.target).await?;
        }
        let mut table = find(&mut transaction, &self.name).await?;
        if self.target.widen {
            let added = self.target.schema.fields().iter().filter(|field| table.column(field.name()).is_none());
            let added: Vec<NewColumn<'_>> = added.map(|field| new_column(field, &self.target)).collect();
            if !added.is_empty() {
                table::add_columns(&mut transaction, &self.name, &added).await?;
                table = find(&mut transaction, &self.name).await?;
            }
        }
        let plan = plan(&self.name, &table, &self.target)?;
        failpoint("publish-prepared");
        let circumstances = Circumstances {
            may_replace: !table.triggers && table.referenced_by.is_empty(),
            tolerance: &tolerance,
            rejected: &self.rejected,
        };
        let Applied { outcomes, removed } =
            apply::apply(&mut transaction, &plan, self.target.refresh, self.ops.clone(), circumstances).await?;
        let mut all = self.rejected.clone();
        all.extend(outcomes.iter().cloned());
        tolerance.check(&all)?;
        let published = Published { generation: self.target.generation, batches: self.batches, removed };
        marker::publish(&mut transaction, &self.name, published, created, &all).await?;
        failpoint("publish-recorded");
        transaction.commit().await.map_err(failed)?;
        failpoint("publish-committed");
        let through = self.batches.checked_sub(1);
        Ok(Receipt { accepted_through: through, durable_through: through, outcomes, removed })
    }

    async fn close(&mut self) {
        if let Some(Open { mut connection, stage }) = self.open.take() {
            stage.drop(&mut connection).await;
            connect::close(connection).await;
        }
    }
}

#[async_trait]
impl Writer for SqliteWriter {
    async fn write(&mut self, batch: ChangeBatch) -> Result<Receipt> {
        if batch.seq != self.batches {
            return Err(Error::internal(format!("batch {} came where {} was due", batch.seq, self.batches)));
        }
        let op = match (batch.op, self.target.refresh) {
            (Op::Insert | Op::Update, Refresh::Full { .. }) => Op::Upsert,
            (op, _) => op,
        };
        if matches!(op, Op::Insert | Op::Upsert) && !self.required.is_empty() {
            return Err(required_missing(&self.name, &self.required));
        }
        let (fields, outcomes) = self.values(&batch)?;
        let mut ops = vec![op as i64; batch.rows.num_rows()];
        for outcome in &outcomes {
            ops[outcome.row.ordinal as usize] = REFUSED;
        }
        let Open { connection, stage } = Self::open_mut(&mut self.open)?;
        stage.add(connection, batch.seq, &ops, &fields).await?;
        self.ops.insert(op as i64);
        self.batches += 1;
        self.written += batch.rows.num_rows() as u64;
        failpoint("staging");
        self.rejected.extend(outcomes.iter().cloned());
        Ok(Receipt { accepted_through: Some(batch.seq), outcomes, ..Receipt::default() })
    }

    fn set_aside(&mut self, rows: u64, read: u64) {
        self.aside = Some(SetAside { rows, read });
    }

    async fn retract(&mut self, rows: &[RowId]) -> Result<()> {
        if !self.target.retractable {
            return Err(Error::internal("rows were taken back from a writer that keeps them"));
        }
        let Open { connection, stage } = Self::open_mut(&mut self.open)?;
        stage.retract(connection, rows).await
    }

    async fn publish(&mut self, staged: &[u64]) -> Result<Receipt> {
        let receipt = self.publish_staged(staged).await?;
        self.close().await;
        Ok(receipt)
    }

    async fn abort(&mut self) -> Result<()> {
        self.close().await;
        Ok(())
    }
}

/// Fails where a full refresh would remove rows of a table that Tapline neither made nor published to.
async fn guard(
    connection: &mut SqliteConnection,
    name: &TableName,
    target: &Target,
    stands: Option<&Marker>,
) -> Result<()> {
    let known = stands.is_some_and(|marker| marker.created || marker.published.is_some());
    if known || target.refresh != (Refresh::Full { replace_existing: false }) {
        return Ok(());
    }
    if table::identity(connection, name).await?.is_none() || !table::holds_rows(connection, &name.quoted()).await? {
        return Ok(());
    }
    Err(Error::new(codes::SYNC_002, format!("{name} holds rows that Tapline did not deliver"))
        .hint("a full refresh makes the table equal to the model: pass --replace-existing if these rows may go"))
}

/// SQLite ignores the case of ASCII letters in names.
fn check_fields(name: &TableName, fields: &[String]) -> Result<()> {
    let refused = |problem: String| Err(Error::new(codes::DEST_004, format!("{name}: {problem}")));
    if fields.len() > MOST_FIELDS {
        return refused(format!("{} fields are more than SQLite's {MOST_FIELDS} columns", fields.len()));
    }
    let mut seen = BTreeMap::new();
    for field in fields {
        if let Some(other) = seen.insert(field.to_ascii_lowercase(), field) {
            return refused(format!("the fields {other:?} and {field:?} are one column, since case does not count"));
        }
    }
    Ok(())
}

/// Fails with everything that keeps an existing table from taking the fields.
fn check_columns(name: &TableName, table: &Table, target: &Target, fields: &[String]) -> Result<()> {
    let mut problems = Vec::new();
    let mut hints = Vec::new();
    for field in target.schema.fields() {
        match table.column(field.name()) {
            Some(column) if column.generated => problems.push(format!("column {:?} is generated", column.name)),
            Some(_) => {}
            None if target.widen && !target.key.contains(field.name()) => {}
            None => {
                problems.push(format!("column {:?} is missing", field.name()));
                let declared = Form::of(field).map_or("", Form::declared);
                hints.push(format!("ALTER TABLE {} ADD COLUMN {} {declared};", name.quoted(), sql::name(field.name())));
            }
        }
    }
    if !problems.is_empty() {
        let error = Error::new(codes::DEST_004, format!("{name} cannot hold the fields: {}", problems.join(", ")));
        let adds = !hints.is_empty() && !target.widen;
        let error = hints.into_iter().fold(error, Error::hint);
        return Err(if adds { error.hint("or let the sync add columns itself: on_drift: widen") } else { error });
    }
    // What an incremental run does with its rows shows only when they come.
    let required: Vec<String> = table.required_besides(fields).map(str::to_owned).collect();
    if target.refresh != Refresh::Incremental && !required.is_empty() {
        return Err(required_missing(name, &required));
    }
    if target.key.is_empty() {
        return match table.referenced_by.first() {
            Some(other) => Err(Error::new(
                codes::DEST_005,
                format!(
                    "{name}: a full refresh without a primary key replaces all rows, and table {other:?} points to them"
                ),
            )
            .hint("give the model a primary_key")),
            None => Ok(()),
        };
    }
    collations(name, table, &target.key).map(drop)
}

/// Fails where the types of columns would have to change for the fields, which SQLite cannot do. Only a run that may
/// widen the table demands it; another has single rows rejected, and most of such a field's values may fit.
fn check_types(name: &TableName, table: &Table, target: &Target) -> Result<()> {
    if !target.widen {
        return Ok(());
    }
    let mut problems = Vec::new();
    for field in target.schema.fields() {
        let Some(column) = table.column(field.name()) else { continue };
        let fits = match Form::of(field) {
            Some(Form::Text) => !column.affinity.makes_numbers(),
            Some(Form::Float) => column.affinity != Affinity::Integer,
            Some(Form::Digits) => column.affinity != Affinity::Integer || matches!(field.data_type(), DataType::UInt64),
            _ => true,
        };
        if !fits {
            let wanted = duckdb_type_name(field);
            problems.push(format!("column {:?} keeps numbers and would have to hold {wanted}", column.name));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        codes::DEST_004,
        format!("{name}: {}, and SQLite cannot change a column's type", problems.join("; ")),
    )
    .hint("make a table with wider columns, copy the rows into it, and give it this table's name")
    .hint("or cast in the model's SQL to what the column holds"))
}

async fn find(connection: &mut SqliteConnection, name: &TableName) -> Result<Table> {
    let table = Table::find(connection, name).await?;
    table.ok_or_else(|| Error::internal(format!("{name} is gone within the transaction")))
}

fn new_column<'a>(field: &'a Field, target: &Target) -> NewColumn<'a> {
    NewColumn {
        name: field.name(),
        declared: Form::of(field).map_or("", Form::declared),
        key: target.key.contains(field.name()),
    }
}

/// The collations of the key's unique index.
fn collations(name: &TableName, table: &Table, key: &[String]) -> Result<Vec<String>> {
    table.unique_on(key).ok_or_else(|| {
        let columns = sql::names(key.iter().map(String::as_str));
        let index = sql::name(&format!("{}_{}", name.as_str(), key.join("_")));
        Error::new(codes::DEST_005, format!("{name} has no unique index on exactly ({columns})"))
            .hint(format!("CREATE UNIQUE INDEX {index} ON {} ({columns});", sql::name(name.as_str())))
    })
}

fn required_missing(name: &TableName, required: &[String]) -> Error {
    Error::new(
        codes::DEST_004,
        format!(
            "{name}: a row cannot be added without {}, which no field maps",
            sql::names(required.iter().map(String::as_str))
        ),
    )
    .hint("map these columns under fields:, give them a default, or use write: update")
}

async fn make_table(connection: &mut SqliteConnection, name: &TableName, target: &Target) -> Result<()> {
    let columns: Vec<NewColumn<'_>> = target.schema.fields().iter().map(|field| new_column(field, target)).collect();
    table::make(connection, name, &columns, &target.key).await
}

/// The statements' plan for the table as it stands now.
fn plan(name: &TableName, table: &Table, target: &Target) -> Result<Plan> {
    let collations = if target.key.is_empty() { Vec::new() } else { collations(name, table, &target.key)? };
    let fields: Vec<Mapped> = target
        .schema
        .fields()
        .iter()
        .map(|field| {
            let place = target.key.iter().position(|key| key == field.name());
            Mapped { name: field.name().clone(), collation: place.map(|place| collations[place].clone()) }
        })
        .collect();
    let mapped = |column: &table::Column| fields.iter().any(|field| field.name.eq_ignore_ascii_case(&column.name));
    let unmapped = table
        .columns
        .iter()
        .filter(|column| !column.generated && !mapped(column))
        .map(|column| column.name.clone())
        .collect();
    let full = target.refresh != Refresh::Incremental;
    Ok(Plan::new(name, fields, unmapped, full))
}
