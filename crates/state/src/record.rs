//! Between what stores keep and what the program works with: numbers, words, JSON, moments.
//! Not here: statements (each store's own), sealing (`seal`).
//! Called by every store of this crate.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;
use tapline_core::{Error, ErrorReport, Result, RunReport, RunStatus, codes};

/// Databases' integers are signed.
pub(crate) fn stored(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|_| Error::internal("a number of the state is too large"))
}

/// What [`stored`] stored.
pub(crate) fn loaded(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| Error::new(codes::STATE_001, "reading the state: a number is negative"))
}

/// JSON that a store keeps as text.
pub(crate) fn parsed<T: serde::de::DeserializeOwned>(body: &str) -> Result<T> {
    serde_json::from_str(body).map_err(unreadable)
}

pub(crate) fn unreadable(error: serde_json::Error) -> Error {
    Error::new(codes::STATE_001, "reading the state: a record is damaged").because(error)
}

pub(crate) fn damaged() -> Error {
    Error::new(codes::STATE_001, "reading the state: a record is damaged")
}

/// A status as JSON spells it.
pub(crate) fn word(status: RunStatus) -> Result<String> {
    match serde_json::to_value(status).map_err(unreadable)? {
        Value::String(word) => Ok(word),
        _ => Err(Error::internal("a run status has no name")),
    }
}

/// A moment as text. All digits are kept, so that the order of texts is the order of moments.
pub(crate) fn time(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

/// The day on which a run began.
pub(crate) fn day(report: &RunReport) -> Option<String> {
    report.started_at.map(|moment| moment.date_naive().to_string())
}

/// The report of a run that a kill has cut off.
pub(crate) fn cut_off(body: &str) -> Result<RunReport> {
    let mut report: RunReport = parsed(body)?;
    report.status = RunStatus::Failed;
    report.error = Some(ErrorReport::from(&Error::new(
        codes::RUN_004,
        "the run was cut off: its process ended before the run did",
    )));
    Ok(report)
}
