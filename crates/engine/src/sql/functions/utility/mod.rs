//! Functions over values of any type: types, choices, hashes, UUIDs, facts about the session.
//! Not here: functions of one kind of value.
//! Called by the registration.

mod attempts;
mod choices;
mod facts;
mod hash;
mod uuids;

use super::toolkit::Function;

pub(super) use hash::hashes;

/// Every function of the family.
pub(super) fn functions() -> Vec<Function> {
    [attempts::functions(), choices::functions(), facts::functions(), hash::functions(), uuids::functions()].concat()
}
