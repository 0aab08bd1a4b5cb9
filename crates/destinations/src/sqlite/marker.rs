//! The marker: a row per stream in `_tapline_receipts`, and the outcomes of its last publication in
//! `_tapline_outcomes`, in the same file as the tables.
//! Not here: the publication that writes them (see `writer`).
//! Called by every run before anything else, and within the transaction that publishes.

use sqlx::{Connection, Row, SqliteConnection};
use tapline_core::{Error, Marker, Outcome, Owner, Published, Result, RowId, RowOutcome, codes};

use super::fault;
use super::table::{self, TableName};

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS _tapline_receipts (
    stream               TEXT    NOT NULL PRIMARY KEY,
    store                TEXT    NOT NULL,
    sync                 TEXT    NOT NULL,
    generation           INTEGER NOT NULL,
    published_generation INTEGER,
    published_batches    INTEGER,
    published_removed    INTEGER,
    published_table      TEXT,
    created_table        TEXT
);
CREATE TABLE IF NOT EXISTS _tapline_outcomes (
    stream     TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    ordinal    INTEGER NOT NULL,
    code       TEXT,
    reason     TEXT,
    PRIMARY KEY (stream, generation, seq, ordinal)
) WITHOUT ROWID;
";

/// Reads the marker of a stream, if there is one.
pub(super) async fn read(connection: &mut SqliteConnection, name: &TableName) -> Result<Option<Marker>> {
    if !exists(connection).await? {
        return Ok(None);
    }
    let row = sqlx::query(
        "SELECT store, sync, generation, published_generation, published_batches, published_removed, published_table,
             created_table
         FROM _tapline_receipts WHERE stream = ?",
    )
    .bind(name.key())
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed("reading the marker"))?;
    let Some(row) = row else {
        return Ok(None);
    };
    let table = table::identity(connection, name).await?;
    let number = |index| row.get::<Option<i64>, usize>(index).map(i64::cast_unsigned);
    let published = match (number(3), number(4), number(5)) {
        (Some(generation), Some(batches), Some(removed)) => Some(Published { generation, batches, removed }),
        _ => None,
    };
    Ok(Some(Marker {
        owner: Owner { store: row.get(0), sync: row.get(1) },
        generation: row.get::<i64, _>(2).cast_unsigned(),
        published,
        created: table.is_some() && table == row.get(7),
        published_table: row.get(6),
        table,
    }))
}

/// Writes owner and generation in a transaction of its own, which waits for a publication in flight. Fails with
/// `DEST-007` when a later run of the same owner was here.
pub(super) async fn stamp(
    connection: &mut SqliteConnection,
    name: &TableName,
    owner: &Owner,
    generation: u64,
) -> Result<()> {
    const DOING: &str = "stamping the marker";
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed(DOING))?;
    sqlx::raw_sql(TABLES).execute(&mut *transaction).await.map_err(failed("making the marker's tables"))?;
    let before = read(&mut transaction, name).await?;
    let same_owner = before.as_ref().is_some_and(|before| before.owner == *owner);
    if let Some(before) = before.filter(|before| same_owner && before.generation > generation) {
        return Err(taken_over(name, generation, before.generation));
    }
    sqlx::query(
        "INSERT INTO _tapline_receipts (stream, store, sync, generation) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (stream) DO UPDATE SET store = ?2, sync = ?3, generation = ?4,
             published_generation = iif(?5, published_generation, NULL),
             published_batches = iif(?5, published_batches, NULL),
             published_removed = iif(?5, published_removed, NULL),
             published_table = iif(?5, published_table, NULL)",
    )
    .bind(name.key())
    .bind(&owner.store)
    .bind(&owner.sync)
    .bind(generation.cast_signed())
    .bind(same_owner)
    .execute(&mut *transaction)
    .await
    .map_err(failed(DOING))?;
    if !same_owner {
        forget_outcomes(&mut transaction, name).await?;
    }
    transaction.commit().await.map_err(failed(DOING))
}

/// Within the publishing transaction: reads the marker, and fails with `DEST-007` unless it is exactly this run's.
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    name: &TableName,
    owner: &Owner,
    generation: u64,
) -> Result<Marker> {
    match read(connection, name).await? {
        Some(marker) if marker.owner == *owner && marker.generation == generation => Ok(marker),
        Some(marker) => Err(taken_over(name, generation, marker.generation)),
        None => Err(Error::new(codes::DEST_007, format!("the marker of {name} is gone"))
            .hint("somebody removed the row from _tapline_receipts while the run went on; run the sync again")),
    }
}

/// Within the publishing transaction: writes what the publication did. `created` is whether the table is Tapline's own.
pub(super) async fn publish(
    connection: &mut SqliteConnection,
    name: &TableName,
    published: Published,
    created: bool,
    outcomes: &[RowOutcome],
) -> Result<()> {
    const DOING: &str = "writing the marker";
    let table = table::identity(connection, name).await?;
    sqlx::query(
        "UPDATE _tapline_receipts SET published_generation = ?2, published_batches = ?3, published_table = ?4,
             published_removed = ?6, created_table = iif(?5, ?4, NULL) WHERE stream = ?1",
    )
    .bind(name.key())
    .bind(published.generation.cast_signed())
    .bind(published.batches.cast_signed())
    .bind(table)
    .bind(created)
    .bind(published.removed.cast_signed())
    .execute(&mut *connection)
    .await
    .map_err(failed(DOING))?;
    forget_outcomes(connection, name).await?;
    for RowOutcome { row, outcome } in outcomes {
        let (code, reason) = match outcome {
            Outcome::Rejected { code, reason } => (Some(code.id), Some(reason)),
            Outcome::Skipped => (None, None),
        };
        sqlx::query("INSERT INTO _tapline_outcomes VALUES (?, ?, ?, ?, ?, ?)")
            .bind(name.key())
            .bind(published.generation.cast_signed())
            .bind(row.seq.cast_signed())
            .bind(i64::from(row.ordinal))
            .bind(code)
            .bind(reason)
            .execute(&mut *connection)
            .await
            .map_err(failed(DOING))?;
    }
    Ok(())
}

/// The outcomes that the publication of `generation` wrote, in the order of rows.
pub(super) async fn outcomes(
    connection: &mut SqliteConnection,
    name: &TableName,
    generation: u64,
) -> Result<Vec<RowOutcome>> {
    const DOING: &str = "reading the outcomes of a publication";
    if !exists(connection).await? {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "SELECT seq, ordinal, code, reason FROM _tapline_outcomes WHERE stream = ? AND generation = ?
         ORDER BY seq, ordinal",
    )
    .bind(name.key())
    .bind(generation.cast_signed())
    .fetch_all(connection)
    .await
    .map_err(failed(DOING))?;
    let damaged = || Error::new(codes::DEST_006, format!("{DOING}: a record is damaged"));
    rows.iter()
        .map(|row| {
            let ordinal = u32::try_from(row.get::<i64, _>(1)).map_err(|_| damaged())?;
            let outcome = match row.get::<Option<&str>, _>(2) {
                None => Outcome::Skipped,
                Some(code) => Outcome::Rejected { code: codes::find(code).ok_or_else(damaged)?, reason: row.get(3) },
            };
            Ok(RowOutcome { row: RowId { seq: row.get::<i64, _>(0).cast_unsigned(), ordinal }, outcome })
        })
        .collect()
}

async fn exists(connection: &mut SqliteConnection) -> Result<bool> {
    sqlx::query_scalar(
        "SELECT count(*) = 2 FROM sqlite_schema WHERE name IN ('_tapline_receipts', '_tapline_outcomes')",
    )
    .fetch_one(connection)
    .await
    .map_err(failed("looking for the marker"))
}

async fn forget_outcomes(connection: &mut SqliteConnection, name: &TableName) -> Result<()> {
    sqlx::query("DELETE FROM _tapline_outcomes WHERE stream = ?")
        .bind(name.key())
        .execute(connection)
        .await
        .map_err(failed("writing the marker"))?;
    Ok(())
}

fn taken_over(name: &TableName, generation: u64, held: u64) -> Error {
    Error::new(codes::DEST_007, format!("run {generation} no longer holds {name}: run {held} has taken it over"))
        .hint("nothing of this run became visible; the later run delivers")
}

fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> Error {
    move |error| fault::statement(doing, error)
}
