//! Functions over numbers: arithmetic, rounding, powers, angles, bits.
//! Not here: aggregates (`aggregates`), operators.
//! Called by the registration.

mod arithmetic;
mod real;
mod rounding;
mod whole;

use super::toolkit::Function;

/// Every function of the family.
pub(super) fn functions() -> Vec<Function> {
    [real::functions(), whole::functions(), rounding::functions(), arithmetic::functions()].concat()
}
