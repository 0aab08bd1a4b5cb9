//! What must hold before a run may write: whose stream it is, and that the destination is where we left it.
//! Not here: guards over the rows themselves, which the walk checks after the scan.
//! Called at the start of every run and plan.

use tapline_core::{Destination, Error, Marker, Owner, Result, StreamName, codes};

use super::record::Record;

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
    let same_table = marker.is_some_and(|marker| marker.table == record.table);
    if same_table || record.snapshot.rows == 0 {
        return Ok(());
    }
    let lost = match destination.holds_rows(stream).await? {
        None => "was dropped",
        Some(false) => "was emptied or made anew",
        Some(true) => return Ok(()),
    };
    Err(Error::new(codes::MARK_003, format!("the stream {stream} {lost} since the last run"))
        .hint("run `tapline sync --full-refresh` to fill it, or `tapline reset` to deliver everything again"))
}
