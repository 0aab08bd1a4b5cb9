//! The cursor of an incremental sync: which rows a run has to look at, and how far it has come.
//! Not here: what becomes of the rows (`stage`), when the cursor moves (`walk`: with the commit and nowhere else).
//! Called by the scan of a run or a plan.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::nullif;
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type, SchemaRef};
use chrono::TimeDelta;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::min_max::MaxAccumulator;
use datafusion::logical_expr::Accumulator;
use serde::{Deserialize, Serialize};
use tapline_core::config::SyncConfig;
use tapline_core::{Error, Result, codes};

use super::job::hex;
use super::record::KeyField;
use crate::diff::rows::KeyCodec;

/// How far a sync has come: the highest value of its cursor column that was delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CursorMark {
    /// The column, and its type as it was.
    pub(crate) column: KeyField,
    /// The value in the encoding of keys, in hexadecimal.
    pub(crate) value: String,
}

/// The cursor column of a sync, bound to the model's columns.
pub(crate) struct Cursor {
    index: usize,
    name: String,
    data_type: DataType,
    lookback: TimeDelta,
    highest: MaxAccumulator,
}

impl Cursor {
    /// Finds the sync's cursor column; `None` where it has no cursor.
    ///
    /// # Errors
    /// `CONF-005` for a column that is not there or has no order, and for a lookback on a column that is no time.
    pub(crate) fn bind(sync: &SyncConfig, columns: &SchemaRef) -> Result<Option<Self>> {
        let Some(name) = &sync.cursor_field else { return Ok(None) };
        let Some(index) = super::mapping::find(columns, name) else {
            let names: Vec<&str> = columns.fields().iter().map(|field| field.name().as_str()).collect();
            return Err(Error::new(codes::CONF_005, format!("the model has no column \"{name}\" for cursor_field"))
                .hint(format!("columns: {}", names.join(", "))));
        };
        let field = columns.field(index);
        let data_type = field.data_type().clone();
        if !is_ordered(&data_type) {
            return Err(Error::new(
                codes::CONF_005,
                format!("the column \"{name}\" cannot be a cursor: its type {data_type} has no order"),
            )
            .hint("choose a number, a date, a time or a text that only grows"));
        }
        let lookback = sync
            .cursor_lookback
            .map_or(TimeDelta::zero(), |lookback| TimeDelta::from_std(lookback.0).unwrap_or(TimeDelta::MAX));
        if !lookback.is_zero() && !matches!(data_type, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)) {
            return Err(Error::new(
                codes::CONF_005,
                format!("cursor_lookback needs a date or a timestamp, and the column \"{name}\" is {data_type}"),
            )
            .hint("take cursor_lookback out, or choose a cursor_field that is a time"));
        }
        let highest = MaxAccumulator::try_new(&data_type)
            .map_err(|error| Error::internal("preparing a cursor").because(error))?;
        Ok(Some(Self { index, name: field.name().clone(), data_type, lookback, highest }))
    }

    /// Where the column stands in the model.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// The lowest value that a run has to read after one that came to `mark`; `None` where the column has another type
    /// by now, so that everything has to be read.
    pub(crate) fn bound(&self, mark: &CursorMark) -> Result<Option<ScalarValue>> {
        if mark.column.data_type != self.data_type.to_string() {
            return Ok(None);
        }
        let codec = KeyCodec::from_fields(std::slice::from_ref(&mark.column))?;
        let bytes = from_hex(&mark.value).ok_or_else(|| Error::internal("a stored cursor cannot be read"))?;
        let columns = codec.decode([bytes.as_slice()])?;
        let value = ScalarValue::try_from_array(&columns[0], 0)
            .map_err(|error| Error::internal("reading a stored cursor").because(error))?;
        Ok(Some(earlier(value, self.lookback)))
    }

    /// Looks at rows of the model as they come.
    pub(crate) fn observe(&mut self, batch: &RecordBatch) -> Result<()> {
        let column = without_nan(batch.column(self.index));
        self.highest.update_batch(&[column]).map_err(|error| Error::internal("following a cursor").because(error))
    }

    /// How far the sync has come, if the rows that were seen are delivered. `before` is the mark of the run before where
    /// it bounded this one; a run that read everything starts anew, so that a value that was too high does not stay.
    pub(crate) fn mark(&mut self, before: Option<&CursorMark>) -> Result<Option<CursorMark>> {
        let failed = |error| Error::internal("following a cursor").because(error);
        let kept =
            before.filter(|mark| mark.column.name == self.name && mark.column.data_type == self.data_type.to_string());
        if let Some(mark) = kept {
            let codec = KeyCodec::from_fields(std::slice::from_ref(&mark.column))?;
            if let Some(bytes) = from_hex(&mark.value) {
                let columns = codec.decode([bytes.as_slice()])?;
                self.highest.update_batch(&columns).map_err(failed)?;
            }
        }
        let highest = self.highest.evaluate().map_err(failed)?;
        if highest.is_null() {
            return Ok(None);
        }
        let column = KeyField { name: self.name.clone(), data_type: self.data_type.to_string() };
        let array = highest.to_array().map_err(failed)?;
        let codec = KeyCodec::from_fields(std::slice::from_ref(&column))?;
        let batch = RecordBatch::try_from_iter_with_nullable([(self.name.as_str(), array, true)])
            .map_err(|error| Error::internal("following a cursor").because(error))?;
        let rows = codec.encode(&batch)?;
        Ok(Some(CursorMark { column, value: hex(rows.row(0).data()) }))
    }
}

fn is_ordered(data_type: &DataType) -> bool {
    data_type.is_numeric()
        || data_type.is_temporal() && !matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
        || matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// NaN is above every number; as a cursor it would end the sync for good. Rows with it are read every time.
fn without_nan(column: &ArrayRef) -> ArrayRef {
    let nan: BooleanArray = match column.data_type() {
        DataType::Float16 => {
            column.as_primitive::<Float16Type>().iter().map(|value| value.map(|value| value.is_nan())).collect()
        }
        DataType::Float32 => column.as_primitive::<Float32Type>().iter().map(|value| value.map(f32::is_nan)).collect(),
        DataType::Float64 => column.as_primitive::<Float64Type>().iter().map(|value| value.map(f64::is_nan)).collect(),
        _ => return column.clone(),
    };
    nullif(column, &nan).unwrap_or_else(|_| column.clone())
}

/// A time less the lookback; other values as they are. Rounds down, so that it reads rather more.
fn earlier(value: ScalarValue, lookback: TimeDelta) -> ScalarValue {
    let seconds = lookback.num_seconds().saturating_add(i64::from(lookback.subsec_nanos() > 0));
    let less = |value: i64, per_second: i64| Some(value.saturating_sub(seconds.saturating_mul(per_second)));
    match value {
        ScalarValue::Date32(Some(value)) => {
            let days = i32::try_from(seconds.saturating_add(86_399) / 86_400).unwrap_or(i32::MAX);
            ScalarValue::Date32(Some(value.saturating_sub(days)))
        }
        ScalarValue::Date64(Some(value)) => ScalarValue::Date64(less(value, 1_000)),
        ScalarValue::TimestampSecond(Some(value), zone) => ScalarValue::TimestampSecond(less(value, 1), zone),
        ScalarValue::TimestampMillisecond(Some(value), zone) => {
            ScalarValue::TimestampMillisecond(less(value, 1_000), zone)
        }
        ScalarValue::TimestampMicrosecond(Some(value), zone) => {
            ScalarValue::TimestampMicrosecond(less(value, 1_000_000), zone)
        }
        ScalarValue::TimestampNanosecond(Some(value), zone) => {
            ScalarValue::TimestampNanosecond(less(value, 1_000_000_000), zone)
        }
        other => other,
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|start| u8::from_str_radix(text.get(start..start + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    fn cursor(array: ArrayRef, lookback: &str) -> Result<Option<Cursor>> {
        let sync: SyncConfig = serde_json::from_str(&format!(
            r#"{{"model": "m", "destination": "d", "stream": "s", "mode": "incremental", "cursor_field": "AT"{lookback}}}"#
        ))
        .unwrap();
        Cursor::bind(&sync, &batch(array).schema())
    }

    fn batch(array: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([("at", array, true)]).unwrap()
    }

    /// The bound after a run that saw `array`.
    fn bound(array: ArrayRef, lookback: &str) -> ScalarValue {
        let mut cursor = cursor(array.clone(), lookback).unwrap().unwrap();
        cursor.observe(&batch(array)).unwrap();
        let mark = cursor.mark(None).unwrap().unwrap();
        cursor.bound(&mark).unwrap().unwrap()
    }

    #[test]
    fn the_highest_value_comes_back_in_its_type() {
        let plain = |array: ArrayRef| bound(array, "");
        assert_eq!(plain(Arc::new(Int64Array::from(vec![Some(3), None, Some(-9)]))), ScalarValue::Int64(Some(3)));
        assert_eq!(plain(Arc::new(StringArray::from(vec!["b", "", "ab"]))), ScalarValue::Utf8(Some("b".into())));
        let zoned = TimestampMicrosecondArray::from(vec![1, 5]).with_timezone("UTC");
        assert_eq!(plain(Arc::new(zoned)), ScalarValue::TimestampMicrosecond(Some(5), Some("UTC".into())));
        assert_eq!(plain(Arc::new(Float64Array::from(vec![1.5, f64::NAN]))), ScalarValue::Float64(Some(1.5)));
    }

    #[test]
    fn a_lookback_widens_the_bound_and_needs_a_time() {
        let day = r#", "cursor_lookback": "36h""#;
        assert_eq!(bound(Arc::new(Date32Array::from(vec![100])), day), ScalarValue::Date32(Some(98)));
        let moment: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![200_000_000_000]));
        assert_eq!(
            bound(moment, day),
            ScalarValue::TimestampMicrosecond(Some(200_000_000_000 - 36 * 3_600_000_000), None)
        );
        assert_eq!(cursor(Arc::new(Int64Array::from(vec![1])), day).err().unwrap().code(), codes::CONF_005);
    }

    #[test]
    fn a_mark_never_goes_back_and_another_type_unbinds() {
        let high: ArrayRef = Arc::new(Int64Array::from(vec![9]));
        let mut first = cursor(high.clone(), "").unwrap().unwrap();
        first.observe(&batch(high)).unwrap();
        let mark = first.mark(None).unwrap();
        let low: ArrayRef = Arc::new(Int64Array::from(vec![2]));
        let mut second = cursor(low.clone(), "").unwrap().unwrap();
        second.observe(&batch(low)).unwrap();
        assert_eq!(second.mark(mark.as_ref()).unwrap(), mark);
        let text = cursor(Arc::new(StringArray::from(vec!["x"])), "").unwrap().unwrap();
        assert_eq!(text.bound(mark.as_ref().unwrap()).unwrap(), None);
        let nothing = cursor(Arc::new(Int64Array::from(vec![None])), "").unwrap().unwrap().mark(None).unwrap();
        assert_eq!(nothing, None);
    }
}
