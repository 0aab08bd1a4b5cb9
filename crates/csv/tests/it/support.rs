//! Reads whole texts the way a caller does, restarts included, and shows the result as text.

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use tapline_csv::{CsvOptions, DecodeError, Decoder, Detection, LineCounts, LineReject, Sample, TableFormat, detect};

/// A table that was read to its end.
pub struct Table {
    pub format: TableFormat,
    pub reasons: Vec<String>,
    /// Every row as text; NULL is `∅`.
    pub rows: Vec<Vec<String>>,
    pub rejects: Vec<LineReject>,
    pub counts: LineCounts,
    pub restarts: usize,
}

impl Table {
    /// Column names with their types: `id BIGINT, …`.
    pub fn schema(&self) -> String {
        self.format
            .columns
            .iter()
            .map(|column| format!("{} {}", column.name, column.data_type))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Rows joined by `|`.
    pub fn lines(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.join("|")).collect()
    }

    /// Lines and codes of the rejects.
    pub fn reject_codes(&self) -> Vec<(u64, &'static str)> {
        self.rejects.iter().map(|reject| (reject.line, reject.code.as_str())).collect()
    }
}

/// Settings from YAML-like JSON text.
pub fn options(json: &str) -> CsvOptions {
    serde_json::from_str(json).expect("settings of a test")
}

pub fn read(text: impl AsRef<[u8]>) -> Table {
    read_with(text, "{}")
}

pub fn read_with(text: impl AsRef<[u8]>, settings: &str) -> Table {
    read_files(&[text.as_ref()], &options(settings)).expect("a readable table")
}

/// Reads files of one table; detection sees at most the first 4 KiB of each, so that tests can hide values from it.
pub fn read_files(files: &[&[u8]], options: &CsvOptions) -> Result<Table, DecodeError> {
    let names: Vec<String> = (0..files.len()).map(|index| format!("file{index}.csv")).collect();
    let samples: Vec<Sample<'_>> = files
        .iter()
        .zip(&names)
        .map(|(bytes, name)| Sample { name, bytes: &bytes[..bytes.len().min(4096)], complete: bytes.len() <= 4096 })
        .collect();
    let Detection { format, reasons, .. } = detect(&samples, options)?;
    read_as(files, format, reasons, options, usize::MAX)
}

/// Reads files in chunks of a given size, starting again when a type has to be widened.
pub fn read_as(
    files: &[&[u8]],
    mut format: TableFormat,
    reasons: Vec<String>,
    options: &CsvOptions,
    chunk: usize,
) -> Result<Table, DecodeError> {
    let mut restarts = 0;
    loop {
        match read_once(files, &format, options, chunk) {
            Ok((batches, rejects, counts)) => {
                let rows = batches.iter().flat_map(rows_of).collect();
                return Ok(Table { format, reasons, rows, rejects, counts, restarts });
            }
            Err(DecodeError::Widen(widen)) => {
                format.widen(&widen);
                restarts += 1;
                assert!(restarts < 100, "widening goes on for ever");
            }
            Err(error) => return Err(error),
        }
    }
}

type Read = (Vec<RecordBatch>, Vec<LineReject>, LineCounts);

fn read_once(files: &[&[u8]], format: &TableFormat, options: &CsvOptions, chunk: usize) -> Result<Read, DecodeError> {
    let (mut batches, mut rejects, mut counts) = (Vec::new(), Vec::new(), LineCounts::default());
    for (index, bytes) in files.iter().enumerate() {
        let mut decoder = Decoder::new(&format!("file{index}.csv"), format, options)?;
        let mut drain = |decoder: &mut Decoder| {
            batches.extend(std::iter::from_fn(|| decoder.next_batch()));
            rejects.extend(decoder.take_rejects());
        };
        for piece in bytes.chunks(chunk.min(bytes.len().max(1))) {
            decoder.push(piece)?;
            drain(&mut decoder);
        }
        decoder.finish()?;
        drain(&mut decoder);
        counts.add(&decoder.counts());
    }
    assert_eq!(counts.rows, batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>());
    assert_eq!(counts.rejects, rejects.len() as u64);
    Ok((batches, rejects, counts))
}

/// A batch's rows as text; NULL is `∅`.
pub fn rows_of(batch: &RecordBatch) -> Vec<Vec<String>> {
    let shown = FormatOptions::new().with_null("∅").with_display_error(true);
    let columns: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &shown).expect("a printable type"))
        .collect();
    (0..batch.num_rows()).map(|row| columns.iter().map(|column| column.value(row).to_string()).collect()).collect()
}
