//! Which rows of a set stay, which staged rows are written, and what happens to the others: a join by hashes of keys.
//! Not here: the rows themselves, which neither come nor go here.
//! Called when a run is published.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::FieldRef;
use sha2::{Digest, Sha256};
use tapline_core::values::Column;
use tapline_core::{Error, Op, Result, RowId};

use super::local;

/// So many parts the hashes are kept in; one of them is in memory at a time.
const PARTITIONS: usize = 64;
/// Entries that wait in memory before they go to disk.
const WAITING: usize = 1 << 20;

/// A hash, long enough that no two keys share one.
pub(crate) type Hash = [u8; 16];

/// Hashes some columns of a batch, row by row, by the texts of their values: a number has the hash of its digits,
/// whatever type they came in.
pub(crate) fn hashes(fields: &[FieldRef], columns: &[ArrayRef], rows: usize) -> Result<Vec<Hash>> {
    let unprintable = |error| Error::internal("a value has no text").because(error);
    let columns: Vec<Column> = fields
        .iter()
        .zip(columns)
        .map(|(field, array)| Column::new(&field.as_ref().clone().with_data_type(array.data_type().clone()), array))
        .collect::<Result<_, _>>()
        .map_err(unprintable)?;
    let mut text = Vec::new();
    let hash = |row| {
        text.clear();
        for column in &columns {
            let start = text.len();
            text.extend_from_slice(&[0; 9]);
            if column.text(row, &mut text) {
                let length = (text.len() - start - 9) as u64;
                text[start] = 1;
                text[start + 1..start + 9].copy_from_slice(&length.to_le_bytes());
            }
        }
        let digest = Sha256::digest(&text);
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        hash
    };
    Ok((0..rows).map(hash).collect())
}

/// The hashes of a batch's columns of these names.
pub(crate) fn hashes_of(rows: &RecordBatch, names: &[String]) -> Result<Vec<Hash>> {
    let schema = rows.schema();
    let mut fields = Vec::with_capacity(names.len());
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let (index, field) =
            schema.fields().find(name).ok_or_else(|| Error::internal(format!("the rows lack the field {name:?}")))?;
        fields.push(field.clone());
        columns.push(rows.column(index).clone());
    }
    hashes(&fields, &columns, rows.num_rows())
}

/// One bit per row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    pub(crate) fn set(&mut self, index: usize) {
        if self.0.len() <= index / 64 {
            self.0.resize(index / 64 + 1, 0);
        }
        self.0[index / 64] |= 1 << (index % 64);
    }

    pub(crate) fn clear(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word &= !(1 << (index % 64));
        }
    }

    pub(crate) fn get(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The bits of so many rows from `start` on.
    pub(crate) fn slice(&self, start: usize, rows: usize) -> BooleanBuffer {
        BooleanBuffer::collect_bool(rows, |row| self.get(start + row))
    }
}

/// A row by the hash of its key, and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) key: Hash,
    /// Its number in the set, or `seq` and `ordinal` of a staged row.
    pub(crate) place: u64,
    /// The hash of all its values, where that is asked for.
    pub(crate) values: Hash,
}

impl Entry {
    const LENGTH: usize = 40;

    fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..16].copy_from_slice(&self.key);
        bytes[16..24].copy_from_slice(&self.place.to_le_bytes());
        bytes[24..].copy_from_slice(&self.values);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let mut entry = Self { key: [0; 16], place: 0, values: [0; 16] };
        let mut place = [0; 8];
        entry.key.copy_from_slice(&bytes[..16]);
        place.copy_from_slice(&bytes[16..24]);
        entry.values.copy_from_slice(&bytes[24..Self::LENGTH]);
        entry.place = u64::from_le_bytes(place);
        entry
    }
}

/// Where a staged row stands in an [`Entry`].
pub(crate) fn place_of(row: RowId) -> u64 {
    row.seq << 32 | u64::from(row.ordinal)
}

fn row_of(place: u64) -> RowId {
    RowId { seq: place >> 32, ordinal: place as u32 }
}

/// Entries by parts, on disk beyond the first million.
#[derive(Debug)]
pub(crate) struct Entries {
    waiting: Vec<Vec<Entry>>,
    count: usize,
    files: Vec<Option<File>>,
}

impl Default for Entries {
    fn default() -> Self {
        let files = std::iter::repeat_with(|| None).take(PARTITIONS).collect();
        Self { waiting: vec![Vec::new(); PARTITIONS], count: 0, files }
    }
}

impl Entries {
    pub(crate) fn push(&mut self, entry: Entry) -> Result<()> {
        self.waiting[usize::from(entry.key[0]) % PARTITIONS].push(entry);
        self.count += 1;
        if self.count < WAITING { Ok(()) } else { self.spill() }
    }

    fn spill(&mut self) -> Result<()> {
        let failed = |error| local::fault("keeping hashes of keys", error);
        for (waiting, file) in self.waiting.iter_mut().zip(&mut self.files) {
            let bytes: Vec<u8> = waiting.drain(..).flat_map(Entry::to_bytes).collect();
            let file = match file {
                Some(file) => file,
                None => file.insert(tempfile::tempfile().map_err(failed)?),
            };
            file.write_all(&bytes).map_err(failed)?;
        }
        self.count = 0;
        Ok(())
    }

    /// The entries of a part, in order.
    fn take(&mut self, partition: usize) -> Result<Vec<Entry>> {
        let failed = |error| local::fault("reading hashes of keys", error);
        let mut entries = std::mem::take(&mut self.waiting[partition]);
        if let Some(mut file) = self.files[partition].take() {
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes)).map_err(failed)?;
            entries.extend(bytes.chunks_exact(Entry::LENGTH).map(Entry::from_bytes));
        }
        entries.sort_unstable();
        Ok(entries)
    }
}

/// How staged rows meet the rows of the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// By their operations; rows without a staged one stay.
    Change,
    /// Staged rows take the place of all others, except of those whose newest version was refused.
    Replace,
    /// The same without a key: every hash is of a whole row, and rows may be there more than once.
    ReplaceAll,
}

/// What was staged, batch by batch.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    /// The operation of each batch.
    pub(crate) ops: Vec<Op>,
    /// The rows of each batch that are to be applied.
    pub(crate) live: Vec<Bits>,
    /// Of all rows that have a key.
    pub(crate) entries: Entries,
}

/// What the join decides.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    /// Rows of the set that go.
    pub(crate) dropped: Bits,
    /// Those of them that no staged row takes the place of.
    pub(crate) gone: Bits,
    /// Staged rows whose key was in the set, by batch.
    pub(crate) known: Vec<Bits>,
    /// Those of them whose values are as they were.
    pub(crate) same: Vec<Bits>,
    /// Updates of absent keys.
    pub(crate) skipped: Vec<RowId>,
    /// Inserts of keys that are there.
    pub(crate) refused: Vec<RowId>,
    /// Rows that a full refresh removed.
    pub(crate) removed: u64,
}

/// Joins the staged rows with those of the set, and takes rows that are not written off the live ones.
pub(crate) fn decide(rule: Rule, staged: &mut Staged, mut set: Entries) -> Result<Decision> {
    let mut decision = Decision::default();
    decision.known.resize(staged.ops.len(), Bits::default());
    decision.same.resize(staged.ops.len(), Bits::default());
    for partition in 0..PARTITIONS {
        let theirs = set.take(partition)?;
        let mut ours = staged.entries.take(partition)?;
        let op = |entry: &Entry| staged.ops[row_of(entry.place).seq as usize];
        ours.sort_by_key(|entry| (entry.key, op(entry), entry.place));
        let (mut theirs, mut ours) = (theirs.as_slice(), ours.as_slice());
        loop {
            let key = match (theirs.first(), ours.first()) {
                (Some(their), Some(our)) => their.key.min(our.key),
                (Some(entry), None) | (None, Some(entry)) => entry.key,
                (None, None) => break,
            };
            let of_key = |entries: &[Entry]| entries.iter().take_while(|entry| entry.key == key).count();
            let (their, rest) = theirs.split_at(of_key(theirs));
            theirs = rest;
            let (our, rest) = ours.split_at(of_key(ours));
            ours = rest;
            match rule {
                Rule::ReplaceAll => decision.replace_all(their, our, staged),
                Rule::Replace => decision.replace(their, our, staged),
                Rule::Change => decision.change(their, our, staged),
            }
        }
    }
    Ok(decision)
}

impl Decision {
    fn replace_all(&mut self, their: &[Entry], our: &[Entry], staged: &Staged) {
        let live = our.iter().filter(|entry| is_live(staged, entry)).count();
        their.iter().for_each(|entry| self.dropped.set(entry.place as usize));
        self.removed += their.len().saturating_sub(live) as u64;
    }

    fn replace(&mut self, their: &[Entry], our: &[Entry], staged: &mut Staged) {
        let mut live = our.iter().filter(|entry| is_live(staged, entry)).copied().collect::<Vec<_>>();
        // The last version of a key counts.
        let last = live.pop();
        live.iter().for_each(|entry| take_off(staged, entry));
        for entry in their {
            match last {
                Some(last) => {
                    self.dropped.set(entry.place as usize);
                    self.note_known(&last, entry);
                }
                None if our.is_empty() => {
                    self.dropped.set(entry.place as usize);
                    self.gone.set(entry.place as usize);
                    self.removed += 1;
                }
                None => {}
            }
        }
    }

    fn change(&mut self, their: &[Entry], our: &[Entry], staged: &mut Staged) {
        let (mut present, mut holder) = (!their.is_empty(), None);
        let mut touched = false;
        for entry in our {
            if !is_live(staged, entry) {
                continue;
            }
            let row = row_of(entry.place);
            match (staged.ops[row.seq as usize], present) {
                (Op::Delete, _) => {
                    touched |= present;
                    present = false;
                    if let Some(before) = holder.take() {
                        take_off(staged, &before);
                    }
                }
                (Op::Update, false) => {
                    take_off(staged, entry);
                    self.skipped.push(row);
                }
                (Op::Insert, true) => {
                    take_off(staged, entry);
                    self.refused.push(row);
                }
                (Op::Update, true) | (Op::Insert, false) | (Op::Upsert, _) => {
                    touched = true;
                    present = true;
                    if let Some(before) = holder.replace(*entry) {
                        take_off(staged, &before);
                    }
                }
            }
        }
        if !touched {
            return;
        }
        for entry in their {
            self.dropped.set(entry.place as usize);
            match holder {
                Some(holder) => self.note_known(&holder, entry),
                None => self.gone.set(entry.place as usize),
            }
        }
    }

    fn note_known(&mut self, staged: &Entry, entry: &Entry) {
        let row = row_of(staged.place);
        self.known[row.seq as usize].set(row.ordinal as usize);
        if staged.values == entry.values {
            self.same[row.seq as usize].set(row.ordinal as usize);
        }
    }
}

fn is_live(staged: &Staged, entry: &Entry) -> bool {
    let row = row_of(entry.place);
    staged.live[row.seq as usize].get(row.ordinal as usize)
}

fn take_off(staged: &mut Staged, entry: &Entry) {
    let row = row_of(entry.place);
    staged.live[row.seq as usize].clear(row.ordinal as usize);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: u8, place: u64) -> Entry {
        Entry { key: [key; 16], place, values: [0; 16] }
    }

    fn staged(batches: &[(Op, &[u8])]) -> Staged {
        let mut staged = Staged::default();
        for (seq, (op, keys)) in (0..).zip(batches) {
            let mut live = Bits::default();
            for (ordinal, key) in (0..).zip(*keys) {
                live.set(ordinal as usize);
                staged.entries.push(entry(*key, place_of(RowId { seq, ordinal }))).unwrap();
            }
            staged.ops.push(*op);
            staged.live.push(live);
        }
        staged
    }

    fn set(keys: &[u8]) -> Entries {
        let mut set = Entries::default();
        for (place, key) in (0..).zip(keys) {
            set.push(entry(*key, place)).unwrap();
        }
        set
    }

    fn rows(bits: &Bits, rows: usize) -> Vec<usize> {
        (0..rows).filter(|row| bits.get(*row)).collect()
    }

    #[test]
    fn every_operation_meets_present_and_absent_keys() {
        let mut staged =
            staged(&[(Op::Delete, &[1, 9]), (Op::Update, &[2, 8]), (Op::Insert, &[3, 7]), (Op::Upsert, &[4, 6])]);
        let decision = decide(Rule::Change, &mut staged, set(&[1, 2, 3, 4, 5])).unwrap();
        assert_eq!(rows(&decision.dropped, 5), [0, 1, 3]);
        assert_eq!(rows(&decision.gone, 5), [0]);
        assert_eq!(decision.skipped, [RowId { seq: 1, ordinal: 1 }]);
        assert_eq!(decision.refused, [RowId { seq: 2, ordinal: 0 }]);
        let live: Vec<Vec<usize>> = staged.live[1..].iter().map(|live| rows(live, 2)).collect();
        assert_eq!(live, [vec![0], vec![1], vec![0, 1]]);
        assert_eq!(decision.removed, 0);
    }

    #[test]
    fn deletes_come_first_whatever_the_order_of_the_batches() {
        let mut staged = staged(&[(Op::Insert, &[1]), (Op::Delete, &[1])]);
        let decision = decide(Rule::Change, &mut staged, set(&[1])).unwrap();
        assert!(decision.refused.is_empty() && staged.live[0].get(0) && decision.dropped.get(0));
        assert!(!decision.gone.get(0), "a new row takes its place");
    }

    #[test]
    fn a_refresh_keeps_rows_whose_new_version_was_refused() {
        let mut staged = staged(&[(Op::Upsert, &[1, 2, 4])]);
        staged.live[0].clear(0);
        let decision = decide(Rule::Replace, &mut staged, set(&[1, 2, 3])).unwrap();
        assert_eq!(rows(&decision.dropped, 3), [1, 2]);
        assert_eq!(rows(&decision.gone, 3), [2]);
        assert_eq!(decision.removed, 1);
    }

    #[test]
    fn without_a_key_rows_are_counted() {
        let mut staged = staged(&[(Op::Insert, &[1, 3])]);
        let decision = decide(Rule::ReplaceAll, &mut staged, set(&[1, 1, 2])).unwrap();
        assert_eq!((rows(&decision.dropped, 3), decision.removed), (vec![0, 1, 2], 2));
    }

    #[test]
    fn entries_survive_the_disk() {
        let mut entries = set(&[7, 3, 7]);
        entries.spill().unwrap();
        entries.push(entry(7, 9)).unwrap();
        assert_eq!(entries.take(7).unwrap(), [entry(7, 0), entry(7, 2), entry(7, 9)]);
    }
}
