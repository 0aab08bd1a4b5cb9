//! Reading one CSV file in ranges at the same time, with its rows in the order of the file.
//! Not here: what a range is and how ranges are joined (crate `tapline-csv`), files read from front to back (`csv_scan`).
//! Called by the scan of a CSV file that is long enough to be worth it.

use std::ops::Range;

use arrow::array::RecordBatch;
use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use futures::{Stream, StreamExt, TryStreamExt, future, stream};
use object_store::ObjectStoreExt;
use tapline_csv::{DecodeError, Decoder, Fit, LineReject, Seam};
use tokio::sync::mpsc::Sender;

use super::csv_scan::{CHUNK, FileScan, Progress};
use super::files::TableFile;

/// What was read of one range.
struct Part {
    decoder: Decoder,
    batches: Vec<RecordBatch>,
    rejects: Vec<LineReject>,
    outcome: Result<(), DecodeError>,
}

impl Part {
    /// Feeds a decoder with bytes; `last` of the file.
    fn read(decoder: Decoder, pieces: &[Bytes], last: bool) -> Part {
        let mut part = Part { decoder, batches: Vec::new(), rejects: Vec::new(), outcome: Ok(()) };
        part.feed(pieces, last);
        part
    }

    fn feed(&mut self, pieces: &[Bytes], last: bool) {
        for piece in pieces {
            if self.outcome.is_ok() && !self.decoder.is_done() {
                self.outcome = self.decoder.push(piece);
                self.drain();
            }
        }
        if self.outcome.is_ok() && (last || self.decoder.is_done()) {
            self.outcome = self.decoder.finish();
            self.drain();
        }
    }

    fn drain(&mut self) {
        self.batches.extend(std::iter::from_fn(|| self.decoder.next_batch()));
        self.rejects.extend(self.decoder.take_rejects());
    }
}

/// The bytes of a range, and of the one behind it, into which its last record may reach.
struct Bite {
    range: Range<u64>,
    pieces: Vec<Bytes>,
}

impl Bite {
    /// Where its bytes end.
    fn end(&self) -> u64 {
        self.range.start + self.pieces.iter().map(|piece| piece.len() as u64).sum::<u64>()
    }

    /// The bytes from an offset on.
    fn from(&self, offset: u64) -> Vec<Bytes> {
        let mut before = usize::try_from(offset - self.range.start).unwrap_or(usize::MAX);
        let mut pieces = self.pieces.clone();
        for piece in &mut pieces {
            let skipped = before.min(piece.len());
            *piece = piece.slice(skipped..);
            before -= skipped;
        }
        pieces
    }
}

/// Cuts the chunks of a file into ranges.
fn bites(chunks: impl Stream<Item = Result<Bytes>>) -> impl Stream<Item = Result<Bite>> {
    let mut current: Option<Bytes> = None;
    let mut start = 0;
    chunks
        .map_ok(Some)
        .chain(stream::once(future::ready(Ok(None))))
        .map_ok(move |following| (std::mem::replace(&mut current, following.clone()), following))
        .try_filter_map(move |(current, following)| {
            let bite = current.map(|current| {
                let range = start..start + current.len() as u64;
                start = range.end;
                Bite { range, pieces: [Some(current), following].into_iter().flatten().collect() }
            });
            future::ready(Ok(bite))
        })
}

/// Reads a file in ranges, `parallel` of them at a time; `false` when nobody listens any more.
///
/// `head` is the start of the file, with its header; the caller has made sure that the file can be read in ranges.
pub(crate) async fn read(
    scan: &FileScan,
    file: &TableFile,
    head: &Bytes,
    chunks: impl Stream<Item = Result<Bytes>>,
    parallel: usize,
    sender: &Sender<Result<RecordBatch>>,
) -> Result<bool> {
    let size = file.meta.size;
    let decoder = |range: Range<u64>, exact: bool| -> Result<Decoder> {
        let decoder = scan.decoder(file)?;
        let limited = if exact { decoder.with_exact_range(head, range) } else { decoder.with_range(head, range) };
        limited.map_err(|error| scan.decode_error(error))
    };
    let parts = bites(chunks)
        .map(|bite| {
            let reading = bite.and_then(|bite| {
                let (decoder, pieces) = (decoder(bite.range.clone(), false)?, bite.pieces.clone());
                let last = bite.end() == size;
                Ok((bite, SpawnedTask::spawn_blocking(move || Part::read(decoder, &pieces, last))))
            });
            async move {
                let (bite, task) = reading?;
                Ok::<_, DataFusionError>((bite, joined(task).await?))
            }
        })
        .buffered(parallel + 1);
    let mut parts = std::pin::pin!(parts);
    let (mut seam, mut progress) = (Seam::default(), Progress::default());
    while let Some((bite, mut part)) = parts.try_next().await? {
        match seam.fit(&bite.range, &part.decoder) {
            Fit::Covered => continue,
            Fit::Sound => {}
            Fit::From(offset) => {
                let (decoder, pieces) = (decoder(offset..bite.range.end, true)?, bite.from(offset));
                let last = bite.end() == size;
                part = joined(SpawnedTask::spawn_blocking(move || Part::read(decoder, &pieces, last))).await?;
            }
        }
        let mut end = bite.end();
        while part.outcome.is_ok() && !part.decoder.is_done() && end < size {
            // A record that reaches beyond the next range.
            let more = end..(end + CHUNK).min(size);
            end = more.end;
            let bytes = scan.table.store.get_range(&file.meta.location, more).await;
            let bytes = bytes.map_err(|error| DataFusionError::ObjectStore(Box::new(error)))?;
            part.feed(&[bytes], end == size);
        }
        part.outcome.map_err(|error| scan.decode_error(error.behind(seam.lines())))?;
        scan.note_rejects(file, part.rejects, seam.lines(), &mut progress);
        scan.note_counts(file, part.decoder.counts(), &mut progress);
        scan.table.counters.note_extra(&file.url, part.decoder.extra_columns());
        seam.join(&part.decoder);
        for batch in part.batches {
            if sender.send(scan.output(file, &batch)).await.is_err() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

async fn joined(task: SpawnedTask<Part>) -> Result<Part> {
    task.join().await.map_err(|error| DataFusionError::External(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::compute::concat_batches;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{ObjectMeta, ObjectStore};
    use tapline_core::SourceReject;
    use tapline_csv::{CsvOptions, Sample, detect};
    use tapline_storage::FileFormat;

    use super::*;
    use crate::sql::counters::ScanCounters;
    use crate::sql::csv_scan::{CsvTable, OutputColumn};

    /// Ordinary rows with quoted line breaks, ragged lines, and one value of several chunks that is made of what looks like rows.
    fn text() -> String {
        let mut text = "id,note\n".to_owned();
        let rows = |text: &mut String, from: usize, to: usize| {
            for id in from..to {
                text.push_str(&format!("{id},\"line one of {id}\nline, two\"\n"));
            }
            text.push_str("ragged\n");
        };
        rows(&mut text, 0, 100_000);
        text.push_str("100000,\"");
        text.push_str(&"7,looks like a row\n".repeat(500_000));
        text.push_str("\"\n");
        rows(&mut text, 100_001, 200_000);
        text
    }

    async fn read_with(parallel: usize, text: &Bytes) -> (RecordBatch, Vec<SourceReject>, u64) {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let location = Path::from("t.csv");
        store.put(&location, text.clone().into()).await.unwrap();
        let meta: ObjectMeta = store.head(&location).await.unwrap();
        let sample = Sample { name: "t.csv", bytes: &text[..1 << 16], complete: false };
        let options = CsvOptions::default();
        let format = detect(&[sample], &options).unwrap().format;
        let schema = format.schema();
        let counters = Arc::new(ScanCounters::default());
        let table = CsvTable { name: "t".to_owned(), store, format, options, counters: Arc::clone(&counters) };
        let outputs = vec![OutputColumn::Decoded(0), OutputColumn::Decoded(1)];
        let scan = FileScan::new(Arc::new(table), vec![0, 1], outputs, Arc::clone(&schema), 8192, parallel);
        let file = TableFile { url: "t.csv".to_owned(), meta, format: FileFormat::Csv, partition_values: Vec::new() };
        let (sender, mut receiver) = tokio::sync::mpsc::channel(2);
        let reading = async {
            assert!(scan.read(&file, &sender).await.unwrap());
            drop(sender);
        };
        let receiving = async {
            let mut batches = Vec::new();
            while let Some(batch) = receiver.recv().await {
                batches.push(batch.unwrap());
            }
            batches
        };
        let ((), batches) = future::join(reading, receiving).await;
        (concat_batches(&schema, &batches).unwrap(), counters.rejects(), counters.rows().read)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn ranges_give_what_reading_from_front_to_back_gives() {
        let text = Bytes::from(text());
        let (rows, rejects, count) = read_with(1, &text).await;
        assert_eq!((rows.num_rows(), count, rejects.len()), (200_000, 200_000, 2));
        for parallel in [2, 5] {
            assert_eq!(read_with(parallel, &text).await, (rows.clone(), rejects.clone(), count));
        }
    }
}
