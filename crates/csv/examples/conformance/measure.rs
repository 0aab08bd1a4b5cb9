//! The measures themselves, as numbers and verdicts.
//! Reading files is the business of `tables`, telling people that of `report`.
//! Called by the reports of this example and by the conformance tests.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tapline_csv::{CsvOptions, Sample, detect};

use super::calls;
use super::tables::{self, Table};

/// The JSON values of a file, one a line.
pub fn read_lines(path: &Path) -> Result<Vec<Value>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("reading {}: {error}", path.display()))?;
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(|error| format!("reading {}: {error}", path.display())))
        .collect()
}

/// A file's bytes.
pub fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("reading {}: {error}", path.display()))
}

/// Per set of files: how many are right, how many there are, and the wrong ones in words.
pub type DialectScores = BTreeMap<String, (usize, usize, Vec<String>)>;

/// Delimiter and quote right, per set of annotated files.
pub fn dialect_scores(directory: &Path, files: &Path) -> Result<DialectScores, String> {
    let mut sets: DialectScores = BTreeMap::new();
    for truth in read_lines(&directory.join("truth.jsonl"))? {
        let text = |key: &str| truth[key].as_str().unwrap_or_default().to_owned();
        if truth["present"] != true {
            continue;
        }
        let bytes = read_file(&files.join(text("set")).join(text("file")))?;
        let cut = bytes.len().min(1 << 20);
        let sample = Sample { name: &text("file"), bytes: &bytes[..cut], complete: cut == bytes.len() };
        let detection = detect(&[sample], &CsvOptions::default()).map_err(|error| error.to_string())?;
        let dialect = detection.format.dialect;
        let quote = dialect.quote.unwrap_or('"').to_string();
        let wanted = truth["quote"].as_str().unwrap_or("\"");
        let right = dialect.delimiter == text("delimiter") && quote == wanted;
        let mut names = vec![text("set")];
        names.extend(
            ["codec", "messy"]
                .iter()
                .filter(|flag| truth[**flag] == true)
                .map(|flag| format!("{}-{flag}", text("set"))),
        );
        for name in names {
            let (hits, total, misses) = sets.entry(name).or_default();
            *total += 1;
            *hits += usize::from(right);
            if !right {
                misses.push(format!(
                    "{}: {:?} {quote:?} for {:?} {wanted:?}",
                    text("file"),
                    dialect.delimiter,
                    text("delimiter")
                ));
            }
        }
    }
    Ok(sets)
}

/// Reads every file of a pollock directory and writes what was read.
pub fn pollock(bench: &Path, output: &Path, given: bool, typed: bool) -> Result<String, String> {
    std::fs::create_dir_all(output).map_err(|error| error.to_string())?;
    let mut count = 0;
    for entry in std::fs::read_dir(bench.join("csv")).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut options = CsvOptions { all_varchar: Some(!typed), ..CsvOptions::default() };
        if given {
            let text = read_file(&bench.join("parameters").join(format!("{name}_parameters.json")))?;
            set_given(&mut options, &serde_json::from_slice(&text).map_err(|error| error.to_string())?);
        }
        let target = output.join(format!("{name}_converted.csv"));
        match tables::read(&name, &read_file(&path)?, &options) {
            Ok(table) => {
                let names: Vec<&str> = table
                    .format
                    .columns
                    .iter()
                    .map(|column| column.header_name.as_deref().unwrap_or(&column.name))
                    .collect();
                std::fs::write(target, tables::to_csv(&names, &table.rows, false))
                    .map_err(|error| error.to_string())?;
            }
            Err(message) => drop(std::fs::write(target, format!("Application Error\n{message}\n"))),
        }
        count += 1;
    }
    Ok(format!("{count} files written"))
}

/// The benchmark's description of a dialect as settings.
fn set_given(options: &mut CsvOptions, parameters: &Value) {
    let text = |key: &str| parameters[key].as_str().map(str::to_owned);
    options.delim = text("delimiter").filter(|delimiter| !delimiter.is_empty());
    options.quote = text("quotechar");
    options.escape = text("escapechar").filter(|escape| !escape.is_empty());
    options.encoding = text("encoding").filter(|encoding| encoding != "ascii");
    options.header = parameters["header_lines"].as_u64().map(|lines| lines > 0);
    options.header_lines = parameters["header_lines"].as_u64().filter(|lines| *lines > 0);
    options.skip = parameters["preamble_lines"].as_u64();
}

/// How a file's rows compare with DuckDB's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The same names, rows and values.
    Equal,
    /// The same rows; some values are spelled as in the file where DuckDB changed their spelling.
    Respelled,
    /// DuckDB refuses the file.
    DuckDbFails,
    /// The expected text is not in the oracle.
    Unknown,
    /// Something else, for a reason that holds generally; says what.
    Explained(Reason, String),
    /// Something else; says what.
    Different(String),
}

/// Why rows or values are not DuckDB's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// DuckDB changes values that stay as the file spells them here: years of two digits, quotes inside text, digits grouped otherwise than by
    /// threes, moments with and without a zone in one column.
    Kept,
    /// Lines that cannot be read exactly are rejected here, and rounded or cut to fit by DuckDB.
    Rejected,
    /// DuckDB leaves out lines: those above the widest ones, and those that do not fit the types of its sample.
    MoreLines,
    /// DuckDB takes lines for text of one column because some of them are ragged; here the others make a table.
    OneColumn,
    /// A space behind every delimiter belongs to the delimiter here, and to the values in DuckDB.
    Spaced,
    /// DuckDB refuses what can be read: other encodings, mixed line breaks, long lines, values beyond its sample.
    MoreFiles,
}

impl Reason {
    /// The reason in words.
    pub fn words(self) -> &'static str {
        match self {
            Reason::Kept => "a value stays as the file spells it, which DuckDB changes",
            Reason::Rejected => "a line that cannot be read exactly is rejected, which DuckDB rounds or cuts",
            Reason::MoreLines => "lines are read that DuckDB leaves out",
            Reason::OneColumn => "a table with ragged lines is read as one, not as a single column of text",
            Reason::Spaced => "a space behind every delimiter belongs to the delimiter, not to the values",
            Reason::MoreFiles => "a file is read that DuckDB refuses",
        }
    }

    /// Finds the reason for a difference, from what was read and what the files say.
    fn of(table: &Table, header: &[Option<String>], wanted: &[Vec<Option<String>>]) -> Option<Reason> {
        let columns = table.format.columns.len();
        if columns > 1 && header.len() == 1 {
            return Some(Reason::OneColumn);
        }
        if columns != header.len() {
            let named = header.iter().flatten().any(|name| table.text.contains(name.as_str()));
            let lines = table.text.lines().filter(|line| !line.trim().is_empty()).count();
            return (wanted.len() + usize::from(named) < lines).then_some(Reason::MoreLines);
        }
        let spaced = table.format.dialect.spaced;
        let same = |ours: &Vec<Option<String>>, theirs: &Vec<Option<String>>| {
            ours.iter().zip(theirs).all(|(ours, theirs)| {
                let (ours, theirs) = (ours.as_deref().unwrap_or_default(), theirs.as_deref().unwrap_or_default());
                same_value(ours, theirs) || (spaced && ours.trim_start() == theirs.trim_start())
            })
        };
        let within = |few: &[Vec<Option<String>>], many: &[Vec<Option<String>>]| {
            let mut rest = many.iter();
            few.iter().all(|row| rest.any(|other| same(row, other)))
        };
        let lines = table.rows.len() + table.rejects.len();
        if !table.rejects.is_empty() && lines == wanted.len() && within(&table.rows, wanted) {
            return Some(Reason::Rejected);
        }
        if wanted.len() < table.rows.len() && within(wanted, &table.rows) {
            return Some(Reason::MoreLines);
        }
        if spaced && table.rows.len() == wanted.len() && within(wanted, &table.rows) {
            return Some(Reason::Spaced);
        }
        let spelled = |text: &str| table.text.contains(text);
        let cells = |column: usize| {
            let text = move |row: &Vec<Option<String>>| row[column].clone().unwrap_or_default();
            table.rows.iter().zip(wanted).map(move |(ours, theirs)| (text(ours), text(theirs)))
        };
        let mut any = false;
        let kept = table.rows.len() == wanted.len()
            && (0..columns).all(|column| {
                let different: Vec<_> = cells(column).filter(|(ours, theirs)| !same_value(ours, theirs)).collect();
                let changed = |(ours, theirs): &(String, String)| {
                    theirs.is_empty() || !spelled(theirs) || theirs.contains(ours.as_str())
                };
                any |= !different.is_empty();
                different.iter().all(|(ours, _)| spelled(ours))
                    && (different.is_empty() || different.iter().any(changed))
            });
        (kept && any).then_some(Reason::Kept)
    }
}

/// Compares one table with the oracle's record of it.
pub fn compare(table: &Table, expected: &Value) -> Verdict {
    let Some(text) = expected["csv"].as_str() else {
        return if Some(table.rows.len() as u64) == expected["rows"].as_u64() {
            Verdict::Unknown
        } else {
            Verdict::Different(format!("{} rows for {}", table.rows.len(), expected["rows"]))
        };
    };
    let wanted = records(text);
    let names: Vec<&str> = table.format.columns.iter().map(|column| column.name.as_str()).collect();
    let Some((header, wanted)) = wanted.split_first() else { return Verdict::Unknown };
    let different = |what: String| match Reason::of(table, header, wanted) {
        Some(reason) => Verdict::Explained(reason, what),
        None => Verdict::Different(what),
    };
    if names.len() != header.len() {
        return different(format!("{} columns for {}", names.len(), header.len()));
    }
    if table.rows.len() != wanted.len() {
        return different(format!("{} rows for {}", table.rows.len(), wanted.len()));
    }
    if names.iter().zip(header).any(|(name, wanted)| Some(*name) != wanted.as_deref()) {
        return different(format!("names {names:?} for {header:?}"));
    }
    let mut respelled = false;
    for (number, (row, wanted)) in table.rows.iter().zip(wanted).enumerate() {
        for ((cell, wanted), name) in row.iter().zip(wanted).zip(&names) {
            if cell == wanted {
                continue;
            }
            if same_value(cell.as_deref().unwrap_or_default(), wanted.as_deref().unwrap_or_default()) {
                respelled = true;
                continue;
            }
            return different(format!("row {number} column {name}: {cell:?} for {wanted:?}"));
        }
    }
    if respelled { Verdict::Respelled } else { Verdict::Equal }
}

/// Equal as numbers, or equal but for punctuation of dates.
fn same_value(ours: &str, theirs: &str) -> bool {
    if ours == theirs {
        return true;
    }
    if let (Ok(ours), Ok(theirs)) = (ours.parse::<f64>(), theirs.parse::<f64>()) {
        return ours == theirs;
    }
    let digits = |text: &str| {
        let mut groups: Vec<String> = text
            .split(|character: char| !character.is_ascii_digit())
            .filter(|group| !group.is_empty())
            .map(|group| group.trim_start_matches('0').to_owned())
            .collect();
        groups.retain(|group| !group.is_empty());
        groups.sort();
        groups
    };
    let boolean = |text: &str| {
        matches!(text.to_ascii_lowercase().as_str(), "t" | "true").then_some(true).or(matches!(
            text.to_ascii_lowercase().as_str(),
            "f" | "false"
        )
        .then_some(false))
    };
    if let (Some(ours), Some(theirs)) = (boolean(ours), boolean(theirs)) {
        return ours == theirs;
    }
    theirs.starts_with(|character: char| character.is_ascii_digit())
        && theirs.contains(['-', ':'])
        && digits(ours) == digits(theirs)
}

/// Splits CSV as DuckDB writes it.
pub fn records(text: &str) -> Vec<Vec<Option<String>>> {
    let (mut rows, mut row, mut cell, mut quoted, mut inside) = (Vec::new(), Vec::new(), String::new(), false, false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if inside && characters.peek() == Some(&'"') => {
                cell.push('"');
                characters.next();
            }
            '"' => {
                inside = !inside;
                quoted = true;
            }
            ',' | '\n' if !inside => {
                let text = std::mem::take(&mut cell);
                row.push((quoted || !text.is_empty()).then_some(text));
                quoted = false;
                if character == '\n' {
                    rows.push(std::mem::take(&mut row));
                }
            }
            other => cell.push(other),
        }
    }
    rows
}

/// Verdicts for all files of the oracle, default mode.
pub fn oracle_verdicts(directory: &Path, filter: &str) -> Result<Vec<(String, Verdict, Option<Table>)>, String> {
    let mut verdicts = Vec::new();
    for expected in read_lines(&directory.join("oracle.jsonl"))? {
        let file = expected["file"].as_str().unwrap_or_default();
        if expected["mode"] != "default" || !file.contains(filter) {
            continue;
        }
        let bytes = read_file(&directory.join("files").join(file))?;
        let options = calls::oracle_nulls(CsvOptions::default());
        let result = tables::read(file, &bytes, &options);
        let verdict = match (&result, expected["duckdb"] == "ok") {
            (_, false) => Verdict::DuckDbFails,
            (Ok(table), true) => compare(table, &expected),
            (Err(message), true) => Verdict::Different(message.clone()),
        };
        verdicts.push((file.to_owned(), verdict, result.ok()));
    }
    Ok(verdicts)
}
