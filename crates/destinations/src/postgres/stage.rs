//! Rows on their way: encoded while the rows before them are being sent, into a staging table or a new table.
//! Not here: how values are encoded (see `encode`), and what happens to staged rows (see `apply`).
//! Called by the writer.

use bytes::{BufMut, Bytes, BytesMut};
use futures::SinkExt;
use tapline_core::{Error, Result};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, CopyInSink};

use super::encode::Column;
use super::fault;
use super::statements::staged_column;
use super::types::FieldType;

/// See <https://www.postgresql.org/docs/current/sql-copy.html>, "Binary Format": signature, flags, extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: i16 = -1;
/// Rows are handed to the sender in pieces of about this many bytes.
const PIECE_BYTES: usize = 512 * 1024;
/// Pieces that wait for the server while the next is encoded.
const PIECES_AHEAD: usize = 4;

/// The statement that makes a staging table: a number per row, its operation, and a column per field.
pub(super) fn create(stage: &str, fields: &[FieldType]) -> String {
    let columns: String = fields
        .iter()
        .enumerate()
        .map(|(index, field)| format!(", {} {}", staged_column(index), field.staged))
        .collect();
    format!(
        "CREATE UNLOGGED TABLE {stage} (id bigint NOT NULL, op smallint NOT NULL{columns}) \
         WITH (autovacuum_enabled = false)"
    )
}

/// The statement that fills a staging table.
pub(super) fn copy_into(stage: &str) -> String {
    format!("COPY {stage} FROM STDIN (FORMAT binary)")
}

/// A running COPY.
pub(super) struct Copy {
    pieces: mpsc::Sender<Piece>,
    sender: JoinHandle<Result<u64, tokio_postgres::Error>>,
    buffer: BytesMut,
    /// Rows put so far.
    rows: u64,
}

/// A field that stands before the columns of a row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Prefix {
    BigInt(i64),
    SmallInt(i16),
}

enum Piece {
    Rows(Bytes),
    /// Without it the COPY is abandoned.
    End,
}

impl Copy {
    /// Begins a COPY with this statement.
    pub(super) async fn begin(client: &Client, statement: &str) -> Result<Self> {
        let sink =
            client.copy_in(statement).await.map_err(|error| fault::statement("beginning to load rows", error))?;
        let (pieces, receiver) = mpsc::channel(PIECES_AHEAD);
        let mut buffer = BytesMut::with_capacity(PIECE_BYTES + PIECE_BYTES / 8);
        buffer.put_slice(HEADER);
        Ok(Self { pieces, sender: tokio::spawn(send(sink, receiver)), buffer, rows: 0 })
    }

    /// Appends a row: the numbers of `prefix`, then the columns; `None` is NULL.
    pub(super) async fn put<'a>(
        &mut self,
        prefix: &[Prefix],
        columns: impl ExactSizeIterator<Item = Option<&'a Column>>,
        row: usize,
    ) -> Result<()> {
        self.buffer.put_i16((prefix.len() + columns.len()) as i16);
        for number in prefix {
            match number {
                Prefix::BigInt(number) => {
                    self.buffer.put_i32(8);
                    self.buffer.put_i64(*number);
                }
                Prefix::SmallInt(number) => {
                    self.buffer.put_i32(2);
                    self.buffer.put_i16(*number);
                }
            }
        }
        for column in columns {
            match column {
                Some(column) => column.put(row, &mut self.buffer),
                None => self.buffer.put_i32(-1),
            }
        }
        self.rows += 1;
        if self.buffer.len() >= PIECE_BYTES { self.hand_over().await } else { Ok(()) }
    }

    async fn hand_over(&mut self) -> Result<()> {
        let piece = self.buffer.split().freeze();
        self.buffer.reserve(PIECE_BYTES + PIECE_BYTES / 8);
        if self.pieces.send(Piece::Rows(piece)).await.is_err() {
            return Err(self.failure().await);
        }
        Ok(())
    }

    /// Ends the COPY; the answer is the number of rows that the server took.
    pub(super) async fn finish(mut self) -> Result<u64> {
        self.buffer.put_i16(TRAILER);
        self.hand_over().await?;
        if self.pieces.send(Piece::End).await.is_err() {
            return Err(self.failure().await);
        }
        let taken = match (&mut self.sender).await {
            Ok(Ok(taken)) => taken,
            Ok(Err(error)) => return Err(fault::statement("loading rows", error)),
            Err(error) => return Err(Error::internal("the task that loads rows ended early").because(error)),
        };
        if taken != self.rows {
            return Err(fault::incomplete(taken, self.rows));
        }
        Ok(taken)
    }

    /// Why the sender is gone.
    async fn failure(&mut self) -> Error {
        match (&mut self.sender).await {
            Ok(Err(error)) => fault::statement("loading rows", error),
            Ok(Ok(_)) => Error::internal("the task that loads rows ended before the last row"),
            Err(error) => Error::internal("the task that loads rows ended early").because(error),
        }
    }
}

/// Sends pieces until the end; the sink, dropped without it, makes the server forget the rows.
async fn send(sink: CopyInSink<Bytes>, mut pieces: mpsc::Receiver<Piece>) -> Result<u64, tokio_postgres::Error> {
    let mut sink = Box::pin(sink);
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Rows(bytes) => sink.send(bytes).await?,
            Piece::End => return sink.as_mut().finish().await,
        }
    }
    Ok(0)
}
