//! Rows become record batches here, and those whose values do not fit become rejects.
//! Which lines are rows was decided before (see the parent module); reading values is the work of `columns`.
//! Called by the decoder whenever enough rows came together, and at the end of a file.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};

use super::{Decoder, record_reject};
use crate::columns::{Built, Cells};
use crate::dialect::CsvColumn;
use crate::error::{CsvError, DecodeError, Widen, WidenColumn};
use crate::reject::{LineReject, RejectCode};
use crate::types::CsvType;

impl Decoder {
    /// Makes a batch of the rows collected so far.
    pub(super) fn flush(&mut self) -> Result<(), DecodeError> {
        if self.rows.places.is_empty() {
            self.discard_scanned();
            return Ok(());
        }
        self.begun = true;
        self.reject_bad_encoding()?;
        let declared = self.reject_declared_misfits()?;
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.projection.len());
        let mut widen: Vec<WidenColumn> = Vec::new();
        let mut widen_line = u64::MAX;
        for column in &self.projection {
            if let Some(array) = &declared[*column] {
                arrays.push(Arc::clone(array));
                continue;
            }
            let built = self.build(*column)?;
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

    fn build(&self, column: usize) -> Result<Built, CsvError> {
        self.readers[column].build(self.cells(column)).map_err(|error| self.batch_error(&error))
    }

    /// Takes rows out that do not fit the binding types, of all columns. Gives the arrays that were built on the way, by column.
    fn reject_declared_misfits(&mut self) -> Result<Vec<Option<ArrayRef>>, DecodeError> {
        let mut arrays: Vec<Option<ArrayRef>> = vec![None; self.columns.len()];
        let mut bad: Vec<(usize, Option<String>)> = Vec::new();
        for (column, array) in arrays.iter_mut().enumerate() {
            let CsvColumn { declared, data_type, name, .. } = &self.columns[column];
            if (*declared || self.settings.types_bind) && *data_type != CsvType::Varchar {
                let built = self.build(column)?;
                bad.extend(built.misfits.into_iter().map(|row| (row, Some(name.clone()))));
                *array = Some(built.array);
            }
        }
        if bad.is_empty() {
            return Ok(arrays);
        }
        bad.sort_by_key(|(row, _)| *row);
        bad.dedup_by_key(|(row, _)| *row);
        self.reject_rows(bad, RejectCode::InvalidValue)?;
        Ok(vec![None; self.columns.len()])
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

    fn batch_error(&self, error: &arrow::error::ArrowError) -> CsvError {
        CsvError::Batch { file: self.file.clone(), message: error.to_string() }
    }
}
