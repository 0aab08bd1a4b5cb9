//! Variance and its kin, skewness and kurtosis.
//! Not here: covariance (`pairs`).
//! Called by `aggregates`.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err};

use super::{doubles, field, numbers};
use crate::sql::functions::toolkit::aggregate::{Aggregate, Fold, Group, folded};
use crate::sql::functions::toolkit::{Function, aggregate};

pub(super) fn functions() -> Vec<Function> {
    vec![
        aggregate(&["var_samp", "variance"], "the variance of a sample", Spread(Kind::SampleVariance)),
        aggregate(&["var_pop"], "the variance", Spread(Kind::Variance)),
        aggregate(&["stddev_samp", "stddev"], "the standard deviation of a sample", Spread(Kind::SampleDeviation)),
        aggregate(&["stddev_pop"], "the standard deviation", Spread(Kind::Deviation)),
        aggregate(&["sem"], "the standard error of the mean", Spread(Kind::Error)),
        aggregate(&["skewness"], "how far the values lean to one side", Shape(Moment::Skewness)),
        aggregate(&["kurtosis"], "how heavy the tails of a sample are", Shape(Moment::SampleKurtosis)),
        aggregate(&["kurtosis_pop"], "how heavy the tails are", Shape(Moment::Kurtosis)),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    SampleVariance,
    Variance,
    SampleDeviation,
    Deviation,
    Error,
}

struct Spread(Kind);

impl Aggregate for Spread {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        doubles(types, 1)
    }

    fn result(&self, _: &[FieldRef]) -> Result<Field> {
        Ok(field(DataType::Float64))
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        folded(self, group)
    }

    fn fold(&self, _: &[FieldRef], _: &Field) -> Option<Box<dyn Fold>> {
        Some(Box::new(Squares { kind: self.0, count: 0.0, mean: 0.0, squares: 0.0 }))
    }
}

/// Welford's running mean and squares. <https://en.wikipedia.org/wiki/Algorithms_for_calculating_variance>
#[derive(Debug)]
struct Squares {
    kind: Kind,
    count: f64,
    mean: f64,
    squares: f64,
}

impl Fold for Squares {
    fn update(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for value in numbers(&columns[0]) {
            self.count += 1.0;
            let before = value - self.mean;
            self.mean += before / self.count;
            self.squares += before * (value - self.mean);
        }
        Ok(())
    }

    fn state(&self) -> Vec<f64> {
        vec![self.count, self.mean, self.squares]
    }

    fn merge(&mut self, state: &[f64]) {
        let (count, mean, squares) = (state[0], state[1], state[2]);
        if count == 0.0 {
            return;
        }
        let total = self.count + count;
        let distance = mean - self.mean;
        self.squares += squares + distance * distance * self.count * count / total;
        self.mean += distance * count / total;
        self.count = total;
    }

    fn finish(&self) -> Result<ScalarValue> {
        let needed = if matches!(self.kind, Kind::SampleVariance | Kind::SampleDeviation) { 2.0 } else { 1.0 };
        if self.count < needed {
            return Ok(ScalarValue::Float64(None));
        }
        let sample = self.squares / (self.count - 1.0);
        let whole = self.squares / self.count;
        let answer = match self.kind {
            Kind::SampleVariance => sample,
            Kind::Variance => whole,
            Kind::SampleDeviation => sample.sqrt(),
            Kind::Deviation => whole.sqrt(),
            Kind::Error => whole.sqrt() / self.count.sqrt(),
        };
        if !answer.is_finite() {
            return exec_err!("the variance is out of range");
        }
        Ok(ScalarValue::Float64(Some(answer)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Skewness,
    SampleKurtosis,
    Kurtosis,
}

struct Shape(Moment);

impl Aggregate for Shape {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        doubles(types, 1)
    }

    fn result(&self, _: &[FieldRef]) -> Result<Field> {
        Ok(field(DataType::Float64))
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        folded(self, group)
    }

    fn fold(&self, _: &[FieldRef], _: &Field) -> Option<Box<dyn Fold>> {
        Some(Box::new(Powers { moment: self.0, sums: [0.0; 5] }))
    }
}

/// The sums of the values' powers, from the 0th.
#[derive(Debug)]
struct Powers {
    moment: Moment,
    sums: [f64; 5],
}

impl Fold for Powers {
    fn update(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for value in numbers(&columns[0]) {
            for (sum, power) in self.sums.iter_mut().zip(0..) {
                *sum += value.powi(power);
            }
        }
        Ok(())
    }

    fn state(&self) -> Vec<f64> {
        self.sums.to_vec()
    }

    fn merge(&mut self, state: &[f64]) {
        self.sums.iter_mut().zip(state).for_each(|(sum, other)| *sum += other);
    }

    fn finish(&self) -> Result<ScalarValue> {
        let [n, sum, squares, cubes, fourths] = self.sums;
        let part = 1.0 / n;
        let second = part * (squares - sum * sum * part);
        let needed = match self.moment {
            Moment::Skewness => 3.0,
            Moment::SampleKurtosis => 4.0,
            Moment::Kurtosis => 2.0,
        };
        if n < needed || (self.moment != Moment::Skewness && second <= 0.0) {
            return Ok(ScalarValue::Float64(None));
        }
        let answer = match self.moment {
            Moment::Skewness => {
                let divisor = second.powi(3).max(0.0).sqrt();
                if divisor == 0.0 {
                    return Ok(ScalarValue::Float64(Some(f64::NAN)));
                }
                let third = part * (cubes - 3.0 * squares * sum * part + 2.0 * sum.powi(3) * part * part);
                (n * (n - 1.0)).sqrt() / (n - 2.0) * third / divisor
            }
            Moment::SampleKurtosis | Moment::Kurtosis => {
                let fourth = part
                    * (fourths - 4.0 * cubes * sum * part + 6.0 * squares * sum * sum * part * part
                        - 3.0 * sum.powi(4) * part.powi(3));
                let squared = second * second;
                if self.moment == Moment::Kurtosis {
                    fourth / squared - 3.0
                } else {
                    (n - 1.0) * ((n + 1.0) * fourth / squared - 3.0 * (n - 1.0)) / ((n - 2.0) * (n - 3.0))
                }
            }
        };
        if !answer.is_finite() {
            return exec_err!("the moment of the values is out of range");
        }
        Ok(ScalarValue::Float64(Some(answer)))
    }
}
