//! The demo's files: customers in Parquet, their orders in CSV, and how both change overnight.
//! Not here: where they are put (`demo`).
//! Called by `demo` only.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;

/// Customers on the first day.
const CUSTOMERS: i64 = 50_000;
/// Customers that sign up overnight.
const NEW: i64 = 120;
/// Orders on the first day.
const ORDERS: i64 = 80_000;
/// 1 January 2026, in days since 1970.
const FIRST_DAY: i32 = 20_454;

const NAMES: &[&str] =
    &["ada", "grace", "linus", "margaret", "edsger", "barbara", "donald", "frances", "alan", "radia"];
const COUNTRIES: &[&str] = &["DE", "FR", "US", "IN", "BR", "JP", "NG"];

/// The same number for the same input, spread over all 64 bits: SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
fn scatter(input: i64) -> u64 {
    let mut value = input.cast_unsigned().wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn pick<'a>(choices: &[&'a str], number: u64) -> &'a str {
    choices[(number % choices.len() as u64) as usize]
}

/// The customers as a Parquet file: on the first day, or on the second, when some have moved, some have left and some
/// have signed up.
pub fn customers(second_day: bool) -> Result<Vec<u8>, parquet::errors::ParquetError> {
    let last = if second_day { CUSTOMERS + NEW } else { CUSTOMERS };
    let left = |id: &i64| second_day && id % 1_250 == 0;
    let ids: Vec<i64> = (1..=last).filter(|id| !left(id)).collect();
    let name = |id: i64| pick(NAMES, scatter(id));
    let moved = |id: i64| second_day && id % 200 == 7;
    let emails = ids.iter().map(|&id| format!("{}.{id}@example.com", name(id)));
    let countries = ids.iter().map(|&id| pick(COUNTRIES, (scatter(id) >> 8) + u64::from(moved(id))));
    let days = ids.iter().map(|&id| FIRST_DAY - ((scatter(id) >> 16) % 1_000) as i32);
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(ids.clone())) as _),
        ("email", Arc::new(StringArray::from_iter_values(emails)) as _),
        ("first_name", Arc::new(StringArray::from_iter_values(ids.iter().map(|&id| name(id)))) as _),
        ("country", Arc::new(StringArray::from_iter_values(countries)) as _),
        ("signed_up", Arc::new(Date32Array::from_iter_values(days)) as _),
    ])
    .map_err(|error: ArrowError| error)?;
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(file)
}

/// The orders of the first day as a CSV file.
pub fn orders() -> String {
    order_lines(1, ORDERS)
}

/// The orders that came in overnight, as a CSV file of their own.
pub fn new_orders() -> String {
    order_lines(ORDERS + 1, ORDERS + 300)
}

fn order_lines(first: i64, last: i64) -> String {
    let mut text = String::from("order_id,customer_id,amount_cents\n");
    for order in first..=last {
        let number = scatter(-order);
        let customer = 1 + number % CUSTOMERS.cast_unsigned();
        let cents = 500 + (number >> 20) % 20_000;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{order},{customer},{cents}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_the_same_every_time_and_differ_by_day() {
        assert_eq!(customers(false).unwrap(), customers(false).unwrap());
        assert_ne!(customers(false).unwrap(), customers(true).unwrap());
        assert_eq!(orders().lines().count(), 1 + 80_000);
        assert!(new_orders().starts_with("order_id,customer_id,amount_cents\n80001,"));
    }
}
