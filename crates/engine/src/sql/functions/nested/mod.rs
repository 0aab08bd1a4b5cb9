//! Functions over structs and maps.
//! Not here: lists (`lists`), JSON (`json`).
//! Called by the registration, and by access to items.

mod maps;
mod structs;

use super::toolkit::Function;

pub(super) use maps::{has_key, value_of_key};
pub(super) use structs::{extract, member};

/// Every function of the family.
pub(super) fn functions() -> Vec<Function> {
    [structs::functions(), maps::functions()].concat()
}
