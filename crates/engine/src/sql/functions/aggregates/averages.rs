//! Averages, products and exact sums.
//! Not here: medians (`quantiles`).
//! Called by `aggregates`.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::*;
use datafusion::common::{Result, ScalarValue, plan_err};

use super::{doubles, field, numbers};
use crate::sql::functions::moments::calendar::{DAY, span, split};
use crate::sql::functions::toolkit::aggregate::{Aggregate, Fold, Group, folded};
use crate::sql::functions::toolkit::typed::type_name;
use crate::sql::functions::toolkit::types::{Huge, Moment, Span, Type, UTC, ZonedMoment};
use crate::sql::functions::toolkit::{Function, aggregate};

pub(super) fn functions() -> Vec<Function> {
    vec![
        aggregate(&["avg", "mean"], "the average", Average),
        aggregate(&["favg"], "the average, summed up without loss", Folded(Kind::ExactAverage)),
        aggregate(&["fsum", "sumkahan", "kahan_sum"], "the sum, summed up without loss", Folded(Kind::ExactSum)),
        aggregate(&["product"], "the product", Folded(Kind::Product)),
        aggregate(&["geomean", "geometric_mean"], "the geometric mean", Folded(Kind::Geometric)),
        aggregate(
            &["wavg", "weighted_avg"],
            "the average of the first argument, weighted by the second",
            Folded(Kind::Weighted),
        ),
        aggregate(&["count_if", "countif"], "how many rows are true", CountIf),
    ]
}

/// What is computed of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Average,
    ExactAverage,
    ExactSum,
    Product,
    Geometric,
    Weighted,
}

struct Folded(Kind);

impl Aggregate for Folded {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        doubles(types, if self.0 == Kind::Weighted { 2 } else { 1 })
    }

    fn result(&self, _: &[FieldRef]) -> Result<Field> {
        Ok(field(DataType::Float64))
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        folded(self, group)
    }

    fn fold(&self, _: &[FieldRef], _: &Field) -> Option<Box<dyn Fold>> {
        Some(Box::new(Sums {
            kind: self.0,
            count: 0.0,
            sum: if self.0 == Kind::Product { 1.0 } else { 0.0 },
            error: 0.0,
        }))
    }
}

/// Sums, or a product, of numbers.
#[derive(Debug)]
struct Sums {
    kind: Kind,
    count: f64,
    sum: f64,
    error: f64,
}

impl Sums {
    fn add(&mut self, number: f64) {
        match self.kind {
            Kind::Average | Kind::Geometric | Kind::Weighted => self.sum += number,
            Kind::Product => self.sum *= number,
            Kind::ExactAverage | Kind::ExactSum => {
                let corrected = number - self.error;
                let sum = self.sum + corrected;
                self.error = (sum - self.sum) - corrected;
                self.sum = sum;
            }
        }
    }
}

impl Fold for Sums {
    fn update(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let values = numbers(&columns[0]);
        match (self.kind, columns.get(1)) {
            (Kind::Weighted, Some(weights)) => {
                for (value, weight) in values.iter().zip(numbers(weights)) {
                    self.add(value * weight);
                    self.count += weight;
                }
            }
            (Kind::Geometric, _) => {
                values.iter().for_each(|value| self.add(value.ln()));
                self.count += values.len() as f64;
            }
            _ => {
                values.iter().for_each(|value| self.add(*value));
                self.count += values.len() as f64;
            }
        }
        Ok(())
    }

    fn state(&self) -> Vec<f64> {
        vec![self.count, self.sum, self.error]
    }

    fn merge(&mut self, state: &[f64]) {
        self.count += state[0];
        self.add(state[1]);
        if matches!(self.kind, Kind::ExactAverage | Kind::ExactSum) {
            self.add(-state[2]);
        }
    }

    fn finish(&self) -> Result<ScalarValue> {
        let answer = match self.kind {
            _ if self.count == 0.0 => None,
            Kind::Average | Kind::ExactAverage | Kind::Weighted => Some(self.sum / self.count),
            Kind::Product | Kind::ExactSum => Some(self.sum),
            Kind::Geometric => Some((self.sum / self.count).exp()),
        };
        Ok(ScalarValue::Float64(answer))
    }
}

/// `avg`: exact over whole numbers and decimals, and over moments and intervals too.
struct Average;

impl Aggregate for Average {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [data_type] = types else { return plan_err!("avg takes one argument") };
        Ok(vec![match data_type {
            DataType::Null | DataType::Float16 | DataType::Float32 | DataType::Float64 => DataType::Float64,
            DataType::UInt64 => DataType::Decimal128(38, 0),
            whole if whole.is_integer() => DataType::Int64,
            DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) => {
                DataType::Decimal128(38, *scale)
            }
            DataType::Decimal256(_, _) => DataType::Float64,
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, None) => Moment::data_type(),
            DataType::Timestamp(_, Some(_)) => ZonedMoment::data_type(),
            DataType::Interval(_) | DataType::Duration(_) => Span::data_type(),
            other => return plan_err!("an average needs numbers or moments, not {}", type_name(other)),
        }])
    }

    fn result(&self, fields: &[FieldRef]) -> Result<Field> {
        Ok(field(match fields.first().map(|field| field.data_type()) {
            Some(moment @ (DataType::Timestamp(_, _) | DataType::Interval(_))) => moment.clone(),
            _ => DataType::Float64,
        }))
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        folded(self, group)
    }

    fn fold(&self, fields: &[FieldRef], _: &Field) -> Option<Box<dyn Fold>> {
        let data_type = fields.first()?.data_type();
        Some(match data_type {
            DataType::Float64 => Box::new(Sums { kind: Kind::Average, count: 0.0, sum: 0.0, error: 0.0 }),
            DataType::Interval(_) => Box::new(Spans::default()),
            _ => Box::new(Wholes { data_type: data_type.clone(), count: 0, sum: 0 }),
        })
    }
}

/// A sum of whole numbers, decimals or moments, and their number.
#[derive(Debug)]
struct Wholes {
    data_type: DataType,
    count: i64,
    sum: i128,
}

/// The parts into which a sum is cut so that a DOUBLE holds each.
const LIMB: u32 = 44;

fn limbs(sum: i128) -> [f64; 3] {
    let mask = (1i128 << LIMB) - 1;
    [(sum & mask) as f64, (sum >> LIMB & mask) as f64, (sum >> (2 * LIMB)) as f64]
}

fn from_limbs(limbs: &[f64]) -> i128 {
    limbs[0] as i128 + ((limbs[1] as i128) << LIMB) + ((limbs[2] as i128) << (2 * LIMB))
}

impl Fold for Wholes {
    fn update(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let column = &columns[0];
        self.count += column.len() as i64;
        self.sum += match column.data_type() {
            DataType::Int64 => column.as_primitive::<Int64Type>().values().iter().map(|value| i128::from(*value)).sum(),
            DataType::Decimal128(_, _) => column
                .as_primitive::<Decimal128Type>()
                .values()
                .iter()
                .fold(0i128, |sum, value| sum.wrapping_add(*value)),
            DataType::Timestamp(_, _) => column
                .as_primitive::<TimestampMicrosecondType>()
                .values()
                .iter()
                .map(|value| i128::from(*value))
                .sum::<i128>(),
            _ => 0,
        };
        Ok(())
    }

    fn state(&self) -> Vec<f64> {
        [&[self.count as f64], limbs(self.sum).as_slice()].concat()
    }

    fn merge(&mut self, state: &[f64]) {
        self.count += state[0] as i64;
        self.sum = self.sum.wrapping_add(from_limbs(&state[1..4]));
    }

    fn finish(&self) -> Result<ScalarValue> {
        let micros = || (self.count > 0).then(|| i64::try_from(quotient(self.sum, self.count.into())).ok()).flatten();
        Ok(match &self.data_type {
            DataType::Timestamp(_, None) => ScalarValue::TimestampMicrosecond(micros(), None),
            DataType::Timestamp(_, Some(_)) => ScalarValue::TimestampMicrosecond(micros(), Some(UTC.into())),
            data_type => {
                let factor = match data_type {
                    DataType::Decimal128(_, scale) => 10f64.powi((*scale).into()),
                    _ => 1.0,
                };
                let average = self.sum as f64 / (self.count as f64 * factor);
                ScalarValue::Float64((self.count > 0).then_some(average))
            }
        })
    }
}

/// A quotient to the nearest whole number, of two equally near ones to the even one.
fn quotient(dividend: i128, divisor: i128) -> i128 {
    let (whole, rest) = (dividend.div_euclid(divisor), dividend.rem_euclid(divisor));
    match (2 * rest).cmp(&divisor) {
        Ordering::Less => whole,
        Ordering::Equal => whole + whole.rem_euclid(2),
        Ordering::Greater => whole + 1,
    }
}

/// A sum of intervals, and their number.
#[derive(Debug, Default)]
struct Spans {
    count: f64,
    months: f64,
    days: f64,
    micros: f64,
}

impl Fold for Spans {
    fn update(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for value in columns[0].as_primitive::<IntervalMonthDayNanoType>().values() {
            let (months, days, micros) = split(*value);
            self.count += 1.0;
            self.months += months as f64;
            self.days += days as f64;
            self.micros += micros as f64;
        }
        Ok(())
    }

    fn state(&self) -> Vec<f64> {
        vec![self.count, self.months, self.days, self.micros]
    }

    fn merge(&mut self, state: &[f64]) {
        self.count += state[0];
        self.months += state[1];
        self.days += state[2];
        self.micros += state[3];
    }

    fn finish(&self) -> Result<ScalarValue> {
        if self.count == 0.0 {
            return Ok(ScalarValue::IntervalMonthDayNano(None));
        }
        // What does not make a whole month or day goes on as days and microseconds.
        let months = self.months / self.count;
        let days = self.days / self.count + months.fract() * 30.0;
        let micros = self.micros / self.count + days.fract() * DAY as f64;
        let average = span(months.trunc() as i64, days.trunc() as i64, micros.round() as i64)?;
        Ok(ScalarValue::IntervalMonthDayNano(Some(average)))
    }
}

/// How many rows are true, as HUGEINT.
struct CountIf;

impl Aggregate for CountIf {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Boolean | DataType::Null] => Ok(vec![DataType::Boolean]),
            _ => plan_err!("count_if takes one BOOLEAN"),
        }
    }

    fn result(&self, _: &[FieldRef]) -> Result<Field> {
        Ok(Huge::field())
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        folded(self, group)
    }

    fn fold(&self, _: &[FieldRef], _: &Field) -> Option<Box<dyn Fold>> {
        Some(Box::new(Trues(0.0)))
    }
}

#[derive(Debug)]
struct Trues(f64);

impl Fold for Trues {
    fn update(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.0 += columns[0].as_boolean().true_count() as f64;
        Ok(())
    }

    fn state(&self) -> Vec<f64> {
        vec![self.0]
    }

    fn merge(&mut self, state: &[f64]) {
        self.0 += state[0];
    }

    fn finish(&self) -> Result<ScalarValue> {
        Ok(ScalarValue::Decimal256(Some(i256::from_i128(self.0 as i128)), 39, 0))
    }
}
