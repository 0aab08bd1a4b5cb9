//! Medians and quantiles.
//! Not here: the most frequent values (`counts`), how approximate ones come about (`digest`).
//! Called by `aggregates`.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::{SortOptions, cast, sort};
use arrow::datatypes::*;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};

use super::digest::Digest;
use super::field;
use crate::sql::functions::toolkit::aggregate::{Aggregate, Group, list_scalar};
use crate::sql::functions::toolkit::lists::{item_of, list_of};
use crate::sql::functions::toolkit::types::{Moment, Span, Type};
use crate::sql::functions::toolkit::{Function, aggregate};

pub(super) fn functions() -> Vec<Function> {
    let quantile = |names, about, way| aggregate(names, about, Quantile { way, within_group: false });
    let within = |names, about, way| aggregate(names, about, Quantile { way, within_group: true });
    vec![
        quantile(&["median"], "the middle value, or the average of the two middle ones", Way::Median),
        quantile(
            &["quantile_cont"],
            "the value below which a share of the values lies, between two of them",
            Way::Between,
        ),
        quantile(
            &["quantile_disc", "quantile", "reservoir_quantile"],
            "the first value below which a share of the values lies",
            Way::First,
        ),
        quantile(&["approx_quantile"], "about the value below which a share of the values lies", Way::About),
        within(&["percentile_cont"], "as quantile_cont, WITHIN GROUP (ORDER BY …)", Way::Between),
        within(&["percentile_disc"], "as quantile_disc, WITHIN GROUP (ORDER BY …)", Way::First),
        aggregate(&["mad"], "the median of the distances from the median", Deviation),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Median,
    Between,
    First,
    About,
}

struct Quantile {
    way: Way,
    within_group: bool,
}

/// Whether values of the type can be between each other.
fn is_continuous(data_type: &DataType) -> bool {
    data_type.is_numeric() || matches!(data_type, DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _))
}

/// The type of a value between others of a type.
fn between_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Decimal256(39, 0) => DataType::Float64,
        decimal if decimal.is_decimal() => decimal.clone(),
        DataType::Float32 => DataType::Float32,
        number if number.is_numeric() => DataType::Float64,
        DataType::Date32 | DataType::Date64 => Moment::data_type(),
        other => other.clone(),
    }
}

impl Aggregate for Quantile {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let value = match types.first() {
            Some(DataType::Timestamp(_, None)) => Moment::data_type(),
            Some(DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale)) => {
                DataType::Decimal128(*precision, *scale)
            }
            Some(DataType::Null) | None => DataType::Int32,
            Some(other) => other.clone(),
        };
        match (self.way, types.get(1)) {
            (Way::Median, None) => Ok(vec![value]),
            (Way::Median, Some(_)) => plan_err!("median takes one argument"),
            (_, None) => plan_err!("a quantile needs a share from 0 to 1"),
            (_, Some(share)) => {
                let share = if item_of(share).is_some() { list_of(DataType::Float64) } else { DataType::Float64 };
                Ok(std::iter::once(value)
                    .chain(types[1..].iter().map(|_| share.clone()))
                    .take(2)
                    .chain(types.iter().skip(2).cloned())
                    .collect())
            }
        }
    }

    fn result(&self, fields: &[FieldRef]) -> Result<Field> {
        let Some(value) = fields.first() else { return plan_err!("a quantile needs values") };
        let many = fields.get(1).is_some_and(|share| item_of(share.data_type()).is_some());
        let one = match self.way {
            Way::Median | Way::Between if is_continuous(value.data_type()) => field(between_type(value.data_type())),
            // One share of decimals gives a whole number, a list of shares gives decimals.
            Way::About if value.data_type().is_decimal() && !many => field(DataType::Int64),
            _ => value.as_ref().clone(),
        };
        Ok(if many { field(crate::sql::functions::toolkit::lists::list_of_field(&one)) } else { one })
    }

    fn within_group(&self) -> bool {
        self.within_group
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        if group.len() == 0 {
            return group.null();
        }
        let many = item_of(group.result.data_type())
            .filter(|_| group.columns.len() > 1 && matches!(group.columns[1].data_type(), DataType::List(_)));
        let shares = shares(group)?;
        let values = sort(&group.columns[0], Some(SortOptions { descending: false, nulls_first: false }))?;
        let digest = if self.way == Way::About { digest_of(&group.columns[0])? } else { None };
        let one = |share: f64| -> Result<ScalarValue> {
            if !(-1.0..=1.0).contains(&share) {
                return exec_err!("the share of a quantile is from 0 to 1");
            }
            // A negative share counts from the largest value, as a descending order does.
            let descending = (share < 0.0) != group.descending;
            let share = share.abs();
            match self.way {
                Way::Median | Way::Between if is_continuous(values.data_type()) => between(&values, share, descending),
                _ => match &digest {
                    Some(digest) => {
                        let share = if descending { 1.0 - share } else { share };
                        about(digest, share, many.map_or(group.result.data_type(), |item| item.data_type()))
                    }
                    None => first(&values, share, descending),
                },
            }
        };
        match many {
            Some(item) => {
                let items = shares.into_iter().map(one).collect::<Result<Vec<_>>>()?;
                let items = if items.is_empty() {
                    new_empty_array(item.data_type())
                } else {
                    ScalarValue::iter_to_array(items)?
                };
                list_scalar(items, group.result.data_type())
            }
            None => match shares.first() {
                Some(share) => one(*share),
                None => group.null(),
            },
        }
    }
}

/// The shares that are asked for, which are the same in every row.
fn shares(group: &Group<'_>) -> Result<Vec<f64>> {
    let Some(column) = group.columns.get(1) else { return Ok(vec![0.5]) };
    let shares: ArrayRef = match column.as_list_opt::<i32>() {
        Some(lists) => lists.value(0),
        None => column.slice(0, 1),
    };
    if shares.null_count() > 0 {
        return exec_err!("the share of a quantile is NULL");
    }
    Ok(shares.as_primitive::<Float64Type>().values().to_vec())
}

fn first(values: &ArrayRef, share: f64, descending: bool) -> Result<ScalarValue> {
    let n = values.len() as f64;
    let index = ((n - (n - share * n).floor()).max(1.0) - 1.0) as usize;
    let index = index.min(values.len() - 1);
    ScalarValue::try_from_array(values, if descending { values.len() - 1 - index } else { index })
}

/// A quantile by the digest of the numbers, or of the moments as numbers, as a value of the type asked for.
fn about(digest: &Digest, share: f64, to: &DataType) -> Result<ScalarValue> {
    // A share is a number of single precision in DuckDB.
    let Some(number) = digest.quantile(f64::from(share as f32)) else { return ScalarValue::try_new_null(to) };
    if to.is_numeric() && !to.is_integer() {
        return ScalarValue::Float64(Some(number)).cast_to(to);
    }
    let whole = ScalarValue::Float64(Some(number.round_ties_even()));
    let storage = match to {
        DataType::Date32 => DataType::Int32,
        _ => DataType::Int64,
    };
    if to.is_temporal() { whole.cast_to(&storage)?.cast_to(to) } else { whole.cast_to(to) }
}

/// The digest of a column, if it is one of numbers or moments.
fn digest_of(column: &ArrayRef) -> Result<Option<Digest>> {
    let numbers = match column.data_type() {
        number if number.is_numeric() => cast(column, &DataType::Float64)?,
        DataType::Date32 => cast(&cast(column, &DataType::Int32)?, &DataType::Float64)?,
        DataType::Timestamp(_, _) | DataType::Time64(_) => cast(&cast(column, &DataType::Int64)?, &DataType::Float64)?,
        _ => return Ok(None),
    };
    Ok(Some(Digest::of(numbers.as_primitive::<Float64Type>().values().iter().copied())))
}

fn between(values: &ArrayRef, share: f64, descending: bool) -> Result<ScalarValue> {
    at_place(values, (values.len() - 1) as f64 * share, descending)
}

/// The value at a place among sorted ones, counted from 0.
fn at_place(values: &ArrayRef, place: f64, descending: bool) -> Result<ScalarValue> {
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    let at = |index: usize| if descending { values.len() - 1 - index } else { index };
    let (low, high, part) = (at(low), at(high), place - place.floor());
    let answer = between_type(values.data_type());
    let mix = |low: f64, high: f64| if low == high { low } else { low * (1.0 - part) + high * part };
    let micros = |low: i64, high: i64| low + ((high - low) as f64 * part).round() as i64;
    Ok(match &answer {
        DataType::Decimal128(precision, scale) => {
            let numbers = values.as_primitive::<Decimal128Type>();
            let (low, high) = (numbers.value(low), numbers.value(high));
            let mixed = low + ((high - low) as f64 * part) as i128;
            ScalarValue::Decimal128(Some(mixed), *precision, *scale)
        }
        DataType::Timestamp(_, zone) => {
            let moments = cast(values, &answer)?;
            let moments = moments.as_primitive::<TimestampMicrosecondType>();
            ScalarValue::TimestampMicrosecond(Some(micros(moments.value(low), moments.value(high))), zone.clone())
        }
        other => {
            let numbers = cast(values, &DataType::Float64)?;
            let numbers = numbers.as_primitive::<Float64Type>();
            ScalarValue::Float64(Some(mix(numbers.value(low), numbers.value(high)))).cast_to(other)?
        }
    })
}

/// `mad`: the median of the distances from the median.
struct Deviation;

impl Aggregate for Deviation {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [data_type] if is_continuous(data_type) => Ok(vec![match data_type {
                DataType::Timestamp(_, None) => Moment::data_type(),
                other => between_type(other),
            }]),
            _ => plan_err!("mad takes one column of numbers or moments"),
        }
    }

    fn result(&self, fields: &[FieldRef]) -> Result<Field> {
        Ok(field(match fields.first().map(|field| field.data_type()) {
            Some(DataType::Timestamp(_, _)) => Span::data_type(),
            Some(other) => other.clone(),
            None => DataType::Float64,
        }))
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        if group.len() == 0 {
            return group.null();
        }
        let column = &group.columns[0];
        let sorted = |column: &ArrayRef| sort(column, None);
        let median = between(&sorted(column)?, 0.5, false)?;
        let distances: ArrayRef = match (column.data_type(), &median) {
            (DataType::Decimal128(precision, scale), ScalarValue::Decimal128(Some(middle), ..)) => {
                let numbers = column.as_primitive::<Decimal128Type>();
                let distances: Decimal128Array = numbers.unary(|number| (number - middle).abs());
                Arc::new(distances.with_precision_and_scale(*precision, *scale)?)
            }
            (DataType::Timestamp(_, _), ScalarValue::TimestampMicrosecond(Some(middle), _)) => {
                let moments = column.as_primitive::<TimestampMicrosecondType>();
                let distances: Int64Array = moments.unary(|moment| (moment - middle).abs());
                Arc::new(distances)
            }
            _ => {
                let ScalarValue::Float64(Some(middle)) = median.cast_to(&DataType::Float64)? else {
                    return group.null();
                };
                let numbers = cast(column, &DataType::Float64)?;
                let distances: Float64Array =
                    numbers.as_primitive::<Float64Type>().unary(|number| (number - middle).abs());
                Arc::new(distances)
            }
        };
        let distance = between(&sorted(&distances)?, 0.5, false)?;
        match (group.result.data_type(), &distance) {
            (DataType::Interval(_), ScalarValue::Float64(Some(micros))) => {
                use crate::sql::functions::moments::calendar::{DAY, span};
                let micros = *micros as i64;
                Ok(ScalarValue::IntervalMonthDayNano(Some(span(0, micros / DAY, micros % DAY)?)))
            }
            (answer, _) => distance.cast_to(answer),
        }
    }
}
