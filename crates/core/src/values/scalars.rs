//! Booleans, texts, bytes: values that need little more than copying.
//! Not here: numbers and times.
//! Called by the dispatch on Arrow types.

use arrow::array::{BooleanArray, FixedSizeBinaryArray, GenericByteArray, GenericByteViewArray};
use arrow::datatypes::{ByteArrayType, ByteViewType};

use super::json_text::minify;
use super::variant::plain;
use super::{Kind, Values};

/// A column that is NULL throughout, so that nothing is ever asked of it.
pub(super) struct Nothing;

impl Values for Nothing {
    fn text(&self, _: usize, _: &mut Vec<u8>) {}
}

pub(super) struct Booleans(pub(super) BooleanArray);

impl Values for Booleans {
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.0.value(row) { b"true" } else { b"false" });
    }

    fn json(&self, row: usize, out: &mut Vec<u8>) {
        self.text(row, out);
    }
}

/// Arrays whose values are runs of bytes.
pub(super) trait Bytes: Send + Sync {
    fn bytes(&self, row: usize) -> &[u8];
}

impl<T: ByteArrayType> Bytes for GenericByteArray<T>
where
    T::Native: AsRef<[u8]>,
{
    fn bytes(&self, row: usize) -> &[u8] {
        self.value(row).as_ref()
    }
}

impl<T: ByteViewType> Bytes for GenericByteViewArray<T>
where
    T::Native: AsRef<[u8]>,
{
    fn bytes(&self, row: usize) -> &[u8] {
        self.value(row).as_ref()
    }
}

impl Bytes for FixedSizeBinaryArray {
    fn bytes(&self, row: usize) -> &[u8] {
        self.value(row)
    }
}

pub(super) struct Texts<A>(pub(super) A);

impl<A: Bytes> Values for Texts<A> {
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.bytes(row));
    }
}

/// Values of DuckDB's VARIANT type kept as JSON.
pub(super) struct VariantTexts<A>(pub(super) A);

impl<A: Bytes> Values for VariantTexts<A> {
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        plain(&String::from_utf8_lossy(self.0.bytes(row)), out);
    }

    fn json(&self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.bytes(row));
    }

    fn kind(&self) -> Kind {
        Kind::Nested
    }
}

/// JSON documents kept as text.
pub(super) struct JsonTexts<A>(pub(super) A);

impl<A: Bytes> Values for JsonTexts<A> {
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.bytes(row));
    }

    fn json(&self, row: usize, out: &mut Vec<u8>) {
        let start = out.len();
        if !minify(self.0.bytes(row), out) {
            out.truncate(start);
            self.quoted(row, out);
        }
    }

    fn kind(&self) -> Kind {
        Kind::Json
    }
}

/// Bytes: printable ASCII as it is, all else (quotes and backslashes too) as `\xAA`.
pub(super) struct Blobs<A>(pub(super) A);

impl<A: Bytes> Values for Blobs<A> {
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        for &byte in self.0.bytes(row) {
            if (b' '..=b'~').contains(&byte) && !matches!(byte, b'\'' | b'"' | b'\\') {
                out.push(byte);
            } else {
                let digit = |value: u8| b"0123456789ABCDEF"[usize::from(value)];
                out.extend_from_slice(&[b'\\', b'x', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
}

/// UUIDs as 16 bytes.
pub(super) struct Uuids(pub(super) FixedSizeBinaryArray);

impl Values for Uuids {
    fn text(&self, row: usize, out: &mut Vec<u8>) {
        for (index, &byte) in self.0.value(row).iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                out.push(b'-');
            }
            let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
            out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
    }
}
