//! Reading files with one JSON object per line from an object store, compressed or not.
//! Not here: what a line's values are (`ndjson`).
//! Called by `table` to describe files, and by the query engine when it executes a table of them.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::json::reader::{Decoder, ReaderBuilder};
use bytes::Bytes;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt};
use tapline_core::{Error, Result, SourceReject, codes};
use tapline_csv::{Compression, Decompressor};
use tokio::sync::mpsc::Sender;

use super::counters::ScanCounters;
use super::csv_scan::OutputColumn;
use super::errors::{carry, from_datafusion};
use super::files::{TableFile, TableFiles};
use super::ndjson::{Shape, read_line};

/// Bytes of one range request.
const CHUNK: u64 = 8 << 20;
/// Range requests in flight per file.
const AHEAD: usize = 3;
/// Most decompressed bytes taken in at once.
const INFLATED: usize = 1 << 20;
/// A longer line is no row.
const LONGEST_LINE: usize = 64 << 20;
/// Files that are looked into at the same time.
const CONCURRENCY: usize = 8;

/// The columns of all files, from all their lines.
///
/// # Errors
/// `FILE-005` for a file without any JSON object on a line of its own, and for columns that no type holds.
pub(crate) async fn columns(files: &TableFiles) -> Result<Vec<FieldRef>> {
    let shapes: Vec<Shape> = futures::stream::iter(&files.files)
        .map(async |file| {
            shape_of(&files.store, file)
                .await
                .map_err(|error| from_datafusion(&error, &format!("reading {}", file.url), &[]))
        })
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    let mut all = Shape::of_lines();
    shapes.into_iter().for_each(|shape| all.merge(shape));
    all.fields().map_err(|column| {
        let what = match files.files.as_slice() {
            [one] => one.url.clone(),
            files => format!("{} files", files.len()),
        };
        Error::new(codes::FILE_005, format!("reading {what}: \"{column}\" is an object or list in some lines only"))
            .hint("give the member one type where the file is written")
    })
}

async fn shape_of(store: &Arc<dyn ObjectStore>, file: &TableFile) -> EngineResult<Shape> {
    let mut shape = Shape::of_lines();
    let (mut rows, mut problem) = (0_u64, None);
    let mut lines = Lines::default();
    let mut pieces = Pieces::of(store, file);
    while lines.fill(&mut pieces).await? {
        while let Some((_, line)) = lines.next() {
            match read_line(line, &mut shape) {
                Ok(()) => rows += 1,
                Err(reason) => problem = problem.or(Some(reason)),
            }
        }
    }
    match problem.filter(|_| rows == 0) {
        None => Ok(shape),
        Some(reason) => {
            let words = format!("reading {}: it is not a file of JSON lines: {reason}", file.url);
            Err(carry(Error::new(codes::FILE_005, words).hint("each line must be one JSON object: {\"id\": 1}")))
        }
    }
}

/// What all files of one table have in common.
#[derive(Debug)]
pub(crate) struct NdjsonTable {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The columns to decode.
    pub(crate) decoded: SchemaRef,
    /// Where each column of the output comes from.
    pub(crate) outputs: Vec<OutputColumn>,
    pub(crate) schema: SchemaRef,
    pub(crate) batch_rows: usize,
    pub(crate) counters: Arc<ScanCounters>,
}

/// Some files of a table, read one after the other.
#[derive(Debug)]
pub(crate) struct NdjsonPartition {
    pub(crate) table: Arc<NdjsonTable>,
    pub(crate) files: Vec<TableFile>,
}

impl PartitionStream for NdjsonPartition {
    fn schema(&self) -> &SchemaRef {
        &self.table.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStream::builder(Arc::clone(&self.table.schema), 2);
        let sender = builder.tx();
        let (table, files) = (Arc::clone(&self.table), self.files.clone());
        builder.spawn(async move {
            for file in &files {
                if !table.read(file, &sender).await? {
                    break;
                }
            }
            Ok(())
        });
        builder.build()
    }
}

impl NdjsonTable {
    /// Reads one file to its end; `false` when nobody listens any more.
    async fn read(&self, file: &TableFile, sender: &Sender<EngineResult<RecordBatch>>) -> EngineResult<bool> {
        self.counters.open(&file.url);
        let mut decoder = ReaderBuilder::new(Arc::clone(&self.decoded))
            .with_batch_size(self.batch_rows)
            .with_coerce_primitive(true)
            .build_decoder()?;
        let mut lines = Lines::default();
        let mut pieces = Pieces::of(&self.store, file);
        let (mut rows, mut rejected) = (0, 0);
        let mut keeps_rejects = None;
        while lines.fill(&mut pieces).await? {
            let mut good = Vec::new();
            let mut good_rows = 0;
            let mut rejects = Vec::new();
            while let Some((place, line)) = lines.next() {
                match read_line(line, &mut Shape::of_lines()) {
                    Ok(()) => {
                        good.extend_from_slice(line);
                        good.push(b'\n');
                        good_rows += 1;
                    }
                    Err(reason) => rejects.push((place, reason)),
                }
            }
            rows += good_rows;
            rejected += rejects.len() as u64;
            if !rejects.is_empty() && *keeps_rejects.get_or_insert_with(|| self.counters.is_first_to_reject(&file.url))
            {
                let rejects = rejects.into_iter().map(|(place, reason)| reject(file, place, reason));
                self.counters.keep_rejects(rejects.collect());
            }
            self.counters.set(&file.url, rows, rejected);
            if !self.give(file, &mut decoder, &good, good_rows, sender).await? {
                return Ok(false);
            }
        }
        match decoder.flush()? {
            Some(batch) => Ok(sender.send(self.output(file, batch.columns(), batch.num_rows())).await.is_ok()),
            None => Ok(true),
        }
    }

    /// Decodes lines and sends the batches that are full; `false` when nobody listens any more.
    async fn give(
        &self,
        file: &TableFile,
        decoder: &mut Decoder,
        lines: &[u8],
        rows: u64,
        sender: &Sender<EngineResult<RecordBatch>>,
    ) -> EngineResult<bool> {
        if self.decoded.fields().is_empty() {
            let rows = usize::try_from(rows).unwrap_or(usize::MAX);
            return Ok(rows == 0 || sender.send(self.output(file, &[], rows)).await.is_ok());
        }
        let mut rest = lines;
        loop {
            let used = decoder.decode(rest)?;
            rest = &rest[used..];
            if rest.is_empty() {
                return Ok(true);
            }
            let Some(batch) = decoder.flush()? else { return Ok(true) };
            if sender.send(self.output(file, batch.columns(), batch.num_rows())).await.is_err() {
                return Ok(false);
            }
        }
    }

    /// Puts decoded columns and what the file's place says into the order of the output.
    fn output(&self, file: &TableFile, decoded: &[ArrayRef], rows: usize) -> EngineResult<RecordBatch> {
        let columns = self
            .outputs
            .iter()
            .map(|output| match output {
                OutputColumn::Decoded(index) => Ok(Arc::clone(&decoded[*index])),
                OutputColumn::Partition(index) => file.partition_values[*index].to_array_of_size(rows),
            })
            .collect::<EngineResult<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

fn reject(file: &TableFile, place: LinePlace, reason: &str) -> SourceReject {
    let LinePlace { line, byte_offset } = place;
    SourceReject { file: file.url.clone(), line, byte_offset, column: None, reason: reason.to_owned() }
}

/// Cuts a file's pieces into lines.
#[derive(Default)]
struct Lines {
    buffer: Vec<u8>,
    start: usize,
    /// Bytes of the file before the buffer.
    before: u64,
    number: u64,
    ended: bool,
}

/// Where a line stands in its file, after decompression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LinePlace {
    line: u64,
    byte_offset: u64,
}

impl Lines {
    /// Takes the next piece of a file; `false` after the last.
    async fn fill(&mut self, pieces: &mut Pieces<'_>) -> EngineResult<bool> {
        if self.ended {
            return Ok(false);
        }
        self.buffer.drain(..self.start);
        self.before += self.start as u64;
        self.start = 0;
        match pieces.next().await? {
            Some(piece) => self.buffer.extend_from_slice(&piece),
            None => self.ended = true,
        }
        if self.buffer.len() > LONGEST_LINE {
            let words = format!("reading {}: a line is longer than {} MiB", pieces.url, LONGEST_LINE >> 20);
            return Err(carry(Error::new(codes::FILE_005, words).hint("write one JSON object per line")));
        }
        Ok(true)
    }

    /// The next complete line that is not blank, with its place; the rest of the file counts as complete at its end.
    fn next(&mut self) -> Option<(LinePlace, &[u8])> {
        loop {
            let rest = &self.buffer[self.start..];
            let length = match rest.iter().position(|byte| *byte == b'\n') {
                Some(length) => length,
                None if self.ended && !rest.is_empty() => rest.len(),
                None => return None,
            };
            let line = self.start..self.start + length;
            self.start = (line.end + 1).min(self.buffer.len());
            self.number += 1;
            if !self.buffer[line.clone()].trim_ascii().is_empty() {
                let place = LinePlace { line: self.number, byte_offset: self.before + line.start as u64 };
                return Some((place, &self.buffer[line]));
            }
        }
    }
}

/// A file's bytes in order, decompressed by its name or its first bytes.
struct Pieces<'a> {
    url: &'a str,
    chunks: BoxStream<'a, EngineResult<Bytes>>,
    decompressor: Option<Decompressor>,
    chunk: Bytes,
    /// Whether the last piece was full, so that there may be more of what was taken in.
    holds_more: bool,
}

impl<'a> Pieces<'a> {
    fn of(store: &Arc<dyn ObjectStore>, file: &'a TableFile) -> Self {
        let size = file.meta.size;
        let store = Arc::clone(store);
        let chunks = futures::stream::iter((0..size.div_ceil(CHUNK)).map(move |index| {
            let store = Arc::clone(&store);
            async move {
                let range = index * CHUNK..((index + 1) * CHUNK).min(size);
                let read = store.get_range(&file.meta.location, range).await;
                read.map_err(|error| DataFusionError::ObjectStore(Box::new(error)))
            }
        }))
        .buffered(AHEAD)
        .boxed();
        Self { url: &file.url, chunks, decompressor: None, chunk: Bytes::new(), holds_more: false }
    }

    async fn next(&mut self) -> EngineResult<Option<Vec<u8>>> {
        let failed = |error: tapline_csv::CsvError, url: &str| {
            let error = Error::new(codes::FILE_005, format!("reading {url}")).because(error);
            carry(error.hint("make sure the file is complete, and compressed as its name or its first bytes say"))
        };
        loop {
            if self.chunk.is_empty() && !self.holds_more {
                match self.chunks.try_next().await? {
                    Some(chunk) => self.chunk = chunk,
                    None => {
                        let finished = self.decompressor.as_ref().map_or(Ok(()), Decompressor::finish);
                        return finished.map(|()| None).map_err(|error| failed(error, self.url));
                    }
                }
            }
            let decompressor = match &mut self.decompressor {
                Some(decompressor) => decompressor,
                none => none.insert(
                    Decompressor::new(Compression::detect(self.url, &self.chunk))
                        .map_err(|error| failed(error, self.url))?,
                ),
            };
            let mut piece = Vec::new();
            let used =
                decompressor.decompress(&self.chunk, &mut piece, INFLATED).map_err(|error| failed(error, self.url))?;
            self.chunk = self.chunk.split_off(used);
            self.holds_more = piece.len() >= INFLATED;
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_counted() {
        let mut lines = Lines { buffer: b"a\n\n b\r\nc".to_vec(), ..Lines::default() };
        let place = |line, byte_offset| LinePlace { line, byte_offset };
        assert_eq!(lines.next(), Some((place(1, 0), &b"a"[..])));
        assert_eq!(lines.next(), Some((place(3, 3), &b" b\r"[..])));
        assert_eq!(lines.next(), None);
        lines.ended = true;
        assert_eq!(lines.next(), Some((place(4, 7), &b"c"[..])));
        assert_eq!(lines.next(), None);
    }
}
