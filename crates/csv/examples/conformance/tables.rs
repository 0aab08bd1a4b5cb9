//! Reads a whole file the way a caller does and writes the result as CSV text.
//! Measuring lives next door; nothing here knows about the material that is measured.
//! Used by every subcommand and by the conformance tests.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use tapline_csv::{Compression, CsvOptions, DecodeError, Decoder, LineCounts, LineReject, Sample, TableFormat, detect};

/// Bytes of a file that detection sees.
const SAMPLE_BYTES: usize = 1 << 20;

/// A file that was read to its end.
pub struct Table {
    pub format: TableFormat,
    /// The files themselves.
    pub text: String,
    pub reasons: Vec<String>,
    /// Cells as DuckDB prints them; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
    pub rejects: Vec<LineReject>,
    pub counts: LineCounts,
}

/// Reads a file, compressed or not.
pub fn read(name: &str, bytes: &[u8], options: &CsvOptions) -> Result<Table, String> {
    read_files(&[(name.to_owned(), bytes.to_vec())], options)
}

/// Reads the files of one table, names and bytes, compressed or not.
pub fn read_files(files: &[(String, Vec<u8>)], options: &CsvOptions) -> Result<Table, String> {
    let mut plain: Vec<(&str, Vec<u8>)> = Vec::new();
    for (name, bytes) in files {
        let compression = Compression::resolve(options, name, bytes);
        plain.push((name, compression.decompress_prefix(bytes, 1 << 30).map_err(|error| error.to_string())?));
    }
    let samples: Vec<Sample<'_>> = plain
        .iter()
        .map(|(name, bytes)| Sample {
            name,
            bytes: &bytes[..bytes.len().min(SAMPLE_BYTES)],
            complete: bytes.len() <= SAMPLE_BYTES,
        })
        .collect();
    let detection = detect(&samples, options).map_err(|error| error.to_string())?;
    let mut format = detection.format;
    loop {
        match read_once(&plain, &format, options) {
            Ok((rows, rejects, counts)) => {
                let text = plain.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes)).collect();
                return Ok(Table { format, text, reasons: detection.reasons, rows, rejects, counts });
            }
            Err(DecodeError::Widen(widen)) => format.widen(&widen),
            Err(error) => return Err(error.to_string()),
        }
    }
}

type Read = (Vec<Vec<Option<String>>>, Vec<LineReject>, LineCounts);

fn read_once(files: &[(&str, Vec<u8>)], format: &TableFormat, options: &CsvOptions) -> Result<Read, DecodeError> {
    let (mut rows, mut rejects, mut counts) = (Vec::new(), Vec::new(), LineCounts::default());
    for (name, bytes) in files {
        let mut decoder = Decoder::new(name, format, options)?;
        let mut drain = |decoder: &mut Decoder| {
            rows.extend(std::iter::from_fn(|| decoder.next_batch()).flat_map(|batch| cells(&batch)));
            rejects.extend(decoder.take_rejects());
        };
        for piece in bytes.chunks(1 << 16) {
            decoder.push(piece)?;
            drain(&mut decoder);
        }
        decoder.finish()?;
        drain(&mut decoder);
        counts.add(&decoder.counts());
    }
    Ok((rows, rejects, counts))
}

/// The row that tells what was detected, with its list of columns as DuckDB prints it.
pub fn told(batch: &RecordBatch) -> Vec<Option<String>> {
    let text = |array: &ArrayRef| {
        let Some(list) = array.as_list_opt::<i32>() else { return column(array)[0].clone() };
        let entries = list.value(0);
        let [names, types] = [0, 1].map(|position| column(entries.as_struct().column(position)));
        let pair = |(name, data_type): (&Option<String>, &Option<String>)| {
            let [name, data_type] = [name, data_type].map(|text| text.clone().unwrap_or_default());
            let quoted = format!("'{}'", name.replace('\'', "\\'"));
            let name = if name.contains(['\'', ',']) { quoted } else { name };
            format!("{{'name': {name}, 'type': {data_type}}}")
        };
        Some(format!("[{}]", names.iter().zip(&types).map(pair).collect::<Vec<_>>().join(", ")))
    };
    batch.columns().iter().map(text).collect()
}

fn cells(batch: &RecordBatch) -> Vec<Vec<Option<String>>> {
    let columns: Vec<Vec<Option<String>>> = batch.columns().iter().map(column).collect();
    (0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect()
}

/// A column's values as DuckDB's cast to VARCHAR gives them.
fn column(array: &ArrayRef) -> Vec<Option<String>> {
    let shown = FormatOptions::new().with_display_error(true);
    let formatter = ArrayFormatter::try_new(array, &shown).ok();
    let text = |row: usize| formatter.as_ref().map(|formatter| formatter.value(row).to_string()).unwrap_or_default();
    let value = |row: usize| match array.data_type() {
        DataType::Float64 => double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Timestamp(_, Some(_)) => fraction(&text(row).replace('T', " ").replace('Z', "")) + "+00",
        DataType::Timestamp(_, None) => fraction(&text(row).replace('T', " ")),
        DataType::Time64(_) => fraction(&text(row)),
        DataType::FixedSizeBinary(16) => uuid(&text(row)),
        DataType::Binary => blob(array.as_binary::<i32>().value(row)),
        _ => text(row),
    };
    (0..array.len()).map(|row| array.is_valid(row).then(|| value(row))).collect()
}

/// Printable ASCII as it is, other bytes and what would be mistaken for them as `\\xAB`.
fn blob(bytes: &[u8]) -> String {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'\\' | b'"' | b'\'');
    bytes
        .iter()
        .map(|byte| if plain(*byte) { char::from(*byte).to_string() } else { format!("\\x{byte:02X}") })
        .collect()
}

/// The digits of a UUID with its hyphens.
fn uuid(digits: &str) -> String {
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|group| &digits[group]).join("-")
}

/// Fractions of seconds without zeros at their end.
fn fraction(text: &str) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
}

fn double(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    let text = format!("{value:?}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let (sign, digits) = exponent.strip_prefix('-').map_or(("+", exponent), |digits| ("-", digits));
            format!("{}e{sign}{digits:0>2}", mantissa.trim_end_matches(".0"))
        }
        None => text,
    }
}

/// A table as CSV the way DuckDB's COPY writes it, or with NULL and the empty string alike.
pub fn to_csv(names: &[&str], rows: &[Vec<Option<String>>], distinguish_null: bool) -> String {
    let mut output = String::new();
    let header: Vec<Option<String>> = names.iter().map(|name| Some((*name).to_owned())).collect();
    for row in std::iter::once(&header).chain(rows) {
        for (position, cell) in row.iter().enumerate() {
            if position > 0 {
                output.push(',');
            }
            match cell.as_deref() {
                None => {}
                Some("") => output.push_str(if distinguish_null { "\"\"" } else { "" }),
                Some(text) if text.contains([',', '"', '\n', '\r']) => {
                    output.push('"');
                    output.push_str(&text.replace('"', "\"\""));
                    output.push('"');
                }
                Some(text) => output.push_str(text),
            }
        }
        // A lone NULL would be a blank line.
        if row.len() == 1 && row[0].as_deref().unwrap_or_default().is_empty() && !distinguish_null {
            output.push_str("\"\"");
        }
        output.push('\n');
    }
    output
}
