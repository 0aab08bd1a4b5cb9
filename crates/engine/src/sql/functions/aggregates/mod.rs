//! Functions over the rows of a group.
//! Not here: sums of whole numbers and counts, which the core of the dialect has; windows (`windows`).
//! Called by the registration, and by functions over the items of lists.

mod averages;
mod choices;
mod collections;
mod counts;
mod digest;
mod pairs;
mod quantiles;
mod sketch;
mod spread;
mod through;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, plan_err};

pub(super) use counts::largest;

use super::toolkit::aggregate::Aggregate;
use super::toolkit::typed::{distance, type_name};
use super::toolkit::{Body, Function};

/// Every function of the family.
pub(super) fn functions() -> Vec<Function> {
    [
        averages::functions(),
        spread::functions(),
        pairs::functions(),
        quantiles::functions(),
        choices::functions(),
        counts::functions(),
        sketch::functions(),
        collections::functions(),
        through::functions(),
    ]
    .concat()
}

/// The aggregate of a name, for the items of a list.
pub(super) fn find(name: &str) -> Option<Arc<dyn Aggregate>> {
    let of_lists = through::of_lists(name);
    of_lists.or_else(|| {
        functions().into_iter().find(|function| function.names.contains(&name)).and_then(|function| {
            match function.body {
                Body::Aggregate(body) => Some(body),
                _ => None,
            }
        })
    })
}

/// The types as numbers with places, of which there must be so many.
fn doubles(types: &[DataType], count: usize) -> Result<Vec<DataType>> {
    if types.len() != count {
        return plan_err!("the aggregate takes {count} arguments, not {}", types.len());
    }
    for data_type in types {
        if distance(data_type, &DataType::Float64).is_none() {
            return plan_err!("a number is expected, not {}", type_name(data_type));
        }
    }
    Ok(vec![DataType::Float64; count])
}

/// A field for an answer.
fn field(data_type: DataType) -> Field {
    Field::new("", data_type, true)
}

/// The numbers of a column of DOUBLE, none of which is NULL.
fn numbers(column: &ArrayRef) -> &[f64] {
    use arrow::array::AsArray;
    column.as_primitive::<arrow::datatypes::Float64Type>().values()
}
