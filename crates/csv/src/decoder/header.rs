//! The header of a file: its names are matched with the table's columns.
//! Which lines are the header was decided by detection; naming columns is the work of `names`.
//! Called by the decoder once per file, before its rows.

use super::{Decoder, Layout, Phase, record_reject, reject_code, text_of};
use crate::error::{CsvError, DecodeError};
use crate::names::{NameIndex, column_names, joined_header};
use crate::reject::RejectCode;
use crate::scanner::{RecordKind, Scanner};
use crate::types::CsvType;

impl Decoder {
    /// Reads the header line and lays out the columns; false when the buffer does not hold it.
    pub(super) fn read_header(&mut self, at_end: bool) -> Result<bool, DecodeError> {
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
                if std::str::from_utf8(&self.buffer[record.start..record.next]).is_err() {
                    // Its names are known as far as they can be read.
                    let reject = self.reject_at(RejectCode::InvalidEncoding, record.start, line, 0);
                    record_reject(&mut self.rejects, &mut self.counts, self.settings.policy, &self.file, reject)?;
                }
                self.counts.header += 1;
                let Phase::Header(lines) = &mut self.phase else { return Ok(true) };
                lines.push(cells);
                if self.counts.header < self.settings.header_lines {
                    return Ok(true);
                }
                let cells = joined_header(std::mem::take(lines));
                if self.settings.by_name {
                    self.layout = self.layout_of(cells)?;
                }
                self.enter_body();
            }
            RecordKind::Malformed | RecordKind::Unclosed | RecordKind::TooLong => {
                // The names cannot be read, the rows can: columns go by position.
                let reject = self.reject_at(reject_code(record.kind), record.start, line, 0);
                record_reject(&mut self.rejects, &mut self.counts, self.settings.policy, &self.file, reject)?;
                self.enter_body();
            }
        }
        Ok(true)
    }

    /// A line that begins with a detected comment mark may be a row all the same: where it has a row's fields and its first value may be text.
    pub(super) fn enter_body(&mut self) {
        self.phase = Phase::Body;
        self.begun |= self.settings.header;
        let first = self.layout.positions.iter().position(|position| *position == Some(0));
        let text_first = first.is_none_or(|column| self.columns[column].data_type == CsvType::Varchar);
        self.settings.syntax.comment_unless_fields =
            (self.settings.may_mark_rows && text_first).then_some(self.layout.width);
    }

    /// Matches the header's names with the table's columns.
    fn layout_of(&self, cells: Vec<String>) -> Result<Layout, CsvError> {
        let blank: Vec<bool> = cells.iter().map(|cell| cell.trim().is_empty()).collect();
        let named = cells.len();
        let padding = self.columns.len().saturating_sub(named);
        let names = column_names(cells.into_iter().chain(std::iter::repeat_n(String::new(), padding)).collect());
        let mut index = NameIndex::new(&names);
        blank.iter().enumerate().filter(|(_, blank)| **blank).for_each(|(position, _)| index.insert_nameless(position));
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
}
