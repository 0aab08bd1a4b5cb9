//! Turns the fields of one column into an Arrow array, exactly: what does not fit is reported, never changed.
//! Finding fields happens in `scanner`; what becomes of a misfit is decided in `decoder`.
//! Called by the decoder once per batch and column; nothing is allocated per cell.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryBuilder, BooleanArray, FixedSizeBinaryArray, PrimitiveArray, StringArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};
use arrow::error::ArrowError;
use serde::de::IgnoredAny;

use crate::dialect::CsvColumn;
use crate::numbers::{self, Fidelity, NumberStyle};
use crate::options::CsvOptions;
use crate::scanner::{FieldKind, FieldSpan, Syntax, unescape};
use crate::temporal::{self, TemporalFormat};
use crate::types::CsvType;

/// Which fields are NULL.
#[derive(Debug, Clone)]
pub(crate) struct NullRule {
    /// `None`: just the empty unquoted field.
    texts: Option<Vec<Vec<u8>>>,
    /// Whether quoted fields are asked too; `None`: where they are not empty.
    quoted: Option<bool>,
}

impl NullRule {
    pub(crate) fn new(options: &CsvOptions) -> NullRule {
        let texts = options
            .nullstr
            .as_ref()
            .map(|texts| texts.as_slice().iter().map(|text| text.as_bytes().to_vec()).collect());
        NullRule { texts, quoted: options.allow_quoted_nulls }
    }

    #[inline]
    pub(crate) fn is_null(&self, text: &[u8], kind: FieldKind) -> bool {
        let can_be = match kind {
            FieldKind::Missing => return true,
            FieldKind::Plain => true,
            FieldKind::Quoted | FieldKind::Escaped => self.quoted.unwrap_or(!text.is_empty()),
        };
        can_be
            && match &self.texts {
                None => text.is_empty(),
                Some(texts) => texts.iter().any(|null| null == text),
            }
    }
}

/// A column's fields within a batch.
#[derive(Clone, Copy)]
pub(crate) struct Cells<'a> {
    pub data: &'a [u8],
    /// All fields of the batch, row after row.
    pub fields: &'a [FieldSpan],
    /// Fields per row.
    pub stride: usize,
    /// Position of the column in a row; `None` where the file lacks the column.
    pub position: Option<usize>,
    pub rows: usize,
    pub syntax: &'a Syntax,
    pub nulls: &'a NullRule,
    /// Empty fields are empty strings.
    pub never_null: bool,
}

impl Cells<'_> {
    /// Bytes of all fields of the column, escapes included.
    fn length(&self) -> usize {
        let Some(position) = self.position else { return 0 };
        let fields = self.fields.iter().skip(position).step_by(self.stride.max(1));
        fields.map(|field| (field.end - field.start) as usize).sum()
    }

    /// Calls `visit` with every row's text, `None` for NULL.
    #[inline]
    fn for_each(&self, mut visit: impl FnMut(usize, Option<&[u8]>)) {
        let Some(position) = self.position else {
            (0..self.rows).for_each(|row| visit(row, None));
            return;
        };
        let mut scratch = Vec::new();
        for row in 0..self.rows {
            let field = self.fields[row * self.stride + position];
            let text = field.bytes(self.data);
            let text = if field.kind == FieldKind::Escaped { unescape(text, self.syntax, &mut scratch) } else { text };
            let null = self.nulls.is_null(text, field.kind) && !(self.never_null && field.kind != FieldKind::Missing);
            visit(row, (!null).then_some(text));
        }
    }
}

/// An array and the rows whose values do not fit its type (they hold NULL).
pub(crate) struct Built {
    pub array: ArrayRef,
    pub misfits: Vec<usize>,
}

/// Reads the values of one column.
#[derive(Debug, Clone)]
pub(crate) struct ColumnReader {
    data_type: CsvType,
    declared: bool,
    style: NumberStyle,
    temporal: TemporalFormat,
    /// Somebody gave the format of dates.
    formatted: bool,
}

impl ColumnReader {
    pub(crate) fn new(column: &CsvColumn, style: NumberStyle) -> ColumnReader {
        ColumnReader {
            data_type: column.data_type,
            declared: column.declared,
            style,
            temporal: TemporalFormat::new(column.format.as_deref()),
            formatted: column.format.is_some(),
        }
    }

    pub(crate) fn build(&self, cells: Cells<'_>) -> Result<Built, ArrowError> {
        let spelled = self.declared;
        match self.data_type {
            CsvType::Varchar => strings(cells, |_| true),
            CsvType::Json => strings(cells, |text| serde_json::from_slice::<IgnoredAny>(text).is_ok()),
            CsvType::Uuid => uuids(cells),
            CsvType::Blob => Ok(blobs(cells)),
            CsvType::Boolean if spelled => Ok(booleans(cells, |text| numbers::declared_boolean(text.trim_ascii()))),
            CsvType::Boolean => Ok(booleans(cells, numbers::boolean)),
            CsvType::BigInt if !spelled => self.numbers::<Int64Type>(cells, |text| numbers::bigint(text.trim_ascii())),
            CsvType::Double if !spelled => self.numbers::<Float64Type>(cells, |text| {
                numbers::double(text.trim_ascii_start(), Fidelity::Text, self.style.decimal)
            }),
            CsvType::TinyInt => self.integers::<Int8Type>(cells),
            CsvType::SmallInt => self.integers::<Int16Type>(cells),
            CsvType::Integer => self.integers::<Int32Type>(cells),
            CsvType::BigInt => self.integers::<Int64Type>(cells),
            CsvType::UTinyInt => self.integers::<UInt8Type>(cells),
            CsvType::USmallInt => self.integers::<UInt16Type>(cells),
            CsvType::UInteger => self.integers::<UInt32Type>(cells),
            CsvType::UBigInt => self.integers::<UInt64Type>(cells),
            CsvType::Float => self.numbers::<Float32Type>(cells, |text| {
                self.spelled_plainly(text).then(|| numbers::float(text, self.style.decimal)).flatten()
            }),
            CsvType::Double => {
                self.numbers::<Float64Type>(cells, |text| numbers::double(text, Fidelity::Value, self.style.decimal))
            }
            CsvType::HugeInt => self.hugeints(cells),
            CsvType::Decimal(precision, scale) => self.decimals(cells, precision, scale),
            CsvType::Date => Ok(primitives::<Date32Type>(cells, |text| {
                let text = self.trimmed(text);
                self.temporal.date(text).or_else(|| temporal::declared_date(text).filter(|_| self.is_free()))
            })),
            CsvType::Time if !spelled => {
                Ok(primitives::<Time64MicrosecondType>(cells, |text| temporal::certain_time(self.trimmed(text))))
            }
            CsvType::Time => Ok(primitives::<Time64MicrosecondType>(cells, |text| temporal::time(self.trimmed(text)))),
            CsvType::Timestamp if self.is_free() => {
                Ok(primitives::<TimestampMicrosecondType>(cells, |text| self.instant(text, 1000)))
            }
            CsvType::Timestamp => Ok(primitives::<TimestampMicrosecondType>(cells, |text| {
                self.temporal.timestamp(self.trimmed(text), false)
            })),
            CsvType::TimestampSeconds => {
                Ok(primitives::<TimestampSecondType>(cells, |text| self.instant(text, 1_000_000_000)))
            }
            CsvType::TimestampMilliseconds => {
                Ok(primitives::<TimestampMillisecondType>(cells, |text| self.instant(text, 1_000_000)))
            }
            CsvType::TimestampNanoseconds => {
                Ok(primitives::<TimestampNanosecondType>(cells, |text| self.instant(text, 1)))
            }
            CsvType::TimestampTz => {
                let (array, misfits) = typed::<TimestampMicrosecondType>(cells, |text| {
                    let text = self.trimmed(text);
                    // Whoever declares the type means UTC where no zone is written.
                    let unzoned = || self.instant(text, 1000).filter(|_| spelled);
                    self.temporal.timestamp(text, true).or_else(unzoned)
                });
                Ok(Built { array: Arc::new(array.with_timezone("UTC")), misfits })
            }
        }
    }

    /// Whether one field is NULL or a value of the type.
    pub(crate) fn fits(&self, data: &[u8], field: FieldSpan, syntax: &Syntax, nulls: &NullRule) -> bool {
        let fields = [field];
        let cells =
            Cells { data, fields: &fields, stride: 1, position: Some(0), rows: 1, syntax, nulls, never_null: false };
        self.build(cells).is_ok_and(|built| built.misfits.is_empty())
    }

    /// The narrowest type of the lattice BIGINT → DOUBLE → VARCHAR that also holds the column's misfits.
    pub(crate) fn wider_type(&self, cells: Cells<'_>) -> CsvType {
        use CsvType::{BigInt, Decimal, Float, Integer, SmallInt, TinyInt};
        if !matches!(self.data_type, BigInt | Integer | SmallInt | TinyInt | Decimal(..) | Float) {
            return CsvType::Varchar;
        }
        let mut all_numbers = true;
        cells.for_each(|_, text| {
            all_numbers &= text.is_none_or(|text| {
                numbers::double(text.trim_ascii_start(), Fidelity::Text, self.style.decimal).is_some()
            });
        });
        if all_numbers { CsvType::Double } else { CsvType::Varchar }
    }

    /// The narrower types of numbers are as exact as the others where they were detected, and as lenient where they are declared.
    fn spelled_plainly(&self, text: &[u8]) -> bool {
        self.declared || numbers::is_canonical(text, self.style.decimal)
    }

    /// Dates may be spelled in every way that leaves no doubt: their type is declared, their format is not.
    fn is_free(&self) -> bool {
        self.declared && !self.formatted
    }

    /// Spaces before a value are layout, behind it only where the type is declared (or BIGINT): what DuckDB takes for text stays text.
    fn trimmed<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        if self.declared { text.trim_ascii() } else { text.trim_ascii_start() }
    }

    fn instant(&self, text: &[u8], unit: i128) -> Option<i64> {
        let text = self.trimmed(text);
        let declared = || temporal::declared_moment(text).filter(|_| self.is_free());
        let nanoseconds = self.temporal.timestamp_nanoseconds(text, false).or_else(declared)?;
        (nanoseconds % unit == 0).then(|| i64::try_from(nanoseconds / unit).ok()).flatten()
    }

    fn integers<T: ArrowPrimitiveType>(&self, cells: Cells<'_>) -> Result<Built, ArrowError>
    where
        T::Native: TryFrom<i128>,
    {
        self.numbers::<T>(cells, |text| {
            let text = if self.declared { text } else { text.trim_ascii() };
            self.spelled_plainly(text).then(|| T::Native::try_from(self.whole(text)?).ok()).flatten()
        })
    }

    /// A whole number; where it is declared to be one, `1.0` and `1e3` are spellings of it.
    fn whole(&self, text: &[u8]) -> Option<i128> {
        let respelled = || numbers::decimal(text, 38, 0, self.style.decimal).filter(|_| self.declared);
        numbers::integer(text).or_else(respelled)
    }

    fn hugeints(&self, cells: Cells<'_>) -> Result<Built, ArrowError> {
        let mut scratch = Vec::new();
        let (array, misfits) = typed::<Decimal256Type>(cells, |text| {
            self.whole(self.style.ungroup(self.trimmed(text), &mut scratch)?).map(i256::from_i128)
        });
        Ok(Built { array: Arc::new(array.with_precision_and_scale(39, 0)?), misfits })
    }

    fn decimals(&self, cells: Cells<'_>, precision: u8, scale: i8) -> Result<Built, ArrowError> {
        let mut scratch = Vec::new();
        let (array, misfits) = typed::<Decimal128Type>(cells, |text| {
            let text = self.style.ungroup(self.trimmed(text), &mut scratch)?;
            self.spelled_plainly(text).then(|| numbers::decimal(text, precision, scale, self.style.decimal)).flatten()
        });
        Ok(Built { array: Arc::new(array.with_precision_and_scale(precision, scale)?), misfits })
    }

    fn numbers<T: ArrowPrimitiveType>(
        &self,
        cells: Cells<'_>,
        parse: impl Fn(&[u8]) -> Option<T::Native>,
    ) -> Result<Built, ArrowError> {
        if self.style.thousands.is_none() && !self.declared {
            return Ok(primitives::<T>(cells, parse));
        }
        let mut scratch = Vec::new();
        Ok(primitives::<T>(cells, |text| parse(self.style.ungroup(self.trimmed(text), &mut scratch)?)))
    }
}

/// BLOBs as DuckDB spells them: `\xAB` is a byte, any other character stands for itself and has to be ASCII.
fn blobs(cells: Cells<'_>) -> Built {
    let mut builder = BinaryBuilder::new();
    let (mut misfits, mut scratch) = (Vec::new(), Vec::new());
    cells.for_each(|row, text| match text.map(|text| unescaped_blob(text, &mut scratch)) {
        Some(Some(())) => builder.append_value(&scratch),
        None => builder.append_null(),
        Some(None) => {
            misfits.push(row);
            builder.append_null();
        }
    });
    Built { array: Arc::new(builder.finish()), misfits }
}

fn unescaped_blob(mut text: &[u8], bytes: &mut Vec<u8>) -> Option<()> {
    bytes.clear();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    while let Some((first, rest)) = text.split_first() {
        text = match (first, rest) {
            (b'\\', [b'x', high, low, rest @ ..]) => {
                bytes.push(digit(*high)? << 4 | digit(*low)?);
                rest
            }
            (b'\\', _) | (0x80.., _) => return None,
            _ => {
                bytes.push(*first);
                rest
            }
        };
    }
    Some(())
}

fn uuids(cells: Cells<'_>) -> Result<Built, ArrowError> {
    let mut values = Vec::with_capacity(cells.rows);
    let mut misfits = Vec::new();
    cells.for_each(|row, text| {
        let value = text.and_then(uuid);
        if text.is_some() && value.is_none() {
            misfits.push(row);
        }
        values.push(value);
    });
    let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size(values.into_iter(), 16)?;
    Ok(Built { array: Arc::new(array), misfits })
}

/// The bytes of a UUID, in braces or not, with its hyphens or without any.
fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let text = text.strip_prefix(b"{").map_or(Some(text), |text| text.strip_suffix(b"}"))?;
    let hyphen = |index: usize| matches!(index, 8 | 13 | 18 | 23);
    let hyphens_fit = match text.len() {
        32 => true,
        36 => text.iter().enumerate().all(|(index, byte)| hyphen(index) == (*byte == b'-')),
        _ => false,
    };
    if !hyphens_fit {
        return None;
    }
    let mut bytes = [0; 16];
    for (index, digit) in text.iter().filter(|byte| **byte != b'-').enumerate() {
        let digit = u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
        *bytes.get_mut(index / 2)? |= if index % 2 == 0 { digit << 4 } else { digit };
    }
    Some(bytes)
}

/// Collects validity bits; stays empty until the first NULL.
struct Validity {
    valid: Vec<bool>,
    any_null: bool,
}

impl Validity {
    fn new(rows: usize) -> Validity {
        Validity { valid: vec![true; rows], any_null: false }
    }

    fn set_null(&mut self, row: usize) {
        self.valid[row] = false;
        self.any_null = true;
    }

    fn finish(self) -> Option<NullBuffer> {
        self.any_null.then(|| NullBuffer::from(self.valid))
    }
}

fn primitives<T: ArrowPrimitiveType>(cells: Cells<'_>, parse: impl FnMut(&[u8]) -> Option<T::Native>) -> Built {
    let (array, misfits) = typed::<T>(cells, parse);
    Built { array: Arc::new(array), misfits }
}

fn typed<T: ArrowPrimitiveType>(
    cells: Cells<'_>,
    mut parse: impl FnMut(&[u8]) -> Option<T::Native>,
) -> (PrimitiveArray<T>, Vec<usize>) {
    let mut values: Vec<T::Native> = Vec::with_capacity(cells.rows);
    let mut validity = Validity::new(cells.rows);
    let mut misfits = Vec::new();
    cells.for_each(|row, text| {
        let value = match text {
            None => None,
            Some(text) => {
                let value = parse(text);
                if value.is_none() {
                    misfits.push(row);
                }
                value
            }
        };
        if value.is_none() {
            validity.set_null(row);
        }
        values.push(value.unwrap_or_default());
    });
    (PrimitiveArray::new(ScalarBuffer::from(values), validity.finish()), misfits)
}

fn booleans(cells: Cells<'_>, parse: impl Fn(&[u8]) -> Option<bool>) -> Built {
    let mut values = Vec::with_capacity(cells.rows);
    let mut misfits = Vec::new();
    cells.for_each(|row, text| {
        let value = text.and_then(&parse);
        if text.is_some() && value.is_none() {
            misfits.push(row);
        }
        values.push(value);
    });
    Built { array: Arc::new(BooleanArray::from(values)), misfits }
}

fn strings(cells: Cells<'_>, fits: impl Fn(&[u8]) -> bool) -> Result<Built, ArrowError> {
    let mut bytes: Vec<u8> = Vec::with_capacity(cells.length());
    let mut offsets: Vec<i32> = Vec::with_capacity(cells.rows + 1);
    let mut validity = Validity::new(cells.rows);
    let mut misfits = Vec::new();
    offsets.push(0);
    cells.for_each(|row, text| {
        match text {
            Some(text) if fits(text) => bytes.extend_from_slice(text),
            Some(_) => {
                misfits.push(row);
                validity.set_null(row);
            }
            None => validity.set_null(row),
        }
        // A batch covers far fewer than 2 GiB of text.
        offsets.push(bytes.len() as i32);
    });
    let array =
        StringArray::try_new(OffsetBuffer::new(ScalarBuffer::from(offsets)), Buffer::from(bytes), validity.finish())?;
    Ok(Built { array: Arc::new(array), misfits })
}
