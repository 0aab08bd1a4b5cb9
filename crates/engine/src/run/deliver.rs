//! Delivering to a destination that has no marker: many requests instead of one transaction, noted one by one.
//! Not here: the order of a run's steps (`walk`), what becomes of the answers (`commit`, `recover`).
//! Called between intent and commit, and by recovery, which reads what a killed run had noted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tapline_core::{Answer, Error, Outcome, Result, RowId, RowOutcome, RowRange, codes, failpoint};

use super::scan::Scanned;
use super::walk::Walk;

/// How often notes are forced to the disk; a process that is killed loses none of those in between.
const SYNC: Duration = Duration::from_secs(1);

/// What a destination has answered for so far.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Delivered rows by batch: the end of each stretch by its beginning.
    delivered: HashMap<u64, BTreeMap<u32, u32>>,
    rows: u64,
    answered: HashSet<RowId>,
    outcomes: Vec<RowOutcome>,
}

impl Answers {
    /// Adds what was answered since.
    pub(crate) fn add(&mut self, answer: Answer) {
        for RowRange { seq, first, rows } in answer.delivered {
            let stretches = self.delivered.entry(seq).or_default();
            let (mut begin, mut end) = (first, first + rows);
            if let Some(next) = stretches.remove(&end) {
                end = next;
            }
            if let Some((before, until)) = stretches.range(..begin).next_back()
                && *until == begin
            {
                begin = *before;
            }
            stretches.insert(begin, end);
            self.rows += u64::from(rows);
        }
        self.answered.extend(answer.outcomes.iter().map(|outcome| outcome.row));
        self.outcomes.extend(answer.outcomes);
    }

    /// Whether the destination has taken the row.
    pub(crate) fn has(&self, row: RowId) -> bool {
        self.delivered
            .get(&row.seq)
            .and_then(|stretches| stretches.range(..=row.ordinal).next_back())
            .is_some_and(|(_, end)| row.ordinal < *end)
    }

    /// Whether the destination has taken or refused the row.
    pub(crate) fn knows(&self, row: RowId) -> bool {
        self.answered.contains(&row) || self.has(row)
    }

    /// Whether no row was answered for.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0 && self.outcomes.is_empty()
    }

    /// How many rows the destination has taken.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// The rows that it has not taken.
    pub(crate) fn outcomes(&self) -> &[RowOutcome] {
        &self.outcomes
    }
}

/// An answer as it is noted.
#[derive(Serialize, Deserialize)]
struct Note {
    delivered: Vec<RowRange>,
    outcomes: Vec<NotedOutcome>,
}

#[derive(Serialize, Deserialize)]
struct NotedOutcome {
    row: RowId,
    /// Code and reason of a refusal; nothing of a row that was skipped.
    refusal: Option<(String, String)>,
}

impl From<&Answer> for Note {
    fn from(answer: &Answer) -> Self {
        let outcomes = answer.outcomes.iter().map(|outcome| NotedOutcome {
            row: outcome.row,
            refusal: match &outcome.outcome {
                Outcome::Rejected { code, reason } => Some((code.id.to_owned(), reason.clone())),
                Outcome::Skipped => None,
            },
        });
        Self { delivered: answer.delivered.clone(), outcomes: outcomes.collect() }
    }
}

impl From<Note> for Answer {
    fn from(note: Note) -> Self {
        let outcomes = note.outcomes.into_iter().map(|noted| RowOutcome {
            row: noted.row,
            outcome: match noted.refusal {
                Some((code, reason)) => {
                    Outcome::Rejected { code: codes::find(&code).unwrap_or(codes::ROW_002), reason }
                }
                None => Outcome::Skipped,
            },
        });
        Self { delivered: note.delivered, outcomes: outcomes.collect() }
    }
}

/// The answers of one run in a file beside its change log, a line each.
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    synced: Instant,
}

impl Journal {
    fn path(folder: &Path, generation: u64) -> PathBuf {
        folder.join(format!("progress-{generation}.ndjson"))
    }

    /// Begins the journal of a run.
    pub(crate) fn create(folder: &Path, generation: u64) -> Result<Self> {
        let path = Self::path(folder, generation);
        let file = File::create(&path)
            .and_then(|file| File::open(folder)?.sync_all().map(|()| file))
            .map_err(|error| unwritten(&path, error))?;
        Ok(Self { file, path, synced: Instant::now() })
    }

    /// Notes an answer.
    pub(crate) fn add(&mut self, answer: &Answer) -> Result<()> {
        let mut line = serde_json::to_vec(&Note::from(answer))
            .map_err(|error| Error::internal("noting what was delivered").because(error))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|error| unwritten(&self.path, error))?;
        if self.synced.elapsed() >= SYNC {
            self.file.sync_data().map_err(|error| unwritten(&self.path, error))?;
            self.synced = Instant::now();
        }
        Ok(())
    }

    /// What a run has noted; nothing where it did not come so far, or ran on another machine.
    pub(crate) fn read(folder: &Path, generation: u64) -> Answers {
        let mut answers = Answers::default();
        let text = std::fs::read(Self::path(folder, generation)).unwrap_or_default();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            // The last line may be a part of one.
            let Ok(note) = serde_json::from_slice::<Note>(line) else { break };
            answers.add(note.into());
        }
        answers
    }
}

fn unwritten(path: &Path, error: std::io::Error) -> Error {
    Error::new(codes::FILE_006, format!("noting what was delivered in {}", path.display())).because(error)
}

impl Walk<'_> {
    /// Has everything staged delivered. The error is what cut it off; what was answered for until then is in the
    /// answers all the same.
    pub(super) async fn deliver(&mut self, scanned: &mut Scanned) -> (Answers, Option<Error>) {
        let mut answers = Answers::default();
        let mut journal = match Journal::create(&self.job.folder(), self.lease.generation) {
            Ok(journal) => journal,
            Err(error) => return (answers, Some(error)),
        };
        let Err(mut error) = self.send(scanned, &mut answers, &mut journal).await else { return (answers, None) };
        // What is on its way arrives whether the run goes on or not.
        let last = scanned.writer.halt().await;
        if let Err(unnoted) = journal.add(&last) {
            tracing::warn!(error = %unnoted.full_message(), "the last answers are not noted");
        }
        answers.add(last);
        let staged: u64 = scanned.staged.staged.iter().sum();
        if answers.rows() > 0 {
            error = error.hint(format!(
                "{} of {staged} changed rows were delivered and are recorded; the next run sends the others",
                answers.rows()
            ));
        }
        (answers, Some(error))
    }

    async fn send(&mut self, scanned: &mut Scanned, answers: &mut Answers, journal: &mut Journal) -> Result<()> {
        loop {
            let next = scanned.writer.deliver(&scanned.staged.staged);
            let error = match self.cancel.run_until_cancelled(next).await {
                None => return Err(stopped()),
                Some(Ok(None)) => return Ok(()),
                Some(Ok(Some(answer))) => {
                    if answers.is_empty() {
                        self.patience.reached();
                    }
                    self.patience.progressed();
                    journal.add(&answer)?;
                    answers.add(answer);
                    failpoint("delivered");
                    continue;
                }
                Some(Err(error)) => error,
            };
            let Some(wait) = self.patience.after(&error, Instant::now()) else { return Err(error) };
            self.note(format!("{}; trying again in {:.1} s", error.full_message(), wait.as_secs_f64()));
            self.pause(wait).await.map_err(|_| stopped())?;
        }
    }
}

fn stopped() -> Error {
    Error::new(codes::RUN_001, "the run was asked to stop while it delivered")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(seq: u64, ordinal: u32) -> RowOutcome {
        let outcome = Outcome::Rejected { code: codes::ROW_003, reason: "it is there".to_owned() };
        RowOutcome { row: RowId { seq, ordinal }, outcome }
    }

    proptest! {
        #[test]
        fn stretches_hold_exactly_the_rows_that_were_added(order in Just((0..60_u32).collect::<Vec<_>>()).prop_shuffle(), taken in 0..60_usize) {
            let mut answers = Answers::default();
            for ordinal in &order[..taken] {
                answers.add(Answer { delivered: vec![RowRange { seq: 3, first: *ordinal, rows: 1 }], outcomes: Vec::new() });
            }
            for ordinal in 0..60 {
                prop_assert_eq!(answers.has(RowId { seq: 3, ordinal }), order[..taken].contains(&ordinal));
            }
            prop_assert_eq!(answers.rows(), taken as u64);
            let elsewhere = answers.has(RowId { seq: 2, ordinal: 0 });
            prop_assert!(!elsewhere);
        }
    }

    #[test]
    fn a_journal_that_was_cut_off_gives_what_was_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(folder.path(), 7).unwrap();
        let delivered = vec![RowRange { seq: 0, first: 0, rows: 10 }];
        let skipped = RowOutcome { row: RowId { seq: 1, ordinal: 4 }, outcome: Outcome::Skipped };
        journal.add(&Answer { delivered, outcomes: vec![refused(0, 10), skipped.clone()] }).unwrap();
        journal.file.write_all(b"{\"delivered\":[{\"seq\":0,\"fir").unwrap();
        let answers = Journal::read(folder.path(), 7);
        assert_eq!(answers.rows(), 10);
        assert_eq!(answers.outcomes(), [refused(0, 10), skipped]);
        assert!(answers.knows(RowId { seq: 0, ordinal: 10 }) && !answers.has(RowId { seq: 0, ordinal: 10 }));
        assert!(Journal::read(folder.path(), 8).is_empty());
    }
}
