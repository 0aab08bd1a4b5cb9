//! Covariance, correlation and regression of two columns.
//! Not here: statistics of one column (`spread`).
//! Called by `aggregates`.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};

use super::{doubles, field, numbers};
use crate::sql::functions::toolkit::aggregate::{Aggregate, Fold, Group, folded};
use crate::sql::functions::toolkit::{Function, aggregate};

pub(super) fn functions() -> Vec<Function> {
    let pair = |names, about, kind| aggregate(names, about, Pair(kind));
    vec![
        pair(&["corr"], "the correlation of two columns", Kind::Correlation),
        pair(&["covar_pop"], "the covariance of two columns", Kind::Covariance),
        pair(&["covar_samp"], "the covariance of two columns of a sample", Kind::SampleCovariance),
        pair(&["regr_slope"], "the slope of the line through the points, by y and x", Kind::Slope),
        pair(&["regr_intercept"], "where the line through the points crosses the y axis", Kind::Intercept),
        pair(&["regr_r2"], "how well the line through the points fits them", Kind::Fit),
        pair(&["regr_count"], "how many points there are", Kind::Count),
        pair(&["regr_avgx"], "the average of x, by y and x", Kind::AverageX),
        pair(&["regr_avgy"], "the average of y, by y and x", Kind::AverageY),
        pair(&["regr_sxx"], "the sum of the squares of x around its average", Kind::SumXx),
        pair(&["regr_sxy"], "the sum of the products of x and y around their averages", Kind::SumXy),
        pair(&["regr_syy"], "the sum of the squares of y around its average", Kind::SumYy),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Correlation,
    Covariance,
    SampleCovariance,
    Slope,
    Intercept,
    Fit,
    Count,
    AverageX,
    AverageY,
    SumXx,
    SumXy,
    SumYy,
}

struct Pair(Kind);

impl Aggregate for Pair {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        doubles(types, 2)
    }

    fn result(&self, _: &[FieldRef]) -> Result<Field> {
        Ok(field(if self.0 == Kind::Count { DataType::UInt32 } else { DataType::Float64 }))
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        folded(self, group)
    }

    fn fold(&self, _: &[FieldRef], _: &Field) -> Option<Box<dyn Fold>> {
        Some(Box::new(Points { kind: self.0, count: 0.0, x: 0.0, y: 0.0, xx: 0.0, xy: 0.0, yy: 0.0 }))
    }
}

/// The averages of points, and the products around them.
#[derive(Debug)]
struct Points {
    kind: Kind,
    count: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Fold for Points {
    fn update(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for (y, x) in numbers(&columns[0]).iter().zip(numbers(&columns[1])) {
            self.count += 1.0;
            let (before_x, before_y) = (x - self.x, y - self.y);
            self.x += before_x / self.count;
            self.y += before_y / self.count;
            self.xx += before_x * (x - self.x);
            self.yy += before_y * (y - self.y);
            self.xy += before_x * (y - self.y);
        }
        Ok(())
    }

    fn state(&self) -> Vec<f64> {
        vec![self.count, self.x, self.y, self.xx, self.xy, self.yy]
    }

    fn merge(&mut self, state: &[f64]) {
        let [count, x, y, xx, xy, yy] = state[..6] else { return };
        if count == 0.0 {
            return;
        }
        let total = self.count + count;
        let (distance_x, distance_y) = (x - self.x, y - self.y);
        let weight = self.count * count / total;
        self.xx += xx + distance_x * distance_x * weight;
        self.yy += yy + distance_y * distance_y * weight;
        self.xy += xy + distance_x * distance_y * weight;
        self.x += distance_x * count / total;
        self.y += distance_y * count / total;
        self.count = total;
    }

    fn finish(&self) -> Result<ScalarValue> {
        let n = self.count;
        if self.kind == Kind::Count {
            return Ok(ScalarValue::UInt32(Some(n as u32)));
        }
        if n == 0.0 || (self.kind == Kind::SampleCovariance && n < 2.0) {
            return Ok(ScalarValue::Float64(None));
        }
        let slope = (self.xx != 0.0).then(|| self.xy / self.xx);
        let answer = match self.kind {
            Kind::Covariance => Some(self.xy / n),
            Kind::SampleCovariance => Some(self.xy / (n - 1.0)),
            Kind::Correlation => Some(self.xy / (self.xx.sqrt() * self.yy.sqrt())),
            Kind::Slope => Some(slope.unwrap_or(f64::NAN)),
            Kind::Intercept => slope.map(|slope| self.y - slope * self.x),
            Kind::Fit if self.xx == 0.0 => None,
            Kind::Fit if self.yy == 0.0 => Some(1.0),
            Kind::Fit => Some((self.xy / (self.xx.sqrt() * self.yy.sqrt())).powi(2)),
            Kind::AverageX => Some(self.x),
            Kind::AverageY => Some(self.y),
            Kind::SumXx => Some(self.xx),
            Kind::SumXy => Some(self.xy),
            Kind::SumYy => Some(self.yy),
            Kind::Count => None,
        };
        Ok(ScalarValue::Float64(answer))
    }
}
