//! What the engine hands to a destination, and what a destination answers.
//! Not here: the traits that carry them (see `destination`), and how they are made (the engine's diff).
//! Called by the engine and by every destination.

use arrow::array::RecordBatch;

use crate::codes::Code;

/// What to do with every row of a [`ChangeBatch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Op {
    /// Remove the row with this key; an absent key is done already.
    Delete = 0,
    /// Change the row with this key; an absent key is skipped.
    Update = 1,
    /// Add the row; a key that is there already is rejected.
    Insert = 2,
    /// Add the row, or change the one with this key.
    Upsert = 3,
}

impl Op {
    /// The inverse of `op as u8`.
    pub fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Delete),
            1 => Some(Self::Update),
            2 => Some(Self::Insert),
            3 => Some(Self::Upsert),
            _ => None,
        }
    }
}

/// Rows that share one operation.
#[derive(Debug, Clone)]
pub struct ChangeBatch {
    /// Number of the batch within its run: 0, 1, 2, … without a gap.
    pub seq: u64,
    /// The operation of every row.
    pub op: Op,
    /// The mapped fields, in the order of [`Target::schema`](crate::Target::schema); for [`Op::Delete`] the key
    /// fields alone, in the order of [`Target::key`](crate::Target::key).
    pub rows: RecordBatch,
}

/// The address of a row within its run: the batch's number and the row's index in the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct RowId {
    /// [`ChangeBatch::seq`].
    pub seq: u64,
    /// Index in [`ChangeBatch::rows`].
    pub ordinal: u32,
}

/// What happened to a row that was not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The destination refused the row. It is kept, shown, and offered again by later runs.
    Rejected {
        /// Why, as a stable code.
        code: Code,
        /// Why, in words: names of columns and constraints, never a cell value.
        reason: String,
    },
    /// There was nothing to do: an update of a key that the destination does not hold.
    Skipped,
}

/// A row that was not applied, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowOutcome {
    /// Which row.
    pub row: RowId,
    /// What happened to it.
    pub outcome: Outcome,
}

/// A destination's word on how far it has come. *Accepted* is a promise to try and is no progress; *durable* means
/// visible to every reader and safe across a crash of either side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Every batch up to and including this number has been taken in.
    pub accepted_through: Option<u64>,
    /// Every batch up to and including this number is visible and safe, less the rows in `outcomes`.
    pub durable_through: Option<u64>,
    /// Rows that were not applied.
    pub outcomes: Vec<RowOutcome>,
    /// Full refresh: rows that the stream held and the model does not, now gone.
    pub removed: u64,
}

/// Rows of one batch that lie side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RowRange {
    /// [`ChangeBatch::seq`].
    pub seq: u64,
    /// Index of the first row in [`ChangeBatch::rows`].
    pub first: u32,
    /// How many rows.
    pub rows: u32,
}

/// What a destination that has no [`Marker`](crate::Marker) has answered for since it was last asked. A row is named
/// once, over all answers of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Rows that it has taken for good.
    pub delivered: Vec<RowRange>,
    /// Rows that it has not taken, and why; none of them is among `delivered`.
    pub outcomes: Vec<RowOutcome>,
}

impl Answer {
    /// Whether it answers for no row.
    pub fn is_empty(&self) -> bool {
        self.delivered.is_empty() && self.outcomes.is_empty()
    }

    /// Adds a delivered row, to the last range where it follows it.
    pub fn deliver(&mut self, row: RowId) {
        match self.delivered.last_mut() {
            Some(last) if last.seq == row.seq && last.first + last.rows == row.ordinal => last.rows += 1,
            _ => self.delivered.push(RowRange { seq: row.seq, first: row.ordinal, rows: 1 }),
        }
    }
}
