//! Reading CSV files from an object store into record batches.
//! Not here: what a line means (crate `tapline-csv`), which files there are (`files`).
//! Called by the query engine when it executes a table of CSV files.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use datafusion::common::ScalarValue;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt};
use tapline_core::{Error, SourceReject, codes};
use tapline_csv::{
    Compression, CsvError, CsvOptions, DecodeError, Decoder, Decompressor, LineCounts, LineReject, TableFormat,
};
use tokio::sync::mpsc::Sender;

use super::counters::ScanCounters;
use super::csv_ranges;
use super::errors::{Widened, carry};
use super::files::TableFile;

/// Bytes of one range request.
pub(crate) const CHUNK: u64 = 4 << 20;
/// Range requests in flight per file.
const AHEAD: usize = 6;
/// Batches of one file that wait until the files before it are through.
const WAITING: usize = 8;
/// Ranges that make reading them at the same time worth it.
const WORTH: u64 = 3;
/// The start of a file that every range of it is given, with the header.
const HEAD: usize = 64 << 10;
/// Most decompressed bytes taken in at once.
const INFLATED: usize = 1 << 20;

/// What all files of one CSV table have in common.
#[derive(Debug)]
pub(crate) struct CsvTable {
    pub(crate) name: String,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) format: TableFormat,
    pub(crate) options: CsvOptions,
    pub(crate) counters: Arc<ScanCounters>,
}

/// The files of a CSV table, whose rows come in the order of the files.
#[derive(Debug)]
pub(crate) struct CsvPartition {
    pub(crate) table: Arc<CsvTable>,
    pub(crate) files: Vec<TableFile>,
    /// Columns of the table's format to decode, in order.
    pub(crate) columns: Vec<usize>,
    /// Which columns of the output are partition values: index into [`TableFile::partition_values`] by output position.
    pub(crate) outputs: Vec<OutputColumn>,
    pub(crate) schema: SchemaRef,
    pub(crate) batch_rows: usize,
    /// Files that are read at the same time, if they are short.
    pub(crate) ahead: usize,
}

/// Where an output column comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OutputColumn {
    /// Position among the decoded columns.
    Decoded(usize),
    /// Position among the file's partition values.
    Partition(usize),
}

impl PartitionStream for CsvPartition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStream::builder(Arc::clone(&self.schema), 2);
        for_each_file(self, &mut builder);
        builder.build()
    }
}

fn for_each_file(
    partition: &CsvPartition,
    builder: &mut datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder,
) {
    let sender = builder.tx();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let scan = Arc::new(FileScan::new(
        Arc::clone(&partition.table),
        partition.columns.clone(),
        partition.outputs.clone(),
        Arc::clone(&partition.schema),
        partition.batch_rows,
        cores,
    ));
    let files = partition.files.clone();
    // Long files are read in ranges at the same time, so that few of them keep all cores busy and memory stays bounded.
    let long = files.iter().any(|file| file.meta.size > WORTH * CHUNK);
    let ahead = if long { partition.ahead.min(2) } else { partition.ahead };
    builder.spawn(async move {
        let reading = futures::stream::iter(files).map(|file| {
            let (batches, received) = tokio::sync::mpsc::channel(WAITING);
            let scan = Arc::clone(&scan);
            let task = SpawnedTask::spawn(async move { scan.read(&file, &batches).await });
            std::future::ready((received, task))
        });
        let mut reading = std::pin::pin!(reading.buffered(ahead.max(1)));
        while let Some((mut batches, task)) = reading.next().await {
            while let Some(batch) = batches.recv().await {
                if sender.send(batch).await.is_err() {
                    return Ok(());
                }
            }
            task.join().await.map_err(|error| DataFusionError::External(Box::new(error)))??;
        }
        Ok(())
    });
}

/// Reads files for one partition.
pub(crate) struct FileScan {
    pub(crate) table: Arc<CsvTable>,
    columns: Vec<usize>,
    outputs: Vec<OutputColumn>,
    schema: SchemaRef,
    batch_rows: usize,
    parallel: usize,
}

/// What of a file was noted so far.
#[derive(Default)]
pub(crate) struct Progress {
    /// Whether rejects are kept: those of the first scan of a file are.
    keeps_rejects: Option<bool>,
    rows: u64,
    rejected: u64,
}

impl FileScan {
    pub(crate) fn new(
        table: Arc<CsvTable>,
        columns: Vec<usize>,
        outputs: Vec<OutputColumn>,
        schema: SchemaRef,
        batch_rows: usize,
        parallel: usize,
    ) -> FileScan {
        FileScan { table, columns, outputs, schema, batch_rows, parallel }
    }

    /// Reads one file to its end; `false` when nobody listens any more.
    pub(crate) async fn read(&self, file: &TableFile, sender: &Sender<Result<RecordBatch>>) -> Result<bool> {
        self.table.counters.open(&file.url);
        let mut chunks = Box::pin(chunks(&self.table.store, file));
        let Some(first) = chunks.try_next().await? else {
            return self.read_through(file, Compression::None, chunks, sender).await;
        };
        let compression = Compression::resolve(&self.table.options, &file.url, &first);
        let head = first.slice(..first.len().min(HEAD));
        let in_ranges = self.parallel > 1
            && file.meta.size > WORTH * CHUNK
            && compression == Compression::None
            && self.decoder(file)?.with_range(&head, CHUNK..2 * CHUNK).is_ok();
        let chunks = futures::stream::once(std::future::ready(Ok(first))).chain(chunks);
        if in_ranges {
            return csv_ranges::read(self, file, &head, chunks, self.parallel, sender).await;
        }
        self.read_through(file, compression, chunks, sender).await
    }

    pub(crate) fn decoder(&self, file: &TableFile) -> Result<Decoder> {
        let table = &self.table;
        let decoder =
            Decoder::new(&file.url, &table.format, &table.options).map_err(|error| carry(csv_error(error)))?;
        Ok(decoder.with_projection(self.columns.clone()).with_batch_rows(self.batch_rows))
    }

    /// Reads a file from front to back.
    async fn read_through(
        &self,
        file: &TableFile,
        compression: Compression,
        chunks: impl Stream<Item = Result<Bytes>>,
        sender: &Sender<Result<RecordBatch>>,
    ) -> Result<bool> {
        let damaged = |error: CsvError| carry(csv_error(error).context(format!("reading {}", file.url)));
        let mut decoder = self.decoder(file)?;
        let mut decompressor = Decompressor::new(compression).map_err(damaged)?;
        let mut chunks = std::pin::pin!(chunks);
        let mut progress = Progress::default();
        let mut inflated = Vec::new();
        while let Some(chunk) = chunks.try_next().await? {
            let mut rest = &chunk[..];
            loop {
                inflated.clear();
                let used = decompressor.decompress(rest, &mut inflated, INFLATED).map_err(damaged)?;
                rest = &rest[used..];
                decoder.push(&inflated).map_err(|error| self.decode_error(error))?;
                if !self.drain(file, &mut decoder, &mut progress, sender).await? {
                    return Ok(false);
                }
                if rest.is_empty() && inflated.len() < INFLATED {
                    break;
                }
            }
        }
        decompressor.finish().map_err(damaged)?;
        decoder.finish().map_err(|error| self.decode_error(error))?;
        self.table.counters.note_extra(&file.url, decoder.extra_columns());
        self.drain(file, &mut decoder, &mut progress, sender).await
    }

    async fn drain(
        &self,
        file: &TableFile,
        decoder: &mut Decoder,
        progress: &mut Progress,
        sender: &Sender<Result<RecordBatch>>,
    ) -> Result<bool> {
        self.note_rejects(file, decoder.take_rejects(), 0, progress);
        let counts = decoder.counts();
        self.table.counters.set(&file.url, counts.rows, counts.rejects);
        while let Some(batch) = decoder.next_batch() {
            if sender.send(self.output(file, &batch)).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Keeps rejected lines, whose numbers count from `lines`.
    pub(crate) fn note_rejects(&self, file: &TableFile, rejects: Vec<LineReject>, lines: u64, progress: &mut Progress) {
        if rejects.is_empty() {
            return;
        }
        let rejects = rejects
            .into_iter()
            .map(|reject| SourceReject {
                file: file.url.clone(),
                line: reject.line + lines,
                byte_offset: reject.byte_offset,
                column: reject.column,
                reason: reject.reason,
            })
            .collect();
        let counters = &self.table.counters;
        if *progress.keeps_rejects.get_or_insert_with(|| counters.is_first_to_reject(&file.url)) {
            counters.keep_rejects(rejects);
        }
    }

    /// Adds the tally of one range of the file.
    pub(crate) fn note_counts(&self, file: &TableFile, counts: LineCounts, progress: &mut Progress) {
        progress.rows += counts.rows;
        progress.rejected += counts.rejects;
        self.table.counters.set(&file.url, progress.rows, progress.rejected);
    }

    /// Puts decoded columns and partition values into the order of the output.
    pub(crate) fn output(&self, file: &TableFile, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = self
            .outputs
            .iter()
            .map(|output| -> Result<ArrayRef> {
                match output {
                    OutputColumn::Decoded(index) => Ok(Arc::clone(batch.column(*index))),
                    OutputColumn::Partition(index) => {
                        let value: &ScalarValue = &file.partition_values[*index];
                        value.to_array_of_size(batch.num_rows())
                    }
                }
            })
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    pub(crate) fn decode_error(&self, error: DecodeError) -> DataFusionError {
        match error {
            DecodeError::Widen(widen) => {
                DataFusionError::External(Box::new(Widened { table: self.table.name.clone(), widen }))
            }
            DecodeError::Failed(error) => carry(csv_error(error)),
        }
    }
}

/// A file's bytes in order, fetched by ranges ahead of their use.
fn chunks(store: &Arc<dyn ObjectStore>, file: &TableFile) -> impl Stream<Item = Result<Bytes>> + use<> {
    let size = file.meta.size;
    let location = file.meta.location.clone();
    let store = Arc::clone(store);
    futures::stream::iter((0..size.div_ceil(CHUNK)).map(move |index| {
        let store = Arc::clone(&store);
        let location = location.clone();
        async move {
            let range = index * CHUNK..((index + 1) * CHUNK).min(size);
            store.get_range(&location, range).await.map_err(|error| DataFusionError::ObjectStore(Box::new(error)))
        }
    }))
    .buffered(AHEAD)
}

/// A CSV error with the code that `explain` knows.
pub(crate) fn csv_error(error: CsvError) -> Error {
    let code = match &error {
        CsvError::BadRow { .. } => codes::FILE_004,
        CsvError::MissingColumn { .. } => codes::FILE_003,
        CsvError::Argument { .. } => codes::SQL_005,
        _ => codes::FILE_002,
    };
    let mapped = Error::new(code, error.to_string());
    match error {
        CsvError::MissingColumn { .. } => mapped
            .hint("read the files with union_by_name = true, which fills missing columns with NULL")
            .hint("or name only files that share their columns"),
        _ => mapped,
    }
}
