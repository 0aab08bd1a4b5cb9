//! How the CSV files of a table are written, found out from samples of them.
//! Not here: what samples tell (crate `tapline-csv`), reading the files (`csv_scan`).
//! Called when a table is described, and for `sniff_csv`.

use std::ops::Range;

use arrow::array::RecordBatch;
use bytes::Bytes;
use datafusion::error::DataFusionError;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use tapline_core::{Error, Result, codes};
use tapline_csv::{Compression, CsvOptions, Sample, TableFormat};

use super::csv_scan::csv_error;
use super::errors::from_datafusion;
use super::files::{TableFile, TableFiles};
use super::table::CONCURRENCY;

/// Bytes of a file that detection looks at.
const SAMPLE_BYTES: u64 = 1 << 20;
/// Files of a table that detection looks at.
const SAMPLED_FILES: usize = 32;
/// What a Parquet file begins and ends with. See <https://parquet.apache.org/docs/file-format/>.
const PARQUET_MAGIC: &[u8] = b"PAR1";

/// Gives columns the types that they had in an earlier run. A value that no longer fits shows while it is read.
pub(super) fn keep_types(format: &mut TableFormat, earlier: &TableFormat) {
    for column in &mut format.columns {
        if let Some(known) = earlier.columns.iter().find(|known| known.name == column.name) {
            column.data_type = known.data_type;
            column.format.clone_from(&known.format);
        }
    }
}

async fn range(files: &TableFiles, file: &TableFile, range: Range<u64>) -> Result<Bytes> {
    files.store.get_range(&file.meta.location, range).await.map_err(|error| {
        let error = DataFusionError::ObjectStore(Box::new(error));
        from_datafusion(&error, &format!("reading {}", file.url), &[])
    })
}

fn holds_parquet(file: &TableFile) -> Error {
    Error::new(codes::S3_011, format!("reading {}: it is read as csv, but it is a parquet file", file.url))
        .hint("set `file_type: any` on the source, and read it with read_parquet('…') where the SQL says read_csv")
}

/// The decompressed start of a CSV file, and whether that is all of it.
async fn sample(files: &TableFiles, file: &TableFile, options: &CsvOptions) -> Result<(Vec<u8>, bool)> {
    let bytes = if file.meta.size == 0 {
        Bytes::new()
    } else {
        range(files, file, 0..file.meta.size.min(SAMPLE_BYTES)).await?
    };
    if bytes.starts_with(PARQUET_MAGIC) {
        let end = range(files, file, file.meta.size - PARQUET_MAGIC.len() as u64..file.meta.size).await?;
        if end == PARQUET_MAGIC {
            return Err(holds_parquet(file));
        }
    }
    let whole = bytes.len() as u64 == file.meta.size;
    let compression = Compression::resolve(options, &file.url, &bytes);
    let text = compression
        .decompress_prefix(&bytes, SAMPLE_BYTES as usize)
        .map_err(|error| csv_error(error).context(format!("reading {}", file.url)))?;
    let complete = whole && (compression == Compression::None || text.len() < SAMPLE_BYTES as usize);
    Ok((text, complete))
}

/// What is detected in the first of the files, as `sniff_csv` tells it.
pub(super) async fn sniff(
    files: &TableFiles,
    options: &CsvOptions,
    arguments: &serde_json::Map<String, serde_json::Value>,
) -> Result<RecordBatch> {
    let Some(file) = files.files.first() else {
        return Err(Error::new(codes::S3_007, "sniff_csv() needs a file")
            .hint("name one that is there: sniff_csv('s3://bucket/file.csv')"));
    };
    let (bytes, complete) = sample(files, file, options).await?;
    let sample = Sample { name: &file.url, bytes: &bytes, complete };
    tapline_csv::sniff(&file.url, sample, options, arguments).map_err(csv_error)
}

/// Dialect and types from samples of the files, and whether the samples are all there is.
pub(super) async fn detect(files: &TableFiles, options: &CsvOptions) -> Result<(TableFormat, Vec<String>, bool)> {
    // Any file may have a column that the others lack.
    let step = if options.union_by_name == Some(true) { 1 } else { files.files.len().div_ceil(SAMPLED_FILES).max(1) };
    let chosen: Vec<&TableFile> = files.files.iter().step_by(step).collect();
    let samples: Vec<(&TableFile, Vec<u8>, bool)> = futures::stream::iter(chosen)
        .map(|file| async move {
            let (text, complete) = sample(files, file, options).await?;
            Ok::<_, Error>((file, text, complete))
        })
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    let samples: Vec<Sample<'_>> =
        samples.iter().map(|(file, bytes, complete)| Sample { name: &file.url, bytes, complete: *complete }).collect();
    let detection = tapline_csv::detect(&samples, options).map_err(csv_error)?;
    let settled =
        detection.all_rows && samples.len() == files.files.len() && samples.iter().all(|sample| sample.complete);
    Ok((detection.format, detection.reasons, settled))
}
