//! Finds records and fields in text, by RFC 4180 with the tolerances every reader needs (spaces around quotes, any line break, escapes).
//! It knows bytes and positions only; what a field means is decided in `columns`, what a record is good for in `decoder`.
//! Used by detection on samples and by the decoder on its buffer.

use crate::dialect::Dialect;

/// The bytes that structure a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Syntax {
    pub delimiter: Vec<u8>,
    /// A space behind a delimiter belongs to it.
    pub spaced: bool,
    pub quote: Option<u8>,
    /// Only where it is another byte than the quote.
    pub escape: Option<u8>,
    pub comment: Option<Vec<u8>>,
    /// Ends a row wherever it stands outside quotes.
    pub inline_comment: Option<u8>,
    /// For a detected comment mark: lines that begin with it and have this many fields are records.
    pub comment_unless_fields: Option<usize>,
    /// Text after a closing quote spoils a record; otherwise such a quote is text.
    pub strict: bool,
}

impl Syntax {
    pub(crate) fn new(dialect: &Dialect, columns: usize, strict: bool) -> Syntax {
        let byte = |character: Option<char>| character.and_then(|character| u8::try_from(character).ok());
        let quote = byte(dialect.quote);
        Syntax {
            delimiter: dialect.delimiter.as_bytes().to_vec(),
            spaced: dialect.spaced,
            quote,
            escape: byte(dialect.escape).filter(|escape| Some(*escape) != quote),
            comment: dialect.comment.as_ref().map(|comment| comment.as_bytes().to_vec()),
            inline_comment: dialect
                .comment
                .as_ref()
                .filter(|comment| dialect.comment_inline && comment.len() == 1)
                .map(|comment| comment.as_bytes()[0]),
            comment_unless_fields: dialect.comment_detected.then_some(columns),
            strict,
        }
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
        let delimiter = syntax.delimiter[0];
        let needles = [Some(delimiter), syntax.quote, syntax.escape, syntax.inline_comment]
            .map(|needle| needle.unwrap_or(delimiter));
        Scanner { syntax, data, at_end, position, specials: Specials::new(data, position, needles) }
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
            if line.starts_with(comment) {
                return self.comment_or_record(start, fields);
            }
        }
        let record = self.record(start, fields);
        match record {
            Some(record) => {
                if record.kind != RecordKind::Fields {
                    fields.truncate(field_base);
                }
                self.position = record.next;
            }
            None => fields.truncate(field_base),
        }
        record
    }

    fn comment_or_record(&mut self, start: usize, fields: &mut Vec<FieldSpan>) -> Option<Record> {
        let field_base = fields.len();
        if let Some(expected) = self.syntax.comment_unless_fields {
            let record = self.record(start, fields);
            if let Some(record) =
                record.filter(|record| record.kind == RecordKind::Fields && fields.len() - field_base == expected)
            {
                self.position = record.next;
                return Some(record);
            }
            fields.truncate(field_base);
        }
        let next = self.next_line(start)?;
        self.position = next;
        self.specials.seek(next);
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
                match self.quoted(position, &mut breaks) {
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

    /// Reads a quoted field whose opening quote is at `open`.
    fn quoted(&mut self, open: usize, breaks: &mut u32) -> Quoted {
        let data = self.data;
        let mut kind = FieldKind::Quoted;
        let mut misplaced = false;
        while let Some(position) = self.specials.next() {
            let byte = data[position];
            if Some(byte) == self.syntax.quote {
                if data.get(position + 1).copied() == self.syntax.quote {
                    kind = FieldKind::Escaped;
                    self.specials.seek(position + 2);
                    continue;
                }
                let after = self.after_quote(position + 1);
                match after {
                    AfterQuote::Unknown => return Quoted::Unclosed,
                    AfterQuote::Text if !self.syntax.strict => misplaced = true,
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
                if misplaced {
                    return Quoted::Misplaced;
                }
                *breaks += 1;
            }
        }
        Quoted::Unclosed
    }

    /// Looks at what follows a quote: spaces between a closing quote and the field's end are nobody's data.
    fn after_quote(&self, position: usize) -> AfterQuote {
        let rest = &self.data[position..];
        let spaces =
            if self.syntax.delimiter[0] == b' ' { 0 } else { rest.iter().take_while(|byte| **byte == b' ').count() };
        let rest = &rest[spaces..];
        let position = position + spaces;
        if rest.starts_with(&self.syntax.delimiter) {
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
    let mut rest = text;
    while let Some((byte, following)) = rest.split_first() {
        let second = following.first().copied();
        let doubled = Some(*byte) == syntax.quote && second == syntax.quote;
        let escaped =
            Some(*byte) == syntax.escape && second.is_some() && (second == syntax.quote || second == syntax.escape);
        match second {
            Some(kept) if doubled || escaped => {
                scratch.push(kept);
                rest = &following[1..];
            }
            _ => {
                scratch.push(*byte);
                rest = following;
            }
        }
    }
    scratch
}

/// Finds the positions of structuring bytes, 64 bytes at a time.
struct Specials<'a> {
    data: &'a [u8],
    needles: [u8; 4],
    /// Start of the block that `mask` describes.
    block: usize,
    /// One bit per byte of the block that is special and not yet passed.
    mask: u64,
}

impl<'a> Specials<'a> {
    fn new(data: &'a [u8], position: usize, needles: [u8; 4]) -> Specials<'a> {
        let mut specials = Specials { data, needles, block: 0, mask: 0 };
        specials.rewind(position);
        specials
    }

    /// Goes on at `position`, which lies ahead.
    #[inline]
    fn seek(&mut self, position: usize) {
        if position & !63 != self.block {
            self.load(position & !63);
        }
        self.mask &= !lower_bits(position & 63);
    }

    /// Goes back to `position`.
    fn rewind(&mut self, position: usize) {
        self.load(position & !63);
        self.mask &= !lower_bits(position & 63);
    }

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.mask == 0 {
            let block = self.block + 64;
            if block >= self.data.len() {
                return None;
            }
            self.load(block);
        }
        let position = self.block + self.mask.trailing_zeros() as usize;
        self.mask &= self.mask - 1;
        Some(position)
    }

    #[inline]
    fn load(&mut self, block: usize) {
        self.block = block;
        let rest = self.data.get(block..).unwrap_or_default();
        self.mask = match rest.first_chunk::<64>() {
            Some(chunk) => special_bits(chunk, self.needles),
            None => {
                let mut chunk = [0; 64];
                chunk[..rest.len()].copy_from_slice(rest);
                special_bits(&chunk, self.needles) & lower_bits(rest.len())
            }
        };
    }
}

/// The lowest `count` bits, `count` below 64.
fn lower_bits(count: usize) -> u64 {
    (1 << count) - 1
}

/// One bit for every byte of the block that is a line break or one of the needles. Written so that the compiler turns it into vector compares.
#[inline]
fn special_bits(chunk: &[u8; 64], needles: [u8; 4]) -> u64 {
    let mut flags = [0_u8; 64];
    for (flag, byte) in flags.iter_mut().zip(chunk) {
        let needle = u8::from(*byte == needles[0])
            | u8::from(*byte == needles[1])
            | u8::from(*byte == needles[2])
            | u8::from(*byte == needles[3]);
        *flag = needle | u8::from(*byte == b'\n') | u8::from(*byte == b'\r');
    }
    let mut bits = 0;
    for (index, group) in flags.as_chunks::<8>().0.iter().enumerate() {
        // Multiplying gathers the eight flag bytes into the top byte, the first one lowest.
        let gathered = u64::from_le_bytes(*group).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= gathered << (index * 8);
    }
    bits
}

/// Finds the end of a record that is too long to be kept, byte by byte in constant memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Skipper {
    state: SkipState,
    /// Line breaks passed.
    pub breaks: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SkipState {
    FieldStart,
    Unquoted,
    Quoted,
    /// Behind an escape in a quoted field.
    QuotedEscape,
    /// Behind a quote in a quoted field.
    QuoteInQuoted,
    /// Behind the CR that ended the record.
    CarriageReturn,
}

impl Skipper {
    pub(crate) fn new() -> Skipper {
        Skipper { state: SkipState::FieldStart, breaks: 0 }
    }

    /// Returns how many bytes still belong to the record, once its end is found.
    pub(crate) fn skip(&mut self, bytes: &[u8], syntax: &Syntax) -> Option<usize> {
        let delimiter_end = syntax.delimiter.last().copied();
        for (index, byte) in bytes.iter().copied().enumerate() {
            let unquoted = |state: SkipState| match byte {
                b'\r' => SkipState::CarriageReturn,
                _ if Some(byte) == delimiter_end => SkipState::FieldStart,
                b' ' if state == SkipState::FieldStart => SkipState::FieldStart,
                _ if Some(byte) == syntax.quote && state == SkipState::FieldStart => SkipState::Quoted,
                _ => SkipState::Unquoted,
            };
            self.state = match self.state {
                SkipState::CarriageReturn => return Some(index + usize::from(byte == b'\n')),
                SkipState::FieldStart | SkipState::Unquoted if byte == b'\n' => {
                    self.breaks += 1;
                    return Some(index + 1);
                }
                SkipState::QuoteInQuoted if byte == b'\n' => {
                    self.breaks += 1;
                    return Some(index + 1);
                }
                SkipState::FieldStart => unquoted(SkipState::FieldStart),
                SkipState::Unquoted => unquoted(SkipState::Unquoted),
                SkipState::QuotedEscape => SkipState::Quoted,
                SkipState::QuoteInQuoted if Some(byte) == syntax.quote => SkipState::Quoted,
                SkipState::QuoteInQuoted => unquoted(SkipState::Unquoted),
                SkipState::Quoted if Some(byte) == syntax.escape => SkipState::QuotedEscape,
                SkipState::Quoted if Some(byte) == syntax.quote => SkipState::QuoteInQuoted,
                SkipState::Quoted => {
                    self.breaks += u32::from(byte == b'\n');
                    SkipState::Quoted
                }
            };
            if self.state == SkipState::CarriageReturn {
                self.breaks += 1;
            }
        }
        None
    }

    /// Whether the file may end here without leaving a quote open.
    pub(crate) fn is_closed(self) -> bool {
        !matches!(self.state, SkipState::Quoted | SkipState::QuotedEscape)
    }
}
