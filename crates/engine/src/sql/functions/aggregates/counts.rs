//! How often values occur: modes, histograms, entropy.
//! Not here: plain counts, which the engine has; how many different values there are (`sketch`).
//! Called by `aggregates`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, MapArray, StructArray, UInt32Array, UInt64Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};

use super::field;
use crate::sql::functions::toolkit::aggregate::{Aggregate, Group, list_scalar};
use crate::sql::functions::toolkit::lists::{item_of, list_of, list_of_field};
use crate::sql::functions::toolkit::values::{keys, scalar};
use crate::sql::functions::toolkit::{Function, aggregate};

pub(super) fn functions() -> Vec<Function> {
    vec![
        aggregate(&["mode"], "the most frequent value", Frequent(Kind::Mode)),
        aggregate(&["approx_top_k"], "the most frequent values, best first", Frequent(Kind::Top)),
        aggregate(&["entropy"], "how evenly the values are spread, in bits", Frequent(Kind::Entropy)),
        aggregate(
            &["histogram"],
            "how often each value, or each range up to a bin's end, occurs",
            Frequent(Kind::Histogram),
        ),
        aggregate(&["histogram_exact"], "how often each of some values occurs", Frequent(Kind::Exact)),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mode,
    Top,
    Entropy,
    Histogram,
    Exact,
}

struct Frequent(Kind);

/// The type of a map from values to how often they occur.
fn histogram_type(key: &Field) -> DataType {
    let fields = vec![key.clone().with_name("key").with_nullable(false), Field::new("value", DataType::UInt64, true)];
    let entries = Field::new("entries", DataType::Struct(Fields::from(fields)), false);
    DataType::Map(Arc::new(entries), false)
}

impl Aggregate for Frequent {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match (self.0, types) {
            (Kind::Top, [value, _]) => Ok(vec![value.clone(), DataType::Int64]),
            (Kind::Histogram | Kind::Exact, [value, bins]) if item_of(bins).is_some() => {
                Ok(vec![value.clone(), list_of(value.clone())])
            }
            (Kind::Exact | Kind::Top, _) => plan_err!("two arguments are expected"),
            (_, [_]) => Ok(types.to_vec()),
            _ => plan_err!("one argument is expected"),
        }
    }

    fn result(&self, fields: &[FieldRef]) -> Result<Field> {
        let value = fields[0].as_ref();
        Ok(match self.0 {
            Kind::Mode => value.clone(),
            Kind::Top => field(list_of_field(value)),
            Kind::Entropy => field(DataType::Float64),
            Kind::Histogram | Kind::Exact => field(histogram_type(value)),
        })
    }

    fn within_group(&self) -> bool {
        self.0 == Kind::Mode
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        let column = &group.columns[0];
        let rows = keys(std::slice::from_ref(column))?;
        // Each different value by the row in which it first occurs, and how often it does.
        let mut found: HashMap<&[u8], usize> = HashMap::new();
        let mut counts: Vec<(usize, u64)> = Vec::new();
        for row in 0..column.len() {
            let index = *found.entry(rows.row(row).data()).or_insert_with(|| {
                counts.push((row, 0));
                counts.len() - 1
            });
            counts[index].1 += 1;
        }
        match self.0 {
            Kind::Entropy => {
                let total = column.len() as f64;
                let part = |count: u64| (count as f64 / total) * (total / count as f64).log2();
                Ok(ScalarValue::Float64(Some(counts.iter().map(|(_, count)| part(*count)).sum())))
            }
            _ if counts.is_empty() => group.null(),
            Kind::Mode => {
                let best = counts.iter().max_by(|left, right| left.1.cmp(&right.1).then(right.0.cmp(&left.0)));
                match best {
                    Some((row, _)) => scalar(column, *row),
                    None => group.null(),
                }
            }
            Kind::Top => {
                let wanted = group.columns[1].as_primitive::<Int64Type>().value(0).max(0) as usize;
                counts.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(&right.0)));
                let rows: UInt32Array = counts.iter().take(wanted).map(|(row, _)| u32::try_from(*row).ok()).collect();
                list_scalar(take(column, &rows, None)?, group.result.data_type())
            }
            Kind::Histogram if group.columns.len() == 2 => binned(group, false),
            Kind::Exact => binned(group, true),
            Kind::Histogram => {
                counts.sort_by(|left, right| rows.row(left.0).cmp(&rows.row(right.0)));
                let order: UInt32Array = counts.iter().map(|(row, _)| u32::try_from(*row).ok()).collect();
                let counts: Vec<u64> = counts.into_iter().map(|(_, count)| count).collect();
                map_scalar(take(column, &order, None)?, counts, group.result.data_type())
            }
        }
    }
}

/// Counts by bins: values up to each bin's end, or equal to it; what is beyond counts under the largest value of the type.
fn binned(group: &Group<'_>, exact: bool) -> Result<ScalarValue> {
    let column = &group.columns[0];
    let bins = group.columns[1].as_list::<i32>().value(0);
    let bins = arrow::compute::sort(&bins, None)?;
    let all = arrow::compute::concat(&[bins.as_ref(), column.as_ref()])?;
    let rows = keys(std::slice::from_ref(&all))?;
    let mut counts = vec![0u64; bins.len()];
    let mut beyond = 0;
    for row in 0..column.len() {
        let value = rows.row(bins.len() + row);
        let bin = (0..bins.len()).find(|bin| if exact { rows.row(*bin) == value } else { value <= rows.row(*bin) });
        match bin {
            Some(bin) => counts[bin] += 1,
            None => beyond += 1,
        }
    }
    let mut ends: ArrayRef = bins;
    if beyond > 0 {
        let largest = largest(column.data_type())?.to_array()?;
        ends = arrow::compute::concat(&[ends.as_ref(), largest.as_ref()])?;
        counts.push(beyond);
    }
    map_scalar(ends, counts, group.result.data_type())
}

/// The value that stands for everything beyond the last bin.
pub(crate) fn largest(data_type: &DataType) -> Result<ScalarValue> {
    Ok(match data_type {
        DataType::Float32 => ScalarValue::Float32(Some(f32::INFINITY)),
        DataType::Float64 => ScalarValue::Float64(Some(f64::INFINITY)),
        DataType::Int8 => ScalarValue::Int8(Some(i8::MAX)),
        DataType::Int16 => ScalarValue::Int16(Some(i16::MAX)),
        DataType::Int32 => ScalarValue::Int32(Some(i32::MAX)),
        DataType::Int64 => ScalarValue::Int64(Some(i64::MAX)),
        DataType::Date32 => ScalarValue::Date32(Some(i32::MAX)),
        DataType::Utf8 => ScalarValue::Utf8(Some(String::new())),
        other => ScalarValue::try_new_null(other)?,
    })
}

fn map_scalar(ends: ArrayRef, counts: Vec<u64>, data_type: &DataType) -> Result<ScalarValue> {
    let DataType::Map(entries, _) = data_type else { return internal_err!("a histogram is a map") };
    let DataType::Struct(fields) = entries.data_type() else { return internal_err!("a map has entries") };
    let offsets = OffsetBuffer::from_lengths([counts.len()]);
    let structs = StructArray::try_new(fields.clone(), vec![ends, Arc::new(UInt64Array::from(counts))], None)?;
    Ok(ScalarValue::Map(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, structs, None, false)?)))
}
