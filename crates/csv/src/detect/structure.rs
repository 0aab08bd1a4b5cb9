//! Where a table begins in its files: preamble, header, number of columns.
//! The dialect is known by now; types are inferred afterwards.
//! Called by `detect` for the first sample that holds anything; the others are laid out like it.

use crate::dialect::{Dialect, column_names};
use crate::options::CsvOptions;
use crate::scanner::{RecordKind, Syntax};

use super::Text;
use super::infer::{Evidence, Rules};
use super::parsed::{Line, Parsed};

/// The shape of a table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Structure {
    /// Fields per row.
    pub width: usize,
    /// Column names as they come from the header, or `column0`, ….
    pub names: Vec<String>,
}

/// Header and rows of a sample.
pub(crate) struct Body<'p> {
    pub header: Option<Line>,
    pub rows: Vec<&'p Line>,
}

/// Splits a sample into header and rows. A line with a detected comment mark can be the header if the table's names say so.
pub(crate) fn body<'p>(parsed: &'p Parsed<'_>, dialect: &Dialect, names: &[String]) -> Body<'p> {
    let marked_header = dialect.marks_header(names.iter().map(String::as_str));
    let mut records = parsed
        .records
        .iter()
        .filter(|line| line.line >= dialect.skip && !matches!(line.kind, RecordKind::Blank | RecordKind::Comment))
        .peekable();
    let mut header = None;
    if dialect.header {
        for line in records.by_ref() {
            let marked = dialect.comment_detected
                && dialect.comment.as_ref().is_some_and(|mark| parsed.data[line.start..].starts_with(mark.as_bytes()));
            if !marked || marked_header {
                header = Some(*line);
                break;
            }
        }
    }
    Body { header, rows: records.filter(|line| line.kind == RecordKind::Fields).collect() }
}

/// The header's cells, filled up to the table's width and without blank ones beyond it.
pub(crate) fn header_cells(parsed: &Parsed<'_>, header: &Line, width: usize) -> Vec<String> {
    let mut scratch = Vec::new();
    let mut cells: Vec<String> = parsed
        .fields(header)
        .iter()
        .map(|field| String::from_utf8_lossy(parsed.text(*field, &mut scratch)).into_owned())
        .collect();
    while cells.len() > width && cells.last().is_some_and(|cell| cell.trim().is_empty()) {
        cells.pop();
    }
    while cells.len() < width {
        cells.push(String::new());
    }
    cells
}

/// Finds preamble, header and width in the first sample that holds a record, and notes them in the dialect.
pub(crate) fn find(
    texts: &[Text<'_>],
    dialect: &mut Dialect,
    options: &CsvOptions,
    rules: &Rules,
    rows: usize,
    reasons: &mut Vec<String>,
) -> Structure {
    dialect.skip = options.skip.unwrap_or(0);
    for text in texts {
        let syntax = Syntax::new(dialect, 0, options.is_strict());
        let parsed = Parsed::new(&text.bytes, &syntax, text.complete, rows);
        let records: Vec<&Line> = parsed
            .records
            .iter()
            .filter(|line| line.line >= dialect.skip && !matches!(line.kind, RecordKind::Blank | RecordKind::Comment))
            .collect();
        if records.iter().any(|line| line.kind == RecordKind::Fields) {
            return Finder { parsed: &parsed, options, rules }.find(&records, dialect, reasons);
        }
    }
    dialect.header = options.header.unwrap_or(false);
    let names = options.names.clone().unwrap_or_else(|| vec!["column0".to_owned()]);
    reasons.push("no rows to look at".to_owned());
    Structure { width: names.len(), names }
}

/// One sample and the settings.
struct Finder<'a> {
    parsed: &'a Parsed<'a>,
    options: &'a CsvOptions,
    rules: &'a Rules,
}

impl Finder<'_> {
    fn find(&self, records: &[&Line], dialect: &mut Dialect, reasons: &mut Vec<String>) -> Structure {
        let (parsed, options) = (self.parsed, self.options);
        let width = options.columns.as_ref().map_or_else(|| self.usual_width(records), |columns| columns.0.len());
        let guessing = options.auto_detect != Some(false);
        let first = if options.skip.is_some() || !guessing { 0 } else { self.preamble_length(records, width) };
        if first > 0 {
            dialect.skip = records[first].line;
            reasons.push(format!("skips {} lines above the table: they are not rows of {width} fields", dialect.skip));
        }
        let records = &records[first..];
        let (mut header, mut why) = match options.header {
            Some(header) => (header, "set".to_owned()),
            None if !guessing => (false, "auto_detect is off".to_owned()),
            None => self.has_header(records, width),
        };
        let mut names_line = records.first().map(|line| (parsed, **line)).filter(|_| header);
        let syntax = Syntax::new(dialect, width, options.is_strict());
        let marked = Parsed::new(parsed.data, &syntax, true, records.first().map_or(0, |line| line.line as usize));
        if !header && dialect.comment_detected && options.header.is_none() {
            // `#id,name` above rows without a header of their own.
            let above = marked.records.iter().rfind(|line| {
                line.kind == RecordKind::Fields && records.first().is_some_and(|first| line.end <= first.start)
            });
            if let Some(line) = above {
                (header, why) = (true, "the comment line above the rows has their fields".to_owned());
                dialect.skip = line.line;
                names_line = Some((&marked, *line));
            }
        }
        dialect.header = header;
        reasons.push(format!("{}: {why}", if header { "header" } else { "no header" }));
        let cells = match names_line {
            Some((parsed, line)) if line.kind == RecordKind::Fields => header_cells(parsed, &line, width),
            _ => vec![String::new(); width],
        };
        Structure { width, names: column_names(cells) }
    }

    /// The number of fields that most rows have; empty fields at the end count where most rows have them.
    fn usual_width(&self, records: &[&Line]) -> usize {
        let rows = || records.iter().filter(|line| line.kind == RecordKind::Fields);
        if self.options.null_padding == Some(true) {
            return rows().map(|line| self.parsed.filled_width(line)).max().unwrap_or(1).max(1);
        }
        // A row fits every width between its last filled cell and its last cell. Of equally usual widths the widest loses nothing.
        let widest = rows().map(|line| line.width).max().unwrap_or(1);
        let mut steps = vec![0_i64; widest + 2];
        for line in rows() {
            steps[self.parsed.filled_width(line).max(1)] += 1;
            steps[line.width + 1] -= 1;
        }
        let (mut fitting, mut best) = (0, (0, 1));
        for (width, step) in steps.iter().enumerate().skip(1).take(widest) {
            fitting += step;
            best = best.max((fitting, width));
        }
        best.1
    }

    /// How many leading records are not part of the table: titles, notes and empty rows above it.
    fn preamble_length(&self, records: &[&Line], width: usize) -> usize {
        if width == 1 || self.options.null_padding == Some(true) {
            return 0;
        }
        let parsed = self.parsed;
        let belongs = |line: &Line| {
            line.kind == RecordKind::Fields
                && (line.width == width || (line.width > width && parsed.filled_width(line) <= width))
        };
        let mut first = records.iter().position(|line| belongs(line)).unwrap_or(0);
        // A title or an empty row can have the table's width when a spreadsheet wrote it; then nearly all of its cells are empty.
        if width > 2 {
            let sparse = |line: &Line| parsed.filled_cells(line) <= 1;
            let leading = records[first..].iter().take_while(|line| !belongs(line) || sparse(line)).count();
            let next_is_full = records.get(first + leading).is_some_and(|line| parsed.filled_cells(line) * 2 > width);
            if leading > 0 && next_is_full {
                first += leading;
            }
        }
        // What is skipped is no row; where that is a good part of the file, the width was guessed wrong.
        if first * 2 > records.len() { 0 } else { first }
    }

    /// Whether the first record names the columns: it does unless it fits the types of the rows below.
    fn has_header(&self, records: &[&Line], width: usize) -> (bool, String) {
        let (parsed, rules) = (self.parsed, self.rules);
        let Some((first, rest)) = records.split_first() else { return (false, "no rows to look at".to_owned()) };
        if first.kind != RecordKind::Fields {
            return (true, "the first line cannot be read as a row".to_owned());
        }
        let mut evidence = vec![Evidence::default(); width];
        let mut scratch = Vec::new();
        for line in rest.iter().filter(|line| line.kind == RecordKind::Fields && line.width >= width) {
            for (evidence, field) in evidence.iter_mut().zip(parsed.fields(line)) {
                evidence.add(parsed.text(*field, &mut scratch), field.kind, rules);
            }
        }
        let fields = parsed.fields(first);
        if fields.iter().all(|field| field.is_blank()) {
            return (false, "the first line is empty".to_owned());
        }
        let text_of_first =
            |column: usize| fields.get(column).map(|field| (*field, parsed.text(*field, &mut Vec::new()).to_vec()));
        if rest.is_empty() {
            // A lone line of nothing but text is a header without rows.
            let typed = (0..fields.len()).filter_map(text_of_first).any(|(field, text)| {
                let mut alone = Evidence::default();
                alone.add(&text, field.kind, rules);
                alone.is_typed(rules) || alone.is_empty()
            });
            return if typed {
                (false, "the only line holds values".to_owned())
            } else {
                (true, "the only line holds text".to_owned())
            };
        }
        // A column without values fits NULL only: a name above it is a name.
        let fits = |column: &usize| match text_of_first(*column) {
            None => true,
            Some((field, text)) if evidence[*column].is_empty() => rules.nulls.is_null(&text, field.kind),
            Some((field, text)) => evidence[*column].would_accept(&text, field.kind, rules),
        };
        let telling: Vec<usize> =
            (0..width).filter(|column| evidence[*column].is_empty() || evidence[*column].is_typed(rules)).collect();
        if telling.is_empty() {
            return (true, "all columns are text".to_owned());
        }
        let misfit = telling.iter().find(|column| !fits(column));
        match misfit {
            Some(column) => (true, format!("the first line's value in column {} is not like those below", column + 1)),
            None => (false, "the first line is like those below".to_owned()),
        }
    }
}
