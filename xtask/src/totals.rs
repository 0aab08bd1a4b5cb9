//! Counting tests: what nextest, `cargo test` and vitest print at their end, and what tests say they had to skip.
//! Not here: running them (`test`).
//! Called by `test`.

use std::fmt;
use std::ops::AddAssign;

/// How many tests there were of each outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// The totals in one line of a test runner's output, if it is the one that has them:
///
/// ```text
///      Summary [   1.204s] 12 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 3 skipped
/// test result: ok. 9 passed; 2 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.03s
///       Tests  2 failed | 9 passed | 3 skipped (14)
/// ```
pub fn of_line(line: &str) -> Option<Totals> {
    let line = without_colours(line);
    let counts = match line.split_once("tests run:").or_else(|| line.split_once("test run:")) {
        Some((_, counts)) => counts,
        None => match line.trim_start().strip_prefix("Tests  ") {
            Some(counts) => counts,
            None => line.strip_prefix("test result: ")?.split_once(". ")?.1,
        },
    };
    let mut totals = Totals::default();
    for count in counts.split([',', ';', '|']) {
        let mut words = count.split_whitespace();
        let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) else {
            continue;
        };
        match words.next() {
            Some("passed") => totals.passed += number,
            // "2 timed out", "1 exec failed"
            Some("failed" | "timed" | "exec") => totals.failed += number,
            Some("skipped" | "ignored") => totals.skipped += number,
            _ => {}
        }
    }
    Some(totals)
}

/// The sum of all lines `skipped: N …` in what tests printed: material or services that were not there.
pub fn skipped_words(text: &str) -> u64 {
    let counted = |line: &str| {
        let (_, rest) = line.split_once("skipped: ")?;
        rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    text.lines().filter_map(counted).sum()
}

/// Removes terminal escape sequences (`ESC [ … letter`).
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' {
            letters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(letter);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_both_runners() {
        let totals = |passed, failed, skipped| Some(Totals { passed, failed, skipped });
        for (line, expected) in [
            ("     Summary [   0.014s] 2 tests run: 2 passed, 0 skipped", totals(2, 0, 0)),
            (
                "\u{1b}[32;1m     Summary\u{1b}[0m [   0.01s] \u{1b}[1m1\u{1b}[0m test run: \u{1b}[1m1\u{1b}[0m passed, \u{1b}[1m7\u{1b}[0m skipped",
                totals(1, 0, 7),
            ),
            (
                "Summary [ 9s] 12/20 tests run: 8 passed (1 slow, 2 leaky), 2 failed, 1 timed out, 1 exec failed, 3 skipped",
                totals(8, 4, 3),
            ),
            (
                "test result: FAILED. 25 passed; 2 failed; 1 ignored; 0 measured; 4 filtered out; finished in 1.3s",
                totals(25, 2, 1),
            ),
            ("      Tests  2 failed | 25 passed | 1 skipped (28)", totals(25, 2, 1)),
            (" Test Files  1 failed | 2 passed (3)", None),
            ("        PASS [   0.005s] crate test run_it", None),
            ("test result", None),
        ] {
            assert_eq!(of_line(line), expected, "{line}");
        }
    }

    #[test]
    fn words_of_skipping_tests() {
        let output = "<system-out>skipped: 3 (no conformance material)\nskipped: 1\nskipped: none\nrows skipped\n";
        assert_eq!(skipped_words(output), 4);
    }
}
