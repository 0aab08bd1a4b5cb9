//! Reading rows back: every column as the type that its field has in the model, where that is exact.
//! Not here: the forms in which values are stored (see `types` and `encode`).
//! Called by the destination, for plans and for taking over what is there.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, NullArray, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow::compute::cast_with_options;
use arrow::datatypes::{Field, FieldRef, Schema};
use async_trait::async_trait;
use futures::stream::{StreamExt, TryChunksError, TryStreamExt};
use mysql_async::Row;
use tapline_core::values::{Column as Rendered, duckdb_type_name};
use tapline_core::{Error, ReadBack, Result, RowReader, codes};
use tokio::sync::mpsc;

use super::connect::{Session, Sessions, bytes};
use super::encode::Encoder;
use super::fit::takes;
use super::table::{Column, Place, Table};
use super::types::{Form, Kind};
use super::{fault, sql};
use crate::exactly::{STRICT, exactly, from_documents, from_texts};

/// Rows that become a batch.
const ROWS_AT_ONCE: usize = 4_096;

/// Begins to read; `None` where there is no such table.
pub(super) async fn read(sessions: Arc<Sessions>, rows: ReadBack) -> Result<Option<Box<dyn RowReader>>> {
    let mut session = sessions.take().await?;
    let place = Place::of(&session, sessions.server().database.as_deref(), &rows.stream)?;
    let Some(table) = Table::find(&mut session, &place).await? else {
        sessions.put_back(session);
        return Ok(None);
    };
    let quoted = place.quoted();
    let mut fields = Vec::new();
    for field in rows.schema.fields() {
        let key = rows.key.contains(field.name());
        match (table.column(field.name()), Form::of(field)) {
            (Some(column), Some(form)) if column.kind != Kind::Other => {
                let kind = column.kind.clone();
                let field = Arc::new(field.as_ref().clone().with_nullable(true));
                fields.push(Wanted { field, form, kind, key, select: selected(column) });
            }
            _ if key => return Err(unreadable(&quoted, field)),
            _ => {}
        }
    }
    let columns: Vec<&str> = fields.iter().map(|wanted| wanted.select.as_str()).collect();
    let select = if columns.is_empty() { "1".to_owned() } else { columns.join(", ") };
    let mut query = format!("SELECT {select} FROM {quoted} t");
    if let Some(keys) = &rows.keys {
        query += &format!(" WHERE {}", with_keys(&session, &rows, keys, &table, &quoted)?);
    }
    let (sender, batches) = mpsc::channel(1);
    tokio::spawn(send(sessions, session, quoted, query, fields, sender));
    Ok(Some(Box::new(MysqlReader { batches })))
}

/// A field that has a column.
struct Wanted {
    field: FieldRef,
    form: Form,
    kind: Kind,
    key: bool,
    select: String,
}

/// What is selected of a column, so that its text is all of the value.
fn selected(column: &Column) -> String {
    let name = format!("t.{}", sql::name(&column.name));
    match &column.kind {
        // As a text, a float of 32 bits has six digits.
        Kind::Float { .. } => format!("CAST({name} AS DOUBLE)"),
        Kind::Bit { .. } => format!("CAST({name} AS UNSIGNED)"),
        _ => name,
    }
}

/// Rows on their way back, from the task that owns the session and ends with this.
struct MysqlReader {
    batches: mpsc::Receiver<Result<RecordBatch>>,
}

#[async_trait]
impl RowReader for MysqlReader {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        self.batches.recv().await.transpose()
    }
}

/// Reads all rows in one statement, which sees the table as it is when it begins.
async fn send(
    sessions: Arc<Sessions>,
    mut session: Session,
    table: String,
    query: String,
    fields: Vec<Wanted>,
    batches: mpsc::Sender<Result<RecordBatch>>,
) {
    let doing = format!("reading table {table}");
    let ended = {
        let mut groups = match session.stream(query).await {
            Ok(rows) => rows.try_chunks(ROWS_AT_ONCE),
            Err(error) => {
                // Nobody waits for it where the reader was given up.
                let _ = batches.send(Err(fault::statement(&doing, error))).await;
                return;
            }
        };
        loop {
            let read = match groups.next().await {
                None => break true,
                Some(Ok(rows)) => batch(&table, &fields, &rows),
                Some(Err(TryChunksError(_, error))) => Err(fault::statement(&doing, error)),
            };
            let failed = read.is_err();
            if batches.send(read).await.is_err() || failed {
                break false;
            }
        }
    };
    if ended {
        sessions.put_back(session);
    }
}

fn batch(table: &str, wanted: &[Wanted], rows: &[Row]) -> Result<RecordBatch> {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (index, wanted) in wanted.iter().enumerate() {
        let cells: Vec<Option<&[u8]>> = rows.iter().map(|row| bytes(row, index)).collect();
        match values(wanted, &cells) {
            Some(values) => {
                fields.push(wanted.field.clone());
                columns.push(values);
            }
            None if wanted.key => return Err(unreadable(table, &wanted.field)),
            None => {}
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .map_err(|error| Error::internal(format!("reading table {table}")).because(error))
}

/// The values of a field; `None` where one of them has no exact place in its type.
fn values(wanted: &Wanted, cells: &[Option<&[u8]>]) -> Option<ArrayRef> {
    let data_type = wanted.field.data_type();
    let all_null = || cells.iter().all(Option::is_none);
    if wanted.form == Form::Null {
        return all_null().then(|| Arc::new(NullArray::new(cells.len())) as ArrayRef);
    }
    if let Kind::Bytes { .. } = wanted.kind {
        return exactly(&(Arc::new(BinaryArray::from(cells.to_vec())) as ArrayRef), data_type);
    }
    let texts: Vec<Option<&str>> =
        cells.iter().map(|cell| cell.map(str::from_utf8).transpose()).collect::<Result<_, _>>().ok()?;
    match (&wanted.kind, wanted.form) {
        (Kind::Integer { .. } | Kind::Bit { .. } | Kind::Decimal { .. }, Form::Boolean) => {
            let truth = |text: &Option<&str>| match text {
                None => Some(None),
                Some("0") => Some(Some(false)),
                Some("1") => Some(Some(true)),
                Some(_) => None,
            };
            let truths: BooleanArray = texts.iter().map(truth).collect::<Option<Vec<_>>>()?.into();
            exactly(&(Arc::new(truths) as ArrayRef), data_type)
        }
        (
            Kind::Integer { .. } | Kind::Bit { .. } | Kind::Decimal { .. } | Kind::Year,
            Form::Integer { .. } | Form::Decimal { .. } | Form::Float | Form::Double,
        ) => digits(&wanted.field, &texts),
        (Kind::Float { .. }, Form::Text) => from_texts(&wanted.field, &texts),
        (Kind::Float { .. }, _) => {
            let float = |text: &Option<&str>| text.map_or(Some(None), |text| text.parse::<f64>().ok().map(Some));
            let floats = texts.iter().map(float).collect::<Option<Vec<_>>>()?;
            exactly(&(Arc::new(Float64Array::from(floats)) as ArrayRef), data_type)
        }
        (Kind::Json, Form::Json) => from_documents(&wanted.field, &texts, is_same_document),
        (_, Form::Json) => from_documents(&wanted.field, &texts, |there, written| there == written),
        (_, Form::Text) if !is_temporal(&wanted.kind) => {
            exactly(&(Arc::new(StringArray::from(texts)) as ArrayRef), data_type)
        }
        (kind, form) if is_temporal(kind) => {
            let shortened: Vec<Option<String>> =
                texts.iter().map(|text| text.map(|text| as_written(text, form))).collect();
            from_texts(&wanted.field, &shortened.iter().map(Option::as_deref).collect::<Vec<_>>())
        }
        _ => from_texts(&wanted.field, &texts),
    }
}

fn is_temporal(kind: &Kind) -> bool {
    matches!(kind, Kind::Date | Kind::Time { .. } | Kind::DateTime { .. } | Kind::Stamp { .. })
}

/// A time as the model writes it: without zeros at the end of a fraction, and with the zone of a moment.
fn as_written(text: &str, form: Form) -> String {
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    if form == Form::Moment { format!("{text}+00") } else { text.to_owned() }
}

/// Whether two documents mean the same: a column of JSON has spacing and an order of its own.
fn is_same_document(one: &str, other: &str) -> bool {
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text);
    matches!((value(one), value(other)), (Ok(one), Ok(other)) if one == other)
}

/// Numbers from their digits, whatever number of zeros they begin and end with.
fn digits(field: &Field, texts: &[Option<&str>]) -> Option<ArrayRef> {
    let given = cast_with_options(&StringArray::from(texts.to_vec()), field.data_type(), &STRICT).ok()?;
    let column = Rendered::new(field, &given).ok()?;
    let mut written = Vec::new();
    let mut is_same = |(row, text): (usize, &Option<&str>)| {
        let Some(text) = text else { return true };
        written.clear();
        column.text(row, &mut written);
        str::from_utf8(&written).is_ok_and(|written| significant(written) == significant(text))
    };
    texts.iter().enumerate().all(&mut is_same).then_some(given)
}

/// Whether a number is negative, and the digits before and behind its point that count.
fn significant(number: &str) -> (bool, &str, &str) {
    let (negative, digits) = number.strip_prefix('-').map_or((false, number), |digits| (true, digits));
    let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
    (negative, whole.trim_start_matches('0'), places.trim_end_matches('0'))
}

/// The condition for rows with one of these keys. A key that its column cannot hold has no row there.
fn with_keys(session: &Session, rows: &ReadBack, keys: &RecordBatch, table: &Table, quoted: &str) -> Result<String> {
    let mut columns = Vec::new();
    let mut literals: Vec<Vec<String>> = vec![Vec::new(); keys.num_rows()];
    let mut fine = vec![true; keys.num_rows()];
    for (name, array) in rows.key.iter().zip(keys.columns()) {
        let column = table.column(name).ok_or_else(|| Error::internal("a key has no column"))?;
        let index = rows.schema.index_of(name).map_err(|error| Error::internal("a key is no field").because(error))?;
        let field = rows.schema.field(index).clone().with_data_type(array.data_type().clone());
        let form = Form::of(&field).filter(|form| takes(*form, &column.kind).is_ok());
        let form = form.ok_or_else(|| unreadable(quoted, &field))?;
        let mut encoder = Encoder {
            field: Arc::new(field),
            form,
            kind: column.kind.clone(),
            wide: None,
            widens: false,
            key: true,
            not_null: true,
            longest: session.longest_value,
        };
        let (cells, unfit) = encoder.encode(array)?;
        unfit.iter().for_each(|unfit| fine[unfit.row] = false);
        columns.push(format!("t.{}", sql::name(&column.name)));
        for (row, literals) in literals.iter_mut().enumerate() {
            literals.push(literal(&column.kind, cells.value(row).unwrap_or_default()));
        }
    }
    let tuples = literals.iter().zip(&fine).filter(|(_, fine)| **fine);
    let tuples: Vec<String> = tuples.map(|(literals, _)| format!("({})", literals.join(", "))).collect();
    Ok(if tuples.is_empty() {
        "FALSE".to_owned()
    } else {
        format!("({}) IN ({})", columns.join(", "), tuples.join(", "))
    })
}

/// A value as it stands in a statement.
fn literal(kind: &Kind, value: &[u8]) -> String {
    match kind {
        Kind::Bytes { .. } => sql::bytes(value),
        Kind::Integer { .. } | Kind::Bit { .. } | Kind::Decimal { .. } | Kind::Float { .. } | Kind::Year => {
            if value.is_empty() { "NULL".to_owned() } else { String::from_utf8_lossy(value).into_owned() }
        }
        _ => format!("_utf8mb4 {}", sql::bytes(value)),
    }
}

fn unreadable(table: &str, field: &Field) -> Error {
    Error::new(
        codes::DEST_004,
        format!(
            "reading table {table}: its column {:?} cannot be given back as {}, and it belongs to the key",
            field.name(),
            duckdb_type_name(field)
        ),
    )
    .hint("cast the key in the model's SQL to the type that the column has")
}
