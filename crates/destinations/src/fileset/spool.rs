//! Staged rows on the disk of this machine, until it is clear which of them are written.
//! Not here: what is decided about them (`keys`).
//! Called for every batch that is staged, and when the run is published.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, SeekFrom};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use tapline_core::{Error, Result};

use super::local;

/// Batches of one schema, in a file that is gone with the process.
pub(super) struct Spool {
    file: File,
    writer: StreamWriter<BufWriter<File>>,
    /// The number of each batch.
    seqs: Vec<u64>,
}

impl Spool {
    pub(super) fn new(schema: &SchemaRef) -> Result<Self> {
        let failed = |error| local::fault("making a temporary file for staged rows", error);
        let file = tempfile::tempfile().map_err(failed)?;
        let copy = BufWriter::with_capacity(1 << 18, file.try_clone().map_err(failed)?);
        Ok(Self { file, writer: StreamWriter::try_new(copy, schema).map_err(staging_failed)?, seqs: Vec::new() })
    }

    pub(super) fn push(&mut self, seq: u64, rows: &RecordBatch) -> Result<()> {
        self.writer.write(rows).map_err(staging_failed)?;
        self.seqs.push(seq);
        Ok(())
    }

    /// The batches with their numbers, in the order they came.
    pub(super) fn read(self) -> Result<impl Iterator<Item = Result<(u64, RecordBatch)>>> {
        let Self { mut file, mut writer, seqs } = self;
        writer.finish().map_err(staging_failed)?;
        drop(writer.into_inner().map_err(staging_failed)?);
        file.seek(SeekFrom::Start(0)).map_err(|error| local::fault("reading staged rows", error))?;
        let batches = StreamReader::try_new(BufReader::with_capacity(1 << 18, file), None).map_err(staging_failed)?;
        Ok(seqs.into_iter().zip(batches).map(|(seq, rows)| Ok((seq, rows.map_err(staging_failed)?))))
    }
}

fn staging_failed(error: arrow::error::ArrowError) -> Error {
    match error {
        arrow::error::ArrowError::IoError(_, cause) => local::fault("staging rows on the disk", cause),
        error => Error::internal("staging rows on the disk").because(error),
    }
}
