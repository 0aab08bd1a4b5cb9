//! What a scan has read so far: files, rows, lines that were no rows.
//! Not here: bytes and requests, which the store counts.
//! Called by the scans, which add, and by runs and `query`, which report.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use tapline_core::{SourceReject, SourceRowCounts};

/// How many rejected lines are kept with their reasons; the count goes on beyond it.
const KEPT_REJECTS: usize = 10_000;

/// Files whose additional columns are told.
const TOLD_FILES: usize = 10;

/// Counters of one statement, shared by all its scans.
///
/// A file that the statement names twice is read twice, but its lines are lines of the source once: counts are kept
/// per file.
#[derive(Debug, Default)]
pub struct ScanCounters {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    files: HashMap<String, (u64, u64)>,
    opened: HashSet<String>,
    rejects: Vec<SourceReject>,
    rejected_files: HashSet<String>,
    /// Files with columns that the table lacks.
    wider_files: HashSet<String>,
}

impl ScanCounters {
    /// Notes that a file is being read.
    pub fn open(&self, file: &str) {
        self.inner.lock().opened.insert(file.to_owned());
    }

    /// Tells of columns of a file that the table lacks, once, and for the first files only.
    pub fn note_extra(&self, file: &str, columns: &[String]) {
        if columns.is_empty() {
            return;
        }
        let mut inner = self.inner.lock();
        if inner.wider_files.len() < TOLD_FILES && inner.wider_files.insert(file.to_owned()) {
            let columns = columns.join("\", \"");
            tracing::warn!(
                "{file} has columns that the files before it lack, which are not read without union_by_name: \"{columns}\""
            );
        }
    }

    /// Sets how many rows and rejected lines a scan of `file` has seen so far.
    pub fn set(&self, file: &str, rows: u64, rejected: u64) {
        let mut inner = self.inner.lock();
        let counts = inner.files.entry(file.to_owned()).or_default();
        *counts = (counts.0.max(rows), counts.1.max(rejected));
    }

    /// Whether no other scan has asked this of a file; a second scan of the same file meets the same rejects.
    pub fn is_first_to_reject(&self, file: &str) -> bool {
        self.inner.lock().rejected_files.insert(file.to_owned())
    }

    /// Keeps rejected lines.
    pub fn keep_rejects(&self, rejects: Vec<SourceReject>) {
        let mut inner = self.inner.lock();
        let room = KEPT_REJECTS.saturating_sub(inner.rejects.len());
        inner.rejects.extend(rejects.into_iter().take(room));
    }

    /// Rows and rejected lines of all line-based files.
    pub fn rows(&self) -> SourceRowCounts {
        let inner = self.inner.lock();
        inner.files.values().fold(SourceRowCounts::default(), |sum, (rows, rejected)| SourceRowCounts {
            read: sum.read + rows,
            rejected: sum.rejected + rejected,
        })
    }

    /// How many files were opened.
    pub fn files_read(&self) -> u64 {
        self.inner.lock().opened.len() as u64
    }

    /// The rejected lines, by file and line.
    pub fn rejects(&self) -> Vec<SourceReject> {
        let mut rejects = self.inner.lock().rejects.clone();
        rejects.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
        rejects
    }
}
