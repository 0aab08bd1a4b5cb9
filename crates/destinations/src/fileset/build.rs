//! The files of a run: rows of the set that stay, and staged rows, as files of this machine.
//! Not here: which rows those are (`keys`), and what becomes of the files.
//! Called while a run is published, on a thread that may block.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeBinaryArray, RecordBatch, RecordBatchOptions, RecordBatchReader, new_null_array,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use tapline_core::{Error, Result, codes, failpoint};

use super::encode::{Part, Parts, Style};
use super::keys::{Bits, Decision, Entries, Entry, Hash, hashes_of};
use super::layout::{Content, Format, Layout};
use super::spool::Spool;
use super::types::convert;

/// Rows of a set that are read at once.
const ROWS_AT_ONCE: usize = 4_096;

/// The field beside the keys by which `content: diff` tells whether a row has changed.
const VALUES: &str = "_tapline_values";

/// Opens files of rows for reading some of their fields; all of them where `names` is `None`.
pub(super) fn rows_of(file: File, names: Option<&[String]>) -> Result<ParquetRecordBatchReader> {
    let failed = |error| {
        Error::new(codes::DEST_006, "reading the rows of a set of files")
            .because(error)
            .hint("a file was changed by somebody else: run the sync with --full-refresh to write all files anew")
    };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?;
    let schema = builder.schema().clone();
    let wanted = |name: &String| names.is_none_or(|names| names.contains(name));
    let columns = (0..schema.fields().len()).filter(|index| wanted(schema.field(*index).name()));
    let mask = ProjectionMask::roots(builder.parquet_schema(), columns);
    builder.with_projection(mask).with_batch_size(ROWS_AT_ONCE).build().map_err(failed)
}

pub(super) fn unreadable(error: arrow::error::ArrowError) -> Error {
    Error::new(codes::DEST_006, "reading the rows of a set of files").because(error)
}

/// The names of a file's fields.
pub(super) fn names_in(file: &File) -> Result<Vec<String>> {
    let schema = rows_of(copy(file)?, None)?.schema();
    Ok(schema.fields().iter().map(|field| field.name().clone()).collect())
}

/// The rows of a set by the hashes of these fields.
pub(super) fn entries_of(files: &[File], key: &[String]) -> Result<Entries> {
    let mut entries = Entries::default();
    let mut number = 0;
    let names: Vec<String> = key.iter().cloned().chain([VALUES.to_owned()]).collect();
    for file in files {
        for rows in rows_of(copy(file)?, Some(&names))? {
            let rows = rows.map_err(unreadable)?;
            let values = rows.column_by_name(VALUES).map(known_values).transpose()?;
            for (row, key) in hashes_of(&rows, key)?.into_iter().enumerate() {
                let values = values.as_ref().map_or([0; 16], |values| values[row]);
                entries.push(Entry { key, place: number, values })?;
                number += 1;
            }
        }
    }
    Ok(entries)
}

fn known_values(values: &ArrayRef) -> Result<Vec<Hash>> {
    let values = values.as_any().downcast_ref::<FixedSizeBinaryArray>();
    let values = values.ok_or_else(|| Error::internal("hashes of rows are of another type"))?;
    let hash = |value: Option<&[u8]>| value.and_then(|value| value.try_into().ok()).unwrap_or_default();
    Ok(values.iter().map(hash).collect())
}

/// A second handle that reads from the start.
fn copy(file: &File) -> Result<File> {
    file.try_clone().map_err(|error| super::local::fault("reading the rows of a set of files", error))
}

/// What a run writes.
pub(super) struct Job {
    pub(super) layout: Layout,
    /// The schema of the rows.
    pub(super) schema: SchemaRef,
    pub(super) key: Vec<String>,
    /// The rows of the set that stands.
    pub(super) before: Vec<File>,
    pub(super) decision: Decision,
    pub(super) live: Vec<Bits>,
    pub(super) spool: Spool,
}

/// The files of a run on this machine.
#[derive(Debug, Default)]
pub(super) struct Built {
    /// For readers; with the kind of change where they hold changes.
    pub(super) files: Vec<(Option<&'static str>, Vec<Part>)>,
    /// The rows for the next run, where `files` are not that themselves.
    pub(super) kept: Vec<Part>,
}

impl Job {
    /// Writes the files into a folder.
    pub(super) fn build(self, folder: &Path) -> Result<Built> {
        match self.layout.content {
            Content::All => self.build_all(folder),
            Content::Diff => self.build_diff(folder),
        }
    }

    fn build_all(self, folder: &Path) -> Result<Built> {
        let Self { layout, schema, before, decision, live, spool, .. } = self;
        let mut files = Parts::new(Style::of(&layout), schema.clone(), folder, "rows");
        let own = layout.format != Format::Parquet;
        let mut kept = own.then(|| Parts::new(Style::own(), schema.clone(), folder, "kept"));
        let mut write = |rows: &RecordBatch| {
            files.write(rows)?;
            kept.as_mut().map_or(Ok(()), |kept| kept.write(rows))
        };
        each(&before, |rows, start| {
            let stay = !&decision.dropped.slice(start, rows.num_rows());
            write(&aligned(&some(rows, stay)?, &schema)?)
        })?;
        failpoint("publish-deleted");
        for staged in spool.read()? {
            let (seq, rows) = staged?;
            write(&some(&rows, live[seq as usize].slice(0, rows.num_rows()))?)?;
        }
        failpoint("publish-updated");
        failpoint("publish-inserted");
        let kept = kept.map(Parts::finish).transpose()?.unwrap_or_default();
        Ok(Built { files: vec![(None, files.finish()?)], kept })
    }

    fn build_diff(self, folder: &Path) -> Result<Built> {
        let Self { layout, schema, key, before, decision, live, spool } = self;
        let keys = keys_of(&schema, &key)?;
        let kept_schema = with_values(&keys);
        let parts = |schema: &SchemaRef, name: &str| Parts::new(Style::of(&layout), schema.clone(), folder, name);
        let mut kept = Parts::new(Style::own(), kept_schema.clone(), folder, "kept");
        let mut removed = parts(&keys, "removed");
        each(&before, |rows, start| {
            let stay = !&decision.dropped.slice(start, rows.num_rows());
            kept.write(&aligned(&some(rows, stay)?, &kept_schema)?)?;
            let gone = decision.gone.slice(start, rows.num_rows());
            removed.write(&aligned(&some(rows, gone)?, &keys)?)
        })?;
        failpoint("publish-deleted");
        let (mut added, mut changed) = (parts(&schema, "added"), parts(&schema, "changed"));
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        for staged in spool.read()? {
            let (seq, rows) = staged?;
            let bits = |bits: &[Bits]| bits[seq as usize].slice(0, rows.num_rows());
            let (live, known, same) = (bits(&live), bits(&decision.known), bits(&decision.same));
            added.write(&some(&rows, &live & &!&known)?)?;
            changed.write(&some(&rows, &(&live & &known) & &!&same)?)?;
            let values = FixedSizeBinaryArray::try_from_iter(hashes_of(&rows, &names)?.into_iter());
            let values = match values {
                Ok(values) => Arc::new(values) as ArrayRef,
                // An array of nothing has no length of its own.
                Err(_) => new_null_array(&DataType::FixedSizeBinary(16), rows.num_rows()),
            };
            let mut columns = aligned(&rows, &keys)?.columns().to_vec();
            columns.push(values);
            kept.write(&some(&batch(&kept_schema, columns, rows.num_rows())?, live)?)?;
        }
        failpoint("publish-updated");
        failpoint("publish-inserted");
        let files = vec![
            (Some("added"), added.finish_some()?),
            (Some("changed"), changed.finish_some()?),
            (Some("removed"), removed.finish_some()?),
        ];
        Ok(Built { files, kept: kept.finish()? })
    }
}

/// Hands every batch of a set on, with the number of its first row.
fn each(files: &[File], mut take: impl FnMut(&RecordBatch, usize) -> Result<()>) -> Result<()> {
    let mut start = 0;
    for file in files {
        for rows in rows_of(copy(file)?, None)? {
            let rows = rows.map_err(unreadable)?;
            take(&rows, start)?;
            start += rows.num_rows();
        }
    }
    Ok(())
}

/// Some of the rows.
fn some(rows: &RecordBatch, wanted: BooleanBuffer) -> Result<RecordBatch> {
    if wanted.count_set_bits() == rows.num_rows() {
        return Ok(rows.clone());
    }
    filter_record_batch(rows, &BooleanArray::new(wanted, None))
        .map_err(|error| Error::internal("choosing rows").because(error))
}

/// The rows under another schema: fields by their names, in their types, NULL where they were not there.
fn aligned(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let column = |field: &FieldRef| {
        let Some((index, old)) = rows.schema_ref().fields().find(field.name()) else {
            return Ok(new_null_array(field.data_type(), rows.num_rows()));
        };
        let converted = convert(old, rows.column(index), field.data_type())?;
        if converted.misfits.is_empty() {
            return Ok(converted.values);
        }
        Err(Error::new(
            codes::DEST_004,
            format!("rows that stay cannot take the new type of their field {:?}", field.name()),
        )
        .hint("cast the field in the model's SQL to the type that it had"))
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    batch(schema, columns, rows.num_rows())
}

pub(super) fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|error| Error::internal("putting rows together").because(error))
}

/// The key fields of a schema, in the order of the key.
fn keys_of(schema: &SchemaRef, key: &[String]) -> Result<SchemaRef> {
    let field = |name: &String| schema.fields().find(name).map(|(_, field)| field.clone());
    let fields: Option<Vec<FieldRef>> = key.iter().map(field).collect();
    fields.map(|fields| Arc::new(Schema::new(fields)) as SchemaRef).ok_or_else(|| Error::internal("a key is no field"))
}

fn with_values(keys: &SchemaRef) -> SchemaRef {
    let values = Arc::new(Field::new(VALUES, DataType::FixedSizeBinary(16), true));
    Arc::new(Schema::new(keys.fields().iter().cloned().chain([values]).collect::<Vec<_>>()))
}
