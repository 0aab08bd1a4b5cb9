//! Numbers, times, bytes and words.

use arrow::array::*;
use arrow::buffer::Buffer;
use arrow::datatypes::*;

use super::*;

#[test]
fn doubles() {
    let values = vec![
        0.1,
        1.0,
        -0.0,
        100000.0,
        1e15,
        1e16,
        9999999999999998.0,
        12345678901234567.0,
        1e17,
        1e21,
        1e22,
        1.5e300,
        5e-324,
        1e-4,
        1e-5,
        0.00001234,
        1e-6,
        1e-7,
        1.5e-7,
        123456789012345680000.0,
        0.3333333333333333,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    assert_eq!(
        texts(Float64Array::from(values.clone())),
        [
            "0.1",
            "1.0",
            "-0.0",
            "100000.0",
            "1000000000000000.0",
            "1e+16",
            "9999999999999998.0",
            "1.2345678901234568e+16",
            "1e+17",
            "1e+21",
            "1e+22",
            "1.5e+300",
            "5e-324",
            "0.0001",
            "1e-05",
            "1.234e-05",
            "1e-06",
            "1e-07",
            "1.5e-07",
            "1.2345678901234568e+20",
            "0.3333333333333333",
            "nan",
            "inf",
            "-inf"
        ]
    );
    assert_eq!(
        json(Float64Array::from(values)),
        [
            "0.1",
            "1.0",
            "-0.0",
            "100000.0",
            "1000000000000000.0",
            "10000000000000000.0",
            "9999999999999998.0",
            "12345678901234568.0",
            "100000000000000000.0",
            "1e21",
            "1e22",
            "1.5e300",
            "5e-324",
            "0.0001",
            "0.00001",
            "0.00001234",
            "0.000001",
            "1e-7",
            "1.5e-7",
            "123456789012345680000.0",
            "0.3333333333333333",
            "\"nan\"",
            "\"inf\"",
            "\"-inf\""
        ]
    );
}

#[test]
fn floats() {
    let values = vec![0.1, 1e16, 1e15, 123456789.0, 1e-5, 1.0 / 3.0, f32::NAN];
    assert_eq!(
        texts(Float32Array::from(values.clone())),
        ["0.1", "1e+16", "1000000000000000.0", "123456790.0", "1e-05", "0.33333334", "nan"]
    );
    assert_eq!(
        json(Float32Array::from(values)),
        [
            "0.10000000149011612",
            "10000000272564224.0",
            "999999986991104.0",
            "123456792.0",
            "0.000009999999747378752",
            "0.3333333432674408",
            "\"nan\""
        ]
    );
    assert_eq!(texts(Float16Array::from(vec![<Float16Type as ArrowPrimitiveType>::Native::from_f32(1.5)])), ["1.5"]);
}

#[test]
fn floats_between_two_texts_are_shown_as_the_double_they_are() {
    let values = vec![
        1_584_214.8,
        343_126.13,
        -186_675_008.0,
        487_070_016.0,
        125_555_195_904.0,
        342_229_056.0,
        123_456_792.0,
        9_380_288_512.0,
        4.5,
        0.375,
    ];
    assert_eq!(
        texts(Float32Array::from(values)),
        [
            "1584214.75",
            "343126.125",
            "-186675008.0",
            "487070016.0",
            "125555195904.0",
            "342229060.0",
            "123456790.0",
            "9380289000.0",
            "4.5",
            "0.375"
        ]
    );
}

#[test]
fn null_times_of_day_hold_anything() {
    let array = Time64MicrosecondArray::new(vec![i64::MAX, 0].into(), Some(vec![false, true].into()));
    assert_eq!(texts(array), ["NULL", "00:00:00"]);
}

#[test]
fn whole_numbers() {
    assert_eq!(texts(Int8Array::from(vec![Some(-128), None])), ["-128", "NULL"]);
    assert_eq!(json(UInt8Array::from(vec![Some(255), None])), ["255", "null"]);
    assert_eq!(texts(Int16Array::from(vec![-32768])), ["-32768"]);
    assert_eq!(texts(UInt16Array::from(vec![65535])), ["65535"]);
    assert_eq!(texts(Int32Array::from(vec![i32::MIN])), ["-2147483648"]);
    assert_eq!(texts(UInt32Array::from(vec![u32::MAX])), ["4294967295"]);
    assert_eq!(texts(UInt64Array::from(vec![u64::MAX])), ["18446744073709551615"]);
    assert_eq!(json(UInt64Array::from(vec![u64::MAX])), ["\"18446744073709551615\""]);
    let edge = 1 << 53;
    assert_eq!(
        json(Int64Array::from(vec![edge, edge + 1, -edge, -edge - 1])),
        ["9007199254740992", "\"9007199254740993\"", "-9007199254740992", "\"-9007199254740993\""]
    );
}

#[test]
fn hugeints() {
    let values = vec![i128::MAX, -1, 1 << 53, (1 << 53) + 1];
    let narrow: ArrayRef =
        Arc::new(Decimal128Array::from(vec![10i128.pow(37), -1]).with_precision_and_scale(38, 0).expect("in range"));
    assert_eq!(texts_of(&tagged(&narrow, "HUGEINT"), &narrow), ["10000000000000000000000000000000000000", "-1"]);
    let wide = Decimal256Array::from(values.into_iter().map(i256::from_i128).collect::<Vec<_>>());
    let wide: ArrayRef = Arc::new(wide.with_precision_and_scale(39, 0).expect("in range"));
    let field = tagged(&wide, "HUGEINT");
    assert_eq!(
        texts_of(&field, &wide),
        ["170141183460469231731687303715884105727", "-1", "9007199254740992", "9007199254740993"]
    );
    assert_eq!(
        json_of(&field, &wide),
        ["\"170141183460469231731687303715884105727\"", "-1", "9007199254740992", "\"9007199254740993\""]
    );
}

#[test]
fn decimals() {
    let decimal = |value: i128, precision, scale| {
        Decimal128Array::from(vec![value]).with_precision_and_scale(precision, scale).expect("in range")
    };
    for (value, precision, scale, text) in [
        (150, 10, 2, "1.50"),
        (-5, 10, 2, "-0.05"),
        (0, 4, 2, "0.00"),
        (123, 5, 0, "123"),
        (-500, 3, 3, "-.500"),
        (0, 2, 2, ".00"),
        (11, 38, 10, "0.0000000011"),
        (-12, 5, -2, "-1200"),
        (0, 5, -2, "0"),
    ] {
        assert_eq!(texts(decimal(value, precision, scale)), [text]);
        assert_eq!(json(decimal(value, precision, scale)), [format!("\"{text}\"")]);
    }
    let wide = Decimal256Array::from(vec![i256::from_string("-1234567890123456789012345678901234567890123")]);
    assert_eq!(
        texts(wide.with_precision_and_scale(50, 3).expect("in range")),
        ["-1234567890123456789012345678901234567890.123"]
    );
    assert_eq!(texts(Decimal32Array::from(vec![-5]).with_precision_and_scale(9, 1).expect("in range")), ["-0.5"]);
    assert_eq!(texts(Decimal64Array::from(vec![5]).with_precision_and_scale(18, 1).expect("in range")), ["0.5"]);
}

#[test]
fn dates() {
    let days =
        vec![0, 18263, -719162, -719163, -735233, 3671152, i32::MAX, -i32::MAX, i32::MAX - 1, 2932896, 2932897, 11016];
    let shown = [
        "1970-01-01",
        "2020-01-02",
        "0001-01-01",
        "0001-12-31 (BC)",
        "0044-01-01 (BC)",
        "12021-04-10",
        "infinity",
        "-infinity",
        "5881580-07-10",
        "9999-12-31",
        "10000-01-01",
        "2000-02-29",
    ];
    assert_eq!(texts(Date32Array::from(days)), shown);
    assert_eq!(json(Date32Array::from(vec![Some(0), None])), ["\"1970-01-01\"", "null"]);
    assert_eq!(texts(Date64Array::from(vec![86_400_000])), ["1970-01-02"]);
}

#[test]
fn times() {
    let microseconds = vec![3_723_000_000, 3_723_100_000, 3_723_123_456, 86_400_000_000, 0, 1];
    assert_eq!(
        texts(Time64MicrosecondArray::from(microseconds)),
        ["01:02:03", "01:02:03.1", "01:02:03.123456", "24:00:00", "00:00:00", "00:00:00.000001"]
    );
    assert_eq!(texts(Time64NanosecondArray::from(vec![3_723_123_456_789])), ["01:02:03.123456789"]);
    assert_eq!(texts(Time32SecondArray::from(vec![3_723])), ["01:02:03"]);
    assert_eq!(texts(Time32MillisecondArray::from(vec![3_723_120])), ["01:02:03.12"]);
}

#[test]
fn timestamps() {
    let microseconds = vec![
        Some(-1),
        Some(0),
        Some(1_577_934_245_100_000),
        Some(1_577_934_245_000_001),
        Some(-62_135_596_800_000_001),
        Some(9_223_372_036_854_775_806),
        Some(-9_223_372_022_400_000_000),
        Some(i64::MAX),
        Some(-i64::MAX),
        None,
    ];
    let shown = [
        "1969-12-31 23:59:59.999999",
        "1970-01-01 00:00:00",
        "2020-01-02 03:04:05.1",
        "2020-01-02 03:04:05.000001",
        "0001-12-31 (BC) 23:59:59.999999",
        "294247-01-10 04:00:54.775806",
        "290309-12-22 (BC) 00:00:00",
        "infinity",
        "-infinity",
        "NULL",
    ];
    assert_eq!(texts(TimestampMicrosecondArray::from(microseconds.clone())), shown);
    let instants = TimestampMicrosecondArray::from(microseconds).with_timezone("Europe/Berlin");
    let in_utc = shown.map(|text| if text.contains(':') { format!("{text}+00") } else { text.to_owned() });
    assert_eq!(texts(instants), in_utc);
    assert_eq!(texts(TimestampSecondArray::from(vec![1_577_934_245])), ["2020-01-02 03:04:05"]);
    assert_eq!(texts(TimestampMillisecondArray::from(vec![-1])), ["1969-12-31 23:59:59.999"]);
    assert_eq!(
        texts(TimestampNanosecondArray::from(vec![-1, 120_000, i64::MIN])),
        ["1969-12-31 23:59:59.999999999", "1970-01-01 00:00:00.00012", "1677-09-21 00:12:43.145224192"]
    );
    assert_eq!(json(TimestampSecondArray::from(vec![0]).with_timezone("UTC")), ["\"1970-01-01 00:00:00+00\""]);
}

#[test]
fn intervals() {
    let interval = IntervalMonthDayNanoType::make_value;
    let values = [
        (14, 3, 14_706_000_000_000, "1 year 2 months 3 days 04:05:06"),
        (0, 0, 0, "00:00:00"),
        (-12, 0, 0, "-1 year"),
        (-14, 0, 0, "-1 year -2 months"),
        (0, -3, -3_600_000_000_000, "-3 days -01:00:00"),
        (0, 0, 360_000_000_000_000, "100:00:00"),
        (0, 0, -500_000_000, "-00:00:00.5"),
        (25, -5, 90_000_500_000_000, "2 years 1 month -5 days 25:00:00.5"),
        (i32::MIN, 0, 0, "-178956970 years -8 months"),
        (0, 1, 1_000, "1 day 00:00:00.000001"),
        (0, 0, i64::MIN, "-2562047:47:16.854775808"),
    ];
    let array = values.iter().map(|(months, days, nanoseconds, _)| interval(*months, *days, *nanoseconds));
    let shown: Vec<_> = values.iter().map(|(_, _, _, text)| *text).collect();
    assert_eq!(texts(IntervalMonthDayNanoArray::from_iter_values(array)), shown);
    assert_eq!(texts(IntervalYearMonthArray::from(vec![13])), ["1 year 1 month"]);
    assert_eq!(
        texts(IntervalDayTimeArray::from(vec![IntervalDayTimeType::make_value(2, 1500)])),
        ["2 days 00:00:01.5"]
    );
    assert_eq!(texts(DurationMicrosecondArray::from(vec![90_000_000_000])), ["25:00:00"]);
    assert_eq!(json(DurationSecondArray::from(vec![-1])), ["\"-00:00:01\""]);
}

#[test]
fn words_and_bytes() {
    assert_eq!(texts(BooleanArray::from(vec![Some(true), Some(false), None])), ["true", "false", "NULL"]);
    assert_eq!(json(BooleanArray::from(vec![Some(true), Some(false), None])), ["true", "false", "null"]);
    let words = vec![Some("é"), Some(""), None];
    assert_eq!(texts(StringArray::from(words.clone())), ["é", "", "NULL"]);
    assert_eq!(texts(LargeStringArray::from(words.clone())), ["é", "", "NULL"]);
    assert_eq!(json(StringViewArray::from(words)), ["\"é\"", "\"\"", "null"]);
    assert_eq!(
        json(StringArray::from(vec!["\0\u{1f}\u{7f}\u{2028}/\\\"<>&\u{8}\u{c}\n\r\t"])),
        ["\"\\u0000\\u001F\u{7f}\u{2028}/\\\\\\\"<>&\\b\\f\\n\\r\\t\""]
    );
    let bytes: &[u8] = b"\xAA\x00abc\\\"'\x7F\x1F ~";
    let shown = "\\xAA\\x00abc\\x5C\\x22\\x27\\x7F\\x1F ~";
    assert_eq!(texts(BinaryArray::from(vec![bytes])), [shown]);
    assert_eq!(texts(LargeBinaryArray::from(vec![bytes])), [shown]);
    assert_eq!(json(BinaryViewArray::from(vec![bytes])), [format!("\"{}\"", shown.replace('\\', "\\\\"))]);
    assert_eq!(texts(NullArray::new(2)), ["NULL", "NULL"]);
    let uuid: Vec<u8> = (0u8..16).map(|byte| byte * 17).collect();
    let uuid: ArrayRef = Arc::new(FixedSizeBinaryArray::new(16, Buffer::from_vec(uuid), None));
    assert_eq!(texts_of(&tagged(&uuid, "UUID"), &uuid), ["00112233-4455-6677-8899-aabbccddeeff"]);
    assert_eq!(texts_of(&field(&uuid), &uuid), ["\\x00\\x11\\x223DUfw\\x88\\x99\\xAA\\xBB\\xCC\\xDD\\xEE\\xFF"]);
}

#[test]
fn json_documents() {
    for (document, shown) in [
        ("{\"a\" : {\"b\" : null } }", "{\"a\":{\"b\":null}}"),
        (" [ 1 ,\n2 ] ", "[1,2]"),
        (
            "{\"b\":[1.0, 1e5, 100000000000000000000000, -0.0, 1E+3, true]}",
            "{\"b\":[1.0,100000.0,100000000000000000000000,-0.0,1000.0,true]}",
        ),
        ("{\"b\":1,\"b\":2}", "{\"b\":1,\"b\":2}"),
        ("-0", "0"),
        ("0.12345678901234567890", "0.12345678901234568"),
        ("-9223372036854775809", "-9223372036854775809"),
        ("1e999", "1e999"),
        ("1e-400", "0.0"),
        ("\"a\\u0000b\\ud83d\\ude00\\u001f\\/\\\\\\\"\"", "\"a\\u0000b😀\\u001F/\\\\\\\"\""),
        ("\"x : , y\"", "\"x : , y\""),
        ("\"\\ud83d\"", "\"\\ud83d\""),
        ("not JSON", "\"not JSON\""),
    ] {
        let array: ArrayRef = Arc::new(StringArray::from(vec![document]));
        let column = Column::new(&tagged(&array, "JSON"), &array).expect("the type is known");
        let mut out = Vec::new();
        column.json(0, &mut out);
        assert_eq!(String::from_utf8(out).expect("UTF-8"), shown);
        assert_eq!(texts_of(&tagged(&array, "JSON"), &array), [document]);
    }
}
