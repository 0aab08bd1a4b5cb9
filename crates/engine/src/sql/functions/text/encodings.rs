//! Texts and bytes as hexadecimal, binary and base 64 digits, URLs, and digests.
//! Not here: how values are printed (`formats`).
//! Called by `text`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use datafusion::arrow::datatypes::i256;
use datafusion::common::{Result, exec_datafusion_err, exec_err};
use md5::Md5;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::sql::functions::toolkit::typed::kernel;
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, typed};

pub(super) fn functions() -> Vec<Function> {
    vec![
        typed(
            &["hex", "to_hex"],
            "the bytes, or the number, in hexadecimal digits",
            [
                kernel!(|text: Text| -> Text => hex(text.as_bytes())),
                kernel!(|bytes: Blob| -> Text => hex(bytes)),
                kernel!(|number: Int| -> Text => format!("{number:X}")),
                kernel!(|number: UInt| -> Text => format!("{number:X}")),
                kernel!(|number: Huge| -> Text => wide(number, |number| format!("{number:X}"))),
            ],
        ),
        typed(
            &["bin", "to_binary"],
            "the bytes, or the number, in binary digits",
            [
                kernel!(|text: Text| -> Text => binary(text.as_bytes())),
                kernel!(|bytes: Blob| -> Text => binary(bytes)),
                kernel!(|number: Int| -> Text => format!("{number:b}")),
                kernel!(|number: UInt| -> Text => format!("{number:b}")),
                kernel!(|number: Huge| -> Text => wide(number, |number| format!("{number:b}"))),
            ],
        ),
        typed(
            &["unhex", "from_hex"],
            "the bytes that hexadecimal digits stand for",
            [kernel!(|text: Text| -> Blob => unhex(text))],
        ),
        typed(
            &["unbin", "from_binary"],
            "the bytes that binary digits stand for",
            [kernel!(|text: Text| -> Blob => unbin(text))],
        ),
        typed(
            &["to_base"],
            "the number in digits of a base from 2 to 36",
            [
                kernel!(|number: Int, base: Int| -> Text => to_base(number, base, 0)),
                kernel!(|number: Int, base: Int, width: Int| -> Text => to_base(number, base, width)),
            ],
        ),
        typed(
            &["base64", "to_base64"],
            "the bytes in base 64",
            [kernel!(|bytes: Blob| -> Text => STANDARD.encode(bytes))],
        ),
        typed(
            &["from_base64"],
            "the bytes that base 64 stands for",
            [
                kernel!(|text: Text| -> Blob => STANDARD.decode(text).map_err(|_| exec_datafusion_err!("the text is not base 64"))),
            ],
        ),
        typed(
            &["url_encode"],
            "the text with %XX for what a URL may not hold",
            [kernel!(|text: Text| -> Text => utf8_percent_encode(text, &IN_URLS).to_string())],
        ),
        typed(
            &["url_decode"],
            "the text with its %XX replaced",
            [kernel!(|text: Text| -> Text => percent_decode_str(text).decode_utf8().map(|text| text.into_owned())
                .map_err(|_| exec_datafusion_err!("the decoded bytes are not UTF-8")))],
        ),
        typed(&["encode"], "the text's bytes", [kernel!(|text: Text| -> Blob => text.as_bytes().to_vec())]),
        typed(
            &["decode"],
            "the text whose bytes these are",
            [
                kernel!(|bytes: Blob| -> Text => String::from_utf8(bytes.to_vec()).map_err(|_| exec_datafusion_err!("the bytes are not UTF-8"))),
            ],
        ),
        typed(
            &["md5"],
            "the MD5 digest in hexadecimal digits",
            [
                kernel!(|text: Text| -> Text => hex(&Md5::digest(text)).to_lowercase()),
                kernel!(|bytes: Blob| -> Text => hex(&Md5::digest(bytes)).to_lowercase()),
            ],
        ),
        typed(
            &["md5_number"],
            "the MD5 digest as a number",
            [
                kernel!(|text: Text| -> UHuge => md5_number(text.as_bytes())),
                kernel!(|bytes: Blob| -> UHuge => md5_number(bytes)),
            ],
        ),
        typed(
            &["md5_number_lower"],
            "the less significant half of the MD5 digest as a number",
            [
                kernel!(|text: Text| -> UInt => halves(text.as_bytes()).0),
                kernel!(|bytes: Blob| -> UInt => halves(bytes).0),
            ],
        ),
        typed(
            &["md5_number_upper"],
            "the more significant half of the MD5 digest as a number",
            [
                kernel!(|text: Text| -> UInt => halves(text.as_bytes()).1),
                kernel!(|bytes: Blob| -> UInt => halves(bytes).1),
            ],
        ),
        typed(
            &["sha1"],
            "the SHA-1 digest in hexadecimal digits",
            [
                kernel!(|text: Text| -> Text => hex(&Sha1::digest(text)).to_lowercase()),
                kernel!(|bytes: Blob| -> Text => hex(&Sha1::digest(bytes)).to_lowercase()),
            ],
        ),
        typed(
            &["sha256"],
            "the SHA-256 digest in hexadecimal digits",
            [
                kernel!(|text: Text| -> Text => hex(&Sha256::digest(text)).to_lowercase()),
                kernel!(|bytes: Blob| -> Text => hex(&Sha256::digest(bytes)).to_lowercase()),
            ],
        ),
    ]
}

/// <https://www.rfc-editor.org/rfc/rfc3986#section-2.3>
const IN_URLS: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string never fails.
        write!(text, "{byte:02X}").unwrap_or_default();
        text
    })
}

fn binary(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:08b}")).collect()
}

fn wide(number: i256, print: impl Fn(u128) -> String) -> Result<String> {
    match number.to_i128() {
        Some(number) => Ok(print(number as u128)),
        None => exec_err!("the number is too large"),
    }
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| digit.to_digit(16).map(|value| value as u8)).collect();
    let Some(mut digits) = digits else { return exec_err!("the text holds what is no hexadecimal digit") };
    if digits.len() % 2 == 1 {
        digits.insert(0, 0);
    }
    Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn unbin(text: &str) -> Result<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| digit.to_digit(2).map(|value| value as u8)).collect();
    let Some(digits) = digits else { return exec_err!("the text holds what is no binary digit") };
    let missing = (8 - digits.len() % 8) % 8;
    let digits: Vec<u8> = std::iter::repeat_n(0, missing).chain(digits).collect();
    Ok(digits.chunks(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | bit)).collect())
}

fn to_base(number: i64, base: i64, width: i64) -> Result<String> {
    if number < 0 || !(2..=36).contains(&base) || !(0..=64).contains(&width) {
        return exec_err!("to_base takes a number that is not negative, a base from 2 to 36 and a width up to 64");
    }
    let mut digits = Vec::new();
    let mut rest = number;
    while rest > 0 || digits.is_empty() {
        // A remainder by a base up to 36 is a digit of it.
        digits.push(char::from_digit((rest % base) as u32, base as u32).unwrap_or('0').to_ascii_uppercase());
        rest /= base;
    }
    while (digits.len() as i64) < width {
        digits.push('0');
    }
    Ok(digits.into_iter().rev().collect())
}

/// The second and the first half of an MD5 digest as numbers, least significant byte first.
fn halves(bytes: &[u8]) -> (u64, u64) {
    let digest: [u8; 16] = Md5::digest(bytes).into();
    let number = u128::from_le_bytes(digest);
    ((number >> 64) as u64, number as u64)
}

fn md5_number(bytes: &[u8]) -> i256 {
    let digest: [u8; 16] = Md5::digest(bytes).into();
    i256::from_parts(u128::from_le_bytes(digest), 0)
}
