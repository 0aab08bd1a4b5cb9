//! What DuckDB's operators, casts and sums compute, with its types, its rounding and its errors.
//! Not here: functions that are called by name (`functions`), how operators are spelled (`syntax`, `bind`).
//! Called by the session, which registers them, and by the planner, which computes constants.

mod arithmetic;
mod cast;
mod compare;
mod concat;
mod convert;
mod glob;
mod intervals;
mod nested;
mod numbers;
mod read;
mod sum;
mod types;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::prelude::SessionContext;

pub(crate) use cast::{cast_to, folded};
pub(crate) use compare::Comparisons;
pub(crate) use numbers::common_type;

/// Makes the operators known to a session.
pub(crate) fn register(context: &SessionContext) {
    for function in arithmetic::functions() {
        context.register_udf(function);
    }
    context.register_udf(ScalarUDF::new_from_impl(cast::Cast::new(false)));
    context.register_udf(ScalarUDF::new_from_impl(cast::Cast::new(true)));
    context.register_udf(ScalarUDF::new_from_impl(concat::Concat::default()));
    context.register_udf(ScalarUDF::new_from_impl(glob::Glob::default()));
    context.register_udaf(AggregateUDF::new_from_impl(sum::Sum::default()));
}
