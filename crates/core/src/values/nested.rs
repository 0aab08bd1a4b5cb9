//! Values made of values: lists, structs, maps, and the encodings that point at values elsewhere.
//! Not here: the values inside, which are columns of their own.
//! Called by the dispatch on Arrow types.

use arrow::array::{
    AnyDictionaryArray, Array, ArrayRef, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, StructArray,
    UnionArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{ArrowNativeType, Field, FieldRef, Fields, UnionFields};
use arrow::error::ArrowError;

use super::{Column, Holder, Kind, Values, escape, escape_json};

/// Lists of any length.
pub(super) struct Lists<O: OffsetSizeTrait> {
    offsets: OffsetBuffer<O>,
    items: Column,
}

impl<O: OffsetSizeTrait> Lists<O> {
    pub(super) fn new(item: &FieldRef, array: &GenericListArray<O>) -> Result<Self, ArrowError> {
        Ok(Self { offsets: array.offsets().clone(), items: Column::new(item, array.values())? })
    }

    fn range(&self, row: usize) -> std::ops::Range<usize> {
        self.offsets[row].as_usize()..self.offsets[row + 1].as_usize()
    }
}

impl<O: OffsetSizeTrait> Values for Lists<O> {
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        list_text(&self.items, self.range(row), Holder::List, out);
    }

    fn json(&self, row: usize, out: &mut Vec<u8>) {
        list_json(&self.items, self.range(row), out);
    }

    fn kind(&self) -> Kind {
        Kind::Nested
    }
}

/// Lists of one length.
pub(super) struct Arrays {
    size: usize,
    items: Column,
}

impl Arrays {
    pub(super) fn new(item: &FieldRef, size: i32, array: &FixedSizeListArray) -> Result<Self, ArrowError> {
        Ok(Self { size: usize::try_from(size).unwrap_or_default(), items: Column::new(item, array.values())? })
    }

    fn range(&self, row: usize) -> std::ops::Range<usize> {
        row * self.size..(row + 1) * self.size
    }
}

impl Values for Arrays {
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        list_text(&self.items, self.range(row), Holder::Array, out);
    }

    fn json(&self, row: usize, out: &mut Vec<u8>) {
        list_json(&self.items, self.range(row), out);
    }

    fn kind(&self) -> Kind {
        Kind::Nested
    }
}

fn list_text(items: &Column, range: std::ops::Range<usize>, holder: Holder, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, item) in range.enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        items.nested_text(item, holder, out);
    }
    out.push(b']');
}

fn list_json(items: &Column, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, item) in range.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        items.nested_json(item, out);
    }
    out.push(b']');
}

/// Structs: `{'a': 1}`, and `(1)` where the fields have no names.
pub(super) struct Structs {
    members: Vec<Member>,
    named: bool,
}

struct Member {
    /// `'name': `
    text_key: Vec<u8>,
    /// `"name":`
    json_key: Vec<u8>,
    values: Column,
}

impl Structs {
    pub(super) fn new(fields: &Fields, array: &StructArray) -> Result<Self, ArrowError> {
        let members =
            fields.iter().zip(array.columns()).map(|(field, column)| Member::new(field.name(), field, column));
        Ok(Self {
            members: members.collect::<Result<_, _>>()?,
            named: fields.iter().any(|field| !field.name().is_empty()),
        })
    }
}

impl Member {
    fn new(name: &str, field: &Field, array: &ArrayRef) -> Result<Self, ArrowError> {
        let mut text_key = name.as_bytes().to_vec();
        escape::quote_always(&mut text_key, 0);
        text_key.extend_from_slice(b": ");
        Ok(Self { text_key, json_key: json_key(name), values: Column::new(field, array)? })
    }
}

fn json_key(name: &str) -> Vec<u8> {
    let mut key = vec![b'"'];
    key.extend_from_slice(name.as_bytes());
    escape_json(&mut key, 1);
    key.extend_from_slice(b"\":");
    key
}

impl Values for Structs {
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        let (open, close) = if self.named { (b'{', b'}') } else { (b'(', b')') };
        out.push(open);
        for (index, member) in self.members.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            if self.named {
                out.extend_from_slice(&member.text_key);
            }
            member.values.nested_text(row, Holder::Named, out);
        }
        out.push(close);
    }

    fn json(&self, row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, member) in self.members.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&member.json_key);
            member.values.nested_json(row, out);
        }
        out.push(b'}');
    }

    fn kind(&self) -> Kind {
        Kind::Nested
    }
}

/// Maps: `{a=1}`; in JSON the keys are their texts.
pub(super) struct Maps {
    offsets: OffsetBuffer<i32>,
    keys: Column,
    values: Column,
}

impl Maps {
    pub(super) fn new(array: &MapArray) -> Result<Self, ArrowError> {
        let (keys, values) = array.entries_fields();
        Ok(Self {
            offsets: array.offsets().clone(),
            keys: Column::new(keys, array.keys())?,
            values: Column::new(values, array.values())?,
        })
    }

    fn range(&self, row: usize) -> std::ops::Range<usize> {
        self.offsets[row].as_usize()..self.offsets[row + 1].as_usize()
    }
}

impl Values for Maps {
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, entry) in self.range(row).enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            self.keys.nested_text(entry, Holder::Named, out);
            out.push(b'=');
            self.values.nested_text(entry, Holder::Named, out);
        }
        out.push(b'}');
    }

    fn json(&self, row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, entry) in self.range(row).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.push(b'"');
            let start = out.len();
            self.keys.text(entry, out);
            escape_json(out, start);
            out.extend_from_slice(b"\":");
            self.values.nested_json(entry, out);
        }
        out.push(b'}');
    }

    fn kind(&self) -> Kind {
        Kind::Nested
    }
}

/// Values kept once and pointed at.
pub(super) struct Dictionaries {
    keys: Vec<usize>,
    values: Column,
}

impl Dictionaries {
    pub(super) fn new(field: &Field, array: &dyn AnyDictionaryArray) -> Result<Self, ArrowError> {
        let values = array.values();
        let plain = field.clone().with_data_type(values.data_type().clone());
        // Without values every row is null, and the keys point at nothing.
        let keys = if values.is_empty() { vec![0; array.len()] } else { array.normalized_keys() };
        Ok(Self { keys, values: Column::new(&plain, values)? })
    }
}

impl Values for Dictionaries {
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        self.values.values.text(self.keys[row], out);
    }

    fn json(&self, row: usize, out: &mut Vec<u8>) {
        self.values.values.json(self.keys[row], out);
    }

    fn member(&self, row: usize, out: &mut Vec<u8>) {
        self.values.values.member(self.keys[row], out);
    }

    fn kind(&self) -> Kind {
        self.values.values.kind()
    }
}

/// Values of one of several types each: the bare value as text, `{"type":value}` in JSON.
pub(super) struct Unions {
    array: UnionArray,
    /// By type id.
    members: Vec<Option<Member>>,
}

impl Unions {
    pub(super) fn new(fields: &UnionFields, array: &UnionArray) -> Result<Self, ArrowError> {
        let mut members: Vec<Option<Member>> = Vec::new();
        for (id, field) in fields.iter() {
            let index = usize::try_from(id).unwrap_or_default();
            members.resize_with(members.len().max(index + 1), || None);
            members[index] = Some(Member::new(field.name(), field, array.child(id))?);
        }
        Ok(Self { array: array.clone(), members })
    }

    fn member(&self, row: usize) -> Option<(&Member, usize)> {
        let index = usize::try_from(self.array.type_id(row)).ok()?;
        Some((self.members.get(index)?.as_ref()?, self.array.value_offset(row)))
    }
}

impl Values for Unions {
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        if let Some((member, offset)) = self.member(row) {
            member.values.text(offset, out);
        }
    }

    fn json(&self, row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        if let Some((member, offset)) = self.member(row) {
            out.extend_from_slice(&member.json_key);
            member.values.nested_json(offset, out);
        }
        out.push(b'}');
    }
}
