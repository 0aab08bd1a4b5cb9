//! Parquet and Arrow: the same rows come back.

use arrow::array::*;
use arrow::datatypes::*;
use arrow::ipc::reader::StreamReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, LogicalType};
use tapline_core::values::TYPE_KEY;

use super::*;

fn rows() -> RecordBatch {
    let huge = Decimal256Array::from(vec![Some(i256::from_i128(1 << 100)), None]);
    batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2]))),
        ("id", Arc::new(StringArray::from(vec![Some("a"), None]))),
        ("huge", Arc::new(huge.with_precision_and_scale(39, 0).expect("in range"))),
    ])
}

fn check(batches: &[RecordBatch]) {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 4);
    let names: Vec<_> = batches[0].schema_ref().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["id", "id_1", "huge"]);
    assert_eq!(batches[0].column(1).as_string::<i32>().value(0), "a");
    assert_eq!(batches[0].column(2).as_primitive::<Decimal128Type>().value(0), 1 << 100);
    assert!(batches[0].column(2).is_null(1));
}

#[test]
fn parquet_is_one_compressed_file() {
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(printed(Format::Parquet, &[rows(), rows()])));
    let builder = builder.expect("a Parquet file");
    assert!(matches!(builder.metadata().row_group(0).column(0).compression(), Compression::ZSTD(_)));
    check(&builder.build().expect("a reader").collect::<Result<Vec<_>, _>>().expect("rows"));
}

#[test]
fn arrow_is_a_stream() {
    let bytes = printed(Format::Arrow, &[rows(), rows()]);
    let reader = StreamReader::try_new(bytes.as_slice(), None).expect("a stream");
    check(&reader.collect::<Result<Vec<_>, _>>().expect("rows"));
}

#[test]
fn types_have_the_names_that_other_readers_know() {
    let tagged = |name: &str, data_type, tag: &str| {
        Field::new(name, data_type, true).with_metadata([(TYPE_KEY.to_owned(), tag.to_owned())].into())
    };
    let uuid = |name| tagged(name, DataType::FixedSizeBinary(16), "UUID");
    let json = |name| tagged(name, DataType::Utf8, "JSON");
    let entries = Fields::from(vec![uuid("key").with_nullable(false), json("value")]);
    let entries = Field::new("entries", DataType::Struct(entries), false);
    let huge = tagged("item", DataType::Decimal256(39, 0), "HUGEINT");
    let schema = Arc::new(Schema::new(vec![
        uuid("uuid"),
        Field::new("bytes", DataType::FixedSizeBinary(16), true),
        Field::new("list", DataType::List(Arc::new(json("item"))), true),
        Field::new("struct", DataType::Struct(vec![uuid("a"), Field::new("b", DataType::Utf8, true)].into()), true),
        Field::new("map", DataType::Map(Arc::new(entries), false), true),
        Field::new("huge", DataType::List(Arc::new(huge)), true),
    ]));
    let columns = schema.fields().iter().map(|field| new_null_array(field.data_type(), 2)).collect();
    let rows = RecordBatch::try_new(Arc::clone(&schema), columns).expect("columns of the schema");

    let name = |field: &Field| field.metadata().get("ARROW:extension:name").cloned().unwrap_or_default();
    let bytes = printed(Format::Arrow, std::slice::from_ref(&rows));
    let batches: Vec<_> = StreamReader::try_new(bytes.as_slice(), None).expect("a stream").collect();
    let read = batches[0].as_ref().expect("rows").schema();
    let fields = read.fields();
    assert_eq!([&fields[0], &fields[1]].map(|field| name(field)), ["arrow.uuid", ""]);
    let (DataType::List(item), DataType::Struct(members)) = (fields[2].data_type(), fields[3].data_type()) else {
        panic!("{fields:?}")
    };
    assert_eq!([item, &members[0], &members[1]].map(|field| name(field)), ["arrow.json", "arrow.uuid", ""]);
    let DataType::Map(entries, _) = fields[4].data_type() else { panic!("{fields:?}") };
    let DataType::Struct(entries) = entries.data_type() else { panic!("{fields:?}") };
    assert_eq!([&entries[0], &entries[1]].map(|field| name(field)), ["arrow.uuid", "arrow.json"]);

    let parquet = bytes::Bytes::from(printed(Format::Parquet, &[rows]));
    let parquet = ParquetRecordBatchReaderBuilder::try_new(parquet).expect("a Parquet file");
    let types: Vec<_> =
        parquet.parquet_schema().columns().iter().map(|column| column.logical_type_ref().cloned()).collect();
    let (uuid, json, text) = (Some(LogicalType::Uuid), Some(LogicalType::Json), Some(LogicalType::String));
    let huge = Some(LogicalType::decimal(0, 38));
    assert_eq!(types, [uuid.clone(), None, json.clone(), uuid.clone(), text, uuid, json, huge]);
}

#[test]
fn no_rows_are_a_file_nevertheless() {
    let empty = rows().slice(0, 0);
    let unwritten = |format| {
        let printer = RowPrinter::new(format, empty.schema_ref(), Vec::new(), TableStyle::default());
        printer.finish().expect("a vector takes everything")
    };
    let parquet = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(unwritten(Format::Parquet)));
    assert_eq!(parquet.expect("a Parquet file").schema().fields().len(), 3);
    assert_eq!(StreamReader::try_new(unwritten(Format::Arrow).as_slice(), None).expect("a stream").count(), 0);
}

#[test]
fn what_does_not_fit_is_refused() {
    let huge = Decimal256Array::from(vec![i256::from_string("123456789012345678901234567890123456789")]);
    let huge = batch(vec![("big", Arc::new(huge.with_precision_and_scale(39, 0).expect("in range")) as ArrayRef)]);
    let refused = |batch: &RecordBatch| {
        let mut printer = RowPrinter::new(Format::Parquet, batch.schema_ref(), Vec::new(), TableStyle::default());
        let error = printer.write(batch).expect_err("it does not fit");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        error.to_string()
    };
    assert_eq!(refused(&huge), "a value of column `big` has more digits than DECIMAL(38,0)");
    let interval = IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNanoType::make_value(1, 2, 3)]);
    let interval = batch(vec![("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef), ("span", Arc::new(interval))]);
    assert_eq!(refused(&interval), "Parquet has no type for column `span`, which is INTERVAL: cast it to VARCHAR");
}
