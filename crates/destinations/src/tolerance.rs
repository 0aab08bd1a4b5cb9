//! How many rows a destination may refuse before a run gives up: `max_reject_ratio`.
//! Not here: which rows are refused, which every destination finds out itself.
//! Called by the publications, before their commit.

use std::collections::BTreeMap;

use tapline_core::{Code, Error, Outcome, Result, RowOutcome, StreamName, Target, codes};

/// The share of a run's rows that may be refused.
#[derive(Debug, Clone)]
pub(crate) struct Tolerance {
    stream: StreamName,
    /// Rows that the run wrote, deletes among them.
    written: u64,
    ratio: Option<f64>,
    aside: Option<SetAside>,
    /// What has become of the rows that were not refused.
    others: &'static str,
}

/// What [`tapline_core::Writer::set_aside`] tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SetAside {
    /// Rows that were refused before they came to the destination.
    pub(crate) rows: u64,
    /// Rows that were read.
    pub(crate) read: u64,
}

impl Tolerance {
    /// For a run that wrote so many rows.
    pub(crate) fn new(target: &Target, written: u64) -> Self {
        let others = "nothing was changed";
        Self { stream: target.stream.clone(), written, ratio: target.max_reject_ratio, aside: None, others }
    }

    /// The same, counting rows that were set aside before.
    pub(crate) fn beside(self, aside: Option<SetAside>) -> Self {
        Self { aside, ..self }
    }

    /// The same for a destination that takes rows one by one.
    pub(crate) fn on_the_way(self) -> Self {
        Self { others: "no more rows are sent", ..self }
    }

    /// So many of so many rows: those refused, with those set aside before, of all.
    fn share(&self, refused: u64) -> (u64, u64) {
        match self.aside {
            None => (refused, self.written),
            Some(aside) => (refused + aside.rows, aside.read),
        }
    }

    /// Whether this number of refused rows is too large.
    pub(crate) fn is_exceeded(&self, refused: u64) -> bool {
        // As a quotient, 29 of 100 is exactly the 0.29 of the settings; as a product it would be less.
        let (part, whole) = self.share(refused);
        self.ratio.is_some_and(|ratio| refused > 0 && part as f64 / whole as f64 > ratio)
    }

    /// Fails with `SYNC-007` where too many of these outcomes are refusals.
    pub(crate) fn check<'a>(&self, outcomes: impl IntoIterator<Item = &'a RowOutcome>) -> Result<()> {
        let reasons = outcomes.into_iter().filter_map(|outcome| match &outcome.outcome {
            Outcome::Rejected { code, reason } => Some((*code, reason.as_str())),
            Outcome::Skipped => None,
        });
        let reasons: Vec<_> = reasons.collect();
        if self.is_exceeded(reasons.len() as u64) { Err(self.exceeded(&reasons)) } else { Ok(()) }
    }

    /// Fails as [`check`](Self::check) does while rows are still being refused, so that not each of them has to be found:
    /// `refused` counts all that are lost, `known` and `lost` are those whose reasons are known.
    pub(crate) fn check_early<'a>(
        &self,
        refused: u64,
        known: impl Iterator<Item = &'a RowOutcome>,
        lost: impl Iterator<Item = RowOutcome>,
    ) -> Result<()> {
        if !self.is_exceeded(refused) {
            return Ok(());
        }
        let all: Vec<RowOutcome> = known.cloned().chain(lost).collect();
        self.check(&all)
    }

    /// The error for rows that were refused for these reasons, the first of which is shown.
    fn exceeded(&self, reasons: &[(Code, &str)]) -> Error {
        let mut counts = BTreeMap::new();
        for (code, _) in reasons {
            *counts.entry(code.id).or_insert(0_u64) += 1;
        }
        let counts: Vec<_> = counts.iter().map(|(code, count)| format!("{code} × {count}")).collect();
        let (part, whole) = self.share(reasons.len() as u64);
        let error = Error::new(
            codes::SYNC_007,
            format!(
                "{}: {part} of {whole} rows are refused, and max_reject_ratio is {}; {}",
                self.stream,
                self.ratio.unwrap_or(1.0),
                self.others
            ),
        );
        let error = match reasons.first() {
            Some((code, reason)) => error.hint(format!("the first is refused with {}: {reason}", code.id)),
            None => error,
        };
        error
            .hint(format!("so many by code: {}", counts.join(", ")))
            .hint("mend the rows or the table; raise max_reject_ratio if so many may be left out")
    }
}

#[cfg(test)]
mod tests {
    use tapline_core::{Owner, Refresh, RowId};

    use super::*;

    fn tolerance(written: u64, ratio: Option<f64>) -> Tolerance {
        let target = Target {
            stream: StreamName::parse("public.t").unwrap(),
            owner: Owner { store: String::new(), sync: String::new() },
            generation: 1,
            schema: std::sync::Arc::new(arrow::datatypes::Schema::empty()),
            key: Vec::new(),
            refresh: Refresh::Incremental,
            retractable: false,
            widen: false,
            max_reject_ratio: ratio,
        };
        Tolerance::new(&target, written)
    }

    #[test]
    fn exactly_the_share_is_allowed() {
        for hundredths in 0..=100_u32 {
            let tolerance = tolerance(100, Some(f64::from(hundredths) / 100.0));
            assert!(!tolerance.is_exceeded(hundredths.into()), "{hundredths}");
            assert!(tolerance.is_exceeded(u64::from(hundredths) + 1), "{hundredths}");
        }
        assert!(!tolerance(0, Some(0.0)).is_exceeded(0));
        assert!(!tolerance(1, None).is_exceeded(1));
    }

    #[test]
    fn rows_set_aside_count() {
        let aside = Some(SetAside { rows: 2, read: 10 });
        for (refused, exceeded) in [(0, false), (1, false), (2, true)] {
            assert_eq!(tolerance(3, Some(0.3)).beside(aside).is_exceeded(refused), exceeded, "{refused}");
        }
    }

    #[test]
    fn the_error_counts_by_code_and_shows_the_first_reason() {
        let rejected = |code, reason: &str| RowOutcome {
            row: RowId { seq: 0, ordinal: 0 },
            outcome: Outcome::Rejected { code, reason: reason.to_owned() },
        };
        let skipped = RowOutcome { row: RowId { seq: 0, ordinal: 1 }, outcome: Outcome::Skipped };
        let outcomes = [
            skipped,
            rejected(codes::ROW_002, "a check"),
            rejected(codes::ROW_001, "a"),
            rejected(codes::ROW_002, "b"),
        ];
        tolerance(4, Some(0.75)).check(&outcomes).expect("skipped rows are not refused");
        let error = tolerance(4, Some(0.5)).check(&outcomes).unwrap_err();
        assert_eq!(error.code(), codes::SYNC_007);
        assert!(error.message().contains("3 of 4 rows"), "{}", error.message());
        assert_eq!(error.hints()[0], "the first is refused with ROW-002: a check");
        assert_eq!(error.hints()[1], "so many by code: ROW-001 × 1, ROW-002 × 2");
    }
}
