//! The streaming reader of one file: bytes are pushed in, record batches and rejected lines come out.
//! Finding records is `scanner`'s work, reading values is `columns`'; here records become rows, and every line is accounted for.
//! The engine runs one decoder per file; a [`crate::Widen`] makes it start the table again.

mod batch;
mod header;
mod range;

pub use range::{Fit, Seam};

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};

use crate::columns::{ColumnReader, NullRule};
use crate::dialect::{CsvColumn, Newline, TableFormat};
use crate::encoding::{self, Transcoder};
use crate::error::{CsvError, DecodeError};
use crate::numbers::NumberStyle;
use crate::options::{CsvOptions, OnBadRow};
use crate::reject::{LineCounts, LineReject, RejectCode};
use crate::scanner::{FieldKind, FieldSpan, RecordKind, Scanner, Syntax, unescape};
use crate::skipper::{Skipper, count_breaks};

/// Rows per batch unless the caller wants another number.
const BATCH_ROWS: usize = 8192;
/// A batch ends early when its text reaches this size, so that long values do not pile up.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Pushed bytes are taken in pieces of this size, the most that is moved to the front of the buffer behind a batch.
const PIECE: usize = 128 * 1024;

/// Decodes one file of a table.
///
/// Push decompressed bytes in any chunking, call [`Decoder::finish`] after the last, and drain [`Decoder::next_batch`] and
/// [`Decoder::take_rejects`] after each call. After an error the decoder is of no further use.
pub struct Decoder {
    file: String,
    settings: Settings,
    columns: Vec<CsvColumn>,
    readers: Vec<ColumnReader>,
    /// Which of the table's columns go into batches.
    projection: Vec<usize>,
    schema: SchemaRef,
    batch_rows: usize,
    transcoder: Transcoder,
    /// Text from the first row of the unfinished batch on.
    buffer: Vec<u8>,
    /// Where the buffer starts in the file.
    buffer_offset: u64,
    /// The last offset at which a record may start; later ones belong to the next range.
    range_end: Option<u64>,
    /// The header or a row was met.
    begun: bool,
    /// Where the first record starts that this decoder reads.
    first_record: u64,
    /// How far records were found in the buffer.
    scanned: usize,
    /// An unfinished record is not looked at again before the buffer has this length, or scanning it would take quadratic time.
    retry_at: usize,
    /// 1-based physical line at `scanned`.
    line: u64,
    phase: Phase,
    layout: Layout,
    rows: Rows,
    batches: VecDeque<RecordBatch>,
    rejects: Vec<LineReject>,
    counts: LineCounts,
}

struct Settings {
    syntax: Syntax,
    nulls: NullRule,
    never_null: Vec<bool>,
    policy: OnBadRow,
    /// The only line break that may end a row.
    line_break: Option<Newline>,
    null_padding: bool,
    /// Surplus fields are left out.
    cuts_surplus: bool,
    /// Inferred types are as binding as declared ones.
    types_bind: bool,
    union_by_name: bool,
    header: bool,
    /// Lines that name the columns together.
    header_lines: u64,
    /// A line that begins with the comment mark may be a row all the same.
    may_mark_rows: bool,
    /// The header's names decide which field belongs to which column.
    by_name: bool,
}

enum Phase {
    /// So many physical lines are still to be skipped.
    Preamble(u64),
    /// At the header, with the cells of its lines so far.
    Header(Vec<Vec<String>>),
    /// In the middle of a file, before the first line break of a range that begins a record. Records start at this offset or behind it.
    Synchronise(u64),
    Body,
    /// Behind the last record of the range.
    Done,
    /// Inside a line that is too long to keep: a record to reject, or a comment, which leaves a header as it was.
    TooLong {
        skipper: Skipper,
        reject: Option<LineReject>,
        header: Option<Vec<Vec<String>>>,
    },
}

/// Which field of a record belongs to which column.
#[derive(Default)]
struct Layout {
    /// Per column of the table its position in a record.
    positions: Vec<Option<usize>>,
    /// Fields per record.
    width: usize,
    extra: Vec<String>,
}

/// The rows of the batch that is being collected.
#[derive(Default)]
struct Rows {
    fields: Vec<FieldSpan>,
    places: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    start: usize,
    end: usize,
    line: u64,
}

impl Decoder {
    /// A decoder for the file called `file`, which belongs to a table of the given format.
    ///
    /// # Errors
    /// [`CsvError::Setting`] where a setting or the format's encoding cannot be used.
    pub fn new(file: &str, format: &TableFormat, options: &CsvOptions) -> Result<Decoder, CsvError> {
        options.validate()?;
        let dialect = format.dialect_of(file);
        let style = NumberStyle::new(options);
        let forced = options.force_not_null.as_ref().map(|names| names.as_slice()).unwrap_or_default();
        let mut settings = Settings {
            syntax: Syntax::new(dialect, format.columns.len(), options),
            nulls: NullRule::new(options),
            never_null: format
                .columns
                .iter()
                .map(|column| forced.iter().any(|name| name.eq_ignore_ascii_case(&column.name)))
                .collect(),
            policy: options.bad_row_policy(),
            line_break: options.line_break(),
            null_padding: options.null_padding.unwrap_or(false),
            cuts_surplus: !options.is_strict(),
            types_bind: options.limits_sample(),
            union_by_name: options.union_by_name.unwrap_or(false),
            header: dialect.header,
            header_lines: dialect.header_lines,
            may_mark_rows: dialect.may_mark_rows(),
            by_name: dialect.header && options.columns.is_none(),
        };
        settings.syntax.comment_unless_fields = dialect.header_marked.then_some(format.columns.len());
        let width = format.columns.len();
        let mut decoder = Decoder {
            file: file.to_owned(),
            settings,
            columns: format.columns.clone(),
            readers: format.columns.iter().map(|column| ColumnReader::new(column, style)).collect(),
            projection: Vec::new(),
            schema: SchemaRef::new(Schema::empty()),
            batch_rows: BATCH_ROWS,
            transcoder: Transcoder::new(encoding::by_label(&dialect.encoding)?),
            buffer: Vec::new(),
            buffer_offset: 0,
            range_end: None,
            begun: false,
            first_record: 0,
            scanned: 0,
            retry_at: 0,
            line: 1,
            phase: Phase::Preamble(dialect.skip),
            layout: Layout { positions: (0..width).map(Some).collect(), width, extra: Vec::new() },
            rows: Rows::default(),
            batches: VecDeque::new(),
            rejects: Vec::new(),
            counts: LineCounts::default(),
        };
        decoder.project((0..width).collect());
        Ok(decoder)
    }

    /// Decodes only these columns (positions in the table's columns, in the wanted order; none at all counts rows). Field counts and declared
    /// types of the other columns are checked all the same, so that the rows do not depend on the projection.
    #[must_use]
    pub fn with_projection(mut self, columns: Vec<usize>) -> Decoder {
        self.project(columns);
        self
    }

    /// Sets the number of rows per batch.
    #[must_use]
    pub fn with_batch_rows(mut self, rows: usize) -> Decoder {
        self.batch_rows = rows.max(1);
        self
    }

    fn project(&mut self, columns: Vec<usize>) {
        self.schema =
            SchemaRef::new(Schema::new(columns.iter().map(|column| self.columns[*column].field()).collect::<Vec<_>>()));
        self.projection = columns;
    }

    /// The schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The next batch that is ready.
    pub fn next_batch(&mut self) -> Option<RecordBatch> {
        self.batches.pop_front()
    }

    /// The lines rejected since the last call, in file order.
    pub fn take_rejects(&mut self) -> Vec<LineReject> {
        let mut rejects = std::mem::take(&mut self.rejects);
        rejects.sort_by_key(|reject| reject.line);
        rejects
    }

    /// The tally so far; complete after [`Decoder::finish`].
    pub fn counts(&self) -> LineCounts {
        self.counts
    }

    /// Columns that the file's header names and the table does not have.
    pub fn extra_columns(&self) -> &[String] {
        &self.layout.extra
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// [`DecodeError::Widen`] where a value needs a wider inferred type, [`DecodeError::Failed`] where the file cannot be read further.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        for piece in bytes.chunks(PIECE) {
            if self.is_done() {
                break;
            }
            self.take(piece, false);
            self.advance(false)?;
        }
        Ok(())
    }

    /// Ends the file: what is left becomes rows and rejects.
    ///
    /// # Errors
    /// As [`Decoder::push`].
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        if !self.is_done() {
            self.take(&[], true);
            self.advance(true)?;
        }
        self.flush()
    }

    fn take(&mut self, bytes: &[u8], last: bool) {
        self.transcoder.push(bytes, &mut self.buffer, last);
        self.buffer_offset += std::mem::take(&mut self.transcoder.mark) as u64;
    }

    fn advance(&mut self, at_end: bool) -> Result<(), DecodeError> {
        if !at_end && self.buffer.len() < self.retry_at {
            return Ok(());
        }
        self.retry_at = 0;
        while self.step(at_end)? {}
        if self.rows.places.is_empty() {
            self.discard_scanned();
        }
        Ok(())
    }

    /// Goes one step on; false when that needs more bytes.
    fn step(&mut self, at_end: bool) -> Result<bool, DecodeError> {
        match &mut self.phase {
            Phase::Preamble(0) => {
                if self.settings.header {
                    self.phase = Phase::Header(Vec::new());
                } else {
                    self.enter_body();
                }
                Ok(true)
            }
            Phase::Preamble(_) => Ok(self.skip_line(at_end)),
            Phase::Header(_) => self.read_header(at_end),
            Phase::Synchronise(body) => {
                let body = *body;
                Ok(self.synchronise(body, at_end))
            }
            Phase::Body => self.read_rows(at_end),
            Phase::Done => Ok(false),
            Phase::TooLong { .. } => self.skip_long_record(at_end),
        }
    }

    /// Skips one line of the preamble; false when the buffer does not hold it.
    fn skip_line(&mut self, at_end: bool) -> bool {
        let rest = &self.buffer[self.scanned..];
        let length = match memchr::memchr2(b'\n', b'\r', rest) {
            Some(end) if rest[end] == b'\n' => end + 1,
            Some(end) if end + 1 < rest.len() => end + 1 + usize::from(rest[end + 1] == b'\n'),
            Some(end) if at_end => end + 1,
            None if at_end && !rest.is_empty() => rest.len(),
            _ => return false,
        };
        self.scanned += length;
        self.line += 1;
        self.counts.preamble += 1;
        if let Phase::Preamble(lines) = &mut self.phase {
            *lines -= 1;
        }
        true
    }

    /// Collects rows until the batch is full (true) or the buffer holds no further record (false).
    fn read_rows(&mut self, at_end: bool) -> Result<bool, DecodeError> {
        let mut scanner = Scanner::new(&self.settings.syntax, &self.buffer, self.scanned, at_end);
        let width = self.layout.width;
        while self.rows.places.len() < self.batch_rows && self.scanned < BATCH_BYTES {
            if self.range_end.is_some_and(|end| self.buffer_offset + self.scanned as u64 > end) {
                self.phase = Phase::Done;
                return Ok(false);
            }
            let base = self.rows.fields.len();
            let Some(record) = scanner.next_record(&mut self.rows.fields) else {
                return self.wait_or_give_up();
            };
            let line = self.line;
            self.scanned = record.next;
            self.line += u64::from(record.breaks);
            let misfit = match record.kind {
                RecordKind::Fields => {
                    let found = self.rows.fields.len() - base;
                    if found == width {
                        None
                    } else if found > width
                        && (self.settings.cuts_surplus
                            || self.rows.fields[base + width..].iter().all(|field| field.is_blank()))
                    {
                        self.counts.trimmed += 1;
                        self.rows.fields.truncate(base + width);
                        None
                    } else if found > width {
                        Some(RejectCode::TooManyFields)
                    } else if found == 1 && is_white(self.rows.fields[base], &self.buffer) {
                        self.counts.blank += 1;
                        self.rows.fields.truncate(base);
                        continue;
                    } else if self.settings.null_padding {
                        self.counts.padded += 1;
                        self.rows.fields.resize(base + width, FieldSpan::MISSING);
                        None
                    } else {
                        Some(RejectCode::TooFewFields)
                    }
                }
                // In a table of one column a blank line is a NULL, as in DuckDB, but not above the first line.
                RecordKind::Blank if width == 1 && (self.begun || !self.rows.places.is_empty()) => {
                    self.rows.fields.push(FieldSpan::MISSING);
                    None
                }
                RecordKind::Blank => {
                    self.counts.blank += 1;
                    continue;
                }
                RecordKind::Comment => {
                    self.counts.comments += 1;
                    continue;
                }
                kind @ (RecordKind::Malformed | RecordKind::Unclosed | RecordKind::TooLong) => Some(reject_code(kind)),
            };
            let misfit = misfit.or_else(|| {
                let ended = ending(&self.buffer[record.start..record.next])?;
                self.settings.line_break.filter(|only| *only != ended).map(|_| RejectCode::OtherLineBreak)
            });
            match misfit {
                None => self.rows.places.push(Place { start: record.start, end: record.next, line }),
                Some(code) => {
                    let found = self.rows.fields.len() - base;
                    self.rows.fields.truncate(base);
                    let reject = self.reject_at(code, record.start, line, found);
                    record_reject(&mut self.rejects, &mut self.counts, self.settings.policy, &self.file, reject)?;
                }
            }
        }
        self.flush()?;
        Ok(true)
    }

    /// Waits for more bytes (false), unless the unfinished record is longer than is allowed (true).
    fn wait_or_give_up(&mut self) -> Result<bool, DecodeError> {
        let pending = self.buffer.len() - self.scanned;
        let limit = self.settings.syntax.limit;
        if pending <= limit {
            if pending > PIECE / 4 {
                self.retry_at = self.scanned + (2 * pending).min(limit.saturating_add(1));
            }
            return Ok(false);
        }
        let line = &self.buffer[self.scanned..];
        let (skipper, reject) = if Scanner::is_comment(&self.settings.syntax, line) {
            (Skipper::line(0), None)
        } else {
            let reject = self.reject_at(RejectCode::LineTooLong, self.scanned, self.line, 0);
            if self.settings.syntax.strict {
                (Skipper::record(), Some(reject))
            } else {
                // Whatever is quoted was closed within the limit, so that only the line's end is still to come.
                let passed = line.len() - usize::from(line.ends_with(b"\r"));
                let breaks = count_breaks(&line[..passed]);
                self.scanned += passed;
                (Skipper::line(breaks), Some(reject))
            }
        };
        let header = match &mut self.phase {
            Phase::Header(cells) if reject.is_none() => Some(std::mem::take(cells)),
            _ => None,
        };
        self.phase = Phase::TooLong { skipper, reject, header };
        Ok(true)
    }

    /// Throws away a line that is too long; false when its end is not in the buffer.
    fn skip_long_record(&mut self, at_end: bool) -> Result<bool, DecodeError> {
        let Phase::TooLong { skipper, reject, header } = &mut self.phase else { return Ok(true) };
        let (passed, ended) = skipper.skip(&self.buffer[self.scanned..], &self.settings.syntax, at_end);
        self.scanned += passed;
        if !ended && !at_end {
            let phase = std::mem::replace(&mut self.phase, Phase::Done);
            self.flush()?;
            self.phase = phase;
            return Ok(false);
        }
        let (skipper, reject, header) = (*skipper, reject.take(), header.take());
        self.line += u64::from(skipper.breaks);
        match header {
            Some(cells) => self.phase = Phase::Header(cells),
            None => self.enter_body(),
        }
        match reject {
            None => self.counts.comments += 1,
            Some(mut reject) => {
                if !ended && !skipper.is_closed() {
                    reject.code = RejectCode::UnclosedQuote;
                    reject.reason = self.reason(reject.code, 0);
                }
                record_reject(&mut self.rejects, &mut self.counts, self.settings.policy, &self.file, reject)?;
            }
        }
        Ok(ended)
    }

    /// Drops the text that no row of the batch needs any more.
    fn discard_scanned(&mut self) {
        self.buffer.drain(..self.scanned);
        self.retry_at = self.retry_at.saturating_sub(self.scanned);
        self.buffer_offset += self.scanned as u64;
        self.scanned = 0;
    }

    fn reject_at(&self, code: RejectCode, start: usize, line: u64, found: usize) -> LineReject {
        LineReject {
            line,
            byte_offset: self.buffer_offset + start as u64,
            column: None,
            code,
            reason: self.reason(code, found),
        }
    }

    fn reason(&self, code: RejectCode, found: usize) -> String {
        let width = self.layout.width;
        match code {
            RejectCode::TooFewFields => {
                format!("{found} fields where {width} are expected; null_padding fills short lines with NULL")
            }
            RejectCode::TooManyFields => format!("{found} fields where {width} are expected"),
            RejectCode::UnclosedQuote => "a quoted field is never closed".to_owned(),
            RejectCode::MalformedQuote => "text follows a closing quote".to_owned(),
            RejectCode::InvalidEncoding => "the line is not text in the file's encoding".to_owned(),
            RejectCode::LineTooLong => {
                format!("the line is longer than max_line_size ({} bytes)", self.settings.syntax.limit)
            }
            RejectCode::OtherLineBreak => "the line does not end in new_line".to_owned(),
            RejectCode::InvalidValue => "a value does not fit its declared type".to_owned(),
        }
    }
}

/// Why a record that is not made of fields is rejected.
fn reject_code(kind: RecordKind) -> RejectCode {
    match kind {
        RecordKind::Unclosed => RejectCode::UnclosedQuote,
        RecordKind::TooLong => RejectCode::LineTooLong,
        _ => RejectCode::MalformedQuote,
    }
}

/// Sets a line aside, or ends the reading where the policy says so.
fn record_reject(
    rejects: &mut Vec<LineReject>,
    counts: &mut LineCounts,
    policy: OnBadRow,
    file: &str,
    reject: LineReject,
) -> Result<(), DecodeError> {
    if policy == OnBadRow::Fail {
        return Err(DecodeError::Failed(CsvError::BadRow {
            file: file.to_owned(),
            line: reject.line,
            reason: reject.reason,
        }));
    }
    counts.rejects += 1;
    rejects.push(reject);
    Ok(())
}

/// The line break at the end of a record; none at the end of a file.
fn ending(record: &[u8]) -> Option<Newline> {
    match record {
        [.., b'\r', b'\n'] => Some(Newline::Crlf),
        [.., b'\n'] => Some(Newline::Lf),
        [.., b'\r'] => Some(Newline::Cr),
        _ => None,
    }
}

/// A lone field of nothing but white space.
fn is_white(field: FieldSpan, data: &[u8]) -> bool {
    field.kind == FieldKind::Plain && field.bytes(data).trim_ascii().is_empty()
}

/// A field's text for people: unescaped, with damaged characters replaced.
pub(crate) fn text_of(field: FieldSpan, data: &[u8], syntax: &Syntax, scratch: &mut Vec<u8>) -> String {
    let bytes = field.bytes(data);
    let bytes = if field.kind == FieldKind::Escaped { unescape(bytes, syntax, scratch) } else { bytes };
    String::from_utf8_lossy(bytes).into_owned()
}
