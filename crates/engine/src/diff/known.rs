//! One partition of a snapshot in memory: which keys were delivered, with which values, and which were met again.
//! Not here: reading it from disk (`snapshot`).
//! Called by the comparison.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::RowHash;

/// Keys and row hashes of one partition.
///
/// Keys lie one after the other in a single buffer; the table holds row numbers only. A row costs its key, 16 bytes of
/// hash, and about 13 bytes of offsets, marks and table.
#[derive(Default)]
pub(crate) struct Known {
    keys: Vec<u8>,
    ends: Vec<usize>,
    hashes: Vec<RowHash>,
    marks: Vec<Mark>,
    table: HashTable<u32>,
    state: RandomState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Delivered,
    Met,
    Removed,
}

/// What the comparison says of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The key was delivered with the same values.
    Unchanged,
    /// The key was delivered with other values.
    Updated,
    /// The key was not delivered before.
    Inserted,
    /// Another row of this scan has the same key, which was delivered before.
    Duplicate,
}

/// The key of a row among keys that end there.
fn key_at<'a>(keys: &'a [u8], ends: &[usize], row: usize) -> &'a [u8] {
    let start = row.checked_sub(1).map_or(0, |before| ends[before]);
    &keys[start..ends[row]]
}

impl Known {
    fn key(&self, row: usize) -> &[u8] {
        key_at(&self.keys, &self.ends, row)
    }

    fn find(&self, key: &[u8]) -> Option<usize> {
        let hash = self.state.hash_one(key);
        self.table.find(hash, |row| self.key(*row as usize) == key).map(|row| *row as usize)
    }

    /// Makes room for so many more rows.
    pub(crate) fn reserve(&mut self, rows: usize) {
        self.ends.reserve(rows);
        self.hashes.reserve(rows);
        self.marks.reserve(rows);
        let Self { keys, ends, table, state, .. } = self;
        table.reserve(rows, |row| state.hash_one(key_at(keys, ends, *row as usize)));
    }

    /// Records a delivery; a later one of the same key replaces the earlier.
    pub(crate) fn insert(&mut self, key: &[u8], hash: RowHash) {
        let Self { keys, ends, hashes, marks, table, state } = self;
        let entry = table.entry(
            state.hash_one(key),
            |row| key_at(keys, ends, *row as usize) == key,
            |row| state.hash_one(key_at(keys, ends, *row as usize)),
        );
        match entry {
            Entry::Occupied(found) => {
                let row = *found.get() as usize;
                hashes[row] = hash;
                marks[row] = Mark::Delivered;
            }
            Entry::Vacant(vacant) => {
                vacant.insert(ends.len() as u32);
                keys.extend_from_slice(key);
                ends.push(keys.len());
                hashes.push(hash);
                marks.push(Mark::Delivered);
            }
        }
    }

    /// Forgets a delivery.
    pub(crate) fn remove(&mut self, key: &[u8]) {
        if let Some(row) = self.find(key) {
            self.marks[row] = Mark::Removed;
        }
    }

    /// Compares a row of the scan with what was delivered, and marks its key as met.
    pub(crate) fn meet(&mut self, key: &[u8], hash: &RowHash) -> Verdict {
        match self.find(key) {
            Some(row) if self.marks[row] == Mark::Met => Verdict::Duplicate,
            Some(row) if self.marks[row] == Mark::Delivered => {
                self.marks[row] = Mark::Met;
                if self.hashes[row] == *hash { Verdict::Unchanged } else { Verdict::Updated }
            }
            _ => Verdict::Inserted,
        }
    }

    /// Notes a key; `false` when it was noted before.
    pub(crate) fn is_first(&mut self, key: &[u8]) -> bool {
        let before = self.ends.len();
        self.insert(key, [0; 16]);
        self.ends.len() > before
    }

    /// The keys that were delivered and not met in this scan.
    pub(crate) fn unmet(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).filter(|row| self.marks[*row] == Mark::Delivered).map(|row| self.key(row))
    }

    /// Every delivered row: key and hash.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&[u8], &RowHash)> {
        (0..self.ends.len())
            .filter(|row| self.marks[*row] != Mark::Removed)
            .map(|row| (self.key(row), &self.hashes[row]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_unchanged_updated_inserted_or_met_twice() {
        let mut known = Known::default();
        known.insert(b"a", [1; 16]);
        known.insert(b"b", [2; 16]);
        known.insert(b"gone", [3; 16]);
        known.remove(b"gone");
        assert_eq!(known.rows().count(), 2);
        assert_eq!(known.meet(b"a", &[1; 16]), Verdict::Unchanged);
        assert_eq!(known.meet(b"a", &[9; 16]), Verdict::Duplicate);
        assert_eq!(known.meet(b"gone", &[3; 16]), Verdict::Inserted);
        assert_eq!(known.unmet().collect::<Vec<_>>(), [b"b"]);
        assert_eq!(known.meet(b"b", &[9; 16]), Verdict::Updated);
        assert_eq!(known.unmet().count(), 0);
    }

    #[test]
    fn a_later_delivery_replaces_an_earlier_one() {
        let mut known = Known::default();
        for round in 0..3_u8 {
            for number in 0..1_000_u32 {
                known.insert(&number.to_be_bytes(), [round; 16]);
            }
        }
        known.remove(&7_u32.to_be_bytes());
        known.insert(&7_u32.to_be_bytes(), [2; 16]);
        assert_eq!(known.rows().count(), 1_000);
        assert!(known.rows().all(|(_, hash)| *hash == [2; 16]));
    }
}
