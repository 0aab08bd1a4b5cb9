//! The comparison of a scan with a snapshot, in bounded memory.
//! Not here: what becomes of the rows (`run`), how they wait on disk (`aside`).
//! Called by runs and plans.
//!
//! Partitions of the snapshot are held in memory while they fit into the budget, and their rows are compared at once.
//! Of the others, fingerprints are held, an eighth of the memory: a row that is among them is probably unchanged, and
//! only its key and hash are noted. Any other row is set aside whole. After the scan, one partition at a time is loaded
//! and compared with what was noted and set aside, so that no verdict rests on a fingerprint.

use std::num::NonZero;
use std::path::{Path, PathBuf};

use tapline_core::Result;

use super::aside::{Aside, AsideReader, AsideRows, Noted, Waiting};
use super::fingerprints::Fingerprints;
use super::known::{Known, Verdict};
use super::snapshot::{SnapshotReader, SnapshotRef};
use super::{PARTITIONS, RowHash};

/// Memory for what is held of a snapshot while scanning, in bytes.
const HELD_BYTES: u64 = 192 << 20;
/// Estimated memory of one row of a held partition, less its key, in bytes.
const ROW_BYTES: u64 = 48;

/// Compares the rows of one scan with what was delivered before.
pub(crate) struct Comparison {
    folder: PathBuf,
    snapshot: SnapshotRef,
    partitions: Vec<Partition>,
    /// Rows that are set aside and in no file yet.
    waiting: Option<Waiting>,
}

/// What is held of a partition, and what waits for the rest of it.
#[derive(Default)]
struct Partition {
    held: Held,
    noted: Option<Noted>,
    aside: Option<Aside>,
}

#[derive(Default)]
enum Held {
    #[default]
    Nothing,
    Fingerprints(Fingerprints),
    Rows(Known),
}

/// What is known of a row while scanning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meeting {
    /// It was compared.
    Compared(Verdict),
    /// It is probably unchanged; its key and hash wait for the end of the scan.
    Noted,
    /// It has to be set aside whole.
    Unknown,
}

/// How much memory a comparison may take, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// For what is held of the snapshot while scanning, in bytes.
    pub(crate) bytes: u64,
    /// Whether fingerprints may stand for rows at first.
    pub(crate) fingerprints: bool,
}

impl Memory {
    /// The memory of a run; without fingerprints where they have misled an attempt.
    pub(crate) fn of_a_run(fingerprints: bool) -> Self {
        Self { bytes: HELD_BYTES, fingerprints }
    }

    /// For how many partitions of a snapshot rows are held, and for how many after those, fingerprints.
    fn shares(self, snapshot: &SnapshotRef) -> (usize, usize) {
        let bytes: u64 = snapshot.files.iter().map(|file| file.bytes).sum::<u64>() + snapshot.rows * ROW_BYTES;
        let rows = bytes / PARTITIONS as u64 + 1;
        let written: u64 = snapshot.files.iter().map(|file| file.rows).sum();
        let fingerprints = Fingerprints::bytes(written / PARTITIONS as u64 + 1);
        let fit = |bytes: u64, each: u64| usize::try_from(bytes / each).unwrap_or(PARTITIONS).min(PARTITIONS);
        if fit(self.bytes, rows) == PARTITIONS || !self.fingerprints || rows <= fingerprints {
            return (fit(self.bytes, rows), 0);
        }
        let spare = self.bytes.saturating_sub(fingerprints * PARTITIONS as u64);
        let held = fit(spare, rows - fingerprints);
        (held, fit(self.bytes - held as u64 * rows, fingerprints).min(PARTITIONS - held))
    }
}

/// A partition at the end of the scan.
pub(crate) struct Ended {
    /// Its part of the snapshot, with the keys marked that were met.
    pub(crate) known: Known,
    /// Noted rows that are unchanged.
    pub(crate) unchanged: u64,
    /// Keys of noted rows that were met before.
    pub(crate) duplicates: Vec<Vec<u8>>,
    /// Whether a noted row is not unchanged after all: its values are gone, and the scan has to begin again.
    pub(crate) misled: bool,
    /// Rows that were set aside.
    pub(crate) aside: Option<AsideReader>,
}

impl Comparison {
    /// Opens a snapshot for comparison; an empty one makes every row new.
    pub(crate) fn open(folder: &Path, snapshot: &SnapshotRef, memory: Memory) -> Result<Self> {
        let (rows, fingerprints) = memory.shares(snapshot);
        let load = |reader: &mut SnapshotReader, partition: usize| {
            Ok(if partition < rows {
                Held::Rows(reader.load(partition)?)
            } else {
                Held::Fingerprints(reader.fingerprints(partition)?)
            })
        };
        let held = on_all_processors(folder, snapshot, (0..rows + fingerprints).collect(), load)?;
        let mut partitions: Vec<Partition> =
            held.into_iter().map(|held| Partition { held, ..Partition::default() }).collect();
        partitions.resize_with(PARTITIONS, Partition::default);
        Ok(Self { folder: folder.to_owned(), snapshot: snapshot.clone(), partitions, waiting: None })
    }

    /// Compares a row as far as that can be done now.
    pub(crate) fn meet(&mut self, partition: usize, key: &[u8], hash: &RowHash) -> Result<Meeting> {
        let Partition { held, noted, .. } = &mut self.partitions[partition];
        match held {
            Held::Rows(known) => return Ok(Meeting::Compared(known.meet(key, hash))),
            Held::Fingerprints(fingerprints) if fingerprints.contains(hash) => {}
            Held::Fingerprints(_) | Held::Nothing => return Ok(Meeting::Unknown),
        }
        let noted = match noted {
            Some(noted) => noted,
            empty => empty.insert(Noted::create(&self.folder)?),
        };
        noted.push(key, hash)?;
        Ok(Meeting::Noted)
    }

    /// Sets rows aside.
    pub(crate) fn set_aside(&mut self, rows: AsideRows<'_>) -> Result<()> {
        let schema = rows.batch.schema();
        let enough = self.waiting.get_or_insert_with(|| Waiting::new(&schema)).push(rows)?;
        if enough { self.write_aside() } else { Ok(()) }
    }

    fn write_aside(&mut self) -> Result<()> {
        let Self { folder, partitions, waiting: Some(waiting), .. } = self else { return Ok(()) };
        waiting.deal(|partition, rows| {
            let aside = match &mut partitions[partition].aside {
                Some(aside) => aside,
                empty => empty.insert(Aside::create(folder, &rows.schema())?),
            };
            aside.push(rows)
        })
    }

    /// Ends the scan for the next partitions, in order, as many at a time as there are processors; none after the last.
    pub(crate) fn end_some(&mut self) -> Result<Vec<Ended>> {
        self.write_aside()?;
        self.waiting = None;
        let first = PARTITIONS - self.partitions.len();
        let count = processors().min(self.partitions.len());
        let ending = self.partitions.drain(..count).enumerate().map(|(index, part)| (first + index, part)).collect();
        on_all_processors(&self.folder, &self.snapshot, ending, |reader, (index, partition)| {
            partition.end(reader, index)
        })
    }
}

impl Partition {
    fn end(self, reader: &mut SnapshotReader, partition: usize) -> Result<Ended> {
        let mut known = match self.held {
            Held::Rows(known) => known,
            Held::Fingerprints(_) | Held::Nothing => reader.load(partition)?,
        };
        let (mut unchanged, mut duplicates, mut misled) = (0, Vec::new(), false);
        if let Some(noted) = self.noted {
            let mut rows = noted.read()?;
            while let Some((key, hash)) = rows.next()? {
                match known.meet(key, &hash) {
                    Verdict::Unchanged => unchanged += 1,
                    Verdict::Duplicate => duplicates.push(key.to_vec()),
                    Verdict::Updated | Verdict::Inserted => misled = true,
                }
            }
        }
        Ok(Ended { known, unchanged, duplicates, misled, aside: self.aside.map(Aside::read).transpose()? })
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Does something with each item and a reader of the snapshot, on all processors; the results are in the items' order.
fn on_all_processors<I: Send, O: Send>(
    folder: &Path,
    snapshot: &SnapshotRef,
    items: Vec<I>,
    work: impl Fn(&mut SnapshotReader, I) -> Result<O> + Sync,
) -> Result<Vec<O>> {
    let workers = processors().min(items.len());
    let mut shares: Vec<Vec<I>> = (0..workers).map(|_| Vec::new()).collect();
    for (index, item) in items.into_iter().enumerate() {
        shares[index % workers].push(item);
    }
    let results: Vec<Result<Vec<O>>> = std::thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> = shares
            .into_iter()
            .map(|share| {
                scope.spawn(move || {
                    let mut reader = SnapshotReader::open(folder, snapshot)?;
                    share.into_iter().map(|item| work(&mut reader, item)).collect()
                })
            })
            .collect();
        let end = |worker: std::thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        running.into_iter().map(end).collect()
    });
    let mut done = results.into_iter().map(|share| Ok(share?.into_iter())).collect::<Result<Vec<_>>>()?;
    let mut ordered = Vec::new();
    while let Some(next) = (!done.is_empty()).then(|| ordered.len() % workers).and_then(|turn| done[turn].next()) {
        ordered.push(next);
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};

    use super::*;
    use crate::diff::rows::{hash, partition_of};
    use crate::diff::snapshot::SnapshotWriter;

    const KEY: [u8; 16] = [7; 16];

    /// The hash of a row.
    fn of(key: i64, value: u8) -> RowHash {
        hash(&KEY, &[&key.to_be_bytes()[..], &[value]].concat())
    }

    /// A snapshot of some rows: a base that holds the first half, and a delta with the others.
    fn snapshot(folder: &Path, rows: &[(i64, RowHash)], deltas: bool) -> SnapshotRef {
        let write = |name: &str, rows: &[(i64, RowHash)]| {
            let mut sorted: Vec<_> =
                rows.iter().map(|(key, hash)| (partition_of(&KEY, &key.to_be_bytes()), key, hash)).collect();
            sorted.sort();
            let mut writer = SnapshotWriter::create(folder, name).unwrap();
            for (partition, key, hash) in sorted {
                writer.push(partition, &key.to_be_bytes(), Some(hash)).unwrap();
            }
            writer.finish().unwrap()
        };
        let files = if deltas {
            let (first, second) = rows.split_at(rows.len() / 2);
            vec![write("base", first), write("delta", second)]
        } else {
            vec![write("base", rows)]
        };
        SnapshotRef { files, rows: rows.len() as u64 }
    }

    /// What a comparison says.
    #[derive(Debug, Default, PartialEq)]
    struct Said {
        unchanged: u64,
        others: Vec<(i64, Verdict)>,
        unmet: Vec<i64>,
        duplicates: usize,
        misled: bool,
    }

    /// Compares a scan with a snapshot, both (key, hash).
    fn compare(delivered: &[(i64, RowHash)], scan: &[(i64, RowHash)], memory: Memory, deltas: bool) -> Said {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = snapshot(folder.path(), delivered, deltas);
        let mut comparison = Comparison::open(folder.path(), &snapshot, memory).unwrap();
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
        let keys: Int64Array = scan.iter().map(|(key, _)| *key).collect::<Vec<_>>().into();
        let batch = RecordBatch::try_new(schema, vec![Arc::new(keys)]).unwrap();
        let mut said = Said::default();
        let count = |said: &mut Said, key: i64, verdict: Verdict| match verdict {
            Verdict::Unchanged => said.unchanged += 1,
            verdict => said.others.push((key, verdict)),
        };
        for (row, (key, hash)) in scan.iter().enumerate() {
            let encoded = key.to_be_bytes();
            let partition = partition_of(&KEY, &encoded);
            match comparison.meet(partition, &encoded, hash).unwrap() {
                Meeting::Compared(verdict) => count(&mut said, *key, verdict),
                Meeting::Noted => {}
                Meeting::Unknown => {
                    let (rows, partitions) = (vec![row as u32], vec![partition]);
                    let rows = AsideRows { batch: &batch, rows, partitions, keys: vec![&encoded], hashes: vec![*hash] };
                    comparison.set_aside(rows).unwrap();
                }
            }
        }
        loop {
            let ended = comparison.end_some().unwrap();
            if ended.is_empty() {
                break;
            }
            for mut ended in ended {
                said.unchanged += ended.unchanged;
                said.duplicates += ended.duplicates.len();
                said.misled |= ended.misled;
                for batch in ended.aside.into_iter().flatten() {
                    let batch = batch.unwrap();
                    let ids = batch.batch.column(0).as_primitive::<Int64Type>();
                    for row in 0..batch.batch.num_rows() {
                        let verdict = ended.known.meet(batch.key(row), &batch.hash(row).unwrap());
                        count(&mut said, ids.value(row), verdict);
                    }
                }
                said.unmet.extend(ended.known.unmet().map(|key| i64::from_be_bytes(key.try_into().unwrap())));
            }
        }
        said.others.sort_by_key(|(key, _)| *key);
        said.unmet.sort_unstable();
        said
    }

    /// Everything in memory; nothing; fingerprints of some or all; rows of some and fingerprints of the others.
    fn memories() -> impl Iterator<Item = Memory> {
        let bytes = [u64::MAX / 2, 0, 10_000, 30_000, 100_000, 200_000];
        bytes.into_iter().flat_map(|bytes| [true, false].map(|fingerprints| Memory { bytes, fingerprints }))
    }

    #[test]
    fn memory_does_not_change_the_outcome() {
        let delivered: Vec<_> = (0..5_000).map(|key| (key, of(key, 1))).collect();
        let scan: Vec<_> = (1_000..6_000).map(|key| (key, of(key, if key % 10 == 0 { 2 } else { 1 }))).collect();
        for deltas in [false, true] {
            for memory in memories() {
                let said = compare(&delivered, &scan, memory, deltas);
                let count = |wanted| said.others.iter().filter(|(_, verdict)| *verdict == wanted).count();
                assert_eq!(
                    (said.unchanged, count(Verdict::Updated), count(Verdict::Inserted), count(Verdict::Duplicate)),
                    (3_600, 400, 1_000, 0),
                    "{memory:?}"
                );
                assert_eq!(said.unmet, (0..1_000).collect::<Vec<i64>>());
                assert_eq!((said.duplicates, said.misled), (0, false));
            }
        }
    }

    #[test]
    fn every_kind_of_memory_is_met() {
        let delivered: Vec<_> = (0..5_000).map(|key| (key, of(key, 1))).collect();
        let folder = tempfile::tempdir().unwrap();
        let snapshot = snapshot(folder.path(), &delivered, false);
        let shares: Vec<(usize, usize)> = memories().map(|memory| memory.shares(&snapshot)).collect();
        assert_eq!(shares[..4], [(PARTITIONS, 0), (PARTITIONS, 0), (0, 0), (0, 0)]);
        assert!(shares.iter().any(|(rows, fingerprints)| *rows == 0 && (1..PARTITIONS).contains(fingerprints)));
        assert!(shares.iter().any(|(rows, fingerprints)| *rows > 0 && rows + fingerprints == PARTITIONS));
    }

    #[test]
    fn a_key_that_is_met_twice_is_a_duplicate_in_any_memory() {
        let delivered: Vec<_> = (0..5_000).map(|key| (key, of(key, 1))).collect();
        let scan = [delivered.clone(), delivered[..100].to_vec()].concat();
        for memory in memories() {
            let said = compare(&delivered, &scan, memory, false);
            assert_eq!((said.unchanged, said.duplicates + said.others.len()), (5_000, 100), "{memory:?}");
        }
    }

    #[test]
    fn a_row_that_only_seems_unchanged_is_not_passed_over() {
        let delivered: Vec<_> = (0..5_000).map(|key| (key, of(key, 1))).collect();
        // Another row with the fingerprint of a delivered one, in its partition.
        let partition = |key: i64| partition_of(&KEY, &key.to_be_bytes());
        for memory in memories() {
            let scan: Vec<_> = (5_000..5_100)
                .filter_map(|key| {
                    delivered.iter().find(|(other, _)| partition(*other) == partition(key)).map(|found| (key, found.1))
                })
                .collect();
            let said = compare(&delivered, &scan, memory, false);
            assert!(said.misled || said.others.len() == 100, "{memory:?}: {said:?}");
            assert_eq!(said.unchanged, 0);
        }
    }
}
