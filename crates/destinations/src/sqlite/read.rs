//! Reading rows back: every column as the type that its field has in the model, where that is exact.
//! Not here: the forms in which values are stored (see `types` and `encode`).
//! Called by the destination, for plans and for taking over what is there.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, NullArray, RecordBatch, RecordBatchOptions,
    StringArray,
};
use arrow::compute::cast_with_options;
use arrow::datatypes::{Field, FieldRef, Schema};
use async_trait::async_trait;
use futures::stream::{StreamExt, TryChunksError, TryStreamExt};
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Decode, Row, Sqlite, SqliteConnection, TypeInfo, ValueRef};
use tapline_core::values::duckdb_type_name;
use tapline_core::{Error, ReadBack, Result, RowReader, codes};
use tokio::sync::mpsc;

use super::connect::{Place, close};
use super::encode::{Encoder, float_text};
use super::table::{Table, TableName};
use super::types::Form;
use super::{fault, sql};
use crate::exactly::{STRICT, exactly, from_documents, from_texts};

/// Rows that become a batch.
const ROWS_AT_ONCE: usize = 4_096;

/// Begins to read; `None` where there is no such table.
pub(super) async fn read(place: &Place, rows: ReadBack) -> Result<Option<Box<dyn RowReader>>> {
    let name = TableName::of(&rows.stream)?;
    let Some(mut connection) = place.open_existing().await? else { return Ok(None) };
    let Some(table) = Table::find(&mut connection, &name).await? else {
        close(connection).await;
        return Ok(None);
    };
    let mut fields = Vec::new();
    for field in rows.schema.fields() {
        let key = rows.key.contains(field.name());
        match (table.column(field.name()), Form::of(field)) {
            (Some(_), Some(form)) => {
                let field = Arc::new(field.as_ref().clone().with_nullable(true));
                fields.push(Wanted { field, form, key });
            }
            _ if key => return Err(unreadable(&name, field)),
            _ => {}
        }
    }
    let columns: Vec<_> = fields.iter().map(|wanted| format!("t.{}", sql::name(wanted.field.name()))).collect();
    let select = if columns.is_empty() { "1".to_owned() } else { columns.join(", ") };
    let mut statement = format!("SELECT {select} FROM {} AS t", name.quoted());
    if let Some(keys) = &rows.keys {
        keep_keys(&mut connection, &rows, keys, &table).await?;
        let columns: Vec<_> = rows.key.iter().map(|key| format!("t.{}", sql::name(key))).collect();
        statement += &format!(" WHERE ({}) IN (SELECT * FROM temp.tapline_keys)", columns.join(", "));
    }
    let (sender, batches) = mpsc::channel(1);
    tokio::spawn(send(connection, name, statement, fields, sender));
    Ok(Some(Box::new(SqliteReader { batches })))
}

/// A field that has a column.
struct Wanted {
    field: FieldRef,
    form: Form,
    key: bool,
}

/// Rows on their way back, from the task that owns the connection and ends with this.
struct SqliteReader {
    batches: mpsc::Receiver<Result<RecordBatch>>,
}

#[async_trait]
impl RowReader for SqliteReader {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        self.batches.recv().await.transpose()
    }
}

/// Puts the keys beside the database, in the form that their columns keep. A key that has none has no row there.
async fn keep_keys(
    connection: &mut SqliteConnection,
    rows: &ReadBack,
    keys: &RecordBatch,
    table: &Table,
) -> Result<()> {
    let failed = |error| fault::statement("preparing the keys to read", error);
    let mut values = Vec::new();
    let mut fine = vec![true; keys.num_rows()];
    for (name, array) in rows.key.iter().zip(keys.columns()) {
        let column = table.column(name).ok_or_else(|| Error::internal("a key has no column"))?;
        let index = rows.schema.index_of(name).map_err(|error| Error::internal("a key is no field").because(error))?;
        let field = rows.schema.field(index).clone().with_data_type(array.data_type().clone());
        let (encoded, misfits) = Encoder::new(&Arc::new(field), column.affinity, true)?.values(array)?;
        misfits.into_iter().for_each(|misfit| fine[misfit.row] = false);
        values.push(encoded);
    }
    let columns: Vec<String> = (0..values.len()).map(|index| format!("k{index}")).collect();
    let columns = columns.join(", ");
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE TEMP TABLE tapline_keys ({columns})")))
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    let places = vec!["?"; values.len()].join(", ");
    let insert: Arc<str> = format!("INSERT INTO temp.tapline_keys VALUES ({places})").into();
    for row in (0..keys.num_rows()).filter(|row| fine[*row]) {
        let mut arguments = SqliteArguments::default();
        for column in &values {
            column.bind(row, &mut arguments)?;
        }
        sqlx::query_with(AssertSqlSafe(insert.clone()), arguments).execute(&mut *connection).await.map_err(failed)?;
    }
    Ok(())
}

/// Reads all rows in one statement, which sees the database as it is when it begins.
async fn send(
    mut connection: SqliteConnection,
    name: TableName,
    statement: String,
    fields: Vec<Wanted>,
    batches: mpsc::Sender<Result<RecordBatch>>,
) {
    {
        let mut chunks = sqlx::query(AssertSqlSafe(statement)).fetch(&mut connection).try_chunks(ROWS_AT_ONCE);
        while let Some(chunk) = chunks.next().await {
            let read = match chunk {
                Ok(rows) => batch(&name, &fields, &rows),
                Err(TryChunksError(_, error)) => Err(fault::statement(&format!("reading {name}"), error)),
            };
            let failed = read.is_err();
            // Nobody waits for more where the reader was given up.
            if batches.send(read).await.is_err() || failed {
                break;
            }
        }
    }
    close(connection).await;
}

fn batch(name: &TableName, wanted: &[Wanted], rows: &[SqliteRow]) -> Result<RecordBatch> {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (index, wanted) in wanted.iter().enumerate() {
        let cells: Vec<Stored<'_>> = rows.iter().map(|row| stored(row, index)).collect::<Result<_>>()?;
        match values(wanted, &cells) {
            Some(values) => {
                fields.push(wanted.field.clone());
                columns.push(values);
            }
            None if wanted.key => return Err(unreadable(name, &wanted.field)),
            None => {}
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .map_err(|error| Error::internal(format!("reading {name}")).because(error))
}

/// A value as SQLite stores it.
#[derive(Debug, Clone, Copy)]
enum Stored<'a> {
    Null,
    Integer(i64),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

fn stored(row: &SqliteRow, index: usize) -> Result<Stored<'_>> {
    let failed = |error: BoxDynError| Error::new(codes::DEST_006, "reading a value").because(error);
    let value = row.try_get_raw(index).map_err(|error| failed(error.into()))?;
    if value.is_null() {
        return Ok(Stored::Null);
    }
    let kind = value.type_info().into_owned();
    match kind.name() {
        "INTEGER" => <i64 as Decode<Sqlite>>::decode(value).map(Stored::Integer),
        "REAL" => <f64 as Decode<Sqlite>>::decode(value).map(Stored::Float),
        "TEXT" => <&str as Decode<Sqlite>>::decode(value).map(Stored::Text),
        _ => <&[u8] as Decode<Sqlite>>::decode(value).map(Stored::Bytes),
    }
    .map_err(failed)
}

/// The values of a field; `None` where one of them has no exact place in its type.
fn values(wanted: &Wanted, cells: &[Stored<'_>]) -> Option<ArrayRef> {
    let data_type = wanted.field.data_type();
    let is_text = cells.iter().any(|cell| matches!(cell, Stored::Text(_)));
    match wanted.form {
        Form::Null => {
            let all = cells.iter().all(|cell| matches!(cell, Stored::Null));
            all.then(|| Arc::new(NullArray::new(cells.len())) as ArrayRef)
        }
        Form::Text => exactly(&(Arc::new(StringArray::from(each(cells, text)?)) as ArrayRef), data_type),
        Form::Bytes => exactly(&(Arc::new(BinaryArray::from(each(cells, bytes)?)) as ArrayRef), data_type),
        Form::Json => from_documents(&wanted.field, &each(cells, text)?, |there, written| there == written),
        Form::Float if is_text => {
            let float = |cell: Stored<'_>| {
                let (float, text) = text(cell).and_then(|text| Some((text.parse::<f64>().ok()?, text)))?;
                (float_text(float) == text).then_some(float)
            };
            exactly(&(Arc::new(Float64Array::from(each(cells, float)?)) as ArrayRef), data_type)
        }
        Form::Rendered | Form::Digits | Form::Boolean | Form::Integer if is_text => {
            from_texts(&wanted.field, &each(cells, text)?)
        }
        Form::Rendered => {
            let all = cells.iter().all(|cell| matches!(cell, Stored::Null));
            all.then(|| arrow::array::new_null_array(data_type, cells.len()))
        }
        Form::Boolean => {
            let truth = |cell: Stored<'_>| match integer(cell)? {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            };
            exactly(&(Arc::new(BooleanArray::from(each(cells, truth)?)) as ArrayRef), data_type)
        }
        Form::Integer => exactly(&(Arc::new(Int64Array::from(each(cells, integer)?)) as ArrayRef), data_type),
        Form::Float => exactly(&(Arc::new(Float64Array::from(each(cells, float)?)) as ArrayRef), data_type),
        Form::Digits => digits(&wanted.field, cells),
    }
}

/// Converts every value that is not NULL; `None` where one cannot be converted.
fn each<'a, T>(cells: &[Stored<'a>], convert: impl Fn(Stored<'a>) -> Option<T>) -> Option<Vec<Option<T>>> {
    let one = |cell: &Stored<'a>| match cell {
        Stored::Null => Some(None),
        cell => convert(*cell).map(Some),
    };
    cells.iter().map(one).collect()
}

fn bytes(cell: Stored<'_>) -> Option<&[u8]> {
    if let Stored::Bytes(bytes) = cell { Some(bytes) } else { None }
}

fn text(cell: Stored<'_>) -> Option<&str> {
    if let Stored::Text(text) = cell { Some(text) } else { None }
}

fn integer(cell: Stored<'_>) -> Option<i64> {
    match cell {
        Stored::Integer(integer) => Some(integer),
        // A column of floats keeps whole numbers as floats.
        Stored::Float(float) => {
            let integer = float as i64;
            (float.fract() == 0.0 && float as i128 == i128::from(integer)).then_some(integer)
        }
        _ => None,
    }
}

fn float(cell: Stored<'_>) -> Option<f64> {
    match cell {
        Stored::Float(float) => Some(float),
        // A column of numbers keeps floats without a fraction as integers.
        Stored::Integer(integer) => {
            let float = integer as f64;
            (float as i128 == i128::from(integer)).then_some(float)
        }
        _ => None,
    }
}

/// Numbers that only their digits hold, from columns that keep them as numbers: the digits of a float are its shortest.
fn digits(field: &Field, cells: &[Stored<'_>]) -> Option<ArrayRef> {
    let text = |cell: Stored<'_>| match cell {
        Stored::Integer(integer) => Some(integer.to_string()),
        Stored::Float(float) if float.is_finite() => Some(float.to_string()),
        _ => None,
    };
    let texts = each(cells, text)?;
    let given = cast_with_options(&StringArray::from(texts.clone()), field.data_type(), &STRICT).ok()?;
    let column = tapline_core::values::Column::new(field, &given).ok()?;
    let mut written = Vec::new();
    let is_same = |(row, text): (usize, &Option<String>)| {
        let Some(text) = text else { return true };
        written.clear();
        column.text(row, &mut written);
        str::from_utf8(&written).is_ok_and(|written| without_empty_places(written) == without_empty_places(text))
    };
    texts.iter().enumerate().all(is_same).then_some(given)
}

fn without_empty_places(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

fn unreadable(name: &TableName, field: &Field) -> Error {
    Error::new(
        codes::DEST_004,
        format!(
            "reading {name}: its column {:?} cannot be given back as {}, and it belongs to the key",
            field.name(),
            duckdb_type_name(field)
        ),
    )
    .hint("cast the key in the model's SQL to the type that the column has")
}
