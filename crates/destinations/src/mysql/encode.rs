//! From Arrow columns to the texts that LOAD DATA reads; a value that its column would change is a misfit.
//! Not here: which values those are (see `fit`), and statements (see `stage`).
//! Called for every batch.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use bytes::{BufMut, BytesMut};
use tapline_core::values::Column as Rendered;
use tapline_core::{Code, Error, Result, codes};

use super::fit;
use super::types::{Form, Kind};

/// How the values of one mapped field get into their column.
#[derive(Debug, Clone)]
pub(super) struct Encoder {
    pub(super) field: FieldRef,
    pub(super) form: Form,
    /// What the column holds.
    pub(super) kind: Kind,
    /// What the column can be made to hold where a value asks for it.
    pub(super) wide: Option<Kind>,
    /// Whether a value has asked for it.
    pub(super) widens: bool,
    pub(super) key: bool,
    pub(super) not_null: bool,
    /// The longest value that the server takes, in bytes.
    pub(super) longest: usize,
}

/// A value that its column cannot hold as it is: the row's index in the batch, and what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) row: usize,
    pub(super) code: Code,
    pub(super) problem: &'static str,
}

/// The values of one column of one batch, as texts or bytes.
pub(super) struct Cells {
    buffer: Vec<u8>,
    /// Where each value ends in the buffer; `None` for NULL.
    ends: Vec<(usize, bool)>,
    /// Whether the values travel in hexadecimal digits.
    hexadecimal: bool,
}

const NULL_KEY: &str = "the key must not be null";
const NOT_NULL: &str = "the column must not be null";
const TOO_LARGE: &str = "the value is longer than the server's max_allowed_packet";

impl Encoder {
    /// Whether values travel in hexadecimal digits.
    pub(super) fn is_hexadecimal(&self) -> bool {
        matches!(self.kind, Kind::Bytes { .. })
    }

    /// The type of the staged column, and whether it holds texts.
    pub(super) fn staged(&self) -> (String, bool) {
        self.wide.as_ref().unwrap_or(&self.kind).staged()
    }

    /// Prepares a column of a batch, and finds the values that do not fit, in the order of rows.
    pub(super) fn encode(&mut self, array: &ArrayRef) -> Result<(Cells, Vec<Unfit>)> {
        let rows = array.len();
        let mut cells = Cells {
            buffer: Vec::with_capacity(rows * 8),
            ends: Vec::with_capacity(rows),
            hexadecimal: self.is_hexadecimal(),
        };
        let mut unfit = Vec::new();
        let values = Values::new(self, array)?;
        let mut scratch = Vec::new();
        for row in 0..rows {
            scratch.clear();
            let start = cells.buffer.len();
            if !values.put(row, &mut scratch) {
                cells.ends.push((start, true));
                if self.key || self.not_null {
                    let problem = if self.key { NULL_KEY } else { NOT_NULL };
                    unfit.push(Unfit { row, code: codes::ROW_002, problem });
                }
                continue;
            }
            match self.fitted(&scratch) {
                Ok(fitted) => cells.buffer.extend_from_slice(fitted),
                Err(problem) => unfit.push(Unfit { row, code: codes::ROW_001, problem }),
            }
            cells.ends.push((cells.buffer.len(), false));
        }
        Ok((cells, unfit))
    }

    /// What is to be stored of a value.
    fn fitted<'a>(&mut self, value: &'a [u8]) -> Result<&'a [u8], &'static str> {
        // In hexadecimal digits a value is twice as long.
        let most = if self.is_hexadecimal() { self.longest / 2 } else { self.longest };
        if value.len() + 1024 > most {
            return Err(TOO_LARGE);
        }
        let in_kind = |kind: &Kind| match kind {
            Kind::Bytes { most, fixed } => fit::bytes(*most, *fixed, value.len()).map(|()| value),
            kind => {
                let text = str::from_utf8(value).map_err(|_| "the value is no text")?;
                fit::value(self.form, kind, text).map(str::as_bytes)
            }
        };
        let narrow = in_kind(&self.kind);
        let Some(wide) = self.wide.as_ref().filter(|_| narrow.is_err()) else { return narrow };
        let fitted = in_kind(wide)?;
        self.widens = true;
        Ok(fitted)
    }
}

/// The values of an array, on their way into texts.
enum Values {
    Null,
    /// 1 and 0.
    Booleans(Rendered),
    /// The shortest digits of a float of 64 bits; the flag allows exponents.
    Floats(ArrayRef, bool),
    Json(Rendered),
    Bytes(ArrayRef),
    Texts(Rendered),
}

impl Values {
    fn new(encoder: &Encoder, array: &ArrayRef) -> Result<Self> {
        let unencodable = |error: arrow::error::ArrowError| {
            Error::internal(format!("the values of field {:?} cannot be read", encoder.field.name())).because(error)
        };
        let rendered = || Rendered::new(&encoder.field, array).map_err(unencodable);
        let is_text = matches!(encoder.kind, Kind::Text { .. });
        Ok(match encoder.form {
            Form::Null => Self::Null,
            Form::Boolean if !is_text => Self::Booleans(rendered()?),
            // A float of 32 bits has other digits as one of 64, and those are exact.
            Form::Float | Form::Double if !is_text => {
                let floats = cast(array, &DataType::Float64).map_err(unencodable)?;
                Self::Floats(floats, matches!(encoder.kind, Kind::Float { .. }))
            }
            Form::Json => Self::Json(rendered()?),
            Form::Bytes => Self::Bytes(cast(array, &DataType::LargeBinary).map_err(unencodable)?),
            Form::Uuid if encoder.is_hexadecimal() => {
                Self::Bytes(cast(array, &DataType::LargeBinary).map_err(unencodable)?)
            }
            _ => Self::Texts(rendered()?),
        })
    }

    /// Appends a value; false for NULL.
    fn put(&self, row: usize, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Null => false,
            Self::Booleans(column) => {
                let present = column.text(row, out);
                if present {
                    let digit = if out.first() == Some(&b't') { b'1' } else { b'0' };
                    out.clear();
                    out.push(digit);
                }
                present
            }
            Self::Floats(array, exponents) => {
                let present = array.is_valid(row);
                if present {
                    let float = array.as_primitive::<Float64Type>().value(row);
                    let text = if *exponents { format!("{float:?}") } else { float.to_string() };
                    out.extend_from_slice(text.as_bytes());
                }
                present
            }
            Self::Json(column) => {
                let present = !column.is_null(row);
                if present {
                    column.json(row, out);
                }
                present
            }
            Self::Bytes(array) => {
                let present = array.is_valid(row);
                if present {
                    out.extend_from_slice(array.as_binary::<i64>().value(row));
                }
                present
            }
            Self::Texts(column) => column.text(row, out),
        }
    }
}

impl Cells {
    /// The value of a row; `None` for NULL.
    pub(super) fn value(&self, row: usize) -> Option<&[u8]> {
        let (end, null) = self.ends[row];
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before].0);
        (!null).then(|| &self.buffer[start..end])
    }

    /// Writes the value of a row as a field of LOAD DATA.
    pub(super) fn put(&self, row: usize, out: &mut BytesMut) {
        match self.value(row) {
            None => out.put_slice(NULL),
            Some(value) if self.hexadecimal => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.reserve(value.len() * 2);
                for byte in value {
                    out.put_u8(DIGITS[usize::from(byte >> 4)]);
                    out.put_u8(DIGITS[usize::from(byte & 15)]);
                }
            }
            Some(value) => escape(value, out),
        }
    }
}

/// NULL as a field of LOAD DATA.
pub(super) const NULL: &[u8] = b"\\N";

/// Writes a text so that nothing in it ends a field or a line.
fn escape(mut text: &[u8], out: &mut BytesMut) {
    while let Some(at) = memchr::memchr3(b'\t', b'\n', b'\\', text).into_iter().chain(memchr::memchr(0, text)).min() {
        out.put_slice(&text[..at]);
        out.put_u8(b'\\');
        out.put_u8(match text[at] {
            b'\t' => b't',
            b'\n' => b'n',
            0 => b'0',
            other => other,
        });
        text = &text[at + 1..];
    }
    out.put_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_ends_it() {
        let mut out = BytesMut::new();
        escape(b"a\\N\tb\nc\0d\r", &mut out);
        assert_eq!(out.as_ref(), b"a\\\\N\\tb\\nc\\0d\r");
    }
}
