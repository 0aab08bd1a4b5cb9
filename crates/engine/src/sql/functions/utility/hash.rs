//! `hash`: a number of any values, the same as DuckDB's.
//! Not here: digests of text (`text::encodings`).
//! Called by `utility`, and for estimates of how many different values there are.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::*;
use datafusion::common::{Result, exec_datafusion_err};

use crate::sql::functions::toolkit::general::{Call, Plain, answer, as_they_are};
use crate::sql::functions::toolkit::lists::{Lists, list_type};
use crate::sql::functions::toolkit::types::{Type, UInt};
use crate::sql::functions::toolkit::values::texts;
use crate::sql::functions::toolkit::{Function, general};

pub(super) fn functions() -> Vec<Function> {
    vec![general(
        &["hash"],
        "a number made of the values",
        Plain {
            coerce: as_they_are,
            result: |_| Ok(answer(DataType::UInt64)),
            run: |call: &Call<'_>| {
                let columns = call.columns.iter().zip(call.fields).map(|(column, field)| hashes(field, column));
                let columns = columns.collect::<Result<Vec<_>>>()?;
                let row = |row: usize| columns.iter().map(|column| column[row]).reduce(combine);
                Ok(UInt::build((0..call.rows).map(row).collect()))
            },
        },
    )]
}

/// An odd number whose multiples spread over all bits.
const FACTOR: u64 = 0xd6e8_feb8_6659_fd93;
/// The hash of NULL.
const NULL: u64 = 13_787_848_793_156_543_929;

fn mix(number: u64) -> u64 {
    let mut hash = number;
    for _ in 0..2 {
        hash ^= hash >> 32;
        hash = hash.wrapping_mul(FACTOR);
    }
    hash ^ hash >> 32
}

fn combine(left: u64, right: u64) -> u64 {
    (left ^ left >> 32).wrapping_mul(FACTOR) ^ right
}

fn of_bytes(bytes: &[u8]) -> u64 {
    const SEED: u64 = 0xe17a_1465;
    const LENGTH_FACTOR: u64 = 0xc6a4_a793_5bd1_e995;
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(LENGTH_FACTOR);
    for block in bytes.chunks(8) {
        let mut padded = [0; 8];
        padded[..block.len()].copy_from_slice(block);
        hash = (hash ^ u64::from_le_bytes(padded)).wrapping_mul(FACTOR);
    }
    mix(hash)
}

/// The hash of each row of a column.
pub(crate) fn hashes(field: &Field, column: &ArrayRef) -> Result<Vec<u64>> {
    let nulls = column.logical_nulls();
    let hash = |row: usize, of: &dyn Fn() -> u64| match &nulls {
        Some(nulls) if nulls.is_null(row) => NULL,
        _ => of(),
    };
    let rows = 0..column.len();
    Ok(match column.data_type() {
        DataType::Null => vec![NULL; column.len()],
        DataType::Boolean => rows.map(|row| hash(row, &|| mix(column.as_boolean().value(row).into()))).collect(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Date32 => {
            let numbers = cast(column, &DataType::Int32)?;
            let numbers = numbers.as_primitive::<Int32Type>();
            rows.map(|row| hash(row, &|| mix(u64::from(numbers.value(row).cast_unsigned())))).collect()
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            let numbers = cast(column, &DataType::UInt64)?;
            let numbers = numbers.as_primitive::<UInt64Type>();
            rows.map(|row| hash(row, &|| mix(numbers.value(row)))).collect()
        }
        DataType::Int64 | DataType::Timestamp(_, _) | DataType::Time64(_) => {
            let numbers = cast(column, &DataType::Int64)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            rows.map(|row| hash(row, &|| mix(numbers.value(row).cast_unsigned()))).collect()
        }
        DataType::Float32 => {
            let numbers = column.as_primitive::<Float32Type>();
            rows.map(|row| hash(row, &|| mix((numbers.value(row) + 0.0).to_bits().into()))).collect()
        }
        DataType::Float64 => {
            let numbers = column.as_primitive::<Float64Type>();
            rows.map(|row| hash(row, &|| mix((numbers.value(row) + 0.0).to_bits()))).collect()
        }
        decimal if decimal.is_decimal() => {
            let scale = match decimal {
                DataType::Decimal32(_, scale)
                | DataType::Decimal64(_, scale)
                | DataType::Decimal128(_, scale)
                | DataType::Decimal256(_, scale) => *scale,
                _ => 0,
            };
            let numbers = cast(column, &DataType::Decimal256(76, scale))?;
            let numbers = numbers.as_primitive::<Decimal256Type>();
            let of = |row: usize| -> Result<u64> {
                let number =
                    numbers.value(row).to_i128().ok_or_else(|| exec_datafusion_err!("a number is out of range"))?;
                Ok(match i64::try_from(number) {
                    Ok(number) => mix(number.cast_unsigned()),
                    Err(_) => mix(number as u64) ^ mix((number >> 64) as u64),
                })
            };
            rows.map(|row| if numbers.is_null(row) { Ok(NULL) } else { of(row) }).collect::<Result<_>>()?
        }
        DataType::Binary => {
            let blobs = column.as_binary::<i32>();
            rows.map(|row| hash(row, &|| of_bytes(blobs.value(row)))).collect()
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _) => {
            let list = cast(column, &list_type(column.data_type())?)?;
            let lists = Lists::new(&list)?;
            let items = hashes(lists.item(), lists.items())?;
            rows.map(|row| {
                lists.range(row).and_then(|range| range.map(|index| items[index]).reduce(combine)).unwrap_or(NULL)
            })
            .collect()
        }
        DataType::Struct(fields) => {
            let structs = column.as_struct();
            let members = structs.columns().iter().zip(fields).map(|(column, field)| hashes(field, column));
            let members = members.collect::<Result<Vec<_>>>()?;
            rows.map(|row| hash(row, &|| members.iter().map(|member| member[row]).reduce(combine).unwrap_or(NULL)))
                .collect()
        }
        _ => {
            let texts = texts(field, column)?;
            rows.map(|row| hash(row, &|| of_bytes(texts.value(row).as_bytes()))).collect()
        }
    })
}
