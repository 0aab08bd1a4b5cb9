//! Numbers, sizes, times and tables as people read them.
//! Not here: the values of rows, whose printing is `output`'s business.
//! Called by the commands that print reports as text, and by the progress bar.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tapline_core::{RowCounts, RunStatus};

/// `1,234,567`.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `2,000 rows`.
pub fn count(value: u64, noun: &str) -> String {
    let plural = if value == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", number(value))
}

/// `812 B`, `73.4 MB`: powers of 1,000.
pub fn bytes(value: u64) -> String {
    const UNITS: &[&str] = &["kB", "MB", "GB", "TB", "PB"];
    if value < 1_000 {
        return format!("{value} B");
    }
    let mut scaled = value as f64 / 1_000.0;
    let mut unit = 0;
    while scaled >= 999.95 && unit + 1 < UNITS.len() {
        scaled /= 1_000.0;
        unit += 1;
    }
    format!("{scaled:.1} {}", UNITS[unit])
}

/// `340 ms`, `1.8 s`, `4 min 12 s`, `2 h 5 min`.
pub fn duration(value: Duration) -> String {
    let seconds = value.as_secs();
    match seconds {
        0 => format!("{} ms", value.as_millis()),
        1..60 => format!("{:.1} s", value.as_secs_f64()),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// `2026-03-01 12:31:04`, in UTC.
pub fn time(value: DateTime<Utc>) -> String {
    value.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// One word for how a run ended.
pub fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "running",
        RunStatus::Succeeded => "succeeded",
        RunStatus::Partial => "partial",
        RunStatus::Unchanged => "unchanged",
        RunStatus::Stopped => "stopped",
        RunStatus::Failed => "failed",
        RunStatus::Cancelled => "cancelled",
    }
}

/// The counts of a run as the sum that they are: `100,010 read = 98,990 unchanged + 1,010 inserted + 10 rejected`.
/// Parts that are zero are left out; rows removed follow behind.
pub fn sum(rows: &RowCounts) -> String {
    let parts = [
        (rows.unchanged, "unchanged"),
        (rows.inserted, "inserted"),
        (rows.updated, "updated"),
        (rows.skipped, "skipped"),
        (rows.rejected, "rejected"),
    ];
    let told: Vec<String> =
        parts.iter().filter(|(rows, _)| *rows > 0).map(|(rows, word)| format!("{} {word}", number(*rows))).collect();
    let mut text = match told.as_slice() {
        [] => format!("{} read", number(rows.read)),
        told => format!("{} read = {}", number(rows.read), told.join(" + ")),
    };
    for (rows, word) in [(rows.deleted, "deleted"), (rows.delete_rejected, "deletes rejected")] {
        if rows > 0 {
            text.push_str(&format!(", {} {word}", number(rows)));
        }
    }
    text
}

/// Lines of columns that stand below each other, with two spaces between; numbers to the right where `right` says so.
pub fn columns(rows: &[Vec<String>], right: &[usize]) -> String {
    let width = |text: &str| text.chars().count();
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..count)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max().unwrap_or_default())
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let padding = " ".repeat(widths[column] - width(cell));
            if column > 0 {
                line.push_str("  ");
            }
            if right.contains(&column) {
                line.push_str(&padding);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&padding);
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(count(1, "row"), "1 row");
        assert_eq!(count(0, "row"), "0 rows");
    }

    #[test]
    fn sizes_keep_one_decimal_and_never_show_a_thousand_of_a_unit() {
        assert_eq!([999, 1_000, 73_400_320, 999_999].map(bytes), ["999 B", "1.0 kB", "73.4 MB", "1.0 MB"]);
    }

    #[test]
    fn durations_show_two_units_at_most() {
        let shown = [340, 1_834, 252_000, 7_500_000].map(|milliseconds| duration(Duration::from_millis(milliseconds)));
        assert_eq!(shown, ["340 ms", "1.8 s", "4 min 12 s", "2 h 5 min"]);
    }

    #[test]
    fn a_sum_leaves_out_what_is_zero() {
        let rows = RowCounts { read: 12, unchanged: 10, rejected: 2, deleted: 3, ..RowCounts::default() };
        assert_eq!(sum(&rows), "12 read = 10 unchanged + 2 rejected, 3 deleted");
        assert_eq!(sum(&RowCounts::default()), "0 read");
    }

    #[test]
    fn columns_line_up_by_characters() {
        let rows = [vec!["né".to_owned(), "7".to_owned()], vec!["name".to_owned(), "1,000".to_owned()]];
        assert_eq!(columns(&rows, &[1]), "né        7\nname  1,000\n");
    }
}
