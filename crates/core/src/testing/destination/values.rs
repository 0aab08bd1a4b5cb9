//! What is written is what is there, or the row is rejected.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::*;

use crate::testing::bench::{Bench, batch, texts};
use crate::{Op, Refresh};

/// A table that is absent is made, also by a run without a row.
pub async fn a_run_without_rows_makes_the_table(bench: &Bench) {
    let rows = two(&[], &[]);
    let mut run = bench.open(bench.target(1, Refresh::Incremental, &["id"], rows.schema())).await.unwrap();
    let delivered = run.publish().await.unwrap();
    assert_eq!(delivered.receipt.durable_through, None);
    assert_eq!(bench.destination.holds_rows(&bench.stream).await.unwrap(), Some(false));
    let marker = bench.marker().await;
    assert!(marker.created);
    assert_eq!(marker.published.unwrap().batches, 0);
}

/// A batch may be empty; it counts as a batch.
pub async fn a_run_of_empty_batches_publishes(bench: &Bench) {
    let batches = vec![(Op::Upsert, two(&[], &[])), (Op::Upsert, two(&[1], &["a"])), (Op::Upsert, two(&[], &[]))];
    let delivered = bench.deliver(1, Refresh::Incremental, &["id"], batches).await.unwrap();
    assert_eq!(delivered.receipt.durable_through, Some(2));
    assert_eq!(bench.marker().await.published.unwrap().batches, 3);
    assert_eq!(bench.count().await, 1);
}

/// Rows arrive whatever batch they are in, and more of them than any buffer holds.
pub async fn rows_of_many_batches_arrive(bench: &Bench) {
    let rows = |from: i64, to: i64| {
        let ids: Vec<i64> = (from..to).collect();
        let texts: Vec<String> = ids.iter().map(|id| format!("text of row number {id}")).collect();
        (Op::Upsert, two(&ids, &texts.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    let batches = vec![rows(0, 10_000), rows(10_000, 10_001), rows(10_001, 30_000)];
    bench.deliver(1, Refresh::Incremental, &["id"], batches.clone()).await.unwrap();
    assert_eq!(bench.count().await, 30_000);
    bench.deliver(2, Refresh::Incremental, &["id"], batches).await.unwrap();
    assert_eq!(bench.count().await, 30_000);
    let wrong = format!("SELECT count(*) FROM {} WHERE v <> 'text of row number ' || id", bench.table);
    assert_eq!(bench.probe.rows(&wrong).await, texts(&[&["0"]]));
}

/// NULL is not the empty string, and characters of four bytes, quotes and line ends are characters.
pub async fn nulls_and_unicode_are_kept(bench: &Bench) {
    let values = [Some(""), None, Some("Grüße 𝄞 👩‍👩‍👧"), Some("it's \"quoted\"\\N\t\r\n"), Some("null")];
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..5));
    let rows = batch(vec![("id", ids), ("v", Arc::new(StringArray::from(values.to_vec())))]);
    bench.deliver(1, Refresh::Incremental, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    let expected: Vec<_> =
        values.iter().enumerate().map(|(id, v)| vec![Some(id.to_string()), v.map(str::to_owned)]).collect();
    assert_eq!(bench.select("id, v").await, expected);
}

/// A NUL character is kept, or its row is rejected and the others are not.
pub async fn nul_in_a_text_is_kept_or_rejected(bench: &Bench) {
    let rows = two(&[1, 2, 3], &["a", "b\0c", "d"]);
    let delivered = bench.deliver(1, Refresh::Incremental, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    if delivered.outcomes.is_empty() {
        assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"], &["2", "b\0c"], &["3", "d"]]));
    } else {
        assert_eq!(delivered.codes(), [(0, 1, "ROW-001")]);
        assert!(delivered.reasons()[0].contains("\"v\""), "{:?}", delivered.reasons());
        assert_eq!(bench.select("id, v").await, texts(&[&["1", "a"], &["3", "d"]]));
    }
}

/// A value that is longer than its column is rejected, or kept to its last character: never cut.
pub async fn over_long_values_are_kept_whole_or_rejected(bench: &Bench) {
    bench.execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, short varchar(5), v text)").await;
    let long = "𝄞".repeat(300_000);
    let rows = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4])) as ArrayRef),
        ("short", Arc::new(StringArray::from(vec!["12345", "123456", "12345 ", "a"]))),
        ("v", Arc::new(StringArray::from(vec!["a", "b", "c", long.as_str()]))),
    ]);
    let delivered = bench.deliver(1, Refresh::Incremental, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    assert!(delivered.codes().iter().all(|(_, _, code)| *code == "ROW-001"), "{:?}", delivered.codes());
    let rejected: Vec<u32> = delivered.outcomes.iter().map(|outcome| outcome.row.ordinal).collect();
    assert!(!rejected.contains(&0), "the first row fits");
    let all = [(1, "12345", "a"), (2, "123456", "b"), (3, "12345 ", "c"), (4, "a", long.as_str())];
    let kept = all.iter().filter(|(id, _, _)| !rejected.contains(&(id - 1)));
    let kept: Vec<Vec<Option<String>>> = kept
        .map(|(id, short, v)| vec![Some(id.to_string()), Some((*short).to_owned()), Some((*v).to_owned())])
        .collect();
    assert!(bench.select("id, short, v").await == kept, "nothing is cut");
}

/// NaN and infinities are what they were, or their rows are rejected and the others are not.
pub async fn what_is_no_number_is_kept_or_rejected(bench: &Bench) {
    let rows = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4])) as ArrayRef),
        ("v", Arc::new(Float64Array::from(vec![0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]))),
        ("w", Arc::new(Float32Array::from(vec![0.5, f32::NAN, f32::INFINITY, f32::NEG_INFINITY]))),
    ]);
    let delivered = bench.deliver(1, Refresh::Incremental, &["id"], vec![(Op::Upsert, rows.clone())]).await.unwrap();
    let rejected: Vec<u32> = delivered.outcomes.iter().map(|outcome| outcome.row.ordinal).collect();
    assert!(delivered.codes().iter().all(|(_, _, code)| *code == "ROW-001"), "{:?}", delivered.codes());
    assert!(!rejected.contains(&0), "the first row holds numbers");
    assert_eq!(bench.count().await, 4 - rejected.len() as u64);
}

/// Every type of a model has a column that takes it, with values and with NULL.
pub async fn every_type_is_taken(bench: &Bench) {
    let rows = every_type();
    let batches = vec![(Op::Upsert, rows)];
    let delivered = bench.deliver(1, Refresh::Incremental, &["id"], batches.clone()).await.unwrap();
    assert_eq!(delivered.reasons(), Vec::<&str>::new());
    assert_eq!(bench.count().await, 2);
    let again = bench.deliver(2, Refresh::Incremental, &["id"], batches).await.unwrap();
    assert_eq!(again.reasons(), Vec::<&str>::new());
    assert_eq!(bench.count().await, 2);
}

/// A row of values and a row of NULLs, of every Arrow type that a model can have; `id` is 1 and 2.
pub fn every_type() -> RecordBatch {
    let mut columns: Vec<(&str, ArrayRef)> = vec![("id", Arc::new(Int64Array::from(vec![1, 2])))];
    macro_rules! add {
        ($name:literal, $array:ty, $value:expr) => {
            columns.push(($name, Arc::new(<$array>::from(vec![Some($value), None]))))
        };
    }
    add!("boolean", BooleanArray, true);
    add!("int8", Int8Array, i8::MIN);
    add!("int16", Int16Array, i16::MIN);
    add!("int32", Int32Array, i32::MIN);
    add!("int64", Int64Array, i64::MIN);
    add!("uint8", UInt8Array, u8::MAX);
    add!("uint16", UInt16Array, u16::MAX);
    add!("uint32", UInt32Array, u32::MAX);
    add!("uint64", UInt64Array, u64::MAX);
    add!("float32", Float32Array, 0.1);
    add!("float64", Float64Array, 0.1);
    add!("utf8", StringArray, "Grüße");
    add!("large_utf8", LargeStringArray, "Grüße");
    add!("utf8_view", StringViewArray, "Grüße, lang genug für einen Puffer");
    add!("binary", BinaryArray, b"\x00\xff".as_slice());
    add!("large_binary", LargeBinaryArray, b"\x00\xff".as_slice());
    add!("binary_view", BinaryViewArray, b"\x00\xff".as_slice());
    add!("date32", Date32Array, 19_723);
    add!("date64", Date64Array, 19_723 * 86_400_000);
    add!("time32s", Time32SecondArray, 3_661);
    add!("time32ms", Time32MillisecondArray, 3_661_001);
    add!("time64us", Time64MicrosecondArray, 3_661_000_001);
    add!("time64ns", Time64NanosecondArray, 3_661_000_001_000);
    add!("timestamp_s", TimestampSecondArray, 1_700_000_000);
    add!("timestamp_ms", TimestampMillisecondArray, 1_700_000_000_001);
    add!("timestamp_us", TimestampMicrosecondArray, -1);
    add!("timestamp_ns", TimestampNanosecondArray, 1_700_000_000_000_001_000);
    add!("interval_ym", IntervalYearMonthArray, 14);
    add!("interval_dt", IntervalDayTimeArray, IntervalDayTime::new(3, 4_000));
    add!("interval_mdn", IntervalMonthDayNanoArray, IntervalMonthDayNano::new(14, 3, 4_000_000_000));
    add!("duration", DurationMicrosecondArray, 86_400_000_001);
    let zoned = TimestampMicrosecondArray::from(vec![Some(1_700_000_000_000_001), None]).with_timezone("Europe/Berlin");
    columns.push(("timestamp_tz", Arc::new(zoned)));
    let decimal = |precision, scale| {
        let array = Decimal128Array::from(vec![Some(-12_345), None]).with_precision_and_scale(precision, scale);
        Arc::new(array.expect("the precision is in range")) as ArrayRef
    };
    columns.push(("decimal128", decimal(10, 2)));
    columns.push(("decimal_wide", decimal(38, 38)));
    let huge = Decimal256Array::from(vec![Some(i256::from_i128(i128::MIN)), None]).with_precision_and_scale(39, 0);
    columns.push(("hugeint", Arc::new(huge.expect("the precision is in range"))));
    let small = Decimal64Array::from(vec![Some(150), None]).with_precision_and_scale(9, 2);
    columns.push(("decimal64", Arc::new(small.expect("the precision is in range"))));
    let fixed = FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some([7_u8; 16]), None].into_iter(), 16);
    columns.push(("fixed", Arc::new(fixed.expect("the size is right"))));
    let dictionary: DictionaryArray<Int32Type> = [Some("red"), None].into_iter().collect();
    columns.push(("dictionary", Arc::new(dictionary)));
    columns.push(("nothing", Arc::new(NullArray::new(2))));
    columns
        .push(("list", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]))));
    columns.push(("text_list", text_list()));
    columns.push(("nested_list", nested_list()));
    columns.push(("struct", structs()));
    columns.push(("map", map()));
    batch(columns)
}

fn text_list() -> ArrayRef {
    let mut list = ListBuilder::new(StringBuilder::new());
    list.append_value([Some("a \"b\", {c}"), None, Some("")]);
    list.append_null();
    Arc::new(list.finish())
}

fn nested_list() -> ArrayRef {
    let mut list = ListBuilder::new(ListBuilder::new(Int64Builder::new()));
    list.values().append_value([Some(1), Some(2)]);
    list.values().append_value([Some(3)]);
    list.append(true);
    list.append_null();
    Arc::new(list.finish())
}

fn structs() -> ArrayRef {
    let fields = Fields::from(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Utf8, true)]);
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int32Array::from(vec![Some(1), None])), Arc::new(StringArray::from(vec![Some("ü"), None]))];
    Arc::new(StructArray::new(fields, columns, Some(vec![true, false].into())))
}

fn map() -> ArrayRef {
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    map.keys().append_value("k");
    map.values().append_value(1);
    map.append(true).expect("keys and values are of one length");
    map.append(false).expect("keys and values are of one length");
    Arc::new(map.finish())
}

/// Rows are one row only where all parts of the key agree.
pub async fn a_composite_key_tells_rows_apart(bench: &Bench) {
    let rows = |values: [&str; 4]| {
        batch(vec![
            ("a", Arc::new(Int64Array::from(vec![1, 1, 2, 2])) as ArrayRef),
            ("b", Arc::new(StringArray::from(vec!["x", "y", "x", "y"]))),
            ("v", Arc::new(StringArray::from(values.to_vec()))),
        ])
    };
    let key = ["b", "a"];
    bench.deliver(1, Refresh::Incremental, &key, vec![(Op::Upsert, rows(["1x", "1y", "2x", "2y"]))]).await.unwrap();
    let changed = rows(["1x", "1y", "2x", "changed"]).slice(2, 2);
    bench.deliver(2, Refresh::Incremental, &key, vec![(Op::Upsert, changed)]).await.unwrap();
    // The key's columns come in the order of the key.
    let gone = rows(["", "", "", ""]).slice(1, 1).project(&[1, 0]).unwrap();
    let schema = rows(["", "", "", ""]).schema();
    let mut run = bench.open(bench.target(3, Refresh::Incremental, &key, schema)).await.unwrap();
    run.write(Op::Delete, gone).await.unwrap();
    run.publish().await.unwrap();
    let expected = texts(&[&["1", "x", "1x"], &["2", "x", "2x"], &["2", "y", "changed"]]);
    assert_eq!(bench.probe.rows(&format!("SELECT a, b, v FROM {} ORDER BY 1, 2", bench.table)).await, expected);
}

/// 3.7 is no whole number; 3.0 is.
pub async fn values_that_do_not_fit_are_rejected(bench: &Bench) {
    bench.execute("CREATE TABLE {t} (id bigint NOT NULL PRIMARY KEY, v integer)").await;
    let rows = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef),
        ("v", Arc::new(Float64Array::from(vec![3.0, 3.7, -4.0]))),
    ]);
    let delivered = bench.deliver(1, Refresh::Incremental, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    assert_eq!(delivered.codes(), [(0, 1, "ROW-001")]);
    assert!(delivered.reasons()[0].contains("\"v\""), "{:?}", delivered.reasons());
    assert!(!delivered.reasons()[0].contains("3.7"), "a reason holds no value: {:?}", delivered.reasons());
    assert_eq!(bench.select("id, v").await, texts(&[&["1", "3"], &["3", "-4"]]));
}

/// Rows of `id` and `v`.
pub(super) fn two(ids: &[i64], values: &[&str]) -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef),
        ("v", Arc::new(StringArray::from(values.to_vec()))),
    ])
}
