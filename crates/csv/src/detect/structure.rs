//! Where a table begins in its files: preamble, header, number of columns.
//! The dialect is known by now; types are inferred afterwards.
//! Called by `detect` for the first sample that holds anything; the others are laid out like it.

use crate::columns::ColumnReader;
use crate::dialect::{CsvColumn, Dialect};
use crate::names::{column_names, joined_header};
use crate::options::CsvOptions;
use crate::scanner::{RecordKind, Syntax};
use crate::types::CsvType;

use super::Text;
use super::cells::is_value;
use super::infer::{Evidence, Rules};
use super::parsed::{Line, Parsed};

/// The shape of a table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Structure {
    /// Fields per row.
    pub width: usize,
    /// Column names as they come from the header, or `column0`, ….
    pub names: Vec<String>,
    /// The first line has one field and the table has more.
    pub title_first: bool,
}

/// Header and rows of a sample.
pub(crate) struct Body<'p> {
    /// The lines that name the columns together; none where there is no header.
    pub header: Vec<Line>,
    pub rows: Vec<&'p Line>,
}

/// Splits a sample into header and rows.
pub(crate) fn body<'p>(parsed: &'p Parsed<'_>, dialect: &Dialect) -> Body<'p> {
    let mut records =
        parsed.records.iter().filter(|line| !matches!(line.kind, RecordKind::Blank | RecordKind::Comment));
    let mut header = Vec::new();
    while dialect.header && (header.len() as u64) < dialect.header_lines {
        let Some(line) = records.next() else { break };
        let marked = dialect.comment_detected
            && dialect.comment.as_ref().is_some_and(|mark| parsed.data[line.start..].starts_with(mark.as_bytes()));
        if !marked || dialect.header_marked {
            header.push(*line);
        }
    }
    Body { header, rows: records.filter(|line| line.kind == RecordKind::Fields).collect() }
}

/// The header's cells, filled up to the table's width and without blank ones beyond it.
pub(crate) fn header_cells(parsed: &Parsed<'_>, header: &[Line], width: usize) -> Vec<String> {
    let mut scratch = Vec::new();
    let mut texts = |line: &Line| -> Vec<String> {
        let fields = parsed.fields(line).iter();
        fields.map(|field| String::from_utf8_lossy(parsed.text(*field, &mut scratch)).into_owned()).collect()
    };
    let mut cells = joined_header(header.iter().map(&mut texts).collect());
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
        let syntax = Syntax::new(dialect, 0, options);
        let parsed = Parsed::new(&text.bytes, &syntax, text.complete, dialect.skip, rows);
        let records: Vec<&Line> = parsed
            .records
            .iter()
            .filter(|line| !matches!(line.kind, RecordKind::Blank | RecordKind::Comment))
            .collect();
        if records.iter().any(|line| line.kind == RecordKind::Fields) {
            return Finder { parsed: &parsed, options, rules }.find(&records, dialect, reasons);
        }
    }
    dialect.header = options.header.unwrap_or(false);
    let names = options.names.clone().unwrap_or_else(|| vec!["column0".to_owned()]);
    reasons.push("no rows to look at".to_owned());
    Structure { width: names.len(), names, title_first: false }
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
        let mut width = options.columns.as_ref().map_or_else(|| self.usual_width(records), |columns| columns.0.len());
        if let (Some(names), Some(true)) = (&options.names, options.null_padding) {
            width = width.max(names.len());
        }
        let guessing = options.auto_detect != Some(false);
        let mut first = if options.skip.is_some() || !guessing { 0 } else { self.preamble_length(records, width) };
        let decide = |first: usize| match options.header {
            Some(header) => (header, "set".to_owned()),
            None if !guessing => (false, "auto_detect is off".to_owned()),
            None => self.fits_declared(records[first]).unwrap_or_else(|| self.has_header(&records[first..], width)),
        };
        let (mut header, mut why) = decide(first);
        if !header && first > 0 {
            // Without a header, lines of several fields that do not fit the rows below are rows that do not fit, not a title.
            first =
                records[..first].iter().take_while(|line| line.width == 1 && line.kind == RecordKind::Fields).count();
            (header, why) = decide(first);
        }
        if first > 0 {
            dialect.skip = records[first].line;
        }
        if header {
            // Never guessed: what looks like a second line of names may be a row.
            dialect.header_lines = options.header_lines.unwrap_or(1);
        }
        let mut cells = match records[first..].first() {
            Some(line) if header && line.kind == RecordKind::Fields => {
                let lines: Vec<Line> =
                    records[first..].iter().take(dialect.header_lines as usize).map(|line| **line).collect();
                header_cells(parsed, &lines, width)
            }
            _ => vec![String::new(); width],
        };
        if !header && dialect.comment_detected && options.header.is_none() {
            // `#id,name` above rows without a header of their own.
            let syntax = Syntax::new(dialect, width, options);
            let skip = options.skip.unwrap_or(0);
            let above = records.first().map_or(0, |line| line.line.saturating_sub(skip) as usize);
            let marked = Parsed::new(parsed.data, &syntax, true, skip, above);
            if let Some(line) = marked.records.iter().rfind(|line| line.kind == RecordKind::Fields) {
                (header, why) = (true, "the comment line above the rows has their fields".to_owned());
                dialect.skip = line.line;
                dialect.header_marked = true;
                cells = header_cells(&marked, &[*line], width);
            }
        }
        if dialect.skip > 0 && options.skip.is_none() {
            reasons.push(format!("skips {} lines above the table", dialect.skip));
        }
        dialect.header = header;
        if header && dialect.header_lines > 1 {
            reasons.push(format!("{} header lines: set", dialect.header_lines));
        }
        reasons.push(format!("{}: {why}", if header { "header" } else { "no header" }));
        let title_first = width > 1 && records[0].width == 1 && records[0].kind == RecordKind::Fields;
        Structure { width, names: column_names(cells), title_first }
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
        let mut fitting: Vec<i64> = steps;
        for width in 1..fitting.len() {
            fitting[width] += fitting[width - 1];
        }
        let most = fitting.iter().copied().max().unwrap_or(0);
        // Where a second table stands below the first, many rows fit either: the first one counts.
        let usual = |width: usize| {
            fitting[width] == most || (width > 1 && fitting[width] > 2 && fitting[width] * 5 >= most * 2)
        };
        let first = rows().find_map(|line| {
            let widths = self.parsed.filled_width(line).max(1)..=line.width;
            widths.filter(|width| usual(*width)).max_by_key(|width| (fitting[*width], *width))
        });
        first.unwrap_or(1)
    }

    /// Whether a record has the table's number of fields, empty ones beyond it aside.
    fn belongs(&self, line: &Line, width: usize) -> bool {
        line.kind == RecordKind::Fields
            && (line.width == width || (line.width > width && self.parsed.filled_width(line) <= width))
    }

    /// How many leading records are not part of the table: titles, notes and empty rows above it.
    fn preamble_length(&self, records: &[&Line], width: usize) -> usize {
        if width == 1 || self.options.null_padding == Some(true) {
            return 0;
        }
        let mut first =
            records.iter().position(|line| self.belongs(line, width) || line.kind != RecordKind::Fields).unwrap_or(0);
        // A title or an empty row can have the table's width when a spreadsheet wrote it; then nearly all of its cells are empty.
        let filled = |line: &Line| self.parsed.filled_cells(line);
        let sparse: Vec<&&Line> = records[first..]
            .iter()
            .take_while(|line| line.kind == RecordKind::Fields && filled(line) <= (width / 4).max(1))
            .collect();
        let followed_by_full = records.get(first + sparse.len()).is_some_and(|line| filled(line) * 2 > width);
        if followed_by_full && (width > 2 || sparse.iter().any(|line| filled(line) == 0)) {
            first += sparse.len();
        }
        // What is skipped is no row; where that is a good part of the file, the width was guessed wrong.
        if first * 2 > records.len() { 0 } else { first }
    }

    /// What the values of each column have in common.
    fn evidence(&self, records: &[&Line], width: usize) -> Vec<Evidence> {
        let mut evidence = vec![Evidence::default(); width];
        let mut scratch = Vec::new();
        let padding = self.options.null_padding == Some(true);
        for line in records.iter().filter(|line| line.kind == RecordKind::Fields && (line.width >= width || padding)) {
            for (evidence, field) in evidence.iter_mut().zip(self.parsed.fields(line)) {
                evidence.add(self.parsed.text(*field, &mut scratch), field.kind, self.rules);
            }
        }
        evidence
    }

    /// Where types other than VARCHAR are declared for all columns: the first record names the columns unless it fits those.
    fn fits_declared(&self, first: &Line) -> Option<(bool, String)> {
        let types: Vec<CsvType> = self
            .options
            .columns
            .as_ref()?
            .0
            .iter()
            .map(|(_, name)| CsvType::parse(name))
            .collect::<Result<_, _>>()
            .ok()?;
        if types.iter().all(|data_type| *data_type == CsvType::Varchar) || first.kind != RecordKind::Fields {
            return None;
        }
        let misfit = self.parsed.fields(first).iter().zip(types).position(|(field, data_type)| {
            let column = CsvColumn::declared(String::new(), data_type, self.options);
            !ColumnReader::new(&column, self.rules.style).fits(
                self.parsed.data,
                *field,
                self.parsed.syntax,
                &self.rules.nulls,
            )
        });
        Some(match misfit {
            Some(column) => (true, format!("the first line's value in column {} is not of its type", column + 1)),
            None => (false, "the first line fits the declared types".to_owned()),
        })
    }

    /// Whether the first record names the columns: it does unless it fits the types of the rows below.
    fn has_header(&self, records: &[&Line], width: usize) -> (bool, String) {
        let (parsed, rules) = (self.parsed, self.rules);
        let Some((first, rest)) = records.split_first() else { return (false, "no rows to look at".to_owned()) };
        if first.kind != RecordKind::Fields {
            return (true, "the first line cannot be read as a row".to_owned());
        }
        if !self.belongs(first, width) && self.options.null_padding != Some(true) {
            return (false, format!("the first line has {} fields, the rows have {width}", first.width));
        }
        let evidence = self.evidence(rest, width);
        let fields = parsed.fields(first);
        if fields.iter().all(|field| field.is_blank()) {
            let named = rest.is_empty();
            return (!named, "the first line is empty".to_owned());
        }
        let text_of_first =
            |column: usize| fields.get(column).map(|field| (*field, parsed.text(*field, &mut Vec::new()).to_vec()));
        if rest.is_empty() {
            // A lone line of nothing but text is a header without rows.
            let typed = (0..fields.len()).filter_map(text_of_first).any(|(field, text)| {
                let mut alone = Evidence::default();
                alone.add(&text, field.kind, rules);
                alone.is_typed(rules) || alone.is_empty() || is_value(&text)
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
        let telling: Vec<usize> = (0..width.min(fields.len()))
            .filter(|column| evidence[*column].is_empty() || evidence[*column].is_typed(rules))
            .collect();
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
