//! What must hold before a run may write: whose stream it is, and that the destination is where we left it; and what
//! must hold of its rows before they become visible.
//! Not here: bad keys (`bad_keys`), drift (`drift`).
//! Called at the start of every run and plan, and between scan and intent.

use tapline_core::config::Mode;
use tapline_core::{Destination, Error, Marker, Owner, Result, RowCounts, StreamName, codes};

use super::job::{RunOptions, SyncJob};
use super::record::Record;
use super::scan::Scanned;

/// The share of delivered rows whose removal stops a run, where the sync does not say.
const MAX_DELETE_RATIO: f64 = 0.2;

/// How a run takes the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Goes on from what was delivered before.
    Continue,
    /// Makes the stream equal to the model, so that what was delivered before does not matter.
    Replace {
        /// Somebody asked for it by name, so that another sync's stream may be taken over.
        take_over: bool,
    },
}

/// Compares the destination's marker with the state.
///
/// # Errors
/// `MARK-001` where the stream is another sync's, `MARK-002` and `MARK-003` where destination and state disagree about
/// the last publication.
pub(crate) async fn check_marker(
    destination: &dyn Destination,
    stream: &StreamName,
    marker: Option<&Marker>,
    owner: &Owner,
    record: &Record,
    pending: Option<u64>,
    claim: Claim,
) -> Result<()> {
    // A claim that never published anything has delivered nothing that could be lost.
    let foreign = marker.filter(|marker| marker.owner != *owner && marker.published.is_some());
    if let Some(marker) = foreign {
        if claim == (Claim::Replace { take_over: true }) {
            return Ok(());
        }
        let whose = if marker.owner.store == owner.store {
            format!("the sync `{}` of this project", marker.owner.sync)
        } else {
            format!("the sync `{}` of another project or an earlier state of this one", marker.owner.sync)
        };
        return Err(Error::new(codes::MARK_001, format!("the stream {stream} belongs to {whose}")).hint(
            "choose another stream, or take this one over with `tapline sync --full-refresh` or `tapline reset`",
        ));
    }
    if claim != Claim::Continue {
        return Ok(());
    }
    let Some(known) = record.published else { return Ok(()) };
    let found = marker.and_then(|marker| marker.published).map(|published| published.generation);
    match found {
        Some(found) if found == known || Some(found) == pending => {}
        Some(found) if found > known => {
            return Err(Error::new(
                codes::MARK_002,
                format!("the stream {stream} was last written by run {found}, and the state knows only run {known}"),
            )
            .hint("the state was restored from a backup, or is a copy")
            .hint(
                "run `tapline sync --full-refresh` to make both agree, or `tapline reset` to deliver everything again",
            ));
        }
        _ => {
            return Err(Error::new(
                codes::MARK_003,
                format!("the stream {stream} does not know run {known}, which wrote it last"),
            )
            .hint("the destination was restored from a backup, or its `_tapline_receipts` table is gone")
            .hint(
                "run `tapline sync --full-refresh` to make both agree, or `tapline reset` to deliver everything again",
            ));
        }
    }
    if record.snapshot.rows == 0 {
        return Ok(());
    }
    // Rows can also be removed one by one, which leaves the table the same one.
    let lost = match destination.holds_rows(stream).await? {
        None => "was dropped",
        Some(false) => "was emptied or made anew",
        Some(true) if marker.is_some_and(Marker::is_another_table) => {
            return Err(Error::new(
                codes::MARK_003,
                format!("the stream {stream} was made anew since the last run, by somebody else"),
            )
            .hint("run `tapline adopt` to take the rows that are there as delivered, so that only differences are sent")
            .hint("or `tapline sync --full-refresh` to make it equal to the model"));
        }
        Some(true) => return Ok(()),
    };
    Err(Error::new(codes::MARK_003, format!("the stream {stream} {lost} since the last run"))
        .hint("run `tapline sync --full-refresh` to fill it, or `tapline reset` to deliver everything again"))
}

/// Stops what looks like an accident, before anything is visible.
///
/// # Errors
/// `SYNC-001` for a source that is empty all of a sudden, `SYNC-004` for a plan that no longer holds, `SYNC-006` and
/// `SYNC-007` where more rows than the sync allows would be deleted or were rejected.
pub(crate) fn check_rows(job: &SyncJob, options: &RunOptions, scanned: &Scanned, record: &Record) -> Result<()> {
    let counts = &scanned.staged.counts;
    if !counts.add_up() {
        return Err(
            Error::new(codes::RUN_002, "the counts of the run do not add up").hint("this is a bug: please report it")
        );
    }
    if let Some(plan) = &options.plan
        && !scanned.is_as_planned(job, job.mode(options) == Mode::FullRefresh, plan)
    {
        return Err(Error::new(codes::SYNC_004, "the plan no longer holds: a run would now change other rows")
            .hint(format!("make a new one with `tapline plan {} -o plan.json`", job.name)));
    }
    check_counts(job, options, counts, record)
}

/// The part of [`check_rows`] that a plan can tell too, by what it counted.
///
/// # Errors
/// `SYNC-001`, `SYNC-006` and `SYNC-007`.
pub(crate) fn check_counts(job: &SyncJob, options: &RunOptions, counts: &RowCounts, record: &Record) -> Result<()> {
    let mode = job.mode(options);
    let known = record.rows.max(record.snapshot.rows);
    let whole = !options.only_rejects && job.sync.cursor_field.is_none();
    if counts.read == 0 && known > 0 && whole && !options.allow_empty {
        return Err(Error::new(codes::SYNC_001, format!("the model yields no rows, where the last run knew {known}"))
            .hint("make sure that the files are there and that the SQL still finds them")
            .hint("if it is meant, run `tapline sync` with --allow-empty"));
    }
    let delivered = record.snapshot.rows;
    let ratio = job.sync.max_delete_ratio.unwrap_or(MAX_DELETE_RATIO);
    if mode == Mode::Incremental && counts.read > 0 && exceeds(counts.deleted, delivered, ratio) {
        return Err(Error::new(
            codes::SYNC_006,
            format!(
                "{} of {delivered} delivered rows left the model, more than max_delete_ratio {ratio} allows",
                counts.deleted
            ),
        )
        .hint("make sure that the model is complete; if it is, raise max_delete_ratio for this run"));
    }
    if let Some(ratio) = job.sync.max_reject_ratio.filter(|ratio| exceeds(counts.rejected, counts.read, *ratio)) {
        return Err(Error::new(
            codes::SYNC_007,
            format!(
                "{} of {} rows were rejected, more than max_reject_ratio {ratio} allows",
                counts.rejected, counts.read
            ),
        )
        .hint("the rows have bad keys, or values that cannot be stored: `tapline preview` shows some")
        .hint("if the others are to be delivered all the same, raise max_reject_ratio"));
    }
    Ok(())
}

/// Whether `part` is a greater share of `whole` than `ratio`.
fn exceeds(part: u64, whole: u64, ratio: f64) -> bool {
    part > 0 && part as f64 / whole.max(1) as f64 > ratio
}
