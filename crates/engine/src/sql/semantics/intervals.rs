//! Arithmetic of spans of time: months, days and microseconds.
//! Not here: reading them from text (`read`).
//! Called by the operators.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray, Time64MicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType,
};
use datafusion::common::{Result, exec_err};

use super::types::INTERVAL;

const NANOS_PER_DAY: i64 = 86_400_000_000_000;
const MICROS_PER_DAY: i64 = NANOS_PER_DAY / 1000;

/// Any kind of span as INTERVAL.
pub(super) fn normalized(span: &ArrayRef) -> Result<ArrayRef> {
    if *span.data_type() == INTERVAL {
        return Ok(Arc::clone(span));
    }
    if let DataType::Duration(_) = span.data_type() {
        let nanos = cast(&cast(span, &DataType::Duration(TimeUnit::Nanosecond))?, &DataType::Int64)?;
        let spans = nanos.as_primitive::<Int64Type>().iter().map(|nanos| {
            nanos.map(|nanos| IntervalMonthDayNano::new(0, (nanos / NANOS_PER_DAY) as i32, nanos % NANOS_PER_DAY))
        });
        return Ok(Arc::new(spans.collect::<IntervalMonthDayNanoArray>()));
    }
    Ok(cast(span, &INTERVAL)?)
}

/// The span with as many whole months of thirty days and whole days as it holds, so that spans compare part by part.
pub(super) fn comparable(span: &ArrayRef) -> Result<ArrayRef> {
    let span = normalized(span)?;
    let spans = span.as_primitive::<IntervalMonthDayNanoType>().iter().map(|span| {
        span.map(|span| {
            let days = i64::from(span.days) + span.nanoseconds / NANOS_PER_DAY;
            let months = i64::from(span.months) + days / 30;
            let months = i32::try_from(months).ok()?;
            Some(IntervalMonthDayNano::new(months, (days % 30) as i32, span.nanoseconds % NANOS_PER_DAY))
        })
    });
    collected(spans)
}

/// The span with the other sign.
pub(super) fn negated(span: &ArrayRef) -> Result<ArrayRef> {
    let spans = span.as_primitive::<IntervalMonthDayNanoType>();
    let negated = spans.iter().map(|span| {
        span.map(|span| {
            let (months, days, nanos) =
                (span.months.checked_neg(), span.days.checked_neg(), span.nanoseconds.checked_neg());
            months.zip(days).zip(nanos).map(|((months, days), nanos)| IntervalMonthDayNano::new(months, days, nanos))
        })
    });
    collected(negated)
}

fn collected(spans: impl Iterator<Item = Option<Option<IntervalMonthDayNano>>>) -> Result<ArrayRef> {
    let mut values = Vec::new();
    for span in spans {
        match span {
            None => values.push(None),
            Some(Some(span)) => values.push(Some(span)),
            Some(None) => return exec_err!("Overflow in an INTERVAL!"),
        }
    }
    Ok(Arc::new(IntervalMonthDayNanoArray::from(values)))
}

/// The days and time from one moment to another.
pub(super) fn between(left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    let (left, right) =
        (left.as_primitive::<TimestampMicrosecondType>(), right.as_primitive::<TimestampMicrosecondType>());
    let spans = left.iter().zip(right).map(|(left, right)| {
        let (left, right) = (left?, right?);
        Some(left.checked_sub(right).and_then(|micros| {
            let days = i32::try_from(micros / MICROS_PER_DAY).ok()?;
            Some(IntervalMonthDayNano::new(0, days, (micros % MICROS_PER_DAY) * 1000))
        }))
    });
    collected(spans)
}

/// A time of day moved by a span, around midnight if need be.
pub(super) fn clock(time: &ArrayRef, span: &ArrayRef, backwards: bool) -> Result<ArrayRef> {
    let time = cast(time, &DataType::Time64(TimeUnit::Microsecond))?;
    let time = time.as_primitive::<Time64MicrosecondType>();
    let span = span.as_primitive::<IntervalMonthDayNanoType>();
    let moved = time.iter().zip(span).map(|(time, span)| {
        let (time, micros) = (time?, span?.nanoseconds / 1000 % MICROS_PER_DAY);
        Some((if backwards { time - micros } else { time + micros }).rem_euclid(MICROS_PER_DAY))
    });
    Ok(Arc::new(moved.collect::<Time64MicrosecondArray>()))
}

/// A span by a number. Parts of months become days of thirty, parts of days become time.
pub(super) fn scaled(span: &ArrayRef, by: &ArrayRef, divided: bool) -> Result<ArrayRef> {
    let span = span.as_primitive::<IntervalMonthDayNanoType>();
    let by = by.as_primitive::<Float64Type>();
    let spans = span.iter().zip(by).map(|(span, by)| {
        let (span, by) = (span?, by?);
        if divided && by == 0.0 {
            return None;
        }
        let factor = |part: f64| if divided { part / by } else { part * by };
        let months = factor(f64::from(span.months));
        let days = factor(f64::from(span.days)) + months.fract() * 30.0;
        let micros = factor(span.nanoseconds as f64 / 1000.0) + days.fract() * MICROS_PER_DAY as f64;
        let fits = months.abs() <= f64::from(i32::MAX)
            && days.abs() <= f64::from(i32::MAX)
            && micros.abs() * 1000.0 < i64::MAX as f64;
        Some(fits.then(|| {
            IntervalMonthDayNano::new(months.trunc() as i32, days.trunc() as i32, micros.round() as i64 * 1000)
        }))
    });
    collected(spans)
}
