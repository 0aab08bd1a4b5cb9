//! DuckDB's functions: one room for each family, one toolkit for all.
//! Not here: operators, casts and literals, which are syntax; what the query engine has as DuckDB has it.
//! Called by the session, and by the reference of functions.

mod aggregates;
mod json;
mod lists;
mod moments;
mod nested;
mod numbers;
mod reference;
mod text;
pub(crate) mod toolkit;
mod utility;
mod windows;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::functions_window::rank::dense_rank_udwf;
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF};
use datafusion::prelude::SessionContext;

pub(crate) use moments::local_to_utc;
pub use reference::{FunctionEntry, Support, function_reference};

use toolkit::aggregate::AggregateFunction;
use toolkit::general::GeneralFunction;
use toolkit::lambda::HigherFunction;
use toolkit::typed::TypedFunction;
use toolkit::{Body, Function};

/// Every function, by family.
fn families() -> [(&'static str, Vec<Function>); 9] {
    [
        ("text", text::functions()),
        ("numbers", numbers::functions()),
        ("dates and times", moments::functions()),
        ("lists", lists::functions()),
        ("structs and maps", nested::functions()),
        ("JSON", json::functions()),
        ("aggregates", aggregates::functions()),
        ("windows", windows::functions()),
        ("utility", utility::functions()),
    ]
}

/// Gives a session every function, under all its names.
pub(crate) fn register(context: &SessionContext) {
    for function in families().into_iter().flat_map(|(_, functions)| functions) {
        for name in function.names {
            match &function.body {
                Body::Typed(volatility, overloads) => {
                    context.register_udf(ScalarUDF::from(TypedFunction::new(name, *volatility, Arc::clone(overloads))));
                }
                Body::General(volatility, body) => {
                    context.register_udf(ScalarUDF::from(GeneralFunction::new(name, *volatility, Arc::clone(body))));
                }
                Body::Clock(reading) => context.register_udf(ScalarUDF::from(moments::Clock::new(name, *reading))),
                Body::Higher(body) => {
                    let function = HigherFunction::new(name, Arc::clone(body));
                    context.register_higher_order_function(Arc::new(HigherOrderUDF::new_from_impl(function)));
                }
                Body::Aggregate(body) => {
                    context.register_udaf(AggregateUDF::from(AggregateFunction::new(name, Arc::clone(body))));
                }
                Body::Engine => {}
            }
        }
    }
    context.register_udwf(dense_rank_udwf().as_ref().clone().with_aliases(["rank_dense"]));
}
