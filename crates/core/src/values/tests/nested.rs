//! Lists, structs, maps, dictionaries, unions: what stands between the values inside.

use arrow::array::*;
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;

use super::*;

/// One list of all values.
fn list(items: ArrayRef, field: Field) -> ListArray {
    let offsets = OffsetBuffer::from_lengths([items.len()]);
    ListArray::new(Arc::new(field), offsets, items, None)
}

fn list_of(items: impl Array + 'static) -> ListArray {
    let items: ArrayRef = Arc::new(items);
    let field = Field::new("item", items.data_type().clone(), true);
    list(items, field)
}

fn structs(members: Vec<(&str, ArrayRef)>) -> StructArray {
    let members =
        members.into_iter().map(|(name, array)| (Arc::new(Field::new(name, array.data_type().clone(), true)), array));
    StructArray::from(members.collect::<Vec<_>>())
}

/// One map of all keys and values.
fn map(keys: ArrayRef, values: ArrayRef) -> MapArray {
    let entries = StructArray::from(vec![
        (Arc::new(Field::new("key", keys.data_type().clone(), false)), keys),
        (Arc::new(Field::new("value", values.data_type().clone(), true)), values),
    ]);
    let field = Arc::new(Field::new("entries", entries.data_type().clone(), false));
    MapArray::new(field, OffsetBuffer::from_lengths([entries.len()]), entries, None, false)
}

fn words(words: Vec<Option<&str>>) -> ArrayRef {
    Arc::new(StringArray::from(words))
}

#[test]
fn quotes_where_a_text_could_be_mistaken() {
    let array = words(vec![
        Some("a"),
        Some("b c"),
        Some(""),
        Some("NULL"),
        None,
        Some("a,b"),
        Some("[x]"),
        Some("{y}"),
        Some("it's"),
        Some("a\"b"),
        Some(" lead"),
        Some("trail "),
        Some("x=y"),
        Some("a:b"),
        Some("(p)"),
        Some("null"),
        Some("back\\slash"),
        Some("tab\t"),
        Some("nl\nx"),
        Some("it's \\"),
        Some("nullx"),
        Some("\u{a0}"),
    ]);
    assert_eq!(
        texts(list_of(Arc::clone(&array))),
        [
            "[a, b c, '', 'NULL', NULL, 'a,b', '[x]', '{y}', 'it\\'s', 'a\"b', ' lead', 'trail ', 'x=y', 'a:b', '(p)', 'null', \
          back\\slash, 'tab\t', nl\nx, 'it\\'s \\\\', nullx, \u{a0}]"
        ]
    );
    assert_eq!(json(list_of(words(vec![Some("it's \\ \""), None]))), ["[\"it's \\\\ \\\"\",null]"]);
}

#[test]
fn lists() {
    assert_eq!(texts(list_of(Int32Array::from(vec![Some(1), None]))), ["[1, NULL]"]);
    assert_eq!(texts(list_of(list_of(Int32Array::from(Vec::<i32>::new())))), ["[[]]"]);
    assert_eq!(texts(list_of(TimestampSecondArray::from(vec![0]))), ["['1970-01-01 00:00:00']"]);
    assert_eq!(texts(list_of(Date32Array::from(vec![0, i32::MAX]))), ["[1970-01-01, infinity]"]);
    assert_eq!(json(list_of(Date32Array::from(vec![0, i32::MAX]))), ["[\"1970-01-01\",\"infinity\"]"]);
    assert_eq!(texts(list_of(Float64Array::from(vec![f64::NAN, 1e16]))), ["[nan, 1e+16]"]);
    assert_eq!(json(list_of(Float64Array::from(vec![f64::NAN, 1e16]))), ["[\"nan\",10000000000000000.0]"]);
    assert_eq!(json(list_of(Int64Array::from(vec![9_007_199_254_740_993]))), ["[9007199254740993]"]);
    let sliced =
        ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)]), None, Some(vec![Some(2), Some(3)])]);
    assert_eq!(texts(sliced.slice(1, 2)), ["NULL", "[2, 3]"]);
    let large = LargeListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]);
    assert_eq!(json(large), ["[1]"]);
    let fixed = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(
        [Some([Some(1), None]), None, Some([Some(2), Some(3)])],
        2,
    );
    assert_eq!(texts(fixed.slice(1, 2)), ["NULL", "[2, 3]"]);
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    let unquoted = FixedSizeListArray::new(item, 3, words(vec![Some("a,b"), Some(""), None]), None);
    assert_eq!(texts(unquoted), ["[a,b, , NULL]"]);
    let views =
        GenericListViewArray::<i32>::from(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]));
    assert_eq!(texts(views), ["[1]"]);
}

#[test]
fn decimals_inside_are_numbers() {
    let decimals = |value: i128, precision, scale| {
        list_of(Decimal128Array::from(vec![value]).with_precision_and_scale(precision, scale).expect("in range"))
    };
    for (value, precision, scale, text, shown) in [
        (150, 10, 2, "[1.50]", "[1.5]"),
        (-5, 10, 2, "[-0.05]", "[-0.05]"),
        (123, 5, 0, "[123]", "[123.0]"),
        (150, 15, 2, "[1.50]", "[1.5]"),
        (150, 16, 2, "[1.50]", "[1.50]"),
        (1, 16, 0, "[1]", "[1]"),
        (1, 9, 7, "[0.0000001]", "[1e-7]"),
        (5, 3, 3, "[.005]", "[0.005]"),
        (-5, 38, 38, "[-.00000000000000000000000000000000000005]", "[-0.00000000000000000000000000000000000005]"),
    ] {
        assert_eq!(texts(decimals(value, precision, scale)), [text]);
        assert_eq!(json(decimals(value, precision, scale)), [shown]);
    }
    let huge = Decimal128Array::from(vec![10i128.pow(20)]).with_precision_and_scale(38, 0).expect("in range");
    let huge: ArrayRef = Arc::new(huge);
    assert_eq!(json(list(Arc::clone(&huge), tagged(&huge, "HUGEINT"))), ["[100000000000000000000]"]);
}

#[test]
fn structs_and_unnamed_structs() {
    let named = structs(vec![
        ("a", Arc::new(Int32Array::from(vec![1]))),
        ("b c", words(vec![Some("x y")])),
        ("d'e", words(vec![None])),
        ("f\\g", Arc::new(structs(vec![("h", words(vec![Some("i,j")]))]))),
    ]);
    assert_eq!(texts(named.clone()), ["{'a': 1, 'b c': x y, 'd\\'e': NULL, 'f\\\\g': {'h': 'i,j'}}"]);
    assert_eq!(json(named), ["{\"a\":1,\"b c\":\"x y\",\"d'e\":null,\"f\\\\g\":{\"h\":\"i,j\"}}"]);
    let unnamed = structs(vec![("", Arc::new(Int32Array::from(vec![1]))), ("", words(vec![Some("a")]))]);
    assert_eq!(texts(unnamed), ["(1, a)"]);
}

#[test]
fn maps() {
    let array = map(words(vec![Some("a b"), Some("x=y"), Some("")]), words(vec![Some("c d"), None, Some("")]));
    assert_eq!(texts(array.clone()), ["{a b=c d, 'x=y'=NULL, ''=''}"]);
    assert_eq!(json(array), ["{\"a b\":\"c d\",\"x=y\":null,\"\":\"\"}"]);
    let days = map(Arc::new(Date32Array::from(vec![0])), Arc::new(list_of(Int32Array::from(vec![1]))));
    assert_eq!(texts(days.clone()), ["{1970-01-01=[1]}"]);
    assert_eq!(json(days), ["{\"1970-01-01\":[1]}"]);
    let pairs = map(
        Arc::new(structs(vec![("a", Arc::new(Int32Array::from(vec![1])) as ArrayRef)])),
        Arc::new(Int32Array::from(vec![2])),
    );
    assert_eq!(texts(pairs.clone()), ["{{'a': 1}=2}"]);
    assert_eq!(json(pairs), ["{\"{'a': 1}\":2}"]);
}

#[test]
fn json_documents_inside() {
    let documents = words(vec![Some("{\"a\": 1}")]);
    let json_field = |name: &str| tagged(&documents, "JSON").with_name(name);
    assert_eq!(texts(list(Arc::clone(&documents), json_field("item"))), ["[{\"a\": 1}]"]);
    assert_eq!(json(list(Arc::clone(&documents), json_field("item"))), ["[{\"a\":1}]"]);
    let array = FixedSizeListArray::new(Arc::new(json_field("item")), 1, Arc::clone(&documents), None);
    assert_eq!(texts(array), ["[{\"a\": 1}]"]);
    let member = StructArray::from(vec![(Arc::new(json_field("j")), Arc::clone(&documents))]);
    assert_eq!(texts(member.clone()), ["{'j': '{\"a\": 1}'}"]);
    assert_eq!(json(member), ["{\"j\":{\"a\":1}}"]);
}

#[test]
fn encodings_are_their_values() {
    let dictionary: DictionaryArray<Int8Type> = [Some("a"), None, Some("b,c"), Some("a")].into_iter().collect();
    assert_eq!(texts(dictionary.clone()), ["a", "NULL", "b,c", "a"]);
    assert_eq!(json(dictionary.clone()), ["\"a\"", "null", "\"b,c\"", "\"a\""]);
    assert_eq!(texts(list_of(dictionary)), ["[a, NULL, 'b,c', a]"]);
    let keys = Int32Array::from(vec![0, 1]);
    let numbers = DictionaryArray::new(keys, Arc::new(Int64Array::from(vec![Some(9_007_199_254_740_993), None])));
    assert_eq!(json(numbers), ["\"9007199254740993\"", "null"]);
    let runs = RunArray::<Int32Type>::try_new(&Int32Array::from(vec![2, 3]), &StringArray::from(vec![Some("a"), None]));
    assert_eq!(texts(runs.expect("two runs")), ["a", "a", "NULL"]);
}

#[test]
fn unions() {
    let fields = UnionFields::try_new(
        vec![0, 5],
        vec![Field::new("n", DataType::Int32, true), Field::new("s", DataType::Utf8, true)],
    );
    let children: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![Some(1), None])), words(vec![Some("x")])];
    let ids = ScalarBuffer::from(vec![0i8, 5, 0]);
    let offsets = ScalarBuffer::from(vec![0, 0, 1]);
    let array = UnionArray::try_new(fields.expect("two ids"), ids, Some(offsets), children).expect("a union");
    assert_eq!(texts(array.clone()), ["1", "x", "NULL"]);
    assert_eq!(json(array), ["{\"n\":1}", "{\"s\":\"x\"}", "null"]);
}
