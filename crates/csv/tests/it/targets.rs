//! What must hold for any bytes, and a source of bytes that are likely to break it.
//! Nothing is read from disk here; the corpus is replayed by `fuzz`, and the example of that name runs for as long as it is told.
//! Used by both.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use tapline_csv::{
    CsvOptions, DecodeError, Decoder, Fit, LineCounts, LineReject, Sample, Seam, TableFormat, Widen, detect,
};

/// Settings that reach different parts of the reader; the first byte of an input chooses.
const SETTINGS: [&str; 14] = [
    "{}",
    r#"{"strict": false}"#,
    r#"{"null_padding": true}"#,
    r#"{"max_line_size": 24}"#,
    r#"{"strict": false, "max_line_size": 40}"#,
    r#"{"delim": ", ", "escape": "\\"}"#,
    r##"{"comment": "#", "skip": 1}"##,
    r#"{"delim": ";", "quote": "'", "escape": "", "strict": false}"#,
    r#"{"thousands": ",", "decimal_separator": ".", "delim": ";"}"#,
    r#"{"dateformat": "%d %b %Y", "timestampformat": "%Y%m%d %H%M%S"}"#,
    r#"{"new_line": "\r\n", "header": true}"#,
    r#"{"columns": {"a": "INTEGER", "b": "JSON", "c": "BLOB"}, "null_padding": true}"#,
    r#"{"all_varchar": true, "normalize_names": true}"#,
    r#"{"auto_type_candidates": ["TINYINT", "DECIMAL(9,2)", "FLOAT", "DATE"], "sample_size": 2}"#,
];

/// Every type that can be declared.
const TYPES: [&str; 22] = [
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL(12,4)",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMP_S",
    "TIMESTAMP_NS",
    "TIMESTAMPTZ",
    "UUID",
    "JSON",
    "BLOB",
];

/// What a whole reading gave.
#[derive(Debug, PartialEq)]
struct Reading {
    rows: Vec<Vec<String>>,
    rejects: Vec<LineReject>,
    counts: LineCounts,
}

/// Runs every target on an input. Gives a sketch of what happened, so that inputs that do something new can be told from others.
///
/// # Panics
/// Where something that must hold does not.
pub fn check(input: &[u8]) -> u64 {
    let (first, bytes) = input.split_first().unwrap_or((&0, &[]));
    let settings = SETTINGS[usize::from(*first) % SETTINGS.len()];
    let options: CsvOptions = serde_json::from_str(settings).expect("settings of a target");
    types(bytes);
    reader(bytes, &options, usize::from(*first))
}

/// Detection of any sample, whole or cut off, and reading in every way there is, which must all give the same.
fn reader(bytes: &[u8], options: &CsvOptions, seed: usize) -> u64 {
    let cut = bytes.len() / 2;
    let partial = Sample { name: "cut.csv", bytes: &bytes[..cut], complete: false };
    let whole = Sample { name: "t.csv", bytes, complete: true };
    drop(detect(&[partial, whole], &CsvOptions { union_by_name: Some(true), ..options.clone() }));
    let Ok(detection) = detect(&[whole], options) else { return 1 };
    let mut format = detection.format;
    let reading = loop {
        match read(bytes, &format, options, usize::MAX) {
            Ok(batches) => break batches,
            Err(widen) => format.widen(&widen),
        }
    };
    let (batches, whole) = reading;
    assert_eq!(whole.counts.lines_in(), (whole.rows.len() + whole.rejects.len()) as u64);
    assert!(whole.rows.iter().all(|row| row.len() == format.columns.len()));
    for chunk in [1, 1 + seed % 13] {
        let (_, pieces) = read(bytes, &format, options, chunk).expect("no wider types than before");
        assert_eq!(whole, pieces, "in chunks of {chunk}");
    }
    if let Some(ranges) = read_ranges(bytes, &format, options, [seed % (cut + 1), cut, cut + seed % 7]) {
        assert_eq!(whole.rows, ranges.0, "in ranges");
        let places: Vec<(u64, u64)> = whole.rejects.iter().map(|reject| (reject.line, reject.byte_offset)).collect();
        assert_eq!(places, ranges.1, "in ranges");
    }
    exact(bytes, &format, options, &batches, &whole);
    sketch(&format, &whole)
}

/// Numbers are those of the text.
fn exact(bytes: &[u8], format: &TableFormat, options: &CsvOptions, batches: &[RecordBatch], whole: &Reading) {
    // A line with a detected comment mark may be a row where the first column is text.
    let marked = format.dialect.comment_detected;
    if marked || format.columns.iter().any(|column| column.declared) || options.thousands.is_some() {
        return;
    }
    let mut text = format.clone();
    for column in &mut text.columns {
        column.data_type = tapline_csv::CsvType::Varchar;
    }
    let (texts, plain) = read(bytes, &text, options, usize::MAX).expect("text has no wider type");
    assert_eq!((plain.counts, &plain.rejects), (whole.counts, &whole.rejects));
    for (typed, text) in batches.iter().zip(&texts) {
        for (typed, text) in typed.columns().iter().zip(text.columns()) {
            let text = text.as_string::<i32>();
            for row in (0..typed.len()).filter(|row| typed.is_valid(*row)) {
                let text = text.value(row).trim();
                match typed.data_type() {
                    DataType::Int64 => assert_eq!(text.parse(), Ok(typed.as_primitive::<Int64Type>().value(row))),
                    DataType::Float64 => {
                        let value = typed.as_primitive::<Float64Type>().value(row);
                        let point = options.decimal_separator.as_deref().unwrap_or(".");
                        let same =
                            text.replace(point, ".").parse::<f64>().is_ok_and(|text| text.total_cmp(&value).is_eq());
                        assert!(same || value.is_nan(), "{text} became {value}");
                    }
                    DataType::Utf8 => assert_eq!(typed.as_string::<i32>().value(row).trim(), text),
                    _ => {}
                }
            }
        }
    }
}

/// Each declared type takes a value or rejects its line.
fn types(bytes: &[u8]) {
    let value: Vec<u8> = bytes.iter().copied().filter(|byte| !b"\n\r,\"".contains(byte)).take(48).collect();
    if value.is_empty() {
        return;
    }
    let line = [b"k,v\nx,".as_slice(), &value, b"\n"].concat();
    for name in TYPES {
        let settings = format!(
            r#"{{"delim": ",", "quote": "\"", "header": true, "encoding": "utf-8", "columns": {{"k": "VARCHAR", "v": "{name}"}}}}"#
        );
        let options: CsvOptions = serde_json::from_str(&settings).expect("settings of a target");
        let sample = Sample { name: "t.csv", bytes: &line, complete: true };
        let format = detect(&[sample], &options).expect("a declared table").format;
        let (_, reading) = read(&line, &format, &options, usize::MAX).expect("declared types do not widen");
        assert_eq!(reading.rows.len() + reading.rejects.len(), 1, "{name}: {value:?}");
    }
}

fn read(
    bytes: &[u8],
    format: &TableFormat,
    options: &CsvOptions,
    chunk: usize,
) -> Result<(Vec<RecordBatch>, Reading), Widen> {
    let mut decoder = Decoder::new("t.csv", format, options).expect("a decoder");
    let (mut batches, mut rejects) = (Vec::new(), Vec::new());
    let mut done = Ok(());
    for piece in bytes.chunks(chunk.min(bytes.len().max(1))) {
        done = done.and_then(|()| decoder.push(piece));
        batches.extend(std::iter::from_fn(|| decoder.next_batch()));
        rejects.extend(decoder.take_rejects());
    }
    match done.and_then(|()| decoder.finish()) {
        Ok(()) => {}
        Err(DecodeError::Widen(widen)) => return Err(widen),
        Err(error) => panic!("{error}"),
    }
    batches.extend(std::iter::from_fn(|| decoder.next_batch()));
    rejects.extend(decoder.take_rejects());
    rejects.sort_by_key(|reject| reject.byte_offset);
    let rows = batches.iter().flat_map(rows_of).collect();
    Ok((batches, Reading { rows, rejects, counts: decoder.counts() }))
}

type Ranges = (Vec<Vec<String>>, Vec<(u64, u64)>);

/// Rows and places of rejects as ranges give them; `None` where the file cannot be read in ranges.
fn read_ranges(bytes: &[u8], format: &TableFormat, options: &CsvOptions, cuts: [usize; 3]) -> Option<Ranges> {
    let mut bounds: Vec<u64> =
        cuts.into_iter().chain([0, bytes.len()]).map(|cut| cut.min(bytes.len()) as u64).collect();
    bounds.sort_unstable();
    bounds.dedup();
    let (mut rows, mut rejects, mut seam) = (Vec::new(), Vec::new(), Seam::default());
    for pair in bounds.windows(2) {
        let range = pair[0]..pair[1];
        let read = |start: u64, exact: bool| -> Option<(Decoder, Result<(), DecodeError>)> {
            let decoder = Decoder::new("t.csv", format, options).expect("a decoder");
            let range = start..pair[1];
            let limited = if exact { decoder.with_exact_range(bytes, range) } else { decoder.with_range(bytes, range) };
            let mut decoder = limited.ok()?;
            let outcome = decoder.push(&bytes[usize::try_from(start).ok()?..]).and_then(|()| decoder.finish());
            Some((decoder, outcome))
        };
        let (mut decoder, mut outcome) = read(range.start, false)?;
        match seam.fit(&range, &decoder) {
            Fit::Covered => continue,
            Fit::Sound => {}
            Fit::From(offset) => (decoder, outcome) = read(offset, true)?,
        }
        outcome.expect("the types of the whole file");
        rows.extend(std::iter::from_fn(|| decoder.next_batch()).flat_map(|batch| rows_of(&batch)));
        let found = decoder.take_rejects();
        rejects.extend(found.into_iter().map(|reject| (reject.line + seam.lines(), reject.byte_offset)));
        seam.join(&decoder);
    }
    rejects.sort_by_key(|(_, offset)| *offset);
    Some((rows, rejects))
}

fn rows_of(batch: &RecordBatch) -> Vec<Vec<String>> {
    let shown = FormatOptions::new().with_null("∅").with_display_error(true);
    let columns: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &shown).expect("a printable type"))
        .collect();
    (0..batch.num_rows()).map(|row| columns.iter().map(|column| column.value(row).to_string()).collect()).collect()
}

/// A number for the kind of thing that happened, not for its size.
fn sketch(format: &TableFormat, reading: &Reading) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    let dialect = &format.dialect;
    (dialect.delimiter.as_str(), dialect.quote, dialect.escape, dialect.header, dialect.encoding.as_str())
        .hash(&mut hasher);
    (dialect.comment.is_some(), dialect.comment_inline, dialect.skip.min(3), dialect.spaced).hash(&mut hasher);
    format.columns.iter().take(4).for_each(|column| column.data_type.hash(&mut hasher));
    let mut codes: Vec<&str> = reading.rejects.iter().map(|reject| reject.code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    codes.hash(&mut hasher);
    let counts = reading.counts;
    [counts.blank, counts.comments, counts.padded, counts.trimmed, counts.rows]
        .map(|count| count.min(2))
        .hash(&mut hasher);
    hasher.finish()
}

/// A source of inputs: it changes and mixes those that did something new.
pub struct Mutator {
    state: u64,
    pub corpus: Vec<Vec<u8>>,
}

/// What CSV is made of, and what it should not be made of.
const PARTS: [&[u8]; 44] = [
    b",",
    b";",
    b"\t",
    b"|",
    b", ",
    b"||",
    b":",
    b" ",
    b"\"",
    b"\"\"",
    b"'",
    b"\\",
    b"\\\"",
    b"\n",
    b"\r\n",
    b"\r",
    b"\n\n",
    b"#",
    b"# note\n",
    b"\0",
    b"\xFF",
    b"\xEF\xBB\xBF",
    b"\xFF\xFE",
    b"\xC3",
    "ü".as_bytes(),
    "🦆".as_bytes(),
    b"0",
    b"007",
    b"-1",
    b"+3",
    b"1.50",
    b"1e308",
    b"9223372036854775808",
    b"0.1234567890123456789",
    b"1,234.5",
    b"true",
    b"nan",
    b"2024-02-29",
    b"31/12/2024",
    b"12:30:00.5",
    b"2024-01-01T00:00:00Z",
    b"{\"a\": [1]}",
    b"\\xFF",
    b"a,b,c\n1,2,3\n",
];

impl Mutator {
    pub fn new(seed: u64, corpus: Vec<Vec<u8>>) -> Mutator {
        Mutator { state: seed, corpus }
    }

    fn below(&mut self, bound: usize) -> usize {
        // SplitMix64, see <https://prng.di.unimi.it/splitmix64.c>.
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
    }

    /// The next input, of at most about a thousand bytes.
    pub fn next(&mut self) -> Vec<u8> {
        let chosen = self.below(self.corpus.len());
        let mut input = self.corpus.get(chosen).cloned().unwrap_or_default();
        for _ in 0..=self.below(6) {
            let at = self.below(input.len() + 1);
            let end = (at + self.below(24)).min(input.len());
            match self.below(7) {
                0 => drop(input.drain(at..end)),
                1 => {
                    let copied = input[at..end].to_vec();
                    let times = 1 + self.below(12);
                    drop(input.splice(at..at, copied.repeat(times)));
                }
                2 if at < input.len() => input[at] = self.below(256) as u8,
                3 => {
                    let other = self.below(self.corpus.len());
                    let other = self.corpus.get(other).cloned().unwrap_or_default();
                    let from = self.below(other.len() + 1);
                    input.truncate(at);
                    input.extend_from_slice(&other[from..]);
                }
                _ => {
                    let part = PARTS[self.below(PARTS.len())];
                    let times = 1 + self.below(3);
                    drop(input.splice(at..at, part.repeat(times)));
                }
            }
        }
        input.truncate(1000);
        input
    }
}
