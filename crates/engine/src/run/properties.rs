//! What must hold for every table: applying the difference of two tables to the first one gives the second.
//! Not here: the run around it, with a real destination, which the end-to-end tests kill in every way.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray,
    RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::Int32Type;
use async_trait::async_trait;
use futures::executor::block_on;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use serde_json::Value;
use tapline_core::config::{OnBadKey, Write};
use tapline_core::{ChangeBatch, Op, Receipt, Result, RowCounts, RowId};

use super::commit::{Extent, Kept, settle};
use super::payload::row_json;
use super::record::{IntentRecord, Record};
use super::shape::Shaped;
use super::stage::{ChangeSink, Finished, Keyed, StagePolicy, Staged, Stager};
use crate::diff::compare::{Comparison, Memory};
use crate::diff::log::Change;
use crate::diff::rows::{KeyCodec, RowHasher, RowKeys};
use crate::diff::snapshot::SnapshotRef;

const HASH_KEY: [u8; 16] = [42; 16];
const KEY: [&str; 2] = ["number", "word"];

/// The parts of a composite key.
type Key = (i64, String);

/// One row's values besides its key, of every kind that behaves differently when it is hashed.
#[derive(Debug, Clone, PartialEq)]
struct Fields {
    float: Option<f64>,
    text: Option<String>,
    unsigned: Option<u64>,
    flag: Option<bool>,
    day: Option<i32>,
    moment: Option<i64>,
    amount: Option<i128>,
    bytes: Option<Vec<u8>>,
    list: Option<Vec<Option<i32>>>,
}

type Table = BTreeMap<Key, Fields>;

fn fields() -> impl Strategy<Value = Fields> {
    let first = (of(any::<f64>()), of("[a-c\u{0}é\"]{0,3}"), of(any::<u64>()), of(any::<bool>()), of(-9_999..9_999));
    let second = (of(any::<i32>()), of(-99_i128..99), of(vec(any::<u8>(), 0..3)), of(vec(of(0..3), 0..3)));
    (first, second).prop_map(|((float, text, unsigned, flag, day), (moment, amount, bytes, list))| Fields {
        // Both zeros are equal, and their bits are not.
        float: float.filter(|float| float.is_finite()).map(|float| float + 0.0),
        text,
        unsigned,
        flag,
        day,
        moment: moment.map(i64::from),
        amount,
        bytes,
        list,
    })
}

/// Keys from a small space, so that tables of one history share many.
fn table() -> impl Strategy<Value = Table> {
    btree_map((0..12_i64, "[ab]{0,2}"), fields(), 0..40)
}

fn batch(rows: &[(&Key, &Fields)]) -> RecordBatch {
    fn column<T>(rows: &[(&Key, &Fields)], value: impl Fn(&Fields) -> T) -> Vec<T> {
        rows.iter().map(|(_, fields)| value(fields)).collect()
    }
    let amounts = Decimal128Array::from(column(rows, |row| row.amount)).with_precision_and_scale(10, 2).unwrap();
    let bytes: Vec<Option<&[u8]>> = rows.iter().map(|(_, row)| row.bytes.as_deref()).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("number", Arc::new(Int64Array::from_iter_values(rows.iter().map(|(key, _)| key.0)))),
        ("word", Arc::new(StringArray::from_iter_values(rows.iter().map(|(key, _)| key.1.as_str())))),
        ("float", Arc::new(Float64Array::from(column(rows, |row| row.float)))),
        ("text", Arc::new(StringArray::from(column(rows, |row| row.text.clone())))),
        ("unsigned", Arc::new(UInt64Array::from(column(rows, |row| row.unsigned)))),
        ("flag", Arc::new(BooleanArray::from(column(rows, |row| row.flag)))),
        ("day", Arc::new(Date32Array::from(column(rows, |row| row.day)))),
        ("moment", Arc::new(TimestampMicrosecondArray::from(column(rows, |row| row.moment)))),
        ("amount", Arc::new(amounts)),
        ("bytes", Arc::new(BinaryArray::from(bytes))),
        ("list", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(column(rows, |row| row.list.clone())))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

/// A destination in its simplest form: rows as JSON by the JSON of their keys.
#[derive(Default)]
struct Held(BTreeMap<String, Value>);

fn key_of(row: &Value) -> String {
    KEY.map(|name| row[name].to_string()).join(",")
}

#[async_trait]
impl ChangeSink for Held {
    async fn write(&mut self, batch: ChangeBatch, changes: &[Change]) -> Result<Receipt> {
        assert_eq!(changes.len(), batch.rows.num_rows());
        for (row, change) in changes.iter().enumerate() {
            let row = row_json(&batch.rows, row)?;
            let before = match batch.op {
                Op::Delete => self.0.remove(&key_of(&row)),
                _ => self.0.insert(key_of(&row), row),
            };
            assert_eq!(before.is_none(), *change == Change::Inserted, "{change:?}");
        }
        Ok(Receipt::default())
    }

    async fn retract(&mut self, _: &[RowId]) -> Result<()> {
        unreachable!("no key repeats")
    }

    fn payload(&self, _: RowId) -> Result<Option<Value>> {
        unreachable!("no key repeats")
    }
}

/// The encoded keys of rows.
fn encoded<'a>(rows: impl Iterator<Item = (&'a Key, &'a Fields)>) -> HashSet<Vec<u8>> {
    let rows: Vec<(&Key, &Fields)> = rows.collect();
    let batch = batch(&rows);
    let codec = KeyCodec::new(&batch.schema(), &KEY.map(str::to_owned)).unwrap();
    let keys = codec.encode(&batch).unwrap();
    (0..rows.len()).map(|row| keys.row(row).data().to_vec()).collect()
}

/// Memory for nothing, for some of a snapshot and for all of it.
fn memory() -> impl Strategy<Value = Memory> {
    let bytes = prop_oneof![Just(0), Just(1_000), Just(2_000), Just(20_000), Just(u64::MAX / 2)];
    (bytes, any::<bool>()).prop_map(|(bytes, fingerprints)| Memory { bytes, fingerprints })
}

/// Delivers a table in batches of `rows` with so much memory, passing over some keys, and gives the snapshot after it.
fn deliver(
    folder: &std::path::Path,
    run: usize,
    snapshot: &SnapshotRef,
    table: &Table,
    (rows, memory): (usize, Memory),
    passed_over: HashSet<Vec<u8>>,
    held: &mut Held,
) -> (Staged, SnapshotRef) {
    let schema = batch(&[]).schema();
    let key = KEY.map(str::to_owned);
    let codec = KeyCodec::new(&schema, &key).unwrap();
    let hasher = RowHasher::new(&schema, HASH_KEY).unwrap();
    let comparison = Comparison::open(folder, snapshot, memory).unwrap();
    let keyed = Keyed::new(&codec, HASH_KEY, Some(comparison), folder, &format!("intent-{run}.arrow")).unwrap();
    let policy = StagePolicy {
        write: Write::Upsert,
        on_bad_key: OnBadKey::Fail,
        propagate_deletes: true,
        batch_rows: rows,
        limit: None,
        only: None,
        held: passed_over,
    };
    let mut stager = Stager::new(Some(keyed), policy, held);
    let all: Vec<(&Key, &Fields)> = table.iter().collect();
    for part in all.chunks(rows) {
        let part = batch(part);
        let keys = Some(RowKeys::of(&codec, &hasher, &part).unwrap());
        let shaped = Shaped { model: part.clone(), mapped: part.clone(), rows: part, misfits: Vec::new(), keys };
        block_on(stager.push(&shaped)).unwrap();
    }
    let Finished::Staged(staged) = block_on(stager.finish()).unwrap() else { panic!("no key is bad") };
    let after = Record { snapshot: snapshot.clone(), ..Record::default() };
    let intent = IntentRecord { identity: String::new(), log: staged.log.clone(), full: false, batches: 0, after };
    let name = format!("snapshot-{run}.arrow");
    let mut counts = RowCounts::default();
    let settled =
        settle(folder, &name, &intent, Extent::Whole, Vec::new(), Some(&codec), &Kept::default(), &mut counts).unwrap();
    (staged, settled.snapshot)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A history of tables, each delivered after the one before: the destination always equals the last, and the counts
    /// are those of a plain comparison.
    #[test]
    fn the_destination_follows_any_history(
        history in vec((table(), 1..50_usize, memory()), 1..14)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut held = Held::default();
        let mut snapshot = SnapshotRef::default();
        let mut before = Table::new();
        for (run, (table, rows, memory)) in history.into_iter().enumerate() {
            let (staged, next) = deliver(folder.path(), run, &snapshot, &table, (rows, memory), HashSet::new(), &mut held);
            snapshot = next;
            let all: Vec<(&Key, &Fields)> = table.iter().collect();
            let expected = batch(&all);
            let expected: BTreeMap<String, Value> = (0..all.len())
                .map(|row| row_json(&expected, row).unwrap())
                .map(|row| (key_of(&row), row))
                .collect();
            prop_assert_eq!(&held.0, &expected);
            prop_assert_eq!(snapshot.rows, table.len() as u64);
            let known = |key: &Key| before.get(key);
            let count = |wanted: fn(Option<&Fields>, &Fields) -> bool| {
                table.iter().filter(|(key, fields)| wanted(known(key), fields)).count() as u64
            };
            let wanted = RowCounts {
                read: table.len() as u64,
                inserted: count(|before, _| before.is_none()),
                updated: count(|before, after| before.is_some_and(|before| before != after)),
                unchanged: count(|before, after| before == Some(after)),
                deleted: before.keys().filter(|key| !table.contains_key(*key)).count() as u64,
                ..RowCounts::default()
            };
            prop_assert_eq!(staged.counts, wanted);
            before = table;
        }
    }
    /// Rows that are passed over stay as they are, and are told as rejected.
    #[test]
    fn what_is_passed_over_stays(
        tables in (table(), table()), rows in 1..50_usize, memory in memory(),
        third in 0..3_usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut held = Held::default();
        let (first, second) = tables;
        let none = HashSet::new();
        let (_, snapshot) =
            deliver(folder.path(), 0, &SnapshotRef::default(), &first, (rows, memory), none, &mut held);
        let passed = |key: &Key| key.0 as usize % 3 == third;
        let keys = encoded(first.iter().chain(&second).filter(|(key, _)| passed(key)));
        let (staged, next) = deliver(folder.path(), 1, &snapshot, &second, (rows, memory), keys, &mut held);
        let old = first.iter().filter(|(key, _)| passed(key));
        let expected: Table = second.iter().filter(|(key, _)| !passed(key)).chain(old)
            .map(|(key, fields)| (key.clone(), fields.clone())).collect();
        let all: Vec<(&Key, &Fields)> = expected.iter().collect();
        let rows = batch(&all);
        let expected: BTreeMap<String, Value> =
            (0..all.len()).map(|row| row_json(&rows, row).unwrap()).map(|row| (key_of(&row), row)).collect();
        prop_assert_eq!(&held.0, &expected);
        prop_assert_eq!(next.rows, all.len() as u64);
        prop_assert!(staged.counts.add_up());
        prop_assert_eq!(staged.counts.rejected, second.keys().filter(|key| passed(key)).count() as u64);
        let gone = first.keys().filter(|key| passed(key) && !second.contains_key(*key)).count();
        prop_assert_eq!(staged.counts.delete_rejected, gone as u64);
    }
}
