//! A sample taken apart into records under one reading of its dialect.
//! Which reading is right is decided in `candidates`; this only holds the pieces.
//! Used by every step of detection.

use crate::scanner::{FieldSpan, RecordKind, Scanner, Syntax, unescape};

/// Records of a sample.
pub(crate) struct Parsed<'a> {
    pub data: &'a [u8],
    pub syntax: &'a Syntax,
    fields: Vec<FieldSpan>,
    pub records: Vec<Line>,
}

/// A record, comment or blank line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub kind: RecordKind,
    /// Position of its fields.
    first: usize,
    pub width: usize,
    /// Physical line, from 0.
    pub line: u64,
    pub start: usize,
    pub end: usize,
}

impl<'a> Parsed<'a> {
    /// Reads at most `limit` records behind the first `skip` lines. The last one of an incomplete sample is left out, as it may be cut off.
    pub(crate) fn new(data: &'a [u8], syntax: &'a Syntax, complete: bool, skip: u64, limit: usize) -> Parsed<'a> {
        let start = data.len() - behind_lines(data, skip).len();
        let mut scanner = Scanner::new(syntax, data, start, true);
        let (mut fields, mut records, mut line) = (Vec::new(), Vec::new(), skip);
        while records.len() < limit {
            let first = fields.len();
            let Some(record) = scanner.next_record(&mut fields) else { break };
            records.push(Line {
                kind: record.kind,
                first,
                width: fields.len() - first,
                line,
                start: record.start,
                end: record.next,
            });
            line += u64::from(record.breaks);
        }
        if !complete && records.last().is_some_and(|last| last.end == data.len()) {
            records.pop();
        }
        Parsed { data, syntax, fields, records }
    }

    /// The fields of a record.
    pub(crate) fn fields(&self, line: &Line) -> &[FieldSpan] {
        &self.fields[line.first..line.first + line.width]
    }

    /// A field's text without quotes and escapes.
    pub(crate) fn text<'t>(&'t self, field: FieldSpan, scratch: &'t mut Vec<u8>) -> &'t [u8] {
        let bytes = field.bytes(self.data);
        if field.kind == crate::scanner::FieldKind::Escaped { unescape(bytes, self.syntax, scratch) } else { bytes }
    }

    /// The width of a record without empty fields at its end.
    pub(crate) fn filled_width(&self, line: &Line) -> usize {
        let blanks = self.fields(line).iter().rev().take_while(|field| field.is_blank()).count();
        line.width - blanks
    }

    /// How many fields of a record hold something.
    pub(crate) fn filled_cells(&self, line: &Line) -> usize {
        self.fields(line).iter().filter(|field| !field.bytes(self.data).trim_ascii().is_empty()).count()
    }
}

/// A text without its first lines.
pub(crate) fn behind_lines(mut text: &[u8], lines: u64) -> &[u8] {
    for _ in 0..lines {
        let Some(end) = memchr::memchr2(b'\n', b'\r', text) else { return &[] };
        text = text[end..].strip_prefix(b"\r\n").unwrap_or(&text[end + 1..]);
    }
    text
}
