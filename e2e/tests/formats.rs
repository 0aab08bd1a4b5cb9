//! What files hold: compressions, codecs, types.
//! Not here: which files are read (`selection`), the conformance material (`parquet`).

use std::io::Write;
use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::*;
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::data_type::{FixedLenByteArray, FixedLenByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Value, json};

use crate::harness::{World, customers};

fn world() -> World {
    let world = World::new();
    world.write("tapline.yaml", &format!("version: 1\nsources: {{ lake: {} }}\n", world.source()));
    world
}

#[track_caller]
fn query(world: &World, sql: &str) -> String {
    world.tapline(&["query", "lake", sql, "--format", "csv"]).exits(0).stdout
}

/// The bytes under each compression that text files may have, with the suffix that tells it.
fn compressed(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
    gzip.write_all(text.as_bytes()).unwrap();
    bzip2.write_all(text.as_bytes()).unwrap();
    xz.write_all(text.as_bytes()).unwrap();
    vec![
        ("", text.as_bytes().to_vec()),
        (".gz", gzip.finish().unwrap()),
        (".bz2", bzip2.finish().unwrap()),
        (".xz", xz.finish().unwrap()),
        (".zst", zstd::encode_all(text.as_bytes(), 3).unwrap()),
    ]
}

#[test]
fn text_may_be_compressed() {
    let world = world();
    let csv: String = (1..=3_000).map(|id| format!("{id},name {id}\n")).collect();
    let ndjson: String = (1..=3_000).map(|id| format!("{{\"id\": {id}, \"name\": \"name {id}\"}}\n")).collect();
    for (text, suffix) in [(format!("id,name\n{csv}"), "csv"), (ndjson, "ndjson")] {
        for (compression, bytes) in compressed(&text) {
            world.put(&format!("named/{suffix}/rows.{suffix}{compression}"), bytes.clone());
            // Without a suffix, the first bytes tell.
            world.put(&format!("bare/{suffix}/rows{compression}.{suffix}"), bytes);
        }
        for folder in ["named", "bare"] {
            let sql = format!("SELECT count(*) AS n, sum(id) AS s, max(name) AS m FROM 's3://lake/{folder}/{suffix}/'");
            assert_eq!(query(&world, &sql), "n,s,m\n15000,22507500,name 999\n", "{folder} {suffix}");
        }
    }
}

#[test]
fn damaged_compression_is_an_error() {
    let world = world();
    let text: String = (1..=3_000).map(|id| format!("{{\"id\": {id}}}\n")).collect();
    for (compression, mut bytes) in compressed(&text).into_iter().skip(1) {
        bytes.truncate(bytes.len() / 2);
        world.put(&format!("rows.ndjson{compression}"), bytes);
        let sql = format!("SELECT count(*) FROM 's3://lake/rows.ndjson{compression}'");
        world.tapline(&["query", "lake", &sql]).fails(1, "FILE-005").tells(&["rows.ndjson"]);
    }
}

#[test]
fn json_lines_keep_their_values() {
    let world = world();
    world.put(
        "a.jsonl",
        "{\"id\": 1, \"big\": 18446744073709551615, \"x\": 1.5, \"tags\": [\"a\", null], \"at\": \"2024-02-29 10:00:00\"}\n\
         \n\
         {\"id\": 2, \"x\": 3, \"who\": {\"name\": \"é\", \"age\": 7}, \"long\": 0.1234567890123456789}\n\
         no json\n\
         {\"id\": 3.7, \"day\": \"2024-02-29\"}\n",
    );
    let outcome =
        world.tapline(&["query", "lake", "SELECT * FROM 's3://lake/a.jsonl' ORDER BY id", "--format", "ndjson"]);
    let rows = outcome.clone().exits(3).ndjson();
    assert_eq!(rows.len(), 3, "{outcome}");
    assert_eq!(rows[0]["big"], "18446744073709551615");
    assert_eq!((&rows[0]["tags"], &rows[1]["x"]), (&json!(["a", null]), &json!(3.0)));
    assert_eq!(rows[1]["who"], json!({"name": "é", "age": 7}));
    assert_eq!(rows[1]["long"], "0.1234567890123456789");
    assert_eq!((&rows[2]["id"], &rows[2]["day"]), (&json!(3.7), &json!("2024-02-29")));
    // Types are those of all lines of all files.
    world.put("b.jsonl", "{\"id\": 4, \"x\": \"text\"}\n");
    let sql = "SELECT typeof(x) AS t FROM 's3://lake/*.jsonl' LIMIT 1";
    let described = world.tapline(&["discover", "lake", "--format", "json"]).exits(0).json();
    assert!(described.to_string().contains("\"UBIGINT\""), "{described} {sql}");
    world.put("list.jsonl", "[{\"id\": 1}]\n");
    world.tapline(&["query", "lake", "SELECT * FROM 's3://lake/list.jsonl'"]).fails(1, "FILE-005");
}

#[test]
fn every_codec_of_parquet() {
    let world = world();
    let batch = {
        let ids = Int64Array::from_iter_values(0..2_000);
        let names = StringArray::from_iter_values((0..2_000).map(|id| format!("name {}", id % 10)));
        RecordBatch::try_from_iter([("id", Arc::new(ids) as ArrayRef), ("name", Arc::new(names))]).unwrap()
    };
    for (name, codec) in [
        ("none", Compression::UNCOMPRESSED),
        ("snappy", Compression::SNAPPY),
        ("gzip", Compression::GZIP(GzipLevel::default())),
        ("brotli", Compression::BROTLI(BrotliLevel::default())),
        ("lz4", Compression::LZ4_RAW),
        ("zstd", Compression::ZSTD(ZstdLevel::default())),
    ] {
        let properties = WriterProperties::builder().set_compression(codec).build();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        world.put(&format!("codecs/{name}.parquet"), file);
        let sql = format!("SELECT count(*) AS n, sum(id) AS s, max(name) AS m FROM 's3://lake/codecs/{name}.parquet'");
        assert_eq!(query(&world, &sql), "n,s,m\n2000,1999000,name 9\n", "{name}");
    }
}

/// A column of each of Arrow's types that Parquet can hold, with DuckDB's name of the type and the text of its first
/// value; the second is NULL.
fn of_every_type() -> Vec<(&'static str, ArrayRef, &'static str, &'static str)> {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
    let items = StructArray::from(vec![(
        Arc::new(Field::new("a b", DataType::Date32, true)),
        Arc::new(Date32Array::from(vec![Some(1), None])) as ArrayRef,
    )]);
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    map.keys().append_value("k");
    map.values().append_value(7);
    map.append(true).unwrap();
    map.append(false).unwrap();
    let dictionary: DictionaryArray<Int32Type> = [Some("word"), None].into_iter().collect();
    let decimal256 = Decimal256Array::from(vec![Some(i256::from_i128(-12_345)), None]);
    vec![
        ("boolean", Arc::new(BooleanArray::from(vec![Some(true), None])), "BOOLEAN", "true"),
        ("int8", Arc::new(Int8Array::from(vec![Some(i8::MIN), None])), "TINYINT", "-128"),
        ("int16", Arc::new(Int16Array::from(vec![Some(i16::MAX), None])), "SMALLINT", "32767"),
        ("int32", Arc::new(Int32Array::from(vec![Some(i32::MIN), None])), "INTEGER", "-2147483648"),
        ("int64", Arc::new(Int64Array::from(vec![Some(i64::MAX), None])), "BIGINT", "9223372036854775807"),
        ("uint8", Arc::new(UInt8Array::from(vec![Some(255), None])), "UTINYINT", "255"),
        ("uint16", Arc::new(UInt16Array::from(vec![Some(65_535), None])), "USMALLINT", "65535"),
        ("uint32", Arc::new(UInt32Array::from(vec![Some(u32::MAX), None])), "UINTEGER", "4294967295"),
        ("uint64", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None])), "UBIGINT", "18446744073709551615"),
        ("float32", Arc::new(Float32Array::from(vec![Some(0.1), None])), "FLOAT", "0.1"),
        ("float64", Arc::new(Float64Array::from(vec![Some(f64::NAN), None])), "DOUBLE", "nan"),
        ("utf8", Arc::new(StringArray::from(vec![Some("é"), None])), "VARCHAR", "é"),
        ("large_utf8", Arc::new(LargeStringArray::from(vec![Some("x"), None])), "VARCHAR", "x"),
        ("binary", Arc::new(BinaryArray::from_opt_vec(vec![Some(&[0xFF, b'a']), None])), "BLOB", "\\xFFa"),
        ("date32", Arc::new(Date32Array::from(vec![Some(-1), None])), "DATE", "1969-12-31"),
        ("time32", Arc::new(Time32MillisecondArray::from(vec![Some(1), None])), "TIME", "00:00:00.001"),
        ("time64", Arc::new(Time64MicrosecondArray::from(vec![Some(1), None])), "TIME", "00:00:00.000001"),
        (
            "timestamp_ms",
            Arc::new(TimestampMillisecondArray::from(vec![Some(-1), None])),
            "TIMESTAMP_MS",
            "1969-12-31 23:59:59.999",
        ),
        (
            "timestamp",
            Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None])),
            "TIMESTAMP",
            "1970-01-01 00:00:00.000001",
        ),
        (
            "timestamp_ns",
            Arc::new(TimestampNanosecondArray::from(vec![Some(1), None])),
            "TIMESTAMP_NS",
            "1970-01-01 00:00:00.000000001",
        ),
        (
            "timestamptz",
            Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None]).with_timezone("UTC")),
            "TIMESTAMP WITH TIME ZONE",
            "1970-01-01 00:00:00+00",
        ),
        (
            "decimal",
            Arc::new(Decimal128Array::from(vec![Some(-12_345), None]).with_precision_and_scale(10, 2).unwrap()),
            "DECIMAL(10,2)",
            "-123.45",
        ),
        ("wide_decimal", Arc::new(decimal256.with_precision_and_scale(50, 4).unwrap()), "DECIMAL(50,4)", "-1.2345"),
        ("dictionary", Arc::new(dictionary), "VARCHAR", "word"),
        ("list", Arc::new(list), "INTEGER[]", "\"[1, NULL]\""),
        ("struct", Arc::new(items), "STRUCT(\"a b\" DATE)", "{'a b': 1970-01-02}"),
        ("map", Arc::new(map.finish()), "MAP(VARCHAR, BIGINT)", "{k=7}"),
    ]
}

#[test]
fn every_type_of_arrow() {
    let world = world();
    for (name, array, kind, text) in of_every_type() {
        let id: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let batch = RecordBatch::try_from_iter_with_nullable([("id", id, false), ("x", array, true)]).unwrap();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        world.put(&format!("types/{name}.parquet"), file);
        let null = if kind.starts_with("STRUCT") { "{'a b': NULL}" } else { "" };
        let sql = format!("SELECT x FROM 's3://lake/types/{name}.parquet' ORDER BY id");
        assert_eq!(query(&world, &sql), format!("x\n{text}\n{null}\n"), "{name}");
    }
    let described = world.tapline(&["discover", "lake", "--format", "json"]).exits(0).json();
    for (name, _, kind, _) in of_every_type() {
        let streams = described["streams"].as_array().unwrap();
        let is_of = |stream: &&Value| stream["name"] == format!("types/{name}");
        let stream = streams.iter().find(is_of).unwrap_or_else(|| panic!("no {name}: {described}"));
        assert_eq!(stream["columns"][1]["type"], kind, "{name}");
    }
}

/// A file of two rows in the way that Parquet knows intervals, which Arrow's writer does not write whole: months, days and
/// milliseconds in a column, in a list, in a struct, and bytes of the same width beside them.
fn intervals() -> Vec<u8> {
    let schema = parse_message_type(
        "message rows {
            optional fixed_len_byte_array(12) span (INTERVAL);
            optional group spans (LIST) { repeated group list { optional fixed_len_byte_array(12) element (INTERVAL); } }
            optional group pair { optional fixed_len_byte_array(12) span (INTERVAL); }
            optional fixed_len_byte_array(12) bytes;
        }",
    );
    let value = |months: u32, days: u32, milliseconds: u32| {
        FixedLenByteArray::from([months, days, milliseconds].map(u32::to_le_bytes).concat())
    };
    let mut file = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut file, Arc::new(schema.unwrap()), Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut write = |values: &[FixedLenByteArray], definitions: &[i16], repetitions: Option<&[i16]>| {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<FixedLenByteArrayType>().write_batch(values, Some(definitions), repetitions).unwrap();
        column.close().unwrap();
    };
    write(&[value(14, 3, 14_706_007), value(0, 1, 0)], &[1, 1], None);
    write(&[value(1, 0, 0), value(0, 0, 1)], &[3, 2, 3], Some(&[0, 1, 0]));
    write(&[value(12, 0, 0)], &[2, 1], None);
    write(&[FixedLenByteArray::from(b"abcdefghijkl".to_vec())], &[1, 0], None);
    group.close().unwrap();
    writer.close().unwrap();
    file
}

#[test]
fn intervals_keep_their_months_days_and_time() {
    let world = world();
    world.put("intervals.parquet", intervals());
    let text = query(&world, "SELECT span, spans, pair, bytes FROM 's3://lake/intervals.parquet'");
    let expected = "span,spans,pair,bytes\n\
        1 year 2 months 3 days 04:05:06.007,\"[1 month, NULL]\",{'span': 1 year},abcdefghijkl\n\
        1 day,['00:00:00.001'],{'span': NULL},\n";
    assert_eq!(text, expected);
    let types =
        "SELECT typeof(span) AS a, typeof(spans) AS b, typeof(bytes) AS c FROM 's3://lake/intervals.parquet' LIMIT 1";
    assert_eq!(query(&world, types), "a,b,c\nINTERVAL,INTERVAL[],BLOB\n");
    let chosen = "SELECT count(*) AS n FROM 's3://lake/intervals.parquet' WHERE span > INTERVAL '1 year'";
    assert_eq!(query(&world, chosen), "n\n1\n");
}

#[test]
fn binary_can_be_text() {
    let world = world();
    let batch =
        RecordBatch::try_from_iter([("x", Arc::new(BinaryArray::from_vec(vec![b"a\xFFb", b"ok"])) as ArrayRef)]);
    let mut file = Vec::new();
    let batch = batch.unwrap();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch.slice(1, 1)).unwrap();
    writer.close().unwrap();
    world.put("good.parquet", file);
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    world.put("bad.parquet", file);
    let sql = |key: &str| {
        format!("SELECT upper(x) AS x FROM read_parquet('s3://lake/{key}.parquet', binary_as_string = true)")
    };
    assert_eq!(query(&world, &sql("good")), "x\nOK\n");
    world.tapline(&["query", "lake", &sql("bad")]).fails(1, "FILE-001");
}

#[test]
fn a_file_that_is_cut_off_is_named() {
    let world = world();
    let file = customers(1, 2_000).parquet();
    world.put("t/whole.parquet", file.clone());
    world.put("t/cut.parquet", file[..file.len() / 2].to_vec());
    world.put("t/tiny.parquet", &b"PAR1"[..]);
    let mut overwritten = file;
    // The header of the first page; values themselves have no checksum here.
    overwritten[4..24].fill(0xEE);
    world.put("u/overwritten.parquet", overwritten);
    for (sql, name) in [
        ("SELECT * FROM 's3://lake/t/cut.parquet'", "t/cut.parquet"),
        ("SELECT * FROM 's3://lake/t/tiny.parquet'", "t/tiny.parquet"),
        ("SELECT * FROM 's3://lake/t/{whole,cut}.parquet'", "t/cut.parquet"),
        ("SELECT * FROM 's3://lake/u/overwritten.parquet'", "u/overwritten.parquet"),
    ] {
        world.tapline(&["query", "lake", sql]).fails(1, "FILE-001").tells(&[name]);
    }
}
