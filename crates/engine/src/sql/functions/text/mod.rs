//! Functions over text: case, parts, search, padding, distances, patterns, formats and encodings.
//! Not here: JSON (`json`), lists of texts (`lists`).
//! Called by the registration.

mod distances;
mod encodings;
mod formats;
mod parts;
mod paths;
mod patterns;
mod plain;
mod printed;
pub(super) mod regex;
mod sizes;

use super::toolkit::Function;

/// Every function of the family.
pub(super) fn functions() -> Vec<Function> {
    [
        plain::functions(),
        parts::functions(),
        distances::functions(),
        patterns::functions(),
        encodings::functions(),
        formats::functions(),
        sizes::functions(),
        paths::functions(),
    ]
    .concat()
}
