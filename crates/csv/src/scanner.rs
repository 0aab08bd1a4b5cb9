//! Finds records and fields in text, by RFC 4180 with the tolerances every reader needs (spaces around quotes, any line break, escapes).
//! It knows bytes and positions only; what a field means is decided in `columns`, what a record is good for in `decoder`.
//! Used by detection on samples and by the decoder on its buffer.

use crate::dialect::Dialect;
use crate::options::CsvOptions;
use crate::specials::Specials;

/// The bytes that structure a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Syntax {
    pub delimiter: Vec<u8>,
    /// A space behind a delimiter belongs to it.
    pub spaced: bool,
    pub quote: Option<u8>,
    /// Two quotes in a quoted field are one.
    pub doubled: bool,
    /// Only where it is another byte than the quote.
    pub escape: Option<u8>,
    pub comment: Option<Vec<u8>>,
    /// Ends a row wherever it stands outside quotes.
    pub inline_comment: Option<u8>,
    /// For a detected comment mark: lines that begin with it and have this many fields are records.
    pub comment_unless_fields: Option<usize>,
    /// Text after a closing quote spoils a record; otherwise such a quote is text.
    pub strict: bool,
    /// Where such a quote is tolerated it belongs to nobody, as the caller says that a quote in a value is doubled.
    pub drops_quotes: bool,
    /// The longest record in bytes. Unless `strict`, a quote that is not closed within so many bytes is text, too.
    pub limit: usize,
}

impl Syntax {
    pub(crate) fn new(dialect: &Dialect, columns: usize, options: &CsvOptions) -> Syntax {
        let byte = |character: Option<char>| character.and_then(|character| u8::try_from(character).ok());
        let quote = byte(dialect.quote);
        Syntax {
            // No text contains 0xFF, so that it delimits nothing.
            delimiter: if dialect.delimiter.is_empty() { vec![0xFF] } else { dialect.delimiter.as_bytes().to_vec() },
            spaced: dialect.spaced,
            quote,
            doubled: dialect.escape.is_some(),
            escape: byte(dialect.escape).filter(|escape| Some(*escape) != quote),
            comment: dialect.comment.as_ref().map(|comment| comment.as_bytes().to_vec()),
            inline_comment: dialect
                .comment
                .as_ref()
                .filter(|comment| dialect.comment_inline && comment.len() == 1)
                .map(|comment| comment.as_bytes()[0]),
            comment_unless_fields: dialect.may_mark_rows().then_some(columns),
            strict: options.is_strict(),
            drops_quotes: !options.is_strict()
                && quote.is_some_and(|quote| options.escape.as_deref().map(str::as_bytes) == Some(&[quote])),
            limit: options.line_limit(),
        }
    }

    /// The bytes that may end a field or change how it is read, line breaks aside.
    pub(crate) fn needles(&self) -> [u8; 4] {
        let delimiter = self.delimiter[0];
        [Some(delimiter), self.quote, self.escape, self.inline_comment].map(|needle| needle.unwrap_or(delimiter))
    }
}

/// Where a field lies in the buffer, without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FieldSpan {
    pub start: u32,
    pub end: u32,
    pub kind: FieldKind,
}

/// How a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldKind {
    Plain,
    Quoted,
    /// Quoted, with quotes inside that [`unescape`] has to take apart.
    Escaped,
    /// Not there: the record is too short.
    Missing,
}

impl FieldSpan {
    pub(crate) const MISSING: FieldSpan = FieldSpan { start: 0, end: 0, kind: FieldKind::Missing };

    pub(crate) fn bytes(self, data: &[u8]) -> &[u8] {
        &data[self.start as usize..self.end as usize]
    }

    /// Unquoted and of length zero.
    pub(crate) fn is_blank(self) -> bool {
        self.start == self.end && matches!(self.kind, FieldKind::Plain | FieldKind::Missing)
    }
}

/// What a stretch of lines is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// A record whose fields were appended.
    Fields,
    /// A line without a single byte.
    Blank,
    /// A comment line.
    Comment,
    /// A record with text after a closing quote; its fields mean nothing.
    Malformed,
    /// A record whose quoted field runs to the end of the file.
    Unclosed,
    /// A record of more bytes than are allowed; its fields are not kept.
    TooLong,
}

/// One record found by [`Scanner::next_record`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub kind: RecordKind,
    pub start: usize,
    /// Where the next record starts.
    pub next: usize,
    /// Line breaks inside and at the end.
    pub breaks: u32,
}

/// Steps through the records of a buffer.
pub(crate) struct Scanner<'a> {
    syntax: &'a Syntax,
    data: &'a [u8],
    /// The buffer holds the end of the file.
    at_end: bool,
    position: usize,
    specials: Specials<'a>,
}

/// What follows a quote inside a quoted field.
enum AfterQuote {
    Delimiter(usize),
    LineEnd(usize),
    Comment(usize),
    Text,
    Unknown,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(syntax: &'a Syntax, data: &'a [u8], position: usize, at_end: bool) -> Scanner<'a> {
        Scanner { syntax, data, at_end, position, specials: Specials::new(data, position, syntax.needles()) }
    }

    /// Whether a line begins with the comment mark.
    pub(crate) fn is_comment(syntax: &Syntax, line: &[u8]) -> bool {
        syntax.comment.as_ref().is_some_and(|comment| line.starts_with(comment))
    }

    /// Finds the next record and appends its fields; `None` when the buffer does not hold a whole one.
    pub(crate) fn next_record(&mut self, fields: &mut Vec<FieldSpan>) -> Option<Record> {
        let start = self.position;
        if start == self.data.len() {
            return None;
        }
        let field_base = fields.len();
        if let Some(comment) = &self.syntax.comment {
            let line = &self.data[start..];
            if !self.at_end && line.len() < comment.len() && comment.starts_with(line) {
                return None;
            }
            if Scanner::is_comment(self.syntax, line) {
                return self.comment_or_record(start, fields);
            }
        }
        let record = self.record(start, fields).map(|record| self.within_limit(record));
        if record.is_none_or(|record| record.kind != RecordKind::Fields) {
            fields.truncate(field_base);
        }
        if let Some(record) = record {
            self.position = record.next;
        }
        record
    }

    fn within_limit(&self, record: Record) -> Record {
        let long = record.next - record.start > self.syntax.limit;
        match record.kind {
            RecordKind::Fields | RecordKind::Malformed if long => Record { kind: RecordKind::TooLong, ..record },
            _ => record,
        }
    }

    fn comment_or_record(&mut self, start: usize, fields: &mut Vec<FieldSpan>) -> Option<Record> {
        let field_base = fields.len();
        if let Some(expected) = self.syntax.comment_unless_fields {
            let record = self.record(start, fields).map(|record| self.within_limit(record));
            let found = fields.len() - field_base;
            if let Some(record) = record.filter(|record| record.kind == RecordKind::Fields && found == expected) {
                self.position = record.next;
                return Some(record);
            }
            fields.truncate(field_base);
            if record.is_none() && !self.at_end {
                return None;
            }
        }
        let next = self.next_line(start)?;
        self.position = next;
        self.specials.rewind(next);
        Some(Record { kind: RecordKind::Comment, start, next, breaks: 1 })
    }

    /// Where the line after the one at `position` starts; `None` when the buffer does not hold it.
    fn next_line(&self, position: usize) -> Option<usize> {
        match memchr::memchr2(b'\n', b'\r', &self.data[position..]) {
            Some(length) => self.after_line_break(position + length),
            None => self.at_end.then_some(self.data.len()),
        }
    }

    /// Where the line after the break at `position` starts; `None` when the buffer ends between CR and LF.
    fn after_line_break(&self, position: usize) -> Option<usize> {
        if self.data[position] == b'\n' {
            return Some(position + 1);
        }
        match self.data.get(position + 1) {
            Some(b'\n') => Some(position + 2),
            Some(_) => Some(position + 1),
            None => self.at_end.then_some(position + 1),
        }
    }

    fn record(&mut self, start: usize, fields: &mut Vec<FieldSpan>) -> Option<Record> {
        let data = self.data;
        let delimiter = self.syntax.delimiter.as_slice();
        let quote = self.syntax.quote;
        let mut kind = RecordKind::Fields;
        let mut breaks = 0;
        let mut field_start = start;
        // After a misplaced quote the rest of the field is text, quotes included.
        let mut literal = false;
        loop {
            let Some(position) = self.specials.next() else {
                if !self.at_end {
                    self.specials.rewind(start);
                    return None;
                }
                fields.push(self.plain(start, field_start, data.len()));
                return Some(Record { kind, start, next: data.len(), breaks });
            };
            let byte = data[position];
            if byte == delimiter[0] {
                if delimiter.len() > 1 {
                    if !data[position..].starts_with(delimiter) {
                        if !self.at_end && delimiter.starts_with(&data[position..]) {
                            self.specials.rewind(start);
                            return None;
                        }
                        continue;
                    }
                    self.specials.seek(position + delimiter.len());
                }
                fields.push(self.plain(start, field_start, position));
                field_start = position + delimiter.len();
                literal = false;
            } else if byte == b'\n' || byte == b'\r' {
                let Some(next) = self.after_line_break(position) else {
                    self.specials.rewind(start);
                    return None;
                };
                if next > position + 1 {
                    self.specials.seek(next);
                }
                if position == start {
                    return Some(Record { kind: RecordKind::Blank, start, next, breaks: 1 });
                }
                fields.push(self.plain(start, field_start, position));
                return Some(Record { kind, start, next, breaks: breaks + 1 });
            } else if Some(byte) == self.syntax.inline_comment {
                let spaces = data[field_start..position].iter().rev().take_while(|byte| **byte == b' ').count();
                fields.push(self.plain(start, field_start, position - spaces));
                return self.end_with_comment(kind, start, position, breaks);
            } else if Some(byte) == quote && !literal && data[field_start..position].iter().all(|byte| *byte == b' ') {
                let breaks_before = breaks;
                match self.quoted(start, position, &mut breaks) {
                    Quoted::Closed { field, after: AfterQuote::Delimiter(next) } => {
                        fields.push(field);
                        field_start = next;
                        self.specials.seek(next);
                    }
                    Quoted::Closed { field, after: AfterQuote::LineEnd(position) } => {
                        fields.push(field);
                        let next =
                            if position == data.len() { Some(position) } else { self.after_line_break(position) };
                        let Some(next) = next else {
                            self.specials.rewind(start);
                            return None;
                        };
                        self.specials.seek(next);
                        return Some(Record { kind, start, next, breaks: breaks + u32::from(position < data.len()) });
                    }
                    Quoted::Closed { field, after: AfterQuote::Comment(position) } => {
                        fields.push(field);
                        return self.end_with_comment(kind, start, position, breaks);
                    }
                    Quoted::Closed { .. } => {
                        kind = RecordKind::Malformed;
                        literal = true;
                    }
                    Quoted::Unclosed if !self.at_end => {
                        self.specials.rewind(start);
                        return None;
                    }
                    Quoted::Unclosed if self.syntax.strict => {
                        return Some(Record { kind: RecordKind::Unclosed, start, next: data.len(), breaks });
                    }
                    Quoted::Unclosed | Quoted::Misplaced => {
                        breaks = breaks_before;
                        literal = true;
                        self.specials.rewind(position + 1);
                    }
                }
            }
        }
    }

    /// Ends a record whose line goes on with a comment.
    fn end_with_comment(&mut self, kind: RecordKind, start: usize, position: usize, breaks: u32) -> Option<Record> {
        match self.next_line(position) {
            Some(next) => {
                self.specials.seek(next);
                Some(Record { kind, start, next, breaks: breaks + 1 })
            }
            None => {
                self.specials.rewind(start);
                None
            }
        }
    }

    fn plain(&self, record: usize, start: usize, end: usize) -> FieldSpan {
        let space = self.syntax.spaced && start > record && start < end && self.data[start] == b' ';
        FieldSpan { start: offset(start + usize::from(space)), end: offset(end), kind: FieldKind::Plain }
    }

    /// Reads a quoted field whose opening quote is at `open`, in the record that starts at `record`.
    fn quoted(&mut self, record: usize, open: usize, breaks: &mut u32) -> Quoted {
        // Tolerance looks no further than a record may be long, whatever the buffer holds.
        let end = if self.syntax.strict { usize::MAX } else { record.saturating_add(self.syntax.limit) };
        let data = self.data;
        let mut kind = FieldKind::Quoted;
        let mut misplaced = false;
        // Up to here the field is known to go on, whatever line breaks there are.
        let mut goes_on = open;
        while let Some(position) = self.specials.next() {
            let byte = data[position];
            if position >= end {
                return Quoted::Misplaced;
            }
            if Some(byte) == self.syntax.quote {
                let doubled = self.syntax.doubled && data.get(position + 1).copied() == self.syntax.quote;
                // Behind a quote that was text, two quotes before the field's end are one more of those and the closing one.
                if doubled && misplaced {
                    match self.after_quote(position + 2, end, true) {
                        AfterQuote::Unknown => return Quoted::Unclosed,
                        AfterQuote::Text => {}
                        _ => {
                            self.specials.seek(position + 1);
                            continue;
                        }
                    }
                }
                if doubled {
                    kind = FieldKind::Escaped;
                    self.specials.seek(position + 2);
                    continue;
                }
                let after = self.after_quote(position + 1, end, misplaced);
                match after {
                    AfterQuote::Unknown => return Quoted::Unclosed,
                    AfterQuote::Text if !self.syntax.strict => {
                        misplaced = true;
                        if self.syntax.drops_quotes {
                            kind = FieldKind::Escaped;
                        }
                    }
                    after => {
                        let field = FieldSpan { start: offset(open + 1), end: offset(position), kind };
                        return Quoted::Closed { field, after };
                    }
                }
            } else if Some(byte) == self.syntax.escape {
                let Some(following) = data.get(position + 1).copied() else { continue };
                if Some(following) == self.syntax.quote || Some(following) == self.syntax.escape {
                    kind = FieldKind::Escaped;
                    self.specials.seek(position + 2);
                }
            } else if byte == b'\n' || (byte == b'\r' && data.get(position + 1) != Some(&b'\n')) {
                if misplaced && position > goes_on {
                    match self.closing_quote(position, end) {
                        Ahead::Closing(quote) => goes_on = quote,
                        Ahead::None => return Quoted::Misplaced,
                        Ahead::Unknown => return Quoted::Unclosed,
                    }
                }
                *breaks += 1;
            }
        }
        if data.len() > end { Quoted::Misplaced } else { Quoted::Unclosed }
    }

    /// Looks behind a line break for the quote that closes the field it stands in: one before another field opens.
    fn closing_quote(&self, position: usize, end: usize) -> Ahead {
        let (Some(quote), data) = (self.syntax.quote, self.data) else { return Ahead::None };
        for next in memchr::memchr_iter(quote, &data[position..data.len().min(end)]).map(|next| position + next) {
            let before = &data[..next];
            if before.ends_with(&self.syntax.delimiter) || matches!(before, [.., b'\n' | b'\r']) {
                return Ahead::None;
            }
            match self.after_quote(next + 1, end, true) {
                AfterQuote::Unknown => return Ahead::Unknown,
                AfterQuote::Text => {}
                _ => return Ahead::Closing(next),
            }
        }
        if data.len() > end || self.at_end { Ahead::None } else { Ahead::Unknown }
    }

    /// Looks at what follows a quote up to `end`: spaces between a closing quote and the field's end are nobody's data, unless the field
    /// holds quotes that are text.
    fn after_quote(&self, position: usize, end: usize, misplaced: bool) -> AfterQuote {
        let rest = self.data.get(position..).unwrap_or_default();
        let spaces = match self.syntax.delimiter[0] {
            b' ' => 0,
            _ if misplaced => 0,
            _ => rest.iter().take_while(|byte| **byte == b' ').count(),
        };
        let rest = &rest[spaces..];
        let position = position + spaces;
        if position.saturating_add(self.syntax.delimiter.len()) > end {
            AfterQuote::Text
        } else if rest.first() == Some(&self.syntax.delimiter[0]) && rest.starts_with(&self.syntax.delimiter) {
            AfterQuote::Delimiter(position + self.syntax.delimiter.len())
        } else if matches!(rest.first(), Some(b'\n' | b'\r')) || (rest.is_empty() && self.at_end) {
            AfterQuote::LineEnd(position)
        } else if rest.first().copied().is_some_and(|byte| Some(byte) == self.syntax.inline_comment) {
            AfterQuote::Comment(position)
        } else if !self.at_end && self.syntax.delimiter.starts_with(rest) {
            AfterQuote::Unknown
        } else {
            AfterQuote::Text
        }
    }
}

/// What closes a field of several lines with quotes inside.
enum Ahead {
    Closing(usize),
    None,
    /// The buffer ends first.
    Unknown,
}

enum Quoted {
    Closed {
        field: FieldSpan,
        after: AfterQuote,
    },
    /// The buffer ends first.
    Unclosed,
    /// Tolerantly read: text followed a quote, and the line ends before another quote closes the field. The opening quote was text, too.
    Misplaced,
}

/// Buffers stay far below 4 GiB: chunks are scanned in pieces and `max_line_size` is at most 1 GiB.
fn offset(position: usize) -> u32 {
    position as u32
}

/// Guesses where a record begins in the middle of a file: behind the first line break from which on all is well-formed rows.
pub(crate) fn find_record(data: &[u8], syntax: &Syntax, width: usize, at_end: bool) -> usize {
    /// Line breaks tried.
    const BREAKS: usize = 256;
    /// Records read behind each.
    const RECORDS: usize = 64;
    let mut first = None;
    let mut fields = Vec::new();
    for position in memchr::memchr2_iter(b'\n', b'\r', data).take(BREAKS) {
        if data[position] == b'\r' && data.get(position + 1) == Some(&b'\n') {
            continue;
        }
        let start = position + 1;
        first.get_or_insert(start);
        let mut scanner = Scanner::new(syntax, data, start, at_end);
        let sound = std::iter::from_fn(|| {
            fields.clear();
            let record = scanner.next_record(&mut fields)?;
            Some(
                !matches!(record.kind, RecordKind::Malformed | RecordKind::Unclosed)
                    && (record.kind != RecordKind::Fields || fields.len() == width),
            )
        });
        if sound.take(RECORDS).all(|sound| sound) {
            return start;
        }
    }
    first.unwrap_or(data.len())
}

/// Takes doubled quotes and escapes out of a quoted field's text.
pub(crate) fn unescape<'a>(text: &[u8], syntax: &Syntax, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    scratch.clear();
    let Some(quote) = syntax.quote else {
        scratch.extend_from_slice(text);
        return scratch;
    };
    let escape = syntax.escape.unwrap_or(quote);
    let mut rest = text;
    while let Some(position) = memchr::memchr2(quote, escape, rest) {
        let (byte, following) = (rest[position], rest.get(position + 1).copied());
        let doubled = syntax.doubled && byte == quote && following == Some(quote);
        let escaped = syntax.escape == Some(byte) && (following == Some(quote) || following == syntax.escape);
        // Of a pair the second one stays.
        let kept = position + usize::from(doubled || escaped);
        scratch.extend_from_slice(&rest[..position]);
        if doubled || escaped || byte != quote || !syntax.drops_quotes {
            scratch.push(rest[kept]);
        }
        rest = &rest[kept + 1..];
    }
    scratch.extend_from_slice(rest);
    scratch
}
