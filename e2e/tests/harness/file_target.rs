//! Files as a destination of tests, in a folder or on the OpenSSH server that `TAPLINE_TEST_SFTP_URL` names. They are read
//! as other programs read them: what the manifests name, put into SQLite to be asked about.
//! Not here: the server, which `cargo xtask test` starts.
//! Called by `target`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Map, Value};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection, ValueRef};
use tempfile::TempDir;
use url::Url;

/// Where files are delivered to.
pub struct FileTarget {
    folder: PathBuf,
    settings: String,
    _guard: Option<TempDir>,
}

impl FileTarget {
    /// A folder of this machine.
    pub fn in_folder() -> Self {
        let guard = tempfile::tempdir().unwrap();
        let folder = guard.path().join("out");
        let settings = format!("{{ type: files, format: ndjson, url: \"{}\" }}", folder.display());
        Self { folder, settings, _guard: Some(guard) }
    }

    /// A new folder of the server; `None` where there is no server.
    pub fn on_sftp() -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let url: Url = std::env::var("TAPLINE_TEST_SFTP_URL").ok()?.parse().unwrap();
        let server = PathBuf::from(url.path());
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = server.join("files").join(format!("e2e-{}-{number}", std::process::id()));
        let host_key = fs::read_to_string(server.join("host_key.pub")).unwrap();
        let settings = format!(
            "{{ type: sftp, format: ndjson, host: \"{}\", port: {}, user: {}, host_key: \"{}\", private_key: \
             \"${{file:{}}}\", path: \"{}\" }}",
            url.host_str().unwrap(),
            url.port().unwrap(),
            url.username(),
            host_key.trim(),
            server.join("client_key").display(),
            folder.display(),
        );
        Some(Self { folder, settings, _guard: None })
    }

    pub fn settings(&self) -> &str {
        &self.settings
    }

    /// The streams that have a manifest, in order.
    pub fn streams(&self) -> Vec<String> {
        let folders = fs::read_dir(self.folder.join("_tapline")).into_iter().flatten().flatten();
        let published = folders.filter(|folder| folder.path().join("manifest.json").exists());
        let mut names: Vec<String> = published.map(|folder| folder.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The answer to a query over the rows of all streams; every value as text.
    #[track_caller]
    pub fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let streams: Vec<(String, Vec<String>, Vec<Value>)> =
            self.streams().into_iter().map(|stream| read(&self.folder, stream)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome: Result<_, sqlx::Error> = runtime.block_on(async {
            let options = SqliteConnectOptions::new().in_memory(true);
            let mut connection = SqliteConnection::connect_with(&options).await?;
            for (stream, fields, rows) in streams {
                let columns: Vec<String> = fields.iter().map(|field| format!("\"{field}\"")).collect();
                let make = format!("CREATE TABLE \"{stream}\" ({})", columns.join(", "));
                sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut connection).await?;
                let values: Vec<String> = (0..fields.len()).map(|index| format!("value ->> {index}")).collect();
                let fill = format!("INSERT INTO \"{stream}\" SELECT {} FROM json_each(?)", values.join(", "));
                let rows = serde_json::to_string(&rows).unwrap();
                sqlx::query(AssertSqlSafe(fill)).bind(rows).execute(&mut connection).await?;
            }
            sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await
        });
        let found = outcome.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let text = |row: &sqlx::sqlite::SqliteRow, index: usize| {
            let is_null = row.try_get_raw(index).unwrap().is_null();
            (!is_null).then(|| row.get_unchecked::<String, _>(index))
        };
        found.iter().map(|row| (0..row.len()).map(|index| text(row, index)).collect()).collect()
    }
}

/// A stream's fields and rows, every value as text.
fn read(folder: &Path, stream: String) -> (String, Vec<String>, Vec<Value>) {
    let manifest = fs::read(folder.join("_tapline").join(&stream).join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let fields = manifest["fields"].as_array().unwrap().iter();
    let fields: Vec<String> = fields.map(|field| field["name"].as_str().unwrap().to_owned()).collect();
    let mut rows = Vec::new();
    for file in manifest["files"].as_array().unwrap() {
        let text = fs::read_to_string(folder.join(file["path"].as_str().unwrap())).unwrap();
        rows.extend(text.lines().map(|line| {
            let mut row: Map<String, Value> = serde_json::from_str(line).unwrap();
            let text = |value: Value| match value {
                Value::Null | Value::String(_) => value,
                other => Value::String(other.to_string()),
            };
            Value::Array(fields.iter().map(|field| text(row.remove(field).unwrap_or(Value::Null))).collect())
        }));
    }
    (stream, fields, rows)
}
