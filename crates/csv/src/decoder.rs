//! The streaming reader of one file: bytes are pushed in, record batches and rejected lines come out.
//! Finding records is `scanner`'s work, reading values is `columns`'; here records become rows, and every line is accounted for.
//! The engine runs one decoder per file; a [`crate::Widen`] makes it start the table again.

use std::collections::VecDeque;
use std::ops::Range;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};

use crate::columns::{Cells, ColumnReader, NullRule};
use crate::dialect::{CsvColumn, NameIndex, TableFormat, column_names};
use crate::encoding::{self, Transcoder};
use crate::error::{CsvError, DecodeError, Widen, WidenColumn};
use crate::numbers::NumberStyle;
use crate::options::{CsvOptions, OnBadRow};
use crate::reject::{LineCounts, LineReject, RejectCode};
use crate::scanner::{FieldKind, FieldSpan, Record, RecordKind, Scanner, Skipper, Syntax, find_record, unescape};
use crate::types::CsvType;

/// Rows per batch unless the caller wants another number.
const BATCH_ROWS: usize = 8192;
/// A batch ends early when its text reaches this size, so that long values do not pile up.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Pushed bytes are taken in pieces of this size.
const PIECE: usize = 1024 * 1024;
/// Text looked at to find where a record begins in the middle of a file.
const SYNCHRONISE_BYTES: usize = 256 * 1024;

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
    null_padding: bool,
    union_by_name: bool,
    header: bool,
    comment_detected: bool,
    /// The header's names decide which field belongs to which column.
    by_name: bool,
    line_limit: usize,
}

enum Phase {
    /// So many physical lines are still to be skipped.
    Preamble(u64),
    Header,
    /// In the middle of a file, before the first line break of a range that begins a record. Records start at this offset or behind it.
    Synchronise(u64),
    Body,
    /// Behind the last record of the range.
    Done,
    /// Inside a record that is too long to keep.
    TooLong(Skipper, LineReject),
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
        let dialect = &format.dialect;
        let style = NumberStyle::new(options);
        let forced = options.force_not_null.as_ref().map(|names| names.as_slice()).unwrap_or_default();
        let mut settings = Settings {
            syntax: Syntax::new(dialect, format.columns.len(), options.is_strict()),
            nulls: NullRule::new(options),
            never_null: format
                .columns
                .iter()
                .map(|column| forced.iter().any(|name| name.eq_ignore_ascii_case(&column.name)))
                .collect(),
            policy: options.bad_row_policy(),
            null_padding: options.null_padding.unwrap_or(false),
            union_by_name: options.union_by_name.unwrap_or(false),
            header: dialect.header,
            comment_detected: dialect.comment_detected,
            by_name: dialect.header && options.columns.is_none(),
            line_limit: options.line_limit(),
        };
        settings.syntax.comment_unless_fields =
            dialect.marks_header(format.columns.iter().map(CsvColumn::name_in_files)).then_some(format.columns.len());
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

    /// Limits the decoder to a range of a file, so that several decoders can read one file at the same time. Only files of uncompressed UTF-8
    /// can be read so; for others this is an error.
    ///
    /// A decoder of a range takes the records that start behind `range.start` and up to and including `range.end` (the first range, which starts
    /// at 0, also the one at 0). Push the file's bytes from `range.start` on until [`Decoder::is_done`] or the file's end, then finish. `head` is
    /// the start of the file, at least to the end of its header.
    ///
    /// Where a record begins inside a range is a guess, since a line break may stand inside quotes. The guess is proven right when
    /// [`Decoder::span`] of one range ends where the next one begins; otherwise read the later range again with [`Decoder::with_exact_range`].
    /// Line numbers of later ranges count from their first record: add the [`Decoder::lines`] of all ranges before.
    ///
    /// # Errors
    /// As [`Decoder::push`], and [`CsvError::Setting`] where the encoding rules ranges out or `head` does not hold the header.
    pub fn with_range(self, head: &[u8], range: Range<u64>) -> Result<Decoder, DecodeError> {
        self.limit(head, range, false)
    }

    /// As [`Decoder::with_range`], for a range that is known to begin with a record: at `range.start` itself.
    ///
    /// # Errors
    /// As [`Decoder::with_range`].
    pub fn with_exact_range(self, head: &[u8], range: Range<u64>) -> Result<Decoder, DecodeError> {
        self.limit(head, range, true)
    }

    fn limit(mut self, head: &[u8], range: Range<u64>, exact: bool) -> Result<Decoder, DecodeError> {
        self.range_end = Some(range.end);
        if range.start == 0 {
            return Ok(self);
        }
        self.transcoder.push(head, &mut self.buffer, true);
        if !self.transcoder.is_transparent() {
            return Err(CsvError::Setting {
                setting: "encoding",
                message: "only files in UTF-8 can be read in ranges".to_owned(),
            }
            .into());
        }
        self.buffer_offset = self.transcoder.mark as u64;
        while !matches!(self.phase, Phase::Body) {
            let goes_on = self.step(true)?;
            if !goes_on {
                return Err(CsvError::Setting {
                    setting: "header",
                    message: "the head of the file does not hold its header".to_owned(),
                }
                .into());
            }
        }
        let body = self.buffer_offset + self.scanned as u64;
        self.transcoder = Transcoder::in_the_middle();
        self.buffer.clear();
        (self.buffer_offset, self.scanned, self.line) = (range.start, 0, 1);
        self.counts = LineCounts::default();
        self.rejects.clear();
        self.phase = if exact { Phase::Body } else { Phase::Synchronise(body) };
        self.first_record = range.start;
        self.begun = true;
        Ok(self)
    }

    /// Whether the range ended, so that no more bytes are needed.
    pub fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    /// Offsets of the first record of the range and of the first one behind it, once the decoder is finished.
    pub fn span(&self) -> Range<u64> {
        self.first_record..self.buffer_offset + self.scanned as u64
    }

    /// Physical lines passed so far, from the first record of the range (or the start of the file).
    pub fn lines(&self) -> u64 {
        self.line - 1
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
                    self.phase = Phase::Header;
                } else {
                    self.enter_body();
                }
                Ok(true)
            }
            Phase::Preamble(_) => Ok(self.skip_line(at_end)),
            Phase::Header => self.read_header(at_end),
            Phase::Synchronise(body) => {
                let body = *body;
                Ok(self.synchronise(body, at_end))
            }
            Phase::Body => self.read_rows(at_end),
            Phase::Done => Ok(false),
            Phase::TooLong(..) => self.skip_long_record(at_end),
        }
    }

    /// Finds where a record begins, at `body` or behind it; false when that takes more bytes.
    fn synchronise(&mut self, body: u64, at_end: bool) -> bool {
        if self.buffer.len() < SYNCHRONISE_BYTES && !at_end {
            return false;
        }
        let before = usize::try_from(body.saturating_sub(self.buffer_offset)).unwrap_or(usize::MAX);
        self.scanned = if before > 0 {
            before.min(self.buffer.len())
        } else {
            find_record(&self.buffer, &self.settings.syntax, self.layout.width, at_end)
        };
        self.first_record = self.buffer_offset + self.scanned as u64;
        self.phase = Phase::Body;
        true
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

    /// Reads the header line and lays out the columns; false when the buffer does not hold it.
    fn read_header(&mut self, at_end: bool) -> Result<bool, DecodeError> {
        let mut fields = Vec::new();
        let record = Scanner::new(&self.settings.syntax, &self.buffer, self.scanned, at_end).next_record(&mut fields);
        let Some(record) = record else {
            return self.wait_or_give_up();
        };
        let line = self.line;
        self.scanned = record.next;
        self.line += u64::from(record.breaks);
        match record.kind {
            RecordKind::Blank => self.counts.blank += 1,
            RecordKind::Comment => self.counts.comments += 1,
            RecordKind::Fields => {
                let mut scratch = Vec::new();
                let cells: Vec<String> = fields
                    .iter()
                    .map(|field| text_of(*field, &self.buffer, &self.settings.syntax, &mut scratch))
                    .collect();
                if self.settings.by_name {
                    self.layout = self.layout_of(cells)?;
                }
                self.counts.header += 1;
                self.enter_body();
            }
            RecordKind::Malformed | RecordKind::Unclosed => {
                // The names cannot be read, the rows can: columns go by position.
                self.reject_record(&record, line)?;
                self.enter_body();
            }
        }
        Ok(true)
    }

    /// A line that begins with a detected comment mark may be a row all the same: where it has a row's fields and its first value may be text.
    fn enter_body(&mut self) {
        self.phase = Phase::Body;
        self.begun = self.settings.header;
        let first = self.layout.positions.iter().position(|position| *position == Some(0));
        let text_first = first.is_none_or(|column| self.columns[column].data_type == CsvType::Varchar);
        self.settings.syntax.comment_unless_fields =
            (self.settings.comment_detected && text_first).then_some(self.layout.width);
    }

    /// Matches the header's names with the table's columns.
    fn layout_of(&self, cells: Vec<String>) -> Result<Layout, CsvError> {
        let blank: Vec<bool> = cells.iter().map(|cell| cell.trim().is_empty()).collect();
        let named = cells.len();
        let padding = self.columns.len().saturating_sub(named);
        let names = column_names(cells.into_iter().chain(std::iter::repeat_n(String::new(), padding)).collect());
        let index = NameIndex::new(&names);
        let mut positions = Vec::with_capacity(self.columns.len());
        let mut used = vec![false; names.len()];
        for column in &self.columns {
            let position = index.find(column.name_in_files());
            match position {
                Some(position) => used[position] = true,
                None if self.settings.union_by_name => {}
                None => {
                    return Err(CsvError::MissingColumn {
                        file: self.file.clone(),
                        column: column.name_in_files().to_owned(),
                    });
                }
            }
            positions.push(position);
        }
        let mut width = named;
        while width > 1 && blank[width - 1] && !used[width - 1] {
            width -= 1;
        }
        width = width.max(positions.iter().flatten().max().map_or(0, |last| last + 1));
        let extra = names
            .iter()
            .enumerate()
            .take(width)
            .filter(|(position, _)| !used[*position])
            .map(|(_, name)| name.clone())
            .collect();
        Ok(Layout { positions, width, extra })
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
                RecordKind::Fields if record.next - record.start > self.settings.line_limit => {
                    Some(RejectCode::LineTooLong)
                }
                RecordKind::Fields => {
                    let found = self.rows.fields.len() - base;
                    if found == width {
                        None
                    } else if found > width && self.rows.fields[base + width..].iter().all(|field| field.is_blank()) {
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
                RecordKind::Malformed => Some(RejectCode::MalformedQuote),
                RecordKind::Unclosed => Some(RejectCode::UnclosedQuote),
            };
            match misfit {
                None => self.rows.places.push(Place { start: record.start, end: record.next, line }),
                Some(code) => {
                    let found = self.rows.fields.len() - base;
                    self.rows.fields.truncate(base);
                    let reject = LineReject {
                        line,
                        byte_offset: self.buffer_offset + record.start as u64,
                        column: None,
                        code,
                        reason: self.reason(code, found),
                    };
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
        if pending <= self.settings.line_limit {
            if pending > PIECE / 16 {
                self.retry_at = self.scanned + (2 * pending).min(self.settings.line_limit + 1);
            }
            return Ok(false);
        }
        let code = RejectCode::LineTooLong;
        let reject = LineReject {
            line: self.line,
            byte_offset: self.buffer_offset + self.scanned as u64,
            column: None,
            code,
            reason: self.reason(code, 0),
        };
        self.phase = Phase::TooLong(Skipper::new(), reject);
        Ok(true)
    }

    /// Throws away a record that is too long; false when its end is not in the buffer.
    fn skip_long_record(&mut self, at_end: bool) -> Result<bool, DecodeError> {
        let Phase::TooLong(skipper, reject) = &mut self.phase else { return Ok(true) };
        let rest = &self.buffer[self.scanned..];
        let end = skipper.skip(rest, &self.settings.syntax);
        self.scanned += end.unwrap_or(rest.len());
        if end.is_none() && !at_end {
            let flushed = std::mem::replace(&mut self.phase, Phase::Body);
            self.flush()?;
            self.phase = flushed;
            self.discard_scanned();
            return Ok(false);
        }
        self.line += u64::from(skipper.breaks);
        let mut reject = reject.clone();
        if end.is_none() && !skipper.is_closed() {
            reject.code = RejectCode::UnclosedQuote;
            reject.reason = self.reason(RejectCode::UnclosedQuote, 0);
        }
        self.phase = Phase::Body;
        record_reject(&mut self.rejects, &mut self.counts, self.settings.policy, &self.file, reject)?;
        Ok(end.is_some())
    }

    /// Drops the text that no row of the batch needs any more.
    fn discard_scanned(&mut self) {
        self.buffer.drain(..self.scanned);
        self.buffer_offset += self.scanned as u64;
        self.scanned = 0;
    }

    /// Makes a batch of the rows collected so far.
    fn flush(&mut self) -> Result<(), DecodeError> {
        if self.rows.places.is_empty() {
            self.discard_scanned();
            return Ok(());
        }
        self.begun = true;
        self.reject_bad_encoding()?;
        let declared: Vec<usize> = (0..self.columns.len()).filter(|column| self.columns[*column].declared).collect();
        self.reject_declared_misfits(&declared)?;
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.projection.len());
        let mut widen: Vec<WidenColumn> = Vec::new();
        let mut widen_line = u64::MAX;
        for column in &self.projection {
            let built = self.readers[*column].build(self.cells(*column)).map_err(|error| self.batch_error(&error))?;
            if let Some(row) = built.misfits.first() {
                let from = self.columns[*column].data_type;
                widen.push(WidenColumn {
                    name: self.columns[*column].name.clone(),
                    from,
                    to: self.readers[*column].wider_type(self.cells(*column)),
                });
                widen_line = widen_line.min(self.rows.places[*row].line);
            }
            arrays.push(built.array);
        }
        if !widen.is_empty() {
            return Err(DecodeError::Widen(Widen { file: self.file.clone(), line: widen_line, columns: widen }));
        }
        let rows = self.rows.places.len();
        if rows > 0 {
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
                .map_err(|error| self.batch_error(&error))?;
            self.batches.push_back(batch);
            self.counts.rows += rows as u64;
        }
        self.rows.fields.clear();
        self.rows.places.clear();
        self.discard_scanned();
        Ok(())
    }

    fn cells(&self, column: usize) -> Cells<'_> {
        Cells {
            data: &self.buffer,
            fields: &self.rows.fields,
            stride: self.layout.width,
            position: self.layout.positions[column],
            rows: self.rows.places.len(),
            syntax: &self.settings.syntax,
            nulls: &self.settings.nulls,
            never_null: self.settings.never_null[column],
        }
    }

    fn reject_bad_encoding(&mut self) -> Result<(), DecodeError> {
        let start = self.rows.places.first().map_or(0, |place| place.start);
        if std::str::from_utf8(&self.buffer[start..self.scanned]).is_ok() {
            return Ok(());
        }
        let bad: Vec<(usize, Option<String>)> = (0..self.rows.places.len())
            .filter(|row| {
                let place = self.rows.places[*row];
                std::str::from_utf8(&self.buffer[place.start..place.end]).is_err()
            })
            .map(|row| (row, None))
            .collect();
        self.reject_rows(bad, RejectCode::InvalidEncoding)
    }

    fn reject_declared_misfits(&mut self, declared: &[usize]) -> Result<(), DecodeError> {
        let mut bad: Vec<(usize, Option<String>)> = Vec::new();
        for column in declared {
            let built = self.readers[*column].build(self.cells(*column)).map_err(|error| self.batch_error(&error))?;
            bad.extend(built.misfits.into_iter().map(|row| (row, Some(self.columns[*column].name.clone()))));
        }
        bad.sort_by_key(|(row, _)| *row);
        bad.dedup_by_key(|(row, _)| *row);
        self.reject_rows(bad, RejectCode::InvalidValue)
    }

    /// Takes rows (in ascending order, with the column to blame) out of the batch.
    fn reject_rows(&mut self, bad: Vec<(usize, Option<String>)>, code: RejectCode) -> Result<(), DecodeError> {
        if bad.is_empty() {
            return Ok(());
        }
        let mut keep = vec![true; self.rows.places.len()];
        for (row, column) in bad {
            keep[row] = false;
            let place = self.rows.places[row];
            let type_name = column
                .as_ref()
                .and_then(|name| self.columns.iter().find(|column| column.name == *name))
                .map(|column| column.data_type);
            let reason = match type_name {
                Some(type_name) => format!("the value is not a {type_name}"),
                None => self.reason(code, 0),
            };
            let reject = LineReject {
                line: place.line,
                byte_offset: self.buffer_offset + place.start as u64,
                column,
                code,
                reason,
            };
            record_reject(&mut self.rejects, &mut self.counts, self.settings.policy, &self.file, reject)?;
        }
        let width = self.layout.width;
        let kept = |row: usize| keep[row];
        self.rows.fields = self
            .rows
            .fields
            .chunks(width)
            .enumerate()
            .filter(|(row, _)| kept(*row))
            .flat_map(|(_, fields)| fields.iter().copied())
            .collect();
        self.rows.places =
            self.rows.places.iter().enumerate().filter(|(row, _)| kept(*row)).map(|(_, place)| *place).collect();
        Ok(())
    }

    fn reject_record(&mut self, record: &Record, line: u64) -> Result<(), DecodeError> {
        let code =
            if record.kind == RecordKind::Unclosed { RejectCode::UnclosedQuote } else { RejectCode::MalformedQuote };
        let reject = LineReject {
            line,
            byte_offset: self.buffer_offset + record.start as u64,
            column: None,
            code,
            reason: self.reason(code, 0),
        };
        record_reject(&mut self.rejects, &mut self.counts, self.settings.policy, &self.file, reject)
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
                format!("the line is longer than max_line_size ({} bytes)", self.settings.line_limit)
            }
            RejectCode::InvalidValue => "a value does not fit its declared type".to_owned(),
        }
    }

    fn batch_error(&self, error: &arrow::error::ArrowError) -> CsvError {
        CsvError::Batch { file: self.file.clone(), message: error.to_string() }
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
