//! Reading a file in ranges, so that several decoders can work on it at the same time.
//! Finding records and rows is the same as for whole files (see the parent module).
//! Called by whoever cuts the file and puts the results together.

use std::ops::Range;

use super::{Decoder, Phase};
use crate::encoding::Transcoder;
use crate::error::{CsvError, DecodeError};
use crate::reject::LineCounts;
use crate::scanner::{RecordKind, Scanner, find_record};

/// Text looked at to find where a record begins in the middle of a file.
const SYNCHRONISE_BYTES: usize = 256 * 1024;

impl Decoder {
    /// Limits the decoder to a range of a file, so that several decoders can read one file at the same time. Only files of uncompressed UTF-8
    /// can be read so; for others this is an error.
    ///
    /// A decoder of a range takes the records that start behind `range.start` and up to and including `range.end` (the first range, which starts
    /// at 0, also the one at 0). Push the file's bytes from `range.start` on until [`Decoder::is_done`] or the file's end, then finish. `head` is
    /// the start of the file, at least to the end of its header.
    ///
    /// Where a record begins inside a range is a guess, since a line break may stand inside quotes. The guess is proven right when
    /// [`Decoder::span`] of one range ends where the next one begins, which a [`Seam`] finds out. Line numbers of later ranges count from their
    /// first record.
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
                setting: "encoding".to_owned(),
                message: "only files in UTF-8 can be read in ranges".to_owned(),
            }
            .into());
        }
        self.buffer_offset = self.transcoder.mark as u64;
        while !matches!(self.phase, Phase::Body) {
            if !self.step(false)? {
                return Err(CsvError::Setting {
                    setting: "header".to_owned(),
                    message: "the head of the file does not hold its header".to_owned(),
                }
                .into());
            }
        }
        if !self.begun && self.layout.width == 1 {
            // Blank lines are rows behind the first row, which the ranges cannot know unless it comes first.
            let mut fields = Vec::new();
            let first = Scanner::new(&self.settings.syntax, &self.buffer, self.scanned, false).next_record(&mut fields);
            if !first.is_some_and(|record| record.kind == RecordKind::Fields && fields.len() == 1) {
                return Err(CsvError::Setting {
                    setting: "header".to_owned(),
                    message: "the head of the file does not begin with a row".to_owned(),
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

    /// Finds where a record begins, at `body` or behind it; false when that takes more bytes.
    pub(super) fn synchronise(&mut self, body: u64, at_end: bool) -> bool {
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
}

/// Joins the ranges of one file in their order, and finds those that were read from a wrong guess.
#[derive(Debug, Default)]
pub struct Seam {
    /// Where the next record starts, once a range was joined.
    next: Option<u64>,
    lines: u64,
}

/// How a range fits behind the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It was read from where they end.
    Sound,
    /// Its records all belong to them.
    Covered,
    /// It has to be read again with [`Decoder::with_exact_range`], from this offset on.
    From(u64),
}

impl Seam {
    /// How a range fits that was read as far as `decoder` tells, to its end or to an error.
    pub fn fit(&self, range: &Range<u64>, decoder: &Decoder) -> Fit {
        match self.next {
            Some(next) if next > range.end => Fit::Covered,
            Some(next) if next != decoder.span().start => Fit::From(next),
            _ => Fit::Sound,
        }
    }

    /// Goes on behind a sound range that was read to its end.
    pub fn join(&mut self, decoder: &Decoder) {
        self.next = Some(decoder.span().end);
        self.lines += decoder.lines();
    }

    /// Physical lines of all ranges joined so far, to be added to the line numbers of the next one.
    pub fn lines(&self) -> u64 {
        self.lines
    }
}
