//! What functions are made of: typed kernels, general functions over any type, lambdas, aggregates, list access.
//! Not here: any function.
//! Called by the families, and by the registration in `functions`.

pub(crate) mod aggregate;
pub(super) mod general;
pub(super) mod lambda;
pub(crate) mod lists;
pub(crate) mod typed;
pub(crate) mod types;
pub(crate) mod values;

use std::sync::Arc;

use datafusion::logical_expr::Volatility;

use aggregate::Aggregate;
use general::General;
use lambda::Higher;
use typed::Overload;

/// One function under all its names.
#[derive(Clone)]
pub(super) struct Function {
    /// The names it answers to; all are equal.
    pub names: &'static [&'static str],
    /// What it does, in a line.
    pub about: &'static str,
    /// How it does it.
    pub body: Body,
}

/// How a function is computed.
#[derive(Clone)]
pub(super) enum Body {
    /// Row by row, by the types of the arguments.
    Typed(Volatility, Arc<[Overload]>),
    /// Over columns of any type.
    General(Volatility, Arc<dyn General>),
    /// With a lambda among the arguments.
    Higher(Arc<dyn Higher>),
    /// Over the rows of a group.
    Aggregate(Arc<dyn Aggregate>),
    /// From the clock, once for a statement.
    Clock(super::moments::Reading),
    /// By the query engine itself, whose function of the name says just what DuckDB's says.
    Engine,
}

/// A function whose answer depends on its arguments alone.
pub(super) fn typed(
    names: &'static [&'static str],
    about: &'static str,
    overloads: impl Into<Arc<[Overload]>>,
) -> Function {
    Function { names, about, body: Body::Typed(Volatility::Immutable, overloads.into()) }
}

/// A function that gives another answer for every row.
pub(super) fn volatile(
    names: &'static [&'static str],
    about: &'static str,
    overloads: impl Into<Arc<[Overload]>>,
) -> Function {
    Function { names, about, body: Body::Typed(Volatility::Volatile, overloads.into()) }
}

/// A function over columns of any type.
pub(super) fn general(names: &'static [&'static str], about: &'static str, body: impl General + 'static) -> Function {
    Function { names, about, body: Body::General(Volatility::Immutable, Arc::new(body)) }
}

/// A function that takes lambdas.
pub(super) fn higher(names: &'static [&'static str], about: &'static str, body: impl Higher + 'static) -> Function {
    Function { names, about, body: Body::Higher(Arc::new(body)) }
}

/// A function over the rows of a group.
pub(super) fn aggregate(
    names: &'static [&'static str],
    about: &'static str,
    body: impl Aggregate + 'static,
) -> Function {
    Function { names, about, body: Body::Aggregate(Arc::new(body)) }
}

/// A function that the query engine already has as DuckDB has it.
pub(super) fn engine(names: &'static [&'static str], about: &'static str) -> Function {
    Function { names, about, body: Body::Engine }
}
