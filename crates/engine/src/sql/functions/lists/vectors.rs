//! Lists of numbers as vectors.
//! Not here: sums and other aggregates (`over`).
//! Called by `lists`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, Float64Array};
use arrow::datatypes::{DataType, Field, Float64Type};
use datafusion::common::{Result, exec_err};

use crate::sql::functions::toolkit::general::{Call, General, Plain, Plan, answer, expect_arguments};
use crate::sql::functions::toolkit::lists::{Lists, list_of};
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, general};

pub(super) fn functions() -> Vec<Function> {
    let vectors = |names, about, of| general(names, about, Vectors { of });
    vec![
        vectors(&["list_distance", "array_distance", "<->"], "the distance of two points", |left, right| {
            left.iter().zip(right).map(|(left, right)| (left - right).powi(2)).sum::<f64>().sqrt()
        }),
        vectors(
            &["list_inner_product", "list_dot_product", "array_inner_product", "array_dot_product"],
            "the inner product of two vectors",
            product,
        ),
        vectors(
            &[
                "list_negative_inner_product",
                "list_negative_dot_product",
                "array_negative_inner_product",
                "array_negative_dot_product",
            ],
            "the inner product of two vectors, negated",
            |left, right| -product(left, right),
        ),
        vectors(
            &["list_cosine_similarity", "array_cosine_similarity"],
            "the cosine of the angle of two vectors",
            cosine,
        ),
        vectors(
            &["list_cosine_distance", "array_cosine_distance", "<=>"],
            "1 minus the cosine of the angle of two vectors",
            |left, right| 1.0 - cosine(left, right),
        ),
        general(
            &["array_cross_product"],
            "the cross product of two vectors with three parts",
            Plain { coerce: pairs, result: |_| Ok(answer(cross_type())), run: cross },
        ),
    ]
}

fn product(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

fn cosine(left: &[f64], right: &[f64]) -> f64 {
    let lengths = (product(left, left) * product(right, right)).sqrt();
    (product(left, right) / lengths).clamp(-1.0, 1.0)
}

fn pairs(types: &[DataType]) -> Result<Vec<DataType>> {
    expect_arguments(types, 2..=2)?;
    Ok(vec![list_of(DataType::Float64); 2])
}

/// A number of two vectors.
struct Vectors {
    of: fn(&[f64], &[f64]) -> f64,
}

impl General for Vectors {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        pairs(types)
    }

    fn result(&self, _: &Plan<'_>) -> Result<Field> {
        Ok(answer(DataType::Float64))
    }

    fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        let rows = (0..call.rows).map(|row| Ok(both(call, row)?.map(|(left, right)| (self.of)(&left, &right))));
        Ok(Double::build(rows.collect::<Result<_>>()?))
    }
}

type Pair = (Vec<f64>, Vec<f64>);

fn both(call: &Call<'_>, row: usize) -> Result<Option<Pair>> {
    let vector = |column: &ArrayRef| -> Result<Option<Vec<f64>>> {
        let lists = Lists::new(column)?;
        let items = lists.items().as_primitive::<Float64Type>();
        let Some(range) = lists.range(row) else { return Ok(None) };
        if range.clone().any(|index| items.is_null(index)) {
            return exec_err!("a vector holds NULL");
        }
        Ok(Some(items.values()[range].to_vec()))
    };
    let (Some(left), Some(right)) = (vector(&call.columns[0])?, vector(&call.columns[1])?) else { return Ok(None) };
    if left.len() != right.len() {
        return exec_err!("two vectors have {} and {} parts", left.len(), right.len());
    }
    Ok(Some((left, right)))
}

fn cross_type() -> DataType {
    DataType::FixedSizeList(Arc::new(Field::new_list_field(DataType::Float64, true)), 3)
}

fn cross(call: &Call<'_>) -> Result<ArrayRef> {
    let mut items: Vec<Option<f64>> = Vec::with_capacity(3 * call.rows);
    let mut valid = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let pair = both(call, row)?;
        valid.push(pair.is_some());
        match pair {
            Some((a, b)) if a.len() == 3 => {
                items.extend(
                    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]].map(Some),
                );
            }
            Some(_) => return exec_err!("a cross product takes vectors with three parts"),
            None => items.extend([None; 3]),
        }
    }
    let field = Arc::new(Field::new_list_field(DataType::Float64, true));
    let items = Arc::new(Float64Array::from(items));
    Ok(Arc::new(FixedSizeListArray::try_new(field, 3, items, Some(valid.into()))?))
}
