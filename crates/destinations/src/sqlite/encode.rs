//! From Arrow columns to the values that SQLite stores; a value that its column would change is a misfit.
//! Not here: which Arrow types there are (see `types`), and statements (see `stage`).
//! Called for every batch.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, Float64Array, Int64Array, StringViewArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use sqlx::Arguments;
use sqlx::sqlite::SqliteArguments;
use tapline_core::values::Column as Rendered;
use tapline_core::{Error, Result, codes};

use super::types::{Affinity, Form};

/// How the values of one mapped field get into their column.
#[derive(Debug, Clone)]
pub(super) struct Encoder {
    field: FieldRef,
    form: Form,
    affinity: Affinity,
    key: bool,
}

/// A value that its column cannot hold as it is: the row's index in the batch, and what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) row: usize,
    pub(super) problem: &'static str,
}

/// The values of one column of one batch, ready to be bound.
pub(super) enum Values {
    Null,
    Booleans(BooleanArray),
    Integers(Int64Array),
    Floats(Float64Array),
    Texts(StringViewArray),
    Bytes(BinaryViewArray),
    Cells(Vec<Cell>),
}

/// A value of its own.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Integer(i64),
    Float(f64),
    Text(String),
}

const NOT_A_NUMBER: &str = "NaN cannot be stored, SQLite would make it NULL";
const NUL: &str = "a text with a NUL character cannot be stored exactly";
const LOOKS_NUMERIC: &str = "the text looks like a number, and the column would make it one";
const INEXACT: &str = "the column would round the number";
const FRACTION: &str = "the column is of whole numbers, and the number is none";
const NULL_KEY: &str = "a key cannot be NULL";

impl Encoder {
    /// Fails with `DEST-004` when there is no form for the field's type.
    pub(super) fn new(field: &FieldRef, affinity: Affinity, key: bool) -> Result<Self> {
        let unsupported = || {
            Error::new(
                codes::DEST_004,
                format!("field {:?}: a value of type {} cannot be stored in SQLite", field.name(), field.data_type()),
            )
            .hint("cast the column in the model's SQL")
        };
        let form = Form::of(field).ok_or_else(unsupported)?;
        let encoder = Self { field: field.clone(), form, affinity, key };
        // Of nested types only the parts tell whether there is a form.
        encoder
            .values(&arrow::array::new_empty_array(field.data_type()))
            .map_err(|error| unsupported().because(error))?;
        Ok(encoder)
    }

    /// The field's name.
    pub(super) fn name(&self) -> &str {
        self.field.name()
    }

    /// Prepares a column of a batch, and finds its misfits, in the order of rows.
    pub(super) fn values(&self, array: &ArrayRef) -> Result<(Values, Vec<Misfit>)> {
        let mut misfits = Vec::new();
        if let Some(nulls) = array.logical_nulls().filter(|_| self.key) {
            let rows = (0..array.len()).filter(|row| nulls.is_null(*row));
            misfits.extend(rows.map(|row| Misfit { row, problem: NULL_KEY }));
        }
        let mut misfit = |row, problem| misfits.push(Misfit { row, problem });
        let to = |data_type: &DataType| cast(array, data_type).map_err(|error| unencodable(&self.field, error));
        let values = match (self.form, self.affinity) {
            (Form::Null, _) => Values::Null,
            (Form::Boolean, Affinity::Text) | (Form::Integer, Affinity::Text) => {
                self.rendered(array, |text| Ok(Cell::Text(text)), misfit)?
            }
            (Form::Boolean, _) => Values::Booleans(to(&DataType::Boolean)?.as_boolean().clone()),
            (Form::Integer, affinity) => {
                let integers = to(&DataType::Int64)?.as_primitive::<Int64Type>().clone();
                if affinity == Affinity::Real {
                    present(&integers, integers.values())
                        .filter(|(_, value)| !is_float(**value))
                        .for_each(|(row, _)| misfit(row, INEXACT));
                }
                Values::Integers(integers)
            }
            (Form::Float, affinity) => {
                let floats = to(&DataType::Float64)?.as_primitive::<Float64Type>().clone();
                for (row, value) in present(&floats, floats.values()) {
                    if value.is_nan() {
                        misfit(row, NOT_A_NUMBER);
                    } else if affinity == Affinity::Integer && value.fract() != 0.0 {
                        misfit(row, FRACTION);
                    }
                }
                match affinity {
                    Affinity::Text => Values::Cells(
                        floats
                            .iter()
                            .map(|float| float.map_or(Cell::Null, |float| Cell::Text(float_text(float))))
                            .collect(),
                    ),
                    _ => Values::Floats(floats),
                }
            }
            (Form::Digits, affinity) if affinity.makes_numbers() => {
                self.rendered(array, |digits| number(&digits, affinity), misfit)?
            }
            (Form::Text, affinity) => {
                let texts = to(&DataType::Utf8View)?.as_string_view().clone();
                let numeric = affinity.makes_numbers();
                for (row, text) in texts.iter().enumerate().filter_map(|(row, text)| Some((row, text?))) {
                    if memchr::memchr(0, text.as_bytes()).is_some() {
                        misfit(row, NUL);
                    } else if numeric && looks_numeric(text) {
                        misfit(row, LOOKS_NUMERIC);
                    }
                }
                Values::Texts(texts)
            }
            (Form::Bytes, _) => Values::Bytes(to(&DataType::BinaryView)?.as_binary_view().clone()),
            (Form::Digits | Form::Rendered | Form::Json, _) => {
                self.rendered(array, |text| Ok(Cell::Text(text)), misfit)?
            }
        };
        Ok((values, misfits))
    }

    /// The texts of all values, each made a cell by `cell`.
    fn rendered(
        &self,
        array: &ArrayRef,
        cell: impl Fn(String) -> Result<Cell, &'static str>,
        mut misfit: impl FnMut(usize, &'static str),
    ) -> Result<Values> {
        let column = Rendered::new(&self.field, array).map_err(|error| unencodable(&self.field, error))?;
        let mut cells = Vec::with_capacity(array.len());
        let mut text = Vec::new();
        for row in 0..array.len() {
            if column.is_null(row) {
                cells.push(Cell::Null);
                continue;
            }
            text.clear();
            if self.form == Form::Json {
                column.json(row, &mut text);
            } else {
                column.text(row, &mut text);
            }
            let text = String::from_utf8(text.clone()).map_err(|error| unencodable(&self.field, error))?;
            cells.push(cell(text).unwrap_or_else(|problem| {
                misfit(row, problem);
                Cell::Null
            }));
        }
        Ok(Values::Cells(cells))
    }
}

impl Values {
    /// Binds the value of `row`.
    pub(super) fn bind(&self, row: usize, arguments: &mut SqliteArguments) -> Result<()> {
        match self {
            Self::Null => arguments.add(None::<i64>),
            Self::Booleans(array) => arguments.add(array.is_valid(row).then(|| i64::from(array.value(row)))),
            Self::Integers(array) => arguments.add(array.is_valid(row).then(|| array.value(row))),
            Self::Floats(array) => arguments.add(array.is_valid(row).then(|| array.value(row))),
            Self::Texts(array) => arguments.add(array.is_valid(row).then(|| Arc::<str>::from(array.value(row)))),
            Self::Bytes(array) => arguments.add(array.is_valid(row).then(|| array.value(row).to_vec())),
            Self::Cells(cells) => match &cells[row] {
                Cell::Null => arguments.add(None::<i64>),
                Cell::Integer(value) => arguments.add(*value),
                Cell::Float(value) => arguments.add(*value),
                Cell::Text(text) => arguments.add(Arc::<str>::from(text.as_str())),
            },
        }
        .map_err(|error| Error::internal("binding a value failed").because(error))
    }
}

fn present<'a, T>(array: &'a dyn Array, values: &'a [T]) -> impl Iterator<Item = (usize, &'a T)> {
    values.iter().enumerate().filter(|(row, _)| array.is_valid(*row))
}

fn unencodable(field: &Field, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::internal(format!("the values of field {:?} cannot be read", field.name())).because(error)
}

/// Whether a float holds the integer.
fn is_float(value: i64) -> bool {
    // The greatest integer becomes a float beyond all integers, which only the wider type tells.
    value as f64 as i128 == i128::from(value)
}

/// The shortest text that reads as the same float.
pub(super) fn float_text(value: f64) -> String {
    format!("{value:?}")
}

/// A decimal number as a column of numbers keeps it: as an integer, or as the float whose shortest digits are the
/// number's own.
fn number(digits: &str, affinity: Affinity) -> Result<Cell, &'static str> {
    let plain = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    if let Ok(integer) = plain.parse::<i64>() {
        return if affinity != Affinity::Real || is_float(integer) { Ok(Cell::Integer(integer)) } else { Err(INEXACT) };
    }
    if affinity == Affinity::Integer {
        return Err(if plain.contains('.') { FRACTION } else { INEXACT });
    }
    let float: f64 = plain.parse().map_err(|_| INEXACT)?;
    let magnitude = |text: &str| text.trim_start_matches('-').trim_start_matches('0').to_owned();
    if magnitude(&float.to_string()) == magnitude(plain) { Ok(Cell::Float(float)) } else { Err(INEXACT) }
}

/// Whether a column of numbers makes the text one: `applyNumericAffinity` in SQLite's source.
fn looks_numeric(text: &str) -> bool {
    let is_space = |character| matches!(character, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r');
    let unsigned = |text: &str| text.strip_prefix(['+', '-']).unwrap_or(text).to_owned();
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let text = unsigned(text.trim_matches(is_space));
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(unsigned(exponent))),
        None => (text.as_str(), None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    all_digits(whole)
        && all_digits(fraction)
        && whole.len() + fraction.len() > 0
        && exponent.is_none_or(|exponent| !exponent.is_empty() && all_digits(&exponent))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, StringArray, UInt64Array};
    use sqlx::{Connection, Row, SqliteConnection};

    use super::*;

    /// Every text of up to five characters of this alphabet, plus some longer ones.
    fn texts() -> Vec<String> {
        let mut texts = vec![String::new()];
        let mut last = texts.clone();
        for _ in 0..5 {
            last = last.iter().flat_map(|text| "1.e+ -".chars().map(move |next| format!("{text}{next}"))).collect();
            texts.extend(last.iter().cloned());
        }
        let odd = [
            "0x10",
            "1e999",
            "-1E-5",
            "Infinity",
            "nan",
            "inf",
            "\u{a0}1",
            "1\t\n\u{b}\u{c}\r",
            "1_000",
            "१",
            "9223372036854775808",
            "00012",
            "1,5",
            "2024-01-01",
            "12:30:00",
            "1e",
            "1e+",
            "0",
            "1 year",
        ];
        texts.extend(odd.map(str::to_owned));
        texts
    }

    #[tokio::test]
    async fn sqlite_makes_numbers_of_exactly_the_texts_that_look_like_one() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql("CREATE TABLE t (original BLOB, a NUMERIC, b INTEGER, c REAL)")
            .execute(&mut connection)
            .await
            .unwrap();
        for chunk in texts().chunks(1000) {
            let values = vec!["(?, ?, ?, ?)"; chunk.len()].join(", ");
            let statement = format!("INSERT INTO t VALUES {values}");
            let mut query = sqlx::query(sqlx::AssertSqlSafe(statement));
            for text in chunk {
                query = query.bind(text).bind(text).bind(text).bind(text);
            }
            query.execute(&mut connection).await.unwrap();
        }
        let rows = sqlx::query("SELECT original, typeof(a), typeof(b), typeof(c) FROM t")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        assert_eq!(rows.len(), texts().len());
        for row in rows {
            let text: &str = row.get(0);
            for column in 1..4 {
                assert_eq!(row.get::<&str, _>(column) != "text", looks_numeric(text), "{text:?}, column {column}");
            }
        }
    }

    #[test]
    fn numbers_are_kept_or_refused() {
        let kept = [
            ("0", Affinity::Numeric, Cell::Integer(0)),
            ("-12.00", Affinity::Numeric, Cell::Integer(-12)),
            ("9223372036854775807", Affinity::Numeric, Cell::Integer(i64::MAX)),
            ("10000000000000000000", Affinity::Numeric, Cell::Float(1e19)),
            ("1.10", Affinity::Numeric, Cell::Float(1.1)),
            (".5", Affinity::Real, Cell::Float(0.5)),
            ("-0.05", Affinity::Real, Cell::Float(-0.05)),
            ("9007199254740992", Affinity::Real, Cell::Integer(1 << 53)),
        ];
        for (digits, affinity, cell) in kept {
            assert_eq!(number(digits, affinity), Ok(cell), "{digits}");
        }
        for (digits, affinity) in [
            ("9007199254740993", Affinity::Real),
            ("10000000000000000000", Affinity::Integer),
            ("1.5", Affinity::Integer),
            ("9223372036854775807", Affinity::Real),
            ("0.12345678901234567890", Affinity::Numeric),
            ("18446744073709551615", Affinity::Numeric),
            ("99999999999999999999999999999999999999", Affinity::Numeric),
        ] {
            assert!(number(digits, affinity).is_err(), "{digits}");
        }
    }

    fn encode(array: ArrayRef, affinity: Affinity, key: bool) -> (Values, Vec<Misfit>) {
        let field = Arc::new(Field::new("c", array.data_type().clone(), true));
        Encoder::new(&field, affinity, key).unwrap().values(&array).unwrap()
    }

    #[test]
    fn misfits_name_their_rows() {
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), Some(f64::NAN), None, Some(f64::INFINITY)]));
        assert_eq!(encode(floats, Affinity::Real, false).1, [Misfit { row: 1, problem: NOT_A_NUMBER }]);
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a\0b"), Some("7"), None, Some("")]));
        assert_eq!(
            encode(texts.clone(), Affinity::Text, true).1,
            [Misfit { row: 2, problem: NULL_KEY }, Misfit { row: 0, problem: NUL }]
        );
        assert_eq!(
            encode(texts, Affinity::Numeric, false).1,
            [Misfit { row: 0, problem: NUL }, Misfit { row: 1, problem: LOOKS_NUMERIC }]
        );
        let integers: ArrayRef = Arc::new(Int64Array::from(vec![1, (1 << 53) + 1, i64::MAX, i64::MIN]));
        let rounded = encode(integers.clone(), Affinity::Real, false).1;
        assert_eq!(rounded.iter().map(|misfit| misfit.row).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(encode(integers, Affinity::Numeric, false).1, []);
    }

    #[test]
    fn wide_numbers_take_the_form_that_their_column_keeps() {
        let cells = |array: ArrayRef, affinity| match encode(array, affinity, false) {
            (Values::Cells(cells), _) => cells,
            _ => Vec::new(),
        };
        let wide: ArrayRef = Arc::new(UInt64Array::from(vec![Some(7), None]));
        assert_eq!(cells(wide.clone(), Affinity::Text), [Cell::Text("7".to_owned()), Cell::Null]);
        assert_eq!(cells(wide, Affinity::Numeric), [Cell::Integer(7), Cell::Null]);
        let price = Decimal128Array::from(vec![110, -5]).with_precision_and_scale(10, 2).unwrap();
        let price: ArrayRef = Arc::new(price);
        assert_eq!(cells(price.clone(), Affinity::Text), ["1.10", "-0.05"].map(|text| Cell::Text(text.to_owned())));
        assert_eq!(cells(price, Affinity::Numeric), [Cell::Float(1.1), Cell::Float(-0.05)]);
    }
}
