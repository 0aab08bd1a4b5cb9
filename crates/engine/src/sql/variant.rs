//! Columns of Parquet's VARIANT type as JSON, shredded or not.
//! Not here: which columns are of that type (`parquet`), and how the JSON is printed (`tapline_core::values`).
//! Called for every batch of such a column.
//!
//! See <https://github.com/apache/parquet-format/blob/master/VariantEncoding.md> and `VariantShredding.md` beside it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Date32Array, Decimal128Array, Float32Array, Float64Array, ListArray,
    StringArray, StringBuilder, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    TimestampNanosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use tapline_core::values::{Column, escape_json};

type Result<T> = std::result::Result<T, ArrowError>;

/// Values nest no deeper; a value that claims to is damaged.
const MAX_DEPTH: usize = 128;
/// Values that one row may hold.
const MAX_VALUES: usize = 10_000_000;

/// The values of a VARIANT column as JSON texts; members of objects are ordered by name. NULL and the variant's own null
/// are NULL.
pub(crate) fn to_json(array: &StructArray) -> Result<StringArray> {
    let metadata = binary(array, "metadata")?.ok_or_else(|| damaged("it has no metadata"))?;
    let values = Shredded::new(array)?;
    let mut texts = StringBuilder::new();
    let mut json = Vec::new();
    for row in 0..array.len() {
        json.clear();
        if array.is_valid(row) {
            let names = Names::read(metadata.value(row))?;
            values.write(row, &names, &mut json)?;
        }
        match json.as_slice() {
            [] | b"null" => texts.append_null(),
            text => texts.append_value(std::str::from_utf8(text).map_err(|_| damaged("a text is not UTF-8"))?),
        }
    }
    Ok(texts.finish())
}

fn damaged(why: &str) -> ArrowError {
    ArrowError::ParquetError(format!("a VARIANT value is damaged: {why}"))
}

fn binary(array: &StructArray, name: &str) -> Result<Option<BinaryArray>> {
    let Some(column) = array.column_by_name(name) else { return Ok(None) };
    Ok(Some(cast(column, &DataType::Binary)?.as_binary::<i32>().clone()))
}

/// A value in two places: what fits the column's type is in the typed one, everything else is encoded.
struct Shredded {
    encoded: Option<BinaryArray>,
    typed: Option<Typed>,
}

enum Typed {
    Simple { column: Column, quoted: bool },
    Object { array: StructArray, members: Vec<(String, StructArray, Shredded)> },
    List { array: ListArray, items: StructArray, values: Box<Shredded> },
}

impl Shredded {
    fn new(array: &StructArray) -> Result<Self> {
        let typed = array.column_by_name("typed_value").map(Typed::new).transpose()?;
        Ok(Self { encoded: binary(array, "value")?, typed })
    }

    /// Appends the value; nothing where there is none.
    fn write(&self, row: usize, names: &Names<'_>, out: &mut Vec<u8>) -> Result<()> {
        let encoded = self.encoded.as_ref().filter(|array| array.is_valid(row)).map(|array| array.value(row));
        match &self.typed {
            Some(Typed::Simple { column, quoted }) if !column.is_null(row) => {
                write_simple(column, row, *quoted, out);
                Ok(())
            }
            Some(Typed::Object { array, members }) if array.is_valid(row) => {
                let mut object = match encoded {
                    Some(bytes) => Value::read(bytes)?.members(names)?,
                    None => BTreeMap::new(),
                };
                for (name, holder, member) in members {
                    let mut json = Vec::new();
                    if holder.is_valid(row) {
                        member.write(row, names, &mut json)?;
                    }
                    if !json.is_empty() {
                        object.insert(name.clone(), json);
                    }
                }
                write_object(&object, out);
                Ok(())
            }
            Some(Typed::List { array, items, values }) if array.is_valid(row) => {
                let (start, end) = (array.value_offsets()[row], array.value_offsets()[row + 1]);
                out.push(b'[');
                for (position, item) in (start..end).enumerate() {
                    if position > 0 {
                        out.push(b',');
                    }
                    let item = usize::try_from(item).map_err(|_| damaged("a list begins before the first item"))?;
                    let before = out.len();
                    if items.is_valid(item) {
                        values.write(item, names, out)?;
                    }
                    if out.len() == before {
                        out.extend_from_slice(b"null");
                    }
                }
                out.push(b']');
                Ok(())
            }
            _ => match encoded {
                Some(bytes) => Value::read(bytes)?.write(names, 0, out),
                None => Ok(()),
            },
        }
    }
}

impl Typed {
    fn new(array: &ArrayRef) -> Result<Self> {
        match array.data_type() {
            DataType::Struct(fields) => {
                let array = array.as_struct().clone();
                let members = fields
                    .iter()
                    .zip(array.columns())
                    .map(|(field, column)| {
                        let holder = column.as_struct_opt().ok_or_else(|| damaged("a member is no struct"))?;
                        Ok((field.name().clone(), holder.clone(), Shredded::new(holder)?))
                    })
                    .collect::<Result<_>>()?;
                Ok(Self::Object { array, members })
            }
            DataType::List(_) => {
                let array = array.as_list::<i32>().clone();
                let items = array.values().as_struct_opt().ok_or_else(|| damaged("an item is no struct"))?.clone();
                let values = Box::new(Shredded::new(&items)?);
                Ok(Self::List { array, items, values })
            }
            other => {
                let quoted = !(other.is_numeric() || matches!(other, DataType::Boolean));
                let array = match other {
                    // What is bytes here is a UUID where it has 16 of them.
                    DataType::FixedSizeBinary(16) => uuids(array),
                    _ => Arc::clone(array),
                };
                let column = Column::new(&Field::new("typed_value", array.data_type().clone(), true), &array)?;
                Ok(Self::Simple { column, quoted })
            }
        }
    }
}

fn uuids(array: &ArrayRef) -> ArrayRef {
    let bytes = array.as_fixed_size_binary();
    Arc::new(StringArray::from_iter(bytes.iter().map(|value| value.map(uuid_text))))
}

fn uuid_text(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex.get(part).unwrap_or_default().to_owned()).join("-")
}

/// A value of a column: numbers and booleans as they are, the rest as a string, and so the numbers that JSON lacks.
fn write_simple(column: &Column, row: usize, quoted: bool, out: &mut Vec<u8>) {
    let start = out.len();
    column.text(row, out);
    let is_word = matches!(&out[start..], b"nan" | b"inf" | b"-inf");
    if quoted || is_word {
        escape_json(out, start);
        out.insert(start, b'"');
        out.push(b'"');
    }
}

fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.extend_from_slice(text);
    escape_json(out, start);
    out.push(b'"');
}

fn write_object(members: &BTreeMap<String, Vec<u8>>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (position, (name, json)) in members.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_string(name.as_bytes(), out);
        out.push(b':');
        out.extend_from_slice(json);
    }
    out.push(b'}');
}

/// The names of members, which values point at, and how many values may still be read.
struct Names<'a> {
    budget: Cell<usize>,
    offsets: &'a [u8],
    offset_size: usize,
    texts: &'a [u8],
    count: usize,
}

impl<'a> Names<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let (header, rest) = bytes.split_first().ok_or_else(|| damaged("the metadata is empty"))?;
        let offset_size = usize::from(header >> 6) + 1;
        let count = integer(rest, 0, offset_size)?;
        let start = offset_size;
        let length = count
            .checked_add(1)
            .and_then(|offsets| offsets.checked_mul(offset_size))
            .ok_or_else(|| damaged("the metadata counts too many names"))?;
        let offsets = slice(rest, start, length)?;
        Ok(Self { budget: Cell::new(MAX_VALUES), offsets, offset_size, texts: &rest[start + length..], count })
    }

    /// Counts one more value; those that point at each other could be without end.
    fn spend(&self) -> Result<()> {
        let left = self.budget.get().checked_sub(1).ok_or_else(|| damaged("it has too many parts"))?;
        self.budget.set(left);
        Ok(())
    }

    fn get(&self, index: usize) -> Result<&'a str> {
        if index >= self.count {
            return Err(damaged("a member has no name"));
        }
        let start = integer(self.offsets, index * self.offset_size, self.offset_size)?;
        let end = integer(self.offsets, (index + 1) * self.offset_size, self.offset_size)?;
        let text = slice(self.texts, start, end.checked_sub(start).ok_or_else(|| damaged("a name has no end"))?)?;
        std::str::from_utf8(text).map_err(|_| damaged("a name is not UTF-8"))
    }
}

fn slice(bytes: &[u8], start: usize, length: usize) -> Result<&[u8]> {
    start.checked_add(length).and_then(|end| bytes.get(start..end)).ok_or_else(|| damaged("it ends too early"))
}

/// An unsigned integer of 1 to 4 bytes, the lowest first.
fn integer(bytes: &[u8], start: usize, size: usize) -> Result<usize> {
    Ok(slice(bytes, start, size)?.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

/// An encoded value: its header and what follows.
#[derive(Clone, Copy)]
struct Value<'a> {
    header: u8,
    rest: &'a [u8],
}

impl<'a> Value<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let (header, rest) = bytes.split_first().ok_or_else(|| damaged("a value is empty"))?;
        Ok(Self { header: *header, rest })
    }

    fn write(self, names: &Names<'_>, depth: usize, out: &mut Vec<u8>) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(damaged("it nests beyond reason"));
        }
        names.spend()?;
        let kind = self.header >> 2;
        match self.header & 0b11 {
            0 => self.write_primitive(kind, out),
            1 => {
                write_string(slice(self.rest, 0, usize::from(kind))?, out);
                Ok(())
            }
            2 => {
                let mut members = BTreeMap::new();
                for (name, value) in self.object(names)? {
                    let mut json = Vec::new();
                    value.write(names, depth + 1, &mut json)?;
                    members.insert(name.to_owned(), json);
                }
                write_object(&members, out);
                Ok(())
            }
            _ => {
                out.push(b'[');
                for (position, value) in self.array()?.into_iter().enumerate() {
                    if position > 0 {
                        out.push(b',');
                    }
                    value.write(names, depth + 1, out)?;
                }
                out.push(b']');
                Ok(())
            }
        }
    }

    /// The members of an object, each as JSON.
    fn members(self, names: &Names<'_>) -> Result<BTreeMap<String, Vec<u8>>> {
        if self.header & 0b11 != 2 {
            return Err(damaged("an object is partly no object"));
        }
        let mut members = BTreeMap::new();
        for (name, value) in self.object(names)? {
            let mut json = Vec::new();
            value.write(names, 1, &mut json)?;
            members.insert(name.to_owned(), json);
        }
        Ok(members)
    }

    fn object<'n>(self, names: &Names<'n>) -> Result<Vec<(&'n str, Self)>> {
        let flags = usize::from(self.header >> 2);
        let (offset_size, id_size) = ((flags & 0b11) + 1, (flags >> 2 & 0b11) + 1);
        let count_size = if flags >> 4 & 1 == 1 { 4 } else { 1 };
        let count = integer(self.rest, 0, count_size)?;
        let ids = slice(self.rest, count_size, sized(count, id_size)?)?;
        let offsets_at = count_size + ids.len();
        let offsets = slice(self.rest, offsets_at, sized(count + 1, offset_size)?)?;
        let values = &self.rest[offsets_at + offsets.len()..];
        (0..count)
            .map(|index| {
                let name = names.get(integer(ids, index * id_size, id_size)?)?;
                Ok((name, Self::at(values, integer(offsets, index * offset_size, offset_size)?)?))
            })
            .collect()
    }

    fn array(self) -> Result<Vec<Self>> {
        let flags = usize::from(self.header >> 2);
        let offset_size = (flags & 0b11) + 1;
        let count_size = if flags >> 2 & 1 == 1 { 4 } else { 1 };
        let count = integer(self.rest, 0, count_size)?;
        let offsets = slice(self.rest, count_size, sized(count + 1, offset_size)?)?;
        let values = &self.rest[count_size + offsets.len()..];
        (0..count).map(|index| Self::at(values, integer(offsets, index * offset_size, offset_size)?)).collect()
    }

    fn at(values: &'a [u8], offset: usize) -> Result<Self> {
        Self::read(values.get(offset..).ok_or_else(|| damaged("a value begins behind the end"))?)
    }

    fn write_primitive(self, kind: u8, out: &mut Vec<u8>) -> Result<()> {
        let (array, quoted): (ArrayRef, bool) = match kind {
            0 => return append(b"null", out),
            1 => return append(b"true", out),
            2 => return append(b"false", out),
            3 => return append(i8::from_le_bytes(self.bytes()?).to_string().as_bytes(), out),
            4 => return append(i16::from_le_bytes(self.bytes()?).to_string().as_bytes(), out),
            5 => return append(i32::from_le_bytes(self.bytes()?).to_string().as_bytes(), out),
            6 => return append(i64::from_le_bytes(self.bytes()?).to_string().as_bytes(), out),
            7 => (Arc::new(Float64Array::from(vec![f64::from_le_bytes(self.bytes()?)])), false),
            8 => (self.decimal(|value| Ok(i32::from_le_bytes(value.bytes()?).into()))?, false),
            9 => (self.decimal(|value| Ok(i64::from_le_bytes(value.bytes()?).into()))?, false),
            10 => (self.decimal(|value| Ok(i128::from_le_bytes(value.bytes()?)))?, false),
            11 => (Arc::new(Date32Array::from(vec![i32::from_le_bytes(self.bytes()?)])), true),
            12 => (Arc::new(TimestampMicrosecondArray::from(vec![self.long()?]).with_timezone("UTC")), true),
            13 => (Arc::new(TimestampMicrosecondArray::from(vec![self.long()?])), true),
            14 => (Arc::new(Float32Array::from(vec![f32::from_le_bytes(self.bytes()?)])), false),
            15 => (Arc::new(BinaryArray::from_vec(vec![self.sized_bytes()?])), true),
            16 => {
                write_string(self.sized_bytes()?, out);
                return Ok(());
            }
            17 => (Arc::new(Time64MicrosecondArray::from(vec![self.long()?])), true),
            18 => (Arc::new(TimestampNanosecondArray::from(vec![self.long()?]).with_timezone("UTC")), true),
            19 => (Arc::new(TimestampNanosecondArray::from(vec![self.long()?])), true),
            20 => {
                write_string(uuid_text(slice(self.rest, 0, 16)?).as_bytes(), out);
                return Ok(());
            }
            _ => return Err(damaged("it is of an unknown type")),
        };
        let column = Column::new(&Field::new("value", array.data_type().clone(), false), &array)?;
        write_simple(&column, 0, quoted, out);
        Ok(())
    }

    fn bytes<const N: usize>(self) -> Result<[u8; N]> {
        slice(self.rest, 0, N)?.try_into().map_err(|_| damaged("it ends too early"))
    }

    fn long(self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.bytes()?))
    }

    /// The scale stands before the digits.
    fn decimal(self, digits: impl FnOnce(Self) -> Result<i128>) -> Result<ArrayRef> {
        let (scale, rest) = self.rest.split_first().ok_or_else(|| damaged("a number has no scale"))?;
        let scale =
            i8::try_from(*scale).ok().filter(|scale| *scale <= 38).ok_or_else(|| damaged("a scale is too large"))?;
        let digits = digits(Self { rest, ..self })?;
        Ok(Arc::new(Decimal128Array::from(vec![digits]).with_precision_and_scale(38, scale)?))
    }

    fn sized_bytes(self) -> Result<&'a [u8]> {
        slice(self.rest, 4, integer(self.rest, 0, 4)?)
    }
}

fn sized(count: usize, size: usize) -> Result<usize> {
    count.checked_mul(size).ok_or_else(|| damaged("it counts too many values"))
}

fn append(text: &[u8], out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names `a` and `b`.
    const NAMES: &[u8] = &[0b0001_0001, 2, 0, 1, 2, b'a', b'b'];

    fn json(value: &[u8]) -> Result<String> {
        let mut out = Vec::new();
        Value::read(value)?.write(&Names::read(NAMES)?, 0, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn values_are_json() {
        for (value, expected) in [
            (&[0][..], "null"),
            (&[3 << 2, 0xFF], "-1"),
            (&[8 << 2, 2, 0x9E, 0xFF, 0xFF, 0xFF], "-0.98"),
            (&[11 << 2, 1, 0, 0, 0], "\"1970-01-02\""),
            (&[2 << 2 | 1, b'"', b'x'], "\"\\\"x\""),
            // {"b": [true, 1], "a": null}
            (&[2, 2, 1, 0, 0, 8, 9, 3, 2, 0, 1, 3, 4, 3 << 2, 1, 0], "{\"a\":null,\"b\":[true,1]}"),
        ] {
            assert_eq!(json(value).unwrap(), expected, "{value:?}");
        }
    }

    #[test]
    fn what_points_outside_is_damaged() {
        for value in [
            &[][..],
            &[5 << 2, 1],
            &[63 << 2],
            &[2, 9, 0],
            &[2, 1, 7, 0, 1, 0],
            &[3, 1, 9, 9],
            &[3, 255],
            &[16 << 2, 9, 0, 0, 0],
        ] {
            assert!(json(value).is_err(), "{value:?}");
        }
        assert!(Names::read(&[0b1100_0001, 0xFF, 0xFF, 0xFF, 0xFF]).is_err());
    }

    #[test]
    fn what_is_shredded_is_put_together() {
        let name = |name: &str, array: ArrayRef| (Arc::new(Field::new(name, array.data_type().clone(), true)), array);
        let number = StructArray::from(vec![name(
            "typed_value",
            Arc::new(arrow::array::Int32Array::from(vec![Some(7), None])) as ArrayRef,
        )]);
        let typed = StructArray::from(vec![name("b", Arc::new(number) as ArrayRef)]);
        let rest: ArrayRef = Arc::new(BinaryArray::from_opt_vec(vec![Some(&[2, 1, 0, 0, 1, 1 << 2]), None]));
        let metadata: ArrayRef = Arc::new(BinaryArray::from_vec(vec![NAMES; 2]));
        let column = StructArray::from(vec![
            name("metadata", metadata),
            name("value", rest),
            name("typed_value", Arc::new(typed)),
        ]);
        let texts: Vec<_> = to_json(&column).unwrap().iter().map(|text| text.map(str::to_owned)).collect();
        assert_eq!(texts, [Some("{\"a\":true,\"b\":7}".to_owned()), Some("{}".to_owned())]);
    }
}
