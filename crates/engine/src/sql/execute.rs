//! Running a statement for somebody who looks at its rows: `query` and `preview`.
//! Not here: runs, which stage rows instead.
//! Called by the command line and the API.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use futures::StreamExt;
use tapline_core::{Error, Result, codes};

use super::session::{Pins, Query, ScanReport, Session, StreamError};

/// Takes the rows of a statement.
pub trait BatchVisitor: Send {
    /// Takes the columns, once, before any batch.
    fn start(&mut self, schema: &SchemaRef) -> Result<()>;
    /// Takes some rows.
    fn batch(&mut self, batch: &RecordBatch) -> Result<()>;
}

/// Runs a statement and hands its rows to `visitor`, each row exactly as it is in the end: while types of CSV columns
/// may still turn out to be too narrow, rows wait in a temporary file.
///
/// # Errors
/// As [`Session::query`], and whatever reading meets.
pub async fn execute(
    session: &Session,
    sql: &str,
    limit: Option<usize>,
    visitor: &mut dyn BatchVisitor,
) -> Result<ScanReport> {
    execute_mapped(session, sql, limit, &mut |_, batch| Ok(batch), visitor).await
}

/// As [`execute`], with every batch passed through `map` first, which also sees the statement.
pub(crate) async fn execute_mapped(
    session: &Session,
    sql: &str,
    limit: Option<usize>,
    map: &mut (dyn FnMut(&Query, RecordBatch) -> Result<RecordBatch> + Send),
    visitor: &mut dyn BatchVisitor,
) -> Result<ScanReport> {
    let mut pins = Pins::default();
    loop {
        let query = session.query_pinned(sql, &mut pins).await?;
        let query = match limit {
            Some(rows) => query.limit(rows)?,
            None => query,
        };
        let empty = map(&query, RecordBatch::new_empty(query.schema()))?;
        let schema = empty.schema();
        let mut stream = query.stream().await?;
        if query.is_settled() {
            visitor.start(&schema)?;
            while let Some(batch) = stream.next().await {
                match batch {
                    Ok(batch) => visitor.batch(&map(&query, batch)?)?,
                    Err(StreamError::Failed(error)) => return Err(error),
                    Err(StreamError::Widened(widened)) => {
                        return Err(Error::internal(format!("{widened} though all of it was looked at")));
                    }
                }
            }
            return Ok(query.scan());
        }
        let mut spool = Spool::new(&schema)?;
        let mut widened = None;
        while let Some(batch) = stream.next().await {
            match batch {
                Ok(batch) => spool.push(&map(&query, batch)?)?,
                Err(StreamError::Failed(error)) => return Err(error),
                Err(StreamError::Widened(found)) => {
                    widened = Some(found);
                    break;
                }
            }
        }
        match widened {
            Some(widened) => query.widen(&widened, &mut pins),
            None => {
                visitor.start(&schema)?;
                spool.replay(visitor)?;
                return Ok(query.scan());
            }
        }
    }
}

/// Batches in a temporary file.
struct Spool {
    writer: StreamWriter<BufWriter<File>>,
}

impl Spool {
    fn new(schema: &SchemaRef) -> Result<Self> {
        let file = tempfile::tempfile().map_err(spool_error)?;
        let writer = StreamWriter::try_new(BufWriter::new(file), schema).map_err(spool_error)?;
        Ok(Self { writer })
    }

    fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(spool_error)
    }

    fn replay(mut self, visitor: &mut dyn BatchVisitor) -> Result<()> {
        self.writer.finish().map_err(spool_error)?;
        let buffer = self.writer.into_inner().map_err(spool_error)?;
        let mut file = buffer.into_inner().map_err(|error| spool_error(error.into_error()))?;
        file.rewind().map_err(spool_error)?;
        for batch in StreamReader::try_new(BufReader::new(file), None).map_err(spool_error)? {
            visitor.batch(&batch.map_err(spool_error)?)?;
        }
        Ok(())
    }
}

fn spool_error(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(codes::FILE_006, "keeping rows in a temporary file")
        .because(error)
        .hint("make room in the temporary folder")
}
