//! Lists of numbers and moments in steps.
//! Not here: the table functions of the same names, which are syntax.
//! Called by `lists`.

use datafusion::common::{Result, exec_err};

use arrow::datatypes::IntervalMonthDayNano;

use crate::sql::functions::moments::calendar::{plus, split, start_of};
use crate::sql::functions::toolkit::typed::{Overload, kernel};
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, engine, typed};

pub(super) fn functions() -> Vec<Function> {
    vec![
        typed(
            &["range"],
            "the numbers, or moments, from a start up to an end, which is left out",
            overloads::<false>(),
        ),
        typed(
            &["generate_series"],
            "the numbers, or moments, from a start up to an end, which is included",
            overloads::<true>(),
        ),
        engine(&["generate_subscripts"], "the positions of the items of a list, a row each"),
    ]
}

fn overloads<const INCLUSIVE: bool>() -> Vec<Overload> {
    vec![
        kernel!(|end: Int| -> ListOf<Int> => numbers(0, end, 1, INCLUSIVE)),
        kernel!(|start: Int, end: Int| -> ListOf<Int> => numbers(start, end, 1, INCLUSIVE)),
        kernel!(|start: Int, end: Int, step: Int| -> ListOf<Int> => numbers(start, end, step, INCLUSIVE)),
        kernel!(|start: Date, end: Date, step: Span| -> ListOf<Moment> => moments(start_of(start), start_of(end), step, INCLUSIVE)),
        kernel!(|start: Moment, end: Moment, step: Span| -> ListOf<Moment> => moments(start, end, step, INCLUSIVE)),
        kernel!(|start: ZonedMoment, end: ZonedMoment, step: Span| -> ListOf<ZonedMoment> => moments(start, end, step, INCLUSIVE)),
    ]
}

/// No range is longer.
const LONGEST: usize = 50_000_000;

fn numbers(start: i64, end: i64, step: i64, inclusive: bool) -> Result<Vec<Option<i64>>> {
    if step == 0 {
        return Ok(Vec::new());
    }
    let (start, end, step) = (i128::from(start), i128::from(end), i128::from(step));
    let distance = if step > 0 { end - start } else { start - end };
    if distance < 0 || (distance == 0 && !inclusive) {
        return Ok(Vec::new());
    }
    let count = if inclusive { distance / step.abs() + 1 } else { (distance - 1) / step.abs() + 1 };
    match usize::try_from(count) {
        Ok(count) if count <= LONGEST => {
            Ok((0..count as i128).map(|index| i64::try_from(start + index * step).ok()).collect())
        }
        _ => exec_err!("a range would have too many items"),
    }
}

fn moments(start: i64, end: i64, step: IntervalMonthDayNano, inclusive: bool) -> Result<Vec<Option<i64>>> {
    let (months, days, micros) = split(step);
    let signs = [months.signum(), days.signum(), micros.signum()];
    let (up, down) = (signs.contains(&1), signs.contains(&-1));
    if up && down {
        return exec_err!("the parts of a range's step have different signs");
    }
    let mut items = Vec::new();
    if !up && !down {
        return Ok(items);
    }
    let inside = |moment: i64| match (up, inclusive) {
        (true, true) => moment <= end,
        (true, false) => moment < end,
        (false, true) => moment >= end,
        (false, false) => moment > end,
    };
    let mut moment = start;
    while inside(moment) {
        if items.len() == LONGEST {
            return exec_err!("a range would have too many items");
        }
        items.push(Some(moment));
        moment = plus(moment, step)?;
    }
    Ok(items)
}
