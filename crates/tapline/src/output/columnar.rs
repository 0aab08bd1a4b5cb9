//! Rows as they are: a Parquet file, or Arrow's IPC stream.
//! Not here: texts. Only what other readers do not know is changed: HUGEINT becomes DECIMAL(38,0), and UUID and JSON get
//! the names that they have in Arrow and in Parquet.
//! Called by the row printer.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use tapline_destinations::parquet_types::writer_options;

use super::values::duckdb_type_name;
use super::{from_arrow, names};

/// The widest decimal that Parquet's and Arrow's readers know.
const WIDEST: DataType = DataType::Decimal128(38, 0);

/// The keys of a field's metadata with Arrow's names of types that extend others.
/// See <https://arrow.apache.org/docs/format/CanonicalExtensions.html>.
const EXTENSION_NAME: &str = "ARROW:extension:name";
const EXTENSION_METADATA: &str = "ARROW:extension:metadata";

pub struct ParquetPrinter<W: Write + Send> {
    schema: SchemaRef,
    state: State<W, ArrowWriter<W>>,
}

pub struct ArrowPrinter<W: Write> {
    schema: SchemaRef,
    state: State<W, StreamWriter<W>>,
}

/// A writer that writes its header when it is opened, which is not before the first batch.
enum State<W, Open> {
    Waiting(W),
    Open(Open),
    /// Opening failed, and the writer went with it.
    Lost,
}

impl<W, Open> State<W, Open> {
    fn open(&mut self, open: impl FnOnce(W) -> io::Result<Open>) -> io::Result<&mut Open> {
        *self = match std::mem::replace(self, Self::Lost) {
            Self::Waiting(writer) => Self::Open(open(writer)?),
            other => other,
        };
        match self {
            Self::Open(writer) => Ok(writer),
            Self::Waiting(_) | Self::Lost => Err(io::Error::other("writing has failed before")),
        }
    }

    fn into_open(mut self, open: impl FnOnce(W) -> io::Result<Open>) -> io::Result<Open> {
        self.open(open)?;
        match self {
            Self::Open(writer) => Ok(writer),
            Self::Waiting(_) | Self::Lost => Err(io::Error::other("writing has failed before")),
        }
    }
}

impl<W: Write + Send> ParquetPrinter<W> {
    pub fn new(schema: &SchemaRef, writer: W) -> Self {
        Self { schema: readable(schema), state: State::Waiting(writer) }
    }

    pub fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let batch = convert(batch, &self.schema)?;
        let writer = self.state.open(|writer| open_parquet(&self.schema, writer))?;
        writer.write(&batch).map_err(|error| refused(error, &self.schema))
    }

    pub fn finish(self) -> io::Result<W> {
        let mut writer = self.state.into_open(|writer| open_parquet(&self.schema, writer))?;
        writer.flush().map_err(from_parquet)?;
        // The next step would tell what the writer says, but not its kind.
        writer.sync()?;
        writer.into_inner().map_err(from_parquet)
    }
}

fn open_parquet<W: Write + Send>(schema: &SchemaRef, writer: W) -> io::Result<ArrowWriter<W>> {
    let compression = Compression::ZSTD(ZstdLevel::default());
    let properties = WriterProperties::builder().set_compression(compression).build();
    writer_options(schema, properties)
        .and_then(|options| ArrowWriter::try_new_with_options(writer, Arc::clone(schema), options))
        .map_err(|error| refused(error, schema))
}

/// Names the column where the writer does not know its type, which it tells without.
fn refused(error: ParquetError, schema: &SchemaRef) -> io::Error {
    let unknown = |field: &&Arc<Field>| {
        let alone = Arc::new(Schema::new(vec![field.as_ref().clone().with_nullable(true)]));
        let null = new_null_array(field.data_type(), 1);
        let attempt =
            RecordBatch::try_new(Arc::clone(&alone), vec![null]).map_err(ParquetError::from).and_then(|batch| {
                let mut writer = ArrowWriter::try_new(io::sink(), alone, None)?;
                writer.write(&batch)?;
                writer.close()
            });
        attempt.is_err()
    };
    match (from_parquet(error), schema.fields().iter().find(unknown)) {
        (error, Some(field)) if error.kind() == io::ErrorKind::InvalidData => {
            let (name, type_name) = (field.name(), duckdb_type_name(field));
            let problem = format!("Parquet has no type for column `{name}`, which is {type_name}: cast it to VARCHAR");
            io::Error::new(io::ErrorKind::InvalidData, problem)
        }
        (error, _) => error,
    }
}

impl<W: Write> ArrowPrinter<W> {
    pub fn new(schema: &SchemaRef, writer: W) -> Self {
        Self { schema: readable(schema), state: State::Waiting(writer) }
    }

    pub fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let batch = convert(batch, &self.schema)?;
        let writer = self.state.open(|writer| StreamWriter::try_new(writer, &self.schema).map_err(from_arrow))?;
        writer.write(&batch).map_err(from_arrow)
    }

    pub fn finish(self) -> io::Result<W> {
        let open = |writer| StreamWriter::try_new(writer, &self.schema).map_err(from_arrow);
        let mut writer = self.state.into_open(open)?;
        writer.finish().map_err(from_arrow)?;
        writer.into_inner().map_err(from_arrow)
    }
}

/// The schema of the output: distinct names, no decimal that is wider than readers know, and Arrow's names of types.
fn readable(schema: &SchemaRef) -> SchemaRef {
    let schema = names::distinct(schema);
    let fields: Vec<_> = schema.fields().iter().map(readable_field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn readable_field(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Decimal256(_, 0) => WIDEST,
        DataType::List(item) => DataType::List(readable_field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(readable_field(item), *size),
        DataType::Struct(members) => DataType::Struct(members.iter().map(readable_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(readable_field(entries), *sorted),
        other => other.clone(),
    };
    let extension = match (&data_type, duckdb_type_name(field).as_str()) {
        (DataType::FixedSizeBinary(16), "UUID") => Some("arrow.uuid"),
        (data_type, "JSON") if data_type.is_string() => Some("arrow.json"),
        _ => None,
    };
    let mut metadata = field.metadata().clone();
    if let Some(name) = extension {
        metadata.insert(EXTENSION_NAME.to_owned(), name.to_owned());
        metadata.insert(EXTENSION_METADATA.to_owned(), String::new());
    }
    Arc::new(field.as_ref().clone().with_data_type(data_type).with_metadata(metadata))
}

/// The same rows in the output's schema.
fn convert(batch: &RecordBatch, schema: &SchemaRef) -> io::Result<RecordBatch> {
    let refuse_overflow = CastOptions { safe: false, ..CastOptions::default() };
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, array)| {
        if field.data_type() == array.data_type() {
            return Ok(Arc::clone(array));
        }
        cast_with_options(array, field.data_type(), &refuse_overflow).map_err(|_| {
            let problem = format!("a value of column `{}` has more digits than DECIMAL(38,0)", field.name());
            io::Error::new(io::ErrorKind::InvalidData, problem)
        })
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?).map_err(from_arrow)
}

fn from_parquet(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(cause) => io::Error::new(io::ErrorKind::InvalidData, cause),
        },
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}
