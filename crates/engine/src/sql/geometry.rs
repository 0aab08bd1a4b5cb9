//! Columns of Parquet's GEOMETRY and GEOGRAPHY types as well-known text.
//! Not here: which columns are of those types (`parquet`), and anything that computes with shapes.
//! Called for every batch of such a column.
//!
//! See <https://github.com/apache/parquet-format/blob/master/Geospatial.md>: the values are ISO WKB.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, Float64Array, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use tapline_core::values::Column;

type Result<T> = std::result::Result<T, ArrowError>;

/// Shapes nest no deeper; one that claims to is damaged.
const MAX_DEPTH: usize = 64;

/// The shapes as text, such as `POINT (1 2)`.
pub(crate) fn to_text(array: &BinaryArray) -> Result<StringArray> {
    let mut texts = StringBuilder::new();
    let mut text = Vec::new();
    for value in array {
        let Some(bytes) = value else {
            texts.append_null();
            continue;
        };
        text.clear();
        Shape { rest: bytes, swapped: false, depth: 0 }.write(&mut text, true)?;
        texts.append_value(std::str::from_utf8(&text).map_err(|_| damaged("it is no text"))?);
    }
    Ok(texts.finish())
}

fn damaged(why: &str) -> ArrowError {
    ArrowError::ParquetError(format!("a geometry is damaged: {why}"))
}

/// What is left of the bytes of a shape.
struct Shape<'a> {
    rest: &'a [u8],
    /// Whether the highest byte comes first.
    swapped: bool,
    depth: usize,
}

impl Shape<'_> {
    /// Reads one shape and appends it; inside of another of one kind, without its name.
    fn write(&mut self, out: &mut Vec<u8>, named: bool) -> Result<()> {
        if self.depth > MAX_DEPTH {
            return Err(damaged("it nests beyond reason"));
        }
        self.swapped = match self.take::<1>()? {
            [0] => true,
            [1] => false,
            _ => return Err(damaged("its byte order is unknown")),
        };
        let code = self.number()?;
        let (name, dimensions) = match code / 1_000 {
            0 => ("", 2),
            1 => (" Z", 3),
            2 => (" M", 3),
            3 => (" ZM", 4),
            _ => return Err(damaged("its dimensions are unknown")),
        };
        let kind = code % 1_000;
        let word = match kind {
            1 => "POINT",
            2 => "LINESTRING",
            3 => "POLYGON",
            4 => "MULTIPOINT",
            5 => "MULTILINESTRING",
            6 => "MULTIPOLYGON",
            7 => "GEOMETRYCOLLECTION",
            _ => return Err(damaged("it is of an unknown kind")),
        };
        if named {
            out.extend_from_slice(word.as_bytes());
            out.extend_from_slice(name.as_bytes());
            out.push(b' ');
        }
        match kind {
            1 => {
                let point = self.point(dimensions)?;
                if point.iter().all(|number| number.is_nan()) {
                    out.extend_from_slice(b"EMPTY");
                } else if named {
                    out.push(b'(');
                    write_point(&point, out)?;
                    out.push(b')');
                } else {
                    write_point(&point, out)?;
                }
                Ok(())
            }
            2 => self.line(dimensions, out),
            3 => self.several(out, |shape, out| shape.line(dimensions, out)),
            4..=6 => self.several(out, |shape, out| shape.inner(out, false)),
            _ => self.several(out, |shape, out| shape.inner(out, true)),
        }
    }

    fn inner(&mut self, out: &mut Vec<u8>, named: bool) -> Result<()> {
        let outer = self.swapped;
        self.depth += 1;
        self.write(out, named)?;
        self.depth -= 1;
        self.swapped = outer;
        Ok(())
    }

    fn line(&mut self, dimensions: usize, out: &mut Vec<u8>) -> Result<()> {
        self.several(out, |shape, out| write_point(&shape.point(dimensions)?, out))
    }

    /// A counted list in parentheses; `EMPTY` without items.
    fn several(&mut self, out: &mut Vec<u8>, write: impl Fn(&mut Self, &mut Vec<u8>) -> Result<()>) -> Result<()> {
        let count = self.number()?;
        if count == 0 {
            out.extend_from_slice(b"EMPTY");
            return Ok(());
        }
        for position in 0..count {
            out.extend_from_slice(if position == 0 { b"(" } else { b", " });
            write(self, out)?;
        }
        out.push(b')');
        Ok(())
    }

    fn point(&mut self, dimensions: usize) -> Result<Vec<f64>> {
        (0..dimensions)
            .map(|_| {
                let bytes = self.take()?;
                Ok(if self.swapped { f64::from_be_bytes(bytes) } else { f64::from_le_bytes(bytes) })
            })
            .collect()
    }

    fn number(&mut self) -> Result<u32> {
        let bytes = self.take()?;
        Ok(if self.swapped { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| damaged("it ends too early"))?;
        self.rest = rest;
        Ok(*taken)
    }
}

/// Numbers as DuckDB casts them, whole ones without places.
fn write_point(point: &[f64], out: &mut Vec<u8>) -> Result<()> {
    let numbers: ArrayRef = Arc::new(Float64Array::from(point.to_vec()));
    let column = Column::new(&Field::new("coordinates", DataType::Float64, false), &numbers)?;
    for row in 0..numbers.len() {
        if row > 0 {
            out.push(b' ');
        }
        column.text(row, out);
        if out.ends_with(b".0") {
            out.truncate(out.len() - 2);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> Result<String> {
        to_text(&BinaryArray::from_vec(vec![bytes])).map(|texts| texts.value(0).to_owned())
    }

    fn numbers(numbers: &[f64]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    #[test]
    fn shapes_are_text() {
        let point = [&[1, 1, 0, 0, 0][..], &numbers(&[30.0, -0.5])].concat();
        assert_eq!(text(&point).unwrap(), "POINT (30 -0.5)");
        let swapped: Vec<u8> = [&[0, 0, 0, 0x03, 0xE9][..], &[1.0, 2.0, 3.0].map(f64::to_be_bytes).concat()].concat();
        assert_eq!(text(&swapped).unwrap(), "POINT Z (1 2 3)");
        let polygon = [&[1, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0][..], &numbers(&[0.0, 0.0, 1.0, 1e30])].concat();
        assert_eq!(text(&polygon).unwrap(), "POLYGON ((0 0, 1 1e+30))");
        let points = [&[1, 4, 0, 0, 0, 2, 0, 0, 0][..], &point, &[1, 1, 0, 0, 0], &numbers(&[f64::NAN; 2])].concat();
        assert_eq!(text(&points).unwrap(), "MULTIPOINT (30 -0.5, EMPTY)");
        let collection = [&[1, 7, 0, 0, 0, 2, 0, 0, 0][..], &point, &[1, 2, 0, 0, 0, 0, 0, 0, 0]].concat();
        assert_eq!(text(&collection).unwrap(), "GEOMETRYCOLLECTION (POINT (30 -0.5), LINESTRING EMPTY)");
    }

    #[test]
    fn what_ends_early_or_nests_too_deep_is_damaged() {
        for bytes in [&[][..], &[2, 1, 0, 0, 0], &[1, 99, 0, 0, 0], &[1, 2, 0, 0, 0, 9, 0, 0, 0]] {
            assert!(text(bytes).is_err(), "{bytes:?}");
        }
        assert!(text(&[1, 7, 0, 0, 0, 1, 0, 0, 0].repeat(1_000)).is_err());
    }
}
