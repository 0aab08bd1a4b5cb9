//! Tables as they stand in the file, and tables that are made.
//! Not here: whether a value fits its column (see `encode`).
//! Called when a run opens its writer, and again, within the transaction, when it publishes.

use std::fmt;

use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Row, SqliteConnection};
use tapline_core::{Error, FieldInfo, Result, StreamInfo, StreamName, codes};

use super::types::Affinity;
use super::{fault, sql};

/// Prefix of everything that Tapline makes for itself.
const OWN_PREFIX: &str = "_tapline_";

/// What stands in the definition of a table that Tapline made, before the table's own random id. It is gone when the
/// table is dropped, and stays when the file is vacuumed.
const MADE_BY_TAPLINE: &str = "/* tapline ";

/// The table that a stream names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableName(String);

impl TableName {
    /// Fails when the stream cannot be a table of a SQLite file.
    pub(super) fn of(stream: &StreamName) -> Result<Self> {
        let refused =
            |problem: &str, hint: String| Error::new(codes::DEST_004, format!("stream {stream}: {problem}")).hint(hint);
        match stream.parts() {
            [_] => {}
            [schema, _] if schema.eq_ignore_ascii_case("main") => {}
            parts => {
                let quoted = format!("\"{}\"", parts.join("."));
                return Err(refused(
                    "a SQLite file has no schemas",
                    format!("write the table's name alone; a dot that is part of it needs quotes: {quoted}"),
                ));
            }
        }
        let table = stream.table();
        let lower = table.to_ascii_lowercase();
        if lower.starts_with(OWN_PREFIX) || lower.starts_with("sqlite_") {
            return Err(refused("the name is reserved", "name another table".to_owned()));
        }
        Ok(Self(table.to_owned()))
    }

    /// The name as it is.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The same for every spelling of the table: SQLite ignores the case of ASCII letters.
    pub(super) fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The quoted name, which no attached database hides.
    pub(super) fn quoted(&self) -> String {
        format!("main.{}", sql::name(&self.0))
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "table {:?}", self.0)
    }
}

/// An existing table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    /// The columns of every unique index that covers all rows, with their collations.
    unique: Vec<Vec<(String, String)>>,
    pub(super) triggers: bool,
    /// Tables with a foreign key that points here.
    pub(super) referenced_by: Vec<String>,
}

/// A column of an existing table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) affinity: Affinity,
    /// Whether a row without it is refused.
    pub(super) required: bool,
    pub(super) generated: bool,
}

impl Table {
    /// Reads a table; `None` where there is none. Fails on views and virtual tables.
    pub(super) async fn find(connection: &mut SqliteConnection, name: &TableName) -> Result<Option<Self>> {
        let doing = format!("inspecting {name}");
        let failed = |error| fault::statement(&doing, error);
        let found = sqlx::query("SELECT type, wr, strict FROM pragma_table_list(?) WHERE schema = 'main'")
            .bind(name.as_str())
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed)?;
        let Some(found) = found else {
            return Ok(None);
        };
        let (kind, without_rowid, strict): (String, bool, bool) = (found.get(0), found.get(1), found.get(2));
        if kind != "table" {
            return Err(Error::new(codes::DEST_004, format!("{name} is a {kind}; rows go to ordinary tables only"))
                .hint("name a table as the stream"));
        }
        let rows = sqlx::query(
            r#"SELECT name, type, "notnull" AND dflt_value IS NULL, pk, hidden FROM pragma_table_xinfo(?, 'main')"#,
        )
        .bind(name.as_str())
        .fetch_all(&mut *connection)
        .await
        .map_err(failed)?;
        let primary_key: Vec<String> =
            rows.iter().filter(|row| row.get::<i64, _>(3) > 0).map(|row| row.get(0)).collect();
        let rowid = |row: &sqlx::sqlite::SqliteRow| {
            !without_rowid
                && primary_key == [row.get::<String, _>(0)]
                && row.get::<&str, _>(1).eq_ignore_ascii_case("INTEGER")
        };
        let mut unique = Vec::new();
        if rows.iter().any(rowid) {
            unique.push(primary_key.iter().map(|column| (column.clone(), "BINARY".to_owned())).collect());
        }
        let columns = rows
            .iter()
            .map(|row| {
                let generated = row.get::<i64, _>(4) != 0;
                Column {
                    name: row.get(0),
                    affinity: Affinity::of(row.get(1), strict),
                    required: row.get::<bool, _>(2) && !generated && !rowid(row),
                    generated,
                }
            })
            .collect();
        unique.extend(unique_indexes(connection, name).await.map_err(failed)?);
        let triggers = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE)",
        )
        .bind(name.as_str())
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
        let referenced_by = sqlx::query_scalar(
            "SELECT DISTINCT t.name FROM sqlite_schema t JOIN pragma_foreign_key_list(t.name, 'main') k
             WHERE t.type = 'table' AND k.\"table\" = ? COLLATE NOCASE ORDER BY 1",
        )
        .bind(name.as_str())
        .fetch_all(&mut *connection)
        .await
        .map_err(failed)?;
        Ok(Some(Self { columns, unique, triggers, referenced_by }))
    }

    /// The column with this name, in any case.
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The collations of `key` in a unique index over exactly these columns; `None` where there is no such index.
    pub(super) fn unique_on(&self, key: &[String]) -> Option<Vec<String>> {
        self.unique.iter().filter(|index| index.len() == key.len()).find_map(|index| {
            let collation = |name: &String| index.iter().find(|(column, _)| column.eq_ignore_ascii_case(name));
            key.iter().map(|name| collation(name).map(|(_, collation)| collation.clone())).collect()
        })
    }

    /// Columns that are not among `fields` and without which a row is refused.
    pub(super) fn required_besides<'a>(&'a self, fields: &'a [String]) -> impl Iterator<Item = &'a str> {
        let mapped = |column: &Column| fields.iter().any(|field| field.eq_ignore_ascii_case(&column.name));
        self.columns.iter().filter(move |column| column.required && !mapped(column)).map(|column| column.name.as_str())
    }
}

/// The columns, with their collations, of unique indexes that cover all rows. One that compares by another collation
/// than its columns do is left out, since rows that are one to the columns can be two to the index.
async fn unique_indexes(
    connection: &mut SqliteConnection,
    name: &TableName,
) -> Result<Vec<Vec<(String, String)>>, sqlx::Error> {
    let rows = sqlx::query(
        r#"SELECT i.seq, c.name, c.coll FROM pragma_index_list(?, 'main') i JOIN pragma_index_xinfo(i.name, 'main') c
           WHERE i."unique" AND NOT i.partial AND c.key
             AND NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = i.name AND sql LIKE '%collate%')
           ORDER BY i.seq, c.seqno"#,
    )
    .bind(name.as_str())
    .fetch_all(connection)
    .await?;
    let mut indexes: Vec<Vec<(String, String)>> = Vec::new();
    let mut last = None;
    for row in rows {
        let number: i64 = row.get(0);
        // An expression has no name, and no column has the empty one's place.
        let column = (row.get::<Option<String>, _>(1).unwrap_or_default(), row.get(2));
        match indexes.last_mut() {
            Some(index) if last == Some(number) => index.push(column),
            _ => indexes.push(vec![column]),
        }
        last = Some(number);
    }
    Ok(indexes)
}

/// What tells the table from another that takes its name; `None` where there is none. Tables that Tapline did not make
/// have nothing that stays while they live: their root page moves with a VACUUM.
pub(super) async fn identity(connection: &mut SqliteConnection, name: &TableName) -> Result<Option<String>> {
    let row = sqlx::query("SELECT rootpage, sql FROM sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE")
        .bind(name.as_str())
        .fetch_optional(connection)
        .await
        .map_err(|error| fault::statement(&format!("inspecting {name}"), error))?;
    Ok(row.map(|row| {
        let definition: &str = row.get(1);
        match definition.split_once(MADE_BY_TAPLINE).and_then(|(_, rest)| rest.split_once(" */")) {
            Some((id, _)) => id.to_owned(),
            None => {
                let digest = Sha256::digest(definition);
                let short: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
                format!(":{}:{short}", row.get::<i64, _>(0))
            }
        }
    }))
}

/// Whether a table holds any row; `table` is its quoted name.
pub(super) async fn holds_rows(connection: &mut SqliteConnection, table: &str) -> Result<bool> {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT EXISTS (SELECT 1 FROM {table})")))
        .fetch_one(connection)
        .await
        .map_err(|error| fault::statement(&format!("looking into {table}"), error))
}

/// A column of a new table.
pub(super) struct NewColumn<'a> {
    pub(super) name: &'a str,
    pub(super) declared: &'static str,
    pub(super) key: bool,
}

/// Makes a table with `columns`; `key` is its primary key, in this order, or empty.
pub(super) async fn make(
    connection: &mut SqliteConnection,
    name: &TableName,
    columns: &[NewColumn<'_>],
    key: &[String],
) -> Result<()> {
    let mut lines: Vec<String> = columns
        .iter()
        .map(|column| {
            format!("  {} {}{}", sql::name(column.name), column.declared, if column.key { " NOT NULL" } else { "" })
        })
        .collect();
    if !key.is_empty() {
        lines.push(format!("  PRIMARY KEY ({})", sql::names(key.iter().map(String::as_str))));
    }
    let id = uuid::Uuid::new_v4();
    let statement = format!("CREATE TABLE {} (\n{}\n  {MADE_BY_TAPLINE}{id} */\n)", name.quoted(), lines.join(",\n"));
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(connection)
        .await
        .map_err(|error| fault::statement(&format!("making {name}"), error))?;
    Ok(())
}

/// Adds columns to an existing table; rows that are there have NULL in them.
pub(super) async fn add_columns(
    connection: &mut SqliteConnection,
    name: &TableName,
    columns: &[NewColumn<'_>],
) -> Result<()> {
    for NewColumn { name: column, declared, .. } in columns {
        let statement = format!("ALTER TABLE {} ADD COLUMN {} {declared}", name.quoted(), sql::name(column));
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await
            .map_err(|error| fault::statement(&format!("adding column {column:?} to {name}"), error))?;
    }
    Ok(())
}

/// All tables, except SQLite's and Tapline's own.
pub(super) async fn list(connection: &mut SqliteConnection) -> Result<Vec<StreamInfo>> {
    let rows = sqlx::query(
        r#"SELECT t.name, c.name, c.type,
             c."notnull" AND c.dflt_value IS NULL AND NOT (c.pk = 1 AND upper(c.type) = 'INTEGER' AND NOT t.wr AND
               (SELECT count(*) FROM pragma_table_xinfo(t.name, 'main') WHERE pk > 0) = 1)
           FROM pragma_table_list t JOIN pragma_table_xinfo(t.name, 'main') c
           WHERE t.schema = 'main' AND t.type = 'table' AND c.hidden = 0
             AND substr(lower(t.name), 1, 7) <> 'sqlite_' AND substr(lower(t.name), 1, 9) <> ?
           ORDER BY t.name, c.cid"#,
    )
    .bind(OWN_PREFIX)
    .fetch_all(connection)
    .await
    .map_err(|error| fault::statement("listing tables", error))?;
    let mut streams: Vec<StreamInfo> = Vec::new();
    for row in rows {
        let name = StreamName::parse(&sql::name(row.get(0)))?;
        let field = FieldInfo { name: row.get(1), data_type: row.get(2), required: row.get(3) };
        match streams.last_mut() {
            Some(stream) if stream.name == name => stream.fields.push(field),
            _ => streams.push(StreamInfo { name, fields: vec![field] }),
        }
    }
    Ok(streams)
}
