//! Functions over dates, times and intervals.
//! Not here: ranges of dates (`lists`).
//! Called by the registration.

pub(super) mod calendar;
mod clock;
mod construct;
mod parts;
mod print;
mod read;
mod steps;
mod units;
mod zones;

use super::toolkit::Function;

pub(super) use clock::{Clock, Reading};
pub(crate) use zones::to_utc as local_to_utc;

/// Every function of the family.
pub(super) fn functions() -> Vec<Function> {
    [
        parts::functions(),
        steps::functions(),
        construct::functions(),
        print::functions(),
        read::functions(),
        zones::functions(),
        clock::functions(),
    ]
    .concat()
}
