//! Brings a database to the present schema, forward only.
//! Not here: the lock that keeps two processes from doing it at once (see `lock`).
//! Called when the store is opened.

use sqlx::{Row, SqliteConnection};
use tapline_core::{Error, Result, codes};

use super::failed;

/// In order; the schema's version is the number of those applied. Never edit one that was released: append.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_initial.sql"), include_str!("migrations/0002_server.sql")];

/// Applies what is missing in one transaction. Fails with `STATE-002` where a newer version was here, and with
/// `STATE-001` where the file is a database of something else.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<()> {
    let mut transaction =
        sqlx::Connection::begin_with(connection, "BEGIN IMMEDIATE").await.map_err(failed("opening the state"))?;
    let row = sqlx::query("SELECT user_version, (SELECT count(*) FROM sqlite_schema) FROM pragma_user_version")
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed("opening the state"))?;
    let version: i64 = row.get(0);
    let objects: i64 = row.get(1);
    if version == 0 && objects > 0 {
        return Err(Error::new(codes::STATE_001, "opening the state: the file is a database of something else")
            .hint("name another file in state.url"));
    }
    let Some(missing) = usize::try_from(version).ok().and_then(|version| MIGRATIONS.get(version..)) else {
        return Err(Error::new(
            codes::STATE_002,
            format!("opening the state: its schema has version {version}, this Tapline knows {}", MIGRATIONS.len()),
        )
        .hint("use the Tapline that wrote it, or a newer one"));
    };
    if missing.is_empty() {
        return Ok(());
    }
    for migration in missing {
        sqlx::raw_sql(*migration).execute(&mut *transaction).await.map_err(failed("migrating the state"))?;
    }
    sqlx::query("INSERT INTO meta (name, value) VALUES ('id', ?) ON CONFLICT DO NOTHING")
        .bind(uuid::Uuid::new_v4().to_string())
        .execute(&mut *transaction)
        .await
        .map_err(failed("migrating the state"))?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PRAGMA user_version = {}", MIGRATIONS.len())))
        .execute(&mut *transaction)
        .await
        .map_err(failed("migrating the state"))?;
    transaction.commit().await.map_err(failed("migrating the state"))
}
