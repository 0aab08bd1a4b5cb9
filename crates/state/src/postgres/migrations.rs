//! Brings a database to the present schema, forward only, one process at a time.
//! Not here: the statements themselves, which lie in the folder of this name.
//! Called when the store is opened.

use sqlx::{PgConnection, Row};
use tapline_core::{Error, Result, codes};

use super::failed;
use crate::seal::{CHECK_CONTEXT, CHECK_WORD, Sealer};

/// In order; the schema's version is the number of those applied. Never edit one that was released: append.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_initial.sql"), include_str!("migrations/0002_server.sql")];
/// Held while the schema is made or changed: the letters of "tapline" as a number.
const LOCK: i64 = 0x0074_6170_6c69_6e65;
const DOING: &str = "opening the state";

/// Applies what is missing in one transaction, and compares the key with the one that the store was made with.
///
/// # Errors
/// `STATE-002` where a newer version was here, `STATE-001` where the key is another one.
pub(super) async fn migrate(connection: &mut PgConnection, sealer: &Sealer) -> Result<()> {
    let mut transaction = sqlx::Connection::begin(connection).await.map_err(failed(DOING))?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut *transaction)
        .await
        .map_err(failed(DOING))?;
    if !exists(&mut transaction).await? {
        sqlx::raw_sql("CREATE SCHEMA IF NOT EXISTS tapline").execute(&mut *transaction).await.map_err(|error| {
            failed(DOING)(error)
                .hint("let the user make a schema: GRANT CREATE ON DATABASE … TO …, or make one named tapline")
        })?;
    }
    let version = match exists(&mut transaction).await? {
        true => version(&mut transaction).await?,
        false => 0,
    };
    let Some(missing) = MIGRATIONS.get(version..) else {
        return Err(Error::new(
            codes::STATE_002,
            format!("{DOING}: its schema has version {version}, this Tapline knows {}", MIGRATIONS.len()),
        )
        .hint("use the Tapline that wrote it, or a newer one"));
    };
    for migration in missing {
        sqlx::raw_sql(*migration).execute(&mut *transaction).await.map_err(failed("migrating the state"))?;
    }
    if !missing.is_empty() {
        let entries = [
            ("id", uuid::Uuid::new_v4().to_string().into_bytes(), "DO NOTHING"),
            ("key", sealer.seal(CHECK_CONTEXT, CHECK_WORD).await?, "DO NOTHING"),
            ("version", MIGRATIONS.len().to_string().into_bytes(), "DO UPDATE SET value = excluded.value"),
        ];
        for (name, value, otherwise) in entries {
            let statement = format!("INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) {otherwise}");
            sqlx::query(sqlx::AssertSqlSafe(statement))
                .bind(name)
                .bind(value)
                .execute(&mut *transaction)
                .await
                .map_err(failed("migrating the state"))?;
        }
    }
    let sealed = meta(&mut transaction, "key").await?;
    sealer.open(CHECK_CONTEXT, &sealed).await?;
    transaction.commit().await.map_err(failed(DOING))
}

/// Whether a store is there.
pub(super) async fn exists(connection: &mut PgConnection) -> Result<bool> {
    sqlx::query_scalar("SELECT to_regclass('tapline.meta') IS NOT NULL")
        .fetch_one(connection)
        .await
        .map_err(failed(DOING))
}

/// What the store says of itself.
pub(super) async fn meta(connection: &mut PgConnection, name: &str) -> Result<Vec<u8>> {
    let row = sqlx::query("SELECT value FROM meta WHERE name = $1")
        .bind(name)
        .fetch_one(connection)
        .await
        .map_err(failed(DOING))?;
    Ok(row.get(0))
}

async fn version(connection: &mut PgConnection) -> Result<usize> {
    let value = meta(connection, "version").await?;
    let version = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
    version.ok_or_else(|| Error::new(codes::STATE_001, "opening the state: its version is not a number"))
}
