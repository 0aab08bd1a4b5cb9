//! The destination of a test, PostgreSQL, MariaDB or SQLite, under one set of words.
//! Not here: what the binary says about it; tests read results here, from the destination itself.
//! Called by tests through `on_both!` and `on_all!`.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection, ValueRef};
use tempfile::TempDir;

use super::{Cell, Database, MariaDb, Table};

/// A destination.
pub enum Target {
    Postgres(Database),
    MariaDb(MariaDb),
    /// The folder of `out.db`.
    Sqlite(TempDir),
    Files(super::FileTarget),
}

impl Target {
    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub fn files() -> Self {
        Self::Files(super::FileTarget::in_folder())
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Its settings in a project file.
    pub fn settings(&self) -> String {
        match self {
            Self::Postgres(database) => format!("{{ type: postgres, url: \"{}\" }}", database.url()),
            Self::MariaDb(database) => format!("{{ type: mysql, url: \"{}\" }}", database.url()),
            Self::Sqlite(folder) => format!("{{ type: sqlite, path: \"{}/out.db\" }}", folder.path().display()),
            Self::Files(files) => files.settings().to_owned(),
        }
    }

    /// A table's name as a stream.
    pub fn stream(&self, table: &str) -> String {
        match self {
            Self::Files(_) => table.to_owned(),
            Self::Postgres(_) => format!("public.{table}"),
            Self::MariaDb(_) | Self::Sqlite(_) => table.to_owned(),
        }
    }

    /// Runs statements.
    #[track_caller]
    pub fn execute(&self, sql: &str) {
        match self {
            Self::Postgres(database) => database.execute(sql),
            Self::MariaDb(database) => database.execute(sql),
            Self::Sqlite(folder) => {
                let path = folder.path().join("out.db");
                sqlite(&path, async |connection| {
                    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.map(drop)
                });
            }
            Self::Files(_) => panic!("files take no statements: {sql}"),
        }
    }

    /// Runs a query; every value in the database's own text form.
    #[track_caller]
    pub fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        match self {
            Self::Postgres(database) => database.rows(sql),
            Self::MariaDb(database) => database.rows(sql),
            Self::Sqlite(folder) => sqlite_rows(&folder.path().join("out.db"), sql),
            Self::Files(files) => files.rows(sql),
        }
    }

    /// The one value of a query.
    #[track_caller]
    pub fn value(&self, sql: &str) -> String {
        let rows = self.rows(sql);
        assert_eq!((rows.len(), rows[0].len()), (1, 1), "{sql}");
        rows[0][0].clone().unwrap_or_default()
    }

    /// The tables that users see, in order: all but Tapline's own `_tapline_…`.
    pub fn tables(&self) -> Vec<String> {
        let sql = match self {
            Self::Files(files) => return files.streams(),
            Self::Postgres(_) => {
                "SELECT table_name FROM information_schema.tables
                 WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
            }
            Self::MariaDb(_) => {
                "SELECT table_name FROM information_schema.tables WHERE table_schema = database() ORDER BY 1"
            }
            Self::Sqlite(_) => "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1",
        };
        let names = self.rows(sql).into_iter().filter_map(|mut row| row.remove(0));
        names.filter(|name| !name.starts_with("_tapline_") && !name.starts_with("sqlite_")).collect()
    }

    /// Asserts that a table holds exactly these rows, in the order of its first columns.
    #[track_caller]
    pub fn holds(&self, table: &str, expected: &Table) {
        let columns: Vec<String> = expected.names().map(|name| format!("\"{name}\"")).collect();
        let columns = columns.join(", ");
        let mut found = self.rows(&format!("SELECT {columns} FROM {}", self.stream(table)));
        let mut wanted: Vec<Vec<Option<String>>> =
            expected.rows.iter().map(|row| row.iter().map(|cell| self.shows(cell)).collect()).collect();
        found.sort();
        wanted.sort();
        let different = found.iter().zip(&wanted).find(|(found, wanted)| found != wanted);
        assert_eq!(different, None, "of {table}, found and expected");
        assert_eq!(found.len(), wanted.len(), "rows of {table}");
    }

    /// How the database shows a value.
    fn shows(&self, cell: &Cell) -> Option<String> {
        match (self, cell) {
            (Self::Postgres(_), Cell::Bool(value)) => Some(if *value { "t" } else { "f" }.to_owned()),
            (Self::MariaDb(_) | Self::Sqlite(_), Cell::Bool(value)) => Some(i32::from(*value).to_string()),
            _ => cell.text(),
        }
    }
}

/// Opens a SQLite file, which is made where it is absent, and works on it.
#[track_caller]
fn sqlite<T>(path: &std::path::Path, work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>) -> T {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(async {
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let outcome = work(&mut connection).await?;
        connection.close().await?;
        Ok(outcome)
    });
    outcome.unwrap_or_else(|error: sqlx::Error| panic!("{}: {error}", path.display()))
}

/// The rows of a query over a SQLite file, every value as SQLite converts it to text.
#[track_caller]
pub fn sqlite_rows(path: &std::path::Path, sql: &str) -> Vec<Vec<Option<String>>> {
    let rows = sqlite(path, async |connection| sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(connection).await);
    let text = |row: &sqlx::sqlite::SqliteRow, column: usize| {
        let is_null = row.try_get_raw(column).unwrap().is_null();
        (!is_null).then(|| row.get_unchecked::<String, _>(column))
    };
    rows.iter().map(|row| (0..row.len()).map(|column| text(row, column)).collect()).collect()
}
