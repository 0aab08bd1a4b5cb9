//! Which delimiter, quote, escape and comment mark a table's files use.
//! Candidates are tried on the samples; the one under which the text looks most like a table of clean cells wins.
//! Called by `detect` once the samples are UTF-8.

use std::collections::{BTreeMap, HashMap};

use crate::dialect::{Dialect, Newline};
use crate::options::CsvOptions;
use crate::scanner::{FieldKind, RecordKind, Syntax};

use super::Text;
use super::cells::{cleanliness, is_value};
use super::parsed::{Parsed, behind_lines};

/// Bytes of each sample that candidates are tried on.
const PROBE_BYTES: usize = 128 * 1024;
/// Records of each sample that candidates are tried on.
const PROBE_RECORDS: usize = 1_000;
/// Samples that candidates are tried on.
const PROBE_SAMPLES: usize = 8;
/// Delimiters that are tried wherever they occur, by how usual they are.
const USUAL: [char; 5] = [',', ';', '\t', '|', ':'];
/// What a table of one column is worth; a delimiter has to make a better table.
const ONE_COLUMN: f64 = 0.25;
/// How regular records count at least where short ones are filled up.
const PADDED: f64 = 0.65;

/// Chooses a dialect; preamble and header are found later.
pub(crate) fn choose_dialect(
    texts: &[Text<'_>],
    options: &CsvOptions,
    encoding: String,
    reasons: &mut Vec<String>,
) -> Dialect {
    let probes: Vec<Probe<'_>> = texts
        .iter()
        .filter(|text| !text.bytes.trim_ascii().is_empty())
        .take(PROBE_SAMPLES)
        .map(|text| Probe::new(text, options.skip.unwrap_or(0)))
        .collect();
    let character = |text: &Option<String>| text.as_ref().map(|text| text.chars().next());
    let given_quote = character(&options.quote);
    let given_escape = character(&options.escape);
    let guessing = options.auto_detect != Some(false) && !probes.is_empty();
    let delimiters = match &options.delim {
        Some(delimiter) => vec![Delimiter::given(delimiter)],
        None if guessing => delimiters(&probes),
        None => vec![Delimiter::given(",")],
    };
    let quotes = match given_quote {
        Some(quote) => vec![quote],
        None if guessing => quotes(&probes, given_escape),
        None => vec![Some('"')],
    };
    let comment = match &options.comment {
        Some(comment) => Some(comment.clone()).filter(|comment| !comment.is_empty()),
        None if guessing => probes.iter().any(|probe| probe.has_comment_lines()).then(|| "#".to_owned()),
        None => None,
    };
    let comment_detected = options.comment.is_none() && comment.is_some();
    let mut candidates = Vec::new();
    for delimiter in &delimiters {
        for quote in &quotes {
            let escapes = match given_escape {
                Some(escape) => vec![escape],
                None if guessing
                    && quote.is_some()
                    && probes.iter().any(|probe| probe.has_backslash_before(*quote)) =>
                {
                    vec![*quote, Some('\\')]
                }
                None => vec![*quote],
            };
            let comment = comment.clone().filter(|comment| !comment_detected || *comment != delimiter.text);
            let inline = match &comment {
                None => vec![false],
                Some(_) if comment_detected => vec![false, true],
                Some(_) => vec![true],
            };
            for (escape, comment_inline) in
                escapes.iter().flat_map(|escape| inline.iter().map(move |inline| (*escape, *inline)))
            {
                let dialect = Dialect {
                    delimiter: delimiter.text.clone(),
                    spaced: delimiter.spaced,
                    quote: *quote,
                    escape,
                    newline: probes.first().map_or(Newline::Lf, Probe::newline),
                    comment_inline,
                    comment_detected: comment_detected && comment.is_some(),
                    comment: comment.clone(),
                    skip: 0,
                    header: false,
                    header_lines: 1,
                    header_marked: false,
                    encoding: encoding.clone(),
                };
                let score =
                    probes.iter().map(|probe| probe.score(&dialect, options) * delimiter.prior(probe)).sum::<f64>();
                candidates.push((score, dialect));
            }
        }
    }
    // The first of equally good candidates wins; there is at least one delimiter and one quote.
    let best = candidates.into_iter().reduce(|best, next| if next.0 > best.0 + 1e-9 { next } else { best });
    let (_, mut dialect) = best.expect("a candidate was tried");
    if guessing && given_quote.is_none() && dialect.quote.is_some() && quotes_are_text(texts, &dialect, options) {
        (dialect.quote, dialect.escape) = (None, None);
    }
    explain(&dialect, options, reasons);
    dialect
}

fn explain(dialect: &Dialect, options: &CsvOptions, reasons: &mut Vec<String>) {
    let how = if options.delim.is_some() { "set" } else { "makes the most regular table" };
    reasons.push(format!("delimiter {:?}: {how}", dialect.delimiter));
    if dialect.spaced {
        reasons.push("the space behind every delimiter is part of it".to_owned());
    }
    match dialect.quote {
        Some(quote) => reasons
            .push(format!("quote {quote:?}: {}", if options.quote.is_some() { "set" } else { "fits the sample" })),
        None => reasons.push("nothing is quoted".to_owned()),
    }
    if let Some(escape) = dialect.escape.filter(|escape| Some(*escape) != dialect.quote) {
        reasons.push(format!(
            "escape {escape:?}: {}",
            if options.escape.is_some() { "set" } else { "stands before quotes inside fields" }
        ));
    }
    if let Some(comment) = &dialect.comment {
        let how = if dialect.comment_detected { "lines that begin with it are not rows" } else { "set" };
        reasons.push(format!("comment {comment:?}: {how}"));
    }
}

/// The part of a sample that candidates are tried on.
struct Probe<'a> {
    bytes: &'a [u8],
    complete: bool,
}

impl<'a> Probe<'a> {
    /// The start of a sample behind the lines that are to be skipped.
    fn new(text: &'a Text<'_>, skip: u64) -> Probe<'a> {
        let bytes = behind_lines(&text.bytes, skip);
        let cut = bytes.len().min(PROBE_BYTES);
        Probe { bytes: &bytes[..cut], complete: text.complete && cut == bytes.len() }
    }

    fn lines(&self) -> impl Iterator<Item = &'a [u8]> {
        self.bytes.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty())
    }

    fn newline(&self) -> Newline {
        match memchr::memchr2(b'\n', b'\r', self.bytes) {
            Some(end) if self.bytes[end] == b'\r' && self.bytes.get(end + 1) == Some(&b'\n') => Newline::Crlf,
            Some(end) if self.bytes[end] == b'\r' => Newline::Cr,
            _ => Newline::Lf,
        }
    }

    fn contains(&self, character: char) -> bool {
        memchr::memmem::find(self.bytes, character.to_string().as_bytes()).is_some()
    }

    fn has_comment_lines(&self) -> bool {
        self.lines().any(|line| line.starts_with(b"#"))
    }

    /// The share of colons that stand between digits, as in times of day.
    fn colons_in_times(&self) -> f64 {
        let all = memchr::memchr_iter(b':', self.bytes).count();
        let between = self
            .bytes
            .array_windows()
            .filter(|[before, colon, after]| *colon == b':' && before.is_ascii_digit() && after.is_ascii_digit())
            .count();
        if all == 0 { 0.0 } else { between as f64 / all as f64 }
    }

    /// Every apostrophe stands behind a backslash, as where apostrophes quote.
    fn apostrophes_are_escaped(&self) -> bool {
        let all = memchr::memchr_iter(b'\'', self.bytes).count();
        let escaped = self.bytes.array_windows().filter(|pair| **pair == *b"\\'").count();
        all == escaped
    }

    fn has_backslash_before(&self, quote: Option<char>) -> bool {
        let Some(quote) = quote.and_then(|quote| u8::try_from(quote).ok()) else { return false };
        self.bytes.array_windows().any(|pair| *pair == [b'\\', quote])
    }

    /// How much the sample looks like a table under a dialect, from 0 to about 1.
    fn score(&self, dialect: &Dialect, options: &CsvOptions) -> f64 {
        Tally::new(self, dialect, options, PROBE_RECORDS).score(dialect)
    }
}

/// How many fields records have. A record fits every width between its last filled cell and its last cell.
#[derive(Default)]
struct Widths {
    /// Where records begin and cease to fit, as the difference from one width to the next.
    steps: BTreeMap<usize, i64>,
}

impl Widths {
    fn add(&mut self, filled: usize, width: usize) {
        *self.steps.entry(filled.max(1)).or_default() += 1;
        *self.steps.entry(width + 1).or_default() -= 1;
    }

    /// How many records fit a width.
    fn fitting(&self, width: usize) -> usize {
        usize::try_from(self.steps.range(..=width).map(|(_, step)| step).sum::<i64>()).unwrap_or(0)
    }

    /// The width that most records fit, the widest of equals, and how many fit it.
    fn usual(&self) -> (usize, usize) {
        let (mut fitting, mut best) = (0, (0, 1));
        let mut steps = self.steps.iter().peekable();
        while let Some((_, step)) = steps.next() {
            fitting += step;
            if let Some((next, _)) = steps.peek() {
                best = best.max((fitting, *next - 1));
            }
        }
        (best.1, usize::try_from(best.0).unwrap_or(0))
    }
}

/// What a sample consists of under one dialect.
#[derive(Default)]
struct Tally {
    records: usize,
    /// Records with a misplaced or unclosed quote.
    broken: usize,
    /// How many records have the most frequent number of fields, and that number.
    regular: usize,
    width: usize,
    /// The width is declared.
    declared: bool,
    /// Short records are filled up.
    padded: bool,
    /// How many records have as many fields as the one before.
    steady: usize,
    /// Cells that hold something; those of them that are numbers, dates or times; those in quotes.
    cells: usize,
    values: usize,
    quoted: usize,
    /// Sum of the cells' cleanliness.
    clean: f64,
    /// The file ends soon after a quote that opens and does not close.
    torn: bool,
    /// A quote opens and does not close for the greater part of the sample.
    swallowed: bool,
}

impl Tally {
    fn new(probe: &Probe<'_>, dialect: &Dialect, options: &CsvOptions, limit: usize) -> Tally {
        let syntax = Syntax::new(dialect, 0, options);
        let parsed = Parsed::new(probe.bytes, &syntax, probe.complete, 0, limit);
        let read = parsed.records.last().map_or(0, |last| last.end);
        let mut tally = Tally {
            swallowed: parsed.records.len() < limit && read < probe.bytes.len() / 2,
            width: 1,
            declared: options.columns.is_some(),
            padded: options.null_padding == Some(true),
            ..Tally::default()
        };
        let mut widths = Widths::default();
        let (mut scratch, mut before) = (Vec::new(), 0);
        for line in &parsed.records {
            match line.kind {
                RecordKind::Blank | RecordKind::Comment => continue,
                RecordKind::Unclosed if (line.end - line.start) * 10 < probe.bytes.len() => {
                    tally.torn = true;
                    continue;
                }
                RecordKind::Malformed | RecordKind::Unclosed | RecordKind::TooLong => tally.broken += 1,
                RecordKind::Fields if parsed.filled_cells(line) == 0 && line.width == 1 => continue,
                RecordKind::Fields => widths.add(parsed.filled_width(line), line.width),
            }
            tally.steady += usize::from(line.kind == RecordKind::Fields && line.width == before);
            before = line.width;
            tally.records += 1;
            for field in parsed.fields(line) {
                let text = parsed.text(*field, &mut scratch);
                if text.trim_ascii().is_empty() {
                    continue;
                }
                let quoted = field.kind != FieldKind::Plain;
                tally.cells += 1;
                tally.quoted += usize::from(quoted);
                tally.values += usize::from(is_value(text));
                tally.clean += if quoted { cleanliness(text).max(0.8) } else { cleanliness(text) };
            }
        }
        (tally.width, tally.regular) = match &options.columns {
            Some(columns) => (columns.0.len(), widths.fitting(columns.0.len())),
            None => widths.usual(),
        };
        tally
    }

    fn score(&self, dialect: &Dialect) -> f64 {
        if self.swallowed || self.records == 0 {
            return 0.0;
        }
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        // One table below another has another width, but is as steady.
        let whole = self.records - self.broken;
        let steadiness = if self.declared { 0.0 } else { 0.9 * share(self.steady, whole) };
        let regularity = share(self.regular, whole).max(steadiness).max(if self.padded { PADDED } else { 0.0 });
        let soundness = (1.0 - share(self.broken, self.records)).powi(2);
        let cleanliness = self.clean / self.cells.max(1) as f64;
        // Quotes that were found as such speak for a quote character, quotes that are taken for text against that.
        let quoting = match dialect.quote {
            None => 0.7,
            Some(_) if self.quoted > 0 => 1.02,
            Some(_) => 1.0,
        };
        if self.width == 1 {
            // Whole lines in quotes were put there by someone who meant them as one field.
            let alone = ONE_COLUMN + 0.15 * share(self.quoted, self.cells);
            return alone * regularity * soundness * quoting * (0.5 + 0.5 * cleanliness);
        }
        let spread = (self.width - 1) as f64 / self.width as f64;
        // Words with a space between them are text; numbers in columns may be a table.
        let spaces = if dialect.delimiter == " " { share(self.values, self.cells) } else { 1.0 };
        regularity * regularity * soundness * spread.sqrt() * quoting * spaces * (0.2 + 0.8 * cleanliness)
    }
}

/// Whether the quotes of a file are text: read as quotes they spoil lines, hardly any of them makes sense, and without them every line is a row.
fn quotes_are_text(texts: &[Text<'_>], dialect: &Dialect, options: &CsvOptions) -> bool {
    let unquoted = Dialect { quote: None, escape: None, ..dialect.clone() };
    let (mut broken, mut quoted, mut irregular) = (0, 0, 0);
    for text in texts.iter().take(PROBE_SAMPLES) {
        let probe = Probe { bytes: behind_lines(&text.bytes, options.skip.unwrap_or(0)), complete: text.complete };
        let with = Tally::new(&probe, dialect, options, usize::MAX);
        if with.broken == 0 && !with.swallowed && !with.torn {
            continue;
        }
        let without = Tally::new(&probe, &unquoted, options, usize::MAX);
        broken += with.broken + usize::from(with.swallowed || with.torn);
        quoted += with.quoted;
        irregular += without.records - without.regular;
    }
    broken > 0 && quoted <= 50 * broken && irregular == 0
}

/// A delimiter worth trying.
struct Delimiter {
    text: String,
    /// A space follows it everywhere.
    spaced: bool,
}

impl Delimiter {
    fn given(text: &str) -> Delimiter {
        Delimiter { text: text.to_owned(), spaced: false }
    }

    /// How likely this delimiter is before looking at the table it makes, between 0 and 1.
    fn prior(&self, probe: &Probe<'_>) -> f64 {
        match self.text.as_str() {
            "," | ";" | "\t" | "|" => 1.0,
            ":" => 0.5 * (1.0 - probe.colons_in_times()),
            " " => 0.45,
            _ => 0.6,
        }
    }
}

/// The delimiters worth trying.
fn delimiters(probes: &[Probe<'_>]) -> Vec<Delimiter> {
    let mut lines = 0_usize;
    let mut tally: HashMap<char, usize> = HashMap::new();
    for line in probes.iter().flat_map(|probe| probe.lines().take(200)) {
        lines += 1;
        let line = String::from_utf8_lossy(line);
        let mut seen: Vec<char> = line.chars().filter(|character| may_delimit(*character)).collect();
        seen.sort_unstable();
        seen.dedup();
        for character in seen {
            *tally.entry(character).or_default() += 1;
        }
    }
    let mut found: Vec<char> = USUAL.into_iter().filter(|usual| tally.contains_key(usual)).collect();
    let mut unusual: Vec<(usize, char)> = tally
        .iter()
        .map(|(character, count)| (*character, *count))
        .filter(|(character, count)| *count > 1 && *count * 2 > lines && !USUAL.contains(character))
        .map(|(character, count)| (count, character))
        .collect();
    unusual.sort_unstable_by(|left, right| right.cmp(left));
    found.extend(unusual.into_iter().map(|(_, character)| character));
    // A delimiter that does not occur makes a table of one column.
    let absent = [',', ';', '\t', '|', '\u{1f}']
        .into_iter()
        .find(|unused| !tally.contains_key(unused) && !probes.iter().any(|probe| probe.contains(*unused)));
    found.extend(absent);
    found
        .into_iter()
        .map(|single| {
            let doubled = format!("{single}{single}");
            if replaces_single(&doubled, probes) {
                return Delimiter { text: doubled, spaced: false };
            }
            Delimiter {
                text: single.to_string(),
                spaced: single != ' ' && replaces_single(&format!("{single} "), probes),
            }
        })
        .collect()
}

fn may_delimit(character: char) -> bool {
    match character {
        '"' | '\'' | '\\' | '.' | '_' | '-' | '+' | '/' | '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '%' | '$'
        | '@' | '?' | '!' | '\r' | '\n' | '\0' => false,
        _ if character.is_ascii() => !character.is_ascii_alphanumeric(),
        '¦' | '§' | '¬' | '¤' | '•' | '·' | '→' | '\u{80}'..='\u{9f}' => true,
        _ => false,
    }
}

/// Whether a delimiter of several characters stands wherever its first character does, text in double quotes and line ends aside.
fn replaces_single(longer: &str, probes: &[Probe<'_>]) -> bool {
    let first = longer.as_bytes()[0];
    let (mut whole, mut partial) = (0_usize, 0_usize);
    for line in probes.iter().flat_map(|probe| probe.lines().take(200)) {
        let (mut position, mut in_quotes) = (0, false);
        while position < line.len() {
            let byte = line[position];
            if byte == b'"' {
                in_quotes = !in_quotes;
            } else if byte == first && !in_quotes {
                if line[position..].starts_with(longer.as_bytes()) {
                    whole += 1;
                    position += longer.len() - 1;
                } else if position + 1 < line.len() {
                    partial += 1;
                }
            }
            position += 1;
        }
    }
    whole > 1 && partial == 0
}

/// The quotes worth trying, the usual one first.
fn quotes(probes: &[Probe<'_>], escape: Option<Option<char>>) -> Vec<Option<char>> {
    let occurs = |quote: u8| probes.iter().any(|probe| memchr::memchr(quote, probe.bytes).is_some());
    if occurs(b'\'') && !occurs(b'"') && probes.iter().all(Probe::apostrophes_are_escaped) {
        return vec![Some('\'')];
    }
    let mut found = vec![Some('"')];
    if occurs(b'\'') {
        found.push(Some('\''));
    }
    if occurs(b'"') && escape.is_none() {
        found.push(None);
    }
    found
}
