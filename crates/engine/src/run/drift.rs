//! Drift: columns of the model that changed in type or presence since the last run, though nobody changed the model.
//! Not here: changing the destination's table (destinations do, where `on_drift: widen` allows it).
//! Called by the scan of a run or a plan, once its SQL is planned and for every batch of mapped rows.

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use tapline_core::config::OnDrift;
use tapline_core::values::duckdb_type_name as type_name;
use tapline_core::{Error, Result, codes};

use super::record::KeyField;

/// Columns that a message names.
const NAMED: usize = 5;

/// How mapped rows are brought into the shape that was delivered before.
#[derive(Debug)]
pub(crate) struct Conform {
    schema: SchemaRef,
    columns: Vec<(usize, bool)>,
    notes: Vec<String>,
}

/// A row that does not fit the shape, and why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// Index in the batch.
    pub(crate) row: usize,
    /// In words, without the value.
    pub(crate) reason: String,
}

/// One column that changed.
enum Change<'a> {
    Gone(&'a KeyField),
    New(&'a Field),
    Retyped(&'a KeyField, &'a Field),
}

/// Compares the mapped fields with those of the last run. `None` where rows go on as they are: nothing changed, or the
/// destination is to follow.
///
/// # Errors
/// `SYNC-005` where the change stops the run.
pub(crate) fn check(known: &[KeyField], found: &SchemaRef, key: &[String], policy: OnDrift) -> Result<Option<Conform>> {
    let mut changes: Vec<Change<'_>> = Vec::new();
    for before in known {
        match found.fields().iter().find(|field| *field.name() == before.name) {
            None => changes.push(Change::Gone(before)),
            Some(field) if field.data_type().to_string() != before.data_type => {
                changes.push(Change::Retyped(before, field));
            }
            Some(_) => {}
        }
    }
    for field in found.fields() {
        if !known.iter().any(|before| before.name == *field.name()) {
            changes.push(Change::New(field));
        }
    }
    let key_changed = changes.iter().any(|change| match change {
        Change::Gone(field) | Change::Retyped(field, _) => key.contains(&field.name),
        Change::New(_) => false,
    });
    match policy {
        _ if changes.is_empty() => Ok(None),
        OnDrift::Widen if !key_changed => Ok(None),
        OnDrift::Reject if !key_changed && !changes.iter().any(|change| matches!(change, Change::Gone(_))) => {
            Conform::new(known, found, &changes).map(Some)
        }
        _ => Err(stop(&changes, policy)),
    }
}

fn stop(changes: &[Change<'_>], policy: OnDrift) -> Error {
    let more = if changes.len() > NAMED { format!(" and {} more", changes.len() - NAMED) } else { String::new() };
    let words: Vec<String> = changes.iter().take(NAMED).map(Change::words).collect();
    let error = Error::new(
        codes::SYNC_005,
        format!("the model's columns changed since the last run: {}{more}", words.join("; ")),
    );
    let error = match policy {
        OnDrift::Reject => error.hint("`on_drift: reject` cannot go on without a column, or with another primary key"),
        OnDrift::Widen => error.hint("`on_drift: widen` cannot go on with another primary key"),
        OnDrift::Fail => error
            .hint("`on_drift: widen` lets the destination follow where nothing is lost; `on_drift: reject` sets aside the rows that do not fit"),
    };
    error.hint("cast the column in the SQL to keep its type, or deliver everything anew with --full-refresh")
}

impl Change<'_> {
    fn words(&self) -> String {
        match self {
            Self::Gone(before) => format!("\"{}\" is gone", before.name),
            Self::New(field) => format!("\"{}\" is new", field.name()),
            Self::Retyped(before, field) => {
                let was = DataType::from_str(&before.data_type)
                    .map_or_else(|_| before.data_type.clone(), |known| type_name(&Field::new("", known, true)));
                format!("\"{}\" was {was} and is {}", before.name, type_name(field))
            }
        }
    }
}

impl Conform {
    fn new(known: &[KeyField], found: &SchemaRef, changes: &[Change<'_>]) -> Result<Self> {
        let mut fields: Vec<FieldRef> = Vec::with_capacity(known.len());
        let mut columns = Vec::with_capacity(known.len());
        for before in known {
            let index = found
                .index_of(&before.name)
                .map_err(|error| Error::internal("comparing columns with those of the last run").because(error))?;
            let field = found.field(index);
            let same = field.data_type().to_string() == before.data_type;
            columns.push((index, same));
            fields.push(if same {
                Arc::clone(&found.fields()[index])
            } else {
                let data_type = DataType::from_str(&before.data_type)
                    .map_err(|error| Error::internal("reading the types of the last run").because(error))?;
                Arc::new(Field::new(&before.name, data_type, true))
            });
        }
        let notes = changes
            .iter()
            .map(|change| match change {
                Change::New(field) => {
                    format!("the new column \"{}\" is not delivered (on_drift: reject)", field.name())
                }
                other => format!("{}: rows that do not fit are rejected (on_drift: reject)", other.words()),
            })
            .collect();
        Ok(Self { schema: Arc::new(Schema::new(fields)), columns, notes })
    }

    /// The fields as they were delivered before.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What a reader of the run's log should know.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Brings rows into shape. A row that does not fit has NULL in its place and is named among the misfits.
    pub(crate) fn apply(&self, batch: &RecordBatch) -> Result<(RecordBatch, Vec<Misfit>)> {
        let mut misfits: Vec<Misfit> = Vec::new();
        let mut columns = Vec::with_capacity(self.columns.len());
        for ((index, same), field) in self.columns.iter().zip(self.schema.fields()) {
            let column = batch.column(*index);
            if *same {
                columns.push(Arc::clone(column));
                continue;
            }
            let (cast, fits) = exactly(column, field.data_type())
                .map_err(|error| Error::internal("bringing rows into their former shape").because(error))?;
            let reason = || format!("column \"{}\": the value is no {}", field.name(), type_name(field));
            let bad = (0..batch.num_rows()).filter(|row| !fits.value(*row));
            misfits.extend(bad.map(|row| Misfit { row, reason: reason() }));
            columns.push(cast);
        }
        misfits.sort_by_key(|misfit| misfit.row);
        misfits.dedup_by_key(|misfit| misfit.row);
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let rows = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Error::internal("bringing rows into their former shape").because(error))?;
        Ok((rows, misfits))
    }
}

/// A column in another type, and which of its values are the same there.
fn exactly(column: &ArrayRef, to: &DataType) -> Result<(ArrayRef, BooleanArray), arrow::error::ArrowError> {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let Ok(cast) = cast_with_options(column, to, &options) else {
        // The types have nothing in common: only NULL is the same in both.
        let fits = (0..column.len()).map(|row| Some(column.is_null(row))).collect();
        return Ok((arrow::array::new_null_array(to, column.len()), fits));
    };
    let text = matches!(column.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    if text && to.is_temporal() {
        // A moment has many spellings; what counts is that nothing of it is cut, not even below the unit.
        let finest = match to {
            DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Nanosecond),
            DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()),
            _ => DataType::Timestamp(TimeUnit::Nanosecond, None),
        };
        let whole = cast_with_options(column, &finest, &options)?;
        let same = not_distinct(&whole, &cast_with_options(&cast, &finest, &options)?)?;
        let fits =
            (0..column.len()).map(|row| Some(column.is_null(row) || (cast.is_valid(row) && same.value(row)))).collect();
        return Ok((cast, fits));
    }
    if text && to.is_floating() {
        // A floating-point number has many spellings, too; up to fifteen digits are the number's own.
        let plain = cast_with_options(column, &DataType::Utf8, &options)?;
        let plain = plain.as_string::<i32>();
        let digits = |row: usize| plain.value(row).bytes().filter(u8::is_ascii_digit).count();
        let fits = (0..column.len())
            .map(|row| Some(column.is_null(row) || (cast.is_valid(row) && digits(row) <= 15)))
            .collect();
        return Ok((cast, fits));
    }
    let back = cast_with_options(&cast, column.data_type(), &options)?;
    Ok((cast, not_distinct(&back, column)?))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array, StringArray};

    use super::*;

    fn known(fields: &[(&str, DataType)]) -> Vec<KeyField> {
        fields
            .iter()
            .map(|(name, data_type)| KeyField { name: (*name).to_owned(), data_type: data_type.to_string() })
            .collect()
    }

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
    }

    #[test]
    fn the_policy_decides_what_a_change_means() {
        let known = known(&[("id", DataType::Int64), ("price", DataType::Int64)]);
        let key = ["id".to_owned()];
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let prices: ArrayRef = Arc::new(Float64Array::from(vec![1.5]));
        let same = batch(vec![("price", ids.clone()), ("id", ids.clone())]).schema();
        let retyped = batch(vec![("id", ids.clone()), ("price", prices.clone())]).schema();
        let gone = batch(vec![("id", ids.clone())]).schema();
        let other_key = batch(vec![("id", prices), ("price", ids)]).schema();
        for policy in [OnDrift::Fail, OnDrift::Widen, OnDrift::Reject] {
            assert!(check(&known, &same, &key, policy).unwrap().is_none());
        }
        let message = check(&known, &retyped, &key, OnDrift::Fail).unwrap_err();
        assert_eq!(
            (message.code(), message.message().contains("\"price\" was BIGINT and is DOUBLE")),
            (codes::SYNC_005, true),
            "{message}"
        );
        assert!(check(&known, &retyped, &key, OnDrift::Widen).unwrap().is_none());
        assert!(check(&known, &retyped, &key, OnDrift::Reject).unwrap().is_some());
        for stopped in [&gone, &other_key] {
            assert_eq!(check(&known, stopped, &key, OnDrift::Reject).unwrap_err().code(), codes::SYNC_005);
        }
        assert!(check(&known, &gone, &key, OnDrift::Widen).unwrap().is_none());
        assert_eq!(check(&known, &other_key, &key, OnDrift::Widen).unwrap_err().code(), codes::SYNC_005);
    }

    #[test]
    fn rows_fit_only_where_nothing_is_lost() {
        let known = known(&[("id", DataType::Int64), ("price", DataType::Int64), ("day", DataType::Date32)]);
        let rows = batch(vec![
            ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4])) as ArrayRef),
            ("price", Arc::new(StringArray::from(vec![Some("7"), Some("007"), None, Some("x")]))),
            ("day", Arc::new(StringArray::from(vec![Some("2024-02-29"), None, Some("soon"), Some("2024-01-01")]))),
            ("extra", Arc::new(Int64Array::from(vec![0, 0, 0, 0]))),
        ]);
        let conform = check(&known, &rows.schema(), &["id".to_owned()], OnDrift::Reject).unwrap().unwrap();
        let (shaped, misfits) = conform.apply(&rows).unwrap();
        let bad: Vec<usize> = misfits.iter().map(|misfit| misfit.row).collect();
        assert_eq!(bad, [1, 2, 3]);
        assert!(misfits[0].reason.contains("\"price\"") && !misfits[0].reason.contains("007"), "{misfits:?}");
        assert_eq!(shaped.num_columns(), 3);
        assert_eq!(shaped.column(1).as_primitive::<arrow::datatypes::Int64Type>().value(0), 7);
    }

    #[test]
    fn a_moment_fits_only_when_nothing_of_it_is_cut() {
        let known = known(&[("at", DataType::Timestamp(TimeUnit::Microsecond, None)), ("day", DataType::Date32)]);
        let rows = batch(vec![
            (
                "at",
                Arc::new(StringArray::from(vec![
                    "2024-01-01 10:00:00",
                    "2024-01-01T10:00:00.123456",
                    "2024-01-01 10:00:00.1234567",
                ])) as ArrayRef,
            ),
            ("day", Arc::new(StringArray::from(vec!["2024-01-01", "1500-01-01", "2024-01-01"]))),
        ]);
        let conform = check(&known, &rows.schema(), &[], OnDrift::Reject).unwrap().unwrap();
        let bad: Vec<usize> = conform.apply(&rows).unwrap().1.iter().map(|misfit| misfit.row).collect();
        assert_eq!(bad, [2]);
    }

    #[test]
    fn a_float_fits_an_integer_only_when_it_is_one() {
        let known = known(&[("n", DataType::Int64)]);
        let rows = batch(vec![("n", Arc::new(Float64Array::from(vec![1.0, 1.5, f64::NAN, 1e300])) as ArrayRef)]);
        let conform = check(&known, &rows.schema(), &[], OnDrift::Reject).unwrap().unwrap();
        let bad: Vec<usize> = conform.apply(&rows).unwrap().1.iter().map(|misfit| misfit.row).collect();
        assert_eq!(bad, [1, 2, 3]);
    }
}
