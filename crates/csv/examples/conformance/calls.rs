//! Calls of `read_csv` as SQL spells them, turned into settings, and what reading the named files gives.
//! Only the arguments are understood here, not SQL; how results are compared is the business of `measure`.
//! Used by the subcommand `calls` and by the conformance tests.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};
use tapline_csv::{CsvOptions, Sample, sniff};

use super::measure::{Reason, Verdict, compare, read_file, read_lines, records};
use super::tables;

/// Arguments that are about files rather than about CSV: whoever lists the files handles them.
const ABOUT_FILES: [&str; 2] = ["filename", "hive_partitioning"];

/// How a call went.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The rows DuckDB gives.
    Read(Verdict),
    /// DuckDB refuses the file or the call; so does this reader, or it rejects lines.
    BothRefuse,
    /// DuckDB refuses the file or the call; this reader finds nothing wrong.
    OnlyDuckDbRefuses,
    /// The call is not about reading CSV alone.
    NotHere,
}

impl Outcome {
    /// Whether the call counts as equal.
    pub fn is_equal(&self) -> bool {
        match self {
            Outcome::Read(verdict) => !matches!(verdict, Verdict::Different(_) | Verdict::Explained(..)),
            Outcome::BothRefuse => true,
            Outcome::OnlyDuckDbRefuses | Outcome::NotHere => false,
        }
    }

    /// The general reason for a difference.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Outcome::Read(Verdict::Explained(reason, _)) => Some(*reason),
            Outcome::OnlyDuckDbRefuses => Some(Reason::MoreFiles),
            _ => None,
        }
    }
}

/// The outcome of every call, with its text.
pub fn outcomes(calls: &Path, data: &Path, filter: &str) -> Result<Vec<(String, Outcome)>, String> {
    let mut outcomes = Vec::new();
    for call in read_lines(calls)? {
        let sql = call["sql"].as_str().unwrap_or_default();
        if sql.contains(filter) {
            outcomes.push((sql.to_owned(), outcome(&call, sql, data)?));
        }
    }
    Ok(outcomes)
}

fn outcome(call: &Value, sql: &str, data: &Path) -> Result<Outcome, String> {
    let sniffs = sql.starts_with("SELECT * FROM sniff_csv(");
    let Some(arguments) =
        ["read_csv(", "sniff_csv("].into_iter().find_map(|name| sql.strip_prefix("SELECT * FROM ")?.strip_prefix(name))
    else {
        return Ok(Outcome::NotHere);
    };
    let unreadable = || format!("arguments of {sql}");
    let mut arguments = Arguments { rest: arguments };
    let paths = arguments.value().ok_or_else(unreadable)?;
    let mut named = arguments.named().ok_or_else(unreadable)?;
    if sniffs {
        return sniffed(call, &paths, &named, data);
    }
    if ABOUT_FILES.iter().any(|name| named.remove(*name).is_some()) {
        return Ok(Outcome::NotHere);
    }
    let mut files = Vec::new();
    for name in file_names(call, &paths) {
        files.push((name.to_owned(), read_file(&data.join(name))?));
    }
    let table = CsvOptions::default()
        .with_arguments(&named)
        .map_err(|error| error.to_string())
        .map(oracle_nulls)
        .and_then(|options| tables::read_files(&files, &options));
    let accepted = call["duckdb"] == "ok";
    Ok(match table {
        Ok(table) if accepted => Outcome::Read(compare(&table, call)),
        Ok(table) if table.rejects.is_empty() => Outcome::OnlyDuckDbRefuses,
        Err(message) if accepted => Outcome::Read(Verdict::Different(message)),
        Ok(_) | Err(_) => Outcome::BothRefuse,
    })
}

/// How what is detected compares with what DuckDB's `sniff_csv` tells.
fn sniffed(call: &Value, paths: &Value, arguments: &Map<String, Value>, data: &Path) -> Result<Outcome, String> {
    let path = paths.as_str().unwrap_or_default();
    let bytes = read_file(&data.join(path.strip_prefix("{data}/").unwrap_or(path)))?;
    let sample = Sample { name: path, bytes: &bytes[..bytes.len().min(1 << 20)], complete: bytes.len() <= 1 << 20 };
    let told = sniff(path, sample, &CsvOptions::default(), arguments);
    Ok(match (told, call["duckdb"] == "ok") {
        (Err(_), false) => Outcome::BothRefuse,
        (Ok(_), false) => Outcome::OnlyDuckDbRefuses,
        (Err(error), true) => Outcome::Read(Verdict::Different(error.to_string())),
        (Ok(told), true) => {
            let ours = tables::told(&told);
            let wanted = records(call["csv"].as_str().unwrap_or_default());
            let wanted = wanted.get(1).cloned().unwrap_or_default();
            match ours.iter().zip(&wanted).find(|(ours, theirs)| ours != theirs) {
                None => Outcome::Read(Verdict::Equal),
                Some((ours, theirs)) => Outcome::Read(Verdict::Different(format!("{ours:?} for {theirs:?}"))),
            }
        }
    })
}

/// The files a call reads: those it lists, repeated ones too, or those its patterns fit.
fn file_names<'a>(call: &'a Value, paths: &'a Value) -> Vec<&'a str> {
    let texts = |list: &'a Value| list.as_array().into_iter().flatten().filter_map(Value::as_str);
    let listed: Vec<&str> = texts(paths).filter_map(|path| path.strip_prefix("{data}/")).collect();
    if listed.is_empty() {
        return texts(&call["files"]).collect();
    }
    let fitting =
        |pattern: &'a str| texts(&call["files"]).filter(move |file| fits(pattern.as_bytes(), file.as_bytes()));
    listed.into_iter().flat_map(|path| fitting(path).collect::<BTreeSet<_>>()).collect()
}

/// Whether a path fits a pattern of `*`, `?` and `[…]`, none of which stands for a slash.
fn fits(pattern: &[u8], path: &[u8]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            fits(rest, path) || path.split_first().is_some_and(|(first, path)| *first != b'/' && fits(pattern, path))
        }
        ([b'?', pattern @ ..], [first, path @ ..]) => *first != b'/' && fits(pattern, path),
        ([b'[', pattern @ ..], [first, path @ ..]) => {
            let Some(end) = pattern.iter().position(|byte| *byte == b']') else { return false };
            let inside = match &pattern[..end] {
                [low, b'-', high] => (low..=high).contains(&first),
                set => set.contains(first),
            };
            inside && fits(&pattern[end + 1..], path)
        }
        ([wanted, pattern @ ..], [first, path @ ..]) => wanted == first && fits(pattern, path),
        _ => false,
    }
}

/// DuckDB reads a quoted empty field as NULL unless told otherwise; the comparison is not about that.
pub fn oracle_nulls(mut options: CsvOptions) -> CsvOptions {
    options.allow_quoted_nulls.get_or_insert(true);
    options
}

/// The rest of a call's text behind its opening parenthesis.
struct Arguments<'a> {
    rest: &'a str,
}

impl<'a> Arguments<'a> {
    /// The arguments behind the first one, by name in lower case.
    fn named(&mut self) -> Option<Map<String, Value>> {
        let mut named = Map::new();
        while self.take(',') {
            let name = self.word()?.to_ascii_lowercase();
            self.assign()?;
            // An argument given twice is a mistake under whichever name, which no map can show.
            if named.insert(name.clone(), self.value()?).is_some() {
                named.insert(format!("{name} again"), Value::Null);
            }
        }
        self.take(')').then_some(named)
    }

    fn assign(&mut self) -> Option<()> {
        let colon = self.take(':');
        let equals = self.take('=');
        let arrow = self.take('>');
        (colon || equals || arrow).then_some(())
    }

    fn take(&mut self, mark: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start();
        let end =
            self.rest.find(|character: char| !matches!(character, '_' | '-' | '.') && !character.is_alphanumeric())?;
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    fn quoted(&mut self, mark: char) -> Option<String> {
        let mut text = String::new();
        loop {
            let end = self.rest.find(mark)?;
            text += &self.rest[..end];
            self.rest = &self.rest[end + 1..];
            match self.rest.strip_prefix(mark) {
                Some(rest) => {
                    self.rest = rest;
                    text.push(mark);
                }
                None => return Some(text),
            }
        }
    }

    fn value(&mut self) -> Option<Value> {
        for mark in ['\'', '"'] {
            if self.take(mark) {
                return self.quoted(mark).map(Value::String);
            }
        }
        if self.take('[') {
            let mut items = Vec::new();
            while !self.take(']') {
                items.push(self.value()?);
                self.take(',');
            }
            return Some(Value::Array(items));
        }
        if self.take('{') {
            return self.fields('}');
        }
        let word = self.word()?;
        if word.eq_ignore_ascii_case("struct_pack") && self.take('(') {
            return self.fields(')');
        }
        Some(match word.to_ascii_lowercase().as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            _ => serde_json::from_str(word).unwrap_or_else(|_| Value::String(word.to_owned())),
        })
    }

    fn fields(&mut self, end: char) -> Option<Value> {
        let mut fields = Map::new();
        while !self.take(end) {
            let name = match self.value()? {
                Value::String(name) => name,
                other => other.to_string(),
            };
            if !self.take(':') {
                return None;
            }
            self.take('=');
            fields.insert(name, self.value()?);
            self.take(',');
        }
        Some(Value::Object(fields))
    }
}
