//! UUIDs: new ones, and what is in them.
//! Not here: casts from text.
//! Called by `utility`.

use std::time::{SystemTime, UNIX_EPOCH};

use datafusion::common::{Result, exec_err};

use crate::sql::functions::toolkit::typed::kernel;
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, typed, volatile};

pub(super) fn functions() -> Vec<Function> {
    vec![
        volatile(
            &["uuid", "gen_random_uuid", "uuidv4"],
            "a random UUID",
            [kernel!(|| -> Uuid => version(fastrand::u128(..), 4))],
        ),
        volatile(&["uuidv7"], "a UUID that begins with the time", [kernel!(|| -> Uuid => timed())]),
        typed(
            &["uuid_extract_version"],
            "the version of the UUID",
            [
                kernel!(|uuid: Uuid| -> UInt4 => u32::from(uuid[6] >> 4)),
                kernel!(|uuid: Text| -> UInt4 => parse(uuid).map(|uuid| u32::from(uuid[6] >> 4))),
            ],
        ),
        typed(
            &["uuid_extract_timestamp"],
            "the time with which a UUID of version 7 begins",
            [
                kernel!(|uuid: Uuid| -> ZonedMoment => time_of(uuid)),
                kernel!(|uuid: Text| -> ZonedMoment => parse(uuid).and_then(|uuid| time_of(&uuid))),
            ],
        ),
    ]
}

/// <https://www.rfc-editor.org/rfc/rfc9562#section-4>
fn version(bits: u128, version: u8) -> [u8; 16] {
    let mut bytes = bits.to_be_bytes();
    bytes[6] = bytes[6] & 0x0f | version << 4;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

fn timed() -> [u8; 16] {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_millis());
    version(millis << 80 | fastrand::u128(..) >> 48, 7)
}

fn parse(text: &str) -> Result<[u8; 16]> {
    let digits: String = text.chars().filter(|c| !matches!(c, '-' | '{' | '}')).collect();
    match u128::from_str_radix(&digits, 16) {
        Ok(number) if digits.len() == 32 => Ok(number.to_be_bytes()),
        _ => exec_err!("the text is not a UUID"),
    }
}

fn time_of(uuid: &[u8]) -> Result<i64> {
    if uuid[6] >> 4 != 7 {
        return exec_err!("only a UUID of version 7 holds a time");
    }
    let millis = uuid[..6].iter().fold(0i64, |millis, byte| millis << 8 | i64::from(*byte));
    Ok(millis * 1000)
}
