//! The columns of a table whose files do not all have the same.
//! Not here: finding out the columns of one file (`parquet`, `ndjson`).
//! Called by `table`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use tapline_core::values::duckdb_type_name;
use tapline_core::{Error, Result, codes};

use super::parquet::FileColumn;

/// Files whose deviations are told one by one; the others are counted.
const TOLD_FILES: usize = 10;

/// The columns of all files together, and in words what single files have beside or other than them.
///
/// Without `by_name` they are those of the first file, which every other one must have; with it, those of all files. The
/// type of a column is the narrowest that holds the values of all files exactly.
///
/// # Errors
/// `FILE-003` naming file and column, where one is missing, or where no type holds the values of two files.
pub(crate) fn unite(files: &[(&str, Vec<FileColumn>)], by_name: bool) -> Result<(Vec<FileColumn>, Vec<String>)> {
    let Some(((first_url, first), others)) = files.split_first() else { return Ok((Vec::new(), Vec::new())) };
    let mut columns = first.clone();
    let mut notes = Vec::new();
    for (url, own) in others {
        let mut extra = Vec::new();
        for column in own {
            let Some(known) = columns.iter_mut().find(|known| known.field.name() == column.field.name()) else {
                extra.push(column);
                continue;
            };
            if known == column {
                continue;
            }
            let common = (known.reading == column.reading)
                .then(|| {
                    common_type(known.field.data_type(), column.field.data_type())
                        .or_else(|| common_double(known, column))
                })
                .flatten();
            let Some(common) = common else { return Err(retyped(first_url, known, url, column)) };
            if known.field.data_type() != column.field.data_type() {
                notes.push(format!(
                    "the column \"{}\" of {url} is {}, and {} in the files before it; it is read as {}",
                    column.field.name(),
                    shown(column),
                    shown(known),
                    duckdb_type_name(&column.field.as_ref().clone().with_data_type(common.clone()))
                ));
            }
            known.exact_as_double &= column.exact_as_double;
            if common != *known.field.data_type() {
                known.field = Arc::new(known.field.as_ref().clone().with_data_type(common));
            }
        }
        if by_name {
            columns.extend(extra.into_iter().cloned());
        } else {
            if let Some(lacking) =
                first.iter().find(|column| own.iter().all(|own| own.field.name() != column.field.name()))
            {
                return Err(Error::new(
                    codes::FILE_003,
                    format!("{url} lacks the column \"{}\" of {first_url}", lacking.field.name()),
                )
                .hint("read the files with union_by_name = true, which fills missing columns with NULL")
                .hint("or name only files that share their columns"));
            }
            if !extra.is_empty() {
                let names: Vec<String> = extra.iter().map(|column| format!("\"{}\"", column.field.name())).collect();
                notes.push(format!(
                    "{url} has columns that {first_url} lacks, which are not read without union_by_name: {}",
                    names.join(", ")
                ));
            }
        }
    }
    let more = notes.len().saturating_sub(TOLD_FILES);
    notes.truncate(TOLD_FILES);
    if more > 0 {
        notes.push(format!("{more} more deviations of other files"));
    }
    Ok((columns, notes))
}

fn shown(column: &FileColumn) -> String {
    duckdb_type_name(&column.reading.field(&column.field))
}

fn retyped(first_url: &str, known: &FileColumn, url: &str, column: &FileColumn) -> Error {
    Error::new(
        codes::FILE_003,
        format!(
            "the column \"{}\" of {url} is {}, and {} in the files before it, from {first_url} on",
            column.field.name(),
            shown(column),
            shown(known)
        ),
    )
    .hint("no type holds the values of both exactly; read the files as separate tables and CAST the column")
}

/// DOUBLE for long whole numbers beside fractions, where none of the numbers at hand is too long for it.
fn common_double(one: &FileColumn, other: &FileColumn) -> Option<DataType> {
    use DataType::{Float16, Float32, Float64, Int64, UInt64};
    let (fractions, whole) = if one.field.data_type().is_floating() { (one, other) } else { (other, one) };
    let are_both = matches!(fractions.field.data_type(), Float16 | Float32 | Float64)
        && matches!(whole.field.data_type(), Int64 | UInt64);
    (are_both && whole.exact_as_double).then_some(Float64)
}

/// The narrowest type that holds every value of both exactly; `None` where there is none.
pub(crate) fn common_type(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType::*;
    if one == other {
        return Some(one.clone());
    }
    match (one, other) {
        (Null, known) | (known, Null) => Some(known.clone()),
        (Dictionary(_, values), other) | (other, Dictionary(_, values)) => common_type(values, other),
        (Float16 | Float32, Float32 | Float16) => Some(Float32),
        (Float16 | Float32 | Float64, Float16 | Float32 | Float64) => Some(Float64),
        (Float16 | Float32, whole) | (whole, Float16 | Float32) if matches!(whole, Int8 | Int16 | UInt8 | UInt16) => {
            Some(Float32)
        }
        (Float16 | Float32 | Float64, whole) | (whole, Float16 | Float32 | Float64)
            if matches!(whole, Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32) =>
        {
            Some(Float64)
        }
        (Utf8 | Utf8View | LargeUtf8, Utf8 | Utf8View | LargeUtf8) => Some(LargeUtf8),
        (Binary | BinaryView | LargeBinary, Binary | BinaryView | LargeBinary) => Some(LargeBinary),
        (Date32 | Date64, Date32 | Date64) => Some(Date32),
        (Date32 | Date64, moment @ Timestamp(_, None)) | (moment @ Timestamp(_, None), Date32 | Date64) => {
            Some(moment.clone())
        }
        (Timestamp(one, zone), Timestamp(other, other_zone)) if zone.is_some() == other_zone.is_some() => {
            Some(Timestamp(finer(*one, *other), zone.clone()))
        }
        (Time32(one) | Time64(one), Time32(other) | Time64(other)) => match finer(*one, *other) {
            unit @ (TimeUnit::Second | TimeUnit::Millisecond) => Some(Time32(unit)),
            unit => Some(Time64(unit)),
        },
        (Struct(one), Struct(other)) => Some(Struct(common_members(one, other)?)),
        (List(one), List(other)) if !one.data_type().is_nested() => {
            let item = one.as_ref().clone().with_data_type(common_type(one.data_type(), other.data_type())?);
            Some(List(Arc::new(item.with_nullable(true))))
        }
        (one, other) => common_number(one, other),
    }
}

fn finer(one: TimeUnit, other: TimeUnit) -> TimeUnit {
    let rank = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    };
    if rank(&one) >= rank(&other) { one } else { other }
}

/// The members of both, by name.
fn common_members(one: &Fields, other: &Fields) -> Option<Fields> {
    let mut members: Vec<FieldRef> = one.iter().cloned().collect();
    for field in other {
        match members.iter_mut().find(|known| known.name() == field.name()) {
            Some(known) => {
                let common = common_type(known.data_type(), field.data_type())?;
                *known = Arc::new(Field::new(known.name(), common, true));
            }
            None => members.push(Arc::new(field.as_ref().clone().with_nullable(true))),
        }
    }
    let is_shared = |field: &FieldRef| other.iter().any(|own| own.name() == field.name());
    Some(
        members
            .iter()
            .map(|field| {
                if is_shared(field) { Arc::clone(field) } else { Arc::new(field.as_ref().clone().with_nullable(true)) }
            })
            .collect(),
    )
}

/// A type for whole and decimal numbers of both types.
fn common_number(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType::*;
    let (left, right) = (Digits::of(one)?, Digits::of(other)?);
    if left.is_whole && right.is_whole {
        let signed = left.is_signed || right.is_signed;
        let bits = match (left.is_signed, right.is_signed) {
            (true, false) => left.bits.max(right.bits + 1),
            (false, true) => right.bits.max(left.bits + 1),
            _ => left.bits.max(right.bits),
        };
        return Some(match (signed, bits) {
            (true, ..=8) => Int8,
            (true, ..=16) => Int16,
            (true, ..=32) => Int32,
            (true, ..=64) => Int64,
            (true, _) => Decimal128(20, 0),
            (false, ..=8) => UInt8,
            (false, ..=16) => UInt16,
            (false, ..=32) => UInt32,
            (false, _) => UInt64,
        });
    }
    let scale = left.scale.max(right.scale);
    let precision = left.before_point.max(right.before_point).checked_add_signed(scale)?;
    match precision {
        ..=38 => Some(Decimal128(precision, scale)),
        39..=76 => Some(Decimal256(precision, scale)),
        _ => None,
    }
}

/// What an exact number has at most.
struct Digits {
    is_whole: bool,
    is_signed: bool,
    bits: u32,
    before_point: u8,
    scale: i8,
}

impl Digits {
    fn of(data_type: &DataType) -> Option<Self> {
        use DataType::*;
        let whole = |is_signed, bits, before_point| Self { is_whole: true, is_signed, bits, before_point, scale: 0 };
        Some(match data_type {
            Int8 => whole(true, 8, 3),
            Int16 => whole(true, 16, 5),
            Int32 => whole(true, 32, 10),
            Int64 => whole(true, 64, 19),
            UInt8 => whole(false, 8, 3),
            UInt16 => whole(false, 16, 5),
            UInt32 => whole(false, 32, 10),
            UInt64 => whole(false, 64, 20),
            Decimal32(precision, scale)
            | Decimal64(precision, scale)
            | Decimal128(precision, scale)
            | Decimal256(precision, scale)
                if *scale >= 0 =>
            {
                let before_point = precision.checked_sub(scale.unsigned_abs())?;
                Self { is_whole: false, is_signed: true, bits: 0, before_point, scale: *scale }
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use DataType::{
        Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, LargeUtf8, Timestamp, UInt32, UInt64, Utf8,
    };

    use super::super::parquet::Reading;
    use super::*;

    fn file<'a>(url: &'a str, columns: &[(&str, DataType)]) -> (&'a str, Vec<FileColumn>) {
        let column = |(name, data_type): &(&str, DataType)| FileColumn {
            field: Arc::new(Field::new(*name, data_type.clone(), true)),
            reading: Reading::Plain,
            exact_as_double: true,
        };
        (url, columns.iter().map(column).collect())
    }

    fn names_and_types(columns: &[FileColumn]) -> Vec<(&str, &DataType)> {
        columns.iter().map(|column| (column.field.name().as_str(), column.field.data_type())).collect()
    }

    #[test]
    fn types_that_hold_both_exactly() {
        let micros = Timestamp(TimeUnit::Microsecond, None);
        for (one, other, expected) in [
            (Int32, Int64, Some(Int64)),
            (Int8, UInt32, Some(Int64)),
            (Int64, UInt64, Some(Decimal128(20, 0))),
            (Int32, Float64, Some(Float64)),
            (Int64, Float64, None),
            (Int16, Float32, Some(Float32)),
            (Int32, Float32, Some(Float64)),
            (Float32, Float64, Some(Float64)),
            (Int32, Decimal128(5, 2), Some(Decimal128(12, 2))),
            (Decimal128(10, 4), Decimal128(8, 0), Some(Decimal128(12, 4))),
            (Decimal128(38, 0), Decimal128(38, 38), Some(DataType::Decimal256(76, 38))),
            (Date32, micros.clone(), Some(micros.clone())),
            (micros, Timestamp(TimeUnit::Microsecond, Some("UTC".into())), None),
            (Utf8, LargeUtf8, Some(LargeUtf8)),
            (Utf8, Int32, None),
        ] {
            assert_eq!(common_type(&one, &other), expected, "{one} and {other}");
            assert_eq!(common_type(&other, &one), expected, "{other} and {one}");
        }
    }

    #[test]
    fn the_first_file_says_which_columns_there_are() {
        let first = file("a", &[("id", Int32), ("name", Utf8)]);
        let wider = file("b", &[("name", Utf8), ("id", Int64), ("more", Utf8)]);
        let (columns, notes) = unite(&[first.clone(), wider.clone()], false).unwrap();
        assert_eq!(names_and_types(&columns), [("id", &Int64), ("name", &Utf8)]);
        assert!(
            notes[0].contains("\"id\" of b is BIGINT, and INTEGER in") && notes[1].contains("\"more\""),
            "{notes:?}"
        );
        let error = unite(&[wider, first], false).unwrap_err();
        assert_eq!(error.code(), codes::FILE_003);
        assert!(error.message().contains("a lacks the column \"more\" of b"), "{error}");
        assert!(error.hints()[0].contains("union_by_name"));
    }

    #[test]
    fn by_name_all_columns_are_there() {
        let files = [file("a", &[("id", Int32)]), file("b", &[("x", Utf8)]), file("c", &[("id", Int8), ("x", Utf8)])];
        let (columns, notes) = unite(&files, true).unwrap();
        assert_eq!(names_and_types(&columns), [("id", &Int32), ("x", &Utf8)]);
        assert_eq!(notes.len(), 1, "{notes:?}");
    }

    #[test]
    fn long_numbers_beside_fractions_are_doubles_while_they_are_exact() {
        let (fractions, modest) = (file("a", &[("id", Float64)]), file("b", &[("id", Int64)]));
        for files in [[fractions.clone(), modest.clone()], [modest.clone(), fractions.clone()]] {
            let (columns, _) = unite(&files, false).unwrap();
            assert_eq!(names_and_types(&columns), [("id", &Float64)]);
        }
        let mut long = file("c", &[("id", Int64)]);
        long.1[0].exact_as_double = false;
        for files in [[fractions.clone(), modest.clone(), long.clone()], [modest, long, fractions]] {
            let error = unite(&files, true).unwrap_err();
            assert_eq!(error.code(), codes::FILE_003);
            assert!(error.message().contains("\"id\" of"), "{error}");
        }
    }

    #[test]
    fn types_without_a_common_one_are_an_error() {
        let error = unite(&[file("a", &[("id", Int32)]), file("b", &[("id", Utf8)])], true).unwrap_err();
        assert!(
            error.message().contains("\"id\" of b is VARCHAR, and INTEGER in the files before it, from a on"),
            "{error}"
        );
    }
}
