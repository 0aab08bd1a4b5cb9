//! Rows into files of this machine, in a format, each of a limited size.
//! Not here: which rows (`build`), and where the files go.
//! Called while a run is published, on a thread that may block.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression as Codec, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tapline_core::values::{Column, escape_json};
use tapline_core::{Error, Result};

use super::layout::{Compression, Format, Layout};
use super::local;
use crate::parquet_types::writer_options;

/// A row group in memory is written when it is as large as this.
const ROW_GROUP_BYTES: usize = 64 << 20;
/// Rows of a row group at most.
const ROW_GROUP_ROWS: usize = 1 << 20;
/// Rows between two looks at the size of a Parquet file at most.
const ROWS_AT_ONCE: usize = 1_024;
/// Bytes that go into a compressor before it has to show what has become of them.
const FLUSH_BYTES: u64 = 1 << 20;

/// How rows are written.
#[derive(Debug, Clone)]
pub(super) struct Style {
    pub(super) format: Format,
    pub(super) compression: Compression,
    pub(super) delimiter: u8,
    pub(super) header: bool,
    pub(super) formula_guard: bool,
    /// Bytes of a file at most, as long as that is more than one row.
    pub(super) limit: Option<u64>,
}

impl Style {
    /// The style of the files for readers.
    pub(super) fn of(layout: &Layout) -> Self {
        Self {
            format: layout.format,
            compression: layout.compression,
            delimiter: layout.delimiter,
            header: layout.header,
            formula_guard: layout.formula_guard,
            limit: layout.max_file_size,
        }
    }

    /// The style of rows that Tapline keeps for itself.
    pub(super) fn own() -> Self {
        Self {
            format: Format::Parquet,
            compression: Compression::Zstd,
            delimiter: b',',
            header: true,
            formula_guard: false,
            limit: Some(1 << 30),
        }
    }
}

/// A finished file.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) file: PathBuf,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// The files of one kind of rows.
pub(super) struct Parts {
    style: Style,
    schema: SchemaRef,
    folder: PathBuf,
    name: String,
    pen: Option<(Pen, u64)>,
    done: Vec<Part>,
}

enum Pen {
    Parquet(Box<ArrowWriter<File>>),
    Text(Box<TextPen>),
}

impl Parts {
    /// Files called `name` in a folder.
    pub(super) fn new(style: Style, schema: SchemaRef, folder: &Path, name: &str) -> Self {
        Self { style, schema, folder: folder.to_owned(), name: name.to_owned(), pen: None, done: Vec::new() }
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        match self.style.format {
            Format::Parquet => self.write_parquet(rows),
            Format::Csv | Format::Ndjson => self.write_text(rows),
        }
    }

    fn write_parquet(&mut self, rows: &RecordBatch) -> Result<()> {
        let step = match self.style.limit {
            Some(limit) => {
                let row = (rows.get_array_memory_size() / rows.num_rows().max(1)).max(1);
                usize::try_from(limit / 16).unwrap_or(usize::MAX).div_euclid(row).clamp(1, ROWS_AT_ONCE)
            }
            None => rows.num_rows().max(1),
        };
        for start in (0..rows.num_rows()).step_by(step) {
            let slice = rows.slice(start, step.min(rows.num_rows() - start));
            let limit = self.style.limit;
            let (pen, count) = self.pen()?;
            let Pen::Parquet(writer) = pen else { return Err(Error::internal("a pen of another format")) };
            writer.write(&slice).map_err(parquet_failed)?;
            *count += slice.num_rows() as u64;
            if writer.memory_size().max(writer.in_progress_size()) >= ROW_GROUP_BYTES {
                writer.flush().map_err(parquet_failed)?;
            }
            // What a row group in memory will take is known once it is written: as long as that leaves some room, it is
            // worth looking.
            let Some(limit) = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)) else { continue };
            let margin = limit - limit / 8;
            if writer.bytes_written() + writer.in_progress_size() >= margin {
                writer.flush().map_err(parquet_failed)?;
                if writer.bytes_written() >= margin - limit / 8 {
                    self.end()?;
                }
            }
        }
        Ok(())
    }

    fn write_text(&mut self, rows: &RecordBatch) -> Result<()> {
        let columns: Vec<Column> = rows
            .schema()
            .fields()
            .iter()
            .zip(rows.columns())
            .map(|(field, array)| Column::new(field, array))
            .collect::<Result<_, _>>()
            .map_err(|error| Error::internal("a value has no text").because(error))?;
        let texts: Vec<bool> = rows.columns().iter().map(|column| is_text(column.data_type())).collect();
        let schema = self.schema.clone();
        let mut line = Vec::new();
        for row in 0..rows.num_rows() {
            line.clear();
            match self.style.format {
                Format::Ndjson => object(&schema, &columns, row, &mut line),
                _ => cells(&self.style, &columns, &texts, row, &mut line),
            }
            let limit = self.style.limit;
            if let (Some(limit), Some((Pen::Text(pen), 1..))) = (limit, &mut self.pen)
                && pen.size() + line.len() as u64 > limit
            {
                pen.flush()?;
                if pen.size() + line.len() as u64 > limit {
                    self.end()?;
                }
            }
            let (pen, count) = self.pen()?;
            let Pen::Text(pen) = pen else { return Err(Error::internal("a pen of another format")) };
            pen.write(&line)?;
            *count += 1;
        }
        Ok(())
    }

    /// The files; at least one, so that the fields of a set without rows show as well.
    pub(super) fn finish(mut self) -> Result<Vec<Part>> {
        if self.done.is_empty() {
            self.pen()?;
        }
        self.finish_some()
    }

    /// The files; none without rows.
    pub(super) fn finish_some(mut self) -> Result<Vec<Part>> {
        self.end()?;
        Ok(self.done)
    }

    fn pen(&mut self) -> Result<&mut (Pen, u64)> {
        if self.pen.is_none() {
            let path = self.path();
            let file =
                File::create(&path).map_err(|error| local::fault(format!("creating {}", path.display()), error))?;
            self.pen = Some((Pen::new(&self.style, &self.schema, file)?, 0));
        }
        self.pen.as_mut().ok_or_else(|| Error::internal("a file was not begun"))
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}-{}", self.name, self.done.len()))
    }

    fn end(&mut self) -> Result<()> {
        let Some((pen, rows)) = self.pen.take() else { return Ok(()) };
        let file = self.path();
        let written = match pen {
            Pen::Parquet(writer) => writer.into_inner().map_err(parquet_failed)?,
            Pen::Text(pen) => pen.finish()?,
        };
        let failed = |error| local::fault(format!("finishing {}", file.display()), error);
        written.sync_all().map_err(failed)?;
        let bytes = written.metadata().map_err(failed)?.len();
        self.done.push(Part { file, rows, bytes });
        Ok(())
    }
}

impl Pen {
    fn new(style: &Style, schema: &SchemaRef, file: File) -> Result<Self> {
        if style.format == Format::Parquet {
            let codec = match style.compression {
                Compression::None => Codec::UNCOMPRESSED,
                Compression::Snappy => Codec::SNAPPY,
                Compression::Gzip | Compression::Zstd => Codec::ZSTD(ZstdLevel::default()),
            };
            let properties = WriterProperties::builder()
                .set_created_by(concat!("tapline ", env!("CARGO_PKG_VERSION")).to_owned())
                .set_compression(codec)
                .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
                .build();
            let writer = writer_options(schema, properties)
                .and_then(|options| ArrowWriter::try_new_with_options(file, schema.clone(), options))
                .map_err(parquet_failed)?;
            return Ok(Self::Parquet(Box::new(writer)));
        }
        let mut pen = TextPen::new(style.compression, file)?;
        if style.format == Format::Csv && style.header {
            let mut line = Vec::new();
            for (index, field) in schema.fields().iter().enumerate() {
                if index > 0 {
                    line.push(style.delimiter);
                }
                let start = line.len();
                line.extend_from_slice(field.name().as_bytes());
                enclose(&mut line, start, style.delimiter);
            }
            line.push(b'\n');
            pen.write(&line)?;
        }
        Ok(Self::Text(Box::new(pen)))
    }
}

/// A text file on its way through a compressor.
struct TextPen {
    sink: Sink,
    /// Bytes that went in since it was last known what comes out.
    pending: u64,
}

enum Sink {
    Plain(Counted),
    Gzip(GzEncoder<Counted>),
    Zstd(zstd::Encoder<'static, Counted>),
}

/// A file, and the bytes that it has taken.
struct Counted {
    file: BufWriter<File>,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl TextPen {
    fn new(compression: Compression, file: File) -> Result<Self> {
        let file = Counted { file: BufWriter::with_capacity(1 << 18, file), bytes: 0 };
        let sink = match compression {
            Compression::Gzip => Sink::Gzip(GzEncoder::new(file, flate2::Compression::default())),
            Compression::Zstd => Sink::Zstd(zstd::Encoder::new(file, 0).map_err(text_failed)?),
            Compression::None | Compression::Snappy => Sink::Plain(file),
        };
        Ok(Self { sink, pending: 0 })
    }

    fn sink(&mut self) -> &mut dyn Write {
        match &mut self.sink {
            Sink::Plain(file) => file,
            Sink::Gzip(encoder) => encoder,
            Sink::Zstd(encoder) => encoder,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.sink().write_all(bytes).map_err(text_failed)?;
        if !matches!(self.sink, Sink::Plain(_)) {
            self.pending += bytes.len() as u64;
        }
        if self.pending >= FLUSH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.sink().flush().map_err(text_failed)?;
        self.pending = 0;
        Ok(())
    }

    /// Bytes of the file at most, if it ended now.
    fn size(&self) -> u64 {
        // Room for the end of a compressed stream.
        const END: u64 = 32;
        match &self.sink {
            Sink::Plain(file) => file.bytes,
            Sink::Gzip(encoder) => encoder.get_ref().bytes + self.pending + END,
            Sink::Zstd(encoder) => encoder.get_ref().bytes + self.pending + END,
        }
    }

    fn finish(self) -> Result<File> {
        let file = match self.sink {
            Sink::Plain(file) => file,
            Sink::Gzip(encoder) => encoder.finish().map_err(text_failed)?,
            Sink::Zstd(encoder) => encoder.finish().map_err(text_failed)?,
        };
        file.file.into_inner().map_err(|error| text_failed(error.into_error()))
    }
}

fn is_text(data_type: &arrow::datatypes::DataType) -> bool {
    match data_type {
        arrow::datatypes::DataType::Dictionary(_, value) => value.is_string(),
        data_type => data_type.is_string(),
    }
}

/// One line of CSV.
fn cells(style: &Style, columns: &[Column], texts: &[bool], row: usize, line: &mut Vec<u8>) {
    for (index, (column, is_text)) in columns.iter().zip(texts).enumerate() {
        if index > 0 {
            line.push(style.delimiter);
        }
        let start = line.len();
        if !column.text(row, line) {
            continue;
        }
        if style.formula_guard && *is_text && line.get(start).is_some_and(|first| b"=+-@\t\r".contains(first)) {
            line.insert(start, b'\'');
        }
        enclose(line, start, style.delimiter);
    }
    line.push(b'\n');
}

/// Puts a cell into quotes where it could be mistaken: empty (NULL is what has no quotes), or with a delimiter, a quote,
/// a line end or the mark of a comment in it.
fn enclose(line: &mut Vec<u8>, start: usize, delimiter: u8) {
    let special = |byte: &u8| *byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r' | b'#');
    if line.len() > start && !line[start..].iter().any(special) {
        return;
    }
    let cell = line.split_off(start);
    line.push(b'"');
    for byte in cell {
        if byte == b'"' {
            line.push(b'"');
        }
        line.push(byte);
    }
    line.push(b'"');
}

/// One line of NDJSON.
fn object(schema: &SchemaRef, columns: &[Column], row: usize, line: &mut Vec<u8>) {
    line.push(b'{');
    for (index, (field, column)) in schema.fields().iter().zip(columns).enumerate() {
        line.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
        let start = line.len();
        line.extend_from_slice(field.name().as_bytes());
        escape_json(line, start);
        line.extend_from_slice(b"\":");
        column.json(row, line);
    }
    line.extend_from_slice(b"}\n");
}

fn parquet_failed(error: parquet::errors::ParquetError) -> Error {
    match error {
        parquet::errors::ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(cause) => local::fault("writing a Parquet file", *cause),
            Err(cause) => Error::internal("writing a Parquet file").because(cause),
        },
        error => Error::internal("writing a Parquet file").because(error),
    }
}

fn text_failed(error: io::Error) -> Error {
    local::fault("writing a file of rows", error)
}
