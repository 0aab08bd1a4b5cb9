//! Rows come back as they were delivered, or a column does not come at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use arrow::datatypes::*;

use super::values::{every_type, two};
use crate::testing::bench::{Bench, FULL, batch, error_code};
use crate::{Op, ReadBack, Refresh};

const INCREMENTAL: Refresh = Refresh::Incremental;

/// All rows that are read back as `schema`, by `id`.
async fn read(bench: &Bench, schema: SchemaRef, keys: Option<RecordBatch>) -> RecordBatch {
    let key = vec!["id".to_owned()];
    let rows = ReadBack { stream: bench.stream.clone(), schema, key, keys };
    let mut reader = bench.destination.read(rows).await.unwrap().expect("the stream is there");
    let mut batches = Vec::new();
    while let Some(batch) = reader.next().await.unwrap() {
        assert!(batch.num_rows() > 0, "a batch without rows is no news");
        batches.push(batch);
    }
    assert!(reader.next().await.unwrap().is_none(), "the end stays the end");
    let Some(first) = batches.first() else { return two(&[], &[]) };
    let all = concat_batches(&first.schema(), &batches).expect("all batches have the same fields");
    let order = sort_to_indices(all.column_by_name("id").expect("the key is there"), None, None).unwrap();
    take_record_batch(&all, &order).unwrap()
}

/// Every field is given back, in the order of the schema, with the same values.
fn assert_same(found: &RecordBatch, delivered: &RecordBatch) {
    let names = |rows: &RecordBatch| -> Vec<String> {
        rows.schema().fields().iter().map(|field| field.name().clone()).collect()
    };
    assert_eq!(names(found), names(delivered));
    for (index, name) in names(delivered).iter().enumerate() {
        assert_eq!(found.column(index), delivered.column(index), "{name}");
    }
}

/// Values and NULLs of every type come back as they were.
pub async fn every_type_is_read_back(bench: &Bench) {
    let rows = every_type();
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows.clone())]).await.unwrap();
    assert_same(&read(bench, rows.schema(), None).await, &rows);
    let one = batch(vec![("id", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]);
    assert_same(&read(bench, rows.schema(), Some(one)).await, &rows.slice(0, 1));
}

/// The ends of every type's range.
pub async fn the_ends_of_ranges_are_read_back(bench: &Bench) {
    let mut columns: Vec<(&str, ArrayRef)> = vec![("id", Arc::new(Int64Array::from(vec![i64::MIN, 0, i64::MAX])))];
    macro_rules! add {
        ($name:literal, $array:expr) => {
            columns.push(($name, Arc::new($array)))
        };
    }
    add!("boolean", BooleanArray::from(vec![true, false, true]));
    add!("int8", Int8Array::from(vec![i8::MIN, 0, i8::MAX]));
    add!("int32", Int32Array::from(vec![i32::MIN, 0, i32::MAX]));
    add!("uint32", UInt32Array::from(vec![0, 1, u32::MAX]));
    add!("uint64", UInt64Array::from(vec![0, 1, u64::MAX]));
    add!("float32", Float32Array::from(vec![f32::MIN, f32::MIN_POSITIVE, f32::MAX]));
    add!("float64", Float64Array::from(vec![f64::MIN, f64::MIN_POSITIVE, f64::MAX]));
    let most = 10_i128.pow(38) - 1;
    add!("decimal", Decimal128Array::from(vec![-most, 0, most]).with_precision_and_scale(38, 0).unwrap());
    add!("fractions", Decimal128Array::from(vec![-most, 1, most]).with_precision_and_scale(38, 19).unwrap());
    let wide = i256::from_string(&"9".repeat(76)).unwrap();
    let wide = Decimal256Array::from(vec![-wide, i256::ONE, wide]).with_precision_and_scale(76, 38).unwrap();
    add!("wide", wide);
    add!("text", StringArray::from(vec!["", "it's \"quoted\"\\N\t\r\n", "𝄞"]));
    add!("bytes", BinaryArray::from(vec![b"".as_slice(), b"\0", b"\xff\xfe"]));
    // The first and the last day of four-digit years.
    add!("date", Date32Array::from(vec![-719_162, 0, 2_932_896]));
    add!("time", Time64MicrosecondArray::from(vec![0, 1, 86_399_999_999]));
    let (first, last) = (-62_135_596_800_000_000, 253_402_300_799_999_999);
    add!("stamp", TimestampMicrosecondArray::from(vec![first, 0, last]));
    add!("moment", TimestampMicrosecondArray::from(vec![first, 0, last]).with_timezone("America/New_York"));
    add!("nanoseconds", TimestampNanosecondArray::from(vec![-9_223_372_036_854_775_000, 0, 9_223_372_036_854_775_000]));
    let rows = batch(columns);
    let delivered = bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows.clone())]).await.unwrap();
    assert_eq!(delivered.reasons(), Vec::<&str>::new());
    assert_same(&read(bench, rows.schema(), None).await, &rows);
    assert_same(&read(bench, rows.schema(), Some(rows.project(&[0]).unwrap())).await, &rows);
}

/// Only the rows that were asked for, by one field and by several; absent keys are no rows.
pub async fn rows_are_read_by_their_keys(bench: &Bench) {
    let ids: Vec<i64> = (0..5_000).collect();
    let values: Vec<String> = ids.iter().map(|id| format!("value {id}")).collect();
    let rows = batch(vec![
        ("a", Arc::new(Int64Array::from_iter_values(ids.iter().map(|id| id / 10))) as ArrayRef),
        ("v", Arc::new(StringArray::from(values))),
        ("b", Arc::new(StringArray::from_iter_values(ids.iter().map(|id| format!("k{}", id % 10))))),
    ]);
    let key = ["b", "a"];
    bench.deliver(1, INCREMENTAL, &key, vec![(Op::Upsert, rows.clone())]).await.unwrap();
    let keys = batch(vec![
        ("b", Arc::new(StringArray::from(vec!["k3", "k9", "k3", "absent", "nul \0"])) as ArrayRef),
        ("a", Arc::new(Int64Array::from(vec![0, 499, 500, 1, 2]))),
    ]);
    let read_back = |keys| ReadBack {
        stream: bench.stream.clone(),
        schema: rows.schema(),
        key: key.map(str::to_owned).to_vec(),
        keys: Some(keys),
    };
    let mut reader = bench.destination.read(read_back(keys.clone())).await.unwrap().unwrap();
    let mut found = BTreeSet::new();
    while let Some(batch) = reader.next().await.unwrap() {
        found.extend(batch["v"].as_string::<i32>().iter().flatten().map(str::to_owned));
    }
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), ["value 3", "value 4999"]);
    let mut reader = bench.destination.read(read_back(keys.slice(0, 0))).await.unwrap().unwrap();
    assert!(reader.next().await.unwrap().is_none(), "no key is no row, and not every row");
}

/// Every row comes once, as it was when the reading began.
pub async fn a_reader_of_the_stream_sees_one_moment(bench: &Bench) {
    let ids: Vec<i64> = (0..20_000).collect();
    let rows = two(&ids, &vec!["old"; ids.len()]);
    bench.deliver(1, FULL, &["id"], vec![(Op::Upsert, rows.clone())]).await.unwrap();
    let all = ReadBack { stream: bench.stream.clone(), schema: rows.schema(), key: vec!["id".into()], keys: None };
    let mut reader = bench.destination.read(all.clone()).await.unwrap().unwrap();
    let mut found = vec![reader.next().await.unwrap().unwrap()];
    assert!(found[0].num_rows() < ids.len(), "not all rows at once");
    bench.deliver(2, FULL, &["id"], vec![(Op::Upsert, two(&[1, 30_000], &["new", "new"]))]).await.unwrap();
    while let Some(batch) = reader.next().await.unwrap() {
        found.push(batch);
    }
    let found = concat_batches(&found[0].schema(), &found).unwrap();
    let keys: BTreeSet<i64> = found["id"].as_primitive::<Int64Type>().values().iter().copied().collect();
    assert_eq!((found.num_rows(), keys.len()), (20_000, 20_000));
    assert!(found["v"].as_string::<i32>().iter().all(|value| value == Some("old")));
    // A reader that is given up half-way disturbs nobody.
    let mut given_up = bench.destination.read(all.clone()).await.unwrap().unwrap();
    given_up.next().await.unwrap();
    drop(given_up);
    bench.deliver(3, FULL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    assert_eq!(bench.count().await, 20_000);
}

/// A column that does not hold what is wanted lacks; a key that does not is an error; an absent stream is nothing.
pub async fn what_cannot_be_given_back_lacks(bench: &Bench) {
    let wanted = |fields: &[(&str, DataType)]| -> SchemaRef {
        Arc::new(Schema::new(
            fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect::<Vec<_>>(),
        ))
    };
    let read_back = |schema| ReadBack { stream: bench.stream.clone(), schema, key: vec!["id".into()], keys: None };
    let schema = wanted(&[("id", DataType::Int64)]);
    assert!(bench.destination.read(read_back(schema)).await.unwrap().is_none(), "nothing is there");
    let rows = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef),
        ("big", Arc::new(Int64Array::from(vec![1, 300]))),
        ("small", Arc::new(Int64Array::from(vec![1, -100]))),
        ("number", Arc::new(StringArray::from(vec!["7", "08"]))),
        ("day", Arc::new(StringArray::from(vec!["2024-02-29", "2023-02-28"]))),
        ("half", Arc::new(Float64Array::from(vec![0.5, 2.0]))),
        ("third", Arc::new(Float64Array::from(vec![0.5, 1.0 / 3.0]))),
    ]);
    bench.deliver(1, INCREMENTAL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    let schema = wanted(&[
        ("absent", DataType::Utf8),
        ("third", DataType::Float32),
        ("half", DataType::Float32),
        ("day", DataType::Date32),
        ("number", DataType::Int64),
        ("small", DataType::Int8),
        ("big", DataType::Int8),
        ("id", DataType::Int32),
    ]);
    let found = read(bench, schema, None).await;
    let names: Vec<_> = found.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["half", "day", "small", "id"]);
    assert_eq!(found["half"].as_primitive::<Float32Type>().values(), &[0.5, 2.0]);
    assert_eq!(found["day"].as_primitive::<Date32Type>().values(), &[19_782, 19_416]);
    assert_eq!(found["small"].as_primitive::<Int8Type>().values(), &[1, -100]);
    let as_key = |name: &str, data_type| ReadBack {
        stream: bench.stream.clone(),
        schema: wanted(&[(name, data_type)]),
        key: vec![name.to_owned()],
        keys: None,
    };
    for (name, data_type) in [("number", DataType::Int64), ("big", DataType::Int8), ("absent", DataType::Utf8)] {
        let code = match bench.destination.read(as_key(name, data_type)).await {
            Ok(reader) => error_code(reader.unwrap().next().await),
            Err(error) => error.code().id,
        };
        assert_eq!(code, "DEST-004", "{name}");
    }
}
