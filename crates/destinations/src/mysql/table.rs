//! Tables as they stand at the server, and tables that are made.
//! Not here: whether an existing column can take a field (see `fit`).
//! Called when a run opens its writer, and again, under the marker's lock, when it publishes.

use mysql_async::Row;
use tapline_core::{Error, FieldInfo, Result, StreamInfo, StreamName, codes};

use super::connect::{Session, number, text};
use super::types::Kind;
use super::{fault, sql};

/// MySQL's limit on the characters of a name.
const LONGEST_NAME: usize = 64;

/// Prefix of everything that Tapline makes for itself.
pub(super) const OWN_PREFIX: &str = "_tapline_";

/// What the comment of a table that Tapline made begins with, before the table's own random id. It is gone when the
/// table is dropped, and stays when it is altered.
const MADE_BY_TAPLINE: &str = "tapline ";

/// A stream, with its database found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) database: String,
    pub(super) table: String,
    /// Whether the server ignores the case of names.
    folds_names: bool,
}

impl Place {
    /// Finds the database of a stream: its own, else that of the settings.
    pub(super) fn of(session: &Session, database: Option<&str>, stream: &StreamName) -> Result<Self> {
        let refused = |problem: String| Error::new(codes::DEST_004, format!("stream {stream}: {problem}"));
        check_names(stream.parts().iter().map(String::as_str)).map_err(refused)?;
        let database = match stream.parts() {
            [_] => database
                .ok_or_else(|| {
                    refused("no database is named".to_owned()).hint("write database.table, or set database")
                })?
                .to_owned(),
            [database, _] => database.clone(),
            _ => {
                return Err(refused("a MySQL stream has at most two parts".to_owned()).hint("write database.table"));
            }
        };
        let table = stream.table().to_owned();
        if table.to_lowercase().starts_with(OWN_PREFIX) {
            return Err(refused("the name is reserved".to_owned()).hint("name another table"));
        }
        Ok(Self { database, table, folds_names: session.folds_names })
    }

    /// The quoted name.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", sql::name(&self.database), sql::name(&self.table))
    }

    /// Database and table, the same for every spelling that the server takes for one.
    pub(super) fn key(&self) -> (String, String) {
        let fold = |name: &str| if self.folds_names { name.to_lowercase() } else { name.to_owned() };
        (fold(&self.database), fold(&self.table))
    }

    /// The condition of a query over `information_schema`, in which these columns name database and table.
    fn condition(&self, database: &str, table: &str) -> String {
        format!("{database} = {} AND {table} = {}", sql::text(&self.database), sql::text(&self.table))
    }
}

/// An existing table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    /// What tells it from another that takes its name.
    pub(super) identity: String,
    pub(super) columns: Vec<Column>,
    /// The columns of every unique index over whole columns.
    unique: Vec<Vec<String>>,
    pub(super) triggers: bool,
    /// Other tables with a foreign key that points here.
    pub(super) referenced_by: Vec<String>,
}

/// A column of an existing table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The whole type, as in `CREATE TABLE`.
    pub(super) type_name: String,
    pub(super) charset: Option<String>,
    pub(super) collation: Option<String>,
    pub(super) not_null: bool,
    /// Whether a row without it is refused.
    pub(super) required: bool,
    pub(super) generated: bool,
    /// Whether it has a default, a comment or rules of its own, which a change of its type would have to repeat.
    pub(super) adorned: bool,
}

impl Column {
    /// Whether values that differ can be equal to the column.
    pub(super) fn folds(&self) -> bool {
        // Zero and its negative are one number.
        matches!(self.kind, Kind::Float { .. })
            || self.collation.as_deref().is_some_and(|collation| {
                collation != "binary" && !collation.ends_with("_nopad_bin") && collation != "utf8mb4_0900_bin"
            })
    }
}

impl Table {
    /// Reads a table; `None` where there is none. Fails on views, and on tables that know no transactions.
    pub(super) async fn find(session: &mut Session, place: &Place) -> Result<Option<Self>> {
        let quoted = place.quoted();
        let failed = |error| fault::statement(&format!("inspecting table {quoted}"), error);
        let found = session
            .first(&format!(
                "SELECT table_type, engine, table_comment, date_format(create_time, '%Y%m%d%H%i%s') \
                 FROM information_schema.tables WHERE {}",
                place.condition("table_schema", "table_name")
            ))
            .await
            .map_err(failed)?;
        let Some(found) = found else { return Ok(None) };
        let (kind, engine) = (text(&found, 0).unwrap_or_default(), text(&found, 1).unwrap_or_default());
        if !matches!(kind, "BASE TABLE" | "SYSTEM VERSIONED") {
            let kind = kind.to_lowercase();
            return Err(Error::new(codes::DEST_004, format!("{quoted} is a {kind}; rows go to tables only"))
                .hint("name a table as the stream"));
        }
        if !engine.eq_ignore_ascii_case("InnoDB") {
            return Err(Error::new(
                codes::DEST_004,
                format!("table {quoted} is kept by {engine}, which knows no transactions"),
            )
            .hint(format!("ALTER TABLE {quoted} ENGINE = InnoDB;")));
        }
        let identity = identity(text(&found, 2).unwrap_or_default(), text(&found, 3).unwrap_or_default());
        let columns = session.rows(&columns_of(place)).await.map_err(failed)?;
        let columns: Vec<Column> = columns.iter().map(column).collect();
        let indexes = session.rows(&indexes_of(place)).await.map_err(failed)?;
        let triggers = session
            .rows(&format!(
                "SELECT 1 FROM information_schema.triggers WHERE {} LIMIT 1",
                place.condition("event_object_schema", "event_object_table")
            ))
            .await
            .map_err(failed)?;
        let references = session
            .rows(&format!(
                "SELECT table_name FROM information_schema.referential_constraints \
                 WHERE {} AND NOT (constraint_schema = unique_constraint_schema AND table_name = referenced_table_name) \
                 ORDER BY 1",
                place.condition("unique_constraint_schema", "referenced_table_name")
            ))
            .await
            .map_err(failed)?;
        Ok(Some(Self {
            identity,
            columns,
            unique: unique(&indexes),
            triggers: !triggers.is_empty(),
            referenced_by: references.iter().filter_map(|row| text(row, 0).map(str::to_owned)).collect(),
        }))
    }

    /// The column with this name, in any case, as the server compares names of columns.
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| same_name(&column.name, name))
    }

    /// Whether a unique index covers exactly these columns.
    pub(super) fn is_unique_on(&self, key: &[String]) -> bool {
        self.unique.iter().any(|index| {
            index.len() == key.len() && key.iter().all(|name| index.iter().any(|column| same_name(column, name)))
        })
    }
}

/// Whether two names are those of one column: their case does not count.
pub(super) fn same_name(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

fn columns_of(place: &Place) -> String {
    format!(
        "SELECT column_name, data_type, column_type, character_maximum_length, character_set_name, collation_name, \
           is_nullable, column_default, extra, column_comment \
         FROM information_schema.columns WHERE {} ORDER BY ordinal_position",
        place.condition("table_schema", "table_name")
    )
}

/// A row of [`columns_of`].
fn column(row: &Row) -> Column {
    let word = |index| text(row, index).unwrap_or_default();
    let extra = word(8).to_lowercase();
    let generated = extra.contains("virtual generated") || extra.contains("stored generated");
    let numbered = extra.contains("auto_increment");
    let not_null = word(6) == "NO";
    // MariaDB writes the default NULL in a word.
    let default = text(row, 7).filter(|default| *default != "NULL");
    Column {
        name: word(0).to_owned(),
        kind: Kind::read(&word(1).to_lowercase(), &lower_type(word(2)), number(row, 3), text(row, 4)),
        type_name: word(2).to_owned(),
        charset: text(row, 4).map(str::to_owned),
        collation: text(row, 5).map(str::to_owned),
        not_null,
        required: not_null && default.is_none() && !numbered && !generated,
        generated,
        adorned: default.is_some() || !extra.is_empty() || !word(9).is_empty(),
    }
}

/// A type in lower case, except for what stands in its brackets, such as the members of an ENUM.
fn lower_type(column_type: &str) -> String {
    match column_type.split_once('(') {
        Some((name, rest)) => format!("{}({rest}", name.to_lowercase()),
        None => column_type.to_lowercase(),
    }
}

fn indexes_of(place: &Place) -> String {
    format!(
        "SELECT index_name, column_name, sub_part FROM information_schema.statistics \
         WHERE {} AND non_unique = 0 ORDER BY index_name, seq_in_index",
        place.condition("table_schema", "table_name")
    )
}

/// The columns of unique indexes, without those over parts of columns or expressions.
fn unique(rows: &[Row]) -> Vec<Vec<String>> {
    let mut indexes: Vec<(String, Option<Vec<String>>)> = Vec::new();
    for row in rows {
        let index = text(row, 0).unwrap_or_default();
        if indexes.last().is_none_or(|(name, _)| name != index) {
            indexes.push((index.to_owned(), Some(Vec::new())));
        }
        if let Some((_, columns)) = indexes.last_mut() {
            match text(row, 1).filter(|_| text(row, 2).is_none()) {
                Some(column) => columns.iter_mut().for_each(|columns| columns.push(column.to_owned())),
                None => *columns = None,
            }
        }
    }
    indexes.into_iter().filter_map(|(_, columns)| columns).collect()
}

/// The identity of a table: the id that Tapline gave it, then the moment when it was made, altered or truncated. A
/// table of others has nothing that stays while it lives.
fn identity(comment: &str, made_at: &str) -> String {
    format!("{}:{made_at}", comment.strip_prefix(MADE_BY_TAPLINE).unwrap_or_default())
}

/// The identity of the table that stands under the name now; `None` where there is none.
pub(super) async fn find_identity(session: &mut Session, place: &Place) -> Result<Option<String>> {
    let row = session
        .first(&format!(
            "SELECT table_comment, date_format(create_time, '%Y%m%d%H%i%s') FROM information_schema.tables \
             WHERE {} AND table_type <> 'VIEW'",
            place.condition("table_schema", "table_name")
        ))
        .await
        .map_err(|error| fault::statement(&format!("inspecting table {}", place.quoted()), error))?;
    Ok(row.map(|row| identity(text(&row, 0).unwrap_or_default(), text(&row, 1).unwrap_or_default())))
}

/// Whether an existing table holds any row.
pub(super) async fn holds_rows(session: &mut Session, quoted: &str) -> Result<bool> {
    let row = session
        .first(&format!("SELECT 1 FROM {quoted} LIMIT 1"))
        .await
        .map_err(|error| fault::statement(&format!("looking into table {quoted}"), error))?;
    Ok(row.is_some())
}

/// A column of a new table.
pub(super) struct NewColumn {
    pub(super) name: String,
    pub(super) declared: String,
    pub(super) key: bool,
}

/// The statement that makes a table; `key` is its primary key, in this order, or empty, and `id` its own.
pub(super) fn create(session: &Session, place: &Place, columns: &[NewColumn], key: &[String], id: &str) -> String {
    let mut lines: Vec<String> = columns
        .iter()
        .map(|NewColumn { name, declared, key }| {
            format!("{} {declared}{}", sql::name(name), if *key { " NOT NULL" } else { " NULL" })
        })
        .collect();
    if !key.is_empty() {
        lines.push(format!("PRIMARY KEY ({})", sql::names(key.iter().map(String::as_str))));
    }
    format!(
        "CREATE TABLE {} ({}) ENGINE = InnoDB, CHARACTER SET utf8mb4, COLLATE {}, COMMENT {}",
        place.quoted(),
        lines.join(", "),
        session.version.exact_collation(),
        sql::text(&format!("{MADE_BY_TAPLINE}{id}"))
    )
}

/// Fails, with the problem, when a name is longer than one can be, or is written in a way that MySQL does not keep.
pub(super) fn check_names<'a>(mut names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    match names.find(|name| name.chars().count() > LONGEST_NAME || name.ends_with(' ')) {
        None => Ok(()),
        Some(name) if name.ends_with(' ') => Err(format!("the name {name:?} ends with a space")),
        Some(name) => Err(format!("the name {name:?} is longer than MySQL's {LONGEST_NAME} characters")),
    }
}

/// All tables of a database, else of all databases that are not the server's own; without those of Tapline.
pub(super) async fn list(session: &mut Session, database: Option<&str>) -> Result<Vec<StreamInfo>> {
    let wanted = match database {
        Some(database) => format!("c.table_schema = {}", sql::text(database)),
        None => "c.table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')".to_owned(),
    };
    let rows = session
        .rows(&format!(
            "SELECT c.column_name, c.data_type, c.column_type, c.character_maximum_length, c.character_set_name, \
               c.collation_name, c.is_nullable, c.column_default, c.extra, c.column_comment, c.table_schema, c.table_name \
             FROM information_schema.columns c JOIN information_schema.tables t \
               ON t.table_schema = c.table_schema AND t.table_name = c.table_name \
             WHERE {wanted} AND t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') \
               AND lower(left(c.table_name, {})) <> {} \
             ORDER BY c.table_schema, c.table_name, c.ordinal_position",
            OWN_PREFIX.len(),
            sql::text(OWN_PREFIX)
        ))
        .await
        .map_err(|error| fault::statement("listing tables", error))?;
    let mut streams: Vec<StreamInfo> = Vec::new();
    for row in rows {
        let quote = |part: &str| format!("\"{}\"", part.replace('"', "\"\""));
        let (database, table) = (text(&row, 10).unwrap_or_default(), text(&row, 11).unwrap_or_default());
        let name = StreamName::parse(&format!("{}.{}", quote(database), quote(table)))?;
        let column = column(&row);
        if streams.last().is_none_or(|stream| stream.name != name) {
            streams.push(StreamInfo { name, fields: Vec::new() });
        }
        if let Some(stream) = streams.last_mut().filter(|_| !column.generated) {
            stream.fields.push(FieldInfo { name: column.name, data_type: column.type_name, required: column.required });
        }
    }
    Ok(streams)
}
