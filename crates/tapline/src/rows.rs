//! Rows from the engine to stdout or a file.
//! Not here: how values and formats are written (`output`).
//! Called by `query` and `preview`.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use comfy_table::Table;
use tapline_core::{Error, codes};
use tapline_engine::BatchVisitor;

use crate::errors::{Failure, usage};
use crate::files::OutputFile;
use crate::output::{Format, RowPrinter, TableStyle};
use crate::terminal::Paint;

/// Takes the rows of one result and prints them.
pub struct RowWriter {
    format: Format,
    schema: Option<SchemaRef>,
    state: State,
    /// Why the rows could not be written: the engine hears only that it shall stop.
    failure: Option<Failure>,
}

enum State {
    /// No row has come yet, and the columns may still change.
    Waiting(Target),
    Printing(RowPrinter<Target>),
    Ended,
}

/// Where the bytes go.
enum Target {
    Stdout(io::Stdout),
    File(OutputFile),
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

impl RowWriter {
    /// To a file, or else to stdout. Without a format: by the file's suffix, a table on a terminal, else CSV.
    ///
    /// # Errors
    /// A file that cannot be written; binary formats on a terminal.
    pub fn create(format: Option<Format>, file: Option<&Path>) -> Result<Self, Error> {
        let terminal = file.is_none() && io::stdout().is_terminal();
        let fallback = || if terminal { Format::Table } else { file.and_then(Format::of_file).unwrap_or(Format::Csv) };
        let format = format.unwrap_or_else(fallback);
        if terminal && matches!(format, Format::Parquet | Format::Arrow) {
            return Err(
                usage("a terminal cannot show this format").hint("write to a file with -o FILE, or into a pipe")
            );
        }
        let target = match file {
            Some(path) => Target::File(OutputFile::create(path)?),
            None => Target::Stdout(io::stdout()),
        };
        Ok(Self { format, schema: None, state: State::Waiting(target), failure: None })
    }

    /// What to report when the engine has stopped with `failure`: where the rows could not be written, that.
    pub fn failure(&mut self, failure: impl Into<Failure>) -> Failure {
        self.failure.take().unwrap_or_else(|| failure.into())
    }

    /// Writes what stands after the last row; a file takes its place.
    pub fn finish(mut self) -> Result<(), Failure> {
        let printer = self.printer()?;
        match printer.finish().map_err(cannot_write)? {
            Target::Stdout(_) => Ok(()),
            Target::File(file) => Ok(file.finish()?),
        }
    }

    /// The printer, made now if no row has come before.
    fn printer(&mut self) -> Result<RowPrinter<Target>, Error> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Printing(printer) => Ok(printer),
            State::Waiting(target) => {
                let schema = self.schema.as_ref().ok_or_else(|| Error::internal("rows came before their columns"))?;
                Ok(RowPrinter::new(self.format, schema, target, style()))
            }
            State::Ended => Err(Error::internal("rows came after the end")),
        }
    }
}

impl BatchVisitor for RowWriter {
    fn start(&mut self, schema: &SchemaRef) -> Result<(), Error> {
        self.schema = Some(SchemaRef::clone(schema));
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let mut printer = self.printer()?;
        if let Err(error) = printer.write(batch) {
            self.failure = Some(cannot_write(error));
            return Err(Error::new(codes::FILE_006, "cannot write the rows"));
        }
        self.state = State::Printing(printer);
        Ok(())
    }
}

fn cannot_write(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::ReaderGone;
    }
    Error::new(codes::FILE_006, "cannot write the rows").because(error).into()
}

/// Tables fit the terminal; elsewhere they are as wide as they get.
fn style() -> TableStyle {
    TableStyle { width: Table::new().width(), color: Paint::stdout().is_enabled(), ..TableStyle::default() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;

    use super::*;

    fn batch() -> RecordBatch {
        RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1, 2])) as _)]).unwrap()
    }

    #[test]
    fn the_suffix_of_a_file_decides_its_format() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.ndjson");
        let mut writer = RowWriter::create(None, Some(&path)).unwrap();
        writer.start(&batch().schema()).unwrap();
        writer.batch(&batch()).unwrap();
        assert!(!path.exists(), "the file must appear only when it is complete");
        writer.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"id\":1}\n{\"id\":2}\n");
    }

    #[test]
    fn no_row_at_all_still_has_a_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        let mut writer = RowWriter::create(Some(Format::Csv), Some(&path)).unwrap();
        writer.start(&batch().schema()).unwrap();
        writer.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "id\n");
    }
}
