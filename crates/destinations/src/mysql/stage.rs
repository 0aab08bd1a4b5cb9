//! The staging table of a run: every row with its address and its operation, loaded by LOAD DATA LOCAL.
//! Not here: how values become texts (see `encode`), and what happens to staged rows (see `apply`).
//! Called by the writer.
//!
//! LOAD DATA LOCAL makes errors warnings and goes on with changed values, so a load with a warning, or with another
//! number of rows than were sent, is a failed one.

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};
use tapline_core::{Error, Result, RowId, codes};

use super::connect::{Session, number};
use super::encode::{Cells, Encoder, NULL};
use super::fault;
use super::statements::{REFUSED, staged_column};

/// Rows are handed to the driver in pieces of about this many bytes.
const PIECE_BYTES: usize = 512 * 1024;
/// Characters, and bytes, of a key that its index in the staging table tells apart at most.
const KEY_PREFIX: usize = 750;
/// Ids per statement.
const IDS_AT_ONCE: usize = 2_000;

/// The number of a staged row: its address within the run.
pub(super) fn staged_id(row: RowId) -> i64 {
    ((row.seq << 32) | u64::from(row.ordinal)).cast_signed()
}

/// The inverse of [`staged_id`].
pub(super) fn row_id(staged: i64) -> RowId {
    let staged = staged.cast_unsigned();
    RowId { seq: staged >> 32, ordinal: staged as u32 }
}

/// The staging table of one run.
pub(super) struct Stage {
    /// Quoted.
    pub(super) table: String,
    load: String,
}

impl Stage {
    /// Makes the table. `collations` are those of the columns that texts go to; with `indexed` rows are found by key.
    pub(super) async fn make(
        session: &mut Session,
        table: String,
        encoders: &[Encoder],
        collations: &[Option<String>],
        indexed: bool,
    ) -> Result<Self> {
        let mut lines = vec!["id bigint NOT NULL PRIMARY KEY".to_owned(), "op smallint NOT NULL".to_owned()];
        let mut index = Vec::new();
        let keys = encoders.iter().filter(|encoder| encoder.key).count().max(1);
        for (position, (encoder, collation)) in encoders.iter().zip(collations).enumerate() {
            let column = staged_column(position);
            let (staged, is_text) = encoder.staged();
            let characters = if is_text {
                let collation = collation.as_deref().unwrap_or(session.version.exact_collation());
                format!(" CHARACTER SET utf8mb4 COLLATE {collation}")
            } else {
                String::new()
            };
            lines.push(format!("{column} {staged}{characters} NULL"));
            if encoder.key {
                index.push(if is_text {
                    format!("{column}({})", KEY_PREFIX / 4 / keys)
                } else if encoder.is_hexadecimal() {
                    format!("{column}({})", KEY_PREFIX / keys)
                } else {
                    column
                });
            }
        }
        if indexed && !index.is_empty() {
            lines.push(format!("KEY ({})", index.join(", ")));
        }
        session
            .run(&format!("CREATE TABLE {table} ({}) ENGINE = InnoDB, CHARACTER SET utf8mb4", lines.join(", ")))
            .await
            .map_err(|error| fault::statement("making the staging table", error))?;
        let load = load_statement(&table, encoders);
        Ok(Self { table, load })
    }

    /// Stages rows: the text of a load, and how many rows it has.
    pub(super) async fn add(&self, session: &mut Session, rows: Rows) -> Result<()> {
        let Rows { pieces, last, count } = rows;
        if count == 0 {
            return Ok(());
        }
        let mut pieces = pieces;
        pieces.push(last.freeze());
        let (loaded, warnings) =
            session.load(&self.load, pieces).await.map_err(|error| fault::statement("loading rows", error))?;
        if warnings > 0 {
            let numbers = session.rows("SHOW WARNINGS LIMIT 5").await.unwrap_or_default();
            let numbers: BTreeSet<u16> = numbers.iter().filter_map(|row| number(row, 1)).collect();
            return Err(Error::new(
                codes::DEST_006,
                format!("loading rows: the server would have changed values (warnings {numbers:?})"),
            )
            .hint("nothing became visible; please report it with the types of the columns"));
        }
        if loaded != count { Err(fault::incomplete(loaded, count)) } else { Ok(()) }
    }

    /// Sets rows aside. Their keys stay known.
    pub(super) async fn set_aside(&self, session: &mut Session, ids: &[i64]) -> Result<()> {
        for ids in ids.chunks(IDS_AT_ONCE) {
            session
                .run(&format!("UPDATE {} SET op = {REFUSED} WHERE id IN ({})", self.table, super::sql::numbers(ids)))
                .await
                .map_err(|error| fault::statement("setting rows aside", error))?;
        }
        Ok(())
    }

    /// Compares the staged rows with what must be there; the answer is the operations among them.
    pub(super) async fn verify(&self, session: &mut Session, expected: &[u64]) -> Result<BTreeSet<i64>> {
        let rows = session
            .rows(&format!("SELECT id >> 32, op, count(*) FROM {} WHERE op <> {REFUSED} GROUP BY 1, 2", self.table))
            .await
            .map_err(|error| fault::statement("counting the staged rows", error))?;
        let mut counts = vec![0_u64; expected.len()];
        let mut ops = BTreeSet::new();
        let mut total = 0;
        for row in &rows {
            let count: u64 = number(row, 2).unwrap_or(0);
            total += count;
            ops.extend(number::<i64>(row, 1));
            if let Some(sum) = number::<usize>(row, 0).and_then(|seq| counts.get_mut(seq)) {
                *sum += count;
            }
        }
        let due: u64 = expected.iter().sum();
        if counts != expected || total != due { Err(fault::incomplete(total, due)) } else { Ok(ops) }
    }

    /// Drops the table. What fails here is left to the next sweep.
    pub(super) async fn drop(&self, session: &mut Session) -> bool {
        match session.run(&format!("DROP TABLE IF EXISTS {}", self.table)).await {
            Ok(_) => true,
            Err(error) => {
                tracing::debug!(number = ?fault::number(&error), "the staging table was not dropped");
                false
            }
        }
    }
}

/// Rows on their way into the staging table.
#[derive(Default)]
pub(super) struct Rows {
    pieces: Vec<Bytes>,
    last: BytesMut,
    count: u64,
}

impl Rows {
    /// Appends a row; `None` is NULL.
    pub(super) fn put<'a>(&mut self, id: RowId, op: i64, columns: impl Iterator<Item = Option<&'a Cells>>, row: usize) {
        let last = &mut self.last;
        last.put_slice(staged_id(id).to_string().as_bytes());
        last.put_u8(b'\t');
        last.put_slice(op.to_string().as_bytes());
        for column in columns {
            last.put_u8(b'\t');
            match column {
                Some(cells) => cells.put(row, last),
                None => last.put_slice(NULL),
            }
        }
        last.put_u8(b'\n');
        self.count += 1;
        if last.len() >= PIECE_BYTES {
            let piece = last.split().freeze();
            self.pieces.push(piece);
        }
    }
}

/// Bytes travel in hexadecimal digits: nothing in them is then part of a character, or ends a field.
fn load_statement(table: &str, encoders: &[Encoder]) -> String {
    let mut columns = vec!["id".to_owned(), "op".to_owned()];
    let mut assignments = Vec::new();
    for (position, encoder) in encoders.iter().enumerate() {
        let column = staged_column(position);
        if encoder.is_hexadecimal() {
            columns.push(format!("@{column}"));
            assignments.push(format!("{column} = unhex(@{column})"));
        } else {
            columns.push(column);
        }
    }
    let set = if assignments.is_empty() { String::new() } else { format!(" SET {}", assignments.join(", ")) };
    format!(
        "LOAD DATA LOCAL INFILE 'tapline' INTO TABLE {table} CHARACTER SET utf8mb4 \
         FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' ({}){set}",
        columns.join(", ")
    )
}
