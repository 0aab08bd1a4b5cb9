//! Functions over JSON, which is text that is tagged as such.
//! Not here: reading JSON files, casts to and from JSON.
//! Called by the registration, by access to items, and by aggregates that make JSON.

mod document;
mod extract;
mod inspect;
mod make;
mod path;
mod structure;
mod transform;

use super::toolkit::Function;

pub(super) use document::quoted;
pub(super) use extract::extract_by;
pub(super) use make::documents;
pub(super) use structure::common_structure;

/// Every function of the family.
pub(super) fn functions() -> Vec<Function> {
    [extract::functions(), inspect::functions(), make::functions(), transform::functions()].concat()
}
