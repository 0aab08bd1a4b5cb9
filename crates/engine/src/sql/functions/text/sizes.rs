//! Numbers of bytes in words, and bars of a chart.
//! Not here: other formats of numbers (`formats`).
//! Called by `text`.

use datafusion::common::{Result, exec_datafusion_err, exec_err};

use crate::sql::functions::toolkit::typed::kernel;
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, typed};

pub(super) fn functions() -> Vec<Function> {
    vec![
        typed(
            &["format_bytes", "formatReadableSize", "formatreadablesize", "pg_size_pretty"],
            "a number of bytes such as 16.0 KiB",
            [kernel!(|bytes: Int| -> Text => readable(bytes, 1024, &["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]))],
        ),
        typed(
            &["formatReadableDecimalSize", "formatreadabledecimalsize"],
            "a number of bytes such as 16.0 kB",
            [kernel!(|bytes: Int| -> Text => readable(bytes, 1000, &["kB", "MB", "GB", "TB", "PB", "EB"]))],
        ),
        typed(
            &["parse_formatted_bytes"],
            "the number of bytes that a text such as 16 KiB stands for",
            [kernel!(|text: Text| -> UInt => parse(text))],
        ),
        typed(
            &["bar"],
            "a bar as long as the number is on the way from a smallest to a largest one",
            [
                kernel!(|number: Double, least: Double, most: Double| -> Text => bar(number, least, most, 80.0)),
                kernel!(|number: Double, least: Double, most: Double, width: Double| -> Text => bar(number, least, most, width)),
            ],
        ),
    ]
}

fn readable(bytes: i64, base: u64, units: &[&str]) -> String {
    let sign = if bytes < 0 { "-" } else { "" };
    let size = bytes.unsigned_abs();
    if size < base {
        return format!("{sign}{size} byte{}", if size == 1 { "" } else { "s" });
    }
    let mut power = base;
    let mut unit = 0;
    while size / power >= base && unit + 1 < units.len() {
        power *= base;
        unit += 1;
    }
    // Digits beyond the first place are cut, not rounded.
    let tenths = u128::from(size) * 10 / u128::from(power);
    format!("{sign}{}.{} {}", tenths / 10, tenths % 10, units[unit])
}

fn parse(text: &str) -> Result<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(text.len());
    let number: f64 =
        text[..end].parse().map_err(|_| exec_datafusion_err!("the text does not begin with a number of bytes"))?;
    let power = |base: f64, exponent| base.powi(exponent);
    let factor = match text[end..].trim().to_lowercase().as_str() {
        "byte" | "bytes" | "b" | "" => 1.0,
        "kilobyte" | "kilobytes" | "kb" | "k" => power(1000.0, 1),
        "megabyte" | "megabytes" | "mb" | "m" => power(1000.0, 2),
        "gigabyte" | "gigabytes" | "gb" | "g" => power(1000.0, 3),
        "terabyte" | "terabytes" | "tb" | "t" => power(1000.0, 4),
        "kib" => power(1024.0, 1),
        "mib" => power(1024.0, 2),
        "gib" => power(1024.0, 3),
        "tib" => power(1024.0, 4),
        _ => return exec_err!("the unit of the number of bytes is not known"),
    };
    if number < 0.0 {
        return exec_err!("a number of bytes is not negative");
    }
    Ok((number * factor) as u64)
}

fn bar(number: f64, least: f64, most: f64, width: f64) -> Result<String> {
    const WIDEST: f64 = 1000.0;
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if !width.is_finite() || !(1.0..=WIDEST).contains(&width) {
        return exec_err!("the width of a bar is from 1 to 1000");
    }
    if !least.is_finite() || !most.is_finite() || least >= most || !number.is_finite() {
        return exec_err!("the least value of a bar must be below its most");
    }
    let eighths = ((number.clamp(least, most) - least) / (most - least) * width * 8.0 + 1e-9).floor() as usize;
    let mut text = "█".repeat(eighths / 8);
    text.push_str(EIGHTHS[eighths % 8]);
    let length = text.chars().count();
    text.push_str(&" ".repeat((width as usize).saturating_sub(length)));
    Ok(text)
}
