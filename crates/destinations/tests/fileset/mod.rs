//! What the tests of files and of SFTP share: a look at the files as other programs see them, and the demands of the
//! conformance suite that a set of files can meet.

pub mod demands;
mod look;

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Row, ValueRef};
use tapline_core::testing::bench::{Bench, Probe};
use tapline_core::{ConnectContext, Connector, Destination, StreamName, yaml};

pub use look::{Look, Place, Shown};

/// The stream of every bench, as SQL names it.
pub const TABLE: &str = "rows";

/// The demands of the suite that begin with a table of somebody else, or look into one by hand: files have neither.
const ABOUT_TABLES: [&str; 20] = [
    "values_that_do_not_fit_are_rejected",
    "a_bad_row_stands_alone",
    "a_bad_row_is_found_among_many",
    "too_many_refused_rows_stop_the_run",
    "columns_that_are_not_mapped_keep_their_values",
    "deletes_come_before_updates_and_updates_before_inserts",
    "unique_values_change_places",
    "missing_columns_are_named_at_once",
    "a_missing_unique_index_is_named",
    "a_column_without_a_value_is_named",
    "missing_columns_are_added",
    "a_failed_publication_widens_nothing",
    "a_key_is_not_added",
    "a_recreated_table_shows",
    "outcomes_are_recorded",
    "a_full_refresh_equals_its_rows",
    "a_full_refresh_keeps_a_row_whose_new_version_is_rejected",
    "rows_of_others_stop_a_full_refresh",
    "over_long_values_are_kept_whole_or_rejected",
    "a_marker_that_is_gone_fences_off",
];

/// Whether files can meet a demand of the suite.
pub fn applies(demand: &str) -> bool {
    !ABOUT_TABLES.contains(&demand)
}

/// A destination of a kind, by its settings as a project file has them.
pub fn connect<C: Connector>(kind: &C, settings: &str, folder: &std::path::Path) -> Arc<dyn Destination> {
    let node = yaml::parse(settings, "test.yaml").unwrap_or_else(|error| panic!("{settings}: {error}"));
    let config: C::Config = yaml::from_node(&node).unwrap_or_else(|error| panic!("{settings}: {error}"));
    assert_eq!(kind.lint(&config), Vec::<String>::new(), "{settings}");
    let context = ConnectContext::new("out", folder);
    Connector::connect(kind, config, &context).unwrap()
}

/// A bench on a destination.
pub fn bench(destination: Arc<dyn Destination>, stream: &str, look: Look) -> Bench {
    Bench {
        destination,
        stream: StreamName::parse(stream).unwrap(),
        table: TABLE.to_owned(),
        guard: Box::new(look.clone()),
        probe: Box::new(Files { stream: stream.to_owned(), look }),
    }
}

/// Another program: it follows the manifest, and asks SQLite about what it has read.
struct Files {
    stream: String,
    look: Look,
}

#[async_trait]
impl Probe for Files {
    async fn execute(&self, sql: &str) {
        panic!("files have no tables to run this on: {sql}");
    }

    async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let (look, stream) = (self.look.clone(), self.stream.clone());
        let shown = tokio::task::spawn_blocking(move || look.stream(&stream)).await.unwrap();
        ask(&shown.expect("the stream is there"), sql).await
    }
}

/// The answer of SQLite to a query over what was shown.
async fn ask(shown: &Shown, sql: &str) -> Vec<Vec<Option<String>>> {
    let mut connection = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
    let column = |(name, data_type): &(String, String)| {
        let kind = if data_type.ends_with("INT") || data_type == "INTEGER" { "INTEGER" } else { "BLOB" };
        format!("\"{name}\" {kind}")
    };
    let columns: Vec<String> = shown.fields.iter().map(column).collect();
    let values: Vec<String> = (0..columns.len()).map(|index| format!("value ->> {index}")).collect();
    let statements = [
        format!("CREATE TABLE {TABLE} ({})", columns.join(", ")),
        format!("INSERT INTO {TABLE} SELECT {} FROM json_each(?)", values.join(", ")),
    ];
    sqlx::raw_sql(AssertSqlSafe(statements[0].clone())).execute(&mut connection).await.unwrap();
    let rows = serde_json::to_string(&shown.rows).unwrap();
    sqlx::query(AssertSqlSafe(statements[1].clone())).bind(rows).execute(&mut connection).await.unwrap();
    let found = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await;
    let text = |row: &sqlx::sqlite::SqliteRow, index: usize| {
        let is_null = row.try_get_raw(index).unwrap().is_null();
        (!is_null).then(|| row.get_unchecked::<String, _>(index))
    };
    let found = found.unwrap_or_else(|error| panic!("{sql}: {error}"));
    found.iter().map(|row| (0..row.len()).map(|index| text(row, index)).collect()).collect()
}
