//! Reading CSV files from an object store into record batches.
//! Not here: what a line means (crate `tapline-csv`), which files there are (`files`).
//! Called by the query engine when it executes a table of CSV files.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt};
use tapline_core::{Error, SourceReject, codes};
use tapline_csv::{Compression, CsvError, CsvOptions, DecodeError, Decoder, Decompressor, TableFormat};
use tokio::sync::mpsc::Sender;

use super::counters::ScanCounters;
use super::errors::{Widened, carry};
use super::files::TableFile;

/// Bytes of one range request.
const CHUNK: u64 = 8 << 20;
/// Range requests in flight per file.
const AHEAD: usize = 3;
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

/// Some files of a CSV table, read one after the other.
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
    let scan = FileScan {
        table: Arc::clone(&partition.table),
        columns: partition.columns.clone(),
        outputs: partition.outputs.clone(),
        schema: Arc::clone(&partition.schema),
        batch_rows: partition.batch_rows,
    };
    let files = partition.files.clone();
    builder.spawn(async move {
        for file in &files {
            if !scan.read(file, &sender).await? {
                break;
            }
        }
        Ok(())
    });
}

struct FileScan {
    table: Arc<CsvTable>,
    columns: Vec<usize>,
    outputs: Vec<OutputColumn>,
    schema: SchemaRef,
    batch_rows: usize,
}

impl FileScan {
    /// Reads one file to its end; `false` when nobody listens any more.
    async fn read(&self, file: &TableFile, sender: &Sender<Result<RecordBatch>>) -> Result<bool> {
        let table = &self.table;
        table.counters.open(&file.url);
        let mut decoder = Decoder::new(&file.url, &table.format, &table.options)
            .map_err(|error| carry(csv_error(error)))?
            .with_projection(self.columns.clone())
            .with_batch_rows(self.batch_rows);
        let mut chunks = std::pin::pin!(chunks(&table.store, file));
        let mut first_rejects = true;
        let mut decompressor: Option<Decompressor> = None;
        let mut inflated = Vec::new();
        while let Some(chunk) = chunks.try_next().await? {
            let compressed = decompressor.get_or_insert(
                Decompressor::new(Compression::resolve(&table.options, &file.url, &chunk))
                    .map_err(|error| carry(csv_error(error)))?,
            );
            let mut rest = &chunk[..];
            loop {
                inflated.clear();
                let used = compressed
                    .decompress(rest, &mut inflated, INFLATED)
                    .map_err(|error| carry(csv_error(error).context(format!("reading {}", file.url))))?;
                rest = &rest[used..];
                decoder.push(&inflated).map_err(|error| self.decode_error(error))?;
                if !self.drain(file, &mut decoder, &mut first_rejects, sender).await? {
                    return Ok(false);
                }
                if rest.is_empty() && inflated.len() < INFLATED {
                    break;
                }
            }
        }
        if let Some(decompressor) = &decompressor {
            decompressor.finish().map_err(|error| carry(csv_error(error).context(format!("reading {}", file.url))))?;
        }
        decoder.finish().map_err(|error| self.decode_error(error))?;
        table.counters.note_extra(&file.url, decoder.extra_columns());
        self.drain(file, &mut decoder, &mut first_rejects, sender).await
    }

    async fn drain(
        &self,
        file: &TableFile,
        decoder: &mut Decoder,
        first_rejects: &mut bool,
        sender: &Sender<Result<RecordBatch>>,
    ) -> Result<bool> {
        let rejects = decoder.take_rejects();
        if !rejects.is_empty() {
            let rejects = rejects
                .into_iter()
                .map(|reject| SourceReject {
                    file: file.url.clone(),
                    line: reject.line,
                    byte_offset: reject.byte_offset,
                    column: reject.column,
                    reason: reject.reason,
                })
                .collect();
            self.table.counters.keep_rejects(&file.url, std::mem::take(first_rejects), rejects);
        }
        let counts = decoder.counts();
        self.table.counters.set(&file.url, counts.rows, counts.rejects);
        while let Some(batch) = decoder.next_batch() {
            if sender.send(self.output(file, &batch)).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Puts decoded columns and partition values into the order of the output.
    fn output(&self, file: &TableFile, batch: &RecordBatch) -> Result<RecordBatch> {
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

    fn decode_error(&self, error: DecodeError) -> DataFusionError {
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
