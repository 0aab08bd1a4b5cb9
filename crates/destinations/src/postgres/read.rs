//! Reading rows back: every column as the type that its field has in the model, where that is exact.
//! Not here: the binary form of values (see `decode`), and the way into a column (see `fit`).
//! Called by the destination, for plans and for taking over what is there.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema};
use async_trait::async_trait;
use bytes::BytesMut;
use tapline_core::{Error, ReadBack, Result, RowReader, codes};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};
use tokio_postgres::{Row, Statement};

use super::connect::{Session, Sessions};
use super::decode::decode;
use super::encode::{self, Unfit};
use super::fit::fit;
use super::layout::new_column;
use super::statements::{staged_column, staged_value};
use super::table::{Column, Place, Table};
use super::types::{FieldType, SqlType};
use super::{fault, sql};
use crate::exactly::{from_documents, from_texts};

/// Rows that are fetched at once.
const ROWS_AT_ONCE: usize = 4_096;
const CURSOR: &str = "tapline_rows";

/// Begins to read; `None` where there is no such table.
pub(super) async fn read(
    sessions: Arc<Sessions>,
    zone: Option<&str>,
    rows: ReadBack,
) -> Result<Option<Box<dyn RowReader>>> {
    let session = sessions.take().await?;
    let place = Place::of(&session.client, &rows.stream).await?;
    let Some(table) = Table::find(&session.client, &place).await? else {
        sessions.put_back(session);
        return Ok(None);
    };
    let quoted = place.quoted();
    let failed = |error| fault::statement(&format!("reading table {quoted}"), error);
    let mut sources = Vec::new();
    for field in rows.schema.fields() {
        let source = table.column(field.name()).and_then(|column| Source::of(field, column, zone));
        let key = rows.key.contains(field.name());
        match source {
            Some(source) => sources.push((Arc::new(field.as_ref().clone().with_nullable(true)), key, source)),
            None if key => return Err(unreadable(&quoted, field)),
            None => {}
        }
    }
    let columns: Vec<_> = sources.iter().map(|(_, _, source)| source.select()).collect();
    let select =
        format!("SELECT {} FROM {quoted} t", if columns.is_empty() { "1".to_owned() } else { columns.join(", ") });
    let rest = match &rows.keys {
        Some(keys) => {
            let found = match wanted_keys(&rows, keys, &table, &quoted, zone)? {
                Some((keys, condition, arrays)) => {
                    let arrays: Vec<&(dyn ToSql + Sync)> =
                        arrays.iter().map(|array| array as &(dyn ToSql + Sync)).collect();
                    let statement = format!("{keys} {select} WHERE {condition}");
                    session.client.query(&statement, &arrays).await.map_err(failed)?
                }
                None => Vec::new(),
            };
            sessions.put_back(session);
            Rest::Memory(found)
        }
        None => {
            let declare = format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; DECLARE {CURSOR} NO SCROLL CURSOR FOR {select}"
            );
            session.client.batch_execute(&declare).await.map_err(failed)?;
            let fetch = format!("FETCH FORWARD {ROWS_AT_ONCE} FROM {CURSOR}");
            let fetch = session.client.prepare(&fetch).await.map_err(failed)?;
            Rest::Server { session, fetch, sessions }
        }
    };
    Ok(Some(Box::new(PostgresReader { table: quoted, sources, rest: Some(rest) })))
}

/// Rows on their way back.
struct PostgresReader {
    /// Quoted.
    table: String,
    /// The fields that have a column, whether they belong to the key, and how they are read.
    sources: Vec<(Arc<Field>, bool, Source)>,
    /// `None` at the end.
    rest: Option<Rest>,
}

/// Where the rows that were not handed out yet are.
enum Rest {
    Memory(Vec<Row>),
    /// Behind a cursor, in a transaction of the session.
    Server {
        session: Session,
        fetch: Statement,
        sessions: Arc<Sessions>,
    },
}

#[async_trait]
impl RowReader for PostgresReader {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let rows = match self.rest.take() {
            None => return Ok(None),
            Some(Rest::Memory(rows)) => rows,
            Some(Rest::Server { session, fetch, sessions }) => {
                let failed = |error| fault::statement(&format!("reading table {}", self.table), error);
                let rows = session.client.query(&fetch, &[]).await.map_err(failed)?;
                if rows.len() == ROWS_AT_ONCE {
                    self.rest = Some(Rest::Server { session, fetch, sessions });
                } else {
                    session.client.batch_execute("COMMIT").await.map_err(failed)?;
                    sessions.put_back(session);
                }
                rows
            }
        };
        if rows.is_empty() { Ok(None) } else { self.batch(&rows).map(Some) }
    }
}

impl PostgresReader {
    fn batch(&self, rows: &[Row]) -> Result<RecordBatch> {
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        let mut index = 0;
        for (field, key, source) in &self.sources {
            let values = source.read(field, rows, index)?;
            index += source.width();
            match values {
                Some(values) => {
                    fields.push(field.clone());
                    columns.push(values);
                }
                None if *key => return Err(unreadable(&self.table, field)),
                None => {}
            }
        }
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
            .map_err(|error| Error::internal(format!("reading table {}", self.table)).because(error))
    }
}

/// How a column is read as a field.
struct Source {
    /// The column, quoted.
    column: String,
    /// The value, in a type that is decoded.
    value: String,
    /// True where the value is exact; `None` where it always is.
    exact: Option<String>,
    form: Form,
}

enum Form {
    Binary(SqlType),
    /// A text that stands for a value of another type.
    Text,
    /// A JSON document that stands for a nested value.
    Document,
}

impl Source {
    /// The way back from a column into a field; `None` where there is none.
    fn of(field: &Field, column: &Column, zone: Option<&str>) -> Option<Self> {
        let types = FieldType::of(field)?.towards(&column.base);
        let x = format!("t.{}", sql::name(&column.name));
        let source = |value, exact, form| Some(Self { column: x.clone(), value, exact, form });
        let plain = |value, sql_type| source(value, None, Form::Binary(sql_type));
        if types.staged == SqlType::Text {
            // The spacing of a document is lost in jsonb.
            return if column.base == "jsonb" { None } else { plain(format!("{x}::text"), SqlType::Text) };
        }
        if is_text(column) {
            let form = if types.staged == SqlType::Jsonb { Form::Document } else { Form::Text };
            return source(format!("{x}::text"), None, form);
        }
        let held = held(column)?;
        match (&held, &types.staged) {
            (SqlType::Jsonb, SqlType::Jsonb) => source(format!("{x}::text"), None, Form::Document),
            (SqlType::Jsonb, _) => None,
            (SqlType::Array(item), SqlType::Array(wanted)) if is_same_kind(item, wanted) => {
                plain(x.clone(), held.clone())
            }
            (SqlType::Array(_), _) => None,
            (SqlType::Bytea, SqlType::Uuid) => plain(x.clone(), SqlType::Bytea),
            (SqlType::TimestampTz, SqlType::Timestamp) => {
                // The hour that a clock repeats is two moments, and the way back shows it.
                let zone = sql::text(zone?);
                let value = format!("({x} AT TIME ZONE {zone})");
                let exact = Some(format!("({value} AT TIME ZONE {zone}) = {x}"));
                source(value, exact, Form::Binary(SqlType::Timestamp))
            }
            (SqlType::Timestamp, SqlType::TimestampTz) => {
                plain(format!("({x} AT TIME ZONE 'UTC')"), SqlType::TimestampTz)
            }
            _ => {
                let fit = fit(&x, &held, &new_column(field.name(), &types.staged, false), None).ok()?;
                source(fit.cast, fit.exact, Form::Binary(types.staged.clone()))
            }
        }
    }

    /// The columns of the query: the value, and whether it is not exact where that can be.
    fn select(&self) -> String {
        match &self.exact {
            Some(exact) => format!(
                "CASE WHEN {exact} THEN {} END, {} IS NOT NULL AND ({exact}) IS NOT TRUE",
                self.value, self.column
            ),
            None => self.value.clone(),
        }
    }

    fn width(&self) -> usize {
        if self.exact.is_some() { 2 } else { 1 }
    }

    /// The values of a field, from the query's column with this index on; `None` where one of them is not exact.
    fn read(&self, field: &Field, rows: &[Row], index: usize) -> Result<Option<ArrayRef>> {
        let failed = |error| fault::statement("reading values", error);
        if self.exact.is_some() {
            for row in rows {
                if row.try_get::<_, Option<bool>>(index + 1).map_err(failed)? == Some(true) {
                    return Ok(None);
                }
            }
        }
        let cells =
            rows.iter().map(|row| row.try_get::<_, Option<Raw<'_>>>(index).map(|cell| cell.map(|Raw(raw)| raw)));
        let cells: Vec<Option<&[u8]>> = cells.collect::<Result<_, _>>().map_err(failed)?;
        let texts =
            || cells.iter().map(|cell| cell.map(str::from_utf8).transpose()).collect::<Result<Vec<_>, _>>().ok();
        Ok(match &self.form {
            Form::Binary(sql_type) => decode(field, sql_type, &cells),
            Form::Text => texts().and_then(|texts| from_texts(field, &texts)),
            Form::Document => texts().and_then(|texts| from_documents(field, &texts, is_same_document)),
        })
    }
}

/// Whether items of one type can be decoded as items of the other, exactly or not at all.
fn is_same_kind(one: &SqlType, other: &SqlType) -> bool {
    let is_integer = |item: &SqlType| matches!(item, SqlType::SmallInt | SqlType::Integer | SqlType::BigInt);
    let is_float = |item: &SqlType| matches!(item, SqlType::Real | SqlType::Double);
    one.catalog_name() == other.catalog_name()
        || (is_integer(one) && is_integer(other))
        || (is_float(one) && is_float(other))
}

fn is_text(column: &Column) -> bool {
    matches!(column.base.as_str(), "text" | "varchar" | "bpchar" | "citext")
}

/// Whether two documents mean the same: jsonb has spacing and an order of its own.
fn is_same_document(one: &str, other: &str) -> bool {
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text);
    matches!((value(one), value(other)), (Ok(one), Ok(other)) if one == other)
}

/// The type that a column holds, below any domain; `None` where rows are never staged in it.
fn held(column: &Column) -> Option<SqlType> {
    if !column.built_in {
        return None;
    }
    /// Wider than any that is staged, so that it always counts as the wider one.
    const ANY_NUMERIC: SqlType = SqlType::Numeric { precision: u8::MAX, scale: u8::MAX };
    let scalar = |name: &str| {
        Some(match name {
            "bool" => SqlType::Boolean,
            "int2" => SqlType::SmallInt,
            "int4" => SqlType::Integer,
            "int8" => SqlType::BigInt,
            "numeric" => ANY_NUMERIC,
            "float4" => SqlType::Real,
            "float8" => SqlType::Double,
            "text" | "varchar" => SqlType::Text,
            "bytea" => SqlType::Bytea,
            "uuid" => SqlType::Uuid,
            "date" => SqlType::Date,
            "time" => SqlType::Time,
            "timestamp" => SqlType::Timestamp,
            "timestamptz" => SqlType::TimestampTz,
            "interval" => SqlType::Interval,
            "json" | "jsonb" => SqlType::Jsonb,
            _ => return None,
        })
    };
    match column.base.strip_prefix('_') {
        Some(item) => Some(SqlType::Array(Box::new(scalar(item)?))),
        None => scalar(&column.base),
    }
}

/// The keys as a table `s`, the condition for rows with one of them, and the parameters: an array for each key field.
/// `None` where no row of the table can have one of them.
fn wanted_keys(
    rows: &ReadBack,
    keys: &RecordBatch,
    table: &Table,
    quoted: &str,
    zone: Option<&str>,
) -> Result<Option<(String, String, Vec<Array>)>> {
    let mut parts = Vec::new();
    for (name, array) in rows.key.iter().zip(keys.columns()) {
        let index = rows.schema.index_of(name).map_err(|error| Error::internal("a key is no field").because(error))?;
        let field = rows.schema.field(index).clone().with_data_type(array.data_type().clone());
        let column = table.column(name).ok_or_else(|| unreadable(quoted, &field))?;
        let types = FieldType::of(&field).ok_or_else(|| unreadable(quoted, &field))?.towards(&column.base);
        parts.push((index, field, column, types));
    }
    // A key that has no form at the server has no row there.
    let mut fine = vec![true; keys.num_rows()];
    for ((_, field, _, types), array) in parts.iter().zip(keys.columns()) {
        for Unfit { row, .. } in encode::Column::new(field, types, array)?.1 {
            fine[row] = false;
        }
    }
    let keys = filter_record_batch(keys, &BooleanArray::from(fine))
        .map_err(|error| Error::internal("choosing keys to read").because(error))?;
    if keys.num_rows() == 0 || parts.len() != keys.num_columns() {
        return Ok(None);
    }
    let (mut arrays, mut unnests, mut names) = (Vec::new(), Vec::new(), Vec::new());
    let (mut casts, mut checks, mut equal) = (Vec::new(), Vec::new(), Vec::new());
    for (position, ((index, field, column, types), array)) in parts.iter().zip(keys.columns()).enumerate() {
        let (encoded, _) = encode::Column::new(field, types, array)?;
        arrays.push(Array(encode::array_parameter(&encoded, keys.num_rows(), &types.staged)));
        unnests.push(format!("${}::{}[]", position + 1, types.staged));
        names.push(staged_column(*index));
        let value = staged_value(*index);
        let of_table = format!("t.{}", sql::name(&column.name));
        if types.staged == SqlType::Text && !is_text(column) {
            // A text that is no value of the column's type would be an error.
            equal.push(format!("{of_table}::text = s.k{position}"));
            casts.push(format!("{value} AS k{position}"));
            continue;
        }
        let fit = fit(&value, &types.staged, column, zone).map_err(|_| unreadable(quoted, field))?;
        equal.push(format!("{of_table} = s.k{position}"));
        casts.push(format!("{} AS k{position}", fit.cast));
        checks.extend(fit.exact);
    }
    let checks = if checks.is_empty() { String::new() } else { format!(" WHERE {}", checks.join(" AND ")) };
    // Materialized, so that nothing is cast before it is checked.
    let keys = format!(
        "WITH s AS MATERIALIZED (SELECT {} FROM unnest({}) AS s ({}){checks})",
        casts.join(", "),
        unnests.join(", "),
        names.join(", ")
    );
    Ok(Some((keys, format!("EXISTS (SELECT FROM s WHERE {})", equal.join(" AND ")), arrays)))
}

fn unreadable(table: &str, field: &Field) -> Error {
    Error::new(
        codes::DEST_004,
        format!(
            "reading table {table}: its column {:?} cannot be given back as {}, and it belongs to the key",
            field.name(),
            tapline_core::values::duckdb_type_name(field)
        ),
    )
    .hint("cast the key in the model's SQL to the type that the column has")
}

/// The bytes of a value, whatever its type.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// An array parameter in its binary form.
#[derive(Debug)]
struct Array(BytesMut);

impl ToSql for Array {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}
