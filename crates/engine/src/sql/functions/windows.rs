//! Functions over windows, which the query engine has.
//! Not here: aggregates, all of which may stand over windows too (`aggregates`).
//! Called by the registration.

use super::toolkit::{Function, engine};

/// Every function of the family.
pub(super) fn functions() -> Vec<Function> {
    vec![
        engine(&["row_number"], "the number of the row, from 1"),
        engine(&["rank"], "the number of the first row that is equal in order"),
        engine(&["dense_rank", "rank_dense"], "how many different values come up to the row's"),
        engine(&["percent_rank"], "the rank as a share from 0 to 1"),
        engine(&["cume_dist"], "the share of rows up to the row"),
        engine(&["ntile"], "the number of the part in which the row is, of so many equal ones"),
        engine(&["lag"], "the value of a row before"),
        engine(&["lead"], "the value of a row after"),
        engine(&["first_value"], "the first value of the frame"),
        engine(&["last_value"], "the last value of the frame"),
        engine(&["nth_value"], "the value of the nth row of the frame"),
    ]
}
